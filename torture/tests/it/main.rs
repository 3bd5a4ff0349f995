//! Every torture at a small size.

mod support;
mod torture;
