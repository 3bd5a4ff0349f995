//! Area queries, replay, difference and transients over a view of a BlockNet store.
//!
//! [`search`] answers what is in an area in a view; [`replay`], [`diff`] and [`transients`] say
//! what changed there along either time axis. Answers are exact on extents: key ranges are only a
//! cover, and every record is tested. What an extent cannot say (the shape of a footprint, what a
//! payload means) callers test themselves through [`Selection::refine`], [`Selection::present`]
//! and [`Compare`].
//!
//! ```
//! use blocknet_engine::{Assertion, Commit, Extent, LayerId, Net};
//! use blocknet_geocode::NetSpec;
//! use blocknet_query::{Selection, Window, search};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path().join("city");
//! let net = Net::builder().tables_in_memory().create(&path, NetSpec::city())?;
//! let house = Extent::flat(4.8951, 52.3702, 4.8953, 52.3703);
//! net.commit(&Commit::new("me", vec![Assertion::state(LayerId::MAIN, "a", house, "{}")]))?;
//!
//! let view = net.now_view()?;
//! let selection = Selection::of(Window::flat(4.89, 52.37, 4.90, 52.38));
//! let ids: Vec<_> = search(&view, &selection)?.map(|found| found.map(|r| r.id)).collect::<Result<_, _>>()?;
//! assert_eq!(ids, ["a"]);
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod area;
mod candidates;
mod change;
mod cover;
mod explain;
mod geodesic;
mod nearest;
mod plan;
mod polygon;
mod rect;
mod search;
mod select;
mod stay;
#[cfg(test)]
mod testing;
mod visit;

pub use area::{Altitude, Area, Circle, Corridor, Match, UnknownHeight, Window};
pub use change::{
    Aspect, Axis, ByteCompare, Change, Compare, Kind, Replacement, Span, diff, explain_changes,
    replay, transients,
};
pub use explain::{Explain, ExplainRange, ExplainRejected};
pub use nearest::distance;
pub use plan::{MAX_RANGES, PlanKind};
pub use polygon::Polygon;
pub use search::{Count, Order, Query, Search, search};
pub use select::{Selection, Test};
pub use stay::{Stay, Stays, stays};

pub use blocknet_engine::{Error, Result};
