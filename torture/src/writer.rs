//! The process that is tortured: it writes what a seed says and says on standard output what came of
//! it. Module [`child`](crate::child) has the other end of the pipe.
//!
//! An `ack` is printed only after the commit's call returned. After a failure that poisons the net
//! the writer looks whether reading goes on and writing does not.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use blocknet_engine::backup::TableFiles;
use blocknet_engine::{
    AsOf, Clock, Error, ErrorKind, LayerId, Moment, Net, NetBuilder, Settings, SystemClock, Ticket,
};
use blocknet_geocode::NetSpec;

use crate::story::{Model, Rng, commit, digest, said};

/// How often a commit that was refused without being written is tried again.
const RETRIES: u32 = 3;

/// What a writer is told.
#[derive(Clone, Debug, clap::Args)]
pub struct WriterArgs {
    /// Directory of the store; made if there is none.
    pub dir: PathBuf,
    /// What to write.
    #[arg(long)]
    pub seed: u64,
    /// Commits to write in this run.
    #[arg(long, default_value_t = 50)]
    pub commits: u64,
    /// The store is closed, or dropped, and opened again so many times on the way.
    #[arg(long, default_value_t = 1)]
    pub sessions: u64,
    /// Threads that commit.
    #[arg(long, default_value_t = 1)]
    pub threads: u64,
    /// File to which marks are appended for what was tried and acknowledged.
    #[arg(long)]
    pub marks: Option<PathBuf>,
    /// Beside writing, the net is backed up there again and again.
    #[arg(long)]
    pub backup_to: Option<PathBuf>,
    /// What is done beside writing, or instead.
    #[arg(long, value_enum, default_value_t = Mode::Write)]
    pub mode: Mode,
}

/// What a writer does with a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Mode {
    /// Opens it and writes.
    Write,
    /// Opens it, holds it until standard input ends, and writes.
    Hold,
    /// Only opens it, and closes it.
    Open,
    /// Opens it, recomputes every hash, and closes it.
    Audit,
    /// Opens it for reading and compares its answers with the model.
    Read,
}

/// Settings under which files are changed, flushed and compacted within a few commits.
pub fn small() -> Settings {
    Settings {
        segment_len_bytes_max: 16 << 10,
        block_cache_len_bytes: 8 << 20,
        write_buffer_len_bytes: 64 << 10,
        ..Settings::default()
    }
}

/// A builder with [`small`] settings.
pub fn builder() -> NetBuilder {
    Net::builder()
        .settings(small())
        .clock(Arc::new(SystemClock))
}

/// A clock that stands where it is put.
#[derive(Debug, Default)]
pub struct HandClock(AtomicU64);

impl HandClock {
    /// Puts it to so many microseconds after 1970.
    pub fn set(&self, micros: u64) {
        self.0.store(micros, Ordering::Release);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Moment {
        let micros = i64::try_from(self.0.load(Ordering::Acquire)).unwrap_or(i64::MAX);
        Moment::from_micros(micros)
    }
}

/// Marks in the log of a recorded disk, and lines on standard output.
struct Voice {
    marks: Option<File>,
}

impl Voice {
    /// One line in one write, so that a kill leaves no half of one.
    #[expect(clippy::unused_self, reason = "a voice speaks")]
    fn say(&self, line: &str) {
        let mut out = std::io::stdout().lock();
        // Nobody listens any more: the parent is gone, and the next write would not be heard.
        if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
            std::process::exit(4);
        }
    }

    /// Thirteen bytes, as the disk's plugin writes them: kind, number, length.
    fn mark(&self, kind: u8, number: u64) {
        if let Some(mut file) = self.marks.as_ref() {
            let mut record = vec![kind];
            record.extend(number.to_le_bytes());
            record.extend(0_u32.to_le_bytes());
            if let Err(error) = file.write_all(&record) {
                self.say(&format!("bad cannot write a mark: {error}"));
            }
        }
    }

    fn failed(&self, word: &str, serial: u64, error: &Error) {
        let text = error.to_string().replace('\n', " ");
        self.say(&format!("{word} {serial} {:?} {text}", error.kind()));
    }
}

struct Progress {
    next: u64,
    until: u64,
    refused: u32,
    stopped: bool,
    poisoned: bool,
}

struct Session<'a> {
    net: &'a Net,
    seed: u64,
    voice: &'a Voice,
    progress: Mutex<Progress>,
}

/// Whether a run may go on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    GoOn,
    Stop,
}

impl Session<'_> {
    fn submit(&self, progress: &mut Progress) -> Option<(u64, Ticket<'_>)> {
        let serial = progress.next;
        if progress.stopped || serial > progress.until {
            return None;
        }
        self.voice.mark(b'T', serial);
        self.voice.say(&format!("try {serial}"));
        match self.net.submit(&commit(self.seed, serial)) {
            Ok(ticket) => {
                progress.next += 1;
                progress.refused = 0;
                Some((serial, ticket))
            }
            // The journal could not take it, or the tables could not be read.
            Err(error) if matches!(error.kind(), ErrorKind::Io | ErrorKind::Corrupt) => {
                self.voice.failed("refused", serial, &error);
                progress.refused += 1;
                progress.stopped |= progress.refused > RETRIES;
                None
            }
            Err(error) => {
                let word = match error.kind() {
                    ErrorKind::OutcomeUnknown => "lost",
                    // Not even made: an earlier failure is known.
                    ErrorKind::Poisoned => "refused",
                    _ => "bad unexpected",
                };
                self.voice.failed(word, serial, &error);
                progress.stopped = true;
                progress.poisoned = true;
                None
            }
        }
    }

    fn thread(&self, mut rng: Rng) -> Then {
        loop {
            let mut tickets = Vec::new();
            {
                let mut progress = lock(&self.progress);
                for _ in 0..=rng.below(4).saturating_sub(1) {
                    tickets.extend(self.submit(&mut progress));
                }
                let over = progress.stopped || progress.next > progress.until;
                if tickets.is_empty() && over {
                    return if progress.stopped {
                        Then::Stop
                    } else {
                        Then::GoOn
                    };
                }
            }
            for (serial, ticket) in tickets {
                match ticket.wait() {
                    Ok(receipt) => self.acknowledge(serial, receipt.commit),
                    Err(error) => {
                        self.voice.failed("lost", serial, &error);
                        let mut progress = lock(&self.progress);
                        progress.stopped = true;
                        progress.poisoned = true;
                    }
                }
            }
        }
    }

    fn acknowledge(&self, serial: u64, number: Option<u64>) {
        self.voice.mark(b'A', serial);
        let digest = digest(&said(self.seed, serial));
        let number = number.unwrap_or(0);
        self.voice.say(&format!("ack {serial} {number} {digest:x}"));
    }

    /// After a failure that poisons the net, nothing is written and what was acknowledged is read.
    fn after_failure(&self) {
        let (next, poisoned) = {
            let progress = lock(&self.progress);
            (progress.next, progress.poisoned)
        };
        self.voice.mark(b'T', next);
        self.voice.say(&format!("try {next}"));
        match self.net.submit(&commit(self.seed, next)) {
            Ok(_) if poisoned => self.voice.say("bad a poisoned net takes a commit"),
            Ok(ticket) => match ticket.wait() {
                Ok(receipt) => self.acknowledge(next, receipt.commit),
                Err(error) => self.voice.failed("lost", next, &error),
            },
            Err(error) if error.kind() == ErrorKind::OutcomeUnknown => {
                self.voice.failed("lost", next, &error);
            }
            Err(error) => self.voice.failed("refused", next, &error),
        }
        if let Err(error) = answers_fit(self.net, self.seed) {
            self.voice
                .say(&format!("bad reading after a failure: {error}"));
        }
    }
}

/// Compares some answers of an open net with the model, up to the commits it shows.
///
/// # Errors
/// What differs; `Ok` also where reading failed with an error of the operating system.
pub fn answers_fit(net: &Net, seed: u64) -> Result<(), String> {
    let soft = |error: Error| match error.kind() {
        ErrorKind::Io | ErrorKind::Corrupt => Ok(()),
        _ => Err(error.to_string()),
    };
    let newest = match net.view(AsOf::Newest, Moment::LAST) {
        Ok(view) => view.newest_commit(),
        Err(error) => return soft(error),
    };
    let mut model = Model::new(seed);
    model.extend_to(newest.saturating_sub(1));
    for t in Model::moments(&mut Rng(seed), 3) {
        let view = match net.view(AsOf::Newest, Moment::from_micros(t)) {
            Ok(view) => view,
            Err(error) => return soft(error),
        };
        let expected = model.answer(newest, t);
        for id in model.entities().keys() {
            match view.get(LayerId::MAIN, id) {
                Ok(found) => {
                    let found = found.as_ref().map(|record| &record.payload[..]);
                    if found != expected.get(id.as_str()).copied() {
                        return Err(format!("{id} at {t}, commit {newest}"));
                    }
                }
                Err(error) => soft(error)?,
            }
        }
    }
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn open(dir: &Path, voice: &Voice) -> Result<Net, Error> {
    if Net::is_free(dir)? {
        let net = builder().create(dir, NetSpec::city())?;
        voice.mark(b'A', 0);
        voice.say("created");
        return Ok(net);
    }
    builder().open(dir)
}

/// Backs up until all is written, and once more.
fn back_up(net: &Net, to: &Path, voice: &Voice, written: &AtomicBool) {
    loop {
        let last = written.load(Ordering::Acquire);
        match net.backup(to, TableFiles::default(), &|_| ()) {
            Ok(made) => voice.say(&format!("backed {}", made.commits)),
            Err(error) => voice.failed("bad backup", 0, &error),
        }
        if last {
            return;
        }
    }
}

/// Runs a writer; its exit code is 0 when it wrote everything, 3 when it was stopped by a failure
/// that it reported.
pub fn run(args: &WriterArgs) -> u8 {
    let marks = args.marks.as_ref().map(|path| {
        let mut options = File::options();
        options.append(true).open(path)
    });
    let voice = Voice {
        marks: match marks.transpose() {
            Ok(marks) => marks,
            Err(error) => {
                eprintln!("cannot open the file for marks: {error}");
                return 2;
            }
        },
    };
    if args.mode == Mode::Read {
        return read(args, &voice);
    }
    let mut rng = Rng(args.seed ^ 0x5eed);
    let mut left = args.commits;
    let writes = matches!(args.mode, Mode::Write | Mode::Hold);
    for session in 0..args.sessions.max(1) {
        let net = match open(&args.dir, &voice) {
            Ok(net) => net,
            Err(error) => {
                voice.failed("cannot-open", session, &error);
                return 3;
            }
        };
        let newest = match net.view(AsOf::Newest, Moment::LAST) {
            Ok(view) => view.newest_commit(),
            Err(error) => {
                voice.failed("cannot-open", session, &error);
                return 3;
            }
        };
        let report = net.report();
        let (cut, rebuilt) = (report.cut.is_some(), report.rebuilt.is_some());
        let replayed = report.replayed;
        voice.say(&format!("opened {newest} {replayed} {cut} {rebuilt}"));
        if args.mode == Mode::Audit {
            let mut findings = 0;
            match net.audit(|_| findings += 1) {
                Ok(_) if findings == 0 => {}
                Ok(_) => voice.say(&format!("bad {findings} findings of the audit")),
                Err(error) => voice.failed("bad audit", 0, &error),
            }
        }
        if args.mode == Mode::Hold {
            // Until the parent lets go.
            drop(std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
        }
        if writes {
            let share = left.div_ceil(args.sessions.max(1) - session);
            left -= share;
            let session = Session {
                net: &net,
                seed: args.seed,
                voice: &voice,
                progress: Mutex::new(Progress {
                    next: newest,
                    until: newest + share - 1,
                    refused: 0,
                    stopped: false,
                    poisoned: false,
                }),
            };
            let written = AtomicBool::new(false);
            let stopped = std::thread::scope(|scope| {
                if let Some(to) = &args.backup_to {
                    let (net, voice, written) = (&net, &voice, &written);
                    scope.spawn(move || back_up(net, to, voice, written));
                }
                let threads: Vec<_> = (0..args.threads.max(1))
                    .map(|thread| {
                        let rng = Rng::of(rng.draw(), thread);
                        let session = &session;
                        scope.spawn(move || session.thread(rng))
                    })
                    .collect();
                // All of them, whatever the first says.
                let stopped: Vec<bool> = threads
                    .into_iter()
                    .map(|thread| thread.join().map_or(true, |then| then == Then::Stop))
                    .collect();
                written.store(true, Ordering::Release);
                stopped.contains(&true)
            });
            if stopped {
                session.after_failure();
                return 3;
            }
        }
        if rng.below(4) == 0 && writes {
            drop(net);
            voice.say("dropped");
        } else if let Err(error) = net.close() {
            voice.failed("unclosed", 0, &error);
            return 3;
        } else {
            voice.say("closed");
        }
    }
    0
}

fn read(args: &WriterArgs, voice: &Voice) -> u8 {
    let net = match builder().open_read_only(&args.dir) {
        Ok(net) => net,
        Err(error) => {
            voice.failed("cannot-open", 0, &error);
            return 3;
        }
    };
    match net.view(AsOf::Newest, Moment::LAST) {
        Ok(view) => voice.say(&format!(
            "opened {} {} false {}",
            view.newest_commit(),
            net.report().replayed,
            net.report().rebuilt.is_some()
        )),
        Err(error) => {
            voice.failed("cannot-open", 0, &error);
            return 3;
        }
    }
    if let Err(error) = answers_fit(&net, args.seed) {
        voice.say(&format!("bad wrong answer: {error}"));
    }
    0
}
