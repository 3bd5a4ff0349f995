//! Sets of blocks, small enough for tens of millions of them in memory.

use blocknet_geocode::{Block, NetSpec};

/// Digits of a block that fit into a short key.
const SHORT_DIGITS_MAX: usize = 16;
/// Keys that a collector takes before it first drops duplicates.
const COMPACT_MIN: usize = 1 << 16;

/// Packed blocks as numbers that order as blocks do: 8 bytes each where that is enough, else 32.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Keys {
    Short(Vec<u64>),
    Long(Vec<[u8; 32]>),
}

fn padded<const N: usize>(block: &Block) -> [u8; N] {
    let mut bytes = [0; N];
    let packed = block.to_packed();
    let packed = packed.as_ref();
    bytes[..packed.len()].copy_from_slice(packed);
    bytes
}

/// Gathers blocks in any order, each as often as it comes.
#[derive(Clone, Debug)]
pub struct BlockCollector {
    spec: NetSpec,
    keys: Keys,
    /// Keys after the last time that duplicates were dropped.
    compacted: usize,
}

impl BlockCollector {
    /// An empty collector for blocks of a net of `spec`.
    pub fn new(spec: &NetSpec) -> Self {
        let digits = usize::from(spec.block_digits()) + usize::from(spec.band_digits());
        Self {
            spec: *spec,
            keys: if digits <= SHORT_DIGITS_MAX {
                Keys::Short(Vec::new())
            } else {
                Keys::Long(Vec::new())
            },
            compacted: 0,
        }
    }

    /// Takes a block of the net.
    ///
    /// # Cost
    /// Amortised logarithmic; memory stays within about three times that of the distinct blocks.
    pub fn insert(&mut self, block: &Block) {
        let len = match &mut self.keys {
            Keys::Short(keys) => {
                keys.push(u64::from_be_bytes(padded(block)));
                keys.len()
            }
            Keys::Long(keys) => {
                keys.push(padded(block));
                keys.len()
            }
        };
        if len >= 2 * self.compacted + COMPACT_MIN {
            self.compact();
        }
    }

    fn compact(&mut self) {
        self.compacted = match &mut self.keys {
            Keys::Short(keys) => {
                keys.sort_unstable();
                keys.dedup();
                keys.len()
            }
            Keys::Long(keys) => {
                keys.sort_unstable();
                keys.dedup();
                keys.len()
            }
        };
    }

    /// The blocks gathered, in order, each once.
    pub fn finish(mut self) -> BlockSet {
        self.compact();
        BlockSet {
            spec: self.spec,
            keys: self.keys,
        }
    }
}

impl Extend<Block> for BlockCollector {
    fn extend<T: IntoIterator<Item = Block>>(&mut self, blocks: T) {
        for block in blocks {
            self.insert(&block);
        }
    }
}

/// Distinct blocks of one net in order of their codes: 8 bytes each, or 32 where blocks have more
/// than 16 digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockSet {
    spec: NetSpec,
    keys: Keys,
}

impl BlockSet {
    /// The distinct blocks of `blocks`, which come in any order.
    pub fn new(spec: &NetSpec, blocks: impl IntoIterator<Item = Block>) -> Self {
        let mut collector = BlockCollector::new(spec);
        collector.extend(blocks);
        collector.finish()
    }

    /// The parameters of the net that the blocks belong to.
    pub fn spec(&self) -> &NetSpec {
        &self.spec
    }

    /// Number of blocks.
    pub fn len(&self) -> usize {
        match &self.keys {
            Keys::Short(keys) => keys.len(),
            Keys::Long(keys) => keys.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The block at `index` in order of codes.
    ///
    /// # Panics
    /// When `index` is not below [`BlockSet::len`].
    pub fn get(&self, index: usize) -> Block {
        let len_bytes = self.spec.block_len_bytes();
        let block = match &self.keys {
            Keys::Short(keys) => self
                .spec
                .block_from_packed(&keys[index].to_be_bytes()[..len_bytes]),
            Keys::Long(keys) => self.spec.block_from_packed(&keys[index][..len_bytes]),
        };
        block.expect("only packed blocks of this spec were inserted")
    }

    /// The blocks in order of their codes.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Block> + '_ {
        (0..self.len()).map(|index| self.get(index))
    }

    /// Whether `block` is one of them.
    pub fn contains(&self, block: &Block) -> bool {
        self.find(block, 0).is_some()
    }

    /// Where `block` stands, searched from `near` outward: what lies close on the ground mostly
    /// lies close in this order too.
    pub(crate) fn find(&self, block: &Block, near: usize) -> Option<usize> {
        match &self.keys {
            Keys::Short(keys) => gallop(keys, &u64::from_be_bytes(padded(block)), near),
            Keys::Long(keys) => gallop(keys, &padded(block), near),
        }
    }
}

/// Finds `key` in sorted `keys`: steps of growing width from `near`, then a binary search.
fn gallop<K: Ord>(keys: &[K], key: &K, near: usize) -> Option<usize> {
    let (mut low, mut high) = (0, keys.len());
    let mut step = 1;
    match keys.get(near)?.cmp(key) {
        std::cmp::Ordering::Equal => return Some(near),
        std::cmp::Ordering::Less => {
            low = near + 1;
            while let Some(probe) = keys.get(low + step) {
                if probe >= key {
                    high = low + step + 1;
                    break;
                }
                low += step + 1;
                step *= 2;
            }
        }
        std::cmp::Ordering::Greater => {
            high = near;
            while high > step {
                if keys[high - step - 1] <= *key {
                    low = high - step - 1;
                    break;
                }
                high -= step + 1;
                step *= 2;
            }
        }
    }
    let found = keys[low..high].binary_search(key).ok()?;
    Some(low + found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use quickcheck::quickcheck;

    quickcheck! {
        fn a_key_is_found_from_anywhere(keys: Vec<u8>, near: usize, key: u8) -> bool {
            let mut keys = keys;
            keys.sort_unstable();
            keys.dedup();
            let near = if keys.is_empty() { 0 } else { near % keys.len() };
            gallop(&keys, &key, near) == keys.binary_search(&key).ok()
        }

        fn a_set_has_each_block_once_and_in_order(indices: Vec<(u8, u8)>, long: bool) -> bool {
            let builder = NetSpec::builder();
            let spec = if long {
                builder.planar_digits(20).block_digits(20).build().unwrap()
            } else {
                builder.build().unwrap()
            };
            let block = |(column, row): (u8, u8)| {
                spec.block_of_indices(column.into(), row.into(), 0).unwrap()
            };
            let expected: std::collections::BTreeSet<Block> =
                indices.iter().copied().map(block).collect();
            let set = BlockSet::new(&spec, indices.into_iter().map(block));
            set.iter().eq(expected.iter().copied())
                && expected.iter().all(|block| set.contains(block))
        }
    }

    #[test]
    fn duplicates_do_not_pile_up() {
        let spec = NetSpec::city();
        let mut collector = BlockCollector::new(&spec);
        for n in 0..1_000_000_u128 {
            collector.insert(&spec.block_of_indices(n % 1000, 5, 0).unwrap());
        }
        let Keys::Short(keys) = &collector.keys else {
            panic!("nine digits are short");
        };
        assert!(keys.len() < 2 * 1000 + COMPACT_MIN);
        assert_eq!(collector.finish().len(), 1000);
    }
}
