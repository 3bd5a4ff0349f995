//! The inside of the journal for the targets in `fuzz/`: decoders that are private, and segments
//! with sums that fit whatever their content. Exists only under `cfg(fuzzing)`; no part of the
//! interface.

use crate::format::{
    self, FRAME_HEADER_LEN, Footer, FrameHeader, FrameRef, Kind, PAGE_LEN, Place, SegmentHeader,
};
use crate::segment;

/// Offset of the first frame of a segment.
pub const FRAMES_OFFSET: u64 = format::FRAMES_OFFSET;

/// Kinds of frames, by the number in [`frame`].
const KINDS: [Kind; 4] = [Kind::Commit, Kind::Clean, Kind::Footer, Kind::Lost];

/// Decodes a segment's first page, as it is and then with mark, version and checksum set right.
///
/// # Panics
/// If what was decoded is not what the bytes say.
pub fn segment_header(bytes: &[u8]) {
    if let Ok(header) = SegmentHeader::decode(bytes) {
        // What is written as zero is ignored, so the fields are compared and not the bytes.
        assert_eq!(SegmentHeader::decode(&header.encode()), Ok(header));
    }
    let mut page = bytes.to_vec();
    page.resize(PAGE_LEN, 0);
    let sound = SegmentHeader {
        store_id: [0; 16],
        segment: 1,
        first_seq: 1,
        prev_chain: [0; 32],
        salt: 1,
    };
    page[..16].copy_from_slice(&sound.encode()[..16]);
    let covered = PAGE_LEN - 4;
    let crc = crc32fast::hash(&page[..covered]);
    page[covered..].copy_from_slice(&crc.to_le_bytes());
    let salt = u64::from_le_bytes(page[80..88].try_into().expect("eight bytes"));
    match SegmentHeader::decode(&page) {
        Ok(header) => {
            assert_eq!(header.store_id, page[16..32]);
            assert_eq!(header.segment.to_le_bytes(), page[32..40]);
            assert_eq!(header.first_seq.to_le_bytes(), page[40..48]);
            assert_eq!(header.prev_chain, page[48..80]);
            assert_eq!(header.salt, salt);
            assert_eq!(SegmentHeader::decode(&header.encode()), Ok(header));
        }
        Err(fault) => assert!(!format::salt_is_usable(salt), "{fault}"),
    }
}

/// Decodes a frame as it is, then with tag and header checksum set right, then with the sums of its
/// sections set right as well.
///
/// # Panics
/// If what was decoded encodes to other bytes, or a length beyond the limit is believed.
pub fn frame_bytes(bytes: &[u8], salt: u64, offset: u64) {
    check_frame(bytes, salt, offset);
    if bytes.len() < FRAME_HEADER_LEN {
        return;
    }
    let mut bytes = bytes.to_vec();
    bytes[..8].copy_from_slice(&format::frame_tag(salt).to_le_bytes());
    seal(&mut bytes, salt, offset);
    check_frame(&bytes, salt, offset);
    let Ok(header) = FrameHeader::decode(&bytes, salt, offset) else {
        return;
    };
    let body_at = FRAME_HEADER_LEN;
    let body_end = body_at + header.body_len as usize;
    let section_at = body_at + (header.body_len as usize).next_multiple_of(8);
    if let Some(body) = bytes.get(body_at..body_end) {
        let crc = crc(salt, offset.saturating_add(body_at as u64), body);
        bytes[20..24].copy_from_slice(&crc.to_le_bytes());
        seal(&mut bytes, salt, offset);
    }
    let erasable_end = section_at + 8 + header.erasable_len as usize;
    if header.erasable_len > 0
        && let Some(erasable) = bytes.get(section_at + 8..erasable_end)
    {
        let crc = crc(salt, offset.saturating_add(section_at as u64), erasable);
        bytes[section_at..section_at + 4].copy_from_slice(b"KEPT");
        bytes[section_at + 4..section_at + 8].copy_from_slice(&crc.to_le_bytes());
    }
    check_frame(&bytes, salt, offset);
}

fn crc(salt: u64, offset: u64, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&salt.to_le_bytes());
    hasher.update(&offset.to_le_bytes());
    hasher.update(bytes);
    hasher.finalize()
}

fn seal(bytes: &mut [u8], salt: u64, offset: u64) {
    let covered = FRAME_HEADER_LEN - 4;
    let crc = crc(salt, offset, &bytes[..covered]);
    bytes[covered..FRAME_HEADER_LEN].copy_from_slice(&crc.to_le_bytes());
}

fn check_frame(bytes: &[u8], salt: u64, offset: u64) {
    let Ok(header) = FrameHeader::decode(bytes, salt, offset) else {
        return;
    };
    assert_eq!(
        header.encode(salt, offset),
        bytes[..FRAME_HEADER_LEN],
        "one form"
    );
    assert!(header.frame_len() <= format::FRAME_LEN_BYTES_MAX);
    assert!(header.synced_len <= offset);
    let content = &bytes[FRAME_HEADER_LEN..];
    let Ok(sections) = format::decode_sections(&header, content, salt, offset) else {
        return;
    };
    assert_eq!(sections.body.len(), header.body_len as usize);
    assert_eq!(sections.erasable.len(), header.erasable_len as usize);
    let place = Place {
        salt,
        offset,
        synced_len: header.synced_len,
    };
    let frame = FrameRef {
        seq: header.seq,
        chain: &header.chain,
        body: sections.body,
        erasable: sections.erasable,
    };
    let mut again = Vec::new();
    let len = format::encode_frame(&mut again, place, header.kind, &frame);
    assert_eq!(len, Some(header.frame_len()));
    assert_eq!(again, bytes[..again.len()], "one form");
}

/// Decodes a footer's body.
///
/// # Panics
/// If it encodes to other bytes.
pub fn footer_body(bytes: &[u8]) {
    if let Ok(footer) = Footer::decode(bytes) {
        assert_eq!(footer.encode(), bytes[..24]);
    }
}

/// Reads a file name as that of a segment.
///
/// # Panics
/// If a segment of that number has another name.
pub fn file_name(name: &str) {
    if let Some(number) = segment::parse_file_name(name) {
        assert_eq!(segment::file_name(number), name);
    }
    if let Some(number) = segment::parse_tmp_name(name) {
        assert_eq!(segment::tmp_name(number), name);
    }
}

/// The name of a segment's file.
pub fn name_of(segment: u64) -> String {
    segment::file_name(segment)
}

/// A segment's first page.
pub fn page(
    store_id: [u8; 16],
    segment: u64,
    first_seq: u64,
    prev_chain: [u8; 32],
    salt: u64,
) -> Vec<u8> {
    let header = SegmentHeader {
        store_id,
        segment,
        first_seq,
        prev_chain,
        salt,
    };
    header.encode()
}

/// A frame with sums that fit, whatever it says: of kind 0 a commit, 1 a clean mark, 2 a footer,
/// 3 what stands for a lost commit.
pub fn frame(
    kind: u8,
    (salt, offset, synced_len): (u64, u64, u64),
    content: &FrameRef<'_>,
) -> Vec<u8> {
    let mut out = Vec::new();
    let place = Place {
        salt,
        offset,
        synced_len,
    };
    let kind = KINDS[usize::from(kind) % KINDS.len()];
    format::encode_frame(&mut out, place, kind, content);
    out
}

/// The body of a footer.
pub fn footer(count: u64, first_seq: u64, len_bytes: u64) -> Vec<u8> {
    let footer = Footer {
        count,
        first_seq,
        len_bytes,
    };
    footer.encode()
}
