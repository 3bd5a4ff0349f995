//! What `RocksDB` is told. Reasons stand beside each setting; what is not set is its default.

use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamilyDescriptor, DBCompressionType, DBRecoveryMode, Options,
};

use crate::{Error, ErrorKind, TableSpec};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// The least write buffer, in bytes: less makes a file of every few rows.
const WRITE_BUFFER_BYTES_MIN: usize = 64 * KIB;

const BACKGROUND_THREADS_MAX: u16 = 256;

/// Bytes of rows in a block of a table that is read in runs, before compression: four times RocksDB's
/// default, so a quarter of the look-ups in cache and index, and rows compress better.
const RUN_BLOCK_BYTES: usize = 16 * KIB;

/// Values longer than this, in bytes, leave the tables for blob files where a table asks so.
const BLOB_BYTES_MIN: u64 = 4 << 10;

/// Memory and threads for one open store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RocksOptions {
    /// Memory for blocks, indexes and filters read, shared by all tables. Default: 64 MiB.
    pub block_cache_bytes: usize,
    /// Memory for writes not yet in files, all tables together; when it is full, all are
    /// flushed. About as much again is in use while that goes on. Default: 64 MiB; at least
    /// 64 KiB.
    pub write_buffer_bytes: usize,
    /// Flushes and compactions that may run at once. Default: 2; 1 to 256.
    pub background_threads: u16,
}

impl Default for RocksOptions {
    fn default() -> Self {
        Self {
            block_cache_bytes: 64 * MIB,
            write_buffer_bytes: 64 * MIB,
            background_threads: 2,
        }
    }
}

impl RocksOptions {
    /// Refuses options and schemas outside their bounds.
    pub(super) fn check(self, schema: &[TableSpec]) -> Result<(), Error> {
        let invalid = |detail: String| Err(Error::new(ErrorKind::Invalid, "options", detail));
        if self.write_buffer_bytes < WRITE_BUFFER_BYTES_MIN {
            return invalid(format!(
                "write buffer of {} bytes, at least {WRITE_BUFFER_BYTES_MIN} are needed",
                self.write_buffer_bytes
            ));
        }
        if !(1..=BACKGROUND_THREADS_MAX).contains(&self.background_threads) {
            return invalid(format!(
                "{} background threads, not 1 to {BACKGROUND_THREADS_MAX}",
                self.background_threads
            ));
        }
        if schema.is_empty() || schema.len() > 256 {
            return invalid(format!("a schema of {} tables, not 1 to 256", schema.len()));
        }
        for (index, spec) in schema.iter().enumerate() {
            let taken = schema[..index].iter().any(|other| other.name == spec.name);
            if taken || spec.name.is_empty() || spec.name.contains('\0') {
                return invalid(format!("table name {:?} is empty, odd or taken", spec.name));
            }
        }
        Ok(())
    }

    /// Options of the database as a whole.
    pub(super) fn database(self) -> Options {
        let mut options = Options::default();
        // What makes a flush of all tables one step; the tables on disk fit each other always.
        options.set_atomic_flush(true);
        options.set_paranoid_checks(true);
        // Our writes bypass the log, so it is empty; records in it are not ours.
        options.set_wal_recovery_mode(DBRecoveryMode::AbsoluteConsistency);
        // All files open: none can turn out to be missing later.
        options.set_max_open_files(-1);
        options.set_max_background_jobs(self.background_threads.into());
        options.set_db_write_buffer_size(self.write_buffer_bytes);
        // Writes out in steps what a flush would else hand to the disk in one go.
        options.set_bytes_per_sync(MIB as u64);
        // The text log explains a background error; keep it, within 4 MiB.
        options.set_keep_log_file_num(4);
        options.set_max_log_file_size(MIB);
        // Read twice at open; beyond this length RocksDB starts a fresh one.
        options.set_max_manifest_file_size(16 * MIB);
        options.set_stats_dump_period_sec(0);
        options.set_stats_persist_period_sec(0);
        options
    }

    /// A descriptor per table, each with its own options: the plain call, which takes names
    /// only, would give every family the defaults. The family `default`, which `RocksDB`
    /// insists on, stays empty.
    pub(super) fn families(self, schema: &[TableSpec]) -> Vec<ColumnFamilyDescriptor> {
        let cache = Cache::new_lru_cache(self.block_cache_bytes);
        schema
            .iter()
            .map(|spec| ColumnFamilyDescriptor::new(spec.name, self.family(spec, &cache)))
            .collect()
    }

    fn family(self, spec: &TableSpec, cache: &Cache) -> Options {
        let mut blocks = BlockBasedOptions::default();
        blocks.set_block_cache(cache);
        if spec.runs {
            blocks.set_block_size(RUN_BLOCK_BYTES);
        }
        // Version 6 mixes a block's place into its checksum: a block read from the wrong place
        // is found.
        blocks.set_format_version(6);
        // Indexes and filters count against the cache, so that memory has one bound; those of
        // the newest files, asked by every get, stay.
        blocks.set_cache_index_and_filter_blocks(true);
        blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
        if spec.point_reads {
            // 10 bits per key: one in a hundred absent keys costs a read.
            blocks.set_bloom_filter(10.0, false);
            blocks.set_whole_key_filtering(true);
        }

        let mut options = Options::default();
        options.set_block_based_table_factory(&blocks);
        // The bound for all tables together, in `database`, decides; this must not come first.
        options.set_write_buffer_size(self.write_buffer_bytes);
        options.set_max_write_buffer_number(4);
        let fast = if spec.cold {
            DBCompressionType::Zstd
        } else {
            DBCompressionType::Lz4
        };
        options.set_compression_type(fast);
        // Nine tenths of a table rest in its last level, rewritten seldom.
        options.set_bottommost_compression_type(DBCompressionType::Zstd);
        if spec.blobs {
            options.set_enable_blob_files(true);
            options.set_min_blob_size(BLOB_BYTES_MIN);
            options.set_blob_compression_type(fast);
            options.set_enable_blob_gc(true);
            options.set_blob_cache(cache);
        }
        options
    }
}
