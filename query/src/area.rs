//! Areas: boxes, polygons, circles, corridors, cells and blocks; altitude bands; and the exact
//! test of an extent against them.

use std::sync::Arc;

use blocknet_engine::Extent;
use blocknet_geocode::{Block, Cell, NetSpec};

use crate::geodesic;
use crate::polygon::Polygon;
use crate::rect::{Rect, Relation};

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

/// How an extent is to lie to an area.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Match {
    /// The two share a point; touching is enough.
    #[default]
    Meets,
    /// The extent lies inside; touching the border from inside is inside.
    Within,
}

/// A closed box of longitude and latitude in degrees. A `west` greater than `east` crosses the
/// antimeridian.
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
}

/// Everything within a distance of a place, along the ellipsoid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Circle {
    /// Longitude of the centre, -180 to 180 degrees.
    pub longitude: f64,
    /// Latitude of the centre, -90 to 90 degrees.
    pub latitude: f64,
    /// Radius in metres, 0 or more; half the Earth's circumference and more is everything.
    pub metres: f64,
}

/// Everything within a distance of lines that are straight in longitude and latitude, as RFC 7946
/// has them.
#[derive(Clone, Debug)]
pub struct Corridor {
    segments: Vec<Segment>,
    metres: f64,
}

#[derive(Clone, Copy, Debug)]
struct Segment {
    from: (f64, f64),
    to: (f64, f64),
    /// Boxes outside of which nothing is near enough.
    reach: [Option<Rect>; 2],
}

impl Corridor {
    /// Most positions of all lines together.
    pub const POSITIONS_MAX: usize = 100_000;

    /// A corridor of `metres` either side of lines, each of (longitude, latitude) in degrees.
    ///
    /// # Errors
    /// A sentence naming what is out of range, or that there is nothing to go along.
    pub fn new(lines: &[Vec<(f64, f64)>], metres: f64) -> Result<Self, String> {
        check_distance("the buffer", metres)?;
        let positions: usize = lines.iter().map(Vec::len).sum();
        if positions > Self::POSITIONS_MAX {
            return Err(format!(
                "the lines have {positions} positions; at most {} are allowed",
                Self::POSITIONS_MAX
            ));
        }
        let mut segments = Vec::new();
        for line in lines {
            for &(longitude, latitude) in line {
                check_place(longitude, latitude)?;
            }
            if let &[only] = line.as_slice() {
                segments.push(Segment::new(only, only, metres));
            }
            for pair in line.windows(2) {
                segments.push(Segment::new(pair[0], pair[1], metres));
            }
        }
        if segments.is_empty() {
            return Err("there is no line to go along".to_owned());
        }
        Ok(Self { segments, metres })
    }

    fn bounds(&self) -> Vec<Rect> {
        let mut bounds: [Option<Rect>; 2] = [None, None];
        for rect in self
            .segments
            .iter()
            .flat_map(|segment| segment.reach)
            .flatten()
        {
            // One box on either side of the antimeridian, where the lines come near it.
            let side = usize::from(rect.west <= -180.0 && rect.east < 0.0);
            bounds[side] = Some(bounds[side].map_or(rect, |sum| sum.join(&rect)));
        }
        bounds.into_iter().flatten().collect()
    }

    fn relation(&self, rect: &Rect) -> Relation {
        let mut relation = Relation::Apart;
        for segment in &self.segments {
            if !segment
                .reach
                .iter()
                .flatten()
                .any(|reach| reach.meets(rect))
            {
                continue;
            }
            if relation == Relation::Apart
                && geodesic::segment_to_rect(segment.from, segment.to, rect) <= self.metres
            {
                relation = Relation::Meets;
            }
            // What is near one straight piece is convex on the scale of a degree.
            let small = rect.east - rect.west < 1.0 && rect.north - rect.south < 1.0;
            if small
                && rect.corners().iter().all(|corner| {
                    geodesic::to_segment(*corner, segment.from, segment.to) <= self.metres
                })
            {
                return Relation::Within;
            }
        }
        relation
    }
}

impl Segment {
    fn new(from: (f64, f64), to: (f64, f64), metres: f64) -> Self {
        let line = Rect {
            west: from.0.min(to.0),
            south: from.1.min(to.1),
            east: from.0.max(to.0),
            north: from.1.max(to.1),
        };
        // No place of the line reaches beyond what its corners do: the one nearest to a pole
        // reaches over the most longitude.
        let mut reach: [Option<Rect>; 2] = [Some(line), None];
        for corner in line.corners() {
            for cap in geodesic::cap_windows(corner, metres) {
                let beyond = cap.east < line.west || cap.west > line.east;
                let side = usize::from(beyond);
                reach[side] = Some(reach[side].map_or(cap, |sum| sum.join(&cap)));
            }
        }
        Self { from, to, reach }
    }
}

/// Where to look.
#[derive(Clone, Debug, Default)]
pub enum Area {
    /// At all places.
    #[default]
    Everywhere,
    /// In a box.
    Window(Window),
    /// In polygons.
    Polygon(Arc<Polygon>),
    /// Around a place.
    Circle(Circle),
    /// Along lines.
    Corridor(Arc<Corridor>),
    /// In a cell: what is *filed* there, by the centre of its extent. For what reaches into it, take
    /// a window of its bounds.
    Cell(Cell),
    /// In a block, likewise.
    Block(Block),
}

impl From<Window> for Area {
    fn from(window: Window) -> Self {
        Self::Window(window)
    }
}

impl From<Polygon> for Area {
    fn from(polygon: Polygon) -> Self {
        Self::Polygon(Arc::new(polygon))
    }
}

impl From<Circle> for Area {
    fn from(circle: Circle) -> Self {
        Self::Circle(circle)
    }
}

impl From<Corridor> for Area {
    fn from(corridor: Corridor) -> Self {
        Self::Corridor(Arc::new(corridor))
    }
}

/// An altitude band in metres, closed; either end may be infinite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Altitude {
    /// Lowest altitude.
    pub lowest: f64,
    /// Highest altitude, at least `lowest`.
    pub highest: f64,
    /// What to do with entities whose height is unknown.
    pub unknown: UnknownHeight,
}

/// What an altitude band says of an extent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Out,
    In,
    /// Floor or top would have to be known to say more.
    Unknown,
}

impl Altitude {
    /// A band that includes what is of unknown height.
    pub fn between(lowest: f64, highest: f64) -> Self {
        Self {
            lowest,
            highest,
            unknown: UnknownHeight::Include,
        }
    }

    /// Says what is wrong with the band, if anything.
    ///
    /// # Errors
    /// A sentence naming the ends.
    pub fn check(&self) -> Result<(), String> {
        // Written so that NaN is refused as well.
        if self.lowest <= self.highest {
            return Ok(());
        }
        Err(format!(
            "the altitude band {}..{} is inverted or not a number",
            self.lowest, self.highest
        ))
    }

    pub(crate) fn verdict(&self, extent: &Extent, matching: Match) -> Verdict {
        // What is known may rule an extent out although the rest is unknown.
        let out = match matching {
            Match::Meets => {
                extent.floor.is_some_and(|floor| floor > self.highest)
                    || extent.top.is_some_and(|top| top < self.lowest)
            }
            Match::Within => {
                let outside = |metres: f64| metres < self.lowest || metres > self.highest;
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

    /// Whether an extent lies to the band as asked.
    pub fn takes(&self, extent: &Extent, matching: Match) -> bool {
        match self.verdict(extent, matching) {
            Verdict::Out => false,
            Verdict::In => true,
            Verdict::Unknown => self.unknown == UnknownHeight::Include,
        }
    }
}

impl Window {
    /// A window from its sides.
    pub fn flat(west: f64, south: f64, east: f64, north: f64) -> Self {
        Self {
            west,
            south,
            east,
            north,
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
        Ok(())
    }

    /// The one or two boxes it comes to, neither of which crosses the antimeridian.
    fn boxes(&self) -> impl Iterator<Item = Rect> {
        let Self {
            west,
            south,
            east,
            north,
        } = *self;
        let rect = move |west, east| Rect {
            west,
            south,
            east,
            north,
        };
        let crossing = west > east;
        let first = rect(west, if crossing { 180.0 } else { east });
        std::iter::once(first).chain(crossing.then_some(rect(-180.0, east)))
    }

    /// Whether an extent lies to the window as asked.
    pub fn takes(&self, extent: &Extent, matching: Match) -> bool {
        let relation = relation_to(self.boxes(), &rect_of(extent));
        match matching {
            Match::Meets => relation != Relation::Apart,
            Match::Within => relation == Relation::Within,
        }
    }
}

pub(crate) fn rect_of(extent: &Extent) -> Rect {
    Rect {
        west: extent.west,
        south: extent.south,
        east: extent.east,
        north: extent.north,
    }
}

fn relation_to(boxes: impl Iterator<Item = Rect>, rect: &Rect) -> Relation {
    let relations = boxes.map(|part| {
        if rect.within(&part) {
            Relation::Within
        } else if rect.meets(&part) {
            Relation::Meets
        } else {
            Relation::Apart
        }
    });
    relations.max().unwrap_or(Relation::Apart)
}

fn check_place(longitude: f64, latitude: f64) -> Result<(), String> {
    if (-180.0..=180.0).contains(&longitude) && (-90.0..=90.0).contains(&latitude) {
        return Ok(());
    }
    Err(format!(
        "{longitude},{latitude} is no place: longitudes lie from -180 to 180 and latitudes from \
         -90 to 90"
    ))
}

fn check_distance(what: &str, metres: f64) -> Result<(), String> {
    if metres >= 0.0 {
        return Ok(());
    }
    Err(format!("{what} is {metres} metres; it must be 0 or more"))
}

impl Circle {
    /// A circle.
    pub fn new((longitude, latitude): (f64, f64), metres: f64) -> Self {
        Self {
            longitude,
            latitude,
            metres,
        }
    }

    pub(crate) fn centre(&self) -> (f64, f64) {
        (self.longitude, self.latitude)
    }

    /// Says what is wrong with the circle, if anything.
    ///
    /// # Errors
    /// A sentence naming the value out of range.
    pub fn check(&self) -> Result<(), String> {
        check_place(self.longitude, self.latitude)?;
        check_distance("the radius", self.metres)
    }

    /// Whether the nearest point of a box lies inside. Most boxes are settled by bounds.
    pub(crate) fn meets(&self, rect: &Rect) -> bool {
        let centre = self.centre();
        let least = geodesic::lower_bound_rect(centre, rect);
        least <= self.metres
            && (geodesic::upper_bound(least) <= self.metres
                || geodesic::to_rect(centre, rect) <= self.metres)
    }

    pub(crate) fn relation(&self, rect: &Rect) -> Relation {
        if !self.meets(rect) {
            Relation::Apart
        } else if geodesic::farthest(self.centre(), rect) <= self.metres {
            Relation::Within
        } else {
            Relation::Meets
        }
    }
}

/// A ring around a place: what a search for the nearest looks at next. Open inside: what is at
/// `inner` metres was found before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ring {
    pub(crate) inner: f64,
    pub(crate) outer: Circle,
}

impl Ring {
    /// How the places of a box lie to the ring. `Apart` also where all of the box lies inside.
    fn relation(&self, rect: &Rect) -> Relation {
        let relation = self.outer.relation(rect);
        let centre = self.outer.centre();
        if relation == Relation::Apart || self.inner < 0.0 {
            return relation;
        }
        let inner = Circle::new(centre, self.inner);
        if !inner.meets(rect) {
            relation
        } else if geodesic::farthest(centre, rect) <= self.inner {
            Relation::Apart
        } else {
            Relation::Meets
        }
    }

    /// Whether the nearest point of a box lies in it.
    fn takes(&self, rect: &Rect) -> bool {
        self.outer.meets(rect)
            && (self.inner < 0.0 || !Circle::new(self.outer.centre(), self.inner).meets(rect))
    }
}

/// An area in a net, with all that narrows it: what the planner covers and the scan tests.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) spec: NetSpec,
    pub(crate) area: Area,
    pub(crate) altitude: Option<Altitude>,
    pub(crate) matching: Match,
    pub(crate) ring: Option<Ring>,
}

impl Area {
    /// Says what is wrong with the area, if anything.
    ///
    /// # Errors
    /// A sentence naming the value out of range.
    pub fn check(&self, spec: &NetSpec) -> Result<(), String> {
        match self {
            Self::Window(window) => window.check(),
            Self::Circle(circle) => circle.check(),
            Self::Cell(cell) if cell.digits() > spec.planar_digits() => Err(format!(
                "the prefix {cell} has {} digits; planar codes of this net have {}",
                cell.digits(),
                spec.planar_digits()
            )),
            Self::Everywhere
            | Self::Polygon(_)
            | Self::Corridor(_)
            | Self::Cell(_)
            | Self::Block(_) => Ok(()),
        }
    }

    /// Whether something filed under `level`, its centre in `cell`, can be in the area: which
    /// blocks a verification of the area has to look at.
    pub fn may_hold(&self, spec: &NetSpec, cell: &Cell, level: u8) -> bool {
        let target = Target {
            spec: *spec,
            area: self.clone(),
            altitude: None,
            matching: Match::default(),
            ring: None,
        };
        target.filed_in(cell, level) != Relation::Apart
    }

    /// The cell that an area by geocode is.
    pub(crate) fn cell(&self) -> Option<Cell> {
        match self {
            Self::Cell(cell) => Some(*cell),
            Self::Block(block) => Some(block.cell()),
            _ => None,
        }
    }

    /// How a closed box of places lies to the area. Not for areas by geocode.
    pub(crate) fn relation(&self, rect: &Rect) -> Relation {
        match self {
            Self::Everywhere | Self::Cell(_) | Self::Block(_) => Relation::Within,
            Self::Window(window) => relation_to(window.boxes(), rect),
            Self::Polygon(polygon) => polygon.relation(rect),
            Self::Circle(circle) => circle.relation(rect),
            Self::Corridor(corridor) => corridor.relation(rect),
        }
    }

    /// At most two boxes that hold it; `None` for everywhere.
    fn bounds(&self, spec: &NetSpec) -> Option<Vec<Rect>> {
        match self {
            Self::Everywhere => None,
            Self::Window(window) => Some(window.boxes().collect()),
            Self::Polygon(polygon) => Some(vec![polygon.bounds()]),
            Self::Circle(circle) => Some(geodesic::cap_windows(circle.centre(), circle.metres)),
            Self::Corridor(corridor) => Some(corridor.bounds()),
            Self::Cell(_) | Self::Block(_) => self.cell().map(|cell| {
                let bounds = spec.bounds(&cell);
                vec![Rect {
                    west: bounds.west,
                    south: bounds.south,
                    east: bounds.east,
                    north: bounds.north,
                }]
            }),
        }
    }
}

impl Target {
    /// At most two boxes that hold it; `None` for everywhere.
    pub(crate) fn bounds(&self) -> Option<Vec<Rect>> {
        match &self.ring {
            Some(ring) => Some(geodesic::cap_windows(
                ring.outer.centre(),
                ring.outer.metres,
            )),
            None => self.area.bounds(&self.spec),
        }
    }

    /// How all that may be filed in a cell of the tree under a level lies to the target: `Apart`
    /// when no extent filed there can meet it, `Within` when each does, whatever its altitude.
    pub(crate) fn filed_in(&self, cell: &Cell, level: u8) -> Relation {
        if let Some(own) = self.area.cell() {
            return if own.contains(cell) && self.ring.is_none() {
                // A block with a band is more than its cell says.
                match &self.area {
                    Area::Block(block) if block.band().is_some() => Relation::Meets,
                    _ => Relation::Within,
                }
            } else if own.contains(cell) || cell.contains(&own) {
                Relation::Meets
            } else {
                Relation::Apart
            };
        }
        let bounds = self.spec.bounds(cell);
        let centres = Rect {
            west: bounds.west,
            south: bounds.south,
            east: bounds.east,
            north: bounds.north,
        };
        // An extent is at most half as large as the level's cells, so it reaches a quarter beyond
        // its centre; and a hair more, for the rounding of centres.
        let quarter = 0.25 * (1.0 + 1e-9) / 4_f64.powi(i32::from(level));
        let widened = centres.widened(360.0 * quarter + 1e-12, 180.0 * quarter + 1e-12);
        let mut relation = self.relation(&widened);
        if relation == Relation::Apart && centres.west <= -180.0 {
            // Places at 180 degrees, and all those of a pole, are filed in column 0.
            let seam = Rect {
                west: 180.0_f64.next_down(),
                east: 180.0,
                ..widened
            };
            let north = Rect {
                west: -180.0,
                south: 90.0_f64.next_down(),
                east: 180.0,
                north: 90.0,
            };
            let south = Rect {
                south: -90.0,
                north: (-90.0_f64).next_up(),
                ..north
            };
            let folded = [
                Some(seam),
                (centres.north >= 90.0).then_some(north),
                (centres.south <= -90.0).then_some(south),
            ];
            if folded
                .iter()
                .flatten()
                .any(|rect| self.relation(rect) != Relation::Apart)
            {
                relation = Relation::Meets;
            }
        }
        if relation == Relation::Meets
            && centres.west > -180.0
            && centres.south > -90.0
            && centres.north < 90.0
            && self.relation(&centres) == Relation::Within
        {
            // Every extent filed here holds its centre, which lies in the target.
            relation = Relation::Within;
        }
        if relation == Relation::Within && centres.west <= -180.0 && self.has_bounds() {
            relation = Relation::Meets;
        }
        relation
    }

    fn has_bounds(&self) -> bool {
        self.ring.is_some() || !matches!(self.area, Area::Everywhere)
    }

    fn relation(&self, rect: &Rect) -> Relation {
        let area = self.area.relation(rect);
        match &self.ring {
            Some(ring) if area != Relation::Apart => area.min(ring.relation(rect)),
            _ => area,
        }
    }

    /// Whether an extent is an answer; `contained` says that its centre is known to lie in the
    /// area.
    #[inline]
    pub(crate) fn takes(&self, extent: &Extent, contained: bool) -> bool {
        if self
            .altitude
            .as_ref()
            .is_some_and(|altitude| !altitude.takes(extent, self.matching))
        {
            return false;
        }
        let by_area = match &self.area {
            Area::Everywhere => true,
            Area::Cell(_) if contained => true,
            Area::Cell(cell) => self.is_filed_in(extent, cell),
            Area::Block(block) => extent.block(&self.spec).is_ok_and(|filed| filed == *block),
            _ if contained && self.matching == Match::Meets => true,
            Area::Circle(circle) if self.matching == Match::Meets => circle.meets(&rect_of(extent)),
            area => {
                let relation = area.relation(&rect_of(extent));
                match self.matching {
                    Match::Meets => relation != Relation::Apart,
                    Match::Within => relation == Relation::Within,
                }
            }
        };
        by_area && self.ring.is_none_or(|ring| ring.takes(&rect_of(extent)))
    }

    fn is_filed_in(&self, extent: &Extent, cell: &Cell) -> bool {
        let centre = extent.anchor();
        self.spec
            .cell_at(centre.longitude, centre.latitude, cell.digits())
            .is_ok_and(|filed| filed == *cell)
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
        let include = Altitude::between(10.0, 20.0);
        let exclude = Altitude {
            unknown: UnknownHeight::Exclude,
            ..include
        };
        let takes = |extent: &Extent| {
            (
                include.takes(extent, Match::Meets),
                exclude.takes(extent, Match::Meets),
            )
        };
        let with = |floor, top| Extent { floor, top, ..flat };
        assert_eq!(takes(&flat), (true, false));
        assert_eq!(takes(&with(Some(21.0), None)), (false, false));
        assert_eq!(takes(&with(None, Some(9.0))), (false, false));
        assert_eq!(takes(&with(Some(5.0), None)), (true, false));
        assert_eq!(takes(&flat.between(0.0, 10.0)), (true, true));
        assert_eq!(takes(&flat.between(0.0, 9.9)), (false, false));
    }

    #[test]
    fn what_is_out_of_range_is_named() {
        for (window, word) in [
            (Window::flat(-181.0, 0.0, 0.0, 1.0), "west"),
            (Window::flat(0.0, f64::NAN, 0.0, 1.0), "south"),
            (Window::flat(0.0, 2.0, 0.0, 1.0), "south"),
        ] {
            assert!(window.check().unwrap_err().contains(word), "{window:?}");
        }
        assert!(Altitude::between(2.0, 1.0).check().is_err());
        assert!(Altitude::between(f64::NAN, 1.0).check().is_err());
        Altitude::between(f64::NEG_INFINITY, 3.0).check().unwrap();
        for circle in [
            Circle::new((181.0, 0.0), 1.0),
            Circle::new((0.0, f64::NAN), 1.0),
            Circle::new((0.0, 0.0), -1.0),
            Circle::new((0.0, 0.0), f64::NAN),
        ] {
            assert!(circle.check().is_err(), "{circle:?}");
        }
        Circle::new((0.0, 90.0), f64::INFINITY).check().unwrap();
        for lines in [vec![], vec![vec![]], vec![vec![(0.0, 91.0)]]] {
            assert!(Corridor::new(&lines, 1.0).is_err(), "{lines:?}");
        }
        assert!(Corridor::new(&[vec![(0.0, 0.0)]], f64::NAN).is_err());
    }

    #[test]
    fn a_corridor_holds_what_is_near_its_lines() {
        let corridor = Corridor::new(&[vec![(4.0, 52.0), (4.1, 52.0)]], 100.0).unwrap();
        let at =
            |longitude, latitude| corridor.relation(&rect_of(&Extent::point(longitude, latitude)));
        assert_eq!(at(4.05, 52.0005), Relation::Within);
        assert_eq!(at(4.05, 52.002), Relation::Apart);
        assert_eq!(at(4.102, 52.0), Relation::Apart);
        assert_eq!(at(4.1005, 52.0), Relation::Within);
        let seam = Corridor::new(&[vec![(179.999, 0.0), (180.0, 0.0)]], 1_000.0).unwrap();
        assert_eq!(
            seam.relation(&rect_of(&Extent::point(-179.995, 0.0))),
            Relation::Within
        );
        assert_eq!(seam.bounds().len(), 2);
    }
}
