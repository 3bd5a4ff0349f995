//! Proofs of what a net holds, for those who do not have the net: made from the tables, checked by
//! the crate `blocknet_proof` alone.
//!
//! A tree over a commit's blocks, or over what it did in a block, is stored nowhere: it is built from
//! the commit's list of keys and the rows they name when a proof needs it.

#![warn(clippy::indexing_slicing)]

use std::collections::BTreeSet;

use blocknet_geocode::{Block, NetSpec};
use blocknet_kv::Read;
use blocknet_proof::{
    Apart, Checkpoint, CommitProof, CommitVersions, ConsistencyProof, FILE_LEN_BYTES_MAX, Filed,
    Gap, HistoryProof, LaterCommit, Leaf, Note, Path, PayloadPart, Since, Tree, VersionPart,
};

use crate::apply::decode_net;
use crate::block::BlockVersion;
use crate::body::{closing_hash, version_leaf};
use crate::codec::Encoder;
use crate::entity::Track;
use crate::erase::stored_at;
use crate::error::{Error, ErrorKind, Fault, Result};
use crate::hash::Hash;
use crate::key;
use crate::layer::LayerId;
use crate::linking::decode_block;
use crate::record::{Place, RowRef, Version};
use crate::touched::Touched;
use crate::verify::block_of;
use crate::view::View;
use crate::writer::commit_info;

/// What a proof of an entity's history shows beside its versions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HistoryOptions {
    /// That no commit after that of the last version touched it. The version must be a state. The
    /// proof then holds the header of every commit since, some hundred bytes each.
    pub untouched: bool,
    /// The payloads, with their salts. Whoever has the proof can show them to others.
    pub payloads: bool,
}

impl View<'_> {
    /// Proves that a commit is in the log of a checkpoint.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] when the commit is not among those of the checkpoint, or the checkpoint
    /// is of another net; [`ErrorKind::NotFound`] when it has more commits than the view;
    /// [`ErrorKind::Conflict`] when it is of this net but of another history;
    /// [`ErrorKind::Corrupt`] or [`ErrorKind::Io`] when the tables cannot be read or do not give the
    /// proof.
    ///
    /// # Cost
    /// Logarithmic in the number of commits.
    pub fn prove_commit(&self, number: u64, note: Note) -> Result<CommitProof> {
        self.check_checkpoint(note.checkpoint())?;
        let path = self.log_inclusion(number, note.checkpoint().size())?;
        let proof = CommitProof {
            header: commit_header(self.read(), number)?,
            index: number - 1,
            path: plain(path),
            note,
        };
        proof.check().map_err(unproven)?;
        Ok(proof)
    }

    /// Proves that one checkpoint extends another.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] when the first is the larger; otherwise as for
    /// [`View::prove_commit`].
    ///
    /// # Cost
    /// Logarithmic in the number of commits.
    pub fn prove_consistency(&self, from: Note, to: Note) -> Result<ConsistencyProof> {
        self.check_checkpoint(from.checkpoint())?;
        self.check_checkpoint(to.checkpoint())?;
        let hashes = self.log_consistency(from.checkpoint().size(), to.checkpoint().size())?;
        let proof = ConsistencyProof {
            hashes: plain(hashes),
            from,
            to,
        };
        proof.check().map_err(unproven)?;
        Ok(proof)
    }

    /// Proves what an entity's versions were up to a checkpoint, the first to the last.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when the entity has no version up to the checkpoint;
    /// [`ErrorKind::Invalid`] when it is to be shown untouched and its last version is an absence or
    /// has an empty interval, or when the proof would be above 64 MiB; otherwise as for
    /// [`View::prove_commit`].
    ///
    /// # Cost
    /// For each commit with a version, and each commit since with `untouched`: the list of what it
    /// touched, the rows of its blocks, and the rows it wrote in the entity's block. Memory grows with
    /// the proof and with the largest commit looked at.
    pub fn prove_history(
        &self,
        layer: LayerId,
        id: &str,
        note: Note,
        options: HistoryOptions,
    ) -> Result<HistoryProof> {
        let net = self.check_checkpoint(note.checkpoint())?;
        let size = note.checkpoint().size();
        let tracks = self.tracks_until(layer, id, size)?;
        let mut making = Making {
            view: self,
            read: self.read(),
            spec: self.spec(),
            net,
            entity: key::entity(layer, id),
            payloads: options.payloads,
            len_bytes: 0,
        };
        let mut commits = Vec::new();
        let mut since = None;
        let mut rest = tracks.as_slice();
        while let Some(first) = rest.first() {
            let number = first.version.commit;
            let of_commit = rest.partition_point(|track| track.version.commit == number);
            let (tracks, after) = rest.split_at(of_commit);
            rest = after;
            let touch = making.touch(number)?;
            let versions = making.versions(&touch, tracks)?;
            if let (true, [], Some(last)) = (options.untouched, after, tracks.last()) {
                since = Some(making.since(&touch, versions, last, size)?);
            } else {
                commits.push((versions, plain(self.log_inclusion(number, size)?)));
            }
        }
        let states = tracks.iter().any(|track| !track.place.is_nowhere());
        let code_len = u8::try_from(self.spec().stored_len_bytes()).ok();
        let proof = HistoryProof {
            layer: layer.number(),
            id: id.to_owned(),
            code_len: code_len.filter(|_| states),
            commits,
            since,
            note,
        };
        proof.check().map_err(unproven)?;
        Ok(proof)
    }

    /// Compares a checkpoint with the net, whose id it gives back.
    fn check_checkpoint(&self, checkpoint: &Checkpoint) -> Result<[u8; 16]> {
        let row = self
            .read()
            .get(key::META, key::NET)?
            .ok_or_else(|| Error::corrupt("tables: `meta` does not say which net this is"))?;
        let (net, _) = decode_net(&row).map_err(|fault| fault.in_table("meta", key::NET))?;
        if checkpoint.net() != net {
            return Err(Error::invalid(format!(
                "the checkpoint is of {}; this is another net",
                checkpoint.origin()
            )));
        }
        let size = checkpoint.size();
        if self.log_head_at(size)?.root.0 != checkpoint.root() {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!(
                    "the first {size} commits of this net are not those of the checkpoint: one of \
                     the two is a copy that went its own way; keep both and run `verify`"
                ),
            ));
        }
        Ok(net)
    }

    /// The entity's versions in the first `size` commits; at least one.
    fn tracks_until(&self, layer: LayerId, id: &str, size: u64) -> Result<Vec<Track>> {
        let entity = key::entity(layer, id);
        let path = self.path(&entity);
        let count = match path.head()? {
            Some(head) => path.ordinal_at(&head, size)?,
            None => 0,
        };
        if count == 0 {
            return Err(Error::new(
                ErrorKind::NotFound,
                format!(
                    "layer {} has no version of `{id}` in the first {size} commits",
                    layer.number()
                ),
            ));
        }
        (1..=count).map(|ordinal| path.track(ordinal)).collect()
    }
}

/// The proof crate refuses what the tables gave: they are damaged.
fn unproven(error: blocknet_proof::Error) -> Error {
    let message = "the tables do not give the proof; run `verify`, then `repair`";
    Error::caused(ErrorKind::Corrupt, message, error)
}

fn plain(hashes: Vec<Hash>) -> Vec<[u8; 32]> {
    hashes.into_iter().map(|hash| hash.0).collect()
}

fn commit_header(read: &dyn Read, number: u64) -> Result<Vec<u8>> {
    let mut out = Encoder::default();
    commit_info(read, number)?.encode(&mut out);
    Ok(out.0)
}

/// A leaf that a list must have.
fn missing(what: &str, number: u64) -> Error {
    Error::corrupt(format!(
        "tables: `commits`, the list of commit {number} lacks {what}; run `verify`, then `repair`"
    ))
}

/// A commit and the tree over its blocks.
struct Touch {
    number: u64,
    header: Vec<u8>,
    touched: Touched,
    /// In order.
    blocks: Vec<Block>,
    /// Packed block and hash.
    leaves: Vec<Vec<u8>>,
    tree: Tree,
}

/// What a commit did in one block.
struct InBlock {
    input: Vec<u8>,
    /// Record key, index, hash; in order.
    filed: Vec<(Vec<u8>, u32, Hash)>,
    leaves: Vec<Vec<u8>>,
    tree: Tree,
}

/// A proof of an entity's history that is being made.
struct Making<'v> {
    view: &'v View<'v>,
    read: &'v dyn Read,
    spec: &'v NetSpec,
    net: [u8; 16],
    entity: Vec<u8>,
    payloads: bool,
    /// Bytes so far, before base64.
    len_bytes: usize,
}

impl Making<'_> {
    /// Counts bytes that the proof will hold, so that one that cannot be used ends early.
    fn spend(&mut self, bytes: usize) -> Result<()> {
        self.len_bytes += bytes;
        if self.len_bytes > FILE_LEN_BYTES_MAX / 4 * 3 {
            return Err(Error::invalid(format!(
                "the proof would be above {} MiB: take an earlier checkpoint, leave out the \
                 payloads, or do not ask for what happened since",
                FILE_LEN_BYTES_MAX >> 20
            )));
        }
        Ok(())
    }

    fn touch(&mut self, number: u64) -> Result<Touch> {
        let header = commit_header(self.read, number)?;
        self.spend(header.len())?;
        let touched = Touched::load(self.read, self.spec, number)?;
        let mut blocks: BTreeSet<Block> = touched.created.union(&touched.left).copied().collect();
        for record_key in touched.keys() {
            blocks.extend(self.block_of(record_key)?);
        }
        let blocks: Vec<Block> = blocks.into_iter().collect();
        let leaves = blocks
            .iter()
            .map(|block| {
                let hash = self.block_version(block, number)?.hash;
                Ok(version_leaf(block.to_packed().as_ref(), hash))
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Touch {
            number,
            header,
            touched,
            blocks,
            tree: Tree::new(&leaves),
            leaves,
        })
    }

    /// The block of a record key; none for NOWHERE. A place with an unknown altitude has that of the
    /// lowest band in its code, and lies in it: so its code is enough.
    fn block_of(&self, record_key: &[u8]) -> Result<Option<Block>> {
        let place = Place::of_key(record_key, self.spec)
            .map_err(|fault| fault.in_table("commits", record_key))?;
        Ok(block_of(self.spec, &place, true))
    }

    fn block_version(&self, block: &Block, number: u64) -> Result<BlockVersion> {
        let row_key = key::block(block, number);
        let row = self
            .read
            .get(key::BLOCKS, &row_key)?
            .ok_or_else(|| missing(&format!("its version of block {block}"), number))?;
        Ok(decode_block(self.spec, &row_key, &row)?.1)
    }

    /// The row of the version that a commit's list names at an index.
    fn version_hash(&self, touch: &Touch, index: u32) -> Result<Hash> {
        let (commit, record_key) = (touch.number, touch.touched.versions.get(index as usize));
        let record_key = record_key.ok_or_else(|| missing("a version", commit))?;
        let version = Version { commit, index };
        let stored = stored_at(self.read, record_key, version)?;
        RowRef::decode(&stored.row)
            .and_then(|row| Ok(row.hash(&self.net, &row.header_ref(self.spec)?)))
            .map_err(|fault| row_fault(fault, record_key))
    }

    fn in_block(&self, touch: &Touch, block: &Block) -> Result<InBlock> {
        let mut filed = Vec::new();
        for (index, record_key) in (0..).zip(&touch.touched.versions) {
            if self.block_of(record_key)?.as_ref() == Some(block) {
                let hash = self.version_hash(touch, index)?;
                filed.push((record_key.clone(), index, hash));
            }
        }
        for closed in &touch.touched.closings {
            if self.block_of(&closed.record_key)?.as_ref() == Some(block) {
                let hash = closing_hash(self.version_hash(touch, closed.index)?);
                filed.push((closed.record_key.clone(), closed.index, hash));
            }
        }
        filed.sort_unstable();
        let leaves: Vec<Vec<u8>> = filed
            .iter()
            .map(|(record_key, _, hash)| version_leaf(record_key, *hash))
            .collect();
        let input = self.block_version(block, touch.number)?.hash_input(block);
        Ok(InBlock {
            input,
            filed,
            tree: Tree::new(&leaves),
            leaves,
        })
    }

    /// The entity's versions in a commit.
    fn versions(&mut self, touch: &Touch, tracks: &[Track]) -> Result<CommitVersions> {
        let versions = tracks
            .iter()
            .map(|track| self.version(touch, track))
            .collect::<Result<_>>()?;
        Ok(CommitVersions {
            header: touch.header.clone(),
            versions,
        })
    }

    fn version(&mut self, touch: &Touch, track: &Track) -> Result<VersionPart> {
        let record_key = key::record(&track.place, &self.entity);
        let index = track.version.index;
        let stored = stored_at(self.read, &record_key, track.version)?;
        let row = RowRef::decode(&stored.row)
            .and_then(|row| {
                row.check_known(&row.header_ref(self.spec)?)?;
                if self.payloads {
                    row.check_payload()?;
                }
                Ok(row)
            })
            .map_err(|fault| row_fault(fault, &record_key))?;
        let filed = match self.block_of(&record_key)? {
            None => Filed::Unplaced(self.unplaced_path(touch, index)?),
            Some(block) => {
                let inside = self.in_block(touch, &block)?;
                Filed::Block {
                    path: inside.path(&record_key, index, touch.number)?,
                    block_path: touch.path(&block)?,
                    block: inside.input,
                }
            }
        };
        let payload = if row.erased_by().is_some() {
            PayloadPart::Erased
        } else if self.payloads {
            PayloadPart::Shown {
                salt: row.salt,
                bytes: row.payload.to_vec(),
            }
        } else {
            PayloadPart::Withheld
        };
        self.spend(row.header.len() + if self.payloads { row.payload.len() } else { 0 })?;
        Ok(VersionPart {
            index,
            header: row.header.to_vec(),
            filed,
            payload,
        })
    }

    /// The path of an absence. A commit with versions defines nothing, so its absences are all that
    /// is unplaced.
    fn unplaced_path(&self, touch: &Touch, index: u32) -> Result<Path> {
        let (mut leaves, mut position) = (Vec::new(), None);
        for (other, record_key) in (0..).zip(&touch.touched.versions) {
            if self.block_of(record_key)?.is_none() {
                if other == index {
                    position = Some(leaves.len());
                }
                leaves.push(self.version_hash(touch, other)?.0);
            }
        }
        position
            .and_then(|position| Tree::new(&leaves).path(position))
            .ok_or_else(|| missing("an absence", touch.number))
    }

    /// Everything from the commit of the last version on.
    fn since(
        &mut self,
        touch: &Touch,
        commit: CommitVersions,
        last: &Track,
        size: u64,
    ) -> Result<Since> {
        let record_key = key::record(&last.place, &self.entity);
        let block = self.block_of(&record_key)?;
        let block = block.filter(|_| last.valid.from < last.valid.to).ok_or_else(|| {
            Error::invalid(
                "the last version is an absence or has an empty interval: only a state that stands \
                 can be shown untouched; leave that out",
            )
        })?;
        let inside = self.in_block(touch, &block)?;
        let position = inside.position(&record_key, last.version.index, touch.number)?;
        let mut later = Vec::new();
        for number in touch.number + 1..=size {
            let touch = self.touch(number)?;
            later.push(LaterCommit {
                apart: self.apart(&touch, &block, &record_key)?,
                header: touch.header,
            });
        }
        Ok(Since {
            peaks: plain(self.view.log_peaks(touch.number - 1)?),
            commit,
            next: leaf_at(&inside.leaves, &inside.tree, position + 1),
            later,
        })
    }

    /// How a commit left a record key of a block alone.
    fn apart(&mut self, touch: &Touch, block: &Block, record_key: &[u8]) -> Result<Apart> {
        if touch.blocks.binary_search(block).is_err() {
            let packed = block.to_packed();
            let gap = gap(&touch.leaves, &touch.tree, packed.as_ref());
            self.spend(len_bytes(&gap))?;
            return Ok(Apart::Elsewhere(gap));
        }
        let inside = self.in_block(touch, block)?;
        let gap = gap(&inside.leaves, &inside.tree, record_key);
        self.spend(len_bytes(&gap) + inside.input.len())?;
        Ok(Apart::Beside {
            block: inside.input,
            block_path: touch.path(block)?,
            gap,
        })
    }
}

fn row_fault(fault: Fault, record_key: &[u8]) -> Error {
    fault.in_table("records", record_key)
}

impl Touch {
    fn path(&self, block: &Block) -> Result<Path> {
        let position = self.blocks.binary_search(block).ok();
        position
            .and_then(|position| self.tree.path(position))
            .ok_or_else(|| missing(&format!("block {block}"), self.number))
    }
}

impl InBlock {
    fn position(&self, record_key: &[u8], index: u32, number: u64) -> Result<usize> {
        let version = |(key, own, _): &(Vec<u8>, u32, Hash)| key == record_key && *own == index;
        let position = self.filed.iter().position(version);
        position.ok_or_else(|| missing("a version", number))
    }

    fn path(&self, record_key: &[u8], index: u32, number: u64) -> Result<Path> {
        let position = self.position(record_key, index, number)?;
        let path = self.tree.path(position);
        path.ok_or_else(|| missing("a version", number))
    }
}

fn leaf_at(leaves: &[Vec<u8>], tree: &Tree, position: usize) -> Option<Leaf> {
    let data = leaves.get(position)?.clone();
    let path = tree.path(position)?;
    Some(Leaf { data, path })
}

/// The leaves around a key that is not there; each is a key and a hash of 32 bytes.
fn gap(leaves: &[Vec<u8>], tree: &Tree, key: &[u8]) -> Gap {
    let before = |leaf: &Vec<u8>| {
        leaf.split_last_chunk::<32>()
            .is_some_and(|(own, _)| own < key)
    };
    let position = leaves.partition_point(before);
    Gap {
        left: position
            .checked_sub(1)
            .and_then(|left| leaf_at(leaves, tree, left)),
        right: leaf_at(leaves, tree, position),
    }
}

/// Bytes that a gap takes in a proof.
fn len_bytes(gap: &Gap) -> usize {
    [&gap.left, &gap.right]
        .into_iter()
        .flatten()
        .map(|leaf| leaf.data.len() + 33 * leaf.path.0.len())
        .sum()
}
