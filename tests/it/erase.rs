//! Erasure by law on files: no trace is left in any file, and neither repair nor rebuilding brings
//! anything back.

use std::fs;
use std::path::Path;

use blocknet::geocode::NetSpec;
use blocknet::verify::{Code, Depth};
use blocknet::{
    Assertion, Commit, Extent, LayerId, Moment, Net, NetBuilder, Settings, Valid, Version,
};

use crate::damage::copy_dir;

fn builder() -> NetBuilder {
    Net::builder().settings(Settings {
        segment_len_bytes_max: 64 << 10,
        write_buffer_len_bytes: 256 << 10,
        ..Settings::default()
    })
}

const ENTITIES: u16 = 200;
const ROUNDS: u16 = 4;

/// A name that no compression hides: every version has one of its own, of digits without a pattern.
fn secret(entity: u16, round: u16) -> String {
    let mut state = u64::from(entity) << 32 | u64::from(round) << 8 | 1;
    let mut name = String::from("owner-");
    for _ in 0..4 {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).rotate_left(29) ^ 0x9e37_79b9;
        name.push_str(&format!("{state:016x}"));
    }
    name
}

/// Versions of all entities, flushed into table files after every round, so that old values lie in
/// several files and levels.
fn fill(store: &Path) {
    builder().create(store, NetSpec::city()).unwrap();
    for round in 0..ROUNDS {
        let net = builder().open(store).unwrap();
        let assertions: Vec<_> = (0..ENTITIES)
            .map(|entity| {
                // Some move.
                let shift = if entity % 7 == 0 {
                    f64::from(round) * 0.01
                } else {
                    0.0
                };
                let west = 6.1 + 0.0005 * f64::from(entity) + shift;
                let extent = Extent::flat(west, 52.0, west + 0.0001, 52.0001);
                let payload = format!("{{\"owner\":\"{}\"}}", secret(entity, round));
                let from = Moment::from_micros(i64::from(round) * 86_400_000_000);
                Assertion::state(LayerId::MAIN, format!("{entity:04}"), extent, payload)
                    .valid(Valid::from(from))
            })
            .collect();
        for part in assertions.chunks(23) {
            net.commit(&Commit::new("test", part.to_vec())).unwrap();
        }
        net.close().unwrap();
    }
}

/// The files below `dir` that hold `text`.
fn files_with(dir: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, text));
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        if bytes
            .windows(text.len())
            .any(|part| part == text.as_bytes())
        {
            found.push(path.display().to_string());
        }
    }
    found
}

/// What is erased: every third entity, all rounds or some of them.
fn is_erased(entity: u16, round: u16) -> bool {
    entity % 3 == 0 && (entity % 2 == 0 || round % 2 == 1)
}

fn check(store: &Path, by: u64) {
    let net = builder().open_read_only(store).unwrap();
    let view = net.now_view().unwrap();
    for entity in 0..ENTITIES {
        let history = view
            .history(LayerId::MAIN, &format!("{entity:04}"))
            .unwrap();
        assert_eq!(history.len(), usize::from(ROUNDS));
        for (round, record) in (0..).zip(history) {
            if is_erased(entity, round) {
                assert_eq!((record.payload.len(), record.erased), (0, Some(by)));
            } else {
                let payload = format!("{{\"owner\":\"{}\"}}", secret(entity, round));
                assert_eq!(record.payload, payload);
            }
        }
    }
    drop(view);
    drop(net);
    let verified = builder().verify(store, Depth::Full, &|_| ()).unwrap();
    assert!(verified.is_clean(), "{:#?}", verified.findings);
    assert!(
        verified
            .findings
            .iter()
            .all(|finding| finding.code == Code::Erased)
    );
    for entity in 0..ENTITIES {
        for round in 0..ROUNDS {
            let found = files_with(store, &secret(entity, round)[..20]);
            if is_erased(entity, round) {
                assert_eq!(found, [""; 0], "{entity} {round}");
            }
        }
    }
}

#[test]
fn no_file_keeps_a_trace_and_nothing_brings_it_back() {
    let root = tempfile::tempdir().unwrap();
    let store = root.path().join("store");
    fill(&store);
    let visible = (0..ENTITIES)
        .filter(|entity| !files_with(&store, &secret(*entity, 0)[..20]).is_empty())
        .count();
    assert_eq!(visible, usize::from(ENTITIES), "they can be found at all");

    let net = builder().open(&store).unwrap();
    let view = net.now_view().unwrap();
    let mut versions: Vec<Version> = Vec::new();
    for entity in 0..ENTITIES {
        let history = view
            .history(LayerId::MAIN, &format!("{entity:04}"))
            .unwrap();
        let erased = (0..)
            .zip(history)
            .filter(|(round, _)| is_erased(entity, *round));
        versions.extend(erased.map(|(_, record)| record.version));
    }
    drop(view);
    assert!(versions.len() > 100, "{}", versions.len());
    let law = Commit {
        reason: "article 17".into(),
        ..Commit::new("clerk", Vec::new())
    };
    let by = net.erase(&versions, &law).unwrap();
    net.close().unwrap();
    // Not opened again yet: a copy made now still has them, and says so.
    let early = root.path().join("early");
    copy_dir(&store, &early);
    let pending = builder().verify(&early, Depth::Full, &|_| ()).unwrap();
    assert!(pending.is_clean(), "{:#?}", pending.findings);
    let unfinished = pending
        .findings
        .iter()
        .filter(|finding| finding.code == Code::ErasurePending);
    assert_eq!(unfinished.count(), versions.len());

    let net = builder().open(&store).unwrap();
    assert_eq!(net.report().erased, versions.len() as u64);
    net.close().unwrap();
    check(&store, by);

    // The tables from the journal.
    let rebuilt = root.path().join("rebuilt");
    copy_dir(&store, &rebuilt);
    fs::remove_dir_all(rebuilt.join("tables")).unwrap();
    builder().open(&rebuilt).unwrap().close().unwrap();
    check(&rebuilt, by);

    // Every segment from the tables.
    let segments = fs::read_dir(store.join("journal")).unwrap().count();
    assert!(segments > 3, "{segments}");
    for segment in 1..=segments {
        let broken = root.path().join(format!("broken-{segment}"));
        copy_dir(&store, &broken);
        fs::remove_file(broken.join(format!("journal/{segment:016}.wal"))).unwrap();
        let repair = builder().repair(&broken, true, "admin", &|_| ()).unwrap();
        assert!(repair.left.is_empty(), "{:?}", repair.left);
        check(&broken, by);
        fs::remove_dir_all(broken).unwrap();
    }
}
