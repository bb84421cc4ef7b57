//! Events: what is sent, and which ones are waited for.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    data::{Export, Output},
    expression::{Expression, Template, is_computed},
    node::{Node, Value},
    problem::Code,
    shape::{Reader, SchemaName, Shape, choice, object, suggest},
    task::Tasks,
    value::{Name, Variable},
};

/// Attributes of a CloudEvent and its `data`, as values or expressions.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Attributes(BTreeMap<String, Template>);

/// The attributes that CloudEvents 1.0 defines, and the data.
const ATTRIBUTES: [&str; 8] =
    ["id", "source", "type", "time", "subject", "datacontenttype", "dataschema", "data"];

impl Attributes {
    /// Gives the value of an attribute.
    pub fn get(&self, key: &str) -> Option<&Template> {
        self.0.get(key)
    }

    /// Goes through all attributes in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Template)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }
}

impl Shape for Attributes {
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        let entries = node.map().unwrap_or_default();
        if node.map().is_some() && entries.is_empty() {
            let message = "nothing is said about the event";
            reader.note(node.at, Code::Empty, message, "add \"type\", \"source\" or another key");
            return None;
        }
        let before = reader.errors();
        for entry in entries {
            let key = entry.key.as_str();
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
            if !key.chars().all(plain) || !(1..=20).contains(&key.len()) {
                let message = format!(
                    "{key:?} is no attribute: those have at most 20 lower-case letters and digits"
                );
                let hint = suggest(key, &ATTRIBUTES);
                reader.at_key(key, |r| r.note(entry.at, Code::UnknownKey, message, hint));
            } else if key != "data" && ATTRIBUTES.contains(&key) {
                reader.at_key(key, |r| _ = String::read(&entry.value, r));
            }
            if key == "time"
                && let Value::Text(text) = &entry.value.value
                && !is_computed(text)
                && text.parse::<jiff::Timestamp>().is_err()
            {
                let message = format!("{text:?} is not a time as RFC 3339 writes it");
                let hint = "write it as 2026-01-31T12:00:00Z";
                reader.at_key(key, |r| r.note(entry.value.at, Code::BadValue, message, hint));
            }
        }
        let attributes = BTreeMap::read(node, reader)?;
        (reader.errors() == before).then_some(Self(attributes))
    }
}

impl JsonSchema for Attributes {
    fn schema_name() -> SchemaName {
        "Attributes".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let any = generator.subschema_for::<Template>();
        let mut properties = serde_json::Map::new();
        for key in ATTRIBUTES {
            let text = serde_json::json!({"type": "string"});
            properties
                .insert(key.to_owned(), if key == "data" { any.clone().into() } else { text });
        }
        schemars::json_schema!({
            "type": "object",
            "minProperties": 1,
            "description": "Attributes of a CloudEvent, its extensions, and its data.",
            "properties": properties,
            "propertyNames": {"pattern": "^[a-z0-9]{1,20}$"},
            "additionalProperties": any,
        })
    }
}

object! {
    /// Which events are taken.
    Filter {
        /// A name for this filter, which keeps its identity when the document changes.
        name: Option<Name> = "name",
        /// Attributes that the event must have, with a value or an expression that must be true.
        with: Attributes = "with",
        /// Values that must be the same in all events.
        correlate: Option<BTreeMap<String, Correlation>> = "correlate",
        /// Whether no other definition may be started by the same hook path.
        exclusive: Option<bool> = "exclusive",
    }
}

object! {
    /// A value that must be the same in all events.
    Correlation {
        /// Where the value is in the event.
        from: Expression = "from",
        /// The value that it must have; without it, that of the first event.
        expect: Option<crate::expression::Text> = "expect",
    }
}

object! {
    /// Which events are waited for.
    Strategy {
        /// One event.
        one: Option<Filter> = "one",
        /// One event by any of the filters.
        any: Option<Vec<Filter>> = "any",
        /// One event by each of the filters.
        all: Option<Vec<Filter>> = "all",
        /// Until when `any` goes on: an expression, or other events.
        until: Option<Until> = "until",
    }
    check check_strategy
}

fn check_strategy(strategy: &Strategy, node: &Node, reader: &mut Reader) {
    reader.exactly_one(node, &["one", "any", "all"]);
    if strategy.until.is_some() && strategy.any.is_none() {
        let at = node.get("until").map_or(node.at, |until| until.at);
        let message = "\"until\" goes with \"any\" only";
        reader.note(at, Code::KeyConflict, message, "remove \"until\", or use \"any\"");
    }
    if strategy.all.as_ref().is_some_and(Vec::is_empty) {
        let message = "\"all\" of no events never waits";
        reader.note(node.at, Code::Empty, message, "put at least one filter in it");
    }
    let lists = [&strategy.any, &strategy.all];
    let names: Vec<&Name> =
        lists.into_iter().flatten().flatten().filter_map(|filter| filter.name.as_ref()).collect();
    for (index, name) in names.iter().enumerate() {
        if names.iter().take(index).any(|earlier| earlier == name) {
            let message = format!("two filters are named {:?}", name.as_str());
            let hint = "give each filter a name of its own";
            reader.note(node.at, Code::DuplicateName, message, hint);
        }
    }
}

/// Until when events are taken.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Until {
    /// Until this is true.
    Condition(Expression),
    /// Until these come.
    Events(Box<Strategy>),
    /// For ever, or as long as the task may take.
    Never(bool),
}

impl Shape for Until {
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        match node.value {
            Value::Text(_) => Expression::read(node, reader).map(Self::Condition),
            Value::Bool(false) => Some(Self::Never(false)),
            _ => Strategy::read(node, reader).map(|strategy| Self::Events(Box::new(strategy))),
        }
    }
}

impl JsonSchema for Until {
    fn schema_name() -> SchemaName {
        "Until".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let condition = generator.subschema_for::<Expression>();
        let events = generator.subschema_for::<Strategy>();
        schemars::json_schema!({"anyOf": [condition, events, {"const": false}]})
    }
}

object! {
    /// What a task waits for.
    Listen {
        /// Which events.
        to: Strategy = "to",
        /// What is taken of each event.
        read: Option<Part> = "read" or Some(Part::Data),
    }
}

choice! {
    /// What is taken of an event.
    Part {
        /// Its data.
        Data = "data",
        /// Its attributes and data.
        Envelope = "envelope",
        /// The bytes that came.
        Raw = "raw",
    }
}

object! {
    /// What is done with each event as it comes.
    ForEachEvent {
        /// The variable that holds the event.
        item: Option<Variable> = "item" or Some(Variable::known("item")),
        /// The variable that holds its number, from zero.
        at: Option<Variable> = "at" or Some(Variable::known("index")),
        /// What is done.
        tasks: Option<Tasks> = "do",
        /// What is made of the output of each round.
        output: Option<Output> = "output",
        /// What each round puts into the context.
        export: Option<Export> = "export",
    }
}
