use geo::{Geometry, LineString, Point, Polygon};
use quickcheck::QuickCheck;

use super::*;

fn shape(text: &str) -> Shape {
    Shape::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn window(west: f64, south: f64, east: f64, north: f64) -> Window {
    Window::new(west, south, east, north).unwrap()
}

fn bounds(text: &str) -> Bounds {
    shape(text).bounds()
}

fn sides([west, south, east, north]: [f64; 4]) -> Bounds {
    Bounds {
        west,
        south,
        east,
        north,
    }
}

const SQUARE: &str = r#"{"type":"Polygon","coordinates":[[[0,0],[4,0],[4,4],[0,4],[0,0]]]}"#;

#[test]
fn every_type_is_read_with_its_bounds() {
    for (text, expected) in [
        (
            r#"{"type":"Point","coordinates":[1.5,-2e0]}"#,
            [1.5, -2.0, 1.5, -2.0],
        ),
        (
            r#"{"coordinates":[[1,2],[-3,4]],"type":"MultiPoint"}"#,
            [-3.0, 2.0, 1.0, 4.0],
        ),
        (
            r#"{"type":"LineString","coordinates":[[1,2],[3,0]]}"#,
            [1.0, 0.0, 3.0, 2.0],
        ),
        (
            r#"{"type":"MultiLineString","coordinates":[[[1,2],[3,0]],[]]}"#,
            [1.0, 0.0, 3.0, 2.0],
        ),
        (SQUARE, [0.0, 0.0, 4.0, 4.0]),
        (
            r#"{"type":"MultiPolygon","coordinates":[[[[0,0],[1,0],[1,1],[0,0]]],[[[5,5],[6,5],[6,6],[5,5]]]]}"#,
            [0.0, 0.0, 6.0, 6.0],
        ),
        (
            r#"{"type":"GeometryCollection","geometries":[{"type":"Point","coordinates":[9,9]},{"type":"GeometryCollection","geometries":[{"type":"Point","coordinates":[-9,8]}]},{"type":"Polygon","coordinates":[]}]}"#,
            [-9.0, 8.0, 9.0, 9.0],
        ),
        (
            r#"{"type":"Point","coordinates":[180,-90]}"#,
            [180.0, -90.0, 180.0, -90.0],
        ),
    ] {
        assert_eq!(bounds(text), sides(expected), "{text}");
    }
}

#[test]
fn coordinates_are_the_nearest_doubles() {
    // A reader without `float_roundtrip` gives about a quarter of these one bit off.
    let mut state = 1_u64;
    for _ in 0..1000 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let text = format!("-73.{:015}", state % 1_000_000_000_000_000);
        let west = bounds(&format!(r#"{{"type":"Point","coordinates":[{text},0]}}"#)).west;
        assert_eq!(
            west.to_bits(),
            text.parse::<f64>().unwrap().to_bits(),
            "{text}"
        );
    }
}

#[test]
fn altitudes_are_the_third_numbers() {
    let line = shape(r#"{"type":"LineString","coordinates":[[0,0,-2.5],[1,1],[2,2,7,99,"m"]]}"#);
    assert_eq!(line.altitudes(), Some((-2.5, 7.0)));
    assert_eq!(shape(SQUARE).altitudes(), None);
}

#[test]
fn bad_geometries_are_refused_with_their_reason() {
    for (text, reason) in [
        ("[]", "no GeoJSON object"),
        (r#""x""#, "no GeoJSON object"),
        ("{}", "type is missing"),
        (r#"{"type":"Circle","coordinates":[0,0]}"#, "type is Circle"),
        (r#"{"type":7,"coordinates":[0,0]}"#, "type is 7"),
        (r#"{"type":"Point"}"#, "no coordinates member"),
        (
            r#"{"type":"Point","coordinates":null}"#,
            "at least two numbers",
        ),
        (
            r#"{"type":"Point","coordinates":[]}"#,
            "at least two numbers",
        ),
        (
            r#"{"type":"Point","coordinates":[1]}"#,
            "at least two numbers",
        ),
        (r#"{"type":"Point","coordinates":["1",2]}"#, "expected f64"),
        (
            r#"{"type":"Point","coordinates":[1,2,null]}"#,
            "expected f64",
        ),
        (
            r#"{"type":"Point","coordinates":[1e999,2]}"#,
            "number out of range",
        ),
        (
            r#"{"type":"Polygon","coordinates":[[0,0],[1,1]]}"#,
            "a position",
        ),
        (r#"{"type":"Polygon","coordinates":[]}"#, "no coordinates;"),
        (
            r#"{"type":"LineString","coordinates":[]}"#,
            "no coordinates;",
        ),
        (
            r#"{"type":"GeometryCollection","geometries":[]}"#,
            "no coordinates;",
        ),
        (r#"{"type":"GeometryCollection"}"#, "no geometries member"),
        (
            r#"{"type":"GeometryCollection","geometries":{}}"#,
            "is no array",
        ),
        (
            r#"{"type":"Point","coordinates":[155000,463000]}"#,
            "longitude 155000 is outside",
        ),
        (
            r#"{"type":"Point","coordinates":[0,90.0001]}"#,
            "latitude 90.0001 is outside -90..90",
        ),
        (
            r#"{"type":"Point","coordinates":[0,0],"crs":"EPSG:28992"}"#,
            "in EPSG:28992",
        ),
    ] {
        let error = Shape::parse(text).unwrap_err().to_string();
        assert!(error.contains(reason), "{text}: {error}");
    }
}

#[test]
fn collections_are_nested_sixteen_deep_at_most() {
    let nested = |depth: usize| {
        let open = r#"{"type":"GeometryCollection","geometries":["#.repeat(depth);
        let point = r#"{"type":"Point","coordinates":[1,2]}"#;
        format!("{open}{point}{}", "]}".repeat(depth))
    };
    assert_eq!(bounds(&nested(16)), sides([1.0, 2.0, 1.0, 2.0]));
    assert!(matches!(
        Shape::parse(&nested(17)),
        Err(GeometryError::TooDeep)
    ));
    assert!(matches!(
        Shape::parse(&nested(100_000)),
        Err(GeometryError::TooDeep)
    ));
}

#[test]
fn faults_of_rings_are_found() {
    let polygon = |rings: &str| shape(&format!(r#"{{"type":"Polygon","coordinates":{rings}}}"#));
    assert_eq!(shape(SQUARE).rings(), Rings::Sound);
    assert_eq!(
        shape(r#"{"type":"LineString","coordinates":[[0,0],[1,1]]}"#).rings(),
        Rings::Sound
    );
    let hole = "[[0,0],[9,0],[9,9],[0,9],[0,0]],[[1,1],[1,2],[2,2],[1,1]]";
    assert_eq!(polygon(&format!("[{hole}]")).rings(), Rings::Sound);
    for rings in [
        "[[[0,0],[4,4],[4,0],[0,4],[0,0]]]",
        "[[[0,0],[4,0],[4,4],[0,4]]]",
        "[[[0,0],[4,0],[0,0]]]",
        "[[[0,0]]]",
        "[[]]",
        "[[[0,0],[4,0],[4,4],[0,0]],[[5,5],[6,5],[6,6],[5,5]]]",
    ] {
        let with_point = format!(
            r#"{{"type":"GeometryCollection","geometries":[{{"type":"Point","coordinates":[0,0]}},{{"type":"Polygon","coordinates":{rings}}}]}}"#
        );
        assert_eq!(shape(&with_point).rings(), Rings::Invalid, "{rings}");
        let many = format!(
            r#"{{"type":"MultiPolygon","coordinates":[{rings},[[[10,0],[14,0],[14,4],[10,0]]]]}}"#
        );
        assert_eq!(shape(&many).rings(), Rings::Invalid, "{rings}");
    }
    let circle: Vec<String> = (0..=6000)
        .map(|i| f64::from(i % 6000) / 6000.0 * std::f64::consts::TAU)
        .map(|angle| format!("[{},{}]", angle.cos(), angle.sin()))
        .collect();
    assert_eq!(
        polygon(&format!("[[{}]]", circle.join(","))).rings(),
        Rings::Unchecked
    );
}

#[test]
fn touching_is_meeting() {
    let square = shape(SQUARE);
    for (sides, meets, contains) in [
        ([-1.0, -1.0, 5.0, 5.0], true, true),
        ([0.0, 0.0, 4.0, 4.0], true, true),
        ([1.0, 1.0, 2.0, 2.0], true, false),
        ([4.0, 1.0, 5.0, 2.0], true, false),
        ([4.0, 4.0, 5.0, 5.0], true, false),
        ([4.0_f64.next_up(), 0.0, 5.0, 4.0], false, false),
        ([2.0, 2.0, 2.0, 2.0], true, false),
        ([0.0, 0.0, 4.0, 4.0_f64.next_down()], true, false),
    ] {
        let [west, south, east, north] = sides;
        let window = window(west, south, east, north);
        assert_eq!(window.meets(square.geometry()), meets, "{sides:?}");
        assert_eq!(window.contains(square.geometry()), contains, "{sides:?}");
    }
}

#[test]
fn a_box_beside_the_sides_or_in_a_hole_does_not_meet() {
    let triangle = shape(r#"{"type":"Polygon","coordinates":[[[0,0],[8,0],[0,8],[0,0]]]}"#);
    assert!(
        !window(5.0, 5.0, 7.0, 7.0).meets(triangle.geometry()),
        "within the bounds only"
    );
    assert!(
        window(4.0, 4.0, 7.0, 7.0).meets(triangle.geometry()),
        "a corner on a side"
    );
    let ring = shape(
        r#"{"type":"Polygon","coordinates":[[[0,0],[9,0],[9,9],[0,9],[0,0]],[[1,1],[1,8],[8,8],[8,1],[1,1]]]}"#,
    );
    assert!(!window(2.0, 2.0, 7.0, 7.0).meets(ring.geometry()));
    assert!(window(2.0, 2.0, 8.0, 7.0).meets(ring.geometry()));
    let line = shape(r#"{"type":"LineString","coordinates":[[0,0],[9,9]]}"#);
    assert!(
        window(4.0, 0.0, 9.0, 4.0).meets(line.geometry()),
        "a corner on a line"
    );
    assert!(!window(5.0, 0.0, 9.0, 4.0).meets(line.geometry()));
}

#[test]
fn windows_cross_the_antimeridian() {
    let at = |x: f64, y: f64| Geometry::from(Point::new(x, y));
    let crossing = window(170.0, -10.0, -170.0, 10.0);
    for (x, expected) in [
        (175.0, true),
        (-175.0, true),
        (170.0, true),
        (-170.0, true),
        (0.0, false),
        (169.9, false),
    ] {
        assert_eq!(crossing.meets(&at(x, 0.0)), expected, "{x}");
        assert_eq!(crossing.contains(&at(x, 0.0)), expected, "{x}");
    }
    assert!(
        window(170.0, 0.0, 180.0, 1.0).meets(&at(-180.0, 0.5)),
        "one meridian"
    );
    assert!(
        window(-180.0, 0.0, -170.0, 1.0).meets(&at(180.0, 0.5)),
        "one meridian"
    );
    assert!(!window(170.0, 0.0, 179.0, 1.0).meets(&at(-180.0, 0.5)));
    // As RFC 7946 section 3.1.9 cuts what crosses it.
    let cut = shape(
        r#"{"type":"MultiPolygon","coordinates":[[[[175,0],[180,0],[180,5],[175,5],[175,0]]],[[[-180,0],[-175,0],[-175,5],[-180,5],[-180,0]]]]}"#,
    );
    assert!(crossing.contains(cut.geometry()));
    assert!(!window(170.0, -10.0, 180.0, 10.0).contains(cut.geometry()));
    assert!(!crossing.contains(shape(SQUARE).geometry()));
}

#[test]
fn numbers_that_are_no_window_are_refused() {
    for [west, south, east, north] in [
        [-180.1, 0.0, 0.0, 1.0],
        [0.0, 0.0, 180.1, 1.0],
        [0.0, 1.0, 1.0, 0.0],
        [0.0, -91.0, 1.0, 0.0],
        [0.0, 0.0, f64::NAN, 1.0],
        [0.0, 0.0, 1.0, f64::INFINITY],
    ] {
        let error = Window::new(west, south, east, north).unwrap_err();
        assert!(error.to_string().contains("is no window"), "{error}");
    }
}

#[test]
fn payloads_without_a_geometry_leave_the_answer_to_the_caller() {
    let everything = window(-180.0, -90.0, 180.0, 90.0);
    let feature = format!(r#"{{"type":"Feature","geometry":{SQUARE}}}"#);
    assert_eq!(meets(feature.as_bytes(), &everything), Some(true));
    assert_eq!(
        within(feature.as_bytes(), &window(1.0, 1.0, 2.0, 2.0)),
        Some(false)
    );
    for payload in [
        &b""[..],
        b"\xff",
        b"{}",
        br#"{"geometry":null}"#,
        br#"{"geometry":{}}"#,
    ] {
        assert_eq!(meets(payload, &everything), None);
        assert_eq!(within(payload, &everything), None);
    }
}

type Corner = (i8, i8);

/// Small whole coordinates, so that touching and degenerate cases are common.
fn small(corners: &[Corner]) -> Vec<(i64, i64)> {
    corners
        .iter()
        .map(|&(x, y)| (i64::from(x % 5), i64::from(y % 5)))
        .collect()
}

fn coords(corners: &[(i64, i64)]) -> LineString<f64> {
    let exact = |n: i64| f64::from(i32::try_from(n).unwrap());
    corners.iter().map(|&(x, y)| (exact(x), exact(y))).collect()
}

fn side(a: (i64, i64), b: (i64, i64), p: (i64, i64)) -> i64 {
    ((b.0 - a.0) * (p.1 - a.1) - (b.1 - a.1) * (p.0 - a.0)).signum()
}

/// Segment against box by separating axes, in whole numbers.
fn segment_meets(a: (i64, i64), b: (i64, i64), low: (i64, i64), high: (i64, i64)) -> bool {
    let overlap = a.0.min(b.0) <= high.0
        && a.0.max(b.0) >= low.0
        && a.1.min(b.1) <= high.1
        && a.1.max(b.1) >= low.1;
    let sides = [low, (high.0, low.1), high, (low.0, high.1)].map(|corner| side(a, b, corner));
    overlap && !(sides.iter().all(|&s| s > 0) || sides.iter().all(|&s| s < 0))
}

fn winding(ring: &[(i64, i64)], p: (i64, i64)) -> i64 {
    ring.windows(2)
        .map(|edge| {
            let (a, b) = (edge[0], edge[1]);
            if a.1 <= p.1 && b.1 > p.1 && side(a, b, p) > 0 {
                1
            } else if a.1 > p.1 && b.1 <= p.1 && side(a, b, p) < 0 {
                -1
            } else {
                0
            }
        })
        .sum()
}

#[test]
fn any_ring_and_box_give_the_answer_of_whole_numbers() {
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the form that quickcheck calls"
    )]
    fn property(corners: Vec<Corner>, one: Corner, other: Corner) -> bool {
        let mut ring = small(&corners);
        let [one, other] = [small(&[one])[0], small(&[other])[0]];
        let (low, high) = (
            (one.0.min(other.0), one.1.min(other.1)),
            (one.0.max(other.0), one.1.max(other.1)),
        );
        let [min, max] = [coords(&[low])[0], coords(&[high])[0]];
        let window = window(min.x, min.y, max.x, max.y);
        let in_box =
            |p: &(i64, i64)| (low.0..=high.0).contains(&p.0) && (low.1..=high.1).contains(&p.1);

        let line = Geometry::from(coords(&ring));
        let line_meets = |ring: &[(i64, i64)]| {
            ring.iter().any(in_box)
                || ring
                    .windows(2)
                    .any(|e| segment_meets(e[0], e[1], low, high))
        };
        let line_expected = line_meets(&ring);
        let polygon = Geometry::from(Polygon::new(coords(&ring), vec![]));
        if let Some(&first) = ring.first() {
            ring.push(first);
        }
        let polygon_expected = line_meets(&ring) || winding(&ring, low) != 0;
        window.meets(&line) == line_expected
            && window.meets(&polygon) == polygon_expected
            && window.contains(&polygon) == ring.iter().all(in_box)
    }
    QuickCheck::new()
        .tests(20_000)
        .quickcheck(property as fn(Vec<Corner>, Corner, Corner) -> bool);
}

#[test]
fn any_polygon_with_holes_is_judged_without_panic() {
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the form that quickcheck calls"
    )]
    fn property(rings: Vec<Vec<Corner>>, one: Corner, other: Corner) -> bool {
        let json: Vec<String> = rings
            .iter()
            .map(|ring| {
                let mut ring = small(ring);
                ring.extend(ring.first().copied());
                let ring: Vec<String> = ring.iter().map(|(x, y)| format!("[{x},{y}]")).collect();
                format!("[{}]", ring.join(","))
            })
            .collect();
        let text = format!(r#"{{"type":"Polygon","coordinates":[{}]}}"#, json.join(","));
        let Ok(shape) = Shape::parse(&text) else {
            return rings.iter().all(Vec::is_empty);
        };
        let vertex = shape.geometry().coords_iter().next();
        let at_vertex = vertex.is_none_or(|v| window(v.x, v.y, v.x, v.y).meets(shape.geometry()));
        let corners = coords(&small(&[one, other]));
        let box_window = window(
            corners[0].x.min(corners[1].x),
            corners[0].y.min(corners[1].y),
            corners[0].x.max(corners[1].x),
            corners[0].y.max(corners[1].y),
        );
        let meets = box_window.meets(shape.geometry());
        std::hint::black_box(shape.rings());
        at_vertex && (meets || !box_window.contains(shape.geometry()))
    }
    QuickCheck::new()
        .tests(5_000)
        .quickcheck(property as fn(Vec<Vec<Corner>>, Corner, Corner) -> bool);
}

#[test]
fn any_text_is_read_without_panic() {
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the form that quickcheck calls"
    )]
    fn property(bytes: Vec<u8>, at: usize) -> bool {
        let mut text = SQUARE.as_bytes().to_vec();
        let at = at % text.len();
        text.splice(at..at, bytes.iter().copied());
        if let Ok(text) = str::from_utf8(&text) {
            drop(Shape::parse(text));
        }
        meets(&bytes, &window(0.0, 0.0, 1.0, 1.0)).is_none()
    }
    QuickCheck::new()
        .tests(2_000)
        .quickcheck(property as fn(Vec<u8>, usize) -> bool);
}
