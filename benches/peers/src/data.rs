//! What both stores are filled with, and where they are asked.

use std::io::{BufRead as _, BufReader};
use std::path::Path;

use blocknet::Extent;
use blocknet::query::Window;

/// One record: a footprint.
pub(crate) struct Footprint {
    pub(crate) id: String,
    pub(crate) extent: Extent,
    pub(crate) payload: String,
}

impl Footprint {
    /// The same with another payload.
    pub(crate) fn changed(&self, round: usize) -> Self {
        Self {
            id: self.id.clone(),
            extent: self.extent,
            payload: format!("{},{{\"round\":{round}}}", self.payload),
        }
    }
}

/// `SplitMix64`.
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).expect("it is below a usize")
    }

    pub(crate) fn shuffle<T>(&mut self, values: &mut [T]) {
        for index in (1..values.len()).rev() {
            values.swap(index, self.below(index + 1));
        }
    }
}

/// The footprints of New York that the library traced from old maps, or a synthetic grid, and
/// what to call them.
pub(crate) fn footprints() -> (&'static str, Vec<Footprint>) {
    match new_york() {
        Some(found) => ("New York, building footprints from old maps", found),
        None => ("no real data in ../shared/data: a SYNTHETIC GRID", grid()),
    }
}

fn new_york() -> Option<Vec<Footprint>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let mut found = Vec::new();
    for name in [
        "1857",
        "downtown_1894",
        "eastvillage_1903",
        "midtowneast_1890",
    ] {
        let path = dir.join(format!("nypl_manhattan_{name}.geojsonl.gz"));
        let file = std::fs::File::open(path).ok()?;
        for line in BufReader::new(flate2::read::GzDecoder::new(file)).lines() {
            let payload = line.ok()?;
            let feature: serde_json::Value = serde_json::from_str(&payload).ok()?;
            let mut extent = [f64::MAX, f64::MAX, f64::MIN, f64::MIN];
            widen(&mut extent, &feature["geometry"]["coordinates"]);
            let [west, south, east, north] = extent;
            if west <= east {
                found.push(Footprint {
                    id: format!("{name}-{}", found.len()),
                    extent: Extent::flat(west, south, east, north),
                    payload,
                });
            }
        }
    }
    Some(found)
}

fn widen(extent: &mut [f64; 4], coordinates: &serde_json::Value) {
    let Some(list) = coordinates.as_array() else {
        return;
    };
    if let (Some(x), Some(y)) = (
        list.first().and_then(serde_json::Value::as_f64),
        list.get(1).and_then(serde_json::Value::as_f64),
    ) {
        *extent = [
            extent[0].min(x),
            extent[1].min(y),
            extent[2].max(x),
            extent[3].max(y),
        ];
        return;
    }
    for part in list {
        widen(extent, part);
    }
}

fn grid() -> Vec<Footprint> {
    (0..112_192_u32)
        .map(|n| {
            let west = -74.02 + 0.0003 * f64::from(n % 300);
            let south = 40.70 + 0.0003 * f64::from(n / 300);
            let id = format!("grid-{n}");
            Footprint {
                extent: Extent::flat(west, south, west + 0.0001, south + 0.0001),
                payload: format!(
                    "{{\"type\":\"Feature\",\"id\":\"{id}\",{:>540}}}",
                    "\"x\":0"
                ),
                id,
            }
        })
        .collect()
}

/// Windows of so many metres around random records.
pub(crate) fn windows(records: &[Footprint], metres: f64, count: usize, seed: u64) -> Vec<Window> {
    let mut rng = Rng(seed);
    (0..count)
        .map(|_| {
            let place = records[rng.below(records.len())].extent;
            let high = metres / 111_200.0 / 2.0;
            let wide = high / place.south.to_radians().cos();
            Window::flat(
                place.west - wide,
                place.south - high,
                place.west + wide,
                place.south + high,
            )
        })
        .collect()
}

/// The records in the order of a Z-curve through their centres.
pub(crate) fn along_z_curve(records: &[Footprint]) -> Vec<&Footprint> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "degrees scaled to 32 bits; a cast saturates"
    )]
    let scaled =
        |degrees: f64, half: f64| ((degrees + half) / (2.0 * half) * 4_294_967_295.0) as u32;
    let spread = |value: u32| {
        (0..32).fold(0_u64, |sum, bit| {
            sum | (u64::from(value >> bit & 1) << (2 * bit))
        })
    };
    let mut sorted: Vec<&Footprint> = records.iter().collect();
    sorted.sort_by_cached_key(|record| {
        let Extent {
            west,
            south,
            east,
            north,
            ..
        } = record.extent;
        let x = spread(scaled(f64::midpoint(west, east), 180.0));
        let y = spread(scaled(f64::midpoint(south, north), 90.0));
        x | y << 1
    });
    sorted
}
