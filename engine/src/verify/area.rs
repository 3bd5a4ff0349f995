//! Verification of what is filed in an area, instead of all.

use std::collections::HashMap;

use blocknet_geocode::{Block, Cell, NetSpec};
use blocknet_kv::{KeyRange, Read};

use crate::error::Result;
use crate::key;
use crate::linking::decode_block;
use crate::record::Place;
use crate::view::PlaceRange;

use super::content::{block_of, readable};
use super::sums::Class;

/// Answers kept in memory by each thread.
const ANSWERS_MAX: usize = 100_000;

/// Stretches of blocks that are told apart; more are joined, and what lies between read and left.
const RUNS_MAX: u64 = 1_000;

/// Says whether something filed under a level, with its centre in a cell, can be in an area.
pub type MayHold<'a> = dyn Fn(&NetSpec, &Cell, u8) -> bool + Sync + 'a;

/// The blocks in which anything of an area can be filed.
pub(super) struct AreaBlocks<'a> {
    spec: NetSpec,
    may_hold: &'a MayHold<'a>,
    /// Levels in use.
    levels: Vec<u8>,
    /// First and last cells of stretches that hold all of them and, where they are few, no others;
    /// `None` for the whole net.
    runs: Option<Vec<(Cell, Cell)>>,
    /// How many there are; `None` where `blocks` cannot be read whole.
    pub(super) count: Option<u64>,
}

impl<'a> AreaBlocks<'a> {
    /// Lists them.
    ///
    /// # Errors
    /// Only when the operating system fails.
    ///
    /// # Cost
    /// One seek for each block of the net.
    pub(super) fn list(
        read: Option<&dyn Read>,
        spec: &NetSpec,
        levels: Vec<u8>,
        may_hold: &'a MayHold<'a>,
    ) -> Result<Self> {
        let mut blocks = Self {
            spec: *spec,
            may_hold,
            levels,
            runs: None,
            count: None,
        };
        if let Some(read) = read
            && let Ok((runs, count)) = readable(blocks.runs(read))?
        {
            blocks.runs = Some(runs);
            blocks.count = Some(count);
        }
        Ok(blocks)
    }

    fn runs(&self, read: &dyn Read) -> Result<(Vec<(Cell, Cell)>, u64)> {
        let (mut runs, mut count): (Vec<(Cell, Cell)>, _) = (Vec::new(), 0);
        let mut before_is_in = false;
        let mut cursor = read.cursor(key::BLOCKS, &KeyRange::all())?;
        while let Some((row_key, value)) = cursor.entry() {
            let (block, _) = decode_block(&self.spec, row_key, value)?;
            let (cell, is_in) = (block.cell(), self.contains(&block));
            if is_in {
                count += 1;
                match runs.last_mut() {
                    Some(last) if before_is_in || count > RUNS_MAX => last.1 = cell,
                    _ => runs.push((cell, cell)),
                }
            }
            before_is_in = is_in;
            // Past its other versions.
            let last = key::block(&block, 0);
            cursor.seek(&last)?;
            if cursor.entry().is_some_and(|(row_key, _)| row_key == last) {
                cursor.advance()?;
            }
        }
        Ok((runs, count))
    }

    fn contains(&self, block: &Block) -> bool {
        let cell = block.cell();
        let may_hold = |level: &u8| (self.may_hold)(&self.spec, &cell, *level);
        self.levels.iter().any(may_hold)
    }

    /// The stretches of a table whose keys begin with blocks.
    pub(super) fn by_block(&self) -> Vec<KeyRange> {
        let Some(runs) = &self.runs else {
            return vec![KeyRange::all()];
        };
        let keys = |(first, last): &(Cell, Cell)| {
            let mut end = last.to_packed().as_ref().to_vec();
            if last.digits() % 2 == 1
                && let Some(byte) = end.last_mut()
            {
                *byte |= 0x0f;
            }
            KeyRange {
                start: first.to_packed().as_ref().to_vec(),
                end: KeyRange::prefix(&end).end,
            }
        };
        runs.iter().map(keys).collect()
    }

    /// The stretches of a table whose keys begin with places. Levels coarser than blocks keep
    /// altitudes before the digits that tell blocks apart, so all of their cells is read.
    pub(super) fn by_place(&self) -> Vec<KeyRange> {
        let Some(runs) = &self.runs else {
            return vec![KeyRange::all()];
        };
        let mut ranges = Vec::new();
        for level in self.levels.iter().copied() {
            let mut cells: Vec<(Cell, Cell)> = Vec::new();
            for (first, last) in runs {
                let (first, last) = (first.ancestor(level), last.ancestor(level));
                match cells.last_mut() {
                    Some(before) if first <= before.1 => before.1 = last,
                    _ => cells.push((first, last)),
                }
            }
            for (first, last) in cells {
                match self.spec.stored_range(&first, &last, level) {
                    Ok((low, high)) => ranges.push(PlaceRange { level, low, high }.keys()),
                    // Only a damaged row names a level that is none of the net's.
                    Err(_) => return vec![KeyRange::all()],
                }
            }
        }
        ranges
    }
}

/// Says which rows belong to the blocks of an area.
pub(super) struct Filter<'a> {
    blocks: &'a AreaBlocks<'a>,
    answers: HashMap<Block, bool>,
}

impl<'a> Filter<'a> {
    pub(super) fn new(blocks: &'a AreaBlocks<'a>) -> Self {
        Self {
            blocks,
            answers: HashMap::new(),
        }
    }

    /// Whether a row of a class is compared: those that belong to no block are not.
    pub(super) fn takes(&mut self, class: Class, row_key: &[u8]) -> bool {
        let spec = &self.blocks.spec;
        let block = match class {
            Class::Version | Class::Closing => Place::of_key(row_key, spec)
                .ok()
                .and_then(|place| block_of(spec, &place, true)),
            Class::Block | Class::Link | Class::Edge => row_key
                .get(..spec.block_len_bytes())
                .and_then(|packed| spec.block_from_packed(packed).ok()),
            Class::Track
            | Class::Moment
            | Class::Commit
            | Class::Chain
            | Class::Live
            | Class::Head
            | Class::ZoneLive
            | Class::ZonePast
            | Class::ErasedRow
            | Class::ErasedFrame
            | Class::Lost => None,
        };
        let Some(block) = block else { return false };
        if self.answers.len() > ANSWERS_MAX {
            self.answers.clear();
        }
        let blocks = self.blocks;
        *self
            .answers
            .entry(block)
            .or_insert_with(|| blocks.contains(&block))
    }
}
