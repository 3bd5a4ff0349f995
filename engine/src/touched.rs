//! What a commit touched, by its rows in `commits`.

#![warn(clippy::indexing_slicing)]

use std::collections::BTreeSet;

use blocknet_geocode::{Block, NetSpec};
use blocknet_kv::{KeyRange, Read};

use crate::codec::Decoder;
use crate::error::{Fault, Result};
use crate::key;

/// What a commit did, by its list of record keys.
#[derive(Debug, Default)]
pub(crate) struct Touched {
    /// Record keys of its versions, by index.
    pub(crate) versions: Vec<Vec<u8>>,
    /// Closing rows: index of the version, record key.
    pub(crate) closings: Vec<(u32, Vec<u8>)>,
    pub(crate) created: BTreeSet<Block>,
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

    fn decode(stream: &[u8], spec: &NetSpec) -> Result<Self, Fault> {
        let mut input = Decoder(stream);
        let mut touched = Self::default();
        while !input.0.is_empty() {
            match input.u8()? {
                0 => touched.versions.push(input.short()?.to_vec()),
                1 => touched
                    .closings
                    .push((input.u32()?, input.short()?.to_vec())),
                2 => {
                    let block = key::parse_edge(spec, input.short()?)?;
                    touched.created.insert(block);
                }
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
        let closings = self.closings.iter().map(|(_, key)| key.as_slice());
        self.versions.iter().map(Vec::as_slice).chain(closings)
    }
}
