//! A segment written anew: byte for byte as the format says, and old or new after any crash.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use blocknet_wal::{
    Access, Env, EnvFile, EnvOp, Error, ErrorKind, FRAME_LEN_BYTES_MAX, Found, Frame, FrameRef,
    InjectedError, Injection, MemEnv, Page, SegmentRewrite, Tail,
};

use crate::damage::Sample;
use crate::model::{
    Commit, DIR, QUARANTINE, STORE_ID, create, from_hex, reopen, scan, small_segments,
};
use crate::survey::walk;

/// Made by a script that shares no code with the crate.
const REWRITTEN: &str = include_str!("../fixtures/v1/rewritten.hex");

/// Appends a frame as it was read.
pub(crate) fn push(rewrite: &mut SegmentRewrite, frame: &Frame) -> Result<(), Error> {
    if frame.lost {
        return rewrite.push_lost(frame.seq, &frame.chain, &frame.body);
    }
    rewrite.push(&FrameRef {
        seq: frame.seq,
        chain: &frame.chain,
        body: &frame.body,
        erasable: &frame.erasable,
    })
}

/// A page and frames, as a survey finds them.
#[derive(Clone, PartialEq)]
struct Content {
    page: Page,
    frames: Vec<Frame>,
    sealed: bool,
}

impl Content {
    /// `None` if anything is damaged.
    fn of(env: &MemEnv, segment: u64) -> Option<Self> {
        let (mut page, mut frames, mut sealed) = (None, Vec::new(), false);
        for found in walk(env, segment) {
            match found {
                Found::Page(found) => page = Some(found),
                Found::Frame(frame) => frames.push(frame),
                Found::Footer { .. } => sealed = true,
                Found::Damage(_) => return None,
                _ => {}
            }
        }
        page.map(|page| Self {
            page,
            frames,
            sealed,
        })
    }

    fn rewrite(&self, env: &MemEnv) -> Result<Option<PathBuf>, Error> {
        let env = Arc::new(env.clone());
        let mut rewrite = SegmentRewrite::begin(env, Path::new(DIR), &self.page)?;
        for frame in &self.frames {
            push(&mut rewrite, frame)?;
        }
        rewrite.finish(self.sealed, Path::new(QUARANTINE))
    }
}

fn path_of(segment: u64) -> PathBuf {
    Path::new(DIR).join(format!("{segment:016}.wal"))
}

fn kept_as(segment: u64, attempt: u64) -> PathBuf {
    Path::new(QUARANTINE).join(format!("{segment:016}-{attempt}.wal"))
}

fn unfinished(env: &MemEnv) -> bool {
    let is_tmp = |path: &PathBuf| path.extension() == Some("tmp".as_ref());
    env.paths().iter().any(is_tmp)
}

/// The memory's file system with a salt that is known beforehand.
#[derive(Debug)]
struct KnownSalt(MemEnv);

impl Env for KnownSalt {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.0.create_dir(dir)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        self.0.list(dir)
    }
    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn EnvFile>> {
        self.0.open(path, access)
    }
    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn EnvFile>> {
        self.0.create_new(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.rename(from, to)
    }
    fn replace(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.replace(from, to)
    }
    fn remove_tmp(&self, path: &Path) -> io::Result<()> {
        self.0.remove_tmp(path)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.0.sync_dir(dir)
    }
    fn random(&self) -> io::Result<u64> {
        Ok(0x1122_3344_5566_7788)
    }
}

#[test]
fn a_rewritten_segment_is_byte_for_byte_as_the_format_says() {
    let env = MemEnv::new(1);
    env.create_dir(Path::new(DIR)).expect("no faults");
    let mut store_id = [0; 16];
    store_id.copy_from_slice(&(0xa0..0xb0).collect::<Vec<u8>>());
    let page = Page {
        store_id,
        segment: 2,
        first_seq: 5,
        prev_chain: [0x44; 32],
    };
    let known_salt = Arc::new(KnownSalt(env.clone()));
    let mut rewrite = SegmentRewrite::begin(known_salt, Path::new(DIR), &page).expect("no faults");
    let first = FrameRef {
        seq: 5,
        chain: &[0x55; 32],
        body: b"a house",
        erasable: b"its owner",
    };
    rewrite.push(&first).expect("no faults");
    let second = FrameRef {
        seq: 6,
        chain: &[0x66; 32],
        body: b"a barn",
        erasable: b"nobody",
    };
    rewrite.push(&second).expect("no faults");
    rewrite
        .push_lost(7, &[0x77; 32], b"torn bytes!")
        .expect("no faults");
    let kept = rewrite.finish(true, Path::new(QUARANTINE));
    assert_eq!(kept.expect("no faults"), None, "there was nothing to keep");
    assert_eq!(env.paths(), [path_of(2)]);
    let made = env.crash(1).contents(&path_of(2)).expect("durable");
    assert_eq!(made, from_hex(REWRITTEN));

    // And it is read as it was meant.
    let content = Content::of(&env, 2).expect("sound");
    assert_eq!((&content.page, content.sealed), (&page, true));
    let read: Vec<_> = content
        .frames
        .iter()
        .map(|frame| (frame.seq, &*frame.body, &*frame.erasable, frame.lost))
        .collect();
    let expected = [
        (5, &b"a house"[..], &b"its owner"[..], false),
        (6, b"a barn", b"nobody", false),
        (7, b"torn bytes!", b"", true),
    ];
    assert_eq!(read, expected);
}

fn without_place(frame: &Frame) -> (u64, [u8; 32], &[u8], &[u8], bool) {
    let Frame {
        seq,
        chain,
        body,
        erasable,
        lost,
        ..
    } = frame;
    (*seq, *chain, body, erasable, *lost)
}

#[test]
fn a_damaged_or_missing_segment_rewritten_from_another_copy_is_sound_again() {
    for closed in [false, true] {
        let sample = Sample::new(closed);
        let contents = [1, 2, 3].map(|segment| Content::of(&sample.env, segment).expect("sound"));
        for (segment, content) in (1..).zip(&contents) {
            let original = sample.env.contents(&path_of(segment)).expect("there");
            // One bit in the page, in a frame, and the whole file gone.
            for (attempt, damaged) in [Some(9), Some(4096 + 100), None].into_iter().enumerate() {
                let mut bytes = original.clone();
                match damaged {
                    Some(at) => {
                        bytes[at] ^= 1;
                        sample.env.set_contents(&path_of(segment), &bytes);
                    }
                    None => sample.env.delete(&path_of(segment)),
                }
                assert!(Content::of(&sample.env, segment).is_none());
                let kept = content.rewrite(&sample.env).expect("no faults");
                let expected = damaged.map(|_| kept_as(segment, attempt as u64));
                assert_eq!(kept, expected);
                let crashed = sample.env.crash(segment);
                if let Some(kept) = kept {
                    assert_eq!(crashed.contents(&kept), Some(bytes), "kept durably");
                }
                let recovery = scan(&crashed).expect("sound");
                let frames = recovery.frames(1).expect("sound");
                let frames: Vec<_> = frames.map(|frame| frame.expect("sound")).collect();
                let same = frames
                    .iter()
                    .map(without_place)
                    .eq(sample.frames.iter().map(without_place));
                assert!(same, "segment {segment}");
                // Same lengths, so same places; and a salt of its own.
                assert!(frames == sample.frames);
                let made = crashed.contents(&path_of(segment)).expect("there");
                assert_ne!(made[80..88], original[80..88]);
            }
        }
        let env = Arc::new(sample.env.clone());
        let seq = sample.frames.len() as u64;
        let (journal, report) = reopen(env, small_segments(), Some(seq)).expect("sound");
        assert_eq!((report.last_seq, report.cut), (seq, None));
        Commit::new(1, 1)
            .append_to(&journal, seq + 1)
            .expect("no faults");
        journal.close().expect("no faults");
    }
}

#[test]
fn a_journal_with_a_lost_commit_is_scanned_opened_and_continued() {
    for segment in 1..=3 {
        let sample = Sample::new(true);
        let mut content = Content::of(&sample.env, segment).expect("sound");
        // The first of the segment, the last, and one between.
        let count = content.frames.len();
        for index in [0, count / 2, count - 1] {
            let frame = &mut content.frames[index];
            frame.lost = true;
            frame.body = vec![0xee; index];
            frame.erasable = vec![];
        }
        content.rewrite(&sample.env).expect("no faults");
        let env = Arc::new(sample.env.clone());
        let last_seq = sample.frames.len() as u64;
        let (journal, report) = reopen(env, small_segments(), Some(last_seq)).expect("sound");
        assert_eq!((report.last_seq, report.cut), (last_seq, None));
        let chain = sample.frames.last().expect("not empty").chain;
        assert_eq!(journal.last_chain(), chain);
        Commit::new(1, 1)
            .append_to(&journal, last_seq + 1)
            .expect("no faults");
        let frames = journal.frames(1).expect("sound");
        let frames: Vec<_> = frames.map(|frame| frame.expect("sound")).collect();
        assert_eq!(frames.len() as u64, last_seq + 1);
        for (frame, original) in frames.iter().zip(&sample.frames) {
            assert_eq!((frame.seq, frame.chain), (original.seq, original.chain));
            let rewritten = content.frames.iter().find(|other| other.seq == frame.seq);
            let expected = rewritten.unwrap_or(original);
            assert_eq!(without_place(frame), without_place(expected));
        }
        let lost = frames.iter().filter(|frame| frame.lost).count();
        assert_eq!(lost, if count == 2 { 2 } else { 3 });
    }
}

/// A damaged segment 2 and what must be there instead.
fn damaged_sample() -> (MemEnv, Content, Vec<u8>) {
    let sample = Sample::new(true);
    let content = Content::of(&sample.env, 2).expect("sound");
    let mut damaged = sample.contents(1);
    damaged[4096 + 100] ^= 1;
    sample.env.set_contents(&path_of(2), &damaged);
    (sample.env, content, damaged)
}

/// Asserts that the segment is wholly the old one or the new one; says whether it is the new one.
fn is_new(env: &MemEnv, content: &Content, damaged: &[u8]) -> bool {
    let bytes = env.contents(&path_of(2)).expect("never without a name");
    if bytes == damaged {
        return false;
    }
    let found = Content::of(env, 2).expect("sound");
    assert!(found == *content);
    // The old one was kept before it lost its name, whole and durably.
    let kept = env.contents(&kept_as(2, 0)).expect("kept");
    assert!(kept == damaged);
    true
}

#[test]
fn a_crash_at_any_operation_leaves_the_old_segment_or_the_new_one() {
    let (mut old, mut new) = (0, 0);
    for nth in 1.. {
        let (env, content, damaged) = damaged_sample();
        let error = InjectedError::Io;
        env.inject(Injection {
            ops: &[],
            nth,
            lasting: true,
            error,
        });
        let result = content.rewrite(&env);
        env.heal();
        if result.is_ok() {
            assert!(nth > 15, "{nth}");
            break;
        }
        // The process dies, or the power fails.
        let crashed = (0..30).map(|seed| env.crash(seed));
        for env in crashed.chain([env.clone()]) {
            if is_new(&env, &content, &damaged) {
                new += 1;
            } else {
                old += 1;
            }
            for path in env.paths() {
                let in_quarantine = path.starts_with(QUARANTINE);
                if in_quarantine && path.extension() == Some("wal".as_ref()) {
                    assert!(env.contents(&path) == Some(damaged.clone()));
                }
            }
            // It can simply be done again.
            content.rewrite(&env).expect("no faults");
            assert!(is_new(&env.crash(nth), &content, &damaged));
            assert!(!unfinished(&env));
        }
    }
    assert!(old > 100 && new > 5, "{old} {new}");
}

#[test]
fn a_failed_operation_is_an_error_and_the_rewrite_can_be_repeated() {
    for nth in 1.. {
        let (env, content, damaged) = damaged_sample();
        env.inject(Injection {
            ops: &[],
            nth,
            lasting: false,
            error: InjectedError::NoSpace,
        });
        let result = content.rewrite(&env);
        env.heal();
        match result {
            Ok(kept) => {
                assert!(nth > 15, "{nth}");
                assert_eq!(kept, Some(kept_as(2, 0)));
                break;
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::Io, "{error}"),
        }
        is_new(&env, &content, &damaged);
        let own = Path::new(DIR).join(format!("{:016}.tmp", 2));
        assert!(env.contents(&own).is_none(), "its space is given back");
        content.rewrite(&env).expect("no faults");
        assert!(is_new(&env.crash(nth), &content, &damaged));
    }
}

fn begin(env: &MemEnv, page: &Page) -> Result<SegmentRewrite, Error> {
    SegmentRewrite::begin(Arc::new(env.clone()), Path::new(DIR), page)
}

#[test]
fn what_does_not_fit_is_refused_and_leaves_the_rewrite_as_it_was() {
    let env = MemEnv::new(1);
    drop(create(&env, small_segments()).expect("no faults"));
    let page = Page {
        store_id: STORE_ID,
        segment: 1,
        first_seq: 1,
        prev_chain: [0; 32],
    };
    let invalid = |result: Result<(), Error>| {
        let error = result.expect_err("invalid");
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    };
    for segment in [0, 9_999_999_999_999_999 + 1] {
        invalid(
            begin(
                &env,
                &Page {
                    segment,
                    ..page.clone()
                },
            )
            .map(drop),
        );
    }
    let first_seq = 0;
    invalid(
        begin(
            &env,
            &Page {
                first_seq,
                ..page.clone()
            },
        )
        .map(drop),
    );
    let empty = begin(&env, &page).expect("no faults");
    invalid(empty.finish(true, Path::new(QUARANTINE)).map(drop));
    assert!(!unfinished(&env));

    let mut rewrite = begin(&env, &page).expect("no faults");
    let room = usize::try_from(FRAME_LEN_BYTES_MAX).expect("64 bits") - 80;
    let long = vec![7; room + 1];
    let chain = &[3; 32];
    let frame = FrameRef {
        seq: 1,
        chain,
        body: b"a",
        erasable: b"",
    };
    for seq in [0, 2, u64::MAX] {
        invalid(rewrite.push(&FrameRef { seq, ..frame }));
        invalid(rewrite.push_lost(seq, chain, b""));
    }
    invalid(rewrite.push(&FrameRef {
        body: &long,
        ..frame
    }));
    invalid(rewrite.push_lost(1, chain, &long));
    rewrite
        .push_lost(1, chain, &long[1..])
        .expect("the longest");
    invalid(rewrite.push(&frame));
    rewrite
        .push(&FrameRef { seq: 2, ..frame })
        .expect("follows");
    rewrite
        .finish(false, Path::new(QUARANTINE))
        .expect("no faults");
    let recovery = scan(&env).expect("sound");
    assert_eq!((recovery.last_seq(), recovery.tail()), (2, &Tail::Unclean));
    let lens: Vec<_> = Content::of(&env, 1)
        .expect("sound")
        .frames
        .iter()
        .map(|frame| frame.body.len())
        .collect();
    assert_eq!(lens, [room, 1]);
}

#[test]
fn a_segment_longer_than_the_buffer_is_written_whole() {
    let env = MemEnv::new(1);
    drop(create(&env, small_segments()).expect("no faults"));
    let mut content = Content::of(&env, 1).expect("sound");
    let mut offset_bytes = 4096;
    for seq in 1..=60 {
        let Commit {
            chain,
            body,
            erasable,
        } = Commit::new(seq, 40_000);
        let section = if erasable.is_empty() {
            0
        } else {
            8 + erasable.len().next_multiple_of(8)
        };
        let len_bytes = (80 + body.len().next_multiple_of(8) + section) as u64;
        let position = blocknet_wal::Position {
            segment: 1,
            offset_bytes,
            len_bytes,
        };
        offset_bytes += len_bytes;
        content.frames.push(Frame {
            seq,
            chain,
            body,
            erasable,
            lost: false,
            position,
        });
    }
    assert!(offset_bytes > 1 << 20);
    let writes = env.count(&[EnvOp::Write]);
    content.rewrite(&env).expect("no faults");
    assert!(Content::of(&env.crash(1), 1).expect("sound") == content);
    // The page, a buffer at a time, and the copy of the old file.
    let writes = env.count(&[EnvOp::Write]) - writes;
    assert!((5..10).contains(&writes), "{writes}");
}
