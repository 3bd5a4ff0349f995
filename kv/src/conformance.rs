//! The suite that every back end runs: [`all`] for the cases worth naming, [`model()`] for random
//! operations against an ordered map.
//!
//! It does not test durability, concurrency or damaged files: these differ by back end and are
//! tested there.
//!
//! Every check panics with a sentence when it fails, as a test does.

mod model;

use crate::{
    Batch, Bytes, Cursor, Error, ErrorKind, KEY_LEN_BYTES_MAX, KeyRange, Read, Store, Table,
    TableSpec,
};

pub use model::{Op, Step, model};

/// The tables that the suite works on.
pub const SCHEMA: &[TableSpec] = &[
    TableSpec {
        name: "alpha",
        cold: false,
        point_reads: true,
        runs: false,
        blobs: false,
    },
    TableSpec {
        name: "beta",
        cold: true,
        point_reads: false,
        runs: true,
        blobs: true,
    },
    TableSpec {
        name: "gamma",
        cold: false,
        point_reads: true,
        runs: false,
        blobs: true,
    },
];

const A: Table = Table(0);
const B: Table = Table(1);

/// Makes an empty store with the tables of [`SCHEMA`], apart from all others that it made.
pub type Factory<'a> = &'a dyn Fn() -> Box<dyn Store>;

/// Runs every named case, each on a store of its own.
///
/// # Panics
///
/// When the store breaks the contract.
pub fn all(make: Factory<'_>) {
    let cases = [
        empty_store_has_nothing,
        writes_are_read_back,
        later_writes_of_a_batch_win,
        applying_again_changes_nothing,
        scan_is_ordered_and_bounded,
        prefixes_of_ff_bytes_are_whole,
        seek_moves_forward_only,
        last_is_the_greatest_in_range,
        multi_get_answers_in_the_order_asked,
        snapshot_does_not_see_later_writes,
        cursor_does_not_see_later_writes,
        refused_batch_leaves_nothing,
        unknown_table_is_refused,
        empty_keys_and_values_are_data,
        large_values_come_back_whole,
        tables_are_apart,
    ];
    for case in cases {
        case(make().as_ref());
    }
}

fn ok<T>(result: Result<T, Error>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("the store failed: {error}"),
    }
}

fn put_all(store: &dyn Store, table: Table, keys: &[&[u8]]) {
    let mut batch = Batch::new();
    for key in keys {
        batch.put(table, *key, *key);
    }
    ok(store.apply(&batch));
}

fn get(read: &dyn Read, table: Table, key: &[u8]) -> Option<Vec<u8>> {
    ok(read.get(table, key)).map(|value| value.to_vec())
}

fn rest(cursor: &mut dyn Cursor) -> Vec<Vec<u8>> {
    let mut keys = Vec::new();
    while let Some((key, _)) = cursor.entry() {
        keys.push(key.to_vec());
        ok(cursor.advance());
    }
    ok(cursor.advance());
    assert_eq!(cursor.entry(), None, "a cursor at its end stays there");
    keys
}

fn scan(read: &dyn Read, table: Table, range: &KeyRange) -> Vec<Vec<u8>> {
    rest(ok(read.cursor(table, range)).as_mut())
}

/// Nothing is found in a new store by any read, before and after a flush.
fn empty_store_has_nothing(store: &dyn Store) {
    for table in [A, B] {
        assert_eq!(get(store, table, b"key"), None);
        assert_eq!(ok(store.multi_get(table, &[b"", b"key"])), [None, None]);
        assert!(ok(store.multi_get(table, &[])).is_empty());
        assert!(scan(store, table, &KeyRange::all()).is_empty());
        assert_eq!(ok(store.last(table, &KeyRange::all())), None);
        let mut cursor = ok(store.cursor(table, &KeyRange::all()));
        ok(cursor.seek(b"key"));
        assert_eq!(cursor.entry(), None);
    }
    ok(store.apply(&Batch::new()));
    ok(store.flush());
    ok(store.disk_bytes());
    assert!(scan(&*ok(store.snapshot()), A, &KeyRange::all()).is_empty());
}

/// Put, overwrite, delete, delete what is not there, put again; all also after a flush.
fn writes_are_read_back(store: &dyn Store) {
    let mut batch = Batch::new();
    for (key, value) in [
        ("key", Some("one")),
        ("key", Some("two")),
        ("key", None),
        ("no", None),
        ("key", Some("3")),
    ] {
        batch.clear();
        match value {
            Some(value) => batch.put(A, key, value),
            None => batch.delete(A, key),
        }
        ok(store.apply(&batch));
        for _ in 0..2 {
            assert_eq!(
                get(store, A, key.as_bytes()).as_deref(),
                value.map(str::as_bytes)
            );
            ok(store.flush());
        }
    }
}

/// Put then delete leaves nothing, delete then put the value, put then put the second.
fn later_writes_of_a_batch_win(store: &dyn Store) {
    let mut batch = Batch::new();
    batch.put(A, "put-delete", "1");
    batch.delete(A, "put-delete");
    batch.delete(A, "delete-put");
    batch.put(A, "delete-put", "2");
    batch.put(A, "put-put", "1");
    batch.put(A, "put-put", "2");
    ok(store.apply(&batch));
    assert_eq!(get(store, A, b"put-delete"), None);
    assert_eq!(get(store, A, b"delete-put").as_deref(), Some(&b"2"[..]));
    assert_eq!(get(store, A, b"put-put").as_deref(), Some(&b"2"[..]));
    assert_eq!(
        scan(store, A, &KeyRange::all()),
        [&b"delete-put"[..], b"put-put"]
    );
}

/// A batch applied twice gives what it gave once.
fn applying_again_changes_nothing(store: &dyn Store) {
    put_all(store, A, &[b"a", b"b"]);
    let mut batch = Batch::new();
    batch.put(A, "a", "new");
    batch.delete(A, "b");
    batch.put(B, "c", "new");
    for _ in 0..3 {
        ok(store.apply(&batch));
        assert_eq!(get(store, A, b"a").as_deref(), Some(&b"new"[..]));
        assert_eq!(scan(store, A, &KeyRange::all()), [b"a"]);
        assert_eq!(scan(store, B, &KeyRange::all()), [b"c"]);
        ok(store.flush());
    }
}

/// Keys come in byte order; the start is included, the end is not; odd ranges are empty.
fn scan_is_ordered_and_bounded(store: &dyn Store) {
    put_all(
        store,
        A,
        &[b"b", b"\x00", b"ab", b"\xff", b"a", b"a\x00", b"\x80"],
    );
    let sorted = [&b"\x00"[..], b"a", b"a\x00", b"ab", b"b", b"\x80", b"\xff"];
    assert_eq!(scan(store, A, &KeyRange::all()), sorted);
    assert_eq!(scan(store, A, &KeyRange::new("a", "b")), sorted[1..4]);
    assert_eq!(
        scan(store, A, &KeyRange::new(&b"a\x00"[..], "ac")),
        sorted[2..4]
    );
    assert_eq!(scan(store, A, &KeyRange::starting_at("aa")), sorted[3..]);
    assert_eq!(scan(store, A, &KeyRange::new("", "a")), sorted[..1]);
    assert_eq!(scan(store, A, &KeyRange::prefix(b"a")), sorted[1..4]);
    for none in [
        KeyRange::new("b", "a"),
        KeyRange::new("a", "a"),
        KeyRange::new("", ""),
    ] {
        assert!(scan(store, A, &none).is_empty(), "{none:?} holds no key");
        assert_eq!(ok(store.last(A, &none)), None, "{none:?} holds no key");
    }
}

/// A prefix that ends in 0xFF has an end further left, or none.
fn prefixes_of_ff_bytes_are_whole(store: &dyn Store) {
    let keys: [&[u8]; 7] = [
        b"a",
        b"a\xfe\xff",
        b"a\xff",
        b"a\xff\xff\x01",
        b"b",
        b"\xff",
        b"\xff\xff\xff",
    ];
    put_all(store, A, &keys);
    assert_eq!(scan(store, A, &KeyRange::prefix(b"a\xff")), keys[2..4]);
    assert_eq!(scan(store, A, &KeyRange::prefix(b"a\xff\xff")), keys[3..4]);
    assert_eq!(scan(store, A, &KeyRange::prefix(b"\xff")), keys[5..]);
    assert_eq!(scan(store, A, &KeyRange::prefix(b"\xff\xff")), keys[6..]);
    assert_eq!(scan(store, A, &KeyRange::prefix(b"")), keys);
}

/// Seek finds the first key at or after, never goes back and never leaves the range.
fn seek_moves_forward_only(store: &dyn Store) {
    put_all(store, A, &[b"a", b"c", b"e", b"g", b"i"]);
    let mut cursor = ok(store.cursor(A, &KeyRange::new("c", "i")));
    for (to, at) in [
        ("a", "c"),
        ("c", "c"),
        ("d", "e"),
        ("c", "e"),
        ("", "e"),
        ("g", "g"),
    ] {
        ok(cursor.seek(to.as_bytes()));
        assert_eq!(
            cursor.entry().map(|(key, _)| key),
            Some(at.as_bytes()),
            "seek to {to:?}"
        );
    }
    ok(cursor.seek(b"h"));
    assert_eq!(cursor.entry(), None, "the next key is outside the range");
    ok(cursor.seek(b"a"));
    assert_eq!(cursor.entry(), None, "a cursor at its end stays there");
    let mut cursor = ok(store.cursor(A, &KeyRange::new("c", "i")));
    ok(cursor.seek(b"i"));
    assert_eq!(cursor.entry(), None, "the key sought is the excluded end");
    let mut cursor = ok(store.cursor(A, &KeyRange::all()));
    ok(cursor.seek(b"d"));
    assert_eq!(rest(cursor.as_mut()), [b"e", b"g", b"i"]);
}

/// Last respects both bounds and deletions, one or many.
fn last_is_the_greatest_in_range(store: &dyn Store) {
    put_all(store, A, &[b"a", b"b", b"c", b"\xff\xff"]);
    let last = |range: &KeyRange| ok(store.last(A, range)).map(|(key, _)| key.to_vec());
    assert_eq!(last(&KeyRange::all()).as_deref(), Some(&b"\xff\xff"[..]));
    assert_eq!(last(&KeyRange::new("a", "c")).as_deref(), Some(&b"b"[..]));
    assert_eq!(last(&KeyRange::prefix(b"c")).as_deref(), Some(&b"c"[..]));
    assert_eq!(last(&KeyRange::new("bb", "c")), None);
    assert_eq!(last(&KeyRange::starting_at(&b"\xff\xff\x00"[..])), None);
    let mut batch = Batch::new();
    for gone in [&b"\xff\xff"[..], b"c", b"b"] {
        batch.delete(A, gone);
    }
    ok(store.apply(&batch));
    assert_eq!(last(&KeyRange::all()).as_deref(), Some(&b"a"[..]));
    assert_eq!(last(&KeyRange::starting_at("b")), None);
    let entry = ok(store.last(A, &KeyRange::all()));
    assert_eq!(
        entry,
        Some((Bytes::from_static(b"a"), Bytes::from_static(b"a")))
    );
}

/// Unsorted, repeated and absent keys each get their own answer.
fn multi_get_answers_in_the_order_asked(store: &dyn Store) {
    put_all(store, A, &[b"a", b"b", b"c"]);
    ok(store.flush());
    put_all(store, A, &[b"d", b""]);
    let keys: [&[u8]; 8] = [b"d", b"a", b"x", b"c", b"a", b"", b"aa", b"b"];
    let present = |key: &&[u8]| !matches!(*key, b"x" | b"aa");
    let expected: Vec<_> = keys
        .iter()
        .map(|key| present(key).then(|| Bytes::copy_from_slice(key)))
        .collect();
    assert_eq!(ok(store.multi_get(A, &keys)), expected);
    assert_eq!(ok(ok(store.snapshot()).multi_get(A, &keys)), expected);
}

/// All reads of a snapshot give the state at its making, whatever is written and flushed after.
fn snapshot_does_not_see_later_writes(store: &dyn Store) {
    put_all(store, A, &[b"a", b"b"]);
    let before = ok(store.snapshot());
    let mut batch = Batch::new();
    batch.put(A, "a", "new");
    batch.delete(A, "b");
    batch.put(A, "c", "new");
    batch.put(B, "c", "new");
    ok(store.apply(&batch));
    ok(store.flush());
    for _ in 0..2 {
        assert_eq!(get(&*before, A, b"a").as_deref(), Some(&b"a"[..]));
        assert_eq!(get(&*before, A, b"c"), None);
        assert_eq!(scan(&*before, A, &KeyRange::all()), [b"a", b"b"]);
        assert!(scan(&*before, B, &KeyRange::all()).is_empty());
        assert_eq!(
            ok(before.last(A, &KeyRange::all())).map(|row| row.0),
            Some(Bytes::from("b"))
        );
        let both = ok(before.multi_get(A, &[b"b", b"c"]));
        assert_eq!(both, [Some(Bytes::from("b")), None]);
    }
    let after = ok(store.snapshot());
    assert_eq!(scan(&*after, A, &KeyRange::all()), [b"a", b"c"]);
    assert_eq!(get(&*after, A, b"a").as_deref(), Some(&b"new"[..]));
}

/// A cursor goes on over the table as it was when the cursor was made.
fn cursor_does_not_see_later_writes(store: &dyn Store) {
    put_all(store, A, &[b"a", b"b", b"d"]);
    let mut cursor = ok(store.cursor(A, &KeyRange::all()));
    let mut seeking = ok(store.cursor(A, &KeyRange::all()));
    let mut batch = Batch::new();
    batch.delete(A, "b");
    batch.put(A, "c", "c");
    batch.delete(A, "d");
    ok(store.apply(&batch));
    ok(store.flush());
    ok(seeking.seek(b"c"));
    assert_eq!(rest(seeking.as_mut()), [b"d"]);
    assert_eq!(rest(cursor.as_mut()), [b"a", b"b", b"d"]);
    assert_eq!(scan(store, A, &KeyRange::all()), [b"a", b"c"]);
}

/// A batch with one row that cannot be stored writes none, in no table.
fn refused_batch_leaves_nothing(store: &dyn Store) {
    let mut batch = Batch::new();
    batch.put(A, "a", "1");
    batch.put(B, "b", "1");
    batch.put(B, vec![b'k'; KEY_LEN_BYTES_MAX + 1], "too long");
    let refused = store.apply(&batch).map_err(|error| error.kind());
    assert_eq!(refused, Err(ErrorKind::Invalid));
    assert!(scan(store, A, &KeyRange::all()).is_empty());
    assert!(scan(store, B, &KeyRange::all()).is_empty());

    let longest = vec![b'k'; KEY_LEN_BYTES_MAX];
    batch.clear();
    batch.put(A, longest.clone(), "longest");
    ok(store.apply(&batch));
    assert_eq!(get(store, A, &longest).as_deref(), Some(&b"longest"[..]));
}

/// Every call that names a table outside the schema says so.
fn unknown_table_is_refused(store: &dyn Store) {
    let beyond = Table(u8::try_from(SCHEMA.len()).expect("the schema has three tables"));
    let mut batch = Batch::new();
    batch.put(A, "a", "1");
    batch.delete(beyond, "a");
    let all = KeyRange::all();
    let snapshot = ok(store.snapshot());
    let reads: [&dyn Read; 2] = [store, &*snapshot];
    for table in [beyond, Table(u8::MAX)] {
        for read in reads {
            let kinds = [
                read.get(table, b"a").err(),
                read.multi_get(table, &[b"a"]).err(),
                read.cursor(table, &all).err(),
                read.last(table, &all).err(),
                store.apply(&batch).err(),
            ];
            for error in kinds {
                assert_eq!(error.map(|error| error.kind()), Some(ErrorKind::Invalid));
            }
        }
    }
    assert_eq!(get(store, A, b"a"), None);
}

/// The empty key is the least key; an empty value is not an absent one.
fn empty_keys_and_values_are_data(store: &dyn Store) {
    let mut batch = Batch::new();
    batch.put(A, "", "of the empty key");
    batch.put(A, "a", "");
    batch.put(B, "", "");
    ok(store.apply(&batch));
    for _ in 0..2 {
        assert_eq!(
            get(store, A, b"").as_deref(),
            Some(&b"of the empty key"[..])
        );
        assert_eq!(get(store, A, b"a").as_deref(), Some(&b""[..]));
        assert_eq!(get(store, B, b"").as_deref(), Some(&b""[..]));
        assert_eq!(scan(store, A, &KeyRange::all()), [&b""[..], b"a"]);
        let only = ok(store.last(B, &KeyRange::all()));
        assert_eq!(only, Some((Bytes::new(), Bytes::new())));
        ok(store.flush());
    }
    batch.clear();
    batch.delete(A, "");
    ok(store.apply(&batch));
    assert_eq!(scan(store, A, &KeyRange::all()), [b"a"]);
}

/// Values on both sides of the blob limit and of 1 MiB, by every kind of read.
fn large_values_come_back_whole(store: &dyn Store) {
    // Neither constant nor short in its period, so that a cut or shifted value shows.
    let value = |len: usize, seed: usize| -> Vec<u8> {
        (0..len)
            .flat_map(|i| (i.wrapping_mul(seed + 2) as u64).to_le_bytes())
            .take(len)
            .collect()
    };
    let lens = [4_095, 4_096, 4_097, 1 << 20];
    for table in [A, B] {
        let mut batch = Batch::new();
        for (i, len) in lens.into_iter().enumerate() {
            batch.put(table, format!("key-{i}"), value(len, i + 1));
        }
        ok(store.apply(&batch));
    }
    for _ in 0..2 {
        for table in [A, B] {
            let mut cursor = ok(store.cursor(table, &KeyRange::all()));
            for (i, len) in lens.into_iter().enumerate() {
                let (key, expected) = (format!("key-{i}"), value(len, i + 1));
                assert_eq!(get(store, table, key.as_bytes()).as_ref(), Some(&expected));
                assert!(cursor.entry() == Some((key.as_bytes(), &expected)));
                ok(cursor.advance());
            }
            let many = ok(store.multi_get(table, &[b"key-3", b"key-0"]));
            assert!(many[0].as_deref() == Some(&value(lens[3], 4)[..]));
            assert!(many[1].as_deref() == Some(&value(lens[0], 1)[..]));
        }
        ok(store.flush());
    }
}

/// The same key in two tables is two rows.
fn tables_are_apart(store: &dyn Store) {
    let mut batch = Batch::new();
    batch.put(A, "key", "a");
    batch.put(B, "key", "b");
    ok(store.apply(&batch));
    assert_eq!(get(store, A, b"key").as_deref(), Some(&b"a"[..]));
    assert_eq!(get(store, B, b"key").as_deref(), Some(&b"b"[..]));
    batch.clear();
    batch.delete(A, "key");
    ok(store.apply(&batch));
    assert_eq!(get(store, A, b"key"), None);
    assert_eq!(get(store, B, b"key").as_deref(), Some(&b"b"[..]));
}
