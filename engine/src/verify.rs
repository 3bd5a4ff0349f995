//! Verification: every byte of a net is read again, and everything that can be recomputed is.
//!
//! The journal and the tables each hold the whole history, so they are compared as two sets of
//! rows, in both directions and in fixed memory (module `sums`); what hangs on an order is checked
//! where that order is at hand: the commit chain along the journal, a block's chain and genes along
//! `blocks`, an entity's path along `tracks`, zones along the rows they count. Nothing is written.
//!
//! Two rounds. The first runs through everything once and adds up. Only where the sums differ does
//! a second run list the rows of the unequal buckets, to name each row that differs.
//!
//! Which copy is right is not decided by a vote: the one whose bytes hash into the commit chain is.

mod anchor;
mod area;
mod around;
mod content;
mod difference;
mod finding;
mod journal;
mod ranges;
mod rows;
mod salvage;
mod sums;
mod tables;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use blocknet_geocode::NetSpec;
use blocknet_kv::Read;
use blocknet_wal::{Env, Recovery, Survey, Tail};
use parking_lot::Mutex;

use crate::body::Body;
use crate::error::{Error, Result};
use crate::hash::Hash;
use crate::key;
use crate::ledger::Ledger;
use crate::record::Version;

pub use anchor::{Anchor, Standing};
pub(crate) use anchor::{compare, standings};
pub use area::MayHold;
pub(crate) use content::{Rebuilt, Unproven, block_of, erased_in};
pub use finding::{Code, Finding, Remedy, Severity, Side};
pub(crate) use journal::{SegmentScan, file_of};
pub(crate) use ranges::Ranges;
pub(crate) use rows::{Gap, each_row};

use area::AreaBlocks;
use around::{Blocks, Surroundings};
use content::{Content, Erasures, payloads, rebuild};
use difference::{about_row, difference};
use journal::{JournalTotals, SegmentJob, damage_finding};
use sums::{Keys, Listed, Sink, Sums};
use tables::{Job, Part, TableTotals, parts, parts_in};

/// Rows listed at once when sums differ.
const LISTED_ROWS_MAX: u64 = 200_000;

/// Findings kept in full; more are counted.
const FINDINGS_MAX: usize = 100_000;

/// Registry heads of commits that are kept in memory.
const HEADS_MAX: usize = 1 << 16;

/// How much is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Depth {
    /// Everything.
    #[default]
    Full,
    /// What opening looks at: how the segments continue each other, the frames of the last one,
    /// and whether the tables open and hold the journal's newest commit.
    Quick,
}

/// How far a verification is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of frames and rows looked at.
    pub bytes: u64,
    /// About how many there are in all.
    pub bytes_expected: u64,
}

/// Called now and then, from any thread, while a verification runs.
pub type OnProgress<'a> = dyn Fn(Progress) + Sync + 'a;

/// What a verification looked at, and found.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Verification {
    /// The net's identity; `None` when neither copy tells it.
    pub net: Option<[u8; 16]>,
    /// The newest commit in the journal, and its hash, as far as they are known.
    pub head: (u64, Hash),
    /// Segment files.
    pub segments: u64,
    /// Commits of the journal that are sound.
    pub commits: u64,
    /// Commits whose recorded time was asserted by their writer.
    pub asserted: u64,
    /// Versions whose payloads were erased by law.
    pub erased: u64,
    /// Versions of entities, each payload hashed.
    pub versions: u64,
    /// Versions of blocks.
    pub block_versions: u64,
    /// Genes recomputed.
    pub genes: u64,
    /// Rows of the tables.
    pub rows: u64,
    /// Bytes of frames and rows that were looked at.
    pub bytes: u64,
    /// What could not be checked, and why. Empty when everything was.
    pub skipped: Vec<String>,
    /// Whether the journal ends in an interrupted write.
    pub torn_tail: bool,
    /// What was found, sorted.
    pub findings: Vec<Finding>,
    /// Findings beyond those that are kept.
    pub findings_dropped: u64,
    /// How the net stands to what it was held against: the anchors, then the copies, in the order
    /// given.
    pub standings: Vec<Standing>,
}

impl Verification {
    /// Findings that are errors.
    pub fn errors(&self) -> impl Iterator<Item = &Finding> {
        self.findings
            .iter()
            .filter(|finding| finding.severity == Severity::Error)
    }

    /// Whether everything was checked and nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.skipped.is_empty() && self.errors().next().is_none()
    }
}

/// What a repair has to know beside the findings.
#[derive(Debug, Default)]
pub(crate) struct Diagnosis {
    pub(crate) spec: Option<NetSpec>,
    /// Newest commit known of.
    pub(crate) newest: u64,
    /// Newest commit in the tables.
    pub(crate) applied: u64,
    pub(crate) scans: Vec<SegmentScan>,
    /// Commits that the journal lacks and the tables give back.
    pub(crate) from_tables: Ranges,
    /// Those among them that no copy has whole, put together from both; what neither has is marked as
    /// lost. Kept whole, since only damage to both copies makes one.
    pub(crate) pieced: BTreeMap<u64, Rebuilt>,
    /// Commits that no copy proves.
    pub(crate) lost: Ranges,
    /// Hashes that something sound names.
    pub(crate) named: BTreeMap<u64, Hash>,
    /// Commits whose frames are sound by their bytes, and do not hash into their block versions.
    pub(crate) forged: BTreeSet<u64>,
    /// The segment whose end is an interrupted write, or may be one: opening decides.
    pub(crate) torn: Option<u64>,
    /// Whether the operating system failed to read something, so that nothing may be replaced.
    pub(crate) unread: bool,
    /// Why the tables have to be built anew.
    pub(crate) tables: Option<String>,
}

impl Diagnosis {
    /// Versions whose payloads were erased by law.
    fn erased(&self) -> u64 {
        let by_commit = self.scans.iter().flat_map(|scan| scan.erased.values());
        by_commit.sum()
    }
}

/// Tables as they were found.
pub(crate) enum TablesFound<'a> {
    #[cfg_attr(
        not(any(test, feature = "rocks")),
        expect(dead_code, reason = "only tables in files are opened")
    )]
    Open(Box<dyn Read + 'a>),
    Unusable(String),
    /// They live in memory and were just built from the journal, up to a commit that cannot be
    /// applied: its number and why.
    Replayed(Box<dyn Read + 'a>, Option<(u64, String)>),
}

/// Where a net lies.
pub(crate) struct Target<'a> {
    pub(crate) env: Arc<dyn Env>,
    pub(crate) dir: &'a Path,
    pub(crate) tables: TablesFound<'a>,
}

impl Target<'_> {
    /// The tables, where they can be read.
    pub(crate) fn read(&self) -> Option<&dyn Read> {
        match &self.tables {
            TablesFound::Open(read) | TablesFound::Replayed(read, _) => Some(&**read),
            TablesFound::Unusable(_) => None,
        }
    }
}

/// What the jobs of a run share.
pub(crate) struct Run<'a> {
    spec: NetSpec,
    net: [u8; 16],
    /// Newest commit in the tables.
    applied: u64,
    lost: Ranges,
    /// Versions that both copies are found to have lost.
    lost_versions: BTreeSet<Version>,
    /// Commits of the journal whose hash is not the one that a later commit names.
    broken: Ranges,
    /// In the second round, which only lists rows.
    quiet: bool,
    /// The blocks of the tables, if they fit into memory.
    blocks: Option<Blocks>,
    /// Registry heads of commits that the tables were asked for.
    heads: Mutex<HashMap<u64, Option<Hash>>>,
    /// What is verified, where it is not all.
    area: Option<&'a AreaBlocks<'a>>,
    bytes: AtomicU64,
    bytes_expected: u64,
    on_progress: &'a OnProgress<'a>,
    findings: Mutex<Findings>,
}

#[derive(Default)]
struct Findings {
    kept: Vec<Finding>,
    dropped: u64,
}

impl Run<'_> {
    fn report(&self, finding: Finding) {
        if self.quiet {
            return;
        }
        let mut findings = self.findings.lock();
        if findings.kept.len() < FINDINGS_MAX {
            findings.kept.push(finding);
        } else {
            findings.dropped += 1;
        }
    }

    fn surroundings<'a>(&'a self, read: &'a dyn Read) -> Surroundings<'a> {
        Surroundings::new(read, &self.spec, self.blocks.as_ref())
    }

    /// The registry head after a commit, as the tables have it; `None` where its header is damaged.
    fn registry_head(&self, read: &dyn Read, commit: u64) -> Result<Option<Hash>> {
        if commit == 0 {
            return Ok(Some(Hash::ZERO));
        }
        if let Some(head) = self.heads.lock().get(&commit) {
            return Ok(*head);
        }
        let info = content::header(read, commit)?;
        let head = info.ok().map(|info| info.registry_head);
        let mut heads = self.heads.lock();
        if heads.len() >= HEADS_MAX {
            heads.clear();
        }
        heads.insert(commit, head);
        Ok(head)
    }

    fn is_lost(&self, commit: u64) -> bool {
        self.lost.contains(commit)
    }

    fn progress(&self, bytes: u64) {
        let bytes = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        (self.on_progress)(Progress {
            bytes,
            bytes_expected: self.bytes_expected.max(bytes),
        });
    }
}

/// Tables that can be read.
pub(crate) struct TablesRead<'a> {
    read: &'a dyn Read,
}

/// Runs jobs on as many threads as the machine has processors; each thread adds to a value of its
/// own.
fn in_parallel<J: Send, T: Send>(
    jobs: Vec<J>,
    new: impl Fn() -> T + Sync,
    work: impl Fn(J, &mut T) + Sync,
) -> Vec<T> {
    let threads = threads().min(jobs.len()).max(1);
    let queue = Mutex::new(jobs.into_iter());
    thread::scope(|scope| {
        let handles: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    let mut own = new();
                    loop {
                        let Some(job) = queue.lock().next() else {
                            return own;
                        };
                        work(job, &mut own);
                    }
                })
            })
            .collect();
        handles
            .into_iter()
            .map(|handle| {
                handle
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .collect()
    })
}

/// The two sides of a run, added up or listed.
struct Pass<S> {
    sink: S,
    journal: JournalTotals,
    tables: TableTotals,
    scans: Vec<SegmentScan>,
    failed: Vec<String>,
}

impl<S: Sink> Pass<S> {
    fn new(sink: S) -> Self {
        Self {
            sink,
            journal: JournalTotals::default(),
            tables: TableTotals::default(),
            scans: Vec::new(),
            failed: Vec::new(),
        }
    }

    fn join(&mut self, other: Self, join: impl FnOnce(&mut S, S)) {
        join(&mut self.sink, other.sink);
        self.journal.join(other.journal);
        self.tables.join(other.tables);
        self.scans.extend(other.scans);
        self.failed.extend(other.failed);
    }
}

/// Verifies a net; see [`crate::NetBuilder::verify`].
pub(crate) fn verify(
    target: &Target<'_>,
    depth: Depth,
    on_progress: &OnProgress<'_>,
) -> Result<(Verification, Diagnosis)> {
    Verifier::new(target).verify(depth, None, on_progress)
}

/// Verifies an area of a net; see [`crate::NetBuilder::verify_area`].
pub(crate) fn verify_area(
    target: &Target<'_>,
    may_hold: &MayHold<'_>,
    on_progress: &OnProgress<'_>,
) -> Result<Verification> {
    let verified = Verifier::new(target).verify(Depth::Full, Some(may_hold), on_progress);
    verified.map(|(verification, _)| verification)
}

struct Verifier<'a> {
    target: &'a Target<'a>,
    journal_dir: PathBuf,
    report: Verification,
    diagnosis: Diagnosis,
    /// Findings made before there is a run to make them.
    early: Vec<Finding>,
}

impl<'a> Verifier<'a> {
    fn new(target: &'a Target<'a>) -> Self {
        Self {
            target,
            journal_dir: target.dir.join(crate::open::JOURNAL_DIR),
            report: Verification::default(),
            diagnosis: Diagnosis::default(),
            early: Vec::new(),
        }
    }

    fn read(&self) -> Option<&'a dyn Read> {
        self.target.read()
    }

    fn verify(
        mut self,
        depth: Depth,
        may_hold: Option<&MayHold<'_>>,
        on_progress: &OnProgress<'_>,
    ) -> Result<(Verification, Diagnosis)> {
        let survey = self.survey()?;
        let segments = survey
            .as_ref()
            .map_or(Vec::new(), |survey| survey.segments().to_vec());
        self.report.segments = segments.len() as u64;
        for name in survey.iter().flat_map(Survey::foreign) {
            let name = format!("{}/{}", crate::open::JOURNAL_DIR, name.to_string_lossy());
            self.early
                .push(Finding::info(Side::Journal, Code::ForeignFile).file(name));
        }
        self.look_at_gaps(&segments);
        let end = self.look_at_tail(&segments);
        let ledger = self.look_at_tables()?;
        let identity = self.identity(survey.as_ref(), &segments);
        let Some((net, spec)) = identity else {
            self.report
                .skipped
                .push("everything: neither journal nor tables say which net this is".to_owned());
            self.diagnosis.tables = Some("which net this is is not known".to_owned());
            return Ok(self.finish(Findings::default()));
        };
        self.report.net = Some(net);
        self.diagnosis.spec = Some(spec);
        let applied = ledger.as_ref().map_or(0, |ledger| ledger.commit);
        self.diagnosis.applied = applied;
        let area = match may_hold {
            Some(may_hold) => Some(self.list_blocks(&spec, ledger.as_ref(), may_hold)?),
            None => None,
        };
        let mut run = Run {
            spec,
            net,
            applied,
            lost: Ranges::default(),
            lost_versions: BTreeSet::new(),
            broken: Ranges::default(),
            quiet: false,
            blocks: None,
            heads: Mutex::default(),
            area: area.as_ref(),
            bytes: AtomicU64::new(0),
            bytes_expected: self.bytes_expected(survey.as_ref(), &segments),
            on_progress,
            findings: Mutex::new(Findings::default()),
        };
        if depth == Depth::Quick {
            self.quick(&run, ledger.as_ref());
            return Ok(self.finish(run.findings.into_inner()));
        }
        if let (Some(read), Some(_)) = (self.read(), &ledger) {
            run.blocks = Blocks::load(read, &spec)?;
        }
        let keys = Keys::new(area.as_ref());
        let mut sums = self.add_journal(&run, survey.as_ref(), &segments, &keys);
        if sums.failed.is_empty() && self.find_broken(&mut run, survey.as_ref(), &sums.scans)? {
            // Once more without them: they are not what the chain names.
            run.quiet = true;
            sums = self.add_journal(&run, survey.as_ref(), &segments, &keys);
            run.quiet = false;
        }
        if !sums.failed.is_empty() {
            // What could not be read may be sound: nothing can be said of the rest without it.
            self.report.skipped.append(&mut sums.failed);
            self.report
                .skipped
                .push("all comparisons with what could not be read".to_owned());
            self.diagnosis.unread = true;
            return Ok(self.finish(run.findings.into_inner()));
        }
        let scans = std::mem::take(&mut sums.scans);
        self.judge_segments(&run, &scans, &end);
        self.bring_back(
            &mut run,
            survey.as_ref(),
            &scans,
            &mut sums,
            ledger.as_ref(),
        )?;
        self.report_damages(&run, &scans, &end);
        self.diagnosis.scans = scans;
        let newest = self.diagnosis.newest;
        self.report.head = (newest, self.hash_of(newest, &sums.journal));
        if let (Some(read), Some(ledger)) = (self.read(), &ledger) {
            let tables = TablesRead { read };
            for pass in walk_tables(&run, &tables, || Sums::new(&keys)) {
                sums.join(pass, |own, other| own.join(&other));
            }
            if sums.failed.is_empty() {
                self.name_differences(&mut run, survey.as_ref(), &segments, &keys, &sums.sink)?;
                let is_whole = run.lost.is_empty() && run.lost_versions.is_empty();
                if is_whole && run.area.is_none() {
                    Self::compare_totals(&run, ledger, &sums);
                }
            }
            self.diagnosis.unread |= !sums.failed.is_empty();
        }
        self.count(&run, &mut sums);
        Ok(self.finish(run.findings.into_inner()))
    }

    /// The journal's files; `None` where there is no journal.
    fn survey(&mut self) -> Result<Option<Survey>> {
        match Survey::new(Arc::clone(&self.target.env), &self.journal_dir) {
            Ok(survey) => Ok(Some(survey)),
            Err(error) if error.io_error().is_some_and(is_not_found) => {
                self.early.push(
                    Finding::new(Side::Journal, Code::JournalMissing, Remedy::Tables)
                        .file(crate::open::JOURNAL_DIR)
                        .found(error),
                );
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What was looked at.
    fn count(&mut self, run: &Run<'_>, sums: &mut Pass<Sums<'_>>) {
        let sound = self
            .diagnosis
            .scans
            .iter()
            .flat_map(|scan| scan.commits.iter());
        self.report.commits = sound.map(|(first, last)| last - first + 1).sum();
        self.report.versions = sums.journal.versions;
        self.report.block_versions = sums.journal.block_versions;
        self.report.asserted = sums.journal.asserted;
        self.report.erased = self.diagnosis.erased();
        self.report.rows = sums.tables.rows;
        self.report.genes = sums.tables.genes;
        self.report.bytes = run.bytes.load(Ordering::Relaxed);
        self.report.skipped.append(&mut sums.failed);
    }

    fn list_blocks<'m>(
        &mut self,
        spec: &NetSpec,
        ledger: Option<&Ledger>,
        may_hold: &'m MayHold<'m>,
    ) -> Result<AreaBlocks<'m>> {
        let levels = match ledger {
            Some(ledger) => ledger.levels.keys().copied().collect(),
            None => (0..=spec.planar_digits()).collect(),
        };
        let read = ledger.and_then(|_| self.read());
        let area = AreaBlocks::list(read, spec, levels, may_hold)?;
        let blocks = match area.count {
            Some(1) => "the 1 block".to_owned(),
            Some(count) => format!("the {count} blocks"),
            None => "the blocks".to_owned(),
        };
        self.report.skipped.push(format!(
            "of the tables, all but what is filed in {blocks} that something in the area can be filed \
             in; and of that, the paths and heads of entities, erasures, and what is counted"
        ));
        Ok(area)
    }

    fn finish(mut self, mut findings: Findings) -> (Verification, Diagnosis) {
        findings.kept.append(&mut self.early);
        findings.kept.sort();
        findings.kept.dedup();
        let wrong_in_tables = |finding: &&Finding| {
            finding.side == Side::Tables && finding.severity == Severity::Error
        };
        if let Some(first) = findings.kept.iter().find(wrong_in_tables)
            && self.diagnosis.tables.is_none()
        {
            self.diagnosis.tables = Some(first.to_string());
        }
        self.report.findings = findings.kept;
        self.report.findings_dropped = findings.dropped;
        (self.report, self.diagnosis)
    }

    fn bytes_expected(&self, survey: Option<&Survey>, segments: &[u64]) -> u64 {
        let lens = segments.iter().filter_map(|segment| {
            let walk = survey?.walk(*segment).ok()?;
            Some(walk.len_bytes())
        });
        let journal: u64 = lens.sum();
        // The rows of the tables come to about as many bytes as the frames they follow from.
        journal * if self.read().is_some() { 2 } else { 1 }
    }

    /// Files missing between others, or before them.
    fn look_at_gaps(&mut self, segments: &[u64]) {
        let mut expected = 1;
        for segment in segments {
            if expected < *segment {
                self.early.push(
                    Finding::new(Side::Journal, Code::SegmentMissing, Remedy::Tables)
                        .file(file_of(expected))
                        .expected(format!("segments {expected} to {}", segment - 1)),
                );
            }
            expected = segment + 1;
        }
        if segments.is_empty() && self.early.is_empty() {
            self.early.push(
                Finding::new(Side::Journal, Code::SegmentMissing, Remedy::Tables).file(file_of(1)),
            );
        }
    }

    /// How the journal ends, as far as opening it can tell.
    fn look_at_tail(&mut self, segments: &[u64]) -> End {
        let last = segments.last().map_or(0, |last| *last);
        let recovery = match Recovery::scan(Arc::clone(&self.target.env), &self.journal_dir) {
            Ok(recovery) => recovery,
            Err(error) => {
                let name = file_of(last);
                let damaged = error.corruption().is_some_and(|corruption| {
                    let file = corruption.file.file_name().and_then(|file| file.to_str());
                    file.is_some_and(|file| name.ends_with(file))
                });
                if damaged {
                    return End::Damaged;
                }
                self.diagnosis.torn = Some(last);
                return End::Unknown;
            }
        };
        let tail = recovery.tail().clone();
        match &tail {
            Tail::Clean => {}
            Tail::Unclean => {
                self.early
                    .push(Finding::info(Side::Journal, Code::CleanMissing).file(file_of(last)));
            }
            Tail::Torn {
                offset,
                len,
                reason,
            } => {
                self.report.torn_tail = true;
                self.diagnosis.torn = Some(last);
                self.early.push(
                    Finding::info(Side::Journal, Code::TornTail)
                        .file(file_of(last))
                        .at(*offset, *len)
                        .found(reason),
                );
            }
        }
        End::Found(tail)
    }

    /// What the tables say of themselves.
    fn look_at_tables(&mut self) -> Result<Option<Ledger>> {
        let why = match &self.target.tables {
            TablesFound::Unusable(why) => why.clone(),
            TablesFound::Open(read) => match content::readable(Ledger::load(&**read))? {
                // The number is believed only if the commit is there: it says how far to look.
                Ok(Some(ledger)) => match content::header(&**read, ledger.commit)? {
                    Ok(info) if info.hash == ledger.hash => return Ok(Some(ledger)),
                    _ => format!("they do not have their newest commit, {}", ledger.commit),
                },
                Ok(None) => "they do not say which commits they hold".to_owned(),
                Err(why) => why,
            },
            TablesFound::Replayed(read, failed) => {
                if let Some((commit, why)) = failed {
                    self.early.push(
                        Finding::new(Side::Journal, Code::CommitBody, Remedy::Unprovable)
                            .commit(*commit)
                            .found(why),
                    );
                }
                return Ledger::load(&**read);
            }
        };
        self.early.push(
            Finding::new(Side::Tables, Code::TablesUnusable, Remedy::Journal)
                .file(crate::open::TABLES_DIR)
                .found(&why),
        );
        self.report
            .skipped
            .push("the tables, and with them the hashes of blocks".to_owned());
        self.diagnosis.tables = Some(why);
        Ok(None)
    }

    /// Identity and spec: from the journal's first commit, else from the tables.
    fn identity(&self, survey: Option<&Survey>, segments: &[u64]) -> Option<([u8; 16], NetSpec)> {
        let from_journal = survey
            .filter(|_| segments.first() == Some(&1))
            .and_then(journal_identity);
        let from_tables = || match content::net_of(self.read()?) {
            Ok(Ok(found)) => Some(found),
            _ => None,
        };
        from_journal.or_else(from_tables)
    }

    fn quick(&mut self, run: &Run<'_>, ledger: Option<&Ledger>) {
        let env = Arc::clone(&self.target.env);
        let skipped = "all but the structure of the journal and the newest commit of the tables";
        self.report.skipped.push(skipped.to_owned());
        let recovery = match Recovery::scan(env, &self.journal_dir) {
            Ok(recovery) => recovery,
            Err(error) => {
                let mut finding =
                    Finding::new(Side::Journal, Code::FrameHeader, Remedy::Tables).found(&error);
                if let Some(corruption) = error.corruption() {
                    let name = corruption.file.file_name().unwrap_or_default();
                    finding.file = Some(format!("{}/{}", crate::open::JOURNAL_DIR, name.display()));
                    finding.offset_bytes = Some(corruption.offset_bytes);
                }
                run.report(finding);
                return;
            }
        };
        self.report.head = (recovery.last_seq(), Hash(recovery.last_chain()));
        let Some(ledger) = ledger else { return };
        let frame = recovery
            .frames(ledger.commit)
            .ok()
            .and_then(|mut frames| frames.next()?.ok());
        let side = Side::Tables;
        if ledger.commit > recovery.last_seq() {
            run.report(
                Finding::new(Side::Journal, Code::TablesAhead, Remedy::Tables)
                    .commit(recovery.last_seq() + 1)
                    .expected(format!("commits up to {}", ledger.commit))
                    .found(format!("commits up to {}", recovery.last_seq())),
            );
        } else if frame.is_none_or(|frame| Hash(frame.chain) != ledger.hash) {
            run.report(Finding::new(side, Code::TablesFork, Remedy::Journal).commit(ledger.commit));
        } else if ledger.commit < recovery.last_seq() {
            run.report(behind(ledger.commit, recovery.last_seq()));
        }
    }

    fn walk_journal<S: Sink>(
        &self,
        run: &Run<'_>,
        survey: Option<&Survey>,
        segments: &[u64],
        sink: impl Fn() -> S + Sync,
    ) -> Vec<Pass<S>> {
        let Some(survey) = survey else {
            return Vec::new();
        };
        let read = self.read();
        in_parallel(
            segments.to_vec(),
            || Pass::new(sink()),
            |segment, pass: &mut Pass<S>| {
                let mut job = SegmentJob {
                    run,
                    read,
                    survey,
                    sink: &mut pass.sink,
                    totals: std::mem::take(&mut pass.journal),
                    erasures: Erasures::default(),
                };
                let result = job.segment(segment);
                pass.journal = job.totals;
                match result {
                    Ok(scan) => pass.scans.push(scan),
                    Err(error) => {
                        run.report(
                            Finding::new(Side::Journal, Code::Io, Remedy::None)
                                .file(file_of(segment))
                                .found(&error),
                        );
                        pass.failed.push(format!("{}: {error}", file_of(segment)));
                    }
                }
            },
        )
    }

    fn add_journal<'k>(
        &self,
        run: &Run<'_>,
        survey: Option<&Survey>,
        segments: &[u64],
        keys: &Keys<'k>,
    ) -> Pass<Sums<'k>> {
        let mut sums = Pass::new(Sums::new(keys));
        for pass in self.walk_journal(run, survey, segments, || Sums::new(keys)) {
            sums.join(pass, |own, other| own.join(&other));
        }
        sums.scans.sort_by_key(|scan| scan.segment);
        sums
    }

    /// Finds the commits whose hash is not the one that a later commit names: made anew after the
    /// later one was written. Those before them may have been made anew with them, so the chain of
    /// the tables is followed back to where both agree.
    fn find_broken(
        &self,
        run: &mut Run<'_>,
        survey: Option<&Survey>,
        scans: &[SegmentScan],
    ) -> Result<bool> {
        let ends: BTreeMap<u64, Hash> = scans
            .iter()
            .flat_map(|scan| &scan.ends)
            .map(|(commit, hash)| (*commit, *hash))
            .collect();
        let named = scans.iter().flat_map(|scan| &scan.named);
        let breaks: Vec<(u64, Hash)> = named
            .filter(|(commit, hash)| ends.get(commit).is_some_and(|own| own != *hash))
            .map(|(commit, hash)| (*commit, *hash))
            .collect();
        let Some(survey) = survey.filter(|_| !breaks.is_empty()) else {
            return Ok(false);
        };
        for (commit, expected) in breaks {
            let mut next = Some((commit, expected));
            let before = scans.iter().rev();
            for scan in before.filter(|scan| scan.commits.meets(0, commit)) {
                if next.is_none() {
                    break;
                }
                let frames = chains(survey, scan.segment)?;
                while let Some((number, expected)) = next {
                    let Some((place, found)) = frames.get(&number) else {
                        break;
                    };
                    if *found == expected {
                        next = None;
                        break;
                    }
                    run.report(
                        Finding::new(Side::Journal, Code::ChainBreak, Remedy::Tables)
                            .file(file_of(scan.segment))
                            .at(place.offset_bytes, place.len_bytes)
                            .commit(number)
                            .expected(expected)
                            .found(found),
                    );
                    run.broken.insert(number, number);
                    next = match self.read() {
                        Some(read) => content::header(read, number)?
                            .ok()
                            .filter(|info| info.hash == expected && number > 1)
                            .map(|info| (number - 1, info.previous)),
                        None => None,
                    };
                }
            }
        }
        Ok(true)
    }

    /// What is wrong with segments as a whole, and which commits the journal had.
    fn judge_segments(&mut self, run: &Run<'_>, scans: &[SegmentScan], end: &End) {
        let mut newest = self.diagnosis.applied;
        let last = scans.last().map_or(0, |scan| scan.segment);
        for scan in scans {
            newest = newest.max(scan.newest);
            let damaged = scan
                .damages
                .iter()
                .filter(|damage| is_damage(scan, last, damage, end));
            let stated = damaged.filter_map(|damage| Some(damage.frame.as_ref()?.seq));
            newest = newest.max(stated.max().unwrap_or(0));
            let finding = |code, remedy| {
                Finding::new(Side::Journal, code, remedy).file(file_of(scan.segment))
            };
            for commit in &scan.lost {
                run.report(finding(Code::CommitLostBefore, Remedy::Unprovable).commit(*commit));
            }
            for (by, payloads) in &scan.erased {
                let found = match payloads {
                    1 => format!("a payload erased by commit {by}"),
                    _ => format!("{payloads} payloads erased by commit {by}"),
                };
                run.report(
                    Finding::info(Side::Journal, Code::Erased)
                        .file(file_of(scan.segment))
                        .found(found),
                );
            }
            if scan.misplaced {
                let found = match &scan.page {
                    Some(page) => format!("segment {}", page.segment),
                    None => "commits that do not follow each other".to_owned(),
                };
                run.report(
                    finding(Code::SegmentOrder, Remedy::Neighbours)
                        .expected(format!("segment {}", scan.segment))
                        .found(found),
                );
            }
            if scan.segment != last && !scan.footer {
                run.report(
                    finding(Code::SegmentTruncated, Remedy::Neighbours).expected("a footer"),
                );
            }
        }
        self.diagnosis.newest = newest;
    }

    /// Brings back from the tables what the journal lacks, and adds it to the journal's side.
    fn bring_back(
        &mut self,
        run: &mut Run<'_>,
        survey: Option<&Survey>,
        scans: &[SegmentScan],
        sums: &mut Pass<Sums<'_>>,
        ledger: Option<&Ledger>,
    ) -> Result<()> {
        let mut sound = Ranges::default();
        let mut ends = BTreeMap::new();
        let mut damaged = BTreeMap::new();
        for scan in scans {
            for (first, last) in scan.commits.iter() {
                sound.insert(first, last);
            }
            ends.extend(scan.ends.iter().map(|(commit, hash)| (*commit, *hash)));
            for frame in scan
                .damages
                .iter()
                .filter_map(|damage| damage.frame.as_ref())
            {
                damaged.insert(frame.seq, frame);
            }
        }
        // What commits name comes first, then the commits that are there; what else states a hash
        // has to agree, and counts where nothing better is left.
        let mut named: BTreeMap<u64, Hash> = BTreeMap::new();
        for scan in scans {
            named.extend(scan.named.iter().map(|(commit, hash)| (*commit, *hash)));
        }
        for (commit, hash) in ends {
            named.entry(commit).or_insert(hash);
        }
        if let Some(ledger) = ledger {
            Self::compare_newest(run, scans, ledger);
        }
        for scan in scans {
            for (commit, hash) in &scan.stated {
                let known = *named.entry(*commit).or_insert(*hash);
                if known != *hash {
                    run.report(
                        Finding::new(Side::Journal, Code::ChainBreak, Remedy::Neighbours)
                            .file(file_of(scan.segment))
                            .commit(*commit)
                            .expected(known)
                            .found(hash),
                    );
                }
            }
        }
        if let Some(ledger) = ledger {
            named.entry(ledger.commit).or_insert(ledger.hash);
        }
        let missing = sound.missing_until(self.diagnosis.newest);
        for (first, last) in missing.iter().rev() {
            let mut number = last;
            // Backwards, since each commit names the hash of the one before it.
            while number >= first {
                let Some(expected) = named.get(&number).copied() else {
                    // Nothing names it, nor any before it down to the next that something names.
                    let below = named.range(first..number).next_back();
                    let from = below.map_or(first, |(below, _)| below + 1);
                    run.lost.insert(from, number);
                    let why = format!("nothing left names commits {from} to {number}");
                    Self::report_lost(run, from, &Unproven::new(why));
                    number = from - 1;
                    continue;
                };
                let body = damaged.get(&number).and_then(|frame| frame.body.as_deref());
                match self.have_back(run, survey, scans, number, expected, body)? {
                    Ok((rebuilt, is_pieced)) => {
                        if number > 1 {
                            named.insert(number - 1, rebuilt.body.info.previous);
                        }
                        if let Some(content) = Content::of(&run.spec, &run.net, &rebuilt.body) {
                            content.emit(&mut sums.sink);
                            content.emit_erased(&mut sums.sink, &rebuilt.erasable, run);
                            content.emit_lost(&mut sums.sink, &rebuilt.erasable);
                        }
                        sums.journal.add(&rebuilt.body);
                        self.diagnosis.from_tables.insert(number, number);
                        Self::note_lost_versions(run, &rebuilt);
                        if is_pieced {
                            self.diagnosis.pieced.insert(number, rebuilt);
                        }
                    }
                    Err(unproven) => {
                        run.lost.insert(number, number);
                        Self::report_lost(run, number, &unproven);
                    }
                }
                number -= 1;
            }
        }
        self.diagnosis.lost.clone_from(&run.lost);
        self.diagnosis.named = named;
        Ok(())
    }

    /// The newest commit of the tables against the journal's.
    fn compare_newest(run: &Run<'_>, scans: &[SegmentScan], ledger: &Ledger) {
        let in_journal = scans.iter().find_map(|scan| scan.applied);
        let newest = scans.iter().map(|scan| scan.newest).max().unwrap_or(0);
        if in_journal.is_some_and(|hash| hash != ledger.hash) {
            run.report(
                Finding::new(Side::Tables, Code::TablesFork, Remedy::Journal)
                    .commit(ledger.commit)
                    .expected(in_journal.unwrap_or(Hash::ZERO))
                    .found(ledger.hash),
            );
        }
        if ledger.commit > newest {
            run.report(
                Finding::new(Side::Journal, Code::TablesAhead, Remedy::Tables)
                    .commit(newest + 1)
                    .expected(format!("commits up to {}", ledger.commit))
                    .found(format!("commits up to {newest}")),
            );
        } else if ledger.commit < newest {
            run.report(behind(ledger.commit, newest));
        }
    }

    fn report_lost(run: &Run<'_>, number: u64, unproven: &Unproven) {
        let finding = |found: &str| {
            Finding::new(Side::Journal, Code::CommitLost, Remedy::Unprovable)
                .commit(number)
                .found(found)
        };
        if unproven.versions.is_empty() {
            run.report(finding(&unproven.why));
        }
        for (record_key, version, why) in &unproven.versions {
            run.report(about_row(run, finding(why), record_key).version(*version));
        }
    }

    fn report_damages(&self, run: &Run<'_>, scans: &[SegmentScan], end: &End) {
        let last = scans.last().map_or(0, |scan| scan.segment);
        for scan in scans {
            for damage in &scan.damages {
                if !is_damage(scan, last, damage, end) {
                    if matches!(end, End::Unknown) {
                        let mut finding = damage_finding(scan.segment, damage, Remedy::None);
                        finding.severity = Severity::Info;
                        finding.code = Code::TornTail;
                        run.report(finding);
                    }
                    continue;
                }
                let first = scan.page.as_ref().map_or(1, |page| page.first_seq);
                let until = scan.newest.max(first);
                let is_lost = match &damage.frame {
                    Some(frame) => {
                        let of_commit = |version: &Version| version.commit == frame.seq;
                        self.diagnosis.lost.contains(frame.seq)
                            || run.lost_versions.iter().any(of_commit)
                    }
                    None => self.diagnosis.lost.meets(first, until),
                };
                let back = match &damage.frame {
                    Some(frame) => self.diagnosis.from_tables.contains(frame.seq),
                    None => !self.diagnosis.from_tables.is_empty(),
                };
                let remedy = match (is_lost, back) {
                    (true, _) => Remedy::Unprovable,
                    (false, true) => Remedy::Tables,
                    (false, false) => Remedy::Neighbours,
                };
                run.report(damage_finding(scan.segment, damage, remedy));
            }
        }
    }

    /// Lists the rows of the buckets that did not cancel out, and names those that differ.
    fn name_differences(
        &mut self,
        run: &mut Run<'_>,
        survey: Option<&Survey>,
        segments: &[u64],
        keys: &Keys<'_>,
        sums: &Sums<'_>,
    ) -> Result<()> {
        let Some(read) = self.read() else {
            return Ok(());
        };
        let tables = TablesRead { read };
        let mut commits = BTreeSet::new();
        let mut named = Vec::new();
        for wanted in sums.unequal(LISTED_ROWS_MAX) {
            run.quiet = true;
            let sink = || Listed::new(keys, &wanted);
            let mut listed = Pass::new(sink());
            for pass in self.walk_journal(run, survey, segments, sink) {
                listed.join(pass, Listed::join);
            }
            for number in self.diagnosis.from_tables.iter().flat_map(|(a, b)| a..=b) {
                let again = match self.diagnosis.pieced.get(&number) {
                    Some(_) => None,
                    None => match content::header(read, number)? {
                        Ok(info) => rebuild(read, &run.spec, &run.net, number, info.hash)?.ok(),
                        Err(_) => None,
                    },
                };
                let rebuilt = self.diagnosis.pieced.get(&number).or(again.as_ref());
                if let Some(rebuilt) = rebuilt
                    && let Some(content) = Content::of(&run.spec, &run.net, &rebuilt.body)
                {
                    content.emit(&mut listed.sink);
                    content.emit_erased(&mut listed.sink, &rebuilt.erasable, run);
                    content.emit_lost(&mut listed.sink, &rebuilt.erasable);
                }
            }
            for pass in walk_tables(run, &tables, sink) {
                listed.join(pass, Listed::join);
            }
            run.quiet = false;
            if !listed.failed.is_empty() {
                self.report.skipped.append(&mut listed.failed);
                self.diagnosis.unread = true;
                continue;
            }
            for (class, row_key, both) in listed.sink.differences() {
                let finding = difference(run, read, class, &row_key, &both);
                if let Some(finding) = finding {
                    commits.extend(finding.commit);
                    named.push(finding);
                }
            }
        }
        let verdicts = self.verdicts(run, read, survey, segments, &commits)?;
        for mut finding in named {
            match finding.commit.and_then(|commit| verdicts.get(&commit)) {
                Some(Verdict::JournalForged) => {
                    finding.side = Side::Journal;
                    finding.remedy = Remedy::Tables;
                }
                Some(Verdict::NeitherProven) => finding.remedy = Remedy::Unprovable,
                Some(Verdict::JournalProven) | None => {}
            }
            run.report(finding);
        }
        Ok(())
    }

    /// Which copy of the commits that differ hashes into the chain.
    fn verdicts(
        &mut self,
        run: &Run<'_>,
        read: &dyn Read,
        survey: Option<&Survey>,
        segments: &[u64],
        commits: &BTreeSet<u64>,
    ) -> Result<BTreeMap<u64, Verdict>> {
        let mut verdicts = BTreeMap::new();
        let Some(survey) = survey.filter(|_| !commits.is_empty()) else {
            return Ok(verdicts);
        };
        for segment in segments {
            for found in survey.walk(*segment).map_err(Error::from)? {
                let blocknet_wal::Found::Frame(frame) = found.map_err(Error::from)? else {
                    continue;
                };
                if !commits.contains(&frame.seq) || frame.lost {
                    continue;
                }
                let body = crate::open::decode_body(&frame, Some(&run.spec));
                let Ok(body) = body else { continue };
                let Some(content) = Content::of(&run.spec, &run.net, &body) else {
                    continue;
                };
                if content.proven_by(read) != Some(false) {
                    verdicts.insert(frame.seq, Verdict::JournalProven);
                    continue;
                }
                let chain = Hash(frame.chain);
                let from_tables = rebuild(read, &run.spec, &run.net, frame.seq, chain)?;
                verdicts.insert(
                    frame.seq,
                    match from_tables {
                        Ok(_) => {
                            self.diagnosis.forged.insert(frame.seq);
                            Verdict::JournalForged
                        }
                        Err(_) => Verdict::NeitherProven,
                    },
                );
            }
        }
        Ok(verdicts)
    }

    /// Holds the totals that the tables state against what everything adds up to.
    fn compare_totals(run: &Run<'_>, ledger: &Ledger, sums: &Pass<Sums<'_>>) {
        let (journal, tables) = (&sums.journal, &sums.tables);
        let finding = |row_key: &[u8]| {
            Finding::new(Side::Tables, Code::Totals, Remedy::Journal).row("meta", row_key)
        };
        let mut expected = ledger.clone();
        if let Some((commit, hash, registry_head)) = journal.newest {
            expected.commit = commit;
            expected.hash = hash;
            expected.registry_head = registry_head;
        }
        expected.written_max = journal.written_max.unwrap_or(expected.written_max);
        expected.blocks = journal.blocks_created;
        expected.levels.clone_from(&tables.levels);
        if expected.encode_state() != ledger.encode_state() {
            run.report(
                finding(key::STATE)
                    .expected(crate::error::Hex(&expected.encode_state()))
                    .found(crate::error::Hex(&ledger.encode_state())),
            );
        }
        let ids: BTreeSet<_> = journal
            .definitions
            .keys()
            .chain(ledger.layers.keys())
            .collect();
        for id in ids {
            let row_key = key::layer(*id);
            let (Some(def), Some(found)) = (journal.definitions.get(id), ledger.layers.get(id))
            else {
                run.report(finding(&row_key).found("a layer that only one copy has"));
                continue;
            };
            let mut layer = crate::ledger::LayerState::new(def.clone());
            if let Some(totals) = journal.layers.get(id) {
                layer.entities = totals.entities;
                layer.versions = totals.versions;
                layer.payload_bytes = totals.payload_bytes;
                if let Some((commit, recorded)) = totals.newest {
                    layer.commit = commit;
                    layer.recorded = recorded;
                }
            }
            if let Some(totals) = tables.layers.get(id) {
                layer.live = totals.live;
                layer.watermark = totals.watermark;
            }
            if layer != *found {
                run.report(
                    finding(&row_key)
                        .expected(crate::error::Hex(&layer.encode()))
                        .found(crate::error::Hex(&found.encode())),
                );
            }
        }
    }

    fn hash_of(&self, commit: u64, totals: &JournalTotals) -> Hash {
        match totals.newest {
            Some((number, hash, _)) if number == commit => hash,
            _ => self
                .diagnosis
                .named
                .get(&commit)
                .copied()
                .unwrap_or(Hash::ZERO),
        }
    }
}

/// How the journal ends.
enum End {
    /// As opening it finds.
    Found(Tail),
    /// In damage.
    Damaged,
    /// Damage elsewhere keeps opening from looking.
    Unknown,
}

/// Which copy of a commit hashes into the chain, where they differ.
#[derive(Clone, Copy)]
enum Verdict {
    JournalProven,
    JournalForged,
    NeitherProven,
}

/// Whether a stretch is damage, and not the interrupted write at the end of the journal.
fn is_damage(scan: &SegmentScan, last: u64, damage: &blocknet_wal::Damage, end: &End) -> bool {
    let trailing = scan.segment == last && damage.offset_bytes >= scan.sound_end;
    match end {
        _ if !trailing => true,
        End::Found(Tail::Torn { .. }) => false,
        End::Found(_) | End::Damaged => true,
        // What opening would say once the rest is repaired.
        End::Unknown => damage.what == "segment header",
    }
}

fn is_not_found(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::NotFound
}

fn behind(applied: u64, newest: u64) -> Finding {
    Finding::info(Side::Tables, Code::TablesBehind)
        .commit(applied + 1)
        .expected(format!("commits up to {newest}"))
        .found(format!("commits up to {applied}"))
}

/// Identity and spec as the first commit of the journal states them.
fn journal_identity(survey: &Survey) -> Option<([u8; 16], NetSpec)> {
    let mut net = None;
    for found in survey.walk(1).ok()? {
        match found.ok()? {
            blocknet_wal::Found::Page(page) => net = Some(page.store_id),
            blocknet_wal::Found::Frame(frame) if frame.seq == 1 && !frame.lost => {
                let body = crate::open::decode_body(&frame, None).ok()?;
                let spec = crate::open::spec_of(&body)?;
                return Some((net?, spec));
            }
            _ => return None,
        }
    }
    None
}

/// The chain values of a segment's frames, and where these are.
fn chains(survey: &Survey, segment: u64) -> Result<BTreeMap<u64, (blocknet_wal::Position, Hash)>> {
    let mut chains = BTreeMap::new();
    for found in survey.walk(segment).map_err(Error::from)? {
        if let blocknet_wal::Found::Frame(frame) = found.map_err(Error::from)? {
            chains.insert(frame.seq, (frame.position, Hash(frame.chain)));
        }
    }
    Ok(chains)
}

/// The hash that the tables' header of a commit states.
pub(crate) fn header_of(read: &dyn Read, commit: u64) -> Result<Option<Hash>> {
    Ok(content::header(read, commit)?.ok().map(|info| info.hash))
}

/// A commit that the journal lacks, from the tables, proven against its hash; `body` is what its
/// damaged frame still has of it.
pub(crate) fn bring_back(
    read: &dyn Read,
    spec: &NetSpec,
    net: &[u8; 16],
    number: u64,
    expected: Hash,
    body: Option<&[u8]>,
) -> Result<std::result::Result<Rebuilt, Unproven>> {
    let whole = rebuild(read, spec, net, number, expected)?;
    let (Err(unproven), Some(body)) = (&whole, body) else {
        return Ok(whole);
    };
    // Where only payloads are damaged, only these have to be had back.
    let Ok(body) = Body::decode(body, Some(spec)) else {
        return Ok(whole);
    };
    let fits = Content::of(spec, net, &body)
        .is_some_and(|content| content.check(None).is_empty() && body.info.hash == expected);
    if !fits {
        return Ok(Err(unproven.clone()));
    }
    Ok(payloads(read, &body)?.map(|erasable| Rebuilt { body, erasable }))
}

fn walk_tables<S: Sink>(
    run: &Run<'_>,
    tables: &TablesRead<'_>,
    sink: impl Fn() -> S + Sync,
) -> Vec<Pass<S>> {
    in_parallel(
        match run.area {
            Some(area) => parts_in(area),
            None => parts(tables.read, threads()),
        },
        || Pass::new(sink()),
        |part: Part, pass: &mut Pass<S>| {
            let mut job = Job {
                run,
                range: &part.range,
                tables,
                sink: &mut pass.sink,
                totals: std::mem::take(&mut pass.tables),
            };
            let result = job.table(part.table);
            pass.tables = job.totals;
            if let Err(error) = result {
                let name = key::table_name(part.table);
                let mut finding = Finding::new(Side::Tables, Code::Io, Remedy::None).found(&error);
                finding.table = Some(name);
                run.report(finding);
                pass.failed.push(format!("table {name}: {error}"));
            }
        },
    )
}

fn threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}
