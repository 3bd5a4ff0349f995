//! Replay, difference and transients, found by asking the model for every day.

use blocknet::query::{
    Area, Aspect, Axis, ByteCompare, Change, Compare as _, Kind, Match, PlanKind, Query, Selection,
    Span, Window, diff, replay, transients,
};
use blocknet::{AsOf, LayerId, Moment, Net, RecordRef, Version, View};

use super::entities;
use super::reference::{Fact, Model};
use super::story::{DAYS, HORIZON, IDS, day, extent, recorded_day};

/// Presence for the tests of changes: two of the four payloads.
pub(super) fn present(record: &RecordRef<'_>) -> bool {
    record.payload[0].is_multiple_of(2)
}

pub(super) fn check_changes(net: &Net, model: &Model, second: LayerId) {
    let window = Window::flat(6.05, 51.95, 6.2, 52.05);
    let newest = net.view(AsOf::Newest, day(DAYS / 2)).unwrap();
    let middle = net
        .view(AsOf::Commit(model.newest / 2 + 1), day(3))
        .unwrap();
    for selection in [
        Selection::default(),
        Selection::of(window),
        Selection::of(window).present_when(&present),
        Selection::default().present_when(&present).of_id(IDS[0]),
        Selection::default().in_layers(&[LayerId::MAIN]),
    ] {
        for view in [&newest, &middle] {
            for (from, to) in [(-1, HORIZON), (2, 7), (4, 4)] {
                let span = Span {
                    from: day(from),
                    to: day(to),
                    axis: Axis::Valid,
                };
                let courses = valid_courses(view, model, second, &selection, from, to);
                compare_changes(view, &selection, span, &courses);
            }
            for (from, to) in [(-5, model.now), (1, model.now / 2 + 1)] {
                let axis = Axis::Recorded;
                let span = Span {
                    from: recorded_day(from),
                    to: recorded_day(to),
                    axis,
                };
                let courses = recorded_courses(view, model, second, &selection, from, to);
                compare_changes(view, &selection, span, &courses);
            }
        }
    }
}

/// An entity's answer at every day of a span, the first one being the start.
pub(super) struct Course {
    layer: LayerId,
    id: &'static str,
    answers: Vec<(Moment, Option<Fact>)>,
}

pub(super) fn selected<'m>(
    second: LayerId,
    selection: &'m Selection<'_>,
) -> impl Iterator<Item = (LayerId, &'static str)> + 'm {
    entities(second).into_iter().filter(|(layer, id)| {
        selection.layers.is_none_or(|layers| layers.contains(layer))
            && selection.id.is_none_or(|only| only == *id)
    })
}

pub(super) fn valid_courses(
    view: &View<'_>,
    model: &Model,
    second: LayerId,
    selection: &Selection<'_>,
    from: i64,
    to: i64,
) -> Vec<Course> {
    let answers = |layer, id| {
        (from..=to)
            .map(|t| {
                (
                    day(t),
                    model.answer(layer, id, view.bound(layer), t).cloned(),
                )
            })
            .collect()
    };
    selected(second, selection)
        .map(|(layer, id)| Course {
            layer,
            id,
            answers: answers(layer, id),
        })
        .collect()
}

pub(super) fn recorded_courses(
    view: &View<'_>,
    model: &Model,
    second: LayerId,
    selection: &Selection<'_>,
    from: i64,
    to: i64,
) -> Vec<Course> {
    let t = (view.valid_at().as_micros() - day(0).as_micros()) / 86_400_000_000;
    let answers = |layer, id| {
        (from..=to)
            .map(|recorded| {
                let bound = model.bound(layer, recorded).min(view.bound(layer));
                (
                    recorded_day(recorded),
                    model.answer(layer, id, bound, t).cloned(),
                )
            })
            .collect()
    };
    selected(second, selection)
        .map(|(layer, id)| Course {
            layer,
            id,
            answers: answers(layer, id),
        })
        .collect()
}

/// A change as the model sees it: time, layer, id, kind, versions before and after, until.
pub(super) type Seen = (
    Moment,
    LayerId,
    String,
    Kind,
    Option<Version>,
    Option<Version>,
    Option<Moment>,
);

pub(super) fn seen(change: &Change) -> Seen {
    (
        change.time,
        change.layer,
        change.id.clone(),
        change.kind,
        change.before.as_ref().map(|record| record.version),
        change.after.as_ref().map(|record| record.version),
        change.until,
    )
}

#[expect(
    clippy::too_many_lines,
    reason = "one definition, read from top to bottom"
)]
fn compare_changes(view: &View<'_>, selection: &Selection<'_>, span: Span, courses: &[Course]) {
    let context = format!("{selection:?} {span:?}");
    let in_selection = |fact: &Option<Fact>| {
        fact.as_ref().is_some_and(|fact| {
            fact.place.is_some_and(|place| match &selection.area {
                Area::Everywhere => true,
                Area::Window(window) => window.takes(&extent(place), Match::Meets),
                area => unreachable!("{area:?} is not asked here"),
            }) && (selection.present.is_none() || fact.payload % 2 == 0)
        })
    };
    let alike = |a: &Option<Fact>, b: &Option<Fact>| match (a, b) {
        (Some(a), Some(b)) => a.place == b.place && a.payload == b.payload,
        _ => false,
    };
    let version = |fact: &Option<Fact>| fact.as_ref().map(|fact| fact.version);
    let step = |before: &Option<Fact>, after: &Option<Fact>| match (
        in_selection(before),
        in_selection(after),
    ) {
        (false, false) => None,
        (false, true) => Some(Kind::Appeared),
        (true, false) => Some(Kind::Disappeared),
        (true, true) if alike(before, after) => None,
        (true, true) => Some(Kind::Changed),
    };
    let mut replayed: Vec<Seen> = Vec::new();
    let mut differing: Vec<Seen> = Vec::new();
    let mut transient: Vec<Seen> = Vec::new();
    for Course { layer, id, answers } in courses {
        let (start, end) = (&answers[0].1, &answers[answers.len() - 1].1);
        let mut last_step = None;
        for pair in answers.windows(2) {
            let ((_, before), (time, after)) = (&pair[0], &pair[1]);
            if version(before) == version(after) {
                continue;
            }
            last_step = Some(*time);
            if let Some(kind) = step(before, after) {
                let versions = (version(before), version(after));
                replayed.push((
                    *time,
                    *layer,
                    (*id).into(),
                    kind,
                    versions.0,
                    versions.1,
                    None,
                ));
            }
        }
        if let (Some(time), Some(kind)) = (last_step, step(start, end)) {
            differing.push((
                time,
                *layer,
                (*id).into(),
                kind,
                version(start),
                version(end),
                None,
            ));
        }
        let other = |fact: &Option<Fact>| {
            in_selection(fact) != in_selection(start) || in_selection(fact) && !alike(start, fact)
        };
        if !other(end)
            && let Some(came) = answers.iter().position(|(_, fact)| other(fact))
        {
            let until = answers[came..].iter().find(|(_, fact)| !other(fact));
            transient.push((
                answers[came].0,
                *layer,
                (*id).into(),
                if in_selection(start) {
                    Kind::Reverted
                } else {
                    Kind::Vanished
                },
                version(&answers[came - 1].1),
                version(&answers[came].1),
                until.map(|(time, _)| *time),
            ));
        }
    }
    for list in [&mut replayed, &mut differing, &mut transient] {
        list.sort_by(|a, b| (a.0, a.1, &a.2).cmp(&(b.0, b.1, &b.2)));
    }
    let found = |changes: Vec<Change>| changes.iter().map(seen).collect::<Vec<_>>();
    // Whatever the plan, and however it is chosen.
    let mut plans = vec![None, Some(PlanKind::Entity)];
    if selection.id.is_none() {
        let by_place = [PlanKind::Ranges, PlanKind::Skip, PlanKind::Scan];
        plans = vec![None, Some(PlanKind::Time)];
        plans.extend(by_place.map(Some));
    }
    for plan in plans {
        let query = Query {
            plan,
            ..Query::from(selection)
        };
        assert_eq!(
            found(replay(view, &query, span, &ByteCompare).unwrap()),
            replayed,
            "replay {plan:?} {context}"
        );
        assert_eq!(
            found(diff(view, &query, span, &ByteCompare).unwrap()),
            differing,
            "diff {plan:?} {context}"
        );
    }
    let changes = transients(view, selection, span, &ByteCompare).unwrap();
    for change in &changes {
        for other in &change.replaced_by {
            assert!(other.covered > 0.0 && other.covered <= 1.0, "{other:?}");
            assert!(other.at_from || other.at_to);
        }
        if let (Some(before), Some(after)) = (&change.before, &change.after) {
            assert_eq!(
                before.payload != after.payload,
                ByteCompare.aspects(before, after).last() == Some(&Aspect::Properties)
            );
        }
    }
    assert_eq!(found(changes), transient, "transients {context}");
}
