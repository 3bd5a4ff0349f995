//! Sorting more records than memory holds: sorted runs in temporary files, then a merge.

#![warn(clippy::indexing_slicing)]

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::vec;

use thiserror::Error;

/// Runs merged at once. Bounds open files and read buffers.
const RUNS_MAX: usize = 64;
/// What a record costs in memory besides its bytes: the struct, and the allocator's overhead.
const RECORD_OVERHEAD_BYTES: usize = size_of::<Record>() + 16;
const BUFFER_LEN_BYTES: usize = 32 * 1024;

/// A record: bytes under a key, with the number of its arrival.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What records are sorted by.
    pub key: i64,
    /// Counts records from 0 as they are pushed; orders those of equal keys.
    pub sequence: u64,
    /// Opaque.
    pub bytes: Vec<u8>,
}

/// Why sorting failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SortError {
    /// A temporary file could not be made, written or read; mostly a full disk.
    #[error("sorting: {operation} a temporary file in {}: {source}; free space there or name another directory", directory.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// Where temporary files are kept.
        directory: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A temporary file does not hold what was written to it.
    #[error("sorting: a temporary file in {} was changed or cut short; check the disk and try again", directory.display())]
    Damaged {
        /// Where temporary files are kept.
        directory: PathBuf,
    },
    /// A record of 4 GiB or more.
    #[error(
        "sorting: a record of {len_bytes} bytes; at most {} are supported",
        u32::MAX
    )]
    TooLong {
        /// The record's length.
        len_bytes: usize,
    },
}

/// Sorts records by key, those of equal keys in order of arrival.
///
/// Records are gathered in memory up to the budget, then written as a sorted run to a temporary
/// file without a name, which the system removes even after a crash.
///
/// ```
/// use blocknet_tools::input::Sorter;
///
/// let mut sorter = Sorter::new(64 << 20, std::env::temp_dir());
/// sorter.push(2, b"b".to_vec())?;
/// sorter.push(1, b"a".to_vec())?;
/// let keys: Vec<i64> = sorter.finish()?.map(|record| Ok(record?.key)).collect::<Result<_, _>>()?;
/// assert_eq!(keys, [1, 2]);
/// # Ok::<(), blocknet_tools::input::SortError>(())
/// ```
#[derive(Debug)]
pub struct Sorter {
    budget_bytes: usize,
    directory: PathBuf,
    records: Vec<Record>,
    held_bytes: usize,
    pushed: u64,
    /// Runs by how often their records have been merged, so that each record is merged a number of
    /// times logarithmic in the number of runs.
    levels: Vec<Vec<Run>>,
}

impl Sorter {
    /// A sorter.
    ///
    /// * `budget_bytes`: records held in memory, their overhead included. A single record above it
    ///   is taken all the same. The merge needs in addition one record and 32 KiB for each of at
    ///   most 64 runs.
    /// * `directory`: where temporary files go; about as much space as the records' bytes, twice
    ///   that during a merge of more than 64 runs.
    pub fn new(budget_bytes: usize, directory: impl Into<PathBuf>) -> Self {
        Self {
            budget_bytes,
            directory: directory.into(),
            records: Vec::new(),
            held_bytes: 0,
            pushed: 0,
            levels: Vec::new(),
        }
    }

    /// Adds a record.
    ///
    /// # Errors
    /// [`SortError::TooLong`]: nothing was added. [`SortError::Io`]: the sorter is of no more use.
    pub fn push(&mut self, key: i64, bytes: Vec<u8>) -> Result<(), SortError> {
        if u32::try_from(bytes.len()).is_err() {
            return Err(SortError::TooLong {
                len_bytes: bytes.len(),
            });
        }
        let cost = bytes.capacity().saturating_add(RECORD_OVERHEAD_BYTES);
        if !self.records.is_empty() && self.held_bytes.saturating_add(cost) > self.budget_bytes {
            self.spill()?;
        }
        self.held_bytes = self.held_bytes.saturating_add(cost);
        self.records.push(Record {
            key,
            sequence: self.pushed,
            bytes,
        });
        self.pushed += 1;
        Ok(())
    }

    /// The number of records pushed.
    pub fn len(&self) -> u64 {
        self.pushed
    }

    /// Whether no record was pushed.
    pub fn is_empty(&self) -> bool {
        self.pushed == 0
    }

    /// Ends the input and gives the records in order.
    ///
    /// # Errors
    /// [`SortError::Io`], [`SortError::Damaged`]: while merging runs.
    pub fn finish(mut self) -> Result<Sorted, SortError> {
        if self.levels.is_empty() {
            sort(&mut self.records);
            return Ok(Sorted(Source::Memory(self.records.into_iter())));
        }
        self.spill()?;
        let mut runs: Vec<Run> = self.levels.drain(..).flatten().collect();
        while runs.len() > RUNS_MAX {
            let rest = runs.split_off(RUNS_MAX);
            let merged = self.merge(runs)?;
            runs = rest;
            runs.push(merged);
        }
        Ok(Sorted(Source::Runs(Merge::new(runs, self.directory)?)))
    }

    /// Writes the held records as a run.
    fn spill(&mut self) -> Result<(), SortError> {
        sort(&mut self.records);
        self.held_bytes = 0;
        let records = self.records.drain(..).map(Ok);
        let mut run = Run::write(records, &self.directory)?;
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            let Some(runs) = self.levels.get_mut(level) else {
                break;
            };
            runs.push(run);
            if runs.len() < RUNS_MAX {
                break;
            }
            let full = std::mem::take(runs);
            run = self.merge(full)?;
        }
        Ok(())
    }

    fn merge(&self, runs: Vec<Run>) -> Result<Run, SortError> {
        Run::write(Merge::new(runs, self.directory.clone())?, &self.directory)
    }
}

fn sort(records: &mut [Record]) {
    records.sort_unstable_by_key(|record| (record.key, record.sequence));
}

fn io_error(
    operation: &'static str,
    directory: &Path,
) -> impl FnOnce(io::Error) -> SortError + use<> {
    let directory = directory.to_owned();
    move |source| SortError::Io {
        operation,
        directory,
        source,
    }
}

/// A temporary file of sorted records: key, sequence (8 bytes each), length (4), bytes.
#[derive(Debug)]
struct Run {
    file: BufReader<File>,
    records_left: u64,
}

impl Run {
    /// Writes records that come in order.
    fn write(
        records: impl Iterator<Item = Result<Record, SortError>>,
        directory: &Path,
    ) -> Result<Self, SortError> {
        let file = tempfile::tempfile_in(directory).map_err(io_error("creating", directory))?;
        let mut writer = BufWriter::with_capacity(BUFFER_LEN_BYTES, file);
        let mut records_left = 0;
        for record in records {
            let record = record?;
            let put = |writer: &mut BufWriter<File>| {
                let len = u32::try_from(record.bytes.len()).expect("`push` takes no longer record");
                writer.write_all(&record.key.to_le_bytes())?;
                writer.write_all(&record.sequence.to_le_bytes())?;
                writer.write_all(&len.to_le_bytes())?;
                writer.write_all(&record.bytes)
            };
            put(&mut writer).map_err(io_error("writing", directory))?;
            records_left += 1;
        }
        let mut file = writer
            .into_inner()
            .map_err(|error| io_error("writing", directory)(error.into_error()))?;
        file.rewind().map_err(io_error("rewinding", directory))?;
        Ok(Self {
            file: BufReader::with_capacity(BUFFER_LEN_BYTES, file),
            records_left,
        })
    }

    fn next(&mut self, directory: &Path) -> Result<Option<Record>, SortError> {
        let Some(records_left) = self.records_left.checked_sub(1) else {
            return Ok(None);
        };
        self.records_left = records_left;
        self.read().map(Some).map_err(|source| match source.kind() {
            io::ErrorKind::UnexpectedEof => SortError::Damaged {
                directory: directory.to_owned(),
            },
            _ => io_error("reading", directory)(source),
        })
    }

    fn read(&mut self) -> io::Result<Record> {
        let (mut key, mut sequence, mut len) = ([0; 8], [0; 8], [0; 4]);
        self.file.read_exact(&mut key)?;
        self.file.read_exact(&mut sequence)?;
        self.file.read_exact(&mut len)?;
        let len = u64::from(u32::from_le_bytes(len));
        // `take` and not a buffer of that length: the file may have been damaged.
        let mut bytes = Vec::new();
        if (&mut self.file).take(len).read_to_end(&mut bytes)? as u64 != len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Record {
            key: i64::from_le_bytes(key),
            sequence: u64::from_le_bytes(sequence),
            bytes,
        })
    }
}

/// Records in order, from [`Sorter::finish`]. After an error there are no more.
#[derive(Debug)]
pub struct Sorted(Source);

#[derive(Debug)]
enum Source {
    Memory(vec::IntoIter<Record>),
    Runs(Merge),
}

impl Iterator for Sorted {
    type Item = Result<Record, SortError>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Source::Memory(records) => records.next().map(Ok),
            Source::Runs(merge) => merge.next(),
        }
    }
}

/// A merge of runs by their next records.
#[derive(Debug)]
struct Merge {
    runs: Vec<Run>,
    heads: Vec<Option<Record>>,
    /// Key and sequence of each head, with its run; smallest on top.
    heap: BinaryHeap<Reverse<(i64, u64, usize)>>,
    directory: PathBuf,
}

impl Merge {
    fn new(runs: Vec<Run>, directory: PathBuf) -> Result<Self, SortError> {
        let heads = runs.iter().map(|_| None).collect();
        let mut merge = Self {
            runs,
            heads,
            heap: BinaryHeap::new(),
            directory,
        };
        for index in 0..merge.runs.len() {
            merge.advance(index)?;
        }
        Ok(merge)
    }

    /// Replaces the head of a run by its next record, and returns the old one.
    fn advance(&mut self, index: usize) -> Result<Option<Record>, SortError> {
        let (Some(run), Some(head)) = (self.runs.get_mut(index), self.heads.get_mut(index)) else {
            return Ok(None);
        };
        let next = run.next(&self.directory)?;
        if let Some(record) = &next {
            self.heap
                .push(Reverse((record.key, record.sequence, index)));
        }
        Ok(std::mem::replace(head, next))
    }
}

impl Iterator for Merge {
    type Item = Result<Record, SortError>;

    fn next(&mut self) -> Option<Self::Item> {
        let Reverse((_, _, index)) = self.heap.pop()?;
        let record = self.advance(index).transpose();
        if !matches!(record, Some(Ok(_))) {
            self.heap.clear();
        }
        record
    }
}

#[cfg(test)]
mod tests {
    use quickcheck::QuickCheck;

    use super::*;

    fn sorted(budget_bytes: usize, records: &[(i64, Vec<u8>)]) -> Vec<Record> {
        let mut sorter = Sorter::new(budget_bytes, std::env::temp_dir());
        for (key, bytes) in records {
            sorter.push(*key, bytes.clone()).unwrap();
        }
        assert_eq!(sorter.len(), records.len() as u64);
        assert_eq!(sorter.is_empty(), records.is_empty());
        sorter.finish().unwrap().collect::<Result<_, _>>().unwrap()
    }

    fn expected(records: &[(i64, Vec<u8>)]) -> Vec<Record> {
        let mut expected: Vec<Record> = (0..)
            .zip(records)
            .map(|(sequence, (key, bytes))| Record {
                key: *key,
                sequence,
                bytes: bytes.clone(),
            })
            .collect();
        expected.sort_by_key(|record| record.key);
        expected
    }

    #[test]
    fn sorts_like_a_stable_sort_in_memory_whatever_the_budget() {
        fn property(records: Vec<(i8, Vec<u8>)>, budget_bytes: u16) -> bool {
            let records: Vec<_> = records
                .into_iter()
                .map(|(key, bytes)| (i64::from(key % 4), bytes))
                .collect();
            sorted(usize::from(budget_bytes), &records) == expected(&records)
        }
        QuickCheck::new()
            .tests(200)
            .quickcheck(property as fn(Vec<(i8, Vec<u8>)>, u16) -> bool);
    }

    #[test]
    fn many_runs_are_merged_in_passes() {
        // One record per run: three levels of runs.
        let records: Vec<_> = (0..5000_i64)
            .map(|i| (i * 7919 % 1009, vec![0; 3]))
            .collect();
        assert_eq!(sorted(0, &records), expected(&records));
    }

    #[test]
    fn extreme_keys_and_empty_records_survive() {
        let records = [
            (i64::MAX, vec![]),
            (i64::MIN, vec![1]),
            (0, vec![]),
            (-1, vec![0; 100_000]),
        ];
        for budget in [0, 1 << 20] {
            assert_eq!(sorted(budget, &records), expected(&records));
            assert_eq!(sorted(budget, &[]), []);
        }
    }

    #[test]
    fn a_directory_that_is_not_there_is_named() {
        let mut sorter = Sorter::new(0, "no/such/directory");
        sorter.push(1, vec![]).unwrap();
        let error = sorter.push(2, vec![]).unwrap_err();
        assert!(error.to_string().contains("no/such/directory"), "{error}");
    }

    #[test]
    fn a_run_cut_short_is_an_error_and_the_end() {
        let mut sorter = Sorter::new(0, std::env::temp_dir());
        for key in 0..3 {
            sorter.push(key, vec![7; 100_000]).unwrap();
        }
        for run in &mut sorter.levels[0] {
            run.file.get_mut().set_len(50_000).unwrap();
        }
        assert!(matches!(sorter.finish(), Err(SortError::Damaged { .. })));
    }
}
