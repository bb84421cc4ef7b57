//! How many instances of a definition there may be at one time.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::{
    expr::quick,
    expression::Expression,
    limits,
    node::Node,
    problem::Code,
    shape::{Reader, choice, object},
};

object! {
    /// How many instances there may be at one time.
    Concurrency {
        /// At most so many.
        limit: u64 = "limit",
        /// A path in what the workflow takes, such as `${ .customer }`: only instances with the
        /// same value there count together.
        key: Option<Expression> = "key",
        /// What to do with a start beyond the limit.
        beyond: Option<Beyond> = "beyond",
    }
    check check_concurrency
}

choice! {
    /// What to do with a start beyond the limit.
    Beyond {
        /// It waits for its turn.
        Wait = "wait",
        /// It is refused.
        Refuse = "refuse",
        /// The oldest instance is cancelled for it.
        Cancel = "cancel",
    }
}

fn check_concurrency(concurrency: &Concurrency, node: &Node, reader: &mut Reader) {
    let at = |key: &str| node.get(key).map_or(node.at, |value| value.at);
    if !(1..=limits::TURNS_MAX).contains(&concurrency.limit) {
        let message = format!("{} is not from 1 to {}", concurrency.limit, limits::TURNS_MAX);
        let hint = "leave the key out if there is no limit";
        reader.at_key("limit", |r| r.note(at("limit"), Code::BadValue, message, hint));
    }
    let is_path = |key: &Expression| quick(key.source(), &Json::Null, &BTreeMap::new()).is_some();
    if concurrency.key.as_ref().is_some_and(|key| !is_path(key)) {
        let message = "the key must be a path, since it is looked at wherever something starts";
        let hint = "write a path, such as ${ .customer.id }";
        reader.at_key("key", |r| r.note(at("key"), Code::BadExpression, message, hint));
    }
}

/// How the instances of a version take turns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turns {
    /// How many may be under way at one time.
    pub limit: u64,
    /// The path of what must be the same in those that count together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What to do with a start beyond the limit.
    pub beyond: Beyond,
}

impl Turns {
    /// Takes what a document says.
    pub fn of(concurrency: &Concurrency) -> Self {
        Self {
            limit: concurrency.limit,
            key: concurrency.key.as_ref().map(|key| key.source().to_owned()),
            beyond: concurrency.beyond.unwrap_or(Beyond::Wait),
        }
    }

    /// Gives what must be the same in instances that count together.
    pub(crate) fn key_of(&self, input: &Json) -> Json {
        let key = self.key.as_ref().and_then(|path| quick(path, input, &BTreeMap::new()));
        // Where there is nothing to follow a path in, there is nothing at its end.
        key.unwrap_or_default()
    }
}
