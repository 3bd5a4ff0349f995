//! Verification against SHA-256 over as many bytes on all processors, side by side in one run, for
//! small and large payloads: `make bench`.

#![expect(clippy::print_stdout, reason = "a benchmark prints")]
#![expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
#![expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;
use std::thread;
use std::time::Instant;

use blocknet::geocode::NetSpec;
use blocknet::verify::Depth;
use blocknet::{Assertion, Commit, Extent, LayerId, Moment, Net, Valid};
use sha2::{Digest as _, Sha256};

/// Payloads of each store come to about this many bytes.
const PAYLOAD_BYTES: usize = 100 << 20;
const BATCH: usize = 1_000;
const REPEATS: usize = 5;

fn day(day: i64) -> Moment {
    Moment::from_micros((10_957 + day) * 86_400_000_000)
}

/// Coordinates as text, as the geometry of a building has them.
fn payload(n: usize, len_bytes: usize) -> Vec<u8> {
    let mut text = String::from("{\"coordinates\":[");
    let mut state = n as u64;
    while text.len() < len_bytes {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        write!(text, "[4.{:07},52.{:07}],", state >> 42, state % 0x3f_ffff)
            .expect("a string takes all");
    }
    text.push_str("0]}");
    text.into_bytes()
}

fn fill(dir: &Path, len_bytes: usize) {
    let net = Net::create(dir, NetSpec::city()).expect("a new directory");
    let all: Vec<usize> = (0..PAYLOAD_BYTES / len_bytes).collect();
    for part in all.chunks(BATCH) {
        let states = part.iter().map(|n| {
            let step = |n: usize| 0.0003 * f64::from(u32::try_from(n).expect("a small number"));
            let (west, south) = (4.0 + step(n % 400), 52.0 + step(n / 400));
            let extent = Extent::flat(west, south, west + 0.0001, south + 0.0001);
            let payload = payload(*n, len_bytes);
            Assertion::state(LayerId::MAIN, format!("{n:010}"), extent, payload)
                .valid(Valid::from(day(0)))
        });
        drop(
            net.submit(&Commit::new("bench", states.collect()))
                .expect("the commit is sound"),
        );
    }
    net.close().expect("the disk works");
}

/// Seconds for hashing this many bytes, shared among all processors.
fn sha256(bytes: u64) -> f64 {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let chunk = vec![7_u8; 1 << 20];
    let chunks = bytes.div_ceil((chunk.len() * threads) as u64);
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut hasher = Sha256::new();
                for _ in 0..chunks {
                    hasher.update(&chunk);
                }
                black_box(hasher.finalize());
            });
        }
    });
    start.elapsed().as_secs_f64()
}

fn main() {
    println!(
        "{:>14} {:>10} {:>14} {:>14} {:>22}   goal 0.5",
        "payload, bytes", "MB read", "verify, MB/s", "SHA-256, MB/s", "ratio (least, greatest)"
    );
    for len_bytes in [300, 1_000, 4_000, 32_000] {
        let root = tempfile::tempdir().expect("a directory for the store");
        let dir = root.path().join("net");
        fill(&dir, len_bytes);
        let mut ratios = Vec::new();
        let (mut bytes, mut ours, mut theirs) = (0, f64::MAX, f64::MAX);
        for _ in 0..REPEATS {
            let start = Instant::now();
            let verified = Net::builder()
                .verify(&dir, Depth::Full, &|_| ())
                .expect("a net");
            let seconds = start.elapsed().as_secs_f64();
            assert!(verified.is_clean(), "nothing harmed the net");
            bytes = verified.bytes;
            let alone = sha256(bytes);
            ratios.push(alone / seconds);
            ours = ours.min(seconds);
            theirs = theirs.min(alone);
        }
        ratios.sort_by(f64::total_cmp);
        let rate = |seconds: f64| bytes as f64 / 1e6 / seconds;
        println!(
            "{len_bytes:>14} {:>10.0} {:>14.0} {:>14.0} {:>8.2} ({:.2}, {:.2})",
            bytes as f64 / 1e6,
            rate(ours),
            rate(theirs),
            ratios[REPEATS / 2],
            ratios[0],
            ratios[REPEATS - 1],
        );
    }
}
