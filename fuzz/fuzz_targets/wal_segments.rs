//! Segments whose sums all fit but which say anything: frames of any kind, number, synced length and
//! place, footers, bytes between. Nothing panics; what is read is in order and without gaps; and a
//! journal that opens takes frames. A survey accounts for every byte and finds every sound frame.
#![no_main]

use std::path::Path;
use std::sync::Arc;

use arbitrary::Arbitrary;
use blocknet_wal::{FrameRef, JournalOptions, MemEnv, Recovery, fuzzing};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Segment<'a> {
    number: i8,
    first_seq: i8,
    salt: u64,
    prev_chain: u8,
    parts: Vec<Part<'a>>,
    cut: Option<u8>,
}

#[derive(Arbitrary, Debug)]
enum Part<'a> {
    Frame {
        kind: u8,
        seq: i8,
        chain: u8,
        synced: i16,
        moved: i8,
        body: &'a [u8],
        erasable: &'a [u8],
    },
    /// A footer that fits, but for these differences.
    Footer {
        count: i8,
        first: i8,
        len: i8,
    },
    Raw(&'a [u8]),
    Zeros(u16),
}

/// Mostly nothing, so that most of what is said fits.
fn rarely(by: i8) -> i64 {
    match by {
        112.. => i64::from(by) - 111,
        ..-112 => i64::from(by) + 112,
        _ => 0,
    }
}

fn near(value: u64, by: i64) -> u64 {
    value.saturating_add_signed(by)
}

fuzz_target!(|segments: Vec<Segment<'_>>| {
    let env = MemEnv::new(1);
    let dir = Path::new("journal");
    let mut seq = 0;
    let mut chain = [0; 32];
    for (number, segment) in (1..).zip(segments.iter().take(4)) {
        let number = near(number, rarely(segment.number)).max(1);
        let first_seq = near(seq + 1, rarely(segment.first_seq));
        chain[0] ^= u8::from(segment.prev_chain > 240);
        let mut bytes = fuzzing::page([3; 16], number, first_seq, chain, segment.salt);
        for part in segment.parts.iter().take(16) {
            let offset = bytes.len() as u64;
            let mut push = |kind,
                            seq,
                            chain: &[u8; 32],
                            moved: i8,
                            synced: i16,
                            body: &[u8],
                            erasable: &[u8]| {
                let place = (
                    segment.salt,
                    near(offset, rarely(moved)),
                    near(offset, synced.into()),
                );
                let content = FrameRef {
                    seq,
                    chain,
                    body,
                    erasable,
                };
                bytes.extend(fuzzing::frame(kind, place, &content));
            };
            match part {
                Part::Frame {
                    kind,
                    seq: by,
                    chain: changed,
                    synced,
                    moved,
                    body,
                    erasable,
                } => {
                    if [0, 3].contains(&(kind % 4)) {
                        seq = near(seq + 1, rarely(*by));
                        chain = [*changed; 32];
                    } else {
                        chain[1] ^= u8::from(*changed > 240);
                    }
                    push(
                        *kind,
                        seq,
                        &chain,
                        *moved,
                        if *synced < -16_384 { *synced / 4 } else { 0 },
                        body,
                        erasable,
                    );
                }
                Part::Footer { count, first, len } => {
                    let all = (seq + 1).saturating_sub(first_seq);
                    let body = fuzzing::footer(
                        near(all, rarely(*count)),
                        near(first_seq, rarely(*first)),
                        near(offset, rarely(*len)),
                    );
                    push(2, seq, &chain, 0, 0, &body, &[]);
                }
                Part::Raw(raw) => bytes.extend_from_slice(raw),
                Part::Zeros(count) => bytes.resize(bytes.len() + usize::from(*count), 0),
            }
        }
        if let Some(cut) = segment.cut {
            bytes.truncate(bytes.len().saturating_sub(cut.into()));
        }
        env.set_contents(&dir.join(fuzzing::name_of(number)), &bytes);
    }
    let surveyed = blocknet_fuzz::survey(&env, dir);
    let Ok(recovery) = Recovery::scan(Arc::new(env), dir) else {
        return;
    };
    for from in [0, 1, 2, recovery.last_seq(), u64::MAX] {
        let mut expected = from.max(1);
        for frame in recovery
            .frames(from)
            .expect("errors come from the iterator")
        {
            let Ok(frame) = frame else {
                break;
            };
            assert_eq!(frame.seq, expected, "in order, without gaps");
            assert!(surveyed.contains(&frame), "a survey finds what is sound");
            assert!(frame.seq <= recovery.last_seq());
            assert!(frame.position.offset_bytes >= fuzzing::FRAMES_OFFSET);
            expected += 1;
        }
    }
    let options = JournalOptions {
        segment_len_bytes_max: 8 << 10,
        preallocate_len_bytes: 0,
    };
    let seq = recovery.last_seq().saturating_add(1);
    if let Ok((journal, _)) = recovery.into_journal(options, None, Path::new("quarantine")) {
        let frame = FrameRef {
            seq,
            chain: &[9; 32],
            body: b"next",
            erasable: b"",
        };
        // After the last number there is none, and a segment's number may be the last as well.
        if journal.append(&frame).is_ok() {
            journal.close().expect("nothing fails in memory");
        }
    }
});
