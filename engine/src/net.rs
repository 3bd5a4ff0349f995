//! A net: one directory, its journal and its tables.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use blocknet_geocode::{Block, NetSpec};
use blocknet_kv::{Batch, MemLayer, Overlay, Read, Store};
use blocknet_wal::{FrameRef, Journal};
use parking_lot::{Condvar, Mutex};

use crate::audit::{Audit, Finding, audit};
use crate::block::Origin;
use crate::blocks::{BlockCollector, BlockSet};
use crate::body::Definition;
use crate::costs::Costs;
use crate::error::{Error, ErrorKind, Result};
use crate::export::{HandedOut, Handout};
use crate::graph::NetGraph;
use crate::layer::{LayerDef, LayerId};
use crate::ledger::Ledger;
use crate::linking::{Blocks, newest_block};
use crate::lock::Lock;
use crate::open::{NetBuilder, OpenReport};
use crate::record::Version;
use crate::request::{Commit, Cost, Outcome, Receipt, limit};
use crate::time::{Clock, Moment};
use crate::view::{AsOf, View};
use crate::writer::{Built, PayloadEq, Rule, Writer};

/// Commits waiting for a sync come to at most about this many bytes; then the next one waits.
const QUEUE_LEN_BYTES_MAX: u64 = 16 << 20;

/// An open net.
///
/// All methods take `&self`; a net may be shared between threads. A commit is acknowledged only
/// when its journal frame is synced, and views see only acknowledged commits.
pub struct Net {
    pub(crate) dir: PathBuf,
    pub(crate) spec: NetSpec,
    pub(crate) id: [u8; 16],
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) payload_eq: Arc<PayloadEq>,
    pub(crate) rule: Rule,
    pub(crate) costs: OnceLock<Costs>,
    pub(crate) report: OpenReport,
    pub(crate) handout: Option<Handout>,
    pub(crate) handed_out: HandedOut,
    pub(crate) inner: Inner,
}

pub(crate) enum Inner {
    Writable(Box<Writable>),
    ReadOnly(Box<ReadOnly>),
}

/// What a net opened for writing holds.
pub(crate) struct Writable {
    pub(crate) journal: Journal,
    pub(crate) store: Box<dyn Store>,
    state: Mutex<State>,
    /// Whether a thread is syncing and applying a group of commits; the others wait to be told.
    staging: Mutex<bool>,
    staged: Condvar,
    /// Newest commit known to be durable, and newest applied.
    durable: AtomicU64,
    applied: AtomicU64,
    /// Held while segments are copied to a backup. Whatever replaces segments in place, or their
    /// bytes, has to hold it too: what was erased is not to be copied any more.
    pub(crate) copying: Mutex<()>,
    /// Why nothing more is written.
    poisoned: Mutex<Option<String>>,
    lock: Option<Lock>,
}

/// What commits not yet applied look like to the next one: a group being gathered over a group
/// being synced over the store.
struct State {
    ledger: Ledger,
    gathering: MemLayer,
    syncing: MemLayer,
    queue: Batch,
    /// Newest commit in `queue`.
    queued: u64,
}

pub(crate) struct ReadOnly {
    pub(crate) base: Box<dyn Read>,
    /// The commits of the journal that the tables do not hold.
    pub(crate) overlay: [MemLayer; 1],
    pub(crate) journal_bytes: u64,
    pub(crate) _lock: Option<Lock>,
}

impl std::fmt::Debug for Net {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Net")
            .field("dir", &self.dir)
            .field("writable", &matches!(self.inner, Inner::Writable(_)))
            .finish_non_exhaustive()
    }
}

impl Writable {
    pub(crate) fn new(
        journal: Journal,
        store: Box<dyn Store>,
        ledger: Ledger,
        lock: Option<Lock>,
    ) -> Self {
        let newest = ledger.commit;
        Self {
            journal,
            store,
            state: Mutex::new(State {
                ledger,
                gathering: MemLayer::new(),
                syncing: MemLayer::new(),
                queue: Batch::new(),
                queued: newest,
            }),
            staging: Mutex::new(false),
            staged: Condvar::new(),
            durable: AtomicU64::new(newest),
            applied: AtomicU64::new(newest),
            copying: Mutex::new(()),
            poisoned: Mutex::new(None),
            lock,
        }
    }

    /// Whether the net lies in the real file system, where alone there are locks.
    pub(crate) fn is_on_disk(&self) -> bool {
        self.lock.is_some()
    }

    pub(crate) fn check_poisoned(&self) -> Result<()> {
        match &*self.poisoned.lock() {
            None => Ok(()),
            Some(why) => Err(Error::new(
                ErrorKind::Poisoned,
                format!(
                    "nothing more is written after an earlier failure ({why}); open the store again"
                ),
            )),
        }
    }

    fn poison(&self, why: &dyn std::fmt::Display) {
        self.poisoned.lock().get_or_insert_with(|| why.to_string());
    }

    /// Appends a commit to the journal and to the group being gathered.
    fn enqueue(&self, state: &mut State, built: Built, cost: &mut Cost) -> Result<()> {
        let Built {
            mut finished,
            erasable,
        } = built;
        let info = &finished.body.info;
        let body = finished.body.encode();
        let before = self.journal.appended_bytes();
        let frame = FrameRef {
            seq: info.number,
            chain: &info.hash.0,
            body: &body,
            erasable: &erasable,
        };
        if let Err(error) = self.journal.append(&frame) {
            if error.kind() != blocknet_wal::ErrorKind::Poisoned {
                return Err(error.into());
            }
            // A failed write that could not be taken back may have left the whole frame.
            self.poison(&error);
            return Err(Error::caused(
                ErrorKind::OutcomeUnknown,
                format!(
                    "commit {} may or may not be durable; open the store again and look",
                    info.number
                ),
                error,
            ));
        }
        *cost = Cost {
            kv_writes: finished.batch.len() as u64,
            kv_bytes: finished.batch.len_bytes(),
            journal_bytes: self.journal.appended_bytes() - before,
        };
        state.gathering.apply(&finished.batch);
        state.queue.append(&mut finished.batch);
        state.queued = info.number;
        state.ledger = finished.ledger;
        Ok(())
    }

    /// Makes all queued commits up to `number` durable and visible. One thread does the work for
    /// all that wait; others build the next group meanwhile.
    fn settle(&self, number: u64) -> Result<()> {
        let mut staging = self.staging.lock();
        loop {
            if self.applied.load(Ordering::Acquire) >= number {
                return Ok(());
            }
            // A group under way may still settle this commit, or fail it.
            if *staging {
                self.staged.wait(&mut staging);
                continue;
            }
            if let Some(why) = &*self.poisoned.lock() {
                return Err(self.unsettled(number, why));
            }
            *staging = true;
            drop(staging);
            let mut turn = Turn {
                writable: self,
                done: false,
            };
            let staged = self.run_stage();
            turn.done = true;
            if let Err(error) = staged {
                self.poison(&error);
            }
            drop(turn);
            staging = self.staging.lock();
        }
    }

    /// What to say of a commit that a poisoned handle will not settle.
    fn unsettled(&self, number: u64, why: &str) -> Error {
        if self.durable.load(Ordering::Acquire) >= number {
            return Error::new(
                ErrorKind::Poisoned,
                format!(
                    "commit {number} is durable but not applied ({why}); it is there when the \
                     store is opened again"
                ),
            );
        }
        Error::new(
            ErrorKind::OutcomeUnknown,
            format!(
                "commit {number} may or may not be durable ({why}); open the store again and look"
            ),
        )
    }

    fn run_stage(&self) -> Result<()> {
        let (batch, newest) = {
            let mut state = self.state.lock();
            state.syncing = std::mem::take(&mut state.gathering);
            (std::mem::take(&mut state.queue), state.queued)
        };
        self.journal.sync()?;
        self.durable.store(newest, Ordering::Release);
        self.store.apply(&batch)?;
        let mut state = self.state.lock();
        state.syncing.clear();
        self.applied.store(newest, Ordering::Release);
        Ok(())
    }
}

/// The turn of one thread to settle a group; ends with it, even by a panic.
struct Turn<'a> {
    writable: &'a Writable,
    done: bool,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if !self.done {
            // The group was taken and is lost: nothing may be applied after it.
            self.writable
                .poison(&"a thread panicked while it settled commits");
        }
        *self.writable.staging.lock() = false;
        // All at once: waking them one by one would serialise their way back.
        self.writable.staged.notify_all();
    }
}

impl Net {
    /// A builder, for settings other than the defaults.
    pub fn builder() -> NetBuilder {
        NetBuilder::new()
    }

    /// Creates a net in `dir`, which must be absent or empty, with the layer `main`.
    ///
    /// # Errors
    /// See [`NetBuilder::create`].
    #[cfg(feature = "rocks")]
    pub fn create(dir: impl AsRef<Path>, spec: NetSpec) -> Result<Self> {
        Self::builder().create(dir, spec)
    }

    /// Opens the net in `dir` for writing.
    ///
    /// # Errors
    /// See [`NetBuilder::open`].
    #[cfg(feature = "rocks")]
    pub fn open(dir: impl AsRef<Path>) -> Result<Self> {
        Self::builder().open(dir)
    }

    /// Opens the net in `dir` for reading; changes no byte of it.
    ///
    /// # Errors
    /// See [`NetBuilder::open_read_only`].
    #[cfg(feature = "rocks")]
    pub fn open_read_only(dir: impl AsRef<Path>) -> Result<Self> {
        Self::builder().open_read_only(dir)
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The net's parameters, fixed at creation.
    pub fn spec(&self) -> &NetSpec {
        &self.spec
    }

    /// The net's random identity, part of every hash in it.
    pub fn id(&self) -> &[u8; 16] {
        &self.id
    }

    /// What opening found and did.
    pub fn report(&self) -> &OpenReport {
        &self.report
    }

    /// The current time of the net's clock.
    pub fn now(&self) -> Moment {
        self.clock.now()
    }

    pub(crate) fn writable(&self) -> Result<&Writable> {
        match &self.inner {
            Inner::Writable(writable) => Ok(writable),
            Inner::ReadOnly(_) => Err(Error::new(
                ErrorKind::ReadOnly,
                "the store was opened for reading only; open it for writing",
            )),
        }
    }

    /// Writes a commit and waits until it is durable and visible.
    ///
    /// Several threads committing at once share syncs.
    ///
    /// # Errors
    /// * [`ErrorKind::Invalid`], [`ErrorKind::NotFound`] (a layer), [`ErrorKind::Conflict`] (a
    ///   precondition), [`ErrorKind::Clock`]: nothing was written.
    /// * [`ErrorKind::Io`]: the journal could not take it; nothing was written.
    /// * [`ErrorKind::OutcomeUnknown`]: the sync failed, or a failed write could not be taken back;
    ///   open the store again and look.
    /// * [`ErrorKind::Poisoned`]: after an earlier failure, or durable but not applied.
    ///
    /// # Cost
    /// One journal frame, one sync (shared), about fifteen small rows (one more for every second
    /// commit, a few more for a move), of which up to four, or with bands six, go to the block's
    /// successors; independent of the net's size, of how full the block is, and of the entity's
    /// history.
    pub fn commit(&self, commit: &Commit) -> Result<Receipt> {
        self.submit(commit)?.wait()
    }

    /// Writes a commit and returns without waiting for it to be durable.
    ///
    /// The commits of one net are in the order of their submission and each sees those before it.
    /// A commit is acknowledged by [`Ticket::wait`] only; a ticket dropped without waiting leaves
    /// its commit to the next one that waits, or to [`Net::close`].
    ///
    /// # Errors
    /// Those of [`Net::commit`]; the ones of the sync only when so much is queued that it waits.
    pub fn submit(&self, commit: &Commit) -> Result<Ticket<'_>> {
        let writable = self.writable()?;
        let (receipt, newest, full) = {
            let mut state = writable.state.lock();
            writable.check_poisoned()?;
            let (built, mut receipt) =
                self.with_writer(writable, &state, |writer| writer.build(commit))?;
            if let Some(built) = built {
                writable.enqueue(&mut state, built, &mut receipt.cost)?;
            }
            let full = state.queue.len_bytes() > QUEUE_LEN_BYTES_MAX;
            (receipt, state.queued, full)
        };
        let ticket = Ticket {
            net: self,
            receipt,
            newest,
        };
        if full && let Some(number) = ticket.receipt.commit {
            writable.settle(number)?;
        }
        Ok(ticket)
    }

    fn with_writer<T>(
        &self,
        writable: &Writable,
        state: &State,
        run: impl FnOnce(&Writer<'_>) -> Result<T>,
    ) -> Result<T> {
        let layers = [&state.gathering, &state.syncing];
        let overlay = Overlay {
            layers: &layers,
            base: &*writable.store,
        };
        run(&Writer {
            spec: &self.spec,
            net: &self.id,
            ledger: &state.ledger,
            read: &overlay,
            payload_eq: &*self.payload_eq,
            rule: self.rule,
            now: self.clock.now(),
        })
    }

    /// Gives the net the blocks of a set that it does not have yet, each with an empty first
    /// version, before anything is put into them: so that the links are those that the
    /// propagation rule gives for all of them together, however many commits fill them.
    ///
    /// Blocks are created in order of round, in commits of at most [`limit::BLOCKS_MAX`]; `done`
    /// is told of each when it is durable. Stopped half way, the same call later makes the same
    /// net. Blocks that the net has already are left alone.
    ///
    /// * `commit`: author, reason and source of the commits; it has no assertions.
    ///
    /// # Errors
    /// Those of [`Net::commit`]; [`ErrorKind::Invalid`] when `commit` has assertions.
    ///
    /// # Cost
    /// A read for each block, the cost of [`crate::propagate()`], and for each new block a row and
    /// its links.
    pub fn expand(
        &self,
        blocks: &BlockSet,
        commit: &Commit,
        mut done: impl FnMut(&Receipt),
    ) -> Result<()> {
        if !commit.assertions.is_empty() {
            return Err(Error::invalid(
                "a commit that expands the net has no assertions",
            ));
        }
        if blocks.spec() != &self.spec {
            return Err(Error::invalid(
                "the blocks belong to a net with another spec",
            ));
        }
        let writable = self.writable()?;
        let mut plan: Option<Expansion> = None;
        loop {
            let ticket = {
                let mut state = writable.state.lock();
                writable.check_poisoned()?;
                // Whatever another commit did meanwhile, the rule has to see it.
                let current = plan.filter(|plan| plan.newest == state.ledger.commit);
                let mut current = match current {
                    Some(current) => current,
                    None => self
                        .with_writer(writable, &state, |writer| Expansion::plan(writer, blocks))?,
                };
                let origins = current.next(limit::BLOCKS_MAX);
                if origins.is_empty() {
                    return Ok(());
                }
                let (built, mut receipt) =
                    self.with_writer(writable, &state, |writer| writer.expand(origins, commit))?;
                writable.enqueue(&mut state, built, &mut receipt.cost)?;
                current.newest = state.queued;
                plan = Some(current);
                Ticket {
                    net: self,
                    receipt,
                    newest: state.queued,
                }
            };
            done(&ticket.wait()?);
        }
    }

    /// Makes every commit submitted so far durable and visible.
    ///
    /// # Errors
    /// As for [`Ticket::wait`].
    pub fn sync(&self) -> Result<()> {
        let writable = self.writable()?;
        let newest = writable.state.lock().queued;
        writable.settle(newest)
    }

    /// Defines a layer, in a commit of its own, and returns its number.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a definition out of range or a name in use; otherwise as for
    /// [`Net::commit`].
    pub fn create_layer(&self, def: LayerDef, author: &str, reason: &str) -> Result<LayerId> {
        self.define_layer(
            def,
            &Commit {
                author: author.into(),
                reason: reason.into(),
                ..Commit::default()
            },
        )
        .map(|(layer, _)| layer)
    }

    /// As [`Net::create_layer`], with all of a commit's texts; the receipt says what it cost.
    ///
    /// # Errors
    /// Those of [`Net::create_layer`], and [`ErrorKind::Invalid`] when `commit` has assertions.
    pub fn define_layer(&self, def: LayerDef, commit: &Commit) -> Result<(LayerId, Receipt)> {
        def.check()?;
        if !commit.assertions.is_empty() {
            return Err(Error::invalid(
                "a commit that defines a layer has no assertions",
            ));
        }
        let writable = self.writable()?;
        let newest;
        let mut receipt;
        let layer = {
            let mut state = writable.state.lock();
            writable.check_poisoned()?;
            if state.ledger.layer_named(&def.name).is_some() {
                return Err(Error::invalid(format!(
                    "the layer `{}` exists already",
                    def.name
                )));
            }
            let greatest = state
                .ledger
                .layers
                .keys()
                .next_back()
                .map_or(0, |id| id.number());
            let layer = LayerId(greatest.checked_add(1).ok_or_else(|| {
                Error::invalid("the net has 65535 layers, which is all it can have")
            })?);
            let built = self.with_writer(writable, &state, |writer| {
                writer.define(vec![Definition::Layer(layer, def)], commit)
            })?;
            let info = &built.finished.body.info;
            receipt = Receipt {
                commit: Some(info.number),
                recorded: info.recorded,
                basis: info.basis,
                outcomes: Vec::<Outcome>::new(),
                removals: 0,
                new_entities: 0,
                new_blocks: 0,
                blocks: 0,
                payload_bytes: 0,
                cost: Cost::default(),
            };
            writable.enqueue(&mut state, built, &mut receipt.cost)?;
            newest = state.queued;
            layer
        };
        let ticket = Ticket {
            net: self,
            receipt,
            newest,
        };
        let receipt = ticket.wait()?;
        Ok((layer, receipt))
    }

    /// Has the payloads of versions erased, by law: a commit that names them, its reason included, and
    /// from then on no view shows them, of whatever moment. Everything else of the versions stays:
    /// when, where and as what they were stated, their commitments, and with them every hash.
    ///
    /// The bytes are overwritten in journal and tables when the net is opened for writing the next
    /// time, since nobody may be reading them then: close it and open it again (see
    /// [`OpenReport::erased`]). What lies in quarantine, in copies of the directory and on blocks
    /// that the file system has freed is not reached; ids, extents, texts of commits and
    /// what other versions say neither.
    ///
    /// * `commit`: author, reason and source; it has no assertions.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for a version the net does not have; [`ErrorKind::Invalid`] for one
    /// that is erased already, for none at all or more than [`limit::ASSERTIONS_MAX`], or when
    /// `commit` has assertions; otherwise as for [`Net::commit`]. Nothing was written then.
    ///
    /// # Cost
    /// Two small rows, and for each version its row and the list of what its commit touched. At the
    /// next opening every segment that holds one of the versions is written anew.
    pub fn erase(&self, versions: &[Version], commit: &Commit) -> Result<u64> {
        if !commit.assertions.is_empty() {
            return Err(Error::invalid("a commit that erases has no assertions"));
        }
        let versions: BTreeSet<Version> = versions.iter().copied().collect();
        if versions.is_empty() || versions.len() > limit::ASSERTIONS_MAX {
            return Err(Error::invalid(format!(
                "1 to {} versions can be erased at once, not {}",
                limit::ASSERTIONS_MAX,
                versions.len()
            )));
        }
        let versions: Vec<Version> = versions.into_iter().collect();
        self.write_alone(|writer| writer.erase(&versions, commit))
    }

    /// What lies in the quarantine of the net in `dir`: cut ends, replaced segments and tables. It is
    /// never read, and may hold copies of payloads that were erased since.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] when it cannot be listed.
    pub fn quarantined(dir: impl AsRef<Path>) -> Result<Vec<PathBuf>> {
        crate::erase::quarantined(dir.as_ref())
    }

    /// Removes all that lies in quarantine, for good: copies of payloads that were erased, and the
    /// evidence of damage that was repaired. Returns how many entries.
    ///
    /// # Errors
    /// [`ErrorKind::ReadOnly`]; [`ErrorKind::Io`] when something cannot be removed.
    pub fn purge_quarantine(&self) -> Result<u64> {
        self.writable()?;
        crate::erase::purge_quarantine(&self.dir)
    }

    /// Writes a commit that only says something: it has no assertions and defines nothing.
    pub(crate) fn note(&self, commit: &Commit) -> Result<u64> {
        self.write_alone(|writer| writer.define(Vec::new(), commit))
    }

    /// Writes one commit and waits for it; returns its number.
    fn write_alone(&self, make: impl FnOnce(&Writer<'_>) -> Result<Built>) -> Result<u64> {
        let writable = self.writable()?;
        let number = {
            let mut state = writable.state.lock();
            writable.check_poisoned()?;
            let built = self.with_writer(writable, &state, make)?;
            writable.enqueue(&mut state, built, &mut Cost::default())?;
            state.queued
        };
        writable.settle(number)?;
        self.hand_out(number, false);
        Ok(number)
    }

    /// Writes commit 1: the net itself and its first layer.
    pub(crate) fn found(&self, main: LayerDef, commit: &Commit) -> Result<Cost> {
        let writable = self.writable()?;
        let mut cost = Cost::default();
        {
            let mut state = writable.state.lock();
            let definitions = vec![
                Definition::Net(self.spec),
                Definition::Layer(LayerId::MAIN, main),
            ];
            let built = self.with_writer(writable, &state, |writer| {
                writer.define(definitions, commit)
            })?;
            writable.enqueue(&mut state, built, &mut cost)?;
        }
        self.sync()?;
        Ok(cost)
    }

    /// Whether a net can be created in `dir`: it is absent, empty, or holds nothing but a creation
    /// that was cut off before its first commit.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] when it cannot be read.
    pub fn is_free(dir: impl AsRef<Path>) -> Result<bool> {
        crate::open::is_free(dir.as_ref())
    }

    /// A consistent read view.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] or [`ErrorKind::Corrupt`] when the tables cannot be read.
    ///
    /// # Cost
    /// A snapshot, which holds back the removal of old rows while it lives, and two small reads.
    pub fn view(&self, as_of: AsOf, valid: Moment) -> Result<View<'_>> {
        View::new(self.snapshot()?, &self.spec, as_of, valid, &self.costs)
    }

    /// The tables as they stand now.
    pub(crate) fn snapshot(&self) -> Result<Box<dyn Read + '_>> {
        Ok(match &self.inner {
            Inner::Writable(writable) => writable.store.snapshot()?,
            Inner::ReadOnly(read_only) => Box::new(Overlay {
                layers: &read_only.overlay,
                base: &*read_only.base,
            }),
        })
    }

    /// Recomputes every hash of the net from the rows of its tables, payload bytes first, and tells
    /// `report` whatever disagrees. It does not ask the journal, and finds nothing that somebody
    /// changed consistently in all tables: see DESIGN.md, "What protects what".
    ///
    /// # Errors
    /// [`ErrorKind::Io`] or [`ErrorKind::Corrupt`] when a row cannot be read or decoded at all.
    ///
    /// # Cost
    /// Reads every row and hashes every payload once; a few hundred bytes of memory for each block
    /// and each entity.
    pub fn audit(&self, mut report: impl FnMut(Finding)) -> Result<Audit> {
        audit(&*self.snapshot()?, &self.spec, &self.id, &mut report)
    }

    /// A view of the newest state, valid now.
    ///
    /// # Errors
    /// As for [`Net::view`].
    pub fn now_view(&self) -> Result<View<'_>> {
        self.view(AsOf::Newest, self.clock.now())
    }

    /// Bytes on disk: (journal, tables).
    ///
    /// # Errors
    /// [`ErrorKind::Io`] when a file cannot be asked for its length.
    pub fn disk_bytes(&self) -> Result<(u64, u64)> {
        match &self.inner {
            Inner::Writable(writable) => Ok((
                writable
                    .journal
                    .segments()
                    .iter()
                    .map(|segment| segment.len_bytes)
                    .sum(),
                writable.store.disk_bytes()?,
            )),
            Inner::ReadOnly(read_only) => Ok((
                read_only.journal_bytes,
                crate::open::dir_len_bytes(&self.dir.join(crate::open::TABLES_DIR))?,
            )),
        }
    }

    /// Makes everything durable, flushes the tables and marks the journal as closed cleanly, so
    /// that the next open replays nothing.
    ///
    /// Dropping a net does the same and cannot report a failure; nothing acknowledged depends on
    /// either.
    ///
    /// # Errors
    /// As for [`Net::sync`]; [`ErrorKind::Io`] when the tables cannot be flushed.
    pub fn close(self) -> Result<()> {
        self.shut()
    }

    fn shut(&self) -> Result<()> {
        let Inner::Writable(writable) = &self.inner else {
            return Ok(());
        };
        writable.check_poisoned()?;
        let newest = writable.state.lock().queued;
        writable.settle(newest)?;
        self.hand_out(newest, true);
        writable.store.flush()?;
        writable.journal.close()?;
        Ok(())
    }
}

/// Blocks on their way into the net, in the order in which they are created.
struct Expansion {
    /// The newest commit when the rule was run, or when the plan was last followed.
    newest: u64,
    graph: NetGraph,
    order: std::vec::IntoIter<u32>,
}

impl Expansion {
    fn plan(writer: &Writer<'_>, blocks: &BlockSet) -> Result<Self> {
        let mut new = BlockCollector::new(writer.spec);
        for block in blocks.iter() {
            if newest_block(writer.read, writer.spec, &block)?.is_none() {
                new.insert(&block);
            }
        }
        let known = Blocks::new(writer.read, writer.spec);
        let graph = writer.propagate(new.finish(), &known)?;
        Ok(Self {
            newest: writer.ledger.commit,
            order: graph.order().into_iter(),
            graph,
        })
    }

    /// The next blocks, with their links to those that are there already or come with them. Links
    /// to later ones come with those.
    fn next(&mut self, count: usize) -> BTreeMap<Block, Origin> {
        let part = self.order.by_ref().take(count);
        let mut origins: BTreeMap<Block, Origin> = part
            .map(|index| {
                let index = index as usize;
                (self.graph.blocks().get(index), self.graph.origin(index))
            })
            .collect();
        let now: BTreeSet<Block> = origins.keys().copied().collect();
        for origin in origins.values_mut() {
            origin.links.retain(|link| {
                link.from_neighbour
                    || now.contains(&link.block)
                    || !self.graph.blocks().contains(&link.block)
            });
        }
        origins
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        // Everything acknowledged is in the journal; what fails here is found at the next open.
        drop(self.shut());
    }
}

/// A commit on its way to disk.
#[derive(Debug)]
#[must_use = "a commit is acknowledged only by `wait`"]
pub struct Ticket<'a> {
    net: &'a Net,
    receipt: Receipt,
    /// Newest commit it rests on: its own or, where nothing was written, the newest that it was
    /// found unchanged against.
    newest: u64,
}

impl Ticket<'_> {
    /// Number of the commit; `None` when every assertion was unchanged.
    pub fn commit(&self) -> Option<u64> {
        self.receipt.commit
    }

    /// Waits until the commit is durable and visible.
    ///
    /// # Errors
    /// [`ErrorKind::OutcomeUnknown`] when a sync failed; [`ErrorKind::Poisoned`] when the commit
    /// is durable but could not be applied. Open the store again in both cases.
    pub fn wait(self) -> Result<Receipt> {
        self.net.writable()?.settle(self.newest)?;
        self.net.hand_out(self.newest, false);
        Ok(self.receipt)
    }
}

#[cfg(test)]
mod tests;
