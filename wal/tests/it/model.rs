//! What the tests share: a seed, a model of the journal's content, and checks against it.

use std::path::Path;
use std::sync::Arc;

use blocknet_wal::{
    Env, Error, Frame, FrameRef, Frames, Journal, JournalOptions, MemEnv, Position, Recovery,
    RecoveryReport,
};

pub(crate) const DIR: &str = "journal";
pub(crate) const QUARANTINE: &str = "quarantine";
pub(crate) const STORE_ID: [u8; 16] = [0x5a; 16];

/// The smallest segments allowed, so that short tests change segments often.
pub(crate) fn small_segments() -> JournalOptions {
    JournalOptions {
        segment_len_bytes_max: 8192,
        preallocate_len_bytes: 1024,
    }
}

/// A number from the environment, to repeat or lengthen a random test.
pub(crate) fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

/// `SplitMix64`.
#[derive(Clone)]
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    fn bytes(&mut self, len_max: u64) -> Vec<u8> {
        let len = self.below(len_max + 1);
        (0..len).map(|_| self.next().to_le_bytes()[0]).collect()
    }
}

/// The content of one commit; a function of one number.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Commit {
    pub(crate) chain: [u8; 32],
    pub(crate) body: Vec<u8>,
    pub(crate) erasable: Vec<u8>,
}

impl Commit {
    pub(crate) fn new(number: u64, len_max: u64) -> Self {
        let mut rng = Rng(number);
        let mut chain = [0; 32];
        chain.fill_with(|| rng.next().to_le_bytes()[0]);
        let erasable_len_max = if rng.one_in(2) { 0 } else { len_max / 2 };
        Self {
            chain,
            body: rng.bytes(len_max),
            erasable: rng.bytes(erasable_len_max),
        }
    }

    pub(crate) fn append_to(&self, journal: &Journal, seq: u64) -> Result<Position, Error> {
        let Self {
            chain,
            body,
            erasable,
        } = self;
        journal.append(&FrameRef {
            seq,
            chain,
            body,
            erasable,
        })
    }

    pub(crate) fn assert_is(&self, frame: &Frame) {
        assert!(self.chain == frame.chain, "chain of frame {}", frame.seq);
        assert!(self.body == frame.body, "body of frame {}", frame.seq);
        assert!(
            self.erasable == frame.erasable,
            "erasable section of frame {}",
            frame.seq
        );
    }
}

/// Asserts that the frames are exactly these commits, from number `from_seq` on.
pub(crate) fn assert_frames(frames: Result<Frames, Error>, from_seq: u64, commits: &[Commit]) {
    let mut seq = from_seq;
    for frame in frames.expect("frames() reads nothing") {
        let frame = frame.expect("a sound frame");
        assert_eq!(frame.seq, seq);
        commits
            .get(as_index(seq))
            .expect("no more frames than commits")
            .assert_is(&frame);
        seq += 1;
    }
    assert_eq!(seq, commits.len() as u64 + 1, "every commit has its frame");
}

/// The bytes that a hex listing shows; rows left out are zeros.
pub(crate) fn from_hex(listing: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in listing.lines() {
        let mut words = line.split_whitespace();
        let offset = words.next().expect("an offset");
        bytes.resize(usize::from_str_radix(offset, 16).expect("hex"), 0);
        bytes.extend(words.map(|word| u8::from_str_radix(word, 16).expect("hex")));
    }
    bytes
}

/// Commit 1 is the first of a list.
pub(crate) fn as_index(seq: u64) -> usize {
    usize::try_from(seq - 1).expect("small")
}

pub(crate) fn create(env: &MemEnv, options: JournalOptions) -> Result<Journal, Error> {
    Journal::create(Arc::new(env.clone()), Path::new(DIR), STORE_ID, options)
}

pub(crate) fn scan(env: &MemEnv) -> Result<Recovery, Error> {
    Recovery::scan(Arc::new(env.clone()), Path::new(DIR))
}

pub(crate) fn reopen(
    env: Arc<dyn Env>,
    options: JournalOptions,
    witness_seq: Option<u64>,
) -> Result<(Journal, RecoveryReport), Error> {
    let recovery = Recovery::scan(env, Path::new(DIR))?;
    recovery.into_journal(options, witness_seq, Path::new(QUARANTINE))
}
