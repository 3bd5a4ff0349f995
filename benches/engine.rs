//! Ratios of the engine against plain RocksDB, side by side in one run: `make bench`.
//!
//! Every line is a ratio of two things measured in this process on this machine, with the goal of
//! DESIGN.md beside it. Absolute numbers are printed for orientation only.

#![expect(clippy::print_stdout, reason = "a benchmark prints")]
#![expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
#![expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

use blocknet::geocode::NetSpec;
use blocknet::query::{Selection, search};
use blocknet::{AsOf, Assertion, Commit, Extent, LayerId, Moment, Net, Valid, View};
use blocknet_kv::{
    Batch, KeyRange, Read as _, RocksOptions, RocksStore, Store as _, Table, TableSpec,
};

const PLAIN: Table = Table(0);
const PLAIN_SCHEMA: &[TableSpec] = &[TableSpec {
    name: "plain",
    cold: false,
    point_reads: true,
    runs: true,
    blobs: false,
}];
const RECORDS: u32 = 100_000;
const BATCH: usize = 1_000;

fn day(day: i64) -> Moment {
    Moment::from_micros((10_957 + day) * 86_400_000_000)
}

/// House `n` of a town of streets: about ten to a block.
fn house(n: u32) -> Extent {
    let west = 4.0 + 0.0003 * f64::from(n % 400);
    let south = 52.0 + 0.0003 * f64::from(n / 400);
    Extent::flat(west, south, west + 0.0001, south + 0.0001)
}

/// 300 bytes that compress like a register's attributes do.
fn payload(n: u32, round: u32) -> Vec<u8> {
    let mut text = format!("{{\"id\":\"{n:010}\",\"round\":{round},\"hash\":\"");
    let mut state = u64::from(n) << 8 | u64::from(round);
    while text.len() < 180 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        write!(text, "{:x}", state >> 40).expect("a string takes all");
    }
    text.push_str("\",\"status\":\"in use\",\"source\":\"municipal register\"");
    while text.len() < 299 {
        text.push(' ');
    }
    text.push('}');
    text.into_bytes()
}

fn state(n: u32, round: u32) -> Assertion {
    let valid = Valid::from(day(i64::from(round) * 100));
    Assertion::state(
        LayerId::MAIN,
        format!("{n:010}"),
        house(n),
        payload(n, round),
    )
    .valid(valid)
}

fn fill(net: &Net, records: u32, round: u32, step: usize) -> Duration {
    let all: Vec<Commit> = (0..records)
        .step_by(step)
        .map(|n| state(n, round))
        .collect::<Vec<_>>()
        .chunks(BATCH)
        .map(|part| Commit::new("bench", part.to_vec()))
        .collect();
    let start = Instant::now();
    for commit in &all {
        // Not waited for: the next commit is built while others sync.
        drop(net.submit(commit).expect("the commit is sound"));
    }
    net.sync().expect("the disk works");
    start.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn line(what: &str, ratio: f64, goal: &str, detail: &str) {
    println!("{what:<58} {ratio:>7.2}   goal {goal:<14} {detail}");
}

fn single_commits(root: &Path) {
    const COMMITS: u32 = 400;
    let net = Net::create(root.join("single"), NetSpec::city()).expect("a new directory");
    let mut options = rocksdb::Options::default();
    options.create_if_missing(true);
    let peer = rocksdb::DB::open(&options, root.join("single-peer")).expect("a new directory");
    let mut synced = rocksdb::WriteOptions::default();
    synced.set_sync(true);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for n in 0..COMMITS {
        let commit = Commit::new("bench", vec![state(n, 0)]);
        let start = Instant::now();
        net.commit(&commit).expect("the commit is sound");
        ours.push(start.elapsed());
        let value = payload(n, 0);
        let start = Instant::now();
        peer.put_opt(n.to_be_bytes(), &value, &synced)
            .expect("the disk works");
        theirs.push(start.elapsed());
    }
    let (ours, theirs) = (median(ours), median(theirs));
    line(
        "durable single commit / synced RocksDB put, latency",
        ours.as_secs_f64() / theirs.as_secs_f64(),
        "at most 1.3",
        &format!("{ours:?} / {theirs:?}"),
    );

    // Building and appending, without waiting for the sync.
    let commits: Vec<Commit> = (0..5_000)
        .map(|n| Commit::new("bench", vec![state(100_000 + n, 0)]))
        .collect();
    let start = Instant::now();
    for commit in &commits {
        drop(net.submit(commit).expect("the commit is sound"));
    }
    let each = start.elapsed() / 5_000;
    net.sync().expect("the disk works");
    line(
        "building and appending one single-record commit, us",
        each.as_secs_f64() * 1e6,
        "at most 35",
        "absolute, not a ratio",
    );

    let rate = |threads: u32, offset: u32| {
        let start = Instant::now();
        std::thread::scope(|scope| {
            for thread in 0..threads {
                let net = &net;
                scope.spawn(move || {
                    for n in 0..COMMITS {
                        let n = offset + thread * COMMITS + n;
                        net.commit(&Commit::new("bench", vec![state(n, 0)]))
                            .expect("the commit is sound");
                    }
                });
            }
        });
        f64::from(threads * COMMITS) / start.elapsed().as_secs_f64()
    };
    let (one, sixteen) = (rate(1, 10_000), rate(16, 20_000));
    line(
        "16 threads committing / 1 thread, commits per second",
        sixteen / one,
        "at least 4",
        &format!("{sixteen:.0} / {one:.0}"),
    );
}

/// Looks at every record of a view and returns how many there are.
fn look_at_all(view: &View<'_>) -> u32 {
    let mut found = 0;
    search(view, &Selection::default())
        .expect("the selection is sound")
        .visit(|record| {
            found += u32::from(black_box(record.payload).len() >= 300);
            ControlFlow::Continue(())
        })
        .expect("it can be read");
    found
}

fn bulk_and_scans(root: &Path) {
    let net = Net::create(root.join("bulk"), NetSpec::city()).expect("a new directory");
    let peer = RocksStore::create(
        root.join("bulk-peer"),
        PLAIN_SCHEMA,
        RocksOptions::default(),
    )
    .expect("a new directory");
    let ours = fill(&net, RECORDS, 0, 1);
    let start = Instant::now();
    for first in (0..RECORDS).step_by(BATCH) {
        let mut batch = Batch::new();
        for n in first..(first + 1_000).min(RECORDS) {
            batch.put(PLAIN, n.to_be_bytes(), payload(n, 0));
        }
        peer.apply(&batch).expect("the disk works");
    }
    let theirs = start.elapsed();
    line(
        "bulk import / plain RocksDB puts, rate",
        theirs.as_secs_f64() / ours.as_secs_f64(),
        "at least 0.33",
        &format!(
            "{:.0} / {:.0} per second",
            f64::from(RECORDS) / ours.as_secs_f64(),
            f64::from(RECORDS) / theirs.as_secs_f64()
        ),
    );

    // Both from files, not from what happens to be in memory still.
    peer.flush().expect("the disk works");
    net.close().expect("the disk works");
    let net = Net::open(root.join("bulk")).expect("it was closed properly");
    let scan = |valid: Moment| {
        let times: Vec<Duration> = (0..5)
            .map(|_| {
                let view = net
                    .view(AsOf::Newest, valid)
                    .expect("the tables can be read");
                let start = Instant::now();
                let found = look_at_all(&view);
                assert_eq!(found, RECORDS);
                start.elapsed()
            })
            .collect();
        median(times)
    };
    let current = scan(day(5_000));
    let plain = median(
        (0..5)
            .map(|_| {
                let start = Instant::now();
                let mut cursor = peer
                    .cursor(PLAIN, &KeyRange::all())
                    .expect("it can be read");
                let mut bytes = 0;
                while let Some((_, value)) = cursor.entry() {
                    bytes += value.len();
                    cursor.advance().expect("it can be read");
                }
                assert_eq!(bytes, 300 * RECORDS as usize);
                start.elapsed()
            })
            .collect(),
    );
    line(
        "area query / plain RocksDB iterator, rows per second",
        plain.as_secs_f64() / current.as_secs_f64(),
        "at least 0.7",
        &format!("{current:?} / {plain:?} for {RECORDS} rows"),
    );
    fill(&net, RECORDS, 1, 10);
    let (current, past) = (scan(day(5_000)), scan(day(50)));
    line(
        "as-of area scan, a tenth changed since / current one, time",
        past.as_secs_f64() / current.as_secs_f64(),
        "at most 1.5",
        &format!("{past:?} / {current:?}"),
    );
    for round in 2..6 {
        fill(&net, RECORDS, round, 1);
    }
    let (current, past) = (scan(day(5_000)), scan(day(50)));
    line(
        "as-of area scan, all changed 4 times since / current one, time",
        past.as_secs_f64() / current.as_secs_f64(),
        "at most 10",
        &format!("{past:?} / {current:?}"),
    );
    let (journal, tables) = net.disk_bytes().expect("the files are there");
    let written = 300.0 * f64::from(RECORDS) * 5.1;
    line(
        "store size / payload bytes imported",
        (journal + tables) as f64 / written,
        "at most 2.5",
        &format!("journal {} MB, tables {} MB", journal >> 20, tables >> 20),
    );
}

fn modify_cost(root: &Path) {
    let cost = |records: u32, name: &str| {
        let net = Net::create(root.join(name), NetSpec::city()).expect("a new directory");
        // One house to a block: as many blocks as records.
        let spread = |n: u32| {
            let west = 4.0 + 0.002 * f64::from(n % 1_000);
            let south = 50.0 + 0.002 * f64::from(n / 1_000);
            Extent::flat(west, south, west + 0.0001, south + 0.0001)
        };
        let put = |n: u32, round: u32| {
            let id = format!("{n:010}");
            Assertion::state(LayerId::MAIN, id, spread(n), payload(n, round))
                .valid(Valid::from(day(i64::from(round))))
        };
        for first in (0..records).step_by(BATCH) {
            let part = (first..(first + 1_000).min(records))
                .map(|n| put(n, 0))
                .collect();
            drop(
                net.submit(&Commit::new("bench", part))
                    .expect("the commit is sound"),
            );
        }
        net.sync().expect("the disk works");
        // Two: every second commit has a row in the log.
        let cost_of = |round: u32| {
            let commit = Commit::new("bench", vec![put(7, round)]);
            net.commit(&commit).expect("it is sound").cost
        };
        let mut cost = cost_of(1);
        cost += cost_of(2);
        cost
    };
    let (small, large) = (cost(1_000, "small"), cost(200_000, "large"));
    line(
        "modify a record twice, rows written, 200,000 blocks / 1,000",
        large.kv_writes as f64 / small.kv_writes as f64,
        "at most 1.05",
        &format!("{} / {}", large.kv_writes, small.kv_writes),
    );
    line(
        "modify a record twice, bytes written, 200,000 blocks / 1,000",
        large.kv_bytes as f64 / small.kv_bytes as f64,
        "at most 1.05",
        &format!("{} / {}", large.kv_bytes, small.kv_bytes),
    );
}

fn main() {
    let only_single = std::env::args().any(|arg| arg == "single");
    let root = tempfile::tempdir().expect("a temporary directory");
    println!("{:<58} {:>7}", "what", "ratio");
    single_commits(root.path());
    if only_single {
        return;
    }
    bulk_and_scans(root.path());
    modify_cost(root.path());
}
