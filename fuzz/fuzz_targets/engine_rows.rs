//! The rows of every table. What decodes encodes to the same bytes.
#![no_main]

use blocknet_engine::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let [which, choice, bytes @ ..] = bytes else {
        return;
    };
    let spec = blocknet_fuzz::spec(*choice);
    match which % 15 {
        0 => fuzzing::commit_header(bytes),
        1 => fuzzing::row(bytes, &spec),
        2 => fuzzing::header(bytes, &spec),
        3 => fuzzing::head(bytes, &spec),
        4 => fuzzing::track(bytes, &spec),
        5 => {
            if let Some((commit, bytes)) = bytes.split_first_chunk() {
                fuzzing::block_version(bytes, u64::from_le_bytes(*commit), &spec);
            }
        }
        6 => fuzzing::held(bytes),
        7 => fuzzing::state(bytes),
        8 => fuzzing::layer(bytes),
        9 => {
            if let Some((cell, bytes)) = bytes.split_first_chunk::<1>() {
                fuzzing::zone(cell, bytes);
            }
        }
        10 => fuzzing::bounds(bytes),
        11 => fuzzing::touched(bytes, &spec),
        12 => fuzzing::layer_definition(bytes),
        13 => fuzzing::net(bytes),
        _ => fuzzing::keys(bytes, &spec),
    }
});
