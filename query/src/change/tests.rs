use super::*;
use crate::testing::{day, gone, net, plot, record, state};
use blocknet_engine::{ErrorKind, Net, RecordRef};
use blocknet_geocode::NetSpec;

const ALL: Selection<'static> = Selection {
    area: Area::Everywhere,
    altitude: None,
    matching: crate::Match::Meets,
    layers: None,
    id: None,
    refine: None,
    present: None,
};

fn span(from: i64, to: i64, axis: Axis) -> Span {
    Span {
        from: day(from),
        to: day(to),
        axis,
    }
}

fn valid(from: i64, to: i64) -> Span {
    span(from, to, Axis::Valid)
}

/// Day, id, kind and what changed.
type Seen = (i64, String, Kind, Vec<Aspect>);

fn seen(changes: &[Change]) -> Vec<Seen> {
    let first = day(0).as_micros();
    changes
        .iter()
        .map(|change| {
            let days = (change.time.as_micros() - first) / 86_400_000_000;
            (days, change.id.clone(), change.kind, change.changed.clone())
        })
        .collect()
}

fn row(day: i64, id: &str, kind: Kind, changed: &[Aspect]) -> Seen {
    (day, id.into(), kind, changed.to_vec())
}

fn newest(net: &Net) -> View<'_> {
    net.view(AsOf::Newest, day(100)).unwrap()
}

/// A storey is put on a house on day 30 and taken off on day 40: at two inspections, on days 20
/// and 50, it has six metres.
fn storey_without_a_permit() -> (tempfile::TempDir, Net) {
    let (dir, net) = net(NetSpec::city());
    record(&net, 10, vec![state("house", 0, plot(0), "two storeys")]);
    record(
        &net,
        60,
        vec![
            state("house", 30, plot(0).between(0.0, 9.0), "three storeys"),
            state("house", 40, plot(0), "two storeys"),
        ],
    );
    (dir, net)
}

#[test]
fn a_storey_that_came_and_went_between_two_looks_is_a_reverted_change() {
    let (_dir, net) = storey_without_a_permit();
    let view = newest(&net);
    // The two looks do not differ.
    assert_eq!(diff(&view, &ALL, valid(20, 50), &ByteCompare).unwrap(), []);
    let found = transients(&view, &ALL, valid(20, 50), &ByteCompare).unwrap();
    let both = [Aspect::Height, Aspect::Properties];
    assert_eq!(seen(&found), [row(30, "house", Kind::Reverted, &both)]);
    let storey = &found[0];
    assert_eq!(storey.until, Some(day(40)));
    let top = |record: &Option<Record>| record.as_ref().unwrap().extent.unwrap().top;
    assert_eq!(
        (top(&storey.before), top(&storey.after)),
        (Some(6.0), Some(9.0))
    );
    assert_eq!(storey.replaced_by, []);
    // Step by step, both changes are there.
    let steps = replay(&view, &ALL, valid(20, 50), &ByteCompare).unwrap();
    assert_eq!(
        seen(&steps),
        [
            row(30, "house", Kind::Changed, &both),
            row(40, "house", Kind::Changed, &both)
        ]
    );
    // Where one look falls into the time between, it is an ordinary difference.
    let found = diff(&view, &ALL, valid(20, 35), &ByteCompare).unwrap();
    assert_eq!(seen(&found), [row(30, "house", Kind::Changed, &both)]);
    let between = transients(&view, &ALL, valid(20, 35), &ByteCompare).unwrap();
    assert_eq!(between, []);
}

/// What the heights of a building say, and nothing else of it.
struct HeightOnly;

impl Compare for HeightOnly {
    fn aspects(&self, before: &Record, after: &Record) -> Vec<Aspect> {
        let mut aspects = ByteCompare.aspects(before, after);
        aspects.retain(|aspect| *aspect == Aspect::Height);
        aspects
    }
}

#[test]
fn the_comparison_says_what_counts_as_equal() {
    let (_dir, net) = storey_without_a_permit();
    record(
        &net,
        70,
        vec![state("house", 45, plot(0), "two storeys, painted")],
    );
    let view = newest(&net);
    // By bytes the house is another than before; by height it is the same again.
    let found = transients(&view, &ALL, valid(20, 50), &ByteCompare).unwrap();
    assert_eq!(found, []);
    let found = transients(&view, &ALL, valid(20, 50), &HeightOnly).unwrap();
    assert_eq!(
        seen(&found),
        [row(30, "house", Kind::Reverted, &[Aspect::Height])]
    );
    let painted = replay(&view, &ALL, valid(40, 50), &HeightOnly).unwrap();
    assert_eq!(
        painted,
        [],
        "a version that changes nothing it sees is no change"
    );
}

#[test]
fn a_shed_that_stood_only_between_two_looks_has_vanished() {
    let (_dir, net) = net(NetSpec::city());
    record(
        &net,
        90,
        vec![
            state("shed", 30, plot(1), ""),
            gone("shed", 40),
            state("house", 0, plot(0), ""),
        ],
    );
    let view = newest(&net);
    let found = transients(&view, &ALL, valid(20, 50), &ByteCompare).unwrap();
    assert_eq!(
        seen(&found),
        [row(30, "shed", Kind::Vanished, &[Aspect::Presence])]
    );
    assert_eq!(found[0].until, Some(day(40)));
    assert_eq!(diff(&view, &ALL, valid(20, 50), &ByteCompare).unwrap(), []);
    let steps = replay(&view, &ALL, valid(20, 50), &ByteCompare).unwrap();
    assert_eq!(
        seen(&steps),
        [
            row(30, "shed", Kind::Appeared, &[Aspect::Presence]),
            row(40, "shed", Kind::Disappeared, &[Aspect::Presence])
        ]
    );
    // Elsewhere nothing was to be seen of it.
    let elsewhere = Selection::of(Window::flat(4.89, 52.36, 4.905, 52.38));
    let found = transients(&view, &elsewhere, valid(20, 50), &ByteCompare).unwrap();
    assert_eq!(found, []);
}

#[test]
fn a_span_leaves_out_its_start_and_takes_in_its_end() {
    let (_dir, net) = net(NetSpec::city());
    record(&net, 90, vec![state("house", 30, plot(0), "")]);
    let view = newest(&net);
    let appeared = [row(30, "house", Kind::Appeared, &[Aspect::Presence])];
    for (from, to, expected) in [
        (29, 30, &appeared[..]),
        (30, 31, &[]),
        (30, 30, &[]),
        (0, 29, &[]),
    ] {
        let found = diff(&view, &ALL, valid(from, to), &ByteCompare).unwrap();
        assert_eq!(seen(&found), expected, "{from} to {to}");
        let found = replay(&view, &ALL, valid(from, to), &ByteCompare).unwrap();
        assert_eq!(seen(&found), expected, "{from} to {to}");
    }
    let error = replay(&view, &ALL, valid(31, 30), &ByteCompare).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

#[test]
fn a_building_whose_id_changed_looks_vanished_and_says_what_stands_in_its_place() {
    let (_dir, net) = net(NetSpec::city());
    let half = Extent {
        east: plot(0).east - 0.0001,
        ..plot(0)
    };
    record(
        &net,
        90,
        vec![
            state("old", 0, plot(0), ""),
            gone("old", 25),
            state("short-lived", 25, plot(0), ""),
            gone("short-lived", 45),
            state("new", 45, plot(0), ""),
            state("annex", 45, half, ""),
            state("neighbour", 0, plot(1), ""),
        ],
    );
    let view = newest(&net);
    let found = transients(&view, &ALL, valid(20, 50), &ByteCompare).unwrap();
    assert_eq!(
        seen(&found),
        [row(25, "short-lived", Kind::Vanished, &[Aspect::Presence])]
    );
    let replaced: Vec<_> = found[0]
        .replaced_by
        .iter()
        .map(|other| (other.id.as_str(), other.at_from, other.at_to))
        .collect();
    let (covered, rest) = (&found[0].replaced_by[..2], &found[0].replaced_by[2]);
    assert!(covered.iter().all(|other| other.covered > 0.999_999));
    assert!((rest.covered - 0.5).abs() < 1e-6, "half of the plot");
    assert_eq!(
        replaced,
        [
            ("new", false, true),
            ("old", true, false),
            ("annex", false, true)
        ]
    );
}

#[test]
fn presence_is_what_the_caller_says_it_is() {
    let (_dir, net) = net(NetSpec::city());
    record(
        &net,
        90,
        vec![
            state("house", 0, plot(0), "permit granted"),
            state("house", 10, plot(0), "in use"),
            state("house", 40, plot(0), "demolished"),
        ],
    );
    let view = newest(&net);
    let in_use = |record: &RecordRef<'_>| record.payload == b"in use";
    let standing = ALL.present_when(&in_use);
    let steps = replay(&view, &standing, valid(-1, 50), &ByteCompare).unwrap();
    let presence = [Aspect::Presence, Aspect::Properties];
    assert_eq!(
        seen(&steps),
        [
            row(10, "house", Kind::Appeared, &presence),
            row(40, "house", Kind::Disappeared, &presence)
        ]
    );
    // The register never lost its row.
    let rows = replay(&view, &ALL, valid(-1, 50), &ByteCompare).unwrap();
    let kinds: Vec<Kind> = rows.iter().map(|change| change.kind).collect();
    assert_eq!(kinds, [Kind::Appeared, Kind::Changed, Kind::Changed]);
    let found = transients(&view, &standing, valid(5, 50), &ByteCompare).unwrap();
    assert_eq!(seen(&found), [row(10, "house", Kind::Vanished, &presence)]);
}

#[test]
fn the_recorded_axis_tells_what_was_known_when() {
    let (_dir, net) = net(NetSpec::city());
    record(&net, 10, vec![state("house", 0, plot(0), "brick")]);
    record(&net, 20, vec![state("house", 0, plot(0), "concrete")]);
    record(&net, 30, vec![state("house", 0, plot(0), "brick")]);
    record(&net, 40, vec![state("house", 50, plot(0), "glass")]);
    // About day 5, which the last commit does not speak of.
    let view = net.view(AsOf::Newest, day(5)).unwrap();
    let recorded = |from, to| span(from, to, Axis::Recorded);
    let steps = replay(&view, &ALL, recorded(5, 60), &ByteCompare).unwrap();
    assert_eq!(
        seen(&steps),
        [
            row(10, "house", Kind::Appeared, &[Aspect::Presence]),
            row(20, "house", Kind::Changed, &[Aspect::Properties]),
            row(30, "house", Kind::Changed, &[Aspect::Properties])
        ]
    );
    assert_eq!(steps[1].commit(), Some(3));
    // For ten days the register had it wrong; in the world nothing happened.
    let found = transients(&view, &ALL, recorded(15, 35), &ByteCompare).unwrap();
    assert_eq!(
        seen(&found),
        [row(20, "house", Kind::Reverted, &[Aspect::Properties])]
    );
    assert_eq!(found[0].until, Some(day(30)));
    let world = replay(&view, &ALL, valid(0, 45), &ByteCompare).unwrap();
    assert_eq!(world, []);
    // An earlier view does not know what was learned after it.
    let earlier = net.view(AsOf::Recorded(day(25)), day(5)).unwrap();
    let steps = replay(&earlier, &ALL, recorded(5, 60), &ByteCompare).unwrap();
    assert_eq!(steps.len(), 2);
}

#[test]
fn a_move_out_of_the_area_is_a_disappearance_and_names_the_new_place() {
    let (_dir, net) = net(NetSpec::city());
    record(
        &net,
        90,
        vec![
            state("caravan", 0, plot(0), ""),
            state("caravan", 30, plot(1), ""),
        ],
    );
    let view = newest(&net);
    let site = Selection::of(Window::flat(4.89, 52.36, 4.905, 52.38));
    let steps = replay(&view, &site, valid(10, 50), &ByteCompare).unwrap();
    let moved = [Aspect::Presence, Aspect::Geometry];
    assert_eq!(
        seen(&steps),
        [row(30, "caravan", Kind::Disappeared, &moved)]
    );
    let after = steps[0].after.as_ref().unwrap();
    assert_eq!(after.extent, Some(plot(1)));
    // Everywhere taken together it is one change.
    let steps = replay(&view, &ALL, valid(10, 50), &ByteCompare).unwrap();
    assert_eq!(
        seen(&steps),
        [row(30, "caravan", Kind::Changed, &[Aspect::Geometry])]
    );
}
