//! The stream of an area: live heads, and for the past the history beside them, in lockstep.

use std::collections::BTreeSet;

use blocknet_geocode::StoredCode;
use blocknet_kv::{Bytes, Cursor};

use crate::error::{ErrorKind, Fault, Result};
use crate::key;
use crate::layer::LayerId;
use crate::record::{Extent, HeaderRef, Peeked, Place, RowRef, Version};
use crate::time::Interval;
use crate::view::{PlaceRange, Record, View};

/// Rows of one entity at one place that are looked at one by one before its path is asked instead.
const ROWS_BEFORE_PATH: u32 = 16;
/// Rows passed over one by one before the cursor seeks.
const ROWS_BEFORE_SEEK: u32 = 8;

/// A range to read, and what of it is worth reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanRange {
    /// The places.
    pub places: PlaceRange,
    /// Whether every place in it lies inside the area asked for: told to the test of a candidate.
    pub contained: bool,
    /// The stretches of it that can hold an answer, in order; empty when all of it can. Between
    /// them the cursor seeks instead of reading on.
    pub stretches: Vec<(StoredCode, StoredCode)>,
}

impl From<PlaceRange> for ScanRange {
    fn from(places: PlaceRange) -> Self {
        Self {
            places,
            contained: false,
            stretches: Vec::new(),
        }
    }
}

/// What reading a range came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RangeCounts {
    /// Rows looked at.
    pub rows_read: u64,
    /// Records that the test of candidates took.
    pub rows_taken: u64,
    /// Positionings of a cursor: at the start, and past what cannot hold an answer.
    pub seeks: u64,
    /// Bytes of the rows looked at, keys included.
    pub bytes: u64,
    /// Time between the first and the last row, by the clock of [`Scan::timed`].
    pub micros: u64,
}

/// Entities by layer and id.
pub type Entities = BTreeSet<(LayerId, String)>;

/// What a scan asks about before it builds a record.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// The layer.
    pub layer: LayerId,
    /// The id.
    pub id: &'a str,
    /// Where the entity is.
    pub extent: &'a Extent,
    /// [`ScanRange::contained`] of its range.
    pub contained: bool,
}

/// Says whether a candidate is wanted.
pub(crate) type Wanted<'v> = Box<dyn Fn(&Candidate<'_>) -> bool + 'v>;

/// A stream of records, in order of ranges, places, layer and id; see [`View::scan`]. After an
/// error it ends, but for one of kind [`ErrorKind::Lost`]: that stands for one record, which is in
/// the ranges or, where not even its extent is left, may be; the others follow.
pub struct Scan<'v, 'a> {
    view: &'v View<'a>,
    ranges: Vec<ScanRange>,
    counts: Vec<RangeCounts>,
    /// Index of the range being read, or of the next one.
    at: usize,
    /// Index of the stretch being read, in its range.
    stretch: usize,
    layers: Option<Vec<LayerId>>,
    wanted: Wanted<'v>,
    with_history: bool,
    with_payloads: bool,
    clock: Option<fn() -> u64>,
    started: u64,
    cursors: Option<Cursors<'v>>,
    /// The record key being looked at.
    group: Vec<u8>,
    done: bool,
}

struct Cursors<'v> {
    records: Box<dyn Cursor + 'v>,
    history: Option<Box<dyn Cursor + 'v>>,
}

impl std::fmt::Debug for Scan<'_, '_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scan")
            .field("ranges", &self.ranges.len())
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

/// Where a place lies among the stretches of a range.
enum Position {
    Inside,
    /// Before the next stretch, which begins with this place.
    Before(Place),
    Behind,
}

/// Where `code` lies among `stretches`; `at` moves on to the first that does not end before it.
fn position(range: &ScanRange, at: &mut usize, code: &[u8]) -> Position {
    if range.stretches.is_empty() {
        return Position::Inside;
    }
    while let Some((low, high)) = range.stretches.get(*at) {
        if code > high.as_ref() {
            *at += 1;
        } else if code < low.as_ref() {
            return Position::Before(Place::of(range.places.level, low.as_ref()));
        } else {
            return Position::Inside;
        }
    }
    Position::Behind
}

impl<'v, 'a> Scan<'v, 'a> {
    pub(crate) fn new(
        view: &'v View<'a>,
        ranges: Vec<ScanRange>,
        layers: Option<&[LayerId]>,
        wanted: Wanted<'v>,
    ) -> Self {
        Self {
            counts: vec![RangeCounts::default(); ranges.len()],
            view,
            ranges,
            at: 0,
            stretch: 0,
            layers: layers.map(<[LayerId]>::to_vec),
            wanted,
            with_history: view.needs_history(layers),
            with_payloads: true,
            clock: None,
            started: 0,
            cursors: None,
            group: Vec::new(),
            done: false,
        }
    }

    /// Leaves the payloads of records empty, for those who only count.
    #[must_use]
    pub fn without_payloads(mut self) -> Self {
        self.with_payloads = false;
        self
    }

    /// Measures the time of each range with a clock in microseconds.
    #[must_use]
    pub fn timed(mut self, clock: fn() -> u64) -> Self {
        self.clock = Some(clock);
        self
    }

    /// What reading each range has come to so far, in the order of the ranges.
    pub fn counts(&self) -> &[RangeCounts] {
        &self.counts
    }

    /// Index of the range being read: that of the last record.
    pub fn at(&self) -> usize {
        self.at
    }

    /// The ranges.
    pub fn ranges(&self) -> &[ScanRange] {
        &self.ranges
    }

    /// Rows read from the tables so far.
    pub fn rows_read(&self) -> u64 {
        self.counts.iter().map(|counts| counts.rows_read).sum()
    }

    fn open_range(&mut self) -> Result<bool> {
        let Some(range) = self.ranges.get(self.at) else {
            return Ok(false);
        };
        self.started = self.clock.map_or(0, |clock| clock());
        self.stretch = 0;
        let keys = range.places.keys();
        let read = self.view.read();
        self.counts[self.at].seeks += 1 + u64::from(self.with_history);
        self.cursors = Some(Cursors {
            records: read.cursor(key::RECORDS, &keys)?,
            history: if self.with_history {
                Some(read.cursor(key::HISTORY, &keys)?)
            } else {
                None
            },
        });
        Ok(true)
    }

    fn close_range(&mut self) {
        if let Some(clock) = self.clock {
            self.counts[self.at].micros += clock().saturating_sub(self.started);
        }
        self.cursors = None;
        self.at += 1;
    }

    fn step(&mut self) -> Result<Option<Box<Record>>> {
        loop {
            let Some(cursors) = &mut self.cursors else {
                if !self.open_range()? {
                    return Ok(None);
                }
                continue;
            };
            if cursors.history.is_none() {
                if let Some(record) = self.next_live()? {
                    return Ok(Some(record));
                }
                self.close_range();
                continue;
            }
            if !cursors.next_group(&mut self.group)? {
                self.close_range();
                continue;
            }
            let code = self.group.get(1..=self.view.spec().stored_len_bytes());
            let range = &self.ranges[self.at];
            match position(range, &mut self.stretch, code.unwrap_or_default()) {
                Position::Inside => {}
                Position::Before(place) => {
                    cursors.records.seek(place.as_bytes())?;
                    if let Some(history) = &mut cursors.history {
                        history.seek(place.as_bytes())?;
                    }
                    self.counts[self.at].seeks += 2;
                    self.counts[self.at].rows_read += 1;
                    continue;
                }
                Position::Behind => {
                    self.close_range();
                    continue;
                }
            }
            if let Some(record) = self.resolve()? {
                self.counts[self.at].rows_taken += 1;
                return Ok(Some(record));
            }
        }
    }

    /// The next live head that is wanted, where the live heads alone answer.
    fn next_live(&mut self) -> Result<Option<Box<Record>>> {
        let Self {
            view,
            ranges,
            counts,
            at,
            stretch,
            cursors,
            wanted,
            layers,
            with_payloads,
            ..
        } = self;
        let Some(Cursors { records, .. }) = cursors else {
            return Ok(None);
        };
        let range = &ranges[*at];
        let counts = &mut counts[*at];
        let spec = view.spec();
        let code_len = spec.stored_len_bytes();
        while let Some((row_key, value)) = records.entry() {
            counts.rows_read += 1;
            counts.bytes += (row_key.len() + value.len()) as u64;
            if !range.stretches.is_empty() {
                let code = row_key.get(1..=code_len).unwrap_or_default();
                match position(range, stretch, code) {
                    Position::Inside => {}
                    Position::Before(place) => {
                        records.seek(place.as_bytes())?;
                        counts.seeks += 1;
                        continue;
                    }
                    Position::Behind => return Ok(None),
                }
            }
            let answer = RowRef::decode(value)
                .and_then(|row| {
                    let header = row.header_ref(spec)?;
                    let takes = header.valid.contains(view.valid_at())
                        && layers
                            .as_ref()
                            .is_none_or(|layers| layers.contains(&header.layer))
                        && row.version.commit <= view.bound(header.layer)
                        && wants(wanted, &row, &header, range.contained)?;
                    takes
                        .then(|| record(&row, &header, *with_payloads))
                        .transpose()
                })
                .map_err(|fault| fault.in_table("records", row_key));
            records.advance()?;
            let answer = answer?;
            if answer.is_some() {
                counts.rows_taken += 1;
                return Ok(answer);
            }
        }
        Ok(None)
    }

    /// Settles what the group answers and moves both cursors behind it.
    fn resolve(&mut self) -> Result<Option<Box<Record>>> {
        let Self {
            view,
            cursors,
            wanted,
            layers,
            group,
            ranges,
            counts,
            at,
            with_payloads,
            ..
        } = self;
        let Some(cursors) = cursors else {
            return Ok(None);
        };
        let contained = ranges[*at].contained;
        let counts = &mut counts[*at];
        let spec = view.spec();
        let place_len = 1 + spec.stored_len_bytes();
        let layer = layer_of(group, place_len)?;
        let bound = view.bound(layer);
        let skip = layers
            .as_ref()
            .is_some_and(|layers| !layers.contains(&layer));

        // The version that answers so far, with the record where it is wanted; that it is lost
        // counts only if no other one answers.
        let mut best: Option<(Version, Taken)> = None;
        let take = |row: &RowRef<'_>, header: &HeaderRef<'_>| {
            take(wanted, row, header, contained, *with_payloads)
        };
        let best_of = |row: &RowRef<'_>| -> Result<(Version, Taken), Fault> {
            Ok((row.version, take(row, &row.header_ref(spec)?)))
        };
        if let Some((row_key, value)) = cursors.records.entry()
            && row_key == group.as_slice()
        {
            counts.rows_read += 1;
            counts.bytes += (row_key.len() + value.len()) as u64;
            if !skip {
                best = RowRef::decode(value)
                    .and_then(|row| {
                        let (valid, _) = row.peek()?;
                        let answers =
                            row.version.commit <= bound && valid.contains(view.valid_at());
                        answers.then(|| best_of(&row)).transpose()
                    })
                    .map_err(|fault| fault.in_table("records", row_key))?;
            }
            cursors.records.advance()?;
        }

        let Some(history) = &mut cursors.history else {
            return answer(best, group);
        };
        let mut rows = 0;
        let mut settled = skip;
        while let Some((row_key, value)) = history.entry() {
            let fault = |fault: Fault| fault.in_table("history", row_key);
            let (record_key, version) = key::split_history(row_key).map_err(fault)?;
            if record_key != group.as_slice() {
                break;
            }
            counts.rows_read += 1;
            counts.bytes += (row_key.len() + value.len()) as u64;
            rows += 1;
            // Newest first: behind the version already found none can win.
            settled |= best.as_ref().is_some_and(|(found, _)| version < *found);
            if !settled && version.commit <= bound {
                let peeked = Peeked::decode(value, spec).map_err(fault)?;
                if peeked.valid().contains(view.valid_at()) {
                    settled = true;
                    best = match peeked {
                        Peeked::Closing(_) => None,
                        Peeked::Version(row, _) => Some(best_of(&row).map_err(fault)?),
                    };
                }
            }
            let limit = if settled {
                ROWS_BEFORE_SEEK
            } else {
                ROWS_BEFORE_PATH
            };
            if rows < limit {
                history.advance()?;
                continue;
            }
            // No version has number zero, so its inversion lies behind the group.
            let zero = Version {
                commit: 0,
                index: 0,
            };
            history.seek(&key::history(group, zero))?;
            counts.seeks += 1;
            if !settled {
                return by_path(view, group, place_len, layer, take);
            }
            break;
        }
        answer(best, group)
    }
}

/// A record where it is wanted; a fault where that cannot be told, or it is lost.
type Taken = Result<Option<Box<Record>>, Fault>;

fn answer(best: Option<(Version, Taken)>, group: &[u8]) -> Result<Option<Box<Record>>> {
    match best {
        None => Ok(None),
        Some((_, taken)) => taken.map_err(|fault| fault.in_table("records", group)),
    }
}

/// Whether a version is wanted; a fault where its extent is lost, so that it may be.
fn wants(
    wanted: &Wanted<'_>,
    row: &RowRef<'_>,
    header: &HeaderRef<'_>,
    contained: bool,
) -> Result<bool, Fault> {
    row.check_known(header)?;
    Ok(header.extent.as_ref().is_some_and(|extent| {
        wanted(&Candidate {
            layer: header.layer,
            id: header.id,
            extent,
            contained,
        })
    }))
}

/// The record of a version, if it is wanted.
fn take(
    wanted: &Wanted<'_>,
    row: &RowRef<'_>,
    header: &HeaderRef<'_>,
    contained: bool,
    with_payload: bool,
) -> Taken {
    if !wants(wanted, row, header, contained)? {
        return Ok(None);
    }
    record(row, header, with_payload).map(Some)
}

/// Boxed, since a record is large and passes through several hands.
fn record(
    row: &RowRef<'_>,
    header: &HeaderRef<'_>,
    with_payload: bool,
) -> Result<Box<Record>, Fault> {
    let payload = if with_payload {
        row.check_payload()?;
        Bytes::copy_from_slice(row.payload)
    } else {
        Bytes::new()
    };
    Ok(Box::new(Record::of(row, header, payload)))
}

/// The entities that had a state in `ranges` that `wanted` takes, by any version within the view's
/// commits that holds at some moment of `window`; and what reading came to.
pub(crate) fn entities_in(
    view: &View<'_>,
    ranges: &[ScanRange],
    layers: Option<&[LayerId]>,
    window: Interval,
    clock: fn() -> u64,
    wanted: &dyn Fn(&Candidate<'_>) -> bool,
) -> Result<(Entities, Vec<RangeCounts>)> {
    let mut found = BTreeSet::new();
    let mut counts = vec![RangeCounts::default(); ranges.len()];
    let code_len = view.spec().stored_len_bytes();
    for (range, counts) in ranges.iter().zip(&mut counts) {
        let started = clock();
        for table in [key::RECORDS, key::HISTORY] {
            let mut stretch = 0;
            let mut cursor = view.read().cursor(table, &range.places.keys())?;
            counts.seeks += 1;
            while let Some((row_key, value)) = cursor.entry() {
                counts.rows_read += 1;
                counts.bytes += (row_key.len() + value.len()) as u64;
                let code = row_key.get(1..=code_len).unwrap_or_default();
                match position(range, &mut stretch, code) {
                    Position::Inside => {}
                    Position::Before(place) => {
                        cursor.seek(place.as_bytes())?;
                        counts.seeks += 1;
                        continue;
                    }
                    Position::Behind => break,
                }
                let fault = |fault: Fault| fault.in_table(key::table_name(table), row_key);
                let peeked = Peeked::decode(value, view.spec()).map_err(fault)?;
                if let Peeked::Version(row, valid) = peeked
                    && valid.overlaps(window)
                {
                    let header = row.header_ref(view.spec()).map_err(fault)?;
                    let selected = layers.is_none_or(|layers| layers.contains(&header.layer))
                        && row.version.commit <= view.bound(header.layer);
                    if selected {
                        row.check_known(&header).map_err(fault)?;
                    }
                    if selected
                        && header.extent.as_ref().is_some_and(|extent| {
                            wanted(&Candidate {
                                layer: header.layer,
                                id: header.id,
                                extent,
                                contained: range.contained,
                            })
                        })
                        && found.insert((header.layer, header.id.to_owned()))
                    {
                        counts.rows_taken += 1;
                    }
                }
                cursor.advance()?;
            }
        }
        counts.micros = clock().saturating_sub(started);
    }
    Ok((found, counts))
}

/// The layer in a record key.
fn layer_of(record_key: &[u8], place_len: usize) -> Result<LayerId> {
    let number = record_key
        .get(place_len..)
        .and_then(|entity| entity.first_chunk::<2>());
    number
        .map(|number| LayerId(u16::from_be_bytes(*number)))
        .ok_or_else(|| {
            Fault::Truncated {
                need: place_len + 2,
                have: record_key.len(),
            }
            .in_table("records", record_key)
        })
}

/// Answers for an entity with many versions at one place from its path, which passes over most of
/// them.
fn by_path(
    view: &View<'_>,
    group: &[u8],
    place_len: usize,
    layer: LayerId,
    take: impl Fn(&RowRef<'_>, &HeaderRef<'_>) -> Taken,
) -> Result<Option<Box<Record>>> {
    let (place, entity) = group.split_at(place_len);
    let path = view.path(entity);
    let Some(head) = path.head()? else {
        return Ok(None);
    };
    let Some(track) = view.answering(&path, &head, layer)? else {
        return Ok(None);
    };
    if track.place.as_bytes() != place {
        return Ok(None);
    }
    view.load_if(&path, &head, &track, take)
}

impl Cursors<'_> {
    /// Takes the least record key under either cursor into `group`; false behind the last.
    fn next_group(&self, group: &mut Vec<u8>) -> Result<bool> {
        let record = self.records.entry().map(|(row_key, _)| row_key);
        let history = match self.history.as_ref().and_then(|history| history.entry()) {
            None => None,
            Some((row_key, _)) => Some(
                key::split_history(row_key)
                    .map_err(|fault| fault.in_table("history", row_key))?
                    .0,
            ),
        };
        let least = match (record, history) {
            (Some(record), Some(history)) => record.min(history),
            (Some(only), None) | (None, Some(only)) => only,
            (None, None) => return Ok(false),
        };
        group.clear();
        group.extend_from_slice(least);
        Ok(true)
    }
}

impl Scan<'_, '_> {
    /// The next record, where it was built.
    pub fn next_boxed(&mut self) -> Option<Result<Box<Record>>> {
        if self.done {
            return None;
        }
        let step = self.step().transpose();
        self.done = match &step {
            Some(Ok(_)) => false,
            Some(Err(error)) => error.kind() != ErrorKind::Lost,
            None => true,
        };
        step
    }
}

impl Iterator for Scan<'_, '_> {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.next_boxed()?.map(|record| *record))
    }
}
