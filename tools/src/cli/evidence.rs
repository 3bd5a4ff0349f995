//! Files of keys, checkpoints and proofs, and how they are shown.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use blocknet_proof::{Checkpoint, FILE_LEN_BYTES_MAX, Note, PublicKey, SecretKey, Signer};
use jiff::Timestamp;
use serde::Serialize;

use super::error::{CliError, Result};
use super::io::Io;
use super::text::hex;

/// The bytes of a file, at most one more than any file of these kinds may have.
pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    let limit = FILE_LEN_BYTES_MAX as u64 + 1;
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(limit).read_to_end(&mut bytes))
        .map_err(|source| file_error("read", path, source))?;
    Ok(bytes)
}

pub(super) fn file_error(operation: &'static str, path: &Path, source: io::Error) -> CliError {
    CliError::File {
        operation,
        path: path.to_owned(),
        source,
    }
}

/// Says in which file something is no key, checkpoint or proof.
pub(super) fn at<T>(path: &Path, result: blocknet_proof::Result<T>) -> Result<T> {
    result.map_err(|source| CliError::Evidence {
        path: path.to_owned(),
        source,
    })
}

fn text(path: &Path) -> Result<String> {
    String::from_utf8(read(path)?).map_err(|_| {
        let error = io::Error::new(io::ErrorKind::InvalidData, "not UTF-8");
        file_error("read", path, error)
    })
}

/// A checkpoint file. Nothing in it is checked yet.
pub(super) fn note(path: &Path) -> Result<Note> {
    at(path, Note::decode(&read(path)?))
}

pub(super) fn public_key(path: &Path) -> Result<PublicKey> {
    at(path, PublicKey::decode(&text(path)?))
}

pub(super) fn public_keys(paths: &[PathBuf]) -> Result<Vec<PublicKey>> {
    paths.iter().map(|path| public_key(path)).collect()
}

/// A private key. Warns when others can read the file.
pub(super) fn secret_key(path: &Path, io: &mut Io<'_>) -> Result<SecretKey> {
    let key = at(path, SecretKey::decode(&text(path)?))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(path)
            .map_err(|source| file_error("read", path, source))?
            .permissions()
            .mode();
        if mode & 0o077 != 0 {
            io.warn(format_args!(
                "{}: others than its owner can open this private key (mode {:o}); run chmod 600",
                path.display(),
                mode & 0o777
            ))?;
        }
    }
    Ok(key)
}

/// Writes a file that is either as before or whole, whatever happens meanwhile.
pub(super) fn replace(path: &Path, text: &str) -> Result<()> {
    let dir = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let write = || -> io::Result<()> {
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        #[cfg(unix)]
        builder.permissions(permissions);
        let mut file = builder.tempfile_in(dir)?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        File::open(dir)?.sync_all()
    };
    write().map_err(|source| file_error("write", path, source))
}

/// Prints a text that ends with a newline, or writes it where `--out` says.
pub(super) fn deliver(out: Option<&Path>, text: &str, io: &mut Io<'_>) -> Result<()> {
    match out {
        Some(path) => replace(path, text),
        None => io.line(text.trim_end_matches('\n')),
    }
}

/// A moment in microseconds since 1970; `None` for the open ends and what no calendar reaches.
pub(super) fn moment(micros: i64) -> Option<String> {
    let timestamp = Timestamp::from_microsecond(micros).ok()?;
    Some(timestamp.to_string())
}

/// A checkpoint as JSON.
#[derive(Serialize)]
pub(super) struct CheckpointJson {
    origin: String,
    net: String,
    size: u64,
    root: String,
}

impl From<&Checkpoint> for CheckpointJson {
    fn from(checkpoint: &Checkpoint) -> Self {
        Self {
            origin: checkpoint.origin(),
            net: hex(&checkpoint.net()),
            size: checkpoint.size(),
            root: hex(&checkpoint.root()),
        }
    }
}

/// Whose signature was checked, as JSON.
#[derive(Serialize)]
pub(super) struct SignerJson {
    name: String,
    key_id: String,
    /// When a witness says it cosigned.
    cosigned: Option<String>,
}

impl From<&Signer> for SignerJson {
    fn from(signer: &Signer) -> Self {
        Self {
            name: signer.name.clone(),
            key_id: format!("{:08x}", signer.id),
            cosigned: signer.time.and_then(cosigned),
        }
    }
}

/// Seconds since 1970 as a time.
pub(super) fn cosigned(seconds: u64) -> Option<String> {
    let seconds = i64::try_from(seconds).ok()?;
    Some(Timestamp::from_second(seconds).ok()?.to_string())
}
