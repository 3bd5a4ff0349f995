//! Time and memory of the propagation rule by itself, for 100,000 to 10 million new blocks: both
//! are to grow in proportion. `make bench`.

#![expect(clippy::print_stdout, reason = "a benchmark prints")]
#![expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
#![expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]

use std::time::Instant;

use blocknet::geocode::NetSpec;
use blocknet::{BlockCollector, propagate_alone};

/// Greatest memory the process ever had, in bytes; 0 where the system does not tell.
fn peak_len_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| {
        let kib = line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?;
        kib.parse::<u64>().ok()
    });
    peak.unwrap_or(0) << 10
}

fn main() {
    let spec = NetSpec::city();
    println!(
        "{:>12} {:>9} {:>13} {:>12} {:>13}",
        "new blocks", "seconds", "us per block", "peak, MB", "bytes/block"
    );
    // From small to large: the peak is that of the largest so far.
    for side in [316_u64, 1_000, 3_162] {
        let start = Instant::now();
        let mut collector = BlockCollector::new(&spec);
        for n in 0..side * side {
            // A stride that is coprime with the size visits all blocks out of order.
            let n = n * 7_919 % (side * side);
            let block = spec.block_of_indices(
                u128::from(100_000 + n % side),
                u128::from(100_000 + n / side),
                0,
            );
            collector.insert(&block.expect("inside the plane"));
        }
        let blocks = collector.finish();
        let count = blocks.len() as f64;
        let graph = propagate_alone(blocks, &[]);
        let seconds = start.elapsed().as_secs_f64();
        assert_eq!(graph.sources().len(), 1, "one island, one source");
        let peak = peak_len_bytes() as f64;
        println!(
            "{count:>12} {seconds:>9.2} {:>13.2} {:>12.0} {:>13.1}",
            seconds * 1e6 / count,
            peak / 1e6,
            peak / count
        );
    }
}
