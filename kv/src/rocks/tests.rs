//! What the conformance suite leaves out: reopening, crashes, missing and damaged files.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::process::Command;

use quickcheck::QuickCheck;
use tempfile::TempDir;

use super::*;
use crate::conformance::{self, Op, SCHEMA};

const TABLES: [Table; 3] = [Table(0), Table(1), Table(2)];
const OPTIONS: RocksOptions = RocksOptions {
    block_cache_bytes: 1 << 20,
    write_buffer_bytes: 1 << 20,
    background_threads: 2,
};

fn create(dir: &Path) -> RocksStore {
    RocksStore::create(dir, SCHEMA, OPTIONS).unwrap()
}

fn open(dir: &Path) -> Result<RocksStore, Error> {
    RocksStore::open(dir, SCHEMA, OPTIONS)
}

fn open_read_only(dir: &Path) -> Result<RocksReader, Error> {
    RocksStore::open_read_only(dir, SCHEMA, OPTIONS)
}

fn kind<T>(result: Result<T, Error>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind())
}

/// The same rows in every table, some of them blobs; `numbers` also go into the values.
fn rows(numbers: std::ops::Range<u32>) -> Batch {
    let mut batch = Batch::new();
    for number in numbers {
        for table in TABLES {
            let len = if number.is_multiple_of(50) { 5_000 } else { 20 };
            let value: Vec<u8> = number
                .to_be_bytes()
                .iter()
                .copied()
                .cycle()
                .zip(0_u8..=250)
                .map(|(a, b)| a ^ b)
                .collect();
            batch.put(
                table,
                number.to_be_bytes(),
                value.repeat(20)[..len].to_vec(),
            );
        }
    }
    batch
}

#[test]
fn cuts_are_even_and_a_sweep_reads_what_a_cursor_reads() {
    let dir = TempDir::new().unwrap();
    let dir = dir.path().join("store");
    let store = create(&dir);
    let mut seed = 7_u64;
    let mut batch = Batch::new();
    for number in 0_u32..20_000 {
        // What does not compress: sizes are those on disk.
        let value: Vec<u8> = (0..40)
            .flat_map(|_| {
                seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                (seed >> 16).to_be_bytes()
            })
            .collect();
        let row_key = [b"all begin alike ".as_slice(), &number.to_be_bytes()].concat();
        batch.put(TABLES[0], row_key[8..].to_vec(), value);
    }
    store.apply(&batch).unwrap();
    store.flush().unwrap();
    drop(store);
    let reader = open_read_only(&dir).unwrap();
    let count = |range: &KeyRange| {
        let (mut swept, mut read) = (
            reader.sweep(TABLES[0], range).unwrap(),
            reader.cursor(TABLES[0], range).unwrap(),
        );
        let mut rows = 0;
        while let Some(entry) = read.entry() {
            assert_eq!(swept.entry(), Some(entry));
            swept.advance().unwrap();
            read.advance().unwrap();
            rows += 1;
        }
        assert_eq!(swept.entry(), None);
        rows
    };
    let cuts = reader.cuts(TABLES[0], 4).unwrap();
    assert_eq!(cuts.len(), 3);
    let mut start = Vec::new();
    for cut in cuts {
        let rows = count(&KeyRange::new(start, cut.clone()));
        assert!((4_000..6_000).contains(&rows), "{rows} rows before {cut:?}");
        start = cut;
    }
    assert!((4_000..6_000).contains(&count(&KeyRange { start, end: None })));
    assert_eq!(reader.cuts(TABLES[1], 4).unwrap(), Vec::<Vec<u8>>::new());
}

type Rows = BTreeMap<(u8, Vec<u8>), Vec<u8>>;

fn read_all(read: &dyn Read) -> Result<Rows, Error> {
    let mut rows = Rows::new();
    for table in TABLES {
        let mut cursor = read.cursor(table, &KeyRange::all())?;
        while let Some((key, value)) = cursor.entry() {
            rows.insert((table.0, key.to_vec()), value.to_vec());
            cursor.advance()?;
        }
    }
    Ok(rows)
}

/// Name, content and time of change of every file.
fn image(dir: &Path) -> BTreeMap<PathBuf, (Vec<u8>, std::time::SystemTime)> {
    fs::read_dir(dir)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let modified = fs::metadata(&path).unwrap().modified().unwrap();
            (path.clone(), (fs::read(&path).unwrap(), modified))
        })
        .collect()
}

fn files(dir: &Path, matches: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let all = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = all
        .filter(|path| matches(path.file_name().unwrap().to_str().unwrap()))
        .collect();
    files.sort();
    files
}

fn has_extension(name: &str, extension: &str) -> bool {
    Path::new(name)
        .extension()
        .is_some_and(|found| found == extension)
}

/// Runs one test of this file again, in a process of its own, with `dir` in a variable.
fn run_child(test: &str, variable: &str, dir: &Path) -> std::process::ExitStatus {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("rocks::tests::{test}")])
        .env(variable, dir)
        .output()
        .unwrap()
        .status
}

#[test]
fn conforms() {
    let dir = TempDir::new().unwrap();
    let made = Cell::new(0);
    conformance::all(&|| {
        made.set(made.get() + 1);
        Box::new(create(&dir.path().join(made.get().to_string())))
    });
}

#[test]
fn equals_the_model() {
    #[expect(
        clippy::needless_pass_by_value,
        reason = "quickcheck hands over what it made"
    )]
    fn property(ops: Vec<Op>) -> Result<(), String> {
        let dir = TempDir::new().map_err(|error| error.to_string())?;
        conformance::model(&create(&dir.path().join("kv")), &ops)
    }
    QuickCheck::new()
        .tests(30)
        .quickcheck(property as fn(Vec<Op>) -> Result<(), String>);
}

#[test]
fn flushed_rows_are_there_after_reopening() {
    let dir = TempDir::new().unwrap();
    let dir = dir.path().join("kv");
    let store = create(&dir);
    assert_eq!(
        fs::metadata(&dir).unwrap().permissions().mode() & 0o777,
        0o700
    );
    store.apply(&rows(0..200)).unwrap();
    store.flush().unwrap();
    let expected = read_all(&store).unwrap();
    assert_eq!(expected.len(), 600);
    drop(store);
    assert_eq!(read_all(&open(&dir).unwrap()).unwrap(), expected);
    let reader = open_read_only(&dir).unwrap();
    assert_eq!(read_all(&reader).unwrap(), expected);
    assert_eq!(
        reader.last(Table(1), &KeyRange::all()).unwrap().unwrap().0,
        199_u32.to_be_bytes()[..]
    );
    assert!(reader.disk_bytes().unwrap() > 10_000);
}

#[test]
fn small_write_buffers_lose_nothing() {
    let dir = TempDir::new().unwrap();
    let dir = dir.path().join("kv");
    let options = RocksOptions {
        write_buffer_bytes: 64 << 10,
        ..OPTIONS
    };
    let store = RocksStore::create(&dir, SCHEMA, options).unwrap();
    for i in 0..100 {
        store.apply(&rows(i * 50..i * 50 + 50)).unwrap();
    }
    let expected = read_all(&store).unwrap();
    assert_eq!(expected.len(), 15_000);
    assert!(
        !files(&dir, |name| has_extension(name, "sst")).is_empty(),
        "flushes in the background"
    );
    store.flush().unwrap();
    drop(store);
    assert_eq!(read_all(&open(&dir).unwrap()).unwrap(), expected);
}

/// Run by the next test in a process of its own: flushes 1,000 batches, applies as many more, each
/// across all tables, and dies without a chance to close anything.
#[test]
fn crash_child() {
    let Some(dir) = std::env::var_os("BLOCKNET_KV_CRASH_DIR") else {
        return;
    };
    let options = RocksOptions {
        write_buffer_bytes: 64 << 10,
        ..OPTIONS
    };
    let store = RocksStore::create(Path::new(&dir), SCHEMA, options).unwrap();
    for number in 0..2_000 {
        store.apply(&rows(number..number + 1)).unwrap();
        if number == 999 {
            store.flush().unwrap();
        }
    }
    std::process::abort();
}

#[test]
fn crash_leaves_whole_batches_up_to_some_point_after_the_flush() {
    let dir = TempDir::new().unwrap();
    let dir = dir.path().join("kv");
    let status = run_child("crash_child", "BLOCKNET_KV_CRASH_DIR", &dir);
    assert!(!status.success());

    let reader = open_read_only(&dir).unwrap();
    let survivors = read_all(&reader).unwrap();
    drop(reader);
    let count = survivors.len() / TABLES.len();
    assert!((1_000..=2_000).contains(&count), "{count} batches survived");
    // The first batches, in all tables alike.
    for table in TABLES {
        let keys = survivors
            .keys()
            .filter(|(at, _)| *at == table.0)
            .map(|(_, key)| key.clone());
        let expected = (0..u32::try_from(count).unwrap()).map(|key| key.to_be_bytes().to_vec());
        assert!(
            keys.eq(expected),
            "table {} does not hold the first {count} batches",
            table.0
        );
    }
    assert_eq!(read_all(&open(&dir).unwrap()).unwrap(), survivors);
}

#[test]
fn open_of_nothing_fails_and_makes_nothing() {
    let dir = TempDir::new().unwrap();
    let absent = dir.path().join("absent");
    assert_eq!(kind(open(&absent)), Some(ErrorKind::NotFound));
    assert_eq!(kind(open_read_only(&absent)), Some(ErrorKind::NotFound));
    assert!(!absent.exists());

    fs::create_dir(&absent).unwrap();
    assert_eq!(kind(open(&absent)), Some(ErrorKind::NotFound));
    assert_eq!(kind(open_read_only(&absent)), Some(ErrorKind::NotFound));
    assert!(image(&absent).is_empty());

    fs::write(absent.join("note"), "not a store").unwrap();
    assert_eq!(kind(open(&absent)), Some(ErrorKind::Corrupt));
    assert_eq!(image(&absent).len(), 1);
}

#[test]
fn create_refuses_what_is_there() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("kv");
    fs::create_dir(&path).unwrap();
    drop(create(&path));
    let before = image(&path);
    assert_eq!(
        kind(RocksStore::create(&path, SCHEMA, OPTIONS)),
        Some(ErrorKind::Invalid)
    );
    assert_eq!(image(&path), before);
    let orphan = dir.path().join("absent").join("kv");
    assert_eq!(
        kind(RocksStore::create(&orphan, SCHEMA, OPTIONS)),
        Some(ErrorKind::Io)
    );
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    assert_eq!(
        kind(RocksStore::create(&file, SCHEMA, OPTIONS)),
        Some(ErrorKind::Io)
    );
}

#[test]
fn odd_options_and_schemas_are_refused() {
    const TWICE: &[TableSpec] = &[SCHEMA[0], SCHEMA[0]];
    const NUL: &[TableSpec] = &[TableSpec {
        name: "a\0b",
        cold: false,
        point_reads: false,
        runs: true,
        blobs: false,
    }];
    let dir = TempDir::new().unwrap();
    let dir = dir.path().join("kv");
    for schema in [TWICE, NUL, &[]] {
        assert_eq!(
            kind(RocksStore::create(&dir, schema, OPTIONS)),
            Some(ErrorKind::Invalid)
        );
    }
    for options in [
        RocksOptions {
            write_buffer_bytes: 1,
            ..OPTIONS
        },
        RocksOptions {
            background_threads: 0,
            ..OPTIONS
        },
    ] {
        assert_eq!(
            kind(RocksStore::create(&dir, SCHEMA, options)),
            Some(ErrorKind::Invalid)
        );
    }
    assert!(!dir.exists());
}

#[test]
fn tables_of_another_schema_are_refused() {
    const MORE: &[TableSpec] = &[
        SCHEMA[0],
        SCHEMA[1],
        SCHEMA[2],
        TableSpec {
            name: "delta",
            cold: false,
            point_reads: false,
            runs: true,
            blobs: false,
        },
    ];
    const FEWER: &[TableSpec] = &[SCHEMA[0], SCHEMA[1]];
    let dir = TempDir::new().unwrap();
    let dir = dir.path().join("kv");
    drop(create(&dir));
    // A table that is not there looks the same as a manifest that lost it.
    assert_eq!(
        kind(RocksStore::open(&dir, MORE, OPTIONS)),
        Some(ErrorKind::Corrupt)
    );
    assert_eq!(
        kind(RocksStore::open_read_only(&dir, MORE, OPTIONS)),
        Some(ErrorKind::Corrupt)
    );
    assert_eq!(
        kind(RocksStore::open(&dir, FEWER, OPTIONS)),
        Some(ErrorKind::Invalid)
    );
    open(&dir).unwrap();
}

/// Run by the next test in a process of its own.
#[test]
fn second_writer_child() {
    let Some(dir) = std::env::var_os("BLOCKNET_KV_LOCKED_DIR") else {
        return;
    };
    assert_eq!(kind(open(Path::new(&dir))), Some(ErrorKind::Unavailable));
}

#[test]
fn second_writer_is_told_to_wait() {
    let dir = TempDir::new().unwrap();
    let dir = dir.path().join("kv");
    let _first = create(&dir);
    assert_eq!(kind(open(&dir)), Some(ErrorKind::Unavailable));
    let status = run_child("second_writer_child", "BLOCKNET_KV_LOCKED_DIR", &dir);
    assert!(status.success());
}

#[test]
fn words_in_a_path_do_not_change_the_kind() {
    let full = "IO error: No space left on device: /blocknet/lock: Column families not opened";
    assert_eq!(kind_of(&rocksdb::ErrorKind::IOError, full), ErrorKind::Io);
}

#[test]
fn reading_only_changes_no_byte() {
    let dir = TempDir::new().unwrap();
    let dir = dir.path().join("kv");
    let store = create(&dir);
    store.apply(&rows(0..200)).unwrap();
    store.flush().unwrap();
    let expected = read_all(&store).unwrap();
    drop(store);

    let before = image(&dir);
    let readers = [open_read_only(&dir).unwrap(), open_read_only(&dir).unwrap()];
    for reader in &readers {
        assert_eq!(read_all(reader).unwrap(), expected);
        for ((table, key), value) in &expected {
            let got = reader.get(Table(*table), key).unwrap();
            assert_eq!(got.as_deref(), Some(value.as_slice()));
        }
    }
    drop(readers);
    assert_eq!(image(&dir), before);
}

#[test]
fn missing_files_are_corruption_and_putting_them_back_heals() {
    let dir = TempDir::new().unwrap();
    let dir = dir.path().join("kv");
    let store = create(&dir);
    store.apply(&rows(0..200)).unwrap();
    store.flush().unwrap();
    let expected = read_all(&store).unwrap();
    drop(store);

    let vital = files(&dir, |name| {
        name == "CURRENT"
            || name.starts_with("MANIFEST")
            || has_extension(name, "sst")
            || has_extension(name, "blob")
    });
    assert!(vital.len() >= 7, "{vital:?}");
    let aside = dir.with_extension("aside");
    for file in vital {
        // A healing open may have replaced it by a later one.
        if !file.exists() {
            continue;
        }
        fs::rename(&file, &aside).unwrap();
        let read_only = open_read_only(&dir).and_then(|reader| read_all(&reader));
        assert_eq!(
            kind(read_only),
            Some(ErrorKind::Corrupt),
            "{}",
            file.display()
        );
        // Twice: RocksDB loses everything only at the second open.
        for _ in 0..2 {
            let opened = open(&dir).and_then(|store| read_all(&store));
            assert_eq!(kind(opened), Some(ErrorKind::Corrupt), "{}", file.display());
        }
        fs::rename(&aside, &file).unwrap();
        assert_eq!(
            read_all(&open(&dir).unwrap()).unwrap(),
            expected,
            "{}",
            file.display()
        );
    }
}

#[test]
fn current_that_names_no_manifest_is_corruption() {
    let dir = TempDir::new().unwrap();
    let dir = dir.path().join("kv");
    drop(create(&dir));
    let current = dir.join("CURRENT");
    let good = fs::read(&current).unwrap();
    let long = [b"MANIFEST-".as_slice(), &[b'0'; 100], b"\n"].concat();
    for bad in [
        &b""[..],
        b"MANIFEST-",
        b"MANIFEST-\n",
        b"MANIFEST-999999\n",
        b"MANIFEST-../x\n",
        &good[..5],
        &long,
    ] {
        fs::write(&current, bad).unwrap();
        assert_eq!(kind(open(&dir)), Some(ErrorKind::Corrupt), "{bad:?}");
        assert_eq!(
            kind(open_read_only(&dir)),
            Some(ErrorKind::Corrupt),
            "{bad:?}"
        );
    }
    fs::write(&current, &good).unwrap();
    open(&dir).unwrap();
}

#[test]
fn every_flipped_bit_and_every_cut_in_the_manifest_is_found() {
    let dir = TempDir::new().unwrap();
    let dir = dir.path().join("kv");
    let store = create(&dir);
    store.apply(&rows(0..200)).unwrap();
    store.flush().unwrap();
    let expected = read_all(&store).unwrap();
    drop(store);

    let manifest = files(&dir, |name| name.starts_with("MANIFEST"))
        .pop()
        .unwrap();
    let good = fs::read(&manifest).unwrap();
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut bad = good.clone();
            bad[at] ^= 1 << bit;
            fs::write(&manifest, bad).unwrap();
            let place = format!("byte {at} bit {bit}");
            assert_eq!(
                kind(open_read_only(&dir)),
                Some(ErrorKind::Corrupt),
                "{place}"
            );
            assert_eq!(kind(open(&dir)), Some(ErrorKind::Corrupt), "{place}");
        }
    }
    // A cut between two records cannot be told from an older manifest, nor can RocksDB tell:
    // there the rows may be fewer, but not other ones.
    let mut whole = 0;
    for len in 0..good.len() {
        fs::write(&manifest, &good[..len]).unwrap();
        match open_read_only(&dir).and_then(|reader| read_all(&reader)) {
            Ok(rows) => {
                assert!(rows == expected || rows.is_empty(), "cut at {len}");
                whole += 1;
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt, "cut at {len}: {error}"),
        }
    }
    assert!(whole < 10, "{whole} of {} cuts passed", good.len());
    fs::write(&manifest, &good).unwrap();
    assert_eq!(read_all(&open(&dir).unwrap()).unwrap(), expected);
}

#[test]
fn records_in_the_log_are_not_replayed() {
    let dir = TempDir::new().unwrap();
    let dir = dir.path().join("kv");
    drop(create(&dir));
    let logs = files(&dir, |name| has_extension(name, "log"));
    assert!(!logs.is_empty());
    fs::write(&logs[0], "foreign").unwrap();
    assert_eq!(kind(open(&dir)), Some(ErrorKind::Corrupt));
    assert_eq!(kind(open_read_only(&dir)), Some(ErrorKind::Corrupt));
    fs::write(&logs[0], "").unwrap();
    open(&dir).unwrap();
}

#[test]
fn flipped_bit_in_a_table_file_is_found_or_harmless() {
    let dir = TempDir::new().unwrap();
    let dir = dir.path().join("kv");
    let store = create(&dir);
    store.apply(&rows(0..200)).unwrap();
    store.flush().unwrap();
    let expected = read_all(&store).unwrap();
    drop(store);

    // Opening for reading changes nothing, so one directory serves all flips. Each way of
    // reading has to find the damage by itself.
    let scan = || read_all(&open_read_only(&dir)?);
    let get = || -> Result<Rows, Error> {
        let reader = open_read_only(&dir)?;
        let mut rows = Rows::new();
        for (table, key) in expected.keys() {
            let value = reader
                .get(Table(*table), key)?
                .map(Vec::from)
                .unwrap_or_default();
            rows.insert((*table, key.clone()), value);
        }
        Ok(rows)
    };
    let multi_get = || -> Result<Rows, Error> {
        let reader = open_read_only(&dir)?;
        let mut rows = Rows::new();
        for table in TABLES {
            let keys: Vec<_> = expected.keys().filter(|(at, _)| *at == table.0).collect();
            let slices: Vec<&[u8]> = keys.iter().map(|(_, key)| key.as_slice()).collect();
            let values = reader.multi_get(table, &slices)?.into_iter();
            rows.extend(
                keys.into_iter()
                    .cloned()
                    .zip(values.map(|v| v.unwrap_or_default().into())),
            );
        }
        Ok(rows)
    };
    let backwards = || -> Result<Rows, Error> {
        let reader = open_read_only(&dir)?;
        let mut rows = Rows::new();
        for table in TABLES {
            let mut range = KeyRange::all();
            while let Some((key, value)) = reader.last(table, &range)? {
                range.end = Some(key.to_vec());
                rows.insert((table.0, key.into()), value.into());
            }
        }
        Ok(rows)
    };
    let ways: [&dyn Fn() -> Result<Rows, Error>; 4] = [&scan, &get, &multi_get, &backwards];
    let data = files(&dir, |name| {
        has_extension(name, "sst") || has_extension(name, "blob")
    });
    let (mut found, mut harmless) = (0, 0);
    for file in data {
        let good = fs::read(&file).unwrap();
        // Every part of the file; the step has no factor in common with any block size.
        for at in (0..good.len()).step_by((good.len() / 61).max(1)) {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            fs::write(&file, bad).unwrap();
            for (way, read) in ways.iter().enumerate() {
                match read() {
                    Ok(rows) => {
                        assert!(rows == expected, "{} byte {at} way {way}", file.display());
                        harmless += 1;
                    }
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::Corrupt, "byte {at}: {error}");
                        assert!(error.path().is_some());
                        found += 1;
                    }
                }
            }
        }
        fs::write(&file, good).unwrap();
    }
    assert!(found > harmless, "{found} flips found, {harmless} harmless");
    for read in ways {
        assert_eq!(read().unwrap(), expected);
    }
}

#[test]
fn failed_flush_poisons_the_store_and_keeps_what_was_durable() {
    let dir = TempDir::new().unwrap();
    let (dir, away) = (dir.path().join("kv"), dir.path().join("away"));
    let store = create(&dir);
    store.apply(&rows(0..100)).unwrap();
    store.flush().unwrap();
    let expected = read_all(&store).unwrap();

    store.apply(&rows(100..200)).unwrap();
    fs::rename(&dir, &away).unwrap();
    assert!(store.flush().is_err());
    fs::rename(&away, &dir).unwrap();
    // The cause is gone, yet nothing is taken any more; reads go on.
    assert_eq!(
        kind(store.apply(&rows(200..201))),
        Some(ErrorKind::Poisoned)
    );
    assert_eq!(kind(store.flush()), Some(ErrorKind::Poisoned));
    assert!(
        store
            .get(Table(0), &150_u32.to_be_bytes())
            .unwrap()
            .is_some()
    );
    drop(store);
    assert_eq!(read_all(&open_read_only(&dir).unwrap()).unwrap(), expected);
}

#[test]
fn failure_in_the_background_stops_later_writes() {
    let dir = TempDir::new().unwrap();
    let (dir, away) = (dir.path().join("kv"), dir.path().join("away"));
    let options = RocksOptions {
        write_buffer_bytes: 64 << 10,
        ..OPTIONS
    };
    let store = RocksStore::create(&dir, SCHEMA, options).unwrap();
    fs::rename(&dir, &away).unwrap();
    // More than all buffers hold: a flush has to be tried, and RocksDB to wait for its end.
    let refused = (0..10_000)
        .map(|i| store.apply(&rows(i * 10..i * 10 + 10)))
        .find_map(Result::err);
    let refused = refused.expect("the failed flush did not show");
    assert!(matches!(
        refused.kind(),
        ErrorKind::Poisoned | ErrorKind::Io | ErrorKind::Corrupt
    ));
    assert_eq!(kind(store.apply(&rows(0..1))), Some(ErrorKind::Poisoned));
    drop(store);
    fs::rename(&away, &dir).unwrap();
    assert!(read_all(&open(&dir).unwrap()).unwrap().is_empty());
}

#[test]
fn what_was_overwritten_or_deleted_is_in_no_file_after_a_purge() {
    let dir = TempDir::new().unwrap();
    let dir = dir.path().join("kv");
    let store = create(&dir);
    let table = TABLES[0];
    let key = |number: u32| number.to_be_bytes().to_vec();
    // Values of letters without a pattern, which LZ4 writes out as they are.
    let value = |seed: u64| -> Vec<u8> {
        let mut state = seed;
        (0..200)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                b'a' + u8::try_from((state >> 33) % 26).unwrap()
            })
            .collect()
    };
    for round in 0..3_u64 {
        let mut batch = Batch::new();
        for number in 0..50_u32 {
            batch.put(table, key(number), value(round * 1000 + u64::from(number)));
        }
        store.apply(&batch).unwrap();
        store.flush().unwrap();
    }
    let has = |wanted: &[u8]| {
        fs::read_dir(&dir).unwrap().any(|entry| {
            let bytes = fs::read(entry.unwrap().path()).unwrap();
            bytes.windows(40).any(|part| part == &wanted[20..60])
        })
    };
    // Old values of key 7, and all values of key 9, which is deleted.
    let gone = [7, 1007, 9, 1009, 2009].map(value);
    assert!(gone.iter().all(|value| has(value)), "to be found before");
    let mut batch = Batch::new();
    batch.delete(table, key(9));
    store.apply(&batch).unwrap();
    for number in [7, 9] {
        let range = KeyRange::new(key(number), key(number + 1));
        store.purge(table, &range).unwrap();
    }
    for (index, value) in gone.iter().enumerate() {
        assert!(!has(value), "value {index}");
    }
    assert_eq!(store.get(table, &key(7)).unwrap().unwrap(), value(2007));
    assert_eq!(store.get(table, &key(9)).unwrap(), None);
    assert_eq!(store.get(table, &key(8)).unwrap().unwrap(), value(2008));
}

/// Every table has the same rows, and their numbers have no gap: the state after some batch.
fn last_row(rows: &Rows) -> u32 {
    let numbers = |table: u8| -> Vec<&[u8]> {
        let of = rows.keys().filter(|(at, _)| *at == table);
        of.map(|(_, key)| key.as_slice()).collect()
    };
    let first = numbers(TABLES[0].0);
    for table in TABLES {
        assert_eq!(numbers(table.0), first);
    }
    for (number, key) in (0_u32..).zip(&first) {
        assert_eq!(*key, number.to_be_bytes());
    }
    u32::try_from(first.len()).unwrap()
}

#[test]
fn a_checkpoint_beside_writers_is_the_state_after_some_batch() {
    let root = tempfile::tempdir().unwrap();
    let store = create(&root.path().join("store"));
    store.apply(&rows(0..100)).unwrap();
    let copies: Vec<PathBuf> = (0..5)
        .map(|n| root.path().join(format!("copy{n}")))
        .collect();
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for first in (100..1_600).step_by(10) {
                store.apply(&rows(first..first + 10)).unwrap();
            }
        });
        for copy in &copies {
            assert!(store.copy_to(copy).unwrap());
        }
        writer.join().unwrap();
    });
    let mut before = 100;
    for copy in &copies {
        let reader = open_read_only(copy).unwrap();
        let last = last_row(&read_all(&reader).unwrap());
        assert!(last >= before && last.is_multiple_of(10), "{last}");
        before = last;
        assert_eq!(
            fs::metadata(copy).unwrap().permissions().mode() & 0o777,
            0o700
        );
    }
    // A copy is a store of its own, and what it writes stays with it.
    let last = copies.last().unwrap();
    let copy = open(last).unwrap();
    let whole = read_all(&store).unwrap();
    copy.apply(&rows(5_000..5_100)).unwrap();
    copy.flush().unwrap();
    assert!(read_all(&store).unwrap() == whole);
    // What is there is never written over.
    assert!(store.copy_to(last).is_err());
}

#[test]
fn a_reader_gives_a_checkpoint_and_changes_no_byte() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("store");
    let store = create(&dir);
    store.apply(&rows(0..300)).unwrap();
    store.flush().unwrap();
    drop(store);
    let before = image(&dir);
    let reader = open_read_only(&dir).unwrap();
    let copy = root.path().join("copy");
    reader.copy_to(&copy).unwrap();
    assert!(image(&dir) == before);
    let expected = read_all(&reader).unwrap();
    drop(reader);
    let copied = open(&copy).unwrap();
    assert!(read_all(&copied).unwrap() == expected);
}
