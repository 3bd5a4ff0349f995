//! Power cuts and process deaths at random moments, also during recovery, on the simulated disk.
//!
//! `BLOCKNET_SEED` is the first seed, `BLOCKNET_RUNS` the number of runs.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use blocknet_wal::{
    EnvOp, ErrorKind, InjectedError, Injection, Journal, JournalOptions, MemEnv, Tail,
};

use crate::model::{Commit, Rng, as_index, assert_frames, create, from_environment, reopen, scan};

/// One journal through several lives.
struct Run {
    rng: Rng,
    options: JournalOptions,
    env: MemEnv,
    /// Every commit handed to the journal and not known to be lost; the last one may be half
    /// appended.
    commits: Vec<Commit>,
    /// All up to this number were acknowledged by a sync.
    acked: u64,
    created: bool,
}

#[test]
fn acknowledged_frames_survive_any_crash_and_the_others_are_a_prefix() {
    let first = from_environment("BLOCKNET_SEED", 0x0b10_c4e7);
    for seed in first..first + from_environment("BLOCKNET_RUNS", 4000) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| Run::new(seed).run())) {
            eprintln!("failed with BLOCKNET_SEED={seed} BLOCKNET_RUNS=1");
            resume_unwind(panic);
        }
    }
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut rng = Rng(seed);
        let options = JournalOptions {
            segment_len_bytes_max: 8192 + rng.below(3) * 4096,
            preallocate_len_bytes: [0, 512, 1000, 6000][as_index(rng.below(4) + 1)],
        };
        let env = MemEnv::new(rng.next());
        Self {
            rng,
            options,
            env,
            commits: Vec::new(),
            acked: 0,
            created: false,
        }
    }

    fn run(&mut self) {
        let lives = 1 + self.rng.below(4);
        for _ in 0..lives {
            let nth = 1 + self.rng.below(250);
            self.cut_power_at(nth);
            if let Err(error) = self.live() {
                let kinds = [ErrorKind::Io, ErrorKind::Poisoned];
                assert!(kinds.contains(&error.kind()), "{error}");
            }
            self.die();
            self.recover_through_crashes();
        }
    }

    fn cut_power_at(&mut self, nth: u64) {
        let error = InjectedError::Io;
        self.env.inject(Injection {
            ops: &[],
            nth,
            lasting: true,
            error,
        });
    }

    /// What failed from some operation on was the power, or only the process.
    fn die(&mut self) {
        if self.rng.one_in(2) {
            self.env.heal();
        } else {
            self.crash();
        }
    }

    fn crash(&mut self) {
        self.env = self.env.crash(self.rng.next());
    }

    fn open(&mut self) -> Result<Journal, blocknet_wal::Error> {
        if !self.created {
            match create(&self.env, self.options) {
                // The attempt before got as far as a whole journal, only nobody was told.
                Err(error) if error.kind() == ErrorKind::Invalid => {}
                result => {
                    self.created = result.is_ok();
                    return result;
                }
            }
        }
        let env = Arc::new(self.env.clone());
        let (journal, report) = reopen(env, self.options, Some(self.acked))?;
        // What a journal holds after opening is durable.
        self.forget_after(report.last_seq);
        self.acked = report.last_seq;
        self.created = true;
        Ok(journal)
    }

    /// Works until the power goes, or for some steps.
    fn live(&mut self) -> Result<(), blocknet_wal::Error> {
        let mut journal = self.open()?;
        let len_max = [20, 300, 3000, 9000][as_index(self.rng.below(4) + 1)];
        for _ in 0..60 {
            match self.rng.below(20) {
                0 => {
                    journal.close()?;
                    self.acked = self.commits.len() as u64;
                    assert_eq!(*scan(&self.env)?.tail(), Tail::Clean);
                    journal = self.open()?;
                    assert_eq!(journal.last_seq(), self.acked);
                }
                1 => {
                    // The process dies, the operating system lives on.
                    drop(journal);
                    journal = self.open()?;
                    assert_eq!(journal.durable_seq(), self.commits.len() as u64);
                }
                2 => {
                    let from_seq = 1 + self.rng.below(self.commits.len() as u64 + 1);
                    for frame in journal.frames(from_seq)? {
                        let frame = frame?;
                        self.commits[as_index(frame.seq)].assert_is(&frame);
                    }
                }
                3..=7 => {
                    let durable = journal.sync()?;
                    assert_eq!(durable, self.commits.len() as u64);
                    self.acked = durable;
                }
                _ => {
                    self.commits.push(Commit::new(self.rng.next(), len_max));
                    let seq = self.commits.len() as u64;
                    self.commits[as_index(seq)].append_to(&journal, seq)?;
                }
            }
        }
        Ok(())
    }

    /// Recovers; most times another crash or two come first.
    fn recover_through_crashes(&mut self) {
        while !self.rng.one_in(3) {
            let nth = 1 + self.rng.below(40);
            self.cut_power_at(nth);
            match self.open() {
                Ok(journal) => assert!(journal.last_seq() >= self.acked),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Io, "{error}"),
            }
            self.die();
        }
        let last_before = self.commits.len() as u64;
        let witness = self.acked;
        let journal = self.open().unwrap_or_else(|error| panic!("{error}"));
        let last = journal.last_seq();
        assert!(
            witness <= last && last <= last_before,
            "{witness} {last} {last_before}"
        );
        self.forget_after(last);
        assert_frames(journal.frames(1), 1, &self.commits);
        // All of it is on disk: another crash right now takes nothing.
        drop(journal);
        let crashed = self.env.crash(self.rng.next());
        assert_eq!(scan(&crashed).expect("a sound journal").last_seq(), last);
    }

    /// The commits after this number were lost, as unacknowledged ones may be.
    fn forget_after(&mut self, last_seq: u64) {
        assert!(last_seq >= self.acked);
        self.commits.truncate(as_index(last_seq + 1));
    }
}

#[test]
fn a_recovered_journal_is_closed_and_opened_clean() {
    let env = MemEnv::new(3);
    let options = JournalOptions::default();
    let journal = create(&env, options).expect("no faults");
    let commit = Commit::new(1, 100);
    commit.append_to(&journal, 1).expect("no faults");
    drop(journal);
    let shared = Arc::new(env.clone());
    let (journal, report) = reopen(shared.clone(), options, None).expect("sound");
    assert!(!report.clean && report.last_seq == 1 && report.cut.is_none());
    assert_eq!(journal.durable_seq(), 1);
    journal.close().expect("no faults");
    // Opening and closing without a commit in between leaves no byte behind.
    let before = env.contents(&env.paths()[0]);
    for _ in 0..3 {
        let (journal, report) = reopen(shared.clone(), options, Some(1)).expect("sound");
        assert!(report.clean);
        journal.close().expect("no faults");
        assert_eq!(env.contents(&env.paths()[0]), before);
    }
    // While it is open, there is no mark; what is appended takes its place.
    let (journal, report) = reopen(shared.clone(), options, None).expect("sound");
    assert!(report.clean);
    assert_eq!(*scan(&env).expect("sound").tail(), Tail::Unclean);
    let info = &journal.segments()[0];
    assert_eq!(info.len_bytes, before.expect("there").len() as u64 - 80);
    let position = commit.append_to(&journal, 2).expect("no faults");
    assert_eq!(position.offset_bytes, info.len_bytes);
    journal.close().expect("no faults");
    let commits = [commit.clone(), commit];
    assert_frames(scan(&env).expect("sound").frames(1), 1, &commits);
}

#[test]
fn a_crash_after_the_mark_was_cut_costs_no_commit() {
    let options = JournalOptions::default();
    let (mut clean, mut unclean) = (0, 0);
    for seed in 0..100 {
        let env = MemEnv::new(seed);
        let journal = create(&env, options).expect("no faults");
        let commits: Vec<_> = (0..3)
            .map(|number| Commit::new(seed + number, 300))
            .collect();
        for (seq, commit) in (1..).zip(&commits) {
            commit.append_to(&journal, seq).expect("no faults");
        }
        journal.close().expect("no faults");
        // The cut, its sync, the sync of the directory.
        for nth in 1..=3 {
            let env = env.kill();
            env.inject(Injection {
                ops: &[EnvOp::SetLen, EnvOp::SyncAll, EnvOp::SyncDir],
                nth,
                lasting: true,
                error: InjectedError::Io,
            });
            let shared = Arc::new(env.clone());
            let error = reopen(shared, options, Some(3)).expect_err("it fails");
            assert_eq!(error.kind(), ErrorKind::Io);
            env.heal();
            for env in [env.crash(nth), env] {
                let (journal, report) = reopen(Arc::new(env), options, Some(3)).expect("sound");
                assert_eq!(report.cut, None);
                *(if report.clean {
                    &mut clean
                } else {
                    &mut unclean
                }) += 1;
                assert_frames(journal.frames(1), 1, &commits);
            }
        }
    }
    assert!(clean > 50 && unclean > 50, "{clean} {unclean}");
}

/// Releases before wrote on after the mark.
#[test]
fn a_mark_in_the_middle_is_stepped_over() {
    let options = JournalOptions::default();
    let body = |len: usize| Commit {
        body: vec![7; len],
        erasable: vec![],
        ..Commit::new(1, 0)
    };
    // Of one seed, so of one salt.
    let [closed, longer] = [0, 80].map(|more| {
        let env = MemEnv::new(8);
        let journal = create(&env, options).expect("no faults");
        body(16 + more).append_to(&journal, 1).expect("no faults");
        if more == 0 {
            journal.close().expect("no faults");
        } else {
            body(40).append_to(&journal, 2).expect("no faults");
        }
        env
    });
    let path = closed.paths()[0].clone();
    let [mut bytes, tail] = [&closed, &longer].map(|env| env.contents(&path).expect("there"));
    bytes.extend_from_slice(&tail[bytes.len()..]);
    closed.set_contents(&path, &bytes);
    let commits = [body(16), body(40)];
    let recovery = scan(&closed).expect("sound");
    assert_eq!(*recovery.tail(), Tail::Unclean);
    assert_frames(recovery.frames(1), 1, &commits);
    let (journal, report) = reopen(Arc::new(closed), options, Some(2)).expect("sound");
    assert!(!report.clean && report.cut.is_none());
    assert_frames(journal.frames(1), 1, &commits);
}

#[test]
fn who_reads_a_closed_journal_does_not_need_its_mark() {
    let env = MemEnv::new(3);
    let options = JournalOptions::default();
    let journal = create(&env, options).expect("no faults");
    let commit = Commit::new(1, 100);
    commit.append_to(&journal, 1).expect("no faults");
    journal.close().expect("no faults");
    let recovery = scan(&env).expect("sound");
    assert_eq!(*recovery.tail(), Tail::Clean);
    let commits = [commit.clone()];
    // The writer cuts the mark off, and then writes where it was.
    let (journal, _) = reopen(Arc::new(env.clone()), options, None).expect("sound");
    assert_frames(recovery.frames(1), 1, &commits);
    commit.append_to(&journal, 2).expect("no faults");
    assert_frames(recovery.frames(1), 1, &commits);
    // What was lost is still noticed.
    let path = env.paths()[0].clone();
    let bytes = env.contents(&path).expect("there");
    env.set_contents(&path, &bytes[..4096 + 90]);
    let mut frames = recovery.frames(1).expect("reads nothing");
    let error = frames
        .next()
        .expect("an error")
        .expect_err("a frame is gone");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}
