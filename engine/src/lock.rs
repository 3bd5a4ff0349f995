//! The lock file: one writer, or any number of readers.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;

use crate::error::{Error, ErrorKind, Result};

/// Name of the lock file in a store's directory.
pub(crate) const LOCK_FILE: &str = "LOCK";

/// A held lock, released on drop or with the process.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "held, never read")] File);

impl Lock {
    /// Takes the lock for writing and leaves this process's number in the file.
    pub(crate) fn exclusive(dir: &Path) -> Result<Self> {
        let path = dir.join(LOCK_FILE);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| Error::io("open the lock file", &path, error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(locked(&path)),
            Err(TryLockError::Error(error)) => return Err(Error::io("lock", &path, error)),
        }
        let holder = format!("process {}\n", std::process::id());
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(holder.as_bytes()))
            .map_err(|error| Error::io("write the lock file", &path, error))?;
        Ok(Self(file))
    }

    /// Takes the lock for reading, changing no byte. A store without a lock file (a copy of one)
    /// has no writer either.
    pub(crate) fn shared(dir: &Path) -> Result<Option<Self>> {
        let path = dir.join(LOCK_FILE);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("open the lock file", &path, error)),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Err(locked(&path)),
            Err(TryLockError::Error(error)) => Err(Error::io("lock", &path, error)),
        }
    }
}

fn locked(path: &Path) -> Error {
    // A writer leaves its number; the file may be gone or half written by now, so it is only a hint.
    let mut holder = String::new();
    let read = File::open(path).and_then(|file| file.take(64).read_to_string(&mut holder));
    let by = match (read, holder.trim()) {
        (Ok(_), holder) if !holder.is_empty() => format!("; {holder} was the last to write it"),
        _ => String::new(),
    };
    Error::new(
        ErrorKind::Locked,
        format!("the store is open in another process{by}; wait for it or end it"),
    )
    .at(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_writer_or_many_readers() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Lock::shared(dir.path()).unwrap().is_none());
        let writer = Lock::exclusive(dir.path()).unwrap();
        let error = Lock::exclusive(dir.path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Locked);
        assert!(
            error
                .to_string()
                .contains(&format!("process {}", std::process::id()))
        );
        assert_eq!(
            Lock::shared(dir.path()).unwrap_err().kind(),
            ErrorKind::Locked
        );
        drop(writer);
        let reader = Lock::shared(dir.path()).unwrap();
        let second = Lock::shared(dir.path()).unwrap();
        assert_eq!(
            Lock::exclusive(dir.path()).unwrap_err().kind(),
            ErrorKind::Locked
        );
        drop((reader, second));
        Lock::exclusive(dir.path()).unwrap();
    }
}
