//! The `RocksDB` back end.
//!
//! One column family per table. `RocksDB`'s own log is switched off: the caller's journal is the
//! log, and what was applied after the last flush is applied again from there. Flushes are
//! atomic over all tables, so what is on disk is always the state after some batch.
//!
//! # Invariants
//!
//! * An existing directory is never opened with leave to create anything: to a missing
//!   `CURRENT` `RocksDB` then answers with an empty store, and deletes the tables at the second
//!   open.
//! * It is not opened at all, so that not even a text log is written, unless `CURRENT` names a
//!   manifest whose every record is sound (module `manifest` says why).
//! * No write passes once `RocksDB` has counted a background error.
//! * The end of an iterator is the end of the data only after its status was asked.

mod manifest;
mod options;

use std::fmt;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use rocksdb::checkpoint::Checkpoint;
use rocksdb::{ColumnFamily, DB, DBRawIterator, ReadOptions, Snapshot, WriteBatch, WriteOptions};

use crate::{
    Batch, Cursor, Error, ErrorKind, KeyRange, Read, Store, Table, TableSpec, check_batch, spec_of,
};

pub use options::RocksOptions;

/// How long a write waits before it is tried again while RocksDB is behind.
const STALL: Duration = Duration::from_millis(1);

/// What a sweep reads at once.
const READAHEAD_BYTES: usize = 1 << 20;

/// Parts of a table below this size, in bytes on disk, are not cut again.
const PART_BYTES_MIN: u64 = 1 << 20;

/// `CURRENT` holds one short line; anything longer is damage and not worth reading.
const CURRENT_LEN_BYTES_MAX: u64 = 64;

/// A store on disk, in a directory of its own.
///
/// Dropping it flushes what `RocksDB` still holds, but cannot report a failure: call
/// [`Store::flush`] first where that matters.
///
/// `RocksDB` keeps two processes from writing one directory; readers are the caller's to keep
/// out.
pub struct RocksStore {
    tables: Tables,
    writing: WriteOptions,
    poisoned: OnceLock<Error>,
}

impl RocksStore {
    /// Makes a store in `dir`, which must be absent (its parent present) or empty; access is
    /// for the owner only.
    ///
    /// A failed attempt may leave files; remove them before the next.
    ///
    /// # Errors
    ///
    /// * [`ErrorKind::Invalid`]: the directory holds something, or the schema or an option is
    ///   outside its bounds; nothing was written.
    /// * [`ErrorKind::Io`]: the directory or a file could not be made.
    pub fn create(
        dir: impl AsRef<Path>,
        schema: &'static [TableSpec],
        options: RocksOptions,
    ) -> Result<Self, Error> {
        let (dir, operation) = (dir.as_ref(), "create");
        options.check(schema).map_err(|error| error.at(dir))?;
        match DirBuilder::new().mode(0o700).create(dir) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => take_empty(dir)?,
            Err(error) => return Err(io_error(dir, operation, &error)),
        }
        let mut whole = options.database();
        whole.create_if_missing(true);
        whole.create_missing_column_families(true);
        whole.set_error_if_exists(true);
        let db = DB::open_cf_descriptors(&whole, dir, options.families(schema))
            .map_err(|error| rocks_error(operation, &error).at(dir))?;
        Ok(Self::new(db, schema, dir))
    }

    /// Opens the store in `dir` for reading and writing; creates nothing.
    ///
    /// A good answer is no evidence that nothing is lost: first compare what
    /// [`RocksStore::open_read_only`] shows with the journal. Opening a store for writing
    /// deletes the files that its manifest does not name.
    ///
    /// # Errors
    ///
    /// * [`ErrorKind::NotFound`]: `dir` is absent or empty.
    /// * [`ErrorKind::Invalid`]: it holds tables that the schema does not name, or an option is
    ///   outside its bounds.
    /// * [`ErrorKind::Corrupt`]: a file or a table of the schema is missing or damaged. No file
    ///   that is named by the manifest was changed.
    /// * [`ErrorKind::Unavailable`]: it is open for writing elsewhere.
    pub fn open(
        dir: impl AsRef<Path>,
        schema: &'static [TableSpec],
        options: RocksOptions,
    ) -> Result<Self, Error> {
        let dir = dir.as_ref();
        options.check(schema).map_err(|error| error.at(dir))?;
        check_files(dir, "open")?;
        let db = DB::open_cf_descriptors(&options.database(), dir, options.families(schema))
            .map_err(|error| open_error("open", &error).at(dir))?;
        Ok(Self::new(db, schema, dir))
    }

    /// Opens the store in `dir` for reading, as the last flush left it, and changes no byte
    /// there; any number of readers may be open together.
    ///
    /// The caller sees to it that no writer opens the directory meanwhile: it would delete
    /// files that the reader may still need.
    ///
    /// # Errors
    ///
    /// As for [`RocksStore::open`], but for tables that the schema does not name: these are
    /// passed over.
    pub fn open_read_only(
        dir: impl AsRef<Path>,
        schema: &'static [TableSpec],
        options: RocksOptions,
    ) -> Result<RocksReader, Error> {
        let (dir, operation) = (dir.as_ref(), "open read-only");
        options.check(schema).map_err(|error| error.at(dir))?;
        check_files(dir, operation)?;
        // Opened so, RocksDB makes no LOG file unless it is given a place for one.
        let families = options.families(schema);
        let db = DB::open_cf_descriptors_read_only(&options.database(), dir, families, false)
            .map_err(|error| open_error(operation, &error).at(dir))?;
        Ok(RocksReader {
            tables: Tables {
                db,
                schema,
                dir: dir.to_path_buf(),
            },
        })
    }

    fn new(db: DB, schema: &'static [TableSpec], dir: &Path) -> Self {
        let mut writing = WriteOptions::default();
        writing.disable_wal(true);
        writing.set_no_slowdown(true);
        let tables = Tables {
            db,
            schema,
            dir: dir.to_path_buf(),
        };
        Self {
            tables,
            writing,
            poisoned: OnceLock::new(),
        }
    }

    /// The store's directory.
    pub fn dir(&self) -> &Path {
        &self.tables.dir
    }

    /// Refuses once a write has failed, be it a flush or compaction in the background.
    ///
    /// `RocksDB` itself takes writes again after some failures; here the first is final, since
    /// what reached the disk in between is not known.
    fn check_health(&self, operation: &'static str) -> Result<(), Error> {
        if let Some(cause) = self.poisoned.get() {
            let detail = format!("refused after: {}", cause.detail());
            return Err(Error::new(ErrorKind::Poisoned, operation, detail).at(self.dir()));
        }
        let count = self
            .tables
            .db
            .property_int_value(rocksdb::properties::BACKGROUND_ERRORS)
            .map_err(|error| rocks_error(operation, &error).at(self.dir()))?;
        match count {
            Some(0) => Ok(()),
            count => {
                let detail = match count {
                    Some(count) => format!("{count} writes in the background failed: see LOG"),
                    None => "RocksDB does not count its background errors".to_owned(),
                };
                let error = Error::new(ErrorKind::Poisoned, operation, detail).at(self.dir());
                Err(self.poison(error))
            }
        }
    }

    fn poison(&self, error: Error) -> Error {
        self.poisoned.get_or_init(|| error.clone());
        error
    }
}

impl fmt::Debug for RocksStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RocksStore")
            .field("dir", &self.tables.dir)
            .field("poisoned", &self.poisoned.get())
            .finish_non_exhaustive()
    }
}

impl Read for RocksStore {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, Error> {
        self.tables.get(table, key, &ReadOptions::default())
    }

    fn multi_get(&self, table: Table, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, Error> {
        self.tables.multi_get(table, keys, &ReadOptions::default())
    }

    fn cursor<'a>(&'a self, table: Table, range: &KeyRange) -> Result<Box<dyn Cursor + 'a>, Error> {
        self.tables.cursor(table, range, ReadOptions::default())
    }

    fn last(&self, table: Table, range: &KeyRange) -> Result<Option<(Bytes, Bytes)>, Error> {
        self.tables.last(table, range, ReadOptions::default())
    }
}

impl Store for RocksStore {
    fn snapshot(&self) -> Result<Box<dyn Read + '_>, Error> {
        Ok(Box::new(RocksSnapshot::new(&self.tables)))
    }

    fn apply(&self, batch: &Batch) -> Result<(), Error> {
        check_batch(self.tables.schema, batch)?;
        self.check_health("apply")?;
        loop {
            let mut rows = WriteBatch::default();
            for (table, key, value) in batch {
                let (_, family) = self.tables.family(table, "apply")?;
                match value {
                    Some(value) => rows.put_cf(family, key, value),
                    None => rows.delete_cf(family, key),
                }
            }
            match self.tables.db.write_opt(rows, &self.writing) {
                Ok(()) => return Ok(()),
                // Flushes and compactions are behind. Waiting here and not inside RocksDB: there a
                // write that waits for a full disk keeps the recovery waiting that it waits for.
                Err(error) if error.kind() == rocksdb::ErrorKind::Incomplete => {
                    self.check_health("apply")?;
                    thread::sleep(STALL);
                }
                Err(error) => {
                    return Err(self.poison(rocks_error("apply", &error).at(self.dir())));
                }
            }
        }
    }

    fn flush(&self) -> Result<(), Error> {
        self.check_health("flush")?;
        let families = (0..=u8::MAX)
            .map(Table)
            .take(self.tables.schema.len())
            .map(|table| self.tables.family(table, "flush").map(|(_, family)| family))
            .collect::<Result<Vec<_>, _>>()?;
        self.tables
            .db
            .flush_cfs_opt(&families, &rocksdb::FlushOptions::default())
            .map_err(|error| self.poison(rocks_error("flush", &error).at(self.dir())))?;
        // A flush that another thread began, and that failed, may have been ours to wait for.
        self.check_health("flush")
    }

    fn purge(&self, table: Table, range: &KeyRange) -> Result<(), Error> {
        self.flush()?;
        let (_, family) = self.tables.family(table, "purge")?;
        let mut how = rocksdb::CompactOptions::default();
        // All levels of the range come together in the last one, also where only that has it.
        how.set_bottommost_level_compaction(rocksdb::BottommostLevelCompaction::Force);
        how.set_exclusive_manual_compaction(true);
        self.tables
            .db
            .compact_range_cf_opt(family, Some(&range.start), range.end.as_ref(), &how);
        // The binding tells of no failure; what kept it from its end shows as one of the store.
        self.check_health("purge")
    }

    fn copy_to(&self, dir: &Path) -> Result<bool, Error> {
        // A flush of our own first: its failure is told from one of the checkpoint's, and poisons.
        self.flush()?;
        self.tables.copy_to(dir)?;
        // As for a flush.
        self.check_health("copy_to")?;
        Ok(true)
    }

    fn disk_bytes(&self) -> Result<u64, Error> {
        self.tables.disk_bytes()
    }
}

/// A store opened for reading only: a view that does not change.
pub struct RocksReader {
    tables: Tables,
}

impl RocksReader {
    /// The store's directory.
    pub fn dir(&self) -> &Path {
        &self.tables.dir
    }

    /// Makes a store of its own in `dir` with what this reader sees; changes no byte of this one.
    /// Otherwise as [`Store::copy_to`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] when a file cannot be linked or copied.
    pub fn copy_to(&self, dir: impl AsRef<Path>) -> Result<(), Error> {
        self.tables.copy_to(dir.as_ref())
    }

    /// Bytes that the store's files take on disk.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] when the directory cannot be listed.
    pub fn disk_bytes(&self) -> Result<u64, Error> {
        self.tables.disk_bytes()
    }
}

impl fmt::Debug for RocksReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RocksReader")
            .field("dir", &self.tables.dir)
            .finish_non_exhaustive()
    }
}

impl Read for RocksReader {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, Error> {
        self.tables.get(table, key, &ReadOptions::default())
    }

    fn multi_get(&self, table: Table, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, Error> {
        self.tables.multi_get(table, keys, &ReadOptions::default())
    }

    fn cursor<'a>(&'a self, table: Table, range: &KeyRange) -> Result<Box<dyn Cursor + 'a>, Error> {
        self.tables.cursor(table, range, ReadOptions::default())
    }

    fn last(&self, table: Table, range: &KeyRange) -> Result<Option<(Bytes, Bytes)>, Error> {
        self.tables.last(table, range, ReadOptions::default())
    }

    fn sweep<'a>(&'a self, table: Table, range: &KeyRange) -> Result<Box<dyn Cursor + 'a>, Error> {
        let mut options = ReadOptions::default();
        options.fill_cache(false);
        options.set_readahead_size(READAHEAD_BYTES);
        self.tables.cursor(table, range, options)
    }

    fn cuts(&self, table: Table, parts: usize) -> Result<Vec<Vec<u8>>, Error> {
        self.tables.cuts(table, parts)
    }
}

/// A [`RocksStore`] as it stood at one moment.
struct RocksSnapshot<'a> {
    tables: &'a Tables,
    snapshot: Snapshot<'a>,
}

impl<'a> RocksSnapshot<'a> {
    fn new(tables: &'a Tables) -> Self {
        Self {
            tables,
            snapshot: tables.db.snapshot(),
        }
    }

    fn options(&self) -> ReadOptions {
        let mut options = ReadOptions::default();
        options.set_snapshot(&self.snapshot);
        options
    }
}

impl Read for RocksSnapshot<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, Error> {
        self.tables.get(table, key, &self.options())
    }

    fn multi_get(&self, table: Table, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, Error> {
        self.tables.multi_get(table, keys, &self.options())
    }

    fn cursor<'a>(&'a self, table: Table, range: &KeyRange) -> Result<Box<dyn Cursor + 'a>, Error> {
        self.tables.cursor(table, range, self.options())
    }

    fn last(&self, table: Table, range: &KeyRange) -> Result<Option<(Bytes, Bytes)>, Error> {
        self.tables.last(table, range, self.options())
    }
}

/// An open database and what its tables are called.
struct Tables {
    db: DB,
    schema: &'static [TableSpec],
    dir: PathBuf,
}

impl Tables {
    /// Flushes are atomic over all tables (`atomic_flush`), and the manifest is copied up to what
    /// one moment had: so the copy is the state after some batch, as the store itself is.
    fn copy_to(&self, dir: &Path) -> Result<(), Error> {
        let operation = "copy_to";
        let made = Checkpoint::new(&self.db).and_then(|made| made.create_checkpoint(dir));
        made.map_err(|error| rocks_error(operation, &error).at(dir))?;
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700))
            .map_err(|error| io_error(dir, operation, &error))
    }

    fn family(
        &self,
        table: Table,
        operation: &'static str,
    ) -> Result<(&'static str, &ColumnFamily), Error> {
        let name = spec_of(self.schema, table, operation)?.name;
        let family = self.db.cf_handle(name).ok_or_else(|| {
            let detail = "RocksDB has no handle for a table that it opened";
            Error::new(ErrorKind::Corrupt, operation, detail)
                .at(&self.dir)
                .in_table(name)
        })?;
        Ok((name, family))
    }

    fn fault(&self, operation: &'static str, table: &'static str, error: &rocksdb::Error) -> Error {
        rocks_error(operation, error).at(&self.dir).in_table(table)
    }

    fn get(&self, table: Table, key: &[u8], options: &ReadOptions) -> Result<Option<Bytes>, Error> {
        let (name, family) = self.family(table, "get")?;
        let value = self
            .db
            .get_pinned_cf_opt(family, key, options)
            .map_err(|error| self.fault("get", name, &error))?;
        Ok(value.map(|pinned| Bytes::copy_from_slice(&pinned)))
    }

    fn multi_get(
        &self,
        table: Table,
        keys: &[&[u8]],
        options: &ReadOptions,
    ) -> Result<Vec<Option<Bytes>>, Error> {
        let (name, family) = self.family(table, "multi_get")?;
        self.db
            .batched_multi_get_cf_opt(family, keys.iter().copied(), false, options)
            .into_iter()
            .map(|value| match value {
                Ok(value) => Ok(value.map(|pinned| Bytes::copy_from_slice(&pinned))),
                Err(error) => Err(self.fault("multi_get", name, &error)),
            })
            .collect()
    }

    fn iterator<'a>(
        &'a self,
        family: &ColumnFamily,
        range: &KeyRange,
        mut options: ReadOptions,
    ) -> DBRawIterator<'a> {
        options.set_iterate_lower_bound(range.start.clone());
        if let Some(end) = &range.end {
            options.set_iterate_upper_bound(end.clone());
        }
        self.db.raw_iterator_cf_opt(family, options)
    }

    fn cursor<'a>(
        &'a self,
        table: Table,
        range: &KeyRange,
        options: ReadOptions,
    ) -> Result<Box<dyn Cursor + 'a>, Error> {
        let (name, family) = self.family(table, "cursor")?;
        if range.is_empty() {
            return Ok(Box::new(NoEntries));
        }
        let iterator = self.iterator(family, range, options);
        let mut cursor = RocksCursor {
            tables: self,
            name,
            iterator,
            failed: None,
        };
        cursor.run(|iterator| iterator.seek(&range.start))?;
        Ok(Box::new(cursor))
    }

    fn last(
        &self,
        table: Table,
        range: &KeyRange,
        options: ReadOptions,
    ) -> Result<Option<(Bytes, Bytes)>, Error> {
        let (name, family) = self.family(table, "last")?;
        if range.is_empty() {
            return Ok(None);
        }
        let mut iterator = self.iterator(family, range, options);
        iterator.seek_to_last();
        if let Some((key, value)) = iterator.item() {
            return Ok(Some((
                Bytes::copy_from_slice(key),
                Bytes::copy_from_slice(value),
            )));
        }
        iterator
            .status()
            .map_err(|error| self.fault("last", name, &error))?;
        Ok(None)
    }

    /// Bisects for each cut over the first bytes of keys as numbers: RocksDB tells the size of a range
    /// from its indexes, without reading data.
    fn cuts(&self, table: Table, parts: usize) -> Result<Vec<Vec<u8>>, Error> {
        let (_, family) = self.family(table, "cuts")?;
        let all = KeyRange::all();
        let first = self.cursor(table, &all, ReadOptions::default())?;
        let first = first.entry().map(|(key, _)| key.to_vec());
        let last = self.last(table, &all, ReadOptions::default())?;
        let (Some(first), Some((last, _))) = (first, last) else {
            return Ok(Vec::new());
        };
        let size = |from: &[u8], to: &[u8]| -> u64 {
            let range = rocksdb::Range::new(from, to);
            let sizes = self.db.get_approximate_sizes_cf(family, &[range]);
            sizes.first().copied().unwrap_or(0)
        };
        let whole = size(&first, &last);
        let parts = (whole / PART_BYTES_MIN).min(parts as u64);
        let mut cuts: Vec<Vec<u8>> = Vec::new();
        for part in 1..parts {
            let (mut low, mut high) = (number_of(&first), number_of(&last));
            let wanted = u128::from(whole) * u128::from(part) / u128::from(parts);
            while high - low > 1 {
                let middle = low + (high - low) / 2;
                if u128::from(size(&first, &middle.to_be_bytes())) < wanted {
                    low = middle;
                } else {
                    high = middle;
                }
            }
            let cut = high.to_be_bytes().to_vec();
            if cuts.last().is_none_or(|last| *last < cut) {
                cuts.push(cut);
            }
        }
        Ok(cuts)
    }

    fn disk_bytes(&self) -> Result<u64, Error> {
        let failed = |error: io::Error| io_error(&self.dir, "disk_bytes", &error);
        let mut sum = 0_u64;
        for entry in fs::read_dir(&self.dir).map_err(failed)? {
            match entry.and_then(|entry| entry.metadata()) {
                Ok(metadata) => sum = sum.saturating_add(metadata.len()),
                // A compaction may delete a file between its listing and our question.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(sum)
    }
}

/// The first bytes of a key as a number: keys order as these numbers, or are equal in them.
fn number_of(key: &[u8]) -> u128 {
    let mut bytes = [0; 16];
    for (byte, from) in bytes.iter_mut().zip(key) {
        *byte = *from;
    }
    u128::from_be_bytes(bytes)
}

/// The cursor of a range that holds no key.
struct NoEntries;

impl Cursor for NoEntries {
    fn entry(&self) -> Option<(&[u8], &[u8])> {
        None
    }

    fn advance(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn seek(&mut self, _: &[u8]) -> Result<(), Error> {
        Ok(())
    }
}

struct RocksCursor<'a> {
    tables: &'a Tables,
    name: &'static str,
    iterator: DBRawIterator<'a>,
    failed: Option<Error>,
}

impl RocksCursor<'_> {
    /// Moves the iterator and, where it then has no entry, asks whether it failed.
    fn run(&mut self, step: impl FnOnce(&mut DBRawIterator<'_>)) -> Result<(), Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        step(&mut self.iterator);
        if self.iterator.valid() {
            return Ok(());
        }
        self.iterator.status().map_err(|error| {
            let error = self.tables.fault("scan", self.name, &error);
            self.failed = Some(error.clone());
            error
        })
    }
}

impl Cursor for RocksCursor<'_> {
    fn entry(&self) -> Option<(&[u8], &[u8])> {
        // Without an error to show for it, an iterator that failed is not valid either.
        self.iterator.item()
    }

    fn advance(&mut self) -> Result<(), Error> {
        // Behind the last entry the binding does nothing.
        #[expect(
            clippy::redundant_closure_for_method_calls,
            reason = "the method itself is tied to one lifetime, `run` passes any"
        )]
        self.run(|iterator| iterator.next())
    }

    fn seek(&mut self, key: &[u8]) -> Result<(), Error> {
        match self.iterator.key() {
            Some(at) if at < key => self.run(|iterator| iterator.seek(key)),
            // At or after it already, at the end, or failed.
            _ => self.run(|_| ()),
        }
    }
}

/// Accepts an empty directory that was there before, and closes it to others.
fn take_empty(dir: &Path) -> Result<(), Error> {
    let failed = |error: io::Error| io_error(dir, "create", &error);
    if fs::read_dir(dir).map_err(failed)?.next().is_some() {
        let detail = "the directory is not empty";
        return Err(Error::new(ErrorKind::Invalid, "create", detail).at(dir));
    }
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).map_err(failed)
}

/// Sees to it that `dir` is a store with a sound manifest before `RocksDB` may touch it.
fn check_files(dir: &Path, operation: &'static str) -> Result<(), Error> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => {
            Error::new(ErrorKind::NotFound, operation, "there is no such directory").at(dir)
        }
        _ => io_error(dir, operation, &error),
    };
    let damage =
        |path: &Path, detail: &str| Err(Error::new(ErrorKind::Corrupt, operation, detail).at(path));
    let mut is_empty = true;
    for entry in fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        is_empty = false;
        // Our writes bypass RocksDB's log, so a record in one is not ours, and is not replayed.
        if path.extension().is_some_and(|extension| extension == "log")
            && len_of_file(&path, operation)? != Some(0)
        {
            return damage(&path, "RocksDB's log is not empty");
        }
    }
    if is_empty {
        let detail = "the directory is empty";
        return Err(Error::new(ErrorKind::NotFound, operation, detail).at(dir));
    }
    let current = dir.join("CURRENT");
    let Some(len_bytes) = len_of_file(&current, operation)? else {
        return damage(&current, "the file that names the manifest is missing");
    };
    if len_bytes > CURRENT_LEN_BYTES_MAX {
        return damage(&current, "the file that names the manifest is too long");
    }
    let line = fs::read(&current).map_err(|error| io_error(&current, operation, &error))?;
    let number = line
        .strip_prefix(b"MANIFEST-")
        .and_then(|rest| rest.strip_suffix(b"\n"));
    let digits =
        number.filter(|digits| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit));
    let Some(digits) = digits.and_then(|digits| str::from_utf8(digits).ok()) else {
        return damage(&current, "the file does not name a manifest");
    };
    let manifest = dir.join(format!("MANIFEST-{digits}"));
    if len_of_file(&manifest, operation)?.is_none() {
        return damage(&manifest, "the manifest is missing");
    }
    match manifest::check(&manifest) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(what)) => damage(&manifest, &what),
        Err(error) => Err(io_error(&manifest, operation, &error)),
    }
}

/// Length of the regular file at `path`, `None` when there is none.
fn len_of_file(path: &Path, operation: &'static str) -> Result<Option<u64>, Error> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_file() => Ok(Some(metadata.len())),
        Ok(_) => {
            let detail = "this is not a regular file";
            Err(Error::new(ErrorKind::Corrupt, operation, detail).at(path))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io_error(path, operation, &error)),
    }
}

fn io_error(path: &Path, operation: &'static str, error: &io::Error) -> Error {
    Error::new(ErrorKind::Io, operation, error.to_string()).at(path)
}

/// Translates an error of a store that is open.
fn rocks_error(operation: &'static str, error: &rocksdb::Error) -> Error {
    Error::new(
        kind_of(&error.kind(), error.as_ref()),
        operation,
        error.as_ref(),
    )
}

/// Translates an error at the opening of an existing store, where "invalid argument" is what
/// `RocksDB` says of a manifest that lost a table.
fn open_error(operation: &'static str, error: &rocksdb::Error) -> Error {
    let text: &str = error.as_ref();
    let kind = match kind_of(&error.kind(), text) {
        ErrorKind::Invalid if !text.starts_with("Invalid argument: Column families not opened") => {
            ErrorKind::Corrupt
        }
        kind => kind,
    };
    Error::new(kind, operation, text)
}

/// What `RocksDB`'s status `kind` with this text asks of the caller.
///
/// Only the beginning of the text is looked at: paths follow, and may contain anything.
fn kind_of(kind: &rocksdb::ErrorKind, text: &str) -> ErrorKind {
    use rocksdb::ErrorKind as Rocks;
    match kind {
        // The manifest names it, so it has to be there.
        Rocks::IOError if text.starts_with("IO error: No such file or directory") => {
            ErrorKind::Corrupt
        }
        // Another process; this process.
        Rocks::IOError
            if text.starts_with("IO error: While lock file")
                || text.starts_with("IO error: lock hold by current process") =>
        {
            ErrorKind::Unavailable
        }
        // NotSupported: we write no format that this build could not read.
        Rocks::Corruption | Rocks::NotFound | Rocks::NotSupported | Rocks::ColumnFamilyDropped => {
            ErrorKind::Corrupt
        }
        Rocks::InvalidArgument => ErrorKind::Invalid,
        Rocks::MergeInProgress
        | Rocks::Incomplete
        | Rocks::ShutdownInProgress
        | Rocks::TimedOut
        | Rocks::Aborted
        | Rocks::Busy
        | Rocks::Expired
        | Rocks::TryAgain
        | Rocks::CompactionTooLarge => ErrorKind::Unavailable,
        Rocks::IOError | Rocks::Unknown => ErrorKind::Io,
    }
}

#[cfg(test)]
mod tests;
