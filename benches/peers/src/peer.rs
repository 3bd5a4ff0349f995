//! `SQLite` with R*Tree.

use std::path::Path;

use blocknet::query::Window;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Result, Rows, Transaction, params};

use crate::{Change, Sum};

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Synchronous {
    /// The log is synced at checkpoints only.
    Normal,
    /// The log is synced at every commit.
    Full,
}

pub(crate) struct Peer(Connection);

impl Peer {
    pub(crate) fn create(file: &Path) -> Result<Self> {
        let connection = Connection::open(file)?;
        connection.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA cache_size = -262144; PRAGMA mmap_size = 1073741824;",
        )?;
        connection.execute_batch(include_str!("schema.sql"))?;
        Ok(Self(connection))
    }

    /// Moves everything from the log into the file.
    pub(crate) fn settle(&self) -> Result<()> {
        let busy: i64 = self
            .0
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        assert_eq!(busy, 0);
        Ok(())
    }

    /// What the settings came to.
    pub(crate) fn settings(&self) -> Result<String> {
        let ask = |name: &str| {
            self.0.query_row(&format!("PRAGMA {name}"), [], |row| {
                Ok(match row.get_ref(0)? {
                    ValueRef::Integer(value) => value.to_string(),
                    other => other.as_str()?.to_owned(),
                })
            })
        };
        Ok(format!(
            "SQLite {}, journal_mode {}, cache_size {}, mmap_size {}, page_size {}",
            rusqlite::version(),
            ask("journal_mode")?,
            ask("cache_size")?,
            ask("mmap_size")?,
            ask("page_size")?
        ))
    }

    /// Bytes of the file.
    pub(crate) fn bytes(&self) -> Result<i64> {
        let ask = |sql| self.0.query_row(sql, [], |row| row.get::<_, i64>(0));
        Ok(ask("PRAGMA page_count")? * ask("PRAGMA page_size")?)
    }

    pub(crate) fn plan(&self) -> Result<Vec<String>> {
        let mut statement = self
            .0
            .prepare(&format!("EXPLAIN QUERY PLAN {}", include_str!("past.sql")))?;
        let steps = statement.query_map(params![0.0, 0.0, 0.0, 0.0, 0], |row| row.get(3))?;
        steps.collect()
    }

    pub(crate) fn insert(&self, batches: &[Vec<Change<'_>>], mode: Synchronous) -> Result<()> {
        let mut object = self.0.prepare(
            "INSERT INTO objects(id, valid_from, minx, maxx, miny, maxy, payload)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?;
        let mut place = self
            .0
            .prepare("INSERT INTO places VALUES (?1, ?2, ?3, ?4, ?5)")?;
        self.write(batches, mode, |change| {
            let extent = change.extent;
            let rowid = object.insert(params![
                change.id,
                change.from,
                extent.west,
                extent.east,
                extent.south,
                extent.north,
                change.payload
            ])?;
            place.execute(params![
                rowid,
                extent.west,
                extent.east,
                extent.south,
                extent.north
            ])?;
            Ok(())
        })
    }

    pub(crate) fn update(&self, batches: &[Vec<Change<'_>>], mode: Synchronous) -> Result<()> {
        let mut object = self.0.prepare(
            "UPDATE objects SET valid_from = ?2, minx = ?3, maxx = ?4, miny = ?5, maxy = ?6,
             payload = ?7 WHERE id = ?1",
        )?;
        self.write(batches, mode, |change| {
            let extent = change.extent;
            let changed = object.execute(params![
                change.id,
                change.from,
                extent.west,
                extent.east,
                extent.south,
                extent.north,
                change.payload
            ])?;
            assert_eq!(changed, 1);
            Ok(())
        })
    }

    /// A transaction for each batch, durable at the end in either mode.
    fn write(
        &self,
        batches: &[Vec<Change<'_>>],
        mode: Synchronous,
        mut one: impl FnMut(&Change<'_>) -> Result<()>,
    ) -> Result<()> {
        for (index, batch) in batches.iter().enumerate() {
            let full = mode == Synchronous::Full || index + 1 == batches.len();
            let name = if full { "FULL" } else { "NORMAL" };
            self.0.pragma_update(None, "synchronous", name)?;
            let transaction =
                Transaction::new_unchecked(&self.0, rusqlite::TransactionBehavior::Immediate)?;
            for change in batch {
                one(change)?;
            }
            transaction.commit()?;
        }
        Ok(())
    }

    pub(crate) fn read(&self, windows: &[Window]) -> Result<Sum> {
        let mut statement = self.0.prepare(include_str!("current.sql"))?;
        let transaction = self.0.unchecked_transaction()?;
        let mut sum = Sum::default();
        for &Window {
            west,
            south,
            east,
            north,
        } in windows
        {
            take(statement.query([west, east, south, north])?, &mut sum)?;
        }
        transaction.commit()?;
        Ok(sum)
    }

    pub(crate) fn read_past(&self, windows: &[Window], at: i64) -> Result<Sum> {
        let mut statement = self.0.prepare(include_str!("past.sql"))?;
        let transaction = self.0.unchecked_transaction()?;
        let mut sum = Sum::default();
        for window in windows {
            let Window {
                west,
                south,
                east,
                north,
            } = *window;
            take(
                statement.query(params![west, east, south, north, at])?,
                &mut sum,
            )?;
        }
        transaction.commit()?;
        Ok(sum)
    }
}

fn take(mut rows: Rows<'_>, sum: &mut Sum) -> Result<()> {
    while let Some(row) = rows.next()? {
        // References into the row: nothing is copied.
        sum.add(
            row.get_ref(0)?.as_str()?,
            row.get_ref(1)?.as_i64()?,
            row.get_ref(2)?.as_blob()?,
        );
    }
    Ok(())
}
