//! What a Feature says: its id, its extent, its properties.

#![warn(clippy::indexing_slicing)]

use std::borrow::Cow;

use serde_json::value::RawValue;
use thiserror::Error;

use super::geometry::{Bounds, GeometryError, Rings, Shape};
use super::json::{Members, scalar_text};
use super::{crs, excerpt, predicate};

/// What a height property means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HeightIs {
    /// Metres from floor to top.
    #[default]
    AboveFloor,
    /// The altitude of the top, metres in the layer's vertical datum.
    AbsoluteTop,
}

/// Which properties hold identity and height.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// The properties that make the id, joined by `/`; none: the Feature's own `id`.
    id: Vec<String>,
    floor: Option<String>,
    height: Option<String>,
    height_is: HeightIs,
}

/// An id rule that is not of the form `PROP[+PROP...]`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{text}` is no id rule: write PROP or PROP+PROP+..., every name non-empty")]
pub struct RulesError {
    text: String,
}

impl Rules {
    /// Takes ids from properties: `PROP[+PROP...]`.
    ///
    /// The values are joined by `/` and not escaped, so properties whose values contain a slash
    /// should come last.
    ///
    /// # Errors
    /// A name is empty.
    pub fn with_id(mut self, properties: &str) -> Result<Self, RulesError> {
        self.id = properties.split('+').map(str::to_owned).collect();
        if self.id.iter().any(String::is_empty) {
            return Err(RulesError {
                text: excerpt(properties),
            });
        }
        Ok(self)
    }

    /// Takes the floor, metres, from a property.
    #[must_use]
    pub fn with_floor(mut self, property: &str) -> Self {
        self.floor = Some(property.to_owned());
        self
    }

    /// Takes the height, metres, from a property.
    #[must_use]
    pub fn with_height(mut self, property: &str, height_is: HeightIs) -> Self {
        self.height = Some(property.to_owned());
        self.height_is = height_is;
        self
    }

    /// The id of a Feature, if it can be told: for messages about Features that are refused.
    pub fn id_of(&self, json: &str) -> Option<String> {
        let members = Members::parse(json).ok()?;
        let properties = properties(&members).ok()?;
        self.id(&members, &properties).ok()
    }

    fn id(&self, members: &Members<'_>, properties: &Members<'_>) -> Result<String, FeatureError> {
        if self.id.is_empty() {
            let value = members.get_non_null("id").ok_or(FeatureError::NoId)?;
            return match scalar_text(value) {
                Some(text) if !text.is_empty() => Ok(text.into_owned()),
                _ => Err(FeatureError::BadId),
            };
        }
        let mut id = String::new();
        for (index, property) in self.id.iter().enumerate() {
            let text = properties.get(property).and_then(scalar_text);
            let text =
                text.filter(|text| !text.is_empty())
                    .ok_or_else(|| FeatureError::IdProperty {
                        property: property.clone(),
                    })?;
            if index > 0 {
                id.push('/');
            }
            id.push_str(&text);
        }
        Ok(id)
    }
}

/// Why a Feature cannot be stored.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FeatureError {
    /// Not a JSON object.
    #[error("not a JSON object: {0}")]
    NotObject(String),
    /// The `type` is missing or something else.
    #[error("its type is {0}, not Feature")]
    Type(String),
    /// The `properties` are neither an object nor null.
    #[error("its properties are neither an object nor null")]
    Properties,
    /// There is no `geometry` member, not even null; null asserts absence, so it must be written.
    #[error("it has no geometry member; write null where there is no place")]
    NoGeometry,
    /// The Feature carries a `crs` member that names something else than WGS 84.
    #[error("it is in {0}; convert it to WGS 84 longitude and latitude")]
    Crs(String),
    /// No `id` member, and no properties were named for the id.
    #[error("it has no id; name the properties that identify it with --id")]
    NoId,
    /// The `id` member is empty or no string, number or truth value.
    #[error("its id is empty or no scalar")]
    BadId,
    /// A property of the id is missing, null, empty, an array or an object.
    #[error("its property {property}, part of the id, is missing, null, empty or no scalar")]
    IdProperty {
        /// The property's name.
        property: String,
    },
    /// The geometry cannot be stored.
    #[error(transparent)]
    Geometry(#[from] GeometryError),
}

/// The box of a Feature. `floor <= top` where both are known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Extent {
    /// Longitude and latitude, degrees.
    pub bounds: Bounds,
    /// Altitude of the lowest point, metres; `None` is unknown, not zero.
    pub floor: Option<f64>,
    /// Altitude of the highest point, metres, rounded upwards where it is a sum; `None` is
    /// unknown, not zero.
    pub top: Option<f64>,
}

/// A Feature, read in place.
#[derive(Debug)]
pub struct Feature<'a> {
    id: String,
    properties: Members<'a>,
    shape: Option<Shape>,
    extent: Option<Extent>,
    unreadable_height: bool,
}

impl<'a> Feature<'a> {
    /// Reads one Feature.
    ///
    /// Floor and top come from the properties that the rules name, else from altitudes in the
    /// coordinates: the lowest is the floor, the highest the top unless it equals the lowest.
    ///
    /// # Errors
    /// See [`FeatureError`].
    ///
    /// # Cost
    /// Linear in the text.
    pub fn parse(json: &'a str, rules: &Rules) -> Result<Self, FeatureError> {
        let members =
            Members::parse(json).map_err(|error| FeatureError::NotObject(error.to_string()))?;
        let kind = members.get("type");
        match kind.map(|kind| scalar_text(kind).unwrap_or(Cow::Borrowed(kind.get()))) {
            Some(kind) if kind == "Feature" => {}
            Some(kind) => return Err(FeatureError::Type(excerpt(&kind))),
            None => return Err(FeatureError::Type("missing".to_owned())),
        }
        if let Some(member) = members.get("crs") {
            crs::check(member).map_err(FeatureError::Crs)?;
        }
        let properties = properties(&members)?;
        let id = rules.id(&members, &properties)?;
        let geometry = members.get("geometry").ok_or(FeatureError::NoGeometry)?;
        let mut feature = Self {
            id,
            properties,
            shape: None,
            extent: None,
            unreadable_height: false,
        };
        if geometry.get() != "null" {
            let shape = Shape::parse(geometry.get())?;
            feature.extent = Some(feature.measure(&shape, rules));
            feature.shape = Some(shape);
        }
        Ok(feature)
    }

    /// The id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The geometry; `None` where it is null, which asserts absence.
    pub fn shape(&self) -> Option<&Shape> {
        self.shape.as_ref()
    }

    /// The extent; `None` where the geometry is null.
    pub fn extent(&self) -> Option<Extent> {
        self.extent
    }

    /// Whether the rings of the geometry are sound; see [`Shape::rings`] for the cost.
    pub fn rings(&self) -> Rings {
        self.shape.as_ref().map_or(Rings::Sound, Shape::rings)
    }

    /// Whether a floor or height was given that is no number of metres, or puts the top below the
    /// floor, and so was taken as unknown.
    pub fn has_unreadable_height(&self) -> bool {
        self.unreadable_height
    }

    /// The members of `properties`; none where they are null or missing.
    pub fn properties(&self) -> &Members<'a> {
        &self.properties
    }

    /// The text of a scalar property by name, or by dotted path as in
    /// [`Predicate`](super::Predicate); `None` where it is missing, null, an array or an object.
    pub fn property(&self, name: &str) -> Option<Cow<'a, str>> {
        predicate::text(&self.properties, name)
    }

    fn measure(&mut self, shape: &Shape, rules: &Rules) -> Extent {
        let altitudes = shape.altitudes();
        let floor = self
            .metres(rules.floor.as_deref())
            .or(altitudes.map(|(low, _)| low));
        let height = self.metres(rules.height.as_deref());
        let top = match (height, rules.height_is) {
            (Some(top), HeightIs::AbsoluteTop) => Some(top),
            (Some(height), HeightIs::AboveFloor) => floor.map(|floor| add_up(floor, height)),
            (None, _) => altitudes
                .filter(|(low, high)| low < high)
                .map(|(_, high)| high),
        };
        let fits = |top: &f64| top.is_finite() && floor.is_none_or(|floor| floor <= *top);
        self.unreadable_height |= top.is_some_and(|top| !fits(&top));
        Extent {
            bounds: shape.bounds(),
            floor,
            top: top.filter(fits),
        }
    }

    /// A number of metres from a property: a number, or text like `12.5` or `12.5 m`.
    fn metres(&mut self, property: Option<&str>) -> Option<f64> {
        let value = self.properties.get_non_null(property?)?;
        let metres = scalar_text(value).and_then(|text| {
            let text = text.trim();
            let number = text.strip_suffix('m').map_or(text, str::trim_end);
            number
                .parse::<f64>()
                .ok()
                .filter(|metres| metres.is_finite())
        });
        self.unreadable_height |= metres.is_none();
        metres
    }
}

fn properties<'a>(members: &Members<'a>) -> Result<Members<'a>, FeatureError> {
    members.get_non_null("properties").map_or_else(
        || Ok(Members::default()),
        |value: &RawValue| Members::parse(value.get()).map_err(|_| FeatureError::Properties),
    )
}

/// The sum, or the next number above it where the sum was rounded down. The rounding error of a
/// sum is exact in `f64` (Knuth's `TwoSum`).
fn add_up(a: f64, b: f64) -> f64 {
    let sum = a + b;
    let b_part = sum - a;
    let error = (a - (sum - b_part)) + (b - b_part);
    if error > 0.0 { sum.next_up() } else { sum }
}

#[cfg(test)]
#[path = "feature_tests.rs"]
mod tests;
