//! `blocknet prove`.

use std::path::{Path, PathBuf};

use blocknet_engine::{HistoryOptions, LayerId};
use blocknet_proof::Note;
use clap::ArgGroup;

use super::error::{CliError, Result};
use super::evidence::{deliver, note};
use super::io::Io;
use super::{DONE, store};

const AFTER_HELP: &str = "\
A proof is one text file that holds all but the keys: `verify-proof` checks it without the store. \
It hangs on a signed checkpoint, of this net and no newer than it.

--untouched makes a proof that grows with the number of commits since, some hundred bytes each; it \
is refused above 64 MiB.

The forms, and what a proof does not show, stand in docs/proof.md.";

/// Prove that a commit, the versions of an entity, or an earlier checkpoint are in a checkpoint's log
#[derive(Debug, clap::Args)]
#[command(
    after_help = AFTER_HELP,
    group = ArgGroup::new("what").required(true).args(["commit", "id", "from"]),
)]
pub(crate) struct Args {
    /// The store's directory
    dir: PathBuf,
    /// The signed checkpoint that the proof hangs on
    #[arg(long, value_name = "FILE", required_unless_present = "from")]
    checkpoint: Option<PathBuf>,
    /// Prove that this commit is in the log
    #[arg(long, value_name = "N")]
    commit: Option<u64>,
    /// Prove what this entity's versions are, from the first
    #[arg(long, value_name = "ID", allow_negative_numbers = true)]
    id: Option<String>,
    /// The entity's layer [default: main]
    #[arg(long, value_name = "NAME", conflicts_with_all = ["commit", "from"])]
    layer: Option<String>,
    /// Show also that no commit since touched the last version, which must be a state
    #[arg(long, conflicts_with_all = ["commit", "from"])]
    untouched: bool,
    /// Show the payloads too, to everybody who gets the proof
    #[arg(long, conflicts_with_all = ["commit", "from"])]
    payload: bool,
    /// Prove that the checkpoint --to extends this one
    #[arg(
        long,
        value_name = "FILE",
        requires = "to",
        conflicts_with = "checkpoint"
    )]
    from: Option<PathBuf>,
    /// The later checkpoint
    #[arg(long, value_name = "FILE", requires = "from")]
    to: Option<PathBuf>,
    /// Write to this file [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(crate) fn run(args: &Args, io: &mut Io<'_>) -> Result<u8> {
    let text = match (&args.checkpoint, &args.from, &args.to) {
        (Some(checkpoint), ..) => {
            let note = signed(checkpoint)?;
            of_checkpoint(args, note, io)?
        }
        (None, Some(from), Some(to)) => {
            let (from, to) = (signed(from)?, signed(to)?);
            let net = store::read(&args.dir, io)?;
            net.now_view()?.prove_consistency(from, to)?.encode()
        }
        _ => {
            return Err(CliError::usage(
                "--checkpoint, or --from and --to, is missing",
            ));
        }
    };
    deliver(args.out.as_deref(), &text, io)?;
    Ok(DONE)
}

fn of_checkpoint(args: &Args, note: Note, io: &mut Io<'_>) -> Result<String> {
    let net = store::read(&args.dir, io)?;
    let view = net.now_view()?;
    if let Some(number) = args.commit {
        return Ok(view.prove_commit(number, note)?.encode());
    }
    let layer = match &args.layer {
        Some(name) => view.layer_named(name)?,
        None => LayerId::MAIN,
    };
    let options = HistoryOptions {
        untouched: args.untouched,
        payloads: args.payload,
    };
    let id = args.id.as_deref().unwrap_or_default();
    Ok(view.prove_history(layer, id, note, options)?.encode())
}

/// A checkpoint with a signature, which is checked by whoever checks the proof.
fn signed(path: &Path) -> Result<Note> {
    let note = note(path)?;
    if note.claimed_signers().next().is_none() {
        return Err(CliError::usage(format!(
            "{}: nobody has signed this checkpoint, so nobody would believe the proof; make it with \
             `checkpoint --key`",
            path.display()
        )));
    }
    Ok(note)
}
