//! Every version of a small net lost from the tables, and bytes of its frame changed all over.

use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use blocknet_kv::Table;
use blocknet_wal::{EnvOp, Frame, InjectedError, Injection, MemEnv, Recovery};

use super::super::tests::{all_rows, errors, put, street, verified, with_row, writable};
use super::super::{Depth, Verification};
use super::*;
use crate::testing::{DIR, builder, day, from_environment};
use crate::{AsOf, Commit, ErrorKind, LayerId, Moment, Net};

const FRAME_HEADER_LEN: usize = 80;

fn frames(env: &MemEnv) -> Vec<Frame> {
    let dir = FilePath::new(DIR).join("journal");
    let recovery = Recovery::scan(Arc::new(env.clone()), &dir).unwrap();
    recovery.frames(1).unwrap().map(Result::unwrap).collect()
}

fn path_of(frame: &Frame) -> PathBuf {
    FilePath::new(DIR).join(file_of(frame.position.segment))
}

/// The rows of the tables that hold a version.
fn row_of(net: &Net, version: Version) -> (Table, Vec<u8>, Vec<u8>) {
    let rows = all_rows(&*writable(net).store).into_iter();
    let mut own = rows.filter(|(table, _, value)| {
        [key::RECORDS, key::HISTORY].contains(table)
            && RowRef::decode(value).is_ok_and(|row| row.version == version)
    });
    own.next().unwrap()
}

/// Where header and salt with payload of each version stand in a frame.
fn places(frame: &Frame, body: &Body) -> Vec<(Range<usize>, Range<usize>)> {
    let mut front = Encoder::default();
    body.info.encode(&mut front);
    let mut header_at = FRAME_HEADER_LEN + front.0.len() + 4;
    let mut payload_at = FRAME_HEADER_LEN + frame.body.len().next_multiple_of(8) + 8;
    let mut places = Vec::new();
    for header in &body.assertions {
        let mut out = Encoder::default();
        header.encode(&mut out);
        let header_end = header_at + out.0.len();
        let payload_end = payload_at + SALT_LEN_BYTES + header.payload_len as usize;
        places.push((header_at..header_end, payload_at..payload_end));
        (header_at, payload_at) = (header_end, payload_end);
    }
    places
}

#[test]
fn a_version_is_lost_only_if_its_own_bytes_are_damaged_in_both_copies() {
    let env = MemEnv::new(1);
    let net = street(&env);
    let store = &*writable(&net).store;
    let stride = usize::try_from(from_environment("BLOCKNET_STRIDE", 13)).unwrap();
    let (mut headers, mut payloads, mut whole) = (0, 0, 0);
    for frame in frames(&env) {
        let body = Body::decode(&frame.body, Some(net.spec())).unwrap();
        let path = path_of(&frame);
        let sound = env.contents(&path).unwrap();
        let start = usize::try_from(frame.position.offset_bytes).unwrap();
        let places = places(&frame, &body);
        for (index, (own_header, own_payload)) in places.iter().enumerate() {
            let version = Version {
                commit: frame.seq,
                index: u32::try_from(index).unwrap(),
            };
            let row = row_of(&net, version);
            let end = places.last().unwrap().1.end;
            for at in (index % stride..end).step_by(stride) {
                let mut bytes = sound.clone();
                bytes[start + at] ^= 0x21;
                env.set_contents(&path, &bytes);
                let (found, diagnosis) = with_row(store, &row, None, || verified(&env, store));
                env.set_contents(&path, &sound);
                let context = format!("{version}, byte {at}: {:#?}", errors(&found));
                assert!(diagnosis.lost.is_empty(), "{context}");
                let Some(pieced) = diagnosis.pieced.get(&frame.seq) else {
                    // Only padding was hit, or the mark of the section.
                    assert!(!diagnosis.from_tables.contains(frame.seq), "{context}");
                    continue;
                };
                let lost = lost_in(&pieced.body, &pieced.erasable);
                let named = found.findings.iter().filter(|finding| {
                    finding.code == Code::CommitLost && finding.remedy == Remedy::Unprovable
                });
                let named: Vec<_> = named.map(|finding| finding.version).collect();
                let expected = match (own_header.contains(&at), own_payload.contains(&at)) {
                    (true, false) => {
                        headers += 1;
                        let mut as_before = pieced.body.clone();
                        let own = &mut as_before.assertions[index];
                        assert!(own.is_lost(), "{context}");
                        assert_eq!(own.place, body.assertions[index].place, "{context}");
                        assert_eq!(own.valid, body.assertions[index].valid, "{context}");
                        let hash = body.assertions[index].hash(net.id(), version);
                        assert_eq!(own.hash(net.id(), version), hash, "{context}");
                        own.clone_from(&body.assertions[index]);
                        assert_eq!(as_before, body, "{context}");
                        vec![Some(version)]
                    }
                    (false, true) => {
                        payloads += 1;
                        assert_eq!(pieced.body, body, "{context}");
                        let offset = own_payload.start - places[0].1.start;
                        let len = own_payload.len();
                        let mut as_before = pieced.erasable.clone();
                        as_before[offset..offset + len]
                            .copy_from_slice(&frame.erasable[offset..offset + len]);
                        assert_eq!(as_before, frame.erasable, "{context}");
                        vec![Some(version)]
                    }
                    _ => {
                        whole += 1;
                        assert_eq!(pieced.body, body, "{context}");
                        assert_eq!(pieced.erasable, frame.erasable, "{context}");
                        vec![]
                    }
                };
                assert_eq!(named, expected, "{context}");
                assert_eq!(lost.len(), expected.len(), "{context}");
            }
        }
    }
    println!(
        "{headers} versions lost, {payloads} payloads lost, {whole} commits put together whole"
    );
    assert!(headers > 1000 / stride && payloads > 500 / stride && whole > 1000 / stride);
}

fn verify(env: &MemEnv) -> Verification {
    builder(env).verify(DIR, Depth::Full, &|_| ()).unwrap()
}

/// Changes a byte of these payloads in the journal. Where tables live in memory, that is the only copy.
fn flip_payloads(env: &MemEnv, versions: &[Version]) {
    let all = frames(env);
    for version in versions {
        let frame = all
            .iter()
            .find(|frame| frame.seq == version.commit)
            .unwrap();
        let body = Body::decode(&frame.body, Some(&NetSpec::city())).unwrap();
        let places = places(frame, &body);
        let start = usize::try_from(frame.position.offset_bytes).unwrap();
        let mut bytes = env.contents(&path_of(frame)).unwrap();
        bytes[start + places[version.index as usize].1.end - 1] ^= 1;
        env.set_contents(&path_of(frame), &bytes);
    }
}

/// What a net answers about every house, at some moments.
fn answers(net: &Net) -> Vec<Result<String, ErrorKind>> {
    let mut answers = Vec::new();
    for t in [1, 15, 35, 70, 500] {
        let view = net.view(AsOf::Newest, day(t)).unwrap();
        for id in ["0", "1", "2", "3", "5", "7"] {
            let found = view.get(LayerId::MAIN, id);
            answers.push(
                found
                    .map(|found| format!("{found:?}"))
                    .map_err(|e| e.kind()),
            );
            let all = view.history(LayerId::MAIN, id);
            answers.push(all.map(|all| format!("{all:?}")).map_err(|e| e.kind()));
        }
    }
    answers
}

#[test]
fn a_repair_cut_off_anywhere_can_be_finished() {
    let version = Version {
        commit: 7,
        index: 0,
    };
    let base = MemEnv::new(1);
    let net = street(&base);
    let whole = answers(&net);
    net.close().unwrap();
    flip_payloads(&base, &[version]);
    let counted = base.kill();
    let before = counted.count(EnvOp::CHANGES);
    let done = builder(&counted)
        .repair(DIR, true, "test", &|_| ())
        .unwrap();
    assert_eq!(done.lost_versions, [version], "{done:#?}");
    assert!(done.lost.is_empty() && done.left.is_empty(), "{done:#?}");
    let changes = counted.count(EnvOp::CHANGES) - before;
    assert!(changes > 10, "{changes}");
    for nth in 1..=changes {
        let env = base.kill();
        env.inject(Injection {
            ops: EnvOp::CHANGES,
            nth,
            lasting: true,
            error: InjectedError::Io,
        });
        _ = builder(&env).repair(DIR, true, "test", &|_| ());
        for (how, env) in [("crash", env.crash(nth)), ("kill", env.kill())] {
            let context = format!("{how} at change {nth} of {changes}");
            let again = builder(&env).repair(DIR, true, "test", &|_| ()).unwrap();
            assert_eq!(again.lost_versions, [version], "{context}");
            assert!(again.lost.is_empty() && again.left.is_empty(), "{context}");
            let found = verify(&env);
            let errors = errors(&found);
            assert_eq!(errors.len(), 1, "{context}: {errors:#?}");
            assert!(
                errors[0].starts_with("PAYLOAD_LOST"),
                "{context}: {errors:#?}"
            );
            let last = builder(&env).repair(DIR, true, "test", &|_| ()).unwrap();
            assert!(last.steps.is_empty(), "{context}: {:#?}", last.steps);
            let net = builder(&env).open(DIR).unwrap();
            for (was, is) in whole.iter().zip(answers(&net)) {
                assert!(
                    *was == is || is == Err(ErrorKind::Lost),
                    "{context}: {was:?} {is:?}"
                );
            }
        }
    }
}

#[test]
fn a_lost_version_is_had_back_where_the_tables_hold_it_after_all() {
    let env = MemEnv::new(1);
    let net = street(&env);
    let store = &*writable(&net).store;
    let version = Version {
        commit: 7,
        index: 1,
    };
    let original = frames(&env);
    // The tables of before, beside a journal that has it marked as lost.
    let repaired = env.kill();
    flip_payloads(&repaired, &[version]);
    let done = builder(&repaired)
        .repair(DIR, true, "test", &|_| ())
        .unwrap();
    assert_eq!(done.lost_versions, [version]);
    for frame in &original {
        let path = path_of(frame);
        env.set_contents(&path, &repaired.contents(&path).unwrap());
    }
    let (found, diagnosis) = verified(&env, store);
    let named = found
        .errors()
        .find(|finding| finding.code == Code::PayloadLost);
    assert_eq!(
        named.unwrap().remedy,
        Remedy::Tables,
        "{:#?}",
        errors(&found)
    );
    assert!(diagnosis.from_tables.contains(7) && diagnosis.pieced.is_empty());
    assert!(diagnosis.lost.is_empty() && diagnosis.tables.is_none());
}

#[test]
fn what_is_lost_can_be_erased_and_what_is_erased_is_not_lost() {
    let (one, other) = (
        Version {
            commit: 7,
            index: 0,
        },
        Version {
            commit: 2,
            index: 1,
        },
    );
    // Erased first, and the frame damaged then.
    let env = MemEnv::new(1);
    let net = street(&env);
    net.erase(&[other], &Commit::new("court", Vec::new()))
        .unwrap();
    net.close().unwrap();
    builder(&env).open(DIR).unwrap().close().unwrap();
    assert!(verify(&env).is_clean());
    // Another payload of the same commit: the frame loses its checksum.
    let lost = Version { index: 0, ..other };
    flip_payloads(&env, &[lost, one]);
    let done = builder(&env).repair(DIR, true, "test", &|_| ()).unwrap();
    assert_eq!(
        done.lost_versions,
        [lost, one],
        "{:#?}",
        errors(&done.before)
    );
    let found = verify(&env);
    assert_eq!(found.errors().count(), 2, "{:#?}", errors(&found));
    assert_eq!(found.erased, 1);
    // Erased after it was lost.
    let net = builder(&env).open(DIR).unwrap();
    let view = net.view(AsOf::Newest, Moment::MAX).unwrap();
    assert_eq!(
        view.history(LayerId::MAIN, "1").unwrap_err().kind(),
        ErrorKind::Lost
    );
    drop(view);
    net.erase(&[one, lost], &Commit::new("court", Vec::new()))
        .unwrap();
    net.close().unwrap();
    let net = builder(&env).open(DIR).unwrap();
    let view = net.view(AsOf::Newest, Moment::MAX).unwrap();
    assert!(view.history(LayerId::MAIN, "1").is_ok());
    drop(view);
    net.close().unwrap();
    let found = verify(&env);
    assert!(found.is_clean(), "{:#?}", errors(&found));
    assert_eq!(found.erased, 3);
}

#[test]
fn two_versions_that_only_name_each_other_take_their_commit_with_them() {
    let env = MemEnv::new(1);
    let net = street(&env);
    let twice = vec![put("1", 1, 300, None), put("1", 1, 310, None)];
    let receipt = net.commit(&Commit::new("registrar", twice)).unwrap();
    let commit = receipt.commit.unwrap();
    let store = &*writable(&net).store;
    let rows = [0, 1].map(|index| row_of(&net, Version { commit, index }));
    let all = frames(&env);
    let frame = all.last().unwrap();
    let start = usize::try_from(frame.position.offset_bytes).unwrap();
    let mut bytes = env.contents(&path_of(frame)).unwrap();
    bytes[start + FRAME_HEADER_LEN..start + FRAME_HEADER_LEN + frame.body.len()].fill(0xaa);
    env.set_contents(&path_of(frame), &bytes);
    let (found, diagnosis) = with_row(store, &rows[0], None, || {
        with_row(store, &rows[1], None, || verified(&env, store))
    });
    assert!(diagnosis.lost.contains(commit) && diagnosis.pieced.is_empty());
    let named = found
        .findings
        .iter()
        .filter(|finding| finding.code == Code::CommitLost);
    assert_eq!(named.count(), 2, "{:#?}", errors(&found));
    // The later one alone is named by the head.
    let (_, diagnosis) = with_row(store, &rows[1], None, || verified(&env, store));
    assert!(diagnosis.lost.is_empty() && diagnosis.pieced.contains_key(&commit));
}
