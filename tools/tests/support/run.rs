//! Running the command and finding the data.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// A file of the real data, or `None` and a line that says so.
pub(crate) fn data(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/data")
        .join(name);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: {name} is not in ../shared/data beside the project");
    None
}

pub(crate) fn blocknet() -> Command {
    Command::new(env!("CARGO_BIN_EXE_blocknet"))
}

/// Runs the command with arguments; paths with `{}` are filled in by the caller.
pub(crate) fn run(args: &[&str]) -> Output {
    blocknet().args(args).output().expect("the command starts")
}

/// Runs the command, which must succeed, and parses its one object.
pub(crate) fn json(args: &[&str]) -> Value {
    let output = run(args);
    assert!(
        output.status.success(),
        "blocknet {}: {}",
        args.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!(
            "blocknet {}: {error}: {}",
            args.join(" "),
            String::from_utf8_lossy(&output.stdout)
        )
    })
}

/// Runs the command, which must succeed, and parses one object per line.
pub(crate) fn lines(args: &[&str]) -> Vec<Value> {
    let output = run(args);
    assert!(
        output.status.success(),
        "blocknet {}: {}",
        args.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout)
        .expect("the command writes UTF-8")
        .lines()
        .map(|line| serde_json::from_str(line).expect("each line is an object"))
        .collect()
}

/// The number a query counts.
pub(crate) fn count(store: &str, args: &[&str]) -> u64 {
    let mut all = vec!["query", store, "--count", "--json"];
    all.extend(args);
    json(&all)["count"].as_u64().expect("a count is a number")
}

/// A small generator, so that a seed gives the same numbers everywhere.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// From `BLOCKNET_SEED` or the time; prints what it took.
    pub(crate) fn seeded(what: &str) -> Self {
        let seed = std::env::var("BLOCKNET_SEED")
            .ok()
            .and_then(|seed| seed.parse().ok())
            .unwrap_or_else(|| {
                let nanos = jiff::Timestamp::now().as_nanosecond();
                u64::try_from(nanos.rem_euclid(1 << 62)).expect("below 2^62")
            });
        println!("{what}: BLOCKNET_SEED={seed}");
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        // SplitMix64 (Steele, Lea, Flood 2014).
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// From 0 to 1.
    #[expect(clippy::cast_precision_loss, reason = "53 bits are taken")]
    pub(crate) fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}
