//! Opening a journal that exists: first look, then decide, then change.
//!
//! [`Recovery::scan`] changes nothing. What it finds at the end of the last segment is either
//! sound, or torn by a write that was interrupted, or damaged; only a torn tail is ever cut, and
//! only by [`Recovery::into_journal`], after the cut bytes were copied elsewhere.
//!
//! Rule: DESIGN.md "Torn or corrupt". Every frame states how much of its file had been synced when
//! it was appended. Unsound bytes at offset X are torn only if no sound frame header of the
//! segment, before X or after it, states a synced length greater than X.

#![warn(clippy::indexing_slicing)]

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::env::{Access, Env, EnvFile};
use crate::error::{Error, ErrorKind, Fault};
use crate::format::{self, CLEAN_LEN, SegmentHeader};
use crate::quarantine::{COPY_LEN, Copy};
use crate::reader::{self, Frames, Step, Stop, Unsound, Walk, Window};
use crate::segment::{self, SegmentInfo};
use crate::writer::{Journal, JournalOptions};

/// How the journal ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tail {
    /// In the mark that [`Journal::close`] leaves: nothing that was synced can be missing.
    Clean,
    /// After a whole frame, without that mark: the writer died, or still lives.
    Unclean,
    /// In bytes that are no sound frame and that had not been synced: a write was interrupted.
    Torn {
        /// End of the last sound frame: distance from the start of the last segment, in bytes.
        offset: u64,
        /// Length from there to the last byte that is not zero, in bytes.
        len: u64,
        /// What is wrong with the first of them.
        reason: Fault,
    },
}

/// Bytes that were cut off, and where their copy is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The segment they were cut from.
    pub file: PathBuf,
    /// Where the cut was made, in bytes from the start of the file.
    pub offset_bytes: u64,
    /// How many bytes were cut.
    pub len_bytes: u64,
    /// The copy, synced before the cut was made.
    pub quarantined_as: PathBuf,
}

/// What opening a journal found and did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecoveryReport {
    /// Number of segments.
    pub segments: u64,
    /// Number of commits.
    pub frames: u64,
    /// Number of the last commit; 0 in an empty journal.
    pub last_seq: u64,
    /// True if the journal had been closed.
    pub clean: bool,
    /// What was cut off, if anything.
    pub cut: Option<Cut>,
}

/// What a journal directory holds, as found by a scan that changes nothing.
///
/// The store's lock must be held before the scan and until the journal is dropped; for reading
/// beside a live writer the scan sees a moment of it.
#[derive(Debug)]
pub struct Recovery {
    env: Arc<dyn Env>,
    dir: PathBuf,
    store_id: [u8; 16],
    segments: Vec<SegmentInfo>,
    unfinished: Vec<u64>,
    last: SegmentInfo,
    last_seq: u64,
    last_chain: [u8; 32],
    tail: Tail,
}

impl Recovery {
    /// Looks through a journal.
    ///
    /// Checks every segment's first page and footer, how the segments continue each other, and
    /// all frames of the last segment. The frames of sealed segments are checked when they are
    /// read: run through [`frames`](Recovery::frames) for a full check.
    ///
    /// # Errors
    /// * [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt): a segment is missing or damaged, or
    ///   the last one is damaged where it had been synced.
    /// * [`ErrorKind::Version`](crate::ErrorKind::Version): written by a newer release.
    /// * [`ErrorKind::Io`](crate::ErrorKind::Io): also if there is no such directory.
    ///
    /// # Cost
    /// Two reads per sealed segment, and one pass over the last one.
    pub fn scan(env: Arc<dyn Env>, dir: &Path) -> Result<Self, Error> {
        let listing = segment::list(env.as_ref(), dir)?;
        let mut segments: Vec<SegmentInfo> = Vec::new();
        let mut before: Option<Before> = None;
        let count = listing.segments.len();
        for (index, (expected, number)) in (1..).zip(listing.segments).enumerate() {
            let path = dir.join(segment::file_name(expected));
            if number != expected {
                return Err(Error::corrupt(&path, 0, "segment", Fault::Missing));
            }
            let (file, header, len) = segment::open(env.as_ref(), &path)?;
            check_header(&header, number, before.as_ref())
                .map_err(|fault| Error::corrupt(&path, 0, "segment header", fault))?;
            let mut info = SegmentInfo {
                segment: number,
                path,
                first_seq: header.first_seq,
                sealed: true,
                len_bytes: len,
                header,
            };
            if index + 1 < count {
                let (last_seq, last_chain) =
                    reader::read_footer(file, &info.path, &info.header, len)?;
                before = Some(Before {
                    store_id: info.header.store_id,
                    last_seq,
                    last_chain,
                });
                segments.push(info);
                continue;
            }
            let end = scan_last(file, &info.path, &info.header, len)?;
            info.sealed = end.sealed;
            info.len_bytes = end.walk.offset;
            segments.push(info.clone());
            return Ok(Self {
                env,
                dir: dir.to_owned(),
                store_id: info.header.store_id,
                segments,
                unfinished: listing.unfinished,
                last: info,
                last_seq: end.walk.last_seq,
                last_chain: end.walk.last_chain,
                tail: end.tail,
            });
        }
        Err(Error::corrupt(
            &dir.join(segment::file_name(1)),
            0,
            "segment",
            Fault::Missing,
        ))
    }

    /// The store this journal belongs to.
    pub fn store_id(&self) -> [u8; 16] {
        self.store_id
    }

    /// Number of the last sound frame; 0 in an empty journal.
    pub fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// Chain value of the last sound frame; zeros in an empty journal.
    pub fn last_chain(&self) -> [u8; 32] {
        self.last_chain
    }

    /// How the journal ends.
    pub fn tail(&self) -> &Tail {
        &self.tail
    }

    /// The segments, in order.
    pub fn segments(&self) -> &[SegmentInfo] {
        &self.segments
    }

    /// The sound frames from number `from_seq` on. Changes nothing.
    ///
    /// # Errors
    /// None yet; those met while reading come from the iterator, which then ends.
    pub fn frames(&self, from_seq: u64) -> Result<Frames, Error> {
        Ok(Frames::new(
            self.env.clone(),
            &self.segments,
            from_seq,
            self.last_seq,
        ))
    }

    /// Refuses a journal that ends before a frame which some other component proves durable.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) with [`Fault::Lost`] if `witness_seq` is
    /// greater than [`last_seq`](Recovery::last_seq): the end was lost, not torn.
    pub fn check_witness(&self, witness_seq: u64) -> Result<(), Error> {
        if witness_seq <= self.last_seq {
            return Ok(());
        }
        let fault = Fault::Lost {
            witness_seq,
            last_seq: self.last_seq,
        };
        Err(Error::corrupt(
            &self.last.path,
            self.last.len_bytes,
            "end of the journal",
            fault,
        ))
    }

    /// Turns the scan into a journal that takes frames.
    ///
    /// Cuts a torn tail, after copying its bytes into the directory `quarantine` (created if
    /// absent, beside its parent). Then makes durable what is not known to be on disk: after a
    /// failed sync the operating system may still show bytes that it never wrote. The last segment
    /// of a journal that was not closed is therefore copied into a new file, which is synced and
    /// takes its place; writing the bytes over themselves would not do (DESIGN.md "Torn or
    /// corrupt"). From one that was closed only the mark is cut off, until it is closed again. So
    /// every frame of the journal that is returned is durable. A crash at any point leaves a
    /// journal that can be scanned again.
    ///
    /// * `witness_seq`: a frame that some other component proves durable, as for
    ///   [`check_witness`](Recovery::check_witness).
    ///
    /// # Errors
    /// * [`ErrorKind::Invalid`](crate::ErrorKind::Invalid): the options are out of range.
    /// * [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt): the witness knows more. Nothing was
    ///   changed.
    /// * [`ErrorKind::Io`](crate::ErrorKind::Io): scan and try again; nothing sound is lost. Also
    ///   if there is no room for the copy, or if the bytes are not those of the scan any more.
    ///
    /// # Cost
    /// Two syncs. If the journal was not closed, also one copy of the last segment, which is read
    /// once more; if its tail is torn, also a copy of that, with three more syncs.
    pub fn into_journal(
        mut self,
        options: JournalOptions,
        witness_seq: Option<u64>,
        quarantine: &Path,
    ) -> Result<(Journal, RecoveryReport), Error> {
        options.check()?;
        self.check_witness(witness_seq.unwrap_or(0))?;
        let env = self.env.as_ref();
        for segment in &self.unfinished {
            let tmp = self.dir.join(segment::tmp_name(*segment));
            env.remove_tmp(&tmp)
                .map_err(|error| Error::io("remove", &tmp, error))?;
        }
        let path = &self.last.path;
        let mut file = env
            .open(path, Access::ReadWrite)
            .map_err(|error| Error::io("open for writing", path, error))?;
        let mut cut = None;
        if let Tail::Torn { offset, len, .. } = self.tail {
            let copy = Copy {
                file: &file,
                path,
                what: "torn tail",
                offset,
                len,
            };
            let stem = format!("{:016}-at-{offset:012}", self.last.segment);
            let quarantined_as = copy.keep(env, quarantine, &stem, "cut")?;
            let file = path.clone();
            cut = Some(Cut {
                file,
                offset_bytes: offset,
                len_bytes: len,
                quarantined_as,
            });
        }
        if self.tail == Tail::Clean {
            // All before the mark had been synced when it was written, but the mark itself may be
            // nowhere but in the cache, and its disk space beyond repair: frames that followed it
            // there would be lost with it, however often they were synced. Without the mark they
            // get space of their own. A crash from here on leaves a journal without the mark, or
            // with a torn one, and no frame fewer.
            let end = self.last.len_bytes.saturating_sub(CLEAN_LEN as u64);
            file.set_len(end)
                .map_err(|error| Error::io("truncate", path, error))?;
            file.sync_all()
                .map_err(|error| Error::io("sync", path, error))?;
            self.last.len_bytes = end;
        } else {
            file = self.copy_last(&file)?;
        }
        env.sync_dir(&self.dir)
            .map_err(|error| Error::io("sync", &self.dir, error))?;

        let report = RecoveryReport {
            segments: self.segments.len() as u64,
            frames: self.last_seq,
            last_seq: self.last_seq,
            clean: self.tail == Tail::Clean,
            cut,
        };
        let journal = Journal::resume(crate::writer::Resume {
            env: self.env,
            dir: self.dir,
            options,
            segments: self.segments,
            allocated: self.last.len_bytes,
            last: self.last,
            file,
            last_seq: self.last_seq,
            last_chain: self.last_chain,
        });
        Ok((journal, report))
    }

    /// Puts a copy of the last segment, up to the end of its last sound frame, in its place, and
    /// returns it. Its bytes are durable; that they have the name is not, before the directory is
    /// synced.
    fn copy_last(&self, file: &Arc<dyn EnvFile>) -> Result<Arc<dyn EnvFile>, Error> {
        let env = self.env.as_ref();
        let tmp = self.dir.join(segment::tmp_name(self.last.segment));
        let copy = env
            .create_new(&tmp)
            .map_err(|error| Error::io("create", &tmp, error))?;
        let replaced = self.write_copy(file, &copy, &tmp).and_then(|()| {
            env.replace(&tmp, &self.last.path)
                .map_err(|error| Error::io("replace", &self.last.path, error))
        });
        if let Err(error) = replaced {
            segment::discard(env, &tmp);
            return Err(error);
        }
        Ok(copy)
    }

    /// Fills and syncs the copy.
    fn write_copy(
        &self,
        file: &Arc<dyn EnvFile>,
        copy: &Arc<dyn EnvFile>,
        tmp: &Path,
    ) -> Result<(), Error> {
        let SegmentInfo {
            path,
            header,
            len_bytes,
            ..
        } = &self.last;
        let whole = Copy {
            file,
            path,
            what: "segment",
            offset: 0,
            len: *len_bytes,
        };
        whole.write_to(copy, tmp)?;
        // The scan may have seen bytes that only the cache had, and the cache may have let go of
        // them since. So the copy is asked whether it holds what the scan found.
        let scanned = segment::read_header(copy, tmp)
            .and_then(|copied| Ok((copied, scan_last(copy.clone(), tmp, header, *len_bytes)?)));
        let same = match scanned {
            Ok((copied, end)) => {
                copied == *header
                    && end.sealed == self.last.sealed
                    && (end.walk.offset, end.walk.last_seq, end.walk.last_chain)
                        == (*len_bytes, self.last_seq, self.last_chain)
            }
            Err(error) if error.kind() == ErrorKind::Io => return Err(error),
            Err(_) => false,
        };
        if !same {
            let changed = io::Error::other("it changed while it was being opened");
            return Err(Error::io("copy", path, changed));
        }
        copy.sync_all()
            .map_err(|error| Error::io("sync", tmp, error))
    }
}

/// What the segments read so far end in.
struct Before {
    store_id: [u8; 16],
    last_seq: u64,
    last_chain: [u8; 32],
}

fn check_header(header: &SegmentHeader, number: u64, before: Option<&Before>) -> Result<(), Fault> {
    if before.is_some_and(|before| before.store_id != header.store_id) {
        return Err(Fault::ForeignStore);
    }
    let last_seq = before.map_or(0, |before| before.last_seq);
    let expected = last_seq.saturating_add(1);
    for (expected, found) in [(number, header.segment), (expected, header.first_seq)] {
        if expected != found {
            return Err(Fault::Sequence { expected, found });
        }
    }
    if before.map_or([0; 32], |before| before.last_chain) != header.prev_chain {
        return Err(Fault::BrokenChain);
    }
    Ok(())
}

pub(crate) struct LastScan {
    pub(crate) walk: Walk,
    pub(crate) sealed: bool,
    tail: Tail,
}

impl LastScan {
    /// A torn end as damage, for a file that is known to have been whole.
    pub(crate) fn tail_error(&self, path: &Path) -> Option<Error> {
        match &self.tail {
            Tail::Torn { offset, reason, .. } => {
                Some(Error::corrupt(path, *offset, "frame", reason.clone()))
            }
            Tail::Clean | Tail::Unclean => None,
        }
    }
}

/// Walks the last segment and decides about its end.
pub(crate) fn scan_last(
    file: Arc<dyn EnvFile>,
    path: &Path,
    header: &SegmentHeader,
    len: u64,
) -> Result<LastScan, Error> {
    let mut walk = Walk::new(file.clone(), path, header, len);
    let (mut sealed, mut clean) = (false, false);
    let damage = loop {
        if walk.at_limit() {
            break None;
        }
        if sealed {
            let offset = walk.offset;
            break Some(Unsound {
                offset,
                what: "segment",
                fault: Fault::Leftover,
            });
        }
        match walk.step(0) {
            Ok(step) => {
                sealed = matches!(step, Step::Footer);
                clean = matches!(step, Step::Clean);
            }
            Err(Stop::Damage(damage)) => break Some(damage),
            Err(Stop::Io(error)) => return Err(error),
        }
    };
    let whole = if clean { Tail::Clean } else { Tail::Unclean };
    let Some(damage) = damage else {
        return Ok(LastScan {
            walk,
            sealed,
            tail: whole,
        });
    };
    if !damage.fault.may_be_torn() {
        return Err(damage.into_error(path));
    }
    let offset = walk.offset;
    let rest = examine(file, path, header.salt, offset, len)?;
    if rest.synced_len > offset {
        let cause = Box::new(damage.fault);
        let fault = Fault::Synced {
            synced_len_bytes: rest.synced_len,
            cause,
        };
        return Err(Error::corrupt(path, damage.offset, damage.what, fault));
    }
    let tail = match rest.nonzero_end {
        None => whole,
        Some(end) => Tail::Torn {
            offset,
            len: end - offset,
            reason: damage.fault,
        },
    };
    Ok(LastScan { walk, sealed, tail })
}

/// What stands after the last sound frame.
struct Rest {
    /// End of the last byte that is not zero.
    nonzero_end: Option<u64>,
    /// Largest synced length stated by a sound frame header; 0 if there is none.
    synced_len: u64,
}

/// Looks for sound frame headers at every place where a frame can begin.
///
/// The header alone is evidence enough: its checksum covers salt and place, so it was written
/// here, when the part of the file that it states had been synced.
fn examine(
    file: Arc<dyn EnvFile>,
    path: &Path,
    salt: u64,
    start: u64,
    len: u64,
) -> Result<Rest, Error> {
    let tag = format::frame_tag(salt).to_le_bytes();
    let mut window = Window::new(file.clone(), path.to_owned(), len);
    let mut headers = Window::new(file, path.to_owned(), len);
    let mut rest = Rest {
        nonzero_end: None,
        synced_len: 0,
    };
    let mut at = start;
    while at < len {
        let bytes = window.bytes(at, COPY_LEN)?;
        if bytes.is_empty() {
            break;
        }
        for (offset, word) in (at..).step_by(8).zip(bytes.chunks(8)) {
            if let Some(last) = word.iter().rposition(|byte| *byte != 0) {
                rest.nonzero_end = Some(offset + last as u64 + 1);
            }
            if word == tag {
                match headers.frame_header(salt, offset) {
                    Ok(header) => rest.synced_len = rest.synced_len.max(header.synced_len),
                    Err(Stop::Damage(_)) => {}
                    Err(Stop::Io(error)) => return Err(error),
                }
            }
        }
        at += bytes.len() as u64;
    }
    Ok(rest)
}
