//! Writes in memory over another source of reads.

use std::borrow::Borrow;
use std::collections::{BTreeMap, btree_map};
use std::fmt;
use std::ops::Bound;

use bytes::Bytes;

use crate::{Batch, Cursor, Error, KeyRange, Read, Table};

type Rows = BTreeMap<Bytes, Option<Bytes>>;

/// Writes kept in memory, deletions included, to be laid over a store with [`Overlay`].
///
/// It has no schema: the store below says which tables there are.
#[derive(Clone, Debug, Default)]
pub struct MemLayer {
    /// By table; as long as the highest table written requires.
    tables: Vec<Rows>,
    len: usize,
    len_bytes: u64,
}

impl MemLayer {
    /// A layer without writes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes over the writes of `batch`; they win over earlier ones. The bytes are shared.
    pub fn apply(&mut self, batch: &Batch) {
        for (table, key, value) in batch {
            let index = usize::from(table.0);
            if self.tables.len() <= index {
                self.tables.resize_with(index + 1, Rows::new);
            }
            let value_len = |value: Option<&Bytes>| value.map_or(0, |bytes| bytes.len() as u64);
            self.len_bytes = self.len_bytes.saturating_add(value_len(value));
            if let Some(old) = self.tables[index].insert(key.clone(), value.cloned()) {
                self.len_bytes = self.len_bytes.saturating_sub(value_len(old.as_ref()));
            } else {
                self.len += 1;
                self.len_bytes = self.len_bytes.saturating_add(key.len() as u64);
            }
        }
    }

    /// Forgets all writes.
    pub fn clear(&mut self) {
        *self = Self::new();
    }

    /// Whether there are no writes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Number of keys written or deleted.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Bytes of the keys and values held; the memory taken is more by some 100 bytes per key.
    pub fn len_bytes(&self) -> u64 {
        self.len_bytes
    }

    /// The writes in order of table and key: the value, or `None` for a deletion.
    pub fn iter(&self) -> impl Iterator<Item = (Table, &Bytes, Option<&Bytes>)> {
        (0..=u8::MAX).zip(&self.tables).flat_map(|(index, rows)| {
            rows.iter()
                .map(move |(key, value)| (Table(index), key, value.as_ref()))
        })
    }

    fn rows(&self, table: Table) -> Option<&Rows> {
        self.tables
            .get(usize::from(table.0))
            .filter(|rows| !rows.is_empty())
    }
}

/// Layers of writes, newest first, over a source of reads that stays as it is.
///
/// A layer may be held by reference or by any pointer that borrows as one (`L` is `&MemLayer` or
/// `Arc<MemLayer>`).
///
/// # Cost
///
/// A get looks into each layer that has rows of the table and then at the base, and allocates
/// nothing of its own. A cursor compares one key per layer and step.
///
/// # Example
///
/// ```
/// use blocknet_kv::{Batch, MemLayer, MemStore, Overlay, Read, Store, Table, TableSpec};
/// # fn main() -> Result<(), blocknet_kv::Error> {
/// # const SCHEMA: &[TableSpec] =
/// #     &[TableSpec { name: "t", cold: false, point_reads: true, runs: false, blobs: false }];
/// let base = MemStore::new(SCHEMA);
/// let mut batch = Batch::new();
/// batch.put(Table(0), "key", "old");
/// base.apply(&batch)?;
///
/// let mut layer = MemLayer::new();
/// batch.clear();
/// batch.delete(Table(0), "key");
/// layer.apply(&batch);
/// let overlay = Overlay { layers: &[&layer], base: &base };
/// assert_eq!(overlay.get(Table(0), b"key")?, None);
/// # Ok(())
/// # }
/// ```
pub struct Overlay<'a, L = &'a MemLayer> {
    /// The layers, newest first.
    pub layers: &'a [L],
    /// What is read where no layer knows a key.
    pub base: &'a dyn Read,
}

impl<L> Clone for Overlay<'_, L> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<L> Copy for Overlay<'_, L> {}

impl<L> fmt::Debug for Overlay<'_, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Overlay")
            .field("layers", &self.layers.len())
            .finish_non_exhaustive()
    }
}

impl<'a, L: Borrow<MemLayer>> Overlay<'a, L> {
    /// As [`Read::cursor`], but outliving this value: the cursor borrows only from the layers
    /// and the base.
    ///
    /// # Errors
    ///
    /// Those of the base.
    pub fn into_cursor(
        self,
        table: Table,
        range: &KeyRange,
    ) -> Result<Box<dyn Cursor + 'a>, Error> {
        let base = self.base.cursor(table, range)?;
        if range.is_empty() {
            return Ok(base);
        }
        let layers: Vec<_> = self
            .rows(table)
            .map(|rows| LayerCursor::new(rows, range))
            .collect();
        if layers.is_empty() {
            return Ok(base);
        }
        let mut cursor = OverlayCursor {
            layers,
            base,
            current: Source::Base,
            failed: None,
        };
        cursor.settle()?;
        Ok(Box::new(cursor))
    }

    /// The layers' rows of `table`, newest first, without the empty ones.
    fn rows(self, table: Table) -> impl Iterator<Item = &'a Rows> {
        self.layers
            .iter()
            .filter_map(move |layer| layer.borrow().rows(table))
    }

    /// What the newest layer that knows `key` says of it: outer `None` if none does.
    fn find(self, table: Table, key: &[u8]) -> Option<&'a Option<Bytes>> {
        self.rows(table).find_map(|rows| rows.get(key))
    }
}

impl<L: Borrow<MemLayer> + Sync> Read for Overlay<'_, L> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, Error> {
        match self.find(table, key) {
            Some(value) => Ok(value.clone()),
            None => self.base.get(table, key),
        }
    }

    fn multi_get(&self, table: Table, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, Error> {
        let found: Vec<_> = keys.iter().map(|key| self.find(table, key)).collect();
        let unknown: Vec<&[u8]> = keys
            .iter()
            .zip(&found)
            .filter(|(_, hit)| hit.is_none())
            .map(|(key, _)| *key)
            .collect();
        let mut below = self.base.multi_get(table, &unknown)?.into_iter();
        Ok(found
            .into_iter()
            .map(|hit| match hit {
                Some(value) => value.clone(),
                None => below.next().flatten(),
            })
            .collect())
    }

    fn cursor<'a>(&'a self, table: Table, range: &KeyRange) -> Result<Box<dyn Cursor + 'a>, Error> {
        self.into_cursor(table, range)
    }

    fn last(&self, table: Table, range: &KeyRange) -> Result<Option<(Bytes, Bytes)>, Error> {
        // Each round that meets a deletion goes on below the deleted key.
        let mut range = range.clone();
        let mut below = self.base.last(table, &range)?;
        loop {
            if range.is_empty() {
                return Ok(None);
            }
            let greatest = self
                .rows(table)
                .filter_map(|rows| rows_in(rows, &range).next_back().map(|(key, _)| key))
                .max();
            let Some(key) = greatest else {
                return Ok(below);
            };
            if below.as_ref().is_some_and(|(base_key, _)| base_key > key) {
                return Ok(below);
            }
            if let Some(Some(value)) = self.find(table, key) {
                return Ok(Some((key.clone(), value.clone())));
            }
            range.end = Some(key.to_vec());
            if below.as_ref().is_some_and(|(base_key, _)| base_key == key) {
                below = self.base.last(table, &range)?;
            }
        }
    }
}

/// The rows in `range`, which must not be empty: the map panics at reversed bounds.
fn rows_in<'a>(rows: &'a Rows, range: &KeyRange) -> btree_map::Range<'a, Bytes, Option<Bytes>> {
    let end = range
        .end
        .as_deref()
        .map_or(Bound::Unbounded, Bound::Excluded);
    rows.range::<[u8], _>((Bound::Included(range.start.as_slice()), end))
}

/// One layer's part of a merged scan.
struct LayerCursor<'a> {
    rows: &'a Rows,
    range: KeyRange,
    rest: btree_map::Range<'a, Bytes, Option<Bytes>>,
    head: Option<(&'a Bytes, &'a Option<Bytes>)>,
}

impl<'a> LayerCursor<'a> {
    fn new(rows: &'a Rows, range: &KeyRange) -> Self {
        let mut rest = rows_in(rows, range);
        let head = rest.next();
        Self {
            rows,
            range: range.clone(),
            rest,
            head,
        }
    }

    fn advance(&mut self) {
        self.head = self.rest.next();
    }

    fn seek(&mut self, key: &[u8]) {
        match self.head {
            Some((at, _)) if **at < *key => {}
            _ => return,
        }
        if self.range.is_below_end(key) {
            self.range.start = key.to_vec();
            self.rest = rows_in(self.rows, &self.range);
            self.head = self.rest.next();
        } else {
            self.rest = btree_map::Range::default();
            self.head = None;
        }
    }
}

#[derive(Clone, Copy)]
enum Source {
    Base,
    Layer(usize),
}

/// Merges the layers and the base in key order.
///
/// # Invariants
///
/// * No source stands before the current key; those that hold it stand at it.
/// * `current` is the newest source at the least key, and not a deletion. At the end it is
///   `Base`, which then has no entry.
struct OverlayCursor<'a> {
    layers: Vec<LayerCursor<'a>>,
    base: Box<dyn Cursor + 'a>,
    current: Source,
    failed: Option<Error>,
}

impl OverlayCursor<'_> {
    /// Restores the second invariant after the sources have moved.
    fn settle(&mut self) -> Result<(), Error> {
        loop {
            let mut least = None;
            for (index, layer) in self.layers.iter().enumerate() {
                if let Some((key, value)) = layer.head
                    && least.is_none_or(|(_, best, _)| key < best)
                {
                    least = Some((index, key, value));
                }
            }
            self.current = Source::Base;
            let Some((index, key, value)) = least else {
                return Ok(());
            };
            if self
                .base
                .entry()
                .is_some_and(|(base_key, _)| *base_key < **key)
            {
                return Ok(());
            }
            if value.is_some() {
                self.current = Source::Layer(index);
                return Ok(());
            }
            self.pass(key)?;
        }
    }

    /// Moves every source that stands at `key` behind it.
    fn pass(&mut self, key: &[u8]) -> Result<(), Error> {
        for layer in &mut self.layers {
            if layer.head.is_some_and(|(at, _)| **at == *key) {
                layer.advance();
            }
        }
        if self.base.entry().is_some_and(|(at, _)| at == key) {
            self.base.advance()?;
        }
        Ok(())
    }

    fn step(&mut self) -> Result<(), Error> {
        match self.current {
            Source::Base => self.base.advance()?,
            Source::Layer(index) => {
                if let Some((key, _)) = self.layers[index].head {
                    self.pass(key)?;
                }
            }
        }
        self.settle()
    }

    fn skip_to(&mut self, key: &[u8]) -> Result<(), Error> {
        for layer in &mut self.layers {
            layer.seek(key);
        }
        self.base.seek(key)?;
        self.settle()
    }

    /// Runs one move and makes its failure last.
    fn run(&mut self, step: impl FnOnce(&mut Self) -> Result<(), Error>) -> Result<(), Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let moved = step(self);
        self.failed = moved.as_ref().err().cloned();
        moved
    }
}

impl Cursor for OverlayCursor<'_> {
    fn entry(&self) -> Option<(&[u8], &[u8])> {
        if self.failed.is_some() {
            return None;
        }
        match self.current {
            Source::Base => self.base.entry(),
            Source::Layer(index) => {
                let (key, value) = self.layers[index].head?;
                Some((key, value.as_deref()?))
            }
        }
    }

    fn advance(&mut self) -> Result<(), Error> {
        self.run(Self::step)
    }

    fn seek(&mut self, key: &[u8]) -> Result<(), Error> {
        if self.entry().is_some_and(|(at, _)| at >= key) {
            return Ok(());
        }
        self.run(|cursor| cursor.skip_to(key))
    }
}

#[cfg(test)]
mod tests;
