use geo::algorithm::{Relate, Validation};
use geo::{Geometry, LineString};
use quickcheck::{Arbitrary, Gen, quickcheck};

use super::*;
use crate::testing::{Rng, seeds};

type Parts = Vec<Vec<Vec<Position>>>;

fn polygon(parts: &Parts) -> Polygon {
    let polygon = Polygon::new(parts.clone()).unwrap();
    polygon.check_invariants();
    polygon
}

fn square(west: f64, south: f64, east: f64, north: f64) -> Vec<Position> {
    Rect::new(west, south, east, north).corners().to_vec()
}

fn lines(ring: &[Position]) -> LineString {
    ring.iter().copied().collect()
}

fn geo_parts(parts: &Parts) -> Vec<geo::Polygon> {
    let part = |rings: &Vec<Vec<Position>>| {
        let holes = rings[1..].iter().map(|ring| lines(ring)).collect();
        geo::Polygon::new(lines(&rings[0]), holes)
    };
    parts.iter().map(part).collect()
}

fn geo_box(rect: &Rect) -> Geometry {
    let [southwest, _, northeast, _] = rect.corners();
    if southwest == northeast {
        geo::Point::from(southwest).into()
    } else if rect.west == rect.east || rect.south == rect.north {
        geo::Line::new(southwest, northeast).into()
    } else {
        geo::Rect::new(southwest, northeast).to_polygon().into()
    }
}

/// What the crate `geo` says, part by part.
fn geo_relation(parts: &[geo::Polygon], rect: &Rect) -> Relation {
    let rect = geo_box(rect);
    parts.iter().fold(Relation::Apart, |relation, part| {
        let matrix = part.relate(&rect);
        match relation {
            Relation::Within => relation,
            _ if matrix.is_covers() => Relation::Within,
            Relation::Apart if matrix.is_intersects() => Relation::Meets,
            _ => relation,
        }
    })
}

/// A number from 0 to below `bound`.
fn small(rng: &mut Rng, bound: u64) -> f64 {
    f64::from(u32::try_from(rng.below(bound)).unwrap())
}

/// A ring that sees its centre from everywhere, on the grid of integers or not.
fn star(rng: &mut Rng, centre: Position, radius: f64, snapped: bool) -> Vec<Position> {
    let corners = 3.0 + small(rng, 10);
    let mut outline: Vec<Position> = Vec::new();
    let mut corner = 0.0;
    while corner < corners {
        let angle = (corner + rng.unit() * 0.9) / corners * std::f64::consts::TAU;
        let length = radius * (0.2 + 0.8 * rng.unit());
        let mut at = (
            centre.0 + length * angle.cos(),
            centre.1 + length * angle.sin(),
        );
        if snapped {
            at = (at.0.round(), at.1.round());
        }
        if outline.last() != Some(&at) && outline.first() != Some(&at) {
            outline.push(at);
        }
        corner += 1.0;
    }
    if rng.below(2) == 0 {
        outline.reverse();
    }
    outline
}

/// Columns of different heights side by side, some without any.
fn skyline(rng: &mut Rng, west: f64, south: f64) -> Vec<Position> {
    let mut outline = vec![(west, south)];
    let mut x = west;
    for _ in 0..2 + rng.below(5) {
        let top = south + 1.0 + small(rng, 4);
        outline.push((x, top));
        x += 1.0 + small(rng, 2);
        outline.push((x, top));
    }
    outline.push((x, south));
    outline.dedup();
    if rng.below(2) == 0 {
        // The plane turned a quarter round.
        outline = outline.iter().map(|&(x, y)| (-y, x)).collect();
    }
    outline
}

/// One to three parts with up to two holes, on the grid of integers or not, valid or not.
fn parts(rng: &mut Rng) -> Parts {
    let snapped = rng.below(4) != 0;
    (0..=rng.below(3))
        .map(|_| {
            let centre = (small(rng, 16) - 8.0, small(rng, 16) - 8.0);
            let outer = if rng.below(3) == 0 {
                skyline(rng, centre.0, centre.1)
            } else {
                star(rng, centre, 7.0, snapped)
            };
            let mut rings = vec![outer];
            for _ in 0..rng.below(3) {
                let at = (
                    centre.0 + small(rng, 5) - 2.0,
                    centre.1 + small(rng, 5) - 2.0,
                );
                rings.push(star(rng, at, 3.0, snapped));
            }
            rings
        })
        .collect()
}

/// A box, line or point, on the grid of halves or touching positions of the polygon.
fn rect(rng: &mut Rng, parts: &Parts) -> Rect {
    let snapped = rng.below(3) != 0;
    let positions: Vec<Position> = parts.iter().flatten().flatten().copied().collect();
    let mut corner = || {
        let on_polygon = positions[usize::try_from(rng.below(positions.len() as u64)).unwrap()];
        let free = if snapped {
            (small(rng, 40) / 2.0 - 10.0, small(rng, 40) / 2.0 - 10.0)
        } else {
            (rng.unit() * 24.0 - 12.0, rng.unit() * 24.0 - 12.0)
        };
        match rng.below(4) {
            0 => on_polygon,
            1 => (on_polygon.0, free.1),
            _ => free,
        }
    };
    let (a, mut b) = (corner(), corner());
    match rng.below(8) {
        0 => b = a,
        1 => b.0 = a.0,
        2 => b.1 = a.1,
        3 | 4 => b = (a.0 + small(rng, 4) / 2.0, a.1 + small(rng, 4) / 2.0),
        _ => {}
    }
    Rect::around(a, b)
}

#[test]
fn boxes_lie_to_valid_polygons_as_geo_says() {
    let mut seen = [0_u32; 6];
    for seed in seeds(8_000) {
        let mut rng = Rng(seed);
        let parts = parts(&mut rng);
        let geo_parts = geo_parts(&parts);
        let Ok(polygon) = Polygon::new(parts.clone()) else {
            continue;
        };
        polygon.check_invariants();
        // `geo` takes a ring on one line for valid, and then answers as if it had an area.
        let flat = |ring: &Vec<Position>| ring.iter().all(|&c| side(ring[0], ring[1], c) == 0.0);
        if !geo_parts.iter().all(Validation::is_valid) || parts.iter().flatten().any(flat) {
            continue;
        }
        for _ in 0..12 {
            let rect = rect(&mut rng, &parts);
            let relation = polygon.relation(&rect);
            assert_eq!(
                relation,
                geo_relation(&geo_parts, &rect),
                "seed {seed}: {rect:?} to {parts:?}"
            );
            let flat = rect.west == rect.east || rect.south == rect.north;
            seen[relation as usize + if flat { 3 } else { 0 }] += 1;
        }
    }
    // That no case is missing, unless a single seed is repeated.
    assert!(
        seen.iter().sum::<u32>() <= 12 || seen.iter().all(|&cases| cases > 400),
        "{seen:?}"
    );
}

/// Any rings on a small grid: crossing themselves and each other, with spikes and repeats.
#[derive(Clone, Debug)]
struct Scribble(Parts);

impl Arbitrary for Scribble {
    fn arbitrary(g: &mut Gen) -> Self {
        let mut rng = Rng(u64::arbitrary(g));
        let mut scrawl = |_| {
            let length = 3 + rng.below(7);
            (0..length)
                .map(|_| (small(&mut rng, 7), small(&mut rng, 7)))
                .collect()
        };
        Self(match u8::arbitrary(g) % 4 {
            0 => vec![
                (0..2).map(&mut scrawl).collect(),
                (0..1).map(scrawl).collect(),
            ],
            1 => vec![(0..3).map(scrawl).collect()],
            _ => vec![(0..1).map(scrawl).collect()],
        })
    }
}

/// Whether a polygon on the grid of integers holds a position on the grid of eighths, in integers.
fn holds(parts: &Parts, eighths: (i64, i64)) -> bool {
    let whole = |degrees: f64| {
        #[expect(clippy::cast_possible_truncation, reason = "small integers")]
        let whole = degrees as i64;
        8 * whole
    };
    let state = |ring: &Vec<Position>| {
        let (mut turns, mut on) = (0, false);
        for (place, a) in ring.iter().enumerate() {
            let b = ring[(place + 1) % ring.len()];
            let (a, b) = ((whole(a.0), whole(a.1)), (whole(b.0), whole(b.1)));
            let side = (b.0 - a.0) * (eighths.1 - a.1) - (b.1 - a.1) * (eighths.0 - a.0);
            let between = |a: i64, b: i64, c: i64| a.min(b) <= c && c <= a.max(b);
            on |= side == 0 && between(a.0, b.0, eighths.0) && between(a.1, b.1, eighths.1);
            if a.1 <= eighths.1 && eighths.1 < b.1 && side > 0 {
                turns += 1;
            }
            if b.1 <= eighths.1 && eighths.1 < a.1 && side < 0 {
                turns -= 1;
            }
        }
        (turns != 0, on)
    };
    parts.iter().any(|rings| {
        let (inside, on) = state(&rings[0]);
        (inside || on)
            && rings[1..]
                .iter()
                .map(state)
                .all(|(inside, on)| on || !inside)
    })
}

quickcheck! {
    fn positions_are_answered_exactly_whatever_the_rings(scribble: Scribble) -> bool {
        let Ok(polygon) = Polygon::new(scribble.0.clone()) else { return true };
        polygon.check_invariants();
        (-8..=64).all(|x| (-8..=64).all(|y| {
            #[expect(clippy::cast_precision_loss, reason = "small integers")]
            let at = (x as f64 / 8.0, y as f64 / 8.0);
            polygon.contains(at.0, at.1) == holds(&scribble.0, (x, y))
        }))
    }

    fn whatever_the_rings_a_box_apart_holds_nothing_and_one_within_is_held(
        scribble: Scribble, seed: u64
    ) -> bool {
        let Ok(polygon) = Polygon::new(scribble.0.clone()) else { return true };
        let mut rng = Rng(seed);
        (0..20).all(|_| {
            let mut eighths = || i64::try_from(rng.below(72)).unwrap() - 8;
            let (west, south) = (eighths(), eighths());
            let (east, north) = match eighths() % 4 {
                0 => (west, south + eighths() % 24),
                1 => (west + eighths() % 24, south),
                _ => (west + eighths() % 24, south + eighths() % 24),
            };
            #[expect(clippy::cast_precision_loss, reason = "small integers")]
            let degrees = |eighths: i64| eighths as f64 / 8.0;
            let corners = [(west, south), (east, north)];
            let [a, b] = corners.map(|(x, y)| (degrees(x), degrees(y)));
            let mut held = (west.min(east)..=west.max(east)).flat_map(|x| {
                let parts = &scribble.0;
                (south.min(north)..=south.max(north)).map(move |y| holds(parts, (x, y)))
            });
            match polygon.relation(&Rect::around(a, b)) {
                Relation::Apart => held.all(|held| !held),
                Relation::Meets => true,
                Relation::Within => held.all(|held| held),
            }
        })
    }

    fn a_ring_may_begin_anywhere_and_run_either_way(scribble: Scribble, seed: u64) -> bool {
        let Ok(polygon) = Polygon::new(scribble.0.clone()) else { return true };
        let mut rng = Rng(seed);
        let mut parts = scribble.0;
        for ring in parts.iter_mut().flatten() {
            let by = usize::try_from(rng.below(ring.len() as u64)).unwrap();
            ring.rotate_left(by);
            if rng.below(2) == 0 {
                ring.reverse();
            }
            if rng.below(2) == 0 {
                ring.push(ring[0]);
            }
        }
        let other = Polygon::new(parts.clone()).unwrap();
        (0..20).all(|_| {
            let rect = rect(&mut rng, &parts);
            polygon.relation(&rect) == other.relation(&rect)
        })
    }
}

/// A ring around the origin of so many positions, a little ragged, with spikes of a length.
fn ragged(rng: &mut Rng, corners: u32, spikes: f64) -> Vec<Position> {
    (0..corners)
        .map(|corner| {
            let angle = f64::from(corner) / f64::from(corners) * std::f64::consts::TAU;
            let radius = 50.0 - spikes * rng.unit();
            (radius * angle.cos(), radius * angle.sin())
        })
        .collect()
}

/// The relation from all edges, one after another, by the definition; for boxes with an area.
fn by_all_edges(polygon: &Polygon, rect: &Rect) -> Relation {
    let edges = || polygon.edges().map(|edge| polygon.edge(edge));
    if edges().any(|(a, b)| rect.is_entered(a, b)) {
        return Relation::Meets;
    }
    let mut turns = 0;
    let (x, y) = rect.centre();
    for (a, b) in edges() {
        if (a.1 <= y) != (b.1 <= y) {
            let left = side(a, b, (x, y)) > 0.0;
            turns += i32::from(a.1 <= y && left) - i32::from(b.1 <= y && !left);
        }
    }
    if turns != 0 {
        Relation::Within
    } else if edges().any(|(a, b)| rect.is_touched(a, b)) {
        Relation::Meets
    } else {
        Relation::Apart
    }
}

#[test]
fn the_index_leaves_out_no_edge_of_ten_thousand() {
    for seed in seeds(6) {
        let mut rng = Rng(seed);
        // Short edges, and edges so tall that there are fewer bands.
        let spikes = [0.01, 1.0, 49.0][usize::try_from(seed % 3).unwrap()];
        let polygon = polygon(&vec![vec![ragged(&mut rng, 10_000, spikes)]]);
        let edges = polygon.bands.edges.len();
        assert!(edges <= 10_000 * Bands::LISTS_PER_EDGE_MAX, "{edges}");
        let mut seen = [0; 3];
        for _ in 0..1_000 {
            // Half of them about the border.
            let angle = rng.unit() * std::f64::consts::TAU;
            let radius = 50.0 - spikes * rng.unit();
            let mut at = (radius * angle.cos(), radius * angle.sin());
            if rng.below(2) == 0 {
                at = (rng.unit() * 120.0 - 60.0, rng.unit() * 120.0 - 60.0);
            }
            let size = 10.0_f64.powf(rng.unit() * 5.0 - 4.0);
            let rect = Rect::around(at, (at.0 + size * rng.unit(), at.1 + size * rng.unit()));
            let relation = polygon.relation(&rect);
            assert_eq!(
                relation,
                by_all_edges(&polygon, &rect),
                "seed {seed}, {rect:?}"
            );
            seen[relation as usize] += 1;
        }
        assert!(seen.iter().all(|&cases| cases > 20), "{seen:?}");
    }
}

#[test]
fn rings_up_to_the_poles_hold_them() {
    let cap = polygon(&vec![vec![square(-180.0, 60.0, 180.0, 90.0)]]);
    assert_eq!(cap.bounds(), Rect::new(-180.0, 60.0, 180.0, 90.0));
    for longitude in [-180.0, -0.0, 12.3, 180.0] {
        assert!(cap.contains(longitude, 90.0));
        assert!(cap.contains(longitude, 60.0));
        assert!(!cap.contains(longitude, 59.9));
    }
    let world = Rect::new(-180.0, -90.0, 180.0, 90.0);
    assert_eq!(cap.relation(&world), Relation::Meets);
    let world = polygon(&vec![vec![world.corners().to_vec()]]);
    assert_eq!(world.relation(&cap.bounds()), Relation::Within);
    assert_eq!(world.relation(&world.bounds()), Relation::Within);
}

#[test]
fn a_box_that_fills_a_hole_or_a_part_touches_it() {
    let ring = polygon(&vec![vec![
        square(0.0, 0.0, 9.0, 9.0),
        square(3.0, 3.0, 6.0, 6.0),
    ]]);
    for (rect, relation) in [
        // The hole, more than it, less than it.
        (Rect::new(3.0, 3.0, 6.0, 6.0), Relation::Meets),
        (Rect::new(2.0, 2.0, 7.0, 7.0), Relation::Meets),
        (Rect::new(4.0, 4.0, 5.0, 5.0), Relation::Apart),
        (Rect::new(4.0, 4.0, 6.0, 5.0), Relation::Meets),
        // Beside the hole, around it.
        (Rect::new(0.0, 0.0, 3.0, 9.0), Relation::Within),
        (Rect::new(0.0, 0.0, 3.1, 9.0), Relation::Meets),
        (Rect::new(0.0, 0.0, 9.0, 9.0), Relation::Meets),
        (Rect::new(9.0, 9.0, 10.0, 10.0), Relation::Meets),
        // Lines along the border, across the hole, in it, from border to border of it.
        (Rect::new(0.0, 0.0, 9.0, 0.0), Relation::Within),
        (Rect::new(3.0, 3.0, 3.0, 6.0), Relation::Within),
        (Rect::new(3.0, 0.0, 3.0, 9.0), Relation::Within),
        (Rect::new(0.0, 4.0, 9.0, 4.0), Relation::Meets),
        (Rect::new(3.0, 4.0, 6.0, 4.0), Relation::Meets),
        (Rect::new(4.0, 4.0, 5.0, 4.0), Relation::Apart),
        (Rect::new(0.0, 4.0, 3.0, 4.0), Relation::Within),
        (Rect::new(-1.0, 0.0, 9.0, 0.0), Relation::Meets),
        // Points.
        (Rect::new(3.0, 3.0, 3.0, 3.0), Relation::Within),
        (Rect::new(4.0, 4.0, 4.0, 4.0), Relation::Apart),
    ] {
        assert_eq!(ring.relation(&rect), relation, "{rect:?}");
    }
}

#[test]
fn parts_and_holes_may_share_borders() {
    // Two holes side by side: their common border is part of the polygon, as a line.
    let window = polygon(&vec![vec![
        square(0.0, 0.0, 9.0, 9.0),
        square(2.0, 2.0, 4.0, 6.0),
        square(4.0, 2.0, 6.0, 6.0),
    ]]);
    for (rect, relation) in [
        (Rect::new(3.0, 3.0, 5.0, 5.0), Relation::Meets),
        (Rect::new(4.0, 3.0, 4.0, 5.0), Relation::Within),
        (Rect::new(4.0, 0.0, 4.0, 9.0), Relation::Within),
        (Rect::new(3.0, 3.0, 3.5, 5.0), Relation::Apart),
        (Rect::new(2.0, 2.0, 6.0, 6.0), Relation::Meets),
    ] {
        assert_eq!(window.relation(&rect), relation, "{rect:?}");
    }
    // Two parts side by side: no single one holds what lies across their common border.
    let halves = polygon(&vec![
        vec![square(0.0, 0.0, 1.0, 1.0)],
        vec![square(1.0, 0.0, 2.0, 1.0)],
    ]);
    assert_eq!(
        halves.relation(&Rect::new(0.5, 0.5, 1.5, 0.6)),
        Relation::Meets
    );
    assert_eq!(
        halves.relation(&Rect::new(1.0, 0.0, 2.0, 1.0)),
        Relation::Within
    );
    // A small part inside a large one takes nothing away.
    let nested = polygon(&vec![
        vec![square(0.0, 0.0, 4.0, 4.0)],
        vec![square(1.0, 1.0, 2.0, 2.0)],
    ]);
    assert_eq!(
        nested.relation(&Rect::new(0.5, 0.5, 3.0, 3.0)),
        Relation::Within
    );
}

#[test]
fn boxes_a_last_place_wide_are_answered() {
    let (west, east) = (1.0_f64, 1.0_f64.next_up());
    let left = polygon(&vec![vec![square(0.0, 0.0, west, 1.0)]]);
    let right = polygon(&vec![vec![square(east, 0.0, 2.0, 1.0)]]);
    let both = polygon(&vec![vec![square(0.0, 0.0, east, 1.0)]]);
    for (south, north) in [(0.5_f64, 0.5_f64.next_up()), (0.0, 1.0)] {
        let sliver = Rect::new(west, south, east, north);
        assert_eq!(left.relation(&sliver), Relation::Meets);
        assert_eq!(right.relation(&sliver), Relation::Meets);
        assert_eq!(both.relation(&sliver), Relation::Within);
    }
    // A slanted border through neither corner.
    let slanted = polygon(&vec![vec![vec![(0.0, 0.0), (3.0, 1.0), (0.0, 1.0)]]]);
    let on = Rect::new(1.0, 1.0 / 3.0, 1.0, 1.0 / 3.0);
    // A third is rounded down, so the position lies a little below the border.
    assert_eq!(slanted.relation(&on), Relation::Apart);
    let above = (1.0_f64 / 3.0).next_up();
    assert_eq!(
        slanted.relation(&Rect::new(1.0, above, 1.0, above)),
        Relation::Within
    );
}

#[test]
fn a_flat_ring_is_a_line() {
    let flat = polygon(&vec![vec![vec![(0.0, 1.0), (2.0, 1.0), (5.0, 1.0)]]]);
    assert!(flat.contains(3.0, 1.0));
    assert!(!flat.contains(3.0, 1.1));
    assert_eq!(
        flat.relation(&Rect::new(1.0, 1.0, 4.0, 1.0)),
        Relation::Within
    );
    assert_eq!(
        flat.relation(&Rect::new(1.0, 1.0, 4.0, 2.0)),
        Relation::Meets
    );
}

#[test]
fn many_positions_on_a_line_are_no_trouble() {
    // A comb whose teeth all touch the line, from the side on which it does not pass.
    let mut ring: Vec<Position> = (0..100_000)
        .flat_map(|tooth| {
            let x = f64::from(tooth) / 1_000.0;
            [(x, 1.0), (x + 0.0005, 0.0)]
        })
        .collect();
    ring.extend([(100.0, 1.0), (100.0, -1.0), (0.0, -1.0)]);
    let upright: Vec<Position> = ring.iter().map(|&(x, y)| (y, x * 0.5)).collect();
    let (comb, upright) = (polygon(&vec![vec![ring]]), polygon(&vec![vec![upright]]));
    assert_eq!(
        comb.relation(&Rect::new(0.0, 0.0, 100.0, 0.0)),
        Relation::Within
    );
    assert_eq!(
        upright.relation(&Rect::new(0.0, 0.0, 0.0, 50.0)),
        Relation::Within
    );
    assert_eq!(
        upright.relation(&Rect::new(1.0, 0.0, 1.0, 50.0)),
        Relation::Meets
    );
}

#[test]
fn rings_are_closed_and_repeats_dropped() {
    let open = vec![(0.0, 0.0), (1.0, 0.0), (1.0, 0.0), (1.0, 1.0)];
    let mut closed = open.clone();
    closed.extend([(0.0, 0.0), (0.0, 0.0)]);
    for ring in [open, closed] {
        let triangle = polygon(&vec![vec![ring]]);
        assert_eq!(triangle.vertices(), 3);
        assert!(triangle.contains(0.5, 0.5));
        assert!(!triangle.contains(0.5, 0.6));
        assert!(!triangle.contains(f64::NAN, 0.0));
    }
}

#[test]
fn bad_polygons_are_named() {
    let triangle = vec![(0.0, 0.0), (1.0, 0.0), (1.0, 1.0)];
    for (parts, words) in [
        (vec![], "no part"),
        (vec![vec![]], "part 0 has no ring"),
        (
            vec![vec![triangle.clone(), vec![]]],
            "part 0, ring 1: it needs",
        ),
        (
            vec![vec![vec![(0.0, 0.0), (1.0, 0.0), (0.0, 0.0)]]],
            "3 different positions",
        ),
        (
            vec![vec![vec![(0.0, 0.0), (1.0, 0.0), (0.0, 0.0), (1.0, 0.0)]]],
            "3 different positions",
        ),
        (
            vec![vec![triangle.clone()], vec![vec![(0.0, 0.0), (1.0, 91.0)]]],
            "part 1, ring 0: the latitude of position 1 is 91;",
        ),
        (
            vec![vec![vec![(f64::NAN, 0.0)]]],
            "longitude of position 0 is NaN",
        ),
        (vec![vec![vec![(-180.1, 0.0)]]], "-180.1"),
        (
            vec![vec![triangle.repeat(333_334)]],
            "has 1000002 positions; it may have 1000000",
        ),
    ] {
        let what = Polygon::new(parts).unwrap_err();
        assert!(what.contains(words), "{what}");
    }
    Polygon::new(vec![vec![triangle.repeat(333_333)]]).unwrap();
}
