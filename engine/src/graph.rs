//! A net in memory: blocks with their rounds, sources and directed links, and what can be counted
//! about them. Pure.

use blocknet_geocode::{Block, NetSpec};

use crate::block::{Link, Origin};
use crate::blocks::BlockSet;

/// Sides of a block, in the order of [`NetSpec::block_neighbours`]: a side and the opposite one
/// differ in the last bit.
const SIDES: usize = 6;

/// Blocks with their rounds, sources and directed links: new blocks as the propagation rule gives
/// them, a whole stored net, or a simulated one. 18 bytes a block, or 42 where blocks have more
/// than 16 digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetGraph {
    blocks: BlockSet,
    rounds: Vec<u32>,
    source_of: Vec<u32>,
    sources: Vec<Block>,
    /// Bit `n`: there is a neighbour on side `n`, in the graph or outside, and a link with it.
    linked: Vec<u8>,
    /// Bit `n`: a link goes out to side `n`.
    out: Vec<u8>,
}

impl NetGraph {
    /// Links every pair of neighbours: within the graph from the one that `before` puts first,
    /// with blocks outside as `outside` says (out, in, or no such block).
    pub(crate) fn link(
        blocks: BlockSet,
        rounds: Vec<u32>,
        source_of: Vec<u32>,
        sources: Vec<Block>,
        before: impl Fn(&[u32], usize, usize) -> bool,
        outside: impl Fn(&[u32], usize, &Block) -> Option<bool>,
    ) -> Self {
        let (mut linked, mut out) = (vec![0_u8; blocks.len()], vec![0_u8; blocks.len()]);
        for index in 0..blocks.len() {
            let around = blocks.spec().block_neighbours(&blocks.get(index));
            for (side, neighbour) in around.iter().enumerate() {
                let Some(neighbour) = neighbour else { continue };
                let goes_out = match blocks.find(neighbour, index) {
                    Some(other) => Some(before(&rounds, index, other)),
                    None => outside(&rounds, index, neighbour),
                };
                if let Some(goes_out) = goes_out {
                    linked[index] |= 1 << side;
                    out[index] |= u8::from(goes_out) << side;
                }
            }
        }
        Self {
            blocks,
            rounds,
            source_of,
            sources,
            linked,
            out,
        }
    }

    /// The same blocks without links, to which [`NetGraph::add_link`] adds those that are stored.
    pub(crate) fn without_links(&self) -> Self {
        let zeros = vec![0; self.blocks.len()];
        Self {
            linked: zeros.clone(),
            out: zeros,
            ..self.clone()
        }
    }

    /// Adds a link and returns the indices of its ends; `None` when one of them is not in the
    /// graph or they share no side.
    pub(crate) fn add_link(
        &mut self,
        from: &Block,
        to: &Block,
        near: usize,
    ) -> Option<(usize, usize)> {
        let to_index = self.blocks.find(to, near)?;
        let from_index = self.blocks.find(from, to_index)?;
        let around = self.spec().block_neighbours(from);
        let side = around
            .iter()
            .position(|neighbour| neighbour.as_ref() == Some(to))?;
        self.out[from_index] |= 1 << side;
        self.linked[from_index] |= 1 << side;
        self.linked[to_index] |= 1 << (side ^ 1);
        Some((from_index, to_index))
    }

    /// Whether a block has the same links here as in another graph of the same blocks.
    pub(crate) fn has_same_links(&self, other: &Self, index: usize) -> bool {
        (self.linked[index], self.out[index]) == (other.linked[index], other.out[index])
    }

    /// The net's parameters.
    pub fn spec(&self) -> &NetSpec {
        self.blocks.spec()
    }

    /// The blocks, in order of their codes. Everything else is asked for by index into them.
    pub fn blocks(&self) -> &BlockSet {
        &self.blocks
    }

    /// The propagation round of a block.
    ///
    /// # Panics
    /// When there are not so many blocks; so do the other methods that take an index.
    pub fn round(&self, index: usize) -> u32 {
        self.rounds[index]
    }

    /// The source of a block's territory.
    pub fn source(&self, index: usize) -> Block {
        self.sources[self.source_of[index] as usize]
    }

    /// The sources that blocks of the graph belong to, in the order in which they were found.
    pub fn sources(&self) -> &[Block] {
        &self.sources
    }

    /// Round, source and links of a block: what the commit that creates it records.
    pub fn origin(&self, index: usize) -> Origin {
        let around = self.spec().block_neighbours(&self.blocks.get(index));
        let links = around.into_iter().enumerate().filter_map(|(side, block)| {
            (self.linked[index] >> side & 1 == 1).then_some(Link {
                block: block?,
                from_neighbour: self.out[index] >> side & 1 == 0,
            })
        });
        let mut links: Vec<Link> = links.collect();
        links.sort_unstable_by_key(|link| link.block);
        Origin {
            round: self.rounds[index],
            source: self.source(index),
            links,
        }
    }

    /// The indices of all blocks in order of (round, block code): the order in which they can be
    /// created, each after its predecessors.
    pub fn order(&self) -> Vec<u32> {
        let mut order: Vec<u32> = (0..number(self.blocks.len())).collect();
        order.sort_by_key(|&index| self.rounds[index as usize]);
        order
    }

    /// Neighbours of a block within the graph: side, index.
    fn around(&self, index: usize) -> impl Iterator<Item = (usize, usize)> + '_ {
        let around = self.spec().block_neighbours(&self.blocks.get(index));
        around
            .into_iter()
            .enumerate()
            .filter_map(move |(side, block)| Some((side, self.blocks.find(&block?, index)?)))
    }

    /// The blocks that a block links to, within the graph.
    pub fn successors(&self, index: usize) -> impl Iterator<Item = usize> + '_ {
        let out = self.out[index];
        self.around(index)
            .filter(move |(side, _)| out >> side & 1 == 1)
            .map(|(_, other)| other)
    }

    /// The blocks that link to a block, within the graph.
    pub fn predecessors(&self, index: usize) -> impl Iterator<Item = usize> + '_ {
        self.around(index)
            .filter(|&(side, other)| self.out[other] >> (side ^ 1) & 1 == 1)
            .map(|(_, other)| other)
    }

    /// Counts everything about the net, from its links as they are.
    ///
    /// # Cost
    /// A few passes over the blocks; 22 bytes a block of memory.
    pub fn measure(&self) -> Measures {
        let count = self.blocks.len();
        let mut measures = Measures {
            blocks: count as u64,
            ..Measures::default()
        };
        let mut waiting = vec![0_u8; count];
        for (index, waiting) in waiting.iter_mut().enumerate() {
            let mut two_way = 0;
            for (side, other) in self.around(index) {
                let goes_out = self.out[index] >> side & 1 == 1;
                let comes_in = self.out[other] >> (side ^ 1) & 1 == 1;
                *waiting += u8::from(comes_in);
                measures.links += u64::from(goes_out);
                two_way += u64::from(goes_out && comes_in && index < other);
                measures.cross_territory +=
                    u64::from(goes_out && self.source_of[index] != self.source_of[other]);
            }
            measures.two_way_pairs += two_way;
            measures.in_degree[usize::from(*waiting)] += 1;
            measures.out_degree[self.out[index].count_ones() as usize] += 1;
            measures.rounds = measures.rounds.max(self.rounds[index]);
        }
        measures.islands = self.islands();
        // Kahn: what cannot be taken away one after another lies on a cycle.
        let mut order: Vec<u32> = Vec::with_capacity(count);
        order.extend((0..count).filter(|&index| waiting[index] == 0).map(number));
        let mut at = 0;
        while let Some(&index) = order.get(at) {
            at += 1;
            for other in self.successors(index as usize) {
                waiting[other] -= 1;
                if waiting[other] == 0 {
                    order.push(number(other));
                }
            }
        }
        measures.acyclic = order.len() == count;
        measures.longest = vec![0; count];
        measures.shortest = vec![0; count];
        for &index in order.iter().rev() {
            let (mut longest, mut shortest) = (0, u32::MAX);
            for other in self.successors(index as usize) {
                longest = longest.max(measures.longest[other] + 1);
                shortest = shortest.min(measures.shortest[other] + 1);
            }
            measures.longest[index as usize] = longest;
            measures.shortest[index as usize] = if shortest == u32::MAX { 0 } else { shortest };
        }
        self.measure_territories(&mut measures);
        measures
    }

    fn measure_territories(&self, measures: &mut Measures) {
        let mut territories: Vec<Territory> = self
            .sources
            .iter()
            .map(|&source| Territory {
                source,
                in_degree: 0,
                out_degree: 0,
                blocks: 0,
                safety_sum: 0,
            })
            .collect();
        for index in 0..self.blocks.len() {
            let territory = &mut territories[self.source_of[index] as usize];
            territory.blocks += 1;
            territory.safety_sum += u64::from(measures.longest[index]);
        }
        for territory in &mut territories {
            if let Some(index) = self.blocks.find(&territory.source, 0) {
                territory.in_degree = self.predecessors(index).count();
                territory.out_degree = self.successors(index).count();
            }
        }
        measures.territories = territories;
    }

    /// Number of connected parts.
    fn islands(&self) -> u64 {
        let mut seen = vec![false; self.blocks.len()];
        let (mut islands, mut stack) = (0, Vec::new());
        for first in 0..self.blocks.len() {
            if seen[first] {
                continue;
            }
            islands += 1;
            seen[first] = true;
            stack.push(first);
            while let Some(index) = stack.pop() {
                for (_, other) in self.around(index) {
                    if !seen[other] {
                        seen[other] = true;
                        stack.push(other);
                    }
                }
            }
        }
        islands
    }
}

/// An index, or how many there are, in less space.
fn number(index: usize) -> u32 {
    u32::try_from(index).expect("a graph has fewer than 2^32 blocks")
}

/// What [`NetGraph::measure`] counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Measures {
    /// Number of blocks.
    pub blocks: u64,
    /// Number of links.
    pub links: u64,
    /// Connected parts of the net.
    pub islands: u64,
    /// Pairs of blocks that are linked in both directions; a sound net has none.
    pub two_way_pairs: u64,
    /// Whether links form no cycle; so it is in a sound net.
    pub acyclic: bool,
    /// The greatest round.
    pub rounds: u32,
    /// Links between blocks of different sources: for each the opposite direction was refused (the
    /// paper's "radial cross flow").
    pub cross_territory: u64,
    /// How many blocks have so many predecessors.
    pub in_degree: [u64; SIDES + 1],
    /// How many blocks have so many successors.
    pub out_degree: [u64; SIDES + 1],
    /// Of each block the propagation rounds that build on it: the longest way along links to a
    /// block without successors.
    pub longest: Vec<u32>,
    /// Of each block the shortest such way.
    pub shortest: Vec<u32>,
    /// One for each source.
    pub territories: Vec<Territory>,
}

/// The blocks that one source reached first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Territory {
    /// The source.
    pub source: Block,
    /// Its predecessors: none, unless the net was given another block before it.
    pub in_degree: usize,
    /// Its successors.
    pub out_degree: usize,
    /// Blocks of the territory, the source included.
    pub blocks: u64,
    /// Sum over them of the longest way outward.
    pub safety_sum: u64,
}
