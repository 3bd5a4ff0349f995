//! Queries: planned, run as a stream, counted, explained.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::ops::ControlFlow;

use blocknet_engine::{Candidate, Costs, LayerId, Record, Result, Scan, ScanRange, View};
use blocknet_geocode::Position;

use crate::area::Target;
use crate::explain::{Actual, Explain};
use crate::nearest::Nearest;
use crate::plan::{Choices, MAX_RANGES, Plan, PlanKind, Prices, Rejected, by_place};
use crate::select::Selection;
use crate::visit::PART_ROWS;

/// In which order records come.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Order {
    /// As they are stored: by level, cell, altitude and the rest of the code, then layer and id.
    #[default]
    Stored,
    /// By geodesic distance in metres from a place to the nearest point of the extent; with an
    /// altitude, the distance in space, where what has no altitude counts as level with it.
    Distance(Position),
    /// By the paper's logical distance from a place, the planar part first. It is no measure of
    /// nearness: see [`blocknet_geocode::LogicalDistance`].
    LogicalDistance(Position),
    /// By the start of the interval in which they hold, earliest first.
    ValidFrom,
}

/// A selection with all that says how to answer it.
#[derive(Clone, Debug)]
pub struct Query<'q> {
    /// Which records.
    pub selection: Selection<'q>,
    /// In which order.
    pub order: Order,
    /// At most so many; `None` for all.
    pub limit: Option<u64>,
    /// Key ranges at most, over all levels, but one for each level in use.
    pub max_ranges: usize,
    /// This plan and no other.
    pub plan: Option<PlanKind>,
    /// What reading costs; `None` for what was measured, see [`View::costs`].
    pub costs: Option<Costs>,
}

impl<'q> From<Selection<'q>> for Query<'q> {
    fn from(selection: Selection<'q>) -> Self {
        Self {
            selection,
            order: Order::Stored,
            limit: None,
            max_ranges: MAX_RANGES,
            plan: None,
            costs: None,
        }
    }
}

impl<'q> From<&Selection<'q>> for Query<'q> {
    fn from(selection: &Selection<'q>) -> Self {
        selection.clone().into()
    }
}

impl<'q> From<&Query<'q>> for Query<'q> {
    fn from(query: &Query<'q>) -> Self {
        query.clone()
    }
}

/// What counting came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Records.
    pub records: u64,
    /// Of these, the ones whose unknown floor or top left open whether they reach into the
    /// altitude band.
    pub unknown_height: u64,
}

/// The records of a view that a selection takes: each entity at most once, in stored order.
///
/// # Errors
/// [`blocknet_engine::ErrorKind::Invalid`] for an area out of range.
pub fn search<'v, 'a>(view: &'v View<'a>, selection: &Selection<'v>) -> Result<Search<'v, 'a>> {
    Query::from(selection.clone()).run(view)
}

impl<'q> Query<'q> {
    /// The same, in this order.
    #[must_use]
    pub fn ordered(self, order: Order) -> Self {
        Self { order, ..self }
    }

    /// The same, at most so many.
    #[must_use]
    pub fn limited(self, limit: u64) -> Self {
        Self {
            limit: Some(limit),
            ..self
        }
    }

    /// The same, by this plan.
    #[must_use]
    pub fn by(self, plan: PlanKind) -> Self {
        Self {
            plan: Some(plan),
            ..self
        }
    }

    /// Answers the query as a stream. What is dropped unread is never read.
    ///
    /// # Errors
    /// * [`blocknet_engine::ErrorKind::Invalid`]: an area out of range, or a plan that cannot
    ///   answer.
    /// * Those of reading.
    ///
    /// # Cost
    /// One record at a time, but for an order by logical distance or time, which holds `limit`
    /// records, or all. An order by distance reads rings around the place, one after the other,
    /// and holds one of them.
    pub fn run<'v, 'a>(&self, view: &'v View<'a>) -> Result<Search<'v, 'a>>
    where
        'q: 'v,
    {
        self.start(view, Mode::default())
    }

    pub(crate) fn start<'v, 'a>(&self, view: &'v View<'a>, mode: Mode) -> Result<Search<'v, 'a>>
    where
        'q: 'v,
    {
        self.selection.check(view.spec())?;
        let target = self.selection.target(view.spec());
        let left = self.limit.unwrap_or(u64::MAX);
        if let Order::Distance(place) = self.order {
            let nearest = Nearest::new(self.clone(), view, target.clone(), place, mode)?;
            let plan = nearest.plan().clone();
            return Ok(Search {
                query: self.clone(),
                plan,
                source: Source::Nearest(Box::new(nearest)),
                returned: Vec::new(),
                unknown: 0,
                left,
            });
        }
        let plan = self.plan(view, &target)?;
        let mut search = self.start_planned(view, target, plan, mode)?;
        if self.order != Order::Stored {
            search.left = u64::MAX;
            search.sort(view, left)?;
        }
        Ok(search)
    }

    /// Starts a plan that is at hand, in stored order.
    pub(crate) fn start_planned<'v, 'a>(
        &self,
        view: &'v View<'a>,
        target: Target,
        plan: Plan,
        mode: Mode,
    ) -> Result<Search<'v, 'a>>
    where
        'q: 'v,
    {
        Ok(Search {
            query: self.clone(),
            source: self.source(view, target, &plan, mode)?,
            returned: vec![0; plan.ranges.len()],
            plan,
            unknown: 0,
            left: self.limit.unwrap_or(u64::MAX),
        })
    }

    /// Chooses a plan for a target within the selection.
    pub(crate) fn plan(&self, view: &View<'_>, target: &Target) -> Result<Plan> {
        let costs = match self.costs {
            Some(costs) => costs,
            None => view.costs()?,
        };
        let with_history = view.needs_history(self.selection.layers);
        let prices = Prices::new(view, costs, target, with_history);
        let mut choices = Choices {
            plans: Vec::new(),
            impossible: vec![Rejected {
                plan: PlanKind::Time,
                cost: None,
                why: "the state at a moment may rest on any commit; only changes can be read from \
                      the commits of a span"
                    .to_owned(),
            }],
        };
        match self.selection.id {
            Some(_) => choices.plans.push(self.entity_plan(view, costs)),
            None => choices.impossible.push(Rejected {
                plan: PlanKind::Entity,
                cost: None,
                why: "no id is given".to_owned(),
            }),
        }
        // With an id, what the index costs is known; the rest need not be looked into.
        if self.selection.id.is_none() || self.plan.is_some_and(|plan| plan != PlanKind::Entity) {
            choices.plans.extend(by_place(
                view,
                target,
                with_history,
                &prices,
                self.max_ranges,
            )?);
        } else {
            for plan in [PlanKind::Ranges, PlanKind::Skip, PlanKind::Scan] {
                choices.impossible.push(Rejected {
                    plan,
                    cost: None,
                    why: "an id is looked up, whatever the area".to_owned(),
                });
            }
        }
        choices.choose(self.plan)
    }

    fn entity_plan(&self, view: &View<'_>, costs: Costs) -> Plan {
        let layers = crate::cover::rows_of(self.selection.layer_ids(view).len() as u64);
        Plan {
            kind: PlanKind::Entity,
            // A head and a row.
            cost: layers * 2.0 * costs.open,
            ranges: Vec::new(),
            beside: (layers, 2.0 * layers),
            budget: self.max_ranges,
            rejected: Vec::new(),
        }
    }

    fn source<'v, 'a>(
        &self,
        view: &'v View<'a>,
        target: Target,
        plan: &Plan,
        mode: Mode,
    ) -> Result<Source<'v, 'a>>
    where
        'q: 'v,
    {
        if plan.kind == PlanKind::Entity {
            let mut found = Vec::new();
            for layer in self.selection.layer_ids(view) {
                let record = view.get(layer, self.selection.id.unwrap_or_default())?;
                found.extend(record.filter(|record| {
                    record
                        .extent
                        .is_some_and(|extent| target.takes(&extent, false))
                }));
            }
            return Ok(Source::Found(found.into_iter()));
        }
        let ranges = plan
            .ranges
            .iter()
            .map(|planned| planned.range.clone())
            .collect();
        let Selection { layers, id, .. } = self.selection;
        let scan = scan(view, layers, id, target, ranges, mode);
        Ok(Source::Scan(Box::new(scan)))
    }

    /// Counts the records, reading no more of each than it must.
    ///
    /// # Errors
    /// As for [`Query::run`].
    pub fn count(&self, view: &View<'_>) -> Result<Count> {
        let mode = Mode {
            with_payloads: !self.selection.is_by_extent(),
            ..Mode::default()
        };
        let query = Self {
            // The order does not matter, unless it says which are left out.
            order: if self.limit.is_some() {
                self.order
            } else {
                Order::Stored
            },
            ..self.clone()
        };
        query.visit_boxed(view, mode, f64::INFINITY, PART_ROWS, &mut |_| {
            ControlFlow::Continue(())
        })
    }

    /// Says how the query would be answered, without answering it.
    ///
    /// # Errors
    /// As for [`Query::run`].
    pub fn explain(&self, view: &View<'_>) -> Result<Explain> {
        self.selection.check(view.spec())?;
        let target = self.selection.target(view.spec());
        if let Order::Distance(place) = self.order {
            let nearest = Nearest::new(self.clone(), view, target, place, Mode::default())?;
            return Ok(Explain::new(nearest.plan(), None));
        }
        Ok(Explain::new(&self.plan(view, &target)?, None))
    }

    /// Answers the query, throws the answer away and says what it took.
    ///
    /// # Errors
    /// As for [`Query::run`].
    pub fn analyze(&self, view: &View<'_>) -> Result<Explain> {
        let mode = Mode {
            clock: Some(crate::explain::micros),
            ..Mode::default()
        };
        let mut found = self.start(view, mode)?;
        let mut records = 0;
        while found.next_boxed().transpose()?.is_some() {
            records += 1;
        }
        Ok(found.explain(records))
    }
}

/// How a scan is run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mode {
    pub(crate) with_payloads: bool,
    pub(crate) clock: Option<fn() -> u64>,
}

impl Default for Mode {
    fn default() -> Self {
        Self {
            with_payloads: true,
            clock: None,
        }
    }
}

/// Starts reading ranges for a target.
pub(crate) fn scan<'v, 'a>(
    view: &'v View<'a>,
    layers: Option<&'v [LayerId]>,
    id: Option<&'v str>,
    target: Target,
    ranges: Vec<ScanRange>,
    mode: Mode,
) -> Scan<'v, 'a> {
    let wanted = move |candidate: &Candidate<'_>| {
        id.is_none_or(|id| id == candidate.id)
            && target.takes(candidate.extent, candidate.contained)
    };
    let mut scan = view.scan(ranges, layers, wanted);
    if !mode.with_payloads {
        scan = scan.without_payloads();
    }
    if let Some(clock) = mode.clock {
        scan = scan.timed(clock);
    }
    scan
}

/// The stream of a query. After an error it ends, but for one of kind
/// [`Lost`](blocknet_engine::ErrorKind::Lost) where [`Scan`] goes on and nothing is sorted.
#[derive(Debug)]
pub struct Search<'v, 'a> {
    query: Query<'v>,
    plan: Plan,
    source: Source<'v, 'a>,
    /// Records returned from each range.
    returned: Vec<u64>,
    unknown: u64,
    left: u64,
}

#[derive(Debug)]
enum Source<'v, 'a> {
    Scan(Box<Scan<'v, 'a>>),
    Found(std::vec::IntoIter<Record>),
    Sorted(Box<Scan<'v, 'a>>, std::vec::IntoIter<Box<Record>>),
    Nearest(Box<Nearest<'v, 'a>>),
}

/// A record with what it is sorted by.
struct Sorted {
    rank: (Rank, LayerId),
    record: Box<Record>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Logical([u8; 32], u64),
    From(blocknet_engine::Moment),
}

impl PartialEq for Sorted {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Sorted {}
impl PartialOrd for Sorted {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Sorted {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.rank, &self.record.id).cmp(&(other.rank, &other.record.id))
    }
}

impl<'v> Search<'v, '_> {
    /// Records returned so far whose unknown floor or top left open whether they reach into the
    /// altitude band.
    pub fn unknown_height(&self) -> u64 {
        self.unknown
    }

    /// Rows read from the tables so far.
    pub fn rows_read(&self) -> u64 {
        match &self.source {
            Source::Scan(scan) | Source::Sorted(scan, _) => scan.rows_read(),
            Source::Found(_) => 0,
            Source::Nearest(nearest) => nearest.rows_read(),
        }
    }

    /// Which plan answers.
    pub fn plan(&self) -> PlanKind {
        self.plan.kind
    }

    /// What answering came to.
    fn explain(&self, records: u64) -> Explain {
        let actual = match &self.source {
            Source::Scan(scan) | Source::Sorted(scan, _) => Actual {
                counts: scan.counts().to_vec(),
                returned: self.returned.clone(),
                records,
            },
            Source::Found(_) => Actual {
                counts: Vec::new(),
                returned: Vec::new(),
                records,
            },
            Source::Nearest(nearest) => {
                return Explain::new(&nearest.whole_plan(), Some(&nearest.actual(records)));
            }
        };
        Explain::new(&self.plan, Some(&actual))
    }

    /// Reads all, keeps the first `limit` in the order asked, and streams those.
    fn sort(&mut self, view: &'v View<'_>, limit: u64) -> Result<()> {
        let spec = *view.spec();
        let from = match self.query.order {
            Order::LogicalDistance(place) => Some(spec.encode(&place)?),
            Order::Stored | Order::Distance(_) | Order::ValidFrom => None,
        };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut kept: BinaryHeap<Sorted> = BinaryHeap::new();
        while let Some(record) = self.step().transpose()? {
            let rank = match (&from, record.geocode(&spec)) {
                (Some(from), Some(geocode)) => {
                    let distance = spec.distance_3d(from, &geocode);
                    Rank::Logical(distance.planar.to_bytes(), distance.altitude.unwrap_or(0))
                }
                _ => Rank::From(record.valid.from),
            };
            let rank = (rank, record.layer);
            kept.push(Sorted { rank, record });
            if kept.len() > limit {
                kept.pop();
            }
        }
        let sorted: Vec<Box<Record>> = kept
            .into_sorted_vec()
            .into_iter()
            .map(|sorted| sorted.record)
            .collect();
        let selection = &self.query.selection;
        self.unknown = 0;
        for record in &sorted {
            let unknown = record
                .extent
                .is_some_and(|extent| selection.is_unknown(&extent));
            self.unknown += u64::from(unknown);
        }
        let source = std::mem::replace(&mut self.source, Source::Found(Vec::new().into_iter()));
        self.source = match source {
            Source::Scan(scan) => Source::Sorted(scan, sorted.into_iter()),
            Source::Found(_) | Source::Sorted(..) | Source::Nearest(_) => {
                let sorted: Vec<Record> = sorted.into_iter().map(|record| *record).collect();
                Source::Found(sorted.into_iter())
            }
        };
        Ok(())
    }

    pub(crate) fn next_boxed(&mut self) -> Option<Result<Box<Record>>> {
        self.left = self.left.checked_sub(1)?;
        let next = self.step()?;
        if self.query.selection.altitude.is_some()
            && let Ok(record) = &next
            && !matches!(self.source, Source::Sorted(..))
            && record
                .extent
                .is_some_and(|extent| self.query.selection.is_unknown(&extent))
        {
            self.unknown += 1;
        }
        Some(next)
    }

    /// The next record that passes the caller's tests.
    fn step(&mut self) -> Option<Result<Box<Record>>> {
        loop {
            let (next, range) = match &mut self.source {
                Source::Scan(scan) => (scan.next_boxed()?, Some(scan.at())),
                Source::Found(found) => (Ok(Box::new(found.next()?)), None),
                // What these hold has passed.
                Source::Sorted(_, found) => return found.next().map(Ok),
                Source::Nearest(nearest) => return nearest.next(),
            };
            let record = match next {
                Ok(record) => record,
                Err(error) => return Some(Err(error)),
            };
            if self.query.selection.passes(&record) {
                if let Some(count) = range.and_then(|at| self.returned.get_mut(at)) {
                    *count += 1;
                }
                return Some(Ok(record));
            }
        }
    }
}

impl Iterator for Search<'_, '_> {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.next_boxed()?.map(|record| *record))
    }
}

#[cfg(test)]
mod tests;
