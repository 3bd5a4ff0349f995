//! Logical distance: the exclusive or of codes, as the paper defines it.
//!
//! It is a metric (zero only for equal codes, symmetric, and no detour is shorter), cheap, and
//! tells how far up the tree two places part. It is not a distance on the ground: two places a
//! millimetre apart across the edge of a large cell are logically far apart. Ordering by it does
//! not give the nearest places; use a geodesic for that.

use crate::bits::Bits;
use crate::cell::Geocode;
use crate::curve::{deinterleave, interleave};
use crate::spec::NetSpec;
use std::fmt;

/// Logical distance in the plane: the exclusive or of two Morton codes, a number of up to 256
/// bits.
///
/// Equivalently, the bits of [`PlanarDistance::axes`] interleaved. Orders as the number does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlanarDistance(Bits);

impl PlanarDistance {
    /// The number, big-endian: byte order is its order.
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// The number rounded to `f64`: exact up to 2^53.
    pub fn to_f64(&self) -> f64 {
        self.0.to_f64()
    }

    /// The exclusive or of the columns and that of the rows, in finest cells.
    ///
    /// Each is at least the number of columns or rows between the places (not going round by the
    /// antimeridian), and less than the side of the smallest cell that holds both.
    pub fn axes(&self) -> (u128, u128) {
        deinterleave(self.0)
    }
}

impl fmt::Debug for PlanarDistance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (column, row) = self.axes();
        write!(f, "PlanarDistance(columns {column:#x}, rows {row:#x})")
    }
}

/// Logical distance in space: the planar one and the exclusive or of the altitude codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LogicalDistance {
    /// The distance in the plane.
    pub planar: PlanarDistance,
    /// The exclusive or of the altitude codes, in altitude steps; `None` if either is unknown or
    /// the net has no altitude.
    pub altitude: Option<u64>,
}

impl LogicalDistance {
    /// The paper's single number, by its "spatial geometric function": the square root of the sum
    /// of the squares of both parts. `None` if the altitude part is.
    ///
    /// A number without a unit: the planar part counts along interleaved bits, so it grows as an
    /// area does, and the altitude part counts steps. It compares pairs of one net only, and the
    /// planar part outweighs the other wherever places are more than a few cells apart. For
    /// anything measured in metres use a geodesic and the difference of heights.
    pub fn combined(&self) -> Option<f64> {
        let planar = self.planar.to_f64();
        #[expect(clippy::cast_precision_loss, reason = "the sum is rounded anyway")]
        let altitude = self.altitude? as f64;
        Some((planar * planar + altitude * altitude).sqrt())
    }
}

impl NetSpec {
    /// Logical distance of two geocodes of this net in the plane.
    ///
    /// Defined on columns and rows, so the answer does not depend on the net's curve.
    ///
    /// # Panics
    /// If a geocode belongs to another net.
    pub fn distance_2d(&self, a: &Geocode, b: &Geocode) -> PlanarDistance {
        self.assert_own(a);
        self.assert_own(b);
        let (a, b) = (self.indices(&a.planar()), self.indices(&b.planar()));
        PlanarDistance(interleave(a.0 ^ b.0, a.1 ^ b.1))
    }

    /// Logical distance of two geocodes of this net in space.
    ///
    /// # Panics
    /// If a geocode belongs to another net.
    pub fn distance_3d(&self, a: &Geocode, b: &Geocode) -> LogicalDistance {
        LogicalDistance {
            planar: self.distance_2d(a, b),
            altitude: a.altitude().zip(b.altitude()).map(|(a, b)| a ^ b),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::curve::CurveKind;
    use crate::testing::{AnyGeocode, net};
    use quickcheck::quickcheck;

    #[test]
    fn close_places_across_a_large_edge_are_logically_far() {
        let spec = NetSpec::city();
        let at = |column| spec.encode_indices(column, 0, Some(0)).unwrap();
        let across = spec.distance_2d(&at((1 << 31) - 1), &at(1 << 31));
        let apart = spec.distance_2d(&at(0), &at(1 << 30));
        assert_eq!(across.axes(), (u128::from(u32::MAX), 0));
        assert!(across > apart);
    }

    #[test]
    fn parts_combine_by_pythagoras_and_unknown_altitude_has_no_sum() {
        let spec = net(CurveKind::Hilbert, 2, 2);
        let geocode = |column, row, altitude| spec.encode_indices(column, row, altitude).unwrap();
        // Column and row differ in bit 0: interleaved 0b11. Altitudes 3 and 4 differ in three bits.
        let distance = spec.distance_3d(&geocode(0, 0, Some(3)), &geocode(1, 1, Some(4)));
        assert_eq!(distance.planar.to_bytes()[31], 3);
        assert_eq!(distance.altitude, Some(7));
        assert_eq!(distance.combined(), Some(58.0_f64.sqrt()));
        assert_eq!(
            format!("{:?}", distance.planar),
            "PlanarDistance(columns 0x1, rows 0x1)"
        );
        let unknown = spec.distance_3d(&geocode(0, 0, None), &geocode(1, 1, Some(5)));
        assert_eq!((unknown.altitude, unknown.combined()), (None, None));
    }

    #[test]
    fn longest_distance_stays_finite() {
        let spec = net(CurveKind::Morton, 64, 0);
        let corner = |index| spec.encode_indices(index, index, None).unwrap();
        let distance = spec.distance_2d(&corner(0), &corner(u128::MAX));
        assert_eq!(distance.to_bytes(), [0xff; 32]);
        let square = distance.to_f64() * distance.to_f64();
        assert!(square.is_finite());
    }

    quickcheck! {
        fn same_answer_under_both_curves(any: AnyGeocode) -> bool {
            let other = if any.spec.curve() == CurveKind::Morton {
                CurveKind::Hilbert
            } else {
                CurveKind::Morton
            };
            let twin = net(other, any.spec.planar_digits(), any.spec.altitude_digits());
            let recode = |geocode: &Geocode| {
                let (column, row) = any.spec.indices(&geocode.planar());
                twin.encode_indices(column, row, geocode.altitude()).unwrap()
            };
            any.spec.distance_3d(&any.geocode, &any.other)
                == twin.distance_3d(&recode(&any.geocode), &recode(&any.other))
        }

        fn planar_distance_is_a_metric(any: AnyGeocode) -> bool {
            let between = |a, b| any.spec.distance_2d(a, b);
            let (a, b, c) = (&any.geocode, &any.other, &any.third);
            // Without carries between bits, what holds on each axis holds for the whole.
            let axes = [between(a, c).axes(), between(a, b).axes(), between(b, c).axes()];
            let no_detour = |whole: u128, first: u128, second: u128| {
                first.checked_add(second).is_none_or(|sum| whole <= sum)
            };
            between(a, b) == between(b, a)
                && (between(a, b).to_bytes() == [0; 32]) == (a.planar() == b.planar())
                && no_detour(axes[0].0, axes[1].0, axes[2].0)
                && no_detour(axes[0].1, axes[1].1, axes[2].1)
        }

        fn planar_distance_bounds_the_number_of_cells_between(any: AnyGeocode) -> bool {
            let (a, b) = (any.geocode.planar(), any.other.planar());
            let (a, b) = (any.spec.indices(&a), any.spec.indices(&b));
            let (columns, rows) = any.spec.distance_2d(&any.geocode, &any.other).axes();
            a.0.abs_diff(b.0) <= columns && a.1.abs_diff(b.1) <= rows
        }

        fn under_morton_it_is_the_exclusive_or_of_the_codes(any: AnyGeocode) -> bool {
            let spec = net(CurveKind::Morton, any.spec.planar_digits(), 0);
            let code = |cell: &crate::Cell| Geocode::new(*cell, None);
            let (a, b) = (any.geocode.planar(), any.other.planar());
            let distance = spec.distance_2d(&code(&a), &code(&b)).to_bytes();
            let shift = 256 - 4 * u32::from(spec.planar_digits());
            let bytes = |cell: &crate::Cell| (cell.code() >> shift).to_bytes();
            let expected = bytes(&a).iter().zip(bytes(&b)).map(|(a, b)| a ^ b).collect::<Vec<u8>>();
            distance.to_vec() == expected
        }
    }
}
