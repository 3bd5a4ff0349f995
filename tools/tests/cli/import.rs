//! `import`, flag by flag.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::support::{Scene, feature, keys};

fn summary(scene: &Scene, line: &str) -> Value {
    scene.ok(&format!("import net {line} --json")).object()
}

fn numbers(summary: &Value, names: [&str; 4]) -> [u64; 4] {
    names.map(|name| summary[name].as_u64().unwrap())
}

const COUNTS: [&str; 4] = ["features", "versions", "removals", "unchanged"];

#[test]
fn the_summary_has_exactly_the_members_it_promises() {
    let scene = Scene::new();
    scene.file("a", feature("a", 1.0, 1.0, "{}"));
    let done = summary(&scene, "a");
    assert_eq!(
        keys(&done),
        [
            "blocks",
            "bytes_payload",
            "commits",
            "cost",
            "entities",
            "features",
            "invalid_geometries",
            "removals",
            "seconds",
            "skipped",
            "unchanged",
            "versions"
        ]
    );
    assert_eq!(
        keys(&done["cost"]),
        ["journal_bytes", "kv_bytes", "kv_writes"]
    );
    assert_eq!(numbers(&done, COUNTS), [1, 1, 0, 0]);
    // Two commits: one that gives the net the block, one with the Feature.
    assert_eq!(
        numbers(&done, ["entities", "blocks", "commits", "skipped"]),
        [1, 1, 2, 0]
    );
    let again = summary(&scene, "a");
    assert_eq!(numbers(&again, COUNTS), [1, 0, 0, 1]);
    assert_eq!(
        again["cost"],
        json!({"kv_writes":0,"kv_bytes":0,"journal_bytes":0})
    );
    scene.file("timed", feature("a", 1.0, 1.0, r#"{"t":"2001-01-01"}"#));
    let text = scene.ok("import net timed --valid-from t").out;
    assert!(
        text.contains("unchanged") && text.contains("UTC (default)"),
        "{text}"
    );
}

#[test]
fn a_second_import_in_another_spelling_writes_nothing() {
    let scene = Scene::new();
    let first = r#"{"type":"Feature","id":"a","properties":{"x":1.50,"y":[1,{"b":2,"a":3}],"t":"2001-01-01"},"geometry":{"type":"Point","coordinates":[1.0,2]}}"#;
    let other = r#"{"geometry":{"coordinates":[1,2.0e0],"type":"Point"},"properties":{"t":"2001-01-01","y":[1.0,{"a":3,"b":2}],"x":15e-1},"id":"a","type":"Feature"}"#;
    scene.file("first", first);
    scene.file("other", other);
    summary(&scene, "first --valid-from t");
    assert_eq!(
        numbers(&summary(&scene, "other --valid-from t"), COUNTS),
        [1, 0, 0, 1]
    );
    assert_eq!(scene.ok("query net").out, format!("{first}\n"));
}

#[test]
fn all_forms_of_files_are_read() {
    let features: Vec<String> = (0..5)
        .map(|n| feature(&n.to_string(), f64::from(n), 1.0, "{}"))
        .collect();
    let collection = format!(
        r#"{{"features":[{}],"type":"FeatureCollection"}}"#,
        features.join(",\n")
    );
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(collection.as_bytes()).unwrap();
    let files = [
        ("lines", features.join("\n").into_bytes()),
        ("crlf", features.join("\r\n\r\n").into_bytes()),
        (
            "bom",
            format!("\u{feff}{}\n", features.join("\n")).into_bytes(),
        ),
        (
            "sequence",
            format!("\x1e{}\n", features.join("\n\x1e")).into_bytes(),
        ),
        ("collection", collection.into_bytes()),
        ("packed", packed.finish().unwrap()),
    ];
    let scene = Scene::bare();
    for (name, bytes) in files {
        scene.file(name, bytes);
        let line = format!("import net-{name} {name} --create --json");
        assert_eq!(scene.ok(&line).object()["versions"], 5, "{name}");
        assert_eq!(scene.ok(&format!("query net-{name}")).lines(), 5);
    }
    let piped = scene.with_input(
        &["import", "piped", "-", "--create", "--json"],
        &features.join("\n"),
    );
    assert_eq!(piped.object()["versions"], 5);
    let several = scene.ok("import all lines packed --create --json").object();
    assert_eq!(numbers(&several, COUNTS), [10, 5, 0, 5]);
    for (file, format) in [("lines", "geojson"), ("nothing", "auto")] {
        assert_eq!(
            scene
                .run(&format!("import all {file} --format {format}"))
                .code,
            2,
            "{file}"
        );
    }
    scene.file("cut", &std::fs::read(scene.path("packed")).unwrap()[..60]);
    assert!(scene.run("import all cut").err.contains("cut"));
}

#[test]
fn create_makes_what_is_missing_and_nothing_else_does() {
    let scene = Scene::bare();
    scene.file("a", feature("a", 1.0, 1.0, "{}"));
    assert_eq!(scene.run("import net a").code, 2);
    let ran = scene.run("import net a --create --valid-from");
    assert_eq!(ran.code, 2);
    assert!(
        !scene.path("net").exists(),
        "a wrong command line creates nothing"
    );
    scene.ok("import net a --create");
    let ran = scene.run("import net a --layer new");
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("--create"), "{}", ran.err);
    scene.ok("import net a --layer new --create");
    assert_eq!(scene.ok("query net --layer new --count").out, "1\n");
    assert_eq!(scene.ok("query net --layer new,main --count").out, "2\n");
}

#[test]
fn ids_come_from_properties_or_the_feature() {
    let scene = Scene::new();
    let lines = [
        feature("x", 1.0, 1.0, r#"{"layer":"L1","sheet":7,"n":"007"}"#),
        feature("y", 1.0, 1.0, r#"{"layer":"L1","sheet":7.0,"n":"7"}"#),
    ];
    scene.file("a", lines.join("\n"));
    scene.ok("import net a --id layer+sheet+n");
    assert_eq!(scene.ok("get net L1/7/007").lines(), 1);
    assert_eq!(scene.ok("get net L1/7.0/7").lines(), 1);
    scene.ok("import net a");
    assert_eq!(scene.ok("get net x").lines(), 1);
    let ran = scene.run("import net a --id missing");
    assert_eq!(ran.code, 2);
    assert!(
        ran.err.contains("missing") && ran.err.contains("line 1"),
        "{}",
        ran.err
    );
    assert_eq!(scene.run("import net a --id a++b").code, 2);
}

#[test]
fn absences_are_told_by_null_geometry_or_by_a_property() {
    let scene = Scene::new();
    let at = |time: &str, event: &str| format!(r#"{{"at":"{time}","event":"{event}"}}"#);
    let removed = r#"{"type":"Feature","id":"a","properties":{"at":"2003-01-01","event":"x"},"geometry":null}"#;
    let lines = [
        feature("a", 1.0, 1.0, &at("2001-01-01", "created")),
        removed.to_owned(),
        feature("b", 1.0, 1.0, &at("2001-01-01", "created")),
        feature("b", 1.0, 1.0, &at("2004-01-01", "deleted")),
        feature("b", 1.0, 1.0, &at("2006-01-01", "created")),
    ];
    scene.file("there", lines.join("\n"));
    let back: Vec<&str> = lines.iter().rev().map(String::as_str).collect();
    scene.file("back", back.join("\n"));
    scene.ok("create other");
    for (net, file) in [("net", "there"), ("other", "back")] {
        let line = format!(
            "import {net} {file} --valid-from at --removed-when event=deleted,untagged --json"
        );
        let done = scene.ok(&line).object();
        assert_eq!(numbers(&done, COUNTS), [5, 5, 2, 0]);
        for (time, count) in [
            ("2000", 0),
            ("2002", 2),
            ("2003", 1),
            ("2005", 0),
            ("2007", 1),
        ] {
            let line = format!("query {net} --count --valid-at {time}-01-01");
            assert_eq!(scene.ok(&line).out, format!("{count}\n"), "{net} {time}");
        }
        assert_eq!(scene.ok(&line).object()["unchanged"], 5, "{net}");
    }
}

#[test]
fn floor_and_height_make_altitudes_and_unknown_is_not_zero() {
    let scene = Scene::new();
    let house = |id: &str, properties: &str| feature(id, 1.0, 1.0, properties);
    scene.file(
        "above",
        [
            house("known", r#"{"f":-2.5,"h":"10.5 m"}"#),
            house("flat", r#"{"f":3}"#),
            house("none", "{}"),
            house("bad", r#"{"f":"high","h":2}"#),
        ]
        .join("\n"),
    );
    let ran = scene.ok("import net above --floor f --height h");
    assert!(
        ran.err.contains("1 Feature with a floor or height"),
        "{}",
        ran.err
    );
    let meta = |id: &str| {
        let got = scene.ok(&format!("get net {id} --meta")).object();
        (
            got["blocknet"]["floor"].as_f64(),
            got["blocknet"]["top"].as_f64(),
        )
    };
    assert_eq!(meta("known"), (Some(-2.5), Some(8.0)));
    assert_eq!(meta("flat"), (Some(3.0), None));
    assert_eq!(meta("none"), (None, None));
    scene.file("top", house("abs", r#"{"f":-2.5,"h":10.5}"#));
    scene.ok("import net top --floor f --height h --height-is absolute-top");
    assert_eq!(meta("abs"), (Some(-2.5), Some(10.5)));
    let count = |rest: &str| {
        scene
            .ok(&format!("query net --count --json {rest}"))
            .object()
    };
    let high = count("--altitude 9..100");
    assert_eq!(
        (&high["count"], &high["unknown_height"]),
        (&json!(4), &json!(3))
    );
    assert_eq!(
        count("--altitude 9..100 --unknown-height exclude")["count"],
        1
    );
    assert_eq!(
        count("--bbox 0,0,-5,2,2,-3")["count"],
        2,
        "what is known may rule it out"
    );
}

#[test]
fn recorded_times_sort_into_commits_and_run_forwards_only() {
    let scene = Scene::new();
    let at = |id: &str, recorded: &str| {
        feature(
            id,
            1.0,
            1.0,
            &format!(r#"{{"r":"{recorded}","v":"2000-01-01"}}"#),
        )
    };
    let lines = [
        at("c", "2012-01-01"),
        at("a", "2010-01-01"),
        at("b", "2010-01-01"),
    ];
    scene.file("f", lines.join("\n"));
    let line = "f --recorded-at r --valid-from v";
    let done = summary(&scene, line);
    // The net's block, and two recorded times.
    assert_eq!(
        (&done["commits"], &done["versions"]),
        (&json!(3), &json!(3))
    );
    let known = |time: &str| scene.ok(&format!("query net --count --as-of {time}")).out;
    assert_eq!(
        (
            known("2009-12-31"),
            known("2010-01-01"),
            known("2012-01-01")
        ),
        ("0\n".into(), "2\n".into(), "3\n".into())
    );
    assert_eq!(summary(&scene, line)["unchanged"], 3);
    let meta = scene.ok("get net a --meta").object();
    assert_eq!(meta["blocknet"]["basis"], "asserted");
    assert_eq!(meta["blocknet"]["recorded"], "2010-01-01T00:00:00Z");

    scene.file("late", at("d", "2011-01-01"));
    let ran = scene.run(&format!("import net late {}", &line[2..]));
    assert_eq!(ran.code, 2);
    assert!(
        ran.err.contains("runs backwards") && ran.err.contains("stopped"),
        "{}",
        ran.err
    );
    scene.file("future", at("d", "2999-01-01"));
    let ran = scene.run(&format!("import net future {}", &line[2..]));
    assert_eq!(ran.code, 2);
    assert!(
        ran.err.contains("future") && ran.err.contains("`d`"),
        "{}",
        ran.err
    );
}

#[test]
fn ends_are_given_open_or_forever() {
    let scene = Scene::new();
    let state = |from: &str, to: &str, n: u32| {
        feature(
            "a",
            1.0,
            1.0,
            &format!(r#"{{"from":"{from}","to":{to},"n":{n}}}"#),
        )
    };
    scene.file(
        "given",
        [
            state("2001-01-01", "\"2002-01-01\"", 1),
            state("2005-01-01", "null", 2),
        ]
        .join("\n"),
    );
    scene.ok("import net given --valid-from from --valid-to to");
    let count = |time: &str| {
        scene
            .ok(&format!("query net --count --valid-at {time}-06-01"))
            .out
    };
    assert_eq!(
        (count("2001"), count("2002"), count("2009")),
        ("1\n".into(), "0\n".into(), "1\n".into())
    );
    let at = |time: &str| {
        scene
            .ok(&format!("get net a --valid-at {time}-06-01"))
            .object()
    };
    scene.file("early", state("2003-01-01", "null", 3));
    scene.ok("import net early --valid-from from");
    assert_eq!(
        (
            &at("2003")["properties"]["n"],
            &at("2009")["properties"]["n"]
        ),
        (&json!(3), &json!(2))
    );
    scene.file("all", state("2002-06-01", "null", 4));
    let ran = scene.ok("import net all --valid-from from --until forever");
    assert!(ran.err.contains("overrides"), "{}", ran.err);
    assert_eq!(at("2009")["properties"]["n"], 4);
    scene.file("backwards", state("2003-01-01", "\"2002-01-01\"", 5));
    let ran = scene.run("import net backwards --valid-from from --valid-to to");
    assert!(
        ran.code == 2 && ran.err.contains("before it starts"),
        "{}",
        ran.err
    );
}

#[test]
fn times_are_read_in_their_zone_or_refused_with_their_line() {
    let scene = Scene::new();
    let at = |id: &str, time: &str| feature(id, 1.0, 1.0, &format!(r#"{{"t":"{time}"}}"#));
    scene.file("zone", at("a", "2017-07-01T00:30:00"));
    scene.ok("import net zone --valid-from t --time-zone Europe/Amsterdam");
    let meta = scene.ok("get net a --meta").object();
    assert_eq!(meta["blocknet"]["valid_from"], "2017-06-30T22:30:00Z");
    for (time, word) in [
        ("2017-03-26T02:30:00", "clocks"),
        ("0000-01-01", "0001 to 9999"),
        ("10000-01-01", "no time"),
        ("2017-13-01", "calendar"),
        ("soon", "no time"),
    ] {
        scene.file(
            "bad",
            format!("{}\n{}", at("a", "1286-01-01"), at("b", time)),
        );
        let ran = scene.run("import net bad --valid-from t --time-zone Europe/Amsterdam");
        assert_eq!(ran.code, 2, "{time}");
        for part in ["line 2", "property t", word] {
            assert!(ran.err.contains(part), "{time}: {part}: {}", ran.err);
        }
    }
    scene.file("none", feature("c", 1.0, 1.0, r#"{"t":null}"#));
    assert!(
        scene
            .run("import net none --valid-from t")
            .err
            .contains("property t")
    );
    scene.file(
        "far",
        [at("old", "1286-01-01"), at("new", "9999-12-31")].join("\n"),
    );
    scene.ok("import net far --valid-from t");
    assert_eq!(
        scene
            .ok("query net --count --id old --valid-at 1286-01-01")
            .out,
        "1\n"
    );
    assert_eq!(
        scene
            .ok("query net --count --id new --valid-at 9999-12-31")
            .out,
        "1\n"
    );
}

#[test]
fn other_reference_systems_are_refused_by_name() {
    let scene = Scene::new();
    let one = feature("a", 1.0, 1.0, "{}");
    let with = |crs: &str| {
        format!(
            r#"{{"type":"FeatureCollection","features":[{one}],"crs":{{"type":"name","properties":{{"name":"{crs}"}}}}}}"#
        )
    };
    scene.file("rd", with("urn:ogc:def:crs:EPSG::28992"));
    let ran = scene.run("import net rd");
    assert!(ran.code == 2 && ran.err.contains("28992"), "{}", ran.err);
    assert_eq!(scene.ok("query net --count").out, "0\n");
    scene.file("wgs", with("urn:ogc:def:crs:OGC:1.3:CRS84"));
    scene.ok("import net wgs");
    scene.file("metres", feature("m", 207_000.0, 447_000.0, "{}"));
    assert!(
        scene
            .run("import net metres")
            .err
            .contains("coordinate reference system")
    );
}

#[test]
fn what_cannot_be_stored_stops_the_import_or_is_listed() {
    let scene = Scene::new();
    let lines = [
        feature("a", 1.0, 1.0, "{}"),
        "{not json".to_owned(),
        feature("b", 400.0, 1.0, "{}"),
        feature("c", 1.0, 1.0, "{}"),
        feature(&"x".repeat(5000), 1.0, 1.0, "{}"),
    ];
    scene.file("f", lines.join("\n"));
    let ran = scene.run("import net f");
    assert_eq!(ran.code, 2);
    assert!(
        ran.err.contains("line 2") && ran.err.contains("import stopped"),
        "{}",
        ran.err
    );
    let ran = scene.ok("import net f --on-error skip --json");
    assert_eq!(
        numbers(
            &ran.object(),
            ["features", "versions", "skipped", "entities"]
        ),
        [5, 2, 3, 2]
    );
    let skipped: Vec<&str> = ran
        .err
        .lines()
        .filter(|line| line.contains("skipped"))
        .collect();
    assert_eq!(skipped.len(), 3, "{}", ran.err);
    assert!(
        skipped[1].contains("Feature 3") && skipped[1].contains("`b`"),
        "{}",
        skipped[1]
    );
    assert!(skipped[1].contains("400"), "{}", skipped[1]);
    assert_eq!(scene.ok("query net --count").out, "2\n");
}

#[test]
fn all_geometries_are_taken_and_invalid_rings_counted() {
    let scene = Scene::new();
    let with = |id: &str, geometry: &str| {
        format!(r#"{{"type":"Feature","id":"{id}","properties":null,"geometry":{geometry}}}"#)
    };
    scene.file("f", [
        with("bow", r#"{"type":"Polygon","coordinates":[[[0,0],[1,1],[1,0],[0,1],[0,0]]]}"#),
        with("multi", r#"{"type":"MultiPolygon","coordinates":[[[[0,0],[1,0],[1,1],[0,0]]]]}"#),
        with("line", r#"{"type":"LineString","coordinates":[[0,0,3],[1,1,7]]}"#),
        with("point", r#"{"type":"Point","coordinates":[0,0,-4.5]}"#),
        with("all", r#"{"type":"GeometryCollection","geometries":[{"type":"Point","coordinates":[0,0]}]}"#),
    ].join("\n"));
    let done = summary(&scene, "f");
    assert_eq!(
        (&done["versions"], &done["invalid_geometries"]),
        (&json!(5), &json!(1))
    );
    assert_eq!(scene.ok("query net --bbox 0,0,0,0 --count").out, "5\n");
    assert_eq!(
        scene
            .ok("query net --altitude 5..6 --unknown-height exclude --count")
            .out,
        "1\n"
    );
}

#[test]
fn commits_say_who_why_and_from_what() {
    let scene = Scene::new();
    scene.file("data.geojsonl", feature("a", 1.0, 1.0, "{}"));
    scene.ok("import net data.geojsonl --author Ann --reason survey --correct");
    let version = scene.ok("history net a --json").object();
    assert_eq!(version["author"], "Ann");
    assert_eq!(version["reason"], "survey");
    assert_eq!(
        version["source"], "data.geojsonl",
        "the file's name unless said otherwise"
    );
    assert_eq!(version["kind"], "correct");
}
