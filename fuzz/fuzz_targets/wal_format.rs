//! Headers, frames, footers and file names of the journal. What decodes encodes to the same bytes;
//! a frame is tried as it is, with its header's sum set right, and with all sums set right.
#![no_main]

use blocknet_wal::fuzzing;
use libfuzzer_sys::fuzz_target;

#[derive(arbitrary::Arbitrary, Debug)]
struct Input<'a> {
    salt: u64,
    offset: u64,
    bytes: &'a [u8],
}

fuzz_target!(|input: Input<'_>| {
    fuzzing::segment_header(input.bytes);
    // No file is longer than half of what can be counted.
    for offset in [4096, input.offset >> 1, input.offset & 0xffff_fff8] {
        fuzzing::frame_bytes(input.bytes, input.salt, offset);
    }
    fuzzing::footer_body(input.bytes);
    if let Ok(name) = std::str::from_utf8(input.bytes) {
        fuzzing::file_name(name);
    }
});
