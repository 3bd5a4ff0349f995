//! The tables, row by row.

#![warn(clippy::indexing_slicing)]

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use blocknet_geocode::{Cell, NetSpec};
use blocknet_kv::{KeyRange, Read, Table};
use blocknet_wal::{Env, Survey};

use crate::apply::{Bounds, decode_net};
use crate::block::{BlockVersion, Held};
use crate::body::CommitInfo;
use crate::codec::Decoder;
use crate::entity::{Head, Track};
use crate::error::{Error, Fault, Result};
use crate::key;
use crate::ledger::{LayerState, Ledger};
use crate::log;
use crate::open::{JOURNAL_DIR, NetBuilder, TABLES_DIR};
use crate::record::{Peeked, Place, Version};
use crate::touched;
use crate::verify::{Gap, TablesFound, each_row};
use crate::zone;

use super::fields::{self, hex, place, place_alone};
use super::journal::spec_in_journal;
use super::{Entry, Fields, OnEntry, TableSelection, Value};

pub(super) fn dump(
    builder: &NetBuilder,
    env: &Arc<dyn Env>,
    dir: &Path,
    table: Table,
    selection: &TableSelection,
    on_entry: &mut OnEntry<'_>,
) -> Result<()> {
    let read = match builder.target(dir)?.tables {
        TablesFound::Open(read) | TablesFound::Replayed(read, _) => read,
        TablesFound::Unusable(why) => {
            let message = format!("the tables cannot be opened: {why}");
            return Err(Error::corrupt(message).at(dir.join(TABLES_DIR)));
        }
    };
    let spec = match spec_in_tables(&*read)? {
        Some(spec) => Some(spec),
        None => Survey::new(Arc::clone(env), &dir.join(JOURNAL_DIR))
            .ok()
            .and_then(|survey| spec_in_journal(&survey)),
    };
    let range = if selection.prefix.is_empty() {
        KeyRange::all()
    } else {
        KeyRange::prefix(&selection.prefix)
    };
    // Rows and gaps come through two closures, which share what takes them.
    let output = RefCell::new(Output {
        on_entry,
        left: selection.limit.unwrap_or(u64::MAX),
        stopped: selection.limit == Some(0),
    });
    let mut rows = Rows {
        read: &*read,
        spec,
        table,
        selection,
        list: List::default(),
    };
    if output.borrow().stopped {
        return Ok(());
    }
    let result = each_row(
        &*read,
        table,
        &range,
        &mut |row_key, value| {
            let mut output = output.borrow_mut();
            if !output.stopped {
                output.row(rows.entry(row_key, value)?);
            }
            if output.stopped {
                return Err(Error::invalid("no more rows are wanted"));
            }
            Ok(())
        },
        &mut |gap| output.borrow_mut().gap(table, gap),
    );
    if output.borrow().stopped {
        return Ok(());
    }
    result
}

/// The net's spec as the tables have it.
pub(super) fn spec_in_tables(read: &dyn Read) -> Result<Option<NetSpec>> {
    match read.get(key::META, key::NET) {
        Ok(row) => Ok(row.and_then(|row| Some(decode_net(&row).ok()?.1))),
        Err(error) if error.kind() == blocknet_kv::ErrorKind::Io => Err(error.into()),
        Err(_) => Ok(None),
    }
}

struct Output<'a, 'e> {
    on_entry: &'a mut OnEntry<'e>,
    /// Rows that may still be shown.
    left: u64,
    stopped: bool,
}

impl Output<'_, '_> {
    fn row(&mut self, entry: Entry) {
        self.left -= 1;
        self.stopped = (self.on_entry)(entry).is_break() || self.left == 0;
    }

    fn gap(&mut self, table: Table, gap: Gap) {
        if self.stopped {
            return;
        }
        let mut entry = Entry::new("unreadable stretch");
        entry.table = Some(key::table_name(table));
        entry.fields = vec![
            ("after_key", gap.after.map_or(Value::None, Value::Hex)),
            ("until_key", gap.until.map_or(Value::None, Value::Hex)),
            ("fault", Value::Text(gap.error)),
        ];
        self.stopped = (self.on_entry)(entry) == ControlFlow::Break(());
    }
}

/// What a row of `commits` leaves for the next: an item that goes on there.
#[derive(Default)]
struct List {
    /// Commit and chunk that continue it.
    next: Option<(u64, u32)>,
    carried: Vec<u8>,
}

struct Rows<'a> {
    read: &'a dyn Read,
    spec: Option<NetSpec>,
    table: Table,
    selection: &'a TableSelection,
    list: List,
}

/// Fields of a key, and of a value if it can be decoded.
type Decoded = (Fields, Result<Fields, Fault>);

impl Rows<'_> {
    fn entry(&mut self, row_key: &[u8], value: &[u8]) -> Result<Entry> {
        let mut entry = Entry::new("row");
        entry.table = Some(key::table_name(self.table));
        entry.key = Some(row_key.to_vec());
        entry.len_bytes = Some(value.len() as u64);
        let undecoded = |entry: &mut Entry, why: String| {
            entry.kind = "undecoded row";
            entry.fields.push(("undecoded", Value::Text(why)));
            entry.fields.push(("value", hex(value)));
        };
        let decoded = match self.table {
            key::COMMITS => self.commit(row_key, value)?,
            _ => match self.spec {
                Some(spec) => self.decode(&spec, row_key, value),
                None if self.table == key::META => meta(row_key, value),
                None => {
                    let why = "no copy of the net's spec can be read".to_owned();
                    undecoded(&mut entry, why);
                    return Ok(entry);
                }
            },
        };
        match decoded {
            Ok((key_fields, value_fields)) => {
                entry.fields.push(("key", Value::Map(key_fields)));
                match value_fields {
                    Ok(fields) => {
                        entry.fields.push(("value", Value::Map(fields)));
                        if self.selection.bytes {
                            entry.fields.push(("bytes", hex(value)));
                        }
                    }
                    Err(fault) => undecoded(&mut entry, fault.to_string()),
                }
            }
            Err(fault) => undecoded(&mut entry, format!("key: {fault}")),
        }
        Ok(entry)
    }

    fn decode(&self, spec: &NetSpec, row_key: &[u8], value: &[u8]) -> Result<Decoded, Fault> {
        match self.table {
            key::RECORDS => self.version(spec, row_key, None, value),
            key::HISTORY => {
                let (record_key, version) = key::split_history(row_key)?;
                self.version(spec, record_key, Some(version), value)
            }
            key::ENTITIES => {
                let value = Head::decode(value, spec).map(|head| fields::head(spec, &head));
                Ok((entity(row_key)?, value))
            }
            key::TRACKS => {
                let (entity_key, ordinal) = split_last(row_key)?;
                let ordinal = !u64::from_be_bytes(ordinal);
                let mut key_fields = entity(entity_key)?;
                key_fields.push(("ordinal", ordinal.into()));
                let track = Track::decode(ordinal, value, spec);
                Ok((key_fields, track.map(|track| fields::track(spec, &track))))
            }
            key::BLOCKS => {
                let (packed, commit) = split_last(row_key)?;
                let commit = !u64::from_be_bytes(commit);
                let block = key::parse_edge(spec, packed)?;
                let version = BlockVersion::decode(commit, spec, value);
                let key_fields = vec![("block", block.into()), ("commit", commit.into())];
                Ok((
                    key_fields,
                    version.map(|version| fields::block_version(&version)),
                ))
            }
            key::LINKS => {
                let (successor, predecessor) = key::split_link(spec, row_key)?;
                let key_fields = vec![
                    ("successor", successor.into()),
                    ("predecessor", predecessor.into()),
                ];
                Ok((
                    key_fields,
                    Held::decode(value).map(|held| fields::held(&held)),
                ))
            }
            key::EDGES => {
                let block = key::parse_edge(spec, row_key)?;
                let value = Held::decode(value).map(|held| fields::held(&held));
                Ok((vec![("block", block.into())], value))
            }
            key::ZONES => {
                let wrong = Fault::Value {
                    what: "key of a zone",
                };
                let (&[level, depth], packed) = row_key.split_first_chunk().ok_or(wrong)?;
                let cell = Cell::from_packed(packed, depth).map_err(|_| wrong)?;
                let key_fields = vec![
                    ("level", level.into()),
                    ("depth", depth.into()),
                    ("cell", Value::Text(spec.format_cell(&cell))),
                ];
                let value = zone::decode(value);
                Ok((
                    key_fields,
                    value.map(|(rows, heights)| fields::zone(rows, &heights)),
                ))
            }
            key::MOMENTS => {
                let (recorded, commit) = key::parse_moment(row_key)?;
                let layer = row_key
                    .first_chunk()
                    .map(|layer| u16::from_be_bytes(*layer));
                let key_fields = vec![
                    ("layer", layer.into()),
                    ("recorded", recorded.into()),
                    ("commit", commit.into()),
                ];
                let value = Bounds::decode(value).map(|bounds| {
                    vec![
                        ("versions", bounds.versions.into()),
                        ("first", bounds.first.into()),
                        ("last", bounds.last.into()),
                    ]
                });
                Ok((key_fields, value))
            }
            key::LOG => {
                let wrong = Fault::Value {
                    what: "key of the log",
                };
                let number = u64::from_be_bytes(row_key.try_into().map_err(|_| wrong)?);
                let value = log::decode(number, value).map(|hashes| {
                    let hashes = hashes.iter().map(|hash| hex(hash)).collect();
                    vec![("nodes", Value::List(hashes))]
                });
                Ok((vec![("commit", number.into())], value))
            }
            _ => meta(row_key, value),
        }
    }

    /// A row of `records` or `history`.
    fn version(
        &self,
        spec: &NetSpec,
        record_key: &[u8],
        version: Option<Version>,
        value: &[u8],
    ) -> Result<Decoded, Fault> {
        let at = Place::of_key(record_key, spec)?;
        let mut altitude_known = None;
        let value = match Peeked::decode(value, spec) {
            Ok(Peeked::Version(row, _)) => row.header(spec).map(|header| {
                altitude_known = Some(header.altitude_known());
                fields::version_row(spec, &row, &header, self.selection.payloads)
            }),
            Ok(Peeked::Closing(closing)) => Ok(fields::closing_row(spec, &closing)),
            Err(fault) => Err(fault),
        };
        let at_place = match altitude_known {
            Some(altitude_known) => place(spec, &at, altitude_known),
            None => place_alone(spec, &at),
        };
        let mut key_fields = vec![("place", at_place)];
        key_fields.extend(entity(
            record_key.get(at.as_bytes().len()..).unwrap_or_default(),
        )?);
        if let Some(version) = version {
            key_fields.push(("version", Value::Text(version.to_string())));
        }
        Ok((key_fields, value))
    }

    /// A row of `commits`: a header, or a part of the list of what a commit touched.
    ///
    /// # Errors
    /// Only when the operating system fails.
    fn commit(&mut self, row_key: &[u8], value: &[u8]) -> Result<Result<Decoded, Fault>> {
        let mut input = Decoder(row_key);
        let numbers = input.array::<8>().and_then(|commit| {
            let chunk = input.array::<4>()?;
            input.finish()?;
            Ok((u64::from_be_bytes(commit), u32::from_be_bytes(chunk)))
        });
        let (commit, chunk) = match numbers {
            Ok(numbers) => numbers,
            Err(fault) => return Ok(Err(fault)),
        };
        let key_fields: Fields = vec![("commit", commit.into()), ("chunk", chunk.into())];
        if chunk == 0 {
            let mut input = Decoder(value);
            let info = CommitInfo::decode(&mut input).and_then(|info| {
                input.finish()?;
                Ok(fields::commit_info(&info))
            });
            return Ok(Ok((key_fields, info)));
        }
        let carried = self.carried(commit, chunk)?;
        let value = carried.and_then(|carried| self.list(commit, chunk, carried, value));
        Ok(Ok((key_fields, value)))
    }

    /// The beginning of the item that goes on in this chunk.
    fn carried(&mut self, commit: u64, chunk: u32) -> Result<Result<Vec<u8>, Fault>> {
        if chunk == 1 {
            return Ok(Ok(Vec::new()));
        }
        if self.list.next == Some((commit, chunk)) {
            return Ok(Ok(std::mem::take(&mut self.list.carried)));
        }
        // The chunks before are not among those shown, or could not be read.
        let mut carried = Vec::new();
        for before in 1..chunk {
            let bytes = match self.read.get(self.table, &key::commit(commit, before)) {
                Ok(Some(bytes)) => bytes,
                Err(error) if error.kind() == blocknet_kv::ErrorKind::Io => {
                    return Err(error.into());
                }
                Ok(None) | Err(_) => {
                    let what = "list that begins in a row that is not there";
                    return Ok(Err(Fault::Value { what }));
                }
            };
            carried.extend_from_slice(&bytes);
            let mut input = Decoder(&carried);
            if let Err(fault) = items(&mut input, self.spec.as_ref(), &mut Vec::new()) {
                return Ok(Err(fault));
            }
            let left = input.0.len();
            carried.drain(..carried.len() - left);
        }
        Ok(Ok(carried))
    }

    fn list(
        &mut self,
        commit: u64,
        chunk: u32,
        mut bytes: Vec<u8>,
        value: &[u8],
    ) -> Result<Fields, Fault> {
        self.list = List::default();
        bytes.extend_from_slice(value);
        let mut input = Decoder(&bytes);
        let mut found = Vec::new();
        items(&mut input, self.spec.as_ref(), &mut found)?;
        let mut fields: Fields = vec![("touched", Value::List(found))];
        if !input.0.is_empty() {
            let next = (commit, chunk.saturating_add(1));
            let goes_on = self.read.get(self.table, &key::commit(next.0, next.1));
            if matches!(goes_on, Ok(None)) {
                return Err(Fault::Value {
                    what: "end of the list",
                });
            }
            fields.push(("goes_on_in_chunk", next.1.into()));
            self.list = List {
                next: Some(next),
                carried: input.0.to_vec(),
            };
        }
        Ok(fields)
    }
}

/// Takes all whole items of what a commit touched; what is left begins with one that is not whole.
fn items(
    input: &mut Decoder<'_>,
    spec: Option<&NetSpec>,
    found: &mut Vec<Value>,
) -> Result<(), Fault> {
    while !input.0.is_empty() {
        let mut ahead = *input;
        match item(&mut ahead, spec) {
            Ok(item) => found.push(Value::Map(item)),
            Err(Fault::Truncated { .. }) => return Ok(()),
            Err(fault) => return Err(fault),
        }
        *input = ahead;
    }
    Ok(())
}

fn item(input: &mut Decoder<'_>, spec: Option<&NetSpec>) -> Result<Fields, Fault> {
    let kind = input.u8()?;
    let mut fields: Fields = match kind {
        touched::VERSION => vec![("item", "version".into())],
        touched::CLOSING | touched::CLOSING_WITH_ALTITUDE => vec![
            ("item", "closing".into()),
            ("index", input.u32()?.into()),
            (
                "altitude_known",
                (kind == touched::CLOSING_WITH_ALTITUDE).into(),
            ),
        ],
        touched::CREATED => vec![("item", "created".into())],
        touched::LEFT => vec![("item", "left".into())],
        touched::NET => return Ok(vec![("item", "net defined".into())]),
        touched::ERASED => {
            let version = Version {
                commit: input.u64()?,
                index: input.u32()?,
            };
            let item = ("item", "payload erased".into());
            return Ok(vec![item, ("version", fields::version(version))]);
        }
        touched::LAYER => {
            let layer = input.u16()?.into();
            return Ok(vec![("item", "layer defined".into()), ("layer", layer)]);
        }
        _ => {
            return Err(Fault::Value {
                what: "kind of row touched",
            });
        }
    };
    let bytes = input.short()?;
    let Some(spec) = spec else {
        fields.push(("bytes", hex(bytes)));
        return Ok(fields);
    };
    if matches!(kind, touched::CREATED | touched::LEFT) {
        fields.push(("block", key::parse_edge(spec, bytes)?.into()));
        return Ok(fields);
    }
    // Not to be taken for an item that goes on in the next row.
    let wrong = |_| Fault::Value { what: "record key" };
    let at = Place::of_key(bytes, spec).map_err(wrong)?;
    let at_place = match kind {
        touched::VERSION => place_alone(spec, &at),
        _ => place(spec, &at, kind == touched::CLOSING_WITH_ALTITUDE),
    };
    fields.push(("place", at_place));
    let entity_key = bytes.get(at.as_bytes().len()..).unwrap_or_default();
    fields.extend(entity(entity_key).map_err(wrong)?);
    Ok(fields)
}

fn entity(entity_key: &[u8]) -> Result<Fields, Fault> {
    let (layer, id) = key::parse_entity(entity_key)?;
    Ok(vec![("layer", layer.0.into()), ("id", Value::Text(id))])
}

fn split_last(row_key: &[u8]) -> Result<(&[u8], [u8; 8]), Fault> {
    let have = row_key.len();
    let split = row_key.split_last_chunk::<8>();
    let (front, last) = split.ok_or(Fault::Truncated { need: 8, have })?;
    Ok((front, *last))
}

fn meta(row_key: &[u8], value: &[u8]) -> Result<Decoded, Fault> {
    match row_key {
        key::NET => {
            let value = decode_net(value).map(|(net, spec)| {
                let mut fields: Fields = vec![("net", hex(&net))];
                fields.extend(fields::net_spec(&spec));
                fields
            });
            Ok((vec![("row", "net".into())], value))
        }
        key::STATE => {
            let value = Ledger::decode_state(value).map(|ledger| fields::state(&ledger));
            Ok((vec![("row", "state".into())], value))
        }
        _ if key::is_layer(row_key) => {
            let layer = row_key.last_chunk().map(|layer| u16::from_be_bytes(*layer));
            let value = LayerState::decode(value).map(|state| fields::layer_state(&state));
            let key_fields = vec![("row", "layer".into()), ("layer", layer.into())];
            Ok((key_fields, value))
        }
        _ => Err(Fault::Value { what: "key" }),
    }
}
