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
//! let selection = Selection::window(Window::flat(4.89, 52.37, 4.90, 52.38));
//! let ids: Vec<_> = search(&view, &selection)?.map(|found| found.map(|r| r.id)).collect::<Result<_, _>>()?;
//! assert_eq!(ids, ["a"]);
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod change;
mod cover;
mod select;
#[cfg(test)]
mod testing;
mod window;

pub use change::{
    Aspect, Axis, ByteCompare, Change, Compare, Kind, Replacement, Span, diff, replay, transients,
};
pub use cover::{MAX_RANGES, cover};
pub use select::{Area, Search, Selection, Test, search};
pub use window::{Match, UnknownHeight, Window};

pub use blocknet_engine::{Error, Result};
