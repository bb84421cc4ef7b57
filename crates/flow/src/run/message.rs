//! What can happen to an instance.

use model::Time;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::fault::Fault;

/// Something that happened, which moves an instance on.
///
/// A message about a step, timer or wait that the instance no longer has changes nothing, so any
/// message may come twice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// The instance begins. It must be the first message, and only that.
    Start(Box<Start>),
    /// The last message left work to do, as [`super::Effect::Continue`] said.
    Continue,
    /// A unit of [`super::Effect::AddUnit`] has ended.
    UnitDone {
        /// The step that the effect named.
        step: String,
        /// How it ended.
        result: StepResult,
    },
    /// The time of [`super::Effect::SetTimer`] has come.
    TimerFired {
        /// The timer that the effect named.
        name: String,
    },
    /// An event has come that has the literal attributes of a filter of [`super::Effect::Wait`];
    /// [`super::Outcome::taken`] says whether it was wanted after all.
    Event {
        /// The wait that the effect named.
        wait: String,
        /// The event with its attributes and data, as JSON.
        event: Json,
    },
    /// A workflow of [`super::Effect::StartChild`] has ended, or could not be started.
    ChildDone {
        /// The step that the effect named.
        step: String,
        /// How it ended.
        result: StepResult,
    },
    /// Ends the instance and all that it waits for.
    Cancel {
        /// Why.
        reason: Option<String>,
    },
    /// Lets the instance take no further step.
    Pause,
    /// Lets it go on.
    Resume,
    /// Does a step again that has failed.
    RetryStep {
        /// The step; none is the one that failed last.
        step: Option<String>,
        /// What the step is to take instead.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[serde(deserialize_with = "super::some::deserialize")]
        input: Option<Json>,
    },
    /// Goes on after a step that has failed, as if it had given its input, or this.
    SkipStep {
        /// The step; none is the one that failed last.
        step: Option<String>,
        /// What the step is to have given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[serde(deserialize_with = "super::some::deserialize")]
        output: Option<Json>,
    },
}

/// What an instance begins with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// The id, which expressions see as `$workflow.id`.
    pub id: String,
    /// What all chance in the instance comes from.
    pub seed: u64,
    /// What the workflow takes; if it begins at a step, what that step takes.
    pub input: Json,
    /// The task of the top level that it begins at; none is the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The context that it begins with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(deserialize_with = "super::some::deserialize")]
    pub context: Option<Json>,
    /// What to do about errors that nothing catches.
    #[serde(default)]
    pub uncaught: Uncaught,
}

/// What to do about errors that nothing catches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Uncaught {
    /// The instance faults, as the specification says.
    #[default]
    Fault,
    /// The step stops as an incident, and an operator decides.
    Incident,
}

/// How something outside ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepResult {
    /// With this output.
    Output(Json),
    /// With this error.
    Fault(Fault),
}

/// A message and when it was taken: what the history of an instance is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    /// When, by the clock of the store.
    pub at: Time,
    /// What.
    pub message: Message,
}
