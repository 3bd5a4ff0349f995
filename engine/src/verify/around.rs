//! The versions of blocks and of their neighbours at any commit, by the rows of `blocks` alone.

use std::collections::HashMap;

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

/// How a block entered the net: with the block itself, its rank.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    round: u32,
    created: u64,
}

/// All versions of one block.
struct Versions {
    rank: Rank,
    /// Newest first; empty where they did not fit into memory.
    list: Vec<Held>,
}

impl Versions {
    fn at(&self, commit: u64) -> Option<Held> {
        let index = self.list.partition_point(|held| held.commit > commit);
        self.list.get(index).copied()
    }
}

/// The blocks of a net, read once for all jobs: their ranks, on which directions and edges hang, and
/// their versions where all of them fit into memory.
pub(super) struct Blocks {
    blocks: HashMap<Block, Versions>,
    has_versions: bool,
}

impl Blocks {
    /// Runs through `blocks`. `None` for more than [`RANKS_MAX`] blocks and where a row is damaged:
    /// then blocks are read as they are asked for.
    ///
    /// # Errors
    /// Only when the operating system fails.
    pub(super) fn load(read: &dyn Read, spec: &NetSpec) -> Result<Option<Self>> {
        let mut blocks: HashMap<Block, Versions> = HashMap::new();
        let (mut is_whole, mut versions) = (true, 0_usize);
        let mut last: Option<(Vec<u8>, Versions)> = None;
        let mut keep = |last: &mut Option<(Vec<u8>, Versions)>| {
            if let Some((packed, mut versions)) = last.take()
                && let Ok(block) = spec.block_from_packed(&packed)
                && blocks.len() <= RANKS_MAX
            {
                versions.list.shrink_to_fit();
                blocks.insert(block, versions);
            }
        };
        let row = &mut |row_key: &[u8], value: &[u8]| {
            let Ok((_, version)) = decode_block(spec, row_key, value) else {
                is_whole = false;
                return Ok(());
            };
            let packed = row_key.get(..spec.block_len_bytes()).unwrap_or_default();
            if last.as_ref().is_none_or(|(last, _)| last != packed) {
                keep(&mut last);
                let (round, created) = (version.round, version.created);
                let block = Versions {
                    rank: Rank { round, created },
                    list: Vec::new(),
                };
                last = Some((packed.to_vec(), block));
            }
            versions += 1;
            if versions <= VERSIONS_MAX
                && let Some((_, versions)) = &mut last
            {
                versions.list.push(version.held());
            }
            Ok(())
        };
        let mut gaps = 0;
        each_row(read, key::BLOCKS, &KeyRange::all(), row, &mut |_| gaps += 1)?;
        keep(&mut last);
        if !is_whole || gaps > 0 || blocks.len() > RANKS_MAX {
            return Ok(None);
        }
        let has_versions = versions <= VERSIONS_MAX;
        if !has_versions {
            for block in blocks.values_mut() {
                block.list = Vec::new();
            }
        }
        Ok(Some(Self {
            blocks,
            has_versions,
        }))
    }
}

/// Answers about blocks, from those that were read once or by reading them: then those read last are
/// kept, since neighbours are near in the order of keys.
pub(super) struct Surroundings<'a> {
    read: &'a dyn Read,
    spec: &'a NetSpec,
    known: Option<&'a Blocks>,
    blocks: HashMap<Block, Option<Versions>>,
    versions: usize,
    near: (Option<Block>, Vec<(Block, Rank)>),
}

impl<'a> Surroundings<'a> {
    pub(super) fn new(read: &'a dyn Read, spec: &'a NetSpec, known: Option<&'a Blocks>) -> Self {
        Self {
            read,
            spec,
            known,
            blocks: HashMap::new(),
            versions: 0,
            near: (None, Vec::new()),
        }
    }

    /// All versions of a block; `None` for one that is not in the net.
    fn block(&mut self, block: &Block) -> Result<Option<&Versions>> {
        if let Some(known) = self.known.filter(|known| known.has_versions) {
            return Ok(known.blocks.get(block));
        }
        if !self.blocks.contains_key(block) {
            let found = self.read_block(block)?;
            let more = 1 + found.as_ref().map_or(0, |found| found.list.len());
            if self.versions + more > VERSIONS_MAX {
                self.blocks.clear();
                self.versions = 0;
            }
            self.versions += more;
            self.blocks.insert(*block, found);
        }
        Ok(self.blocks.get(block).and_then(Option::as_ref))
    }

    fn read_block(&self, block: &Block) -> Result<Option<Versions>> {
        let range = KeyRange::prefix(block.to_packed().as_ref());
        let mut cursor = self.read.cursor(key::BLOCKS, &range)?;
        let mut found: Option<Versions> = None;
        while let Some((row_key, value)) = cursor.entry() {
            let (_, version) = decode_block(self.spec, row_key, value)?;
            let (round, created) = (version.round, version.created);
            let versions = found.get_or_insert(Versions {
                rank: Rank { round, created },
                list: Vec::new(),
            });
            versions.list.push(version.held());
            cursor.advance()?;
        }
        Ok(found)
    }

    /// The newest version of a block.
    pub(super) fn newest(&mut self, block: &Block) -> Result<Option<Held>> {
        self.at(block, u64::MAX)
    }

    /// The version that a block has after `commit`.
    fn at(&mut self, block: &Block, commit: u64) -> Result<Option<Held>> {
        Ok(self.block(block)?.and_then(|versions| versions.at(commit)))
    }

    fn rank(&mut self, block: &Block) -> Result<Option<Rank>> {
        let versions = match self.known {
            Some(known) => known.blocks.get(block),
            None => self.block(block)?,
        };
        Ok(versions.map(|versions| versions.rank))
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
        let beside = self.near(block)?.iter().filter(|(side, other)| {
            other.created <= commit && ((*other, *side) < (rank, *block)) == before
        });
        Ok(beside.map(|(side, _)| *side).collect())
    }

    /// The neighbours of a block that are in the net, and their ranks; those of the block asked last
    /// are kept, since its versions follow each other.
    fn near(&mut self, block: &Block) -> Result<&[(Block, Rank)]> {
        if self.near.0.as_ref() != Some(block) {
            self.near.0 = None;
            self.near.1.clear();
            for side in self.spec.block_neighbours(block).into_iter().flatten() {
                if let Some(rank) = self.rank(&side)? {
                    self.near.1.push((side, rank));
                }
            }
            self.near.0 = Some(*block);
        }
        Ok(&self.near.1)
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
            if let Some(Held { commit, hash }) = self.at(&side, commit)? {
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
