use quickcheck::QuickCheck;

use super::*;

const POINT: &str = r#"{"type":"Point","coordinates":[1,2]}"#;

fn feature(properties: &str, geometry: &str) -> String {
    format!(r#"{{"type":"Feature","id":"f","properties":{properties},"geometry":{geometry}}}"#)
}

fn id(rule: &str, properties: &str) -> Result<String, String> {
    let rules = Rules::default().with_id(rule).unwrap();
    let json = feature(properties, "null");
    let id = Feature::parse(&json, &rules).map(|feature| feature.id().to_owned());
    assert_eq!(rules.id_of(&json), id.as_ref().ok().cloned());
    id.map_err(|error| error.to_string())
}

#[test]
fn ids_from_properties_keep_their_text() {
    for (rule, properties, expected) in [
        ("a", r#"{"a":"0221100000318604"}"#, "0221100000318604"),
        ("a", r#"{"a":114805315}"#, "114805315"),
        ("a", r#"{"a":1.0}"#, "1.0"),
        (
            "a",
            r#"{"a":123456789012345678901234567890}"#,
            "123456789012345678901234567890",
        ),
        ("a", r#"{"a":true}"#, "true"),
        ("a+b+c", r#"{"c":1002010,"b":"x","a":859}"#, "859/x/1002010"),
        ("a.b", r#"{"a.b":"y"}"#, "y"),
        ("a", r#"{"a":"x","a":"y"}"#, "y"),
    ] {
        assert_eq!(
            id(rule, properties).as_deref(),
            Ok(expected),
            "{rule} of {properties}"
        );
    }
}

#[test]
fn a_property_without_text_is_named() {
    for properties in [
        r#"{"a":"x"}"#,
        r#"{"a":"x","b":null}"#,
        r#"{"a":"x","b":{}}"#,
        r#"{"a":"x","b":""}"#,
    ] {
        let error = id("a+b", properties).unwrap_err();
        assert!(error.contains("property b,"), "{error}");
    }
    assert!(id("a", "null").unwrap_err().contains("property a,"));
    for rule in ["", "a+", "+a", "a++b"] {
        assert!(Rules::default().with_id(rule).is_err(), "{rule}");
    }
}

#[test]
fn without_a_rule_the_features_own_id_is_taken() {
    let own = |member: &str| {
        let json = format!(r#"{{"type":"Feature",{member}"properties":{{}},"geometry":null}}"#);
        Feature::parse(&json, &Rules::default())
            .map(|feature| feature.id().to_owned())
            .map_err(|error| error.to_string())
    };
    assert_eq!(
        own(r#""id":"way/114805315","#).as_deref(),
        Ok("way/114805315")
    );
    assert_eq!(own(r#""id":1.50,"#).as_deref(), Ok("1.50"));
    assert!(own("").unwrap_err().contains("--id"));
    assert!(own(r#""id":null,"#).unwrap_err().contains("--id"));
    assert!(own(r#""id":"","#).unwrap_err().contains("empty"));
    assert!(own(r#""id":[1],"#).unwrap_err().contains("scalar"));
}

#[test]
fn a_null_geometry_has_no_extent() {
    let json = feature("null", "null");
    let feature = Feature::parse(&json, &Rules::default()).unwrap();
    assert!(feature.shape().is_none() && feature.extent().is_none());
    assert_eq!(feature.rings(), Rings::Sound);
}

#[test]
fn what_is_no_feature_is_refused() {
    for (json, reason) in [
        ("[]", "not a JSON object"),
        ("{", "not a JSON object"),
        ("{}", "type is missing"),
        (r#"{"type":"Polygon"}"#, "type is Polygon"),
        (r#"{"type":["Feature"]}"#, r#"type is ["Feature"]"#),
        (
            r#"{"type":"Feature","id":1,"properties":[],"geometry":null}"#,
            "neither an object nor",
        ),
        (r#"{"type":"Feature","id":1}"#, "no geometry member"),
        (
            r#"{"type":"Feature","id":1,"geometry":[]}"#,
            "the geometry is no GeoJSON object",
        ),
        (
            r#"{"type":"Feature","id":1,"crs":"EPSG:7415","geometry":null}"#,
            "in EPSG:7415",
        ),
    ] {
        let error = Feature::parse(json, &Rules::default())
            .unwrap_err()
            .to_string();
        assert!(error.contains(reason), "{json}: {error}");
    }
}

/// Floor, top, and whether something was unreadable.
fn measured(rules: &Rules, properties: &str, geometry: &str) -> (Option<f64>, Option<f64>, bool) {
    let json = feature(properties, geometry);
    let feature = Feature::parse(&json, rules).unwrap();
    let extent = feature.extent().unwrap();
    (extent.floor, extent.top, feature.has_unreadable_height())
}

#[test]
fn floor_and_height_come_from_properties() {
    let above = Rules::default()
        .with_floor("f")
        .with_height("h", HeightIs::AboveFloor);
    let top = Rules::default()
        .with_floor("f")
        .with_height("h", HeightIs::AbsoluteTop);
    for (rules, properties, expected) in [
        (
            &above,
            r#"{"f":-1.5,"h":10}"#,
            (Some(-1.5), Some(8.5), false),
        ),
        (
            &above,
            r#"{"f":"2","h":"12.5 m"}"#,
            (Some(2.0), Some(14.5), false),
        ),
        (
            &above,
            r#"{"f":0,"h":"12.5m"}"#,
            (Some(0.0), Some(12.5), false),
        ),
        (&above, r#"{"f":0,"h":0}"#, (Some(0.0), Some(0.0), false)),
        (&above, r#"{"h":10}"#, (None, None, false)),
        (&above, r#"{"f":1}"#, (Some(1.0), None, false)),
        (&above, r#"{"f":null,"h":null}"#, (None, None, false)),
        (&above, r#"{"f":1,"h":"12 ft"}"#, (Some(1.0), None, true)),
        (&above, r#"{"f":1,"h":"high"}"#, (Some(1.0), None, true)),
        (&above, r#"{"f":1,"h":true}"#, (Some(1.0), None, true)),
        (&above, r#"{"f":1,"h":[3]}"#, (Some(1.0), None, true)),
        (&above, r#"{"f":1,"h":1e999}"#, (Some(1.0), None, true)),
        (&above, r#"{"f":"nan","h":3}"#, (None, None, true)),
        (&above, r#"{"f":1,"h":-3}"#, (Some(1.0), None, true)),
        (
            &above,
            r#"{"f":1e308,"h":1.7e308}"#,
            (Some(1e308), None, true),
        ),
        (&top, r#"{"f":2,"h":10}"#, (Some(2.0), Some(10.0), false)),
        (&top, r#"{"h":10}"#, (None, Some(10.0), false)),
        (&top, r#"{"f":20,"h":10}"#, (Some(20.0), None, true)),
    ] {
        assert_eq!(measured(rules, properties, POINT), expected, "{properties}");
    }
}

#[test]
fn altitudes_of_coordinates_fill_in() {
    let none = Rules::default();
    let rules = Rules::default()
        .with_floor("f")
        .with_height("h", HeightIs::AboveFloor);
    let flat = r#"{"type":"LineString","coordinates":[[0,0,5],[1,1,5]]}"#;
    let slope = r#"{"type":"LineString","coordinates":[[0,0,5],[1,1,7]]}"#;
    assert_eq!(measured(&none, "{}", POINT), (None, None, false));
    assert_eq!(measured(&none, "{}", flat), (Some(5.0), None, false));
    assert_eq!(measured(&none, "{}", slope), (Some(5.0), Some(7.0), false));
    assert_eq!(
        measured(&rules, r#"{"h":10}"#, flat),
        (Some(5.0), Some(15.0), false)
    );
    assert_eq!(
        measured(&rules, r#"{"f":1,"h":10}"#, slope),
        (Some(1.0), Some(11.0), false)
    );
    assert_eq!(
        measured(&rules, r#"{"f":1}"#, slope),
        (Some(1.0), Some(7.0), false)
    );
    assert_eq!(
        measured(&rules, r#"{"f":9}"#, slope),
        (Some(9.0), None, true)
    );
}

#[test]
fn sums_are_the_smallest_double_not_below_the_sum() {
    /// Whole numbers of up to 55 bits, of which a double holds 53.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the doubles are whole and small"
    )]
    fn property(high: i32, low: i32) -> bool {
        let (a, b) = (f64::from(high) * 16_777_216.0, f64::from(low));
        let exact = i128::from(high) * 16_777_216 + i128::from(low);
        let sum = add_up(a, b);
        let below = sum.next_down();
        sum as i128 >= exact && (below < 0.0 || below.fract() > 0.0 || (below as i128) < exact)
    }
    assert_eq!(add_up(1.0, 2.0).to_bits(), 3.0_f64.to_bits());
    // 2^53 + 1 is not a double and would be rounded down to 2^53.
    let big = 9_007_199_254_740_992.0_f64;
    assert_eq!(add_up(big, 1.0).to_bits(), big.next_up().to_bits());
    assert_eq!(add_up(1.0, big).to_bits(), big.next_up().to_bits());
    // The double nearest to 0.1 + 0.2 is already above the sum of the two doubles.
    assert_eq!(add_up(0.1, 0.2).to_bits(), (0.1_f64 + 0.2).to_bits());
    QuickCheck::new()
        .tests(5_000)
        .quickcheck(property as fn(i32, i32) -> bool);
}

#[test]
fn properties_are_given_as_text() {
    let json = feature(
        r#"{"a":1.0,"b":null,"c":{"d":"e"},"t":"T\u00f3rshavn","tags":{"addr:city":"x"}}"#,
        "null",
    );
    let feature = Feature::parse(&json, &Rules::default()).unwrap();
    for (name, text) in [
        ("a", Some("1.0")),
        ("b", None),
        ("c", None),
        ("c.d", Some("e")),
        ("t", Some("T\u{f3}rshavn")),
        ("tags.addr:city", Some("x")),
        ("z", None),
    ] {
        assert_eq!(feature.property(name).as_deref(), text, "{name}");
    }
    assert!(feature.properties().get("b").is_some());
}

#[test]
fn any_text_is_read_without_panic() {
    fn property(bytes: Vec<u8>, at: usize) -> bool {
        let mut json = feature(r#"{"a":1,"f":2,"h":"3"}"#, POINT).into_bytes();
        let at = at % json.len();
        json.splice(at..at, bytes);
        let rules = Rules::default()
            .with_id("a")
            .unwrap()
            .with_floor("f")
            .with_height("h", HeightIs::AboveFloor);
        if let Ok(json) = str::from_utf8(&json) {
            drop(Feature::parse(json, &rules));
        }
        true
    }
    QuickCheck::new()
        .tests(2_000)
        .quickcheck(property as fn(Vec<u8>, usize) -> bool);
}
