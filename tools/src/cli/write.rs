//! What writing commands print: outcomes and cost.

use blocknet_engine::{Cost, Outcome, Receipt};
use serde::Serialize;

use super::error::Result;
use super::io::Io;
use super::text::{counted, grouped, length};

/// What a command handed to disk, counted.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct CostJson {
    kv_writes: u64,
    kv_bytes: u64,
    journal_bytes: u64,
}

impl From<Cost> for CostJson {
    fn from(cost: Cost) -> Self {
        let Cost {
            kv_writes,
            kv_bytes,
            journal_bytes,
        } = cost;
        Self {
            kv_writes,
            kv_bytes,
            journal_bytes,
        }
    }
}

/// A cost in words.
pub(crate) fn cost_text(cost: &Cost) -> String {
    format!(
        "{} in the tables ({}), {} in the journal",
        counted(cost.kv_writes, "row", "rows"),
        length(cost.kv_bytes),
        length(cost.journal_bytes)
    )
}

#[derive(Serialize)]
struct WrittenJson<'a> {
    layer: &'a str,
    id: &'a str,
    version: Option<String>,
    commit: Option<u64>,
    recorded: String,
    basis: &'static str,
    unchanged: bool,
    overrides: Vec<String>,
    cost: CostJson,
}

/// Prints what came of one assertion.
pub(crate) fn print_receipt(
    receipt: &Receipt,
    layer: &str,
    id: &str,
    what: &str,
    io: &mut Io<'_>,
) -> Result<()> {
    let (version, overrides) = match receipt.outcomes.first() {
        Some(Outcome::Written { version, overrides }) => (Some(*version), overrides.as_slice()),
        _ => (None, &[][..]),
    };
    let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
    if io.is_json() {
        return io.object(&WrittenJson {
            layer,
            id,
            version: version.map(|version| version.to_string()),
            commit: receipt.commit,
            recorded: receipt.recorded.to_string(),
            basis: receipt.basis.name(),
            unchanged: version.is_none(),
            overrides,
            cost: receipt.cost.into(),
        });
    }
    let Some(version) = version else {
        return io.line(format_args!("{layer}/{id}: unchanged, nothing written"));
    };
    io.line(format_args!(
        "{layer}/{id}: {what} as version {version} in commit {}, recorded {}",
        grouped(version.commit),
        receipt.recorded
    ))?;
    if !overrides.is_empty() {
        io.line(format_args!("  overrides {}", overrides.join(", ")))?;
    }
    io.line(format_args!("  cost: {}", cost_text(&receipt.cost)))
}
