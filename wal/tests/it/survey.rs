//! Looking at a damaged journal: all that is sound is found, the rest is named, nothing changes.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use blocknet_wal::{
    BODY_OFFSET_BYTES, Damage, EnvOp, ErrorKind, Fault, FileEnv, Found, Frame, InjectedError,
    Injection, JournalOptions, MemEnv, SegmentRewrite, Survey, erasable_offset_bytes,
};
use quickcheck::quickcheck;

use crate::damage::{Sample, crc32};
use crate::model::{Commit, DIR, QUARANTINE, create, scan, small_segments};

const HEADER_LEN: u64 = 80;
const LOST: &[u8] = b"what was found there";

pub(crate) fn survey(env: &MemEnv) -> Survey {
    Survey::new(Arc::new(env.clone()), Path::new(DIR)).expect("no faults")
}

/// Everything in one segment; checks that the things found follow each other without gap.
pub(crate) fn walk(env: &MemEnv, segment: u64) -> Vec<Found> {
    let walk = survey(env).walk(segment).expect("no faults");
    let (len, segment_path) = (walk.len_bytes(), walk.path().to_owned());
    let found: Vec<_> = walk.map(|found| found.expect("no faults")).collect();
    let mut at = 0;
    for found in &found {
        let (offset, found_len) = extent(found);
        assert_eq!(offset, at, "in {}: {found:?}", segment_path.display());
        at += found_len;
    }
    assert_eq!(at, len, "the end of {}", segment_path.display());
    found
}

fn extent(found: &Found) -> (u64, u64) {
    match found {
        Found::Page(_) => (0, 4096),
        Found::Frame(Frame { position, .. })
        | Found::Clean { position, .. }
        | Found::Footer { position, .. } => (position.offset_bytes, position.len_bytes),
        Found::Damage(Damage {
            offset_bytes,
            len_bytes,
            ..
        })
        | Found::Unused {
            offset_bytes,
            len_bytes,
        } => (*offset_bytes, *len_bytes),
        _ => panic!("{found:?}"),
    }
}

fn damage(found: &Found) -> &Damage {
    match found {
        Found::Damage(damage) => damage,
        other => panic!("{other:?}"),
    }
}

/// The sample of the damage tests, its second segment rewritten with one lost commit in it.
fn sample(closed: bool) -> Sample {
    let mut sample = Sample::new(closed);
    let found = walk(&sample.env, 2);
    let env = Arc::new(sample.env.clone());
    let mut rewrite = None;
    for found in &found {
        match found {
            Found::Page(page) => {
                let begun = SegmentRewrite::begin(env.clone(), Path::new(DIR), page);
                rewrite = Some(begun.expect("no faults"));
            }
            Found::Frame(frame) => {
                let rewrite = rewrite.as_mut().expect("the page comes first");
                push(rewrite, frame, frame.position.offset_bytes > 4096);
            }
            _ => {}
        }
    }
    let rewrite = rewrite.expect("a page");
    rewrite
        .finish(true, Path::new(QUARANTINE))
        .expect("no faults");
    let frames = scan(&sample.env).expect("sound").frames(1).expect("sound");
    sample.frames = frames.map(|frame| frame.expect("sound")).collect();
    let lost = sample.frames.iter().filter(|frame| frame.lost).count();
    assert!(lost > 0 && sample.frames.len() > 8);
    sample
}

fn push(rewrite: &mut SegmentRewrite, frame: &Frame, lost: bool) {
    if lost {
        rewrite.push_lost(frame.seq, &frame.chain, LOST)
    } else {
        crate::rewrite::push(rewrite, frame)
    }
    .expect("no faults");
}

fn index(offset: u64) -> usize {
    usize::try_from(offset).expect("small")
}

/// The end of the last word that is not zero, from a place on.
fn nonzero_end(bytes: &[u8], from: u64) -> Option<u64> {
    let last = bytes[index(from)..].iter().rposition(|byte| *byte != 0)?;
    let end = (from + last as u64 + 1).next_multiple_of(8);
    Some(end.min(bytes.len() as u64))
}

#[test]
fn a_sound_journal_is_found_whole() {
    for closed in [false, true] {
        let sample = sample(closed);
        let survey = survey(&sample.env);
        assert_eq!(survey.segments(), [1, 2, 3]);
        assert_eq!(survey.path(2), sample.paths[1]);
        assert!(survey.unfinished().is_empty() && survey.foreign().is_empty());
        let (mut frames, mut prev) = (Vec::new(), [0; 32]);
        for segment in 1..=3 {
            let found = walk(&sample.env, segment);
            let Found::Page(page) = &found[0] else {
                panic!("{found:?}")
            };
            let next_seq = frames.len() as u64 + 1;
            assert_eq!((page.segment, page.first_seq), (segment, next_seq));
            assert_eq!((page.store_id, page.prev_chain), ([0x5a; 16], prev));
            for found in &found {
                match found {
                    Found::Frame(frame) => frames.push(frame.clone()),
                    Found::Damage(damage) => panic!("{damage:?}"),
                    _ => {}
                }
            }
            let last = frames.last().expect("not empty");
            prev = last.chain;
            match found.last().expect("not empty") {
                Found::Footer {
                    first_seq,
                    count,
                    seq,
                    chain,
                    ..
                } => {
                    assert!(segment < 3 && (*seq, *chain) == (last.seq, prev));
                    assert_eq!((*first_seq, *count), (next_seq, last.seq + 1 - next_seq));
                }
                Found::Clean { seq, .. } => assert!(segment == 3 && closed && *seq == last.seq),
                Found::Unused { .. } => assert!(segment == 3 && !closed),
                other => panic!("{other:?}"),
            }
        }
        assert!(frames == sample.frames);
    }
}

/// What one flipped bit must come to.
struct Expected<'a> {
    whole: &'a [Found],
    bytes: &'a [u8],
    at: u64,
}

impl Expected<'_> {
    fn check(&self, found: &[Found]) {
        let at = self.at;
        let hit = self.whole.iter().position(|thing| {
            let (offset, len) = extent(thing);
            (offset..offset + len).contains(&at)
        });
        let hit = hit.expect("the things found cover the file");
        let (start, len) = extent(&self.whole[hit]);
        assert!(self.whole[..hit] == found[..hit], "before byte {at}");
        let damage = damage(&found[hit]);
        assert_eq!(damage.offset_bytes, start, "byte {at}");
        let rest = &found[hit + 1..];
        if let Found::Unused { .. } = self.whole[hit] {
            // Reported up to the flipped byte; what follows is still unused.
            assert_eq!(damage.len_bytes, (at + 1).next_multiple_of(8) - start);
            assert_eq!(damage.what, "frame header", "byte {at}");
            assert!(rest.len() <= 1 && damage.frame.is_none());
            let is_unused = |found: &Found| matches!(found, Found::Unused { .. });
            assert!(rest.iter().all(is_unused), "after byte {at}");
            return;
        }
        let in_header = at < start + HEADER_LEN;
        let next = self.whole.get(hit + 1);
        if !in_header || !matches!(next, Some(Found::Unused { .. })) {
            assert_eq!(damage.len_bytes, len, "byte {at}");
            assert!(rest == &self.whole[hit + 1..], "after byte {at}");
        } else {
            // Nothing tells the zeros at the end of the frame from those after it.
            let end = nonzero_end(self.bytes, start).expect("a header is not zero");
            assert_eq!(damage.offset_bytes + damage.len_bytes, end, "byte {at}");
        }
        self.check_what(&self.whole[hit], damage, start);
    }

    fn check_what(&self, was: &Found, damage: &Damage, start: u64) {
        let at = self.at;
        let frame = match was {
            Found::Page(_) => {
                assert_eq!((damage.what, &damage.frame), ("segment header", &None));
                return;
            }
            _ if at < start + HEADER_LEN => {
                assert_eq!((damage.what, &damage.frame), ("frame header", &None));
                return;
            }
            Found::Footer { .. } => {
                assert_eq!((damage.what, &damage.frame), ("frame body", &None));
                return;
            }
            Found::Frame(frame) => frame,
            other => panic!("{other:?}"),
        };
        let known = damage.frame.as_ref().expect("its header is sound");
        assert_eq!((known.seq, known.chain), (frame.seq, frame.chain));
        assert_eq!(known.lost, frame.lost);
        let body_len = frame.body.len() as u64;
        let section = start + HEADER_LEN + body_len.next_multiple_of(8);
        let len = frame.erasable.len() as u64;
        assert_eq!(u64::from(known.erasable_len_bytes), len);
        assert_eq!(u64::from(known.body_len_bytes), body_len);
        assert_eq!(start + BODY_OFFSET_BYTES, start + HEADER_LEN);
        assert_eq!(
            start + erasable_offset_bytes(known.body_len_bytes),
            section + 8
        );
        // Padding is damaged without harm to what it pads.
        let body_is_hit = at < start + HEADER_LEN + body_len;
        let section_is_hit = (section..section + 8 + len).contains(&at);
        let what = if at < section {
            "frame body"
        } else {
            "erasable section"
        };
        assert_eq!(damage.what, what, "byte {at}");
        let body = (!body_is_hit).then_some(&frame.body);
        assert_eq!(known.body.as_ref(), body, "byte {at}");
        let erasable = (!section_is_hit).then_some(&frame.erasable);
        assert_eq!(known.erasable.as_ref(), erasable, "byte {at}");
    }
}

/// No bit is without effect. In unused space, too, what is not zero is reported.
fn flip_every_bit(closed: bool) {
    let sample = sample(closed);
    let mut flips = 0_u64;
    for segment in 0..3 {
        let whole = walk(&sample.env, segment as u64 + 1);
        let mut bytes = sample.contents(segment);
        for bit in 0..bytes.len() * 8 {
            let (at, mask) = (bit / 8, 1 << (bit % 8));
            bytes[at] ^= mask;
            sample.env.set_contents(&sample.paths[segment], &bytes);
            let found = walk(&sample.env, segment as u64 + 1);
            assert!(found != whole, "segment {} byte {at}", segment + 1);
            let expected = Expected {
                whole: &whole,
                bytes: &bytes,
                at: at as u64,
            };
            expected.check(&found);
            bytes[at] ^= mask;
            flips += 1;
        }
        sample.env.set_contents(&sample.paths[segment], &bytes);
    }
    assert!(flips > 150_000, "{flips}");
}

#[test]
fn every_flipped_bit_of_a_closed_journal_is_named_and_costs_only_its_frame() {
    flip_every_bit(true);
}

#[test]
fn every_flipped_bit_of_an_unclosed_journal_is_named_and_costs_only_its_frame() {
    flip_every_bit(false);
}

#[test]
fn a_truncated_segment_gives_every_frame_before_the_cut() {
    for closed in [false, true] {
        let sample = sample(closed);
        let mut cuts_seen = 0;
        for segment in 0..3 {
            let number = segment as u64 + 1;
            let whole = walk(&sample.env, number);
            let bytes = sample.contents(segment);
            let ends = whole.iter().map(extent).map(|(offset, len)| offset + len);
            let ends: Vec<_> = ends.collect();
            let mut cuts = vec![0, 1, 8, 4095];
            cuts.extend(ends.iter().flat_map(|end| [end - 1, *end, end + 1]));
            cuts.retain(|cut| index(*cut) < bytes.len());
            for cut in cuts {
                let cut_bytes = &bytes[..index(cut)];
                sample.env.set_contents(&sample.paths[segment], cut_bytes);
                let found = walk(&sample.env, number);
                let sound = ends.iter().filter(|end| **end <= cut).count();
                assert!(found[..sound] == whole[..sound], "cut at {cut}");
                let start = sound.checked_sub(1).map_or(0, |last| ends[last]);
                let rest = &found[sound..];
                cuts_seen += 1;
                if start == cut && sound > 0 {
                    assert!(rest.is_empty(), "cut at {cut}: {rest:?}");
                    continue;
                }
                assert_eq!(rest.len(), 1, "cut at {cut}: {rest:?}");
                if sound > 0 && nonzero_end(cut_bytes, start).is_none() {
                    assert!(matches!(rest[0], Found::Unused { .. }), "cut at {cut}");
                    continue;
                }
                let damage = damage(&rest[0]);
                let is_truncated = matches!(damage.fault, Fault::Truncated { .. });
                assert!(is_truncated || cut < start + 8, "{damage:?}");
                let known = damage.frame.as_ref().map(|frame| frame.seq);
                let expected = match &whole[sound] {
                    Found::Frame(frame) if cut >= start + HEADER_LEN => Some(frame.seq),
                    _ => None,
                };
                assert_eq!(known, expected, "cut at {cut}");
            }
            sample.env.set_contents(&sample.paths[segment], &bytes);
        }
        assert!(cuts_seen > 40, "{cuts_seen}");
    }
}

#[test]
fn the_salt_is_recovered_from_the_frames() {
    let sample = sample(true);
    for segment in 0..3 {
        let number = segment as u64 + 1;
        let whole = walk(&sample.env, number);
        let mut bytes = sample.contents(segment);
        bytes[..4096].fill(0);
        sample.env.set_contents(&sample.paths[segment], &bytes);
        let found = walk(&sample.env, number);
        assert_eq!(damage(&found[0]).what, "segment header");
        assert!(found[1..] == whole[1..], "from the first frame");

        // As well from a later one, from the closing frame if need be.
        for last in 1..whole.len() - 1 {
            let (start, _) = extent(&whole[last]);
            bytes[index(start)..][..80].fill(0xff);
            sample.env.set_contents(&sample.paths[segment], &bytes);
            let found = walk(&sample.env, number);
            assert_eq!(damage(&found[0]).len_bytes, 4096);
            assert_eq!(
                damage(&found[1]).len_bytes,
                start + extent(&whole[last]).1 - 4096
            );
            assert!(found[2..] == whole[last + 1..], "from thing {}", last + 1);
        }

        // No frame at all: nothing can be told apart.
        let (start, len) = extent(whole.last().expect("not empty"));
        bytes[index(start)..index(start + len)].fill(0xff);
        bytes.extend([0; 24]);
        sample.env.set_contents(&sample.paths[segment], &bytes);
        let found = walk(&sample.env, number);
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(extent(&found[0]), (0, start + len));
        assert_eq!(extent(&found[1]), (start + len, 24));
    }
}

#[test]
fn frames_longer_than_the_buffer_are_found_past_damage() {
    let env = MemEnv::new(8);
    let options = JournalOptions::default();
    let journal = create(&env, options).expect("no faults");
    let lens = [300_000, 10, 262_144 - 80, 700_000, 5, 262_144];
    for (seq, len) in (1..).zip(lens) {
        let body: Vec<u8> = (1..=255).cycle().take(len).collect();
        let erasable = vec![1; len / 3];
        let commit = Commit {
            body,
            erasable,
            ..Commit::new(seq, 1)
        };
        commit.append_to(&journal, seq).expect("no faults");
    }
    journal.close().expect("no faults");
    let path = journal.segments()[0].path.clone();
    let whole = walk(&env, 1);
    assert_eq!(whole.len(), 8);
    let bytes = env.contents(&path).expect("there");
    for (hit, thing) in whole.iter().enumerate().skip(1) {
        let (start, len) = extent(thing);
        // Header; first and last byte of what follows it.
        let places = [start + 3, start + HEADER_LEN, start + len - 1];
        for at in places.into_iter().filter(|at| *at < start + len) {
            for page_is_lost in [false, true] {
                let mut bytes = bytes.clone();
                bytes[index(at)] ^= 0x10;
                if page_is_lost {
                    bytes[..4096].fill(0);
                }
                env.set_contents(&path, &bytes);
                let found = walk(&env, 1);
                assert!(page_is_lost || found[0] == whole[0]);
                assert!(found[1..hit] == whole[1..hit], "before byte {at}");
                assert_eq!(extent(&found[hit]), (start, len), "byte {at}");
                assert_eq!(
                    damage(&found[hit]).frame.is_some(),
                    at >= start + HEADER_LEN
                );
                assert!(found[hit + 1..] == whole[hit + 1..], "after byte {at}");
            }
        }
    }
}

#[test]
fn a_page_of_another_version_is_named_so_and_its_frames_are_looked_for() {
    let sample = sample(true);
    let whole = walk(&sample.env, 1);
    let mut bytes = sample.contents(0);
    bytes[8] = 2;
    let crc = crc32(&bytes[..4092]);
    bytes[4092..4096].copy_from_slice(&crc.to_le_bytes());
    sample.env.set_contents(&sample.paths[0], &bytes);
    let found = walk(&sample.env, 1);
    let (found_version, supported) = (2, 1);
    let fault = Fault::Version {
        found: found_version,
        supported,
    };
    assert_eq!(damage(&found[0]).fault, fault);
    assert!(found[1..] == whole[1..]);
}

/// The header of a commit under good checksums; `chain` zeros, no erasable section.
fn forged_header(
    salt: [u8; 8],
    offset: u64,
    seq: u64,
    (body_len, body_crc): (u32, u32),
) -> Vec<u8> {
    let tag = u64::from_le_bytes(*b"BNframe1") ^ u64::from_le_bytes(salt);
    let mut header = tag.to_le_bytes().to_vec();
    header.extend([1, 0, 0, 0]);
    header.extend(body_len.to_le_bytes());
    header.extend(0_u32.to_le_bytes());
    header.extend(body_crc.to_le_bytes());
    header.extend(seq.to_le_bytes());
    header.extend(4096_u64.to_le_bytes());
    header.extend([0; 36]);
    let crc = seeded_crc32(salt, offset, &header);
    header.extend(crc.to_le_bytes());
    header
}

fn seeded_crc32(salt: [u8; 8], offset: u64, bytes: &[u8]) -> u32 {
    crc32(&[&salt, &offset.to_le_bytes(), bytes].concat())
}

#[test]
fn a_body_made_to_look_like_frames_does_not_hide_the_real_ones() {
    for body_fits in [false, true] {
        let env = MemEnv::new(4);
        let journal = create(&env, small_segments()).expect("no faults");
        let salt = *b"any salt";
        let offset = 4096 + HEADER_LEN;
        let crc = seeded_crc32(salt, offset + HEADER_LEN, b"") ^ u32::from(!body_fits);
        let body = forged_header(salt, offset, 1, (0, crc));
        let first = Commit {
            body,
            ..Commit::new(1, 9)
        };
        for (seq, commit) in (1..).zip([first, Commit::new(2, 90)]) {
            commit.append_to(&journal, seq).expect("no faults");
        }
        journal.close().expect("no faults");
        let path = journal.segments()[0].path.clone();
        let whole = walk(&env, 1);
        let mut bytes = env.contents(&path).expect("there");
        // The page and the first frame are damaged; the page still states the salt.
        bytes[20] ^= 1;
        bytes[4096] ^= 1;
        env.set_contents(&path, &bytes);
        assert!(walk(&env, 1)[2..] == whole[2..]);
        // Without it a forged frame is believed if it is whole: the documented limit.
        bytes[80] ^= 1;
        env.set_contents(&path, &bytes);
        let found = walk(&env, 1);
        let forged = found.iter().any(|found| match found {
            Found::Frame(frame) => frame.position.offset_bytes == offset,
            _ => false,
        });
        assert_eq!(forged, body_fits);
        assert!(forged || found[2..] == whole[2..]);
    }
}

#[test]
fn a_sound_header_that_states_a_wrong_length_does_not_hide_what_follows() {
    let sample = sample(true);
    let whole = walk(&sample.env, 1);
    let bytes = sample.contents(0);
    let salt = *bytes[80..].first_chunk().expect("a page");
    let starts: Vec<_> = whole.iter().map(|found| extent(found).0).collect();
    let third = starts[3];
    let len = bytes.len() as u64;
    // Into the next frame, beyond the end of the file, up to where a frame begins, to the end.
    let cases = [
        (starts[4] + 8, starts[4]),
        (len + 800, starts[4]),
        (starts[5], starts[5]),
        (len, starts[4]),
    ];
    for (stated, expected) in cases {
        let body_len = u32::try_from(stated - third - HEADER_LEN).expect("small");
        let mut bytes = bytes.clone();
        let header = forged_header(salt, third, 3, (body_len, 7));
        bytes[index(third)..][..80].copy_from_slice(&header);
        sample.env.set_contents(&sample.paths[0], &bytes);
        let found = walk(&sample.env, 1);
        assert!(found[..3] == whole[..3]);
        let damage = damage(&found[3]);
        assert_eq!(extent(&found[3]), (third, expected - third), "{damage:?}");
        assert_eq!(damage.frame.as_ref().map(|frame| frame.seq), Some(3));
        let next = starts.iter().position(|start| *start == expected);
        assert!(found[4..] == whole[next.unwrap_or(whole.len())..]);
    }
}

#[test]
fn a_footer_that_states_another_place_is_damage_and_what_else_it_states_is_passed_on() {
    let sample = sample(true);
    let whole = walk(&sample.env, 1);
    let bytes = sample.contents(0);
    let footer = bytes.len() - 104;
    let salt = *bytes[80..].first_chunk().expect("a page");
    // Count, first number, length.
    for field in [0, 8, 16] {
        let mut bytes = bytes.clone();
        bytes[footer + 80 + field] ^= 4;
        let place = footer as u64;
        let crc = seeded_crc32(salt, place + HEADER_LEN, &bytes[footer + 80..]);
        bytes[footer + 20..footer + 24].copy_from_slice(&crc.to_le_bytes());
        let crc = seeded_crc32(salt, place, &bytes[footer..footer + 76]);
        bytes[footer + 76..footer + 80].copy_from_slice(&crc.to_le_bytes());
        sample.env.set_contents(&sample.paths[0], &bytes);
        let found = walk(&sample.env, 1);
        let (last, rest) = found.split_last().expect("not empty");
        assert!(rest == &whole[..whole.len() - 1]);
        let was = whole.last().expect("not empty");
        let (
            Found::Footer {
                count, first_seq, ..
            },
            0 | 8,
        ) = (last, field)
        else {
            assert_eq!((field, damage(last).what), (16, "footer"));
            assert_eq!(extent(last), (place, 104));
            continue;
        };
        let Found::Footer {
            count: true_count,
            first_seq: true_first,
            ..
        } = was
        else {
            panic!("{was:?}")
        };
        let changed = (count ^ true_count, first_seq ^ true_first);
        assert_eq!(changed, if field == 0 { (4, 0) } else { (0, 4) });
    }
}

#[test]
fn what_follows_a_footer_is_leftover_whatever_it_is() {
    let sample = sample(true);
    let whole = walk(&sample.env, 1);
    let mut bytes = sample.contents(0);
    let end = bytes.len() as u64;
    // A frame of this very segment, but after its end.
    let salt = *bytes[80..].first_chunk().expect("a page");
    let crc = seeded_crc32(salt, end + HEADER_LEN, b"");
    bytes.extend(forged_header(salt, end, 99, (0, crc)));
    bytes.extend([0; 16]);
    sample.env.set_contents(&sample.paths[0], &bytes);
    let found = walk(&sample.env, 1);
    let (sound, rest) = found.split_at(whole.len());
    assert!(sound == whole && rest.len() == 2, "{rest:?}");
    assert_eq!(damage(&rest[0]).fault, Fault::Leftover);
    assert_eq!(
        (extent(&rest[0]), extent(&rest[1])),
        ((end, 80), (end + 80, 16))
    );
}

#[test]
fn what_is_no_segment_file_is_damage_and_not_an_error() {
    let temporary = tempfile::tempdir().expect("a temporary directory");
    let path = |segment: u64| temporary.path().join(format!("{segment:016}.wal"));
    fs::create_dir(path(1)).expect("created");
    symlink(temporary.path().join("file"), path(2)).expect("linked");
    fs::write(temporary.path().join("file"), b"x").expect("written");
    let made = Command::new("mkfifo").arg(path(3)).status();
    assert!(made.expect("mkfifo runs").success());
    let _socket = UnixListener::bind(path(4)).expect("bound");
    fs::write(path(5), b"").expect("written");
    fs::write(temporary.path().join("0000000000000009.tmp"), b"").expect("written");
    let survey = Survey::new(Arc::new(FileEnv), temporary.path()).expect("listed");
    assert_eq!(survey.segments(), [1, 2, 3, 4, 5]);
    assert_eq!(
        (survey.unfinished(), survey.foreign()),
        (&[9][..], &[OsString::from("file")][..])
    );
    let faults = (1..=6).map(|segment| {
        let walk = survey.walk(segment).expect("no faults");
        assert_eq!((walk.len_bytes(), walk.path()), (0, &*path(segment)));
        let found: Vec<_> = walk.map(|found| found.expect("no faults")).collect();
        assert_eq!((found.len(), extent(&found[0])), (1, (0, 0)));
        damage(&found[0]).fault.clone()
    });
    let faults: Vec<_> = faults.collect();
    assert_eq!(faults[..4], [const { Fault::NotAFile }; 4]);
    assert_eq!(
        faults[4..],
        [
            Fault::Truncated {
                need: 4096,
                have: 0
            },
            Fault::Missing
        ]
    );
    let absent = Survey::new(Arc::new(FileEnv), &temporary.path().join("absent"));
    assert_eq!(absent.expect_err("no directory").kind(), ErrorKind::Io);
}

#[test]
fn a_failed_read_is_an_error_and_changes_nothing() {
    const READS: &[EnvOp] = &[EnvOp::List, EnvOp::Open, EnvOp::Len, EnvOp::Read];
    let look = |env: &MemEnv| {
        let survey = Survey::new(Arc::new(env.clone()), Path::new(DIR))?;
        let mut count = 0;
        for segment in survey.segments() {
            let mut walk = survey.walk(*segment)?;
            while let Some(found) = walk.next() {
                if let Err(error) = found {
                    assert!(walk.next().is_none(), "ends after the first error");
                    return Err(error);
                }
                count += 1;
            }
        }
        Ok(count)
    };
    let sample = sample(false);
    // A damaged page and frame, so that the walk has everything to do.
    let mut bytes = sample.contents(2);
    bytes[10] ^= 1;
    bytes[4100] ^= 1;
    sample.env.set_contents(&sample.paths[2], &bytes);
    let image =
        |env: &MemEnv| -> Vec<_> { env.paths().iter().map(|path| env.contents(path)).collect() };
    let before = (
        image(&sample.env),
        sample.env.count(READS),
        sample.env.count(&[]),
    );
    let things = look(&sample.env).expect("no faults");
    let reads = sample.env.count(READS) - before.1;
    assert_eq!(sample.env.count(&[]) - before.2, reads, "it only reads");
    assert!(things > 10 && reads > 10, "{things} {reads}");
    for nth in 1..=reads {
        sample.env.inject(Injection {
            ops: READS,
            nth,
            lasting: false,
            error: InjectedError::Io,
        });
        let error = look(&sample.env).expect_err("the read fails");
        assert_eq!(error.kind(), ErrorKind::Io, "{error}");
    }
    assert!(image(&sample.env) == before.0);
}

/// A segment under some mutations: `(kind, place, length, byte)`.
fn mutate(bytes: &mut Vec<u8>, mutations: Vec<(u8, u16, u8, u8)>) {
    for (kind, place, len, byte) in mutations.into_iter().take(6) {
        let at = usize::from(place) % (bytes.len() + 1);
        let end = (at + usize::from(len)).min(bytes.len());
        match kind % 6 {
            0 => bytes[at..end].fill(byte),
            1 => bytes.truncate(at),
            2 => drop(bytes.drain(at..end)),
            3 => drop(bytes.splice(at..at, vec![byte; usize::from(len)])),
            4 => bytes.extend_from_within(at..end),
            _ => bytes.extend(vec![byte % 2; usize::from(len)]),
        }
    }
}

quickcheck! {
    /// `walk` asserts that what it finds covers the file.
    fn any_bytes_are_walked(bytes: Vec<u8>, shift: u16) -> bool {
        let env = MemEnv::new(1);
        drop(create(&env, small_segments()).expect("no faults"));
        let path = env.paths().remove(0);
        let mut file = env.contents(&path).expect("there");
        file.truncate(usize::from(shift) % 5000);
        file.extend(bytes);
        env.set_contents(&path, &file);
        let found = walk(&env, 1);
        let frames = found.iter().any(|found| matches!(found, Found::Frame(_)));
        !frames && found == walk(&env, 1)
    }

    fn a_mutated_segment_gives_only_true_frames(mutations: Vec<(u8, u16, u8, u8)>) -> bool {
        let env = MemEnv::new(3);
        let journal = create(&env, small_segments()).expect("no faults");
        for seq in 1..=6 {
            Commit::new(seq, 500).append_to(&journal, seq).expect("no faults");
        }
        drop(journal);
        let whole = walk(&env, 1);
        let path = env.paths().remove(0);
        let mut bytes = env.contents(&path).expect("there");
        mutate(&mut bytes, mutations);
        env.set_contents(&path, &bytes);
        walk(&env, 1).iter().all(|found| match found {
            Found::Page(_) | Found::Frame(_) | Found::Clean { .. } | Found::Footer { .. } => {
                whole.contains(found)
            }
            _ => true,
        })
    }
}
