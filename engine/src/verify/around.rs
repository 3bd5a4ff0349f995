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

/// Versions kept in memory, of all blocks together.
const VERSIONS_MAX: usize = 400_000;

/// All versions of one block.
pub(super) struct Versions {
    pub(super) round: u32,
    pub(super) created: u64,
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

    fn rank(&self, block: &Block) -> (u32, u64, Block) {
        (self.round, self.created, *block)
    }
}

/// Reads blocks and keeps those read last: neighbours are near in the order of keys.
pub(super) struct Surroundings<'a> {
    read: &'a dyn Read,
    spec: &'a NetSpec,
    blocks: HashMap<Block, Option<Rc<Versions>>>,
    versions: usize,
}

impl<'a> Surroundings<'a> {
    pub(super) fn new(read: &'a dyn Read, spec: &'a NetSpec) -> Self {
        Self {
            read,
            spec,
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
            found
                .get_or_insert(Versions {
                    round: version.round,
                    created: version.created,
                    list: Vec::new(),
                })
                .list
                .push(version.held());
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

    /// Predecessors of a block after `commit`, or its successors, as genes name them: sorted.
    pub(super) fn neighbours(
        &mut self,
        block: &Block,
        rank: (u32, u64, Block),
        commit: u64,
        before: bool,
    ) -> Result<Vec<Gene>> {
        let mut genes = Vec::with_capacity(4);
        for side in self.spec.block_neighbours(block).into_iter().flatten() {
            let Some(versions) = self.block(&side)? else {
                continue;
            };
            if (versions.rank(&side) < rank) == before
                && let Some(Held { commit, hash }) = versions.at(commit)
            {
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

    /// The same for a block of the net, by its own rank; none for one that is not in it.
    pub(super) fn around(&mut self, block: &Block, commit: u64, before: bool) -> Result<Vec<Gene>> {
        match self.block(block)? {
            Some(own) => self.neighbours(block, own.rank(block), commit, before),
            None => Ok(Vec::new()),
        }
    }

    /// Whether no block supervised this one after `commit`, when it was in the net.
    pub(super) fn is_edge(&mut self, block: &Block, commit: u64) -> Result<bool> {
        let Some(own) = self.block(block)? else {
            return Ok(false);
        };
        Ok(own.created <= commit && self.around(block, commit, false)?.is_empty())
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
        for predecessor in around.around(&block, number, true)? {
            if around.is_edge(&predecessor.block, number.saturating_sub(1))? {
                changes.insert(predecessor.block, None);
            }
        }
    }
    Ok(changes)
}
