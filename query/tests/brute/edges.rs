//! The edges of what shapes, ids, heights and times can be, on small nets made up for it.

use blocknet_engine::Extent;
use blocknet_query::{Altitude, Match, Polygon, Selection, UnknownHeight, Window};

use super::asking::{Tally, answer};
use super::nets::{Filled, Snapshot};
use super::oracle::{self, Verdict};
use super::random::Rng;

fn fill(extents: impl IntoIterator<Item = Extent>) -> Filled {
    let facts = (0..)
        .zip(extents)
        .map(|(number, extent): (u32, Extent)| (number.to_string(), (0, Some(extent))));
    Filled::with(facts.collect())
}

/// Boxes all over the world, some on the antimeridian and at the poles, from points to continents.
fn world(rng: &mut Rng) -> Filled {
    let mut extents = Vec::new();
    for n in 0..2_000 {
        let (x, y) = (rng.within(-180.0, 180.0), rng.within(-90.0, 90.0));
        let size = rng.scale(1e-6, 90.0);
        let extent = match n % 8 {
            0 => Extent::point(180.0, y),
            1 => Extent::point(-180.0, y),
            2 => Extent::point(x, 90.0),
            3 => Extent::point(x, -90.0),
            4 => Extent::flat(180.0 - size, y, 180.0, y),
            5 => Extent::flat(-180.0, y, -180.0 + size, y),
            _ => Extent::flat(x, y, (x + size).min(180.0), (y + size).min(90.0)),
        };
        extents.push(extent);
    }
    fill(extents)
}

/// Asks for what meets a selection, and on every other question for what lies within it, by
/// verdicts of a plain test.
fn ask(
    tally: &mut Tally,
    snapshot: &Snapshot<'_>,
    selection: &Selection<'_>,
    takes: impl Fn(&Extent) -> bool,
) {
    let verdicts: Vec<Verdict> = snapshot
        .known
        .iter()
        .map(|known| Verdict::of(takes(&known.extent)))
        .collect();
    tally.ask(snapshot, selection, &verdicts);
}

/// The oracle: plain comparisons with the window's part on either side of the antimeridian.
#[test]
fn edge_cases_boxes_across_the_antimeridian_and_around_the_world() {
    let mut rng = Rng::of("antimeridian");
    let net = world(&mut rng);
    let snapshot = net.now();
    let mut tally = Tally::default();
    for n in 0..500 {
        let (west, east) = match n % 5 {
            0 => (180.0, -180.0),
            1 => (-180.0, 180.0),
            2 => (180.0, 180.0),
            _ => (
                180.0 - rng.scale(1e-6, 300.0),
                -180.0 + rng.scale(1e-6, 300.0),
            ),
        };
        let (a, b) = (rng.within(-90.0, 90.0), rng.within(-90.0, 90.0));
        let (south, north) = match n % 7 {
            0 => (-90.0, 90.0),
            1 => (90.0, 90.0),
            2 => (-90.0, -90.0),
            _ => (a.min(b), a.max(b)),
        };
        let parts = if west > east {
            vec![(west, 180.0), (-180.0, east)]
        } else {
            vec![(west, east)]
        };
        let window = Window::flat(west, south, east, north);
        ask(&mut tally, &snapshot, &Selection::of(window), |extent| {
            extent.south <= north
                && extent.north >= south
                && parts
                    .iter()
                    .any(|(west, east)| extent.west <= *east && extent.east >= *west)
        });
        let within = Selection {
            matching: Match::Within,
            ..Selection::of(window)
        };
        ask(&mut tally, &snapshot, &within, |extent| {
            extent.south >= south
                && extent.north <= north
                && parts
                    .iter()
                    .any(|(west, east)| extent.west >= *west && extent.east <= *east)
        });
    }
    tally.close("the world", "window");
    let everything = answer(
        &snapshot,
        &Selection::of(Window::flat(-180.0, -90.0, 180.0, 90.0)).into(),
    );
    assert_eq!(everything.len(), snapshot.known.len());
}

/// The oracle: comparisons, since the polygons are boxes, and `geo`.
#[test]
fn edge_cases_polygons_up_to_the_poles_hold_what_lies_there() {
    let mut rng = Rng::of("poles");
    let net = world(&mut rng);
    let snapshot = net.now();
    let mut tally = Tally::default();
    for (south, north) in [(60.0, 90.0), (-90.0, -60.0), (-90.0, 90.0), (89.999, 90.0)] {
        for (west, east) in [(-180.0, 180.0), (-180.0, 0.0), (179.0, 180.0), (10.0, 20.0)] {
            let outline = vec![(west, south), (east, south), (east, north), (west, north)];
            let parts = vec![vec![outline]];
            let polygon = oracle::multi_polygon(&parts);
            let selection = Selection::of(Polygon::new(parts).unwrap());
            ask(&mut tally, &snapshot, &selection, |extent| {
                let plain = extent.west <= east
                    && extent.east >= west
                    && extent.south <= north
                    && extent.north >= south;
                assert_eq!(oracle::meets(&polygon, extent), plain, "{extent:?}");
                plain
            });
        }
    }
    tally.close("the world", "polygon to a pole");
}

/// The oracle: `geo`.
#[test]
fn edge_cases_a_polygon_of_ten_thousand_vertices_answers_as_geo_does() {
    let mut rng = Rng::of("vertices");
    let net = fill((0..1_500).map(|_| {
        let (x, y) = (rng.within(4.8, 5.0), rng.within(52.3, 52.5));
        let size = rng.scale(1e-6, 1e-2);
        Extent::flat(x, y, x + size, y + size)
    }));
    let snapshot = net.now();
    let mut tally = Tally::default();
    for toothed in [false, true] {
        let outline = (0..10_000).map(|corner| {
            let (sin, cos) = (f64::from(corner) / 10_000.0 * std::f64::consts::TAU).sin_cos();
            let radius = if toothed && corner % 2 == 0 {
                0.05
            } else {
                0.06
            };
            (4.9 + radius * cos, 52.4 + radius * sin)
        });
        let parts = vec![vec![outline.collect()]];
        let polygon = oracle::multi_polygon(&parts);
        let prepared = oracle::prepared(&polygon);
        let selection = Selection::of(Polygon::new(parts).unwrap());
        ask(&mut tally, &snapshot, &selection, |extent| {
            oracle::meets(&polygon, extent)
        });
        let within = Selection {
            matching: Match::Within,
            ..selection
        };
        ask(&mut tally, &snapshot, &within, |extent| {
            oracle::covers(&prepared, extent)
        });
    }
    tally.close("Amsterdam", "10,000 vertices");
}

/// The oracle: the list of ids.
#[test]
fn edge_cases_ids_of_any_text_come_back_as_they_are() {
    let ids = [
        "Tórshavn/住宅/🏠".to_owned(),
        "\0".to_owned(),
        "a\0".to_owned(),
        "a".to_owned(),
        "a\0b".to_owned(),
        "a\0\u{ff}".to_owned(),
        "a\u{1}".to_owned(),
        "\u{ff}\0\0".to_owned(),
        "e\u{301}".to_owned(),
        "é".to_owned(),
        "x".repeat(1_024),
        format!("{}y", "x".repeat(1_023)),
        "0".to_owned(),
        "00".to_owned(),
        " ".to_owned(),
    ];
    let house = Extent::flat(4.9, 52.37, 4.9002, 52.3702);
    let net = Filled::with(
        ids.iter()
            .map(|id| (id.clone(), (0, Some(house))))
            .collect(),
    );
    let snapshot = net.now();
    let mut tally = Tally::default();
    let window = Selection::of(Window::flat(4.9, 52.37, 4.9, 52.37));
    ask(&mut tally, &snapshot, &window, |_| true);
    for id in &ids {
        let found = answer(&snapshot, &window.clone().of_id(id).into());
        assert_eq!(found, [snapshot.by_id[id]], "{id:?}");
    }
    tally.close("one house", "ids");
}

/// The oracle: the height compared as it is.
#[test]
fn edge_cases_heights_below_zero_are_below_zero() {
    let at = |floor: f64, top: f64| Extent::point(4.9, 52.37).between(floor, top);
    let net = fill([
        at(-6.7, -2.0),
        at(-2.0, 0.0),
        at(-0.0, 3.0),
        at(-999.0, -998.0),
        at(-1.0, -1.0),
        Extent::point(4.9, 52.37),
    ]);
    let snapshot = net.now();
    let mut tally = Tally::default();
    let bounds = [-1_000.0, -998.5, -6.7, -2.0, -1.0, -0.0, 0.0, 3.0, 4.0];
    for lowest in bounds {
        for highest in bounds {
            if lowest > highest {
                continue;
            }
            for unknown in [UnknownHeight::Include, UnknownHeight::Exclude] {
                let selection = Selection {
                    altitude: Some(Altitude {
                        lowest,
                        highest,
                        unknown,
                    }),
                    ..Selection::of(Window::flat(4.0, 52.0, 5.0, 53.0))
                };
                ask(&mut tally, &snapshot, &selection, |extent| {
                    match (extent.floor, extent.top) {
                        (Some(floor), Some(top)) => floor <= highest && top >= lowest,
                        _ => unknown == UnknownHeight::Include,
                    }
                });
            }
        }
    }
    tally.close("one place", "heights");
}

/// The oracle: where the house stood on each day.
#[test]
fn edge_cases_a_view_of_the_past_finds_what_stood_there_then() {
    let there = |step: f64| Extent::flat(4.9 + step, 52.37, 4.9002 + step, 52.3702);
    let net = Filled::with(vec![
        ("house".to_owned(), (10, Some(there(0.0)))),
        ("house".to_owned(), (30, Some(there(0.1)))),
        ("house".to_owned(), (20, Some(there(0.2)))),
        ("house".to_owned(), (40, None)),
        ("house".to_owned(), (50, Some(there(0.0)))),
        // Learned later of the same moment.
        ("house".to_owned(), (20, Some(there(0.3)))),
    ]);
    let mut tally = Tally::default();
    let stood = [
        (9, None),
        (10, Some(0.0)),
        (19, Some(0.0)),
        (20, Some(0.3)),
        (29, Some(0.3)),
        (30, Some(0.1)),
        (39, Some(0.1)),
        (40, None),
        (49, None),
        (50, Some(0.0)),
    ];
    for (moment, place) in stood {
        let snapshot = net.at(moment);
        assert_eq!(snapshot.known.len(), usize::from(place.is_some()));
        for step in [0.0, 0.1, 0.2, 0.3] {
            let Extent { west, south, .. } = there(step);
            let selection = Selection::of(Window::flat(west, south, west, south));
            ask(&mut tally, &snapshot, &selection, |_| {
                place.is_some_and(|place| (place - step).abs() < 0.01)
            });
        }
    }
    assert_eq!(tally.answered, 7);
}
