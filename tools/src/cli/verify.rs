//! `blocknet verify`.

use std::path::PathBuf;

use blocknet_engine::ErrorKind;
use blocknet_engine::verify::{Code, Depth, Finding, Progress, Severity, Standing, Verification};
use blocknet_geocode::{Cell, NetSpec};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::against::{Against, AgainstArgs, AgainstJson, freshness, freshness_text, split};
use super::error::{CliError, Result};
use super::io::{BAD, CHANGED, DIM, GOOD, Io};
use super::select::AreaArg;
use super::text::{Table, counted, grouped, hex, length};
use super::{CLEAN, DAMAGED, INCOMPLETE, NOT_REMEMBERED, store};

/// What the text and the help say of what nothing inside a store can show.
const FRESHNESS: &str = "unanchored. Nothing here can show that the whole store was not replaced \
                         by an older or a rewritten one: compare the newest commit with a \
                         checkpoint kept elsewhere.";

const AFTER_HELP: &str = "\
Reads journal and tables, recomputes every hash and compares the two copies. Changes no byte, and \
works on a store that cannot be opened. Nobody may have it open for writing meanwhile.

Nothing in a store can show that the whole of it was not replaced by an older or a rewritten one: hold \
it --against a checkpoint kept elsewhere (see `checkpoint`), or another copy. A checkpoint tells that a \
history is another, and after which earlier checkpoint; a copy names the first other commit and block.

Exit codes are bits that add up: 0 everything was checked and nothing is wrong; 4 there is damage; \
8 not everything could be checked (a file that cannot be read, a store that is locked, --quick, --area), \
which proves nothing about the rest; 16 wrong arguments; 64 the store is not the one remembered: rolled \
back, truncated, forked, or another.";

/// Check that every stored byte is as it was written
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// The store's directory
    dir: PathBuf,
    /// Check only what opening looks at: the structure of the journal, and that the tables hold
    /// its newest commit. Exit code at least 8, since the rest is not checked
    #[arg(long)]
    quick: bool,
    /// Check everything (default)
    #[arg(long, conflicts_with = "quick")]
    full: bool,
    /// Of the tables check only what is filed in blocks that this area can reach, and the journal.
    /// A box in degrees, or a GeoJSON file with polygons. Exit code at least 8, since the rest is not
    /// checked
    #[arg(
        long,
        value_name = "W,S,E,N | FILE",
        allow_hyphen_values = true,
        conflicts_with_all = ["quick", "full", "against"]
    )]
    area: Option<AreaArg>,
    #[command(flatten)]
    against: AgainstArgs,
}

/// The document of `--json`.
#[derive(Serialize)]
struct Report<'v> {
    schema: &'static str,
    store: Option<String>,
    mode: &'static str,
    result: &'static str,
    exit: u8,
    complete: bool,
    /// Why nothing was checked at all.
    error: Option<String>,
    freshness: FreshnessJson,
    against: Vec<AgainstJson>,
    checked: Checked,
    asserted_commits: u64,
    erased_versions: u64,
    skipped: &'v [String],
    findings: Vec<FindingJson<'v>>,
    findings_dropped: u64,
    summary: Summary,
}

#[derive(Serialize)]
struct FreshnessJson {
    state: &'static str,
    anchor_size: Option<u64>,
    head_seq: Option<u64>,
    head_hash: Option<String>,
    frames_since_anchor: Option<u64>,
}

#[derive(Serialize)]
struct Checked {
    segments: u64,
    frames: u64,
    bytes: u64,
    kv: u64,
    versions: u64,
    block_versions: u64,
    genes: u64,
}

#[derive(Clone, Copy, Serialize)]
pub(super) struct Summary {
    errors: u64,
    repairable: u64,
    unrepairable: u64,
    torn_tail: bool,
}

#[derive(Serialize)]
pub(super) struct FindingJson<'v> {
    code: &'static str,
    severity: &'static str,
    copy: &'static str,
    file: Option<&'v str>,
    offset: Option<u64>,
    len: Option<u64>,
    seq: Option<u64>,
    version: Option<String>,
    block: Option<String>,
    entity: Option<EntityJson<'v>>,
    table: Option<&'static str>,
    key: Option<String>,
    expected: Option<&'v str>,
    actual: Option<&'v str>,
    repairable: bool,
    source: Option<&'static str>,
    text: String,
}

#[derive(Serialize)]
struct EntityJson<'v> {
    /// Number of the layer.
    layer: u16,
    id: &'v str,
}

impl<'v> From<&'v Finding> for FindingJson<'v> {
    fn from(finding: &'v Finding) -> Self {
        let entity = finding.entity.as_ref();
        Self {
            code: finding.code.name(),
            severity: finding.severity.name(),
            copy: finding.side.name(),
            file: finding.file.as_deref(),
            offset: finding.offset_bytes,
            len: finding.len_bytes,
            seq: finding.commit,
            version: finding.version.map(|version| version.to_string()),
            block: finding.block.map(|block| block.to_string()),
            entity: entity.map(|(layer, id)| EntityJson {
                layer: layer.number(),
                id,
            }),
            table: finding.table,
            key: finding.key.as_deref().map(hex),
            expected: finding.expected.as_deref(),
            actual: finding.found.as_deref(),
            repairable: finding.remedy.name().is_some(),
            source: finding.remedy.name(),
            text: finding.to_string(),
        }
    }
}

/// What a verification comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    damaged: bool,
    complete: bool,
    /// Whether it is not the store that is remembered elsewhere.
    other: bool,
}

impl Verdict {
    pub(super) fn of(verification: &Verification) -> Self {
        let mut errors = verification.errors();
        let failed = verification
            .findings
            .iter()
            .any(|finding| finding.code == Code::Io);
        let damaged = errors.any(|finding| finding.code != Code::Io);
        // What was not kept may be anything.
        let unknown = verification.findings_dropped > 0 && !damaged;
        let uncompared = |standing: &Standing| matches!(standing, Standing::Unknown(_));
        let standings = &verification.standings;
        let compared = !standings.iter().any(uncompared);
        Self {
            damaged,
            complete: verification.skipped.is_empty() && !failed && !unknown && compared,
            other: standings.iter().any(|standing| {
                !matches!(standing, Standing::Covered { .. } | Standing::Unknown(_))
            }),
        }
    }

    pub(super) fn exit(self) -> u8 {
        let damaged = if self.damaged { DAMAGED } else { CLEAN };
        let incomplete = if self.complete { CLEAN } else { INCOMPLETE };
        let other = if self.other { NOT_REMEMBERED } else { CLEAN };
        damaged | incomplete | other
    }

    fn name(self) -> &'static str {
        match (self.damaged, self.complete) {
            (true, _) => "damaged",
            (false, _) if self.other => "not remembered",
            (false, true) => "clean",
            (false, false) => "incomplete",
        }
    }
}

impl Summary {
    pub(super) fn of(verification: &Verification) -> Self {
        let errors = verification.errors().count() as u64;
        let repairable = verification
            .errors()
            .filter(|finding| finding.remedy.name().is_some())
            .count() as u64;
        Self {
            errors,
            repairable,
            unrepairable: errors - repairable,
            torn_tail: verification.torn_tail,
        }
    }
}

impl Args {
    fn depth(&self) -> Depth {
        if self.quick {
            Depth::Quick
        } else {
            Depth::Full
        }
    }

    fn mode(&self) -> &'static str {
        match &self.area {
            Some(_) => "area",
            None if self.quick => "quick",
            None => "full",
        }
    }
}

pub(crate) fn run(args: &Args, io: &mut Io<'_>) -> Result<u8> {
    let against = args.against.load()?;
    let area = args.area.as_ref();
    let area = area.map(|area| area.load("--area")).transpose()?;
    let (anchors, copies) = split(&against);
    let bar = bar(io, "verifying");
    let (builder, on_progress) = (store::builder(), on_progress(&bar));
    let result = match &area {
        Some(area) => {
            let may_hold =
                |spec: &NetSpec, cell: &Cell, level: u8| area.may_hold(spec, cell, level);
            builder.verify_area(&args.dir, &may_hold, &on_progress)
        }
        None => builder.verify_against(&args.dir, args.depth(), &anchors, &copies, &on_progress),
    };
    bar.finish_and_clear();
    match result {
        Ok(verification) => {
            let verdict = Verdict::of(&verification);
            if io.is_json() {
                io.object(&report(args, &against, &verification, verdict, None))?;
            } else {
                print(args, &against, &verification, verdict, io)?;
            }
            Ok(verdict.exit())
        }
        Err(error) => {
            let verdict = Verdict {
                damaged: false,
                complete: false,
                other: false,
            };
            if io.is_json() {
                let mut nothing = Verification::default();
                nothing.skipped.push(match error.kind() {
                    ErrorKind::Locked => "everything: the store is locked".to_owned(),
                    _ => "everything".to_owned(),
                });
                let error = Some(error.to_string());
                io.object(&report(args, &against, &nothing, verdict, error))?;
            }
            io.flush()?;
            io.error(&CliError::Engine(error));
            Ok(verdict.exit())
        }
    }
}

/// Moves the bar on.
pub(super) fn on_progress(bar: &ProgressBar) -> impl Fn(Progress) + Sync + '_ {
    |progress| {
        bar.set_length(progress.bytes_expected);
        bar.set_position(progress.bytes);
    }
}

/// Shown where a person watches; standard output is not touched by it.
pub(super) fn bar(io: &Io<'_>, doing: &str) -> ProgressBar {
    if !io.is_watched() {
        return ProgressBar::hidden();
    }
    let template =
        format!("{doing} {{bar:40}} {{percent:>3}} %  {{binary_bytes_per_sec}}  {{eta}} left");
    let style =
        ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(1).with_style(style)
}

fn report<'v>(
    args: &Args,
    against: &[Against],
    verification: &'v Verification,
    verdict: Verdict,
    error: Option<String>,
) -> Report<'v> {
    let (seq, hash) = verification.head;
    let head = (seq > 0).then_some(seq);
    let fresh = freshness(&verification.standings);
    Report {
        schema: "blocknet.verify/1",
        store: verification.net.as_ref().map(|net| hex(net)),
        mode: args.mode(),
        result: verdict.name(),
        exit: verdict.exit(),
        complete: verdict.complete,
        error,
        freshness: FreshnessJson {
            state: fresh.state,
            anchor_size: fresh.covered,
            head_seq: head,
            head_hash: head.map(|_| hash.to_string()),
            frames_since_anchor: fresh.covered.map(|covered| seq.saturating_sub(covered)),
        },
        against: args.against.json(against, &verification.standings),
        checked: Checked {
            segments: verification.segments,
            frames: verification.commits,
            bytes: verification.bytes,
            kv: verification.rows,
            versions: verification.versions,
            block_versions: verification.block_versions,
            genes: verification.genes,
        },
        asserted_commits: verification.asserted,
        erased_versions: verification.erased,
        skipped: &verification.skipped,
        findings: verification.findings.iter().map(Into::into).collect(),
        findings_dropped: verification.findings_dropped,
        summary: Summary::of(verification),
    }
}

fn print(
    args: &Args,
    against: &[Against],
    verification: &Verification,
    verdict: Verdict,
    io: &mut Io<'_>,
) -> Result<()> {
    let (errors, others): (Vec<_>, Vec<_>) = verification
        .findings
        .iter()
        .partition(|finding| finding.severity == Severity::Error);
    for finding in errors {
        let label = io.paint(BAD.bold(), "error:");
        io.line(format_args!("{label} {finding}"))?;
    }
    for finding in others {
        let label = io.paint(DIM, "info:");
        io.line(format_args!("{label} {finding}"))?;
    }
    if verification.findings_dropped > 0 {
        let more = counted(
            verification.findings_dropped,
            "finding more",
            "findings more",
        );
        io.line(more)?;
    }
    for skipped in &verification.skipped {
        let label = io.paint(CHANGED.bold(), "not checked:");
        io.line(format_args!("{label} {skipped}"))?;
    }
    if !verification.findings.is_empty() || !verification.skipped.is_empty() {
        io.line("")?;
    }
    let mut table = Table::default().right(&[1]);
    let mut row = |what: &str, number: u64| table.plain([what.to_owned(), grouped(number)]);
    row("segments", verification.segments);
    if !args.quick {
        row("commits", verification.commits);
        row("versions", verification.versions);
        row("block versions", verification.block_versions);
        row("genes", verification.genes);
        row("rows of the tables", verification.rows);
        table.plain(["bytes".to_owned(), length(verification.bytes)]);
    }
    table.print(io, "")?;
    if verification.asserted > 0 {
        io.line(format_args!(
            "{} with a recorded time that the writer asserted; it is not the clock's",
            counted(verification.asserted, "commit", "commits")
        ))?;
    }
    if verification.erased > 0 {
        io.line(format_args!(
            "{} erased by law",
            counted(verification.erased, "payload", "payloads")
        ))?;
    }
    io.line("")?;
    if let Some(net) = &verification.net {
        io.line(format_args!("store: {}", hex(net)))?;
    }
    let (seq, hash) = verification.head;
    if seq > 0 {
        io.line(format_args!("newest commit: {seq}, hash {hash}"))?;
    }
    args.against.print(against, &verification.standings, io)?;
    let fresh = freshness(&verification.standings);
    let fresh = freshness_text(&fresh, seq, FRESHNESS);
    io.line(format_args!("freshness: {fresh}"))?;
    let Summary {
        errors,
        repairable,
        unrepairable,
        ..
    } = Summary::of(verification);
    let (style, text) = match (verdict.damaged, verdict.complete) {
        (false, _) if verdict.other => {
            let text = "not remembered: this is not the history that is remembered elsewhere";
            (BAD.bold(), text.to_owned())
        }
        (false, true) => (
            GOOD.bold(),
            "clean: everything was checked, and fits".to_owned(),
        ),
        (false, false) => {
            let text = "incomplete: nothing wrong was found in what was checked".to_owned();
            (CHANGED.bold(), text)
        }
        (true, complete) => {
            let rest = if complete {
                ""
            } else {
                "; not everything was checked"
            };
            let text = format!(
                "damaged: {}, {} can be had back, {} cannot{rest}",
                counted(errors, "error", "errors"),
                grouped(repairable),
                grouped(unrepairable),
            );
            (BAD.bold(), text)
        }
    };
    let text = io.paint(style, text);
    io.line(format_args!("result: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_complete_and_clean_is_zero() {
        for (damaged, complete, exit, name) in [
            (false, true, 0, "clean"),
            (true, true, 4, "damaged"),
            (false, false, 8, "incomplete"),
            (true, false, 12, "damaged"),
        ] {
            let mut verdict = Verdict {
                damaged,
                complete,
                other: false,
            };
            assert_eq!((verdict.exit(), verdict.name()), (exit, name));
            verdict.other = true;
            assert_eq!(verdict.exit(), exit | NOT_REMEMBERED);
        }
    }

    #[test]
    fn what_was_not_kept_or_could_not_be_read_is_not_complete() {
        let mut verification = Verification::default();
        assert_eq!(Verdict::of(&verification).exit(), CLEAN);
        verification.findings_dropped = 1;
        assert_eq!(Verdict::of(&verification).exit(), INCOMPLETE);
        let mut verification = Verification::default();
        verification.skipped.push("table history".to_owned());
        assert_eq!(Verdict::of(&verification).exit(), INCOMPLETE);
    }
}
