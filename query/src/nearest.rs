//! The nearest first: rings around a place, each planned and read on its own.
//!
//! The first ring is as wide as the zones say is enough for the records wanted; each further one
//! is wider. Nothing is read twice: a ring leaves out what lies inside the one before. What a ring
//! yields is sorted by exact distance, and a record is handed out once no unread ring can hold a
//! nearer one.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::ops::ControlFlow;

use blocknet_engine::{Error, Extent, Record, Result, View, zone_depths};
use blocknet_geocode::Position;

use crate::area::{Circle, Ring, Target, rect_of};
use crate::explain::Actual;
use crate::geodesic;
use crate::plan::{Plan, PlanKind};
use crate::search::{Query, Timer, scan};

/// Half the circumference of the Earth along a meridian, rounded up, in metres: no two places are
/// farther apart.
const FARTHEST: f64 = 20_004_000.0;
/// Radius of the first ring to be tried, in metres.
const FIRST: f64 = 25.0;

/// The distance by which records are ordered: metres along the ellipsoid to the nearest point of
/// the extent and, from a place with an altitude, the height between as the other side of a right
/// angle. An extent without altitude counts as level with the place.
pub fn distance(place: &Position, extent: &Extent) -> f64 {
    let flat = geodesic::to_rect((place.longitude, place.latitude), &rect_of(extent));
    let Some(altitude) = place.altitude else {
        return flat;
    };
    let below = extent.floor.map_or(0.0, |floor| floor - altitude);
    let above = extent.top.map_or(0.0, |top| altitude - top);
    flat.hypot(below.max(above).max(0.0))
}

struct Found {
    distance: f64,
    record: Box<Record>,
}

impl PartialEq for Found {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Found {}
impl PartialOrd for Found {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Found {
    fn cmp(&self, other: &Self) -> Ordering {
        self.distance
            .total_cmp(&other.distance)
            .then_with(|| self.record.layer.cmp(&other.record.layer))
            .then_with(|| self.record.id.cmp(&other.record.id))
    }
}

/// The stream of the nearest.
pub(crate) struct Nearest<'v, 'a> {
    query: Query<'v>,
    view: &'v View<'a>,
    target: Target,
    place: Position,
    timer: Timer,
    /// Planned, not yet read: the first ring.
    first: Option<(Ring, Plan)>,
    /// Everything nearer was read.
    reached: f64,
    waiting: BinaryHeap<Reverse<Found>>,
    wanted: u64,
    /// Of the rings read.
    plans: Vec<Plan>,
    actual: Actual,
    first_plan: Plan,
    /// There is no further ring.
    exhausted: bool,
    failed: bool,
}

impl std::fmt::Debug for Nearest<'_, '_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Nearest")
            .field("place", &self.place)
            .field("reached", &self.reached)
            .finish_non_exhaustive()
    }
}

impl<'v, 'a> Nearest<'v, 'a> {
    pub(crate) fn new(
        query: Query<'v>,
        view: &'v View<'a>,
        target: Target,
        place: Position,
        timer: Timer,
    ) -> Result<Self> {
        Circle::new((place.longitude, place.latitude), 0.0)
            .check()
            .map_err(Error::refused)?;
        if place.altitude.is_some_and(|altitude| !altitude.is_finite()) {
            return Err(Error::refused("the altitude to be near to is not finite"));
        }
        let wanted = query.limit.unwrap_or(64).max(1);
        let mut nearest = Self {
            query,
            view,
            target,
            place,
            timer,
            first: None,
            reached: -1.0,
            waiting: BinaryHeap::new(),
            wanted,
            plans: Vec::new(),
            actual: Actual::default(),
            first_plan: Plan {
                kind: PlanKind::Scan,
                cost: 0.0,
                ranges: Vec::new(),
                beside: (0.0, 0.0),
                budget: 0,
                rejected: Vec::new(),
            },
            exhausted: false,
            failed: false,
        };
        nearest.first = nearest.plan_ring(nearest.first_radius()?)?;
        if let Some((_, plan)) = &nearest.first {
            nearest.first_plan = plan.clone();
        }
        Ok(nearest)
    }

    /// The plan of the first ring.
    pub(crate) fn plan(&self) -> &Plan {
        &self.first_plan
    }

    /// The plans of all rings read, as one.
    pub(crate) fn whole_plan(&self) -> Plan {
        let mut plan = self.first_plan.clone();
        plan.ranges = self
            .plans
            .iter()
            .flat_map(|plan| plan.ranges.clone())
            .collect();
        plan.cost = self.plans.iter().map(|plan| plan.cost).sum();
        plan
    }

    pub(crate) fn actual(&self, records: u64) -> Actual {
        Actual {
            records,
            ..self.actual.clone()
        }
    }

    pub(crate) fn rows_read(&self) -> u64 {
        self.actual
            .counts
            .iter()
            .map(|counts| counts.rows_read)
            .sum()
    }

    /// A radius that holds about the records wanted, if all is as dense as the finest zone around
    /// the place.
    fn first_radius(&self) -> Result<f64> {
        let spec = self.view.spec();
        let Some((level, _)) = self.view.levels().max_by_key(|(_, rows)| rows.live) else {
            return Ok(FIRST);
        };
        for depth in zone_depths(level) {
            let cell = spec.cell_at(self.place.longitude, self.place.latitude, depth)?;
            let Some(zone) = self.view.zones(level, depth, (&cell, &cell), 1)?.pop() else {
                continue;
            };
            #[expect(clippy::cast_precision_loss, reason = "an estimate")]
            let rows = zone.rows.live as f64;
            if rows < 1.0 {
                continue;
            }
            // A degree of latitude is 111 km, and one of longitude less by its cosine.
            let cells = 4_f64.powi(i32::from(depth));
            let wide = 360.0 / cells * 111_000.0 * self.place.latitude.to_radians().cos().max(0.01);
            let high = 180.0 / cells * 111_000.0;
            #[expect(clippy::cast_precision_loss, reason = "an estimate")]
            let wanted = self.wanted as f64 * 1.5;
            let radius = (wanted / rows * wide * high / std::f64::consts::PI).sqrt();
            return Ok(radius.clamp(FIRST, FARTHEST));
        }
        Ok(FIRST)
    }

    /// The next ring out, wide enough for the records still wanted as far as the zones tell;
    /// `None` when all of the Earth, or of a circle asked for, was read.
    fn plan_ring(&self, least: f64) -> Result<Option<(Ring, Plan)>> {
        let end = match &self.target.area {
            crate::area::Area::Circle(circle)
                if circle.centre() == (self.place.longitude, self.place.latitude) =>
            {
                circle.metres.min(FARTHEST)
            }
            _ => FARTHEST,
        };
        if self.reached >= end {
            return Ok(None);
        }
        let waiting = u64::try_from(self.waiting.len()).unwrap_or(u64::MAX);
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let enough = self.wanted.saturating_sub(waiting).max(1) as f64;
        let mut outer = least.max(self.reached * 2.0).min(end);
        loop {
            let ring = Ring {
                inner: self.reached,
                outer: Circle::new((self.place.longitude, self.place.latitude), outer),
            };
            let target = Target {
                ring: Some(ring),
                ..self.target.clone()
            };
            let plan = self.query.plan(self.view, &target)?;
            // An index by id answers whatever the ring.
            if plan.rows() >= enough || outer >= end || plan.kind == PlanKind::Entity {
                return Ok(Some((ring, plan)));
            }
            let factor = if plan.rows() > 0.0 { 2.0 } else { 4.0 };
            outer = (outer * factor).min(end);
        }
    }

    fn read_ring(&mut self, ring: Ring, plan: Plan) -> Result<()> {
        let target = Target {
            ring: Some(ring),
            ..self.target.clone()
        };
        let take =
            |record: Box<Record>, found: &mut BinaryHeap<Reverse<Found>>, place: &Position| {
                if let Some(extent) = &record.extent {
                    found.push(Reverse(Found {
                        distance: distance(place, extent),
                        record,
                    }));
                }
            };
        if plan.kind == PlanKind::Entity {
            let id = self.query.selection.id.unwrap_or_default();
            for layer in self.query.selection.layer_ids(self.view) {
                if let Some(record) = self.view.get(layer, id)?
                    && record
                        .extent
                        .is_some_and(|extent| target.takes(&extent, false))
                    && self.query.selection.passes(&record.lend())
                {
                    take(Box::new(record), &mut self.waiting, &self.place);
                }
            }
        } else {
            let ranges = plan
                .ranges
                .iter()
                .map(|planned| planned.range.clone())
                .collect();
            let selection = &self.query.selection;
            let mut scan = scan(
                self.view,
                selection.layers,
                selection.id,
                target,
                ranges,
                self.timer,
            );
            let mut returned = vec![0; plan.ranges.len()];
            // Nothing stops it before its end.
            _ = scan.visit(&mut |range, record| {
                if selection.passes(record) {
                    returned[range] += 1;
                    take(Box::new(record.to_record()), &mut self.waiting, &self.place);
                }
                ControlFlow::Continue(())
            })?;
            self.actual.counts.extend_from_slice(scan.counts());
            self.actual.returned.extend(returned);
        }
        self.plans.push(plan);
        self.reached = ring.outer.metres;
        Ok(())
    }

    fn step(&mut self) -> Result<Option<Box<Record>>> {
        loop {
            if let Some(Reverse(nearest)) = self.waiting.peek()
                && (nearest.distance <= self.reached || self.exhausted)
                && let Some(Reverse(found)) = self.waiting.pop()
            {
                self.wanted = self.wanted.saturating_sub(1);
                return Ok(Some(found.record));
            }
            if self.exhausted {
                return Ok(None);
            }
            let next = match self.first.take() {
                Some(first) => Some(first),
                None => self.plan_ring(FIRST)?,
            };
            match next {
                Some((ring, plan)) => self.read_ring(ring, plan)?,
                None => self.exhausted = true,
            }
        }
    }
}

impl Nearest<'_, '_> {
    pub(crate) fn next(&mut self) -> Option<Result<Box<Record>>> {
        if self.failed {
            return None;
        }
        let step = self.step().transpose();
        self.failed = !matches!(step, Some(Ok(_)));
        step
    }
}
