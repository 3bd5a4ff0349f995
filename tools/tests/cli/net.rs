//! `blocknet net`: stored nets, and the net of the paper without a store.

use std::fs;

use serde_json::{Value, json};

use super::support::{Scene, feature, keys};

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

/// A town of three by three blocks, its middle changed once.
fn town() -> Scene {
    let scene = Scene::new();
    let (width, height) = (360.0 / 262_144.0, 180.0 / 262_144.0);
    let houses: Vec<String> = (0..9_u8)
        .map(|n| {
            let (x, y) = (f64::from(n % 3), f64::from(n / 3));
            let (x, y) = ((100.4 + x) * width, (100.4 + y) * height);
            feature(&format!("h{n}"), x, y, "{}")
        })
        .collect();
    scene.file("town", houses.join("\n"));
    scene.ok("import net town");
    scene.file("again", houses[4].replace("{}", r#"{"storeys":2}"#));
    scene.ok("import net again");
    scene
}

/// The block in the middle, in the south-western corner and beyond the town.
const MIDDLE: &str = "0.1395,0.0697";
const CORNER: &str = "0.138,0.069";

#[test]
fn a_stored_net_is_counted_like_a_simulated_one() {
    let scene = town();
    let stored = scene.ok("net stats net --json").object();
    let simulated = scene
        .ok("net simulate --size 3 --sources 1 --json")
        .object();
    for member in [
        "blocks",
        "links",
        "in_degree",
        "out_degree",
        "in_degree_mean",
        "out_degree_mean",
        "out_degree_zero",
        "registry",
        "two_way_pairs",
        "acyclic",
        "rounds",
        "safety",
        "safety_by_distance",
        "safety_by_out_degree",
    ] {
        assert_eq!(stored[member], simulated[member], "{member}");
    }
    for (member, value) in [
        ("version", json!(1)),
        ("supervised", json!(9)),
        ("supervised_share", json!(1.0)),
        ("versions", json!(19)),
    ] {
        assert_eq!(stored[member], value, "{member}");
    }
    let share = stored["registry_share"].as_f64().unwrap();
    assert!((share - 4.0 / 9.0).abs() < 1e-12);
    let covered = stored["gene_covered_share"].as_f64().unwrap();
    assert!(covered > 0.0 && covered < 1.0);
    let text = scene.ok("net stats net").out;
    assert!(text.contains("blocks supervised") && text.contains("100.0%"));
}

#[test]
fn a_block_shows_who_holds_what_of_it_now_and_then() {
    let scene = town();
    let block = |line: &str| scene.ok(&format!("net block net --json {line}")).object();
    let middle = block(&format!("--at {MIDDLE}"));
    assert_eq!(
        (&middle["round"], &middle["source"], &middle["versions"]),
        (&json!(0), &middle["block"], &json!(3))
    );
    assert_eq!(
        (&middle["supervised"], &middle["supervised_by"]),
        (&json!(true), &json!("successors"))
    );
    assert_eq!(middle["predecessors"], json!([]));
    let successors = middle["successors"].as_array().unwrap();
    assert_eq!(successors.len(), 4);
    for successor in successors {
        assert_eq!(successor["holds"]["hash"], middle["hash"]);
    }
    assert_eq!(
        middle["safety"],
        json!({"longest":2,"shortest":2,"supervisors":4,"in_registry":false,"descendants":8})
    );
    // Before the change: another hash, and what others held then is not kept.
    let before = block(&format!("--at {MIDDLE} --as-of commit:3"));
    assert_eq!(before["hash"], middle["previous"]);
    assert_eq!(before["supervised"], json!(null));
    assert!(!keys(&before["successors"][0]).contains(&"holds"));
    let corner = block(&format!("--at {CORNER}"));
    assert_eq!(
        (&corner["supervised_by"], &corner["supervised"]),
        (&json!("registry"), &json!(true))
    );
    assert_eq!(corner["genes"].as_array().unwrap().len(), 2);
    let by_name = corner["block"].as_str().unwrap();
    assert_eq!(block(by_name), corner);
    let text = scene.ok(&format!("net block net {by_name}")).out;
    assert!(text.contains("by registry, with its newest hash"), "{text}");

    let ran = scene.run("net block net 000000000");
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("no block"), "{}", ran.err);
    for line in [
        "net block net 12",
        "net block net xyz",
        "net block net",
        "net block net --at 1",
        "net block net --at 500,1",
        "net block net 000000000 --as-of commit:99",
        "net block net 000000000 --as-of yesterday",
    ] {
        assert_eq!(scene.run(line).code, 2, "{line}");
    }
}

#[test]
fn walks_go_outward_to_what_builds_on_a_block_and_inward_to_its_source() {
    let scene = town();
    let walk = |line: &str| scene.ok(&format!("net walk net --json {line}")).json();
    let outward = walk(&format!("--at {MIDDLE}"));
    let steps: Vec<u64> = outward
        .iter()
        .map(|step| step["steps"].as_u64().unwrap())
        .collect();
    assert_eq!(steps, [0, 1, 1, 1, 1, 2, 2, 2, 2]);
    let inward = walk(&format!("--at {CORNER} --inward"));
    assert_eq!(inward.len(), 4);
    assert_eq!(inward[3]["block"], outward[0]["block"]);
    assert_eq!(walk(&format!("--at {MIDDLE} --steps 1")).len(), 5);
    assert_eq!(walk(&format!("--at {MIDDLE} --limit 3")).len(), 3);
    assert_eq!(scene.run("net walk net 000000000").code, 1);
}

#[test]
fn the_registry_lists_what_nobody_supervises() {
    let scene = town();
    let edges = scene.ok("net edges net --json").json();
    assert_eq!(edges.len(), 5, "four corners and the head");
    let head = &edges[4];
    assert_eq!(head["blocks"], json!(4));
    let corner = scene.ok(&format!("net block net --json --at {CORNER}"));
    assert!(
        edges
            .iter()
            .any(|edge| edge["block"] == corner.object()["block"]
                && edge["hash"] == corner.object()["hash"])
    );
    // The middle is not at the edge: its change left the registry alone.
    let before = scene.ok("net edges net --json --as-of commit:3").json();
    assert_eq!(before[4]["registry_head"], head["registry_head"]);
    assert_eq!(before[..4], edges[..4]);
    let none = scene.ok("net edges net --json --as-of commit:1").json();
    assert_eq!(none[0]["registry_head"], json!("0".repeat(64)));
}

#[test]
fn blocks_may_be_split_into_bands() {
    let scene = Scene::bare();
    let made = scene.ok("create net --band-digits 3 --json").object();
    assert_eq!(made["spec"]["band_digits"], json!(3));
    let tower = |id: &str, floor: u32| {
        feature(id, 4.9, 52.4, &format!(r#"{{"floor":{floor},"height":3}}"#))
    };
    // Three storeys, 41 m to a band: two bands.
    let lines = [tower("a", 0), tower("b", 10), tower("c", 60)];
    scene.file("tower", lines.join("\n"));
    scene.ok("import net tower --floor floor --height height");
    let stats = scene.ok("net stats net --json").object();
    assert_eq!(
        (&stats["blocks"], &stats["links"], &stats["islands"]),
        (&json!(2), &json!(1), &json!(1))
    );
    assert_eq!(stats["in_degree"].as_array().unwrap().len(), 7);
    let block = scene.ok("net block net --json --at 4.9,52.4,61").object();
    assert!(block["block"].as_str().unwrap().contains('-'));
    assert_eq!(block["rows"], json!(1));
}
