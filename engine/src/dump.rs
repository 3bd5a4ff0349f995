//! Everything that is stored, decoded field by field for a person to look at: the journal's segments
//! and the rows of the tables, past any damage. Nothing is written, and nothing is judged beyond
//! "this cannot be decoded"; that is what [`crate::verify`] is for.
//!
//! Entries come out one by one, in the order of the bytes. What is in memory at any time is the one
//! entry, or the frame or row it is made of.

mod fields;
mod journal;
mod tables;
#[cfg(test)]
mod tests;

use std::ops::{ControlFlow, RangeInclusive};
use std::path::Path;

use crate::error::{Error, Result};
use crate::key;
use crate::open::NetBuilder;
use crate::time::Moment;

/// Names and values, in stored order.
pub type Fields = Vec<(&'static str, Value)>;

/// What a field holds.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// Nothing: unknown, or not given.
    None,
    /// Yes or no.
    Flag(bool),
    /// A whole number, not negative.
    Number(u64),
    /// A whole number.
    Signed(i64),
    /// A number as it is stored, in IEEE 754.
    Real(f64),
    /// A moment.
    Moment(Moment),
    /// Words, or a stored text.
    Text(String),
    /// Bytes, hashes among them.
    Hex(Vec<u8>),
    /// Several of one kind.
    List(Vec<Self>),
    /// A structure.
    Map(Fields),
}

/// One thing that is stored: a page, a frame, a stretch of a file, a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// What it is, in words. What could not be decoded is of a kind that begins with
    /// "undecoded".
    pub kind: &'static str,
    /// Its file, relative to the net's directory.
    pub file: Option<String>,
    /// Where it begins in the file.
    pub offset_bytes: Option<u64>,
    /// How long it is: in the file, or of a row the value.
    pub len_bytes: Option<u64>,
    /// Its table.
    pub table: Option<&'static str>,
    /// The key of a row.
    pub key: Option<Vec<u8>>,
    /// What it holds.
    pub fields: Fields,
}

impl Entry {
    fn new(kind: &'static str) -> Self {
        Self {
            kind,
            file: None,
            offset_bytes: None,
            len_bytes: None,
            table: None,
            key: None,
            fields: Vec::new(),
        }
    }
}

/// What of the journal to show.
#[derive(Clone, Debug)]
pub struct JournalSelection {
    /// Only this segment.
    pub segment: Option<u64>,
    /// Only these commits, and the damage where one of them may have stood.
    pub commits: Option<RangeInclusive<u64>>,
    /// Payloads as well; by default they are shown.
    pub payloads: bool,
    /// The stored bytes as well; of damage at most the first [`BYTES_SHOWN_MAX`].
    pub bytes: bool,
}

impl Default for JournalSelection {
    fn default() -> Self {
        Self {
            segment: None,
            commits: None,
            payloads: true,
            bytes: false,
        }
    }
}

/// What of a table to show.
#[derive(Clone, Debug)]
pub struct TableSelection {
    /// Name of the table, one of [`table_names`].
    pub table: String,
    /// Only rows whose keys begin so.
    pub prefix: Vec<u8>,
    /// At most so many rows.
    pub limit: Option<u64>,
    /// Payloads as well; by default they are shown.
    pub payloads: bool,
    /// The stored bytes of values as well.
    pub bytes: bool,
}

impl TableSelection {
    /// All of a table.
    pub fn of(table: impl Into<String>) -> Self {
        Self {
            table: table.into(),
            prefix: Vec::new(),
            limit: None,
            payloads: true,
            bytes: false,
        }
    }
}

/// Bytes shown of a damaged stretch.
pub const BYTES_SHOWN_MAX: usize = 64 << 10;

/// Takes entries until it says stop.
pub type OnEntry<'a> = dyn FnMut(Entry) -> ControlFlow<()> + 'a;

/// The tables of a net.
pub fn table_names() -> impl Iterator<Item = &'static str> {
    key::SCHEMA.iter().map(|spec| spec.name)
}

impl NetBuilder {
    /// Shows what the files of the journal hold, sound or not, in order of place; changes no byte,
    /// and works on a net that cannot be opened.
    ///
    /// # Errors
    /// * [`ErrorKind::NotFound`](crate::ErrorKind::NotFound): there is no net here, or no such
    ///   segment.
    /// * [`ErrorKind::Locked`](crate::ErrorKind::Locked): somebody has it open for writing.
    /// * [`ErrorKind::Io`](crate::ErrorKind::Io): something cannot be read. Damage is an entry, not
    ///   an error.
    pub fn dump_journal(
        &self,
        dir: impl AsRef<Path>,
        selection: &JournalSelection,
        on_entry: &mut OnEntry<'_>,
    ) -> Result<()> {
        let dir = dir.as_ref();
        let (_lock, env) = self.look(dir)?;
        journal::dump(self, &env, dir, selection, on_entry)
    }

    /// Shows the rows of a table as they stand there, in order of key, past what cannot be read;
    /// changes no byte, and works on a net that cannot be opened. Commits that the tables lack are
    /// not brought up.
    ///
    /// # Errors
    /// * [`ErrorKind::NotFound`](crate::ErrorKind::NotFound): there is no net here.
    /// * [`ErrorKind::Locked`](crate::ErrorKind::Locked): somebody has it open for writing.
    /// * [`ErrorKind::Invalid`](crate::ErrorKind::Invalid): there is no such table.
    /// * [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt): the tables cannot be opened at all.
    /// * [`ErrorKind::Io`](crate::ErrorKind::Io): something cannot be read. Damage is an entry, not
    ///   an error.
    pub fn dump_table(
        &self,
        dir: impl AsRef<Path>,
        selection: &TableSelection,
        on_entry: &mut OnEntry<'_>,
    ) -> Result<()> {
        let dir = dir.as_ref();
        let table = (0..)
            .zip(table_names())
            .find_map(|(index, name)| (name == selection.table).then_some(index));
        let table = table.ok_or_else(|| {
            let names: Vec<_> = table_names().collect();
            Error::invalid(format!(
                "there is no table `{}`; the tables are {}",
                selection.table,
                names.join(", ")
            ))
        })?;
        let (_lock, env) = self.look(dir)?;
        tables::dump(
            self,
            &env,
            dir,
            blocknet_kv::Table(table),
            selection,
            on_entry,
        )
    }
}
