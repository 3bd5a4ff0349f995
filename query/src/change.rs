//! What changed: replay, difference and transients along either time axis.
//!
//! All three look at the *course* of an entity over a span: the state at its start and every
//! change at a time in `(from, to]`. So the changes of two spans that meet are those of the joined
//! span, and the difference of two views is what the changes between them come to.

use std::collections::{BTreeMap, HashMap};

use blocknet_engine::{AsOf, Error, Extent, Interval, LayerId, Moment, Record, Result, View};

use crate::area::{Area, Target, Window};
use crate::candidates::{Found, candidates};
use crate::explain::Explain;
use crate::search::{Query, search};
use crate::select::Selection;

/// A time axis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Axis {
    /// When something was true in the world, as the view's commits know it.
    #[default]
    Valid,
    /// When the net learned it, about the view's valid time.
    Recorded,
}

/// A span of time along an axis: its state at `from`, and changes after `from` up to and
/// including `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Start, excluded from the changes.
    pub from: Moment,
    /// End, included in the changes.
    pub to: Moment,
    /// Along which axis.
    pub axis: Axis,
}

/// What a change did to an entity's presence in the selection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Not present before, present after.
    Appeared,
    /// Present before and after, and different.
    Changed,
    /// Present before, not after.
    Disappeared,
    /// Not present at either end of the span, present between.
    Vanished,
    /// Equal at both ends of the span, different between.
    Reverted,
}

impl Kind {
    /// The kind's name in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Appeared => "appeared",
            Self::Changed => "changed",
            Self::Disappeared => "disappeared",
            Self::Vanished => "vanished",
            Self::Reverted => "reverted",
        }
    }
}

/// In what two states differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Aspect {
    /// Whether it is there.
    Presence,
    /// The footprint.
    Geometry,
    /// Floor or top.
    Height,
    /// Anything else.
    Properties,
}

impl Aspect {
    /// The aspect's name in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Presence => "presence",
            Self::Geometry => "geometry",
            Self::Height => "height",
            Self::Properties => "properties",
        }
    }
}

/// How to compare states, for callers that know what payloads mean.
pub trait Compare {
    /// In what two states differ: [`Aspect::Geometry`], [`Aspect::Height`] and
    /// [`Aspect::Properties`], in that order; empty when they are equal.
    fn aspects(&self, before: &Record, after: &Record) -> Vec<Aspect>;

    /// The share of `gone`'s footprint that `other` covers, 0 to 1. By default that of their
    /// extents.
    fn covered(&self, gone: &Record, other: &Record) -> f64 {
        match (&gone.extent, &other.extent) {
            (Some(gone), Some(other)) => covered_share(gone, other),
            _ => 0.0,
        }
    }
}

/// Compares extents and the bytes of payloads.
#[derive(Clone, Copy, Debug, Default)]
pub struct ByteCompare;

impl Compare for ByteCompare {
    fn aspects(&self, before: &Record, after: &Record) -> Vec<Aspect> {
        let plan = |extent: &Extent| (extent.west, extent.south, extent.east, extent.north);
        let height = |extent: &Extent| (extent.floor, extent.top);
        let mut aspects = Vec::new();
        if before.extent.as_ref().map(plan) != after.extent.as_ref().map(plan) {
            aspects.push(Aspect::Geometry);
        }
        if before.extent.as_ref().map(height) != after.extent.as_ref().map(height) {
            aspects.push(Aspect::Height);
        }
        if before.payload != after.payload {
            aspects.push(Aspect::Properties);
        }
        aspects
    }
}

fn covered_share(gone: &Extent, other: &Extent) -> f64 {
    let shared = |from: (f64, f64), to: (f64, f64)| (from.1.min(to.1) - from.0.max(to.0)).max(0.0);
    let width = gone.east - gone.west;
    let height = gone.north - gone.south;
    let across = shared((gone.west, gone.east), (other.west, other.east));
    let along = shared((gone.south, gone.north), (other.south, other.north));
    // A point or a line has no area; it is covered when it is touched.
    let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 1.0 };
    let meets = other.west <= gone.east
        && other.east >= gone.west
        && other.south <= gone.north
        && other.north >= gone.south;
    if meets {
        share(across, width) * share(along, height)
    } else {
        0.0
    }
}

/// One change of one entity.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// When, along the span's axis. For a transient, when it came.
    pub time: Moment,
    /// The entity's layer.
    pub layer: LayerId,
    /// The entity's id.
    pub id: String,
    /// What it did to the entity's presence in the selection.
    pub kind: Kind,
    /// In what the states before and after differ.
    pub changed: Vec<Aspect>,
    /// The version before, also where it is an absence, lies elsewhere or does not count as
    /// presence; `None` where nothing was said.
    pub before: Option<Record>,
    /// The version after, likewise. For a transient, the one that was there between.
    pub after: Option<Record>,
    /// For a transient, when it was gone again.
    pub until: Option<Moment>,
    /// For a transient, what stands in its place at the ends of the span.
    pub replaced_by: Vec<Replacement>,
}

impl Change {
    /// The commit that made the change: that of the version after or, where an interval simply
    /// ended, of the one before.
    pub fn commit(&self) -> Option<u64> {
        self.after
            .as_ref()
            .or(self.before.as_ref())
            .map(|record| record.version.commit)
    }
}

/// Something present where a transient was.
#[derive(Clone, Debug, PartialEq)]
pub struct Replacement {
    /// Its layer.
    pub layer: LayerId,
    /// Its id.
    pub id: String,
    /// The share of the transient's footprint it covers, above 0 and at most 1.
    pub covered: f64,
    /// Whether it stands there at the start of the span.
    pub at_from: bool,
    /// Whether it stands there at the end of the span.
    pub at_to: bool,
}

/// An entity over a span: what answered at its start, and what from each later moment on.
struct Course {
    layer: LayerId,
    id: String,
    start: Option<Record>,
    steps: Vec<(Moment, Option<Record>)>,
}

/// Every change, in order of time, layer and id.
///
/// On the valid axis this is the effective timeline at the view's commits: what those know of the
/// span. On the recorded axis it is what the net said about the view's valid time as it learned
/// it. A version that changes nothing the comparison sees is no change.
///
/// # Errors
/// [`blocknet_engine::ErrorKind::Invalid`] for a window or span out of range.
///
/// # Cost
/// Reads everything ever filed in the area, and the path of each entity found; memory grows with
/// the number of changes.
pub fn replay<'q>(
    view: &View<'_>,
    query: impl Into<Query<'q>>,
    span: Span,
    compare: &dyn Compare,
) -> Result<Vec<Change>> {
    let query = query.into();
    let asked = Asked::new(view, &query);
    let mut changes = Vec::new();
    for course in courses(view, &query, span)? {
        let mut before = course.start;
        for (time, after) in course.steps {
            let entity = (course.layer, course.id.as_str());
            changes.extend(step(&asked, entity, time, before, after.clone(), compare));
            before = after;
        }
    }
    sort(&mut changes);
    Ok(changes)
}

/// What differs between the two ends of a span: one change per entity at most. Its time is when
/// the state at the end came to be.
///
/// # Errors
/// As for [`replay`].
///
/// # Cost
/// As for [`replay`].
pub fn diff<'q>(
    view: &View<'_>,
    query: impl Into<Query<'q>>,
    span: Span,
    compare: &dyn Compare,
) -> Result<Vec<Change>> {
    let query = query.into();
    let asked = Asked::new(view, &query);
    let mut changes = Vec::new();
    for mut course in courses(view, &query, span)? {
        let Some((time, after)) = course.steps.pop() else {
            continue;
        };
        let entity = (course.layer, course.id.as_str());
        changes.extend(step(&asked, entity, time, course.start, after, compare));
    }
    sort(&mut changes);
    Ok(changes)
}

/// What came and went within a span: *vanished* (not present at either end, present between) and
/// *reverted* (equal at both ends, different or gone between). One per entity, with what stands in
/// its place at either end, since a changed id looks like a vanished building.
///
/// # Errors
/// As for [`replay`].
///
/// # Cost
/// As for [`replay`], and one search at each end for every transient.
pub fn transients<'q>(
    view: &View<'_>,
    query: impl Into<Query<'q>>,
    span: Span,
    compare: &dyn Compare,
) -> Result<Vec<Change>> {
    let query = query.into();
    let asked = Asked::new(view, &query);
    let mut changes = Vec::new();
    for course in courses(view, &query, span)? {
        if let Some(change) = transient(&asked, course, compare) {
            changes.push(change);
        }
    }
    sort(&mut changes);
    if !changes.is_empty() {
        let (at_from, at_to) = match span.axis {
            Axis::Valid => (view.sibling_at(span.from)?, view.sibling_at(span.to)?),
            Axis::Recorded => (
                view.sibling_within(AsOf::Recorded(span.from), view.valid_at())?,
                view.sibling_within(AsOf::Recorded(span.to), view.valid_at())?,
            ),
        };
        for change in &mut changes {
            change.replaced_by = replacements(change, &query.selection, &at_from, &at_to, compare)?;
        }
    }
    Ok(changes)
}

fn transient(asked: &Asked<'_>, course: Course, compare: &dyn Compare) -> Option<Change> {
    let present = |record: Option<&Record>| record.is_some_and(|record| asked.takes(record));
    let end = course.steps.last()?.1.as_ref();
    let start = course.start.as_ref();
    // Whether a state is other than at the ends.
    let differs = |record: Option<&Record>| match (start, present(record)) {
        (Some(start), true) if present(Some(start)) => {
            record.is_some_and(|record| !compare.aspects(start, record).is_empty())
        }
        (_, now) => now != present(start),
    };
    if present(start) != present(end) || differs(end) {
        return None;
    }
    let came = course
        .steps
        .iter()
        .position(|(_, record)| differs(record.as_ref()))?;
    let until = course.steps[came..]
        .iter()
        .find(|(_, record)| !differs(record.as_ref()))
        .map(|(time, _)| *time);
    let before = if came == 0 {
        course.start.clone()
    } else {
        course.steps[came - 1].1.clone()
    };
    let (time, after) = course.steps[came].clone();
    let kind = if present(start) {
        Kind::Reverted
    } else {
        Kind::Vanished
    };
    let step = self::kind(asked, before.as_ref(), after.as_ref());
    let changed = aspects(step, before.as_ref(), after.as_ref(), compare);
    Some(Change {
        time,
        layer: course.layer,
        id: course.id,
        kind,
        changed,
        before,
        after,
        until,
        replaced_by: Vec::new(),
    })
}

fn sort(changes: &mut [Change]) {
    changes.sort_by(|a, b| (a.time, a.layer, &a.id).cmp(&(b.time, b.layer, &b.id)));
}

/// The change from one version to another; `None` when the entity is not present on either side or
/// the comparison sees no difference.
fn step(
    asked: &Asked<'_>,
    (layer, id): (LayerId, &str),
    time: Moment,
    before: Option<Record>,
    after: Option<Record>,
    compare: &dyn Compare,
) -> Option<Change> {
    let kind = kind(asked, before.as_ref(), after.as_ref())?;
    let changed = aspects(Some(kind), before.as_ref(), after.as_ref(), compare);
    (!changed.is_empty()).then(|| Change {
        time,
        layer,
        id: id.to_owned(),
        kind,
        changed,
        before,
        after,
        until: None,
        replaced_by: Vec::new(),
    })
}

/// What a step does to presence; `None` when the entity is not present on either side.
fn kind(asked: &Asked<'_>, before: Option<&Record>, after: Option<&Record>) -> Option<Kind> {
    let present = |record: Option<&Record>| record.is_some_and(|record| asked.takes(record));
    match (present(before), present(after)) {
        (false, false) => None,
        (false, true) => Some(Kind::Appeared),
        (true, false) => Some(Kind::Disappeared),
        (true, true) => Some(Kind::Changed),
    }
}

fn aspects(
    kind: Option<Kind>,
    before: Option<&Record>,
    after: Option<&Record>,
    compare: &dyn Compare,
) -> Vec<Aspect> {
    let mut aspects = match kind {
        Some(Kind::Appeared | Kind::Disappeared) => vec![Aspect::Presence],
        _ => Vec::new(),
    };
    if let (Some(before), Some(after)) = (before, after)
        && !before.is_absence()
        && !after.is_absence()
    {
        aspects.extend(compare.aspects(before, after));
    }
    aspects
}

/// A selection ready to be asked about records.
struct Asked<'q> {
    selection: &'q Selection<'q>,
    target: Target,
}

impl<'q> Asked<'q> {
    fn new(view: &View<'_>, query: &'q Query<'q>) -> Self {
        Self {
            selection: &query.selection,
            target: query.selection.target(view.spec()),
        }
    }

    fn takes(&self, record: &Record) -> bool {
        self.selection.takes(&self.target, &record.lend())
    }
}

impl Span {
    /// The state at `from` counts, and so does a change at `to`.
    pub(crate) fn window(self) -> Interval {
        Interval {
            from: self.from,
            to: Moment::from_micros(self.to.as_micros().saturating_add(1)),
        }
    }

    pub(crate) fn check(self) -> Result<()> {
        if self.from > self.to {
            return Err(Error::refused(format!(
                "the span ends at {}, before it starts at {}",
                self.to, self.from
            )));
        }
        Ok(())
    }
}

/// Says how the changes of a span would be found; with `analyze`, finds them as well and says what
/// that took. The courses of the entities found are read by every plan alike and not counted.
///
/// # Errors
/// As for [`replay`].
pub fn explain_changes<'q>(
    view: &View<'_>,
    query: impl Into<Query<'q>>,
    span: Span,
    analyze: bool,
) -> Result<Explain> {
    let query = query.into();
    span.check()?;
    if analyze {
        let found = candidates(view, &query, Some(span), span.window())?.read(view)?;
        return Ok(Explain::new(&found.plan, Some(&found.actual)));
    }
    let planned = candidates(view, &query, Some(span), span.window())?;
    Ok(Explain::new(planned.plan(), None))
}

/// The courses of all entities that may have been in the selection at some time of the span.
fn courses(view: &View<'_>, query: &Query<'_>, span: Span) -> Result<Vec<Course>> {
    span.check()?;
    let Found { entities, .. } = candidates(view, query, Some(span), span.window())?.read(view)?;
    match span.axis {
        Axis::Valid => entities
            .into_iter()
            .map(|(layer, id)| valid_course(view, layer, id, span.window()))
            .collect(),
        Axis::Recorded => recorded_courses(view, entities, span),
    }
}

fn valid_course(view: &View<'_>, layer: LayerId, id: String, window: Interval) -> Result<Course> {
    let mut start = None;
    let mut steps: Vec<(Moment, Option<Record>)> = Vec::new();
    let mut reached = window.from;
    for entry in view.timeline(layer, &id, window)? {
        // Nothing was ever said about the time between.
        if entry.during.from > reached && reached > window.from {
            steps.push((reached, None));
        }
        if entry.during.from == window.from {
            start = Some(entry.record);
        } else {
            steps.push((entry.during.from, Some(entry.record)));
        }
        reached = entry.during.to;
    }
    if reached < window.to && reached > window.from {
        steps.push((reached, None));
    }
    Ok(Course {
        layer,
        id,
        start,
        steps,
    })
}

fn recorded_courses(
    view: &View<'_>,
    entities: Vec<(LayerId, String)>,
    span: Span,
) -> Result<Vec<Course>> {
    let clip = |bounds: BTreeMap<LayerId, u64>| -> BTreeMap<LayerId, u64> {
        bounds
            .into_iter()
            .map(|(layer, bound)| (layer, bound.min(view.bound(layer))))
            .collect()
    };
    let from = clip(view.bounds_at(AsOf::Recorded(span.from))?);
    let to = clip(view.bounds_at(AsOf::Recorded(span.to))?);
    let mut recorded: HashMap<u64, Moment> = HashMap::new();
    let mut courses = Vec::with_capacity(entities.len());
    for (layer, id) in entities {
        let bound = |bounds: &BTreeMap<LayerId, u64>| bounds.get(&layer).copied().unwrap_or(0);
        let start = view.answer_at(layer, &id, bound(&from), view.valid_at())?;
        let mut steps: Vec<(Moment, Option<Record>)> = Vec::new();
        for record in view.steps(layer, &id, bound(&from), bound(&to))? {
            let commit = record.version.commit;
            let time = match recorded.get(&commit) {
                Some(time) => *time,
                None => *recorded
                    .entry(commit)
                    .or_insert(view.commit(commit)?.recorded),
            };
            // Of several versions learned at one moment, only the last was ever the answer.
            match steps.last_mut() {
                Some((last, answer)) if *last == time => *answer = Some(record),
                _ => steps.push((time, Some(record))),
            }
        }
        courses.push(Course {
            layer,
            id,
            start,
            steps,
        });
    }
    Ok(courses)
}

/// What is present where a transient was, at either end of the span.
fn replacements(
    change: &Change,
    selection: &Selection<'_>,
    at_from: &View<'_>,
    at_to: &View<'_>,
    compare: &dyn Compare,
) -> Result<Vec<Replacement>> {
    let Some((gone, extent)) = change
        .after
        .as_ref()
        .and_then(|gone| gone.extent.map(|extent| (gone, extent)))
    else {
        return Ok(Vec::new());
    };
    let place = Selection {
        area: Area::Window(Window::flat(
            extent.west,
            extent.south,
            extent.east,
            extent.north,
        )),
        layers: selection.layers,
        present: selection.present,
        ..Selection::default()
    };
    let mut found: BTreeMap<(LayerId, String), Replacement> = BTreeMap::new();
    for (view, is_from) in [(at_from, true), (at_to, false)] {
        for other in search(view, &place)? {
            let other = other?;
            if other.layer == change.layer && other.id == change.id {
                continue;
            }
            let covered = compare.covered(gone, &other);
            if covered <= 0.0 {
                continue;
            }
            let entry = found
                .entry((other.layer, other.id.clone()))
                .or_insert_with(|| Replacement {
                    layer: other.layer,
                    id: other.id.clone(),
                    covered: 0.0,
                    at_from: false,
                    at_to: false,
                });
            entry.covered = entry.covered.max(covered);
            entry.at_from |= is_from;
            entry.at_to |= !is_from;
        }
    }
    let mut replacements: Vec<_> = found.into_values().collect();
    replacements.sort_by(|a, b| b.covered.total_cmp(&a.covered));
    Ok(replacements)
}

#[cfg(test)]
mod tests;
