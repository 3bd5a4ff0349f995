//! From the versions of a commit to the rows of the tables: the same code for a commit being made
//! and for one read back from the journal.

use std::collections::BTreeMap;

use blocknet_geocode::{Block, NetSpec};
use blocknet_kv::{Batch, MemLayer, Overlay, Read};

use crate::block::Origin;
use crate::body::{Body, ClosingAt, CommitInfo, Definition, closing_hash, version_leaf};
use crate::codec::{Decoder, Encoder};
use crate::entity::{Head, Last, Path, Track};
use crate::erase;
use crate::error::{Error, Fault, Result};
use crate::hash::{Hash, merkle_root};
use crate::key;
use crate::layer::LayerId;
use crate::ledger::{LayerState, Ledger};
use crate::linking::{Blocks, Change, Linked, link};
use crate::log;
use crate::record::{
    Closing, Header, Place, RowRef, SALT_LEN_BYTES, Version, encode_row, flag, is_accounted_for,
};
use crate::time::Moment;
use crate::touched;
use crate::zone::Heights;

/// Largest chunk of the list of what a commit touched.
const CHUNK_LEN_BYTES: usize = 64 * 1024;

/// The rows of `commits` for a commit: its header, then what it touched; `left` as for
/// [`touched::encode`].
pub(crate) fn commit_rows<'b>(
    body: &Body,
    left: impl IntoIterator<Item = &'b Block>,
) -> Vec<(Vec<u8>, Vec<u8>)> {
    let number = body.info.number;
    let mut header = Encoder::with_capacity(320);
    body.info.encode(&mut header);
    let mut rows = vec![(key::commit(number, 0), header.0)];
    let stream = touched::encode(body, left);
    let chunks = (1..).zip(stream.chunks(CHUNK_LEN_BYTES));
    rows.extend(chunks.map(|(chunk, bytes)| (key::commit(number, chunk), bytes.to_vec())));
    rows
}

/// The row of `meta` that says which net this is: its identity, then its spec. Only the journal's
/// first commit says the same, so without this row the tables alone could not give it back.
pub(crate) fn encode_net(net: &[u8; 16], spec: &NetSpec) -> Vec<u8> {
    let mut out = net.to_vec();
    out.extend_from_slice(spec.to_bytes().as_ref());
    out
}

/// The inverse of [`encode_net`].
pub(crate) fn decode_net(bytes: &[u8]) -> Result<([u8; 16], NetSpec), Fault> {
    let (net, spec) = bytes.split_first_chunk().ok_or(Fault::Truncated {
        need: 16,
        have: bytes.len(),
    })?;
    let spec = NetSpec::from_bytes(spec).map_err(|_| Fault::Value { what: "net spec" })?;
    Ok((*net, spec))
}

/// What a commit does to one block, gathered while its versions are written.
#[derive(Debug, Default)]
struct Touch {
    /// (record key, index in the commit, leaf hash)
    leaves: Vec<(Vec<u8>, u32, Hash)>,
    rows: i64,
}

/// The rows of one commit, gathered version by version.
pub(crate) struct Rows<'a> {
    spec: &'a NetSpec,
    net: &'a [u8; 16],
    number: u64,
    ledger: &'a Ledger,
    pub(crate) batch: Batch,
    touches: BTreeMap<Block, Touch>,
    layers: BTreeMap<LayerId, LayerState>,
    zones: crate::zone::Changes,
    headers: Vec<Header>,
    hashes: Vec<Hash>,
    closings: Vec<ClosingAt>,
    definitions: Vec<Definition>,
}

/// One version as it is to be stored.
pub(crate) struct Stated<'a> {
    pub(crate) header: Header,
    pub(crate) salt: &'a [u8; SALT_LEN_BYTES],
    pub(crate) payload: &'a [u8],
    /// The other places where it ends the entity's states, and whether their altitude is known.
    pub(crate) closings: &'a [(Place, bool)],
}

/// What a commit says about one layer, to tell whether it is worth reading: a row of `moments`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Versions it wrote.
    pub(crate) versions: u32,
    /// Earliest start or end of any of their intervals; later than `last` when all are open.
    pub(crate) first: Moment,
    /// Latest start or end.
    pub(crate) last: Moment,
}

impl Bounds {
    /// What `body` says about a layer.
    pub(crate) fn of_layer(body: &Body, layer: LayerId) -> Self {
        Self::of(
            body.assertions
                .iter()
                .filter(|header| header.layer == layer),
        )
    }

    fn of<'h>(headers: impl Iterator<Item = &'h Header>) -> Self {
        let mut bounds = Self {
            versions: 0,
            first: Moment::MAX,
            last: Moment::MIN,
        };
        for header in headers {
            bounds.versions += 1;
            for bound in [header.valid.from, header.valid.to] {
                if bound != Moment::MIN && bound != Moment::MAX {
                    bounds.first = bounds.first.min(bound);
                    bounds.last = bounds.last.max(bound);
                }
            }
        }
        bounds
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Encoder::with_capacity(20);
        out.u32(self.versions)
            .i64(self.first.as_micros())
            .i64(self.last.as_micros());
        out.0
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        let mut input = Decoder(bytes);
        let bounds = Self {
            versions: input.u32()?,
            first: Moment::from_micros(input.i64()?),
            last: Moment::from_micros(input.i64()?),
        };
        input.finish()?;
        Ok(bounds)
    }
}

/// A commit ready to be appended and applied.
pub(crate) struct Finished {
    pub(crate) body: Body,
    pub(crate) batch: Batch,
    pub(crate) ledger: Ledger,
}

impl<'a> Rows<'a> {
    pub(crate) fn new(
        spec: &'a NetSpec,
        net: &'a [u8; 16],
        number: u64,
        ledger: &'a Ledger,
    ) -> Self {
        Self {
            spec,
            net,
            number,
            ledger,
            batch: Batch::new(),
            touches: BTreeMap::new(),
            layers: BTreeMap::new(),
            zones: crate::zone::Changes::default(),
            headers: Vec::new(),
            hashes: Vec::new(),
            closings: Vec::new(),
            definitions: Vec::new(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.headers.is_empty() && self.definitions.is_empty()
    }

    /// The blocks in which the commit changes anything.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = &Block> {
        self.touches.keys()
    }

    pub(crate) fn headers(&self) -> &[Header] {
        &self.headers
    }

    pub(crate) fn define(&mut self, definition: Definition) {
        if let Definition::Layer(id, def) = &definition {
            self.layers.insert(*id, LayerState::new(def.clone()));
        }
        self.definitions.push(definition);
    }

    /// Has the payload of a stored version erased: its row says so from now on. Answers with the
    /// commit that had it erased before, if one of this net did. A mark by a later commit comes from
    /// the net that this one was restored from, or from a journal that was rewritten before these
    /// tables were built from it; it becomes this commit's.
    pub(crate) fn erase(&mut self, read: &dyn Read, version: Version) -> Result<Option<u64>> {
        let stored = erase::stored(read, self.spec, version)?;
        let row = RowRef::decode(&stored.row)
            .map_err(|fault| fault.in_table(key::table_name(stored.table), &stored.row_key))?;
        let by = row.erased_by();
        if by.is_some_and(|by| by < self.number) {
            return Ok(by);
        }
        if by != Some(self.number) {
            self.batch
                .put(stored.table, stored.row_key, row.erased(self.number));
        }
        self.definitions.push(Definition::Erasure(version));
        Ok(None)
    }

    fn block_of(&self, place: &Place, altitude_known: bool) -> Result<Block> {
        let geocode = place
            .geocode(self.spec, altitude_known)
            .ok_or_else(|| Error::corrupt("a place that the net's spec cannot have written"))?;
        Ok(self.spec.block(&geocode))
    }

    /// As [`Rows::put_version`], and keeps the rows in `scratch` as well, which lies over `read`: so
    /// the entity's next version in the same commit sees them.
    pub(crate) fn put_version_over(
        &mut self,
        scratch: &mut MemLayer,
        read: &dyn Read,
        entity: &[u8],
        head: &mut Head,
        stated: Stated<'_>,
    ) -> Result<()> {
        let mut earlier = std::mem::take(&mut self.batch);
        let layers = [&*scratch];
        let overlay = Overlay {
            layers: &layers,
            base: read,
        };
        let path = Path {
            read: &overlay,
            spec: self.spec,
            entity,
        };
        let result = self.put_version(&path, head, stated);
        scratch.apply(&self.batch);
        earlier.append(&mut self.batch);
        self.batch = earlier;
        result
    }

    /// Writes the rows of one version: its own, its track, the old head if it moves to the past,
    /// and a closing row at each place in `closings`. `head` is brought up to date; storing it is
    /// left to [`Rows::put_head`], once per entity and commit.
    fn put_version(&mut self, path: &Path<'_>, head: &mut Head, stated: Stated<'_>) -> Result<()> {
        let Stated {
            header,
            salt,
            payload,
            closings,
        } = stated;
        let index = u32::try_from(self.headers.len()).expect("limits keep commits below 2^32");
        let version = Version {
            commit: self.number,
            index,
        };
        let mut encoded = Encoder::with_capacity(256);
        header.encode(&mut encoded);
        let hash = header.hash(self.net, version);
        let record_key = key::record(&header.place, path.entity);
        let row = encode_row(version, &encoded.0, salt, payload);

        let layer = self.layer(header.layer);
        layer.versions += 1;
        layer.entities += u64::from(head.versions == 0);
        layer.payload_bytes += u64::from(header.payload_len);

        let track = Track {
            ordinal: header.ordinal,
            version,
            valid: header.valid,
            flags: header.flags & !flag::LOST,
            place: header.place,
            hull: path.hull(header.ordinal, header.valid)?,
        };
        self.batch.put(
            key::TRACKS,
            key::track(path.entity, header.ordinal),
            track.encode(),
        );

        let takes_over = head.is_taken_over_by(header.valid);
        if takes_over && let Some(last) = head.last.filter(|last| !last.place.is_nowhere()) {
            self.retire(path, &last, header.layer, &record_key)?;
        }
        if takes_over && !header.is_absence() {
            self.layer(header.layer).live += 1;
            self.batch.put(key::RECORDS, record_key.clone(), row);
        } else {
            self.batch
                .put(key::HISTORY, key::history(&record_key, version), row);
        }
        if !header.place.is_nowhere() {
            let block = self.block_of(&header.place, header.altitude_known())?;
            let touch = self.touches.entry(block).or_default();
            touch.rows += i64::from(takes_over);
            touch.leaves.push((record_key, index, hash));
            let live = takes_over && !header.is_absence();
            let (live, past) = (i64::from(live), u64::from(!live));
            let heights = Heights::of_version(&header);
            self.zones.add(&header.place, live, past, heights);
        }
        for (place, altitude_known) in closings {
            let closing = ClosingAt {
                assertion: index,
                place: *place,
                altitude_known: *altitude_known,
            };
            self.put_closing(path.entity, &header, version, hash, closing)?;
        }

        head.advance(&track, hash);
        if let Some(last) = &head.last {
            let layer = self.layer(header.layer);
            layer.watermark = layer.watermark.max(last.sole_from);
        }
        self.hashes.push(hash);
        self.headers.push(header);
        Ok(())
    }

    fn layer(&mut self, layer: LayerId) -> &mut LayerState {
        let ledger = self.ledger;
        self.layers.entry(layer).or_insert_with(|| {
            ledger
                .layers
                .get(&layer)
                .cloned()
                .expect("callers check the layer")
        })
    }

    /// Moves a live head to the history: another version answers for the times to come.
    /// `successor` is the key of the row that takes its place.
    fn retire(
        &mut self,
        path: &Path<'_>,
        last: &Last,
        layer: LayerId,
        successor: &[u8],
    ) -> Result<()> {
        let old_key = key::record(&last.place, path.entity);
        let old = path.read.get(key::RECORDS, &old_key)?.ok_or_else(|| {
            Error::corrupt(format!(
                "tables: `records`, row {} is missing; move the directory `tables` away and open \
                 the store for writing, which rebuilds it from the journal",
                crate::error::Hex(&old_key)
            ))
        })?;
        self.batch
            .put(key::HISTORY, key::history(&old_key, last.version), old);
        if old_key != successor {
            self.batch.delete(key::RECORDS, old_key);
        }
        self.layer(layer).live -= 1;
        self.zones.add(&last.place, -1, 1, Heights::NONE);
        let block = self.block_of(&last.place, true)?;
        self.touches.entry(block).or_default().rows -= 1;
        Ok(())
    }

    /// Writes a closing row: from here on the entity is elsewhere, or nowhere, for an interval.
    fn put_closing(
        &mut self,
        entity: &[u8],
        header: &Header,
        version: Version,
        hash: Hash,
        closing: ClosingAt,
    ) -> Result<()> {
        let closed_key = key::record(&closing.place, entity);
        let row = Closing {
            valid: header.valid,
            moved_to: header.place,
        };
        self.batch.put(
            key::HISTORY,
            key::history(&closed_key, version),
            row.encode(),
        );
        self.zones.add(&closing.place, 0, 1, Heights::NONE);
        let block = self.block_of(&closing.place, closing.altitude_known)?;
        let touch = self.touches.entry(block).or_default();
        touch
            .leaves
            .push((closed_key, closing.assertion, closing_hash(hash)));
        self.closings.push(closing);
        Ok(())
    }

    pub(crate) fn put_head(&mut self, entity: &[u8], head: &Head) {
        self.batch.put(key::ENTITIES, entity, head.encode());
    }

    /// Makes the block versions, the commit hash and the remaining rows. `info` comes with its
    /// times and texts; the rest of it is filled in here.
    ///
    /// * `origins`: how the blocks that are new to the net enter it; they need not be touched.
    pub(crate) fn finish(
        mut self,
        blocks: &Blocks<'_>,
        mut info: CommitInfo,
        origins: BTreeMap<Block, Origin>,
    ) -> Result<Finished> {
        let with_leaves = |touch: &Touch| !touch.leaves.is_empty();
        let left: Vec<Block> = self
            .touches
            .iter()
            .filter(|(block, touch)| !with_leaves(touch) && !origins.contains_key(block))
            .map(|(block, _)| *block)
            .collect();
        for block in origins.keys() {
            self.touches.entry(*block).or_default();
        }
        let changes = std::mem::take(&mut self.touches)
            .into_iter()
            .map(|(block, mut touch)| {
                touch.leaves.sort_unstable();
                let leaves = touch.leaves.iter();
                let root = merkle_root(
                    leaves.map(|(record_key, _, hash)| version_leaf(record_key, *hash)),
                );
                let rows = touch.rows;
                (block, Change { root, rows })
            })
            .collect();
        let before = blocks;
        let Linked {
            blocks,
            created,
            registry_head,
        } = link(
            self.net,
            self.number,
            before,
            changes,
            origins,
            self.ledger.registry_head,
            &mut self.batch,
        )?;

        info.number = self.number;
        info.previous = self.ledger.hash;
        info.registry_head = registry_head;
        info.blocks_root = Body::blocks_root(&blocks);
        info.unplaced_root = Body::unplaced_root(&self.definitions, &self.headers, &self.hashes);
        info.assertions =
            u32::try_from(self.headers.len()).expect("limits keep commits below 2^32");
        info.hash = info.compute_hash(self.net);

        let body = Body {
            info,
            definitions: self.definitions,
            assertions: self.headers,
            closings: self.closings,
            blocks,
        };
        for (row_key, value) in commit_rows(&body, &left) {
            self.batch.put(key::COMMITS, row_key, value);
        }
        let info = &body.info;
        log::add(
            &mut self.batch,
            before.read,
            self.number,
            info.previous,
            info.hash,
        )?;
        let mut ledger = self.ledger.clone();
        self.zones
            .write(before.read, &mut ledger.levels, &mut self.batch)?;
        ledger.commit = self.number;
        ledger.hash = info.hash;
        ledger.written_max = ledger.written_max.max(info.written);
        ledger.blocks += created;
        ledger.registry_head = registry_head;
        let written: std::collections::BTreeSet<_> =
            body.assertions.iter().map(|header| header.layer).collect();
        for (id, mut layer) in self.layers {
            if written.contains(&id) {
                layer.recorded = info.recorded;
                layer.commit = self.number;
                let moment = key::moment(id, info.recorded, self.number);
                let bounds = Bounds::of_layer(&body, id);
                self.batch.put(key::MOMENTS, moment, bounds.encode());
            }
            self.batch.put(key::META, key::layer(id), layer.encode());
            ledger.layers.insert(id, layer);
        }
        put_meta(
            &mut self.batch,
            self.net,
            self.spec,
            self.number,
            &body.definitions,
        );
        self.batch.put(key::META, key::STATE, ledger.encode_state());
        Ok(Finished {
            body,
            batch: self.batch,
            ledger,
        })
    }
}

/// The rows of `meta` that follow from definitions, but those of layers, which have counts.
fn put_meta(
    batch: &mut Batch,
    net: &[u8; 16],
    spec: &NetSpec,
    number: u64,
    definitions: &[Definition],
) {
    let mut erases = false;
    for definition in definitions {
        match definition {
            Definition::Net(_) => batch.put(key::META, key::NET, encode_net(net, spec)),
            Definition::Erasure(_) => erases = true,
            Definition::Layer(..) => {}
        }
    }
    if erases {
        batch.put(key::META, key::erasing(number), Vec::new());
    }
}

/// Applies a commit read back from the journal: derives its rows and checks that every hash in it
/// is the one the rows give.
pub(crate) fn replay(
    spec: &NetSpec,
    net: &[u8; 16],
    ledger: &Ledger,
    read: &dyn Read,
    body: &Body,
    erasable: &[u8],
) -> Result<Finished> {
    let number = body.info.number;
    let broken = |what: &str| {
        Error::corrupt(format!(
            "journal: commit {number}: {what}; the frame is intact but does not fit the chain"
        ))
    };
    if number != ledger.commit + 1 || body.info.previous != ledger.hash {
        return Err(broken("it does not follow the commit before it"));
    }
    let mut rows = Rows::new(spec, net, number, ledger);
    for definition in &body.definitions {
        match definition {
            Definition::Erasure(version) => {
                if let Some(by) = rows.erase(read, *version)? {
                    return Err(broken(&format!(
                        "it erases version {version}, which says that commit {by} erased it"
                    )));
                }
            }
            other => rows.define(other.clone()),
        }
    }
    let mut rest = erasable;
    let mut closings = body.closings.iter().peekable();
    let mut first = 0;
    for group in body
        .assertions
        .chunk_by(|a, b| a.layer == b.layer && a.id == b.id)
    {
        let entity = key::entity(group[0].layer, &group[0].id);
        if !rows.layers.contains_key(&group[0].layer)
            && !ledger.layers.contains_key(&group[0].layer)
        {
            return Err(broken("it names a layer that does not exist"));
        }
        let mut scratch = MemLayer::new();
        let mut head = Path {
            read,
            spec,
            entity: &entity,
        }
        .head()?
        .unwrap_or(Head::NEW);
        for (index, header) in (first..).zip(group) {
            let len = SALT_LEN_BYTES + header.payload_len as usize;
            let (part, tail) = rest
                .split_at_checked(len)
                .ok_or_else(|| broken("a payload is missing"))?;
            rest = tail;
            let (salt, payload) = part
                .split_first_chunk::<SALT_LEN_BYTES>()
                .expect("cut to this length");
            if !is_accounted_for(salt, payload, header.commitment) {
                return Err(broken("a payload does not fit its commitment"));
            }
            if header.previous != head.hash || header.ordinal != head.versions + 1 {
                return Err(broken(
                    "a version does not follow the entity's version before it",
                ));
            }
            let mut closed = Vec::new();
            while let Some(closing) = closings.next_if(|closing| closing.assertion == index) {
                closed.push((closing.place, closing.altitude_known));
            }
            let stated = Stated {
                header: header.clone(),
                salt,
                payload,
                closings: &closed,
            };
            rows.put_version_over(&mut scratch, read, &entity, &mut head, stated)?;
        }
        first += u32::try_from(group.len()).expect("checked against the count in the body");
        rows.put_head(&entity, &head);
    }
    if closings.next().is_some() || !rest.is_empty() {
        return Err(broken("it has parts that belong to none of its assertions"));
    }
    let origins = body
        .blocks
        .iter()
        .filter_map(|touch| Some((touch.block, touch.created.clone()?)))
        .collect();
    let finished = rows.finish(&Blocks::new(read, spec), body.info.clone(), origins)?;
    if finished.body != *body {
        return Err(broken("its hashes are not those of its content"));
    }
    Ok(finished)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::golden;

    #[test]
    fn the_bounds_of_a_commit_have_these_bytes() {
        let bounds = Bounds {
            versions: 258,
            first: Moment::from_micros(-1),
            last: Moment::from_micros(2),
        };
        let bytes = golden("02010000 ffffffffffffffff 0200000000000000");
        assert_eq!(bounds.encode(), bytes);
        assert_eq!(Bounds::decode(&bytes), Ok(bounds));
        for cut in 0..bytes.len() {
            assert!(Bounds::decode(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        assert!(Bounds::decode(&[&bytes[..], &[0]].concat()).is_err());
    }
}
