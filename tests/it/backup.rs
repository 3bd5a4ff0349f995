//! Backups of nets in use and at rest, over earlier ones and into wrong places; what is restored
//! answers as the net did.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use blocknet::backup::{Backup, Restored, TableFiles, TablesFrom, Until};
use blocknet::geocode::NetSpec;
use blocknet::journal::{FileEnv, FrameRef, Page, Recovery, SegmentRewrite};
use blocknet::query::{Selection, search};
use blocknet::verify::Depth;
use blocknet::{
    AsOf, Assertion, Clock, Commit, Error, ErrorKind, Extent, LayerId, Moment, Net, NetBuilder,
    Result, Settings, Valid,
};

use crate::damage::{contents, copy_dir};

const WORK: &str = "blocknet.unfinished";

/// Short segments and small write buffers, so that there are several files of each.
fn builder() -> NetBuilder {
    Net::builder().settings(Settings {
        segment_len_bytes_max: 32 << 10,
        write_buffer_len_bytes: 128 << 10,
        ..Settings::default()
    })
}

/// A clock that moves one second with each look.
#[derive(Debug, Default)]
struct Ticking(AtomicI64);

impl Clock for Ticking {
    fn now(&self) -> Moment {
        Moment::from_micros(1_000_000 * self.0.fetch_add(1, Ordering::Relaxed))
    }
}

/// Commit `n`, a function of its number: three of fifty entities get a state.
fn commit(n: u64) -> Commit {
    let assertions = (0..3).map(|part| {
        let entity = (n * 7 + part * 13) % 50;
        let west = 6.1 + 0.001 * f64::from(u8::try_from(entity).unwrap());
        let extent = Extent::flat(west, 52.0, west + 0.0002, 52.0002);
        let payload = format!("{{\"n\":{n},\"fill\":\"{}\"}}", "x".repeat(400));
        let from = Moment::from_micros(i64::try_from(n * 10 + part).unwrap());
        Assertion::state(LayerId::MAIN, format!("e{entity:02}"), extent, payload)
            .valid(Valid::from(from))
    });
    Commit::new("test", assertions.collect())
}

fn write(net: &Net, numbers: std::ops::Range<u64>) {
    for n in numbers {
        net.commit(&commit(n)).unwrap();
    }
}

type Answers = BTreeMap<(i64, String), Vec<u8>>;

/// What a net answers as of a commit, at several valid times.
fn answers(net: &Net, as_of: AsOf) -> Answers {
    let mut found = Answers::new();
    for t in [0, 15, 333, 1_000, 10_000_000] {
        let view = net.view(as_of, Moment::from_micros(t)).unwrap();
        for record in search(&view, &Selection::default()).unwrap() {
            let record = record.unwrap();
            found.insert((t, record.id), record.payload.to_vec());
        }
    }
    found
}

fn newest(net: &Net) -> u64 {
    net.now_view().unwrap().newest_commit()
}

struct Scene {
    root: tempfile::TempDir,
    store: PathBuf,
    target: PathBuf,
}

impl Scene {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let (store, target) = (root.path().join("store"), root.path().join("backup"));
        Self {
            root,
            store,
            target,
        }
    }

    /// A closed net of so many commits beside the founding one.
    fn closed(commits: u64) -> Self {
        let scene = Self::new();
        let net = builder().create(&scene.store, NetSpec::city()).unwrap();
        write(&net, 1..commits + 1);
        net.close().unwrap();
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Backs up the closed net, which keeps every byte.
    fn try_backup(&self, target: &Path) -> Result<Backup> {
        let before = contents(&self.store);
        let made = builder().backup(&self.store, target, TableFiles::Linked, &|_| ());
        assert!(contents(&self.store) == before, "the source changed");
        made
    }

    fn backup(&self) -> Backup {
        let made = self.try_backup(&self.target).unwrap();
        check_clean(&self.target, made.commits);
        made
    }

    /// Refuses a target, and leaves every byte of it.
    fn refused(&self, target: &Path, kind: ErrorKind, says: &str) {
        let before = contents(target);
        let error = self.try_backup(target).unwrap_err();
        expect(&error, kind, says);
        assert!(contents(target) == before, "{says}: the target changed");
    }
}

fn expect(error: &Error, kind: ErrorKind, says: &str) {
    assert!(error.kind() == kind, "{:?}: {error}", error.kind());
    assert!(error.to_string().contains(says), "{error}");
}

/// A backup or restored net verifies, leaves nothing lying about, and is for its owner only.
fn check_clean(dir: &Path, commits: u64) {
    let verification = builder().verify(dir, Depth::Full, &|_| ()).unwrap();
    assert!(verification.is_clean(), "{:#?}", verification.findings);
    assert_eq!(verification.head.0, commits);
    let names: BTreeSet<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names, ["LOCK", "journal", "tables"].map(Into::into).into());
    for path in contents(dir).into_keys() {
        assert!(
            path.extension().is_none_or(|end| end != "tmp"),
            "{}",
            path.display()
        );
    }
    for name in ["journal", "tables"] {
        let mode = fs::metadata(dir.join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{name}");
    }
}

fn read(dir: &Path) -> Net {
    builder().open_read_only(dir).unwrap()
}

fn restore(scene: &Scene, until: Until) -> (Restored, PathBuf) {
    let target = scene.path("restored");
    if target.exists() {
        fs::remove_dir_all(&target).unwrap();
    }
    let before = contents(&scene.target);
    let restored = builder()
        .restore(&scene.target, &target, until, &|_| ())
        .unwrap();
    assert!(contents(&scene.target) == before, "the backup changed");
    check_clean(&target, restored.commits);
    for path in contents(&target).into_keys() {
        assert_eq!(
            fs::metadata(&path).unwrap().nlink(),
            1,
            "{}",
            path.display()
        );
    }
    (restored, target)
}

#[test]
fn a_net_in_use_is_backed_up_again_and_again() {
    let scene = Scene::new();
    let net = builder().create(&scene.store, NetSpec::city()).unwrap();
    write(&net, 1..60);
    let stop = AtomicBool::new(false);
    let numbers = std::sync::atomic::AtomicU64::new(1_000);
    let mut before: u64 = 0;
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let n = numbers.fetch_add(1, Ordering::Relaxed);
                    net.commit(&commit(n)).unwrap();
                }
            });
        }
        for round in 0..3 {
            // Stops the writers also when an assertion fails.
            let made = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                let acknowledged = newest(&net);
                let made = net
                    .backup(&scene.target, TableFiles::Linked, &|_| ())
                    .unwrap();
                assert!(made.commits >= acknowledged, "round {round}: {made:?}");
                assert_eq!(made.new_commits, made.commits - before);
                let TablesFrom::Files { commit } = made.tables else {
                    panic!("round {round}: {made:?}");
                };
                assert!((acknowledged..=made.commits).contains(&commit), "{made:?}");
                check_clean(&scene.target, made.commits);
                let backup = read(&scene.target);
                assert!(backup.report().rebuilt.is_none(), "{:?}", backup.report());
                assert_eq!(newest(&backup), made.commits);
                let expected = answers(&net, AsOf::Commit(made.commits));
                assert!(answers(&backup, AsOf::Newest) == expected, "round {round}");
                backup.audit(|finding| panic!("{finding}")).unwrap();
                made
            }));
            if made.is_err() || round == 2 {
                stop.store(true, Ordering::Relaxed);
            }
            let made = made.unwrap();
            assert_eq!(made.segments_kept > 0, round > 0, "round {round}: {made:?}");
            before = made.commits;
        }
    });
    // What a backup lacks in its tables, a restored net does not.
    let (restored, target) = restore(&scene, Until::Newest);
    assert_eq!(restored.commits, before);
    assert_eq!(read(&target).report().replayed, 0);
    // The backup goes on as a net of its own, and the source does not see it.
    let whole = answers(&net, AsOf::Newest);
    let other = builder().open(&scene.target).unwrap();
    write(&other, 5_000..5_100);
    other.close().unwrap();
    assert!(answers(&net, AsOf::Newest) == whole);
    net.audit(|finding| panic!("{finding}")).unwrap();
    let error = net
        .backup(&scene.target, TableFiles::Linked, &|_| ())
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    net.close().unwrap();
}

#[test]
fn only_what_is_new_is_copied() {
    let scene = Scene::closed(80);
    let first = scene.backup();
    assert_eq!((first.new_commits, first.segments_kept), (81, 0));
    assert!(
        first.linked_bytes > 0 && first.segments_copied > 3,
        "{first:?}"
    );
    let again = scene.backup();
    assert_eq!((again.new_commits, again.segments_copied), (0, 0));
    assert_eq!(again.head, first.head);

    let net = builder().open(&scene.store).unwrap();
    write(&net, 81..120);
    net.close().unwrap();
    let more = scene.backup();
    assert_eq!(more.new_commits, 39);
    assert_eq!(more.segments_kept, first.segments_copied - 1);
    assert!(more.segments_copied > 1, "{more:?}");
    // What source and target hold is the same, but for the number of the last writer.
    for (path, bytes) in contents(&scene.store.join("journal")) {
        let name = path.file_name().unwrap();
        let copy = scene.target.join("journal").join(name);
        assert!(fs::read(copy).unwrap() == bytes, "{}", path.display());
    }

    let copied = builder()
        .backup(&scene.store, &scene.target, TableFiles::Copied, &|_| ())
        .unwrap();
    assert_eq!(copied.linked_bytes, 0);
    check_clean(&scene.target, 120);
    for path in contents(&scene.target).into_keys() {
        assert_eq!(
            fs::metadata(&path).unwrap().nlink(),
            1,
            "{}",
            path.display()
        );
    }
}

/// Writes a sealed segment anew with the payloads of one commit gone, as an erasure does.
fn erase_in(journal: &Path, segment: u64, victim: u64) {
    let recovery = Recovery::scan(Arc::new(FileEnv), journal).unwrap();
    let info = &recovery.segments()[usize::try_from(segment).unwrap() - 1];
    let next = &recovery.segments()[usize::try_from(segment).unwrap()];
    let frames: Vec<_> = recovery
        .frames(info.first_seq - 1)
        .unwrap()
        .map(|frame| frame.unwrap())
        .take_while(|frame| frame.seq < next.first_seq)
        .collect();
    let page = Page {
        store_id: recovery.store_id(),
        segment,
        first_seq: info.first_seq,
        prev_chain: frames[0].chain,
    };
    let mut rewrite = SegmentRewrite::begin(Arc::new(FileEnv), journal, &page).unwrap();
    for frame in &frames[1..] {
        let zeros = vec![0; frame.erasable.len()];
        let is_victim = frame.seq == victim;
        rewrite
            .push(&FrameRef {
                seq: frame.seq,
                chain: &frame.chain,
                body: &frame.body,
                erasable: if is_victim { &zeros } else { &frame.erasable },
            })
            .unwrap();
    }
    let kept = rewrite
        .finish(true, &journal.with_file_name("old"))
        .unwrap();
    fs::remove_file(kept.unwrap()).unwrap();
    fs::remove_dir(journal.with_file_name("old")).unwrap();
}

#[test]
fn what_the_source_has_erased_leaves_the_backup() {
    let scene = Scene::closed(80);
    scene.backup();
    let journal = scene.store.join("journal");
    let recovery = Recovery::scan(Arc::new(FileEnv), &journal).unwrap();
    let victim = recovery.segments()[1].first_seq + 1;
    // Commit numbers are one ahead: the first makes the net.
    let needle = format!("{{\"n\":{},", victim - 1).into_bytes();
    let holds = |dir: &Path| {
        let files = contents(dir);
        let mut all = files.values();
        all.any(|bytes| bytes.windows(needle.len()).any(|part| part == needle))
    };
    assert!(holds(&journal) && holds(&scene.target.join("journal")));
    erase_in(&journal, 2, victim);
    assert!(!holds(&journal));
    let made = builder()
        .backup(&scene.store, &scene.target, TableFiles::Linked, &|_| ())
        .unwrap();
    assert_eq!((made.segments_copied, made.new_commits), (1, 0));
    assert!(!holds(&scene.target.join("journal")));

    // Changed in place, without a new salt and with the same length: the time of change tells.
    let path = journal.join("0000000000000001.wal");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes).unwrap();
    let made = builder()
        .backup(&scene.store, &scene.target, TableFiles::Linked, &|_| ())
        .unwrap();
    assert_eq!(made.segments_copied, 1);
}

#[test]
fn tables_of_an_earlier_backup_do_not_stay() {
    let scene = Scene::closed(80);
    scene.backup();
    let inodes = |dir: &Path| -> BTreeSet<u64> {
        contents(dir)
            .into_keys()
            .map(|path| fs::metadata(path).unwrap().ino())
            .collect()
    };
    // As after an erasure: other files hold the rows.
    let before = inodes(&scene.target.join("tables"));
    fs::remove_dir_all(scene.store.join("tables")).unwrap();
    builder().open(&scene.store).unwrap().close().unwrap();
    fs::remove_dir_all(scene.store.join("quarantine")).ok();
    scene.backup();
    let after = inodes(&scene.target);
    let stayed: Vec<_> = before.intersection(&after).collect();
    // An inode may be used again by a new file, but not by all of them.
    assert!(stayed.len() < before.len(), "{stayed:?}");
}

#[test]
fn other_targets_are_refused_and_left_alone() {
    let scene = Scene::closed(40);
    let first = scene.backup();

    let full = scene.path("full");
    fs::create_dir(&full).unwrap();
    fs::write(full.join("letter"), b"keep me").unwrap();
    scene.refused(&full, ErrorKind::Invalid, "it holds `letter`");
    // Tables without a journal may be all that is left of a net.
    let half = scene.path("half");
    copy_dir(&scene.target, &half);
    fs::remove_dir_all(half.join("journal")).unwrap();
    scene.refused(&half, ErrorKind::Invalid, "it holds `tables`");

    let other = scene.path("other");
    let net = builder().create(&other, NetSpec::city()).unwrap();
    net.close().unwrap();
    scene.refused(&other, ErrorKind::Invalid, "holds another net");

    // Ahead: the backup went on.
    let ahead = scene.path("ahead");
    copy_dir(&scene.target, &ahead);
    let net = builder().open(&ahead).unwrap();
    write(&net, 500..510);
    net.close().unwrap();
    scene.refused(&ahead, ErrorKind::Invalid, "is ahead: it holds commit 51");
    // And then the net went on too.
    let net = builder().open(&scene.store).unwrap();
    write(&net, 41..60);
    net.close().unwrap();
    scene.refused(&ahead, ErrorKind::Invalid, "is on another branch");

    // Damaged.
    let damaged = scene.path("damaged");
    copy_dir(&scene.target, &damaged);
    fs::remove_file(damaged.join("journal/0000000000000001.wal")).unwrap();
    scene.refused(
        &damaged,
        ErrorKind::Corrupt,
        "the earlier backup in the target is damaged",
    );

    // Within each other, also by another name.
    scene.refused(&scene.store, ErrorKind::Invalid, "lies within the other");
    let error = scene.try_backup(&scene.store.join("deep/er")).unwrap_err();
    expect(&error, ErrorKind::Invalid, "lies within the other");
    let link = scene.path("link");
    std::os::unix::fs::symlink(&scene.store, &link).unwrap();
    let error = scene.try_backup(&link.join("backup")).unwrap_err();
    expect(&error, ErrorKind::Invalid, "lies within the other");

    // Somebody reads it, or writes the source.
    let reader = read(&scene.target);
    scene.refused(&scene.target, ErrorKind::Locked, "open in another process");
    drop(reader);
    let writer = builder().open(&scene.store).unwrap();
    let error = builder()
        .backup(&scene.store, &scene.target, TableFiles::Linked, &|_| ())
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked);
    writer.close().unwrap();

    // After all this the good one is as good as before.
    let second = scene.backup();
    assert_eq!(second.commits, first.commits + 19);
}

#[test]
fn a_backup_is_restored_whole_to_a_commit_and_to_a_moment() {
    let scene = Scene::new();
    let clock = Arc::new(Ticking::default());
    let ticking = builder().clock(clock.clone());
    let net = ticking.create(&scene.store, NetSpec::city()).unwrap();
    write(&net, 1..80);
    let expected: Vec<Answers> = (1..=80)
        .map(|commit| answers(&net, AsOf::Commit(commit)))
        .collect();
    let written: Vec<Moment> = (1..=80)
        .map(|commit| net.now_view().unwrap().commit(commit).unwrap().written)
        .collect();
    net.close().unwrap();
    let made = scene.backup();
    let segments: Vec<u64> = Recovery::scan(Arc::new(FileEnv), &scene.target.join("journal"))
        .unwrap()
        .segments()
        .iter()
        .map(|info| info.first_seq)
        .collect();
    assert!(segments.len() > 3, "{segments:?}");

    let (whole, target) = restore(&scene, Until::Newest);
    assert_eq!((whole.commits, whole.left_out), (80, 0));
    assert_eq!(whole.head, made.head);
    assert_eq!(whole.tables, TablesFrom::Files { commit: 80 });
    let net = builder().open(&target).unwrap();
    assert!(net.report().rebuilt.is_none() && net.report().replayed == 0);
    assert!(answers(&net, AsOf::Newest) == expected[79]);
    // It goes on.
    write(&net, 80..90);
    net.close().unwrap();
    check_clean(&target, 90);

    let edges = segments
        .iter()
        .skip(1)
        .step_by(2)
        .flat_map(|first| [*first, first.saturating_sub(1).max(1)]);
    for commit in [1, 2, 41, 79, 80].into_iter().chain(edges) {
        let (restored, target) = restore(&scene, Until::Commit(commit));
        assert_eq!((restored.commits, restored.left_out), (commit, 80 - commit));
        let index = usize::try_from(commit).unwrap() - 1;
        assert_eq!(restored.written, written[index]);
        let net = read(&target);
        assert!(
            answers(&net, AsOf::Newest) == expected[index],
            "to {commit}"
        );
        for earlier in [1, commit / 2, commit].into_iter().filter(|at| *at > 0) {
            let index = usize::try_from(earlier).unwrap() - 1;
            assert!(answers(&net, AsOf::Commit(earlier)) == expected[index]);
        }
        drop(net);
        // Another way from there on: the old backup refuses it.
        if commit == 41 {
            let net = builder().open(&target).unwrap();
            write(&net, 700..720);
            net.close().unwrap();
            check_clean(&target, 61);
            let error = builder()
                .backup(&target, &scene.target, TableFiles::Linked, &|_| ())
                .unwrap_err();
            expect(&error, ErrorKind::Invalid, "is ahead");
        }
    }
    let just_before = |moment: Moment| Moment::from_micros(moment.as_micros() - 1);
    for (moment, commit) in [
        (written[0], 1),
        (written[30], 31),
        (just_before(written[30]), 30),
        (Moment::LAST, 80),
    ] {
        let (restored, _) = restore(&scene, Until::Written(moment));
        assert_eq!(restored.commits, commit);
    }

    // What there is not is not restored, and leaves nothing.
    let absent = scene.path("absent");
    for (until, says) in [
        (Until::Commit(0), "it has commits 1 to 80"),
        (Until::Commit(81), "there is no commit 81"),
        (Until::Written(just_before(written[0])), "at or before"),
    ] {
        let error = builder()
            .restore(&scene.target, &absent, until, &|_| ())
            .unwrap_err();
        expect(&error, ErrorKind::Invalid, says);
        assert!(!absent.exists());
    }
}

#[test]
fn a_journal_that_was_laid_out_anew_is_not_mixed_with_the_old_one() {
    let scene = Scene::closed(80);
    scene.backup();
    let journal = scene.store.join("journal");
    let starts = || -> Vec<u64> {
        let recovery = Recovery::scan(Arc::new(FileEnv), &journal).unwrap();
        recovery
            .segments()
            .iter()
            .map(|info| info.first_seq)
            .collect()
    };
    let before = starts();
    for segment in [1, 2, 3] {
        fs::remove_file(journal.join(format!("{segment:016}.wal"))).unwrap();
    }
    builder()
        .repair(&scene.store, true, "admin", &|_| ())
        .unwrap();
    assert_ne!(starts(), before, "choose other segments");
    scene.refused(&scene.target, ErrorKind::Invalid, "in other segments");
    let other = scene.path("other");
    let made = scene.try_backup(&other).unwrap();
    assert_eq!(made.commits, 82, "the repair commit as well");
    check_clean(&other, 82);
}

#[test]
fn a_target_that_holds_anything_is_not_restored_over() {
    let scene = Scene::closed(20);
    scene.backup();
    let full = scene.path("full");
    fs::create_dir(&full).unwrap();
    fs::write(full.join("letter"), b"keep me").unwrap();
    for target in [&full, &scene.store] {
        let before = contents(target);
        let error = builder()
            .restore(&scene.target, target, Until::Newest, &|_| ())
            .unwrap_err();
        expect(&error, ErrorKind::Invalid, "left as it is");
        assert!(contents(target) == before);
    }
    for target in [scene.target.clone(), scene.target.join("deeper")] {
        let error = builder()
            .restore(&scene.target, &target, Until::Newest, &|_| ())
            .unwrap_err();
        expect(&error, ErrorKind::Invalid, "lies within the other");
    }
    let error = builder()
        .restore(full, scene.path("new"), Until::Newest, &|_| ())
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}

fn flip(file: &Path, at: u64) {
    let mut bytes = fs::read(file).unwrap();
    bytes[usize::try_from(at).unwrap()] ^= 0x10;
    fs::write(file, bytes).unwrap();
}

#[test]
fn damage_is_neither_backed_up_nor_restored() {
    let scene = Scene::closed(60);
    scene.backup();
    let files = |below: &str, end: &str| -> Vec<PathBuf> {
        let files = contents(&scene.target.join(below)).into_keys();
        files
            .filter(|file| file.extension().is_some_and(|found| found == end))
            .collect()
    };
    let damaged = scene.path("damaged");
    let fresh = |from: &Path| {
        if damaged.exists() {
            fs::remove_dir_all(&damaged).unwrap();
        }
        copy_dir(from, &damaged);
    };
    let (target, again) = (scene.path("new"), scene.path("again"));
    let segments = files("journal", "wal");
    let last = segments.len() - 1;
    for file in [&segments[0], &segments[last / 2], &segments[last]] {
        let name = file.strip_prefix(&scene.target).unwrap();
        let len = fs::metadata(file).unwrap().len();
        for at in [30, 4096 + 30, len / 2] {
            // Of the last segment's end nobody knows what stood there.
            fresh(&scene.target);
            flip(&damaged.join(name), at);
            let context = format!("{} at {at}", name.display());
            let error = builder()
                .restore(&damaged, &target, Until::Newest, &|_| ())
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{context}: {error}");
            assert!(
                error.to_string().contains("nothing was restored"),
                "{context}: {error}"
            );
            assert!(!target.join("journal").exists(), "{context}");

            fresh(&scene.store);
            flip(&damaged.join(name), at);
            let error = builder()
                .backup(&damaged, &again, TableFiles::Linked, &|_| ())
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{context}: {error}");
            assert!(!again.join("journal").exists(), "{context}");
        }
    }
    // The same places can be used now, and what was refused left nothing in the way.
    fresh(&scene.target);
    for file in files("tables", "sst").iter().step_by(9) {
        let name = file.strip_prefix(&scene.target).unwrap();
        let len = fs::metadata(file).unwrap().len();
        fresh(&scene.target);
        // A copy: the other one is shared with the source.
        flip(&damaged.join(name), len / 4);
        let result = builder().restore(&damaged, &target, Until::Newest, &|_| ());
        if let Err(error) = result {
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
            assert!(
                error.to_string().contains("nothing was restored"),
                "{error}"
            );
        } else {
            check_clean(&target, 61);
            fs::remove_dir_all(&target).unwrap();
        }
    }
    // Tables that are not there, or do not open, can be made.
    fresh(&scene.target);
    fs::remove_dir_all(damaged.join("tables")).unwrap();
    let restored = builder()
        .restore(&damaged, &target, Until::Newest, &|_| ())
        .unwrap();
    assert!(
        matches!(restored.tables, TablesFrom::Journal { .. }),
        "{restored:?}"
    );
    check_clean(&target, 61);
    let made = builder()
        .backup(&damaged, &again, TableFiles::Linked, &|_| ())
        .unwrap();
    assert!(
        matches!(made.tables, TablesFrom::Journal { .. }),
        "{made:?}"
    );
    check_clean(&again, 61);
}

#[test]
fn a_journal_that_was_not_closed_is_backed_up_without_its_torn_end() {
    let scene = Scene::new();
    let net = builder().create(&scene.store, NetSpec::city()).unwrap();
    write(&net, 1..50);
    let expected = answers(&net, AsOf::Newest);
    // As a killed process leaves it: the tables behind, the journal not closed, its end torn.
    let killed = scene.path("killed");
    fs::create_dir(&killed).unwrap();
    copy_dir(&scene.store.join("journal"), &killed.join("journal"));
    net.close().unwrap();
    let last = contents(&killed.join("journal"))
        .into_keys()
        .next_back()
        .unwrap();
    let recovery = Recovery::scan(Arc::new(FileEnv), &killed.join("journal")).unwrap();
    let end = recovery.segments().last().unwrap().len_bytes;
    let mut bytes = fs::read(&last).unwrap();
    bytes[usize::try_from(end).unwrap() + 3] = 7;
    fs::write(&last, bytes).unwrap();
    let before = contents(&killed);
    let made = builder()
        .backup(&killed, &scene.target, TableFiles::Linked, &|_| ())
        .unwrap();
    assert!(contents(&killed) == before);
    assert_eq!(made.commits, 50);
    check_clean(&scene.target, 50);
    assert!(answers(&read(&scene.target), AsOf::Newest) == expected);
}

#[test]
fn what_an_attempt_left_is_cleared_and_other_things_are_not() {
    let scene = Scene::closed(30);
    // Cut off before anything was in place, and between tables and journal.
    for left in [&[WORK][..], &[WORK, "tables"][..]] {
        for name in left {
            fs::create_dir_all(scene.target.join(name).join("journal")).unwrap();
            fs::write(scene.target.join(name).join("half"), b"half").unwrap();
        }
        assert_eq!(
            builder().open_read_only(&scene.target).unwrap_err().kind(),
            if left.len() == 1 {
                ErrorKind::NotFound
            } else {
                ErrorKind::Corrupt
            }
        );
        scene.backup();
        fs::remove_dir_all(&scene.target).unwrap();
    }
    scene.backup();
    // Cut off over an earlier backup: half a segment, and no tables.
    fs::write(scene.target.join("journal/0000000000000001.tmp"), b"half").unwrap();
    fs::create_dir_all(scene.target.join(WORK)).unwrap();
    fs::rename(
        scene.target.join("tables"),
        scene.target.join(WORK).join("tables.old"),
    )
    .unwrap();
    assert_eq!(newest(&read(&scene.target)), 31);
    scene.backup();
    let target = scene.path("restored");
    fs::create_dir_all(target.join(WORK).join("journal")).unwrap();
    restore_into(&scene, &target);
}

fn restore_into(scene: &Scene, target: &Path) {
    builder()
        .restore(&scene.target, target, Until::Newest, &|_| ())
        .unwrap();
    check_clean(target, 31);
}

#[test]
fn tables_in_memory_are_no_part_of_a_backup() {
    let scene = Scene::new();
    let memory = || builder().tables_in_memory();
    let net = memory().create(&scene.store, NetSpec::city()).unwrap();
    write(&net, 1..40);
    let expected = answers(&net, AsOf::Newest);
    let made = net
        .backup(&scene.target, TableFiles::Linked, &|_| ())
        .unwrap();
    assert_eq!(made.tables, TablesFrom::Memory);
    net.close().unwrap();
    let restored = memory()
        .restore(&scene.target, scene.path("new"), Until::Commit(20), &|_| ())
        .unwrap();
    assert_eq!((restored.commits, restored.left_out), (20, 20));
    let net = memory().open(&scene.target).unwrap();
    assert!(answers(&net, AsOf::Newest) == expected);
    net.close().unwrap();
    // A net in simulated files has no directory to copy.
    let env = Arc::new(blocknet::journal::MemEnv::new(1));
    let net = Net::builder()
        .env(env)
        .create("net", NetSpec::city())
        .unwrap();
    let error = net
        .backup(scene.path("none"), TableFiles::Linked, &|_| ())
        .unwrap_err();
    expect(&error, ErrorKind::Invalid, "real file system");
    assert!(!scene.path("none").exists());
}
