//! Reading frames in order: pure, streaming, and in bounded memory.
//!
//! Nothing here writes, and nothing here decides what damage means: a walk stops at the first
//! thing that is not a sound frame and says what it met.

#![warn(clippy::indexing_slicing)]

use std::iter::FusedIterator;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::env::{Env, EnvFile};
use crate::error::{Error, Fault};
use crate::format::{
    self, FRAME_HEADER_LEN, FRAMES_OFFSET, Footer, FrameHeader, Kind, SegmentHeader,
};
use crate::segment::{self, SegmentInfo};

/// Bytes read at once. Frames longer than this are read in one piece of their own.
const READ_LEN: usize = 256 << 10;

/// Where a frame lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Number of the segment.
    pub segment: u64,
    /// Distance of the frame from the start of the file, in bytes.
    pub offset_bytes: u64,
    /// Length of the whole frame, in bytes.
    pub len_bytes: u64,
}

/// One commit as it was read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The commit's number.
    pub seq: u64,
    /// The caller's chain value, as appended.
    pub chain: [u8; 32],
    /// The commit, as appended; of a lost one, the bytes that were found in its place.
    pub body: Vec<u8>,
    /// The erasable section; empty for a lost commit.
    pub erasable: Vec<u8>,
    /// True if the frame only stands for a commit: a repair kept its number and chain value, and
    /// no copy could prove its content. See [`SegmentRewrite`](crate::SegmentRewrite).
    pub lost: bool,
    /// Where it lies.
    pub position: Position,
}

impl Frame {
    pub(crate) fn new(
        header: &FrameHeader,
        sections: &format::Sections<'_>,
        segment: u64,
        offset_bytes: u64,
    ) -> Self {
        Self {
            seq: header.seq,
            chain: header.chain,
            body: sections.body.to_vec(),
            erasable: sections.erasable.to_vec(),
            lost: header.kind == Kind::Lost,
            position: Position {
                segment,
                offset_bytes,
                len_bytes: header.frame_len(),
            },
        }
    }
}

/// What stopped a walk.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Reading failed: says nothing about the bytes.
    Io(Error),
    /// The bytes are not what must be here.
    Damage(Unsound),
}

/// Bytes that are not what must be there.
#[derive(Clone, Debug)]
pub(crate) struct Unsound {
    pub(crate) offset: u64,
    pub(crate) what: &'static str,
    pub(crate) fault: Fault,
}

impl Unsound {
    pub(crate) fn into_error(self, path: &Path) -> Error {
        Error::corrupt(path, self.offset, self.what, self.fault)
    }
}

impl Stop {
    fn into_error(self, path: &Path) -> Error {
        match self {
            Self::Io(error) => error,
            Self::Damage(damage) => damage.into_error(path),
        }
    }
}

/// A file seen through one buffer.
#[derive(Debug)]
pub(crate) struct Window {
    file: Arc<dyn EnvFile>,
    path: PathBuf,
    /// Bytes from here on are not looked at.
    limit: u64,
    start: u64,
    buf: Vec<u8>,
}

impl Window {
    pub(crate) fn new(file: Arc<dyn EnvFile>, path: PathBuf, limit: u64) -> Self {
        Self {
            file,
            path,
            limit,
            start: 0,
            buf: Vec::new(),
        }
    }

    /// The `len` bytes from `offset` on; fewer only where the limit or the end of the file comes
    /// first. The buffer never grows beyond the bytes that the file has.
    pub(crate) fn bytes(&mut self, offset: u64, len: usize) -> Result<&[u8], Error> {
        let rest = usize::try_from(self.limit.saturating_sub(offset)).unwrap_or(usize::MAX);
        let len = len.min(rest);
        let held = offset
            .checked_sub(self.start)
            .and_then(|skip| usize::try_from(skip).ok())
            .filter(|skip| {
                skip.checked_add(len)
                    .is_some_and(|end| end <= self.buf.len())
            });
        let skip = if let Some(skip) = held {
            skip
        } else {
            self.start = offset;
            self.buf.resize(len.max(READ_LEN).min(rest), 0);
            self.buf.shrink_to(READ_LEN.max(len));
            let have = self
                .file
                .read_at(&mut self.buf, offset)
                .map_err(|error| Error::io("read", &self.path, error));
            // After a failure the buffer holds nothing that may be used again.
            self.buf.truncate(*have.as_ref().unwrap_or(&0));
            have?;
            0
        };
        let tail = self.buf.get(skip..).unwrap_or_default();
        Ok(tail.get(..len).unwrap_or(tail))
    }

    /// The header of the frame that begins at `offset`; says nothing about what follows it.
    pub(crate) fn frame_header(&mut self, salt: u64, offset: u64) -> Result<FrameHeader, Stop> {
        let bytes = self.bytes(offset, FRAME_HEADER_LEN).map_err(Stop::Io)?;
        FrameHeader::decode(bytes, salt, offset).map_err(|fault| {
            Stop::Damage(Unsound {
                offset,
                what: "frame header",
                fault,
            })
        })
    }

    /// Checks the body and the erasable section of a frame.
    fn sections(
        &mut self,
        header: &FrameHeader,
        salt: u64,
        offset: u64,
    ) -> Result<format::Sections<'_>, Stop> {
        let damage = |what, offset, fault| {
            Stop::Damage(Unsound {
                offset,
                what,
                fault,
            })
        };
        let need = header.frame_len();
        let have = self.limit.saturating_sub(offset);
        let short = Fault::Truncated { need, have };
        // The header is sound, yet its length is not used before the file is seen to have it.
        let len = usize::try_from(need).ok().filter(|_| need <= have);
        let Some(len) = len else {
            return Err(damage("frame", offset, short));
        };
        let bytes = self.bytes(offset, len).map_err(Stop::Io)?;
        let content = bytes.get(FRAME_HEADER_LEN..).unwrap_or_default();
        if bytes.len() < len {
            return Err(damage("frame", offset, short));
        }
        format::decode_sections(header, content, salt, offset)
            .map_err(|(what, at, fault)| damage(what, offset.saturating_add(at), fault))
    }
}

/// What a walk met.
#[derive(Debug)]
pub(crate) enum Step {
    /// A commit before the first one asked for: its header is sound, the rest was not read.
    Skipped,
    Commit(Frame),
    Clean,
    Footer,
}

/// The frames of one segment in order.
///
/// # Invariants
/// * `offset` is the end of the last sound frame, and a multiple of 8.
/// * `last_seq` and `last_chain` are the last commit's, in this segment or the one before.
#[derive(Debug)]
pub(crate) struct Walk {
    window: Window,
    segment: u64,
    salt: u64,
    first_seq: u64,
    pub(crate) offset: u64,
    pub(crate) last_seq: u64,
    pub(crate) last_chain: [u8; 32],
}

impl Walk {
    /// Starts at the first frame; looks at no byte from `limit` on.
    pub(crate) fn new(
        file: Arc<dyn EnvFile>,
        path: &Path,
        header: &SegmentHeader,
        limit: u64,
    ) -> Self {
        Self {
            window: Window::new(file, path.to_owned(), limit),
            segment: header.segment,
            salt: header.salt,
            first_seq: header.first_seq,
            offset: FRAMES_OFFSET,
            last_seq: header.first_seq.saturating_sub(1),
            last_chain: header.prev_chain,
        }
    }

    pub(crate) fn at_limit(&self) -> bool {
        self.offset >= self.window.limit
    }

    /// Reads the next frame; the content of commits before `from_seq` is skipped, not checked.
    pub(crate) fn step(&mut self, from_seq: u64) -> Result<Step, Stop> {
        let offset = self.offset;
        let header = self.window.frame_header(self.salt, offset)?;
        let damage = |what, fault| {
            Stop::Damage(Unsound {
                offset,
                what,
                fault,
            })
        };
        let expected = match header.kind {
            Kind::Commit | Kind::Lost => self.last_seq.saturating_add(1),
            Kind::Clean | Kind::Footer => self.last_seq,
        };
        if header.seq != expected {
            let fault = Fault::Sequence {
                expected,
                found: header.seq,
            };
            return Err(damage("frame number", fault));
        }
        let len_bytes = header.frame_len();
        let end = offset.saturating_add(len_bytes);
        let step = match header.kind {
            Kind::Commit | Kind::Lost if header.seq < from_seq => {
                let have = self.window.limit.saturating_sub(offset);
                if have < len_bytes {
                    let fault = Fault::Truncated {
                        need: len_bytes,
                        have,
                    };
                    return Err(damage("frame", fault));
                }
                Step::Skipped
            }
            Kind::Commit | Kind::Lost => {
                let sections = self.window.sections(&header, self.salt, offset)?;
                Step::Commit(Frame::new(&header, &sections, self.segment, offset))
            }
            Kind::Clean | Kind::Footer if header.chain != self.last_chain => {
                return Err(damage("closing frame", Fault::BrokenChain));
            }
            Kind::Clean => Step::Clean,
            Kind::Footer => {
                let body = self.window.sections(&header, self.salt, offset)?.body;
                let footer = Footer::decode(body).map_err(|fault| damage("footer", fault))?;
                check_footer(footer, self.first_seq, self.last_seq, offset)
                    .map_err(|fault| damage("footer", fault))?;
                Step::Footer
            }
        };
        if header.kind.is_commit() {
            self.last_seq = header.seq;
            self.last_chain = header.chain;
        }
        self.offset = end;
        Ok(step)
    }
}

/// Holds a footer against what is known of its segment. A sealed segment is never empty.
fn check_footer(
    footer: Footer,
    first_seq: u64,
    last_seq: u64,
    len_bytes: u64,
) -> Result<(), Fault> {
    if footer.first_seq != first_seq {
        return Err(Fault::Sequence {
            expected: first_seq,
            found: footer.first_seq,
        });
    }
    let count = last_seq
        .checked_sub(first_seq)
        .and_then(|more| more.checked_add(1));
    if footer.count == 0 || Some(footer.count) != count {
        return Err(Fault::Value {
            field: "frame count",
            found: footer.count,
        });
    }
    if footer.len_bytes != len_bytes {
        return Err(Fault::Value {
            field: "segment length",
            found: footer.len_bytes,
        });
    }
    Ok(())
}

/// Reads the footer at the end of a sealed segment: the last frame's number and chain value.
pub(crate) fn read_footer(
    file: Arc<dyn EnvFile>,
    path: &Path,
    header: &SegmentHeader,
    len: u64,
) -> Result<(u64, [u8; 32]), Error> {
    let at = len
        .checked_sub(format::FOOTER_LEN as u64)
        .filter(|at| *at >= FRAMES_OFFSET);
    let offset = at.ok_or_else(|| {
        let need = FRAMES_OFFSET + format::FOOTER_LEN as u64;
        Error::corrupt(path, len, "footer", Fault::Truncated { need, have: len })
    })?;
    let damage = |fault| Error::corrupt(path, offset, "footer", fault);
    let mut window = Window::new(file, path.to_owned(), len);
    let frame = window
        .frame_header(header.salt, offset)
        .map_err(|stop| match stop {
            // Called a footer, since that is what is missing here: the file may have been cut.
            Stop::Damage(Unsound { fault, .. }) => damage(fault),
            Stop::Io(error) => error,
        })?;
    if frame.kind != Kind::Footer {
        return Err(damage(Fault::Missing));
    }
    let body = window
        .sections(&frame, header.salt, offset)
        .map_err(|stop| stop.into_error(path))?
        .body;
    let footer = Footer::decode(body).map_err(damage)?;
    check_footer(footer, header.first_seq, frame.seq, offset).map_err(damage)?;
    Ok((frame.seq, frame.chain))
}

/// The frames of a journal in order: an iterator that ends after the first error.
///
/// Sees the frames that were there when it was made; frames appended later do not appear.
///
/// # Cost
/// One buffer of 256 KiB, or of the longest frame if that is more. Starting inside a segment
/// reads the headers of the frames before it.
#[derive(Debug)]
pub struct Frames {
    env: Arc<dyn Env>,
    segments: std::vec::IntoIter<SegmentInfo>,
    current: Option<(Walk, SegmentInfo)>,
    from_seq: u64,
    until_seq: u64,
    done: bool,
}

impl Frames {
    /// Frames `from_seq` to `until_seq` of these segments.
    pub(crate) fn new(
        env: Arc<dyn Env>,
        segments: &[SegmentInfo],
        from_seq: u64,
        until_seq: u64,
    ) -> Self {
        let from_seq = from_seq.max(1);
        let skip = segments
            .partition_point(|info| info.first_seq <= from_seq)
            .saturating_sub(1);
        let done = from_seq > until_seq;
        let segments = if done {
            &[]
        } else {
            segments.get(skip..).unwrap_or_default()
        };
        let segments = Vec::from(segments).into_iter();
        Self {
            env,
            segments,
            current: None,
            from_seq,
            until_seq,
            done,
        }
    }

    fn advance(&mut self) -> Result<Option<Frame>, Error> {
        loop {
            let Some((walk, info)) = &mut self.current else {
                let Some(info) = self.segments.next() else {
                    return Ok(None);
                };
                self.current = Some((self.enter(&info)?, info));
                continue;
            };
            if walk.last_seq >= self.until_seq && !info.sealed {
                return Ok(None);
            }
            match walk
                .step(self.from_seq)
                .map_err(|stop| stop.into_error(&info.path))?
            {
                Step::Commit(frame) if frame.seq <= self.until_seq => return Ok(Some(frame)),
                Step::Commit(_) | Step::Skipped | Step::Clean => {}
                Step::Footer => {
                    if !walk.at_limit() {
                        let error =
                            Error::corrupt(&info.path, walk.offset, "segment", Fault::Leftover);
                        return Err(error);
                    }
                    self.current = None;
                }
            }
        }
    }

    /// Opens a segment and makes sure that it is still the one that was found before.
    fn enter(&self, info: &SegmentInfo) -> Result<Walk, Error> {
        let (file, header, len) = segment::open(self.env.as_ref(), &info.path)?;
        if header != info.header {
            let fault = Fault::Sequence {
                expected: info.segment,
                found: header.segment,
            };
            return Err(Error::corrupt(&info.path, 0, "segment header", fault));
        }
        // Of one that is not sealed the closing mark may have been cut since, which is no loss:
        // whoever opens a closed journal for writing does that.
        if info.sealed && len < info.len_bytes {
            let fault = Fault::Truncated {
                need: info.len_bytes,
                have: len,
            };
            return Err(Error::corrupt(&info.path, len, "segment", fault));
        }
        let limit = len.min(info.len_bytes);
        Ok(Walk::new(file, &info.path, &header, limit))
    }
}

impl Iterator for Frames {
    type Item = Result<Frame, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let item = self.advance().transpose();
        self.done = !matches!(item, Some(Ok(_)));
        item
    }
}

impl FusedIterator for Frames {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_footer_must_tell_what_stands_before_it() {
        let footer = Footer {
            count: 3,
            first_seq: 5,
            len_bytes: 9000,
        };
        assert_eq!(check_footer(footer, 5, 7, 9000), Ok(()));
        let value = |field, found| Err(Fault::Value { field, found });
        let sequence = Err(Fault::Sequence {
            expected: 4,
            found: 5,
        });
        assert_eq!(check_footer(footer, 4, 7, 9000), sequence);
        assert_eq!(check_footer(footer, 5, 8, 9000), value("frame count", 3));
        assert_eq!(
            check_footer(footer, 5, 7, 8992),
            value("segment length", 9000)
        );
        let empty = Footer { count: 0, ..footer };
        assert_eq!(check_footer(empty, 5, 4, 9000), value("frame count", 0));
        assert_eq!(
            check_footer(empty, 5, u64::MAX, 9000),
            value("frame count", 0)
        );
    }

    #[test]
    fn a_window_gives_what_the_file_has_up_to_the_limit() {
        let env = crate::MemEnv::new(1);
        let path = Path::new("f");
        let bytes: Vec<u8> = (0..=255).cycle().take(READ_LEN + 1000).collect();
        env.set_contents(path, &bytes);
        let file = env.open(path, crate::Access::Read).expect("there");
        let limit = bytes.len() - 10;
        let mut window = Window::new(file, path.to_owned(), limit as u64);
        for (offset, len) in [
            (0, 5),
            (3, READ_LEN),
            (READ_LEN - 1, 50),
            (limit - 3, 8),
            (limit, 1),
            (7, 1 << 40),
        ] {
            let end = (offset + len).min(limit);
            let read = window.bytes(offset as u64, len).expect("no faults");
            assert!(read == &bytes[offset..end], "{len} bytes at {offset}");
        }
        assert_eq!(window.bytes(u64::MAX, usize::MAX).expect("no faults"), b"");
        assert!(window.buf.capacity() <= bytes.len());
    }
}
