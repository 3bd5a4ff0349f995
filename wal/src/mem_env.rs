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
const SECTOR_LEN: u64 = 512;

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

/// A file system in memory. Clones share it; all its randomness comes from one seed.
///
/// It keeps apart what programs see and what a power cut leaves. Written bytes become durable by
/// a sync of the file, names by a sync of their directory. A failed write leaves any part of its
/// bytes, or all. A failed sync behaves like Linux: some of the bytes reach the disk, the others
/// never will, although they go on being read and the next sync succeeds.
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
        Self::from_disk(Rng(seed), dirs, Vec::new())
    }

    fn from_disk(rng: Rng, dirs: BTreeMap<PathBuf, Dir>, inodes: Vec<Inode>) -> Self {
        let disk = Disk {
            rng,
            dirs,
            inodes,
            counts: BTreeMap::new(),
            injection: None,
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
        let mut inodes = Vec::new();
        let mut dirs = BTreeMap::new();
        for (path, dir) in &disk.dirs {
            let mut entries = dir.durable.clone();
            let kept = rng.below(dir.pending.len() as u64 + 1);
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
                    let bytes = disk.inodes[*inode].after_crash(&mut rng);
                    *inode = inodes.len();
                    inodes.push(Inode {
                        durable: bytes.clone(),
                        live: bytes,
                        pending: vec![],
                    });
                }
            }
            dir.durable = dir.live.clone();
        }
        Self::from_disk(rng, dirs, inodes)
    }

    /// Lets an operation fail. Replaces an earlier injection that is still to come.
    pub fn inject(&self, injection: Injection) {
        self.disk.lock().injection = Some(injection);
    }

    /// Takes the injected fault back.
    pub fn heal(&self) {
        self.disk.lock().injection = None;
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
        let ((parent, old), (other, new)) = (split(from), split(to));
        if parent != other {
            return Err(io::ErrorKind::CrossesDevices.into());
        }
        let dir = disk.dir(parent)?;
        if dir.live.contains_key(new) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if !dir.live.contains_key(old) {
            return Err(io::ErrorKind::NotFound.into());
        }
        dir.change(DirOp::Rename(old.to_owned(), new.to_owned()));
        Ok(())
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
        for op in self.pending.drain(..) {
            if let FileOp::SetLen(len) = op
                && len < self.durable.len()
            {
                tail = self.durable.split_off(len);
            }
            op.apply(&mut self.durable);
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

    /// The disk loses what of the pending changes this does not write.
    fn fail_sync(&mut self, rng: &mut Rng) {
        self.durable = self.after_crash(rng);
        self.pending.clear();
    }

    fn after_crash(&self, rng: &mut Rng) -> Vec<u8> {
        let mut bytes = self.durable.clone();
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
        for op in self.pending.iter().take(until) {
            match op {
                FileOp::SetLen(_) => {
                    if in_order || rng.below(8) < chance {
                        op.apply(&mut bytes);
                    }
                }
                FileOp::Write(offset, data) => {
                    for (at, mut sector) in sectors(*offset, data) {
                        let mut at = at;
                        if !in_order && rng.below(8) >= chance {
                            if rng.below(4) > 0 {
                                continue;
                            }
                            let cut = index(rng.below(sector.len() as u64 + 1));
                            let (head, tail) = sector.split_at(cut);
                            (at, sector) = if rng.below(2) == 0 {
                                (at, head)
                            } else {
                                (at + cut, tail)
                            };
                        }
                        while bytes.len() < at {
                            bytes.push(if with_garbage { rng.byte() } else { 0 });
                        }
                        FileOp::Write(at, sector.to_vec()).apply(&mut bytes);
                    }
                }
            }
        }
        bytes
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
        let inode = &mut disk.inodes[self.inode];
        match &result {
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

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }
}

#[cfg(test)]
#[path = "mem_env_tests.rs"]
mod tests;
