//! The crate's error: a kind that says what to do, and a line that says what happened where.

use std::fmt;
use std::path::{Path, PathBuf};

/// What the caller of a failed operation should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request cannot be carried out as it stands: correct the call. Nothing changed.
    Invalid,
    /// There is no store at the given place: create one, or correct the path. Nothing changed.
    NotFound,
    /// The operating system refused: remove the cause it names, then reopen the store.
    Io,
    /// Stored bytes are missing or not what was written: move the directory aside and rebuild
    /// the store from the journal. Never open it for writing in the hope that it works.
    Corrupt,
    /// Not now: another process has the store open, or the back end is busy. Try again later.
    Unavailable,
    /// An earlier write failed, so memory and disk may differ: drop the handle and reopen.
    Poisoned,
}

impl ErrorKind {
    /// The advice that ends the printed line.
    fn remedy(self) -> &'static str {
        match self {
            Self::Invalid => "correct the call",
            Self::NotFound => "create the store or correct the path",
            Self::Io => "remove the cause, then reopen the store",
            Self::Corrupt => "move the directory aside and rebuild it from the journal",
            Self::Unavailable => "try again later",
            Self::Poisoned => "drop the store and reopen it",
        }
    }
}

/// A failed operation of a store.
///
/// Its printed form is one line: place, operation, what happened, what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    operation: &'static str,
    path: Option<PathBuf>,
    table: Option<&'static str>,
    detail: String,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, operation: &'static str, detail: impl Into<String>) -> Self {
        Self {
            kind,
            operation,
            path: None,
            table: None,
            detail: detail.into(),
        }
    }

    #[cfg(feature = "rocks")]
    pub(crate) fn at(mut self, path: &Path) -> Self {
        self.path = Some(path.to_path_buf());
        self
    }

    pub(crate) fn in_table(mut self, name: &'static str) -> Self {
        self.table = Some(name);
        self
    }

    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The attempted operation, such as `get` or `open`.
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// The file or directory concerned; `None` for a store in memory.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The table concerned, where it was one.
    pub fn table(&self) -> Option<&'static str> {
        self.table
    }

    /// What happened, in words; for people, not for programs.
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.path {
            write!(f, "{}: ", path.display())?;
        }
        if let Some(table) = self.table {
            write!(f, "table {table}: ")?;
        }
        write!(
            f,
            "{}: {} ({})",
            self.operation,
            self.detail,
            self.kind.remedy()
        )
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printed_line_names_place_operation_cause_and_remedy() {
        let error = Error::new(ErrorKind::Unavailable, "open", "locked").in_table("records");
        assert_eq!(
            error.to_string(),
            "table records: open: locked (try again later)"
        );
        assert_eq!(error.path(), None);
        assert_eq!(error.operation(), "open");
        assert_eq!(error.detail(), "locked");
    }
}
