//! The versions of blocks and of their neighbours at any commit, by the rows of `blocks` alone.

use std::collections::HashMap;
use std::rc::Rc;

use blocknet_geocode::{Block, NetSpec};
use blocknet_kv::{KeyRange, Read};

use crate::block::{Gene, Held};
use crate::error::Result;
use crate::hash::Hash;
use crate::key;
use crate::linking::decode_block;

use super::rows::each_row;

/// Versions kept in memory, of all blocks together.
const VERSIONS_MAX: usize = 400_000;

/// Blocks whose ranks are kept in memory.
const RANKS_MAX: usize = 400_000;

/// How a block entered the net.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    round: u32,
    created: u64,
}

/// The rank of every block of a net: what directions and edges hang on, without its versions.
pub(super) struct Ranks(HashMap<Block, Rank>);

impl Ranks {
    /// Runs through `blocks` once. `None` for more than [`RANKS_MAX`] blocks and where a row is
    /// damaged: then blocks are read as they are asked for.
    ///
    /// # Errors
    /// Only when the operating system fails.
    pub(super) fn load(read: &dyn Read, spec: &NetSpec) -> Result<Option<Self>> {
        let mut ranks = HashMap::new();
        let mut is_whole = true;
        let mut last = Vec::new();
        let row = &mut |row_key: &[u8], value: &[u8]| {
            let Some((packed, _)) = row_key.split_last_chunk::<8>() else {
                is_whole = false;
                return Ok(());
            };
            if last == packed || ranks.len() > RANKS_MAX {
                return Ok(());
            }
            last.clear();
            last.extend_from_slice(packed);
            match decode_block(spec, row_key, value) {
                Ok((block, version)) => {
                    let (round, created) = (version.round, version.created);
                    ranks.insert(block, Rank { round, created });
                }
                Err(_) => is_whole = false,
            }
            Ok(())
        };
        let mut gaps = 0;
        each_row(read, key::BLOCKS, &KeyRange::all(), row, &mut |_| gaps += 1)?;
        Ok((is_whole && gaps == 0 && ranks.len() <= RANKS_MAX).then_some(Self(ranks)))
    }
}

/// All versions of one block.
pub(super) struct Versions {
    rank: Rank,
    /// Newest first.
    list: Vec<Held>,
}

impl Versions {
    fn at(&self, commit: u64) -> Option<Held> {
        let index = self.list.partition_point(|held| held.commit > commit);
        self.list.get(index).copied()
    }

    pub(super) fn newest(&self) -> Option<Held> {
        self.list.first().copied()
    }
}

/// Reads blocks and keeps those read last: neighbours are near in the order of keys.
pub(super) struct Surroundings<'a> {
    read: &'a dyn Read,
    spec: &'a NetSpec,
    ranks: Option<&'a Ranks>,
    blocks: HashMap<Block, Option<Rc<Versions>>>,
    versions: usize,
}

impl<'a> Surroundings<'a> {
    pub(super) fn new(read: &'a dyn Read, spec: &'a NetSpec, ranks: Option<&'a Ranks>) -> Self {
        Self {
            read,
            spec,
            ranks,
            blocks: HashMap::new(),
            versions: 0,
        }
    }

    /// All versions of a block; `None` for one that is not in the net.
    pub(super) fn block(&mut self, block: &Block) -> Result<Option<Rc<Versions>>> {
        if let Some(found) = self.blocks.get(block) {
            return Ok(found.clone());
        }
        let range = KeyRange::prefix(block.to_packed().as_ref());
        let mut cursor = self.read.cursor(key::BLOCKS, &range)?;
        let mut found: Option<Versions> = None;
        while let Some((row_key, value)) = cursor.entry() {
            let (_, version) = decode_block(self.spec, row_key, value)?;
            let rank = Rank {
                round: version.round,
                created: version.created,
            };
            let list = Vec::new();
            let versions = found.get_or_insert(Versions { rank, list });
            versions.list.push(version.held());
            cursor.advance()?;
        }
        let found = found.map(Rc::new);
        let more = 1 + found.as_ref().map_or(0, |found| found.list.len());
        if self.versions + more > VERSIONS_MAX {
            self.blocks.clear();
            self.versions = 0;
        }
        self.versions += more;
        self.blocks.insert(*block, found.clone());
        Ok(found)
    }

    fn rank(&mut self, block: &Block) -> Result<Option<Rank>> {
        match self.ranks {
            Some(ranks) => Ok(ranks.0.get(block).copied()),
            None => Ok(self.block(block)?.map(|versions| versions.rank)),
        }
    }

    /// The neighbours that come before a block of this rank, or after it, and were in the net after
    /// `commit`.
    fn beside(
        &mut self,
        block: &Block,
        rank: Rank,
        commit: u64,
        before: bool,
    ) -> Result<Vec<Block>> {
        let mut found = Vec::with_capacity(4);
        for side in self.spec.block_neighbours(block).into_iter().flatten() {
            if let Some(other) = self.rank(&side)?
                && other.created <= commit
                && ((other, side) < (rank, *block)) == before
            {
                found.push(side);
            }
        }
        Ok(found)
    }

    /// What a version of a block made by `commit` must hold of its predecessors, given how the block
    /// entered the net; sorted.
    pub(super) fn genes(
        &mut self,
        block: &Block,
        round: u32,
        created: u64,
        commit: u64,
    ) -> Result<Vec<Gene>> {
        let mut genes = Vec::with_capacity(4);
        for side in self.beside(block, Rank { round, created }, commit, true)? {
            let versions = self.block(&side)?;
            if let Some(Held { commit, hash }) = versions.and_then(|versions| versions.at(commit)) {
                genes.push(Gene {
                    block: side,
                    commit,
                    hash,
                });
            }
        }
        genes.sort_unstable_by_key(|gene| gene.block);
        Ok(genes)
    }

    /// The predecessors of a block after `commit`; none for one that is not in the net.
    pub(super) fn predecessors(&mut self, block: &Block, commit: u64) -> Result<Vec<Block>> {
        match self.rank(block)? {
            Some(own) => self.beside(block, own, commit, true),
            None => Ok(Vec::new()),
        }
    }

    /// Whether no block supervised this one after `commit`, when it was in the net.
    pub(super) fn is_edge(&mut self, block: &Block, commit: u64) -> Result<bool> {
        let Some(own) = self.rank(block)? else {
            return Ok(false);
        };
        Ok(own.created <= commit && self.beside(block, own, commit, false)?.is_empty())
    }
}

/// What a commit changes in the edge registry, going by the blocks as they were then.
pub(super) fn registry_changes(
    around: &mut Surroundings<'_>,
    number: u64,
    touched: impl Iterator<Item = (Block, Hash, bool)>,
) -> Result<std::collections::BTreeMap<Block, Option<Hash>>> {
    let mut changes = std::collections::BTreeMap::new();
    for (block, hash, created) in touched {
        if around.is_edge(&block, number)? {
            changes.insert(block, Some(hash));
        }
        if !created {
            continue;
        }
        for predecessor in around.predecessors(&block, number)? {
            if around.is_edge(&predecessor, number.saturating_sub(1))? {
                changes.insert(predecessor, None);
            }
        }
    }
    Ok(changes)
}
