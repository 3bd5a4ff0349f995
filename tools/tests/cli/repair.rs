//! `repair`: what it says, what it does, and its exit codes.

use std::fs;
use std::path::PathBuf;

use serde_json::json;

use super::verify::{flip, place, scene, segment};

#[test]
fn a_clean_store_needs_nothing() {
    let scene = scene();
    let before = scene.files("net");
    for line in ["repair net", "repair net --apply"] {
        let ran = scene.run(line);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(ran.out.contains("result: clean"), "{}", ran.out);
    }
    // A writer leaves its number.
    let without_lock = |mut files: Vec<(PathBuf, Vec<u8>)>| {
        files.retain(|(name, _)| !name.ends_with("LOCK"));
        files
    };
    let after = without_lock(scene.files("net"));
    let before = without_lock(before);
    assert_eq!(after, before);
}

#[test]
fn a_dry_run_says_what_apply_then_does() {
    let scene = scene();
    let ids = scene.ok("query net").out;
    let (offset, _) = place(&scene, 3);
    flip(&segment(&scene), usize::try_from(offset + 200).unwrap());
    let before = scene.files("net");
    let dry = scene.run("repair net");
    assert_eq!(dry.code, 4, "{dry:?}");
    assert!(
        dry.out.contains("would do: journal/0000000000000001.wal"),
        "{}",
        dry.out
    );
    assert!(dry.out.contains("run it with --apply"), "{}", dry.out);
    assert_eq!(scene.files("net"), before);

    let done = scene.run("repair net --apply --author admin --json");
    assert_eq!(done.code, 1, "{done:?}");
    let report = done.object();
    assert_eq!(report["schema"], "blocknet.repair/1");
    assert_eq!(
        (&report["result"], &report["applied"], &report["lost"]),
        (&json!("repaired"), &json!(true), &json!([]))
    );
    assert_eq!(report["steps"][0]["kind"], "segment");
    assert_eq!(report["steps"][0]["from_tables"], 1);
    let kept = report["steps"][0]["kept"].as_str().unwrap();
    assert!(scene.path(&format!("net/{kept}")).is_file());
    assert_eq!(report["after"]["errors"], 0);
    let text =
        fs::read_to_string(scene.path(&format!("net/{}", report["report"].as_str().unwrap())));
    assert!(text.unwrap().contains("FRAME_BODY"));

    // The commit says so, and the answers are the same.
    let commit = report["commit"].as_u64().unwrap();
    let frame = scene.ok(&format!("dump net journal --commit {commit}"));
    assert!(
        frame.out.contains("admin") && frame.out.contains("written anew"),
        "{}",
        frame.out
    );
    assert_eq!(scene.ok("query net").out, ids);
    assert_eq!(scene.run("verify net").code, 0);
    assert_eq!(scene.run("repair net --apply").code, 0);
}

#[test]
fn what_no_copy_proves_is_left_and_named() {
    let scene = scene();
    let (offset, _) = place(&scene, 3);
    flip(&segment(&scene), usize::try_from(offset + 200).unwrap());
    fs::remove_dir_all(scene.path("net/tables")).unwrap();
    let done = scene.run("repair net --apply");
    assert!(done.code & 4 != 0, "{done:?}");
    assert!(done.out.contains("lost: commit 3"), "{}", done.out);
    let again = scene.run("repair net --apply --json");
    assert_eq!(again.object()["steps"], json!([]), "{again:?}");
    // What is before and after it can still be read.
    let dump = scene.ok("dump net journal --json");
    let kinds = dump
        .out
        .lines()
        .filter(|line| line.contains("\"commit\""))
        .count();
    assert!(kinds > 3, "{}", dump.out);
}

#[test]
fn a_payload_that_no_copy_has_is_named_and_all_others_are_answered() {
    let scene = scene();
    let whole = scene.ok("query net").out;
    let head = &scene.ok("verify net --json").object()["freshness"]["head_seq"];
    let (offset, len) = place(&scene, head.as_u64().unwrap());
    // The frame ends in the last payload, and padding to a multiple of 8.
    flip(
        &segment(&scene),
        usize::try_from(offset + len - 12).unwrap(),
    );
    fs::remove_dir_all(scene.path("net/tables")).unwrap();
    let done = scene.run("repair net --apply --json");
    assert_eq!(done.code, 5, "{done:?}");
    let report = done.object();
    let version = format!("{head}.19");
    assert_eq!(
        (
            &report["result"],
            &report["lost"],
            &report["lost_versions"],
            &report["left"]
        ),
        (
            &json!("partly repaired"),
            &json!([]),
            &json!([version]),
            &json!([])
        )
    );
    assert_eq!(report["steps"][0]["pieced"], 1);
    let remaining = report["remaining"].as_array().unwrap();
    let errors: Vec<_> = remaining
        .iter()
        .filter(|found| found["severity"] == "error")
        .collect();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert_eq!(
        (&errors[0]["code"], &errors[0]["version"]),
        (&json!("PAYLOAD_LOST"), &json!(version))
    );
    let id = errors[0]["entity"]["id"].as_str().unwrap().to_owned();

    let again = scene.run("repair net --apply");
    assert_eq!(again.code, 4, "{again:?}");
    assert!(
        again.out.contains(&format!("lost: version {version}")),
        "{}",
        again.out
    );
    assert_eq!(scene.run("verify net").code, 4);
    let found = scene.run("query net");
    assert_eq!(found.code, 2, "{found:?}");
    assert!(
        found.err.contains(&format!("version {version} is lost")),
        "{}",
        found.err
    );
    let others = whole
        .lines()
        .filter(|line| !line.contains(&format!("\"{id}\"")));
    assert_eq!(
        found.out.lines().collect::<Vec<_>>(),
        others.collect::<Vec<_>>()
    );
    let own = scene.run(&format!("get net {id}"));
    assert_eq!(own.code, 2, "{own:?}");
    assert!(own.err.contains("is lost"), "{own:?}");
}

#[test]
fn wrong_arguments_and_no_store_have_their_own_codes() {
    let scene = scene();
    assert_eq!(scene.run("repair net --nonsense").code, 16);
    assert_eq!(scene.run("repair nowhere").code, 8);
}
