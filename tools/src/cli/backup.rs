//! `blocknet backup` and `blocknet restore`.

use std::path::PathBuf;

use blocknet_engine::backup::{Backup, Restored, TableFiles, TablesFrom, Until};
use blocknet_engine::{Moment, SystemClock};
use serde::Serialize;

use super::args::{instant, time_zone};
use super::error::Result;
use super::io::{GOOD, Io};
use super::text::{counted, hex, length};
use super::verify::{bar, on_progress};
use super::{DONE, store};
use crate::input::DayEdge;

const AFTER_BACKUP: &str = "\
The target must be absent, empty, or an earlier backup of this store, which is then brought up to \
date: segments of the journal that it holds already are not copied again. A backup is a store \
itself: `verify` checks it, and every command that reads can be used on it. A run that was cut off \
is simply made again.

The journal is always copied. The files of the tables, which are made once and never changed, are \
shared with the store by hard links where both are on one file system, so that a failing disk \
fails both; --copy copies them too. A backup on the same disk saves from mistakes, not from the \
loss of the disk.";

const AFTER_RESTORE: &str = "\
The target must be absent or empty. The backup is not changed, and shares no file with what is \
restored, which is verified before it is put in place. A run that was cut off leaves a directory \
that does not open, and is simply made again.

With --to-commit or --as-of the store is restored to an earlier point, and all later commits are \
left out: a checkpoint exported after that point will show it.";

/// Copy a store, whole or what is new since the last time
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_BACKUP)]
pub(crate) struct BackupArgs {
    /// The store's directory
    dir: PathBuf,
    /// Where the backup is, or is to be
    target: PathBuf,
    /// Copy the files of the tables as well, instead of sharing them by hard links
    #[arg(long)]
    copy: bool,
}

/// Make a store from a backup, as it is or as it was at an earlier point
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_RESTORE)]
pub(crate) struct RestoreArgs {
    /// The backup's directory
    backup: PathBuf,
    /// Where the store is to be: absent or empty
    target: PathBuf,
    /// Only up to this commit
    #[arg(long, value_name = "N", conflicts_with = "as_of")]
    to_commit: Option<u64>,
    /// Only up to the last commit that was written at or before this time, by the clock the store
    /// had, whatever recorded time the commit states; a date means its end
    #[arg(long, value_name = "TIME")]
    as_of: Option<String>,
    /// Zone of times and dates without an offset [default: UTC]
    #[arg(long, value_name = "IANA")]
    time_zone: Option<String>,
}

#[derive(Serialize)]
struct TablesJson<'r> {
    /// `files`, `journal` or `memory`.
    from: &'static str,
    commit: Option<u64>,
    why: Option<&'r str>,
}

impl<'r> From<&'r TablesFrom> for TablesJson<'r> {
    fn from(tables: &'r TablesFrom) -> Self {
        let (from, commit, why) = match tables {
            TablesFrom::Files { commit } => ("files", Some(*commit), None),
            TablesFrom::Journal { why } => ("journal", None, Some(why.as_str())),
            _ => ("memory", None, None),
        };
        Self { from, commit, why }
    }
}

/// The document of `backup --json`.
#[derive(Serialize)]
struct BackupJson<'r> {
    schema: &'static str,
    store: String,
    commits: u64,
    head: String,
    new_commits: u64,
    tables: TablesJson<'r>,
    segments_copied: u64,
    segments_kept: u64,
    copied_bytes: u64,
    linked_bytes: u64,
    kept_bytes: u64,
}

/// The document of `restore --json`.
#[derive(Serialize)]
struct RestoreJson<'r> {
    schema: &'static str,
    store: String,
    commits: u64,
    head: String,
    written: String,
    left_out: u64,
    /// The commit that orders again what left-out commits had erased.
    erasure: Option<u64>,
    tables: TablesJson<'r>,
    copied_bytes: u64,
}

pub(crate) fn backup(args: &BackupArgs, io: &mut Io<'_>) -> Result<u8> {
    let files = if args.copy {
        TableFiles::Copied
    } else {
        TableFiles::Linked
    };
    let bar = bar(io, "copying");
    let made = store::builder().backup(&args.dir, &args.target, files, &on_progress(&bar));
    bar.finish_and_clear();
    let made: Backup = made?;
    if io.is_json() {
        io.object(&BackupJson {
            schema: "blocknet.backup/1",
            store: hex(&made.net),
            commits: made.commits,
            head: made.head.to_string(),
            new_commits: made.new_commits,
            tables: (&made.tables).into(),
            segments_copied: made.segments_copied,
            segments_kept: made.segments_kept,
            copied_bytes: made.copied_bytes,
            linked_bytes: made.linked_bytes,
            kept_bytes: made.kept_bytes,
        })?;
        return Ok(DONE);
    }
    io.line(format_args!(
        "{}, {} since the last backup here",
        counted(made.commits, "commit", "commits"),
        counted(made.new_commits, "new one", "new ones"),
    ))?;
    io.line(format_args!("newest: {} {}", made.commits, made.head))?;
    io.line(format_args!(
        "journal: {} copied, {} there already",
        counted(made.segments_copied, "segment", "segments"),
        made.segments_kept
    ))?;
    io.line(format_args!("tables: {}", made.tables))?;
    io.line(format_args!(
        "{} copied, {} shared with the store, {} there already",
        length(made.copied_bytes),
        length(made.linked_bytes),
        length(made.kept_bytes)
    ))?;
    let done = io.paint(GOOD.bold(), "backed up");
    io.line(format_args!("{done} to {}", args.target.display()))?;
    Ok(DONE)
}

pub(crate) fn restore(args: &RestoreArgs, io: &mut Io<'_>) -> Result<u8> {
    let until = match (args.to_commit, args.as_of.as_deref()) {
        (Some(commit), _) => Until::Commit(commit),
        (None, Some(text)) => {
            let zone = time_zone(args.time_zone.as_deref())?;
            let now = blocknet_engine::Clock::now(&SystemClock);
            let time = instant("--as-of", text, &zone, DayEdge::End, now)?;
            Until::Written(Moment::from_micros(time.micros()))
        }
        (None, None) => Until::Newest,
    };
    let bar = bar(io, "verifying");
    let restored = store::builder().restore(&args.backup, &args.target, until, &on_progress(&bar));
    bar.finish_and_clear();
    let restored: Restored = restored?;
    if io.is_json() {
        io.object(&RestoreJson {
            schema: "blocknet.restore/1",
            store: hex(&restored.net),
            commits: restored.commits,
            head: restored.head.to_string(),
            written: restored.written.to_string(),
            left_out: restored.left_out,
            erasure: restored.erasure,
            tables: (&restored.tables).into(),
            copied_bytes: restored.copied_bytes,
        })?;
    } else {
        io.line(format_args!(
            "{}, the newest written {}: {}",
            counted(restored.commits, "commit", "commits"),
            restored.written,
            restored.head
        ))?;
        if let Some(commit) = restored.erasure {
            io.line(format_args!(
                "commit {commit} says again what later commits had erased: it stays erased"
            ))?;
        }
        io.line(format_args!("tables: {}", restored.tables))?;
        io.line(format_args!("{} written", length(restored.copied_bytes)))?;
        let done = io.paint(GOOD.bold(), "restored");
        io.line(format_args!(
            "{done} to {}, and verified",
            args.target.display()
        ))?;
    }
    if restored.left_out > 0 {
        io.warn(format_args!(
            "this is a rollback: {} of the backup {} left out. A checkpoint exported after commit \
             {} will not fit this store, nor will later backups of the store it was made from",
            counted(restored.left_out, "later commit", "later commits"),
            if restored.left_out == 1 {
                "was"
            } else {
                "were"
            },
            restored.commits
        ))?;
    }
    Ok(DONE)
}
