//! Holds the benchmarks in `engine.rs`; run them with `make bench`.
