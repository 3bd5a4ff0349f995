//! One operation after the other fails, once or for good, in a fixed workload.

use std::sync::Arc;

use blocknet_wal::{EnvOp, Error, ErrorKind, InjectedError, Injection, Journal, MemEnv, Tail};

use crate::model::{Commit, assert_frames, create, reopen, scan, small_segments};

const COMMITS: u64 = 24;

fn commit(seq: u64) -> Commit {
    Commit::new(seq, 900)
}

fn commits(count: u64) -> Vec<Commit> {
    (1..=count).map(commit).collect()
}

/// Appends until `COMMITS` are there, syncing every other one; says how far it got.
fn work(journal: &Journal, acked: &mut u64) -> Result<(), Error> {
    while journal.last_seq() < COMMITS {
        let seq = journal.last_seq() + 1;
        commit(seq).append_to(journal, seq)?;
        if seq.is_multiple_of(2) {
            *acked = journal.sync()?;
        }
    }
    Ok(())
}

/// How often the workload asks for these operations, creating and closing left out.
fn count(ops: &'static [EnvOp]) -> u64 {
    let env = MemEnv::new(1);
    let journal = create(&env, small_segments()).expect("no faults");
    let before = env.count(ops);
    work(&journal, &mut 0).expect("no faults");
    assert!(journal.segments().len() > 2);
    env.count(ops) - before
}

fn assert_poisoned(journal: &Journal) {
    let seq = journal.last_seq() + 1;
    let durable = journal.durable_seq();
    assert!(journal.is_poisoned());
    for _ in 0..2 {
        let append = commit(seq).append_to(journal, seq).expect_err("poisoned");
        let sync = journal.sync().expect_err("poisoned");
        assert_eq!(
            (append.kind(), sync.kind()),
            (ErrorKind::Poisoned, ErrorKind::Poisoned)
        );
        assert!(sync.to_string().contains("open it again"), "{sync}");
    }
    assert_eq!(journal.durable_seq(), durable);
}

#[test]
fn a_failed_sync_poisons_at_every_site_and_reopening_tells_the_truth() {
    for nth in 1..=count(EnvOp::SYNCS) {
        for seed in 0..10 {
            let env = MemEnv::new(seed);
            let journal = create(&env, small_segments()).expect("no faults");
            let (ops, error) = (EnvOp::SYNCS, InjectedError::Io);
            env.inject(Injection {
                ops,
                nth,
                lasting: false,
                error,
            });
            let mut acked = 0;
            let error = work(&journal, &mut acked).expect_err("the sync fails");
            assert_eq!(error.kind(), ErrorKind::Poisoned);
            assert!(error.io_error().is_some());
            let syncs = env.count(EnvOp::SYNCS);
            assert_poisoned(&journal);
            assert_eq!(env.count(EnvOp::SYNCS), syncs, "a sync is never retried");
            // Reading goes on.
            let last = journal.last_seq();
            assert_frames(journal.frames(1), 1, &commits(last));
            let closed = journal.close().expect_err("poisoned");
            assert_eq!(closed.kind(), ErrorKind::Poisoned);

            // The machine stays up: the cache shows more than the disk has. What a journal
            // serves after opening is on disk all the same.
            let (journal, report) =
                reopen(Arc::new(env.clone()), small_segments(), Some(acked)).expect("sound");
            assert_eq!(report.last_seq, last);
            drop(journal);
            let after = scan(&env.crash(seed)).expect("sound");
            assert_frames(after.frames(1), 1, &commits(last));

            // And a power cut instead of the reopening loses nothing acknowledged.
            let (journal, _) =
                reopen(Arc::new(env.crash(seed)), small_segments(), Some(acked)).expect("sound");
            assert_frames(journal.frames(1), 1, &commits(journal.last_seq()));
        }
    }
}

fn fail(env: &MemEnv, ops: &'static [EnvOp], nth: u64, error: InjectedError) {
    env.inject(Injection {
        ops,
        nth,
        lasting: false,
        error,
    });
}

/// In the same boot the cache shows the mark, and the disk has, in part or in whole, zeros in its
/// place that take no bytes any more. Nothing that is acknowledged later may lie there.
#[test]
fn what_follows_a_mark_whose_sync_failed_is_durable() {
    for seed in 0..300 {
        let env = MemEnv::new(seed);
        let journal = create(&env, small_segments()).expect("no faults");
        // So that the mark ends anywhere in a sector.
        let first = Commit::new(seed, 600);
        first.append_to(&journal, 1).expect("no faults");
        fail(&env, &[EnvOp::SyncAll], 1, InjectedError::Io);
        let error = journal.close().expect_err("the sync of the mark fails");
        assert_eq!(error.kind(), ErrorKind::Poisoned);
        assert_eq!(*scan(&env).expect("sound").tail(), Tail::Clean);
        let mut commits = vec![first];
        for _ in 0..2 {
            let shared = Arc::new(env.clone());
            let last = commits.len() as u64;
            let (journal, report) = reopen(shared, small_segments(), Some(last)).expect("sound");
            assert!(report.clean && report.last_seq == last);
            commits.push(commit(seed));
            let last = commits.len() as u64;
            commits[commits.len() - 1]
                .append_to(&journal, last)
                .expect("no faults");
            assert_eq!(journal.sync().expect("no faults"), last);
            let crashed = scan(&env.crash(seed)).expect("sound");
            assert_frames(crashed.frames(1), 1, &commits);
            journal.close().expect("no faults");
            let crashed = scan(&env.crash(seed)).expect("sound");
            assert_eq!(*crashed.tail(), Tail::Clean);
        }
    }
}

#[test]
fn a_disk_without_room_for_the_copy_is_an_error_that_leaves_the_journal_as_it_was() {
    let env = MemEnv::new(1);
    let journal = create(&env, small_segments()).expect("no faults");
    let mut acked = 0;
    work(&journal, &mut acked).expect("no faults");
    drop(journal);
    let image = |env: &MemEnv| {
        let paths = env.paths();
        let bytes: Vec<_> = paths.iter().map(|path| env.contents(path)).collect();
        (paths, bytes)
    };
    let before = image(&env);
    for ops in [&[EnvOp::CreateNew][..], &[EnvOp::Write], &[EnvOp::Replace]] {
        fail(&env, ops, 1, InjectedError::NoSpace);
        let shared = Arc::new(env.clone());
        let error = reopen(shared, small_segments(), Some(acked)).expect_err("full");
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(image(&env) == before, "{ops:?}");
    }
    let (journal, _) = reopen(Arc::new(env), small_segments(), Some(acked)).expect("sound");
    assert_frames(journal.frames(1), 1, &commits(COMMITS));
}

/// What only the cache had can be gone by the time it is copied.
#[test]
fn bytes_that_vanish_between_scan_and_copy_are_noticed() {
    let env = MemEnv::new(1);
    let journal = create(&env, small_segments()).expect("no faults");
    for seq in 1..=2 {
        commit(seq).append_to(&journal, seq).expect("no faults");
    }
    let info = journal.segments()[0].clone();
    let second = journal.frames(2).expect("sound").next().expect("there");
    let second = second.expect("sound").position;
    drop(journal);
    let bytes = env.contents(&info.path).expect("there");
    let at = |place: u64| usize::try_from(place).expect("small");
    for gone in [
        at(second.offset_bytes)..at(info.len_bytes),
        at(info.len_bytes) - 100..at(info.len_bytes),
        at(second.offset_bytes)..at(second.offset_bytes) + 8,
        0..8,
    ] {
        env.set_contents(&info.path, &bytes);
        let recovery = scan(&env).expect("sound");
        assert_eq!(recovery.last_seq(), 2);
        let mut changed = bytes.clone();
        changed[gone].fill(0);
        env.set_contents(&info.path, &changed);
        let opened = recovery.into_journal(small_segments(), None, "quarantine".as_ref());
        let error = opened.expect_err("not what was scanned");
        assert_eq!(error.kind(), ErrorKind::Io, "{error}");
        assert!(error.to_string().contains("changed while"), "{error}");
        assert_eq!(env.contents(&info.path), Some(changed));
        assert_eq!(env.paths(), std::slice::from_ref(&info.path));
    }
}

#[test]
fn a_failed_change_is_taken_back_and_can_be_repeated_at_every_site() {
    for nth in 1..=count(EnvOp::CHANGES) {
        for error in [InjectedError::Io, InjectedError::NoSpace] {
            let env = MemEnv::new(nth);
            let journal = create(&env, small_segments()).expect("no faults");
            let ops = EnvOp::CHANGES;
            env.inject(Injection {
                ops,
                nth,
                lasting: false,
                error,
            });
            let mut acked = 0;
            match work(&journal, &mut acked) {
                // Allocating ahead may fail: the frame itself had room.
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Io => {
                    // What failed does not come back to life.
                    let last = journal.last_seq();
                    for seed in 0..4 {
                        let env = Arc::new(env.crash(seed));
                        let (crashed, _) =
                            reopen(env, small_segments(), Some(acked)).expect("sound");
                        assert!(crashed.last_seq() <= last);
                        let commits = commits(crashed.last_seq());
                        assert_frames(crashed.frames(1), 1, &commits);
                    }
                    work(&journal, &mut acked).expect("mended");
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Poisoned, "{error}");
                    assert_poisoned(&journal);
                    let (journal, _) = reopen(Arc::new(env.clone()), small_segments(), Some(acked))
                        .expect("sound");
                    work(&journal, &mut acked).expect("mended");
                    journal.close().expect("no faults");
                    assert_closed_and_whole(&env);
                    continue;
                }
            }
            journal.close().expect("no faults");
            assert_closed_and_whole(&env);
        }
    }
}

fn assert_closed_and_whole(env: &MemEnv) {
    let recovery = scan(&env.crash(1)).expect("sound");
    assert_eq!(*recovery.tail(), Tail::Clean);
    assert_frames(recovery.frames(1), 1, &commits(COMMITS));
    let unfinished = env
        .paths()
        .iter()
        .any(|path| path.extension() == Some("tmp".as_ref()));
    assert!(!unfinished, "{:?}", env.paths());
}

#[test]
fn a_write_that_cannot_be_taken_back_poisons() {
    for nth in 1..=count(&[EnvOp::Write]) {
        let env = MemEnv::new(nth);
        let journal = create(&env, small_segments()).expect("no faults");
        let ops = &[EnvOp::Write, EnvOp::SetLen, EnvOp::RemoveTmp];
        env.inject(Injection {
            ops,
            nth,
            lasting: true,
            error: InjectedError::Io,
        });
        let mut acked = 0;
        if work(&journal, &mut acked).is_err_and(|error| error.kind() == ErrorKind::Poisoned) {
            assert_poisoned(&journal);
        }
        env.heal();
        let (journal, _) = reopen(Arc::new(env), small_segments(), Some(acked)).expect("sound");
        assert!(journal.last_seq() >= acked);
        assert_frames(journal.frames(1), 1, &commits(journal.last_seq()));
    }
}

#[test]
fn a_disk_that_stays_full_loses_nothing_and_goes_on_once_there_is_room() {
    let ops = &[EnvOp::Write, EnvOp::Allocate, EnvOp::CreateNew];
    for nth in 1..=count(ops) {
        let env = MemEnv::new(nth);
        let journal = create(&env, small_segments()).expect("no faults");
        let error = InjectedError::NoSpace;
        env.inject(Injection {
            ops,
            nth,
            lasting: true,
            error,
        });
        let mut acked = 0;
        for _ in 0..3 {
            let error = work(&journal, &mut acked).expect_err("full");
            assert_eq!(error.kind(), ErrorKind::Io, "{error}");
            assert!(!journal.is_poisoned());
            assert_frames(journal.frames(1), 1, &commits(journal.last_seq()));
        }
        env.heal();
        work(&journal, &mut acked).expect("room again");
        journal.close().expect("no faults");
        assert_closed_and_whole(&env);
    }
}

#[test]
fn a_failed_read_is_neither_damage_nor_the_end() {
    let env = MemEnv::new(1);
    let journal = create(&env, small_segments()).expect("no faults");
    work(&journal, &mut 0).expect("no faults");
    drop(journal);
    let reads: &[EnvOp] = &[EnvOp::List, EnvOp::Open, EnvOp::Len, EnvOp::Read];
    let image: Vec<_> = env.paths().iter().map(|path| env.contents(path)).collect();
    let before = env.count(reads);
    let recovery = scan(&env).expect("sound");
    assert_frames(recovery.frames(1), 1, &commits(COMMITS));
    for nth in 1..=env.count(reads) - before {
        let ops = &[EnvOp::List, EnvOp::Open, EnvOp::Len, EnvOp::Read];
        env.inject(Injection {
            ops,
            nth,
            lasting: false,
            error: InjectedError::Io,
        });
        let error = match scan(&env) {
            Err(error) => error,
            Ok(recovery) => {
                let mut frames = recovery.frames(1).expect("reads nothing");
                let error = frames.find_map(Result::err).expect("the read fails");
                assert!(frames.next().is_none(), "ends after the first error");
                error
            }
        };
        assert_eq!(error.kind(), ErrorKind::Io, "{error}");
        assert!(error.path().is_some());
    }
    let after: Vec<_> = env.paths().iter().map(|path| env.contents(path)).collect();
    assert!(image == after, "reading changes nothing");
}

#[test]
fn a_fault_while_recovering_leaves_a_journal_that_recovers() {
    let env = MemEnv::new(1);
    let journal = create(&env, small_segments()).expect("no faults");
    let mut acked = 0;
    work(&journal, &mut acked).expect("no faults");
    commit(COMMITS + 1)
        .append_to(&journal, COMMITS + 1)
        .expect("no faults");
    drop(journal);
    // A torn frame at the end, so that recovery has everything to do.
    let path = env.paths().pop().expect("there");
    let mut bytes = env.contents(&path).expect("there");
    let last = bytes
        .iter()
        .rposition(|byte| *byte != 0)
        .expect("not empty");
    bytes[last] ^= 0x55;
    for nth in 1..1000 {
        env.set_contents(&path, &bytes);
        env.inject(Injection {
            ops: &[],
            nth,
            lasting: false,
            error: InjectedError::Io,
        });
        let first = reopen(Arc::new(env.clone()), small_segments(), Some(acked));
        let was_hit = first.is_err();
        if let Err(error) = first {
            assert_eq!(error.kind(), ErrorKind::Io, "{error}");
        }
        env.heal();
        let crashed = env.crash(nth);
        for env in [env.clone(), crashed] {
            let (journal, _) = reopen(Arc::new(env), small_segments(), Some(acked)).expect("sound");
            assert_frames(journal.frames(1), 1, &commits(COMMITS));
        }
        if !was_hit {
            assert!(nth > 10);
            break;
        }
    }
}
