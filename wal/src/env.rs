//! The one door to files: a small trait, and the real file system behind it.

use std::ffi::OsString;
use std::fmt::Debug;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{FallocateFlags, OFlags};
use rustix::io::Errno;

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading only.
    Read,
    /// Reading and writing.
    ReadWrite,
}

/// Everything the journal asks of a file system.
///
/// Errors are passed on as they come; in particular an error is never taken for the end of a
/// file. An implementation that fails an operation may have done a part of it.
pub trait Env: Send + Sync + Debug {
    /// Creates a directory, for its owner only.
    ///
    /// # Errors
    /// `AlreadyExists` if there is something of this name, and the operating system's.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;

    /// The names in a directory, in no order.
    ///
    /// # Errors
    /// `NotFound` if there is no such directory, and the operating system's.
    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>>;

    /// Opens a regular file that exists.
    ///
    /// # Errors
    /// `NotFound`; `InvalidInput` for anything but a regular file; the operating system's. A
    /// symbolic link is refused, not followed.
    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn EnvFile>>;

    /// Creates an empty file for its owner only and opens it for reading and writing.
    ///
    /// # Errors
    /// `AlreadyExists` if there is something of this name, and the operating system's.
    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn EnvFile>>;

    /// Gives a file a new name in the same directory. Durable after [`sync_dir`](Env::sync_dir).
    ///
    /// # Errors
    /// `AlreadyExists` if there is something of the new name, and the operating system's.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Gives a file the name of another one in the same directory, in one step: whatever the
    /// moment of a crash, one of the two has the name. The other one is gone. Durable after
    /// [`sync_dir`](Env::sync_dir). For repair, which keeps a copy first, and for an opening, whose
    /// new file is the copy.
    ///
    /// Takes the name as well if it is free.
    ///
    /// # Errors
    /// `NotFound` if there is no file to rename, and the operating system's.
    fn replace(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes an unfinished file, one whose name ends in `.tmp`. Nothing else is ever removed.
    ///
    /// # Errors
    /// `InvalidInput` for any other name, and the operating system's.
    fn remove_tmp(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    ///
    /// # Errors
    /// The operating system's. What is on disk is then unknown, and a second call proves nothing.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// A number that nobody can guess: the salt of a segment.
    ///
    /// # Errors
    /// The operating system's, if it has no random numbers.
    fn random(&self) -> io::Result<u64>;
}

/// An open file. All methods take the place explicitly, so that a handle can be shared.
pub trait EnvFile: Send + Sync + Debug {
    /// The file's length in bytes.
    ///
    /// # Errors
    /// The operating system's.
    fn len_bytes(&self) -> io::Result<u64>;

    /// Fills `buf` from `offset` on; returns how many bytes there were, fewer only at the end of
    /// the file.
    ///
    /// # Errors
    /// The operating system's.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of `bytes` at `offset`, extending the file where needed.
    ///
    /// # Errors
    /// The operating system's. Any part of the bytes may have been written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Cuts the file to, or extends it with zeros to, `len` bytes.
    ///
    /// # Errors
    /// The operating system's.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Makes the file at least `len` bytes long, with disk space for all of them where the file
    /// system can promise that. New bytes read as zeros.
    ///
    /// # Errors
    /// The operating system's, such as no space left.
    fn allocate(&self, len: u64) -> io::Result<()>;

    /// Makes the file's bytes durable, with what is needed to read them back.
    ///
    /// # Errors
    /// The operating system's. What is on disk is then unknown: Linux drops the failed pages, so
    /// a second call would succeed without having written them. Never call it again, and do not
    /// write the bytes to the same place again either: on ext4 new disk space whose write failed
    /// takes no more bytes before the file is cut there, and no sync says so.
    fn sync_data(&self) -> io::Result<()>;

    /// [`sync_data`](EnvFile::sync_data), and the file's length even where it shrank.
    ///
    /// # Errors
    /// As for `sync_data`.
    fn sync_all(&self) -> io::Result<()>;
}

/// The real file system.
///
/// Directories are created with mode 0700, files with 0600. Files are opened so that neither a
/// symbolic link is followed nor a child process inherits them.
#[derive(Clone, Copy, Debug, Default)]
pub struct FileEnv;

impl FileEnv {
    fn open_with(path: &Path, options: &mut fs::OpenOptions) -> io::Result<Arc<dyn EnvFile>> {
        // O_NONBLOCK: opening a named pipe must not wait for its other end, only be refused.
        let flags = OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let flags = i32::try_from(flags.bits()).map_err(io::Error::other)?;
        let file = options
            .read(true)
            .mode(0o600)
            .custom_flags(flags)
            .open(path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "not a regular file",
            ));
        }
        Ok(Arc::new(OsFile(file)))
    }
}

impl Env for FileEnv {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        fs::DirBuilder::new().mode(0o700).create(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        fs::read_dir(dir)?
            .map(|entry| Ok(entry?.file_name()))
            .collect()
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn EnvFile>> {
        Self::open_with(
            path,
            fs::OpenOptions::new().write(access == Access::ReadWrite),
        )
    }

    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn EnvFile>> {
        Self::open_with(path, fs::OpenOptions::new().write(true).create_new(true))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        // Looking first is enough: the store's lock keeps other writers out of the directory.
        match fs::symlink_metadata(to) {
            Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => fs::rename(from, to),
            Err(error) => Err(error),
        }
    }

    fn replace(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_tmp(&self, path: &Path) -> io::Result<()> {
        check_tmp(path)?;
        fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let dir = if dir.as_os_str().is_empty() {
            Path::new(".")
        } else {
            dir
        };
        File::open(dir)?.sync_all()
    }

    fn random(&self) -> io::Result<u64> {
        getrandom::u64().map_err(io::Error::other)
    }
}

/// Guards `remove_tmp`: a wrong name must cost an error, not a segment.
pub(crate) fn check_tmp(path: &Path) -> io::Result<()> {
    if path.extension().is_some_and(|extension| extension == "tmp") {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        "only names ending in .tmp are removed",
    ))
}

#[derive(Debug)]
struct OsFile(File);

impl EnvFile for OsFile {
    fn len_bytes(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while let Some(rest) = buf.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.0.read_at(rest, offset.saturating_add(done as u64)) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        let have = self.len_bytes()?;
        let Some(more) = len.checked_sub(have).filter(|more| *more > 0) else {
            return Ok(());
        };
        loop {
            match rustix::fs::fallocate(&self.0, FallocateFlags::empty(), have, more) {
                Ok(()) => return Ok(()),
                Err(Errno::INTR) => {}
                // No such promise on this file system: be as long, and find out when writing.
                Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
                    return self.0.set_len(len);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.0.sync_all()
    }
}
