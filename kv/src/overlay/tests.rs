//! The overlay as a store: batches go to layers of memory, and now and then the oldest layer is
//! written down to the store below.

use std::sync::Arc;

use parking_lot::RwLock;
use quickcheck::quickcheck;

use super::*;
use crate::conformance::{self, Op};
use crate::{ErrorKind, MemStore, Store};

/// Layers over a [`MemStore`]; `plan` says, two bits per batch, how the batches are split.
#[derive(Debug)]
struct Layered {
    base: MemStore,
    layers: RwLock<Vec<Arc<MemLayer>>>,
    plan: RwLock<u64>,
}

impl Layered {
    fn new(plan: u64) -> Self {
        let base = MemStore::new(conformance::SCHEMA);
        Self {
            base,
            layers: RwLock::default(),
            plan: RwLock::new(plan),
        }
    }

    fn view(&self) -> View<'_> {
        let layers = self.layers.read();
        View {
            layers: layers.clone(),
            base: self.base.snapshot().unwrap(),
        }
    }
}

struct View<'a> {
    layers: Vec<Arc<MemLayer>>,
    base: Box<dyn Read + 'a>,
}

impl View<'_> {
    fn overlay(&self) -> Overlay<'_, Arc<MemLayer>> {
        Overlay {
            layers: &self.layers,
            base: &*self.base,
        }
    }
}

impl Read for View<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, Error> {
        self.overlay().get(table, key)
    }
    fn multi_get(&self, table: Table, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, Error> {
        self.overlay().multi_get(table, keys)
    }
    fn cursor<'a>(&'a self, table: Table, range: &KeyRange) -> Result<Box<dyn Cursor + 'a>, Error> {
        self.overlay().into_cursor(table, range)
    }
    fn last(&self, table: Table, range: &KeyRange) -> Result<Option<(Bytes, Bytes)>, Error> {
        self.overlay().last(table, range)
    }
}

/// A cursor that owns the rows it shows, since a [`View`] made on the spot does not outlive the
/// call.
struct Listed(Vec<(Bytes, Bytes)>);

impl Cursor for Listed {
    fn entry(&self) -> Option<(&[u8], &[u8])> {
        self.0
            .first()
            .map(|(key, value)| (key.as_ref(), value.as_ref()))
    }
    fn advance(&mut self) -> Result<(), Error> {
        self.0.drain(..self.0.len().min(1));
        Ok(())
    }
    fn seek(&mut self, key: &[u8]) -> Result<(), Error> {
        self.0.retain(|(at, _)| at.as_ref() >= key);
        Ok(())
    }
}

impl Read for Layered {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, Error> {
        self.view().get(table, key)
    }
    fn multi_get(&self, table: Table, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, Error> {
        self.view().multi_get(table, keys)
    }
    fn cursor<'a>(&'a self, table: Table, range: &KeyRange) -> Result<Box<dyn Cursor + 'a>, Error> {
        let view = self.view();
        let mut cursor = view.cursor(table, range)?;
        let mut rows = Vec::new();
        while let Some((key, value)) = cursor.entry() {
            rows.push((Bytes::copy_from_slice(key), Bytes::copy_from_slice(value)));
            cursor.advance()?;
        }
        Ok(Box::new(Listed(rows)))
    }
    fn last(&self, table: Table, range: &KeyRange) -> Result<Option<(Bytes, Bytes)>, Error> {
        self.view().last(table, range)
    }
}

impl Store for Layered {
    fn snapshot(&self) -> Result<Box<dyn Read + '_>, Error> {
        Ok(Box::new(self.view()))
    }

    fn apply(&self, batch: &Batch) -> Result<(), Error> {
        crate::check_batch(conformance::SCHEMA, batch)?;
        let mut layers = self.layers.write();
        let mut plan = self.plan.write();
        let (new_layer, write_down) = (*plan & 1 == 1, *plan & 2 == 2);
        *plan = plan.rotate_right(2);
        if new_layer || layers.is_empty() {
            layers.insert(0, Arc::default());
        }
        Arc::make_mut(&mut layers[0]).apply(batch);
        if write_down && let Some(oldest) = layers.pop() {
            let mut down = Batch::new();
            for (table, key, value) in oldest.iter() {
                match value {
                    Some(value) => down.put(table, key.to_vec(), value.to_vec()),
                    None => down.delete(table, key.to_vec()),
                }
            }
            self.base.apply(&down)?;
        }
        Ok(())
    }

    fn copy_to(&self, _: &std::path::Path) -> Result<bool, Error> {
        Ok(false)
    }

    fn flush(&self) -> Result<(), Error> {
        self.base.flush()
    }

    fn purge(&self, table: Table, range: &KeyRange) -> Result<(), Error> {
        self.base.purge(table, range)
    }

    fn disk_bytes(&self) -> Result<u64, Error> {
        self.base.disk_bytes()
    }
}

#[test]
fn conforms_however_the_batches_are_split() {
    // All in one layer; a layer each; all written down; two mixtures.
    for plan in [
        0,
        0x5555_5555_5555_5555,
        u64::MAX,
        0x1B1B_2D78_87D2_E4B1,
        0x9000_0400_1020_0801,
    ] {
        conformance::all(&|| Box::new(Layered::new(plan)));
    }
}

quickcheck! {
    fn equals_the_model(plan: u64, ops: Vec<Op>) -> Result<(), String> {
        conformance::model(&Layered::new(plan), &ops)
    }
}

#[test]
fn layer_counts_what_it_holds() {
    let mut layer = MemLayer::new();
    let mut batch = Batch::new();
    batch.put(Table(3), "key", "value");
    batch.put(Table(3), "key", "v");
    batch.delete(Table(0), "gone");
    layer.apply(&batch);
    assert_eq!(
        (layer.len(), layer.len_bytes(), layer.is_empty()),
        (2, 8, false)
    );
    let tables: Vec<_> = layer.iter().map(|(table, ..)| table).collect();
    assert_eq!(tables, [Table(0), Table(3)]);
    layer.clear();
    assert_eq!(
        (layer.len(), layer.len_bytes(), layer.is_empty()),
        (0, 0, true)
    );
}

/// A base whose cursors fail after the first entry.
struct Failing;

impl Failing {
    fn error() -> Error {
        Error::new(ErrorKind::Corrupt, "test", "failed")
    }
}

impl Cursor for Failing {
    fn entry(&self) -> Option<(&[u8], &[u8])> {
        Some((b"b", b""))
    }
    fn advance(&mut self) -> Result<(), Error> {
        Err(Self::error())
    }
    fn seek(&mut self, _: &[u8]) -> Result<(), Error> {
        Err(Self::error())
    }
}

impl Read for Failing {
    fn get(&self, _: Table, _: &[u8]) -> Result<Option<Bytes>, Error> {
        Err(Self::error())
    }
    fn multi_get(&self, _: Table, _: &[&[u8]]) -> Result<Vec<Option<Bytes>>, Error> {
        Err(Self::error())
    }
    fn cursor<'a>(&'a self, _: Table, _: &KeyRange) -> Result<Box<dyn Cursor + 'a>, Error> {
        Ok(Box::new(Self))
    }
    fn last(&self, _: Table, _: &KeyRange) -> Result<Option<(Bytes, Bytes)>, Error> {
        Err(Self::error())
    }
}

#[test]
fn error_of_the_base_is_never_the_end_of_the_data() {
    let mut layer = MemLayer::new();
    let mut batch = Batch::new();
    batch.put(Table(0), "a", "1");
    batch.put(Table(0), "c", "2");
    layer.apply(&batch);
    let overlay = Overlay {
        layers: &[&layer],
        base: &Failing,
    };

    let mut cursor = overlay.cursor(Table(0), &KeyRange::all()).unwrap();
    assert_eq!(cursor.entry().unwrap().0, b"a");
    cursor.advance().unwrap();
    assert_eq!(cursor.entry().unwrap().0, b"b");
    for _ in 0..2 {
        assert_eq!(cursor.advance(), Err(Failing::error()));
        assert_eq!(cursor.entry(), None);
    }
    assert_eq!(cursor.seek(b"c"), Err(Failing::error()));

    assert_eq!(
        overlay.get(Table(0), b"a").unwrap().as_deref(),
        Some(&b"1"[..])
    );
    assert_eq!(overlay.get(Table(0), b"x"), Err(Failing::error()));
    assert_eq!(
        overlay.last(Table(0), &KeyRange::all()),
        Err(Failing::error())
    );
}
