//! Areas, conditions, order, and what is printed.

use serde_json::{Value, json};

use super::support::{Ran, Scene, feature};

/// Four houses in a row to the east, about 680 m apart, of known height but for the last; and two
/// far away: one below sea level at the antimeridian, one at a pole.
fn city() -> Scene {
    let scene = Scene::new();
    let houses = [
        feature(
            "h1",
            4.90,
            52.37,
            r#"{"floor":0,"h":10,"status":"in use","tags":{"use":"home"}}"#,
        ),
        feature("h2", 4.91, 52.37, r#"{"floor":5,"h":30,"status":"in use"}"#),
        feature("h3", 4.92, 52.37, r#"{"floor":0,"h":3,"status":"demolished"}"#),
        feature("h4", 4.93, 52.37, "{}"),
        feature("Straße № 7/住所", -179.9999, 10.0, r#"{"floor":-60,"h":20}"#),
        r#"{"type":"Feature","id":"pole","properties":null,"geometry":{"type":"Point","coordinates":[17,90]}}"#.to_owned(),
    ];
    scene.file("city", houses.join("\n"));
    scene.ok("import net city --floor floor --height h");
    scene
}

fn ids(ran: &Ran) -> Vec<String> {
    assert_eq!(ran.code, 0, "{ran:?}");
    let id = |feature: &Value| feature["id"].as_str().unwrap().to_owned();
    ran.json().iter().map(id).collect()
}

/// The ids that a query finds, sorted.
fn found(scene: &Scene, args: &str) -> Vec<String> {
    let mut ids = ids(&scene.ok(&format!("query net {args}")));
    ids.sort_unstable();
    ids
}

/// The remark about an error: exit code 2, nothing on standard output.
fn refused(scene: &Scene, args: &[&str]) -> String {
    let ran = scene.args(args);
    assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{args:?}: {ran:?}");
    ran.err
}

fn polygon(rings: &str) -> String {
    format!(r#"{{"type":"Polygon","coordinates":{rings}}}"#)
}

#[test]
fn each_kind_of_area_finds_what_is_there() {
    let scene = city();
    scene.file(
        "holed",
        polygon(
            "[[[4.89,52.36],[4.94,52.36],[4.94,52.38],[4.89,52.38],[4.89,52.36]],\
              [[4.915,52.365],[4.925,52.365],[4.925,52.375],[4.915,52.375],[4.915,52.365]]]",
        ),
    );
    scene.file(
        "street",
        r#"{"type":"LineString","coordinates":[[4.895,52.3695],[4.912,52.3695]]}"#,
    );
    for (args, expected) in [
        ("--bbox 4.905,52.36,4.925,52.38", vec!["h2", "h3"]),
        ("--polygon holed", vec!["h1", "h2", "h4"]),
        ("--polygon holed --match extent", vec!["h1", "h2", "h4"]),
        ("--polygon holed --match within", vec!["h1", "h2", "h4"]),
        ("--near 4.90,52.37 --radius 700", vec!["h1", "h2"]),
        ("--near 4.90,52.37 --radius 0", vec!["h1"]),
        (
            "--near 4.90,52.37 --radius 700 --match within",
            vec!["h1", "h2"],
        ),
        ("--near 4.90,52.37 --radius 12 --match within", vec![]),
        (
            "--near 4.90,52.37 --radius 1e9",
            vec!["Straße № 7/住所", "h1", "h2", "h3", "h4", "pole"],
        ),
        ("--along street --buffer 60", vec!["h1", "h2"]),
        ("--along street --buffer 10", vec![]),
        (
            "--along street --buffer 70 --match within",
            vec!["h1", "h2"],
        ),
        // Across the antimeridian, at a pole, a place without area, everything.
        ("--bbox 179,9,-179,11", vec!["Straße № 7/住所"]),
        ("--near 179.9999,10 --radius 100", vec!["Straße № 7/住所"]),
        ("--bbox -170,89,-160,90", vec![]),
        ("--bbox -180,89,180,90", vec!["pole"]),
        ("--near -100,89.999 --radius 200", vec!["pole"]),
        ("--bbox 4.90005,52.37005,4.90005,52.37005", vec!["h1"]),
        ("--bbox 4.95,52.37,4.95,52.37", vec![]),
        (
            "--prefix *",
            vec!["Straße № 7/住所", "h1", "h2", "h3", "h4", "pole"],
        ),
        // With altitudes, below zero as well.
        ("--bbox 4,52,5,53 --altitude 11..", vec!["h2", "h4"]),
        (
            "--near 4.90,52.37 --radius 5000 --altitude ..2",
            vec!["h1", "h3", "h4"],
        ),
        (
            "--polygon holed --altitude ..2 --unknown-height exclude",
            vec!["h1"],
        ),
        (
            "--polygon holed --altitude 0..20 --match within",
            vec!["h1", "h4"],
        ),
        (
            "--altitude -70..-50 --unknown-height exclude",
            vec!["Straße № 7/住所"],
        ),
        (
            "--altitude -40..-1 --unknown-height exclude",
            vec!["Straße № 7/住所"],
        ),
        ("--along street --buffer 60 --altitude -5..4", vec!["h1"]),
    ] {
        assert_eq!(found(&scene, args), expected, "{args}");
    }
    // By the digits that a record itself is filed under, and by its block.
    let meta = scene.ok("query net --id h2 --meta").object();
    let geocode = meta["blocknet"]["geocode"].as_str().unwrap();
    let digits: String = geocode.chars().take(9).collect();
    assert_eq!(found(&scene, &format!("--prefix {digits}")), ["h2"]);
    assert_eq!(
        found(&scene, &format!("--prefix {}", digits.to_uppercase())),
        ["h2"]
    );
    let place = "4.91005,52.37005,20";
    let code = scene.ok(&format!("geocode encode {place} --json")).object();
    let block = code["block"].as_str().unwrap();
    assert_eq!(found(&scene, &format!("--block {block}")), ["h2"]);
    assert_eq!(
        found(&scene, &format!("--block {block} --altitude ..1")),
        [""; 0]
    );
}

#[test]
fn a_polygon_takes_shapes_and_not_the_boxes_around_them() {
    let scene = Scene::new();
    // A triangle whose box meets the area although it does not, one that pokes out, one that does
    // not, and one without a shape.
    let shape = |id: &str, ring: &str| {
        format!(
            r#"{{"type":"Feature","id":"{id}","properties":{{}},"geometry":{{"type":"Polygon","coordinates":[{ring}]}}}}"#
        )
    };
    let shapes = [
        shape(
            "apart",
            "[[0.001,0.0019],[0.0019,0.001],[0.0019,0.0019],[0.001,0.0019]]",
        ),
        shape(
            "across",
            "[[0.0005,0.0005],[0.0015,0.0005],[0.0005,0.0015],[0.0005,0.0005]]",
        ),
        shape("inside", "[[0,0],[0.0009,0],[0,0.0009],[0,0]]"),
    ];
    scene.file("f", shapes.join("\n"));
    scene.ok("import net f");
    // The half of a square below its diagonal.
    scene.file("area", polygon("[[[0,0],[0.002,0],[0,0.002],[0,0]]]"));
    scene.file("small", polygon("[[[0,0],[0.001,0],[0,0.001],[0,0]]]"));
    for (args, expected) in [
        ("--polygon area", vec!["across", "inside"]),
        (
            "--polygon area --match extent",
            vec!["across", "apart", "inside"],
        ),
        ("--polygon area --match within", vec!["across", "inside"]),
        ("--polygon small", vec!["across", "inside"]),
        ("--polygon small --match within", vec!["inside"]),
    ] {
        assert_eq!(found(&scene, args), expected, "{args}");
        let count = scene.ok(&format!("query net {args} --count")).out;
        assert_eq!(count.trim(), expected.len().to_string(), "{args}");
    }
}

#[test]
fn a_file_of_many_vertices_is_an_area() {
    let scene = city();
    let ring: Vec<String> = (0..=10_000)
        .map(|n| {
            let turn = f64::from(n % 10_000) / 10_000.0 * std::f64::consts::TAU;
            let (sin, cos) = turn.sin_cos();
            format!("[{},{}]", 4.91 + 0.012 * cos, 52.37 + 0.012 * sin)
        })
        .collect();
    scene.file("many", polygon(&format!("[[{}]]", ring.join(","))));
    assert_eq!(found(&scene, "--polygon many"), ["h1", "h2", "h3"]);
    assert_eq!(
        found(&scene, "--polygon many --match within"),
        ["h1", "h2", "h3"]
    );
}

#[test]
fn files_that_are_no_area_are_refused_by_name() {
    let scene = city();
    scene.file("point", r#"{"type":"Point","coordinates":[1,2]}"#);
    scene.file("text", "not json");
    scene.file("far", polygon("[[[0,0],[190,0],[0,9],[0,0]]]"));
    scene.file("flat", polygon("[[[0,0],[0,0],[0,0],[0,0]]]"));
    scene.file("bytes", [0xff, 0xfe]);
    scene.file("empty", r#"{"type":"FeatureCollection","features":[]}"#);
    for name in [
        "point", "text", "far", "flat", "bytes", "empty", "missing", ".",
    ] {
        let err = refused(&scene, &["query", "net", "--polygon", name]);
        assert!(
            err.contains("--polygon") && err.contains(name),
            "{name}: {err}"
        );
    }
    for name in ["point", "text", "far", "bytes", "empty", "missing"] {
        let err = refused(&scene, &["query", "net", "--along", name, "--buffer", "1"]);
        assert!(
            err.contains("--along") && err.contains(name),
            "{name}: {err}"
        );
    }
    // 64 MiB are the limit: a sparse file of more.
    let large = std::fs::File::create(scene.path("large")).unwrap();
    large.set_len((64 << 20) + 1).unwrap();
    let err = refused(&scene, &["query", "net", "--polygon", "large"]);
    assert!(err.contains("64 MiB") && err.contains("large"), "{err}");
}

#[test]
fn arguments_that_mean_nothing_are_refused_with_the_remedy() {
    let scene = city();
    scene.file(
        "line",
        r#"{"type":"LineString","coordinates":[[1,2],[3,4]]}"#,
    );
    for (line, words) in [
        ("--bbox 1,2,3,4 --prefix 12", vec!["--bbox", "--prefix"]),
        (
            "--near 1,2 --radius 5 --bbox 1,2,3,4",
            vec!["--radius", "--bbox"],
        ),
        ("--near 1,2", vec!["--near", "--radius", "--nearest"]),
        (
            "--near 1,2,3 --radius 5",
            vec!["altitude", "--near", "--altitude"],
        ),
        ("--radius 5", vec!["--near"]),
        ("--nearest 5", vec!["--near"]),
        (
            "--near 1,2 --radius -5",
            vec!["--radius", "metres", "0 or more"],
        ),
        ("--near 1,2 --radius inf", vec!["--radius", "metres"]),
        ("--near 1,2 --radius NaN", vec!["--radius", "metres"]),
        ("--near 1,2 --radius --json", vec!["--radius", "metres"]),
        ("--near 200,2 --radius 5", vec!["--near", "longitudes"]),
        ("--near 1 --radius 5", vec!["--near", "LON,LAT"]),
        ("--near 1,2,NaN --nearest 5", vec!["--near", "altitude"]),
        ("--near 1,2 --nearest x", vec!["--nearest"]),
        (
            "--near 1,2 --nearest 3 --limit 2",
            vec!["--nearest", "--limit"],
        ),
        (
            "--near 1,2 --nearest 3 --order stored",
            vec!["--nearest", "--order", "--limit"],
        ),
        ("--order distance", vec!["--order distance", "--near"]),
        ("--order logical", vec!["--order logical", "--near"]),
        ("--order age", vec!["--order", "valid-from"]),
        ("--along line", vec!["--buffer"]),
        ("--buffer 3", vec!["--along"]),
        ("--along line --buffer -3", vec!["--buffer", "metres"]),
        ("--prefix xyz", vec!["--prefix", "digits"]),
        (
            "--prefix 0123456789abcdef0123456789abcdef0123456789",
            vec!["--prefix", "digits"],
        ),
        ("--block 12", vec!["--block", "net block"]),
        ("--altitude 3..1", vec!["--altitude", "LO..HI"]),
        (
            "--plan magic",
            vec!["--plan", "ranges, skip, entity, time, scan"],
        ),
        ("--plan entity", vec!["entity", "id"]),
        ("--plan time", vec!["time"]),
        ("--ranges 0", vec!["--ranges"]),
        ("--count --meta", vec!["--count", "--meta"]),
        ("--count --fields a", vec!["--count", "--fields"]),
        ("--count --no-geometry", vec!["--count", "--no-geometry"]),
        ("--where nonsense(", vec!["--where"]),
        ("--where nobody==1", vec!["--where", "nobody"]),
    ] {
        let mut args = vec!["query", "net"];
        args.extend(line.split_whitespace());
        let err = refused(&scene, &args);
        for word in words {
            assert!(err.contains(word), "{line}: {word}: {err}");
        }
        assert!(!err.contains("panicked"), "{line}: {err}");
    }
    let span = ["--from", "2020-01-01", "--to", "2021-01-01"];
    for command in ["replay", "diff", "transients", "track"] {
        let mut args = vec![command, "net"];
        args.extend(span);
        args.extend(["--near", "1,2"]);
        let err = refused(&scene, &args);
        assert!(err.contains("--near") && err.contains("--radius"), "{err}");
        assert!(!err.contains("--nearest"), "{err}");
    }
}

#[test]
fn conditions_see_properties_and_what_the_store_adds() {
    let scene = city();
    scene.file("tree", feature("t", 4.90, 52.37, r#"{"h":12}"#));
    scene.ok("import net tree --layer trees --create");
    for (condition, expected) in [
        (r#"properties.status == "in use""#, vec!["h1", "h2"]),
        ("properties.h > 9 && properties.h < 13", vec!["h1", "t"]),
        (r#"layer == "trees""#, vec!["t"]),
        ("floor < 0.0", vec!["Straße № 7/住所"]),
        ("top == 35.0", vec!["h2"]),
        (r#"id == "Straße № 7/住所""#, vec!["Straße № 7/住所"]),
        (r#"properties.tags.use == "home""#, vec!["h1"]),
        (r#"geometry.type == "Point""#, vec!["pole"]),
        ("!has(properties.h)", vec!["h4", "pole"]),
        ("properties.h > \"x\"", vec![]),
    ] {
        let args = ["query", "net", "--where", condition];
        let mut ids = ids(&scene.args(&args));
        ids.sort_unstable();
        assert_eq!(ids, expected, "{condition}");
        let count = scene.args(&["query", "net", "--where", condition, "--count"]);
        assert_eq!(count.out.trim(), expected.len().to_string(), "{condition}");
    }
    // Both count: the presence rule and the condition.
    let both = scene.args(&[
        "query",
        "net",
        "--present-when",
        "status=in use",
        "--where",
        "properties.h > 20",
    ]);
    assert_eq!(ids(&both), ["h2"]);
    let changes = scene.args(&[
        "replay",
        "net",
        "--from",
        "2000-01-01",
        "--to",
        "now",
        "--where",
        "properties.h > 20",
        "--json",
    ]);
    assert_eq!(changes.lines(), 1, "{changes:?}");
    assert_eq!(changes.object()["id"], "h2");
}

#[test]
fn the_nearest_come_first_and_say_how_far_they_are() {
    let scene = city();
    let near = "query net --near 4.9105,52.37005";
    assert_eq!(
        ids(&scene.ok(&format!("{near} --nearest 3"))),
        ["h2", "h3", "h1"]
    );
    assert_eq!(
        ids(&scene.ok(&format!("{near} --order distance --limit 2"))),
        ["h2", "h3"]
    );
    assert_eq!(
        ids(&scene.ok(&format!("{near} --nearest 3 --radius 700"))),
        ["h2", "h3"]
    );
    assert_eq!(ids(&scene.ok(&format!("{near} --nearest 9"))).len(), 6);
    assert_eq!(ids(&scene.ok(&format!("{near} --nearest 0"))), [""; 0]);
    assert_eq!(
        ids(&scene.ok(&format!("{near} --nearest 2 --bbox 4.915,52,5,53"))),
        ["h3", "h4"]
    );
    let count = scene
        .ok(&format!("{near} --nearest 3 --count --json"))
        .object();
    assert_eq!(count["count"], 3);
    let lines = scene.ok(&format!("{near} --nearest 3 --meta")).json();
    let metres: Vec<f64> = lines
        .iter()
        .map(|line| line["blocknet"]["distance"].as_f64().unwrap())
        .collect();
    assert!((20.0..30.0).contains(&metres[0]), "{metres:?}");
    assert!(metres.is_sorted(), "{metres:?}");
    // Above the roof of the second house, at 35 m, the height counts as well.
    let above = scene
        .ok("query net --near 4.91005,52.37005,135 --nearest 1 --meta")
        .object();
    let metres = above["blocknet"]["distance"].as_f64().unwrap();
    assert!((metres - 100.0).abs() < 1e-6, "{metres}");
    let stored = scene.ok(&format!("{near} --radius 9 --meta"));
    assert!(!stored.out.contains("distance"), "{stored:?}");
    // The logical order needs a place, too, and finds the same records.
    let logical = scene.ok("query net --near 4.91005,52.37005,20 --order logical");
    assert_eq!(ids(&logical).len(), 6);
    assert_eq!(ids(&logical)[0], "h2");
}

#[test]
fn records_come_by_the_start_of_their_interval() {
    let scene = Scene::new();
    for (id, from) in [
        ("b", "2003-01-01"),
        ("c", "2001-01-01"),
        ("a", "2002-01-01"),
    ] {
        scene.file("f", feature(id, 1.0, 1.0, "{}"));
        scene.ok(&format!("put net f --valid-from {from}"));
    }
    assert_eq!(
        ids(&scene.ok("query net --order valid-from")),
        ["c", "a", "b"]
    );
    assert_eq!(
        ids(&scene.ok("query net --order valid-from --limit 1")),
        ["c"]
    );
    assert_eq!(ids(&scene.ok("query net --order stored")), ["a", "b", "c"]);
}

#[test]
fn only_the_fields_asked_for_are_printed() {
    let scene = city();
    let one = scene
        .args(&["query", "net", "--id", "h1", "--fields", "tags.use,h,none"])
        .object();
    assert_eq!(one["properties"], json!({"tags.use": "home", "h": 10}));
    assert_eq!(one["id"], "h1");
    assert_eq!(one["geometry"]["type"], "Polygon");
    let bare = scene.ok("query net --id h1 --fields h --no-geometry").out;
    assert_eq!(
        bare,
        "{\"type\":\"Feature\",\"id\":\"h1\",\"properties\":{\"h\":10},\"geometry\":null}\n"
    );
    let meta = scene
        .ok("query net --id h1 --fields h --no-geometry --meta")
        .object();
    assert_eq!(meta["blocknet"]["id"], "h1");
    assert_eq!(meta["geometry"], Value::Null);
    let pole = scene.ok("query net --id pole --fields h").object();
    assert_eq!(pole["properties"], Value::Null);
}

#[test]
fn every_plan_gives_the_same_answer() {
    let scene = city();
    let area = "--bbox 4.905,52.36,4.925,52.38";
    for plan in ["ranges", "skip", "scan"] {
        for ranges in ["1", "500"] {
            let args = format!("{area} --plan {plan} --ranges {ranges}");
            assert_eq!(found(&scene, &args), ["h2", "h3"], "{args}");
        }
    }
    for plan in ["ranges", "skip", "scan", "entity"] {
        assert_eq!(found(&scene, &format!("--id h2 --plan {plan}")), ["h2"]);
    }
    let span = "--from 2000-01-01 --to now";
    for plan in ["ranges", "skip", "scan", "time"] {
        let ran = scene.ok(&format!("replay net {span} {area} --plan {plan} --json"));
        assert_eq!(ran.lines(), 2, "{plan}");
    }
}

#[test]
fn explain_lays_the_plan_open() {
    let scene = city();
    let area = "--bbox 4.905,52.36,4.925,52.38";
    let members = [
        "version",
        "plan",
        "cost_estimated",
        "ranges",
        "budget",
        "seeks",
        "rows_estimated",
        "rows_read",
        "rows_returned",
        "rejected",
    ];
    let of_range = [
        "from",
        "to",
        "contained",
        "rows_estimated",
        "rows_read",
        "rows_returned",
        "seeks",
        "bytes",
        "micros",
    ];
    for analyze in [false, true] {
        let flag = if analyze { "--analyze" } else { "" };
        let explain = scene
            .ok(&format!("explain net {area} --plan ranges {flag} --json"))
            .object();
        for member in members {
            assert!(explain.get(member).is_some(), "{member}: {explain}");
        }
        assert_eq!(explain["version"], 1);
        assert_eq!(explain["plan"], "ranges");
        assert_eq!(explain["budget"], 32);
        let ranges = explain["ranges"].as_array().unwrap();
        assert!(!ranges.is_empty());
        for range in ranges {
            for member in of_range {
                assert!(range.get(member).is_some(), "{member}: {range}");
            }
            assert_eq!(range["rows_read"].is_u64(), analyze);
            assert!(range["from"].as_str() <= range["to"].as_str());
        }
        let rejected = explain["rejected"].as_array().unwrap();
        assert_eq!(rejected.len(), 4, "{rejected:?}");
        for other in rejected {
            for member in ["plan", "cost_estimated", "why"] {
                assert!(other.get(member).is_some(), "{member}: {other}");
            }
        }
        assert_eq!(explain["rows_read"].is_u64(), analyze);
        if analyze {
            assert_eq!(explain["rows_returned"], 2);
            assert!(explain["seeks"].as_u64().unwrap() >= ranges.len() as u64);
        }
    }
    let few = scene
        .ok(&format!("explain net {area} --ranges 1 --json"))
        .object();
    assert_eq!(few["budget"], 1);
    let text = scene.ok(&format!("explain net {area} --analyze")).out;
    for words in ["plan ", "estimated", "returned 2", "not "] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let by_id = scene.ok("explain net --id h1 --json").object();
    assert_eq!(by_id["plan"], "entity");
    let nearest = scene
        .ok("explain net --near 4.91,52.37 --nearest 2 --analyze --json")
        .object();
    assert_eq!(nearest["rows_returned"], 2);
}

#[test]
fn explain_says_how_changes_would_be_found() {
    let scene = city();
    let span = "--from 2000-01-01 --to now";
    let area = "--bbox 4.905,52.36,4.925,52.38";
    let explain = scene
        .ok(&format!("explain net {area} {span} --json"))
        .object();
    let mut plans = vec![explain["plan"].as_str().unwrap().to_owned()];
    for other in explain["rejected"].as_array().unwrap() {
        plans.push(other["plan"].as_str().unwrap().to_owned());
    }
    plans.sort_unstable();
    assert_eq!(plans, ["entity", "ranges", "scan", "skip", "time"]);
    let timed = scene
        .ok(&format!(
            "explain net {area} {span} --plan time --analyze --json"
        ))
        .object();
    assert_eq!(timed["plan"], "time");
    scene.ok(&format!("explain net {span} --axis recorded"));
    for (args, word) in [
        ("--from 2000-01-01", "--to"),
        ("--to 2000-01-01", "--from"),
        ("--axis recorded", "--from"),
        ("--from 2000-01-01 --to now --limit 3", "--limit"),
        ("--from 2000-01-01 --to now --valid-at now", "--valid-at"),
        (
            "--from 2000-01-01 --to now --near 1,2 --nearest 1",
            "--nearest",
        ),
        ("--from now --to 2000-01-01", "span"),
    ] {
        let ran = scene.run(&format!("explain net {args}"));
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{args}: {ran:?}");
        assert!(ran.err.contains(word), "{args}: {}", ran.err);
    }
}

/// A van that moves twice and leaves, and a bus that stands.
fn fleet() -> Scene {
    let scene = Scene::new();
    let point = |id: &str, x: f64, y: f64| {
        format!(
            r#"{{"type":"Feature","id":"{id}","properties":{{}},"geometry":{{"type":"Point","coordinates":[{x},{y},2]}}}}"#
        )
    };
    for (id, x, from) in [
        ("van", 4.90, "2024-05-01T08:00:00Z"),
        ("van", 4.91, "2024-05-01T09:00:00Z"),
        ("van", 4.95, "2024-05-01T10:00:00Z"),
        ("van", 4.91, "2024-05-01T11:00:00Z"),
        ("bus", 4.91, "2024-05-01"),
    ] {
        scene.file("f", point(id, x, 52.37));
        scene.ok(&format!("put net f --valid-from {from}"));
    }
    scene.ok("remove net van --valid-from 2024-05-01T12:00:00Z");
    scene
}

#[test]
fn a_track_is_the_stays_of_one_or_of_all_that_were_inside() {
    let scene = fleet();
    let day = "--from 2024-05-01 --to 2024-05-02";
    let van = scene.ok(&format!("track net {day} --id van --json")).json();
    let times: Vec<(&str, &str)> = van
        .iter()
        .map(|stay| (stay["from"].as_str().unwrap(), stay["to"].as_str().unwrap()))
        .collect();
    let at = |hour: u8| format!("2024-05-01T{hour:02}:00:00Z");
    let hours: Vec<(String, String)> = (8..12).map(|hour| (at(hour), at(hour + 1))).collect();
    assert_eq!(
        times,
        hours
            .iter()
            .map(|(from, to)| (from.as_str(), to.as_str()))
            .collect::<Vec<_>>()
    );
    assert_eq!(
        van[0],
        json!({
            "id": "van",
            "layer": "main",
            "from": at(8),
            "to": at(9),
            "extent": [4.9, 52.37, 4.9, 52.37],
            "floor": 2.0,
            "top": null,
            "commit": van[0]["commit"],
        })
    );
    // In an area: who was there, and only while inside.
    let area = "--near 4.91,52.37 --radius 100";
    let inside = scene.ok(&format!("track net {day} {area} --json")).json();
    let stays: Vec<(&str, &str)> = inside
        .iter()
        .map(|stay| (stay["id"].as_str().unwrap(), stay["from"].as_str().unwrap()))
        .collect();
    let (nine, eleven) = (at(9), at(11));
    assert_eq!(
        stays,
        [
            ("bus", "2024-05-01"),
            ("van", nine.as_str()),
            ("van", eleven.as_str())
        ]
    );
    assert_eq!(inside[0]["to"], "2024-05-02", "cut to the interval");
    let who = scene
        .ok(&format!("track net {day} {area} --entities --json"))
        .json();
    assert_eq!(
        who[1],
        json!({"id": "van", "layer": "main", "from": at(9), "to": at(12), "stays": 2})
    );
    assert_eq!(who.len(), 2);
    // Half open: what begins at the end is out, what ends at the start as well.
    let hour = format!("--from {} --to {}", at(10), at(11));
    let ran = scene.ok(&format!("track net {hour} --id van --json"));
    assert_eq!(ran.object()["extent"][0], 4.95);
    for (args, lines) in [
        ("--limit 2", 2),
        ("--limit 0", 0),
        ("--limit 1 --entities", 1),
    ] {
        let ran = scene.ok(&format!("track net {day} {args} --json"));
        assert_eq!(ran.lines(), lines, "{args}");
    }
    let text = scene.ok(&format!("track net {day} {area}")).out;
    assert!(
        text.starts_with("from") && text.contains("4.91,52.37"),
        "{text}"
    );
    // Before the bus was known there was only the van.
    let before = scene.ok(&format!(
        "track net {day} {area} --as-of commit:4 --entities --json"
    ));
    assert_eq!(before.object()["id"], "van");
    for (args, word) in [
        ("--from 2024-05-02 --to 2024-05-01", "--to"),
        ("--from 2024-05-01 --to 2024-05-01", "query"),
        ("--from 2024-05-01", "--to"),
        ("--from yesterday --to now", "--from"),
        ("--from 2024-05-01 --to now --valid-at now", "--valid-at"),
        ("--from 2024-05-01 --to now --plan time", "time"),
    ] {
        let ran = scene.run(&format!("track net {args}"));
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{args}: {ran:?}");
        assert!(ran.err.contains(word), "{args}: {}", ran.err);
    }
}

#[test]
fn stats_counts_the_rows_of_each_level() {
    let scene = city();
    let stats = scene.ok("stats net --json").object();
    let levels = stats["levels"].as_array().unwrap();
    let sum = |member: &str| -> u64 {
        levels
            .iter()
            .map(|level| level[member].as_u64().unwrap())
            .sum()
    };
    assert_eq!(sum("live"), 6);
    assert!(levels.iter().all(|level| level["level"].is_u64()));
    scene.file("f", feature("h1", 4.90, 52.37, r#"{"h":11}"#));
    scene.ok("put net f");
    let stats = scene.ok("stats net --json").object();
    let past: u64 = stats["levels"]
        .as_array()
        .unwrap()
        .iter()
        .map(|level| level["past"].as_u64().unwrap())
        .sum();
    assert!(past > 0, "{stats}");
    assert!(scene.ok("stats net").out.contains("past rows"));
}

#[test]
fn every_command_takes_the_same_areas() {
    let scene = city();
    scene.file(
        "area",
        polygon("[[[4.905,52.36],[4.925,52.36],[4.925,52.38],[4.905,52.38],[4.905,52.36]]]"),
    );
    scene.file(
        "line",
        r#"{"type":"LineString","coordinates":[[4.908,52.37],[4.922,52.37]]}"#,
    );
    for area in [
        "--bbox 4.905,52.36,4.925,52.38",
        "--polygon area",
        "--near 4.915,52.37 --radius 700",
        "--along line --buffer 50",
    ] {
        let span = "--from 2000-01-01 --to now";
        for command in ["replay", "diff"] {
            let ran = scene.ok(&format!("{command} net {span} {area} --json"));
            assert_eq!(ran.lines(), 2, "{command} {area}");
        }
        let span = "--from 2000-01-01 --to 9999-12-31";
        let ran = scene.ok(&format!("track net {span} {area} --json"));
        assert_eq!(ran.lines(), 2, "{area}");
        assert_eq!(ran.json()[0]["to"], "9999-12-31", "cut to the interval");
        scene.ok(&format!("transients net {span} {area} --json"));
        scene.ok(&format!("explain net {area}"));
        assert_eq!(found(&scene, area), ["h2", "h3"], "{area}");
    }
}
