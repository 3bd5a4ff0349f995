use quickcheck::{Arbitrary, Gen, QuickCheck};

use super::*;

const SQUARE: &str = r#"{"type":"Polygon","coordinates":[[[0,0],[4,0],[4,4],[0,4],[0,0]],[[1,1],[1,2],[2,2],[1,1]]]}"#;
const TWO: &str = r#"{"type":"MultiPolygon","coordinates":[[[[5,5,9],[6,5,9],[6,6,9],[5,5,9]]],[],[[[7,7],[8,7],[8,8],[7,7]]]]}"#;
const LINE: &str = r#"{"type":"LineString","coordinates":[[0,0,1],[4.5,-1e0,2]]}"#;
const POINT: &str = r#"{"type":"Point","coordinates":[1,2]}"#;

fn feature_of(geometry: &str) -> String {
    format!(r#"{{"type":"Feature","properties":null,"geometry":{geometry}}}"#)
}

fn collection_of(features: &[&str]) -> String {
    format!(
        r#"{{"type":"FeatureCollection","features":[{}]}}"#,
        features.join(",")
    )
}

fn geometries_of(geometries: &[&str]) -> String {
    format!(
        r#"{{"type":"GeometryCollection","geometries":[{}]}}"#,
        geometries.join(",")
    )
}

fn polygons_of(text: &str) -> Vec<Vec<Vec<(f64, f64)>>> {
    polygons(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn lines_of(text: &str) -> Vec<Vec<(f64, f64)>> {
    lines(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn an_area_is_read_from_every_kind_of_document() {
    let square = vec![
        vec![(0.0, 0.0), (4.0, 0.0), (4.0, 4.0), (0.0, 4.0), (0.0, 0.0)],
        vec![(1.0, 1.0), (1.0, 2.0), (2.0, 2.0), (1.0, 1.0)],
    ];
    let two = [
        vec![vec![(5.0, 5.0), (6.0, 5.0), (6.0, 6.0), (5.0, 5.0)]],
        vec![vec![(7.0, 7.0), (8.0, 7.0), (8.0, 8.0), (7.0, 7.0)]],
    ];
    let all = [vec![square.clone()], two.to_vec()].concat();
    assert_eq!(polygons_of(SQUARE), [square]);
    assert_eq!(polygons_of(&feature_of(TWO)), two, "without the empty part");
    let both = geometries_of(&[SQUARE, &geometries_of(&[TWO])]);
    let features = [feature_of(SQUARE), feature_of("null"), feature_of(TWO)];
    let features = features.each_ref().map(String::as_str);
    for text in [
        both.clone(),
        feature_of(&both),
        collection_of(&[&feature_of(&both)]),
        collection_of(&features),
        format!("\u{feff} {} \r\n", collection_of(&features)),
        collection_of(&[r#"{"type":"Feature"}"#, &feature_of(&both)]),
    ] {
        assert_eq!(polygons_of(&text), all, "{text}");
    }
}

#[test]
fn lines_are_read_from_every_kind_of_document() {
    let line = vec![(0.0, 0.0), (4.5, -1.0)];
    let many = r#"{"type":"MultiLineString","coordinates":[[[1,1],[2,2]],[],[[3,3],[4,4],[3,3]]]}"#;
    let many_lines = [
        vec![(1.0, 1.0), (2.0, 2.0)],
        vec![(3.0, 3.0), (4.0, 4.0), (3.0, 3.0)],
    ];
    assert_eq!(lines_of(LINE), std::slice::from_ref(&line));
    assert_eq!(lines_of(many), many_lines, "without the empty part");
    let all = [vec![line], many_lines.to_vec()].concat();
    for text in [
        geometries_of(&[LINE, many]),
        feature_of(&geometries_of(&[LINE, many])),
        collection_of(&[&feature_of(LINE), &feature_of("null"), &feature_of(many)]),
    ] {
        assert_eq!(lines_of(&text), all, "{text}");
    }
}

#[test]
fn other_geometries_are_named_with_what_is_expected() {
    for (text, name) in [
        (POINT, "Point"),
        (
            r#"{"type":"MultiPoint","coordinates":[[1,2]]}"#,
            "MultiPoint",
        ),
        (LINE, "LineString"),
        (
            r#"{"type":"MultiLineString","coordinates":[[[1,2],[3,4]]]}"#,
            "MultiLineString",
        ),
        (&geometries_of(&[SQUARE, LINE]), "LineString"),
        (&feature_of(POINT), "Point"),
    ] {
        let error = polygons(text).unwrap_err().to_string();
        let expected = format!("a {name} is no area: give a Polygon or MultiPolygon");
        assert!(error.starts_with(&expected), "{error}");
    }
    for (text, name) in [
        (POINT, "Point"),
        (SQUARE, "Polygon"),
        (TWO, "MultiPolygon"),
        (&geometries_of(&[LINE, SQUARE]), "Polygon"),
    ] {
        let error = lines(text).unwrap_err().to_string();
        let expected = format!("a {name} is no line: give a LineString or MultiLineString");
        assert!(error.starts_with(&expected), "{error}");
    }
    let text = collection_of(&[&feature_of(SQUARE), &feature_of(POINT)]);
    let error = polygons(&text).unwrap_err();
    assert!(matches!(&error, AreaError::Feature { number: 2, .. }));
    assert!(
        error
            .to_string()
            .starts_with("Feature 2: a Point is no area")
    );
}

#[test]
fn an_area_has_at_least_one_polygon_and_a_line_two_ends() {
    for text in [
        feature_of("null"),
        collection_of(&[]),
        collection_of(&[&feature_of("null"), &feature_of("null")]),
    ] {
        assert!(matches!(polygons(&text), Err(AreaError::Nothing)), "{text}");
        assert!(matches!(lines(&text), Err(AreaError::Nothing)), "{text}");
    }
    for empty in [
        r#"{"type":"Polygon","coordinates":[]}"#,
        r#"{"type":"Polygon","coordinates":[[]]}"#,
        r#"{"type":"MultiPolygon","coordinates":[]}"#,
        r#"{"type":"GeometryCollection","geometries":[]}"#,
    ] {
        let error = polygons(empty).unwrap_err();
        assert!(
            matches!(error, AreaError::Geometry(GeometryError::Empty)),
            "{error}"
        );
    }
    for (ring, len) in [
        ("[[1,1]]", 1),
        ("[[1,1],[2,2],[1,1]]", 3),
        ("[[1,1],[2,2]]", 3),
    ] {
        for text in [
            format!(r#"{{"type":"Polygon","coordinates":[{ring}]}}"#),
            SQUARE.replace("[[1,1],[1,2],[2,2],[1,1]]", ring),
        ] {
            let error = polygons(&text).unwrap_err();
            assert!(
                matches!(error, AreaError::ShortRing(found) if found == len),
                "{text}: {error}"
            );
        }
    }
    let hole_only = r#"{"type":"Polygon","coordinates":[[],[[1,1],[1,2],[2,2],[1,1]]]}"#;
    assert!(matches!(polygons(hole_only), Err(AreaError::ShortRing(0))));
    let short = r#"{"type":"LineString","coordinates":[[1,1]]}"#;
    assert!(matches!(lines(short), Err(AreaError::ShortLine)));
    assert_eq!(
        polygons_of(r#"{"type":"Polygon","coordinates":[[[0,0],[4,0],[4,4]]]}"#)[0][0].len(),
        4,
        "an open ring is closed"
    );
}

#[test]
fn other_documents_are_refused() {
    let nested = collection_of(&[&collection_of(&[&feature_of(SQUARE)])]);
    let error = polygons(&nested).unwrap_err().to_string();
    assert!(
        error.contains("Feature 1") && error.contains("its type is FeatureCollection"),
        "{error}"
    );
    for text in [
        collection_of(&[SQUARE]),
        collection_of(&["{}"]),
        collection_of(&[r#"{"type":1}"#]),
    ] {
        assert!(
            polygons(&text)
                .unwrap_err()
                .to_string()
                .contains("its type is")
        );
    }
    for text in [
        "",
        "[]",
        "7",
        "{",
        &format!("{SQUARE}{SQUARE}"),
        r#"{"type":"FeatureCollection"}"#,
        r#"{"type":"FeatureCollection","features":{}}"#,
    ] {
        let error = polygons(text).unwrap_err();
        assert!(matches!(error, AreaError::NotGeoJson(_)), "{text}: {error}");
    }
    for text in [
        "{}",
        r#"{"type":null}"#,
        r#"{"type":"Topology"}"#,
        r#"{"type":["Polygon"]}"#,
        r#"{"type":"polygon","coordinates":[]}"#,
    ] {
        let error = polygons(text).unwrap_err();
        assert!(matches!(error, AreaError::Type(_)), "{text}: {error}");
    }
    for text in [
        r#"{"type":"Polygon"}"#,
        r#"{"type":"Polygon","coordinates":[[[0,0],[4],[4,4],[0,0]]]}"#,
        r#"{"type":"Polygon","coordinates":[[[0,0],[4,0],[4,91],[0,0]]]}"#,
        r#"{"type":"Polygon","coordinates":[[[0,0],[4,0],[1e400,4],[0,0]]]}"#,
        &feature_of("7"),
        &feature_of("{}"),
        &feature_of(&feature_of(SQUARE)),
    ] {
        let error = polygons(text).unwrap_err();
        assert!(matches!(error, AreaError::Geometry(_)), "{text}: {error}");
    }
}

#[test]
fn foreign_reference_systems_are_refused_wherever_they_stand() {
    let with = |text: &str, name: &str| {
        let crs = format!(r#"{{"crs":{{"type":"name","properties":{{"name":"{name}"}}}},"#);
        text.replacen('{', &crs, 1)
    };
    let place = |name: &str| {
        [
            with(SQUARE, name),
            feature_of(&with(SQUARE, name)),
            with(&feature_of(SQUARE), name),
            collection_of(&[&with(&feature_of(SQUARE), name)]),
            with(&collection_of(&[&feature_of(SQUARE)]), name),
        ]
    };
    for text in place("EPSG:28992") {
        let error = polygons(&text).unwrap_err().to_string();
        assert!(error.contains("EPSG:28992"), "{error}");
        assert!(error.contains("WGS 84"), "{error}");
    }
    for text in place("urn:ogc:def:crs:OGC:1.3:CRS84") {
        polygons_of(&text);
    }
}

#[test]
fn deep_nesting_does_not_overflow_the_stack() {
    let depth = 100_000;
    for (open, inner, close) in [
        (
            r#"{"type":"GeometryCollection","geometries":["#,
            SQUARE,
            "]}",
        ),
        (r#"{"type":"FeatureCollection","features":["#, SQUARE, "]}"),
        (r#"{"type":"Feature","geometry":"#, SQUARE, "}"),
        (r#"{"type":"Polygon","coordinates":"#, "[]", "}"),
        ("[", "", "]"),
    ] {
        let text = format!("{}{inner}{}", open.repeat(depth), close.repeat(depth));
        assert!(polygons(&text).is_err());
        assert!(lines(&text).is_err());
    }
}

/// A text that is nearly a document.
#[derive(Clone, Debug)]
struct Nearly(String);

impl Arbitrary for Nearly {
    fn arbitrary(g: &mut Gen) -> Self {
        let features = collection_of(&[&feature_of(TWO), &feature_of(&geometries_of(&[LINE]))]);
        let mut text = g
            .choose(&[SQUARE, TWO, LINE, POINT, features.as_str()])
            .copied()
            .unwrap_or_default()
            .to_owned();
        for _ in 0..u8::arbitrary(g) % 4 {
            let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
            let Some(&at) = g.choose(&places) else { break };
            let part = g.choose(&[
                "[", "]", "{", "}", ",", "null", "1e999", "\"", "-", "[]", "{}",
            ]);
            if bool::arbitrary(g) {
                text.insert_str(at, part.copied().unwrap_or_default());
            } else {
                text.remove(at);
            }
        }
        Self(text)
    }
}

#[test]
fn any_text_is_read_without_panic_and_what_is_returned_has_its_form() {
    fn unsound(text: &str) -> bool {
        polygons(text).is_ok_and(|polygons| {
            polygons.is_empty()
                || polygons.iter().any(Vec::is_empty)
                || polygons
                    .iter()
                    .flatten()
                    .any(|ring| ring.len() < 4 || ring.first() != ring.last())
        }) || lines(text)
            .is_ok_and(|lines| lines.is_empty() || lines.iter().any(|line| line.len() < 2))
    }
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the form that quickcheck calls"
    )]
    fn property(nearly: Nearly, text: String) -> bool {
        !unsound(&nearly.0) && !unsound(&text) && !unsound(&feature_of(&text))
    }
    QuickCheck::new()
        .tests(2000)
        .quickcheck(property as fn(Nearly, String) -> bool);
}
