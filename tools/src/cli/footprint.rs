//! Footprints of records against the polygons of a query.
//!
//! The query crate is exact on extents. Here is what it leaves open: whether the shape itself, not
//! the box around it, meets polygons or lies within them. Planar in degrees; all signs are exact, so
//! that walls along the border of an area are neither outside nor across it.

use std::sync::Arc;

use blocknet_engine::RecordRef;
use blocknet_query::Polygon;
use geo::coordinate_position::CoordPos;
use geo::{
    Coord, CoordinatePosition, CoordsIter, GeoNum, Geometry, InteriorPoint, Intersects, Kernel,
    Line, LineString, LinesIter, Orientation,
};

use crate::input::{Bounds, Shape};

type Ker = <f64 as GeoNum>::Ker;

/// Polygons ready to be held against the footprints of records.
#[derive(Clone, Debug)]
pub(crate) struct Region {
    polygon: Arc<Polygon>,
    edges: Vec<Line<f64>>,
}

impl Region {
    /// * `parts`: what `polygon` was made of, closed rings of longitude and latitude.
    pub(crate) fn new(parts: &[Vec<Vec<(f64, f64)>>], polygon: Arc<Polygon>) -> Self {
        let edges = parts
            .iter()
            .flatten()
            .flat_map(|ring| ring.windows(2))
            .filter(|pair| pair[0] != pair[1])
            .map(|pair| Line::new(pair[0], pair[1]))
            .collect();
        Self { polygon, edges }
    }

    /// Whether the footprint of a record shares a point with the polygons, touching included;
    /// `None` when it cannot be read.
    ///
    /// # Cost
    /// Linear in the payload and in the polygons' vertices; the edges that come near the footprint
    /// are each compared with all of its own.
    pub(crate) fn meets(&self, record: &RecordRef<'_>) -> Option<bool> {
        self.meets_payload(record.payload)
    }

    fn meets_payload(&self, payload: &[u8]) -> Option<bool> {
        let shape = Shape::of_payload(payload)?;
        let geometry = shape.geometry();
        // Either a vertex of the footprint lies in the polygons, or their border meets it.
        Some(
            geometry.coords_iter().any(|coord| self.holds(coord))
                || self
                    .near(&shape.bounds())
                    .any(|edge| geometry.intersects(edge)),
        )
    }

    /// Whether the footprint of a record lies within the polygons, their border included; `None`
    /// when it cannot be read. What only several polygons together hold is not within.
    ///
    /// # Cost
    /// As for [`Region::meets`].
    pub(crate) fn within(&self, record: &RecordRef<'_>) -> Option<bool> {
        self.within_payload(record.payload)
    }

    fn within_payload(&self, payload: &[u8]) -> Option<bool> {
        let shape = Shape::of_payload(payload)?;
        let geometry = shape.geometry();
        if !geometry.coords_iter().all(|coord| self.holds(coord)) {
            return Some(false);
        }
        let near: Vec<Line<f64>> = self.near(&shape.bounds()).copied().collect();
        Some(self.is_uncut(geometry, &near))
    }

    fn holds(&self, coord: Coord<f64>) -> bool {
        self.polygon.contains(coord.x, coord.y)
    }

    /// The edges whose boxes meet a footprint's.
    fn near(&self, bounds: &Bounds) -> impl Iterator<Item = &Line<f64>> {
        let Bounds {
            west,
            south,
            east,
            north,
        } = *bounds;
        self.edges.iter().filter(move |Line { start, end }| {
            start.x.min(end.x) <= east
                && start.x.max(end.x) >= west
                && start.y.min(end.y) <= north
                && start.y.max(end.y) >= south
        })
    }

    /// Whether a geometry whose vertices all lie in the polygons lies in them between the vertices,
    /// too.
    fn is_uncut(&self, geometry: &Geometry<f64>, near: &[Line<f64>]) -> bool {
        match geometry {
            Geometry::Point(_) | Geometry::MultiPoint(_) => true,
            Geometry::GeometryCollection(parts) => {
                parts.iter().all(|part| self.is_uncut(part, near))
            }
            Geometry::LineString(line) => self.holds_lines(line.lines(), near),
            Geometry::MultiLineString(lines) => self.holds_lines(lines.lines_iter(), near),
            Geometry::Polygon(polygon) => self.holds_area(polygon, near),
            Geometry::MultiPolygon(parts) => parts.iter().all(|part| self.holds_area(part, near)),
            // Not out of GeoJSON.
            Geometry::Line(line) => self.holds_lines(std::iter::once(*line), near),
            Geometry::Rect(rect) => self.holds_area(&rect.to_polygon(), near),
            Geometry::Triangle(triangle) => self.holds_area(&triangle.to_polygon(), near),
        }
    }

    /// Whether lines between held places stay in the polygons: no edge crosses them, and where they
    /// touch the border they do not leave.
    fn holds_lines(&self, mut lines: impl Iterator<Item = Line<f64>>, near: &[Line<f64>]) -> bool {
        lines.all(|line| {
            !near.iter().any(|edge| cross(&line, edge))
                && pieces(&line, near)
                    .iter()
                    .all(|piece| is_along(piece, near) || self.holds(middle(piece)))
        })
    }

    /// Whether the polygons hold a polygon: its border, and no border of theirs inside it, which
    /// would be that of a hole.
    fn holds_area(&self, area: &geo::Polygon<f64>, near: &[Line<f64>]) -> bool {
        let own: Vec<Line<f64>> = area.lines_iter().collect();
        if !self.holds_lines(own.iter().copied(), near) {
            return false;
        }
        let inside = |coord| area.coordinate_position(&coord) == CoordPos::Inside;
        let is_parted = near.iter().any(|edge| {
            pieces(edge, &own)
                .iter()
                .any(|piece| !is_along(piece, &own) && inside(middle(piece)))
        });
        if is_parted {
            return false;
        }
        // No border runs through it, so all of it is on one side. Where all of its own border lies
        // along theirs, it may be the wrong one: it fills a hole.
        let is_lined = own
            .iter()
            .all(|line| pieces(line, near).iter().all(|piece| is_along(piece, near)));
        !is_lined
            || area
                .interior_point()
                .is_none_or(|place| self.holds(place.into()))
    }
}

/// Whether two lines cross at one place that is no end of either.
fn cross(a: &Line<f64>, b: &Line<f64>) -> bool {
    let split = |line: &Line<f64>, other: &Line<f64>| {
        let side = |coord| Ker::orient2d(line.start, line.end, coord);
        matches!(
            (side(other.start), side(other.end)),
            (Orientation::Clockwise, Orientation::CounterClockwise)
                | (Orientation::CounterClockwise, Orientation::Clockwise)
        )
    };
    split(a, b) && split(b, a)
}

/// Whether a place lies on a line, its ends included.
fn on(line: &Line<f64>, coord: Coord<f64>) -> bool {
    line.intersects(&coord)
}

/// Whether one of some lines holds all of a piece.
fn is_along(piece: &Line<f64>, lines: &[Line<f64>]) -> bool {
    lines
        .iter()
        .any(|line| on(line, piece.start) && on(line, piece.end))
}

/// A line cut at the ends of others that lie on it.
fn pieces(line: &Line<f64>, others: &[Line<f64>]) -> Vec<Line<f64>> {
    let ends = others.iter().flat_map(|other| [other.start, other.end]);
    let mut cuts: Vec<Coord<f64>> = ends.filter(|end| on(line, *end)).collect();
    cuts.extend([line.start, line.end]);
    // Places on one line are in order by longitude, or all have the same.
    cuts.sort_by(|a, b| a.x.total_cmp(&b.x).then(a.y.total_cmp(&b.y)));
    cuts.dedup();
    LineString(cuts).lines().collect()
}

fn middle(line: &Line<f64>) -> Coord<f64> {
    (line.start + line.end) / 2.0
}

#[cfg(test)]
#[path = "footprint_tests.rs"]
mod tests;
