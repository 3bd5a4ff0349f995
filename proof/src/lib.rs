//! Checkpoints and proofs of a net: what can be checked without the net.
#![forbid(unsafe_code)]
