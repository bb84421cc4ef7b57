//! When a workflow starts by itself.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::{
    cron::Cron,
    duration::Duration,
    event::Strategy,
    expression::Expression,
    limits,
    node::{Node, Value},
    problem::Code,
    shape::{Reader, SchemaName, Shape, choice, object},
    value::{Name, Zone},
};

object! {
    /// When a workflow starts by itself: by `cron`, `every`, `after` or `on`.
    Schedule {
        /// A name for the schedule, which keeps its identity when the document changes.
        name: Option<Name> = "name",
        /// At these times of the calendar.
        cron: Option<Cron> = "cron",
        /// At this interval.
        every: Option<Duration> = "every",
        /// This long after the last run has ended.
        after: Option<Duration> = "after",
        /// When these events come.
        on: Option<Strategy> = "on",
        /// The zone of the calendar.
        timezone: Option<Zone> = "timezone",
        /// What to do when the last run has not ended yet.
        overlap: Option<Overlap> = "overlap",
        /// Which starts are made up for when the server was away.
        catch_up: Option<CatchUp> = "catchUp",
        /// Start later by a part of this span, always the same one for one workflow.
        jitter: Option<Duration> = "jitter",
        /// What is the same in two events that shall start one run only.
        key: Option<Expression> = "key",
    }
    check check_schedule
}

const KINDS: &[&str] = &["cron", "every", "after", "on"];

fn check_schedule(schedule: &Schedule, node: &Node, reader: &mut Reader) {
    reader.exactly_one(node, KINDS);
    let useful: [(&str, &[&str]); 5] = [
        ("timezone", &["cron"]),
        ("overlap", &["cron", "every", "on"]),
        ("catchUp", &["cron", "every"]),
        ("jitter", &["cron", "every"]),
        ("key", &["on"]),
    ];
    for (key, kinds) in useful {
        let Some(value) = node.get(key) else { continue };
        if !kinds.iter().any(|kind| node.get(kind).is_some()) {
            let message = format!("{key:?} changes nothing in a schedule of this kind");
            let hint = format!("it goes with {}; remove it", kinds.join(", "));
            reader.at_key(key, |r| r.note(value.at, Code::NoEffect, message, hint));
        }
    }
    if let Some(Duration::Computed(_)) = &schedule.jitter {
        let at = node.get("jitter").map_or(node.at, |jitter| jitter.at);
        let message = "the jitter of a schedule cannot be computed";
        reader.at_key("jitter", |r| {
            r.note(at, Code::BadDuration, message, "write a span, such as PT5M");
        });
    }
    if let Some(Duration::Fixed(every)) = &schedule.every
        && every.approximate().is_zero()
    {
        let at = node.get("every").map_or(node.at, |every| every.at);
        let message = "an interval of no length would start without end";
        let hint = "write an interval, such as PT5M";
        reader.at_key("every", |r| r.note(at, Code::BadDuration, message, hint));
    }
}

choice! {
    /// What to do with a start when the last run has not ended yet.
    Overlap {
        /// Leave it out.
        Skip = "skip",
        /// Keep one until then.
        Buffer = "buffer",
        /// Start beside it.
        Allow = "allow",
        /// Cancel the one that runs, and start.
        Cancel = "cancel",
    }
}

/// Which starts are made up for when the server was away: `none`, `last`, or `{ all: n }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CatchUp {
    /// None of them.
    None,
    /// The last one.
    Last,
    /// All, but at most so many of the last.
    All(u64),
}

object! {
    /// How many starts are made up for.
    CatchUpAll {
        /// At most so many.
        all: u64 = "all",
    }
}

impl Shape for CatchUp {
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        if matches!(node.value, Value::Map(_)) {
            let CatchUpAll { all } = CatchUpAll::read(node, reader)?;
            if (1..=limits::CATCH_UP_MAX).contains(&all) {
                return Some(Self::All(all));
            }
            let message = format!("{all} is not from 1 to {}", limits::CATCH_UP_MAX);
            reader.note(node.at, Code::BadValue, message, "write none, last or { all: 10 }");
            return None;
        }
        match reader.word(node, &["none", "last"], &[])?.as_str() {
            "last" => Some(Self::Last),
            _ => Some(Self::None),
        }
    }
}

impl JsonSchema for CatchUp {
    fn schema_name() -> SchemaName {
        "CatchUp".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let all = generator.subschema_for::<CatchUpAll>();
        json_schema!({"anyOf": [{"enum": ["none", "last"]}, all]})
    }
}
