//! Polygons with holes in the plane of longitude and latitude, and how boxes lie to them.
//!
//! A part is what its outer ring winds around (a number of turns other than zero), the ring
//! included, without what its holes wind around, their rings not included. A polygon is the union
//! of its parts. Everything is closed: touching is meeting. Edges are straight in degrees (RFC 7946
//! section 3.1.1), and a ring that is to cross the antimeridian has to be cut there (section 3.1.9).
//!
//! All signs are exact (see `rect`), so answers are those of real numbers, of boxes and polygons
//! down to the last place of their coordinates.
//!
//! # Invariants
//! * Every ring is closed, has no repeated neighbours and at least three different positions; the
//!   rings of a part stand together, its outer one first.
//! * Every edge is listed, in order, in each band of latitude that it overlaps.
#![expect(
    clippy::float_cmp,
    reason = "coordinates are compared as they are given"
)]

use std::ops::RangeInclusive;

use crate::rect::{Rect, Relation, side};

/// (longitude, latitude) in degrees.
type Position = (f64, f64);

/// One or several polygons with holes, planar in degrees as RFC 7946 has them.
///
/// Rings may run either way round. A valid polygon (rings that do not cross themselves or each
/// other, holes inside their outer ring, parts that touch in single positions only) is answered
/// exactly, but that what only several parts together hold is not said to be within: a line through
/// a position where two parts touch. Others are accepted, and answered as the union of what their
/// parts hold, with two cautions more: a box may be said to meet the polygon although it only meets
/// a ring where that lies in a hole or outside its own outer ring, and is not said to be within
/// where a ring passes through it. Positions are always answered exactly.
#[derive(Clone, Debug)]
pub struct Polygon {
    /// Ring after ring, the first position of each repeated at its end. The edge `i` leads from
    /// position `i` to the next.
    positions: Vec<Position>,
    /// The ring of each position.
    ring_of: Vec<u32>,
    rings: Vec<Ring>,
    /// Around the outer rings.
    bounds: Rect,
    bands: Bands,
}

#[derive(Clone, Copy, Debug)]
struct Ring {
    part: u32,
    outer: bool,
}

/// The edges by latitude: bands of equal height, each with the edges that overlap it.
#[derive(Clone, Debug)]
struct Bands {
    south: f64,
    per_degree: f64,
    /// Where the edges of each band begin, and where the last ones end.
    starts: Vec<u32>,
    edges: Vec<u32>,
}

/// From which side a position is approached, to tell on which side of an edge through it one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Just {
    /// A little to the east, and by far less to the north.
    EastOf,
    /// A little to the north, and by far less to the east.
    NorthOf,
}

/// What an edge does to a position.
struct Passing {
    ring: u32,
    /// By how much the edge, crossing the ray from the position to the east, makes its ring wind
    /// around it: 1 counterclockwise, -1 clockwise.
    turn: i32,
    /// Whether the position lies on the edge.
    on: bool,
}

/// What changes along a line: at a place, the number of turns of a ring, or that an edge of it
/// begins to cover the line.
struct Stop {
    ring: u32,
    at: f64,
    turn: i32,
    covered_to: f64,
}

impl Polygon {
    /// The most positions a polygon may have, as given.
    pub const VERTICES_MAX: usize = 1_000_000;

    /// Makes a polygon of parts, each of rings, each of positions (longitude, latitude) in degrees.
    ///
    /// The first ring of a part is its outer one, the others are holes. Rings that are not closed
    /// are closed, and a position equal to the one before it is dropped.
    ///
    /// # Errors
    /// A sentence naming what is wrong: no part, a part without a ring, a ring with fewer than three
    /// different positions, a value out of range or not a number, too many positions.
    ///
    /// # Cost
    /// O(positions) in time and memory: 20 bytes for a position, and 4 to 32 for the index.
    pub fn new(parts: Vec<Vec<Vec<Position>>>) -> Result<Self, String> {
        if parts.is_empty() {
            return Err("the polygon has no part".to_owned());
        }
        let given: usize = parts.iter().flatten().map(Vec::len).sum();
        if given > Self::VERTICES_MAX {
            return Err(format!(
                "the polygon has {given} positions; it may have {}",
                Self::VERTICES_MAX
            ));
        }
        let mut polygon = Self {
            positions: Vec::with_capacity(given),
            ring_of: Vec::with_capacity(given),
            rings: Vec::new(),
            bounds: Rect::new(180.0, 90.0, -180.0, -90.0),
            bands: Bands::of_nothing(),
        };
        for (part, rings) in parts.into_iter().enumerate() {
            if rings.is_empty() {
                return Err(format!("part {part} has no ring"));
            }
            for (place, ring) in rings.into_iter().enumerate() {
                let number = count(polygon.rings.len());
                let start = polygon.positions.len();
                append(&mut polygon.positions, &ring)
                    .map_err(|what| format!("part {part}, ring {place}: {what}"))?;
                polygon.ring_of.resize(polygon.positions.len(), number);
                polygon.rings.push(Ring {
                    part: count(part),
                    outer: place == 0,
                });
                if place == 0 {
                    let bounds = &mut polygon.bounds;
                    for &(longitude, latitude) in &polygon.positions[start..] {
                        bounds.west = bounds.west.min(longitude);
                        bounds.south = bounds.south.min(latitude);
                        bounds.east = bounds.east.max(longitude);
                        bounds.north = bounds.north.max(latitude);
                    }
                }
            }
        }
        polygon.bands = Bands::new(&polygon);
        Ok(polygon)
    }

    /// How many positions the rings have, without those that close them.
    pub fn vertices(&self) -> usize {
        self.positions.len() - self.rings.len()
    }

    /// The smallest box around the polygon.
    pub(crate) fn bounds(&self) -> Rect {
        self.bounds
    }

    /// Whether a position lies in the polygon, its border included.
    ///
    /// # Cost
    /// The edges in one band of latitude: about 16 of a border of short edges, however long.
    pub fn contains(&self, longitude: f64, latitude: f64) -> bool {
        let position = (longitude, latitude);
        let point = Rect::around(position, position);
        self.bounds.meets(&point)
            && !self
                .holders(self.passings(position, Just::EastOf))
                .is_empty()
    }

    /// How a closed box, line or point lies to the polygon.
    ///
    /// The box is within if a single part holds it; see [`Polygon`] for polygons that are not valid.
    ///
    /// # Cost
    /// A comparison for each edge in the bands of latitude that the box overlaps, fewer if one of
    /// them touches it and it is not within.
    pub(crate) fn relation(&self, rect: &Rect) -> Relation {
        if !self.bounds.meets(rect) {
            return Relation::Apart;
        }
        // The parts that hold the box without its border if no edge of theirs enters that.
        let mut holders = match (rect.west == rect.east, rect.south == rect.north) {
            (true, true) => {
                return if self.contains(rect.west, rect.south) {
                    Relation::Within
                } else {
                    Relation::Apart
                };
            }
            (false, false) => self.holders_of_area(rect),
            _ => self.holders_of_line(rect),
        };
        let mut met = false;
        let bands = self.bands.of(rect.south)..=self.bands.of(rect.north);
        for &edge in self.bands.edges_of(bands) {
            let (a, b) = self.edge(edge);
            if !rect.is_touched(a, b) {
                continue;
            }
            met = true;
            // One that holds all but the border holds the border, since both are closed.
            if !holders.is_empty() && rect.is_entered(a, b) {
                let part = self.rings[self.ring_of[edge as usize] as usize].part;
                holders.retain(|&holder| holder != part);
            }
            if holders.is_empty() {
                return Relation::Meets;
            }
        }
        if !holders.is_empty() {
            Relation::Within
        } else if met {
            Relation::Meets
        } else {
            Relation::Apart
        }
    }

    /// The numbers of the edges: of all positions but the last of each ring.
    fn edges(&self) -> impl Iterator<Item = u32> {
        let pairs = self.ring_of.windows(2);
        (0..)
            .zip(pairs)
            .filter_map(|(edge, pair)| (pair[0] == pair[1]).then_some(edge))
    }

    fn edge(&self, index: u32) -> (Position, Position) {
        let index = index as usize;
        (self.positions[index], self.positions[index + 1])
    }

    /// The parts that hold a box with an area, without its border, unless an edge of theirs enters.
    ///
    /// If no edge enters, a ring winds equally often around all positions inside, so also around
    /// those next to the southwestern corner. Unlike the middle, that one needs no rounding.
    fn holders_of_area(&self, rect: &Rect) -> Vec<u32> {
        let corner = self.passings((rect.west, rect.south), Just::EastOf);
        // Being on the border says nothing of the inside.
        self.holders(corner.map(|passing| Passing {
            on: false,
            ..passing
        }))
    }

    /// The parts that hold a line along an axis, unless an edge of theirs crosses it between its
    /// ends.
    ///
    /// If none crosses, a ring comes upon the line, or leaves it, only at positions of its own. So
    /// the line is cut there: each stretch is covered by an edge, or the ring winds equally often
    /// around all of it. The number of turns is taken beside the line, a little north or east of it,
    /// from stretch to stretch, so that edges that reach the line from the other side do not count.
    fn holders_of_line(&self, rect: &Rect) -> Vec<u32> {
        let upright = rect.west == rect.east;
        let (just, start, end, level) = if upright {
            (Just::NorthOf, rect.south, rect.north, rect.west)
        } else {
            (Just::EastOf, rect.west, rect.east, rect.south)
        };
        let mut stops: Vec<Stop> = self
            .passings((rect.west, rect.south), just)
            .map(|passing| Stop {
                ring: passing.ring,
                at: f64::NEG_INFINITY,
                turn: passing.turn,
                covered_to: f64::NEG_INFINITY,
            })
            .collect();
        let first_band = self.bands.of(rect.south);
        for band in first_band..=self.bands.of(rect.north) {
            for &edge in self.bands.edges_of(band..=band) {
                let (a, b) = self.edge(edge);
                // From here on: along the line, across it.
                let (p, q) = if upright {
                    ((a.1, a.0), (b.1, b.0))
                } else {
                    (a, b)
                };
                let beside = p.1.min(q.1) == level;
                let listed_before = band > first_band && self.bands.of(a.1.min(b.1)) < band;
                if !beside || listed_before {
                    continue;
                }
                let stop = if p.1 == q.1 {
                    Stop {
                        ring: self.ring_of[edge as usize],
                        at: p.0.min(q.0),
                        turn: 0,
                        covered_to: p.0.max(q.0),
                    }
                } else {
                    // If a ring turns counterclockwise, its inside is north of an edge that goes
                    // east, and west of one that goes north.
                    let leaves = p.1 == level;
                    Stop {
                        ring: self.ring_of[edge as usize],
                        at: if leaves { p.0 } else { q.0 },
                        turn: if leaves == upright { 1 } else { -1 },
                        covered_to: f64::NEG_INFINITY,
                    }
                };
                // An edge that leaves at the start, or before it, is one of the passings.
                if stop.at < end && start < stop.at.max(stop.covered_to) {
                    stops.push(stop);
                }
            }
        }
        stops.sort_unstable_by(|x, y| x.ring.cmp(&y.ring).then(x.at.total_cmp(&y.at)));

        let mut holders = Vec::new();
        for stops in stops.chunk_by(|x, y| x.ring == y.ring) {
            let mut turns = 0;
            let mut done = start;
            let (mut some_inside, mut some_outside) = (false, false);
            let mut stretch = |from: f64, to: f64, turns: i32| {
                some_inside |= to > from && turns != 0;
                some_outside |= to > from && turns == 0;
                from.max(to)
            };
            for stop in stops {
                done = stretch(done, stop.at, turns);
                done = done.max(stop.covered_to);
                turns += stop.turn;
            }
            stretch(done, end, turns);
            let ring = stops[0].ring;
            let inside = if self.rings[ring as usize].outer {
                !some_outside
            } else {
                some_inside
            };
            self.judge(&mut holders, ring, inside, false);
        }
        holders
    }

    /// What the edges that a position's ray to the east meets, or that it lies on, do to it; in the
    /// order of rings.
    fn passings(&self, position: Position, just: Just) -> impl Iterator<Item = Passing> {
        let band = self.bands.of(position.1);
        let edges = self.bands.edges_of(band..=band);
        edges.iter().filter_map(move |&edge| {
            let (a, b) = self.edge(edge);
            let (turn, on) = passing(a, b, position, just)?;
            Some(Passing {
                ring: self.ring_of[edge as usize],
                turn,
                on,
            })
        })
    }

    /// The parts that hold a position, by what the edges do to it.
    fn holders(&self, passings: impl Iterator<Item = Passing>) -> Vec<u32> {
        let mut holders = Vec::new();
        let mut last: Option<Passing> = None;
        for passing in passings {
            match &mut last {
                Some(last) if last.ring == passing.ring => {
                    last.turn += passing.turn;
                    last.on |= passing.on;
                }
                _ => {
                    if let Some(ring) = last.replace(passing) {
                        self.judge(&mut holders, ring.ring, ring.turn != 0, ring.on);
                    }
                }
            }
        }
        if let Some(ring) = last {
            self.judge(&mut holders, ring.ring, ring.turn != 0, ring.on);
        }
        holders
    }

    /// Adds the part of an outer ring to those that hold something, or takes that of a hole away.
    /// Rings come in order.
    fn judge(&self, holders: &mut Vec<u32>, ring: u32, inside: bool, on: bool) {
        let Ring { part, outer } = self.rings[ring as usize];
        if outer {
            if inside || on {
                holders.push(part);
            }
        } else if inside && !on && holders.last() == Some(&part) {
            holders.pop();
        }
    }

    #[cfg(test)]
    fn check_invariants(&self) {
        assert_eq!(self.positions.len(), self.ring_of.len());
        let mut listed = vec![0; self.positions.len()];
        for band in 0..self.bands.len() {
            let edges = self.bands.edges_of(band..=band);
            assert!(edges.is_sorted_by(|x, y| x < y), "band {band}");
            for &edge in edges {
                let span = self.bands.span(self.edge(edge));
                assert!(span.contains(&band), "edge {edge} is in band {band}");
                listed[edge as usize] += 1;
            }
        }
        let mut start = 0;
        for (number, ring) in (0..).zip(&self.rings) {
            let end = self.ring_of.partition_point(|&ring| ring <= number);
            let positions = &self.positions[start..end];
            assert_eq!(
                positions[0],
                positions[positions.len() - 1],
                "ring {number}"
            );
            assert!(positions.windows(2).all(|pair| pair[0] != pair[1]));
            assert!(positions.len() >= 4, "ring {number}");
            if number > 0 {
                let before = self.rings[number as usize - 1];
                assert_eq!(ring.part, before.part + u32::from(ring.outer));
            } else {
                assert!(ring.outer);
            }
            for (edge, pair) in (start..).zip(positions.windows(2)) {
                let span = self.bands.span((pair[0], pair[1]));
                assert_eq!(listed[edge], span.count(), "edge {edge}");
            }
            assert_eq!(listed[end - 1], 0, "no edge leads from ring {number} on");
            start = end;
        }
    }
}

impl Bands {
    /// The most bands there are.
    const BANDS_MAX: usize = 8_192;
    /// How many edges there are for each band, if they are short.
    const EDGES_PER_BAND: usize = 8;
    /// The most bands an edge is listed in, on average: it bounds the memory where edges are tall.
    const LISTS_PER_EDGE_MAX: usize = 8;

    fn of_nothing() -> Self {
        Self {
            south: 0.0,
            per_degree: 0.0,
            starts: vec![0, 0],
            edges: Vec::new(),
        }
    }

    fn new(polygon: &Polygon) -> Self {
        let Rect { south, north, .. } = polygon.bounds;
        let edge_count = polygon.edges().count();
        let mut bands = Self::of_nothing();
        bands.south = south;
        let mut band_count = (edge_count / Self::EDGES_PER_BAND).clamp(1, Self::BANDS_MAX);
        loop {
            // A polygon without height divides by zero: its edges all go into one of the bands.
            bands.per_degree = f64::from(count(band_count)) / (north - south);
            bands.starts = vec![0; band_count + 1];
            let lists: usize = polygon
                .edges()
                .map(|edge| bands.span(polygon.edge(edge)).count())
                .sum();
            if band_count == 1 || lists <= edge_count * Self::LISTS_PER_EDGE_MAX {
                break;
            }
            band_count /= 2;
        }
        for edge in polygon.edges() {
            for band in bands.span(polygon.edge(edge)) {
                bands.starts[band + 1] += 1;
            }
        }
        let mut total = 0;
        for start in &mut bands.starts {
            total += *start;
            *start = total;
        }
        bands.edges = vec![0; total as usize];
        let mut next = bands.starts.clone();
        for edge in polygon.edges() {
            for band in bands.span(polygon.edge(edge)) {
                bands.edges[next[band] as usize] = edge;
                next[band] += 1;
            }
        }
        bands
    }

    fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// The band of a latitude. It never falls as the latitude rises, rounding included, so that an
    /// edge that overlaps a latitude is in its band; what lies beyond is in the first or the last.
    fn of(&self, latitude: f64) -> usize {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "saturates at both ends; not a number becomes 0"
        )]
        let band = ((latitude - self.south) * self.per_degree) as usize;
        band.min(self.len() - 1)
    }

    fn span(&self, (a, b): (Position, Position)) -> RangeInclusive<usize> {
        self.of(a.1.min(b.1))..=self.of(a.1.max(b.1))
    }

    /// The edges of some bands, those of several bands several times.
    fn edges_of(&self, bands: RangeInclusive<usize>) -> &[u32] {
        let (first, last) = bands.into_inner();
        &self.edges[self.starts[first] as usize..self.starts[last + 1] as usize]
    }
}

/// Appends a ring, closed and without repeated neighbours.
fn append(positions: &mut Vec<Position>, ring: &[Position]) -> Result<(), String> {
    let start = positions.len();
    for (place, &position) in ring.iter().enumerate() {
        for (what, value, limit) in [
            ("longitude", position.0, 180.0),
            ("latitude", position.1, 90.0),
        ] {
            // Written so that NaN is refused as well.
            if !(-limit..=limit).contains(&value) {
                return Err(format!(
                    "the {what} of position {place} is {value}; it must lie from -{limit} to {limit}"
                ));
            }
        }
        if positions[start..].last() != Some(&position) {
            positions.push(position);
        }
    }
    while positions.len() > start + 1 && positions[start] == positions[positions.len() - 1] {
        positions.pop();
    }
    let kept = &positions[start..];
    if !kept
        .iter()
        .any(|third| third != &kept[0] && third != &kept[1])
    {
        return Err("it needs at least 3 different positions".to_owned());
    }
    positions.push(positions[start]);
    Ok(())
}

/// What an edge does to a position; None if nothing.
fn passing(a: Position, b: Position, position: Position, just: Just) -> Option<(i32, bool)> {
    let (longitude, latitude) = position;
    if latitude < a.1.min(b.1) || latitude > a.1.max(b.1) || longitude > a.0.max(b.0) {
        return None;
    }
    // An edge holds its lower end and not its upper one, so that a ray through a position where two
    // edges meet crosses both, one, or neither, as the ray a little to the north of it does.
    let turn = if a.1 <= latitude && latitude < b.1 {
        1
    } else if b.1 <= latitude && latitude < a.1 {
        -1
    } else {
        0
    };
    let (east, on) = if longitude < a.0.min(b.0) {
        (true, false)
    } else {
        let side = side(a, b, position);
        if side == 0.0 {
            let upper = if a.1 > b.1 { a } else { b };
            (just == Just::NorthOf && upper.0 > longitude, true)
        } else {
            // Going up, what lies to the east has the position to its left.
            ((side > 0.0) == (turn > 0), false)
        }
    };
    let turn = if east { turn } else { 0 };
    (turn != 0 || on).then_some((turn, on))
}

/// A count of things of which a polygon has at most twice [`Polygon::VERTICES_MAX`].
fn count(things: usize) -> u32 {
    u32::try_from(things).expect("there are at most two million")
}

#[cfg(test)]
mod tests;
