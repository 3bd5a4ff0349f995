//! `tlog_tiles` and our suffix roots against `ct-merkle`, another implementation of RFC 6962 by
//! other people.

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use ct_merkle::{ConsistencyProof, InclusionProof, RootHash};
use quickcheck::quickcheck;
use sha2::Sha256;
use tlog_tiles::{Error, HashReader, prove_record, prove_tree, stored_hashes, tree_hash};

use super::*;

/// Nodes in the order in which a log stores them.
#[derive(Default)]
struct Stored(Vec<Node>);

impl HashReader for Stored {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Node>, Error> {
        Ok(indexes
            .iter()
            .map(|index| self.0[usize::try_from(*index).unwrap()])
            .collect())
    }
}

impl Stored {
    fn push(&mut self, number: u64, commit: &Hash) {
        let new = stored_hashes(number - 1, commit, self).unwrap();
        self.0.extend(new);
    }

    fn peaks(&self, size: u64) -> Vec<Hash> {
        let nodes = self.read_hashes(&peak_indexes(size)).unwrap();
        nodes.iter().map(|node| node.0).collect()
    }
}

fn commit(number: u64) -> Hash {
    leaf(&[b"test commit", &number.to_le_bytes()])
}

fn plain(nodes: &[Node]) -> Vec<Hash> {
    nodes.iter().map(|node| node.0).collect()
}

fn oracle_root(root: &Hash, size: u64) -> RootHash<Sha256> {
    RootHash::new((*root).into(), size)
}

/// A small generator of its own (splitmix64), so that a failure names its seed.
struct Random(u64);

impl Random {
    fn up_to(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ (x >> 31)) % bound
    }
}

/// All sizes from 1 to 1,000: the root, three random leaves, and the pair with three random earlier
/// sizes, each proof made by one implementation and checked by the other, in both directions.
#[test]
fn proofs_agree_with_another_implementation_for_all_sizes_to_1000() {
    let seed = 6962;
    println!("seed {seed}");
    let mut random = Random(seed);
    let mut stored = Stored::default();
    let mut oracle = MemoryBackedTree::<Sha256, Hash>::new();
    let mut roots = vec![crate::hash::empty_root()];
    assert_eq!(oracle.root().as_bytes()[..], roots[0]);
    assert_eq!(tree_hash(0, &stored).unwrap().0, roots[0]);
    for size in 1..=1000_u64 {
        stored.push(size, &commit(size));
        oracle.push(commit(size));
        let root = tree_hash(size, &stored).unwrap().0;
        assert_eq!(oracle.root().as_bytes()[..], root, "size {size}");
        roots.push(root);
        for _ in 0..3 {
            let number = 1 + random.up_to(size);
            let index = usize::try_from(number - 1).unwrap();
            let ours = plain(&prove_record(size, number - 1, &stored).unwrap());
            let theirs = oracle.prove_inclusion(index);
            assert_eq!(ours.concat(), theirs.as_bytes(), "{number} of {size}");
            assert!(includes(&ours, size, &root, number, &commit(number)));
            let theirs = InclusionProof::<Sha256>::from_bytes(ours.concat());
            let verified = oracle
                .root()
                .verify_inclusion(&commit(number), number - 1, &theirs);
            assert!(verified.is_ok(), "{number} of {size}");

            let from = 1 + random.up_to(size);
            let from_root = &roots[usize::try_from(from).unwrap()];
            let ours = plain(&prove_tree(size, from, &stored).unwrap());
            let added = usize::try_from(size - from).unwrap();
            let theirs = oracle.prove_consistency(added);
            assert_eq!(ours.concat(), theirs.as_bytes(), "{from} to {size}");
            assert!(extends(&ours, from, from_root, size, &root));
            let theirs = ConsistencyProof::<Sha256>::try_from_bytes(ours.concat()).unwrap();
            let verified = oracle
                .root()
                .verify_consistency(&oracle_root(from_root, from), &theirs);
            assert!(verified.is_ok(), "{from} to {size}");

            let suffix = (from + 1..=size).map(commit);
            assert_eq!(
                suffix_root(from, &stored.peaks(from), suffix),
                Some(root),
                "suffix from {from} of {size}"
            );
        }
    }
}

/// Sizes up to 2^40, of logs whose nodes are computed when they are asked for: all leaves are the
/// same, so a node follows from its height.
struct Uniform(Vec<Node>);

impl Uniform {
    fn new() -> Self {
        let mut heights = vec![Node(leaf_hash(&commit(0)))];
        for _ in 0..62 {
            let below = heights[heights.len() - 1];
            heights.push(Node(node(&below.0, &below.0)));
        }
        Self(heights)
    }
}

impl HashReader for Uniform {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Node>, Error> {
        Ok(indexes
            .iter()
            .map(|index| self.0[usize::from(tlog_tiles::split_stored_hash_index(*index).0)])
            .collect())
    }
}

#[test]
fn proofs_of_large_logs_agree_with_another_implementation() {
    let seed = 9162;
    println!("seed {seed}");
    let mut random = Random(seed);
    let log = Uniform::new();
    for _ in 0..1000 {
        let bits = 1 + random.up_to(40);
        let size = 1 + random.up_to(1 << bits);
        let root = tree_hash(size, &log).unwrap().0;
        let number = 1 + random.up_to(size);
        let proof = plain(&prove_record(size, number - 1, &log).unwrap());
        assert!(includes(&proof, size, &root, number, &commit(0)));
        let theirs = InclusionProof::<Sha256>::from_bytes(proof.concat());
        let verified = oracle_root(&root, size).verify_inclusion(&commit(0), number - 1, &theirs);
        assert!(verified.is_ok(), "{number} of {size}");

        let from = 1 + random.up_to(size);
        let from_root = tree_hash(from, &log).unwrap().0;
        let proof = plain(&prove_tree(size, from, &log).unwrap());
        assert!(extends(&proof, from, &from_root, size, &root));
        let theirs = ConsistencyProof::<Sha256>::try_from_bytes(proof.concat()).unwrap();
        let verified =
            oracle_root(&root, size).verify_consistency(&oracle_root(&from_root, from), &theirs);
        assert!(verified.is_ok(), "{from} to {size}");
    }
}

#[test]
fn what_is_wrong_is_refused() {
    let mut stored = Stored::default();
    for number in 1..=13 {
        stored.push(number, &commit(number));
    }
    let root = tree_hash(13, &stored).unwrap().0;
    let proof = plain(&prove_record(13, 5, &stored).unwrap());
    assert!(includes(&proof, 13, &root, 6, &commit(6)));
    for (size, number) in [(13, 5), (13, 7), (13, 0), (13, 14), (0, 0), (u64::MAX, 6)] {
        assert!(
            !includes(&proof, size, &root, number, &commit(6)),
            "{number} of {size}"
        );
    }
    assert!(!includes(&proof, 13, &root, 6, &commit(7)));
    assert!(!includes(&vec![[0; 32]; 65], 13, &root, 6, &commit(6)));

    let early = tree_hash(6, &stored).unwrap().0;
    let proof = plain(&prove_tree(13, 6, &stored).unwrap());
    assert!(extends(&proof, 6, &early, 13, &root));
    for (from, size) in [(5, 13), (7, 13), (0, 13), (13, 6), (14, 13), (6, u64::MAX)] {
        assert!(
            !extends(&proof, from, &early, size, &root),
            "{from} to {size}"
        );
    }
    assert!(!extends(&proof, 6, &root, 13, &root));
    assert!(extends(&[], 13, &root, 13, &root));
    assert!(!extends(&[], 13, &early, 13, &root));

    let peaks = stored.peaks(6);
    let suffix: Vec<Hash> = (7..=13).map(commit).collect();
    assert_eq!(suffix_root(6, &peaks, suffix.clone()), Some(root));
    assert_ne!(suffix_root(6, &peaks, suffix[1..].to_vec()), Some(root));
    assert_ne!(suffix_root(5, &peaks, suffix.clone()), Some(root));
    assert_eq!(suffix_root(7, &peaks, suffix), None);
    assert_eq!(suffix_root(0, &[], []), None);
}

quickcheck! {
    /// Any hashes, sizes and numbers get an answer.
    fn nothing_panics(hashes: Vec<u8>, size: u64, number: u64, shift: u8) -> bool {
        let proof: Vec<Hash> = hashes.iter().map(|byte| [*byte; 32]).collect();
        let (size, number) = (size >> (shift % 64), number >> (shift % 64));
        !includes(&proof, size, &[1; 32], number, &[2; 32])
            && !extends(&proof, number, &[1; 32], size, &[2; 32])
            && suffix_root(number, &proof, []) != Some([3; 32])
    }
}
