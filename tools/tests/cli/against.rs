//! `verify --against`: attackers who can write every file of a store, told apart by what is kept
//! elsewhere; and what `stats` says of what is not.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::support::{Scene, feature};

fn put(scene: &Scene, dir: &str, id: &str, x: f64, storeys: u32) {
    let state = feature(id, x, 52.0, &format!(r#"{{"storeys":{storeys}}}"#));
    let ran = scene.args(&["put", dir, &state, "--valid-from", "2001-01-01"]);
    assert_eq!(ran.code, 0, "{ran:?}");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A store of nine commits with checkpoints of commits 5 and 9, and a copy made at commit 5.
fn scene() -> Scene {
    let scene = Scene::new();
    scene.ok("keygen log.key --name city.example/net");
    for number in 0..4 {
        put(&scene, "net", "house", 6.1, number);
    }
    scene.ok("checkpoint net --key log.key --out ck5");
    copy(&scene.path("net"), &scene.path("old"));
    for number in 4..8 {
        put(&scene, "net", "house", 6.1, number);
    }
    scene.ok("checkpoint net --key log.key --out ck9");
    scene
}

const KEY: &str = "--key log.key.pub";

#[test]
fn a_store_that_goes_on_is_anchored() {
    let scene = scene();
    put(&scene, "net", "more", 6.2, 1);
    let before = scene.files("net");
    let ran = scene.ok(&format!("verify net --against ck9 {KEY} --json"));
    let report = ran.object();
    assert_eq!(report["result"], "clean");
    assert_eq!(report["freshness"]["state"], "anchored");
    assert_eq!(report["freshness"]["anchor_size"], 9);
    assert_eq!(report["freshness"]["frames_since_anchor"], 1);
    assert_eq!(
        report["against"],
        json!([{
            "path": "ck9", "size": 9, "signed_by": ["city.example/net"], "stamped": null,
            "standing": "anchored", "text": report["against"][0]["text"], "from": null, "to": null,
            "block": null
        }])
    );
    let text = scene
        .ok(&format!("verify net --against ck5 --against ck9 {KEY}"))
        .out;
    assert!(text.contains("1 commit since rest on nothing"), "{text}");
    let unsigned = scene.ok("verify net --against ck9").out;
    assert!(unsigned.contains("signature not checked"), "{unsigned}");
    // The copy is older, and the store goes on from it.
    let report = scene.ok("verify net --against old --json").object();
    assert_eq!(report["freshness"]["anchor_size"], 5);
    scene.ok("verify net --against old --against ck9");
    assert_eq!(scene.files("net"), before);
    // Not everything was checked: the chain is compared all the same.
    let quick = scene.run("verify net --quick --against ck9 --json");
    assert_eq!(
        (quick.code, &quick.object()["freshness"]["state"]),
        (8, &json!("anchored"))
    );
}

#[test]
fn an_older_copy_a_cut_tail_and_another_history_are_told_apart() {
    let scene = scene();
    let verify = |dir: &str, against: &str| {
        let ran = scene.run(&format!("verify {dir} {against} {KEY} --json"));
        (ran.code, ran.object())
    };
    let state = |report: &serde_json::Value| report["freshness"]["state"].clone();

    // An older copy in place of the store.
    let (code, report) = verify("old", "--against ck5 --against ck9");
    assert_eq!((code, state(&report)), (64, json!("rolled back")));
    assert_eq!(report["against"][0]["standing"], "anchored");
    assert_eq!(report["result"], "not remembered");

    // The journal's last commits cut off, at the start of a frame; the tables remember them.
    copy(&scene.path("net"), &scene.path("cut"));
    let frame = scene.ok("dump cut journal --commit 8 --json").object();
    let segment = scene.path("cut/journal/0000000000000001.wal");
    let bytes = fs::read(&segment).unwrap();
    let end = usize::try_from(frame["offset"].as_u64().unwrap()).unwrap();
    fs::write(&segment, &bytes[..end]).unwrap();
    let (code, report) = verify("cut", "--against ck5 --against ck9");
    assert_eq!((code, state(&report)), (68, json!("truncated")), "{report}");
    let text = report["against"][1]["text"].as_str().unwrap();
    assert!(
        text.contains("ends at commit 7") && text.contains("tables"),
        "{text}"
    );
    // And from the tables too: built from what is left, as an attacker has them.
    fs::remove_dir_all(scene.path("cut/tables")).unwrap();
    let (code, report) = verify("cut", "--against ck5 --against ck9");
    assert_eq!(
        (code & 64, state(&report)),
        (64, json!("truncated")),
        "{report}"
    );
    scene.ok("stats cut");
    put(&scene, "cut", "house", 6.1, 99);
    let (code, report) = verify("cut", "--against ck5 --against ck9");
    assert_eq!(
        (code, state(&report)),
        (64, json!("rolled back")),
        "{report}"
    );

    // Commits made anew from commit 8 on: every hash fits, and the history is another.
    put(&scene, "cut", "house", 6.1, 100);
    let (code, report) = verify("cut", "--against ck5 --against ck9");
    assert_eq!((code, state(&report)), (64, json!("forked")), "{report}");
    let fork = &report["against"][1];
    assert_eq!((&fork["from"], &fork["to"]), (&json!(6), &json!(9)));
    // A copy says which commit, and which block.
    let (code, report) = verify("cut", "--against ck9 --against net");
    assert_eq!(code, 64);
    let fork = &report["against"][1];
    assert_eq!((&fork["from"], &fork["to"]), (&json!(8), &json!(8)));
    let block = fork["block"].as_str().unwrap();
    assert!(scene.ok("net edges cut").out.contains(block), "{block}");
    let text = scene
        .run("verify cut --against ck5 --against ck9 --against net")
        .out;
    assert!(text.contains("from one of the commits 6 to 9 on"), "{text}");
    assert!(
        text.contains("the history is another from commit 8 on, first in block"),
        "{text}"
    );
    assert!(text.contains("result: not remembered"), "{text}");
}

#[test]
fn what_is_no_checkpoint_of_the_store_is_refused_or_named() {
    let scene = scene();
    scene.ok("create other");
    let ran = scene.run("verify other --against ck9 --json");
    assert_eq!(
        (ran.code, &ran.object()["freshness"]["state"]),
        (64, &json!("other net"))
    );
    scene.ok("keygen thief.key --name city.example/net");
    for (line, says) in [
        (
            "verify net --against ck9 --key thief.key.pub",
            "city.example/net",
        ),
        ("verify net --against log.key", "log.key"),
        ("verify net --against nowhere", "nowhere"),
        (
            "verify net --against ck9 --timestamp-root nowhere",
            "no stamp",
        ),
    ] {
        let ran = scene.run(line);
        assert_eq!(ran.code, 8, "{line}: {ran:?}");
        assert!(ran.err.contains(says), "{line}: {}", ran.err);
    }
    assert_eq!(scene.run("verify net --key log.key.pub").code, 16);
}

#[test]
fn stats_say_how_much_no_checkpoint_covers() {
    let scene = scene();
    let exposed = |dir: &str| {
        let stats = scene.ok(&format!("stats {dir} --json")).object();
        (stats["exported"].clone(), stats["exposed"].clone())
    };
    assert_eq!(exposed("net"), (json!(9), json!(0)));
    assert_eq!(exposed("old"), (json!(5), json!(0)));
    put(&scene, "net", "more", 6.2, 1);
    put(&scene, "net", "more", 6.2, 2);
    assert_eq!(exposed("net"), (json!(9), json!(2)));
    let text = scene.ok("stats net").out;
    assert!(text.contains("of commit 9, 2 commits since"), "{text}");
    // Nobody keeps what nobody signed.
    scene.ok("checkpoint net --out bare");
    assert_eq!(exposed("net"), (json!(9), json!(2)));
    scene.ok("create fresh");
    assert_eq!(exposed("fresh"), (json!(null), json!(1)));
    // A note that was tampered with is said to be none.
    fs::write(scene.path("net/exported"), "blocknet/00\n7\n").unwrap();
    let ran = scene.ok("stats net --json");
    assert_eq!(ran.object()["exported"], json!(null));
    assert!(ran.err.contains("exported"), "{}", ran.err);
    scene.ok("checkpoint net --key log.key --out ck11");
    assert_eq!(exposed("net"), (json!(11), json!(0)));
}
