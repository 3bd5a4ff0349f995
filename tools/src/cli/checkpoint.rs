//! `blocknet checkpoint`.

use std::path::{Path, PathBuf};

use blocknet_proof::Note;
use serde::Serialize;

use super::error::{CliError, Result};
use super::evidence::{CheckpointJson, at, deliver, secret_key};
use super::io::Io;
use super::{DONE, store, timestamp};

const AFTER_HELP: &str = "\
A checkpoint says how many commits there are and what they are, in one hash. Kept outside the store \
it shows later whether the store still holds the same history. Proofs hang on it.

With --key the store notes in its file `exported` how far the checkpoint reaches; `stats` prints how \
many commits came since. Nothing else in the store is changed.

The form is that of C2SP tlog-checkpoint, a signed note; see docs/proof.md.";

/// Print the head of the store's log, signed with a key
#[derive(Debug, clap::Args)]
#[command(
    after_help = AFTER_HELP,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// The store's directory
    #[arg(required = true)]
    dir: Option<PathBuf>,
    /// Sign with this private key, see `keygen` [default: the bare text, which nobody believes]
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Write to this file, outside the store [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Also write a request for a timestamp of the signed checkpoint (RFC 3161) to this new file. Send
    /// it to an authority, and give the answer to `checkpoint attach`
    #[arg(long, value_name = "FILE", requires_all = ["key", "out"])]
    timestamp_query: Option<PathBuf>,
    /// Ask for a stamp under this policy, an object identifier
    #[arg(long, value_name = "OID", requires = "timestamp_query")]
    timestamp_policy: Option<String>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Attach(timestamp::Args),
}

#[derive(Serialize)]
struct Made {
    schema: &'static str,
    #[serde(flatten)]
    checkpoint: CheckpointJson,
    signed_by: Option<String>,
    note: String,
}

pub(crate) fn run(args: &Args, io: &mut Io<'_>) -> Result<u8> {
    if let Some(Command::Attach(args)) = &args.command {
        return timestamp::run(args, io);
    }
    let dir = args.dir.as_deref().unwrap_or(Path::new(""));
    for (flag, path) in [
        ("--key", &args.key),
        ("--out", &args.out),
        ("--timestamp-query", &args.timestamp_query),
    ] {
        if path.as_ref().is_some_and(|path| is_inside(path, dir)) {
            return Err(CliError::usage(format!(
                "{flag}: the file is inside the store; what is to outlive the store, or is to be \
                 kept from whoever can write it, stands elsewhere"
            )));
        }
    }
    let key = match &args.key {
        Some(path) => Some((path, secret_key(path, io)?)),
        None => None,
    };
    let net = store::read(dir, io)?;
    let checkpoint = net.checkpoint()?;
    let mut note = Note::new(checkpoint);
    if let Some((path, key)) = &key {
        at(path, note.sign(key))?;
    }
    let text = note.encode();
    if let Some(query) = &args.timestamp_query {
        // First, because it refuses to write over another: then the checkpoint stays too.
        timestamp::write_query(text.as_bytes(), args.timestamp_policy.as_deref(), query)?;
    }
    if io.is_json() {
        io.object(&Made {
            schema: "blocknet.checkpoint/1",
            checkpoint: note.checkpoint().into(),
            signed_by: key.map(|(_, key)| key.public().name().to_owned()),
            note: text.clone(),
        })?;
    }
    if !io.is_json() || args.out.is_some() {
        deliver(args.out.as_deref(), &text, io)?;
    }
    // One that nobody signed is kept by nobody.
    if args.key.is_some()
        && let Err(error) = net.note_exported(&checkpoint)
    {
        io.warn(format_args!(
            "the checkpoint is written, but the store does not note it: {error}"
        ))?;
    }
    Ok(DONE)
}

/// Whether a file, which need not be there yet, lies in a directory or below it.
fn is_inside(file: &Path, dir: &Path) -> bool {
    let parent = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    match (parent.canonicalize(), dir.canonicalize()) {
        (Ok(parent), Ok(dir)) => parent.starts_with(dir),
        _ => false,
    }
}
