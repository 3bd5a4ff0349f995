//! An embeddable storage engine for things that have a place and a history: buildings first.
//!
//! A [`Net`] is one directory. What is put into it has a layer, an id, a place and a payload, and
//! nothing is ever overwritten: every change is an [`Assertion`] in an atomic [`Commit`]. A
//! [`View`] answers what was true at a moment (valid time), as the net knew it at a commit or on a
//! day (recorded time); [`query`] asks a view for an area and says what changed there.
//!
//! It is a library without a server and a single writer per directory. It is not a map renderer,
//! not a general SQL database, and not distributed.
//!
//! ```
//! use blocknet::geocode::NetSpec;
//! use blocknet::query::{Selection, Window, search};
//! use blocknet::{Assertion, Commit, Extent, LayerId, Net, Valid};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let temporary = tempfile::tempdir()?;
//! # let dir = temporary.path().join("city");
//! let net = Net::create(&dir, NetSpec::city())?;
//!
//! let built = "1985-04-01T00:00:00Z".parse::<jiff::Timestamp>()?.into();
//! let house = Extent::flat(6.1389, 52.0126, 6.1391, 52.0128).between(10.0, 16.0);
//! let state = Assertion::state(LayerId::MAIN, "0012", house, "{\"storeys\":2}");
//! net.commit(&Commit::new("registrar", vec![state.valid(Valid::from(built))]))?;
//!
//! let view = net.now_view()?;
//! let street = Selection::of(Window::flat(6.138, 52.012, 6.140, 52.013));
//! for record in search(&view, &street)? {
//!     assert_eq!(record?.id, "0012");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Where to go on
//!
//! * [`Net`]: create, open, commit; [`Net::submit`] for many commits in flight.
//! * [`View`]: by id, by place, history, timeline and commits.
//! * [`View::linked`]: the net of blocks, who links to whom and who vouches for what;
//!   [`Net::expand`] gives it blocks ahead of their content, [`Net::audit`] recomputes every hash.
//! * [`query`]: areas, and [`replay`](query::replay), [`diff`](query::diff) and
//!   [`transients`](query::transients) along either time axis.
//! * [`geocode`]: places as codes, cells, neighbours, logical distance.
//! * [`journal`]: what the journal is made of, with an in-memory file system for tests.
//! * The programs in `examples/`, one for each main task; `DESIGN.md` for formats and reasons.
//!
//! # Guarantees
//!
//! * [`Net::commit`] returns when the commit is on disk: from then on it survives any crash of the
//!   process or the machine. There is no buffered mode. A failed sync poisons the handle and is
//!   never retried.
//! * The journal is the truth and the tables are its index. Every open compares the two; tables
//!   that do not fit are moved aside and built again, and [`Net::report`] says so.
//! * Opening for reading only changes no byte.
//! * Damage to stored bytes is an error of kind [`ErrorKind::Corrupt`], never a shorter answer. What a
//!   repair found damaged in both copies is one of kind [`ErrorKind::Lost`], for just that version.
//! * A net is shared between threads by reference. Across processes and handles there is one
//!   writer, or any number of readers; the others get [`ErrorKind::Locked`].
//!
//! # Features
//!
//! * `rocks` (default): tables in `RocksDB` (compiles C++). Without it they live in memory and are
//!   built from the journal at every open.

#![forbid(unsafe_code)]

pub use blocknet_engine::*;
pub use blocknet_geocode as geocode;
pub use blocknet_query as query;
pub use blocknet_wal as journal;

/// Compiles the program in README.md.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
