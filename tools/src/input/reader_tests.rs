use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use quickcheck::QuickCheck;
use tempfile::NamedTempFile;

use super::*;

const ONE: &str = r#"{"type":"Feature","id":1,"properties":{"s":"}],\"{["},"geometry":null}"#;
const TWO: &str = r#"{ "type": "Feature", "id": 2, "properties": {"n": 1.0}, "geometry": null }"#;

fn file(bytes: &[u8]) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Number, line and text of each Feature, or the message of each error without the file's name.
/// Plain and gzip must give the same.
fn read(bytes: &[u8], format: Format) -> Vec<Result<(u64, u64, String), String>> {
    let plain = read_file(bytes, format);
    let packed = read_file(&gzip(bytes), format);
    assert_eq!(plain, packed, "gzip differs");
    plain
}

fn read_file(bytes: &[u8], format: Format) -> Vec<Result<(u64, u64, String), String>> {
    let file = file(bytes);
    let name = format!("{}: ", file.path().display());
    let strip = |error: InputError| error.to_string().strip_prefix(&name).unwrap().to_owned();
    let reader = match FeatureReader::open(file.path(), format) {
        Ok(reader) => reader,
        Err(error) => {
            assert!(error.is_fatal());
            return vec![Err(strip(error))];
        }
    };
    reader
        .map(|feature| feature.map(|f| (f.number, f.line, f.json)).map_err(strip))
        .collect()
}

fn good(features: &[(u64, u64, &str)]) -> Vec<Result<(u64, u64, String), String>> {
    features
        .iter()
        .map(|&(number, line, json)| Ok((number, line, json.to_owned())))
        .collect()
}

fn only_error(bytes: &[u8], format: Format) -> String {
    let mut all = read(bytes, format);
    assert_eq!(all.len(), 1, "{all:?}");
    all.pop().unwrap().unwrap_err()
}

#[test]
fn lines_are_features() {
    for text in [
        format!("{ONE}\n{TWO}\n"),
        format!("{ONE}\n{TWO}"),
        format!("{ONE}\r\n{TWO}\r\n"),
        format!("\u{feff}{ONE}\n{TWO}"),
        format!("\u{1e}{ONE}\n\u{1e}{TWO}\n"),
        format!("  {ONE} \t\n {TWO}"),
    ] {
        for format in [Format::Auto, Format::GeoJsonLines] {
            assert_eq!(
                read(text.as_bytes(), format),
                good(&[(1, 1, ONE), (2, 2, TWO)]),
                "{text}"
            );
        }
    }
    let blank = format!("\n\n{ONE}\n \r\n\n{TWO}\n\n");
    assert_eq!(
        read(blank.as_bytes(), Format::Auto),
        good(&[(1, 3, ONE), (2, 6, TWO)])
    );
    for empty in ["", "\n", "\u{feff}", " \r\n\n"] {
        assert_eq!(read(empty.as_bytes(), Format::Auto), []);
    }
}

#[test]
fn a_collection_gives_its_features_as_they_stand() {
    for (text, lines) in [
        (
            format!(r#"{{"type":"FeatureCollection","features":[{ONE},{TWO}]}}"#),
            [1, 1],
        ),
        (
            format!("{{\"type\":\"FeatureCollection\",\n\"features\":[\n{ONE},\n\n{TWO}\n]\n}}\n"),
            [3, 5],
        ),
        (
            format!(r#"{{"features":[{ONE} , {TWO}],"n":-1.5e3,"type":"FeatureCollection"}}"#),
            [1, 1],
        ),
        (
            format!(
                "\u{feff}{{\"bbox\":[1,2,3,4],\"n\":12,\"b\":true,\"s\":\"features\",\"o\":{{\"features\":[{{}}]}},\"\\u0066eatures\":[{ONE},\n{TWO}],\"type\":\"FeatureCollection\"}}"
            ),
            [1, 2],
        ),
    ] {
        for format in [Format::Auto, Format::GeoJson] {
            let expected = good(&[(1, lines[0], ONE), (2, lines[1], TWO)]);
            assert_eq!(read(text.as_bytes(), format), expected, "{text}");
        }
    }
    let empty = r#"{"type":"FeatureCollection","features":[ ]}"#;
    assert_eq!(read(empty.as_bytes(), Format::Auto), []);
}

#[test]
fn a_single_feature_may_go_over_lines() {
    let pretty = TWO.replace(", ", ",\n  ");
    let expected = good(&[(1, 2, &pretty)]);
    assert_eq!(
        read(format!("\n{pretty}\n\n").as_bytes(), Format::Auto),
        expected
    );
    assert_eq!(
        read(format!("\n{pretty}").as_bytes(), Format::GeoJson),
        expected
    );
    assert_eq!(read(ONE.as_bytes(), Format::GeoJson), good(&[(1, 1, ONE)]));
    let two = format!("{pretty}\n{ONE}");
    assert!(only_error(two.as_bytes(), Format::Auto).contains("something follows"));
}

#[test]
fn the_crs_is_found_wherever_it_stands() {
    let collection = |before: &str, after: &str| {
        format!(r#"{{"type":"FeatureCollection",{before}"features":[{ONE}]{after}}}"#)
    };
    let crs = |name: &str| format!(r#""crs":{{"type":"name","properties":{{"name":"{name}"}}}}"#);
    let bad = crs("urn:ogc:def:crs:EPSG::28992");
    for text in [
        collection(&format!("{bad},"), ""),
        collection("", &format!(",{bad}")),
        collection("", &format!(",{},{bad}", crs("EPSG:4326"))),
    ] {
        let error = only_error(text.as_bytes(), Format::Auto);
        assert!(error.contains("urn:ogc:def:crs:EPSG::28992"), "{error}");
    }
    let fine = collection("", &format!(",{}", crs("urn:ogc:def:crs:OGC:1.3:CRS84")));
    assert_eq!(read(fine.as_bytes(), Format::Auto), good(&[(1, 1, ONE)]));
    let feature = format!("{{\"type\":\"Feature\",\n{bad},\"geometry\":null}}");
    assert!(only_error(feature.as_bytes(), Format::Auto).contains("28992"));
}

#[test]
fn after_a_bad_line_reading_goes_on() {
    let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
    for (bad, reason) in [
        ("not json", "line 2: Feature 2: not GeoJSON"),
        (
            r#"{"type":"Feature","geometry":{"type":"Poi"#,
            "EOF while parsing a string at column 41",
        ),
        (
            r#"{"type":"Feature"} x"#,
            "trailing characters at column 20",
        ),
        (deep.as_str(), "the line is no object"),
        ("7", "the line is no object"),
    ] {
        let text = format!("{ONE}\n{bad}\n{TWO}\n");
        let all = read(text.as_bytes(), Format::Auto);
        assert_eq!(all.len(), 3, "{all:?}");
        assert_eq!(
            [&all[0], &all[2]],
            [&good(&[(1, 1, ONE)])[0], &good(&[(3, 3, TWO)])[0]]
        );
        assert!(
            all[1].as_ref().unwrap_err().contains(reason),
            "{:?}",
            all[1]
        );
        // The same where it comes first, and the form has to be guessed from it.
        let text = format!("{bad}\n{ONE}\n");
        let all = read(text.as_bytes(), Format::Auto);
        assert_eq!(all.len(), 2, "{all:?}");
        assert_eq!(all[1], good(&[(2, 2, ONE)])[0]);
    }
    let all = read(
        &[ONE.as_bytes(), b"\n{\"\xff\":1}\n", TWO.as_bytes()].concat(),
        Format::Auto,
    );
    assert_eq!(
        all[1].as_ref().unwrap_err(),
        "line 2: Feature 2: not UTF-8 from byte 2 of the line; convert the file to UTF-8"
    );
    assert!(all[2].is_ok());
}

#[test]
fn a_broken_document_is_refused_whole() {
    let start = format!("{{\"type\":\"FeatureCollection\",\"features\":[\n{ONE},\n");
    for (rest, reason) in [
        (
            "",
            "line 3: not GeoJSON: the file ends where a Feature should be",
        ),
        (
            r#"{"type":"Fea"#,
            "line 3: not GeoJSON: the file ends within a value",
        ),
        ("{\"a\":}]}", "line 3: not GeoJSON: expected value"),
        ("7]}", "line 3: not GeoJSON: expected a Feature, found `7`"),
        ("]}", "line 3: not GeoJSON: expected a Feature, found `]`"),
        (
            "{} {}]}",
            "line 3: not GeoJSON: expected `,` or `]`, found `{`",
        ),
        ("{}]", "the file ends where `,` or `}` should be"),
        ("{}]}}", "something follows the document"),
        ("{}]}\n{}", "line 4: something follows the document"),
        ("{}],\"features\":[]}", "a second features member"),
        ("{}],1:2}", "expected a member name, found `1`"),
        ("{}],\"a\" 1}", "expected `:`"),
    ] {
        let text = format!("{start}{rest}");
        let error = only_error(text.as_bytes(), Format::Auto);
        assert!(error.contains(reason), "{rest}: {error}");
    }
    for (text, reason) in [
        (
            r#"{"type":"FeatureCollection"}"#,
            "it has no features array",
        ),
        (
            r#"{"type":"FeatureCollection","features":null}"#,
            "it has no features array",
        ),
        (r#"{"features":[{}]}"#, "the document is without a type"),
    ] {
        assert!(
            only_error(text.as_bytes(), Format::Auto).contains(reason),
            "{text}"
        );
    }
    for (text, reason) in [
        ("", "the file ends where an object should be"),
        ("[]", "expected an object, found `[`"),
        ("\u{e9}", "expected an object"),
        (r#"{"type":"Topology"}"#, "the document is of type Topology"),
        (r#"{"a":01}"#, "not GeoJSON"),
        (r#"{"a":-}"#, "not GeoJSON"),
    ] {
        assert!(
            only_error(text.as_bytes(), Format::GeoJson).contains(reason),
            "{text}"
        );
    }
    // Invalid UTF-8 within a string shows when the Feature is taken.
    let bytes = [
        start.as_bytes(),
        b"{\"a\":\"\xff\"},",
        TWO.as_bytes(),
        b"]}",
    ]
    .concat();
    let all = read(&bytes, Format::Auto);
    assert_eq!(all.len(), 2);
    assert!(
        all[1]
            .as_ref()
            .unwrap_err()
            .starts_with("line 3: Feature 2: not GeoJSON"),
        "{all:?}"
    );
}

#[test]
fn damaged_gzip_is_never_a_silent_end() {
    let lines = (0..2000).fold(String::new(), |text, i| {
        text + &format!("{{\"type\":\"Feature\",\"id\":{i}}}\n")
    });
    let inner = lines.trim_end().replace('\n', ",");
    let collection = format!(r#"{{"type":"FeatureCollection","features":[{inner}]}}"#);
    for text in [&lines, &collection] {
        let whole = gzip(text.as_bytes());
        assert_eq!(read_file(&whole, Format::Auto).len(), 2000);
        for cut in (2..whole.len())
            .step_by(97)
            .chain(whole.len() - 9..whole.len())
        {
            let all = read_file(&whole[..cut], Format::Auto);
            let last = all.last().unwrap().as_ref().unwrap_err();
            assert!(
                last.contains("gzip data is damaged"),
                "cut at {cut}: {last}"
            );
            assert!(all[..all.len() - 1].iter().all(Result::is_ok));
        }
        for flip in (12..whole.len()).step_by(101) {
            let mut damaged = whole.clone();
            damaged[flip] ^= 0x10;
            let all = read_file(&damaged, Format::Auto);
            assert!(all.iter().any(Result::is_err), "flip at {flip}");
        }
        let mut garbage = whole.clone();
        garbage.extend(b"garbage after the data");
        assert!(read_file(&garbage, Format::Auto).last().unwrap().is_err());
    }
    // Members that follow each other are one text.
    let two = [gzip(format!("{ONE}\n").as_bytes()), gzip(TWO.as_bytes())].concat();
    assert_eq!(
        read_file(&two, Format::Auto),
        good(&[(1, 1, ONE), (2, 2, TWO)])
    );
}

#[test]
fn a_feature_is_at_most_64_mib_long() {
    let long = |len: u64| {
        let frame = r#"{"a":""}"#.len();
        let fill = usize::try_from(len).unwrap() - frame;
        format!(r#"{{"a":"{}"}}"#, "x".repeat(fill))
    };
    let (fits, over) = (long(FEATURE_LEN_BYTES_MAX), long(FEATURE_LEN_BYTES_MAX + 1));
    let lines = format!("{fits}\r\n{over}\r\n{over}{over}\n{ONE}");
    let all = read_file(lines.as_bytes(), Format::GeoJsonLines);
    assert_eq!(all.len(), 4);
    assert_eq!(all[0].as_ref().unwrap().2.len(), fits.len());
    assert_eq!(
        all[1].as_ref().unwrap_err(),
        "line 2: Feature 2: a Feature longer than 64 MiB"
    );
    assert_eq!(
        all[2].as_ref().unwrap_err(),
        "line 3: Feature 3: a Feature longer than 64 MiB"
    );
    assert_eq!(all[3], good(&[(4, 4, ONE)])[0]);
    let collection = |inner: &str| {
        let text = format!("{{\"type\":\"FeatureCollection\",\"features\":[{ONE},\n{inner}]}}");
        read_file(text.as_bytes(), Format::Auto)
    };
    assert_eq!(collection(&fits).len(), 2);
    let all = collection(&over);
    assert_eq!(
        all[0].as_ref().unwrap_err(),
        "line 2: Feature 2: a Feature longer than 64 MiB"
    );
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let directory = tempfile::tempdir().unwrap();
    for path in [directory.path().to_owned(), directory.path().join("none")] {
        let error = FeatureReader::open(&path, Format::Auto).unwrap_err();
        assert!(error.is_fatal() && error.line().is_none() && error.number().is_none());
        assert!(matches!(error.fault(), InputFault::Io(_)), "{error}");
        assert_eq!(error.file(), path);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_pipe_is_read_although_it_cannot_be_read_twice() {
    use std::os::fd::AsRawFd;

    let (output, mut input) = io::pipe().unwrap();
    let collection =
        format!(r#"{{"type":"FeatureCollection","features":[{ONE},{TWO}],"crs":null}}"#);
    let writer = std::thread::spawn(move || input.write_all(&gzip(collection.as_bytes())));
    let path = format!("/proc/self/fd/{}", output.as_raw_fd());
    let reader = FeatureReader::open(path, Format::Auto).unwrap();
    writer.join().unwrap().unwrap();
    let features: Vec<String> = reader.map(|feature| feature.unwrap().json).collect();
    assert_eq!(features, [ONE, TWO]);
}

#[test]
fn refusals_name_the_place() {
    let file = file(format!("\n{ONE}").as_bytes());
    let mut reader = FeatureReader::open(file.path(), Format::Auto).unwrap();
    let feature = reader.next().unwrap().unwrap();
    let error = reader.refuse(&feature, FeatureError::NoId);
    assert_eq!(
        (error.line(), error.number(), error.is_fatal()),
        (Some(2), Some(1), false)
    );
    assert!(
        error
            .to_string()
            .contains("line 2: Feature 1: it has no id"),
        "{error}"
    );
    assert!(reader.next().is_none() && reader.next().is_none());
    let (at, len) = reader.position().unwrap();
    assert_eq!((at, len), (file.as_file().metadata().unwrap().len(), len));
}

#[test]
fn any_bytes_are_read_without_panic_and_to_an_end() {
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the form that quickcheck calls"
    )]
    fn property(bytes: Vec<u8>, at: usize, packed: bool, cut: bool) -> bool {
        let text = format!("{{\"type\":\"FeatureCollection\",\"features\":[\n{ONE},\n{TWO}]}}");
        let mut input = if packed {
            gzip(text.as_bytes())
        } else {
            text.into_bytes()
        };
        let at = at % input.len();
        if cut {
            input.truncate(at);
        }
        input.splice(at..at, bytes.iter().copied());
        for input in [&input, &bytes] {
            for format in [Format::Auto, Format::GeoJson, Format::GeoJsonLines] {
                if read_file(input, format).len() > 1 + input.len() {
                    return false;
                }
            }
        }
        true
    }
    QuickCheck::new()
        .tests(300)
        .quickcheck(property as fn(Vec<u8>, usize, bool, bool) -> bool);
}
