//! A store in memory.
//!
//! # Invariants
//!
//! * A table's leaves are never empty and hold at most [`LEAF_ROWS_MAX`] rows.
//! * Keys rise strictly within a leaf and from leaf to leaf.
//! * A table reachable from a snapshot or a cursor is never changed: writers copy the list of
//!   leaves and the leaves they touch, and share the rest.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::RwLock;

use crate::{Batch, Cursor, Error, KeyRange, Read, Store, Table, TableSpec, check_batch, spec_of};

/// Rows in a leaf: few, so that copying one for a write is cheap; enough, so that the list of
/// leaves, copied once per snapshot and written table, stays short.
const LEAF_ROWS_MAX: usize = 128;

/// A store in memory, gone when dropped; flushing it does nothing.
///
/// # Cost
///
/// A read or write takes O(log n). The first write to a table after a snapshot or cursor was
/// made, if that is still alive, copies one pointer per 64 to 128 rows of the table.
#[derive(Debug)]
pub struct MemStore {
    schema: &'static [TableSpec],
    tables: RwLock<Vec<Arc<Rows>>>,
}

impl MemStore {
    /// An empty store with the tables of `schema`.
    pub fn new(schema: &'static [TableSpec]) -> Self {
        let tables = schema.iter().map(|_| Arc::default()).collect();
        Self {
            schema,
            tables: RwLock::new(tables),
        }
    }

    /// The rows of `table` as they stand now.
    fn rows(&self, table: Table, operation: &'static str) -> Result<Arc<Rows>, Error> {
        spec_of(self.schema, table, operation)?;
        Ok(Arc::clone(&self.tables.read()[usize::from(table.0)]))
    }
}

impl Read for MemStore {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, Error> {
        spec_of(self.schema, table, "get")?;
        Ok(self.tables.read()[usize::from(table.0)].get(key))
    }

    fn multi_get(&self, table: Table, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, Error> {
        let rows = self.rows(table, "multi_get")?;
        Ok(keys.iter().map(|key| rows.get(key)).collect())
    }

    fn cursor<'a>(&'a self, table: Table, range: &KeyRange) -> Result<Box<dyn Cursor + 'a>, Error> {
        Ok(Box::new(MemCursor::new(self.rows(table, "cursor")?, range)))
    }

    fn last(&self, table: Table, range: &KeyRange) -> Result<Option<(Bytes, Bytes)>, Error> {
        Ok(self.rows(table, "last")?.last(range))
    }

    fn cuts(&self, table: Table, parts: usize) -> Result<Vec<Vec<u8>>, Error> {
        let rows = self.rows(table, "cuts")?;
        let each = rows.leaves.len().div_ceil(parts.max(1)).max(1);
        let firsts = rows.leaves.iter().step_by(each).skip(1);
        Ok(firsts
            .filter_map(|leaf| leaf.first())
            .map(|(key, _)| key.to_vec())
            .collect())
    }
}

impl Store for MemStore {
    fn snapshot(&self) -> Result<Box<dyn Read + '_>, Error> {
        // A store of its own: sharing all leaves, it costs one pointer per table.
        Ok(Box::new(Self {
            schema: self.schema,
            tables: RwLock::new(self.tables.read().clone()),
        }))
    }

    fn apply(&self, batch: &Batch) -> Result<(), Error> {
        check_batch(self.schema, batch)?;
        let mut tables = self.tables.write();
        for (table, key, value) in batch {
            let rows = Arc::make_mut(&mut tables[usize::from(table.0)]);
            match value {
                Some(value) => rows.insert(key, value),
                None => rows.remove(key),
            }
        }
        Ok(())
    }

    fn flush(&self) -> Result<(), Error> {
        Ok(())
    }

    fn purge(&self, table: Table, _: &KeyRange) -> Result<(), Error> {
        spec_of(self.schema, table, "purge").map(drop)
    }

    fn copy_to(&self, _: &Path) -> Result<bool, Error> {
        Ok(false)
    }

    fn disk_bytes(&self) -> Result<u64, Error> {
        Ok(0)
    }
}

type Leaf = Vec<(Bytes, Bytes)>;

/// Place of a row: index of its leaf, index in the leaf. The end is `(number of leaves, 0)`.
type Place = (usize, usize);

/// The rows of a table in key order.
#[derive(Clone, Debug, Default)]
struct Rows {
    leaves: Vec<Arc<Leaf>>,
}

impl Rows {
    /// The leaf that holds `key` if any does.
    fn leaf_of(&self, key: &[u8]) -> usize {
        let above = |leaf: &Arc<Leaf>| leaf.first().is_some_and(|(first, _)| *first <= *key);
        self.leaves.partition_point(above).saturating_sub(1)
    }

    /// Where in its leaf `key` is, or would be.
    fn slot_of(leaf: &Leaf, key: &[u8]) -> Result<usize, usize> {
        leaf.binary_search_by(|(at, _)| at.as_ref().cmp(key))
    }

    /// The first row at or after `key`.
    fn place_of(&self, key: &[u8]) -> Place {
        let at = self.leaf_of(key);
        let Some(leaf) = self.leaves.get(at) else {
            return (0, 0);
        };
        let slot = Self::slot_of(leaf, key).unwrap_or_else(|slot| slot);
        if slot < leaf.len() {
            (at, slot)
        } else {
            (at + 1, 0)
        }
    }

    fn bounds(&self, range: &KeyRange) -> (Place, Place) {
        let end = match &range.end {
            Some(end) => self.place_of(end),
            None => (self.leaves.len(), 0),
        };
        (self.place_of(&range.start), end)
    }

    fn get(&self, key: &[u8]) -> Option<Bytes> {
        let leaf = self.leaves.get(self.leaf_of(key))?;
        let slot = Self::slot_of(leaf, key).ok()?;
        Some(leaf[slot].1.clone())
    }

    fn last(&self, range: &KeyRange) -> Option<(Bytes, Bytes)> {
        let (start, end) = self.bounds(range);
        if start >= end {
            return None;
        }
        let (leaf, slot) = end;
        let row = match slot.checked_sub(1) {
            Some(before) => self.leaves.get(leaf)?.get(before),
            None => self.leaves.get(leaf.checked_sub(1)?)?.last(),
        };
        row.cloned()
    }

    fn insert(&mut self, key: &Bytes, value: &Bytes) {
        let at = self.leaf_of(key);
        let Some(shared) = self.leaves.get_mut(at) else {
            self.leaves
                .push(Arc::new(vec![(key.clone(), value.clone())]));
            return;
        };
        let leaf = Arc::make_mut(shared);
        match Self::slot_of(leaf, key) {
            Ok(slot) => leaf[slot].1 = value.clone(),
            Err(slot) => leaf.insert(slot, (key.clone(), value.clone())),
        }
        if leaf.len() > LEAF_ROWS_MAX {
            let upper = leaf.split_off(leaf.len() / 2);
            self.leaves.insert(at + 1, Arc::new(upper));
        }
    }

    fn remove(&mut self, key: &[u8]) {
        let at = self.leaf_of(key);
        let Some(shared) = self.leaves.get_mut(at) else {
            return;
        };
        // Looked up before the leaf is made our own: removing nothing copies nothing.
        let Ok(slot) = Self::slot_of(shared, key) else {
            return;
        };
        let leaf = Arc::make_mut(shared);
        leaf.remove(slot);
        if leaf.is_empty() {
            self.leaves.remove(at);
        }
    }

    #[cfg(test)]
    fn check_invariants(&self) {
        assert!(
            self.leaves
                .iter()
                .all(|leaf| !leaf.is_empty() && leaf.len() <= LEAF_ROWS_MAX)
        );
        let keys: Vec<_> = self
            .leaves
            .iter()
            .flat_map(|leaf| leaf.iter().map(|row| &row.0))
            .collect();
        assert!(keys.is_sorted_by(|a, b| a < b));
    }
}

#[derive(Debug)]
struct MemCursor {
    rows: Arc<Rows>,
    at: Place,
    end: Place,
}

impl MemCursor {
    fn new(rows: Arc<Rows>, range: &KeyRange) -> Self {
        let (at, end) = rows.bounds(range);
        Self { rows, at, end }
    }
}

impl Cursor for MemCursor {
    fn entry(&self) -> Option<(&[u8], &[u8])> {
        if self.at >= self.end {
            return None;
        }
        let (key, value) = self.rows.leaves.get(self.at.0)?.get(self.at.1)?;
        Some((key, value))
    }

    fn advance(&mut self) -> Result<(), Error> {
        if self.at < self.end {
            let (leaf, slot) = self.at;
            let len = self.rows.leaves.get(leaf).map_or(0, |leaf| leaf.len());
            self.at = if slot + 1 < len {
                (leaf, slot + 1)
            } else {
                (leaf + 1, 0)
            };
        }
        Ok(())
    }

    fn seek(&mut self, key: &[u8]) -> Result<(), Error> {
        self.at = self.at.max(self.rows.place_of(key));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use quickcheck::quickcheck;

    use super::*;
    use crate::conformance::{self, Op};

    #[test]
    fn conforms() {
        conformance::all(&|| Box::new(MemStore::new(conformance::SCHEMA)));
    }

    quickcheck! {
        fn equals_the_model(ops: Vec<Op>) -> Result<(), String> {
            conformance::model(&MemStore::new(conformance::SCHEMA), &ops)
        }

        // Enough rows to split leaves, enough removals to empty some.
        fn leaves_keep_their_invariants(puts: Vec<u16>, removals: Vec<u16>) -> bool {
            let mut rows = Rows::default();
            let mut model = std::collections::BTreeMap::new();
            for (put, near) in puts.iter().flat_map(|put| (0..5).map(move |near| (put, near))) {
                let key = put.wrapping_mul(7).wrapping_add(near).to_be_bytes();
                let key = Bytes::copy_from_slice(&key);
                rows.insert(&key, &key);
                model.insert(key.clone(), key);
            }
            rows.check_invariants();
            for removal in removals.iter().chain(&puts) {
                let key = removal.wrapping_mul(7).to_be_bytes();
                rows.remove(&key);
                model.remove(key.as_slice());
            }
            rows.check_invariants();
            rows.leaves.iter().flat_map(|leaf| leaf.iter().cloned()).eq(model)
        }
    }

    #[test]
    fn thousands_of_rows_in_any_order_stay_sorted_while_a_snapshot_lives() {
        let store = MemStore::new(conformance::SCHEMA);
        let empty = store.snapshot().unwrap();
        // 7919 is prime to 10,000: each number once, far from sorted.
        for i in 0_u32..10_000 {
            let mut batch = Batch::new();
            batch.put(Table(0), (i * 7919 % 10_000).to_be_bytes(), i.to_be_bytes());
            store.apply(&batch).unwrap();
        }
        let rows = store.rows(Table(0), "test").unwrap();
        rows.check_invariants();
        let mut cursor = store.cursor(Table(0), &KeyRange::all()).unwrap();
        for i in 0_u32..10_000 {
            assert_eq!(cursor.entry().unwrap().0, i.to_be_bytes());
            cursor.advance().unwrap();
        }
        assert!(cursor.entry().is_none());
        assert_eq!(empty.last(Table(0), &KeyRange::all()).unwrap(), None);

        let mut batch = Batch::new();
        for i in 0_u32..10_000 {
            batch.delete(Table(0), i.to_be_bytes());
        }
        store.apply(&batch).unwrap();
        assert!(store.rows(Table(0), "test").unwrap().leaves.is_empty());
    }
}
