//! Arguments, exit codes, streams.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use super::support::{Scene, feature};

#[test]
fn help_and_version_are_answers_and_wrong_arguments_are_not() {
    let scene = Scene::bare();
    for line in [
        "--help",
        "--version",
        "help import",
        "replay --help",
        "explain --help",
        "track -h",
    ] {
        let ran = scene.ok(line);
        assert!(!ran.out.is_empty() && ran.err.is_empty(), "{line}");
    }
    let help = scene.ok("transients --help").out;
    for words in ["closed at --to", "as the store knew it --as-of"] {
        assert!(help.replace('\n', " ").contains(words), "{words}");
    }
    for line in [
        "",
        "nonsense",
        "query",
        "import net",
        "put net f --correct --retract",
    ] {
        let ran = scene.run(line);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{line}");
        assert!(!ran.err.is_empty());
    }
}

#[test]
fn negative_numbers_are_numbers_and_mistyped_flags_are_reported() {
    let scene = Scene::new();
    scene.file("f.geojsonl", feature("a", -74.0, 40.7, "{}"));
    scene.ok("import net f.geojsonl");
    for (area, count) in [
        ("--bbox -74.1,40.6,-73.9,40.8", "1\n"),
        ("--bbox=-74.1,40.6,-73.9,40.8", "1\n"),
        ("--bbox -74.1,-40.6,-73.9,-40.5", "0\n"),
        ("--bbox -74.1,40.6,-10,-73.9,40.8,-5", "1\n"),
        ("--altitude -10..-5", "1\n"),
        ("--altitude -10..-5 --unknown-height exclude", "0\n"),
        // Across the antimeridian, the long way round to Manhattan and the short way past it.
        ("--bbox 170,40,-73,41", "1\n"),
        ("--bbox 170,40,-170,41", "0\n"),
    ] {
        assert_eq!(
            scene.ok(&format!("query net {area} --count")).out,
            count,
            "{area}"
        );
    }
    for (line, word) in [
        ("query net --bbx 1,2,3,4", "--bbx"),
        ("query net --bbox --json", "--json"),
        ("query net --bbox --count", "--count"),
        ("query net --altitude --count", "--count"),
        ("query net --bbox 1,2,3", "W,S,E,N"),
        ("query net --bbox 1,5,2,4", "south"),
        ("query net --bbox 200,5,2,6", "west"),
        ("query net --bbox 0,0,1,1,1,2 --altitude 1..2", "altitude"),
        ("query net --layer nonsense", "main"),
        ("query net --valid-at yesterday", "--valid-at"),
        ("query net --as-of commit:x", "commit:12"),
        ("query net --time-zone Mars/Olympus", "--time-zone"),
        ("query net --present-when status", "PROP=VALUE"),
        ("geocode encode --jsn", "--jsn"),
    ] {
        let ran = scene.run(line);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{line}");
        assert!(ran.err.contains(word), "{line}: {}", ran.err);
    }
}

#[test]
fn an_unknown_id_is_1_an_empty_answer_0_and_no_store_2() {
    let scene = Scene::new();
    for line in [
        "get net nobody",
        "history net nobody",
        "get net nobody --json",
    ] {
        let ran = scene.run(line);
        assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{line}");
        assert!(ran.err.contains("nobody"));
    }
    assert_eq!(scene.ok("query net").out, "");
    assert_eq!(scene.ok("query net --count").out, "0\n");
    for line in ["stats", "query", "layer list"] {
        let ran = scene.run(&format!("{line} elsewhere"));
        assert_eq!(ran.code, 2);
        assert!(ran.err.contains("elsewhere"), "{}", ran.err);
    }
    assert_eq!(scene.run("create net").code, 2);
}

#[test]
fn exit_code_1_means_something_was_found_only_when_asked_for() {
    let scene = Scene::new();
    let span = "--from 2000-01-01 --to 2002-01-01";
    for command in ["diff", "transients"] {
        assert_eq!(
            scene.run(&format!("{command} net {span} --exit-code")).code,
            0
        );
    }
    let put = |time: &str| format!("--valid-from {time}");
    scene.file("a", feature("a", 1.0, 1.0, "{}"));
    scene.ok(&format!("put net a {}", put("2001-01-01")));
    assert_eq!(scene.run(&format!("diff net {span}")).code, 0);
    assert_eq!(scene.run(&format!("diff net {span} --exit-code")).code, 1);
    assert_eq!(
        scene
            .run(&format!("transients net {span} --exit-code"))
            .code,
        0
    );
    scene.ok(&format!("remove net a {}", put("2001-06-01")));
    assert_eq!(scene.run(&format!("diff net {span} --exit-code")).code, 0);
    assert_eq!(
        scene
            .run(&format!("transients net {span} --exit-code"))
            .code,
        1
    );
    assert_eq!(scene.run(&format!("replay net {span} --exit-code")).code, 2);
}

#[test]
fn a_reader_that_leaves_early_is_no_failure() {
    let scene = Scene::new();
    let lines: Vec<String> = (0..3000)
        .map(|n| feature(&n.to_string(), f64::from(n) / 100.0, 1.0, "{}"))
        .collect();
    scene.file("many", lines.join("\n"));
    scene.ok("import net many");
    let mut child = scene
        .command()
        .args(["query", "net"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::with_capacity(16, child.stdout.take().unwrap())
        .read_line(&mut first)
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(!err.contains("panicked") && !err.contains("error"), "{err}");
}

#[test]
fn commands_that_read_change_no_byte() {
    let scene = Scene::new();
    scene.file("a", feature("a", 1.0, 1.0, r#"{"h":1}"#));
    scene.ok("import net a");
    let before = scene.files("net");
    for line in [
        "get net a",
        "get net a --meta",
        "history net a",
        "query net",
        "query net --count --json",
        "query net --near 1,1 --nearest 1",
        "explain net --analyze",
        "explain net --from 2000-01-01 --to now",
        "track net --from 2000-01-01 --to now",
        "replay net --from 2000-01-01 --to now",
        "diff net --from 2000-01-01 --to now --axis recorded",
        "transients net --from 2000-01-01 --to now",
        "stats net",
        "layer list net",
        "geocode --store net encode 1,2",
    ] {
        scene.ok(line);
        assert!(scene.files("net") == before, "{line} changed the store");
    }
}

#[test]
fn output_is_plain_when_nobody_watches() {
    let scene = Scene::new();
    let ran = scene.ok("stats net");
    assert!(!ran.out.contains('\x1b') && !ran.err.contains('\x1b'));
    let ran = scene.run("query net --bbx 1");
    assert!(!ran.err.contains('\x1b'));
}

#[test]
fn geocodes_go_both_ways() {
    let scene = Scene::bare();
    let code = scene
        .ok("geocode encode -73.9857,40.7484,320.5 --json")
        .object();
    let text = code["geocode"].as_str().unwrap();
    assert!(text.starts_with(code["block"].as_str().unwrap()));
    let place = scene.ok(&format!("geocode decode {text} --json")).object();
    let bounds: Vec<f64> = place["bounds"]
        .as_array()
        .unwrap()
        .iter()
        .map(|n| n.as_f64().unwrap())
        .collect();
    assert!(bounds[0] <= -73.9857 && -73.9857 <= bounds[2]);
    assert!(bounds[1] <= 40.7484 && 40.7484 <= bounds[3]);
    assert!(place["altitude"][0].as_f64().unwrap() <= 320.5);
    let block = code["block"].as_str().unwrap();
    let around = scene
        .ok(&format!("geocode neighbours {block} --json"))
        .object();
    let east = around["east"].as_str().unwrap();
    let back = scene
        .ok(&format!("geocode neighbours {east} --json"))
        .object();
    assert_eq!(back["west"].as_str(), Some(block));
    assert_eq!(scene.run("geocode encode 1,2,3,4").code, 2);
    assert_eq!(scene.run("geocode encode 1,91").code, 2);
    assert_eq!(scene.run("geocode decode xyz").code, 2);
}

#[test]
fn the_demo_tells_its_story() {
    let scene = Scene::bare();
    let told = scene.ok("demo city").out;
    for words in [
        "reverted",
        "vanished",
        "no permit found in this store",
        "P-2019-0017",
    ] {
        assert!(told.contains(words), "{words}");
    }
    assert_eq!(scene.run("demo city").code, 2, "the directory is taken");
    let other = scene.ok("demo other --json").object();
    assert_eq!(other["kept"], true);
    let history = |city: &str| scene.ok(&format!("history {city} B-0147")).out;
    assert_eq!(history("city"), history("other"));
    let gone = scene.ok("demo --json").object();
    assert!(!std::path::Path::new(gone["dir"].as_str().unwrap()).exists());
}
