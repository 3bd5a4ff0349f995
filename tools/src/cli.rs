//! The `blocknet` command: arguments, dispatch and exit codes. One module per subcommand.
//!
//! Data go to standard output and everything else to standard error. Commands that read open the
//! store for reading only and change no byte of it. Exit codes: [`DONE`], [`FOUND`], [`FAILED`].

mod args;
mod compare;
mod create;
mod demo;
mod error;
mod explain;
mod footprint;
mod geocode;
mod get;
mod history;
mod import;
mod io;
mod layer;
mod net;
mod put;
mod query;
mod render;
mod replay;
mod select;
mod stats;
mod store;
mod text;
mod track;
mod write;

use std::ffi::OsString;

use clap::{Parser, Subcommand};

pub use io::Io;

use error::CliError;

/// Exit code: done, also with an empty answer.
pub const DONE: u8 = 0;
/// Exit code: `get` or `history` of an unknown id; with `--exit-code`, something was found.
pub const FOUND: u8 = 1;
/// Exit code: could not do it, wrong arguments included.
pub const FAILED: u8 = 2;

const AFTER_HELP: &str = "\
Times: RFC 3339 (2017-03-21T10:00:00Z), a local date and time (2017-03-21T10:00:00) or a date \
(2017-03-21), read in --time-zone. A date means the start of its day, except for --as-of and along \
the recorded axis, where it means the day's end.

Exit codes: 0 done, also with an empty answer; 1 `get` or `history` of an unknown id, or something \
found with --exit-code; 2 could not.";

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
    Net(net::Args),
    Geocode(geocode::Args),
    Demo(demo::Args),
}

/// Runs one command line, the program's name first, and returns its exit code.
///
/// A reader that closes its end of the pipe early ends the command quietly.
pub fn run<A: Into<OsString> + Clone>(args: impl IntoIterator<Item = A>, io: &mut Io<'_>) -> u8 {
    let result = match Cli::try_parse_from(args) {
        Ok(cli) => {
            io.set_json(cli.json);
            dispatch(cli.command, io).and_then(|code| {
                io.flush()?;
                Ok(code)
            })
        }
        Err(error) => io.clap(&error),
    };
    match result {
        Ok(code) => code,
        Err(CliError::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => DONE,
        Err(error) => {
            // Should even this not be writable, the exit code still tells.
            drop(io.flush());
            io.error(&error);
            FAILED
        }
    }
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
