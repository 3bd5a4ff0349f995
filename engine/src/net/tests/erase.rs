//! Erasure by law: what is gone, what stays, and a crash at every moment.

use super::{newest, one, payload, state};
use crate::erase::Pending;
use crate::net::Inner;
use crate::testing::{DIR, builder, create, day, reopen};
use crate::verify::{Code, Depth, Side};
use crate::{Assertion, Commit, ErrorKind, Extent, LayerId, Net, Record, Valid, Version};
use blocknet_wal::{EnvOp, InjectedError, Injection, MemEnv};
use std::sync::Arc;

/// In every payload that is to go.
const SECRET: &str = "Jan de Vries, 12 March 1961";

fn secret(number: u32) -> String {
    format!("{{\"owner\":\"{SECRET}\",\"n\":{number}}}")
}

/// Versions that were stated at one place, live, past and followed by others; and one that moved.
fn filled(env: &MemEnv) -> (Net, Vec<Version>) {
    let net = create(env);
    for number in 0..60 {
        net.commit(&one(&format!("other {number}"), "kept"))
            .unwrap();
    }
    let all: Vec<Assertion> = (0..5)
        .map(|number| state(&format!("a{number}"), &secret(number)))
        .collect();
    net.commit(&Commit::new("test", all)).unwrap();
    let later = |id: &str, extent: Extent, payload: &str| {
        let again = Assertion::state(LayerId::MAIN, id, extent, payload);
        net.commit(&Commit::new("test", vec![again.valid(Valid::from(day(5)))]))
            .unwrap();
    };
    later("a1", super::house(0), "kept");
    later("a2", super::house(7), "kept");
    net.commit(&one("last", &secret(9))).unwrap();
    let view = net.now_view().unwrap();
    let ids = ["a0", "a1", "a2", "last"];
    let versions = ids.map(|id| view.history(LayerId::MAIN, id).unwrap()[0].version);
    drop(view);
    (net, versions.to_vec())
}

fn law() -> Commit {
    Commit {
        reason: "article 17".into(),
        ..Commit::new("clerk", Vec::new())
    }
}

fn histories(net: &Net) -> Vec<Record> {
    let view = net.now_view().unwrap();
    let ids = ["a0", "a1", "a2", "a3", "a4", "last", "other 7"];
    ids.iter()
        .flat_map(|id| view.history(LayerId::MAIN, id).unwrap())
        .collect()
}

/// How often the secret stands in the files, of payloads number 0, 1, 2 and 9.
fn traces(env: &MemEnv) -> usize {
    let wanted = [0, 1, 2, 9].map(secret);
    env.paths()
        .iter()
        .filter_map(|path| env.contents(path))
        .map(|bytes| {
            let found = |text: &String| {
                let text = text.as_bytes();
                bytes
                    .windows(text.len())
                    .filter(|part| *part == text)
                    .count()
            };
            wanted.iter().map(found).sum::<usize>()
        })
        .sum()
}

#[test]
fn payloads_go_and_everything_else_stays() {
    let env = MemEnv::new(1);
    let (net, versions) = filled(&env);
    let before = histories(&net);
    let by = net.erase(&versions, &law()).unwrap();
    assert_eq!(by, newest(&net));
    let check = |net: &Net| {
        for (old, new) in before.iter().zip(histories(net)) {
            let mut expected = old.clone();
            if versions.contains(&old.version) {
                expected.payload = Vec::new().into();
                expected.erased = Some(by);
            }
            assert_eq!(new, expected);
        }
        assert_eq!(payload(net, "a0").as_deref(), Some(""));
        assert_eq!(payload(net, "a3"), Some(secret(3)));
        let past = net.view(crate::AsOf::Commit(by - 1), day(1)).unwrap();
        let found = past.get(LayerId::MAIN, "a1").unwrap().unwrap();
        assert_eq!((found.payload.len(), found.erased), (0, Some(by)));
        net.audit(|finding| panic!("{finding}")).unwrap();
    };
    check(&net);
    // Not served any more; the bytes go when nobody has it open.
    assert_eq!(traces(&env), 4);
    net.close().unwrap();
    let verified = builder(&env).verify(DIR, Depth::Full, &|_| ()).unwrap();
    let codes: Vec<_> = verified.findings.iter().map(|found| found.code).collect();
    assert_eq!(codes, [Code::ErasurePending; 4], "{:?}", verified.findings);
    assert!(verified.is_clean());

    let net = reopen(&env);
    assert_eq!(net.report().erased, 4);
    assert_eq!(traces(&env), 0);
    check(&net);
    // The chain goes on.
    net.commit(&one("more", "kept")).unwrap();
    net.close().unwrap();
    let net = reopen(&env);
    check(&net);
    net.close().unwrap();
    let verified = builder(&env).verify(DIR, Depth::Full, &|_| ()).unwrap();
    assert!(verified.is_clean(), "{:?}", verified.findings);
    assert_eq!(verified.erased, 4);
    assert!(
        verified
            .findings
            .iter()
            .all(|found| found.code == Code::Erased),
        "{:?}",
        verified.findings
    );
}

#[test]
fn an_erasure_that_no_commit_ordered_is_damage() {
    let env = MemEnv::new(1);
    let (net, versions) = filled(&env);
    let by = net.erase(&versions[..1], &law()).unwrap();
    net.close().unwrap();
    reopen(&env).close().unwrap();
    // Somebody erases more than was ordered: in its frame, and so in tables built from that.
    let journal = std::path::Path::new(DIR).join(crate::open::JOURNAL_DIR);
    let shared: Arc<dyn blocknet_wal::Env> = Arc::new(env.clone());
    let mut pending = Pending::default();
    pending.order(versions[1], by);
    let net = reopen(&env);
    let Inner::Writable(writable) = &net.inner else {
        panic!("opened for writing")
    };
    let segments = pending
        .segments(&shared, &journal, &writable.journal, net.spec())
        .unwrap();
    assert_eq!(segments.len(), 1);
    let spec = *net.spec();
    net.close().unwrap();
    pending
        .rewrite(&shared, &journal, &spec, &segments)
        .unwrap();
    let verified = builder(&env).verify(DIR, Depth::Full, &|_| ()).unwrap();
    let found: Vec<_> = verified
        .errors()
        .filter(|found| found.code == Code::Payload)
        .map(|found| (found.side, found.version))
        .collect();
    assert!(
        found.contains(&(Side::Journal, Some(versions[1]))),
        "{found:?}"
    );
    assert!(
        found.contains(&(Side::Tables, Some(versions[1]))),
        "{found:?}"
    );
}

#[test]
fn what_cannot_be_erased_is_refused_and_nothing_is_written() {
    let env = MemEnv::new(1);
    let (net, versions) = filled(&env);
    net.erase(&versions[..1], &law()).unwrap();
    let before = newest(&net);
    let version = |commit, index| Version { commit, index };
    let kind =
        |versions: &[Version], commit: &Commit| net.erase(versions, commit).unwrap_err().kind();
    assert_eq!(kind(&versions, &law()), ErrorKind::Invalid, "twice");
    assert_eq!(kind(&[], &law()), ErrorKind::Invalid);
    assert_eq!(kind(&[version(1, 0)], &law()), ErrorKind::NotFound);
    assert_eq!(kind(&[version(2, 1)], &law()), ErrorKind::NotFound);
    assert_eq!(kind(&[version(1 << 40, 0)], &law()), ErrorKind::NotFound);
    assert_eq!(kind(&versions[1..], &one("a", "b")), ErrorKind::Invalid);
    assert_eq!(newest(&net), before);
}

#[test]
fn a_register_imported_again_does_not_bring_it_back() {
    let env = MemEnv::new(1);
    let net = create(&env);
    let register = Commit {
        recorded: crate::Recorded::At(day(3)),
        ..one("a", SECRET)
    };
    let version = match &net.commit(&register).unwrap().outcomes[..] {
        [crate::Outcome::Written { version, .. }] => *version,
        other => panic!("{other:?}"),
    };
    net.erase(&[version], &law()).unwrap();
    let again = net.commit(&register).unwrap();
    assert_eq!(again.outcomes, [crate::Outcome::Unchanged]);
    assert_eq!(again.commit, None);
    // Somebody who states it anew is taken at his word.
    net.commit(&one("a", SECRET)).unwrap();
    assert_eq!(payload(&net, "a").as_deref(), Some(SECRET));
}

#[test]
fn a_crash_at_any_operation_is_finished_at_the_next_opening() {
    let mut cut = 0;
    let mut nth = 0;
    loop {
        nth += 1;
        let env = MemEnv::new(nth);
        let (net, versions) = filled(&env);
        net.close().unwrap();
        let net = reopen(&env);
        env.inject(Injection {
            ops: EnvOp::CHANGES,
            nth,
            lasting: true,
            error: InjectedError::Io,
        });
        let ordered = net.erase(&versions, &law());
        let closed = net.close();
        let opened = builder(&env).open(DIR);
        let whole = opened.is_ok_and(|net| net.report().erased > 0 && net.close().is_ok());
        env.heal();
        // After a power cut, and after the process alone died.
        for env in [env.crash(nth), env.kill()] {
            let net = reopen(&env);
            let erased = payload(&net, "a0").as_deref() == Some("");
            if ordered.is_ok() {
                assert!(erased, "{nth}: acknowledged, and forgotten");
            }
            net.close().unwrap();
            let verified = builder(&env).verify(DIR, Depth::Full, &|_| ()).unwrap();
            assert!(verified.is_clean(), "{nth}: {:#?}", verified.findings);
            if erased {
                assert_eq!(traces(&env), 0, "{nth}");
                assert_eq!(verified.erased, 4, "{nth}");
            } else {
                assert_eq!(traces(&env), 4, "{nth}");
            }
        }
        cut += u32::from(ordered.is_ok() && closed.is_ok() && !whole);
        if whole {
            break;
        }
    }
    assert!(cut > 8, "only {cut} crashes fell between order and end");
}
