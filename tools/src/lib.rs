//! The library behind the `blocknet` command.
//!
//! * [`input`] is the importer's reading side: files of `GeoJSON` Features, what a Feature says about
//!   identity, place, height and time, and a sorter for files larger than memory. It knows nothing
//!   of the store.
//! * [`cli`] is the command itself: one module per subcommand, over the engine and the queries.

#![forbid(unsafe_code)]

pub mod cli;
pub mod input;
