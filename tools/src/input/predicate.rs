//! `PROP=V[,V...]`: a test on one property of a Feature.

use std::borrow::Cow;
use std::str::FromStr;

use serde_json::value::RawValue;
use thiserror::Error;

use super::json::{Members, scalar_text};

/// A property and the texts it may have.
///
/// The property is looked up by its literal name first; where there is none, a dot steps into an
/// object (`tags.building`). Values are compared with the text of a scalar: a string's content, a
/// number as it is written, `true` or `false`; `null`, arrays, objects and what is missing match
/// nothing. In a value `\,` stands for a comma and `\\` for a backslash.
///
/// ```
/// use blocknet_tools::input::Predicate;
///
/// let gone: Predicate = "event=deleted,untagged".parse()?;
/// assert!(gone.matches(br#"{"type":"Feature","properties":{"event":"deleted"}}"#));
/// assert!(!gone.matches(br#"{"type":"Feature","properties":{"event":"created"}}"#));
/// # Ok::<(), blocknet_tools::input::PredicateError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Predicate {
    property: String,
    values: Vec<String>,
}

/// A predicate that is not of the form `PROP=V[,V...]`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{text}` is no predicate: write PROP=VALUE or PROP=VALUE,VALUE,...")]
pub struct PredicateError {
    text: String,
}

impl FromStr for Predicate {
    type Err = PredicateError;

    fn from_str(text: &str) -> Result<Self, PredicateError> {
        match text.split_once('=') {
            Some((property, values)) if !property.is_empty() => Ok(Self {
                property: property.to_owned(),
                values: split_values(values),
            }),
            _ => Err(PredicateError {
                text: super::excerpt(text),
            }),
        }
    }
}

/// Splits at commas that no backslash escapes.
fn split_values(text: &str) -> Vec<String> {
    let mut values = Vec::new();
    let mut value = String::new();
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            ',' => values.push(std::mem::take(&mut value)),
            '\\' => value.push(
                chars
                    .next_if(|&next| next == ',' || next == '\\')
                    .unwrap_or('\\'),
            ),
            _ => value.push(char),
        }
    }
    values.push(value);
    values
}

impl Predicate {
    /// Whether a payload matches. A payload that is no JSON object with `properties` does not.
    pub fn matches(&self, payload: &[u8]) -> bool {
        let properties = str::from_utf8(payload)
            .ok()
            .and_then(|text| Members::parse(text).ok())
            .and_then(|members| members.get("properties"))
            .and_then(|properties| Members::parse(properties.get()).ok());
        properties.is_some_and(|properties| self.matches_properties(&properties))
    }

    /// Whether the members of a Feature's `properties` match.
    pub fn matches_properties(&self, properties: &Members<'_>) -> bool {
        lookup(properties, &self.property)
            .and_then(scalar_text)
            .is_some_and(|text| self.values.iter().any(|value| *value == text))
    }
}

/// A member by its literal name, else by stepping into an object at a dot.
pub fn lookup<'a>(members: &Members<'a>, path: &str) -> Option<&'a RawValue> {
    members.get(path).or_else(|| {
        path.match_indices('.').find_map(|(dot, _)| {
            let (head, rest) = (path.get(..dot)?, path.get(dot + 1..)?);
            lookup(&Members::parse(members.get(head)?.get()).ok()?, rest)
        })
    })
}

/// The text of a property by name or dotted path.
pub(super) fn text<'a>(properties: &Members<'a>, path: &str) -> Option<Cow<'a, str>> {
    lookup(properties, path).and_then(scalar_text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(predicate: &str, properties: &str) -> bool {
        let payload = format!(r#"{{"type":"Feature","properties":{properties},"geometry":null}}"#);
        predicate
            .parse::<Predicate>()
            .unwrap()
            .matches(payload.as_bytes())
    }

    #[test]
    fn scalars_are_compared_as_text() {
        assert!(matches("a=1,2", r#"{"a":2}"#));
        assert!(matches("a=2.0", r#"{"a":2.0}"#));
        assert!(!matches("a=2", r#"{"a":2.0}"#));
        assert!(matches("a=true", r#"{"a":true}"#));
        assert!(matches("a=", r#"{"a":""}"#));
        assert!(matches("a=x=y", r#"{"a":"x=y"}"#));
        assert!(matches(
            "status=Pand in gebruik,Pand in gebruik (niet ingemeten)",
            r#"{"status":"Pand in gebruik (niet ingemeten)"}"#
        ));
        for properties in [
            r#"{"a":null}"#,
            "{}",
            r#"{"a":[1]}"#,
            r#"{"a":{"b":1}}"#,
            "null",
            "7",
        ] {
            assert!(!matches("a=null,1,,{}", properties), "{properties}");
        }
    }

    #[test]
    fn commas_and_backslashes_can_be_escaped() {
        assert!(matches(r"a=x\,y,z", r#"{"a":"x,y"}"#));
        assert!(matches(r"a=x\,y,z", r#"{"a":"z"}"#));
        assert!(matches(r"a=x\\,y", r#"{"a":"x\\"}"#));
        assert!(matches(r"a=x\n", r#"{"a":"x\\n"}"#));
        assert!(matches("a=x\\", r#"{"a":"x\\"}"#));
    }

    #[test]
    fn a_dot_steps_into_objects_where_no_literal_name_fits() {
        assert!(matches(
            "tags.building=yes",
            r#"{"tags":{"building":"yes"}}"#
        ));
        assert!(matches("tags.a.b=1", r#"{"tags":{"a.b":1}}"#));
        assert!(matches("a.b.c=1", r#"{"a.b":{"c":1},"a":{"b":{"d":1}}}"#));
        assert!(
            !matches("a.b=1", r#"{"a.b":2,"a":{"b":1}}"#),
            "the literal name comes first"
        );
        assert!(!matches("a.b=1", r#"{"a":1}"#));
        assert!(!matches(".=1", "{}"));
    }

    #[test]
    fn payloads_that_are_no_features_match_nothing() {
        let predicate: Predicate = "a=1".parse().unwrap();
        for payload in [
            &b""[..],
            b"{",
            b"[]",
            b"\xff",
            b"{\"a\":1}",
            b"{\"properties\":[]}",
        ] {
            assert!(!predicate.matches(payload));
        }
    }

    #[test]
    fn other_forms_are_refused() {
        for text in ["", "a", "=1"] {
            let error = text.parse::<Predicate>().unwrap_err();
            assert!(error.to_string().contains("PROP=VALUE"), "{error}");
        }
    }
}
