//! Recomputes every hash of a net from the rows of its tables, payload bytes first, and names
//! what disagrees. Reads only. What the journal says is not asked here.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use blocknet_geocode::{Block, NetSpec};
use blocknet_kv::{KeyRange, Read};

use crate::block::{BlockVersion, Gene, Held};
use crate::body::{BlockTouch, Body, CommitInfo, closing_hash, version_leaf};
use crate::entity::Head;
use crate::error::{Fault, Hex, Result};
use crate::hash::{Hash, merkle_root};
use crate::key;
use crate::ledger::Ledger;
use crate::linking::{decode_block, decode_link, next_registry_head};
use crate::record::{Place, RowRef, Version, is_kept_or_erased};
use crate::touched::Touched;
use crate::writer::commit_info;
use crate::zone;

/// Something stored that does not agree with what the rest gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Disagreement {
    /// A row that others need is missing.
    Missing,
    /// A payload does not fit the commitment in its header.
    Payload,
    /// A version does not name the hash of its entity's version before.
    VersionChain,
    /// An entity's head does not hold the hash of its newest version.
    EntityHead,
    /// A block version's root is not that of what its commit did in the block.
    BlockRoot,
    /// A block version's hash is not that of its fields.
    BlockHash,
    /// A block version does not name the hash of the version before.
    BlockChain,
    /// A gene is not the newest hash of a predecessor when the version was made.
    Gene,
    /// A successor does not hold the newest version of its predecessor.
    Link,
    /// The registry does not hold the newest version of a block without successors, or holds
    /// another block.
    Registry,
    /// A registry head, in a block version or a commit, is not that of the registry's history.
    RegistryHead,
    /// A commit's root over its block versions is not theirs.
    BlocksRoot,
    /// A commit's root over what has no block is not that of its absences.
    UnplacedRoot,
    /// A commit's hash is not that of its header.
    CommitHash,
    /// A commit does not name the hash of the commit before.
    CommitChain,
    /// The tables do not hold the hash of the commit they say was applied last.
    Applied,
    /// A zone, or the total of a level, does not count the rows there are, or its altitudes do not
    /// hold theirs.
    Zone,
}

/// One disagreement and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What disagrees.
    pub what: Disagreement,
    /// The table that holds what disagrees.
    pub table: &'static str,
    /// The key of its row.
    pub key: Vec<u8>,
    /// The commit concerned, where there is one.
    pub commit: Option<u64>,
    /// The block concerned, where there is one.
    pub block: Option<Block>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}`, row {}: {:?}",
            self.table,
            Hex(&self.key),
            self.what
        )?;
        if let Some(commit) = self.commit {
            write!(f, ", commit {commit}")?;
        }
        if let Some(block) = &self.block {
            write!(f, ", block {block}")?;
        }
        Ok(())
    }
}

/// What an audit looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Commits.
    pub commits: u64,
    /// Commits whose definitions are in no table, so that their unplaced root was not recomputed.
    pub commits_of_definitions: u64,
    /// Versions of entities, each payload hashed.
    pub versions: u64,
    /// Versions of blocks.
    pub block_versions: u64,
    /// Genes.
    pub genes: u64,
    /// Rows of `links`.
    pub links: u64,
    /// Rows of `edges`.
    pub edges: u64,
    /// Findings.
    pub findings: u64,
}

/// Runs an audit; see [`crate::Net::audit`].
pub(crate) fn audit(
    read: &dyn Read,
    spec: &NetSpec,
    net: &[u8; 16],
    report: &mut dyn FnMut(Finding),
) -> Result<Audit> {
    let mut auditor = Auditor {
        read,
        spec,
        net,
        report,
        audit: Audit::default(),
        blocks: HashMap::new(),
        edges: BTreeSet::new(),
        entities: HashMap::new(),
        registry_head: Hash::ZERO,
        commit_hash: Hash::ZERO,
    };
    let ledger = Ledger::load(read)?.unwrap_or_else(Ledger::new);
    for number in 1..=ledger.commit {
        auditor.commit(number)?;
    }
    if ledger.hash != auditor.commit_hash {
        auditor.find(Disagreement::Applied, "meta", key::STATE, None, None);
    }
    auditor.held()?;
    auditor.heads()?;
    auditor.zones(&ledger)?;
    Ok(auditor.audit)
}

/// A block as the commits so far left it.
#[derive(Clone, Copy)]
struct Known {
    held: Held,
    round: u32,
    created: u64,
}

struct Auditor<'a> {
    read: &'a dyn Read,
    spec: &'a NetSpec,
    net: &'a [u8; 16],
    report: &'a mut dyn FnMut(Finding),
    audit: Audit,
    blocks: HashMap<Block, Known>,
    edges: BTreeSet<Block>,
    /// Hash of each entity's newest version.
    entities: HashMap<Vec<u8>, Hash>,
    registry_head: Hash,
    commit_hash: Hash,
}

/// (record key, index in the commit, leaf hash)
type Leaf = (Vec<u8>, u32, Hash);

impl Auditor<'_> {
    fn find(
        &mut self,
        what: Disagreement,
        table: &'static str,
        row_key: &[u8],
        commit: Option<u64>,
        block: Option<Block>,
    ) {
        self.audit.findings += 1;
        (self.report)(Finding {
            what,
            table,
            key: row_key.to_vec(),
            commit,
            block,
        });
    }

    fn commit(&mut self, number: u64) -> Result<()> {
        let row_key = key::commit(number, 0);
        let info = commit_info(self.read, number)?;
        self.audit.commits += 1;
        let at = Some(number);
        if info.compute_hash(self.net) != info.hash {
            self.find(Disagreement::CommitHash, "commits", &row_key, at, None);
        }
        if info.previous != self.commit_hash {
            self.find(Disagreement::CommitChain, "commits", &row_key, at, None);
        }
        self.commit_hash = info.hash;

        let touched = Touched::load(self.read, self.spec, number)?;
        let mut leaves: BTreeMap<Block, Vec<Leaf>> = BTreeMap::new();
        for block in touched.created.iter().chain(&touched.left) {
            leaves.entry(*block).or_default();
        }
        let absences = self.versions(number, &touched, &mut leaves)?;
        if info.assertions == 0 && touched.created.is_empty() {
            self.audit.commits_of_definitions += 1;
        } else if merkle_root(absences.iter().map(|hash| hash.0)) != info.unplaced_root {
            self.find(Disagreement::UnplacedRoot, "commits", &row_key, at, None);
        }
        self.block_versions(&info, leaves)
    }

    /// Hashes every version of a commit from its payload bytes. Returns the hashes of absences and
    /// puts all others, and what stands for closing rows, among the leaves of their blocks.
    fn versions(
        &mut self,
        number: u64,
        touched: &Touched,
        leaves: &mut BTreeMap<Block, Vec<Leaf>>,
    ) -> Result<Vec<Hash>> {
        let at = Some(number);
        let (mut absences, mut hashes) = (Vec::new(), Vec::new());
        for (index, record_key) in (0..).zip(&touched.versions) {
            let version = Version {
                commit: number,
                index,
            };
            self.audit.versions += 1;
            let history_key = key::history(record_key, version);
            let past = self.read.get(key::HISTORY, &history_key)?;
            let (table, row_key, row) = match past {
                Some(row) => ("history", history_key, Some(row)),
                None => (
                    "records",
                    record_key.clone(),
                    self.read.get(key::RECORDS, record_key)?,
                ),
            };
            let in_table = |fault: Fault| fault.in_table(table, &row_key);
            let decoded = match &row {
                Some(row) => Some(RowRef::decode(row).map_err(in_table)?),
                None => None,
            };
            let Some(row) = decoded.filter(|row| row.version == version) else {
                self.find(Disagreement::Missing, table, &row_key, at, None);
                hashes.push(Hash::ZERO);
                continue;
            };
            let header = row.header(self.spec).map_err(in_table)?;
            let entity = key::entity(header.layer, &header.id);
            let hash = header.hash(self.net, version);
            hashes.push(hash);
            if key::record(&header.place, &entity) != *record_key {
                self.find(Disagreement::Missing, table, &row_key, at, None);
                continue;
            }
            if !is_kept_or_erased(&row.salt, row.payload, header.commitment) {
                self.find(Disagreement::Payload, table, &row_key, at, None);
            }
            let before = self.entities.insert(entity, hash);
            if before.unwrap_or(Hash::ZERO) != header.previous {
                self.find(Disagreement::VersionChain, table, &row_key, at, None);
            }
            if header.is_absence() {
                absences.push(hash);
                continue;
            }
            let block = self.block_of(record_key)?;
            let leaf = (record_key.clone(), index, hash);
            leaves.entry(block).or_default().push(leaf);
        }
        for closed in &touched.closings {
            let (index, record_key) = (&closed.index, &closed.record_key);
            let version = Version {
                commit: number,
                index: *index,
            };
            let row_key = key::history(record_key, version);
            if self.read.get(key::HISTORY, &row_key)?.is_none() {
                self.find(Disagreement::Missing, "history", &row_key, at, None);
            }
            let closed_by = hashes.get(*index as usize).copied().unwrap_or(Hash::ZERO);
            let leaf = (record_key.clone(), *index, closing_hash(closed_by));
            let block = self.block_of(record_key)?;
            leaves.entry(block).or_default().push(leaf);
        }
        Ok(absences)
    }

    /// Compares zones and level totals with the rows they count, in both directions.
    fn zones(&mut self, ledger: &Ledger) -> Result<()> {
        let mut expected = zone::expected(self.read, self.spec)?;
        let mut levels: BTreeMap<u8, zone::Rows> = BTreeMap::new();
        for (row_key, (rows, _)) in &expected {
            if row_key[0] == row_key[1] {
                let total = levels.entry(row_key[0]).or_default();
                total.live += rows.live;
                total.past += rows.past;
            }
        }
        if levels != ledger.levels {
            self.find(Disagreement::Zone, "meta", key::STATE, None, None);
        }
        let mut disagreeing = Vec::new();
        let mut cursor = self.read.cursor(key::ZONES, &KeyRange::all())?;
        while let Some((row_key, value)) = cursor.entry() {
            let (rows, heights) = expected
                .remove(row_key)
                .unwrap_or((zone::Rows::default(), zone::Heights::NONE));
            if !zone::agrees(value, rows, &heights) {
                disagreeing.push(row_key.to_vec());
            }
            cursor.advance()?;
        }
        drop(cursor);
        disagreeing.extend(expected.into_keys());
        for row_key in disagreeing {
            self.find(Disagreement::Zone, "zones", &row_key, None, None);
        }
        Ok(())
    }

    /// The block of a record key: an unknown altitude is stored as that of the lowest band.
    fn block_of(&self, record_key: &[u8]) -> Result<Block> {
        let fault = |fault: Fault| fault.in_table("commits", record_key);
        let (&level, rest) = record_key
            .split_first()
            .ok_or_else(|| fault(Fault::Truncated { need: 1, have: 0 }))?;
        let len = Place::len_bytes(self.spec, level).map_err(fault)? - 1;
        let geocode = rest
            .split_at_checked(len)
            .and_then(|(code, _)| self.spec.from_stored(code, level, true).ok())
            .ok_or_else(|| fault(Fault::Value { what: "record key" }))?;
        Ok(self.spec.block(&geocode))
    }

    /// Checks the block versions of a commit, in the total order, and what hangs on them.
    fn block_versions(
        &mut self,
        info: &CommitInfo,
        leaves: BTreeMap<Block, Vec<Leaf>>,
    ) -> Result<()> {
        let (number, at) = (info.number, Some(info.number));
        let mut versions = Vec::with_capacity(leaves.len());
        for (block, mut leaves) in leaves {
            let row_key = key::block(&block, number);
            let Some(bytes) = self.read.get(key::BLOCKS, &row_key)? else {
                self.find(Disagreement::Missing, "blocks", &row_key, at, Some(block));
                continue;
            };
            let (_, version) = decode_block(self.spec, &row_key, &bytes)?;
            leaves.sort_unstable();
            let root = merkle_root(
                leaves
                    .iter()
                    .map(|(record_key, _, hash)| version_leaf(record_key, *hash)),
            );
            versions.push((version.rank(&block), version, root));
        }
        versions.sort_unstable_by_key(|(rank, ..)| *rank);
        let (mut touches, mut registry) = (Vec::new(), BTreeMap::new());
        for ((.., block), version, root) in versions {
            self.audit.block_versions += 1;
            self.audit.genes += version.genes.len() as u64;
            self.block_version(&block, &version, root);
            let known = Known {
                held: version.held(),
                round: version.round,
                created: version.created,
            };
            self.blocks.insert(block, known);
            touches.push(BlockTouch {
                block,
                hash: version.hash,
                rows: version.rows,
                created: version.origin,
            });
        }
        for touch in &touches {
            if self.around(&touch.block, false).is_empty() {
                self.edges.insert(touch.block);
                registry.insert(touch.block, Some(touch.hash));
            }
            if touch.created.is_none() {
                continue;
            }
            for predecessor in self.around(&touch.block, true) {
                if self.edges.remove(&predecessor.block) {
                    registry.insert(predecessor.block, None);
                }
            }
        }
        let row_key = key::commit(number, 0);
        touches.sort_unstable_by_key(|touch| touch.block);
        if Body::blocks_root(&touches) != info.blocks_root {
            self.find(Disagreement::BlocksRoot, "commits", &row_key, at, None);
        }
        self.registry_head = next_registry_head(self.net, self.registry_head, &registry);
        if self.registry_head != info.registry_head {
            self.find(Disagreement::RegistryHead, "commits", &row_key, at, None);
            // Reported once: later commits are held against what this one says.
            self.registry_head = info.registry_head;
        }
        Ok(())
    }

    fn block_version(&mut self, block: &Block, version: &BlockVersion, root: Hash) {
        let row_key = key::block(block, version.commit);
        let before = self.blocks.get(block).map_or(Hash::ZERO, |k| k.held.hash);
        let registry_head = self.registry_head;
        let genes = if version.origin.is_some() {
            // The block is not among the known ones yet.
            self.neighbours(block, (version.round, version.created, *block), true)
        } else {
            self.around(block, true)
        };
        let checks = [
            (Disagreement::BlockRoot, version.root == root),
            (
                Disagreement::BlockHash,
                version.compute_hash(self.net, block) == version.hash,
            ),
            (Disagreement::BlockChain, version.previous == before),
            (Disagreement::Gene, version.genes == genes),
            (
                Disagreement::RegistryHead,
                version.registry_head == registry_head,
            ),
        ];
        for (what, holds) in checks {
            if !holds {
                self.find(what, "blocks", &row_key, Some(version.commit), Some(*block));
            }
        }
    }

    /// Predecessors or successors of a known block, as genes of its next version would name them.
    fn around(&self, block: &Block, before: bool) -> Vec<Gene> {
        match self.blocks.get(block) {
            Some(known) => self.neighbours(block, (known.round, known.created, *block), before),
            None => Vec::new(),
        }
    }

    fn neighbours(&self, block: &Block, rank: (u32, u64, Block), before: bool) -> Vec<Gene> {
        let sides = self.spec.block_neighbours(block).into_iter().flatten();
        let mut genes: Vec<Gene> = sides
            .filter_map(|side| {
                let known = self.blocks.get(&side)?;
                let is_before = (known.round, known.created, side) < rank;
                (is_before == before).then_some(Gene {
                    block: side,
                    commit: known.held.commit,
                    hash: known.held.hash,
                })
            })
            .collect();
        genes.sort_unstable_by_key(|gene| gene.block);
        genes
    }

    /// Checks what successors and registry hold of the newest versions.
    fn held(&mut self) -> Result<()> {
        let mut cursor = self.read.cursor(key::LINKS, &KeyRange::all())?;
        let mut links = 0;
        while let Some((row_key, value)) = cursor.entry() {
            let (successor, predecessor, held) = decode_link(self.spec, row_key, value)?;
            let newest = self.around(&successor, true);
            let newest = newest.iter().find(|gene| gene.block == predecessor);
            if newest.map(|gene| (gene.commit, gene.hash)) != Some((held.commit, held.hash)) {
                let row_key = row_key.to_vec();
                self.find(
                    Disagreement::Link,
                    "links",
                    &row_key,
                    Some(held.commit),
                    Some(predecessor),
                );
            }
            links += 1;
            cursor.advance()?;
        }
        self.audit.links = links;
        let all: Vec<Block> = self.blocks.keys().copied().collect();
        for successor in all {
            for predecessor in self.around(&successor, true) {
                let row_key = key::link(&successor, &predecessor.block);
                if self.read.get(key::LINKS, &row_key)?.is_none() {
                    let block = Some(predecessor.block);
                    self.find(Disagreement::Missing, "links", &row_key, None, block);
                }
            }
        }
        let mut cursor = self.read.cursor(key::EDGES, &KeyRange::all())?;
        let mut found = BTreeSet::new();
        while let Some((row_key, value)) = cursor.entry() {
            let in_table = |fault: Fault| fault.in_table("edges", row_key);
            let block = key::parse_edge(self.spec, row_key).map_err(in_table)?;
            let held = Held::decode(value).map_err(in_table)?;
            let newest = self.blocks.get(&block).map(|known| known.held);
            if newest != Some(held) || !self.edges.contains(&block) {
                let row_key = row_key.to_vec();
                let commit = Some(held.commit);
                self.find(
                    Disagreement::Registry,
                    "edges",
                    &row_key,
                    commit,
                    Some(block),
                );
            }
            found.insert(block);
            self.audit.edges += 1;
            cursor.advance()?;
        }
        for block in self.edges.clone().difference(&found) {
            let row_key = block.to_packed();
            self.find(
                Disagreement::Missing,
                "edges",
                row_key.as_ref(),
                None,
                Some(*block),
            );
        }
        Ok(())
    }

    /// Checks that each entity's head holds the hash of its newest version.
    fn heads(&mut self) -> Result<()> {
        let mut cursor = self.read.cursor(key::ENTITIES, &KeyRange::all())?;
        while let Some((row_key, value)) = cursor.entry() {
            let head = Head::decode(value, self.spec)
                .map_err(|fault| fault.in_table("entities", row_key))?;
            if self.entities.remove(row_key) != Some(head.hash) {
                let (row_key, commit) = (row_key.to_vec(), Some(head.newest.commit));
                self.find(Disagreement::EntityHead, "entities", &row_key, commit, None);
            }
            cursor.advance()?;
        }
        for entity in std::mem::take(&mut self.entities).into_keys() {
            self.find(Disagreement::Missing, "entities", &entity, None, None);
        }
        Ok(())
    }
}
