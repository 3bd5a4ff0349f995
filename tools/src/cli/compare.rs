//! What two versions differ in, read as Features.

use std::collections::BTreeMap;

use blocknet_engine::Record;
use blocknet_query::{Aspect, ByteCompare, Compare};
use geo::{Area, BooleanOps, Geometry, MultiPolygon, Polygon};
use serde_json::value::RawValue;

use crate::input::{Shape, json_equal};

const GEOMETRY: &str = "geometry";
/// A smaller share is no cover: neighbours that share a wall overlap by the rounding of their
/// coordinates.
const SLIVER: f64 = 0.001;

/// Compares Features as JSON values: order of members and spelling of numbers do not matter.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FeatureCompare;

impl Compare for FeatureCompare {
    fn aspects(&self, before: &Record, after: &Record) -> Vec<Aspect> {
        if before.payload == after.payload && before.extent == after.extent {
            return Vec::new();
        }
        let (Some(old), Some(new)) = (members(&before.payload), members(&after.payload)) else {
            return ByteCompare.aspects(before, after);
        };
        let height = |record: &Record| record.extent.map(|extent| (extent.floor, extent.top));
        let mut aspects = Vec::new();
        if !same_member(&old, &new, GEOMETRY) {
            aspects.push(Aspect::Geometry);
        }
        if height(before) != height(after) {
            aspects.push(Aspect::Height);
        }
        let mut names = old
            .keys()
            .chain(new.keys())
            .filter(|name| *name != GEOMETRY);
        if !names.all(|name| same_member(&old, &new, name)) {
            aspects.push(Aspect::Properties);
        }
        aspects
    }

    fn covered(&self, gone: &Record, other: &Record) -> f64 {
        let by_shape = || {
            // Joined with nothing, a polygon with invalid rings becomes what it covers.
            let gone = polygons(gone)?.union(&MultiPolygon(Vec::new()));
            let area = gone.unsigned_area();
            if area <= 0.0 {
                return None;
            }
            let share = gone.intersection(&polygons(other)?).unsigned_area() / area;
            let share = if share < SLIVER { 0.0 } else { share };
            share.is_finite().then_some(share.clamp(0.0, 1.0))
        };
        by_shape().unwrap_or_else(|| ByteCompare.covered(gone, other))
    }
}

/// The members of a JSON object; of several with one name the last.
type Members<'a> = BTreeMap<String, &'a RawValue>;

fn members(payload: &[u8]) -> Option<Members<'_>> {
    serde_json::from_slice(payload).ok()
}

fn same_member(old: &Members<'_>, new: &Members<'_>, name: &str) -> bool {
    match (old.get(name), new.get(name)) {
        (Some(old), Some(new)) => json_equal(old.get().as_bytes(), new.get().as_bytes()),
        (None, None) => true,
        _ => false,
    }
}

/// The polygons of a Feature; `None` when it has none, or something else as well.
fn polygons(record: &Record) -> Option<MultiPolygon<f64>> {
    let shape = Shape::parse(members(&record.payload)?.get(GEOMETRY)?.get()).ok()?;
    let mut found = Vec::new();
    gather(shape.geometry(), &mut found)?;
    (!found.is_empty()).then_some(MultiPolygon(found))
}

fn gather(geometry: &Geometry<f64>, found: &mut Vec<Polygon<f64>>) -> Option<()> {
    match geometry {
        Geometry::Polygon(one) => found.push(one.clone()),
        Geometry::MultiPolygon(many) => found.extend(many.iter().cloned()),
        Geometry::GeometryCollection(many) => many.iter().try_for_each(|one| gather(one, found))?,
        _ => return None,
    }
    Some(())
}
