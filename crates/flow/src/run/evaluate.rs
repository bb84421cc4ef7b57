//! What the reducer asks of the world while it runs: the values of expressions and the fit of
//! schemas, which are computed in a child process.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::outcome::Answer;

/// Something to compute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// The value of an expression; its first output counts, and without one it is `null`.
    Expression {
        /// Its source.
        source: String,
        /// What `.` is.
        input: Json,
        /// What its variables are, without their dollar signs.
        variables: BTreeMap<String, Json>,
        /// Whether it also needs `$secrets`, which whoever answers adds to the variables; values
        /// of secrets are never in a state.
        secrets: bool,
    },
    /// Whether a value fits a JSON Schema: `true`, or a failure that says why not.
    Schema {
        /// The schema.
        schema: Json,
        /// The value.
        value: Json,
    },
}

/// Whoever computes.
pub trait Evaluate: Send {
    /// Gives one answer for each ask, in their order; a failure is of that ask alone.
    fn evaluate(&mut self, asks: Vec<Ask>) -> impl Future<Output = Vec<Answer>> + Send;
}
