//! Reading what can be read of a journal, past any damage: the eyes of verify and repair.
//!
//! Nothing here writes, and no damage is an error: sound things come out in order of place, and
//! what stands between them as [`Damage`]. Only bytes are judged. Whether numbers, chain values
//! and segments continue each other is for the caller to see.

#![warn(clippy::indexing_slicing)]

use std::ffi::OsString;
use std::io;
use std::iter::FusedIterator;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::io::Errno;

use crate::env::{Access, Env, EnvFile};
use crate::error::{Error, Fault};
use crate::format::{
    self, FRAME_HEADER_LEN, FRAMES_OFFSET, Footer, FrameHeader, Kind, PAGE_LEN, SegmentHeader,
};
use crate::quarantine::COPY_LEN;
use crate::reader::{Frame, Position, Stop, Window};
use crate::segment::{self, Listing};

/// What lies in a journal directory, sound or not.
///
/// Takes no lock and changes nothing. Beside a live writer it sees a moment, whose end can look
/// torn.
#[derive(Debug)]
pub struct Survey {
    env: Arc<dyn Env>,
    dir: PathBuf,
    listing: Listing,
}

impl Survey {
    /// Lists the directory; opens no file.
    ///
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io): also if there is no such directory.
    pub fn new(env: Arc<dyn Env>, dir: &Path) -> Result<Self, Error> {
        let listing = segment::list(env.as_ref(), dir)?;
        Ok(Self {
            env,
            dir: dir.to_owned(),
            listing,
        })
    }

    /// Numbers of the segments, rising; a gap is a missing file.
    pub fn segments(&self) -> &[u64] {
        &self.listing.segments
    }

    /// Numbers of the segments that were being prepared, rising; they hold nothing that was
    /// acknowledged.
    pub fn unfinished(&self) -> &[u64] {
        &self.listing.unfinished
    }

    /// Names that the journal knows nothing of, sorted.
    pub fn foreign(&self) -> &[OsString] {
        &self.listing.foreign
    }

    /// The file of a segment, there or not.
    pub fn path(&self, segment: u64) -> PathBuf {
        self.dir.join(segment::file_name(segment))
    }

    /// Reads one segment file from its start to its end as it is now.
    ///
    /// An absent file, or a thing that is not a regular file, is one [`Damage`]:
    /// [`Fault::Missing`] or [`Fault::NotAFile`].
    ///
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io): the file cannot be opened or measured.
    pub fn walk(&self, segment: u64) -> Result<SegmentWalk, Error> {
        let path = self.path(segment);
        let file = match self.env.open(&path, Access::Read) {
            Ok(file) => file,
            Err(error) => {
                let fault = absence(&error);
                let fault = fault.ok_or_else(|| Error::io("open", &path, error))?;
                return Ok(SegmentWalk {
                    path,
                    absent: Some(fault),
                    pass: None,
                });
            }
        };
        let len = file
            .len_bytes()
            .map_err(|error| Error::io("measure", &path, error))?;
        let pass = Pass::new(&file, &path, segment, len);
        Ok(SegmentWalk {
            path,
            absent: None,
            pass: Some(pass),
        })
    }
}

/// Why there is no file, where that is what the error says.
fn absence(error: &io::Error) -> Option<Fault> {
    if error.kind() == io::ErrorKind::NotFound {
        return Some(Fault::Missing);
    }
    // A directory or pipe is refused by `Env::open`, a link or socket by the operating system.
    let others = [Errno::LOOP, Errno::NXIO, Errno::ISDIR, Errno::NODEV];
    let refused = error
        .raw_os_error()
        .is_some_and(|code| others.iter().any(|errno| errno.raw_os_error() == code));
    (refused || error.kind() == io::ErrorKind::InvalidInput).then_some(Fault::NotAFile)
}

/// What stands at some place of a segment file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Found {
    /// The first page, sound.
    Page(Page),
    /// A sound commit, or what stands for a lost one.
    Frame(Frame),
    /// A sound mark that the journal was closed here.
    Clean {
        /// Number of the commit before it.
        seq: u64,
        /// Where it lies.
        position: Position,
    },
    /// The sound end of a sealed segment.
    Footer {
        /// Number of the segment's first commit, as the footer states it.
        first_seq: u64,
        /// How many commits the segment has, as the footer states it.
        count: u64,
        /// Number of the last commit, as the footer states it.
        seq: u64,
        /// Chain value of the last commit, as the footer states it.
        chain: [u8; 32],
        /// Where it lies.
        position: Position,
    },
    /// Bytes that are not what must be there.
    Damage(Damage),
    /// Nothing but zeros up to the end of the file: space allocated ahead. Only the last segment
    /// may have any.
    Unused {
        /// Where they begin, from the start of the file.
        offset_bytes: u64,
        /// How many there are; not 0.
        len_bytes: u64,
    },
}

/// What the first page of a segment says, its salt aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The store it belongs to.
    pub store_id: [u8; 16],
    /// Number of the segment.
    pub segment: u64,
    /// Number of the first commit it holds, or will hold.
    pub first_seq: u64,
    /// Chain value of the commit before that; zeros in segment 1.
    pub prev_chain: [u8; 32],
}

/// A stretch of a segment file that does not hold what it must.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damage {
    /// Where it begins, from the start of the file.
    pub offset_bytes: u64,
    /// Length up to the next sound thing, to the zeros at the end, or to the end of the file. 0 if
    /// there is no file, or an empty one.
    pub len_bytes: u64,
    /// The structure at its beginning that is damaged, such as "frame header".
    pub what: &'static str,
    /// What is wrong with that.
    pub fault: Fault,
    /// The commit that stood here, where its header is sound.
    pub frame: Option<DamagedFrame>,
}

/// What is still known of a damaged commit.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DamagedFrame {
    /// Its number.
    pub seq: u64,
    /// Its chain value.
    pub chain: [u8; 32],
    /// Its body, where the checksum proves it: the damage is elsewhere.
    pub body: Option<Vec<u8>>,
    /// Its erasable section, where the checksum proves it.
    pub erasable: Option<Vec<u8>>,
    /// Length of its body, in bytes.
    pub body_len_bytes: u32,
    /// Length of its erasable section, in bytes; 0 if it has none.
    pub erasable_len_bytes: u32,
    /// True if it stood for a lost commit; its body is then what was found in that one's place.
    pub lost: bool,
}

/// What one segment file holds, in order of place: an iterator that ends after the first error,
/// which is always of kind [`Io`](crate::ErrorKind::Io).
///
/// Every byte of the file belongs to exactly one of the things found.
///
/// * A damaged first page hides the segment's salt. It is then taken from the frames: a salt is
///   believed only if the header and the body of some frame fit it. If no frame does, all the
///   rest is part of the page's damage.
/// * After a damaged frame header the walk goes on at the next place where a sound one stands.
/// * A frame whose header is sound and whose content is not is left out by itself, unless its
///   end is not where a frame begins and another one begins inside.
///
/// # Cost
/// Two buffers of 256 KiB each, or of the longest frame where that is more. One pass; a damaged
/// stretch is read again, and all of the file up to three times to find a salt. Only a file made
/// for it, with many sound headers whose lengths lead nowhere, takes longer.
#[derive(Debug)]
pub struct SegmentWalk {
    path: PathBuf,
    /// Why there is no file to read.
    absent: Option<Fault>,
    pass: Option<Pass>,
}

impl SegmentWalk {
    /// The segment's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file's length when the walk began, in bytes; 0 if there is none.
    pub fn len_bytes(&self) -> u64 {
        self.pass.as_ref().map_or(0, |pass| pass.len)
    }
}

impl Iterator for SegmentWalk {
    type Item = Result<Found, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(fault) = self.absent.take() {
            return Some(Ok(damage(0, 0, "segment", fault)));
        }
        let pass = self.pass.as_mut()?;
        let item = pass.advance().transpose();
        if !matches!(item, Some(Ok(_))) {
            pass.state = State::Done;
        }
        item
    }
}

impl FusedIterator for SegmentWalk {}

fn damage(start: u64, end: u64, what: &'static str, fault: Fault) -> Found {
    Found::Damage(Damage {
        offset_bytes: start,
        len_bytes: end.saturating_sub(start),
        what,
        fault,
        frame: None,
    })
}

#[derive(Clone, Copy, Debug)]
enum State {
    Page,
    /// Between frames of a segment with this salt.
    Frames(u64),
    /// Where only zeros may follow.
    End,
    Done,
}

/// One pass over a file.
///
/// # Invariants
/// * All before `offset` was reported.
/// * `offset` is a multiple of 8, or the end of the file.
#[derive(Debug)]
struct Pass {
    segment: u64,
    len: u64,
    window: Window,
    /// For looking ahead while `window` stays where it is.
    ahead: Window,
    offset: u64,
    state: State,
}

/// What a search found.
struct Search {
    /// The first place where a sound frame header stands.
    frame_at: Option<u64>,
    /// End of the last word before it that is not zero.
    nonzero_end: Option<u64>,
    /// How far the file could be read.
    end: u64,
}

impl Pass {
    fn new(file: &Arc<dyn EnvFile>, path: &Path, segment: u64, len: u64) -> Self {
        Self {
            segment,
            len,
            window: Window::new(file.clone(), path.to_owned(), len),
            ahead: Window::new(file.clone(), path.to_owned(), len),
            offset: 0,
            state: State::Page,
        }
    }

    fn advance(&mut self) -> Result<Option<Found>, Error> {
        match self.state {
            State::Done => return Ok(None),
            State::Page => return self.page().map(Some),
            State::Frames(_) | State::End if self.offset >= self.len => return Ok(None),
            State::Frames(salt) => match header(&mut self.window, salt, self.offset)? {
                Ok(header) => self.frame(&header, salt),
                Err(fault) => self.gap(Some(salt), "frame header", fault),
            },
            State::End => self.gap(None, "segment", Fault::Leftover),
        }
        .map(Some)
    }

    fn page(&mut self) -> Result<Found, Error> {
        let page = self.window.bytes(0, PAGE_LEN)?;
        let decoded = SegmentHeader::decode(page);
        let stated = SegmentHeader::stated_salt(page);
        self.offset = FRAMES_OFFSET.min(self.len);
        let fault = match decoded {
            Ok(header) => {
                self.state = State::Frames(header.salt);
                return Ok(Found::Page(Page {
                    store_id: header.store_id,
                    segment: header.segment,
                    first_seq: header.first_seq,
                    prev_chain: header.prev_chain,
                }));
            }
            Err(fault) => fault,
        };
        if let Some(salt) = self.find_salt(stated)? {
            self.state = State::Frames(salt);
        } else {
            // Nothing can be told apart in what follows.
            let rest = self.search(None, self.offset, self.len)?;
            self.offset = rest.nonzero_end.unwrap_or(self.offset);
            self.state = State::End;
        }
        Ok(damage(0, self.offset, "segment header", fault))
    }

    /// What stands at `offset`, whose frame header is sound.
    fn frame(&mut self, header: &FrameHeader, salt: u64) -> Result<Found, Error> {
        let (segment, offset) = (self.segment, self.offset);
        let need = header.frame_len();
        let position = Position {
            segment,
            offset_bytes: offset,
            len_bytes: need,
        };
        let bytes = self.window.bytes(offset, frame_index(need))?;
        let have = bytes.len() as u64;
        let content = bytes.get(FRAME_HEADER_LEN..).unwrap_or_default();
        let decoded = if have < need {
            Err(("frame", Fault::Truncated { need, have }))
        } else {
            format::decode_sections(header, content, salt, offset)
                .map_err(|(what, _, fault)| (what, fault))
                .and_then(|sections| match header.kind {
                    Kind::Commit | Kind::Lost => {
                        Ok(Found::Frame(Frame::new(header, &sections, segment, offset)))
                    }
                    Kind::Clean => Ok(Found::Clean {
                        seq: header.seq,
                        position,
                    }),
                    Kind::Footer => footer(header, sections.body, position),
                })
        };
        match decoded {
            Ok(found) => {
                self.offset = offset.saturating_add(need);
                if header.kind == Kind::Footer {
                    self.state = State::End;
                }
                Ok(found)
            }
            Err((what, fault)) => {
                let frame = header
                    .kind
                    .is_commit()
                    .then(|| damaged_frame(header, content, salt, offset));
                self.offset = self.after_frame(salt, offset.saturating_add(need))?;
                Ok(Found::Damage(Damage {
                    offset_bytes: offset,
                    len_bytes: self.offset - offset,
                    what,
                    fault,
                    frame,
                }))
            }
        }
    }

    /// Where to go on after the damaged frame at `offset` that is said to end at `end`.
    fn after_frame(&mut self, salt: u64, end: u64) -> Result<u64, Error> {
        if end < self.len && header(&mut self.ahead, salt, end)?.is_ok() {
            return Ok(end);
        }
        let end = end.min(self.len);
        let inside = self.search(Some(salt), self.offset.saturating_add(8), end)?;
        Ok(inside.frame_at.unwrap_or(end))
    }

    /// What stands at `offset`, where no sound thing does: damage, or zeros up to the end.
    fn gap(&mut self, salt: Option<u64>, what: &'static str, fault: Fault) -> Result<Found, Error> {
        let start = self.offset;
        let found = self.search(salt, start, self.len)?;
        if let Some(next) = found.frame_at {
            self.offset = next;
        } else if found.end < self.len {
            // The file became shorter meanwhile: nothing is known of the rest.
            self.offset = self.len;
            let fault = Fault::Truncated {
                need: self.len,
                have: found.end,
            };
            return Ok(damage(start, self.len, "segment", fault));
        } else if let Some(end) = found.nonzero_end {
            self.offset = end;
        } else {
            self.offset = self.len;
            return Ok(Found::Unused {
                offset_bytes: start,
                len_bytes: self.len - start,
            });
        }
        Ok(damage(start, self.offset, what, fault))
    }

    /// Looks from `start`, a multiple of 8, to `end` for the next sound frame header with this
    /// salt, and for bytes that are not zero.
    fn search(&mut self, salt: Option<u64>, start: u64, end: u64) -> Result<Search, Error> {
        let tag = salt.map(|salt| format::frame_tag(salt).to_le_bytes());
        let mut search = Search {
            frame_at: None,
            nonzero_end: None,
            end: start,
        };
        while search.end < end {
            let len = COPY_LEN.min(frame_index(end - search.end));
            let bytes = self.window.bytes(search.end, len)?;
            if bytes.is_empty() {
                break;
            }
            for (at, word) in (search.end..).step_by(8).zip(bytes.chunks(8)) {
                if let (Some(salt), Some(tag)) = (salt, tag)
                    && word == tag
                    && header(&mut self.ahead, salt, at)?.is_ok()
                {
                    search.frame_at = Some(at);
                    return Ok(search);
                }
                if word.iter().any(|byte| *byte != 0) {
                    search.nonzero_end = Some(at + word.len() as u64);
                }
            }
            search.end += bytes.len() as u64;
        }
        Ok(search)
    }

    /// The salt that some frame proves.
    ///
    /// Looks where the first frame begins; then for a frame under the salt that the damaged page
    /// states; then at every place. Only the last step can be misled by a body that was made to
    /// look like a frame, and what it then finds does not continue the caller's chain.
    fn find_salt(&mut self, stated: Option<u64>) -> Result<Option<u64>, Error> {
        if let Some(salt) = self.salt_at(FRAMES_OFFSET)? {
            return Ok(Some(salt));
        }
        if let Some(salt) = stated {
            let mut at = FRAMES_OFFSET;
            while let Some(next) = self.search(Some(salt), at, self.len)?.frame_at {
                if self.salt_at(next)? == Some(salt) {
                    return Ok(Some(salt));
                }
                at = next.saturating_add(8);
            }
        }
        let mut at = FRAMES_OFFSET;
        while at < self.len {
            if let Some(salt) = self.salt_at(at)? {
                return Ok(Some(salt));
            }
            at = at.saturating_add(8);
        }
        Ok(None)
    }

    /// The salt under which a frame at this place has a sound header and body.
    fn salt_at(&mut self, offset: u64) -> Result<Option<u64>, Error> {
        let bytes = self.window.bytes(offset, FRAME_HEADER_LEN)?;
        let Some(tag) = bytes
            .first_chunk()
            .filter(|_| format::may_begin_frame(bytes))
        else {
            return Ok(None);
        };
        let salt = format::salt_of_tag(u64::from_le_bytes(*tag));
        let header = match FrameHeader::decode(bytes, salt, offset) {
            Ok(header) if format::salt_is_usable(salt) => header,
            _ => return Ok(None),
        };
        let len = FRAME_HEADER_LEN.saturating_add(frame_index(u64::from(header.body_len)));
        let bytes = self.ahead.bytes(offset, len)?;
        let content = bytes.get(FRAME_HEADER_LEN..).unwrap_or_default();
        let body = format::salvage(&header, content, salt, offset).body;
        Ok(body.ok().map(|_| salt))
    }
}

/// The frame header at a place, or why there is none; says nothing about what follows it.
fn header(
    window: &mut Window,
    salt: u64,
    offset: u64,
) -> Result<Result<FrameHeader, Fault>, Error> {
    match window.frame_header(salt, offset) {
        Ok(header) => Ok(Ok(header)),
        Err(Stop::Damage(unsound)) => Ok(Err(unsound.fault)),
        Err(Stop::Io(error)) => Err(error),
    }
}

fn footer(
    header: &FrameHeader,
    body: &[u8],
    position: Position,
) -> Result<Found, (&'static str, Fault)> {
    let footer = Footer::decode(body).map_err(|fault| ("footer", fault))?;
    if footer.len_bytes != position.offset_bytes {
        let fault = Fault::Value {
            field: "segment length",
            found: footer.len_bytes,
        };
        return Err(("footer", fault));
    }
    Ok(Found::Footer {
        first_seq: footer.first_seq,
        count: footer.count,
        seq: header.seq,
        chain: header.chain,
        position,
    })
}

fn damaged_frame(header: &FrameHeader, content: &[u8], salt: u64, offset: u64) -> DamagedFrame {
    let known = format::salvage(header, content, salt, offset);
    DamagedFrame {
        seq: header.seq,
        chain: header.chain,
        body: known.body.ok().map(<[u8]>::to_vec),
        erasable: known.erasable.ok().map(<[u8]>::to_vec),
        body_len_bytes: header.body_len,
        erasable_len_bytes: header.erasable_len,
        lost: header.kind == Kind::Lost,
    }
}

/// A length in memory. It is used through a [`Window`] only, which gives what the file has.
fn frame_index(len: u64) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}
