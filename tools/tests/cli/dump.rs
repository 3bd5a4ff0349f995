//! `dump`: every stored thing decoded, also past damage.

use std::fs;

use super::support::{Scene, feature};
use super::verify::{flip, place, scene, segment};

const TABLES: [&str; 12] = [
    "records", "history", "entities", "tracks", "blocks", "links", "edges", "zones", "commits",
    "moments", "meta", "log",
];

/// Hexadecimal digits of hashes and salts, and times, as what they are: the rest is the same each
/// time.
fn masked(text: &str) -> String {
    let mask = |word: &str| {
        let bare = word.trim_end_matches(',');
        let hex =
            [32, 64].contains(&bare.len()) && bare.chars().all(|digit| digit.is_ascii_hexdigit());
        if hex && bare.chars().any(|digit| digit != '0') {
            format!("<{} bytes>", bare.len() / 2)
        } else if bare.starts_with("20") && bare.ends_with('Z') && bare.contains('.') {
            "<now>".to_owned()
        } else {
            word.to_owned()
        }
    };
    let lines = text
        .lines()
        .map(|line| line.split(' ').map(mask).collect::<Vec<_>>().join(" "));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn everything_of_a_small_store_is_decoded_and_nothing_is_changed() {
    let scene = scene();
    let before = scene.files("net");
    let commits = scene.ok("stats net --json").object()["commits"]
        .as_u64()
        .unwrap();
    let frames = scene.ok("dump net journal --json").json();
    let of = |kind: &str| frames.iter().filter(|entry| entry["kind"] == kind).count() as u64;
    assert_eq!((of("page"), of("commit")), (1, commits));
    let mut end = 0;
    for entry in &frames {
        assert_eq!(entry["schema"], "blocknet.dump/1");
        assert!(!entry.to_string().contains("undecoded"), "{entry}");
        assert_eq!(entry["offset"], end, "{entry}");
        end += entry["len"].as_u64().unwrap();
    }
    assert_eq!(end, fs::metadata(segment(&scene)).unwrap().len());
    for table in TABLES {
        let rows = scene.ok(&format!("dump net table {table} --json")).json();
        assert!(!rows.is_empty(), "{table}");
        for row in &rows {
            assert_eq!(
                (&row["kind"], &row["table"]),
                (&"row".into(), &table.into()),
                "{row}"
            );
            assert!(row["key"].is_object() && row["value"].is_object(), "{row}");
        }
        let key = rows[0]["key_hex"].as_str().unwrap();
        let one = scene.ok(&format!(
            "dump net table {table} --json --limit 1 --prefix {key}"
        ));
        assert_eq!(one.object(), rows[0]);
        let text = scene.ok(&format!("dump net table {table}")).out;
        let heads = text
            .lines()
            .filter(|line| line.starts_with("row: "))
            .count();
        assert_eq!(heads, rows.len());
    }
    assert_eq!(scene.files("net"), before);
}

#[test]
fn a_frame_and_a_row_in_words() {
    let scene = Scene::new();
    scene.file("f", feature("house", 6.0, 52.0, "{}"));
    scene.ok("put net f --valid-from 2001-02-03 --reason survey");
    let frame = scene.ok("dump net journal --commit 2").out;
    let (offset, len) = place(&scene, 2);
    let head = format!("commit: journal/0000000000000001.wal at {offset}, {len} bytes");
    assert_eq!(masked(&frame).replacen(&head, "commit: HEAD", 1), FRAME);
    let row = scene.ok("dump net table records").out;
    assert_eq!(masked(&row), ROW);
    let bare = scene.ok("dump net journal --commit 2 --no-payload").out;
    assert!(
        !bare.contains("Polygon") && !bare.contains("salt"),
        "{bare}"
    );
    let bytes = scene
        .ok("dump net journal --commit 2 --bytes --json")
        .object();
    assert_eq!(bytes["bytes"].as_str().unwrap().len() as u64, 2 * len);
}

const FRAME: &str = r#"commit: HEAD
  number: 2
  chain: <32 bytes>
  body len bytes: 465
  erasable len bytes: 166
  body:
    number: 2
    recorded: <now>
    basis: clock
    written: <now>
    author: tester
    reason: survey
    source:
    previous: <32 bytes>
    blocks root: <32 bytes>
    unplaced root: <32 bytes>
    registry head: <32 bytes>
    state root: 0000000000000000000000000000000000000000000000000000000000000000
    state commit: 0
    assertions: 1
    hash: <32 bytes>
    versions: 1
      - index: 0
        layer: 1
        id: house
        ordinal: 1
        flags: from day
        kind: change
        valid from: 2001-02-03T00:00:00Z
        valid to: without end
        place:
          level: 9
          geocode: d0617530642dd785
          block: d06175306
        extent:
          west: 6
          south: 52
          east: 6.0001
          north: 52.0001
          floor: none
          top: none
        payload len bytes: 150
        commitment: <32 bytes>
        previous: 0000000000000000000000000000000000000000000000000000000000000000
        salt: <16 bytes>
        payload: {"type":"Feature","id":"house","properties":{},"geometry":{"type":"Polygon","coordinates":[[[6,52],[6.0001,52],[6.0001,52.0001],[6,52.0001],[6,52]]]}}
    blocks: 1
      - block: d06175306
        hash: <32 bytes>
        rows: 1
        origin:
          round: 0
          source: d06175306
          links: none"#;
const ROW: &str = r#"row: records 09d0617530600000042dd7850001686f7573650000, 330 bytes
  key:
    place:
      level: 9
      geocode: d0617530642dd785
      block: d06175306
    layer: 1
    id: house
  value:
    form: version
    version: 2.0
    layer: 1
    id: house
    ordinal: 1
    flags: from day
    kind: change
    valid from: 2001-02-03T00:00:00Z
    valid to: without end
    place:
      level: 9
      geocode: d0617530642dd785
      block: d06175306
    extent:
      west: 6
      south: 52
      east: 6.0001
      north: 52.0001
      floor: none
      top: none
    payload len bytes: 150
    commitment: <32 bytes>
    previous: 0000000000000000000000000000000000000000000000000000000000000000
    salt: <16 bytes>
    payload: {"type":"Feature","id":"house","properties":{},"geometry":{"type":"Polygon","coordinates":[[[6,52],[6.0001,52],[6.0001,52.0001],[6,52.0001],[6,52]]]}}"#;

#[test]
fn damage_is_shown_where_it_is_and_passed_over() {
    let scene = scene();
    let (offset, len) = place(&scene, 2);
    flip(&segment(&scene), usize::try_from(offset + 200).unwrap());
    let before = scene.files("net");
    let found = scene.ok("dump net journal --json").json();
    let damage: Vec<_> = found
        .iter()
        .filter(|entry| entry["kind"] == "damage")
        .collect();
    assert_eq!(damage.len(), 1);
    assert_eq!(damage[0]["number"], 2);
    assert_eq!(
        (&damage[0]["offset"], &damage[0]["len"]),
        (&offset.into(), &len.into())
    );
    assert!(
        damage[0]["fault"]
            .as_str()
            .unwrap()
            .starts_with("checksum stored")
    );
    let commits = found
        .iter()
        .filter(|entry| entry["kind"] == "commit")
        .count() as u64;
    assert!(commits >= 3);
    let text = scene.ok("dump net journal --commit 1..3").out;
    let kinds: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with(' '))
        .map(|line| line.split(':').next().unwrap())
        .collect();
    assert_eq!(kinds, ["commit", "damage", "commit"]);

    // The tables: a byte in the first block of each file; some rows are left of some table.
    for entry in fs::read_dir(scene.path("net/tables")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "sst") {
            flip(&path, 50);
        }
    }
    let mut stretches = 0;
    for table in TABLES {
        let ran = scene.ok(&format!("dump net table {table} --json"));
        let found = ran.json();
        let bad = found
            .iter()
            .filter(|entry| entry["kind"] == "unreadable stretch");
        stretches += bad.count();
    }
    assert!(stretches > 0);
    assert_ne!(scene.files("net"), before);
}

#[test]
fn a_locked_store_is_refused_and_arguments_are_checked() {
    let scene = scene();
    let lock = fs::File::options()
        .write(true)
        .open(scene.path("net/LOCK"))
        .unwrap();
    lock.lock().unwrap();
    for line in ["dump net journal", "dump net table meta"] {
        let ran = scene.run(line);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{ran:?}");
        assert!(ran.err.contains("open in another process"), "{}", ran.err);
    }
    drop(lock);
    for (line, word) in [
        ("dump net", "journal"),
        ("dump net table nonsense", "records"),
        ("dump net table meta --prefix 0", "two hexadecimal digits"),
        ("dump net journal --commit 3..1", "12..15"),
        ("dump net journal --segment 9", "0000000000000009.wal"),
        ("dump elsewhere journal", "elsewhere"),
    ] {
        let ran = scene.run(line);
        assert_eq!(ran.code, 2, "{line}: {ran:?}");
        assert!(ran.err.contains(word), "{line}: {}", ran.err);
    }
}
