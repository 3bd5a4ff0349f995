//! `GeoJSON` geometries: reading, bounds, soundness of rings, and the tests of a window query.
//!
//! Positions are read here and become `geo` types; the `geojson` crate cannot read them once
//! `serde_json`'s `arbitrary_precision` is on anywhere in the build, and panics on positions with
//! fewer than two numbers. All geometry is `geo`'s: planar, in degrees.

#![warn(clippy::indexing_slicing)]

use std::fmt;

use geo::{
    Coord, CoordsIter, Geometry, GeometryCollection, Intersects, LineString, MultiLineString,
    MultiPoint, MultiPolygon, Point, Polygon, Rect, Validation,
};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;
use thiserror::Error;

use super::json::{Members, message, scalar_text};
use super::{crs, excerpt};

/// How deep `GeometryCollection`s may be nested.
const COLLECTION_DEPTH_MAX: u8 = 16;
/// Larger polygons are not checked: the check compares every pair of sides.
const CHECKED_VERTICES_MAX: usize = 5_000;
/// Polygons with more holes are not checked: the check compares every pair of holes.
const CHECKED_HOLES_MAX: usize = 200;

/// Why a geometry cannot be stored.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum GeometryError {
    /// Not an object with the members of a geometry.
    #[error("the geometry is no GeoJSON object: {0}")]
    NotObject(String),
    /// The `type` is missing or not one of the seven.
    #[error("the geometry's type is {0}, not one that GeoJSON knows")]
    Type(String),
    /// The `coordinates` or `geometries` are missing or have the wrong form for the type.
    #[error("the {kind} cannot be read: {reason}")]
    Form {
        /// The geometry's type.
        kind: String,
        /// What was expected.
        reason: String,
    },
    /// No position at all, so no place.
    #[error("the geometry has no coordinates; write null where there is no place")]
    Empty,
    /// A longitude outside -180..180 or a latitude outside -90..90.
    #[error(
        "{axis} {value} is outside -{limit}..{limit}: probably another coordinate reference \
         system; convert the file to WGS 84 longitude and latitude in degrees"
    )]
    Outside {
        /// `longitude` or `latitude`.
        axis: &'static str,
        /// The number that was given.
        value: f64,
        /// The largest magnitude allowed, degrees.
        limit: f64,
    },
    /// The geometry carries a `crs` member that names something else than WGS 84.
    #[error("the geometry is in {0}; convert it to WGS 84 longitude and latitude")]
    Crs(String),
    /// `GeometryCollection`s nested deeper than 16 levels.
    #[error("GeometryCollections are nested deeper than {COLLECTION_DEPTH_MAX} levels")]
    TooDeep,
}

/// The smallest box around positions, degrees; always `west <= east` and `south <= north`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// Smallest longitude.
    pub west: f64,
    /// Smallest latitude.
    pub south: f64,
    /// Largest longitude.
    pub east: f64,
    /// Largest latitude.
    pub north: f64,
}

/// Whether the rings of a geometry's polygons are as RFC 7946 and OGC Simple Features want them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rings {
    /// No fault found, or no polygon at all.
    Sound,
    /// A polygon has more than 5,000 vertices or 200 holes and was not checked.
    Unchecked,
    /// A ring is open, too short, crosses itself or another ring, or a hole lies outside.
    Invalid,
}

/// A geometry that was read, with what its positions say.
#[derive(Clone, Debug)]
pub struct Shape {
    geometry: Geometry<f64>,
    bounds: Bounds,
    altitudes: Option<(f64, f64)>,
    ring_fault: bool,
}

impl Shape {
    /// Reads a `GeoJSON` geometry object.
    ///
    /// Of a position's numbers the third is its altitude and further ones are ignored. Coordinates
    /// are the `f64` nearest to the decimals of the text. An open ring is closed and counts as a
    /// fault. Parts may be empty, the whole may not.
    ///
    /// # Errors
    /// See [`GeometryError`].
    ///
    /// # Cost
    /// Linear; memory up to about ten times the text.
    pub fn parse(text: &str) -> Result<Self, GeometryError> {
        let mut reader = Reader::default();
        let geometry = reader.geometry(text, COLLECTION_DEPTH_MAX)?;
        let bounds = reader.bounds.ok_or(GeometryError::Empty)?;
        Ok(Self {
            geometry,
            bounds,
            altitudes: reader.altitudes,
            ring_fault: reader.ring_fault,
        })
    }

    /// The geometry of a stored Feature; `None` when the payload is no Feature with a geometry that
    /// can be read.
    ///
    /// # Cost
    /// Linear in the payload.
    pub fn of_payload(payload: &[u8]) -> Option<Self> {
        let members = Members::parse(str::from_utf8(payload).ok()?).ok()?;
        Self::parse(members.get("geometry")?.get()).ok()
    }

    /// The geometry as `geo` has it.
    pub fn geometry(&self) -> &Geometry<f64> {
        &self.geometry
    }

    /// The bounding box.
    pub fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// Lowest and highest altitude among the positions that have one.
    pub fn altitudes(&self) -> Option<(f64, f64)> {
        self.altitudes
    }

    /// Checks the rings of every polygon. Overlaps between the polygons of a `MultiPolygon` are
    /// not looked for.
    ///
    /// # Cost
    /// Per polygon quadratic in its vertices and in its holes, up to the limits of
    /// [`Rings::Unchecked`].
    pub fn rings(&self) -> Rings {
        if self.ring_fault {
            Rings::Invalid
        } else {
            rings(&self.geometry)
        }
    }
}

fn rings(geometry: &Geometry<f64>) -> Rings {
    let polygon = |polygon: &Polygon<f64>| {
        if polygon.interiors().len() > CHECKED_HOLES_MAX
            || polygon.coords_count() > CHECKED_VERTICES_MAX
        {
            Rings::Unchecked
        } else if polygon.is_valid() {
            Rings::Sound
        } else {
            Rings::Invalid
        }
    };
    match geometry {
        Geometry::Polygon(one) => polygon(one),
        Geometry::MultiPolygon(many) => many.iter().map(polygon).max().unwrap_or(Rings::Sound),
        Geometry::GeometryCollection(many) => many.iter().map(rings).max().unwrap_or(Rings::Sound),
        _ => Rings::Sound,
    }
}

/// One position of a `GeoJSON` geometry.
#[derive(Clone, Copy)]
struct Position {
    at: Coord<f64>,
    altitude: Option<f64>,
}

impl<'de> Deserialize<'de> for Position {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PositionVisitor;

        impl<'de> Visitor<'de> for PositionVisitor {
            type Value = Position;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a position of at least two numbers")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Position, A::Error> {
                let short = |len| serde::de::Error::invalid_length(len, &PositionVisitor);
                let x = seq.next_element()?.ok_or_else(|| short(0))?;
                let y = seq.next_element()?.ok_or_else(|| short(1))?;
                let altitude = seq.next_element()?;
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Position {
                    at: Coord { x, y },
                    altitude,
                })
            }
        }

        deserializer.deserialize_seq(PositionVisitor)
    }
}

/// Gathers bounds and faults while positions become geometry.
#[derive(Default)]
struct Reader {
    bounds: Option<Bounds>,
    altitudes: Option<(f64, f64)>,
    ring_fault: bool,
}

impl Reader {
    fn geometry(&mut self, text: &str, depth_left: u8) -> Result<Geometry<f64>, GeometryError> {
        let members =
            Members::parse(text).map_err(|error| GeometryError::NotObject(message(&error)))?;
        if let Some(member) = members.get("crs") {
            crs::check(member).map_err(GeometryError::Crs)?;
        }
        let kind = members
            .get("type")
            .ok_or_else(|| GeometryError::Type("missing".to_owned()))
            .map(|value| scalar_text(value).unwrap_or_else(|| value.get().into()))?;
        let form = |reason: String| GeometryError::Form {
            kind: excerpt(&kind),
            reason,
        };
        if kind == "GeometryCollection" {
            let depth_left = depth_left.checked_sub(1).ok_or(GeometryError::TooDeep)?;
            let member = members
                .get("geometries")
                .ok_or_else(|| form("it has no geometries member".to_owned()))?;
            let parts: Vec<&RawValue> = serde_json::from_str(member.get())
                .map_err(|_| form("its geometries member is no array".to_owned()))?;
            let parts = parts
                .into_iter()
                .map(|part| self.geometry(part.get(), depth_left));
            let parts = parts.collect::<Result<_, _>>()?;
            return Ok(Geometry::GeometryCollection(GeometryCollection(parts)));
        }
        if !matches!(
            &*kind,
            "Point" | "MultiPoint" | "LineString" | "MultiLineString" | "Polygon" | "MultiPolygon"
        ) {
            return Err(GeometryError::Type(excerpt(&kind)));
        }
        let coordinates = members
            .get("coordinates")
            .ok_or_else(|| form("it has no coordinates member".to_owned()))?
            .get();
        let unreadable = |error: serde_json::Error| form(message(&error));
        Ok(match &*kind {
            "Point" => {
                let position = serde_json::from_str(coordinates).map_err(unreadable)?;
                Point(self.coord(position)?).into()
            }
            "MultiPoint" => {
                let line = self.line(serde_json::from_str(coordinates).map_err(unreadable)?)?;
                MultiPoint(line.into_points()).into()
            }
            "LineString" => self
                .line(serde_json::from_str(coordinates).map_err(unreadable)?)?
                .into(),
            "MultiLineString" => {
                let lines: Vec<_> = serde_json::from_str(coordinates).map_err(unreadable)?;
                let lines = lines.into_iter().map(|line| self.line(line));
                MultiLineString(lines.collect::<Result<_, _>>()?).into()
            }
            "Polygon" => self
                .polygon(serde_json::from_str(coordinates).map_err(unreadable)?)?
                .into(),
            _ => {
                let polygons: Vec<_> = serde_json::from_str(coordinates).map_err(unreadable)?;
                let polygons = polygons.into_iter().map(|polygon| self.polygon(polygon));
                MultiPolygon(polygons.collect::<Result<_, _>>()?).into()
            }
        })
    }

    fn polygon(&mut self, rings: Vec<Vec<Position>>) -> Result<Polygon<f64>, GeometryError> {
        let mut rings = rings.into_iter().map(|ring| {
            let ring = self.line(ring)?;
            self.ring_fault |= ring.0.len() < 4 || !ring.is_closed();
            Ok(ring)
        });
        let exterior = rings.next().transpose()?.unwrap_or(LineString(Vec::new()));
        Ok(Polygon::new(exterior, rings.collect::<Result<_, _>>()?))
    }

    fn line(&mut self, positions: Vec<Position>) -> Result<LineString<f64>, GeometryError> {
        let coords = positions.into_iter().map(|position| self.coord(position));
        Ok(LineString(coords.collect::<Result<_, _>>()?))
    }

    fn coord(&mut self, position: Position) -> Result<Coord<f64>, GeometryError> {
        let Position {
            at: Coord { x, y },
            altitude,
        } = position;
        for (axis, value, limit) in [("longitude", x, 180.0), ("latitude", y, 90.0)] {
            if !(-limit..=limit).contains(&value) {
                return Err(GeometryError::Outside { axis, value, limit });
            }
        }
        let bounds = self.bounds.get_or_insert(Bounds {
            west: x,
            south: y,
            east: x,
            north: y,
        });
        bounds.west = bounds.west.min(x);
        bounds.south = bounds.south.min(y);
        bounds.east = bounds.east.max(x);
        bounds.north = bounds.north.max(y);
        if let Some(z) = altitude {
            let (low, high) = self.altitudes.unwrap_or((z, z));
            self.altitudes = Some((low.min(z), high.max(z)));
        }
        Ok(Coord { x, y })
    }
}

/// A closed box of longitude and latitude; `west > east` crosses the antimeridian.
///
/// The meridians 180 and -180 are one place: a window that reaches one meets what lies on the
/// other. A pole is a line here, as on any map with straight meridians.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    boxes: [Option<Rect<f64>>; 2],
}

/// Why four numbers are no window.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
#[error(
    "{west},{south},{east},{north} is no window: west and east must be within -180..180, south and \
     north within -90..90, and south not above north"
)]
pub struct WindowError {
    west: f64,
    south: f64,
    east: f64,
    north: f64,
}

impl Window {
    /// A window from its sides in degrees.
    ///
    /// # Errors
    /// A number is outside its range or no number, or `south > north`.
    pub fn new(west: f64, south: f64, east: f64, north: f64) -> Result<Self, WindowError> {
        let longitude = |value| (-180.0..=180.0).contains(value);
        let latitude = |value| (-90.0..=90.0).contains(value);
        if ![west, east].iter().all(longitude)
            || ![south, north].iter().all(latitude)
            || south > north
        {
            return Err(WindowError {
                west,
                south,
                east,
                north,
            });
        }
        let rect = |west, east| Rect::new((west, south), (east, north));
        let boxes = if west > east {
            [Some(rect(west, 180.0)), Some(rect(-180.0, east))]
        } else if west > -180.0 && east >= 180.0 {
            [Some(rect(west, east)), Some(rect(-180.0, -180.0))]
        } else if west <= -180.0 && east < 180.0 {
            [Some(rect(west, east)), Some(rect(180.0, 180.0))]
        } else {
            [Some(rect(west, east)), None]
        };
        Ok(Self { boxes })
    }

    /// Whether a geometry shares a point with the window, touching included.
    ///
    /// Works on invalid rings too: a vertex in the window or a side that meets it counts, and so
    /// does a window inside a ring, where a ring that winds around a point in either direction has
    /// it inside.
    pub fn meets(&self, geometry: &Geometry<f64>) -> bool {
        self.boxes.iter().flatten().any(|rect| {
            // The vertices first: cheap, and what remains of a line with a single position.
            geometry.coords_iter().any(|coord| rect.intersects(&coord)) || rect.intersects(geometry)
        })
    }

    /// Whether a geometry lies within the window, its border included. A geometry of several parts
    /// may have some on either side of the antimeridian, as RFC 7946 section 3.1.9 cuts them.
    pub fn contains(&self, geometry: &Geometry<f64>) -> bool {
        match geometry {
            Geometry::MultiPoint(parts) => parts.iter().all(|part| self.holds(part)),
            Geometry::MultiLineString(parts) => parts.iter().all(|part| self.holds(part)),
            Geometry::MultiPolygon(parts) => parts.iter().all(|part| self.holds(part)),
            Geometry::GeometryCollection(parts) => parts.iter().all(|part| self.contains(part)),
            one => self.holds(one),
        }
    }

    /// A box is convex: it holds a connected shape when it holds its vertices.
    fn holds(&self, part: &impl CoordsIter<Scalar = f64>) -> bool {
        self.boxes
            .iter()
            .flatten()
            .any(|rect| part.coords_iter().all(|coord| rect.intersects(&coord)))
    }
}

/// Whether the geometry of a stored Feature meets the window ([`Window::meets`]); `None` when the
/// payload is no Feature with a geometry that can be read, so that the caller must decide by its
/// extent.
///
/// # Cost
/// Linear in the payload.
pub fn meets(payload: &[u8], window: &Window) -> Option<bool> {
    Some(window.meets(Shape::of_payload(payload)?.geometry()))
}

/// Whether the geometry of a stored Feature lies within the window ([`Window::contains`]); `None`
/// as for [`meets`].
///
/// # Cost
/// Linear in the payload.
pub fn within(payload: &[u8], window: &Window) -> Option<bool> {
    Some(window.contains(Shape::of_payload(payload)?.geometry()))
}

#[cfg(test)]
#[path = "geometry_tests.rs"]
mod tests;
