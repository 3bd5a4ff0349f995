use super::{newest, payload, state};
use crate::request::limit;
use crate::testing::{create, day};
use crate::{Assertion, Commit, ErrorKind, ID_LEN_BYTES_MAX, LayerDef, Moment, Valid};
use blocknet_wal::MemEnv;

fn refused(commit: &Commit) -> bool {
    match commit.check() {
        Ok(()) => false,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Invalid);
            true
        }
    }
}

#[test]
fn each_limit_is_allowed_and_one_more_is_not() {
    let of = |assertion| Commit::new("test", vec![assertion]);
    let text = |len: usize| "x".repeat(len);
    for (len, expected) in [
        (0, true),
        (1, false),
        (1023, false),
        (1024, false),
        (1025, true),
    ] {
        assert_eq!(refused(&of(state(&text(len), ""))), expected, "id of {len}");
    }
    // Bytes count, not letters.
    assert!(refused(&of(state(&"\u{e9}".repeat(513), ""))));
    for len in [limit::TEXT_LEN_BYTES_MAX - 1, limit::TEXT_LEN_BYTES_MAX] {
        for over in [0, 1] {
            let text = text(len + over);
            let expected = text.len() > limit::TEXT_LEN_BYTES_MAX;
            let own = || Some(text.clone());
            let commits = [
                Commit::new(text.clone(), vec![]),
                Commit {
                    reason: text.clone(),
                    ..Commit::default()
                },
                Commit {
                    source: text.clone(),
                    ..Commit::default()
                },
                of(Assertion {
                    author: own(),
                    ..state("a", "")
                }),
                of(Assertion {
                    reason: own(),
                    ..state("a", "")
                }),
                of(Assertion {
                    source: own(),
                    ..state("a", "")
                }),
            ];
            for commit in &commits {
                assert_eq!(refused(commit), expected, "text of {}", text.len());
            }
        }
    }
    let max = limit::PAYLOAD_LEN_BYTES_MAX;
    for (len, expected) in [(max - 1, false), (max, false), (max + 1, true)] {
        let payload = vec![0; len];
        let assertion = Assertion {
            payload,
            ..state("a", "")
        };
        assert_eq!(refused(&of(assertion)), expected, "payload of {len}");
    }
}

#[test]
fn a_commit_has_a_limited_number_of_assertions_and_bytes() {
    let mut commit = Commit::new("test", vec![state("a", ""); limit::ASSERTIONS_MAX]);
    assert!(!refused(&commit));
    commit.assertions.push(state("a", ""));
    assert!(refused(&commit));

    // Three assertions with ids of one byte, 256 bytes each for the rest.
    let rest = limit::COMMIT_LEN_BYTES_MAX - 3 * 257 - 2 * limit::PAYLOAD_LEN_BYTES_MAX;
    for (len, expected) in [(rest, false), (rest + 1, true)] {
        let lens = [limit::PAYLOAD_LEN_BYTES_MAX; 2].into_iter().chain([len]);
        let assertions = lens.map(|len| Assertion {
            payload: vec![0; len],
            ..state("a", "")
        });
        assert_eq!(
            refused(&Commit::new("test", assertions.collect())),
            expected
        );
    }
}

#[test]
fn the_largest_commit_fits_a_frame_and_is_read_back() {
    let env = MemEnv::new(1);
    let net = create(&env);
    let assertions = (0..3).map(|number| Assertion {
        payload: vec![number; 13 << 20],
        ..state(&format!("{number}"), "")
    });
    net.commit(&Commit::new("test", assertions.collect()))
        .unwrap();
    let id = "i".repeat(ID_LEN_BYTES_MAX);
    let long = "t".repeat(limit::TEXT_LEN_BYTES_MAX);
    net.commit(&Commit {
        reason: long.clone(),
        source: long.clone(),
        ..Commit::new(long, vec![state(&id, "long")])
    })
    .unwrap();
    drop(net);
    let net = crate::testing::reopen(&env);
    assert_eq!(payload(&net, "2").map(|text| text.len()), Some(13 << 20));
    assert_eq!(payload(&net, &id).as_deref(), Some("long"));
}

#[test]
fn a_commit_too_long_for_a_frame_is_refused_and_the_next_is_taken() {
    let net = create(&MemEnv::new(1));
    // Texts of their own are not counted beforehand: the journal measures the frame.
    let long = Some("t".repeat(limit::TEXT_LEN_BYTES_MAX));
    let assertions = (0..6000).map(|number| Assertion {
        author: long.clone(),
        reason: long.clone(),
        source: long.clone(),
        ..state(&format!("{number}"), "")
    });
    let error = net
        .commit(&Commit::new("test", assertions.collect()))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert_eq!(newest(&net), 1);
    let receipt = net.commit(&super::one("a", "short")).unwrap();
    assert_eq!(receipt.commit, Some(2));
}

#[test]
fn valid_times_are_dates_in_order() {
    let before = |moment: Moment| Moment::from_micros(moment.as_micros() - 1);
    let after = |moment: Moment| Moment::from_micros(moment.as_micros() + 1);
    let check = |valid| refused(&Commit::new("test", vec![state("a", "").valid(valid)]));
    assert!(!check(Valid::from(Moment::FIRST)));
    assert!(check(Valid::from(before(Moment::FIRST))));
    assert!(!check(Valid::between(Moment::FIRST, Moment::LAST)));
    assert!(check(Valid::between(Moment::FIRST, after(Moment::LAST))));
    assert!(
        !check(Valid::between(day(3), day(3))),
        "empty, kept as history"
    );
    assert!(check(Valid::between(day(3), before(day(3)))));
}

#[test]
fn layer_texts_are_limited() {
    let def = |len: usize| LayerDef {
        source: "s".repeat(len),
        ..LayerDef::new("n".repeat(len))
    };
    def(LayerDef::TEXT_LEN_BYTES_MAX).check().unwrap();
    assert!(def(LayerDef::TEXT_LEN_BYTES_MAX + 1).check().is_err());
}
