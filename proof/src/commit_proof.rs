//! A commit is in the log: a C2SP tlog-proof whose extra data is the commit header.
#![warn(clippy::indexing_slicing)]

use crate::error::{Error, Result};
use crate::hash::Hash;
use crate::key::Keys;
use crate::log::{PROOF_HASHES_MAX, includes};
use crate::note::Note;
use crate::record::{COMMIT_LEN_BYTES_MAX, Commit};
use crate::report::{Report, Shown};
use crate::text::{Lines, base64, checked};

pub(crate) const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";

/// Proof that a commit is in the log of a checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct CommitProof {
    /// The encoded commit header.
    pub header: Vec<u8>,
    /// Index of the commit in the log: its number less one.
    pub index: u64,
    /// From the leaf's sibling up (RFC 6962, section 2.1.1).
    pub path: Vec<Hash>,
    /// The checkpoint.
    pub note: Note,
}

impl CommitProof {
    /// The file.
    pub fn encode(&self) -> String {
        let mut text = format!(
            "{FIRST_LINE}\nextra {}\nindex {}\n",
            base64(&self.header),
            self.index
        );
        for hash in &self.path {
            text.push_str(&base64(hash));
            text.push('\n');
        }
        text.push('\n');
        text.push_str(&self.note.encode());
        text
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::Line`], [`Error::Limit`].
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let text = checked(bytes, crate::FILE_LEN_BYTES_MAX)?;
        let mut lines = Lines::new(text);
        lines.expect(FIRST_LINE, "not a proof of a commit")?;
        let mut tokens = lines.tokens("extra")?;
        let header = tokens.bytes(COMMIT_LEN_BYTES_MAX)?;
        tokens.finish()?;
        let mut tokens = lines.tokens("index")?;
        let index = tokens.decimal()?;
        tokens.finish()?;
        let path = hash_lines(&mut lines)?;
        let (rest, number) = lines.rest();
        let proof = Self {
            header,
            index,
            path,
            note: Note::read(rest, number)?,
        };
        canonical(text, &proof.encode())?;
        Ok(proof)
    }

    /// Checks that the checkpoint is signed and the commit in its log.
    ///
    /// # Errors
    /// Any [`Error`]: the proof shows nothing.
    pub fn verify(&self, keys: &Keys) -> Result<Report> {
        let signers = self.note.open(keys)?;
        Ok(Report {
            checkpoint: *self.note.checkpoint(),
            signers,
            shown: self.check()?,
        })
    }

    /// Checks all but the signatures: for whoever makes a proof.
    ///
    /// # Errors
    /// Any [`Error`].
    pub fn check(&self) -> Result<Shown> {
        let checkpoint = self.note.checkpoint();
        let commit = Commit::decode(&self.header, &checkpoint.net())?;
        let item = || format!("commit {}", commit.number);
        if commit.number.checked_sub(1) != Some(self.index) {
            return Err(Error::refuted(item(), "stands at the index of another"));
        }
        let (size, root) = (checkpoint.size(), checkpoint.root());
        if !includes(&self.path, size, &root, commit.number, &commit.hash) {
            return Err(Error::refuted(item(), "not in the log of the checkpoint"));
        }
        Ok(Shown::Commit(commit))
    }
}

/// Lines with a hash each, up to an empty one.
pub(crate) fn hash_lines(lines: &mut Lines<'_>) -> Result<Vec<Hash>> {
    let mut hashes = Vec::new();
    while lines.peek().is_some_and(|line| !line.is_empty()) {
        if hashes.len() == PROOF_HASHES_MAX {
            return Err(Error::Limit {
                what: "hashes of a proof in the log",
                found: PROOF_HASHES_MAX as u64 + 1,
                limit: PROOF_HASHES_MAX as u64,
            });
        }
        hashes.push(lines.hash()?);
    }
    lines.expect("", "an empty line is due")?;
    Ok(hashes)
}

/// Whether a file is exactly what would be written for what was read from it. Decoding is strict, so
/// this finds nothing unless a decoder forgets something.
pub(crate) fn canonical(text: &str, encoded: &str) -> Result<()> {
    if text == encoded {
        return Ok(());
    }
    let line = text
        .lines()
        .zip(encoded.lines())
        .take_while(|(a, b)| a == b)
        .count()
        + 1;
    Err(Error::Line {
        line,
        what: "not in its canonical form",
    })
}
