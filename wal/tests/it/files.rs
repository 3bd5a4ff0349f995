//! The same journal on the real file system.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use blocknet_wal::{
    Access, Env, ErrorKind, FRAME_LEN_BYTES_MAX, FileEnv, Found, Frame, FrameRef, Journal,
    JournalOptions, Page, Recovery, SegmentRewrite, Survey, Tail,
};

use crate::model::{Commit, STORE_ID, as_index, assert_frames, small_segments};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("there").permissions().mode() & 0o777
}

fn create(dir: &Path) -> Result<Journal, blocknet_wal::Error> {
    Journal::create(Arc::new(FileEnv), dir, STORE_ID, small_segments())
}

fn scan(dir: &Path) -> Result<Recovery, blocknet_wal::Error> {
    Recovery::scan(Arc::new(FileEnv), dir)
}

#[test]
fn commits_are_written_read_recovered_and_private() {
    let temporary = tempfile::tempdir().expect("a temporary directory");
    let dir = temporary.path().join("journal");
    let quarantine = temporary.path().join("quarantine");
    let journal = create(&dir).expect("created");
    let commits: Vec<_> = (1..=40).map(|seq| Commit::new(seq, 1500)).collect();
    let mut bytes = 0;
    for (seq, commit) in (1..=20).zip(&commits) {
        let position = commit.append_to(&journal, seq).expect("appended");
        bytes += position.len_bytes;
        assert_eq!(journal.sync().expect("synced"), seq);
    }
    assert!(journal.appended_bytes() >= bytes);
    assert_eq!(journal.store_id(), STORE_ID);
    assert_eq!((journal.last_seq(), journal.durable_seq()), (20, 20));
    assert_eq!(journal.last_chain(), commits[19].chain);
    assert_frames(journal.frames(7), 7, &commits[..20]);
    assert_eq!(mode(&dir), 0o700);
    for info in journal.segments() {
        assert_eq!(mode(&info.path), 0o600);
        let len = fs::metadata(&info.path).expect("there").len();
        assert!(len == info.len_bytes || !info.sealed, "{info:?}");
    }
    assert!(journal.segments().len() > 2);
    drop(journal);

    // The process died in the middle of a write.
    let last = scan(&dir)
        .expect("sound")
        .segments()
        .last()
        .expect("there")
        .clone();
    let mut image = fs::read(&last.path).expect("read");
    image[usize::try_from(last.len_bytes).expect("small")..][..40].fill(0xee);
    fs::write(&last.path, &image).expect("written");
    let recovery = scan(&dir).expect("torn");
    let Tail::Torn { offset, len, .. } = *recovery.tail() else {
        panic!("torn")
    };
    assert_eq!((offset, len), (last.len_bytes, 40));
    let (journal, report) = recovery
        .into_journal(small_segments(), Some(20), &quarantine)
        .expect("cut");
    let cut = report.cut.expect("reported");
    assert_eq!(fs::read(&cut.quarantined_as).expect("kept"), [0xee; 40]);
    assert_eq!(
        (mode(&quarantine), mode(&cut.quarantined_as)),
        (0o700, 0o600)
    );
    // The segment is a copy of the one that was torn.
    assert_eq!(mode(&last.path), 0o600);
    let whole = image
        .get(..usize::try_from(last.len_bytes).expect("small"))
        .expect("there");
    assert_eq!(fs::read(&last.path).expect("read"), whole);
    for (seq, commit) in (21..=40).zip(&commits[20..]) {
        commit.append_to(&journal, seq).expect("appended");
    }
    journal.close().expect("closed");
    let recovery = scan(&dir).expect("sound");
    assert_eq!(*recovery.tail(), Tail::Clean);
    assert_frames(recovery.frames(1), 1, &commits);
    let last = recovery.segments().last().expect("there");
    assert_eq!(
        fs::metadata(&last.path).expect("there").len(),
        last.len_bytes
    );
}

#[test]
fn create_takes_only_an_absent_or_empty_directory() {
    let temporary = tempfile::tempdir().expect("a temporary directory");
    let dir = temporary.path().join("journal");
    fs::create_dir(&dir).expect("created");
    // What a crash while creating leaves.
    fs::write(dir.join("0000000000000001.tmp"), b"half").expect("written");
    create(&dir)
        .expect("as good as empty")
        .close()
        .expect("closed");
    let again = create(&dir).expect_err("there is a journal");
    assert_eq!(again.kind(), ErrorKind::Invalid);
    let other = temporary.path().join("other");
    fs::create_dir(&other).expect("created");
    fs::write(other.join("letter.txt"), b"dear").expect("written");
    assert_eq!(
        create(&other).expect_err("not empty").kind(),
        ErrorKind::Invalid
    );
    let absent = create(&temporary.path().join("no/parent")).expect_err("no parent");
    assert_eq!(absent.kind(), ErrorKind::Io);
    let options = JournalOptions {
        segment_len_bytes_max: 4096,
        ..small_segments()
    };
    let tiny = Journal::create(
        Arc::new(FileEnv),
        &temporary.path().join("t"),
        STORE_ID,
        options,
    );
    assert_eq!(tiny.expect_err("too small").kind(), ErrorKind::Invalid);
    assert_eq!(
        scan(&temporary.path().join("t"))
            .expect_err("absent")
            .kind(),
        ErrorKind::Io
    );
}

#[test]
fn links_pipes_and_directories_are_not_opened() {
    let temporary = tempfile::tempdir().expect("a temporary directory");
    let path = |name: &str| temporary.path().join(name);
    fs::write(path("file"), b"x").expect("written");
    symlink(path("file"), path("link")).expect("linked");
    fs::create_dir(path("directory")).expect("created");
    let made = Command::new("mkfifo")
        .arg(path("pipe"))
        .status()
        .expect("mkfifo runs");
    assert!(made.success());
    for access in [Access::Read, Access::ReadWrite] {
        assert!(FileEnv.open(&path("file"), access).is_ok());
        for name in ["link", "directory", "pipe", "absent"] {
            assert!(FileEnv.open(&path(name), access).is_err(), "{name}");
        }
    }
    let taken = FileEnv
        .create_new(&path("link"))
        .map(drop)
        .map_err(|error| error.kind());
    assert_eq!(taken, Err(io::ErrorKind::AlreadyExists));
    let taken = FileEnv
        .rename(&path("file"), &path("link"))
        .map_err(|error| error.kind());
    assert_eq!(taken, Err(io::ErrorKind::AlreadyExists));
    assert!(FileEnv.remove_tmp(&path("file")).is_err());
    assert!(path("file").exists());
    let file = FileEnv
        .open(&path("file"), Access::ReadWrite)
        .expect("a file");
    file.allocate(10_000).expect("room");
    file.allocate(5).expect("nothing to do");
    assert_eq!(file.len_bytes().expect("measured"), 10_000);
}

#[test]
fn a_file_is_replaced_in_one_step_and_a_link_is_not_followed() {
    let temporary = tempfile::tempdir().expect("a temporary directory");
    let path = |name: &str| temporary.path().join(name);
    for name in ["old", "new", "other"] {
        fs::write(path(name), name).expect("written");
    }
    let replace = |from: &str, to: &str| FileEnv.replace(&path(from), &path(to));
    replace("new", "old").expect("replaced");
    assert_eq!(fs::read(path("old")).expect("read"), b"new");
    assert!(!path("new").exists());
    symlink(path("other"), path("link")).expect("linked");
    replace("old", "link").expect("replaced");
    assert_eq!(fs::read(path("other")).expect("read"), b"other");
    let metadata = fs::symlink_metadata(path("link")).expect("there");
    assert!(metadata.is_file());
    fs::create_dir(path("directory")).expect("created");
    assert!(replace("link", "directory").is_err() && path("link").exists());
    assert!(replace("absent", "link").is_err() && path("link").exists());
}

#[test]
fn a_damaged_segment_is_rewritten_and_the_old_one_kept_privately() {
    let temporary = tempfile::tempdir().expect("a temporary directory");
    let dir = temporary.path().join("journal");
    let quarantine = temporary.path().join("quarantine");
    let journal = create(&dir).expect("created");
    let commits: Vec<_> = (1..=4).map(|seq| Commit::new(seq, 600)).collect();
    for (seq, commit) in (1..).zip(&commits) {
        commit.append_to(&journal, seq).expect("appended");
    }
    journal.close().expect("closed");
    let path = journal.segments()[0].path.clone();
    let mut damaged = fs::read(&path).expect("read");
    damaged[5000] ^= 1;
    fs::write(&path, &damaged).expect("written");

    let survey = Survey::new(Arc::new(FileEnv), &dir).expect("listed");
    let mut rewrite = None;
    for found in survey.walk(1).expect("opened") {
        match found.expect("read") {
            Found::Page(page) => {
                let begun = SegmentRewrite::begin(Arc::new(FileEnv), &dir, &page);
                rewrite = Some(begun.expect("begun"));
            }
            Found::Frame(Frame { seq, .. }) => {
                push_commit(rewrite.as_mut().expect("begun"), seq, &commits);
            }
            Found::Damage(damage) => {
                let seq = damage.frame.expect("its header is sound").seq;
                push_commit(rewrite.as_mut().expect("begun"), seq, &commits);
            }
            _ => {}
        }
    }
    let kept = rewrite.expect("begun").finish(false, &quarantine);
    let kept = kept.expect("finished").expect("there was one");
    assert_eq!(kept, quarantine.join("0000000000000001-0.wal"));
    assert_eq!(fs::read(&kept).expect("read"), damaged);
    assert_eq!((mode(&quarantine), mode(&kept)), (0o700, 0o600));
    assert_eq!(mode(&path), 0o600);
    assert_frames(scan(&dir).expect("sound").frames(1), 1, &commits);

    // What is no file is not moved aside.
    fs::remove_file(&path).expect("removed");
    fs::create_dir(&path).expect("created");
    let page = Page {
        store_id: STORE_ID,
        segment: 1,
        first_seq: 1,
        prev_chain: [0; 32],
    };
    let rewrite = SegmentRewrite::begin(Arc::new(FileEnv), &dir, &page).expect("begun");
    let refused = rewrite.finish(false, &quarantine).expect_err("a directory");
    assert_eq!(refused.kind(), ErrorKind::Io);
    assert!(path.is_dir());
    assert_eq!(fs::read_dir(&dir).expect("listed").count(), 1);
}

fn push_commit(rewrite: &mut SegmentRewrite, seq: u64, commits: &[Commit]) {
    let Commit {
        chain,
        body,
        erasable,
    } = &commits[as_index(seq)];
    rewrite
        .push(&FrameRef {
            seq,
            chain,
            body,
            erasable,
        })
        .expect("follows");
}

#[test]
fn the_longest_frame_is_stored_and_a_longer_one_refused() {
    let temporary = tempfile::tempdir().expect("a temporary directory");
    let dir = temporary.path().join("journal");
    let journal = create(&dir).expect("created");
    let room = usize::try_from(FRAME_LEN_BYTES_MAX).expect("64 bits") - 80;
    let body = vec![9; room + 1];
    let chain = &[1; 32];
    let frame = FrameRef {
        seq: 1,
        chain,
        body: &body,
        erasable: &[],
    };
    let refused = journal.append(&frame).expect_err("too long");
    assert_eq!(
        (refused.kind(), journal.appended_bytes()),
        (ErrorKind::Invalid, 0)
    );
    let small = FrameRef {
        seq: 1,
        chain,
        body: &[],
        erasable: &[],
    };
    journal.append(&small).expect("an empty commit");
    let skipping = FrameRef { seq: 3, ..small };
    assert_eq!(
        journal.append(&skipping).expect_err("a gap").kind(),
        ErrorKind::Invalid
    );
    let frame = FrameRef {
        seq: 2,
        body: &body[1..],
        ..small
    };
    let position = journal.append(&frame).expect("the longest");
    assert_eq!(
        (position.segment, position.len_bytes),
        (2, FRAME_LEN_BYTES_MAX)
    );
    journal
        .append(&FrameRef { seq: 3, ..small })
        .expect("another");
    journal.close().expect("closed");
    let recovery = scan(&dir).expect("sound");
    let lens: Vec<_> = recovery
        .frames(1)
        .expect("sound")
        .map(|frame| frame.expect("sound").body.len())
        .collect();
    assert_eq!(lens, [0, room, 0]);
    assert_eq!(recovery.segments().len(), 3);
}

/// One hex example holds for the document, the decoder and the encoder: the latter two are tested
/// against the fixture beside the code, and this holds the document to it.
#[test]
fn the_design_document_shows_the_worked_example() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let document = fs::read_to_string(format!("{root}/DESIGN.md")).unwrap();
    let fixture = include_str!("../fixtures/v1/worked_example.hex");
    // Offset and bytes; what is said about them may be worded differently.
    let rows = |text: &str| -> Vec<String> {
        text.lines()
            .map(|line| line.get(..57).unwrap_or(line).trim_end().to_owned())
            .filter(|row| row.len() > 10 && row.as_bytes()[..8].iter().all(u8::is_ascii_hexdigit))
            .collect()
    };
    assert!(rows(fixture).len() > 20, "{fixture}");
    assert_eq!(rows(&document), rows(fixture));
}
