//! A machine that does not do as it should: no space, limits, no permission, many starters, a wrong
//! clock, little memory, a disk that fails and then pretends.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use blocknet_engine::{Assertion, Commit, ErrorKind, Extent, LayerId, Net};
use blocknet_geocode::NetSpec;

use crate::check::{Depth, Expect, check, check_with, compare};
use crate::child::{Ended, PATIENCE, start, words};
use crate::power::Disk;
use crate::story::{Model, Rng, commit};
use crate::system::{Mount, fresh_dir, need, need_root, run as command};
use crate::writer::{HandClock, answers_fit, builder};
use crate::{Failure, Result, Setting, Violations};

/// What is wrong with the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Fault {
    /// The disk fills up at random points, and is freed again.
    FullDisk,
    /// No file may grow beyond a limit.
    FileSize,
    /// The directory cannot be written.
    ReadOnly,
    /// Fifty processes open one store at once.
    Starters,
    /// The clock is set back.
    Clock,
    /// The address space is limited.
    AddressSpace,
    /// A control group limits memory to less than the store.
    MemoryGroup,
    /// Writing to the disk fails, the sync says so once, and the cache shows what is not there.
    LostPages,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::FullDisk,
        Self::FileSize,
        Self::ReadOnly,
        Self::Starters,
        Self::Clock,
        Self::AddressSpace,
        Self::MemoryGroup,
        Self::LostPages,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::FullDisk => "full-disk",
            Self::FileSize => "file-size",
            Self::ReadOnly => "read-only",
            Self::Starters => "starters",
            Self::Clock => "clock",
            Self::AddressSpace => "address-space",
            Self::MemoryGroup => "memory-group",
            Self::LostPages => "lost-pages",
        }
    }

    /// How often it is tried at full size. For the memory group, mebibytes of payload.
    pub fn usual(self) -> u64 {
        match self {
            Self::FullDisk => 100,
            Self::FileSize => 60,
            Self::ReadOnly => 4,
            Self::Starters | Self::LostPages | Self::Clock => 20,
            Self::AddressSpace => 40,
            Self::MemoryGroup => 400,
        }
    }
}

/// What was done and found: counts with names.
#[derive(Clone, Debug, Default)]
pub struct Report(BTreeMap<String, u64>);

impl Report {
    fn add(&mut self, what: impl Into<String>, count: u64) {
        *self.0.entry(what.into()).or_default() += count;
    }

    fn ended(&mut self, ended: &Ended) {
        let how = match ended.status.code() {
            Some(0) => "writers that wrote everything",
            Some(3) => "writers that stopped with a typed error",
            _ => "writers that were ended",
        };
        self.add(how, 1);
        for failed in &ended.heard.failed {
            let mut words = failed.split(' ');
            let (word, kind) = (words.next(), words.nth(1));
            self.add(
                format!("{} {}", word.unwrap_or("?"), kind.unwrap_or("?")),
                1,
            );
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts: Vec<String> = self
            .0
            .iter()
            .map(|(what, count)| format!("  {count:6} {what}"))
            .collect();
        f.write_str(&counts.join("\n"))
    }
}

/// Tries one fault so many times.
///
/// # Errors
/// Violations, at the end; whatever stops the torture, at once.
pub fn run(setting: &Setting, fault: Fault, count: u64) -> Result<Report> {
    let count = count.max(1);
    let work = tempfile::tempdir_in(&setting.work)
        .map_err(|error| Failure::setup(setting.work.display(), error))?;
    let work = work.path();
    let run = match fault {
        Fault::FullDisk => full_disk,
        Fault::FileSize => file_size,
        Fault::ReadOnly => read_only,
        Fault::Starters => starters,
        Fault::Clock => clock,
        Fault::AddressSpace => address_space,
        Fault::MemoryGroup => memory_group,
        Fault::LostPages => lost_pages,
    };
    run(setting, work, count).map_err(|failure| {
        let seed = setting.seed;
        failure.at(format!(
            "faults --seed {seed} --only {} (number {count})",
            fault.name()
        ))
    })
}

fn engine(what: &str) -> impl Fn(blocknet_engine::Error) -> Failure {
    move |error| Failure::violation(format!("{what}: {:?}: {error}", error.kind()))
}

fn expect(ended: &Ended, seed: u64) -> Expect {
    Expect {
        seed,
        created: ended.heard.created,
        acked: ended.heard.acked,
        tried: ended.heard.tried,
    }
}

/// A store on a disk that fills up: the net is in this process, so that a seed decides everything.
struct Filling {
    dir: std::path::PathBuf,
    store: std::path::PathBuf,
    seed: u64,
    rng: Rng,
    expect: Expect,
    model: Model,
    net: Option<Net>,
    poisoned: bool,
    report: Report,
}

impl Filling {
    fn filler(&self) -> std::path::PathBuf {
        self.dir.join("filler")
    }

    /// Takes all space, but for a random rest.
    fn fill(&mut self) -> Result<()> {
        let setup = |error| Failure::setup("the filler", error);
        let file = File::create(self.filler()).map_err(setup)?;
        let mut len = 0_u64;
        for part in [1 << 20, 1 << 16, 1 << 12] {
            // At an offset: what is written of a part before it fails is written again.
            while file.write_all_at(&vec![1; part], len).is_ok() {
                len += part as u64;
            }
        }
        let rest = match self.rng.below(4) {
            0 => 0,
            1 => self.rng.below(8) * 4096,
            2 => self.rng.below(40) * 4096,
            _ => self.rng.below(300) * 4096,
        };
        file.set_len(len.saturating_sub(rest)).map_err(setup)
    }

    fn open(&mut self, full: bool) -> Result<()> {
        let opened = if Net::is_free(&self.store).map_err(engine("is_free"))? {
            if self.expect.created {
                return Err(Failure::violation("the net is gone"));
            }
            builder().create(&self.store, NetSpec::city())
        } else {
            builder().open(&self.store)
        };
        match opened {
            Ok(net) => {
                let mut model = std::mem::replace(&mut self.model, Model::new(self.seed));
                let present = compare(&net, &self.expect, &mut model)?;
                self.model = model;
                self.report.add(
                    "commits found that were not acknowledged",
                    present - self.expect.acked,
                );
                self.expect.created = true;
                self.expect.acked = present;
                self.expect.tried = present;
                self.net = Some(net);
                self.poisoned = false;
                Ok(())
            }
            Err(error) if full && matches!(error.kind(), ErrorKind::Io | ErrorKind::Poisoned) => {
                self.report.add("openings refused on the full disk", 1);
                Ok(())
            }
            // Making the net did not get to its end, and can be done again.
            Err(error) if !self.expect.created && error.to_string().contains("not finished") => {
                self.report.add("unfinished creations removed by hand", 1);
                fresh_dir(&self.store)
            }
            Err(error) => Err(engine(if full { "open, full" } else { "open" })(error)),
        }
    }

    fn write(&mut self, count: u64, full: bool) -> Result<()> {
        for _ in 0..count {
            let Some(net) = &self.net else { return Ok(()) };
            let serial = self.expect.acked + 1;
            match net.commit(&commit(self.seed, serial)) {
                Ok(_) if self.poisoned => {
                    return Err(Failure::violation("a poisoned net takes a commit"));
                }
                Ok(receipt) if receipt.commit == Some(serial + 1) => {
                    self.expect.acked = serial;
                    self.expect.tried = serial;
                    self.report.add("commits", 1);
                }
                Ok(receipt) => {
                    return Err(Failure::violation(format!(
                        "commit {serial} became {:?}",
                        receipt.commit
                    )));
                }
                Err(error) if error.kind() == ErrorKind::Io && full => {
                    self.report.add("commits refused on the full disk", 1);
                }
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::OutcomeUnknown | ErrorKind::Poisoned
                    ) =>
                {
                    self.report.add(format!("commits {:?}", error.kind()), 1);
                    if !self.poisoned {
                        self.expect.tried = serial;
                    }
                    self.poisoned = true;
                    answers_fit(net, self.seed).map_err(Failure::violation)?;
                    if self.rng.below(2) == 0 {
                        return Ok(());
                    }
                }
                Err(error) => return Err(engine("commit")(error)),
            }
        }
        Ok(())
    }

    fn cycle(&mut self) -> Result<()> {
        if self.net.is_none() {
            self.open(false)?;
        }
        let (before, during) = (self.rng.below(12), 3 + self.rng.below(30));
        self.write(before, false)?;
        self.fill()?;
        self.write(during, true)?;
        if self.rng.below(3) == 0 || self.poisoned {
            self.net = None;
            if self.rng.below(2) == 0 {
                self.open(true)?;
                self.write(during, true)?;
            }
        }
        fs::remove_file(self.filler()).map_err(|error| Failure::setup("the filler", error))?;
        if self.poisoned {
            self.net = None;
        }
        if self.net.is_none() {
            self.open(false)?;
        }
        // There is space again: it is taken, or the tables had failed in the background.
        self.write(1, false)?;
        if self.poisoned {
            self.report.add("handles that space did not bring back", 1);
            self.net = None;
            self.open(false)?;
            self.write(1, false)?;
        }
        if self.poisoned {
            return Err(Failure::violation("poisoned with space to spare"));
        }
        if self.rng.below(3) == 0 {
            self.net = None;
            let mut model = std::mem::replace(&mut self.model, Model::new(self.seed));
            check_with(&self.store, &self.expect, Depth::ReadFirst, &mut model)?;
            self.model = model;
        }
        Ok(())
    }
}

fn full_disk(setting: &Setting, work: &Path, count: u64) -> Result<Report> {
    /// A new store after so many cycles, since a journal only grows.
    const CYCLES: u64 = 8;
    need_root()?;
    let mut report = Report::default();
    let mut violations = Violations::default();
    for store in 0..count.div_ceil(CYCLES) {
        let seed = setting.seed.wrapping_add(store);
        let mut rng = Rng::of(seed, 3);
        let size = format!("size={}m", 10 + rng.below(10));
        let mount = Mount::new(&["-t", "tmpfs", "-o", &size, "tmpfs"], &work.join("full"))?;
        let mut filling = Filling {
            dir: mount.point().to_path_buf(),
            store: mount.point().join("store"),
            seed,
            rng,
            expect: Expect {
                seed,
                ..Expect::default()
            },
            model: Model::new(seed),
            net: None,
            poisoned: false,
            report: Report::default(),
        };
        // In a thread of its own, since a call that waits for ever is one of the things sought.
        let cycles = CYCLES.min(count - store * CYCLES);
        let (tell, told) = channel();
        let thread = std::thread::spawn(move || {
            for _ in 0..cycles {
                let done = filling.cycle();
                let failed = done.is_err();
                drop(tell.send((done, std::mem::take(&mut filling.report))));
                if failed {
                    break;
                }
            }
        });
        let mut cycle = 0;
        let mut hangs = false;
        while !hangs {
            let done = match told.recv_timeout(PATIENCE) {
                Ok((done, counts)) => {
                    for (what, count) in counts.0 {
                        report.add(what, count);
                    }
                    done
                }
                Err(RecvTimeoutError::Timeout) => {
                    hangs = true;
                    Err(Failure::violation("a call hangs"))
                }
                Err(RecvTimeoutError::Disconnected) => break,
            };
            let done = done.map_err(|failure| {
                failure.at(format!("store of seed {seed}, {size}, cycle {cycle}"))
            });
            if violations.take(done)?.is_some() {
                report.add("cycles of filling and freeing", 1);
            }
            cycle += 1;
        }
        if hangs {
            // The thread cannot be ended; the mount goes with this process.
            drop(mount);
        } else if thread.join().is_err() {
            return Err(Failure::violation(format!("panic, store of seed {seed}")));
        } else {
            mount.unmount()?;
        }
    }
    violations.finish()?;
    Ok(report)
}

fn file_size(setting: &Setting, work: &Path, count: u64) -> Result<Report> {
    let mut report = Report::default();
    let mut violations = Violations::default();
    let store = work.join("store");
    for round in 0..count {
        let seed = setting.seed.wrapping_add(round);
        let mut rng = Rng::of(seed, 4);
        // In blocks of 512 bytes: from less than a first page to more than any file.
        let blocks = match rng.below(3) {
            0 => rng.below(16),
            1 => rng.below(64),
            _ => rng.below(400),
        };
        let blocks = blocks.to_string();
        let limited = "trap '' 25; ulimit -f \"$0\"; exec \"$@\"";
        fresh_dir(&store)?;
        let args = words(&store, seed, &[("--commits", 40), ("--sessions", 2)]);
        let done = (|| {
            let wrap = ["sh", "-c", limited, &blocks];
            let ended = start(&wrap, &setting.exe, &args, &[], seed)?.wait()?;
            ended.judge()?;
            report.ended(&ended);
            let found = check(&store, &expect(&ended, seed), Depth::ReadFirst)?;
            report.add("unfinished creations", u64::from(found.unfinished));
            report.add("creations that left nothing", u64::from(found.free));
            Ok(())
        })();
        let done = done.map_err(|failure: Failure| {
            failure.at(format!("seed {seed}, {blocks} blocks of 512 bytes"))
        });
        violations.take(done)?;
    }
    violations.finish()?;
    Ok(report)
}

fn read_only(setting: &Setting, work: &Path, count: u64) -> Result<Report> {
    need_root()?;
    let mut report = Report::default();
    let (real, point) = (work.join("real"), work.join("bound"));
    for round in 0..count {
        let seed = setting.seed.wrapping_add(round);
        fresh_dir(&real)?;
        let store = real.join("store");
        let args = words(&store, seed, &[("--commits", 20 + round)]);
        let writer = start(&[], &setting.exe, &args, &[], seed)?;
        // Closed, or killed with something to replay.
        let ended = if round % 2 == 0 {
            writer.wait()?
        } else {
            writer.kill_after(Duration::from_millis(300))?
        };
        ended.judge()?;
        let mount = Mount::new(&["--bind", &real.to_string_lossy()], &point)?;
        command(
            "mount",
            &["-o", "remount,ro,bind", &point.to_string_lossy()],
        )?;
        let bound = mount.point().join("store");
        if ended.heard.created {
            match builder().open(&bound) {
                Ok(_) => return Err(Failure::violation("opened for writing on a read-only disk")),
                Err(error) if error.kind() == ErrorKind::Io => report.add("openings refused", 1),
                Err(error) => return Err(engine("open for writing, read-only")(error)),
            }
            let net = builder()
                .open_read_only(&bound)
                .map_err(engine("open for reading, read-only"))?;
            compare(&net, &expect(&ended, seed), &mut Model::new(seed))?;
            report.add("openings for reading", 1);
        }
        match builder().create(mount.point().join("new"), NetSpec::city()) {
            Err(error) if error.kind() == ErrorKind::Io => report.add("creations refused", 1),
            Ok(_) => return Err(Failure::violation("created on a read-only disk")),
            Err(error) => return Err(engine("create, read-only")(error)),
        }
        mount.unmount()?;
        check(&store, &expect(&ended, seed), Depth::ReadFirst)?;
    }
    Ok(report)
}

fn starters(setting: &Setting, work: &Path, count: u64) -> Result<Report> {
    const STARTERS: usize = 50;
    let mut report = Report::default();
    let mut violations = Violations::default();
    let store = work.join("store");
    let mut known = Expect::default();
    for round in 0..count {
        // Every other round there is no store yet.
        let fresh = round % 2 == 0;
        let seed = setting.seed.wrapping_add(round / 2);
        if fresh {
            fresh_dir(&store)?;
            known = Expect {
                seed,
                ..Expect::default()
            };
        }
        let mut args = words(&store, seed, &[("--commits", 5)]);
        args.extend(["--mode".into(), "hold".into()]);
        let done = (|| {
            let mut starters = (0..STARTERS)
                .map(|_| start(&[], &setting.exe, &args, &[], seed))
                .collect::<Result<Vec<_>>>()?;
            // One holds the store for as long as the others are there.
            for _ in 0..6_000 {
                let ended = starters.iter_mut().filter_map(|starter| {
                    let ended = starter.has_ended();
                    ended.then_some(())
                });
                if ended.count() >= STARTERS - 1 {
                    break;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            let holding = starters
                .iter_mut()
                .map(|starter| u64::from(!starter.has_ended()))
                .sum::<u64>();
            let mut winners = 0;
            for starter in starters {
                let ended = starter.wait()?;
                ended.judge()?;
                report.ended(&ended);
                if ended.heard.opened.is_some() {
                    winners += 1;
                    known.created = true;
                    known.acked = known.acked.max(ended.heard.acked);
                    known.tried = known.tried.max(ended.heard.tried);
                }
            }
            if winners != 1 || holding != 1 {
                return Err(Failure::violation(format!(
                    "{winners} of {STARTERS} opened the store, {holding} held it"
                )));
            }
            let found = check(&store, &known, Depth::Full)?;
            known.acked = found.present;
            known.tried = found.present;
            Ok(())
        })();
        let done = done.map_err(|failure: Failure| failure.at(format!("round {round}")));
        violations.take(done)?;
        report.add("rounds of 50 starters", 1);
    }
    violations.finish()?;
    Ok(report)
}

fn clock(setting: &Setting, work: &Path, count: u64) -> Result<Report> {
    const HOUR: u64 = 3_600_000_000;
    let mut report = Report::default();
    let mut violations = Violations::default();
    let store = work.join("store");
    for round in 0..count {
        let seed = setting.seed.wrapping_add(round);
        fresh_dir(&store)?;
        let done = (|| {
            let mut rng = Rng::of(seed, 6);
            let hand = Arc::new(HandClock::default());
            let with = || builder().clock(hand.clone());
            // In the year 2000.
            let mut now = 262_980 * HOUR;
            hand.set(now);
            let mut latest = now;
            let create = |error| engine("create")(error);
            let mut net = with().create(&store, NetSpec::city()).map_err(create)?;
            for serial in 1..=40 {
                now = match rng.below(5) {
                    0 => latest.saturating_sub(rng.below(2_000) * HOUR),
                    1 => latest.saturating_sub(rng.below(HOUR)),
                    2 => latest + rng.below(100 * HOUR),
                    _ => latest + rng.below(HOUR / 60),
                };
                hand.set(now);
                if rng.below(6) == 0 {
                    net.close().map_err(engine("close"))?;
                    net = with().open(&store).map_err(engine("open"))?;
                }
                let mut request = commit(seed, serial);
                let mut result = net.commit(&request);
                if let Err(error) = &result
                    && error.kind() == ErrorKind::Clock
                {
                    if now + HOUR >= latest {
                        return Err(Failure::violation("refused within an hour"));
                    }
                    report.add("commits refused for the clock", 1);
                    request.accept_clock = true;
                    result = net.commit(&request);
                } else if now + 2 * HOUR < latest {
                    report.add("commits taken with the clock set back before", 1);
                }
                let receipt = result.map_err(engine("commit"))?;
                if receipt.commit != Some(serial + 1) {
                    return Err(Failure::violation(format!("it became {receipt:?}")));
                }
                latest = latest.max(now);
                report.add("commits", 1);
            }
            net.close().map_err(engine("close"))?;
            let expect = Expect {
                seed,
                created: true,
                acked: 40,
                tried: 40,
            };
            check(&store, &expect, Depth::ReadFirst).map(drop)
        })();
        violations.take(done.map_err(|failure: Failure| failure.at(format!("seed {seed}"))))?;
    }
    violations.finish()?;
    Ok(report)
}

fn address_space(setting: &Setting, work: &Path, count: u64) -> Result<Report> {
    let mut report = Report::default();
    let mut violations = Violations::default();
    let store = work.join("store");
    fresh_dir(&store)?;
    let seed = setting.seed;
    let mut rng = Rng::of(seed, 8);
    let mut known = Expect {
        seed,
        ..Expect::default()
    };
    for round in 0..count {
        let kib = (24 + rng.below(500)) << 10;
        let limit = kib.to_string();
        let limited = "ulimit -v \"$0\"; exec \"$@\"";
        let args = words(&store, seed, &[("--commits", 15)]);
        let done = (|| {
            let wrap = ["sh", "-c", limited, &limit];
            let ended = start(&wrap, &setting.exe, &args, &[], seed)?.wait()?;
            // Without memory a process ends as if it were killed; what it said before counts.
            if let Some(bad) = ended.heard.bad.first() {
                return Err(Failure::violation(format!("the writer says: {bad}")));
            }
            report.ended(&ended);
            known.created |= ended.heard.created;
            known.acked = known.acked.max(ended.heard.acked);
            known.tried = known.tried.max(ended.heard.tried);
            let found = check(&store, &known, Depth::ReadFirst)?;
            known.created = true;
            known.acked = found.present;
            known.tried = found.present;
            if found.unfinished {
                report.add("unfinished creations", 1);
                known.created = false;
                fresh_dir(&store)?;
            }
            Ok(())
        })();
        let done = done.map_err(|failure: Failure| {
            failure.at(format!("round {round}, {kib} KiB of address space"))
        });
        violations.take(done)?;
    }
    violations.finish()?;
    Ok(report)
}

/// A control group for memory; removed on drop.
struct Group(std::path::PathBuf);

impl Group {
    fn new(limit_bytes: u64) -> Result<Self> {
        let name = format!("blocknet-torture-{}", std::process::id());
        let limit = limit_bytes.to_string();
        for (root, file) in [
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            ("/sys/fs/cgroup", "memory.max"),
        ] {
            let group = Path::new(root).join(&name);
            if fs::create_dir(&group).is_err() {
                continue;
            }
            let group = Self(group);
            if fs::write(group.0.join(file), &limit).is_ok() {
                return Ok(group);
            }
        }
        Err(Failure::Skipped(
            "no control group for memory can be made".into(),
        ))
    }

    fn highest(&self) -> u64 {
        ["memory.max_usage_in_bytes", "memory.peak"]
            .iter()
            .find_map(|file| {
                let text = fs::read_to_string(self.0.join(file)).ok()?;
                text.trim().parse().ok()
            })
            .unwrap_or(0)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        drop(fs::remove_dir(&self.0));
    }
}

fn memory_group(setting: &Setting, work: &Path, mebibytes: u64) -> Result<Report> {
    const LIMIT: u64 = 64 << 20;
    need_root()?;
    let kind = command("stat", &["-f", "-c", "%T", &work.to_string_lossy()])?;
    if kind.trim() == "tmpfs" {
        // Its files are memory themselves, and count.
        return Err(Failure::Skipped("the store has to be on a disk".into()));
    }
    let mut report = Report::default();
    let store = work.join("store");
    let seed = setting.seed;
    let mut rng = Rng::of(seed, 9);
    let net = Net::builder()
        .create(&store, NetSpec::city())
        .map_err(engine("create"))?;
    for part in 0..mebibytes {
        let assertions = (0..16)
            .map(|index| {
                let mut payload = Vec::new();
                while payload.len() < 1 << 16 {
                    payload.extend(rng.draw().to_le_bytes());
                }
                let step = f64::from(u32::try_from(rng.below(1000)).unwrap_or(0)) * 0.0001;
                let extent = Extent::flat(6.0 + step, 52.0, 6.0001 + step, 52.0001);
                Assertion::state(LayerId::MAIN, format!("{part}-{index}"), extent, payload)
            })
            .collect();
        net.commit(&Commit::new("large", assertions))
            .map_err(engine("commit"))?;
    }
    net.close().map_err(engine("close"))?;
    report.add("MiB of payloads", mebibytes);
    let limited = "echo $$ > \"$0/cgroup.procs\"; exec \"$@\"";
    for (what, without_tables) in [("opened and audited", false), ("rebuilt and audited", true)] {
        if without_tables {
            crate::system::remove(&store.join("tables"))?;
        }
        let group = Group::new(LIMIT)?;
        let path = group.0.to_string_lossy().into_owned();
        let mut args = words(&store, seed, &[]);
        args.extend(["--mode".into(), "audit".into()]);
        let wrap = ["sh", "-c", limited, &path];
        let ended = start(&wrap, &setting.exe, &args, &[], seed)?.wait()?;
        report.add(format!("MiB at most when {what}"), group.highest() >> 20);
        drop(group);
        if ended.killed() {
            report.add(format!("killed for want of memory: {what}"), 1);
        } else {
            ended.judge()?;
            if ended.heard.opened != Some(mebibytes + 1) || !ended.heard.failed.is_empty() {
                let failures = ended.heard.failures();
                return Err(Failure::violation(format!(
                    "{what}: {:?} commits; {failures}",
                    ended.heard.opened
                )));
            }
            report.add(what, 1);
        }
        // Killed or not, nothing is lost.
        let net = builder().open(&store).map_err(engine("open"))?;
        let view = net.now_view().map_err(engine("read"))?;
        if view.newest_commit() != mebibytes + 1 {
            return Err(Failure::violation(format!(
                "{what}: {} commits are left of {}",
                view.newest_commit(),
                mebibytes + 1
            )));
        }
    }
    Ok(report)
}

fn lost_pages(setting: &Setting, work: &Path, count: u64) -> Result<Report> {
    need_root()?;
    need(&["nbdkit", "nbdfuse", "fusermount3", "losetup", "mkfs.ext4"])?;
    let mut report = Report::default();
    let mut violations = Violations::default();
    for round in 0..count {
        let seed = setting.seed.wrapping_add(round);
        let done = lost_pages_once(setting, work, seed, &mut report);
        violations.take(done.map_err(|failure| failure.at(format!("seed {seed}"))))?;
    }
    violations.finish()?;
    Ok(report)
}

/// The disk takes no writes while the trigger is there. The writer meets it at a random moment; then
/// the disk works again, the store is opened in the same boot, and what that opening shows has to be
/// there when the cache is gone.
fn lost_pages_once(setting: &Setting, work: &Path, seed: u64, report: &mut Report) -> Result<()> {
    let mut rng = Rng::of(seed, 10);
    let trigger = work.join("trigger");
    let setup = |error| Failure::setup("the trigger", error);
    let error_file = format!("error-file={}", trigger.display());
    let disk = Disk::serve(
        work,
        &[
            "--filter=error",
            "memory",
            "96M",
            "error-pwrite=EIO",
            "error-rate=100%",
            &error_file,
        ],
    )?;
    command("mkfs.ext4", &["-qF", disk.device()])?;
    let point = work.join("failing");
    let mount = Mount::new(&["-o", "errors=continue", disk.device()], &point)?;
    let store = point.join("store");
    let args = words(&store, seed, &[("--commits", 400)]);
    let writer = start(&[], &setting.exe, &args, &[], seed)?;
    std::thread::sleep(Duration::from_micros(100_000 + rng.below(900_000)));
    fs::write(&trigger, []).map_err(setup)?;
    std::thread::sleep(Duration::from_micros(rng.below(400_000)));
    fs::remove_file(&trigger).map_err(setup)?;
    let ended = writer.wait()?;
    ended.judge()?;
    report.ended(&ended);
    let mut known = expect(&ended, seed);
    // The opening in the same boot: the cache may show commits that are not on the disk.
    let mut model = Model::new(seed);
    let reopened = if known.created {
        builder().open(&store).map(Some)
    } else {
        Ok(None)
    };
    let mut told = String::from("no");
    match reopened {
        Ok(Some(net)) => {
            let present = compare(&net, &known, &mut model)?;
            report.add("openings in the same boot", 1);
            report.add(
                "commits they found that were not acknowledged",
                present - known.acked,
            );
            // From here on they are told to others, and must stay.
            known.acked = present;
            known.tried = present;
            told = format!("{present} commits, {}", net.report());
            match net.close() {
                Ok(()) => {}
                // The file system has given up; what was told is on disk all the same.
                Err(error) => told.extend(["not closed: ", &error.to_string()]),
            }
        }
        Ok(None) => {}
        // The file system went read-only, as it should.
        Err(error) if error.kind() == ErrorKind::Io => {
            report.add("openings refused in the same boot", 1);
        }
        Err(error) => return Err(engine("open in the same boot")(error)),
    }
    mount.unmount()?;
    fs::write("/proc/sys/vm/drop_caches", "3")
        .map_err(|error| Failure::setup("drop_caches", error))?;
    let mount = Mount::new(&[disk.device()], &point)?;
    let found = check_with(&store, &known, Depth::ReadFirst, &mut model);
    mount.unmount()?;
    let found = found.map_err(|failure| {
        let Expect { acked, tried, .. } = expect(&ended, seed);
        let failures = ended.heard.failures();
        failure.at(format!(
            "after the cache was gone (the writer: {acked} acknowledged, {tried} tried, {failures}; \
             opened in the same boot: {told})"
        ))
    })?;
    report.add("openings after the cache was gone", 1);
    report.add("tails cut then", u64::from(found.cut));
    Ok(())
}
