//! Random queries of each shape on each real net, now and in the past.

use std::f64::consts::FRAC_1_SQRT_2;

use blocknet_engine::Extent;
use blocknet_geocode::Position;
use blocknet_query::{
    Altitude, Area, Circle, Corridor, Match, Order, Polygon, Query, Selection, UnknownHeight,
    Window, distance,
};

use super::asking::{FORCED, Tally, answer};
use super::nets::{Filled, Snapshot, Source};
use super::oracle::{self, Place, TOLERANCE_METRES, Verdict};
use super::random::Rng;

/// A metre in degrees of latitude, about.
const METRE: f64 = 1.0 / 111_000.0;

/// Asks all queries of one shape: of four three now, the last one in the past.
fn each<'s, 'a>(
    snapshots: &'s [Snapshot<'a>],
    source: &Source,
    shape: &str,
    mut ask: impl FnMut(u32, &'s Snapshot<'a>, &mut Rng, &mut Tally),
) {
    let mut rng = Rng::of(&format!("{} {shape}", source.file));
    let mut tally = Tally::default();
    for n in 0..super::random::runs(source.queries) {
        let past = n % 4 == 3 && snapshots.len() > 1;
        let snapshot = if past {
            &snapshots[1 + rng.index(snapshots.len() - 1)]
        } else {
            &snapshots[0]
        };
        ask(n, snapshot, &mut rng, &mut tally);
    }
    tally.close(source.file, shape);
}

fn span(snapshot: &Snapshot<'_>) -> f64 {
    snapshot.span.0.max(snapshot.span.1)
}

fn window_takes(window: &Window, extent: &Extent, matching: Match) -> bool {
    match matching {
        Match::Meets => {
            extent.west <= window.east
                && extent.east >= window.west
                && extent.south <= window.north
                && extent.north >= window.south
        }
        Match::Within => {
            extent.west >= window.west
                && extent.east <= window.east
                && extent.south >= window.south
                && extent.north <= window.north
        }
    }
}

fn band_takes(band: &Altitude, extent: &Extent, matching: Match) -> bool {
    let inside = |metres: f64| band.lowest <= metres && metres <= band.highest;
    let known = extent.floor.is_some() && extent.top.is_some();
    if !known && band.unknown == UnknownHeight::Exclude {
        return false;
    }
    match matching {
        Match::Meets => {
            let floor = extent.floor.unwrap_or(f64::NEG_INFINITY);
            let top = extent.top.unwrap_or(f64::INFINITY);
            floor <= band.highest && top >= band.lowest
        }
        Match::Within => extent.floor.is_none_or(inside) && extent.top.is_none_or(inside),
    }
}

fn matching(n: u32) -> Match {
    if n % 5 == 4 {
        Match::Within
    } else {
        Match::Meets
    }
}

/// A window of any size near a record; some are lines, points, or have sides on a building's.
fn window(n: u32, snapshot: &Snapshot<'_>, rng: &mut Rng) -> Window {
    let size = rng.scale(METRE, span(snapshot));
    let (x, y) = rng.place_near(snapshot, size / 2.0);
    let (west, south) = (x - size * rng.unit(), y - size * rng.unit());
    let (east, north) = (x + size * rng.unit(), y + size * rng.unit());
    let corner = snapshot.known[rng.index(snapshot.known.len())].extent;
    match n % 12 {
        // A point on a corner, one in a building or beside it, a line along a wall or across.
        0 => Window::flat(corner.east, corner.north, corner.east, corner.north),
        1 => Window::flat(west, south, west, south),
        2 => Window::flat(corner.east, south, corner.east, north),
        3 => Window::flat(west, corner.south, east, corner.south),
        // Touching from outside, and the building itself.
        4 => Window::flat(
            corner.east,
            corner.north,
            corner.east + size,
            corner.north + size,
        ),
        5 => Window::flat(corner.west, corner.south, corner.east, corner.north),
        _ => Window::flat(west, south, east, north),
    }
}

/// Plain comparisons.
fn windows(snapshots: &[Snapshot<'_>], source: &Source) {
    each(snapshots, source, "window", |n, snapshot, rng, tally| {
        let window = window(n, snapshot, rng);
        let matching = matching(n);
        let takes = |known| Verdict::of(window_takes(&window, known, matching));
        let verdicts: Vec<Verdict> = extents(snapshot).map(takes).collect();
        let selection = Selection {
            matching,
            ..Selection::of(window)
        };
        tally.ask(snapshot, &selection, &verdicts);
    });
}

fn extents<'s>(snapshot: &'s Snapshot<'_>) -> impl Iterator<Item = &'s Extent> {
    snapshot.known.iter().map(|known| &known.extent)
}

/// Plain comparisons, of heights as well: see `with_heights`.
fn bands(snapshots: &[Snapshot<'_>], source: &Source) {
    each(snapshots, source, "altitude", |n, snapshot, rng, tally| {
        let window = window(11, snapshot, rng);
        let lowest = rng.within(-80.0, 120.0).round() / 2.0;
        let band = Altitude {
            lowest: if n % 7 == 0 {
                f64::NEG_INFINITY
            } else {
                lowest
            },
            highest: lowest + [0.0, 0.5, 3.0, 30.0, f64::INFINITY][rng.index(5)],
            unknown: if n % 3 == 0 {
                UnknownHeight::Exclude
            } else {
                UnknownHeight::Include
            },
        };
        let matching = matching(n);
        let takes = |known| {
            Verdict::of(
                window_takes(&window, known, matching) && band_takes(&band, known, matching),
            )
        };
        let verdicts: Vec<Verdict> = extents(snapshot).map(takes).collect();
        let selection = Selection {
            altitude: Some(band),
            matching,
            ..Selection::of(window)
        };
        tally.ask(snapshot, &selection, &verdicts);
    });
}

/// `geo`: whether the box as a polygon, line or point intersects the polygon, and for what is to
/// lie within, whether one part covers it.
fn polygons(snapshots: &[Snapshot<'_>], source: &Source) {
    each(snapshots, source, "polygon", |n, snapshot, rng, tally| {
        let radius = rng.scale(20.0 * METRE, span(snapshot) * FRAC_1_SQRT_2);
        let parts = rng.polygon(snapshot, radius);
        let polygon = oracle::multi_polygon(&parts);
        let prepared = oracle::prepared(&polygon);
        let mut bounds = [f64::MAX, f64::MAX, f64::MIN, f64::MIN];
        for &(x, y) in parts.iter().flatten().flatten() {
            bounds = [
                bounds[0].min(x),
                bounds[1].min(y),
                bounds[2].max(x),
                bounds[3].max(y),
            ];
        }
        let matching = matching(n);
        let mut verdicts = vec![Verdict::Out; snapshot.known.len()];
        for index in snapshot.near(bounds) {
            let extent = &snapshot.known[index].extent;
            verdicts[index] = Verdict::of(match matching {
                Match::Meets => oracle::meets(&polygon, extent),
                Match::Within => oracle::covers(&prepared, extent),
            });
        }
        let selection = Selection {
            matching,
            ..Selection::of(Polygon::new(parts).unwrap())
        };
        tally.ask(snapshot, &selection, &verdicts);
    });
}

/// The distance to the nearest point of the box by search along its side, and to the farthest as
/// that of a corner.
fn circles(snapshots: &[Snapshot<'_>], source: &Source) {
    each(snapshots, source, "circle", |n, snapshot, rng, tally| {
        let metres = rng.scale(1.0, span(snapshot) / METRE);
        let centre = rng.place_near(snapshot, metres * METRE);
        let matching = matching(n);
        let mut verdicts = vec![Verdict::Out; snapshot.known.len()];
        let bounds = oracle::around([centre.0, centre.1, centre.0, centre.1], metres);
        for index in snapshot.near(bounds) {
            let extent = &snapshot.known[index].extent;
            verdicts[index] = if matching == Match::Within {
                Verdict::at_most(oracle::to_farthest(centre, extent), metres)
            } else {
                oracle::surely(oracle::flat(centre, extent), metres)
                    .unwrap_or_else(|| Verdict::at_most(oracle::to_box(centre, extent), metres))
            };
        }
        let selection = Selection {
            matching,
            ..Selection::of(Circle::new(centre, metres))
        };
        tally.ask(snapshot, &selection, &verdicts);
    });
}

/// The distance of a record, by search, from a place that may have an altitude.
fn gap(place: &Position, extent: &Extent) -> f64 {
    let Some(altitude) = place.altitude else {
        return 0.0;
    };
    let below = extent.floor.map_or(0.0, |floor| floor - altitude);
    let above = extent.top.map_or(0.0, |top| altitude - top);
    below.max(above).max(0.0)
}

/// All records by the distance to the nearest point of their boxes, found by search; those that
/// even a wrong map has beyond the last one wanted are left out.
fn nearest(snapshots: &[Snapshot<'_>], source: &Source) {
    each(snapshots, source, "nearest", |n, snapshot, rng, tally| {
        let away = rng.scale(METRE, span(snapshot));
        let at: Place = rng.place_near(snapshot, away);
        let place = Position {
            longitude: at.0,
            latitude: at.1,
            altitude: (n % 10 == 7).then(|| rng.within(-50.0, 50.0)),
        };
        let wanted = [1, 10, 50][rng.index(3)];
        let maps: Vec<f64> = extents(snapshot)
            .map(|extent| oracle::flat(at, extent))
            .collect();
        let reach = |index: usize, doubt: f64| {
            (maps[index] * doubt).hypot(gap(&place, &snapshot.known[index].extent))
        };
        let mut bounds: Vec<f64> = (0..maps.len())
            .map(|index| reach(index, oracle::doubt(maps[index])))
            .collect();
        let wanted = wanted.min(bounds.len());
        let (_, &mut farthest, _) = bounds.select_nth_unstable_by(wanted - 1, f64::total_cmp);
        let mut right: Vec<(f64, usize)> = (0..maps.len())
            .filter(|&index| reach(index, 1.0 / oracle::doubt(maps[index])) <= farthest + 0.01)
            .map(|index| {
                let extent = &snapshot.known[index].extent;
                (oracle::to_box(at, extent).hypot(gap(&place, extent)), index)
            })
            .collect();
        right.sort_by(|a, b| a.0.total_cmp(&b.0));
        let query = Query::from(Selection::of(Area::Everywhere))
            .ordered(Order::Distance(place))
            .limited(u64::try_from(wanted).unwrap());
        let found = answer(snapshot, &query);
        tally.queries += 1;
        tally.records += found.len();
        tally.answered += u32::from(!found.is_empty());
        assert_eq!(found.len(), wanted, "{query:?}");
        let mut before = 0.0;
        for (&index, (metres, _)) in found.iter().zip(&right) {
            let known = &snapshot.known[index];
            let own = distance(&place, &known.extent);
            assert!(before <= own, "{} is out of order: {query:?}", known.id);
            before = own;
            assert!(
                (own - metres).abs() <= TOLERANCE_METRES,
                "{} at {own} m, not {metres} m: {query:?}",
                known.id
            );
        }
        let last = right[wanted - 1].0;
        for &(metres, index) in &right {
            let surely = metres < last - TOLERANCE_METRES;
            tally.undecided += usize::from(!surely && (metres - last).abs() < TOLERANCE_METRES);
            assert!(
                !surely || found.contains(&index),
                "{} at {metres} m is left out: {query:?}",
                snapshot.known[index].id
            );
        }
        // The last one is always as far as the last one.
        tally.undecided -= 1;
        if n % 10 == 0 {
            for plan in FORCED {
                assert_eq!(
                    answer(snapshot, &query.clone().by(plan)),
                    found,
                    "by {plan:?}"
                );
            }
            tally.forced += 1;
        }
    });
}

/// The least distance of a box from the places of the line, sampled densely and searched around the
/// nearest one.
fn corridors(snapshots: &[Snapshot<'_>], source: &Source) {
    each(snapshots, source, "corridor", |_, snapshot, rng, tally| {
        let metres = rng.scale(1.0, 2_000.0);
        let long = rng.scale(20.0 * METRE, span(snapshot) / 4.0);
        let mut line = vec![rng.place_near(snapshot, metres * METRE)];
        for _ in 0..=rng.below(5) {
            let (x, y) = line[line.len() - 1];
            let (east, north) = (rng.within(-1.0, 1.0), rng.within(-1.0, 1.0));
            line.push(match rng.below(6) {
                // Along a meridian or a parallel.
                0 => (x, y + long * north),
                1 => (x + long * east, y),
                _ => (x + long * east, y + long * north),
            });
        }
        let mut verdicts = vec![Verdict::Out; snapshot.known.len()];
        for pair in line.windows(2) {
            let (a, b) = (pair[0], pair[1]);
            let bounds = [a.0.min(b.0), a.1.min(b.1), a.0.max(b.0), a.1.max(b.1)];
            for index in snapshot.near(oracle::around(bounds, metres)) {
                if verdicts[index] == Verdict::In {
                    continue;
                }
                let extent = &snapshot.known[index].extent;
                match oracle::line_to_box(a, b, metres, extent) {
                    Verdict::Out => {}
                    verdict => verdicts[index] = verdict,
                }
            }
        }
        let corridor = Corridor::new(&[line], metres).unwrap();
        tally.ask(snapshot, &Selection::of(corridor), &verdicts);
    });
}

/// Whether the printed geocode of the middle of the box starts with the digits.
fn prefixes(snapshots: &[Snapshot<'_>], source: &Source) {
    each(snapshots, source, "prefix", |n, snapshot, rng, tally| {
        let spec = *snapshot.view.spec();
        let digits = usize::try_from(4 + rng.below(9)).unwrap();
        let code = if n % 3 == 0 {
            let (longitude, latitude) = rng.place_near(snapshot, 100.0 * METRE);
            let place = Position {
                longitude,
                latitude,
                altitude: None,
            };
            spec.format(&spec.encode(&place).unwrap())
        } else {
            snapshot.known[rng.index(snapshot.known.len())].code.clone()
        };
        let prefix = &code[..digits];
        let verdicts: Vec<Verdict> = snapshot
            .known
            .iter()
            .map(|known| Verdict::of(known.code.starts_with(prefix)))
            .collect();
        let cell = Area::Cell(spec.parse_cell(prefix).unwrap());
        tally.ask(snapshot, &Selection::of(cell), &verdicts);
    });
}

fn all_shapes(source: &Source) {
    let Some(filled) = Filled::of(source) else {
        return;
    };
    let mut snapshots = vec![filled.now()];
    if source.from.is_some() {
        for fifths in [1, 2, 4] {
            let past = filled.at(filled.moment(fifths, 5));
            assert!(past.view.needs_history(None));
            snapshots.push(past);
        }
    }
    let known: Vec<usize> = snapshots.iter().map(|s| s.known.len()).collect();
    println!("{}: {known:?} records now and in the past", source.file);
    assert!(known[0] > 1_000);
    windows(&snapshots, source);
    polygons(&snapshots, source);
    circles(&snapshots, source);
    nearest(&snapshots, source);
    corridors(&snapshots, source);
    prefixes(&snapshots, source);
    bands(&snapshots, source);
}

#[test]
fn all_shapes_answer_like_brute_force_in_doesburg() {
    all_shapes(&Source {
        file: "bag_doesburg_pand_history.geojsonl.gz",
        id: &["identificatie"],
        from: Some("beginGeldigheid"),
        queries: 100,
    });
}

#[test]
fn all_shapes_answer_like_brute_force_on_the_faroe_islands() {
    all_shapes(&Source {
        file: "osm_history_faroe-islands.geojsonl.gz",
        id: &["osm_id"],
        from: Some("valid_from"),
        queries: 100,
    });
}

#[test]
fn all_shapes_answer_like_brute_force_where_buildings_are_as_large_as_seas() {
    all_shapes(&Source {
        file: "osm_history_equatorial-guinea.geojsonl.gz",
        id: &["osm_id"],
        from: Some("valid_from"),
        queries: 100,
    });
}

#[test]
fn all_shapes_answer_like_brute_force_in_manhattan() {
    all_shapes(&Source {
        file: "nypl_manhattan_downtown_1894.geojsonl.gz",
        id: &["layer", "sheet", "DN"],
        from: None,
        queries: 100,
    });
}

#[test]
fn all_shapes_answer_like_brute_force_in_monaco() {
    all_shapes(&Source {
        file: "monaco_osm_2016.geojson.gz",
        id: &["id"],
        from: Some("@timestamp"),
        queries: 100,
    });
}

#[test]
fn all_shapes_answer_like_brute_force_in_liechtenstein() {
    all_shapes(&Source {
        file: "liechtenstein_osm_2013.geojson.gz",
        id: &["id"],
        from: Some("@timestamp"),
        queries: 100,
    });
}
