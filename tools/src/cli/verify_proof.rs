//! `blocknet verify-proof`.

use std::path::PathBuf;

use blocknet_proof::{Commit, History, Keys, Payload, Report, Shown, ShownVersion, Signer, verify};
use serde::Serialize;

use super::error::{CliError, Result};
use super::evidence::{CheckpointJson, SignerJson, cosigned, moment, public_keys, read};
use super::io::{BAD, GOOD, HEADING, Io};
use super::text::{counted, grouped, hex};
use super::{DONE, FOUND};

const AFTER_HELP: &str = "\
Needs no store. The keys must come on another way than the proof: whoever can choose them can make \
proofs of anything. At least one --key must have signed, every --witness must have cosigned, and \
a signature by any other key is refused.

Exit codes: 0 verified; 1 refused, and the reason is printed; 2 a file cannot be read or is no key.";

/// Check a proof file, and say what it shows and what it does not
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// The proof
    file: PathBuf,
    /// A public key of the net
    #[arg(long, value_name = "FILE", required = true)]
    key: Vec<PathBuf>,
    /// A public key of a witness
    #[arg(long, value_name = "FILE")]
    witness: Vec<PathBuf>,
}

#[derive(Serialize)]
struct ReportJson {
    schema: &'static str,
    result: &'static str,
    /// Why it was refused.
    reason: Option<String>,
    kind: Option<&'static str>,
    checkpoint: Option<CheckpointJson>,
    signers: Vec<SignerJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<CommitJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    history: Option<HistoryJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<FromJson>,
    not_proven: Vec<&'static str>,
}

#[derive(Serialize)]
struct CommitJson {
    number: u64,
    hash: String,
    recorded: Option<String>,
    basis: &'static str,
    written: Option<String>,
    author: String,
    reason: String,
    source: String,
    assertions: u32,
}

#[derive(Serialize)]
struct HistoryJson {
    /// Number of the layer.
    layer: u16,
    id: String,
    /// The last commit that did not touch the last version.
    untouched_through: Option<u64>,
    versions: Vec<VersionJson>,
}

#[derive(Serialize)]
struct VersionJson {
    ordinal: u64,
    version: String,
    hash: String,
    kind: &'static str,
    absent: bool,
    valid_from: Option<String>,
    valid_from_implied: bool,
    valid_to: Option<String>,
    /// West, south, east, north.
    extent: Option<[f64; 4]>,
    floor: Option<f64>,
    top: Option<f64>,
    /// Level and geocode in stored order.
    place: String,
    block: Option<String>,
    author: String,
    reason: String,
    source: String,
    commitment: String,
    payload_len: u32,
    /// `shown`, `withheld` or `erased`.
    payload_state: &'static str,
    /// As text, where it is.
    payload: Option<String>,
    payload_hex: Option<String>,
    commit: CommitJson,
}

#[derive(Serialize)]
struct FromJson {
    #[serde(flatten)]
    checkpoint: CheckpointJson,
    signers: Vec<SignerJson>,
}

impl From<&Commit> for CommitJson {
    fn from(commit: &Commit) -> Self {
        Self {
            number: commit.number,
            hash: hex(&commit.hash),
            recorded: moment(commit.recorded),
            basis: commit.basis.name(),
            written: moment(commit.written),
            author: commit.author.clone(),
            reason: commit.reason.clone(),
            source: commit.source.clone(),
            assertions: commit.assertions,
        }
    }
}

impl From<&History> for HistoryJson {
    fn from(history: &History) -> Self {
        Self {
            layer: history.layer,
            id: history.id.clone(),
            untouched_through: history.untouched.map(|untouched| untouched.through),
            versions: history.versions.iter().map(Into::into).collect(),
        }
    }
}

impl From<&ShownVersion> for VersionJson {
    fn from(shown: &ShownVersion) -> Self {
        let version = &shown.version;
        let [author, reason, source] = shown.texts().map(str::to_owned);
        let (payload, payload_hex) = match &shown.payload {
            Payload::Shown(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => (Some(text.to_owned()), None),
                Err(_) => (None, Some(hex(bytes))),
            },
            Payload::Withheld | Payload::Erased => (None, None),
        };
        Self {
            ordinal: version.ordinal,
            version: format!("{}.{}", shown.commit.number, shown.index),
            hash: hex(&shown.hash),
            kind: version.kind.name(),
            absent: version.is_absence(),
            valid_from: moment(version.valid_from),
            valid_from_implied: version.from_implied,
            valid_to: moment(version.valid_to),
            extent: version
                .extent
                .map(|extent| [extent.west, extent.south, extent.east, extent.north]),
            floor: version.extent.and_then(|extent| extent.floor),
            top: version.extent.and_then(|extent| extent.top),
            place: hex(&version.place),
            block: shown.block.as_deref().map(hex),
            author,
            reason,
            source,
            commitment: hex(&version.commitment),
            payload_len: version.payload_len,
            payload_state: match shown.payload {
                Payload::Shown(_) => "shown",
                Payload::Withheld => "withheld",
                Payload::Erased => "erased",
            },
            payload,
            payload_hex,
            commit: (&shown.commit).into(),
        }
    }
}

pub(crate) fn run(args: &Args, io: &mut Io<'_>) -> Result<u8> {
    let log = public_keys(&args.key)?;
    let witnesses = public_keys(&args.witness)?;
    let keys = Keys::new(log, witnesses).map_err(|error| CliError::usage(error.to_string()))?;
    let bytes = read(&args.file)?;
    match verify(&bytes, &keys) {
        Ok(report) => {
            if io.is_json() {
                io.object(&json(&report))?;
            } else {
                print(&report, io)?;
            }
            Ok(DONE)
        }
        Err(error) => {
            if io.is_json() {
                io.object(&refused(error.to_string()))?;
            } else {
                let word = io.paint(BAD.bold(), "refused:");
                io.line(format_args!("{word} {error}"))?;
            }
            Ok(FOUND)
        }
    }
}

fn refused(reason: String) -> ReportJson {
    ReportJson {
        schema: "blocknet.verify-proof/1",
        result: "refused",
        reason: Some(reason),
        kind: None,
        checkpoint: None,
        signers: Vec::new(),
        commit: None,
        history: None,
        from: None,
        not_proven: Vec::new(),
    }
}

fn json(report: &Report) -> ReportJson {
    let mut json = ReportJson {
        result: "verified",
        reason: None,
        kind: Some(report.kind()),
        checkpoint: Some((&report.checkpoint).into()),
        signers: report.signers.iter().map(Into::into).collect(),
        not_proven: report.not_proven(),
        ..refused(String::new())
    };
    match &report.shown {
        Shown::Commit(commit) => json.commit = Some(commit.into()),
        Shown::History(history) => json.history = Some(history.into()),
        Shown::Consistency { from, from_signers } => {
            json.from = Some(FromJson {
                checkpoint: from.into(),
                signers: from_signers.iter().map(Into::into).collect(),
            });
        }
        _ => {}
    }
    json
}

fn print(report: &Report, io: &mut Io<'_>) -> Result<()> {
    let word = io.paint(GOOD.bold(), "verified:");
    let checkpoint = &report.checkpoint;
    let size = checkpoint.size();
    let what = match &report.shown {
        Shown::Commit(commit) => format!("commit {} is in the log", commit.number),
        Shown::History(history) => format!(
            "{} of `{}` in layer {}",
            match history.versions.len() {
                1 => "the first version".to_owned(),
                count => format!("the first {} versions", grouped(count as u64)),
            },
            printable(&history.id),
            history.layer
        ),
        Shown::Consistency { from, .. } => format!(
            "the first {} of {} are those of the earlier checkpoint",
            grouped(from.size()),
            counted(size, "commit", "commits")
        ),
        _ => report.kind().to_owned(),
    };
    io.line(format_args!("{word} {what}"))?;
    io.line(format_args!("net         {}", hex(&checkpoint.net())))?;
    io.line(format_args!(
        "checkpoint  {}, root {}",
        counted(size, "commit", "commits"),
        hex(&checkpoint.root())
    ))?;
    signers(&report.signers, io)?;
    match &report.shown {
        Shown::Commit(commit) => print_commit(commit, io)?,
        Shown::History(history) => print_history(history, io)?,
        Shown::Consistency { from, from_signers } => {
            io.line(format_args!(
                "earlier     {}, root {}",
                counted(from.size(), "commit", "commits"),
                hex(&from.root())
            ))?;
            signers(from_signers, io)?;
        }
        _ => {}
    }
    let heading = io.paint(HEADING, "Not proven:");
    io.line(format_args!("\n{heading}"))?;
    for what in report.not_proven() {
        io.line(format_args!("  - {what}"))?;
    }
    Ok(())
}

fn signers(signers: &[Signer], io: &mut Io<'_>) -> Result<()> {
    for signer in signers {
        let name = format!("{} ({:08x})", signer.name, signer.id);
        match signer.time.and_then(cosigned) {
            Some(time) => io.line(format_args!("witness     {name}, at {time} by its clock"))?,
            None => io.line(format_args!("signed by   {name}"))?,
        }
    }
    Ok(())
}

fn print_commit(commit: &Commit, io: &mut Io<'_>) -> Result<()> {
    let time = |micros| moment(micros).unwrap_or_else(|| "outside the calendar".to_owned());
    let heading = io.paint(HEADING, format_args!("Commit {}", commit.number));
    io.line(format_args!("\n{heading}"))?;
    io.line(format_args!("  hash      {}", hex(&commit.hash)))?;
    let recorded = time(commit.recorded);
    let basis = commit.basis.name();
    io.line(format_args!("  recorded  {recorded} ({basis})"))?;
    io.line(format_args!("  written   {}", time(commit.written)))?;
    texts([&commit.author, &commit.reason, &commit.source], io)?;
    let assertions = u64::from(commit.assertions);
    let assertions = counted(assertions, "assertion", "assertions");
    io.line(format_args!("  makes     {assertions}"))
}

/// Whoever wrote the net chose these texts: none of their characters moves a terminal's cursor.
fn printable(text: &str) -> String {
    let visible = |character: char| match character {
        character if character.is_control() => char::REPLACEMENT_CHARACTER,
        character => character,
    };
    text.chars().map(visible).collect()
}

fn texts(texts: [&str; 3], io: &mut Io<'_>) -> Result<()> {
    for (label, text) in ["author", "reason", "source"].into_iter().zip(texts) {
        if !text.is_empty() {
            io.line(format_args!("  {label:<8}  {}", printable(text)))?;
        }
    }
    Ok(())
}

fn print_history(history: &History, io: &mut Io<'_>) -> Result<()> {
    for shown in &history.versions {
        let (version, commit) = (&shown.version, &shown.commit);
        let heading = io.paint(HEADING, format_args!("Version {}", version.ordinal));
        io.line(format_args!(
            "\n{heading}, {}.{}: {}, {}",
            commit.number,
            shown.index,
            version.kind.name(),
            if version.is_absence() {
                "absent"
            } else {
                "there"
            }
        ))?;
        let from = moment(version.valid_from).unwrap_or_else(|| "always".to_owned());
        let to = moment(version.valid_to).unwrap_or_else(|| "without end".to_owned());
        let implied = if version.from_implied {
            " (nobody asserted the start)"
        } else {
            ""
        };
        io.line(format_args!("  valid     {from} to {to}{implied}"))?;
        if let Some(extent) = &version.extent {
            let metres = |value: Option<f64>| value.map_or("?".to_owned(), |v| v.to_string());
            io.line(format_args!(
                "  extent    {},{},{},{}, {} to {} m",
                extent.west,
                extent.south,
                extent.east,
                extent.north,
                metres(extent.floor),
                metres(extent.top)
            ))?;
        }
        if let Some(block) = &shown.block {
            let place = hex(&version.place);
            io.line(format_args!(
                "  filed     in block {}, at {place}",
                hex(block)
            ))?;
        }
        let recorded = moment(commit.recorded).unwrap_or_default();
        let written = moment(commit.written).unwrap_or_default();
        let basis = commit.basis.name();
        io.line(format_args!(
            "  recorded  {recorded} ({basis}), written {written}"
        ))?;
        texts(shown.texts(), io)?;
        match &shown.payload {
            Payload::Shown(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => io.line(format_args!("  payload   {}", printable(text)))?,
                Err(_) => io.line(format_args!("  payload   hexadecimal {}", hex(bytes)))?,
            },
            Payload::Withheld => io.line("  payload   withheld by whoever made the proof")?,
            Payload::Erased => io.line("  payload   erased, says whoever made the proof")?,
        }
        io.line(format_args!("  hash      {}", hex(&shown.hash)))?;
    }
    if let Some(untouched) = history.untouched {
        io.line(format_args!(
            "\nThe last version was not replaced, closed, moved or removed by any commit from {} to {}.",
            grouped(untouched.after),
            grouped(untouched.through)
        ))?;
    }
    Ok(())
}
