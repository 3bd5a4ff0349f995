//! Backup and restore killed at random moments, and hit at their file operations one by one.
//!
//! Whatever the moment: the source keeps every byte; the target is whole (over an earlier backup, a
//! whole one with some of the newer commits), or it does not open; and made again, it is whole.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use blocknet_engine::backup::{TableFiles, Until};
use blocknet_engine::verify::{Depth as VerifyDepth, Side, Verification};
use blocknet_engine::{ErrorKind, Net};
use blocknet_geocode::NetSpec;

use crate::check::{Contents, Depth, Expect, check_with, compare, contents, difference, violation};
use crate::child::{start, words};
use crate::shim::{Action, Shim};
use crate::story::{Model, Rng, commit};
use crate::system::{Mount, fresh_dir, need_root, remove, run as run_command};
use crate::writer::builder;
use crate::{Failure, Result, Setting, Violations};

/// What a copying process is told.
#[derive(Clone, Debug, clap::Args)]
pub struct CopyArgs {
    /// What it does.
    #[arg(value_enum)]
    pub what: What,
    /// The source.
    pub from: PathBuf,
    /// The target.
    pub to: PathBuf,
    /// Restore up to this commit only.
    #[arg(long)]
    pub to_commit: Option<u64>,
    /// Share no files.
    #[arg(long)]
    pub copy: bool,
}

/// What a copying process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum What {
    /// Backs up.
    Backup,
    /// Restores.
    Restore,
}

/// Runs a copying process; its exit code is 0 when it was done, 3 when it failed and said so.
pub fn copy(args: &CopyArgs) -> u8 {
    let say = |line: &str| {
        let mut out = std::io::stdout().lock();
        drop(writeln!(out, "{line}").and_then(|()| out.flush()));
    };
    say("begun");
    let done = match args.what {
        What::Backup => {
            let files = if args.copy {
                TableFiles::Copied
            } else {
                TableFiles::Linked
            };
            let made = builder().backup(&args.from, &args.to, files, &|_| ());
            made.map(|made| made.commits)
        }
        What::Restore => {
            let until = args.to_commit.map_or(Until::Newest, Until::Commit);
            let restored = builder().restore(&args.from, &args.to, until, &|_| ());
            restored.map(|restored| restored.commits)
        }
    };
    match done {
        Ok(commits) => {
            say(&format!("done {commits}"));
            0
        }
        Err(error) => {
            say(&format!("failed {:?} {error}", error.kind()));
            3
        }
    }
}

/// How much of it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Processes to kill at random moments.
    pub kills: u64,
    /// Every so manieth file operation is hit, from a random first one; 0 for none.
    pub stride: u64,
    /// How.
    pub actions: Vec<Action>,
}

/// What was done and found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Random kills by what was being done.
    pub kills: BTreeMap<&'static str, u64>,
    /// Processes that had ended by then.
    pub ended: u64,
    /// Operations hit, by what was being done and how.
    pub hits: BTreeMap<String, u64>,
    /// Targets that did not open afterwards.
    pub refused: u64,
    /// Earlier backups found as they were.
    pub earlier: u64,
    /// Earlier backups found with some of the newer commits.
    pub partly: u64,
    /// Targets found whole.
    pub whole: u64,
    /// Targets found between their old tables and their new ones.
    pub without_tables: u64,
    /// Failures reported.
    pub failed: u64,
    /// Targets hit again before they were made whole.
    pub again: u64,
    /// Targets made whole, verified and compared.
    pub completed: u64,
    /// Broken promises.
    pub violations: usize,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, kills) in &self.kills {
            writeln!(f, "  {kind}: {kills} killed at random moments")?;
        }
        for (what, hits) in &self.hits {
            writeln!(f, "  {what}: {hits} file operations hit")?;
        }
        write!(
            f,
            "  had ended {}; targets refused {}, as before {}, partly newer {}, without tables {}, \
             whole {}; failures reported {}; hit again {}; made whole {}; violations {}",
            self.ended,
            self.refused,
            self.earlier,
            self.partly,
            self.without_tables,
            self.whole,
            self.failed,
            self.again,
            self.completed,
            self.violations
        )
    }
}

/// What is being done when it is hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Fresh,
    Again,
    Whole,
    Part,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Fresh, Self::Again, Self::Whole, Self::Part];

    fn name(self) -> &'static str {
        match self {
            Self::Fresh => "backup",
            Self::Again => "backup over an earlier one",
            Self::Whole => "restore",
            Self::Part => "restore to a commit",
        }
    }

    fn is_restore(self) -> bool {
        matches!(self, Self::Whole | Self::Part)
    }
}

const LIVE: &str = "backup of a net in use";

/// Commits of the story in the earlier backup, in the source, and where a restore to a commit ends.
const EARLIER: u64 = 60;
const ALL: u64 = 140;
const PART: u64 = 93;

/// A live store with more commits than this is left for a new one.
const LIVE_COMMITS_MAX: u64 = 1_200;

/// What was done to a target, and how long it may take.
struct Scene {
    seed: u64,
    root: PathBuf,
    source: PathBuf,
    earlier: PathBuf,
    backup: PathBuf,
    source_before: Contents,
    backup_before: Contents,
}

fn engine(what: &str) -> impl Fn(blocknet_engine::Error) -> Failure {
    move |error| violation(format!("{what}: {:?}: {error}", error.kind()))
}

impl Scene {
    fn new(root: &Path, seed: u64) -> Result<Self> {
        let scene = Self {
            seed,
            root: root.to_path_buf(),
            source: root.join("source"),
            earlier: root.join("earlier"),
            backup: root.join("backup"),
            source_before: Contents::new(),
            backup_before: Contents::new(),
        };
        let net = builder()
            .create(&scene.source, NetSpec::city())
            .map_err(engine("create"))?;
        let write = |net: &Net, serials: std::ops::RangeInclusive<u64>| {
            serials.into_iter().try_for_each(|serial| {
                let made = net.commit(&commit(seed, serial)).map(drop);
                made.map_err(engine("commit"))
            })
        };
        write(&net, 1..=EARLIER)?;
        net.backup(&scene.earlier, TableFiles::Linked, &|_| ())
            .map_err(engine("the earlier backup"))?;
        write(&net, EARLIER + 1..=ALL)?;
        net.close().map_err(engine("close"))?;
        builder()
            .backup(&scene.source, &scene.backup, TableFiles::Copied, &|_| ())
            .map_err(engine("the backup"))?;
        Ok(Self {
            source_before: contents(&scene.source)?,
            backup_before: contents(&scene.backup)?,
            ..scene
        })
    }

    fn target(&self) -> PathBuf {
        self.root.join("target")
    }

    fn from(&self, kind: Kind) -> &Path {
        if kind.is_restore() {
            &self.backup
        } else {
            &self.source
        }
    }

    /// Commits of the story that the target had before, and will have.
    fn bounds(kind: Kind) -> (u64, u64) {
        match kind {
            Kind::Fresh | Kind::Whole => (0, ALL),
            Kind::Again => (EARLIER, ALL),
            Kind::Part => (0, PART),
        }
    }

    /// Makes the target as it is before; with `times` segments are recognised as those of the
    /// source, without all are copied.
    fn prepare(&self, kind: Kind, times: bool) -> Result<()> {
        remove(&self.target())?;
        if kind == Kind::Again {
            copy_dir(&self.earlier, &self.target(), times)?;
        }
        Ok(())
    }

    fn args(&self, kind: Kind, copied: bool) -> Vec<std::ffi::OsString> {
        let what = if kind.is_restore() {
            "restore"
        } else {
            "backup"
        };
        let mut args = vec![
            "copy".into(),
            what.into(),
            self.from(kind).into(),
            self.target().into(),
        ];
        if kind == Kind::Part {
            // The first commit makes the net.
            args.extend(["--to-commit".into(), (PART + 1).to_string().into()]);
        }
        if copied && !kind.is_restore() {
            args.push("--copy".into());
        }
        args
    }

    /// The source has every byte it had.
    fn check_source(&self, kind: Kind) -> Result<()> {
        let (dir, before) = if kind.is_restore() {
            (&self.backup, &self.backup_before)
        } else {
            (&self.source, &self.source_before)
        };
        match difference(before, &contents(dir)?) {
            None => Ok(()),
            Some(changed) => Err(violation(format!(
                "the source changed: {}",
                changed.display()
            ))),
        }
    }

    /// Judges a target that was hit.
    fn judge(&self, kind: Kind, model: &mut Model, report: &mut Report) -> Result<()> {
        self.check_source(kind)?;
        let target = self.target();
        let (low, high) = Self::bounds(kind);
        let net = match builder().open_read_only(&target) {
            Ok(net) => net,
            Err(error)
                if kind != Kind::Again
                    && matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Corrupt)
                    && !target.join("journal").exists() =>
            {
                report.refused += 1;
                return Ok(());
            }
            Err(error) => return Err(engine("open what was hit")(error)),
        };
        // A new target opens only when it is whole.
        let acked = if kind == Kind::Again { low } else { high };
        let expect = Expect {
            seed: self.seed,
            created: true,
            acked,
            tried: high,
        };
        let present =
            compare(&net, &expect, model).map_err(|failure| failure.at("what was hit"))?;
        net.close().map_err(engine("close"))?;
        let found = verified(&target)?;
        if kind == Kind::Again && !target.join("tables").exists() {
            if found.errors().any(|finding| finding.side != Side::Tables) {
                return Err(unclean("what was hit", &found));
            }
            report.without_tables += 1;
        } else if !found.is_clean() {
            return Err(unclean("what was hit", &found));
        }
        match present {
            _ if present == high => report.whole += 1,
            _ if present == low => report.earlier += 1,
            _ => report.partly += 1,
        }
        Ok(())
    }

    /// Makes it again: then it is whole.
    fn complete(&self, kind: Kind, model: &mut Model, report: &mut Report) -> Result<()> {
        let target = self.target();
        if kind.is_restore() {
            if target.join("journal").exists() {
                // It is whole, and so it is refused to restore over it.
                let refused = self.restore(kind);
                if !refused.is_err_and(|error| error.kind() == ErrorKind::Invalid) {
                    return Err(violation("a net was restored over"));
                }
                remove(&target.join("blocknet.unfinished"))?;
            } else {
                self.restore(kind).map_err(engine("restore again"))?;
            }
        } else {
            builder()
                .backup(&self.source, &target, TableFiles::Linked, &|_| ())
                .map_err(engine("back up again"))?;
        }
        self.check_source(kind)?;
        let (_, high) = Self::bounds(kind);
        check_whole(&target, self.seed, high, model)?;
        report.completed += 1;
        Ok(())
    }

    fn restore(&self, kind: Kind) -> blocknet_engine::Result<()> {
        let until = match kind {
            Kind::Part => Until::Commit(PART + 1),
            _ => Until::Newest,
        };
        let restored = builder().restore(&self.backup, self.target(), until, &|_| ());
        restored.map(drop)
    }
}

fn verified(dir: &Path) -> Result<Verification> {
    builder()
        .verify(dir, VerifyDepth::Full, &|_| ())
        .map_err(engine("verify"))
}

fn unclean(what: &str, found: &Verification) -> Failure {
    let first = found.findings.first().map(ToString::to_string);
    violation(format!(
        "{what} does not verify: {}",
        first.unwrap_or_default()
    ))
}

/// A finished backup or restored net: verified, compared, and with nothing left lying about.
fn check_whole(target: &Path, seed: u64, commits: u64, model: &mut Model) -> Result<()> {
    let found = verified(target)?;
    if !found.is_clean() {
        return Err(unclean("what was completed", &found));
    }
    let net = builder()
        .open_read_only(target)
        .map_err(engine("open what was completed"))?;
    if let Some(why) = net
        .report()
        .rebuilt
        .as_ref()
        .filter(|_| cfg!(feature = "rocks"))
    {
        return Err(violation(format!("the tables do not fit: {why}")));
    }
    let expect = Expect {
        seed,
        created: true,
        acked: commits,
        tried: commits,
    };
    compare(&net, &expect, model).map_err(|failure| failure.at("what was completed"))?;
    net.close().map_err(engine("close"))?;
    let setup = |error| Failure::setup(target.display(), error);
    let mut names = BTreeSet::new();
    for dir in [target, &target.join("journal")] {
        for entry in fs::read_dir(dir).map_err(setup)? {
            names.insert(PathBuf::from(entry.map_err(setup)?.file_name()));
        }
    }
    let own = ["LOCK", "journal", "tables"].map(PathBuf::from);
    let left = names
        .iter()
        .find(|name| !own.contains(name) && name.extension().is_none_or(|end| end != "wal"));
    match left {
        None => Ok(()),
        Some(name) => Err(violation(format!("{} was left behind", name.display()))),
    }
}

/// Copies a directory, with or without the times of change of its files.
fn copy_dir(from: &Path, to: &Path, times: bool) -> Result<()> {
    let setup = |error| Failure::setup(format!("copy {}", from.display()), error);
    fs::create_dir_all(to).map_err(setup)?;
    for entry in fs::read_dir(from).map_err(setup)? {
        let entry = entry.map_err(setup)?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy_dir(&path, &target, times)?;
            continue;
        }
        fs::copy(&path, &target).map_err(setup)?;
        if times {
            let time = fs::metadata(&path).and_then(|metadata| metadata.modified());
            let file = File::options().write(true).open(&target);
            time.and_then(|time| file?.set_modified(time))
                .map_err(setup)?;
        }
    }
    Ok(())
}

/// How a copying process ended.
#[derive(Debug, Default)]
struct Ended {
    killed: bool,
    code: Option<i32>,
    fired: bool,
    said: String,
}

/// A copying process that has said that it began.
struct Copying {
    child: Child,
    from: BufReader<std::process::ChildStdout>,
}

impl Copying {
    fn start(
        setting: &Setting,
        args: &[std::ffi::OsString],
        env: &[(&str, std::ffi::OsString)],
    ) -> Result<Self> {
        let setup = |error| Failure::setup("start a copying process", error);
        let mut child = Command::new(&setting.exe)
            .args(args)
            .envs(env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .map_err(setup)?;
        let Some(stdout) = child.stdout.take() else {
            return Err(Failure::setup("start a copying process", "no pipe"));
        };
        let mut from = BufReader::new(stdout);
        let mut line = String::new();
        from.read_line(&mut line).map_err(setup)?;
        match line.trim() {
            "begun" => Ok(Self { child, from }),
            "noshim" => {
                drop(child.kill());
                drop(child.wait());
                Err(Failure::Skipped(
                    "this system does not let a process filter its system calls".into(),
                ))
            }
            other => Err(violation(format!("a copying process began with: {other}"))),
        }
    }

    fn end(mut self) -> Result<Ended> {
        let setup = |error| Failure::setup("wait for a copying process", error);
        let mut said = String::new();
        self.from.read_to_string(&mut said).map_err(setup)?;
        let status = self.child.wait().map_err(setup)?;
        Ok(Ended {
            killed: status.signal() == Some(9),
            code: status.code(),
            fired: said.lines().any(|line| line.starts_with("fired ")),
            said,
        })
    }

    fn kill_after(mut self, after: Duration) -> Result<Ended> {
        std::thread::sleep(after);
        self.child
            .kill()
            .map_err(|error| Failure::setup("kill a copying process", error))?;
        self.end()
    }
}

/// Runs the plan.
///
/// # Errors
/// Violations, at the end; whatever stops the torture, at once.
pub fn run(setting: &Setting, plan: &Plan) -> Result<Report> {
    let work = tempfile::tempdir_in(&setting.work)
        .map_err(|error| Failure::setup(setting.work.display(), error))?;
    let scene = Scene::new(work.path(), setting.seed)?;
    let mut torture = Torture {
        setting,
        model: Model::new(scene.seed),
        scene,
        report: Report::default(),
        violations: Violations::default(),
    };
    torture.kills(plan.kills)?;
    if plan.stride > 0 {
        torture.hits(plan.stride, &plan.actions)?;
    }
    torture.violations.finish()?;
    Ok(torture.report)
}

/// Backs up from, and restores from, a medium that cannot be written.
///
/// # Errors
/// [`Failure::Skipped`] where nothing can be mounted.
pub fn read_only(setting: &Setting) -> Result<()> {
    need_root()?;
    let work = tempfile::tempdir_in(&setting.work)
        .map_err(|error| Failure::setup(setting.work.display(), error))?;
    let mount = Mount::new(&["-t", "tmpfs", "tmpfs"], &work.path().join("medium"))?;
    let scene = Scene::new(mount.point(), setting.seed)?;
    let point = mount.point().to_string_lossy();
    run_command("mount", &["-o", "remount,ro", &point])?;
    let model = &mut Model::new(setting.seed);
    let (made, restored) = (work.path().join("made"), work.path().join("restored"));
    builder()
        .backup(&scene.source, &made, TableFiles::Linked, &|_| ())
        .map_err(engine("back up from a medium that cannot be written"))?;
    check_whole(&made, setting.seed, ALL, model)?;
    builder()
        .restore(&scene.backup, &restored, Until::Newest, &|_| ())
        .map_err(engine("restore from a medium that cannot be written"))?;
    check_whole(&restored, setting.seed, ALL, model)?;
    // The other way round it is refused, by the system.
    let refused = builder().backup(&made, &scene.earlier, TableFiles::Linked, &|_| ());
    match refused {
        Err(error) if error.kind() == ErrorKind::Io => {}
        other => {
            return Err(violation(format!(
                "a medium that cannot be written: {other:?}"
            )));
        }
    }
    mount.unmount()
}

struct Torture<'a> {
    setting: &'a Setting,
    scene: Scene,
    model: Model,
    report: Report,
    violations: Violations,
}

impl Torture<'_> {
    fn kills(&mut self, kills: u64) -> Result<()> {
        let mut rng = Rng::of(self.setting.seed, 7);
        let mut live = Live::new(&self.scene.root, self.setting.seed);
        let mut lasts = BTreeMap::new();
        for kind in Kind::ALL {
            lasts.insert(kind, self.lasts(kind)?);
        }
        let mut round = 0;
        while self.report.kills.values().sum::<u64>() < kills {
            // One in five beside writers.
            let step = match Kind::ALL.get(round % 5) {
                Some(kind) => self.kill(*kind, lasts.get(kind).copied(), &mut rng),
                None => live.kill(self.setting, &mut rng, &mut self.report),
            };
            round += 1;
            let seed = self.setting.seed;
            let step = step.map_err(|failure| {
                failure.at(format!(
                    "backup --seed {seed} --kills {kills}: round {round}"
                ))
            });
            if self.violations.take(step)?.is_none() {
                live = Live::new(&self.scene.root, self.setting.seed);
            }
            self.report.violations = self.violations.count();
        }
        Ok(())
    }

    /// How long it takes undisturbed, which is checked as well.
    #[expect(
        clippy::disallowed_methods,
        reason = "moments to kill at are spread over it; nothing is judged by it"
    )]
    fn lasts(&mut self, kind: Kind) -> Result<Duration> {
        self.scene.prepare(kind, true)?;
        let copying = Copying::start(self.setting, &self.scene.args(kind, false), &[])?;
        let begun = Instant::now();
        let ended = copying.end()?;
        let lasted = begun.elapsed();
        if ended.code != Some(0) {
            return Err(violation(format!("undisturbed it failed: {}", ended.said)));
        }
        self.scene.check_source(kind)?;
        let (_, high) = Scene::bounds(kind);
        check_whole(&self.scene.target(), self.scene.seed, high, &mut self.model)?;
        Ok(lasted)
    }

    fn kill(&mut self, kind: Kind, lasts: Option<Duration>, rng: &mut Rng) -> Result<()> {
        let (scene, report) = (&self.scene, &mut self.report);
        scene.prepare(kind, rng.below(2) == 0)?;
        let micros = lasts.map_or(0, |lasts| lasts.as_micros());
        let longest = u64::try_from(micros).unwrap_or(u64::MAX).max(1_000);
        loop {
            let args = scene.args(kind, rng.below(3) == 0);
            let copying = Copying::start(self.setting, &args, &[])?;
            let ended = copying.kill_after(Duration::from_micros(rng.below(longest)))?;
            if ended.killed {
                *report.kills.entry(kind.name()).or_default() += 1;
            } else if ended.code == Some(0) {
                report.ended += 1;
            } else {
                return Err(violation(format!("unharmed it failed: {}", ended.said)));
            }
            scene.judge(kind, &mut self.model, report)?;
            let over = kind.is_restore() && scene.target().join("journal").exists();
            // Now and then what was left is hit again.
            if over || rng.below(3) > 0 {
                break;
            }
            report.again += 1;
        }
        scene.complete(kind, &mut self.model, report)
    }

    fn hits(&mut self, stride: u64, actions: &[Action]) -> Result<()> {
        let shim = Shim::compile(&self.scene.root)?;
        for kind in Kind::ALL {
            for action in actions.iter().copied() {
                let seed = self.setting.seed;
                let mut at = 1 + Rng::of(seed, action.mask().into()).below(stride);
                loop {
                    let step = self.hit(&shim, kind, action, at).map_err(|failure| {
                        failure.at(format!(
                            "backup --seed {seed} --stride {stride} --action {}: {} at {at}",
                            action.name(),
                            kind.name()
                        ))
                    });
                    let fired = self.violations.take(step)?.unwrap_or(true);
                    self.report.violations = self.violations.count();
                    if !fired {
                        break;
                    }
                    at += stride;
                }
            }
        }
        Ok(())
    }

    /// Hits one file operation in the target; whether there was such a one.
    fn hit(&mut self, shim: &Shim, kind: Kind, action: Action, at: u64) -> Result<bool> {
        let (scene, report) = (&self.scene, &mut self.report);
        scene.prepare(kind, at.is_multiple_of(2))?;
        let args = scene.args(kind, at.is_multiple_of(3));
        let env = shim.env(&scene.target(), action, at);
        let ended = Copying::start(self.setting, &args, &env)?.end()?;
        match ended.code {
            Some(0) => {}
            Some(3) if ended.fired => report.failed += 1,
            _ if ended.killed && ended.fired => {}
            _ => {
                return Err(violation(format!(
                    "it ended with {:?}: {}",
                    ended.code, ended.said
                )));
            }
        }
        if ended.fired {
            let what = format!("{}, {}", kind.name(), action.name());
            *report.hits.entry(what).or_default() += 1;
        }
        scene.judge(kind, &mut self.model, report)?;
        if ended.code == Some(0) {
            let (_, high) = Scene::bounds(kind);
            let target = scene.target();
            let seed = scene.seed;
            check_whole(&target, seed, high, &mut self.model)
                .map_err(|failure| failure.at("it said that it was done"))?;
        }
        scene.complete(kind, &mut self.model, report)?;
        Ok(ended.fired)
    }
}

/// A store that is written and backed up at once, killed and continued.
struct Live {
    store: PathBuf,
    target: PathBuf,
    seed: u64,
    stores: u64,
    expect: Expect,
    model: Model,
    /// Commits that the target is known to hold.
    held: Option<u64>,
}

impl Live {
    fn new(root: &Path, seed: u64) -> Self {
        let mut live = Self {
            store: root.join("live"),
            target: root.join("live-backup"),
            seed,
            stores: 0,
            expect: Expect::default(),
            model: Model::new(seed),
            held: None,
        };
        live.expect.acked = u64::MAX;
        live
    }

    fn renew(&mut self) -> Result<()> {
        self.stores += 1;
        let seed = self.seed.wrapping_add(self.stores);
        self.expect = Expect {
            seed,
            ..Expect::default()
        };
        self.model = Model::new(seed);
        self.held = None;
        remove(&self.target)?;
        fresh_dir(&self.store)
    }

    fn kill(&mut self, setting: &Setting, rng: &mut Rng, report: &mut Report) -> Result<()> {
        if self.expect.acked > LIVE_COMMITS_MAX {
            self.renew()?;
        }
        let seed = self.expect.seed;
        let mut args = words(&self.store, seed, &[("--commits", 400), ("--threads", 2)]);
        args.extend(["--backup-to".into(), self.target.clone().into()]);
        let after = Duration::from_micros(rng.below(400_000));
        let ended = start(&[], &setting.exe, &args, &[], seed)?.kill_after(after)?;
        ended.judge()?;
        let heard = &ended.heard;
        if !heard.failed.is_empty() {
            return Err(violation(heard.failures()));
        }
        if ended.killed() {
            *report.kills.entry(LIVE).or_default() += 1;
        } else {
            report.ended += 1;
        }
        self.expect.created |= heard.created;
        self.expect.acked = self.expect.acked.max(heard.acked);
        self.expect.tried = self.expect.tried.max(heard.tried);
        if let Some(commits) = heard.backed {
            self.held = self.held.max(Some(commits.saturating_sub(1)));
        }
        self.judge(report)?;
        let found = check_with(&self.store, &self.expect, Depth::Full, &mut self.model)?;
        if found.unfinished {
            return self.renew();
        }
        self.expect.created = true;
        self.expect.acked = found.present;
        self.expect.tried = found.present;
        builder()
            .backup(&self.store, &self.target, TableFiles::Linked, &|_| ())
            .map_err(engine("back up after the kill"))?;
        check_whole(&self.target, seed, found.present, &mut self.model)?;
        self.held = Some(found.present);
        report.completed += 1;
        Ok(())
    }

    /// What a backup holds that was being made beside writers: at least what the last one that was
    /// finished had, and nothing that was not written.
    fn judge(&mut self, report: &mut Report) -> Result<()> {
        let net = match builder().open_read_only(&self.target) {
            Ok(net) => net,
            Err(error)
                if self.held.is_none()
                    && matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Corrupt)
                    && !self.target.join("journal").exists() =>
            {
                report.refused += 1;
                return Ok(());
            }
            Err(error) => return Err(engine("open the backup of a killed writer")(error)),
        };
        let low = self.held.unwrap_or(0);
        let expect = Expect {
            acked: low,
            ..self.expect
        };
        let present = compare(&net, &expect, &mut self.model)
            .map_err(|failure| failure.at("the backup of a killed writer"))?;
        net.close().map_err(engine("close"))?;
        let found = verified(&self.target)?;
        if !self.target.join("tables").exists() {
            report.without_tables += 1;
        } else if !found.is_clean() {
            return Err(unclean("the backup of a killed writer", &found));
        }
        if present > low {
            report.partly += 1;
        } else {
            report.earlier += 1;
        }
        Ok(())
    }
}
