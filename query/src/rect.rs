//! Boxes of longitude and latitude, and the exact tests of a straight line against them.
//!
//! Signs are computed exactly (Shewchuk 1997, by the crate `robust`), so there is no tolerance: a
//! line that touches a corner touches it. The one limit is underflow, at differences of less than
//! about 1e-140 degrees.
#![expect(
    clippy::float_cmp,
    reason = "coordinates are compared as they are given"
)]

use robust::{Coord, orient2d};

/// A box of longitude and latitude in degrees: west not above east, so never across the
/// antimeridian. It may be a line or a point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rect {
    pub(crate) west: f64,
    pub(crate) south: f64,
    pub(crate) east: f64,
    pub(crate) north: f64,
}

/// How a closed box lies to a closed shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Relation {
    /// They have no point in common.
    Apart,
    /// They have a point in common.
    Meets,
    /// The box lies wholly in the shape, whose border is part of it.
    Within,
}

impl Rect {
    pub(crate) fn new(west: f64, south: f64, east: f64, north: f64) -> Self {
        Self {
            west,
            south,
            east,
            north,
        }
    }

    /// The smallest box around two positions (longitude, latitude).
    pub(crate) fn around(a: (f64, f64), b: (f64, f64)) -> Self {
        Self::new(a.0.min(b.0), a.1.min(b.1), a.0.max(b.0), a.1.max(b.1))
    }

    /// The smallest box around two.
    pub(crate) fn join(&self, other: &Self) -> Self {
        Self {
            west: self.west.min(other.west),
            south: self.south.min(other.south),
            east: self.east.max(other.east),
            north: self.north.max(other.north),
        }
    }

    /// The box with so many degrees more on either side, as far as there are any.
    pub(crate) fn widened(&self, wide: f64, high: f64) -> Self {
        Self {
            west: (self.west - wide).max(-180.0),
            south: (self.south - high).max(-90.0),
            east: (self.east + wide).min(180.0),
            north: (self.north + high).min(90.0),
        }
    }

    /// The corners (longitude, latitude), counterclockwise from the southwest.
    pub(crate) fn corners(&self) -> [(f64, f64); 4] {
        [
            (self.west, self.south),
            (self.east, self.south),
            (self.east, self.north),
            (self.west, self.north),
        ]
    }

    /// The middle, rounded: of a box only a few units of the last place wide it may be a corner.
    #[cfg(test)]
    pub(crate) fn centre(&self) -> (f64, f64) {
        (
            f64::midpoint(self.west, self.east),
            f64::midpoint(self.south, self.north),
        )
    }

    /// Whether two closed boxes share a point.
    pub(crate) fn meets(&self, other: &Self) -> bool {
        self.west <= other.east
            && self.east >= other.west
            && self.south <= other.north
            && self.north >= other.south
    }

    /// Whether the box lies inside another; touching its border from inside is inside.
    pub(crate) fn within(&self, outer: &Self) -> bool {
        self.west >= outer.west
            && self.east <= outer.east
            && self.south >= outer.south
            && self.north <= outer.north
    }

    /// Whether the line from `a` to `b`, its ends included, shares a point with the closed box.
    pub(crate) fn is_touched(&self, a: (f64, f64), b: (f64, f64)) -> bool {
        if !self.meets(&Self::around(a, b)) {
            return false;
        }
        // Two convex sets are apart exactly if one of the directions across their sides separates
        // them. The sides of the box were tested, the line is left.
        self.sides(a, b)
            .is_none_or(|(one, other)| !(one > 0.0 && other > 0.0 || one < 0.0 && other < 0.0))
    }

    /// Whether the line from `a` to `b` enters the box without its border. Of a box that is a line
    /// the border is its two ends, and an edge enters it by crossing it from one side to the other;
    /// no edge enters a point.
    pub(crate) fn is_entered(&self, a: (f64, f64), b: (f64, f64)) -> bool {
        a.0.min(b.0) < self.east
            && a.0.max(b.0) > self.west
            && a.1.min(b.1) < self.north
            && a.1.max(b.1) > self.south
            && self
                .sides(a, b)
                .is_none_or(|(one, other)| one > 0.0 && other < 0.0 || one < 0.0 && other > 0.0)
    }

    /// On which sides of the line through `a` and `b` the two corners farthest to either side of it
    /// lie: the signs count. None if the line runs along an axis.
    fn sides(&self, a: (f64, f64), b: (f64, f64)) -> Option<(f64, f64)> {
        if a.0 == b.0 || a.1 == b.1 {
            return None;
        }
        let rising = (a.0 < b.0) == (a.1 < b.1);
        let (one, other) = if rising {
            ((self.west, self.north), (self.east, self.south))
        } else {
            ((self.west, self.south), (self.east, self.north))
        };
        Some((side(a, b, one), side(a, b, other)))
    }
}

/// Positive if `c` lies to the left of the line from `a` to `b`, negative to the right, zero on it:
/// the sign is exact.
pub(crate) fn side(a: (f64, f64), b: (f64, f64), c: (f64, f64)) -> f64 {
    let [a, b, c] = [a, b, c].map(|(x, y)| Coord { x, y });
    orient2d(a, b, c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closed_boxes_meet_where_they_touch() {
        let rect = Rect::new(0.0, 0.0, 2.0, 1.0);
        assert!(rect.meets(&Rect::new(2.0, 1.0, 3.0, 3.0)));
        assert!(!rect.meets(&Rect::new(2.1, 1.0, 3.0, 3.0)));
        assert!(Rect::new(0.0, 0.0, 1.0, 1.0).within(&rect));
        assert!(!Rect::new(-0.1, 0.0, 1.0, 1.0).within(&rect));
        assert_eq!(rect.centre(), (1.0, 0.5));
        assert_eq!(Rect::around((2.0, 0.0), (0.0, 1.0)), rect);
        assert_eq!(rect.corners()[2], (2.0, 1.0));
    }

    #[test]
    fn a_line_through_a_corner_touches_and_does_not_enter() {
        let rect = Rect::new(0.0, 0.0, 2.0, 2.0);
        for (a, b, touched, entered) in [
            ((-1.0, 1.0), (1.0, 3.0), true, false),
            ((-1.0, 1.0), (1.0, 3.0_f64.next_up()), false, false),
            ((-1.0, 1.0), (1.0, 3.0_f64.next_down()), true, true),
            ((0.0, -1.0), (0.0, 3.0), true, false),
            ((1.0, -1.0), (1.0, 3.0), true, true),
            ((0.5, 0.5), (1.0, 1.5), true, true),
            ((2.0, 2.0), (3.0, 3.0), true, false),
            ((2.0, 2.0), (2.0, 2.0), true, false),
            ((3.0, 0.0), (4.0, 1.0), false, false),
            ((0.0, 0.0), (2.0, 2.0), true, true),
        ] {
            for (a, b) in [(a, b), (b, a)] {
                assert_eq!(rect.is_touched(a, b), touched, "{a:?} {b:?}");
                assert_eq!(rect.is_entered(a, b), entered, "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn a_line_is_entered_by_what_crosses_it_and_a_point_by_nothing() {
        let line = Rect::new(0.0, 0.0, 2.0, 0.0);
        assert!(line.is_entered((0.0, -1.0), (2.0, 1.0)));
        assert!(line.is_entered((1.0, -1.0), (1.0, 1.0)));
        assert!(!line.is_entered((0.0, -1.0), (0.0, 1.0)));
        assert!(!line.is_entered((0.0, 0.0), (2.0, 1.0)));
        assert!(!line.is_entered((0.5, 0.0), (1.0, 0.0)));
        assert!(line.is_touched((0.5, 0.0), (1.0, 0.0)));
        let point = Rect::new(1.0, 1.0, 1.0, 1.0);
        assert!(point.is_touched((0.0, 0.0), (3.0, 3.0)));
        assert!(!point.is_entered((0.0, 0.0), (3.0, 3.0)));
        assert!(!point.is_touched((0.0, 0.0), (3.0, 3.1)));
    }
}
