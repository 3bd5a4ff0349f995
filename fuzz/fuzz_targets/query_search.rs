//! Queries of a fixed net with hostile areas, heights, orders and limits. Every plan gives the same
//! records; in a window they are those that a look at every record gives; the count is their number.
#![no_main]

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use arbitrary::Arbitrary;
use blocknet_engine::{AsOf, Interval, Moment, Net};
use blocknet_fuzz::{DAY, NOON, Told, create, spec, tell};
use blocknet_geocode::Position;
use blocknet_query::{
    Altitude, Area, Circle, Corridor, Match, Order, PlanKind, Polygon, Query, Selection,
    UnknownHeight, Window,
};
use blocknet_wal::MemEnv;
use libfuzzer_sys::arbitrary::Unstructured;
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input {
    area: AnyArea,
    altitude: Option<(f64, f64)>,
    exclude: bool,
    within: bool,
    order: u8,
    limit: Option<u8>,
    ranges: u8,
    days: i8,
    as_of: Option<u8>,
}

#[derive(Arbitrary, Debug)]
enum AnyArea {
    Everywhere,
    Window([Number; 4]),
    Polygon(Vec<Vec<[Number; 2]>>),
    Circle([Number; 2], Number),
    Corridor(Vec<[Number; 2]>, Number),
    Cell(Vec<u8>),
}

/// A number near the net, or any at all.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Number {
    Near(i16),
    Degree(i8),
    Any(f64),
}

impl Number {
    fn value(self, near: f64) -> f64 {
        match self {
            Self::Near(by) => near + f64::from(by) / 10_000.0,
            Self::Degree(degrees) => f64::from(degrees),
            Self::Any(value) => value,
        }
    }
}

fn place([longitude, latitude]: [Number; 2]) -> (f64, f64) {
    (longitude.value(4.9), latitude.value(52.4))
}

/// A net with a history, always the same.
static NET: LazyLock<Net> = LazyLock::new(|| {
    let net = create(&MemEnv::new(5), spec(1));
    let mut seed = 9_u32;
    let bytes: Vec<u8> = (0..4_000)
        .map(|_| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            seed.to_be_bytes()[0]
        })
        .collect();
    let mut source = Unstructured::new(&bytes);
    for _ in 0..20 {
        let told = <[Told; 4]>::arbitrary(&mut source).expect("enough bytes");
        tell(&net, &told);
    }
    net
});

fn area(any: &AnyArea) -> Option<Area> {
    Some(match any {
        AnyArea::Everywhere => Area::Everywhere,
        AnyArea::Window([west, south, east, north]) => Area::Window(Window::flat(
            west.value(4.9),
            south.value(52.4),
            east.value(4.9),
            north.value(52.4),
        )),
        AnyArea::Polygon(rings) => {
            let rings = rings.iter().take(4);
            let rings = rings.map(|ring| ring.iter().take(32).map(|at| place(*at)).collect());
            Polygon::new(vec![rings.collect()]).ok()?.into()
        }
        AnyArea::Circle(centre, metres) => {
            Circle::new(place(*centre), metres.value(0.0) * 1_000.0).into()
        }
        AnyArea::Corridor(line, metres) => {
            let line = line.iter().take(8).map(|at| place(*at)).collect();
            let corridor = Corridor::new(&[line], metres.value(0.0) * 1_000.0);
            Area::Corridor(Arc::new(corridor.ok()?))
        }
        AnyArea::Cell(digits) => {
            let root = blocknet_geocode::Cell::ROOT;
            let digits = digits.iter().take(16);
            Area::Cell(digits.fold(root, |cell, digit| cell.child(digit & 15).unwrap_or(cell)))
        }
    })
}

fuzz_target!(|input: Input| {
    let valid = Moment::from_micros(NOON + i64::from(input.days) * DAY);
    let as_of = input
        .as_of
        .map_or(AsOf::Newest, |number| AsOf::Commit(number.into()));
    let view = NET.view(as_of, valid).expect("undamaged");
    let Some(area) = area(&input.area) else {
        return;
    };
    let selection = Selection {
        area: area.clone(),
        altitude: input.altitude.map(|(lowest, highest)| Altitude {
            unknown: if input.exclude {
                UnknownHeight::Exclude
            } else {
                UnknownHeight::Include
            },
            ..Altitude::between(lowest, highest)
        }),
        matching: if input.within {
            Match::Within
        } else {
            Match::Meets
        },
        ..Selection::default()
    };
    let at = Position {
        longitude: 4.9,
        latitude: 52.4,
        altitude: input
            .altitude
            .map(|(lowest, _)| lowest)
            .filter(|metres| metres.is_finite()),
    };
    let mut query = Query::from(&selection).ordered(match input.order % 4 {
        0 => Order::Stored,
        1 => Order::Distance(at),
        2 => Order::LogicalDistance(at),
        _ => Order::ValidFrom,
    });
    query.max_ranges = usize::from(input.ranges);
    let Ok(found) = query.run(&view) else {
        return;
    };
    let found: Vec<_> = found.map(|record| record.expect("undamaged")).collect();
    let key = |record: &blocknet_engine::Record| (record.layer, record.id.clone());
    let ids: BTreeSet<_> = found.iter().map(key).collect();
    assert_eq!(ids.len(), found.len(), "each entity at most once");
    let count = query.count(&view).expect("it was answered");
    assert_eq!(count.records, found.len() as u64);
    for plan in PlanKind::ALL {
        if let Ok(others) = query.clone().by(plan).run(&view) {
            let others = others.map(|record| key(&record.expect("undamaged")));
            assert_eq!(others.collect::<BTreeSet<_>>(), ids, "{plan:?}");
        }
    }
    if let Some(limit) = input.limit {
        let first = query.clone().limited(limit.into()).run(&view);
        let first = first.expect("it was answered");
        let first: Vec<_> = first.map(|record| record.expect("undamaged")).collect();
        assert_eq!(
            first,
            found[..found.len().min(limit.into())],
            "the first of them"
        );
    }
    if let Area::Window(window) = area {
        let mut expected = BTreeSet::new();
        for (layer, _) in view.layers() {
            for entity in 0..8 {
                let record = view.get(layer, &format!("e{entity}")).expect("undamaged");
                let Some(record) = record else { continue };
                let takes = record.extent.is_some_and(|extent| {
                    let tall = selection.altitude.as_ref();
                    window.takes(&extent, selection.matching)
                        && tall.is_none_or(|tall| tall.takes(&extent, selection.matching))
                });
                if takes {
                    expected.insert(key(&record));
                }
            }
        }
        assert_eq!(ids, expected, "as by a look at every record");
    }
    query.explain(&view).expect("it was answered");
    query.analyze(&view).expect("it was answered");
    let stays = blocknet_query::stays(&view, &selection, Interval::ALL);
    if let Ok(stays) = stays {
        stays.for_each(|stay| drop(stay.expect("undamaged")));
    }
});
