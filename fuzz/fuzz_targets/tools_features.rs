//! Files of Features: GeoJSON documents and lines, plain and gzip. The reader ends, counts, and gives
//! well-formed objects that stand in the file; what is read as one line per Feature is the same when
//! it is written as lines again.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use blocknet_tools::input::{Feature, FeatureReader, Format, HeightIs, Rules, json_equal};
use libfuzzer_sys::fuzz_target;

static FILE: LazyLock<PathBuf> = LazyLock::new(|| {
    let dir = if std::path::Path::new("/dev/shm").is_dir() {
        "/dev/shm".into()
    } else {
        std::env::temp_dir()
    };
    dir.join(format!("blocknet-fuzz-features-{}", std::process::id()))
});

/// The Features of a file, and whether all of it could be read.
fn read(bytes: &[u8], format: Format) -> (Vec<String>, bool) {
    std::fs::write(&*FILE, bytes).expect("a writable temporary directory");
    let Ok(reader) = FeatureReader::open(&*FILE, format) else {
        return (Vec::new(), false);
    };
    let (mut features, mut whole, mut last) = (Vec::new(), true, 0);
    for feature in reader {
        match feature {
            Ok(raw) => {
                assert!(raw.number > last, "Features are counted");
                last = raw.number;
                features.push(raw.json);
            }
            Err(error) => {
                assert!(!error.to_string().is_empty());
                whole = false;
            }
        }
    }
    (features, whole)
}

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, bytes)) = bytes.split_first() else {
        return;
    };
    let format = match choice & 3 {
        0 => Format::GeoJson,
        1 => Format::GeoJsonLines,
        _ => Format::Auto,
    };
    let mut rules = Rules::default();
    if choice & 4 != 0 {
        rules = rules.with_id("a+b").expect("a rule");
    }
    if choice & 8 != 0 {
        rules = rules.with_floor("f");
    }
    if choice & 16 != 0 {
        let is = if choice & 32 == 0 {
            HeightIs::AboveFloor
        } else {
            HeightIs::AbsoluteTop
        };
        rules = rules.with_height("h", is);
    }
    let (features, whole) = read(bytes, format);
    let is_gzip = bytes.starts_with(&[0x1f, 0x8b]);
    for json in &features {
        assert!(
            is_gzip
                || bytes
                    .windows(json.len())
                    .any(|part| part == json.as_bytes()),
            "byte for byte as in the file"
        );
        let id = rules.id_of(json);
        let Ok(feature) = Feature::parse(json, &rules) else {
            continue;
        };
        assert_eq!(id.as_deref(), Some(feature.id()));
        assert!(json_equal(json.as_bytes(), json.as_bytes()));
        let _ = feature.rings();
        let _ = feature.property("p.q");
        if let Some(extent) = feature.extent() {
            let bounds = extent.bounds;
            assert!(bounds.west <= bounds.east && bounds.south <= bounds.north);
            if let (Some(floor), Some(top)) = (extent.floor, extent.top) {
                assert!(floor <= top);
            }
        }
    }
    if whole
        && features
            .iter()
            .all(|json| !json.contains(['\n', '\r', '\u{1e}']))
    {
        let again = read(features.join("\n").as_bytes(), Format::GeoJsonLines);
        assert_eq!(again, (features, true), "the same as lines");
    }
});
