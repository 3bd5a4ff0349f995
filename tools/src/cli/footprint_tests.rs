use blocknet_query::Polygon;

use super::*;
use crate::input::polygons;

/// A square of 10 with a hole of 2 in its middle, beside a smaller one that touches it.
const AREA: &str = r#"{"type":"MultiPolygon","coordinates":[
    [[[0,0],[10,0],[10,10],[0,10],[0,0]],[[4,4],[6,4],[6,6],[4,6],[4,4]]],
    [[[10,0],[12,0],[12,2],[10,2],[10,0]]]]}"#;

fn region(text: &str) -> Region {
    let parts = polygons(text).unwrap();
    let polygon = Polygon::new(parts.clone()).unwrap();
    Region::new(&parts, Arc::new(polygon))
}

/// What a geometry is to the polygons: apart, met, or held.
fn relation(region: &Region, geometry: &str) -> &'static str {
    let payload = format!(r#"{{"type":"Feature","properties":null,"geometry":{geometry}}}"#);
    let payload = payload.as_bytes();
    match (
        region.meets_payload(payload).unwrap(),
        region.within_payload(payload).unwrap(),
    ) {
        (false, false) => "apart",
        (true, false) => "meets",
        (true, true) => "within",
        (false, true) => panic!("{geometry} is within what it does not meet"),
    }
}

fn ring(text: &str) -> String {
    format!(r#"{{"type":"Polygon","coordinates":[{text}]}}"#)
}

fn line(text: &str) -> String {
    format!(r#"{{"type":"LineString","coordinates":{text}}}"#)
}

#[test]
fn polygons_are_held_met_or_apart() {
    let area = region(AREA);
    for (found, shape) in [
        ("within", "[[1,1],[2,1],[2,2],[1,1]]"),
        // Along the border from inside, and the area itself without its hole.
        ("within", "[[0,0],[3,0],[3,3],[0,3],[0,0]]"),
        ("within", "[[0,0],[4,0],[4,10],[0,10],[0,0]]"),
        ("within", "[[4,4],[4,2],[6,2],[6,4],[4,4]]"),
        (
            "within",
            "[[0,0],[10,0],[10,10],[0,10],[0,0]],[[4,4],[6,4],[6,6],[4,6],[4,4]]",
        ),
        (
            "within",
            "[[2,2],[8,2],[8,8],[2,8],[2,2]],[[3,3],[7,3],[7,7],[3,7],[3,3]]",
        ),
        // Over the hole: all of its corners are in the area.
        ("meets", "[[2,2],[8,2],[8,8],[2,8],[2,2]]"),
        ("meets", "[[4,2],[6,2],[6,8],[4,8],[4,2]]"),
        ("meets", "[[4,4],[6,4],[6,6],[4,6],[4,4]]"),
        ("meets", "[[5,3],[7,5],[5,7],[3,5],[5,3]]"),
        // Across the border, around the whole, touching from outside.
        ("meets", "[[9,9],[11,9],[11,11],[9,9]]"),
        ("meets", "[[-1,-1],[13,-1],[13,11],[-1,11],[-1,-1]]"),
        ("meets", "[[10,5],[11,5],[11,6],[10,6],[10,5]]"),
        ("meets", "[[-1,-1],[0,0],[-1,1],[-1,-1]]"),
        // In the bay between both parts its corners touch both.
        ("meets", "[[10,10],[10,2],[12,2],[10,10]]"),
        // Of both parts together.
        ("meets", "[[9,0.5],[11,0.5],[11,1],[9,1],[9,0.5]]"),
        ("apart", "[[4.5,4.5],[5.5,4.5],[5.5,5.5],[4.5,4.5]]"),
        ("apart", "[[10.5,3],[11,3],[11,4],[10.5,3]]"),
    ] {
        assert_eq!(relation(&area, &ring(shape)), found, "{shape}");
    }
}

#[test]
fn lines_and_points_are_held_met_or_apart() {
    let area = region(AREA);
    for (found, shape) in [
        ("within", "[[1,1],[9,1]]"),
        ("within", "[[0,0],[10,0],[10,10]]"),
        ("within", "[[4,4],[6,4]]"),
        ("within", "[[2,2],[4,4]]"),
        ("meets", "[[4,4],[6,6]]"),
        ("meets", "[[2,2],[8,8]]"),
        ("meets", "[[1,1],[1,11]]"),
        // From corner to corner through the open.
        ("meets", "[[10,10],[12,2]]"),
        ("meets", "[[10,10],[10,11]]"),
        ("apart", "[[4.5,4.5],[5.5,5.5]]"),
    ] {
        assert_eq!(relation(&area, &line(shape)), found, "{shape}");
    }
    for (found, place) in [
        ("within", "[1,1]"),
        ("within", "[4,5]"),
        ("within", "[10,10]"),
        ("apart", "[5,5]"),
        ("apart", "[11,3]"),
    ] {
        let point = format!(r#"{{"type":"Point","coordinates":{place}}}"#);
        assert_eq!(relation(&area, &point), found, "{place}");
    }
    let many = r#"{"type":"MultiPoint","coordinates":[[1,1],[5,5]]}"#;
    assert_eq!(relation(&area, many), "meets");
    let mixed = r#"{"type":"GeometryCollection","geometries":[
        {"type":"Point","coordinates":[1,1]},{"type":"LineString","coordinates":[[1,1],[2,2]]}]}"#;
    assert_eq!(relation(&area, mixed), "within");
}

#[test]
fn broken_rings_have_an_answer() {
    let area = region(AREA);
    for shape in [
        // A bow, a spike, a line there and back, all one point, open, empty in parts.
        "[[1,1],[2,2],[2,1],[1,2],[1,1]]",
        "[[1,1],[9,1],[1,1],[1,2],[1,1]]",
        "[[1,1],[2,2],[1,1]]",
        "[[1,1],[1,1],[1,1],[1,1]]",
        "[[1,1],[2,1]]",
        "[[1,1],[2,1],[2,2],[1,1]],[]",
        "[],[[1,1],[2,1],[2,2],[1,1]]",
    ] {
        assert_eq!(relation(&area, &ring(shape)), "within", "{shape}");
    }
    let bow = region(&ring("[[0,0],[2,2],[2,0],[0,2],[0,0]]"));
    assert_eq!(
        relation(&bow, &ring("[[0.1,0.5],[0.4,0.5],[0.4,1],[0.1,0.5]]")),
        "within"
    );
    // Its sides cross in the middle, and what passes through there is cut.
    assert_eq!(relation(&bow, &line("[[0.5,1],[1.5,1]]")), "meets");
}

#[test]
fn what_cannot_be_read_has_none() {
    let area = region(AREA);
    for payload in [
        &b""[..],
        b"[]",
        b"\xff",
        br#"{"geometry":null}"#,
        br#"{"geometry":{"type":"Point","coordinates":[999,1]}}"#,
    ] {
        assert_eq!(area.meets_payload(payload), None);
        assert_eq!(area.within_payload(payload), None);
    }
}

type Place = (f64, f64);

/// Whether a line parts two convex shapes; with `touching`, shapes that touch are parted as well.
/// Exact on small halves: a side of one of them is such a line if any is.
fn parted(a: &[Place], b: &[Place], touching: bool) -> bool {
    let by_side_of = |shape: &[Place], other: &[Place]| {
        let mut sides = shape.iter().zip(shape.iter().cycle().skip(1));
        sides.any(|(from, to)| {
            let left =
                |p: &Place| (to.0 - from.0) * (p.1 - from.1) - (to.1 - from.1) * (p.0 - from.0);
            let own: f64 = shape.iter().map(left).sum();
            other.iter().all(|place| {
                let turned = left(place) * own.signum();
                if touching {
                    turned <= 0.0
                } else {
                    turned < 0.0
                }
            })
        })
    };
    by_side_of(a, b) || by_side_of(b, a)
}

fn square(west: f64, south: f64, size: f64) -> [Place; 4] {
    let (east, north) = (west + size, south + size);
    [(west, south), (east, south), (east, north), (west, north)]
}

#[test]
fn random_triangles_are_judged_as_convex_shapes_are() {
    // On a grid of halves, so that corners, edges and overlaps coincide all the time.
    let area = region(AREA);
    let mut state = 1_u64;
    let mut below = |bound: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        u32::try_from((state >> 33) % bound).unwrap()
    };
    let (large, small, hole) = (
        square(0.0, 0.0, 10.0),
        square(10.0, 0.0, 2.0),
        square(4.0, 4.0, 2.0),
    );
    let mut counts = std::collections::BTreeMap::new();
    for round in 0..20_000 {
        // Everywhere, and about the hole.
        let (from, size) = if round % 2 == 0 { (-1.0, 28) } else { (3.0, 9) };
        let mut place = || {
            (
                from + f64::from(below(size)) / 2.0,
                from + f64::from(below(size)) / 2.0,
            )
        };
        let triangle = [place(), place(), place()];
        let [a, b, c] = triangle;
        let turn = (b.0 - a.0) * (c.1 - a.1) - (c.0 - a.0) * (b.1 - a.1);
        if turn.abs() < 0.1 {
            continue;
        }
        let all_in = |west: f64, size: f64| {
            triangle
                .iter()
                .all(|&(x, y)| (west..=west + size).contains(&x) && (0.0..=size).contains(&y))
        };
        let held = all_in(0.0, 10.0) && parted(&triangle, &hole, true) || all_in(10.0, 2.0);
        let in_hole = triangle
            .iter()
            .all(|&(x, y)| x > 4.0 && x < 6.0 && y > 4.0 && y < 6.0);
        let apart =
            in_hole || (parted(&triangle, &large, false) && parted(&triangle, &small, false));
        let expected = match (held, apart) {
            (true, _) => "within",
            (_, true) => "apart",
            _ => "meets",
        };
        let text = |place: Place| format!("[{},{}]", place.0, place.1);
        let shape = [a, b, c, a].map(text).join(",");
        assert_eq!(
            relation(&area, &ring(&format!("[{shape}]"))),
            expected,
            "{shape}"
        );
        *counts.entry(expected).or_insert(0) += 1;
    }
    assert!(
        counts.len() == 3 && counts.values().all(|n| *n > 50),
        "{counts:?}"
    );
}
