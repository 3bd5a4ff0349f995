//! Segment files: their names, their first page, and how a new one comes to be.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::env::{Access, Env, EnvFile};
use crate::error::{Error, Fault};
use crate::format::{FRAMES_OFFSET, PAGE_LEN, SegmentHeader, salt_is_usable};

const SUFFIX: &str = ".wal";
const TMP_SUFFIX: &str = ".tmp";
const DIGITS: usize = 16;

/// The largest segment number that fits the file name.
pub(crate) const SEGMENT_MAX: u64 = 9_999_999_999_999_999;

/// `0000000000000042.wal`: zero-padded, so that names sort as numbers.
pub(crate) fn file_name(segment: u64) -> String {
    format!("{segment:0DIGITS$}{SUFFIX}")
}

/// The name under which a segment is prepared.
pub(crate) fn tmp_name(segment: u64) -> String {
    format!("{segment:0DIGITS$}{TMP_SUFFIX}")
}

/// The segment number in a file name; `None` for any name that [`file_name`] does not build.
pub(crate) fn parse_file_name(name: &str) -> Option<u64> {
    parse_number(name.strip_suffix(SUFFIX)?)
}

/// The same for the names that [`tmp_name`] builds.
pub(crate) fn parse_tmp_name(name: &str) -> Option<u64> {
    parse_number(name.strip_suffix(TMP_SUFFIX)?)
}

fn parse_number(digits: &str) -> Option<u64> {
    if digits.len() != DIGITS || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().filter(|number| *number > 0)
}

/// One segment of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SegmentInfo {
    /// Its number: 1 for the first, then without gaps.
    pub segment: u64,
    /// Its file.
    pub path: PathBuf,
    /// Number of the first frame it holds, or will hold.
    pub first_seq: u64,
    /// True once the segment is complete and ends in a footer.
    pub sealed: bool,
    /// Length in bytes up to the end of the last frame, header page and footer included.
    pub len_bytes: u64,
    pub(crate) header: SegmentHeader,
}

/// What the journal directory holds.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// Segment numbers, rising.
    pub(crate) segments: Vec<u64>,
    /// Segments that were being prepared when the process died.
    pub(crate) unfinished: Vec<u64>,
    /// Names that the journal knows nothing of.
    pub(crate) foreign: Vec<OsString>,
}

pub(crate) fn list(env: &dyn Env, dir: &Path) -> Result<Listing, Error> {
    let mut listing = Listing::default();
    for name in env
        .list(dir)
        .map_err(|error| Error::io("list", dir, error))?
    {
        let text = name.to_str().unwrap_or_default();
        if let Some(segment) = parse_file_name(text) {
            listing.segments.push(segment);
        } else if let Some(segment) = parse_tmp_name(text) {
            listing.unfinished.push(segment);
        } else {
            listing.foreign.push(name);
        }
    }
    listing.segments.sort_unstable();
    listing.unfinished.sort_unstable();
    listing.foreign.sort_unstable();
    Ok(listing)
}

/// Opens a segment for reading and checks its first page; returns the file's length as well.
pub(crate) fn open(
    env: &dyn Env,
    path: &Path,
) -> Result<(Arc<dyn EnvFile>, SegmentHeader, u64), Error> {
    let file = match env.open(path, Access::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Error::corrupt(path, 0, "segment", Fault::Missing));
        }
        Err(error) => return Err(Error::io("open", path, error)),
    };
    let len = file
        .len_bytes()
        .map_err(|error| Error::io("measure", path, error))?;
    let header = read_header(&file, path)?;
    Ok((file, header, len))
}

/// Reads and checks the first page of a segment.
pub(crate) fn read_header(file: &Arc<dyn EnvFile>, path: &Path) -> Result<SegmentHeader, Error> {
    let mut page = vec![0; PAGE_LEN];
    let have = file
        .read_at(&mut page, 0)
        .map_err(|error| Error::io("read", path, error))?;
    page.truncate(have);
    SegmentHeader::decode(&page).map_err(|fault| Error::corrupt(path, 0, "segment header", fault))
}

/// Why a new segment could not be made.
#[derive(Debug)]
pub(crate) enum StageError {
    /// Nothing has changed.
    Failed(Error),
    /// A sync failed.
    Poison(Error),
}

impl StageError {
    /// For those who begin anew after a failed sync, so that nothing need be poisoned.
    pub(crate) fn into_error(self) -> Error {
        match self {
            Self::Failed(error) | Self::Poison(error) => error,
        }
    }
}

/// A complete, synced segment that only lacks its name.
#[derive(Debug)]
pub(crate) struct Staged {
    pub(crate) file: Arc<dyn EnvFile>,
    pub(crate) header: SegmentHeader,
    pub(crate) path: PathBuf,
    pub(crate) allocated: u64,
    pub(crate) tmp: PathBuf,
}

/// Writes and syncs a new segment under a temporary name.
///
/// Its space is allocated first, so that a full disk is found before the old segment is sealed.
pub(crate) fn stage(
    env: &dyn Env,
    dir: &Path,
    mut header: SegmentHeader,
    allocate: u64,
) -> Result<Staged, StageError> {
    let tmp = dir.join(tmp_name(header.segment));
    let path = dir.join(file_name(header.segment));
    let failed = |operation| {
        let tmp = &tmp;
        move |error| StageError::Failed(Error::io(operation, tmp, error))
    };
    while !salt_is_usable(header.salt) {
        header.salt = env.random().map_err(failed("draw a salt for"))?;
    }
    let file = match env.create_new(&tmp) {
        // Left by an attempt that failed before; nothing in it was ever acknowledged.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            env.remove_tmp(&tmp).map_err(failed("remove"))?;
            env.create_new(&tmp)
        }
        result => result,
    }
    .map_err(failed("create"))?;
    let allocated = allocate.max(FRAMES_OFFSET);
    let filled = file.allocate(allocated).map_err(failed("allocate"));
    let filled = filled.and_then(|()| {
        file.write_at(&header.encode(), 0)
            .map_err(failed("write the header of"))
    });
    if let Err(error) = filled {
        discard(env, &tmp);
        return Err(error);
    }
    file.sync_all()
        .map_err(|error| StageError::Poison(Error::io("sync", &tmp, error)))?;
    Ok(Staged {
        file,
        header,
        path,
        allocated,
        tmp,
    })
}

impl Staged {
    /// Gives the segment its name, and makes that durable.
    pub(crate) fn publish(&self, env: &dyn Env, dir: &Path) -> Result<(), StageError> {
        if let Err(error) = env.rename(&self.tmp, &self.path) {
            discard(env, &self.tmp);
            return Err(StageError::Failed(Error::io("rename", &self.tmp, error)));
        }
        env.sync_dir(dir)
            .map_err(|error| StageError::Poison(Error::io("sync", dir, error)))
    }

    /// Gives up: frees the space.
    pub(crate) fn discard(&self, env: &dyn Env) {
        discard(env, &self.tmp);
    }

    pub(crate) fn info(&self) -> SegmentInfo {
        SegmentInfo {
            segment: self.header.segment,
            path: self.path.clone(),
            first_seq: self.header.first_seq,
            sealed: false,
            len_bytes: FRAMES_OFFSET,
            header: self.header.clone(),
        }
    }
}

/// Frees the space of an unfinished file. A failure does no harm: the next attempt removes it.
pub(crate) fn discard(env: &dyn Env, tmp: &Path) {
    drop(env.remove_tmp(tmp));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_built_and_parsed_both_ways() {
        for segment in [1, 42, SEGMENT_MAX] {
            assert_eq!(parse_file_name(&file_name(segment)), Some(segment));
            assert_eq!(parse_tmp_name(&tmp_name(segment)), Some(segment));
        }
        assert_eq!(file_name(42), "0000000000000042.wal");
        assert_eq!(tmp_name(42), "0000000000000042.tmp");
    }

    #[test]
    fn other_names_are_not_segments() {
        for name in [
            "",
            ".wal",
            "42.wal",
            "0000000000000000.wal",
            "+000000000000042.wal",
            "0000000000000042.WAL",
            "0000000000000042.tmp",
            "00000000000000042.wal",
            "000000000000004a.wal",
            "0000000000000042.wal.bak",
        ] {
            assert_eq!(parse_file_name(name), None, "{name}");
        }
    }
}
