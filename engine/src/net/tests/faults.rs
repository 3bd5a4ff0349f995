use super::{newest, one, payload};
use crate::ErrorKind;
use crate::testing::{DIR, builder, create, fail_next, reopen};
use blocknet_wal::{EnvOp, InjectedError, MemEnv};

#[test]
fn a_failed_sync_leaves_the_outcome_unknown_and_poisons_the_handle() {
    for seed in 0..50 {
        let env = MemEnv::new(seed);
        let net = create(&env);
        net.commit(&one("a", "acknowledged")).unwrap();
        let before = newest(&net);
        let tickets = ["b", "c"].map(|id| net.submit(&one(id, "maybe")).unwrap());
        fail_next(&env, EnvOp::SYNCS, false, InjectedError::Io);
        for ticket in tickets {
            let error = ticket.wait().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
            assert!(error.to_string().contains("open the store again"));
        }
        // Nothing more is written, and no sync is tried again.
        let syncs = env.count(EnvOp::SYNCS);
        for error in [
            net.commit(&one("d", "never")).unwrap_err(),
            net.submit(&one("d", "never")).unwrap_err(),
            net.create_layer(crate::LayerDef::new("x"), "test", "")
                .unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Poisoned);
        }
        assert_eq!(net.sync().unwrap_err().kind(), ErrorKind::OutcomeUnknown);
        assert_eq!(env.count(EnvOp::SYNCS), syncs);
        // Reading goes on, and shows only what was acknowledged.
        assert_eq!(payload(&net, "a").as_deref(), Some("acknowledged"));
        assert_eq!(payload(&net, "b"), None);
        assert_eq!(newest(&net), before);
        assert_eq!(net.close().unwrap_err().kind(), ErrorKind::Poisoned);
        assert_eq!(env.count(EnvOp::SYNCS), syncs);

        // Opened again, on this machine or after a power cut, it tells what became of the others.
        for env in [env.crash(seed), env] {
            let net = reopen(&env);
            assert_eq!(payload(&net, "a").as_deref(), Some("acknowledged"));
            assert_eq!(payload(&net, "d"), None);
            let found = ["b", "c"].map(|id| payload(&net, id).is_some());
            assert_ne!(found, [false, true], "commits survive in order");
            let newest = net.commit(&one("d", "now")).unwrap().commit.unwrap();
            let survivors = found.iter().filter(|found| **found).count() as u64;
            assert_eq!(newest, before + survivors + 1);
            net.close().unwrap();
        }
    }
}

#[test]
fn a_full_disk_refuses_a_commit_and_takes_it_when_there_is_room() {
    const OPS: &[EnvOp] = &[EnvOp::Write, EnvOp::Allocate, EnvOp::CreateNew];
    for seed in 0..20 {
        let env = MemEnv::new(seed);
        let net = create(&env);
        net.commit(&one("a", "first")).unwrap();
        let before = newest(&net);
        let ticket = net.submit(&one("b", "on its way")).unwrap();
        fail_next(&env, OPS, true, InjectedError::NoSpace);
        for _ in 0..3 {
            let error = net.commit(&one("c", "refused")).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Io, "{error}");
        }
        env.heal();
        ticket.wait().unwrap();
        assert_eq!(payload(&net, "b").as_deref(), Some("on its way"));
        assert_eq!(payload(&net, "c"), None);
        // The number was not used up.
        let receipt = net.commit(&one("c", "taken")).unwrap();
        assert_eq!(receipt.commit, Some(before + 2));
        drop(net);
        let net = reopen(&env.crash(seed));
        assert_eq!(newest(&net), before + 2);
        assert_eq!(payload(&net, "c").as_deref(), Some("taken"));
    }
}

#[test]
fn a_write_that_cannot_be_taken_back_leaves_its_outcome_unknown() {
    const OPS: &[EnvOp] = &[EnvOp::Write, EnvOp::SetLen];
    let mut survived = 0;
    for seed in 0..50 {
        let env = MemEnv::new(seed);
        let net = create(&env);
        net.commit(&one("a", "acknowledged")).unwrap();
        let ticket = net.submit(&one("b", "maybe")).unwrap();
        fail_next(&env, OPS, true, InjectedError::Io);
        // The frame may stand on disk, whole, and come back at the next open.
        let error = net.commit(&one("c", "maybe")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{error}");
        assert_eq!(ticket.wait().unwrap_err().kind(), ErrorKind::OutcomeUnknown);
        let error = net.commit(&one("d", "never")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Poisoned, "{error}");
        assert_eq!(payload(&net, "a").as_deref(), Some("acknowledged"));
        drop(net);
        env.heal();
        let net = reopen(&env);
        assert_eq!(payload(&net, "a").as_deref(), Some("acknowledged"));
        let found = ["b", "c", "d"].map(|id| payload(&net, id).is_some());
        assert!(!found[2] && (found[0] || !found[1]), "{found:?}");
        survived += u32::from(found[1]);
    }
    assert!(survived > 0, "no failed write ever left a whole frame");
}

#[test]
fn every_operation_of_a_commit_may_fail_once() {
    for nth in 1..40 {
        for error in [InjectedError::Io, InjectedError::NoSpace] {
            let env = MemEnv::new(nth);
            let net = create(&env);
            env.inject(blocknet_wal::Injection {
                ops: &[],
                nth,
                lasting: false,
                error,
            });
            let mut known = Vec::new();
            for number in 0..60 {
                // Long enough to change segments on the way.
                let id = format!("{number}");
                let text = format!("{number:01000}");
                match net.commit(&one(&id, &text)) {
                    Ok(_) => known.push((id, text)),
                    Err(error) if error.kind() == ErrorKind::Io => {
                        assert_eq!(payload(&net, &id), None);
                    }
                    Err(error) => {
                        let unknown = [ErrorKind::OutcomeUnknown, ErrorKind::Poisoned];
                        assert!(unknown.contains(&error.kind()), "{error}");
                    }
                }
            }
            drop(net);
            env.heal();
            for env in [env.crash(nth), env] {
                let net = reopen(&env);
                for (id, text) in &known {
                    assert_eq!(payload(&net, id).as_ref(), Some(text), "operation {nth}");
                }
            }
        }
    }
}

#[test]
fn a_net_that_was_never_finished_is_refused_with_advice() {
    let env = MemEnv::new(1);
    fail_next(&env, &[EnvOp::Write], true, InjectedError::NoSpace);
    let error = builder(&env)
        .create(DIR, blocknet_geocode::NetSpec::city())
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io, "{error}");
    env.heal();
    let error = builder(&env).open(DIR).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
}

#[test]
fn opening_for_reading_changes_nothing_and_refuses_to_write() {
    let env = MemEnv::new(1);
    let net = create(&env);
    net.commit(&one("a", "there")).unwrap();
    drop(net);
    let changes = || env.count(EnvOp::CHANGES) + env.count(EnvOp::SYNCS);
    let before = changes();
    let net = builder(&env).open_read_only(DIR).unwrap();
    assert_eq!(payload(&net, "a").as_deref(), Some("there"));
    for error in [
        net.commit(&one("b", "no")).unwrap_err(),
        net.submit(&one("b", "no")).unwrap_err(),
        net.sync().unwrap_err(),
        net.create_layer(crate::LayerDef::new("x"), "test", "")
            .unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::ReadOnly);
    }
    let (journal_bytes, tables_bytes) = net.disk_bytes().unwrap();
    assert!(journal_bytes > 0);
    assert_eq!(tables_bytes, 0);
    net.close().unwrap();
    assert_eq!(changes(), before);
}

#[test]
fn more_commits_than_memory_allows_are_not_read_into_it() {
    let env = MemEnv::new(1);
    let net = create(&env);
    for number in 0..20 {
        net.commit(&one(&format!("{number}"), &"x".repeat(1000)))
            .unwrap();
    }
    net.close().unwrap();
    let open = |overlay_len_bytes_max| {
        builder(&env)
            .settings(crate::Settings {
                overlay_len_bytes_max,
                ..crate::Settings::default()
            })
            .open_read_only(DIR)
    };
    let error = open(10_000).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("overlay_len_bytes_max"));
    assert_eq!(newest(&open(1 << 20).unwrap()), 21);
}

#[test]
fn a_full_queue_is_settled_by_the_commit_that_fills_it() {
    let env = MemEnv::new(1);
    let net = create(&env);
    let large = "x".repeat(5 << 20);
    let tickets: Vec<_> = (0..3)
        .map(|number| net.submit(&one(&format!("{number}"), &large)).unwrap())
        .collect();
    assert_eq!(newest(&net), 1, "nothing is visible before it is durable");
    let filling = net.submit(&one("3", &large)).unwrap();
    assert_eq!(newest(&net), 5, "more than 16 MiB do not wait");
    for ticket in tickets.into_iter().chain([filling]) {
        ticket.wait().unwrap();
    }
}
