//! Instances of workflows, and the events that start them and that they wait for.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use crate::{Id, Invite, Page, Time, Wait};

/// A change to instances, or an event for them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum InstanceCommand {
    /// Starts an instance of the published version. Answers [`crate::Reply::Id`].
    Start(Start),
    /// Steers a running instance. Answers [`crate::Reply::Done`].
    Control {
        /// The instance.
        instance: Id,
        /// What to do.
        control: InstanceControl,
    },
    /// Takes events in, at most [`crate::limits::EVENTS_MAX`]. Answers [`crate::Reply::Received`].
    Send(Vec<CloudEvent>),
    /// Steers a schedule. Answers [`crate::Reply::Done`].
    ControlTrigger {
        /// The definition.
        definition: String,
        /// The trigger.
        trigger: String,
        /// What to do.
        control: TriggerControl,
    },
    /// Lets whoever has a link answer one wait of an instance, once. Answers
    /// [`crate::Reply::Done`].
    Invite(Box<Invite>),
    /// Answers the wait of a link, which is used up by that. Answers [`crate::Reply::Done`].
    AnswerInvite {
        /// The instance.
        instance: Id,
        /// The SHA-256 of the secret of the link.
        hash: [u8; 32],
        /// What is added to the data of the event.
        data: Map<String, Json>,
    },
}

/// An instance to start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// The definition.
    pub definition: String,
    /// What the workflow takes.
    #[serde(default)]
    pub input: Json,
    /// The trace context that it is started in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

/// What to do with an instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum InstanceControl {
    /// Ends it and what it waits for.
    Cancel,
    /// Lets it take no further step.
    Pause,
    /// Lets it go on.
    Resume,
    /// Does a step again that has failed, with another input if one is given.
    Retry {
        /// The step; none is the one that failed.
        #[serde(default)]
        step: Option<String>,
        /// What the step takes.
        #[serde(default)]
        input: Option<Json>,
    },
    /// Goes on after a step that has failed, as if it had given this.
    Skip {
        /// The step; none is the one that failed.
        #[serde(default)]
        step: Option<String>,
        /// What the step is to have given.
        #[serde(default)]
        output: Json,
    },
    /// Starts another instance of the same version that begins at a step of the top level.
    Restart {
        /// The step; none is the first.
        #[serde(default)]
        step: Option<String>,
    },
}

/// What to do with a schedule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum TriggerControl {
    /// Lets it fire no more.
    Pause,
    /// Lets it fire again; what was missed is missed.
    Resume,
    /// Fires for each slot of a stretch of time in which it has not fired.
    Backfill {
        /// From this time on.
        from: Time,
        /// Before this time.
        until: Time,
    },
}

/// An event, by the CloudEvents specification 1.0.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct CloudEvent {
    /// Tells it from all others of its source.
    pub id: String,
    /// Where it happened.
    pub source: String,
    /// What kind of thing happened.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it happened to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// When it happened, by RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// What its data is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datacontenttype: Option<String>,
    /// What its data looks like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataschema: Option<String>,
    /// The data.
    #[serde(default, skip_serializing_if = "Json::is_null")]
    pub data: Json,
    /// Further attributes.
    #[serde(flatten)]
    pub extensions: BTreeMap<String, Json>,
}

/// What became of an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Received {
    /// Its position among the events of the namespace.
    pub seq: u64,
    /// Whether it was known already; then nothing was done.
    pub is_duplicate: bool,
    /// The instances that it started.
    pub started: Vec<Id>,
    /// The instances that had waited for it.
    pub resumed: Vec<Id>,
}

/// A question about the instances and events of a namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum InstanceQuery {
    /// Instances, oldest first unless the filter says otherwise. Answers
    /// [`InstanceAnswer::Instances`].
    List(InstanceFilter),
    /// One instance with its state. Answers [`InstanceAnswer::Instance`].
    One(Id),
    /// The journal of an instance. Answers [`InstanceAnswer::Journal`].
    Journal(Id, Page<u64>),
    /// What an instance was before and after an entry of its journal. Answers
    /// [`InstanceAnswer::States`].
    States(Id, u64),
    /// Events, oldest first; the page is by position. Answers [`InstanceAnswer::Events`].
    Events(Page<u64>),
    /// Events, newest first; the page is by position, and goes on with what came before it. Answers
    /// [`InstanceAnswer::Events`].
    Latest(Page<u64>),
    /// Why an event would start or resume what, or not. Answers [`InstanceAnswer::Explained`].
    Match(CloudEvent),
    /// What instances wait for, by instance; an instance is on one page with all its waits. Answers
    /// [`InstanceAnswer::Waits`].
    Waits(Page<Id>),
    /// What a link is for, by its instance and the SHA-256 of its secret. Answers
    /// [`InstanceAnswer::Invite`].
    Invite(Id, [u8; 32]),
}

/// Which instances; all given fields must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct InstanceFilter {
    /// Only those of this definition.
    pub definition: Option<String>,
    /// Only those in this status.
    pub status: Option<InstanceStatus>,
    /// Only those that come after this one in the order of the list.
    pub after: Option<Id>,
    /// Whether the newest come first.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub newest: bool,
    /// At most this many; 0 is [`crate::limits::PAGE_MAX`], which is also the most.
    pub limit: u32,
}

/// How an instance stands.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum InstanceStatus {
    /// It goes on by itself.
    Running,
    /// It waits for a unit, a time or an event.
    Waiting,
    /// It was paused.
    Paused,
    /// It has ended with an output.
    Finished,
    /// It has ended with an error.
    Faulted,
    /// It was cancelled.
    Cancelled,
}

impl InstanceStatus {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Running,
        Self::Waiting,
        Self::Paused,
        Self::Finished,
        Self::Faulted,
        Self::Cancelled,
    ];

    /// Gives the word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Paused => "paused",
            Self::Finished => "finished",
            Self::Faulted => "faulted",
            Self::Cancelled => "cancelled",
        }
    }

    /// Tells whether it has ended.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Finished | Self::Faulted | Self::Cancelled)
    }
}

/// The answer to an [`InstanceQuery`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InstanceAnswer {
    /// Instances, one page, without what they hold.
    Instances(Vec<Instance>),
    /// An instance.
    Instance(Box<Instance>),
    /// A part of a journal.
    Journal(Vec<JournalEntry>),
    /// Events with what became of them.
    Events(Vec<(CloudEvent, Received)>),
    /// What each trigger and each wait says to an event, for people.
    Explained(Vec<Explained>),
    /// The states of an instance before and after an entry of its journal, for people.
    States(Json, Json),
    /// Waits, one page.
    Waits(Vec<Wait>),
    /// What a link is for; none if it does not work.
    Invite(Option<Box<Invite>>),
}

/// An instance of a workflow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Instance {
    /// Its id, the same as the incarnation.
    pub id: Id,
    /// The definition.
    pub definition: String,
    /// The version that it follows to its end.
    pub version: String,
    /// The hash of that version.
    pub hash: String,
    /// How it stands.
    pub status: InstanceStatus,
    /// Counts its steps; the journal has one entry for each.
    pub seq: u64,
    /// When it was started.
    pub started: Time,
    /// When it ended.
    pub ended: Option<Time>,
    /// What started it: `manual`, or the trigger and its slot or event.
    pub cause: String,
    /// What it took; null in lists.
    pub input: Json,
    /// What it gave; null in lists.
    pub output: Json,
    /// The error that ended it, by RFC 9457; null if there is none.
    pub error: Json,
    /// The steps that it is at, by their paths.
    pub at: Vec<String>,
}

/// An entry of a journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JournalEntry {
    /// Its position: 1, 2, 3 ….
    pub seq: u64,
    /// When it was written.
    pub time: Time,
    /// What happened.
    pub body: Json,
}

/// What one trigger or wait says to an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Explained {
    /// The definition and its trigger, or the instance and its wait.
    pub who: String,
    /// Whether the event is for it.
    pub is_match: bool,
    /// Which condition said no, or that all hold.
    pub why: String,
}
