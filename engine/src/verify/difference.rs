//! What it means that journal and tables do not have the same under a key.

use blocknet_kv::Read;

use crate::block::Held;
use crate::entity::Path;
use crate::error::Hex;
use crate::key;
use crate::linking::decode_block;
use crate::record::{Place, Version};
use crate::zone;

use super::Run;
use super::content::{block_of, decode_version};
use super::finding::{Code, Finding, Remedy, Side};
use super::sums::{Both, Class};

/// Adds what a record key says.
pub(super) fn about_row(run: &Run<'_>, mut finding: Finding, record_key: &[u8]) -> Finding {
    let Ok(place) = Place::of_key(record_key, &run.spec) else {
        return finding;
    };
    finding.block = block_of(&run.spec, &place, true);
    let entity = record_key.get(place.as_bytes().len()..).unwrap_or_default();
    if let Ok(entity) = key::parse_entity(entity) {
        finding.entity = Some(entity);
    }
    finding.row("records", record_key)
}

/// Whether a version belongs into `records`, by its entity's head.
fn is_live(read: &dyn Read, run: &Run<'_>, record_key: &[u8], version: Version) -> bool {
    let Ok(place) = Place::of_key(record_key, &run.spec) else {
        return false;
    };
    if place.is_nowhere() {
        return false;
    }
    let path = Path {
        read,
        spec: &run.spec,
        entity: record_key.get(place.as_bytes().len()..).unwrap_or_default(),
    };
    let last = path.head().ok().flatten().and_then(|head| head.last);
    last.is_some_and(|last| last.version == version && last.place == place)
}

/// What it means that the two sides do not have the same under a key; `None` when that is no more
/// than a commit being lost, which is reported as such.
pub(super) fn difference(
    run: &Run<'_>,
    read: &dyn Read,
    class: Class,
    row_key: &[u8],
    both: &Both,
) -> Option<Finding> {
    let code = match (class, both.journal.len(), both.tables.len()) {
        (Class::Chain, ..) => Code::VersionChain,
        (Class::Live, ..) => Code::LiveHead,
        (Class::Head, ..) => Code::EntityHead,
        (_, 0, _) => Code::RowExtra,
        (_, _, 0) => Code::RowMissing,
        _ => Code::RowDiffers,
    };
    match class {
        Class::ErasedRow | Class::ErasedFrame => return erasure(run, read, class, row_key, both),
        Class::Link => return link(run, read, row_key, both),
        Class::Edge => return edge(run, read, row_key, both),
        Class::ZoneLive | Class::ZonePast => return zone(read, row_key, both),
        _ => {}
    }
    if class == Class::Lost {
        // Where only the journal has lost it, the row is missing, and named as that.
        let version = decode_version(row_key).filter(|_| !both.tables.is_empty())?;
        let finding = Finding::new(Side::Tables, Code::RowDiffers, Remedy::Journal);
        let found = "a version that is lost in the tables only";
        return Some(finding.version(version).found(found));
    }
    let mut finding = Finding::new(Side::Tables, code, Remedy::Journal);
    if code == Code::RowDiffers || code == Code::VersionChain {
        let hex = |values: &[Vec<u8>]| {
            let all: Vec<_> = values.iter().map(|value| hex_of(value)).collect();
            all.join(", ")
        };
        finding = finding
            .expected(hex(&both.journal))
            .found(hex(&both.tables));
    }
    let version = |finding: Finding, version: Version| {
        let lost = run.is_lost(version.commit) || run.lost_versions.contains(&version);
        (!lost).then(|| finding.version(version))
    };
    match class {
        Class::Version | Class::Closing => {
            let (record_key, number) = key::split_history(row_key).ok()?;
            finding = about_row(run, finding, record_key);
            if class == Class::Closing || !is_live(read, run, record_key, number) {
                finding = finding.row("history", row_key);
            }
            version(finding, number)
        }
        Class::Track | Class::Chain => {
            let (entity, ordinal) = row_key.split_last_chunk::<8>()?;
            let ordinal = !u64::from_be_bytes(*ordinal);
            finding.entity = key::parse_entity(entity).ok();
            finding = finding.row("tracks", row_key);
            let path = Path {
                read,
                spec: &run.spec,
                entity,
            };
            match path.track(ordinal) {
                Ok(track) => version(finding, track.version),
                // The hash that the next one names belongs to a commit that is lost.
                Err(_) if class == Class::Chain && !run.lost.is_empty() => None,
                Err(_) => Some(finding),
            }
        }
        Class::Moment => {
            finding.commit = key::parse_moment(row_key).ok().map(|(_, commit)| commit);
            Some(finding.row("moments", row_key))
        }
        Class::Commit => {
            finding.commit = row_key
                .first_chunk()
                .map(|commit| u64::from_be_bytes(*commit));
            Some(finding.row("commits", row_key))
        }
        Class::Block => {
            if let Ok(Some(value)) = read.get(key::BLOCKS, row_key)
                && let Ok((block, _)) = decode_block(&run.spec, row_key, &value)
            {
                finding.block = Some(block);
            }
            let commit = row_key.last_chunk::<8>();
            finding.commit = commit.map(|commit| !u64::from_be_bytes(*commit));
            Some(finding.row("blocks", row_key))
        }
        Class::Live => Some(about_row(run, finding, row_key)),
        Class::Head => {
            finding.entity = key::parse_entity(row_key).ok();
            Some(finding.row("entities", row_key))
        }
        // Handled above.
        Class::ErasedRow
        | Class::ErasedFrame
        | Class::Lost
        | Class::Link
        | Class::Edge
        | Class::ZoneLive
        | Class::ZonePast => None,
    }
}

/// What a block holds of a predecessor is not what the rows of `blocks` say.
fn link(run: &Run<'_>, read: &dyn Read, row_key: &[u8], both: &Both) -> Option<Finding> {
    let (successor, predecessor) = key::split_link(&run.spec, row_key).ok()?;
    let mut finding = Finding::new(Side::Tables, Code::Link, Remedy::Journal).row("links", row_key);
    finding.block = Some(predecessor);
    let held = |values: &[Vec<u8>]| values.first().and_then(|value| Held::decode(value).ok());
    match (held(&both.journal), held(&both.tables)) {
        (Some(expected), found) => {
            // One that cannot be read or decoded is reported where its table is run through.
            if found.is_none() && !matches!(read.get(key::LINKS, row_key), Ok(None)) {
                return None;
            }
            finding = finding.commit(expected.commit).expected(expected.hash);
            Some(match found {
                Some(found) => finding.found(found.hash),
                None => finding.found("no row"),
            })
        }
        // Nor can be judged what hangs on a damaged row of `blocks`, reported there.
        (None, found) => {
            run.surroundings(read)
                .predecessors(&successor, u64::MAX)
                .ok()?;
            let finding = finding.expected("no row");
            Some(match found {
                Some(found) => finding.commit(found.commit),
                None => finding,
            })
        }
    }
}

/// What the registry holds of a block is not what the rows of `blocks` say.
fn edge(run: &Run<'_>, read: &dyn Read, row_key: &[u8], both: &Both) -> Option<Finding> {
    let block = key::parse_edge(&run.spec, row_key).ok()?;
    let mut finding =
        Finding::new(Side::Tables, Code::Registry, Remedy::Journal).row("edges", row_key);
    finding.block = Some(block);
    let held = |values: &[Vec<u8>]| values.first().and_then(|value| Held::decode(value).ok());
    let Some(expected) = held(&both.journal) else {
        run.surroundings(read).is_edge(&block, u64::MAX).ok()?;
        return Some(finding.expected("no row"));
    };
    if both.tables.is_empty() && !matches!(read.get(key::EDGES, row_key), Ok(None)) {
        return None;
    }
    Some(finding.commit(expected.commit))
}

/// A zone does not count what there is.
fn zone(read: &dyn Read, row_key: &[u8], both: &Both) -> Option<Finding> {
    // One that cannot be read or decoded is reported where its table is run through.
    if let Some(value) = read.get(key::ZONES, row_key).ok()? {
        zone::decode(&value).ok()?;
    }
    let rows = |counts: &[Vec<u8>]| {
        let count = counts.first().and_then(|count| count.first_chunk());
        format!(
            "{} rows",
            count.map_or(0, |count| u64::from_be_bytes(*count))
        )
    };
    let finding = Finding::new(Side::Tables, Code::Zone, Remedy::Journal).row("zones", row_key);
    Some(
        finding
            .expected(rows(&both.journal))
            .found(rows(&both.tables)),
    )
}

/// A payload that was ordered to be erased, and is there. (The contrary is no difference here: a
/// payload that no commit has erased, and that is not there, does not fit its commitment.)
fn erasure(
    run: &Run<'_>,
    read: &dyn Read,
    class: Class,
    key: &[u8],
    both: &Both,
) -> Option<Finding> {
    let by = both.journal.first()?.first_chunk()?;
    let by = u64::from_be_bytes(*by);
    let version = decode_version(key)?;
    if run.is_lost(version.commit) || run.is_lost(by) {
        return None;
    }
    let found = format!("a payload that commit {by} has erased");
    if class == Class::ErasedRow {
        let finding = Finding::new(Side::Tables, Code::RowDiffers, Remedy::Journal);
        return Some(finding.version(version).found(found));
    }
    let pending = read.get(key::META, &key::erasing(by)).ok()?.is_some();
    let finding = if pending {
        Finding::info(Side::Journal, Code::ErasurePending)
    } else {
        Finding::new(Side::Journal, Code::ErasurePending, Remedy::Tables)
    };
    Some(finding.version(version).found(found))
}

fn hex_of(bytes: &[u8]) -> String {
    Hex(bytes).to_string()
}
