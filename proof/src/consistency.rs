//! One checkpoint extends another: nothing that was in the log was changed or taken out.
#![warn(clippy::indexing_slicing)]

use crate::commit_proof::{canonical, hash_lines};
use crate::error::{Error, Result};
use crate::hash::Hash;
use crate::key::Keys;
use crate::log::extends;
use crate::note::Note;
use crate::report::{Report, Shown};
use crate::text::{Lines, base64, checked};

pub(crate) const FIRST_LINE: &str = "blocknet/consistency-proof@v1";

/// Proof that the log of a checkpoint begins with that of an earlier one.
#[derive(Clone, Debug, PartialEq)]
pub struct ConsistencyProof {
    /// RFC 6962, section 2.1.2.
    pub hashes: Vec<Hash>,
    /// The earlier checkpoint.
    pub from: Note,
    /// The later one.
    pub to: Note,
}

impl ConsistencyProof {
    /// The file.
    pub fn encode(&self) -> String {
        let mut text = format!("{FIRST_LINE}\n");
        for hash in &self.hashes {
            text.push_str(&base64(hash));
            text.push('\n');
        }
        text.push('\n');
        text.push_str(&self.from.encode());
        text.push('\n');
        text.push_str(&self.to.encode());
        text
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::Line`], [`Error::Limit`].
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let text = checked(bytes, crate::FILE_LEN_BYTES_MAX)?;
        let mut lines = Lines::new(text);
        lines.expect(FIRST_LINE, "not a consistency proof")?;
        let hashes = hash_lines(&mut lines)?;
        let (rest, number) = lines.rest();
        // The first note: three lines, an empty one, and the signatures up to the next empty one.
        let mut notes = rest.splitn(3, "\n\n");
        let early = |line| Error::Line {
            line,
            what: "two signed checkpoints are due",
        };
        let (Some(body), Some(signatures), Some(to)) = (notes.next(), notes.next(), notes.next())
        else {
            return Err(early(number + 1));
        };
        let from = format!("{body}\n\n{signatures}\n");
        let to_line = number + from.lines().count() + 1;
        let proof = Self {
            hashes,
            from: Note::read(&from, number)?,
            to: Note::read(to, to_line)?,
        };
        canonical(text, &proof.encode())?;
        Ok(proof)
    }

    /// Checks that both checkpoints are signed and that the later extends the earlier.
    ///
    /// # Errors
    /// Any [`Error`]: the proof shows nothing.
    pub fn verify(&self, keys: &Keys) -> Result<Report> {
        let from_signers = self.from.open(keys)?;
        let signers = self.to.open(keys)?;
        self.check()?;
        Ok(Report {
            checkpoint: *self.to.checkpoint(),
            signers,
            shown: Shown::Consistency {
                from: *self.from.checkpoint(),
                from_signers,
            },
        })
    }

    /// Checks all but the signatures: for whoever makes a proof, and for witnesses.
    ///
    /// # Errors
    /// Any [`Error`].
    pub fn check(&self) -> Result<()> {
        let (from, to) = (self.from.checkpoint(), self.to.checkpoint());
        if from.net() != to.net() {
            return Err(Error::refuted("checkpoints", "they are of two nets"));
        }
        if !extends(
            &self.hashes,
            from.size(),
            &from.root(),
            to.size(),
            &to.root(),
        ) {
            let item = format!("checkpoint of {} commits", to.size());
            return Err(Error::refuted(item, "not shown to extend the earlier one"));
        }
        Ok(())
    }
}
