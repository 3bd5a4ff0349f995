//! What the tests share: where they work, and what happens to a part that cannot run here.

#![expect(
    clippy::print_stdout,
    reason = "a test tells its counts, and why it was skipped"
)]

use std::fmt::Display;
use std::path::PathBuf;

use blocknet_torture::{Failure, Result, Setting};

/// A seed from `BLOCKNET_SEED`, or 1; stores in memory where there is such a file system, since
/// these tests end processes and not machines.
pub(crate) fn setting() -> Setting {
    let seed = std::env::var("BLOCKNET_SEED").ok();
    let memory = PathBuf::from("/dev/shm");
    Setting {
        exe: env!("CARGO_BIN_EXE_blocknet-torture").into(),
        work: if memory.is_dir() {
            memory
        } else {
            std::env::temp_dir()
        },
        seed: seed.and_then(|seed| seed.parse().ok()).unwrap_or(1),
    }
}

/// Prints the report; says why where a part was skipped, and fails where a promise was broken.
pub(crate) fn told<R: Display>(name: &str, result: Result<R>) -> Option<R> {
    match result {
        Ok(report) => {
            println!("{name}:\n{report}");
            Some(report)
        }
        Err(Failure::Skipped(why)) => {
            println!("{name}: skipped: {why}");
            None
        }
        Err(failure) => panic!("{name}: {failure}"),
    }
}
