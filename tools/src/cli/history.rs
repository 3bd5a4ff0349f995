//! `blocknet history`.

use std::path::PathBuf;

use anstyle::Style;
use blocknet_engine::Record;
use blocknet_query::Compare;
use serde::Serialize;
use serde_json::value::RawValue;

use super::args::ViewArgs;
use super::compare::FeatureCompare;
use super::error::Result;
use super::io::{BAD, CHANGED, DIM, GOOD, HEADING, Io};
use super::render::{Meta, Renderer, stored};
use super::text::{Table, counted};
use super::{DONE, FOUND, store};

/// Print everything ever stated about an entity, oldest first
///
/// A version says what holds from when to when, who stated it and when it was recorded. Later
/// versions override earlier ones where they overlap. Exit code 1 when the id is unknown.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The store's directory
    dir: PathBuf,
    /// The entity's id
    #[arg(allow_negative_numbers = true)]
    id: String,
    /// In these layers [default: all]
    #[arg(long, value_name = "NAME[,...]", value_delimiter = ',')]
    layer: Vec<String>,
    /// What the store knew then: recorded time, a date meaning its end; or commit:N [default: all
    /// it knows]
    #[arg(long, value_name = "TIME")]
    as_of: Option<String>,
    /// Zone of times and dates without an offset [default: UTC]
    #[arg(long, value_name = "IANA")]
    time_zone: Option<String>,
}

#[derive(Serialize)]
struct VersionJson {
    #[serde(flatten)]
    meta: Meta,
    absent: bool,
    changed: Vec<&'static str>,
    feature: Option<Box<RawValue>>,
}

pub(crate) fn run(args: &Args, io: &mut Io<'_>) -> Result<u8> {
    let net = store::read(&args.dir, io)?;
    let when = ViewArgs {
        as_of: args.as_of.clone(),
        valid_at: None,
        time_zone: args.time_zone.clone(),
    }
    .resolve(&net)?;
    let view = net.view(when.as_of, when.valid)?;
    let mut renderer = Renderer::new(&view, &when.zone);
    let mut found = false;
    for layer in store::layers(&view, &args.layer)? {
        let versions = view.history(layer, &args.id)?;
        if versions.is_empty() {
            continue;
        }
        if io.is_json() {
            print_json(&versions, &mut renderer, io)?;
        } else {
            if found {
                io.line("")?;
            }
            let name = renderer.layer(layer).to_owned();
            let count = counted(versions.len() as u64, "version", "versions");
            let title = io.paint(HEADING, format_args!("{name}/{}", args.id));
            io.line(format_args!("{title}: {count}"))?;
            print_text(&versions, &mut renderer, io)?;
        }
        found = true;
    }
    if !found {
        io.note(format_args!(
            "`{}` is unknown, as of {}",
            args.id,
            when.as_of_text()
        ))?;
        return Ok(FOUND);
    }
    Ok(DONE)
}

/// What a version changes against the one stated before it.
fn changed(before: Option<&Record>, after: &Record) -> Vec<&'static str> {
    match before {
        None => vec!["presence"],
        Some(before) if before.is_absence() != after.is_absence() => vec!["presence"],
        Some(_) if after.is_absence() => Vec::new(),
        Some(before) => FeatureCompare
            .aspects(before, after)
            .into_iter()
            .map(blocknet_query::Aspect::name)
            .collect(),
    }
}

fn pairs(versions: &[Record]) -> impl Iterator<Item = (Option<&Record>, &Record)> {
    let before = std::iter::once(None).chain(versions.iter().map(Some));
    before.zip(versions)
}

fn print_json(versions: &[Record], renderer: &mut Renderer<'_, '_>, io: &mut Io<'_>) -> Result<()> {
    for (before, version) in pairs(versions) {
        io.object(&VersionJson {
            meta: renderer.meta(version)?,
            absent: version.is_absence(),
            changed: changed(before, version),
            feature: stored(version),
        })?;
    }
    Ok(())
}

fn print_text(versions: &[Record], renderer: &mut Renderer<'_, '_>, io: &mut Io<'_>) -> Result<()> {
    let heading = [
        "version",
        "valid from",
        "until",
        "what",
        "kind",
        "recorded",
        "author",
    ];
    let mut table = Table::headed(&heading);
    let mut remarks = Vec::new();
    for (before, version) in pairs(versions) {
        let meta = renderer.meta(version)?;
        let (what, style) = if version.is_absence() {
            ("absent".to_owned(), BAD)
        } else if before.is_none_or(Record::is_absence) {
            ("present".to_owned(), GOOD)
        } else {
            let aspects = changed(before, version);
            (
                if aspects.is_empty() {
                    "the same".to_owned()
                } else {
                    aspects.join(", ")
                },
                CHANGED,
            )
        };
        let plain = Style::new();
        let recorded = match meta.basis {
            "clock" => meta.recorded.clone(),
            basis => format!("{} ({basis})", meta.recorded),
        };
        let about = match (meta.reason.as_str(), meta.source.as_str()) {
            ("", "") => None,
            (reason, "") => Some(reason.to_owned()),
            ("", source) => Some(format!("source: {source}")),
            (reason, source) => Some(format!("{reason}; source: {source}")),
        };
        remarks.extend(about.map(|about| (meta.version.clone(), about)));
        if let Some(by) = version.erased {
            let about = format!("payload erased by commit {by}");
            remarks.push((meta.version.clone(), about));
        }
        let open = match meta.until {
            "next" => "next",
            _ => "forever",
        };
        table.row([
            (meta.version, plain),
            (
                meta.valid_from.unwrap_or_else(|| "always".to_owned()),
                plain,
            ),
            (meta.valid_to.unwrap_or_else(|| open.to_owned()), plain),
            (what, style),
            (meta.kind.to_owned(), plain),
            (recorded, plain),
            (meta.author, plain),
        ]);
    }
    table.print(io, "  ")?;
    let mut about = Table::default();
    for (version, remark) in remarks {
        about.row([(version, DIM), (remark, DIM)]);
    }
    about.print(io, "  ")
}
