use super::*;
use crate::select::{Selection, search};
use crate::testing::{Rng, net, seeds};
use crate::window::{Match, UnknownHeight};
use blocknet_engine::{AsOf, Assertion, Commit, Extent, LayerId, Moment};
use blocknet_geocode::{CurveKind, StoredCode};
use std::collections::BTreeSet;

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

/// Where the engine files an extent, by the rule that [`PlaceRange`] documents.
fn filed(spec: &NetSpec, extent: &Extent) -> (u8, StoredCode) {
    let fits = |level: &u8| {
        let cells = 4_f64.powi(i32::from(*level));
        (extent.east - extent.west) * 2.0 <= 360.0 / cells
            && (extent.north - extent.south) * 2.0 <= 180.0 / cells
    };
    let level = (0..=spec.block_digits()).rev().find(fits).unwrap_or(0);
    let geocode = spec.encode(&extent.anchor()).unwrap();
    (level, spec.stored(&geocode, level))
}

fn holds(ranges: &[PlaceRange], (level, code): (u8, StoredCode)) -> bool {
    ranges
        .iter()
        .any(|range| range.level == level && range.low <= code && code <= range.high)
}

fn assert_in_order(ranges: &[PlaceRange]) {
    assert!(ranges.iter().all(|range| range.low <= range.high));
    for pair in ranges.windows(2) {
        let (a, b) = (pair[0], pair[1]);
        assert!(
            a.level < b.level || (a.level == b.level && a.high < b.low),
            "{a:?} {b:?}"
        );
    }
}

#[test]
fn everything_that_meets_a_window_is_filed_in_its_ranges() {
    let mut met = 0;
    for seed in seeds(1000) {
        let mut rng = Rng(seed);
        let spec = random_spec(&mut rng);
        let extents: Vec<Extent> = (0..20).map(|_| random_extent(&mut rng)).collect();
        for extent in &extents {
            let window = match rng.below(4) {
                0 => random_window(&mut rng),
                _ => window_at(&mut rng, extent),
            };
            window.check().unwrap();
            let budget = [0, 1, 4, MAX_RANGES][usize::try_from(rng.below(4)).unwrap()];
            let levels = 0..=spec.block_digits();
            let ranges = cover(&spec, &window, levels.clone(), budget).unwrap();
            assert!(
                ranges.len() <= budget.max(levels.count()),
                "BLOCKNET_SEED={seed}"
            );
            assert_in_order(&ranges);
            for extent in &extents {
                if window.takes(extent, Match::Meets) {
                    met += 1;
                    assert!(
                        holds(&ranges, filed(&spec, extent)),
                        "BLOCKNET_SEED={seed}: {spec:?} {window:?} misses {extent:?}"
                    );
                }
            }
        }
    }
    assert!(met > 0, "no window met anything");
}

/// A box one step of f64 high below the pole has its centre, rounded, at the pole, which is filed
/// in column 0.
#[test]
fn what_is_rounded_to_a_pole_is_found_where_the_pole_is_filed() {
    let spec = NetSpec::city();
    for pole in [90.0_f64, -90.0] {
        let below = if pole > 0.0 {
            pole.next_down()
        } else {
            pole.next_up()
        };
        let (south, north) = (pole.min(below), pole.max(below));
        let extent = Extent::flat(100.0, south, 100.0, north);
        let window = Window::flat(99.0, below, 101.0, below);
        assert!(window.takes(&extent, Match::Meets));
        let ranges = cover(&spec, &window, 0..=9, MAX_RANGES).unwrap();
        assert!(holds(&ranges, filed(&spec, &extent)), "{extent:?}");
    }
}

#[test]
fn only_levels_in_use_are_covered() {
    let window = Window::flat(4.8, 52.3, 5.0, 52.4);
    let ranges = cover(&NetSpec::city(), &window, [3, 9], MAX_RANGES).unwrap();
    let levels: BTreeSet<u8> = ranges.iter().map(|range| range.level).collect();
    assert_eq!(levels, BTreeSet::from([3, 9]));
    let none = cover(&NetSpec::city(), &window, [], MAX_RANGES).unwrap();
    assert!(none.is_empty());
}

#[test]
fn the_whole_world_is_one_range_to_a_level() {
    let window = Window::flat(-180.0, -90.0, 180.0, 90.0);
    for curve in [CurveKind::Morton, CurveKind::Hilbert] {
        let spec = NetSpec::builder().curve(curve).build().unwrap();
        let ranges = cover(&spec, &window, 0..=9, MAX_RANGES).unwrap();
        assert_eq!(ranges.len(), 10);
        for range in ranges {
            assert!(range.low.as_bytes().iter().all(|byte| *byte == 0));
            assert!(range.high.as_bytes().iter().all(|byte| *byte == 0xff));
        }
    }
}

/// Number of the cell of the range's level that a code lies in.
fn cell_of(range: &PlaceRange, code: &StoredCode) -> u64 {
    let digit = |index: u8| {
        let byte = code.as_bytes()[usize::from(index / 2)];
        u64::from(if index.is_multiple_of(2) {
            byte >> 4
        } else {
            byte & 15
        })
    };
    (0..range.level).fold(0, |number, index| number << 4 | digit(index))
}

/// Cells that a window of a few hundred metres reads, against those it has to: counted for the
/// level of ordinary houses alone and for all levels together.
#[test]
fn a_narrow_window_gives_a_narrow_cover() {
    let cells = |ranges: &[PlaceRange]| -> u64 {
        let of = |range: &PlaceRange| cell_of(range, &range.high) - cell_of(range, &range.low) + 1;
        ranges.iter().map(of).sum()
    };
    for curve in [CurveKind::Morton, CurveKind::Hilbert] {
        let spec = NetSpec::builder().curve(curve).build().unwrap();
        let (mut read, mut needed, mut worst) = ([0, 0], [0, 0], [0.0_f64, 0.0]);
        for seed in seeds(300) {
            let mut rng = Rng(seed);
            let (west, south) = (360.0 * rng.unit() - 180.0, 120.0 * rng.unit() - 60.0);
            let (width, height) = (0.002 + 0.006 * rng.unit(), 0.001 + 0.004 * rng.unit());
            let window = Window::flat(west, south, (west + width).min(180.0), south + height);
            for (case, levels) in [9..=9, 0..=9].into_iter().enumerate() {
                let least: u64 = levels
                    .clone()
                    .flat_map(|level| rects(&spec, &window, level).unwrap())
                    .map(|rect| {
                        let columns = rect.columns.1 - rect.columns.0 + 1;
                        let rows = rect.rows.1 - rect.rows.0 + 1;
                        u64::try_from(columns * rows).unwrap()
                    })
                    .sum();
                let ranges = cover(&spec, &window, levels, MAX_RANGES).unwrap();
                let found = cells(&ranges);
                read[case] += found;
                needed[case] += least;
                #[expect(clippy::cast_precision_loss, reason = "small counts")]
                let ratio = found as f64 / least as f64;
                worst[case] = worst[case].max(ratio);
            }
        }
        println!("{curve:?}: read {read:?} of {needed:?}, at worst {worst:?} times");
        for (read, needed) in read.into_iter().zip(needed) {
            assert!(
                10 * read <= 11 * needed,
                "{curve:?}: read {read} of {needed}"
            );
        }
        assert!(
            worst.iter().all(|ratio| *ratio <= 2.0),
            "{curve:?}: {worst:?}"
        );
    }
}

/// The same through a real net: what a planned scan finds is what a look at everything finds.
#[test]
fn a_planned_scan_finds_what_a_full_scan_and_a_filter_find() {
    for seed in seeds(20) {
        println!("BLOCKNET_SEED={seed}");
        let mut rng = Rng(seed);
        let spec = random_spec(&mut rng);
        let (_dir, net) = net(spec);
        let extents: Vec<Extent> = (0..150).map(|_| random_extent(&mut rng)).collect();
        let ids = 0..extents.len();
        let assertions = ids
            .clone()
            .zip(&extents)
            .map(|(id, extent)| Assertion::state(LayerId::MAIN, id.to_string(), *extent, ""));
        net.commit(&Commit::new("test", assertions.collect()))
            .unwrap();
        let view = net.view(AsOf::Newest, Moment::LAST).unwrap();
        for (id, extent) in ids.clone().zip(&extents) {
            // The rule that the tests above go by is the engine's.
            let found = view.get(LayerId::MAIN, &id.to_string()).unwrap().unwrap();
            let (level, code) = filed(&spec, extent);
            assert_eq!(spec.stored(&found.geocode.unwrap(), level), code);
        }
        for _ in 0..60 {
            let near = usize::try_from(rng.below(150)).unwrap();
            let window = match rng.below(2) {
                0 => random_window(&mut rng),
                _ => window_at(&mut rng, &extents[near]),
            };
            let window = match rng.below(3) {
                0 => Window {
                    unknown_height: UnknownHeight::Exclude,
                    ..window.between(-1.0, 4.0)
                },
                _ => window,
            };
            for matching in [Match::Meets, Match::Within] {
                let selection = Selection {
                    matching,
                    ..Selection::window(window)
                };
                let found: Vec<String> = search(&view, &selection)
                    .unwrap()
                    .map(|record| record.unwrap().id)
                    .collect();
                let expected: BTreeSet<String> = ids
                    .clone()
                    .filter(|id| window.takes(&extents[*id], matching))
                    .map(|id| id.to_string())
                    .collect();
                assert_eq!(found.len(), expected.len(), "each once: {window:?}");
                assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected);
            }
        }
    }
}
