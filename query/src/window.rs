//! Boxes in space, and the exact test of an extent against them.

use blocknet_engine::Extent;

/// What an altitude band does with entities whose floor or top is unknown, so that they might or
/// might not reach into it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownHeight {
    /// Returns them, and counts them.
    #[default]
    Include,
    /// Leaves them out.
    Exclude,
}

/// How an extent is to lie to a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Match {
    /// The two share a point; touching is enough.
    #[default]
    Meets,
    /// The extent lies inside; touching the border from inside is inside.
    Within,
}

/// A closed box of longitude and latitude in degrees, with an altitude band in metres or without.
/// A `west` greater than `east` crosses the antimeridian.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    /// Western edge, -180 to 180.
    pub west: f64,
    /// Southern edge, -90 to 90.
    pub south: f64,
    /// Eastern edge, -180 to 180.
    pub east: f64,
    /// Northern edge, at least `south`.
    pub north: f64,
    /// Lowest and highest altitude, either of which may be infinite.
    pub altitude: Option<(f64, f64)>,
    /// What to do with entities whose height is unknown, when there is an altitude band.
    pub unknown_height: UnknownHeight,
}

/// What a window says of an extent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Out,
    In,
    /// In by longitude and latitude; floor or top would have to be known to say more.
    Unknown,
}

impl Window {
    /// A window at all altitudes.
    pub fn flat(west: f64, south: f64, east: f64, north: f64) -> Self {
        Self {
            west,
            south,
            east,
            north,
            altitude: None,
            unknown_height: UnknownHeight::Include,
        }
    }

    /// The same window between two altitudes.
    #[must_use]
    pub fn between(self, lowest: f64, highest: f64) -> Self {
        Self {
            altitude: Some((lowest, highest)),
            ..self
        }
    }

    /// Says what is wrong with the window, if anything.
    ///
    /// # Errors
    /// A sentence naming the value out of range.
    pub fn check(&self) -> Result<(), String> {
        for (what, value, limit) in [
            ("west", self.west, 180.0),
            ("east", self.east, 180.0),
            ("south", self.south, 90.0),
            ("north", self.north, 90.0),
        ] {
            // Written so that NaN is refused as well.
            if !(-limit..=limit).contains(&value) {
                return Err(format!(
                    "{what} is {value}; it must lie from -{limit} to {limit}"
                ));
            }
        }
        if self.south > self.north {
            return Err(format!(
                "south {} lies north of north {}",
                self.south, self.north
            ));
        }
        if let Some((lowest, highest)) = self.altitude
            && (lowest > highest || lowest.is_nan() || highest.is_nan())
        {
            return Err(format!(
                "the altitude band {lowest}..{highest} is inverted or not a number"
            ));
        }
        Ok(())
    }

    /// The one or two spans of longitude it covers, neither of which crosses the antimeridian.
    pub(crate) fn spans(&self) -> impl Iterator<Item = (f64, f64)> {
        let crossing = self.west > self.east;
        let first = if crossing {
            (self.west, 180.0)
        } else {
            (self.west, self.east)
        };
        std::iter::once(first).chain(crossing.then_some((-180.0, self.east)))
    }

    pub(crate) fn verdict(&self, extent: &Extent, matching: Match) -> Verdict {
        let fits = |(west, east): (f64, f64)| match matching {
            Match::Meets => {
                extent.west <= east
                    && extent.east >= west
                    && extent.south <= self.north
                    && extent.north >= self.south
            }
            Match::Within => {
                extent.west >= west
                    && extent.east <= east
                    && extent.south >= self.south
                    && extent.north <= self.north
            }
        };
        if !self.spans().any(fits) {
            return Verdict::Out;
        }
        let Some((lowest, highest)) = self.altitude else {
            return Verdict::In;
        };
        // What is known may rule an extent out although the rest is unknown.
        let out = match matching {
            Match::Meets => {
                extent.floor.is_some_and(|floor| floor > highest)
                    || extent.top.is_some_and(|top| top < lowest)
            }
            Match::Within => {
                let outside = |metres: f64| metres < lowest || metres > highest;
                extent.floor.is_some_and(outside) || extent.top.is_some_and(outside)
            }
        };
        if out {
            Verdict::Out
        } else if extent.floor.is_some() && extent.top.is_some() {
            Verdict::In
        } else {
            Verdict::Unknown
        }
    }

    /// Whether an extent is to be returned.
    pub fn takes(&self, extent: &Extent, matching: Match) -> bool {
        match self.verdict(extent, matching) {
            Verdict::Out => false,
            Verdict::In => true,
            Verdict::Unknown => self.unknown_height == UnknownHeight::Include,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn touching_meets_and_crossing_windows_have_two_parts() {
        let house = Extent::flat(1.0, 1.0, 2.0, 2.0);
        assert!(Window::flat(2.0, 2.0, 3.0, 3.0).takes(&house, Match::Meets));
        assert!(!Window::flat(2.1, 0.0, 3.0, 3.0).takes(&house, Match::Meets));
        assert!(Window::flat(1.0, 1.0, 2.0, 2.0).takes(&house, Match::Within));
        assert!(!Window::flat(1.5, 0.0, 3.0, 3.0).takes(&house, Match::Within));
        let crossing = Window::flat(170.0, -10.0, -170.0, 10.0);
        for (longitude, taken) in [(175.0, true), (-175.0, true), (180.0, true), (0.0, false)] {
            assert_eq!(
                crossing.takes(&Extent::point(longitude, 0.0), Match::Meets),
                taken,
                "{longitude}"
            );
        }
    }

    #[test]
    fn unknown_heights_are_taken_or_left_but_what_is_known_counts() {
        let flat = Extent::point(0.0, 0.0);
        let include = Window::flat(-1.0, -1.0, 1.0, 1.0).between(10.0, 20.0);
        let exclude = Window {
            unknown_height: UnknownHeight::Exclude,
            ..include
        };
        let takes = |extent: &Extent| {
            (
                include.takes(extent, Match::Meets),
                exclude.takes(extent, Match::Meets),
            )
        };
        assert_eq!(takes(&flat), (true, false));
        assert_eq!(
            takes(&Extent {
                floor: Some(21.0),
                ..flat
            }),
            (false, false)
        );
        assert_eq!(
            takes(&Extent {
                top: Some(9.0),
                ..flat
            }),
            (false, false)
        );
        assert_eq!(
            takes(&Extent {
                floor: Some(5.0),
                ..flat
            }),
            (true, false)
        );
        assert_eq!(takes(&flat.between(0.0, 10.0)), (true, true));
        assert_eq!(takes(&flat.between(0.0, 9.9)), (false, false));
    }

    #[test]
    fn bad_windows_are_named() {
        for (window, word) in [
            (Window::flat(-181.0, 0.0, 0.0, 1.0), "west"),
            (Window::flat(0.0, f64::NAN, 0.0, 1.0), "south"),
            (Window::flat(0.0, 2.0, 0.0, 1.0), "south"),
            (
                Window::flat(0.0, 0.0, 1.0, 1.0).between(2.0, 1.0),
                "altitude",
            ),
        ] {
            assert!(window.check().unwrap_err().contains(word), "{window:?}");
        }
        Window::flat(0.0, 0.0, 0.0, 0.0)
            .between(f64::NEG_INFINITY, 3.0)
            .check()
            .unwrap();
    }
}
