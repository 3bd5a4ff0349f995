//! The log over commits: the RFC 6962 tree whose leaf n - 1 is the hash of commit n.
//!
//! The arithmetic is `tlog_tiles`'; here are checks over plain hashes, and the root of a log of which
//! only a suffix is at hand.
#![warn(clippy::indexing_slicing)]

use tlog_tiles::{Hash as Node, check_record, check_tree};

use crate::hash::{Hash, leaf, node};

/// Most hashes of a proof in the log.
pub const PROOF_HASHES_MAX: usize = 64;

/// Hash of the leaf for a commit's hash: SHA-256(00 | hash).
pub fn leaf_hash(commit: &Hash) -> Hash {
    leaf(&[commit])
}

fn nodes(hashes: &[Hash]) -> Vec<Node> {
    hashes.iter().map(|hash| Node(*hash)).collect()
}

/// Whether `proof` shows that the commit with this hash is number `number` (from 1) of the log of
/// `size` commits with this root: RFC 6962, section 2.1.1.
#[must_use]
pub fn includes(proof: &[Hash], size: u64, root: &Hash, number: u64, commit: &Hash) -> bool {
    let Some(index) = number.checked_sub(1) else {
        return false;
    };
    proof.len() <= PROOF_HASHES_MAX
        && check_record(
            &nodes(proof),
            size,
            Node(*root),
            index,
            Node(leaf_hash(commit)),
        )
        .is_ok()
}

/// Whether `proof` shows that the log of `size` commits begins with that of `from_size` commits, at
/// least 1: RFC 6962, section 2.1.2.
#[must_use]
pub fn extends(proof: &[Hash], from_size: u64, from_root: &Hash, size: u64, root: &Hash) -> bool {
    proof.len() <= PROOF_HASHES_MAX
        && check_tree(
            &nodes(proof),
            size,
            Node(*root),
            from_size,
            Node(*from_root),
        )
        .is_ok()
}

/// Positions, in the order of `tlog_tiles::stored_hash_index`, of the nodes that stand for the first
/// `size` commits when the root of a longer log is computed: the peaks, from the left. There is one
/// for each bit of `size`.
pub fn peak_indexes(size: u64) -> Vec<u64> {
    tlog_tiles::sub_tree_index(0, size, Vec::new())
}

/// The root of a log from the peaks of its first `before` commits and the hashes of all others.
///
/// After n leaves the stack on which RFC 6962's root is computed holds exactly the peaks of n, so
/// the computation goes on from them as if it had seen the leaves. `None` when there are more or
/// fewer peaks than `before` has, or when there is no commit at all.
///
/// Whatever the peaks are, a root so reached binds the suffix: the shape of the tree follows from
/// `before` and the number of hashes, so each of them stands at its own place.
#[must_use]
pub fn suffix_root(
    before: u64,
    peaks: &[Hash],
    commits: impl IntoIterator<Item = Hash>,
) -> Option<Hash> {
    if peaks.len() != before.count_ones() as usize {
        return None;
    }
    let mut stack: Vec<(u32, Hash)> = (0..u64::BITS)
        .rev()
        .filter(|height| before >> height & 1 == 1)
        .zip(peaks.iter().copied())
        .collect();
    for commit in commits {
        let mut top = (0, leaf_hash(&commit));
        while let Some(&(height, left)) = stack.last() {
            if height != top.0 {
                break;
            }
            stack.pop();
            top = (height + 1, node(&left, &top.1));
        }
        stack.push(top);
    }
    let (_, mut root) = stack.pop()?;
    while let Some((_, left)) = stack.pop() {
        root = node(&left, &root);
    }
    Some(root)
}

#[cfg(test)]
mod tests;
