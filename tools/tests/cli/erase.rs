//! `erase`: what it says, what it does, and its exit codes.

use std::fs;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use serde_json::json;

use super::support::{Scene, feature};

/// Two versions of one entity and one of another, the second with the owner's name.
fn scene() -> Scene {
    let scene = Scene::new();
    for (id, owner, from) in [
        ("0012", "Nobody", "2001-01-01"),
        ("0012", "Jan de Vries", "2005-01-01"),
        ("12", "Somebody", "2001-01-01"),
    ] {
        let state = feature(id, 4.9, 52.4, &format!(r#"{{"owner":"{owner}"}}"#));
        let ran = scene.args(&["put", "net", &state, "--valid-from", from]);
        assert_eq!(ran.code, 0, "{ran:?}");
    }
    scene
}

fn traces(scene: &Scene) -> usize {
    let text = b"Jan de Vries";
    let files = scene.files("net");
    let with = |bytes: &Vec<u8>| bytes.windows(text.len()).any(|part| part == text);
    files.iter().filter(|(_, bytes)| with(bytes)).count()
}

#[test]
fn a_payload_is_erased_for_every_moment_and_from_every_file() {
    let scene = scene();
    assert!(traces(&scene) > 0);
    let before = scene.files("net");
    let dry = scene.ok("erase net --id 0012 --version 3.0");
    assert!(dry.out.contains("would be erased: 3.0"), "{}", dry.out);
    assert_eq!(scene.files("net"), before);

    let words = [
        "erase",
        "net",
        "--id",
        "0012",
        "--version",
        "3.0",
        "--apply",
    ];
    let all = [
        &words[..],
        &["--reason", "article 17", "--author", "clerk", "--json"],
    ]
    .concat();
    let ran = scene.args(&all);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(
        ran.object(),
        json!({
            "layer": "main", "id": "0012", "applied": true, "versions": ["3.0"],
            "payload_bytes": ran.object()["payload_bytes"], "commit": 5, "quarantine": [],
            "purged": 0
        })
    );
    assert_eq!(traces(&scene), 0);
    let history = scene.ok("history net 0012 --json").json();
    assert_eq!(history[0]["erased_by"], json!(null));
    assert_eq!(history[1]["erased_by"], 5);
    assert_eq!(history[1]["feature"], json!(null));
    let text = scene.ok("history net 0012").out;
    assert!(text.contains("payload erased by commit 5"), "{text}");
    for moment in ["commit:3", "commit:5"] {
        let got = scene.ok(&format!("get net 0012 --as-of {moment}"));
        assert_eq!(got.object(), json!({"id": "0012", "erased_by": 5}));
    }
    assert!(
        scene
            .ok("get net 0012 --valid-at 2003-01-01")
            .out
            .contains("Nobody")
    );
    let frame = scene.ok("dump net journal --commit 3").out;
    assert!(frame.contains("erased by: 5"), "{frame}");
    let frame = scene.ok("dump net journal --commit 5").out;
    assert!(frame.contains("article 17"), "{frame}");
    let verified = scene.ok("verify net --json").object();
    assert_eq!(verified["result"], "clean");
    assert_eq!(verified["erased_versions"], 1);
    let verified = scene.ok("verify net").out;
    assert!(
        verified.contains("a payload erased by commit 5"),
        "{verified}"
    );
    assert!(verified.contains("1 payload erased by law"), "{verified}");
    scene.ok("repair net --apply");
    assert_eq!(traces(&scene), 0);
}

#[test]
fn what_is_not_there_or_gone_is_said() {
    let scene = scene();
    for (line, code, says) in [
        ("erase net --id 0012 --version 9.0", 1, "no payload"),
        ("erase net --id 0012 --version 4.0", 1, "no payload"),
        ("erase net --id nobody --all-versions", 1, "no payload"),
        (
            "erase net --id 0012 --version 9.0 --apply --reason x",
            2,
            "no version 9.0",
        ),
        ("erase net --id 0012 --version 3.0 --apply", 2, "--reason"),
        ("erase net --id 0012 --version three", 2, "COMMIT.INDEX"),
        ("erase net --id 0012", 2, "--version"),
    ] {
        let ran = scene.run(line);
        assert_eq!(ran.code, code, "{line}: {ran:?}");
        let said = format!("{}{}", ran.out, ran.err);
        assert!(said.contains(says), "{line}: {said}");
    }
    scene.ok("erase net --id 0012 --all-versions --apply --reason law");
    let again = scene.run("erase net --id 0012 --version 3.0");
    assert_eq!(again.code, 2, "{again:?}");
    assert!(again.err.contains("by commit 5 already"), "{}", again.err);
    assert_eq!(scene.run("erase net --id 0012 --all-versions").code, 1);
}

#[test]
fn what_lies_in_quarantine_is_named_and_can_be_removed() {
    let scene = scene();
    let kept = scene.path("net/quarantine");
    fs::create_dir_all(kept.join("tables-1")).unwrap();
    fs::write(kept.join("tables-1/000007.sst"), "Jan de Vries").unwrap();
    fs::write(kept.join("0000000000000001-1.wal"), "Jan de Vries").unwrap();
    let ran = scene.run("erase net --id 0012 --version 3.0 --apply --reason law");
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.out.contains("tables-1"), "{}", ran.out);
    assert_eq!(traces(&scene), 2);
    let ran = scene.run("erase net --id 12 --all-versions --apply --reason law --purge-quarantine");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.out.contains("2 entries removed"), "{}", ran.out);
    assert_eq!(traces(&scene), 0);
}

/// Kills `erase` at random moments: what was ordered is carried through by the next opening, and the
/// store is whole at every moment. `BLOCKNET_KILLS` says how often.
#[test]
fn killed_at_any_moment_it_is_finished_by_the_next_opening() {
    let kills: u64 = std::env::var("BLOCKNET_KILLS")
        .ok()
        .and_then(|kills| kills.parse().ok())
        .unwrap_or(12);
    let mut state = std::env::var("BLOCKNET_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(|| RandomState::new().build_hasher().finish());
    println!("erase killed: BLOCKNET_SEED={state}");
    let (mut not_ordered, mut cut, mut done) = (0, 0, 0);
    for kill in 0..kills {
        let scene = scene();
        // A flush between the two: old values in several files.
        let more = feature("0012", 4.9, 52.4, r#"{"owner":"Somebody else"}"#);
        let ran = scene.args(&["put", "net", &more, "--valid-from", "2010-01-01"]);
        assert_eq!(ran.code, 0, "{ran:?}");
        let line = "erase net --id 0012 --version 3.0 --apply --reason law";
        let mut child = scene
            .command()
            .args(line.split(' '))
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        std::thread::sleep(std::time::Duration::from_micros((state >> 33) % 120_000));
        let ended = child.try_wait().unwrap().is_some();
        child.kill().unwrap();
        child.wait().unwrap();

        // Reading shows it or not, and changes nothing; then somebody writes.
        let ordered = scene.ok("history net 0012 --json").json()[1]["erased_by"].is_u64();
        let ran = scene.run("verify net");
        assert_eq!(ran.code, 0, "kill {kill}: {ran:?}");
        let pending = ran.out.contains("ERASURE_PENDING");
        scene.ok("layer add net next");
        let left = traces(&scene);
        match (ordered, pending, ended) {
            (false, ..) => {
                assert!(left > 0, "kill {kill}: erased without an order");
                not_ordered += 1;
            }
            (true, _, false) => {
                assert_eq!(left, 0, "kill {kill}");
                cut += 1;
            }
            (true, _, true) => {
                assert_eq!(left, 0, "kill {kill}");
                done += 1;
            }
        }
        let ran = scene.run("verify net");
        assert_eq!(ran.code, 0, "kill {kill}: {ran:?}");
        assert!(
            !ran.out.contains("ERASURE_PENDING"),
            "kill {kill}: {}",
            ran.out
        );
    }
    println!("{not_ordered} before the order, {cut} after it, {done} at the end");
}
