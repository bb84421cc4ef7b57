//! What nodes of a shared store say to each other.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Committed, Error, Time};

/// What a node answers to another one that greets it, or has passed a write on to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum PassedOn {
    /// It is a node, and takes writes.
    Greeting,
    /// The write was made.
    Committed {
        /// The outcome.
        committed: Committed,
        /// When something falls due next by what the node knows, so that the other one does not
        /// give out as pending what is due by then.
        next_due: Time,
    },
    /// It was refused, or failed.
    Failed(Error),
    /// Nothing was done and nothing will be, because the node is ending.
    Leaving,
}
