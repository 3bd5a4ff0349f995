//! The `blocknet` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut io = blocknet_tools::cli::Io::standard();
    ExitCode::from(blocknet_tools::cli::run(std::env::args_os(), &mut io))
}
