//! A running writer killed at random moments, the same store continued each time.

use std::fmt;
use std::time::Duration;

use crate::check::{Depth, Expect, check_with};
use crate::child::{start, words};
use crate::story::{Model, Rng};
use crate::system::fresh_dir;
use crate::{Failure, Result, Setting, Violations};

/// What was done and found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Writers killed.
    pub kills: u64,
    /// Writers that had ended by then.
    pub ended: u64,
    /// Stores.
    pub stores: u64,
    /// Commits in them at the end.
    pub commits: u64,
    /// Commits found that were not acknowledged.
    pub survived: u64,
    /// Openings that replayed commits.
    pub replayed: u64,
    /// Torn tails cut.
    pub cuts: u64,
    /// Tables rebuilt.
    pub rebuilt: u64,
    /// Kills before the net was there.
    pub free: u64,
    /// Kills within its first commit.
    pub unfinished: u64,
    /// Broken promises.
    pub violations: usize,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "  {} kills, {} writers that had ended, {} stores, {} commits; openings that replayed \
             {}, tails cut {}, tables rebuilt {}; not there yet {}, unfinished {}; unacknowledged \
             commits found {}; violations {}",
            self.kills,
            self.ended,
            self.stores,
            self.commits,
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

/// A store with more commits than this is left for a new one: checks grow with it.
const COMMITS_MAX: u64 = 3_000;

/// Kills so many writers.
///
/// # Errors
/// Violations, at the end; whatever stops the torture, at once.
pub fn run(setting: &Setting, kills: u64) -> Result<Report> {
    let work = tempfile::tempdir_in(&setting.work)
        .map_err(|error| Failure::setup(setting.work.display(), error))?;
    let store = work.path().join("store");
    let mut report = Report::default();
    let mut violations = Violations::default();
    while report.kills < kills {
        report.stores += 1;
        let seed = setting.seed.wrapping_add(report.stores - 1);
        fresh_dir(&store)?;
        let mut rng = Rng::of(seed, 0);
        let mut model = Model::new(seed);
        let mut expect = Expect {
            seed,
            ..Expect::default()
        };
        while report.kills < kills && expect.acked < COMMITS_MAX {
            let round = (|| {
                let mut args = words(
                    &store,
                    seed,
                    &[
                        ("--commits", 20 + rng.below(400)),
                        ("--sessions", 1 + rng.below(3)),
                        ("--threads", 1 + rng.below(4)),
                    ],
                );
                if rng.below(8) == 0 {
                    args.extend(["--mode".into(), "open".into()]);
                }
                let longest = if rng.below(3) == 0 { 20_000 } else { 400_000 };
                let after = Duration::from_micros(rng.below(longest));
                let ended = start(&[], &setting.exe, &args, &[], seed)?.kill_after(after)?;
                ended.judge()?;
                let heard = &ended.heard;
                if !heard.failed.is_empty() {
                    return Err(Failure::violation(heard.failures()));
                }
                if ended.killed() {
                    report.kills += 1;
                } else {
                    report.ended += 1;
                }
                report.cuts += heard.cuts;
                report.rebuilt += heard.rebuilt;
                expect.created |= heard.created;
                expect.acked = expect.acked.max(heard.acked);
                expect.tried = expect.tried.max(heard.tried);
                // Now and then the next writer has to recover by itself.
                if rng.below(3) == 0 && expect.created {
                    return Ok(());
                }
                let depth = if rng.below(4) == 0 {
                    Depth::ReadFirst
                } else {
                    Depth::Full
                };
                let found = check_with(&store, &expect, depth, &mut model)?;
                report.survived += found.present.saturating_sub(expect.acked);
                report.replayed += u64::from(found.replayed > 0);
                report.cuts += u64::from(found.cut);
                report.rebuilt += u64::from(found.rebuilt);
                report.free += u64::from(found.free);
                report.unfinished += u64::from(found.unfinished);
                expect.acked = found.present;
                expect.tried = found.present;
                expect.created = true;
                if found.unfinished {
                    fresh_dir(&store)?;
                    expect.created = false;
                }
                Ok(())
            })();
            let kill = report.kills + report.ended;
            if kill.is_multiple_of(100) {
                eprintln!(
                    "{} writers killed, {} violations",
                    report.kills,
                    violations.count()
                );
            }
            let round = round.map_err(|failure: Failure| {
                let first = setting.seed;
                failure.at(format!(
                    "sigkill --seed {first} --kills {kills}: store of seed {seed}, writer {kill}"
                ))
            });
            if violations.take(round)?.is_none() {
                report.violations = violations.count();
                break;
            }
        }
        report.commits += expect.acked;
    }
    violations.finish()?;
    Ok(report)
}
