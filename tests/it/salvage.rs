//! Both copies of one version damaged, or of a whole commit: what is lost is named and answers with
//! an error that says so, and everything else answers as before.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use blocknet::backup::{TableFiles, Until};
use blocknet::geocode::NetSpec;
use blocknet::journal::{FileEnv, Frame, Recovery};
use blocknet::query::{Selection, Window, search};
use blocknet::repair::Repair;
use blocknet::verify::{Code, Depth, Finding, Remedy, Verification};
use blocknet::{
    AsOf, Assertion, Commit, ErrorKind, Extent, LayerId, Moment, Net, NetBuilder, Record, Result,
    Settings, Valid, Version, View,
};

use crate::damage::{contents, copy_dir};

const ENTITIES: i64 = 1000;
const FRAME_HEADER_LEN: u64 = 80;

fn builder() -> NetBuilder {
    Net::builder().settings(Settings {
        segment_len_bytes_max: 200 << 10,
        write_buffer_len_bytes: 256 << 10,
        ..Settings::default()
    })
}

fn day(day: i64) -> Moment {
    Moment::from_micros((10_957 + day) * 86_400_000_000)
}

/// A generator of numbers, the same for the same seed (SplitMix64).
struct Rng(u64);

impl Rng {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }

    fn index(&mut self, end: usize) -> usize {
        usize::try_from(self.below(end as u64)).unwrap()
    }
}

fn extent(n: i64, round: i64) -> Extent {
    // A tenth of them moves each round.
    let place = if n % 10 == 3 { n + 7 * round } else { n };
    let (column, row) = (i32::try_from(place % 40).unwrap(), place / 40);
    let west = 6.1 + 0.0004 * f64::from(column);
    let south = 52.0 + 0.0004 * f64::from(i32::try_from(row).unwrap());
    let flat = Extent::flat(west, south, west + 0.0001, south + 0.0001);
    if n % 3 == 0 {
        flat.between(1.0, 4.0 + f64::from(column))
    } else {
        flat
    }
}

/// Several thousand versions: states that follow each other, moves, corrections of the past,
/// removals.
fn fill(net: &Net) {
    for round in 0..4 {
        let mut assertions = Vec::new();
        for n in 0..ENTITIES {
            let from = day(round * 100 + n % 7 - if n % 11 == 0 { 150 } else { 0 });
            let id = format!("h{n:05}");
            if round == 3 {
                if n % 5 == 0 {
                    let gone = Assertion::absence(LayerId::MAIN, id);
                    assertions.push(gone.valid(Valid::from(from)));
                }
                continue;
            }
            let fill = "x".repeat(40 + usize::try_from(n % 90).unwrap());
            let payload = format!("{{\"id\":\"{id}\",\"round\":{round},\"x\":\"{fill}\"}}");
            let state = Assertion::state(LayerId::MAIN, id, extent(n, round), payload);
            assertions.push(state.valid(Valid::from(from)));
        }
        for part in assertions.chunks(70) {
            net.commit(&Commit::new("test", part.to_vec())).unwrap();
        }
    }
}

type Answer<T> = Result<T, ErrorKind>;

/// One record: its version, and all of it.
type Told = (Version, String);

fn told(record: &Record) -> Told {
    (record.version, format!("{record:?}"))
}

/// All that a store answers.
#[derive(PartialEq)]
struct Answers {
    histories: BTreeMap<String, Answer<Vec<Told>>>,
    states: BTreeMap<(usize, String), Answer<Option<Told>>>,
    /// Records of each area, and how many were said to be lost.
    areas: BTreeMap<(usize, usize), (Vec<Told>, usize)>,
    blocks: Vec<String>,
    commits: Vec<String>,
}

fn kind<T>(result: Result<T>) -> Answer<T> {
    result.map_err(|error| {
        let said = error.to_string();
        assert_eq!(
            said.contains("is lost"),
            error.kind() == ErrorKind::Lost,
            "{said}"
        );
        error.kind()
    })
}

fn area(view: &View<'_>, selection: &Selection<'_>) -> (Vec<Told>, usize) {
    let (mut found, mut lost) = (Vec::new(), 0);
    for record in search(view, selection).unwrap() {
        match kind(record) {
            Ok(record) => found.push(told(&record)),
            Err(kind) => {
                assert_eq!(kind, ErrorKind::Lost);
                lost += 1;
            }
        }
    }
    (found, lost)
}

fn answers(net: &Net, commits: u64) -> Answers {
    let mut answers = Answers {
        histories: BTreeMap::new(),
        states: BTreeMap::new(),
        areas: BTreeMap::new(),
        blocks: Vec::new(),
        commits: Vec::new(),
    };
    let moments = [-200, 3, 105, 250, 303, 1000];
    let views = moments.iter().flat_map(|t| {
        [
            AsOf::Newest,
            AsOf::Commit(commits / 3),
            AsOf::Commit(2 * commits / 3),
        ]
        .map(|as_of| (*t, as_of))
    });
    for (index, (t, as_of)) in views.enumerate() {
        let view = net.view(as_of, day(t)).unwrap();
        for n in 0..ENTITIES {
            let id = format!("h{n:05}");
            let state = view.get(LayerId::MAIN, &id);
            let state = kind(state).map(|found| found.as_ref().map(told));
            answers.states.insert((index, id), state);
        }
        for part in 0..9_u8 {
            let (west, south) = (
                6.1 + 0.0055 * f64::from(part % 3),
                52.0 + 0.0035 * f64::from(part / 3),
            );
            let selection = Selection {
                area: Window {
                    west,
                    south,
                    east: west + 0.005,
                    north: south + 0.003,
                }
                .into(),
                ..Selection::default()
            };
            let of_part = area(&view, &selection);
            answers.areas.insert((index, usize::from(part)), of_part);
        }
        answers
            .areas
            .insert((index, 9), area(&view, &Selection::default()));
    }
    let view = net.view(AsOf::Newest, day(1000)).unwrap();
    for n in 0..ENTITIES {
        let id = format!("h{n:05}");
        let history = kind(view.history(LayerId::MAIN, &id));
        let history = history.map(|history| history.iter().map(told).collect());
        answers.histories.insert(id, history);
    }
    let linked = view.linked(None).unwrap();
    for block in linked.blocks().unwrap() {
        let (block, newest) = block.unwrap();
        answers.blocks.push(format!(
            "{block} {newest:?} {:?} {:?} {:?} {:?} {:?}",
            linked.versions(&block).unwrap(),
            linked.origin(&block).unwrap(),
            linked.predecessors(&block).unwrap(),
            linked.successors(&block).unwrap(),
            linked.supervision(&block).unwrap(),
        ));
    }
    for commit in 1..=commits {
        let root = view.log_head_at(commit).unwrap();
        answers
            .commits
            .push(format!("{:?} {root:?}", view.commit(commit).unwrap()));
    }
    answers
}

/// Holds what a repaired store answers against what it answered when it was whole: the same, but
/// for these versions.
fn judge(whole: &Answers, now: &Answers, lost: &BTreeSet<Version>, context: &str) {
    assert!(whole.blocks == now.blocks, "{context}: blocks");
    assert!(whole.commits == now.commits, "{context}: commits");
    for (id, was) in &whole.histories {
        let is_hit = was
            .as_ref()
            .unwrap()
            .iter()
            .any(|(version, _)| lost.contains(version));
        let expected = if is_hit { &Err(ErrorKind::Lost) } else { was };
        assert_eq!(expected, &now.histories[id], "{context}: history of {id}");
    }
    for (place, was) in &whole.states {
        let found = was.as_ref().unwrap();
        let is_hit = found
            .as_ref()
            .is_some_and(|(version, _)| lost.contains(version));
        let expected = if is_hit { &Err(ErrorKind::Lost) } else { was };
        assert_eq!(expected, &now.states[place], "{context}: {place:?}");
    }
    for (place, (was, none)) in &whole.areas {
        assert_eq!(*none, 0);
        let (hit, others): (Vec<_>, Vec<_>) = was
            .iter()
            .cloned()
            .partition(|(version, _)| lost.contains(version));
        let (now, said) = &now.areas[place];
        assert!(*now == others, "{context}: area {place:?}");
        // What may lie in the area is said to be lost as well.
        assert!(
            *said >= hit.len() && *said <= lost.len(),
            "{context}: area {place:?}, {said}"
        );
        if place.1 == 9 {
            assert_eq!(*said, hit.len(), "{context}: everywhere");
        }
    }
}

struct Whole {
    root: tempfile::TempDir,
    store: PathBuf,
    commits: u64,
    answers: Answers,
    frames: BTreeMap<u64, Frame>,
    records: BTreeMap<Version, Record>,
    /// The table files, and which table each is of.
    tables: Vec<(PathBuf, &'static str)>,
}

fn verify(store: &Path) -> Verification {
    builder().verify(store, Depth::Full, &|_| ()).unwrap()
}

fn repair(store: &Path) -> Repair {
    builder().repair(store, true, "admin", &|_| ()).unwrap()
}

fn whole() -> Whole {
    let root = tempfile::tempdir().unwrap();
    let store = root.path().join("store");
    let net = builder().create(&store, NetSpec::city()).unwrap();
    fill(&net);
    net.close().unwrap();
    let found = verify(&store);
    assert!(
        found.is_clean() && found.versions > 3000,
        "{}",
        found.versions
    );
    let net = builder().open_read_only(&store).unwrap();
    let answers = answers(&net, found.commits);
    let view = net.view(AsOf::Newest, day(0)).unwrap();
    let mut records = BTreeMap::new();
    for id in answers.histories.keys() {
        let history = view.history(LayerId::MAIN, id).unwrap();
        records.extend(history.into_iter().map(|record| (record.version, record)));
    }
    drop(view);
    drop(net);
    let recovery = Recovery::scan(Arc::new(FileEnv), &store.join("journal")).unwrap();
    let frames = recovery.frames(1).unwrap().map(Result::unwrap);
    let frames = frames.map(|frame| (frame.seq, frame)).collect();
    let mut whole = Whole {
        root,
        store,
        commits: found.commits,
        answers,
        frames,
        records,
        tables: Vec::new(),
    };
    let mut tables = Vec::new();
    for file in whole.table_files() {
        whole.with(
            &file,
            |bytes| bytes[20] ^= 0x10,
            |hit| tables.push((file.clone(), hit.table)),
        );
    }
    whole.tables = tables;
    whole
}

/// A table file with damage, and what hangs on it.
struct Hit {
    /// The table that cannot be read, empty where all can.
    table: &'static str,
    findings: Vec<Finding>,
    bytes: Vec<u8>,
}

impl Whole {
    fn copy(&self) -> PathBuf {
        let copy = self.root.path().join("copy");
        if copy.exists() {
            fs::remove_dir_all(&copy).unwrap();
        }
        copy_dir(&self.store, &copy);
        copy
    }

    fn table_files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.store.join("tables")).unwrap();
        let files = entries.map(|entry| Path::new("tables").join(entry.unwrap().file_name()));
        let mut files: Vec<_> = files
            .filter(|file| file.extension().is_some_and(|end| end == "sst"))
            .collect();
        files.sort();
        files
    }

    /// What a verification finds after this change to a file of a store that is whole otherwise.
    fn with(&self, file: &Path, change: impl Fn(&mut [u8]), then: impl FnOnce(Hit)) {
        let (path, whole) = (self.alone().join(file), self.store.join(file));
        if !self.alone().exists() {
            copy_dir(&self.store, &self.alone());
        }
        let mut bytes = fs::read(&whole).unwrap();
        change(&mut bytes);
        fs::write(&path, &bytes).unwrap();
        let findings = verify(&self.alone()).findings;
        let unread = findings
            .iter()
            .find(|finding| finding.code == Code::TableUnreadable);
        let table = unread.and_then(|finding| finding.table).unwrap_or_default();
        then(Hit {
            table,
            findings,
            bytes,
        });
        fs::copy(whole, path).unwrap();
    }

    /// Damages a random block of one of these tables that `fits`, and hands on what hangs on it.
    fn hit<T>(
        &self,
        rng: &mut Rng,
        copy: &Path,
        tables: &[&str],
        take: impl Fn(&Hit) -> Option<T>,
    ) -> T {
        let files: Vec<&PathBuf> = self
            .tables
            .iter()
            .filter(|(_, table)| tables.contains(table))
            .map(|(file, _)| file)
            .collect();
        let mut taken = None;
        for _ in 0..100 {
            let file = files[rng.index(files.len())];
            let len = fs::metadata(self.store.join(file)).unwrap().len();
            let at = rng.index(usize::try_from(len).unwrap());
            self.with(
                file,
                |bytes| bytes[at] ^= 0x10,
                |hit| {
                    taken = take(&hit).filter(|_| tables.contains(&hit.table));
                    if taken.is_some() {
                        fs::write(copy.join(file), &hit.bytes).unwrap();
                    }
                },
            );
            if let Some(taken) = taken {
                return taken;
            }
        }
        panic!("no block of {tables:?} was hit");
    }

    fn segment(&self, commit: u64) -> PathBuf {
        let segment = self.frames[&commit].position.segment;
        Path::new("journal").join(format!("{segment:016}.wal"))
    }

    /// Where bytes stand in the frame of a commit.
    fn find(&self, commit: u64, pattern: &[u8], nth: usize) -> usize {
        let bytes = fs::read(self.store.join(self.segment(commit))).unwrap();
        let position = self.frames[&commit].position;
        let start = usize::try_from(position.offset_bytes).unwrap();
        let len = usize::try_from(position.len_bytes).unwrap();
        let windows = bytes[start..start + len].windows(pattern.len()).enumerate();
        let mut found = windows.filter(|(_, window)| *window == pattern);
        start + found.nth(nth).unwrap().0
    }

    /// The versions whose rows cannot be read in the store that was damaged alone. What `verify` names
    /// are more: it reads in order, and a damaged block can hide rows of other files from that.
    fn missing(&self, hit: &Hit) -> Vec<Version> {
        let rows = hit.findings.iter().filter(|finding| {
            let of_versions = matches!(finding.table, Some("records" | "history"));
            finding.code == Code::RowMissing && of_versions
        });
        let named: BTreeSet<Version> = rows.filter_map(|finding| finding.version).collect();
        let net = builder().open_read_only(self.alone()).unwrap();
        let unread = named.into_iter().filter(|version| {
            let (record, commit) = (&self.records[version], version.commit);
            let view = net.view(AsOf::Newest, record.valid.from).unwrap();
            let own = view.steps(LayerId::MAIN, &record.id, commit - 1, commit);
            own.is_err()
        });
        unread.collect()
    }

    fn alone(&self) -> PathBuf {
        self.root.path().join("alone")
    }
}

fn flip(file: &Path, at: usize) {
    let mut bytes = fs::read(file).unwrap();
    bytes[at] ^= 0x10;
    fs::write(file, bytes).unwrap();
}

fn named(findings: &[Finding], codes: &[Code]) -> BTreeSet<Version> {
    let named = findings
        .iter()
        .filter(|finding| codes.contains(&finding.code));
    named
        .filter(|finding| finding.remedy == Remedy::Unprovable && finding.entity.is_some())
        .filter_map(|finding| finding.version)
        .collect()
}

fn texts(found: &Verification) -> Vec<String> {
    found.errors().map(ToString::to_string).collect()
}

/// Has a store repaired whose copies both lack these versions, and judges it.
fn check(whole: &Whole, copy: &Path, lost: &BTreeSet<Version>, context: &str) {
    let before = verify(copy);
    assert_eq!(
        named(&before.findings, &[Code::CommitLost]),
        *lost,
        "{context}: {:#?}",
        texts(&before)
    );
    let done = repair(copy);
    let stated: BTreeSet<Version> = done.lost_versions.iter().copied().collect();
    let found = texts(&done.before);
    assert_eq!(
        stated, *lost,
        "{context}: {:?} {:?} {found:#?}",
        done.lost, done.left
    );
    assert!(
        done.lost.is_empty() && done.left.is_empty(),
        "{context}: {done:#?}"
    );
    assert_eq!(done.commit, Some(whole.commits + 1), "{context}");
    let after = done.after.unwrap();
    let codes = [Code::VersionLost, Code::PayloadLost];
    assert_eq!(named(&after.findings, &codes), *lost, "{context}");
    let errors: Vec<_> = after.errors().map(ToString::to_string).collect();
    assert_eq!(
        errors.len(),
        lost.len(),
        "{context}: nothing else: {errors:#?}"
    );

    let strip = |mut files: BTreeMap<PathBuf, Vec<u8>>| {
        files.remove(&copy.join("LOCK"));
        files
    };
    let repaired = strip(contents(copy));
    let again = repair(copy);
    assert!(
        again.steps.is_empty() && again.commit.is_none(),
        "{context}: {again:#?}"
    );
    assert_eq!(again.lost_versions, done.lost_versions, "{context}");
    assert_eq!(again.before.findings, after.findings, "{context}");
    assert!(
        strip(contents(copy)) == repaired,
        "{context}: the second run wrote"
    );

    let net = builder().open(copy).unwrap();
    judge(&whole.answers, &answers(&net, whole.commits), lost, context);
    net.close().unwrap();
}

fn seed() -> u64 {
    let text = std::env::var("BLOCKNET_SEED").ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(1)
}

impl Whole {
    /// Damages blocks of tables that follow from others, but no track of these entities.
    fn hit_others(&self, rng: &mut Rng, copy: &Path, lost: &BTreeSet<Version>) {
        let ids: BTreeSet<&str> = lost
            .iter()
            .map(|version| &*self.records[version].id)
            .collect();
        for table in ["zones", "tracks", "moments", "links"] {
            self.hit(rng, copy, &[table], |hit| {
                let is_other = hit.findings.iter().all(|finding| {
                    let entity = finding.entity.as_ref();
                    entity.is_none_or(|(_, id)| !ids.contains(&**id))
                });
                (table != "tracks" || is_other).then_some(())
            });
        }
    }

    /// Damages a block with rows of versions; hands on which these are, and one with a payload.
    fn pick(&self, rng: &mut Rng, copy: &Path) -> (Vec<Version>, &Record) {
        let missing = self.hit(rng, copy, &["records", "history"], |hit| {
            let missing = self.missing(hit);
            let full = |version: &Version| !self.records[version].payload.is_empty();
            missing.iter().any(full).then_some(missing)
        });
        loop {
            let record = &self.records[&missing[rng.index(missing.len())]];
            if !record.payload.is_empty() {
                return (missing, record);
            }
        }
    }
}

#[test]
fn a_payload_that_both_copies_lost_is_named_and_the_rest_answers_as_before() {
    let (whole, mut rng) = (whole(), Rng(seed()));
    println!("BLOCKNET_SEED={}", seed());
    for round in 0..4 {
        let copy = whole.copy();
        let (missing, record) = whole.pick(&mut rng, &copy);
        let version = record.version;
        let at = whole.find(version.commit, &record.payload, 0) + rng.index(record.payload.len());
        flip(&copy.join(whole.segment(version.commit)), at);
        let lost = BTreeSet::from([version]);
        if round % 2 == 1 {
            whole.hit_others(&mut rng, &copy, &lost);
        }
        let context = format!("round {round}, {version} of {}, byte {at}", missing.len());
        check(&whole, &copy, &lost, &context);

        // All but the payload is there: what does not ask for it is answered.
        let net = builder().open(&copy).unwrap();
        read_without_payload(&net, record, &context);
        state_again(&net, record, &context);
        net.close().unwrap();
        let found = verify(&copy);
        assert_eq!(found.errors().count(), 1, "{context}: {:#?}", texts(&found));
    }
}

#[test]
fn a_version_that_both_copies_lost_is_named_and_the_rest_answers_as_before() {
    let (whole, mut rng) = (whole(), Rng(seed()));
    println!("BLOCKNET_SEED={}", seed());
    for round in 0..6 {
        let copy = whole.copy();
        let (missing, record) = whole.pick(&mut rng, &copy);
        let version = record.version;
        let history = whole.answers.histories[&record.id].as_ref().unwrap();
        let before = history
            .iter()
            .filter(|(other, _)| other.commit == version.commit && other.index < version.index);
        // The id, then ordinal, flags, kind, interval, place and extent.
        let header = whole.find(version.commit, record.id.as_bytes(), before.count());
        let at = header + rng.index(record.id.len() + 70);
        flip(&copy.join(whole.segment(version.commit)), at);
        let lost = BTreeSet::from([version]);
        if round % 2 == 1 {
            whole.hit_others(&mut rng, &copy, &lost);
        }
        let context = format!(
            "round {round}, {version} of {}, byte {}",
            missing.len(),
            at - header
        );
        check(&whole, &copy, &lost, &context);
        let net = builder().open(&copy).unwrap();
        state_again(&net, record, &context);
        net.close().unwrap();
        let found = verify(&copy);
        assert_eq!(texts(&found).len(), 1, "{context}: {:#?}", texts(&found));
    }
}

#[test]
fn the_versions_of_a_destroyed_frame_come_from_the_tables_as_far_as_these_can_be_read() {
    let (whole, mut rng) = (whole(), Rng(seed()));
    println!("BLOCKNET_SEED={}", seed());
    for round in 0..4 {
        let copy = whole.copy();
        let (missing, record) = whole.pick(&mut rng, &copy);
        let commit = record.version.commit;
        let of_commit = |version: &Version| version.commit == commit;
        let mut lost: BTreeSet<Version> = missing.into_iter().filter(of_commit).collect();
        if round >= 2 {
            lost.extend(whole.ruin(&copy).into_iter().filter(of_commit));
        }
        whole.destroy(&copy, commit, round % 2 == 0);
        if round % 2 == 1 {
            whole.hit_others(&mut rng, &copy, &lost);
        }
        let context = format!(
            "round {round}, commit {commit}, {} versions lost",
            lost.len()
        );
        println!("{context}");
        check(&whole, &copy, &lost, &context);
    }
}

/// The states between the steps of a repair: the segment is written anew and the old tables still
/// stand; they are in quarantine, and nothing or half of the new ones has their place; the new ones
/// stand, and no commit says so.
#[test]
fn a_repair_killed_between_its_steps_is_finished_by_the_next() {
    let (whole, mut rng) = (whole(), Rng(seed()));
    println!("BLOCKNET_SEED={}", seed());
    let damaged = whole.copy();
    let (_, record) = whole.pick(&mut rng, &damaged);
    let version = record.version;
    let segment = whole.segment(version.commit);
    let at = whole.find(version.commit, &record.payload, 0);
    flip(&damaged.join(&segment), at);
    let done = whole.root.path().join("done");
    copy_dir(&damaged, &done);
    assert_eq!(repair(&done).lost_versions, [version]);
    let state = whole.root.path().join("state");
    for (step, tables) in [Some(&damaged), None, None, Some(&done)]
        .into_iter()
        .enumerate()
    {
        if state.exists() {
            fs::remove_dir_all(&state).unwrap();
        }
        copy_dir(&damaged, &state);
        fs::copy(done.join(&segment), state.join(&segment)).unwrap();
        fs::remove_dir_all(state.join("tables")).unwrap();
        if let Some(tables) = tables {
            copy_dir(&tables.join("tables"), &state.join("tables"));
        }
        if step == 2 {
            copy_dir(&done.join("tables"), &state.join("tables.new"));
            fs::remove_file(state.join("tables.new/CURRENT")).unwrap();
        }
        let again = repair(&state);
        let context = format!("step {step}: {again:#?}");
        assert_eq!(again.lost_versions, [version], "{context}");
        assert!(again.lost.is_empty() && again.left.is_empty(), "{context}");
        let after = again.after.as_ref().unwrap_or(&again.before);
        assert_eq!(texts(after).len(), 1, "{context}");
        assert!(repair(&state).steps.is_empty(), "{context}");
        let net = builder().open(&state).unwrap();
        let lost = BTreeSet::from([version]);
        judge(
            &whole.answers,
            &answers(&net, whole.commits),
            &lost,
            &format!("step {step}"),
        );
        drop(net);
        if step == 0 {
            // A copy has what the store has, and lacks what it lacks.
            let (backup, restored) = (
                whole.root.path().join("backup"),
                whole.root.path().join("restored"),
            );
            builder()
                .backup(&state, &backup, TableFiles::Copied, &|_| ())
                .unwrap();
            builder()
                .restore(&backup, &restored, Until::Newest, &|_| ())
                .unwrap();
            let net = builder().open_read_only(&restored).unwrap();
            judge(
                &whole.answers,
                &answers(&net, whole.commits),
                &lost,
                "restored",
            );
        }
    }
}

impl Whole {
    /// Overwrites what a frame holds, and its header as well.
    fn destroy(&self, copy: &Path, commit: u64, with_header: bool) {
        let file = copy.join(self.segment(commit));
        let position = self.frames[&commit].position;
        let kept = if with_header { 0 } else { FRAME_HEADER_LEN };
        let start = usize::try_from(position.offset_bytes + kept).unwrap();
        let end = usize::try_from(position.offset_bytes + position.len_bytes).unwrap();
        let mut bytes = fs::read(&file).unwrap();
        bytes[start..end].fill(0xaa);
        fs::write(file, bytes).unwrap();
    }

    /// Damages the front half of all files with rows of versions all over; says which are missing then.
    fn ruin(&self, copy: &Path) -> Vec<Version> {
        let mut missing = Vec::new();
        for (file, table) in &self.tables {
            if !["records", "history"].contains(table) {
                continue;
            }
            let change = |bytes: &mut [u8]| {
                let half = bytes.len() / 2;
                for byte in bytes[..half].iter_mut().step_by(256) {
                    *byte ^= 0x10;
                }
            };
            self.with(file, change, |hit| {
                missing.extend(self.missing(&hit));
                fs::write(copy.join(file), &hit.bytes).unwrap();
            });
        }
        missing
    }
}

/// What a store still says of a version without its payload.
fn read_without_payload(net: &Net, record: &Record, context: &str) {
    let version = record.version;
    let view = net
        .view(AsOf::Commit(version.commit), record.valid.from)
        .unwrap();
    let ranges = view.ranges_of(&blocknet::geocode::Cell::ROOT).unwrap();
    let scan = view.scan(ranges, None, |_| true).without_payloads();
    let found = scan
        .map(Result::unwrap)
        .find(|found| found.version == version)
        .unwrap();
    assert_eq!(found.extent, record.extent, "{context}");
}

/// A lost version is stated anew: that is written, and takes its place.
fn state_again(net: &Net, record: &Record, context: &str) {
    let extent = record.extent.unwrap();
    let again = Assertion::state(LayerId::MAIN, &*record.id, extent, record.payload.clone())
        .valid(Valid::from(record.valid.from));
    let receipt = net.commit(&Commit::new("test", vec![again])).unwrap();
    let view = net.view(AsOf::Newest, record.valid.from).unwrap();
    let now = view.get(LayerId::MAIN, &record.id).unwrap().unwrap();
    assert_eq!(
        (now.version.commit, &now.payload),
        (receipt.commit.unwrap(), &record.payload),
        "{context}"
    );
}
