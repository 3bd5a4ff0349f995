use super::*;
use crate::area::Window;
use crate::select::Selection;
use crate::testing::net;
use blocknet_engine::{AsOf, Assertion, Commit, Extent, Moment, Recorded, Valid};
use blocknet_geocode::NetSpec;
use std::collections::BTreeSet;

const VEHICLES: u32 = 1_000;
const SECONDS: u32 = 600;
/// 2024-01-01T00:00:00Z.
const START: i64 = 1_704_067_200;

fn second(second: u32) -> Moment {
    Moment::from_micros((START + i64::from(second)) * 1_000_000)
}

/// Where a vehicle is: it runs up and down a street of its own, 1.5 km long, at its own speed.
fn position(vehicle: u32, at: u32) -> (f64, f64) {
    let street = f64::from(vehicle % 40);
    let metres = f64::from((vehicle * 37 + at * (5 + vehicle % 9)) % 3_000);
    let along = if metres < 1_500.0 {
        metres
    } else {
        3_000.0 - metres
    };
    (4.88 + street * 0.0008, 52.36 + along / 111_200.0)
}

/// A thousand vehicles, one position a second each for ten minutes: one of them is followed, and
/// a crossing is asked who passed it, at any time of the last minute and of a span across.
#[test]
fn a_thousand_vehicles_for_ten_minutes_are_followed_and_found() {
    let (_dir, net) = net(NetSpec::city());
    for at in 0..SECONDS {
        let positions = (0..VEHICLES).map(|vehicle| {
            let (longitude, latitude) = position(vehicle, at);
            Assertion::state(
                LayerId::MAIN,
                format!("car-{vehicle:04}"),
                Extent::point(longitude, latitude),
                "",
            )
            .valid(Valid::from(second(at)))
        });
        let commit = Commit {
            recorded: Recorded::At(second(at)),
            ..Commit::new("sensors", positions.collect())
        };
        // Not waited for: the next is built meanwhile.
        drop(net.submit(&commit).unwrap());
    }
    net.sync().unwrap();
    let view = net.view(AsOf::Newest, second(SECONDS)).unwrap();
    let live: u64 = view.levels().map(|(_, rows)| rows.live).sum();
    assert_eq!(
        live,
        u64::from(VEHICLES),
        "the past does not fill the live heads"
    );

    // One vehicle's track: a position for every second.
    let window = |from, to| Interval {
        from: second(from),
        to: second(to),
    };
    let track: Vec<Stay> = stays(
        &view,
        Selection::default().of_id("car-0123"),
        window(60, 180),
    )
    .unwrap()
    .map(Result::unwrap)
    .collect();
    assert_eq!(track.len(), 120);
    for (at, stay) in (60..).zip(&track) {
        let (longitude, latitude) = position(123, at);
        assert_eq!(stay.record.extent, Some(Extent::point(longitude, latitude)));
        assert_eq!(stay.during, window(at, at + 1));
    }

    // Everyone who was in a crossing of 60 m at any time of an interval, and when.
    let crossing = Window::flat(4.8956, 52.3660, 4.8964, 52.3666);
    let inside = |vehicle, at| {
        let (longitude, latitude) = position(vehicle, at);
        crossing.takes(&Extent::point(longitude, latitude), crate::Match::Meets)
    };
    for (from, to) in [(0, SECONDS), (540, 600), (280, 310)] {
        let expected: BTreeSet<(String, u32)> = (0..VEHICLES)
            .flat_map(|vehicle| (from..to).map(move |at| (vehicle, at)))
            .filter(|(vehicle, at)| inside(*vehicle, *at))
            .map(|(vehicle, at)| (format!("car-{vehicle:04}"), at))
            .collect();
        assert!(!expected.is_empty());
        let found: BTreeSet<(String, u32)> =
            stays(&view, Selection::of(crossing), window(from, to))
                .unwrap()
                .map(|stay| {
                    let stay = stay.unwrap();
                    let at = stay.during.from.as_micros() / 1_000_000 - START;
                    (stay.record.id, u32::try_from(at).unwrap())
                })
                .collect();
        assert_eq!(found, expected, "{from}..{to}");
    }

    // What the stream holds at a past second is what a view of that second shows.
    let past = net.view(AsOf::Newest, second(300)).unwrap();
    let expected = (0..VEHICLES)
        .filter(|vehicle| inside(*vehicle, 300))
        .count() as u64;
    let query = Query::from(Selection::of(crossing));
    assert_eq!(query.count(&past).unwrap().records, expected);
}

#[test]
fn an_entity_that_stood_there_all_along_has_one_stay() {
    let (_dir, net) = net(NetSpec::city());
    let house = crate::testing::state("house", 0, crate::testing::plot(0), "");
    net.commit(&Commit::new("test", vec![house])).unwrap();
    let view = net.now_view().unwrap();
    let window = Interval {
        from: crate::testing::day(10),
        to: crate::testing::day(20),
    };
    let found: Vec<Stay> = stays(&view, Selection::default(), window)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].during, window);
    let before = Interval {
        from: crate::testing::day(-20),
        to: crate::testing::day(0),
    };
    assert_eq!(
        stays(&view, Selection::default(), before).unwrap().count(),
        0
    );
}
