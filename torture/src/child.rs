//! A writer as its parent sees it: what it said, how it ended.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::story::{digest, said};
use crate::{Failure, Result};

/// A writer that says nothing more for so long hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// The call that the shim hit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fired {
    /// Its number.
    pub number: u64,
    /// Its name.
    pub call: String,
    /// The file.
    pub path: String,
}

/// What a writer said.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// It made the net, and the call returned.
    pub created: bool,
    /// Commits of the store at its last opening.
    pub opened: Option<u64>,
    /// Commits it replayed at its openings.
    pub replayed: u64,
    /// Openings that cut a torn tail.
    pub cuts: u64,
    /// Openings that rebuilt the tables.
    pub rebuilt: u64,
    /// The newest commit in the last backup that was finished.
    pub backed: Option<u64>,
    /// The last acknowledged.
    pub acked: u64,
    /// The last that may be there.
    pub tried: u64,
    /// Broken promises it noticed, or that its acknowledgements show.
    pub bad: Vec<String>,
    /// What it could not do.
    pub failed: Vec<String>,
    /// It closed the store, or dropped it.
    pub closed: bool,
    /// The call that was hit.
    pub fired: Option<Fired>,
    /// Acknowledgements after that.
    pub acked_after: u64,
    /// Calls counted.
    pub total: Option<u64>,
    /// The machine has no such filter.
    pub noshim: bool,
}

impl Heard {
    fn line(&mut self, line: &str, seed: u64) {
        let mut words = line.splitn(4, ' ');
        let word = words.next().unwrap_or_default();
        let number = words.next().and_then(|word| word.parse::<u64>().ok());
        let (third, fourth) = (words.next(), words.next());
        match (word, number) {
            ("created", _) => self.created = true,
            ("opened", Some(newest)) => {
                self.created = true;
                self.opened = Some(newest);
                self.replayed += third.and_then(|word| word.parse().ok()).unwrap_or(0);
                let mut flags = fourth.unwrap_or_default().split(' ');
                self.cuts += u64::from(flags.next() == Some("true"));
                self.rebuilt += u64::from(flags.next() == Some("true"));
                self.closed = false;
            }
            ("backed", Some(newest)) => self.backed = self.backed.max(Some(newest)),
            ("try", Some(serial)) => self.tried = self.tried.max(serial),
            ("ack", Some(serial)) => {
                // Threads are woken in any order, but none before it has tried.
                if serial > self.tried {
                    self.bad.push(format!("never tried: {line}"));
                }
                if third != Some(&format!("{}", serial + 1)) {
                    self.bad.push(format!("another number: {line}"));
                }
                if fourth != Some(&format!("{:x}", digest(&said(seed, serial)))) {
                    self.bad.push(format!("another commit: {line}"));
                }
                self.acked = self.acked.max(serial);
                self.acked_after += u64::from(self.fired.is_some());
            }
            // Nothing of it was written, and never will be.
            ("refused", Some(serial)) => {
                self.tried = serial.saturating_sub(1).max(self.acked);
                self.failed.push(line.to_owned());
            }
            ("lost" | "cannot-open" | "unclosed", _) => self.failed.push(line.to_owned()),
            ("closed" | "dropped", _) => self.closed = true,
            ("fired", Some(number)) => {
                self.fired = Some(Fired {
                    number,
                    call: third.unwrap_or_default().to_owned(),
                    path: fourth.unwrap_or_default().to_owned(),
                });
            }
            ("total", total) => self.total = total,
            ("noshim", _) => self.noshim = true,
            _ => self.bad.push(line.to_owned()),
        }
    }

    /// What the writer could not do, in one line.
    pub fn failures(&self) -> String {
        self.failed.join("; ")
    }
}

/// How a writer ended.
#[derive(Debug)]
pub struct Ended {
    /// What it said.
    pub heard: Heard,
    /// How it went.
    pub status: ExitStatus,
    /// The last it said on standard error.
    pub stderr: String,
}

impl Ended {
    /// Whether it was killed.
    pub fn killed(&self) -> bool {
        self.status.signal() == Some(9)
    }

    /// An error unless it was killed, wrote everything, or reported a failure and stopped.
    ///
    /// # Errors
    /// A panic, an abort, or a broken promise that it noticed itself.
    pub fn judge(&self) -> Result<()> {
        if let Some(bad) = self.heard.bad.first() {
            return Err(Failure::violation(format!("the writer says: {bad}")));
        }
        if self.heard.noshim {
            return Err(Failure::Skipped(
                "this system does not let a process filter its system calls".into(),
            ));
        }
        match (self.status.code(), self.status.signal()) {
            (Some(0 | 3), _) | (_, Some(9)) => Ok(()),
            (Some(4), _) => Err(Failure::Setup("the writer was not heard".into())),
            _ => Err(Failure::violation(format!(
                "the writer ended with {}: {}",
                self.status, self.stderr
            ))),
        }
    }
}

/// A running writer.
#[derive(Debug)]
pub struct Running {
    child: Child,
    heard: Receiver<Heard>,
    stderr: Receiver<String>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // Only where its end was not waited for; errors say that it has ended.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Starts a writer; `wrap` are words in front of its command, such as those of `sh -c`.
///
/// # Errors
/// When it cannot be started.
pub fn start(
    wrap: &[&str],
    exe: &Path,
    args: &[OsString],
    env: &[(&str, OsString)],
    seed: u64,
) -> Result<Running> {
    let mut command = match wrap {
        [] => Command::new(exe),
        [program, rest @ ..] => {
            let mut command = Command::new(program);
            command.args(rest).arg(exe);
            command
        }
    };
    command
        .arg("write")
        .args(args)
        .envs(env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .map_err(|error| Failure::setup("start a writer", error))?;
    let (tell, heard) = channel();
    if let Some(stdout) = child.stdout.take() {
        std::thread::spawn(move || {
            let mut all = Heard::default();
            for line in BufReader::new(stdout).split(b'\n') {
                let Ok(line) = line else { break };
                all.line(&String::from_utf8_lossy(&line), seed);
            }
            drop(tell.send(all));
        });
    }
    let (tell, stderr) = channel();
    if let Some(mut from) = child.stderr.take() {
        std::thread::spawn(move || {
            let mut text = Vec::new();
            drop(from.read_to_end(&mut text));
            let start = text.len().saturating_sub(2000);
            let tail = text.get(start..).unwrap_or_default();
            drop(tell.send(String::from_utf8_lossy(tail).into_owned()));
        });
    }
    Ok(Running {
        child,
        heard,
        stderr,
    })
}

impl Running {
    /// Waits until it has ended.
    ///
    /// # Errors
    /// A violation when it hangs.
    pub fn wait(mut self) -> Result<Ended> {
        drop(self.child.stdin.take());
        let Ok(heard) = self.heard.recv_timeout(PATIENCE) else {
            return Err(Failure::violation("the writer hangs"));
        };
        let status = self
            .child
            .wait()
            .map_err(|error| Failure::setup("wait for a writer", error))?;
        let stderr = self.stderr.recv_timeout(PATIENCE).unwrap_or_default();
        Ok(Ended {
            heard,
            status,
            stderr,
        })
    }

    /// Kills it after so long, unless it has ended by then.
    ///
    /// # Errors
    /// As for [`Running::wait`].
    pub fn kill_after(mut self, after: Duration) -> Result<Ended> {
        std::thread::sleep(after);
        self.child
            .kill()
            .map_err(|error| Failure::setup("kill a writer", error))?;
        self.wait()
    }

    /// Its process number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_some())
    }
}

/// Arguments of a writer.
pub fn words(dir: &Path, seed: u64, more: &[(&str, u64)]) -> Vec<OsString> {
    let mut words: Vec<OsString> = vec![dir.into(), "--seed".into(), seed.to_string().into()];
    for (name, value) in more {
        words.push(name.into());
        words.push(value.to_string().into());
    }
    words
}
