//! Creating, opening and recovering a net.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use blocknet_geocode::NetSpec;
use blocknet_kv::{Batch, MemLayer, MemStore, Overlay, Read, Store};
use blocknet_proof::Checkpoint;
use blocknet_wal::{Env, FileEnv, Frame, Frames, Journal, JournalOptions, Recovery, Tail};

use crate::apply::replay;
use crate::backup::{TablesFrom, chain_of};
use crate::body::{Body, Definition};
use crate::costs::Costs;
use crate::erase::Pending;
use crate::error::{Error, ErrorKind, Fault, Result};
use crate::export::{Every, HandedOut, Handout};
use crate::hash::Hash;
use crate::key;
use crate::layer::LayerDef;
use crate::ledger::Ledger;
use crate::lock::{LOCK_FILE, Lock};
use crate::net::{Inner, Net, ReadOnly, Writable};
use crate::request::{Commit, Cost};
use crate::time::{Clock, SystemClock};
use crate::verify::{self, Anchor, Depth, OnProgress, Target, Verification};
use crate::writer::{PROPAGATE, PayloadEq, Rule};

pub(crate) const JOURNAL_DIR: &str = "journal";
pub(crate) const TABLES_DIR: &str = "tables";
/// Where tables are built before they change places with those in use.
const TABLES_NEW_DIR: &str = "tables.new";
pub(crate) const QUARANTINE_DIR: &str = "quarantine";

/// Commits read back from the journal are handed to the tables in batches of about this size.
const REPLAY_LEN_BYTES: u64 = 8 << 20;

/// Numbers a net runs with. None of them is stored: they may change at every open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Length at which a journal segment is sealed, in bytes. Default 64 MiB.
    pub segment_len_bytes_max: u64,
    /// Memory for commits that the tables do not hold yet when opening for reading only, in
    /// bytes; more than that and the open fails. Default 256 MiB.
    pub overlay_len_bytes_max: u64,
    /// Cache for uncompressed blocks of the tables, in bytes. Default 256 MiB.
    pub block_cache_len_bytes: usize,
    /// Memory in which the tables gather writes before they go to files, in bytes. Default 64 MiB.
    pub write_buffer_len_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            segment_len_bytes_max: 64 << 20,
            overlay_len_bytes_max: 256 << 20,
            block_cache_len_bytes: 256 << 20,
            write_buffer_len_bytes: 64 << 20,
        }
    }
}

/// Cache for the tables while a net is verified.
#[cfg(feature = "rocks")]
const VERIFY_CACHE_LEN_BYTES: usize = 32 << 20;

/// What opening a net found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenReport {
    /// Whether the net had been closed properly.
    pub clean: bool,
    /// Commits in the journal.
    pub commits: u64,
    /// Commits read back from the journal because the tables did not hold them.
    pub replayed: u64,
    /// A torn tail that was cut off the journal; its bytes are kept.
    pub cut: Option<String>,
    /// Why the tables were rebuilt, or answered for, from the journal alone.
    pub rebuilt: Option<String>,
    /// Where the tables that did not fit were moved to.
    pub quarantined: Option<PathBuf>,
    /// Versions whose erasure was carried through: their payloads are in no file any more.
    pub erased: u64,
    /// What creating the net wrote; nothing when it was opened.
    pub cost: Cost,
}

impl fmt::Display for OpenReport {
    /// One line for each thing a person should know; nothing after a clean close.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(cut) = &self.cut {
            writeln!(f, "journal: {cut}")?;
        }
        if let Some(why) = &self.rebuilt {
            writeln!(
                f,
                "tables: {why}; rebuilt from the journal, {} commits",
                self.replayed
            )?;
        } else if self.replayed > 0 {
            writeln!(
                f,
                "tables: {} commits brought up from the journal after an unclean stop",
                self.replayed
            )?;
        }
        if self.erased > 0 {
            writeln!(
                f,
                "erased: the payloads of {} versions are overwritten in journal and tables",
                self.erased
            )?;
        }
        if let Some(path) = &self.quarantined {
            writeln!(f, "tables: the old ones are kept in {}", path.display())?;
        }
        Ok(())
    }
}

/// Where a net's tables live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TablesKind {
    #[cfg(feature = "rocks")]
    Rocks,
    /// In memory: rebuilt from the journal at every open.
    Memory,
}

/// Opens or creates nets with other settings than the defaults.
#[derive(Clone)]
pub struct NetBuilder {
    settings: Settings,
    clock: Arc<dyn Clock>,
    payload_eq: Arc<PayloadEq>,
    /// `None` for the real file system.
    env: Option<Arc<dyn Env>>,
    tables: TablesKind,
    founding: Commit,
    main: LayerDef,
    rule: Rule,
    costs: OnceLock<Costs>,
    handout: Option<Handout>,
}

impl fmt::Debug for NetBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NetBuilder")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl NetBuilder {
    pub(crate) fn new() -> Self {
        Self {
            settings: Settings::default(),
            clock: Arc::new(SystemClock),
            payload_eq: Arc::new(|a: &[u8], b: &[u8]| a == b),
            env: None,
            #[cfg(feature = "rocks")]
            tables: TablesKind::Rocks,
            #[cfg(not(feature = "rocks"))]
            tables: TablesKind::Memory,
            founding: Commit::default(),
            main: LayerDef::new("main"),
            rule: PROPAGATE,
            costs: OnceLock::new(),
            handout: None,
        }
    }

    /// Lets new blocks enter the net by another rule.
    #[cfg(test)]
    pub(crate) fn rule(mut self, rule: Rule) -> Self {
        self.rule = rule;
        self
    }

    /// Other numbers than the defaults.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Another clock than the system's.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// When two payloads mean the same, for telling an assertion that changes nothing. By default
    /// when their bytes are equal.
    #[must_use]
    pub fn payload_eq(
        mut self,
        payload_eq: impl Fn(&[u8], &[u8]) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.payload_eq = Arc::new(payload_eq);
        self
    }

    /// Tells the planner what reading costs, instead of having it measured at the first plan.
    #[must_use]
    pub fn costs(mut self, costs: Costs) -> Self {
        self.costs = OnceLock::from(costs);
        self
    }

    /// Hands a checkpoint to `sink` every so many commits or so much time, and when the net is
    /// closed, while it is open for writing: to be signed and kept where whoever can write the store
    /// cannot. The sink runs on a thread that has just committed, one at a time, and a slow one slows
    /// that thread; what it took is noted in the store, see [`Net::exported`].
    #[must_use]
    pub fn checkpoints(
        mut self,
        every: Every,
        sink: impl Fn(&Checkpoint) -> std::result::Result<(), Box<dyn std::error::Error + Send + Sync>>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        let sink = Arc::new(sink);
        self.handout = Some(Handout { every, sink });
        self
    }

    /// Keeps the tables in memory: they are rebuilt from the journal at every open. For tests and
    /// for small nets in places where RocksDB does not run.
    #[must_use]
    pub fn tables_in_memory(mut self) -> Self {
        self.tables = TablesKind::Memory;
        self
    }

    /// Keeps the journal in `env` and the tables in memory, and takes no lock file: for tests and
    /// simulations.
    #[must_use]
    pub fn env(mut self, env: Arc<dyn Env>) -> Self {
        self.env = Some(env);
        self.tables_in_memory()
    }

    /// Author, reason and source of the commit that creates the net.
    #[must_use]
    pub fn signed(
        mut self,
        author: impl Into<String>,
        reason: impl Into<String>,
        source: impl Into<String>,
    ) -> Self {
        self.founding = Commit {
            author: author.into(),
            reason: reason.into(),
            source: source.into(),
            ..Commit::default()
        };
        self
    }

    /// The layer every net is created with, [`crate::LayerId::MAIN`]; by default `main`, in UTC, with
    /// nothing known about it.
    #[must_use]
    pub fn main_layer(mut self, main: LayerDef) -> Self {
        self.main = main;
        self
    }

    fn journal_env(&self) -> Arc<dyn Env> {
        self.env.clone().unwrap_or_else(|| Arc::new(FileEnv))
    }

    fn journal_options(&self) -> JournalOptions {
        JournalOptions {
            segment_len_bytes_max: self.settings.segment_len_bytes_max,
            ..JournalOptions::default()
        }
    }

    fn net(
        &self,
        dir: &Path,
        spec: NetSpec,
        id: [u8; 16],
        report: OpenReport,
        inner: Inner,
    ) -> Net {
        Net {
            dir: dir.to_path_buf(),
            spec,
            id,
            clock: Arc::clone(&self.clock),
            payload_eq: Arc::clone(&self.payload_eq),
            rule: self.rule,
            costs: self.costs.clone(),
            report,
            handout: self.handout.clone(),
            handed_out: HandedOut::default(),
            inner,
        }
    }

    /// Creates a net in `dir`, which must be absent or empty, with the layer `main`. What a
    /// creation that was cut off before its first commit left behind counts as empty.
    ///
    /// # Errors
    /// * [`ErrorKind::Invalid`]: the directory is not empty, or the layer is out of range.
    /// * [`ErrorKind::Io`]: it cannot be written.
    pub fn create(&self, dir: impl AsRef<Path>, spec: NetSpec) -> Result<Net> {
        let dir = dir.as_ref();
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(|error| {
            Error::new(
                ErrorKind::Io,
                format!("the system gives no random bytes: {error}"),
            )
        })?;
        self.main.check()?;
        let lock = if self.env.is_none() {
            Some(claim(dir)?)
        } else {
            let env = self.journal_env();
            let parent = dir.parent().unwrap_or(dir);
            env.create_dir(dir)
                .and_then(|()| env.sync_dir(parent))
                .map_err(|error| Error::io("create the directory", dir, error))?;
            None
        };
        let journal = Journal::create(
            self.journal_env(),
            &dir.join(JOURNAL_DIR),
            id,
            self.journal_options(),
        )?;
        let store = self.create_tables(&dir.join(TABLES_DIR))?;
        if self.env.is_none() {
            sync_dir(dir)?;
            sync_parent(dir)?;
        }
        let report = OpenReport {
            clean: true,
            ..OpenReport::default()
        };
        let writable = Writable::new(journal, store, Ledger::new(), lock);
        let mut net = self.net(dir, spec, id, report, Inner::Writable(Box::new(writable)));
        net.report.cost = net.found(self.main.clone(), &self.founding)?;
        Ok(net)
    }

    /// Opens the net in `dir` for writing. Brings the tables up to the journal; tables that do not
    /// fit it are moved to quarantine and rebuilt. See [`Net::report`].
    ///
    /// # Errors
    /// * [`ErrorKind::NotFound`]: there is no net here.
    /// * [`ErrorKind::Locked`]: somebody else has it open.
    /// * [`ErrorKind::Corrupt`]: the journal is damaged, or shorter than the tables say.
    /// * [`ErrorKind::Version`]: written by a release with another format.
    pub fn open(&self, dir: impl AsRef<Path>) -> Result<Net> {
        let dir = dir.as_ref();
        let lock = if self.env.is_none() {
            check_net(dir)?;
            Some(Lock::exclusive(dir)?)
        } else {
            None
        };
        self.open_locked(dir, lock)
    }

    /// [`NetBuilder::open`], with the lock taken.
    pub(crate) fn open_locked(&self, dir: &Path, lock: Option<Lock>) -> Result<Net> {
        let found = Found::scan(self.journal_env(), &dir.join(JOURNAL_DIR))?;
        let tables_dir = dir.join(TABLES_DIR);
        let mut report = found.report();

        let fit = self.check_tables(&found, &tables_dir)?;
        let applied = match &fit {
            Fit::Fits(ledger) => ledger.commit,
            Fit::Unfit(_) => 0,
        };
        let witness = (applied > 0).then_some(applied);
        let Found {
            recovery, spec, id, ..
        } = found;
        let (journal, cut) =
            recovery.into_journal(self.journal_options(), witness, &dir.join(QUARANTINE_DIR))?;
        report.cut = cut.cut.map(|cut| {
            format!(
                "{} unsynced bytes at the end of {} were cut off; a copy is kept as {}",
                cut.len_bytes,
                cut.file.display(),
                cut.quarantined_as.display()
            )
        });

        let (store, ledger) = match fit {
            Fit::Fits(ledger) => {
                let store = self.open_tables(&tables_dir)?;
                let frames = journal.frames(applied + 1)?;
                let (ledger, replayed) = fill(spec, id, *ledger, frames, &*store)?;
                report.replayed = replayed;
                (store, ledger)
            }
            Fit::Unfit(why) => {
                let frames = journal.frames(1)?;
                // Without a reason the tables live in memory; what lies on disk is left alone.
                let (ledger, replayed, store) = if why.is_some() {
                    let (ledger, replayed, kept) = self.exchange_tables(dir, spec, id, frames)?;
                    report.quarantined = kept;
                    (ledger, replayed, self.open_tables(&tables_dir)?)
                } else {
                    let store = self.create_tables(&tables_dir)?;
                    let (ledger, replayed) = fill(spec, id, Ledger::new(), frames, &*store)?;
                    (ledger, replayed, store)
                };
                report.rebuilt = why;
                report.replayed = replayed;
                (store, ledger)
            }
        };
        let pending = Pending::load(&*store, &spec)?;
        if !pending.is_empty() {
            let (env, journal_dir) = (self.journal_env(), dir.join(JOURNAL_DIR));
            let segments = pending.segments(&env, &journal_dir, &journal, &spec)?;
            if !segments.is_empty() {
                store.flush()?;
                journal.close()?;
                drop((store, journal));
                pending.rewrite(&env, &journal_dir, &spec, &segments)?;
                let mut net = self.open_locked(dir, lock)?;
                net.report = OpenReport {
                    erased: net.report.erased,
                    ..report
                };
                return Ok(net);
            }
            pending.purge(&*store, &spec)?;
            report.erased = pending.len();
        }
        let writable = Writable::new(journal, store, ledger, lock);
        Ok(self.net(dir, spec, id, report, Inner::Writable(Box::new(writable))))
    }

    /// Opens the net in `dir` for reading; changes no byte of it. What the tables do not hold is
    /// read from the journal into memory, up to [`Settings::overlay_len_bytes_max`].
    ///
    /// # Errors
    /// As for [`NetBuilder::open`]; [`ErrorKind::Invalid`] when more memory than allowed is
    /// needed: open it for writing once, or raise the setting.
    pub fn open_read_only(&self, dir: impl AsRef<Path>) -> Result<Net> {
        let dir = dir.as_ref();
        let lock = if self.env.is_none() {
            check_net(dir)?;
            Lock::shared(dir)?
        } else {
            None
        };
        let found = Found::scan(self.journal_env(), &dir.join(JOURNAL_DIR))?;
        let mut report = found.report();
        let (base, ledger): (Box<dyn Read>, Ledger) =
            match self.read_tables(&found, &dir.join(TABLES_DIR))? {
                Ok((base, ledger)) => (base, ledger),
                Err(why) => {
                    report.rebuilt = why;
                    (Box::new(MemStore::new(key::SCHEMA)), Ledger::new())
                }
            };
        if ledger.commit > 0 {
            found.recovery.check_witness(ledger.commit)?;
        }
        let mut catch_up = CatchUp::new(found.spec, found.id, ledger, &*base);
        for frame in found.recovery.frames(catch_up.ledger.commit + 1)? {
            catch_up.frame(&frame?)?;
            catch_up.batch.clear();
            if catch_up.layer[0].len_bytes() > self.settings.overlay_len_bytes_max {
                return Err(Error::invalid(format!(
                    "the tables lack commits from {} on, and they take more than {} bytes of \
                     memory; open the store for writing once, which brings the tables up, or \
                     raise `overlay_len_bytes_max`",
                    catch_up.ledger.commit + 1 - catch_up.replayed,
                    self.settings.overlay_len_bytes_max
                ))
                .at(dir));
            }
        }
        report.replayed = catch_up.replayed;
        let overlay = catch_up.layer;
        let journal_bytes = found.journal_bytes;
        let (spec, id) = (found.spec, found.id);
        let read_only = ReadOnly {
            base,
            overlay,
            journal_bytes,
            _lock: lock,
        };
        Ok(self.net(dir, spec, id, report, Inner::ReadOnly(Box::new(read_only))))
    }

    /// Reads the whole net again, journal and tables, recomputes every hash and compares the two
    /// copies; see [`crate::verify`]. Changes no byte, and works on a net that cannot be opened.
    ///
    /// What it cannot show: that nobody who could write the files made everything anew, or put an
    /// older copy in place. Only something remembered outside the net shows that.
    ///
    /// # Errors
    /// * [`ErrorKind::NotFound`]: there is no net here.
    /// * [`ErrorKind::Locked`]: somebody has it open for writing.
    /// * [`ErrorKind::Io`]: a directory cannot be listed. Damage is a finding, not an error.
    ///
    /// # Cost
    /// Reads every byte once, on all processors, and hashes every payload twice, once for each
    /// copy; where the copies differ, once more. Memory is bounded, whatever the net's size.
    pub fn verify(
        &self,
        dir: impl AsRef<Path>,
        depth: Depth,
        on_progress: &OnProgress<'_>,
    ) -> Result<Verification> {
        self.verify_against(dir, depth, &[], &[], on_progress)
    }

    /// As [`NetBuilder::verify`], and holds the net against what is remembered of it elsewhere: see
    /// [`Verification::standings`].
    ///
    /// * `anchors`: checkpoints whose signatures the caller has checked. Several narrow down where a
    ///   forked history leaves the one remembered.
    /// * `copies`: directories with other copies of the net, backups for instance; opened for reading.
    ///
    /// # Errors
    /// Those of [`NetBuilder::verify`]; those of [`NetBuilder::open_read_only`] for a copy.
    ///
    /// # Cost
    /// Nothing to speak of for a net that is clean; else it reads the journal and the commits' rows
    /// once more. For a copy the logarithm of the number of commits in reads.
    pub fn verify_against(
        &self,
        dir: impl AsRef<Path>,
        depth: Depth,
        anchors: &[Anchor],
        copies: &[PathBuf],
        on_progress: &OnProgress<'_>,
    ) -> Result<Verification> {
        let dir = dir.as_ref();
        let (_lock, _) = self.look(dir)?;
        let target = self.target(dir)?;
        let (mut verification, diagnosis) = verify::verify(&target, depth, on_progress)?;
        let mut standings = verify::standings(&target, &verification, &diagnosis, anchors)?;
        for copy in copies {
            let copy = self.open_read_only(copy)?;
            let standing = verify::compare(&target, &verification, &diagnosis, &copy)?;
            standings.push(standing);
        }
        verification.standings = standings;
        Ok(verification)
    }

    /// Verifies what is filed in an area: the whole journal, and of the tables the blocks in which
    /// `may_hold` says that something of the area can be filed, with the versions, closing rows,
    /// links and registry entries of these. What is left out stands in [`Verification::skipped`], so
    /// that the net is never called clean by it.
    ///
    /// `may_hold` is asked about a cell and a level, as `Area::may_hold` of `blocknet-query` answers
    /// it.
    ///
    /// # Errors
    /// Those of [`NetBuilder::verify`].
    ///
    /// # Cost
    /// Reads the journal, the versions of all blocks of the net, and the area; for each version in it
    /// also its entity's head.
    pub fn verify_area(
        &self,
        dir: impl AsRef<Path>,
        may_hold: &verify::MayHold<'_>,
        on_progress: &OnProgress<'_>,
    ) -> Result<Verification> {
        let dir = dir.as_ref();
        let (_lock, _) = self.look(dir)?;
        verify::verify_area(&self.target(dir)?, may_hold, on_progress)
    }

    /// What there is to verify; the lock is the caller's.
    pub(crate) fn target<'d>(&self, dir: &'d Path) -> Result<Target<'d>> {
        Ok(Target {
            env: self.journal_env(),
            dir,
            tables: self.find_tables(dir)?,
        })
    }

    fn find_tables(&self, dir: &Path) -> Result<verify::TablesFound<'static>> {
        match self.tables {
            #[cfg(feature = "rocks")]
            TablesKind::Rocks => {
                let tables = dir.join(TABLES_DIR);
                if !tables.exists() {
                    return Ok(verify::TablesFound::Unusable("they are missing".to_owned()));
                }
                // Nearly everything is read once: a cache would only hold memory.
                let mut rocks = self.rocks();
                rocks.block_cache_bytes = rocks.block_cache_bytes.min(VERIFY_CACHE_LEN_BYTES);
                Ok(match open_reader(&tables, rocks)? {
                    Ok(read) => verify::TablesFound::Open(Box::new(read)),
                    Err(why) => verify::TablesFound::Unusable(why.to_string()),
                })
            }
            TablesKind::Memory => self.replay_all(dir),
        }
    }

    /// The same, handing out no checkpoints: for what is not in use yet.
    pub(crate) fn without_handout(&self) -> Self {
        Self {
            handout: None,
            ..self.clone()
        }
    }

    /// Whether nets of this builder lie in the real file system.
    pub(crate) fn is_on_disk(&self) -> bool {
        self.env.is_none()
    }

    /// Whether tables are files, and not made anew at every open.
    pub(crate) fn has_table_files(&self) -> bool {
        self.tables != TablesKind::Memory
    }

    /// Builds tables from all frames beside the old ones, and lets them change places when they
    /// are whole: the old ones, moved to quarantine, may hold what the journal has lost. Returns
    /// where they are, if there were any.
    fn exchange_tables(
        &self,
        dir: &Path,
        spec: NetSpec,
        id: [u8; 16],
        frames: Frames,
    ) -> Result<(Ledger, u64, Option<PathBuf>)> {
        let (new, old) = (dir.join(TABLES_NEW_DIR), dir.join(TABLES_DIR));
        let (ledger, replayed) = self.build_tables(&new, spec, id, frames)?;
        let kept = if old.exists() {
            Some(quarantine(dir, &old)?)
        } else {
            None
        };
        fs::rename(&new, &old).map_err(|error| Error::io("put in place", &new, error))?;
        sync_dir(dir)?;
        Ok((ledger, replayed, kept))
    }

    /// Builds tables from all frames in a directory of their own.
    fn build_tables(
        &self,
        dir: &Path,
        spec: NetSpec,
        id: [u8; 16],
        frames: Frames,
    ) -> Result<(Ledger, u64)> {
        if dir.exists() {
            // Left by an attempt that was cut off: made from what is still here, no evidence.
            fs::remove_dir_all(dir)
                .map_err(|error| Error::io("remove unfinished tables", dir, error))?;
        }
        let store = self.create_tables(dir)?;
        let filled = fill(spec, id, Ledger::new(), frames, &*store)?;
        store.flush()?;
        Ok(filled)
    }

    /// Puts into `to` what the tables in `dir` hold, if they fit the journal and hold no commit
    /// beyond `newest`; or says why not, and nothing where tables live in memory. Changes no byte
    /// of `dir`.
    #[cfg_attr(
        not(feature = "rocks"),
        expect(clippy::unnecessary_wraps, reason = "only RocksDB can fail here")
    )]
    pub(crate) fn copy_tables(
        &self,
        found: &Found,
        dir: &Path,
        to: &Path,
        newest: u64,
    ) -> Result<std::result::Result<(), Option<String>>> {
        match self.tables {
            #[cfg(feature = "rocks")]
            TablesKind::Rocks => Ok(match self.read_rocks(found, dir)? {
                Ok((_, ledger)) if ledger.commit > newest => {
                    let commit = ledger.commit;
                    Err(Some(format!("those that are there hold commit {commit}")))
                }
                Ok((reader, _)) => {
                    reader.copy_to(to)?;
                    Ok(())
                }
                Err(why) => Err(why),
            }),
            TablesKind::Memory => {
                let _ = (found, dir, to, newest);
                Ok(Err(None))
            }
        }
    }

    /// Sees to it that the tables in `dir` fit the journal found: those that were `taken` there, or
    /// new ones.
    pub(crate) fn settle_tables(
        &self,
        found: &Found,
        dir: &Path,
        taken: std::result::Result<(), Option<String>>,
    ) -> Result<TablesFrom> {
        let why = match taken {
            Err(None) => return Ok(TablesFrom::Memory),
            Err(Some(why)) => why,
            Ok(()) => match self.read_tables(found, dir)? {
                Ok((_, ledger)) => {
                    let commit = ledger.commit;
                    return Ok(TablesFrom::Files { commit });
                }
                Err(why) => why.unwrap_or_default(),
            },
        };
        let frames = found.recovery.frames(1)?;
        self.build_tables(dir, found.spec, found.id, frames)?;
        Ok(TablesFrom::Journal { why })
    }

    /// Brings tables that fit the journal found up to its end.
    pub(crate) fn bring_up_tables(&self, found: &Found, dir: &Path) -> Result<()> {
        let Fit::Fits(ledger) = self.check_tables(found, dir)? else {
            return Ok(());
        };
        if ledger.commit < found.recovery.last_seq() {
            let store = self.open_tables(dir)?;
            let frames = found.recovery.frames(ledger.commit + 1)?;
            fill(found.spec, found.id, *ledger, frames, &*store)?;
            store.flush()?;
        }
        Ok(())
    }

    /// Builds the tables anew from the whole journal, which must be sound; the lock is the
    /// caller's. Returns where the old ones are, if there were any.
    pub(crate) fn rebuild_tables(&self, dir: &Path) -> Result<Option<PathBuf>> {
        let found = Found::scan(self.journal_env(), &dir.join(JOURNAL_DIR))?;
        let frames = found.recovery.frames(1)?;
        let (_, _, kept) = self.exchange_tables(dir, found.spec, found.id, frames)?;
        Ok(kept)
    }

    /// Tables in memory, from as much of the journal as can be applied.
    fn replay_all(&self, dir: &Path) -> Result<verify::TablesFound<'static>> {
        let found = match Found::scan(self.journal_env(), &dir.join(JOURNAL_DIR)) {
            Ok(found) => found,
            Err(error) if error.kind() == ErrorKind::Io => return Err(error),
            Err(error) => return Ok(verify::TablesFound::Unusable(error.to_string())),
        };
        let store = MemStore::new(key::SCHEMA);
        let mut failed = None;
        let mut ledger = Ledger::new();
        for frame in found.recovery.frames(1)? {
            let next = ledger.commit + 1;
            let mut catch_up = CatchUp::new(found.spec, found.id, ledger.clone(), &store);
            let applied = frame
                .map_err(Error::from)
                .and_then(|frame| catch_up.frame(&frame))
                .and_then(|()| Ok(store.apply(&catch_up.batch)?));
            match applied {
                Ok(()) => ledger = catch_up.ledger,
                Err(error) if error.kind() == ErrorKind::Io => return Err(error),
                Err(error) => {
                    failed = Some((next, error.to_string()));
                    break;
                }
            }
        }
        Ok(verify::TablesFound::Replayed(Box::new(store), failed))
    }

    #[cfg_attr(
        not(feature = "rocks"),
        expect(clippy::unnecessary_wraps, reason = "only RocksDB can fail here")
    )]
    fn create_tables(&self, dir: &Path) -> Result<Box<dyn Store>> {
        match self.tables {
            #[cfg(feature = "rocks")]
            TablesKind::Rocks => Ok(Box::new(blocknet_kv::RocksStore::create(
                dir,
                key::SCHEMA,
                self.rocks(),
            )?)),
            TablesKind::Memory => {
                let _ = dir;
                Ok(Box::new(MemStore::new(key::SCHEMA)))
            }
        }
    }

    fn open_tables(&self, dir: &Path) -> Result<Box<dyn Store>> {
        match self.tables {
            #[cfg(feature = "rocks")]
            TablesKind::Rocks => Ok(Box::new(blocknet_kv::RocksStore::open(
                dir,
                key::SCHEMA,
                self.rocks(),
            )?)),
            TablesKind::Memory => self.create_tables(dir),
        }
    }

    #[cfg(feature = "rocks")]
    fn rocks(&self) -> blocknet_kv::RocksOptions {
        blocknet_kv::RocksOptions {
            block_cache_bytes: self.settings.block_cache_len_bytes,
            write_buffer_bytes: self.settings.write_buffer_len_bytes,
            ..blocknet_kv::RocksOptions::default()
        }
    }

    /// Opens the tables for reading only and compares them with the journal.
    #[cfg_attr(
        not(feature = "rocks"),
        expect(clippy::unnecessary_wraps, reason = "only RocksDB can fail here")
    )]
    fn read_tables(&self, found: &Found, dir: &Path) -> Result<TablesRead> {
        match self.tables {
            #[cfg(feature = "rocks")]
            TablesKind::Rocks => Ok(self.read_rocks(found, dir)?.map(|(reader, ledger)| {
                let reader: Box<dyn Read> = Box::new(reader);
                (reader, ledger)
            })),
            TablesKind::Memory => {
                let _ = (found, dir);
                Ok(Err(None))
            }
        }
    }

    /// Whatever is wrong with the tables, the journal can do without them; only what the journal
    /// itself lacks is an error.
    #[cfg(feature = "rocks")]
    fn read_rocks(&self, found: &Found, dir: &Path) -> Result<TablesFit<blocknet_kv::RocksReader>> {
        let unfit = |why: String| Ok(Err(Some(why)));
        if !dir.exists() {
            return unfit("they are missing".into());
        }
        let reader = match open_reader(dir, self.rocks())? {
            Ok(reader) => reader,
            Err(why) => return unfit(format!("they cannot be opened ({why})")),
        };
        let ledger = match Ledger::load(&reader) {
            Ok(Some(ledger)) => ledger,
            Ok(None) => return unfit("they do not say which commits they hold".into()),
            Err(error) if error.kind() == ErrorKind::Io => return Err(error),
            Err(error) => return unfit(format!("they cannot be read ({error})")),
        };
        let last = found.recovery.last_seq();
        if ledger.commit > last {
            found.recovery.check_witness(ledger.commit)?;
            return Err(Error::corrupt(format!(
                "the tables hold commit {}, but the journal ends at {last}: commits are missing \
                 from the journal; restore the journal directory from a copy",
                ledger.commit
            ))
            .at(dir));
        }
        if found.chain_at(ledger.commit)? != ledger.hash {
            return unfit(format!(
                "their commit {} is not the journal's",
                ledger.commit
            ));
        }
        Ok(Ok((reader, ledger)))
    }

    fn check_tables(&self, found: &Found, dir: &Path) -> Result<Fit> {
        Ok(match self.read_tables(found, dir)? {
            Ok((_, ledger)) => Fit::Fits(Box::new(ledger)),
            Err(why) => Fit::Unfit(why),
        })
    }
}

impl NetBuilder {
    /// The journal's files under the lock of a reader, for a directory that holds anything of a
    /// net.
    pub(crate) fn look(&self, dir: &Path) -> Result<(Option<Lock>, Arc<dyn Env>)> {
        let lock = if self.env.is_none() {
            check_verifiable(dir)?;
            Lock::shared(dir)?
        } else {
            None
        };
        Ok((lock, self.journal_env()))
    }
}

/// Opens tables for reading only; damage is an answer.
#[cfg(feature = "rocks")]
fn open_reader(
    dir: &Path,
    options: blocknet_kv::RocksOptions,
) -> Result<std::result::Result<blocknet_kv::RocksReader, blocknet_kv::Error>> {
    use blocknet_kv::ErrorKind as Kv;
    match blocknet_kv::RocksStore::open_read_only(dir, key::SCHEMA, options) {
        Ok(reader) => Ok(Ok(reader)),
        // Not damage: too many open files, a permission, another process.
        Err(error) if matches!(error.kind(), Kv::Io | Kv::Unavailable) => Err(error.into()),
        Err(error) => Ok(Err(error)),
    }
}

/// Tables that fit the journal, or why they do not; `None` when there are none because they live in
/// memory.
type TablesRead = TablesFit<Box<dyn Read>>;

type TablesFit<R> = std::result::Result<(R, Ledger), Option<String>>;

/// Whether the tables fit the journal.
enum Fit {
    Fits(Box<Ledger>),
    Unfit(Option<String>),
}

/// The journal as it was found, with what its first commit says of the net.
pub(crate) struct Found {
    pub(crate) recovery: Recovery,
    pub(crate) spec: NetSpec,
    pub(crate) id: [u8; 16],
    journal_bytes: u64,
}

impl Found {
    pub(crate) fn scan(env: Arc<dyn Env>, dir: &Path) -> Result<Self> {
        let recovery = Recovery::scan(env, dir)?;
        let id = recovery.store_id();
        let first = recovery.frames(1)?.next().transpose()?.ok_or_else(|| {
            Error::corrupt(
                "the journal has no commit: creating this net was not finished, and can be done \
                 again; if the net ever held anything, restore the journal from a copy instead",
            )
            .at(dir)
        })?;
        let body = decode_body(&first, None)?;
        let spec = spec_of(&body).ok_or_else(|| {
            Error::corrupt("journal: commit 1 does not say what net this is").at(dir)
        })?;
        let journal_bytes = recovery
            .segments()
            .iter()
            .map(|segment| segment.len_bytes)
            .sum();
        Ok(Self {
            recovery,
            spec,
            id,
            journal_bytes,
        })
    }

    fn report(&self) -> OpenReport {
        OpenReport {
            clean: *self.recovery.tail() == Tail::Clean,
            commits: self.recovery.last_seq(),
            ..OpenReport::default()
        }
    }

    /// The hash of a commit, as the chain has it.
    pub(crate) fn chain_at(&self, commit: u64) -> Result<Hash> {
        chain_of(self.recovery.frames(commit)?.next().transpose()?, commit)
    }
}

/// The net's spec, in the commit that defines it.
pub(crate) fn spec_of(body: &Body) -> Option<NetSpec> {
    body.definitions
        .iter()
        .find_map(|definition| match definition {
            Definition::Net(spec) => Some(*spec),
            Definition::Layer(..) | Definition::Erasure(_) => None,
        })
}

pub(crate) fn decode_body(frame: &Frame, spec: Option<&NetSpec>) -> Result<Body> {
    if frame.lost {
        return Err(Error::corrupt(format!(
            "journal: commit {} is lost: an earlier repair could prove no copy of it, and its \
             frame keeps the bytes that were found; the tables answer as far as they hold it, \
             and cannot be built anew past it",
            frame.seq
        )));
    }
    let body = Body::decode(&frame.body, spec).map_err(|fault| {
        let kind = match fault {
            // The frame's checksum fits, so this is no flipped bit.
            Fault::Format { .. } => ErrorKind::Version,
            _ => ErrorKind::Corrupt,
        };
        let message = format!(
            "journal: commit {}: {fault}; the frame is intact",
            frame.seq
        );
        Error::new(kind, message)
    })?;
    if body.info.number != frame.seq || body.info.hash != Hash(frame.chain) {
        return Err(Error::corrupt(format!(
            "journal: the frame of commit {} holds commit {}",
            frame.seq, body.info.number
        )));
    }
    Ok(body)
}

/// Applies frames to a layer over the tables, and gathers them for the tables.
struct CatchUp<'a> {
    spec: NetSpec,
    id: [u8; 16],
    ledger: Ledger,
    base: &'a dyn Read,
    layer: [MemLayer; 1],
    batch: Batch,
    replayed: u64,
}

impl<'a> CatchUp<'a> {
    fn new(spec: NetSpec, id: [u8; 16], ledger: Ledger, base: &'a dyn Read) -> Self {
        Self {
            spec,
            id,
            ledger,
            base,
            layer: [MemLayer::new()],
            batch: Batch::new(),
            replayed: 0,
        }
    }

    fn frame(&mut self, frame: &Frame) -> Result<()> {
        let body = decode_body(frame, Some(&self.spec))?;
        let overlay = Overlay {
            layers: &self.layer,
            base: self.base,
        };
        let mut finished = replay(
            &self.spec,
            &self.id,
            &self.ledger,
            &overlay,
            &body,
            &frame.erasable,
        )?;
        self.layer[0].apply(&finished.batch);
        self.batch.append(&mut finished.batch);
        self.ledger = finished.ledger;
        self.replayed += 1;
        Ok(())
    }
}

/// Applies frames to tables, in batches; returns the ledger after them, and how many there were.
fn fill(
    spec: NetSpec,
    id: [u8; 16],
    ledger: Ledger,
    frames: impl Iterator<Item = std::result::Result<Frame, blocknet_wal::Error>>,
    store: &dyn Store,
) -> Result<(Ledger, u64)> {
    let mut catch_up = CatchUp::new(spec, id, ledger, store);
    for frame in frames {
        catch_up.frame(&frame?)?;
        if catch_up.batch.len_bytes() > REPLAY_LEN_BYTES {
            store.apply(&catch_up.batch)?;
            catch_up.batch.clear();
            catch_up.layer = [MemLayer::new()];
        }
    }
    store.apply(&catch_up.batch)?;
    Ok((catch_up.ledger, catch_up.replayed))
}

/// Makes `dir` ready for a new net and takes its lock: creates it, or clears what a creation cut
/// off before its first commit left behind.
fn claim(dir: &Path) -> Result<Lock> {
    let mut builder = fs::DirBuilder::new();
    std::os::unix::fs::DirBuilderExt::mode(builder.recursive(true), 0o700);
    builder
        .create(dir)
        .map_err(|error| Error::io("create the directory", dir, error))?;
    if !is_free(dir)? {
        return Err(Error::invalid(
            "the directory is not empty; a net is created in an absent or empty one",
        )
        .at(dir));
    }
    let lock = Lock::exclusive(dir)?;
    // Nothing was ever acknowledged here, and nobody else can have come in between.
    if !is_free(dir)? {
        return Err(Error::invalid("a net has just been created here; open it").at(dir));
    }
    // The tables first, so that the journal goes on saying what the leftover is.
    for name in [TABLES_DIR, JOURNAL_DIR] {
        let leftover = dir.join(name);
        if leftover.exists() {
            fs::remove_dir_all(&leftover)
                .map_err(|error| Error::io("clear an unfinished creation", &leftover, error))?;
        }
    }
    Ok(lock)
}

/// Whether a net can be created in `dir`: it is absent, empty, or holds nothing but a creation that
/// was cut off before its first commit.
///
/// # Errors
/// [`ErrorKind::Io`] when it cannot be read.
pub(crate) fn is_free(dir: &Path) -> Result<bool> {
    let list = |error| Error::io("list the directory", dir, error);
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(list(error)),
    };
    for entry in entries {
        let name = entry.map_err(list)?.file_name();
        if ![JOURNAL_DIR, TABLES_DIR, LOCK_FILE]
            .iter()
            .any(|own| name == *own)
        {
            return Ok(false);
        }
    }
    let journal = dir.join(JOURNAL_DIR);
    if !journal.exists() {
        // Tables without a journal are not a creation cut off: the journal comes first.
        return Ok(!dir.join(TABLES_DIR).exists());
    }
    // The first segment is put in place whole, and only then can a commit follow.
    let segments = fs::read_dir(&journal)
        .map_err(|error| Error::io("list the directory", &journal, error))?
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect::<std::io::Result<Vec<_>>>()
        .map_err(|error| Error::io("list the directory", &journal, error))?;
    if segments
        .iter()
        .all(|name| name.to_string_lossy().ends_with(".tmp"))
    {
        // Tables are made after the first segment: here they are all that is left of a net.
        return Ok(!dir.join(TABLES_DIR).exists());
    }
    // A torn first commit may be one that was acknowledged and damaged since: not ours to clear.
    Ok(match Recovery::scan(Arc::new(FileEnv), &journal) {
        Ok(recovery) => {
            recovery.last_seq() == 0
                && *recovery.tail() == Tail::Unclean
                && !has_table_files(&dir.join(TABLES_DIR))?
        }
        Err(_) => false,
    })
}

/// Whether tables hold anything on disk. A creation cut off before its first commit has flushed
/// nothing; a journal that lost its commits stands beside tables that have.
fn has_table_files(dir: &Path) -> Result<bool> {
    let list = |error| Error::io("list the directory", dir, error);
    if !dir.exists() {
        return Ok(false);
    }
    for entry in fs::read_dir(dir).map_err(list)? {
        let name = entry.map_err(list)?.file_name();
        if Path::new(&name).extension().is_some_and(|end| end == "sst") {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Refuses a directory that holds no net, before anything in it is touched.
pub(crate) fn check_net(dir: &Path) -> Result<()> {
    if dir.join(JOURNAL_DIR).is_dir() {
        return Ok(());
    }
    if dir.join(TABLES_DIR).is_dir() {
        return Err(Error::corrupt(
            "the directory `journal` of this net is missing; restore it from a copy",
        )
        .at(dir));
    }
    Err(Error::new(
        ErrorKind::NotFound,
        "there is no net in this directory (it has no `journal`); create one, or correct the path",
    )
    .at(dir))
}

/// Refuses a directory that holds nothing of a net; anything that is left of one can be verified.
pub(crate) fn check_verifiable(dir: &Path) -> Result<()> {
    if dir.join(JOURNAL_DIR).is_dir() || dir.join(TABLES_DIR).is_dir() {
        return Ok(());
    }
    check_net(dir)
}

/// Moves a file or directory to a name of its own in quarantine.
pub(crate) fn quarantine(dir: &Path, what: &Path) -> Result<PathBuf> {
    let quarantine = dir.join(QUARANTINE_DIR);
    fs::create_dir_all(&quarantine)
        .map_err(|error| Error::io("create the directory", &quarantine, error))?;
    let name = what.file_name().unwrap_or_default().to_string_lossy();
    let free = (1..u32::MAX)
        .map(|n| quarantine.join(format!("{name}-{n}")))
        .find(|path| !path.exists());
    let target = free.ok_or_else(|| Error::invalid("the quarantine is full").at(&quarantine))?;
    fs::rename(what, &target).map_err(|error| Error::io("move to quarantine", what, error))?;
    sync_dir(&quarantine)?;
    if let Some(parent) = what.parent() {
        sync_dir(parent)?;
    }
    sync_dir(dir)?;
    Ok(target)
}

pub(crate) fn sync_dir(dir: &Path) -> Result<()> {
    fs::File::open(dir)
        .and_then(|file| file.sync_all())
        .map_err(|error| Error::io("sync the directory", dir, error))
}

/// Makes the name of a directory durable.
pub(crate) fn sync_parent(dir: &Path) -> Result<()> {
    // A relative name of one part has an empty parent: the working directory.
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
    sync_dir(parent.unwrap_or(Path::new(".")))
}

/// Bytes of the files in a directory, not of those in directories below; 0 without one.
pub(crate) fn dir_len_bytes(dir: &Path) -> Result<u64> {
    let list = |error| Error::io("list the directory", dir, error);
    if !dir.exists() {
        return Ok(0);
    }
    // Tables in memory, and tables that are missing, have no directory.
    let mut bytes = 0;
    for entry in fs::read_dir(dir).map_err(list)? {
        bytes += entry
            .and_then(|entry| entry.metadata())
            .map_err(list)?
            .len();
    }
    Ok(bytes)
}
