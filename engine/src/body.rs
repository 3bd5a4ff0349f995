//! The commit body: the canonical bytes a journal frame carries, and the commit hash over them.

use blocknet_geocode::{Block, NetSpec};

use crate::block::{Origin, block, decode_flag, decode_origin, encode_origin};
use crate::codec::{Decoder, Encoder};
use crate::error::Fault;
use crate::hash::{Hash, Hasher, merkle_root};
use crate::layer::{LayerDef, LayerId};
use crate::record::{Header, Place, Version};
use crate::time::Moment;

/// Format of commit bodies written by this release.
pub(crate) const BODY_FORMAT: u8 = 2;

/// Where a commit's recorded time comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Basis {
    /// The clock at the time of writing.
    Clock = 0,
    /// Asserted by the writer, for example a register's own recording date.
    Asserted = 1,
    /// The clock, which stood far before the last write and was accepted explicitly.
    ClockAccepted = 2,
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

    fn decode(byte: u8) -> Result<Self, Fault> {
        match byte {
            0 => Ok(Self::Clock),
            1 => Ok(Self::Asserted),
            2 => Ok(Self::ClockAccepted),
            _ => Err(Fault::Value {
                what: "basis of recorded time",
            }),
        }
    }
}

/// A commit as it stands in the chain: what its hash covers, and the hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitInfo {
    /// Number, from 1 without gaps.
    pub number: u64,
    /// When the store says it learned this.
    pub recorded: Moment,
    /// Whether that is the clock's time or asserted.
    pub basis: Basis,
    /// When the store really wrote it.
    pub written: Moment,
    /// Who made the change.
    pub author: String,
    /// Why.
    pub reason: String,
    /// From what: a document number, data set or digest.
    pub source: String,
    /// Hash of the commit before.
    pub previous: Hash,
    /// RFC 6962 root over (block, block version hash), sorted by block.
    pub blocks_root: Hash,
    /// RFC 6962 root over what has no block: absences, layer definitions, the net's own spec.
    pub unplaced_root: Hash,
    /// Head of the edge registry after this commit.
    pub registry_head: Hash,
    /// Root of the last folded state tree, zero until there is one.
    pub state_root: Hash,
    /// The commit that root is of, zero until there is one.
    pub state_commit: u64,
    /// Number of assertions in the commit.
    pub assertions: u32,
    /// Hash of the commit.
    pub hash: Hash,
}

impl CommitInfo {
    pub(crate) fn compute_hash(&self, net: &[u8; 16]) -> Hash {
        let mut hasher = Hasher::new("blocknet/commit/1");
        hasher.fixed(net).u64(self.number);
        hasher
            .i64(self.recorded.as_micros())
            .u8(self.basis as u8)
            .i64(self.written.as_micros());
        for text in [&self.author, &self.reason, &self.source] {
            hasher.bytes(text.as_bytes());
        }
        hasher
            .hash(self.previous)
            .hash(self.blocks_root)
            .hash(self.unplaced_root);
        hasher
            .hash(self.registry_head)
            .hash(self.state_root)
            .u64(self.state_commit);
        hasher.u32(self.assertions);
        hasher.finish()
    }

    /// The value of a commit's header row, and the front of its body.
    pub(crate) fn encode(&self, out: &mut Encoder) {
        out.u8(BODY_FORMAT).u64(self.number);
        out.i64(self.recorded.as_micros())
            .u8(self.basis as u8)
            .i64(self.written.as_micros());
        for text in [&self.author, &self.reason, &self.source] {
            out.short(text.as_bytes());
        }
        for hash in [
            self.previous,
            self.blocks_root,
            self.unplaced_root,
            self.registry_head,
            self.state_root,
        ] {
            out.raw(&hash.0);
        }
        out.u64(self.state_commit)
            .u32(self.assertions)
            .raw(&self.hash.0);
    }

    pub(crate) fn decode(input: &mut Decoder<'_>) -> Result<Self, Fault> {
        let found = input.u8()?;
        if found != BODY_FORMAT {
            return Err(Fault::Format {
                found,
                known: BODY_FORMAT,
            });
        }
        Ok(Self {
            number: input.u64()?,
            recorded: Moment::from_micros(input.i64()?),
            basis: Basis::decode(input.u8()?)?,
            written: Moment::from_micros(input.i64()?),
            author: input.text()?.into(),
            reason: input.text()?.into(),
            source: input.text()?.into(),
            previous: Hash(input.array()?),
            blocks_root: Hash(input.array()?),
            unplaced_root: Hash(input.array()?),
            registry_head: Hash(input.array()?),
            state_root: Hash(input.array()?),
            state_commit: input.u64()?,
            assertions: input.u32()?,
            hash: Hash(input.array()?),
        })
    }
}

/// A definition that a commit makes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Definition {
    /// The net itself: only in commit 1.
    Net(NetSpec),
    /// A layer and its number.
    Layer(LayerId, LayerDef),
    /// That the payload of a version is erased, by law; not a definition of anything, but it has no
    /// place either.
    Erasure(Version),
}

const DEFINES_NET: u8 = 1;
const DEFINES_LAYER: u8 = 2;
const ERASES: u8 = 3;

impl Definition {
    fn encode(&self, out: &mut Encoder) {
        match self {
            Self::Net(spec) => {
                out.u8(DEFINES_NET).short(spec.to_bytes().as_ref());
            }
            Self::Layer(id, def) => {
                out.u8(DEFINES_LAYER).u16(id.0);
                def.encode(out);
            }
            Self::Erasure(version) => {
                out.u8(ERASES).u64(version.commit).u32(version.index);
            }
        }
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, Fault> {
        match input.u8()? {
            DEFINES_NET => NetSpec::from_bytes(input.short()?)
                .map(Self::Net)
                .map_err(|_| Fault::Value { what: "net spec" }),
            DEFINES_LAYER => {
                let id = LayerId(input.u16()?);
                LayerDef::decode(input).map(|def| Self::Layer(id, def))
            }
            ERASES => Ok(Self::Erasure(Version {
                commit: input.u64()?,
                index: input.u32()?,
            })),
            _ => Err(Fault::Value { what: "definition" }),
        }
    }

    fn leaf(&self) -> Vec<u8> {
        let mut out = Encoder::default();
        self.encode(&mut out);
        let mut hasher = Hasher::new("blocknet/definition/1");
        hasher.bytes(&out.0);
        hasher.finish().0.to_vec()
    }
}

/// A closing row that a commit writes: `assertion` ends the entity's states at `place`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClosingAt {
    pub(crate) assertion: u32,
    pub(crate) place: Place,
    pub(crate) altitude_known: bool,
}

/// What a commit did to one block.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct BlockTouch {
    pub(crate) block: Block,
    pub(crate) hash: Hash,
    pub(crate) rows: u64,
    /// Round, source and links, for a block that this commit creates.
    pub(crate) created: Option<Origin>,
}

/// A whole commit but its payloads.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Body {
    pub(crate) info: CommitInfo,
    pub(crate) definitions: Vec<Definition>,
    /// In canonical order: by layer, id, and the order given.
    pub(crate) assertions: Vec<Header>,
    pub(crate) closings: Vec<ClosingAt>,
    /// Sorted by block.
    pub(crate) blocks: Vec<BlockTouch>,
}

impl Body {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Encoder::with_capacity(512 + 256 * self.assertions.len());
        self.info.encode(&mut out);
        out.u32(count(self.definitions.len()));
        for definition in &self.definitions {
            definition.encode(&mut out);
        }
        for header in &self.assertions {
            header.encode(&mut out);
        }
        out.u32(count(self.closings.len()));
        for closing in &self.closings {
            out.u32(closing.assertion)
                .u8(u8::from(closing.altitude_known));
            out.short(closing.place.as_bytes());
        }
        out.u32(count(self.blocks.len()));
        for touch in &self.blocks {
            out.raw(touch.block.to_packed().as_ref())
                .raw(&touch.hash.0)
                .u64(touch.rows);
            encode_origin(&mut out, touch.created.as_ref());
        }
        out.0
    }

    /// Decodes a body; `spec` is the net's, `None` for commit 1, which defines it.
    pub(crate) fn decode(bytes: &[u8], spec: Option<&NetSpec>) -> Result<Self, Fault> {
        let mut input = Decoder(bytes);
        let info = CommitInfo::decode(&mut input)?;
        let mut definitions = Vec::new();
        for _ in 0..input.count(1)? {
            definitions.push(Definition::decode(&mut input)?);
        }
        let own = definitions.iter().find_map(|definition| match definition {
            Definition::Net(spec) => Some(*spec),
            Definition::Layer(..) | Definition::Erasure(_) => None,
        });
        let spec = own
            .or(spec.copied())
            .ok_or(Fault::Value { what: "net spec" })?;
        let need = (info.assertions as usize).saturating_mul(Header::LEN_BYTES_MIN);
        if need > input.0.len() {
            return Err(Fault::Truncated {
                need,
                have: input.0.len(),
            });
        }
        let assertions = (0..info.assertions)
            .map(|_| Header::decode(&mut input, &spec))
            .collect::<Result<Vec<_>, _>>()?;
        let mut closings = Vec::new();
        for _ in 0..input.count(8)? {
            let assertion = input.u32()?;
            let altitude_known = decode_flag(&mut input)?;
            let place = input.short()?;
            let (&level, code) = place
                .split_first()
                .ok_or(Fault::Truncated { need: 1, have: 0 })?;
            if place.len() != Place::len_bytes(&spec, level)?
                || level == Place::NOWHERE_LEVEL
                || assertion >= info.assertions
            {
                return Err(Fault::Value {
                    what: "closing row",
                });
            }
            closings.push(ClosingAt {
                assertion,
                place: Place::of(level, code),
                altitude_known,
            });
        }
        let mut blocks: Vec<BlockTouch> = Vec::new();
        for _ in 0..input.count(41)? {
            blocks.push(BlockTouch {
                block: block(&mut input, &spec)?,
                hash: Hash(input.array()?),
                rows: input.u64()?,
                created: decode_origin(&mut input, &spec)?,
            });
        }
        if !blocks.is_sorted_by(|a, b| a.block < b.block) {
            return Err(Fault::Value {
                what: "order of blocks",
            });
        }
        input.finish()?;
        Ok(Self {
            info,
            definitions,
            assertions,
            closings,
            blocks,
        })
    }

    /// Root over the touched blocks; they must be sorted.
    pub(crate) fn blocks_root(blocks: &[BlockTouch]) -> Hash {
        merkle_root(blocks.iter().map(|touch| {
            let mut leaf = touch.block.to_packed().as_ref().to_vec();
            leaf.extend_from_slice(&touch.hash.0);
            leaf
        }))
    }

    /// Root over definitions, then absences in canonical order.
    pub(crate) fn unplaced_root(
        definitions: &[Definition],
        assertions: &[Header],
        hashes: &[Hash],
    ) -> Hash {
        let absences = assertions
            .iter()
            .zip(hashes)
            .filter(|(header, _)| header.is_absence())
            .map(|(_, hash)| hash.0.to_vec());
        merkle_root(definitions.iter().map(Definition::leaf).chain(absences))
    }
}

/// Limits keep every count of a commit far below this.
fn count(len: usize) -> u32 {
    u32::try_from(len).expect("a commit has fewer than 2^32 items")
}

/// The leaf of an assertion in its block: record key and version hash.
pub(crate) fn version_leaf(record_key: &[u8], hash: Hash) -> Vec<u8> {
    let mut leaf = record_key.to_vec();
    leaf.extend_from_slice(&hash.0);
    leaf
}

/// What stands for a closing row in its block: a hash of the version that closes it.
pub(crate) fn closing_hash(version: Hash) -> Hash {
    let mut hasher = Hasher::new("blocknet/closing/1");
    hasher.hash(version);
    hasher.finish()
}

#[cfg(test)]
mod tests;
