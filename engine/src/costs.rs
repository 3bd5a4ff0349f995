//! What reading costs on this machine: the planner's coefficients.

use blocknet_geocode::Cell;
use blocknet_kv::KeyRange;

use crate::error::Result;
use crate::key;
use crate::record::Place;
use crate::view::View;
use crate::zone::zone_depths;

/// What reading costs, in microseconds: the planner's coefficients.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Costs {
    /// Opening a cursor at a key.
    pub open: f64,
    /// Moving a cursor to a key farther on.
    pub seek: f64,
    /// Reading the next row.
    pub next: f64,
    /// Each byte of a row.
    pub byte: f64,
}

impl Default for Costs {
    /// Of the order that a warm store takes on two slow cores: used until there is enough to measure.
    fn default() -> Self {
        Self {
            open: 12.0,
            seek: 6.0,
            next: 0.3,
            byte: 0.000_2,
        }
    }
}

impl Costs {
    /// Fewer live heads than this are read faster than anything is measured.
    const ROWS_MIN: u64 = 1_000;

    /// Measures on the live heads: a few cursors spread over the zones, and a run of rows from each.
    pub(crate) fn measure(view: &View<'_>) -> Result<Self> {
        const SAMPLES: usize = 16;
        const ROWS: u64 = 64;
        let Some((level, rows)) = view.levels().max_by_key(|(_, rows)| rows.live) else {
            return Ok(Self::default());
        };
        if rows.live < Self::ROWS_MIN {
            return Ok(Self::default());
        }
        let depth = zone_depths(level).last().unwrap_or(level);
        let last = (0..depth).fold(Cell::ROOT, |cell, _| cell.child(15).unwrap_or(cell));
        let zones = view.zones(level, depth, (&Cell::ROOT, &last), 256)?;
        let clock = monotonic_nanos;
        let (mut open, mut seek, mut next) = (Vec::new(), Vec::new(), Vec::new());
        let mut bytes = 0_u64;
        for sample in 0..SAMPLES {
            let Some(zone) = zones.get(sample * zones.len() / SAMPLES) else {
                break;
            };
            let (low, high) = view.spec().stored_range(&zone.cell, &zone.cell, level)?;
            let start = Place::of(level, low.as_ref());
            let end = KeyRange::prefix(&[level]).end.unwrap_or_default();
            let began = clock();
            let range = KeyRange::new(start.as_bytes(), end);
            let mut cursor = view.read().cursor(key::RECORDS, &range)?;
            let opened = clock();
            open.push(opened - began);
            let mut read = 0;
            while read < ROWS
                && let Some((row_key, value)) = cursor.entry()
            {
                bytes += (row_key.len() + value.len()) as u64;
                read += 1;
                cursor.advance()?;
            }
            let advanced = clock();
            if read == ROWS {
                next.push((advanced - opened) / ROWS);
            }
            let target = Place::of(level, high.as_ref());
            let began = clock();
            cursor.seek(target.as_bytes())?;
            seek.push(clock() - began);
        }
        #[expect(clippy::cast_precision_loss, reason = "nanoseconds of one read")]
        let median = |mut nanos: Vec<u64>, default: f64| {
            nanos.sort_unstable();
            nanos
                .get(nanos.len() / 2)
                .map_or(default, |nanos| *nanos as f64 / 1_000.0)
        };
        let default = Self::default();
        let open = median(open, default.open).max(0.1);
        let next = median(next, default.next).max(0.01);
        Ok(Self {
            open,
            seek: median(seek, default.seek).clamp(next, open),
            next,
            byte: if bytes == 0 { 0.0 } else { default.byte },
        })
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "what reading costs is a property of the machine, not of the net's time"
)]
fn monotonic_nanos() -> u64 {
    use std::sync::LazyLock;
    use std::time::Instant;
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(START.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
