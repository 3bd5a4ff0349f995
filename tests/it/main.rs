//! Tests of the whole engine, in one binary.

#[cfg(feature = "rocks")]
mod damage;
mod model;
