//! See `make torture` for the sizes that count.

use blocknet_torture::shim::Action;
use blocknet_torture::{backup, faults, kill, power, sigkill};

use crate::support::{setting, told};

/// One test at a time: a process that another thread starts holds this one's lock files open between
/// its fork and its exec, so that a store just closed here would still be locked.
fn alone() -> std::sync::MutexGuard<'static, ()> {
    static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    ALONE
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[test]
fn whatever_call_fails_or_is_the_last_acknowledged_commits_stay() {
    let _alone = alone();
    let plan = kill::Plan {
        actions: Action::ALL.to_vec(),
        commits: 30,
        stride: 53,
        nested: 3,
        nested_calls: 4,
        at: None,
    };
    let Some(report) = told("kill", kill::run(&setting(), &plan)) else {
        return;
    };
    // Every action met its calls, and an undisturbed life counted them.
    assert_eq!(report.lives.len(), Action::ALL.len());
    assert_eq!(report.totals.len(), Action::ALL.len());
    assert!(report.replayed > 0 && report.nested > 0 && report.reads > 0);
}

#[test]
fn a_writer_may_be_killed_at_any_moment() {
    let _alone = alone();
    let report = told("sigkill", sigkill::run(&setting(), 25)).expect("nothing is needed for it");
    assert!(report.kills >= 25 && report.commits > 0);
}

#[test]
fn a_power_cut_may_lose_whatever_was_not_flushed() {
    let _alone = alone();
    let plan = power::Plan {
        recordings: 1,
        images: 8,
        commits: 45,
    };
    told("power", power::run(&setting(), &plan));
}

#[test]
fn a_failing_machine_costs_no_acknowledged_commit() {
    let _alone = alone();
    for (fault, count) in [
        (faults::Fault::FullDisk, 8),
        (faults::Fault::FileSize, 6),
        (faults::Fault::ReadOnly, 2),
        (faults::Fault::Starters, 2),
        (faults::Fault::Clock, 3),
        (faults::Fault::AddressSpace, 6),
    ] {
        told(fault.name(), faults::run(&setting(), fault, count));
    }
}

#[test]
fn a_backup_or_restore_that_is_hit_leaves_the_source_and_is_made_again() {
    let _alone = alone();
    let plan = backup::Plan {
        kills: 12,
        stride: 0,
        actions: Vec::new(),
    };
    let report = told("backup", backup::run(&setting(), &plan)).expect("nothing is needed for it");
    assert!(report.kills.values().sum::<u64>() >= 12 && report.completed > 0);
    let plan = backup::Plan {
        kills: 0,
        stride: 499,
        actions: vec![
            Action::KillBefore,
            Action::SyncError,
            Action::NoSpaceLasting,
        ],
    };
    told("backup", backup::run(&setting(), &plan));
    let read_only = backup::read_only(&setting());
    told("read-only", read_only.map(|()| "no violation"));
}
