//! What a net hashes: commit headers, version headers and block versions, decoded by themselves from
//! docs/format.md. Strict: only what a net writes is read.
#![warn(clippy::indexing_slicing)]

use crate::error::{Error, Result};
use crate::hash::{Hash, Hasher};
use crate::note::SIZE_MAX;

/// Longest author, reason or source, in bytes.
const TEXT_LEN_BYTES_MAX: usize = 4096;
/// Longest id, in bytes.
const ID_LEN_BYTES_MAX: usize = 1024;
/// Largest payload, in bytes.
pub(crate) const PAYLOAD_LEN_BYTES_MAX: usize = 16 << 20;
/// Longest geocode in stored order, and longest packed block, in bytes.
pub(crate) const CODE_LEN_BYTES_MAX: usize = 32;
/// Most neighbours of a block.
const NEIGHBOURS_MAX: usize = 6;
/// Level byte of the place of absences.
const NOWHERE: u8 = 0xff;

/// Longest commit header, in bytes.
pub(crate) const COMMIT_LEN_BYTES_MAX: usize = 26 + 3 * (2 + TEXT_LEN_BYTES_MAX) + 6 * 32 + 12;
/// Longest version header, in bytes.
pub(crate) const VERSION_LEN_BYTES_MAX: usize = 2
    + 2
    + ID_LEN_BYTES_MAX
    + 8
    + 2
    + 1
    + 16
    + 1
    + CODE_LEN_BYTES_MAX
    + 48
    + 4
    + 64
    + 1
    + 3 * (2 + TEXT_LEN_BYTES_MAX);
/// Longest record key and hash, in bytes: a zero byte of an id takes two.
pub(crate) const LEAF_LEN_BYTES_MAX: usize =
    1 + CODE_LEN_BYTES_MAX + 2 + 2 * ID_LEN_BYTES_MAX + 2 + 32;
/// Longest hash input of a block version behind domain and net, in bytes.
pub(crate) const BLOCK_LEN_BYTES_MAX: usize = 1
    + (8 + CODE_LEN_BYTES_MAX)
    + 8
    + 64
    + 8
    + 8
    + NEIGHBOURS_MAX * (8 + CODE_LEN_BYTES_MAX + 40)
    + 32
    + 5
    + (8 + CODE_LEN_BYTES_MAX)
    + 8
    + NEIGHBOURS_MAX * (8 + CODE_LEN_BYTES_MAX + 1);

/// Takes little-endian fields off the front of a slice.
struct Bytes<'a> {
    rest: &'a [u8],
    item: &'static str,
}

impl<'a> Bytes<'a> {
    fn error(&self, what: &'static str) -> Error {
        Error::Bytes {
            item: self.item,
            what,
        }
    }

    fn raw(&mut self, len: usize) -> Result<&'a [u8]> {
        let (head, tail) = self
            .rest
            .split_at_checked(len)
            .ok_or_else(|| self.error("ends early"))?;
        self.rest = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (head, tail) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or_else(|| self.error("ends early"))?;
        self.rest = tail;
        Ok(*head)
    }

    fn u8(&mut self) -> Result<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Result<u16> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn i64(&mut self) -> Result<i64> {
        self.array().map(i64::from_le_bytes)
    }

    /// A finite number, never -0.0.
    fn number(&mut self) -> Result<f64> {
        let value = f64::from_le_bytes(self.array()?);
        if !value.is_finite() || (value == 0.0 && value.is_sign_negative()) {
            return Err(self.error("a number is not finite, or minus zero"));
        }
        Ok(value)
    }

    /// A text with a `u16` length.
    fn text(&mut self, len_max: usize) -> Result<&'a str> {
        let len = usize::from(self.u16()?);
        if len > len_max {
            return Err(self.error("a text is too long"));
        }
        std::str::from_utf8(self.raw(len)?).map_err(|_| self.error("a text is not UTF-8"))
    }

    /// A packed block with a `u64` length.
    fn block(&mut self) -> Result<&'a [u8]> {
        let len = self.u64()?;
        match usize::try_from(len) {
            Ok(len) if (1..=CODE_LEN_BYTES_MAX).contains(&len) => self.raw(len),
            _ => Err(self.error("a block has 1 to 32 bytes")),
        }
    }

    fn neighbours(&mut self) -> Result<u64> {
        match self.u64()? {
            count if count <= NEIGHBOURS_MAX as u64 => Ok(count),
            _ => Err(self.error("a block has at most six neighbours")),
        }
    }

    fn flag(&mut self) -> Result<bool> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(self.error("a truth value is 0 or 1")),
        }
    }

    fn finish(self) -> Result<()> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(self.error("bytes are left over"))
        }
    }
}

/// Where a commit's recorded time comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Basis {
    /// The net's clock.
    Clock,
    /// The writer said so.
    Asserted,
    /// The clock, which stood behind an earlier commit and was accepted.
    ClockAccepted,
}

impl Basis {
    /// The basis in words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Clock => "clock",
            Self::Asserted => "asserted",
            Self::ClockAccepted => "clock behind, accepted",
        }
    }
}

/// A commit header. Times are microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Its number, from 1.
    pub number: u64,
    /// When the net says it learned this.
    pub recorded: i64,
    /// Where that time comes from.
    pub basis: Basis,
    /// When it was written, by the net's clock.
    pub written: i64,
    /// Who.
    pub author: String,
    /// Why.
    pub reason: String,
    /// From what.
    pub source: String,
    /// Hash of the commit before; zeros for commit 1.
    pub previous: Hash,
    /// Root over the blocks it touched.
    pub blocks_root: Hash,
    /// Root over its definitions and absences.
    pub unplaced_root: Hash,
    /// How many assertions it makes.
    pub assertions: u32,
    /// Hash of the commit, computed.
    pub hash: Hash,
}

impl Commit {
    /// Decodes a commit header and compares its hash, for the net with this id.
    ///
    /// # Errors
    /// [`Error::Bytes`] when the bytes are no header, or the hash in it is not that of its fields.
    pub fn decode(bytes: &[u8], net: &[u8; 16]) -> Result<Self> {
        let mut input = Bytes {
            rest: bytes,
            item: "commit header",
        };
        if input.u8()? != 2 {
            return Err(input.error("its format is not 2; a newer release may know it"));
        }
        let number = input.u64()?;
        // Sums of numbers stay in range, wherever they come from.
        if number == 0 || number > SIZE_MAX {
            return Err(input.error("its number is not 1 to 2^63 - 1"));
        }
        let recorded = input.i64()?;
        let basis_byte = input.u8()?;
        let basis = match basis_byte {
            0 => Basis::Clock,
            1 => Basis::Asserted,
            2 => Basis::ClockAccepted,
            _ => return Err(input.error("unknown basis of the recorded time")),
        };
        let written = input.i64()?;
        let author = input.text(TEXT_LEN_BYTES_MAX)?;
        let reason = input.text(TEXT_LEN_BYTES_MAX)?;
        let source = input.text(TEXT_LEN_BYTES_MAX)?;
        let previous = input.array()?;
        let blocks_root = input.array()?;
        let unplaced_root = input.array()?;
        let registry_head: Hash = input.array()?;
        let state_root: Hash = input.array()?;
        let state_commit = input.u64()?;
        let assertions = input.u32()?;
        let hash: Hash = input.array()?;
        let computed = Hasher::new("blocknet/commit/1")
            .fixed(net)
            .fixed(&number.to_le_bytes())
            .fixed(&recorded.to_le_bytes())
            .fixed(&[basis_byte])
            .fixed(&written.to_le_bytes())
            .bytes(author.as_bytes())
            .bytes(reason.as_bytes())
            .bytes(source.as_bytes())
            .fixed(&previous)
            .fixed(&blocks_root)
            .fixed(&unplaced_root)
            .fixed(&registry_head)
            .fixed(&state_root)
            .fixed(&state_commit.to_le_bytes())
            .fixed(&assertions.to_le_bytes())
            .finish();
        if computed != hash {
            return Err(input.error("its hash is not that of its fields in this net"));
        }
        input.finish()?;
        Ok(Self {
            number,
            recorded,
            basis,
            written,
            author: author.to_owned(),
            reason: reason.to_owned(),
            source: source.to_owned(),
            previous,
            blocks_root,
            unplaced_root,
            assertions,
            hash,
        })
    }
}

/// What kind of statement a version makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// The world changed.
    Change,
    /// The net had it wrong.
    Correct,
    /// It never was.
    Retract,
}

impl Kind {
    /// The kind in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Change => "change",
            Self::Correct => "correct",
            Self::Retract => "retract",
        }
    }
}

/// The box an entity occupies: degrees (WGS 84) and metres.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Extent {
    /// Least longitude.
    pub west: f64,
    /// Least latitude.
    pub south: f64,
    /// Greatest longitude.
    pub east: f64,
    /// Greatest latitude.
    pub north: f64,
    /// Least altitude, where known.
    pub floor: Option<f64>,
    /// Greatest altitude, where known.
    pub top: Option<f64>,
}

/// A version header: all that a version states but its payload. Times are microseconds since
/// 1970-01-01T00:00:00Z; the least and the greatest mean "before all dates" and "without end".
#[derive(Clone, Debug, PartialEq)]
pub struct Version {
    /// Number of the layer.
    pub layer: u16,
    /// Id of the entity in it.
    pub id: String,
    /// Its number among the entity's versions, from 1.
    pub ordinal: u64,
    /// Whether nobody asserted the start: it is the commit's recorded time.
    pub from_implied: bool,
    /// What kind of statement it is.
    pub kind: Kind,
    /// Start of the valid interval, included.
    pub valid_from: i64,
    /// Its end, excluded.
    pub valid_to: i64,
    /// Level and geocode in stored order: where it is filed.
    pub place: Vec<u8>,
    /// Where the entity is; `None` for an absence.
    pub extent: Option<Extent>,
    /// Length of the payload, in bytes.
    pub payload_len: u32,
    /// Hash of salt and payload.
    pub commitment: Hash,
    /// Hash of the entity's version before; zeros for the first.
    pub previous: Hash,
    /// Author, where it is other than the commit's.
    pub author: Option<String>,
    /// Reason, likewise.
    pub reason: Option<String>,
    /// Source, likewise.
    pub source: Option<String>,
}

impl Version {
    /// Decodes a version header; codes have `code_len` bytes in this net (`None`: only an absence
    /// can be decoded).
    ///
    /// # Errors
    /// [`Error::Bytes`] when the bytes are no header.
    pub fn decode(bytes: &[u8], code_len: Option<u8>) -> Result<Self> {
        let mut input = Bytes {
            rest: bytes,
            item: "version header",
        };
        let layer = input.u16()?;
        let id = input.text(ID_LEN_BYTES_MAX)?;
        let ordinal = input.u64()?;
        if layer == 0 || id.is_empty() || ordinal == 0 {
            return Err(input.error("layer, id or ordinal is none"));
        }
        let flags = input.u16()?;
        if flags > 0xff {
            return Err(input.error("unknown flags"));
        }
        let has = |bit: u32| flags >> bit & 1 == 1;
        let kind = match input.u8()? {
            0 => Kind::Change,
            1 => Kind::Correct,
            2 => Kind::Retract,
            _ => return Err(input.error("unknown kind")),
        };
        let (valid_from, valid_to) = (input.i64()?, input.i64()?);
        if valid_to < valid_from {
            return Err(input.error("its interval ends before it starts"));
        }
        let level = input.u8()?;
        if (level == NOWHERE) != has(0) {
            return Err(input.error("absences, and only they, are nowhere"));
        }
        let mut place = vec![level];
        let mut extent = None;
        if level != NOWHERE {
            let code_len = code_len.ok_or_else(|| input.error("length of codes is not given"))?;
            if usize::from(level) > 2 * usize::from(code_len) {
                return Err(input.error("its level is below that of the code's last digit"));
            }
            place.extend_from_slice(input.raw(usize::from(code_len))?);
            extent = Some(Self::extent(&mut input, has(6), has(7))?);
        }
        let payload_len = input.u32()?;
        if payload_len as usize > PAYLOAD_LEN_BYTES_MAX {
            return Err(input.error("its payload is above 16 MiB"));
        }
        let (commitment, previous) = (input.array()?, input.array()?);
        let own = input.u8()?;
        if own > 7 {
            return Err(input.error("unknown flags of own texts"));
        }
        let mut text = |bit: u32| -> Result<Option<String>> {
            if own >> bit & 1 == 0 {
                return Ok(None);
            }
            input
                .text(TEXT_LEN_BYTES_MAX)
                .map(|text| Some(text.to_owned()))
        };
        let (author, reason, source) = (text(0)?, text(1)?, text(2)?);
        input.finish()?;
        Ok(Self {
            layer,
            id: id.to_owned(),
            ordinal,
            from_implied: has(3),
            kind,
            valid_from,
            valid_to,
            place,
            extent,
            payload_len,
            commitment,
            previous,
            author,
            reason,
            source,
        })
    }

    fn extent(input: &mut Bytes<'_>, floor_known: bool, top_known: bool) -> Result<Extent> {
        let (west, south) = (input.number()?, input.number()?);
        let (east, north) = (input.number()?, input.number()?);
        let floor = floor_known.then(|| input.number()).transpose()?;
        let top = top_known.then(|| input.number()).transpose()?;
        let ordered = |least: f64, greatest: f64, limit: f64| {
            -limit <= least && least <= greatest && greatest <= limit
        };
        let upright = floor.zip(top).is_none_or(|(floor, top)| floor <= top);
        if !ordered(west, east, 180.0) || !ordered(south, north, 90.0) || !upright {
            return Err(input.error("its extent is none"));
        }
        Ok(Extent {
            west,
            south,
            east,
            north,
            floor,
            top,
        })
    }

    /// Whether it states that the entity is not there.
    pub fn is_absence(&self) -> bool {
        self.extent.is_none()
    }

    /// Place, layer and id: what it is filed under in its block.
    pub(crate) fn record_key(&self) -> Vec<u8> {
        let mut key = self.place.clone();
        key.extend_from_slice(&self.layer.to_be_bytes());
        for byte in self.id.bytes() {
            key.push(byte);
            if byte == 0 {
                key.push(0xff);
            }
        }
        key.extend_from_slice(&[0, 0]);
        key
    }
}

/// Hash of a version: over net, number and encoded header.
pub(crate) fn version_hash(net: &[u8; 16], commit: u64, index: u32, header: &[u8]) -> Hash {
    Hasher::new("blocknet/version/1")
        .fixed(net)
        .fixed(&commit.to_le_bytes())
        .fixed(&index.to_le_bytes())
        .bytes(header)
        .finish()
}

/// Commitment to a payload under its salt.
pub(crate) fn commitment(salt: &[u8; 16], payload: &[u8]) -> Hash {
    Hasher::new("blocknet/payload/1")
        .fixed(salt)
        .bytes(payload)
        .finish()
}

/// What a commit did to one block, as far as a proof needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockVersion {
    /// The packed block.
    pub block: Vec<u8>,
    /// The commit that made the version.
    pub commit: u64,
    /// Root over what the commit did in the block.
    pub root: Hash,
    /// Entities whose live head lies in the block after the commit.
    pub rows: u64,
    /// Hash of the version, computed.
    pub hash: Hash,
}

impl BlockVersion {
    /// Decodes the hash input of a block version, without its domain and the net: the fields of
    /// `blocknet/block/2` from the digits of the cell on.
    ///
    /// # Errors
    /// [`Error::Bytes`] when the bytes are no such input.
    pub fn decode(bytes: &[u8], net: &[u8; 16]) -> Result<Self> {
        let mut input = Bytes {
            rest: bytes,
            item: "block version",
        };
        let _digits = input.u8()?;
        let block = input.block()?;
        let commit = input.u64()?;
        let _previous: Hash = input.array()?;
        let root = input.array()?;
        let rows = input.u64()?;
        for _ in 0..input.neighbours()? {
            input.block()?;
            input.u64()?;
            input.array::<32>()?;
        }
        let _registry_head: Hash = input.array()?;
        if input.flag()? {
            input.u32()?;
            input.block()?;
            for _ in 0..input.neighbours()? {
                input.block()?;
                input.flag()?;
            }
        }
        input.finish()?;
        let hash = Hasher::new("blocknet/block/2")
            .fixed(net)
            .fixed(bytes)
            .finish();
        Ok(Self {
            block: block.to_vec(),
            commit,
            root,
            rows,
            hash,
        })
    }

    /// Its leaf in the commit's blocks root.
    pub(crate) fn leaf(&self) -> Hash {
        crate::hash::leaf(&[&self.block, &self.hash])
    }
}

#[cfg(test)]
mod tests;
