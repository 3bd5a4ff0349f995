//! Keys, checkpoints, witnesses, proofs: what the commands print, write and refuse.

use std::fs;

use serde_json::json;

use super::support::{Scene, feature};

/// A store with a house of two versions, a neighbour, and something elsewhere; keys of the net and
/// of a witness.
fn scene() -> Scene {
    let scene = Scene::new();
    for (file, x, storeys) in [
        ("a.geojson", 6.1, 1),
        ("b.geojson", 6.1, 2),
        ("c.geojson", 6.9, 1),
    ] {
        let id = if file == "c.geojson" { "13" } else { "12" };
        let properties = format!(r#"{{"storeys":{storeys}}}"#);
        scene.file(file, feature(id, x, 52.0, &properties));
    }
    scene.ok("put net a.geojson --valid-from 1990-01-01 --author ann --reason built");
    scene.ok("put net b.geojson --valid-from 2001-01-01 --author bob");
    scene.ok("put net c.geojson --valid-from 2001-01-01");
    scene.ok("keygen log.key --name city.example/net");
    scene.ok("keygen witness.key --name witness.example --witness");
    scene
}

fn text(scene: &Scene, name: &str) -> String {
    fs::read_to_string(scene.path(name)).unwrap()
}

#[test]
fn keys_are_made_once_and_read_by_their_owner_only() {
    let scene = scene();
    assert!(text(&scene, "log.key").starts_with("PRIVATE+KEY+city.example/net+"));
    assert!(text(&scene, "log.key.pub").starts_with("city.example/net+"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |name| fs::metadata(scene.path(name)).unwrap().permissions().mode();
        assert_eq!(mode("log.key") & 0o777, 0o600);
        fs::set_permissions(scene.path("log.key"), fs::Permissions::from_mode(0o644)).unwrap();
        let ran = scene.ok("checkpoint net --key log.key");
        assert!(ran.err.contains("chmod 600"), "{}", ran.err);
    }
    for inside in ["net/k", "net/journal/k"] {
        let ran = scene.run(&format!("keygen {inside} --name other.example"));
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(ran.err.contains("inside the store"), "{}", ran.err);
        assert!(!scene.path(inside).exists());
    }
    let before = text(&scene, "log.key");
    let again = scene.run("keygen log.key --name other.example");
    assert_eq!(again.code, 2, "{again:?}");
    assert_eq!(text(&scene, "log.key"), before);
    assert_eq!(scene.args(&["keygen", "k", "--name", "a b"]).code, 2);
    let made = scene
        .ok("keygen third.key --name third.example --json")
        .object();
    assert_eq!(made["schema"], "blocknet.keygen/1");
    assert_eq!(made["role"], "log");
    assert_eq!(made["public_key"], text(&scene, "third.key.pub").trim_end());
}

#[test]
fn a_checkpoint_is_the_head_of_the_log() {
    let scene = scene();
    let bare = scene.ok("checkpoint net").out;
    let lines: Vec<&str> = bare.lines().collect();
    assert_eq!(lines.len(), 3, "{bare}");
    assert!(lines[0].starts_with("blocknet/"));
    assert_eq!(lines[1], "4");
    // Nothing of the store changes but the note of how far the checkpoint reaches.
    let files = || {
        let mut files = scene.files("net");
        files.retain(|(name, _)| !name.ends_with("exported"));
        files
    };
    let before = files();
    scene.ok("checkpoint net --key log.key --out ck4");
    assert_eq!(files(), before, "a store that is only read");
    let note = text(&scene, "ck4");
    assert!(
        note.starts_with(&bare) && note.contains("\n\n— city.example/net "),
        "{note}"
    );
    let object = scene.ok("checkpoint net --key log.key --json").object();
    assert_eq!(
        (&object["size"], &object["note"]),
        (&json!(4), &json!(note))
    );
    for inside in ["--out net/ck", "--key net/log.key", "--out net/tables/ck"] {
        let ran = scene.run(&format!("checkpoint net {inside}"));
        assert_eq!(ran.code, 2, "{ran:?}");
    }
    let with_witness = scene.run("checkpoint net --key witness.key");
    assert_eq!(with_witness.code, 2, "{with_witness:?}");
}

#[test]
fn proofs_verify_without_the_store_and_say_what_they_do_not_show() {
    let scene = scene();
    scene.ok("checkpoint net --key log.key --out ck");
    scene.ok("prove net --checkpoint ck --commit 2 --out commit.tlog-proof");
    scene.ok("prove net --checkpoint ck --id 12 --untouched --payload --out history");
    scene.ok("prove net --checkpoint ck --id 12 --out short");
    fs::rename(scene.path("net"), scene.path("elsewhere")).unwrap();

    let commit = scene
        .ok("verify-proof commit.tlog-proof --key log.key.pub")
        .out;
    for words in [
        "verified: commit 2 is in the log",
        "ann",
        "built",
        "Not proven:",
        "city.example",
    ] {
        assert!(commit.contains(words), "{words}: {commit}");
    }
    let history = scene.ok("verify-proof history --key log.key.pub").out;
    for words in [
        "verified: the first 2 versions of `12` in layer 1",
        r#"{"storeys":2}"#,
        "2001-01-01T00:00:00Z to without end",
        "by any commit from 3 to 4",
        "no later version about other times",
    ] {
        assert!(history.contains(words), "{words}: {history}");
    }
    let short = scene
        .ok("verify-proof short --key log.key.pub --json")
        .object();
    assert_eq!(short["schema"], "blocknet.verify-proof/1");
    assert_eq!(
        (&short["result"], &short["kind"]),
        (&json!("verified"), &json!("history"))
    );
    assert_eq!(short["history"]["untouched_through"], json!(null));
    let versions = short["history"]["versions"].as_array().unwrap();
    assert_eq!(versions[0]["author"], "ann");
    // As it was stated: no end was known then.
    assert_eq!(versions[0]["valid_from"], "1990-01-01T00:00:00Z");
    assert_eq!(versions[0]["valid_to"], json!(null));
    assert_eq!(versions[1]["payload_state"], "withheld");
    assert_eq!(versions[1]["commit"]["number"], 3);
    assert!(!short["not_proven"].as_array().unwrap().is_empty());

    // Refused is 1, and says why; what cannot be read, or is no key, is 2.
    scene.file(
        "changed",
        text(&scene, "history").replacen("shown", "erased", 1),
    );
    let changed = scene.run("verify-proof changed --key log.key.pub");
    assert_eq!(changed.code, 1, "{changed:?}");
    assert!(changed.out.starts_with("refused: line "), "{}", changed.out);
    scene.ok("keygen other.key --name city.example/net");
    let other = scene.run("verify-proof history --key other.key.pub --json");
    assert_eq!(
        (other.code, &other.object()["result"]),
        (1, &json!("refused"))
    );
    let unseen = scene.run("verify-proof history --key log.key.pub --witness witness.key.pub");
    assert_eq!(unseen.code, 1, "{unseen:?}");
    for line in [
        "verify-proof none --key log.key.pub",
        "verify-proof history --key none",
        "verify-proof history --key log.key",
        "verify-proof history --key witness.key.pub",
        "verify-proof history",
    ] {
        assert_eq!(scene.run(line).code, 2, "{line}");
    }
}

#[test]
fn what_cannot_be_proven_says_why() {
    let scene = scene();
    scene.ok("checkpoint net --out bare");
    scene.ok("checkpoint net --key log.key --out ck");
    for (line, words) in [
        (
            "prove net --checkpoint bare --commit 1",
            "nobody has signed",
        ),
        (
            "prove net --checkpoint ck --commit 5",
            "not among the first 4",
        ),
        ("prove net --checkpoint ck --id 99", "no version of `99`"),
        (
            "prove net --checkpoint ck --id 12 --layer none",
            "no layer `none`",
        ),
        ("prove net --checkpoint ck", "required"),
        (
            "prove net --checkpoint ck --commit 1 --id 12",
            "cannot be used",
        ),
        (
            "prove net --checkpoint ck --commit 1 --untouched",
            "cannot be used",
        ),
        ("prove net --from ck", "required"),
        ("prove net --checkpoint net --commit 1", "cannot read"),
    ] {
        let ran = scene.run(line);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{line}: {ran:?}");
        assert!(ran.err.contains(words), "{line}: {}", ran.err);
    }
    // A copy that went its own way.
    let other = Scene::new();
    other.ok("keygen log.key --name other.example");
    other.ok("checkpoint net --key log.key --out ck");
    scene.file("foreign", text(&other, "ck"));
    let ran = scene.run("prove net --checkpoint foreign --commit 1");
    assert!(ran.code == 2 && ran.err.contains("another net"), "{ran:?}");
}

#[test]
fn a_witness_cosigns_only_what_extends() {
    let scene = scene();
    scene.ok("checkpoint net --key log.key --out ck4");
    scene.ok("put net a.geojson --valid-from 2010-01-01");
    scene.ok("checkpoint net --key log.key --out ck5");
    scene.ok("prove net --from ck4 --to ck5 --out grown");
    let checked = scene.ok("verify-proof grown --key log.key.pub").out;
    assert!(checked.contains("the first 4 of 5 commits"), "{checked}");

    let witness = "--key witness.key --log log.key.pub --state seen";
    let forgot = scene.run(&format!("witness ck4 {witness}"));
    assert!(
        forgot.code == 2 && forgot.err.contains("--accept-new"),
        "{forgot:?}"
    );
    scene.ok(&format!("witness ck4 {witness} --accept-new --out ck4w"));
    assert!(text(&scene, "ck4w").contains("— witness.example "));
    let state = text(&scene, "seen");
    let refused = scene.run(&format!("witness ck5 {witness}"));
    assert_eq!((refused.code, refused.out.as_str()), (1, ""), "{refused:?}");
    assert!(
        refused.err.contains("not shown to extend"),
        "{}",
        refused.err
    );
    assert_eq!(text(&scene, "seen"), state);
    scene.ok(&format!("witness ck5 {witness} --proof grown --out ck5w"));
    assert_ne!(text(&scene, "seen"), state);
    let older = scene.run(&format!("witness ck4 {witness} --json"));
    assert_eq!(
        (older.code, &older.object()["result"]),
        (1, &json!("refused"))
    );
    let by_other = scene.run("witness ck5 --key witness.key --log witness.key.pub --state seen");
    assert_eq!(by_other.code, 2, "{by_other:?}");
    let other = Scene::new();
    other.ok("keygen log.key --name other.example");
    other.ok("checkpoint net --key log.key --out ck");
    scene.file("foreign", text(&other, "ck"));
    scene.file("foreign.pub", text(&other, "log.key.pub"));
    let foreign = "witness foreign --key witness.key --log foreign.pub --state seen";
    let unknown = scene.run(foreign);
    assert!(
        unknown.code == 1 && unknown.err.contains("not a net that"),
        "{unknown:?}"
    );

    // Proofs on a cosigned checkpoint name the witness, and need its key.
    scene.ok("prove net --checkpoint ck5w --commit 5 --out proof");
    let without = scene.run("verify-proof proof --key log.key.pub");
    assert!(
        without.code == 1 && without.out.contains("unknown key"),
        "{without:?}"
    );
    let with = "verify-proof proof --key log.key.pub --witness witness.key.pub";
    let report = scene.ok(with).out;
    assert!(report.contains("witness     witness.example"), "{report}");
    assert!(!report.contains("no witness cosigned"), "{report}");
}

/// Proofs made by an earlier release are checked by this one.
#[test]
fn fixtures_of_proofs_verify() {
    let scene = Scene::bare();
    let fixtures = format!("{}/../proof/tests/fixtures", env!("CARGO_MANIFEST_DIR"));
    // The key of the fixtures: the seed 01 repeated.
    let key = "test.example/net+";
    let public = fs::read_to_string(format!("{fixtures}/log.pub")).unwrap();
    assert!(public.starts_with(key), "{public}");
    scene.file("log.pub", &public);
    for name in ["history.proof", "untouched.proof", "consistency.proof"] {
        let bytes = fs::read(format!("{fixtures}/{name}")).unwrap();
        scene.file(name, bytes);
        scene.ok(&format!("verify-proof {name} --key log.pub"));
    }
}
