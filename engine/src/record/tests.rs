use super::*;
use crate::testing::{NET_ID, PLACE, golden, hex};
use blocknet_geocode::CurveKind;
use quickcheck::quickcheck;

const SALT: [u8; SALT_LEN_BYTES] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
const PAYLOAD: &[u8] = b"{\"storeys\":2}";
const VERSION: Version = Version {
    commit: 7,
    index: 3,
};
/// SHA-256 over: length 18 as u64 and "blocknet/payload/1", the salt, length 13 as u64 and the
/// payload.
const COMMITMENT: &str = "279bd622eee7ebc2cffa67512cfecebc38e1284013dd8f1656bc3b70422b4798";

/// Every field of a header in order, as it lies on disk.
fn header_bytes() -> Vec<u8> {
    golden(&format!(
        r#" 0100    // layer
            0200 "12"    // id
            0200000000000000    // ordinal
            e200    // flags: from day, explicit end, floor, top
            01    // kind: correct
            0000000000000000 0060d71d14000000    // 1970-01-01 to 1970-01-02
            {PLACE}
            4ed1915cfe7f5640 9ca223b9fc7f4640    // west 89.9999, south 44.9999
            b22e6ea301805640 645ddc4603804640    // east 90.0001, north 45.0001
            000000000000f0bf 000000000000f03f    // floor -1 m, top 1 m
            0d000000 {COMMITMENT}    // payload
            {previous}
            05 0200 "me" 0300 "doc"    // author and source of its own
        "#,
        previous = "22".repeat(32),
    ))
}

fn header() -> Header {
    Header {
        layer: LayerId::MAIN,
        id: "12".into(),
        ordinal: 2,
        flags: flag::FROM_DAY | flag::END_EXPLICIT | flag::FLOOR_KNOWN | flag::TOP_KNOWN,
        kind: ChangeKind::Correct,
        valid: Interval {
            from: Moment::from_micros(0),
            to: Moment::from_micros(86_400_000_000),
        },
        place: place(),
        extent: Some(Extent::flat(89.9999, 44.9999, 90.0001, 45.0001).between(-1.0, 1.0)),
        payload_len: 13,
        commitment: commitment(&SALT, PAYLOAD),
        previous: Hash([0x22; 32]),
        author: Some("me".into()),
        reason: None,
        source: Some("doc".into()),
    }
}

fn place() -> Place {
    let bytes = hex(PLACE);
    Place::of(bytes[0], &bytes[1..])
}

fn encoded(header: &Header) -> Vec<u8> {
    let mut out = Encoder::default();
    header.encode(&mut out);
    out.0
}

fn decoded(bytes: &[u8]) -> Result<Header, Fault> {
    let mut input = Decoder(bytes);
    let header = Header::decode(&mut input, &NetSpec::city())?;
    input.finish()?;
    Ok(header)
}

#[test]
fn a_header_has_these_bytes() {
    assert_eq!(encoded(&header()), header_bytes());
    assert_eq!(decoded(&header_bytes()), Ok(header()));
    let bytes = header_bytes();
    let read = HeaderRef::decode(&mut Decoder(&bytes), &NetSpec::city()).unwrap();
    assert_eq!(read.end(), End::At(Moment::from_micros(86_400_000_000)));
}

#[test]
fn an_absence_is_the_shortest_header() {
    let absence = Header {
        id: "".into(),
        flags: flag::ABSENCE,
        place: Place::NOWHERE,
        extent: None,
        payload_len: 0,
        author: None,
        source: None,
        ..header()
    };
    let bytes = encoded(&absence);
    assert_eq!(bytes.len(), Header::LEN_BYTES_MIN);
    assert_eq!(decoded(&bytes), Ok(absence));
}

#[test]
fn every_truncation_of_a_header_is_refused_and_so_is_a_byte_more() {
    let bytes = header_bytes();
    for cut in 0..bytes.len() {
        assert!(
            matches!(decoded(&bytes[..cut]), Err(Fault::Truncated { .. })),
            "cut at {cut}"
        );
    }
    let longer = [bytes, vec![0]].concat();
    assert_eq!(decoded(&longer), Err(Fault::Trailing { bytes: 1 }));
}

#[test]
fn values_that_are_never_written_are_refused() {
    let bytes = header_bytes();
    let with = |offset: usize, byte: u8| {
        let mut bytes = bytes.clone();
        bytes[offset] = byte;
        decoded(&bytes)
    };
    let refused = |what| Err(Fault::Value { what });
    // Offsets: id 2, flags 14, kind 16, place 33, extent 45, own texts 161.
    assert_eq!(with(4, 0xff), refused("text"));
    assert_eq!(with(15, 0x02), refused("flags"));
    assert_eq!(with(14, 0xe3), refused("place of an absence"));
    assert_eq!(with(16, 3), refused("change kind"));
    assert_eq!(with(33, 10), refused("level of a place"));
    assert_eq!(with(33, 0xff), refused("place of an absence"));
    // The sign of west turned, so that it is -89.9999, is fine; that of east is not.
    assert!(with(52, 0xc0).is_ok());
    assert_eq!(with(68, 0xc0), refused("extent"));
    // NaN, for the top.
    let mut nan = bytes.clone();
    nan[85..93].copy_from_slice(&f64::NAN.to_le_bytes());
    assert_eq!(decoded(&nan), refused("extent"));
    let own_texts = bytes.len() - 10;
    assert_eq!(with(own_texts, 0x0d), refused("flags of own texts"));
}

/// SHA-256 over: length 18 as u64 and "blocknet/version/1", the net's id, commit as u64, index as
/// u32, length 171 as u64 and the header.
#[test]
fn a_version_hash_covers_net_number_and_header() {
    assert_eq!(
        header().hash(&NET_ID, VERSION).to_string(),
        "4548bcd8f39a6064337a1e503451a3770728d2ff888ca9f11715f03f4f0c3ab8"
    );
    let hash = header().hash(&NET_ID, VERSION);
    let later = Version {
        index: 4,
        ..VERSION
    };
    assert_ne!(header().hash(&[0; 16], VERSION), hash);
    assert_ne!(header().hash(&NET_ID, later), hash);
}

#[test]
fn a_commitment_covers_salt_and_payload() {
    assert_eq!(commitment(&SALT, PAYLOAD).to_string(), COMMITMENT);
    assert_ne!(commitment(&[0; 16], PAYLOAD).to_string(), COMMITMENT);
}

fn row_bytes() -> Vec<u8> {
    golden(
        " 01    // form: a version
            0700000000000000 03000000    // commit 7, index 3
            ab00    // 171 bytes of header follow
        ",
    )
    .into_iter()
    .chain(header_bytes())
    .chain(SALT)
    .chain(PAYLOAD.iter().copied())
    .collect()
}

#[test]
fn a_version_row_has_these_bytes() {
    let bytes = row_bytes();
    assert_eq!(encode_row(VERSION, &header_bytes(), &SALT, PAYLOAD), bytes);
    let row = RowRef::decode(&bytes).unwrap();
    assert_eq!((row.version, row.payload), (VERSION, PAYLOAD));
    assert_eq!(row.header(&NetSpec::city()), Ok(header()));
    assert_eq!(row.peek(), Ok((header().valid, header().flags)));
    let peeked = Peeked::decode(&bytes, &NetSpec::city()).unwrap();
    assert_eq!(peeked.valid(), header().valid);
}

#[test]
fn every_truncation_of_a_row_is_refused() {
    let bytes = row_bytes();
    for cut in 0..bytes.len() {
        let read = RowRef::decode(&bytes[..cut]).and_then(|row| row.header(&NetSpec::city()));
        assert!(read.is_err(), "cut at {cut}");
    }
    assert!(RowRef::decode(&[&[3], &bytes[1..]].concat()).is_err());
}

#[test]
fn closing_rows_have_these_bytes() {
    let moved = Closing {
        valid: Interval {
            from: Moment::from_micros(5),
            to: Moment::from_micros(9),
        },
        moved_to: place(),
    };
    let gone = Closing {
        valid: Interval {
            from: Moment::from_micros(-1),
            to: Moment::MAX,
        },
        moved_to: Place::NOWHERE,
    };
    let moved_bytes = hex(&format!("02 0500000000000000 0900000000000000 {PLACE}"));
    let gone_bytes = hex("02 ffffffffffffffff ffffffffffffff7f ff");
    for (closing, bytes) in [(moved, moved_bytes), (gone, gone_bytes)] {
        assert_eq!(closing.encode(), bytes);
        let read = |bytes: &[u8]| match Peeked::decode(bytes, &NetSpec::city())? {
            Peeked::Closing(closing) => Ok(Some(closing)),
            Peeked::Version(..) => Ok::<_, Fault>(None),
        };
        assert_eq!(read(&bytes), Ok(Some(closing)));
        for cut in 0..bytes.len() {
            assert!(read(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        let longer = [bytes, vec![0]].concat();
        assert_eq!(read(&longer), Err(Fault::Trailing { bytes: 1 }));
    }
}

#[test]
fn negative_zero_is_zero() {
    let negative = Extent::flat(-0.0, -0.0, -0.0, -0.0).between(-0.0, -0.0);
    let zero = Extent::flat(0.0, 0.0, 0.0, 0.0).between(0.0, 0.0);
    let bits = |extent: Extent| {
        let known = [extent.floor.unwrap(), extent.top.unwrap()];
        [extent.west, extent.south, extent.east, extent.north]
            .into_iter()
            .chain(known)
            .map(f64::to_bits)
            .collect::<Vec<_>>()
    };
    assert_ne!(bits(negative), bits(zero));
    assert_eq!(bits(negative.canonical()), bits(zero));
    let house = Extent::flat(4.25, 52.0, 4.5, 52.25).between(-1.5, 9.5);
    assert_eq!(bits(house.canonical()), bits(house));
}

#[test]
fn extents_out_of_range_are_refused() {
    let house = Extent::flat(4.0, 52.0, 4.1, 52.1);
    house.check().unwrap();
    Extent::flat(-180.0, -90.0, 180.0, 90.0).check().unwrap();
    house.between(3.0, 3.0).check().unwrap();
    for extent in [
        Extent::flat(4.1, 52.0, 4.0, 52.1),
        Extent::flat(4.0, 52.1, 4.1, 52.0),
        Extent::flat(-180.1, 52.0, 4.0, 52.1),
        Extent::flat(4.0, 52.0, 4.1, 90.1),
        Extent::flat(f64::NAN, 52.0, 4.1, 52.1),
        house.between(3.0, 2.9),
        house.between(f64::NEG_INFINITY, 2.0),
        Extent {
            top: Some(f64::NAN),
            ..house
        },
    ] {
        assert!(extent.check().is_err(), "{extent}");
    }
}

#[test]
fn an_anchor_is_the_centre_and_takes_the_altitude_that_is_known() {
    let flat = Extent::flat(4.0, 52.0, 5.0, 54.0);
    let anchor = |extent: Extent| {
        let anchor = extent.anchor();
        (anchor.longitude, anchor.latitude, anchor.altitude)
    };
    assert_eq!(anchor(flat), (4.5, 53.0, None));
    assert_eq!(anchor(flat.between(-2.0, 8.0)), (4.5, 53.0, Some(3.0)));
    let floor = Some(1.5);
    assert_eq!(anchor(Extent { floor, ..flat }).2, floor);
    let top = Some(9.5);
    assert_eq!(anchor(Extent { top, ..flat }).2, top);
}

/// A cell of level n is 360 / 4^n degrees wide and 180 / 4^n high, and an extent takes half of it
/// at most.
#[test]
fn an_extent_is_filed_under_the_finest_level_with_cells_twice_its_size() {
    let spec = NetSpec::city();
    let level = |width: f64, height: f64| level_of(&spec, &Extent::flat(0.0, 0.0, width, height));
    let (half_width, half_height) = (180.0_f64 / 262_144.0, 90.0_f64 / 262_144.0);
    for (width, height, expected) in [
        (0.0, 0.0, 9),
        (half_width, half_height, 9),
        (half_width.next_up(), half_height, 8),
        (half_width, half_height.next_up(), 8),
        (4.0 * half_width, 0.0, 8),
        (0.0, 4.0 * half_height, 8),
        (45.0, 22.5, 1),
        (45.0_f64.next_up(), 22.5, 0),
        (45.0, 22.5_f64.next_up(), 0),
        (180.0, 90.0, 0),
    ] {
        assert_eq!(level(width, height), expected, "{width} by {height}");
    }
    // Larger than half the planet: the root is all there is.
    assert_eq!(
        level_of(&spec, &Extent::flat(-180.0, -90.0, 180.0, 90.0)),
        0
    );
}

#[test]
fn a_place_is_the_level_and_the_stored_geocode() {
    let spec = NetSpec::city();
    let extent = header().extent.unwrap();
    let (place, geocode) = Place::new(&spec, &extent).unwrap();
    assert_eq!(place.as_bytes(), hex(PLACE));
    assert_eq!(place.level(), 9);
    assert_eq!(spec.format(&geocode), "f000000000000000-0186a0");
    assert_eq!(Place::len_bytes(&spec, 9), Ok(12));
    assert_eq!(Place::len_bytes(&spec, Place::NOWHERE_LEVEL), Ok(1));
    assert!(Place::len_bytes(&spec, 10).is_err());
    assert!(Place::NOWHERE.is_nowhere() && Place::NOWHERE.as_bytes() == [0xff]);
    assert_eq!(Place::NOWHERE.geocode(&spec, true), None);
}

/// A point or a box somewhere on the planet, from any numbers.
fn extent_of(west: i16, south: i16, size: u16, heights: (bool, bool)) -> Extent {
    let west = f64::from(west) * 180.0 / 32_768.0;
    let south = f64::from(south) * 90.0 / 32_768.0;
    let size = f64::from(size) / f64::from(1 + (size & 0xfff)) / 100.0;
    Extent {
        floor: heights.0.then_some(1.25),
        top: heights.1.then_some(20.5),
        ..Extent::flat(
            west,
            south,
            (west + size).min(180.0),
            (south + size).min(90.0),
        )
    }
}

quickcheck! {
    fn places_are_read_back(west: i16, south: i16, size: u16, heights: (bool, bool)) -> bool {
        let extent = extent_of(west, south, size, heights);
        [CurveKind::Morton, CurveKind::Hilbert].into_iter().all(|curve| {
            let spec = NetSpec::builder().curve(curve).block_digits(11).build().unwrap();
            let (place, geocode) = Place::new(&spec, &extent).unwrap();
            let mut input = Decoder(place.as_bytes());
            let known = heights.0 || heights.1;
            Place::decode(&mut input, &spec) == Ok(place)
                && input.finish().is_ok()
                && place.geocode(&spec, known) == Some(geocode)
                && place.level() == level_of(&spec, &extent)
        })
    }

    fn headers_are_read_back(
        id: String,
        numbers: (u64, i64, i64, u32),
        place: (i16, i16, u16),
        known: (bool, bool),
        own: (bool, bool, bool)
    ) -> bool {
        let extent = extent_of(place.0, place.1, place.2, known);
        let set = |on: bool, bit: u16| if on { bit } else { 0 };
        let text = |on: bool| on.then(|| "own".into());
        let header = Header {
            id: id.into(),
            ordinal: numbers.0,
            flags: set(known.0, flag::FLOOR_KNOWN) | set(known.1, flag::TOP_KNOWN),
            valid: Interval {
                from: Moment::from_micros(numbers.1),
                to: Moment::from_micros(numbers.2),
            },
            place: Place::new(&NetSpec::city(), &extent).unwrap().0,
            extent: Some(extent),
            payload_len: numbers.3,
            author: text(own.0),
            reason: text(own.1),
            source: text(own.2),
            ..header()
        };
        decoded(&encoded(&header)) == Ok(header)
    }

    fn hostile_bytes_are_refused_not_panicked_on(bytes: Vec<u8>, at: usize, byte: u8) -> bool {
        let mut close = row_bytes();
        let at = at % close.len();
        close[at] = byte;
        let spec = NetSpec::city();
        for bytes in [&bytes, &close] {
            _ = decoded(bytes);
            _ = Peeked::decode(bytes, &spec);
            _ = RowRef::decode(bytes).and_then(|row| row.header(&spec));
        }
        true
    }
}

#[test]
fn an_erased_salt_has_these_bytes() {
    let salt = erased_salt(258);
    assert_eq!(
        salt.to_vec(),
        golden(r#" 00 "erased" 00 0201000000000000 "#)
    );
    assert_eq!(erased_by(&salt, &[0; 5]), Some(258));
    assert_eq!(erased_by(&salt, &[]), Some(258));
    assert_eq!(erased_by(&salt, &[0, 0, 1]), None, "a payload is there");
    assert_eq!(erased_by(&[0; 16], &[0]), None);
    let row = encode_row(
        Version {
            commit: 7,
            index: 1,
        },
        b"header",
        &[9; 16],
        b"house",
    );
    let erased = RowRef::decode(&row).unwrap().erased(258);
    assert_eq!(erased.len(), row.len());
    let again = RowRef::decode(&erased).unwrap();
    assert_eq!((again.header, again.payload), (&b"header"[..], &[0; 5][..]));
    assert_eq!(again.erased_by(), Some(258));
}

#[test]
fn a_lost_header_keeps_place_interval_and_hash() {
    let whole = header();
    let version = Version {
        commit: 7,
        index: 1,
    };
    let hash = whole.hash(&[3; 16], version);
    let lost = Header {
        flags: whole.flags | flag::LOST,
        kind: ChangeKind::Change,
        extent: None,
        payload_len: 0,
        commitment: hash,
        author: None,
        reason: None,
        source: None,
        ..whole
    };
    let bytes = encoded(&lost);
    assert_eq!(decoded(&bytes), Ok(lost.clone()));
    assert_eq!(lost.hash(&[3; 16], version), hash, "as before");
    let row = encode_row(version, &bytes, &LOST_SALT, b"");
    let row = RowRef::decode(&row).unwrap();
    let header = row.header_ref(&NetSpec::city()).unwrap();
    assert_eq!(row.hash(&[3; 16], &header), hash);
    assert_eq!(row.check_known(&header), Err(Fault::Lost { version }));
    // It cannot say more than a repair writes.
    for more in [
        Header {
            payload_len: 1,
            ..lost.clone()
        },
        Header {
            author: Some("me".into()),
            ..lost
        },
    ] {
        let what = "header of a lost version";
        assert_eq!(decoded(&encoded(&more)), Err(Fault::Value { what }));
    }
}

#[test]
fn a_lost_payload_has_these_bytes() {
    assert_eq!(
        LOST_SALT.to_vec(),
        golden(r#" 00 "lost" 0000000000000000000000 "#)
    );
    assert!(is_payload_lost(&LOST_SALT, &[0; 5]) && is_payload_lost(&LOST_SALT, &[]));
    assert!(!is_payload_lost(&LOST_SALT, &[0, 1]), "a payload is there");
    assert!(!is_payload_lost(&[0; 16], &[0]) && erased_by(&LOST_SALT, &[0]).is_none());
    let other = commitment(&[1; 16], b"house");
    assert!(is_accounted_for(&LOST_SALT, &[0; 5], other));
    assert!(!is_kept_or_erased(&LOST_SALT, &[0; 5], other));
    assert!(!is_plain_salt(&LOST_SALT) && !is_plain_salt(&erased_salt(1)));
    assert!(is_plain_salt(&[1; 16]));
}
