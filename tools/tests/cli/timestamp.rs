//! Timestamps of checkpoints, with an authority made with openssl where there is one.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::support::{Scene, feature};

/// Runs openssl in the scene's directory; `None` where it is missing.
fn openssl(scene: &Scene, arguments: &str) -> Option<()> {
    let output = Command::new("openssl")
        .args(arguments.split_whitespace())
        .current_dir(scene.path(""))
        .output()
        .ok()?;
    assert!(output.status.success(), "openssl {arguments}: {output:?}");
    Some(())
}

/// A root and an authority under it; `None` where openssl is missing.
fn authority(scene: &Scene) -> Option<()> {
    let extensions = "[tsa]\nextendedKeyUsage = critical,timeStamping\n\
                      [root]\nbasicConstraints = critical,CA:TRUE\n[req]\ndistinguished_name = dn\n[dn]\n";
    fs::write(scene.path("x.cnf"), extensions).unwrap();
    fs::write(
        scene.path("ts.cnf"),
        "[tsa]\ndefault_tsa = here\n[here]\nserial = serial\nsigner_cert = tsa.pem\nsigner_key = tsa.key\n\
         signer_digest = sha256\ndefault_policy = 1.2.3.4.1\ndigests = sha256\ness_cert_id_alg = sha256\n",
    )
    .unwrap();
    let key = "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out";
    openssl(scene, &format!("{key} root.key"))?;
    openssl(scene, &format!("{key} tsa.key"))?;
    openssl(
        scene,
        "req -new -x509 -config x.cnf -extensions root -key root.key -subj /CN=root -out root.pem",
    )?;
    openssl(
        scene,
        "req -new -config x.cnf -key tsa.key -subj /CN=tsa -out tsa.csr",
    )?;
    openssl(
        scene,
        "x509 -req -in tsa.csr -CA root.pem -CAkey root.key -CAcreateserial -extfile x.cnf -extensions tsa -out tsa.pem",
    )
}

#[test]
fn a_checkpoint_is_stamped_and_the_stamp_stays_with_it() {
    let scene = Scene::new();
    scene.ok("keygen log.key --name city.example/net");
    scene.ok("checkpoint net --key log.key --out c.note --timestamp-query c.tsq");
    let again = scene.run("checkpoint net --key log.key --out c.note --timestamp-query c.tsq");
    assert_eq!(again.code, 2, "{again:?}");
    let Some(()) = authority(&scene) else {
        println!("skipped: no openssl here");
        return;
    };
    openssl(
        &scene,
        "ts -reply -config ts.cnf -queryfile c.tsq -out answer.tsr",
    )
    .unwrap();

    let attach = "checkpoint attach c.note answer.tsr --query c.tsq --root root.pem";
    let ran = scene.ok(attach);
    for part in [
        "CN=tsa",
        "CN=root",
        "policy 1.2.3.4.1",
        "not proven",
        "revoked",
    ] {
        assert!(ran.out.contains(part), "{part}: {ran:?}");
    }
    assert_eq!(
        fs::read(scene.path("c.note.tsr")).unwrap(),
        fs::read(scene.path("answer.tsr")).unwrap()
    );
    let json = scene.ok(&format!("{attach} --json")).object();
    assert_eq!(json["result"], "attached");
    assert_eq!(json["stamp"]["answers_request"], true);

    // Over no checkpoint, over another of the same net, and with a root that nobody stands under.
    fs::copy(fixture("root_rsa.pem"), scene.path("other.note")).unwrap();
    let against = "verify net --against c.note --timestamp-root root.pem";
    let verified = scene.ok(&format!("{against} --key log.key.pub"));
    assert!(verified.out.contains(", stamped 2"), "{}", verified.out);
    let json = scene.ok(&format!("{against} --json")).object();
    assert!(json["against"][0]["stamped"].is_string(), "{json}");
    let other = scene.run("checkpoint attach other.note answer.tsr --root root.pem");
    assert_eq!(other.code, 2, "no checkpoint: {other:?}");
    scene.file("a.geojson", feature("12", 6.1, 52.0, "{}"));
    scene.ok("put net a.geojson --valid-from 1990-01-01");
    scene.ok("checkpoint net --key log.key --out other.note");
    let other = scene.run("checkpoint attach other.note answer.tsr --root root.pem");
    assert_eq!(other.code, 1, "{other:?}");
    assert!(
        other.out.contains("refused: the stamp is over other bytes"),
        "{other:?}"
    );
    fs::copy(fixture("root_other.pem"), scene.path("root_other.pem")).unwrap();
    let other = scene.run("checkpoint attach c.note answer.tsr --root root_other.pem --json");
    assert_eq!(other.code, 1, "{other:?}");
    assert_eq!(other.object()["result"], "refused");
    assert!(!scene.path("other.note.tsr").exists());
}

fn fixture(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../timestamp/tests/fixtures")
        .join(name)
}
