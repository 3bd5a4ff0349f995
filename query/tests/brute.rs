//! Answers of every shape against brute force over all records, on each real net, and at the edges
//! of what shapes can be.
//!
//! The brute force is a list of what was put into the net, filtered by other means than those of
//! the crate (see `oracle`); an R-tree in degrees only leaves out what is far away. Where the data
//! are missing beside the project, in `../shared/data`, the tests say so and pass. Seeds come from
//! `BLOCKNET_SEED`, 0 without it, and the queries of each shape on each net from `BLOCKNET_RUNS`, 100
//! without it.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
#![expect(
    clippy::print_stdout,
    reason = "tests say what they counted and skipped"
)]

mod brute {
    pub(crate) mod asking;
    pub(crate) mod edges;
    pub(crate) mod nets;
    pub(crate) mod oracle;
    pub(crate) mod random;
    pub(crate) mod real;
}
