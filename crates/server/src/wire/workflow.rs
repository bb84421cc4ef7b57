//! Instances of workflows and events, as lists and answers of the API.

use model::{CloudEvent, Explained, Id, Instance, Received};
use schemars::JsonSchema;
use serde::Serialize;

/// An instance that was started, or steered.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Started {
    /// Its id.
    pub(crate) instance: Id,
}

/// Instances, oldest first.
#[derive(Serialize, JsonSchema)]
pub(crate) struct InstanceList {
    /// The instances, without what they took and gave.
    pub(crate) instances: Vec<Instance>,
}

/// A part of a journal.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Journal<T> {
    /// The entries, in order.
    pub(crate) journal: Vec<T>,
}

/// What became of events.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ReceivedList {
    /// One for each event, in the order sent.
    pub(crate) received: Vec<Received>,
}

/// Events with what became of them, oldest first.
#[derive(Serialize, JsonSchema)]
pub(crate) struct EventList {
    /// The events.
    pub(crate) events: Vec<(CloudEvent, Received)>,
}

/// The nodes of a shared store, in name order.
#[derive(Serialize, JsonSchema)]
pub(crate) struct NodeList {
    /// The nodes; none where the server is alone on its store.
    pub(crate) nodes: Vec<model::NodeInfo>,
}

/// What triggers say to an event.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Explanation {
    /// One for each trigger that the event may be for.
    pub(crate) explained: Vec<Explained>,
}
