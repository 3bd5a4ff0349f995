//! From files to commits: reading, gathering, and keeping a bounded number of commits on their way
//! to disk.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use blocknet_engine::{Assertion, BlockCollector, Commit, Moment, Net, Recorded, Ticket};
use indicatif::{ProgressBar, ProgressStyle};

use super::plan::{Plan, Planned, Refusal};
use super::{Result, Tally};
use crate::cli::error::CliError;
use crate::cli::io::Io;
use crate::input::{Feature, FeatureReader, Format, RawFeature, Record, Rings, SortError, Sorter};

/// Most Features in a commit, and most bytes after which it takes no more.
const FEATURES_MAX: usize = 1_000;
const LEN_BYTES_MAX: usize = 4 << 20;
/// The same for what was recorded at one time, which belongs together.
const RECORDED_FEATURES_MAX: usize = 20_000;
const RECORDED_LEN_BYTES_MAX: usize = 8 << 20;
/// Commits built while earlier ones are being synced.
const TICKETS_MAX: usize = 8;
/// Memory for the Features between the passes; more goes to temporary files.
const SORT_LEN_BYTES: usize = 64 << 20;
/// Features between two moves of the progress bar.
const PROGRESS_STEP: u64 = 256;

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) features: u64,
    pub(super) invalid_geometries: u64,
    pub(super) unreadable_heights: u64,
    pub(super) skipped: u64,
}

/// One import.
pub(super) struct Run<'r> {
    pub(super) net: &'r Net,
    pub(super) plan: &'r Plan,
    /// What every commit says of itself.
    pub(super) commit: Commit,
    pub(super) files: &'r [PathBuf],
    pub(super) format: Format,
    pub(super) skip: bool,
}

impl<'r> Run<'r> {
    /// Reads the files, gives the net their blocks and writes the commits. Whatever is wrong with a
    /// Feature is found before anything is written. `tally` counts what is acknowledged, also when
    /// this fails half way.
    pub(super) fn feed(&self, tally: &mut Tally, io: &mut Io<'_>) -> Result<Counts> {
        let mut counts = Counts::default();
        let mut sorter = Sorter::new(SORT_LEN_BYTES, std::env::temp_dir());
        let mut blocks = BlockCollector::new(self.net.spec());
        self.read(&mut counts, io, |planned, raw| {
            // Without recorded times they stay in the order in which they come.
            let key = planned.recorded.map_or(0, Moment::as_micros);
            if let Some(block) = &planned.block {
                blocks.insert(block);
            }
            Ok(sorter.push(key, raw.json.into_bytes())?)
        })?;
        let count = sorter.len();
        let features = sorter.finish()?;
        let bar = bar(io, count, "writing");
        let expansion = Commit {
            recorded: Recorded::Now,
            ..self.commit.clone()
        };
        self.net
            .expand(&blocks.finish(), &expansion, |receipt| tally.add(receipt))?;
        let (sender, tickets) = sync_channel::<Ticket<'r>>(TICKETS_MAX);
        let (fed, waited) = thread::scope(|scope| {
            // Building commits here overlaps with syncing earlier ones there.
            let waiter = scope.spawn(|| {
                for ticket in tickets {
                    tally.add(&ticket.wait()?);
                }
                Ok::<(), blocknet_engine::Error>(())
            });
            let fed = self.write(features, &sender, &bar);
            drop(sender);
            (fed, waiter.join())
        });
        bar.finish_and_clear();
        match waited {
            Ok(waited) => waited?,
            Err(panic) => std::panic::resume_unwind(panic),
        }
        fed.map(|()| counts)
    }

    /// Writes the Features: one commit for each recorded time, or as many to a commit as it takes.
    fn write(
        &self,
        features: impl Iterator<Item = Result<Record, SortError>>,
        sender: &SyncSender<Ticket<'r>>,
        bar: &ProgressBar,
    ) -> Result<()> {
        let is_recorded = self.plan.recorded_at.is_some();
        let (features_max, len_bytes_max) = if is_recorded {
            (RECORDED_FEATURES_MAX, RECORDED_LEN_BYTES_MAX)
        } else {
            (FEATURES_MAX, LEN_BYTES_MAX)
        };
        let recorded = |key: i64| {
            if is_recorded {
                Recorded::At(Moment::from_micros(key))
            } else {
                Recorded::Now
            }
        };
        let mut batch = Batch::default();
        let mut key = 0;
        for record in features {
            let record = record?;
            if record.key != key || batch.is_full(features_max, len_bytes_max) {
                self.submit(&mut batch, recorded(key), sender)?;
                key = record.key;
            }
            let json = String::from_utf8_lossy(&record.bytes);
            let planned = self.planned(&json).map_err(|reason| CliError::Refused {
                place: "sorting".to_owned(),
                reason: Box::new(reason),
            })?;
            batch.push(planned.1.assertion);
            bar.inc(1);
        }
        self.submit(&mut batch, recorded(key), sender)
    }

    fn planned<'j>(&self, json: &'j str) -> Result<(Feature<'j>, Planned), Refusal> {
        let feature = Feature::parse(json, &self.plan.rules)?;
        let planned = self.plan.assertion(&feature, json)?;
        Ok((feature, planned))
    }

    /// Reads all files; `take` gets what can be stored.
    fn read(
        &self,
        counts: &mut Counts,
        io: &mut Io<'_>,
        mut take: impl FnMut(Planned, RawFeature) -> Result<()>,
    ) -> Result<()> {
        for file in self.files {
            let mut reader = FeatureReader::open(file, self.format)?;
            let len_bytes = reader.position().map_or(0, |(_, len_bytes)| len_bytes);
            let bar = bar(io, len_bytes, "reading");
            while let Some(raw) = reader.next() {
                counts.features += 1;
                if counts.features.is_multiple_of(PROGRESS_STEP)
                    && let Ok((at, _)) = reader.position()
                {
                    bar.set_position(at);
                }
                let raw = match raw {
                    Ok(raw) => raw,
                    Err(error) if error.is_fatal() => return Err(error.into()),
                    Err(error) => {
                        self.skip(error.into(), counts, &bar, io)?;
                        continue;
                    }
                };
                match self.planned(&raw.json) {
                    Ok((feature, planned)) => {
                        counts.invalid_geometries += u64::from(feature.rings() == Rings::Invalid);
                        counts.unreadable_heights += u64::from(feature.has_unreadable_height());
                        take(planned, raw)?;
                    }
                    Err(reason) => {
                        let error = CliError::Refused {
                            place: self.place(file, &raw),
                            reason: Box::new(reason),
                        };
                        self.skip(error, counts, &bar, io)?;
                    }
                }
            }
            bar.finish_and_clear();
        }
        Ok(())
    }

    /// Reports a Feature that cannot be stored, or fails with it where the import is to stop.
    fn skip(
        &self,
        error: CliError,
        counts: &mut Counts,
        bar: &ProgressBar,
        io: &mut Io<'_>,
    ) -> Result<()> {
        if !self.skip {
            return Err(error);
        }
        counts.skipped += 1;
        // One line each, whatever the file holds.
        let line = error.to_string().replace(char::is_control, " ");
        bar.suspend(|| io.warn(format_args!("skipped {line}")))
    }

    fn place(&self, file: &Path, raw: &RawFeature) -> String {
        let id = match self.plan.rules.id_of(&raw.json) {
            Some(id) => format!(", id `{id}`"),
            None => String::new(),
        };
        format!(
            "{}: line {}: Feature {}{id}",
            file.display(),
            raw.line,
            raw.number
        )
    }

    fn submit(
        &self,
        batch: &mut Batch,
        recorded: Recorded,
        sender: &SyncSender<Ticket<'r>>,
    ) -> Result<()> {
        if batch.assertions.is_empty() {
            return Ok(());
        }
        let Batch { assertions, .. } = std::mem::take(batch);
        let commit = Commit {
            recorded,
            assertions,
            ..self.commit.clone()
        };
        let ticket = self.net.submit(&commit)?;
        // The other end hangs up only after a failure, and that is the one reported.
        sender
            .send(ticket)
            .map_err(|_| CliError::usage("the store takes no more commits"))
    }
}

/// Assertions of a commit to come.
#[derive(Default)]
struct Batch {
    assertions: Vec<Assertion>,
    len_bytes: usize,
}

impl Batch {
    fn push(&mut self, assertion: Assertion) {
        self.len_bytes += assertion.payload.len() + assertion.id.len();
        self.assertions.push(assertion);
    }

    fn is_full(&self, features_max: usize, len_bytes_max: usize) -> bool {
        self.assertions.len() >= features_max || self.len_bytes >= len_bytes_max
    }
}

/// A progress bar where a person watches, else a hidden one.
fn bar(io: &Io<'_>, len: u64, what: &'static str) -> ProgressBar {
    if !io.is_watched() || io.is_json() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{msg} {bar:40} {percent:>3} %  {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(len).with_style(style).with_message(what)
}
