//! Key ranges that hold everything a window may meet, within a budget.
//!
//! Pure: no store is touched. An entity is filed under the finest level whose cells are at least
//! twice its extent, at the centre of the extent, so under each level the window is widened by a
//! quarter of that level's cells. Cells on the border of the widened window are split until the
//! work is done or a bound is reached; then the cheapest gaps are closed until the budget holds.

use std::collections::BinaryHeap;

use blocknet_engine::{PlaceRange, Result};
use blocknet_geocode::{Cell, NetSpec};

use crate::window::Window;

/// Key ranges a query may use, over all levels, unless told otherwise.
pub const MAX_RANGES: usize = 32;

/// Cells under one level before splitting stops, as a multiple of the budget: more would be merged
/// away again.
const CELLS_PER_RANGE: usize = 8;
/// Cells deeper than this have codes of more than 128 bits; they are never split further.
const DEPTH_MAX: u8 = 32;

/// Columns and rows, both ends included, at the depth of a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rect {
    columns: (u128, u128),
    rows: (u128, u128),
}

/// A run of cells of one level: first and last, and their codes at the depth of the level.
#[derive(Clone, Copy, Debug)]
struct Run {
    level: u8,
    first: Cell,
    last: Cell,
    low: u128,
    high: u128,
}

/// At most `max_ranges` ranges (but one for each level in use) that hold everything under
/// `levels` that meets `window`, in the order of levels and keys.
///
/// # Errors
/// Those of the geocode, for a window out of range.
pub fn cover(
    spec: &NetSpec,
    window: &Window,
    levels: impl IntoIterator<Item = u8>,
    max_ranges: usize,
) -> Result<Vec<PlaceRange>> {
    let mut runs = Vec::new();
    for level in levels {
        let mut cells = Vec::new();
        for rect in rects(spec, window, level)? {
            split(
                spec,
                level,
                rect,
                max_ranges.saturating_mul(CELLS_PER_RANGE),
                &mut cells,
            );
        }
        for pole in poles(window) {
            cells.push(spec.cell_at(0.0, pole, level.min(DEPTH_MAX))?);
        }
        let mut level_runs: Vec<Run> = cells.iter().map(|cell| run(level, cell)).collect();
        // Of two runs that start together the wider comes first, so that it holds the other.
        level_runs.sort_unstable_by_key(|run| (run.low, std::cmp::Reverse(run.high)));
        for next in level_runs {
            match runs.last_mut() {
                Some(last) if joins(last, &next) => join(last, &next),
                _ => runs.push(next),
            }
        }
    }
    close_gaps(&mut runs, max_ranges);
    runs.iter()
        .map(|run| {
            let (low, high) = spec.stored_range(&run.first, &run.last, run.level)?;
            Ok(PlaceRange {
                level: run.level,
                low,
                high,
            })
        })
        .collect()
}

/// The poles a window touches: all longitudes of a pole are one place, filed under one of them. So
/// is the centre of a box one step of `f64` high beside a pole, since it is rounded to the pole.
fn poles(window: &Window) -> impl Iterator<Item = f64> {
    const LAST: f64 = 90.0_f64.next_down();
    let north = (window.north >= LAST).then_some(90.0);
    let south = (window.south <= -LAST).then_some(-90.0);
    north.into_iter().chain(south)
}

/// The widened window in columns and rows of a level.
fn rects(spec: &NetSpec, window: &Window, level: u8) -> Result<Vec<Rect>> {
    let depth = level.min(DEPTH_MAX);
    // A hair more than a quarter, for the rounding of centres.
    let margin = 0.25 * (1.0 + 1e-9) / 4_f64.powi(i32::from(level));
    let (wide, high) = (360.0 * margin + 1e-12, 180.0 * margin + 1e-12);
    let south = (window.south - high).max(-90.0);
    let north = (window.north + high).min(90.0);
    let rows = spec.window_rows(south, north, depth)?;
    let mut rects = Vec::new();
    for (west, east) in window.spans() {
        let (west, east) = (west - wide, east + wide);
        let spans = if east - west >= 360.0 {
            vec![(-180.0, 180.0)]
        } else if west < -180.0 {
            vec![(west + 360.0, 180.0), (-180.0, east)]
        } else if east > 180.0 {
            vec![(west, 180.0), (-180.0, east - 360.0)]
        } else {
            vec![(west, east)]
        };
        for (west, east) in spans {
            let columns = spec.window_columns(west, east, depth)?;
            rects.push(Rect { columns, rows });
        }
    }
    Ok(rects)
}

/// A cell on the border of a rectangle, ordered by how much of it lies outside.
struct Partial {
    outside: f64,
    cell: Cell,
}

impl PartialEq for Partial {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Partial {}
impl PartialOrd for Partial {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Partial {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.outside
            .total_cmp(&other.outside)
            .then_with(|| other.cell.cmp(&self.cell))
    }
}

/// Splits cells, the most wasteful first, until each lies inside the rectangle or is a cell of the
/// level, or there are `cells_max`.
fn split(spec: &NetSpec, level: u8, rect: Rect, cells_max: usize, out: &mut Vec<Cell>) {
    let depth = level.min(DEPTH_MAX);
    let mut border = BinaryHeap::new();
    let mut inside = 0;
    let mut place = |cell: Cell, border: &mut BinaryHeap<Partial>, inside: &mut usize| match outside(
        spec, &cell, depth, &rect,
    ) {
        None => {}
        Some(share) if share <= 0.0 || cell.digits() >= depth => {
            out.push(cell);
            *inside += 1;
        }
        Some(outside) => border.push(Partial { outside, cell }),
    };
    place(Cell::ROOT, &mut border, &mut inside);
    while inside + border.len() < cells_max {
        let Some(Partial { cell, .. }) = border.pop() else {
            break;
        };
        for child in cell.children() {
            place(child, &mut border, &mut inside);
        }
    }
    out.extend(border.into_iter().map(|partial| partial.cell));
}

/// How many cells of `depth` of a cell lie outside a rectangle; `None` when all of them do.
fn outside(spec: &NetSpec, cell: &Cell, depth: u8, rect: &Rect) -> Option<f64> {
    let shift = 2 * u32::from(depth - cell.digits());
    let (x, y) = spec.indices(cell);
    let last = |index: u128| (index << shift) | ((1_u128 << shift) - 1);
    // Depth 32 has 64 bits per axis, so nothing overflows.
    let shared = |(from, to): (u128, u128), index: u128| {
        let (low, high) = ((index << shift).max(from), last(index).min(to));
        if low > high { 0 } else { high - low + 1 }
    };
    let (columns, rows) = (shared(rect.columns, x), shared(rect.rows, y));
    if columns == 0 || rows == 0 {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "an estimate to order cells by")]
    let (all, columns, rows) = ((1_u128 << shift) as f64, columns as f64, rows as f64);
    Some(all * all - columns * rows)
}

fn run(level: u8, cell: &Cell) -> Run {
    let depth = level.min(DEPTH_MAX);
    let mut low = 0_u128;
    for index in 0..depth {
        low = low << 4 | u128::from(cell.digit(index).unwrap_or(0));
    }
    let below = 4 * u32::from(depth - cell.digits());
    // Shifting by all 128 bits is not defined: the root of 32 digits holds every code.
    let width = 1_u128
        .checked_shl(below)
        .map_or(u128::MAX, |cells| cells - 1);
    Run {
        level,
        first: *cell,
        last: *cell,
        low,
        high: low | width,
    }
}

/// Whether two runs in order touch or overlap.
fn joins(last: &Run, next: &Run) -> bool {
    last.level == next.level && next.low <= last.high.saturating_add(1)
}

fn join(last: &mut Run, next: &Run) {
    if next.high > last.high {
        last.high = next.high;
        last.last = next.last;
    }
}

/// Joins runs across the cheapest gaps, priced by the share of the planet they add, until at most
/// `max` are left or each level has one. Closing a gap leaves the price of the others as it was, so
/// one sort finds them all.
fn close_gaps(runs: &mut Vec<Run>, max: usize) {
    let excess = runs.len().saturating_sub(max);
    if excess == 0 {
        return;
    }
    #[expect(clippy::cast_precision_loss, reason = "an estimate to order gaps by")]
    let price = |before: &Run, after: &Run| {
        let cells = (after.low - before.high) as f64;
        cells / 16_f64.powi(i32::from(before.level.min(DEPTH_MAX)))
    };
    let mut gaps: Vec<(f64, usize)> = (1..)
        .zip(runs.windows(2))
        .filter(|(_, pair)| pair[0].level == pair[1].level)
        .map(|(after, pair)| (price(&pair[0], &pair[1]), after))
        .collect();
    gaps.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let mut closed = vec![false; runs.len()];
    for (_, after) in gaps.into_iter().take(excess) {
        closed[after] = true;
    }
    let mut kept: Vec<Run> = Vec::with_capacity(runs.len() - excess);
    for (run, closed) in runs.drain(..).zip(closed) {
        match kept.last_mut() {
            Some(last) if closed => join(last, &run),
            _ => kept.push(run),
        }
    }
    *runs = kept;
}

#[cfg(test)]
mod tests;
