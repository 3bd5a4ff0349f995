//! Block versions: what a commit did to one cell of the bottom layer, chained per block.

use blocknet_geocode::{Block, NetSpec};

use crate::codec::{Decoder, Encoder};
use crate::error::Fault;
use crate::hash::{Hash, Hasher};

/// One version of a block: made by every commit that touches the block.
///
/// `hash` is over net, block, commit, previous block hash, the root over what this commit did in
/// the block, row count, genes, the registry head before the commit and, in the version that
/// creates the block, its origin. It commits to the block's content through the chain of previous
/// hashes, so making one costs the same however full the block is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockVersion {
    /// The commit that made this version.
    pub commit: u64,
    /// Hash of this version.
    pub hash: Hash,
    /// Hash of the block's previous version, zero for the first.
    pub previous: Hash,
    /// RFC 6962 root over the commit's sorted (record key, version hash) in this block.
    pub root: Hash,
    /// Entities whose live head lies in the block after this commit.
    pub rows: u64,
    /// Propagation round in which the block entered the net.
    pub round: u32,
    /// The commit that created the block.
    pub created: u64,
    /// What the block entered the net with: only in the version that creates it.
    pub origin: Option<Origin>,
    /// Predecessors' newest hashes as they stood when this version was made, in order of block
    /// code.
    pub genes: Vec<Gene>,
    /// Registry head before this commit.
    pub registry_head: Hash,
}

/// How a block entered the net. Never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Propagation round, 0 for a source.
    pub round: u32,
    /// Source of its island; the block itself for a source.
    pub source: Block,
    /// Neighbours that were there or came with it, in order of block code. Blocks created later
    /// link themselves to this one: theirs have those links.
    pub links: Vec<Link>,
}

/// A directed link to a neighbour, as laid down when the later of the two blocks was created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// The neighbour.
    pub block: Block,
    /// True when the link comes from the neighbour, which is then a predecessor of this block;
    /// false when it goes to the neighbour, its successor.
    pub from_neighbour: bool,
}

/// A predecessor's hash, part of a block version's own hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gene {
    /// The predecessor.
    pub block: Block,
    /// The commit that made the predecessor's version.
    pub commit: u64,
    /// That version's hash.
    pub hash: Hash,
}

/// A block version named by its commit and hash: in a row of `links`, what a successor holds of
/// its predecessor; in a row of `edges`, what the registry holds of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// The commit that made the version.
    pub commit: u64,
    /// The version's hash.
    pub hash: Hash,
}

impl Held {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Encoder::with_capacity(40);
        out.u64(self.commit).raw(&self.hash.0);
        out.0
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        let mut input = Decoder(bytes);
        let held = Self {
            commit: input.u64()?,
            hash: Hash(input.array()?),
        };
        input.finish()?;
        Ok(held)
    }
}

impl BlockVersion {
    /// The total order of blocks, which gives every link its direction: a block comes before its
    /// successors.
    pub(crate) fn rank(&self, block: &Block) -> (u32, u64, Block) {
        (self.round, self.created, *block)
    }

    /// The version as links and registry hold it.
    pub(crate) fn held(&self) -> Held {
        Held {
            commit: self.commit,
            hash: self.hash,
        }
    }

    pub(crate) fn compute_hash(&self, net: &[u8; 16], block: &Block) -> Hash {
        let mut hasher = Hasher::new("blocknet/block/2");
        hasher.fixed(net).encoded(&self.hash_input(block));
        hasher.finish()
    }

    /// What is hashed behind the domain and the net. A proof has these bytes, since the row has
    /// fields that are not hashed.
    pub(crate) fn hash_input(&self, block: &Block) -> Vec<u8> {
        let mut out = Encoder::with_capacity(512);
        out.u8(block.cell().digits())
            .long(block.to_packed().as_ref())
            .u64(self.commit)
            .raw(&self.previous.0)
            .raw(&self.root.0)
            .u64(self.rows)
            .u64(self.genes.len() as u64);
        for gene in &self.genes {
            out.long(gene.block.to_packed().as_ref())
                .u64(gene.commit)
                .raw(&gene.hash.0);
        }
        out.raw(&self.registry_head.0)
            .u8(u8::from(self.origin.is_some()));
        if let Some(origin) = &self.origin {
            out.u32(origin.round)
                .long(origin.source.to_packed().as_ref())
                .u64(origin.links.len() as u64);
            for link in &origin.links {
                out.long(link.block.to_packed().as_ref())
                    .u8(u8::from(link.from_neighbour));
            }
        }
        out.0
    }

    /// The value of a `blocks` row; the key holds block and commit.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Encoder::with_capacity(256);
        out.raw(&self.hash.0)
            .raw(&self.previous.0)
            .raw(&self.root.0)
            .u64(self.rows)
            .u32(self.round)
            .u64(self.created);
        encode_origin(&mut out, self.origin.as_ref());
        out.u8(u8::try_from(self.genes.len()).expect("a block has at most six neighbours"));
        for gene in &self.genes {
            out.raw(gene.block.to_packed().as_ref())
                .u64(gene.commit)
                .raw(&gene.hash.0);
        }
        out.raw(&self.registry_head.0);
        out.0
    }

    pub(crate) fn decode(commit: u64, spec: &NetSpec, bytes: &[u8]) -> Result<Self, Fault> {
        let mut input = Decoder(bytes);
        let hash = Hash(input.array()?);
        let previous = Hash(input.array()?);
        let root = Hash(input.array()?);
        let rows = input.u64()?;
        let round = input.u32()?;
        let created = input.u64()?;
        let origin = decode_origin(&mut input, spec)?;
        if created > commit
            || origin.is_some() != (created == commit)
            || origin.as_ref().is_some_and(|origin| origin.round != round)
        {
            return Err(Fault::Value {
                what: "origin of a block",
            });
        }
        let mut genes = Vec::new();
        for _ in 0..neighbour_count(&mut input)? {
            genes.push(Gene {
                block: block(&mut input, spec)?,
                commit: input.u64()?,
                hash: Hash(input.array()?),
            });
        }
        let registry_head = Hash(input.array()?);
        input.finish()?;
        Ok(Self {
            commit,
            hash,
            previous,
            root,
            rows,
            round,
            created,
            origin,
            genes,
            registry_head,
        })
    }
}

/// Origin of a block that a commit creates, or a zero: in its rows and in the commit's body.
pub(crate) fn encode_origin(out: &mut Encoder, origin: Option<&Origin>) {
    let Some(origin) = origin else {
        out.u8(0);
        return;
    };
    out.u8(1)
        .u32(origin.round)
        .raw(origin.source.to_packed().as_ref());
    out.u8(u8::try_from(origin.links.len()).expect("a block has at most six neighbours"));
    for link in &origin.links {
        out.raw(link.block.to_packed().as_ref())
            .u8(u8::from(link.from_neighbour));
    }
}

/// The inverse of [`encode_origin`].
pub(crate) fn decode_origin(
    input: &mut Decoder<'_>,
    spec: &NetSpec,
) -> Result<Option<Origin>, Fault> {
    if !decode_flag(input)? {
        return Ok(None);
    }
    let round = input.u32()?;
    let source = block(input, spec)?;
    let mut links = Vec::new();
    for _ in 0..neighbour_count(input)? {
        links.push(Link {
            block: block(input, spec)?,
            from_neighbour: decode_flag(input)?,
        });
    }
    if !links.is_sorted_by(|a, b| a.block < b.block) {
        return Err(Fault::Value {
            what: "links of a block",
        });
    }
    Ok(Some(Origin {
        round,
        source,
        links,
    }))
}

/// How many neighbours follow: a block has at most six.
fn neighbour_count(input: &mut Decoder<'_>) -> Result<u8, Fault> {
    match input.u8()? {
        count @ 0..=6 => Ok(count),
        _ => Err(Fault::Value {
            what: "number of neighbours of a block",
        }),
    }
}

/// A truth value: nothing but 0 and 1 is ever written.
pub(crate) fn decode_flag(input: &mut Decoder<'_>) -> Result<bool, Fault> {
    match input.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Fault::Value { what: "flag" }),
    }
}

/// A packed block.
pub(crate) fn block(input: &mut Decoder<'_>, spec: &NetSpec) -> Result<Block, Fault> {
    let packed = input.raw(spec.block_len_bytes())?;
    spec.block_from_packed(packed)
        .map_err(|_| Fault::Value { what: "block code" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{NET_ID, hex};

    fn block(packed: &str) -> Block {
        NetSpec::city().block_from_packed(&hex(packed)).unwrap()
    }

    fn created() -> BlockVersion {
        BlockVersion {
            commit: 7,
            hash: Hash::ZERO,
            previous: Hash([1; 32]),
            root: Hash([2; 32]),
            rows: 3,
            round: 4,
            created: 7,
            origin: Some(Origin {
                round: 4,
                source: block("f000000020"),
                links: vec![Link {
                    block: block("f000000010"),
                    from_neighbour: true,
                }],
            }),
            genes: vec![Gene {
                block: block("f000000010"),
                commit: 6,
                hash: Hash([9; 32]),
            }],
            registry_head: Hash([5; 32]),
        }
    }

    /// The hash is SHA-256 over: length 16 as u64 and "blocknet/block/2", the net's id, the digits
    /// of the cell as u8, the packed block with length 5 as u64, commit u64, previous hash, root,
    /// rows u64, the number of genes as u64, for each its block with length, commit u64 and hash;
    /// the registry head; then 01, round u32, the source with length, the number of links as u64,
    /// for each its block with length and its direction. Computed with Python's hashlib.
    #[test]
    fn a_created_block_version_has_these_bytes_and_this_hash() {
        let hash = "145a13e29c00d0fee3920aa3cd7478884824986282477eb99af33b96fbbba19a";
        let version = BlockVersion {
            hash: Hash(hex(hash).try_into().unwrap()),
            ..created()
        };
        let bytes = hex(&format!(
            "{hash} {previous} {root} 0300000000000000 04000000 0700000000000000
             01 04000000 f000000020 01 f000000010 01
             01 f000000010 0600000000000000 {gene} {registry}",
            previous = "01".repeat(32),
            root = "02".repeat(32),
            gene = "09".repeat(32),
            registry = "05".repeat(32),
        ));
        assert_eq!(
            version.compute_hash(&NET_ID, &block("f000000000")),
            version.hash
        );
        assert_eq!(version.encode(), bytes);
        assert_eq!(
            BlockVersion::decode(7, &NetSpec::city(), &bytes),
            Ok(version)
        );
    }

    /// The same without origin: the hash ends with 00 after the registry head.
    #[test]
    fn a_later_block_version_has_these_bytes_and_this_hash() {
        let hash = "d85e2dbd48e3e62489ee7a3b27df6195c860b04e4e838b4278d4866d68093cde";
        let version = BlockVersion {
            hash: Hash(hex(hash).try_into().unwrap()),
            commit: 8,
            origin: None,
            ..created()
        };
        let bytes = hex(&format!(
            "{hash} {previous} {root} 0300000000000000 04000000 0700000000000000 00
             01 f000000010 0600000000000000 {gene} {registry}",
            previous = "01".repeat(32),
            root = "02".repeat(32),
            gene = "09".repeat(32),
            registry = "05".repeat(32),
        ));
        assert_eq!(
            version.compute_hash(&NET_ID, &block("f000000000")),
            version.hash
        );
        assert_eq!(version.encode(), bytes);
        assert_eq!(
            BlockVersion::decode(8, &NetSpec::city(), &bytes),
            Ok(version)
        );
    }

    #[test]
    fn a_held_version_has_these_bytes() {
        let held = Held {
            commit: 6,
            hash: Hash([9; 32]),
        };
        let bytes = hex(&format!("0600000000000000 {}", "09".repeat(32)));
        assert_eq!(held.encode(), bytes);
        assert_eq!(Held::decode(&bytes), Ok(held));
        assert!(Held::decode(&bytes[..39]).is_err());
        assert!(Held::decode(&[&bytes[..], &[0]].concat()).is_err());
    }

    #[test]
    fn every_field_is_hashed() {
        let version = created();
        let origin = version.origin.clone().unwrap();
        let gene = version.genes[0];
        let link = origin.links[0];
        let own = block("f000000000");
        let hash = version.compute_hash(&[8; 16], &own);
        let with_origin = |origin| BlockVersion {
            origin,
            ..version.clone()
        };
        let variants = [
            BlockVersion {
                commit: 8,
                ..version.clone()
            },
            BlockVersion {
                previous: Hash::ZERO,
                ..version.clone()
            },
            BlockVersion {
                root: Hash::ZERO,
                ..version.clone()
            },
            BlockVersion {
                rows: 4,
                ..version.clone()
            },
            BlockVersion {
                genes: vec![],
                ..version.clone()
            },
            BlockVersion {
                genes: vec![Gene { commit: 5, ..gene }],
                ..version.clone()
            },
            BlockVersion {
                registry_head: Hash::ZERO,
                ..version.clone()
            },
            with_origin(None),
            with_origin(Some(Origin {
                round: 3,
                ..origin.clone()
            })),
            with_origin(Some(Origin {
                source: own,
                ..origin.clone()
            })),
            with_origin(Some(Origin {
                links: vec![],
                ..origin.clone()
            })),
            with_origin(Some(Origin {
                links: vec![Link {
                    from_neighbour: false,
                    ..link
                }],
                ..origin.clone()
            })),
        ];
        for changed in variants {
            assert_ne!(changed.compute_hash(&[8; 16], &own), hash, "{changed:?}");
        }
        assert_ne!(version.compute_hash(&[8; 16], &gene.block), hash);
        assert_ne!(version.compute_hash(&[0; 16], &own), hash);
    }

    #[test]
    fn damaged_rows_are_refused() {
        let spec = NetSpec::city();
        let version = created();
        let bytes = version.encode();
        assert_eq!(BlockVersion::decode(7, &spec, &bytes), Ok(version.clone()));
        for cut in 0..bytes.len() {
            assert!(
                BlockVersion::decode(7, &spec, &bytes[..cut]).is_err(),
                "cut at {cut}"
            );
        }
        // A row under the key of another commit, and rounds that differ.
        for commit in [6, 8] {
            assert!(BlockVersion::decode(commit, &spec, &bytes).is_err());
        }
        let mut crowded = version.clone();
        crowded.genes = vec![version.genes[0]; 7];
        assert!(BlockVersion::decode(7, &spec, &crowded.encode()).is_err());
        let mut unsorted = version;
        unsorted.round = 3;
        assert!(BlockVersion::decode(7, &spec, &unsorted.encode()).is_err());
        unsorted.round = 4;
        let origin = unsorted.origin.as_mut().unwrap();
        origin.links.push(origin.links[0]);
        assert!(BlockVersion::decode(7, &spec, &unsorted.encode()).is_err());
    }
}
