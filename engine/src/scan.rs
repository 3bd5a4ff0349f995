//! The stream of an area: live heads, and for the past the history beside them, in lockstep.
//!
//! One path finds the rows and lends them to a visitor; a record of its own is built from what is
//! lent, where one is asked for.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use blocknet_geocode::StoredCode;
use blocknet_kv::{Bytes, Cursor};

use crate::error::{ErrorKind, Fault, Result};
use crate::key;
use crate::layer::LayerId;
use crate::record::{Extent, HeaderRef, Peeked, Place, RowRef, Version};
use crate::time::Interval;
use crate::view::{PlaceRange, Record, RecordRef, View};
use crate::writer::row;

/// Rows of one entity at one place that are looked at one by one before its path is asked instead.
const ROWS_BEFORE_PATH: u32 = 16;
/// Rows passed over one by one before the cursor seeks.
const ROWS_BEFORE_SEEK: u32 = 8;

/// No version has this number, so its inversion lies behind all of a group.
const NO_VERSION: Version = Version {
    commit: 0,
    index: 0,
};

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

/// Looks at a record, lent with the index of its range, and says whether to go on.
type Visitor<'f> = dyn FnMut(usize, &RecordRef<'_>) -> ControlFlow<()> + 'f;

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

    /// Does not say of a payload that it is lost, for those who only count: it is empty then.
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

    /// Hands the records that are left to `visit`, in order, each with the index of its range,
    /// until that says to stop; then another call, or [`Iterator::next`], goes on behind the last
    /// one. A record is lent for the time of a call, and costs no allocation.
    ///
    /// # Errors
    /// * [`ErrorKind::Io`] or [`ErrorKind::Corrupt`] when the tables cannot be read.
    /// * [`ErrorKind::Lost`] in the place of a record that both copies lost; another call goes on
    ///   behind it.
    pub fn visit(
        &mut self,
        visit: &mut dyn FnMut(usize, &RecordRef<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>> {
        if self.done {
            return Ok(ControlFlow::Continue(()));
        }
        let seen = self.read(visit);
        self.done = match &seen {
            Ok(seen) => seen.is_continue(),
            Err(error) => error.kind() != ErrorKind::Lost,
        };
        seen
    }

    fn read(&mut self, visit: &mut Visitor<'_>) -> Result<ControlFlow<()>> {
        while self.cursors.is_some() || self.open_range()? {
            let seen = if self.with_history {
                self.read_with_history(visit)?
            } else {
                self.read_live(visit)?
            };
            if seen.is_break() {
                return Ok(seen);
            }
            self.close_range();
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Reads the range on where the live heads alone answer.
    fn read_live(&mut self, visit: &mut Visitor<'_>) -> Result<ControlFlow<()>> {
        let Self {
            view,
            ranges,
            counts,
            at,
            stretch,
            cursors: Some(Cursors { records, .. }),
            wanted,
            layers,
            with_payloads,
            ..
        } = self
        else {
            return Ok(ControlFlow::Continue(()));
        };
        let range = &ranges[*at];
        let counts = &mut counts[*at];
        let (spec, valid) = (view.spec(), view.valid_at());
        let code_len = spec.stored_len_bytes();
        // Rows that lie together are mostly of one layer.
        let mut bound = (LayerId(0), bound_of(view, layers.as_deref(), LayerId(0)));
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
                    Position::Behind => break,
                }
            }
            let seen = RowRef::decode(value)
                .and_then(|row| {
                    let header = row.header_ref(spec)?;
                    if header.layer != bound.0 {
                        bound = (
                            header.layer,
                            bound_of(view, layers.as_deref(), header.layer),
                        );
                    }
                    let answers = bound.1.is_some_and(|bound| row.version.commit <= bound)
                        && header.valid.contains(valid);
                    if !answers || !wants(wanted, &row, &header, range.contained)? {
                        return Ok(ControlFlow::Continue(()));
                    }
                    counts.rows_taken += 1;
                    let record = lent(&row, &header, *with_payloads)?;
                    Ok(visit(*at, &record))
                })
                .map_err(|fault| fault.in_table("records", row_key));
            records.advance()?;
            if seen?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Reads the range on where the history has a say.
    fn read_with_history(&mut self, visit: &mut Visitor<'_>) -> Result<ControlFlow<()>> {
        let code_len = self.view.spec().stored_len_bytes();
        while let Some(cursors) = &mut self.cursors
            && cursors.next_group(&mut self.group)?
        {
            let code = self.group.get(1..=code_len).unwrap_or_default();
            match position(&self.ranges[self.at], &mut self.stretch, code) {
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
                Position::Behind => break,
            }
            if self.resolve(visit)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Settles what the group answers, lends it where it is wanted, and moves both cursors behind
    /// the group.
    fn resolve(&mut self, visit: &mut Visitor<'_>) -> Result<ControlFlow<()>> {
        let Self {
            view,
            cursors:
                Some(Cursors {
                    records,
                    history: Some(history),
                }),
            wanted,
            layers,
            with_payloads,
            group,
            ranges,
            counts,
            at,
            ..
        } = self
        else {
            return Ok(ControlFlow::Continue(()));
        };
        let contained = ranges[*at].contained;
        let counts = &mut counts[*at];
        let (spec, valid) = (view.spec(), view.valid_at());
        let place_len = 1 + spec.stored_len_bytes();
        let layer = layer_of(group, place_len)?;
        let bound = bound_of(view, layers.as_deref(), layer);
        let mut lend = |counts: &mut RangeCounts, row: &RowRef<'_>| {
            let header = row.header_ref(spec)?;
            if !wants(wanted, row, &header, contained)? {
                return Ok(ControlFlow::Continue(()));
            }
            counts.rows_taken += 1;
            let record = lent(row, &header, *with_payloads)?;
            Ok(visit(*at, &record))
        };

        // The live head answers unless a later version does.
        let mut live: Option<RowRef<'_>> = None;
        let live_key = records.entry().filter(|(row_key, _)| row_key == group);
        if let Some((row_key, value)) = live_key {
            counts.rows_read += 1;
            counts.bytes += (row_key.len() + value.len()) as u64;
            if let Some(bound) = bound {
                let fault = |fault: Fault| fault.in_table("records", row_key);
                let row = RowRef::decode(value).map_err(fault)?;
                let (during, _) = row.peek().map_err(fault)?;
                let answers = row.version.commit <= bound && during.contains(valid);
                live = answers.then_some(row);
            }
        }

        // That the answer is lost is told once both cursors are behind the group.
        let mut seen = Ok(ControlFlow::Continue(()));
        let mut rows = 0;
        let mut settled = bound.is_none();
        while let Some((row_key, value)) = history.entry() {
            let fault = |fault: Fault| fault.in_table("history", row_key);
            let (record_key, version) = key::split_history(row_key).map_err(fault)?;
            if record_key != group.as_slice() {
                break;
            }
            counts.rows_read += 1;
            counts.bytes += (row_key.len() + value.len()) as u64;
            rows += 1;
            // Newest first: behind the live head, if that answers, none can win.
            settled |= live.is_some_and(|live| version < live.version);
            if !settled && bound.is_some_and(|bound| version.commit <= bound) {
                let peeked = Peeked::decode(value, spec).map_err(fault)?;
                if peeked.valid().contains(valid) {
                    settled = true;
                    live = None;
                    if let Peeked::Version(row, _) = peeked {
                        seen = lend(counts, &row).map_err(fault);
                    }
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
            history.seek(&key::history(group, NO_VERSION))?;
            counts.seeks += 1;
            if !settled {
                live = None;
                if let Some(bytes) = by_path(view, group, place_len, layer)? {
                    let row = RowRef::decode(&bytes);
                    seen = row
                        .and_then(|row| lend(counts, &row))
                        .map_err(|fault| fault.in_table("records", group));
                }
            }
            break;
        }
        if let Some(row) = live {
            seen = lend(counts, &row).map_err(|fault| fault.in_table("records", group));
        }
        if records.entry().is_some_and(|(row_key, _)| row_key == group) {
            records.advance()?;
        }
        seen
    }
}

/// The newest commit of a layer that a scan of `layers` may see; `None` when it leaves the layer
/// out.
fn bound_of(view: &View<'_>, layers: Option<&[LayerId]>, layer: LayerId) -> Option<u64> {
    let selected = layers.is_none_or(|layers| layers.contains(&layer));
    selected.then(|| view.bound(layer))
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

/// A record, lent; a fault where its payload is lost, and wanted.
fn lent<'r>(
    row: &RowRef<'r>,
    header: &'r HeaderRef<'r>,
    with_payload: bool,
) -> Result<RecordRef<'r>, Fault> {
    if with_payload {
        row.check_payload()?;
    }
    Ok(RecordRef::of(row, header))
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

/// The row that answers for an entity with many versions at one place, found by its path, which
/// passes over most of them.
fn by_path(
    view: &View<'_>,
    group: &[u8],
    place_len: usize,
    layer: LayerId,
) -> Result<Option<Bytes>> {
    let (place, entity) = group.split_at(place_len);
    let path = view.path(entity);
    let Some(head) = path.head()? else {
        return Ok(None);
    };
    match view.answering(&path, &head, layer)? {
        Some(track) if track.place.as_bytes() == place => {
            row(&path, &head, track.version, &track.place).map(Some)
        }
        _ => Ok(None),
    }
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
    /// The next record, boxed, since a record is large and passes through several hands.
    pub fn next_boxed(&mut self) -> Option<Result<Box<Record>>> {
        let mut found = None;
        let seen = self.visit(&mut |_, record| {
            found = Some(Box::new(record.to_record()));
            ControlFlow::Break(())
        });
        match seen {
            Ok(_) => found.map(Ok),
            Err(error) => Some(Err(error)),
        }
    }
}

impl Iterator for Scan<'_, '_> {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.next_boxed()?.map(|record| *record))
    }
}
