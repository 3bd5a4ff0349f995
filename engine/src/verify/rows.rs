//! Running through a table past what cannot be read of it.

use blocknet_kv::{ErrorKind, KeyRange, Read, Table};

use crate::error::Result;

/// Keys are compared on this many bytes when looking for where reading works again.
const PROBE_LEN_BYTES: usize = 48;

/// A stretch of a table that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    /// The last key read before it; `None` at the start of the range.
    pub(crate) after: Option<Vec<u8>>,
    /// Where reading works again; `None` when nothing after it can be read.
    pub(crate) until: Option<Vec<u8>>,
    /// What the store says.
    pub(crate) error: String,
}

/// Takes the key and the value of an entry.
pub(crate) type OnRow<'a> = dyn FnMut(&[u8], &[u8]) -> Result<()> + 'a;

/// Hands `row` every entry of `range` that can be read, and `gap` each stretch that cannot.
///
/// # Errors
/// Only when the operating system fails.
pub(crate) fn each_row(
    read: &dyn Read,
    table: Table,
    range: &KeyRange,
    row: &mut OnRow<'_>,
    gap: &mut dyn FnMut(Gap),
) -> Result<()> {
    let mut range = range.clone();
    let mut last: Option<Vec<u8>> = None;
    loop {
        let failed = match read.sweep(table, &range) {
            Err(error) => error,
            Ok(mut cursor) => loop {
                let Some((row_key, value)) = cursor.entry() else {
                    return Ok(());
                };
                row(row_key, value)?;
                match &mut last {
                    Some(last) => {
                        last.clear();
                        last.extend_from_slice(row_key);
                    }
                    None => last = Some(row_key.to_vec()),
                }
                if let Err(error) = cursor.advance() {
                    break error;
                }
            },
        };
        if failed.kind() == ErrorKind::Io {
            return Err(failed.into());
        }
        let after = last.clone();
        // Nothing may have been read since the last gap.
        if let Some(last) = last.as_ref().filter(|last| **last >= range.start) {
            range.start.clone_from(last);
            range.start.push(0);
        }
        let until = readable_from(read, table, &range)?;
        gap(Gap {
            after,
            until: until.clone(),
            error: failed.to_string(),
        });
        match until {
            Some(until) => range.start = until,
            None => return Ok(()),
        }
    }
}

/// The first key of a range, on [`PROBE_LEN_BYTES`] bytes, from which reading works again: sought
/// at growing distances, so that a second damaged stretch farther on hides little.
fn readable_from(read: &dyn Read, table: Table, range: &KeyRange) -> Result<Option<Vec<u8>>> {
    let works = |start: &[u8]| -> Result<bool> {
        let range = KeyRange {
            start: start.to_vec(),
            end: range.end.clone(),
        };
        match read.cursor(table, &range) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::Io => Err(error.into()),
            Err(_) => Ok(false),
        }
    };
    let mut low = [0; PROBE_LEN_BYTES];
    for (byte, from) in low.iter_mut().zip(&range.start) {
        *byte = *from;
    }
    let mut high = None;
    for bit in 0..8 * PROBE_LEN_BYTES {
        let Some(probe) = plus_bit(&low, bit) else {
            break;
        };
        if works(&probe)? {
            high = Some(probe);
            break;
        }
    }
    let mut high = high.unwrap_or([0xff; PROBE_LEN_BYTES]);
    if !works(&high)? {
        return Ok(None);
    }
    // From the highest bit down: the greatest key from which reading still fails, plus one.
    for bit in (0..8 * PROBE_LEN_BYTES).rev() {
        if let Some(probe) = plus_bit(&low, bit)
            && probe < high
        {
            if works(&probe)? {
                high = probe;
            } else {
                low = probe;
            }
        }
    }
    Ok(Some(high.to_vec()))
}

/// A number plus a power of two; `None` when it runs over.
fn plus_bit(number: &[u8; PROBE_LEN_BYTES], bit: usize) -> Option<[u8; PROBE_LEN_BYTES]> {
    let mut sum = *number;
    let mut add = 1_u8 << (bit % 8);
    for byte in sum.iter_mut().rev().skip(bit / 8) {
        let (total, carry) = byte.overflowing_add(add);
        *byte = total;
        if !carry {
            return Some(sum);
        }
        add = 1;
    }
    None
}

#[cfg(test)]
#[expect(
    clippy::single_range_in_vec_init,
    reason = "lists of ranges, some of one"
)]
mod tests {
    use std::ops::Range;

    use blocknet_kv::{Batch, Bytes, Cursor, Error, MemStore, Store, TableSpec};

    use super::*;

    const SCHEMA: &[TableSpec] = &[TableSpec {
        name: "rows",
        cold: false,
        point_reads: false,
        runs: true,
        blobs: false,
    }];

    /// A store whose cursors fail where they come to a key of these ranges, as one does whose
    /// blocks are damaged.
    struct Flawed {
        store: MemStore,
        bad: Vec<Range<u32>>,
    }

    struct FlawedCursor<'a> {
        inner: Box<dyn Cursor + 'a>,
        bad: &'a [Range<u32>],
    }

    fn check(entry: Option<(&[u8], &[u8])>, bad: &[Range<u32>]) -> Result<(), Error> {
        let Some((row_key, _)) = entry else {
            return Ok(());
        };
        let number = u32::from_be_bytes(*row_key.first_chunk().unwrap());
        if bad.iter().any(|range| range.contains(&number)) {
            // The only way to an error of the store's own making.
            return Err(MemStore::new(SCHEMA).get(Table(9), b"").unwrap_err());
        }
        Ok(())
    }

    impl Cursor for FlawedCursor<'_> {
        fn entry(&self) -> Option<(&[u8], &[u8])> {
            self.inner.entry()
        }

        fn advance(&mut self) -> Result<(), Error> {
            self.inner.advance()?;
            check(self.inner.entry(), self.bad)
        }

        fn seek(&mut self, key: &[u8]) -> Result<(), Error> {
            self.inner.seek(key)?;
            check(self.inner.entry(), self.bad)
        }
    }

    impl Read for Flawed {
        fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, Error> {
            self.store.get(table, key)
        }

        fn multi_get(&self, table: Table, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, Error> {
            self.store.multi_get(table, keys)
        }

        fn cursor<'a>(
            &'a self,
            table: Table,
            range: &KeyRange,
        ) -> Result<Box<dyn Cursor + 'a>, Error> {
            let inner = self.store.cursor(table, range)?;
            check(inner.entry(), &self.bad)?;
            let bad = &self.bad;
            Ok(Box::new(FlawedCursor { inner, bad }))
        }

        fn last(&self, table: Table, range: &KeyRange) -> Result<Option<(Bytes, Bytes)>, Error> {
            self.store.last(table, range)
        }
    }

    fn read_past(bad: Vec<Range<u32>>) -> (Vec<u32>, Vec<Gap>) {
        let store = MemStore::new(SCHEMA);
        let mut batch = Batch::new();
        for number in 0_u32..100 {
            batch.put(Table(0), [&number.to_be_bytes()[..], b"tail"].concat(), "v");
        }
        store.apply(&batch).unwrap();
        let flawed = Flawed { store, bad };
        let (mut found, mut gaps) = (Vec::new(), Vec::new());
        each_row(
            &flawed,
            Table(0),
            &KeyRange::all(),
            &mut |row_key, _| {
                found.push(u32::from_be_bytes(*row_key.first_chunk().unwrap()));
                Ok(())
            },
            &mut |gap| gaps.push(gap),
        )
        .unwrap();
        (found, gaps)
    }

    #[test]
    fn every_row_outside_the_damage_is_read() {
        for bad in [
            vec![],
            vec![10..20],
            vec![0..5],
            vec![90..100],
            vec![10..12, 50..60],
        ] {
            let (found, gaps) = read_past(bad.clone());
            let expected: Vec<u32> = (0..100)
                .filter(|n| !bad.iter().any(|range| range.contains(n)))
                .collect();
            assert_eq!(found, expected, "{bad:?}");
            assert_eq!(gaps.len(), bad.len(), "{bad:?}");
        }
    }

    #[test]
    fn a_table_that_cannot_be_read_at_all_is_one_gap() {
        let (found, gaps) = read_past(vec![0..100]);
        assert!(found.is_empty());
        assert_eq!(gaps.len(), 1);
    }

    #[test]
    fn adding_a_bit_carries_and_runs_over() {
        let mut number = [0; PROBE_LEN_BYTES];
        number[PROBE_LEN_BYTES - 1] = 0xff;
        let sum = plus_bit(&number, 0).unwrap();
        assert_eq!(sum[PROBE_LEN_BYTES - 2..], [1, 0]);
        assert_eq!(plus_bit(&[0xff; PROBE_LEN_BYTES], 0), None);
        assert_eq!(
            plus_bit(&[0; PROBE_LEN_BYTES], 9).unwrap()[PROBE_LEN_BYTES - 2..],
            [2, 0]
        );
    }
}
