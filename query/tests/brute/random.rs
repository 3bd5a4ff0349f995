//! Random numbers, places and polygons.

use geo::algorithm::Validation as _;

use super::nets::Snapshot;
use super::oracle::{Place, multi_polygon};

/// `SplitMix64`.
pub(crate) struct Rng(u64);

/// The number of queries in `BLOCKNET_RUNS`, or another.
pub(crate) fn runs(default: u32) -> u32 {
    std::env::var("BLOCKNET_RUNS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

/// The seed in `BLOCKNET_SEED`, or 0.
pub(crate) fn seed() -> u64 {
    std::env::var("BLOCKNET_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0)
}

impl Rng {
    /// One stream of numbers for each seed and use.
    pub(crate) fn of(usage: &str) -> Self {
        Self(seed() ^ super::nets::hash(usage))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number of 0 to below a bound.
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        u32::try_from(self.next() % u64::from(bound)).unwrap()
    }

    pub(crate) fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(len).unwrap()).unwrap()
    }

    /// A number of 0 to below 1.
    pub(crate) fn unit(&mut self) -> f64 {
        f64::from(u32::try_from(self.next() >> 32).unwrap()) / 4_294_967_296.0
    }

    /// A number between two, on either side of zero alike.
    pub(crate) fn within(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// A number between two, each power of ten as likely.
    pub(crate) fn scale(&mut self, low: f64, high: f64) -> f64 {
        low * (high / low).powf(self.unit())
    }

    /// A place not much farther than some degrees from the middle of a record.
    pub(crate) fn place_near(&mut self, snapshot: &Snapshot<'_>, degrees: f64) -> Place {
        let anchor = snapshot.known[self.index(snapshot.known.len())]
            .extent
            .anchor();
        (
            (anchor.longitude + degrees * self.within(-1.0, 1.0)).clamp(-180.0, 180.0),
            (anchor.latitude + degrees * self.within(-1.0, 1.0)).clamp(-90.0, 90.0),
        )
    }

    /// A ring that goes once around a place at differing distances, degrees of latitude.
    pub(crate) fn star(&mut self, (longitude, latitude): Place, radius: f64) -> Vec<Place> {
        let wide = radius / latitude.to_radians().cos().max(0.1);
        let corners = 3 + self.below(20);
        let turn = self.unit();
        (0..corners)
            .map(|corner| {
                let part = (f64::from(corner) + 0.5 * self.unit()) / f64::from(corners) + turn;
                let (sin, cos) = (part * std::f64::consts::TAU).sin_cos();
                let length = self.within(0.4, 1.0);
                (
                    (longitude + wide * length * cos).clamp(-180.0, 180.0),
                    (latitude + radius * length * sin).clamp(-90.0, 90.0),
                )
            })
            .collect()
    }

    /// The parts of a valid polygon of one to three stars about as large as given, with and without
    /// holes; some with positions on the borders of the net's cells or on corners of buildings.
    pub(crate) fn polygon(&mut self, snapshot: &Snapshot<'_>, radius: f64) -> Vec<Vec<Vec<Place>>> {
        loop {
            let centre = self.place_near(snapshot, radius);
            let count = [1, 1, 1, 2, 3][self.index(5)];
            let snap = self.below(3);
            let mut parts = Vec::new();
            for part in 0..count {
                // Beside the first one.
                let away = 2.5 * radius * f64::from(part) / centre.1.to_radians().cos().max(0.1);
                let middle = (centre.0 + away, centre.1);
                let outer = self.star(middle, radius);
                let mut rings = vec![outer];
                if self.below(2) == 0 {
                    let share = self.within(0.1, 0.8);
                    let inwards = |&(x, y): &Place| {
                        (
                            middle.0 + share * (x - middle.0),
                            middle.1 + share * (y - middle.1),
                        )
                    };
                    rings.push(rings[0].iter().map(inwards).collect());
                }
                parts.push(rings);
            }
            let digits = 8 + i32::try_from(self.below(5)).unwrap();
            for at in parts.iter_mut().flatten().flatten() {
                match snap {
                    0 => {
                        let (wide, high) = (360.0 / 4_f64.powi(digits), 180.0 / 4_f64.powi(digits));
                        *at = ((at.0 / wide).round() * wide, (at.1 / high).round() * high);
                    }
                    1 => {
                        let corner = snapshot.nearest(*at).extent;
                        *at = (corner.east, corner.north);
                    }
                    _ => {}
                }
            }
            // Snapping may have made it one that crosses itself.
            if parts
                .iter()
                .flatten()
                .all(|ring| ring.windows(2).any(|pair| pair[0] != pair[1]))
                && multi_polygon(&parts).is_valid()
            {
                return parts;
            }
        }
    }
}
