//! Damage to stored bytes and files: found and named, or without effect; never wrong data, never
//! a panic, and with a witness never a silent loss.

use std::path::PathBuf;
use std::sync::Arc;

use blocknet_wal::{ErrorKind, Fault, Frame, MemEnv, Position, Recovery, Tail};

use crate::model::{Commit, create, reopen, scan, small_segments};

/// A journal of three segments, all of it synced.
pub(crate) struct Sample {
    pub(crate) env: MemEnv,
    pub(crate) frames: Vec<Frame>,
    pub(crate) paths: Vec<PathBuf>,
    closed: bool,
}

impl Sample {
    pub(crate) fn new(closed: bool) -> Self {
        let env = MemEnv::new(5);
        let journal = create(&env, small_segments()).expect("no faults");
        for seq in 1.. {
            let commit = Commit::new(seq * 7, 700);
            let commit = Commit {
                erasable: vec![7; 41],
                ..commit
            };
            let position = commit.append_to(&journal, seq).expect("no faults");
            if seq % 3 == 0 {
                journal.sync().expect("no faults");
            }
            if position.segment == 3 && position.offset_bytes > 5000 {
                break;
            }
        }
        journal.sync().expect("no faults");
        if closed {
            journal.close().expect("no faults");
        }
        let recovery = scan(&env).expect("sound");
        let frames = recovery
            .frames(1)
            .expect("sound")
            .map(|frame| frame.expect("sound"));
        let paths = recovery
            .segments()
            .iter()
            .map(|info| info.path.clone())
            .collect();
        let sample = Self {
            frames: frames.collect(),
            paths,
            closed,
            env: env.clone(),
        };
        assert_eq!(sample.paths.len(), 3);
        sample
    }

    fn last_seq(&self) -> u64 {
        self.frames.len() as u64
    }

    pub(crate) fn contents(&self, segment: usize) -> Vec<u8> {
        self.env.contents(&self.paths[segment]).expect("there")
    }

    /// What reading the damaged journal gives. Panics on wrong data.
    fn look(&self, place: &str) -> Outcome {
        let recovery = match scan(&self.env) {
            Ok(recovery) => recovery,
            Err(error) => {
                let kinds = [ErrorKind::Corrupt, ErrorKind::Version];
                assert!(kinds.contains(&error.kind()), "{place}: {error}");
                assert!(error.corruption().is_some(), "{place}: names the place");
                return Outcome::Refused;
            }
        };
        let mut count = 0;
        for frame in recovery.frames(1).expect("reads nothing") {
            match frame {
                Ok(frame) => {
                    assert!(
                        frame == self.frames[count],
                        "{place}: frame {} is wrong",
                        count + 1
                    );
                    count += 1;
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Corrupt, "{place}: {error}");
                    return Outcome::Refused;
                }
            }
        }
        assert_eq!(count as u64, recovery.last_seq(), "{place}");
        let torn = matches!(recovery.tail(), Tail::Torn { .. });
        if recovery.last_seq() < self.last_seq() {
            self.assert_witness_refuses(recovery, place);
            return if torn {
                Outcome::CutFrames
            } else {
                Outcome::LostFrames
            };
        }
        if torn {
            Outcome::CutMark
        } else {
            Outcome::Unnoticed
        }
    }

    fn assert_witness_refuses(&self, recovery: Recovery, place: &str) {
        let before: Vec<_> = self
            .env
            .paths()
            .iter()
            .map(|path| self.env.contents(path))
            .collect();
        let witness = Some(self.last_seq());
        let opened = recovery.into_journal(small_segments(), witness, "quarantine".as_ref());
        let error = opened.err().unwrap_or_else(|| panic!("{place}: opened"));
        let fault = error
            .corruption()
            .map(|corruption| corruption.fault.clone());
        assert!(
            matches!(fault, Some(Fault::Lost { .. })),
            "{place}: {error}"
        );
        let after: Vec<_> = self
            .env
            .paths()
            .iter()
            .map(|path| self.env.contents(path))
            .collect();
        assert!(before == after, "{place}: a refusal changes nothing");
    }
}

/// What came of a damage that is not wrong data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// An error with the place.
    Refused,
    /// Reported as a torn tail, and frames are gone; with the witness refused.
    CutFrames,
    /// Reported as a torn tail, and every frame is there.
    CutMark,
    /// Frames are gone without a torn tail; with the witness refused.
    LostFrames,
    /// All is as it was.
    Unnoticed,
}

fn flip_every_bit(closed: bool) {
    let sample = Sample::new(closed);
    let mut counts = [0_u32; 5];
    for segment in 0..sample.paths.len() {
        let mut bytes = sample.contents(segment);
        for bit in 0..bytes.len() * 8 {
            let (at, mask) = (bit / 8, 1 << (bit % 8));
            bytes[at] ^= mask;
            sample.env.set_contents(&sample.paths[segment], &bytes);
            let place = format!("segment {} byte {at} bit {}", segment + 1, bit % 8);
            let outcome = sample.look(&place);
            counts[outcome as usize] += 1;
            assert_ne!(outcome, Outcome::Unnoticed, "{place}");
            let may_cut = segment == 2;
            assert!(
                may_cut || outcome == Outcome::Refused,
                "{place}: {outcome:?}"
            );
            if sample.closed {
                let kept = [Outcome::Refused, Outcome::CutMark];
                assert!(kept.contains(&outcome), "{place}: {outcome:?}");
            }
            bytes[at] ^= mask;
        }
        sample.env.set_contents(&sample.paths[segment], &bytes);
    }
    let [refused, cut_frames, cut_mark, lost, _] = counts;
    assert!(refused > 100_000 && cut_mark > 0 && lost == 0, "{counts:?}");
    assert_eq!(cut_frames > 0, !closed, "{counts:?}");
}

#[test]
fn every_flipped_bit_of_a_closed_journal_is_found_and_costs_no_frame() {
    flip_every_bit(true);
}

#[test]
fn every_flipped_bit_of_an_unclosed_journal_is_found_and_a_witness_refuses_a_loss() {
    flip_every_bit(false);
}

#[test]
fn truncation_anywhere_is_found_or_refused_by_the_witness() {
    for closed in [false, true] {
        let sample = Sample::new(closed);
        for segment in 0..3 {
            let whole = sample.contents(segment);
            let starts = sample.frames.iter().filter_map(|frame| {
                let Position {
                    segment: number,
                    offset_bytes,
                    len_bytes,
                } = frame.position;
                let here = number == segment as u64 + 1;
                here.then_some([offset_bytes, offset_bytes + len_bytes])
            });
            let mut cuts: Vec<u64> = starts.flatten().collect();
            cuts.extend([0, 8, 4096, whole.len() as u64]);
            for cut in cuts
                .into_iter()
                .flat_map(|cut| [cut.saturating_sub(1), cut, cut + 1])
            {
                let cut = usize::try_from(cut).expect("small");
                if cut >= whole.len() {
                    continue;
                }
                sample
                    .env
                    .set_contents(&sample.paths[segment], &whole[..cut]);
                let outcome = sample.look(&format!("segment {} cut to {cut}", segment + 1));
                // What may go unnoticed: the end of the space allocated ahead, or a whole mark.
                let refused = segment < 2 || cut < 4096;
                assert!(
                    !refused || outcome == Outcome::Refused,
                    "{cut}: {outcome:?}"
                );
            }
            sample.env.set_contents(&sample.paths[segment], &whole);
        }
    }
}

#[test]
fn a_missing_swapped_or_foreign_segment_is_found() {
    let sample = Sample::new(true);
    let whole: Vec<_> = (0..3).map(|segment| sample.contents(segment)).collect();
    for (segment, bytes) in whole.iter().enumerate() {
        sample.env.delete(&sample.paths[segment]);
        let expected = if segment == 2 {
            Outcome::LostFrames
        } else {
            Outcome::Refused
        };
        assert_eq!(sample.look("missing"), expected);
        sample.env.set_contents(&sample.paths[segment], bytes);
    }
    for (first, second) in [(0, 1), (1, 2), (0, 2)] {
        sample
            .env
            .set_contents(&sample.paths[first], &whole[second]);
        assert_eq!(sample.look("copied over"), Outcome::Refused);
        sample
            .env
            .set_contents(&sample.paths[second], &whole[first]);
        assert_eq!(sample.look("swapped"), Outcome::Refused);
        for segment in [first, second] {
            sample
                .env
                .set_contents(&sample.paths[segment], &whole[segment]);
        }
    }
    let extra = sample.paths[0].with_file_name("0000000000000005.wal");
    sample.env.set_contents(&extra, &whole[2]);
    assert_eq!(sample.look("gap"), Outcome::Refused);
    sample.env.delete(&extra);

    // The same store id everywhere, or it is not one journal.
    let mut foreign = whole[1].clone();
    foreign[16] ^= 0xff;
    let crc = crc32(&foreign[..4092]);
    foreign[4092..4096].copy_from_slice(&crc.to_le_bytes());
    sample.env.set_contents(&sample.paths[1], &foreign);
    let error = scan(&sample.env).expect_err("two stores");
    assert_eq!(
        error.corruption().map(|place| &place.fault),
        Some(&Fault::ForeignStore)
    );
}

/// Bit by bit, as in the definition; slow and independent.
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc: u32, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 * (crc & 1))
        })
    })
}

#[test]
fn a_footer_that_lies_under_good_checksums_is_refused() {
    let sample = Sample::new(true);
    let whole = sample.contents(0);
    let footer = whole.len() - 104;
    let checksum = |bytes: &[u8], at: usize, len: usize| {
        let seed = [&bytes[80..88], &(at as u64).to_le_bytes()].concat();
        crc32(&[&seed, &bytes[at..at + len]].concat()).to_le_bytes()
    };
    // Frame count, first frame number, segment length.
    for (field, fault) in [(0, "Value"), (8, "Sequence"), (16, "Value")] {
        let mut bytes = whole.clone();
        bytes[footer + 80 + field] ^= 1;
        let body = checksum(&bytes, footer + 80, 24);
        bytes[footer + 20..footer + 24].copy_from_slice(&body);
        let header = checksum(&bytes, footer, 76);
        bytes[footer + 76..footer + 80].copy_from_slice(&header);
        sample.env.set_contents(&sample.paths[0], &bytes);
        let error = scan(&sample.env).expect_err("a lie");
        let place = error.corruption().expect("a place");
        assert_eq!((place.offset_bytes, place.what), (footer as u64, "footer"));
        assert!(format!("{:?}", place.fault).starts_with(fault), "{error}");
    }
}

#[test]
fn a_damaged_frame_before_synced_ones_names_its_place_and_the_evidence() {
    let env = MemEnv::new(9);
    let journal = create(&env, small_segments()).expect("no faults");
    let mut positions = Vec::new();
    for seq in 1..=4 {
        positions.push(
            Commit::new(seq, 90)
                .append_to(&journal, seq)
                .expect("no faults"),
        );
        journal.sync().expect("no faults");
    }
    let path = journal.segments()[0].path.clone();
    drop(journal);
    let mut bytes = env.contents(&path).expect("there");
    let damaged = positions[1].offset_bytes;
    bytes[usize::try_from(damaged).expect("small") + 12] ^= 1;
    env.set_contents(&path, &bytes);
    let error = scan(&env).expect_err("damaged");
    let place = error.corruption().expect("a place");
    assert_eq!((place.offset_bytes, place.what), (damaged, "frame header"));
    let Fault::Synced {
        synced_len_bytes,
        cause,
    } = &place.fault
    else {
        panic!("{error}")
    };
    // Frame 4 was appended when frames 1 to 3 were synced.
    assert_eq!(*synced_len_bytes, positions[3].offset_bytes);
    assert!(matches!(**cause, Fault::Checksum { .. }));
}

#[test]
fn a_torn_tail_is_cut_and_its_bytes_are_kept() {
    let env = MemEnv::new(9);
    let options = small_segments();
    let journal = create(&env, options).expect("no faults");
    for seq in 1..=3 {
        Commit::new(seq, 90)
            .append_to(&journal, seq)
            .expect("no faults");
    }
    let path = journal.segments()[0].path.clone();
    let third = journal
        .frames(3)
        .expect("sound")
        .next()
        .expect("there")
        .expect("sound")
        .position;
    drop(journal);
    let mut bytes = env.contents(&path).expect("there");
    let (start, len) = (third.offset_bytes, third.len_bytes);
    let start_index = usize::try_from(start).expect("small");
    bytes[start_index + 90] ^= 1;
    env.set_contents(&path, &bytes);

    let recovery = scan(&env).expect("torn, not damaged");
    assert_eq!(recovery.last_seq(), 2);
    assert!(recovery.check_witness(2).is_ok() && recovery.check_witness(3).is_err());
    let Tail::Torn {
        offset, len: torn, ..
    } = recovery.tail().clone()
    else {
        panic!("torn")
    };
    assert!(offset == start && torn <= len && torn + 8 > len);
    drop(recovery);
    for attempt in 0..2 {
        env.set_contents(&path, &bytes);
        let (journal, report) = reopen(Arc::new(env.clone()), options, Some(2)).expect("cut");
        assert_eq!((report.last_seq, report.frames, report.segments), (2, 2, 1));
        let cut = report.cut.expect("reported");
        assert_eq!(
            (&cut.file, cut.offset_bytes, cut.len_bytes),
            (&path, start, torn)
        );
        let name = format!("quarantine/{:016}-at-{start:012}-{attempt}.cut", 1);
        assert_eq!(cut.quarantined_as, PathBuf::from(name));
        let kept = env
            .crash(attempt)
            .contents(&cut.quarantined_as)
            .expect("durable");
        assert_eq!(kept, bytes[start_index..start_index + kept.len()]);
        assert_eq!(kept.len() as u64, torn);
        let position = Commit::new(3, 90)
            .append_to(&journal, 3)
            .expect("no faults");
        assert_eq!(position.offset_bytes, start);
        journal.close().expect("no faults");
        assert_eq!(*scan(&env).expect("sound").tail(), Tail::Clean);
    }
}

#[test]
fn a_body_that_contains_a_whole_journal_is_only_a_body() {
    let sample = Sample::new(true);
    let forged = sample.contents(2);
    let env = MemEnv::new(1);
    let options = small_segments();
    let journal = create(&env, options).expect("no faults");
    let commit = Commit {
        body: forged,
        ..Commit::new(1, 10)
    };
    let position = commit.append_to(&journal, 1).expect("no faults");
    let path = journal.segments()[0].path.clone();
    drop(journal);
    let mut bytes = env.contents(&path).expect("there");
    bytes[usize::try_from(position.offset_bytes).expect("small")] ^= 1;
    env.set_contents(&path, &bytes);
    let recovery = scan(&env).expect("torn, for all the frames inside");
    assert!(matches!(recovery.tail(), Tail::Torn { offset: 4096, .. }));
}
