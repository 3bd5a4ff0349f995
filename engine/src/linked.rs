//! The net of blocks as a reader sees it: who links to whom, what is held where, how safe a block
//! is.

use std::collections::{HashMap, HashSet, VecDeque};

use blocknet_geocode::{Block, NetSpec};
use blocknet_kv::{Cursor, KeyRange, Read};

use crate::block::{BlockVersion, Held, Origin};
use crate::blocks::BlockCollector;
use crate::error::{Error, Fault, Result};
use crate::graph::{Measures, NetGraph};
use crate::hash::Hash;
use crate::key;
use crate::linking::{decode_block, decode_link, newest_block_until, origin_of};
use crate::writer::commit_info;

/// The net of blocks as it stood after one commit.
///
/// Links are directed from the block that comes first in the order (round, creating commit, code)
/// to the other, and never change; so a past state needs no record of its own.
#[derive(Clone, Copy)]
pub struct LinkedNet<'v> {
    read: &'v dyn Read,
    spec: &'v NetSpec,
    commit: u64,
    newest: u64,
}

impl std::fmt::Debug for LinkedNet<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LinkedNet")
            .field("commit", &self.commit)
            .finish_non_exhaustive()
    }
}

/// A neighbour with the version it had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// The neighbour.
    pub block: Block,
    /// Its newest version after the commit looked at.
    pub version: BlockVersion,
    /// For a successor, at the newest commit: the version of this block that it holds. A sound
    /// net holds the newest. `None` for a predecessor, for the past, of which no copy is kept, and
    /// where the copy is missing.
    pub holds: Option<Held>,
}

/// Who vouches for a block's newest version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Supervision {
    /// Its successors, which hold its newest hash.
    Successors(Vec<Neighbour>),
    /// The edge registry, since it has no successors; with what is held there, at the newest
    /// commit.
    Registry(Option<Held>),
}

/// How much of the net builds on a block: the paper's safety coefficient (section "BlockNet": "the
/// safety coefficient can be calculated by counting the rounds of propagation").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Safety {
    /// Propagation rounds that build on it: the longest way along links outward to a block
    /// without successors.
    pub longest: u32,
    /// The shortest such way.
    pub shortest: u32,
    /// Blocks that supervise it directly.
    pub supervisors: usize,
    /// Whether it stands in the edge registry, having none.
    pub in_registry: bool,
    /// Blocks that build on it, directly or not.
    pub descendants: u64,
}

/// Which way to walk along links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Walking {
    /// From predecessors to successors, away from the source.
    Outward,
    /// From successors to predecessors, to the source.
    Inward,
}

/// The blocks of the edge registry with what is held of them: see [`LinkedNet::registry`].
pub type Registry<'v> = Box<dyn Iterator<Item = Result<(Block, Held)>> + 'v>;

/// What [`LinkedNet::stats`] counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetStats {
    /// The net with its links as they are stored.
    pub graph: NetGraph,
    /// What can be counted about that.
    pub measures: Measures,
    /// Blocks in the edge registry.
    pub registry: u64,
    /// Blocks whose newest version every successor holds, or the registry where there is none.
    pub supervised: u64,
    /// Versions of all blocks.
    pub versions: u64,
    /// Versions that a gene names: a successor got a version while they were the newest.
    pub gene_covered: u64,
}

impl<'v> LinkedNet<'v> {
    pub(crate) fn new(read: &'v dyn Read, spec: &'v NetSpec, commit: u64, newest: u64) -> Self {
        Self {
            read,
            spec,
            commit,
            newest,
        }
    }

    /// The commit after which the net stood so.
    pub fn commit(&self) -> u64 {
        self.commit
    }

    /// The newest version of a block, with its genes; `None` for a cell that was no block yet.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Io`] or [`crate::ErrorKind::Corrupt`] when the tables cannot be read; so
    /// for all methods here.
    pub fn block(&self, block: &Block) -> Result<Option<BlockVersion>> {
        newest_block_until(self.read, self.spec, block, self.commit)
    }

    /// All versions of a block up to the commit, newest first.
    ///
    /// # Errors
    /// As for [`LinkedNet::block`].
    pub fn versions(&self, block: &Block) -> Result<Vec<BlockVersion>> {
        let range = KeyRange {
            start: key::block(block, self.commit),
            ..KeyRange::prefix(block.to_packed().as_ref())
        };
        let mut cursor = self.read.cursor(key::BLOCKS, &range)?;
        let mut versions = Vec::new();
        while let Some((row_key, value)) = cursor.entry() {
            versions.push(decode_block(self.spec, row_key, value)?.1);
            cursor.advance()?;
        }
        Ok(versions)
    }

    /// Round, source and first links of a block; `None` for a cell that was no block yet.
    ///
    /// # Errors
    /// As for [`LinkedNet::block`].
    pub fn origin(&self, block: &Block) -> Result<Option<Origin>> {
        self.block(block)?
            .map(|version| origin_of(self.read, self.spec, block, &version))
            .transpose()
    }

    /// The blocks that link to a block: their hashes are the genes of its next version.
    ///
    /// # Errors
    /// As for [`LinkedNet::block`].
    pub fn predecessors(&self, block: &Block) -> Result<Vec<Neighbour>> {
        self.around(block, Walking::Inward)
    }

    /// The blocks that a block links to, each with what it holds of it.
    ///
    /// # Errors
    /// As for [`LinkedNet::block`].
    pub fn successors(&self, block: &Block) -> Result<Vec<Neighbour>> {
        let mut successors = self.around(block, Walking::Outward)?;
        if self.commit == self.newest {
            for successor in &mut successors {
                let row_key = key::link(&successor.block, block);
                let row = self.read.get(key::LINKS, &row_key)?;
                successor.holds = row
                    .map(|row| decode_link(self.spec, &row_key, &row).map(|(_, _, held)| held))
                    .transpose()?;
            }
        }
        Ok(successors)
    }

    /// Who holds the newest version of a block; `None` for a cell that was no block yet.
    ///
    /// # Errors
    /// As for [`LinkedNet::block`].
    pub fn supervision(&self, block: &Block) -> Result<Option<Supervision>> {
        if self.block(block)?.is_none() {
            return Ok(None);
        }
        let successors = self.successors(block)?;
        if !successors.is_empty() {
            return Ok(Some(Supervision::Successors(successors)));
        }
        if self.commit != self.newest {
            return Ok(Some(Supervision::Registry(None)));
        }
        let packed = block.to_packed();
        let row = self.read.get(key::EDGES, packed.as_ref())?;
        let held = row.map(|row| decode_edge(packed.as_ref(), &row));
        Ok(Some(Supervision::Registry(held.transpose()?)))
    }

    /// The neighbours before a block or after it in the total order.
    fn around(&self, block: &Block, walking: Walking) -> Result<Vec<Neighbour>> {
        let Some(own) = self.block(block)? else {
            return Ok(Vec::new());
        };
        let mut around = Vec::new();
        for neighbour in self.spec.block_neighbours(block).into_iter().flatten() {
            let Some(version) = self.block(&neighbour)? else {
                continue;
            };
            let is_before = version.rank(&neighbour) < own.rank(block);
            if is_before == (walking == Walking::Inward) {
                around.push(Neighbour {
                    block: neighbour,
                    version,
                    holds: None,
                });
            }
        }
        Ok(around)
    }

    /// How much of the net builds on a block; `None` for a cell that was no block yet.
    ///
    /// # Errors
    /// As for [`LinkedNet::block`].
    ///
    /// # Cost
    /// A few reads for each block that builds on it, and memory for all of them: for a source that
    /// is its whole territory. [`LinkedNet::stats`] is cheaper for many blocks.
    pub fn safety(&self, block: &Block) -> Result<Option<Safety>> {
        let Some(own) = self.block(block)? else {
            return Ok(None);
        };
        let mut found: HashMap<Block, Vec<Block>> = HashMap::new();
        let mut ranks = vec![own.rank(block)];
        let mut at = 0;
        while let Some(&(_, _, next)) = ranks.get(at) {
            at += 1;
            let successors = self.around(&next, Walking::Outward)?;
            for successor in &successors {
                found.entry(successor.block).or_insert_with(|| {
                    ranks.push(successor.version.rank(&successor.block));
                    Vec::new()
                });
            }
            let successors = successors.into_iter().map(|successor| successor.block);
            found.insert(next, successors.collect());
        }
        // Links go from earlier to later: from the last block back, successors come first.
        ranks.sort_unstable();
        let mut ways: HashMap<Block, (u32, u32)> = HashMap::with_capacity(ranks.len());
        for (_, _, next) in ranks.iter().rev() {
            let ends = found[next].iter().map(|successor| ways[successor]);
            let way = ends.fold(None, |way: Option<(u32, u32)>, (longest, shortest)| {
                let (most, least) = way.unwrap_or((0, u32::MAX));
                Some((most.max(longest + 1), least.min(shortest + 1)))
            });
            ways.insert(*next, way.unwrap_or((0, 0)));
        }
        let (longest, shortest) = ways[block];
        let supervisors = found[block].len();
        Ok(Some(Safety {
            longest,
            shortest,
            supervisors,
            in_registry: supervisors == 0,
            descendants: ranks.len() as u64 - 1,
        }))
    }

    /// Walks along links from a block, nearest first: (steps, block), the block itself with 0
    /// steps. Nothing for a cell that was no block yet.
    pub fn walk(&self, from: &Block, walking: Walking) -> Walk<'v> {
        Walk {
            net: *self,
            walking,
            queue: VecDeque::from([(0, *from)]),
            seen: HashSet::from([*from]),
            failed: false,
        }
    }

    /// All blocks with their newest versions, in order of their codes.
    ///
    /// # Errors
    /// As for [`LinkedNet::block`].
    pub fn blocks(&self) -> Result<Blocks<'v>> {
        Ok(Blocks {
            net: *self,
            cursor: Some(self.read.cursor(key::BLOCKS, &KeyRange::all())?),
        })
    }

    /// The edge registry: the blocks without successors and what is held of them, in order of
    /// their codes.
    ///
    /// # Errors
    /// As for [`LinkedNet::block`].
    ///
    /// # Cost
    /// For the newest commit one pass over the registry; for a past one, of which no copy is
    /// kept, a few reads for every block of the net.
    pub fn registry(&self) -> Result<Registry<'v>> {
        let net = *self;
        if self.commit == self.newest {
            let mut cursor = self.read.cursor(key::EDGES, &KeyRange::all())?;
            return Ok(Box::new(std::iter::from_fn(move || {
                let (row_key, value) = cursor.entry()?;
                let edge = key::parse_edge(net.spec, row_key)
                    .map_err(|fault| fault.in_table("edges", row_key))
                    .and_then(|block| Ok((block, decode_edge(row_key, value)?)));
                Some(match cursor.advance() {
                    Ok(()) => edge,
                    Err(error) => Err(error.into()),
                })
            })));
        }
        Ok(Box::new(self.blocks()?.filter_map(move |found| {
            let (block, version) = match found {
                Ok(found) => found,
                Err(error) => return Some(Err(error)),
            };
            match net.around(&block, Walking::Outward) {
                Ok(successors) if successors.is_empty() => Some(Ok((block, version.held()))),
                Ok(_) => None,
                Err(error) => Some(Err(error)),
            }
        })))
    }

    /// Head of the edge registry after the commit.
    ///
    /// # Errors
    /// As for [`LinkedNet::block`].
    pub fn registry_head(&self) -> Result<Hash> {
        if self.commit == 0 {
            return Ok(Hash::ZERO);
        }
        Ok(commit_info(self.read, self.commit)?.registry_head)
    }

    /// The whole net in memory, links as the total order gives them.
    ///
    /// # Errors
    /// As for [`LinkedNet::block`].
    ///
    /// # Cost
    /// One pass over the blocks; about 60 bytes for each.
    pub fn graph(&self) -> Result<NetGraph> {
        Ok(self.load()?.linked())
    }

    fn load(&self) -> Result<Loaded> {
        let mut collector = BlockCollector::new(self.spec);
        for found in self.blocks()? {
            collector.insert(&found?.0);
        }
        let mut loaded = Loaded::new(collector);
        for found in self.blocks()? {
            let (block, version) = found?;
            let source = origin_of(self.read, self.spec, &block, &version)?.source;
            loaded.push(&version, source);
        }
        Ok(loaded)
    }

    /// Counts everything about the net of the newest commit, from the rows as they are stored.
    ///
    /// # Errors
    /// As for [`LinkedNet::block`]; [`crate::ErrorKind::Invalid`] when this is the net after an
    /// older commit.
    ///
    /// # Cost
    /// Passes over the tables `blocks`, `links` and `edges`; about 120 bytes of memory for each
    /// block and 16 for each gene that names a version for the first time.
    pub fn stats(&self) -> Result<NetStats> {
        if self.commit != self.newest {
            return Err(Error::invalid(format!(
                "links and registry are held for the newest commit, {}, only",
                self.newest
            )));
        }
        let loaded = self.load()?;
        let held = loaded.held.clone();
        let expected = loaded.linked();
        let mut graph = expected.without_links();
        let mut sound = vec![true; held.len()];
        let mut cursor = self.read.cursor(key::LINKS, &KeyRange::all())?;
        let mut near = 0;
        while let Some((row_key, value)) = cursor.entry() {
            let (successor, predecessor, row) = decode_link(self.spec, row_key, value)?;
            let linked = graph.add_link(&predecessor, &successor, near);
            let (from, to) = linked.ok_or_else(|| {
                Fault::Value {
                    what: "neighbours linked",
                }
                .in_table("links", row_key)
            })?;
            sound[from] &= row == held[from];
            near = to;
            cursor.advance()?;
        }
        let mut in_registry = vec![false; held.len()];
        let mut registry = 0;
        for edge in self.registry()? {
            let (block, row) = edge?;
            registry += 1;
            if let Some(index) = graph.blocks().find(&block, 0) {
                in_registry[index] = row == held[index];
            }
        }
        let supervised = (0..held.len())
            .filter(|&index| {
                graph.has_same_links(&expected, index)
                    && sound[index]
                    && (in_registry[index] || graph.successors(index).next().is_some())
            })
            .count() as u64;
        let (versions, gene_covered) = self.gene_coverage(&graph)?;
        Ok(NetStats {
            measures: graph.measure(),
            graph,
            registry,
            supervised,
            versions,
            gene_covered,
        })
    }

    /// How many block versions there are, and how many of them a gene names.
    fn gene_coverage(&self, graph: &NetGraph) -> Result<(u64, u64)> {
        let mut cursor = self.read.cursor(key::BLOCKS, &KeyRange::all())?;
        let mut versions = 0;
        let mut named: Vec<(usize, u64)> = Vec::new();
        let mut newer: Option<(Block, Vec<(usize, u64)>)> = None;
        while let Some((row_key, value)) = cursor.entry() {
            let (block, version) = decode_block(self.spec, row_key, value)?;
            versions += 1;
            let genes: Vec<(usize, u64)> = version
                .genes
                .iter()
                .filter_map(|gene| Some((graph.blocks().find(&gene.block, 0)?, gene.commit)))
                .collect();
            // Most genes are those of the block's next version, too.
            let known = newer.take().filter(|(of, _)| *of == block);
            let known = known.map_or_else(Vec::new, |(_, genes)| genes);
            named.extend(genes.iter().filter(|gene| !known.contains(gene)));
            newer = Some((block, genes));
            cursor.advance()?;
        }
        named.sort_unstable();
        named.dedup();
        Ok((versions, named.len() as u64))
    }
}

fn decode_edge(row_key: &[u8], value: &[u8]) -> Result<Held> {
    Held::decode(value).map_err(|fault| fault.in_table("edges", row_key))
}

/// The blocks of a net as they were read, in order of their codes.
struct Loaded {
    blocks: BlockCollector,
    rounds: Vec<u32>,
    created: Vec<u64>,
    held: Vec<Held>,
    source_of: Vec<u32>,
    sources: Vec<Block>,
    source_index: HashMap<Block, u32>,
}

impl Loaded {
    fn new(blocks: BlockCollector) -> Self {
        Self {
            blocks,
            rounds: Vec::new(),
            created: Vec::new(),
            held: Vec::new(),
            source_of: Vec::new(),
            sources: Vec::new(),
            source_index: HashMap::new(),
        }
    }

    fn push(&mut self, version: &BlockVersion, source: Block) {
        let next = u32::try_from(self.sources.len()).expect("fewer than 2^32 sources");
        let index = *self.source_index.entry(source).or_insert(next);
        if index == next {
            self.sources.push(source);
        }
        self.rounds.push(version.round);
        self.created.push(version.created);
        self.held.push(version.held());
        self.source_of.push(index);
    }

    fn linked(self) -> NetGraph {
        let created = self.created;
        NetGraph::link(
            self.blocks.finish(),
            self.rounds,
            self.source_of,
            self.sources,
            |rounds, a, b| (rounds[a], created[a], a) < (rounds[b], created[b], b),
            |_, _, _| None,
        )
    }
}

/// A walk along links: see [`LinkedNet::walk`].
pub struct Walk<'v> {
    net: LinkedNet<'v>,
    walking: Walking,
    queue: VecDeque<(u32, Block)>,
    seen: HashSet<Block>,
    failed: bool,
}

impl std::fmt::Debug for Walk<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Walk")
            .field("walking", &self.walking)
            .finish_non_exhaustive()
    }
}

impl Walk<'_> {
    fn step(&mut self, steps: u32, block: Block) -> Result<Option<(u32, Block, BlockVersion)>> {
        let Some(version) = self.net.block(&block)? else {
            return Ok(None);
        };
        for next in self.net.around(&block, self.walking)? {
            if self.seen.insert(next.block) {
                self.queue.push_back((steps + 1, next.block));
            }
        }
        Ok(Some((steps, block, version)))
    }
}

impl Iterator for Walk<'_> {
    type Item = Result<(u32, Block, BlockVersion)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let (steps, block) = self.queue.pop_front()?;
        let step = self.step(steps, block).transpose();
        self.failed = matches!(step, Some(Err(_)));
        step
    }
}

/// All blocks of a net with their newest versions: see [`LinkedNet::blocks`].
pub struct Blocks<'v> {
    net: LinkedNet<'v>,
    /// `None` after the last block and after an error.
    cursor: Option<Box<dyn Cursor + 'v>>,
}

impl std::fmt::Debug for Blocks<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Blocks").finish_non_exhaustive()
    }
}

impl Blocks<'_> {
    fn read(&mut self) -> Result<Option<(Block, BlockVersion)>> {
        let Some(cursor) = &mut self.cursor else {
            return Ok(None);
        };
        let spec = self.net.spec;
        loop {
            let Some((row_key, value)) = cursor.entry() else {
                return Ok(None);
            };
            let (block, newest) = decode_block(spec, row_key, value)?;
            let mut found = Some(newest).filter(|newest| newest.commit <= self.net.commit);
            if found.is_none() {
                cursor.seek(&key::block(&block, self.net.commit))?;
                if let Some((row_key, value)) = cursor.entry() {
                    let (next, version) = decode_block(spec, row_key, value)?;
                    found = Some(version).filter(|_| next == block);
                }
            }
            // Past the versions of this block: commit 0 is none, so its key is the last.
            cursor.seek(&key::block(&block, 0))?;
            if let Some(version) = found {
                return Ok(Some((block, version)));
            }
        }
    }
}

impl Iterator for Blocks<'_> {
    type Item = Result<(Block, BlockVersion)>;

    fn next(&mut self) -> Option<Self::Item> {
        let found = self.read().transpose();
        if !matches!(found, Some(Ok(_))) {
            self.cursor = None;
        }
        found
    }
}
