//! The paper's own experiments: propagation over a full grid from one or several sources, at equal
//! or different speeds, without any store. Pure: no input or output, no clock, no randomness.
//!
//! Lv, Qiao, Li, Yuan, Wang, "BlockNet", Patterns 3, 2022, section "BlockNet", lets sources
//! propagate at their own speeds ([`Mode::Free`]) and finds that a fast one leaves the others
//! small territories and little safety. [`Mode::Synchronous`] is the remedy, and the rule by which
//! stored nets grow: a fast source waits for the others after each round.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::RangeInclusive;

use blocknet_geocode::{Block, NetSpec};

use crate::blocks::BlockSet;
use crate::error::{Error, Result};
use crate::graph::NetGraph;
use crate::propagate::propagate_alone;

/// A block that no source has reached yet.
const UNREACHED: u32 = u32::MAX;

/// How many axes a grid has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Dimensions {
    /// Columns and rows.
    #[default]
    Two,
    /// Columns, rows and altitude bands.
    Three,
}

impl Dimensions {
    /// The number: 2 or 3.
    pub fn count(self) -> u8 {
        match self {
            Self::Two => 2,
            Self::Three => 3,
        }
    }
}

/// When sources do their rounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// All together: [`propagate_alone`]. Speeds change nothing.
    #[default]
    Synchronous,
    /// Each at its own speed: a source of speed `s` reaches its layer `j` at time `j / s`.
    Free,
}

/// A full grid and the sources that propagate on it.
#[derive(Clone, Debug, PartialEq)]
pub struct Simulation {
    /// Blocks along each axis, at least 1.
    pub size: u32,
    /// How many axes.
    pub dimensions: Dimensions,
    /// Number of sources, at least 1 and at most one for each block.
    ///
    /// One stands in the middle. Several are spread evenly, so that equal speeds give them nearly
    /// equal territories: in rows of nearly equal count from south to north, each row as high and
    /// each source's part of it as wide as makes all shares equal, and each source in the middle
    /// of its share. With three axes the same is done first with layers of such rows. What is as
    /// near to two sources goes to one of them, which counts in small grids: with up to 9 sources
    /// the largest territory is at most half as large again as the smallest from about 60 blocks
    /// to a side on, or 30 with three axes.
    pub sources: usize,
    /// Rounds in a unit of time, one for each source, within [`Simulation::SPEEDS`]; none at all
    /// means 1 each.
    pub speeds: Vec<f64>,
    /// When sources do their rounds.
    pub mode: Mode,
}

impl Simulation {
    /// The most blocks that a grid may have: 4,472 to a side, or 271 with three axes.
    pub const BLOCKS_MAX: u64 = 20_000_000;

    /// Speeds that sources may have: no layer number divided by one loses its order to rounding.
    pub const SPEEDS: RangeInclusive<f64> = 1e-6..=1e6;

    /// A square grid with sources of equal speed in synchronous rounds.
    pub fn new(size: u32, sources: usize) -> Self {
        Self {
            size,
            dimensions: Dimensions::Two,
            sources,
            speeds: Vec::new(),
            mode: Mode::Synchronous,
        }
    }

    /// Lets the sources propagate until every block is reached.
    ///
    /// In free propagation a block belongs to the source that reaches it first, of several at the
    /// same time to the one with the lowest number; its round is its layer, counted in steps
    /// through that source's territory. A link goes from the block reached earlier to the one
    /// reached later, of two reached at the same time from the first in order of codes; the
    /// opposite direction is refused. [`NetGraph::sources`] has the sources in the order in which
    /// they are placed, which is that of the speeds.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Invalid`]: a field outside its range, or more than
    /// [`Simulation::BLOCKS_MAX`] blocks.
    ///
    /// # Cost
    /// Linear in the number of blocks but for sorting. Some 35 bytes a block while it runs: 700 MB
    /// for the most that are allowed.
    pub fn run(&self) -> Result<SimulatedNet> {
        self.check()?;
        let grid = Grid::new(self.size, self.dimensions);
        let sources: Vec<Block> = self.places().into_iter().map(|at| grid.block(at)).collect();
        let blocks = grid.blocks();
        let graph = match self.mode {
            Mode::Synchronous => propagate_alone(blocks, &sources),
            Mode::Free => {
                let mut speeds = self.speeds.clone();
                speeds.resize(sources.len(), 1.0);
                propagate_freely(blocks, sources, &speeds)
            }
        };
        Ok(SimulatedNet { graph, grid })
    }

    fn check(&self) -> Result<()> {
        if self.size == 0 {
            return Err(Error::invalid("size 0: a grid has at least 1 block a side"));
        }
        let axes = u32::from(self.dimensions.count());
        let blocks = u128::from(self.size).pow(axes);
        if blocks > u128::from(Self::BLOCKS_MAX) {
            return Err(Error::invalid(format!(
                "size {}: {blocks} blocks in {axes} dimensions, and at most {} are simulated",
                self.size,
                Self::BLOCKS_MAX
            )));
        }
        if self.sources == 0 || self.sources as u128 > blocks {
            return Err(Error::invalid(format!(
                "{} sources: a grid of {blocks} blocks takes 1 to {blocks}",
                self.sources
            )));
        }
        if !self.speeds.is_empty() && self.speeds.len() != self.sources {
            return Err(Error::invalid(format!(
                "{} speeds for {} sources: give one for each",
                self.speeds.len(),
                self.sources
            )));
        }
        match self
            .speeds
            .iter()
            .find(|speed| !Self::SPEEDS.contains(speed))
        {
            Some(speed) => Err(Error::invalid(format!(
                "speed {speed}: speeds are from {} to {}",
                Self::SPEEDS.start(),
                Self::SPEEDS.end()
            ))),
            None => Ok(()),
        }
    }

    /// Where the sources stand: distinct places of the grid.
    fn places(&self) -> Vec<[u32; 3]> {
        let layers = match self.dimensions {
            Dimensions::Two => vec![(self.sources, 0)],
            Dimensions::Three => {
                let layers = rounded_root(self.sources, 3);
                shares(self.size, self.sources, layers)
            }
        };
        let mut places = Vec::with_capacity(self.sources);
        for (in_layer, z) in layers {
            for (in_row, y) in shares(self.size, in_layer, rounded_root(in_layer, 2)) {
                let row = shares(self.size, in_row, in_row);
                places.extend(row.into_iter().map(|(_, x)| [x, y, z]));
            }
        }
        places
    }
}

/// The integer nearest to the root of `number`, which is at least 1.
fn rounded_root(number: usize, power: u32) -> usize {
    let scaled = (number as u128) << power;
    let mut root: u32 = 1;
    while u128::from(2 * root + 1).pow(power) <= scaled {
        root += 1;
    }
    root as usize
}

/// Divides an axis of `size` blocks into `parts` and `sources` among them as evenly as can be: of
/// each part how many sources it takes and its middle, where a part is as long as its sources are
/// many. Middles are distinct as long as there are at most `size` parts, and there are: no more
/// than the rounded root of what the parts of an axis hold, or what one of them holds.
fn shares(size: u32, sources: usize, parts: usize) -> Vec<(usize, u32)> {
    let mut shares = Vec::with_capacity(parts);
    let mut before = 0;
    let mut free = 0;
    for part in 0..parts {
        let count = sources / parts + usize::from(part < sources % parts);
        let middle = u128::from(size) * (2 * before + count) as u128 / (2 * sources) as u128;
        // Short parts of a crowded axis could share a middle: leave one for each part to come.
        let last = (size as usize).saturating_sub(parts - part);
        let middle = usize::try_from(middle).map_or(last, |middle| middle.clamp(free, last));
        shares.push((
            count,
            u32::try_from(middle).expect("the last is below a size of 32 bits"),
        ));
        free = middle + 1;
        before += count;
    }
    shares
}

/// A full grid in a plane of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Grid {
    spec: NetSpec,
    size: u32,
    dimensions: Dimensions,
    /// Column and row of the grid's first block.
    first: u128,
    /// Band of the grid's first block.
    first_band: u64,
}

impl Grid {
    /// The plane has at least four times as many columns as the grid, and likewise bands. The
    /// grid begins a quarter of the way along each axis, so that nothing lies at the antimeridian,
    /// at a pole or at an end of the altitude axis.
    fn new(size: u32, dimensions: Dimensions) -> Self {
        let needed = 4 * u64::from(size);
        let digits = |base: u64| {
            (1..16)
                .find(|&digits| base.pow(digits) >= needed)
                .and_then(|digits| u8::try_from(digits).ok())
                .expect("at most 4 * 20 million columns and bands")
        };
        let block_digits = digits(4);
        let band_digits = match dimensions {
            Dimensions::Two => 0,
            Dimensions::Three => digits(16),
        };
        let spec = NetSpec::builder()
            .planar_digits(block_digits)
            .block_digits(block_digits)
            .altitude_digits(band_digits)
            .band_digits(band_digits)
            .build();
        Self {
            spec: spec.expect("13 and 7 digits at most"),
            size,
            dimensions,
            first: 4_u128.pow(u32::from(block_digits) - 1),
            first_band: match dimensions {
                Dimensions::Two => 0,
                Dimensions::Three => 16_u64.pow(u32::from(band_digits)) / 4,
            },
        }
    }

    fn block(&self, [x, y, z]: [u32; 3]) -> Block {
        let block = self.spec.block_of_indices(
            self.first + u128::from(x),
            self.first + u128::from(y),
            self.first_band + u64::from(z),
        );
        block.expect("the plane is larger than the grid")
    }

    fn coordinates(&self, block: &Block) -> [u32; 3] {
        let (column, row, band) = self.spec.block_indices(block);
        let planar = |index: u128| u32::try_from(index.wrapping_sub(self.first)).ok();
        let height = u32::try_from(band.wrapping_sub(self.first_band)).ok();
        let (Some(x), Some(y), Some(z)) = (planar(column), planar(row), height) else {
            panic!("block {block} lies outside of the grid");
        };
        [x, y, z]
    }

    fn blocks(&self) -> BlockSet {
        let layers = match self.dimensions {
            Dimensions::Two => 1,
            Dimensions::Three => self.size,
        };
        let blocks = (0..layers).flat_map(|z| {
            (0..self.size).flat_map(move |y| (0..self.size).map(move |x| self.block([x, y, z])))
        });
        BlockSet::new(&self.spec, blocks)
    }
}

/// What came of a [`Simulation`]: the net, and where on the grid its blocks stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimulatedNet {
    graph: NetGraph,
    grid: Grid,
}

impl SimulatedNet {
    /// The net.
    pub fn graph(&self) -> &NetGraph {
        &self.graph
    }

    /// Column, row and layer of a block of the net, each from 0; the layer is 0 on two axes.
    ///
    /// # Panics
    /// When the block is not one of the net.
    pub fn coordinates(&self, block: &Block) -> [u32; 3] {
        self.grid.coordinates(block)
    }
}

/// Of each block how many rounds of its own source build on it: the longest way along links
/// outward within its territory.
///
/// This is what a source loses when another is faster, as the paper says. The longest way through
/// the whole net, [`crate::Measures::longest`], can even grow then: it leads on through the
/// territory of the fast one, which takes more steps in the same time.
pub fn safety_within_territories(graph: &NetGraph) -> Vec<u32> {
    let mut safety = vec![0; graph.blocks().len()];
    // Within a territory rounds rise by one along every link: neighbours differ in the parity of
    // their steps from the source, and by no more than one step.
    for &index in graph.order().iter().rev() {
        let index = index as usize;
        let source = graph.source(index);
        let own = graph
            .successors(index)
            .filter(|&other| graph.source(other) == source);
        safety[index] = own.map(|other| safety[other] + 1).max().unwrap_or(0);
    }
    safety
}

/// Each source spreads layer by layer at its own speed, and stops where another was earlier.
fn propagate_freely(blocks: BlockSet, sources: Vec<Block>, speeds: &[f64]) -> NetGraph {
    let number = |index: usize| u32::try_from(index).expect("at most 20 million blocks");
    let time = |layer: u32, source: u32| f64::from(layer) / speeds[source as usize];
    let mut rounds = vec![UNREACHED; blocks.len()];
    let mut source_of = vec![0_u32; blocks.len()];
    let mut frontiers: Vec<Vec<u32>> = Vec::with_capacity(sources.len());
    // The next layer of each source that still spreads: time, source, layer. Times are at least
    // 0, and such floats order as their bits do. Sources that are due at once come by number.
    let mut due = BinaryHeap::with_capacity(sources.len());
    for (source, block) in (0..).zip(&sources) {
        let index = blocks.find(block, 0).expect("sources stand on the grid");
        rounds[index] = 0;
        source_of[index] = source;
        frontiers.push(vec![number(index)]);
        due.push(Reverse((time(1, source).to_bits(), source, 1)));
    }
    while let Some(Reverse((_, source, layer))) = due.pop() {
        let frontier = &mut frontiers[source as usize];
        let mut next = Vec::new();
        for &from in frontier.iter() {
            let from = from as usize;
            let around = blocks.spec().block_neighbours(&blocks.get(from));
            for neighbour in around.iter().flatten() {
                if let Some(index) = blocks.find(neighbour, from)
                    && rounds[index] == UNREACHED
                {
                    rounds[index] = layer;
                    source_of[index] = source;
                    next.push(number(index));
                }
            }
        }
        if !next.is_empty() {
            due.push(Reverse((
                time(layer + 1, source).to_bits(),
                source,
                layer + 1,
            )));
        }
        *frontier = next;
    }
    // The graph takes the sources of the blocks, and the order of links needs them meanwhile.
    let owners = source_of.clone();
    let reached = |rounds: &[u32], index: usize| (time(rounds[index], owners[index]), index);
    NetGraph::link(
        blocks,
        rounds,
        source_of,
        sources,
        |rounds, a, b| reached(rounds, a) < reached(rounds, b),
        |_, _, _| None,
    )
}

#[cfg(test)]
mod tests;
