//! Proof files of every kind: what they hold, and that everything else is refused.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod net;

use blocknet_proof::witness::{self, State};
use blocknet_proof::{
    Apart, Checkpoint, Error, HistoryProof, Keys, Note, Payload, PayloadPart, Proof, Report, Role,
    SecretKey, Shown, Side, verify,
};
use net::{Assert, Lie, Net, example, log_key, state, witness_key};

fn keys() -> Keys {
    Keys::new(vec![log_key().public()], Vec::new()).unwrap()
}

fn fixture(name: &str, encoded: &str) -> Vec<u8> {
    let path = format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
    if !encoded.is_empty() && std::env::var_os("BLOCKNET_WRITE_FIXTURES").is_some() {
        std::fs::write(&path, encoded).unwrap();
    }
    std::fs::read(&path).unwrap()
}

/// A checkpoint of the example that a witness cosigned.
fn cosigned(net: &Net, size: u64) -> Note {
    let note = net.note(size);
    let mut state = State::default();
    state.accept(note.checkpoint());
    let log = log_key().public();
    witness::cosign(&witness_key(), &state, &note, &log, &[], 1_700_000_000)
        .unwrap()
        .0
}

/// A proof made by one release is a fixture for the next: these files must verify for ever. That
/// they are what is written today is asked separately, so that a new form is a choice.
#[test]
fn fixtures_verify_and_are_what_is_written() {
    let net = example();
    let mut commit = net.prove_commit(5, 8);
    commit.note = cosigned(&net, 8);
    let all = [
        ("commit.tlog-proof", commit.encode()),
        (
            "history.proof",
            net.prove_history("house", 2, 8, false, false).encode(),
        ),
        (
            "untouched.proof",
            net.prove_history("house", 3, 8, true, true).encode(),
        ),
        ("consistency.proof", net.prove_consistency(3, 8).encode()),
    ];
    let both = Keys::new(vec![log_key().public()], vec![witness_key().public()]).unwrap();
    for (name, key) in [("log.pub", log_key()), ("witness.pub", witness_key())] {
        let line = format!("{}\n", key.public());
        assert_eq!(fixture(name, &line), line.as_bytes());
    }
    for (name, encoded) in all {
        let bytes = fixture(name, &encoded);
        let keys = if name.starts_with("commit") {
            &both
        } else {
            &keys()
        };
        let report = verify(&bytes, keys).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(report.checkpoint.size(), 8, "{name}");
        assert!(!report.not_proven().is_empty());
        assert_eq!(String::from_utf8(bytes).unwrap(), encoded, "{name}");
    }
}

fn verified(name: &str) -> Report {
    let bytes = fixture(name, "");
    verify(&bytes, &keys()).unwrap()
}

#[test]
fn a_report_says_what_the_net_said() {
    let Shown::History(history) = verified("untouched.proof").shown else {
        panic!("a history is shown")
    };
    assert_eq!((history.layer, history.id.as_str()), (1, "house"));
    let numbers: Vec<_> = history
        .versions
        .iter()
        .map(|v| (v.commit.number, v.index))
        .collect();
    assert_eq!(numbers, [(2, 0), (3, 0), (5, 1)]);
    let [first, absence, last] = &history.versions[..] else {
        panic!("three versions")
    };
    assert_eq!(first.block.as_deref(), Some(&[0x11, 0x11][..]));
    assert_eq!(first.texts(), ["surveyor", "", "deed 7"]);
    assert_eq!(first.version.extent.unwrap().north.to_string(), "52.25");
    assert!(absence.version.is_absence());
    assert_eq!(
        (absence.version.valid_from, absence.version.valid_to),
        (5, 9)
    );
    assert_eq!(last.payload, Payload::Shown(b"{\"storeys\":2}".to_vec()));
    assert_eq!((last.commit.recorded, last.commit.written), (1005, 2000));
    let untouched = history.untouched.unwrap();
    assert_eq!((untouched.after, untouched.through), (5, 8));
}

#[test]
fn what_is_not_proven_depends_on_what_is() {
    let of = |name| verified(name).not_proven().join("\n");
    assert!(of("untouched.proof").contains("no later version about other times"));
    assert!(!of("untouched.proof").contains("withheld"));
    assert!(of("history.proof").contains("no later version than those shown"));
    assert!(of("history.proof").contains("withheld"));
    assert!(of("consistency.proof").contains("in any commit"));
    for name in ["untouched.proof", "history.proof", "consistency.proof"] {
        assert!(of(name).contains("no witness cosigned"), "{name}");
        assert!(of(name).contains("after the checkpoint"), "{name}");
    }
}

#[test]
fn every_changed_bit_is_refused() {
    let both = Keys::new(vec![log_key().public()], vec![witness_key().public()]).unwrap();
    for name in [
        "commit.tlog-proof",
        "history.proof",
        "untouched.proof",
        "consistency.proof",
    ] {
        let keys = if name.starts_with("commit") {
            &both
        } else {
            &keys()
        };
        let good = fixture(name, "");
        assert!(verify(&good, keys).is_ok(), "{name}");
        for bit in 0..8 * good.len() {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(verify(&bytes, keys).is_err(), "{name}: bit {bit}");
        }
        for cut in 0..good.len() {
            assert!(verify(&good[..cut], keys).is_err(), "{name}: cut at {cut}");
        }
        for more in [&b"\n"[..], b"x", b"x\n", b"\0"] {
            assert!(
                verify(&[&good, more].concat(), keys).is_err(),
                "{name}: {more:?}"
            );
        }
    }
}

#[test]
fn every_line_left_out_doubled_or_swapped_is_refused() {
    for name in ["history.proof", "untouched.proof", "consistency.proof"] {
        let good = String::from_utf8(fixture(name, "")).unwrap();
        let lines: Vec<&str> = good.lines().collect();
        let refused = |lines: &[&str], what: &str| {
            let text = lines.join("\n") + "\n";
            assert!(verify(text.as_bytes(), &keys()).is_err(), "{name}: {what}");
        };
        for at in 0..lines.len() {
            let mut fewer = lines.clone();
            fewer.remove(at);
            refused(&fewer, &format!("line {at} left out"));
            let mut more = lines.clone();
            more.insert(at, lines[at]);
            refused(&more, &format!("line {at} twice"));
            let mut swapped = lines.clone();
            swapped.swap(at, (at + 1) % lines.len());
            if swapped != lines {
                refused(&swapped, &format!("line {at} swapped with the next"));
            }
        }
    }
}

#[test]
fn all_histories_and_commits_of_the_example_verify() {
    let net = example();
    for size in 1..=net.size() {
        for number in 1..=size {
            let proof = net.prove_commit(number, size);
            let report = verify(proof.encode().as_bytes(), &keys()).unwrap();
            assert!(matches!(report.shown, Shown::Commit(commit) if commit.number == number));
            let proof = net.prove_consistency(number, size);
            verify(proof.encode().as_bytes(), &keys()).unwrap();
        }
    }
    for (id, count) in [
        ("house", 3),
        ("shed", 2),
        ("tree", 3),
        ("barn", 2),
        ("zoo", 1),
    ] {
        for count in 1..=count {
            for payload in [false, true] {
                let proof = net.prove_history(id, count, net.size(), false, payload);
                verify(proof.encode().as_bytes(), &keys()).unwrap();
            }
        }
    }
}

fn refusal(proof: &HistoryProof) -> String {
    // Through the file, as it would come.
    verify(proof.encode().as_bytes(), &keys())
        .unwrap_err()
        .to_string()
}

/// The state of the house in commit 2 was closed in commit 3 and moved away from in commit 5: no
/// proof can be made that it was not touched, whatever is shown of those commits.
#[test]
fn a_closed_state_is_not_shown_untouched() {
    let net = example();
    let closed = net.prove_history("house", 1, 8, true, false);
    assert!(
        refusal(&closed).starts_with("commit 3: "),
        "{}",
        refusal(&closed)
    );
    // Up to commit 2 it stood.
    let early = net.prove_history("house", 1, 2, true, false);
    assert!(verify(early.encode().as_bytes(), &keys()).is_ok());
    // Said to be elsewhere where the block was touched, with the neighbours around it.
    let mut elsewhere = closed.clone();
    let since = elsewhere.since.as_mut().unwrap();
    let Apart::Elsewhere(gap) = since.later[1].apart.clone() else {
        panic!("commit 4 is elsewhere")
    };
    since.later[0].apart = Apart::Elsewhere(gap);
    assert!(refusal(&elsewhere).starts_with("commit 3: "));
    // The commit left out.
    let mut fewer = closed.clone();
    fewer.since.as_mut().unwrap().later.remove(0);
    assert_eq!(
        refusal(&fewer),
        "commit 4: commits before it are left out; this proof shows nothing"
    );
    // The proof ends before it, but the checkpoint is of today.
    let mut short = early;
    short.note = net.note(8);
    assert_eq!(
        refusal(&short),
        "since: does not reach up to the checkpoint; this proof shows nothing"
    );
}

/// A version that the same commit replaces a moment later is not shown untouched by hiding the
/// second.
#[test]
fn a_version_replaced_in_its_own_commit_is_not_shown_untouched() {
    let home = [0x11, 0x11, 0xaa, 0];
    let mut net = Net::default();
    net.commit(&[]);
    net.commit(&[
        state("house", home),
        state("house", home),
        state("shed", home),
    ]);
    net.commit(&[
        state("barn", home),
        Assert {
            closes: vec![home],
            ..state("barn", [0x22; 4])
        },
    ]);
    let proof = net.prove_history("house", 1, 3, true, false);
    assert!(refusal(&proof).contains("files something later at the version's place"));
    let proof = net.prove_history("house", 2, 3, true, false);
    assert!(verify(proof.encode().as_bytes(), &keys()).is_ok());
    // Closed rather than replaced.
    let proof = net.prove_history("barn", 1, 3, true, false);
    assert!(refusal(&proof).contains("files something later at the version's place"));
    // The shed was said to be the next, which it is not of the first version.
    let mut proof = net.prove_history("house", 1, 3, true, false);
    let other = net.prove_history("house", 2, 3, true, false);
    proof.since.as_mut().unwrap().next = other.since.unwrap().next;
    assert!(refusal(&proof).contains("the neighbour is not the next one"));
}

/// Headers whose hash fits, but whose number no log can have, in a file with a checkpoint that is
/// signed.
#[test]
fn hostile_numbers_are_refused() {
    let net = example();
    for number in [0, 1, i64::MAX as u64, u64::MAX] {
        let header = net::commit_header(number, 9, [[0; 32]; 3]).0;
        let mut since = net.prove_history("house", 3, 8, true, false);
        since
            .since
            .as_mut()
            .unwrap()
            .commit
            .header
            .clone_from(&header);
        refusal(&since);
        let mut later = net.prove_history("house", 3, 8, true, false);
        later.since.as_mut().unwrap().later[0]
            .header
            .clone_from(&header);
        refusal(&later);
        let mut before = net.prove_history("house", 3, 8, false, false);
        before.commits[0].0.header.clone_from(&header);
        refusal(&before);
        let mut commit = net.prove_commit(3, 8);
        commit.header = header;
        assert!(verify(commit.encode().as_bytes(), &keys()).is_err());
    }
}

/// A commit that moved the house is shown as one that touched another block beside it: where the
/// house went, in which its old record key is not.
#[test]
fn another_block_shows_nothing_of_the_first() {
    let (home, away) = ([0x11, 0x11, 0xaa, 0], [0x22, 0x22, 0, 0]);
    let mut net = Net::default();
    net.commit(&[]);
    net.commit(&[state("house", home)]);
    net.commit(&[Assert {
        closes: vec![home],
        ..state("house", away)
    }]);
    let mut proof = net.prove_history("house", 1, 3, true, false);
    assert!(refusal(&proof).starts_with("commit 3: "));
    let key = net::record_key("house", home);
    proof.since.as_mut().unwrap().later[0].apart = net.beside(3, &away[..2], &key);
    assert!(refusal(&proof).contains("another block is shown"));
}

#[test]
fn what_never_stood_is_not_shown_untouched() {
    let mut net = Net::default();
    net.commit(&[]);
    net.commit(&[
        Assert {
            valid: (5, 5),
            ..state("house", [1; 4])
        },
        Assert {
            at: None,
            ..state("shed", [1; 4])
        },
    ]);
    let proof = net.prove_history("house", 1, 2, true, false);
    assert!(refusal(&proof).contains("interval is empty"));
    let absent = net.prove_history("shed", 1, 2, false, false);
    let mut forged = net.prove_history("house", 1, 2, true, false);
    forged.since.as_mut().unwrap().commit = absent.commits[0].0.clone();
    (forged.id, forged.code_len) = (absent.id, None);
    assert!(refusal(&forged).contains("not a state"));
}

/// What a signed log holds and a net never writes is refused all the same.
#[test]
fn a_net_that_breaks_its_own_rules_is_refused() {
    for (lie, words) in [
        (Lie::Ordinal, "does not follow on the version before"),
        (Lie::VersionBefore, "does not follow on the version before"),
        (Lie::PayloadLen, "payload does not fit"),
        (Lie::BlockCommit, "not under the commit's blocks root"),
        (Lie::CommitBefore, "does not name the commit before it"),
    ] {
        let mut net = Net::default();
        net.commit(&[]);
        net.commit(&[state("house", [1; 4])]);
        net.lie = lie;
        net.commit(&[state("house", [1; 4])]);
        let proof = net.prove_history("house", 2, 3, false, true);
        assert!(
            refusal(&proof).contains(words),
            "{lie:?}: {}",
            refusal(&proof)
        );
    }
}

/// One commit with two versions is written once.
#[test]
fn a_commit_has_one_line() {
    let mut net = Net::default();
    net.commit(&[]);
    net.commit(&[state("house", [1; 4]), state("house", [2; 4])]);
    let good = net.prove_history("house", 2, 2, false, false);
    assert!(verify(good.encode().as_bytes(), &keys()).is_ok());
    let mut split = good;
    let mut second = split.commits[0].clone();
    second.0.versions.remove(0);
    split.commits[0].0.versions.pop();
    split.commits.push(second);
    assert!(refusal(&split).contains("not in order"));
}

#[test]
fn a_history_has_no_gaps_and_no_strangers() {
    let net = example();
    let good = net.prove_history("house", 3, 8, false, true);
    let mut gap = good.clone();
    gap.commits.remove(1);
    assert!(refusal(&gap).contains("does not follow on the version before"));
    let mut start = good.clone();
    start.commits.remove(0);
    assert!(refusal(&start).contains("does not follow on the version before"));
    let mut other = good.clone();
    other.id = "shed".into();
    assert!(refusal(&other).contains("of another entity"));
    let mut order = good.clone();
    order.commits.swap(0, 1);
    assert!(refusal(&order).contains("does not follow"));
    let mut none = good.clone();
    none.commits.clear();
    assert!(refusal(&none).contains("it has no version"));
    let mut index = good.clone();
    index.commits[0].0.versions[0].index = 2;
    assert!(refusal(&index).contains("out of order or none"));
    let mut path = good.clone();
    path.commits[2].1 = path.commits[1].1.clone();
    assert!(refusal(&path).contains("commit 5: not in the log"));
    let mut payload = good.clone();
    payload.commits[0].0.versions[0].payload = PayloadPart::Shown {
        salt: [2; 16],
        bytes: b"[]".to_vec(),
    };
    assert!(refusal(&payload).contains("payload does not fit"));
    let mut code = good;
    code.code_len = Some(5);
    assert!(verify(code.encode().as_bytes(), &keys()).is_err());
}

/// Length of codes without a state would be bound by nothing.
#[test]
fn nothing_unbound_is_allowed() {
    let mut net = Net::default();
    net.commit(&[]);
    let absent = |id| Assert {
        at: None,
        ..state(id, [0; 4])
    };
    net.commit(&[absent("ghost"), absent("ghost2")]);
    let mut proof = net.prove_history("ghost", 1, 2, false, false);
    assert!(verify(proof.encode().as_bytes(), &keys()).is_ok());
    proof.code_len = Some(4);
    assert!(refusal(&proof).contains("length of codes"));
    // A path whose directions are turned.
    let net = example();
    let mut proof = net.prove_commit(3, 8);
    proof.index = 4;
    assert!(verify(proof.encode().as_bytes(), &keys()).is_err());
    let mut proof = net.prove_history("shed", 1, 8, false, false);
    let part = &mut proof.commits[0].0.versions[0];
    let blocknet_proof::Filed::Block { path, .. } = &mut part.filed else {
        panic!("a state")
    };
    let step = path.0.first_mut().unwrap();
    step.side = if step.side == Side::Left {
        Side::Right
    } else {
        Side::Left
    };
    assert!(refusal(&proof).contains("it is not in its block"));
}

#[test]
fn keys_decide_what_is_believed() {
    let net = example();
    let other = SecretKey::from_seed("test.example/net", Role::Log, &[9; 32]).unwrap();
    let strangers = Keys::new(vec![other.public()], Vec::new()).unwrap();
    let proof = net.prove_commit(5, 8).encode();
    assert!(matches!(
        verify(proof.as_bytes(), &strangers),
        Err(Error::UnknownKey { .. })
    ));
    assert!(matches!(
        verify(proof.as_bytes(), &Keys::default()),
        Err(Error::UnknownKey { .. })
    ));
    let witnessed = Keys::new(vec![log_key().public()], vec![witness_key().public()]).unwrap();
    assert!(matches!(
        verify(proof.as_bytes(), &witnessed),
        Err(Error::WitnessMissing { .. })
    ));
    let mut unsigned = net.prove_commit(5, 8);
    unsigned.note = Note::new(*unsigned.note.checkpoint());
    let refused = verify(unsigned.encode().as_bytes(), &keys());
    assert!(matches!(refused, Err(Error::Unsigned { .. })));
    // A fork: the same number of commits, another history, the same key.
    let mut fork = Net::default();
    for _ in 0..8 {
        fork.commit(&[]);
    }
    let mut moved = net.prove_commit(5, 8);
    moved.note = fork.note(8);
    assert!(verify(moved.encode().as_bytes(), &keys()).is_err());
    let mut forked = net.prove_consistency(3, 8);
    forked.to = fork.note(8);
    assert!(verify(forked.encode().as_bytes(), &keys()).is_err());
    // Another net with the same commits: two origins, one key.
    let mut other = net.prove_consistency(3, 8);
    let checkpoint = other.to.checkpoint();
    let renamed = Checkpoint::new([1; 16], 8, checkpoint.root()).unwrap();
    other.to = Note::new(renamed);
    other.to.sign(&log_key()).unwrap();
    let refused = verify(other.encode().as_bytes(), &keys()).unwrap_err();
    assert!(refused.to_string().contains("two nets"), "{refused}");
    let mut back = net.prove_consistency(3, 8);
    std::mem::swap(&mut back.from, &mut back.to);
    assert!(verify(back.encode().as_bytes(), &keys()).is_err());
}

#[test]
fn limits_are_kept() {
    let long = "A".repeat(blocknet_proof::FILE_LEN_BYTES_MAX + 1);
    assert!(matches!(
        Proof::decode(long.as_bytes()),
        Err(Error::Limit { .. })
    ));
    let good = String::from_utf8(fixture("commit.tlog-proof", "")).unwrap();
    let hash = format!("\n{}=\n", "A".repeat(43));
    let many = good.replacen("\nindex 4\n", &format!("\nindex 4{}", hash.repeat(65)), 1);
    let many = many.replace("\n\nA", "\nA");
    assert!(
        matches!(Proof::decode(many.as_bytes()), Err(Error::Limit { .. })),
        "65 hashes"
    );
    let long_header = good.replacen("extra ", &format!("extra {}", "AAAA".repeat(5000)), 1);
    assert!(matches!(
        Proof::decode(long_header.as_bytes()),
        Err(Error::Limit { .. })
    ));
    for wrong in [
        "",
        "\n",
        "c2sp.org/tlog-proof@v2\n",
        "blocknet/history-proof@v1\n",
    ] {
        assert!(Proof::decode(wrong.as_bytes()).is_err(), "{wrong:?}");
    }
}

quickcheck::quickcheck! {
    /// Any line of a file replaced by anything gets an answer, and never a good one.
    fn hostile_lines_are_refused_not_panicked_on(at: usize, line: String, token: usize) -> bool {
        ["commit.tlog-proof", "untouched.proof", "consistency.proof"].iter().all(|name| {
            let good = String::from_utf8(fixture(name, "")).unwrap();
            let mut lines: Vec<String> = good.lines().map(str::to_owned).collect();
            let at = at % lines.len();
            let mut tokens: Vec<&str> = lines[at].split(' ').collect();
            let token = token % tokens.len();
            tokens[token] = &line;
            lines[at] = tokens.join(" ");
            let text = lines.join("\n") + "\n";
            text == good || verify(text.as_bytes(), &keys()).is_err()
        })
    }
}
