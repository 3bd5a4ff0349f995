//! What a writer keeps in its head between commits, and the rows of `meta` that hold the same.

use std::collections::BTreeMap;

use blocknet_kv::{KeyRange, Read};

use crate::codec::{Decoder, Encoder};
use crate::error::{Error, Fault, Result};
use crate::hash::Hash;
use crate::key;
use crate::layer::{LayerDef, LayerId};
use crate::time::Moment;
use crate::zone::Rows;

/// A layer with its counts: the row `layer` of `meta`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerState {
    /// The layer's definition.
    pub def: LayerDef,
    /// Recorded time of its newest commit; [`Moment::MIN`] before the first.
    pub recorded: Moment,
    /// Its newest commit, 0 before the first.
    pub commit: u64,
    /// Entities that ever had a version.
    pub entities: u64,
    /// Versions, absences included.
    pub versions: u64,
    /// Entities whose timeline at the newest commit ends in a state.
    pub live: u64,
    /// Bytes of the payloads of all versions.
    pub payload_bytes: u64,
    /// From this valid time on, the live heads alone answer for the newest commit.
    pub(crate) watermark: Moment,
}

impl LayerState {
    pub(crate) fn new(def: LayerDef) -> Self {
        Self {
            def,
            recorded: Moment::MIN,
            commit: 0,
            entities: 0,
            versions: 0,
            live: 0,
            payload_bytes: 0,
            watermark: Moment::MIN,
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Encoder::with_capacity(128);
        out.i64(self.recorded.as_micros())
            .u64(self.commit)
            .u64(self.entities);
        out.u64(self.versions)
            .u64(self.live)
            .u64(self.payload_bytes)
            .i64(self.watermark.as_micros());
        self.def.encode(&mut out);
        out.0
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        let mut input = Decoder(bytes);
        let state = Self {
            recorded: Moment::from_micros(input.i64()?),
            commit: input.u64()?,
            entities: input.u64()?,
            versions: input.u64()?,
            live: input.u64()?,
            payload_bytes: input.u64()?,
            watermark: Moment::from_micros(input.i64()?),
            def: LayerDef::decode(&mut input)?,
        };
        input.finish()?;
        Ok(state)
    }
}

/// The row `state` of `meta` and the layers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ledger {
    /// The newest commit, 0 before the first, and its hash.
    pub(crate) commit: u64,
    pub(crate) hash: Hash,
    /// Latest time at which the store wrote.
    pub(crate) written_max: Moment,
    /// The levels under which anything was ever filed, and how much is.
    pub(crate) levels: BTreeMap<u8, Rows>,
    /// Blocks of the net.
    pub(crate) blocks: u64,
    /// Head of the edge registry after the newest commit.
    pub(crate) registry_head: Hash,
    pub(crate) layers: BTreeMap<LayerId, LayerState>,
}

const STATE_FORMAT: u8 = 4;

impl Ledger {
    pub(crate) fn new() -> Self {
        Self {
            commit: 0,
            hash: Hash::ZERO,
            written_max: Moment::MIN,
            levels: BTreeMap::new(),
            blocks: 0,
            registry_head: Hash::ZERO,
            layers: BTreeMap::new(),
        }
    }

    /// Value of the row `state`.
    pub(crate) fn encode_state(&self) -> Vec<u8> {
        let mut out = Encoder::with_capacity(112);
        out.u8(STATE_FORMAT).u64(self.commit).raw(&self.hash.0);
        out.i64(self.written_max.as_micros())
            .u64(self.blocks)
            .raw(&self.registry_head.0);
        out.u8(u8::try_from(self.levels.len()).expect("block depth is at most 64"));
        for (level, rows) in &self.levels {
            out.u8(*level).u64(rows.live).u64(rows.past);
        }
        out.0
    }

    /// Reads the ledger of a store; `None` when nothing was ever applied to it.
    pub(crate) fn load(read: &dyn Read) -> Result<Option<Self>> {
        let Some(state) = read.get(key::META, key::STATE)? else {
            return Ok(None);
        };
        let mut ledger =
            Self::decode_state(&state).map_err(|fault| fault.in_table("meta", key::STATE))?;
        let mut cursor = read.cursor(key::META, &KeyRange::prefix(b"layer"))?;
        while let Some((row_key, value)) = cursor.entry() {
            let number = row_key
                .last_chunk::<2>()
                .ok_or_else(|| Error::corrupt("tables: `meta`: the key of a layer is too short"))?;
            let layer =
                LayerState::decode(value).map_err(|fault| fault.in_table("meta", row_key))?;
            ledger
                .layers
                .insert(LayerId(u16::from_be_bytes(*number)), layer);
            cursor.advance()?;
        }
        Ok(Some(ledger))
    }

    pub(crate) fn decode_state(bytes: &[u8]) -> Result<Self, Fault> {
        let mut input = Decoder(bytes);
        if input.u8()? != STATE_FORMAT {
            return Err(Fault::Value {
                what: "format of the state row",
            });
        }
        let mut ledger = Self {
            commit: input.u64()?,
            hash: Hash(input.array()?),
            written_max: Moment::from_micros(input.i64()?),
            levels: BTreeMap::new(),
            blocks: input.u64()?,
            registry_head: Hash(input.array()?),
            layers: BTreeMap::new(),
        };
        for _ in 0..input.u8()? {
            let level = input.u8()?;
            let rows = Rows {
                live: input.u64()?,
                past: input.u64()?,
            };
            let last = ledger.levels.last_key_value().map(|(level, _)| *level);
            if last.is_some_and(|last| last >= level) {
                return Err(Fault::Value {
                    what: "order of levels",
                });
            }
            ledger.levels.insert(level, rows);
        }
        input.finish()?;
        Ok(ledger)
    }

    pub(crate) fn layer_named(&self, name: &str) -> Option<LayerId> {
        self.layers
            .iter()
            .find(|(_, state)| state.def.name == name)
            .map(|(id, _)| *id)
    }

    pub(crate) fn layer(&self, id: LayerId) -> Result<&LayerState> {
        self.layers.get(&id).ok_or_else(|| {
            Error::new(
                crate::error::ErrorKind::NotFound,
                format!("the net has no layer number {}", id.number()),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{golden, hex};

    fn levels() -> BTreeMap<u8, Rows> {
        let rows = |live, past| Rows { live, past };
        BTreeMap::from([(0, rows(1, 2)), (9, rows(3, 4))])
    }

    #[test]
    fn a_layer_row_has_these_bytes() {
        let state = LayerState {
            def: LayerDef {
                kind: crate::layer::LayerKind::Permitted,
                vertical_datum: "NAP".into(),
                ..LayerDef::new("permits")
            },
            recorded: Moment::from_micros(8),
            commit: 7,
            entities: 6,
            versions: 5,
            live: 4,
            payload_bytes: 3,
            watermark: Moment::from_micros(-3),
        };
        let bytes = golden(
            r#" 0800000000000000 0700000000000000    // recorded, commit
                0600000000000000 0500000000000000    // entities, versions
                0400000000000000 0300000000000000    // live, payload bytes
                fdffffffffffffff                     // watermark
                02 0700 "permits" 0000 0300 "NAP" 0300 "UTC" 0000
            "#,
        );
        assert_eq!(state.encode(), bytes);
        assert_eq!(LayerState::decode(&bytes), Ok(state));
        for cut in 0..bytes.len() {
            assert!(LayerState::decode(&bytes[..cut]).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn the_state_row_has_these_bytes() {
        let ledger = Ledger {
            commit: 5,
            hash: Hash([7; 32]),
            written_max: Moment::from_micros(9),
            levels: levels(),
            blocks: 3,
            registry_head: Hash([8; 32]),
            layers: BTreeMap::new(),
        };
        let bytes = hex(&format!(
            "04 0500000000000000 {} 0900000000000000 0300000000000000 {}
             02 00 0100000000000000 0200000000000000 09 0300000000000000 0400000000000000",
            "07".repeat(32),
            "08".repeat(32)
        ));
        assert_eq!(ledger.encode_state(), bytes);
        assert_eq!(Ledger::decode_state(&bytes), Ok(ledger));
        for cut in 0..bytes.len() {
            assert!(Ledger::decode_state(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        let other_format = [&[3], &bytes[1..]].concat();
        assert!(Ledger::decode_state(&other_format).is_err());
        let longer = [&bytes[..], &[0]].concat();
        assert!(Ledger::decode_state(&longer).is_err());
        let mut unordered = bytes.clone();
        unordered[bytes.len() - 17] = 0;
        assert!(Ledger::decode_state(&unordered).is_err());
    }

    #[test]
    fn state_and_layers_are_read_back() {
        use blocknet_kv::{Batch, MemStore, Store};
        let store = MemStore::new(key::SCHEMA);
        assert_eq!(Ledger::load(&store).unwrap(), None);
        let mut ledger = Ledger {
            commit: 5,
            hash: Hash([7; 32]),
            written_max: Moment::from_micros(9),
            levels: levels(),
            blocks: 3,
            registry_head: Hash([8; 32]),
            layers: BTreeMap::new(),
        };
        let layer = LayerState {
            live: 2,
            ..LayerState::new(LayerDef::new("main"))
        };
        ledger.layers.insert(LayerId(0x0102), layer.clone());
        let mut batch = Batch::new();
        batch.put(key::META, key::STATE, ledger.encode_state());
        batch.put(key::META, key::layer(LayerId(0x0102)), layer.encode());
        store.apply(&batch).unwrap();
        assert_eq!(Ledger::load(&store).unwrap(), Some(ledger));
    }
}
