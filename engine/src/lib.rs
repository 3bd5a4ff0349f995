//! Records, blocks, commits, views and recovery of a BlockNet store.
//!
//! A [`Net`] is one directory. It holds entities in layers, each with a place and a history on two
//! time axes: when something was true in the world (valid time) and when the net learned it
//! (recorded time). Every change is an [`Assertion`] in a [`Commit`]; nothing is overwritten. A
//! [`View`] answers as of a commit or a moment, at a valid time.
//!
//! ```
//! use blocknet_engine::{AsOf, Assertion, Commit, Extent, LayerId, Net, Valid};
//! use blocknet_geocode::NetSpec;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path().join("city");
//! // Tables in memory here, so that the example runs without RocksDB.
//! let net = Net::builder().tables_in_memory().create(&path, NetSpec::city())?;
//! let house = Extent::flat(4.8951, 52.3702, 4.8953, 52.3703);
//! let built = "1985-04-01T00:00:00Z".parse::<jiff::Timestamp>()?.into();
//! let state = Assertion::state(LayerId::MAIN, "0363100012185598", house, "{\"storeys\":2}");
//! net.commit(&Commit::new("registrar", vec![state.valid(Valid::from(built))]))?;
//!
//! let view = net.view(AsOf::Newest, net.now())?;
//! let found = view.get(LayerId::MAIN, "0363100012185598")?.expect("it stands");
//! assert_eq!(found.payload, "{\"storeys\":2}");
//! # Ok(())
//! # }
//! ```
//!
//! # Guarantees
//!
//! * A commit is acknowledged when its journal frame is synced, and survives any crash from then
//!   on. A failed sync poisons the handle; it is never retried.
//! * The journal is the truth and the tables are its index: they are compared at every open, and
//!   rebuilt when they do not fit.
//! * Opening for reading only changes no byte.
//! * A net may be shared between threads; within a process and across processes there is one
//!   writer, or any number of readers.
//!
//! # Features
//!
//! * `rocks` (default): tables in RocksDB. Without it they live in memory and are rebuilt from the
//!   journal at every open.

#![forbid(unsafe_code)]

mod apply;
mod audit;
pub mod backup;
mod block;
mod blocks;
mod body;
mod codec;
mod costs;
pub mod dump;
mod entity;
mod erase;
mod error;
mod export;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod graph;
mod hash;
mod key;
mod layer;
mod ledger;
mod linked;
mod linking;
mod lock;
mod log;
mod net;
mod open;
mod propagate;
mod prove;
mod record;
pub mod repair;
mod request;
mod scan;
mod simulate;
#[cfg(test)]
mod testing;
mod time;
mod touched;
pub mod verify;
mod view;
mod writer;
mod zone;

pub use blocknet_proof as proof;

pub use audit::{Audit, Disagreement, Finding};
pub use block::{BlockVersion, Gene, Held, Link, Origin};
pub use blocks::{BlockCollector, BlockSet};
pub use body::{Basis, CommitInfo};
pub use costs::Costs;
pub use error::{Conflict, Error, ErrorKind, Result};
pub use export::{CheckpointSink, Every};
pub use graph::{Measures, NetGraph, Territory};
pub use hash::Hash;
pub use key::ID_LEN_BYTES_MAX;
pub use layer::{LayerDef, LayerId, LayerKind};
pub use ledger::LayerState;
pub use linked::{
    Blocks, LinkedNet, Neighbour, NetStats, Registry, Safety, Supervision, Walk, Walking,
};
pub use log::LogHead;
pub use net::{Net, Ticket};
pub use open::{NetBuilder, OpenReport, Settings};
pub use propagate::{Existing, propagate, propagate_alone};
pub use prove::HistoryOptions;
pub use record::{ChangeKind, End, Extent, Version};
pub use request::{
    Assertion, Commit, Cost, Outcome, Precondition, Receipt, Recorded, Valid, limit,
};
pub use scan::{Candidate, Entities, RangeCounts, Scan, ScanRange};
pub use simulate::{Dimensions, Mode, SimulatedNet, Simulation, safety_within_territories};
pub use time::{Clock, Interval, Moment, SystemClock};
pub use view::{AsOf, CommitMark, PlaceRange, Record, RecordRef, TimelineEntry, View};
pub use writer::PayloadEq;
pub use zone::{Heights, Rows, ZONE_STEP, Zone, ZoneReader, zone_depths};
