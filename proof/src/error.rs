//! What can be wrong with a key, a checkpoint or a proof.

/// Result of everything here.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a key, a checkpoint or a proof is refused. A message names the place and, where there is
/// something to do, what.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file is not in the form that is written. Lines count from 1.
    #[error("line {line}: {what}; the file was changed, or is of another format: get it anew")]
    Line {
        /// The line.
        line: usize,
        /// What is wrong there.
        what: &'static str,
    },
    /// Something is larger than is ever written.
    #[error("{what}: {found} is above the limit of {limit}")]
    Limit {
        /// What is too large.
        what: &'static str,
        /// Its size, or so much of it as was looked at.
        found: u64,
        /// The greatest size.
        limit: u64,
    },
    /// Encoded bytes inside a proof are none that a net writes.
    #[error("{item}: {what}")]
    Bytes {
        /// What was being decoded.
        item: &'static str,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Everything could be read, and does not fit together.
    #[error("{item}: {what}; this proof shows nothing")]
    Refuted {
        /// Where in the proof, for example "commit 7".
        item: String,
        /// What does not fit.
        what: &'static str,
    },
    /// A key's text is not in its form.
    #[error("key: {0}")]
    Key(&'static str),
    /// No log key given has signed.
    #[error("checkpoint {origin}: not signed by any log key given; give the net's public key")]
    Unsigned {
        /// Origin of the checkpoint.
        origin: String,
    },
    /// A signature line is by a key that was not given.
    #[error("signature by {name}+{id:08x}: unknown key; give its public key, or remove the line")]
    UnknownKey {
        /// The key's name.
        name: String,
        /// The key's id.
        id: u32,
    },
    /// A signature is not that of the key it names.
    #[error("signature by {name}+{id:08x}: does not fit the checkpoint")]
    Signature {
        /// The key's name.
        name: String,
        /// The key's id.
        id: u32,
    },
    /// A witness whose key was given has not cosigned.
    #[error("witness {name}: its key was given, but it has not cosigned this checkpoint")]
    WitnessMissing {
        /// The witness's name.
        name: String,
    },
    /// A witness does not cosign.
    #[error("{0}")]
    Witness(#[from] crate::witness::Refusal),
    /// No random numbers could be had from the operating system.
    #[error("random numbers of the operating system: {0}")]
    Random(String),
}

impl Error {
    pub(crate) fn refuted(item: impl Into<String>, what: &'static str) -> Self {
        Self::Refuted {
            item: item.into(),
            what,
        }
    }
}
