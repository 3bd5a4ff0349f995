//! `blocknet query`.

use std::path::PathBuf;

use blocknet_query::search;
use serde::Serialize;

use super::args::{SelectArgs, ViewArgs};
use super::error::Result;
use super::io::Io;
use super::render::{Renderer, feature};
use super::text::{counted, grouped};
use super::{DONE, store};

/// Print what is in an area at a moment, one Feature per line
///
/// A record is a state that holds at --valid-at, as far as the store knew --as-of. It matches when
/// its geometry meets the closed box and its height the band. Without --present-when every state
/// counts.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The store's directory
    dir: PathBuf,
    #[command(flatten)]
    select: SelectArgs,
    #[command(flatten)]
    view: ViewArgs,
    /// Print the number of records only
    #[arg(long)]
    count: bool,
    /// Stop after this many records
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Add a member `blocknet`: layer, interval, commit, recorded and written time, geocode
    #[arg(long, conflicts_with = "count")]
    meta: bool,
}

#[derive(Serialize)]
struct CountJson {
    #[serde(rename = "count")]
    records: u64,
    unknown_height: u64,
    as_of: String,
    valid_at: String,
}

pub(crate) fn run(args: &Args, io: &mut Io<'_>) -> Result<u8> {
    let net = store::read(&args.dir, io)?;
    let when = args.view.resolve(&net)?;
    let view = net.view(when.as_of, when.valid)?;
    let choice = args.select.resolve(&view, false)?;
    let selection = choice.selection();
    let mut renderer = Renderer::new(&view, &when.zone);
    let limit = args.limit.unwrap_or(u64::MAX);
    let mut count = 0;
    let mut found = search(&view, &selection)?;
    while count < limit {
        let Some(record) = found.next().transpose()? else {
            break;
        };
        count += 1;
        if args.meta {
            io.line(renderer.with_meta(&record)?)?;
        } else if !args.count {
            io.bytes_line(feature(&record).as_bytes())?;
        }
    }
    let unknown_height = found.unknown_height();
    if args.count && io.is_json() {
        io.object(&CountJson {
            records: count,
            unknown_height,
            as_of: when.as_of_text(),
            valid_at: when.valid.to_string(),
        })?;
        return Ok(DONE);
    }
    if args.count {
        io.line(count)?;
    }
    let unknown = match unknown_height {
        0 => String::new(),
        unknown => format!(", {} of them of unknown height", grouped(unknown)),
    };
    io.note(format_args!(
        "{}: {when}{unknown}",
        counted(count, "record", "records")
    ))?;
    Ok(DONE)
}
