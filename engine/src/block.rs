//! Block versions: what a commit did to one cell of the bottom layer, chained per block.

use blocknet_geocode::Cell;

use crate::codec::{Decoder, Encoder};
use crate::error::Fault;
use crate::hash::{Hash, Hasher};

/// One version of a block: made by every commit that touches the block.
///
/// `hash` is over net, block, commit, previous block hash, the root over what this commit did in
/// the block, row count, genes and the registry head before the commit. It commits to the block's
/// content through the chain of previous hashes, so making one costs the same however full the
/// block is.
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
    /// Source block of its island: set once the net is linked.
    pub source: Option<Cell>,
    /// Neighbours it is linked with, in order of block code.
    pub links: Vec<Link>,
    /// Predecessors' hashes as they stood when this version was made.
    pub genes: Vec<Gene>,
    /// Registry head before this commit.
    pub registry_head: Hash,
}

/// A directed link to a neighbour, as laid down when the block was created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// The neighbour.
    pub block: Cell,
    /// True when the link comes from the neighbour, which is then a predecessor of this block;
    /// false when it goes to the neighbour, its successor.
    pub from_neighbour: bool,
}

/// A predecessor's hash, part of a block version's own hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gene {
    /// The predecessor.
    pub block: Cell,
    /// The commit that made the predecessor's version.
    pub commit: u64,
    /// That version's hash.
    pub hash: Hash,
}

impl BlockVersion {
    pub(crate) fn compute_hash(&self, net: &[u8; 16], block: &Cell) -> Hash {
        let mut hasher = Hasher::new("blocknet/block/1");
        hasher
            .fixed(net)
            .u8(block.digits())
            .bytes(block.to_packed().as_ref());
        hasher
            .u64(self.commit)
            .hash(self.previous)
            .hash(self.root)
            .u64(self.rows);
        hasher.u64(self.genes.len() as u64);
        for gene in &self.genes {
            hasher
                .bytes(gene.block.to_packed().as_ref())
                .u64(gene.commit)
                .hash(gene.hash);
        }
        hasher.hash(self.registry_head);
        hasher.finish()
    }

    /// The value of a `blocks` row; the key holds block and commit.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Encoder::with_capacity(160);
        out.raw(&self.hash.0)
            .raw(&self.previous.0)
            .raw(&self.root.0)
            .u64(self.rows);
        encode_origin(&mut out, self.round, self.source.as_ref(), &self.links);
        out.u8(u8::try_from(self.genes.len()).expect("a block has at most six neighbours"));
        for gene in &self.genes {
            out.raw(gene.block.to_packed().as_ref())
                .u64(gene.commit)
                .raw(&gene.hash.0);
        }
        out.raw(&self.registry_head.0);
        out.0
    }

    pub(crate) fn decode(commit: u64, digits: u8, bytes: &[u8]) -> Result<Self, Fault> {
        let mut input = Decoder(bytes);
        let hash = Hash(input.array()?);
        let previous = Hash(input.array()?);
        let root = Hash(input.array()?);
        let rows = input.u64()?;
        let (round, source, links) = decode_origin(&mut input, digits)?;
        let mut genes = Vec::new();
        for _ in 0..input.u8()? {
            genes.push(Gene {
                block: cell(&mut input, digits)?,
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
            source,
            links,
            genes,
            registry_head,
        })
    }
}

/// Round, source and links of a block: in its rows and in the body of the commit that creates it.
pub(crate) fn encode_origin(out: &mut Encoder, round: u32, source: Option<&Cell>, links: &[Link]) {
    out.u32(round).u8(u8::from(source.is_some()));
    if let Some(source) = source {
        out.raw(source.to_packed().as_ref());
    }
    out.u8(u8::try_from(links.len()).expect("a block has at most six neighbours"));
    for link in links {
        out.raw(link.block.to_packed().as_ref())
            .u8(u8::from(link.from_neighbour));
    }
}

/// The inverse of [`encode_origin`].
pub(crate) fn decode_origin(
    input: &mut Decoder<'_>,
    digits: u8,
) -> Result<(u32, Option<Cell>, Vec<Link>), Fault> {
    let round = input.u32()?;
    let source = if decode_flag(input)? {
        Some(cell(input, digits)?)
    } else {
        None
    };
    let mut links = Vec::new();
    for _ in 0..input.u8()? {
        links.push(Link {
            block: cell(input, digits)?,
            from_neighbour: decode_flag(input)?,
        });
    }
    Ok((round, source, links))
}

/// A truth value: nothing but 0 and 1 is ever written.
pub(crate) fn decode_flag(input: &mut Decoder<'_>) -> Result<bool, Fault> {
    match input.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Fault::Value { what: "flag" }),
    }
}

/// A block code: block digits packed two to a byte.
pub(crate) fn cell(input: &mut Decoder<'_>, digits: u8) -> Result<Cell, Fault> {
    let packed = input.raw(usize::from(digits).div_ceil(2))?;
    Cell::from_packed(packed, digits).map_err(|_| Fault::Value { what: "block code" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{NET_ID, hex};
    use blocknet_geocode::NetSpec;

    /// The hash is SHA-256 over: length 16 as u64 and "blocknet/block/1", the net's id, the digits
    /// of the block as u8, its code with length 5 as u64, commit u64, previous hash, root, rows
    /// u64, the number of genes as u64, for each its block with length, commit u64 and hash; then
    /// the registry head.
    #[test]
    fn a_block_version_has_these_bytes_and_this_hash() {
        let cell = |packed: &str| Cell::from_packed(&hex(packed), 9).unwrap();
        let (block, neighbour) = (cell("f000000000"), cell("f000000010"));
        let hash = "d053129159afc6b6793bcbc438607c6ae45cff230ce2dfbebf579b9caec80076";
        let version = BlockVersion {
            commit: 7,
            hash: Hash(hex(hash).try_into().unwrap()),
            previous: Hash([1; 32]),
            root: Hash([2; 32]),
            rows: 3,
            round: 4,
            source: Some(neighbour),
            links: vec![Link {
                block: neighbour,
                from_neighbour: true,
            }],
            genes: vec![Gene {
                block: neighbour,
                commit: 6,
                hash: Hash([9; 32]),
            }],
            registry_head: Hash([5; 32]),
        };
        let bytes = hex(&format!(
            "{hash} {previous} {root} 0300000000000000
             04000000 01 f000000010 01 f000000010 01
             01 f000000010 0600000000000000 {gene} {registry}",
            previous = "01".repeat(32),
            root = "02".repeat(32),
            gene = "09".repeat(32),
            registry = "05".repeat(32),
        ));
        assert_eq!(version.compute_hash(&NET_ID, &block), version.hash);
        assert_eq!(version.encode(), bytes);
        assert_eq!(BlockVersion::decode(7, 9, &bytes), Ok(version));
    }

    #[test]
    fn a_block_version_is_read_back_and_every_field_is_hashed() {
        let spec = NetSpec::city();
        let block = spec.cell_at(6.1, 52.0, 9).unwrap();
        let neighbour = spec.cell_at(6.2, 52.0, 9).unwrap();
        let gene = Gene {
            block: neighbour,
            commit: 6,
            hash: Hash([9; 32]),
        };
        let mut version = BlockVersion {
            commit: 7,
            hash: Hash::ZERO,
            previous: Hash([1; 32]),
            root: Hash([2; 32]),
            rows: 3,
            round: 4,
            source: Some(neighbour),
            links: vec![Link {
                block: neighbour,
                from_neighbour: true,
            }],
            genes: vec![gene],
            registry_head: Hash([5; 32]),
        };
        let hash = version.compute_hash(&[8; 16], &block);
        version.hash = hash;
        let bytes = version.encode();
        assert_eq!(BlockVersion::decode(7, 9, &bytes).unwrap(), version);
        for cut in 0..bytes.len() {
            assert!(
                BlockVersion::decode(7, 9, &bytes[..cut]).is_err(),
                "cut at {cut}"
            );
        }
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
        ];
        for changed in variants {
            assert_ne!(changed.compute_hash(&[8; 16], &block), hash, "{changed:?}");
        }
        assert_ne!(version.compute_hash(&[8; 16], &neighbour), hash);
        assert_ne!(version.compute_hash(&[0; 16], &block), hash);
    }
}
