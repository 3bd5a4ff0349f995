//! Queries: planned, run as a stream, counted, explained.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::ops::ControlFlow;

use blocknet_engine::{
    Candidate, Costs, LayerId, Record, RecordRef, Result, Scan, ScanRange, View,
};
use blocknet_geocode::Position;

use crate::area::Target;
use crate::explain::{Actual, Explain};
use crate::nearest::Nearest;
use crate::plan::{Choices, MAX_RANGES, Plan, PlanKind, Prices, Rejected, by_place};
use crate::select::Selection;

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

    /// Answers the query as a stream of records. What is dropped unread is never read. Where they
    /// are only looked at, [`Search::visit`] and [`Query::visit`] build none.
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
        self.start(view, None)
    }

    pub(crate) fn start<'v, 'a>(&self, view: &'v View<'a>, timer: Timer) -> Result<Search<'v, 'a>>
    where
        'q: 'v,
    {
        self.selection.check(view.spec())?;
        let target = self.selection.target(view.spec());
        let left = self.limit.unwrap_or(u64::MAX);
        if let Order::Distance(place) = self.order {
            let nearest = Nearest::new(self.clone(), view, target.clone(), place, timer)?;
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
        let mut search = self.start_planned(view, target, plan, timer)?;
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
        timer: Timer,
    ) -> Result<Search<'v, 'a>>
    where
        'q: 'v,
    {
        Ok(Search {
            query: self.clone(),
            source: self.source(view, target, &plan, timer)?,
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
        timer: Timer,
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
        let scan = scan(view, layers, id, target, ranges, timer);
        Ok(Source::Scan(Box::new(scan)))
    }

    /// Counts the records.
    ///
    /// # Errors
    /// As for [`Query::run`].
    pub fn count(&self, view: &View<'_>) -> Result<Count> {
        let query = Self {
            // The order does not matter, unless it says which are left out.
            order: if self.limit.is_some() {
                self.order
            } else {
                Order::Stored
            },
            ..self.clone()
        };
        let mut search = query.run(view)?;
        let Selection {
            refine, present, ..
        } = self.selection;
        if refine.is_none() && present.is_none() {
            search = search.without_payloads();
        }
        let mut records = 0;
        search.visit(|_| {
            records += 1;
            ControlFlow::Continue(())
        })?;
        Ok(Count {
            records,
            unknown_height: search.unknown,
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
            let nearest = Nearest::new(self.clone(), view, target, place, None)?;
            return Ok(Explain::new(nearest.plan(), None));
        }
        Ok(Explain::new(&self.plan(view, &target)?, None))
    }

    /// Answers the query, throws the answer away and says what it took.
    ///
    /// # Errors
    /// As for [`Query::run`].
    pub fn analyze(&self, view: &View<'_>) -> Result<Explain> {
        let mut found = self.start(view, Some(crate::explain::micros))?;
        let mut records = 0;
        found.visit(|_| {
            records += 1;
            ControlFlow::Continue(())
        })?;
        Ok(found.explain(records))
    }
}

/// A clock in microseconds, to measure each range with.
pub(crate) type Timer = Option<fn() -> u64>;

/// Starts reading ranges for a target.
pub(crate) fn scan<'v, 'a>(
    view: &'v View<'a>,
    layers: Option<&'v [LayerId]>,
    id: Option<&'v str>,
    target: Target,
    ranges: Vec<ScanRange>,
    timer: Timer,
) -> Scan<'v, 'a> {
    let wanted = move |candidate: &Candidate<'_>| {
        id.is_none_or(|id| id == candidate.id)
            && target.takes(candidate.extent, candidate.contained)
    };
    let scan = view.scan(ranges, layers, wanted);
    match timer {
        Some(clock) => scan.timed(clock),
        None => scan,
    }
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
    /// With the scan that they were read by, if one was.
    Sorted(Option<Box<Scan<'v, 'a>>>, std::vec::IntoIter<Box<Record>>),
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
            Source::Scan(scan) | Source::Sorted(Some(scan), _) => scan.rows_read(),
            Source::Found(_) | Source::Sorted(None, _) => 0,
            Source::Nearest(nearest) => nearest.rows_read(),
        }
    }

    /// Counts also what has lost its payload.
    fn without_payloads(self) -> Self {
        let source = match self.source {
            Source::Scan(scan) => Source::Scan(Box::new(scan.without_payloads())),
            other => other,
        };
        Self { source, ..self }
    }

    /// Which plan answers.
    pub fn plan(&self) -> PlanKind {
        self.plan.kind
    }

    /// What answering came to.
    fn explain(&self, records: u64) -> Explain {
        let actual = match &self.source {
            Source::Scan(scan) | Source::Sorted(Some(scan), _) => Actual {
                counts: scan.counts().to_vec(),
                returned: self.returned.clone(),
                records,
            },
            Source::Found(_) | Source::Sorted(None, _) => Actual {
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
        while let Some(record) = self.next_boxed().transpose()? {
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
        // Counted when they are returned.
        self.unknown = 0;
        let source = std::mem::replace(&mut self.source, Source::Found(Vec::new().into_iter()));
        let scan = match source {
            Source::Scan(scan) => Some(scan),
            Source::Found(_) | Source::Sorted(..) | Source::Nearest(_) => None,
        };
        self.source = Source::Sorted(scan, sorted.into_iter());
        Ok(())
    }

    /// Hands the records that are left to `visit`, in order, until that says to stop; then another
    /// call, or [`Iterator::next`], goes on behind the last one. A record is lent for the time of a
    /// call: where it comes from a scan, none is built.
    ///
    /// # Errors
    /// As for [`Query::run`]; and [`Lost`](blocknet_engine::ErrorKind::Lost) in the place of a record
    /// that both copies lost. Where nothing is sorted, another call goes on behind it.
    pub fn visit(
        &mut self,
        mut visit: impl FnMut(&RecordRef<'_>) -> ControlFlow<()>,
    ) -> Result<()> {
        let Source::Scan(scan) = &mut self.source else {
            while let Some(record) = self.next_boxed().transpose()? {
                if visit(&record.lend()).is_break() {
                    break;
                }
            }
            return Ok(());
        };
        if self.left == 0 {
            return Ok(());
        }
        let selection = &self.query.selection;
        // Whether it was stopped the visitor knows.
        _ = scan.visit(&mut |range, record| {
            if !selection.passes(record) {
                return ControlFlow::Continue(());
            }
            self.returned[range] += 1;
            self.unknown += u64::from(selection.leaves_open(record));
            self.left -= 1;
            visit(record)?;
            if self.left == 0 {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })?;
        Ok(())
    }

    pub(crate) fn next_boxed(&mut self) -> Option<Result<Box<Record>>> {
        if matches!(self.source, Source::Scan(_)) {
            let mut found = None;
            let seen = self.visit(|record| {
                found = Some(Box::new(record.to_record()));
                ControlFlow::Break(())
            });
            return match seen {
                Ok(()) => found.map(Ok),
                Err(error) => Some(Err(error)),
            };
        }
        self.left = self.left.checked_sub(1)?;
        let next = self.next_owned()?;
        if let Ok(record) = &next {
            self.unknown += u64::from(self.query.selection.leaves_open(&record.lend()));
        }
        Some(next)
    }

    /// The next record of a source that holds records of its own.
    fn next_owned(&mut self) -> Option<Result<Box<Record>>> {
        match &mut self.source {
            Source::Scan(scan) => scan.next_boxed(),
            Source::Found(found) => {
                let selection = &self.query.selection;
                let record = found.find(|record| selection.passes(&record.lend()))?;
                Some(Ok(Box::new(record)))
            }
            // What these hold has passed.
            Source::Sorted(_, found) => found.next().map(Ok),
            Source::Nearest(nearest) => nearest.next(),
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
