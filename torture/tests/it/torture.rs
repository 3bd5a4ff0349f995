//! See `make torture` for the sizes that count.

use blocknet_torture::shim::Action;
use blocknet_torture::{faults, kill, power, sigkill};

use crate::support::{setting, told};

#[test]
fn whatever_call_fails_or_is_the_last_acknowledged_commits_stay() {
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
    let report = told("sigkill", sigkill::run(&setting(), 25)).expect("nothing is needed for it");
    assert!(report.kills >= 25 && report.commits > 0);
}

#[test]
fn a_power_cut_may_lose_whatever_was_not_flushed() {
    let plan = power::Plan {
        recordings: 1,
        images: 8,
        commits: 45,
    };
    told("power", power::run(&setting(), &plan));
}

#[test]
fn a_failing_machine_costs_no_acknowledged_commit() {
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
