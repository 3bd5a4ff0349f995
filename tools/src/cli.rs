//! The `blocknet` command: arguments, dispatch and exit codes. One module per subcommand.
//!
//! Data go to standard output and everything else to standard error. Commands that read open the
//! store for reading only and change no byte of it. Exit codes: [`DONE`], [`FOUND`], [`FAILED`];
//! those of `verify` and `repair` are bits: [`CLEAN`], [`DAMAGED`], [`INCOMPLETE`], [`USAGE`],
//! [`NOT_REMEMBERED`].

mod against;
mod args;
mod backup;
mod checkpoint;
mod compare;
mod create;
mod demo;
mod dump;
mod erase;
mod error;
mod evidence;
mod explain;
mod footprint;
mod geocode;
mod get;
mod history;
mod import;
mod io;
mod keygen;
mod layer;
mod net;
mod prove;
mod put;
mod query;
mod render;
mod repair;
mod replay;
mod select;
mod stats;
mod store;
mod text;
mod timestamp;
mod track;
mod verify;
mod verify_proof;
mod witness;
mod write;

use std::ffi::OsString;

use clap::{Parser, Subcommand};

pub use io::Io;

use error::CliError;

/// Exit code: done, also with an empty answer.
pub const DONE: u8 = 0;
/// Exit code: `get` or `history` of an unknown id; with `--exit-code`, something was found; a proof
/// or checkpoint was refused.
pub const FOUND: u8 = 1;
/// Exit code: could not do it, wrong arguments included.
pub const FAILED: u8 = 2;

/// Exit code of `verify` and `repair`: everything was checked, and nothing is wrong.
pub const CLEAN: u8 = 0;
/// Exit bit of `repair`: something was repaired.
pub const REPAIRED: u8 = 1;
/// Exit bit of `verify` and `repair`: there is damage.
pub const DAMAGED: u8 = 4;
/// Exit bit of `verify` and `repair`: not everything could be checked.
pub const INCOMPLETE: u8 = 8;
/// Exit code of `verify` and `repair`: wrong arguments.
pub const USAGE: u8 = 16;
/// Exit bit of `verify`: the store is not the one that is remembered elsewhere.
pub const NOT_REMEMBERED: u8 = 64;

/// The commands whose exit codes are bits, as those of `fsck` are.
const IN_BITS: &[&str] = &["verify", "repair"];

const AFTER_HELP: &str = "\
Times: RFC 3339 (2017-03-21T10:00:00Z), a local date and time (2017-03-21T10:00:00) or a date \
(2017-03-21), read in --time-zone. A date means the start of its day, except for --as-of and along \
the recorded axis, where it means the day's end.

Exit codes: 0 done, also with an empty answer; 1 `get` or `history` of an unknown id, something \
found with --exit-code, or a proof or checkpoint refused; 2 could not. Those of `verify` and `repair` are others: see their --help.";

/// Stores buildings by place with their full history on two time axes: when something was true,
/// and when the store learned it.
#[derive(Debug, Parser)]
#[command(name = "blocknet", version, after_help = AFTER_HELP, infer_subcommands = false)]
struct Cli {
    /// Print JSON: one object, or one per line
    #[arg(long, global = true, display_order = 900)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Create(create::Args),
    Layer(layer::Args),
    Import(Box<import::Args>),
    Put(Box<put::PutArgs>),
    Remove(Box<put::RemoveArgs>),
    Get(Box<get::Args>),
    Query(Box<query::Args>),
    Explain(Box<explain::Args>),
    History(Box<history::Args>),
    Replay(Box<replay::ReplayArgs>),
    Diff(Box<replay::DiffArgs>),
    Transients(Box<replay::TransientsArgs>),
    Track(Box<track::Args>),
    Stats(stats::Args),
    Verify(verify::Args),
    Repair(repair::Args),
    Keygen(keygen::Args),
    Checkpoint(Box<checkpoint::Args>),
    Prove(prove::Args),
    VerifyProof(verify_proof::Args),
    Witness(witness::Args),
    Backup(backup::BackupArgs),
    Restore(backup::RestoreArgs),
    Dump(dump::Args),
    Erase(Box<erase::Args>),
    Net(net::Args),
    Geocode(geocode::Args),
    Demo(demo::Args),
}

/// Runs one command line, the program's name first, and returns its exit code.
///
/// A reader that closes its end of the pipe early ends the command quietly.
pub fn run<A: Into<OsString> + Clone>(args: impl IntoIterator<Item = A>, io: &mut Io<'_>) -> u8 {
    let args: Vec<OsString> = args.into_iter().map(Into::into).collect();
    let in_bits = is_in_bits(&args);
    let result = match Cli::try_parse_from(&args) {
        Ok(cli) => {
            io.set_json(cli.json);
            dispatch(cli.command, io).and_then(|code| {
                io.flush()?;
                Ok(code)
            })
        }
        Err(error) => io.clap(&error).map(|code| match code {
            FAILED if in_bits => USAGE,
            code => code,
        }),
    };
    match result {
        Ok(code) => code,
        // Of a verdict that nobody heard, 0 would be a lie.
        Err(CliError::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => {
            if in_bits { INCOMPLETE } else { DONE }
        }
        Err(error) => {
            // Should even this not be writable, the exit code still tells.
            drop(io.flush());
            io.error(&error);
            if in_bits { INCOMPLETE } else { FAILED }
        }
    }
}

/// Whether these arguments call a command whose exit codes are bits.
fn is_in_bits(args: &[OsString]) -> bool {
    // Flags that stand before the command have no values.
    let command = args.iter().skip(1).filter_map(|arg| arg.to_str());
    command
        .skip_while(|arg| arg.starts_with('-'))
        .take(1)
        .any(|command| IN_BITS.contains(&command))
}

fn dispatch(command: Command, io: &mut Io<'_>) -> Result<u8, CliError> {
    match command {
        Command::Create(args) => create::run(&args, io),
        Command::Layer(args) => layer::run(&args, io),
        Command::Import(args) => import::run(&args, io),
        Command::Put(args) => put::put(&args, io),
        Command::Remove(args) => put::remove(&args, io),
        Command::Get(args) => get::run(&args, io),
        Command::Query(args) => query::run(&args, io),
        Command::Explain(args) => explain::run(&args, io),
        Command::History(args) => history::run(&args, io),
        Command::Replay(args) => replay::replay(&args, io),
        Command::Diff(args) => replay::diff(&args, io),
        Command::Transients(args) => replay::transients(&args, io),
        Command::Track(args) => track::run(&args, io),
        Command::Stats(args) => stats::run(&args, io),
        Command::Verify(args) => verify::run(&args, io),
        Command::Repair(args) => repair::run(&args, io),
        Command::Keygen(args) => keygen::run(&args, io),
        Command::Checkpoint(args) => checkpoint::run(&args, io),
        Command::Prove(args) => prove::run(&args, io),
        Command::VerifyProof(args) => verify_proof::run(&args, io),
        Command::Witness(args) => witness::run(&args, io),
        Command::Backup(args) => backup::backup(&args, io),
        Command::Restore(args) => backup::restore(&args, io),
        Command::Dump(args) => dump::run(&args, io),
        Command::Erase(args) => erase::run(&args, io),
        Command::Net(args) => net::run(&args, io),
        Command::Geocode(args) => geocode::run(&args, io),
        Command::Demo(args) => demo::run(&args, io),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }
}
