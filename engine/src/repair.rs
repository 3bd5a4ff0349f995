//! Repair: puts back what one copy has lost from the other, where the commit chain proves it.
//!
//! What it replaces is moved to quarantine first, never deleted; what no copy proves is named, left
//! readable where it is, and never invented. Segments are replaced one by one, each in one step;
//! tables are built beside the old ones and change places with them when they are whole. So a crash
//! at any point leaves a net that can be repaired again, and a second run finds nothing to do.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use blocknet_kv::Read;
use blocknet_wal::{
    Access, FRAME_LEN_BYTES_MAX, Fault, Found, Frame, FrameRef, Page, SegmentRewrite, SegmentWalk,
    Survey,
};
use sha2::{Digest as _, Sha256};

use crate::error::{Error, Hex, Result};
use crate::hash::Hash;
use crate::lock::Lock;
use crate::open::{JOURNAL_DIR, NetBuilder, QUARANTINE_DIR, TABLES_DIR, sync_dir};
use crate::record::Version;
use crate::request::{Commit, limit};
use crate::verify::{
    Code, Diagnosis, OnProgress, Rebuilt, Remedy, SegmentScan, Target, Verification, file_of,
    header_of, verify,
};

/// Bytes of a damaged stretch that are kept in the frame of a lost commit; the whole file is in
/// quarantine besides.
const EVIDENCE_LEN_BYTES_MAX: u64 = FRAME_LEN_BYTES_MAX / 2;

/// What a step of a repair does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StepKind {
    /// Writes a segment of the journal anew.
    Segment,
    /// Builds the tables anew from the journal.
    Tables,
}

/// One step of a repair: done, or what would be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What it does.
    pub kind: StepKind,
    /// The file or directory it replaces, relative to the net.
    pub target: String,
    /// The commits concerned, first and last.
    pub commits: (u64, u64),
    /// How many of them come from the tables.
    pub from_tables: u64,
    /// How many of them are put together from what both copies have; what neither has is marked as
    /// lost in them.
    pub pieced: u64,
    /// How many of them no copy proves: their frames keep what was found.
    pub lost: u64,
    /// Why.
    pub why: String,
    /// Where the old one was put, relative to the net; `None` if there was none, or in a dry run.
    pub kept: Option<String>,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last) = self.commits;
        match self.kind {
            StepKind::Segment => {
                write!(
                    f,
                    "{}: written anew, commits {first} to {last}",
                    self.target
                )?;
                if self.from_tables > 0 {
                    write!(f, ", {} of them from the tables", self.from_tables)?;
                }
                if self.pieced > 0 {
                    write!(f, ", {} of them pieced together", self.pieced)?;
                }
                if self.lost > 0 {
                    write!(f, ", {} of them lost", self.lost)?;
                }
            }
            StepKind::Tables => {
                write!(
                    f,
                    "{}: built anew from the journal, commits {first} to {last}",
                    self.target
                )?;
            }
        }
        if let Some(kept) = &self.kept {
            write!(f, "; the old one is kept as {kept}")?;
        }
        write!(f, " ({})", self.why)
    }
}

/// What a repair found, and did or would do.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Repair {
    /// The net as it was.
    pub before: Verification,
    /// What was done; in a dry run, what would be.
    pub steps: Vec<Step>,
    /// The net as it is now; `None` in a dry run, and when nothing was done.
    pub after: Option<Verification>,
    /// The commit that says what was replaced, and from what evidence.
    pub commit: Option<u64>,
    /// The file in quarantine with all findings and steps, relative to the net.
    pub report: Option<String>,
    /// Ranges of commits that no copy proves, first and last.
    pub lost: Vec<(u64, u64)>,
    /// Versions of other commits that no copy proves, or whose payloads none has; also those that an
    /// earlier repair has found so.
    pub lost_versions: Vec<Version>,
    /// What could not be done, and why.
    pub left: Vec<String>,
}

impl NetBuilder {
    /// Repairs the net in `dir`: verifies it and, with `apply`, puts back what the commit chain
    /// proves, moves what it replaces to quarantine, appends a commit that says so, and verifies
    /// again. Without `apply` it changes nothing and says what it would do.
    ///
    /// Journal and tables are each rebuilt from the other. A commit that neither copy proves is
    /// listed in [`Repair::lost`]; its frame then keeps its number, its hash and the bytes that
    /// were found, so that all others stay readable.
    ///
    /// * `author`: of the repair commit.
    ///
    /// # Errors
    /// * [`crate::ErrorKind::NotFound`]: there is no net here.
    /// * [`crate::ErrorKind::Locked`]: somebody has it open.
    /// * [`crate::ErrorKind::Io`]: nothing that was there is lost; repair again when the cause is
    ///   mended.
    ///
    /// # Cost
    /// Two verifications and, where the tables are built anew, a replay of the whole journal.
    pub fn repair(
        &self,
        dir: impl AsRef<Path>,
        apply: bool,
        author: &str,
        on_progress: &OnProgress<'_>,
    ) -> Result<Repair> {
        let dir = dir.as_ref();
        let lock = self.lock_for_repair(dir, apply)?;
        let target = self.target(dir)?;
        let (before, diagnosis) = verify(&target, crate::verify::Depth::Full, on_progress)?;
        let mut work = Work {
            builder: self,
            target: &target,
            diagnosis: &diagnosis,
            net: before.net.unwrap_or_default(),
            steps: Vec::new(),
            left: Vec::new(),
        };
        let mut repaired = Repair {
            lost: diagnosis.lost.iter().collect(),
            lost_versions: lost_versions(&before, &diagnosis),
            before,
            steps: Vec::new(),
            after: None,
            commit: None,
            report: None,
            left: Vec::new(),
        };
        if diagnosis.spec.is_none() {
            repaired
                .left
                .push("neither copy says which net this is".to_owned());
            return Ok(repaired);
        }
        if diagnosis.unread {
            // What cannot be read now may be sound: nothing is put in its place.
            let left = "nothing is replaced while a file cannot be read: mend the cause first";
            repaired.left.push(left.to_owned());
            return Ok(repaired);
        }
        work.journal(apply)?;
        let rebuild_tables = work.plan_tables();
        let tables_stay_unfit =
            self.has_table_files() && work.target.read().is_none() && rebuild_tables.is_none();
        let (mut steps, left) = (work.steps, work.left);
        repaired.left = left;
        drop(target);
        if let Some(step) = rebuild_tables {
            steps.push(step);
        }
        repaired.steps = steps;
        if !apply || repaired.steps.is_empty() {
            return Ok(repaired);
        }
        for step in &mut repaired.steps {
            if step.kind == StepKind::Tables {
                let kept = self.rebuild_tables(dir)?;
                step.kept = kept.map(|path| relative(dir, &path));
            }
        }
        let (report, digest) = self.write_report(dir, &repaired)?;
        repaired.report = report;
        if tables_stay_unfit {
            drop(lock);
            repaired.left.push(
                "no repair commit: the tables do not open, and cannot be built anew".to_owned(),
            );
        } else {
            match self.say_so(dir, lock, author, &repaired, &digest) {
                Ok(commit) => repaired.commit = Some(commit),
                Err(error) => repaired.left.push(format!("no repair commit: {error}")),
            }
        }
        let _lock = self.lock_for_repair(dir, false)?;
        let target = self.target(dir)?;
        repaired.after = Some(verify(&target, crate::verify::Depth::Full, on_progress)?.0);
        Ok(repaired)
    }

    /// Appends the commit that says what was replaced.
    fn say_so(
        &self,
        dir: &Path,
        lock: Option<Lock>,
        author: &str,
        repaired: &Repair,
        digest: &str,
    ) -> Result<u64> {
        let net = self.open_locked(dir, lock)?;
        let mut reason = String::from("repair: ");
        for (index, step) in repaired.steps.iter().enumerate() {
            _ = write!(reason, "{}{step}", if index > 0 { "; " } else { "" });
        }
        let commit = Commit {
            author: author.to_owned(),
            reason: shortened(&reason),
            source: match &repaired.report {
                Some(report) => format!("{report} sha256:{digest}"),
                None => format!("sha256:{digest}"),
            },
            accept_clock: true,
            ..Commit::default()
        };
        let number = net.note(&commit)?;
        net.close()?;
        Ok(number)
    }

    fn lock_for_repair(&self, dir: &Path, apply: bool) -> Result<Option<Lock>> {
        if !apply || !self.is_on_disk() {
            return Ok(self.look(dir)?.0);
        }
        crate::open::check_verifiable(dir)?;
        Lock::exclusive(dir).map(Some)
    }

    /// Writes all findings and steps to a file in quarantine; returns its name and its digest. The
    /// commit's text has no room for all of it.
    fn write_report(&self, dir: &Path, repaired: &Repair) -> Result<(Option<String>, String)> {
        let mut text = String::from("findings:\n");
        for finding in &repaired.before.findings {
            _ = writeln!(text, "  {finding}");
        }
        if repaired.before.findings_dropped > 0 {
            _ = writeln!(text, "  and {} more", repaired.before.findings_dropped);
        }
        text.push_str("steps:\n");
        for step in &repaired.steps {
            _ = writeln!(text, "  {step}");
        }
        for (first, last) in &repaired.lost {
            _ = writeln!(text, "lost: commits {first} to {last}");
        }
        for version in &repaired.lost_versions {
            _ = writeln!(text, "lost: version {version}");
        }
        for left in &repaired.left {
            _ = writeln!(text, "left: {left}");
        }
        let digest = Hex(&Sha256::digest(text.as_bytes())).to_string();
        if !self.is_on_disk() {
            return Ok((None, digest));
        }
        let quarantine = dir.join(QUARANTINE_DIR);
        fs::create_dir_all(&quarantine)
            .map_err(|error| Error::io("create the directory", &quarantine, error))?;
        for number in 1_u32.. {
            let path = quarantine.join(format!("repair-{number}.txt"));
            let file = fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .open(&path);
            let mut file = match file {
                Ok(file) => file,
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(Error::io("create the report", &path, error)),
            };
            file.write_all(text.as_bytes())
                .and_then(|()| file.sync_all())
                .map_err(|error| Error::io("write the report", &path, error))?;
            sync_dir(&quarantine)?;
            sync_dir(dir)?;
            return Ok((Some(relative(dir, &path)), digest));
        }
        Err(Error::invalid("the quarantine is full").at(&quarantine))
    }
}

/// The versions that are lost though the rest of their commits is not.
fn lost_versions(found: &Verification, diagnosis: &Diagnosis) -> Vec<Version> {
    let lost = found.errors().filter(|finding| {
        finding.remedy == Remedy::Unprovable
            && matches!(
                finding.code,
                Code::CommitLost | Code::VersionLost | Code::PayloadLost
            )
    });
    let versions: BTreeSet<Version> = lost
        .filter_map(|finding| finding.version)
        .filter(|version| !diagnosis.lost.contains(version.commit))
        .collect();
    versions.into_iter().collect()
}

fn relative(dir: &Path, path: &Path) -> String {
    path.strip_prefix(dir).unwrap_or(path).display().to_string()
}

/// A text that fits a commit.
fn shortened(text: &str) -> String {
    const MORE: &str = " ... (all of it in the report)";
    if text.len() <= limit::TEXT_LEN_BYTES_MAX {
        return text.to_owned();
    }
    let mut end = limit::TEXT_LEN_BYTES_MAX - MORE.len();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{MORE}", text.get(..end).unwrap_or_default())
}

struct Work<'a> {
    builder: &'a NetBuilder,
    target: &'a Target<'a>,
    diagnosis: &'a Diagnosis,
    net: [u8; 16],
    steps: Vec<Step>,
    left: Vec<String>,
}

/// A segment as it has to be.
struct Wanted {
    segment: u64,
    first: u64,
    last: u64,
}

impl Work<'_> {
    fn journal(&mut self, apply: bool) -> Result<()> {
        let dir = self.target.dir.join(JOURNAL_DIR);
        let wanted = match layout(self.diagnosis) {
            Ok(wanted) => wanted,
            Err(why) => {
                self.left.push(format!("the journal: {why}"));
                return Ok(());
            }
        };
        let newest = wanted.last().map_or(0, |last| last.segment);
        let scans: BTreeMap<u64, &SegmentScan> = self
            .diagnosis
            .scans
            .iter()
            .map(|scan| (scan.segment, scan))
            .collect();
        let bad: Vec<(&Wanted, String)> = wanted
            .iter()
            .filter_map(|wanted| {
                let scan = scans.get(&wanted.segment).copied();
                let why = self.why_bad(wanted, scan, wanted.segment == newest)?;
                Some((wanted, why))
            })
            .collect();
        if bad.is_empty() {
            return Ok(());
        }
        let env = Arc::clone(&self.target.env);
        if apply && Survey::new(Arc::clone(&env), &dir).is_err() {
            env.create_dir(&dir)
                .and_then(|()| env.sync_dir(self.target.dir))
                .map_err(|error| Error::io("create the directory", &dir, error))?;
        }
        let survey = Survey::new(env, &dir);
        let mut frames = Frames {
            survey: survey.as_ref().ok(),
            diagnosis: self.diagnosis,
            walks: BTreeMap::new(),
        };
        // A file that holds another segment's commits is opened before it is replaced.
        for scan in self.diagnosis.scans.iter().filter(|scan| scan.misplaced) {
            frames.walk(scan.segment)?;
        }
        for (wanted, why) in bad {
            let step = self.segment(
                &dir,
                wanted,
                why,
                wanted.segment == newest,
                apply,
                &mut frames,
            );
            match step? {
                Ok(step) => self.steps.push(step),
                Err(why) => self
                    .left
                    .push(format!("{}: {why}", file_of(wanted.segment))),
            }
        }
        Ok(())
    }

    /// What is wrong with a segment, if anything.
    fn why_bad(
        &self,
        wanted: &Wanted,
        scan: Option<&SegmentScan>,
        is_last: bool,
    ) -> Option<String> {
        let Some(scan) = scan else {
            return Some("the file is missing".to_owned());
        };
        let page_fits = scan.page.as_ref().is_some_and(|page| {
            page.segment == wanted.segment
                && page.first_seq == wanted.first
                && page.store_id == self.net
                && wanted.first.checked_sub(1).is_none_or(|before| {
                    let known = self.diagnosis.named.get(&before);
                    known.is_none_or(|hash| hash.0 == page.prev_chain)
                })
        });
        if !page_fits || scan.misplaced {
            return Some("its first page does not fit its place".to_owned());
        }
        if !is_last && !scan.footer {
            return Some("it has no footer".to_owned());
        }
        let misstated = scan.stated.iter().find(|(commit, hash)| {
            let known = self.diagnosis.named.get(commit);
            known.is_some_and(|known| known != *hash)
        });
        if let Some((commit, _)) = misstated {
            return Some(format!("it states another hash of commit {commit}"));
        }
        if let Some(damage) = scan
            .damages
            .iter()
            .find(|damage| !self.is_torn(scan, damage))
        {
            return Some(format!(
                "{} at byte {}: {}",
                damage.what, damage.offset_bytes, damage.fault
            ));
        }
        let forged = self.diagnosis.forged.range(wanted.first..=wanted.last);
        if let Some(commit) = forged.min() {
            return Some(format!(
                "commit {commit} does not hash into its block versions"
            ));
        }
        let kept_as_lost: BTreeSet<u64> = scan.lost.iter().copied().collect();
        let mut own = scan.commits.clone();
        for commit in &kept_as_lost {
            if !self.diagnosis.from_tables.contains(*commit) {
                own.insert(*commit, *commit);
            }
        }
        let covered = own
            .iter()
            .any(|(first, last)| first <= wanted.first && wanted.last <= last);
        (!covered && wanted.first <= wanted.last).then(|| "commits are missing from it".to_owned())
    }

    fn is_torn(&self, scan: &SegmentScan, damage: &blocknet_wal::Damage) -> bool {
        self.diagnosis.torn == Some(scan.segment)
            && damage.offset_bytes >= scan.sound_end
            && damage.what != "segment header"
    }

    /// Writes one segment anew, or says what would be written; an answer of its own when it
    /// cannot be.
    fn segment(
        &self,
        dir: &Path,
        wanted: &Wanted,
        why: String,
        is_last: bool,
        apply: bool,
        frames: &mut Frames<'_>,
    ) -> Result<std::result::Result<Step, String>> {
        let (diagnosis, target) = (self.diagnosis, self.target);
        let spec = diagnosis.spec.expect("checked before");
        let prev_chain = match wanted.first {
            0 | 1 => Hash::ZERO,
            first => match frames.hash_of(target, first - 1)? {
                Some(hash) => hash,
                None => return Ok(Err(format!("the hash of commit {} is lost", first - 1))),
            },
        };
        let page = Page {
            store_id: self.net,
            segment: wanted.segment,
            first_seq: wanted.first,
            prev_chain: prev_chain.0,
        };
        let mut step = Step {
            kind: StepKind::Segment,
            target: file_of(wanted.segment),
            commits: (wanted.first, wanted.last),
            from_tables: 0,
            pieced: 0,
            lost: 0,
            why,
            kept: None,
        };
        for (first, last) in diagnosis.lost.iter() {
            let (first, last) = (first.max(wanted.first), last.min(wanted.last));
            let named = if first <= last {
                diagnosis.named.range(first..=last).count() as u64
            } else {
                continue;
            };
            if named < last - first + 1 {
                return Ok(Err(format!(
                    "commits {first} to {last} are lost, and what is left does not name the hash \
                     of each"
                )));
            }
        }
        let mut rewrite = if apply {
            move_aside(target.dir, &dir.join(format!("{:016}.wal", wanted.segment)))?;
            Some(SegmentRewrite::begin(Arc::clone(&target.env), dir, &page)?)
        } else {
            None
        };
        for commit in wanted.first..=wanted.last {
            let forged = diagnosis.forged.contains(&commit);
            if let Some(pieced) = diagnosis.pieced.get(&commit) {
                step.pieced += 1;
                if let Some(rewrite) = &mut rewrite {
                    push(rewrite, commit, pieced)?;
                }
            } else if diagnosis.from_tables.contains(commit) || forged {
                step.from_tables += 1;
                let Some(rewrite) = &mut rewrite else {
                    continue;
                };
                let Some((read, hash)) = from_tables(target, commit)? else {
                    return Ok(Err(format!("commit {commit} is no longer in the tables")));
                };
                // Its payloads alone may have come from there.
                let body = frames.body(commit);
                let back = crate::verify::bring_back(read, &spec, &self.net, commit, hash, body)?;
                let Ok(back) = back else {
                    return Ok(Err(format!("commit {commit} is no longer in the tables")));
                };
                push(rewrite, commit, &back)?;
            } else if diagnosis.lost.contains(commit) {
                step.lost += 1;
                let Some(rewrite) = &mut rewrite else {
                    continue;
                };
                let hash = diagnosis.named.get(&commit).copied().unwrap_or(Hash::ZERO);
                rewrite.push_lost(commit, &hash.0, &frames.evidence(target, commit)?)?;
            } else {
                let Some(rewrite) = &mut rewrite else {
                    continue;
                };
                let Some(frame) = frames.frame(wanted.segment, commit)? else {
                    return Ok(Err(format!("commit {commit} is no longer in the journal")));
                };
                rewrite.push(&FrameRef {
                    seq: commit,
                    chain: &frame.chain,
                    body: &frame.body,
                    erasable: &frame.erasable,
                })?;
            }
        }
        if let Some(rewrite) = rewrite {
            let kept = rewrite.finish(!is_last, &target.dir.join(QUARANTINE_DIR))?;
            step.kept = kept.map(|path| relative(target.dir, &path));
        }
        Ok(Ok(step))
    }

    /// Whether the tables have to be built anew, and can be.
    fn plan_tables(&mut self) -> Option<Step> {
        let why = self.diagnosis.tables.clone()?;
        if !self.builder.has_table_files() {
            return None;
        }
        if !self.diagnosis.lost.is_empty() || !self.left.is_empty() {
            self.left.push(format!(
                "the tables cannot be built anew, since the journal lacks commits that only they \
                 may still hold; they stay as they are ({why})"
            ));
            return None;
        }
        Some(Step {
            kind: StepKind::Tables,
            target: TABLES_DIR.to_owned(),
            commits: (1, self.diagnosis.newest),
            from_tables: 0,
            pieced: 0,
            lost: 0,
            why,
            kept: None,
        })
    }
}

/// Appends a commit that was had back.
fn push(rewrite: &mut SegmentRewrite, commit: u64, back: &Rebuilt) -> Result<()> {
    Ok(rewrite.push(&FrameRef {
        seq: commit,
        chain: &back.body.info.hash.0,
        body: &back.body.encode(),
        erasable: &back.erasable,
    })?)
}

/// The reader of the tables, and the hash that they give a commit which the chain has proven.
fn from_tables<'t>(target: &'t Target<'_>, commit: u64) -> Result<Option<(&'t dyn Read, Hash)>> {
    let Some(read) = target.read() else {
        return Ok(None);
    };
    Ok(header_of(read, commit)?.map(|hash| (read, hash)))
}

/// Moves what is not a regular file out of the way of a segment.
fn move_aside(dir: &Path, path: &Path) -> Result<()> {
    let Ok(metadata) = fs::symlink_metadata(path) else {
        return Ok(());
    };
    if metadata.is_file() {
        return Ok(());
    }
    crate::open::quarantine(dir, path).map(drop)
}

/// Which segment has to hold which commits, by what is left of them.
fn layout(diagnosis: &Diagnosis) -> std::result::Result<Vec<Wanted>, String> {
    let scans: BTreeMap<u64, &SegmentScan> = diagnosis
        .scans
        .iter()
        .map(|scan| (scan.segment, scan))
        .collect();
    let last = scans.keys().next_back().copied().unwrap_or(1);
    // A file in another's place still tells where that one begins and ends.
    let (mut starts, mut ends) = (BTreeMap::new(), BTreeMap::new());
    for scan in scans.values() {
        let segment = scan.page.as_ref().map_or(scan.segment, |page| page.segment);
        if let Some(page) = &scan.page {
            starts.insert(segment, page.first_seq);
        }
        if let Some(end) = scan.footer_seq {
            ends.insert(segment, end);
        }
    }
    let mut wanted: Vec<Wanted> = Vec::new();
    let mut first = 1;
    let mut segment = 1;
    while segment <= last {
        let scan = scans.get(&segment).filter(|scan| !scan.misplaced);
        let next = starts.range(segment + 1..).next();
        let end = if segment == last {
            diagnosis.newest
        } else if let Some(end) = ends.get(&segment) {
            *end
        } else {
            let (next_segment, next_first) = match next {
                Some((segment, first)) => (*segment, *first),
                None => (last + 1, diagnosis.newest + 1),
            };
            let held = scan.and_then(|scan| scan.held_last());
            match held {
                Some(held) if next_segment > segment + 1 => held,
                _ => {
                    // Spread over the segments of which nothing is left.
                    let files = next_segment - segment;
                    let commits = next_first.saturating_sub(first);
                    if commits < files {
                        return Err(format!(
                            "{files} segments from {segment} on are missing, and only {commits} \
                             commits to fill them"
                        ));
                    }
                    first + commits / files - 1
                }
            }
        };
        if end + 1 < first || (end < first && segment < last) {
            return Err(format!("segment {segment} would have to be empty"));
        }
        wanted.push(Wanted {
            segment,
            first,
            last: end,
        });
        first = end + 1;
        segment += 1;
    }
    Ok(wanted)
}

/// Frames of the journal as it was, in rising order.
struct Frames<'a> {
    survey: Option<&'a Survey>,
    diagnosis: &'a Diagnosis,
    walks: BTreeMap<u64, SegmentWalk>,
}

impl Frames<'_> {
    /// The sound frame of a commit, from the segment it belongs to or another one.
    fn frame(&mut self, segment: u64, commit: u64) -> Result<Option<Frame>> {
        let holds = |scan: &&SegmentScan| scan.commits.contains(commit);
        let scans = &self.diagnosis.scans;
        let own = scans
            .iter()
            .find(|scan| scan.segment == segment)
            .filter(holds);
        let Some(scan) = own.or_else(|| scans.iter().find(holds)) else {
            return Ok(None);
        };
        let Some(walk) = self.walk(scan.segment)? else {
            return Ok(None);
        };
        for found in walk {
            if let Found::Frame(frame) = found?
                && frame.seq == commit
                && !frame.lost
            {
                return Ok(Some(frame));
            }
        }
        Ok(None)
    }

    /// The walk through a segment, where it was left.
    fn walk(&mut self, segment: u64) -> Result<Option<&mut SegmentWalk>> {
        let Some(survey) = self.survey else {
            return Ok(None);
        };
        Ok(Some(match self.walks.entry(segment) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(survey.walk(segment)?),
        }))
    }

    /// The body that a damaged frame still has.
    fn body(&self, commit: u64) -> Option<&[u8]> {
        let damages = self.diagnosis.scans.iter().flat_map(|scan| &scan.damages);
        let mut frames = damages.filter_map(|damage| damage.frame.as_ref());
        frames
            .find(|frame| frame.seq == commit)
            .and_then(|frame| frame.body.as_deref())
    }

    /// The bytes that were found in the place of a commit.
    fn evidence(&self, target: &Target<'_>, commit: u64) -> Result<Vec<u8>> {
        for scan in &self.diagnosis.scans {
            for damage in &scan.damages {
                let Some(frame) = &damage.frame else { continue };
                if frame.seq != commit || damage.fault == Fault::Missing {
                    continue;
                }
                let path = target.dir.join(file_of(scan.segment));
                let file = target
                    .env
                    .open(&path, Access::Read)
                    .map_err(|error| Error::io("open", &path, error))?;
                let len = damage.len_bytes.min(EVIDENCE_LEN_BYTES_MAX);
                let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
                let have = file
                    .read_at(&mut bytes, damage.offset_bytes)
                    .map_err(|error| Error::io("read", &path, error))?;
                bytes.truncate(have);
                return Ok(bytes);
            }
        }
        Ok(Vec::new())
    }

    /// The hash of a commit, from whatever names it.
    fn hash_of(&self, target: &Target<'_>, commit: u64) -> Result<Option<Hash>> {
        if let Some(hash) = self.diagnosis.named.get(&commit) {
            return Ok(Some(*hash));
        }
        Ok(from_tables(target, commit)?.map(|(_, hash)| hash))
    }
}
