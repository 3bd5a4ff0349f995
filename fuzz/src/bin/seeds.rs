//! Writes the seeds that are real encodings into `corpus/`: rows, keys and bodies of a small net,
//! pages and frames of a journal, texts and arguments. Seeds of structured targets are found by
//! fuzzing instead.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use blocknet_engine::{Assertion, Commit, Extent, LayerId, Moment, Valid, fuzzing as engine};
use blocknet_fuzz::{DAY, DIR, NOON, create, spec};
use blocknet_wal::{FrameRef, MemEnv, Recovery, fuzzing as wal};

/// At most so many seeds of one kind.
const EACH: usize = 2;

struct Corpus {
    dir: PathBuf,
    counts: BTreeMap<String, usize>,
}

impl Corpus {
    fn add(&mut self, target: &str, kind: &str, bytes: &[u8]) {
        let count = self.counts.entry(format!("{target}/{kind}")).or_default();
        if *count >= EACH {
            return;
        }
        *count += 1;
        let dir = self.dir.join(target);
        fs::create_dir_all(&dir).expect("the corpus can be written");
        let file = dir.join(format!("seed-{kind}-{count}"));
        fs::write(file, bytes).expect("the corpus can be written");
    }
}

fn main() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let dir = std::env::args_os().nth(1).map_or(dir, PathBuf::from);
    let counts = BTreeMap::new();
    let mut corpus = Corpus { dir, counts };
    net(&mut corpus);
    journal(&mut corpus);
    manifest(&mut corpus);
    texts(&mut corpus);
    arguments(&mut corpus);
}

fn house(west: f64) -> Extent {
    Extent::flat(west, 52.37, west + 0.0002, 52.3702).between(-1.5, 9.25)
}

fn net(corpus: &mut Corpus) {
    for choice in [0, 1] {
        let env = MemEnv::new(1);
        let net = create(&env, spec(choice));
        let day = |day: i64| Moment::from_micros(NOON + day * DAY);
        let state = |id, extent, from| {
            Assertion::state(LayerId::MAIN, id, extent, "{}").valid(Valid::from(day(from)))
        };
        let mut own = state("b", Extent::point(4.9, 52.4), 3);
        own.author = Some("other".into());
        own.source = Some("file".into());
        for assertions in [
            vec![state("a", house(4.895), 1), own],
            vec![state("a", house(4.91), 5)],
            vec![Assertion::absence(LayerId::MAIN, "b").valid(Valid::between(day(7), day(9)))],
        ] {
            let commit = Commit::new("fuzz", assertions);
            net.commit(&commit).expect("nothing fails in memory");
        }
        let view = net.now_view().expect("undamaged");
        for (table, key, value) in engine::rows(&view).expect("undamaged") {
            let kind = match (table, key.as_slice()) {
                (0 | 1, _) if value[0] == 1 => (1, "version"),
                (0 | 1, _) => (1, "closing"),
                (2, _) => (3, "head"),
                (3, _) => (4, "track"),
                (4, _) => (5, "block"),
                (5 | 6, _) => (6, "held"),
                (7, _) => (9, "zone"),
                (8, [.., 0, 0, 0, 0]) => (0, "commit"),
                (8, _) => (11, "touched"),
                (9, _) => (10, "bounds"),
                (_, b"state") => (7, "state"),
                (_, b"net") => (13, "net"),
                _ => (8, "layer"),
            };
            let mut row = vec![kind.0, choice];
            match kind.0 {
                5 => {
                    let commit = key.last_chunk::<8>().expect("a commit in the key");
                    row.extend(commit.iter().rev().map(|byte| !byte));
                }
                9 => row.push(0x61),
                _ => {}
            }
            row.extend_from_slice(&value);
            let name = format!("{}-{choice}", kind.1);
            corpus.add("engine_rows", &name, &row);
            corpus.add("engine_keys", &name, &[&[choice], &key[..]].concat());
            if kind.1 == "version" {
                let len = usize::from(u16::from_le_bytes([value[13], value[14]]));
                let header = [&[2, choice], &value[15..15 + len]].concat();
                corpus.add("engine_rows", &format!("header-{choice}"), &header);
            }
            if kind.1 == "layer" {
                let definition = [&[12, choice], &value[56..]].concat();
                corpus.add("engine_rows", &format!("definition-{choice}"), &definition);
            }
        }
        drop(view);
        net.close().expect("nothing fails in memory");
        let recovery = Recovery::scan(Arc::new(env), &Path::new(DIR).join("journal"));
        let recovery = recovery.expect("just closed");
        for frame in recovery.frames(1).expect("just closed") {
            let frame = frame.expect("just closed");
            let first = if frame.seq == 1 { 128 } else { choice };
            let body = [&[first], &frame.body[..]].concat();
            corpus.add("engine_body", &format!("{choice}-{}", frame.seq), &body);
        }
        let bytes = spec(choice).to_bytes();
        corpus.add("geocode", &format!("spec-{choice}"), &bytes);
    }
}

fn journal(corpus: &mut Corpus) {
    let (salt, offset) = (0x1122_3344_5566_7788_u64, 4096_u64);
    let place = [salt.to_le_bytes(), (offset << 1).to_le_bytes()].concat();
    let frame = |kind, body, erasable| {
        let content = FrameRef {
            seq: 3,
            chain: &[7; 32],
            body,
            erasable,
        };
        wal::frame(kind, (salt, offset, offset), &content)
    };
    let footer = wal::footer(3, 1, offset);
    for (kind, bytes) in [
        ("page", wal::page([5; 16], 1, 1, [0; 32], salt)),
        ("commit", frame(0, b"body", b"payload")),
        ("plain", frame(0, b"body", b"")),
        ("clean", frame(1, b"", b"")),
        ("footer", frame(2, &footer, b"")),
        ("name", b"0000000000000042.wal".to_vec()),
    ] {
        // What follows the fields of the page is zero, and made up by the target.
        let bytes = if kind == "page" { &bytes[..96] } else { &bytes };
        corpus.add("wal_format", kind, &[&place[..], bytes].concat());
    }
}

fn manifest(corpus: &mut Corpus) {
    for (kind, bytes) in [
        ("full", &[1, 3, b'a', b'b', b'c', 1, 0][..]),
        ("parts", &[2, 1, b'a', 3, 1, b'b', 4, 1, b'c'][..]),
    ] {
        corpus.add("kv_manifest", kind, bytes);
    }
}

fn texts(corpus: &mut Corpus) {
    const SQUARE: &str = r#"{"type":"Polygon","coordinates":[[[0,0],[4,0],[4,4],[0,4],[0,0]],[[1,1],[2,1],[2,2],[1,1]]]}"#;
    const FEATURE: &str = r#"{"type":"Feature","id":"a","properties":{"a":1,"b":"x","f":-1.5,"h":2},"geometry":{"type":"Point","coordinates":[4.9,52.4,3]}}"#;
    let collection = format!(
        r#"{{"type":"FeatureCollection","crs":{{"type":"name","properties":{{"name":"urn:ogc:def:crs:OGC:1.3:CRS84"}}}},"features":[{FEATURE}, {{"type":"Feature","id":1,"properties":null,"geometry":null}}]}}"#
    );
    let feature = |choice: u8, text: &str| [&[choice], text.as_bytes()].concat();
    let lines = format!("{FEATURE}\n\n\u{1e}{FEATURE}\n");
    corpus.add("tools_features", "collection", &feature(0x1c, &collection));
    corpus.add("tools_features", "lines", &feature(0x1d, &lines));
    corpus.add("tools_features", "feature", &feature(0x3e, FEATURE));

    let line =
        r#"{"type":"MultiLineString","coordinates":[[[0,0],[1,1e0]],[[179.5,-90],[180,90]]]}"#;
    let both = format!(r#"{{"type":"GeometryCollection","geometries":[{SQUARE},{SQUARE}]}}"#);
    for (kind, text) in [
        ("square", SQUARE),
        ("line", line),
        ("both", &both),
        ("feature", FEATURE),
    ] {
        corpus.add(
            "tools_area",
            kind,
            &[&[0, 0, 3, 3], text.as_bytes()].concat(),
        );
    }

    for (kind, text) in [
        (
            "compare",
            r#"properties.a > 1 && properties["c"] == "text" || !has(properties.z)"#,
        ),
        (
            "list",
            r#"properties.e.exists(x, x == 1) && 3 in [1, 2.0, 3u]"#,
        ),
        (
            "matches",
            r#"properties.c.matches("^t[a-z]+$") && size(id) < 3"#,
        ),
        (
            "optional",
            r#"properties.?z.orValue(1.5) * double(properties.a) >= 1.5 ? true : floor < top"#,
        ),
        (
            "geometry",
            r#"geometry.coordinates[0] > 4.0 && geometry.type == "Point""#,
        ),
        ("predicate", "s=in use,built"),
    ] {
        corpus.add(
            "tools_expression",
            kind,
            &[&[1, 5, 1, 0, 0, 0, 65], text.as_bytes()].concat(),
        );
    }

    for (kind, zone, text) in [
        ("rfc3339", 0, "2017-03-21T10:00:00.5+01:00"),
        ("local", 1, "2017-03-26 02:30"),
        ("day", 3, "2011-12-30"),
        ("first", 2, "0001-01-01"),
        ("zone", 8, "Europe/Paris\u{0}9999-12-31T23:59:59Z"),
    ] {
        let micros = NOON.to_le_bytes();
        corpus.add(
            "tools_time",
            kind,
            &[&[zone], &micros[..], text.as_bytes()].concat(),
        );
    }

    for (kind, text) in [
        (
            "numbers",
            "{\"a\":[1,1.0e2,-0]}\u{0}{\"a\":[1.0,100,0]}\u{0}a",
        ),
        (
            "texts",
            "{\"a\":{\"b\":\"\\u0061\\n\"},\"c\":null}\u{0}{\"c\":null,\"a\":{\"b\":\"a\\n\"}}\u{0}a.b",
        ),
    ] {
        corpus.add("tools_json", kind, text.as_bytes());
    }
}

fn arguments(corpus: &mut Corpus) {
    let area = r#"{"type":"Polygon","coordinates":[[[4.8,52.3],[5,52.3],[5,52.5],[4.8,52.3]]]}"#;
    let line = r#"{"type":"LineString","coordinates":[[4.89,52.37],[4.9,52.38]]}"#;
    let feature = r#"{"type":"Feature","id":"c","properties":{"h":1},"geometry":{"type":"Point","coordinates":[4.9,52.4]}}"#;
    for (command, args, file) in [
        (0_u8, "a\n--valid-at\n2020-02-02\n--meta", ""),
        (
            1,
            "--bbox\n4.8,52.3,5,52.5\n--where\nproperties.h > 2\n--json",
            "",
        ),
        (1, "--near\n4.9,52.38\n--nearest\n2\n--meta", ""),
        (1, "--polygon\n@f\n--match\nwithin\n--count", area),
        (
            1,
            "--along\n@f\n--buffer\n200\n--order\nvalid-from\n--limit\n1",
            line,
        ),
        (
            2,
            "--bbox\n4.8,52.3,5,52.5\n--altitude\n0..10\n--analyze",
            "",
        ),
        (3, "b\n--as-of\ncommit:2\n--json", ""),
        (
            4,
            "--from\n2019-01-01\n--to\n2023-01-01\n--present-when\ns=built",
            "",
        ),
        (
            5,
            "--from\n2019-01-01\n--to\n2023-01-01\n--bbox\n4.8,52.3,5,52.5\n--json",
            "",
        ),
        (
            6,
            "--from\n2019-01-01\n--to\n2030-01-01\n--axis\nrecorded",
            "",
        ),
        (
            7,
            "--from\n2019-01-01\n--to\n2023-01-01\n--near\n4.9,52.38\n--radius\n500\n--entities",
            "",
        ),
        (8, "--json", ""),
        (9, "--json", ""),
        (10, "d06177e39", ""),
        (11, "--json", ""),
        (12, "d06177e39", ""),
        (13, "4.9,52.38,2\n--json", ""),
        (14, "d06177e390e23b93-018ab2", ""),
        (15, "d06177e39", ""),
        (16, "--json", ""),
        (
            17,
            "permits\n--kind\npermitted\n--time-zone\nEurope/Amsterdam",
            "",
        ),
        (
            18,
            "{\"type\":\"Feature\",\"id\":\"z\",\"properties\":{},\"geometry\":null}\n--if-new",
            "",
        ),
        (19, "a\n--valid-from\n2024-01-01\n--reason\nburned", ""),
        (20, "@f\n--height\nh\n--on-error\nskip\n--json", feature),
        (21, "--planar-digits\n8\n--band-digits\n2", ""),
    ] {
        let bytes = [&[command], args.as_bytes(), &[0], file.as_bytes()].concat();
        corpus.add("tools_cli", &format!("{command}-{}", args.len()), &bytes);
    }
}
