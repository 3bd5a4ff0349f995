//! Tests of the whole engine, in one binary.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

#[cfg(feature = "rocks")]
mod backup;
#[cfg(feature = "rocks")]
mod damage;
#[cfg(feature = "rocks")]
mod erase;
#[cfg(feature = "rocks")]
mod flips;
mod model;
#[cfg(feature = "rocks")]
mod repair;
#[cfg(feature = "rocks")]
mod salvage;
