//! The library behind the `blocknet` command.
//!
//! [`input`] is the importer's reading side: files of `GeoJSON` Features, what a Feature says about
//! identity, place, height and time, and a sorter for files larger than memory. It knows nothing
//! of the store.

#![forbid(unsafe_code)]

pub mod input;
