//! Damage to RocksDB's files: the net opens and answers the same, or refuses with a typed error.
//! Never fewer records without an error, also when opened for reading, and after an unclean stop.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use blocknet::geocode::NetSpec;
use blocknet::query::{Selection, search};
use blocknet::{
    AsOf, Assertion, Commit, ErrorKind, Extent, LayerId, Moment, Net, NetBuilder, Result, Settings,
    Valid,
};

const ENTITIES: i64 = 300;

fn day(day: i64) -> Moment {
    Moment::from_micros((10_957 + day) * 86_400_000_000)
}

/// Small write buffers, so that there are several table files.
fn builder() -> NetBuilder {
    Net::builder().settings(Settings {
        write_buffer_len_bytes: 256 << 10,
        ..Settings::default()
    })
}

/// A net in which every entity has three states and every fifth was removed.
pub(crate) fn fill(net: &Net) {
    for round in 0..4 {
        let mut assertions = Vec::new();
        for n in 0..ENTITIES {
            let west = 6.1 + 0.0005 * f64::from(u16::try_from(n).unwrap() % 20);
            let south = 52.0 + 0.0005 * f64::from(u16::try_from(n).unwrap() / 20);
            let extent = Extent::flat(west, south, west + 0.0001, south + 0.0001);
            let valid = Valid::from(day(round * 100 + n % 7));
            let id = format!("{n:05}");
            if round < 3 {
                let payload = format!("{{\"round\":{round},\"fill\":\"{}\"}}", "x".repeat(200));
                assertions.push(Assertion::state(LayerId::MAIN, id, extent, payload).valid(valid));
            } else if n % 5 == 0 {
                assertions.push(Assertion::absence(LayerId::MAIN, id).valid(valid));
            }
        }
        for part in assertions.chunks(50) {
            net.commit(&Commit::new("test", part.to_vec())).unwrap();
        }
    }
}

pub(crate) type Answers = BTreeMap<(i64, String), Vec<u8>>;

pub(crate) fn answers(net: &Net) -> Result<Answers> {
    let mut answers = Answers::new();
    for t in [-1, 3, 105, 250, 303, 1000] {
        let view = net.view(AsOf::Newest, day(t))?;
        let selection = Selection::default();
        for record in search(&view, &selection)? {
            let record = record?;
            answers.insert((t, record.id), record.payload.to_vec());
        }
    }
    Ok(answers)
}

pub(crate) fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Copies an open store as a killed process would leave it: RocksDB flushes and compacts in the
/// background, so a copy counts only if no file came or went meanwhile.
fn copy_live(from: &Path, to: &Path) {
    let names = || -> BTreeSet<_> {
        let entries = fs::read_dir(from.join("tables")).unwrap();
        entries.map(|entry| entry.unwrap().file_name()).collect()
    };
    loop {
        let before = names();
        let copied = std::panic::catch_unwind(|| copy_dir(from, to));
        if copied.is_ok() && names() == before {
            return;
        }
        fs::remove_dir_all(to).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

/// Every file with its bytes.
pub(crate) fn contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(contents(&path));
        } else {
            let bytes = fs::read(&path).unwrap();
            files.insert(path, bytes);
        }
    }
    files
}

#[derive(Clone, Copy, Debug)]
enum Damage {
    Delete,
    Truncate(f64),
    /// Inverts one byte, so far into the file.
    Flip(f64),
    /// Sets the high bit of one byte at an offset: a length that runs past the end.
    HighBit(usize),
}

impl Damage {
    fn inflict(self, file: &Path) {
        let mut bytes = fs::read(file).unwrap();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a place somewhere in a small file"
        )]
        let at = |share: f64| (bytes.len() as f64 * share) as usize;
        match self {
            Self::Delete => return fs::remove_file(file).unwrap(),
            Self::Truncate(share) => bytes.truncate(at(share)),
            Self::Flip(share) => {
                let at = at(share).min(bytes.len().saturating_sub(1));
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = !*byte;
                }
            }
            Self::HighBit(at) => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 0x80;
                }
            }
        }
        fs::write(file, bytes).unwrap();
    }
}

/// Opens, asks everything, and judges: the right answers, or a typed error.
fn judge(result: Result<Net>, expected: &Answers, context: &str) -> &'static str {
    let outcome = result.and_then(|net| answers(&net).map(|answers| (answers, net)));
    match outcome {
        Ok((found, net)) => {
            assert!(found == *expected, "{context}: wrong answers");
            if net.report().rebuilt.is_some() {
                "rebuilt"
            } else {
                "unharmed"
            }
        }
        Err(error) => {
            assert!(
                matches!(
                    error.kind(),
                    ErrorKind::Corrupt | ErrorKind::Io | ErrorKind::Poisoned
                ),
                "{context}: {error}"
            );
            "refused"
        }
    }
}

#[test]
fn damaged_tables_are_rebuilt_or_refused_and_never_answer_wrong() {
    let root = tempfile::tempdir().unwrap();
    let clean = root.path().join("clean");
    let unclean = root.path().join("unclean");
    let net = builder().create(&clean, NetSpec::city()).unwrap();
    fill(&net);
    let expected = answers(&net).unwrap();
    assert_eq!(expected.keys().filter(|(t, _)| *t == 250).count(), 300);
    assert_eq!(expected.keys().filter(|(t, _)| *t == 1000).count(), 240);
    copy_live(&clean, &unclean);
    net.close().unwrap();

    let mut outcomes: BTreeMap<&str, u32> = BTreeMap::new();
    for (name, store) in [("clean", &clean), ("unclean", &unclean)] {
        let mut files: Vec<_> = fs::read_dir(store.join("tables"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        files.sort();
        // A few of the table files, and every other file.
        let (tables, others): (Vec<_>, Vec<_>) = files
            .into_iter()
            .partition(|file| file.to_string_lossy().ends_with(".sst"));
        let apart = tables.len().div_ceil(5).max(1);
        for file in tables.into_iter().step_by(apart).chain(others) {
            let mut damages = vec![
                Damage::Delete,
                Damage::Truncate(0.0),
                Damage::Truncate(0.5),
                Damage::Truncate(0.95),
                Damage::Flip(0.0),
                Damage::Flip(0.3),
                Damage::Flip(0.7),
                Damage::Flip(0.999),
            ];
            if file.to_string_lossy().starts_with("MANIFEST") {
                damages.extend((0..24).map(|n| Damage::HighBit(n * 7 + 5)));
            }
            for damage in damages {
                let context = format!("{name} store, {}: {damage:?}", file.display());
                let copy = root.path().join("copy");
                copy_dir(store, &copy);
                damage.inflict(&copy.join("tables").join(&file));

                let before = contents(&copy);
                let read = judge(builder().open_read_only(&copy), &expected, &context);
                assert!(
                    contents(&copy) == before,
                    "{context}: reading changed a byte"
                );
                let written = judge(builder().open(&copy), &expected, &context);
                // Whatever the first writable open made of it, the second must be sound.
                judge(builder().open(&copy), &expected, &context);
                *outcomes.entry(read).or_default() += 1;
                *outcomes.entry(written).or_default() += 1;
                fs::remove_dir_all(&copy).unwrap();
            }
        }
    }
    println!("damage to tables: {outcomes:?}");
    assert!(outcomes.contains_key("rebuilt"), "{outcomes:?}");
}

#[test]
fn tables_of_another_net_are_not_answered_from() {
    let root = tempfile::tempdir().unwrap();
    let (one, other) = (root.path().join("one"), root.path().join("other"));
    let net = builder().create(&one, NetSpec::city()).unwrap();
    fill(&net);
    let expected = answers(&net).unwrap();
    net.close().unwrap();
    let net = builder().create(&other, NetSpec::city()).unwrap();
    net.close().unwrap();
    fs::remove_dir_all(one.join("tables")).unwrap();
    copy_dir(&other.join("tables"), &one.join("tables"));
    let net = builder().open(&one).unwrap();
    assert!(
        net.report()
            .rebuilt
            .as_ref()
            .unwrap()
            .contains("not the journal's")
    );
    assert!(net.report().quarantined.as_ref().unwrap().exists());
    assert!(answers(&net).unwrap() == expected);
}

#[test]
fn a_journal_shorter_than_the_tables_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let (store, old) = (root.path().join("store"), root.path().join("old"));
    let net = builder().create(&store, NetSpec::city()).unwrap();
    net.close().unwrap();
    copy_dir(&store.join("journal"), &old);
    let net = builder().open(&store).unwrap();
    fill(&net);
    net.close().unwrap();
    fs::remove_dir_all(store.join("journal")).unwrap();
    fs::rename(&old, store.join("journal")).unwrap();
    for result in [builder().open(&store), builder().open_read_only(&store)] {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Corrupt);
    }
}

#[test]
fn reading_refuses_more_memory_than_allowed_and_says_what_helps() {
    let root = tempfile::tempdir().unwrap();
    let store = root.path().join("store");
    let net = builder().create(&store, NetSpec::city()).unwrap();
    fill(&net);
    net.close().unwrap();
    fs::remove_dir_all(store.join("tables")).unwrap();
    let settings = Settings {
        overlay_len_bytes_max: 10_000,
        ..Settings::default()
    };
    let error = Net::builder()
        .settings(settings)
        .open_read_only(&store)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(
        error
            .to_string()
            .contains("open the store for writing once"),
        "{error}"
    );
    let net = Net::open_read_only(&store).unwrap();
    assert_eq!(net.report().rebuilt.as_deref(), Some("they are missing"));
    assert!(!store.join("tables").exists());
}

#[test]
fn creating_clears_an_unfinished_creation_and_never_tables_that_hold_data() {
    let root = tempfile::tempdir().unwrap();
    let store = root.path().join("store");
    let net = builder().create(&store, NetSpec::city()).unwrap();
    fill(&net);
    net.close().unwrap();
    // The journal lost its segments, or all but the first page of one: the tables are all there is.
    let segment = store.join("journal/0000000000000001.wal");
    let bytes = fs::read(&segment).unwrap();
    fs::write(&segment, &bytes[..4096]).unwrap();
    for emptied in [false, true] {
        if emptied {
            fs::remove_file(&segment).unwrap();
        }
        let before = contents(&store);
        assert!(!Net::is_free(&store).unwrap());
        let error = builder().create(&store, NetSpec::city()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert_eq!(
            builder().open(&store).unwrap_err().kind(),
            ErrorKind::Corrupt
        );
        assert!(contents(&store) == before, "something was changed");
    }

    fs::remove_dir_all(store.join("journal")).unwrap();
    let error = builder().open(&store).unwrap_err();
    assert!(
        error.to_string().contains("restore it from a copy"),
        "{error}"
    );
    assert!(builder().create(&store, NetSpec::city()).is_err());

    // What a creation leaves that was cut off before its first commit.
    let fresh = root.path().join("fresh");
    fs::create_dir_all(fresh.join("journal")).unwrap();
    fs::write(fresh.join("journal/0000000000000001.tmp"), b"half a page").unwrap();
    assert!(Net::is_free(&fresh).unwrap());
    builder().create(&fresh, NetSpec::city()).unwrap();
    assert!(!Net::is_free(&fresh).unwrap());
}
