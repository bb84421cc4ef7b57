//! From text to values with places. JSON is read as the YAML that it is.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, SeqAccess, Visitor},
};
use serde_json::Number;
use serde_saphyr::{Location, Options, Spanned, options::DuplicateKeyPolicy};

use crate::{
    limits,
    node::{Entry, Node, Value},
    problem::{Code, Pos},
};

/// Why a text could not be read at all.
#[derive(Debug)]
pub(crate) struct Unreadable {
    pub(crate) at: Pos,
    pub(crate) code: Code,
    pub(crate) message: String,
}

/// Reads a text within the limits.
pub(crate) fn read(text: &str) -> Result<Node, Unreadable> {
    if text.len() > limits::DOCUMENT_BYTES_MAX {
        let message = format!(
            "the document has {} bytes, more than {}",
            text.len(),
            limits::DOCUMENT_BYTES_MAX
        );
        return Err(Unreadable { at: Pos { line: 1, column: 1 }, code: Code::TooLarge, message });
    }
    serde_saphyr::from_str_with_options(text, options()).map_err(|error| {
        let at = error.location().map_or(Pos { line: 1, column: 1 }, pos);
        let error = error.without_snippet();
        let code = match error {
            serde_saphyr::Error::Budget { .. } => Code::TooLarge,
            _ => Code::Syntax,
        };
        Unreadable { at, code, message: first_line(&error.to_string()) }
    })
}

fn options() -> Options {
    let budget = serde_saphyr::budget! {
        max_depth: limits::DEPTH_MAX,
        flow_nesting_limit: limits::DEPTH_MAX,
        max_aliases: limits::ALIASES_MAX,
        max_anchors: limits::ALIASES_MAX,
        max_nodes: limits::VALUES_MAX,
        max_events: 4 * limits::VALUES_MAX,
        max_total_scalar_bytes: limits::DOCUMENT_BYTES_MAX,
        max_merge_keys: limits::ALIASES_MAX,
        max_documents: 1,
    };
    let alias_limits = serde_saphyr::alias_limits! {
        max_total_replayed_events: limits::VALUES_MAX,
        max_replay_stack_depth: limits::DEPTH_MAX,
    };
    serde_saphyr::options! {
        budget: budget,
        alias_limits: alias_limits,
        // Doubles are told with all other problems.
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        strict_booleans: true,
        with_snippet: false,
    }
}

fn pos(location: Location) -> Pos {
    let number = |n: u64| u32::try_from(n).unwrap_or(u32::MAX).max(1);
    Pos { line: number(location.line()), column: number(location.column()) }
}

/// Gives the message without the place, which is told apart from it.
fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.split(" at line ").next().unwrap_or(line).to_owned()
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Self { at: pos(spanned.referenced), value: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_i128<E: de::Error>(self, _: i128) -> Result<Value, E> {
        Err(E::custom("a whole number needs more than 64 bits"))
    }

    fn visit_u128<E: de::Error>(self, _: u128) -> Result<Value, E> {
        Err(E::custom("a whole number needs more than 64 bits"))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        // 1.0 and 1 are the same number in JSON, so they are the same here.
        let exact = value.fract() == 0.0 && value.abs() < 9e15;
        #[expect(clippy::cast_possible_truncation, reason = "the line above saw to it")]
        let number = if exact { Some((value as i64).into()) } else { Number::from_f64(value) };
        number.map(Value::Number).ok_or_else(|| E::custom("a number is not finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some((key, value)) = entries.next_entry::<Spanned<String>, Node>()? {
            map.push(Entry { key: key.value, at: pos(key.referenced), value });
        }
        Ok(Value::Map(map))
    }
}
