//! `blocknet net`: the net of the paper, without a store.

use std::fs;

use serde_json::{Value, json};

use super::support::Scene;

fn sum(numbers: &Value) -> u64 {
    let numbers = numbers.as_array().unwrap().iter();
    numbers.map(|number| number.as_u64().unwrap()).sum()
}

fn mean_of(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

#[test]
fn one_source_gives_the_figures_of_the_paper() {
    let scene = Scene::bare();
    for (size, middle) in [(3_u64, "1,1"), (101, "50,50")] {
        let line = format!("net simulate --size {size} --sources 1 --json");
        let net = scene.ok(&line).object();
        let blocks = size * size;
        for (field, value) in [
            ("version", json!(1)),
            ("size", json!(size)),
            ("dimensions", json!(2)),
            ("mode", json!("synchronous")),
            ("speeds", json!([1.0])),
            ("blocks", json!(blocks)),
            ("links", json!(2 * size * (size - 1))),
            ("out_degree_zero", json!(4)),
            ("registry", json!(4)),
            ("two_way_pairs", json!(0)),
            ("acyclic", json!(true)),
            ("rounds", json!(size - 1)),
            ("islands", json!(1)),
            ("cross_flow_refused", json!(0)),
        ] {
            assert_eq!(net[field], value, "{size}: {field}");
        }
        let sources = net["sources"].as_array().unwrap();
        assert_eq!(sources.len(), 1);
        for (field, value) in [
            ("block", json!(middle)),
            ("in_degree", json!(0)),
            ("out_degree", json!(4)),
            ("territory", json!(blocks)),
        ] {
            assert_eq!(sources[0][field], value, "{size}: {field}");
        }
        let side = f64::from(u32::try_from(size).unwrap());
        let degree = 2.0 * (side - 1.0) / side;
        for field in ["in_degree_mean", "out_degree_mean"] {
            assert!(
                (mean_of(&net[field]) - degree).abs() < 1e-9,
                "{size}: {field}"
            );
        }
        // Degrees, safety and distances each take in every block.
        assert_eq!(sum(&net["in_degree"]), blocks);
        assert_eq!(sum(&net["out_degree"]), blocks);
        assert_eq!(net["in_degree"].as_array().unwrap().len(), 5);
        for field in [
            "safety",
            "safety_by_distance",
            "safety_by_in_degree",
            "safety_by_out_degree",
        ] {
            let rows = net[field].as_array().unwrap().iter();
            let counts = Value::Array(rows.map(|row| row["blocks"].clone()).collect());
            assert_eq!(sum(&counts), blocks, "{size}: {field}");
        }
        // Safety falls by one with each step from the source, to nothing at the corners.
        for (distance, row) in net["safety_by_distance"]
            .as_array()
            .unwrap()
            .iter()
            .enumerate()
        {
            let left = side - 1.0 - f64::from(u32::try_from(distance).unwrap());
            assert_eq!(row["distance"], json!(distance));
            assert!((mean_of(&row["safety_mean"]) - left).abs() < 1e-9);
            assert!((mean_of(&row["shortest_mean"]) - left).abs() < 1e-9);
        }
    }
}

#[test]
fn a_fast_source_is_held_back_by_synchronous_rounds() {
    let scene = Scene::bare();
    let run = |mode: &str| {
        let line = "net simulate --size 101 --sources 4 --speeds 1,1,1,4 --json --mode";
        scene.ok(&format!("{line} {mode}")).object()
    };
    let (free, even) = (run("free"), run("synchronous"));
    assert_eq!(
        (&free["mode"], &even["mode"]),
        (&json!("free"), &json!("synchronous"))
    );
    let field = |net: &Value, source: usize, field: &str| mean_of(&net["sources"][source][field]);
    let within = "safety_within_territory_mean";
    for slow in 0..3 {
        assert!(field(&free, 3, "territory") > 2.0 * field(&free, slow, "territory"));
        assert!(field(&free, slow, "territory") < field(&even, slow, "territory"));
        assert!(field(&free, slow, within) < field(&even, slow, within));
        assert!(field(&even, slow, "territory") < 1.05 * field(&even, 3, "territory"));
    }
    let text = scene
        .ok("net simulate --size 101 --sources 4 --speeds 1,1,1,4")
        .out;
    for words in [
        "10,201",
        "75,75",
        "█",
        "In synchronous rounds a fast source waits",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let text = scene
        .ok("net simulate --size 101 --sources 4 --mode free")
        .out;
    assert!(!text.contains("waits"), "equal speeds: nothing to compare");
}

#[test]
fn three_dimensions_have_six_sides() {
    let scene = Scene::bare();
    let net = scene
        .ok("net simulate --size 11 --dimensions 3 --json")
        .object();
    assert_eq!(net["links"], json!(3 * 121 * 10));
    assert_eq!(net["sources"][0]["block"], json!("5,5,5"));
    assert_eq!(net["sources"][0]["out_degree"], json!(6));
    assert_eq!(net["registry"], json!(8));
    assert_eq!(net["in_degree"].as_array().unwrap().len(), 7);
}

#[test]
fn the_smallest_net_is_reported_too() {
    let scene = Scene::bare();
    let net = scene.ok("net simulate --size 1 --json").object();
    assert_eq!((&net["blocks"], &net["links"]), (&json!(1), &json!(0)));
    scene.ok("net simulate --size 1 --svg one.svg");
}

#[test]
fn wrong_arguments_are_refused_with_a_message() {
    let scene = Scene::bare();
    for (arguments, words) in [
        ("", "--size"),
        ("--size 0", "size 0"),
        ("--size x", "--size"),
        ("--size 5000", "20000000"),
        ("--size 5 --sources 0", "0 sources"),
        ("--size 5 --sources 26", "1 to 25"),
        ("--size 5 --dimensions 4", "--dimensions"),
        ("--size 5 --mode fast", "--mode"),
        ("--size 5 --sources 2 --speeds 1", "1 speeds for 2 sources"),
        ("--size 5 --sources 2 --speeds 1,x", "--speeds"),
        ("--size 5 --sources 2 --speeds 1,0", "speed 0"),
        ("--size 5 --sources 2 --speeds 1,NaN", "NaN"),
        ("--size 5 --svg nowhere/net.svg", "nowhere/net.svg"),
    ] {
        let ran = scene.run(&format!("net simulate {arguments}"));
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{arguments}");
        assert!(ran.err.contains(words), "{arguments}: {}", ran.err);
    }
}

#[test]
fn a_picture_is_a_new_svg_file() {
    let scene = Scene::bare();
    for (name, arguments, words) in [
        ("small.svg", "--size 7 --sources 2", "<polygon"),
        (
            "middle.svg",
            "--size 60 --sources 3 --mode free --speeds 1,2,3",
            "speed 3",
        ),
        ("coarse.svg", "--size 300 --sources 20", "2 by 2 blocks"),
        ("cube.svg", "--size 9 --dimensions 3", "Layer 4 of 0 to 8"),
    ] {
        scene.ok(&format!("net simulate {arguments} --svg {name}"));
        let picture = fs::read_to_string(scene.path(name)).unwrap();
        assert!(picture.starts_with("<svg"), "{name}");
        assert!(picture.trim_end().ends_with("</svg>"), "{name}");
        assert!(picture.contains(words), "{name}: {words}");
        assert!(picture.len() < 3_000_000, "{name}: {}", picture.len());
        assert_eq!(
            picture.contains("<polygon"),
            name == "small.svg" || name == "cube.svg"
        );
    }
    let before = fs::read(scene.path("small.svg")).unwrap();
    let ran = scene.run("net simulate --size 3 --svg small.svg");
    assert_eq!((ran.code, ran.out.as_str()), (2, ""));
    assert!(
        ran.err.contains("small.svg: the file exists"),
        "{}",
        ran.err
    );
    assert_eq!(fs::read(scene.path("small.svg")).unwrap(), before);
}
