//! Which coordinate reference system a `crs` member names.
//!
//! RFC 7946 knows only WGS 84 longitude and latitude; its predecessor of 2008 had a `crs` member,
//! and files still carry it, mostly to say WGS 84.

use serde_json::value::RawValue;

use super::excerpt;
use super::json::{Members, scalar_text};

/// `Ok` when the value of a `crs` member is `null` or names WGS 84; else the name it gives, or its
/// text where it gives none.
///
/// EPSG:4326 is read as longitude, latitude, as every `GeoJSON` writer means it, although the EPSG
/// register puts latitude first.
pub(super) fn check(crs: &RawValue) -> Result<(), String> {
    if crs.get() == "null" {
        return Ok(());
    }
    let name = name(crs).unwrap_or_else(|| crs.get().to_owned());
    if is_wgs84(&name) {
        Ok(())
    } else {
        Err(excerpt(&name))
    }
}

/// The name in `{"type":"name","properties":{"name":...}}`, the address in the `link` form, the
/// code in the older `EPSG` form, or a plain string.
fn name(crs: &RawValue) -> Option<String> {
    if let Some(text) = scalar_text(crs) {
        return Some(text.into_owned());
    }
    let members = Members::parse(crs.get()).ok()?;
    let properties = Members::parse(members.get("properties")?.get()).ok()?;
    let text = |name| properties.get(name).and_then(scalar_text);
    match text("name").or_else(|| text("href")) {
        Some(text) => Some(text.into_owned()),
        None => text("code").map(|code| format!("EPSG:{code}")),
    }
}

/// Reads `EPSG:4326`, `urn:ogc:def:crs:OGC:1.3:CRS84`, `http://www.opengis.net/def/crs/EPSG/0/4326`
/// and their kin by their last part.
fn is_wgs84(name: &str) -> bool {
    let name = name.trim().to_ascii_lowercase();
    let mut parts = name
        .split([':', '/', '#'])
        .filter(|part| !part.is_empty())
        .rev();
    match parts.next() {
        Some("crs84" | "crs84h" | "wgs84" | "wgs 84") => true,
        Some("4326" | "4979") => parts.any(|part| part == "epsg" || part == "epsg.xml"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_text(text: &str) -> Result<(), String> {
        let crs: &RawValue = serde_json::from_str(text).unwrap();
        check(crs)
    }

    fn named(name: &str) -> Result<(), String> {
        check_text(&format!(
            r#"{{"type":"name","properties":{{"name":"{name}"}}}}"#
        ))
    }

    #[test]
    fn spellings_of_wgs84_are_taken() {
        for name in [
            "urn:ogc:def:crs:OGC:1.3:CRS84",
            "urn:ogc:def:crs:OGC::CRS84",
            "OGC:CRS84",
            "EPSG:4326",
            "epsg:4326",
            "urn:ogc:def:crs:EPSG::4326",
            "urn:ogc:def:crs:EPSG:6.6:4326",
            "http://www.opengis.net/def/crs/OGC/1.3/CRS84",
            "http://www.opengis.net/def/crs/EPSG/0/4326",
            "http://www.opengis.net/gml/srs/epsg.xml#4326",
            "http://spatialreference.org/ref/epsg/4326/",
            "EPSG:4979",
            "WGS 84",
        ] {
            assert_eq!(named(name), Ok(()), "{name}");
        }
        assert_eq!(check_text("null"), Ok(()));
        assert_eq!(check_text(r#""EPSG:4326""#), Ok(()));
        assert_eq!(
            check_text(r#"{"type":"EPSG","properties":{"code":4326}}"#),
            Ok(())
        );
    }

    #[test]
    fn others_are_named() {
        for name in [
            "EPSG:28992",
            "urn:ogc:def:crs:EPSG::7415",
            "EPSG:3857",
            "4326",
            "ESRI:4326",
        ] {
            assert_eq!(named(name), Err(name.to_owned()));
        }
        assert_eq!(
            check_text(r#"{"type":"EPSG","properties":{"code":2263}}"#),
            Err("EPSG:2263".to_owned())
        );
        assert_eq!(
            check_text(r#"{"type":"link","properties":{"href":"http://x/31370","type":"proj4"}}"#),
            Err("http://x/31370".to_owned())
        );
        assert_eq!(check_text("{}"), Err("{}".to_owned()));
        assert_eq!(check_text("[1]"), Err("[1]".to_owned()));
        assert_eq!(named(&"x".repeat(500)).unwrap_err().len(), 83);
    }
}
