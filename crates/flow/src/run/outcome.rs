//! What a message led to: effects for the world, and a record for the journal.

use std::collections::BTreeMap;

use model::Time;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{fault::Fault, message::Delivery};

/// What a message led to, besides the new state.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Whether an event was wanted; of all other messages, whether they changed anything.
    pub taken: bool,
    /// What is to be done, in this order, in one transaction with the new state.
    pub effects: Vec<Effect>,
    /// What to add to the journal.
    pub record: Record,
}

/// Something for the world to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Adds a unit for a step, and sends [`super::Message::UnitDone`] when it ends.
    AddUnit(Box<UnitPlan>),
    /// Takes the unit of a step back, if it has not ended.
    CancelUnit {
        /// The step.
        step: String,
    },
    /// Sends [`super::Message::TimerFired`] at a time.
    SetTimer {
        /// The timer; another of that name is replaced.
        name: String,
        /// The time.
        at: Time,
    },
    /// Forgets a timer.
    ClearTimer {
        /// The timer.
        name: String,
    },
    /// Sends [`super::Message::Event`] for events that a filter may want, those that came before
    /// and are kept included, oldest first, until the wait is cleared.
    Wait(WaitPlan),
    /// Wants no more events.
    ClearWait {
        /// The wait.
        name: String,
    },
    /// Sends an event.
    Emit {
        /// The event with its attributes and data, as JSON.
        event: Json,
    },
    /// Starts another workflow, and sends [`super::Message::ChildDone`] when it ends.
    StartChild(Box<ChildPlan>),
    /// Cancels the workflow that a step has started.
    CancelChild {
        /// The step.
        step: String,
    },
    /// Tells an operator that a step has stopped, and waits for one to decide.
    Incident {
        /// The step.
        step: String,
        /// Why it has stopped.
        fault: Fault,
    },
    /// Says that an incident is over.
    ClearIncident {
        /// The step.
        step: String,
    },
    /// Wants [`super::Message::Continue`] as soon as the state is kept.
    Continue,
    /// The instance has ended well.
    Finished {
        /// What it gave.
        output: Json,
    },
    /// The instance has ended with an error.
    Faulted {
        /// The error.
        fault: Fault,
    },
    /// The instance was cancelled.
    Cancelled,
}

/// A unit for a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UnitPlan {
    /// The step, which names the unit within its instance: `{path}/{iteration}`.
    pub step: String,
    /// Who does it.
    pub target: Target,
    /// What it is to be done with, with all expressions computed.
    pub input: Json,
    /// What a receiver can tell a repetition by; it stays the same when a `try` does it again.
    pub idempotency_key: String,
    /// How often an enclosing `try` or an operator has done it before.
    pub attempt: u32,
    /// When it must be done by, if the task has a timeout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Time>,
    /// Whether nobody waits for its end.
    #[serde(default)]
    pub detached: bool,
}

/// Who does a unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Workers of a work spec; the input is the data of the unit.
    Work {
        /// The name of the spec.
        spec: String,
        /// The name that the document gives to the unit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// The priority of the unit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        priority: Option<f64>,
        /// The time before which it is not handed out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        not_before: Option<Time>,
        /// How long one lease of it lasts.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lifetime_ms: Option<u64>,
    },
    /// The server itself; what the input holds is told by [`Builtin`].
    Builtin(Builtin),
}

/// What the server itself does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Builtin {
    /// An HTTP request: `{method, endpoint: {uri, authentication?}, headers?, query?, body?,
    /// output, redirect}` with the keys of the document. The `authentication` is the way itself;
    /// below it, `use` names a secret.
    Http,
    /// An operation of an OpenAPI document: `{document: {endpoint}, operationId, parameters?,
    /// authentication?, output, redirect}`.
    OpenApi,
    /// A script: `{script: {language, code | source, arguments?, environment?, stdin?}, return}`.
    Script,
    /// A shell command: `{shell: {command, arguments?, environment?, stdin?}, return}`.
    Shell,
    /// What is done to the mail of an account: `{account, action, message?, to?, add?, remove?,
    /// content?, ignoreOwn}` with the keys of the document.
    Mail,
}

/// What a step waits for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WaitPlan {
    /// The wait.
    pub name: String,
    /// The literal attributes of each filter; an event that has all of one of them may be wanted.
    /// A filter without attributes may want any event.
    pub filters: Vec<BTreeMap<String, Json>>,
}

/// Another workflow to start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChildPlan {
    /// The step.
    pub step: String,
    /// The namespace of its document.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its version; none is the one that is published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What it takes.
    pub input: Json,
    /// What a repetition can be told by.
    pub idempotency_key: String,
    /// Whether nobody waits for its end.
    #[serde(default)]
    pub detached: bool,
}

/// One row of a journal: a message, what was computed for it, and what it led to.
///
/// The messages and answers of a journal give all states again, without computing anything
/// outside: see [`super::retake`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The message.
    pub delivery: Delivery,
    /// What was computed outside, by its number among all that was computed for the message.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub answers: BTreeMap<u32, Answer>,
    /// What happened, for people.
    pub notes: Vec<Note>,
}

/// What the computation of an expression or a schema gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// This value.
    Value(Json),
    /// No value, for this reason.
    Failed(String),
}

/// Something that happened in an instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Note {
    /// What.
    pub what: What,
    /// The step that it happened to; none is the workflow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// What goes with it: an output, an error, a reason.
    #[serde(default, skip_serializing_if = "Json::is_null")]
    pub data: Json,
    /// Whether it was too large to be here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_left_out: bool,
}

/// What can happen to a workflow or a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// It began.
    Started,
    /// It was left out, for its condition was not true.
    Skipped,
    /// It has ended well.
    Completed,
    /// It has ended with an error.
    Faulted,
    /// It was ended from outside.
    Cancelled,
    /// It is to be done again.
    Retried,
    /// An error of it was caught.
    Caught,
    /// It was stopped for a while.
    Suspended,
    /// It goes on.
    Resumed,
    /// It began to wait for events.
    Waiting,
    /// It has all events that it waited for.
    Correlated,
    /// It waits for an operator.
    Incident,
    /// It is undone.
    Compensating,
    /// It was undone.
    Compensated,
}
