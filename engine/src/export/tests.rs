use super::*;
use crate::testing::{DIR, TestClock, builder, day};
use crate::{Assertion, Commit, Extent, LayerId};
use blocknet_geocode::NetSpec;
use blocknet_wal::MemEnv;
use std::sync::atomic::{AtomicBool, Ordering};

fn put(net: &Net) {
    let extent = Extent::flat(4.0, 52.0, 4.0001, 52.0001);
    let number = net.now_view().unwrap().newest_commit();
    let state = Assertion::state(LayerId::MAIN, number.to_string(), extent, "x");
    net.commit(&Commit::new("test", vec![state])).unwrap();
}

#[test]
fn a_checkpoint_is_handed_out_by_number_by_time_and_at_the_end() {
    let env = MemEnv::new(1);
    let clock = TestClock::at(day(0));
    let taken: Arc<Mutex<Vec<Checkpoint>>> = Arc::default();
    let refuses = Arc::new(AtomicBool::new(false));
    let every = Every {
        commits: 5,
        interval: Duration::from_mins(1),
    };
    let sink = {
        let (taken, refuses) = (Arc::clone(&taken), Arc::clone(&refuses));
        move |checkpoint: &Checkpoint| {
            if refuses.load(Ordering::Relaxed) {
                return Err("no room".into());
            }
            taken.lock().push(*checkpoint);
            Ok(())
        }
    };
    let net = builder(&env)
        .clock(clock.clone())
        .checkpoints(every, sink)
        .create(DIR, NetSpec::city())
        .unwrap();
    let sizes = || -> Vec<u64> {
        let taken = taken.lock();
        taken.iter().map(Checkpoint::size).collect()
    };
    for _ in 0..11 {
        put(&net);
    }
    assert_eq!(sizes(), [5, 10], "twelve commits");
    // The time counts from the last one.
    clock.set(day(1));
    put(&net);
    assert_eq!(sizes(), [5, 10, 13]);
    refuses.store(true, Ordering::Relaxed);
    for _ in 0..6 {
        put(&net);
    }
    assert_eq!(sizes(), [5, 10, 13]);
    refuses.store(false, Ordering::Relaxed);
    put(&net);
    assert_eq!(sizes(), [5, 10, 13, 20], "asked again");
    put(&net);
    let last = net.checkpoint().unwrap();
    net.close().unwrap();
    assert_eq!(sizes(), [5, 10, 13, 20, 21]);
    assert_eq!(taken.lock().last(), Some(&last));
}
