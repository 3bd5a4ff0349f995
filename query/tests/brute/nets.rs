//! Nets to ask: those of the real files, in memory, with what a plain list of them holds.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use blocknet_engine::{AsOf, Assertion, Commit, Extent, LayerId, Moment, Net, Valid, View};
use blocknet_geocode::NetSpec;
use rstar::primitives::{GeomWithData, Rectangle};
use rstar::{AABB, RTree};
use serde_json::Value;

/// How to read one file.
pub(crate) struct Source {
    pub(crate) file: &'static str,
    pub(crate) id: &'static [&'static str],
    pub(crate) from: Option<&'static str>,
    /// Random queries of each shape.
    pub(crate) queries: u32,
}

/// What is asserted of an entity: from when on, and where; `None` is absence.
type Fact = (i64, Option<Extent>);

/// A net, and what was put into it.
pub(crate) struct Filled {
    pub(crate) net: Net,
    facts: BTreeMap<String, Vec<Fact>>,
    _dir: tempfile::TempDir,
}

/// A record as the brute force knows it.
pub(crate) struct Known {
    pub(crate) id: String,
    pub(crate) extent: Extent,
    /// The printed geocode of its anchor.
    pub(crate) code: String,
}

/// A view, and all that it is to hold, by a list, by id and by an R-tree of boxes in degrees.
pub(crate) struct Snapshot<'a> {
    pub(crate) view: View<'a>,
    pub(crate) known: Vec<Known>,
    pub(crate) by_id: HashMap<String, usize>,
    tree: RTree<GeomWithData<Rectangle<[f64; 2]>, usize>>,
    /// Width and height of the box around everything, in degrees.
    pub(crate) span: (f64, f64),
}

/// Microseconds of a date, or of a time in UTC to the second, as the files have them.
fn micros(text: &str) -> i64 {
    let number = |range: std::ops::Range<usize>| -> i64 {
        text.get(range).map_or(0, |digits| digits.parse().unwrap())
    };
    // Years that begin in March end with the leap day.
    let month = number(5..7);
    let year = number(0..4) - i64::from(month <= 2);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + number(8..10) - 1;
    let days = year * 365 + year / 4 - year / 100 + year / 400 + of_year - 719_468;
    let seconds = number(11..13) * 3_600 + number(14..16) * 60 + number(17..19);
    (days * 86_400 + seconds) * 1_000_000
}

fn widen(coordinates: &Value, extent: &mut Extent) {
    let list = coordinates.as_array().unwrap();
    if let [Value::Number(x), Value::Number(y), ..] = list.as_slice() {
        let (x, y) = (x.as_f64().unwrap(), y.as_f64().unwrap());
        extent.west = extent.west.min(x);
        extent.south = extent.south.min(y);
        extent.east = extent.east.max(x);
        extent.north = extent.north.max(y);
        return;
    }
    for part in list {
        widen(part, extent);
    }
}

fn text_of(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// FNV-1a.
pub(crate) fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Heights that the files do not have, from a hash of the id: some unknown, some below zero, in
/// steps of half a metre, so that bands touch them.
pub(crate) fn with_heights(id: &str, extent: Extent) -> Extent {
    let hash = hash(id);
    let part = |shift: u32, bound: u64| {
        f64::from(u32::try_from((hash >> shift) % bound).expect("bounds are small"))
    };
    let floor = part(8, 120) / 2.0 - 30.0;
    let top = floor + part(24, 60) / 2.0;
    Extent {
        floor: (part(40, 5) > 0.0).then_some(floor),
        top: (part(48, 5) > 0.0).then_some(top),
        ..extent
    }
}

/// The facts of a file, in its order, which is that in which they became known.
fn read(path: &Path, source: &Source) -> Vec<(String, Fact)> {
    let file = std::fs::File::open(path).unwrap();
    let lines = BufReader::new(flate2::read::GzDecoder::new(file)).lines();
    let mut facts = Vec::new();
    for line in lines {
        let line = line.unwrap();
        // A collection has one feature a line.
        let line = line.trim_start_matches(r#"{"type":"FeatureCollection","features":["#);
        let mut features = serde_json::Deserializer::from_str(line).into_iter::<Value>();
        let Some(Ok(feature)) = features.next() else {
            continue;
        };
        let property = |name: &str| match name {
            "id" => &feature["id"],
            _ => &feature["properties"][name],
        };
        let parts: Vec<String> = source
            .id
            .iter()
            .map(|name| text_of(property(name)))
            .collect();
        let id = parts.join("/");
        let from = source
            .from
            .map_or(0, |name| micros(property(name).as_str().unwrap()));
        let gone = matches!(property("event").as_str(), Some("deleted" | "untagged"));
        let extent = (!gone && !feature["geometry"].is_null()).then(|| {
            let mut extent = Extent::flat(f64::MAX, f64::MAX, f64::MIN, f64::MIN);
            widen(&feature["geometry"]["coordinates"], &mut extent);
            with_heights(&id, extent)
        });
        facts.push((id, (from, extent)));
    }
    facts
}

impl Filled {
    /// A net in memory with these facts.
    pub(crate) fn with(facts: Vec<(String, Fact)>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let net = Net::builder()
            .tables_in_memory()
            .create(dir.path().join("net"), NetSpec::city())
            .unwrap();
        for part in facts.chunks(5_000) {
            let assertions = part.iter().map(|(id, (from, extent))| Assertion {
                extent: *extent,
                valid: Valid::from(Moment::from_micros(*from)),
                ..Assertion::absence(LayerId::MAIN, id.as_str())
            });
            net.commit(&Commit::new("shapes", assertions.collect()))
                .unwrap();
        }
        let mut by_id: BTreeMap<String, Vec<Fact>> = BTreeMap::new();
        for (id, fact) in facts {
            by_id.entry(id).or_default().push(fact);
        }
        Self {
            net,
            facts: by_id,
            _dir: dir,
        }
    }

    /// The net of a file, or `None` and a line that says so.
    pub(crate) fn of(source: &Source) -> Option<Self> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../shared/data")
            .join(source.file);
        if path.exists() {
            return Some(Self::with(read(&path, source)));
        }
        println!(
            "skipped: {} is not in ../shared/data beside the project",
            source.file
        );
        None
    }

    /// Moments at which something begins to hold: so far along the list of all of them, 0 to 1.
    pub(crate) fn moment(&self, numerator: usize, denominator: usize) -> i64 {
        let mut starts: Vec<i64> = self.facts.values().flatten().map(|fact| fact.0).collect();
        starts.sort_unstable();
        starts[(starts.len() - 1) * numerator / denominator]
    }

    /// A view at a moment. Of an entity the last fact to begin holds, and of several that begin
    /// together the one that became known last.
    pub(crate) fn at(&self, moment: i64) -> Snapshot<'_> {
        let view = self
            .net
            .view(AsOf::Newest, Moment::from_micros(moment))
            .unwrap();
        let mut known = Vec::new();
        for (id, facts) in &self.facts {
            let holds = facts
                .iter()
                .filter(|(from, _)| *from <= moment)
                .max_by_key(|(from, _)| *from);
            if let Some((_, Some(extent))) = holds {
                let spec = self.net.spec();
                known.push(Known {
                    id: id.clone(),
                    extent: *extent,
                    code: spec.format(&spec.encode(&extent.anchor()).unwrap()),
                });
            }
        }
        Snapshot::new(view, known)
    }

    /// A view valid now.
    pub(crate) fn now(&self) -> Snapshot<'_> {
        self.at(self.net.now().as_micros())
    }
}

impl<'a> Snapshot<'a> {
    fn new(view: View<'a>, known: Vec<Known>) -> Self {
        let boxes = known.iter().enumerate().map(|(index, known)| {
            let Extent {
                west,
                south,
                east,
                north,
                ..
            } = known.extent;
            GeomWithData::new(Rectangle::from_corners([west, south], [east, north]), index)
        });
        let tree = RTree::bulk_load(boxes.collect());
        let around = known.iter().fold(
            Extent::flat(f64::MAX, f64::MAX, f64::MIN, f64::MIN),
            |sum, known| Extent {
                west: sum.west.min(known.extent.west),
                south: sum.south.min(known.extent.south),
                east: sum.east.max(known.extent.east),
                north: sum.north.max(known.extent.north),
                ..sum
            },
        );
        Self {
            view,
            by_id: (0..)
                .zip(&known)
                .map(|(index, known)| (known.id.clone(), index))
                .collect(),
            known,
            tree,
            span: (around.east - around.west, around.north - around.south),
        }
    }

    /// The records whose boxes meet a box in degrees.
    pub(crate) fn near(
        &self,
        [west, south, east, north]: [f64; 4],
    ) -> impl Iterator<Item = usize> + '_ {
        self.tree
            .locate_in_envelope_intersecting(&AABB::from_corners([west, south], [east, north]))
            .map(|found| found.data)
    }

    /// The record whose box is nearest in degrees.
    pub(crate) fn nearest(&self, (longitude, latitude): (f64, f64)) -> &Known {
        let found = self.tree.nearest_neighbor(&[longitude, latitude]).unwrap();
        &self.known[found.data]
    }
}
