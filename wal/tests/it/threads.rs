//! Several threads on one journal.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;

use blocknet_wal::{
    Access, Env, EnvFile, EnvOp, ErrorKind, InjectedError, Injection, Journal, JournalOptions,
    MemEnv,
};

use crate::model::{Commit, DIR, STORE_ID, as_index, assert_frames, create, scan, small_segments};

/// A disk whose data syncs wait for permission, once armed.
#[derive(Debug)]
struct SlowDisk {
    inner: MemEnv,
    gate: Arc<Gate>,
}

#[derive(Debug)]
struct Gate {
    armed: AtomicBool,
    arrived: SyncSender<()>,
    permission: Mutex<Receiver<()>>,
}

impl SlowDisk {
    fn file(&self, inner: Arc<dyn EnvFile>) -> Arc<dyn EnvFile> {
        Arc::new(SlowFile {
            inner,
            gate: self.gate.clone(),
        })
    }
}

impl Env for SlowDisk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.inner.create_dir(dir)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        self.inner.list(dir)
    }
    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn EnvFile>> {
        Ok(self.file(self.inner.open(path, access)?))
    }
    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn EnvFile>> {
        Ok(self.file(self.inner.create_new(path)?))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.rename(from, to)
    }
    fn replace(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.replace(from, to)
    }
    fn remove_tmp(&self, path: &Path) -> io::Result<()> {
        self.inner.remove_tmp(path)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.inner.sync_dir(dir)
    }
    fn random(&self) -> io::Result<u64> {
        self.inner.random()
    }
}

#[derive(Debug)]
struct SlowFile {
    inner: Arc<dyn EnvFile>,
    gate: Arc<Gate>,
}

impl EnvFile for SlowFile {
    fn len_bytes(&self) -> io::Result<u64> {
        self.inner.len_bytes()
    }
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.inner.read_at(buf, offset)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.inner.write_at(bytes, offset)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.inner.set_len(len)
    }
    fn allocate(&self, len: u64) -> io::Result<()> {
        self.inner.allocate(len)
    }
    fn sync_data(&self) -> io::Result<()> {
        if self.gate.armed.load(Ordering::SeqCst) {
            self.gate.arrived.send(()).expect("the test listens");
            self.gate
                .permission
                .lock()
                .expect("not poisoned")
                .recv()
                .expect("the test allows");
        }
        self.inner.sync_data()
    }
    fn sync_all(&self) -> io::Result<()> {
        self.inner.sync_all()
    }
}

#[test]
fn other_threads_append_and_read_while_one_syncs() {
    let (arrived, arrival) = sync_channel(0);
    let (permit, permission) = sync_channel(0);
    let armed = AtomicBool::new(false);
    let gate = Arc::new(Gate {
        armed,
        arrived,
        permission: Mutex::new(permission),
    });
    let inner = MemEnv::new(1);
    let disk = SlowDisk {
        inner: inner.clone(),
        gate: gate.clone(),
    };
    let options = JournalOptions::default();
    let journal =
        Journal::create(Arc::new(disk), Path::new(DIR), STORE_ID, options).expect("no faults");
    let commits: Vec<_> = (1..=3).map(|seq| Commit::new(seq, 100)).collect();
    commits[0].append_to(&journal, 1).expect("no faults");
    gate.armed.store(true, Ordering::SeqCst);
    thread::scope(|scope| {
        let first = scope.spawn(|| journal.sync());
        arrival.recv().expect("the sync begins");
        commits[1].append_to(&journal, 2).expect("no waiting");
        commits[2].append_to(&journal, 3).expect("no waiting");
        assert_eq!((journal.last_seq(), journal.durable_seq()), (3, 0));
        assert_frames(journal.frames(1), 1, &commits);
        // These two need one more sync between them.
        let second = scope.spawn(|| journal.sync());
        let third = scope.spawn(|| journal.sync());
        permit.send(()).expect("the sync waits");
        assert_eq!(first.join().expect("no panic").expect("no faults"), 1);
        arrival.recv().expect("another sync begins");
        permit.send(()).expect("the sync waits");
        for thread in [second, third] {
            assert_eq!(thread.join().expect("no panic").expect("no faults"), 3);
        }
    });
    assert_eq!(inner.count(&[EnvOp::SyncData]), 2);
    assert_eq!(journal.durable_seq(), 3);
}

#[test]
fn many_threads_share_syncs_across_segments_and_what_they_acknowledge_survives() {
    const THREADS: u64 = 4;
    const EACH: u64 = 60;
    let env = MemEnv::new(2);
    let journal = create(&env, small_segments()).expect("no faults");
    let order = Mutex::new(());
    let images: Vec<(u64, MemEnv)> = thread::scope(|scope| {
        let run = || {
            let mut images = Vec::new();
            for round in 0..EACH {
                let seq = {
                    let _order = order.lock().expect("not poisoned");
                    let seq = journal.last_seq() + 1;
                    Commit::new(seq, 400)
                        .append_to(&journal, seq)
                        .expect("no faults");
                    seq
                };
                let durable = journal.sync().expect("no faults");
                assert!(durable >= seq);
                if round % 10 == 0 {
                    images.push((durable, env.crash(seq)));
                }
            }
            images
        };
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(run)).collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().expect("no panic"))
            .collect()
    });
    let commits: Vec<_> = (1..=THREADS * EACH)
        .map(|seq| Commit::new(seq, 400))
        .collect();
    for (durable, image) in images {
        let recovery = scan(&image).expect("sound");
        recovery.check_witness(durable).expect("all there");
        let last = recovery.last_seq();
        assert_frames(recovery.frames(1), 1, &commits[..as_index(last + 1)]);
    }
    assert!(journal.segments().len() > 3);
    journal.close().expect("no faults");
    assert_frames(scan(&env).expect("sound").frames(1), 1, &commits);
}

#[test]
fn no_thread_is_told_durable_after_a_sync_failed() {
    for nth in 1..=20 {
        let env = MemEnv::new(nth);
        let journal = create(&env, small_segments()).expect("no faults");
        let (ops, error) = (EnvOp::SYNCS, InjectedError::Io);
        env.inject(Injection {
            ops,
            nth,
            lasting: false,
            error,
        });
        let order = Mutex::new(());
        let acked = AtomicU64::new(0);
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        let appended = {
                            let _order = order.lock().expect("not poisoned");
                            let seq = journal.last_seq() + 1;
                            Commit::new(seq, 400).append_to(&journal, seq)
                        };
                        match appended.and_then(|_| journal.sync()) {
                            Ok(durable) => acked.fetch_max(durable, Ordering::SeqCst),
                            Err(error) => {
                                assert_eq!(error.kind(), ErrorKind::Poisoned, "{error}");
                                break;
                            }
                        };
                    }
                });
            }
        });
        assert!(journal.is_poisoned());
        let acked = acked.load(Ordering::SeqCst);
        for seed in 0..8 {
            let recovery = scan(&env.crash(seed)).expect("sound");
            recovery
                .check_witness(acked)
                .expect("nothing acknowledged is lost");
        }
    }
}

#[test]
fn journals_are_shared_between_threads() {
    fn is_shared<T: Send + Sync>() {}
    is_shared::<Journal>();
    is_shared::<blocknet_wal::Recovery>();
    is_shared::<MemEnv>();
}
