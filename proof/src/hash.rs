//! Hashes: SHA-256 with a domain for each use, and paths in the trees of RFC 6962.
#![warn(clippy::indexing_slicing)]

use std::cmp::Ordering;

use sha2::{Digest as _, Sha256};

/// A SHA-256 digest.
pub type Hash = [u8; 32];

/// Stands where there is no hash yet.
pub(crate) const ZERO: Hash = [0; 32];

/// One hash input: a domain, then fields of fixed width or with their length in front
/// (docs/format.md, "Hashes").
pub(crate) struct Hasher(Sha256);

impl Hasher {
    pub(crate) fn new(domain: &str) -> Self {
        Self(Sha256::new()).bytes(domain.as_bytes())
    }

    /// A field of fixed width.
    pub(crate) fn fixed(mut self, bytes: &[u8]) -> Self {
        self.0.update(bytes);
        self
    }

    /// A field with its length as `u64` in front.
    pub(crate) fn bytes(self, bytes: &[u8]) -> Self {
        self.fixed(&(bytes.len() as u64).to_le_bytes()).fixed(bytes)
    }

    pub(crate) fn finish(self) -> Hash {
        self.0.finalize().into()
    }
}

/// Hash of a leaf: SHA-256(00 | data), RFC 6962 section 2.1.
pub(crate) fn leaf(data: &[&[u8]]) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([0]);
    for part in data {
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// Hash of an inner node: SHA-256(01 | left | right).
pub(crate) fn node(left: &Hash, right: &Hash) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([1]);
    hasher.update(left);
    hasher.update(right);
    hasher.finalize().into()
}

/// Root of a tree without leaves: SHA-256 of nothing.
pub(crate) fn empty_root() -> Hash {
    Sha256::digest([]).into()
}

/// On which side of a path a sibling stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The sibling is the left child; the path comes from the right one.
    Left,
    /// The sibling is the right child; the path comes from the left one.
    Right,
}

/// One step from a node to its parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Where the sibling stands.
    pub side: Side,
    /// The sibling's hash.
    pub hash: Hash,
}

/// The way from a leaf up to the root, with the direction of each step written out.
///
/// A path with directions needs neither index nor size of the tree. They would say no more: a leaf's
/// hash begins with 00 and a node's with 01, so whoever finds a path that hashes to the root has,
/// short of a collision of SHA-256, walked the real tree down to a real leaf.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path(pub Vec<Step>);

impl Path {
    /// Most steps of a path.
    pub const STEPS_MAX: usize = 64;
    pub(crate) const LEN_BYTES_MAX: usize = Self::STEPS_MAX * 33;

    /// Bytes of a path: for each step 0 for a sibling on the left or 1 on the right, and its hash.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(33 * self.0.len());
        for step in &self.0 {
            out.push(u8::from(step.side == Side::Right));
            out.extend_from_slice(&step.hash);
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > Self::LEN_BYTES_MAX {
            return None;
        }
        let (steps, rest) = bytes.as_chunks::<33>();
        if !rest.is_empty() {
            return None;
        }
        let step = |bytes: &[u8; 33]| {
            let [side, hash @ ..] = bytes;
            let side = match side {
                0 => Side::Left,
                1 => Side::Right,
                _ => return None,
            };
            Some(Step { side, hash: *hash })
        };
        steps.iter().map(step).collect::<Option<_>>().map(Self)
    }

    /// The root that a leaf with this path implies.
    pub(crate) fn root(&self, leaf: Hash) -> Hash {
        self.0.iter().fold(leaf, |below, step| match step.side {
            Side::Left => node(&step.hash, &below),
            Side::Right => node(&below, &step.hash),
        })
    }

    fn all(&self, side: Side) -> bool {
        self.0.iter().all(|step| step.side == side)
    }

    /// Splits off the way up to where the path first comes from the other side: the steps with
    /// their sibling on `side`, the first that has it on the other, and what is above.
    fn above_run(&self, side: Side) -> Option<&[Step]> {
        let run = self.0.iter().take_while(|step| step.side == side).count();
        self.0.get(run + 1..)
    }

    /// Whether nothing stands between the leaf of this path and that of `right`: from the node where
    /// they part, this one goes left and then always right, the other right and then always left.
    fn is_followed_by(&self, right: &Self) -> bool {
        match (self.above_run(Side::Left), right.above_run(Side::Right)) {
            (Some(above), Some(above_right)) => above == above_right,
            _ => false,
        }
    }
}

/// A leaf and its way to the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// What is hashed for the leaf: a key, then a hash of 32 bytes.
    pub data: Vec<u8>,
    /// From the leaf to the root.
    pub path: Path,
}

impl Leaf {
    /// The key in front of the leaf's hash; none when the data cannot hold one.
    fn key(&self) -> Option<&[u8]> {
        let end = self.data.len().checked_sub(32).filter(|len| *len > 0)?;
        self.data.get(..end)
    }
}

/// Two leaves with nothing between them in a tree whose leaves are sorted by key, which so shows
/// that a key between theirs is not in the tree. No left one: the right one is the first. No right
/// one: the left one is the last. Neither: the tree is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gap {
    /// The leaf before.
    pub left: Option<Leaf>,
    /// The leaf after.
    pub right: Option<Leaf>,
}

impl Gap {
    /// What is wrong with this proof that no leaf of the tree with `root` has `key`.
    pub(crate) fn check(&self, root: &Hash, key: &[u8]) -> Result<(), &'static str> {
        for (neighbour, order) in [
            (&self.left, Ordering::Less),
            (&self.right, Ordering::Greater),
        ] {
            let Some(neighbour) = neighbour else { continue };
            if neighbour.key().map(|own| own.cmp(key)) != Some(order) {
                return Err("a neighbour is on the wrong side of the key");
            }
            if neighbour.path.root(leaf(&[&neighbour.data])) != *root {
                return Err("a neighbour is not in the tree");
            }
        }
        let whole = match (&self.left, &self.right) {
            (Some(left), Some(right)) => left.path.is_followed_by(&right.path),
            (Some(left), None) => left.path.all(Side::Left),
            (None, Some(right)) => right.path.all(Side::Right),
            (None, None) => *root == empty_root(),
        };
        if whole {
            Ok(())
        } else {
            Err("there may be something between the neighbours")
        }
    }

    /// What is wrong with this proof that the leaf of `path`, known to be in the tree, is the last
    /// one with `key`. The left neighbour is that leaf and must be absent here.
    pub(crate) fn check_last(
        &self,
        path: &Path,
        root: &Hash,
        key: &[u8],
    ) -> Result<(), &'static str> {
        if self.left.is_some() {
            return Err("a left neighbour is given where none is due");
        }
        let Some(right) = &self.right else {
            return if path.all(Side::Left) {
                Ok(())
            } else {
                Err("the version is not the last in its block")
            };
        };
        if right.key().is_none_or(|own| own <= key) {
            return Err("the commit itself files something later at the version's place");
        }
        if right.path.root(leaf(&[&right.data])) != *root || !path.is_followed_by(&right.path) {
            return Err("the neighbour is not the next one");
        }
        Ok(())
    }
}

/// A tree over leaves in memory: what a prover takes paths from.
///
/// Keeps all nodes, 64 bytes a leaf.
#[derive(Clone, Debug)]
pub struct Tree {
    /// Hashes of the leaves, then of each level above. A node without sibling moves up as it is,
    /// which gives the tree of RFC 6962 section 2.1.
    levels: Vec<Vec<Hash>>,
}

impl Tree {
    /// The tree over these leaves' data.
    pub fn new<T: AsRef<[u8]>>(leaves: impl IntoIterator<Item = T>) -> Self {
        let mut level: Vec<Hash> = leaves
            .into_iter()
            .map(|data| leaf(&[data.as_ref()]))
            .collect();
        let mut levels = Vec::new();
        while level.len() > 1 {
            let above = level
                .chunks(2)
                .map(|pair| match pair {
                    [left, right] => node(left, right),
                    _ => pair.first().copied().unwrap_or(ZERO),
                })
                .collect();
            levels.push(std::mem::replace(&mut level, above));
        }
        levels.push(level);
        Self { levels }
    }

    /// The root over all leaves.
    pub fn root(&self) -> Hash {
        self.levels
            .last()
            .and_then(|level| level.first())
            .copied()
            .unwrap_or_else(empty_root)
    }

    /// How many leaves there are.
    pub fn len(&self) -> usize {
        self.levels.first().map_or(0, Vec::len)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The path of a leaf; `None` when there are not so many.
    pub fn path(&self, index: usize) -> Option<Path> {
        if index >= self.len() {
            return None;
        }
        let mut steps = Vec::new();
        for (height, level) in self.levels.iter().enumerate() {
            let index = index >> height;
            if let Some(hash) = level.get(index ^ 1) {
                let side = if index & 1 == 0 {
                    Side::Right
                } else {
                    Side::Left
                };
                steps.push(Step { side, hash: *hash });
            }
        }
        Some(Path(steps))
    }
}

#[cfg(test)]
mod tests;
