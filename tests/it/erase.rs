//! Erasure by law on files: no trace is left in any file, and neither repair nor rebuilding brings
//! anything back.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use blocknet::geocode::NetSpec;
use blocknet::verify::{Code, Depth, Finding, Verification};
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

/// A name that fast compression leaves as it is: every version has one of its own, of letters and
/// digits without a pattern.
fn secret(entity: u16, round: u16) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut state = u64::from(entity) << 32 | u64::from(round) << 8 | 1;
    let mut name = String::from("owner-");
    for _ in 0..64 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        name.push(char::from(LETTERS[usize::try_from(state >> 58).unwrap()]));
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
                let shift = if entity.is_multiple_of(7) {
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

/// Length of the part of a secret that is looked for.
const MARK: usize = 16;

fn mark(entity: u16, round: u16) -> [u8; MARK] {
    let secret = secret(entity, round);
    secret.as_bytes()[6..6 + MARK].try_into().unwrap()
}

fn marks(wanted: impl Fn(u16, u16) -> bool) -> HashSet<[u8; MARK]> {
    let all = (0..ENTITIES).flat_map(|entity| (0..ROUNDS).map(move |round| (entity, round)));
    all.filter(|(entity, round)| wanted(*entity, *round))
        .map(|(entity, round)| mark(entity, round))
        .collect()
}

/// Those of `marks` that stand in the files below `dir`.
fn marks_in(dir: &Path, marks: &HashSet<[u8; MARK]>) -> HashSet<[u8; MARK]> {
    let mut found = HashSet::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(marks_in(&path, marks));
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        let parts = bytes.array_windows::<MARK>();
        found.extend(parts.filter(|part| marks.contains(*part)));
    }
    found
}

/// What is erased: every third entity, all rounds or some of them.
fn is_erased(entity: u16, round: u16) -> bool {
    entity.is_multiple_of(3) && (entity.is_multiple_of(2) || !round.is_multiple_of(2))
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
    let verified = verify(store);
    assert!(verified.is_clean(), "{:#?}", verified.findings);
    assert!(verified.erased > 0);
    let pending = |finding: &Finding| finding.code == Code::ErasurePending;
    assert!(
        !verified.findings.iter().any(pending),
        "{:#?}",
        verified.findings
    );
    assert_eq!(marks_in(store, &marks(is_erased)), HashSet::new());
}

#[test]
fn no_file_keeps_a_trace_and_nothing_brings_it_back() {
    let root = tempfile::tempdir().unwrap();
    let store = root.path().join("store");
    fill(&store);
    let all = marks(|_, _| true);
    assert_eq!(all.len(), usize::from(ENTITIES * ROUNDS));
    assert!(marks_in(&store, &all) == all, "all of them can be found");
    let in_tables = marks_in(&store.join("tables"), &all).len();
    // Where they are not cut up by compression.
    assert!(in_tables > 50, "{in_tables}");

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
    let pending = verify(&early);
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

#[test]
fn backups_follow_and_restoring_brings_nothing_back() {
    use blocknet::backup::{TableFiles, Until};
    let root = tempfile::tempdir().unwrap();
    let (store, kept) = (root.path().join("store"), root.path().join("backup"));
    fill(&store);
    builder()
        .backup(&store, &kept, TableFiles::Linked, &|_| ())
        .unwrap();
    let all = marks(|_, _| true);
    assert!(marks_in(&kept, &all) == all);

    let net = builder().open(&store).unwrap();
    let view = net.now_view().unwrap();
    let before = view.newest_commit();
    let versions: Vec<Version> = (0..ENTITIES)
        .flat_map(|entity| {
            let history = view
                .history(LayerId::MAIN, &format!("{entity:04}"))
                .unwrap();
            (0..)
                .zip(history)
                .filter(move |(round, _)| is_erased(entity, *round))
                .map(|(_, record)| record.version)
        })
        .collect();
    drop(view);
    let by = net
        .erase(&versions, &Commit::new("clerk", Vec::new()))
        .unwrap();
    net.close().unwrap();
    builder().open(&store).unwrap().close().unwrap();
    builder()
        .backup(&store, &kept, TableFiles::Linked, &|_| ())
        .unwrap();
    check(&kept, by);
    check(&store, by);

    // To a moment before: the payloads are gone all the same, by a commit of the restored net's own,
    // since it never gets the one that ordered it first.
    let restored = root.path().join("restored");
    let made = builder()
        .restore(&kept, &restored, Until::Commit(before), &|_| ())
        .unwrap();
    assert_eq!((made.commits, made.erasure), (before, Some(before + 1)));
    check(&restored, before + 1);
    let net = builder().open(&restored).unwrap();
    for number in 0..3 {
        let extent = Extent::flat(6.1, 52.0, 6.1001, 52.0001);
        let state = Assertion::state(LayerId::MAIN, format!("more {number}"), extent, "{}");
        net.commit(&Commit::new("test", vec![state])).unwrap();
    }
    net.close().unwrap();
    check(&restored, before + 1);
    // Where nothing was erased later, nothing is ordered.
    let again = root.path().join("again");
    let made = builder()
        .restore(&kept, &again, Until::Newest, &|_| ())
        .unwrap();
    assert_eq!((made.commits, made.erasure), (by, None));
    check(&again, by);
}

#[test]
fn a_net_of_one_segment_is_restored_to_a_commit_before_an_erasure() {
    use blocknet::backup::{TableFiles, Until};
    let root = tempfile::tempdir().unwrap();
    let store = root.path().join("store");
    let net = Net::create(&store, NetSpec::city()).unwrap();
    for round in 0..5 {
        let extent = Extent::flat(6.1, 52.0, 6.1001, 52.0001);
        let state = Assertion::state(LayerId::MAIN, "a", extent, secret(0, round));
        net.commit(&Commit::new("test", vec![state])).unwrap();
    }
    let erased = Version {
        commit: 3,
        index: 0,
    };
    net.erase(&[erased], &Commit::new("clerk", Vec::new()))
        .unwrap();
    net.close().unwrap();
    // Once ordered and not carried through, once carried through.
    let (early, kept) = (root.path().join("early"), root.path().join("backup"));
    for to in [&early, &kept] {
        Net::builder()
            .backup(&store, to, TableFiles::Copied, &|_| ())
            .unwrap();
        Net::open(&store).unwrap().close().unwrap();
    }
    let mark = secret(0, 1).as_bytes()[6..6 + MARK].try_into().unwrap();
    let marks = HashSet::from([mark]);
    assert_eq!(marks_in(&early, &marks), marks);
    for (from, to) in (3..=6).flat_map(|to| [(&early, to), (&kept, to)]) {
        let name = from.file_name().unwrap().display();
        let restored = root.path().join(format!("{name}-{to}"));
        let made = Net::builder()
            .restore(from, &restored, Until::Commit(to), &|_| ())
            .unwrap();
        assert_eq!((made.commits, made.erasure), (to, Some(to + 1)));
        let net = Net::open(&restored).unwrap();
        let view = net.now_view().unwrap();
        let history = view.history(LayerId::MAIN, "a").unwrap();
        assert_eq!(history[1].erased, Some(to + 1));
        assert_eq!(view.newest_commit(), to + 1);
        drop(view);
        net.close().unwrap();
        let verified = verify(&restored);
        assert!(verified.is_clean(), "{:#?}", verified.findings);
        assert_eq!(verified.erased, 1);
        assert_eq!(marks_in(&restored, &marks), HashSet::new());
    }
    // Before the version there is nothing to erase.
    let restored = root.path().join("restored-2");
    let made = Net::builder()
        .restore(&kept, &restored, Until::Commit(2), &|_| ())
        .unwrap();
    assert_eq!((made.commits, made.erasure), (2, None));
}

fn verify(store: &Path) -> Verification {
    builder().verify(store, Depth::Full, &|_| ()).unwrap()
}
