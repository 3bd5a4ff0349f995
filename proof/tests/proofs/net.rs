//! A net made by hand, straight from docs/format.md: blocks of two bytes, codes of four.

use std::collections::BTreeMap;

use blocknet_proof::{
    Apart, Checkpoint, CommitProof, CommitVersions, ConsistencyProof, Filed, Gap, Hash,
    HistoryProof, LaterCommit, Leaf, Note, PayloadPart, Role, SecretKey, Since, Tree, VersionPart,
    log,
};
use sha2::{Digest as _, Sha256};
use tlog_tiles::{Error, HashReader};

pub(crate) const NET: [u8; 16] = [0x5a; 16];

/// What a version states.
#[derive(Clone, Debug)]
pub(crate) struct Assert {
    pub(crate) id: &'static str,
    /// Code of its place; none for an absence.
    pub(crate) at: Option<[u8; 4]>,
    /// Valid interval.
    pub(crate) valid: (i64, i64),
    pub(crate) payload: &'static [u8],
    /// Codes of places that it closes.
    pub(crate) closes: Vec<[u8; 4]>,
}

pub(crate) fn state(id: &'static str, at: [u8; 4]) -> Assert {
    Assert {
        id,
        at: Some(at),
        valid: (0, i64::MAX),
        payload: b"{}",
        closes: Vec::new(),
    }
}

#[derive(Clone, Debug)]
struct BlockVersion {
    /// Hash input behind domain and net.
    input: Vec<u8>,
    hash: Hash,
    /// Record key and hash, sorted.
    leaves: Vec<Vec<u8>>,
}

#[derive(Clone, Debug)]
struct Version {
    index: u32,
    header: Vec<u8>,
    at: Option<[u8; 4]>,
    leaf: Vec<u8>,
    salt: [u8; 16],
    payload: Vec<u8>,
}

#[derive(Clone, Debug)]
struct Commit {
    header: Vec<u8>,
    hash: Hash,
    blocks: BTreeMap<Vec<u8>, BlockVersion>,
    unplaced: Vec<Vec<u8>>,
    versions: BTreeMap<&'static str, Vec<Version>>,
}

/// What a net that does not keep its own rules may put under its hashes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Lie {
    #[default]
    None,
    /// A version's ordinal is one too high.
    Ordinal,
    /// A version names another one before it.
    VersionBefore,
    /// A payload is said to be a byte longer.
    PayloadLen,
    /// A block version is of another commit.
    BlockCommit,
    /// The commit names another one before it.
    CommitBefore,
}

#[derive(Default)]
pub(crate) struct Net {
    /// About all commits to come.
    pub(crate) lie: Lie,
    commits: Vec<Commit>,
    /// Versions and the hash of the last, by id.
    heads: BTreeMap<&'static str, (u64, Hash)>,
    nodes: Nodes,
}

#[derive(Default)]
struct Nodes(Vec<tlog_tiles::Hash>);

impl HashReader for Nodes {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog_tiles::Hash>, Error> {
        let node = |index: &u64| self.0[usize::try_from(*index).unwrap()];
        Ok(indexes.iter().map(node).collect())
    }
}

fn hash(domain: &str, fields: &[&[u8]]) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update((domain.len() as u64).to_le_bytes());
    hasher.update(domain);
    for field in fields {
        hasher.update(field);
    }
    hasher.finalize().into()
}

fn bytes64(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u64).to_le_bytes()[..], bytes].concat()
}

fn bytes16(bytes: &[u8]) -> Vec<u8> {
    [
        &u16::try_from(bytes.len()).unwrap().to_le_bytes()[..],
        bytes,
    ]
    .concat()
}

fn place(code: [u8; 4]) -> Vec<u8> {
    [&[3][..], &code].concat()
}

pub(crate) fn record_key(id: &str, code: [u8; 4]) -> Vec<u8> {
    [&place(code)[..], &[0, 1], id.as_bytes(), &[0, 0]].concat()
}

/// Record key, index and hash of what a commit files in each block.
type Filing = BTreeMap<Vec<u8>, Vec<(Vec<u8>, u32, Hash)>>;

/// A version header (docs/format.md, "Header").
fn version_header(
    assert: &Assert,
    ordinal: u64,
    previous: Hash,
    salt: [u8; 16],
    lie: Lie,
) -> Vec<u8> {
    let ordinal = ordinal + u64::from(lie == Lie::Ordinal);
    let previous = if lie == Lie::VersionBefore {
        [6; 32]
    } else {
        previous
    };
    let commitment = hash("blocknet/payload/1", &[&salt, &bytes64(assert.payload)]);
    let mut header = [&1_u16.to_le_bytes()[..], &bytes16(assert.id.as_bytes())].concat();
    header.extend(ordinal.to_le_bytes());
    header.extend(u16::from(assert.at.is_none()).to_le_bytes());
    header.push(0);
    header.extend(assert.valid.0.to_le_bytes());
    header.extend(assert.valid.1.to_le_bytes());
    match assert.at {
        Some(code) => {
            header.extend(place(code));
            for degrees in [4.5_f64, 52.0, 4.75, 52.25] {
                header.extend(degrees.to_le_bytes());
            }
        }
        None => header.push(0xff),
    }
    let len = u32::try_from(assert.payload.len()).unwrap() + u32::from(lie == Lie::PayloadLen);
    header.extend(len.to_le_bytes());
    header.extend(commitment);
    header.extend(previous);
    header.push(1);
    header.extend(bytes16(b"surveyor"));
    header
}

/// A later version of a block (docs/format.md, "Hashes").
fn block_version(block: &[u8], number: u64, mut leaves: Vec<(Vec<u8>, u32, Hash)>) -> BlockVersion {
    leaves.sort();
    let leaves: Vec<Vec<u8>> = leaves
        .iter()
        .map(|(key, _, hash)| [&key[..], hash].concat())
        .collect();
    let mut input = [&[3][..], &bytes64(block), &number.to_le_bytes()].concat();
    input.extend([7; 32]);
    input.extend(Tree::new(&leaves).root());
    input.extend([0; 16]);
    input.extend([8; 32]);
    input.push(0);
    BlockVersion {
        hash: hash("blocknet/block/2", &[&NET, &input]),
        input,
        leaves,
    }
}

/// A commit header and its hash (docs/format.md, "Commit header").
pub(crate) fn commit_header(number: u64, assertions: usize, roots: [Hash; 3]) -> (Vec<u8>, Hash) {
    let recorded = 1000 + i64::try_from(number % 1000).unwrap();
    let mut front = [number.to_le_bytes(), recorded.to_le_bytes()].concat();
    front.push(1);
    front.extend(2000_i64.to_le_bytes());
    let texts: [&[u8]; 3] = [b"ann", b"", b"deed 7"];
    let mut back = roots.concat();
    back.extend([9; 32]);
    back.extend([0; 40]);
    back.extend(u32::try_from(assertions).unwrap().to_le_bytes());
    let fields: [&[u8]; 4] = [&NET, &front, &texts.map(bytes64).concat(), &back];
    let hash = hash("blocknet/commit/1", &fields);
    let short = texts.map(bytes16).concat();
    let header = [&[2][..], &front, &short, &back, &hash].concat();
    (header, hash)
}

impl Net {
    pub(crate) fn commit(&mut self, asserts: &[Assert]) {
        let number = self.size() + 1;
        let mut filing = Filing::new();
        let mut unplaced = Vec::new();
        let mut versions: BTreeMap<&'static str, Vec<Version>> = BTreeMap::new();
        if number == 1 {
            unplaced.push(hash("blocknet/definition/1", &[&bytes64(b"net")]).to_vec());
        }
        for (index, assert) in (0_u32..).zip(asserts) {
            let (before, previous) = self.heads.get(assert.id).copied().unwrap_or_default();
            let salt = [u8::try_from(number).unwrap(); 16];
            let header = version_header(assert, before + 1, previous, salt, self.lie);
            let numbers = [&number.to_le_bytes()[..], &index.to_le_bytes()].concat();
            let hash_of = hash("blocknet/version/1", &[&NET, &numbers, &bytes64(&header)]);
            let mut leaf = hash_of.to_vec();
            let mut file = |code: [u8; 4], hash: Hash| {
                let (block, key) = (code[..2].to_vec(), record_key(assert.id, code));
                let leaf = [&key[..], &hash].concat();
                filing.entry(block).or_default().push((key, index, hash));
                leaf
            };
            match assert.at {
                Some(code) => leaf = file(code, hash_of),
                None => unplaced.push(leaf.clone()),
            }
            for code in &assert.closes {
                file(*code, hash("blocknet/closing/1", &[&hash_of]));
            }
            versions.entry(assert.id).or_default().push(Version {
                index,
                header,
                at: assert.at,
                leaf,
                salt,
                payload: assert.payload.to_vec(),
            });
            self.heads.insert(assert.id, (before + 1, hash_of));
        }
        let blocks: BTreeMap<_, _> = filing
            .into_iter()
            .map(|(block, leaves)| {
                let number = number + u64::from(self.lie == Lie::BlockCommit);
                let version = block_version(&block, number, leaves);
                (block, version)
            })
            .collect();
        let previous = self.commits.last().map_or([0; 32], |commit| commit.hash);
        let previous = if self.lie == Lie::CommitBefore {
            [6; 32]
        } else {
            previous
        };
        let roots = [
            previous,
            block_tree(&blocks).root(),
            Tree::new(&unplaced).root(),
        ];
        let (header, hash) = commit_header(number, asserts.len(), roots);
        let new = tlog_tiles::stored_hashes(number - 1, &hash, &self.nodes).unwrap();
        self.nodes.0.extend(new);
        self.commits.push(Commit {
            header,
            hash,
            blocks,
            unplaced,
            versions,
        });
    }

    pub(crate) fn size(&self) -> u64 {
        self.commits.len() as u64
    }

    pub(crate) fn note(&self, size: u64) -> Note {
        let root = tlog_tiles::tree_hash(size, &self.nodes).unwrap().0;
        let mut note = Note::new(Checkpoint::new(NET, size, root).unwrap());
        note.sign(&log_key()).unwrap();
        note
    }

    fn path(&self, number: u64, size: u64) -> Vec<Hash> {
        let path = tlog_tiles::prove_record(size, number - 1, &self.nodes).unwrap();
        path.iter().map(|node| node.0).collect()
    }

    pub(crate) fn prove_commit(&self, number: u64, size: u64) -> CommitProof {
        CommitProof {
            header: self.at(number).header.clone(),
            index: number - 1,
            path: self.path(number, size),
            note: self.note(size),
        }
    }

    pub(crate) fn prove_consistency(&self, from: u64, to: u64) -> ConsistencyProof {
        let hashes = tlog_tiles::prove_tree(to, from, &self.nodes).unwrap();
        ConsistencyProof {
            hashes: hashes.iter().map(|node| node.0).collect(),
            from: self.note(from),
            to: self.note(to),
        }
    }

    /// The first `count` versions of an entity.
    pub(crate) fn prove_history(
        &self,
        id: &'static str,
        count: usize,
        size: u64,
        untouched: bool,
        payload: bool,
    ) -> HistoryProof {
        let mut left = count;
        let mut commits = Vec::new();
        let mut states = false;
        for number in 1..=size {
            let commit = self.at(number);
            let versions = commit.versions.get(id).map_or(&[][..], Vec::as_slice);
            let taken = &versions[..versions.len().min(left)];
            left -= taken.len();
            states |= taken.iter().any(|version| version.at.is_some());
            if !taken.is_empty() {
                let versions = taken
                    .iter()
                    .map(|version| commit.part(version, payload))
                    .collect();
                let header = commit.header.clone();
                let path = self.path(number, size);
                commits.push((number, (CommitVersions { header, versions }, path)));
            }
        }
        assert_eq!(left, 0, "not so many versions");
        let since = untouched.then(|| self.since(id, &mut commits, size));
        HistoryProof {
            layer: 1,
            id: id.to_owned(),
            code_len: states.then_some(4),
            commits: commits.into_iter().map(|(_, commit)| commit).collect(),
            since,
            note: self.note(size),
        }
    }

    fn since(
        &self,
        id: &'static str,
        commits: &mut Vec<(u64, (CommitVersions, Vec<Hash>))>,
        size: u64,
    ) -> Since {
        let (number, (part, _)) = commits.pop().unwrap();
        let commit = self.at(number);
        let version = &commit.versions[id][part.versions.len() - 1];
        let code = version.at.expect("a state");
        let (block, key) = (&code[..2], record_key(id, code));
        let leaves = &commit.blocks[block].leaves;
        let position = leaves
            .iter()
            .position(|leaf| *leaf == version.leaf)
            .unwrap();
        let later = (number + 1..=size).map(|later| {
            let commit = self.at(later);
            let apart = if commit.blocks.contains_key(block) {
                self.beside(later, block, &key)
            } else {
                Apart::Elsewhere(gap(&commit.block_leaves(), block))
            };
            let header = commit.header.clone();
            LaterCommit { header, apart }
        });
        let peaks = self
            .nodes
            .read_hashes(&log::peak_indexes(number - 1))
            .unwrap();
        Since {
            peaks: peaks.iter().map(|node| node.0).collect(),
            next: leaf(leaves, position + 1),
            later: later.collect(),
            commit: part,
        }
    }

    /// What a commit did in a block, as if that showed that it left `key` alone.
    pub(crate) fn beside(&self, number: u64, block: &[u8], key: &[u8]) -> Apart {
        let commit = self.at(number);
        let version = &commit.blocks[block];
        Apart::Beside {
            block: version.input.clone(),
            block_path: commit.block_path(block),
            gap: gap(&version.leaves, key),
        }
    }

    fn at(&self, number: u64) -> &Commit {
        &self.commits[usize::try_from(number - 1).unwrap()]
    }
}

impl Commit {
    fn part(&self, version: &Version, payload: bool) -> VersionPart {
        let filed = match version.at {
            None => {
                let position = self.unplaced.iter().position(|leaf| *leaf == version.leaf);
                Filed::Unplaced(Tree::new(&self.unplaced).path(position.unwrap()).unwrap())
            }
            Some(code) => {
                let block = &self.blocks[&code[..2]];
                let position = block.leaves.iter().position(|leaf| *leaf == version.leaf);
                Filed::Block {
                    path: Tree::new(&block.leaves).path(position.unwrap()).unwrap(),
                    block: block.input.clone(),
                    block_path: self.block_path(&code[..2]),
                }
            }
        };
        let payload = if payload {
            let (salt, bytes) = (version.salt, version.payload.clone());
            PayloadPart::Shown { salt, bytes }
        } else {
            PayloadPart::Withheld
        };
        VersionPart {
            index: version.index,
            header: version.header.clone(),
            filed,
            payload,
        }
    }

    fn block_leaves(&self) -> Vec<Vec<u8>> {
        block_leaves(&self.blocks)
    }

    fn block_path(&self, block: &[u8]) -> blocknet_proof::Path {
        let position = self.blocks.keys().position(|key| key == block).unwrap();
        block_tree(&self.blocks).path(position).unwrap()
    }
}

fn block_leaves(blocks: &BTreeMap<Vec<u8>, BlockVersion>) -> Vec<Vec<u8>> {
    let leaf = |(block, version): (&Vec<u8>, &BlockVersion)| [&block[..], &version.hash].concat();
    blocks.iter().map(leaf).collect()
}

fn block_tree(blocks: &BTreeMap<Vec<u8>, BlockVersion>) -> Tree {
    Tree::new(block_leaves(blocks))
}

fn leaf(leaves: &[Vec<u8>], position: usize) -> Option<Leaf> {
    let path = Tree::new(leaves).path(position)?;
    let data = leaves[position].clone();
    Some(Leaf { data, path })
}

/// The leaves around a key.
pub(crate) fn gap(leaves: &[Vec<u8>], key: &[u8]) -> Gap {
    let position = leaves.partition_point(|leaf| leaf[..leaf.len() - 32] < *key);
    Gap {
        left: position.checked_sub(1).and_then(|left| leaf(leaves, left)),
        right: leaf(leaves, position),
    }
}

pub(crate) fn log_key() -> SecretKey {
    SecretKey::from_seed("test.example/net", Role::Log, &[1; 32]).unwrap()
}

pub(crate) fn witness_key() -> SecretKey {
    SecretKey::from_seed("test.example/witness", Role::Witness, &[2; 32]).unwrap()
}

/// The net of the fixtures: a house that is built, corrected and moved, with other things going on
/// in its block and elsewhere.
pub(crate) fn example() -> Net {
    let home = [0x11, 0x11, 0xaa, 0];
    let away = [0x22, 0x22, 0, 0];
    let beside = [0x11, 0x11, 0xab, 0];
    let mut net = Net::default();
    net.commit(&[]);
    net.commit(&[state("house", home), state("shed", beside)]);
    net.commit(&[Assert {
        at: None,
        valid: (5, 9),
        closes: vec![home],
        ..state("house", home)
    }]);
    net.commit(&[state("tree", away)]);
    net.commit(&[
        state("barn", beside),
        Assert {
            closes: vec![home],
            payload: b"{\"storeys\":2}",
            ..state("house", away)
        },
    ]);
    net.commit(&[state("shed", [0, 0, 0, 0]), state("tree", [0x33; 4])]);
    net.commit(&[
        state("tree", away),
        state("barn", [0x22, 0x22, 0, 1]),
        state("zoo", away),
    ]);
    net.commit(&[]);
    net
}
