//! Stored structures as fields.

#![warn(clippy::indexing_slicing)]

use blocknet_geocode::{Block, NetSpec};

use crate::block::{BlockVersion, Held, Origin};
use crate::body::{Body, CommitInfo, Definition};
use crate::codec::Decoder;
use crate::entity::{Head, Track};
use crate::hash::Hash;
use crate::layer::LayerDef;
use crate::ledger::{LayerState, Ledger};
use crate::record::{
    Extent, Header, Place, RowRef, SALT_LEN_BYTES, Version, erased_by, flag, is_payload_lost,
};
use crate::time::Interval;
use crate::zone::{Heights, Rows};

use super::{Fields, Value};

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<u16> for Value {
    fn from(number: u16) -> Self {
        Self::Number(number.into())
    }
}

impl From<u8> for Value {
    fn from(number: u8) -> Self {
        Self::Number(number.into())
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<crate::time::Moment> for Value {
    fn from(moment: crate::time::Moment) -> Self {
        Self::Moment(moment)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<Hash> for Value {
    fn from(hash: Hash) -> Self {
        Self::Hex(hash.0.to_vec())
    }
}

impl From<Block> for Value {
    fn from(block: Block) -> Self {
        Self::Text(block.to_string())
    }
}

impl From<Fields> for Value {
    fn from(fields: Fields) -> Self {
        Self::Map(fields)
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::None, Into::into)
    }
}

pub(super) fn hex(bytes: &[u8]) -> Value {
    Value::Hex(bytes.to_vec())
}

fn metres(value: f32) -> Value {
    if value.is_finite() {
        Value::Real(value.into())
    } else {
        Value::None
    }
}

/// A payload as text where it is one.
pub(super) fn payload(bytes: &[u8]) -> (&'static str, Value) {
    match std::str::from_utf8(bytes) {
        Ok(text) => ("payload", text.into()),
        Err(_) => ("payload_hex", hex(bytes)),
    }
}

fn flags(flags: u16) -> Value {
    const NAMES: [(u16, &str); 9] = [
        (flag::ABSENCE, "absence"),
        (flag::FROM_DAY, "from day"),
        (flag::TO_DAY, "to day"),
        (flag::FROM_IMPLIED, "from implied"),
        (flag::END_FOREVER, "forever"),
        (flag::END_EXPLICIT, "explicit end"),
        (flag::FLOOR_KNOWN, "floor known"),
        (flag::TOP_KNOWN, "top known"),
        (flag::LOST, "lost"),
    ];
    let set = NAMES.iter().filter(|(bit, _)| flags & bit != 0);
    let mut words: Vec<Value> = set.map(|(_, name)| (*name).into()).collect();
    if flags & !flag::ALL != 0 {
        words.push(Value::Text(format!("unknown {:#06x}", flags & !flag::ALL)));
    }
    Value::List(words)
}

/// A place where nothing says whether an altitude is known: one stored as 0 is taken for unknown.
pub(super) fn place_alone(spec: &NetSpec, place: &Place) -> Value {
    let altitude_known = place.geocode(spec, false).is_none();
    self::place(spec, place, altitude_known)
}

pub(super) fn place(spec: &NetSpec, place: &Place, altitude_known: bool) -> Value {
    if place.is_nowhere() {
        return "nowhere".into();
    }
    let mut fields: Fields = vec![("level", place.level().into())];
    match place.geocode(spec, altitude_known) {
        Some(geocode) => fields.extend([
            ("geocode", Value::Text(spec.format(&geocode))),
            ("block", spec.block(&geocode).into()),
        ]),
        None => fields.push((
            "stored_code",
            hex(place.as_bytes().get(1..).unwrap_or_default()),
        )),
    }
    Value::Map(fields)
}

fn extent(extent: &Extent) -> Value {
    Value::Map(vec![
        ("west", Value::Real(extent.west)),
        ("south", Value::Real(extent.south)),
        ("east", Value::Real(extent.east)),
        ("north", Value::Real(extent.north)),
        ("floor", extent.floor.map_or(Value::None, Value::Real)),
        ("top", extent.top.map_or(Value::None, Value::Real)),
    ])
}

fn interval(valid: Interval) -> [(&'static str, Value); 2] {
    [
        ("valid_from", valid.from.into()),
        ("valid_to", valid.to.into()),
    ]
}

pub(super) fn version(version: Version) -> Value {
    Value::Text(version.to_string())
}

pub(super) fn header(spec: &NetSpec, header: &Header) -> Fields {
    let mut fields: Fields = vec![
        ("layer", header.layer.0.into()),
        ("id", (*header.id).into()),
        ("ordinal", header.ordinal.into()),
        ("flags", flags(header.flags)),
        ("kind", header.kind.name().into()),
    ];
    fields.extend(interval(header.valid));
    fields.push(("place", place(spec, &header.place, header.altitude_known())));
    if let Some(own) = &header.extent {
        fields.push(("extent", extent(own)));
    }
    fields.extend([
        ("payload_len_bytes", header.payload_len.into()),
        (
            if header.is_lost() {
                "hash"
            } else {
                "commitment"
            },
            header.commitment.into(),
        ),
        ("previous", header.previous.into()),
    ]);
    for (name, text) in [
        ("author", &header.author),
        ("reason", &header.reason),
        ("source", &header.source),
    ] {
        if let Some(text) = text {
            fields.push((name, (**text).into()));
        }
    }
    fields
}

pub(super) fn commit_info(info: &CommitInfo) -> Fields {
    vec![
        ("number", info.number.into()),
        ("recorded", info.recorded.into()),
        ("basis", info.basis.name().into()),
        ("written", info.written.into()),
        ("author", info.author.as_str().into()),
        ("reason", info.reason.as_str().into()),
        ("source", info.source.as_str().into()),
        ("previous", info.previous.into()),
        ("blocks_root", info.blocks_root.into()),
        ("unplaced_root", info.unplaced_root.into()),
        ("registry_head", info.registry_head.into()),
        ("state_root", info.state_root.into()),
        ("state_commit", info.state_commit.into()),
        ("assertions", info.assertions.into()),
        ("hash", info.hash.into()),
    ]
}

pub(super) fn net_spec(spec: &NetSpec) -> Fields {
    vec![
        ("curve", Value::Text(spec.curve().to_string())),
        ("planar_digits", spec.planar_digits().into()),
        ("altitude_digits", spec.altitude_digits().into()),
        ("block_digits", spec.block_digits().into()),
        ("band_digits", spec.band_digits().into()),
        (
            "altitude_floor_mm",
            Value::Signed(spec.altitude_floor_millimetres()),
        ),
        ("altitude_step_mm", spec.altitude_step_millimetres().into()),
    ]
}

fn layer_def(def: &LayerDef) -> Fields {
    vec![
        ("kind", def.kind.name().into()),
        ("name", def.name.as_str().into()),
        ("source", def.source.as_str().into()),
        ("vertical_datum", def.vertical_datum.as_str().into()),
        ("time_zone", def.time_zone.as_str().into()),
        ("presence", def.presence.as_str().into()),
    ]
}

fn definition(definition: &Definition) -> Value {
    match definition {
        Definition::Net(spec) => {
            let mut fields: Fields = vec![("defines", "net".into())];
            fields.extend(net_spec(spec));
            Value::Map(fields)
        }
        Definition::Layer(id, def) => {
            let mut fields: Fields = vec![("defines", "layer".into()), ("layer", id.0.into())];
            fields.extend(layer_def(def));
            Value::Map(fields)
        }
        Definition::Erasure(erased) => Value::Map(vec![
            ("erases", "payload".into()),
            ("version", version(*erased)),
        ]),
    }
}

pub(super) fn origin(origin: &Origin) -> Value {
    let links = origin.links.iter().map(|link| {
        let direction = if link.from_neighbour { "from" } else { "to" };
        Value::Map(vec![
            ("link", direction.into()),
            ("block", link.block.into()),
        ])
    });
    Value::Map(vec![
        ("round", origin.round.into()),
        ("source", origin.source.into()),
        ("links", Value::List(links.collect())),
    ])
}

/// Salts and payloads of a commit.
pub(super) enum Payloads<'a> {
    /// Not to be shown, or not to be had.
    Hidden,
    Shown(&'a [u8]),
}

/// A body, with the erasable section taken apart.
pub(super) fn body(spec: &NetSpec, body: &Body, payloads: &Payloads<'_>) -> Fields {
    let mut fields = commit_info(&body.info);
    if !body.definitions.is_empty() {
        let definitions = body.definitions.iter().map(definition).collect();
        fields.push(("definitions", Value::List(definitions)));
    }
    let mut section = match payloads {
        Payloads::Hidden => None,
        Payloads::Shown(section) => Some(Decoder(section)),
    };
    let mut undecoded = None;
    let mut versions = Vec::with_capacity(body.assertions.len());
    for (index, own) in (0_u32..).zip(&body.assertions) {
        let mut version: Fields = vec![("index", index.into())];
        version.extend(header(spec, own));
        let part = section.as_mut().map(|section| {
            let salt = section.array::<SALT_LEN_BYTES>()?;
            Ok((salt, section.raw(own.payload_len as usize)?))
        });
        match part {
            Some(Ok((salt, bytes))) => version.extend(salt_and_payload(&salt, bytes)),
            Some(Err(fault)) => {
                let fault: crate::error::Fault = fault;
                undecoded.get_or_insert_with(|| format!("payload of version {index}: {fault}"));
                section = None;
            }
            None => {}
        }
        versions.push(Value::Map(version));
    }
    if let Some(Err(fault)) = section.map(Decoder::finish) {
        undecoded.get_or_insert_with(|| format!("after the payloads: {fault}"));
    }
    if !versions.is_empty() {
        fields.push(("versions", Value::List(versions)));
    }
    if !body.closings.is_empty() {
        let closings = body.closings.iter().map(|closing| {
            Value::Map(vec![
                ("index", closing.assertion.into()),
                ("altitude_known", closing.altitude_known.into()),
                ("place", place(spec, &closing.place, closing.altitude_known)),
            ])
        });
        fields.push(("closings", Value::List(closings.collect())));
    }
    if !body.blocks.is_empty() {
        let blocks = body.blocks.iter().map(|touch| {
            let mut block: Fields = vec![
                ("block", touch.block.into()),
                ("hash", touch.hash.into()),
                ("rows", touch.rows.into()),
            ];
            if let Some(created) = &touch.created {
                block.push(("origin", origin(created)));
            }
            Value::Map(block)
        });
        fields.push(("blocks", Value::List(blocks.collect())));
    }
    if let Some(undecoded) = undecoded {
        fields.push(("undecoded", Value::Text(undecoded)));
    }
    fields
}

fn salt_and_payload(salt: &[u8; SALT_LEN_BYTES], bytes: &[u8]) -> Fields {
    match erased_by(salt, bytes) {
        Some(by) => vec![("erased_by", by.into())],
        None if is_payload_lost(salt, bytes) => vec![("payload_lost", true.into())],
        None => vec![("salt", hex(salt)), payload(bytes)],
    }
}

/// A version's row.
pub(super) fn version_row(
    spec: &NetSpec,
    row: &RowRef<'_>,
    own: &Header,
    payloads: bool,
) -> Fields {
    let mut fields: Fields = vec![
        ("form", "version".into()),
        ("version", version(row.version)),
    ];
    fields.extend(header(spec, own));
    if payloads || row.erased_by().is_some() || row.is_payload_lost() {
        fields.extend(salt_and_payload(&row.salt, row.payload));
    }
    fields
}

pub(super) fn closing_row(spec: &NetSpec, closing: &crate::record::Closing) -> Fields {
    let mut fields: Fields = vec![("form", "closing".into())];
    fields.extend(interval(closing.valid));
    fields.push(("moved_to", place_alone(spec, &closing.moved_to)));
    fields
}

pub(super) fn head(spec: &NetSpec, head: &Head) -> Fields {
    let mut fields: Fields = vec![
        ("versions", head.versions.into()),
        ("newest", version(head.newest)),
        ("hash", head.hash.into()),
        ("greatest_valid_from", head.from_max.into()),
    ];
    if let Some(last) = &head.last {
        fields.extend([
            ("last", version(last.version)),
            ("sole_from", last.sole_from.into()),
            ("to", last.to.into()),
            ("place", place_alone(spec, &last.place)),
        ]);
    }
    fields
}

pub(super) fn track(spec: &NetSpec, track: &Track) -> Fields {
    let mut fields: Fields = vec![("version", version(track.version))];
    fields.extend(interval(track.valid));
    fields.extend([
        ("flags", flags(track.flags)),
        ("hull_least_valid_from", track.hull.from_min.into()),
        ("hull_greatest_valid_from", track.hull.from_max.into()),
        ("hull_greatest_valid_to", track.hull.to_max.into()),
        ("place", place(spec, &track.place, track.altitude_known())),
    ]);
    fields
}

pub(super) fn block_version(version: &BlockVersion) -> Fields {
    let mut fields: Fields = vec![
        ("hash", version.hash.into()),
        ("previous", version.previous.into()),
        ("root", version.root.into()),
        ("rows", version.rows.into()),
        ("round", version.round.into()),
        ("created", version.created.into()),
    ];
    if let Some(own) = &version.origin {
        fields.push(("origin", origin(own)));
    }
    let genes = version.genes.iter().map(|gene| {
        Value::Map(vec![
            ("block", gene.block.into()),
            ("commit", gene.commit.into()),
            ("hash", gene.hash.into()),
        ])
    });
    fields.push(("genes", Value::List(genes.collect())));
    fields.push(("registry_head", version.registry_head.into()));
    fields
}

pub(super) fn held(held: &Held) -> Fields {
    vec![("commit", held.commit.into()), ("hash", held.hash.into())]
}

pub(super) fn zone(rows: Rows, heights: &Heights) -> Fields {
    vec![
        ("live", rows.live.into()),
        ("past", rows.past.into()),
        ("without_altitude", heights.unknown.into()),
        ("with_one_altitude", heights.partial.into()),
        ("floor", metres(heights.floor)),
        ("top", metres(heights.top)),
        ("height", metres(heights.height)),
    ]
}

pub(super) fn state(ledger: &Ledger) -> Fields {
    let levels = ledger.levels.iter().map(|(level, rows)| {
        Value::Map(vec![
            ("level", (*level).into()),
            ("live", rows.live.into()),
            ("past", rows.past.into()),
        ])
    });
    vec![
        ("commit", ledger.commit.into()),
        ("hash", ledger.hash.into()),
        ("written_max", ledger.written_max.into()),
        ("blocks", ledger.blocks.into()),
        ("registry_head", ledger.registry_head.into()),
        ("levels", Value::List(levels.collect())),
    ]
}

pub(super) fn layer_state(state: &LayerState) -> Fields {
    let mut fields: Fields = vec![
        ("recorded", state.recorded.into()),
        ("commit", state.commit.into()),
        ("entities", state.entities.into()),
        ("versions", state.versions.into()),
        ("live", state.live.into()),
        ("payload_bytes", state.payload_bytes.into()),
        ("watermark", state.watermark.into()),
    ];
    fields.extend(layer_def(&state.def));
    fields
}
