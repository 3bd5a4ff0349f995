//! Writing a whole segment anew, to stand in the place of a damaged or missing one.
//!
//! The new file is complete and synced before it gets the name, and the old one is kept before it
//! loses it. So every moment of a crash leaves the old segment or the new one.
//!
//! # Invariants
//! * The file holds the bytes before `written`; `buf` holds what follows, whole frames only.
//! * `next_seq` and `last_chain` continue the last frame, or the page where there is none.

#![warn(clippy::indexing_slicing)]

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::env::{Access, Env};
use crate::error::Error;
use crate::format::{
    FRAME_LEN_BYTES_MAX, FRAMES_OFFSET, Footer, FrameRef, Kind, Place, SegmentHeader, encode_frame,
};
use crate::quarantine::Copy;
use crate::segment::{self, SEGMENT_MAX, Staged};
use crate::survey::Page;

/// The buffer is written when it is at least this long.
const BUFFER_LEN: usize = 256 << 10;

/// A segment that is being written to replace one.
///
/// The store's lock must be held: nobody else may have the journal open for writing. Dropped
/// before [`finish`](SegmentRewrite::finish), it leaves an unfinished file that the next opening
/// for writing, or the next rewrite of this segment, removes.
///
/// # Cost
/// A buffer of 256 KiB and the longest frame.
#[derive(Debug)]
pub struct SegmentRewrite {
    env: Arc<dyn Env>,
    dir: PathBuf,
    staged: Staged,
    buf: Vec<u8>,
    written: u64,
    next_seq: u64,
    last_chain: [u8; 32],
}

impl SegmentRewrite {
    /// Begins the segment that `page` describes, under a name of its own and with a new salt. An
    /// unfinished file of that name is removed.
    ///
    /// # Errors
    /// * [`ErrorKind::Invalid`](crate::ErrorKind::Invalid): no file name holds the segment's
    ///   number, or its first commit would have number 0.
    /// * [`ErrorKind::Io`](crate::ErrorKind::Io): the segment in place is as it was.
    pub fn begin(env: Arc<dyn Env>, dir: &Path, page: &Page) -> Result<Self, Error> {
        if page.segment == 0 || page.segment > SEGMENT_MAX {
            let message = format!("there is no segment {}", page.segment);
            return Err(Error::invalid(message));
        }
        if page.first_seq == 0 {
            return Err(Error::invalid("a segment cannot begin with commit 0"));
        }
        let header = SegmentHeader {
            store_id: page.store_id,
            segment: page.segment,
            first_seq: page.first_seq,
            prev_chain: page.prev_chain,
            salt: 0,
        };
        let staged = segment::stage(env.as_ref(), dir, header, FRAMES_OFFSET).map_err(|error| {
            // Also after a failed sync, where a journal leaves it: here nothing builds on it.
            segment::discard(env.as_ref(), &dir.join(segment::tmp_name(page.segment)));
            error.into_error()
        })?;
        Ok(Self {
            env,
            dir: dir.to_owned(),
            staged,
            buf: Vec::new(),
            written: FRAMES_OFFSET,
            next_seq: page.first_seq,
            last_chain: page.prev_chain,
        })
    }

    /// Appends a commit.
    ///
    /// # Errors
    /// * [`ErrorKind::Invalid`](crate::ErrorKind::Invalid): its number does not follow the one
    ///   before, or it is too long; nothing was appended.
    /// * [`ErrorKind::Io`](crate::ErrorKind::Io): nothing was appended; it can be tried again.
    pub fn push(&mut self, frame: &FrameRef<'_>) -> Result<(), Error> {
        self.put(Kind::Commit, frame)
    }

    /// Appends what stands for a commit that no copy could prove: its number and chain value go on,
    /// and the bytes found in its place are kept. It is read back as a frame that says it is
    /// [`lost`](crate::Frame::lost).
    ///
    /// # Errors
    /// As for [`push`](SegmentRewrite::push).
    pub fn push_lost(&mut self, seq: u64, chain: &[u8; 32], evidence: &[u8]) -> Result<(), Error> {
        let frame = FrameRef {
            seq,
            chain,
            body: evidence,
            erasable: &[],
        };
        self.put(Kind::Lost, &frame)
    }

    fn put(&mut self, kind: Kind, frame: &FrameRef<'_>) -> Result<(), Error> {
        let seq = frame.seq;
        let following = seq.checked_add(1).filter(|_| seq == self.next_seq);
        let Some(following) = following else {
            let message = format!("commit {seq} where {} must follow", self.next_seq);
            return Err(Error::invalid(message));
        };
        if self.buf.len() >= BUFFER_LEN {
            self.flush()?;
        }
        let place = self.place();
        if encode_frame(&mut self.buf, place, kind, frame).is_none() {
            let message =
                format!("commit {seq} is longer than a frame of {FRAME_LEN_BYTES_MAX} bytes");
            return Err(Error::invalid(message));
        }
        self.next_seq = following;
        self.last_chain = *frame.chain;
        Ok(())
    }

    /// Where the next frame goes. All of the file is synced before it gets its name, so every
    /// frame may say that what stands before it is.
    fn place(&self) -> Place {
        let offset = self.written.saturating_add(self.buf.len() as u64);
        Place {
            salt: self.staged.header.salt,
            offset,
            synced_len: offset,
        }
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.staged
            .file
            .write_at(&self.buf, self.written)
            .map_err(|error| Error::io("write", &self.staged.tmp, error))?;
        self.written = self.written.saturating_add(self.buf.len() as u64);
        self.buf.clear();
        self.buf.shrink_to(BUFFER_LEN);
        Ok(())
    }

    /// Puts the segment in its place; on return it is durable there.
    ///
    /// Syncs the new file. Copies what stands in its place now into the directory `quarantine`
    /// (created if absent), as `<segment>-<n>.wal`, and syncs that. Then replaces the old file in
    /// one step. A crash at any point leaves the old file or the new one, and both is well: a
    /// rewrite can simply be done again.
    ///
    /// * `sealed`: whether to end it in a footer, as all but the last segment must.
    /// * returns where the old file was kept, if there was one.
    ///
    /// # Errors
    /// * [`ErrorKind::Invalid`](crate::ErrorKind::Invalid): a sealed segment without commits.
    /// * [`ErrorKind::Io`](crate::ErrorKind::Io): also if what stands in its place is not a regular
    ///   file: such a thing must be moved away by hand. Unless it was the sync of the directory
    ///   that failed, the old file is as it was.
    /// * [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt): the old file became shorter while it
    ///   was copied; it is as it was.
    ///
    /// # Cost
    /// Five syncs if there was an old file, else two; one copy of it.
    pub fn finish(self, sealed: bool, quarantine: &Path) -> Result<Option<PathBuf>, Error> {
        self.finish_keeping(sealed, Some(quarantine))
    }

    /// As [`finish`](SegmentRewrite::finish), and keeps no copy of the old file: it held what was to
    /// be erased. Its bytes are the file system's to reuse; nothing overwrites them.
    ///
    /// # Errors
    /// As for [`finish`](SegmentRewrite::finish).
    ///
    /// # Cost
    /// Two syncs.
    pub fn finish_without_a_copy(self, sealed: bool) -> Result<(), Error> {
        self.finish_keeping(sealed, None).map(drop)
    }

    fn finish_keeping(
        self,
        sealed: bool,
        quarantine: Option<&Path>,
    ) -> Result<Option<PathBuf>, Error> {
        let (env, tmp) = (self.env.clone(), self.staged.tmp.clone());
        let result = self.try_finish(sealed, quarantine);
        if result.is_err() {
            // Frees the space, unless the file has its name already.
            segment::discard(env.as_ref(), &tmp);
        }
        result
    }

    fn try_finish(
        mut self,
        sealed: bool,
        quarantine: Option<&Path>,
    ) -> Result<Option<PathBuf>, Error> {
        if sealed {
            self.put_footer()?;
        }
        self.flush()?;
        let Staged {
            file, path, tmp, ..
        } = &self.staged;
        file.sync_all()
            .map_err(|error| Error::io("sync", tmp, error))?;
        let kept = match quarantine {
            Some(quarantine) => self.keep_old(quarantine)?,
            None => None,
        };
        let env = self.env.as_ref();
        env.replace(tmp, path)
            .map_err(|error| Error::io("replace", path, error))?;
        env.sync_dir(&self.dir)
            .map_err(|error| Error::io("sync", &self.dir, error))?;
        Ok(kept)
    }

    fn put_footer(&mut self) -> Result<(), Error> {
        let first_seq = self.staged.header.first_seq;
        let count = self.next_seq.saturating_sub(first_seq);
        if count == 0 {
            return Err(Error::invalid("a sealed segment has at least one commit"));
        }
        let place = self.place();
        let footer = Footer {
            count,
            first_seq,
            len_bytes: place.offset,
        };
        let frame = FrameRef {
            seq: self.next_seq.saturating_sub(1),
            chain: &self.last_chain,
            body: &footer.encode(),
            erasable: &[],
        };
        encode_frame(&mut self.buf, place, Kind::Footer, &frame)
            .map(drop)
            .ok_or_else(|| Error::invalid("the segment is too long"))
    }

    /// Copies the file that is about to be replaced; durable on return.
    fn keep_old(&self, quarantine: &Path) -> Result<Option<PathBuf>, Error> {
        let path = &self.staged.path;
        let file = match self.env.open(path, Access::Read) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("open", path, error)),
        };
        let len = file
            .len_bytes()
            .map_err(|error| Error::io("measure", path, error))?;
        let copy = Copy {
            file: &file,
            path,
            what: "segment",
            offset: 0,
            len,
        };
        let stem = format!("{:016}", self.staged.header.segment);
        copy.keep(self.env.as_ref(), quarantine, &stem, "wal")
            .map(Some)
    }
}
