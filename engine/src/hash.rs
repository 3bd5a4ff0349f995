//! Hashes: SHA-256 with a domain for each use, and the Merkle tree hash of RFC 6962.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// A SHA-256 digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// Stands where there is no hash yet: before the first commit, version or block version.
    pub const ZERO: Self = Self([0; 32]);
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::error::Hex(&self.0).fmt(f)
    }
}

/// One hash input: a domain, then fields of fixed width or with their length in front, so that no
/// two different sequences of fields give the same bytes.
pub(crate) struct Hasher(Sha256);

impl Hasher {
    /// `domain` names the use and its version, and is itself length-prefixed.
    pub(crate) fn new(domain: &str) -> Self {
        let mut hasher = Self(Sha256::new());
        hasher.bytes(domain.as_bytes());
        hasher
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.u64(bytes.len() as u64);
        self.0.update(bytes);
        self
    }

    pub(crate) fn fixed<const N: usize>(&mut self, bytes: &[u8; N]) -> &mut Self {
        self.0.update(bytes);
        self
    }

    pub(crate) fn hash(&mut self, hash: Hash) -> &mut Self {
        self.fixed(&hash.0)
    }

    pub(crate) fn u64(&mut self, value: u64) -> &mut Self {
        self.0.update(value.to_le_bytes());
        self
    }

    pub(crate) fn u32(&mut self, value: u32) -> &mut Self {
        self.0.update(value.to_le_bytes());
        self
    }

    pub(crate) fn u8(&mut self, value: u8) -> &mut Self {
        self.0.update([value]);
        self
    }

    pub(crate) fn i64(&mut self, value: i64) -> &mut Self {
        self.0.update(value.to_le_bytes());
        self
    }

    pub(crate) fn finish(self) -> Hash {
        Hash(self.0.finalize().into())
    }
}

/// The Merkle tree hash of RFC 6962, section 2.1, over leaves in the order given. Subtrees are
/// kept on a stack, so memory is logarithmic in the number of leaves.
pub(crate) fn merkle_root<T: AsRef<[u8]>>(leaves: impl IntoIterator<Item = T>) -> Hash {
    let mut stack: Vec<(u32, Hash)> = Vec::new();
    for leaf in leaves {
        let mut node = (0, leaf_hash(leaf.as_ref()));
        while let Some(&(height, left)) = stack.last() {
            if height != node.0 {
                break;
            }
            stack.pop();
            node = (height + 1, inner_hash(left, node.1));
        }
        stack.push(node);
    }
    let Some((_, mut root)) = stack.pop() else {
        return Hash(Sha256::digest([]).into());
    };
    while let Some((_, left)) = stack.pop() {
        root = inner_hash(left, root);
    }
    root
}

/// The hash of a leaf in the Merkle tree of RFC 6962.
pub(crate) fn leaf_hash(leaf: &[u8]) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([0]);
    hasher.update(leaf);
    Hash(hasher.finalize().into())
}

/// The hash of an inner node in the Merkle tree of RFC 6962.
pub(crate) fn inner_hash(left: Hash, right: Hash) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([1]);
    hasher.update(left.0);
    hasher.update(right.0);
    Hash(hasher.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, word for word, as an independent second opinion.
    fn by_definition(leaves: &[Vec<u8>]) -> Hash {
        match leaves {
            [] => Hash(Sha256::digest([]).into()),
            [leaf] => {
                let mut bytes = vec![0];
                bytes.extend_from_slice(leaf);
                Hash(Sha256::digest(&bytes).into())
            }
            _ => {
                let split = leaves.len().next_power_of_two() / 2;
                inner_hash(
                    by_definition(&leaves[..split]),
                    by_definition(&leaves[split..]),
                )
            }
        }
    }

    #[test]
    fn merkle_root_is_that_of_rfc_6962() {
        let mut leaves: Vec<Vec<u8>> = Vec::new();
        for n in 0..70_u8 {
            assert_eq!(merkle_root(&leaves), by_definition(&leaves), "{n} leaves");
            leaves.push(vec![n; usize::from(n) % 5]);
        }
        // The test vector every RFC 6962 implementation shares: one empty leaf.
        assert_eq!(
            merkle_root([b""]).to_string(),
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
        );
    }

    #[test]
    fn fields_do_not_run_into_each_other() {
        let joined = |a: &[u8], b: &[u8]| {
            let mut hasher = Hasher::new("test/1");
            hasher.bytes(a).bytes(b);
            hasher.finish()
        };
        assert_ne!(joined(b"ab", b"c"), joined(b"a", b"bc"));
    }
}
