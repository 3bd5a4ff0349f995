use super::{newest, one, payload, state};
use crate::testing::{create, day, reopen};
use crate::{
    AsOf, Assertion, Commit, ErrorKind, LayerDef, LayerId, LayerKind, Outcome, Precondition,
    Version,
};
use blocknet_wal::MemEnv;

#[test]
fn a_failed_precondition_writes_nothing_at_all() {
    let env = MemEnv::new(1);
    let net = create(&env);
    net.commit(&one("a", "1")).unwrap();
    let first = Version {
        commit: 2,
        index: 0,
    };
    net.commit(&Commit::new(
        "test",
        vec![state("a", "2").expect(Precondition::IsAt(first))],
    ))
    .unwrap();
    let second = Version {
        commit: 3,
        index: 0,
    };
    let operations = env.count(&[]);
    for (id, wanted, found) in [
        ("a", Precondition::IsAt(first), Some(second)),
        ("a", Precondition::IsNew, Some(second)),
        ("new", Precondition::IsAt(first), None),
    ] {
        // The others of the commit do not count either.
        let commit = Commit::new(
            "test",
            vec![state("b", "with it"), state(id, "3").expect(wanted)],
        );
        let error = net.commit(&commit).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        let conflict = error.conflict_found().unwrap();
        assert_eq!((conflict.assertion, conflict.found), (1, found));
    }
    assert_eq!(env.count(&[]), operations, "the disk was not touched");
    assert_eq!(newest(&net), 3);
    assert_eq!(payload(&net, "b"), None);
    let commit = Commit::new("test", vec![state("b", "4").expect(Precondition::IsNew)]);
    net.commit(&commit).unwrap();
    assert_eq!(payload(&net, "b").as_deref(), Some("4"));
}

#[test]
fn a_precondition_sees_commits_that_are_not_yet_durable() {
    let net = create(&MemEnv::new(1));
    let ticket = net.submit(&one("a", "1")).unwrap();
    let new = Commit::new("test", vec![state("a", "2").expect(Precondition::IsNew)]);
    assert_eq!(net.submit(&new).unwrap_err().kind(), ErrorKind::Conflict);
    ticket.wait().unwrap();
}

#[test]
fn layers_are_numbered_in_order_and_named_once() {
    let env = MemEnv::new(1);
    let net = create(&env);
    let def = LayerDef {
        kind: LayerKind::Permitted,
        vertical_datum: "NAP".into(),
        presence: "status=granted".into(),
        ..LayerDef::new("permits")
    };
    let permits = net.create_layer(def.clone(), "ann", "new duty").unwrap();
    assert_eq!(permits.number(), 2);
    let before = newest(&net);
    for (bad, commit) in [
        (def.clone(), Commit::default()),
        (LayerDef::new("main"), Commit::default()),
        (LayerDef::new(""), Commit::default()),
        (LayerDef::new("a,b"), Commit::default()),
        (
            LayerDef {
                time_zone: "Nowhere/Land".into(),
                ..LayerDef::new("zone")
            },
            Commit::default(),
        ),
        (LayerDef::new("more"), one("a", "no assertions here")),
    ] {
        let error = net.define_layer(bad, &commit).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    }
    assert_eq!(newest(&net), before);
    net.close().unwrap();

    let net = reopen(&env);
    let view = net.view(AsOf::Newest, day(0)).unwrap();
    assert_eq!(view.layer_named("permits").unwrap(), permits);
    let error = view.layer_named("licences").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("main, permits"), "{error}");
    let found = view.layers().find(|(layer, _)| *layer == permits).unwrap();
    assert_eq!(found.1.def, def);
    let info = view.commit(2).unwrap();
    assert_eq!(
        (info.author.as_str(), info.reason.as_str()),
        ("ann", "new duty")
    );
    assert_eq!(
        net.create_layer(def, "ann", "").unwrap_err().kind(),
        ErrorKind::Invalid
    );
}

#[test]
fn an_unknown_layer_refuses_the_whole_commit() {
    let net = create(&MemEnv::new(1));
    let stranger = Assertion {
        layer: LayerId(7),
        ..state("b", "x")
    };
    let error = net
        .commit(&Commit::new("test", vec![state("a", "x"), stranger]))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(newest(&net), 1);
    assert_eq!(payload(&net, "a"), None);
}

#[test]
fn what_changes_nothing_makes_no_commit() {
    let env = MemEnv::new(1);
    let net = create(&env);
    let receipt = net.commit(&one("a", "1")).unwrap();
    assert_eq!((receipt.new_entities, receipt.new_blocks), (1, 1));
    let operations = env.count(&[]);
    let again = net.commit(&one("a", "1")).unwrap();
    assert_eq!(again.commit, None);
    assert_eq!(again.outcomes, [Outcome::Unchanged]);
    assert_eq!(again.cost, crate::Cost::default());
    assert_eq!(net.commit(&Commit::default()).unwrap().commit, None);
    assert_eq!(env.count(&[]), operations);
    // Of a commit that changes something the rest is dropped.
    let mixed = net
        .commit(&Commit::new("test", vec![state("a", "1"), state("b", "1")]))
        .unwrap();
    assert_eq!(mixed.outcomes[0], Outcome::Unchanged);
    assert!(matches!(mixed.outcomes[1], Outcome::Written { .. }));
    assert_eq!(mixed.payload_bytes, 1);
}

#[test]
fn outcomes_come_in_the_order_of_the_request_and_versions_in_canonical_order() {
    let net = create(&MemEnv::new(1));
    let commit = Commit::new(
        "test",
        vec![state("b", "1"), state("a", "1"), state("b", "2")],
    );
    let receipt = net.commit(&commit).unwrap();
    let indices: Vec<_> = receipt
        .outcomes
        .iter()
        .map(|outcome| match outcome {
            Outcome::Written { version, .. } => version.index,
            Outcome::Unchanged => panic!("all are new"),
        })
        .collect();
    assert_eq!(indices, [1, 0, 2]);
    assert_eq!(payload(&net, "b").as_deref(), Some("2"));
    assert_eq!((receipt.new_entities, receipt.blocks), (2, 1));
}
