//! The keys of every table. What is read is built again as the same bytes.
#![no_main]

use blocknet_engine::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, bytes)) = bytes.split_first() else {
        return;
    };
    fuzzing::keys(bytes, &blocknet_fuzz::spec(*choice));
});
