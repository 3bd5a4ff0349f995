//! Checkpoints and proofs of a net: what can be shown and checked without the net.
//!
//! A net is a log of commits. A [`Checkpoint`] is its head: how many commits there are and the
//! RFC 6962 root over their hashes, signed by the net's key and perhaps cosigned by witnesses (see
//! [`witness`]). A proof ties one thing to a checkpoint: a commit ([`CommitProof`]), the versions
//! of an entity ([`HistoryProof`]), or an earlier checkpoint ([`ConsistencyProof`]). It is one text
//! file that holds everything needed but the keys, which whoever checks it must have from elsewhere.
//!
//! The formats, their meaning, and the arguments why they hold stand in `docs/proof.md`. This crate
//! is an independent reading of `docs/format.md`: it shares no code with the engine that writes
//! these bytes, so a mistake in either shows.
//!
//! Bytes of files are hostile here: nothing is allocated by a length that was not compared with the
//! bytes at hand, every count has a limit, and each file has exactly one form ("canonical"), so that
//! no changed byte goes unnoticed.
//!
//! # Example
//!
//! ```
//! use blocknet_proof::{Checkpoint, Keys, Note, Role, SecretKey};
//!
//! # fn main() -> Result<(), blocknet_proof::Error> {
//! let key = SecretKey::generate("city.example/blocknet", Role::Log)?;
//! let checkpoint = Checkpoint::new([7; 16], 3, [9; 32])?;
//! let mut note = Note::new(checkpoint);
//! note.sign(&key)?;
//!
//! let keys = Keys::new(vec![key.public()], Vec::new())?;
//! let note = Note::decode(note.encode().as_bytes())?;
//! let signers = note.open(&keys)?;
//! assert_eq!(note.checkpoint().size(), 3);
//! assert_eq!(signers[0].name, "city.example/blocknet");
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod commit_proof;
mod consistency;
mod error;
mod hash;
mod history;
mod key;
pub mod log;
mod note;
mod record;
mod report;
mod text;
pub mod witness;

pub use commit_proof::CommitProof;
pub use consistency::ConsistencyProof;
pub use error::{Error, Result};
pub use hash::{Gap, Hash, Leaf, Path, Side, Step, Tree};
pub use history::{
    Apart, CommitVersions, Filed, HistoryProof, LaterCommit, PayloadPart, Since, VersionPart,
};
pub use key::{Keys, PublicKey, Role, SecretKey, write_new_pair};
pub use note::{Checkpoint, Note, Signer};
pub use record::{Basis, BlockVersion, Commit, Extent, Kind, Version};
pub use report::{History, Payload, Report, Shown, ShownVersion, Untouched};

/// Largest proof file, in bytes: 64 MiB.
pub const FILE_LEN_BYTES_MAX: usize = 64 << 20;

/// A proof of any kind, as its file says in the first line.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Proof {
    /// A commit is in the log.
    Commit(CommitProof),
    /// Versions of an entity, and perhaps that the last of them was not touched since.
    History(HistoryProof),
    /// One checkpoint extends another.
    Consistency(ConsistencyProof),
}

impl Proof {
    /// Reads a proof file.
    ///
    /// # Errors
    /// [`Error::Line`] or [`Error::Limit`] when the file is none in the form that is written, with
    /// the line.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let text = text::checked(bytes, FILE_LEN_BYTES_MAX)?;
        let first = text.split_once('\n').map_or(text, |(first, _)| first);
        match first {
            commit_proof::FIRST_LINE => CommitProof::decode(bytes).map(Self::Commit),
            history::FIRST_LINE => HistoryProof::decode(bytes).map(Self::History),
            consistency::FIRST_LINE => ConsistencyProof::decode(bytes).map(Self::Consistency),
            _ => Err(Error::Line {
                line: 1,
                what: "names no kind of proof that this release knows",
            }),
        }
    }

    /// The file.
    pub fn encode(&self) -> String {
        match self {
            Self::Commit(proof) => proof.encode(),
            Self::History(proof) => proof.encode(),
            Self::Consistency(proof) => proof.encode(),
        }
    }

    /// Checks a proof with the keys given.
    ///
    /// # Errors
    /// Any [`Error`]: the proof shows nothing.
    pub fn verify(&self, keys: &Keys) -> Result<Report> {
        match self {
            Self::Commit(proof) => proof.verify(keys),
            Self::History(proof) => proof.verify(keys),
            Self::Consistency(proof) => proof.verify(keys),
        }
    }
}

/// Reads and checks a proof file: see [`Proof::decode`] and [`Proof::verify`].
///
/// # Errors
/// Any [`Error`]: the file shows nothing.
pub fn verify(bytes: &[u8], keys: &Keys) -> Result<Report> {
    Proof::decode(bytes)?.verify(keys)
}
