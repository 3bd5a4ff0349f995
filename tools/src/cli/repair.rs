//! `blocknet repair`.

use std::path::PathBuf;

use blocknet_engine::repair::{Repair, Step, StepKind};
use blocknet_engine::verify::Verification;
use serde::Serialize;

use super::error::{CliError, Result};
use super::io::{BAD, CHANGED, GOOD, Io};
use super::text::{counted, hex};
use super::verify::{FindingJson, Summary, Verdict, bar, on_progress};
use super::{CLEAN, INCOMPLETE, REPAIRED, store};

const AFTER_HELP: &str = "\
Without --apply it changes nothing and says what it would do. With it, segments of the journal are \
written anew from the tables, and tables from the journal, where the commit chain proves the copy; \
what is replaced is moved to the store's directory `quarantine`, and a commit says what was done. A \
second run finds nothing to do. What no copy proves is named, and never invented.

Make a copy of the store first: that a repair can be trusted is no reason to have only one.

Exit codes are bits that add up: 0 there was nothing to repair; 1 something was repaired; 4 damage is \
left, as after every dry run that found any; 8 not everything could be checked or done; 16 wrong \
arguments.";

/// Put back what one copy of the history has lost from the other
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// The store's directory
    dir: PathBuf,
    /// Do it, instead of only saying what would be done
    #[arg(long)]
    apply: bool,
    /// Author of the repair commit
    #[arg(long, default_value = "blocknet repair")]
    author: String,
}

/// The document of `--json`.
#[derive(Serialize)]
struct Document<'r> {
    schema: &'static str,
    store: Option<String>,
    applied: bool,
    result: &'static str,
    exit: u8,
    steps: Vec<StepJson<'r>>,
    lost: Vec<Commits>,
    lost_versions: Vec<String>,
    left: &'r [String],
    commit: Option<u64>,
    report: Option<&'r str>,
    findings: Vec<FindingJson<'r>>,
    findings_dropped: u64,
    before: Summary,
    /// What is still found after the repair.
    remaining: Vec<FindingJson<'r>>,
    after: Option<Summary>,
}

#[derive(Serialize)]
struct Commits {
    from: u64,
    to: u64,
}

#[derive(Serialize)]
struct StepJson<'r> {
    kind: &'static str,
    target: &'r str,
    commits: Commits,
    from_tables: u64,
    pieced: u64,
    lost: u64,
    why: &'r str,
    kept: Option<&'r str>,
    text: String,
}

impl<'r> From<&'r Step> for StepJson<'r> {
    fn from(step: &'r Step) -> Self {
        Self {
            kind: match step.kind {
                StepKind::Segment => "segment",
                StepKind::Tables => "tables",
                _ => "other",
            },
            target: &step.target,
            commits: Commits {
                from: step.commits.0,
                to: step.commits.1,
            },
            from_tables: step.from_tables,
            pieced: step.pieced,
            lost: step.lost,
            why: &step.why,
            kept: step.kept.as_deref(),
            text: step.to_string(),
        }
    }
}

/// Exit code and what it is called.
fn verdict(repair: &Repair, applied: bool) -> (u8, &'static str) {
    let before = Verdict::of(&repair.before);
    let now = repair.after.as_ref().map_or(before, Verdict::of);
    let repaired = if applied && !repair.steps.is_empty() {
        REPAIRED
    } else {
        CLEAN
    };
    let exit = repaired | now.exit();
    let name = match (repaired == REPAIRED, now.exit() == CLEAN) {
        (false, true) => "clean",
        (true, true) => "repaired",
        (true, false) => "partly repaired",
        (false, false) => "damaged",
    };
    (exit, name)
}

pub(crate) fn run(args: &Args, io: &mut Io<'_>) -> Result<u8> {
    let bar = bar(io, "verifying");
    let result = store::builder().repair(&args.dir, args.apply, &args.author, &on_progress(&bar));
    bar.finish_and_clear();
    let repair = match result {
        Ok(repair) => repair,
        Err(error) => {
            io.flush()?;
            io.error(&CliError::Engine(error));
            return Ok(INCOMPLETE);
        }
    };
    let (exit, name) = verdict(&repair, args.apply);
    if io.is_json() {
        io.object(&report(args, &repair, exit, name))?;
    } else {
        print(args, &repair, exit, name, io)?;
    }
    Ok(exit)
}

fn report<'r>(args: &Args, repair: &'r Repair, exit: u8, name: &'static str) -> Document<'r> {
    let findings = |verification: &'r Verification| {
        verification
            .findings
            .iter()
            .map(FindingJson::from)
            .collect()
    };
    Document {
        schema: "blocknet.repair/1",
        store: repair.before.net.as_ref().map(|net| hex(net)),
        applied: args.apply,
        result: name,
        exit,
        steps: repair.steps.iter().map(Into::into).collect(),
        lost: repair
            .lost
            .iter()
            .map(|(from, to)| Commits {
                from: *from,
                to: *to,
            })
            .collect(),
        lost_versions: repair
            .lost_versions
            .iter()
            .map(ToString::to_string)
            .collect(),
        left: &repair.left,
        commit: repair.commit,
        report: repair.report.as_deref(),
        findings: findings(&repair.before),
        findings_dropped: repair.before.findings_dropped,
        before: Summary::of(&repair.before),
        remaining: repair.after.as_ref().map(findings).unwrap_or_default(),
        after: repair.after.as_ref().map(Summary::of),
    }
}

fn print(args: &Args, repair: &Repair, exit: u8, name: &str, io: &mut Io<'_>) -> Result<()> {
    for finding in repair.before.errors() {
        let label = io.paint(BAD.bold(), "error:");
        io.line(format_args!("{label} {finding}"))?;
    }
    for step in &repair.steps {
        let label = if args.apply { "done:" } else { "would do:" };
        let label = io.paint(CHANGED.bold(), label);
        io.line(format_args!("{label} {step}"))?;
    }
    for (first, last) in &repair.lost {
        let label = io.paint(BAD.bold(), "lost:");
        let what = if first == last {
            format!("commit {first}")
        } else {
            format!("commits {first} to {last}")
        };
        io.line(format_args!("{label} {what}: neither copy can be proven"))?;
    }
    for version in &repair.lost_versions {
        let label = io.paint(BAD.bold(), "lost:");
        io.line(format_args!("{label} version {version}, in both copies"))?;
    }
    for left in &repair.left {
        let label = io.paint(BAD.bold(), "not done:");
        io.line(format_args!("{label} {left}"))?;
    }
    if let Some(commit) = repair.commit {
        io.line(format_args!("commit {commit} says what was replaced"))?;
    }
    if let Some(report) = &repair.report {
        io.line(format_args!("all findings and steps: {report}"))?;
    }
    if let Some(after) = &repair.after {
        for finding in after.errors() {
            let label = io.paint(BAD.bold(), "still:");
            io.line(format_args!("{label} {finding}"))?;
        }
    }
    for skipped in &repair.after.as_ref().unwrap_or(&repair.before).skipped {
        let label = io.paint(CHANGED.bold(), "not checked:");
        io.line(format_args!("{label} {skipped}"))?;
    }
    let style = if exit & !REPAIRED == CLEAN { GOOD } else { BAD };
    let mut text = name.to_owned();
    if !args.apply && !repair.steps.is_empty() {
        text = format!(
            "{text}: {} would be done; nothing was changed, run it with --apply",
            counted(repair.steps.len() as u64, "step", "steps")
        );
    }
    let text = io.paint(style.bold(), text);
    io.line(format_args!("result: {text}"))
}
