//! What a command could not do, in the words that are printed.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::import::Refusal;
use crate::input::{
    AreaError, ExpressionError, InputError, PredicateError, RulesError, SortError, TimeError,
};

/// Why a command failed; its text is what the user reads after `error:`.
#[derive(Debug, Error)]
pub(crate) enum CliError {
    /// Arguments that do not go together or mean nothing.
    #[error("{0}")]
    Usage(String),
    /// A time given as an argument.
    #[error("{flag}: {source}")]
    Time {
        flag: &'static str,
        source: TimeError,
    },
    #[error(transparent)]
    Engine(#[from] blocknet_engine::Error),
    #[error(transparent)]
    Geocode(#[from] blocknet_geocode::Error),
    #[error(transparent)]
    Input(#[from] InputError),
    /// A Feature that cannot be stored.
    #[error("{place}: {reason}")]
    Refused { place: String, reason: Box<Refusal> },
    #[error(transparent)]
    Rules(#[from] RulesError),
    #[error(transparent)]
    Predicate(#[from] PredicateError),
    #[error(transparent)]
    Sort(#[from] SortError),
    /// A stored rule this release cannot read.
    #[error("layer `{layer}`: its presence rule: {source}; give one with --present-when")]
    PresenceRule {
        layer: String,
        source: PredicateError,
    },
    /// A condition given with `--where`.
    #[error("--where: {0}")]
    Expression(#[from] ExpressionError),
    /// A file that is no area or no line.
    #[error("{flag}: {path}: {source}")]
    Area {
        flag: &'static str,
        path: PathBuf,
        source: AreaError,
    },
    /// Coordinates that are no shape to ask about.
    #[error("{flag}: {path}: {what}")]
    Shape {
        flag: &'static str,
        path: PathBuf,
        what: String,
    },
    /// A file named by a flag that cannot be read.
    #[error("{flag}: {path}: cannot read: {source}")]
    Unreadable {
        flag: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// A key, checkpoint or proof in a file that is none.
    #[error("{path}: {source}")]
    Evidence {
        path: PathBuf,
        source: blocknet_proof::Error,
    },
    /// A timestamp, its request or its authority's certificates.
    #[error("{path}: {source}")]
    Timestamp {
        path: PathBuf,
        source: blocknet_timestamp::Error,
    },
    #[error("{path}: cannot {operation}: {source}")]
    File {
        operation: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// An import that wrote something before it stopped.
    #[error("{cause}\nimport stopped: {stored}")]
    Stopped {
        cause: Box<CliError>,
        stored: String,
    },
    /// Standard output or standard error.
    #[error("cannot write the answer: {0}")]
    Output(io::Error),
}

impl CliError {
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Usage(message.into())
    }
}

pub(crate) type Result<T, E = CliError> = std::result::Result<T, E>;
