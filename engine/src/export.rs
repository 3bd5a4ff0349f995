//! Checkpoints on their way out of the store: handed to the application now and then, and a note of
//! the last one, so that anybody can be told how much rests on nothing outside.
//!
//! The note is a convenience and no evidence: whoever can write the store can write it too.

use std::fmt;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use blocknet_proof::{Checkpoint, Note};
use parking_lot::Mutex;

use crate::error::{Error, ErrorKind, Result};
use crate::net::{Net, Writable};
use crate::time::Moment;

/// Beside journal and tables: the newest checkpoint that left the store, as its text.
pub(crate) const EXPORTED_FILE: &str = "exported";
const EXPORTED_TMP: &str = "exported.tmp";
const EXPORTED_LEN_BYTES_MAX: u64 = 4096;

/// Takes a checkpoint out of the store. An error means that it did not arrive: it is asked again
/// after the next commit.
pub type CheckpointSink = dyn Fn(&Checkpoint) -> std::result::Result<(), Box<dyn std::error::Error + Send + Sync>>
    + Send
    + Sync;

/// When a checkpoint is handed out: whichever comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Every {
    /// After so many commits; at least 1.
    pub commits: u64,
    /// After so much time, at the next commit.
    pub interval: Duration,
}

/// A sink, and when it was given something last.
#[derive(Clone)]
pub(crate) struct Handout {
    pub(crate) every: Every,
    pub(crate) sink: Arc<CheckpointSink>,
}

/// What was handed out by one open net.
#[derive(Debug, Default)]
pub(crate) struct HandedOut(Mutex<Option<(u64, Moment)>>);

impl fmt::Debug for Handout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handout")
            .field("every", &self.every)
            .finish_non_exhaustive()
    }
}

impl Net {
    /// The head of the log over all commits: what a signed checkpoint states.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] or [`ErrorKind::Corrupt`] when the tables cannot be read.
    pub fn checkpoint(&self) -> Result<Checkpoint> {
        let head = self.now_view()?.log_head()?;
        Checkpoint::new(*self.id(), head.size, head.root.0)
            .map_err(|error| Error::corrupt(format!("the log: {error}")))
    }

    /// The newest checkpoint noted as kept outside the store; `None` if none ever was. The commits
    /// after it are the exposure: what somebody who can write the store could write anew unnoticed.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] when the note is no checkpoint of this net: remove the file.
    pub fn exported(&self) -> Result<Option<Checkpoint>> {
        read(self.dir(), *self.id())
    }

    /// Notes that a checkpoint is kept outside the store. An older one than the noted one changes
    /// nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a checkpoint of another net; [`ErrorKind::Io`] when the file
    /// `exported` cannot be written, which changes nothing else.
    pub fn note_exported(&self, checkpoint: &Checkpoint) -> Result<()> {
        if checkpoint.net() != *self.id() {
            return Err(Error::invalid("the checkpoint belongs to another net"));
        }
        // A note that cannot be read is replaced.
        let noted = self.exported().ok().flatten();
        if noted.is_some_and(|noted| noted.size() >= checkpoint.size()) {
            return Ok(());
        }
        write(self.dir(), checkpoint)
    }

    /// Hands out a checkpoint if one is due. One thread at a time does; the others go on.
    pub(crate) fn hand_out(&self, newest: u64, closing: bool) {
        let Some(Handout { every, sink }) = &self.handout else {
            return;
        };
        let Some(mut last) = self.handed_out.0.try_lock() else {
            return;
        };
        let now = self.now();
        let (size, at) = *last.get_or_insert_with(|| {
            let noted = self.exported().ok().flatten();
            (noted.map_or(0, |noted| noted.size()), now)
        });
        let waited = now.as_micros().saturating_sub(at.as_micros());
        let interval = i64::try_from(every.interval.as_micros()).unwrap_or(i64::MAX);
        let due = newest >= size.saturating_add(every.commits.max(1)) || waited >= interval;
        if newest <= size || !(due || closing) {
            return;
        }
        // What fails is tried again after the next commit; no commit hangs on it.
        let Ok(checkpoint) = self.checkpoint() else {
            return;
        };
        if sink(&checkpoint).is_ok() {
            *last = Some((checkpoint.size(), now));
            if self.writable().is_ok_and(Writable::is_on_disk) {
                // The sink has it; a note that is not written overstates the exposure, no more.
                drop(self.note_exported(&checkpoint));
            }
        }
    }
}

fn read(dir: &Path, net: [u8; 16]) -> Result<Option<Checkpoint>> {
    let path = dir.join(EXPORTED_FILE);
    let file = match fs::File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io("open", path, error)),
    };
    let mut bytes = Vec::new();
    file.take(EXPORTED_LEN_BYTES_MAX)
        .read_to_end(&mut bytes)
        .map_err(|error| Error::io("read", &path, error))?;
    let note = Note::decode(&bytes)
        .ok()
        .filter(|note| note.checkpoint().net() == net);
    match note {
        Some(note) => Ok(Some(*note.checkpoint())),
        None => Err(Error::new(
            ErrorKind::Corrupt,
            "this is no note of an exported checkpoint of this net; remove it, and export one anew",
        )
        .at(path)),
    }
}

fn write(dir: &Path, checkpoint: &Checkpoint) -> Result<()> {
    let (path, tmp) = (dir.join(EXPORTED_FILE), dir.join(EXPORTED_TMP));
    let put = || {
        let mut file = fs::File::create(&tmp)?;
        file.write_all(Note::new(*checkpoint).encode().as_bytes())?;
        file.sync_all()?;
        fs::rename(&tmp, &path)?;
        fs::File::open(dir)?.sync_all()
    };
    put().map_err(|error| Error::io("write", path.clone(), error))
}

#[cfg(test)]
mod tests;
