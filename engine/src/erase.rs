//! Erasure by law: salt and payload of a version are overwritten wherever they are kept, by a commit
//! that says so, and every hash stays as it was.
//!
//! The order: the commit is durable first. From then on the tables' row has zeros in place of the
//! payload, and nothing serves it any more; a row `erasing` of `meta` remembers that bytes of before
//! may still lie in files. These go when nobody else has the net open, which is when it is opened
//! for writing: segments are written anew without them, the tables' files are compacted, and then
//! the row goes. A crash anywhere leaves the row, and the next opening does it again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use blocknet_geocode::NetSpec;
use blocknet_kv::{Batch, Bytes, KeyRange, Read, Store, Table};
use blocknet_wal::{Env, Found, Frame, FrameRef, Frames, Journal, SegmentRewrite, Survey};

use crate::body::Definition;
use crate::error::{Error, ErrorKind, Result};
use crate::key;
use crate::open::{QUARANTINE_DIR, sync_dir};
use crate::record::{RowRef, SALT_LEN_BYTES, Version, erased_by, erased_salt};
use crate::touched::{Defined, Touched};

/// More versions than this, and all of `records` and `history` is compacted at once instead of the
/// files around each of them: each costs a file or a few.
const SINGLE_PURGES_MAX: u64 = 64;

/// A version's row and where it stands.
pub(crate) struct Stored {
    pub(crate) table: Table,
    pub(crate) row_key: Vec<u8>,
    pub(crate) row: Bytes,
}

/// Finds the row of a version: in `history`, or in `records` while it is its entity's live head.
pub(crate) fn stored(read: &dyn Read, spec: &NetSpec, version: Version) -> Result<Stored> {
    let touched = Touched::load(read, spec, version.commit)?;
    let record_key = touched
        .versions
        .into_iter()
        .nth(version.index as usize)
        .ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                format!("the net has no version {version}"),
            )
        })?;
    stored_at(read, &record_key, version)
}

/// Finds the row of a version whose record key is known.
pub(crate) fn stored_at(read: &dyn Read, record_key: &[u8], version: Version) -> Result<Stored> {
    let history_key = key::history(record_key, version);
    let live_key = record_key.to_vec();
    for (table, row_key) in [(key::HISTORY, history_key), (key::RECORDS, live_key)] {
        if let Some(row) = read.get(table, &row_key)?
            && RowRef::decode(&row).is_ok_and(|decoded| decoded.version == version)
        {
            return Ok(Stored {
                table,
                row_key,
                row,
            });
        }
    }
    Err(Error::corrupt(format!(
        "tables: the row of version {version} is missing; move the directory `tables` away and \
         open the store for writing, which rebuilds it from the journal"
    )))
}

/// Erasures whose bytes may still lie in files.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    /// The commits that order them.
    by: BTreeSet<u64>,
    /// By commit: index of each version, and the commit that has it erased.
    versions: BTreeMap<u64, BTreeMap<u32, u64>>,
}

/// The versions that a commit has erased.
pub(crate) fn ordered_by(read: &dyn Read, spec: &NetSpec, commit: u64) -> Result<Vec<Version>> {
    let touched = Touched::load(read, spec, commit)?;
    let erased = touched.defined.iter().filter_map(|defined| match defined {
        Defined::Erasure(version) => Some(*version),
        Defined::Net | Defined::Layer(_) => None,
    });
    Ok(erased.collect())
}

impl Pending {
    /// Reads the rows that remember them.
    pub(crate) fn load(read: &dyn Read, spec: &NetSpec) -> Result<Self> {
        let mut pending = Self::default();
        let mut cursor = read.cursor(key::META, &KeyRange::prefix(key::ERASING))?;
        while let Some((row_key, _)) = cursor.entry() {
            let by = key::parse_erasing(row_key).ok_or_else(|| {
                Error::corrupt("tables: `meta`: the key of a pending erasure has a wrong length")
            })?;
            pending.by.insert(by);
            cursor.advance()?;
        }
        for by in pending.by.clone() {
            for version in ordered_by(read, spec, by)? {
                pending.order(version, by);
            }
        }
        Ok(pending)
    }

    pub(crate) fn order(&mut self, version: Version, by: u64) {
        let versions = self.versions.entry(version.commit).or_default();
        versions.insert(version.index, by);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by.is_empty()
    }

    /// How many versions.
    pub(crate) fn len(&self) -> u64 {
        self.versions.values().map(|all| all.len() as u64).sum()
    }

    /// The segments that still hold a payload of them.
    pub(crate) fn segments(
        &self,
        env: &Arc<dyn Env>,
        dir: &Path,
        journal: &Journal,
        spec: &NetSpec,
    ) -> Result<Vec<u64>> {
        let survey = Survey::new(Arc::clone(env), dir)?;
        let segments = journal.segments();
        let mut found = Vec::new();
        for (at, segment) in segments.iter().enumerate() {
            let next = segments.get(at + 1);
            let end = next.map_or(u64::MAX, |next| next.first_seq);
            if segment.first_seq >= end
                || self.versions.range(segment.first_seq..end).next().is_none()
            {
                continue;
            }
            for item in survey.walk(segment.segment)? {
                if let Found::Frame(frame) = item?
                    && self.changed(&frame, spec)?.is_some()
                {
                    found.push(segment.segment);
                    break;
                }
            }
        }
        Ok(found)
    }

    /// What a frame has to carry instead of its erasable section (of a lost commit: of the bytes
    /// kept as evidence); `None` where nothing of it has to go.
    fn changed(&self, frame: &Frame, spec: &NetSpec) -> Result<Option<Vec<u8>>> {
        let Some(versions) = self.versions.get(&frame.seq) else {
            return Ok(None);
        };
        if frame.lost {
            return Ok((!frame.body.is_empty()).then(Vec::new));
        }
        // Of commit 1, which alone defines a spec, no version can be erased: it has none.
        let body = crate::open::decode_body(frame, Some(spec))?;
        let mut section = frame.erasable.clone();
        let mut changed = false;
        let mut rest = section.as_mut_slice();
        for (index, header) in (0..).zip(&body.assertions) {
            let len = SALT_LEN_BYTES + header.payload_len as usize;
            let Some((part, tail)) = rest.split_at_mut_checked(len) else {
                return Err(Error::corrupt(format!(
                    "journal: commit {}: a payload is missing; `verify` says what is damaged",
                    frame.seq
                )));
            };
            if let Some(by) = versions.get(&index)
                && let Some((salt, payload)) = part.split_first_chunk_mut::<SALT_LEN_BYTES>()
                && erased_by(salt, payload) != Some(*by)
            {
                *salt = erased_salt(*by);
                payload.fill(0);
                changed = true;
            }
            rest = tail;
        }
        Ok(changed.then_some(section))
    }

    /// Writes segments anew without the payloads. The journal must be closed.
    pub(crate) fn rewrite(
        &self,
        env: &Arc<dyn Env>,
        dir: &Path,
        spec: &NetSpec,
        segments: &[u64],
    ) -> Result<()> {
        let survey = Survey::new(Arc::clone(env), dir)?;
        for segment in segments {
            let mut rewrite = None;
            let mut sealed = false;
            for item in survey.walk(*segment)? {
                match item? {
                    Found::Page(page) => {
                        rewrite = Some(SegmentRewrite::begin(Arc::clone(env), dir, &page)?);
                    }
                    Found::Frame(frame) => {
                        let rewrite = rewrite.as_mut().ok_or_else(|| damaged(&survey, *segment))?;
                        self.copy(rewrite, &frame, spec)?;
                    }
                    Found::Footer { .. } => sealed = true,
                    Found::Clean { .. } => {}
                    // Nothing is lost: the segment stays, and so does the row that remembers.
                    _ => return Err(damaged(&survey, *segment)),
                }
            }
            rewrite
                .ok_or_else(|| damaged(&survey, *segment))?
                .finish_without_a_copy(sealed)?;
        }
        Ok(())
    }

    fn copy(&self, rewrite: &mut SegmentRewrite, frame: &Frame, spec: &NetSpec) -> Result<()> {
        let changed = self.changed(frame, spec)?;
        if frame.lost {
            let evidence = changed.as_ref().unwrap_or(&frame.body);
            return Ok(rewrite.push_lost(frame.seq, &frame.chain, evidence)?);
        }
        Ok(rewrite.push(&FrameRef {
            seq: frame.seq,
            chain: &frame.chain,
            body: &frame.body,
            erasable: changed.as_ref().unwrap_or(&frame.erasable),
        })?)
    }

    /// Where the payloads stood in the tables. A live head that went to the history left its payload
    /// behind in both.
    fn ranges(&self, read: &dyn Read, spec: &NetSpec) -> Result<Vec<(Table, KeyRange)>> {
        if self.len() > SINGLE_PURGES_MAX {
            let whole = |table| (table, KeyRange::all());
            return Ok(vec![whole(key::RECORDS), whole(key::HISTORY)]);
        }
        let mut ranges = Vec::new();
        for (commit, versions) in &self.versions {
            let touched = Touched::load(read, spec, *commit)?;
            for index in versions.keys() {
                let Some(record_key) = touched.versions.get(*index as usize) else {
                    continue;
                };
                let version = Version {
                    commit: *commit,
                    index: *index,
                };
                ranges.push((key::RECORDS, only(record_key)));
                ranges.push((key::HISTORY, only(&key::history(record_key, version))));
            }
        }
        Ok(ranges)
    }

    /// Rids the files of the tables of what stood there before, and forgets that it had to be done.
    pub(crate) fn purge(&self, store: &dyn Store, spec: &NetSpec) -> Result<()> {
        for (table, range) in self.ranges(store, spec)? {
            store.purge(table, &range)?;
        }
        let mut batch = Batch::new();
        for by in &self.by {
            batch.delete(key::META, key::erasing(*by));
        }
        store.apply(&batch)?;
        store.flush()?;
        Ok(())
    }
}

/// The versions up to commit `newest` that commits after it had erased, of a net that is restored to
/// that commit: those that are marked so in its journal, and those that the commits left out order,
/// which may not be carried through yet.
pub(crate) fn erased_after(
    kept: Frames,
    left_out: Frames,
    spec: &NetSpec,
    newest: u64,
) -> Result<Vec<Version>> {
    let mut versions = BTreeSet::new();
    for frame in kept {
        let frame = frame?;
        if frame.lost || frame.erasable.is_empty() {
            continue;
        }
        let body = crate::open::decode_body(&frame, Some(spec))?;
        let marks = crate::verify::erased_in(&body, &frame.erasable);
        let later = marks.into_iter().filter(|(_, by)| *by > newest);
        versions.extend(later.map(|(version, _)| version));
    }
    for frame in left_out {
        let frame = frame?;
        if frame.lost {
            continue;
        }
        let body = crate::open::decode_body(&frame, Some(spec))?;
        versions.extend(
            body.definitions
                .iter()
                .filter_map(|definition| match definition {
                    Definition::Erasure(version) if version.commit <= newest => Some(*version),
                    _ => None,
                }),
        );
    }
    Ok(versions.into_iter().collect())
}

/// What lies in quarantine, sorted.
pub(crate) fn quarantined(dir: &Path) -> Result<Vec<PathBuf>> {
    let quarantine = dir.join(QUARANTINE_DIR);
    let list = |error| Error::io("list the directory", &quarantine, error);
    if !quarantine.exists() {
        return Ok(Vec::new());
    }
    let mut found = fs::read_dir(&quarantine)
        .map_err(list)?
        .map(|entry| entry.map(|entry| entry.path()).map_err(list))
        .collect::<Result<Vec<_>>>()?;
    found.sort();
    Ok(found)
}

pub(crate) fn purge_quarantine(dir: &Path) -> Result<u64> {
    let found = quarantined(dir)?;
    for path in &found {
        let is_dir = fs::symlink_metadata(path).map(|metadata| metadata.is_dir());
        let removed = match is_dir {
            Ok(true) => fs::remove_dir_all(path),
            Ok(false) => fs::remove_file(path),
            Err(error) => Err(error),
        };
        removed.map_err(|error| Error::io("remove", path, error))?;
    }
    if !found.is_empty() {
        sync_dir(&dir.join(QUARANTINE_DIR))?;
    }
    Ok(found.len() as u64)
}

/// The range of one key.
fn only(row_key: &[u8]) -> KeyRange {
    KeyRange::new(row_key, [row_key, &[0]].concat())
}

fn damaged(survey: &Survey, segment: u64) -> Error {
    Error::corrupt(
        "the segment is damaged, so that payloads to be erased cannot be taken out of it; \
         `verify` says what is damaged, and `repair` mends what can be proven",
    )
    .at(survey.path(segment))
}
