//! Consistent read views: what is known as of a commit or a moment, at a valid time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use blocknet_geocode::{Block, Cell, Geocode, NetSpec, StoredCode};
use blocknet_kv::{Bytes, KeyRange, MemLayer, Overlay, Read};

use crate::apply::Bounds;
use crate::body::CommitInfo;
use crate::costs::Costs;
use crate::entity::{Head, Last, Path, Track};
use crate::error::{Error, ErrorKind, Fault, Result};
use crate::hash::Hash;
use crate::key;
use crate::layer::LayerId;
use crate::ledger::{LayerState, Ledger};
use crate::linked::LinkedNet;
use crate::log::{Log, LogHead};
use crate::record::{ChangeKind, End, Extent, HeaderRef, Place, RowRef, Version, flag};
use crate::scan::{Candidate, Entities, RangeCounts, Scan, ScanRange};
use crate::time::{Interval, Moment};
use crate::touched::Touched;
use crate::writer::{commit_info, row};
use crate::zone::{Rows, Zone, ZoneReader};

/// Which commits a view knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AsOf {
    /// All that are applied.
    #[default]
    Newest,
    /// Those up to this number.
    Commit(u64),
    /// In each layer, those up to its last one recorded at or before this moment.
    Recorded(Moment),
}

/// A stored version as a reader sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The entity's layer.
    pub layer: LayerId,
    /// The entity's id.
    pub id: String,
    /// Number of this version.
    pub version: Version,
    /// Its ordinal among the entity's versions, from 1.
    pub ordinal: u64,
    /// When it holds, open end resolved.
    pub valid: Interval,
    /// How its end was meant.
    pub end: End,
    /// Whether valid-from was given as a day.
    pub from_day: bool,
    /// Whether valid-to was given as a day.
    pub to_day: bool,
    /// Whether valid-from was asserted, or is the commit's recorded time.
    pub from_asserted: bool,
    /// What kind of statement it makes.
    pub kind: ChangeKind,
    /// Where the entity is; `None` for an absence.
    pub extent: Option<Extent>,
    /// The payload as it was given; empty once it is erased.
    pub payload: Bytes,
    /// The commit that had the payload erased, if one did.
    pub erased: Option<u64>,
    /// Salted commitment to the payload.
    pub commitment: Hash,
    /// Hash of the entity's version before, zero for the first.
    pub previous: Hash,
    /// Author, where it differs from the commit's.
    pub author: Option<String>,
    /// Reason, where it differs from the commit's.
    pub reason: Option<String>,
    /// Source, where it differs from the commit's.
    pub source: Option<String>,
    place: Place,
}

/// A stored version as it is lent by what reads it: borrowed from the row, or from a [`Record`].
#[derive(Clone, Copy, Debug)]
pub struct RecordRef<'a> {
    /// The entity's layer.
    pub layer: LayerId,
    /// The entity's id.
    pub id: &'a str,
    /// Number of this version.
    pub version: Version,
    /// When it holds, open end resolved.
    pub valid: Interval,
    /// Where the entity is; `None` for an absence.
    pub extent: Option<Extent>,
    /// The payload as it was given; empty once it is erased.
    pub payload: &'a [u8],
    /// The commit that had the payload erased, if one did.
    pub erased: Option<u64>,
    whole: Whole<'a>,
}

/// What a lent record is borrowed from.
#[derive(Clone, Copy, Debug)]
enum Whole<'a> {
    Row(&'a HeaderRef<'a>),
    Record(&'a Record),
}

impl<'a> RecordRef<'a> {
    #[inline]
    pub(crate) fn of(row: &RowRef<'a>, header: &'a HeaderRef<'a>) -> Self {
        let erased = row.erased_by();
        Self {
            layer: header.layer,
            id: header.id,
            version: row.version,
            valid: header.valid,
            extent: header.extent,
            payload: if erased.is_some() { &[] } else { row.payload },
            erased,
            whole: Whole::Row(header),
        }
    }

    /// A record of its own.
    ///
    /// # Cost
    /// Copies id and payload.
    pub fn to_record(&self) -> Record {
        match self.whole {
            Whole::Row(header) => Record::of(self, header, Bytes::copy_from_slice(self.payload)),
            Whole::Record(record) => record.clone(),
        }
    }
}

impl Record {
    /// * `payload`: that of `lent`, to be shared.
    fn of(lent: &RecordRef<'_>, header: &HeaderRef<'_>, payload: Bytes) -> Self {
        let is = |bit: u16| header.flags & bit != 0;
        Self {
            layer: header.layer,
            version: lent.version,
            ordinal: header.ordinal,
            valid: header.valid,
            end: header.end(),
            from_day: is(flag::FROM_DAY),
            to_day: is(flag::TO_DAY),
            from_asserted: !is(flag::FROM_IMPLIED),
            kind: header.kind,
            extent: header.extent,
            place: header.place(),
            payload,
            erased: lent.erased,
            commitment: Hash(*header.commitment),
            previous: Hash(*header.previous),
            author: header.author.map(Into::into),
            reason: header.reason.map(Into::into),
            source: header.source.map(Into::into),
            id: header.id.into(),
        }
    }

    /// The record, lent to what looks at records wherever they are.
    pub fn lend(&self) -> RecordRef<'_> {
        RecordRef {
            layer: self.layer,
            id: &self.id,
            version: self.version,
            valid: self.valid,
            extent: self.extent,
            payload: &self.payload,
            erased: self.erased,
            whole: Whole::Record(self),
        }
    }

    /// Under which geocode it is filed in a net of `spec`; `None` for an absence.
    pub fn geocode(&self, spec: &NetSpec) -> Option<Geocode> {
        let extent = self.extent?;
        let altitude_known = extent.floor.is_some() || extent.top.is_some();
        self.place.geocode(spec, altitude_known)
    }

    /// Whether the version states that the entity is not there.
    pub fn is_absence(&self) -> bool {
        self.extent.is_none()
    }
}

/// A contiguous range of places under one level, both ends included.
///
/// An entity is filed under the finest level, at most block depth, whose cells are at least twice
/// its extent each way, by the geocode of its extent's centre. So a window that is to find
/// everything under a level is widened by a quarter of that level's cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlaceRange {
    /// The level: digits of the cells that large entities are filed under.
    pub level: u8,
    /// Lowest place.
    pub low: StoredCode,
    /// Highest place.
    pub high: StoredCode,
}

impl PlaceRange {
    pub(crate) fn keys(&self) -> KeyRange {
        let place = |code: &StoredCode| Place::of(self.level, code.as_ref()).as_bytes().to_vec();
        // All places of a level have one length, so the successor of the last bounds them all.
        let mut end = place(&self.high);
        while let Some(byte) = end.pop() {
            if byte < 0xff {
                end.push(byte + 1);
                break;
            }
        }
        KeyRange::new(place(&self.low), end)
    }
}

/// A commit, as far as it concerns a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitMark {
    /// Its number.
    pub number: u64,
    /// Its recorded time.
    pub recorded: Moment,
    /// Versions of the layer that it wrote.
    pub versions: u32,
    /// Earliest start or end of any of their intervals; after `last` when all are open.
    pub first: Moment,
    /// Latest start or end.
    pub last: Moment,
}

/// A stretch of an entity's effective timeline.
#[derive(Clone, Debug, PartialEq)]
pub struct TimelineEntry {
    /// When this version is the one that answers.
    pub during: Interval,
    /// The version; an absence has no extent.
    pub record: Record,
}

/// A consistent state of the net: later commits do not change what it answers.
///
/// At (as-of, valid time) an entity is in the state of its last version within the as-of commits
/// whose interval contains the valid time.
pub struct View<'a> {
    read: Box<dyn Read + 'a>,
    spec: &'a NetSpec,
    ledger: Ledger,
    bounds: BTreeMap<LayerId, u64>,
    valid: Moment,
    costs: &'a OnceLock<Costs>,
}

impl std::fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("View")
            .field("commit", &self.ledger.commit)
            .field("valid", &self.valid)
            .finish_non_exhaustive()
    }
}

impl<'a> View<'a> {
    pub(crate) fn new(
        read: Box<dyn Read + 'a>,
        spec: &'a NetSpec,
        as_of: AsOf,
        valid: Moment,
        costs: &'a OnceLock<Costs>,
    ) -> Result<Self> {
        let ledger = Ledger::load(&*read)?
            .ok_or_else(|| Error::corrupt("tables: `meta`: the row `state` is missing"))?;
        let mut view = Self {
            read,
            spec,
            ledger,
            bounds: BTreeMap::new(),
            valid,
            costs,
        };
        view.bounds = view.bounds_at(as_of)?;
        Ok(view)
    }

    /// As [`View::sibling`], and knowing no commit that this view does not know.
    ///
    /// # Errors
    /// As for [`View::sibling`].
    pub fn sibling_within(&self, as_of: AsOf, valid: Moment) -> Result<View<'_>> {
        let mut view = self.sibling(as_of, valid)?;
        for (layer, bound) in &mut view.bounds {
            *bound = (*bound).min(self.bound(*layer));
        }
        Ok(view)
    }

    /// The same snapshot and commits at another valid time.
    ///
    /// # Errors
    /// None today; a back end over a network may fail here.
    pub fn sibling_at(&self, valid: Moment) -> Result<View<'_>> {
        let mut view = self.sibling(AsOf::Newest, valid)?;
        view.bounds.clone_from(&self.bounds);
        Ok(view)
    }

    /// The commit up to which each layer is known as of `as_of`, 0 for none.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] or [`ErrorKind::Corrupt`] when the tables cannot be read.
    pub fn bounds_at(&self, as_of: AsOf) -> Result<BTreeMap<LayerId, u64>> {
        let mut bounds = BTreeMap::new();
        for layer in self.ledger.layers.keys() {
            let bound = match as_of {
                AsOf::Newest => self.ledger.commit,
                AsOf::Commit(number) => number.min(self.ledger.commit),
                AsOf::Recorded(moment) => {
                    let range = key::moments_until(*layer, moment);
                    match self.read.last(key::MOMENTS, &range)? {
                        None => 0,
                        Some((row_key, _)) => {
                            key::parse_moment(&row_key)
                                .map_err(|fault| fault.in_table("moments", &row_key))?
                                .1
                        }
                    }
                }
            };
            bounds.insert(*layer, bound);
        }
        Ok(bounds)
    }

    /// The same snapshot seen as of other commits or at another valid time; the two are consistent
    /// with each other.
    ///
    /// # Errors
    /// As for [`crate::Net::view`].
    pub fn sibling(&self, as_of: AsOf, valid: Moment) -> Result<View<'_>> {
        let read: Box<dyn Read + '_> = Box::new(Overlay::<&MemLayer> {
            layers: &[],
            base: &*self.read,
        });
        let mut view = View {
            read,
            spec: self.spec,
            ledger: self.ledger.clone(),
            bounds: BTreeMap::new(),
            valid,
            costs: self.costs,
        };
        view.bounds = view.bounds_at(as_of)?;
        Ok(view)
    }

    /// The net's parameters.
    pub fn spec(&self) -> &NetSpec {
        self.spec
    }

    /// Number of the newest commit the snapshot holds.
    pub fn newest_commit(&self) -> u64 {
        self.ledger.commit
    }

    /// The log over all commits of the snapshot: what a checkpoint states.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] or [`ErrorKind::Corrupt`] when the tables cannot be read.
    ///
    /// # Cost
    /// As many small reads as the number of commits has binary digits set.
    pub fn log_head(&self) -> Result<LogHead> {
        self.log_head_at(self.ledger.commit)
    }

    /// The log over the first `size` commits, as it was when they were all there were.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there are fewer; otherwise as for [`View::log_head`].
    pub fn log_head_at(&self, size: u64) -> Result<LogHead> {
        let root = self.log().root(size)?;
        Ok(LogHead { size, root })
    }

    /// The path of a commit's hash in the tree over the first `size` commits (RFC 6962, section
    /// 2.1.1): shows that the commit is one of them.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a commit that is not; otherwise as for [`View::log_head_at`].
    pub fn log_inclusion(&self, commit: u64, size: u64) -> Result<Vec<Hash>> {
        self.log().inclusion(commit, size)
    }

    /// Shows that the first `size` commits continue the first `earlier` (RFC 6962, section 2.1.2).
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] when `earlier` is 0 or greater than `size`; otherwise as for
    /// [`View::log_head_at`].
    pub fn log_consistency(&self, earlier: u64, size: u64) -> Result<Vec<Hash>> {
        self.log().consistency(earlier, size)
    }

    /// What stands for the first `size` commits when the root of a longer log is computed.
    pub(crate) fn log_peaks(&self, size: u64) -> Result<Vec<Hash>> {
        self.log().peaks(size)
    }

    fn log(&self) -> Log<'_> {
        Log::new(&*self.read, self.ledger.commit)
    }

    /// The newest commit of `layer` that the view knows, 0 for none.
    pub fn bound(&self, layer: LayerId) -> u64 {
        self.bounds.get(&layer).copied().unwrap_or(0)
    }

    /// The valid time the view answers for.
    pub fn valid_at(&self) -> Moment {
        self.valid
    }

    /// The layers, with the counts of the newest commit.
    pub fn layers(&self) -> impl Iterator<Item = (LayerId, &LayerState)> {
        self.ledger.layers.iter().map(|(id, state)| (*id, state))
    }

    /// The layer of this name.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], naming the layers there are.
    pub fn layer_named(&self, name: &str) -> Result<LayerId> {
        self.ledger.layer_named(name).ok_or_else(|| {
            let names: Vec<_> = self
                .ledger
                .layers
                .values()
                .map(|state| state.def.name.as_str())
                .collect();
            Error::new(
                ErrorKind::NotFound,
                format!(
                    "the net has no layer `{name}`; its layers are: {}",
                    names.join(", ")
                ),
            )
        })
    }

    /// The levels under which anything was ever filed, coarsest first, and how much is.
    pub fn levels(&self) -> impl Iterator<Item = (u8, Rows)> {
        let deepest = self.spec.block_digits();
        let levels = self.ledger.levels.range(..=deepest);
        levels.map(|(level, rows)| (*level, *rows))
    }

    /// A reader of the zones.
    pub fn zone_reader(&self) -> ZoneReader<'_> {
        ZoneReader::new(&*self.read)
    }

    /// The zones of one run of cells: see [`ZoneReader::zones`].
    ///
    /// # Errors
    /// As there.
    ///
    /// # Cost
    /// A cursor, and a small row for each zone.
    pub fn zones(
        &self,
        level: u8,
        depth: u8,
        cells: (&Cell, &Cell),
        max: usize,
    ) -> Result<Vec<Zone>> {
        self.zone_reader().zones(level, depth, cells, max)
    }

    /// Whether a scan of these layers has to read the history beside the live heads.
    pub fn needs_history(&self, layers: Option<&[LayerId]>) -> bool {
        self.layers().any(|(layer, _)| {
            layers.is_none_or(|layers| layers.contains(&layer)) && !self.is_current(layer)
        })
    }

    /// What reading costs here, measured once for each opening of the net; see
    /// [`crate::NetBuilder::costs`].
    ///
    /// # Errors
    /// [`ErrorKind::Io`] or [`ErrorKind::Corrupt`] when the tables cannot be read.
    pub fn costs(&self) -> Result<Costs> {
        if let Some(costs) = self.costs.get() {
            return Ok(*costs);
        }
        let costs = Costs::measure(self)?;
        Ok(*self.costs.get_or_init(|| costs))
    }

    /// Whether the live heads alone answer this view for `layer`.
    pub(crate) fn is_current(&self, layer: LayerId) -> bool {
        self.ledger
            .layers
            .get(&layer)
            .is_none_or(|state| self.bound(layer) >= state.commit && self.valid >= state.watermark)
    }

    pub(crate) fn read(&self) -> &dyn Read {
        &*self.read
    }

    pub(crate) fn path<'b>(&'b self, entity: &'b [u8]) -> Path<'b> {
        Path {
            read: &*self.read,
            spec: self.spec,
            entity,
        }
    }

    /// The state of an entity, `None` when it is absent or unknown.
    ///
    /// # Cost
    /// Two gets for the live state; for a past one, a few more, logarithmic in the entity's
    /// versions when their valid-froms ascend.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] or [`ErrorKind::Corrupt`] when the tables cannot be read;
    /// [`ErrorKind::Lost`] when a version that answers was lost in both copies.
    pub fn get(&self, layer: LayerId, id: &str) -> Result<Option<Record>> {
        let entity = key::entity(layer, id);
        let path = self.path(&entity);
        let Some(head) = path.head()? else {
            return Ok(None);
        };
        if let Some(last) = self.live(&head, layer) {
            if last.place.is_nowhere() {
                return Ok(None);
            }
            return self.load(&path, &head, last.version, &last.place).map(Some);
        }
        let Some(track) = self.answering(&path, &head, layer)? else {
            return Ok(None);
        };
        if track.is_absence() {
            return Ok(None);
        }
        self.load(&path, &head, track.version, &track.place)
            .map(Some)
    }

    /// The version that answers for an entity in this view.
    pub(crate) fn answering(
        &self,
        path: &Path<'_>,
        head: &Head,
        layer: LayerId,
    ) -> Result<Option<Track>> {
        path.at(path.ordinal_at(head, self.bound(layer))?, self.valid)
    }

    /// Whether the live head of an entity answers, so that its path need not be read.
    fn live(&self, head: &Head, layer: LayerId) -> Option<Last> {
        let last = head.last?;
        let during = Interval {
            from: last.sole_from,
            to: last.to,
        };
        let live = head.newest.commit <= self.bound(layer) && during.contains(self.valid);
        live.then_some(last)
    }

    fn load(
        &self,
        path: &Path<'_>,
        head: &Head,
        version: Version,
        place: &Place,
    ) -> Result<Record> {
        let bytes = row(path, head, version, place)?;
        let fault = |fault: Fault| fault.in_table("records", path.entity);
        let row = RowRef::decode(&bytes).map_err(fault)?;
        let header = row.header_ref(self.spec).map_err(fault)?;
        row.check_known(&header)
            .and_then(|()| row.check_payload())
            .map_err(fault)?;
        let lent = RecordRef::of(&row, &header);
        let payload = bytes.slice(bytes.len() - lent.payload.len()..);
        Ok(Record::of(&lent, &header, payload))
    }

    /// Everything ever stated about an entity within the view's commits, oldest first; empty for an
    /// unknown entity. The valid time of the view plays no part.
    ///
    /// # Errors
    /// As for [`View::get`].
    pub fn history(&self, layer: LayerId, id: &str) -> Result<Vec<Record>> {
        let entity = key::entity(layer, id);
        let path = self.path(&entity);
        let Some(head) = path.head()? else {
            return Ok(Vec::new());
        };
        let newest = path.ordinal_at(&head, self.bound(layer))?;
        (1..=newest)
            .map(|ordinal| {
                let track = path.track(ordinal)?;
                self.load(&path, &head, track.version, &track.place)
            })
            .collect()
    }

    /// The effective timeline of an entity inside `window`, in order of valid time: which version
    /// answers when. Times of which nothing was ever said are left out.
    ///
    /// # Errors
    /// As for [`View::get`].
    pub fn timeline(
        &self,
        layer: LayerId,
        id: &str,
        window: Interval,
    ) -> Result<Vec<TimelineEntry>> {
        let entity = key::entity(layer, id);
        let path = self.path(&entity);
        let Some(head) = path.head()? else {
            return Ok(Vec::new());
        };
        let newest = path.ordinal_at(&head, self.bound(layer))?;
        path.timeline(newest, window)?
            .iter()
            .map(|stretch| {
                let track = &stretch.track;
                let record = self.load(&path, &head, track.version, &track.place)?;
                Ok(TimelineEntry {
                    during: stretch.valid,
                    record,
                })
            })
            .collect()
    }

    /// The version that answers for an entity at another commit or valid time than the view's;
    /// an absence counts as one.
    ///
    /// # Errors
    /// As for [`View::get`].
    pub fn answer_at(
        &self,
        layer: LayerId,
        id: &str,
        commit: u64,
        valid: Moment,
    ) -> Result<Option<Record>> {
        let entity = key::entity(layer, id);
        let path = self.path(&entity);
        let Some(head) = path.head()? else {
            return Ok(None);
        };
        let track = path.at(path.ordinal_at(&head, commit)?, valid)?;
        track
            .map(|track| self.load(&path, &head, track.version, &track.place))
            .transpose()
    }

    /// The versions of an entity from the commits `after + 1..=until` that speak of the view's
    /// valid time, oldest first: each was the answer until the next.
    ///
    /// # Errors
    /// As for [`View::get`].
    pub fn steps(&self, layer: LayerId, id: &str, after: u64, until: u64) -> Result<Vec<Record>> {
        let entity = key::entity(layer, id);
        let path = self.path(&entity);
        let Some(head) = path.head()? else {
            return Ok(Vec::new());
        };
        let first = path.ordinal_at(&head, after)? + 1;
        let newest = path.ordinal_at(&head, until)?;
        let mut steps = Vec::new();
        for ordinal in first..=newest {
            let track = path.track(ordinal)?;
            if track.valid.contains(self.valid) {
                steps.push(self.load(&path, &head, track.version, &track.place)?);
            }
        }
        Ok(steps)
    }

    /// The records filed in `ranges` that the view's entities are in, as a stream: in order of the
    /// ranges, of places within each, then of layer and id. `wanted` sees each candidate before the
    /// record is built.
    ///
    /// # Cost
    /// One pass over the ranges of the live heads and, for a view of the past, over their history.
    pub fn scan<'v>(
        &'v self,
        ranges: Vec<ScanRange>,
        layers: Option<&[LayerId]>,
        wanted: impl Fn(&Candidate<'_>) -> bool + 'v,
    ) -> Scan<'v, 'a> {
        Scan::new(self, ranges, layers, Box::new(wanted))
    }

    /// The entities that had a state in `ranges` that `wanted` takes, by any version within the
    /// view's commits that holds at some moment of `window`, whether or not another version
    /// overrides it; and what reading each range came to, timed by a clock in microseconds. Memory
    /// grows with their number.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] or [`ErrorKind::Corrupt`] when the tables cannot be read.
    pub fn entities_in(
        &self,
        ranges: &[ScanRange],
        layers: Option<&[LayerId]>,
        window: Interval,
        clock: fn() -> u64,
        wanted: impl Fn(&Candidate<'_>) -> bool,
    ) -> Result<(Entities, Vec<RangeCounts>)> {
        crate::scan::entities_in(self, ranges, layers, window, clock, &wanted)
    }

    /// The entities of which a commit wrote or ended a state at a place that `wanted` takes, and
    /// how many rows it wrote. An absence is reported by the places it ends.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] or [`ErrorKind::Corrupt`] when the tables cannot be read.
    ///
    /// # Cost
    /// Reads the commit's list of keys, not its rows.
    pub fn touched_by(
        &self,
        commit: u64,
        mut wanted: impl FnMut(LayerId, u8, &[u8]) -> bool,
    ) -> Result<(Entities, u64)> {
        let touched = Touched::load(&*self.read, self.spec, commit)?;
        let (mut found, mut rows) = (BTreeSet::new(), 0);
        for record_key in touched.keys() {
            rows += 1;
            let fault = |fault: Fault| fault.in_table("commits", record_key);
            let place = Place::of_key(record_key, self.spec).map_err(fault)?;
            let entity = record_key.get(place.as_bytes().len()..).unwrap_or_default();
            let (layer, id) = key::parse_entity(entity).map_err(fault)?;
            if !place.is_nowhere() && wanted(layer, place.level(), &place.as_bytes()[1..]) {
                found.insert((layer, id));
            }
        }
        Ok((found, rows))
    }

    /// Ranges of all places in cells `first..=last` under each level in use, for
    /// [`View::scan`]: what is filed there, not what reaches into it.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] or [`ErrorKind::Corrupt`] when the tables cannot be read.
    pub fn ranges_of(&self, cell: &Cell) -> Result<Vec<ScanRange>> {
        let mut ranges = Vec::new();
        for (level, _) in self.levels() {
            let cell = if cell.digits() > level {
                cell.ancestor(level)
            } else {
                *cell
            };
            let (low, high) = self.spec.stored_range(&cell, &cell, level)?;
            ranges.push(PlaceRange { level, low, high }.into());
        }
        Ok(ranges)
    }

    /// The states filed under a cell: by the centres of their extents.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] or [`ErrorKind::Corrupt`] when the tables cannot be read.
    pub fn in_cell<'v>(
        &'v self,
        cell: &Cell,
    ) -> Result<impl Iterator<Item = Result<Record>> + use<'v, 'a>> {
        let cell = *cell;
        let scan = self.scan(self.ranges_of(&cell)?, None, |_| true);
        Ok(scan.filter(move |record| match record {
            Ok(record) => record
                .geocode(self.spec)
                .is_some_and(|geocode| cell.contains(&geocode.planar())),
            Err(_) => true,
        }))
    }

    /// The state of an entity if it is filed under exactly this geocode.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] or [`ErrorKind::Corrupt`] when the tables cannot be read.
    pub fn at_geocode(
        &self,
        geocode: &Geocode,
        layer: LayerId,
        id: &str,
    ) -> Result<Option<Record>> {
        Ok(self
            .get(layer, id)?
            .filter(|record| record.geocode(self.spec).as_ref() == Some(geocode)))
    }

    /// The states filed in a block: by the centres of their extents.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] or [`ErrorKind::Corrupt`] when the tables cannot be read.
    pub fn in_block<'v>(
        &'v self,
        block: &Block,
    ) -> Result<impl Iterator<Item = Result<Record>> + use<'v, 'a>> {
        let (block, spec) = (*block, self.spec);
        Ok(self.in_cell(&block.cell())?.filter(move |record| {
            let Ok(record) = record else { return true };
            let geocode = record.geocode(spec);
            geocode.is_some_and(|geocode| spec.block(&geocode) == block)
        }))
    }

    /// The net of blocks as it stood after `commit`, by default after the newest the snapshot
    /// holds.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for a commit that the snapshot does not hold.
    pub fn linked(&self, commit: Option<u64>) -> Result<LinkedNet<'_>> {
        let newest = self.ledger.commit;
        let commit = commit.unwrap_or(newest);
        if commit > newest {
            return Err(Error::new(
                ErrorKind::NotFound,
                format!("there is no commit {commit}; the newest is {newest}"),
            ));
        }
        Ok(LinkedNet::new(&*self.read, self.spec, commit, newest))
    }

    /// Number of blocks of the net, at the newest commit.
    pub fn block_count(&self) -> u64 {
        self.ledger.blocks
    }

    /// A commit's header.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for a number the snapshot does not hold.
    pub fn commit(&self, number: u64) -> Result<CommitInfo> {
        commit_info(&*self.read, number)
    }

    /// The commits of a layer recorded after `after` and up to `until`, in order, at most `max` of
    /// them.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] or [`ErrorKind::Corrupt`] when the tables cannot be read.
    pub fn commits_between(
        &self,
        layer: LayerId,
        after: Moment,
        until: Moment,
        max: usize,
    ) -> Result<Vec<CommitMark>> {
        let mut start = key::moment(layer, after, u64::MAX);
        start.push(0);
        self.commit_marks(layer, start, until, max)
    }

    /// The commits of a layer recorded up to `until`, in order, at most `max` of them.
    ///
    /// # Errors
    /// As for [`View::commits_between`].
    pub fn commits_until(
        &self,
        layer: LayerId,
        until: Moment,
        max: usize,
    ) -> Result<Vec<CommitMark>> {
        self.commit_marks(layer, layer.number().to_be_bytes().to_vec(), until, max)
    }

    fn commit_marks(
        &self,
        layer: LayerId,
        start: Vec<u8>,
        until: Moment,
        max: usize,
    ) -> Result<Vec<CommitMark>> {
        let mut end = key::moment(layer, until, u64::MAX);
        end.push(0);
        let mut marks = Vec::new();
        if start >= end {
            return Ok(marks);
        }
        let mut cursor = self.read.cursor(key::MOMENTS, &KeyRange::new(start, end))?;
        while let Some((row_key, value)) = cursor.entry() {
            if marks.len() >= max {
                break;
            }
            let fault = |fault: Fault| fault.in_table("moments", row_key);
            let (recorded, number) = key::parse_moment(row_key).map_err(fault)?;
            let bounds = Bounds::decode(value).map_err(fault)?;
            marks.push(CommitMark {
                number,
                recorded,
                versions: bounds.versions,
                first: bounds.first,
                last: bounds.last,
            });
            cursor.advance()?;
        }
        Ok(marks)
    }
}
