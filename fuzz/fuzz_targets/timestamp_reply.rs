//! Kept requests, replies of time-stamping authorities and certificates. A request that is read keeps
//! its bytes; checking a reply panics on nothing, whatever it is checked against.
#![no_main]

use blocknet_timestamp::{Certificates, Options, Request, verify};
use libfuzzer_sys::fuzz_target;

// What the seeds are stamped over and the roots they lead to, so that they are read to their end.
const NOTE: &[u8] = include_bytes!("../../timestamp/tests/fixtures/note.txt");
const ROOTS: [&[u8]; 2] = [
    include_bytes!("../../timestamp/tests/fixtures/root_ec.pem"),
    include_bytes!("../../timestamp/tests/fixtures/root_rsa.pem"),
];
const QUERY: &[u8] = include_bytes!("../../timestamp/tests/fixtures/rsa.tsq");

fuzz_target!(|bytes: &[u8]| {
    if let Ok(request) = Request::from_der(bytes) {
        assert_eq!(request.to_der(), bytes);
    }
    drop(Certificates::default().add(bytes));
    let mut roots = Certificates::default();
    for root in ROOTS {
        roots.add(root).expect("a fixture");
    }
    let query = Request::from_der(QUERY).expect("a fixture");
    for request in [None, Some(&query)] {
        if let Ok(stamp) = verify(bytes, NOTE, request, &roots, &Options::default()) {
            assert!(!stamp.time_text().is_empty());
        }
    }
});
