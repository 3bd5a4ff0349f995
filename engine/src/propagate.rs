//! The propagation rule: how new blocks get their rounds, sources and directed links. Pure: no
//! input or output, no clock, and the same answer whatever the order in which blocks come.
//!
//! Rounds spread breadth first, from existing neighbours and from given sources; what is reached
//! by neither is an island of its own, and its source is the block nearest its middle. One total
//! order, by (round, creating commit, block code), gives every link its direction: from the
//! earlier block to the later one. So no two blocks are linked both ways, links form no cycle, and
//! every block but a source has a predecessor. On a full square grid this is the net of the
//! paper: Lv, Qiao, Li, Yuan, Wang, "BlockNet", Patterns 3, 2022, section "BlockNet".

use std::collections::HashMap;
use std::convert::Infallible;

use blocknet_geocode::Block;

use crate::blocks::BlockSet;
use crate::graph::NetGraph;

/// The greatest round: higher numbers are marks.
const ROUND_MAX: u32 = u32::MAX - 2;
/// A block that no round has reached yet.
const UNREACHED: u32 = u32::MAX;
/// A block that no round has reached yet, and whose island is being gathered.
const GATHERED: u32 = u32::MAX - 1;

/// What the rule needs to know of a block that is in the net already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Existing {
    /// Its propagation round.
    pub round: u32,
    /// The commit that created it.
    pub created: u64,
    /// The source of its island.
    pub source: Block,
}

/// Gives new blocks their rounds, sources and directed links.
///
/// * `blocks`: the new blocks; none of them is in the net already.
/// * `sources`: blocks that are to be sources, of round 0. Those not among `blocks` are ignored.
/// * `existing`: looks up a neighbour that is not among `blocks`; called for every such neighbour.
///
/// Links to existing blocks are in the result; nothing about an existing block ever changes.
///
/// # Errors
/// Those of `existing`.
///
/// # Cost
/// Linear in the number of new blocks but for sorting each round; four (with bands six)
/// lookups of neighbours a block for each of three passes. About 15 bytes a block besides the set
/// itself: measured 228 MB for 10 million blocks of at most 16 digits, the set included.
pub fn propagate<E>(
    blocks: BlockSet,
    sources: &[Block],
    mut existing: impl FnMut(&Block) -> Result<Option<Existing>, E>,
) -> Result<NetGraph, E> {
    let mut wave = Wave::new(&blocks);
    let mut around: HashMap<Block, Existing> = HashMap::new();
    let mut seeds = Vec::new();
    for index in 0..blocks.len() {
        let mut first: Option<(u32, u64, Block, Block)> = None;
        for neighbour in neighbours(&blocks, index) {
            if blocks.find(&neighbour, index).is_some() {
                continue;
            }
            if let Some(found) = existing(&neighbour)? {
                let order = (found.round, found.created, neighbour, found.source);
                first = Some(first.map_or(order, |first| first.min(order)));
                around.insert(neighbour, found);
            }
        }
        if let Some((round, _, _, source)) = first {
            seeds.push(Seed {
                round: round.saturating_add(1).min(ROUND_MAX),
                index,
                source: wave.source(source),
            });
        }
    }
    for source in sources {
        if let Some(index) = blocks.find(source, 0) {
            let source = wave.source(*source);
            seeds.push(Seed {
                round: 0,
                index,
                source,
            });
        }
    }
    seeds.sort_unstable();
    wave.spread(&seeds);
    let mut island = Vec::new();
    for index in 0..blocks.len() {
        if wave.rounds[index] == UNREACHED {
            wave.gather(index, &mut island);
            let middle = middle(&blocks, &island);
            let source = wave.source(blocks.get(middle));
            wave.spread(&[Seed {
                round: 0,
                index: middle,
                source,
            }]);
        }
    }
    let Wave {
        rounds,
        source_of,
        sources,
        ..
    } = wave;
    Ok(NetGraph::link(
        blocks,
        rounds,
        source_of,
        sources,
        |rounds, a, b| (rounds[a], a) < (rounds[b], b),
        // An existing block was created by an earlier commit, so it comes first in its round.
        |rounds, a, block| around.get(block).map(|found| rounds[a] < found.round),
    ))
}

/// As [`propagate`], into an empty net.
pub fn propagate_alone(blocks: BlockSet, sources: &[Block]) -> NetGraph {
    match propagate(blocks, sources, |_| Ok::<_, Infallible>(None)) {
        Ok(graph) => graph,
        Err(never) => match never {},
    }
}

fn neighbours(blocks: &BlockSet, index: usize) -> impl Iterator<Item = Block> + use<> {
    let around = blocks.spec().block_neighbours(&blocks.get(index));
    around.into_iter().flatten()
}

/// A block from which rounds spread.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Seed {
    round: u32,
    index: usize,
    source: u32,
}

/// Rounds on their way over the blocks.
struct Wave<'a> {
    blocks: &'a BlockSet,
    rounds: Vec<u32>,
    /// Of each block the place of its source in `sources`.
    source_of: Vec<u32>,
    sources: Vec<Block>,
    source_index: HashMap<Block, u32>,
}

impl<'a> Wave<'a> {
    fn new(blocks: &'a BlockSet) -> Self {
        assert!(
            u32::try_from(blocks.len()).is_ok(),
            "more than 2^32 blocks at once: expand the net in parts"
        );
        Self {
            blocks,
            rounds: vec![UNREACHED; blocks.len()],
            source_of: vec![0; blocks.len()],
            sources: Vec::new(),
            source_index: HashMap::new(),
        }
    }

    fn source(&mut self, source: Block) -> u32 {
        *self.source_index.entry(source).or_insert_with(|| {
            self.sources.push(source);
            u32::try_from(self.sources.len() - 1).expect("no more sources than blocks")
        })
    }

    /// Spreads rounds from `seeds`, sorted. A block reached in the same round from several sides
    /// takes the source of the first of them in the total order.
    fn spread(&mut self, seeds: &[Seed]) {
        let mut seeds = seeds.iter().peekable();
        let mut frontier: Vec<usize> = Vec::new();
        let mut round = 0;
        loop {
            if frontier.is_empty() {
                match seeds.peek() {
                    None => return,
                    Some(seed) => round = seed.round,
                }
            }
            let mut next = Vec::new();
            // Existing blocks come before new ones of their round, so their seeds claim first.
            while let Some(seed) = seeds.next_if(|seed| seed.round == round) {
                self.claim(seed.index, round, seed.source, &mut next);
            }
            for &from in &frontier {
                let source = self.source_of[from];
                for neighbour in neighbours(self.blocks, from) {
                    if let Some(index) = self.blocks.find(&neighbour, from) {
                        self.claim(index, round, source, &mut next);
                    }
                }
            }
            next.sort_unstable();
            frontier = next;
            round = (round + 1).min(ROUND_MAX);
        }
    }

    fn claim(&mut self, index: usize, round: u32, source: u32, next: &mut Vec<usize>) {
        if self.rounds[index] >= GATHERED {
            self.rounds[index] = round;
            self.source_of[index] = source;
            next.push(index);
        }
    }

    /// Gathers the island of a block that nothing has reached.
    fn gather(&mut self, first: usize, island: &mut Vec<u32>) {
        let number = |index: usize| u32::try_from(index).expect("checked when the wave began");
        island.clear();
        island.push(number(first));
        self.rounds[first] = GATHERED;
        let mut at = 0;
        while let Some(&index) = island.get(at) {
            at += 1;
            for neighbour in neighbours(self.blocks, index as usize) {
                if let Some(found) = self.blocks.find(&neighbour, index as usize)
                    && self.rounds[found] == UNREACHED
                {
                    self.rounds[found] = GATHERED;
                    island.push(number(found));
                }
            }
        }
    }
}

/// The block of an island from which its centroid is the fewest steps away, of several the first
/// in order of codes. An island has contiguous columns, also across the antimeridian.
fn middle(blocks: &BlockSet, island: &[u32]) -> usize {
    let indices = |index: u32| {
        let spec = blocks.spec();
        spec.block_indices(&blocks.get(index as usize))
    };
    let bits = 4 * u32::from(blocks.spec().block_digits()) / 2;
    let last = u128::MAX.checked_shr(128 - bits).unwrap_or(0);
    let (mut west, mut east) = (u128::MAX, 0);
    let (mut south, mut lowest) = (u128::MAX, u64::MAX);
    for &index in island {
        let (column, row, band) = indices(index);
        west = west.min(column);
        east = east.max(column);
        south = south.min(row);
        lowest = lowest.min(band);
    }
    if west == 0 && east == last {
        west = first_column(island.iter().map(|&index| indices(index).0), last);
    }
    let offsets = |index: u32| {
        let (column, row, band) = indices(index);
        // Steps from the first column eastward, across the antimeridian where need be.
        [
            column.wrapping_sub(west) & last,
            row - south,
            u128::from(band - lowest),
        ]
    };
    let mut sums = [0_u128; 3];
    for &index in island {
        for (sum, offset) in sums.iter_mut().zip(offsets(index)) {
            *sum += offset;
        }
    }
    let count = island.len() as u128;
    let steps = |index: u32| -> u128 {
        let parts = sums.iter().zip(offsets(index));
        parts
            .map(|(&sum, offset)| (count * offset).abs_diff(sum))
            .sum()
    };
    island
        .iter()
        .map(|&index| (steps(index), index as usize))
        .min()
        .expect("an island has a block")
        .1
}

/// The first column eastward of the widest gap between columns around the globe.
fn first_column(columns: impl Iterator<Item = u128>, last: u128) -> u128 {
    let mut columns: Vec<u128> = columns.collect();
    columns.sort_unstable();
    columns.dedup();
    let mut before = *columns.last().expect("an island has a column");
    let (mut widest, mut first) = (0, 0);
    for &column in &columns {
        let gap = column.wrapping_sub(before) & last;
        if gap > widest {
            (widest, first) = (gap, column);
        }
        before = column;
    }
    first
}

#[cfg(test)]
mod tests;
