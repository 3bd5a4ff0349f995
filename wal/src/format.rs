//! The bytes of a segment file, and nothing else: no file access, no clock, no state.
//!
//! Format: DESIGN.md "Journal format v1". Every integer is little-endian. Decoders take any bytes
//! and answer with a [`Fault`]; the caller knows the file and adds the place.

#![warn(clippy::indexing_slicing)]

use crate::error::Fault;

/// Format version this release writes and reads.
pub(crate) const FORMAT_VERSION: u32 = 1;

/// Length of the segment header: one page, so that frames never share a sector with it.
pub(crate) const PAGE_LEN: usize = 4096;

/// Offset of the first frame of a segment.
pub(crate) const FRAMES_OFFSET: u64 = PAGE_LEN as u64;

/// Longest frame, with its header, sections and padding, in bytes: 64 MiB.
///
/// Checked before a frame is written and before a length read from disk is used.
pub const FRAME_LEN_BYTES_MAX: u64 = 64 << 20;

// PNG's trick: a byte above 127, both line ends and a control-Z show a transfer in text mode.
const SEGMENT_MAGIC: [u8; 8] = *b"\x89BNJ\r\n\x1a\n";

// The segment header: each field begins where the one before it ends.
const MAGIC_AT: usize = 0;
const VERSION_AT: usize = MAGIC_AT + 8;
const RESERVED_AT: usize = VERSION_AT + 4;
const STORE_ID_AT: usize = RESERVED_AT + 4;
const SEGMENT_AT: usize = STORE_ID_AT + 16;
const FIRST_SEQ_AT: usize = SEGMENT_AT + 8;
const PREV_CHAIN_AT: usize = FIRST_SEQ_AT + 8;
const SALT_AT: usize = PREV_CHAIN_AT + 32;
const PAGE_CRC_AT: usize = PAGE_LEN - 4;

/// Combined with the segment's salt into the mark that begins each of its frames.
const FRAME_MAGIC: u64 = u64::from_le_bytes(*b"BNframe1");

// The frame header.
const TAG_AT: usize = 0;
const KIND_AT: usize = TAG_AT + 8;
const FLAGS_AT: usize = KIND_AT + 1;
const BODY_LEN_AT: usize = FLAGS_AT + 3;
const ERASABLE_LEN_AT: usize = BODY_LEN_AT + 4;
const BODY_CRC_AT: usize = ERASABLE_LEN_AT + 4;
const SEQ_AT: usize = BODY_CRC_AT + 4;
const SYNCED_LEN_AT: usize = SEQ_AT + 8;
const CHAIN_AT: usize = SYNCED_LEN_AT + 8;
const UNUSED_AT: usize = CHAIN_AT + 32;
const HEADER_CRC_AT: usize = UNUSED_AT + 4;

/// Length of a frame header.
pub(crate) const FRAME_HEADER_LEN: usize = HEADER_CRC_AT + 4;

/// Distance from the start of a frame to its body, in bytes.
pub const BODY_OFFSET_BYTES: u64 = FRAME_HEADER_LEN as u64;

/// Length of the mark and checksum in front of an erasable section's bytes.
const SECTION_HEADER_LEN: usize = 8;
const KEPT: u32 = u32::from_le_bytes(*b"KEPT");

const FOOTER_BODY_LEN: usize = 24;

/// Length of the footer frame that ends a sealed segment.
pub(crate) const FOOTER_LEN: usize = FRAME_HEADER_LEN + FOOTER_BODY_LEN;

/// Length of a clean-shutdown frame.
pub(crate) const CLEAN_LEN: usize = FRAME_HEADER_LEN;

/// The first page of a segment. Synced before the file gets its name, never rewritten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) store_id: [u8; 16],
    pub(crate) segment: u64,
    pub(crate) first_seq: u64,
    pub(crate) prev_chain: [u8; 32],
    pub(crate) salt: u64,
}

impl SegmentHeader {
    /// The salt that a page states, believed or not; to be proved by a frame.
    pub(crate) fn stated_salt(page: &[u8]) -> Option<u64> {
        u64_at(page, SALT_AT)
            .ok()
            .filter(|salt| salt_is_usable(*salt))
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut page = Vec::with_capacity(PAGE_LEN);
        page.extend_from_slice(&SEGMENT_MAGIC);
        page.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        page.extend_from_slice(&[0; STORE_ID_AT - RESERVED_AT]);
        page.extend_from_slice(&self.store_id);
        page.extend_from_slice(&self.segment.to_le_bytes());
        page.extend_from_slice(&self.first_seq.to_le_bytes());
        page.extend_from_slice(&self.prev_chain);
        page.extend_from_slice(&self.salt.to_le_bytes());
        page.resize(PAGE_CRC_AT, 0);
        let crc = crc32fast::hash(&page);
        page.extend_from_slice(&crc.to_le_bytes());
        page
    }

    /// The checksum comes before the version: every later version keeps the page's length, the
    /// mark, the version and the checksum where they are, so that a flipped bit is never taken
    /// for a newer format.
    pub(crate) fn decode(page: &[u8]) -> Result<Self, Fault> {
        let page: &[u8; PAGE_LEN] = page.first_chunk().ok_or(Fault::Truncated {
            need: PAGE_LEN as u64,
            have: page.len() as u64,
        })?;
        let magic = array(page, MAGIC_AT)?;
        if magic != SEGMENT_MAGIC {
            return Err(Fault::Magic {
                expected: u64::from_le_bytes(SEGMENT_MAGIC),
                found: u64::from_le_bytes(magic),
            });
        }
        let (covered, _) = page.split_at(PAGE_CRC_AT);
        check_crc(u32_at(page, PAGE_CRC_AT)?, crc32fast::hash(covered))?;
        let found = u32_at(page, VERSION_AT)?;
        if found != FORMAT_VERSION {
            return Err(Fault::Version {
                found,
                supported: FORMAT_VERSION,
            });
        }
        let header = Self {
            store_id: array(page, STORE_ID_AT)?,
            segment: u64_at(page, SEGMENT_AT)?,
            first_seq: u64_at(page, FIRST_SEQ_AT)?,
            prev_chain: array(page, PREV_CHAIN_AT)?,
            salt: u64_at(page, SALT_AT)?,
        };
        if !salt_is_usable(header.salt) {
            return Err(Fault::Value {
                field: "salt",
                found: header.salt,
            });
        }
        Ok(header)
    }
}

/// False for the one salt whose frames would begin with zeros, like space not yet written, and
/// for zero, which a broken source of randomness gives.
pub(crate) fn salt_is_usable(salt: u64) -> bool {
    salt != 0 && salt != FRAME_MAGIC
}

/// The mark that begins each frame of a segment. Never zero, so that zero-filled space is no
/// frame; not to be guessed, so that no caller's bytes are taken for one.
pub(crate) fn frame_tag(salt: u64) -> u64 {
    FRAME_MAGIC ^ salt
}

/// The salt of the segment whose frames begin with this mark.
pub(crate) fn salt_of_tag(tag: u64) -> u64 {
    FRAME_MAGIC ^ tag
}

/// False for most bytes that no frame begins with, whatever its salt; cheaper than a checksum.
pub(crate) fn may_begin_frame(bytes: &[u8]) -> bool {
    array::<4>(bytes, KIND_AT).is_ok_and(|[code, flags @ ..]| {
        matches!(code, 1..=4) && flags == [0; 3] && u32_at(bytes, UNUSED_AT) == Ok(0)
    })
}

/// What a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One commit.
    Commit,
    /// The journal was closed here; everything before is synced.
    Clean,
    /// The segment is complete.
    Footer,
    /// Stands for a commit that no copy could prove; its body is what was found in its place.
    Lost,
}

impl Kind {
    fn code(self) -> u8 {
        match self {
            Self::Commit => 1,
            Self::Clean => 2,
            Self::Footer => 3,
            Self::Lost => 4,
        }
    }

    /// True for the kinds that carry a number and a chain value of their own.
    pub(crate) fn is_commit(self) -> bool {
        matches!(self, Self::Commit | Self::Lost)
    }
}

/// The fixed part of a frame. Its own checksum covers all of it, and is checked before a length
/// is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) kind: Kind,
    pub(crate) body_len: u32,
    pub(crate) erasable_len: u32,
    pub(crate) body_crc: u32,
    /// A commit's own number; a marker or footer repeats the last commit's.
    pub(crate) seq: u64,
    /// Length of the part of this file that had been synced when the frame was appended.
    pub(crate) synced_len: u64,
    pub(crate) chain: [u8; 32],
}

impl FrameHeader {
    pub(crate) fn encode(&self, salt: u64, offset: u64) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(FRAME_HEADER_LEN);
        bytes.extend_from_slice(&frame_tag(salt).to_le_bytes());
        bytes.push(self.kind.code());
        bytes.extend_from_slice(&[0; BODY_LEN_AT - FLAGS_AT]);
        bytes.extend_from_slice(&self.body_len.to_le_bytes());
        bytes.extend_from_slice(&self.erasable_len.to_le_bytes());
        bytes.extend_from_slice(&self.body_crc.to_le_bytes());
        bytes.extend_from_slice(&self.seq.to_le_bytes());
        bytes.extend_from_slice(&self.synced_len.to_le_bytes());
        bytes.extend_from_slice(&self.chain);
        bytes.extend_from_slice(&[0; HEADER_CRC_AT - UNUSED_AT]);
        let crc = seeded_crc(salt, offset, &bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Decodes the header of a frame that begins at `offset` of a segment with this salt.
    pub(crate) fn decode(bytes: &[u8], salt: u64, offset: u64) -> Result<Self, Fault> {
        let bytes: &[u8; FRAME_HEADER_LEN] = bytes.first_chunk().ok_or(Fault::Truncated {
            need: FRAME_HEADER_LEN as u64,
            have: bytes.len() as u64,
        })?;
        let (expected, found) = (frame_tag(salt), u64_at(bytes, TAG_AT)?);
        if expected != found {
            return Err(Fault::Magic { expected, found });
        }
        let (covered, _) = bytes.split_at(HEADER_CRC_AT);
        check_crc(
            u32_at(bytes, HEADER_CRC_AT)?,
            seeded_crc(salt, offset, covered),
        )?;

        let [code, flags @ ..] = array::<4>(bytes, KIND_AT)?;
        let kind = match code {
            1 => Kind::Commit,
            2 => Kind::Clean,
            3 => Kind::Footer,
            4 => Kind::Lost,
            _ => {
                return Err(Fault::Value {
                    field: "kind",
                    found: u64::from(code),
                });
            }
        };
        if flags != [0; 3] {
            let [a, b, c] = flags;
            let found = u64::from(u32::from_le_bytes([a, b, c, 0]));
            return Err(Fault::Value {
                field: "flags",
                found,
            });
        }
        let unused = u32_at(bytes, UNUSED_AT)?;
        if unused != 0 {
            return Err(Fault::Value {
                field: "unused",
                found: u64::from(unused),
            });
        }
        let header = Self {
            kind,
            body_len: u32_at(bytes, BODY_LEN_AT)?,
            erasable_len: u32_at(bytes, ERASABLE_LEN_AT)?,
            body_crc: u32_at(bytes, BODY_CRC_AT)?,
            seq: u64_at(bytes, SEQ_AT)?,
            synced_len: u64_at(bytes, SYNCED_LEN_AT)?,
            chain: array(bytes, CHAIN_AT)?,
        };
        header.check_values(offset)?;
        Ok(header)
    }

    fn check_values(&self, offset: u64) -> Result<(), Fault> {
        let lens_fit = match self.kind {
            Kind::Commit => true,
            Kind::Lost => self.erasable_len == 0,
            Kind::Clean => self.body_len == 0 && self.erasable_len == 0,
            Kind::Footer => self.body_len as usize == FOOTER_BODY_LEN && self.erasable_len == 0,
        };
        if !lens_fit || self.frame_len() > FRAME_LEN_BYTES_MAX {
            return Err(Fault::Value {
                field: "length",
                found: self.frame_len(),
            });
        }
        // Markers and footers are written after a sync of everything before them.
        let synced_min = match self.kind {
            Kind::Commit | Kind::Lost => FRAMES_OFFSET,
            Kind::Clean | Kind::Footer => offset,
        };
        if self.synced_len < synced_min || self.synced_len > offset {
            return Err(Fault::Value {
                field: "synced length",
                found: self.synced_len,
            });
        }
        Ok(())
    }

    /// Length of the whole frame in the file. No overflow: both lengths are 32 bits wide.
    pub(crate) fn frame_len(&self) -> u64 {
        frame_len(u64::from(self.body_len), u64::from(self.erasable_len)).unwrap_or(u64::MAX)
    }
}

/// Length of a frame with sections of these lengths; `None` beyond the range of u64.
pub(crate) fn frame_len(body_len: u64, erasable_len: u64) -> Option<u64> {
    let section = match erasable_len {
        0 => 0,
        len => len
            .checked_next_multiple_of(8)?
            .checked_add(SECTION_HEADER_LEN as u64)?,
    };
    body_len
        .checked_next_multiple_of(8)?
        .checked_add(section)?
        .checked_add(FRAME_HEADER_LEN as u64)
}

/// Where a frame is written: what its bytes depend on besides its content.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) salt: u64,
    pub(crate) offset: u64,
    pub(crate) synced_len: u64,
}

/// Appends a whole frame to `out`. `None` (and nothing appended) if it is longer than
/// [`FRAME_LEN_BYTES_MAX`].
pub(crate) fn encode_frame(
    out: &mut Vec<u8>,
    place: Place,
    kind: Kind,
    frame: &FrameRef<'_>,
) -> Option<u64> {
    let len = frame
        .encoded_len_bytes()
        .filter(|len| *len <= FRAME_LEN_BYTES_MAX)?;
    let Place {
        salt,
        offset,
        synced_len,
    } = place;
    let body_offset = offset.checked_add(FRAME_HEADER_LEN as u64)?;
    let header = FrameHeader {
        kind,
        body_len: u32::try_from(frame.body.len()).ok()?,
        erasable_len: u32::try_from(frame.erasable.len()).ok()?,
        body_crc: seeded_crc(salt, body_offset, frame.body),
        seq: frame.seq,
        synced_len,
        chain: *frame.chain,
    };
    out.reserve(usize::try_from(len).ok()?);
    out.extend_from_slice(&header.encode(salt, offset));
    extend_padded(out, frame.body);
    if !frame.erasable.is_empty() {
        let section_offset = body_offset.checked_add(padded(frame.body.len()) as u64)?;
        out.extend_from_slice(&KEPT.to_le_bytes());
        out.extend_from_slice(&seeded_crc(salt, section_offset, frame.erasable).to_le_bytes());
        extend_padded(out, frame.erasable);
    }
    Some(len)
}

/// The two sections of a frame, still in the reader's buffer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sections<'a> {
    pub(crate) body: &'a [u8],
    pub(crate) erasable: &'a [u8],
}

/// What the checksums still prove of a frame whose sections do not decode.
#[derive(Debug)]
pub(crate) struct Salvage<'a> {
    pub(crate) body: Result<&'a [u8], Fault>,
    pub(crate) erasable: Result<&'a [u8], Fault>,
}

/// Looks at each section by itself; padding does not count, and `content` may be cut short.
pub(crate) fn salvage<'a>(
    header: &FrameHeader,
    content: &'a [u8],
    salt: u64,
    offset: u64,
) -> Salvage<'a> {
    let section_at = u64::from(header.body_len).next_multiple_of(8);
    let section = usize::try_from(section_at)
        .ok()
        .and_then(|at| content.get(at..))
        .unwrap_or_default();
    let section_offset = offset
        .saturating_add(FRAME_HEADER_LEN as u64)
        .saturating_add(section_at);
    Salvage {
        body: body_bytes(header, content, salt, offset),
        erasable: match header.erasable_len {
            0 => Ok(&[]),
            len => erasable_bytes(section, len, salt, section_offset),
        },
    }
}

/// Distance from the start of a frame to the bytes of its erasable section, where the body has this
/// length; both in bytes.
pub fn erasable_offset_bytes(body_len_bytes: u32) -> u64 {
    BODY_OFFSET_BYTES + u64::from(body_len_bytes).next_multiple_of(8) + SECTION_HEADER_LEN as u64
}

/// Checks and splits what follows the header of the frame at `offset`.
///
/// A fault comes with the name of the damaged section and its distance from the frame's start.
pub(crate) fn decode_sections<'a>(
    header: &FrameHeader,
    content: &'a [u8],
    salt: u64,
    offset: u64,
) -> Result<Sections<'a>, (&'static str, u64, Fault)> {
    let body_at = FRAME_HEADER_LEN as u64;
    let at_body = |fault| ("frame body", body_at, fault);
    let body = body_bytes(header, content, salt, offset).map_err(at_body)?;
    let rest = skip_padded(content, header.body_len).map_err(at_body)?;
    if header.erasable_len == 0 {
        return Ok(Sections {
            body,
            erasable: &[],
        });
    }
    let section_at = body_at + padded(body.len()) as u64;
    let section_offset = offset.saturating_add(section_at);
    let at_section = |fault| ("erasable section", section_at, fault);
    let erasable =
        erasable_bytes(rest, header.erasable_len, salt, section_offset).map_err(at_section)?;
    let bytes = rest.get(SECTION_HEADER_LEN..).unwrap_or_default();
    skip_padded(bytes, header.erasable_len).map_err(at_section)?;
    Ok(Sections { body, erasable })
}

/// The body, if its checksum fits.
fn body_bytes<'a>(
    header: &FrameHeader,
    content: &'a [u8],
    salt: u64,
    offset: u64,
) -> Result<&'a [u8], Fault> {
    let body = first_bytes(content, header.body_len)?;
    let offset = offset.saturating_add(FRAME_HEADER_LEN as u64);
    check_crc(header.body_crc, seeded_crc(salt, offset, body))?;
    Ok(body)
}

/// The erasable bytes, if their checksum fits.
fn erasable_bytes(
    section: &[u8],
    len: u32,
    salt: u64,
    section_offset: u64,
) -> Result<&[u8], Fault> {
    let (found, stored) = (u32_at(section, 0)?, u32_at(section, 4)?);
    if found != KEPT {
        return Err(Fault::Marker { found });
    }
    let bytes = section.get(SECTION_HEADER_LEN..).unwrap_or_default();
    let bytes = first_bytes(bytes, len)?;
    check_crc(stored, seeded_crc(salt, section_offset, bytes))?;
    Ok(bytes)
}

/// What a footer says about its segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Footer {
    pub(crate) count: u64,
    pub(crate) first_seq: u64,
    /// Bytes of the segment before the footer.
    pub(crate) len_bytes: u64,
}

impl Footer {
    pub(crate) fn encode(self) -> Vec<u8> {
        [self.count, self.first_seq, self.len_bytes]
            .map(u64::to_le_bytes)
            .concat()
    }

    pub(crate) fn decode(body: &[u8]) -> Result<Self, Fault> {
        Ok(Self {
            count: u64_at(body, 0)?,
            first_seq: u64_at(body, 8)?,
            len_bytes: u64_at(body, 16)?,
        })
    }
}

/// One commit as it is handed to [`Journal::append`](crate::Journal::append).
#[derive(Clone, Copy, Debug)]
pub struct FrameRef<'a> {
    /// The commit's number: 1 for the first, then without gaps.
    pub seq: u64,
    /// The value by which the caller chains its commits. Carried and compared, not interpreted.
    pub chain: &'a [u8; 32],
    /// The commit, opaque. Together with `erasable` and the overhead at most
    /// [`FRAME_LEN_BYTES_MAX`].
    pub body: &'a [u8],
    /// What may have to be erased one day, opaque; may be empty. Outside every checksum but its
    /// own, so that a [`SegmentRewrite`](crate::SegmentRewrite) can replace it by other bytes.
    pub erasable: &'a [u8],
}

impl FrameRef<'_> {
    /// Length of the frame in the file, in bytes; `None` beyond the range of u64.
    ///
    /// Compare with [`FRAME_LEN_BYTES_MAX`] to know beforehand whether a commit must be split.
    pub fn encoded_len_bytes(&self) -> Option<u64> {
        frame_len(self.body.len() as u64, self.erasable.len() as u64)
    }
}

/// CRC-32 (IEEE 802.3, as in zlib) over salt, file offset and bytes: bytes of another segment or
/// another place do not fit.
fn seeded_crc(salt: u64, offset: u64, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&salt.to_le_bytes());
    hasher.update(&offset.to_le_bytes());
    hasher.update(bytes);
    hasher.finalize()
}

fn check_crc(stored: u32, computed: u32) -> Result<(), Fault> {
    if stored == computed {
        Ok(())
    } else {
        Err(Fault::Checksum { stored, computed })
    }
}

/// Callers pass lengths of slices, which leave room to round up.
fn padded(len: usize) -> usize {
    len.next_multiple_of(8)
}

fn extend_padded(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(bytes);
    out.extend(std::iter::repeat_n(0, padded(bytes.len()) - bytes.len()));
}

fn first_bytes(bytes: &[u8], len: u32) -> Result<&[u8], Fault> {
    let short = Fault::Truncated {
        need: u64::from(len),
        have: bytes.len() as u64,
    };
    usize::try_from(len)
        .ok()
        .and_then(|len| bytes.get(..len))
        .ok_or(short)
}

/// What follows `len` bytes and the zeros that pad them to a multiple of 8.
fn skip_padded(bytes: &[u8], len: u32) -> Result<&[u8], Fault> {
    let need = u64::from(len).next_multiple_of(8);
    let short = Fault::Truncated {
        need,
        have: bytes.len() as u64,
    };
    let len = usize::try_from(len).map_err(|_| short.clone())?;
    let need = usize::try_from(need).map_err(|_| short.clone())?;
    let (with_padding, rest) = bytes.split_at_checked(need).ok_or(short)?;
    let padding = with_padding.get(len..).unwrap_or_default();
    if padding.iter().any(|byte| *byte != 0) {
        return Err(Fault::Padding);
    }
    Ok(rest)
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], Fault> {
    bytes
        .get(at..)
        .and_then(|tail| tail.first_chunk())
        .copied()
        .ok_or(Fault::Truncated {
            need: (at + N) as u64,
            have: bytes.len() as u64,
        })
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, Fault> {
    array(bytes, at).map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Result<u64, Fault> {
    array(bytes, at).map(u64::from_le_bytes)
}

#[cfg(test)]
#[path = "format_tests.rs"]
mod tests;
