//! Power cuts on a recorded disk.
//!
//! nbdkit serves a disk whose plugin records every write and every flush; a file system on it holds
//! the store, and the writer appends a mark to the same record for each commit it tried and each it
//! acknowledged. A power cut is then a place in the record: all writes up to the last flush before it
//! are on the disk, of those after it each sector of 512 bytes is there or not, and they came in any
//! order. The file system is mounted from such an image and the store on it checked against the
//! acknowledgements before that place.

use std::fmt;
use std::fs::{self, File};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::check::{Depth, Expect, check_with};
use crate::child::{start, words};
use crate::story::{Model, Rng};
use crate::system::{Mount, need, need_root, run as command};
use crate::{Failure, Result, Setting, Violations};

const PLUGIN: &str = include_str!("../plugin/reclog.py");
const SECTOR: usize = 512;
const DISK_BYTES: u64 = 64 << 20;

/// How much of it.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Disks recorded.
    pub recordings: u64,
    /// Power cuts of each.
    pub images: u64,
    /// Commits on each.
    pub commits: u64,
}

/// What was done and found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    recordings: u64,
    images: u64,
    writes: u64,
    flushes: u64,
    acknowledged: u64,
    /// Images with writes that no flush covered.
    unsynced: u64,
    /// Sectors kept and lost of those.
    sectors: [u64; 2],
    before_creation: u64,
    survived: u64,
    replayed: u64,
    cuts: u64,
    rebuilt: u64,
    unfinished: u64,
    violations: usize,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "  {} disks recorded: {} writes, {} flushes, {} commits acknowledged",
            self.recordings, self.writes, self.flushes, self.acknowledged
        )?;
        write!(
            f,
            "  {} power cuts, {} of them with unsynced writes ({} sectors kept, {} lost), {} before \
             the net was there; openings that replayed {}, tails cut {}, tables rebuilt {}, \
             unfinished {}; unacknowledged commits found {}; violations {}",
            self.images,
            self.unsynced,
            self.sectors[0],
            self.sectors[1],
            self.before_creation,
            self.replayed,
            self.cuts,
            self.rebuilt,
            self.unfinished,
            self.survived,
            self.violations
        )
    }
}

/// Records disks and cuts their power.
///
/// # Errors
/// Violations, at the end; whatever stops the torture, at once.
pub fn run(setting: &Setting, plan: &Plan) -> Result<Report> {
    need_root()?;
    need(&["nbdkit", "nbdfuse", "fusermount3", "losetup", "mkfs.ext4"])?;
    if !Path::new("/dev/fuse").exists() {
        return Err(Failure::Skipped("this system has no /dev/fuse".into()));
    }
    let work = tempfile::tempdir_in(&setting.work)
        .map_err(|error| Failure::setup(setting.work.display(), error))?;
    let mut report = Report::default();
    let mut violations = Violations::default();
    for recording in 0..plan.recordings {
        let seed = setting.seed.wrapping_add(recording);
        let log = work.path().join(format!("{recording}.log"));
        record(setting, work.path(), &log, seed, plan.commits)?;
        let bytes = fs::read(&log).map_err(|error| Failure::setup(log.display(), error))?;
        let events = parse(&bytes)?;
        report.recordings += 1;
        let count = |wanted: fn(&Event<'_>) -> bool| {
            u64::try_from(events.iter().filter(|event| wanted(event)).count()).unwrap_or(0)
        };
        report.writes += count(|event| matches!(event, Event::Write(..)));
        report.flushes += count(|event| matches!(event, Event::Flush));
        report.acknowledged += count(|event| matches!(event, Event::Acked(1..)));
        let mut cutter = Cutter {
            events: &events,
            image: work.path().join("image"),
            point: work.path().join("mounted"),
            seed,
            rng: Rng::of(seed, 77),
            model: Model::new(seed),
            report: &mut report,
        };
        for image in 0..plan.images {
            let cut = cutter.cut().map_err(|failure| {
                failure.at(format!(
                    "power --seed {seed} --recordings 1 --images {} --commits {}: image {image}",
                    image + 1,
                    plan.commits
                ))
            });
            if violations.take(cut)?.is_none() {
                cutter.report.violations = violations.count();
                // For a look at it: the place is in the message.
                let kept = setting.work.join(format!("violation-{seed}-{image}.log"));
                drop(fs::copy(&log, kept));
            }
        }
        fs::remove_file(&log).map_err(|error| Failure::setup(log.display(), error))?;
    }
    violations.finish()?;
    Ok(report)
}

/// The processes and devices of a recorded disk; all are ended on drop.
pub(crate) struct Disk {
    server: Option<Child>,
    fuse: PathBuf,
    device: Option<String>,
}

impl Disk {
    fn new(work: &Path, log: &Path) -> Result<Self> {
        let plugin = work.join("reclog.py");
        fs::write(&plugin, PLUGIN).map_err(|error| Failure::setup(plugin.display(), error))?;
        let parameters = [
            plugin.display().to_string(),
            format!("log={}", log.display()),
            format!("size={DISK_BYTES}"),
        ];
        let parameters: Vec<&str> = parameters.iter().map(String::as_str).collect();
        Self::serve(work, &[&["python"][..], &parameters].concat())
    }

    /// Serves what nbdkit makes of these arguments, as a block device.
    pub(crate) fn serve(work: &Path, nbdkit: &[&str]) -> Result<Self> {
        let fuse = work.join("nbd");
        fs::create_dir_all(&fuse).map_err(|error| Failure::setup(fuse.display(), error))?;
        let file = fuse.join("disk");
        let mut server = Command::new("nbdfuse");
        server
            .arg(&file)
            .args(["--command", "nbdkit", "-s", "--exit-with-parent"])
            .args(nbdkit)
            .stdin(Stdio::null());
        let server = server
            .spawn()
            .map_err(|error| Failure::setup("nbdfuse", error))?;
        let mut disk = Self {
            server: Some(server),
            fuse,
            device: None,
        };
        for _ in 0..500 {
            if file.exists() {
                let file = file.to_string_lossy();
                let device = command("losetup", &["--show", "-f", &file])?;
                disk.device = Some(device.trim().to_owned());
                return Ok(disk);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(Failure::Setup("nbdfuse shows no disk".into()))
    }

    pub(crate) fn device(&self) -> &str {
        self.device.as_deref().unwrap_or_default()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Some(device) = self.device.take() {
            drop(command("losetup", &["-d", &device]));
        }
        for _ in 0..50 {
            if command("fusermount3", &["-u", &self.fuse.to_string_lossy()]).is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        if let Some(mut server) = self.server.take() {
            // Unmounted, it has ended; its exit code says nothing.
            drop(server.wait());
        }
    }
}

/// Lets a writer live on a recorded disk: whole runs, and one that is killed.
fn record(setting: &Setting, work: &Path, log: &Path, seed: u64, commits: u64) -> Result<()> {
    fs::write(log, []).map_err(|error| Failure::setup(log.display(), error))?;
    let disk = Disk::new(work, log)?;
    command("mkfs.ext4", &["-qF", disk.device()])?;
    let mount = Mount::new(&[disk.device()], &work.join("recorded"))?;
    command("sync", &["-f", &mount.point().to_string_lossy()])?;
    // Before this mark the file system itself is not whole.
    let mut begin = vec![b'B'];
    begin.extend([0; 12]);
    File::options()
        .append(true)
        .open(log)
        .and_then(|mut log| log.write_all(&begin))
        .map_err(|error| Failure::setup(log.display(), error))?;
    let store = mount.point().join("store");
    let mut rng = Rng::of(seed, 5);
    for (part, killed) in [(0, false), (1, true), (2, false)] {
        let mut args = words(
            &store,
            seed,
            &[
                ("--commits", commits / 3 + 1),
                ("--sessions", 1 + part % 2),
                ("--threads", 1 + (seed + part) % 3),
            ],
        );
        args.extend(["--marks".into(), log.into()]);
        let writer = start(&[], &setting.exe, &args, &[], seed)?;
        let ended = if killed {
            writer.kill_after(Duration::from_micros(rng.below(700_000)))?
        } else {
            writer.wait()?
        };
        ended.judge()?;
        if !ended.heard.failed.is_empty() {
            return Err(Failure::violation(ended.heard.failures()));
        }
    }
    mount.unmount()
}

enum Event<'a> {
    Begin,
    Write(u64, &'a [u8]),
    Flush,
    Tried(u64),
    Acked(u64),
}

fn parse(mut bytes: &[u8]) -> Result<Vec<Event<'_>>> {
    let odd = || Failure::Setup("the record of the disk is odd".into());
    let mut events = Vec::new();
    while let Some((head, rest)) = bytes.split_first_chunk::<13>() {
        let [kind, ref numbers @ ..] = *head;
        let (number, len) = numbers.split_first_chunk::<8>().ok_or_else(odd)?;
        let number = u64::from_le_bytes(*number);
        let len = u32::from_le_bytes(*len.first_chunk::<4>().ok_or_else(odd)?);
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        let (data, rest) = rest.split_at_checked(len).ok_or_else(odd)?;
        events.push(match kind {
            b'W' => Event::Write(number, data),
            b'F' => Event::Flush,
            b'B' => Event::Begin,
            b'T' => Event::Tried(number),
            b'A' => Event::Acked(number),
            _ => return Err(odd()),
        });
        bytes = rest;
    }
    Ok(events)
}

struct Cutter<'a> {
    events: &'a [Event<'a>],
    image: PathBuf,
    point: PathBuf,
    seed: u64,
    rng: Rng,
    model: Model,
    report: &'a mut Report,
}

impl Cutter<'_> {
    /// Cuts the power at a random place and checks what is left.
    fn cut(&mut self) -> Result<()> {
        let formatted = self
            .events
            .iter()
            .position(|event| matches!(event, Event::Begin))
            .unwrap_or(0);
        let span = self.events.len() - formatted - 1;
        let place = formatted + 1 + below(&mut self.rng, span + 1);
        let (before, _) = self.events.split_at(place.min(self.events.len()));
        let last_flush = before
            .iter()
            .rposition(|event| matches!(event, Event::Flush))
            .unwrap_or(0);
        let setup = |error| Failure::setup("the image", error);
        let mut image = File::create(&self.image).map_err(setup)?;
        image.set_len(DISK_BYTES).map_err(setup)?;
        let (synced, unsynced) = before.split_at(last_flush);
        let mut expect = Expect {
            seed: self.seed,
            ..Expect::default()
        };
        for event in before {
            match event {
                Event::Acked(serial) => {
                    expect.created = true;
                    expect.acked = expect.acked.max(*serial);
                }
                Event::Tried(serial) => expect.tried = expect.tried.max(*serial),
                Event::Write(..) | Event::Flush | Event::Begin => {}
            }
        }
        for event in synced {
            if let Event::Write(offset, data) = event {
                image.write_all_at(data, *offset).map_err(setup)?;
            }
        }
        let mut sectors: Vec<(u64, &[u8])> = Vec::new();
        for event in unsynced {
            if let Event::Write(offset, data) = event {
                let at = (*offset..).step_by(SECTOR);
                sectors.extend(at.zip(data.chunks(SECTOR)));
            }
        }
        self.report.unsynced += u64::from(!sectors.is_empty());
        // Half of the cuts keep the order of what is kept: a cache that only loses.
        if self.rng.below(2) == 0 {
            for index in (1..sectors.len()).rev() {
                sectors.swap(index, below(&mut self.rng, index + 1));
            }
        }
        let keep = [128, 128, 16, 240, 256][below(&mut self.rng, 5)];
        for (offset, data) in sectors {
            let kept = self.rng.below(256) < keep;
            self.report.sectors[usize::from(!kept)] += 1;
            if kept {
                image.seek(SeekFrom::Start(offset)).map_err(setup)?;
                image.write_all(data).map_err(setup)?;
            }
        }
        drop(image);
        self.report.images += 1;
        self.report.before_creation += u64::from(!expect.created);
        let image = self.image.to_string_lossy().into_owned();
        let mount = Mount::new(&["-o", "loop", &image], &self.point)?;
        let store = mount.point().join("store");
        let depth = if self.rng.below(3) == 0 {
            Depth::ReadFirst
        } else {
            Depth::Full
        };
        let found = check_with(&store, &expect, depth, &mut self.model);
        let found = found.map_err(|failure| {
            failure.at(format!(
                "power cut at event {place}, last flush {last_flush}, kept {keep}/256"
            ))
        });
        // The store is closed: nothing holds the mount.
        mount.unmount()?;
        let found = found?;
        self.report.survived += found.present.saturating_sub(expect.acked);
        self.report.replayed += u64::from(found.replayed > 0);
        self.report.cuts += u64::from(found.cut);
        self.report.rebuilt += u64::from(found.rebuilt);
        self.report.unfinished += u64::from(found.unfinished);
        Ok(())
    }
}

fn below(rng: &mut Rng, bound: usize) -> usize {
    usize::try_from(rng.below(bound as u64)).unwrap_or(0)
}
