//! `blocknet net block`.

use blocknet_engine::{BlockVersion, Held, LinkedNet, Neighbour, Safety, Supervision};
use blocknet_geocode::Block;
use serde::Serialize;

use super::super::error::Result;
use super::super::io::{BAD, GOOD, Io};
use super::super::text::{Table, counted, grouped, hex};
use super::super::{DONE, FOUND, store};
use super::BlockArgs;
use super::report::heading;

/// Print one block: its newest version, who links to it, who supervises it, how safe it is
///
/// The safety of a block is found by visiting every block that builds on it. Exit code 1: there is
/// no such block.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    which: BlockArgs,
}

#[derive(Serialize)]
struct BlockJson {
    version: u32,
    block: String,
    /// After which commit.
    as_of: u64,
    /// The commit that made the newest version, and the one that made the first.
    commit: u64,
    created: u64,
    hash: String,
    previous: String,
    versions: usize,
    rows: u64,
    round: u32,
    source: String,
    predecessors: Vec<NeighbourJson>,
    successors: Vec<NeighbourJson>,
    genes: Vec<GeneJson>,
    /// `successors` or `registry`.
    supervised_by: &'static str,
    /// Whether all that supervise it hold its newest version; `null` for the past, of which no
    /// copies are kept.
    supervised: Option<bool>,
    safety: SafetyJson,
    registry_head: String,
}

#[derive(Serialize)]
struct NeighbourJson {
    block: String,
    commit: u64,
    hash: String,
    /// What it holds of the block, where that is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    holds: Option<HeldJson>,
}

#[derive(Serialize)]
struct HeldJson {
    commit: u64,
    hash: String,
}

#[derive(Serialize)]
struct GeneJson {
    block: String,
    commit: u64,
    hash: String,
}

#[derive(Serialize)]
struct SafetyJson {
    longest: u32,
    shortest: u32,
    supervisors: usize,
    in_registry: bool,
    descendants: u64,
}

impl From<Held> for HeldJson {
    fn from(held: Held) -> Self {
        Self {
            commit: held.commit,
            hash: hex(&held.hash.0),
        }
    }
}

impl From<Neighbour> for NeighbourJson {
    fn from(neighbour: Neighbour) -> Self {
        Self {
            block: neighbour.block.to_string(),
            commit: neighbour.version.commit,
            hash: hex(&neighbour.version.hash.0),
            holds: neighbour.holds.map(HeldJson::from),
        }
    }
}

impl From<Safety> for SafetyJson {
    fn from(safety: Safety) -> Self {
        Self {
            longest: safety.longest,
            shortest: safety.shortest,
            supervisors: safety.supervisors,
            in_registry: safety.in_registry,
            descendants: safety.descendants,
        }
    }
}

pub(crate) fn run(args: &Args, io: &mut Io<'_>) -> Result<u8> {
    let net = store::read(&args.which.dir, io)?;
    let view = net.now_view()?;
    let linked = args.which.after.linked(&view)?;
    let block = args.which.block(net.spec())?;
    let Some(json) = describe(&linked, &block, view.newest_commit())? else {
        io.note(format_args!(
            "{block} was no block of this net after commit {}",
            linked.commit()
        ))?;
        return Ok(FOUND);
    };
    if io.is_json() {
        io.object(&json)?;
    } else {
        print(&json, io)?;
    }
    Ok(DONE)
}

fn describe(linked: &LinkedNet<'_>, block: &Block, newest: u64) -> Result<Option<BlockJson>> {
    let (Some(version), Some(origin), Some(supervision), Some(safety)) = (
        linked.block(block)?,
        linked.origin(block)?,
        linked.supervision(block)?,
        linked.safety(block)?,
    ) else {
        return Ok(None);
    };
    let BlockVersion {
        commit,
        created,
        hash,
        previous,
        rows,
        round,
        ..
    } = version;
    let own = Held { commit, hash };
    let (supervised_by, held) = match supervision {
        Supervision::Successors(successors) => (
            "successors",
            successors.iter().all(|next| next.holds == Some(own)),
        ),
        Supervision::Registry(held) => ("registry", held == Some(own)),
    };
    Ok(Some(BlockJson {
        version: 1,
        block: block.to_string(),
        as_of: linked.commit(),
        commit,
        created,
        hash: hex(&hash.0),
        previous: hex(&previous.0),
        versions: linked.versions(block)?.len(),
        rows,
        round,
        source: origin.source.to_string(),
        predecessors: neighbours(linked.predecessors(block)?),
        successors: neighbours(linked.successors(block)?),
        genes: version
            .genes
            .iter()
            .map(|gene| GeneJson {
                block: gene.block.to_string(),
                commit: gene.commit,
                hash: hex(&gene.hash.0),
            })
            .collect(),
        supervised_by,
        supervised: (linked.commit() == newest).then_some(held),
        safety: safety.into(),
        registry_head: hex(&version.registry_head.0),
    }))
}

fn neighbours(neighbours: Vec<Neighbour>) -> Vec<NeighbourJson> {
    neighbours.into_iter().map(NeighbourJson::from).collect()
}

fn print(json: &BlockJson, io: &mut Io<'_>) -> Result<()> {
    let mut table = Table::default();
    let source = if json.source == json.block {
        "itself".to_owned()
    } else {
        json.source.clone()
    };
    for (what, value) in [
        ("block", json.block.clone()),
        (
            "newest version",
            format!("commit {}, hash {}", json.commit, json.hash),
        ),
        (
            "created",
            format!("by commit {}, in round {}", json.created, json.round),
        ),
        ("source", source),
        ("versions", grouped(json.versions as u64)),
        ("live entities", grouped(json.rows)),
        (
            "safety",
            format!(
                "{} build on it, {} at the longest way out and {} at the shortest",
                counted(json.safety.descendants, "block", "blocks"),
                counted(json.safety.longest.into(), "round", "rounds"),
                json.safety.shortest
            ),
        ),
    ] {
        table.plain([what.to_owned(), value]);
    }
    table.print(io, "")?;
    let supervised = match (json.supervised, json.supervised_by) {
        (None, by) => format!("by {by}; what they held then is not kept"),
        (Some(true), by) => io.paint(GOOD, format_args!("by {by}, with its newest hash")),
        (Some(false), by) => io.paint(BAD, format_args!("by {by}, NOT with its newest hash")),
    };
    io.line(format_args!("supervised      {supervised}"))?;
    for (title, what, found) in [
        ("Predecessors", "they link to it", &json.predecessors),
        ("Successors", "it links to them", &json.successors),
    ] {
        heading(io, title, what)?;
        let mut table = Table::default();
        for neighbour in found {
            let holds = neighbour.holds.as_ref().map_or_else(String::new, |held| {
                format!("holds commit {} {}", held.commit, short(&held.hash))
            });
            table.plain([
                neighbour.block.clone(),
                format!("commit {}", neighbour.commit),
                short(&neighbour.hash),
                holds,
            ]);
        }
        if found.is_empty() {
            table.plain(["none".to_owned()]);
        }
        table.print(io, "  ")?;
    }
    heading(io, "Genes", "what its newest version says of them")?;
    let mut table = Table::default();
    for gene in &json.genes {
        table.plain([
            gene.block.clone(),
            format!("commit {}", gene.commit),
            short(&gene.hash),
        ]);
    }
    if json.genes.is_empty() {
        table.plain(["none".to_owned()]);
    }
    table.print(io, "  ")
}

/// The first digits of a hash: enough for people to compare.
fn short(hash: &str) -> String {
    hash.chars().take(16).collect()
}
