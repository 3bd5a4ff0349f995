use geographiclib_rs::DirectGeodesic;
use quickcheck::quickcheck;

use super::*;
use crate::testing::{Rng, seeds};

fn close(a: f64, b: f64, metres: f64) -> bool {
    (a - b).abs() <= metres
}

/// A number between two others.
fn within(rng: &mut Rng, low: f64, high: f64) -> f64 {
    low + (high - low) * rng.unit()
}

/// A place anywhere, at a pole, near one, at the antimeridian, on the equator or at a round number.
fn place(rng: &mut Rng) -> Place {
    let any = (within(rng, -180.0, 180.0), within(rng, -90.0, 90.0));
    match rng.below(8) {
        0 => (any.0, 90.0_f64.copysign(any.1)),
        1 => (any.0, (90.0 - 2.0 * rng.unit()).copysign(any.1)),
        2 => (180.0_f64.copysign(any.0), any.1),
        3 => (180.0 - rng.unit(), any.1),
        4 => (any.0, 0.0),
        5 => (any.0.round(), any.1.round()),
        _ => any,
    }
}

/// A place about so many degrees from another, or within a hundredth of a degree of its opposite.
fn place_near(rng: &mut Rng, near: Place) -> Place {
    if rng.below(16) == 0 {
        return (
            turn(0.0, near.0 + 180.0 + within(rng, -0.01, 0.01)),
            (within(rng, -0.01, 0.01) - near.1).clamp(-90.0, 90.0),
        );
    }
    let degrees = 10.0_f64.powf(within(rng, -5.0, 2.3));
    (
        turn(0.0, near.0 + degrees * within(rng, -1.0, 1.0)),
        (near.1 + degrees * within(rng, -1.0, 1.0)).clamp(-90.0, 90.0),
    )
}

/// A place up to five degrees east or west, and north or south of another.
fn place_beside(rng: &mut Rng, beside: Place) -> Place {
    let degrees = 5.0 * 10.0_f64.powf(within(rng, -5.0, 0.0));
    let mut place = (
        (beside.0 + degrees * within(rng, -1.0, 1.0)).clamp(-180.0, 180.0),
        (beside.1 + degrees * within(rng, -1.0, 1.0)).clamp(-90.0, 90.0),
    );
    match rng.below(6) {
        0 => place.0 = beside.0,
        1 => place.1 = beside.1,
        2 => place = beside,
        _ => {}
    }
    place
}

/// The least of a function on 0..=1, by so many samples and, around the least of these, by thirds.
fn least_by_samples(samples: u32, function: impl Fn(f64) -> f64) -> f64 {
    let at = |sample: u32| f64::from(sample) / f64::from(samples);
    let best = (0..=samples)
        .min_by(|&x, &y| function(at(x)).total_cmp(&function(at(y))))
        .unwrap();
    let (mut low, mut high) = (at(best.saturating_sub(1)), at((best + 1).min(samples)));
    let mut least = function(at(best));
    for _ in 0..60 {
        let (one, other) = ((2.0 * low + high) / 3.0, (low + 2.0 * high) / 3.0);
        let (at_one, at_other) = (function(one), function(other));
        least = least.min(at_one).min(at_other);
        if at_one <= at_other {
            high = other;
        } else {
            low = one;
        }
    }
    least
}

/// The distance to a box by samples of its border.
fn to_border_by_samples(p: Place, rect: &Rect, samples: u32) -> f64 {
    let corners = rect.corners();
    (0..4)
        .map(|side| {
            let line = Line {
                a: corners[side],
                b: corners[(side + 1) % 4],
            };
            least_by_samples(samples, |t| between(p, line.at(t)))
        })
        .fold(f64::INFINITY, f64::min)
}

#[test]
fn distances_are_those_of_the_ellipsoid() {
    assert!(close(
        between((6.0, 0.0), (6.0, 90.0)),
        10_001_965.729,
        5e-4
    ));
    assert!(close(
        between((-180.0, 0.0), (179.0, 0.0)),
        111_319.490_793,
        1e-6
    ));
    assert!(between((0.0, 90.0), (0.0, -90.0)) < HALF_MERIDIAN_METRES);
    assert!(between((77.0, 90.0), (-10.0, 90.0)) < 1e-8);
    let (meridian, _) = radii(0.0, 1.0);
    assert!(meridian > LEAST_RADIUS_METRES && meridian < LEAST_RADIUS_METRES + 1.0);
    let (meridian, _) = radii(1.0, 0.0);
    assert!(meridian < LARGEST_RADIUS_METRES && meridian > LARGEST_RADIUS_METRES - 1.0);
}

#[test]
fn the_slope_and_the_bend_are_those_of_differences() {
    for seed in seeds(2_000) {
        let mut rng = Rng(seed);
        let a = (
            within(&mut rng, -170.0, 170.0),
            within(&mut rng, -75.0, 75.0),
        );
        let b = (
            a.0 + within(&mut rng, -3.0, 3.0),
            a.1 + within(&mut rng, -3.0, 3.0),
        );
        let p = (
            a.0 + within(&mut rng, -60.0, 60.0),
            within(&mut rng, -80.0, 80.0),
        );
        let line = Line { a, b };
        let step = 1e-3;
        let [before, here, after] = [0.5 - step, 0.5, 0.5 + step].map(|t| line.probe(p, t));
        if here.metres < 100_000.0 {
            continue;
        }
        let slope = (after.metres - before.metres) / (2.0 * step);
        assert!(
            close(here.slope, slope, 1e-4 * here.speed),
            "seed {seed}: {} {slope}",
            here.slope
        );
        let bend = (after.slope - before.slope) / (2.0 * step);
        let scale = here.speed * here.speed / here.metres;
        assert!(
            close(
                here.bend,
                bend,
                0.02 * scale.max(here.speed * here.speed / 6e6)
            ),
            "seed {seed}: {} {bend}",
            here.bend
        );
    }
}

#[test]
fn the_distance_to_a_box_is_the_least_of_samples() {
    for seed in seeds(1_500) {
        let mut rng = Rng(seed);
        let corner = place(&mut rng);
        let rect = Rect::around(corner, place_beside(&mut rng, corner));
        let p = place_near(&mut rng, rect.centre());
        let distance = to_rect(p, &rect);
        let folded = turn(0.0, p.0);
        let inside = rect.meets(&Rect::around((folded, p.1), (folded, p.1)));
        if inside {
            assert!(distance <= 0.0, "seed {seed}: {p:?} {rect:?}");
            continue;
        }
        let sampled = to_border_by_samples(p, &rect, 60);
        let spacing = (rect.east - rect.west + rect.north - rect.south) * 112_000.0;
        assert!(
            distance <= sampled + 1e-6 && distance >= sampled - spacing / 60.0,
            "seed {seed}: {p:?} {rect:?} {distance} {sampled}"
        );
        // In fact much nearer: the samples are refined.
        assert!(
            distance >= sampled - 1e-6,
            "seed {seed}: {p:?} {rect:?} {distance} {sampled}"
        );
        let lower = lower_bound_rect(p, &rect);
        assert!(upper_bound(lower) >= to_rect(p, &rect), "seed {seed}");
        assert!(
            lower <= distance && lower >= distance * 0.989 - 2e-6,
            "seed {seed}: {p:?} {rect:?} {lower} {distance}"
        );
    }
}

#[test]
fn boxes_a_quarter_or_half_around_the_earth_are_no_exception() {
    for seed in seeds(1_000) {
        let mut rng = Rng(seed);
        let mut p = place(&mut rng);
        if rng.below(2) == 0 {
            p.1 = within(&mut rng, -1.0, 1.0);
        }
        let apart = if rng.below(4) == 0 {
            within(&mut rng, 170.0, 181.0)
        } else {
            within(&mut rng, 86.0, 94.0)
        };
        let west = turn(0.0, p.0 + apart);
        let (south, north) = match rng.below(3) {
            0 => (-90.0, 90.0),
            1 => (within(&mut rng, -5.0, 0.0), within(&mut rng, 0.0, 5.0)),
            _ => (within(&mut rng, -90.0, 0.0), within(&mut rng, 0.0, 90.0)),
        };
        let rect = Rect::new(west, south, (west + 3.0 * rng.unit()).min(180.0), north);
        let distance = to_rect(p, &rect);
        let sampled = to_border_by_samples(p, &rect, 200);
        assert!(
            distance <= sampled + 1e-6 && distance >= sampled - 1e-6,
            "seed {seed}: {p:?} {rect:?} {distance} {sampled}"
        );
        assert!(lower_bound_rect(p, &rect) <= distance, "seed {seed}");
    }
}

#[test]
fn wide_boxes_are_no_exception() {
    for seed in seeds(1_000) {
        let mut rng = Rng(seed);
        let rect = Rect::around(place(&mut rng), place(&mut rng));
        let p = place(&mut rng);
        let distance = to_rect(p, &rect);
        if distance > 0.0 {
            // The ends of a side around the Earth are neighbours, which the refinement does not see.
            let sampled = to_border_by_samples(p, &rect, 400);
            assert!(
                distance <= sampled + 1e-6 && distance >= sampled - 60_000.0,
                "seed {seed}: {p:?} {rect:?} {distance} {sampled}"
            );
        }
        assert!(lower_bound_rect(p, &rect) <= distance, "seed {seed}");
        assert!(farthest(p, &rect) >= distance, "seed {seed}");
    }
}

#[test]
fn the_distance_to_a_line_is_the_least_of_samples() {
    for seed in seeds(2_000) {
        let mut rng = Rng(seed);
        let a = place(&mut rng);
        let b = place_beside(&mut rng, a);
        let line = Line { a, b };
        let p = match rng.below(4) {
            // On it, or a little beside it.
            0 => line.at(rng.unit()),
            1 => {
                let on = line.at(rng.unit());
                let aside = 10.0_f64.powf(within(&mut rng, -10.0, -3.0));
                (on.0 + aside, (on.1 - aside).clamp(-90.0, 90.0))
            }
            _ => place_near(&mut rng, line.at(0.5)),
        };
        let distance = to_segment(p, a, b);
        let sampled = least_by_samples(200, |t| between(p, line.at(t)));
        assert!(
            distance <= sampled + 1e-6 && distance >= sampled - 1e-6,
            "seed {seed}: {p:?} {a:?} {b:?} {distance} {sampled}"
        );
        let turned = to_segment((p.0 + 360.0, p.1), a, b);
        assert!(
            close(turned, distance, 1e-6),
            "seed {seed}: {turned} {distance}"
        );
        assert!(close(to_segment(p, b, a), distance, 1e-6), "seed {seed}");
    }
}

#[test]
fn lines_a_quarter_or_half_around_the_earth_are_no_exception() {
    for seed in seeds(1_000) {
        let mut rng = Rng(seed);
        let p = (within(&mut rng, -180.0, 180.0), within(&mut rng, -1.0, 1.0));
        let apart = if rng.below(4) == 0 {
            within(&mut rng, 176.0, 180.0)
        } else {
            within(&mut rng, 88.0, 91.0)
        };
        let middle = turn(0.0, p.0 + apart);
        let slant = 10.0_f64.powf(within(&mut rng, -4.0, 1.0)) * within(&mut rng, -1.0, 1.0);
        let (a, b) = (
            (middle - slant, within(&mut rng, -6.0, 0.0)),
            (middle + slant, within(&mut rng, 0.0, 6.0)),
        );
        let distance = to_segment(p, a, b);
        let line = Line { a, b };
        let sampled = least_by_samples(400, |t| between(p, line.at(t)));
        assert!(
            distance <= sampled + 1e-6 && distance >= sampled - 1e-6,
            "seed {seed}: {p:?} {a:?} {b:?} {distance} {sampled}"
        );
    }
}

#[test]
fn where_the_sphere_misleads_by_57_metres_the_ellipsoid_is_asked() {
    let p = (24.347_709_501_162_17, 0.003_303_220_495_581_627);
    let a = (114.207_628_128_658_4, -5.391_981_782_857_329);
    let b = (114.207_959_641_162_89, 2.030_623_781_494_796_3);
    let line = Line { a, b };
    let distance = to_segment(p, a, b);
    assert!(distance <= least_by_samples(400, |t| between(p, line.at(t))) + 1e-6);
    let eye = Eye::new(p);
    let angles: Vec<f64> = cuts(30).map(|t| eye.angle(line.at(t))).collect();
    assert!(line.least(&eye, &angles) > distance + 57.0);
}

#[test]
fn a_line_around_the_earth_has_several_feet() {
    for seed in seeds(100) {
        let mut rng = Rng(seed);
        let (a, b, p) = (place(&mut rng), place(&mut rng), place(&mut rng));
        let distance = to_segment(p, a, b);
        let line = Line { a, b };
        let sampled = least_by_samples(2_000, |t| between(p, line.at(t)));
        assert!(
            close(distance, sampled, 1e-5),
            "seed {seed}: {p:?} {a:?} {b:?} {distance} {sampled}"
        );
    }
}

#[test]
fn the_distance_of_a_line_and_a_box_is_the_least_of_samples() {
    for seed in seeds(600) {
        let mut rng = Rng(seed);
        let corner = place(&mut rng);
        let rect = Rect::around(corner, place_beside(&mut rng, corner));
        let a = place_near(&mut rng, rect.centre());
        let b = place_beside(&mut rng, a);
        let distance = segment_to_rect(a, b, &rect);
        if rect.is_touched(a, b) {
            assert!(distance <= 0.0, "seed {seed}");
            continue;
        }
        let line = Line { a, b };
        let sampled = least_by_samples(100, |t| to_rect(line.at(t), &rect));
        assert!(
            distance <= sampled + 1e-6 && distance >= sampled - 1e-3,
            "seed {seed}: {a:?} {b:?} {rect:?} {distance} {sampled}"
        );
        assert!(close(segment_to_rect(b, a, &rect), distance, 1e-6));
    }
}

#[test]
fn the_lower_bound_is_below_the_distance_of_a_hundred_thousand_pairs() {
    for seed in seeds(100_000) {
        let mut rng = Rng(seed);
        let a = place(&mut rng);
        let b = if seed % 2 == 0 {
            place(&mut rng)
        } else {
            place_near(&mut rng, a)
        };
        let distance = between(a, b);
        let lower = lower_bound_rect(a, &Rect::around(b, b));
        assert!(upper_bound(lower) >= between(a, b), "seed {seed}");
        assert!(
            lower <= distance && lower >= distance * 0.989 - 2e-6,
            "seed {seed}: {a:?} {b:?} {lower} {distance}"
        );
        // The bound itself, before a micrometre is taken off to be safe.
        let sphere = Eye::new(a).angle(b) * LEAST_RADIUS_METRES;
        assert!(
            sphere <= distance + 1e-8,
            "seed {seed}: {sphere} {distance}"
        );
    }
}

#[test]
fn nothing_is_farther_than_the_farthest() {
    for seed in seeds(2_000) {
        let mut rng = Rng(seed);
        let corner = place(&mut rng);
        let rect = if rng.below(4) == 0 {
            Rect::around(corner, place(&mut rng))
        } else {
            Rect::around(corner, place_beside(&mut rng, corner))
        };
        let p = if rng.below(2) == 0 {
            place(&mut rng)
        } else {
            place_near(&mut rng, rect.centre())
        };
        let farthest = farthest(p, &rect);
        let mut seen: f64 = 0.0;
        for x in 0..=20 {
            for y in 0..=20 {
                let at = (
                    (rect.west + (rect.east - rect.west) * f64::from(x) / 20.0).min(rect.east),
                    (rect.south + (rect.north - rect.south) * f64::from(y) / 20.0).min(rect.north),
                );
                seen = seen.max(between(p, at));
            }
        }
        assert!(
            farthest >= seen,
            "seed {seed}: {p:?} {rect:?} {farthest} {seen}"
        );
        let apart = [rect.west, rect.east].map(|side| turn(p.0, side).abs());
        if apart[0].max(apart[1]) <= ONE_FOOT_DEGREES && rect.east - rect.west < 90.0 {
            assert!(farthest <= seen + 2e-6, "seed {seed}: {p:?} {rect:?}");
        }
    }
    let point = Rect::new(3.0, 4.0, 3.0, 4.0);
    assert!(farthest((3.0, 4.0), &point) <= 0.0);
}

fn holds(windows: &[Rect], place: Place) -> bool {
    let place = Rect::around(place, place);
    windows.iter().any(|window| window.meets(&place))
}

#[test]
fn windows_hold_all_places_within_a_distance() {
    for seed in seeds(20_000) {
        let mut rng = Rng(seed);
        let p = place(&mut rng);
        let metres = 10.0_f64.powf(within(&mut rng, -3.0, 7.32));
        let windows = cap_windows(p, metres);
        assert!(windows.len() <= 2);
        for window in &windows {
            let world = Rect::new(-180.0, -90.0, 180.0, 90.0);
            assert!(
                window.within(&world) && window.west <= window.east,
                "{window:?}"
            );
        }
        assert!(holds(&windows, p), "seed {seed}");
        for _ in 0..8 {
            let azimuth = match rng.below(3) {
                0 => 90.0 * within(&mut rng, -2.0, 2.0).round(),
                _ => within(&mut rng, -180.0, 180.0),
            };
            let far = metres * [1.0, rng.unit()][usize::from(rng.below(2) == 0)];
            let (latitude, longitude): (f64, f64) = EARTH.direct(p.1, p.0, azimuth, far);
            let longitude = turn(0.0, longitude);
            assert!(
                holds(&windows, (longitude, latitude)),
                "seed {seed}: {p:?} {metres} {longitude} {latitude} {windows:?}"
            );
        }
        // They are not much too wide either: the middles of their southern and northern sides.
        for window in &windows {
            if window.south > -90.0 {
                let south = between(p, (p.0, window.south));
                assert!(
                    south <= metres * 1.011 + 1e-3,
                    "seed {seed}: {south} {metres}"
                );
            }
        }
    }
}

#[test]
fn windows_are_split_at_the_antimeridian_and_reach_around_poles() {
    let world = Rect::new(-180.0, -90.0, 180.0, 90.0);
    for metres in [20_100_000.0, 21_000_000.0, f64::INFINITY, f64::NAN] {
        assert_eq!(cap_windows((12.0, 34.0), metres), [world]);
    }
    let windows = cap_windows((179.9, 10.0), 50_000.0);
    assert_eq!(windows.len(), 2);
    assert!(holds(&windows, (-180.0, 10.0)) && holds(&windows, (180.0, 10.0)));
    assert!(holds(&windows, (-179.7, 10.0)) && !holds(&windows, (-179.0, 10.0)));
    assert!(!holds(&windows, (0.0, 10.0)));
    for p in [(180.0, 10.0), (-180.0, 10.0)] {
        let windows = cap_windows(p, 0.0);
        assert!(holds(&windows, (-180.0, 10.0)) && holds(&windows, (180.0, 10.0)));
    }
    let windows = cap_windows((12.0, 89.0), 200_000.0);
    assert_eq!(windows.len(), 1);
    assert!(holds(&windows, (-168.0, 89.5)) && holds(&windows, (-168.0, 90.0)));
    let at_home = cap_windows((12.0, 34.0), 0.0);
    assert!(holds(&at_home, (12.0, 34.0)) && !holds(&at_home, (12.000_001, 34.0)));
}

#[test]
fn boxes_across_the_antimeridian_and_the_poles_are_near() {
    let east = Rect::new(179.0, 0.0, 180.0, 1.0);
    assert!(to_rect((-180.0, 0.5), &east) <= 0.0);
    assert!(to_rect((179.5 - 360.0, 0.5), &east) <= 0.0);
    assert!(close(
        to_rect((-179.0, 0.0), &east),
        between((0.0, 0.0), (1.0, 0.0)),
        1e-8
    ));
    // Over the pole, and at it.
    let cap = Rect::new(0.0, 89.0, 10.0, 90.0);
    let over = to_rect((-175.0, 89.0), &cap);
    assert!(
        close(over, between((0.0, 89.0), (0.0, 90.0)), 1e-6),
        "{over}"
    );
    assert!(to_rect((-100.0, 90.0), &cap) < 1e-6);
    // A line and a box on the two sides of the antimeridian.
    let (a, b) = ((-180.0, -1.0), (-180.0, 2.0));
    assert!(segment_to_rect(a, b, &east) < 1e-6);
    assert!(segment_to_rect((178.0, 0.0), (179.5, 2.0), &east) > 0.0);
    assert!(segment_to_rect((178.0, 0.0), (180.0, 2.0), &east) <= 0.0);
}

quickcheck! {
    fn to_a_box_is_no_farther_than_to_its_corners_and_sides(seed: u64) -> bool {
        let mut rng = Rng(seed);
        let corner = place(&mut rng);
        let rect = Rect::around(corner, place_beside(&mut rng, corner));
        let p = place_near(&mut rng, corner);
        let distance = to_rect(p, &rect);
        let corners = rect.corners();
        (0..4).all(|side| {
            let (a, b) = (corners[side], corners[(side + 1) % 4]);
            distance <= between(p, a) + 1e-6 && distance <= to_segment(p, a, b) + 1e-6
        })
    }

    fn a_line_that_is_a_point_is_as_far_as_the_point(seed: u64) -> bool {
        let mut rng = Rng(seed);
        let a = place(&mut rng);
        let p = place_near(&mut rng, a);
        let point = Rect::around(a, a);
        close(to_segment(p, a, a), between(p, a), 1e-9)
            && close(to_rect(p, &point), between(p, a), 1e-8)
            && close(segment_to_rect(p, p, &point), between(p, a), 1e-8)
    }
}
