use quickcheck::{Arbitrary, Gen, QuickCheck};

use super::*;

fn parse(text: &str) -> Expression {
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

fn fault(text: &str) -> ExpressionFault {
    text.parse::<Expression>()
        .expect_err("it should be refused")
        .fault
}

fn fields(payload: &[u8]) -> Fields<'_> {
    Fields {
        layer: "buildings",
        id: "B1",
        floor: Some(-1.5),
        top: None,
        payload,
    }
}

fn holds_for_payload(expression: &str, payload: &str) -> bool {
    parse(expression).matches(&fields(payload.as_bytes()))
}

fn holds(expression: &str, properties: &str) -> bool {
    let payload = format!(r#"{{"type":"Feature","properties":{properties},"geometry":null}}"#);
    holds_for_payload(expression, &payload)
}

fn all_hold(properties: &str, expressions: &[&str]) {
    for expression in expressions {
        assert!(holds(expression, properties), "{expression}");
    }
}

fn none_hold(properties: &str, expressions: &[&str]) {
    for expression in expressions {
        assert!(!holds(expression, properties), "{expression}");
    }
}

#[test]
fn the_example_of_the_messages_works() {
    assert!(holds(EXAMPLE, r#"{"height":21,"status":"in use"}"#));
    assert!(holds(EXAMPLE, r#"{"height":20.5,"status":"in use"}"#));
    assert!(!holds(EXAMPLE, r#"{"height":20,"status":"in use"}"#));
    assert!(!holds(EXAMPLE, r#"{"height":21,"status":"gone"}"#));
    assert!(!holds(EXAMPLE, r#"{"status":"in use"}"#));
}

#[test]
fn the_fields_of_a_record_have_names() {
    let payload = br#"{"type":"Feature","properties":{"a":1},"geometry":{"type":"Point","coordinates":[4.5,52,-3]}}"#;
    for expression in [
        "id == 'B1'",
        "layer == 'buildings' && id.startsWith('B')",
        "floor == -1.5 && floor < 0",
        "top == null",
        "type == 'Feature'",
        "geometry.type == 'Point'",
        "geometry.coordinates[0] == 4.5 && geometry.coordinates[1] == 52",
        "size(geometry) == 2 && size(geometry.coordinates) == 3",
        "has(geometry.coordinates) && !has(geometry.bbox)",
        "geometry != null",
        "properties == {'a': 1}",
        "type(id) == string && type(floor) == double",
    ] {
        assert!(parse(expression).matches(&fields(payload)), "{expression}");
    }
    assert!(!parse("top > 0 || top <= 0").matches(&fields(payload)));
    let high = Fields {
        top: Some(20.5),
        ..fields(payload)
    };
    assert!(parse("top > 20 && top - floor == 22.0").matches(&high));
}

#[test]
fn payloads_that_are_no_features_have_no_properties() {
    for payload in [
        &b""[..],
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b"{}",
        b"{\"a\":1}",
        b"{\"properties\":[]}",
        b"{\"properties\":null,\"geometry\":7}",
        b"{\"properties\":{\"\\ud800\":1}}",
        b"{\"properties\":{\"a\":1}}x",
    ] {
        for expression in [
            "id == 'B1'",
            "properties == {}",
            "size(properties) == 0",
            "!has(properties.a)",
            "!('a' in properties)",
            "type == null && geometry == null",
        ] {
            assert!(parse(expression).matches(&fields(payload)), "{expression}");
        }
        assert!(!parse("properties.a == 1").matches(&fields(payload)));
        assert!(!parse("geometry.type != 'Point'").matches(&fields(payload)));
    }
}

#[test]
fn what_is_missing_or_of_another_type_does_not_match() {
    let properties = r#"{"nil":null,"text":"20","list":[],"map":{},"yes":true}"#;
    for operator in ["<", "<=", ">", ">="] {
        for name in ["none", "nil", "text", "list", "map", "yes"] {
            none_hold(
                properties,
                &[
                    &format!("properties.{name} {operator} 20"),
                    &format!("20.5 {operator} properties.{name}"),
                    &format!("!(properties.{name} {operator} 20)"),
                ],
            );
        }
    }
    all_hold(
        properties,
        &[
            "properties.nil == null",
            "properties.nil != 20",
            "properties.text != 20",
            "properties.yes",
            "has(properties.nil) && !has(properties.none)",
            "!has(properties.map.a)",
        ],
    );
    none_hold(
        properties,
        &[
            "properties.none == null",
            "properties.none != 20",
            "properties.text == 20",
            "properties.text",
            "properties.nil",
            "properties.text + 1 == 21",
            "properties.none.a.b == 1",
            "has(properties.none.a)",
            "!properties.text",
            "properties.list[0] == 1",
            "properties.list[-1] == 1",
            "1 / (properties.list.size()) == 1",
        ],
    );
}

#[test]
fn an_error_beside_a_deciding_operand_does_not_count() {
    let properties = r#"{"a":1}"#;
    all_hold(
        properties,
        &[
            "properties.a == 1 || properties.none > 1",
            "properties.none > 1 || properties.a == 1",
            "!(properties.a == 2 && properties.none > 1)",
            "!(properties.none > 1 && properties.a == 2)",
            "!has(properties.none) || properties.none > 1",
            "has(properties.a) && properties.a > 0",
            "has(properties.none) ? properties.none > 1 : properties.a == 1",
            "properties.?none.orValue(5) > 4",
            "properties[?'a'].orValue(5) == 1",
            "!properties.?none.hasValue()",
            "optional.of(1).hasValue()",
            "[1, 2].exists(x, properties.none == x || x == 2)",
        ],
    );
    none_hold(
        properties,
        &[
            "properties.a == 2 || properties.none > 1",
            "properties.a == 1 && properties.none > 1",
            "properties.none > 1 ? true : true",
            "has(properties.none) && properties.none > 0",
        ],
    );
}

#[test]
fn numbers_compare_by_value() {
    for three in ["3", "3.0", "3e0", "0.3E1", "30e-1", "3.000"] {
        all_hold(
            &format!(r#"{{"n":{three},"list":[{three}]}}"#),
            &[
                "properties.n == 3",
                "properties.n == 3.0",
                "properties.n == 3u",
                "properties.n != 4",
                "properties.n > 2 && properties.n > 2.9 && properties.n < 3.1",
                "properties.n >= 3 && properties.n <= 3.0",
                "properties.n in [1, 2, 3]",
                "properties.n in [1.0, 3.0]",
                "3 in properties.list && 3.0 in properties.list",
                "properties.list == [3]",
                "int(properties.n) % 2 == 1",
                "double(properties.n) * 2.0 == 6.0",
            ],
        );
    }
    all_hold(
        r#"{"i":9223372036854775807,"min":-9223372036854775808,"u":18446744073709551615,
            "more":18446744073709551616,"huge":1e400,"tiny":1e-400,"zero":-0,"precise":9007199254740993,
            "d":0.1}"#,
        &[
            "properties.i == 9223372036854775807 && properties.i > 9223372036854775806",
            "properties.min == -9223372036854775808",
            "properties.u == 18446744073709551615u && properties.u > 9223372036854775807",
            "properties.more > 1 && properties.more >= properties.u",
            "properties.huge > 1e300 && properties.huge > properties.i",
            "properties.tiny == 0 && properties.zero == 0",
            "properties.precise == 9007199254740993 && properties.precise != 9007199254740992",
            "properties.d == 0.1",
        ],
    );
    assert!(
        !holds("properties.n % 2 == 1", r#"{"n":3.0}"#),
        "arithmetic takes operands of one type"
    );
}

#[test]
fn no_member_name_is_magic() {
    for name in [
        "$serde_json::private::Number",
        "$serde_json::private::RawValue",
    ] {
        let properties = format!(r#"{{"a":{{"{name}":"1"}},"{name}":"2"}}"#);
        assert!(holds("size(properties) == 2", &properties));
        assert!(holds(
            "size(properties.a) == 1 && properties.a != 1",
            &properties
        ));
        assert!(holds(&format!("properties['{name}'] == '2'"), &properties));
    }
}

#[test]
fn names_of_any_characters_are_looked_up_with_brackets() {
    let properties = r#"{"building:levels":5,"a.b":1,"a-b":2,"a":{"b":3,"c":{"d":[4]}},"größe":6,"\u0065":7,"":8,"in":9}"#;
    all_hold(
        properties,
        &[
            r#"properties["building:levels"] > 4"#,
            "properties['a.b'] == 1 && properties.a.b == 3",
            "properties['a-b'] == 2",
            "properties.a.c.d[0] == 4 && properties['a']['c'].d == [4]",
            "properties['größe'] == 6 && 'größe' in properties",
            "properties.e == 7",
            "properties[''] == 8",
            "properties['in'] == 9",
            "'a.b' in properties && !('b' in properties)",
            "properties[id == 'B1' ? 'a-b' : 'a.b'] == 2",
            "properties.exists(name, name.startsWith('building:'))",
            "properties.exists(properties, properties == 'a.b')",
        ],
    );
}

#[test]
fn text_lists_and_maps() {
    let properties = r#"{"city":"Zürich","emoji":"🏠","event":"deleted","n":7,"escaped":"a\"\u00e9\n",
        "tags":["a","b"],"rooms":[{"area":12.5},{"area":30}],"on":true,"off":false}"#;
    all_hold(
        properties,
        &[
            "properties.city == 'Zürich' && properties.city.size() == 6",
            "properties.city.contains('ü') && properties.city.endsWith('rich')",
            "properties.city > 'Zurich'",
            "properties.emoji == '\\U0001f3e0'",
            "properties.escaped == 'a\"é\\n'",
            "properties.event in ['deleted', 'untagged']",
            "!(properties.event in ['created'])",
            "'a' in properties.tags && !('c' in properties.tags)",
            "properties.tags == ['a', 'b'] && properties.tags[1] == 'b'",
            "properties.rooms.exists(room, room.area > 20)",
            "properties.rooms.all(room, room.area > 10)",
            "properties.rooms.filter(room, room.area > 20).size() == 1",
            "properties.rooms.map(room, room.area) == [12.5, 30]",
            "properties.on && !properties.off && properties.on == true",
            "string(properties.n) == '7'",
        ],
    );
}

#[test]
fn patterns_are_compiled_once_and_must_be_literals() {
    let properties = r#"{"city":"Zürich","pattern":"."}"#;
    all_hold(
        properties,
        &[
            "properties.city.matches('^Z.rich$')",
            "matches(properties.city, '(?i)züRICH')",
            "!properties.city.matches('^rich')",
            "['x', 'Zug'].exists(name, name.matches('^Z'))",
        ],
    );
    none_hold(
        properties,
        &["properties.none.matches('.')", "floor.matches('.')"],
    );
    for (text, part) in [
        ("id.matches('(')", "no regular expression: unclosed group"),
        ("id.matches('a{9999999}')", "too large"),
        ("id.matches('a{99999999999}')", "no regular expression"),
        (r"id.matches('\\w{1000}')", "too large"),
        ("id.matches(properties.pattern)", "no text literal"),
        ("id.matches(1)", "no text literal"),
    ] {
        let fault = fault(text);
        assert!(matches!(fault, ExpressionFault::Pattern(_)), "{text}");
        assert!(fault.to_string().contains(part), "{text}: {fault}");
    }
    for text in ["id.matches()", "matches('a')", "id.matches('a', 'b')"] {
        assert!(
            matches!(fault(text), ExpressionFault::UnknownFunction(_)),
            "{text}"
        );
    }
}

#[test]
fn of_members_with_one_name_the_last_counts() {
    let properties = r#"{"a":1,"a":2,"b":{"c":1,"c":2}}"#;
    all_hold(
        properties,
        &[
            "properties.a == 2 && properties.b.c == 2",
            "properties == {'a': 2, 'b': {'c': 2}}",
        ],
    );
}

#[test]
fn members_that_cannot_be_read_are_missing() {
    let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    let properties = format!(
        r#"{{"a":1,"surrogate":["\ud800"],"deep":{},"deepest":{},"fine":{}}}"#,
        nested(65),
        nested(100_000),
        nested(64)
    );
    all_hold(
        &properties,
        &[
            "properties.a == 1 && has(properties.fine)",
            "!has(properties.surrogate) && !has(properties.deep) && !has(properties.deepest)",
            "size(properties) == 2",
        ],
    );
}

#[test]
fn unknown_names_and_functions_are_refused() {
    for text in [
        "height > 20",
        "properties.a == height",
        "a.b.c",
        ".id == 'a'",
        "[1].all(x, y)",
        "[1].all(x, true) && x",
        "Point{x: 1} == 1",
        "a.startsWith('b')",
    ] {
        assert!(
            matches!(fault(text), ExpressionFault::UnknownName(_)),
            "{text}: {}",
            fault(text)
        );
    }
    for text in [
        "lower(id) == 'a'",
        "id.startswith('a')",
        "timestamp('2020-01-01T00:00:00Z') == 1",
        "properties.exists('a')",
        "optional.off(1)",
        "_f(1)",
        ".f(1)",
        "id.double() > 1.0",
    ] {
        assert!(
            matches!(fault(text), ExpressionFault::UnknownFunction(_)),
            "{text}: {}",
            fault(text)
        );
    }
    assert!(fault("height > 20").to_string().contains("properties.NAME"));
}

#[test]
fn what_is_never_true_or_false_is_refused() {
    for text in [
        "1 + 1",
        "'a'",
        "null",
        "3.5",
        "[true]",
        "{'a': true}",
        "properties",
        "id",
        "-properties.a",
        "properties.a * 2",
        "size(id)",
        "id.size()",
        "double('1')",
        "properties.tags.map(x, x == 1)",
        "properties.tags.filter(x, true)",
        "properties.a && 'b'",
        "!1",
        "properties.a == 1 ? 'yes' : 'no'",
        "properties.?a",
    ] {
        assert!(
            matches!(fault(text), ExpressionFault::NotCondition),
            "{text}: {}",
            fault(text)
        );
    }
    for text in [
        "true",
        "1 == 1",
        "properties.a",
        "properties['a']",
        "has(properties.a)",
        "dyn(true)",
        "bool('true')",
        "properties.tags.exists_one(x, x == 1)",
        "properties.?a.orValue(false)",
        "true ? properties.a : false",
    ] {
        parse(text);
    }
    assert!(!holds("properties.a", r#"{"a":1}"#), "a number is no truth");
}

#[test]
fn messages_are_one_line_with_excerpt_reason_and_example() {
    for (text, reason) in [
        ("", "it is empty at line 1, column 1"),
        ("  ", "it is empty"),
        ("properties.a ==", "the end at line 1, column 16"),
        ("properties.a = 1", "column 14"),
        ("properties.a == 1\nand id == 'a'", "at line 2, column 1"),
        ("properties.a == 'it", "column 17"),
        ("has(id)", "invalid argument to has() macro"),
        ("9223372036854775808 == 1", "column 1"),
        ("a.?b.`c` == \u{1f600}\r\n\u{0}", "column"),
        (&"(".repeat(10_000), "nested too deeply"),
        (&"(".repeat(20_000), "longer than 16 KiB"),
    ] {
        let error = text.parse::<Expression>().unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
        assert!(error.ends_with(EXAMPLE), "{error}");
        assert!(!error.contains(char::is_control), "{error}");
        assert!(error.len() < 700, "{error}");
    }
}

#[test]
fn length_and_nesting_are_limited() {
    let n = LEN_BYTES_MAX;
    for text in [
        format!("1 == 1{}", " ".repeat(n - 6)),
        format!("id in [{}'']", "'b',".repeat(n / 4 - 3)),
        format!("true{}", "&&true".repeat(n / 6 - 1)),
        format!("true{}", "||true".repeat(n / 6 - 1)),
        format!("{}true", "!".repeat(n - 4)),
        format!("1{} == 1", "+0".repeat(DEPTH_MAX - 2)),
        format!("{}true{}", "(".repeat(90), ")".repeat(90)),
    ] {
        let start = text.get(..20).unwrap_or(&text);
        assert_eq!(holds(&text, "{}"), !text.starts_with("id"), "{start}");
    }
    assert!(matches!(
        fault(&format!("1 == 1{}", " ".repeat(n - 5))),
        ExpressionFault::TooLong
    ));
    for text in [
        format!("{}true{}", "(".repeat(n / 2 - 2), ")".repeat(n / 2 - 2)),
        "(".repeat(n),
        "[".repeat(n),
        "{1:".repeat(n / 3),
        "has(".repeat(n / 4),
        format!("1 == 1{}", "+1".repeat(n / 2 - 3)),
        format!("id{}", ".a".repeat(n / 2 - 1)),
        format!("id{}", "[0]".repeat(n / 3 - 1)),
        format!("id{}", ".size()".repeat(n / 7 - 1)),
        format!("1{}", "==1".repeat(n / 3 - 1)),
        format!("1{}", " in 1".repeat(n / 5 - 1)),
        format!("{}true", "true?1:".repeat(n / 7 - 1)),
        format!("{}1", "!-".repeat(n / 2 - 1)),
        format!("{}true{}", "[1].all(x,".repeat(n / 11), ")".repeat(n / 11)),
        format!("1{} == 1", "+0".repeat(DEPTH_MAX - 1)),
    ] {
        assert!(text.len() <= n, "{}", text.len());
        let fault = fault(&text);
        assert!(
            matches!(
                fault,
                ExpressionFault::TooDeep | ExpressionFault::Syntax { .. }
            ),
            "{fault}"
        );
    }
}

#[test]
fn expressions_are_shared_between_threads() {
    fn assert_shared<T: Send + Sync + Clone>(_: &T) {}
    let expression = parse("properties.a.matches('^x') && top == null");
    assert_shared(&expression);
    let other = expression.clone();
    let thread = thread::spawn(move || other.matches(&fields(br#"{"properties":{"a":"xy"}}"#)));
    assert!(expression.matches(&fields(br#"{"properties":{"a":"x"}}"#)));
    assert!(thread.join().unwrap());
}

/// Random text out of what the language is made of.
#[derive(Clone, Debug)]
struct Soup(String);

/// Between blanks.
const TOKENS: &str = r#"
    properties properties.a properties.b geometry id floor top x . ? : , ( ) [ ] { } + - * / % <
    <= > == != ! && || & = in true false null 1 0 -1 9223372036854775807 -9223372036854775808
    9223372036854775808 18446744073709551615u 18446744073709551616u 0x 0xff 1.5 1e400 .5 1. "a" 'a'
    " ' """ ''' r"\" b'\xff' '\377' "\ud800" "\U00110000" '\x' é 😀 "😀é" // `a.b` ` has(
    [1].exists(x, .map(x,x) .filter(x, .all( .exists_one(x, size( int( string( double( uint(
    bytes( type( dyn( bool( matches( .matches(" .matches('a') optional.of( optional.none() .?a [?0]
    {?'a': .orValue( .or( .optMap(x, .optFlatMap(x, .hasValue() A{a:1} {1:2} {'a':1,'a':2} @ # \ as
    break _ @result 1/0 1%0 -9223372036854775808/-1 int(1e300) uint(-1) [1][5] [1][1.5] [1]['a']
    .startsWith( .contains( .size() string(b'\xff')
"#;

impl Arbitrary for Soup {
    fn arbitrary(g: &mut Gen) -> Self {
        let tokens: Vec<&str> = TOKENS.split_whitespace().collect();
        let mut text = String::new();
        for _ in 0..=u8::arbitrary(g) % 14 {
            if u8::arbitrary(g) % 32 == 0 {
                text.push(char::arbitrary(g));
            } else {
                text.push_str(g.choose(&tokens).copied().unwrap_or_default());
            }
            text.push_str(g.choose(&["", "", " ", "\n"]).copied().unwrap_or_default());
        }
        Self(text)
    }
}

/// Parses and evaluates; `true` unless an error is longer than a line.
fn survives(text: &str, payload: &[u8]) -> bool {
    match text.parse::<Expression>() {
        Ok(expression) => {
            for payload in [
                payload,
                br#"{"properties":{"a":1,"b":["x",{"x":null}]},"geometry":{"type":"Point"}}"#,
            ] {
                expression.matches(&fields(payload));
            }
            true
        }
        Err(error) => {
            let error = error.to_string();
            !error.contains(char::is_control) && error.len() < 1000
        }
    }
}

#[test]
fn any_tokens_are_parsed_and_evaluated_without_panic() {
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the form that quickcheck calls"
    )]
    fn property(soup: Soup) -> bool {
        survives(&soup.0, b"{}") && survives(&format!("properties.a == {}", soup.0), b"{}")
    }
    QuickCheck::new()
        .tests(2000)
        .quickcheck(property as fn(Soup) -> bool);
}

#[test]
fn any_text_and_any_payload_are_read_without_panic() {
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the form that quickcheck calls"
    )]
    fn property(text: String, payload: Vec<u8>) -> bool {
        let inner = format!(
            "{{\"properties\":{{\"a\":{}}}}}",
            String::from_utf8_lossy(&payload)
        );
        survives(&text, &payload)
            && survives("properties.a == 1 || size(properties) > 1", &payload)
            && survives(
                "properties.a == 1 || size(properties) > 1",
                inner.as_bytes(),
            )
    }
    QuickCheck::new()
        .tests(500)
        .quickcheck(property as fn(String, Vec<u8>) -> bool);
}
