//! Conditions on a record in the Common Expression Language (CEL).
//!
//! `cel` parses and evaluates; here are the names an expression may use, the conversion from JSON,
//! and the limits. Parsing runs on a stack of its own that grows with the text, since the parser
//! recurses; what it returns is refused where it is nested so deeply that evaluating it could
//! overflow the caller's stack. Values are read in place, and only the members of `properties` and
//! `geometry` that the expression names.

#![warn(clippy::indexing_slicing)]

use std::cell::LazyCell;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::{io, iter, thread};

use cel::common::ast::{CallExpr, EntryExpr, Expr, LiteralValue, operators};
use cel::common::types::{
    CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelUInt,
};
use cel::common::value::Val;
use cel::{Context, Env, ExecutionError, FunctionContext, IdedExpr, ParseErrors, Value};
use regex::{Regex, RegexBuilder};
use serde_json::value::RawValue;
use thiserror::Error;

use super::excerpt;
use super::json::{Members, scalar_text};

/// An example for messages.
const EXAMPLE: &str = r#"properties.height > 20 && properties.status == "in use""#;
/// The longest expression, bytes.
const LEN_BYTES_MAX: usize = 16 * 1024;
/// How deep an expression's operations may be nested. Evaluating takes up to 3 kB of stack for each
/// level where the dependencies are optimised, as in every profile of this workspace.
const DEPTH_MAX: usize = 128;
/// Stack for the parser. It takes up to 2.6 kB for a level, and a level takes two bytes or more.
const STACK_BYTES_MIN: usize = 1 << 20;
const STACK_BYTES_PER_TEXT_BYTE: usize = 4096;
/// How deep the arrays and objects of a value may be nested; a deeper value counts as missing.
const VALUE_DEPTH_MAX: u8 = 64;
/// The most that one compiled pattern may take.
const PATTERN_BYTES_MAX: usize = 1 << 20;
const MATCHES: &str = "matches";

/// What an [`Expression`] is about.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    /// The layer's name.
    pub layer: &'a str,
    /// The record's id.
    pub id: &'a str,
    /// Altitude of the lowest point, metres, where it is known.
    pub floor: Option<f64>,
    /// Altitude of the highest point, metres, where it is known.
    pub top: Option<f64>,
    /// The payload: a `GeoJSON` Feature, or anything else.
    pub payload: &'a [u8],
}

/// A condition on a record in the [Common Expression Language](https://cel.dev).
///
/// Names: `id` and `layer` are text; `floor` and `top` numbers or null; `type` is that member of
/// the payload, `geometry` that member where it is an object, and both are null elsewhere;
/// `properties` is a map, empty where the payload has none. Other names and functions are refused.
/// A member whose name has other characters than letters, digits and `_`, or is a word of the
/// language as `in` and `null` are, is looked up with brackets: `properties["building:levels"]`.
///
/// A record matches when the outcome is `true`. An error counts as `false`:
///
/// * What is missing is an error, and so is null or text compared with a number by `<`, `<=`, `>`
///   or `>=`. Values of different types are unequal, so `properties.a != 1` holds for null, but
///   not where there is no `a`. `has(properties.a)` tells whether there is one, null included, and
///   `properties.?a.orValue(0)` gives another value instead.
/// * `a || b` holds when either does, even where the other is an error, in either order; `a && b`
///   is `false` when either is, and so `!(a && b)` holds. The negation of an error is an error:
///   `!(properties.a > 1)` does not match where there is no `a`; `!has(properties.a) ||
///   properties.a <= 1` does.
/// * A member that holds text that is no Unicode (a lone surrogate) or is nested deeper than 64
///   levels counts as missing.
///
/// Numbers without fraction and exponent are ints where they fit 64 bits, others doubles, the
/// nearest to the decimals of the text. They compare by value, `3 == 3.0`, also `in` a list; an int
/// is rounded to a double for that. Arithmetic takes operands of one type, as everywhere in CEL:
/// `double(properties.height) * 2.0 > 40.0` works for 20.5 and for 21. Text is compared by its code
/// points.
///
/// Of the standard functions and macros all are there but times and durations. The pattern of
/// `matches` must be a text literal; it is checked and compiled once.
///
/// ```
/// use blocknet_tools::input::{Expression, Fields};
///
/// let high: Expression = r#"properties.height > 20 && layer != "trees""#.parse()?;
/// let mut fields = Fields {
///     layer: "buildings",
///     id: "1",
///     floor: None,
///     top: None,
///     payload: br#"{"type":"Feature","properties":{"height":20.5},"geometry":null}"#,
/// };
/// assert!(high.matches(&fields));
/// fields.payload = br#"{"type":"Feature","properties":{"height":null},"geometry":null}"#;
/// assert!(!high.matches(&fields));
/// # Ok::<(), blocknet_tools::input::ExpressionError>(())
/// ```
#[derive(Clone)]
pub struct Expression(Arc<Compiled>);

struct Compiled {
    text: String,
    condition: IdedExpr,
    used: Used,
    /// The functions.
    root: Context<'static, 'static>,
}

/// Text that is no [`Expression`].
#[derive(Debug, Error)]
#[error("`{text}` is no expression: {fault}; write for example {EXAMPLE}")]
pub struct ExpressionError {
    text: String,
    fault: ExpressionFault,
}

/// What is wrong with an expression. The messages are of one line.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ExpressionFault {
    /// Longer than 16 KiB.
    #[error("it is longer than {} KiB", LEN_BYTES_MAX >> 10)]
    TooLong,
    /// Nested too deeply.
    #[error(
        "its operations are nested too deeply; split it with && or ||, or use `in` with a list"
    )]
    TooDeep,
    /// Not CEL.
    #[error("{message} at line {line}, column {column}")]
    Syntax {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// What the parser says.
        message: String,
    },
    /// A name that stands for nothing.
    #[error(
        "it does not know the name {0}, only id, layer, type, floor, top, properties and geometry; \
         write a property as properties.NAME or properties[\"NAME\"]"
    )]
    UnknownName(String),
    /// A function that does not exist, or a macro with the wrong number of arguments.
    #[error("there is no function {0}, or it takes other arguments")]
    UnknownFunction(String),
    /// A pattern for `matches` that cannot be used.
    #[error("the pattern of matches {0}")]
    Pattern(String),
    /// The outcome can be neither `true` nor `false`.
    #[error("it is no condition, its outcome is never true or false")]
    NotCondition,
    /// The parser could not be run.
    #[error("the parser could not be run: {0}")]
    Parser(io::Error),
}

impl ExpressionError {
    /// What is wrong.
    pub fn fault(&self) -> &ExpressionFault {
        &self.fault
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.0.text).finish()
    }
}

impl FromStr for Expression {
    type Err = ExpressionError;

    fn from_str(text: &str) -> Result<Self, ExpressionError> {
        match on_large_stack(text) {
            Ok(compiled) => Ok(Self(Arc::new(compiled))),
            Err(fault) => Err(ExpressionError {
                text: one_line(text),
                fault,
            }),
        }
    }
}

impl Expression {
    /// Whether a record matches.
    ///
    /// # Cost
    /// One pass over the payload where the expression is about it, memory for the members that it
    /// names, up to about forty times their text where they are lists of numbers. Nested macros
    /// multiply: `xs.all(x, ys.all(y, ...))` looks at every pair, and nothing bounds that.
    pub fn matches(&self, fields: &Fields<'_>) -> bool {
        let Compiled {
            condition,
            used,
            root,
            ..
        } = &*self.0;
        let members = LazyCell::new(|| {
            let text = str::from_utf8(fields.payload).ok();
            let members = text.and_then(|text| Members::parse(text).ok());
            members.unwrap_or_default()
        });
        let root: &Context<'_, '_> = root;
        let mut scope = root.new_inner_scope();
        for (name, used) in &used.0 {
            let value: Box<dyn Val + '_> = match name {
                Name::Id => Box::new(CelString::from(fields.id)),
                Name::Layer => Box::new(CelString::from(fields.layer)),
                Name::Floor => or_null(fields.floor.map(CelDouble::from)),
                Name::Top => or_null(fields.top.map(CelDouble::from)),
                Name::Type => members
                    .get(name.text())
                    .and_then(|json| value(json, VALUE_DEPTH_MAX))
                    .unwrap_or_else(|| Box::new(CelNull)),
                Name::Properties => {
                    let json = members.get(name.text());
                    let map = json.and_then(|json| object(json, used));
                    Box::new(map.unwrap_or_default())
                }
                Name::Geometry => {
                    let json = members.get(name.text());
                    or_null(json.and_then(|json| object(json, used)))
                }
            };
            scope.add_variable_as_val(name.text(), value);
        }
        Value::resolve_val(condition, &scope).is_ok_and(|outcome| {
            outcome
                .downcast_ref::<CelBool>()
                .is_some_and(|outcome| *outcome.inner())
        })
    }
}

/// The names that an expression may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    Id,
    Layer,
    Type,
    Floor,
    Top,
    Properties,
    Geometry,
}

impl Name {
    const ALL: [Self; 7] = [
        Self::Id,
        Self::Layer,
        Self::Type,
        Self::Floor,
        Self::Top,
        Self::Properties,
        Self::Geometry,
    ];

    fn text(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Layer => "layer",
            Self::Type => "type",
            Self::Floor => "floor",
            Self::Top => "top",
            Self::Properties => "properties",
            Self::Geometry => "geometry",
        }
    }

    fn of(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|name| name.text() == text)
    }
}

/// What an expression says of a name.
#[derive(Debug)]
enum Use {
    /// Only members with these names.
    Members(Vec<String>),
    Whole,
}

/// The names that an expression uses.
#[derive(Debug, Default)]
struct Used(Vec<(Name, Use)>);

impl Used {
    fn add_whole(&mut self, name: Name) {
        self.0.retain(|(used, _)| *used != name);
        self.0.push((name, Use::Whole));
    }

    fn add_member(&mut self, name: Name, member: &str) {
        match self.0.iter_mut().find(|(used, _)| *used == name) {
            Some((_, Use::Whole)) => {}
            Some((_, Use::Members(members))) => {
                if !members.iter().any(|other| other == member) {
                    members.push(member.to_owned());
                }
            }
            None => self.0.push((name, Use::Members(vec![member.to_owned()]))),
        }
    }
}

fn or_null<'a>(value: Option<impl Val + 'a>) -> Box<dyn Val + 'a> {
    value.map_or_else(
        || Box::new(CelNull) as Box<dyn Val + 'a>,
        |value| Box::new(value),
    )
}

/// The members of an object that are used and can be read; `None` where it is no object.
fn object<'a>(json: &'a RawValue, used: &'a Use) -> Option<CelMap<'a>> {
    let map: HashMap<_, _> = match used {
        Use::Members(names) => {
            let members = Members::parse(json.get()).ok()?;
            let read = |name: &'a String| {
                let value = value(members.get(name)?, VALUE_DEPTH_MAX)?;
                Some((CelMapKey::from(name.as_str()), value))
            };
            names.iter().filter_map(read).collect()
        }
        Use::Whole => by_name(json)?
            .into_iter()
            .filter_map(|(name, json)| Some((name.into(), value(json, VALUE_DEPTH_MAX)?)))
            .collect(),
    };
    Some(map.into())
}

/// Of members with the same name the last.
fn by_name(json: &RawValue) -> Option<BTreeMap<String, &RawValue>> {
    serde_json::from_str(json.get()).ok()
}

/// A JSON value as CEL has it; `None` where it cannot be read.
fn value<'a>(json: &'a RawValue, depth_left: u8) -> Option<Box<dyn Val + 'a>> {
    let text = json.get();
    Some(match text.as_bytes().first()? {
        b'n' => Box::new(CelNull),
        b't' => Box::new(CelBool::from(true)),
        b'f' => Box::new(CelBool::from(false)),
        b'"' => Box::new(CelString::from(scalar_text(json)?)),
        b'[' => {
            let depth_left = depth_left.checked_sub(1)?;
            let elements: Vec<&RawValue> = serde_json::from_str(text).ok()?;
            let elements = elements.into_iter().map(|json| value(json, depth_left));
            Box::new(CelList::from(elements.collect::<Option<Vec<_>>>()?))
        }
        b'{' => {
            let depth_left = depth_left.checked_sub(1)?;
            let members = by_name(json)?
                .into_iter()
                .map(|(name, json)| Some((CelMapKey::from(name), value(json, depth_left)?)));
            Box::new(CelMap::from(members.collect::<Option<HashMap<_, _>>>()?))
        }
        _ => number(text)?,
    })
}

fn number(text: &str) -> Option<Box<dyn Val>> {
    if let Ok(int) = text.parse::<i64>() {
        return Some(Box::new(CelInt::from(int)));
    }
    if let Ok(int) = text.parse::<u64>() {
        return Some(Box::new(CelUInt::from(int)));
    }
    Some(Box::new(CelDouble::from(text.parse::<f64>().ok()?)))
}

/// The excerpt of a text, on one line.
fn one_line(text: &str) -> String {
    excerpt(text)
        .chars()
        .map(|char| if char.is_control() { ' ' } else { char })
        .collect()
}

fn on_large_stack(text: &str) -> Result<Compiled, ExpressionFault> {
    if text.len() > LEN_BYTES_MAX {
        return Err(ExpressionFault::TooLong);
    }
    thread::scope(|scope| {
        let parser = thread::Builder::new()
            .name("expression".to_owned())
            .stack_size(STACK_BYTES_MIN + STACK_BYTES_PER_TEXT_BYTE * text.len())
            .spawn_scoped(scope, || compile(text))
            .map_err(ExpressionFault::Parser)?;
        parser
            .join()
            .unwrap_or_else(|_| Err(ExpressionFault::Parser(io::Error::other("it panicked"))))
    })
}

fn compile(text: &str) -> Result<Compiled, ExpressionFault> {
    let env = Env::stdlib();
    let condition = env
        .parser()
        .parse(text)
        .map_err(|errors| syntax(text, &errors))?;
    if depth(&condition) > DEPTH_MAX {
        return Err(ExpressionFault::TooDeep);
    }
    let mut root = Context::with_env(Arc::new(env));
    let mut checker = Checker::new(&root);
    checker.check(&condition)?;
    let Checker { used, patterns, .. } = checker;
    if !may_be_bool(&condition) {
        return Err(ExpressionFault::NotCondition);
    }
    root.add_function(MATCHES, move |call: &FunctionContext<'_, '_>| {
        is_match(&patterns, call)
    })
    .map_err(|error| ExpressionFault::Parser(io::Error::other(error)))?;
    Ok(Compiled {
        text: text.to_owned(),
        condition,
        used,
        root,
    })
}

/// The first of the parser's errors.
fn syntax(text: &str, errors: &ParseErrors) -> ExpressionFault {
    let place = |number: isize| usize::try_from(number).unwrap_or(0).max(1);
    let Some(error) = errors.errors.first() else {
        return incomplete();
    };
    if errors
        .errors
        .iter()
        .any(|error| error.msg.contains("Recursion limit of "))
    {
        return ExpressionFault::TooDeep;
    }
    let message = error.msg.strip_prefix("Syntax error: ");
    let message = message.unwrap_or(&error.msg);
    // The list of everything that could stand there.
    let message = message.split(" expecting {").next().unwrap_or_default();
    let message = if text.trim().is_empty() {
        "it is empty".to_owned()
    } else {
        one_line(&message.replace("'<EOF>'", "the end"))
    };
    ExpressionFault::Syntax {
        line: place(error.pos.0),
        column: place(error.pos.1),
        message,
    }
}

fn incomplete() -> ExpressionFault {
    ExpressionFault::Syntax {
        line: 1,
        column: 1,
        message: "something is missing".to_owned(),
    }
}

/// The operands of an operation.
fn operands(expr: &IdedExpr) -> Vec<&IdedExpr> {
    fn of_entry(entry: &EntryExpr) -> impl Iterator<Item = &IdedExpr> {
        let (key, value) = match entry {
            EntryExpr::StructField(field) => (None, &field.value),
            EntryExpr::MapEntry(entry) => (Some(&entry.key), &entry.value),
        };
        key.into_iter().chain(iter::once(value))
    }
    match &expr.expr {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => Vec::new(),
        Expr::Call(call) => call
            .target
            .as_deref()
            .into_iter()
            .chain(&call.args)
            .collect(),
        Expr::Comprehension(of) => vec![
            &of.iter_range,
            &of.accu_init,
            &of.loop_cond,
            &of.loop_step,
            &of.result,
        ],
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Map(map) => map.entries.iter().flat_map(|e| of_entry(&e.expr)).collect(),
        Expr::Select(select) => vec![&*select.operand],
        Expr::Struct(of) => of.entries.iter().flat_map(|e| of_entry(&e.expr)).collect(),
    }
}

fn depth(expr: &IdedExpr) -> usize {
    let mut deepest = 0;
    let mut left = vec![(expr, 1)];
    while let Some((expr, depth)) = left.pop() {
        deepest = deepest.max(depth);
        left.extend(operands(expr).into_iter().map(|expr| (expr, depth + 1)));
    }
    deepest
}

/// `false` where the outcome can be told to be neither `true` nor `false`.
fn may_be_bool(expr: &IdedExpr) -> bool {
    match &expr.expr {
        Expr::Literal(literal) => matches!(literal, LiteralValue::Boolean(_)),
        Expr::List(_) | Expr::Map(_) | Expr::Struct(_) | Expr::Ident(_) | Expr::Unspecified => {
            false
        }
        Expr::Select(_) => true,
        Expr::Comprehension(of) => match &of.result.expr {
            Expr::Ident(name) if *name == of.accu_var => may_be_bool(&of.accu_init),
            _ => may_be_bool(&of.result),
        },
        Expr::Call(call) => match call.func_name.as_str() {
            operators::LOGICAL_AND
            | operators::LOGICAL_OR
            | operators::LOGICAL_NOT
            | operators::CONDITIONAL => call.args.iter().all(may_be_bool),
            operators::ADD
            | operators::SUBSTRACT
            | operators::MULTIPLY
            | operators::DIVIDE
            | operators::MODULO
            | operators::NEGATE
            | operators::OPT_INDEX
            | operators::OPT_SELECT
            | "size"
            | "int"
            | "uint"
            | "double"
            | "string"
            | "bytes"
            | "type" => false,
            _ => true,
        },
    }
}

/// Walks an expression before it is evaluated.
struct Checker<'e> {
    root: &'e Context<'static, 'static>,
    /// The names that macros give to elements, innermost last.
    bound: Vec<&'e str>,
    used: Used,
    patterns: HashMap<String, Regex>,
}

impl<'e> Checker<'e> {
    fn new(root: &'e Context<'static, 'static>) -> Self {
        Self {
            root,
            bound: Vec::new(),
            used: Used::default(),
            patterns: HashMap::new(),
        }
    }

    fn check(&mut self, expr: &'e IdedExpr) -> Result<(), ExpressionFault> {
        match &expr.expr {
            Expr::Unspecified => Err(incomplete()),
            Expr::Ident(text) if self.bound.contains(&text.as_str()) => Ok(()),
            Expr::Ident(text) => match Name::of(text) {
                Some(name) => {
                    self.used.add_whole(name);
                    Ok(())
                }
                // What is left are the names of types.
                None if Value::resolve_val(expr, self.root).is_ok() => Ok(()),
                None => Err(ExpressionFault::UnknownName(one_line(text))),
            },
            Expr::Select(select) => match self.object(&select.operand) {
                Some(name) => {
                    self.used.add_member(name, &select.field);
                    Ok(())
                }
                None => self.check(&select.operand),
            },
            Expr::Call(call) => self.check_call(call),
            Expr::Comprehension(of) => {
                self.check(&of.iter_range)?;
                self.check(&of.accu_init)?;
                let outer = self.bound.len();
                self.bound.push(&of.accu_var);
                self.check(&of.result)?;
                self.bound.push(&of.iter_var);
                self.bound.extend(of.iter_var2.as_deref());
                self.check(&of.loop_cond)?;
                self.check(&of.loop_step)?;
                self.bound.truncate(outer);
                Ok(())
            }
            Expr::Struct(of) => Err(ExpressionFault::UnknownName(one_line(&of.type_name))),
            Expr::List(_) | Expr::Map(_) | Expr::Literal(_) => operands(expr)
                .into_iter()
                .try_for_each(|expr| self.check(expr)),
        }
    }

    fn check_call(&mut self, call: &'e CallExpr) -> Result<(), ExpressionFault> {
        let function = call.func_name.as_str();
        let lookup = match (function, call.args.as_slice()) {
            (operators::INDEX | operators::OPT_INDEX | operators::OPT_SELECT, [of, key])
            | (operators::IN, [key, of]) => self.object(of).zip(literal_text(key)),
            _ => None,
        };
        if let Some((name, member)) = lookup {
            self.used.add_member(name, member);
            return Ok(());
        }
        if function == MATCHES {
            self.add_pattern(call)?;
        }
        let mut target = call.target.as_deref();
        // Operators have other characters in their names.
        let is_word = |char: char| char.is_ascii_alphanumeric() || matches!(char, '_' | '.');
        if function.chars().all(is_word) && function != MATCHES {
            // `optional.of(...)` is the function `optional.of`.
            let qualified = match target.map(|target| &target.expr) {
                Some(Expr::Ident(text)) => Some(format!("{text}.{function}")),
                _ => None,
            };
            if qualified.is_some_and(|qualified| self.has_function(&qualified, false)) {
                target = None;
            } else if !self.has_function(function, target.is_some()) {
                return Err(ExpressionFault::UnknownFunction(one_line(function)));
            }
        }
        target
            .into_iter()
            .chain(&call.args)
            .try_for_each(|expr| self.check(expr))
    }

    /// Whether an expression is `properties` or `geometry`.
    fn object(&self, expr: &IdedExpr) -> Option<Name> {
        match &expr.expr {
            Expr::Ident(text) if !self.bound.contains(&text.as_str()) => {
                Name::of(text).filter(|name| matches!(name, Name::Properties | Name::Geometry))
            }
            _ => None,
        }
    }

    /// Calls a function without arguments: what it says about that does not matter, unless it is
    /// that there is no such function.
    fn has_function(&self, name: &str, is_method: bool) -> bool {
        let null = IdedExpr {
            id: 0,
            expr: Expr::Literal(LiteralValue::Null),
        };
        let call = IdedExpr {
            id: 0,
            expr: Expr::Call(CallExpr {
                func_name: name.to_owned(),
                target: is_method.then(|| Box::new(null)),
                args: Vec::new(),
            }),
        };
        !matches!(
            Value::resolve_val(&call, self.root),
            Err(ExecutionError::UndeclaredReference(_))
        )
    }

    fn add_pattern(&mut self, call: &CallExpr) -> Result<(), ExpressionFault> {
        let pattern = match (&call.target, call.args.as_slice()) {
            (Some(_), [pattern]) | (None, [_, pattern]) => literal_text(pattern),
            _ => return Err(ExpressionFault::UnknownFunction(MATCHES.to_owned())),
        };
        let pattern =
            pattern.ok_or_else(|| ExpressionFault::Pattern("is no text literal".to_owned()))?;
        if !self.patterns.contains_key(pattern) {
            let regex = RegexBuilder::new(pattern)
                .size_limit(PATTERN_BYTES_MAX)
                .build()
                .map_err(|error| ExpressionFault::Pattern(pattern_fault(&error)))?;
            self.patterns.insert(pattern.to_owned(), regex);
        }
        Ok(())
    }
}

/// The last line says what is wrong, those before show where.
fn pattern_fault(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => "is too large".to_owned(),
        error => {
            let text = error.to_string();
            let line = text.lines().last().unwrap_or_default();
            let line = line.strip_prefix("error: ").unwrap_or(line);
            format!("is no regular expression: {}", one_line(line))
        }
    }
}

fn literal_text(expr: &IdedExpr) -> Option<&str> {
    match &expr.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    }
}

/// `TEXT.matches(PATTERN)` or `matches(TEXT, PATTERN)`.
fn is_match(
    patterns: &HashMap<String, Regex>,
    call: &FunctionContext<'_, '_>,
) -> Result<bool, ExecutionError> {
    let mut arguments = call.this.iter().chain(&call.args);
    let mut text = || {
        let argument = arguments.next()?;
        Some(argument.downcast_ref::<CelString<'_>>()?.inner())
    };
    let (Some(text), Some(pattern)) = (text(), text()) else {
        return Err(call.error("it takes two texts"));
    };
    match patterns.get(pattern) {
        Some(pattern) => Ok(pattern.is_match(text)),
        None => Err(call.error("its pattern is no literal")),
    }
}

#[cfg(test)]
#[path = "expression_tests.rs"]
mod tests;
