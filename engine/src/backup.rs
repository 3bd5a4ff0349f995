//! Backup and restore. A backup is itself a net: it can be verified, opened and backed up again.
//!
//! What is made, is made in a directory of its own within the target and put in place at the end,
//! the journal last: nothing opens before the whole is there. Only where the target is an earlier
//! backup do its segments give way one by one, in rising order, to copies that hold the same
//! commits or more, so that its journal is whole at every moment. DESIGN.md "Backup and restore"
//! has the argument step by step.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use blocknet_wal::{
    Env, FileEnv, Frame, FrameRef, Page, Recovery, SegmentInfo, SegmentRewrite, copy_segment,
    is_copied,
};

use crate::erase::erased_after;
use crate::error::{Error, ErrorKind, Result};
use crate::hash::Hash;
use crate::lock::{LOCK_FILE, Lock};
use crate::net::{Inner, Net, Writable};
use crate::open::{
    Found, JOURNAL_DIR, NetBuilder, QUARANTINE_DIR, TABLES_DIR, check_net, decode_body,
    dir_len_bytes, sync_dir, sync_parent,
};
use crate::record::Version;
use crate::request::{Commit, limit};
use crate::time::Moment;
use crate::verify::{Depth, OnProgress, Progress, verify};

/// Where a backup or a restored net is made before it is put in place. Whatever is in it can be had
/// again: it is removed without asking, hence a name that nobody else gives.
const WORK_DIR: &str = "blocknet.unfinished";

/// Where the former tables of a backup wait for their removal.
const TABLES_OLD_DIR: &str = "tables.old";

/// How the files of the tables come into a backup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TableFiles {
    /// By hard links where source and target are on one file system: at once, and without space.
    /// The files are never changed, but what a failing disk does to one it does to both; the
    /// journal, from which tables can be made, is always a copy.
    #[default]
    Linked,
    /// By copies.
    Copied,
}

/// Where the tables of a backup or of a restored net come from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TablesFrom {
    /// There are none: they live in memory.
    Memory,
    /// They were taken over, and hold the commits up to this one.
    Files {
        /// The newest commit they hold.
        commit: u64,
    },
    /// They were built from the journal, for this reason.
    Journal {
        /// Why those that were there could not be taken.
        why: String,
    },
}

impl fmt::Display for TablesFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("none: they live in memory"),
            Self::Files { commit } => write!(f, "taken over, up to commit {commit}"),
            Self::Journal { why } => write!(f, "built from the journal: {why}"),
        }
    }
}

/// What a backup holds, and what it took to make.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backup {
    /// The net's identity.
    pub net: [u8; 16],
    /// The newest commit in the backup.
    pub commits: u64,
    /// Its hash.
    pub head: Hash,
    /// Commits that the target did not hold before.
    pub new_commits: u64,
    /// Its tables.
    pub tables: TablesFrom,
    /// Segments of the journal that were copied.
    pub segments_copied: u64,
    /// Segments that the target held already.
    pub segments_kept: u64,
    /// Bytes of files that were copied, or written anew.
    pub copied_bytes: u64,
    /// Bytes of files that source and target share.
    pub linked_bytes: u64,
    /// Bytes of files that were there already.
    pub kept_bytes: u64,
}

/// How far a net is restored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Until {
    /// All of it.
    #[default]
    Newest,
    /// To this commit.
    Commit(u64),
    /// To the last commit that the store wrote at or before this moment, by the clock it had then:
    /// [`CommitInfo::written`](crate::CommitInfo::written), not the time that the commit states.
    Written(Moment),
}

/// What a restored net holds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Restored {
    /// The net's identity.
    pub net: [u8; 16],
    /// The newest commit in the restored net.
    pub commits: u64,
    /// Its hash.
    pub head: Hash,
    /// When the store wrote it.
    pub written: Moment,
    /// The commit after it, where payloads were erased by commits that are left out: it orders the
    /// same again, so that the restored net says itself why they are not there.
    pub erasure: Option<u64>,
    /// Later commits of the backup, which were left out. If there are any, this is a rollback: a
    /// checkpoint exported later than `commits` shows it.
    pub left_out: u64,
    /// Its tables.
    pub tables: TablesFrom,
    /// Bytes of files that were written.
    pub copied_bytes: u64,
}

impl Net {
    /// Copies the net to `target` while it is in use: what was acknowledged when the call began,
    /// and perhaps some commits more. Other threads go on reading and committing.
    ///
    /// The target, which must be absent, empty, or an earlier backup of this net, is a net
    /// itself. Segments of the journal that it holds already are not copied again.
    ///
    /// # Errors
    /// * [`ErrorKind::Invalid`]: the target is something else, holds commits that this net does not
    ///   have, or lies within the net; it was not touched.
    /// * [`ErrorKind::ReadOnly`]: the net was opened for reading; use [`NetBuilder::backup`].
    /// * [`ErrorKind::Locked`]: somebody has the target open.
    /// * [`ErrorKind::Corrupt`]: the net, or the target, is damaged; the text says which.
    /// * [`ErrorKind::Io`]: the target is as it was, or an earlier backup with more commits in its
    ///   journal. Run it again when the cause is mended.
    ///
    /// # Cost
    /// A flush of the tables; every new byte of the journal copied, and read back once.
    pub fn backup(
        &self,
        target: impl AsRef<Path>,
        files: TableFiles,
        on_progress: &OnProgress<'_>,
    ) -> Result<Backup> {
        let Inner::Writable(writable) = &self.inner else {
            return Err(Error::new(
                ErrorKind::ReadOnly,
                "the store was opened for reading only; close it and back up the directory",
            ));
        };
        if !writable.is_on_disk() {
            return Err(not_on_disk());
        }
        writable.check_poisoned()?;
        // One at a time, and nothing rewrites segments meanwhile.
        let _turn = writable.copying.lock();
        let making = Making {
            builder: &Net::builder(),
            source: Source::Open(writable),
            dir: &self.dir,
            id: self.id,
            target: target.as_ref(),
            files,
        };
        making.run(on_progress)
    }
}

impl NetBuilder {
    /// Copies the net in `dir`, which nobody has open for writing, to `target`; changes no byte of
    /// `dir`. Otherwise as [`Net::backup`].
    ///
    /// Tables that do not fit the journal are not copied: those of the backup are then built from
    /// the journal.
    ///
    /// # Errors
    /// As for [`Net::backup`]; [`ErrorKind::NotFound`]: there is no net in `dir`;
    /// [`ErrorKind::Locked`]: somebody has it open for writing.
    pub fn backup(
        &self,
        dir: impl AsRef<Path>,
        target: impl AsRef<Path>,
        files: TableFiles,
        on_progress: &OnProgress<'_>,
    ) -> Result<Backup> {
        if !self.is_on_disk() {
            return Err(not_on_disk());
        }
        let dir = dir.as_ref();
        check_net(dir)?;
        let _lock = Lock::shared(dir)?;
        let found = Found::scan(Arc::new(FileEnv), &dir.join(JOURNAL_DIR))?;
        let making = Making {
            builder: self,
            id: found.id,
            source: Source::Closed(&found, dir),
            dir,
            target: target.as_ref(),
            files,
        };
        making.run(on_progress)
    }

    /// Makes a net in `target`, which must be absent or empty, from the backup in `backup`: all of
    /// it, or as it was after an earlier commit. Changes no byte of the backup and shares no file
    /// with it.
    ///
    /// The restored net is verified before it is put in place. A call that was cut off leaves a
    /// target that does not open, and is simply made again.
    ///
    /// # Errors
    /// * [`ErrorKind::NotFound`]: there is no net in `backup`.
    /// * [`ErrorKind::Invalid`]: the target is not empty, or there is no such commit; nothing was
    ///   touched.
    /// * [`ErrorKind::Corrupt`]: the backup is damaged; nothing was restored.
    /// * [`ErrorKind::Locked`]: somebody has the backup open for writing, or uses the target.
    /// * [`ErrorKind::Io`]: nothing was restored; try again when the cause is mended.
    ///
    /// # Cost
    /// A copy of the backup, and a verification ([`NetBuilder::verify`]). To an earlier commit also
    /// a replay of the journal, where the tables of the backup are newer.
    pub fn restore(
        &self,
        backup: impl AsRef<Path>,
        target: impl AsRef<Path>,
        until: Until,
        on_progress: &OnProgress<'_>,
    ) -> Result<Restored> {
        if !self.is_on_disk() {
            return Err(not_on_disk());
        }
        let (backup, target) = (backup.as_ref(), target.as_ref());
        check_net(backup)?;
        let _shared = Lock::shared(backup)?;
        let env: Arc<dyn Env> = Arc::new(FileEnv);
        let found = Found::scan(Arc::clone(&env), &backup.join(JOURNAL_DIR)).map_err(unusable)?;
        let commit = chosen(&found, until).map_err(unusable)?;
        check_apart(backup, target)?;
        check_restorable(target)?;
        let _lock = claim(target)?;
        check_restorable(target)?;
        clear(target)?;
        let restoring = Restoring {
            builder: self,
            env: &env,
            backup,
            found: &found,
            target,
            commit,
        };
        let restored = restoring.run(on_progress).map_err(unusable);
        if restored.is_err() {
            // Frees the space; what cannot be removed now is removed by the next attempt.
            drop(clear(target));
        }
        restored
    }
}

fn not_on_disk() -> Error {
    Error::invalid("only nets in the real file system are backed up and restored")
}

/// Says what to do about a backup that cannot be restored.
fn unusable(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Corrupt => Error::caused(
            ErrorKind::Corrupt,
            "the backup is damaged, and nothing was restored: `verify` says where, `repair` puts \
             back what its other copy proves; or restore another backup",
            error,
        ),
        _ => error,
    }
}

/// What is backed up.
enum Source<'a> {
    /// A net in use.
    Open(&'a Writable),
    /// A net in a directory, under the lock of a reader.
    Closed(&'a Found, &'a Path),
}

impl Source<'_> {
    /// The newest commit that can be copied, and the segments up to its end.
    fn journal(&self) -> (u64, Vec<SegmentInfo>) {
        match self {
            Self::Open(writable) => writable.journal.durable(),
            Self::Closed(found, _) => {
                let recovery = &found.recovery;
                (recovery.last_seq(), recovery.segments().to_vec())
            }
        }
    }

    /// The hash of a commit.
    fn chain_at(&self, commit: u64) -> Result<Hash> {
        match self {
            Self::Open(writable) => {
                let frame = writable.journal.frames(commit)?.next().transpose()?;
                chain_of(frame, commit)
            }
            Self::Closed(found, _) => found.chain_at(commit),
        }
    }

    /// Puts tables that hold no commit beyond the journal into `to`, or says why there are none.
    fn tables(
        &self,
        builder: &NetBuilder,
        to: &Path,
    ) -> Result<std::result::Result<(), Option<String>>> {
        match self {
            Self::Open(writable) => {
                // Tables get only commits that are durable, so the journal read later has them.
                let made = writable.store.copy_to(to)?;
                Ok(if made { Ok(()) } else { Err(None) })
            }
            Self::Closed(found, dir) => {
                let newest = found.recovery.last_seq();
                builder.copy_tables(found, &dir.join(TABLES_DIR), to, newest)
            }
        }
    }
}

pub(crate) fn chain_of(frame: Option<Frame>, commit: u64) -> Result<Hash> {
    match frame {
        Some(frame) if frame.seq == commit => Ok(Hash(frame.chain)),
        _ => Err(Error::corrupt(format!(
            "journal: commit {commit} is missing"
        ))),
    }
}

/// What files came to.
#[derive(Default)]
struct Bytes {
    copied: u64,
    linked: u64,
}

struct Making<'a> {
    builder: &'a NetBuilder,
    source: Source<'a>,
    dir: &'a Path,
    id: [u8; 16],
    target: &'a Path,
    files: TableFiles,
}

impl Making<'_> {
    fn run(&self, on_progress: &OnProgress<'_>) -> Result<Backup> {
        check_apart(self.dir, self.target)?;
        self.earlier()?;
        let _lock = claim(self.target)?;
        let earlier = self.earlier()?;
        clear(self.target)?;
        let made = self.make(earlier.as_ref(), on_progress);
        if made.is_err() {
            // Frees the space; what cannot be removed now is removed by the next attempt.
            drop(clear(self.target));
        }
        made
    }

    /// The earlier backup in the target, if there is one. Anything else but an empty directory is
    /// refused.
    fn earlier(&self) -> Result<Option<Recovery>> {
        let target = self.target;
        if !holds_net(
            target,
            "a backup is made in an absent or empty one, or over an earlier one",
        )? {
            return Ok(None);
        }
        let dir = target.join(JOURNAL_DIR);
        let found = Recovery::scan(Arc::new(FileEnv), &dir).map_err(|error| {
            let error = Error::from(error);
            if error.kind() == ErrorKind::Io {
                return error;
            }
            Error::caused(
                error.kind(),
                "the earlier backup in the target is damaged, and was left as it is: repair it, \
                 or back up to another directory",
                error,
            )
        })?;
        let refused = |why: String| {
            let what = "it was left as it is; back up to another directory";
            Err(Error::invalid(format!("the target {why}; {what}")).at(target))
        };
        if found.store_id() != self.id {
            return refused("holds another net".to_owned());
        }
        let (newest, segments) = self.source.journal();
        let last = found.last_seq();
        if last > newest {
            return refused(format!(
                "is ahead: it holds commit {last}, and the net ends at {newest}, as one that was \
                 restored to an earlier point does"
            ));
        }
        if last > 0 && self.source.chain_at(last)? != Hash(found.last_chain()) {
            return refused(format!(
                "is on another branch: its commit {last} is not the net's, so the two have parted \
                 at or before it"
            ));
        }
        if !fits(&segments, &found, newest) {
            return refused(
                "has its commits in other segments than the net, whose journal a repair has laid \
                 out anew"
                    .to_owned(),
            );
        }
        Ok(Some(found))
    }

    fn make(&self, earlier: Option<&Recovery>, on_progress: &OnProgress<'_>) -> Result<Backup> {
        let (target, work) = (self.target, self.target.join(WORK_DIR));
        create_dir(&work)?;
        let tables_dir = work.join(TABLES_DIR);
        let taken = self.source.tables(self.builder, &tables_dir)?;
        // After the tables: so it holds all that they do.
        let (newest, segments) = self.source.journal();
        let journal_dir = if earlier.is_some() {
            target.join(JOURNAL_DIR)
        } else {
            let dir = work.join(JOURNAL_DIR);
            create_dir(&dir)?;
            dir
        };
        let mut progress = Progress {
            bytes: 0,
            bytes_expected: segments.iter().map(|info| info.len_bytes).sum::<u64>()
                + dir_len_bytes(&tables_dir)?,
        };
        let mut backup = Backup {
            net: self.id,
            commits: newest,
            head: Hash::ZERO,
            new_commits: newest - earlier.map_or(0, Recovery::last_seq),
            tables: TablesFrom::Memory,
            segments_copied: 0,
            segments_kept: 0,
            copied_bytes: 0,
            linked_bytes: 0,
            kept_bytes: 0,
        };
        for info in &segments {
            if bring(info, &journal_dir)? {
                backup.segments_copied += 1;
                backup.copied_bytes += info.len_bytes;
            } else {
                backup.segments_kept += 1;
                backup.kept_bytes += info.len_bytes;
            }
            progress.bytes += info.len_bytes;
            on_progress(progress);
        }
        let found = Found::scan(Arc::new(FileEnv), &journal_dir)?;
        backup.head = Hash(found.recovery.last_chain());
        if found.recovery.last_seq() != newest || self.source.chain_at(newest)? != backup.head {
            let what = "the copy of the journal does not end where the journal does";
            return Err(Error::corrupt(what).at(&journal_dir));
        }
        backup.tables = self.builder.settle_tables(&found, &tables_dir, taken)?;
        let bytes = take_files(&tables_dir, self.files)?;
        backup.copied_bytes += bytes.copied;
        backup.linked_bytes += bytes.linked;
        progress.bytes = progress.bytes_expected;
        on_progress(progress);
        if earlier.is_some() {
            exchange(target, &work)?;
        } else {
            install(target, &work)?;
        }
        Ok(backup)
    }
}

/// Whether segments can give way one by one, each to one that holds the same commits or more.
fn fits(segments: &[SegmentInfo], earlier: &Recovery, newest: u64) -> bool {
    let held = earlier.segments();
    let same = held
        .iter()
        .zip(segments)
        .all(|(held, info)| held.first_seq == info.first_seq);
    let end = match segments.get(held.len()) {
        Some(next) => next.first_seq.saturating_sub(1),
        None => newest,
    };
    held.len() <= segments.len() && same && earlier.last_seq() <= end
}

/// Sees to it that `dir` holds this segment; returns whether it had to be copied.
///
/// A segment that was copied has its source's time of change. One with this time, and with the
/// same salt, length and last frame, is not looked at further: what writes a segment anew draws a
/// salt, and what changes one in place changes the time. Where in doubt it is copied.
fn bring(info: &SegmentInfo, dir: &Path) -> Result<bool> {
    let changed = |path: &Path| {
        fs::metadata(path)
            .and_then(|metadata| metadata.modified())
            .map_err(|error| Error::io("ask for the time of change", path, error))
    };
    // Before it is read: a change from here on shows at the next backup.
    let time = changed(&info.path)?;
    if is_copied(&FileEnv, info, dir)? {
        let name = info.path.file_name().unwrap_or_default();
        if changed(&dir.join(name))? == time {
            return Ok(false);
        }
    }
    let copied = copy_segment(&FileEnv, info, dir)?;
    File::options()
        .write(true)
        .open(&copied.tmp)
        .and_then(|file| {
            file.set_modified(time)?;
            file.sync_all()
        })
        .map_err(|error| Error::io("set the time of change", &copied.tmp, error))?;
    fs::rename(&copied.tmp, &copied.path)
        .map_err(|error| Error::io("put in place", &copied.tmp, error))?;
    // Each by itself: so a crash leaves the first of them, never later ones alone.
    sync_dir(dir)?;
    Ok(true)
}

struct Restoring<'a> {
    builder: &'a NetBuilder,
    env: &'a Arc<dyn Env>,
    backup: &'a Path,
    found: &'a Found,
    target: &'a Path,
    commit: u64,
}

impl Restoring<'_> {
    fn run(&self, on_progress: &OnProgress<'_>) -> Result<Restored> {
        let work = self.target.join(WORK_DIR);
        create_dir(&work)?;
        let journal_dir = work.join(JOURNAL_DIR);
        create_dir(&journal_dir)?;
        for info in self.segments() {
            if self.is_whole(info) {
                let copied = copy_segment(self.env.as_ref(), info, &journal_dir)?;
                fs::rename(&copied.tmp, &copied.path)
                    .map_err(|error| Error::io("put in place", &copied.tmp, error))?;
            } else {
                self.rewrite(info, &journal_dir)?;
            }
        }
        sync_dir(&journal_dir)?;
        let found = Found::scan(Arc::clone(self.env), &journal_dir)?;
        let head = found.chain_at(self.commit)?;
        if found.recovery.last_seq() != self.commit || head != self.found.chain_at(self.commit)? {
            let what = "the restored journal does not end where it has to";
            return Err(Error::corrupt(what).at(&journal_dir));
        }
        let tables_dir = work.join(TABLES_DIR);
        let backup_tables = self.backup.join(TABLES_DIR);
        let taken =
            self.builder
                .copy_tables(self.found, &backup_tables, &tables_dir, self.commit)?;
        let tables = self.builder.settle_tables(&found, &tables_dir, taken)?;
        // So the verification covers every commit, and the first opening replays none.
        self.builder.bring_up_tables(&found, &tables_dir)?;
        let bytes = take_files(&tables_dir, TableFiles::Copied)?;
        self.check(&work, on_progress)?;
        let last = found.recovery.frames(self.commit)?.next().transpose()?;
        let written = match &last {
            Some(frame) if !frame.lost => decode_body(frame, Some(&found.spec))?.info.written,
            _ => Moment::MIN,
        };
        // From here on segments may be other files than those found.
        let (made, left_out) = (
            found.recovery.frames(1)?,
            self.found.recovery.frames(self.commit + 1)?,
        );
        let erased = erased_after(made, left_out, &found.spec, self.commit)?;
        let erasure = if erased.is_empty() {
            None
        } else {
            let commit = self.order_again(&work, &erased)?;
            self.check(&work, on_progress)?;
            Some(commit)
        };
        let copied_bytes = bytes.copied + dir_len_bytes(&journal_dir)?;
        install(self.target, &work)?;
        Ok(Restored {
            net: found.id,
            commits: self.commit,
            head,
            written,
            left_out: self.found.recovery.last_seq() - self.commit,
            erasure,
            tables,
            copied_bytes,
        })
    }

    /// The segments that hold what is restored.
    fn segments(&self) -> impl Iterator<Item = &SegmentInfo> {
        let all = self.found.recovery.segments().iter();
        all.take_while(|info| info.first_seq <= self.commit)
    }

    /// Whether all of a segment is restored, and nothing will ever be appended to it.
    fn is_whole(&self, info: &SegmentInfo) -> bool {
        let all = self.found.recovery.segments();
        let next = all.iter().find(|next| next.first_seq > info.first_seq);
        let last = next.map_or(self.found.recovery.last_seq(), |next| next.first_seq - 1);
        info.sealed && last <= self.commit
    }

    /// Writes the last segment anew up to the commit. With a salt of its own: the backup and the
    /// restored net each go on from here, and a frame of one is never taken for one of the other.
    fn rewrite(&self, info: &SegmentInfo, dir: &Path) -> Result<()> {
        let prev_chain = match info.first_seq.saturating_sub(1) {
            0 => Hash::ZERO,
            before => self.found.chain_at(before)?,
        };
        let page = Page {
            store_id: self.found.id,
            segment: info.segment,
            first_seq: info.first_seq,
            prev_chain: prev_chain.0,
        };
        let mut rewrite = SegmentRewrite::begin(Arc::clone(self.env), dir, &page)?;
        for frame in self.found.recovery.frames(info.first_seq)? {
            let frame = frame?;
            if frame.seq > self.commit {
                break;
            }
            let (seq, chain, body) = (frame.seq, &frame.chain, &frame.body);
            if frame.lost {
                rewrite.push_lost(seq, chain, body)?;
            } else {
                rewrite.push(&FrameRef {
                    seq,
                    chain,
                    body,
                    erasable: &frame.erasable,
                })?;
            }
        }
        // There is no old one to keep.
        rewrite.finish(false, &dir.join(QUARANTINE_DIR))?;
        Ok(())
    }

    /// Orders erasures of commits that are left out once more, as commits of the restored net. Without,
    /// the marks would name commits that it may have one day, and that say something else.
    fn order_again(&self, work: &Path, versions: &[Version]) -> Result<u64> {
        let builder = self.builder.without_handout();
        let commit = Commit {
            author: "blocknet restore".into(),
            reason: format!(
                "erased in the net of this backup, by a commit after {}, to which it is restored",
                self.commit
            ),
            accept_clock: true,
            ..Commit::default()
        };
        let net = builder.open_locked(work, None)?;
        let mut last = 0;
        for part in versions.chunks(limit::ASSERTIONS_MAX) {
            last = net.erase(part, &commit)?;
        }
        net.close()?;
        // Opened once more, it writes the marks anew.
        builder.open_locked(work, None)?.close()?;
        Ok(last)
    }

    /// Verifies what was made before it is put in place. What a repair of the net has found lost and
    /// marked so is lost in every copy since.
    fn check(&self, work: &Path, on_progress: &OnProgress<'_>) -> Result<()> {
        let made = self.builder.target(work)?;
        let (verification, _) = verify(&made, Depth::Full, on_progress)?;
        let mut errors = verification
            .errors()
            .filter(|finding| !finding.is_known_loss());
        let first = errors.next().map(ToString::to_string);
        if verification.skipped.is_empty() && first.is_none() {
            return Ok(());
        }
        let first = first.or_else(|| verification.skipped.first().cloned());
        let what = first.unwrap_or_default();
        Err(Error::corrupt(format!("what was made of it does not verify: {what}")).at(self.backup))
    }
}

/// The commit to restore to.
fn chosen(found: &Found, until: Until) -> Result<u64> {
    let last = found.recovery.last_seq();
    match until {
        Until::Newest => Ok(last),
        Until::Commit(commit) if (1..=last).contains(&commit) => Ok(commit),
        Until::Commit(commit) => Err(Error::invalid(format!(
            "there is no commit {commit} in the backup; it has commits 1 to {last}"
        ))),
        Until::Written(moment) => {
            let (mut chosen, mut first) = (None, None);
            for frame in found.recovery.frames(1)? {
                let frame = frame?;
                // Of a lost commit nobody knows when it was written.
                if frame.lost {
                    continue;
                }
                let info = decode_body(&frame, Some(&found.spec))?.info;
                first.get_or_insert(info.written);
                if info.written <= moment {
                    chosen = Some(info.number);
                }
            }
            chosen.ok_or_else(|| {
                let first = first.map_or(String::new(), |first| format!("; the first at {first}"));
                Error::invalid(format!(
                    "no commit of the backup was written at or before {moment}{first}"
                ))
            })
        }
    }
}

/// Whether a directory holds a net; refuses one that holds anything else but what an attempt that
/// was cut off has left.
fn holds_net(target: &Path, rule: &str) -> Result<bool> {
    let list = |error| Error::io("list the directory", target, error);
    let entries = match fs::read_dir(target) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(list(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry.map_err(list)?.file_name());
    }
    let has = |name: &str| names.iter().any(|found| found == OsStr::new(name));
    if has(JOURNAL_DIR) {
        return Ok(true);
    }
    // Tables without a journal may be all that is left of a net, unless they are ours.
    let foreign = names.iter().find(|name| {
        let ours = *name == LOCK_FILE || *name == WORK_DIR;
        !(ours || (*name == TABLES_DIR && has(WORK_DIR)))
    });
    match foreign {
        None => Ok(false),
        Some(name) => Err(Error::invalid(format!(
            "the directory is not empty, and was left as it is: it holds `{}`; {rule}",
            name.display()
        ))
        .at(target)),
    }
}

fn check_restorable(target: &Path) -> Result<()> {
    let rule = "a net is restored into an absent or empty one";
    if holds_net(target, rule)? {
        return Err(Error::invalid(format!(
            "there is a net here already, and it was left as it is; {rule}"
        ))
        .at(target));
    }
    Ok(())
}

/// Refuses two directories of which one lies within the other.
fn check_apart(source: &Path, target: &Path) -> Result<()> {
    let (from, to) = (real(source)?, real(target)?);
    if from.starts_with(&to) || to.starts_with(&from) {
        return Err(Error::invalid(format!(
            "one of the directories {} and {} lies within the other; name another target",
            source.display(),
            target.display()
        )));
    }
    Ok(())
}

/// The path without links and dots, of a directory that may not be there yet.
fn real(path: &Path) -> Result<PathBuf> {
    let absolute =
        std::path::absolute(path).map_err(|error| Error::io("find the directory", path, error))?;
    for above in absolute.ancestors() {
        match above.canonicalize() {
            Ok(found) => {
                let rest = absolute.strip_prefix(above).unwrap_or(Path::new(""));
                return Ok(found.join(rest));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::io("find the directory", above, error)),
        }
    }
    Ok(absolute)
}

fn create_dir(dir: &Path) -> Result<()> {
    fs::DirBuilder::new()
        .mode(0o700)
        .create(dir)
        .map_err(|error| Error::io("create the directory", dir, error))
}

/// Creates the directory if it is absent, and takes its lock.
fn claim(target: &Path) -> Result<Lock> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(target)
        .map_err(|error| Error::io("create the directory", target, error))?;
    let lock = Lock::exclusive(target)?;
    sync_parent(target)?;
    Ok(lock)
}

/// Removes what an attempt that was cut off has left. All of it can be had again.
fn clear(target: &Path) -> Result<()> {
    let (work, journal) = (target.join(WORK_DIR), target.join(JOURNAL_DIR));
    let remove_dir = |dir: &Path| match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::io("remove what was left unfinished", dir, error))
        }
        _ => Ok(()),
    };
    let list = |error| Error::io("list the directory", &journal, error);
    if journal.exists() {
        for entry in fs::read_dir(&journal).map_err(list)? {
            let path = entry.map_err(list)?.path();
            if path.extension().is_some_and(|end| end == "tmp") {
                fs::remove_file(&path)
                    .map_err(|error| Error::io("remove what was left unfinished", &path, error))?;
            }
        }
    } else if work.exists() {
        // Put in place just before the journal would have been. They go first: the other directory
        // tells whose they are.
        remove_dir(&target.join(TABLES_DIR))?;
        sync_dir(target)?;
    }
    remove_dir(&work)
}

/// Makes the files of tables durable, and copies of them where they are not to be shared.
fn take_files(tables: &Path, files: TableFiles) -> Result<Bytes> {
    let mut bytes = Bytes::default();
    if !tables.exists() {
        return Ok(bytes);
    }
    let list = |error| Error::io("list the directory", tables, error);
    let entries = fs::read_dir(tables).map_err(list)?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    for path in paths.collect::<io::Result<Vec<_>>>().map_err(list)? {
        let metadata =
            fs::symlink_metadata(&path).map_err(|error| Error::io("measure", &path, error))?;
        let shared = metadata.nlink() > 1;
        if shared && files == TableFiles::Linked {
            bytes.linked += metadata.len();
            continue;
        }
        let mut durable = path.clone();
        if shared {
            durable = path.with_extension("copy");
            fs::copy(&path, &durable).map_err(|error| Error::io("copy", &path, error))?;
        }
        File::open(&durable)
            .and_then(|file| file.sync_all())
            .map_err(|error| Error::io("sync", &durable, error))?;
        if shared {
            fs::rename(&durable, &path).map_err(|error| Error::io("rename", &durable, error))?;
        }
        bytes.copied += metadata.len();
    }
    sync_dir(tables)?;
    Ok(bytes)
}

/// Gives a new net its place: the journal last, so that nothing opens before all is there.
fn install(target: &Path, work: &Path) -> Result<()> {
    let put = |name: &str| {
        let from = work.join(name);
        if from.exists() {
            fs::rename(&from, target.join(name))
                .map_err(|error| Error::io("put in place", &from, error))?;
        }
        sync_dir(target)
    };
    sync_dir(work)?;
    sync_dir(target)?;
    put(TABLES_DIR)?;
    put(JOURNAL_DIR)?;
    remove_work(target, work)
}

/// Lets new tables take the place of those of an earlier backup, which are removed: they are
/// derived, and may hold what was erased since. Between the two renames the journal answers alone.
fn exchange(target: &Path, work: &Path) -> Result<()> {
    let (tables, old, new) = (
        target.join(TABLES_DIR),
        work.join(TABLES_OLD_DIR),
        work.join(TABLES_DIR),
    );
    sync_dir(work)?;
    sync_dir(target)?;
    if tables.exists() {
        fs::rename(&tables, &old).map_err(|error| Error::io("move away", &tables, error))?;
    }
    if new.exists() {
        fs::rename(&new, &tables).map_err(|error| Error::io("put in place", &new, error))?;
    }
    sync_dir(target)?;
    remove_work(target, work)
}

fn remove_work(target: &Path, work: &Path) -> Result<()> {
    fs::remove_dir_all(work)
        .map_err(|error| Error::io("remove the work directory", work, error))?;
    sync_dir(target)
}
