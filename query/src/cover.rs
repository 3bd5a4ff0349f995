//! Which stretches of keys can hold an answer, and how many rows lie in and between them.
//!
//! An entity is filed under the finest level whose cells are at least twice its extent, at the
//! centre of the extent, so under each level a cell can hold an answer when the cell widened by a
//! quarter of the level's cells meets the area. The zones that the write path keeps say where
//! anything is filed at all, how much, and between which altitudes. Cells on the border of the
//! area are split, the fullest first, down to the level, and below it where all rows of a cell
//! have one altitude code, so that the rest of the key is a planar code again.
//!
//! The result is a list of islands in key order with the rows estimated in and between them; what
//! is joined and what is passed over is decided by the plans.

use std::collections::BinaryHeap;

use blocknet_engine::{Heights, Result, Rows, View, Zone, ZoneReader, zone_depths};
use blocknet_geocode::{Cell, NetSpec, StoredCode};

use crate::area::{Target, UnknownHeight};
use crate::rect::{Rect, Relation};

/// Zones read for one level before a coarser depth is taken.
const ZONES_MAX: u64 = 4_096;
/// Runs of zones read for one level; more would cost more seeks than they save rows.
const ZONE_RUNS: usize = 6;
/// Levels with no more rows than this have their zones read in one run.
const FEW_ROWS: u64 = 256;
/// Items that there is room for from the start.
const ITEMS_AT_FIRST: usize = 512;
/// Digits below a level's cells that a cell of one altitude code is split to.
const BELOW_LEVEL: u8 = 2;

/// A stretch of keys under a level that can hold answers.
#[derive(Clone, Debug)]
pub(crate) struct Island {
    pub(crate) level: u8,
    pub(crate) low: StoredCode,
    pub(crate) high: StoredCode,
    /// Whether every centre in it lies in the area.
    pub(crate) contained: bool,
    /// Rows estimated in it.
    pub(crate) rows: f64,
    /// Rows estimated between the island before it under the same level and this one.
    pub(crate) gap: f64,
    /// Whether nothing at all can be filed between the two.
    pub(crate) clear: bool,
}

/// Islands of all levels, in the order of levels and keys.
///
/// * `with_history`: count the rows of the history too.
/// * `cells_max`: cells a level is split into.
/// * `rows_min`: cells of fewer rows are not split: reading them costs less than testing their parts.
pub(crate) fn islands(
    view: &View<'_>,
    target: &Target,
    with_history: bool,
    cells_max: usize,
    rows_min: f64,
) -> Result<Vec<Island>> {
    let mut found = Vec::new();
    let bounds = target.bounds();
    let mut reader = view.zone_reader();
    for (level, rows) in view.levels() {
        let total = weigh(&rows, with_history);
        let everything = bounds.is_none() && target.altitude.is_none();
        if everything || total == 0 {
            if total > 0 {
                found.push(whole_level(&target.spec, level, rows_of(total))?);
            }
            continue;
        }
        let mut level_cover = LevelCover {
            target,
            level,
            with_history,
            items: Vec::with_capacity(cells_max.min(ITEMS_AT_FIRST)),
            border: BinaryHeap::new(),
        };
        let runs = read_zones(view, &mut reader, target, level, rows, bounds.as_deref())?;
        let (mut counted, mut share) = (0.0, 0.0);
        for run in &runs {
            for zone in &run.zones {
                level_cover.zone(zone)?;
                counted += rows_of(weigh(&zone.rows, with_history));
            }
            share += end_of(&run.last) - position(&run.first);
        }
        // What lies between the runs was not read: taken to be as full as they are.
        for pair in runs.windows(2) {
            let between = position(&pair[1].first) - end_of(&pair[0].last);
            level_cover.unread(&pair[0].last, between * counted / share);
        }
        level_cover.split(cells_max, rows_min)?;
        level_cover.finish(&mut found)?;
    }
    Ok(found)
}

/// The island that all of a level is.
pub(crate) fn whole_level(spec: &NetSpec, level: u8, rows: f64) -> Result<Island> {
    let (low, high) = spec.stored_range(&Cell::ROOT, &Cell::ROOT, level)?;
    Ok(Island {
        level,
        low,
        high,
        contained: false,
        rows,
        gap: 0.0,
        clear: false,
    })
}

pub(crate) fn weigh(rows: &Rows, with_history: bool) -> u64 {
    rows.live + if with_history { rows.past } else { 0 }
}

#[expect(clippy::cast_precision_loss, reason = "an estimate")]
pub(crate) fn rows_of(rows: u64) -> f64 {
    rows as f64
}

/// Zones read in one go.
struct Run {
    first: Cell,
    last: Cell,
    zones: Vec<Zone>,
}

/// The zones that a target may meet under a level, in key order, at the finest depth at which
/// there are not too many.
fn read_zones(
    view: &View<'_>,
    reader: &mut ZoneReader<'_>,
    target: &Target,
    level: u8,
    rows: Rows,
    bounds: Option<&[Rect]>,
) -> Result<Vec<Run>> {
    // No more zones than rows, and no more than blocks where a zone is a block.
    let filed = rows.live.saturating_add(rows.past);
    let mut depths = zone_depths(level).peekable();
    while let Some(depth) = depths.next() {
        let is_last = depths.peek().is_none();
        let most = if depth == target.spec.block_digits() && target.spec.band_digits() == 0 {
            filed.min(view.block_count())
        } else {
            filed
        };
        let cells = bounds.map_or(f64::INFINITY, |bounds| cells_in(bounds, level, depth));
        if !is_last && rows_of(most).min(cells) > rows_of(ZONES_MAX) {
            continue;
        }
        let runs = if filed <= FEW_ROWS { 1 } else { ZONE_RUNS };
        return zone_runs(target, level, depth, bounds, runs)
            .into_iter()
            .map(|(first, last)| {
                let zones = reader.zones(level, depth, (&first, &last), usize::MAX)?;
                Ok(Run { first, last, zones })
            })
            .collect();
    }
    Ok(Vec::new())
}

/// About how many cells of `depth` digits boxes come to, widened as for a level.
fn cells_in(bounds: &[Rect], level: u8, depth: u8) -> f64 {
    let side = 4_f64.powi(i32::from(depth));
    let margin = 0.5 / 4_f64.powi(i32::from(level));
    bounds
        .iter()
        .map(|rect| {
            let wide = ((rect.east - rect.west) / 360.0 + margin) * side + 1.0;
            let high = ((rect.north - rect.south) / 180.0 + margin) * side + 1.0;
            wide.min(side) * high.min(side)
        })
        .sum()
}

/// At most `runs` runs of cells of `depth` digits that hold all that may meet the boxes.
fn zone_runs(
    target: &Target,
    level: u8,
    depth: u8,
    bounds: Option<&[Rect]>,
    runs: usize,
) -> Vec<(Cell, Cell)> {
    let Some(bounds) = bounds else {
        return vec![(Cell::ROOT, last_below(&Cell::ROOT, depth))];
    };
    // Only the boxes count here: the shape itself is asked zone by zone.
    let boxes: Vec<Target> = bounds
        .iter()
        .map(|rect| Target {
            area: crate::area::Area::Window(crate::area::Window::flat(
                rect.west, rect.south, rect.east, rect.north,
            )),
            altitude: None,
            ring: None,
            ..target.clone()
        })
        .collect();
    let relation = |cell: &Cell| {
        let relations = boxes.iter().map(|target| target.filed_in(cell, level));
        relations.max().unwrap_or(Relation::Apart)
    };
    let mut cells: Vec<Cell> = bounds
        .iter()
        .map(|rect| around(&target.spec, rect, level))
        .collect();
    cells.sort_unstable();
    cells.dedup_by(|next, first| first.contains(next));
    loop {
        // All at once, a digit deeper each time: few cells of a depth meet a box.
        let mut finer = Vec::new();
        let mut split = false;
        for cell in &cells {
            if cell.digits() >= depth || relation(cell) == Relation::Within {
                finer.push(*cell);
                continue;
            }
            split = true;
            finer.extend(
                cell.children()
                    .filter(|cell| relation(cell) != Relation::Apart),
            );
        }
        let enough = finer.len() > 4 * runs;
        cells = finer;
        if !split || enough {
            break;
        }
    }
    // Join the nearest until few enough are left.
    let mut found: Vec<(Cell, Cell)> = cells.into_iter().map(|cell| (cell, cell)).collect();
    let mut gaps: Vec<f64> = found
        .windows(2)
        .map(|pair| position(&pair[1].0) - end_of(&pair[0].1))
        .collect();
    gaps.sort_by(f64::total_cmp);
    let kept = gaps.len().checked_sub(runs - 1).map_or(-1.0, |excess| {
        excess.checked_sub(1).map_or(0.0, |index| gaps[index])
    });
    let mut joined: Vec<(Cell, Cell)> = Vec::new();
    for (first, last) in found.drain(..) {
        match joined.last_mut() {
            Some(run) if position(&first) - end_of(&run.1) <= kept.max(0.0) => run.1 = last,
            _ => joined.push((first, last)),
        }
    }
    joined
        .into_iter()
        .map(|(first, last)| (first, last_below(&last, depth)))
        .collect()
}

/// The smallest cell, at most as deep as the level, in which all that may meet a box is filed. A
/// cell is a box itself, so it holds a box when it holds two opposite corners.
fn around(spec: &NetSpec, rect: &Rect, level: u8) -> Cell {
    let cells = 4_f64.powi(i32::from(level));
    let wide = rect.widened(90.1 / cells + 1e-12, 45.1 / cells + 1e-12);
    // Places at 180 degrees and at the poles are filed elsewhere.
    if wide.west <= -180.0 || wide.east >= 180.0 || wide.south <= -90.0 || wide.north >= 90.0 {
        return Cell::ROOT;
    }
    let corner = |longitude, latitude| spec.cell_at(longitude, latitude, level);
    let (Ok(one), Ok(other)) = (corner(wide.west, wide.south), corner(wide.east, wide.north))
    else {
        return Cell::ROOT;
    };
    let shared = (0..=level)
        .rev()
        .find(|digits| one.ancestor(*digits) == other.ancestor(*digits));
    one.ancestor(shared.unwrap_or(0))
}

/// The last cell of `depth` digits inside a cell.
fn last_below(cell: &Cell, depth: u8) -> Cell {
    (cell.digits()..depth).fold(*cell, |cell, _| cell.child(15).unwrap_or(cell))
}

/// Where a cell begins along the curve, the whole being 1.
fn position(cell: &Cell) -> f64 {
    (0..cell.digits()).fold(0.0, |sum, index| {
        let digit = f64::from(cell.digit(index).unwrap_or(0));
        sum + digit / 16_f64.powi(i32::from(index) + 1)
    })
}

fn end_of(cell: &Cell) -> f64 {
    position(cell) + 16_f64.powi(-i32::from(cell.digits()))
}

/// A cell on the border of the area, ordered by its rows.
struct Border {
    rows: f64,
    cell: Cell,
    heights: Heights,
}

impl PartialEq for Border {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Border {}
impl PartialOrd for Border {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Border {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.rows
            .total_cmp(&other.rows)
            .then_with(|| other.cell.cmp(&self.cell))
    }
}

/// A part of an island, or rows that no island holds. Its codes are made for islands alone: items
/// are many, and lie in the order of their cells.
struct Item {
    cell: Cell,
    /// Altitude codes, within a cell of the level; `None` for all.
    slab: Option<(u64, u64)>,
    rows: f64,
    /// `None` for rows that are not wanted; else whether the centres are known to lie inside.
    wanted: Option<bool>,
}

struct LevelCover<'a> {
    target: &'a Target,
    level: u8,
    with_history: bool,
    items: Vec<Item>,
    border: BinaryHeap<Border>,
}

impl LevelCover<'_> {
    fn zone(&mut self, zone: &Zone) -> Result<()> {
        let rows = rows_of(weigh(&zone.rows, self.with_history));
        // Altitudes hold for all that was ever filed, so no view finds anything in it.
        let ruled_out = zone.rows == Rows::default() || self.rules_out(&zone.heights);
        self.place(zone.cell, rows, zone.heights, ruled_out)
    }

    fn rules_out(&self, heights: &Heights) -> bool {
        let Some(altitude) = &self.target.altitude else {
            return false;
        };
        let includes = altitude.unknown == UnknownHeight::Include;
        let maybe = includes && (heights.unknown || heights.partial);
        let reaches = altitude.highest >= f64::from(heights.floor)
            && altitude.lowest <= f64::from(heights.top);
        !maybe && !reaches
    }

    /// Files a cell as an island, as something to split, or as unwanted.
    fn place(&mut self, cell: Cell, rows: f64, heights: Heights, ruled_out: bool) -> Result<()> {
        let relation = if ruled_out {
            Relation::Apart
        } else {
            self.target.filed_in(&cell, self.level)
        };
        match relation {
            Relation::Apart => {
                self.push(cell, None, rows, None);
                Ok(())
            }
            Relation::Within if self.target.altitude.is_none() => {
                self.wanted(cell, rows, &heights, true)
            }
            _ if self.can_split(&cell, &heights) => {
                self.border.push(Border {
                    rows,
                    cell,
                    heights,
                });
                Ok(())
            }
            relation => self.wanted(cell, rows, &heights, relation == Relation::Within),
        }
    }

    fn can_split(&self, cell: &Cell, heights: &Heights) -> bool {
        let deepest = if heights.is_flat() && self.target.altitude.is_none() {
            (self.level + BELOW_LEVEL).min(self.target.spec.planar_digits())
        } else {
            self.level
        };
        cell.digits() < deepest
    }

    /// The codes of an item: at all altitudes, or below the level, where all rows have code 0.
    fn codes(&self, item: &Item) -> Result<(StoredCode, StoredCode)> {
        let spec = &self.target.spec;
        Ok(match item.slab {
            Some(slab) => spec.stored_slab(&item.cell, self.level, slab)?,
            None if item.cell.digits() <= self.level => {
                spec.stored_range(&item.cell, &item.cell, self.level)?
            }
            None => spec.stored_slab(&item.cell, self.level, (0, 0))?,
        })
    }

    fn push(&mut self, cell: Cell, slab: Option<(u64, u64)>, rows: f64, wanted: Option<bool>) {
        self.items.push(Item {
            cell,
            slab,
            rows,
            wanted,
        });
    }

    /// Notes rows behind a cell of which nothing is known.
    fn unread(&mut self, behind: &Cell, rows: f64) {
        let rows = if rows.is_finite() { rows } else { 0.0 };
        self.push(last_below(behind, Cell::DIGITS_MAX), None, rows, None);
    }

    fn wanted(&mut self, cell: Cell, rows: f64, heights: &Heights, contained: bool) -> Result<()> {
        if let Some(slab) = self.slab(&cell, heights)? {
            return self.slab_items(cell, rows, heights, contained, slab);
        }
        self.push(cell, None, rows, Some(contained));
        Ok(())
    }

    /// The altitude codes of centres that an altitude band may meet in a cell of the level, and
    /// which share of the cell's altitudes they are; `None` when the band narrows nothing.
    fn slab(&self, cell: &Cell, heights: &Heights) -> Result<Option<((u64, u64), f64)>> {
        let spec = &self.target.spec;
        let Some(altitude) = &self.target.altitude else {
            return Ok(None);
        };
        let includes = altitude.unknown == UnknownHeight::Include;
        if cell.digits() != self.level || spec.altitude_digits() == 0 {
            return Ok(None);
        }
        if includes && heights.partial {
            // What has only a floor or a top is filed by that, and may reach anywhere.
            return Ok(None);
        }
        let (least, most) = spec.altitude_range_metres();
        let half = f64::from(heights.height) / 2.0;
        let code = |metres: f64| spec.altitude_code(metres.clamp(least, most));
        let low = code(altitude.lowest - half)?.saturating_sub(1);
        let high = code(altitude.highest + half)?
            .saturating_add(1)
            .min(code(most)?);
        let (floor, top) = (f64::from(heights.floor), f64::from(heights.top));
        let shared = (altitude.highest + half).min(top) - (altitude.lowest - half).max(floor);
        let share = shared / (top - floor);
        let share = if share.is_finite() {
            share.clamp(0.0, 1.0)
        } else {
            1.0
        };
        Ok(Some(((low, high), share)))
    }

    fn slab_items(
        &mut self,
        cell: Cell,
        rows: f64,
        heights: &Heights,
        contained: bool,
        ((low, high), share): ((u64, u64), f64),
    ) -> Result<()> {
        let spec = &self.target.spec;
        let includes = self
            .target
            .altitude
            .is_some_and(|altitude| altitude.unknown == UnknownHeight::Include);
        // What has no altitude stands first, under code 0.
        let ground = includes && heights.unknown;
        let known = heights.floor < f32::INFINITY || heights.top > f32::NEG_INFINITY;
        let (own, rest) = match (ground, known) {
            (true, false) => (0.0, 0.0),
            _ => (rows * share, rows * (1.0 - share)),
        };
        let mut item = |codes, rows, wanted| self.push(cell, Some(codes), rows, wanted);
        if ground && (low > 0 || !known) {
            item((0, 0), if known { 0.0 } else { rows }, Some(contained));
        }
        if !known {
            return Ok(());
        }
        let below = u64::from(ground && low > 0);
        if low > below {
            item((below, low - 1), rest / 2.0, None);
        }
        item((low, high), own, Some(contained));
        if high < spec.altitude_code(spec.altitude_range_metres().1)? {
            item((high + 1, u64::MAX), rest / 2.0, None);
        }
        Ok(())
    }

    /// Splits border cells, the fullest first, until there are `cells_max` items or none is left
    /// that is worth it.
    fn split(&mut self, cells_max: usize, rows_min: f64) -> Result<()> {
        while let Some(Border {
            rows,
            cell,
            heights,
        }) = self.border.pop()
        {
            if self.items.len() + self.border.len() >= cells_max || rows < rows_min {
                let contained = false;
                self.wanted(cell, rows, &heights, contained)?;
                continue;
            }
            for child in cell.children() {
                self.place(child, rows / 16.0, heights, false)?;
            }
        }
        Ok(())
    }

    /// Joins what has nothing between and hands over the islands.
    fn finish(mut self, found: &mut Vec<Island>) -> Result<()> {
        let mut items = std::mem::take(&mut self.items);
        items.sort_by_key(|item| (item.cell, item.slab.map(|(lowest, _)| lowest)));
        let (mut gap, mut clear) = (0.0, true);
        let mut last: Option<Island> = None;
        for item in &items {
            let Some(contained) = item.wanted else {
                gap += item.rows;
                clear = false;
                continue;
            };
            let (low, high) = self.codes(item)?;
            match &mut last {
                Some(island) if clear && island.contained == contained => {
                    island.high = high;
                    island.rows += item.rows;
                }
                _ => {
                    found.extend(last.replace(Island {
                        level: self.level,
                        low,
                        high,
                        contained,
                        rows: item.rows,
                        gap,
                        clear,
                    }));
                }
            }
            (gap, clear) = (0.0, true);
        }
        found.extend(last);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
