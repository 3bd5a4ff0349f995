//! Distances in metres on the WGS 84 ellipsoid from places to lines and boxes of longitude and
//! latitude, and bounds of them.
//!
//! Distances between two places are those of Karney, "Algorithms for geodesics" (J. Geodesy 87,
//! 2013), good to 15 nanometres, by the crate `geographiclib-rs`. Lines are those of RFC 7946,
//! straight in degrees, and so are the sides of boxes: few of them are geodesics. Longitudes may
//! differ by full turns.
//!
//! Three facts carry what follows.
//! * From a place to a parallel, the distance grows with the difference of longitude up to 180
//!   degrees: by Clairaut's relation a shortest line that sets out eastwards arrives eastwards.
//! * Along a meridian at a difference of longitude of up to 88 degrees it falls to a foot and grows
//!   from there, and from 92 degrees on it has no foot but the poles, as on a sphere. The ellipsoid
//!   departs from the sphere only within 0.3 degrees of 90, 90 times its flattening.
//! * No curve is shorter than the one through the same longitudes and latitudes on a sphere of the
//!   least radius of curvature, that along the meridian at the equator: both the radius along the
//!   meridian and that across it are larger everywhere. So distances on this sphere are lower bounds.

use std::sync::LazyLock;

use geographiclib_rs::{Geodesic, InverseGeodesic};

use crate::rect::Rect;

/// (longitude, latitude) in degrees.
type Place = (f64, f64);

static EARTH: LazyLock<Geodesic> = LazyLock::new(Geodesic::wgs84);

/// Half the larger axis of the ellipsoid.
const EQUATORIAL_METRES: f64 = 6_378_137.0;
const FLATTENING: f64 = 1.0 / 298.257_223_563;
const ECCENTRICITY_SQUARED: f64 = FLATTENING * (2.0 - FLATTENING);

/// A little less than the least radius of curvature, 6,335,439.327 m.
const LEAST_RADIUS_METRES: f64 = 6_335_439.0;
/// A little more than the largest radius of curvature, 6,399,593.626 m at the poles.
const LARGEST_RADIUS_METRES: f64 = 6_399_594.0;
/// A little more than the largest distance there is, half a meridian.
const HALF_MERIDIAN_METRES: f64 = 20_003_931.5;

/// Up to this difference of longitude the distance along a meridian has one foot.
const ONE_FOOT_DEGREES: f64 = 88.0;
/// From this difference of longitude on it has none, and is least at an end.
const NO_FOOT_DEGREES: f64 = 92.0;
/// From this distance on, in radians, the sphere is no guide to where the distance is least.
const FAR_ANGLE: f64 = 1.4;

/// The distance between two places.
///
/// # Cost
/// About a microsecond.
pub(crate) fn between(a: Place, b: Place) -> f64 {
    EARTH.inverse(a.1, a.0, b.1, b.0)
}

/// The distance from a place to the nearest point of the line from `a` to `b`.
///
/// It is the distance of a point of the line, so never too small, and less than a micrometre too
/// large for lines of a few degrees. The foot is sought by Newton's method from each place where
/// the distance on a sphere, taken every quarter of a degree, is less than around.
///
/// # Cost
/// One to three times [`between`] as a rule, a quarter of it more for each degree of the line; places
/// more than 80 degrees away cost more.
pub(crate) fn to_segment(p: Place, a: Place, b: Place) -> f64 {
    let line = Line { a, b };
    let eye = Eye::new(p);
    let pieces = line.pieces(0.25);
    let mut angles: Vec<f64> = cuts(pieces).map(|t| eye.angle(line.at(t))).collect();
    if angles.iter().all(|&angle| angle > FAR_ANGLE) {
        // A quarter of the way around the Earth the distance hardly bends along a line, and the
        // ellipsoid bends it otherwise than the sphere.
        angles = line.true_angles(p, pieces);
    }
    line.least(&eye, &angles)
}

/// The distance from a place to the nearest point of a closed box; 0 inside.
///
/// It is the distance of a point of the box, so never too small, and less than a micrometre too
/// large.
///
/// # Cost
/// Once [`between`]; three times if the nearest point is inside the western or eastern side; some
/// ten times or more if that side is 88 to 92 degrees of longitude away.
pub(crate) fn to_rect(p: Place, rect: &Rect) -> f64 {
    let (longitude, apart) = nearest_longitude(p.0, rect);
    if apart <= 0.0 {
        // The shortest line runs along the meridian.
        if rect.south <= p.1 && p.1 <= rect.north {
            return 0.0;
        }
        return between(p, (p.0, p.1.max(rect.south).min(rect.north)));
    }
    let side = Line {
        a: (longitude, rect.south),
        b: (longitude, rect.north),
    };
    if rect.south >= rect.north {
        between(p, side.a)
    } else if apart <= ONE_FOOT_DEGREES {
        let foot = Eye::new(p).foot(apart);
        let start = (foot - rect.south) / (rect.north - rect.south);
        side.descend(p, start.clamp(0.0, 1.0), 1.0)
    } else if apart < NO_FOOT_DEGREES {
        side.least(&Eye::new(p), &side.true_angles(p, side.pieces(2.5)))
    } else {
        between(p, side.a).min(between(p, side.b))
    }
}

/// An upper bound of the distance from a place to the farthest point of a closed box.
///
/// It is that distance, but for a millionth of a millionth more and at most a micrometre, if all of
/// the box is within 88 degrees of longitude; elsewhere it is larger by up to half the height of
/// the box, and at most half a meridian. For a box that is a point it is [`between`].
///
/// # Cost
/// Twice [`between`].
pub(crate) fn farthest(p: Place, rect: &Rect) -> f64 {
    let (west, east) = (turn(p.0, rect.west).abs(), turn(p.0, rect.east).abs());
    let (_, opposite) = nearest_longitude(p.0 + 180.0, rect);
    let (longitude, apart) = if opposite <= 0.0 {
        (p.0 + 180.0, 180.0)
    } else if west >= east {
        (rect.west, west)
    } else {
        (rect.east, east)
    };
    let south = between(p, (longitude, rect.south));
    if rect.west >= rect.east && rect.south >= rect.north {
        return south;
    }
    let ends = south.max(between(p, (longitude, rect.north)));
    // What grows from a foot to both sides is largest at an end. Otherwise: no point of the side
    // is farther from an end than half its height.
    let beyond = if apart <= ONE_FOOT_DEGREES {
        0.0
    } else {
        (rect.north - rect.south).to_radians() / 2.0 * LARGEST_RADIUS_METRES
    };
    let rounding = (ends * 1e-12).min(1e-6);
    (ends + beyond + rounding).min(HALF_MERIDIAN_METRES)
}

/// The least distance between the line from `a` to `b` and a closed box; 0 if they share a point,
/// which is tested exactly.
///
/// One of the two nearest points is an end of the line or a corner of the box: along a line in
/// degrees, the distance to a parallel north or south of it is least at an end, and so is that to a
/// meridian, since on a sphere its sine is a product of a cosine of latitude and a sine of a
/// difference of longitude, whose logarithms are concave.
///
/// # Cost
/// One or two times [`to_rect`] and none to four times [`to_segment`].
pub(crate) fn segment_to_rect(a: Place, b: Place, rect: &Rect) -> f64 {
    if rect.is_touched(a, b) {
        return 0.0;
    }
    let mut least = to_rect(a, rect);
    if lower_bound_rect(b, rect) < least {
        least = least.min(to_rect(b, rect));
    }
    let around = Rect::around(a, b);
    for corner in rect.corners() {
        if lower_bound_rect(corner, &around) < least {
            least = least.min(to_segment(corner, a, b));
        }
    }
    least
}

/// A lower bound of [`to_rect`], less than it by 1.1 per cent at most and a micrometre: the
/// distance on the sphere of the least radius.
///
/// # Cost
/// About a tenth of [`between`].
pub(crate) fn lower_bound_rect(p: Place, rect: &Rect) -> f64 {
    let (_, apart) = nearest_longitude(p.0, rect);
    let clamped = |latitude: f64| latitude.max(rect.south).min(rect.north);
    let angle = if apart <= 0.0 {
        (p.1 - clamped(p.1)).abs().to_radians()
    } else {
        let eye = Eye::new(p);
        if apart < 90.0 {
            eye.angle_of(clamped(eye.foot(apart)), apart)
        } else {
            let south = eye.angle_of(rect.south, apart);
            south.min(eye.angle_of(rect.north, apart))
        }
    };
    // The radius is rounded down by more than all that may be rounded up, but where differences of
    // longitude are near their last place, 3 nanometres.
    (angle * LEAST_RADIUS_METRES - 1e-6).max(0.0)
}

/// An upper bound of [`to_rect`] from its [`lower_bound_rect`]: the same way on the sphere of the
/// largest radius of curvature, on which every curve is longer than on the ellipsoid.
pub(crate) fn upper_bound(lower_bound: f64) -> f64 {
    (lower_bound + 2e-6) * (LARGEST_RADIUS_METRES / LEAST_RADIUS_METRES) + 1e-6
}

/// One or two boxes that hold every place within a distance of `p`: two if the antimeridian lies
/// between, and all longitudes if a pole is reached.
///
/// The boxes are those of a cap on the sphere of the least radius, so wider than need be by up to
/// 1.1 per cent, and by about a tenth of a millimetre to be safe of rounding. A distance of half the
/// Earth's circumference or more, or one that is not a number, gives the whole world.
pub(crate) fn cap_windows(p: Place, metres: f64) -> Vec<Rect> {
    const MARGIN_DEGREES: f64 = 1e-9;
    let angle = metres.max(0.0) / LEAST_RADIUS_METRES;
    let degrees = angle.to_degrees() * (1.0 + 1e-12) + MARGIN_DEGREES;
    if metres.is_nan() || degrees >= 180.0 {
        return vec![Rect::new(-180.0, -90.0, 180.0, 90.0)];
    }
    let (south, north) = (p.1 - degrees, p.1 + degrees);
    let latitudes = (south.max(-90.0), north.min(90.0));
    let window = |west: f64, east: f64| Rect::new(west, latitudes.0, east, latitudes.1);
    if south <= -90.0 || north >= 90.0 {
        return vec![window(-180.0, 180.0)];
    }
    // The meridian that touches the cap: Napier's rule for the right angle there.
    let ratio = degrees.to_radians().sin() / p.1.to_radians().cos();
    let half = ratio.min(1.0).asin().to_degrees() * (1.0 + 1e-12) + MARGIN_DEGREES;
    let middle = turn(0.0, p.0);
    let (west, east) = (middle - half, middle + half);
    if west < -180.0 {
        vec![window(west + 360.0, 180.0), window(-180.0, east)]
    } else if east > 180.0 {
        vec![window(west, 180.0), window(-180.0, east - 360.0)]
    } else {
        vec![window(west, east)]
    }
}

/// From one longitude to another in degrees, -180 to 180.
fn turn(from: f64, to: f64) -> f64 {
    let turn = (to - from) % 360.0;
    if turn > 180.0 {
        turn - 360.0
    } else if turn < -180.0 {
        turn + 360.0
    } else {
        turn
    }
}

/// The longitude of a box that is nearest to a longitude, and how far it is, 0 to 180 degrees.
fn nearest_longitude(longitude: f64, rect: &Rect) -> (f64, f64) {
    let folded = turn(0.0, longitude);
    let spanned = [folded, folded - 360.0, folded + 360.0]
        .iter()
        .any(|&longitude| rect.west <= longitude && longitude <= rect.east);
    if spanned {
        return (longitude, 0.0);
    }
    let west = turn(longitude, rect.west).abs();
    let east = turn(longitude, rect.east).abs();
    if west <= east {
        (rect.west, west)
    } else {
        (rect.east, east)
    }
}

/// The radii in metres of the meridian's curvature and of the parallel at a latitude with this sine
/// and cosine.
fn radii(sin: f64, cos: f64) -> (f64, f64) {
    let squared = 1.0 - ECCENTRICITY_SQUARED * sin * sin;
    let across = EQUATORIAL_METRES / squared.sqrt();
    (
        across * (1.0 - ECCENTRICITY_SQUARED) / squared,
        across * cos,
    )
}

/// A place to look from, on a sphere.
struct Eye {
    place: Place,
    sin: f64,
    cos: f64,
}

impl Eye {
    fn new(place: Place) -> Self {
        let (sin, cos) = place.1.to_radians().sin_cos();
        Self { place, sin, cos }
    }

    /// The angle in radians to a latitude at a difference of longitude (haversine formula).
    fn angle_of(&self, latitude: f64, apart: f64) -> f64 {
        let up = ((latitude - self.place.1).to_radians() / 2.0).sin();
        let aside = (apart.to_radians() / 2.0).sin();
        let squared = up * up + self.cos * latitude.to_radians().cos() * aside * aside;
        2.0 * squared.sqrt().min(1.0).asin()
    }

    fn angle(&self, place: Place) -> f64 {
        self.angle_of(place.1, place.0 - self.place.0)
    }

    /// The latitude in degrees of the foot on the meridian at a difference of longitude below 90
    /// degrees.
    fn foot(&self, apart: f64) -> f64 {
        let along = self.cos * apart.to_radians().cos();
        self.sin.atan2(along).to_degrees()
    }
}

/// A line, straight in degrees: its points are numbered from 0 at `a` to 1 at `b`.
struct Line {
    a: Place,
    b: Place,
}

/// The ends of so many pieces of equal length.
fn cuts(pieces: u16) -> impl Iterator<Item = f64> {
    (0..=pieces).map(move |cut| f64::from(cut) / f64::from(pieces))
}

/// How the distance to a point of a line changes with the number of the point.
struct Probe {
    metres: f64,
    slope: f64,
    bend: f64,
    /// Metres along the line.
    speed: f64,
}

impl Line {
    fn at(&self, t: f64) -> Place {
        if t >= 1.0 {
            return self.b;
        }
        // Rounding must not carry a point over the pole.
        let latitude = self.a.1 + t * (self.b.1 - self.a.1);
        (
            self.a.0 + t * (self.b.0 - self.a.0),
            latitude.clamp(-90.0, 90.0),
        )
    }

    /// How many pieces to cut it into so that none is longer than some degrees, but not more than
    /// the Earth has degrees.
    fn pieces(&self, degrees: f64) -> u16 {
        let length = (self.b.0 - self.a.0).abs().max((self.b.1 - self.a.1).abs());
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "2 to 360; not a number becomes 0, which is one piece of no use"
        )]
        let pieces = (length / degrees).ceil().clamp(2.0, 360.0) as u16;
        pieces
    }

    /// The distances to the ends of pieces, as angles.
    fn true_angles(&self, p: Place, pieces: u16) -> Vec<f64> {
        cuts(pieces)
            .map(|t| between(p, self.at(t)) / EQUATORIAL_METRES)
            .collect()
    }

    /// The least distance, given the angles to the ends of pieces of equal length.
    fn least(&self, eye: &Eye, angles: &[f64]) -> f64 {
        let end = angles.len() - 1;
        let pieces = u16::try_from(end).expect("at most 360");
        let step = 1.0 / f64::from(pieces);
        let step_angle =
            ((self.b.0 - self.a.0).abs() + (self.b.1 - self.a.1).abs()).to_radians() * step;
        let least_angle = angles.iter().copied().fold(f64::INFINITY, f64::min);
        // Where the ellipsoid may have the nearest point, although the sphere has it elsewhere.
        let near_angle = least_angle * LARGEST_RADIUS_METRES / LEAST_RADIUS_METRES + step_angle;
        let mut least = f64::INFINITY;
        for (t, (cut, &angle)) in cuts(pieces).zip(angles.iter().enumerate()) {
            let falls = cut == 0 || angle < angles[cut - 1];
            let rises = cut == end || angle <= angles[cut + 1];
            if falls && rises && angle <= near_angle {
                let start = self.foot(eye, t, step);
                least = least.min(self.descend(eye.place, start, step));
            }
        }
        least
    }

    /// The foot of the perpendicular in the plane, if it lies within a step of the point `t`, else
    /// that point.
    fn foot(&self, eye: &Eye, t: f64, step: f64) -> f64 {
        let (meridian, parallel) = radii(eye.sin, eye.cos);
        let from = self.at(t);
        let away = (
            turn(eye.place.0, from.0) * parallel,
            (from.1 - eye.place.1) * meridian,
        );
        let along = (
            (self.b.0 - self.a.0) * parallel,
            (self.b.1 - self.a.1) * meridian,
        );
        let squared = along.0 * along.0 + along.1 * along.1;
        let back = (away.0 * along.0 + away.1 * along.1) / squared;
        let start = if back.abs() <= step { t - back } else { t };
        start.clamp(0.0, 1.0)
    }

    /// The least distance downhill from a point: Newton's method for the foot, kept between points
    /// from which the distance falls inwards, and halving where it would leave these. `step` is how
    /// far to go where the distance bends the wrong way.
    fn descend(&self, p: Place, start: f64, step: f64) -> f64 {
        const PROBES_MAX: u32 = 60;
        let (mut low, mut high) = (0.0, 1.0);
        let (mut low_known, mut high_known) = (false, false);
        let mut least = f64::INFINITY;
        let mut t = start;
        for _ in 0..PROBES_MAX {
            let probe = self.probe(p, t);
            least = least.min(probe.metres);
            if probe.slope > 0.0 {
                (high, high_known) = (t, true);
            } else {
                (low, low_known) = (t, true);
            }
            // At an end that is nearer than all around it, or on the place itself, where there is no
            // direction to it.
            if low >= high || probe.metres < 1e-7 {
                break;
            }
            let wanted = if probe.bend > 0.0 {
                t - probe.slope / probe.bend
            } else {
                t - step * probe.slope.signum()
            };
            let next = if wanted > low && wanted < high {
                wanted
            } else if wanted <= low && !low_known {
                low
            } else if wanted >= high && !high_known {
                high
            } else {
                f64::midpoint(low, high)
            };
            // The distance is stationary at the foot: half the square of this is left.
            if (next - t).abs() * probe.speed <= 1e-8 * probe.metres {
                break;
            }
            t = next;
        }
        least
    }

    /// The distance to a point, and its first and second derivatives.
    ///
    /// The distance grows with the component of the motion along the shortest line. It bends with
    /// the square of the component across, by the curvature of the circle around the place, which is
    /// the geodesic scale over the reduced length (Karney 2013, section 3), and with the line's own
    /// acceleration: lines in degrees are no geodesics. The change of the meridian's radius, under a
    /// hundredth, is left out.
    fn probe(&self, p: Place, t: f64) -> Probe {
        let at = self.at(t);
        let (metres, _, azimuth, reduced, _, scale, _) = EARTH.inverse(p.1, p.0, at.1, at.0);
        let (sin, cos) = at.1.to_radians().sin_cos();
        let (meridian, parallel) = radii(sin, cos);
        let turning = (self.b.0 - self.a.0).to_radians();
        let climbing = (self.b.1 - self.a.1).to_radians();
        let (east, north) = (parallel * turning, meridian * climbing);
        let (away_east, away_north) = f64::to_radians(azimuth).sin_cos();
        let across = east * away_north - north * away_east;
        let bend_east = -2.0 * meridian * sin * climbing * turning;
        let bend_north = parallel * sin * turning * turning;
        Probe {
            metres,
            slope: east * away_east + north * away_north,
            bend: scale / reduced * across * across
                + bend_east * away_east
                + bend_north * away_north,
            speed: east.hypot(north),
        }
    }
}

#[cfg(test)]
mod tests;
