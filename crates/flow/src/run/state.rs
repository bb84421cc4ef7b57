//! The state of an instance, which is kept after each message.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use model::Time;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{
    fault::Fault,
    message::{Delivery, Uncaught},
    program::Next,
};

/// The state of an instance; the default one has not begun.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Where it stands as a whole.
    pub status: Status,
    /// What it began with.
    pub origin: Option<Origin>,
    /// What expressions see as `$context`.
    pub context: Json,
    /// What it gave, once it has ended well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(deserialize_with = "super::some::deserialize")]
    pub output: Option<Json>,
    /// Why it failed, once an error was not caught.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
    /// When it stopped, if it failed or is suspended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<Time>,
    /// How many steps have begun.
    pub begun: u64,
    /// Its size when it was last measured, and the most that was added since.
    pub(crate) measured: usize,
    pub(crate) added: usize,
    /// The lists and steps that are under way, by number; a child has a higher one than its
    /// parent.
    pub(crate) frames: BTreeMap<u64, Frame>,
    pub(crate) next_frame: u64,
    /// The steps and waits that the world was told of, by name.
    pub(crate) waiting: BTreeMap<String, u64>,
    pub(crate) timers: BTreeMap<String, Timer>,
    /// What is undone if the instance fails, the last first.
    pub(crate) undo: Vec<Undo>,
    /// Messages that came while it was suspended.
    pub(crate) held: Vec<Delivery>,
    /// Work that a message left over.
    pub(crate) todo: VecDeque<Todo>,
}

impl State {
    /// Gives since when a step has been waiting for events.
    pub(crate) fn waits_since(&self, step: &str) -> Option<Time> {
        match &self.frames.get(self.waiting.get(step)?)?.body {
            Body::Task(task) => Some(task.started),
            Body::List(_) => None,
        }
    }

    /// Gives when a step takes too long.
    pub(crate) fn times_out(&self, step: &str) -> Option<Time> {
        self.timers.get(&TimerKind::Timeout.name(step)).map(|timer| timer.at)
    }
}

/// Where an instance stands as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It has not begun.
    #[default]
    Pending,
    /// It is under way, or waits for something.
    Running,
    /// It takes no further step until it is resumed.
    Suspended,
    /// It has failed, and is being undone.
    Compensating,
    /// It has ended well.
    Completed,
    /// It has ended with an error; the step that failed can still be retried or skipped, unless
    /// the instance was undone.
    Faulted,
    /// It was cancelled.
    Cancelled,
}

impl Status {
    /// Says whether nothing more happens by itself.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Completed | Self::Faulted | Self::Cancelled)
    }
}

/// What an instance began with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// The id.
    pub id: String,
    /// What all chance comes from.
    pub seed: u64,
    /// When it began.
    pub started: Time,
    /// What it was given.
    pub input: Json,
    /// What to do about errors that nothing catches.
    pub uncaught: Uncaught,
}

/// A list or a step that is under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Frame {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) parent: Option<u64>,
    /// Its place among the children of its parent.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) slot: u32,
    pub(crate) round: Round,
    /// The variables that those below see.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) variables: BTreeMap<String, Json>,
    pub(crate) body: Body,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Which repetition of a step this is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Round {
    /// The numbers of all enclosing rounds, tries included.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) name: String,
    /// The same without tries.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) key: String,
    /// How many tries went before.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) tries: u32,
}

impl Round {
    /// Goes into a numbered round.
    pub(crate) fn enter(&self, number: &str) -> Self {
        Self { name: joined(&self.name, number), key: joined(&self.key, number), tries: self.tries }
    }

    /// Goes into a further try.
    pub(crate) fn again(&self, letter: char, tries: u32) -> Self {
        if tries == 0 {
            return self.clone();
        }
        let name = joined(&self.name, &format!("{letter}{tries}"));
        Self { name, key: self.key.clone(), tries: self.tries + tries }
    }
}

fn joined(base: &str, part: &str) -> String {
    if base.is_empty() { part.to_owned() } else { format!("{base}.{part}") }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Body {
    List(ListBody),
    Task(TaskBody),
}

/// A list: one of its steps is its only child.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ListBody {
    pub(crate) list: u32,
    pub(crate) at: u32,
    /// How often it went back.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) laps: u32,
}

/// A step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct TaskBody {
    pub(crate) step: u32,
    pub(crate) started: Time,
    /// What it was given; none is the input of the step around it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(deserialize_with = "super::some::deserialize")]
    pub(crate) raw: Option<Arc<Json>>,
    /// What was made of that; none is the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(deserialize_with = "super::some::deserialize")]
    pub(crate) input: Option<Arc<Json>>,
    /// How often an operator has had it done again.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) retried: u32,
    pub(crate) doing: Doing,
}

/// How far a step is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Doing {
    /// It is about to begin.
    Entering,
    /// Its only child is under way, or it is about to end.
    Nested,
    /// A unit is under way.
    Unit,
    /// Another workflow is under way.
    Child,
    /// Time passes.
    Time,
    For(ForBody),
    /// What its branches gave, by their numbers.
    Fork(BTreeMap<u32, Json>),
    Listen(Box<ListenBody>),
    Try(TryBody),
    /// It has failed, and an operator decides.
    Failed(Fault),
    /// Its unit or workflow was taken back when the instance failed.
    Stopped,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ForBody {
    pub(crate) items: Vec<Json>,
    pub(crate) next: u32,
    pub(crate) running: u32,
    /// Whether rounds run beside each other.
    pub(crate) beside: bool,
    /// What the last round gave, or each if they run at the same time.
    pub(crate) given: Json,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ListenBody {
    /// What correlations must be, by the number of the filter and the key.
    pub(crate) expected: BTreeMap<String, Json>,
    /// Which filters have had an event; those that end the wait follow the others.
    pub(crate) had: Vec<u32>,
    pub(crate) taken: Vec<Json>,
    /// How many events rounds have begun for.
    pub(crate) next: u32,
    pub(crate) running: bool,
    pub(crate) outputs: Vec<Json>,
    pub(crate) enough: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct TryBody {
    pub(crate) phase: Phase,
    /// How many tries have failed.
    pub(crate) failed: u32,
    /// What the last try failed with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) fault: Option<Fault>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    Trying,
    Delaying,
    Handling,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Timer {
    /// The step; none is the workflow.
    pub(crate) frame: Option<u64>,
    pub(crate) kind: TimerKind,
    pub(crate) at: Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TimerKind {
    /// The time of a `wait` has passed.
    Wait,
    /// A task or the workflow has taken too long.
    Timeout,
    /// The delay before a further try has passed.
    Retry,
    /// A try has taken too long.
    Attempt,
}

impl TimerKind {
    pub(crate) const ALL: [Self; 4] = [Self::Wait, Self::Timeout, Self::Retry, Self::Attempt];

    /// Names the timer of a step.
    pub(crate) fn name(self, step: &str) -> String {
        let word = match self {
            Self::Wait => "wait",
            Self::Timeout => "timeout",
            Self::Retry => "retry",
            Self::Attempt => "attempt",
        };
        format!("{step}#{word}")
    }
}

/// A step that has ended and can be undone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Undo {
    pub(crate) step: u32,
    pub(crate) round: Round,
    pub(crate) output: Json,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) variables: BTreeMap<String, Json>,
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Todo {
    /// A step begins.
    Enter(u64),
    /// A step has given this.
    Finish { frame: u64, output: Json, then: Option<Next> },
    /// A step or a list has failed.
    Fail { frame: u64, fault: Fault },
    /// What a step does has given this.
    Given { frame: u64, slot: u32, output: Json },
    /// A `for` or `listen` looks whether it can go on.
    Advance(u64),
    /// The workflow has given this.
    End { output: Json },
    /// The next step is undone, or all are.
    Undo,
}
