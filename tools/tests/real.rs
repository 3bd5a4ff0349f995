//! The command on real data: registers with history, whole files imported twice, windows against
//! brute force, and an importer killed at any moment.
//!
//! The data lie beside the project, in `../shared/data`; where they are missing the tests say so
//! and pass.

mod support {
    pub(crate) mod run;
}
mod real_suite {
    pub(crate) mod kill;
    pub(crate) mod registers;
    pub(crate) mod windows;
}
