//! Expressions: texts in jq. Here they are recognised and measured; compiling them is the work of
//! a child process with limits, since no jq in this process could be kept from harming it.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};
use serde_json::Value as Json;

use crate::{
    limits,
    node::{Entry, Node, Value},
    problem::Code,
    shape::{Reader, SchemaName, Shape},
};

/// The source of one expression, which is well-formed as to its brackets and texts and within the
/// limits; whether it is jq is known only once it is compiled.
///
/// It may be written with or without `${ … }`, and is kept with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expression(String);

impl Expression {
    /// Borrows the source, without `${ … }`.
    pub fn source(&self) -> &str {
        &self.0
    }
}

impl Serialize for Expression {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("${{ {} }}", self.0))
    }
}

impl Shape for Expression {
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        let text = String::read(node, reader)?;
        expression(&text, node, reader)
    }
}

impl JsonSchema for Expression {
    fn schema_name() -> SchemaName {
        "Expression".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "description": "A jq expression, with or without ${ }."})
    }
}

/// A text that is taken as it is, or computed if it is written as `${ … }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Text {
    /// The text itself.
    Literal(String),
    /// What computes it.
    Computed(Expression),
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Literal(text) => serializer.serialize_str(text),
            Self::Computed(expression) => expression.serialize(serializer),
        }
    }
}

impl Shape for Text {
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        let text = String::read(node, reader)?;
        if is_computed(&text) {
            return expression(&text, node, reader).map(Self::Computed);
        }
        Some(Self::Literal(text))
    }
}

impl JsonSchema for Text {
    fn schema_name() -> SchemaName {
        "Text".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "description": "A text, or an expression as ${ … }."})
    }
}

/// Any value; each text in it that is written as `${ … }` is computed.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Template(Json);

impl Template {
    /// Borrows the value as it is written, its expressions as `${ source }`.
    pub fn as_json(&self) -> &Json {
        &self.0
    }
}

impl Shape for Template {
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        template(node, reader).map(Self)
    }
}

impl JsonSchema for Template {
    fn schema_name() -> SchemaName {
        "Template".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"description": "Any value; texts in it that are ${ … } are computed."})
    }
}

/// A mapping in which each text that is written as `${ … }` is computed, or an expression that
/// gives the whole.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Projection {
    /// What gives the whole.
    Computed(Expression),
    /// The mapping.
    Mapping(Template),
}

impl Shape for Projection {
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        match &node.value {
            Value::Text(_) => Expression::read(node, reader).map(Self::Computed),
            Value::Map(_) => Template::read(node, reader).map(Self::Mapping),
            _ => reader.wrong_type(node, "an expression or a mapping"),
        }
    }
}

impl JsonSchema for Projection {
    fn schema_name() -> SchemaName {
        "Projection".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "object"],
            "description": "An expression, or a mapping whose texts that are ${ … } are computed.",
        })
    }
}

/// Any value that is taken as it is, such as a JSON Schema.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Verbatim(pub Json);

impl Shape for Verbatim {
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        once_everywhere(node, reader);
        Some(Self(node.plain()))
    }
}

fn once_everywhere(node: &Node, reader: &mut Reader) {
    match &node.value {
        Value::Map(entries) => {
            reader.once(entries);
            for Entry { key, value, .. } in entries {
                reader.at_key(key, |r| once_everywhere(value, r));
            }
        }
        Value::List(items) => {
            for item in items {
                once_everywhere(item, reader);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => {}
    }
}

fn template(node: &Node, reader: &mut Reader) -> Option<Json> {
    match &node.value {
        Value::Text(text) if is_computed(text) => {
            let expression = expression(text, node, reader)?;
            serde_json::to_value(expression).ok()
        }
        Value::Text(text) => {
            if text.contains("${") {
                let message = "`${` inside of a text is not computed; the text is taken as it is";
                let hint = "make the whole text one expression: ${ \"a \" + .b }";
                reader.note(node.at, Code::NoEffect, message, hint);
            }
            Some(Json::String(text.clone()))
        }
        Value::List(_) => Vec::<Template>::read(node, reader)
            .map(|items| items.into_iter().map(|item| item.0).collect()),
        Value::Map(_) => std::collections::BTreeMap::<String, Template>::read(node, reader)
            .map(|map| map.into_iter().map(|(key, value)| (key, value.0)).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) => Some(node.plain()),
    }
}

/// Says whether a text is meant to be computed.
pub(crate) fn is_computed(text: &str) -> bool {
    text.trim_start().starts_with("${")
}

/// Takes an expression out of its `${ … }`, if it has one, and measures it.
fn expression(text: &str, node: &Node, reader: &mut Reader) -> Option<Expression> {
    let mut source = text.trim();
    if let Some(inner) = source.strip_prefix("${") {
        let Some(inner) = inner.strip_suffix('}') else {
            let message = "the expression begins with `${` and does not end with `}`";
            reader.note(node.at, Code::BadExpression, message, "end the text with }");
            return None;
        };
        source = inner.trim();
    }
    match measure(source) {
        Ok(()) => Some(Expression(source.to_owned())),
        Err((code, message, hint)) => {
            reader.note(node.at, code, message, hint);
            None
        }
    }
}

pub(crate) type Complaint = (Code, String, &'static str);

/// Says what is wrong with a source that can be seen without compiling it.
pub(crate) fn measure(source: &str) -> Result<(), Complaint> {
    let bad = |message: String| (Code::BadExpression, message, "correct the expression");
    if source.is_empty() {
        let hint = "write what to compute, such as ${ .name }";
        return Err((Code::BadExpression, "the expression is empty".to_owned(), hint));
    }
    if source.len() > limits::EXPRESSION_BYTES_MAX {
        let max = limits::EXPRESSION_BYTES_MAX;
        let message = format!("the expression has {} bytes, more than {max}", source.len());
        return Err((Code::TooLarge, message, "compute it in several `set` tasks"));
    }
    let mut scan = Scan::default();
    let mut chars = source.chars();
    while let Some(c) = chars.next() {
        scan.step(c, &mut chars).map_err(bad)?;
        if scan.open.len() > limits::EXPRESSION_NESTING_MAX {
            let max = limits::EXPRESSION_NESTING_MAX;
            let message = format!("the expression nests more than {max} brackets");
            return Err((Code::TooLarge, message, "compute it in several `set` tasks"));
        }
    }
    match scan.open.last() {
        None => Ok(()),
        Some('"') => Err(bad("a text in the expression does not end".to_owned())),
        Some(open) => Err(bad(format!("{open:?} in the expression is not closed"))),
    }
}

/// What is open while an expression is read: brackets, and texts, which may hold expressions.
#[derive(Default)]
struct Scan {
    open: Vec<char>,
}

impl Scan {
    fn step(&mut self, c: char, rest: &mut std::str::Chars<'_>) -> Result<(), String> {
        if self.open.last() == Some(&'"') {
            match c {
                '"' => _ = self.open.pop(),
                '\\' if rest.next() == Some('(') => self.open.push('('),
                _ => {}
            }
            return Ok(());
        }
        let opened_by = match c {
            '"' | '(' | '[' | '{' => {
                self.open.push(c);
                return Ok(());
            }
            '#' => {
                rest.by_ref().take_while(|c| *c != '\n').for_each(drop);
                return Ok(());
            }
            ')' => '(',
            ']' => '[',
            '}' => '{',
            _ => return Ok(()),
        };
        match self.open.pop() {
            Some(open) if open == opened_by => Ok(()),
            Some(open) => Err(format!("{open:?} in the expression is closed by {c:?}")),
            None => Err(format!("{c:?} in the expression closes nothing")),
        }
    }
}
