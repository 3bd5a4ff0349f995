//! Copying segments into the directory of another journal: for backup and restore.
//!
//! A copy has the bytes of its source, salt included, up to the end of a frame. It is read back and
//! compared with what the source was found to hold before it can get its name, so that damage is
//! never copied over a sound copy.

#![warn(clippy::indexing_slicing)]

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::env::{Access, Env, EnvFile};
use crate::error::{Error, ErrorKind};
use crate::format::{FOOTER_LEN, FRAMES_OFFSET};
use crate::quarantine::Copy;
use crate::recover::scan_last;
use crate::segment::{self, SegmentInfo};

/// A segment copied, checked and synced, that only lacks its name.
#[derive(Debug)]
#[non_exhaustive]
pub struct CopiedSegment {
    /// Where it lies.
    pub tmp: PathBuf,
    /// The name it is to get.
    pub path: PathBuf,
    /// Number of the last commit in it, or before it where it holds none.
    pub last_seq: u64,
    /// Chain value of that commit.
    pub last_chain: [u8; 32],
}

/// Copies a segment, as far as `info` says it goes, into the directory `dir` under a temporary
/// name; an unfinished file of that name is removed. Every checksum of the copy is tested.
///
/// Dropped without being renamed, the copy is a file that the next opening for writing removes.
///
/// # Errors
/// * [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt): the source is damaged, and is named.
/// * [`ErrorKind::Io`](crate::ErrorKind::Io): also if the source is no longer what `info` says.
///
/// # Cost
/// Reads the segment twice, once from the copy; one sync.
pub fn copy_segment(env: &dyn Env, info: &SegmentInfo, dir: &Path) -> Result<CopiedSegment, Error> {
    let tmp = dir.join(segment::tmp_name(info.segment));
    let copied = try_copy(env, info, &tmp);
    if copied.is_err() {
        segment::discard(env, &tmp);
    }
    let (last_seq, last_chain) = copied?;
    Ok(CopiedSegment {
        path: dir.join(segment::file_name(info.segment)),
        tmp,
        last_seq,
        last_chain,
    })
}

fn try_copy(env: &dyn Env, info: &SegmentInfo, tmp: &Path) -> Result<(u64, [u8; 32]), Error> {
    let changed = || {
        let changed = io::Error::other("it changed while it was being copied");
        Error::io("copy", &info.path, changed)
    };
    let (file, header, _) = segment::open(env, &info.path)?;
    if header != info.header {
        return Err(changed());
    }
    let created = match env.create_new(tmp) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            env.remove_tmp(tmp)
                .map_err(|error| Error::io("remove", tmp, error))?;
            env.create_new(tmp)
        }
        result => result,
    };
    let copy = created.map_err(|error| Error::io("create", tmp, error))?;
    let whole = Copy {
        file: &file,
        path: &info.path,
        what: "segment",
        offset: 0,
        len: info.len_bytes,
    };
    whole.write_to(&copy, tmp)?;
    copy.sync_all()
        .map_err(|error| Error::io("sync", tmp, error))?;
    // What is wrong with the copy is wrong with the source, at the same place.
    let copied = segment::read_header(&copy, &info.path)?;
    let end = scan_last(copy, &info.path, &copied, info.len_bytes)?;
    if copied != info.header || end.sealed != info.sealed {
        return Err(changed());
    }
    if end.walk.offset != info.len_bytes {
        // A tear is no damage at the end of a journal; here the frames were known to be whole.
        let error = end.tail_error(&info.path);
        return Err(error.unwrap_or_else(changed));
    }
    Ok((end.walk.last_seq, end.walk.last_chain))
}

/// Whether the directory `dir` has a segment of this number with the length, the first page (salt
/// included) and the last frame of `info`.
///
/// Two segments of one salt can differ only where bytes were changed in place, by damage or by hand.
/// What was written anew, as by an erasure, has another salt.
///
/// # Errors
/// [`ErrorKind::Io`](crate::ErrorKind::Io): a file cannot be read.
pub fn is_copied(env: &dyn Env, info: &SegmentInfo, dir: &Path) -> Result<bool, Error> {
    let path = dir.join(segment::file_name(info.segment));
    let (copy, header, len) = match segment::open(env, &path) {
        Ok(opened) => opened,
        Err(error) if error.kind() == ErrorKind::Io => return Err(error),
        // Missing or damaged: to be copied again.
        Err(_) => return Ok(false),
    };
    if header != info.header || len != info.len_bytes {
        return Ok(false);
    }
    let file = env
        .open(&info.path, Access::Read)
        .map_err(|error| Error::io("open", &info.path, error))?;
    let tail = |file: &Arc<dyn EnvFile>, path: &Path| {
        let at = len.saturating_sub(FOOTER_LEN as u64).max(FRAMES_OFFSET);
        let mut bytes = vec![0; FOOTER_LEN];
        let have = file
            .read_at(&mut bytes, at)
            .map_err(|error| Error::io("read", path, error))?;
        // The source may go on where the copy ends.
        bytes.truncate(have.min(usize::try_from(len.saturating_sub(at)).unwrap_or(0)));
        Ok::<_, Error>(bytes)
    };
    Ok(tail(&copy, &path)? == tail(&file, &info.path)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FileEnv, FrameRef, Journal, JournalOptions, Recovery};

    fn journal(dir: &Path) -> Journal {
        let options = JournalOptions {
            segment_len_bytes_max: 16 << 10,
            ..JournalOptions::default()
        };
        Journal::create(Arc::new(FileEnv), dir, [7; 16], options).unwrap()
    }

    fn append(journal: &Journal, seqs: std::ops::RangeInclusive<u64>) {
        for seq in seqs {
            let chain = [u8::try_from(seq).unwrap(); 32];
            let frame = FrameRef {
                seq,
                chain: &chain,
                body: &[3; 2000],
                erasable: b"owner",
            };
            journal.append(&frame).unwrap();
        }
    }

    fn put(copied: CopiedSegment) {
        std::fs::rename(copied.tmp, copied.path).unwrap();
    }

    #[test]
    fn a_copy_of_the_durable_part_is_a_journal_that_ends_there() {
        let root = tempfile::tempdir().unwrap();
        let (dir, to) = (root.path().join("journal"), root.path().join("copy"));
        std::fs::create_dir(&to).unwrap();
        let journal = journal(&dir);
        append(&journal, 1..=10);
        assert_eq!(journal.sync().unwrap(), 10);
        append(&journal, 11..=12);
        let (last, segments) = journal.durable();
        assert_eq!(last, 10);
        assert!(segments.len() > 1);
        for info in &segments {
            assert!(!is_copied(&FileEnv, info, &to).unwrap());
            let copied = copy_segment(&FileEnv, info, &to).unwrap();
            put(copied);
            assert!(is_copied(&FileEnv, info, &to).unwrap());
        }
        let found = Recovery::scan(Arc::new(FileEnv), &to).unwrap();
        assert_eq!(found.last_seq(), 10);
        assert_eq!(found.frames(1).unwrap().count(), 10);
        journal.sync().unwrap();
        let (last, segments) = journal.durable();
        assert_eq!(last, 12);
        let newest = segments.last().unwrap();
        assert!(!is_copied(&FileEnv, newest, &to).unwrap());
        put(copy_segment(&FileEnv, newest, &to).unwrap());
        let found = Recovery::scan(Arc::new(FileEnv), &to).unwrap();
        assert_eq!(found.last_seq(), 12);
    }

    #[test]
    fn damage_is_named_and_not_copied() {
        let root = tempfile::tempdir().unwrap();
        let (dir, to) = (root.path().join("journal"), root.path().join("copy"));
        std::fs::create_dir(&to).unwrap();
        let journal = journal(&dir);
        append(&journal, 1..=10);
        journal.sync().unwrap();
        let (_, segments) = journal.durable();
        for (info, back) in [(segments.first(), 4000), (segments.last(), 1)] {
            let info = info.unwrap();
            let whole = std::fs::read(&info.path).unwrap();
            let mut bytes = whole.clone();
            let at = usize::try_from(info.len_bytes - back).unwrap() - 20;
            bytes[at] ^= 1;
            std::fs::write(&info.path, bytes).unwrap();
            let error = copy_segment(&FileEnv, info, &to).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
            assert!(
                error.to_string().contains(&info.path.display().to_string()),
                "{error}"
            );
            assert_eq!(std::fs::read_dir(&to).unwrap().count(), 0);
            std::fs::write(&info.path, whole).unwrap();
        }
    }
}
