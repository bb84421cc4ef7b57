//! Durations, in each way to write them.

use jiff::Span;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

use crate::{
    expression::{Expression, is_computed},
    node::{Node, Value},
    problem::Code,
    shape::{Reader, SchemaName, Shape, object},
};

object! {
    /// A duration in parts.
    Parts {
        /// Days of 24 hours.
        days: Option<u64> = "days",
        /// Hours.
        hours: Option<u64> = "hours",
        /// Minutes.
        minutes: Option<u64> = "minutes",
        /// Seconds.
        seconds: Option<u64> = "seconds",
        /// Milliseconds.
        milliseconds: Option<u64> = "milliseconds",
    }
}

/// A length of time: ISO 8601 text, a mapping of parts, or an expression that gives either.
#[derive(Clone, Debug, PartialEq)]
pub enum Duration {
    /// A known length.
    Fixed(Length),
    /// What computes it.
    Computed(Expression),
}

/// A known length of time, written as ISO 8601 says.
#[derive(Clone, Copy, Debug)]
pub struct Length(Span);

impl Length {
    /// Gives the calendar units and hours, as jiff counts them.
    pub fn span(self) -> Span {
        self.0
    }

    /// Gives the length for comparisons, with years and months of their mean length.
    pub fn approximate(self) -> std::time::Duration {
        let span = self.0;
        let seconds = i128::from(span.get_years()) * 31_556_952
            + i128::from(span.get_months()) * 2_629_746
            + i128::from(span.get_weeks()) * 604_800
            + i128::from(span.get_days()) * 86_400
            + i128::from(span.get_hours()) * 3_600
            + i128::from(span.get_minutes()) * 60
            + i128::from(span.get_seconds());
        let nanos = i128::from(span.get_milliseconds()) * 1_000_000
            + i128::from(span.get_microseconds()) * 1_000
            + i128::from(span.get_nanoseconds());
        let nanos = (seconds * 1_000_000_000 + nanos).max(0);
        let whole = u64::try_from(nanos / 1_000_000_000).unwrap_or(u64::MAX);
        std::time::Duration::new(whole, u32::try_from(nanos % 1_000_000_000).unwrap_or_default())
    }
}

/// Two lengths are equal if they are written alike.
impl PartialEq for Length {
    fn eq(&self, other: &Self) -> bool {
        self.0.fieldwise() == other.0.fieldwise()
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Fixed(length) => serializer.collect_str(&length.0),
            Self::Computed(expression) => expression.serialize(serializer),
        }
    }
}

impl Shape for Duration {
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        match &node.value {
            Value::Text(text) if is_computed(text) => {
                Expression::read(node, reader).map(Self::Computed)
            }
            Value::Text(text) => match text.parse::<Span>() {
                Ok(span) if text.starts_with('P') && !span.is_negative() => {
                    Some(Self::Fixed(Length(span)))
                }
                _ => bad_duration(node, reader, format!("{text:?} is not an ISO 8601 duration")),
            },
            Value::Map(entries) if entries.is_empty() => {
                bad_duration(node, reader, "the duration has no parts".to_owned())
            }
            Value::Map(_) => match span(&Parts::read(node, reader)?) {
                Ok(span) => Some(Self::Fixed(Length(span))),
                Err(_) => bad_duration(node, reader, "the duration is too long".to_owned()),
            },
            _ => reader.wrong_type(node, "a duration"),
        }
    }
}

fn bad_duration<T>(node: &Node, reader: &mut Reader, message: String) -> Option<T> {
    let hint = "write text such as PT90S, or a mapping such as { minutes: 1, seconds: 30 }";
    reader.note(node.at, Code::BadDuration, message, hint);
    None
}

fn span(parts: &Parts) -> Result<Span, jiff::Error> {
    let count = |part: Option<u64>| i64::try_from(part.unwrap_or_default()).unwrap_or(i64::MAX);
    Span::new()
        .try_days(count(parts.days))?
        .try_hours(count(parts.hours))?
        .try_minutes(count(parts.minutes))?
        .try_seconds(count(parts.seconds))?
        .try_milliseconds(count(parts.milliseconds))
}

impl JsonSchema for Duration {
    fn schema_name() -> SchemaName {
        "Duration".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let parts = generator.subschema_for::<Parts>();
        json_schema!({
            "description": "ISO 8601 text such as PT90S, a mapping of parts, or an expression.",
            "anyOf": [{"type": "string"}, parts],
        })
    }
}
