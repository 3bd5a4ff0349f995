//! Random operations on a store and on an ordered map, compared at every step.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::Bound;

use quickcheck::{Arbitrary, Gen};

use super::SCHEMA;
use crate::{Batch, Error, KeyRange, Read, Store, Table};

/// One operation of [`model()`]; quickcheck makes and shrinks lists of them.
#[derive(Clone, Debug)]
pub enum Op {
    /// Apply a batch: table, key, value or deletion.
    Apply(Vec<(Table, Vec<u8>, Option<Vec<u8>>)>),
    /// Flush.
    Flush,
    /// Keep a snapshot; all later reads are also made on it.
    Snapshot,
    /// Drop the oldest snapshot kept.
    Drop,
    /// Read keys one by one and together.
    Get(Table, Vec<Vec<u8>>),
    /// Scan a range, taking these steps and then the rest.
    Scan(Table, KeyRange, Vec<Step>),
    /// Read the last entry of a range.
    Last(Table, KeyRange),
}

/// One move of a cursor.
#[derive(Clone, Debug)]
pub enum Step {
    /// To the next entry.
    Advance,
    /// Forward to this key.
    Seek(Vec<u8>),
}

fn table(g: &mut Gen) -> Table {
    Table(u8::arbitrary(g) % u8::try_from(SCHEMA.len()).unwrap_or(1))
}

/// A key from so few that operations meet: up to three bytes, edge values among them.
fn key(g: &mut Gen) -> Vec<u8> {
    let len = u8::arbitrary(g) % 4;
    (0..len)
        .map(|_| *g.choose(&[0x00, 0x01, 0x61, 0xFE, 0xFF]).unwrap_or(&0))
        .collect()
}

fn value(g: &mut Gen) -> Option<Vec<u8>> {
    match u8::arbitrary(g) % 10 {
        0..3 => None,
        3 => Some(Vec::new()),
        // Beyond the blob limit.
        4 => Some(vec![u8::arbitrary(g); 5_000]),
        _ => Some(vec![u8::arbitrary(g), u8::arbitrary(g)]),
    }
}

fn range(g: &mut Gen) -> KeyRange {
    match u8::arbitrary(g) % 5 {
        0 => KeyRange::all(),
        1 => KeyRange::prefix(&key(g)),
        2 => KeyRange::starting_at(key(g)),
        _ => KeyRange::new(key(g), key(g)),
    }
}

fn list<T>(g: &mut Gen, len_max: u8, mut item: impl FnMut(&mut Gen) -> T) -> Vec<T> {
    (0..u8::arbitrary(g) % (len_max + 1))
        .map(|_| item(g))
        .collect()
}

impl Arbitrary for Op {
    fn arbitrary(g: &mut Gen) -> Self {
        match u8::arbitrary(g) % 16 {
            0..6 => Self::Apply(list(g, 12, |g| (table(g), key(g), value(g)))),
            6 => Self::Flush,
            7 => Self::Snapshot,
            8 => Self::Drop,
            9..11 => Self::Get(table(g), list(g, 6, key)),
            11..14 => Self::Scan(table(g), range(g), list(g, 6, Step::arbitrary)),
            _ => Self::Last(table(g), range(g)),
        }
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Self>> {
        match self {
            Self::Apply(rows) if !rows.is_empty() => {
                let rows = rows.clone();
                Box::new((0..rows.len()).map(move |gone| {
                    let mut fewer = rows.clone();
                    fewer.remove(gone);
                    Self::Apply(fewer)
                }))
            }
            _ => quickcheck::empty_shrinker(),
        }
    }
}

impl Arbitrary for Step {
    fn arbitrary(g: &mut Gen) -> Self {
        if bool::arbitrary(g) {
            Self::Advance
        } else {
            Self::Seek(key(g))
        }
    }
}

type Map = BTreeMap<(Table, Vec<u8>), Vec<u8>>;
type Entry = Option<(Vec<u8>, Vec<u8>)>;

/// Carries out `ops` on `store`, which must be empty and have the tables of
/// [`SCHEMA`], and on an ordered map; compares all answers, also of snapshots.
///
/// # Errors
///
/// A sentence that names the first difference, or the error of the store.
pub fn model(store: &dyn Store, ops: &[Op]) -> Result<(), String> {
    run(store, ops).map_err(|difference| match difference {
        Difference::Answer(text) => text,
        Difference::Failed(error) => format!("the store failed: {error}"),
    })
}

enum Difference {
    Answer(String),
    Failed(Error),
}

impl From<Error> for Difference {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

fn same<T: PartialEq + Debug>(what: &dyn Debug, got: &T, expected: &T) -> Result<(), Difference> {
    if got == expected {
        return Ok(());
    }
    Err(Difference::Answer(format!(
        "{what:?}: got {got:?}, expected {expected:?}"
    )))
}

fn run(store: &dyn Store, ops: &[Op]) -> Result<(), Difference> {
    let mut map = Map::new();
    let mut snapshots: Vec<(Box<dyn Read + '_>, Map)> = Vec::new();
    for op in ops {
        match op {
            Op::Apply(rows) => {
                let mut batch = Batch::new();
                for (table, key, value) in rows {
                    if let Some(value) = value {
                        batch.put(*table, key.clone(), value.clone());
                        map.insert((*table, key.clone()), value.clone());
                    } else {
                        batch.delete(*table, key.clone());
                        map.remove(&(*table, key.clone()));
                    }
                }
                store.apply(&batch)?;
            }
            Op::Flush => store.flush()?,
            Op::Snapshot => snapshots.push((store.snapshot()?, map.clone())),
            Op::Drop if snapshots.is_empty() => {}
            Op::Drop => drop(snapshots.remove(0)),
            Op::Get(..) | Op::Scan(..) | Op::Last(..) => {
                compare(store, &map, op)?;
                for (snapshot, then) in &snapshots {
                    compare(&**snapshot, then, op)?;
                }
            }
        }
    }
    // Whatever the operations looked at, in the end everything is compared once.
    snapshots.push((store.snapshot()?, map.clone()));
    for (snapshot, then) in &snapshots {
        for index in (0..).take(SCHEMA.len()) {
            compare(
                &**snapshot,
                then,
                &Op::Scan(Table(index), KeyRange::all(), Vec::new()),
            )?;
        }
    }
    Ok(())
}

fn compare(read: &dyn Read, map: &Map, op: &Op) -> Result<(), Difference> {
    match op {
        Op::Get(table, keys) => {
            let expected: Vec<_> = keys
                .iter()
                .map(|key| map.get(&(*table, key.clone())).cloned())
                .collect();
            let slices: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
            let many = read.multi_get(*table, &slices)?;
            let many = many.into_iter().map(|value| value.map(Vec::from)).collect();
            same(op, &many, &expected)?;
            for (key, value) in slices.iter().zip(&expected) {
                same(op, &read.get(*table, key)?.map(Vec::from), value)?;
            }
        }
        Op::Scan(table, range, steps) => scan(read, &rows(map, *table, range), op, steps)?,
        Op::Last(table, range) => {
            let last = read.last(*table, range)?;
            let last: Entry = last.map(|(key, value)| (key.into(), value.into()));
            same(op, &last, &rows(map, *table, range).pop())?;
        }
        Op::Apply(_) | Op::Flush | Op::Snapshot | Op::Drop => {}
    }
    Ok(())
}

fn rows(map: &Map, table: Table, range: &KeyRange) -> Vec<(Vec<u8>, Vec<u8>)> {
    map.range((Bound::Included((table, Vec::new())), Bound::Unbounded))
        .filter(|((at, key), _)| *at == table && range.contains(key))
        .map(|((_, key), value)| (key.clone(), value.clone()))
        .collect()
}

fn scan(
    read: &dyn Read,
    rows: &[(Vec<u8>, Vec<u8>)],
    op: &Op,
    steps: &[Step],
) -> Result<(), Difference> {
    let Op::Scan(table, range, _) = op else {
        return Ok(());
    };
    let mut cursor = read.cursor(*table, range)?;
    let mut at = 0;
    let rest = std::iter::repeat_n(&Step::Advance, rows.len() + 1);
    for step in steps.iter().chain(rest) {
        let entry: Entry = cursor
            .entry()
            .map(|(key, value)| (key.to_vec(), value.to_vec()));
        same(op, &entry, &rows.get(at).cloned())?;
        match step {
            Step::Advance => {
                cursor.advance()?;
                at += 1;
            }
            Step::Seek(key) => {
                cursor.seek(key)?;
                at = at.max(rows.partition_point(|(row, _)| row < key));
            }
        }
    }
    let end: Entry = cursor
        .entry()
        .map(|(key, value)| (key.to_vec(), value.to_vec()));
    same(op, &end, &None)
}
