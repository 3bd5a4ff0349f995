//! Checkpoints (C2SP tlog-checkpoint) and the signed notes that carry them (C2SP signed-note).
#![warn(clippy::indexing_slicing)]

use crate::error::{Error, Result};
use crate::hash::Hash;
use crate::key::{Keys, PublicKey, Role, SecretKey};
use crate::text::{Lines, base64, checked, hex};
use crate::witness;

/// Largest file with a checkpoint, in bytes.
const NOTE_LEN_BYTES_MAX: usize = 64 << 10;
/// Most signature lines under a checkpoint. The specification asks for at least 16.
pub(crate) const SIGNATURES_MAX: usize = 32;
/// Most commits of a log: so that sums of sizes stay in range.
pub(crate) const SIZE_MAX: u64 = i64::MAX as u64;

/// The head of a net's log: its text has three lines, the origin `blocknet/` and the net's id in
/// hexadecimal, the number of commits, and the root in base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    net: [u8; 16],
    size: u64,
    root: Hash,
}

impl Checkpoint {
    /// A head of `size` commits with the RFC 6962 root `root` over their hashes.
    ///
    /// # Errors
    /// [`Error::Limit`] when `size` is 0 (commit 1 makes the net) or above 2^63 - 1.
    pub fn new(net: [u8; 16], size: u64, root: Hash) -> Result<Self> {
        if size == 0 || size > SIZE_MAX {
            return Err(Error::Limit {
                what: "commits of a checkpoint (at least 1)",
                found: size,
                limit: SIZE_MAX,
            });
        }
        Ok(Self { net, size, root })
    }

    /// The net's id.
    pub fn net(&self) -> [u8; 16] {
        self.net
    }

    /// Number of commits, which is the number of the last.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// RFC 6962 root over the hashes of commits 1 to `size`.
    pub fn root(&self) -> Hash {
        self.root
    }

    /// Its first line.
    pub fn origin(&self) -> String {
        format!("blocknet/{}", hex(&self.net))
    }

    /// Its text: what is signed.
    pub fn encode(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin(), self.size, base64(&self.root))
    }

    fn read(lines: &mut Lines<'_>) -> Result<Self> {
        let net = lines
            .next()?
            .strip_prefix("blocknet/")
            .and_then(net_id)
            .ok_or_else(|| {
                lines.error("an origin is blocknet/ and 32 hexadecimal digits in lower case")
            })?;
        let size = crate::text::decimal(lines.next()?)
            .filter(|size| (1..=SIZE_MAX).contains(size))
            .ok_or_else(|| lines.error("a number of commits from 1 is due"))?;
        let root = lines.hash()?;
        Ok(Self { net, size, root })
    }
}

fn net_id(text: &str) -> Option<[u8; 16]> {
    let lower = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if text.len() != 32 || !text.bytes().all(lower) {
        return None;
    }
    u128::from_str_radix(text, 16).ok().map(u128::to_be_bytes)
}

/// Whose signature on a checkpoint was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    /// Name of the key.
    pub name: String,
    /// Id of the key.
    pub id: u32,
    /// For a witness, when it says it cosigned, in seconds since 1970-01-01T00:00:00Z.
    pub time: Option<u64>,
}

/// A checkpoint with its signature lines, perhaps none.
#[derive(Clone, Debug, PartialEq)]
pub struct Note {
    checkpoint: Checkpoint,
    signatures: Vec<signed_note::Signature>,
}

impl Note {
    /// A checkpoint that nobody has signed.
    pub fn new(checkpoint: Checkpoint) -> Self {
        Self {
            checkpoint,
            signatures: Vec::new(),
        }
    }

    /// Reads a signed note, or the bare text of a checkpoint. No signature is checked: see
    /// [`Note::open`].
    ///
    /// # Errors
    /// [`Error::Line`] when it is not in the form that is written, with no extension lines;
    /// [`Error::Limit`] above 64 KiB or 32 signatures.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        Self::read(checked(bytes, NOTE_LEN_BYTES_MAX)?, 0)
    }

    /// Reads a note that stands in a file after so many lines, up to the end.
    pub(crate) fn read(text: &str, lines_before: usize) -> Result<Self> {
        let mut lines = Lines::new(text);
        let shift = |error| match error {
            Error::Line { line, what } => Error::Line {
                line: line + lines_before,
                what,
            },
            other => other,
        };
        Self::lines(&mut lines).map_err(shift)
    }

    fn lines(lines: &mut Lines<'_>) -> Result<Self> {
        let mut note = Self::new(Checkpoint::read(lines)?);
        if lines.peek().is_none() {
            return Ok(note);
        }
        lines.expect("", "extension lines have no meaning here")?;
        loop {
            let line = lines.next()?;
            let signature = signed_note::Signature::from_bytes(line.as_bytes())
                .ok()
                .filter(|signature| signature.to_bytes() == format!("{line}\n").as_bytes())
                .ok_or_else(|| lines.error("not a signature line in its canonical form"))?;
            let same = |other: &signed_note::Signature| {
                other.name() == signature.name() && other.id() == signature.id()
            };
            if note.signatures.iter().any(same) {
                return Err(lines.error("a second signature by the same key"));
            }
            if note.signatures.len() == SIGNATURES_MAX {
                return Err(Error::Limit {
                    what: "signatures under a checkpoint",
                    found: SIGNATURES_MAX as u64 + 1,
                    limit: SIGNATURES_MAX as u64,
                });
            }
            note.signatures.push(signature);
            if lines.peek().is_none() {
                return Ok(note);
            }
        }
    }

    /// The text: a signed note, or without signatures the checkpoint alone.
    pub fn encode(&self) -> String {
        let mut text = self.checkpoint.encode();
        if !self.signatures.is_empty() {
            text.push('\n');
        }
        for signature in &self.signatures {
            text.push_str(&String::from_utf8_lossy(&signature.to_bytes()));
        }
        text
    }

    /// What was signed. Believe it after [`Note::open`] only.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Names and ids of the keys that the signature lines name, unchecked.
    pub fn claimed_signers(&self) -> impl Iterator<Item = (&str, u32)> {
        self.signatures
            .iter()
            .map(|signature| (signature.name(), signature.id()))
    }

    /// Signs as the log; an earlier signature of the key is replaced.
    ///
    /// # Errors
    /// [`Error::Key`] when the key is that of a witness; [`Error::Limit`] above 32 signatures.
    pub fn sign(&mut self, key: &SecretKey) -> Result<()> {
        if key.role() != Role::Log {
            return Err(Error::Key("a witness's key does not sign as the log"));
        }
        let signature = key.sign(self.checkpoint.encode().as_bytes());
        self.add(&key.public(), signature.to_vec())
    }

    /// Adds a signature in place of an earlier one of the same key.
    pub(crate) fn add(&mut self, key: &PublicKey, signature: Vec<u8>) -> Result<()> {
        self.signatures
            .retain(|other| other.name() != key.name() || other.id() != key.id());
        if self.signatures.len() == SIGNATURES_MAX {
            return Err(Error::Limit {
                what: "signatures under a checkpoint",
                found: SIGNATURES_MAX as u64 + 1,
                limit: SIGNATURES_MAX as u64,
            });
        }
        let signature = signed_note::Signature::new(key.name().to_owned(), key.id(), signature)
            .map_err(|_| Error::Key("the name cannot stand in a signature line"))?;
        self.signatures.push(signature);
        Ok(())
    }

    /// Takes over the signature of one key, if the other note has it.
    pub(crate) fn take_from(&mut self, other: &Self, key: &PublicKey) {
        let by_key =
            |line: &&signed_note::Signature| line.name() == key.name() && line.id() == key.id();
        self.signatures
            .extend(other.signatures.iter().find(by_key).cloned());
    }

    /// Checks every signature line. At least one is by a log key given, every witness given has
    /// cosigned, and no line is by a key that was not given.
    ///
    /// The specification has clients pass over lines of unknown keys. They are refused here, since a
    /// line that nobody checks can be changed unnoticed.
    ///
    /// # Errors
    /// [`Error::UnknownKey`], [`Error::Signature`], [`Error::Unsigned`], [`Error::WitnessMissing`].
    pub fn open(&self, keys: &Keys) -> Result<Vec<Signer>> {
        let text = self.checkpoint.encode();
        let mut signers = Vec::new();
        let mut by_log = false;
        for line in &self.signatures {
            let (name, id) = (line.name().to_owned(), line.id());
            let Some(key) = keys.find(&name, id) else {
                return Err(Error::UnknownKey { name, id });
            };
            let time = match key.role() {
                Role::Log => {
                    by_log = true;
                    key.verifies(text.as_bytes(), line.signature())
                        .then_some(None)
                }
                Role::Witness => witness::verify(key, &text, line.signature()).map(Some),
            };
            match time {
                Some(time) => signers.push(Signer { name, id, time }),
                None => return Err(Error::Signature { name, id }),
            }
        }
        if !by_log {
            let origin = self.checkpoint.origin();
            return Err(Error::Unsigned { origin });
        }
        let missing = keys.witnesses().iter().find(|key| {
            !signers
                .iter()
                .any(|signer| signer.name == key.name() && signer.id == key.id())
        });
        match missing {
            None => Ok(signers),
            Some(key) => Err(Error::WitnessMissing {
                name: key.name().to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8) -> SecretKey {
        SecretKey::from_seed("city.example/net", Role::Log, &[seed; 32]).unwrap()
    }

    fn checkpoint() -> Checkpoint {
        let mut net = [0; 16];
        net[0] = 0xab;
        Checkpoint::new(net, 20, [0xff; 32]).unwrap()
    }

    const NOTE: &str = "blocknet/ab000000000000000000000000000000\n20\n\
        //////////////////////////////////////////8=\n\n";

    #[test]
    fn a_signed_note_has_this_text() {
        let mut note = Note::new(checkpoint());
        assert_eq!(note.encode() + "\n", NOTE);
        assert_eq!(Note::decode(note.encode().as_bytes()).unwrap(), note);
        note.sign(&key(1)).unwrap();
        note.sign(&key(1)).unwrap();
        assert!(note.encode().starts_with(NOTE));
        assert_eq!(note.claimed_signers().count(), 1);
        let read = Note::decode(note.encode().as_bytes()).unwrap();
        assert_eq!(read, note);
        let keys = Keys::new(vec![key(1).public()], Vec::new()).unwrap();
        let signers = read.open(&keys).unwrap();
        assert_eq!(signers[0].name, "city.example/net");
        assert_eq!(signers[0].time, None);
    }

    #[test]
    fn the_reference_implementation_reads_it() {
        let mut note = Note::new(checkpoint());
        note.sign(&key(1)).unwrap();
        let theirs = signed_note::Note::from_bytes(note.encode().as_bytes()).unwrap();
        let verifier = signed_note::StandardVerifier::new(&key(1).public().to_string()).unwrap();
        let known = signed_note::VerifierList::new(vec![Box::new(verifier)]);
        let (good, unknown) = theirs.verify(&known).unwrap();
        assert_eq!((good.len(), unknown.len()), (1, 0));
        let theirs = tlog_tiles::Checkpoint::from_bytes(theirs.text()).unwrap();
        assert_eq!(theirs.origin(), checkpoint().origin());
        assert_eq!(theirs.size(), 20);
        assert_eq!(theirs.hash().0, [0xff; 32]);
    }

    #[test]
    fn keys_decide() {
        let mut note = Note::new(checkpoint());
        let first = Keys::new(vec![key(1).public()], Vec::new()).unwrap();
        assert!(matches!(note.open(&first), Err(Error::Unsigned { .. })));
        note.sign(&key(2)).unwrap();
        assert!(matches!(note.open(&first), Err(Error::UnknownKey { .. })));
        note.sign(&key(1)).unwrap();
        assert!(matches!(note.open(&first), Err(Error::UnknownKey { .. })));
        let both = Keys::new(vec![key(1).public(), key(2).public()], Vec::new()).unwrap();
        assert_eq!(note.open(&both).unwrap().len(), 2);
        let mut other = Note::new(Checkpoint::new([1; 16], 20, [0xff; 32]).unwrap());
        other.signatures.clone_from(&note.signatures);
        assert!(matches!(other.open(&both), Err(Error::Signature { .. })));
    }

    #[test]
    fn other_forms_are_refused() {
        let mut note = Note::new(checkpoint());
        note.sign(&key(1)).unwrap();
        let good = note.encode();
        let signature = good.lines().last().unwrap().to_owned();
        let changed = |from: &str, to: &str| good.replacen(from, to, 1);
        for (wrong, why) in [
            (changed("\n20\n", "\n020\n"), "leading zero"),
            (changed("\n20\n", "\n0\n"), "no commits"),
            (
                changed("\n20\n", "\n9223372036854775808\n"),
                "too many commits",
            ),
            (changed("blocknet/ab", "blocknet/AB"), "upper case"),
            (changed("8=\n", "8=\nextension\n"), "extension"),
            (changed("8=\n", "8\n"), "padding"),
            (changed("8=\n", "9=\n"), "slack bits"),
            (changed("\n\n", "\n\n\n"), "blank line"),
            (changed("20\n", "20\r\n"), "carriage return"),
            (format!("{good}{signature}\n"), "signature twice"),
            (format!("{good}\n"), "line at the end"),
            (good.trim_end().to_owned(), "no newline at the end"),
            (changed("— ", "- "), "no em dash"),
        ] {
            assert!(Note::decode(wrong.as_bytes()).is_err(), "{why}");
        }
    }

    #[test]
    fn every_changed_bit_is_refused() {
        let mut note = Note::new(checkpoint());
        note.sign(&key(1)).unwrap();
        let keys = Keys::new(vec![key(1).public()], Vec::new()).unwrap();
        let good = note.encode().into_bytes();
        for bit in 0..8 * good.len() {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let opened = Note::decode(&bytes).and_then(|note| note.open(&keys));
            assert!(opened.is_err(), "bit {bit}");
        }
    }
}
