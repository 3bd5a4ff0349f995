use crate::area::Window;
use crate::plan::PlanKind;
use crate::search::Query;
use crate::select::Selection;
use crate::testing::{day, gone, record, state};
use crate::{Axis, ByteCompare, Span, explain_changes, replay};
use blocknet_engine::{AsOf, Costs, Extent, Net};
use blocknet_geocode::NetSpec;

/// A town of 400 houses in rows, some with storeys, and costs that do not depend on the machine.
fn town() -> (tempfile::TempDir, Net) {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::builder()
        .tables_in_memory()
        .costs(Costs {
            open: 10.0,
            seek: 5.0,
            next: 0.5,
            byte: 0.0,
        })
        .create(dir.path().join("net"), NetSpec::city())
        .unwrap();
    let houses = (0..400_u32).map(|number| {
        let west = 4.9 + f64::from(number % 20) * 0.0005;
        let south = 52.37 + f64::from(number / 20) * 0.0003;
        let extent = Extent::flat(west, south, west + 0.0001, south + 0.0001);
        state(&number.to_string(), 0, extent.between(0.0, 3.0), "")
    });
    record(&net, 1, houses.collect());
    (dir, net)
}

fn query() -> Query<'static> {
    Query::from(Selection::of(Window::flat(
        4.9009, 52.3709, 4.9041, 52.3731,
    )))
}

/// The golden text: numbers that a change of the cover moves are looked at by a person.
#[test]
fn a_plan_is_explained_in_words() {
    let (_dir, net) = town();
    let view = net.view(AsOf::Newest, day(5)).unwrap();
    let text = query()
        .by(PlanKind::Skip)
        .explain(&view)
        .unwrap()
        .to_string();
    assert_eq!(text, include_str!("golden.txt"), "{text}");
}

#[test]
fn a_plan_is_explained_as_json() {
    let (_dir, net) = town();
    let view = net.view(AsOf::Newest, day(5)).unwrap();
    let explain = query().by(PlanKind::Skip).explain(&view).unwrap();
    let json = serde_json::to_string_pretty(&explain).unwrap() + "\n";
    assert_eq!(json, include_str!("golden.json"), "{json}");
}

/// What a plan was estimated to read is what it reads where zones count single blocks, and the
/// ranges come to the whole.
#[test]
fn what_was_read_is_told_for_each_range_and_in_all() {
    let (_dir, net) = town();
    let view = net.view(AsOf::Newest, day(5)).unwrap();
    for plan in [PlanKind::Ranges, PlanKind::Skip, PlanKind::Scan] {
        let explain = query().by(plan).analyze(&view).unwrap();
        let returned = query().count(&view).unwrap().records;
        assert_eq!(explain.plan, plan.name());
        assert_eq!(explain.rows_returned, Some(returned));
        let sum = |member: fn(&crate::ExplainRange) -> Option<u64>| {
            explain
                .ranges
                .iter()
                .map(|range| member(range).unwrap())
                .sum::<u64>()
        };
        assert_eq!(Some(sum(|range| range.rows_read)), explain.rows_read);
        assert_eq!(
            Some(sum(|range| range.rows_returned)),
            explain.rows_returned
        );
        assert_eq!(Some(sum(|range| range.seeks)), explain.seeks);
        assert_eq!(Some(sum(|range| range.bytes)), explain.bytes);
        #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
        let read = explain.rows_read.unwrap() as f64;
        assert!(
            (explain.rows_estimated - read).abs() <= 0.2 * read,
            "{explain}"
        );
        assert_eq!(explain.rejected.len(), 4, "{explain}");
    }
    let refused = query().by(PlanKind::Time).explain(&view).unwrap_err();
    assert!(
        refused.to_string().contains("`time` cannot answer"),
        "{refused}"
    );
    let refused = query().by(PlanKind::Entity).run(&view).unwrap_err();
    assert!(refused.to_string().contains("no id"), "{refused}");
}

/// A short span of many commits is read from the commits; a long one of a small place by place.
#[test]
fn changes_are_sought_by_time_or_by_place_whichever_costs_less() {
    let (_dir, net) = town();
    for at in 0..200 {
        record(&net, 10 + at, vec![gone(&(at % 400).to_string(), 10 + at)]);
    }
    let view = net.view(AsOf::Newest, day(500)).unwrap();
    let span = |from, to, axis| Span {
        from: day(from),
        to: day(to),
        axis,
    };
    for axis in [Axis::Recorded, Axis::Valid] {
        let short =
            explain_changes(&view, Selection::default(), span(100, 103, axis), true).unwrap();
        assert_eq!(short.plan, "time", "{short}");
        assert_eq!(short.rows_returned, Some(3), "{short}");
        let corner = Selection::of(Window::flat(4.9, 52.37, 4.9001, 52.3701));
        let long = explain_changes(&view, &corner, span(5, 400, axis), true).unwrap();
        assert!(["ranges", "skip"].contains(&long.plan), "{long}");
        for plan in ["time", "scan"] {
            let rejected = long
                .rejected
                .iter()
                .find(|rejected| rejected.plan == plan)
                .unwrap();
            assert!(
                rejected.cost_estimated.unwrap() > long.cost_estimated,
                "{long}"
            );
        }
    }
    let changes = replay(
        &view,
        Selection::default(),
        span(100, 103, Axis::Valid),
        &ByteCompare,
    );
    assert_eq!(changes.unwrap().len(), 3);
}
