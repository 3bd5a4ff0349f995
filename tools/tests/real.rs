//! The command on real data: registers with history, whole files imported twice, windows against
//! brute force, and an importer killed at any moment.
//!
//! The data lie beside the project, in `../shared/data`; where they are missing the tests say so
//! and pass.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
#![expect(
    clippy::print_stdout,
    reason = "tests say what they counted and skipped"
)]

mod support {
    pub(crate) mod run;
}
mod real_suite {
    #[cfg(feature = "rocks")]
    pub(crate) mod erase;
    pub(crate) mod kill;
    pub(crate) mod net;
    pub(crate) mod registers;
    pub(crate) mod windows;
}
