//! `backup` and `restore`: what they say, what they refuse, and that a backup is a store.

use std::fs;

use serde_json::json;

use super::support::{Scene, feature, keys};

/// A store of five commits: the founding one, and four states of one house.
fn scene() -> Scene {
    let scene = Scene::new();
    for year in 2001..2005 {
        let house = feature("0012", 4.9, 52.4, &format!(r#"{{"year":{year}}}"#));
        let from = format!("{year}-03-01");
        let ran = scene.args(&["put", "net", &house, "--valid-from", &from]);
        assert_eq!(ran.code, 0, "{ran:?}");
    }
    scene
}

#[test]
fn a_backup_is_a_store_and_is_brought_up_to_date() {
    let scene = scene();
    let before = scene.files("net");
    let ran = scene.ok("backup net copy");
    assert_eq!(scene.files("net"), before);
    for says in [
        "5 commits, 5 new ones since the last backup here",
        "1 segment copied, 0 there already",
        "tables: taken over, up to commit 5",
        "backed up to copy",
    ] {
        assert!(ran.out.contains(says), "{}", ran.out);
    }
    scene.ok("verify copy");
    let get = "get copy 0012 --valid-at 2002-06-01";
    assert!(scene.ok(get).out.contains("2002"));

    let house = feature("0013", 4.9, 52.4, "{}");
    assert_eq!(scene.args(&["put", "net", &house]).code, 0);
    let report = scene.ok("backup net copy --copy --json").object();
    assert_eq!(
        keys(&report),
        [
            "commits",
            "copied_bytes",
            "head",
            "kept_bytes",
            "linked_bytes",
            "new_commits",
            "schema",
            "segments_copied",
            "segments_kept",
            "store",
            "tables"
        ]
    );
    assert_eq!(report["schema"], "blocknet.backup/1");
    assert_eq!(
        (&report["commits"], &report["new_commits"]),
        (&json!(6), &json!(1))
    );
    assert_eq!(report["linked_bytes"], 0);
    assert_eq!(
        report["tables"],
        json!({"from": "files", "commit": 6, "why": null})
    );
    let again = scene.ok("backup net copy --json").object();
    assert_eq!(again["new_commits"], 0);
    assert_eq!(again["segments_kept"], 1);
    assert_eq!(again["head"], report["head"]);
}

#[test]
fn a_store_is_restored_whole_and_to_earlier_points() {
    let scene = scene();
    scene.ok("backup net copy");
    fs::remove_dir_all(scene.path("net")).unwrap();
    let backup = scene.files("copy");
    let whole = scene.ok("restore copy net");
    assert!(
        whole.out.contains("restored to net, and verified"),
        "{whole:?}"
    );
    assert!(!whole.err.contains("rollback"), "{whole:?}");
    scene.ok("verify net");
    assert!(scene.ok("get net 0012").out.contains("2004"));

    let part = scene.ok("restore copy early --to-commit 3 --json");
    let report = part.object();
    assert_eq!(
        keys(&report),
        [
            "commits",
            "copied_bytes",
            "erasure",
            "head",
            "left_out",
            "schema",
            "store",
            "tables",
            "written"
        ]
    );
    assert_eq!(
        (&report["commits"], &report["left_out"]),
        (&json!(3), &json!(2))
    );
    assert_eq!(report["tables"]["from"], "journal");
    assert!(
        part.err.contains("this is a rollback: 2 later commits"),
        "{part:?}"
    );
    assert!(scene.ok("get early 0012").out.contains("2002"));
    // The moment at which commit 3 was written gives the same.
    let moment = report["written"].as_str().unwrap();
    let ran = scene.args(&["restore", "copy", "moment", "--as-of", moment, "--json"]);
    assert_eq!(ran.object()["head"], report["head"], "{ran:?}");
    let ran = scene.ok("restore copy now --as-of now --json").object();
    assert_eq!(ran["commits"], 5);
    assert_eq!(scene.files("copy"), backup);
    // It has gone another way since: the backup is not written over.
    let house = feature("0014", 4.9, 52.4, "{}");
    assert_eq!(scene.args(&["put", "early", &house]).code, 0);
    let refused = scene.run("backup early copy");
    assert_eq!(refused.code, 2);
    assert!(refused.err.contains("the target is ahead"), "{refused:?}");
    assert_eq!(scene.files("copy"), backup);
}

#[test]
fn what_cannot_be_done_says_why_and_leaves_everything() {
    let scene = scene();
    scene.ok("backup net copy");
    scene.ok("create other");
    let before = scene.files("");
    for (line, says) in [
        ("backup net other", "holds another net"),
        ("backup net net", "lies within the other"),
        ("backup nothing copy2", "there is no net"),
        ("restore copy other", "there is a net here already"),
        ("restore nothing new", "there is no net"),
        ("restore copy new --to-commit 6", "it has commits 1 to 5"),
        ("restore copy new --as-of 1999-01-01", "at or before"),
        ("restore copy new --as-of soon", "--as-of"),
        (
            "restore copy new --to-commit 3 --as-of 2001-01-01",
            "cannot be used with",
        ),
    ] {
        let ran = scene.run(line);
        assert_eq!(ran.code, 2, "{line}: {ran:?}");
        assert!(
            ran.err.contains(says) && ran.out.is_empty(),
            "{line}: {ran:?}"
        );
    }
    assert_eq!(scene.files(""), before);

    // Damaged: nothing is restored, and the remedy is named.
    let journal = scene.path("copy/journal/0000000000000001.wal");
    let mut bytes = fs::read(&journal).unwrap();
    bytes[4096 + 200] ^= 1;
    fs::write(journal, bytes).unwrap();
    let ran = scene.run("restore copy new");
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.err.contains("the backup is damaged"), "{ran:?}");
    assert!(ran.err.contains("`repair` puts"), "{ran:?}");
    assert!(!scene.path("new/journal").exists());
    // And so it goes on after a repair.
    assert_eq!(scene.run("repair copy --apply").code, 1);
    scene.ok("restore copy new");
    scene.ok("verify new");
}
