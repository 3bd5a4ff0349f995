use super::*;
use crate::area::{Altitude, Area, Circle, Corridor, Match, Window};
use crate::plan::{MAX_RANGES, PlanKind};
use crate::polygon::Polygon;
use crate::search::{Order, Query, search};
use crate::select::Selection;
use crate::testing::{Rng, day, net, seeds};
use blocknet_engine::{AsOf, Assertion, Commit, Extent, LayerId, Moment, Record, Recorded, Valid};
use blocknet_geocode::{Block, CurveKind, Position};

/// A net of either curve, coarse or fine, with altitude or without.
fn random_spec(rng: &mut Rng) -> NetSpec {
    let digits = |rng: &mut Rng, bound| u8::try_from(rng.below(bound)).unwrap();
    let planar = 1 + digits(rng, 48);
    let block = match rng.below(4) {
        0 => 1 + digits(rng, u64::from(planar)),
        _ => 1 + digits(rng, u64::from(planar.min(12))),
    };
    let curve = [CurveKind::Morton, CurveKind::Hilbert][usize::from(rng.below(2) == 1)];
    NetSpec::builder()
        .curve(curve)
        .planar_digits(planar)
        .altitude_digits(digits(rng, 7))
        .altitude_floor_millimetres(-1000)
        .altitude_step_millimetres(1000)
        .block_digits(block)
        .build()
        .unwrap()
}

/// A degree up to `limit` either way: with a liking for cell edges, for the ends of the axis and
/// for what lies a hair from them.
fn degree(rng: &mut Rng, limit: f64) -> f64 {
    let exact = match rng.below(6) {
        0 => [-limit, 0.0, limit][usize::try_from(rng.below(3)).unwrap()],
        1 | 2 => {
            let cells = 1_u64 << (2 * rng.below(10));
            let index = u32::try_from(rng.below(cells + 1)).unwrap();
            let cells = f64::from(u32::try_from(cells).unwrap());
            -limit + 2.0 * limit * f64::from(index) / cells
        }
        _ => limit * (2.0 * rng.unit() - 1.0),
    };
    let hair = match rng.below(6) {
        0 => exact.next_up(),
        1 => exact.next_down(),
        _ => exact,
    };
    hair.clamp(-limit, limit)
}

/// Length of a side: nothing, the least there is, or of any order of magnitude.
fn side(rng: &mut Rng, from: f64, limit: f64) -> f64 {
    let to = match rng.below(5) {
        0 => from,
        1 => from.next_up(),
        _ => from + 2.0 * limit * 10_f64.powf(-9.0 * rng.unit()),
    };
    to.min(limit)
}

fn random_extent(rng: &mut Rng) -> Extent {
    let (west, south) = (degree(rng, 180.0), degree(rng, 90.0));
    let (east, north) = (side(rng, west, 180.0), side(rng, south, 90.0));
    let flat = Extent::flat(west, south, east, north);
    match rng.below(3) {
        0 => flat.between(0.0, 10.0),
        1 => Extent {
            floor: Some(3.0),
            ..flat
        },
        _ => flat,
    }
}

fn random_window(rng: &mut Rng) -> Window {
    let (one, other) = (degree(rng, 180.0), degree(rng, 180.0));
    let (west, east) = match rng.below(3) {
        // Either way round: every other one crosses the antimeridian.
        0 => (one, other),
        _ => (one, side(rng, one, 180.0)),
    };
    let south = degree(rng, 90.0);
    Window::flat(west, south, east, side(rng, south, 90.0))
}

/// A window that touches an extent: at a corner, along a side, or anywhere inside.
fn window_at(rng: &mut Rng, extent: &Extent) -> Window {
    let x = [extent.west, extent.east][usize::from(rng.below(2) == 1)];
    let y = [extent.south, extent.north][usize::from(rng.below(2) == 1)];
    let (width, height) = (side(rng, 0.0, 180.0), side(rng, 0.0, 90.0));
    let (left, down) = (rng.below(2) == 0, rng.below(2) == 0);
    let (west, east) = if left { (x - width, x) } else { (x, x + width) };
    let (south, north) = if down {
        (y - height, y)
    } else {
        (y, y + height)
    };
    Window::flat(
        west.max(-180.0),
        south.max(-90.0),
        east.min(180.0),
        north.min(90.0),
    )
}

/// A polygon with or without a hole, small or large, anywhere or around an extent.
fn random_polygon(rng: &mut Rng, near: &Extent) -> Area {
    let (x, y) = match rng.below(4) {
        0 => (degree(rng, 180.0), degree(rng, 90.0)),
        _ => (near.west, near.south),
    };
    let size = 40.0 * 10_f64.powf(-8.0 * rng.unit());
    let around = |rng: &mut Rng, size: f64| -> Vec<(f64, f64)> {
        let corners = 3 + rng.below(9);
        (0..corners)
            .map(|corner| {
                #[expect(clippy::cast_precision_loss, reason = "a dozen")]
                let angle = std::f64::consts::TAU * corner as f64 / corners as f64;
                let radius = size * (0.3 + 0.7 * rng.unit());
                (
                    (x + radius * angle.cos()).clamp(-180.0, 180.0),
                    (y + radius * angle.sin()).clamp(-90.0, 90.0),
                )
            })
            .collect()
    };
    let mut rings = vec![around(rng, size)];
    if rng.below(2) == 0 {
        rings.push(around(rng, size * 0.25));
    }
    let corners = vec![vec![
        (x, y),
        ((x + size).min(180.0), y),
        (x, (y + size).min(90.0)),
    ]];
    // In a corner of the map the parts may have no area left.
    Polygon::new(vec![rings, corners]).map_or(Area::Everywhere, Area::from)
}

fn random_area(rng: &mut Rng, spec: &NetSpec, near: &Extent) -> Area {
    let metres = 10_f64.powf(7.5 * rng.unit() - 0.5);
    let place = match rng.below(3) {
        0 => (degree(rng, 180.0), degree(rng, 90.0)),
        _ => (near.east, near.south),
    };
    match rng.below(8) {
        0 => Area::Everywhere,
        1 => random_window(rng).into(),
        2 => window_at(rng, near).into(),
        3 => random_polygon(rng, near),
        4 => Circle::new(place, metres).into(),
        5 => {
            let end = (side(rng, place.0, 180.0), side(rng, place.1, 90.0));
            let back = (degree(rng, 180.0), end.1);
            let line = if rng.below(4) == 0 {
                vec![place, end, back]
            } else {
                vec![place, end]
            };
            Corridor::new(&[line], metres).unwrap().into()
        }
        6 => {
            let geocode = spec.encode(&near.anchor()).unwrap();
            let digits = u8::try_from(rng.below(u64::from(spec.planar_digits()) + 1)).unwrap();
            Area::Cell(geocode.planar().ancestor(digits))
        }
        _ => Area::Block(near.block(spec).unwrap()),
    }
}

fn random_altitude(rng: &mut Rng) -> Option<Altitude> {
    let lowest = 14.0 * rng.unit() - 2.0;
    let highest = lowest + 4.0 * rng.unit();
    match rng.below(4) {
        0 => Some(Altitude::between(lowest, highest)),
        1 => Some(Altitude {
            unknown: UnknownHeight::Exclude,
            ..Altitude::between(lowest, f64::INFINITY)
        }),
        _ => None,
    }
}

/// Whether an extent is an answer, straight from the definition of each shape.
fn is_meant(spec: &NetSpec, selection: &Selection<'_>, extent: &Extent) -> bool {
    let of = |block: &Block| extent.block(spec).is_ok_and(|own| own == *block);
    let by_area = match &selection.area {
        Area::Everywhere => true,
        Area::Window(window) => window.takes(extent, selection.matching),
        Area::Cell(cell) => cell.contains(&spec.encode(&extent.anchor()).unwrap().planar()),
        Area::Block(block) => of(block),
        area => {
            let relation = area.relation(&crate::area::rect_of(extent));
            match selection.matching {
                Match::Meets => relation != Relation::Apart,
                Match::Within => relation == Relation::Within,
            }
        }
    };
    let by_height = |altitude: Altitude| altitude.takes(extent, selection.matching);
    by_area && selection.altitude.is_none_or(by_height)
}

fn ids(found: impl Iterator<Item = Result<Record>>) -> Vec<String> {
    found.map(|record| record.unwrap().id).collect()
}

/// Every plan gives what a look at everything gives, for every shape, curve and depth, now and in
/// the past.
#[test]
#[expect(clippy::too_many_lines, reason = "one story, read from top to bottom")]
fn every_plan_finds_what_a_full_scan_and_a_filter_find() {
    let mut plans = std::collections::BTreeMap::new();
    let (mut met, mut contained) = (0, 0);
    for seed in seeds(40) {
        println!("BLOCKNET_SEED={seed}");
        let mut rng = Rng(seed);
        let spec = random_spec(&mut rng);
        let (_dir, net) = net(spec);
        let dense = rng.below(2) == 0;
        let corner = (360.0 * rng.unit() - 180.0, 170.0 * rng.unit() - 85.0);
        let random = |rng: &mut Rng| {
            if dense {
                let (x, y) = (corner.0 + 0.004 * rng.unit(), corner.1 + 0.004 * rng.unit());
                let (x, y) = (x.min(179.9), y);
                let flat = Extent::flat(x, y, x + 0.0002 * rng.unit(), y + 0.0001 * rng.unit());
                match rng.below(4) {
                    0 => flat,
                    1 => Extent {
                        top: Some(3.0),
                        ..flat
                    },
                    _ => {
                        let floor = 3.0 * rng.unit();
                        flat.between(floor, floor + 9.0 * rng.unit())
                    }
                }
            } else {
                random_extent(rng)
            }
        };
        let before: Vec<Extent> = (0..150).map(|_| random(&mut rng)).collect();
        let mut after = before.clone();
        let state = |id: usize, extent: &Extent, from: i64| {
            Assertion::state(LayerId::MAIN, id.to_string(), *extent, "")
                .valid(Valid::from(day(from)))
        };
        let all = before
            .iter()
            .enumerate()
            .map(|(id, extent)| state(id, extent, 0));
        let commit = |assertions: Vec<Assertion>, at: i64| Commit {
            recorded: Recorded::At(day(at)),
            ..Commit::new("test", assertions)
        };
        net.commit(&commit(all.collect(), 1)).unwrap();
        let mut moves = Vec::new();
        for id in (0..150).step_by(4) {
            after[id] = random(&mut rng);
            moves.push(state(id, &after[id], 10));
        }
        net.commit(&commit(moves, 11)).unwrap();
        let views = [
            (net.view(AsOf::Newest, Moment::LAST).unwrap(), &after),
            (net.view(AsOf::Newest, day(5)).unwrap(), &before),
            (
                net.view(AsOf::Recorded(day(5)), Moment::LAST).unwrap(),
                &before,
            ),
        ];
        for _ in 0..40 {
            let near = usize::try_from(rng.below(150)).unwrap();
            let (view, extents) = &views[usize::try_from(rng.below(3)).unwrap()];
            let selection = Selection {
                altitude: random_altitude(&mut rng),
                matching: [Match::Meets, Match::Within][usize::from(rng.below(4) == 0)],
                ..Selection::of(random_area(&mut rng, &spec, &extents[near]))
            };
            let mut expected: Vec<String> = (0..150)
                .filter(|id| is_meant(&spec, &selection, &extents[*id]))
                .map(|id| id.to_string())
                .collect();
            met += expected.len();
            expected.sort();
            for plan in [
                None,
                Some(PlanKind::Ranges),
                Some(PlanKind::Skip),
                Some(PlanKind::Scan),
            ] {
                let query = Query {
                    plan,
                    max_ranges: [1, 4, MAX_RANGES][usize::try_from(rng.below(3)).unwrap()],
                    ..Query::from(&selection)
                };
                let found = query.run(view).unwrap();
                *plans.entry(found.plan().name()).or_insert(0) += 1;
                let mut found = ids(found);
                found.sort();
                assert_eq!(found, expected, "seed {seed}, {plan:?}: {spec:?} {query:?}");
                assert_eq!(query.count(view).unwrap().records, expected.len() as u64);
                let explain = query.analyze(view).unwrap();
                assert_eq!(explain.rows_returned, Some(expected.len() as u64));
                let levels = view.levels().count();
                assert!(
                    explain.ranges.len() <= query.max_ranges.max(levels),
                    "{explain}"
                );
                contained += explain
                    .ranges
                    .iter()
                    .filter(|range| range.contained)
                    .count();
                assert!(explain.ranges.iter().all(|range| range.from <= range.to));
            }
        }
    }
    println!("{met} met, {contained} contained ranges, plans {plans:?}");
    assert!(met > 1_000 && contained > 100, "{met} {contained}");
}

/// The nearest are those of a full sort by distance, in that order, however many are asked for.
#[test]
fn the_nearest_are_the_first_of_all_by_distance() {
    for seed in seeds(15) {
        println!("BLOCKNET_SEED={seed}");
        let mut rng = Rng(seed);
        let spec = random_spec(&mut rng);
        let (_dir, net) = net(spec);
        let extents: Vec<Extent> = (0..120).map(|_| random_extent(&mut rng)).collect();
        let all = extents.iter().enumerate();
        let states =
            all.map(|(id, extent)| Assertion::state(LayerId::MAIN, id.to_string(), *extent, ""));
        net.commit(&Commit::new("test", states.collect())).unwrap();
        let view = net.view(AsOf::Newest, Moment::LAST).unwrap();
        for _ in 0..12 {
            let near = &extents[usize::try_from(rng.below(120)).unwrap()];
            let place = Position {
                longitude: if rng.below(2) == 0 {
                    near.west
                } else {
                    degree(&mut rng, 180.0)
                },
                latitude: if rng.below(2) == 0 {
                    near.north
                } else {
                    degree(&mut rng, 90.0)
                },
                altitude: (rng.below(2) == 0).then(|| 20.0 * rng.unit()),
            };
            let mut expected: Vec<(f64, usize)> = extents
                .iter()
                .enumerate()
                .map(|(id, extent)| (crate::distance(&place, extent), id))
                .collect();
            expected.sort_by(|a, b| {
                a.0.total_cmp(&b.0)
                    .then_with(|| a.1.to_string().cmp(&b.1.to_string()))
            });
            let k = [1, 10, 120][usize::try_from(rng.below(3)).unwrap()];
            let query = Query::from(Selection::default())
                .ordered(Order::Distance(place))
                .limited(k as u64);
            let found = ids(query.run(&view).unwrap());
            let expected: Vec<String> =
                expected[..k].iter().map(|(_, id)| id.to_string()).collect();
            assert_eq!(found, expected, "seed {seed}: {place:?}");
        }
    }
}

/// A box one step of f64 high below the pole has its centre, rounded, at the pole, which is filed
/// in column 0.
#[test]
fn what_is_rounded_to_a_pole_is_found_where_the_pole_is_filed() {
    let (_dir, net) = net(NetSpec::city());
    let ends = |pole: f64| {
        let below = if pole > 0.0 {
            pole.next_down()
        } else {
            pole.next_up()
        };
        (pole.min(below), pole.max(below), below)
    };
    let extents = [90.0, -90.0].map(|pole| {
        let (south, north, _) = ends(pole);
        Extent::flat(100.0, south, 100.0, north)
    });
    let states = extents
        .iter()
        .enumerate()
        .map(|(id, extent)| Assertion::state(LayerId::MAIN, id.to_string(), *extent, ""));
    net.commit(&Commit::new("test", states.collect())).unwrap();
    let view = net.now_view().unwrap();
    for (id, pole) in [90.0, -90.0].into_iter().enumerate() {
        let (.., below) = ends(pole);
        let selection = Selection::of(Window::flat(99.0, below, 101.0, below));
        assert_eq!(ids(search(&view, &selection).unwrap()), [id.to_string()]);
        let circle = Selection::of(Circle::new((-30.0, below), 10.0));
        assert_eq!(
            ids(search(&view, &circle).unwrap()),
            [id.to_string()],
            "any longitude"
        );
    }
}
