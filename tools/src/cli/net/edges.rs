//! `blocknet net edges`.

use std::path::PathBuf;

use serde::Serialize;

use super::super::error::Result;
use super::super::io::Io;
use super::super::text::hex;
use super::super::{DONE, store};
use super::AfterArgs;

/// Print the edge registry: the blocks that no other block supervises, and its head
///
/// The newest registry is read as it is stored; a past one is found by looking at every block. The
/// head goes to standard error, with --json to the last line.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The store's directory
    dir: PathBuf,
    #[command(flatten)]
    after: AfterArgs,
}

#[derive(Serialize)]
struct EdgeJson {
    block: String,
    commit: u64,
    hash: String,
}

#[derive(Serialize)]
struct HeadJson {
    registry_head: String,
    as_of: u64,
    blocks: u64,
}

pub(crate) fn run(args: &Args, io: &mut Io<'_>) -> Result<u8> {
    let net = store::read(&args.dir, io)?;
    let view = net.now_view()?;
    let linked = args.after.linked(&view)?;
    let mut blocks = 0;
    for edge in linked.registry()? {
        let (block, held) = edge?;
        blocks += 1;
        let edge = EdgeJson {
            block: block.to_string(),
            commit: held.commit,
            hash: hex(&held.hash.0),
        };
        if io.is_json() {
            io.object(&edge)?;
        } else {
            io.line(format_args!(
                "{}  commit {}  {}",
                edge.block, edge.commit, edge.hash
            ))?;
        }
    }
    let head = HeadJson {
        registry_head: hex(&linked.registry_head()?.0),
        as_of: linked.commit(),
        blocks,
    };
    if io.is_json() {
        io.object(&head)?;
    } else {
        io.note(format_args!(
            "{blocks} blocks in the registry after commit {}; its head is {}",
            head.as_of, head.registry_head
        ))?;
    }
    Ok(DONE)
}
