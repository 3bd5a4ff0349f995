//! `put`, `remove`, `get`, `history`, `replay`, `layer` and `create`.

use serde_json::json;

use super::support::{Scene, feature, keys};

const AMSTERDAM: &str = "Europe/Amsterdam";

#[test]
fn what_is_put_is_got_back_byte_for_byte_and_remembered() {
    let scene = Scene::new();
    let built = feature("0012", 4.9, 52.4, r#"{"storeys": 2 , "x":1.50}"#);
    let put = [
        "put",
        "net",
        &built,
        "--valid-from",
        "2001-03-01",
        "--author",
        "Ann",
        "--reason",
        "built",
        "--source",
        "permit 7",
        "--json",
    ];
    let ran = scene.args(&put);
    assert_eq!(ran.code, 0, "{ran:?}");
    let receipt = ran.object();
    assert_eq!(
        keys(&receipt),
        [
            "basis",
            "commit",
            "cost",
            "id",
            "layer",
            "overrides",
            "recorded",
            "unchanged",
            "version"
        ]
    );
    assert_eq!(
        keys(&receipt["cost"]),
        ["journal_bytes", "kv_bytes", "kv_writes"]
    );
    assert!(receipt["cost"]["journal_bytes"].as_u64().unwrap() > 0);
    assert_eq!(scene.ok("get net 0012").out, format!("{built}\n"));
    assert_eq!(scene.run("get net 12").code, 1);
    // Known, and not there yet: an empty answer is an answer.
    let before = scene.run("get net 0012 --valid-at 2001-02-28");
    assert_eq!((before.code, before.out.as_str()), (0, ""));
    // A mistyped flag is no id.
    assert_eq!(scene.run("get net --valid-att").code, 2);
    assert_eq!(scene.run("remove net --vald-from").code, 2);

    // The same with members in another order changes nothing.
    let same = built.replace(r#""id":"0012","#, "").replace("}}\n", "}}");
    let same = format!(r#"{},"id":"0012"}}"#, same.strip_suffix('}').unwrap());
    let ran = scene.args(&["put", "net", &same, "--valid-from", "2001-03-01", "--json"]);
    assert_eq!(ran.object()["unchanged"], true, "{ran:?}");
    assert_eq!(ran.object()["cost"]["kv_writes"], 0);

    scene.ok("remove net 0012 --valid-from 2010-01-01 --correct --author Bob");
    assert_eq!(scene.run("get net 0012").code, 0);
    assert_eq!(scene.ok("get net 0012 --valid-at 2009-12-31").lines(), 1);
    scene.ok("remove net 0012 --valid-from 2001-03-01 --retract --until forever");

    let history = scene.ok("history net 0012 --json").json();
    let members = |name: &str| history.iter().map(|v| v[name].clone()).collect::<Vec<_>>();
    assert_eq!(members("kind"), ["change", "correct", "retract"]);
    assert_eq!(members("author"), ["Ann", "Bob", "tester"]);
    assert_eq!(
        members("valid_from"),
        ["2001-03-01", "2010-01-01", "2001-03-01"]
    );
    assert_eq!(members("absent"), [false, true, true]);
    assert_eq!(members("reason"), ["built", "", ""]);
    assert_eq!(members("source"), ["permit 7", "", ""]);
    let text = scene.ok("history net 0012").out;
    for word in ["Ann", "Bob", "built", "permit 7", "retract", "2010-01-01"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    let known = scene.ok("get net 0012 --as-of commit:2 --valid-at 2015-01-01");
    assert_eq!(known.lines(), 1, "before the removal was stored");
}

#[test]
fn a_feature_comes_from_a_file_from_standard_input_or_under_another_id() {
    let scene = Scene::new();
    let one = feature("a", 1.0, 1.0, "{}");
    scene.file("one.geojson", &one);
    scene.ok("put net one.geojson --id x");
    assert_eq!(scene.ok("get net x").out, format!("{one}\n"));
    let ran = scene.with_input(&["put", "net", "-"], &one);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(scene.ok("query net --count").out, "2\n");
    scene.file("two", format!("{one}\n{one}"));
    assert!(scene.run("put net two").err.contains("import"));
    assert_eq!(scene.run("put net {}").code, 2);
    assert_eq!(scene.run("put net nowhere").code, 2);
}

#[test]
fn preconditions_refuse_what_somebody_else_changed() {
    let scene = Scene::new();
    let state = |n: u32| feature("a", 1.0, 1.0, &format!(r#"{{"n":{n}}}"#));
    let put = |n: u32, condition: &str| {
        let state = state(n);
        let mut args = vec!["put", "net", &state, "--json"];
        args.extend(condition.split_whitespace());
        scene.args(&args)
    };
    let first = put(1, "--if-new").object()["version"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(put(2, "--if-new").code, 2);
    let at = format!("--if-version {first}");
    assert_eq!(put(2, &at).code, 0);
    assert_eq!(put(3, &at).code, 2);
    assert_eq!(put(3, "--if-version 7").code, 2);
}

#[test]
fn recorded_time_can_be_asserted_and_never_runs_backwards() {
    let scene = Scene::new();
    scene.file("a", feature("a", 1.0, 1.0, "{}"));
    scene.ok("put net a --recorded-at 2010-06-01 --valid-from 2010-01-01");
    assert_eq!(
        scene
            .ok("query net --count --as-of 2010-05-31 --valid-at 2010-03-01")
            .out,
        "0\n"
    );
    assert_eq!(
        scene
            .ok("query net --count --as-of 2010-06-01 --valid-at 2010-03-01")
            .out,
        "1\n"
    );
    scene.file("b", feature("b", 1.0, 1.0, "{}"));
    let ran = scene.run("put net b --recorded-at 2010-05-01");
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("runs backwards"), "{}", ran.err);
    assert_eq!(scene.run("put net b --recorded-at 2999-01-01").code, 2);
}

#[test]
fn dates_are_days_of_their_time_zone() {
    let scene = Scene::new();
    scene.ok(&format!(
        "layer add net lokaal --kind register --time-zone {AMSTERDAM}"
    ));
    scene.file("a", feature("a", 1.0, 1.0, "{}"));
    let zone = format!("--time-zone {AMSTERDAM}");
    scene.ok(&format!(
        "put net a --layer lokaal --valid-from 2017-03-21 {zone}"
    ));
    let got = scene.ok("get net a --meta").object();
    assert_eq!(got["blocknet"]["valid_from"], "2017-03-21");
    assert_eq!(got["blocknet"]["valid_to"], json!(null));
    let count = |at: &str| scene.ok(&format!("query net --count --valid-at {at}")).out;
    assert_eq!(count("2017-03-20T22:59:59"), "0\n");
    assert_eq!(count("2017-03-20T23:00:00"), "1\n");
    assert_eq!(count(&format!("2017-03-21 {zone}")), "1\n");
    assert_eq!(count(&format!("2017-03-20T23:59:59 {zone}")), "0\n");
    let echo = scene
        .ok(&format!(
            "query net --count --json --as-of 2030-07-01 {zone}"
        ))
        .object();
    assert_eq!(echo["as_of"], "2030-07-01T21:59:59.999999Z");
    for time in ["2017-03-26T02:30:00", "2017-10-29T02:30:00"] {
        let ran = scene.run(&format!("query net --valid-at {time} {zone}"));
        assert_eq!(ran.code, 2, "{time} is in a clock change");
        assert!(ran.err.contains("clocks"), "{}", ran.err);
    }
}

#[test]
fn meta_is_one_more_member() {
    let scene = Scene::new();
    let put = feature("a", 1.0, 1.0, r#"{"h":12}"#);
    scene.file("a", &put);
    scene.ok("put net a --valid-from 2001-01-01 --valid-to 2050-01-01T12:00:00Z --height h");
    let line = scene.ok("query net --meta").out;
    assert!(line.starts_with(put.strip_suffix('}').unwrap()), "{line}");
    let object = scene.ok("query net --meta").object();
    let meta = &object["blocknet"];
    for key in [
        "layer",
        "id",
        "commit",
        "version",
        "recorded",
        "written",
        "basis",
        "geocode",
        "author",
        "reason",
        "source",
        "valid_from",
        "valid_to",
    ] {
        assert!(meta.get(key).is_some(), "{key}");
    }
    assert_eq!(
        (&meta["valid_from"], &meta["valid_to"]),
        (&json!("2001-01-01"), &json!("2050-01-01T12:00:00Z"))
    );
}

#[test]
fn the_presence_rule_of_a_layer_decides_what_appears() {
    let scene = Scene::new();
    scene.ok("layer add net pand --present-when status=use,rebuild");
    let list = scene.ok("layer list net --json").json();
    assert_eq!(list[1]["present_when"], "status=use,rebuild");
    assert_eq!(list[1]["name"], "pand");
    let states = [
        ("2001-01-01", "permit"),
        ("2002-01-01", "use"),
        ("2005-01-01", "rebuild"),
        ("2009-01-01", "gone"),
    ];
    for (from, status) in states {
        let state = feature("a", 1.0, 1.0, &format!(r#"{{"status":"{status}"}}"#));
        let args = [
            "put",
            "net",
            &state,
            "--layer",
            "pand",
            "--valid-from",
            from,
        ];
        assert_eq!(scene.args(&args).code, 0);
    }
    let kinds = |line: &str| -> Vec<String> {
        let lines = scene.ok(line).json();
        lines
            .iter()
            .map(|change| change["kind"].as_str().unwrap().to_owned())
            .collect()
    };
    let span = "--from 2000-01-01 --to 2020-01-01 --json";
    assert_eq!(
        kinds(&format!("replay net {span}")),
        ["appeared", "changed", "disappeared"]
    );
    assert_eq!(kinds(&format!("transients net {span}")), ["vanished"]);
    assert_eq!(kinds(&format!("diff net {span}")), Vec::<String>::new());
    assert_eq!(
        kinds(&format!("replay net {span} --present-when status=permit")),
        ["appeared", "disappeared"]
    );
    // A query shows every state unless asked.
    assert_eq!(scene.ok("query net --count").out, "1\n");
    assert_eq!(
        scene.ok("query net --count --present-when status=use").out,
        "0\n"
    );
    assert_eq!(scene.run("layer add net pand").code, 2);
    assert_eq!(scene.run("layer add net other --present-when x").code, 2);
    assert_eq!(scene.run("layer add net a,b").code, 2);
}

#[test]
fn changes_have_the_members_they_promise() {
    let scene = Scene::new();
    let house = |storeys: u32| feature("a", 1.0, 1.0, &format!(r#"{{"f":0,"h":{}}}"#, storeys * 3));
    for (from, storeys) in [("2001-01-01", 2), ("2002-01-01", 3), ("2003-01-01", 2)] {
        let state = house(storeys);
        let args = [
            "put",
            "net",
            &state,
            "--valid-from",
            from,
            "--floor",
            "f",
            "--height",
            "h",
        ];
        assert_eq!(scene.args(&args).code, 0);
    }
    let reverted = "transients net --from 2001-06-01 --to 2004-01-01 --reverted --json";
    let change = scene.ok(reverted).object();
    assert_eq!(
        keys(&change),
        [
            "after",
            "author",
            "before",
            "changed",
            "commit",
            "id",
            "kind",
            "layer",
            "reason",
            "recorded",
            "replaced_by",
            "source",
            "statement",
            "time",
            "until",
            "written"
        ]
    );
    assert_eq!(change["kind"], "reverted");
    assert_eq!(change["changed"], json!(["height", "properties"]));
    assert_eq!(
        (&change["time"], &change["until"]),
        (&json!("2002-01-01"), &json!("2003-01-01"))
    );
    assert!(change["after"].to_string().contains("\"h\":9"));
    let without = scene.ok(&reverted.replace(" --reverted", ""));
    assert_eq!(without.out, "");

    let replay = scene
        .ok("replay net --from 2000-01-01 --to 2003-01-01 --json")
        .json();
    assert_eq!(
        keys(&replay[0]),
        [
            "after",
            "author",
            "before",
            "changed",
            "commit",
            "id",
            "kind",
            "layer",
            "reason",
            "recorded",
            "source",
            "statement",
            "time",
            "written"
        ]
    );
    assert_eq!(replay.len(), 3, "the interval is closed at its end");
    assert_eq!(replay[0]["before"], json!(null));
    let later = scene
        .ok("replay net --from 2001-01-01 --to 2002-12-31 --json")
        .json();
    assert_eq!(later.len(), 1, "and open at its start");
    // Both axes: recorded just now, about 2002.
    let learned = "replay net --axis recorded --from 2000-01-01 --to now --valid-at 2002-06-01";
    assert_eq!(scene.ok(&format!("{learned} --json")).lines(), 2);
    for unused in [
        "--valid-at 2001-01-01",
        "--axis recorded --as-of 2001-01-01",
    ] {
        let line = format!("replay net --from 2000-01-01 --to 2003-01-01 {unused}");
        assert_eq!(scene.run(&line).code, 2, "{unused}");
    }
    assert_eq!(
        scene
            .run("replay net --from 2003-01-01 --to 2002-01-01")
            .code,
        2
    );
}

#[test]
fn what_stands_in_the_place_is_measured_by_shape() {
    let scene = Scene::new();
    let put = |feature: &str, times: &str| {
        let mut args = vec!["put", "net", feature];
        args.extend(times.split_whitespace());
        assert_eq!(scene.args(&args).code, 0);
    };
    let triangle = r#"{"type":"Feature","id":"new","properties":{},"geometry":{"type":"Polygon","coordinates":[[[1,1],[1.0001,1],[1,1.0001],[1,1]]]}}"#;
    put(
        &feature("old", 1.0, 1.0, "{}"),
        "--valid-from 2001-01-01 --valid-to 2002-01-01",
    );
    put(triangle, "--valid-from 2002-01-01");
    put(
        &feature("wall", 1.0001, 1.0, "{}"),
        "--valid-from 1990-01-01",
    );
    let change = scene
        .ok("transients net --from 2000-01-01 --to 2003-01-01 --json")
        .object();
    let replaced = change["replaced_by"].as_array().unwrap();
    assert_eq!(
        replaced.len(),
        1,
        "sharing a wall is not standing there: {replaced:?}"
    );
    assert_eq!(replaced[0]["id"], "new");
    let covered = replaced[0]["covered"].as_f64().unwrap();
    assert!((0.49..0.51).contains(&covered), "{covered}");
}

#[test]
fn geometry_decides_unless_the_extent_is_asked_for() {
    let scene = Scene::new();
    let triangle = r#"{"type":"Feature","id":"t","properties":{},"geometry":{"type":"Polygon","coordinates":[[[0,0],[1,0],[0,1],[0,0]]]}}"#;
    scene.args(&["put", "net", triangle]);
    let count = |rest: &str| scene.ok(&format!("query net --count --bbox {rest}")).out;
    assert_eq!(count("0.8,0.8,2,2"), "0\n");
    assert_eq!(count("0.5,0.5,2,2"), "1\n");
    assert_eq!(count("0.8,0.8,2,2 --match extent"), "1\n");
    assert_eq!(count("-1,-1,1,1 --match within"), "1\n");
    assert_eq!(count("-1,-1,0.9,1 --match within"), "0\n");
}

#[test]
fn a_store_can_have_other_geocodes() {
    let scene = Scene::bare();
    let made = scene
        .ok("create net --curve hilbert --planar-digits 12 --block-digits 6 --json")
        .object();
    assert_eq!(made["spec"]["planar_digits"], 12);
    assert_eq!(made["spec"]["block_digits"], 6);
    scene.file("a", feature("a", 1.0, 1.0, "{}"));
    scene.ok("put net a");
    let stats = scene.ok("stats net --json").object();
    assert_eq!(
        (&stats["entities"], &stats["blocks"]),
        (&json!(1), &json!(1))
    );
    for key in [
        "commits",
        "versions",
        "live",
        "levels",
        "journal_bytes",
        "tables_bytes",
        "layers",
    ] {
        assert!(stats.get(key).is_some(), "{key}");
    }
    assert_eq!(scene.run("create other --planar-digits 200").code, 2);
}
