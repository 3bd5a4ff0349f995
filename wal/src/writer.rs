//! The live journal: appending, syncing, changing segments, closing.
//!
//! # Invariants
//! * Bytes before `synced_len` of the current segment, and all earlier segments, are durable; so
//!   is every frame up to `durable_seq`, which is at most `last_seq`.
//! * Only whole frames stand before `end`, and only zeros or the rests of a failed write after it.
//! * At most one thread syncs at a time (`turn`): when two threads sync one file and the disk
//!   fails, Linux tells only one of them.
//! * `turn` is taken before `live`, never the other way round, and `live` is not held while a
//!   call of [`Journal::sync`] waits for the disk.
//! * A poisoned journal stays poisoned.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use crate::env::{Env, EnvFile};
use crate::error::Error;
use crate::format::{
    CLEAN_LEN, FOOTER_LEN, FRAME_LEN_BYTES_MAX, FRAMES_OFFSET, Footer, FrameRef, Kind, Place,
    SegmentHeader, encode_frame,
};
use crate::reader::{Frames, Position};
use crate::segment::{self, SEGMENT_MAX, SegmentInfo, StageError};

/// Kept free at the end of a segment for the frames that close it.
const CLOSING_LEN: u64 = (CLEAN_LEN + FOOTER_LEN) as u64;

/// The encoding buffer is given back when a frame made it larger than this.
const BUFFER_LEN_MAX: usize = 1 << 20;

/// How a journal lays out its files. Plain data; says nothing about what is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalOptions {
    /// Length at which a segment is sealed and the next one begun, in bytes. A frame that does
    /// not fit gets a segment of its own. Default 64 MiB, at least 8 KiB.
    pub segment_len_bytes_max: u64,
    /// How much disk space is allocated ahead of the frames, in bytes, so that most syncs need
    /// not write the file's length. Given back by [`Journal::close`]. Default 4 MiB; 0 is allowed.
    pub preallocate_len_bytes: u64,
}

impl Default for JournalOptions {
    fn default() -> Self {
        Self {
            segment_len_bytes_max: 64 << 20,
            preallocate_len_bytes: 4 << 20,
        }
    }
}

impl JournalOptions {
    const SEGMENT_LEN_BYTES_MIN: u64 = 8 << 10;

    /// Refuses what would not work, instead of quietly taking something else.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.segment_len_bytes_max < Self::SEGMENT_LEN_BYTES_MIN {
            return Err(Error::invalid(format!(
                "segment length {} is below {} bytes",
                self.segment_len_bytes_max,
                Self::SEGMENT_LEN_BYTES_MIN
            )));
        }
        Ok(())
    }
}

/// An open journal. All methods take `&self`; threads share it freely.
///
/// Dropping it without [`close`](Journal::close) is like a crash of the process: everything
/// synced is there when it is opened again, through [`Recovery`](crate::Recovery).
pub struct Journal {
    env: Arc<dyn Env>,
    dir: PathBuf,
    store_id: [u8; 16],
    options: JournalOptions,
    /// The right to sync.
    turn: Mutex<()>,
    live: Mutex<Live>,
}

/// What a sync has to cover.
#[derive(Clone, Copy)]
enum Sync {
    Data,
    /// The length too, where the file became shorter.
    All,
}

struct Live {
    file: Arc<dyn EnvFile>,
    /// All segments but the current one.
    sealed_segments: Vec<SegmentInfo>,
    current: SegmentInfo,
    /// End of the last frame of the current segment.
    end: u64,
    /// Length of the current file.
    allocated: u64,
    synced_len: u64,
    last_seq: u64,
    durable_seq: u64,
    last_chain: [u8; 32],
    /// The current segment ends in a clean mark.
    clean: bool,
    appended_bytes: u64,
    /// A failed write was taken back, and that is not synced.
    unsettled: bool,
    poison: Option<String>,
    buf: Vec<u8>,
}

/// What a recovery hands over.
pub(crate) struct Resume {
    pub(crate) env: Arc<dyn Env>,
    pub(crate) dir: PathBuf,
    pub(crate) options: JournalOptions,
    pub(crate) segments: Vec<SegmentInfo>,
    pub(crate) last: SegmentInfo,
    pub(crate) file: Arc<dyn EnvFile>,
    pub(crate) allocated: u64,
    pub(crate) last_seq: u64,
    pub(crate) last_chain: [u8; 32],
}

impl Journal {
    /// Creates an empty journal. On return it is durable, its directory included.
    ///
    /// * `dir`: absent (its parent exists) or empty. The unfinished first segment that a crash in
    ///   this call leaves behind counts as nothing.
    /// * `store_id`: written into every segment, so that files of two stores are not mixed.
    ///
    /// # Errors
    /// * [`ErrorKind::Invalid`](crate::ErrorKind::Invalid): the directory is not empty, or the
    ///   options are out of range.
    /// * [`ErrorKind::Io`](crate::ErrorKind::Io): try again when the cause is mended.
    pub fn create(
        env: Arc<dyn Env>,
        dir: &Path,
        store_id: [u8; 16],
        options: JournalOptions,
    ) -> Result<Self, Error> {
        options.check()?;
        match env.create_dir(dir) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                let listing = segment::list(env.as_ref(), dir)?;
                let strange = listing.unfinished.iter().any(|segment| *segment != 1);
                if strange || !listing.foreign.is_empty() || !listing.segments.is_empty() {
                    let message = format!("{} is not empty", dir.display());
                    return Err(Error::invalid(message));
                }
            }
            Err(error) => return Err(Error::io("create", dir, error)),
        }
        let parent = dir.parent().unwrap_or(dir);
        env.sync_dir(parent)
            .map_err(|error| Error::io("sync", parent, error))?;
        let header = SegmentHeader {
            store_id,
            segment: 1,
            first_seq: 1,
            prev_chain: [0; 32],
            salt: 0,
        };
        let allocate = FRAMES_OFFSET.saturating_add(options.preallocate_len_bytes);
        let allocate = allocate.min(options.segment_len_bytes_max);
        let unwrap = |error| match error {
            StageError::Failed(error) | StageError::Poison(error) => error,
        };
        let staged = segment::stage(env.as_ref(), dir, header, allocate).map_err(unwrap)?;
        staged.publish(env.as_ref(), dir).map_err(unwrap)?;
        let last = staged.info();
        Ok(Self::resume(Resume {
            env,
            dir: dir.to_owned(),
            options,
            segments: vec![last.clone()],
            last,
            file: staged.file,
            allocated: staged.allocated,
            last_seq: 0,
            last_chain: [0; 32],
        }))
    }

    /// A journal whose every frame is durable, and that does not end in a clean mark.
    pub(crate) fn resume(parts: Resume) -> Self {
        let mut sealed_segments = parts.segments;
        sealed_segments.retain(|info| info.segment != parts.last.segment);
        Self {
            env: parts.env,
            dir: parts.dir,
            store_id: parts.last.header.store_id,
            options: parts.options,
            turn: Mutex::new(()),
            live: Mutex::new(Live {
                file: parts.file,
                sealed_segments,
                end: parts.last.len_bytes,
                synced_len: parts.last.len_bytes,
                current: parts.last,
                allocated: parts.allocated,
                last_seq: parts.last_seq,
                durable_seq: parts.last_seq,
                last_chain: parts.last_chain,
                clean: false,
                appended_bytes: 0,
                unsettled: false,
                poison: None,
                buf: Vec::new(),
            }),
        }
    }

    /// Appends one commit and returns where it lies.
    ///
    /// On return it is in the operating system's cache, not durable: call
    /// [`sync`](Journal::sync). Positions rise from frame to frame.
    ///
    /// # Errors
    /// * [`ErrorKind::Invalid`](crate::ErrorKind::Invalid): `seq` is not the last one plus 1, or
    ///   the frame is longer than [`FRAME_LEN_BYTES_MAX`]. Nothing was written.
    /// * [`ErrorKind::Io`](crate::ErrorKind::Io): such as no space left. What had been written of
    ///   the frame was taken back; the same number can be appended again.
    /// * [`ErrorKind::Poisoned`](crate::ErrorKind::Poisoned): that failed too, or a sync failed
    ///   here or earlier.
    ///
    /// # Cost
    /// One copy of the frame and one write; at the end of a segment also its sealing and the
    /// making of the next one, five syncs.
    pub fn append(&self, frame: &FrameRef<'_>) -> Result<Position, Error> {
        let result = self.try_append(frame);
        if result.is_err() {
            self.settle()?;
        }
        result
    }

    /// Makes the undoing of a failed write durable: an append that reported a failure must not
    /// come back to life after a crash.
    fn settle(&self) -> Result<(), Error> {
        if !self.live.lock().unsettled {
            return Ok(());
        }
        let _turn = self.turn.lock();
        let mut live = self.live.lock();
        live.check()?;
        if live.unsettled {
            live.sync_always(Sync::All)?;
            live.unsettled = false;
        }
        Ok(())
    }

    fn try_append(&self, frame: &FrameRef<'_>) -> Result<Position, Error> {
        let len = frame
            .encoded_len_bytes()
            .filter(|len| *len <= FRAME_LEN_BYTES_MAX);
        let Some(len) = len else {
            return Err(Error::invalid(format!(
                "commit {} is longer than a frame of {FRAME_LEN_BYTES_MAX} bytes",
                frame.seq
            )));
        };
        let mut live = self.live.lock();
        live.check_next(frame.seq)?;
        if !self.needs_segment(&live, len) {
            return self.put_commit(&mut live, frame);
        }
        drop(live);
        // The old segment is synced on the way, and only one thread may sync.
        let _turn = self.turn.lock();
        let mut live = self.live.lock();
        live.check_next(frame.seq)?;
        if self.needs_segment(&live, len) {
            self.start_segment(&mut live, len)?;
        }
        self.put_commit(&mut live, frame)
    }

    fn needs_segment(&self, live: &Live, len: u64) -> bool {
        let has_frames = live.last_seq >= live.current.first_seq;
        let full = live.end.saturating_add(len + CLOSING_LEN) > self.options.segment_len_bytes_max;
        live.current.sealed || (has_frames && full)
    }

    fn put_commit(&self, live: &mut Live, frame: &FrameRef<'_>) -> Result<Position, Error> {
        let offset_bytes = live.end;
        let len_bytes = self.put(live, Kind::Commit, frame)?;
        live.last_seq = frame.seq;
        live.last_chain = *frame.chain;
        live.clean = false;
        Ok(Position {
            segment: live.current.segment,
            offset_bytes,
            len_bytes,
        })
    }

    /// Writes one frame at the end of the current segment; returns its length.
    fn put(&self, live: &mut Live, kind: Kind, frame: &FrameRef<'_>) -> Result<u64, Error> {
        let place = Place {
            salt: live.current.header.salt,
            offset: live.end,
            synced_len: live.synced_len,
        };
        live.buf.clear();
        live.buf.shrink_to(BUFFER_LEN_MAX);
        let len = encode_frame(&mut live.buf, place, kind, frame)
            .ok_or_else(|| Error::invalid("the frame is too long"))?;
        let new_end = live.end.saturating_add(len);
        if new_end > live.allocated {
            self.allocate(live, new_end)?;
        }
        if let Err(error) = live.file.write_at(&live.buf, live.end) {
            let error = Error::io("append to", &live.current.path, error);
            return Err(live.roll_back(error));
        }
        live.end = new_end;
        live.allocated = live.allocated.max(new_end);
        live.current.len_bytes = new_end;
        live.appended_bytes = live.appended_bytes.saturating_add(len);
        Ok(len)
    }

    /// Allocates ahead; where the disk has no room for that, just what is needed.
    fn allocate(&self, live: &mut Live, new_end: u64) -> Result<(), Error> {
        let ahead = new_end.saturating_add(self.options.preallocate_len_bytes);
        let ahead = ahead.min(self.options.segment_len_bytes_max).max(new_end);
        let mut len = ahead;
        let mut result = live.file.allocate(ahead);
        if result.is_err() && ahead > new_end {
            len = new_end;
            result = live.file.allocate(new_end);
        }
        result.map_err(|error| Error::io("allocate space for", &live.current.path, error))?;
        live.allocated = live.allocated.max(len);
        Ok(())
    }

    /// Seals the current segment, unless an earlier attempt did, and begins the next one.
    ///
    /// The caller has the turn to sync. The next segment is complete before the current one is
    /// sealed, and gets its name only when the seal is durable: whatever the moment of a crash,
    /// only the last segment can be unsealed.
    fn start_segment(&self, live: &mut Live, len: u64) -> Result<(), Error> {
        let segment = live.current.segment + 1;
        if segment > SEGMENT_MAX {
            return Err(Error::invalid(format!(
                "there are {SEGMENT_MAX} segments already"
            )));
        }
        let header = SegmentHeader {
            store_id: self.store_id,
            segment,
            first_seq: live.last_seq.saturating_add(1),
            prev_chain: live.last_chain,
            salt: 0,
        };
        let allocate = FRAMES_OFFSET.saturating_add(self.options.preallocate_len_bytes);
        let allocate = allocate
            .min(self.options.segment_len_bytes_max)
            .max(FRAMES_OFFSET.saturating_add(len + CLOSING_LEN));
        let staged = segment::stage(self.env.as_ref(), &self.dir, header, allocate)
            .map_err(|error| live.stage_failed(error))?;
        if !live.current.sealed
            && let Err(error) = self.seal(live)
        {
            staged.discard(self.env.as_ref());
            return Err(error);
        }
        staged
            .publish(self.env.as_ref(), &self.dir)
            .map_err(|error| live.stage_failed(error))?;
        let sealed = std::mem::replace(&mut live.current, staged.info());
        live.sealed_segments.push(sealed);
        live.file = staged.file;
        live.unsettled = false;
        live.end = FRAMES_OFFSET;
        live.allocated = staged.allocated;
        live.synced_len = FRAMES_OFFSET;
        live.clean = false;
        Ok(())
    }

    /// Ends the current segment in a footer and cuts the file there.
    ///
    /// The frames are synced before the footer is written: where a footer stands, its segment was
    /// complete on disk.
    fn seal(&self, live: &mut Live) -> Result<(), Error> {
        live.sync_to_end(Sync::Data)?;
        let footer = Footer {
            count: live
                .last_seq
                .saturating_sub(live.current.first_seq)
                .saturating_add(1),
            first_seq: live.current.first_seq,
            len_bytes: live.end,
        };
        self.put_closing(live, Kind::Footer, &footer.encode())?;
        live.current.sealed = true;
        live.clean = false;
        Ok(())
    }

    /// Writes a footer or a clean mark, gives back the space after it, and syncs.
    fn put_closing(&self, live: &mut Live, kind: Kind, body: &[u8]) -> Result<(), Error> {
        let chain = live.last_chain;
        let frame = FrameRef {
            seq: live.last_seq,
            chain: &chain,
            body,
            erasable: &[],
        };
        self.put(live, kind, &frame)?;
        if let Err(error) = live.file.set_len(live.end) {
            let error = Error::io("truncate", &live.current.path, error);
            return Err(live.poison(error));
        }
        live.allocated = live.end;
        live.sync_to_end(Sync::All)
    }

    /// Makes durable every frame appended before the call; returns the last durable number.
    ///
    /// One sync serves all threads that wait for it, and others append meanwhile.
    ///
    /// # Errors
    /// [`ErrorKind::Poisoned`](crate::ErrorKind::Poisoned): the sync failed, here or earlier.
    /// Whether the frames since [`durable_seq`](Journal::durable_seq) are on disk is unknown.
    ///
    /// # Cost
    /// One `fdatasync`, or none if another thread's has covered the frames.
    pub fn sync(&self) -> Result<u64, Error> {
        let target = {
            let live = self.live.lock();
            live.check()?;
            if live.durable_seq == live.last_seq {
                return Ok(live.durable_seq);
            }
            live.last_seq
        };
        let _turn = self.turn.lock();
        let (file, end, seq) = {
            let live = self.live.lock();
            live.check()?;
            if live.durable_seq >= target {
                return Ok(live.durable_seq);
            }
            (live.file.clone(), live.end, live.last_seq)
        };
        let result = file.sync_data();
        let mut live = self.live.lock();
        if let Err(error) = result {
            let error = Error::io("sync", &live.current.path, error);
            return Err(live.poison(error));
        }
        // Poisoned meanwhile by a failed append: nothing is acknowledged any more.
        live.check()?;
        // The turn is ours, so the segment is still the one that was synced.
        live.synced_len = end;
        live.durable_seq = seq;
        Ok(seq)
    }

    /// Number of the last frame appended; 0 if there is none.
    pub fn last_seq(&self) -> u64 {
        self.live.lock().last_seq
    }

    /// Number of the last frame known to be durable.
    pub fn durable_seq(&self) -> u64 {
        self.live.lock().durable_seq
    }

    /// Chain value of the last frame appended; zeros if there is none.
    pub fn last_chain(&self) -> [u8; 32] {
        self.live.lock().last_chain
    }

    /// Bytes of frames appended since the journal was opened, those that close a segment included;
    /// first pages are not counted.
    pub fn appended_bytes(&self) -> u64 {
        self.live.lock().appended_bytes
    }

    /// The store this journal belongs to.
    pub fn store_id(&self) -> [u8; 16] {
        self.store_id
    }

    /// The segments as they are now, in order.
    pub fn segments(&self) -> Vec<SegmentInfo> {
        self.live.lock().segments(0)
    }

    /// Number of the last frame known to be durable, and the segments up to its end: what may be
    /// copied while others go on appending. Their bytes up to there do not change any more.
    pub fn durable(&self) -> (u64, Vec<SegmentInfo>) {
        let live = self.live.lock();
        let mut segments = live.segments(0);
        if let Some(current) = segments.last_mut() {
            current.len_bytes = live.synced_len;
        }
        (live.durable_seq, segments)
    }

    /// True once a sync, or the undoing of a failed write, has failed.
    pub fn is_poisoned(&self) -> bool {
        self.live.lock().poison.is_some()
    }

    /// The frames from number `from_seq` to the last one appended now, durable or not.
    ///
    /// # Errors
    /// None yet; those met while reading come from the iterator, which then ends.
    pub fn frames(&self, from_seq: u64) -> Result<Frames, Error> {
        let live = self.live.lock();
        let (segments, last_seq) = (live.segments(from_seq), live.last_seq);
        drop(live);
        Ok(Frames::new(self.env.clone(), &segments, from_seq, last_seq))
    }

    /// Syncs, marks the journal as closed, gives back the space allocated ahead.
    ///
    /// # Errors
    /// * [`ErrorKind::Io`](crate::ErrorKind::Io): every frame is durable, the mark is missing.
    /// * [`ErrorKind::Poisoned`](crate::ErrorKind::Poisoned): open the journal again to see which
    ///   frames are there.
    pub fn close(&self) -> Result<(), Error> {
        let _turn = self.turn.lock();
        let mut live: MutexGuard<'_, Live> = self.live.lock();
        live.check()?;
        live.sync_to_end(Sync::Data)?;
        if live.clean {
            return Ok(());
        }
        if live.current.sealed {
            // A crash or a fault came between seal and next segment; a footer must stay last.
            self.start_segment(&mut live, 0)?;
        }
        // Only after that sync: the mark promises that what stands before it is on disk.
        self.put_closing(&mut live, Kind::Clean, &[])?;
        live.clean = true;
        Ok(())
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal")
            .field("dir", &self.dir)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Live {
    fn check(&self) -> Result<(), Error> {
        match &self.poison {
            None => Ok(()),
            Some(cause) => Err(Error::poisoned(cause.clone(), None)),
        }
    }

    fn check_next(&self, seq: u64) -> Result<(), Error> {
        self.check()?;
        if self.last_seq.checked_add(1) == Some(seq) {
            return Ok(());
        }
        let message = format!("commit {seq} does not follow commit {}", self.last_seq);
        Err(Error::invalid(message))
    }

    /// The segments that hold frames from `from_seq` on.
    fn segments(&self, from_seq: u64) -> Vec<SegmentInfo> {
        let all = &self.sealed_segments;
        let skip = all
            .partition_point(|info| info.first_seq <= from_seq)
            .saturating_sub(1);
        all.iter()
            .skip(skip)
            .chain([&self.current])
            .cloned()
            .collect()
    }

    /// Syncs what is not synced yet. The caller has the turn.
    fn sync_to_end(&mut self, what: Sync) -> Result<(), Error> {
        if self.synced_len < self.end {
            self.sync_always(what)
        } else {
            Ok(())
        }
    }

    fn sync_always(&mut self, what: Sync) -> Result<(), Error> {
        let result = match what {
            Sync::Data => self.file.sync_data(),
            Sync::All => self.file.sync_all(),
        };
        if let Err(error) = result {
            let error = Error::io("sync", &self.current.path, error);
            return Err(self.poison(error));
        }
        self.synced_len = self.end;
        self.durable_seq = self.last_seq;
        self.check_invariants();
        Ok(())
    }

    /// Takes back what a failed write may have left.
    fn roll_back(&mut self, error: Error) -> Error {
        match self.file.set_len(self.end) {
            Ok(()) => {
                self.allocated = self.end;
                self.unsettled = true;
                error
            }
            Err(again) => {
                let again = Error::io("take back a failed write in", &self.current.path, again);
                self.poison(again)
            }
        }
    }

    fn stage_failed(&mut self, error: StageError) -> Error {
        match error {
            StageError::Failed(error) => error,
            StageError::Poison(error) => self.poison(error),
        }
    }

    /// Latches the first failure that leaves the disk in an unknown state.
    fn poison(&mut self, error: Error) -> Error {
        let (cause, source) = error.into_cause();
        let cause = self.poison.get_or_insert(cause).clone();
        Error::poisoned(cause, source)
    }

    fn check_invariants(&self) {
        debug_assert!(self.synced_len <= self.end && self.end <= self.allocated);
        debug_assert!(self.durable_seq <= self.last_seq);
        debug_assert!(self.last_seq + 1 >= self.current.first_seq);
        debug_assert_eq!(self.end, self.current.len_bytes);
    }
}
