//! Time from outside: RFC 3161 timestamps over checkpoints.
#![forbid(unsafe_code)]
