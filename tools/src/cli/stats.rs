//! `blocknet stats`.

use std::path::PathBuf;

use blocknet_engine::Rows;
use serde::Serialize;

use super::create::SpecJson;
use super::error::Result;
use super::io::Io;
use super::layer::{LayerJson, print_layers};
use super::text::{Table, counted, grouped, hex, length};
use super::{DONE, store};

/// Print what a store holds and how large it is
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The store's directory
    dir: PathBuf,
}

#[derive(Serialize)]
struct Stats {
    id: String,
    spec: SpecJson,
    commits: u64,
    blocks: u64,
    entities: u64,
    versions: u64,
    live: u64,
    levels: Vec<LevelJson>,
    journal_bytes: u64,
    tables_bytes: u64,
    /// Commits of the newest checkpoint noted as kept outside; null if there is none.
    exported: Option<u64>,
    /// Commits since.
    exposed: u64,
    layers: Vec<LayerJson>,
}

/// A level under which anything was ever filed.
#[derive(Serialize)]
struct LevelJson {
    /// Digits of its cells.
    level: u8,
    /// Entities that answer now.
    live: u64,
    /// Rows of the history: other versions, and the ends of intervals.
    past: u64,
}

pub(crate) fn run(args: &Args, io: &mut Io<'_>) -> Result<u8> {
    let net = store::read(&args.dir, io)?;
    let view = net.now_view()?;
    let (journal_bytes, tables_bytes) = net.disk_bytes()?;
    let layers: Vec<LayerJson> = view.layers().map(|(_, state)| state.into()).collect();
    let exported = match net.exported() {
        Ok(exported) => exported.map(|checkpoint| checkpoint.size()),
        Err(error) => {
            io.warn(error)?;
            None
        }
    };
    let stats = Stats {
        exported,
        exposed: view.newest_commit().saturating_sub(exported.unwrap_or(0)),
        id: hex(net.id()),
        spec: net.spec().into(),
        commits: view.newest_commit(),
        blocks: view.block_count(),
        entities: layers.iter().map(|layer| layer.entities).sum(),
        versions: layers.iter().map(|layer| layer.versions).sum(),
        live: layers.iter().map(|layer| layer.live).sum(),
        levels: view
            .levels()
            .map(|(level, Rows { live, past })| LevelJson { level, live, past })
            .collect(),
        journal_bytes,
        tables_bytes,
        layers,
    };
    if io.is_json() {
        io.object(&stats)?;
        return Ok(DONE);
    }
    let mut table = Table::default().right(&[1]);
    for (what, number) in [
        ("commits", stats.commits),
        ("blocks", stats.blocks),
        ("entities", stats.entities),
        ("versions", stats.versions),
        ("live", stats.live),
    ] {
        table.plain([what.to_owned(), grouped(number)]);
    }
    table.plain(["journal".to_owned(), length(journal_bytes)]);
    table.plain(["tables".to_owned(), length(tables_bytes)]);
    table.print(io, "")?;
    io.line("")?;
    print_layers(&stats.layers, io)?;
    io.line("")?;
    io.line(match stats.exported {
        Some(size) => format!(
            "checkpoint outside: of commit {}, {} since",
            grouped(size),
            counted(stats.exposed, "commit", "commits")
        ),
        None => "checkpoint outside: none; see `blocknet checkpoint`".to_owned(),
    })?;
    io.line(format_args!("geocodes: {}", stats.spec.text()))?;
    if stats.levels.is_empty() {
        io.line("levels in use: none yet")?;
        return Ok(DONE);
    }
    io.line("levels in use:")?;
    let mut table = Table::headed(&["digits", "live rows", "past rows"]).right(&[0, 1, 2]);
    for LevelJson { level, live, past } in &stats.levels {
        table.plain([level.to_string(), grouped(*live), grouped(*past)]);
    }
    table.print(io, "  ")?;
    Ok(DONE)
}
