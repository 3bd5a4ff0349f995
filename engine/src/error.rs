//! What can go wrong, by what the caller can do about it.

use std::fmt;
use std::path::PathBuf;

use crate::record::Version;

/// The result of an engine operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a caller can do about an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An argument is outside its documented range. Nothing was written: correct it and call again.
    Invalid,
    /// The store, layer or commit asked for does not exist. Create it or correct the name.
    NotFound,
    /// A precondition did not hold. Nothing was written: read the entity again and decide.
    Conflict,
    /// The operating system failed. Look at the path and the cause; retry when it is mended.
    Io,
    /// Stored bytes are damaged or do not fit together. Nothing was answered from them.
    Corrupt,
    /// Both copies of a version were damaged, and a repair could bring back only part of it: the
    /// text names it, and `verify` lists all. Everything else can be read; state the version anew.
    Lost,
    /// The bytes were written by a format this release does not read. Use the release named.
    Version,
    /// An earlier failure left the handle unusable. Close it and open the store again.
    Poisoned,
    /// The commit may or may not be durable. Open the store again and look before retrying.
    OutcomeUnknown,
    /// Somebody else has the store open. Wait, or end the process named.
    Locked,
    /// The handle was opened for reading only.
    ReadOnly,
    /// The clock stands far before the last write. Set it right, or accept it explicitly.
    Clock,
}

/// A failed engine operation: its [`kind`](Error::kind) says what to do, its text what happened.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    detail: Box<Detail>,
}

#[derive(Debug)]
struct Detail {
    message: String,
    path: Option<PathBuf>,
    conflict: Option<Conflict>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// A precondition that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Position of the assertion in the request.
    pub assertion: usize,
    /// The entity's newest version, if it has one.
    pub found: Option<Version>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            detail: Box::new(Detail {
                message: message.into(),
                path: None,
                conflict: None,
                source: None,
            }),
        }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    pub(crate) fn corrupt(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Corrupt, message)
    }

    pub(crate) fn conflict(message: impl Into<String>, conflict: Conflict) -> Self {
        let mut error = Self::new(ErrorKind::Conflict, message);
        error.detail.conflict = Some(conflict);
        error
    }

    pub(crate) fn io(operation: &str, path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        let mut error = Self::new(ErrorKind::Io, format!("cannot {operation}"));
        error.detail.path = Some(path.into());
        error.detail.source = Some(Box::new(source));
        error
    }

    #[must_use]
    pub(crate) fn at(mut self, path: impl Into<PathBuf>) -> Self {
        if self.detail.path.is_none() {
            self.detail.path = Some(path.into());
        }
        self
    }

    pub(crate) fn caused(
        kind: ErrorKind,
        message: impl Into<String>,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        let mut error = Self::new(kind, message);
        error.detail.source = Some(Box::new(source));
        error
    }

    /// An error of kind [`ErrorKind::Invalid`] for an argument that a crate above the engine
    /// refuses; `why` names the value and the range.
    pub fn refused(why: impl Into<String>) -> Self {
        Self::invalid(why)
    }

    /// What the caller can do.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The file or directory concerned, where there is one.
    pub fn path(&self) -> Option<&std::path::Path> {
        self.detail.path.as_deref()
    }

    /// The precondition that failed, for [`ErrorKind::Conflict`].
    pub fn conflict_found(&self) -> Option<&Conflict> {
        self.detail.conflict.as_ref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.detail.path {
            write!(f, "{}: ", path.display())?;
        }
        f.write_str(&self.detail.message)?;
        if let Some(source) = &self.detail.source {
            write!(f, ": {source}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.detail
            .source
            .as_deref()
            .map(|source| source as &(dyn std::error::Error + 'static))
    }
}

impl From<blocknet_kv::Error> for Error {
    fn from(error: blocknet_kv::Error) -> Self {
        use blocknet_kv::ErrorKind as Kv;
        let (kind, message) = match error.kind() {
            Kv::Io => (ErrorKind::Io, "tables"),
            Kv::Corrupt => (
                ErrorKind::Corrupt,
                "tables are damaged; nothing is lost: move the directory `tables` away and open \
                 the store for writing, which rebuilds it from the journal",
            ),
            Kv::Invalid => (ErrorKind::Invalid, "tables"),
            _ => (
                ErrorKind::Poisoned,
                "tables; nothing is lost: open the store again, and if that fails too move the \
                 directory `tables` away, which rebuilds it from the journal",
            ),
        };
        Self::caused(kind, message, error)
    }
}

impl From<blocknet_wal::Error> for Error {
    fn from(error: blocknet_wal::Error) -> Self {
        use blocknet_wal::ErrorKind as Wal;
        let kind = match error.kind() {
            Wal::Invalid => ErrorKind::Invalid,
            Wal::Io => ErrorKind::Io,
            Wal::Version => ErrorKind::Version,
            Wal::Poisoned => ErrorKind::Poisoned,
            _ => ErrorKind::Corrupt,
        };
        Self::caused(kind, "journal", error)
    }
}

impl From<blocknet_geocode::Error> for Error {
    fn from(error: blocknet_geocode::Error) -> Self {
        Self::caused(ErrorKind::Invalid, "geocode", error)
    }
}

/// Why bytes could not be decoded; the caller of a decoder adds where they came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Truncated { need: usize, have: usize },
    Trailing { bytes: usize },
    Value { what: &'static str },
    Format { found: u8, known: u8 },
    Lost { version: Version },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { need, have } => {
                write!(f, "ends early: {need} more bytes needed, {have} left")
            }
            Self::Trailing { bytes } => write!(f, "{bytes} bytes too many"),
            Self::Value { what } => write!(f, "{what} has a value that is never written"),
            Self::Format { found, known } => write!(
                f,
                "written in format {found}, and this release reads {known}; use the release that \
                 wrote it"
            ),
            Self::Lost { version } => write!(
                f,
                "version {version} is lost: both copies of it were damaged, and a repair could \
                 prove only part of it"
            ),
        }
    }
}

impl Fault {
    pub(crate) fn in_table(self, table: &str, key: &[u8]) -> Error {
        if let Self::Lost { .. } = self {
            let row = Hex(key);
            return Error::new(ErrorKind::Lost, format!("`{table}`, row {row}: {self}"));
        }
        Error::corrupt(format!(
            "tables: `{table}`, row {}: {self}; move the directory `tables` away and open the \
             store for writing, which rebuilds it from the journal",
            Hex(key)
        ))
    }
}

/// Bytes as hexadecimal digits, for messages.
pub(crate) struct Hex<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
