//! JSON read in place. Equality of values is reflexive, symmetric, and blind to space around
//! them.
#![no_main]

use blocknet_tools::input::{Members, json_equal, lookup, scalar_text};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // Two values and a path, each ended by a zero byte.
    let mut parts = bytes.splitn(3, |byte| *byte == 0);
    let [a, b, path] = std::array::from_fn(|_| parts.next().unwrap_or_default());
    let path = std::str::from_utf8(path).unwrap_or("a.b");
    assert!(json_equal(a, a));
    assert_eq!(json_equal(a, b), json_equal(b, a));
    if let (Ok(a_text), Ok(b_text)) = (std::str::from_utf8(a), std::str::from_utf8(b)) {
        if let Ok(members) = Members::parse(a_text) {
            for (name, value) in members.iter() {
                assert!(members.get(name).is_some());
                let _ = scalar_text(value);
            }
            let _ = lookup(&members, path);
            // The same text with space around it is the same value.
            assert!(json_equal(a, format!(" {a_text}\n").as_bytes()));
        }
        let _ = Members::parse(b_text);
    }
});
