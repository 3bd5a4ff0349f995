//! Attackers who can write all files, against what is remembered elsewhere.

use blocknet_wal::MemEnv;

use super::*;
use crate::testing::{DIR, builder, create, day, reopen};
use crate::verify::Depth;
use crate::verify::TablesFound;
use crate::{Assertion, Commit, Extent, LayerId, Valid};

fn put(net: &Net, place: f64, payload: &str) {
    let west = 4.0 + place;
    let extent = Extent::flat(west, 52.0, west + 0.0001, 52.0001);
    let state = Assertion::state(LayerId::MAIN, "a", extent, payload);
    net.commit(&Commit::new("test", vec![state.valid(Valid::from(day(0)))]))
        .unwrap();
}

/// A net of 21 commits, as it was after 1, 11 and 21, and what was remembered then.
struct Story {
    before: MemEnv,
    env: MemEnv,
    anchors: [Anchor; 3],
}

fn anchor(net: &Net) -> Anchor {
    let head = net.now_view().unwrap().log_head().unwrap();
    Anchor {
        size: head.size,
        net: *net.id(),
        root: head.root,
    }
}

fn story() -> Story {
    let env = MemEnv::new(1);
    let net = create(&env);
    let first = anchor(&net);
    for number in 0..10 {
        put(&net, 0.0, &number.to_string());
    }
    let second = anchor(&net);
    net.close().unwrap();
    let before = env.kill();
    let net = reopen(&env);
    for number in 10..20 {
        put(&net, f64::from(number) * 0.01, &number.to_string());
    }
    let third = anchor(&net);
    net.close().unwrap();
    Story {
        before,
        env,
        anchors: [first, second, third],
    }
}

fn covered(through: u64) -> Standing {
    Standing::Covered { through }
}

fn standings(env: &MemEnv, anchors: &[Anchor]) -> Vec<Standing> {
    let verified = builder(env)
        .verify_against(DIR, Depth::Full, anchors, &[], &|_| ())
        .unwrap();
    assert!(verified.is_clean(), "{:?}", verified.findings);
    verified.standings
}

#[test]
fn a_store_that_goes_on_is_covered() {
    let story = story();
    assert_eq!(
        standings(&story.env, &story.anchors),
        [covered(1), covered(11), covered(21)]
    );
    let net = reopen(&story.env);
    put(&net, 0.0, "more");
    net.close().unwrap();
    assert_eq!(standings(&story.env, &story.anchors[2..]), [covered(21)]);
    // Not looking at everything still compares the chain.
    let quick = builder(&story.env)
        .verify_against(DIR, Depth::Quick, &story.anchors, &[], &|_| ())
        .unwrap();
    assert_eq!(quick.standings, [covered(1), covered(11), covered(21)]);
}

#[test]
fn an_older_copy_is_told_from_a_forked_one() {
    let story = story();
    let newest = 11;
    assert_eq!(
        standings(&story.before, &story.anchors),
        [covered(1), covered(11), Standing::RolledBack { newest }]
    );
    // The older copy is written on, as if nothing had been.
    let net = reopen(&story.before);
    for number in 0..15 {
        put(&net, 0.5, &format!("other {number}"));
    }
    net.close().unwrap();
    let forked = |after| Standing::Forked {
        side: None,
        after,
        until: 21,
        block: None,
    };
    assert_eq!(
        standings(&story.before, &story.anchors),
        [covered(1), covered(11), forked(11)]
    );
    // Fewer checkpoints leave more commits in doubt.
    assert_eq!(standings(&story.before, &story.anchors[2..]), [forked(0)]);
}

#[test]
fn another_net_is_no_copy() {
    let story = story();
    let env = MemEnv::new(7);
    create(&env).close().unwrap();
    assert_eq!(standings(&env, &story.anchors[..1]), [Standing::OtherNet]);
}

#[test]
fn a_copy_names_the_first_other_commit_and_its_block() {
    let story = story();
    let both = story.env.kill();
    let of = |env: &MemEnv| {
        let target = Target {
            env: Arc::new(env.clone()),
            dir: DIR.as_ref(),
            tables: builder(env).target(DIR.as_ref()).unwrap().tables,
        };
        let (verification, diagnosis) =
            crate::verify::verify(&target, Depth::Full, &|_| ()).unwrap();
        let copy = builder(&both).open_read_only(DIR).unwrap();
        compare(&target, &verification, &diagnosis, &copy).unwrap()
    };
    assert_eq!(of(&story.env), covered(21));
    // Also where the tables lack what the journal has.
    let behind = Target {
        env: Arc::new(story.env.clone()),
        dir: DIR.as_ref(),
        tables: TablesFound::Unusable("gone".to_owned()),
    };
    let (verification, diagnosis) = crate::verify::verify(&behind, Depth::Full, &|_| ()).unwrap();
    assert_eq!(verification.commits, 21);
    let against = |copy: &MemEnv| {
        let copy = builder(copy).open_read_only(DIR).unwrap();
        compare(&behind, &verification, &diagnosis, &copy).unwrap()
    };
    assert_eq!(against(&both), covered(21));
    let other = story.before.kill();
    let net = reopen(&other);
    put(&net, 0.5, "another");
    net.close().unwrap();
    assert!(matches!(
        against(&other),
        Standing::Forked {
            after: 11,
            until: 12,
            block: Some(_),
            ..
        }
    ));
    assert_eq!(of(&story.before), Standing::RolledBack { newest: 11 });
    let net = reopen(&story.before);
    let spec = *net.spec();
    put(&net, 0.1, "10");
    put(&net, 0.5, "11");
    net.close().unwrap();
    let Standing::Forked {
        side: None,
        after: 11,
        until: 12,
        block: Some(block),
    } = of(&story.before)
    else {
        panic!("{:?}", of(&story.before))
    };
    // Commit 12 says the same in another place, at another time: its blocks are others, and so is
    // the one that the entity left. The least of them is named.
    let at = |place: f64| {
        let west = 4.0 + place;
        let extent = Extent::flat(west, 52.0, west + 0.0001, 52.0001);
        spec.block(&spec.encode(&extent.anchor()).unwrap())
    };
    assert_eq!(block, at(0.0).min(at(0.1)));
}
