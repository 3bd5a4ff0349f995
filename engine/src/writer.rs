//! From a request to versions: resolving ends, dropping what changes nothing, finding the places a
//! version closes.

use std::collections::BTreeMap;

use blocknet_geocode::{Block, NetSpec};
use blocknet_kv::{MemLayer, Overlay, Read};

use crate::apply::{Finished, Rows, Stated};
use crate::block::Origin;
use crate::blocks::BlockSet;
use crate::body::{Basis, CommitInfo, Definition};
use crate::entity::{Head, Path, Stretch, Track};
use crate::error::{Conflict, Error, ErrorKind, Result};
use crate::graph::NetGraph;
use crate::hash::Hash;
use crate::key;
use crate::ledger::Ledger;
use crate::linking::Blocks;
use crate::propagate::{Existing, propagate};
use crate::record::{
    End, Extent, Header, Place, RowRef, SALT_LEN_BYTES, Version, commitment, flag, is_plain_salt,
};
use crate::request::{Assertion, Commit, Cost, Outcome, Precondition, Receipt, Recorded};
use crate::time::{Interval, Moment};

/// Says whether two payloads mean the same.
pub type PayloadEq = dyn Fn(&[u8], &[u8]) -> bool + Send + Sync;

/// The rule by which new blocks enter the net. Replay never asks it; a test runs another one.
pub(crate) type Rule =
    fn(BlockSet, &mut dyn FnMut(&Block) -> Result<Option<Existing>>) -> Result<NetGraph>;

/// The rule of [`propagate`], with sources where it chooses them.
pub(crate) const PROPAGATE: Rule = |blocks, existing| propagate(blocks, &[], existing);

/// A clock this far before the last write is taken for wrong.
pub(crate) const CLOCK_TOLERANCE_MICROS: i64 = 3_600_000_000;

/// What the writer needs to know to make a commit.
pub(crate) struct Writer<'a> {
    pub(crate) spec: &'a NetSpec,
    pub(crate) net: &'a [u8; 16],
    pub(crate) ledger: &'a Ledger,
    /// The newest state, commits not yet applied included.
    pub(crate) read: &'a dyn Read,
    pub(crate) payload_eq: &'a PayloadEq,
    pub(crate) rule: Rule,
    pub(crate) now: Moment,
}

/// A commit that is ready, with the bytes of its erasable section.
pub(crate) struct Built {
    pub(crate) finished: Finished,
    pub(crate) erasable: Vec<u8>,
}

impl Writer<'_> {
    /// Makes the commit; `None` when nothing is left of it. Nothing is written.
    pub(crate) fn build(&self, commit: &Commit) -> Result<(Option<Built>, Receipt)> {
        commit.check()?;
        let (recorded, basis) = self.recorded(commit)?;
        let number = self.ledger.commit + 1;
        let salts = draw_salts(commit.assertions.len())?;

        let mut order: Vec<usize> = (0..commit.assertions.len()).collect();
        order.sort_by_key(|&index| {
            let assertion = &commit.assertions[index];
            (assertion.layer, assertion.id.as_str())
        });
        let entity_of = |index: usize| {
            let assertion = &commit.assertions[index];
            (assertion.layer, assertion.id.as_str())
        };
        for (index, assertion) in commit.assertions.iter().enumerate() {
            self.ledger.layer(assertion.layer)?;
            self.check_precondition(assertion, index)?;
        }
        let mut draft = Draft {
            commit,
            recorded,
            basis,
            salts,
            rows: Rows::new(self.spec, self.net, number, self.ledger),
            outcomes: vec![Outcome::Unchanged; commit.assertions.len()],
            erasable: Vec::new(),
            new_entities: 0,
        };
        for group in order.chunk_by(|&a, &b| entity_of(a) == entity_of(b)) {
            self.put_entity(&mut draft, group)?;
        }
        let Draft {
            rows,
            outcomes,
            erasable,
            new_entities,
            ..
        } = draft;

        let mut receipt = Receipt {
            commit: None,
            recorded,
            basis,
            outcomes,
            removals: rows
                .headers()
                .iter()
                .filter(|header| header.is_absence())
                .count() as u64,
            new_entities,
            new_blocks: 0,
            blocks: 0,
            payload_bytes: rows
                .headers()
                .iter()
                .map(|h| u64::from(h.payload_len))
                .sum(),
            cost: Cost::default(),
        };
        if rows.is_empty() {
            return Ok((None, receipt));
        }
        let info = self.info(commit, recorded, basis);
        let blocks = Blocks::new(self.read, self.spec);
        let origins = self.origins(&rows, &blocks)?;
        let finished = rows.finish(&blocks, info, origins)?;
        receipt.commit = Some(number);
        receipt.blocks = finished.body.blocks.len() as u64;
        receipt.new_blocks = finished.ledger.blocks - self.ledger.blocks;
        Ok((Some(Built { finished, erasable }), receipt))
    }

    /// How the blocks that the commit touches and the net does not have yet enter it.
    fn origins(&self, rows: &Rows<'_>, blocks: &Blocks<'_>) -> Result<BTreeMap<Block, Origin>> {
        let mut new = Vec::new();
        for block in rows.blocks() {
            if blocks.newest(block)?.is_none() {
                new.push(*block);
            }
        }
        if new.is_empty() {
            return Ok(BTreeMap::new());
        }
        let graph = self.propagate(BlockSet::new(self.spec, new), blocks)?;
        let all = graph.blocks().iter().enumerate();
        Ok(all
            .map(|(index, block)| (block, graph.origin(index)))
            .collect())
    }

    /// Runs the rule on blocks that the net does not have.
    pub(crate) fn propagate(&self, new: BlockSet, blocks: &Blocks<'_>) -> Result<NetGraph> {
        (self.rule)(new, &mut |block| {
            // Nothing to look up while the net is empty.
            if self.ledger.blocks == 0 {
                return Ok(None);
            }
            blocks.existing(block)
        })
    }

    /// Makes a commit that gives the net blocks and no content.
    pub(crate) fn expand(
        &self,
        origins: BTreeMap<Block, Origin>,
        commit: &Commit,
    ) -> Result<(Built, Receipt)> {
        commit.check()?;
        let (recorded, basis) = self.recorded(commit)?;
        let number = self.ledger.commit + 1;
        let rows = Rows::new(self.spec, self.net, number, self.ledger);
        let created = origins.len() as u64;
        let finished = rows.finish(
            &Blocks::new(self.read, self.spec),
            self.info(commit, recorded, basis),
            origins,
        )?;
        let receipt = Receipt {
            commit: Some(number),
            recorded,
            basis,
            outcomes: Vec::new(),
            removals: 0,
            new_entities: 0,
            new_blocks: created,
            blocks: created,
            payload_bytes: 0,
            cost: Cost::default(),
        };
        let built = Built {
            finished,
            erasable: Vec::new(),
        };
        Ok((built, receipt))
    }

    /// Settles the assertions on one entity, in the order given, and writes what is left of them.
    fn put_entity(&self, draft: &mut Draft<'_>, group: &[usize]) -> Result<()> {
        let Draft {
            commit, recorded, ..
        } = *draft;
        let first = &commit.assertions[group[0]];
        let state = self.ledger.layer(first.layer)?;
        let entity = key::entity(first.layer, &first.id);
        let mut scratch = MemLayer::new();
        let mut head = None;
        let before = self.path(self.read, &entity).head()?.unwrap_or(Head::NEW);
        for &index in group {
            let assertion = &commit.assertions[index];
            let layers = [&scratch];
            let overlay = Overlay {
                layers: &layers,
                base: self.read,
            };
            let path = self.path(&overlay, &entity);
            let now = head.unwrap_or(before);
            let Some(resolved) = self.resolve(&path, &now, assertion, draft, state.recorded)?
            else {
                continue;
            };
            if recorded < state.recorded {
                return Err(Error::invalid(format!(
                    "recorded time {recorded} lies before {}, the newest of layer `{}`: recorded \
                     time never runs backwards within a layer; import older records first, or \
                     into a layer of their own",
                    state.recorded, state.def.name
                )));
            }
            let salt = draft.salts[index];
            let header = Header {
                layer: assertion.layer,
                id: assertion.id.as_str().into(),
                ordinal: now.versions + 1,
                flags: resolved.flags,
                kind: assertion.kind,
                valid: resolved.valid,
                place: resolved.place,
                extent: resolved.extent,
                payload_len: u32::try_from(assertion.payload.len())
                    .expect("payloads are limited to 16 MiB"),
                commitment: commitment(&salt, &assertion.payload),
                previous: now.hash,
                author: own(assertion.author.as_deref(), &commit.author),
                reason: own(assertion.reason.as_deref(), &commit.reason),
                source: own(assertion.source.as_deref(), &commit.source),
            };
            draft.erasable.extend_from_slice(&salt);
            draft.erasable.extend_from_slice(&assertion.payload);
            draft.new_entities += u64::from(now.versions == 0);
            let stated = Stated {
                header,
                salt: &salt,
                payload: &assertion.payload,
                closings: &resolved.closings,
            };
            let mut next = now;
            draft
                .rows
                .put_version_over(&mut scratch, self.read, &entity, &mut next, stated)?;
            draft.outcomes[index] = Outcome::Written {
                version: next.newest,
                overrides: resolved.overrides,
            };
            head = Some(next);
        }
        if let Some(head) = head {
            draft.rows.put_head(&entity, &head);
        }
        Ok(())
    }

    fn path<'b>(&'b self, read: &'b dyn Read, entity: &'b [u8]) -> Path<'b> {
        Path {
            read,
            spec: self.spec,
            entity,
        }
    }

    /// Makes a commit that has the payloads of versions erased.
    pub(crate) fn erase(&self, versions: &[Version], commit: &Commit) -> Result<Built> {
        let mut rows = self.rows();
        for version in versions {
            if let Some(by) = rows.erase(self.read, *version)? {
                return Err(Error::invalid(format!(
                    "the payload of version {version} was erased by commit {by} already"
                )));
            }
        }
        self.finish_without_versions(rows, commit)
    }

    /// Makes a commit of definitions.
    pub(crate) fn define(&self, definitions: Vec<Definition>, commit: &Commit) -> Result<Built> {
        let mut rows = self.rows();
        for definition in definitions {
            rows.define(definition);
        }
        self.finish_without_versions(rows, commit)
    }

    fn rows(&self) -> Rows<'_> {
        Rows::new(self.spec, self.net, self.ledger.commit + 1, self.ledger)
    }

    fn finish_without_versions(&self, rows: Rows<'_>, commit: &Commit) -> Result<Built> {
        commit.check()?;
        let (recorded, basis) = self.recorded(commit)?;
        let finished = rows.finish(
            &Blocks::new(self.read, self.spec),
            self.info(commit, recorded, basis),
            BTreeMap::new(),
        )?;
        Ok(Built {
            finished,
            erasable: Vec::new(),
        })
    }

    fn info(&self, commit: &Commit, recorded: Moment, basis: Basis) -> CommitInfo {
        CommitInfo {
            number: 0,
            recorded,
            basis,
            written: self.now,
            author: commit.author.clone(),
            reason: commit.reason.clone(),
            source: commit.source.clone(),
            previous: Hash::ZERO,
            blocks_root: Hash::ZERO,
            unplaced_root: Hash::ZERO,
            registry_head: Hash::ZERO,
            state_root: Hash::ZERO,
            state_commit: 0,
            assertions: 0,
            hash: Hash::ZERO,
        }
    }

    /// The commit's recorded time: the clock's, moved up to the newest recorded time of the layers
    /// it touches, or the one asserted.
    fn recorded(&self, commit: &Commit) -> Result<(Moment, Basis)> {
        let written = self.ledger.written_max;
        let behind = written.as_micros().saturating_sub(self.now.as_micros());
        let far = written > Moment::MIN && behind > CLOCK_TOLERANCE_MICROS;
        if far && !commit.accept_clock {
            return Err(Error::new(
                ErrorKind::Clock,
                format!(
                    "the clock says {}, but the store was last written at {written}; set the \
                     clock, or accept it explicitly (the commit will say so)",
                    self.now
                ),
            ));
        }
        match commit.recorded {
            Recorded::At(moment) if !moment.is_date() => Err(Error::invalid(
                "recorded time lies outside the years 0001 to 9999",
            )),
            Recorded::At(moment) if moment > self.now => Err(Error::invalid(format!(
                "recorded time {moment} lies in the future (it is {})",
                self.now
            ))),
            Recorded::At(moment) => Ok((moment, Basis::Asserted)),
            Recorded::Now => {
                let newest = commit
                    .assertions
                    .iter()
                    .filter_map(|assertion| self.ledger.layers.get(&assertion.layer))
                    .map(|layer| layer.recorded)
                    .max();
                let recorded = newest.map_or(self.now, |newest| newest.max(self.now));
                Ok((
                    recorded,
                    if far {
                        Basis::ClockAccepted
                    } else {
                        Basis::Clock
                    },
                ))
            }
        }
    }

    /// Settles what an assertion means for an entity as it stands; `None` when it is unchanged.
    fn resolve(
        &self,
        path: &Path<'_>,
        head: &Head,
        assertion: &Assertion,
        draft: &Draft<'_>,
        layer_recorded: Moment,
    ) -> Result<Option<Resolved>> {
        let Draft {
            recorded, basis, ..
        } = *draft;
        let mut flags = 0;
        let from = assertion.valid.from.unwrap_or(recorded);
        let set = |on: bool, bit: u16| if on { bit } else { 0 };
        flags |= set(assertion.valid.from.is_none(), flag::FROM_IMPLIED);
        flags |= set(assertion.valid.from_day, flag::FROM_DAY);
        flags |= set(assertion.extent.is_none(), flag::ABSENCE);
        let to = match assertion.valid.end {
            End::UntilNext => path.next_from(head, from)?,
            End::Forever => {
                flags |= flag::END_FOREVER;
                Moment::MAX
            }
            End::At(to) if to < from => {
                return Err(Error::invalid(format!(
                    "`{}`: valid-to {to} lies before the recorded time {from}, from which it \
                     would hold; give a valid-from",
                    assertion.id
                )));
            }
            End::At(to) => {
                flags |= flag::END_EXPLICIT | set(assertion.valid.to_day, flag::TO_DAY);
                to
            }
        };
        let extent = assertion.extent.map(Extent::canonical);
        let place = match &extent {
            Some(extent) => {
                flags |= set(extent.floor.is_some(), flag::FLOOR_KNOWN);
                flags |= set(extent.top.is_some(), flag::TOP_KNOWN);
                Place::new(self.spec, extent)
                    .map_err(|error| Error::invalid(format!("`{}`: {error}", assertion.id)))?
                    .0
            }
            None => Place::NOWHERE,
        };
        let valid = Interval { from, to };

        // In the common case the assertion is about times after everything known but the last
        // stretch, and the path need not be read.
        let timeline = match &head.last {
            None => Vec::new(),
            Some(last) if valid.from >= last.sole_from => {
                let shared = valid.intersect(Interval {
                    from: last.sole_from,
                    to: last.to,
                });
                if shared.is_empty() {
                    Vec::new()
                } else {
                    vec![Piece {
                        valid: shared,
                        version: last.version,
                        place: last.place,
                        track: None,
                    }]
                }
            }
            Some(_) => path
                .timeline(head.versions, valid)?
                .iter()
                .map(Piece::of)
                .collect(),
        };

        if self.is_unchanged(path, head, assertion, extent.as_ref(), valid, &timeline)?
            || (basis == Basis::Asserted
                && recorded <= layer_recorded
                && self.stands_already(
                    path,
                    head,
                    assertion,
                    extent.as_ref(),
                    recorded,
                    from,
                    flags,
                )?)
        {
            return Ok(None);
        }

        let mut overrides = Vec::new();
        if assertion.valid.end == End::Forever {
            let later = timeline.iter().filter(|piece| piece.valid.from > from);
            overrides.extend(later.map(|piece| piece.version));
            overrides.sort_unstable();
            overrides.dedup();
        }
        Ok(Some(Resolved {
            valid,
            flags,
            extent,
            place,
            closings: self.closings(path, head, &place, &timeline)?,
            overrides,
        }))
    }

    /// The places other than `place` where the entity has a state in the timeline, and whether
    /// their altitude is known.
    fn closings(
        &self,
        path: &Path<'_>,
        head: &Head,
        place: &Place,
        timeline: &[Piece],
    ) -> Result<Vec<(Place, bool)>> {
        let mut closings: Vec<(Place, bool)> = Vec::new();
        for piece in timeline {
            if piece.place.is_nowhere()
                || piece.place == *place
                || closings.iter().any(|(known, _)| *known == piece.place)
            {
                continue;
            }
            let altitude_known = match &piece.track {
                Some(track) => track.altitude_known(),
                None => self
                    .header_of(path, head, piece.version, &piece.place)?
                    .altitude_known(),
            };
            closings.push((piece.place, altitude_known));
        }
        Ok(closings)
    }

    fn check_precondition(&self, assertion: &Assertion, index: usize) -> Result<()> {
        let wanted = match assertion.precondition {
            None => return Ok(()),
            Some(Precondition::IsNew) => None,
            Some(Precondition::IsAt(version)) => Some(version),
        };
        let entity = key::entity(assertion.layer, &assertion.id);
        let head = Path {
            read: self.read,
            spec: self.spec,
            entity: &entity,
        }
        .head()?;
        let found = head.map(|head| head.newest);
        if found == wanted {
            return Ok(());
        }
        let say = |version: Option<Version>| match version {
            Some(version) => format!("version {version}"),
            None => "no version".into(),
        };
        Err(Error::conflict(
            format!(
                "`{}` is at {}, not at {}; read it again and decide",
                assertion.id,
                say(found),
                say(wanted)
            ),
            Conflict {
                assertion: index,
                found,
            },
        ))
    }

    /// Whether an assertion changes no view: every moment of its interval is answered with the
    /// same already, and its valid-from is known, so that no open end resolved later depends on
    /// it either. A valid-from that was not asserted is no knowledge about the world.
    fn is_unchanged(
        &self,
        path: &Path<'_>,
        head: &Head,
        assertion: &Assertion,
        extent: Option<&Extent>,
        valid: Interval,
        timeline: &[Piece],
    ) -> Result<bool> {
        if valid.is_empty() {
            // Kept as history and never in a view: once is enough.
            for track in path.with_from(head, valid.from)? {
                if track.valid.is_empty()
                    && self.same(
                        path,
                        head,
                        track.version,
                        &track.place,
                        extent,
                        &assertion.payload,
                        false,
                    )?
                {
                    return Ok(true);
                }
            }
            return Ok(false);
        }
        if extent.is_some() {
            let mut reached = valid.from;
            for piece in timeline {
                if piece.valid.from != reached {
                    return Ok(false);
                }
                reached = piece.valid.to;
            }
            if reached != valid.to {
                return Ok(false);
            }
        }
        for piece in timeline {
            if piece.place.is_nowhere() != extent.is_none() {
                return Ok(false);
            }
            if extent.is_some()
                && !self.same(
                    path,
                    head,
                    piece.version,
                    &piece.place,
                    extent,
                    &assertion.payload,
                    false,
                )?
            {
                return Ok(false);
            }
        }
        Ok(assertion.valid.from.is_none() || !path.with_from(head, valid.from)?.is_empty())
    }

    /// Whether the assertion stands in the history already, said at the same asserted recorded
    /// time: so that importing a register again writes nothing.
    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of one assertion, resolved"
    )]
    fn stands_already(
        &self,
        path: &Path<'_>,
        head: &Head,
        assertion: &Assertion,
        extent: Option<&Extent>,
        recorded: Moment,
        from: Moment,
        flags: u16,
    ) -> Result<bool> {
        const MEANT: u16 = flag::ABSENCE | flag::END_EXPLICIT | flag::END_FOREVER;
        for track in path.with_from(head, from)? {
            // What this very commit says is not in the history yet.
            if track.flags & MEANT != flags & MEANT || track.version.commit > self.ledger.commit {
                continue;
            }
            if let End::At(to) = assertion.valid.end
                && track.valid.to != to
            {
                continue;
            }
            let info = commit_info(path.read, track.version.commit)?;
            if info.basis == Basis::Asserted
                && info.recorded == recorded
                && self.same(
                    path,
                    head,
                    track.version,
                    &track.place,
                    extent,
                    &assertion.payload,
                    // Importing a register again must not bring back what was erased from it.
                    true,
                )?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a version says the same; `erased_is_same` is the answer where its payload is erased.
    /// A lost one never does: what is stated again takes its place.
    #[expect(clippy::too_many_arguments, reason = "the parts of two statements")]
    fn same(
        &self,
        path: &Path<'_>,
        head: &Head,
        version: Version,
        place: &Place,
        extent: Option<&Extent>,
        payload: &[u8],
        erased_is_same: bool,
    ) -> Result<bool> {
        let bytes = row(path, head, version, place)?;
        let decoded = RowRef::decode(&bytes)
            .and_then(|row| row.header(self.spec).map(|header| (row, header)))
            .map_err(|fault| fault.in_table("records", path.entity))?;
        let (stored, header) = decoded;
        Ok(header.extent.as_ref() == extent
            && !header.is_lost()
            && !stored.is_payload_lost()
            && match stored.erased_by() {
                Some(_) => erased_is_same,
                None => stored.payload == payload || (self.payload_eq)(stored.payload, payload),
            })
    }

    fn header_of(
        &self,
        path: &Path<'_>,
        head: &Head,
        version: Version,
        place: &Place,
    ) -> Result<Header> {
        let bytes = row(path, head, version, place)?;
        RowRef::decode(&bytes)
            .and_then(|row| row.header(self.spec))
            .map_err(|fault| fault.in_table("records", path.entity))
    }
}

/// Random salts, none of which reads as erased or lost.
fn draw_salts(count: usize) -> Result<Vec<[u8; SALT_LEN_BYTES]>> {
    let mut salts = vec![[0; SALT_LEN_BYTES]; count];
    loop {
        getrandom::fill(salts.as_flattened_mut()).map_err(|error| {
            Error::new(
                ErrorKind::Io,
                format!("the system gives no random bytes: {error}"),
            )
        })?;
        if salts.iter().all(is_plain_salt) {
            return Ok(salts);
        }
    }
}

/// A commit being made.
struct Draft<'a> {
    commit: &'a Commit,
    recorded: Moment,
    basis: Basis,
    /// One for each assertion.
    salts: Vec<[u8; SALT_LEN_BYTES]>,
    rows: Rows<'a>,
    outcomes: Vec<Outcome>,
    /// Salts and payloads of the versions written, in order.
    erasable: Vec<u8>,
    new_entities: u64,
}

/// What an assertion comes to.
struct Resolved {
    valid: Interval,
    flags: u16,
    extent: Option<Extent>,
    place: Place,
    closings: Vec<(Place, bool)>,
    overrides: Vec<Version>,
}

/// A stretch of the timeline that an assertion covers.
struct Piece {
    valid: Interval,
    version: Version,
    place: Place,
    track: Option<Track>,
}

impl Piece {
    fn of(stretch: &Stretch) -> Self {
        Self {
            valid: stretch.valid,
            version: stretch.track.version,
            place: stretch.track.place,
            track: Some(stretch.track),
        }
    }
}

fn own(given: Option<&str>, commit: &str) -> Option<Box<str>> {
    given.filter(|text| *text != commit).map(Into::into)
}

/// The row of one version of an entity: in `records` when it is the live head, else in `history`.
pub(crate) fn row(
    path: &Path<'_>,
    head: &Head,
    version: Version,
    place: &Place,
) -> Result<blocknet_kv::Bytes> {
    let record_key = key::record(place, path.entity);
    let is_head = head.last.is_some_and(|last| last.version == version);
    let (table, row_key) = if is_head && !place.is_nowhere() {
        (key::RECORDS, record_key)
    } else {
        (key::HISTORY, key::history(&record_key, version))
    };
    path.read.get(table, &row_key)?.ok_or_else(|| {
        Error::corrupt(format!(
            "tables: `{}`, row {} is missing; move the directory `tables` away and open the store \
             for writing, which rebuilds it from the journal",
            key::table_name(table),
            crate::error::Hex(&row_key)
        ))
    })
}

/// The header of a commit.
pub(crate) fn commit_info(read: &dyn Read, number: u64) -> Result<CommitInfo> {
    let row_key = key::commit(number, 0);
    let bytes = read.get(key::COMMITS, &row_key)?.ok_or_else(|| {
        Error::new(
            ErrorKind::NotFound,
            format!("the net has no commit {number}"),
        )
    })?;
    let mut input = crate::codec::Decoder(&bytes);
    CommitInfo::decode(&mut input)
        .and_then(|info| input.finish().map(|()| info))
        .map_err(|fault| fault.in_table("commits", &row_key))
}
