//! `blocknet erase`.

use std::path::PathBuf;

use blocknet_engine::{Record, Recorded, Version};
use serde::Serialize;

use super::args::Signature;
use super::error::{CliError, Result};
use super::io::Io;
use super::put::version;
use super::text::counted;
use super::{DONE, FOUND, store};

const AFTER_HELP: &str = "\
A commit says which payloads are erased, by whom and why. From then on nothing shows them, whatever \
moment is asked for; then salt and payload are overwritten in journal and tables. Every hash stays \
as it is, since hashes cover a salted commitment and never the payload: `verify` says \"erased by \
commit N\", and proofs that the version existed still hold.

It cannot be undone, and it does not reach: the id, the extent and the times of the version; the \
texts of commits; other versions that say the same; copies of the directory, backups among them, \
until they are made again; blocks that the file system has freed. What lies in the directory \
`quarantine` may hold copies: exit code 1 says that there is something, and --purge-quarantine \
removes it.

Exit codes: 0 done, or without --apply said what would be done; 1 erased, but something lies in \
quarantine, or without --apply the id or version is unknown; 2 could not.";

/// Erase the payload of versions of an entity, by law
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// The store's directory
    dir: PathBuf,
    /// The entity's id
    #[arg(long, value_name = "ID", allow_negative_numbers = true)]
    id: String,
    /// In this layer
    #[arg(long, value_name = "NAME", default_value = "main")]
    layer: String,
    /// The version, as `history` prints it, for example 12.0; can be given more than once
    #[arg(
        long,
        value_name = "COMMIT.INDEX",
        value_parser = version,
        required_unless_present = "all_versions"
    )]
    version: Vec<Version>,
    /// Every version of the entity that is not erased yet
    #[arg(long, conflicts_with = "version")]
    all_versions: bool,
    /// Do it, instead of only saying what would be done
    #[arg(long, requires = "reason")]
    apply: bool,
    /// Also remove what lies in quarantine, which may hold copies, and evidence of past damage
    #[arg(long, requires = "apply")]
    purge_quarantine: bool,
    #[command(flatten)]
    signature: Signature,
}

#[derive(Serialize)]
struct Document<'a> {
    layer: &'a str,
    id: &'a str,
    applied: bool,
    versions: Vec<String>,
    payload_bytes: u64,
    /// The commit that says so.
    commit: Option<u64>,
    /// What lies in quarantine, and may hold copies.
    quarantine: Vec<String>,
    /// How much was removed from there.
    purged: u64,
}

pub(crate) fn run(args: &Args, io: &mut Io<'_>) -> Result<u8> {
    let (versions, payload_bytes) = {
        let net = store::read(&args.dir, io)?;
        let view = net.now_view()?;
        let layer = view.layer_named(&args.layer)?;
        let history = view.history(layer, &args.id)?;
        let wanted = choose(args, &history)?;
        let bytes = wanted.iter().map(|record| record.payload.len() as u64);
        let versions: Vec<Version> = wanted.iter().map(|record| record.version).collect();
        (versions, bytes.sum())
    };
    let mut document = Document {
        layer: &args.layer,
        id: &args.id,
        applied: args.apply,
        versions: versions.iter().map(ToString::to_string).collect(),
        payload_bytes,
        commit: None,
        quarantine: Vec::new(),
        purged: 0,
    };
    if versions.is_empty() {
        print(&document, io)?;
        return Ok(FOUND);
    }
    if args.apply {
        let net = store::write(&args.dir, io)?;
        let mut commit = args.signature.commit(Recorded::Now);
        if args.purge_quarantine {
            commit
                .reason
                .push_str("; what lay in quarantine was removed");
        }
        document.commit = Some(net.erase(&versions, &commit)?);
        net.close()?;
        // Opening carries it through: nobody else can be reading now.
        let net = store::write(&args.dir, io)?;
        if args.purge_quarantine {
            document.purged = net.purge_quarantine()?;
        }
        net.close()?;
    }
    let left = blocknet_engine::Net::quarantined(&args.dir)?;
    document.quarantine = left.iter().map(|path| path.display().to_string()).collect();
    print(&document, io)?;
    let unfinished = args.apply && !document.quarantine.is_empty();
    Ok(if unfinished { FOUND } else { DONE })
}

/// The versions that are meant, and not erased yet.
fn choose<'r>(args: &Args, history: &'r [Record]) -> Result<Vec<&'r Record>> {
    let kept = |record: &&Record| record.erased.is_none();
    if args.all_versions {
        return Ok(history.iter().filter(kept).collect());
    }
    let mut wanted = Vec::new();
    for version in &args.version {
        let Some(record) = history.iter().find(|record| record.version == *version) else {
            if args.apply {
                return Err(CliError::usage(format!(
                    "`{}` has no version {version}; see `blocknet history`",
                    args.id
                )));
            }
            continue;
        };
        if let Some(by) = record.erased {
            return Err(CliError::usage(format!(
                "the payload of version {version} was erased by commit {by} already"
            )));
        }
        wanted.push(record);
    }
    Ok(wanted)
}

fn print(document: &Document<'_>, io: &mut Io<'_>) -> Result<()> {
    if io.is_json() {
        return io.object(document);
    }
    let Document {
        layer,
        id,
        versions,
        commit,
        quarantine,
        purged,
        ..
    } = document;
    if versions.is_empty() {
        return io.line(format_args!("{layer}/{id}: no payload to erase"));
    }
    let what = counted(versions.len() as u64, "payload", "payloads");
    let list = versions.join(", ");
    match commit {
        Some(commit) => io.line(format_args!(
            "{layer}/{id}: {what} erased by commit {commit}: {list}"
        ))?,
        None => io.line(format_args!(
            "{layer}/{id}: {what} would be erased: {list}; nothing was changed, --apply does it"
        ))?,
    }
    if *purged > 0 {
        let purged = counted(*purged, "entry", "entries");
        io.line(format_args!("quarantine: {purged} removed"))?;
    }
    for path in quarantine {
        io.line(format_args!("may hold a copy: {path}"))?;
    }
    Ok(())
}
