//! What can be had of a commit of which neither copy is whole.
//!
//! Each version is taken from the row of the tables or from the bytes of the damaged frame, the same
//! for each payload, and what is put together so has to hash into the commit as any other copy.
//! A version of which neither has anything sound is still named: its place by the commit's list, its
//! interval by its track, its hash by what follows it. With the hash in the place of what it said,
//! the commit hashes as before, so that everything around the lost version is proven as ever.

use std::path::Path as FilePath;

use blocknet_geocode::NetSpec;
use blocknet_kv::{KeyRange, Read};
use blocknet_wal::{
    Access, BODY_OFFSET_BYTES, Damage, Env, FRAME_LEN_BYTES_MAX, Found, Survey,
    erasable_offset_bytes,
};

use crate::body::{Body, CommitInfo};
use crate::codec::{Decoder, Encoder};
use crate::entity::{Path, Track};
use crate::erase::ordered_by;
use crate::error::{Error, Result};
use crate::hash::Hash;
use crate::key;
use crate::record::{
    ChangeKind, Header, LOST_SALT, Place, RowRef, SALT_LEN_BYTES, Version, commitment, erased_by,
    flag, is_accounted_for,
};
use crate::request::limit;

use super::content::{
    Content, Outline, Rebuilt, Unproven, lost_in, proven, readable, record_key, version_row,
};
use super::difference::about_row;
use super::finding::{Code, Finding, Remedy, Side};
use super::journal::{SegmentScan, file_of};
use super::rows::each_row;
use super::{Run, Verifier, bring_back};

/// How far behind the place where a header should stand one is looked for, in bytes: more than a
/// header takes.
const SEARCH_LEN_BYTES: usize = 32 << 10;

/// The bytes of a damaged frame, from its body on.
pub(super) struct Remains {
    bytes: Vec<u8>,
    /// Lengths of body and erasable section; `None` where the header of the frame is damaged, which
    /// says them.
    lens: Option<(u32, u32)>,
    /// Whether its checksum fits the body: then the damage is elsewhere.
    body_is_sound: bool,
}

impl Remains {
    /// What stands in the place of a commit.
    pub(super) fn find(
        env: &dyn Env,
        dir: &FilePath,
        scans: &[SegmentScan],
        commit: u64,
    ) -> Result<Option<Self>> {
        for scan in scans {
            let path = dir.join(file_of(scan.segment));
            for damage in &scan.damages {
                let stated = damage.frame.as_ref();
                if stated.is_some_and(|frame| frame.seq != commit || frame.lost)
                    || (stated.is_none() && damage.what != "frame header")
                {
                    continue;
                }
                let found = Self {
                    bytes: Self::read(env, &path, damage)?,
                    lens: stated.map(|frame| (frame.body_len_bytes, frame.erasable_len_bytes)),
                    body_is_sound: stated.is_some_and(|frame| frame.body.is_some()),
                };
                if stated.is_some() || found.number() == Some(commit) {
                    return Ok(Some(found));
                }
            }
        }
        Ok(None)
    }

    fn read(env: &dyn Env, path: &FilePath, damage: &Damage) -> Result<Vec<u8>> {
        let file = env
            .open(path, Access::Read)
            .map_err(|error| Error::io("open", path, error))?;
        let failed = |error| Error::io("read", path, error);
        let offset = damage.offset_bytes.saturating_add(BODY_OFFSET_BYTES);
        let left = file.len_bytes().map_err(failed)?.saturating_sub(offset);
        let len = damage.len_bytes.saturating_sub(BODY_OFFSET_BYTES);
        let len = len.min(left).min(FRAME_LEN_BYTES_MAX);
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
        let have = file.read_at(&mut bytes, offset).map_err(failed)?;
        bytes.truncate(have);
        Ok(bytes)
    }

    /// The commit that the body says it is of.
    fn number(&self) -> Option<u64> {
        let info = CommitInfo::decode(&mut Decoder(&self.bytes));
        info.ok().map(|info| info.number)
    }

    /// The body, or all from there on where its length is not known.
    fn body(&self) -> &[u8] {
        let len = self.lens.map_or(usize::MAX, |(body, _)| body as usize);
        self.bytes.get(..len).unwrap_or(&self.bytes)
    }

    /// The erasable section, of a body that is known by now.
    fn erasable(&self, body: &Body) -> &[u8] {
        let lens = self.lens.or_else(|| {
            // As long as they were written, if nothing of the body is lost.
            let salt_len = u32::try_from(SALT_LEN_BYTES).ok()?;
            let mut section = 0_u32;
            for header in &body.assertions {
                let len = header.payload_len.checked_add(salt_len)?;
                section = section.checked_add(len)?;
            }
            let is_whole = !body.assertions.iter().any(Header::is_lost);
            let body_len = u32::try_from(body.encode().len()).ok();
            body_len.filter(|_| is_whole).map(|len| (len, section))
        });
        let Some((body_len, section_len)) = lens else {
            return &[];
        };
        let begin = erasable_offset_bytes(body_len) - BODY_OFFSET_BYTES;
        let begin = usize::try_from(begin).unwrap_or(usize::MAX);
        let rest = self.bytes.get(begin..).unwrap_or_default();
        rest.get(..section_len as usize).unwrap_or(rest)
    }
}

/// The header of a version, from a commit of the journal that is sound, or had back already.
pub(super) type FromJournal<'a> = dyn FnMut(Version) -> Result<Option<Header>> + 'a;

/// Puts a commit together.
pub(super) struct Salvage<'a> {
    pub(super) read: Option<&'a dyn Read>,
    pub(super) spec: &'a NetSpec,
    pub(super) net: &'a [u8; 16],
    pub(super) number: u64,
    pub(super) expected: Hash,
    /// Newest commit in the tables.
    pub(super) applied: u64,
    pub(super) remains: Option<Remains>,
    pub(super) from_journal: &'a mut FromJournal<'a>,
}

impl Verifier<'_> {
    /// A commit that the journal lacks: from the tables, or put together from what both have of it,
    /// and then it says so; `body` is what its frame still has for sure.
    pub(super) fn have_back(
        &self,
        run: &Run<'_>,
        survey: Option<&Survey>,
        scans: &[SegmentScan],
        number: u64,
        expected: Hash,
        body: Option<&[u8]>,
    ) -> Result<std::result::Result<(Rebuilt, bool), Unproven>> {
        let read = self.read().filter(|_| number <= run.applied);
        let whole = match (read, self.read()) {
            (Some(read), _) => bring_back(read, &run.spec, &run.net, number, expected, body)?,
            (None, Some(_)) => Err(Unproven::new("the tables never had it")),
            (None, None) => Err(Unproven::new("there are no tables to have it back from")),
        };
        if let Ok(rebuilt) = &whole
            && lost_in(&rebuilt.body, &rebuilt.erasable).is_empty()
        {
            return Ok(whole.map(|rebuilt| (rebuilt, false)));
        }
        let env = &*self.target.env;
        let salvage = Salvage {
            read,
            spec: &run.spec,
            net: &run.net,
            number,
            expected,
            applied: run.applied,
            remains: Remains::find(env, self.target.dir, scans, number)?,
            from_journal: &mut |version| self.in_journal(run, survey, scans, version),
        };
        // Where that gives nothing, the reason is the one that the tables give.
        let pieced = salvage.commit()?.map(|rebuilt| (rebuilt, true));
        Ok(pieced.or(whole.map(|rebuilt| (rebuilt, false))))
    }

    /// The header of a version, from a sound frame or from what was had back.
    fn in_journal(
        &self,
        run: &Run<'_>,
        survey: Option<&Survey>,
        scans: &[SegmentScan],
        version: Version,
    ) -> Result<Option<Header>> {
        let header = |body: &Body| body.assertions.get(version.index as usize).cloned();
        if let Some(rebuilt) = self.diagnosis.pieced.get(&version.commit) {
            return Ok(header(&rebuilt.body));
        }
        let scan = scans
            .iter()
            .find(|scan| scan.commits.contains(version.commit));
        let (Some(survey), Some(scan)) = (survey, scan) else {
            return Ok(None);
        };
        for found in survey.walk(scan.segment).map_err(Error::from)? {
            let Found::Frame(frame) = found.map_err(Error::from)? else {
                continue;
            };
            if frame.seq == version.commit && !frame.lost {
                let body = crate::open::decode_body(&frame, Some(&run.spec));
                return Ok(body.ok().as_ref().and_then(header));
            }
        }
        Ok(None)
    }

    /// Names the versions of a commit that are lost in both copies.
    pub(super) fn note_lost_versions(run: &mut Run<'_>, rebuilt: &Rebuilt) {
        for (version, lost) in lost_in(&rebuilt.body, &rebuilt.erasable) {
            run.lost_versions.insert(version);
            let Some(header) = rebuilt.body.assertions.get(version.index as usize) else {
                continue;
            };
            let finding = Finding::new(Side::Journal, Code::CommitLost, Remedy::Unprovable);
            let finding = finding.found(lost.text());
            run.report(about_row(run, finding, &record_key(header)).version(version));
        }
    }
}

/// The headers of a commit, and where each is from.
type Headers = (Vec<Header>, Vec<Source>);

/// Where a version was found.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Tables,
    Frame,
    Nowhere,
}

impl Salvage<'_> {
    /// The commit with all that can be had of it, proven; versions and payloads that cannot are
    /// marked as lost in it.
    ///
    /// # Errors
    /// Only when the operating system fails; what cannot be proven is an answer.
    pub(super) fn commit(mut self) -> Result<std::result::Result<Rebuilt, Unproven>> {
        let found = self.remains.as_ref();
        let found = found.and_then(|remains| Body::decode(remains.body(), Some(self.spec)).ok());
        let is_sound = self
            .remains
            .as_ref()
            .is_some_and(|found| found.body_is_sound);
        let body = match (found, is_sound) {
            (Some(body), true) => {
                let fits = Content::of(self.spec, self.net, &body)
                    .is_some_and(|content| content.check(None).is_empty());
                if !fits || body.info.hash != self.expected {
                    return Ok(Err(Unproven::new("its frame does not fit the chain")));
                }
                body
            }
            (found, _) => proven!(self.body(found.as_ref())?),
        };
        let erasable = proven!(self.payloads(&body)?);
        let failed = Content::of(self.spec, self.net, &body)
            .map(|content| content.check(Some(&erasable)))
            .unwrap_or_default();
        match failed.first() {
            Some(failed) => Ok(Err(failed.into())),
            None => Ok(Ok(Rebuilt { body, erasable })),
        }
    }

    /// The body from the tables and `found`, what the damaged bytes read as.
    fn body(&mut self, found: Option<&Body>) -> Result<std::result::Result<Body, Unproven>> {
        let Some(read) = self.read else {
            return Ok(Err(Unproven::new("there are no tables to prove it by")));
        };
        let (spec, net) = (self.spec, self.net);
        let outline = match Outline::of_tables(read, spec, net, self.number, self.expected)? {
            Ok(outline) => outline,
            Err(why) => {
                let outline =
                    found.and_then(|body| Outline::of_body(body, spec, net, self.expected));
                match outline {
                    Some(outline) => outline,
                    None => return Ok(Err(why)),
                }
            }
        };
        let keys = &outline.touched.versions;
        let (mut headers, sources) = proven!(self.headers(read, &outline)?);
        let first = outline.complete(read, spec, net, headers.clone())?;
        if first.is_ok() || !sources.contains(&Source::Frame) {
            return Ok(first);
        }
        // One of those from the damaged bytes is not what was written there.
        for ((index, source), record_key) in sources.iter().enumerate().zip(keys) {
            if *source != Source::Frame {
                continue;
            }
            let Some(own) = headers.get(index) else {
                continue;
            };
            let hash = own.hash(net, self.version(index));
            if let Some(lost) = self.lost(read, index, record_key, &headers)?
                && lost.commitment != hash
                && let Some(own) = headers.get_mut(index)
            {
                *own = lost;
            }
        }
        outline.complete(read, spec, net, headers)
    }

    fn version(&self, index: usize) -> Version {
        Version {
            commit: self.number,
            index: u32::try_from(index).unwrap_or(u32::MAX),
        }
    }

    /// The header of each version, and where it is from.
    fn headers(
        &mut self,
        read: &dyn Read,
        outline: &Outline,
    ) -> Result<std::result::Result<Headers, Unproven>> {
        let mut front = Encoder::default();
        outline.info.encode(&mut front);
        let body = self.remains.take();
        let mut finder = Finder {
            bytes: body.as_ref().map_or(&[], Remains::body),
            spec: self.spec,
            // Behind the commit's header and the count of its definitions.
            at: front.0.len() + 4,
        };
        let (mut headers, mut sources, mut missing) = (Vec::new(), Vec::new(), Vec::new());
        for (index, own_key) in outline.touched.versions.iter().enumerate() {
            let version = self.version(index);
            let row = version_row(read, own_key, version)?;
            let why = row.as_ref().err().cloned().unwrap_or_default();
            let in_tables = row.ok().and_then(|row| {
                let header = RowRef::decode(&row).and_then(|row| row.header(self.spec));
                header.ok().filter(|header| record_key(header) == *own_key)
            });
            let (header, source) = if let Some(header) = in_tables {
                finder.pass(&header);
                (Some(header), Source::Tables)
            } else if let Some(header) = finder.find(own_key) {
                (Some(header), Source::Frame)
            } else {
                (self.lost(read, index, own_key, &headers)?, Source::Nowhere)
            };
            match header {
                Some(header) => headers.push(header),
                None => missing.push((own_key.clone(), version, why)),
            }
            sources.push(source);
        }
        self.remains = body;
        if missing.is_empty() {
            return Ok(Ok((headers, sources)));
        }
        Ok(Err(Unproven {
            why: format!("{} of its versions are in neither copy", missing.len()),
            versions: missing,
        }))
    }

    /// What stands for a version of which nothing is left but what its surroundings say of it;
    /// `None` when they do not say enough.
    ///
    /// * `before`: the headers of the commit, those before it at least.
    fn lost(
        &mut self,
        read: &dyn Read,
        index: usize,
        own_key: &[u8],
        before: &[Header],
    ) -> Result<Option<Header>> {
        let version = self.version(index);
        let Ok(place) = Place::of_key(own_key, self.spec) else {
            return Ok(None);
        };
        let entity = own_key.get(place.as_bytes().len()..).unwrap_or_default();
        let Ok((layer, id)) = key::parse_entity(entity) else {
            return Ok(None);
        };
        let path = Path {
            read,
            spec: self.spec,
            entity,
        };
        let Some(track) = self.track(&path, version)? else {
            return Ok(None);
        };
        if track.place != place {
            return Ok(None);
        }
        let previous = match track.ordinal {
            1 => Some(Hash::ZERO),
            ordinal => self
                .neighbour(&path, ordinal - 1, before)?
                .map(|(version, header)| header.hash(self.net, version)),
        };
        let head = readable(path.head())?.ok().flatten();
        let named = match head.filter(|head| head.newest == version) {
            Some(head) => Some(head.hash),
            None => self
                .neighbour(&path, track.ordinal + 1, before)?
                .map(|(_, header)| header.previous),
        };
        let (Some(previous), Some(hash)) = (previous, named) else {
            return Ok(None);
        };
        Ok(Some(Header {
            layer,
            id: id.into(),
            ordinal: track.ordinal,
            flags: track.flags | flag::LOST,
            kind: ChangeKind::default(),
            valid: track.valid,
            place,
            extent: None,
            payload_len: 0,
            commitment: hash,
            previous,
            author: None,
            reason: None,
            source: None,
        }))
    }

    /// The track of a version of the commit: by halving, or where that meets damage by looking
    /// through all that can be read.
    fn track(&self, path: &Path<'_>, version: Version) -> Result<Option<Track>> {
        if let Ok(Some(track)) = readable(Self::sought(path, version))? {
            return Ok(Some(track));
        }
        let mut found = None;
        each_row(
            path.read,
            key::TRACKS,
            &KeyRange::prefix(path.entity),
            &mut |row_key, value| {
                if let Some((entity, ordinal)) = row_key.split_last_chunk::<8>()
                    && entity == path.entity
                    && let Ok(track) =
                        Track::decode(!u64::from_be_bytes(*ordinal), value, self.spec)
                    && track.version == version
                {
                    found = Some(track);
                }
                Ok(())
            },
            &mut |_| (),
        )?;
        Ok(found)
    }

    fn sought(path: &Path<'_>, version: Version) -> Result<Option<Track>> {
        let Some(head) = path.head()? else {
            return Ok(None);
        };
        let mut ordinal = path.ordinal_at(&head, version.commit)?;
        while ordinal > 0 {
            let track = path.track(ordinal)?;
            if track.version <= version {
                return Ok((track.version == version).then_some(track));
            }
            ordinal -= 1;
        }
        Ok(None)
    }

    /// The version of an entity at an ordinal, from wherever it is whole.
    fn neighbour(
        &mut self,
        path: &Path<'_>,
        ordinal: u64,
        own: &[Header],
    ) -> Result<Option<(Version, Header)>> {
        let Ok(track) = readable(path.track(ordinal))? else {
            return Ok(None);
        };
        let version = track.version;
        let own_key = key::record(&track.place, path.entity);
        if let Ok(row) = version_row(path.read, &own_key, version)?
            && let Ok(header) = RowRef::decode(&row).and_then(|row| row.header(self.spec))
        {
            return Ok(Some((version, header)));
        }
        let header = if version.commit == self.number {
            own.get(version.index as usize).cloned()
        } else {
            (self.from_journal)(version)?
        };
        let fits = header.filter(|header| {
            header.ordinal == ordinal && key::entity(header.layer, &header.id) == path.entity
        });
        Ok(fits.map(|header| (version, header)))
    }

    /// Salts and payloads of a body that is proven, each from where it fits its commitment.
    fn payloads(&self, body: &Body) -> Result<std::result::Result<Vec<u8>, Unproven>> {
        let lens = body.assertions.iter().map(|header| header.payload_len);
        let len: u64 = lens.map(u64::from).sum();
        let is_too_long =
            |header: &Header| header.payload_len as usize > limit::PAYLOAD_LEN_BYTES_MAX;
        if len > FRAME_LEN_BYTES_MAX || body.assertions.iter().any(is_too_long) {
            return Ok(Err(Unproven::new(
                "its payloads are longer than any commit",
            )));
        }
        let found = self.remains.as_ref();
        let section = Section::of(found.map_or(&[], |remains| remains.erasable(body)), body);
        let mut erasable = Vec::new();
        for (index, header) in body.assertions.iter().enumerate() {
            let row = match self.read {
                Some(read) => version_row(read, &record_key(header), self.version(index))?.ok(),
                None => None,
            };
            let row = row.as_ref().and_then(|row| RowRef::decode(row).ok());
            let kept = row.filter(|row| {
                row.payload.len() == header.payload_len as usize
                    && !row.is_payload_lost()
                    && is_accounted_for(&row.salt, row.payload, header.commitment)
            });
            if let Some(row) = kept {
                erasable.extend_from_slice(&row.salt);
                erasable.extend_from_slice(row.payload);
                continue;
            }
            let mut fits = None;
            for part in section.parts(index, header) {
                if self.is_kept(part, header, self.version(index))? {
                    fits = Some(part);
                }
            }
            if let Some(part) = fits {
                erasable.extend_from_slice(part);
            } else {
                erasable.extend_from_slice(&LOST_SALT);
                erasable.resize(erasable.len() + header.payload_len as usize, 0);
            }
        }
        Ok(Ok(erasable))
    }

    /// Whether these bytes are the salt and payload of a version; or say that a commit had them
    /// erased, and nothing says that it had not.
    fn is_kept(&self, part: &[u8], header: &Header, version: Version) -> Result<bool> {
        let Some((salt, payload)) = part.split_first_chunk::<SALT_LEN_BYTES>() else {
            return Ok(false);
        };
        let Some(by) = erased_by(salt, payload) else {
            return Ok(!header.is_lost() && commitment(salt, payload) == header.commitment);
        };
        let Some(read) = self.read.filter(|_| by <= self.applied) else {
            return Ok(true);
        };
        let ordered = readable(ordered_by(read, self.spec, by))?;
        Ok(ordered.map_or(true, |versions| versions.contains(&version)))
    }
}

/// Looks for headers in a body with damage in it.
struct Finder<'a> {
    bytes: &'a [u8],
    spec: &'a NetSpec,
    /// Where the next one should stand.
    at: usize,
}

impl Finder<'_> {
    /// Where `pattern` stands next, near where it should.
    fn search<'p>(&self, pattern: &'p [u8]) -> impl Iterator<Item = usize> + use<'_, 'p> {
        let end = self
            .at
            .saturating_add(SEARCH_LEN_BYTES)
            .min(self.bytes.len());
        let near = self.bytes.get(self.at..end).unwrap_or_default();
        let windows = near.windows(pattern.len()).enumerate();
        windows.filter_map(move |(at, window)| (window == pattern).then_some(self.at + at))
    }

    /// Goes on behind a header that is known; the one in the bytes may be damaged.
    fn pass(&mut self, header: &Header) {
        let mut encoded = Encoder::default();
        header.encode(&mut encoded);
        let at = self.search(&encoded.0).next().unwrap_or(self.at);
        self.at = at.saturating_add(encoded.0.len());
    }

    /// The next header of this record key.
    fn find(&mut self, own_key: &[u8]) -> Option<Header> {
        let place = Place::of_key(own_key, self.spec).ok()?;
        let (layer, id) = key::parse_entity(own_key.get(place.as_bytes().len()..)?).ok()?;
        let mut pattern = Encoder::default();
        pattern.u16(layer.0).short(id.as_bytes());
        let (header, end) = self.search(&pattern.0).find_map(|at| {
            let mut input = Decoder(self.bytes.get(at..)?);
            let header = Header::decode(&mut input, self.spec).ok()?;
            let end = self.bytes.len() - input.0.len();
            (record_key(&header) == own_key).then_some((header, end))
        })?;
        self.at = end;
        Some(header)
    }
}

/// A damaged erasable section, and where the part of each version begins in it: counted from the
/// front and from the back, since of a lost version the length is not known.
struct Section<'a> {
    bytes: &'a [u8],
    front: Vec<Option<usize>>,
    back: Vec<Option<usize>>,
}

impl<'a> Section<'a> {
    fn of(bytes: &'a [u8], body: &Body) -> Self {
        let len = |header: &Header| {
            (!header.is_lost()).then_some(SALT_LEN_BYTES + header.payload_len as usize)
        };
        let mut at = Some(0_usize);
        let mut front = Vec::with_capacity(body.assertions.len());
        for header in &body.assertions {
            front.push(at);
            at = at
                .zip(len(header))
                .and_then(|(at, len)| at.checked_add(len));
        }
        let mut at = Some(bytes.len());
        let mut back = Vec::with_capacity(body.assertions.len());
        for header in body.assertions.iter().rev() {
            at = at
                .zip(len(header))
                .and_then(|(at, len)| at.checked_sub(len));
            back.push(at);
        }
        back.reverse();
        Self { bytes, front, back }
    }

    /// The bytes that may be the part of a version.
    fn parts(&self, index: usize, header: &Header) -> impl Iterator<Item = &'a [u8]> {
        let len = SALT_LEN_BYTES + header.payload_len as usize;
        let bytes = self.bytes;
        let begins = [self.front.get(index), self.back.get(index)];
        let begins = begins.into_iter().flatten().copied().flatten();
        let parts = begins.filter_map(move |at| bytes.get(at..at.checked_add(len)?));
        parts.collect::<Vec<_>>().into_iter()
    }
}

#[cfg(test)]
mod tests;
