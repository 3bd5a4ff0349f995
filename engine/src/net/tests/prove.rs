//! Proofs made from the tables, checked by the proof crate alone, from the bytes of their files.

use super::house;
use crate::testing::{DIR, Rng, builder, create, day, seeds};
use crate::{
    Assertion, Commit, ErrorKind, HistoryOptions, LayerId, Net, Record, Valid, Version, View,
};
use blocknet_geocode::NetSpec;
use blocknet_proof::{
    Checkpoint, Error as Refused, Keys, Note, Payload, Role, SecretKey, Shown, verify,
};
use blocknet_wal::MemEnv;

fn key() -> SecretKey {
    SecretKey::from_seed("test.example", Role::Log, &[7; 32]).unwrap()
}

fn keys() -> Keys {
    Keys::new(vec![key().public()], Vec::new()).unwrap()
}

fn note(view: &View<'_>, net: &Net, size: u64) -> Note {
    let root = view.log_head_at(size).unwrap().root.0;
    let mut note = Note::new(Checkpoint::new(*net.id(), size, root).unwrap());
    note.sign(&key()).unwrap();
    note
}

/// Commits of up to eight assertions about sixty entities that move between a dozen blocks, come and
/// go, overlap, and are stated twice in one commit; some are erased, and some commits are empty of
/// assertions.
fn random_net(env: &MemEnv, rng: &mut Rng, commits: u64, spec: NetSpec) -> Net {
    let net = builder(env).create(DIR, spec).unwrap();
    for number in 0..commits {
        let mut assertions = Vec::new();
        for _ in 0..=rng.below(8) {
            let id = format!("e{}", rng.below(60));
            let from = day(i64::try_from(rng.below(50)).unwrap());
            let payload = format!("{{\"n\":{}}}", rng.next());
            let mut place = house(u32::try_from(rng.below(12)).unwrap());
            if rng.below(3) == 0 {
                place = place.between(-2.0, 5.0 * f64::from(u8::try_from(rng.below(9)).unwrap()));
            }
            let assertion = if rng.below(6) == 0 {
                Assertion::absence(LayerId::MAIN, id)
            } else {
                Assertion::state(LayerId::MAIN, id, place, payload)
            };
            let to = day(60 + i64::try_from(rng.below(9)).unwrap());
            let valid = match rng.below(4) {
                0 => Valid::between(from, to),
                1 => Valid::between(from, from),
                _ => Valid::from(from),
            };
            assertions.push(assertion.valid(valid));
        }
        net.commit(&Commit::new("test", assertions)).unwrap();
        if number % 50 == 49 {
            let id = format!("e{}", rng.below(60));
            let history = net.now_view().unwrap().history(LayerId::MAIN, &id).unwrap();
            let version = history.first().filter(|first| first.erased.is_none());
            if let Some(version) = version.map(|first| first.version) {
                net.erase(&[version], &Commit::new("clerk", Vec::new()))
                    .unwrap();
            }
        }
    }
    net
}

/// What is shown must be what a view says, version by version.
fn compare(shown: &Shown, records: &[Record], id: &str, options: HistoryOptions) {
    let Shown::History(history) = shown else {
        panic!("a history is shown")
    };
    assert_eq!((history.layer, history.id.as_str()), (1, id));
    assert_eq!(history.untouched.is_some(), options.untouched);
    assert_eq!(history.versions.len(), records.len());
    for (shown, record) in history.versions.iter().zip(records) {
        let version = Version {
            commit: shown.commit.number,
            index: shown.index,
        };
        assert_eq!(version, record.version);
        let valid = (shown.version.valid_from, shown.version.valid_to);
        let (from, to) = (record.valid.from, record.valid.to);
        assert_eq!(valid, (from.as_micros(), to.as_micros()));
        assert_eq!(shown.version.commitment, record.commitment.0);
        let own = shown.version.extent.map(|extent| (extent.west, extent.top));
        assert_eq!(own, record.extent.map(|extent| (extent.west, extent.top)));
        match &shown.payload {
            Payload::Shown(bytes) => assert_eq!(*bytes, record.payload),
            Payload::Erased => assert!(record.erased.is_some()),
            Payload::Withheld => assert!(!options.payloads),
        }
    }
}

/// Five hundred random commits and as many random histories, of a net with bands and one without.
#[test]
fn proofs_of_1000_random_commits_and_entities_verify_with_the_proof_crate_alone() {
    for seed in seeds(2) {
        println!("BLOCKNET_SEED={seed}");
        let mut rng = Rng(seed);
        let env = MemEnv::new(seed);
        let spec = if seed % 2 == 0 {
            NetSpec::city()
        } else {
            banded()
        };
        let net = random_net(&env, &mut rng, 250, spec);
        let view = net.now_view().unwrap();
        let newest = view.newest_commit();
        for _ in 0..250 {
            let size = 1 + rng.below(newest);
            let number = 1 + rng.below(size);
            let proof = view.prove_commit(number, note(&view, &net, size)).unwrap();
            let report = verify(proof.encode().as_bytes(), &keys()).unwrap();
            let Shown::Commit(commit) = report.shown else {
                panic!("a commit is shown")
            };
            let info = view.commit(number).unwrap();
            assert_eq!((commit.number, commit.hash), (number, info.hash.0));
            let from = note(&view, &net, number);
            let proof = view
                .prove_consistency(from, note(&view, &net, size))
                .unwrap();
            verify(proof.encode().as_bytes(), &keys()).unwrap();
        }
        let (mut untouched, mut erased) = (0, 0);
        for _ in 0..250 {
            let size = newest - rng.below(newest / 2);
            let id = format!("e{}", rng.below(60));
            let records: Vec<Record> = view
                .history(LayerId::MAIN, &id)
                .unwrap()
                .into_iter()
                .filter(|record| record.version.commit <= size)
                .collect();
            let Some(last) = records.last() else { continue };
            let stands = last.extent.is_some() && last.valid.from < last.valid.to;
            let options = HistoryOptions {
                untouched: stands,
                payloads: rng.below(2) == 0,
            };
            let note = note(&view, &net, size);
            let proof = view
                .prove_history(LayerId::MAIN, &id, note, options)
                .unwrap();
            let report = verify(proof.encode().as_bytes(), &keys()).unwrap();
            compare(&report.shown, &records, &id, options);
            untouched += usize::from(stands);
            erased += usize::from(records.iter().any(|record| record.erased.is_some()));
        }
        assert!(untouched > 50, "{untouched} shown untouched");
        assert!(erased > 0, "none was erased");
    }
}

fn banded() -> NetSpec {
    NetSpec::builder().band_digits(3).build().unwrap()
}

/// Of a net that goes on, an older proof cannot be stretched: what is true of a state until commit
/// n is refused with the checkpoint of a later commit that closed it.
#[test]
fn what_was_touched_later_is_not_shown_untouched() {
    let env = MemEnv::new(3);
    let net = create(&env);
    let stated = |id: &str, at: u32, from: i64| {
        Assertion::state(LayerId::MAIN, id, house(at), "x").valid(Valid::from(day(from)))
    };
    let commit = |assertions| net.commit(&Commit::new("test", assertions)).unwrap();
    commit(vec![
        stated("a", 1, 0),
        stated("b", 1, 0),
        stated("c", 2, 0),
    ]);
    commit(vec![stated("b", 1, 5)]);
    let untouched = HistoryOptions {
        untouched: true,
        payloads: false,
    };
    let view = net.now_view().unwrap();
    let early = note(&view, &net, view.newest_commit());
    let good = view
        .prove_history(LayerId::MAIN, "a", early, untouched)
        .unwrap();
    verify(good.encode().as_bytes(), &keys()).unwrap();
    drop(view);

    // "a" moves away: a closing row at its old place.
    commit(vec![stated("a", 9, 5), stated("c", 2, 7)]);
    let view = net.now_view().unwrap();
    let late = note(&view, &net, view.newest_commit());
    let whole = view
        .prove_history(LayerId::MAIN, "a", late.clone(), untouched)
        .unwrap();
    // The later version is hidden, and its commit shown as one that left "a" alone.
    let other = view
        .prove_history(LayerId::MAIN, "b", late.clone(), untouched)
        .unwrap();
    let mut forged = good;
    forged.note = late;
    let since = forged.since.as_mut().unwrap();
    since.later = vec![
        since.later[0].clone(),
        other.since.unwrap().later[0].clone(),
    ];
    let refused = verify(forged.encode().as_bytes(), &keys()).unwrap_err();
    assert!(
        matches!(&refused, Refused::Refuted { item, .. } if item == "commit 4"),
        "{refused}"
    );
    // With all its versions it verifies.
    let report = verify(whole.encode().as_bytes(), &keys()).unwrap();
    compare(
        &report.shown,
        &view.history(LayerId::MAIN, "a").unwrap(),
        "a",
        untouched,
    );
}

#[test]
fn what_cannot_be_proven_is_refused_with_a_reason() {
    let env = MemEnv::new(4);
    let net = create(&env);
    net.commit(&super::one("a", "x")).unwrap();
    let gone = Assertion::absence(LayerId::MAIN, "a").valid(Valid::from(day(3)));
    net.commit(&Commit::new("test", vec![gone])).unwrap();
    let view = net.now_view().unwrap();
    let newest = view.newest_commit();
    let kind = |result: crate::Result<()>| result.unwrap_err().kind();
    let good = note(&view, &net, newest);
    let plain = HistoryOptions::default();
    let untouched = HistoryOptions {
        untouched: true,
        ..plain
    };
    let history = |id: &str, note: &Note, options| {
        view.prove_history(LayerId::MAIN, id, note.clone(), options)
            .map(drop)
    };
    assert!(history("a", &good, plain).is_ok());
    assert_eq!(kind(history("a", &good, untouched)), ErrorKind::Invalid);
    assert_eq!(kind(history("b", &good, plain)), ErrorKind::NotFound);
    assert_eq!(
        kind(history("a", &note(&view, &net, 1), plain)),
        ErrorKind::NotFound
    );

    let commit = |number, note: &Note| view.prove_commit(number, note.clone()).map(drop);
    for number in [0, newest + 1] {
        assert_eq!(kind(commit(number, &good)), ErrorKind::Invalid);
    }
    let root = good.checkpoint().root();
    let of = |net, size, root| Note::new(Checkpoint::new(net, size, root).unwrap());
    let other = of([9; 16], newest, root);
    assert_eq!(kind(commit(1, &other)), ErrorKind::Invalid);
    let fork = of(*net.id(), newest, [9; 32]);
    assert_eq!(kind(commit(1, &fork)), ErrorKind::Conflict);
    let later = of(*net.id(), newest + 1, root);
    assert_eq!(kind(commit(1, &later)), ErrorKind::NotFound);
    let back = view.prove_consistency(good.clone(), note(&view, &net, 1));
    assert_eq!(kind(back.map(drop)), ErrorKind::Invalid);
}
