//! From files of `GeoJSON` to Features with an id, an extent and times.
//!
//! What comes from a file is hostile until proven otherwise: nothing here panics on it, and memory
//! is bounded by one Feature ([`FEATURE_LEN_BYTES_MAX`]) and by the sorter's budget. A Feature is
//! never rewritten: the payload is the text as it came, and JSON is read in place, so that numbers
//! keep their digits and text its spelling.
//!
//! * [`FeatureReader`]: Features one at a time from a `FeatureCollection` or from lines, plain or
//!   gzip.
//! * [`Feature`] and [`Rules`]: id, extent, floor and top of one Feature.
//! * [`Predicate`]: `PROP=V[,V...]` on a Feature's properties.
//! * [`Expression`]: a condition in the Common Expression Language on a record.
//! * [`Window`]: whether a stored Feature's geometry meets or lies within a box.
//! * [`polygons`] and [`lines`]: the shape of a query from a file.
//! * [`Instant`]: times as registers write them.
//! * [`json_equal`]: whether two payloads are the same JSON value.
//! * [`Sorter`]: sorts by a 64-bit key in bounded memory.

mod area;
mod crs;
mod expression;
mod feature;
mod geometry;
mod json;
mod predicate;
mod reader;
mod sort;
mod source;
mod time;

#[cfg(test)]
mod real_data;

pub use area::{AreaError, lines, polygons};
pub use expression::{Expression, ExpressionError, ExpressionFault, Fields};
pub use feature::{Extent, Feature, FeatureError, HeightIs, Rules, RulesError};
pub use geometry::{Bounds, GeometryError, Rings, Shape, Window, WindowError, meets, within};
pub use json::{Members, json_equal, scalar_text};
pub use predicate::{Predicate, PredicateError, lookup};
pub use reader::{FeatureReader, Format, InputError, InputFault, RawFeature};
pub use sort::{Record, SortError, Sorted, Sorter};
pub use source::FEATURE_LEN_BYTES_MAX;
pub use time::{DayEdge, Instant, TimeError, zone};

/// At most `EXCERPT_CHARS_MAX` characters of a text, for messages: a hostile file must not choose
/// how long an error is.
fn excerpt(text: &str) -> String {
    const EXCERPT_CHARS_MAX: usize = 80;
    match text.char_indices().nth(EXCERPT_CHARS_MAX) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
