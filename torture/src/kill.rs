//! A fault at every call: the writer's whole life (making a net, commits, closing, opening, commits,
//! closing) is run again and again, and each time one more of its file operations is hit.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use crate::check::{Depth, Expect, Found, check};
use crate::child::{Ended, start, words};
use crate::shim::{Action, Shim};
use crate::story::Rng;
use crate::system::{copy_dir, fresh_dir, remove};
use crate::{Failure, Result, Setting, Violations};

/// How much of it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What is done at a call.
    pub actions: Vec<Action>,
    /// Commits of one life.
    pub commits: u64,
    /// Every so manieth call, from a random first one; 1 for all.
    pub stride: u64,
    /// After every so manieth kill the opening that follows is killed too; 0 for never.
    pub nested: u64,
    /// At so many of its calls, spread evenly; 0 for all.
    pub nested_calls: u64,
    /// This call only.
    pub at: Option<u64>,
}

/// What was done and found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Lives by action.
    pub lives: BTreeMap<&'static str, u64>,
    /// Calls of an undisturbed life, by action.
    pub totals: BTreeMap<&'static str, u64>,
    /// Faults by call and kind of file.
    pub fired: BTreeMap<String, u64>,
    /// Openings killed.
    pub nested: u64,
    /// Openings with a failed read.
    pub reads: u64,
    /// Openings that replayed commits.
    pub replayed: u64,
    /// Torn tails cut.
    pub cuts: u64,
    /// Tables rebuilt.
    pub rebuilt: u64,
    /// Lives that were cut off before the net was there.
    pub free: u64,
    /// Lives that were cut off within the first commit.
    pub unfinished: u64,
    /// Commits that were not acknowledged and are there.
    pub survived: u64,
    /// Broken promises.
    pub violations: usize,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (action, lives) in &self.lives {
            let total = self.totals.get(action).copied().unwrap_or(0);
            writeln!(
                f,
                "  {action}: {lives} lives, {total} such calls in a whole one"
            )?;
        }
        for (call, count) in &self.fired {
            writeln!(f, "    {count:6} at {call}")?;
        }
        write!(
            f,
            "  openings killed {}, with a failed read {}; replayed {}, tails cut {}, tables rebuilt {}; not there yet {}, \
             unfinished {}; unacknowledged commits found {}; violations {}",
            self.nested,
            self.reads,
            self.replayed,
            self.cuts,
            self.rebuilt,
            self.free,
            self.unfinished,
            self.survived,
            self.violations
        )
    }
}

/// Runs the plan.
///
/// # Errors
/// Violations, at the end; whatever stops the torture, at once.
pub fn run(setting: &Setting, plan: &Plan) -> Result<Report> {
    let work = tempfile::tempdir_in(&setting.work)
        .map_err(|error| Failure::setup(setting.work.display(), error))?;
    let shim = Shim::compile(work.path())?;
    let mut torture = Torture {
        setting,
        plan,
        shim,
        root: work.path(),
        report: Report::default(),
        violations: Violations::default(),
    };
    for action in &plan.actions {
        torture.action(*action)?;
    }
    torture.violations.finish()?;
    Ok(torture.report)
}

struct Torture<'a> {
    setting: &'a Setting,
    plan: &'a Plan,
    shim: Shim,
    root: &'a Path,
    report: Report,
    violations: Violations,
}

/// The kind of file, without numbers.
fn kind_of(path: &str) -> String {
    let path = Path::new(path);
    let name = path.file_name().map(|name| name.to_string_lossy());
    let name = name.unwrap_or_default();
    let parent = path.parent().and_then(Path::file_name);
    let parent = parent.map_or(String::new(), |parent| format!("{}/", parent.display()));
    let stem = name.split(['-', '.']).next().unwrap_or_default();
    let digits = !stem.is_empty() && stem.bytes().all(|byte| byte.is_ascii_digit());
    match (digits, path.extension()) {
        (true, Some(end)) => format!("{parent}*.{}", end.display()),
        _ if stem == name => format!("{parent}{name}"),
        _ => format!("{parent}{stem}*"),
    }
}

impl Torture<'_> {
    fn action(&mut self, action: Action) -> Result<()> {
        let seed = self.setting.seed;
        let first = 1 + Rng::of(seed, action.mask().into()).below(self.plan.stride);
        let mut at = self.plan.at.unwrap_or(first);
        loop {
            let step = self.life(action, at).map_err(|failure| {
                failure.at(format!(
                    "kill --seed {seed} --commits {} --action {} --at {at}",
                    self.plan.commits,
                    action.name()
                ))
            });
            let fired = self.violations.take(step)?.unwrap_or(true);
            self.report.violations = self.violations.count();
            if !fired || self.plan.at.is_some() {
                break;
            }
            at += self.plan.stride.max(1);
            let lives = self.report.lives.values().sum::<u64>();
            if lives > 0 && lives.is_multiple_of(250) {
                let violations = self.violations.count();
                eprintln!(
                    "{lives} lives, {violations} violations, now {} at {at}",
                    action.name()
                );
            }
        }
        if action == Action::ReadError && self.plan.at.is_none() {
            let reads = self.reads();
            let context = format!("kill --seed {seed} --commits {} --action read-error", {
                self.plan.commits
            });
            self.violations
                .take(reads.map_err(|failure| failure.at(context)))?;
        }
        Ok(())
    }

    /// Fails the reads of openings of a store that was not closed, one after the other: for writing
    /// and for reading. No error is taken for an end, and no answer is wrong.
    fn reads(&mut self) -> Result<()> {
        let (store, copy) = (self.root.join("store"), self.root.join("copy"));
        fresh_dir(&store)?;
        let killed = 8 * self.plan.commits;
        let ended = self.writer(&store, Action::KillBefore, killed)?;
        ended.judge()?;
        let expect = Expect {
            seed: self.setting.seed,
            created: ended.heard.created,
            acked: ended.heard.acked,
            tried: ended.heard.tried,
        };
        for mode in ["read", "open"] {
            let mut call = 1;
            loop {
                remove(&copy)?;
                copy_dir(&store, &copy)?;
                let ended = self.opener(&copy, mode, Action::ReadError, call)?;
                let found = check(&copy, &expect, Depth::Full)
                    .map_err(|failure| failure.at(format!("{mode} with read {call} failing")))?;
                self.note(&found, &expect);
                if ended.heard.fired.is_none() {
                    break;
                }
                self.report.reads += 1;
                call += self.plan.stride.max(1);
            }
        }
        remove(&copy)
    }

    fn writer(&self, store: &Path, action: Action, at: u64) -> Result<Ended> {
        let mut args = words(
            store,
            self.setting.seed,
            &[("--commits", self.plan.commits), ("--sessions", 2)],
        );
        // Group commit is part of it where an acknowledgement need not come after the fault.
        if action.kills() && at.is_multiple_of(4) {
            args.extend(["--threads".into(), "3".into()]);
        }
        let env = self.shim.env(store, action, at);
        start(&[], &self.setting.exe, &args, &env, self.setting.seed)?.wait()
    }

    /// One life with a fault at call `at`; whether there was such a call.
    fn life(&mut self, action: Action, at: u64) -> Result<bool> {
        let store = self.root.join("store");
        fresh_dir(&store)?;
        let ended = self.writer(&store, action, at)?;
        ended.judge()?;
        let heard = &ended.heard;
        if heard.fired.is_none() {
            if !heard.failed.is_empty() || !heard.closed {
                let failures = heard.failures();
                return Err(Failure::violation(format!(
                    "without a fault it failed: {failures}"
                )));
            }
            self.report
                .totals
                .insert(action.name(), heard.total.unwrap_or(0));
        }
        *self.report.lives.entry(action.name()).or_default() += 1;
        if let Some(fired) = &heard.fired {
            let what = format!("{} {}", fired.call, kind_of(&fired.path));
            *self.report.fired.entry(what.clone()).or_default() += 1;
            let name = Path::new(&fired.path);
            let journal = name.ends_with("journal")
                || name.extension().is_some_and(|extension| extension == "wal");
            if action == Action::SyncError && journal && heard.acked_after > 0 {
                return Err(Failure::violation(format!(
                    "{} acknowledgements after a failed {what}",
                    heard.acked_after
                )));
            }
        }
        let expect = Expect {
            seed: self.setting.seed,
            created: heard.created,
            acked: heard.acked,
            tried: heard.tried,
        };
        let nested = self.plan.nested > 0 && at.is_multiple_of(self.plan.nested);
        if nested && ended.killed() {
            self.nested(&store, &expect, at)?;
        }
        let depth = if at.is_multiple_of(2) {
            Depth::Full
        } else {
            Depth::ReadFirst
        };
        let found = check(&store, &expect, depth)?;
        self.note(&found, &expect);
        Ok(heard.fired.is_some())
    }

    fn note(&mut self, found: &Found, expect: &Expect) {
        self.report.replayed += u64::from(found.replayed > 0);
        self.report.cuts += u64::from(found.cut);
        self.report.rebuilt += u64::from(found.rebuilt);
        self.report.free += u64::from(found.free);
        self.report.unfinished += u64::from(found.unfinished);
        self.report.survived += found.present.saturating_sub(expect.acked);
    }

    fn opener(&self, store: &Path, mode: &str, action: Action, at: u64) -> Result<Ended> {
        let mut args = words(store, self.setting.seed, &[]);
        args.extend(["--mode".into(), mode.into()]);
        let env = self.shim.env(store, action, at);
        let ended = start(&[], &self.setting.exe, &args, &env, self.setting.seed)?.wait()?;
        ended.judge()?;
        Ok(ended)
    }

    /// Kills the opening of a store at its calls, each time a copy of it, and opens what is left.
    fn nested(&mut self, store: &Path, expect: &Expect, at: u64) -> Result<()> {
        let copy = self.root.join("copy");
        remove(&copy)?;
        copy_dir(store, &copy)?;
        let total = self
            .opener(&copy, "open", Action::KillBefore, 0)?
            .heard
            .total
            .unwrap_or(0);
        let calls = self.plan.nested_calls;
        let stride = total.checked_div(calls).map_or(1, |apart| apart + 1);
        let actions = [Action::KillBefore, Action::Tear, Action::SyncError];
        let first = 1 + Rng::of(self.setting.seed, at).below(stride);
        let mut call = first;
        while call <= total {
            let action = actions[usize::try_from(call % 3).unwrap_or(0)];
            remove(&copy)?;
            copy_dir(store, &copy)?;
            let ended = self.opener(&copy, "open", action, call)?;
            self.report.nested += u64::from(ended.heard.fired.is_some());
            let mut expect = *expect;
            // The opening makes the net where there was none.
            expect.created |= ended.heard.created;
            let found = check(&copy, &expect, Depth::Full).map_err(|failure| {
                failure.at(format!("and the opening: {} at {call}", action.name()))
            })?;
            self.note(&found, &expect);
            call += stride;
        }
        remove(&copy)
    }
}
