//! A real journal, then damage. Whatever is found at opening: no frame is returned that was not
//! written; a single change to a journal that was closed loses no frame without an error; what is
//! opened for writing can be written, closed and read again. A survey accounts for every byte and
//! finds every sound frame.
#![no_main]

use std::path::Path;
use std::sync::Arc;

use arbitrary::Arbitrary;
use blocknet_fuzz::Change;
use blocknet_wal::{Frame, FrameRef, Journal, JournalOptions, MemEnv, Recovery};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input {
    frames: Vec<(u16, u16, bool)>,
    closed: bool,
    damage: Vec<(u8, Change)>,
    missing: Option<u8>,
    crash: Option<u64>,
}

const DIR: &str = "journal";
const OPTIONS: JournalOptions = JournalOptions {
    segment_len_bytes_max: 8 << 10,
    preallocate_len_bytes: 512,
};

type Written = (Vec<u8>, Vec<u8>);

fn chain(seq: u64) -> [u8; 32] {
    [u8::try_from(seq % 251).expect("below 251"); 32]
}

/// Checks that a frame is one of `written`.
fn check(frame: &Frame, written: &[Written]) {
    let index = usize::try_from(frame.seq)
        .expect("few frames")
        .wrapping_sub(1);
    let (body, erasable) = written.get(index).expect("a frame nobody wrote");
    assert_eq!(frame.chain, chain(frame.seq));
    let seq = frame.seq;
    assert!(frame.body == *body, "frame {seq} has another body");
    assert!(
        frame.erasable == *erasable,
        "frame {seq} has another payload"
    );
}

/// The frames of a journal up to the first error; panics if one of them is none of `written`.
fn read(recovery: &Recovery, written: &[Written]) -> (u64, bool) {
    let mut count = 0;
    for frame in recovery.frames(1).expect("errors come from the iterator") {
        let Ok(frame) = frame else {
            return (count, false);
        };
        count += 1;
        assert_eq!(frame.seq, count, "in order, without gaps");
        check(&frame, written);
    }
    assert_eq!(count, recovery.last_seq());
    (count, true)
}

fuzz_target!(|input: Input| {
    let env = MemEnv::new(7);
    let dir = Path::new(DIR);
    let journal = Journal::create(Arc::new(env.clone()), dir, [7; 16], OPTIONS);
    let journal = journal.expect("nothing fails in memory");
    let mut written: Vec<Written> = Vec::new();
    let mut durable = 0;
    for (seq, (body, erasable, sync)) in (1..).zip(input.frames.iter().take(12)) {
        let fill = |len: u16| vec![b'x'; usize::from(len % 4096)];
        let (body, erasable) = (fill(*body), fill(*erasable));
        let frame = FrameRef {
            seq,
            chain: &chain(seq),
            body: &body,
            erasable: &erasable,
        };
        journal.append(&frame).expect("nothing fails in memory");
        written.push((body, erasable));
        if *sync {
            durable = journal.sync().expect("nothing fails in memory");
        }
    }
    if input.closed {
        journal.close().expect("nothing fails in memory");
        durable = written.len() as u64;
    } else {
        drop(journal);
    }
    let env = input.crash.map_or(env.clone(), |seed| env.crash(seed));
    let mut files: Vec<_> = env.paths();
    files.retain(|path| env.contents(path).is_some());
    for (file, change) in input.damage.iter().take(3) {
        let path = &files[usize::from(*file) % files.len()];
        let mut bytes = env.contents(path).expect("a file");
        change.apply(&mut bytes);
        env.set_contents(path, &bytes);
    }
    if let Some(file) = input.missing {
        env.delete(&files[usize::from(file) % files.len()]);
    }

    let untouched = input.damage.is_empty() && input.missing.is_none();
    let surveyed = blocknet_fuzz::survey(&env, dir);
    surveyed.iter().for_each(|frame| check(frame, &written));
    let recovery = match Recovery::scan(Arc::new(env.clone()), dir) {
        Ok(recovery) => recovery,
        Err(error) => {
            assert!(!untouched, "{error}");
            return;
        }
    };
    let (found, whole) = read(&recovery, &written);
    assert!(
        surveyed.len() as u64 >= found,
        "a survey finds what is sound"
    );
    let one_flip = matches!(input.damage.as_slice(), [(_, Change::Flip { .. })]);
    if untouched || (one_flip && input.missing.is_none() && input.closed) {
        assert!(!whole || found >= durable, "{found} of {durable} frames");
        assert!(whole || !untouched);
    }
    let quarantine = Path::new("quarantine");
    let Ok((journal, _)) = recovery.into_journal(OPTIONS, None, quarantine) else {
        return;
    };
    // Sealed segments are looked into only when they are read.
    if !whole {
        return;
    }
    let seq = found + 1;
    written.truncate(usize::try_from(found).expect("few frames"));
    written.push((b"after".to_vec(), b"wards".to_vec()));
    let frame = FrameRef {
        seq,
        chain: &chain(seq),
        body: b"after",
        erasable: b"wards",
    };
    journal.append(&frame).expect("nothing fails in memory");
    journal.close().expect("nothing fails in memory");
    let env = env.crash(1);
    let recovery = Recovery::scan(Arc::new(env), dir).expect("just closed");
    assert_eq!(read(&recovery, &written), (seq, true));
});
