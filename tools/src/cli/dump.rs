//! `blocknet dump`: what is stored, for a person to look at.

use std::ops::{ControlFlow, RangeInclusive};
use std::path::PathBuf;

use blocknet_engine::Moment;
use blocknet_engine::dump::{
    Entry, Fields, JournalSelection, OnEntry, TableSelection, Value, table_names,
};
use clap::Subcommand;
use clap::builder::PossibleValuesParser;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::error::Result;
use super::io::{BAD, DIM, HEADING, Io};
use super::text::hex;
use super::{DONE, store};

const AFTER_HELP: &str = "\
Reads past damage and says where it is. Changes no byte, and works on a store that cannot be opened. \
Nobody may have it open for writing meanwhile. `verify` says whether what is shown is right.";

/// Show stored bytes decoded field by field
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// The store's directory
    dir: PathBuf,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Journal(JournalArgs),
    Table(TableArgs),
}

/// The segments of the journal: pages, commits, marks, footers, damage
#[derive(Debug, clap::Args)]
struct JournalArgs {
    /// Only this segment
    #[arg(long, value_name = "N")]
    segment: Option<u64>,
    /// Only these commits, and damage where one of them may have stood; N.. is N and all after it
    #[arg(long, value_name = "N[..M]", value_parser = commits)]
    commit: Option<RangeInclusive<u64>>,
    #[command(flatten)]
    shown: Shown,
}

/// The rows of a table, as they stand there
#[derive(Debug, clap::Args)]
struct TableArgs {
    /// The table
    #[arg(value_parser = PossibleValuesParser::new(table_names()))]
    table: String,
    /// Only rows whose keys begin with these bytes
    #[arg(long, value_name = "HEX", value_parser = prefix)]
    prefix: Option<Prefix>,
    /// At most so many rows
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    #[command(flatten)]
    shown: Shown,
}

#[derive(Debug, clap::Args)]
struct Shown {
    /// Show the stored bytes as well, in hexadecimal digits
    #[arg(long)]
    bytes: bool,
    /// Leave out payloads and their salts
    #[arg(long)]
    no_payload: bool,
}

#[derive(Clone, Debug)]
struct Prefix(Vec<u8>);

fn prefix(text: &str) -> Result<Prefix, String> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|digit| {
            digit
                .to_digit(16)
                .and_then(|digit| u8::try_from(digit).ok())
        })
        .collect();
    match digits {
        Some(digits) if digits.len().is_multiple_of(2) => Ok(Prefix(
            digits
                .chunks(2)
                .map(|pair| pair[0] << 4 | pair[1])
                .collect(),
        )),
        _ => Err("write whole bytes, two hexadecimal digits each".to_owned()),
    }
}

fn commits(text: &str) -> Result<RangeInclusive<u64>, String> {
    let number = |text: &str| text.parse::<u64>().ok();
    let range = match text.split_once("..") {
        None => number(text).map(|only| only..=only),
        Some((from, "")) => number(from).map(|from| from..=u64::MAX),
        Some((from, to)) => number(from).zip(number(to)).map(|(from, to)| from..=to),
    };
    range
        .filter(|range| !range.is_empty())
        .ok_or_else(|| "write a commit's number, 12, or several, 12..15".to_owned())
}

pub(crate) fn run(args: &Args, io: &mut Io<'_>) -> Result<u8> {
    // The engine knows nothing of what went wrong with the answer.
    let mut failed = None;
    let mut on_entry = |entry: Entry| match show(&entry, io) {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => {
            failed = Some(error);
            ControlFlow::Break(())
        }
    };
    let on_entry: &mut OnEntry<'_> = &mut on_entry;
    let builder = store::builder();
    let result = match &args.what {
        What::Journal(journal) => {
            let selection = JournalSelection {
                segment: journal.segment,
                commits: journal.commit.clone(),
                payloads: !journal.shown.no_payload,
                bytes: journal.shown.bytes,
            };
            builder.dump_journal(&args.dir, &selection, on_entry)
        }
        What::Table(table) => {
            let selection = TableSelection {
                prefix: table
                    .prefix
                    .clone()
                    .map_or_else(Vec::new, |prefix| prefix.0),
                limit: table.limit,
                payloads: !table.shown.no_payload,
                bytes: table.shown.bytes,
                ..TableSelection::of(&table.table)
            };
            builder.dump_table(&args.dir, &selection, on_entry)
        }
    };
    if let Some(error) = failed {
        return Err(error);
    }
    result?;
    Ok(DONE)
}

fn show(entry: &Entry, io: &mut Io<'_>) -> Result<()> {
    if io.is_json() {
        return io.object(&EntryJson(entry));
    }
    let mut place = Vec::new();
    if let Some(file) = &entry.file {
        place.push(file.clone());
    }
    if let Some(table) = entry.table {
        place.push(table.to_owned());
    }
    if let Some(key) = &entry.key {
        place.push(hex(key));
    }
    if let Some(offset) = entry.offset_bytes {
        place.push(format!("at {offset}"));
    }
    let len = entry.len_bytes.map(|len| format!(", {len} bytes"));
    let place = place.join(" ") + &len.unwrap_or_default();
    let wrong = is_wrong(entry.kind);
    let kind = io.paint(if wrong { BAD } else { HEADING }, entry.kind);
    let place = io.paint(DIM, place);
    io.line(format_args!("{kind}: {place}"))?;
    print_fields(&entry.fields, 1, io)
}

/// Whether something of this kind asks for attention.
fn is_wrong(kind: &str) -> bool {
    ["undecoded", "unreadable", "damage", "missing", "lost"]
        .iter()
        .any(|word| kind.starts_with(word))
}

fn print_fields(fields: &Fields, depth: usize, io: &mut Io<'_>) -> Result<()> {
    let indent = "  ".repeat(depth);
    for (name, value) in fields {
        let words = name.replace('_', " ");
        match value {
            Value::Map(fields) => {
                io.line(format_args!("{indent}{words}:"))?;
                print_fields(fields, depth + 1, io)?;
            }
            Value::List(items) if items.iter().any(|item| matches!(item, Value::Map(_))) => {
                io.line(format_args!("{indent}{words}: {}", items.len()))?;
                for item in items {
                    print_item(item, depth + 1, io)?;
                }
            }
            value => {
                let text = plain(value);
                let space = if text.is_empty() { "" } else { " " };
                io.line(format_args!("{indent}{words}:{space}{text}"))?;
            }
        }
    }
    Ok(())
}

/// One of several: its first field stands behind a hyphen, the others below it.
fn print_item(item: &Value, depth: usize, io: &mut Io<'_>) -> Result<()> {
    let indent = "  ".repeat(depth);
    let Value::Map(fields) = item else {
        return io.line(format_args!("{indent}- {}", plain(item)));
    };
    let Some(((name, value), rest)) = fields.split_first() else {
        return io.line(format_args!("{indent}-"));
    };
    io.line(format_args!(
        "{indent}- {}: {}",
        name.replace('_', " "),
        plain(value)
    ))?;
    print_fields(&rest.to_vec(), depth + 1, io)
}

/// A value on one line. A stored text stays on one line whatever it holds.
fn plain(value: &Value) -> String {
    match value {
        Value::None => "none".to_owned(),
        Value::Flag(true) => "yes".to_owned(),
        Value::Flag(false) => "no".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Signed(number) => number.to_string(),
        Value::Real(number) => number.to_string(),
        Value::Moment(moment) => moment_text(*moment),
        Value::Text(text) if text.chars().any(char::is_control) => text.escape_debug().to_string(),
        Value::Text(text) => text.clone(),
        Value::Hex(bytes) => hex(bytes),
        Value::List(items) if items.is_empty() => "none".to_owned(),
        Value::List(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Map(fields) => {
            let parts = fields
                .iter()
                .map(|(name, value)| format!("{name} {}", plain(value)));
            parts.collect::<Vec<_>>().join(", ")
        }
        other => format!("{other:?}"),
    }
}

/// A moment that no calendar has is shown as the number that is stored.
fn moment_text(moment: Moment) -> String {
    if moment.is_date() || moment == Moment::MIN || moment == Moment::MAX {
        moment.to_string()
    } else {
        format!("{} microseconds from 1970", moment.as_micros())
    }
}

struct EntryJson<'e>(&'e Entry);

impl Serialize for EntryJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let entry = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("schema", "blocknet.dump/1")?;
        map.serialize_entry("kind", entry.kind)?;
        if let Some(file) = &entry.file {
            map.serialize_entry("file", file)?;
        }
        if let Some(offset) = entry.offset_bytes {
            map.serialize_entry("offset", &offset)?;
        }
        if let Some(table) = entry.table {
            map.serialize_entry("table", table)?;
        }
        if let Some(key) = &entry.key {
            map.serialize_entry("key_hex", &hex(key))?;
        }
        if let Some(len) = entry.len_bytes {
            map.serialize_entry("len", &len)?;
        }
        for (name, value) in &entry.fields {
            map.serialize_entry(name, &ValueJson(value))?;
        }
        map.end()
    }
}

struct ValueJson<'v>(&'v Value);

impl Serialize for ValueJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::None => serializer.serialize_none(),
            Value::Flag(flag) => serializer.serialize_bool(*flag),
            Value::Number(number) => serializer.serialize_u64(*number),
            Value::Signed(number) => serializer.serialize_i64(*number),
            Value::Real(number) => serializer.serialize_f64(*number),
            Value::Moment(moment) => serializer.serialize_str(&moment_text(*moment)),
            Value::Text(text) => serializer.serialize_str(text),
            Value::Hex(bytes) => serializer.serialize_str(&hex(bytes)),
            Value::List(items) => serializer.collect_seq(items.iter().map(ValueJson)),
            Value::Map(fields) => {
                serializer.collect_map(fields.iter().map(|(name, value)| (name, ValueJson(value))))
            }
            other => serializer.serialize_str(&format!("{other:?}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_are_one_or_a_range() {
        assert_eq!(commits("12"), Ok(12..=12));
        assert_eq!(commits("12..15"), Ok(12..=15));
        assert_eq!(commits("12.."), Ok(12..=u64::MAX));
        for text in ["", "x", "..3", "5..4", "1-2"] {
            assert!(commits(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_prefix_is_whole_bytes() {
        assert_eq!(prefix("00fF").map(|prefix| prefix.0), Ok(vec![0, 255]));
        assert!(prefix("0").is_err() && prefix("0g").is_err());
    }

    #[test]
    fn a_stored_text_stays_on_its_line() {
        let text = Value::Text("a\nb \u{1b}[31m".to_owned());
        assert_eq!(plain(&text), "a\\nb \\u{1b}[31m");
        assert_eq!(
            plain(&Value::Moment(Moment::from_micros(1 << 62))),
            format!("{} microseconds from 1970", 1_u64 << 62)
        );
    }
}
