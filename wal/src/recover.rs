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
use crate::error::{Error, Fault};
use crate::format::{self, SegmentHeader};
use crate::reader::{self, Damage, Frames, Step, Stop, Walk, Window};
use crate::segment::{self, SegmentInfo};
use crate::writer::{Journal, JournalOptions};

const COPY_LEN: usize = 256 << 10;

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
    synced_len: u64,
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
                synced_len: end.walk.synced_len,
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
    /// absent, beside its parent). Writes again and syncs whatever is not known to be on disk:
    /// after a failed sync the operating system may still show bytes that it never wrote. So every
    /// frame of the journal that is returned is durable. A crash at any point leaves a journal
    /// that can be scanned again.
    ///
    /// * `witness_seq`: a frame that some other component proves durable, as for
    ///   [`check_witness`](Recovery::check_witness).
    ///
    /// # Errors
    /// * [`ErrorKind::Invalid`](crate::ErrorKind::Invalid): the options are out of range.
    /// * [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt): the witness knows more. Nothing was
    ///   changed.
    /// * [`ErrorKind::Io`](crate::ErrorKind::Io): scan and try again; nothing sound is lost.
    pub fn into_journal(
        self,
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
        let file = env
            .open(path, Access::ReadWrite)
            .map_err(|error| Error::io("open for writing", path, error))?;
        let end = self.last.len_bytes;
        let mut cut = None;
        if let Tail::Torn { offset, len, .. } = self.tail {
            let quarantined_as = self.quarantine(&file, offset, len, quarantine)?;
            let file = path.clone();
            cut = Some(Cut {
                file,
                offset_bytes: offset,
                len_bytes: len,
                quarantined_as,
            });
        }
        if cut.is_some() || self.last.sealed {
            file.set_len(end)
                .map_err(|error| Error::io("truncate", path, error))?;
        }
        rewrite(&file, path, self.synced_len, end)?;
        file.sync_all()
            .map_err(|error| Error::io("sync", path, error))?;
        env.sync_dir(&self.dir)
            .map_err(|error| Error::io("sync", &self.dir, error))?;

        let report = RecoveryReport {
            segments: self.segments.len() as u64,
            frames: self.last_seq,
            last_seq: self.last_seq,
            clean: self.tail == Tail::Clean,
            cut,
        };
        let allocated = file
            .len_bytes()
            .map_err(|error| Error::io("measure", path, error))?;
        let journal = Journal::resume(crate::writer::Resume {
            env: self.env,
            dir: self.dir,
            options,
            segments: self.segments,
            last: self.last,
            file,
            allocated,
            last_seq: self.last_seq,
            last_chain: self.last_chain,
            clean: report.clean,
        });
        Ok((journal, report))
    }

    /// Copies the torn bytes; durable on return.
    fn quarantine(
        &self,
        file: &Arc<dyn EnvFile>,
        offset: u64,
        len: u64,
        dir: &Path,
    ) -> Result<PathBuf, Error> {
        let env = self.env.as_ref();
        match env.create_dir(dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(Error::io("create", dir, error));
            }
            _ => {}
        }
        // Also where it existed: an earlier attempt may have died before this sync.
        let parent = dir.parent().unwrap_or(dir);
        env.sync_dir(parent)
            .map_err(|error| Error::io("sync", parent, error))?;

        let taken = env
            .list(dir)
            .map_err(|error| Error::io("list", dir, error))?;
        let stem = format!("{:016}-at-{offset:012}", self.last.segment);
        let name = (0..=taken.len())
            .map(|attempt| format!("{stem}-{attempt}.cut"))
            .find(|name| !taken.iter().any(|other| other == name.as_str()))
            .unwrap_or_else(|| format!("{stem}.cut"));
        let (tmp, path) = (dir.join(format!("{stem}.tmp")), dir.join(name));
        let created = match env.create_new(&tmp) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                env.remove_tmp(&tmp)
                    .map_err(|error| Error::io("remove", &tmp, error))?;
                env.create_new(&tmp)
            }
            result => result,
        };
        let copy = created.map_err(|error| Error::io("create", &tmp, error))?;
        let end = offset.saturating_add(len);
        let mut window = Window::new(file.clone(), self.last.path.clone(), end);
        let mut at = offset;
        while at < end {
            let bytes = window.bytes(at, COPY_LEN)?;
            if bytes.is_empty() {
                let fault = Fault::Truncated {
                    need: end,
                    have: at,
                };
                return Err(Error::corrupt(&self.last.path, at, "torn tail", fault));
            }
            copy.write_at(bytes, at - offset)
                .map_err(|error| Error::io("write", &tmp, error))?;
            at += bytes.len() as u64;
        }
        copy.sync_all()
            .map_err(|error| Error::io("sync", &tmp, error))?;
        env.rename(&tmp, &path)
            .map_err(|error| Error::io("rename", &tmp, error))?;
        env.sync_dir(dir)
            .map_err(|error| Error::io("sync", dir, error))?;
        Ok(path)
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

struct LastScan {
    walk: Walk,
    sealed: bool,
    tail: Tail,
}

/// Walks the last segment and decides about its end.
fn scan_last(
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
            break Some(Damage {
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

/// Writes the bytes of a part of a file over themselves, so that a sync writes them to disk.
fn rewrite(file: &Arc<dyn EnvFile>, path: &Path, start: u64, end: u64) -> Result<(), Error> {
    let mut window = Window::new(file.clone(), path.to_owned(), end);
    let mut at = start;
    while at < end {
        let bytes = window.bytes(at, COPY_LEN)?;
        if bytes.is_empty() {
            let fault = Fault::Truncated {
                need: end,
                have: at,
            };
            return Err(Error::corrupt(path, at, "segment", fault));
        }
        file.write_at(bytes, at)
            .map_err(|error| Error::io("write", path, error))?;
        at += bytes.len() as u64;
    }
    Ok(())
}
