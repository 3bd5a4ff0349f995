//! The inside of the engine for the targets in `fuzz/`: every decoder that is private, and views of
//! tables that hold anything. Exists only under `cfg(fuzzing)`; no part of the interface.
//!
//! Each check decodes hostile bytes. What it accepts has to encode to the same bytes: decoders refuse
//! what is never written, so everything has one form.

use std::sync::OnceLock;

use blocknet_geocode::{Cell, NetSpec};
use blocknet_kv::{Batch, KeyRange, MemStore, Store, Table};

use crate::apply::Bounds;
use crate::block::{BlockVersion, Held};
use crate::body::{Body, CommitInfo};
use crate::codec::{Decoder, Encoder};
use crate::costs::Costs;
use crate::entity::{Head, Track};
use crate::error::Result;
use crate::key;
use crate::layer::{LayerDef, LayerId};
use crate::ledger::Ledger;
use crate::record::{self, Header, Peeked, Place, RowRef};
use crate::time::Moment;
use crate::touched::Touched;
use crate::view::{AsOf, View};
use crate::zone;

/// A commit body; `spec` is the net's, `None` for the body of commit 1.
///
/// # Panics
/// If it is accepted and has another form.
pub fn body(bytes: &[u8], spec: Option<&NetSpec>) {
    if let Ok(body) = Body::decode(bytes, spec) {
        assert_eq!(body.encode(), bytes, "one form");
    }
}

/// A commit header: a row of `commits`.
///
/// # Panics
/// If it is accepted and has another form.
pub fn commit_header(bytes: &[u8]) {
    let mut input = Decoder(bytes);
    if let Ok(info) = CommitInfo::decode(&mut input) {
        let mut out = Encoder::default();
        info.encode(&mut out);
        assert_eq!(out.0, bytes[..bytes.len() - input.0.len()], "one form");
    }
}

/// The header of a version.
///
/// # Panics
/// If it is accepted and has another form.
pub fn header(bytes: &[u8], spec: &NetSpec) {
    let mut input = Decoder(bytes);
    let Ok(header) = Header::decode(&mut input, spec) else {
        return;
    };
    let mut out = Encoder::default();
    header.encode(&mut out);
    assert_eq!(out.0, bytes[..bytes.len() - input.0.len()], "one form");
    // An accepted place may still be none of the net's: then it has no geocode, and that is all.
    if let Some(geocode) = header.place.geocode(spec, header.altitude_known())
        && !header.place.is_nowhere()
    {
        let stored = spec.stored(&geocode, header.place.level());
        assert_eq!(stored.as_ref(), &header.place.as_bytes()[1..], "one form");
    }
}

/// A row of `records` or `history`.
///
/// # Panics
/// If it is accepted and has another form, or what a scan peeks at is not what the header says.
pub fn row(bytes: &[u8], spec: &NetSpec) {
    match Peeked::decode(bytes, spec) {
        Ok(Peeked::Closing(closing)) => assert_eq!(closing.encode(), bytes, "one form"),
        Ok(Peeked::Version(row, valid)) => version_row(bytes, spec, &row, valid),
        Err(_) => {}
    }
}

fn version_row(bytes: &[u8], spec: &NetSpec, row: &RowRef<'_>, valid: crate::Interval) {
    let again = record::encode_row(row.version, row.header, &row.salt, row.payload);
    assert_eq!(again, bytes, "one form");
    let Ok(header) = row.header(spec) else {
        return;
    };
    let mut out = Encoder::default();
    header.encode(&mut out);
    assert_eq!(out.0, row.header, "one form");
    assert_eq!(header.valid, valid);
    assert_eq!(row.peek().map(|(_, flags)| flags), Ok(header.flags));
    let place = Peeked::Version(*row, valid).extent(spec);
    assert_eq!(place, Ok(header.extent));
}

/// A row of `entities`.
///
/// # Panics
/// If it is accepted and has another form.
pub fn head(bytes: &[u8], spec: &NetSpec) {
    if let Ok(head) = Head::decode(bytes, spec) {
        assert_eq!(head.encode(), bytes, "one form");
    }
}

/// A row of `tracks`.
///
/// # Panics
/// If it is accepted and has another form.
pub fn track(bytes: &[u8], spec: &NetSpec) {
    if let Ok(track) = Track::decode(7, bytes, spec) {
        assert_eq!(track.encode(), bytes, "one form");
    }
}

/// A row of `blocks`, under the key of a commit.
///
/// # Panics
/// If it is accepted and has another form.
pub fn block_version(bytes: &[u8], commit: u64, spec: &NetSpec) {
    if let Ok(version) = BlockVersion::decode(commit, spec, bytes) {
        assert_eq!(version.encode(), bytes, "one form");
    }
}

/// A row of `links` or `edges`.
///
/// # Panics
/// If it is accepted and has another form.
pub fn held(bytes: &[u8]) {
    if let Ok(held) = Held::decode(bytes) {
        assert_eq!(held.encode(), bytes, "one form");
    }
}

/// A row of `moments`.
///
/// # Panics
/// If it is accepted and has another form.
pub fn bounds(bytes: &[u8]) {
    if let Ok(bounds) = Bounds::decode(bytes) {
        assert_eq!(bounds.encode(), bytes, "one form");
    }
}

/// The definition of a layer.
///
/// # Panics
/// If it is accepted and has another form.
pub fn layer_definition(bytes: &[u8]) {
    let mut input = Decoder(bytes);
    if let Ok(def) = LayerDef::decode(&mut input) {
        let mut out = Encoder::default();
        def.encode(&mut out);
        assert_eq!(out.0, bytes[..bytes.len() - input.0.len()], "one form");
    }
}

fn store(rows: &[(Table, Vec<u8>, &[u8])]) -> MemStore {
    let store = MemStore::new(key::SCHEMA);
    let mut batch = Batch::new();
    for (table, row_key, value) in rows {
        batch.put(*table, row_key.clone(), value.to_vec());
    }
    store.apply(&batch).expect("memory takes every row");
    store
}

/// The row `state` of `meta`.
///
/// # Panics
/// If it is accepted and has another form.
pub fn state(bytes: &[u8]) {
    let store = store(&[(key::META, key::STATE.to_vec(), bytes)]);
    if let Ok(ledger) = Ledger::load(&store) {
        let ledger = ledger.expect("the row is there");
        assert_eq!(ledger.encode_state(), bytes, "one form");
    }
}

/// A row `layer` of `meta`.
///
/// # Panics
/// If it is accepted and has another form.
pub fn layer(bytes: &[u8]) {
    let state = Ledger::new().encode_state();
    let store = store(&[
        (key::META, key::STATE.to_vec(), &state),
        (key::META, key::layer(LayerId(5)), bytes),
    ]);
    if let Ok(ledger) = Ledger::load(&store) {
        let ledger = ledger.expect("the row is there");
        let layer = ledger.layer(LayerId(5)).expect("the row is there");
        assert_eq!(layer.encode(), bytes, "one form");
    }
}

/// A row of `zones` under level 2, and the bytes of its cell.
///
/// # Panics
/// If it is accepted and has another form.
pub fn zone(cell: &[u8], bytes: &[u8]) {
    let mut row_key = vec![2, 2];
    row_key.extend_from_slice(cell);
    let store = store(&[(key::ZONES, row_key, bytes)]);
    let last = Cell::ROOT.child(15).and_then(|cell| cell.child(15));
    let first = Cell::ROOT.child(0).and_then(|cell| cell.child(0));
    let cells = (&first.expect("two digits"), &last.expect("two digits"));
    let Ok(zones) = zone::ZoneReader::new(&store).zones(2, 2, cells, usize::MAX) else {
        return;
    };
    for zone in zones {
        assert_eq!(zone.cell.to_packed().as_ref(), cell);
        assert!(zone::agrees(bytes, zone.rows, &zone.heights));
        let heights = zone.heights;
        let flags = u8::from(heights.unknown) | u8::from(heights.partial) << 1;
        let mut out = Encoder::default();
        out.u64(zone.rows.live).u64(zone.rows.past).u8(flags);
        for metres in [heights.floor, heights.top, heights.height] {
            out.raw(&metres.to_le_bytes());
        }
        assert_eq!(out.0, bytes, "one form");
    }
}

/// The list of what a commit touched.
///
/// # Panics
/// If the list has more keys than bytes.
pub fn touched(bytes: &[u8], spec: &NetSpec) {
    let (front, back) = bytes.split_at(bytes.len() / 2);
    let store = store(&[
        (key::COMMITS, key::commit(3, 1), front),
        (key::COMMITS, key::commit(3, 2), back),
    ]);
    if let Ok(touched) = Touched::load(&store, spec, 3) {
        assert!(touched.keys().count() <= bytes.len() / 3);
    }
}

/// The row `net` of `meta`.
///
/// # Panics
/// If it is accepted and has another form.
pub fn net(bytes: &[u8]) {
    if let Ok((id, spec)) = crate::apply::decode_net(bytes) {
        assert_eq!(crate::apply::encode_net(&id, &spec), bytes, "one form");
    }
}

/// Bytes as a key of every table whose keys are read.
///
/// # Panics
/// If a key is accepted and has another form.
pub fn keys(bytes: &[u8], spec: &NetSpec) {
    if let Ok((layer, id)) = key::parse_entity(bytes) {
        assert_eq!(key::entity(layer, &id), bytes, "one form");
    }
    if let Ok((record, version)) = key::split_history(bytes) {
        assert_eq!(key::history(record, version), bytes, "one form");
    }
    if let Ok((successor, predecessor)) = key::split_link(spec, bytes) {
        assert_eq!(key::link(&successor, &predecessor), bytes, "one form");
    }
    if let Ok(block) = key::parse_edge(spec, bytes) {
        assert_eq!(block.to_packed().as_ref(), bytes, "one form");
    }
    if let Ok((recorded, commit)) = key::parse_moment(bytes) {
        let layer = LayerId(u16::from_be_bytes([bytes[0], bytes[1]]));
        assert_eq!(key::moment(layer, recorded, commit), bytes, "one form");
        assert!(key::moments_until(layer, recorded).contains(bytes));
    }
    if let Ok(place) = Place::of_key(bytes, spec) {
        assert!(bytes.starts_with(place.as_bytes()));
        for known in [false, true] {
            if let Some(geocode) = place.geocode(spec, known) {
                let block = spec.block(&geocode);
                assert_eq!(spec.parse_block(&block.to_string()), Ok(block));
            }
        }
    }
    if let Ok(id) = std::str::from_utf8(bytes) {
        let entity = key::entity(LayerId::MAIN, id);
        assert_eq!(
            key::parse_entity(&entity),
            Ok((LayerId::MAIN, id.to_owned()))
        );
    }
}

/// Every row of the tables that a view reads: the number of the table, key and value.
///
/// # Errors
/// Those of reading.
pub fn rows(view: &View<'_>) -> Result<Vec<(u8, Vec<u8>, Vec<u8>)>> {
    let mut rows = Vec::new();
    for (number, _) in (0..).zip(key::SCHEMA) {
        let mut cursor = view.read().cursor(Table(number), &KeyRange::all())?;
        while let Some((row_key, value)) = cursor.entry() {
            rows.push((number, row_key.to_vec(), value.to_vec()));
            cursor.advance()?;
        }
    }
    Ok(rows)
}

/// Hands a view of tables with these rows to `look`.
///
/// # Errors
/// Those of opening the view.
pub fn with_view(
    spec: &NetSpec,
    rows: &[(u8, Vec<u8>, Vec<u8>)],
    (as_of, valid): (AsOf, Moment),
    look: impl FnOnce(&View<'_>),
) -> Result<()> {
    let store = MemStore::new(key::SCHEMA);
    let mut batch = Batch::new();
    for (table, row_key, value) in rows {
        batch.put(Table(*table), row_key.clone(), value.clone());
    }
    store.apply(&batch)?;
    let costs = OnceLock::from(Costs::default());
    let view = View::new(Box::new(store), spec, as_of, valid, &costs)?;
    look(&view);
    Ok(())
}
