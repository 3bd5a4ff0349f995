//! Every key of every table. Keys are big-endian, so that byte order is the order meant.
#![warn(clippy::indexing_slicing)]

use blocknet_geocode::{Block, NetSpec};
use blocknet_kv::{KeyRange, Table, TableSpec};

use crate::error::{Error, Fault, Result};
use crate::layer::LayerId;
use crate::record::{Place, Version};
use crate::time::Moment;

/// The tables of a net, in the order of [`Table`] numbers.
pub(crate) const SCHEMA: &[TableSpec] = &[
    TableSpec {
        name: "records",
        cold: false,
        point_reads: true,
        runs: true,
        blobs: false,
    },
    TableSpec {
        name: "history",
        cold: true,
        point_reads: false,
        runs: true,
        blobs: false,
    },
    TableSpec {
        name: "entities",
        cold: false,
        point_reads: true,
        runs: false,
        blobs: false,
    },
    TableSpec {
        name: "tracks",
        cold: false,
        point_reads: false,
        runs: true,
        blobs: false,
    },
    TableSpec {
        name: "blocks",
        cold: false,
        point_reads: false,
        runs: true,
        blobs: false,
    },
    TableSpec {
        name: "links",
        cold: false,
        point_reads: true,
        runs: false,
        blobs: false,
    },
    TableSpec {
        name: "edges",
        cold: false,
        point_reads: true,
        runs: false,
        blobs: false,
    },
    TableSpec {
        name: "zones",
        cold: false,
        point_reads: true,
        runs: false,
        blobs: false,
    },
    TableSpec {
        name: "commits",
        cold: true,
        point_reads: false,
        runs: true,
        blobs: false,
    },
    TableSpec {
        name: "moments",
        cold: false,
        point_reads: false,
        runs: true,
        blobs: false,
    },
    TableSpec {
        name: "meta",
        cold: false,
        point_reads: false,
        runs: false,
        blobs: false,
    },
    TableSpec {
        name: "log",
        cold: true,
        point_reads: false,
        runs: true,
        blobs: false,
    },
];

/// Live heads: at most one row per entity.
pub(crate) const RECORDS: Table = Table(0);
/// Every other version and every closing row.
pub(crate) const HISTORY: Table = Table(1);
/// One head per entity.
pub(crate) const ENTITIES: Table = Table(2);
/// The path of each entity, newest version first.
pub(crate) const TRACKS: Table = Table(3);
/// Block versions, newest first.
pub(crate) const BLOCKS: Table = Table(4);
/// What each block holds of its predecessors: the live supervision copies.
pub(crate) const LINKS: Table = Table(5);
/// The edge registry: newest versions of blocks that no other block supervises.
pub(crate) const EDGES: Table = Table(6);
/// How much is filed where: the planner's statistics.
pub(crate) const ZONES: Table = Table(7);
/// Commit headers and what each touched.
pub(crate) const COMMITS: Table = Table(8);
/// The commits of each layer by recorded time.
pub(crate) const MOMENTS: Table = Table(9);
/// Applied commit, layers and their counts.
pub(crate) const META: Table = Table(10);
/// Inner hashes of the log over all commits.
pub(crate) const LOG: Table = Table(11);

/// Name of a table, for messages.
pub(crate) fn table_name(table: Table) -> &'static str {
    SCHEMA
        .get(usize::from(table.0))
        .map_or("unknown", |spec| spec.name)
}

/// Longest id, in bytes of UTF-8.
pub const ID_LEN_BYTES_MAX: usize = 1024;
/// Bytes of a version at the end of a `history` key.
pub(crate) const VERSION_LEN_BYTES: usize = 12;

pub(crate) fn check_id(id: &str) -> Result<()> {
    if id.is_empty() || id.len() > ID_LEN_BYTES_MAX {
        return Err(Error::invalid(format!(
            "an id has 1 to {ID_LEN_BYTES_MAX} bytes; this one has {}",
            id.len()
        )));
    }
    Ok(())
}

/// Appends an id so that byte order is the order of ids and none is a prefix of another: a zero
/// byte becomes 00 FF, the end is 00 00.
fn push_id(key: &mut Vec<u8>, id: &str) {
    for &byte in id.as_bytes() {
        key.push(byte);
        if byte == 0 {
            key.push(0xff);
        }
    }
    key.extend_from_slice(&[0, 0]);
}

/// `layer u16 | id`: key of `entities` and prefix of `tracks`.
pub(crate) fn entity(layer: LayerId, id: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(2 + id.len() + 2 + 8);
    key.extend_from_slice(&layer.0.to_be_bytes());
    push_id(&mut key, id);
    key
}

/// The inverse of [`entity`].
pub(crate) fn parse_entity(key: &[u8]) -> Result<(LayerId, String), Fault> {
    let short = Fault::Truncated {
        need: 4,
        have: key.len(),
    };
    let (layer, rest) = key.split_first_chunk::<2>().ok_or(short)?;
    let escaped = rest.strip_suffix(&[0, 0]).ok_or(short)?;
    let wrong = Fault::Value {
        what: "id in a key",
    };
    let mut id = Vec::with_capacity(escaped.len());
    let mut bytes = escaped.iter();
    while let Some(&byte) = bytes.next() {
        if byte == 0 && bytes.next() != Some(&0xff) {
            return Err(wrong);
        }
        id.push(byte);
    }
    let id = String::from_utf8(id).map_err(|_| wrong)?;
    Ok((LayerId(u16::from_be_bytes(*layer)), id))
}

/// `layer | id | inverted ordinal`: key of `tracks`.
pub(crate) fn track(entity: &[u8], ordinal: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(entity.len() + 8);
    key.extend_from_slice(entity);
    key.extend_from_slice(&(!ordinal).to_be_bytes());
    key
}

/// `place | layer | id`: key of `records`.
pub(crate) fn record(place: &Place, entity: &[u8]) -> Vec<u8> {
    let place = place.as_bytes();
    let mut key = Vec::with_capacity(place.len() + entity.len() + VERSION_LEN_BYTES);
    key.extend_from_slice(place);
    key.extend_from_slice(entity);
    key
}

/// `record key | inverted version`: key of `history`.
pub(crate) fn history(record: &[u8], version: Version) -> Vec<u8> {
    let mut key = Vec::with_capacity(record.len() + VERSION_LEN_BYTES);
    key.extend_from_slice(record);
    key.extend_from_slice(&(!version.commit).to_be_bytes());
    key.extend_from_slice(&(!version.index).to_be_bytes());
    key
}

/// Splits a `history` key into record key and version.
pub(crate) fn split_history(key: &[u8]) -> Result<(&[u8], Version), Fault> {
    let (record, version) =
        key.split_last_chunk::<VERSION_LEN_BYTES>()
            .ok_or(Fault::Truncated {
                need: VERSION_LEN_BYTES,
                have: key.len(),
            })?;
    let (commit, index) = version
        .split_first_chunk::<8>()
        .expect("twelve bytes hold eight");
    let index = index
        .first_chunk::<4>()
        .expect("four of twelve bytes are left");
    Ok((
        record,
        Version {
            commit: !u64::from_be_bytes(*commit),
            index: !u32::from_be_bytes(*index),
        },
    ))
}

/// `block | inverted commit`: key of `blocks`.
pub(crate) fn block(block: &Block, commit: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(40);
    key.extend_from_slice(block.to_packed().as_ref());
    key.extend_from_slice(&(!commit).to_be_bytes());
    key
}

/// `successor | predecessor`: key of `links`. Packed blocks of a net have one length.
pub(crate) fn link(successor: &Block, predecessor: &Block) -> Vec<u8> {
    let mut key = successor.to_packed().as_ref().to_vec();
    key.extend_from_slice(predecessor.to_packed().as_ref());
    key
}

/// The inverse of [`link`].
pub(crate) fn split_link(spec: &NetSpec, key: &[u8]) -> Result<(Block, Block), Fault> {
    let len = spec.block_len_bytes();
    let have = key.len();
    let (successor, predecessor) = key.split_at_checked(len).ok_or(Fault::Truncated {
        need: 2 * len,
        have,
    })?;
    let block = |packed| {
        spec.block_from_packed(packed)
            .map_err(|_| Fault::Value { what: "block code" })
    };
    Ok((block(successor)?, block(predecessor)?))
}

/// The block that a row of `edges` is about.
pub(crate) fn parse_edge(spec: &NetSpec, key: &[u8]) -> Result<Block, Fault> {
    spec.block_from_packed(key)
        .map_err(|_| Fault::Value { what: "block code" })
}

/// `commit | chunk u32`: key of `commits`; chunk 0 is the header.
pub(crate) fn commit(commit: u64, chunk: u32) -> Vec<u8> {
    let mut key = Vec::with_capacity(12);
    key.extend_from_slice(&commit.to_be_bytes());
    key.extend_from_slice(&chunk.to_be_bytes());
    key
}

/// `commit`: key of `log`.
pub(crate) fn log(commit: u64) -> [u8; 8] {
    commit.to_be_bytes()
}

/// `layer | recorded time | commit`: key of `moments`. Flipping the sign bit of the time makes
/// byte order the order of moments.
pub(crate) fn moment(layer: LayerId, recorded: Moment, commit: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(18);
    key.extend_from_slice(&layer.0.to_be_bytes());
    key.extend_from_slice(&(recorded.as_micros() ^ i64::MIN).to_be_bytes());
    key.extend_from_slice(&commit.to_be_bytes());
    key
}

/// The inverse of [`moment`], without the layer.
pub(crate) fn parse_moment(key: &[u8]) -> Result<(Moment, u64), Fault> {
    let have = key.len();
    let short = Fault::Truncated { need: 18, have };
    let (_, rest) = key.split_first_chunk::<2>().ok_or(short)?;
    let (recorded, rest) = rest.split_first_chunk::<8>().ok_or(short)?;
    let (commit, rest) = rest.split_first_chunk::<8>().ok_or(short)?;
    if !rest.is_empty() {
        return Err(Fault::Trailing { bytes: rest.len() });
    }
    Ok((
        Moment::from_micros(i64::from_be_bytes(*recorded) ^ i64::MIN),
        u64::from_be_bytes(*commit),
    ))
}

/// All moments of a layer up to and including `recorded`.
pub(crate) fn moments_until(layer: LayerId, recorded: Moment) -> KeyRange {
    let mut end = moment(layer, recorded, u64::MAX);
    end.push(0);
    KeyRange::new(layer.0.to_be_bytes().to_vec(), end)
}

/// Key of the row of `meta` that says which net this is.
pub(crate) const NET: &[u8] = b"net";

/// Key of the row of `meta` that says what has been applied.
pub(crate) const STATE: &[u8] = b"state";

/// Key of a layer's row in `meta`.
pub(crate) fn layer(layer: LayerId) -> Vec<u8> {
    let mut key = b"layer".to_vec();
    key.extend_from_slice(&layer.0.to_be_bytes());
    key
}

/// Prefix of the keys of `meta` that name erasures not yet carried through.
pub(crate) const ERASING: &[u8] = b"erasing";

/// `erasing | commit`: the row of `meta` for a commit whose erasures are not yet carried through.
pub(crate) fn erasing(commit: u64) -> Vec<u8> {
    [ERASING, &commit.to_be_bytes()].concat()
}

/// The inverse of [`erasing`].
pub(crate) fn parse_erasing(key: &[u8]) -> Option<u64> {
    let commit = key.strip_prefix(ERASING)?.try_into().ok()?;
    Some(u64::from_be_bytes(commit))
}

/// Whether a key of `meta` is that of a layer's row.
pub(crate) fn is_layer(key: &[u8]) -> bool {
    key.strip_prefix(b"layer")
        .is_some_and(|rest| rest.len() == 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use quickcheck::quickcheck;

    #[test]
    fn the_table_constants_name_their_tables() {
        let names = [
            RECORDS, HISTORY, ENTITIES, TRACKS, BLOCKS, LINKS, EDGES, ZONES, COMMITS, MOMENTS,
            META, LOG,
        ]
        .map(table_name);
        assert_eq!(
            names,
            [
                "records", "history", "entities", "tracks", "blocks", "links", "edges", "zones",
                "commits", "moments", "meta", "log"
            ]
        );
        assert_eq!(names.len(), SCHEMA.len());
    }

    #[test]
    fn golden_keys() {
        assert_eq!(entity(LayerId(0x0102), "12"), [1, 2, b'1', b'2', 0, 0]);
        assert_eq!(entity(LayerId(1), "a\0"), [0, 1, b'a', 0, 0xff, 0, 0]);
        assert_eq!(
            history(
                b"k",
                Version {
                    commit: 1,
                    index: 2
                }
            ),
            [
                b'k', 255, 255, 255, 255, 255, 255, 255, 254, 255, 255, 255, 253
            ]
        );
        let spec = NetSpec::city();
        let blocks = ["d06177e39", "d06177e3a"].map(|text| spec.parse_block(text).unwrap());
        let bytes = [0xd0, 0x61, 0x77, 0xe3, 0x90, 0xd0, 0x61, 0x77, 0xe3, 0xa0];
        assert_eq!(link(&blocks[0], &blocks[1]), bytes);
        assert_eq!(split_link(&spec, &bytes), Ok((blocks[0], blocks[1])));
        assert_eq!(
            block(&blocks[0], 1),
            [
                0xd0, 0x61, 0x77, 0xe3, 0x90, 255, 255, 255, 255, 255, 255, 255, 254
            ]
        );
        assert_eq!(parse_edge(&spec, &bytes[..5]), Ok(blocks[0]));
        assert_eq!(
            moment(LayerId(1), Moment::from_micros(-1), 3),
            [
                0, 1, 0x7f, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 3
            ]
        );
    }

    quickcheck! {
        fn entity_keys_sort_like_entities(a: (u16, String), b: (u16, String)) -> bool {
            let key = |e: &(u16, String)| entity(LayerId(e.0), &e.1);
            let by_bytes = (a.0, a.1.as_bytes()).cmp(&(b.0, b.1.as_bytes()));
            key(&a).cmp(&key(&b)) == by_bytes
                && (a == b || !key(&a).starts_with(&key(&b)))
        }

        fn entity_keys_are_read_back(layer: u16, id: String) -> bool {
            parse_entity(&entity(LayerId(layer), &id)) == Ok((LayerId(layer), id))
        }

        fn history_keys_put_the_newest_first(a: (u64, u32), b: (u64, u32)) -> bool {
            let version = |v: (u64, u32)| Version { commit: v.0, index: v.1 };
            let key = |v| history(b"key", version(v));
            key(a).cmp(&key(b)) == version(b).cmp(&version(a))
                && split_history(&key(a)) == Ok((b"key".as_slice(), version(a)))
        }

        fn moment_keys_sort_like_moments(a: (i64, u64), b: (i64, u64)) -> bool {
            let key = |m: (i64, u64)| moment(LayerId(7), Moment::from_micros(m.0), m.1);
            key(a).cmp(&key(b)) == a.cmp(&b)
                && parse_moment(&key(a)) == Ok((Moment::from_micros(a.0), a.1))
        }

        fn hostile_bytes_are_refused_not_panicked_on(bytes: Vec<u8>) -> bool {
            let spec = NetSpec::city();
            _ = (split_history(&bytes), parse_moment(&bytes), parse_entity(&bytes));
            _ = (split_link(&spec, &bytes), parse_edge(&spec, &bytes));
            true
        }
    }
}
