//! Conditions in CEL on records, and `PROP=V` predicates. What is read is read again from its text;
//! a record is matched or not, in bounded time.
#![no_main]

use arbitrary::Arbitrary;
use blocknet_tools::input::{Expression, Fields, Predicate};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    floor: Option<i8>,
    top: Option<f32>,
    /// The condition; after a zero byte, the payload.
    text: &'a [u8],
}

const PAYLOAD: &[u8] = br#"{"type":"Feature","id":7,"geometry":{"type":"Point","coordinates":[4.9,52.4]},
"properties":{"a":1,"b":2.5,"c":"text","d":null,"e":[1,2,[3]],"f":{"g":{"h":true}},"i":-9223372036854775808}}"#;

fuzz_target!(|input: Input<'_>| {
    let mut parts = input.text.splitn(2, |byte| *byte == 0);
    let text = parts.next().unwrap_or_default();
    let payload = parts.next().unwrap_or(PAYLOAD);
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    let fields = Fields {
        layer: "main",
        id: "7",
        floor: input.floor.map(f64::from),
        top: input.top.map(f64::from),
        payload,
    };
    match text.parse::<Expression>() {
        Ok(condition) => {
            let matches = condition.matches(&fields);
            assert_eq!(condition.matches(&fields), matches, "the same each time");
        }
        Err(error) => assert!(!error.to_string().contains('\n'), "a message has one line"),
    }
    match text.parse::<Predicate>() {
        Ok(predicate) => {
            let _ = predicate.matches(fields.payload);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
