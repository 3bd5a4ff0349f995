//! `blocknet net stats`.

use std::path::PathBuf;

use serde::Serialize;

use super::super::error::Result;
use super::super::io::{BAD, GOOD, Io};
use super::super::text::{Table, grouped};
use super::super::{DONE, store};
use super::report::{Report, heading, ratio};

const FORMAT_VERSION: u32 = 1;

/// Count the net's links, degrees, rounds and safety, and who is supervised
///
/// Reads every block version once. What is printed is counted from the rows as they are stored:
/// in a sound net all blocks are supervised, none are linked both ways, and there is no cycle.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The store's directory
    dir: PathBuf,
}

#[derive(Serialize)]
struct StatsJson {
    version: u32,
    commit: u64,
    #[serde(flatten)]
    report: Report,
    supervised: u64,
    supervised_share: f64,
    versions: u64,
    gene_covered: u64,
    gene_covered_share: f64,
    registry_share: f64,
}

pub(crate) fn run(args: &Args, io: &mut Io<'_>) -> Result<u8> {
    let net = store::read(&args.dir, io)?;
    let view = net.now_view()?;
    let linked = view.linked(None)?;
    let stats = linked.stats()?;
    let blocks = stats.measures.blocks;
    let report = Report::new(&stats.graph, &stats.measures, stats.registry, |block| {
        block.to_string()
    });
    let json = StatsJson {
        version: FORMAT_VERSION,
        commit: linked.commit(),
        report,
        supervised: stats.supervised,
        supervised_share: share(stats.supervised, blocks),
        versions: stats.versions,
        gene_covered: stats.gene_covered,
        gene_covered_share: share(stats.gene_covered, stats.versions),
        registry_share: ratio(stats.registry, blocks),
    };
    if io.is_json() {
        io.object(&json)?;
        return Ok(DONE);
    }
    json.report.print(io)?;
    heading(
        io,
        "Supervision",
        "whose newest version its successors or the registry hold, and which versions are genes",
    )?;
    let mut table = Table::headed(&["", "", "share"]).right(&[1, 2]);
    let percent = |share: f64| format!("{:.1}%", 100.0 * share);
    let is_sound = json.supervised == blocks;
    for (what, count, share, style) in [
        (
            "blocks supervised",
            json.supervised,
            json.supervised_share,
            if is_sound { GOOD } else { BAD },
        ),
        (
            "of them in the registry",
            stats.registry,
            json.registry_share,
            anstyle::Style::new(),
        ),
        (
            "versions covered by a gene",
            json.gene_covered,
            json.gene_covered_share,
            anstyle::Style::new(),
        ),
    ] {
        table.row([
            (what.to_owned(), anstyle::Style::new()),
            (grouped(count), anstyle::Style::new()),
            (percent(share), style),
        ]);
    }
    table.print(io, "  ")?;
    Ok(DONE)
}

/// Nothing is missing where there is nothing.
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 1.0 } else { ratio(part, whole) }
}
