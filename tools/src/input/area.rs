//! Shapes for queries out of a `GeoJSON` file: areas and lines.
//!
//! A file holds one document: a geometry, a Feature, or a `FeatureCollection`. Its parts together
//! are the shape; what else a Feature says does not matter.

#![warn(clippy::indexing_slicing)]

use geo::{Coord, Geometry, LineString, MultiLineString, MultiPolygon, Polygon};
use serde_json::value::RawValue;
use thiserror::Error;

use super::geometry::{GeometryError, Shape};
use super::json::{Members, message, scalar_text};
use super::{crs, excerpt};

/// A position: longitude and latitude, degrees.
type Position = (f64, f64);

/// Why a text is no shape for a query.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AreaError {
    /// Not a JSON object, or without the members that its type asks for.
    #[error("not GeoJSON: {0}")]
    NotGeoJson(String),
    /// The document is something else.
    #[error("the type is {0}, not FeatureCollection, Feature or that of a geometry")]
    Type(String),
    /// The `crs` member names something else than WGS 84.
    #[error("it is in {0}; convert it to WGS 84 longitude and latitude")]
    Crs(String),
    /// A `FeatureCollection` holds another one, or something else that is no Feature.
    #[error("a FeatureCollection holds Features only, but its type is {0}")]
    NotFeature(String),
    /// A geometry of another type where an area was asked for.
    #[error(
        "a {0} is no area: give a Polygon or MultiPolygon, or a Feature or FeatureCollection of them"
    )]
    NotArea(&'static str),
    /// A geometry of another type where a line was asked for.
    #[error(
        "a {0} is no line: give a LineString or MultiLineString, or a Feature or FeatureCollection of them"
    )]
    NotLine(&'static str),
    /// A ring without area.
    #[error("a ring needs at least 4 positions, the last one as the first, and one has {0}")]
    ShortRing(usize),
    /// A line without length.
    #[error("a line has 1 position and needs at least 2")]
    ShortLine,
    /// No geometry at all.
    #[error("there is no geometry in it, so no place to ask about")]
    Nothing,
    /// A geometry that cannot be read.
    #[error(transparent)]
    Geometry(#[from] GeometryError),
    /// A fault in one Feature of a `FeatureCollection`.
    #[error("Feature {number}: {fault}")]
    Feature {
        /// Counts from 1.
        number: usize,
        /// What is wrong with it.
        fault: Box<AreaError>,
    },
}

/// The polygons of a `GeoJSON` text, which together are an area: for each its rings, first the
/// outer one, then its holes, of longitudes and latitudes in degrees. There is at least one
/// polygon, and every ring has at least four positions, the last one equal to the first.
///
/// The text is a `Polygon` or `MultiPolygon`, a `GeometryCollection` of them, or a Feature or
/// `FeatureCollection` with such geometries. Features without geometry and empty polygons are
/// skipped, altitudes ignored. Whether rings cross, enclose anything, or how they wind is not looked
/// at.
///
/// ```
/// let square = r#"{"type":"Polygon","coordinates":[[[0,0],[4,0],[4,4],[0,4],[0,0]]]}"#;
/// let polygons = blocknet_tools::input::polygons(square)?;
/// assert_eq!(polygons[0][0][1], (4.0, 0.0));
/// # Ok::<(), blocknet_tools::input::AreaError>(())
/// ```
///
/// # Errors
/// See [`AreaError`].
///
/// # Cost
/// Linear; memory up to about twenty times the text.
pub fn polygons(text: &str) -> Result<Vec<Vec<Vec<Position>>>, AreaError> {
    let mut polygons = Vec::new();
    document(text, &mut |geometry| add_area(geometry, &mut polygons))?;
    not_empty(polygons)
}

/// The lines of a `GeoJSON` text: for each its positions, longitudes and latitudes in degrees.
/// There is at least one line, and every line has at least two positions.
///
/// The text is a `LineString` or `MultiLineString`, a `GeometryCollection` of them, or a Feature or
/// `FeatureCollection` with such geometries. The rings of polygons are no lines here. Features
/// without geometry and empty lines are skipped, altitudes ignored.
///
/// # Errors
/// See [`AreaError`].
///
/// # Cost
/// Linear; memory up to about twenty times the text.
pub fn lines(text: &str) -> Result<Vec<Vec<Position>>, AreaError> {
    let mut lines = Vec::new();
    document(text, &mut |geometry| add_lines(geometry, &mut lines))?;
    not_empty(lines)
}

fn not_empty<T>(parts: Vec<T>) -> Result<Vec<T>, AreaError> {
    if parts.is_empty() {
        Err(AreaError::Nothing)
    } else {
        Ok(parts)
    }
}

/// What becomes of each geometry.
type Add<'a> = dyn FnMut(&Geometry<f64>) -> Result<(), AreaError> + 'a;

fn document(text: &str, add: &mut Add<'_>) -> Result<(), AreaError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let members = object(text)?;
    match &*kind(&members) {
        "FeatureCollection" => {
            check_crs(&members)?;
            let features = members
                .get("features")
                .and_then(|json| serde_json::from_str::<Vec<&RawValue>>(json.get()).ok())
                .ok_or_else(|| {
                    AreaError::NotGeoJson("its features are missing or no array".to_owned())
                })?;
            for (index, json) in features.into_iter().enumerate() {
                member_feature(json, add).map_err(|fault| AreaError::Feature {
                    number: index + 1,
                    fault: Box::new(fault),
                })?;
            }
            Ok(())
        }
        "Feature" => feature(&members, add),
        "Point" | "MultiPoint" | "LineString" | "MultiLineString" | "Polygon" | "MultiPolygon"
        | "GeometryCollection" => add(Shape::parse(text)?.geometry()),
        other => Err(AreaError::Type(other.to_owned())),
    }
}

fn member_feature(json: &RawValue, add: &mut Add<'_>) -> Result<(), AreaError> {
    let members = object(json.get())?;
    match &*kind(&members) {
        "Feature" => feature(&members, add),
        other => Err(AreaError::NotFeature(other.to_owned())),
    }
}

fn feature(members: &Members<'_>, add: &mut Add<'_>) -> Result<(), AreaError> {
    check_crs(members)?;
    match members.get_non_null("geometry") {
        Some(json) => add(Shape::parse(json.get())?.geometry()),
        None => Ok(()),
    }
}

fn object(text: &str) -> Result<Members<'_>, AreaError> {
    Members::parse(text).map_err(|error| AreaError::NotGeoJson(message(&error)))
}

/// The `type`, or what stands in its place.
fn kind(members: &Members<'_>) -> String {
    members.get("type").map_or_else(
        || "missing".to_owned(),
        |kind| excerpt(&scalar_text(kind).unwrap_or_else(|| kind.get().into())),
    )
}

fn check_crs(members: &Members<'_>) -> Result<(), AreaError> {
    match members.get("crs") {
        Some(crs) => crs::check(crs).map_err(AreaError::Crs),
        None => Ok(()),
    }
}

fn add_area(
    geometry: &Geometry<f64>,
    polygons: &mut Vec<Vec<Vec<Position>>>,
) -> Result<(), AreaError> {
    match geometry {
        Geometry::Polygon(polygon) => polygons.extend(rings(polygon)?),
        Geometry::MultiPolygon(MultiPolygon(parts)) => {
            for polygon in parts {
                polygons.extend(rings(polygon)?);
            }
        }
        Geometry::GeometryCollection(parts) => {
            for geometry in parts {
                add_area(geometry, polygons)?;
            }
        }
        other => return Err(AreaError::NotArea(name(other))),
    }
    Ok(())
}

/// `None` for an empty polygon.
fn rings(polygon: &Polygon<f64>) -> Result<Option<Vec<Vec<Position>>>, AreaError> {
    if polygon.exterior().0.is_empty() && polygon.interiors().is_empty() {
        return Ok(None);
    }
    let mut rings = Vec::with_capacity(1 + polygon.interiors().len());
    for ring in std::iter::once(polygon.exterior()).chain(polygon.interiors()) {
        if ring.0.len() < 4 {
            return Err(AreaError::ShortRing(ring.0.len()));
        }
        rings.push(positions(ring));
    }
    Ok(Some(rings))
}

fn add_lines(geometry: &Geometry<f64>, lines: &mut Vec<Vec<Position>>) -> Result<(), AreaError> {
    let mut add = |line: &LineString<f64>| match line.0.len() {
        0 => Ok(()),
        1 => Err(AreaError::ShortLine),
        _ => {
            lines.push(positions(line));
            Ok(())
        }
    };
    match geometry {
        Geometry::LineString(line) => add(line),
        Geometry::MultiLineString(MultiLineString(parts)) => parts.iter().try_for_each(add),
        Geometry::GeometryCollection(parts) => {
            parts.iter().try_for_each(|part| add_lines(part, lines))
        }
        other => Err(AreaError::NotLine(name(other))),
    }
}

fn positions(line: &LineString<f64>) -> Vec<Position> {
    line.0.iter().map(|&Coord { x, y }| (x, y)).collect()
}

/// The type's name in `GeoJSON`.
fn name(geometry: &Geometry<f64>) -> &'static str {
    match geometry {
        Geometry::Point(_) => "Point",
        Geometry::MultiPoint(_) => "MultiPoint",
        Geometry::Line(_) | Geometry::LineString(_) => "LineString",
        Geometry::MultiLineString(_) => "MultiLineString",
        Geometry::Polygon(_) | Geometry::Rect(_) | Geometry::Triangle(_) => "Polygon",
        Geometry::MultiPolygon(_) => "MultiPolygon",
        Geometry::GeometryCollection(_) => "GeometryCollection",
    }
}

#[cfg(test)]
#[path = "area_tests.rs"]
mod tests;
