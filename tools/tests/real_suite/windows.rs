//! Answers of window queries against a brute-force filter over all versions, on each real net.
//!
//! The brute force reads the files itself and knows nothing of keys, covers or tables: a list of
//! versions per entity, the last one whose interval holds the moment, and a plain test of boxes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read};
use std::path::Path;

use blocknet_engine::{AsOf, LayerId, Moment, Net};
use blocknet_query::{Altitude, Match, Selection, UnknownHeight, Window, search};
use serde_json::Value;

use crate::support::run::{Random, data, json};

/// One state or absence in the brute force.
struct Fact {
    from: i64,
    to: i64,
    /// West, south, east, north.
    plan: Option<[f64; 4]>,
}

/// How to read one file.
struct Source {
    file: &'static str,
    id: &'static [&'static str],
    from: Option<&'static str>,
    to: Option<&'static str>,
    removed: &'static [&'static str],
    import: &'static [&'static str],
}

const SOURCES: [Source; 4] = [
    Source {
        file: "bag_doesburg_pand_history.geojsonl.gz",
        id: &["identificatie"],
        from: Some("beginGeldigheid"),
        to: None,
        removed: &[],
        import: &["--id", "identificatie", "--valid-from", "beginGeldigheid"],
    },
    Source {
        file: "osm_history_faroe-islands.geojsonl.gz",
        id: &["osm_id"],
        from: Some("valid_from"),
        to: None,
        removed: &["deleted", "untagged"],
        import: &[
            "--id",
            "osm_id",
            "--valid-from",
            "valid_from",
            "--removed-when",
            "event=deleted,untagged",
        ],
    },
    Source {
        file: "osm_history_equatorial-guinea.geojsonl.gz",
        id: &["osm_id"],
        from: Some("valid_from"),
        to: Some("valid_to"),
        removed: &["deleted", "untagged"],
        import: &[
            "--id",
            "osm_id",
            "--valid-from",
            "valid_from",
            "--valid-to",
            "valid_to",
            "--removed-when",
            "event=deleted,untagged",
        ],
    },
    Source {
        file: "nypl_manhattan_downtown_1894.geojsonl.gz",
        id: &["layer", "sheet", "DN"],
        from: None,
        to: None,
        removed: &[],
        import: &["--id", "layer+sheet+DN"],
    },
];

fn micros(text: &str) -> i64 {
    let timestamp = text.parse::<jiff::Timestamp>().or_else(|_| {
        text.parse::<jiff::civil::Date>()
            .and_then(|date| date.to_zoned(jiff::tz::TimeZone::UTC))
            .map(|zoned| zoned.timestamp())
    });
    timestamp
        .expect("the files hold dates and UTC times")
        .as_microsecond()
}

fn positions(coordinates: &Value, plan: &mut [f64; 4]) {
    let Some(list) = coordinates.as_array() else {
        return;
    };
    if let [Value::Number(x), Value::Number(y), ..] = list.as_slice() {
        let (x, y) = (x.as_f64().unwrap(), y.as_f64().unwrap());
        *plan = [
            plan[0].min(x),
            plan[1].min(y),
            plan[2].max(x),
            plan[3].max(y),
        ];
        return;
    }
    for part in list {
        positions(part, plan);
    }
}

fn text_of(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// Reads a file into versions per entity, in the order of the file: open ends hold until the
/// entity's next valid-from, and of two versions with one valid-from the later stands.
fn brute(path: &Path, source: &Source) -> BTreeMap<String, Vec<Fact>> {
    let file = std::fs::File::open(path).unwrap();
    let lines: Box<dyn Read> = Box::new(flate2::read::GzDecoder::new(file));
    let mut entities: BTreeMap<String, Vec<Fact>> = BTreeMap::new();
    for line in BufReader::new(lines).lines() {
        let feature: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let property = |name: &str| &feature["properties"][name];
        let id: Vec<String> = source
            .id
            .iter()
            .map(|name| text_of(property(name)))
            .collect();
        let from = source
            .from
            .map_or(0, |name| micros(property(name).as_str().unwrap()));
        let to = source
            .to
            .and_then(|name| property(name).as_str())
            .map_or(i64::MAX, micros);
        let gone = property("event")
            .as_str()
            .is_some_and(|event| source.removed.contains(&event));
        let plan = (!gone && !feature["geometry"].is_null()).then(|| {
            let mut plan = [f64::MAX, f64::MAX, f64::MIN, f64::MIN];
            positions(&feature["geometry"]["coordinates"], &mut plan);
            plan
        });
        entities
            .entry(id.join("/"))
            .or_default()
            .push(Fact { from, to, plan });
    }
    for facts in entities.values_mut() {
        let starts: Vec<i64> = facts.iter().map(|fact| fact.from).collect();
        for fact in facts {
            if fact.to == i64::MAX {
                fact.to = starts
                    .iter()
                    .copied()
                    .filter(|s| *s > fact.from)
                    .min()
                    .unwrap_or(i64::MAX);
            }
        }
    }
    entities
}

fn expected(
    entities: &BTreeMap<String, Vec<Fact>>,
    window: &Window,
    altitude: Option<Altitude>,
    t: i64,
) -> BTreeSet<String> {
    let [west, south, east, north] = [window.west, window.south, window.east, window.north];
    entities
        .iter()
        .filter(|(_, facts)| {
            let answer = facts
                .iter()
                .rev()
                .find(|fact| fact.from <= t && t < fact.to);
            answer.and_then(|fact| fact.plan).is_some_and(|plan| {
                // No height is known in these files.
                let height = altitude.is_none_or(|band| band.unknown == UnknownHeight::Include);
                height && plan[0] <= east && plan[2] >= west && plan[1] <= north && plan[3] >= south
            })
        })
        .map(|(id, _)| id.clone())
        .collect()
}

#[test]
fn windows_answer_like_brute_force_on_real_nets() {
    let mut random = Random::seeded("windows on real nets");
    let root = tempfile::tempdir().unwrap();
    for source in &SOURCES {
        let Some(file) = data(source.file) else {
            continue;
        };
        let store = root.path().join(source.file);
        let path = store.to_str().unwrap();
        let mut args = vec!["import", path, file.to_str().unwrap(), "--create", "--json"];
        args.extend(source.import);
        json(&args);
        let entities = brute(&file, source);
        let plans: Vec<[f64; 4]> = entities
            .values()
            .flatten()
            .filter_map(|fact| fact.plan)
            .collect();
        let starts: Vec<i64> = entities.values().flatten().map(|fact| fact.from).collect();
        let any = |random: &mut Random, len: usize| {
            usize::try_from(random.below(u64::try_from(len).unwrap())).unwrap()
        };

        let net = Net::builder().open_read_only(&store).unwrap();
        let mut hits = 0;
        for n in 0..200 {
            // Around a record, so that windows are not empty; from a house to a country.
            let centre = plans[any(&mut random, plans.len())];
            let size = 10_f64.powf(-5.0 + 6.0 * random.share());
            let window = Window::flat(
                (centre[0] - size * random.share()).max(-180.0),
                (centre[1] - size * random.share()).max(-90.0),
                (centre[2] + size * random.share()).min(180.0),
                (centre[3] + size * random.share()).min(90.0),
            );
            let altitude = match n % 4 {
                0 => Some(Altitude::between(-5.0, 10.0)),
                1 => Some(Altitude {
                    unknown: UnknownHeight::Exclude,
                    ..Altitude::between(0.0, 1.0)
                }),
                _ => None,
            };
            // At a change, right before it, or now.
            let t = match (source.from, n % 3) {
                (None, _) | (_, 0) => net.now().as_micros(),
                (_, shift) => starts[any(&mut random, starts.len())] - shift + 1,
            };
            let view = net.view(AsOf::Newest, Moment::from_micros(t)).unwrap();
            let layers = [LayerId::MAIN];
            let selection = Selection {
                altitude,
                matching: Match::Meets,
                ..Selection::of(window)
            };
            let selection = selection.in_layers(&layers);
            let found: BTreeSet<String> = search(&view, &selection)
                .unwrap()
                .map(|record| record.unwrap().id)
                .collect();
            hits += found.len();
            assert_eq!(
                found,
                expected(&entities, &window, altitude, t),
                "{}: {window:?} {altitude:?} at {t}",
                source.file
            );
        }
        println!("{}: 200 windows, {hits} records", source.file);
        assert!(hits > 200, "the windows are too small to test anything");
    }
}
