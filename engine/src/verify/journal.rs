//! The checks that go segment by segment.

use std::collections::BTreeMap;

use blocknet_kv::Read;
use blocknet_wal::{Damage, DamagedFrame, Fault as WalFault, Found, Page, Position, Survey};

use crate::body::{Basis, Body, Definition};
use crate::error::{Error, Result};
use crate::hash::Hash;
use crate::layer::{LayerDef, LayerId};
use crate::linking::next_registry_head;
use crate::record::Version;
use crate::time::Moment;

use super::Run;
use super::around::{Surroundings, registry_changes};
use super::content::{Content, Erasures, Failed, lost_in, record_key, version_row, whole_version};
use super::finding::{Code, Finding, Remedy, Side};
use super::ranges::Ranges;
use super::sums::Sink;

/// What the commits of a journal add up to.
#[derive(Clone, Debug, Default)]
pub(super) struct JournalTotals {
    pub(super) versions: u64,
    pub(super) block_versions: u64,
    /// Commits whose recorded time was asserted.
    pub(super) asserted: u64,
    pub(super) blocks_created: u64,
    pub(super) written_max: Option<Moment>,
    pub(super) layers: BTreeMap<LayerId, LayerTotals>,
    pub(super) definitions: BTreeMap<LayerId, LayerDef>,
    /// The newest commit: number, hash, registry head.
    pub(super) newest: Option<(u64, Hash, Hash)>,
}

/// What the commits add up to in one layer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LayerTotals {
    pub(super) entities: u64,
    pub(super) versions: u64,
    pub(super) payload_bytes: u64,
    /// The newest commit and its recorded time.
    pub(super) newest: Option<(u64, Moment)>,
}

impl JournalTotals {
    pub(super) fn add(&mut self, body: &Body) {
        let info = &body.info;
        self.versions += body.assertions.len() as u64;
        self.block_versions += body.blocks.len() as u64;
        self.asserted += u64::from(info.basis == Basis::Asserted);
        let created = body.blocks.iter().filter(|touch| touch.created.is_some());
        self.blocks_created += created.count() as u64;
        self.written_max = self.written_max.max(Some(info.written));
        for header in &body.assertions {
            let layer = self.layers.entry(header.layer).or_default();
            layer.entities += u64::from(header.ordinal == 1);
            layer.versions += 1;
            layer.payload_bytes += u64::from(header.payload_len);
            layer.newest = layer.newest.max(Some((info.number, info.recorded)));
        }
        for definition in &body.definitions {
            if let Definition::Layer(id, def) = definition {
                self.definitions.insert(*id, def.clone());
            }
        }
        let newest = Some((info.number, info.hash, info.registry_head));
        self.newest = self.newest.max(newest);
    }

    pub(super) fn join(&mut self, other: Self) {
        self.versions += other.versions;
        self.block_versions += other.block_versions;
        self.asserted += other.asserted;
        self.blocks_created += other.blocks_created;
        self.written_max = self.written_max.max(other.written_max);
        for (id, layer) in other.layers {
            let own = self.layers.entry(id).or_default();
            own.entities += layer.entities;
            own.versions += layer.versions;
            own.payload_bytes += layer.payload_bytes;
            own.newest = own.newest.max(layer.newest);
        }
        self.definitions.extend(other.definitions);
        self.newest = self.newest.max(other.newest);
    }
}

/// What one segment file was found to be.
#[derive(Debug)]
pub(crate) struct SegmentScan {
    pub(crate) segment: u64,
    pub(crate) page: Option<Page>,
    /// The commits it holds whose bytes and content are sound.
    pub(crate) commits: Ranges,
    /// What sound commits name as the hash of the one before them, where that one is not in this
    /// file or has another hash.
    pub(crate) named: BTreeMap<u64, Hash>,
    /// What first page, footer and damaged frames state as the hash of a commit: no hash covers it.
    pub(crate) stated: BTreeMap<u64, Hash>,
    /// Hash of the last commit of each run of sound commits.
    pub(crate) ends: BTreeMap<u64, Hash>,
    /// Hash of the newest commit that the tables have, if it is here.
    pub(crate) applied: Option<Hash>,
    pub(crate) damages: Vec<Damage>,
    /// End of the last sound thing, in bytes.
    pub(crate) sound_end: u64,
    pub(crate) footer: bool,
    /// The last commit, as the footer states it.
    pub(crate) footer_seq: Option<u64>,
    /// Commits whose bytes are sound and whose content is not.
    pub(crate) wrong: Vec<u64>,
    /// Commits that an earlier repair could not prove.
    pub(crate) lost: Vec<u64>,
    /// Payloads erased by law, by the commit that ordered it.
    pub(crate) erased: BTreeMap<u64, u64>,
    /// Greatest commit number that any sound thing in it states.
    pub(crate) newest: u64,
    /// Whether the file is not what its name says: it has to be written anew.
    pub(crate) misplaced: bool,
}

impl SegmentScan {
    pub(crate) fn new(segment: u64) -> Self {
        Self {
            segment,
            page: None,
            commits: Ranges::default(),
            named: BTreeMap::new(),
            stated: BTreeMap::new(),
            ends: BTreeMap::new(),
            applied: None,
            damages: Vec::new(),
            sound_end: 0,
            footer: false,
            footer_seq: None,
            wrong: Vec::new(),
            lost: Vec::new(),
            erased: BTreeMap::new(),
            newest: 0,
            misplaced: false,
        }
    }
}

impl SegmentScan {
    /// The last commit that anything in the file shows to have been there.
    pub(crate) fn held_last(&self) -> Option<u64> {
        let sound = self.commits.iter().next_back().map(|(_, last)| last);
        let damaged = self
            .damages
            .iter()
            .filter_map(|damage| damage.frame.as_ref());
        sound
            .max(damaged.map(|frame| frame.seq).max())
            .max(self.wrong.iter().max().copied())
            .max(self.lost.iter().max().copied())
    }
}

/// Name of a segment's file, relative to the net.
pub(crate) fn file_of(segment: u64) -> String {
    format!("journal/{segment:016}.wal")
}

/// Runs through one segment.
pub(super) struct SegmentJob<'a> {
    pub(super) run: &'a Run<'a>,
    pub(super) read: Option<&'a dyn Read>,
    pub(super) survey: &'a Survey,
    pub(super) sink: &'a mut dyn Sink,
    pub(super) totals: JournalTotals,
    pub(super) erasures: Erasures,
}

impl SegmentJob<'_> {
    #[expect(
        clippy::too_many_lines,
        reason = "one arm for each thing that is found"
    )]
    pub(super) fn segment(&mut self, number: u64) -> Result<SegmentScan> {
        let mut scan = SegmentScan::new(number);
        let mut around = self.read.map(|read| self.run.surroundings(read));
        // Hash and registry head of the commit before, where it was just looked at.
        let mut before: Option<(u64, Hash, Hash)> = None;
        let mut last: Option<u64> = None;
        for found in self.survey.walk(number).map_err(Error::from)? {
            match found.map_err(Error::from)? {
                Found::Page(page) => {
                    scan.misplaced = page.segment != number || page.store_id != self.run.net;
                    if page.first_seq > 1 {
                        scan.stated
                            .insert(page.first_seq - 1, Hash(page.prev_chain));
                    }
                    scan.newest = scan.newest.max(page.first_seq.saturating_sub(1));
                    scan.page = Some(page);
                }
                Found::Frame(frame) => {
                    self.run.progress(frame.position.len_bytes);
                    scan.sound_end = end(&frame.position);
                    if last.is_some_and(|last| frame.seq <= last) {
                        self.run.report(
                            Finding::new(Side::Journal, Code::SequenceGap, Remedy::None)
                                .file(file_of(number))
                                .at(frame.position.offset_bytes, frame.position.len_bytes)
                                .commit(frame.seq)
                                .expected(last.unwrap_or(0) + 1)
                                .found(frame.seq),
                        );
                        scan.misplaced = true;
                        continue;
                    }
                    last = Some(frame.seq);
                    scan.newest = scan.newest.max(frame.seq);
                    if frame.lost {
                        scan.lost.push(frame.seq);
                        scan.stated.insert(frame.seq, Hash(frame.chain));
                        before = None;
                        continue;
                    }
                    if self.run.broken.contains(frame.seq) {
                        scan.wrong.push(frame.seq);
                        before = None;
                        continue;
                    }
                    let place = (frame.position.offset_bytes, frame.position.len_bytes);
                    let body = match crate::open::decode_body(&frame, Some(&self.run.spec)) {
                        Ok(body) => body,
                        Err(error) => {
                            self.run.report(
                                Finding::new(Side::Journal, Code::CommitBody, Remedy::Tables)
                                    .file(file_of(number))
                                    .at(place.0, place.1)
                                    .commit(frame.seq)
                                    .found(error),
                            );
                            scan.wrong.push(frame.seq);
                            before = None;
                            continue;
                        }
                    };
                    let seq = frame.seq;
                    let sound = self.commit(
                        number,
                        place,
                        &body,
                        &frame.erasable,
                        &mut around,
                        before,
                        &mut scan,
                    )?;
                    if sound {
                        scan.commits.insert(seq, seq);
                        // Where the chain breaks, both hashes are kept.
                        if !scan.named.contains_key(&seq.saturating_sub(1)) {
                            scan.ends.remove(&seq.saturating_sub(1));
                        }
                        scan.ends.insert(seq, body.info.hash);
                        before = Some((seq, body.info.hash, body.info.registry_head));
                    } else {
                        scan.wrong.push(seq);
                        before = None;
                    }
                }
                Found::Clean { seq, position } => {
                    scan.newest = scan.newest.max(seq);
                    scan.sound_end = end(&position);
                }
                Found::Footer {
                    seq,
                    chain,
                    position,
                    ..
                } => {
                    scan.footer = true;
                    scan.footer_seq = Some(seq);
                    scan.sound_end = end(&position);
                    scan.newest = scan.newest.max(seq);
                    scan.stated.insert(seq, Hash(chain));
                }
                Found::Damage(damage) => {
                    self.run.progress(damage.len_bytes);
                    if let Some(DamagedFrame { seq, chain, .. }) = &damage.frame {
                        scan.stated.insert(*seq, Hash(*chain));
                        last = last.max(Some(*seq));
                    }
                    before = None;
                    scan.damages.push(damage);
                }
                // What is still to come in a release of the journal is not for this check.
                _ => {}
            }
        }
        Ok(scan)
    }

    /// Checks a commit whose bytes are sound; tells whether its content is.
    #[expect(clippy::too_many_arguments, reason = "one call, in the loop above")]
    fn commit(
        &mut self,
        segment: u64,
        place: (u64, u64),
        body: &Body,
        erasable: &[u8],
        around: &mut Option<Surroundings<'_>>,
        before: Option<(u64, Hash, Hash)>,
        scan: &mut SegmentScan,
    ) -> Result<bool> {
        let info = &body.info;
        let finding = |code| {
            Finding::new(Side::Journal, code, Remedy::Tables)
                .file(file_of(segment))
                .at(place.0, place.1)
                .commit(info.number)
        };
        let Some(content) = Content::of(&self.run.spec, &self.run.net, body) else {
            let found = "a place that the net's spec cannot have written";
            self.run.report(finding(Code::CommitBody).found(found));
            return Ok(false);
        };
        let failed = content.check(Some(erasable));
        for Failed {
            code,
            index,
            expected,
            found,
        } in &failed
        {
            let mut finding = finding(*code).expected(expected).found(found);
            let header = index.and_then(|index| body.assertions.get(index as usize));
            if let (Some(index), Some(header)) = (*index, header) {
                let commit = info.number;
                finding = finding
                    .version(Version { commit, index })
                    .entity(header.layer, &header.id);
            }
            self.run.report(finding);
        }
        if !failed.is_empty() {
            return Ok(false);
        }
        let erased = content.erased(erasable);
        for (version, by) in &erased {
            if !self
                .erasures
                .are_ordered(self.run, self.read, *version, *by)?
            {
                let found = format!("erased, which commit {by} did not order");
                let finding = finding(Code::Payload).version(*version);
                self.run.report(finding.found(found));
                return Ok(false);
            }
        }
        if self.is_lost_here_only(&finding, body, erasable)? {
            return Ok(false);
        }
        for (_, by) in &erased {
            *scan.erased.entry(*by).or_default() += 1;
        }
        match before {
            Some((number, hash, _)) if number + 1 == info.number && hash == info.previous => {}
            _ if info.number > 1 => {
                scan.named.insert(info.number - 1, info.previous);
            }
            _ => {}
        }
        if info.number == self.run.applied {
            scan.applied = Some(info.hash);
        }
        if info.number > self.run.applied {
            return Ok(true);
        }
        self.registry(&finding, body, around, before)?;
        content.emit(self.sink);
        content.emit_erased(self.sink, erasable, self.run);
        content.emit_lost(self.sink, erasable);
        self.totals.add(body);
        Ok(true)
    }

    /// Names the versions that an earlier repair could not bring back; tells whether the tables
    /// have one of them after all.
    fn is_lost_here_only(
        &self,
        finding: &dyn Fn(Code) -> Finding,
        body: &Body,
        erasable: &[u8],
    ) -> Result<bool> {
        let mut found_again = false;
        for (version, lost) in lost_in(body, erasable) {
            let Some(own) = body.assertions.get(version.index as usize) else {
                continue;
            };
            let mut finding = finding(lost.code());
            finding.remedy = Remedy::Unprovable;
            if let Some(read) = self.read {
                let key = record_key(own);
                let row = version_row(read, &key, version)?;
                let whole = row.ok().is_some_and(|row| {
                    whole_version(&self.run.spec, &row, &key)
                        .is_ok_and(|(header, row)| !header.is_lost() && !row.is_payload_lost())
                });
                if whole {
                    finding.remedy = Remedy::Tables;
                    found_again = true;
                }
            }
            self.run.report(
                finding
                    .version(version)
                    .entity(own.layer, &own.id)
                    .found(lost.text()),
            );
        }
        Ok(found_again)
    }

    /// Checks the registry head of a commit against what it did to blocks without successors.
    fn registry(
        &self,
        finding: &dyn Fn(Code) -> Finding,
        body: &Body,
        around: &mut Option<Surroundings<'_>>,
        before: Option<(u64, Hash, Hash)>,
    ) -> Result<()> {
        let (Some(around), Some(read)) = (around, self.read) else {
            return Ok(());
        };
        if self.run.quiet {
            return Ok(());
        }
        let info = &body.info;
        let head = match before {
            Some((number, _, head)) if number + 1 == info.number => Some(head),
            _ => self
                .run
                .registry_head(read, info.number.saturating_sub(1))?,
        };
        // Reported where the table is run through.
        let Some(head) = head else { return Ok(()) };
        let touched = body
            .blocks
            .iter()
            .map(|touch| (touch.block, touch.hash, touch.created.is_some()));
        let changes = match registry_changes(around, info.number, touched) {
            Ok(changes) => changes,
            Err(error) if error.kind() == crate::ErrorKind::Io => return Err(error),
            Err(_) => return Ok(()),
        };
        let expected = next_registry_head(&self.run.net, head, &changes);
        if expected != info.registry_head {
            let mut finding = finding(Code::RegistryHead);
            finding.remedy = Remedy::Journal;
            self.run
                .report(finding.expected(expected).found(info.registry_head));
        }
        Ok(())
    }
}

fn end(position: &Position) -> u64 {
    position.offset_bytes.saturating_add(position.len_bytes)
}

/// The finding for a stretch of a segment that is not what it must be.
pub(super) fn damage_finding(segment: u64, damage: &Damage, remedy: Remedy) -> Finding {
    let code = match (damage.what, &damage.fault) {
        (_, WalFault::Missing) => Code::SegmentMissing,
        ("segment header", _) => Code::SegmentHeader,
        ("frame body", _) => Code::FrameBody,
        ("erasable section", _) => Code::FrameErasable,
        (_, WalFault::Leftover) => Code::Leftover,
        _ => Code::FrameHeader,
    };
    let mut finding = Finding::new(Side::Journal, code, remedy)
        .file(file_of(segment))
        .at(damage.offset_bytes, damage.len_bytes)
        .found(format!("{}: {}", damage.what, damage.fault));
    finding.commit = damage.frame.as_ref().map(|frame| frame.seq);
    finding
}
