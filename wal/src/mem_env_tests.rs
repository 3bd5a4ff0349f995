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

#[test]
fn a_failed_sync_loses_bytes_that_a_second_sync_does_not_bring_back() {
    let mut lost = 0;
    for seed in 0..50 {
        let (env, file) = with_file(seed);
        env.sync_dir(Path::new("d")).expect("no faults");
        file.write_at(&[5; 512], 0).expect("no faults");
        let (ops, error) = (EnvOp::SYNCS, InjectedError::Io);
        env.inject(Injection {
            ops,
            nth: 1,
            lasting: false,
            error,
        });
        assert!(file.sync_data().is_err());
        assert!(file.sync_data().is_ok());
        assert_eq!(env.contents(Path::new(FILE)), Some(vec![5; 512]));
        lost += u32::from(after_crash(&env, seed) != Some(vec![5; 512]));
        file.write_at(&[5; 512], 0).expect("no faults");
        assert!(file.sync_data().is_ok());
        assert_eq!(after_crash(&env, seed), Some(vec![5; 512]), "written again");
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
