//! A document as it was written: values with their places, in the order of the text.

use serde_json::{Map, Number};

use crate::problem::{Path, Pos, Step};

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) at: Pos,
    pub(crate) value: Value,
}

/// What can be written in YAML and in JSON alike.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key of a mapping, where it stands, and its value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) at: Pos,
    pub(crate) value: Node,
}

impl Node {
    /// Says what kind of value it is, for people.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }

    /// Gives the entries of a mapping.
    pub(crate) fn map(&self) -> Option<&[Entry]> {
        if let Value::Map(entries) = &self.value { Some(entries) } else { None }
    }

    /// Gives the value of a key, if this is a mapping that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.map()?.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// Finds where a path leads, or where it leaves the document; of a key, the key itself.
    pub(crate) fn locate(&self, path: &Path) -> Pos {
        let (mut node, mut at) = (self, self.at);
        for step in path.steps() {
            let next = match (step, &node.value) {
                (Step::Key(key), Value::Map(entries)) => entries
                    .iter()
                    .find(|entry| entry.key == *key)
                    .map(|entry| (entry.at, &entry.value)),
                (Step::Index(index), Value::List(items)) => {
                    items.get(*index).map(|item| (item.at, item))
                }
                _ => None,
            };
            let Some((place, inner)) = next else { break };
            (at, node) = (place, inner);
        }
        at
    }

    /// Gives the value without its places.
    pub(crate) fn plain(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => (*value).into(),
            Value::Number(number) => number.clone().into(),
            Value::Text(text) => text.clone().into(),
            Value::List(items) => items.iter().map(Self::plain).collect(),
            Value::Map(entries) => entries
                .iter()
                .map(|entry| (entry.key.clone(), entry.value.plain()))
                .collect::<Map<_, _>>()
                .into(),
        }
    }
}
