//! The log over all commits: an RFC 6962 Merkle tree whose leaves are the commit hashes.
//!
//! Its root is what a checkpoint states, and its inner hashes are what proofs are made of. The table
//! `log` keeps the hashes of complete subtrees, those that end at one commit in one row: half of the
//! commits have a row, a commit adds one hash in the mean and never more than 64, and no hash is
//! ever written again. The leaves are the commit hashes in `commits`.

#![warn(clippy::indexing_slicing)]

use std::cell::RefCell;

use blocknet_kv::{Batch, Read};
use tlog_tiles::HashReader;

use crate::error::{Error, ErrorKind, Fault, Result};
use crate::hash::{Hash, inner_hash, leaf_hash};
use crate::key;
use crate::writer::commit_info;

/// The log up to a commit: what a checkpoint states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogHead {
    /// Number of commits.
    pub size: u64,
    /// RFC 6962 root over the hashes of commits 1 to `size`.
    pub root: Hash,
}

/// Writes the row of commit `number`, whose hash is `hash`; `previous` is the hash of the commit
/// before it.
///
/// # Cost
/// For half of the commits nothing; otherwise one row, and reads of as many others as there are
/// subtrees of more than two commits to complete, which is one in two in the mean.
pub(crate) fn add(
    batch: &mut Batch,
    read: &dyn Read,
    number: u64,
    previous: Hash,
    hash: Hash,
) -> Result<()> {
    if let Some(row) = row(read, number, previous, hash)? {
        batch.put(key::LOG, key::log(number), row);
    }
    Ok(())
}

/// The row of a commit, from its hash and the rows before it; `None` where there is none.
pub(crate) fn row(
    read: &dyn Read,
    number: u64,
    previous: Hash,
    hash: Hash,
) -> Result<Option<Vec<u8>>> {
    let heights = number.trailing_zeros();
    if heights == 0 {
        return Ok(None);
    }
    let mut row = Vec::new();
    let mut node = inner_hash(leaf_hash(&previous.0), leaf_hash(&hash.0));
    row.extend_from_slice(&node.0);
    for height in 1..heights {
        let left = node_ending_at(read, number - (1 << height), height)?;
        node = inner_hash(left, node);
        row.extend_from_slice(&node.0);
    }
    Ok(Some(row))
}

/// Hashes in the row of a commit, from the lowest subtree up.
pub(crate) fn decode(number: u64, row: &[u8]) -> Result<&[[u8; 32]], Fault> {
    let (hashes, rest) = row.as_chunks::<32>();
    if !rest.is_empty() || hashes.len() != number.trailing_zeros() as usize {
        return Err(Fault::Value {
            what: "length of a row of the log",
        });
    }
    Ok(hashes)
}

/// The hash of the subtree of 2^height commits that ends at commit `number`; `height` from 1.
fn node_ending_at(read: &dyn Read, number: u64, height: u32) -> Result<Hash> {
    let row_key = key::log(number);
    let missing = || {
        Error::corrupt(format!(
            "tables: `log`, the row of commit {number} is missing; move the directory `tables` \
             away and open the store for writing, which rebuilds it from the journal"
        ))
    };
    let row = read.get(key::LOG, &row_key)?.ok_or_else(missing)?;
    let hashes = decode(number, &row).map_err(|fault| fault.in_table("log", &row_key))?;
    let index = (height as usize).checked_sub(1);
    let hash = index.and_then(|index| hashes.get(index));
    Ok(Hash(*hash.ok_or_else(missing)?))
}

/// The log as a state of the tables has it.
pub(crate) struct Log<'a> {
    read: &'a dyn Read,
    /// Newest commit.
    newest: u64,
    /// Why hashes could not be read: the arithmetic passes on only its own errors.
    failed: RefCell<Option<Error>>,
}

impl<'a> Log<'a> {
    pub(crate) fn new(read: &'a dyn Read, newest: u64) -> Self {
        Self {
            read,
            newest,
            failed: RefCell::new(None),
        }
    }

    fn check(&self, size: u64) -> Result<()> {
        if size > self.newest {
            return Err(Error::new(
                ErrorKind::NotFound,
                format!("the net has {} commits, not {size}", self.newest),
            ));
        }
        Ok(())
    }

    /// Root over the first `size` commits.
    pub(crate) fn root(&self, size: u64) -> Result<Hash> {
        self.check(size)?;
        self.answer(tlog_tiles::tree_hash(size, self))
            .map(|hash| Hash(hash.0))
    }

    /// The path of a commit in the tree of `size` commits.
    pub(crate) fn inclusion(&self, commit: u64, size: u64) -> Result<Vec<Hash>> {
        self.check(size)?;
        if commit == 0 || commit > size {
            return Err(Error::invalid(format!(
                "commit {commit} is not among the first {size}"
            )));
        }
        self.answer(tlog_tiles::prove_record(size, commit - 1, self))
            .map(own)
    }

    /// The proof that the tree of `size` commits continues the one of `earlier`.
    pub(crate) fn consistency(&self, earlier: u64, size: u64) -> Result<Vec<Hash>> {
        self.check(size)?;
        if earlier == 0 || earlier > size {
            return Err(Error::invalid(format!(
                "{size} commits do not continue {earlier}"
            )));
        }
        self.answer(tlog_tiles::prove_tree(size, earlier, self))
            .map(own)
    }

    fn answer<T>(&self, result: std::result::Result<T, tlog_tiles::Error>) -> Result<T> {
        result.map_err(|error| {
            let failed = self.failed.borrow_mut().take();
            failed.unwrap_or_else(|| Error::corrupt(format!("tables: `log`: {error}")))
        })
    }

    fn hash_at(&self, index: u64) -> Result<Hash> {
        let (level, n) = tlog_tiles::split_stored_hash_index(index);
        let end = (n + 1) << level;
        match level {
            0 => Ok(leaf_hash(&commit_info(self.read, end)?.hash.0)),
            level => node_ending_at(self.read, end, u32::from(level)),
        }
    }
}

fn own(hashes: Vec<tlog_tiles::Hash>) -> Vec<Hash> {
    hashes.into_iter().map(|hash| Hash(hash.0)).collect()
}

impl HashReader for Log<'_> {
    fn read_hashes(
        &self,
        indexes: &[u64],
    ) -> std::result::Result<Vec<tlog_tiles::Hash>, tlog_tiles::Error> {
        indexes
            .iter()
            .map(|index| match self.hash_at(*index) {
                Ok(hash) => Ok(tlog_tiles::Hash(hash.0)),
                Err(error) => {
                    *self.failed.borrow_mut() = Some(error);
                    Err(tlog_tiles::Error::IndexesNotInTree)
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::merkle_root;
    use crate::testing::hex;
    use blocknet_kv::{MemStore, Store};

    fn hash(number: u64) -> Hash {
        Hash([u8::try_from(number % 251).unwrap(); 32])
    }

    fn filled(size: u64) -> MemStore {
        let store = MemStore::new(key::SCHEMA);
        for number in 1..=size {
            let mut batch = Batch::new();
            add(&mut batch, &store, number, hash(number - 1), hash(number)).unwrap();
            assert_eq!(batch.len(), usize::from(number % 2 == 0));
            store.apply(&batch).unwrap();
        }
        store
    }

    #[test]
    fn a_row_has_these_bytes() {
        let store = filled(4);
        let row = store.get(key::LOG, &hex("0000000000000004")).unwrap();
        let two = |a, b| inner_hash(leaf_hash(&hash(a).0), leaf_hash(&hash(b).0));
        let (left, right) = (two(1, 2), two(3, 4));
        let expected = [right.0, inner_hash(left, right).0].concat();
        assert_eq!(row.as_deref(), Some(&expected[..]));
        // By sha256sum: 00 and 32 bytes 01, 00 and 32 bytes 02, then 01 and both.
        let row = store.get(key::LOG, &hex("0000000000000002")).unwrap();
        let by_hand = hex("3a066e0f40c6a1981ebfa60d2411625d0517ae22c2fc8c7c1784ff8a75c78565");
        assert_eq!(row.as_deref(), Some(&by_hand[..]));
    }

    #[test]
    fn every_node_is_the_root_of_its_commits() {
        let store = filled(200);
        for number in (2..=200_u64).step_by(2) {
            let row = store.get(key::LOG, &key::log(number)).unwrap().unwrap();
            for (height, node) in (1..).zip(decode(number, &row).unwrap()) {
                let first = number - (1 << height) + 1;
                let leaves = (first..=number).map(|number| hash(number).0);
                assert_eq!(Hash(*node), merkle_root(leaves), "{number} {height}");
            }
            assert!(decode(number, &row[1..]).is_err());
            assert!(decode(number + 1, &row).is_err());
        }
    }

    #[test]
    fn roots_and_paths_are_those_of_the_commits() {
        let env = blocknet_wal::MemEnv::new(1);
        let net = crate::testing::builder(&env)
            .create(crate::testing::DIR, blocknet_geocode::NetSpec::city())
            .unwrap();
        for number in 1..40_u32 {
            let extent = crate::Extent::flat(4.0, 52.0, 4.0001, 52.0001);
            let id = number.to_string();
            let state = crate::Assertion::state(crate::LayerId::MAIN, id, extent, "x");
            net.commit(&crate::Commit::new("a", vec![state])).unwrap();
        }
        let view = net.now_view().unwrap();
        let hashes: Vec<[u8; 32]> = (1..=40)
            .map(|number| view.commit(number).unwrap().hash.0)
            .collect();
        let root = |size: u64| merkle_root(&hashes[..usize::try_from(size).unwrap()]);
        assert_eq!(view.log_head().unwrap().size, 40);
        let own = |hash: Hash| tlog_tiles::Hash(hash.0);
        let all = |hashes: Vec<Hash>| hashes.into_iter().map(own).collect();
        for size in 0..=40 {
            assert_eq!(view.log_head_at(size).unwrap().root, root(size), "{size}");
            for commit in 1..=size {
                let path = all(view.log_inclusion(commit, size).unwrap());
                let leaf = own(leaf_hash(&hashes[usize::try_from(commit - 1).unwrap()]));
                tlog_tiles::check_record(&path, size, own(root(size)), commit - 1, leaf).unwrap();
                let proof = all(view.log_consistency(commit, size).unwrap());
                tlog_tiles::check_tree(&proof, size, own(root(size)), commit, own(root(commit)))
                    .unwrap();
            }
        }
        for wrong in [view.log_inclusion(0, 3), view.log_inclusion(4, 3)] {
            assert_eq!(wrong.unwrap_err().kind(), ErrorKind::Invalid);
        }
        assert_eq!(
            view.log_head_at(41).unwrap_err().kind(),
            ErrorKind::NotFound
        );
    }
}
