//! The real files beside the project, where they are present.

use std::collections::HashSet;
use std::path::PathBuf;

use super::{Bounds, DayEdge, Feature, FeatureReader, Format, Instant, Predicate, Rings, Rules};
use super::{Window, json_equal, meets, within, zone};

/// What is counted in one file.
#[derive(Debug, Default, PartialEq)]
struct Counts {
    features: u64,
    ids: usize,
    lines: u64,
    invalid_rings: u64,
}

/// Reads a file, checks what holds for every Feature of every file, and counts. `None` where the
/// file is not present.
fn count(name: &str, rules: &Rules, times: &[&str], area: Bounds) -> Option<Counts> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/data")
        .join(name);
    if !path.exists() {
        println!("skipped: {name} is not present");
        return None;
    }
    let window = Window::new(area.west, area.south, area.east, area.north).unwrap();
    let amsterdam = zone("Europe/Amsterdam").unwrap();
    let mut counts = Counts::default();
    let mut ids = HashSet::new();
    let mut reader = FeatureReader::open(path, Format::Auto).unwrap();
    while let Some(raw) = reader.next() {
        let raw = raw.unwrap();
        counts.features += 1;
        assert_eq!(raw.number, counts.features);
        let feature = Feature::parse(&raw.json, rules)
            .unwrap_or_else(|error| panic!("{}", reader.refuse(&raw, error)));
        ids.insert(feature.id().to_owned());
        for time in times {
            if let Some(text) = feature.property(time) {
                let instant = Instant::parse(&text, &amsterdam, DayEdge::Start).unwrap();
                assert_eq!(instant.is_day(), text.len() == 10);
            }
        }
        let payload = raw.json.as_bytes();
        let spaced = raw.json.replacen(':', " : ", 1);
        assert!(json_equal(payload, spaced.as_bytes()));
        let Some(extent) = feature.extent() else {
            assert_eq!(meets(payload, &window), None);
            continue;
        };
        assert_eq!((extent.floor, extent.top), (None, None));
        assert_eq!(
            (meets(payload, &window), within(payload, &window)),
            (Some(true), Some(true))
        );
        let Bounds {
            west,
            south,
            east,
            north,
        } = extent.bounds;
        let own = Window::new(west, south, east, north).unwrap();
        assert_eq!(within(payload, &own), Some(true));
        let beside = Window::new(east.next_up(), south, east + 1.0, north).unwrap();
        assert_eq!(meets(payload, &beside), Some(false));
        counts.lines += u64::from(raw.json.contains(r#""LineString""#));
        match feature.rings() {
            Rings::Sound => {}
            Rings::Invalid => counts.invalid_rings += 1,
            Rings::Unchecked => panic!("Feature {} was not checked", raw.number),
        }
    }
    let (at, len) = reader.position().unwrap();
    assert_eq!(at, len);
    counts.ids = ids.len();
    Some(counts)
}

fn id(properties: &str) -> Rules {
    Rules::default().with_id(properties).unwrap()
}

const fn area(west: f64, south: f64, east: f64, north: f64) -> Bounds {
    Bounds {
        west,
        south,
        east,
        north,
    }
}

#[test]
fn the_dutch_register_is_read() {
    let times = ["beginGeldigheid", "eindGeldigheid", "tijdstipRegistratie"];
    let name = "bag_doesburg_pand_history.geojsonl.gz";
    let Some(counts) = count(
        name,
        &id("identificatie"),
        &times,
        area(6.0, 51.9, 6.3, 52.2),
    ) else {
        return;
    };
    let expected = Counts {
        features: 13_098,
        ids: 7_797,
        invalid_rings: 4,
        ..Counts::default()
    };
    assert_eq!(counts, expected);
}

#[test]
fn openstreetmap_histories_are_read() {
    let times = ["valid_from", "valid_to"];
    for (name, area, expected) in [
        (
            "osm_history_faroe-islands.geojsonl.gz",
            area(-8.0, 61.0, -6.0, 63.0),
            Counts {
                features: 4_892,
                ids: 3_706,
                lines: 2,
                invalid_rings: 3,
            },
        ),
        (
            "osm_history_equatorial-guinea.geojsonl.gz",
            area(-12.0, -4.4, 11.4, 5.5),
            Counts {
                features: 4_701,
                ids: 4_258,
                lines: 2,
                invalid_rings: 6,
            },
        ),
    ] {
        let Some(counts) = count(name, &id("osm_id"), &times, area) else {
            continue;
        };
        assert_eq!(counts, expected, "{name}");
    }
}

#[test]
fn snapshots_that_are_collections_are_read() {
    for (name, features, area) in [
        (
            "monaco_osm_2016.geojson.gz",
            23_327,
            area(7.0, 43.0, 8.0, 44.0),
        ),
        (
            "liechtenstein_osm_2013.geojson.gz",
            3_723,
            area(9.0, 47.0, 10.0, 48.0),
        ),
    ] {
        let Some(counts) = count(name, &Rules::default(), &["@timestamp"], area) else {
            continue;
        };
        assert_eq!(counts.features, features, "{name}");
        assert_eq!(counts.ids as u64, features, "{name}");
    }
}

#[test]
fn new_york_atlases_are_read() {
    for (name, features, invalid_rings) in [
        ("nypl_manhattan_1857.geojsonl.gz", 66_089, 224),
        ("nypl_manhattan_midtowneast_1890.geojsonl.gz", 11_835, 25),
        ("nypl_manhattan_downtown_1894.geojsonl.gz", 23_068, 62),
        ("nypl_manhattan_eastvillage_1903.geojsonl.gz", 11_200, 13),
    ] {
        let rules = id("layer+sheet+DN");
        let Some(counts) = count(name, &rules, &[], area(-74.1, 40.6, -73.9, 40.9)) else {
            continue;
        };
        assert_eq!(
            (counts.features, counts.invalid_rings),
            (features, invalid_rings),
            "{name}"
        );
        assert_eq!(counts.ids as u64, features, "{name}");
    }
}

#[test]
fn removals_are_the_null_geometries() {
    let removed: Predicate = "event=deleted,untagged".parse().unwrap();
    let name = "osm_history_faroe-islands.geojsonl.gz";
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/data")
        .join(name);
    let Ok(reader) = FeatureReader::open(path, Format::GeoJsonLines) else {
        return;
    };
    for raw in reader {
        let raw = raw.unwrap();
        let is_null = raw.json.contains(r#""geometry":null"#);
        assert_eq!(removed.matches(raw.json.as_bytes()), is_null);
    }
}
