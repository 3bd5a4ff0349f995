//! What is right, by other means than those of the crate: `geo` for polygons, and distances by
//! search along the sides of a box with `geographiclib_rs`.

use std::sync::LazyLock;

use blocknet_engine::Extent;
use geo::algorithm::{Intersects as _, Relate as _};
use geo::{Geometry, MultiPolygon, Polygon, PreparedGeometry};
use geographiclib_rs::{Geodesic, InverseGeodesic as _};

/// (longitude, latitude) in degrees.
pub(crate) type Place = (f64, f64);

/// Two distances this near to each other may be taken for equal.
pub(crate) const TOLERANCE_METRES: f64 = 0.001;

static EARTH: LazyLock<Geodesic> = LazyLock::new(Geodesic::wgs84);

/// Whether a record is to be an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Out,
    In,
    /// Too near to the border to say.
    Either,
}

impl Verdict {
    pub(crate) fn of(holds: bool) -> Self {
        if holds { Self::In } else { Self::Out }
    }

    /// Whether a distance found by search is at most another.
    pub(crate) fn at_most(found: f64, metres: f64) -> Self {
        if (found - metres).abs() <= TOLERANCE_METRES {
            Self::Either
        } else {
            Self::of(found < metres)
        }
    }
}

/// The geodesic distance between two places.
pub(crate) fn metres(a: Place, b: Place) -> f64 {
    EARTH.inverse(a.1, a.0, b.1, b.0)
}

/// Where a function of one dip is least between two numbers, to within a tolerance: golden section.
pub(crate) fn golden(low: f64, high: f64, tolerance: f64, f: impl Fn(f64) -> f64) -> f64 {
    const SHARE: f64 = 0.618_033_988_749_894_8;
    let (mut low, mut high) = (low, high);
    let mut left = high - SHARE * (high - low);
    let mut right = low + SHARE * (high - low);
    let (mut at_left, mut at_right) = (f(left), f(right));
    while high - low > tolerance {
        if at_left <= at_right {
            (high, right, at_right) = (right, left, at_left);
            left = high - SHARE * (high - low);
            at_left = f(left);
        } else {
            (low, left, at_left) = (left, right, at_right);
            right = low + SHARE * (high - low);
            at_right = f(right);
        }
    }
    // The ends themselves are never tried.
    [low, high, f64::midpoint(low, high)]
        .into_iter()
        .min_by(|a, b| f(*a).total_cmp(&f(*b)))
        .expect("there are three")
}

/// The distance from a place to the nearest point of a box of less than a quarter of the Earth.
pub(crate) fn to_box(p: Place, extent: &Extent) -> f64 {
    let inside = (
        p.0.clamp(extent.west, extent.east),
        p.1.clamp(extent.south, extent.north),
    );
    if inside == p {
        return 0.0;
    }
    let clamped = metres(p, inside);
    if inside.0.to_bits() == p.0.to_bits() {
        // The shortest way runs along the meridian.
        return clamped;
    }
    // The nearest point of a meridian lies a little nearer to the pole than the place.
    let side = |latitude: f64| metres(p, (inside.0, latitude));
    clamped.min(side(golden(extent.south, extent.north, 1e-9, side)))
}

/// The distance from a place to the farthest point of a box, a corner.
pub(crate) fn to_farthest(p: Place, extent: &Extent) -> f64 {
    [
        (extent.west, extent.south),
        (extent.east, extent.south),
        (extent.east, extent.north),
        (extent.west, extent.north),
    ]
    .into_iter()
    .map(|corner| metres(p, corner))
    .fold(0.0, f64::max)
}

/// About [`to_box`], as on a map, to look only at what is near: see [`surely`].
pub(crate) fn flat(p: Place, extent: &Extent) -> f64 {
    let inside = (
        p.0.clamp(extent.west, extent.east),
        p.1.clamp(extent.south, extent.north),
    );
    // The radii of curvature halfway: along the meridian, and across it by the cosine.
    let (sin, cos) = f64::midpoint(p.1, inside.1).to_radians().sin_cos();
    let squared = 1.0 - 0.006_694_379_990_14 * sin * sin;
    let across = 6_378_137.0 / squared.sqrt();
    let along = across * (1.0 - 0.006_694_379_990_14) / squared;
    let east = (p.0 - inside.0).to_radians() * across * cos;
    east.hypot((p.1 - inside.1).to_radians() * along)
}

/// By how much [`flat`] may be wrong, as a factor: outside of high latitudes.
pub(crate) fn doubt(flat: f64) -> f64 {
    if flat < 20_000.0 {
        1.001
    } else if flat < 100_000.0 {
        1.05
    } else {
        1.5
    }
}

/// What the distance on a map says of a distance, if anything.
pub(crate) fn surely(flat: f64, metres: f64) -> Option<Verdict> {
    let doubt = doubt(flat);
    if flat * doubt < metres {
        Some(Verdict::In)
    } else if flat > metres * doubt + 0.01 {
        Some(Verdict::Out)
    } else {
        None
    }
}

/// A box in degrees that holds all that is within a distance of a box.
pub(crate) fn around([west, south, east, north]: [f64; 4], metres: f64) -> [f64; 4] {
    let high = metres / 100_000.0 + 1e-6;
    let farthest = (south.abs().max(north.abs()) + high).min(89.0);
    let wide = high / farthest.to_radians().cos();
    [west - wide, south - high, east + wide, north + high]
}

/// The least distance between a line straight in degrees and a box: the line is sampled densely,
/// and searched around the sample that is nearest on a map.
pub(crate) fn line_to_box(a: Place, b: Place, metres_wanted: f64, extent: &Extent) -> Verdict {
    const SAMPLES_MAX: f64 = 2_000.0;
    let at = |t: f64| (a.0 + t * (b.0 - a.0), a.1 + t * (b.1 - a.1));
    let samples = (200.0 * metres(a, b) / metres_wanted)
        .ceil()
        .clamp(1.0, SAMPLES_MAX);
    // A sample is at most half a step from the nearest point.
    let step = metres(a, b) / samples;
    let far = (metres_wanted + step) * 1.01 + 0.01;
    let (mut near, mut t) = (f64::INFINITY, 0.0);
    let mut sample = 0.0;
    while sample <= samples {
        let here = flat(at(sample / samples), extent);
        if here * doubt(here) < metres_wanted {
            return Verdict::In;
        }
        if here < near {
            (near, t) = (here, sample / samples);
        }
        // Samples that are too near to this one to be of interest are passed over.
        sample += ((here - near.min(far)) / (1.1 * step)).floor().max(1.0);
    }
    if near > far {
        return Verdict::Out;
    }
    let reach = 5.0 / samples;
    let (low, high) = ((t - reach).max(0.0), (t + reach).min(1.0));
    let tolerance = (0.0001 / metres(a, b).max(0.0001)).max(1e-12);
    let on_map = |t: f64| flat(at(t), extent);
    let near = near.min(on_map(golden(low, high, tolerance, on_map)));
    if let Some(verdict) = surely(near, metres_wanted) {
        return verdict;
    }
    let exact = |t: f64| to_box(at(t), extent);
    let found = exact(golden(low, high, tolerance, exact));
    Verdict::at_most(found.min(exact(0.0)).min(exact(1.0)), metres_wanted)
}

/// A box as `geo` has it: a polygon, a line or a point.
pub(crate) fn geometry(extent: &Extent) -> Geometry {
    let (southwest, northeast) = ((extent.west, extent.south), (extent.east, extent.north));
    if southwest == northeast {
        geo::Point::from(southwest).into()
    } else if extent.west >= extent.east || extent.south >= extent.north {
        geo::Line::new(southwest, northeast).into()
    } else {
        geo::Rect::new(southwest, northeast).to_polygon().into()
    }
}

/// The parts of a polygon as `geo` has them.
pub(crate) fn multi_polygon(parts: &[Vec<Vec<Place>>]) -> MultiPolygon {
    let ring = |ring: &Vec<Place>| ring.iter().copied().collect::<geo::LineString>();
    let polygons = parts
        .iter()
        .map(|rings| Polygon::new(ring(&rings[0]), rings[1..].iter().map(ring).collect()));
    MultiPolygon::new(polygons.collect())
}

/// Whether a box and a polygon share a point.
pub(crate) fn meets(polygon: &MultiPolygon, extent: &Extent) -> bool {
    polygon.intersects(&geometry(extent))
}

/// Whether a part of a polygon covers a box.
pub(crate) fn covers(parts: &[Part<'_>], extent: &Extent) -> bool {
    let geometry = geometry(extent);
    parts.iter().any(|part| part.relate(&geometry).is_covers())
}

/// A part of a polygon, made ready to be related to many boxes.
pub(crate) type Part<'p> = PreparedGeometry<'p, &'p Polygon>;

/// The parts of a polygon, made ready.
pub(crate) fn prepared(polygon: &MultiPolygon) -> Vec<Part<'_>> {
    polygon.iter().map(PreparedGeometry::from).collect()
}

/// The oracle of the oracle: the least distance to many places of the border, and that the map is
/// no more wrong than it is taken to be.
#[test]
fn distances_by_search_are_those_of_the_nearest_place_of_the_border() {
    let mut rng = super::random::Rng::of("oracle");
    for _ in 0..500 {
        let (x, y) = (rng.within(-20.0, 20.0), rng.within(-5.0, 64.0));
        let size = rng.scale(1e-5, 0.1);
        let extent = Extent::flat(x, y, x + size * rng.unit(), y + size * rng.unit());
        let away = rng.scale(1e-5, 0.5);
        let p = (
            x + away * rng.within(-1.0, 1.0),
            y + away * rng.within(-1.0, 1.0),
        );
        let found = to_box(p, &extent);
        let map = flat(p, &extent);
        let doubt = doubt(map);
        assert!(
            found <= map * doubt && map <= found * doubt,
            "{p:?} {extent:?}"
        );
        if map <= 0.0 {
            continue;
        }
        let mut least = f64::INFINITY;
        for sample in 0..=500 {
            let share = f64::from(sample) / 500.0;
            let at = (
                extent.west + share * (extent.east - extent.west),
                extent.south + share * (extent.north - extent.south),
            );
            for place in [
                (extent.west, at.1),
                (extent.east, at.1),
                (at.0, extent.south),
                (at.0, extent.north),
            ] {
                least = least.min(metres(p, place));
            }
        }
        let step = size * 112_000.0 / 500.0;
        assert!(
            found <= least + 1e-6 && least <= found + step,
            "{found} {least}: {p:?} {extent:?}"
        );
    }
}
