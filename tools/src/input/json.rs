//! JSON read in place: the members of an object, the text of a scalar, equality of values.
//!
//! Values stay slices of the input instead of becoming a tree, so that numbers keep their digits
//! and a large Feature is not copied. (A tree would also be wrong here: with `serde_json`'s
//! `arbitrary_precision` an object with one specially named member turns into a number.)

#![warn(clippy::indexing_slicing)]

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// How many levels of arrays and objects [`json_equal`] looks into. Deeper values are compared
/// byte for byte, which keeps the stack and the cost bounded.
const DEPTH_MAX: u8 = 128;

/// The members of a JSON object, in the order of the text.
#[derive(Debug, Default)]
pub struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Members<'a> {
    /// Reads an object; its values are checked to be JSON, and stay text.
    ///
    /// # Errors
    /// The text is not one JSON object.
    pub fn parse(text: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// The value of a member; of several with the same name the last, as most readers have it.
    pub fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0
            .iter()
            .rev()
            .find(|(key, _)| key == name)
            .map(|(_, value)| *value)
    }

    /// All of them, those with the same name as well.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().map(|(name, value)| (&**name, *value))
    }

    /// The value of a member unless it is `null`.
    pub fn get_non_null(&self, name: &str) -> Option<&'a RawValue> {
        self.get(name).filter(|value| value.get() != "null")
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

        struct MembersVisitor;

        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((Key(key), value)) = map.next_entry::<Key<'de>, &'de RawValue>()? {
                    members.push((key, value));
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(MembersVisitor).map(Self)
    }
}

/// The text of a scalar: a string's content, a number's digits as they are written, `true` or
/// `false`. `None` for `null`, arrays, objects and strings that are no Unicode text.
pub fn scalar_text(value: &RawValue) -> Option<Cow<'_, str>> {
    let text = value.get();
    match text.as_bytes().first()? {
        b'"' => string(text),
        b'{' | b'[' | b'n' => None,
        _ => Some(Cow::Borrowed(text)),
    }
}

/// The content of a JSON string, borrowed where it has no escapes.
fn string(text: &str) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    serde_json::from_str::<Text<'_>>(text)
        .ok()
        .map(|text| text.0)
}

/// The message of a JSON error without its line and column, which are those of a fragment.
pub(super) fn message(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) => text.get(..end).unwrap_or_default().to_owned(),
        None => text,
    }
}

/// Whether two texts are the same JSON value. Order of members and spelling of numbers and strings
/// do not matter; numbers are compared as exact decimals (`1`, `1.0` and `1e0` are equal,
/// 9007199254740992 and 9007199254740993 are not). Of members with the same name the last counts.
///
/// Texts that are not JSON are equal when their bytes are, and so are values nested deeper than
/// 128 levels.
///
/// # Cost
/// Equal bytes: one comparison. Else linear in the texts for each level of nesting.
pub fn json_equal(a: &[u8], b: &[u8]) -> bool {
    a == b
        || match (serde_json::from_slice(a), serde_json::from_slice(b)) {
            (Ok(a), Ok(b)) => values_equal(a, b, DEPTH_MAX).unwrap_or(false),
            _ => false,
        }
}

/// `None` when a value turns out not to be readable, for example a lone surrogate in a string.
fn values_equal(a: &RawValue, b: &RawValue, depth_left: u8) -> Option<bool> {
    let (a, b) = (a.get(), b.get());
    if a == b {
        return Some(true);
    }
    let Some(depth_left) = depth_left.checked_sub(1) else {
        return Some(false);
    };
    match (a.as_bytes().first()?, b.as_bytes().first()?) {
        (b'{', b'{') => {
            let (a, b) = (by_name(a)?, by_name(b)?);
            if a.len() != b.len() {
                return Some(false);
            }
            for ((a_name, a_value), (b_name, b_value)) in a.iter().zip(&b) {
                if a_name != b_name || !values_equal(a_value, b_value, depth_left)? {
                    return Some(false);
                }
            }
            Some(true)
        }
        (b'[', b'[') => {
            let a: Vec<&RawValue> = serde_json::from_str(a).ok()?;
            let b: Vec<&RawValue> = serde_json::from_str(b).ok()?;
            if a.len() != b.len() {
                return Some(false);
            }
            for (a, b) in a.iter().zip(&b) {
                if !values_equal(a, b, depth_left)? {
                    return Some(false);
                }
            }
            Some(true)
        }
        (b'"', b'"') => Some(string(a)? == string(b)?),
        (b'-' | b'0'..=b'9', b'-' | b'0'..=b'9') => Some(Decimal::parse(a)? == Decimal::parse(b)?),
        _ => Some(false),
    }
}

fn by_name(text: &str) -> Option<BTreeMap<Cow<'_, str>, &RawValue>> {
    Some(Members::parse(text).ok()?.0.into_iter().collect())
}

/// A decimal number in the one form that equal numbers share.
#[derive(PartialEq)]
struct Decimal {
    negative: bool,
    /// Without zeros at either end; empty for zero.
    digits: String,
    /// Power of ten of the last digit.
    exponent: i128,
}

impl Decimal {
    /// `None` when the exponent itself does not fit 64 bits.
    fn parse(number: &str) -> Option<Self> {
        let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
        let unsigned = mantissa.strip_prefix('-').unwrap_or(mantissa);
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let digits = format!("{whole}{fraction}");
        let digits = digits.trim_start_matches('0');
        let significant = digits.trim_end_matches('0');
        if significant.is_empty() {
            return Some(Self {
                negative: false,
                digits: String::new(),
                exponent: 0,
            });
        }
        let zeros = i128::try_from(digits.len() - significant.len()).ok()?;
        let fraction_len = i128::try_from(fraction.len()).ok()?;
        let exponent = i128::from(exponent.parse::<i64>().ok()?) - fraction_len + zeros;
        Some(Self {
            negative: number.starts_with('-'),
            digits: significant.to_owned(),
            exponent,
        })
    }
}

#[cfg(test)]
mod tests {
    use quickcheck::{Arbitrary, Gen, QuickCheck};

    use super::*;

    fn equal(a: &str, b: &str) -> bool {
        let forward = json_equal(a.as_bytes(), b.as_bytes());
        assert_eq!(
            forward,
            json_equal(b.as_bytes(), a.as_bytes()),
            "{a} and {b}: not symmetric"
        );
        forward
    }

    #[test]
    fn numbers_are_compared_as_decimals() {
        for (a, b) in [
            ("1", "1.0"),
            ("1", "1e0"),
            ("0.1", "0.10"),
            ("100", "1E+2"),
            ("0.001", "1e-3"),
            ("0", "-0.0"),
            ("0e99999999999999999999999", "0"),
            ("-12.50", "-1.25e1"),
            ("1e9223372036854775807", "10e9223372036854775806"),
        ] {
            assert!(equal(a, b), "{a} = {b}");
        }
        for (a, b) in [
            ("9007199254740993", "9007199254740992"),
            ("0.1", "0.1000000000000000055511151231257827"),
            ("1", "-1"),
            ("1", "10"),
            ("1", "\"1\""),
            ("1e99999999999999999999999", "2e99999999999999999999999"),
        ] {
            assert!(!equal(a, b), "{a} differs from {b}");
        }
    }

    #[test]
    fn order_of_members_spelling_and_space_do_not_matter() {
        assert!(equal(
            r#"{"a":1,"b":[true,null]}"#,
            r#" { "b" : [ true , null ], "a" : 1.0 } "#
        ));
        assert!(equal(r#"{"a":"\u00e9"}"#, "{\"\\u0061\":\"\u{e9}\"}"));
        assert!(
            equal(r#"{"a":1,"a":2}"#, r#"{"a":2}"#),
            "the last of equal names counts"
        );
        assert!(!equal("[1,2]", "[2,1]"));
        assert!(!equal("[1]", "[1,1]"));
        assert!(!equal(r#"{"a":null}"#, "{}"));
        assert!(!equal("true", "false"));
        assert!(!equal("{}", "[]"));
    }

    #[test]
    fn no_member_name_is_magic() {
        assert!(!equal(r#"{"$serde_json::private::Number":"1"}"#, "1"));
        assert!(!equal(r#"{"$serde_json::private::RawValue":"1"}"#, "1"));
        let magic = r#"{"$serde_json::private::Number":"1"}"#;
        assert!(equal(magic, r#"{ "$serde_json::private::Number" : "1" }"#));
    }

    #[test]
    fn what_is_not_json_is_compared_as_bytes() {
        assert!(json_equal(b"\xff\xfe", b"\xff\xfe"));
        assert!(!json_equal(b"{", b"{ "));
        assert!(!json_equal(b"", b" "));
        assert!(!equal("1 1", "1  1"));
        assert!(
            !equal(r#"["\ud800"]"#, r#"["\uD800"]"#),
            "a lone surrogate is no text"
        );
    }

    #[test]
    fn deep_nesting_does_not_overflow_the_stack() {
        let nested = |depth: usize, inner: &str| {
            format!("{}{inner}{}", "[".repeat(depth), "]".repeat(depth))
        };
        assert!(equal(&nested(127, "1"), &nested(127, "1.0")));
        assert!(
            !equal(&nested(1000, "1"), &nested(1000, "1.0")),
            "too deep: by bytes"
        );
        let deep = nested(1_000_000, "1");
        assert!(equal(&deep, &deep.clone()));
        assert!(!equal(&deep, &nested(1_000_000, "2")));
    }

    #[test]
    fn members_are_found_by_their_decoded_name() {
        let members = Members::parse(r#"{"a":1,"\u0062":"x","a":[2],"c":null}"#).unwrap();
        assert_eq!(members.get("a").unwrap().get(), "[2]");
        assert_eq!(members.get("b").unwrap().get(), "\"x\"");
        assert!(members.get("c").is_some() && members.get_non_null("c").is_none());
        assert!(members.get("d").is_none());
        for bad in ["", "[]", "1", "{\"a\":}", "{\"a\":1}x", "{\"a\":01}"] {
            assert!(Members::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn scalars_have_text_and_others_none() {
        let text = |json: &str| {
            let value: &RawValue = serde_json::from_str(json).unwrap();
            scalar_text(value).map(Cow::into_owned)
        };
        assert_eq!(text("1.0").as_deref(), Some("1.0"));
        assert_eq!(
            text("12345678901234567890123").as_deref(),
            Some("12345678901234567890123")
        );
        assert_eq!(text(r#""0012""#).as_deref(), Some("0012"));
        assert_eq!(text(r#""a\"b""#).as_deref(), Some("a\"b"));
        assert_eq!(text("true").as_deref(), Some("true"));
        for none in ["null", "[1]", "{}", r#""\ud800""#] {
            assert_eq!(text(none), None, "{none}");
        }
    }

    /// A random value, written twice in different ways.
    #[derive(Clone, Debug)]
    struct TwoSpellings(String, String);

    impl Arbitrary for TwoSpellings {
        fn arbitrary(g: &mut Gen) -> Self {
            fn value(g: &mut Gen, depth: u8) -> (String, String) {
                match u8::arbitrary(g) % if depth == 0 { 4 } else { 6 } {
                    0 => ("null".into(), "null".into()),
                    1 => {
                        let (n, zeros) = (i32::arbitrary(g), usize::from(u8::arbitrary(g) % 4));
                        (format!("{n}"), format!("{n}.{}e0", "0".repeat(zeros + 1)))
                    }
                    2 => {
                        let text: String = String::arbitrary(g);
                        let plain = serde_json::to_string(&text).unwrap();
                        let escaped = text
                            .encode_utf16()
                            .fold(String::new(), |text, unit| text + &format!("\\u{unit:04x}"));
                        (plain, format!("\"{escaped}\""))
                    }
                    3 => ("true".into(), "true".into()),
                    4 => {
                        let items: Vec<_> = (0..u8::arbitrary(g) % 4)
                            .map(|_| value(g, depth - 1))
                            .collect();
                        let (a, b): (Vec<_>, Vec<_>) = items.into_iter().unzip();
                        (
                            format!("[{}]", a.join(",")),
                            format!("[ {} ]", b.join(" ,")),
                        )
                    }
                    _ => {
                        let items: Vec<_> = (0..u8::arbitrary(g) % 4)
                            .map(|i| {
                                let (a, b) = value(g, depth - 1);
                                (format!("\"k{i}\":{a}"), format!("\"\\u006b{i}\" : {b}"))
                            })
                            .collect();
                        let (a, mut b): (Vec<_>, Vec<_>) = items.into_iter().unzip();
                        b.reverse();
                        (
                            format!("{{{}}}", a.join(",")),
                            format!("{{{}}}", b.join("\n,")),
                        )
                    }
                }
            }
            let (a, b) = value(g, 4);
            Self(a, b)
        }
    }

    #[test]
    fn spellings_of_one_value_are_equal_and_a_changed_value_is_not() {
        fn property(spellings: TwoSpellings) -> bool {
            let TwoSpellings(a, b) = spellings;
            equal(&a, &b) && !equal(&format!("[{a},1]"), &format!("[{b},2]"))
        }
        QuickCheck::new()
            .tests(500)
            .quickcheck(property as fn(TwoSpellings) -> bool);
    }

    #[test]
    fn any_bytes_are_compared_without_panic() {
        #[expect(
            clippy::needless_pass_by_value,
            reason = "the form that quickcheck calls"
        )]
        fn property(a: Vec<u8>, b: Vec<u8>) -> bool {
            json_equal(&a, &a) && (a == b) == json_equal(&a, &b)
                || serde_json::from_slice::<&RawValue>(&a).is_ok()
        }
        QuickCheck::new()
            .tests(1000)
            .quickcheck(property as fn(Vec<u8>, Vec<u8>) -> bool);
    }
}
