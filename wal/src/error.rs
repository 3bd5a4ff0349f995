//! What can go wrong, by what the caller can do about it, with the place in full.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// What a caller can do about an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An argument is outside its documented range. Nothing was written: correct it, call again.
    Invalid,
    /// The operating system failed and the journal is as it was before the call. Look at the path
    /// and the cause; call again when it is mended.
    Io,
    /// Stored bytes are damaged or do not fit together. Nothing was changed: repair the named
    /// place from another copy, do not write to the journal before.
    Corrupt,
    /// The bytes were written in a format that this release does not read. Use a newer release.
    Version,
    /// A sync, or the undoing of a failed write, failed: what is on disk is unknown, so this
    /// handle writes no more. Reading goes on. Drop it, open the journal again and look which
    /// frames are there.
    Poisoned,
}

/// What is wrong with some bytes. Says neither file nor place: [`Corruption`] does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Fewer bytes than the structure needs.
    Truncated {
        /// Bytes needed from the start of the structure.
        need: u64,
        /// Bytes there are.
        have: u64,
    },
    /// A checksum does not fit its bytes.
    Checksum {
        /// As stored.
        stored: u32,
        /// As computed over the bytes read.
        computed: u32,
    },
    /// The bytes do not begin as the structure must; for a frame the mark depends on the segment.
    Magic {
        /// The mark that must stand here, read as a little-endian number.
        expected: u64,
        /// What stands here.
        found: u64,
    },
    /// Padding that must be zero is not.
    Padding,
    /// An erasable section does not begin with its mark.
    Marker {
        /// What stands where the mark must be.
        found: u32,
    },
    /// Bytes follow the end of the log where only zeros may be.
    Leftover,
    /// A field has a value that no writer gives it, under a checksum that fits.
    Value {
        /// The field's name in the format description.
        field: &'static str,
        /// Its value.
        found: u64,
    },
    /// A number that must continue the one before it does not.
    Sequence {
        /// The number that must follow.
        expected: u64,
        /// The number that stands there.
        found: u64,
    },
    /// The chain value is not the one the bytes before it end in.
    BrokenChain,
    /// The file belongs to another store.
    ForeignStore,
    /// A file that must exist does not.
    Missing,
    /// Something that is not a regular file stands where a file must be.
    NotAFile,
    /// A format version that this release does not read.
    Version {
        /// The version stored.
        found: u32,
        /// The version this release reads.
        supported: u32,
    },
    /// Damage before a point that is known to have been synced: not a torn tail.
    Synced {
        /// Length in bytes of the part of the file that had been synced.
        synced_len_bytes: u64,
        /// What is wrong with the bytes.
        cause: Box<Fault>,
    },
    /// The journal ends before a frame that somebody else knows to have been durable.
    Lost {
        /// The newest frame known to have been durable.
        witness_seq: u64,
        /// The newest frame found.
        last_seq: u64,
    },
}

impl Fault {
    /// True for faults that an interrupted write can leave behind; the others stand under a
    /// checksum that fits and so were never written by this crate.
    pub(crate) fn may_be_torn(&self) -> bool {
        matches!(
            self,
            Self::Truncated { .. }
                | Self::Checksum { .. }
                | Self::Magic { .. }
                | Self::Padding
                | Self::Marker { .. }
                | Self::Leftover
        )
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { need, have } => write!(f, "needs {need} bytes, has {have}"),
            Self::Checksum { stored, computed } => {
                write!(
                    f,
                    "checksum stored {stored:#010x}, computed {computed:#010x}"
                )
            }
            Self::Magic { expected, found } => {
                write!(
                    f,
                    "begins with {found:#018x}, must begin with {expected:#018x}"
                )
            }
            Self::Padding => f.write_str("padding is not zero"),
            Self::Marker { found } => {
                write!(f, "{found:#010x} is not the mark of an erasable section")
            }
            Self::Leftover => f.write_str("bytes after the end that are not zero"),
            Self::Value { field, found } => write!(f, "impossible {field} {found}"),
            Self::Sequence { expected, found } => {
                write!(f, "number {found} where {expected} must follow")
            }
            Self::BrokenChain => f.write_str("chain value does not continue the one before"),
            Self::ForeignStore => f.write_str("belongs to another store"),
            Self::Missing => f.write_str("missing"),
            Self::NotAFile => f.write_str("not a regular file"),
            Self::Version { found, supported } => {
                write!(f, "format version {found}, this release reads {supported}")
            }
            Self::Synced {
                synced_len_bytes,
                cause,
            } => write!(
                f,
                "{cause}, although the file had been synced up to byte {synced_len_bytes}"
            ),
            Self::Lost {
                witness_seq,
                last_seq,
            } => write!(
                f,
                "the journal ends at frame {last_seq}, but frame {witness_seq} had been durable"
            ),
        }
    }
}

/// Where bytes are damaged, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Corruption {
    /// The file.
    pub file: PathBuf,
    /// Distance from the start of the file to the damaged structure, in bytes.
    pub offset_bytes: u64,
    /// The structure that is damaged, such as "frame header".
    pub what: &'static str,
    /// What is wrong with it.
    pub fault: Fault,
}

impl fmt::Display for Corruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            offset_bytes,
            what,
            fault,
        } = self;
        write!(
            f,
            "{} at byte {offset_bytes}: {what}: {fault}",
            file.display()
        )
    }
}

/// A failed journal operation: [`kind`](Error::kind) says what to do, the text what happened.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    // Boxed: results are returned by value on the hot path, failures are rare.
    detail: Box<Detail>,
}

#[derive(Debug)]
enum Detail {
    Invalid(String),
    Io {
        operation: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    Corrupt(Corruption),
    Poisoned {
        cause: String,
        source: Option<io::Error>,
    },
}

impl Error {
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, Detail::Invalid(message.into()))
    }

    pub(crate) fn io(operation: &'static str, path: &Path, source: io::Error) -> Self {
        Self::new(
            ErrorKind::Io,
            Detail::Io {
                operation,
                path: path.to_owned(),
                source,
            },
        )
    }

    /// An unknown format version becomes [`ErrorKind::Version`], anything else
    /// [`ErrorKind::Corrupt`].
    pub(crate) fn corrupt(
        file: &Path,
        offset_bytes: u64,
        what: &'static str,
        fault: Fault,
    ) -> Self {
        let kind = if matches!(fault, Fault::Version { .. }) {
            ErrorKind::Version
        } else {
            ErrorKind::Corrupt
        };
        let file = file.to_owned();
        Self::new(
            kind,
            Detail::Corrupt(Corruption {
                file,
                offset_bytes,
                what,
                fault,
            }),
        )
    }

    pub(crate) fn poisoned(cause: String, source: Option<io::Error>) -> Self {
        Self::new(ErrorKind::Poisoned, Detail::Poisoned { cause, source })
    }

    fn new(kind: ErrorKind, detail: Detail) -> Self {
        Self {
            kind,
            detail: Box::new(detail),
        }
    }

    /// What the caller can do.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The damaged place, where stored bytes are the cause.
    pub fn corruption(&self) -> Option<&Corruption> {
        match &*self.detail {
            Detail::Corrupt(corruption) => Some(corruption),
            _ => None,
        }
    }

    /// The file or directory concerned, where there is one.
    pub fn path(&self) -> Option<&Path> {
        match &*self.detail {
            Detail::Io { path, .. } => Some(path),
            Detail::Corrupt(corruption) => Some(&corruption.file),
            _ => None,
        }
    }

    /// The operating system's error, where there is one.
    pub fn io_error(&self) -> Option<&io::Error> {
        match &*self.detail {
            Detail::Io { source, .. } => Some(source),
            Detail::Poisoned { source, .. } => source.as_ref(),
            _ => None,
        }
    }

    /// The failure and its place without the remedy, as the cause of a poisoned handle.
    pub(crate) fn into_cause(self) -> (String, Option<io::Error>) {
        match *self.detail {
            Detail::Io {
                operation,
                path,
                source,
            } => (
                format!("{}: cannot {operation}: {source}", path.display()),
                Some(source),
            ),
            Detail::Poisoned { cause, source } => (cause, source),
            Detail::Invalid(message) => (message, None),
            Detail::Corrupt(corruption) => (corruption.to_string(), None),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.detail {
            Detail::Invalid(message) => write!(f, "{message}; nothing was written"),
            Detail::Io {
                operation,
                path,
                source,
            } => {
                write!(f, "{}: cannot {operation}: {source}", path.display())?;
                f.write_str("; the journal is unchanged, retry when the cause is mended")
            }
            Detail::Corrupt(corruption) if self.kind == ErrorKind::Version => {
                write!(f, "{corruption}; open it with a newer release")
            }
            Detail::Corrupt(corruption) => {
                write!(
                    f,
                    "{corruption}; nothing was changed, repair it from another copy"
                )
            }
            Detail::Poisoned { cause, .. } => {
                write!(
                    f,
                    "the journal takes no more writes ({cause}); open it again"
                )
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.io_error().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_prints_file_place_fault_and_remedy() {
        let fault = Fault::Checksum {
            stored: 0x1a2b_3c4d,
            computed: 0x5e6f_7081,
        };
        let file = Path::new("journal/0000000000000042.wal");
        let error = Error::corrupt(file, 8192, "frame header", fault);
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert_eq!(
            error.to_string(),
            "journal/0000000000000042.wal at byte 8192: frame header: checksum stored 0x1a2b3c4d, \
             computed 0x5e6f7081; nothing was changed, repair it from another copy"
        );
    }

    #[test]
    fn an_unknown_version_is_not_called_damage() {
        let fault = Fault::Version {
            found: 2,
            supported: 1,
        };
        let error = Error::corrupt(Path::new("j"), 8, "segment header", fault);
        assert_eq!(error.kind(), ErrorKind::Version);
        assert!(error.to_string().ends_with("open it with a newer release"));
    }

    #[test]
    fn a_poisoned_handle_keeps_the_first_cause() {
        let error = Error::io("sync", Path::new("j"), io::Error::other("disk on fire"));
        let (cause, source) = error.into_cause();
        let error = Error::poisoned(cause, source);
        assert_eq!(
            error.to_string(),
            "the journal takes no more writes (j: cannot sync: disk on fire); open it again"
        );
        assert!(error.io_error().is_some());
    }
}
