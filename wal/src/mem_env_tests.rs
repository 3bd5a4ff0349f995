//! The simulated disk keeps what it promises, and loses what it may.

use super::*;

const FILE: &str = "d/f";

fn with_file(seed: u64) -> (MemEnv, Arc<dyn EnvFile>) {
    let env = MemEnv::new(seed);
    env.create_dir(Path::new("d")).expect("no faults");
    env.sync_dir(Path::new("")).expect("no faults");
    let file = env.create_new(Path::new(FILE)).expect("no faults");
    (env, file)
}

fn after_crash(env: &MemEnv, seed: u64) -> Option<Vec<u8>> {
    env.crash(seed).contents(Path::new(FILE))
}

#[test]
fn synced_bytes_and_names_survive_every_crash() {
    let (env, file) = with_file(1);
    file.write_at(&[7; 1000], 0).expect("no faults");
    file.sync_data().expect("no faults");
    env.sync_dir(Path::new("d")).expect("no faults");
    for seed in 0..100 {
        assert_eq!(after_crash(&env, seed), Some(vec![7; 1000]));
    }
}

#[test]
fn unsynced_names_and_bytes_can_be_lost_kept_and_torn() {
    let (env, file) = with_file(1);
    assert!((0..50).any(|seed| after_crash(&env, seed).is_none()));
    assert!((0..50).any(|seed| after_crash(&env, seed).is_some()));
    env.sync_dir(Path::new("d")).expect("no faults");
    file.allocate(4096).expect("no faults");
    file.sync_data().expect("no faults");
    file.write_at(&[9; 2048], 0).expect("no faults");
    let images: Vec<_> = (0..400)
        .filter_map(|seed| after_crash(&env, seed))
        .collect();
    let kept = |image: &[u8]| {
        image
            .iter()
            .map(|byte| usize::from(*byte == 9))
            .sum::<usize>()
    };
    assert!(images.iter().all(|image| image.len() == 4096));
    assert!(images.iter().any(|image| kept(image) == 0));
    assert!(images.iter().any(|image| kept(image) == 2048));
    assert!(
        images.iter().any(|image| kept(image) % 512 != 0),
        "torn inside a sector"
    );
    assert!(
        images.iter().any(|image| image[0] == 0 && image[1024] == 9),
        "out of order"
    );
}

/// The next sync fails, and the one after it succeeds, which proves nothing.
fn fail_sync(env: &MemEnv, file: &Arc<dyn EnvFile>) {
    let (ops, error) = (EnvOp::SYNCS, InjectedError::Io);
    env.inject(Injection {
        ops,
        nth: 1,
        lasting: false,
        error,
    });
    assert!(file.sync_data().is_err());
    assert!(file.sync_data().is_ok());
}

#[test]
fn a_failed_sync_loses_bytes_that_a_second_sync_does_not_bring_back() {
    let mut lost = 0;
    for seed in 0..50 {
        let (env, file) = with_file(seed);
        file.write_at(&[4; 512], 0).expect("no faults");
        file.sync_data().expect("no faults");
        env.sync_dir(Path::new("d")).expect("no faults");
        file.write_at(&[5; 512], 0).expect("no faults");
        fail_sync(&env, &file);
        assert_eq!(env.contents(Path::new(FILE)), Some(vec![5; 512]));
        lost += u32::from(after_crash(&env, seed) != Some(vec![5; 512]));
        // These sectors had been written before the sync failed, and so can be written again.
        file.write_at(&[5; 512], 0).expect("no faults");
        assert!(file.sync_data().is_ok());
        assert_eq!(after_crash(&env, seed), Some(vec![5; 512]), "written again");
    }
    assert!(lost > 5, "{lost}");
}

/// What was measured on ext4: DESIGN.md "Torn or corrupt".
#[test]
fn new_sectors_that_a_failed_sync_missed_take_no_bytes_in_place() {
    let (mut missed, mut spread) = (0, 0);
    for allocated in [false, true] {
        for seed in 0..100 {
            let (env, file) = with_file(seed);
            file.write_at(&[4; 600], 0).expect("no faults");
            if allocated {
                file.allocate(4096).expect("no faults");
            }
            file.sync_data().expect("no faults");
            env.sync_dir(Path::new("d")).expect("no faults");
            file.write_at(&[5; 1000], 600).expect("no faults");
            fail_sync(&env, &file);
            // The same bytes again, and more after them in the last of their sectors.
            file.write_at(&[5; 1000], 600).expect("no faults");
            file.write_at(&[6; 448], 1600).expect("no faults");
            file.sync_all().expect("so it says");
            let wanted = [vec![4; 600], vec![5; 1000], vec![6; 448]].concat();
            for env in [&env, &env.kill()] {
                let live = env.contents(Path::new(FILE)).expect("there");
                assert_eq!(live[..2048], wanted, "as programs see it");
            }
            let disk = after_crash(&env, seed).expect("durable");
            assert_eq!(
                disk[..1024],
                wanted[..1024],
                "the second sector was not new"
            );
            assert!(disk[2048..].iter().all(|byte| *byte == 0));
            missed += u32::from(disk[..2048] != wanted);
            spread += u32::from(disk[1600..2048].iter().all(|byte| *byte == 0));
        }
    }
    assert!(missed > 50 && spread > 20, "{missed} {spread}");
}

#[test]
fn a_cut_a_copy_or_a_power_cut_gives_sectors_that_take_bytes() {
    let wanted = Some(vec![5; 1000]);
    for seed in 0..50 {
        let (env, file) = with_file(seed);
        file.allocate(4096).expect("no faults");
        file.sync_data().expect("no faults");
        env.sync_dir(Path::new("d")).expect("no faults");
        file.write_at(&[5; 1000], 0).expect("no faults");
        fail_sync(&env, &file);
        let copied = env.kill();

        let crashed = env.crash(seed);
        let again = crashed.open(Path::new(FILE), Access::ReadWrite);
        let again = again.expect("there");
        again.write_at(&[5; 1000], 0).expect("no faults");
        again.set_len(1000).expect("no faults");
        again.sync_all().expect("no faults");
        assert_eq!(after_crash(&crashed, seed), wanted, "after a power cut");

        file.set_len(0).expect("no faults");
        file.write_at(&[5; 1000], 0).expect("no faults");
        file.sync_all().expect("no faults");
        assert_eq!(after_crash(&env, seed), wanted, "cut before them");

        let tmp = Path::new("d/f.tmp");
        let copy = copied.create_new(tmp).expect("no faults");
        copy.write_at(&[5; 1000], 0).expect("no faults");
        copy.sync_all().expect("no faults");
        copied.replace(tmp, Path::new(FILE)).expect("no faults");
        copied.sync_dir(Path::new("d")).expect("no faults");
        assert_eq!(after_crash(&copied, seed), wanted, "copied");
    }
}

#[test]
fn a_cut_inside_a_sector_that_was_missed_does_not_free_it() {
    let mut lost = 0;
    for seed in 0..50 {
        let (env, file) = with_file(seed);
        env.sync_dir(Path::new("d")).expect("no faults");
        file.write_at(&[5; 512], 0).expect("no faults");
        fail_sync(&env, &file);
        file.set_len(8).expect("no faults");
        file.write_at(&[5; 512], 0).expect("no faults");
        file.sync_all().expect("so it says");
        lost += u32::from(after_crash(&env, seed) != Some(vec![5; 512]));
    }
    assert!(lost > 5, "{lost}");
}

#[test]
fn a_shorter_length_is_durable_only_after_a_full_sync() {
    let (env, file) = with_file(1);
    env.sync_dir(Path::new("d")).expect("no faults");
    file.write_at(&[5; 512], 0).expect("no faults");
    file.sync_data().expect("no faults");
    file.set_len(100).expect("no faults");
    file.sync_data().expect("no faults");
    let lens: Vec<_> = (0..50).filter_map(|seed| after_crash(&env, seed)).collect();
    assert!(lens.iter().any(|image| image.len() == 100));
    assert!(lens.iter().any(|image| image.len() == 512));
    file.sync_all().expect("no faults");
    assert!((0..50).all(|seed| after_crash(&env, seed).is_some_and(|image| image.len() == 100)));
}

#[test]
fn the_nth_operation_fails_once_or_for_good() {
    let (env, file) = with_file(1);
    let before = env.count(&[EnvOp::Write]);
    let ops = &[EnvOp::Write];
    env.inject(Injection {
        ops,
        nth: 2,
        lasting: false,
        error: InjectedError::NoSpace,
    });
    let results = [0, 1, 2].map(|_| file.write_at(&[1], 0).map_err(|error| error.kind()));
    assert_eq!(results, [Ok(()), Err(io::ErrorKind::StorageFull), Ok(())]);
    env.inject(Injection {
        ops: &[],
        nth: 1,
        lasting: true,
        error: InjectedError::Io,
    });
    assert!(file.write_at(&[1], 0).is_err() && file.len_bytes().is_err());
    env.heal();
    assert!(file.len_bytes().is_ok());
    assert_eq!(env.count(&[EnvOp::Write]), before + 4);
}

#[test]
fn only_unfinished_files_are_removed() {
    let (env, _file) = with_file(1);
    let refused = env
        .remove_tmp(Path::new(FILE))
        .map_err(|error| error.kind());
    assert_eq!(refused, Err(io::ErrorKind::InvalidInput));
    assert_eq!(env.paths(), [Path::new(FILE)]);
}

#[test]
fn a_replaced_file_is_the_old_or_the_new_one_after_every_crash() {
    let (env, file) = with_file(1);
    let new = env.create_new(Path::new("d/f.tmp")).expect("no faults");
    for (file, byte) in [(&file, 1), (&new, 2)] {
        file.write_at(&[byte; 600], 0).expect("no faults");
        file.sync_data().expect("no faults");
    }
    env.sync_dir(Path::new("d")).expect("no faults");
    let tmp = Path::new("d/f.tmp");
    env.replace(tmp, Path::new(FILE)).expect("no faults");
    assert_eq!(env.paths(), [Path::new(FILE)]);
    let images: Vec<_> = (0..50).map(|seed| after_crash(&env, seed)).collect();
    let count = |byte| {
        let wanted = Some(vec![byte; 600]);
        images.iter().filter(|image| **image == wanted).count()
    };
    assert_eq!(count(1) + count(2), 50, "never neither");
    assert!(count(1) > 5 && count(2) > 5);
    env.sync_dir(Path::new("d")).expect("no faults");
    assert!((0..50).all(|seed| after_crash(&env, seed) == Some(vec![2; 600])));

    let error = |from, to| {
        let result = env.replace(Path::new(from), Path::new(to));
        result.map_err(|error| error.kind())
    };
    assert_eq!(error("d/absent", FILE), Err(io::ErrorKind::NotFound));
    assert_eq!(error(FILE, "d"), Err(io::ErrorKind::IsADirectory));
    assert_eq!(error(FILE, "f"), Err(io::ErrorKind::CrossesDevices));
    assert_eq!(error(FILE, "d/free"), Ok(()));
}

/// A file of four sectors of sevens, durable, and a second file beside it.
fn with_two_files(seed: u64) -> (MemEnv, Arc<dyn EnvFile>) {
    let (env, file) = with_file(seed);
    let other = env.create_new(Path::new("d/g")).expect("no faults");
    for file in [&file, &other] {
        file.write_at(&[7; 2048], 0).expect("no faults");
        file.sync_data().expect("no faults");
    }
    env.sync_dir(Path::new("d")).expect("no faults");
    (env, file)
}

const ALWAYS: u32 = 1_000_000;

#[test]
fn operations_fail_by_chance_at_their_rate_and_the_same_for_the_same_seed() {
    let results = |seed| {
        let (env, file) = with_two_files(1);
        let errors = vec![(EnvOp::Read, InjectedError::Io, 250_000)];
        let rates = FaultRates {
            errors,
            ..FaultRates::default()
        };
        env.set_fault_rates(rates, seed);
        let reads: Vec<bool> = (0..1000)
            .map(|_| file.read_at(&mut [0; 8], 0).is_ok())
            .collect();
        assert!(file.len_bytes().is_ok(), "other operations do not fail");
        let failed = reads.iter().filter(|ok| !**ok).count() as u64;
        assert_eq!(env.faults().errors.get(&EnvOp::Read), Some(&failed));
        assert!((150..350).contains(&failed), "{failed}");
        env.heal();
        assert!(file.read_at(&mut [0; 8], 0).is_ok());
        reads
    };
    assert_eq!(results(3), results(3));
    assert_ne!(results(3), results(4));
}

#[test]
fn a_phantom_write_is_nowhere_and_a_lost_one_only_where_programs_look() {
    for lost in [false, true] {
        let (env, file) = with_two_files(1);
        let rate = |wanted| if wanted { ALWAYS } else { 0 };
        env.set_fault_rates(
            FaultRates {
                phantom_writes: rate(!lost),
                lost_writes: rate(lost),
                ..FaultRates::default()
            },
            1,
        );
        file.write_at(&[9; 512], 512).expect("so it says");
        env.heal();
        file.sync_all().expect("so it says");
        let live = env.contents(Path::new(FILE)).expect("there");
        assert_eq!(live[512] == 9, lost);
        assert_eq!(env.kill().contents(Path::new(FILE)), Some(live));
        for seed in 0..20 {
            assert_eq!(after_crash(&env, seed), Some(vec![7; 2048]));
        }
        assert_eq!(env.faults().lies(), 1);
    }
}

#[test]
fn a_misdirected_write_damages_other_sectors() {
    let (mut elsewhere, mut hidden) = (0, 0);
    for seed in 0..50 {
        let (env, file) = with_two_files(1);
        env.set_fault_rates(
            FaultRates {
                misdirected_writes: ALWAYS,
                ..FaultRates::default()
            },
            seed,
        );
        file.write_at(&[9; 512], 512).expect("so it says");
        env.heal();
        let other = env.open(Path::new("d/g"), Access::ReadWrite);
        for file in [file, other.expect("there")] {
            file.sync_all().expect("no faults");
        }
        let live = env.contents(Path::new(FILE)).expect("there");
        let crashed = env.crash(seed);
        let images = [FILE, "d/g"].map(|path| crashed.contents(Path::new(path)).expect("there"));
        let bytes = images.concat();
        let nines: usize = bytes.iter().map(|byte| usize::from(*byte == 9)).sum();
        assert_eq!(nines, 512, "they are somewhere, once");
        elsewhere += u32::from(images[0][512] != 9);
        hidden += u32::from(live[512] == 9 && images[0][512] != 9);
        assert_eq!(env.faults().misdirected_writes, 1);
    }
    assert!(elsewhere > 25 && hidden > 5, "{elsewhere} {hidden}");
}

#[test]
fn a_lost_sync_is_made_up_for_by_the_next() {
    let (env, file) = with_two_files(1);
    env.set_fault_rates(
        FaultRates {
            lost_syncs: ALWAYS,
            ..FaultRates::default()
        },
        1,
    );
    file.write_at(&[9; 2048], 0).expect("no faults");
    file.sync_data().expect("so it says");
    env.heal();
    let old = |seed| after_crash(&env, seed) != Some(vec![9; 2048]);
    assert!((0..20).any(old));
    file.sync_data().expect("no faults");
    assert!(!(0..20).any(old));
}

#[test]
fn a_dead_process_loses_nothing_and_writes_nothing_more() {
    let (env, file) = with_two_files(1);
    file.write_at(&[9; 512], 0).expect("no faults");
    let left = env.kill();
    file.write_at(&[8; 512], 0).expect("no faults");
    file.sync_data().expect("no faults");
    let bytes = left.contents(Path::new(FILE)).expect("there");
    assert_eq!((bytes[0], bytes[512]), (9, 7));
    // It was not synced, and so a power cut can still take it.
    assert!((0..50).any(|seed| after_crash(&left, seed) == Some(vec![7; 2048])));
    assert!((0..50).any(|seed| after_crash(&left, seed).is_some_and(|bytes| bytes[0] == 9)));
}

#[test]
fn power_cuts_are_counted_with_what_they_did() {
    let mut sum = FaultCounts::default();
    for seed in 0..200 {
        let (env, file) = with_two_files(1);
        for sector in 0..4 {
            file.write_at(&[9; 512], sector * 512).expect("no faults");
        }
        let before = env.faults();
        env.create_new(Path::new("d/h")).expect("no faults");
        let faults = env.crash(seed).faults();
        assert_eq!(faults.crashes, before.crashes + 1);
        assert_eq!(
            faults.sectors_kept + faults.sectors_lost + faults.sectors_torn,
            4
        );
        sum += &faults;
    }
    assert_eq!(sum.crashes, 200);
    assert!(sum.sectors_kept > 100 && sum.sectors_lost > 100, "{sum:?}");
    assert!(sum.sectors_torn > 10 && sum.files_reordered > 10, "{sum:?}");
    assert!(sum.names_lost > 10, "{sum:?}");
}
