//! What a stored version says about itself: extent, interval, kind, and the row that carries it.

use std::fmt;

use blocknet_geocode::{Block, Geocode, NetSpec, Position};

use crate::codec::{Decoder, Encoder};
use crate::error::{Error, Fault, Result};
use crate::hash::{Hash, Hasher};
use crate::layer::LayerId;
use crate::time::{Interval, Moment};

/// Number of a stored version: its commit and its place in the commit's canonical order. A later
/// version has a greater number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// Number of the commit, from 1.
    pub commit: u64,
    /// Index within the commit, from 0.
    pub index: u32,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.commit, self.index)
    }
}

/// The box an entity occupies: degrees of longitude and latitude (WGS 84), metres of altitude.
///
/// Exact as given, never rounded; `floor` and `top` are `None` when unknown, which is not zero.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Extent {
    /// Least longitude, -180 to 180 degrees.
    pub west: f64,
    /// Least latitude, -90 to 90 degrees.
    pub south: f64,
    /// Greatest longitude, at least `west`.
    pub east: f64,
    /// Greatest latitude, at least `south`.
    pub north: f64,
    /// Least altitude in metres above the layer's datum.
    pub floor: Option<f64>,
    /// Greatest altitude in metres above the layer's datum.
    pub top: Option<f64>,
}

impl Extent {
    /// A point without known altitude.
    pub fn point(longitude: f64, latitude: f64) -> Self {
        Self {
            west: longitude,
            south: latitude,
            east: longitude,
            north: latitude,
            floor: None,
            top: None,
        }
    }

    /// A box without known altitude.
    pub fn flat(west: f64, south: f64, east: f64, north: f64) -> Self {
        Self {
            west,
            south,
            east,
            north,
            floor: None,
            top: None,
        }
    }

    /// The same box between two altitudes.
    #[must_use]
    pub fn between(self, floor: f64, top: f64) -> Self {
        Self {
            floor: Some(floor),
            top: Some(top),
            ..self
        }
    }

    /// The place an entity is filed under: the centre of the box. With only one of floor and top
    /// known, that one; with neither, no altitude.
    pub fn anchor(&self) -> Position {
        let altitude = match (self.floor, self.top) {
            (Some(floor), Some(top)) => Some(f64::midpoint(floor, top)),
            (known, None) | (None, known) => known,
        };
        Position {
            longitude: f64::midpoint(self.west, self.east),
            latitude: f64::midpoint(self.south, self.north),
            altitude,
        }
    }

    /// The block in which an entity with this extent is filed: that of its anchor.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Invalid`] when the anchor has no geocode in a net of `spec`.
    pub fn block(&self, spec: &NetSpec) -> Result<Block> {
        Ok(spec.block(&spec.encode(&self.canonical().anchor())?))
    }

    #[inline]
    fn is_on_earth(&self) -> bool {
        let ordered = |least: f64, greatest: f64, limit: f64| {
            -limit <= least && least <= greatest && greatest <= limit
        };
        ordered(self.west, self.east, 180.0) && ordered(self.south, self.north, 90.0)
    }

    #[inline]
    fn is_upright(&self) -> bool {
        let finite = |value: Option<f64>| value.is_none_or(f64::is_finite);
        let upright = match (self.floor, self.top) {
            (Some(floor), Some(top)) => floor <= top,
            _ => true,
        };
        finite(self.floor) && finite(self.top) && upright
    }

    pub(crate) fn check(&self) -> Result<()> {
        if !self.is_on_earth() {
            return Err(Error::invalid(format!(
                "extent {self}: longitudes are -180 to 180 and latitudes -90 to 90 degrees, \
                 west not above east and south not above north"
            )));
        }
        if !self.is_upright() {
            return Err(Error::invalid(format!(
                "extent {self}: floor and top are finite and floor is not above top"
            )));
        }
        Ok(())
    }

    /// Adding zero turns -0.0 into 0.0, so that equal places have equal bytes.
    pub(crate) fn canonical(self) -> Self {
        Self {
            west: self.west + 0.0,
            south: self.south + 0.0,
            east: self.east + 0.0,
            north: self.north + 0.0,
            floor: self.floor.map(|value| value + 0.0),
            top: self.top.map(|value| value + 0.0),
        }
    }
}

impl fmt::Display for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "[{},{},{},{}]",
            self.west, self.south, self.east, self.north
        )?;
        match (self.floor, self.top) {
            (None, None) => Ok(()),
            (floor, top) => {
                let metres = |value: Option<f64>| value.map_or("?".into(), |v| v.to_string());
                write!(f, " {}..{} m", metres(floor), metres(top))
            }
        }
    }
}

/// What kind of statement a change makes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum ChangeKind {
    /// The world changed.
    #[default]
    Change = 0,
    /// We had it wrong.
    Correct = 1,
    /// It never was.
    Retract = 2,
}

impl ChangeKind {
    /// The kind's name in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Change => "change",
            Self::Correct => "correct",
            Self::Retract => "retract",
        }
    }

    #[inline]
    fn decode(byte: u8) -> Result<Self, Fault> {
        match byte {
            0 => Ok(Self::Change),
            1 => Ok(Self::Correct),
            2 => Ok(Self::Retract),
            _ => Err(Fault::Value {
                what: "change kind",
            }),
        }
    }
}

/// How the end of an assertion's interval was meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum End {
    /// Holds until the entity's next known valid-from, whatever the order of arrival.
    #[default]
    UntilNext,
    /// Holds from then on, whatever was known about later times.
    Forever,
    /// Holds until this moment, excluded.
    At(Moment),
}

/// Flags of a version: stored, so the bits never change their meaning.
pub(crate) mod flag {
    pub(crate) const ABSENCE: u16 = 1 << 0;
    pub(crate) const FROM_DAY: u16 = 1 << 1;
    pub(crate) const TO_DAY: u16 = 1 << 2;
    pub(crate) const FROM_IMPLIED: u16 = 1 << 3;
    pub(crate) const END_FOREVER: u16 = 1 << 4;
    pub(crate) const END_EXPLICIT: u16 = 1 << 5;
    pub(crate) const FLOOR_KNOWN: u16 = 1 << 6;
    pub(crate) const TOP_KNOWN: u16 = 1 << 7;
    /// What a version said was lost in both copies: it keeps its place, its interval and its hash,
    /// which stands where the commitment did.
    pub(crate) const LOST: u16 = 1 << 8;
    pub(crate) const ALL: u16 = (1 << 9) - 1;
}

/// Where an assertion is filed: a level of the planar tree and the geocode in stored order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    len: u8,
    bytes: [u8; 33],
}

impl Place {
    /// The level byte under which absences are filed, which are nowhere.
    pub(crate) const NOWHERE_LEVEL: u8 = 0xff;
    /// Where absences are filed.
    pub(crate) const NOWHERE: Self = {
        let mut bytes = [0; 33];
        bytes[0] = Self::NOWHERE_LEVEL;
        Self { len: 1, bytes }
    };

    pub(crate) fn new(spec: &NetSpec, extent: &Extent) -> Result<(Self, Geocode)> {
        let geocode = spec.encode(&extent.anchor())?;
        let level = level_of(spec, extent);
        Ok((
            Self::of(level, spec.stored(&geocode, level).as_ref()),
            geocode,
        ))
    }

    pub(crate) fn of(level: u8, code: &[u8]) -> Self {
        let mut bytes = [0; 33];
        bytes[0] = level;
        bytes[1..=code.len()].copy_from_slice(code);
        Self {
            len: 1 + u8::try_from(code.len()).expect("codes have at most 32 bytes"),
            bytes,
        }
    }

    /// The place at the front of a key of `records` or `history`.
    pub(crate) fn of_key(key: &[u8], spec: &NetSpec) -> Result<Self, Fault> {
        Self::decode(&mut Decoder(key), spec)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    pub(crate) fn level(&self) -> u8 {
        self.bytes[0]
    }

    pub(crate) fn is_nowhere(&self) -> bool {
        self.level() == Self::NOWHERE_LEVEL
    }

    /// Bytes of a place filed under `level` in a net of `spec`.
    #[inline]
    pub(crate) fn len_bytes(spec: &NetSpec, level: u8) -> Result<usize, Fault> {
        match level {
            Self::NOWHERE_LEVEL => Ok(1),
            level if level <= spec.block_digits() => Ok(1 + spec.stored_len_bytes()),
            _ => Err(Fault::Value {
                what: "level of a place",
            }),
        }
    }

    pub(crate) fn geocode(&self, spec: &NetSpec, altitude_known: bool) -> Option<Geocode> {
        spec.from_stored(&self.as_bytes()[1..], self.level(), altitude_known)
            .ok()
    }

    fn decode(input: &mut Decoder<'_>, spec: &NetSpec) -> Result<Self, Fault> {
        Ok(Self::of_bytes(Self::take(input, spec)?))
    }

    /// The bytes of a place, checked.
    #[inline]
    fn take<'a>(input: &mut Decoder<'a>, spec: &NetSpec) -> Result<&'a [u8], Fault> {
        let level = *input
            .0
            .first()
            .ok_or(Fault::Truncated { need: 1, have: 0 })?;
        input.raw(Self::len_bytes(spec, level)?)
    }

    /// The place of bytes that were checked.
    fn of_bytes(bytes: &[u8]) -> Self {
        let mut place = Self {
            len: u8::try_from(bytes.len()).expect("places have at most 33 bytes"),
            bytes: [0; 33],
        };
        place.bytes[..bytes.len()].copy_from_slice(bytes);
        place
    }
}

/// The finest level, at most block depth, whose cells are at least twice as large as the extent
/// each way: so an anchor is never farther than a quarter of a cell from the edge of its extent,
/// and a window widened by that much misses nothing filed under the level.
pub(crate) fn level_of(spec: &NetSpec, extent: &Extent) -> u8 {
    let width = (extent.east - extent.west) * 2.0;
    let height = (extent.north - extent.south) * 2.0;
    let mut level = spec.block_digits();
    while level > 0 {
        let cells = 4_f64.powi(i32::from(level));
        if width <= 360.0 / cells && height <= 180.0 / cells {
            break;
        }
        level -= 1;
    }
    level
}

/// Everything a version states but its payload: the canonical form whose encoding is hashed, in
/// the commit body and in the row alike.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Header {
    pub(crate) layer: LayerId,
    pub(crate) id: Box<str>,
    /// Ordinal among the entity's versions, from 1.
    pub(crate) ordinal: u64,
    pub(crate) flags: u16,
    pub(crate) kind: ChangeKind,
    pub(crate) valid: Interval,
    pub(crate) place: Place,
    pub(crate) extent: Option<Extent>,
    pub(crate) payload_len: u32,
    pub(crate) commitment: Hash,
    /// Hash of the entity's previous version, zero for the first.
    pub(crate) previous: Hash,
    /// Author, reason and source where they differ from the commit's.
    pub(crate) author: Option<Box<str>>,
    pub(crate) reason: Option<Box<str>>,
    pub(crate) source: Option<Box<str>>,
}

impl Header {
    /// Fewest bytes a header takes, to check counts against.
    pub(crate) const LEN_BYTES_MIN: usize = 2 + 2 + 8 + 2 + 1 + 16 + 1 + 4 + 32 + 32 + 1;

    pub(crate) fn encode(&self, out: &mut Encoder) {
        out.u16(self.layer.0)
            .short(self.id.as_bytes())
            .u64(self.ordinal)
            .u16(self.flags);
        out.u8(self.kind as u8)
            .i64(self.valid.from.as_micros())
            .i64(self.valid.to.as_micros());
        out.raw(self.place.as_bytes());
        if let Some(extent) = &self.extent {
            for degrees in [extent.west, extent.south, extent.east, extent.north] {
                out.f64(degrees);
            }
            for metres in [extent.floor, extent.top].into_iter().flatten() {
                out.f64(metres);
            }
        }
        out.u32(self.payload_len)
            .raw(&self.commitment.0)
            .raw(&self.previous.0);
        let own = [&self.author, &self.reason, &self.source];
        let given = own
            .iter()
            .rev()
            .fold(0, |bits, text| bits << 1 | u8::from(text.is_some()));
        out.u8(given);
        for text in own.into_iter().flatten() {
            out.short(text.as_bytes());
        }
    }

    pub(crate) fn decode(input: &mut Decoder<'_>, spec: &NetSpec) -> Result<Self, Fault> {
        let header = HeaderRef::decode(input, spec)?;
        Ok(Self {
            layer: header.layer,
            id: header.id.into(),
            ordinal: header.ordinal,
            flags: header.flags,
            kind: header.kind,
            valid: header.valid,
            place: header.place(),
            extent: header.extent,
            payload_len: header.payload_len,
            commitment: Hash(*header.commitment),
            previous: Hash(*header.previous),
            author: header.author.map(Into::into),
            reason: header.reason.map(Into::into),
            source: header.source.map(Into::into),
        })
    }

    pub(crate) fn is_absence(&self) -> bool {
        self.flags & flag::ABSENCE != 0
    }

    pub(crate) fn altitude_known(&self) -> bool {
        self.flags & (flag::FLOOR_KNOWN | flag::TOP_KNOWN) != 0
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.flags & flag::LOST != 0
    }

    /// Hash of the version: over its number and its encoding, which holds the previous version's
    /// hash and the commitment to the payload. Of a lost one the hash that was known of it.
    pub(crate) fn hash(&self, net: &[u8; 16], version: Version) -> Hash {
        if self.is_lost() {
            return self.commitment;
        }
        let mut out = Encoder::with_capacity(256);
        self.encode(&mut out);
        version_hash(net, version, &out.0)
    }
}

/// Hash of a version whose header is encoded already.
pub(crate) fn version_hash(net: &[u8; 16], version: Version, header: &[u8]) -> Hash {
    let mut hasher = Hasher::new("blocknet/version/1");
    hasher
        .fixed(net)
        .u64(version.commit)
        .u32(version.index)
        .bytes(header);
    hasher.finish()
}

/// A header as it stands in its bytes, checked as a whole: what a scan looks at, without building
/// or copying anything.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeaderRef<'a> {
    pub(crate) layer: LayerId,
    pub(crate) id: &'a str,
    pub(crate) ordinal: u64,
    pub(crate) flags: u16,
    pub(crate) kind: ChangeKind,
    pub(crate) valid: Interval,
    /// Of the bytes of a [`Place`].
    pub(crate) place: &'a [u8],
    pub(crate) extent: Option<Extent>,
    pub(crate) payload_len: u32,
    pub(crate) commitment: &'a [u8; 32],
    pub(crate) previous: &'a [u8; 32],
    pub(crate) author: Option<&'a str>,
    pub(crate) reason: Option<&'a str>,
    pub(crate) source: Option<&'a str>,
}

impl<'a> HeaderRef<'a> {
    // Inlined, so that none of it is copied on its way to where it is looked at.
    #[inline]
    pub(crate) fn decode(input: &mut Decoder<'a>, spec: &NetSpec) -> Result<Self, Fault> {
        let layer = LayerId(input.u16()?);
        let id = input.text()?;
        if id.len() > crate::key::ID_LEN_BYTES_MAX {
            return Err(Fault::Value { what: "id" });
        }
        let ordinal = input.u64()?;
        let flags = input.u16()?;
        if flags & !flag::ALL != 0 {
            return Err(Fault::Value { what: "flags" });
        }
        let kind = ChangeKind::decode(input.u8()?)?;
        let valid = Interval {
            from: Moment::from_micros(input.i64()?),
            to: Moment::from_micros(input.i64()?),
        };
        let place = Place::take(input, spec)?;
        let nowhere = place.first() == Some(&Place::NOWHERE_LEVEL);
        if nowhere != (flags & flag::ABSENCE != 0) {
            return Err(Fault::Value {
                what: "place of an absence",
            });
        }
        let is_lost = flags & flag::LOST != 0;
        let extent = if nowhere || is_lost {
            None
        } else {
            Some(decode_extent(input, flags)?)
        };
        let payload_len = input.u32()?;
        let commitment = input.array_ref()?;
        let previous = input.array_ref()?;
        let given = input.u8()?;
        if given > 7 {
            return Err(Fault::Value {
                what: "flags of own texts",
            });
        }
        if is_lost && (payload_len > 0 || given > 0) {
            return Err(Fault::Value {
                what: "header of a lost version",
            });
        }
        let [author, reason, source] = if given == 0 {
            [None; 3]
        } else {
            own_texts(input, given)?
        };
        Ok(Self {
            layer,
            id,
            ordinal,
            flags,
            kind,
            valid,
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

    pub(crate) fn is_lost(&self) -> bool {
        self.flags & flag::LOST != 0
    }

    pub(crate) fn place(&self) -> Place {
        Place::of_bytes(self.place)
    }

    pub(crate) fn end(&self) -> End {
        if self.flags & flag::END_EXPLICIT != 0 {
            End::At(self.valid.to)
        } else if self.flags & flag::END_FOREVER != 0 {
            End::Forever
        } else {
            End::UntilNext
        }
    }
}

/// Author, reason and source, as far as the bits of `given` say that there are any.
fn own_texts<'a>(input: &mut Decoder<'a>, given: u8) -> Result<[Option<&'a str>; 3], Fault> {
    let mut texts = [None; 3];
    for (bit, text) in texts.iter_mut().enumerate() {
        if given >> bit & 1 == 0 {
            continue;
        }
        let own = input.text()?;
        if own.len() > crate::request::limit::TEXT_LEN_BYTES_MAX {
            return Err(Fault::Value { what: "own text" });
        }
        *text = Some(own);
    }
    Ok(texts)
}

#[inline]
fn decode_extent(input: &mut Decoder<'_>, flags: u16) -> Result<Extent, Fault> {
    let (west, south, east, north) = (input.f64()?, input.f64()?, input.f64()?, input.f64()?);
    let mut metres = |known: u16| -> Result<Option<f64>, Fault> {
        if flags & known == 0 {
            Ok(None)
        } else {
            input.f64().map(Some)
        }
    };
    let extent = Extent {
        west,
        south,
        east,
        north,
        floor: metres(flag::FLOOR_KNOWN)?,
        top: metres(flag::TOP_KNOWN)?,
    };
    if !extent.is_on_earth() || !extent.is_upright() {
        return Err(Fault::Value { what: "extent" });
    }
    Ok(extent)
}

/// Length of the random salt in a payload commitment: 128 bits.
pub(crate) const SALT_LEN_BYTES: usize = 16;

/// Commitment to a payload under a random salt: it says nothing about the payload once the salt is
/// erased, and no hash covers the payload itself.
pub(crate) fn commitment(salt: &[u8; SALT_LEN_BYTES], payload: &[u8]) -> Hash {
    let mut hasher = Hasher::new("blocknet/payload/1");
    hasher.fixed(salt).bytes(payload);
    hasher.finish()
}

/// Stands in the first half of a salt that was erased with its payload; the other half is the number
/// of the commit that ordered it, and the payload is zeros of the same length. So rows and frames
/// keep their form, and say by themselves why there is nothing to see. No writer draws such a salt.
const ERASED: [u8; 8] = *b"\0erased\0";

/// What is written over a salt when commit `by` has it erased.
pub(crate) fn erased_salt(by: u64) -> [u8; SALT_LEN_BYTES] {
    let mut salt = [0; SALT_LEN_BYTES];
    salt[..8].copy_from_slice(&ERASED);
    salt[8..].copy_from_slice(&by.to_le_bytes());
    salt
}

/// The commit that had salt and payload erased, if they are.
pub(crate) fn erased_by(salt: &[u8; SALT_LEN_BYTES], payload: &[u8]) -> Option<u64> {
    let by = salt.strip_prefix(&ERASED)?.try_into().ok()?;
    payload
        .iter()
        .all(|byte| *byte == 0)
        .then_some(u64::from_le_bytes(by))
}

/// Whether a salt and payload are what the commitment was made to, or were erased.
pub(crate) fn is_kept_or_erased(
    salt: &[u8; SALT_LEN_BYTES],
    payload: &[u8],
    expected: Hash,
) -> bool {
    erased_by(salt, payload).is_some() || commitment(salt, payload) == expected
}

/// Stands in the place of a salt that both copies have lost, as a repair writes it; the payload is
/// zeros of the same length. No writer draws such a salt.
pub(crate) const LOST_SALT: [u8; SALT_LEN_BYTES] = *b"\0lost\0\0\0\0\0\0\0\0\0\0\0";

/// Whether salt and payload are lost.
pub(crate) fn is_payload_lost(salt: &[u8; SALT_LEN_BYTES], payload: &[u8]) -> bool {
    *salt == LOST_SALT && payload.iter().all(|byte| *byte == 0)
}

/// Whether a salt can be used: it does not read as erased or lost.
pub(crate) fn is_plain_salt(salt: &[u8; SALT_LEN_BYTES]) -> bool {
    erased_by(salt, &[]).is_none() && *salt != LOST_SALT
}

/// Whether a salt and payload are what a frame may have for a version: what its commitment was made
/// to, erased, or lost.
pub(crate) fn is_accounted_for(
    salt: &[u8; SALT_LEN_BYTES],
    payload: &[u8],
    expected: Hash,
) -> bool {
    is_kept_or_erased(salt, payload, expected) || is_payload_lost(salt, payload)
}

/// First byte of a row.
const ROW_VERSION: u8 = 1;
const ROW_CLOSING: u8 = 2;

/// A row of `records` or `history`: `form u8 | version 12 | header length u16 | header | salt |
/// payload`, or for a closing row `form u8 | interval 16 | moved-to place`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowRef<'a> {
    pub(crate) version: Version,
    pub(crate) header: &'a [u8],
    pub(crate) salt: [u8; SALT_LEN_BYTES],
    pub(crate) payload: &'a [u8],
}

/// Writes a version row.
pub(crate) fn encode_row(
    version: Version,
    header: &[u8],
    salt: &[u8; SALT_LEN_BYTES],
    payload: &[u8],
) -> Vec<u8> {
    let mut out = Encoder::with_capacity(15 + header.len() + SALT_LEN_BYTES + payload.len());
    out.u8(ROW_VERSION).u64(version.commit).u32(version.index);
    out.short(header).raw(salt).raw(payload);
    out.0
}

impl<'a> RowRef<'a> {
    /// The row once its payload is erased by a commit.
    pub(crate) fn erased(&self, by: u64) -> Vec<u8> {
        let zeros = vec![0; self.payload.len()];
        encode_row(self.version, self.header, &erased_salt(by), &zeros)
    }

    /// The commit that had the payload erased, if it is.
    #[inline]
    pub(crate) fn erased_by(&self) -> Option<u64> {
        erased_by(&self.salt, self.payload)
    }

    /// Whether the payload is lost in both copies.
    pub(crate) fn is_payload_lost(&self) -> bool {
        is_payload_lost(&self.salt, self.payload)
    }

    /// Hash of the version; of a lost one what was known of it.
    pub(crate) fn hash(&self, net: &[u8; 16], header: &HeaderRef<'_>) -> Hash {
        if header.is_lost() {
            return Hash(*header.commitment);
        }
        version_hash(net, self.version, self.header)
    }

    /// Refuses a version of which nothing but place, interval and hash is left.
    pub(crate) fn check_known(&self, header: &HeaderRef<'_>) -> Result<(), Fault> {
        let version = self.version;
        if header.is_lost() {
            return Err(Fault::Lost { version });
        }
        Ok(())
    }

    /// Refuses a payload that is lost.
    pub(crate) fn check_payload(&self) -> Result<(), Fault> {
        let version = self.version;
        if self.is_payload_lost() {
            return Err(Fault::Lost { version });
        }
        Ok(())
    }

    #[inline]
    pub(crate) fn decode(bytes: &'a [u8]) -> Result<Self, Fault> {
        let mut input = Decoder(bytes);
        if input.u8()? != ROW_VERSION {
            return Err(Fault::Value {
                what: "form of a version row",
            });
        }
        let version = Version {
            commit: input.u64()?,
            index: input.u32()?,
        };
        let header = input.short()?;
        Ok(Self {
            version,
            header,
            salt: input.array()?,
            payload: input.0,
        })
    }

    /// The interval and flags alone, without building the header: what a scan looks at first.
    pub(crate) fn peek(&self) -> Result<(Interval, u16), Fault> {
        let mut input = Decoder(self.header);
        input.raw(2)?;
        input.short()?;
        input.raw(8)?;
        let flags = input.u16()?;
        input.u8()?;
        let from = Moment::from_micros(input.i64()?);
        let to = Moment::from_micros(input.i64()?);
        Ok((Interval { from, to }, flags))
    }

    #[inline]
    pub(crate) fn header_ref(&self, spec: &NetSpec) -> Result<HeaderRef<'a>, Fault> {
        let mut input = Decoder(self.header);
        let header = HeaderRef::decode(&mut input, spec)?;
        input.finish()?;
        if header.payload_len as usize != self.payload.len() {
            return Err(Fault::Value {
                what: "payload length",
            });
        }
        Ok(header)
    }

    pub(crate) fn header(&self, spec: &NetSpec) -> Result<Header, Fault> {
        self.header_ref(spec)?;
        Header::decode(&mut Decoder(self.header), spec)
    }
}

/// A row that ends an entity's states at a place for an interval: a later version of the entity
/// is elsewhere, or nowhere, then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Closing {
    pub(crate) valid: Interval,
    /// Where the entity is then; [`Place::NOWHERE`] when it is absent.
    pub(crate) moved_to: Place,
}

impl Closing {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Encoder::with_capacity(52);
        out.u8(ROW_CLOSING)
            .i64(self.valid.from.as_micros())
            .i64(self.valid.to.as_micros());
        out.raw(self.moved_to.as_bytes());
        out.0
    }
}

/// What is known of a row of `history` before its header is built.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Peeked<'a> {
    Version(RowRef<'a>, Interval),
    Closing(Closing),
}

impl<'a> Peeked<'a> {
    pub(crate) fn decode(bytes: &'a [u8], spec: &NetSpec) -> Result<Self, Fault> {
        if bytes.first() != Some(&ROW_CLOSING) {
            let row = RowRef::decode(bytes)?;
            let (valid, _) = row.peek()?;
            return Ok(Self::Version(row, valid));
        }
        let mut input = Decoder(&bytes[1..]);
        let from = Moment::from_micros(input.i64()?);
        let to = Moment::from_micros(input.i64()?);
        let moved_to = Place::decode(&mut input, spec)?;
        input.finish()?;
        Ok(Self::Closing(Closing {
            valid: Interval { from, to },
            moved_to,
        }))
    }

    /// Where the version is; `None` for an absence and a closing row.
    pub(crate) fn extent(&self, spec: &NetSpec) -> Result<Option<Extent>, Fault> {
        match self {
            Self::Version(row, _) => Ok(row.header_ref(spec)?.extent),
            Self::Closing(_) => Ok(None),
        }
    }

    pub(crate) fn valid(&self) -> Interval {
        match self {
            Self::Version(_, valid) => *valid,
            Self::Closing(closing) => closing.valid,
        }
    }
}

#[cfg(test)]
mod tests;
