//! What a commit does to the net: one version for each block it touches, in the total order, with
//! genes, links and the edge registry brought up to date. The same code for a commit being made and
//! for one read back from the journal.
//!
//! # Invariants
//! * Every pair of neighbouring blocks is linked in just one direction, from the one that comes
//!   first in the total order (round, creating commit, code). It never changes.
//! * The row of `links` for a successor and a predecessor holds the predecessor's newest version.
//! * A block without successors stands in `edges` with its newest version, and no other does.
//! * A version's genes are the newest versions of its predecessors when it was made.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use blocknet_geocode::{Block, NetSpec};
use blocknet_kv::{Batch, KeyRange, Read};

use crate::block::{BlockVersion, Gene, Held, Origin};
use crate::body::BlockTouch;
use crate::error::{Error, Fault, Result};
use crate::hash::{Hash, Hasher};
use crate::key;
use crate::propagate::Existing;

/// Newest versions of blocks before a commit, each read once.
pub(crate) struct Blocks<'a> {
    pub(crate) read: &'a dyn Read,
    pub(crate) spec: &'a NetSpec,
    found: RefCell<HashMap<Block, Option<BlockVersion>>>,
}

impl<'a> Blocks<'a> {
    pub(crate) fn new(read: &'a dyn Read, spec: &'a NetSpec) -> Self {
        Self {
            read,
            spec,
            found: RefCell::new(HashMap::new()),
        }
    }

    /// The newest version of a block, `None` for one that is not in the net.
    pub(crate) fn newest(&self, block: &Block) -> Result<Option<BlockVersion>> {
        if let Some(found) = self.found.borrow().get(block) {
            return Ok(found.clone());
        }
        let found = newest_block(self.read, self.spec, block)?;
        self.found.borrow_mut().insert(*block, found.clone());
        Ok(found)
    }

    /// What the propagation rule needs to know of a block, `None` for one not in the net.
    pub(crate) fn existing(&self, block: &Block) -> Result<Option<Existing>> {
        let Some(newest) = self.newest(block)? else {
            return Ok(None);
        };
        Ok(Some(Existing {
            round: newest.round,
            created: newest.created,
            source: origin_of(self.read, self.spec, block, &newest)?.source,
        }))
    }
}

/// The newest version of a block, `None` for one that is not in the net.
pub(crate) fn newest_block(
    read: &dyn Read,
    spec: &NetSpec,
    block: &Block,
) -> Result<Option<BlockVersion>> {
    newest_block_until(read, spec, block, u64::MAX)
}

/// The newest version of a block from a commit up to `until`.
pub(crate) fn newest_block_until(
    read: &dyn Read,
    spec: &NetSpec,
    block: &Block,
    until: u64,
) -> Result<Option<BlockVersion>> {
    // Commits are inverted, so the first row at or after the key is the newest.
    let range = KeyRange {
        start: key::block(block, until),
        ..KeyRange::prefix(block.to_packed().as_ref())
    };
    let cursor = read.cursor(key::BLOCKS, &range)?;
    let Some((row_key, value)) = cursor.entry() else {
        return Ok(None);
    };
    decode_block(spec, row_key, value).map(|(_, version)| Some(version))
}

/// How a block entered the net: from its first version, which its newest one names.
pub(crate) fn origin_of(
    read: &dyn Read,
    spec: &NetSpec,
    block: &Block,
    version: &BlockVersion,
) -> Result<Origin> {
    if let Some(origin) = &version.origin {
        return Ok(origin.clone());
    }
    let row_key = key::block(block, version.created);
    let missing = || {
        Error::corrupt(format!(
            "tables: `blocks`, row {} is missing: the first version of block {block}; move the \
             directory `tables` away and open the store for writing, which rebuilds it from the \
             journal",
            crate::error::Hex(&row_key)
        ))
    };
    let bytes = read.get(key::BLOCKS, &row_key)?.ok_or_else(missing)?;
    let (_, first) = decode_block(spec, &row_key, &bytes)?;
    first.origin.ok_or_else(missing)
}

/// Decodes a row of `blocks`.
pub(crate) fn decode_block(
    spec: &NetSpec,
    row_key: &[u8],
    value: &[u8],
) -> Result<(Block, BlockVersion)> {
    let decoded = row_key
        .split_last_chunk::<8>()
        .ok_or(Fault::Truncated {
            need: 8,
            have: row_key.len(),
        })
        .and_then(|(packed, commit)| {
            let block = spec
                .block_from_packed(packed)
                .map_err(|_| Fault::Value { what: "block code" })?;
            let commit = !u64::from_be_bytes(*commit);
            BlockVersion::decode(commit, spec, value).map(|version| (block, version))
        });
    decoded.map_err(|fault| fault.in_table("blocks", row_key))
}

/// Decodes a row of `links`: successor, predecessor, what the one holds of the other.
pub(crate) fn decode_link(
    spec: &NetSpec,
    row_key: &[u8],
    value: &[u8],
) -> Result<(Block, Block, Held)> {
    key::split_link(spec, row_key)
        .and_then(|(successor, predecessor)| Ok((successor, predecessor, Held::decode(value)?)))
        .map_err(|fault| fault.in_table("links", row_key))
}

/// What the commit does in one block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change {
    /// Root over what the commit did in the block.
    pub(crate) root: Hash,
    /// Live heads that came and went.
    pub(crate) rows: i64,
}

/// What [`link`] makes.
pub(crate) struct Linked {
    /// Sorted by block.
    pub(crate) blocks: Vec<BlockTouch>,
    /// Blocks created.
    pub(crate) created: u64,
    pub(crate) registry_head: Hash,
}

/// Makes a version for every block in `changes` and in `origins`, and puts the rows of `blocks`,
/// `links` and `edges` into `batch`.
///
/// * `origins`: how the blocks that are new to the net enter it.
/// * `registry_head`: before the commit.
///
/// # Cost
/// For each block a few reads and at most six rows beside its own: nothing depends on the size of
/// the net, on how full a block is, or on its history.
pub(crate) fn link(
    net: &[u8; 16],
    number: u64,
    blocks: &Blocks<'_>,
    changes: BTreeMap<Block, Change>,
    mut origins: BTreeMap<Block, Origin>,
    registry_head: Hash,
    batch: &mut Batch,
) -> Result<Linked> {
    let mut drafts = Vec::with_capacity(changes.len());
    let mut new_links = NewLinks::default();
    let created = origins.len() as u64;
    check_origins(blocks, number, &origins)?;
    for (block, origin) in &origins {
        new_links.add(block, origin);
    }
    for (block, change) in changes {
        let before = blocks.newest(&block)?;
        drafts.push(Draft::new(
            number,
            block,
            change,
            before,
            origins.remove(&block),
            registry_head,
        )?);
    }
    assert!(
        origins.is_empty(),
        "a created block is among the blocks that change"
    );
    // Links go from earlier to later, so a block's predecessors are done before it.
    drafts.sort_unstable_by_key(|draft| draft.version.rank(&draft.block));

    let mut made: HashMap<Block, Held> = HashMap::with_capacity(drafts.len());
    let mut registry: BTreeMap<Block, Option<Hash>> = BTreeMap::new();
    let mut touches = Vec::with_capacity(drafts.len());
    for Draft {
        block,
        rows,
        mut version,
    } in drafts
    {
        let Around {
            predecessors,
            successors,
        } = Around::of(blocks, &block, &version, &new_links, &made)?;
        version.genes = predecessors
            .into_iter()
            .map(|(block, Held { commit, hash })| Gene {
                block,
                commit,
                hash,
            })
            .collect();
        version.hash = version.compute_hash(net, &block);
        made.insert(block, version.held());
        batch.put(key::BLOCKS, key::block(&block, number), version.encode());
        for successor in &successors {
            batch.put(
                key::LINKS,
                key::link(successor, &block),
                version.held().encode(),
            );
        }
        if successors.is_empty() {
            let row = version.held().encode();
            batch.put(key::EDGES, block.to_packed().as_ref(), row);
            registry.insert(block, Some(version.hash));
        }
        touches.push(BlockTouch {
            block,
            hash: version.hash,
            rows,
            created: version.origin,
        });
    }
    for (predecessor, successor) in &new_links.by_predecessor {
        let Some(before) = blocks.newest(predecessor)? else {
            continue; // created with its successor
        };
        if !made.contains_key(predecessor) {
            batch.put(
                key::LINKS,
                key::link(successor, predecessor),
                before.held().encode(),
            );
        }
        let packed = predecessor.to_packed();
        if blocks.read.get(key::EDGES, packed.as_ref())?.is_some()
            && registry.insert(*predecessor, None).is_none()
        {
            batch.delete(key::EDGES, packed.as_ref());
        }
    }
    touches.sort_unstable_by_key(|touch| touch.block);
    Ok(Linked {
        blocks: touches,
        created,
        registry_head: next_registry_head(net, registry_head, &registry),
    })
}

/// The registry head after a commit: over the head before it and what the commit changed, sorted
/// by block; the same head where it changed nothing.
pub(crate) fn next_registry_head(
    net: &[u8; 16],
    before: Hash,
    changes: &BTreeMap<Block, Option<Hash>>,
) -> Hash {
    if changes.is_empty() {
        return before;
    }
    let mut hasher = Hasher::new("blocknet/registry/1");
    hasher.fixed(net).hash(before).u64(changes.len() as u64);
    for (block, newest) in changes {
        hasher
            .bytes(block.to_packed().as_ref())
            .u8(u8::from(newest.is_some()))
            .hash(newest.unwrap_or(Hash::ZERO));
    }
    hasher.finish()
}

/// A block version that lacks only its genes and its hash.
struct Draft {
    block: Block,
    rows: u64,
    version: BlockVersion,
}

impl Draft {
    fn new(
        number: u64,
        block: Block,
        change: Change,
        before: Option<BlockVersion>,
        origin: Option<Origin>,
        registry_head: Hash,
    ) -> Result<Self> {
        let (round, created) = match (&before, &origin) {
            (Some(before), None) => (before.round, before.created),
            (None, Some(origin)) => (origin.round, number),
            (Some(_), Some(_)) => {
                return Err(Error::corrupt(format!(
                    "commit {number} creates block {block}, which is in the net already"
                )));
            }
            (None, None) => {
                return Err(Error::corrupt(format!(
                    "commit {number} does not say how block {block}, which is new, is linked"
                )));
            }
        };
        let rows_before = before.as_ref().map_or(0, |before| before.rows);
        let rows = rows_before
            .checked_add_signed(change.rows)
            .ok_or_else(|| Error::corrupt("tables: `blocks`: a row count would fall below zero"))?;
        Ok(Self {
            block,
            rows,
            version: BlockVersion {
                commit: number,
                hash: Hash::ZERO,
                previous: before.map_or(Hash::ZERO, |before| before.hash),
                root: change.root,
                rows,
                round,
                created,
                origin,
                genes: Vec::new(),
                registry_head,
            },
        })
    }
}

/// The links that come with the blocks a commit creates, in both directions.
#[derive(Default)]
struct NewLinks {
    by_successor: BTreeSet<(Block, Block)>,
    by_predecessor: BTreeSet<(Block, Block)>,
}

impl NewLinks {
    fn add(&mut self, block: &Block, origin: &Origin) {
        for link in &origin.links {
            let (predecessor, successor) = if link.from_neighbour {
                (link.block, *block)
            } else {
                (*block, link.block)
            };
            self.by_successor.insert((successor, predecessor));
            self.by_predecessor.insert((predecessor, successor));
        }
    }

    fn predecessors(&self, block: &Block) -> impl Iterator<Item = Block> + '_ {
        others(&self.by_successor, *block)
    }

    fn successors(&self, block: &Block) -> impl Iterator<Item = Block> + '_ {
        others(&self.by_predecessor, *block)
    }
}

/// The second blocks of the pairs that begin with `first`.
fn others(pairs: &BTreeSet<(Block, Block)>, first: Block) -> impl Iterator<Item = Block> + '_ {
    // A block has at most six neighbours: they are all its pairs can name.
    let start = pairs.range((first, first)..);
    let before = pairs.range(..(first, first)).rev();
    let own = move |pair: &&(Block, Block)| pair.0 == first;
    before
        .take_while(own)
        .chain(start.take_while(own))
        .map(|pair| pair.1)
}

/// Refuses origins that would break the net: they have to link each new block with all its
/// neighbours, from the earlier to the later. The rule that chose round and source is not asked.
fn check_origins(
    blocks: &Blocks<'_>,
    number: u64,
    origins: &BTreeMap<Block, Origin>,
) -> Result<()> {
    for (block, origin) in origins {
        let mut expected = Vec::new();
        for neighbour in blocks.spec.block_neighbours(block).into_iter().flatten() {
            let rank = match origins.get(&neighbour) {
                Some(other) => Some((other.round, number, neighbour)),
                None => blocks
                    .newest(&neighbour)?
                    .map(|version| version.rank(&neighbour)),
            };
            if let Some(rank) = rank {
                expected.push((neighbour, rank < (origin.round, number, *block)));
            }
        }
        expected.sort_unstable();
        let stated = origin
            .links
            .iter()
            .map(|link| (link.block, link.from_neighbour));
        if !stated.eq(expected) {
            return Err(Error::corrupt(format!(
                "commit {number} links block {block} otherwise than with all its neighbours, from \
                 the earlier to the later"
            )));
        }
    }
    Ok(())
}

/// Who a block is linked with.
struct Around {
    /// With the newest version of each, of this commit if it is touched too.
    predecessors: BTreeMap<Block, Held>,
    successors: BTreeSet<Block>,
}

impl Around {
    fn of(
        blocks: &Blocks<'_>,
        block: &Block,
        version: &BlockVersion,
        new_links: &NewLinks,
        made: &HashMap<Block, Held>,
    ) -> Result<Self> {
        let mut around = if version.origin.is_none() {
            Self::stored(blocks, block)?
        } else {
            Self {
                predecessors: BTreeMap::new(),
                successors: BTreeSet::new(),
            }
        };
        around.successors.extend(new_links.successors(block));
        for predecessor in new_links.predecessors(block) {
            if let Some(newest) = blocks.newest(&predecessor)? {
                around.predecessors.insert(predecessor, newest.held());
            } else if let Some(held) = made.get(&predecessor) {
                around.predecessors.insert(predecessor, *held);
            }
        }
        for (predecessor, held) in &mut around.predecessors {
            if let Some(newer) = made.get(predecessor) {
                *held = *newer;
            }
        }
        Ok(around)
    }

    /// The rows of `links` in both directions, read at once: an iterator would cost more than all
    /// these gets.
    fn stored(blocks: &Blocks<'_>, block: &Block) -> Result<Self> {
        let sides = blocks.spec.block_neighbours(block);
        let sides: Vec<Block> = sides.into_iter().flatten().collect();
        let inward = sides.iter().map(|side| key::link(block, side));
        let outward = sides.iter().map(|side| key::link(side, block));
        let keys: Vec<Vec<u8>> = inward.chain(outward).collect();
        let asked: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
        let rows = blocks.read.multi_get(key::LINKS, &asked)?;
        let (inward, outward) = rows.split_at(sides.len());
        let mut predecessors = BTreeMap::new();
        for ((side, row), row_key) in sides.iter().zip(inward).zip(&keys) {
            if let Some(row) = row {
                let (_, _, held) = decode_link(blocks.spec, row_key, row)?;
                predecessors.insert(*side, held);
            }
        }
        let there = sides.iter().zip(outward);
        Ok(Self {
            predecessors,
            successors: there
                .filter_map(|(side, row)| row.as_ref().map(|_| *side))
                .collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{NET_ID, hex};

    /// SHA-256 over: length 19 as u64 and "blocknet/registry/1", the net's id, the head before, the
    /// number of blocks changed as u64; for each its code with length 5 as u64, then 01 and its
    /// newest hash, or 00 and zeros where it leaves. Computed with Python's hashlib.
    #[test]
    fn a_registry_head_is_this_hash() {
        let block = |packed: &str| NetSpec::city().block_from_packed(&hex(packed)).unwrap();
        let changes = BTreeMap::from([
            (block("f000000000"), Some(Hash([7; 32]))),
            (block("f000000010"), None),
        ]);
        let before = Hash([5; 32]);
        assert_eq!(
            next_registry_head(&NET_ID, before, &changes).to_string(),
            "64cc30da96b15fd86dbc862c59f6e6db8c90cac471653fd2cb7a0b9182d1e38f"
        );
        assert_eq!(
            next_registry_head(&NET_ID, before, &BTreeMap::new()),
            before
        );
    }
}
