//! Numbers that were counted from the registers themselves (data/README.md and the issue).

use std::io::{Read as _, Write as _};
use std::path::Path;

use crate::support::run::{count, data, json, lines};

/// Imports a file and returns the summary.
fn import(store: &str, file: &Path, args: &[&str]) -> serde_json::Value {
    let mut all = vec![
        "import",
        store,
        file.to_str().unwrap(),
        "--create",
        "--json",
    ];
    all.extend(args);
    json(&all)
}

const STANDING: &str = "status=Pand in gebruik,Pand in gebruik (niet ingemeten),Verbouwing \
                        pand,Sloopvergunning verleend";

#[test]
fn the_dutch_register() {
    let Some(file) = data("bag_doesburg_pand_history.geojsonl.gz") else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("net");
    let store = store.to_str().unwrap();
    let args = [
        "--id",
        "identificatie",
        "--valid-from",
        "beginGeldigheid",
        "--recorded-at",
        "tijdstipRegistratie",
    ];
    let summary = import(store, &file, &args);
    assert_eq!(summary["features"], 13_098);
    assert_eq!(summary["versions"], 13_098);
    assert_eq!(summary["entities"], 7_797);
    assert_eq!(summary["unchanged"], 0);
    assert_eq!(summary["invalid_geometries"], 4);

    for (day, expected) in [
        ("1980-01-01", 2_247),
        ("2011-01-01", 7_230),
        ("2012-01-01", 7_238),
        ("2016-01-01", 7_447),
        ("2020-09-15", 7_797),
    ] {
        assert_eq!(
            count(store, &["--valid-at", day]),
            expected,
            "valid at {day}"
        );
    }
    for (as_of, valid_at, expected) in [
        ("2011-01-01", "2010-01-01", 4_583),
        ("2016-01-01", "2015-06-01", 7_376),
        ("2010-06-01", "1980-01-01", 0),
    ] {
        let found = count(store, &["--as-of", as_of, "--valid-at", valid_at]);
        assert_eq!(found, expected, "as of {as_of} valid at {valid_at}");
    }
    for (day, expected) in [
        ("2011-01-01", 7_036),
        ("2012-01-01", 7_181),
        ("2016-01-01", 7_259),
        ("2020-09-15", 7_227),
    ] {
        let found = count(store, &["--valid-at", day, "--present-when", STANDING]);
        assert_eq!(found, expected, "standing at {day}");
    }

    let span = |command, from, to| {
        lines(&[
            command,
            store,
            "--from",
            from,
            "--to",
            to,
            "--present-when",
            STANDING,
            "--json",
        ])
    };
    let changes = span("diff", "2012-01-01", "2018-01-01");
    let of_kind = |kind: &str| {
        changes
            .iter()
            .filter(|change| change["kind"] == kind)
            .count()
    };
    assert_eq!(of_kind("appeared"), 270);
    assert_eq!(of_kind("disappeared"), 189);
    assert_eq!(span("transients", "2011-01-01", "2020-09-15").len(), 9);
    assert_eq!(span("transients", "2012-01-01", "2018-01-01").len(), 5);
    let vanished: Vec<_> = span("transients", "2015-11-01", "2017-04-01")
        .iter()
        .map(|change| change["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(vanished, ["0221100000333285", "0221100000333312"]);

    let again = import(store, &file, &args);
    assert_eq!(again["versions"], 0);
    assert_eq!(again["unchanged"], 13_098);
    assert_eq!(again["commits"], 0);
    assert_eq!(again["cost"]["kv_writes"], 0);
    assert_eq!(again["cost"]["journal_bytes"], 0);
}

fn osm(name: &str, expected: &[(&str, u64)]) {
    let Some(file) = data(name) else { return };
    let dir = tempfile::tempdir().unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(&file).unwrap())
        .read_to_string(&mut text)
        .unwrap();
    let mut all_lines: Vec<&str> = text.lines().collect();
    let write = |name: &str, lines: &[&str]| {
        let path = dir.path().join(name);
        let mut file = std::fs::File::create(&path).unwrap();
        for line in lines {
            writeln!(file, "{line}").unwrap();
        }
        path
    };
    all_lines.reverse();
    let reversed = write("reversed.geojsonl", &all_lines);
    let mut random = crate::support::run::Random::seeded(name);
    for last in (1..all_lines.len()).rev() {
        let bound = u64::try_from(last).unwrap() + 1;
        let other = usize::try_from(random.below(bound)).unwrap();
        all_lines.swap(last, other);
    }
    let shuffled = write("shuffled.geojsonl", &all_lines);

    for (order, file) in [
        ("as is", &file),
        ("reversed", &reversed),
        ("shuffled", &shuffled),
    ] {
        let store = dir.path().join(order.replace(' ', "-"));
        let store = store.to_str().unwrap();
        let args = [
            "--id",
            "osm_id",
            "--valid-from",
            "valid_from",
            "--removed-when",
            "event=deleted,untagged",
        ];
        let summary = import(store, file, &args);
        assert_eq!(
            summary["features"].as_u64().unwrap(),
            all_lines.len() as u64
        );
        for (day, live) in expected {
            let found = count(store, &["--valid-at", day]);
            assert_eq!(found, *live, "{name} {order}: live at {day}");
        }
        let again = import(store, file, &args);
        assert_eq!(again["versions"], 0, "{name} {order}: second import");
        assert_eq!(
            again["cost"]["journal_bytes"], 0,
            "{name} {order}: second import"
        );
    }
}

#[test]
fn openstreetmap_history_of_the_faroe_islands() {
    osm(
        "osm_history_faroe-islands.geojsonl.gz",
        &[
            ("2010-01-01", 1_716),
            ("2012-01-01", 2_993),
            ("2014-01-01", 3_005),
            ("2016-01-01", 3_274),
            ("2020-01-01", 3_299),
        ],
    );
}

#[test]
fn openstreetmap_history_of_equatorial_guinea() {
    osm(
        "osm_history_equatorial-guinea.geojsonl.gz",
        &[
            ("2010-01-01", 0),
            ("2012-01-01", 0),
            ("2014-01-01", 170),
            ("2016-01-01", 2_559),
            ("2020-01-01", 4_211),
        ],
    );
}

#[test]
fn snapshots_are_imported_twice_and_the_second_time_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    if let Some(file) = data("monaco_osm_2016.geojson.gz") {
        let store = dir.path().join("monaco");
        let store = store.to_str().unwrap();
        let summary = import(store, &file, &[]);
        assert_eq!(summary["versions"], 23_327);
        assert_eq!(count(store, &[]), 23_327);
        let again = import(store, &file, &[]);
        assert_eq!(
            (again["versions"].as_u64(), again["unchanged"].as_u64()),
            (Some(0), Some(23_327))
        );
    }
    let store = dir.path().join("new-york");
    let store = store.to_str().unwrap();
    let mut total = 0;
    for round in 0..2 {
        for (name, features) in [
            ("nypl_manhattan_1857.geojsonl.gz", 66_089),
            ("nypl_manhattan_midtowneast_1890.geojsonl.gz", 11_835),
            ("nypl_manhattan_downtown_1894.geojsonl.gz", 23_068),
            ("nypl_manhattan_eastvillage_1903.geojsonl.gz", 11_200),
        ] {
            let Some(file) = data(name) else { return };
            let summary = import(store, &file, &["--id", "layer+sheet+DN"]);
            let (written, unchanged) = if round == 0 {
                (features, 0)
            } else {
                (0, features)
            };
            assert_eq!(summary["versions"], written, "{name}, round {round}");
            assert_eq!(summary["unchanged"], unchanged, "{name}, round {round}");
            total += written;
        }
        assert_eq!(count(store, &[]), 112_192);
    }
    assert_eq!(total, 112_192);
}
