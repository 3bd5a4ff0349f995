//! An append-only journal of checksummed frames in segment files.
//!
//! One frame holds one commit: its number, a 32-byte chain value, a body, and a section that can
//! be erased later without touching the rest. The journal knows nothing of what these bytes mean;
//! it keeps them in order, says honestly when they are durable, and tells an interrupted write
//! from damage. It is not a key-value store, takes no lock (its caller does), and deletes nothing.
//!
//! ```
//! use std::path::Path;
//! use std::sync::Arc;
//! use blocknet_wal::{FrameRef, Journal, JournalOptions, MemEnv, Recovery};
//!
//! let env = Arc::new(MemEnv::new(1)); // `FileEnv` for real files
//! let dir = Path::new("journal");
//! let journal = Journal::create(env.clone(), dir, [7; 16], JournalOptions::default())?;
//! let chain = [1; 32];
//! journal.append(&FrameRef { seq: 1, chain: &chain, body: b"a house", erasable: b"its owner" })?;
//! assert_eq!(journal.sync()?, 1); // durable from here on
//! journal.close()?;
//!
//! let recovery = Recovery::scan(env, dir)?;
//! for frame in recovery.frames(1)? {
//!     let frame = frame?;
//!     assert_eq!(frame.body, b"a house");
//!     assert_eq!(frame.erasable, b"its owner");
//! }
//! let quarantine = Path::new("quarantine");
//! let (journal, report) = recovery.into_journal(JournalOptions::default(), None, quarantine)?;
//! assert!(report.clean);
//! assert_eq!(journal.last_seq(), 1);
//! # Ok::<(), blocknet_wal::Error>(())
//! ```
//!
//! # Guarantees
//!
//! * A frame is durable when [`Journal::sync`] returned its number, and stays readable, in order
//!   and unchanged, whatever crash follows. Frames not synced survive as a prefix or not at all.
//! * A failed sync poisons the journal; it is never retried. See [`ErrorKind::Poisoned`].
//! * Damage is reported with file, place and fault, never skipped. Only bytes that had not been
//!   synced are ever cut, and a copy of them is kept. See [`Recovery`].
//! * For repair, [`Survey`] reads past any damage, and [`SegmentRewrite`] puts a segment made anew
//!   in the place of a damaged one, of which a copy is kept.
//! * For backup, [`copy_segment`] copies a segment up to a frame of a journal in use, and tests the
//!   copy before it can take a sound one's place. See [`Journal::durable`].
//! * One limit: damage to exactly the last synced frames of a journal that was not closed looks
//!   like an interrupted write, unless somebody remembers their number. See
//!   [`Recovery::check_witness`].
//! * Any bytes can be read without a panic and without memory beyond the longest frame.
//!
//! [`Journal`] is shared between threads; appends are ordered by a lock that is not held while
//! another thread waits for the disk.
//!
//! The format is in DESIGN.md, "Journal format v1".

#![forbid(unsafe_code)]

mod copy;
mod env;
mod error;
mod format;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod mem_env;
mod quarantine;
mod reader;
mod recover;
mod rewrite;
mod segment;
mod survey;
mod writer;

pub use copy::{CopiedSegment, copy_segment, is_copied};
pub use env::{Access, Env, EnvFile, FileEnv};
pub use error::{Corruption, Error, ErrorKind, Fault};
pub use format::{BODY_OFFSET_BYTES, FRAME_LEN_BYTES_MAX, FrameRef, erasable_offset_bytes};
pub use mem_env::{EnvOp, FaultCounts, FaultRates, InjectedError, Injection, MemEnv};
pub use reader::{Frame, Frames, Position};
pub use recover::{Cut, Recovery, RecoveryReport, Tail};
pub use rewrite::SegmentRewrite;
pub use segment::SegmentInfo;
pub use survey::{Damage, DamagedFrame, Found, Page, SegmentWalk, Survey};
pub use writer::{Journal, JournalOptions};
