//! `verify`: what it finds, in words, in JSON and in exit codes.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::support::{Scene, feature, keys};

/// A store with several commits, closed.
pub(crate) fn scene() -> Scene {
    let scene = Scene::new();
    for (file, storeys) in [("a", 1), ("b", 2), ("c", 3)] {
        let street = (0..20_i32).map(|n| {
            let x = 6.1 + f64::from(n) * 0.002;
            let properties = format!("{{\"storeys\":{storeys}}}");
            feature(&format!("house-{n}"), x, 52.0, &properties)
        });
        scene.file(file, street.collect::<Vec<_>>().join("\n"));
        scene.ok(&format!("import net {file}"));
    }
    scene
}

pub(crate) fn segment(scene: &Scene) -> PathBuf {
    scene.path("net/journal/0000000000000001.wal")
}

pub(crate) fn flip(path: &PathBuf, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// Where a commit stands in the journal, by what `dump` says.
pub(crate) fn place(scene: &Scene, commit: u64) -> (u64, u64) {
    let line = format!("dump net journal --commit {commit} --json");
    let frame = scene.ok(&line).object();
    (
        frame["offset"].as_u64().unwrap(),
        frame["len"].as_u64().unwrap(),
    )
}

fn findings(report: &Value) -> &Vec<Value> {
    report["findings"].as_array().unwrap()
}

#[test]
fn a_clean_store_is_clean_in_words_in_json_and_by_exit_code() {
    let scene = scene();
    let before = scene.files("net");
    let ran = scene.ok("verify net");
    assert!(ran.out.contains("result: clean"), "{}", ran.out);
    assert!(ran.out.contains("checkpoint kept elsewhere"), "{}", ran.out);
    assert!(
        !ran.out.contains("tampered") && ran.err.is_empty(),
        "{ran:?}"
    );
    let report = scene.ok("verify net --json").object();
    assert_eq!(scene.ok("verify net --full --json").object(), report);
    assert_eq!(scene.files("net"), before);
    assert_eq!(
        keys(&report),
        [
            "against",
            "asserted_commits",
            "checked",
            "complete",
            "erased_versions",
            "error",
            "exit",
            "findings",
            "findings_dropped",
            "freshness",
            "mode",
            "result",
            "schema",
            "skipped",
            "store",
            "summary"
        ]
    );
    assert_eq!(report["schema"], "blocknet.verify/1");
    assert_eq!(
        (&report["mode"], &report["result"]),
        (&json!("full"), &json!("clean"))
    );
    assert_eq!(
        (&report["exit"], &report["complete"]),
        (&json!(0), &json!(true))
    );
    assert_eq!(report["store"], scene.ok("stats net --json").object()["id"]);
    assert_eq!(
        (&report["findings"], &report["skipped"]),
        (&json!([]), &json!([]))
    );
    let stats = scene.ok("stats net --json").object();
    let checked = &report["checked"];
    assert_eq!(checked["frames"], stats["commits"]);
    assert_eq!(checked["versions"], stats["versions"]);
    assert_eq!(checked["segments"], 1);
    assert!(checked["kv"].as_u64().unwrap() > 100 && checked["genes"].as_u64().unwrap() > 0);
    let freshness = &report["freshness"];
    assert_eq!(freshness["state"], "unanchored");
    assert_eq!(freshness["head_seq"], stats["commits"]);
    assert_eq!(freshness["head_hash"].as_str().unwrap().len(), 64);
    assert_eq!(
        (&freshness["anchor_size"], &freshness["frames_since_anchor"]),
        (&Value::Null, &Value::Null)
    );
    let summary = json!({"errors": 0, "repairable": 0, "unrepairable": 0, "torn_tail": false});
    assert_eq!(report["summary"], summary);
}

#[test]
fn quick_is_never_zero() {
    let scene = scene();
    let ran = scene.run("verify net --quick");
    assert_eq!(ran.code, 8, "{ran:?}");
    assert!(ran.out.contains("not checked:") && ran.out.contains("result: incomplete"));
    let report = scene.run("verify net --quick --json").object();
    assert_eq!(
        (&report["mode"], &report["result"]),
        (&json!("quick"), &json!("incomplete"))
    );
    assert_eq!(
        (&report["exit"], &report["complete"]),
        (&json!(8), &json!(false))
    );
}

#[test]
fn of_an_area_what_is_filed_there_is_checked_and_the_rest_is_said_to_be_left() {
    let scene = scene();
    let before = scene.files("net");
    let exits = |code, line: &str| {
        let ran = scene.run(line);
        assert_eq!(ran.code, code, "{line}: {ran:?}");
        ran
    };
    let ran = exits(8, "verify net --area 6.0999,51.999,6.1101,52.001");
    assert!(ran.out.contains("filed in the 6 blocks"), "{}", ran.out);
    let report = exits(8, "verify net --area 6.0999,51.999,6.1101,52.001 --json").object();
    let all = scene.ok("verify net --json").object();
    assert_eq!(report["mode"], "area");
    assert_eq!(report["result"], "incomplete");
    assert_eq!(report["summary"]["errors"], 0);
    assert_eq!(report["checked"]["frames"], all["checked"]["frames"]);
    let rows = |report: &Value| report["checked"]["kv"].as_u64().unwrap();
    assert!(
        (20..rows(&all) / 3).contains(&rows(&report)),
        "{report} {all}"
    );
    // Polygons of a file; one in which nothing is.
    let square = |x: f64| {
        format!(
            "{{\"type\":\"Polygon\",\"coordinates\":[[[{x},51.9],[{y},51.9],[{y},52.1],[{x},52.1],[{x},51.9]]]}}",
            y = x + 0.01
        )
    };
    scene.file("here", square(6.1));
    scene.file("away", square(7.1));
    assert!(rows(&exits(8, "verify net --area here --json").object()) > 20);
    let away = exits(8, "verify net --area away --json").object();
    assert_eq!(rows(&away), 0);
    assert_eq!(before, scene.files("net"));
    for line in [
        "verify net --area 6,52",
        "verify net --area 6.1,52.1,6.2,51.9",
        "verify net --area here --quick",
        "verify net --area here --against here",
    ] {
        exits(16, line);
    }
}

#[test]
fn a_flipped_byte_of_the_journal_is_found_and_placed() {
    let scene = scene();
    let (offset, len) = place(&scene, 3);
    flip(&segment(&scene), usize::try_from(offset + 200).unwrap());
    let before = scene.files("net");
    let ran = scene.run("verify net --json");
    assert_eq!(ran.code, 4, "{ran:?}");
    assert_eq!(scene.files("net"), before);
    let report = ran.object();
    assert_eq!(
        (&report["result"], &report["exit"]),
        (&json!("damaged"), &json!(4))
    );
    let found = findings(&report);
    let found = found
        .iter()
        .find(|finding| finding["severity"] == "error")
        .unwrap();
    assert_eq!(
        keys(found),
        [
            "actual",
            "block",
            "code",
            "copy",
            "entity",
            "expected",
            "file",
            "key",
            "len",
            "offset",
            "repairable",
            "seq",
            "severity",
            "source",
            "table",
            "text",
            "version"
        ]
    );
    assert_eq!(found["code"], "FRAME_BODY");
    assert_eq!(
        (&found["copy"], &found["seq"]),
        (&json!("journal"), &json!(3))
    );
    assert_eq!(found["file"], "journal/0000000000000001.wal");
    assert_eq!(
        (&found["offset"], &found["len"]),
        (&json!(offset), &json!(len))
    );
    assert_eq!(
        (&found["repairable"], &found["source"]),
        (&json!(true), &json!("tables"))
    );
    let ran = scene.run("verify net");
    assert_eq!(ran.code, 4);
    let text = found["text"].as_str().unwrap();
    assert!(ran.out.contains(&format!("error: {text}")), "{}", ran.out);
    assert!(
        ran.out
            .contains("result: damaged: 1 error, 1 can be had back, 0 cannot")
    );
    // What opening refuses can be verified all the same.
    assert_eq!(scene.run("query net").code, 2);
}

#[test]
fn a_flipped_byte_of_a_table_is_found_with_table_and_file() {
    let scene = scene();
    // The largest file is one with many rows: a byte in its first block.
    let largest = fs::read_dir(scene.path("net/tables"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().extension().is_some_and(|end| end == "sst"))
        .max_by_key(|entry| entry.metadata().unwrap().len())
        .unwrap()
        .path();
    flip(&largest, 100);
    let before = scene.files("net");
    let ran = scene.run("verify net --json");
    assert_eq!(ran.code & 4, 4, "{ran:?}");
    assert_eq!(scene.files("net"), before);
    let report = ran.object();
    let name = format!("tables/{}", largest.file_name().unwrap().to_str().unwrap());
    let found = findings(&report)
        .iter()
        .find(|finding| finding["code"] == "SST_CHECKSUM");
    let found = found.unwrap_or_else(|| panic!("{report:#}"));
    assert_eq!(found["file"], name.as_str());
    assert!(found["table"].is_string());
    assert_eq!(found["source"], "journal");
}

#[test]
fn missing_tables_and_missing_segments_are_damage_and_leave_a_gap() {
    let without_tables = scene();
    fs::remove_dir_all(without_tables.path("net/tables")).unwrap();
    let ran = without_tables.run("verify net --json");
    assert_eq!(ran.code, 12, "{ran:?}");
    let report = ran.object();
    assert_eq!(findings(&report)[0]["code"], "ROCKS_META");
    assert_eq!(report["complete"], false);
    assert!(!without_tables.path("net/tables").exists());

    let without_segment = scene();
    fs::remove_file(segment(&without_segment)).unwrap();
    let ran = without_segment.run("verify net --json");
    assert_eq!(ran.code & 4, 4, "{ran:?}");
    let report = ran.object();
    let missing = findings(&report)
        .iter()
        .find(|finding| finding["code"] == "SEG_MISSING");
    let missing = missing.unwrap_or_else(|| panic!("{report:#}"));
    assert_eq!(missing["file"], "journal/0000000000000001.wal");
    assert_eq!(report["store"].as_str().unwrap().len(), 32);
}

#[test]
fn a_lock_or_no_store_at_all_is_8_and_wrong_arguments_are_16() {
    let scene = scene();
    let lock = fs::File::options()
        .write(true)
        .open(scene.path("net/LOCK"))
        .unwrap();
    lock.lock().unwrap();
    let ran = scene.run("verify net");
    assert_eq!((ran.code, ran.out.as_str()), (8, ""), "{ran:?}");
    assert!(ran.err.contains("open in another process"), "{}", ran.err);
    let ran = scene.run("verify net --json");
    let report = ran.object();
    assert_eq!(
        (ran.code, &report["exit"], &report["store"]),
        (8, &json!(8), &Value::Null)
    );
    assert!(
        report["error"]
            .as_str()
            .unwrap()
            .contains("open in another process")
    );
    assert_eq!(
        report["skipped"],
        json!(["everything: the store is locked"])
    );
    drop(lock);
    assert_eq!(scene.run("verify net").code, 0);

    for dir in ["elsewhere", "a"] {
        let ran = scene.run(&format!("verify {dir}"));
        assert_eq!(ran.code, 8, "{ran:?}");
        assert!(ran.err.contains(dir), "{}", ran.err);
    }
    for line in [
        "verify",
        "verify net --quick --full",
        "verify net --nonsense",
        "--json verify",
    ] {
        let ran = scene.run(line);
        assert_eq!((ran.code, ran.out.as_str()), (16, ""), "{line}");
        assert!(!ran.err.is_empty());
    }
    let help = scene.ok("verify --help").out.replace('\n', " ");
    assert!(help.contains("16 wrong arguments"), "{help}");
}

#[test]
fn a_verdict_that_nobody_hears_is_not_zero() {
    use std::process::Stdio;
    let scene = scene();
    let mut child = scene
        .command()
        .args(["verify", "net"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(8));
}
