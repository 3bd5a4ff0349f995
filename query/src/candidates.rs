//! Which entities a question about a span of time is about: found by place, by id, or by what the
//! commits of the span touched, whichever costs least.

use std::collections::BTreeSet;

use blocknet_engine::{
    Candidate, CommitMark, Costs, Entities, Interval, LayerId, Moment, RangeCounts, Result,
    ScanRange, View,
};

use crate::area::Target;
use crate::change::{Axis, Span};
use crate::cover::rows_of;
use crate::explain::{Actual, micros};
use crate::plan::{Choices, Plan, PlanKind, Prices, Rejected, by_place};
use crate::search::Query;

/// Commits that are looked at before reading by time is given up.
const COMMITS_MAX: usize = 10_000;
/// Gets that the course of one entity takes: its head, a step of its path, a row.
const GETS_PER_COURSE: f64 = 3.0;

/// A plan for the entities, ready to be read.
pub(crate) struct Candidates<'q> {
    query: &'q Query<'q>,
    target: Target,
    plan: Plan,
    /// The states that matter are those of this time.
    about: Interval,
    /// Commits that may matter, for a plan by time.
    marks: Vec<CommitMark>,
    /// Where the area may be, for a plan by time; `None` for everywhere.
    places: Option<Vec<ScanRange>>,
}

/// The entities, and what finding them took.
pub(crate) struct Found {
    pub(crate) plan: Plan,
    pub(crate) entities: Vec<(LayerId, String)>,
    pub(crate) actual: Actual,
}

/// Plans how to find the entities that were in a selection at some time of `window`, or of which
/// that changed within `span`, if one is given.
pub(crate) fn candidates<'q>(
    view: &View<'_>,
    query: &'q Query<'q>,
    span: Option<Span>,
    window: Interval,
) -> Result<Candidates<'q>> {
    query.selection.check(view.spec())?;
    let target = query.selection.target(view.spec());
    let costs = match query.costs {
        Some(costs) => costs,
        None => view.costs()?,
    };
    let Options {
        choices,
        marks,
        places,
    } = options(view, query, &target, span, costs)?;
    let plan = choices.choose(query.plan)?;
    let about = match span {
        Some(Span {
            axis: Axis::Recorded,
            ..
        }) => {
            let valid = view.valid_at();
            Interval {
                from: valid,
                to: Moment::from_micros(valid.as_micros().saturating_add(1)),
            }
        }
        _ => window,
    };
    Ok(Candidates {
        query,
        target,
        plan,
        about,
        marks,
        places,
    })
}

/// The plans there are, with what one by time needs to be read.
struct Options {
    choices: Choices,
    marks: Vec<CommitMark>,
    places: Option<Vec<ScanRange>>,
}

fn options(
    view: &View<'_>,
    query: &Query<'_>,
    target: &Target,
    span: Option<Span>,
    costs: Costs,
) -> Result<Options> {
    let prices = Prices::new(view, costs, target, true);
    let mut choices = Choices {
        plans: Vec::new(),
        impossible: Vec::new(),
    };
    let layers = query.selection.layer_ids(view);
    let mut marks = Vec::new();
    let mut places = None;
    if query.selection.id.is_some() {
        choices.plans.push(Plan {
            kind: PlanKind::Entity,
            cost: rows_of(layers.len() as u64) * costs.open,
            ranges: Vec::new(),
            beside: (0.0, rows_of(layers.len() as u64)),
            budget: query.max_ranges,
            rejected: Vec::new(),
        });
    } else {
        choices.impossible.push(Rejected {
            plan: PlanKind::Entity,
            cost: None,
            why: "no id is given".to_owned(),
        });
    }
    let only_entity =
        query.selection.id.is_some() && query.plan.is_none_or(|plan| plan == PlanKind::Entity);
    if only_entity {
        for plan in [
            PlanKind::Ranges,
            PlanKind::Skip,
            PlanKind::Time,
            PlanKind::Scan,
        ] {
            choices.impossible.push(Rejected {
                plan,
                cost: None,
                why: "an id is looked up, whatever the area".to_owned(),
            });
        }
    } else {
        let (mut live, mut all) = (0, 0);
        for (_, rows) in view.levels() {
            live += rows.live;
            all += rows.live + rows.past;
        }
        // By place everything that stands there is found and its course read.
        let entities = |rows: f64| rows * rows_of(live) / rows_of(all.max(1));
        let mut plans = by_place(view, target, true, &prices, query.max_ranges)?;
        let rows_there = plans.first().map_or(0.0, Plan::rows);
        for plan in &mut plans {
            plan.cost += entities(rows_there) * GETS_PER_COURSE * costs.open;
        }
        match time_marks(view, span, &layers)? {
            Ok(found) => {
                marks = found;
                let versions: f64 = marks.iter().map(|mark| f64::from(mark.versions)).sum();
                let share = (rows_there / rows_of(all.max(1))).min(1.0);
                choices.plans.push(Plan {
                    kind: PlanKind::Time,
                    cost: rows_of(marks.len() as u64) * costs.open
                        + versions * costs.next
                        + versions * share * GETS_PER_COURSE * costs.open,
                    ranges: Vec::new(),
                    beside: (versions, rows_of(marks.len() as u64)),
                    budget: query.max_ranges,
                    rejected: Vec::new(),
                });
                if target.bounds().is_some() || target.altitude.is_some() {
                    let ranges = plans.first().map(|plan| plan.ranges.iter());
                    places =
                        ranges.map(|ranges| ranges.map(|planned| planned.range.clone()).collect());
                }
            }
            Err(why) => choices.impossible.push(Rejected {
                plan: PlanKind::Time,
                cost: None,
                why,
            }),
        }
        choices.plans.extend(plans);
    }
    Ok(Options {
        choices,
        marks,
        places,
    })
}

/// The commits that can have made a change of the span, or why they are not asked.
fn time_marks(
    view: &View<'_>,
    span: Option<Span>,
    layers: &[LayerId],
) -> Result<Result<Vec<CommitMark>, String>> {
    let Some(span) = span else {
        return Ok(Err(
            "what stood there all along was touched by no commit of the span".to_owned(),
        ));
    };
    let mut found: Vec<CommitMark> = Vec::new();
    let mut looked_at = 0;
    for layer in layers {
        let left = COMMITS_MAX + 1 - looked_at;
        let marks = match span.axis {
            Axis::Recorded => view.commits_between(*layer, span.from, span.to, left)?,
            Axis::Valid => view.commits_until(*layer, Moment::MAX, left)?,
        };
        looked_at += marks.len();
        if looked_at > COMMITS_MAX {
            return Ok(Err(format!("more than {COMMITS_MAX} commits to look at")));
        }
        // Along the valid axis a change is a start or an end of some version's interval.
        found.extend(marks.into_iter().filter(|mark| {
            mark.number <= view.bound(*layer)
                && (span.axis == Axis::Recorded || (mark.first <= span.to && mark.last > span.from))
        }));
    }
    found.sort_by_key(|mark| mark.number);
    found.dedup_by(|a, b| {
        let same = a.number == b.number;
        if same {
            b.versions += a.versions;
        }
        same
    });
    Ok(Ok(found))
}

impl Candidates<'_> {
    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Reads the entities, in order of layer and id.
    pub(crate) fn read(self, view: &View<'_>) -> Result<Found> {
        let selection = &self.query.selection;
        let of_id = |id: &str| selection.id.is_none_or(|own| own == id);
        let (entities, counts): (Entities, Vec<RangeCounts>) = match self.plan.kind {
            PlanKind::Entity => {
                let id = selection.id.unwrap_or_default();
                let layers = selection.layer_ids(view).into_iter();
                (
                    layers.map(|layer| (layer, id.to_owned())).collect(),
                    Vec::new(),
                )
            }
            PlanKind::Time => self.by_time(view)?,
            PlanKind::Ranges | PlanKind::Skip | PlanKind::Scan => {
                let ranges: Vec<ScanRange> = self
                    .plan
                    .ranges
                    .iter()
                    .map(|planned| planned.range.clone())
                    .collect();
                let wanted = |candidate: &Candidate<'_>| {
                    of_id(candidate.id) && self.target.takes(candidate.extent, candidate.contained)
                };
                view.entities_in(&ranges, selection.layers, self.about, micros, wanted)?
            }
        };
        let records = entities.len() as u64;
        let returned = counts.iter().map(|counts| counts.rows_taken).collect();
        Ok(Found {
            plan: self.plan,
            entities: entities.into_iter().collect(),
            actual: Actual {
                counts,
                returned,
                records,
            },
        })
    }

    fn by_time(&self, view: &View<'_>) -> Result<(Entities, Vec<RangeCounts>)> {
        let selection = &self.query.selection;
        let mut entities = BTreeSet::new();
        let mut counts = RangeCounts::default();
        let started = micros();
        for mark in &self.marks {
            let (touched, rows) = view.touched_by(mark.number, |layer, level, code| {
                selection
                    .layers
                    .is_none_or(|layers| layers.contains(&layer))
                    && self.places.as_ref().is_none_or(|places| {
                        places.iter().any(|range| {
                            let places = &range.places;
                            places.level == level
                                && (places.low.as_ref()..=places.high.as_ref()).contains(&code)
                        })
                    })
            })?;
            counts.rows_read += rows;
            counts.seeks += 1;
            entities.extend(
                touched
                    .into_iter()
                    .filter(|(_, id)| selection.id.is_none_or(|own| own == id)),
            );
        }
        counts.micros = micros().saturating_sub(started);
        counts.rows_taken = entities.len() as u64;
        Ok((entities, vec![counts]))
    }
}
