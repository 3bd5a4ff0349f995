use super::*;
use crate::testing::{PLACE, Rng, hex, seeds};
use blocknet_kv::{Batch, Bytes, Cursor, KeyRange, MemStore, Store, Table};
use quickcheck::quickcheck;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

const ENTITY: &[u8] = &[0, 1, b'a', 0, 0];

fn moment(micros: i64) -> Moment {
    Moment::from_micros(micros)
}

fn interval(from: i64, to: i64) -> Interval {
    Interval {
        from: moment(from),
        to: moment(to),
    }
}

fn place() -> Place {
    let bytes = hex(PLACE);
    Place::of(bytes[0], &bytes[1..])
}

fn head() -> Head {
    Head {
        versions: 2,
        newest: Version {
            commit: 7,
            index: 3,
        },
        hash: Hash([0x22; 32]),
        from_max: moment(5),
        last: Some(Last {
            version: Version {
                commit: 6,
                index: 1,
            },
            place: place(),
            sole_from: moment(-4),
            to: Moment::MAX,
        }),
    }
}

#[test]
fn a_head_has_these_bytes() {
    let front = format!(
        "0200000000000000 0700000000000000 03000000 {} 0500000000000000",
        "22".repeat(32)
    );
    let last = format!("0600000000000000 01000000 fcffffffffffffff ffffffffffffff7f {PLACE}");
    let (front, whole) = (hex(&front), hex(&format!("{front}{last}")));
    let spec = NetSpec::city();
    assert_eq!(head().encode(), whole);
    assert_eq!(Head::decode(&whole, &spec), Ok(head()));
    // Without a last stretch the row ends before it.
    let without = Head {
        last: None,
        ..head()
    };
    assert_eq!(without.encode(), front);
    for cut in 0..whole.len() {
        let read = Head::decode(&whole[..cut], &spec);
        if cut == front.len() {
            assert_eq!(read, Ok(without));
        } else {
            assert!(read.is_err(), "cut at {cut}");
        }
    }
    let longer = [whole, vec![0]].concat();
    assert_eq!(
        Head::decode(&longer, &spec),
        Err(Fault::Trailing { bytes: 1 })
    );
}

#[test]
fn a_track_has_these_bytes() {
    let track = Track {
        ordinal: 4,
        version: Version {
            commit: 7,
            index: 3,
        },
        valid: interval(5, 9),
        flags: flag::FLOOR_KNOWN,
        place: place(),
        hull: Hull {
            from_min: moment(1),
            from_max: moment(5),
            to_max: Moment::MAX,
        },
    };
    let bytes = hex(&format!(
        "0700000000000000 03000000 0500000000000000 0900000000000000 4000
         0100000000000000 0500000000000000 ffffffffffffff7f {PLACE}"
    ));
    let spec = NetSpec::city();
    assert_eq!(track.encode(), bytes);
    assert_eq!(Track::decode(4, &bytes, &spec), Ok(track));
    assert!(track.altitude_known() && !track.is_absence());
    for cut in 0..bytes.len() {
        assert!(
            Track::decode(4, &bytes[..cut], &spec).is_err(),
            "cut at {cut}"
        );
    }
    let longer = [bytes, vec![0]].concat();
    assert_eq!(
        Track::decode(4, &longer, &spec),
        Err(Fault::Trailing { bytes: 1 })
    );
}

/// Writes the track rows of an entity whose versions have these intervals, two to a commit, as the
/// writer does, and returns its head.
fn write_path(store: &MemStore, intervals: &[Interval]) -> Head {
    let spec = NetSpec::city();
    let path = Path {
        read: store,
        spec: &spec,
        entity: ENTITY,
    };
    let mut head = Head::NEW;
    for (ordinal, valid) in (1..).zip(intervals) {
        let version = Version {
            commit: ordinal / 2 + 1,
            index: u32::from(ordinal % 2 == 1),
        };
        let track = Track {
            ordinal,
            version,
            valid: *valid,
            flags: 0,
            place: place(),
            hull: path.hull(ordinal, *valid).unwrap(),
        };
        let mut batch = Batch::new();
        batch.put(key::TRACKS, key::track(ENTITY, ordinal), track.encode());
        store.apply(&batch).unwrap();
        head.versions = ordinal;
        head.newest = version;
        head.from_max = head.from_max.max(valid.from);
    }
    head
}

/// Compares every question a path answers with a look through the whole list.
fn check_path(intervals: &[Interval]) {
    let store = MemStore::new(key::SCHEMA);
    let head = write_path(&store, intervals);
    let spec = NetSpec::city();
    let path = Path {
        read: &store,
        spec: &spec,
        entity: ENTITY,
    };
    let times: BTreeSet<i64> = intervals
        .iter()
        .flat_map(|valid| [valid.from, valid.to])
        .flat_map(|edge| (-1..=1).map(move |step| edge.as_micros().saturating_add(step)))
        .collect();
    let count = intervals.len();
    for known in 0..=count {
        // Of the first `known`, the last that speaks of a time answers.
        let naive = |time: Moment| {
            let first = &intervals[..known];
            first.iter().rposition(|valid| valid.contains(time))
        };
        let ordinal = |index: usize| index as u64 + 1;
        for time in &times {
            let found = path.at(known as u64, moment(*time)).unwrap();
            assert_eq!(
                found.map(|track| track.ordinal),
                naive(moment(*time)).map(ordinal),
                "{known} known, at {time}"
            );
        }
        let edges = [times.first(), times.last()].map(|time| time.copied().unwrap_or(0));
        let middle = times.iter().nth(times.len() / 2).copied().unwrap_or(0);
        for window in [
            Interval::ALL,
            interval(edges[0], edges[1]),
            interval(middle, edges[1]),
            interval(edges[0], middle),
            interval(middle, middle),
        ] {
            let timeline = path.timeline(known as u64, window).unwrap();
            for pair in timeline.windows(2) {
                assert!(pair[0].valid.to <= pair[1].valid.from);
                assert!(
                    pair[0].valid.to < pair[1].valid.from
                        || pair[0].track.ordinal != pair[1].track.ordinal,
                    "one stretch came as two"
                );
            }
            for stretch in &timeline {
                assert!(!stretch.valid.is_empty());
                assert_eq!(stretch.valid.intersect(window), stretch.valid);
            }
            for time in times.iter().map(|time| moment(*time)) {
                let found = timeline.iter().find(|stretch| stretch.valid.contains(time));
                assert_eq!(
                    found.map(|stretch| stretch.track.ordinal),
                    naive(time).filter(|_| window.contains(time)).map(ordinal),
                    "{known} known, {window:?} at {time:?}"
                );
            }
        }
    }
    for time in times.iter().map(|time| moment(*time)) {
        let later = intervals.iter().map(|valid| valid.from);
        assert_eq!(
            path.next_from(&head, time).unwrap(),
            later
                .filter(|from| *from > time)
                .min()
                .unwrap_or(Moment::MAX),
            "after {time:?}"
        );
        let with: Vec<u64> = (1..)
            .zip(intervals)
            .filter(|(_, valid)| valid.from == time)
            .map(|(ordinal, _)| ordinal)
            .collect();
        let found = path.with_from(&head, time).unwrap();
        let found: Vec<u64> = found.iter().rev().map(|track| track.ordinal).collect();
        assert_eq!(found, with, "from {time:?}");
    }
    for commit in 0..count as u64 + 3 {
        let until = (1..=count as u64).filter(|ordinal| ordinal / 2 < commit);
        assert_eq!(
            path.ordinal_at(&head, commit).unwrap(),
            until.max().unwrap_or(0),
            "commit {commit}"
        );
    }
}

quickcheck! {
    fn a_path_answers_like_a_list(numbers: Vec<(u8, u8)>) -> bool {
        let intervals: Vec<_> = numbers
            .iter()
            .take(40)
            .map(|(from, len)| {
                let from = i64::from(from % 24);
                // Some without end, some empty, some short and some long.
                match len % 8 {
                    0 => Interval { from: moment(from), to: Moment::MAX },
                    1 => interval(from, from),
                    2 => interval(from, from + 40),
                    _ => interval(from, from + i64::from(len % 8) - 2),
                }
            })
            .collect();
        check_path(&intervals);
        true
    }
}

#[test]
fn long_paths_in_every_order_answer_like_a_list() {
    for seed in seeds(20) {
        println!("BLOCKNET_SEED={seed}");
        let mut rng = Rng(seed);
        let count = i64::try_from(rng.below(200)).unwrap();
        let mut intervals: Vec<_> = (0..count).map(|n| interval(3 * n, 3 * n + 3)).collect();
        match seed % 4 {
            0 => {}
            1 => intervals.reverse(),
            2 => intervals
                .iter_mut()
                .for_each(|valid| valid.to = Moment::MAX),
            _ => intervals.sort_by_cached_key(|_| rng.next()),
        }
        check_path(&intervals);
    }
}

#[test]
fn a_missing_or_damaged_track_is_an_error_not_an_answer() {
    let spec = NetSpec::city();
    let store = MemStore::new(key::SCHEMA);
    let head = write_path(&store, &[interval(0, 2), interval(2, 4), interval(4, 6)]);
    let path = Path {
        read: &store,
        spec: &spec,
        entity: ENTITY,
    };
    let row_key = key::track(ENTITY, 2);
    for damage in [None, Some(vec![1, 2, 3])] {
        let mut batch = Batch::new();
        match damage {
            None => batch.delete(key::TRACKS, row_key.clone()),
            Some(bytes) => batch.put(key::TRACKS, row_key.clone(), bytes),
        }
        store.apply(&batch).unwrap();
        let error = path.timeline(head.versions, Interval::ALL).unwrap_err();
        assert_eq!(error.kind(), crate::error::ErrorKind::Corrupt);
        assert!(error.to_string().contains("`tracks`"), "{error}");
        assert!(path.at(head.versions, moment(2)).is_err());
    }
}

/// Counts the gets that go through it.
struct Counting<'a> {
    inner: &'a dyn Read,
    gets: AtomicU64,
}

impl Read for Counting<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, blocknet_kv::Error> {
        self.gets.fetch_add(1, Ordering::Relaxed);
        self.inner.get(table, key)
    }

    fn multi_get(
        &self,
        table: Table,
        keys: &[&[u8]],
    ) -> Result<Vec<Option<Bytes>>, blocknet_kv::Error> {
        self.gets.fetch_add(keys.len() as u64, Ordering::Relaxed);
        self.inner.multi_get(table, keys)
    }

    fn cursor<'a>(
        &'a self,
        table: Table,
        range: &KeyRange,
    ) -> Result<Box<dyn Cursor + 'a>, blocknet_kv::Error> {
        self.inner.cursor(table, range)
    }

    fn last(
        &self,
        table: Table,
        range: &KeyRange,
    ) -> Result<Option<(Bytes, Bytes)>, blocknet_kv::Error> {
        self.inner.last(table, range)
    }
}

#[test]
fn a_past_time_is_found_in_few_reads_however_long_the_path() {
    const VERSIONS: i64 = 100_000;
    let spec = NetSpec::city();
    for open_ended in [false, true] {
        let intervals: Vec<_> = (0..VERSIONS)
            .map(|n| Interval {
                from: moment(10 * n),
                to: if open_ended {
                    Moment::MAX
                } else {
                    moment(10 * n + 10)
                },
            })
            .collect();
        let store = MemStore::new(key::SCHEMA);
        let head = write_path(&store, &intervals);
        let counting = Counting {
            inner: &store,
            gets: AtomicU64::new(0),
        };
        let path = Path {
            read: &counting,
            spec: &spec,
            entity: ENTITY,
        };
        let mut worst = 0;
        for seed in seeds(5) {
            println!("BLOCKNET_SEED={seed}");
            let mut rng = Rng(seed);
            for _ in 0..2000 {
                // Every now and then the oldest versions, and a number of versions not so round.
                let known = head.versions - rng.below(1000) * rng.below(2);
                let among = if rng.below(4) == 0 { 64 } else { known };
                let index = rng.below(among);
                let time = moment(10 * i64::try_from(index).unwrap() + 5);
                counting.gets.store(0, Ordering::Relaxed);
                let found = path.at(known, time).unwrap();
                assert_eq!(found.map(|track| track.ordinal), Some(index + 1));
                worst = worst.max(counting.gets.load(Ordering::Relaxed));
            }
        }
        println!("at most {worst} reads");
        assert!(worst <= 64, "{worst} reads");
    }
}

#[test]
fn a_new_version_reads_few_rows_for_its_hull() {
    let store = MemStore::new(key::SCHEMA);
    let intervals: Vec<_> = (0..5000).map(|n| interval(n, n + 1)).collect();
    write_path(&store, &intervals);
    let counting = Counting {
        inner: &store,
        gets: AtomicU64::new(0),
    };
    let path = Path {
        read: &counting,
        spec: &NetSpec::city(),
        entity: ENTITY,
    };
    for (ordinal, valid) in (1..).zip(&intervals) {
        path.hull(ordinal, *valid).unwrap();
    }
    let reads = counting.gets.load(Ordering::Relaxed);
    assert!(reads <= 5000, "{reads} reads for 5000 versions");
}
