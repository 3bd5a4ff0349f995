use super::*;
use crate::area::{Altitude, UnknownHeight, Window};
use crate::testing::{day, gone, net, plot, record, state};
use blocknet_engine::{AsOf, ErrorKind, Extent, LayerDef, LayerId, Net, RecordRef};
use blocknet_geocode::NetSpec;

fn ids(view: &View<'_>, selection: &Selection<'_>) -> Vec<String> {
    let found = search(view, selection).unwrap();
    found.map(|record| record.unwrap().id).collect()
}

/// Three houses in a row; the last has been pulled down on day 50.
fn street() -> (tempfile::TempDir, Net) {
    let (dir, net) = net(NetSpec::city());
    let houses = vec![
        state("a", 0, plot(0), "in use"),
        state("b", 10, plot(1), "in use"),
        state("c", 0, plot(2), "in use"),
    ];
    record(&net, 20, houses);
    record(
        &net,
        60,
        vec![gone("c", 50), state("b", 55, plot(1), "demolished")],
    );
    (dir, net)
}

#[test]
fn a_window_gives_what_stands_in_it_at_a_time_as_known_at_another() {
    let (_dir, net) = street();
    let row = Selection::of(Window::flat(4.89, 52.36, 4.93, 52.38));
    for (as_of, valid, expected) in [
        (AsOf::Newest, 5, vec!["a", "c"]),
        (AsOf::Newest, 49, vec!["a", "b", "c"]),
        (AsOf::Newest, 50, vec!["a", "b"]),
        // Before day 60 nobody knew that c was gone.
        (AsOf::Recorded(day(59)), 50, vec!["a", "b", "c"]),
        (AsOf::Recorded(day(19)), 50, vec![]),
    ] {
        let view = net.view(as_of, day(valid)).unwrap();
        assert_eq!(ids(&view, &row), expected, "{as_of:?}, day {valid}");
        assert_eq!(ids(&view, &Selection::default()), expected);
    }
    let narrow = Selection::of(Window::flat(4.909, 52.36, 4.911, 52.38));
    let view = net.view(AsOf::Newest, day(49)).unwrap();
    assert_eq!(ids(&view, &narrow), ["b"]);
}

#[test]
fn presence_is_a_rule_on_the_record_not_the_existence_of_a_row() {
    let (_dir, net) = street();
    let view = net.view(AsOf::Newest, day(70)).unwrap();
    let in_use = |record: &RecordRef<'_>| record.payload == b"in use";
    let all = Selection::default();
    assert_eq!(
        ids(&view, &all),
        ["a", "b"],
        "b has a row that says `demolished`"
    );
    assert_eq!(ids(&view, &all.clone().present_when(&in_use)), ["a"]);
    assert_eq!(
        ids(&view, &all.clone().of_id("b").present_when(&in_use)),
        [""; 0]
    );
}

#[test]
fn an_id_is_looked_up_in_every_layer_asked_for_and_still_has_to_lie_in_the_area() {
    let (_dir, net) = street();
    let permits = net
        .create_layer(LayerDef::new("permits"), "test", "")
        .unwrap();
    let permit = blocknet_engine::Assertion {
        layer: permits,
        ..state("a", 0, plot(0), "granted")
    };
    record(&net, 61, vec![permit]);
    let view = net.view(AsOf::Newest, day(70)).unwrap();
    let layers = |selection: &Selection<'_>| -> Vec<LayerId> {
        let found = search(&view, selection).unwrap();
        found.map(|record| record.unwrap().layer).collect()
    };
    let a = Selection::default().of_id("a");
    assert_eq!(layers(&a), [LayerId::MAIN, permits]);
    assert_eq!(layers(&a.clone().in_layers(&[permits])), [permits]);
    let elsewhere = Selection::of(Window::flat(0.0, 0.0, 1.0, 1.0));
    assert_eq!(layers(&elsewhere.of_id("a")), []);
    assert_eq!(
        layers(&Selection::default().in_layers(&[permits])),
        [permits]
    );
}

#[test]
fn what_may_reach_into_an_altitude_band_is_returned_and_counted() {
    let (_dir, net) = net(NetSpec::city());
    let unknown = Extent {
        top: None,
        ..plot(1)
    };
    let houses = vec![
        state("low", 0, plot(0).between(0.0, 4.0), ""),
        state("unknown", 0, unknown, ""),
        state("tower", 0, plot(2).between(0.0, 90.0), ""),
    ];
    record(&net, 0, houses);
    let view = net.view(AsOf::Newest, day(1)).unwrap();
    let selection = Selection::of(Window::flat(4.8, 52.3, 5.0, 52.4)).between(30.0, 40.0);
    let mut search = search(&view, &selection).unwrap();
    let found: Vec<_> = search.by_ref().map(|record| record.unwrap().id).collect();
    assert_eq!((found.len(), search.unknown_height()), (2, 1));
    assert!(found.contains(&"tower".into()) && found.contains(&"unknown".into()));
    assert_eq!(
        search.rows_read(),
        2,
        "no row of the low house's block is read"
    );
    let known = Selection {
        altitude: Some(Altitude {
            unknown: UnknownHeight::Exclude,
            ..Altitude::between(30.0, 40.0)
        }),
        ..selection
    };
    assert_eq!(ids(&view, &known), ["tower"]);
}

#[test]
fn a_finer_test_of_place_sees_only_what_lies_across_the_border() {
    let (_dir, net) = street();
    let view = net.view(AsOf::Newest, day(49)).unwrap();
    let seen = std::cell::RefCell::new(Vec::new());
    let refine = |record: &RecordRef<'_>| {
        seen.borrow_mut().push(record.id.to_owned());
        false
    };
    // The house a lies inside, b across the eastern edge, c outside.
    let west = Selection::of(Window::flat(4.89, 52.36, 4.9101, 52.38));
    assert_eq!(ids(&view, &west.clone().refined(&refine)), ["a"]);
    assert_eq!(*seen.borrow(), ["b"]);
    assert_eq!(ids(&view, &west), ["a", "b"]);
}

#[test]
fn a_window_out_of_range_is_refused() {
    let (_dir, net) = street();
    let view = net.view(AsOf::Newest, day(0)).unwrap();
    let bad = Selection::of(Window::flat(0.0, 0.0, 181.0, 1.0));
    let error = search(&view, &bad).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("east is 181"), "{error}");
}
