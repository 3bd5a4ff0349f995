//! The `blocknet` binary from outside: arguments, exit codes, and what it prints.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cli {
    mod against;
    mod arguments;
    mod backup;
    mod dump;
    mod erase;
    mod import;
    mod net;
    mod proof;
    mod query;
    mod repair;
    mod support;
    mod verify;
    mod write;
}
