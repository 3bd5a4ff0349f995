use super::*;
use crate::area::Circle;
use crate::area::{Altitude, UnknownHeight, Window};
use crate::testing::{Rng, day, gone, net, plot, record, seeds, state};
use blocknet_engine::{
    AsOf, Assertion, Commit, ErrorKind, Extent, LayerDef, LayerId, Moment, Net, RecordRef, Valid,
};
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
    let permit = Assertion {
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

/// A net of entities that move, vanish and come back over twenty commits, some of them at one place
/// with many versions, and one version with its payload erased.
fn restless(rng: &mut Rng) -> (tempfile::TempDir, Net) {
    let (dir, net) = net(NetSpec::city());
    let other = LayerDef::new("other");
    let (other, _) = net
        .define_layer(other, &Commit::new("test", vec![]))
        .unwrap();
    for round in 0..20 {
        let mut assertions = Vec::new();
        for number in 0..120 {
            // The first few stay where they are and change each time.
            let settled = number < 6;
            if !settled && rng.below(4) > 0 {
                continue;
            }
            let id = format!("e{number}");
            let layer = if number % 3 == 0 {
                other
            } else {
                LayerId::MAIN
            };
            let from = i64::try_from(rng.below(60)).unwrap();
            let what = if !settled && rng.below(6) == 0 {
                Assertion::absence(layer, id)
            } else {
                let (x, y) = if settled {
                    (4.9 + 0.001 * f64::from(number), 52.37)
                } else {
                    (4.9 + 0.01 * rng.unit(), 52.37 + 0.01 * rng.unit())
                };
                let side = 0.002 * rng.unit() * rng.unit();
                let flat = Extent::flat(x, y, x + side, y + side);
                let extent = match rng.below(3) {
                    0 => flat,
                    1 => Extent {
                        floor: Some(3.0),
                        ..flat
                    },
                    _ => flat.between(0.0, 30.0 * rng.unit()),
                };
                Assertion::state(layer, id, extent, format!("{round} of {number}"))
            };
            // Some hold for a while only, so that what was there before answers again behind them.
            assertions.push(what.valid(if rng.below(3) == 0 {
                let days = i64::try_from(1 + rng.below(20)).unwrap();
                Valid::between(day(from), day(from + days))
            } else {
                Valid::from(day(from))
            }));
        }
        record(&net, round, assertions);
    }
    let view = net.view(AsOf::Newest, Moment::LAST).unwrap();
    let first = search(&view, &Selection::default()).unwrap().next();
    let version = first.unwrap().unwrap().version;
    drop(view);
    net.erase(&[version], &Commit::new("test", vec![])).unwrap();
    (dir, net)
}

/// All that a lent record says by itself is what the record built from it says.
fn assert_faithful(lent: &RecordRef<'_>, record: &Record) {
    assert_eq!(
        (lent.layer, lent.id, lent.version, lent.valid),
        (record.layer, &*record.id, record.version, record.valid)
    );
    assert_eq!((lent.extent, lent.erased), (record.extent, record.erased));
    assert_eq!(lent.payload, record.payload);
    assert_eq!(&lent.to_record(), record);
}

/// Asks a query in every way there is; all are to say the same, and what was asked is returned.
fn every_way(view: &View<'_>, query: &Query<'_>, rng: &mut Rng) -> Vec<Record> {
    let mut built = query.run(view).unwrap();
    let records: Vec<Record> = built.by_ref().map(Result::unwrap).collect();
    // As the view itself has them, read by id.
    for record in &records {
        assert_eq!(
            view.get(record.layer, &record.id).unwrap().as_ref(),
            Some(record)
        );
    }

    let mut lent = query.run(view).unwrap();
    let mut at = 0;
    lent.visit(|record| {
        assert_faithful(record, &records[at]);
        at += 1;
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(at, records.len(), "{query:?}");
    assert_eq!(lent.rows_read(), built.rows_read());
    assert_eq!(lent.unknown_height(), built.unknown_height());
    assert!(lent.next().is_none(), "it has ended");

    // Stopped and gone on with, by turns with building.
    let mut turns = query.run(view).unwrap();
    let mut at = 0;
    loop {
        let mut more = rng.below(4);
        let before = at;
        turns
            .visit(|record| {
                assert_faithful(record, &records[at]);
                at += 1;
                if more == 0 {
                    return ControlFlow::Break(());
                }
                more -= 1;
                ControlFlow::Continue(())
            })
            .unwrap();
        match turns.next().transpose().unwrap() {
            Some(record) => assert_eq!(record, records[at]),
            None => break,
        }
        at += 1;
        assert!(at > before);
    }
    assert_eq!(at, records.len(), "{query:?}");

    let count = query.count(view).unwrap();
    assert_eq!(count.records, records.len() as u64);
    assert_eq!(count.unknown_height, built.unknown_height());
    let mut at = 0;
    let visited = query.visit(view, |record| {
        assert_faithful(record, &records[at]);
        at += 1;
        ControlFlow::Continue(())
    });
    assert_eq!(visited.unwrap(), count);
    records
}

#[test]
fn what_is_lent_is_what_is_built() {
    let mut answered = 0;
    for seed in seeds(4) {
        println!("BLOCKNET_SEED={seed}");
        let mut rng = Rng(seed);
        let (_dir, net) = restless(&mut rng);
        let odd = |record: &RecordRef<'_>| !record.id.ends_with('7') && !record.payload.is_empty();
        for (as_of, valid) in [
            (AsOf::Newest, Moment::LAST),
            (AsOf::Newest, day(25)),
            (AsOf::Commit(9), Moment::LAST),
            (AsOf::Recorded(day(15)), day(40)),
        ] {
            let view = net.view(as_of, valid).unwrap();
            let (x, y) = (4.9 + 0.006 * rng.unit(), 52.37 + 0.006 * rng.unit());
            let window = Selection::of(Window::flat(x, y, x + 0.004, y + 0.004));
            let place = Position {
                longitude: x,
                latitude: y,
                altitude: None,
            };
            for selection in [
                Selection::default(),
                window.clone(),
                window.clone().between(10.0, 20.0),
                window.clone().in_layers(&[LayerId::MAIN]),
                window.present_when(&odd),
                Selection::of(Circle::new((x, y), 300.0)).refined(&odd),
                Selection::default().of_id("e7"),
            ] {
                let all = Query::from(&selection);
                let records = every_way(&view, &all, &mut rng);
                answered += u32::from(!records.is_empty());
                for limit in [0, 1, 7] {
                    let some = every_way(&view, &all.clone().limited(limit), &mut rng);
                    let limit = usize::try_from(limit).unwrap();
                    assert_eq!(some, records[..records.len().min(limit)]);
                }
                for order in [Order::Distance(place), Order::ValidFrom] {
                    let mut ordered = every_way(&view, &all.clone().ordered(order), &mut rng);
                    assert_eq!(ordered.len(), records.len());
                    ordered.retain(|record| !records.contains(record));
                    assert!(ordered.is_empty(), "{order:?} gave others");
                }
                if selection.id.is_some() {
                    continue;
                }
                for plan in [PlanKind::Ranges, PlanKind::Skip, PlanKind::Scan] {
                    let same = every_way(&view, &all.clone().by(plan), &mut rng);
                    assert_eq!(same, records, "by {plan:?}");
                }
            }
        }
    }
    assert!(answered > 75, "only {answered} queries had an answer");
}
