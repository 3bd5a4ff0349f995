//! `blocknet-torture`: see the library.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for terminals"
)]

use std::fmt::Display;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use blocknet_torture::backup::{self, CopyArgs};
use blocknet_torture::shim::Action;
use blocknet_torture::writer::WriterArgs;
use blocknet_torture::{Failure, Result, Setting, faults, kill, power, sigkill, writer};
use clap::{Parser, Subcommand};

/// Kills processes, cuts the power, fills the disk; then compares the store with a model.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    #[command(subcommand)]
    command: Torture,
}

#[derive(Debug, clap::Args)]
struct Common {
    /// Everything but the turns of threads and processes follows from it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where stores are made. A directory in memory is fastest; where syncs matter, take a disk.
    #[arg(long)]
    work: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Torture {
    /// A fault at every file operation of a writer's life, and of the opening after it.
    Kill {
        #[command(flatten)]
        common: Common,
        /// Commits of one life.
        #[arg(long, default_value_t = 50)]
        commits: u64,
        /// What is done; by default everything.
        #[arg(long)]
        action: Vec<Action>,
        /// Every so manieth call.
        #[arg(long, default_value_t = 1)]
        stride: u64,
        /// Kill the opening too, after every so manieth call; 0 for never.
        #[arg(long, default_value_t = 0)]
        nested: u64,
        /// At so many of its calls; 0 for all.
        #[arg(long, default_value_t = 0)]
        nested_calls: u64,
        /// Only this call.
        #[arg(long)]
        at: Option<u64>,
    },
    /// A running writer killed at random moments.
    Sigkill {
        #[command(flatten)]
        common: Common,
        /// Writers to kill.
        #[arg(long, default_value_t = 1000)]
        kills: u64,
    },
    /// Backups and restores, killed at random moments and hit at their file operations.
    Backup {
        #[command(flatten)]
        common: Common,
        /// Processes to kill at random moments.
        #[arg(long, default_value_t = 200)]
        kills: u64,
        /// Every so manieth file operation in the target is hit as well; 0 for none.
        #[arg(long, default_value_t = 0)]
        stride: u64,
        /// How they are hit; by default in every way.
        #[arg(long)]
        action: Vec<Action>,
    },
    /// Power cuts, with all that a recorded disk may have lost (needs root and nbdkit).
    Power {
        #[command(flatten)]
        common: Common,
        /// Disks to record.
        #[arg(long, default_value_t = 4)]
        recordings: u64,
        /// Power cuts of each.
        #[arg(long, default_value_t = 50)]
        images: u64,
        /// Commits on each.
        #[arg(long, default_value_t = 60)]
        commits: u64,
    },
    /// A full disk, limits, a read-only disk, many starters, a wrong clock, little memory.
    Faults {
        #[command(flatten)]
        common: Common,
        /// How often each, compared with its usual number.
        #[arg(long, default_value_t = 100)]
        percent: u64,
        /// Only these.
        #[arg(long)]
        only: Vec<faults::Fault>,
    },
    #[command(hide = true)]
    Write(WriterArgs),
    #[command(hide = true)]
    Copy(CopyArgs),
}

fn setting(common: &Common) -> Result<Setting> {
    let exe = std::env::current_exe().map_err(|error| Failure::setup("this program", error))?;
    let work = common.work.clone().unwrap_or_else(std::env::temp_dir);
    std::fs::create_dir_all(&work).map_err(|error| Failure::setup(work.display(), error))?;
    Ok(Setting {
        exe,
        work,
        seed: common.seed,
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long a torture took is told at the rim"
)]
fn told<R: Display>(name: &str, setting: &Setting, run: impl FnOnce() -> Result<R>) -> bool {
    println!(
        "{name}: seed {}, in {}",
        setting.seed,
        setting.work.display()
    );
    let start = Instant::now();
    let result = run();
    let seconds = start.elapsed().as_secs_f32();
    match result {
        Ok(report) => {
            println!("{report}");
            println!("{name}: no violation, {seconds:.1} s");
            true
        }
        Err(Failure::Skipped(why)) => {
            println!("{name}: skipped: {why}");
            true
        }
        Err(failure) => {
            println!("{name}: {failure} ({seconds:.1} s)");
            false
        }
    }
}

/// All actions where none is named.
fn all_unless(named: Vec<Action>) -> Vec<Action> {
    if named.is_empty() {
        return Action::ALL.to_vec();
    }
    named
}

fn run(command: Torture) -> Result<bool> {
    Ok(match command {
        Torture::Write(_) | Torture::Copy(_) => true,
        Torture::Kill {
            common,
            commits,
            action,
            stride,
            nested,
            nested_calls,
            at,
        } => {
            let setting = setting(&common)?;
            let plan = kill::Plan {
                actions: all_unless(action),
                commits,
                stride,
                nested,
                nested_calls,
                at,
            };
            told("kill", &setting, || kill::run(&setting, &plan))
        }
        Torture::Sigkill { common, kills } => {
            let setting = setting(&common)?;
            told("sigkill", &setting, || sigkill::run(&setting, kills))
        }
        Torture::Backup {
            common,
            kills,
            stride,
            action,
        } => {
            let setting = setting(&common)?;
            let plan = backup::Plan {
                kills,
                stride,
                actions: all_unless(action),
            };
            told("backup", &setting, || backup::run(&setting, &plan))
        }
        Torture::Power {
            common,
            recordings,
            images,
            commits,
        } => {
            let setting = setting(&common)?;
            let plan = power::Plan {
                recordings,
                images,
                commits,
            };
            told("power", &setting, || power::run(&setting, &plan))
        }
        Torture::Faults {
            common,
            percent,
            only,
        } => {
            let setting = setting(&common)?;
            let faults = if only.is_empty() {
                faults::Fault::ALL.to_vec()
            } else {
                only
            };
            let mut good = true;
            for fault in faults {
                good &= told(fault.name(), &setting, || {
                    faults::run(&setting, fault, fault.usual() * percent / 100)
                });
            }
            good
        }
    })
}

fn main() -> ExitCode {
    let args = Args::parse();
    match &args.command {
        Torture::Write(args) => return ExitCode::from(writer::run(args)),
        Torture::Copy(args) => return ExitCode::from(backup::copy(args)),
        _ => {}
    }
    match run(args.command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::from(2)
        }
    }
}
