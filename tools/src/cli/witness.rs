//! `blocknet witness`.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::PathBuf;

use blocknet_engine::{Clock as _, SystemClock};
use blocknet_proof::witness::{State, cosign};
use blocknet_proof::{ConsistencyProof, Error};
use serde::Serialize;

use super::error::{CliError, Result};
use super::evidence::{
    CheckpointJson, at, deliver, file_error, note, public_key, read, replace, secret_key,
};
use super::io::Io;
use super::{DONE, FOUND};

const AFTER_HELP: &str = "\
A witness belongs to somebody else than the net. It remembers in --state what it cosigned last of \
each net, and cosigns only what extends that: it refuses a smaller checkpoint, another one of the \
same size, and one without a proof that it extends. Losing the state makes it useless: keep it.

Exit codes: 0 cosigned; 1 refused, and the reason is printed; 2 could not.";

/// Cosign a checkpoint of somebody else's net, if it extends the last one
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// The signed checkpoint
    checkpoint: PathBuf,
    /// The witness's private key, made by `keygen --witness`
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The net's public key
    #[arg(long, value_name = "FILE")]
    log: PathBuf,
    /// What the witness remembers
    #[arg(long, value_name = "FILE")]
    state: PathBuf,
    /// Proof that it extends the last one cosigned, made by `prove --from --to`
    #[arg(long, value_name = "FILE")]
    proof: Option<PathBuf>,
    /// Follow this net from now on; also makes the state file if there is none
    #[arg(long)]
    accept_new: bool,
    /// Write the checkpoint with the cosignature to this file [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Serialize)]
struct ResultJson {
    schema: &'static str,
    result: &'static str,
    reason: Option<String>,
    #[serde(flatten)]
    checkpoint: CheckpointJson,
    note: Option<String>,
}

pub(crate) fn run(args: &Args, io: &mut Io<'_>) -> Result<u8> {
    let key = secret_key(&args.key, io)?;
    let log = public_key(&args.log)?;
    let seen = note(&args.checkpoint)?;
    let hashes = match &args.proof {
        Some(path) => at(path, ConsistencyProof::decode(&read(path)?))?.hashes,
        None => Vec::new(),
    };
    // Two runs at once would each cosign what the other has not seen.
    let lock_path = args.state.with_added_extension("lock");
    let lock = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(false)
        .open(&lock_path)
        .map_err(|source| file_error("open", &lock_path, source))?;
    lock.lock()
        .map_err(|source| file_error("lock", &lock_path, source))?;
    let mut state = state(args)?;
    if args.accept_new {
        state.accept(seen.checkpoint());
    }
    let now = SystemClock.now().as_micros().div_euclid(1_000_000);
    let now = u64::try_from(now).map_err(|_| CliError::usage("the clock stands before 1970"))?;
    let result = cosign(&key, &state, &seen, &log, &hashes, now);
    let json = |result, reason, note| ResultJson {
        schema: "blocknet.witness/1",
        result,
        reason,
        checkpoint: seen.checkpoint().into(),
        note,
    };
    match result {
        Ok((cosigned, state)) => {
            // First remembered, then handed out: the other way round, a crash in between would
            // let the witness cosign a second history.
            replace(&args.state, &state.encode())?;
            let text = cosigned.encode();
            if io.is_json() {
                io.object(&json("cosigned", None, Some(text.clone())))?;
            }
            if args.out.is_some() || !io.is_json() {
                deliver(args.out.as_deref(), &text, io)?;
            }
            Ok(DONE)
        }
        Err(Error::Key(what)) => Err(CliError::usage(what)),
        Err(error) => {
            if io.is_json() {
                io.object(&json("refused", Some(error.to_string()), None))?;
            } else {
                io.note(format_args!("refused: {error}"))?;
            }
            Ok(FOUND)
        }
    }
}

fn state(args: &Args) -> Result<State> {
    match read(&args.state) {
        Ok(bytes) => at(&args.state, State::decode(&bytes)),
        Err(CliError::File { source, .. })
            if source.kind() == ErrorKind::NotFound && args.accept_new =>
        {
            Ok(State::default())
        }
        Err(CliError::File { source, path, .. }) if source.kind() == ErrorKind::NotFound => {
            Err(CliError::usage(format!(
                "{}: there is no state: a witness that forgot would cosign anything. For a new \
                 witness, give --accept-new",
                path.display()
            )))
        }
        Err(error) => Err(error),
    }
}
