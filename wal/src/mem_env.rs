//! A file system in memory that can lose power and fail, from a seed: the tests' hard disk.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::io::Errno;

use crate::env::{Access, Env, EnvFile, check_tmp};

/// The unit that a disk writes whole, or tears.
const SECTOR: usize = 512;
const SECTOR_LEN: u64 = SECTOR as u64;

/// An operation of [`Env`] or [`EnvFile`], for counting and failing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EnvOp {
    /// [`Env::create_dir`].
    CreateDir,
    /// [`Env::list`].
    List,
    /// [`Env::open`].
    Open,
    /// [`Env::create_new`].
    CreateNew,
    /// [`Env::rename`].
    Rename,
    /// [`Env::replace`].
    Replace,
    /// [`Env::remove_tmp`].
    RemoveTmp,
    /// [`Env::sync_dir`].
    SyncDir,
    /// [`EnvFile::len_bytes`].
    Len,
    /// [`EnvFile::read_at`].
    Read,
    /// [`EnvFile::write_at`].
    Write,
    /// [`EnvFile::set_len`].
    SetLen,
    /// [`EnvFile::allocate`].
    Allocate,
    /// [`EnvFile::sync_data`].
    SyncData,
    /// [`EnvFile::sync_all`].
    SyncAll,
}

impl EnvOp {
    /// The operations that make something durable.
    pub const SYNCS: &'static [Self] = &[Self::SyncData, Self::SyncAll, Self::SyncDir];

    /// The operations that change something.
    pub const CHANGES: &'static [Self] = &[
        Self::CreateDir,
        Self::CreateNew,
        Self::Rename,
        Self::Replace,
        Self::RemoveTmp,
        Self::Write,
        Self::SetLen,
        Self::Allocate,
    ];
}

/// The error that an injected fault returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InjectedError {
    /// EIO: the device failed.
    Io,
    /// ENOSPC: no space left.
    NoSpace,
}

impl From<InjectedError> for io::Error {
    fn from(error: InjectedError) -> Self {
        match error {
            InjectedError::Io => Errno::IO.into(),
            InjectedError::NoSpace => Errno::NOSPC.into(),
        }
    }
}

/// A fault to come.
#[derive(Clone, Debug)]
pub struct Injection {
    /// The operations that count and fail; empty means all.
    pub ops: &'static [EnvOp],
    /// The how-manieth of them from now on fails; 1 is the next.
    pub nth: u64,
    /// Whether all after it fail too. With all operations this is a power cut: nothing is done
    /// any more, and [`MemEnv::crash`] gives what the disk then holds.
    pub lasting: bool,
    /// The error returned.
    pub error: InjectedError,
}

/// Faults that come by chance: of a million operations that could have one, so many do.
///
/// Errors are what an honest disk reports. The others are lies: the operation reports success, and
/// only what is read back later tells. By default nothing ever happens.
#[derive(Clone, Debug, Default)]
pub struct FaultRates {
    /// Operations that fail, with their error and rate.
    pub errors: Vec<(EnvOp, InjectedError, u32)>,
    /// Writes of which nothing arrives, not even where programs read it back.
    pub phantom_writes: u32,
    /// Writes that programs go on reading, and that the disk never gets: no later sync helps.
    pub lost_writes: u32,
    /// Writes whose bytes land in other sectors, of the same file or of another one. Programs may
    /// go on reading what they wrote until a power cut.
    pub misdirected_writes: u32,
    /// Syncs of a file that do nothing; a later one makes up for it.
    pub lost_syncs: u32,
}

/// What a file system did to its programs so far, the power cuts it came from included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FaultCounts {
    /// Errors of [`FaultRates::errors`], by operation. Those of an [`Injection`] do not count.
    pub errors: BTreeMap<EnvOp, u64>,
    /// See [`FaultRates::phantom_writes`].
    pub phantom_writes: u64,
    /// See [`FaultRates::lost_writes`].
    pub lost_writes: u64,
    /// See [`FaultRates::misdirected_writes`].
    pub misdirected_writes: u64,
    /// See [`FaultRates::lost_syncs`].
    pub lost_syncs: u64,
    /// Power cuts.
    pub crashes: u64,
    /// Sectors of unsynced writes that a power cut kept.
    pub sectors_kept: u64,
    /// Sectors of unsynced writes that a power cut lost.
    pub sectors_lost: u64,
    /// Sectors of unsynced writes of which a power cut kept a part.
    pub sectors_torn: u64,
    /// Files in which a power cut kept a later change and lost an earlier one.
    pub files_reordered: u64,
    /// Changes of names that a power cut lost.
    pub names_lost: u64,
}

impl FaultCounts {
    /// The lies: faults that no operation reported.
    pub fn lies(&self) -> u64 {
        self.phantom_writes + self.lost_writes + self.misdirected_writes + self.lost_syncs
    }
}

impl std::ops::AddAssign<&Self> for FaultCounts {
    fn add_assign(&mut self, other: &Self) {
        for (op, count) in &other.errors {
            *self.errors.entry(*op).or_default() += count;
        }
        for (sum, count) in [
            (&mut self.phantom_writes, other.phantom_writes),
            (&mut self.lost_writes, other.lost_writes),
            (&mut self.misdirected_writes, other.misdirected_writes),
            (&mut self.lost_syncs, other.lost_syncs),
            (&mut self.crashes, other.crashes),
            (&mut self.sectors_kept, other.sectors_kept),
            (&mut self.sectors_lost, other.sectors_lost),
            (&mut self.sectors_torn, other.sectors_torn),
            (&mut self.files_reordered, other.files_reordered),
            (&mut self.names_lost, other.names_lost),
        ] {
            *sum += count;
        }
    }
}

/// A file system in memory. Clones share it; all its randomness comes from one seed.
///
/// It keeps apart what programs see and what a power cut leaves. Written bytes become durable by
/// a sync of the file, names by a sync of their directory. A failed write leaves any part of its
/// bytes, or all. A failed sync behaves like Linux: some of the bytes reach the disk, the others
/// never will, although they go on being read and the next sync succeeds. Where they would have
/// been the first in their sectors, it behaves like ext4: nothing written there later reaches the
/// disk either, although every sync succeeds, until the file is cut before those sectors or until a
/// power cut. Another file has sectors of its own.
#[derive(Clone)]
pub struct MemEnv {
    disk: Arc<Mutex<Disk>>,
}

struct Disk {
    rng: Rng,
    dirs: BTreeMap<PathBuf, Dir>,
    inodes: Vec<Inode>,
    counts: BTreeMap<EnvOp, u64>,
    injection: Option<Injection>,
    /// With a generator of their own, so that a fault does not change the salts drawn after it.
    rates: Option<(FaultRates, Rng)>,
    faults: FaultCounts,
}

/// How a write that reports success goes wrong.
enum Lie {
    Phantom,
    Lost,
    /// Into another file by its number, at another place; seen by programs or not.
    Misdirected {
        inode: usize,
        offset: usize,
        seen: bool,
    },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Entry {
    File(usize),
    Dir,
}

type Entries = BTreeMap<OsString, Entry>;

#[derive(Clone, Default)]
struct Dir {
    live: Entries,
    durable: Entries,
    pending: Vec<DirOp>,
}

#[derive(Clone)]
enum DirOp {
    Insert(OsString, Entry),
    Remove(OsString),
    Rename(OsString, OsString),
}

impl DirOp {
    fn apply(&self, entries: &mut Entries) {
        match self {
            Self::Insert(name, entry) => {
                entries.insert(name.clone(), *entry);
            }
            Self::Remove(name) => {
                entries.remove(name);
            }
            Self::Rename(from, to) => {
                if let Some(entry) = entries.remove(from) {
                    entries.insert(to.clone(), entry);
                }
            }
        }
    }
}

#[derive(Clone, Default)]
struct Inode {
    live: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<FileOp>,
    /// From the first one on; those not listed are new.
    sectors: Vec<Sector>,
}

/// What a file system that allocates ahead knows of a sector of a file: one that was never written
/// reads as zeros, and its first write marks it as written.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Sector {
    #[default]
    New,
    Written,
    /// Its first write failed. The cache takes it for written, so that no later write marks it;
    /// once the cache is gone, it reads as it did before.
    Stuck,
}

#[derive(Clone)]
enum FileOp {
    Write(usize, Vec<u8>),
    SetLen(usize),
}

impl FileOp {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write(offset, data) => {
                let end = offset + data.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[*offset..end].copy_from_slice(data);
            }
            Self::SetLen(len) => bytes.resize(*len, 0),
        }
    }
}

impl MemEnv {
    /// An empty file system: only the root directory, under the names `/` and the empty one.
    pub fn new(seed: u64) -> Self {
        let dirs = ["", "/"]
            .map(|root| (PathBuf::from(root), Dir::default()))
            .into();
        Self::from_disk(Rng(seed), dirs, Vec::new(), FaultCounts::default())
    }

    fn from_disk(
        rng: Rng,
        dirs: BTreeMap<PathBuf, Dir>,
        inodes: Vec<Inode>,
        faults: FaultCounts,
    ) -> Self {
        let disk = Disk {
            rng,
            dirs,
            inodes,
            counts: BTreeMap::new(),
            injection: None,
            rates: None,
            faults,
        };
        Self {
            disk: Arc::new(Mutex::new(disk)),
        }
    }

    /// What a power cut now would leave, as a file system of its own; this one goes on.
    ///
    /// Of the changes since the last sync of a file, whole sectors and parts of sectors survive or
    /// not, in any order; space that was never written holds zeros or anything. Of the changes
    /// since the last sync of a directory the first few survive.
    #[must_use]
    pub fn crash(&self, seed: u64) -> Self {
        let disk = self.disk.lock();
        let mut rng = Rng(seed);
        let mut faults = disk.faults.clone();
        faults.crashes += 1;
        let mut inodes = Vec::new();
        let mut dirs = BTreeMap::new();
        for (path, dir) in &disk.dirs {
            let mut entries = dir.durable.clone();
            let pending = dir.pending.len() as u64;
            let kept = rng.below(pending + 1);
            faults.names_lost += pending - kept;
            for op in dir.pending.iter().take(index(kept)) {
                op.apply(&mut entries);
            }
            dirs.insert(
                path.clone(),
                Dir {
                    live: entries,
                    ..Dir::default()
                },
            );
        }
        // A directory whose own name was lost is gone with all it held; parents sort first.
        let paths: Vec<_> = dirs.keys().cloned().collect();
        for path in paths {
            let (parent, name) = split(&path);
            let is_root = name.is_empty();
            let kept = dirs
                .get(parent)
                .is_some_and(|dir: &Dir| dir.live.contains_key(name));
            if !is_root && !kept {
                dirs.remove(&path);
            }
        }
        for dir in dirs.values_mut() {
            for entry in dir.live.values_mut() {
                if let Entry::File(inode) = entry {
                    let (bytes, mut sectors) =
                        disk.inodes[*inode].after_crash(&mut rng, &mut faults);
                    // The cache is gone, and with it what it took them for.
                    free_stuck(&mut sectors, 0);
                    *inode = inodes.len();
                    inodes.push(Inode {
                        durable: bytes.clone(),
                        live: bytes,
                        pending: vec![],
                        sectors,
                    });
                }
            }
            dir.durable = dir.live.clone();
        }
        Self::from_disk(rng, dirs, inodes, faults)
    }

    /// What the death of the process now would leave, as a file system of its own: all that was
    /// written, synced or not. Nothing that this one does afterwards reaches it.
    #[must_use]
    pub fn kill(&self) -> Self {
        let mut disk = self.disk.lock();
        let rng = disk.rng.fork();
        let (dirs, inodes) = (disk.dirs.clone(), disk.inodes.clone());
        Self::from_disk(rng, dirs, inodes, disk.faults.clone())
    }

    /// Lets operations go wrong by chance from now on, which follows `seed`. Replaces earlier rates.
    pub fn set_fault_rates(&self, rates: FaultRates, seed: u64) {
        self.disk.lock().rates = Some((rates, Rng(seed)));
    }

    /// What has gone wrong so far.
    pub fn faults(&self) -> FaultCounts {
        self.disk.lock().faults.clone()
    }

    /// Lets an operation fail. Replaces an earlier injection that is still to come.
    pub fn inject(&self, injection: Injection) {
        self.disk.lock().injection = Some(injection);
    }

    /// Takes the injected fault back, and the fault rates.
    pub fn heal(&self) {
        let mut disk = self.disk.lock();
        disk.injection = None;
        disk.rates = None;
    }

    /// How many of these operations were asked for so far, failed ones included; of all, if `ops`
    /// is empty.
    pub fn count(&self, ops: &[EnvOp]) -> u64 {
        let disk = self.disk.lock();
        let counted = disk
            .counts
            .iter()
            .filter(|(op, _)| ops.is_empty() || ops.contains(op));
        counted.map(|(_, count)| count).sum()
    }

    /// The paths of all files as programs see them.
    pub fn paths(&self) -> Vec<PathBuf> {
        let disk = self.disk.lock();
        let mut paths = Vec::new();
        for (path, dir) in &disk.dirs {
            let files = dir
                .live
                .iter()
                .filter(|(_, entry)| matches!(entry, Entry::File(_)));
            paths.extend(files.map(|(name, _)| path.join(name)));
        }
        paths
    }

    /// The bytes of a file as programs see them. Not counted, never failed.
    pub fn contents(&self, path: &Path) -> Option<Vec<u8>> {
        let disk = self.disk.lock();
        disk.find(path).map(|inode| disk.inodes[inode].live.clone())
    }

    /// Replaces the bytes of a file durably, creating it and its name if absent: how a test
    /// damages or plants one. The directory must exist, else nothing happens.
    pub fn set_contents(&self, path: &Path, bytes: &[u8]) {
        let mut disk = self.disk.lock();
        let (live, durable) = (bytes.to_vec(), bytes.to_vec());
        let image = Inode {
            live,
            durable,
            pending: vec![],
            sectors: vec![Sector::Written; sector_count(bytes.len())],
        };
        let inode = disk.find(path).unwrap_or(disk.inodes.len());
        match disk.inodes.get_mut(inode) {
            Some(existing) => *existing = image,
            None => disk.inodes.push(image),
        }
        let (parent, name) = split(path);
        if let Some(dir) = disk.dirs.get_mut(parent) {
            for entries in [&mut dir.live, &mut dir.durable] {
                entries.insert(name.to_owned(), Entry::File(inode));
            }
        }
    }

    /// Removes a file durably, as an accident would.
    pub fn delete(&self, path: &Path) {
        let (parent, name) = split(path);
        if let Some(dir) = self.disk.lock().dirs.get_mut(parent) {
            dir.live.remove(name);
            dir.durable.remove(name);
        }
    }

    fn handle(&self, inode: usize, access: Access) -> Arc<dyn EnvFile> {
        Arc::new(MemFile {
            disk: self.disk.clone(),
            inode,
            access,
        })
    }
}

impl fmt::Debug for MemEnv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemEnv").finish_non_exhaustive()
    }
}

impl Env for MemEnv {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.count(EnvOp::CreateDir)?;
        disk.insert(dir, Entry::Dir)?;
        disk.dirs.insert(dir.to_owned(), Dir::default());
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        let mut disk = self.disk.lock();
        disk.count(EnvOp::List)?;
        Ok(disk.dir(dir)?.live.keys().cloned().collect())
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn EnvFile>> {
        let mut disk = self.disk.lock();
        disk.count(EnvOp::Open)?;
        if disk.dirs.contains_key(path) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "not a regular file",
            ));
        }
        let inode = disk.find(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(self.handle(inode, access))
    }

    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn EnvFile>> {
        let mut disk = self.disk.lock();
        disk.count(EnvOp::CreateNew)?;
        let inode = disk.inodes.len();
        disk.insert(path, Entry::File(inode))?;
        disk.inodes.push(Inode::default());
        Ok(self.handle(inode, Access::ReadWrite))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.count(EnvOp::Rename)?;
        let (parent, name) = split(to);
        if disk.dir(parent)?.live.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        disk.rename(from, to)
    }

    fn replace(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.count(EnvOp::Replace)?;
        if disk.dirs.contains_key(to) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        disk.rename(from, to)
    }

    fn remove_tmp(&self, path: &Path) -> io::Result<()> {
        check_tmp(path)?;
        let mut disk = self.disk.lock();
        disk.count(EnvOp::RemoveTmp)?;
        disk.find(path).ok_or(io::ErrorKind::NotFound)?;
        let (parent, name) = split(path);
        disk.dir(parent)?.change(DirOp::Remove(name.to_owned()));
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut disk = self.disk.lock();
        let failed = disk.count(EnvOp::SyncDir);
        let mut rng = disk.rng.fork();
        let dir = disk.dir(dir)?;
        let kept = match failed {
            Ok(()) => dir.pending.len(),
            Err(_) => index(rng.below(dir.pending.len() as u64 + 1)),
        };
        for op in dir.pending.drain(..kept) {
            op.apply(&mut dir.durable);
        }
        failed
    }

    fn random(&self) -> io::Result<u64> {
        Ok(self.disk.lock().rng.next())
    }
}

impl Dir {
    fn change(&mut self, op: DirOp) {
        op.apply(&mut self.live);
        self.pending.push(op);
    }
}

impl Disk {
    /// Counts an operation and fails it if it is its turn.
    fn count(&mut self, op: EnvOp) -> io::Result<()> {
        *self.counts.entry(op).or_default() += 1;
        self.injected(op)?;
        let Some((rates, rng)) = &mut self.rates else {
            return Ok(());
        };
        for (failing, error, rate) in &rates.errors {
            if *failing == op && rng.happens(*rate) {
                *self.faults.errors.entry(op).or_default() += 1;
                return Err((*error).into());
            }
        }
        Ok(())
    }

    fn injected(&mut self, op: EnvOp) -> io::Result<()> {
        let Some(injection) = &mut self.injection else {
            return Ok(());
        };
        if !injection.ops.is_empty() && !injection.ops.contains(&op) {
            return Ok(());
        }
        if injection.nth > 1 {
            injection.nth -= 1;
            return Ok(());
        }
        let error = injection.error.into();
        if !injection.lasting {
            self.injection = None;
        }
        Err(error)
    }

    /// Whether a write to a file goes wrong unnoticed, and how.
    fn lie(&mut self, inode: usize, offset: usize) -> Option<Lie> {
        let (rates, rng) = self.rates.as_mut()?;
        if rng.happens(rates.phantom_writes) {
            self.faults.phantom_writes += 1;
            return Some(Lie::Phantom);
        }
        if rng.happens(rates.lost_writes) {
            self.faults.lost_writes += 1;
            return Some(Lie::Lost);
        }
        if !rng.happens(rates.misdirected_writes) {
            return None;
        }
        self.faults.misdirected_writes += 1;
        // The address is wrong in whole sectors.
        let within = offset as u64 % SECTOR_LEN;
        let inode = if rng.below(2) == 0 {
            inode
        } else {
            index(rng.below(self.inodes.len() as u64))
        };
        let sectors = self.inodes[inode].live.len() as u64 / SECTOR_LEN;
        Some(Lie::Misdirected {
            inode,
            offset: index(rng.below(sectors + 1) * SECTOR_LEN + within),
            seen: rng.below(2) == 0,
        })
    }

    /// Whether a sync of a file does nothing, unnoticed.
    fn loses_sync(&mut self) -> bool {
        let lost = match &mut self.rates {
            Some((rates, rng)) => rng.happens(rates.lost_syncs),
            None => false,
        };
        self.faults.lost_syncs += u64::from(lost);
        lost
    }

    /// A write that reports success.
    fn write(&mut self, inode: usize, offset: usize, data: Vec<u8>) {
        match self.lie(inode, offset) {
            None => self.inodes[inode].change(FileOp::Write(offset, data)),
            Some(Lie::Phantom) => {}
            Some(Lie::Lost) => FileOp::Write(offset, data).apply(&mut self.inodes[inode].live),
            Some(Lie::Misdirected {
                inode: wrong,
                offset: elsewhere,
                seen,
            }) => {
                if seen {
                    self.inodes[wrong].change(FileOp::Write(elsewhere, data));
                } else {
                    FileOp::Write(offset, data.clone()).apply(&mut self.inodes[inode].live);
                    self.inodes[wrong]
                        .pending
                        .push(FileOp::Write(elsewhere, data));
                }
            }
        }
    }

    fn dir(&mut self, path: &Path) -> io::Result<&mut Dir> {
        self.dirs
            .get_mut(path)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn find(&self, path: &Path) -> Option<usize> {
        let (parent, name) = split(path);
        match self.dirs.get(parent)?.live.get(name)? {
            Entry::File(inode) => Some(*inode),
            Entry::Dir => None,
        }
    }

    /// In one step, over whatever has the name.
    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let ((parent, old), (other, new)) = (split(from), split(to));
        if parent != other {
            return Err(io::ErrorKind::CrossesDevices.into());
        }
        let dir = self.dir(parent)?;
        if !dir.live.contains_key(old) {
            return Err(io::ErrorKind::NotFound.into());
        }
        dir.change(DirOp::Rename(old.to_owned(), new.to_owned()));
        Ok(())
    }

    fn insert(&mut self, path: &Path, entry: Entry) -> io::Result<()> {
        let (parent, name) = split(path);
        let dir = self.dir(parent)?;
        if name.is_empty() || dir.live.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        dir.change(DirOp::Insert(name.to_owned(), entry));
        Ok(())
    }
}

impl Inode {
    fn change(&mut self, op: FileOp) {
        op.apply(&mut self.live);
        self.pending.push(op);
    }

    fn sync(&mut self, with_shrinking: bool) {
        let before = self.durable.len();
        let mut tail = Vec::new();
        for op in std::mem::take(&mut self.pending) {
            match &op {
                FileOp::SetLen(len) => {
                    if *len < self.durable.len() {
                        tail = self.durable.split_off(*len);
                    }
                    op.apply(&mut self.durable);
                    self.sectors.truncate(sector_count(*len));
                }
                FileOp::Write(offset, data) => self.write_to_disk(*offset, data),
            }
        }
        // fdatasync owes only the length that is needed to read the data: a file that is shorter
        // in the end may have its old length and bytes back after a crash.
        let len = self.durable.len();
        if !with_shrinking && len < before {
            self.durable.append(&mut tail);
            self.durable.resize(before, 0);
            self.pending.push(FileOp::SetLen(len));
        }
    }

    fn write_to_disk(&mut self, offset: usize, data: &[u8]) {
        let end = offset + data.len();
        if self.durable.len() < end {
            self.durable.resize(end, 0);
        }
        for (at, part) in sectors(offset, data) {
            let sector = sector_at(&mut self.sectors, at);
            if *sector != Sector::Stuck {
                *sector = Sector::Written;
                self.durable[at..at + part.len()].copy_from_slice(part);
            }
        }
    }

    /// The disk loses what of the pending changes this does not write.
    fn fail_sync(&mut self, rng: &mut Rng) {
        (self.durable, self.sectors) = self.after_crash(rng, &mut FaultCounts::default());
        self.pending.clear();
    }

    /// The bytes after some of the pending changes, and the sectors: where the first write of one
    /// was lost, it is stuck.
    fn after_crash(&self, rng: &mut Rng, faults: &mut FaultCounts) -> (Vec<u8>, Vec<Sector>) {
        let mut bytes = self.durable.clone();
        let mut states = self.sectors.clone();
        // Where a write was lost, in whole or in part.
        let mut missed: Vec<usize> = Vec::new();
        // In eighths: from "nothing got through" over "anything" to "only just not synced".
        let chance = [0, 1, 4, 7, 8][index(rng.below(5))];
        let in_order = rng.below(4) == 0;
        let with_garbage = rng.below(4) == 0;
        let all = self.pending.len();
        let until = if in_order {
            index(rng.below(all as u64 + 1))
        } else {
            all
        };
        let (mut lost, mut reordered) = (false, false);
        for op in self.pending.iter().take(until) {
            match op {
                FileOp::SetLen(len) => {
                    let kept = in_order || rng.below(8) < chance;
                    if kept {
                        op.apply(&mut bytes);
                        states.truncate(sector_count(*len));
                    }
                    free_stuck(&mut states, *len);
                    missed.retain(|at| at / SECTOR < sector_count(*len));
                    reordered |= lost && kept;
                    lost |= !kept;
                }
                FileOp::Write(offset, data) => {
                    for (at, mut sector) in sectors(*offset, data) {
                        let mut at = at;
                        let state = sector_at(&mut states, at);
                        if *state == Sector::Stuck {
                            faults.sectors_lost += 1;
                            continue;
                        }
                        if !in_order && rng.below(8) >= chance {
                            missed.push(at);
                            lost = true;
                            if rng.below(4) > 0 {
                                faults.sectors_lost += 1;
                                continue;
                            }
                            faults.sectors_torn += 1;
                            let cut = index(rng.below(sector.len() as u64 + 1));
                            let (head, tail) = sector.split_at(cut);
                            (at, sector) = if rng.below(2) == 0 {
                                (at, head)
                            } else {
                                (at + cut, tail)
                            };
                        } else {
                            *state = Sector::Written;
                            faults.sectors_kept += 1;
                            reordered |= lost;
                        }
                        while bytes.len() < at {
                            bytes.push(if with_garbage { rng.byte() } else { 0 });
                        }
                        FileOp::Write(at, sector.to_vec()).apply(&mut bytes);
                    }
                }
            }
        }
        for op in self.pending.iter().skip(until) {
            match op {
                FileOp::SetLen(len) => {
                    free_stuck(&mut states, *len);
                    missed.retain(|at| at / SECTOR < sector_count(*len));
                }
                FileOp::Write(offset, data) => {
                    let sectors = sectors(*offset, data);
                    faults.sectors_lost += sectors.len() as u64;
                    missed.extend(sectors.iter().map(|(at, _)| at));
                }
            }
        }
        faults.files_reordered += u64::from(reordered);
        for at in missed {
            let state = sector_at(&mut states, at);
            if *state == Sector::New {
                *state = Sector::Stuck;
            }
        }
        (bytes, states)
    }
}

/// How many sectors a file of this length has.
fn sector_count(len: usize) -> usize {
    len.div_ceil(SECTOR)
}

/// The sector in which this byte of a file lies.
fn sector_at(sectors: &mut Vec<Sector>, at: usize) -> &mut Sector {
    let number = at / SECTOR;
    if sectors.len() <= number {
        sectors.resize(number + 1, Sector::New);
    }
    &mut sectors[number]
}

/// Cutting a file to `len` bytes takes the sectors after that from it.
fn free_stuck(sectors: &mut [Sector], len: usize) {
    for sector in sectors.iter_mut().skip(sector_count(len)) {
        if *sector == Sector::Stuck {
            *sector = Sector::New;
        }
    }
}

/// The parts of a write that lie in one sector each.
fn sectors(offset: usize, data: &[u8]) -> Vec<(usize, &[u8])> {
    let (mut at, mut rest, mut parts) = (offset, data, Vec::new());
    while !rest.is_empty() {
        let room = index(SECTOR_LEN - at as u64 % SECTOR_LEN);
        let (head, tail) = rest.split_at(room.min(rest.len()));
        parts.push((at, head));
        at += head.len();
        rest = tail;
    }
    parts
}

struct MemFile {
    disk: Arc<Mutex<Disk>>,
    inode: usize,
    access: Access,
}

impl fmt::Debug for MemFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemFile")
            .field("inode", &self.inode)
            .finish_non_exhaustive()
    }
}

impl MemFile {
    fn change(&self, op: EnvOp, change: FileOp) -> io::Result<()> {
        if self.access == Access::Read {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let mut disk = self.disk.lock();
        let result = disk.count(op);
        let mut rng = disk.rng.fork();
        match (&result, change) {
            (Ok(()), FileOp::Write(offset, data)) => disk.write(self.inode, offset, data),
            (Ok(()), change) => disk.inodes[self.inode].change(change),
            (Err(_), FileOp::Write(offset, mut data)) => {
                // Any part, and not seldom all of it.
                if rng.below(3) > 0 {
                    data.truncate(index(rng.below(data.len() as u64 + 1)));
                }
                disk.inodes[self.inode].change(FileOp::Write(offset, data));
            }
            (Err(_), FileOp::SetLen(_)) => {}
        }
        result
    }

    fn sync(&self, op: EnvOp, with_shrinking: bool) -> io::Result<()> {
        let mut disk = self.disk.lock();
        let result = disk.count(op);
        let mut rng = disk.rng.fork();
        let lost = result.is_ok() && disk.loses_sync();
        let inode = &mut disk.inodes[self.inode];
        match &result {
            Ok(()) if lost => {}
            Ok(()) => inode.sync(with_shrinking),
            Err(_) => inode.fail_sync(&mut rng),
        }
        result
    }
}

impl EnvFile for MemFile {
    fn len_bytes(&self) -> io::Result<u64> {
        let mut disk = self.disk.lock();
        disk.count(EnvOp::Len)?;
        Ok(disk.inodes[self.inode].live.len() as u64)
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut disk = self.disk.lock();
        disk.count(EnvOp::Read)?;
        let bytes = &disk.inodes[self.inode].live;
        let tail = usize::try_from(offset)
            .ok()
            .and_then(|offset| bytes.get(offset..));
        let tail = tail.unwrap_or_default();
        let count = tail.len().min(buf.len());
        buf[..count].copy_from_slice(&tail[..count]);
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.change(
            EnvOp::Write,
            FileOp::Write(memory_index(offset)?, bytes.to_vec()),
        )
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(EnvOp::SetLen, FileOp::SetLen(memory_index(len)?))
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        let have = self.disk.lock().inodes[self.inode].live.len();
        self.change(
            EnvOp::Allocate,
            FileOp::SetLen(memory_index(len)?.max(have)),
        )
    }

    fn sync_data(&self) -> io::Result<()> {
        self.sync(EnvOp::SyncData, false)
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync(EnvOp::SyncAll, true)
    }
}

/// A place in a file held in memory; refuses files that no memory holds.
fn memory_index(offset: u64) -> io::Result<usize> {
    const LEN_MAX: u64 = 1 << 40;
    let small = Some(offset).filter(|offset| *offset <= LEN_MAX);
    small
        .and_then(|offset| usize::try_from(offset).ok())
        .ok_or(io::ErrorKind::FileTooLarge.into())
}

/// A number that counts things in memory.
fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn split(path: &Path) -> (&Path, &OsStr) {
    let parent = path.parent().unwrap_or(Path::new(""));
    (parent, path.file_name().unwrap_or_default())
}

/// `SplitMix64` (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
#[derive(Clone, Debug)]
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn fork(&mut self) -> Self {
        Self(self.next())
    }

    /// A number below `bound`, which is not zero; its slight bias does not matter here.
    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// True so many times in a million; draws nothing where that is never.
    fn happens(&mut self, per_million: u32) -> bool {
        per_million > 0 && self.below(1_000_000) < u64::from(per_million)
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }
}

#[cfg(test)]
#[path = "mem_env_tests.rs"]
mod tests;
