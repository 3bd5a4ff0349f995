//! The check of `RocksDB`'s manifest for the targets in `fuzz/`, which compile no C++. Exists only
//! under `cfg(fuzzing)`; no part of the interface.

#[path = "rocks/manifest.rs"]
mod manifest;

use std::io;
use std::path::Path;

/// Whether a manifest is sound; if not, what is wrong.
///
/// # Errors
/// The file could not be read.
pub fn manifest(path: &Path) -> io::Result<Result<(), String>> {
    manifest::check(path)
}
