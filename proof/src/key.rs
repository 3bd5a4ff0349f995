//! Ed25519 keys in the text form of C2SP signed-note: `PRIVATE+KEY+name+id+key` and `name+id+key`.
//!
//! The key's bytes are base64 of an algorithm byte and 32 bytes. The id is eight hexadecimal digits:
//! the first four bytes of SHA-256(name | 0A | algorithm | public key).
#![warn(clippy::indexing_slicing)]

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};

use crate::error::{Error, Result};
use crate::note::SIGNATURES_MAX;

/// Longest name of a key, in bytes.
const NAME_LEN_BYTES_MAX: usize = 255;

/// What a key signs. The algorithm byte says it, and is part of the key's id, so that a signature
/// made for one is none of the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Checkpoints, as the log (C2SP signed-note, algorithm 01).
    Log,
    /// Checkpoints seen by somebody else (C2SP tlog-cosignature, cosignature/v1, algorithm 04).
    Witness,
}

impl Role {
    fn algorithm(self) -> u8 {
        match self {
            Self::Log => 1,
            Self::Witness => 4,
        }
    }
}

/// A key that signs. Its bytes are wiped from memory when it is dropped.
#[derive(Clone)]
pub struct SecretKey {
    public: PublicKey,
    key: SigningKey,
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({})", self.public)
    }
}

impl SecretKey {
    /// A new key from the operating system's random numbers.
    ///
    /// # Errors
    /// [`Error::Key`] when the name is empty, longer than 255 bytes, or has white space, control
    /// characters or a plus in it; [`Error::Random`] when there are no random numbers.
    pub fn generate(name: &str, role: Role) -> Result<Self> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|error| Error::Random(error.to_string()))?;
        Self::from_seed(name, role, &seed)
    }

    /// The key that these 32 secret bytes are (RFC 8032, section 5.1.5).
    ///
    /// # Errors
    /// [`Error::Key`] when the name is none, see [`SecretKey::generate`].
    pub fn from_seed(name: &str, role: Role, seed: &[u8; 32]) -> Result<Self> {
        let key = SigningKey::from_bytes(seed);
        Ok(Self {
            public: PublicKey::new(name, role, key.verifying_key())?,
            key,
        })
    }

    /// Reads the text form; one newline at the end is allowed.
    ///
    /// # Errors
    /// [`Error::Key`] when it is no such text.
    pub fn decode(text: &str) -> Result<Self> {
        let text = text.strip_suffix('\n').unwrap_or(text);
        let rest = text.strip_prefix("PRIVATE+KEY+").ok_or(Error::Key(
            "a private key begins with PRIVATE+KEY+; this file has none",
        ))?;
        let (name, role, seed) = split(rest)?;
        let key = Self::from_seed(name, role, &seed)?;
        if key.encode() != text {
            return Err(Error::Key("the private key does not fit its id"));
        }
        Ok(key)
    }

    /// The text form, without a newline. It is a secret.
    pub fn encode(&self) -> String {
        let bytes = [&[self.role().algorithm()][..], self.key.as_bytes()].concat();
        format!(
            "PRIVATE+KEY+{}+{:08x}+{}",
            self.public.name,
            self.public.id,
            BASE64_STANDARD.encode(bytes)
        )
    }

    /// The key that checks what this one signs.
    pub fn public(&self) -> PublicKey {
        self.public.clone()
    }

    /// What the key signs.
    pub fn role(&self) -> Role {
        self.public.role
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).to_bytes()
    }
}

/// A key that checks signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    name: String,
    id: u32,
    role: Role,
    key: VerifyingKey,
}

impl PublicKey {
    fn new(name: &str, role: Role, key: VerifyingKey) -> Result<Self> {
        if !signed_note::is_key_name_valid(name)
            || name.len() > NAME_LEN_BYTES_MAX
            || name.chars().any(char::is_control)
        {
            return Err(Error::Key(
                "a name has 1 to 255 bytes, no white space, no control character and no plus",
            ));
        }
        let bytes = [&[role.algorithm()][..], key.as_bytes()].concat();
        Ok(Self {
            name: name.to_owned(),
            id: signed_note::key_id(name, &bytes),
            role,
            key,
        })
    }

    /// Reads the text form; one newline at the end is allowed.
    ///
    /// # Errors
    /// [`Error::Key`] when it is no such text, or no point of the curve that can be a key.
    pub fn decode(text: &str) -> Result<Self> {
        let text = text.strip_suffix('\n').unwrap_or(text);
        if text.starts_with("PRIVATE+KEY+") {
            return Err(Error::Key("a public key is due, this is a private one"));
        }
        let (name, role, bytes) = split(text)?;
        let key = VerifyingKey::from_bytes(&bytes)
            .ok()
            .filter(|key| !key.is_weak())
            .ok_or(Error::Key("the bytes are no Ed25519 public key"))?;
        let key = Self::new(name, role, key)?;
        if key.to_string() != text {
            return Err(Error::Key("the public key does not fit its id"));
        }
        Ok(key)
    }

    /// Name of whoever signs with it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Tells keys of one name apart.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// What the key signs.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Whether `signature` is this key's over `message` (RFC 8032, and no weak points).
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        signature.try_into().is_ok_and(|bytes| {
            let signature = ed25519_dalek::Signature::from_bytes(bytes);
            self.key.verify_strict(message, &signature).is_ok()
        })
    }
}

/// The text form, without a newline.
impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&[self.role.algorithm()][..], self.key.as_bytes()].concat();
        let encoded = BASE64_STANDARD.encode(bytes);
        write!(f, "{}+{:08x}+{encoded}", self.name, self.id)
    }
}

/// Name, role and key bytes of `name+id+key`. The id is compared by whoever encodes it again.
fn split(text: &str) -> Result<(&str, Role, [u8; 32])> {
    let (name, rest) = text
        .split_once('+')
        .ok_or(Error::Key("a key is name+id+key"))?;
    let (_, encoded) = rest
        .split_once('+')
        .ok_or(Error::Key("a key is name+id+key"))?;
    // Longer texts are none; base64 of 33 bytes has 44 characters.
    let bytes = (encoded.len() == 44)
        .then(|| BASE64_STANDARD.decode(encoded).ok())
        .flatten()
        .ok_or(Error::Key("its bytes are base64 of 33 bytes"))?;
    let role = match bytes.first() {
        Some(1) => Role::Log,
        Some(4) => Role::Witness,
        _ => {
            return Err(Error::Key(
                "its algorithm is unknown; known are Ed25519 (01) and cosignature/v1 (04)",
            ));
        }
    };
    let key = bytes
        .get(1..)
        .and_then(|key| key.try_into().ok())
        .ok_or(Error::Key("its bytes are base64 of 33 bytes"))?;
    Ok((name, role, key))
}

/// The public keys that whoever checks has from elsewhere.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    log: Vec<PublicKey>,
    witnesses: Vec<PublicKey>,
}

impl Keys {
    /// `log`: keys of the net, of which at least one must have signed. `witnesses`: of which each
    /// must have cosigned.
    ///
    /// # Errors
    /// [`Error::Key`] when a key is of the other role, given twice, or there are more than 32.
    pub fn new(log: Vec<PublicKey>, witnesses: Vec<PublicKey>) -> Result<Self> {
        if log.iter().any(|key| key.role != Role::Log) {
            return Err(Error::Key("a key given as the log's is that of a witness"));
        }
        if witnesses.iter().any(|key| key.role != Role::Witness) {
            return Err(Error::Key("a key given as a witness's is that of a log"));
        }
        let keys = Self { log, witnesses };
        let mut seen: Vec<_> = keys.all().map(|key| (&key.name, key.id)).collect();
        seen.sort_unstable();
        if seen.len() > SIGNATURES_MAX {
            return Err(Error::Key("at most 32 keys can be given"));
        }
        if !seen.is_sorted_by(|a, b| a < b) {
            return Err(Error::Key("a key is given twice"));
        }
        Ok(keys)
    }

    /// Keys of witnesses.
    pub fn witnesses(&self) -> &[PublicKey] {
        &self.witnesses
    }

    pub(crate) fn find(&self, name: &str, id: u32) -> Option<&PublicKey> {
        self.all().find(|key| key.name == name && key.id == id)
    }

    fn all(&self) -> impl Iterator<Item = &PublicKey> {
        self.log.iter().chain(&self.witnesses)
    }
}

/// Writes a key into a new file that only its owner can read, and the public key beside it into
/// `FILE.pub`. Gives the path of the latter.
///
/// # Errors
/// When one of the two is there already (nothing is written then), or cannot be written.
pub fn write_new_pair(path: &Path, key: &SecretKey) -> io::Result<PathBuf> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".pub");
    let beside = PathBuf::from(beside);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    let mut public = options.open(&beside)?;
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options
        .open(path)
        .and_then(|mut secret| write_line(&mut secret, &key.encode()))
        .and_then(|()| write_line(&mut public, &key.public().to_string()));
    if let Err(error) = written {
        // Made a moment ago by this call, and worthless without the other.
        fs::remove_file(&beside)?;
        return Err(error);
    }
    Ok(beside)
}

fn write_line(file: &mut File, line: &str) -> io::Result<()> {
    file.write_all(format!("{line}\n").as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Key of the example in the documentation of Go's package note, which the specification came
    /// from.
    const SECRET: &str =
        "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
    const PUBLIC: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";

    #[test]
    fn keys_are_those_of_the_reference_implementation() {
        let key = SecretKey::decode(&format!("{SECRET}\n")).unwrap();
        assert_eq!(key.encode(), SECRET);
        assert_eq!(key.public().to_string(), PUBLIC);
        assert_eq!(PublicKey::decode(PUBLIC).unwrap(), key.public());
        assert_eq!(key.role(), Role::Log);
        let signature = key.sign(b"text\n");
        assert!(key.public().verifies(b"text\n", &signature));
        assert!(!key.public().verifies(b"text", &signature));
        assert!(!key.public().verifies(b"text\n", &signature[..63]));
        assert!(!format!("{key:?}").contains("AYEKFALV"));
    }

    #[test]
    fn roles_have_other_ids() {
        let log = SecretKey::from_seed("w", Role::Log, &[1; 32]).unwrap();
        let witness = SecretKey::from_seed("w", Role::Witness, &[1; 32]).unwrap();
        assert_ne!(log.public().id(), witness.public().id());
        let decoded = SecretKey::decode(&witness.encode()).unwrap();
        assert_eq!(decoded.role(), Role::Witness);
        assert!(Keys::new(vec![witness.public()], Vec::new()).is_err());
        assert!(Keys::new(Vec::new(), vec![log.public()]).is_err());
        assert!(Keys::new(vec![log.public(), log.public()], Vec::new()).is_err());
        assert!(Keys::new(vec![log.public()], vec![witness.public()]).is_ok());
    }

    #[test]
    fn every_changed_bit_of_a_key_is_refused() {
        for bit in 0..8 * PUBLIC.len() {
            let mut bytes = PUBLIC.as_bytes().to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let read = String::from_utf8(bytes)
                .ok()
                .map(|text| PublicKey::decode(&text));
            assert!(read.is_none_or(|read| read.is_err()), "bit {bit}");
        }
        for bit in 0..8 * SECRET.len() {
            let mut bytes = SECRET.as_bytes().to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let read = String::from_utf8(bytes)
                .ok()
                .map(|text| SecretKey::decode(&text));
            assert!(read.is_none_or(|read| read.is_err()), "bit {bit}");
        }
    }

    #[test]
    fn names_that_would_break_a_line_are_refused() {
        let long = "n".repeat(256);
        for name in ["", "a b", "a+b", "a\nb", "a\u{2003}b", "a\u{1}b", &long] {
            assert!(
                SecretKey::from_seed(name, Role::Log, &[1; 32]).is_err(),
                "{name:?}"
            );
        }
    }

    #[test]
    fn a_pair_is_written_once() {
        let dir = std::env::temp_dir().join(format!("blocknet-keys-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let path = dir.join("log.key");
        let key = SecretKey::generate("city.example", Role::Log).unwrap();
        let beside = write_new_pair(&path, &key).unwrap();
        let read = SecretKey::decode(&fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(read.encode(), key.encode());
        let public = PublicKey::decode(&fs::read_to_string(&beside).unwrap()).unwrap();
        assert_eq!(public, key.public());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        assert!(write_new_pair(&path, &key).is_err());
        // With the private key alone in the way, the public one of the attempt does not stay.
        fs::remove_file(&beside).unwrap();
        assert!(write_new_pair(&path, &key).is_err());
        assert!(!beside.exists());
        fs::remove_dir_all(&dir).unwrap();
    }
}
