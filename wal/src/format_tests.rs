//! The layout held against bytes that another program wrote, and against damage.

use std::ops::Range;

use quickcheck::quickcheck;

use super::*;

/// The worked example of DESIGN.md, made by a script that shares no code with this crate.
const WORKED_EXAMPLE: &str = include_str!("../tests/fixtures/v1/worked_example.hex");
const SALT: u64 = 0x1122_3344_5566_7788;
const FIRST: Range<usize> = 0x1000..0x1070;
const SECOND: Range<usize> = 0x1070..0x10d8;
const MARK: Range<usize> = 0x10d8..0x1128;

/// A segment with a lost frame, by the same script.
const REWRITTEN: &str = include_str!("../tests/fixtures/v1/rewritten.hex");
const LOST: Range<usize> = 0x10d8..0x1138;

fn worked_example() -> Vec<u8> {
    from_hex(WORKED_EXAMPLE)
}

fn from_hex(listing: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in listing.lines() {
        let mut words = line.split_whitespace();
        let offset = words.next().expect("an offset");
        bytes.resize(usize::from_str_radix(offset, 16).expect("hex"), 0);
        bytes.extend(words.map(|word| u8::from_str_radix(word, 16).expect("hex")));
    }
    bytes
}

fn header_at(file: &[u8], offset: usize) -> Result<FrameHeader, Fault> {
    FrameHeader::decode(&file[offset..], SALT, offset as u64)
}

fn sections<'a>(header: &FrameHeader, file: &'a [u8], frame: &Range<usize>) -> Sections<'a> {
    let content = &file[frame.start + FRAME_HEADER_LEN..frame.end];
    decode_sections(header, content, SALT, frame.start as u64).expect("sound")
}

#[test]
fn the_worked_example_decodes() {
    let file = worked_example();
    assert_eq!(file.len(), MARK.end);
    let page = SegmentHeader::decode(&file).expect("sound");
    let mut store_id = [0; 16];
    store_id.copy_from_slice(&(0xa0..0xb0).collect::<Vec<u8>>());
    let expected = SegmentHeader {
        store_id,
        segment: 1,
        first_seq: 1,
        prev_chain: [0; 32],
        salt: SALT,
    };
    assert_eq!(page, expected);

    let first = header_at(&file, FIRST.start).expect("sound");
    assert_eq!(
        (first.kind, first.seq, first.synced_len),
        (Kind::Commit, 1, 4096)
    );
    assert_eq!(
        (first.chain, first.frame_len()),
        ([0x11; 32], FIRST.len() as u64)
    );
    let expected = Sections {
        body: b"a house",
        erasable: b"its owner",
    };
    assert_eq!(sections(&first, &file, &FIRST), expected);

    let second = header_at(&file, SECOND.start).expect("sound");
    assert_eq!(
        (second.kind, second.seq, second.synced_len),
        (Kind::Commit, 2, 4096)
    );
    let expected = Sections {
        body: b"a barn",
        erasable: b"nobody",
    };
    assert_eq!(sections(&second, &file, &SECOND), expected);

    let mark = header_at(&file, MARK.start).expect("sound");
    assert_eq!(
        (mark.kind, mark.seq, mark.chain),
        (Kind::Clean, 2, [0x22; 32])
    );
    assert_eq!(mark.synced_len, MARK.start as u64);
}

#[test]
fn the_encoder_makes_the_worked_example() {
    let file = worked_example();
    let page = SegmentHeader::decode(&file).expect("sound");
    let mut made = page.encode();
    let mut append = |kind, seq, synced_len, body: &[u8], erasable: &[u8]| {
        let place = Place {
            salt: SALT,
            offset: made.len() as u64,
            synced_len,
        };
        let chain = &[if seq == 1 { 0x11 } else { 0x22 }; 32];
        let frame = FrameRef {
            seq,
            chain,
            body,
            erasable,
        };
        assert!(encode_frame(&mut made, place, kind, &frame).is_some());
    };
    append(Kind::Commit, 1, 4096, b"a house", b"its owner");
    append(Kind::Commit, 2, 4096, b"a barn", b"nobody");
    append(Kind::Clean, 2, 0x10d8, b"", b"");
    assert_eq!(made, file);
}

#[test]
fn a_lost_frame_decodes_is_made_again_and_no_bit_of_it_flips_unnoticed() {
    let mut file = from_hex(REWRITTEN);
    let header = header_at(&file, LOST.start).expect("sound");
    assert_eq!((header.kind, header.seq), (Kind::Lost, 7));
    assert_eq!(
        (header.chain, header.frame_len()),
        ([0x77; 32], LOST.len() as u64)
    );
    let expected = Sections {
        body: b"torn bytes!",
        erasable: b"",
    };
    assert_eq!(sections(&header, &file, &LOST), expected);

    let offset = LOST.start as u64;
    let place = Place {
        salt: SALT,
        offset,
        synced_len: offset,
    };
    let frame = FrameRef {
        seq: 7,
        chain: &[0x77; 32],
        body: b"torn bytes!",
        erasable: b"",
    };
    let mut made = Vec::new();
    assert!(encode_frame(&mut made, place, Kind::Lost, &frame).is_some());
    assert_eq!(made, file[LOST]);

    for bit in LOST.start * 8..LOST.end * 8 {
        file[bit / 8] ^= 1 << (bit % 8);
        let noticed = header_at(&file, LOST.start).map_or(true, |header| {
            let content = &file[LOST.start + FRAME_HEADER_LEN..LOST.end];
            decode_sections(&header, content, SALT, offset).is_err()
        });
        assert!(noticed, "bit {} of byte {:#x}", bit % 8, bit / 8);
        file[bit / 8] ^= 1 << (bit % 8);
    }
}

#[test]
fn salvage_takes_each_section_by_its_own_checksum() {
    let file = worked_example();
    let header = header_at(&file, FIRST.start).expect("sound");
    let content = &file[FIRST.start + FRAME_HEADER_LEN..FIRST.end];
    let known = |content: &[u8]| {
        let known = salvage(&header, content, SALT, FIRST.start as u64);
        (known.body.is_ok(), known.erasable.is_ok())
    };
    assert_eq!(known(content), (true, true));
    // Body, its padding, mark, checksum, erasable bytes, their padding.
    for (at, expected) in [
        (0, (false, true)),
        (7, (true, true)),
        (8, (true, false)),
        (12, (true, false)),
        (16, (true, false)),
        (31, (true, true)),
    ] {
        let mut content = content.to_vec();
        content[at] ^= 1;
        assert_eq!(known(&content), expected, "byte {at}");
    }
    for (len, expected) in [(6, (false, false)), (7, (true, false)), (25, (true, true))] {
        assert_eq!(known(&content[..len]), expected, "{len} bytes");
    }
}

#[test]
fn a_section_with_another_mark_is_a_fault() {
    let file = worked_example();
    let header = header_at(&file, FIRST.start).expect("sound");
    let mut content = file[FIRST.start + FRAME_HEADER_LEN..FIRST.end].to_vec();
    assert_eq!(content[8..12], *b"KEPT");
    for found in [0, u32::MAX, u32::from_le_bytes(*b"GONE")] {
        content[8..12].copy_from_slice(&found.to_le_bytes());
        let refused = decode_sections(&header, &content, SALT, FIRST.start as u64);
        let expected = ("erasable section", 88, Fault::Marker { found });
        assert_eq!(refused, Err(expected));
    }
}

#[test]
fn no_bit_of_a_page_or_frame_can_flip_unnoticed() {
    let mut file = worked_example();
    for bit in 0..file.len() * 8 {
        let at = bit / 8;
        file[at] ^= 1 << (bit % 8);
        let noticed = if at < PAGE_LEN {
            SegmentHeader::decode(&file).is_err()
        } else {
            let frame = [FIRST, SECOND, MARK]
                .into_iter()
                .find(|frame| frame.contains(&at));
            let frame = frame.expect("one of three");
            header_at(&file, frame.start).map_or(true, |header| {
                let content = &file[frame.start + FRAME_HEADER_LEN..frame.end];
                decode_sections(&header, content, SALT, frame.start as u64).is_err()
            })
        };
        assert!(noticed, "bit {} of byte {at:#x}", bit % 8);
        file[at] ^= 1 << (bit % 8);
    }
}

#[test]
fn a_frame_fits_only_its_own_place_and_segment() {
    let file = worked_example();
    let bytes = &file[FIRST];
    assert!(FrameHeader::decode(bytes, SALT, 0x1000).is_ok());
    let moved = FrameHeader::decode(bytes, SALT, 0x1008);
    assert!(matches!(moved, Err(Fault::Checksum { .. })));
    let elsewhere = FrameHeader::decode(bytes, SALT ^ 1, 0x1000);
    assert!(matches!(elsewhere, Err(Fault::Magic { .. })));
}

#[test]
fn zeros_are_no_frame_under_any_usable_salt() {
    for salt in [1, SALT, u64::MAX, !FRAME_MAGIC] {
        assert!(salt_is_usable(salt));
        let decoded = FrameHeader::decode(&[0; FRAME_HEADER_LEN], salt, 4096);
        assert!(matches!(decoded, Err(Fault::Magic { found: 0, .. })));
    }
    assert!(!salt_is_usable(0) && !salt_is_usable(FRAME_MAGIC));
}

#[test]
fn a_newer_version_is_told_from_damage() {
    let mut page = worked_example()[..PAGE_LEN].to_vec();
    page[VERSION_AT] = 2;
    assert!(matches!(
        SegmentHeader::decode(&page),
        Err(Fault::Checksum { .. })
    ));
    let crc = crc32fast::hash(&page[..PAGE_CRC_AT]).to_le_bytes();
    page[PAGE_CRC_AT..].copy_from_slice(&crc);
    let expected = Fault::Version {
        found: 2,
        supported: FORMAT_VERSION,
    };
    assert_eq!(SegmentHeader::decode(&page), Err(expected));
}

#[test]
fn impossible_values_are_refused_under_a_good_checksum() {
    let good = FrameHeader {
        kind: Kind::Commit,
        body_len: 8,
        erasable_len: 0,
        body_crc: 0,
        seq: 1,
        synced_len: 4096,
        chain: [0; 32],
    };
    let bad = [
        (
            FrameHeader {
                body_len: u32::MAX,
                ..good.clone()
            },
            "length",
        ),
        (
            FrameHeader {
                erasable_len: u32::MAX,
                ..good.clone()
            },
            "length",
        ),
        (
            FrameHeader {
                synced_len: 4095,
                ..good.clone()
            },
            "synced length",
        ),
        (
            FrameHeader {
                synced_len: 5001,
                ..good.clone()
            },
            "synced length",
        ),
        (
            FrameHeader {
                kind: Kind::Clean,
                ..good.clone()
            },
            "length",
        ),
        (
            FrameHeader {
                kind: Kind::Footer,
                ..good.clone()
            },
            "length",
        ),
        (
            FrameHeader {
                kind: Kind::Clean,
                body_len: 0,
                ..good.clone()
            },
            "synced length",
        ),
    ];
    assert_eq!(
        FrameHeader::decode(&good.encode(SALT, 5000), SALT, 5000),
        Ok(good)
    );
    for (header, name) in bad {
        match FrameHeader::decode(&header.encode(SALT, 5000), SALT, 5000) {
            Err(Fault::Value { field, .. }) => assert_eq!(field, name),
            other => panic!("{name}: {other:?}"),
        }
    }
    for (at, name) in [
        (KIND_AT, "kind"),
        (FLAGS_AT, "flags"),
        (UNUSED_AT, "unused"),
    ] {
        let mut bytes = FrameHeader {
            kind: Kind::Commit,
            ..header_at_rest()
        }
        .encode(SALT, 5000);
        bytes[at] = 9;
        let crc = seeded_crc(SALT, 5000, &bytes[..HEADER_CRC_AT]).to_le_bytes();
        bytes[HEADER_CRC_AT..].copy_from_slice(&crc);
        match FrameHeader::decode(&bytes, SALT, 5000) {
            Err(Fault::Value { field, .. }) => assert_eq!(field, name),
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn a_lost_frame_has_no_erasable_section() {
    let mut header = FrameHeader {
        kind: Kind::Lost,
        ..header_at_rest()
    };
    let decode = |header: &FrameHeader| {
        let bytes = header.encode(SALT, 5000);
        FrameHeader::decode(&bytes, SALT, 5000)
    };
    assert_eq!(decode(&header), Ok(header.clone()));
    header.erasable_len = 1;
    let refused = decode(&header);
    assert!(matches!(
        refused,
        Err(Fault::Value {
            field: "length",
            ..
        })
    ));
}

fn header_at_rest() -> FrameHeader {
    let (kind, chain) = (Kind::Commit, [0; 32]);
    let (body_len, erasable_len, body_crc) = (0, 0, 0);
    FrameHeader {
        kind,
        body_len,
        erasable_len,
        body_crc,
        seq: 1,
        synced_len: 4096,
        chain,
    }
}

#[test]
fn the_longest_frame_is_exactly_the_documented_length() {
    let room = FRAME_LEN_BYTES_MAX - FRAME_HEADER_LEN as u64;
    assert_eq!(frame_len(room, 0), Some(FRAME_LEN_BYTES_MAX));
    assert_eq!(frame_len(0, room - 8), Some(FRAME_LEN_BYTES_MAX));
    assert_eq!(frame_len(room + 1, 0), Some(FRAME_LEN_BYTES_MAX + 8));
    assert_eq!(frame_len(u64::MAX, 1), None);
    assert_eq!(frame_len(1, u64::MAX), None);
    let body = vec![0; usize::try_from(room).expect("64 bits") + 1];
    let frame = FrameRef {
        seq: 1,
        chain: &[0; 32],
        body: &body,
        erasable: &[],
    };
    let place = Place {
        salt: SALT,
        offset: 4096,
        synced_len: 4096,
    };
    let mut out = Vec::new();
    assert_eq!(encode_frame(&mut out, place, Kind::Commit, &frame), None);
    assert!(out.is_empty());
    let frame = FrameRef {
        body: &body[1..],
        ..frame
    };
    assert_eq!(
        encode_frame(&mut out, place, Kind::Commit, &frame),
        Some(FRAME_LEN_BYTES_MAX)
    );
}

#[test]
fn offsets_are_as_documented() {
    let page = [
        VERSION_AT,
        STORE_ID_AT,
        SEGMENT_AT,
        FIRST_SEQ_AT,
        PREV_CHAIN_AT,
        SALT_AT,
    ];
    assert_eq!(page, [8, 16, 32, 40, 48, 80]);
    assert_eq!(PAGE_CRC_AT, 4092);
    let frame = [
        KIND_AT,
        FLAGS_AT,
        BODY_LEN_AT,
        ERASABLE_LEN_AT,
        BODY_CRC_AT,
        SEQ_AT,
    ];
    assert_eq!(frame, [8, 9, 12, 16, 20, 24]);
    assert_eq!(
        [SYNCED_LEN_AT, CHAIN_AT, UNUSED_AT, HEADER_CRC_AT],
        [32, 40, 72, 76]
    );
    assert_eq!((FRAME_HEADER_LEN, CLEAN_LEN, FOOTER_LEN), (80, 80, 104));
}

quickcheck! {
    fn any_frame_reads_back(seq: u64, body: Vec<u8>, erasable: Vec<u8>, salt: u64) -> bool {
        let place = Place { salt, offset: 8192, synced_len: 4096 };
        let frame = FrameRef { seq, chain: &[3; 32], body: &body, erasable: &erasable };
        let mut out = Vec::new();
        let len = encode_frame(&mut out, place, Kind::Commit, &frame);
        let header = FrameHeader::decode(&out, salt, 8192).expect("just encoded");
        let read = decode_sections(&header, &out[FRAME_HEADER_LEN..], salt, 8192);
        len == Some(out.len() as u64)
            && len == Some(header.frame_len())
            && out.len() % 8 == 0
            && header.seq == seq
            && read == Ok(Sections { body: &body, erasable: &erasable })
    }

    fn any_bytes_are_decoded_or_refused(bytes: Vec<u8>, salt: u64, offset: u64) -> bool {
        let _page = SegmentHeader::decode(&bytes);
        let _frame = FrameHeader::decode(&bytes, salt, offset);
        let _footer = Footer::decode(&bytes);
        let header = FrameHeader { body_len: 9, erasable_len: 3, ..header_at_rest() };
        decode_sections(&header, &bytes, salt, offset).is_err()
    }

    fn any_footer_reads_back(count: u64, first_seq: u64, len_bytes: u64) -> bool {
        let footer = Footer { count, first_seq, len_bytes };
        Footer::decode(&footer.encode()) == Ok(footer)
    }
}
