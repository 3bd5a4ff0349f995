//! Zones: how much is filed where, and between which altitudes. The planner's statistics.
//!
//! A place under a level lies in one zone of each depth in [`depths`]: the cell of the level
//! itself, the cell three digits coarser, and so on. A commit writes the zones of what it files,
//! so a modification pays for a fixed number of small rows however large the net is.
//!
//! Counts are of the newest commit. Altitudes only ever widen: they hold for every version ever
//! filed in the zone, so that what they rule out can be passed over at any point in time.

#![warn(clippy::indexing_slicing)]

use std::collections::BTreeMap;

use blocknet_geocode::{Cell, NetSpec};
use blocknet_kv::{Batch, Cursor, KeyRange, Read};

use crate::codec::{Decoder, Encoder};
use crate::error::{Error, Fault, Hex, Result};
use crate::key;
use crate::record::{Extent, Header, Place, flag};

/// Digits between the zones of one level: each zone holds up to 4,096 of the next finer depth.
pub const ZONE_STEP: u8 = 3;

/// What is filed in a zone, or under a level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// Live heads.
    pub live: u64,
    /// Rows of the history: other versions, and closing rows.
    pub past: u64,
}

impl Rows {
    pub(crate) fn add(&mut self, live: i64, past: u64) -> Option<()> {
        self.live = self.live.checked_add_signed(live)?;
        self.past = self.past.checked_add(past)?;
        Some(())
    }
}

/// Altitudes of everything ever filed in a zone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Heights {
    /// Lowest floor known, rounded down to `f32`; infinite when none is.
    pub floor: f32,
    /// Highest top known, rounded up; negative infinity when none is.
    pub top: f32,
    /// Largest height between a floor and a top both known, rounded up; 0 when there is none.
    pub height: f32,
    /// Whether something has neither floor nor top.
    pub unknown: bool,
    /// Whether something has only one of floor and top.
    pub partial: bool,
}

impl Heights {
    pub(crate) const NONE: Self = Self {
        floor: f32::INFINITY,
        top: f32::NEG_INFINITY,
        height: 0.0,
        unknown: false,
        partial: false,
    };

    /// Those that a version adds: of a lost one the widest there are, so that no query passes it
    /// over.
    pub(crate) fn of_version(header: &Header) -> Self {
        if !header.is_lost() {
            return header.extent.as_ref().map_or(Self::NONE, Self::of);
        }
        let floor = header.flags & flag::FLOOR_KNOWN != 0;
        let top = header.flags & flag::TOP_KNOWN != 0;
        Self {
            floor: if floor { f32::MIN } else { f32::INFINITY },
            top: if top { f32::MAX } else { f32::NEG_INFINITY },
            height: if floor && top { f32::MAX } else { 0.0 },
            unknown: !floor && !top,
            partial: floor != top,
        }
    }

    pub(crate) fn of(extent: &Extent) -> Self {
        Self {
            floor: extent.floor.map_or(f32::INFINITY, rounded_down),
            top: extent.top.map_or(f32::NEG_INFINITY, rounded_up),
            height: match (extent.floor, extent.top) {
                (Some(floor), Some(top)) => rounded_up((top - floor).next_up()),
                _ => 0.0,
            },
            unknown: extent.floor.is_none() && extent.top.is_none(),
            partial: extent.floor.is_some() != extent.top.is_some(),
        }
    }

    #[must_use]
    pub(crate) fn join(self, other: Self) -> Self {
        Self {
            floor: self.floor.min(other.floor),
            top: self.top.max(other.top),
            height: self.height.max(other.height),
            unknown: self.unknown || other.unknown,
            partial: self.partial || other.partial,
        }
    }

    /// Whether every altitude ever filed is unknown, so that all rows of a cell have altitude
    /// code 0.
    pub fn is_flat(&self) -> bool {
        !self.partial && self.floor == f32::INFINITY
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "rounded to the safe side after"
)]
fn rounded_down(value: f64) -> f32 {
    let near = value as f32;
    if f64::from(near) > value {
        near.next_down()
    } else {
        near
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "rounded to the safe side after"
)]
fn rounded_up(value: f64) -> f32 {
    let near = value as f32;
    if f64::from(near) < value {
        near.next_up()
    } else {
        near
    }
}

/// A row of `zones`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Zone {
    /// The cell.
    pub cell: Cell,
    /// What is filed there.
    pub rows: Rows,
    /// Between which altitudes.
    pub heights: Heights,
}

/// The depths at which a level keeps zones, finest first: at least one.
pub fn zone_depths(level: u8) -> impl Iterator<Item = u8> {
    (0..=level / ZONE_STEP).filter_map(move |step| {
        let depth = level - step * ZONE_STEP;
        // The whole plane is one zone only under level 0: totals of a level stand in `meta`.
        (depth > 0 || level == 0).then_some(depth)
    })
}

const UNKNOWN: u8 = 1;
const PARTIAL: u8 = 2;

/// More rows than any net has. Verification adds counts up, each times a secret number: of counts
/// this small nobody can make up two that are wrong and cancel out.
const ROWS_MAX: u64 = 1 << 40;

/// Value of a row: `live u64 | past u64 | flags u8 | floor f32 | top f32 | height f32`.
fn encode(rows: Rows, heights: &Heights) -> Vec<u8> {
    let mut out = Encoder::with_capacity(29);
    let flags = (u8::from(heights.unknown) * UNKNOWN) | (u8::from(heights.partial) * PARTIAL);
    out.u64(rows.live).u64(rows.past).u8(flags);
    for metres in [heights.floor, heights.top, heights.height] {
        out.raw(&metres.to_le_bytes());
    }
    out.0
}

pub(crate) fn decode(bytes: &[u8]) -> Result<(Rows, Heights), Fault> {
    let mut input = Decoder(bytes);
    let rows = Rows {
        live: input.u64()?,
        past: input.u64()?,
    };
    let flags = input.u8()?;
    let mut metres = || input.array().map(f32::from_le_bytes);
    let heights = Heights {
        floor: metres()?,
        top: metres()?,
        height: metres()?,
        unknown: flags & UNKNOWN != 0,
        partial: flags & PARTIAL != 0,
    };
    input.finish()?;
    let numbers = [heights.floor, heights.top, heights.height];
    if flags > (UNKNOWN | PARTIAL)
        || rows.live.max(rows.past) > ROWS_MAX
        || numbers.iter().any(|metres| metres.is_nan())
    {
        return Err(Fault::Value { what: "zone" });
    }
    Ok((rows, heights))
}

/// Key of the zone of `depth` digits that a place lies in: `level u8 | depth u8 | cell`.
pub(crate) fn key_of(place: &Place, depth: u8) -> Vec<u8> {
    let mut key = vec![place.level(), depth];
    // The stored code begins with the digits of the level's cell.
    key.extend(
        place
            .as_bytes()
            .iter()
            .skip(1)
            .take(usize::from(depth.div_ceil(2))),
    );
    if depth % 2 == 1
        && let Some(last) = key.last_mut()
    {
        *last &= 0xf0;
    }
    key
}

/// Whether a place lies in the zone with this key, of its level.
pub(crate) fn holds(row_key: &[u8], place: &Place) -> bool {
    let (Some((&[_, depth], cell)), Some(code)) =
        (row_key.split_first_chunk(), place.as_bytes().get(1..))
    else {
        return false;
    };
    let half = depth % 2;
    let whole = usize::from(depth / 2);
    cell.get(..whole) == code.get(..whole)
        && (half == 0
            || matches!((cell.get(whole), code.get(whole)), (Some(a), Some(b)) if *a == *b & 0xf0))
}

/// Checks that a key is one that a commit writes.
pub(crate) fn check_key(spec: &NetSpec, row_key: &[u8]) -> Result<(), Fault> {
    let sound = row_key
        .split_first_chunk()
        .is_some_and(|(&[level, depth], cell)| {
            level <= spec.planar_digits()
                && zone_depths(level).any(|kept| kept == depth)
                && cell.len() == usize::from(depth.div_ceil(2))
                && (depth % 2 == 0 || cell.last().is_some_and(|last| last.trailing_zeros() >= 4))
        });
    if sound {
        Ok(())
    } else {
        Err(Fault::Value {
            what: "key of a zone",
        })
    }
}

/// Keys of the zones of a level and depth from cell `first` to cell `last`.
fn range_of(level: u8, depth: u8, first: &Cell, last: &Cell) -> KeyRange {
    let key = |cell: &Cell| {
        let mut key = vec![level, depth];
        key.extend_from_slice(cell.ancestor(depth).to_packed().as_ref());
        key
    };
    let mut end = key(last);
    end.push(0);
    KeyRange::new(key(first), end)
}

/// What a commit changes in the zones, gathered while its rows are written.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// By place of the finest zone.
    zones: BTreeMap<Vec<u8>, Change>,
}

#[derive(Clone, Copy, Debug)]
struct Change {
    live: i64,
    past: u64,
    heights: Heights,
}

impl Changes {
    /// Notes `live` more heads and `past` more rows of the history at a place.
    pub(crate) fn add(&mut self, place: &Place, live: i64, past: u64, heights: Heights) {
        for depth in zone_depths(place.level()) {
            let change = self.zones.entry(key_of(place, depth)).or_insert(Change {
                live: 0,
                past: 0,
                heights: Heights::NONE,
            });
            change.live += live;
            change.past += past;
            change.heights = change.heights.join(heights);
        }
    }

    /// Writes the zones as they are after the commit, and brings the totals of levels up to date.
    pub(crate) fn write(
        &self,
        read: &dyn Read,
        levels: &mut BTreeMap<u8, Rows>,
        batch: &mut Batch,
    ) -> Result<()> {
        let keys: Vec<&[u8]> = self.zones.keys().map(Vec::as_slice).collect();
        let before = read.multi_get(key::ZONES, &keys)?;
        for ((row_key, change), value) in self.zones.iter().zip(before) {
            let fault = |fault: Fault| fault.in_table("zones", row_key);
            let (mut rows, heights) = match value {
                None => (Rows::default(), Heights::NONE),
                Some(bytes) => decode(&bytes).map_err(fault)?,
            };
            rows.add(change.live, change.past)
                .ok_or_else(|| miscounted(row_key))?;
            let row = encode(rows, &heights.join(change.heights));
            batch.put(key::ZONES, row_key.clone(), row);
            // The finest zone of each level, in which everything is counted once.
            if let Some([level, depth]) = row_key.first_chunk()
                && level == depth
            {
                let total = levels.entry(*level).or_default();
                total
                    .add(change.live, change.past)
                    .ok_or_else(|| miscounted(row_key))?;
            }
        }
        Ok(())
    }
}

fn miscounted(row_key: &[u8]) -> Error {
    Error::corrupt(format!(
        "tables: `zones`, row {}: fewer rows than there are; move the directory `tables` away and \
         open the store for writing, which rebuilds it from the journal",
        Hex(row_key)
    ))
}

/// Reads zones with one cursor, forward only.
pub struct ZoneReader<'v> {
    read: &'v dyn Read,
    cursor: Option<Box<dyn Cursor + 'v>>,
}

impl std::fmt::Debug for ZoneReader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ZoneReader").finish_non_exhaustive()
    }
}

impl<'v> ZoneReader<'v> {
    pub(crate) fn new(read: &'v dyn Read) -> Self {
        Self { read, cursor: None }
    }

    /// The zones of `depth` digits under a level from the cell `first` to the cell `last` along
    /// the curve, in order, at most `max` of them. Zones in which nothing was ever filed are left
    /// out, and so is what lies before the zones of an earlier call: ask by level, then depth, then
    /// cell. Depths are those of [`zone_depths`].
    ///
    /// # Errors
    /// [`crate::ErrorKind::Io`] or [`crate::ErrorKind::Corrupt`] when the tables cannot be read.
    ///
    /// # Cost
    /// A cursor for the first call, a seek for each further one, and a small row for each zone.
    pub fn zones(
        &mut self,
        level: u8,
        depth: u8,
        (first, last): (&Cell, &Cell),
        max: usize,
    ) -> Result<Vec<Zone>> {
        let KeyRange { start, end } = range_of(level, depth, first, last);
        let cursor = match &mut self.cursor {
            Some(cursor) => {
                cursor.seek(&start)?;
                cursor
            }
            none => {
                let from_here = KeyRange { start, end: None };
                none.insert(self.read.cursor(key::ZONES, &from_here)?)
            }
        };
        let mut found = Vec::new();
        while let Some((row_key, value)) = cursor.entry() {
            let behind = end.as_deref().is_some_and(|end| row_key >= end);
            if behind || found.len() >= max {
                break;
            }
            let fault = |fault: Fault| fault.in_table("zones", row_key);
            let (rows, heights) = decode(value).map_err(fault)?;
            let cell = row_key
                .get(2..)
                .and_then(|packed| Cell::from_packed(packed, depth).ok())
                .ok_or_else(|| fault(Fault::Value { what: "cell" }))?;
            found.push(Zone {
                cell,
                rows,
                heights,
            });
            cursor.advance()?;
        }
        Ok(found)
    }
}

/// Every zone and level total that the rows of `records` and `history` should give: what
/// [`crate::Net::audit`] compares with. Heights are compared as bounds, since they never shrink.
pub(crate) fn expected(
    read: &dyn Read,
    spec: &NetSpec,
) -> Result<BTreeMap<Vec<u8>, (Rows, Heights)>> {
    let mut all: BTreeMap<Vec<u8>, (Rows, Heights)> = BTreeMap::new();
    for table in [key::RECORDS, key::HISTORY] {
        let mut cursor = read.cursor(table, &KeyRange::all())?;
        while let Some((row_key, value)) = cursor.entry() {
            let fault = |fault: Fault| fault.in_table(key::table_name(table), row_key);
            let place = Place::of_key(row_key, spec).map_err(fault)?;
            if !place.is_nowhere() {
                let extent = crate::record::Peeked::decode(value, spec)
                    .and_then(|peeked| peeked.extent(spec))
                    .map_err(fault)?;
                let heights = extent.as_ref().map_or(Heights::NONE, Heights::of);
                for depth in zone_depths(place.level()) {
                    let entry = all
                        .entry(key_of(&place, depth))
                        .or_insert((Rows::default(), Heights::NONE));
                    entry.0.live += u64::from(table == key::RECORDS);
                    entry.0.past += u64::from(table == key::HISTORY);
                    entry.1 = entry.1.join(heights);
                }
            }
            cursor.advance()?;
        }
    }
    Ok(all)
}

/// Whether a stored zone says what the rows give: equal counts, and bounds that hold them.
pub(crate) fn agrees(stored: &[u8], rows: Rows, heights: &Heights) -> bool {
    decode(stored).is_ok_and(|(found, bounds)| found == rows && bounds.join(*heights) == bounds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::golden;

    #[test]
    fn a_zone_has_these_bytes() {
        let rows = Rows { live: 3, past: 258 };
        let heights = Heights {
            floor: -1.5,
            top: 2.0,
            height: 0.5,
            unknown: false,
            partial: true,
        };
        let bytes = golden("0300000000000000 0201000000000000 02 0000c0bf 00000040 0000003f");
        assert_eq!(encode(rows, &heights), bytes);
        assert_eq!(decode(&bytes), Ok((rows, heights)));
        for cut in 0..bytes.len() {
            assert!(decode(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        let mut odd = bytes.clone();
        odd[16] = 4;
        assert!(decode(&odd).is_err());
        odd[16] = 0;
        odd[17..21].copy_from_slice(&f32::NAN.to_le_bytes());
        assert!(decode(&odd).is_err());
        let most = Rows {
            live: ROWS_MAX,
            past: 0,
        };
        assert!(decode(&encode(most, &heights)).is_ok());
        let past = ROWS_MAX + 1;
        assert!(decode(&encode(Rows { past, ..rows }, &heights)).is_err());
    }

    #[test]
    fn zones_stand_three_digits_apart() {
        let depths = |level| zone_depths(level).collect::<Vec<_>>();
        assert_eq!(depths(9), [9, 6, 3]);
        assert_eq!(depths(8), [8, 5, 2]);
        assert_eq!(depths(2), [2]);
        assert_eq!(depths(0), [0]);
    }

    #[test]
    fn keys_are_level_depth_and_cell() {
        let spec = NetSpec::city();
        let house = Extent::flat(4.8951, 52.3702, 4.8952, 52.3703);
        let (place, geocode) = Place::new(&spec, &house).unwrap();
        assert_eq!(place.level(), 9);
        for depth in zone_depths(9) {
            let cell = geocode.planar().ancestor(depth);
            let range = range_of(9, depth, &cell, &cell);
            assert!(range.contains(&key_of(&place, depth)), "{depth}");
            let row_key = key_of(&place, depth);
            assert!(holds(&row_key, &place));
            assert_eq!(check_key(&spec, &row_key), Ok(()));
            assert!(check_key(&spec, &row_key[..row_key.len() - 1]).is_err());
            let mut odd = row_key.clone();
            odd[2] ^= 0x10;
            assert!(!holds(&odd, &place), "{depth}");
            if depth % 2 == 1 {
                *odd.last_mut().unwrap() |= 1;
                assert!(check_key(&spec, &odd).is_err(), "{depth}");
            }
            if let Some(next) = cell.successor() {
                assert!(!range_of(9, depth, &next, &next).contains(&key_of(&place, depth)));
            }
        }
    }

    #[test]
    fn heights_are_rounded_outward() {
        let heights = Heights::of(&Extent::point(0.0, 0.0).between(0.1, 0.3));
        assert!(f64::from(heights.floor) <= 0.1 && f64::from(heights.top) >= 0.3);
        assert!(f64::from(heights.height) >= 0.3 - 0.1);
        assert!(!heights.is_flat());
        assert!(Heights::of(&Extent::point(0.0, 0.0)).is_flat());
    }
}
