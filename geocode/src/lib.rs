//! Hash geocodes: a place on Earth as a planar prefix and an altitude suffix.
//!
//! The plane of longitude and latitude is a 16-ary tree: a [`Cell`] is a prefix of hexadecimal
//! digits, each of two bits of longitude and two of latitude, and one digit more divides it into
//! 16. A [`Geocode`] is the cell at full depth and, as a suffix that never disturbs the plane, the
//! altitude in steps from a floor. A [`NetSpec`] says how many digits there are (4 to 256 bits in
//! all), along which [`Curve`] the cells are numbered, and at which depth cells are blocks.
//!
//! The crate computes codes, cells, neighbours, bounds, key order, printed forms and logical
//! distance. It knows no geometry, no datum and no metres in the plane, stores nothing and does no
//! input or output. Everything is deterministic, to the bit, on every platform; nothing allocates
//! but the printed forms; all types may be shared between threads.
//!
//! # Example
//! ```
//! use blocknet_geocode::{NetSpec, Position};
//!
//! let spec = NetSpec::city();
//! let church = Position { longitude: 6.1389, latitude: 52.0128, altitude: Some(10.42) };
//! let geocode = spec.encode(&church)?;
//!
//! // Printed: planar digits, a hyphen, altitude digits.
//! let text = spec.format(&geocode);
//! assert_eq!(spec.parse(&text)?, geocode);
//!
//! // A prefix is a cell; the block is the cell at block depth.
//! let block = spec.block(&geocode);
//! assert!(text.starts_with(&block.to_string()));
//! let cell = block.cell();
//! let bounds = spec.bounds(&cell);
//! assert!(bounds.west <= church.longitude && church.longitude < bounds.east);
//!
//! // As a key: block, altitude, remaining planar digits. Ranges of cells are ranges of keys.
//! let (low, high) = spec.stored_range(&cell, &cell, spec.block_digits())?;
//! assert!((low..=high).contains(&spec.stored(&geocode, spec.block_digits())));
//! # Ok::<(), blocknet_geocode::Error>(())
//! ```
#![forbid(unsafe_code)]

mod axis;
mod bits;
mod block;
mod cell;
mod curve;
mod distance;
mod error;
mod place;
mod spec;
mod stored;
mod text;

#[cfg(test)]
mod testing;

pub use bits::PackedDigits;
pub use block::Block;
pub use cell::{Cell, Geocode, PackedCell};
pub use curve::{Curve, CurveKind, Hilbert, Morton};
pub use distance::{LogicalDistance, PlanarDistance};
pub use error::Error;
pub use place::{Bounds, Neighbours, Position};
pub use spec::{NetSpec, NetSpecBuilder};
pub use stored::StoredCode;
