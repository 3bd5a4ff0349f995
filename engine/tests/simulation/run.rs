//! One trace: a net through several lives on one disk.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use blocknet_engine::{
    AsOf, BlockSet, Commit, Error, ErrorKind, LayerDef, LayerId, Moment, Net, NetBuilder, Outcome,
    Result, Settings, Ticket, Version,
};
use blocknet_geocode::NetSpec;
use blocknet_wal::{EnvOp, MemEnv, Recovery, Tail};

use crate::check::{check_all, check_one, layers};
use crate::faults::Swarm;
use crate::oracle::{Entry, Oracle, Verdict};
use crate::seed::{Rng, TestClock};
use crate::story::{PLACES, Said, commit, first_recorded};
use crate::tally::Tally;

const FOUNDER: &str = "founder";
const LAYERS_MAX: usize = 4;

/// One net and its disk.
pub(crate) struct Run {
    rng: Rng,
    swarm: Swarm,
    env: MemEnv,
    clock: Arc<TestClock>,
    settings: Settings,
    spec: NetSpec,
    dir: PathBuf,
    oracle: Oracle,
    founding: Founding,
    /// Whether operations may report failures now.
    armed: bool,
    /// Whether the net was closed and nothing was written since.
    closed: bool,
    /// Whether it still has the mark of that: opening for writing takes it away.
    marked: bool,
    serial: u64,
    pub(crate) tally: Tally,
    /// What happened, for whoever looks at a failure.
    pub(crate) log: Vec<String>,
}

/// How far the creation of the net has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Founding {
    Untried,
    /// It failed or was cut off, and may have come about all the same.
    Unknown,
    Done,
}

/// What is known of one open handle.
struct Life<'a> {
    layers: Vec<LayerId>,
    /// Tickets that nobody has waited for, with what they must come to.
    tickets: Vec<(Ticket<'a>, Promise)>,
    /// The last commit that the handle took.
    queued: u64,
    /// How many syncs the disk had seen when the handle said that it writes no more.
    poisoned: Option<u64>,
    /// In how many of four cases a commit is waited for at once.
    patience: u64,
    /// The process ends at once, whatever it had in mind.
    over: bool,
}

/// What waiting for a ticket acknowledges.
struct Promise {
    /// The last commit that the handle had taken.
    number: u64,
    versions: Vec<Option<Version>>,
}

/// The disk turned out to have lied, and the trace ends.
struct Detected;

impl Run {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Rng(seed);
        let swarm = Swarm::new(&mut rng);
        let env = MemEnv::new(rng.next());
        let spec = if rng.one_in(4) {
            NetSpec::builder().band_digits(3).build()
        } else {
            Ok(NetSpec::city())
        };
        let spec = spec.expect("bands of three digits");
        let settings = Settings {
            segment_len_bytes_max: rng.pick(&[8, 8, 12, 16, 64]) << 10,
            ..Settings::default()
        };
        Self {
            log: vec![format!("{swarm:?} {settings:?}")],
            rng,
            swarm,
            env,
            clock: Arc::new(TestClock(AtomicI64::new(first_recorded()))),
            settings,
            spec,
            dir: PathBuf::from("net"),
            oracle: Oracle::new(spec),
            founding: Founding::Untried,
            armed: false,
            closed: false,
            marked: false,
            serial: 0,
            tally: Tally {
                seeds: 1,
                ..Tally::default()
            },
        }
    }

    /// Lives through the trace. Panics where a promise is broken.
    pub(crate) fn run(&mut self) {
        let detected = self.lives().is_err();
        self.tally.faults = self.env.faults();
        self.tally.detected = u64::from(detected) - self.tally.returned;
        self.tally.lying = u64::from(self.has_lied());
    }

    fn lives(&mut self) -> std::result::Result<(), Detected> {
        for _ in 0..=self.rng.below(4) {
            let net = self.open()?;
            self.live(net);
            self.log_end();
        }
        // What an opening shows is on disk, and opening again changes nothing.
        for _ in 0..2 {
            let net = self.open()?;
            self.end(net);
        }
        Ok(())
    }

    fn log_end(&mut self) {
        let line = format!(
            "end: {} acknowledged of {}, {:?}",
            self.oracle.acked(),
            self.oracle.newest(),
            self.env.faults()
        );
        self.log.push(line);
    }

    fn has_lied(&self) -> bool {
        self.env.faults().lies() + self.tally.flipped_bits > 0
    }

    fn builder(&self) -> NetBuilder {
        Net::builder()
            .settings(self.settings)
            .clock(self.clock.clone())
            .signed(FOUNDER, "", "")
            .env(Arc::new(self.env.clone()))
    }

    /// Opens the net, or creates it; most times other attempts come first, which may fail and be
    /// cut off.
    fn open(&mut self) -> std::result::Result<Net, Detected> {
        for attempt in 0.. {
            self.armed = attempt < 5 && !self.rng.one_in(3);
            let seen = self.look()?;
            if self.armed {
                self.swarm.arm(&self.env, &mut self.rng, true);
            } else {
                self.swarm.arm_lies(&self.env, &mut self.rng);
            }
            let error = match self.create_or_open() {
                Ok(net) => {
                    self.judge(&net, seen)?;
                    self.marked = false;
                    return Ok(net);
                }
                Err(error) => error,
            };
            self.log.push(format!("not opened: {error}"));
            self.tally.failed_opens += 1;
            self.marked = false;
            self.judge_failure(&error)?;
            self.die();
        }
        unreachable!("the loop ends by returning")
    }

    /// An honest disk gives no other error than its own.
    fn judge_failure(&self, error: &Error) -> std::result::Result<(), Detected> {
        let founding = [
            ErrorKind::Io,
            ErrorKind::OutcomeUnknown,
            ErrorKind::Poisoned,
        ];
        let known = match self.founding {
            Founding::Done => error.kind() == ErrorKind::Io,
            _ => founding.contains(&error.kind()),
        };
        if known && self.armed {
            return Ok(());
        }
        let damage = [ErrorKind::Corrupt, ErrorKind::Version, ErrorKind::Io];
        assert!(
            self.has_lied() && damage.contains(&error.kind()),
            "cannot open: {error}"
        );
        Err(Detected)
    }

    fn create_or_open(&mut self) -> Result<Net> {
        if self.founding == Founding::Done {
            return self.builder().open(&self.dir);
        }
        if self.founding == Founding::Unknown {
            // The attempt before may have got as far as a whole net, only nobody was told.
            if let Ok(net) = self.builder().open(&self.dir) {
                self.founding = Founding::Done;
                return Ok(net);
            }
            self.serial += 1;
            self.dir = PathBuf::from(format!("net{}", self.serial));
        }
        self.founding = Founding::Unknown;
        self.oracle.entries = vec![Entry {
            author: FOUNDER.to_owned(),
            ..Entry::default()
        }];
        let net = self.builder().create(&self.dir, self.spec)?;
        self.founding = Founding::Done;
        self.oracle.acknowledge(1);
        Ok(net)
    }

    /// Opens the net for reading only, sometimes: that changes nothing, and shows what opening for
    /// writing will show. Returns the newest commit.
    fn look(&mut self) -> std::result::Result<Option<u64>, Detected> {
        if self.founding != Founding::Done || !self.rng.one_in(4) {
            return Ok(None);
        }
        self.env.heal();
        let changes = |env: &MemEnv| env.count(EnvOp::CHANGES) + env.count(EnvOp::SYNCS);
        let before = changes(&self.env);
        let opened = self.builder().open_read_only(&self.dir);
        self.tally.read_only_opens += 1;
        let net = match opened {
            Ok(net) => net,
            Err(error) => {
                assert!(self.has_lied(), "cannot open for reading: {error}");
                let damage = [ErrorKind::Corrupt, ErrorKind::Version, ErrorKind::Io];
                assert!(damage.contains(&error.kind()), "{error}");
                return Err(Detected);
            }
        };
        let newest = newest(&net);
        self.judge_newest(newest)?;
        let mut oracle = self.oracle.clone();
        oracle.found(newest);
        check_all(&net, &mut oracle, &mut self.rng, &mut self.tally);
        drop(net);
        self.ask_witness(newest);
        assert_eq!(
            changes(&self.env),
            before,
            "opening for reading writes nothing"
        );
        Ok(Some(newest))
    }

    /// Whoever knows of one commit more than a journal holds is told so.
    fn ask_witness(&self, newest: u64) {
        let disk = Arc::new(self.env.kill());
        let journal = Recovery::scan(disk, &self.dir.join("journal"));
        let journal = journal.unwrap_or_else(|error| panic!("it was opened: {error}"));
        assert_eq!(journal.last_seq(), newest);
        assert!(journal.check_witness(newest).is_ok());
        assert!(
            journal.check_witness(newest + 1).is_err(),
            "the witness is ignored"
        );
    }

    /// Everything acknowledged is there, and nothing that was never said.
    fn judge_newest(&mut self, newest: u64) -> std::result::Result<(), Detected> {
        let (acked, said) = (self.oracle.acked(), self.oracle.newest());
        if newest > said && self.env.faults().lost_syncs > 0 {
            // The sync that made an undoing durable did nothing: what had been taken back is there.
            self.tally.returned += 1;
            return Err(Detected);
        }
        assert!(newest <= said, "{newest} commits found, {said} were said");
        if newest >= acked {
            return Ok(());
        }
        assert!(
            self.has_lied(),
            "{newest} commits found of {acked} acknowledged"
        );
        // A single lie can go unnoticed only where nothing in the journal shows that the sync had
        // returned: in the last group of commits. A misdirected write damages two places at once.
        let faults = self.env.faults();
        let alone = faults.lies() + self.tally.flipped_bits == 1 && faults.misdirected_writes == 0;
        let before = self.oracle.acked_before_last();
        assert!(
            !alone || newest >= before,
            "one lie took commits after {newest} of {acked}, {before} before the last group"
        );
        Ok(())
    }

    fn judge(&mut self, net: &Net, seen: Option<u64>) -> std::result::Result<(), Detected> {
        let newest = newest(net);
        let (acked, said) = (self.oracle.acked(), self.oracle.newest());
        let report = net.report().clone();
        self.log.push(format!(
            "opened: {newest} of {said} commits, {acked} acknowledged, {report:?}"
        ));
        self.judge_newest(newest)?;
        self.tally.recoveries += 1;
        self.tally.survived += newest.saturating_sub(acked);
        self.tally.lost += said - newest.max(acked).min(said);
        if newest < acked {
            self.tally.tails_lost += 1;
            self.ask_witness(newest);
        }
        self.tally.torn_tails += u64::from(report.cut.is_some());
        assert!(seen.is_none_or(|seen| seen == newest), "{seen:?} {newest}");
        assert!(report.commits == newest || report.replayed == 0);
        if self.closed && !self.has_lied() {
            assert!(report.clean || !self.marked, "it had been closed");
            assert_eq!(newest, acked, "it had been closed");
        }
        self.oracle.found(newest);
        check_all(net, &mut self.oracle, &mut self.rng, &mut self.tally);
        if !self.has_lied() {
            self.check_durable(newest);
        }
        Ok(())
    }

    /// A power cut right after an opening changes nothing of what it showed, and a tear is cut once.
    fn check_durable(&mut self, newest: u64) {
        for disk in [self.env.crash(self.rng.next()), self.env.kill()] {
            let journal = Recovery::scan(Arc::new(disk), &self.dir.join("journal"));
            let journal = journal.unwrap_or_else(|error| panic!("it was opened: {error}"));
            assert_eq!(
                journal.last_seq(),
                newest,
                "what was shown is not what is on disk"
            );
            let torn = matches!(journal.tail(), Tail::Torn { .. });
            assert!(!torn, "the torn tail is still there: {:?}", journal.tail());
        }
    }

    /// The process or the machine dies, and the disk is as that leaves it.
    fn die(&mut self) {
        let power = self.swarm.power && (!self.swarm.death || self.rng.one_in(2));
        let left = self.left_by(power);
        self.env = left;
    }

    fn left_by(&mut self, power: bool) -> MemEnv {
        if !power {
            self.tally.deaths += 1;
            self.log.push("the process dies".to_owned());
            return self.env.kill();
        }
        self.log.push("power fails".to_owned());
        let env = self.env.crash(self.rng.next());
        if self.swarm.rot(&env, &mut self.rng) {
            self.log.push("a bit flips".to_owned());
            self.tally.flipped_bits += 1;
        }
        env
    }

    fn live(&mut self, net: Net) {
        // Some lives see no failure; what they write must serve as well.
        self.armed = !self.rng.one_in(4);
        if self.armed {
            self.swarm.arm(&self.env, &mut self.rng, false);
        } else {
            self.swarm.arm_lies(&self.env, &mut self.rng);
        }
        self.closed &= self.rng.one_in(8);
        let steps = if self.closed { 0 } else { self.rng.below(40) };
        let mut life = Life {
            layers: layers(&net),
            tickets: Vec::new(),
            queued: self.oracle.newest(),
            poisoned: None,
            patience: self.rng.pick(&[0, 2, 4]),
            over: false,
        };
        for _ in 0..steps {
            self.step(&net, &mut life);
            if life.over || life.poisoned.is_some() && self.rng.one_in(4) {
                break;
            }
        }
        let Life {
            queued,
            poisoned,
            over,
            ..
        } = life;
        self.tally.poisoned += u64::from(poisoned.is_some());
        let disk = self.env.clone();
        match self.rng.below(4) {
            _ if over => self.end(net),
            0 => self.close(net, queued, poisoned.is_some()),
            1 => {
                // Dropping writes what it can, and cannot say whether it did.
                drop(net);
                self.closed = false;
                self.die();
            }
            _ => self.end(net),
        }
        if let Some(syncs) = poisoned {
            let now = disk.count(EnvOp::SYNCS);
            assert_eq!(now, syncs, "a poisoned handle goes on syncing");
        }
    }

    fn close(&mut self, net: Net, queued: u64, poisoned: bool) {
        match net.close() {
            Ok(()) => {
                assert!(!poisoned, "a poisoned handle closes");
                self.log.push("closed".to_owned());
                self.acknowledge(queued);
                self.tally.closes += 1;
                self.closed = true;
                self.marked = true;
            }
            Err(error) => {
                self.log.push(format!("not closed: {error}"));
                self.expect_failure(&error);
                self.closed = false;
            }
        }
        self.die();
    }

    /// The net's process ends where it is: what dropping it does reaches no disk.
    fn end(&mut self, net: Net) {
        let old = self.env.clone();
        self.die();
        old.inject(blocknet_wal::Injection {
            ops: &[],
            nth: 1,
            lasting: true,
            error: blocknet_wal::InjectedError::Io,
        });
        drop(net);
    }

    fn expect_failure(&self, error: &Error) {
        let kinds = [
            ErrorKind::Io,
            ErrorKind::OutcomeUnknown,
            ErrorKind::Poisoned,
        ];
        assert!(kinds.contains(&error.kind()), "{error}");
        assert!(self.armed, "nothing failed, and yet: {error}");
    }

    fn acknowledge(&mut self, number: u64) {
        self.tally.acknowledged += number.saturating_sub(self.oracle.acked());
        self.oracle.acknowledge(number);
    }

    fn step<'a>(&mut self, net: &'a Net, life: &mut Life<'a>) {
        let minutes = i64::try_from(self.rng.below(35)).expect("small") - 5;
        self.clock.turn(minutes * 60_000_000);
        match self.rng.below(24) {
            0 => {
                let result = net.sync();
                // A commit that failed while it waited for its sync is the handle's last one.
                let number = if result.is_ok() {
                    life.queued
                } else {
                    self.oracle.newest()
                };
                self.settled(life, number, result.as_ref().err(), "sync");
            }
            1 | 2 => {
                while !life.tickets.is_empty() {
                    let at = self.rng.index(life.tickets.len());
                    let (ticket, promise) = life.tickets.swap_remove(at);
                    self.wait(life, ticket, &promise);
                }
            }
            3 => self.define(net, life),
            4 => self.expand(net, life),
            5..=7 => check_one(net, &self.oracle, &mut self.rng),
            _ => self.submit(net, life),
        }
    }

    /// What an answer about the commits up to `number` means.
    fn settled(&mut self, life: &mut Life<'_>, number: u64, error: Option<&Error>, what: &str) {
        let Some(error) = error else {
            if number > self.oracle.acked() {
                assert!(life.poisoned.is_none(), "{what} acknowledges after poison");
                // One sync serves all that were waiting.
                self.acknowledge(life.queued);
            }
            return;
        };
        self.log.push(format!("{what} of {number}: {error}"));
        self.expect_failure(error);
        assert_ne!(error.kind(), ErrorKind::Io, "{what}: {error}");
        // Only tables on disk can fail to take what is durable.
        assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{what}: {error}");
        assert!(number > self.oracle.acked(), "{what} takes back: {error}");
        self.poison(life);
    }

    fn poison(&mut self, life: &mut Life<'_>) {
        let syncs = self.env.count(EnvOp::SYNCS);
        let before = *life.poisoned.get_or_insert(syncs);
        assert_eq!(before, syncs, "a poisoned handle goes on syncing");
    }

    fn wait(&mut self, life: &mut Life<'_>, ticket: Ticket<'_>, promise: &Promise) {
        let result = ticket.wait();
        if let Ok(receipt) = &result {
            let outcomes = receipt.outcomes.iter().map(|outcome| match outcome {
                Outcome::Written { version, .. } => Some(*version),
                Outcome::Unchanged => None,
            });
            assert_eq!(outcomes.collect::<Vec<_>>(), promise.versions);
        }
        self.settled(life, promise.number, result.as_ref().err(), "wait");
    }

    fn name(&mut self) -> String {
        self.serial += 1;
        format!("{:06}", self.serial)
    }

    fn submit<'a>(&mut self, net: &'a Net, life: &mut Life<'a>) {
        let author = self.name();
        let count = self.rng.pick(&[1, 1, 1, 2, 3, 6]);
        let said: Vec<Said> = (0..count)
            .map(|index| Said::random(&mut self.rng, &life.layers, &format!("{author}-{index}")))
            .collect();
        let oracle = &self.oracle;
        let request = commit(&author, &said, |layer, id| oracle.newest_version(layer, id));
        let verdict = oracle.verdict(&author, self.clock.micros(), &said);
        self.tally.submitted += 1;
        match (net.submit(&request), verdict) {
            (Err(error), Verdict::Conflict) if error.kind() == ErrorKind::Conflict => {
                assert!(life.poisoned.is_none(), "a poisoned handle answers");
                self.tally.refused += 1;
            }
            (Ok(_), Verdict::Conflict) => panic!("the model refuses {request:?}"),
            (Ok(ticket), Verdict::Written(entry, versions)) => {
                assert!(life.poisoned.is_none(), "a poisoned handle takes a commit");
                let number = self.oracle.newest() + 1;
                let written = versions.iter().any(Option::is_some);
                assert_eq!(ticket.commit(), written.then_some(number), "{request:?}");
                self.log.push(format!("submitted {:?}", ticket.commit()));
                if written {
                    self.oracle.entries.push(entry);
                    life.queued = number;
                }
                let number = life.queued;
                let promise = Promise { number, versions };
                if self.rng.below(4) < life.patience {
                    self.wait(life, ticket, &promise);
                } else {
                    life.tickets.push((ticket, promise));
                }
            }
            (Err(error), verdict) => {
                let entry = match verdict {
                    Verdict::Written(entry, _) => Some(entry),
                    Verdict::Conflict => None,
                };
                self.not_taken(life, &error, entry);
            }
        }
    }

    /// A commit was not acknowledged: nothing of it is ever found, or nobody knows.
    fn not_taken(&mut self, life: &mut Life<'_>, error: &Error, entry: Option<Entry>) {
        self.log.push(format!("not taken: {error}"));
        self.expect_failure(error);
        match error.kind() {
            ErrorKind::Poisoned => {
                assert!(life.poisoned.is_some(), "{error}");
                self.poison(life);
            }
            ErrorKind::OutcomeUnknown => {
                assert!(life.poisoned.is_none(), "{error}");
                self.oracle
                    .entries
                    .push(entry.expect("what is refused is not written"));
                self.tally.unknown += 1;
                self.poison(life);
            }
            _ => {
                assert!(life.poisoned.is_none(), "{error}");
                self.tally.failed += 1;
                // What was taken back is on disk already, whatever comes next.
                life.over = self.rng.one_in(3);
            }
        }
    }

    /// Defines a layer.
    fn define(&mut self, net: &Net, life: &mut Life<'_>) {
        if life.layers.len() >= LAYERS_MAX {
            return;
        }
        let author = self.name();
        let name = format!("layer {author}");
        self.tally.submitted += 1;
        let entry = Entry {
            author: author.clone(),
            layer: Some(name.clone()),
            ..Entry::default()
        };
        match net.create_layer(LayerDef::new(name), &author, "") {
            Ok(layer) => {
                life.layers.push(layer);
                self.taken_at_once(life, entry);
            }
            Err(error) => self.not_taken(life, &error, Some(entry)),
        }
    }

    /// Gives the net blocks without content.
    fn expand(&mut self, net: &Net, life: &mut Life<'_>) {
        let author = self.name();
        let places: Vec<usize> = (0..4).map(|_| self.rng.index(PLACES)).collect();
        let blocks = places.iter().map(|place| self.oracle.block(*place));
        let blocks: Vec<_> = blocks.collect();
        let entry = Entry {
            author: author.clone(),
            blocks: self.oracle.new_blocks(blocks.iter().copied()),
            ..Entry::default()
        };
        self.tally.submitted += 1;
        let mut receipts = 0;
        let commit = Commit::new(author, vec![]);
        let set = BlockSet::new(&self.spec, blocks);
        let result = net.expand(&set, &commit, |_| receipts += 1);
        let expected = u64::from(!entry.blocks.is_empty());
        match result {
            Ok(()) => {
                assert_eq!(receipts, expected);
                assert!(life.poisoned.is_none(), "a poisoned handle expands");
                if expected > 0 {
                    self.taken_at_once(life, entry);
                }
            }
            Err(error) => {
                assert_eq!(receipts, 0, "{error}");
                self.not_taken(life, &error, Some(entry));
            }
        }
    }

    fn taken_at_once(&mut self, life: &mut Life<'_>, entry: Entry) {
        assert!(life.poisoned.is_none(), "a poisoned handle takes a commit");
        self.oracle.entries.push(entry);
        life.queued = self.oracle.newest();
        self.log.push(format!("taken at once: {}", life.queued));
        self.acknowledge(life.queued);
    }
}

fn newest(net: &Net) -> u64 {
    let view = net.view(AsOf::Newest, Moment::LAST);
    view.unwrap_or_else(|error| panic!("no view: {error}"))
        .newest_commit()
}
