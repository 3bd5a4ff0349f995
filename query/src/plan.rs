//! Plans, what each would cost, and which is chosen.

use blocknet_engine::{Costs, Error, PlaceRange, Result, ScanRange, View};

use crate::area::{Area, Target};
use crate::cover::{Island, islands, rows_of, weigh, whole_level};

/// Key ranges a query may use, over all levels, unless told otherwise.
pub const MAX_RANGES: usize = 32;

/// Cells a level is split into, as a multiple of the budget: more would be joined away again.
const CELLS_PER_RANGE: usize = 12;

/// A way to find the answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PlanKind {
    /// A budget of key ranges, each read from end to end.
    Ranges,
    /// One cursor for each level, which seeks past what cannot hold an answer.
    Skip,
    /// The heads of entities by their id.
    Entity,
    /// What the commits of a span of time touched.
    Time,
    /// Everything.
    Scan,
}

impl PlanKind {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Ranges,
        Self::Skip,
        Self::Entity,
        Self::Time,
        Self::Scan,
    ];

    /// The plan's name in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ranges => "ranges",
            Self::Skip => "skip",
            Self::Entity => "entity",
            Self::Time => "time",
            Self::Scan => "scan",
        }
    }
}

impl std::str::FromStr for PlanKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == text)
            .ok_or_else(|| {
                let names = Self::ALL.map(Self::name).join(", ");
                format!("`{text}` is no plan: {names}")
            })
    }
}

/// A plan that was not taken.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rejected {
    /// Which one.
    pub(crate) plan: PlanKind,
    /// What it would have cost, in microseconds; `None` where it cannot answer.
    pub(crate) cost: Option<f64>,
    /// Why not.
    pub(crate) why: String,
}

/// A range of a plan with what it was estimated to hold.
#[derive(Clone, Debug)]
pub(crate) struct PlannedRange {
    pub(crate) range: ScanRange,
    /// Rows estimated to be read.
    pub(crate) rows: f64,
    /// Seeks estimated, the first one included.
    pub(crate) seeks: f64,
}

/// A plan with its cost in microseconds.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) kind: PlanKind,
    pub(crate) cost: f64,
    pub(crate) ranges: Vec<PlannedRange>,
    /// Rows and seeks estimated beside those of the ranges, for a plan that reads no ranges.
    pub(crate) beside: (f64, f64),
    pub(crate) budget: usize,
    pub(crate) rejected: Vec<Rejected>,
}

impl Plan {
    pub(crate) fn rows(&self) -> f64 {
        let rows = self.ranges.iter().map(|range| range.rows);
        self.beside.0 + rows.sum::<f64>()
    }

    pub(crate) fn seeks(&self) -> f64 {
        let seeks = self.ranges.iter().map(|range| range.seeks);
        self.beside.1 + seeks.sum::<f64>()
    }
}

/// What a choice is made from.
#[derive(Debug)]
pub(crate) struct Choices {
    pub(crate) plans: Vec<Plan>,
    pub(crate) impossible: Vec<Rejected>,
}

impl Choices {
    /// Takes the cheapest plan, or the one that was forced, and says why not the others.
    ///
    /// # Errors
    /// [`blocknet_engine::ErrorKind::Invalid`] when the forced plan cannot answer.
    pub(crate) fn choose(self, forced: Option<PlanKind>) -> Result<Plan> {
        let Self {
            mut plans,
            impossible: mut rejected,
        } = self;
        let best = match forced {
            None => plans
                .iter()
                .enumerate()
                .min_by(|(_, a), (_, b)| a.cost.total_cmp(&b.cost))
                .map(|(index, _)| index),
            Some(kind) => plans.iter().position(|plan| plan.kind == kind),
        };
        let Some(best) = best else {
            let why = forced.and_then(|kind| {
                rejected
                    .iter()
                    .find(|rejected| rejected.plan == kind)
                    .map(|rejected| {
                        format!("the plan `{}` cannot answer: {}", kind.name(), rejected.why)
                    })
            });
            return Err(Error::refused(
                why.unwrap_or_else(|| "no plan can answer".to_owned()),
            ));
        };
        let mut chosen = plans.swap_remove(best);
        plans.sort_by(|a, b| a.cost.total_cmp(&b.cost));
        for other in plans {
            let why = if other.cost < chosen.cost {
                format!("`{}` was asked for", chosen.kind.name())
            } else {
                reason(&other, &chosen)
            };
            rejected.push(Rejected {
                plan: other.kind,
                cost: Some(other.cost),
                why,
            });
        }
        rejected
            .sort_by_key(|rejected| PlanKind::ALL.iter().position(|kind| *kind == rejected.plan));
        chosen.rejected = rejected;
        Ok(chosen)
    }
}

fn reason(other: &Plan, chosen: &Plan) -> String {
    let (rows, more) = (other.rows(), other.rows() - chosen.rows());
    let seeks = other.seeks() - chosen.seeks();
    let cursors = other.ranges.len().saturating_sub(chosen.ranges.len());
    if more >= 1.0 && seeks >= 1.0 {
        format!("reads {rows:.0} rows, {more:.0} more, with {seeks:.0} more seeks")
    } else if more >= 1.0 {
        format!(
            "reads {rows:.0} rows, {more:.0} more than `{}`",
            chosen.kind.name()
        )
    } else if seeks >= 1.0 {
        format!("seeks {seeks:.0} times more than `{}`", chosen.kind.name())
    } else if cursors > 0 {
        format!("opens {cursors} more cursors than `{}`", chosen.kind.name())
    } else {
        format!("costs no less than `{}`", chosen.kind.name())
    }
}

/// What reading costs in a view: for each table that has to be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prices {
    pub(crate) open: f64,
    pub(crate) seek: f64,
    pub(crate) row: f64,
    /// An exact test that a contained range spares.
    pub(crate) test: f64,
}

impl Prices {
    pub(crate) fn new(view: &View<'_>, costs: Costs, target: &Target, with_history: bool) -> Self {
        let (mut versions, mut bytes) = (0, 0);
        for (_, layer) in view.layers() {
            versions += layer.versions;
            bytes += layer.payload_bytes;
        }
        // Key, header and salt come to about 200 bytes.
        let payload = if versions == 0 {
            0.0
        } else {
            rows_of(bytes) / rows_of(versions)
        };
        let tables = if with_history { 2.0 } else { 1.0 };
        Self {
            open: costs.open * tables,
            seek: costs.seek * tables,
            row: costs.next + costs.byte * (200.0 + payload),
            test: match &target.area {
                _ if target.ring.is_some() => 2.0,
                Area::Everywhere | Area::Window(_) => 0.03,
                Area::Cell(_) | Area::Block(_) | Area::Polygon(_) => 0.2,
                Area::Circle(_) => 1.0,
                Area::Corridor(_) => 3.0,
            },
        }
    }

    fn cost(&self, ranges: &[PlannedRange]) -> f64 {
        ranges
            .iter()
            .map(|range| self.open + (range.seeks - 1.0) * self.seek + range.rows * self.row)
            .sum()
    }
}

/// The plans that go by place: ranges, skipping, and everything.
pub(crate) fn by_place(
    view: &View<'_>,
    target: &Target,
    with_history: bool,
    prices: &Prices,
    budget: usize,
) -> Result<Vec<Plan>> {
    let cells_max = budget.max(1).saturating_mul(CELLS_PER_RANGE);
    // Of the rows of a border cell about half are spared by testing its 16 parts, twice each.
    let rows_min = (64.0 * prices.test / prices.row).max(2.0);
    let found = islands(view, target, with_history, cells_max, rows_min)?;
    let plan = |kind, ranges: Vec<PlannedRange>| Plan {
        kind,
        cost: prices.cost(&ranges),
        ranges,
        beside: (0.0, 0.0),
        budget,
        rejected: Vec::new(),
    };
    let ranges = joined(found.clone(), prices, prices.open, budget);
    let stretches = joined(found, prices, prices.seek, usize::MAX);
    let mut plans = Vec::new();
    let skipping = skipping(&stretches);
    plans.push(plan(
        PlanKind::Ranges,
        ranges
            .into_iter()
            .map(|island| PlannedRange {
                rows: island.rows,
                seeks: 1.0,
                range: ScanRange {
                    places: places(&island),
                    contained: island.contained,
                    stretches: Vec::new(),
                },
            })
            .collect(),
    ));
    plans.push(plan(PlanKind::Skip, skipping));
    let mut everything = Vec::new();
    for (level, rows) in view.levels() {
        let rows = rows_of(weigh(&rows, with_history));
        let island = whole_level(&target.spec, level, rows)?;
        everything.push(PlannedRange {
            range: places(&island).into(),
            rows,
            seeks: 1.0,
        });
    }
    plans.push(plan(PlanKind::Scan, everything));
    Ok(plans)
}

fn places(island: &Island) -> PlaceRange {
    PlaceRange {
        level: island.level,
        low: island.low,
        high: island.high,
    }
}

/// Joins islands of a level where reading on costs less than `jump`, and then the cheapest until
/// there are at most `max` over all levels, or one for each.
fn joined(islands: Vec<Island>, prices: &Prices, jump: f64, max: usize) -> Vec<Island> {
    // Joining one pair leaves the rows between the others as they are, so one sort finds the
    // cheapest. The tests that a contained part spared are a part of the price.
    let price = |before: &Island, after: &Island| {
        let tests = match (before.contained, after.contained) {
            (true, false) => before.rows,
            (false, true) => after.rows,
            _ => 0.0,
        };
        after.gap * prices.row + tests * prices.test
    };
    let mut gaps: Vec<(f64, usize)> = (1..)
        .zip(islands.windows(2))
        .filter(|(_, pair)| pair[0].level == pair[1].level)
        .map(|(after, pair)| (price(&pair[0], &pair[1]), after))
        .collect();
    gaps.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let excess = islands.len().saturating_sub(max);
    let mut close = vec![false; islands.len()];
    for (index, (price, after)) in gaps.into_iter().enumerate() {
        if index >= excess && price > jump {
            break;
        }
        close[after] = true;
    }
    let mut kept: Vec<Island> = Vec::new();
    for (island, close) in islands.into_iter().zip(close) {
        match kept.last_mut() {
            Some(last) if close => {
                // Between two contained parts lies what is not.
                last.contained &= island.contained && island.clear;
                last.rows += island.gap + island.rows;
                last.high = island.high;
            }
            _ => kept.push(island),
        }
    }
    kept
}

/// One range for each level, with the islands as its stretches.
fn skipping(islands: &[Island]) -> Vec<PlannedRange> {
    islands
        .chunk_by(|a, b| a.level == b.level)
        .map(|level| {
            let (first, last) = (&level[0], &level[level.len() - 1]);
            PlannedRange {
                // A row behind each stretch shows that it has ended.
                rows: level.iter().map(|island| island.rows + 1.0).sum::<f64>() - 1.0,
                seeks: rows_of(level.len() as u64),
                range: ScanRange {
                    places: PlaceRange {
                        level: first.level,
                        low: first.low,
                        high: last.high,
                    },
                    contained: level.iter().all(|island| island.contained),
                    stretches: if level.len() > 1 {
                        level
                            .iter()
                            .map(|island| (island.low, island.high))
                            .collect()
                    } else {
                        Vec::new()
                    },
                },
            }
        })
        .collect()
}
