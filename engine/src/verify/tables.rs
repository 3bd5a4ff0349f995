//! The checks that go table by table. Each runs through one table once, past what cannot be read.

use std::collections::BTreeMap;

use blocknet_geocode::Block;
use blocknet_kv::{Cursor, KeyRange, Read, Table};

use crate::apply::encode_net;
use crate::block::{BlockVersion, Held};
use crate::entity::{Head, Path, Track, run_len};
use crate::erase;
use crate::error::{ErrorKind, Fault, Result};
use crate::hash::Hash;
use crate::key;
use crate::layer::LayerId;
use crate::ledger::Ledger;
use crate::linking::{decode_block, decode_link};
use crate::log;
use crate::record::{HeaderRef, Peeked, Place, RowRef, Version, commitment};
use crate::time::Moment;
use crate::zone::{self, Heights, Rows};

use super::area::AreaBlocks;
use super::around::Surroundings;
use super::content::{
    Erasures, Lost, emit_block, emit_chain, emit_lost, emit_track, emit_version, encode_version,
    header,
};
use super::finding::{Code, Finding, Remedy, Side};
use super::rows::{Gap, each_row};
use super::sums::{Class, Sink};
use super::{Run, TablesRead};

/// Tracks of one entity that are kept in memory; longer paths are read again row by row.
const TRACKS_MAX: usize = 1 << 16;

/// What the tables add up to.
#[derive(Debug, Default)]
pub(super) struct TableTotals {
    pub(super) rows: u64,
    pub(super) levels: BTreeMap<u8, Rows>,
    pub(super) layers: BTreeMap<LayerId, LayerTotals>,
    pub(super) genes: u64,
}

/// What the tracks say of a layer.
#[derive(Clone, Copy, Debug)]
pub(super) struct LayerTotals {
    pub(super) live: u64,
    pub(super) watermark: Moment,
}

impl Default for LayerTotals {
    fn default() -> Self {
        Self {
            live: 0,
            watermark: Moment::MIN,
        }
    }
}

impl TableTotals {
    pub(super) fn join(&mut self, other: Self) {
        self.rows += other.rows;
        self.genes += other.genes;
        for (level, rows) in other.levels {
            let own = self.levels.entry(level).or_default();
            own.live += rows.live;
            own.past += rows.past;
        }
        for (layer, totals) in other.layers {
            let own = self.layers.entry(layer).or_default();
            own.live += totals.live;
            own.watermark = own.watermark.max(totals.watermark);
        }
    }
}

/// The tables, those that take longest first.
pub(super) const TABLES: &[Table] = &[
    key::HISTORY,
    key::RECORDS,
    key::BLOCKS,
    key::TRACKS,
    key::ENTITIES,
    key::COMMITS,
    key::LINKS,
    key::EDGES,
    key::ZONES,
    key::LOG,
    key::MOMENTS,
    key::META,
];

/// A table or a part of one.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) table: Table,
    pub(super) range: KeyRange,
}

/// What is filed in the blocks of an area.
pub(super) fn parts_in(area: &AreaBlocks<'_>) -> Vec<Part> {
    let by_place = area.by_place().into_iter();
    let by_block = area.by_block().into_iter();
    let of = |table: Table| move |range: KeyRange| Part { table, range };
    let mut parts: Vec<Part> = by_place.clone().map(of(key::HISTORY)).collect();
    parts.extend(by_place.map(of(key::RECORDS)));
    for table in [key::BLOCKS, key::LINKS, key::EDGES] {
        parts.extend(by_block.clone().map(of(table)));
    }
    parts
}

/// All tables, the great ones in parts for `threads` threads.
pub(super) fn parts(read: &dyn Read, threads: usize) -> Vec<Part> {
    let mut parts = Vec::new();
    for table in TABLES {
        let table = *table;
        let mut start = Vec::new();
        for cut in cuts(read, table, threads) {
            if cut > start {
                let range = KeyRange::new(std::mem::replace(&mut start, cut.clone()), cut);
                parts.push(Part { table, range });
            }
        }
        let range = KeyRange { start, end: None };
        parts.push(Part { table, range });
    }
    parts
}

/// Where a table may be cut: the rows of an entity and of a block stay together. What cannot be read
/// here is met, and reported, when the table is run through.
fn cuts(read: &dyn Read, table: Table, threads: usize) -> Vec<Vec<u8>> {
    // More parts than threads, since they do not take the same time.
    let cuts = || match threads {
        1 => Vec::new(),
        _ => read.cuts(table, 4 * threads).unwrap_or_default(),
    };
    let group_at = |start| {
        let range = KeyRange { start, end: None };
        let cursor = read.cursor(table, &range).ok()?;
        let (group, _) = cursor.entry()?.0.split_last_chunk::<8>()?;
        Some(group.to_vec())
    };
    match table {
        key::HISTORY | key::RECORDS | key::ENTITIES => cuts(),
        key::BLOCKS | key::TRACKS => cuts().into_iter().filter_map(group_at).collect(),
        _ => Vec::new(),
    }
}

/// Runs through one table or a part of it.
pub(super) struct Job<'a> {
    pub(super) run: &'a Run<'a>,
    pub(super) range: &'a KeyRange,
    pub(super) tables: &'a TablesRead<'a>,
    pub(super) sink: &'a mut dyn Sink,
    pub(super) totals: TableTotals,
}

impl Job<'_> {
    pub(super) fn table(&mut self, table: Table) -> Result<()> {
        match table {
            key::RECORDS | key::HISTORY => self.versions(table),
            key::TRACKS => self.tracks(),
            key::BLOCKS => self.blocks(),
            key::LINKS => self.links(),
            key::EDGES => self.edges(),
            key::ZONES => self.zones(),
            key::META => self.meta(),
            key::LOG => self.log(),
            key::ENTITIES => self.entities(),
            _ => self.plain(table),
        }
    }

    fn each(
        &mut self,
        table: Table,
        mut row: impl FnMut(&mut Self, &[u8], &[u8]) -> Result<()>,
    ) -> Result<()> {
        let (run, read) = (self.run, self.tables.read);
        let mut bytes = 0;
        each_row(
            read,
            table,
            self.range,
            &mut |row_key, value| {
                bytes += (row_key.len() + value.len()) as u64;
                if bytes > 1 << 20 {
                    run.progress(std::mem::take(&mut bytes));
                }
                self.totals.rows += 1;
                row(self, row_key, value)
            },
            &mut |gap| run.report(unreadable(key::table_name(table), gap)),
        )?;
        run.progress(bytes);
        Ok(())
    }

    /// Reports a row that cannot be decoded.
    fn broken(&self, table: Table, row_key: &[u8], fault: impl std::fmt::Display) {
        self.run.report(
            Finding::new(Side::Tables, Code::Row, Remedy::Journal)
                .row(key::table_name(table), row_key)
                .found(fault),
        );
    }

    /// A check that could not be made because of damage that is reported where it is met.
    fn unless_damaged<T>(result: Result<T>) -> Result<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.kind() == ErrorKind::Io => Err(error),
            Err(_) => Ok(None),
        }
    }

    fn versions(&mut self, table: Table) -> Result<()> {
        let mut zones = Zones::new(table, self.tables.read);
        let mut erasures = Erasures::default();
        self.each(table, |job, row_key, value| {
            let place = match Place::of_key(row_key, &job.run.spec) {
                Ok(place) => place,
                Err(fault) => {
                    job.broken(table, row_key, fault);
                    return Ok(());
                }
            };
            let heights = match job.version(table, &place, row_key, value, &mut erasures)? {
                Ok(heights) => heights,
                Err(fault) => {
                    job.broken(table, row_key, fault);
                    Heights::NONE
                }
            };
            if place.is_nowhere() {
                return Ok(());
            }
            let level = job.totals.levels.entry(place.level()).or_default();
            if table == key::RECORDS {
                level.live += 1;
            } else {
                level.past += 1;
            }
            zones.add(job, &place, heights)
        })?;
        zones.finish(self)
    }

    /// Checks one row of `records` or `history`; returns the altitudes it adds to its zones.
    fn version(
        &mut self,
        table: Table,
        place: &Place,
        row_key: &[u8],
        value: &[u8],
        erasures: &mut Erasures,
    ) -> Result<Result<Heights, Fault>> {
        let (heights, erased) = match self.sound_version(table, place, row_key, value) {
            Ok(sound) => sound,
            Err(fault) => return Ok(Err(fault)),
        };
        let run = self.run;
        if run.area.is_some() {
            self.is_where_its_head_says(table, place, row_key, value)?;
        }
        let Some((version, by)) = erased else {
            return Ok(Ok(heights));
        };
        if erasures.are_ordered(run, Some(self.tables.read), version, by)? {
            if !run.is_lost(version.commit) && !run.is_lost(by) && by <= run.applied {
                let (key, by) = (encode_version(version), by.to_be_bytes());
                self.sink.row(Side::Tables, Class::ErasedRow, &key, &by);
            }
        } else {
            run.report(
                Finding::new(Side::Tables, Code::Payload, Remedy::Journal)
                    .row(key::table_name(table), row_key)
                    .version(version)
                    .found(format!("erased, which commit {by} did not order")),
            );
        }
        Ok(Ok(heights))
    }

    /// Whether a version is in `records` if and only if its entity's head names it: asked for each
    /// row where the heads are not run through.
    fn is_where_its_head_says(
        &self,
        table: Table,
        place: &Place,
        row_key: &[u8],
        value: &[u8],
    ) -> Result<()> {
        let Ok(Peeked::Version(row, _)) = Peeked::decode(value, &self.run.spec) else {
            return Ok(());
        };
        let record_key = match key::split_history(row_key) {
            Ok((record_key, _)) if table == key::HISTORY => record_key,
            _ => row_key,
        };
        let path = Path {
            read: self.tables.read,
            spec: &self.run.spec,
            entity: record_key.get(place.as_bytes().len()..).unwrap_or_default(),
        };
        let Some(head) = Self::unless_damaged(path.head())? else {
            return Ok(());
        };
        let last = head.and_then(|head| head.last);
        let is_live = last.is_some_and(|last| last.version == row.version && last.place == *place);
        if is_live != (table == key::RECORDS) {
            self.run.report(
                Finding::new(Side::Tables, Code::LiveHead, Remedy::Journal)
                    .row(key::table_name(table), row_key)
                    .version(row.version),
            );
        }
        Ok(())
    }

    /// As [`Job::version`]; also says by which commit the payload was erased.
    fn sound_version(
        &mut self,
        table: Table,
        place: &Place,
        row_key: &[u8],
        value: &[u8],
    ) -> Result<(Heights, Option<(Version, u64)>), Fault> {
        let (record_key, version) = if table == key::RECORDS {
            (row_key, None)
        } else {
            let (record_key, version) = key::split_history(row_key)?;
            (record_key, Some(version))
        };
        let row = match Peeked::decode(value, &self.run.spec)? {
            Peeked::Closing(closing) => {
                let version = version.ok_or(Fault::Value {
                    what: "form of a live head",
                })?;
                if !self.run.is_lost(version.commit) {
                    let value = closing.encode();
                    self.sink.row(Side::Tables, Class::Closing, row_key, &value);
                }
                return Ok((Heights::NONE, None));
            }
            Peeked::Version(row, _) => row,
        };
        let header = row.header_ref(&self.run.spec)?;
        if version.is_some_and(|version| version != row.version) || header.place != place.as_bytes()
        {
            return Err(Fault::Value {
                what: "key of a version",
            });
        }
        let entity = key::entity(header.layer, header.id);
        if record_key.get(place.as_bytes().len()..) != Some(&entity[..]) {
            return Err(Fault::Value {
                what: "entity in the key",
            });
        }
        let erased = row.erased_by();
        if erased.is_none() && !row.is_payload_lost() {
            self.payload(table, row_key, &row, &header);
        }
        if !self.run.is_lost(row.version.commit) {
            let hash = row.hash(&self.run.net, &header);
            emit_version(self.sink, Side::Tables, record_key, row.version, hash);
            if let Some(lost) = Lost::of(header.is_lost(), row.is_payload_lost()) {
                emit_lost(self.sink, Side::Tables, row.version, lost);
            }
        }
        if table == key::RECORDS {
            self.sink.row(
                Side::Tables,
                Class::Live,
                row_key,
                &encode_version(row.version),
            );
        }
        let heights = header.extent.as_ref().map_or(Heights::NONE, Heights::of);
        Ok((heights, erased.map(|by| (row.version, by))))
    }

    fn payload(&self, table: Table, row_key: &[u8], row: &RowRef<'_>, header: &HeaderRef<'_>) {
        let expected = Hash(*header.commitment);
        let found = commitment(&row.salt, row.payload);
        if found != expected {
            self.run.report(
                Finding::new(Side::Tables, Code::Payload, Remedy::Journal)
                    .row(key::table_name(table), row_key)
                    .version(row.version)
                    .entity(header.layer, header.id)
                    .expected(expected)
                    .found(found),
            );
        }
    }

    fn tracks(&mut self) -> Result<()> {
        let mut group = Group::default();
        self.each(key::TRACKS, |job, row_key, value| {
            let Some((entity, ordinal)) = row_key.split_last_chunk::<8>() else {
                job.broken(key::TRACKS, row_key, "the key is too short");
                return Ok(());
            };
            let ordinal = !u64::from_be_bytes(*ordinal);
            let track = match Track::decode(ordinal, value, &job.run.spec) {
                Ok(track) => track,
                Err(fault) => {
                    job.broken(key::TRACKS, row_key, fault);
                    return Ok(());
                }
            };
            if !job.run.is_lost(track.version.commit) {
                emit_track(job.sink, Side::Tables, entity, &track);
            }
            if group.entity != entity {
                let done = std::mem::take(&mut group);
                job.path(&done)?;
                group.entity = entity.to_vec();
                group.versions = ordinal;
            }
            group.seen += 1;
            if group.tracks.len() < TRACKS_MAX {
                group.tracks.push(track);
            }
            Ok(())
        })?;
        self.path(&group)
    }

    /// Derives an entity's head from its whole path, and checks the hulls on the way.
    fn path(&mut self, group: &Group) -> Result<()> {
        if group.entity.is_empty() {
            return Ok(());
        }
        let (run, read) = (self.run, self.tables.read);
        let path = Path {
            read,
            spec: &run.spec,
            entity: &group.entity,
        };
        let whole = group.seen == group.versions;
        let kept = whole && group.tracks.len() as u64 == group.seen;
        // A path with a hole is reported where the row is missing; its head cannot be judged.
        let derived = if whole {
            Self::unless_damaged(self.derive(&path, group, kept))?
        } else {
            None
        };
        let head = match derived {
            Some(head) => Some(head),
            None => Self::unless_damaged(path.head())?.flatten(),
        };
        if let Some(head) = head {
            emit_head(self.sink, Side::Journal, &group.entity, head);
        }
        Ok(())
    }

    fn derive(&mut self, path: &Path<'_>, group: &Group, kept: bool) -> Result<Head> {
        let layer = key::parse_entity(&group.entity)
            .map_err(|fault| fault.in_table("tracks", &group.entity))?
            .0;
        let mut head = Head::NEW;
        let mut watermark = Moment::MIN;
        for ordinal in 1..=group.versions {
            let track_at = |ordinal: u64| -> Result<Track> {
                let index = group.versions.checked_sub(ordinal);
                match index.and_then(|index| group.tracks.get(usize::try_from(index).ok()?)) {
                    Some(track) if kept => Ok(*track),
                    _ => path.track(ordinal),
                }
            };
            let track = track_at(ordinal)?;
            let half = run_len(ordinal) / 2;
            let mut hull = crate::entity::Hull::of(track.valid);
            if half > 0 {
                hull = hull
                    .join(track_at(ordinal - 1)?.hull)
                    .join(track_at(ordinal - 1 - half)?.hull);
            }
            if hull != track.hull {
                self.run.report(
                    Finding::new(Side::Tables, Code::Hull, Remedy::Journal)
                        .row("tracks", &key::track(&group.entity, ordinal))
                        .version(track.version),
                );
            }
            head.advance(&track, Hash::ZERO);
            if let Some(last) = &head.last {
                watermark = watermark.max(last.sole_from);
            }
        }
        let totals = self.totals.layers.entry(layer).or_default();
        totals.watermark = totals.watermark.max(watermark);
        totals.live += u64::from(head.last.is_some_and(|last| !last.place.is_nowhere()));
        Ok(head)
    }

    fn entities(&mut self) -> Result<()> {
        self.each(key::ENTITIES, |job, row_key, value| {
            let head = match Head::decode(value, &job.run.spec) {
                Ok(head) => head,
                Err(fault) => {
                    job.broken(key::ENTITIES, row_key, fault);
                    return Ok(());
                }
            };
            emit_head(job.sink, Side::Tables, row_key, head);
            emit_chain(job.sink, Side::Tables, row_key, head.versions, head.hash);
            if let Some(last) = head.last.filter(|last| !last.place.is_nowhere()) {
                let record_key = key::record(&last.place, row_key);
                let version = encode_version(last.version);
                job.sink
                    .row(Side::Journal, Class::Live, &record_key, &version);
            }
            Ok(())
        })
    }

    fn blocks(&mut self) -> Result<()> {
        let (run, tables) = (self.run, self.tables);
        let mut around = run.surroundings(tables.read);
        // The row before, which is the next newer one of its block or another block's oldest.
        let mut newer: Option<Newer> = None;
        let broken_chain = |newer: &Newer, found: &dyn std::fmt::Display| {
            run.report(
                Finding::new(Side::Tables, Code::BlockChain, Remedy::Journal)
                    .row("blocks", &key::block(&newer.block, newer.commit))
                    .commit(newer.commit)
                    .block(newer.block)
                    .expected(newer.previous)
                    .found(found),
            );
        };
        self.each(key::BLOCKS, |job, row_key, value| {
            let (block, version) = match decode_block(&run.spec, row_key, value) {
                Ok(decoded) => decoded,
                Err(error) => {
                    job.broken(key::BLOCKS, row_key, error);
                    return Ok(());
                }
            };
            let commit = version.commit;
            let finding = |code| {
                Finding::new(Side::Tables, code, Remedy::Journal)
                    .row("blocks", row_key)
                    .commit(commit)
                    .block(block)
            };
            match newer.take() {
                Some(newer) if newer.block == block => {
                    if newer.previous != version.hash {
                        broken_chain(&newer, &version.hash);
                    } else if newer.entered != (version.round, version.created) {
                        broken_chain(&newer, &"another round or creating commit");
                    }
                }
                Some(newer) if newer.previous != Hash::ZERO || newer.entered.1 != newer.commit => {
                    broken_chain(&newer, &"no older version");
                }
                _ => {}
            }
            if Self::newest_block(&mut around, &block, commit)? {
                Self::unless_damaged(job.emit_held(&mut around, &block, &version))?;
            }
            newer = Some(Newer {
                block,
                commit,
                previous: version.previous,
                entered: (version.round, version.created),
            });
            if !run.is_lost(commit) {
                emit_block(job.sink, row_key, &version);
            }
            let hash = version.compute_hash(&run.net, &block);
            if hash != version.hash {
                run.report(finding(Code::BlockHash).expected(hash).found(version.hash));
            }
            let genes = around.genes(&block, version.round, version.created, commit);
            let genes = Self::unless_damaged(genes)?;
            job.totals.genes += version.genes.len() as u64;
            if let Some(genes) = genes
                && genes != version.genes
            {
                run.report(finding(Code::Gene));
            }
            let before = run.registry_head(tables.read, commit.saturating_sub(1))?;
            if let Some(before) = before
                && before != version.registry_head
            {
                run.report(
                    finding(Code::RegistryHead)
                        .expected(before)
                        .found(version.registry_head),
                );
            }
            Ok(())
        })?;
        if let Some(newer) = newer
            && (newer.previous != Hash::ZERO || newer.entered.1 != newer.commit)
        {
            broken_chain(&newer, &"no older version");
        }
        Ok(())
    }

    fn newest_block(around: &mut Surroundings<'_>, block: &Block, commit: u64) -> Result<bool> {
        let newest = Self::unless_damaged(around.newest(block))?.flatten();
        Ok(newest.is_some_and(|newest| newest.commit == commit))
    }

    /// Hands out what a block must hold of its predecessors, and the registry of it.
    fn emit_held(
        &mut self,
        around: &mut Surroundings<'_>,
        block: &Block,
        newest: &BlockVersion,
    ) -> Result<()> {
        for gene in around.genes(block, newest.round, newest.created, u64::MAX)? {
            let row_key = key::link(block, &gene.block);
            let held = Held {
                commit: gene.commit,
                hash: gene.hash,
            };
            self.sink
                .row(Side::Journal, Class::Link, &row_key, &held.encode());
        }
        if around.is_edge(block, u64::MAX)? {
            let row_key = block.to_packed();
            let held = newest.held().encode();
            self.sink
                .row(Side::Journal, Class::Edge, row_key.as_ref(), &held);
        }
        Ok(())
    }

    /// Rows that follow from `blocks`, held against it in the sums.
    fn links(&mut self) -> Result<()> {
        let run = self.run;
        self.each(key::LINKS, |job, row_key, value| {
            match decode_link(&run.spec, row_key, value) {
                Ok(_) => job.sink.row(Side::Tables, Class::Link, row_key, value),
                Err(error) => job.broken(key::LINKS, row_key, error),
            }
            Ok(())
        })
    }

    /// As [`Job::links`].
    fn edges(&mut self) -> Result<()> {
        let run = self.run;
        self.each(key::EDGES, |job, row_key, value| {
            match key::parse_edge(&run.spec, row_key).and_then(|_| Held::decode(value)) {
                Ok(_) => job.sink.row(Side::Tables, Class::Edge, row_key, value),
                Err(fault) => job.broken(key::EDGES, row_key, fault),
            }
            Ok(())
        })
    }

    /// What the rows of `zones` count, held against the rows counted in the sums.
    fn zones(&mut self) -> Result<()> {
        self.each(key::ZONES, |job, row_key, value| {
            match zone::check_key(&job.run.spec, row_key).and_then(|()| zone::decode(value)) {
                Ok((rows, _)) => {
                    for (class, count) in
                        [(Class::ZoneLive, rows.live), (Class::ZonePast, rows.past)]
                    {
                        job.sink.tally(Side::Tables, class, row_key, count);
                    }
                }
                Err(fault) => job.broken(key::ZONES, row_key, fault),
            }
            Ok(())
        })
    }

    fn meta(&mut self) -> Result<()> {
        let (run, read) = (self.run, self.tables.read);
        let net = encode_net(&run.net, &run.spec);
        let mut seen = false;
        self.each(key::META, |_, row_key, value| {
            let finding =
                |code| Finding::new(Side::Tables, code, Remedy::Journal).row("meta", row_key);
            if row_key == key::NET {
                seen = true;
                if value != net {
                    run.report(finding(Code::RowDiffers));
                }
            } else if let Some(by) = key::parse_erasing(row_key) {
                // Nothing is wrong; but a row that no commit gave would be there for ever.
                let ordered = erase::ordered_by(read, &run.spec, by);
                let ordered = Self::unless_damaged(ordered)?;
                if !value.is_empty() || ordered.is_some_and(|versions| versions.is_empty()) {
                    run.report(finding(Code::RowExtra));
                }
            } else if row_key != key::STATE && !key::is_layer(row_key) {
                run.report(finding(Code::RowExtra));
            }
            Ok(())
        })?;
        if !seen {
            self.run.report(
                Finding::new(Side::Tables, Code::RowMissing, Remedy::Journal).row("meta", key::NET),
            );
        }
        // Layers and state are compared with what the rest adds up to.
        match Self::unless_damaged(Ledger::load(self.tables.read))? {
            Some(_) => {}
            None => self.broken(key::META, key::STATE, "the state row cannot be decoded"),
        }
        Ok(())
    }

    /// Every row of the log from the commit hashes and the rows before it; none may be missing.
    fn log(&mut self) -> Result<()> {
        let (run, read) = (self.run, self.tables.read);
        let finding = |code, number| {
            Finding::new(Side::Tables, code, Remedy::Journal)
                .row("log", &key::log(number))
                .commit(number)
        };
        let mut next = 2;
        self.each(key::LOG, |job, row_key, value| {
            let Ok(number) = row_key.try_into().map(u64::from_be_bytes) else {
                job.broken(key::LOG, row_key, "the key is not a commit's number");
                return Ok(());
            };
            if number % 2 != 0 || number == 0 || number > run.applied {
                run.report(finding(Code::RowExtra, number));
                return Ok(());
            }
            while next < number {
                run.report(finding(Code::RowMissing, next));
                next += 2;
            }
            next = number + 2;
            // A commit whose header cannot be read is reported where it is missing.
            let Ok(info) = header(read, number)? else {
                return Ok(());
            };
            let row = Self::unless_damaged(log::row(read, number, info.previous, info.hash))?;
            if let Some(Some(expected)) = row
                && expected != value
            {
                run.report(
                    finding(Code::Log, number)
                        .expected(crate::error::Hex(&expected))
                        .found(crate::error::Hex(value)),
                );
            }
            Ok(())
        })?;
        while next <= run.applied {
            run.report(finding(Code::RowMissing, next));
            next += 2;
        }
        Ok(())
    }

    /// Tables whose rows follow from the journal as they are.
    fn plain(&mut self, table: Table) -> Result<()> {
        let class = if table == key::COMMITS {
            Class::Commit
        } else {
            Class::Moment
        };
        self.each(table, |job, row_key, value| {
            let commit = if table == key::COMMITS {
                row_key
                    .first_chunk()
                    .map(|commit| u64::from_be_bytes(*commit))
            } else {
                key::parse_moment(row_key).ok().map(|(_, commit)| commit)
            };
            if !commit.is_some_and(|commit| job.run.is_lost(commit)) {
                job.sink.row(Side::Tables, class, row_key, value);
            }
            Ok(())
        })
    }
}

fn unreadable(table: &'static str, gap: Gap) -> Finding {
    let mut finding = Finding::new(Side::Tables, Code::TableUnreadable, Remedy::Journal);
    finding.table = Some(table);
    finding.key = gap.after.or(gap.until);
    // RocksDB names the file in its message, with the place in it.
    let words: Vec<&str> = gap.error.split_whitespace().collect();
    let file = words.iter().find(|word| word.contains(".sst"));
    if let Some(name) = file.and_then(|path| path.rsplit('/').next()) {
        finding.file = Some(format!("tables/{}", name.trim_end_matches([':', ','])));
    }
    let number_after = |word: &str| {
        let at = words.iter().position(|found| *found == word)?;
        words
            .get(at + 1)?
            .trim_end_matches([':', ',', ';'])
            .parse()
            .ok()
    };
    finding.offset_bytes = number_after("offset");
    finding.len_bytes = number_after("size");
    finding.found(gap.error)
}

/// A head without its hash, which the version chain checks.
fn emit_head(sink: &mut dyn Sink, side: Side, entity: &[u8], head: Head) {
    let head = Head {
        hash: Hash::ZERO,
        ..head
    };
    sink.row(side, Class::Head, entity, &head.encode());
}

/// What a block version says of the next older one of its block.
struct Newer {
    block: Block,
    commit: u64,
    previous: Hash,
    /// Round and creating commit, the same in all versions of a block.
    entered: (u32, u64),
}

/// The tracks of one entity, newest first.
#[derive(Default)]
struct Group {
    entity: Vec<u8>,
    /// Ordinal of the newest.
    versions: u64,
    seen: u64,
    /// The newest of them, as many as are kept.
    tracks: Vec<Track>,
}

/// Counts the rows of one table by zone. Rows come in the order of places, so the rows of a zone of a
/// level follow each other, and the zones of a depth do: each depth of a level has a cursor over
/// `zones` of its own that is read along, for the bounds.
struct Zones<'a> {
    class: Class,
    read: &'a dyn Read,
    /// By level and depth: the zone being counted.
    open: BTreeMap<(u8, u8), Counted<'a>>,
}

/// What was counted in a zone.
struct Counted<'a> {
    row_key: Vec<u8>,
    count: u64,
    heights: Heights,
    /// At the stored row of the zone or behind it; none once `zones` cannot be read.
    stored: Option<Box<dyn Cursor + 'a>>,
}

impl<'a> Zones<'a> {
    fn new(table: Table, read: &'a dyn Read) -> Self {
        let class = if table == key::RECORDS {
            Class::ZoneLive
        } else {
            Class::ZonePast
        };
        Self {
            class,
            read,
            open: BTreeMap::new(),
        }
    }

    fn add(&mut self, job: &mut Job<'_>, place: &Place, heights: Heights) -> Result<()> {
        for depth in zone::zone_depths(place.level()) {
            let slot = (place.level(), depth);
            if let Some(open) = self.open.get_mut(&slot) {
                if zone::holds(&open.row_key, place) {
                    open.count += 1;
                    open.heights = open.heights.join(heights);
                    continue;
                }
                open.close(job, self.class)?;
                open.row_key = zone::key_of(place, depth);
                open.count = 1;
                open.heights = heights;
                continue;
            }
            let row_key = zone::key_of(place, depth);
            let range = KeyRange {
                start: row_key.clone(),
                ..KeyRange::prefix(&[slot.0, slot.1])
            };
            let stored = self.read.cursor(key::ZONES, &range).map_err(Into::into);
            let opened = Counted {
                stored: Job::unless_damaged(stored)?,
                row_key,
                count: 1,
                heights,
            };
            self.open.insert(slot, opened);
        }
        Ok(())
    }

    fn finish(mut self, job: &mut Job<'_>) -> Result<()> {
        self.open
            .values_mut()
            .try_for_each(|open| open.close(job, self.class))
    }
}

impl Counted<'_> {
    /// Hands out the count, and checks that the stored bounds hold the altitudes.
    fn close(&mut self, job: &mut Job<'_>, class: Class) -> Result<()> {
        job.sink
            .tally(Side::Journal, class, &self.row_key, self.count);
        while let Some(stored) = &mut self.stored {
            match stored.entry() {
                Some((row_key, _)) if row_key < &self.row_key[..] => {
                    let advanced = stored.advance().map_err(Into::into);
                    if Job::unless_damaged(advanced)?.is_none() {
                        self.stored = None;
                    }
                }
                Some((row_key, value)) if row_key == self.row_key => {
                    // One that cannot be decoded is reported where its table is run through.
                    if let Ok((_, bounds)) = zone::decode(value)
                        && bounds.join(self.heights) != bounds
                    {
                        job.run.report(
                            Finding::new(Side::Tables, Code::Zone, Remedy::Journal)
                                .row("zones", row_key)
                                .expected("altitudes that hold those of its rows"),
                        );
                    }
                    return Ok(());
                }
                _ => return Ok(()),
            }
        }
        Ok(())
    }
}
