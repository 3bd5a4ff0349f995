//! `blocknet net walk`.

use blocknet_engine::Walking;
use serde::Serialize;

use super::super::error::Result;
use super::super::io::Io;
use super::super::text::hex;
use super::super::{DONE, FOUND, store};
use super::BlockArgs;

/// Walk along links from a block, nearest first: outward to what builds on it, or inward to its
/// source
///
/// Exit code 1: there is no such block.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    which: BlockArgs,
    /// Against the links, to the source
    #[arg(long)]
    inward: bool,
    /// Go so many steps at most
    #[arg(long, value_name = "N")]
    steps: Option<u32>,
    /// Print so many blocks at most
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

#[derive(Serialize)]
struct StepJson {
    steps: u32,
    block: String,
    round: u32,
    commit: u64,
    hash: String,
    rows: u64,
}

pub(crate) fn run(args: &Args, io: &mut Io<'_>) -> Result<u8> {
    let net = store::read(&args.which.dir, io)?;
    let view = net.now_view()?;
    let linked = args.which.after.linked(&view)?;
    let block = args.which.block(net.spec())?;
    let walking = if args.inward {
        Walking::Inward
    } else {
        Walking::Outward
    };
    let mut found = false;
    for step in linked
        .walk(&block, walking)
        .take(args.limit.unwrap_or(usize::MAX))
    {
        let (steps, block, version) = step?;
        if args.steps.is_some_and(|most| steps > most) {
            break;
        }
        found = true;
        let step = StepJson {
            steps,
            block: block.to_string(),
            round: version.round,
            commit: version.commit,
            hash: hex(&version.hash.0),
            rows: version.rows,
        };
        if io.is_json() {
            io.object(&step)?;
        } else {
            io.line(format_args!(
                "{:>6}  {}  round {}, commit {}, {}",
                step.steps, step.block, step.round, step.commit, step.hash
            ))?;
        }
    }
    if !found && args.limit != Some(0) {
        io.note(format_args!(
            "{block} was no block of this net after commit {}",
            linked.commit()
        ))?;
        return Ok(FOUND);
    }
    Ok(DONE)
}
