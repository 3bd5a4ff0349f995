//! What a commit body implies: the hashes of its versions, the roots of its blocks, and the rows it
//! writes, as far as they follow from the body alone. And the way back: a body from the rows.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use blocknet_geocode::{Block, NetSpec};
use blocknet_kv::{Bytes, Read, Table};

use crate::apply::{Bounds, commit_rows, decode_net};
use crate::block::{BlockVersion, encode_origin};
use crate::body::{
    BlockTouch, Body, ClosingAt, CommitInfo, Definition, closing_hash, version_leaf,
};
use crate::codec::{Decoder, Encoder};
use crate::entity::{Hull, Track};
use crate::erase::ordered_by;
use crate::error::{Error, ErrorKind, Fault, Result};
use crate::hash::{Hash, merkle_root};
use crate::key;
use crate::layer::LayerId;
use crate::ledger::Ledger;
use crate::linking::decode_block;
use crate::record::{
    Closing, Header, Place, RowRef, SALT_LEN_BYTES, Version, commitment, erased_by, flag,
    is_accounted_for, is_payload_lost,
};
use crate::touched::{Defined, Touched};

use super::Run;
use super::finding::{Code, Side};
use super::sums::{Class, Sink};

/// Goes on with what is proven, or answers why it is not.
macro_rules! proven {
    ($result:expr) => {
        match $result {
            Ok(value) => value,
            Err(why) => return Ok(Err(Unproven::from(why))),
        }
    };
}
pub(super) use proven;

/// A body with everything that follows from it.
pub(super) struct Content<'a> {
    spec: &'a NetSpec,
    net: &'a [u8; 16],
    pub(super) body: &'a Body,
    pub(super) hashes: Vec<Hash>,
    /// Root over what the commit did in each block; none for a block it only created.
    roots: BTreeMap<Block, Hash>,
}

/// A check that a body fails.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) code: Code,
    /// Index of the version, where it is about one.
    pub(super) index: Option<u32>,
    pub(super) expected: String,
    pub(super) found: String,
}

impl Failed {
    fn new(code: Code, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            code,
            index: None,
            expected: expected.into(),
            found: found.into(),
        }
    }
}

impl Failed {
    fn hashes(code: Code, expected: Hash, found: Hash) -> Self {
        Self::new(code, expected.to_string(), found.to_string())
    }
}

/// The block of a place; `None` for NOWHERE and for codes that the spec cannot have written.
pub(crate) fn block_of(spec: &NetSpec, place: &Place, altitude_known: bool) -> Option<Block> {
    if place.is_nowhere() {
        return None;
    }
    Some(spec.block(&place.geocode(spec, altitude_known)?))
}

impl<'a> Content<'a> {
    /// Hashes all versions. `None` when a place is one that no writer gives.
    pub(super) fn of(spec: &'a NetSpec, net: &'a [u8; 16], body: &'a Body) -> Option<Self> {
        let number = body.info.number;
        let mut leaves: BTreeMap<Block, Vec<(Vec<u8>, u32, Hash)>> = BTreeMap::new();
        let mut hashes = Vec::with_capacity(body.assertions.len());
        for (index, header) in (0..).zip(&body.assertions) {
            let version = Version {
                commit: number,
                index,
            };
            let hash = header.hash(net, version);
            hashes.push(hash);
            if header.is_absence() {
                continue;
            }
            let block = block_of(spec, &header.place, header.altitude_known())?;
            let leaf = (record_key(header), index, hash);
            leaves.entry(block).or_default().push(leaf);
        }
        for closing in &body.closings {
            let header = body.assertions.get(closing.assertion as usize)?;
            let block = block_of(spec, &closing.place, closing.altitude_known)?;
            let closed = key::record(&closing.place, &key::entity(header.layer, &header.id));
            let hash = closing_hash(*hashes.get(closing.assertion as usize)?);
            let leaf = (closed, closing.assertion, hash);
            leaves.entry(block).or_default().push(leaf);
        }
        let roots = leaves
            .into_iter()
            .map(|(block, mut leaves)| {
                leaves.sort_unstable();
                let root = merkle_root(
                    leaves
                        .iter()
                        .map(|(record_key, _, hash)| version_leaf(record_key, *hash)),
                );
                (block, root)
            })
            .collect();
        Some(Self {
            spec,
            net,
            body,
            hashes,
            roots,
        })
    }

    /// Root over what the commit did in each block in which it did anything.
    pub(super) fn roots(&self) -> &BTreeMap<Block, Hash> {
        &self.roots
    }

    fn root(&self, block: &Block) -> Hash {
        root_of(&self.roots, block)
    }

    /// The blocks in which it filed and closed nothing, and which it did not create.
    fn left(&self) -> impl Iterator<Item = &Block> {
        self.body.blocks.iter().filter_map(|touch| {
            let bare = touch.created.is_none() && !self.roots.contains_key(&touch.block);
            bare.then_some(&touch.block)
        })
    }

    /// What of the body does not fit its own hashes. Block hashes are not among them: they need
    /// the blocks' versions before.
    pub(super) fn check(&self, erasable: Option<&[u8]>) -> Vec<Failed> {
        let mut failed = Vec::new();
        let info = &self.body.info;
        let hash = info.compute_hash(self.net);
        if hash != info.hash {
            failed.push(Failed::hashes(Code::CommitHash, hash, info.hash));
        }
        let root = Body::blocks_root(&self.body.blocks);
        if root != info.blocks_root {
            failed.push(Failed::hashes(Code::BlocksRoot, root, info.blocks_root));
        }
        let touched: BTreeSet<Block> = self.body.blocks.iter().map(|touch| touch.block).collect();
        if let Some(block) = self.roots.keys().find(|block| !touched.contains(block)) {
            let found = format!("block {block} is not among the commit's blocks");
            failed.push(Failed::new(Code::BlocksRoot, "all blocks touched", found));
        }
        let root = Body::unplaced_root(&self.body.definitions, &self.body.assertions, &self.hashes);
        if root != info.unplaced_root {
            failed.push(Failed::hashes(Code::UnplacedRoot, root, info.unplaced_root));
        }
        if let Some(erasable) = erasable {
            self.check_payloads(erasable, &mut failed);
        }
        failed
    }

    /// The versions whose payload is erased, and by which commits.
    pub(super) fn erased(&self, erasable: &[u8]) -> Vec<(Version, u64)> {
        erased_in(self.body, erasable)
    }

    fn check_payloads(&self, erasable: &[u8], failed: &mut Vec<Failed>) {
        let mut input = Decoder(erasable);
        for (index, header) in (0..).zip(&self.body.assertions) {
            let part = input
                .array::<SALT_LEN_BYTES>()
                .and_then(|salt| Ok((salt, input.raw(header.payload_len as usize)?)));
            let Ok((salt, payload)) = part else {
                let found = "the section ends early";
                failed.push(Failed::new(Code::Payload, "a payload", found));
                return;
            };
            if !is_accounted_for(&salt, payload, header.commitment) {
                let found = commitment(&salt, payload);
                failed.push(Failed {
                    index: Some(index),
                    ..Failed::hashes(Code::Payload, header.commitment, found)
                });
            }
        }
        if !input.0.is_empty() {
            let found = format!("{} bytes too many", input.0.len());
            failed.push(Failed::new(Code::Payload, "the end of the section", found));
        }
    }

    /// Hands out which of its own payloads are erased, as far as the tables know the commit that
    /// did it.
    pub(super) fn emit_erased(&self, sink: &mut dyn Sink, erasable: &[u8], run: &Run<'_>) {
        for (version, by) in self.erased(erasable) {
            if by <= run.applied && !run.is_lost(by) {
                let key = encode_version(version);
                sink.row(Side::Tables, Class::ErasedFrame, &key, &by.to_be_bytes());
            }
        }
    }

    /// Hands out which of its own versions are lost.
    pub(super) fn emit_lost(&self, sink: &mut dyn Sink, erasable: &[u8]) {
        for (version, lost) in lost_in(self.body, erasable) {
            emit_lost(sink, Side::Journal, version, lost);
        }
    }

    /// Hands out what the commit has erased.
    fn emit_erasures(&self, sink: &mut dyn Sink) {
        let by = self.body.info.number.to_be_bytes();
        for definition in &self.body.definitions {
            if let Definition::Erasure(version) = definition {
                let key = encode_version(*version);
                sink.row(Side::Journal, Class::ErasedRow, &key, &by);
                sink.row(Side::Journal, Class::ErasedFrame, &key, &by);
            }
        }
    }

    /// Hands out every row that follows from the body, and the links of the version chains.
    pub(super) fn emit(&self, sink: &mut dyn Sink) {
        let number = self.body.info.number;
        self.emit_erasures(sink);
        for ((index, header), hash) in (0..).zip(&self.body.assertions).zip(&self.hashes) {
            let version = Version {
                commit: number,
                index,
            };
            emit_version(sink, Side::Journal, &record_key(header), version, *hash);
            let entity = key::entity(header.layer, &header.id);
            let track = Track {
                ordinal: header.ordinal,
                version,
                valid: header.valid,
                flags: header.flags & !flag::LOST,
                place: header.place,
                hull: Hull::of(header.valid),
            };
            emit_track(sink, Side::Journal, &entity, &track);
            emit_chain(sink, Side::Journal, &entity, header.ordinal, *hash);
            if header.ordinal > 1 {
                let before = header.ordinal - 1;
                emit_chain(sink, Side::Tables, &entity, before, header.previous);
            }
        }
        for closing in &self.body.closings {
            let Some(header) = self.body.assertions.get(closing.assertion as usize) else {
                continue;
            };
            let version = Version {
                commit: number,
                index: closing.assertion,
            };
            let closed = key::record(&closing.place, &key::entity(header.layer, &header.id));
            let row = Closing {
                valid: header.valid,
                moved_to: header.place,
            };
            let history_key = key::history(&closed, version);
            sink.row(Side::Journal, Class::Closing, &history_key, &row.encode());
        }
        for touch in &self.body.blocks {
            let row_key = key::block(&touch.block, number);
            let mut value = Encoder::with_capacity(96);
            value.raw(&touch.hash.0).raw(&self.root(&touch.block).0);
            value.u64(touch.rows);
            encode_origin(&mut value, touch.created.as_ref());
            sink.row(Side::Journal, Class::Block, &row_key, &value.0);
        }
        for (row_key, value) in commit_rows(self.body, self.left()) {
            sink.row(Side::Journal, Class::Commit, &row_key, &value);
        }
        let layers: BTreeSet<LayerId> = self
            .body
            .assertions
            .iter()
            .map(|header| header.layer)
            .collect();
        for layer in layers {
            let row_key = key::moment(layer, self.body.info.recorded, number);
            let bounds = Bounds::of_layer(self.body, layer).encode();
            sink.row(Side::Journal, Class::Moment, &row_key, &bounds);
        }
    }

    /// Whether the body's versions hash to the block versions that its commit names, going by what
    /// the tables say of the blocks before. `None` when they do not say.
    pub(super) fn proven_by(&self, read: &dyn Read) -> Option<bool> {
        for touch in &self.body.blocks {
            let row_key = key::block(&touch.block, self.body.info.number);
            let row = read.get(key::BLOCKS, &row_key).ok()??;
            let (_, mut version) = decode_block(self.spec, &row_key, &row).ok()?;
            version.root = self.root(&touch.block);
            version.rows = touch.rows;
            version.origin.clone_from(&touch.created);
            if version.compute_hash(self.net, &touch.block) != touch.hash {
                return Some(false);
            }
        }
        Some(true)
    }
}

fn root_of(roots: &BTreeMap<Block, Hash>, block: &Block) -> Hash {
    let none = || merkle_root(std::iter::empty::<[u8; 0]>());
    roots.get(block).copied().unwrap_or_else(none)
}

pub(super) fn record_key(header: &Header) -> Vec<u8> {
    key::record(&header.place, &key::entity(header.layer, &header.id))
}

/// The versions of a body with salt and payload from its erasable section, as far as that goes.
fn payloads_in<'b>(
    body: &'b Body,
    erasable: &'b [u8],
) -> impl Iterator<Item = (Version, &'b Header, [u8; SALT_LEN_BYTES], &'b [u8])> {
    let mut input = Decoder(erasable);
    (0..)
        .zip(&body.assertions)
        .map_while(move |(index, header)| {
            let salt = input.array::<SALT_LEN_BYTES>().ok()?;
            let payload = input.raw(header.payload_len as usize).ok()?;
            let commit = body.info.number;
            Some((Version { commit, index }, header, salt, payload))
        })
}

/// The versions of a body whose payload in the erasable section is erased, and by which commits.
pub(crate) fn erased_in(body: &Body, erasable: &[u8]) -> Vec<(Version, u64)> {
    payloads_in(body, erasable)
        .filter_map(|(version, _, salt, payload)| Some((version, erased_by(&salt, payload)?)))
        .collect()
}

/// The versions of a body that are lost: with all they said, or their payload alone.
pub(super) fn lost_in(body: &Body, erasable: &[u8]) -> Vec<(Version, Lost)> {
    payloads_in(body, erasable)
        .filter_map(|(version, header, salt, payload)| {
            let lost = Lost::of(header.is_lost(), is_payload_lost(&salt, payload))?;
            Some((version, lost))
        })
        .collect()
}

/// What is lost of a version in both copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// Its payload.
    Payload,
    /// All but its place, its interval and its hash.
    Version,
}

impl Lost {
    pub(super) fn of(header: bool, payload: bool) -> Option<Self> {
        match (header, payload) {
            (true, _) => Some(Self::Version),
            (false, true) => Some(Self::Payload),
            (false, false) => None,
        }
    }

    pub(super) fn code(self) -> Code {
        match self {
            Self::Payload => Code::PayloadLost,
            Self::Version => Code::VersionLost,
        }
    }

    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Payload => "no payload: both copies lost it",
            Self::Version => "place, interval and hash only: both copies lost the rest",
        }
    }
}

/// Hands out that a version is lost, as one side has it.
pub(super) fn emit_lost(sink: &mut dyn Sink, side: Side, version: Version, lost: Lost) {
    sink.row(side, Class::Lost, &encode_version(version), &[lost as u8]);
}

/// What commits have erased, as the tables list it; asked once for each commit.
#[derive(Default)]
pub(super) struct Erasures(BTreeMap<u64, Option<BTreeSet<Version>>>);

/// Commits whose erasures are kept in memory.
const ERASURES_MAX: usize = 256;

impl Erasures {
    /// Whether commit `by` has the payload of `version` erased. True also where that cannot be
    /// known: the commit is damaged, which is reported there, or it is not in this store, which was
    /// restored to a moment before.
    pub(super) fn are_ordered(
        &mut self,
        run: &Run<'_>,
        read: Option<&dyn Read>,
        version: Version,
        by: u64,
    ) -> Result<bool> {
        let Some(read) = read.filter(|_| by <= run.applied && !run.is_lost(by)) else {
            return Ok(true);
        };
        if self.0.len() > ERASURES_MAX {
            self.0.clear();
        }
        let known = match self.0.entry(by) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => {
                let ordered = readable(ordered_by(read, &run.spec, by))?;
                unknown.insert(ordered.ok().map(|versions| versions.into_iter().collect()))
            }
        };
        Ok(known
            .as_ref()
            .is_none_or(|versions| versions.contains(&version)))
    }
}

/// A version's number as a key of a [`Class`].
pub(super) fn encode_version(version: Version) -> [u8; 12] {
    let mut key = [0; 12];
    let (commit, index) = key.split_at_mut(8);
    commit.copy_from_slice(&version.commit.to_be_bytes());
    index.copy_from_slice(&version.index.to_be_bytes());
    key
}

/// The inverse of [`encode_version`].
pub(super) fn decode_version(key: &[u8]) -> Option<Version> {
    let (commit, index) = key.split_first_chunk()?;
    Some(Version {
        commit: u64::from_be_bytes(*commit),
        index: u32::from_be_bytes(index.try_into().ok()?),
    })
}

pub(super) fn emit_version(
    sink: &mut dyn Sink,
    side: Side,
    record_key: &[u8],
    version: Version,
    hash: Hash,
) {
    sink.row(
        side,
        Class::Version,
        &key::history(record_key, version),
        &hash.0,
    );
}

/// A track without its hull, which follows from the rows before it.
pub(super) fn emit_track(sink: &mut dyn Sink, side: Side, entity: &[u8], track: &Track) {
    let plain = Track {
        hull: Hull::of(track.valid),
        ..*track
    };
    let row_key = key::track(entity, track.ordinal);
    sink.row(side, Class::Track, &row_key, &plain.encode());
}

/// The hash of an entity's version: what it is on one side, what follows it names on the other.
pub(super) fn emit_chain(sink: &mut dyn Sink, side: Side, entity: &[u8], ordinal: u64, hash: Hash) {
    sink.row(side, Class::Chain, &key::track(entity, ordinal), &hash.0);
}

/// A row of `blocks` as the journal knows it.
pub(super) fn emit_block(sink: &mut dyn Sink, row_key: &[u8], version: &BlockVersion) {
    let mut value = Encoder::with_capacity(96);
    value.raw(&version.hash.0).raw(&version.root.0);
    value.u64(version.rows);
    encode_origin(&mut value, version.origin.as_ref());
    sink.row(Side::Tables, Class::Block, row_key, &value.0);
}

/// A commit as the tables give it back.
#[derive(Debug)]
pub(crate) struct Rebuilt {
    pub(crate) body: Body,
    pub(crate) erasable: Vec<u8>,
}

/// Why a commit cannot be had back from the tables, and which of its versions are missing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unproven {
    pub(crate) why: String,
    /// Record key, version, what is wrong.
    pub(crate) versions: Vec<(Vec<u8>, Version, String)>,
}

impl Unproven {
    pub(super) fn new(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            versions: Vec::new(),
        }
    }
}

impl From<String> for Unproven {
    fn from(why: String) -> Self {
        Self::new(why)
    }
}

impl From<&Failed> for Unproven {
    fn from(failed: &Failed) -> Self {
        Self::new(format!(
            "{}: expected {}, found {}",
            failed.code.name(),
            failed.expected,
            failed.found
        ))
    }
}

/// Damage is an answer here; only the operating system's failures stay errors.
pub(super) fn readable<T>(result: Result<T>) -> Result<std::result::Result<T, String>> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(error) if error.kind() == ErrorKind::Io => Err(error),
        Err(error) => Ok(Err(error.to_string())),
    }
}

fn get(
    read: &dyn Read,
    table: Table,
    row_key: &[u8],
) -> Result<std::result::Result<Option<Bytes>, String>> {
    readable(read.get(table, row_key).map_err(Error::from))
}

/// A version's row, wherever it stands.
pub(super) fn version_row(
    read: &dyn Read,
    record_key: &[u8],
    version: Version,
) -> Result<std::result::Result<Bytes, String>> {
    let history_key = key::history(record_key, version);
    let mut why = "its row is missing".to_owned();
    for (table, row_key) in [
        (key::HISTORY, history_key.as_slice()),
        (key::RECORDS, record_key),
    ] {
        match get(read, table, row_key)? {
            Ok(Some(row)) => {
                if RowRef::decode(&row).is_ok_and(|decoded| decoded.version == version) {
                    return Ok(Ok(row));
                }
            }
            Ok(None) => {}
            Err(error) => why = error,
        }
    }
    Ok(Err(why))
}

/// Salts and payloads of a body, from the rows of the tables; each is held against its commitment.
pub(crate) fn payloads(
    read: &dyn Read,
    body: &Body,
) -> Result<std::result::Result<Vec<u8>, Unproven>> {
    let mut erasable = Vec::new();
    let mut missing = Vec::new();
    for (index, header) in (0..).zip(&body.assertions) {
        let version = Version {
            commit: body.info.number,
            index,
        };
        let record_key = record_key(header);
        let row = match version_row(read, &record_key, version)? {
            Ok(row) => row,
            Err(why) => {
                missing.push((record_key, version, why));
                continue;
            }
        };
        match RowRef::decode(&row) {
            Ok(row) if is_accounted_for(&row.salt, row.payload, header.commitment) => {
                erasable.extend_from_slice(&row.salt);
                erasable.extend_from_slice(row.payload);
            }
            Ok(_) => {
                let why = "its payload does not fit its commitment".to_owned();
                missing.push((record_key, version, why));
            }
            Err(fault) => missing.push((record_key, version, fault.to_string())),
        }
    }
    if missing.is_empty() {
        return Ok(Ok(erasable));
    }
    Ok(Err(Unproven {
        why: format!("{} of its payloads are not in the tables", missing.len()),
        versions: missing,
    }))
}

/// Gives back the body of a commit from the tables, and proves it: every version hashes into its
/// block version, every block version into the commit hash `expected`.
///
/// # Errors
/// Only when the operating system fails; what cannot be proven is an answer.
pub(crate) fn rebuild(
    read: &dyn Read,
    spec: &NetSpec,
    net: &[u8; 16],
    number: u64,
    expected: Hash,
) -> Result<std::result::Result<Rebuilt, Unproven>> {
    let outline = proven!(Outline::of_tables(read, spec, net, number, expected)?);
    let (mut assertions, mut erasable, mut missing) = (Vec::new(), Vec::new(), Vec::new());
    for (index, record_key) in (0..).zip(&outline.touched.versions) {
        let version = Version {
            commit: number,
            index,
        };
        let row = match version_row(read, record_key, version)? {
            Ok(row) => row,
            Err(why) => {
                missing.push((record_key.clone(), version, why));
                continue;
            }
        };
        match whole_version(spec, &row, record_key) {
            Ok((header, row)) => {
                assertions.push(header);
                erasable.extend_from_slice(&row.salt);
                erasable.extend_from_slice(row.payload);
            }
            Err(why) => missing.push((record_key.clone(), version, why)),
        }
    }
    if !missing.is_empty() {
        return Ok(Err(Unproven {
            why: format!("{} of its versions are not in the tables", missing.len()),
            versions: missing,
        }));
    }
    let body = proven!(outline.complete(read, spec, net, assertions)?);
    let failed = match Content::of(spec, net, &body) {
        Some(content) => content.check(Some(&erasable)),
        None => return Ok(Err(Unproven::new("a place is one that is never written"))),
    };
    match failed.first() {
        Some(failed) => Ok(Err(failed.into())),
        None => Ok(Ok(Rebuilt { body, erasable })),
    }
}

/// A commit without its versions: its header, and the list of what it did.
pub(super) struct Outline {
    pub(super) info: CommitInfo,
    pub(super) definitions: Vec<Definition>,
    pub(super) touched: Touched,
}

impl Outline {
    /// As the tables have it, of the commit with this hash.
    pub(super) fn of_tables(
        read: &dyn Read,
        spec: &NetSpec,
        net: &[u8; 16],
        number: u64,
        expected: Hash,
    ) -> Result<std::result::Result<Self, Unproven>> {
        let info = proven!(header(read, number)?);
        if info.hash != expected || info.compute_hash(net) != expected {
            return Ok(Err(Unproven::new(format!(
                "the tables' header of commit {number} does not hash to {expected}"
            ))));
        }
        let touched = proven!(readable(Touched::load(read, spec, number))?);
        let definitions = proven!(definitions(read, &touched)?);
        Ok(Ok(Self {
            info,
            definitions,
            touched,
        }))
    }

    /// As a body has it that may be damaged; of a commit with this hash.
    pub(super) fn of_body(
        body: &Body,
        spec: &NetSpec,
        net: &[u8; 16],
        expected: Hash,
    ) -> Option<Self> {
        let proven = body.info.hash == expected && body.info.compute_hash(net) == expected;
        let content = Content::of(spec, net, body).filter(|_| proven)?;
        let touched = Touched::of(body, content.left(), spec).ok()?;
        Some(Self {
            info: body.info.clone(),
            definitions: body.definitions.clone(),
            touched,
        })
    }

    /// The body with these versions, if they hash into the block versions of the tables, and these
    /// into the hash of the commit.
    pub(super) fn complete(
        &self,
        read: &dyn Read,
        spec: &NetSpec,
        net: &[u8; 16],
        assertions: Vec<Header>,
    ) -> Result<std::result::Result<Body, Unproven>> {
        let number = self.info.number;
        let mut closings = Vec::with_capacity(self.touched.closings.len());
        for closed in &self.touched.closings {
            let place =
                proven!(Place::of_key(&closed.record_key, spec).map_err(|fault| fault.to_string()));
            if closed.index as usize >= assertions.len() || place.is_nowhere() {
                return Ok(Err(Unproven::new("its list of closing rows is damaged")));
            }
            closings.push(ClosingAt {
                assertion: closed.index,
                place,
                altitude_known: closed.altitude_known,
            });
        }
        let mut body = Body {
            info: self.info.clone(),
            definitions: self.definitions.clone(),
            assertions,
            closings,
            blocks: Vec::new(),
        };
        let roots = match Content::of(spec, net, &body) {
            Some(content) => content.roots,
            None => return Ok(Err(Unproven::new("a place is one that is never written"))),
        };
        let mut names: BTreeSet<Block> = roots.keys().copied().collect();
        names.extend(self.touched.created.iter().chain(&self.touched.left));
        for block in names {
            let row_key = key::block(&block, number);
            let Some(row) = proven!(get(read, key::BLOCKS, &row_key)?) else {
                let why = format!("its version of block {block} is missing");
                return Ok(Err(Unproven::new(why)));
            };
            let (_, version) = proven!(readable(decode_block(spec, &row_key, &row))?);
            let root = root_of(&roots, &block);
            if version.root != root || version.compute_hash(net, &block) != version.hash {
                let why = format!("its versions do not hash into its version of block {block}");
                return Ok(Err(Unproven::new(why)));
            }
            body.blocks.push(BlockTouch {
                block,
                hash: version.hash,
                rows: version.rows,
                created: version.origin,
            });
        }
        let failed = match Content::of(spec, net, &body) {
            Some(content) => content.check(None),
            None => return Ok(Err(Unproven::new("a place is one that is never written"))),
        };
        match failed.first() {
            Some(failed) => Ok(Err(failed.into())),
            None => Ok(Ok(body)),
        }
    }
}

/// The header of a commit as the tables have it.
pub(super) fn header(
    read: &dyn Read,
    number: u64,
) -> Result<std::result::Result<CommitInfo, String>> {
    let row = match get(read, key::COMMITS, &key::commit(number, 0))? {
        Ok(Some(row)) => row,
        Ok(None) => return Ok(Err("its header is missing from the tables".to_owned())),
        Err(why) => return Ok(Err(why)),
    };
    let mut input = Decoder(&row);
    let info = CommitInfo::decode(&mut input).and_then(|info| {
        input.finish()?;
        Ok(info)
    });
    Ok(match info {
        Ok(info) if info.number == number => Ok(info),
        Ok(info) => Err(format!("its header is that of commit {}", info.number)),
        Err(fault) => Err(fault.to_string()),
    })
}

fn definitions(
    read: &dyn Read,
    touched: &Touched,
) -> Result<std::result::Result<Vec<Definition>, String>> {
    if touched.defined.is_empty() {
        return Ok(Ok(Vec::new()));
    }
    let ledger = match readable(Ledger::load(read))? {
        Ok(Some(ledger)) => ledger,
        Ok(None) => return Ok(Err("the tables have no layers".to_owned())),
        Err(why) => return Ok(Err(why)),
    };
    let mut definitions = Vec::new();
    for defined in &touched.defined {
        definitions.push(match defined {
            Defined::Net => match net_of(read)? {
                Ok((_, spec)) => Definition::Net(spec),
                Err(why) => return Ok(Err(why)),
            },
            Defined::Layer(id) => match ledger.layers.get(id) {
                Some(state) => Definition::Layer(*id, state.def.clone()),
                None => return Ok(Err(format!("layer {} is missing", id.number()))),
            },
            Defined::Erasure(version) => Definition::Erasure(*version),
        });
    }
    Ok(Ok(definitions))
}

/// The net's identity and spec as the tables have them.
pub(super) fn net_of(read: &dyn Read) -> Result<std::result::Result<([u8; 16], NetSpec), String>> {
    Ok(match get(read, key::META, key::NET)? {
        Ok(Some(row)) => decode_net(&row).map_err(|fault: Fault| fault.to_string()),
        Ok(None) => Err("the tables do not say which net this is".to_owned()),
        Err(why) => Err(why),
    })
}

/// A version's header and payload, held against its commitment and its key.
pub(super) fn whole_version<'r>(
    spec: &NetSpec,
    row: &'r [u8],
    record_key: &[u8],
) -> std::result::Result<(Header, RowRef<'r>), String> {
    let row = RowRef::decode(row).map_err(|fault| fault.to_string())?;
    let header = row.header(spec).map_err(|fault| fault.to_string())?;
    if self::record_key(&header) != record_key {
        return Err("its header has another place or entity".to_owned());
    }
    if !is_accounted_for(&row.salt, row.payload, header.commitment) {
        return Err("its payload does not fit its commitment".to_owned());
    }
    Ok((header, row))
}
