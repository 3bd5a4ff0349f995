//! Compares two multisets of rows that are met in different orders, in fixed memory.
//!
//! Each side adds a keyed 64-bit hash of every row to one of a fixed number of buckets, the journal
//! with one sign and the tables with the other. Equal sets cancel out; a bucket that does not is
//! looked through again, row by row. The key is drawn anew for every run, so that nobody can
//! prepare rows that cancel out though they differ; by chance it happens once in 2^64.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};

use super::area::{AreaBlocks, Filter};
use super::finding::Side;

const BUCKETS: usize = 1 << 12;

/// What kind of row: each kind is compared by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// A version, in `records` or `history`.
    Version,
    /// A closing row of `history`.
    Closing,
    /// A row of `tracks`, but its hull.
    Track,
    /// A row of `moments`.
    Moment,
    /// A row of `commits`.
    Commit,
    /// A row of `blocks`, but previous hash and genes.
    Block,
    /// What a block holds of a predecessor, by the rows of `blocks` and in `links`.
    Link,
    /// What the registry holds of a block, by the rows of `blocks` and in `edges`.
    Edge,
    /// The hash of one version of an entity, as it is and as what follows names it.
    Chain,
    /// A live head, in `records` and as its entity's head names it.
    Live,
    /// A row of `entities`, but the hash of its newest version.
    Head,
    /// Live heads in a zone: those that there are, and what its row counts.
    ZoneLive,
    /// Rows of the history in a zone.
    ZonePast,
    /// A payload erased, as the commit orders it and in a version's row.
    ErasedRow,
    /// A payload erased, as the commit orders it and in the frame of the version.
    ErasedFrame,
    /// That a version is lost, or its payload.
    Lost,
}

const CLASSES: usize = 16;

/// The keys that rows are hashed with in one run, and which of the rows are.
#[derive(Clone)]
pub(super) struct Keys<'a> {
    state: RandomState,
    /// Only rows of the blocks of an area.
    area: Option<&'a AreaBlocks<'a>>,
}

impl<'a> Keys<'a> {
    pub(super) fn new(area: Option<&'a AreaBlocks<'a>>) -> Self {
        Self {
            state: RandomState::new(),
            area,
        }
    }

    fn filter(&self) -> Option<Filter<'a>> {
        self.area.map(Filter::new)
    }

    fn hash_key(&self, key: &[u8]) -> (usize, impl Hasher + use<>) {
        let mut hasher = self.state.build_hasher();
        hasher.write_usize(key.len());
        hasher.write(key);
        let bucket = usize::try_from(hasher.finish() % BUCKETS as u64).unwrap_or(0);
        (bucket, hasher)
    }

    fn bucket(&self, key: &[u8]) -> usize {
        self.hash_key(key).0
    }

    /// The bucket of a row, and its hash.
    fn token(&self, key: &[u8], value: &[u8]) -> (usize, u64) {
        // The hash of the key may be asked and then continued.
        let (bucket, mut hasher) = self.hash_key(key);
        hasher.write(value);
        (bucket, hasher.finish())
    }
}

/// Where rows go: into sums, or, for the buckets that did not cancel out, into a list.
pub(super) trait Sink: Send {
    /// A row of `side`: `value` is all of it that both sides know.
    fn row(&mut self, side: Side, class: Class, key: &[u8], value: &[u8]);

    /// `count` things under a key, which come in parts: what counts is their sum.
    fn tally(&mut self, side: Side, class: Class, key: &[u8], count: u64);
}

#[derive(Clone, Copy, Default)]
struct Bucket {
    sum: u64,
    rows: u32,
}

/// The sums of one thread.
pub(super) struct Sums<'a> {
    keys: Keys<'a>,
    filter: Option<Filter<'a>>,
    buckets: Vec<Bucket>,
}

impl<'a> Sums<'a> {
    pub(super) fn new(keys: &Keys<'a>) -> Self {
        Self {
            keys: keys.clone(),
            filter: keys.filter(),
            buckets: vec![Bucket::default(); BUCKETS * CLASSES],
        }
    }

    pub(super) fn join(&mut self, other: &Self) {
        for (own, other) in self.buckets.iter_mut().zip(&other.buckets) {
            own.sum = own.sum.wrapping_add(other.sum);
            own.rows = own.rows.saturating_add(other.rows);
        }
    }

    /// The buckets that did not cancel out, in groups of about `rows_max` rows.
    pub(super) fn unequal(&self, rows_max: u64) -> Vec<Vec<bool>> {
        let mut groups = Vec::new();
        let mut group = vec![false; self.buckets.len()];
        let mut rows = 0;
        for (index, bucket) in self.buckets.iter().enumerate() {
            if bucket.sum == 0 {
                continue;
            }
            if rows > 0 && rows + u64::from(bucket.rows) > rows_max {
                groups.push(std::mem::replace(
                    &mut group,
                    vec![false; self.buckets.len()],
                ));
                rows = 0;
            }
            group[index] = true;
            rows += u64::from(bucket.rows);
        }
        if rows > 0 {
            groups.push(group);
        }
        groups
    }
}

fn takes(filter: &mut Option<Filter<'_>>, class: Class, key: &[u8]) -> bool {
    filter
        .as_mut()
        .is_none_or(|filter| filter.takes(class, key))
}

impl Sums<'_> {
    fn add(&mut self, side: Side, class: Class, bucket: usize, token: u64) {
        let token = match side {
            Side::Journal => token,
            Side::Tables => token.wrapping_neg(),
        };
        let bucket = &mut self.buckets[class as usize * BUCKETS + bucket];
        bucket.sum = bucket.sum.wrapping_add(token);
        bucket.rows = bucket.rows.saturating_add(1);
    }
}

impl Sink for Sums<'_> {
    fn row(&mut self, side: Side, class: Class, key: &[u8], value: &[u8]) {
        if !takes(&mut self.filter, class, key) {
            return;
        }
        let (bucket, token) = self.keys.token(key, value);
        self.add(side, class, bucket, token);
    }

    fn tally(&mut self, side: Side, class: Class, key: &[u8], count: u64) {
        if !takes(&mut self.filter, class, key) {
            return;
        }
        let (bucket, token) = self.keys.token(key, &[]);
        // Odd, so that no other count comes to the same.
        self.add(side, class, bucket, (token | 1).wrapping_mul(count));
    }
}

/// What each side has under one key: values, as often as they were met.
#[derive(Clone, Debug, Default)]
pub(super) struct Both {
    pub(super) journal: Vec<Vec<u8>>,
    pub(super) tables: Vec<Vec<u8>>,
}

/// The rows of some buckets.
pub(super) struct Listed<'a> {
    keys: Keys<'a>,
    filter: Option<Filter<'a>>,
    wanted: &'a [bool],
    pub(super) rows: BTreeMap<(Class, Vec<u8>), Both>,
}

impl<'a> Listed<'a> {
    pub(super) fn new(keys: &Keys<'a>, wanted: &'a [bool]) -> Self {
        Self {
            keys: keys.clone(),
            filter: keys.filter(),
            wanted,
            rows: BTreeMap::new(),
        }
    }

    pub(super) fn join(&mut self, other: Self) {
        for (key, mut both) in other.rows {
            let own = self.rows.entry(key).or_default();
            own.journal.append(&mut both.journal);
            own.tables.append(&mut both.tables);
        }
    }

    /// The keys under which the sides do not have the same.
    pub(super) fn differences(self) -> impl Iterator<Item = (Class, Vec<u8>, Both)> {
        self.rows
            .into_iter()
            .filter_map(|((class, key), mut both)| {
                if class.is_tally() {
                    both.journal = vec![tallied(&both.journal)];
                    both.tables = vec![tallied(&both.tables)];
                }
                both.journal.sort_unstable();
                both.tables.sort_unstable();
                (both.journal != both.tables).then_some((class, key, both))
            })
    }
}

fn tallied(counts: &[Vec<u8>]) -> Vec<u8> {
    let counts = counts.iter().filter_map(|count| count.first_chunk());
    let sum = counts.fold(0_u64, |sum, count| {
        sum.wrapping_add(u64::from_be_bytes(*count))
    });
    sum.to_be_bytes().to_vec()
}

impl Class {
    fn is_tally(self) -> bool {
        matches!(self, Self::ZoneLive | Self::ZonePast)
    }
}

impl Sink for Listed<'_> {
    fn tally(&mut self, side: Side, class: Class, key: &[u8], count: u64) {
        self.row(side, class, key, &count.to_be_bytes());
    }

    fn row(&mut self, side: Side, class: Class, key: &[u8], value: &[u8]) {
        if !self.wanted[class as usize * BUCKETS + self.keys.bucket(key)]
            || !takes(&mut self.filter, class, key)
        {
            return;
        }
        let both = self.rows.entry((class, key.to_vec())).or_default();
        match side {
            Side::Journal => both.journal.push(value.to_vec()),
            Side::Tables => both.tables.push(value.to_vec()),
        }
    }
}

#[cfg(test)]
mod tests {
    use quickcheck::quickcheck;

    use super::*;

    type Rows = Vec<(Vec<u8>, Vec<u8>)>;

    fn sums<'a>(keys: &Keys<'a>, journal: &Rows, tables: &Rows) -> Sums<'a> {
        let mut sums = Sums::new(keys);
        for (key, value) in journal {
            sums.row(Side::Journal, Class::Version, key, value);
        }
        for (key, value) in tables {
            sums.row(Side::Tables, Class::Version, key, value);
        }
        sums
    }

    quickcheck! {
        fn equal_sets_cancel_out_in_any_order(rows: Rows) -> bool {
            let keys = Keys::new(None);
            let turned = rows.iter().rev().cloned().collect();
            sums(&keys, &rows, &turned).unequal(1).is_empty()
        }

        fn what_differs_is_named(rows: Rows, other: (Vec<u8>, Vec<u8>), parts: u8) -> bool {
            let keys = Keys::new(None);
            let mut more = rows.clone();
            more.push(other.clone());
            // In two parts, as two threads would.
            let cut = usize::from(parts) % (rows.len() + 1);
            let mut all = sums(&keys, &rows[..cut].to_vec(), &more);
            all.join(&sums(&keys, &rows[cut..].to_vec(), &Rows::new()));
            let groups = all.unequal(1_000_000);
            let mut listed = Listed::new(&keys, &groups[0]);
            for (key, value) in &rows {
                listed.row(Side::Journal, Class::Version, key, value);
            }
            for (key, value) in &more {
                listed.row(Side::Tables, Class::Version, key, value);
            }
            let found: Vec<_> = listed.differences().collect();
            found.len() == 1
                && found[0].1 == other.0
                && found[0].2.tables.len() == found[0].2.journal.len() + 1
        }
    }

    #[test]
    fn a_value_that_differs_is_found_in_its_own_class() {
        let keys = Keys::new(None);
        let mut sums = Sums::new(&keys);
        sums.row(Side::Journal, Class::Block, b"k", b"1");
        sums.row(Side::Tables, Class::Block, b"k", b"2");
        sums.row(Side::Journal, Class::Track, b"k", b"1");
        sums.row(Side::Tables, Class::Track, b"k", b"1");
        let groups = sums.unequal(10);
        assert_eq!(groups.len(), 1);
        assert_eq!(groups[0].iter().filter(|wanted| **wanted).count(), 1);
    }
}
