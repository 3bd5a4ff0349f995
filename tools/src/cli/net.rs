//! `blocknet net`: the net of blocks. One module per subcommand.

mod draw;
mod report;
mod simulate;

use clap::Subcommand;

use super::error::Result;
use super::io::Io;

/// Look at the net of blocks, in which each block holds the hashes of those before it
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: NetCommand,
}

#[derive(Debug, Subcommand)]
enum NetCommand {
    Simulate(simulate::Args),
}

pub(crate) fn run(args: &Args, io: &mut Io<'_>) -> Result<u8> {
    match &args.command {
        NetCommand::Simulate(args) => simulate::run(args, io),
    }
}
