//! The journal, file by file.

#![warn(clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use blocknet_geocode::NetSpec;
use blocknet_wal::{Access, Damage, Env, Found, Frame, Page, Position, Survey};

use crate::body::{Body, CommitInfo};
use crate::codec::Decoder;
use crate::error::{Error, ErrorKind, Result};
use crate::hash::Hash;
use crate::open::{JOURNAL_DIR, NetBuilder, spec_of};
use crate::verify::{TablesFound, file_of};

use super::fields::{self, Payloads, hex};
use super::{BYTES_SHOWN_MAX, Entry, Fields, JournalSelection, OnEntry, Value};

/// Length of a segment's first page: DESIGN.md, "Segment page".
const PAGE_LEN_BYTES: u64 = 4096;

pub(super) fn dump(
    builder: &NetBuilder,
    env: &Arc<dyn Env>,
    dir: &Path,
    selection: &JournalSelection,
    on_entry: &mut OnEntry<'_>,
) -> Result<()> {
    let survey = Survey::new(Arc::clone(env), &dir.join(JOURNAL_DIR))?;
    let segments: Vec<u64> = match selection.segment {
        None => survey.segments().to_vec(),
        Some(segment) if survey.segments().contains(&segment) => vec![segment],
        Some(segment) => {
            let message = format!("there is no file {} in this net", file_of(segment));
            return Err(Error::new(ErrorKind::NotFound, message).at(dir));
        }
    };
    let firsts = match &selection.commits {
        Some(_) => first_commits(&survey, &segments)?,
        None => BTreeMap::new(),
    };
    let spec = match spec_in_journal(&survey) {
        Some(spec) => Some(spec),
        None => spec_in_tables(builder, dir)?,
    };
    let mut dump = Dump {
        env,
        survey: &survey,
        spec,
        selection,
        on_entry,
        before: None,
    };
    let mut expected = None;
    for segment in segments {
        let apart = expected.is_some_and(|expected| expected < segment);
        if let Some(from) = expected.filter(|_| apart && selection.segment.is_none()) {
            for missing in from..segment {
                let mut entry = Entry::new("missing segment");
                entry.file = Some(file_of(missing));
                if (dump.on_entry)(entry).is_break() {
                    return Ok(());
                }
            }
        }
        expected = Some(segment + 1);
        if selection.commits.as_ref().is_some_and(|commits| {
            let after = firsts.range(segment + 1..).next();
            let own = firsts.get(&segment);
            after.is_some_and(|(_, first)| first <= commits.start())
                || own.is_some_and(|first| first > commits.end())
        }) {
            continue;
        }
        if dump.segment(segment)?.is_break() {
            return Ok(());
        }
    }
    if selection.segment.is_some() || selection.commits.is_some() {
        return Ok(());
    }
    let unfinished = survey.unfinished().iter().map(|segment| {
        let name = format!("{JOURNAL_DIR}/{segment:016}.tmp");
        ("segment in preparation", name)
    });
    let foreign = survey.foreign().iter().map(|name| {
        (
            "foreign file",
            format!("{JOURNAL_DIR}/{}", name.to_string_lossy()),
        )
    });
    for (kind, file) in unfinished.chain(foreign) {
        let mut entry = Entry::new(kind);
        entry.file = Some(file);
        if (dump.on_entry)(entry).is_break() {
            break;
        }
    }
    Ok(())
}

/// The first commit of each segment, as far as their pages say.
fn first_commits(survey: &Survey, segments: &[u64]) -> Result<BTreeMap<u64, u64>> {
    let mut firsts = BTreeMap::new();
    for segment in segments {
        let first = survey.walk(*segment).map_err(Error::from)?.next();
        if let Some(Found::Page(page)) = first.transpose().map_err(Error::from)? {
            firsts.insert(*segment, page.first_seq);
        }
    }
    Ok(firsts)
}

/// The net's spec, from its first commit; also from one of which only the payloads are damaged.
pub(super) fn spec_in_journal(survey: &Survey) -> Option<NetSpec> {
    for found in survey.walk(1).ok()? {
        let body = match found.ok()? {
            Found::Frame(frame) if frame.seq == 1 && !frame.lost => frame.body,
            Found::Damage(damage) => match damage.frame {
                Some(frame) if frame.seq == 1 && !frame.lost => frame.body?,
                _ => continue,
            },
            Found::Page(_) => continue,
            _ => return None,
        };
        return spec_of(&Body::decode(&body, None).ok()?);
    }
    None
}

fn spec_in_tables(builder: &NetBuilder, dir: &Path) -> Result<Option<NetSpec>> {
    match builder.target(dir)?.tables {
        TablesFound::Open(read) | TablesFound::Replayed(read, _) => {
            super::tables::spec_in_tables(&*read)
        }
        TablesFound::Unusable(_) => Ok(None),
    }
}

struct Dump<'a, 'e> {
    env: &'a Arc<dyn Env>,
    survey: &'a Survey,
    spec: Option<NetSpec>,
    selection: &'a JournalSelection,
    on_entry: &'a mut OnEntry<'e>,
    /// The newest commit met so far: with the next one it says which may have stood between.
    before: Option<u64>,
}

impl Dump<'_, '_> {
    fn segment(&mut self, segment: u64) -> Result<ControlFlow<()>> {
        let mut pending: Vec<(Option<u64>, Entry)> = Vec::new();
        for found in self.survey.walk(segment).map_err(Error::from)? {
            let found = found.map_err(Error::from)?;
            let (seq, after) = match &found {
                Found::Page(page) => (None, page.first_seq.checked_sub(1)),
                Found::Frame(frame) => (Some(frame.seq), Some(frame.seq)),
                Found::Damage(damage) => {
                    let seq = damage.frame.as_ref().map(|frame| frame.seq);
                    (seq, seq)
                }
                Found::Clean { seq, .. } | Found::Footer { seq, .. } => (None, Some(*seq)),
                _ => (None, None),
            };
            if let Some(next) = seq.or(after.filter(|_| !matches!(found, Found::Page(_)))) {
                let until = if seq.is_some() {
                    next.saturating_sub(1)
                } else {
                    next
                };
                if self.release(&mut pending, until).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            let Some(commits) = &self.selection.commits else {
                let entry = self.entry(segment, found)?;
                if (self.on_entry)(entry).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
                continue;
            };
            match seq {
                Some(seq) if commits.contains(&seq) => {
                    let entry = self.entry(segment, found)?;
                    if (self.on_entry)(entry).is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                None if matches!(found, Found::Damage(_)) => {
                    let from = self.before.map(|before| before.saturating_add(1));
                    pending.push((from, self.entry(segment, found)?));
                }
                _ => {}
            }
            self.before = after.or(self.before);
        }
        Ok(self.release(&mut pending, u64::MAX))
    }

    /// Shows the stretches in which selected commits up to `until` may have stood.
    fn release(&mut self, pending: &mut Vec<(Option<u64>, Entry)>, until: u64) -> ControlFlow<()> {
        for (from, entry) in pending.drain(..) {
            let may_hold = self.selection.commits.as_ref().is_some_and(|commits| {
                from.unwrap_or(1) <= *commits.end() && *commits.start() <= until
            });
            if may_hold && (self.on_entry)(entry).is_break() {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    fn entry(&self, segment: u64, found: Found) -> Result<Entry> {
        let (mut entry, place) = match found {
            Found::Page(page) => (page_entry(&page), Some((0, PAGE_LEN_BYTES))),
            Found::Frame(frame) => (self.frame(&frame), Some(place(&frame.position))),
            Found::Clean { seq, position } => {
                let mut entry = Entry::new("clean mark");
                entry.fields.push(("after_commit", seq.into()));
                (entry, Some(place(&position)))
            }
            Found::Footer {
                first_seq,
                count,
                seq,
                chain,
                position,
            } => {
                let mut entry = Entry::new("footer");
                entry.fields = vec![
                    ("first_commit", first_seq.into()),
                    ("commits", count.into()),
                    ("last_commit", seq.into()),
                    ("chain", Hash(chain).into()),
                ];
                (entry, Some(place(&position)))
            }
            Found::Damage(damage) => {
                let place = (damage.offset_bytes, damage.len_bytes);
                (self.damage(&damage), Some(place))
            }
            Found::Unused {
                offset_bytes,
                len_bytes,
            } => (Entry::new("unused space"), Some((offset_bytes, len_bytes))),
            _ => (Entry::new("unknown"), None),
        };
        entry.file = Some(file_of(segment));
        entry.offset_bytes = place.map(|(offset, _)| offset);
        entry.len_bytes = place.map(|(_, len)| len);
        if let Some((offset, len)) = place
            && self.selection.bytes
            && entry.kind != "unused space"
        {
            let max = if entry.kind.starts_with("commit") || entry.kind == "lost commit" {
                len
            } else {
                len.min(BYTES_SHOWN_MAX as u64)
            };
            let bytes = self.read(segment, offset, max)?;
            let left_out = len.saturating_sub(bytes.len() as u64);
            entry.fields.push(("bytes", Value::Hex(bytes)));
            if left_out > 0 {
                entry.fields.push(("bytes_left_out", left_out.into()));
            }
        }
        Ok(entry)
    }

    /// Bytes of a segment; fewer where the file ends.
    fn read(&self, segment: u64, offset: u64, len: u64) -> Result<Vec<u8>> {
        let path = self.survey.path(segment);
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
        if bytes.is_empty() {
            return Ok(bytes);
        }
        let have = self
            .env
            .open(&path, Access::Read)
            .and_then(|file| file.read_at(&mut bytes, offset))
            .map_err(|error| Error::io("read", &path, error))?;
        bytes.truncate(have);
        Ok(bytes)
    }

    fn frame(&self, frame: &Frame) -> Entry {
        if frame.lost {
            let mut entry = Entry::new("lost commit");
            entry.fields = vec![
                ("number", frame.seq.into()),
                ("chain", Hash(frame.chain).into()),
                ("found_in_its_place", hex(&frame.body)),
            ];
            return entry;
        }
        let mut entry = Entry::new("commit");
        entry.fields = vec![
            ("number", frame.seq.into()),
            ("chain", Hash(frame.chain).into()),
            ("body_len_bytes", (frame.body.len() as u64).into()),
            ("erasable_len_bytes", (frame.erasable.len() as u64).into()),
        ];
        let body = self.body(&frame.body, frame.seq, frame.chain, Some(&frame.erasable));
        if body.iter().any(|(name, _)| *name == "undecoded") {
            entry.kind = "undecoded commit";
        }
        entry.fields.push(("body", Value::Map(body)));
        entry
    }

    /// A body field by field; where it cannot be decoded, as much of it as can.
    fn body(&self, bytes: &[u8], seq: u64, chain: [u8; 32], erasable: Option<&[u8]>) -> Fields {
        let payloads = match erasable {
            Some(section) if self.selection.payloads => Payloads::Shown(section),
            _ => Payloads::Hidden,
        };
        let mut found = match (Body::decode(bytes, self.spec.as_ref()), &self.spec) {
            (Ok(body), spec) => {
                let own = spec_of(&body);
                match own.as_ref().or(spec.as_ref()) {
                    Some(spec) => fields::body(spec, &body, &payloads),
                    None => fields::commit_info(&body.info),
                }
            }
            (Err(fault), spec) => {
                let mut input = Decoder(bytes);
                let mut found = Vec::new();
                if let Ok(info) = CommitInfo::decode(&mut input) {
                    found = fields::commit_info(&info);
                } else {
                    input = Decoder(bytes);
                }
                let why = match spec {
                    Some(_) => fault.to_string(),
                    None => "no copy of the net's spec can be read".to_owned(),
                };
                found.push(("rest", hex(input.0)));
                if let Payloads::Shown(section) = payloads {
                    found.push(("payloads", hex(section)));
                }
                found.push(("undecoded", Value::Text(why)));
                found
            }
        };
        let mut input = Decoder(bytes);
        if let Ok(info) = CommitInfo::decode(&mut input)
            && (info.number != seq || info.hash != Hash(chain))
        {
            let text = "the frame names another commit than its body";
            found.push(("undecoded", text.into()));
        }
        found
    }

    fn damage(&self, damage: &Damage) -> Entry {
        let mut entry = Entry::new("damage");
        entry.fields = vec![
            ("what", damage.what.into()),
            ("fault", Value::Text(damage.fault.to_string())),
        ];
        let Some(frame) = &damage.frame else {
            return entry;
        };
        entry.fields.extend([
            ("number", frame.seq.into()),
            ("chain", Hash(frame.chain).into()),
            ("erasable_len_bytes", frame.erasable_len_bytes.into()),
        ]);
        if frame.lost {
            entry.fields.push(("lost", true.into()));
        }
        let erasable = frame.erasable.as_deref();
        match &frame.body {
            Some(body) if !frame.lost => {
                let body = self.body(body, frame.seq, frame.chain, erasable);
                entry.fields.push(("body", Value::Map(body)));
            }
            _ => {
                if let Some(section) = erasable.filter(|_| self.selection.payloads) {
                    entry.fields.push(("payloads", hex(section)));
                }
            }
        }
        entry
    }
}

fn page_entry(page: &Page) -> Entry {
    let mut entry = Entry::new("page");
    entry.fields = vec![
        ("net", hex(&page.store_id)),
        ("segment", page.segment.into()),
        ("first_commit", page.first_seq.into()),
        ("previous_chain", Hash(page.prev_chain).into()),
    ];
    entry
}

fn place(position: &Position) -> (u64, u64) {
    (position.offset_bytes, position.len_bytes)
}
