//! The body of a commit. What decodes encodes to the same bytes.
#![no_main]

use blocknet_engine::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, bytes)) = bytes.split_first() else {
        return;
    };
    if choice & 128 == 0 {
        fuzzing::body(bytes, Some(&blocknet_fuzz::spec(*choice)));
    } else {
        fuzzing::body(bytes, None);
    }
});
