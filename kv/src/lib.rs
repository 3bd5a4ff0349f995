//! Ordered key-value tables under one small synchronous trait: `RocksDB`, memory, and layers
//! of memory over either.
//!
//! A store holds a fixed list of tables, its schema. A table maps byte strings to byte strings in
//! the order of their keys. Reads go through [`Read`], which a store, a snapshot and an
//! [`Overlay`] all offer; writes are a [`Batch`] handed to [`Store::apply`].
//!
//! ```
//! use blocknet_kv::{Batch, KeyRange, MemStore, Read, Store, Table, TableSpec};
//!
//! const CITIES: Table = Table(0);
//! const SCHEMA: &[TableSpec] =
//!     &[TableSpec { name: "cities", cold: false, point_reads: true, runs: false, blobs: false }];
//!
//! # fn main() -> Result<(), blocknet_kv::Error> {
//! let store = MemStore::new(SCHEMA);
//! let mut batch = Batch::new();
//! batch.put(CITIES, "delft", "NL");
//! batch.put(CITIES, "delhi", "IN");
//! store.apply(&batch)?;
//! store.flush()?;
//!
//! let mut cursor = store.cursor(CITIES, &KeyRange::prefix(b"delf"))?;
//! while let Some((key, value)) = cursor.entry() {
//!     assert_eq!((key, value), (b"delft".as_slice(), b"NL".as_slice()));
//!     cursor.advance()?;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Guarantees
//!
//! * A batch is atomic over all tables: no reader and no crash ever shows a part of it.
//! * Applying a batch again, with nothing else written in between, changes nothing.
//! * What [`Store::apply`] took is visible at once and durable after the next successful
//!   [`Store::flush`]. After a crash a store holds every batch up to some point at or after the
//!   last flush, and none later: the caller keeps its own journal and applies the rest again.
//! * A cursor and a snapshot see the store as it stood when they were made.
//! * Everything here may be shared between threads; writers are put in some order.
//!
//! # What it is not
//!
//! There is no journal, no transaction with reads, no lock against a second process beyond
//! what a back end brings, and no word that only `RocksDB` would understand (merge operator,
//! comparator, range delete): a distributed ordered store could carry the same tables.
//!
//! # Features
//!
//! * `rocks` (default): `RocksStore` and `RocksReader`; compiles C++.
//! * `testing`: the module `conformance`, the suite that every back end runs.

#![forbid(unsafe_code)]

mod batch;
mod error;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod mem;
mod overlay;
mod range;
#[cfg(feature = "rocks")]
mod rocks;

#[cfg(any(test, feature = "testing"))]
pub mod conformance;

use std::fmt::Debug;
use std::path::Path;

pub use bytes::Bytes;

pub use batch::{Batch, Rows};
pub use error::{Error, ErrorKind};
pub use mem::MemStore;
pub use overlay::{MemLayer, Overlay};
pub use range::KeyRange;
#[cfg(feature = "rocks")]
pub use rocks::{RocksOptions, RocksReader, RocksStore};

/// The longest key that a store takes, in bytes.
///
/// Every store refuses longer ones alike, so that what fits one back end fits all.
pub const KEY_LEN_BYTES_MAX: usize = 65_535;

/// The longest value that a store takes, in bytes (1 GiB).
///
/// `RocksDB` ends at 4 GiB, and its C interface drops a longer value without an error.
pub const VALUE_LEN_BYTES_MAX: usize = 1 << 30;

/// A table of a store: its place, counted from 0, in the store's schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Table(pub u8);

/// What a back end needs to know about one table.
///
/// A schema is a `&'static [TableSpec]` of at most 256 tables; [`Table`] is an index into it.
/// The flags are hints: they change cost, never an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each stands by itself")]
pub struct TableSpec {
    /// Name on disk, unique in the schema, not empty. Renaming it loses the table.
    pub name: &'static str,
    /// Rarely read: spend processor time to make it small.
    pub cold: bool,
    /// Often asked for one key, also for keys that are not there: keep filters.
    pub point_reads: bool,
    /// Is mostly read in runs of rows: larger blocks, which a get has to read whole.
    pub runs: bool,
    /// Holds large values: keep those above 4 KiB in files of their own, out of the way of
    /// compaction.
    pub blobs: bool,
}

/// A consistent source of reads: a store, a snapshot of one, or an [`Overlay`].
///
/// Of a store that is being written, each call sees the newest state, and two calls may see two
/// states; of a snapshot all calls see the same one.
///
/// A failed read is an error, never an absent row.
pub trait Read: Send + Sync {
    /// The value of `key`, or `None` when the table does not hold it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] for a table outside the schema; [`ErrorKind::Corrupt`] or
    /// [`ErrorKind::Io`] when stored bytes could not be had.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, Error>;

    /// The values of `keys`, in the order asked, all from one state of the store.
    ///
    /// Keys may come in any order and more than once.
    ///
    /// # Errors
    ///
    /// As for [`Read::get`].
    fn multi_get(&self, table: Table, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, Error>;

    /// A cursor at the first entry of `range`, over the table as it stands now.
    ///
    /// It keeps its state of the store alive: do not hold it for long.
    ///
    /// # Errors
    ///
    /// As for [`Read::get`].
    fn cursor<'a>(&'a self, table: Table, range: &KeyRange) -> Result<Box<dyn Cursor + 'a>, Error>;

    /// The entry with the greatest key in `range`.
    ///
    /// # Errors
    ///
    /// As for [`Read::get`].
    fn last(&self, table: Table, range: &KeyRange) -> Result<Option<(Bytes, Bytes)>, Error>;

    /// A cursor as [`Read::cursor`], for reading a long range to its end: it may read ahead, and
    /// does not push out of the cache what others need.
    ///
    /// # Errors
    ///
    /// As for [`Read::get`].
    fn sweep<'a>(&'a self, table: Table, range: &KeyRange) -> Result<Box<dyn Cursor + 'a>, Error> {
        self.cursor(table, range)
    }

    /// Keys that cut the table into `parts` of about the same number of bytes, ascending: fewer, or
    /// none, where the table is small or its sizes are not known. They need not be keys of entries.
    ///
    /// # Errors
    ///
    /// As for [`Read::get`].
    fn cuts(&self, table: Table, parts: usize) -> Result<Vec<Vec<u8>>, Error> {
        let _ = (table, parts);
        Ok(Vec::new())
    }
}

/// A position in a range of a table, moving forward only.
///
/// After an error a cursor shows no entry, and every later call returns the error again, so
/// that a loop which overlooks one error cannot take it for the end of the data.
pub trait Cursor {
    /// The key and value under the cursor; `None` behind the last entry and after an error.
    fn entry(&self) -> Option<(&[u8], &[u8])>;

    /// Moves to the next entry; does nothing behind the last one.
    ///
    /// # Errors
    ///
    /// As for [`Read::get`].
    fn advance(&mut self) -> Result<(), Error>;

    /// Moves to the first entry whose key is at or after `key`, but never back: with a `key` at
    /// or before the current one the cursor stays where it is.
    ///
    /// # Errors
    ///
    /// As for [`Read::get`].
    fn seek(&mut self, key: &[u8]) -> Result<(), Error>;
}

/// A set of tables that can be written.
pub trait Store: Read + Debug {
    /// The store as it stands now; later writes do not show in it.
    ///
    /// It holds back the disposal of what is overwritten: do not keep it for long.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`] when the back end cannot give one now.
    fn snapshot(&self) -> Result<Box<dyn Read + '_>, Error>;

    /// Writes a batch: all of it or, on an error, nothing that a reader or a crash would show.
    ///
    /// On return it is visible, not yet durable: see [`Store::flush`].
    ///
    /// # Errors
    ///
    /// * [`ErrorKind::Invalid`]: a table outside the schema, or a key or value beyond
    ///   [`KEY_LEN_BYTES_MAX`] or [`VALUE_LEN_BYTES_MAX`]; nothing was written.
    /// * [`ErrorKind::Poisoned`]: an earlier write, here or in the background, failed.
    /// * Others as the back end reports them; from then on the store is poisoned.
    fn apply(&self, batch: &Batch) -> Result<(), Error>;

    /// Makes everything applied so far durable, over all tables at once: a crash during the
    /// call leaves either the former durable state or the new one.
    ///
    /// # Errors
    ///
    /// As for [`Store::apply`]. What was durable before still is.
    ///
    /// # Cost
    ///
    /// Writes and syncs a file per table that changed: for seldom use, not per commit.
    fn flush(&self) -> Result<(), Error>;

    /// Rewrites what is stored of `range`, so that values which were overwritten or deleted there
    /// before the call are in no file of the store any more. Snapshots of before keep them alive:
    /// there must be none.
    ///
    /// # Errors
    ///
    /// As for [`Store::flush`].
    ///
    /// # Cost
    ///
    /// A flush, then reads and writes every file that has a key of the range.
    fn purge(&self, table: Table, range: &KeyRange) -> Result<(), Error>;

    /// Makes a store of its own in `dir` (absent, its parent present) that holds everything
    /// applied so far, while others go on reading and writing. Files that are never changed again
    /// are shared with this store by hard links where the file system can, and copied elsewhere.
    ///
    /// Returns false, and makes nothing, where a store has no files.
    ///
    /// # Errors
    ///
    /// As for [`Store::flush`]; a failed attempt may leave files in `dir`, and in `dir` with the
    /// ending `.tmp`.
    ///
    /// # Cost
    ///
    /// A flush, and a link or a copy for each file.
    fn copy_to(&self, dir: &Path) -> Result<bool, Error>;

    /// Bytes that the store's files take on disk now; 0 for one in memory.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] when its directory cannot be listed.
    fn disk_bytes(&self) -> Result<u64, Error>;
}

/// The entry for `table` in `schema`.
pub(crate) fn spec_of(
    schema: &'static [TableSpec],
    table: Table,
    operation: &'static str,
) -> Result<&'static TableSpec, Error> {
    schema.get(usize::from(table.0)).ok_or_else(|| {
        let detail = format!(
            "table {} is outside the schema of {}",
            table.0,
            schema.len()
        );
        Error::new(ErrorKind::Invalid, operation, detail)
    })
}

/// Refuses a batch that not every back end could take.
pub(crate) fn check_batch(schema: &'static [TableSpec], batch: &Batch) -> Result<(), Error> {
    for (table, key, value) in batch {
        let spec = spec_of(schema, table, "apply")?;
        let value_len_bytes = value.map_or(0, Bytes::len);
        if key.len() > KEY_LEN_BYTES_MAX || value_len_bytes > VALUE_LEN_BYTES_MAX {
            let detail = format!(
                "key of {} bytes (at most {KEY_LEN_BYTES_MAX}), value of {value_len_bytes} \
                 bytes (at most {VALUE_LEN_BYTES_MAX})",
                key.len()
            );
            return Err(Error::new(ErrorKind::Invalid, "apply", detail).in_table(spec.name));
        }
    }
    Ok(())
}
