//! `blocknet net`: the net of blocks. One module per subcommand.

mod block;
mod draw;
mod edges;
mod report;
mod simulate;
mod stats;
mod walk;

use std::path::PathBuf;

use blocknet_engine::{LinkedNet, View};
use blocknet_geocode::{Block, NetSpec, Position};
use clap::Subcommand;

use super::args::position;
use super::error::{CliError, Result};
use super::io::Io;

/// Look at the net of blocks, in which each block holds the hashes of those before it
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: NetCommand,
}

#[derive(Debug, Subcommand)]
enum NetCommand {
    Stats(stats::Args),
    Block(block::Args),
    Walk(walk::Args),
    Edges(edges::Args),
    Simulate(simulate::Args),
}

pub(crate) fn run(args: &Args, io: &mut Io<'_>) -> Result<u8> {
    match &args.command {
        NetCommand::Stats(args) => stats::run(args, io),
        NetCommand::Block(args) => block::run(args, io),
        NetCommand::Walk(args) => walk::run(args, io),
        NetCommand::Edges(args) => edges::run(args, io),
        NetCommand::Simulate(args) => simulate::run(args, io),
    }
}

/// A block of a store, and the commit after which to look at it.
#[derive(Debug, clap::Args)]
struct BlockArgs {
    /// The store's directory
    dir: PathBuf,
    /// The block: its digits, with bands a hyphen and the band's digits
    #[arg(required_unless_present = "at")]
    block: Option<String>,
    /// The block at a place instead: degrees, and metres where blocks have bands
    #[arg(long, value_name = "LON,LAT[,ALT]", allow_hyphen_values = true, conflicts_with = "block",
          value_parser = position)]
    at: Option<Position>,
    #[command(flatten)]
    after: AfterArgs,
}

/// After which commit to look at the net.
#[derive(Debug, clap::Args)]
struct AfterArgs {
    /// As the net stood after this commit [default: the newest]
    #[arg(long, value_name = "commit:N")]
    as_of: Option<String>,
}

impl BlockArgs {
    fn block(&self, spec: &NetSpec) -> Result<Block> {
        match (&self.block, &self.at) {
            (Some(text), _) => Ok(spec.parse_block(text)?),
            (None, Some(place)) => Ok(spec.block(&spec.encode(place)?)),
            (None, None) => Err(CliError::usage("name a block, or a place with --at")),
        }
    }
}

impl AfterArgs {
    fn linked<'v>(&self, view: &'v View<'_>) -> Result<LinkedNet<'v>> {
        let commit = match self.as_of.as_deref() {
            None => None,
            Some(text) => {
                let number = text.strip_prefix("commit:").unwrap_or(text);
                Some(number.parse().map_err(|_| {
                    CliError::usage(format!("--as-of: `{text}` is no commit: write commit:12"))
                })?)
            }
        };
        Ok(view.linked(commit)?)
    }
}
