//! What a commit touched, as its rows in `commits` list it.

#![warn(clippy::indexing_slicing)]

use std::collections::BTreeSet;

use blocknet_geocode::{Block, NetSpec};
use blocknet_kv::{KeyRange, Read};

use crate::body::{Body, Definition};
use crate::codec::{Decoder, Encoder};
use crate::error::{Fault, Result};
use crate::key;
use crate::layer::LayerId;
use crate::record::Version;

/// What a commit did. Together with the rows it names, and the layers of `meta`, it gives back the
/// whole body of the commit.
#[derive(Debug, Default)]
pub(crate) struct Touched {
    /// Record keys of its versions, by index.
    pub(crate) versions: Vec<Vec<u8>>,
    pub(crate) closings: Vec<Closed>,
    pub(crate) created: BTreeSet<Block>,
    /// Blocks in which nothing was filed or closed, but which lost a live head: the entity's next
    /// state begins after a gap, and elsewhere.
    pub(crate) left: BTreeSet<Block>,
    pub(crate) defined: Vec<Defined>,
}

/// A closing row.
#[derive(Debug)]
pub(crate) struct Closed {
    /// Index of the version that closes.
    pub(crate) index: u32,
    pub(crate) altitude_known: bool,
    pub(crate) record_key: Vec<u8>,
}

/// What was defined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Defined {
    Net,
    Layer(LayerId),
    /// Nothing: this version's payload was erased.
    Erasure(Version),
}

pub(crate) const VERSION: u8 = 0;
pub(crate) const CLOSING: u8 = 1;
pub(crate) const CREATED: u8 = 2;
pub(crate) const CLOSING_WITH_ALTITUDE: u8 = 3;
pub(crate) const NET: u8 = 4;
pub(crate) const LAYER: u8 = 5;
pub(crate) const LEFT: u8 = 6;
pub(crate) const ERASED: u8 = 7;

/// The list of a commit.
///
/// * `left`: the blocks among those of the body in which nothing was filed or closed and which
///   existed before.
pub(crate) fn encode<'b>(body: &Body, left: impl IntoIterator<Item = &'b Block>) -> Vec<u8> {
    let mut out = Encoder::with_capacity(64 * body.assertions.len());
    for definition in &body.definitions {
        match definition {
            Definition::Net(_) => out.u8(NET),
            Definition::Layer(id, _) => out.u8(LAYER).u16(id.0),
            Definition::Erasure(version) => out.u8(ERASED).u64(version.commit).u32(version.index),
        };
    }
    let mut closings = body.closings.iter().peekable();
    for (index, header) in (0..).zip(&body.assertions) {
        let entity = key::entity(header.layer, &header.id);
        out.u8(VERSION).short(&key::record(&header.place, &entity));
        while let Some(closing) = closings.next_if(|closing| closing.assertion == index) {
            let kind = if closing.altitude_known {
                CLOSING_WITH_ALTITUDE
            } else {
                CLOSING
            };
            out.u8(kind).u32(index);
            out.short(&key::record(&closing.place, &entity));
        }
    }
    for touch in body.blocks.iter().filter(|touch| touch.created.is_some()) {
        out.u8(CREATED).short(touch.block.to_packed().as_ref());
    }
    for block in left {
        out.u8(LEFT).short(block.to_packed().as_ref());
    }
    out.0
}

impl Touched {
    /// Reads the list of a commit. Memory grows with what the commit touched.
    pub(crate) fn load(read: &dyn Read, spec: &NetSpec, number: u64) -> Result<Self> {
        let mut stream = Vec::new();
        let range = KeyRange::new(key::commit(number, 1), key::commit(number + 1, 0));
        let mut cursor = read.cursor(key::COMMITS, &range)?;
        while let Some((_, value)) = cursor.entry() {
            stream.extend_from_slice(value);
            cursor.advance()?;
        }
        Self::decode(&stream, spec).map_err(|fault| fault.in_table("commits", &range.start))
    }

    /// That of a body; `left` as for [`encode`].
    pub(crate) fn of<'b>(
        body: &Body,
        left: impl IntoIterator<Item = &'b Block>,
        spec: &NetSpec,
    ) -> Result<Self, Fault> {
        Self::decode(&encode(body, left), spec)
    }

    fn decode(stream: &[u8], spec: &NetSpec) -> Result<Self, Fault> {
        let mut input = Decoder(stream);
        let mut touched = Self::default();
        while !input.0.is_empty() {
            match input.u8()? {
                VERSION => touched.versions.push(input.short()?.to_vec()),
                kind @ (CLOSING | CLOSING_WITH_ALTITUDE) => touched.closings.push(Closed {
                    index: input.u32()?,
                    altitude_known: kind == CLOSING_WITH_ALTITUDE,
                    record_key: input.short()?.to_vec(),
                }),
                CREATED => {
                    let block = key::parse_edge(spec, input.short()?)?;
                    touched.created.insert(block);
                }
                LEFT => {
                    let block = key::parse_edge(spec, input.short()?)?;
                    touched.left.insert(block);
                }
                NET => touched.defined.push(Defined::Net),
                LAYER => touched.defined.push(Defined::Layer(LayerId(input.u16()?))),
                ERASED => touched.defined.push(Defined::Erasure(Version {
                    commit: input.u64()?,
                    index: input.u32()?,
                })),
                _ => {
                    return Err(Fault::Value {
                        what: "kind of row touched",
                    });
                }
            }
        }
        Ok(touched)
    }

    /// The record keys of all rows it wrote.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &[u8]> {
        let closings = self
            .closings
            .iter()
            .map(|closed| closed.record_key.as_slice());
        self.versions.iter().map(Vec::as_slice).chain(closings)
    }
}
