//! A hundred random versions of a real register erased: no file of the store keeps a trace of their
//! payloads, and every chain verifies.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use blocknet_engine::{Commit, HistoryOptions, LayerId, Net, Record};
use blocknet_proof::{Keys, Note, Payload, Role, SecretKey, Shown, verify};

use crate::support::run::{Random, blocknet, data, json, run};

/// What of a payload is looked for: its longest members.
fn marks(record: &Record) -> Vec<String> {
    let text = String::from_utf8(record.payload.to_vec()).unwrap();
    let parts = text.split(['[', ']', ',', '{', '}']);
    let mut parts: Vec<&str> = parts.filter(|part| part.len() >= 16).collect();
    parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
    parts
        .iter()
        .take(4)
        .map(|part| (*part).to_owned())
        .collect()
}

fn each_file(dir: &Path, look: &mut dyn FnMut(&Path, &[u8])) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            each_file(&path, look);
        } else {
            look(&path, &fs::read(&path).unwrap());
        }
    }
}

fn import(store: &str, file: &Path) {
    json(&[
        "import",
        store,
        file.to_str().unwrap(),
        "--id",
        "identificatie",
        "--valid-from",
        "beginGeldigheid",
        "--recorded-at",
        "tijdstipRegistratie",
        "--create",
        "--json",
    ]);
}

/// That the versions were stated, when and by which commit can be proven as before.
fn prove_that_they_were_stated(net: &Net, chosen: &BTreeSet<usize>, all: &[Record]) {
    let view = net.now_view().unwrap();
    let key = SecretKey::from_seed("doesburg.example", Role::Log, &[7; 32]).unwrap();
    let keys = Keys::new(vec![key.public()], Vec::new()).unwrap();
    let mut note = Note::new(net.checkpoint().unwrap());
    note.sign(&key).unwrap();
    let options = HistoryOptions {
        payloads: true,
        ..HistoryOptions::default()
    };
    for at in chosen {
        let (id, version) = (&all[*at].id, all[*at].version);
        let proof = view
            .prove_history(LayerId::MAIN, id, note.clone(), options)
            .unwrap();
        let report = verify(proof.encode().as_bytes(), &keys).unwrap();
        let Shown::History(history) = report.shown else {
            panic!("a history was asked for")
        };
        let shown = history
            .versions
            .iter()
            .find(|shown| (shown.commit.number, shown.index) == (version.commit, version.index));
        assert_eq!(shown.unwrap().payload, Payload::Erased, "{id} {version}");
    }
}

#[test]
fn a_hundred_versions_of_the_dutch_register() {
    let Some(file) = data("bag_doesburg_pand_history.geojsonl.gz") else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("net");
    let name = store.to_str().unwrap();
    import(name, &file);
    let mut random = Random::seeded("erase");
    let ids: Vec<String> = crate::support::run::lines(&["query", name])
        .iter()
        .map(|feature| {
            feature["properties"]["identificatie"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert!(ids.len() > 5_000, "{}", ids.len());
    let net = Net::open(&store).unwrap();
    let view = net.now_view().unwrap();
    let mut all: Vec<Record> = Vec::new();
    for id in &ids {
        all.extend(view.history(LayerId::MAIN, id).unwrap());
    }
    let mut chosen = BTreeSet::new();
    while chosen.len() < 100 {
        let at = usize::try_from(random.below(all.len() as u64)).unwrap();
        chosen.insert(at);
    }
    // Other versions may say the same, and keep saying it.
    let others: Vec<String> = (0..all.len())
        .filter(|at| !chosen.contains(at))
        .map(|at| String::from_utf8(all[at].payload.to_vec()).unwrap())
        .collect();
    let others = others.join("\n");
    let own: BTreeSet<String> = chosen
        .iter()
        .flat_map(|at| marks(&all[*at]))
        .filter(|mark| !others.contains(mark.as_str()))
        .collect();
    assert!(own.len() > 50, "{} parts that only they have", own.len());
    let found_in = |own: &BTreeSet<String>| {
        let mut found = 0;
        each_file(&store, &mut |_, bytes| {
            let text = String::from_utf8_lossy(bytes);
            found += own
                .iter()
                .filter(|mark| text.contains(mark.as_str()))
                .count();
        });
        found
    };
    assert!(found_in(&own) >= own.len(), "the journal has them all");

    let versions: Vec<_> = chosen.iter().map(|at| all[*at].version).collect();
    drop(view);
    let law = Commit {
        reason: "article 17".into(),
        ..Commit::new("clerk", Vec::new())
    };
    let by = net.erase(&versions, &law).unwrap();
    net.close().unwrap();
    let net = Net::open(&store).unwrap();
    assert_eq!(net.report().erased, 100);
    let view = net.now_view().unwrap();
    for at in &chosen {
        let history = view.history(LayerId::MAIN, &all[*at].id).unwrap();
        let record = history
            .iter()
            .find(|record| record.version == all[*at].version);
        let record = record.unwrap();
        assert_eq!((record.payload.len(), record.erased), (0, Some(by)));
        assert_eq!(record.commitment, all[*at].commitment);
    }
    prove_that_they_were_stated(&net, &chosen, &all);
    drop(view);
    net.close().unwrap();

    assert_eq!(found_in(&own), 0, "in no file as it is");
    // What compression hides, `dump` shows: rows and frames with their payloads.
    for what in [
        &["journal"][..],
        &["table", "records"],
        &["table", "history"],
    ] {
        let dump = blocknet().args(["dump", name]).args(what).output().unwrap();
        let text = String::from_utf8(dump.stdout).unwrap();
        assert!(text.len() > 100_000);
        let found = own
            .iter()
            .filter(|mark| text.contains(mark.as_str()))
            .count();
        assert_eq!(found, 0, "{what:?}");
    }
    let verified = run(&["verify", name, "--json"]);
    assert_eq!(verified.status.code(), Some(0));
    let report: serde_json::Value = serde_json::from_slice(&verified.stdout).unwrap();
    assert_eq!(report["erased_versions"], 100);
    println!(
        "erased 100 versions of {}, {} parts looked for",
        all.len(),
        own.len()
    );
}
