//! Torture of a store with real processes and real files.
//!
//! A *writer* (a process of its own) opens a net, commits what a seed says, and acknowledges on a
//! pipe every commit whose `commit` returned. It is killed, its disk fails, fills up or loses
//! power; then a *check* opens the store and compares it with a model that is made from the same
//! seed and knows nothing of the store. What was acknowledged must be there, once; what was not must
//! be there as a whole or not at all; nothing else may be there.
//!
//! * [`story`]: what a seed says, and the model.
//! * [`writer`] and [`child`]: the process that writes, and how its parent listens to it.
//! * [`check`]: the comparison.
//! * [`kill`], [`sigkill`], [`power`], [`faults`]: what is done to it.
//! * [`backup`]: what is done to those who copy it.
//!
//! Every violation is reported with the seed and the parameters that bring it about again.

#![expect(
    clippy::print_stderr,
    reason = "a program for terminals; its library exists for its tests"
)]

pub mod backup;
pub mod check;
pub mod child;
pub mod faults;
pub mod kill;
pub mod power;
pub mod shim;
pub mod sigkill;
pub mod story;
pub mod system;
pub mod writer;

use std::fmt;
use std::path::PathBuf;

/// Why a torture ended early.
#[derive(Debug)]
#[non_exhaustive]
pub enum Failure {
    /// The store broke a promise.
    Violation(String),
    /// This machine lacks something; the text says what.
    Skipped(String),
    /// The torture itself could not be set up.
    Setup(String),
}

impl Failure {
    /// A broken promise.
    pub fn violation(text: impl Into<String>) -> Self {
        Self::Violation(text.into())
    }

    /// A failure of the machinery.
    pub fn setup(what: impl fmt::Display, error: impl fmt::Display) -> Self {
        Self::Setup(format!("{what}: {error}"))
    }

    /// The same, with where it happened in front.
    #[must_use]
    pub fn at(self, context: impl fmt::Display) -> Self {
        match self {
            Self::Violation(text) => Self::Violation(format!("{context}: {text}")),
            Self::Skipped(text) => Self::Skipped(text),
            Self::Setup(text) => Self::Setup(format!("{context}: {text}")),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Violation(text) => write!(f, "VIOLATION: {text}"),
            Self::Skipped(text) => write!(f, "skipped: {text}"),
            Self::Setup(text) => write!(f, "cannot torture: {text}"),
        }
    }
}

impl std::error::Error for Failure {}

/// The result of a part of a torture.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// What all tortures need.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The program that has the subcommand `write`.
    pub exe: PathBuf,
    /// Where stores are made; its file system is what is tortured.
    pub work: PathBuf,
    /// From which everything follows but how threads and processes take turns.
    pub seed: u64,
}

/// Gathers violations, so that one does not hide the next, up to a bound.
#[derive(Debug, Default)]
pub struct Violations(Vec<String>);

impl Violations {
    /// After so many a torture ends: they are mostly the same one.
    const MAX: usize = 20;

    /// Takes the outcome of one step: keeps and prints a violation, passes on other failures.
    ///
    /// # Errors
    /// All failures but violations; the violations, when there are too many.
    pub fn take<T>(&mut self, result: Result<T>) -> Result<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(Failure::Violation(text)) => {
                eprintln!("VIOLATION: {text}");
                self.0.push(text);
                if self.0.len() >= Self::MAX {
                    return Err(Failure::Violation(format!(
                        "{} violations, the last: {}",
                        self.0.len(),
                        self.0.last().map_or("", String::as_str)
                    )));
                }
                Ok(None)
            }
            Err(failure) => Err(failure),
        }
    }

    /// How many there were.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// An error if there were any.
    ///
    /// # Errors
    /// The first violation, and how many there were.
    pub fn finish(&self) -> Result<()> {
        match self.0.first() {
            None => Ok(()),
            Some(first) => Err(Failure::Violation(format!(
                "{} violations, the first: {first}",
                self.0.len()
            ))),
        }
    }
}
