//! The compiled form of a definition: steps by number, everything that has a name resolved.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// The version of the compiled form; a program of another version is compiled anew from its
/// document.
pub const IR_VERSION: u32 = 1;

/// A definition that can be run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Program {
    /// The version of this form.
    pub ir_version: u32,
    /// The namespace of the document.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The hash of its canonical form.
    pub hash: String,
    /// The document itself, which expressions see as `$workflow.definition`.
    pub definition: Json,
    /// The secrets that it may use.
    pub secrets: Vec<String>,
    /// What becomes of its input.
    pub input: Shaping,
    /// What becomes of its output.
    pub output: Shaping,
    /// How long it may take.
    pub timeout: Option<Delay>,
    /// All steps, by number.
    pub steps: Vec<Step>,
    /// All lists of steps, by number; the first is that of the workflow itself.
    pub lists: Vec<Vec<u32>>,
}

/// What is made of data, and what it must look like.
///
/// Input is checked before it is made into something else, output after.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Shaping {
    /// The JSON Schema that it must fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Json>,
    /// What is made of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made: Option<Value>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Where it is in the document, as a JSON pointer; what a call of a function does is below
    /// the call.
    pub path: String,
    /// Where its definition is in the document.
    pub source: String,
    /// Its name.
    pub name: String,
    /// It is left out unless this is true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<Expr>,
    /// What becomes of its input.
    pub input: Shaping,
    /// What becomes of its output.
    pub output: Shaping,
    /// What it makes of the context.
    pub export: Shaping,
    /// How long it may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Delay>,
    /// Where to go on after it.
    pub then: Next,
    /// The list that undoes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compensate: Option<u32>,
    /// What the receiver of a call can tell a repetition by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<Value>,
    /// What it does.
    pub action: Action,
}

/// Where to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Next {
    /// With the next step of the list.
    Continue,
    /// After the list.
    Exit,
    /// Nowhere: the workflow ends.
    End,
    /// With this place of the same list.
    Goto(u32),
}

/// A value with expressions in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    /// A value without any.
    Plain(Json),
    /// An expression.
    Computed(Expr),
    /// A list.
    List(Vec<Self>),
    /// A mapping.
    Map(BTreeMap<String, Self>),
}

/// An expression.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expr {
    /// Its source.
    pub source: String,
    /// The variables that it may use, without their dollar signs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uses: Vec<String>,
}

/// A length of time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delay {
    /// As ISO 8601 writes it.
    Fixed(String),
    /// What computes it.
    Computed(Expr),
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Adds a unit to a work spec, and waits for its result.
    Work(Box<WorkAction>),
    /// Has the server do something.
    Builtin(Box<BuiltinAction>),
    /// Does the step of a function.
    Function {
        /// What the function is given; none is the input of the call.
        with: Option<Value>,
        /// The step.
        step: u32,
    },
    /// Does the steps of a list.
    Do(u32),
    /// Sends an event with these attributes.
    Emit(BTreeMap<String, Value>),
    /// Does a list for each item.
    For(Box<ForAction>),
    /// Does the steps of a list at the same time.
    Fork {
        /// The list.
        branches: u32,
        /// Whether the first that ends is the only one that counts.
        compete: bool,
    },
    /// Waits for events.
    Listen(Box<ListenAction>),
    /// Raises an error, whose parts these are.
    Raise(Value),
    /// Runs another workflow.
    Child(Box<ChildAction>),
    /// Gives this.
    Set(Value),
    /// Goes where the first case says whose condition is true or missing.
    Switch(Vec<SwitchCase>),
    /// Does a list, and catches its errors.
    Try(Box<TryAction>),
    /// Waits for a time.
    Wait(Delay),
}

/// A unit to add to a work spec.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkAction {
    /// The work spec.
    pub spec: Value,
    /// The name of the unit.
    pub name: Option<Value>,
    /// Its data; none is the input of the task.
    pub data: Option<Value>,
    /// Its priority.
    pub priority: Option<Value>,
    /// The time before which it is not handed out.
    pub not_before: Option<Value>,
    /// The time that one lease of it lasts.
    pub lifetime: Option<Delay>,
}

/// Something for the server to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BuiltinAction {
    /// What.
    pub builtin: super::Builtin,
    /// With what.
    pub with: Value,
    /// Whether names in braces in its addresses stand for keys of the input.
    pub addresses: bool,
    /// Whether its end is waited for.
    pub awaits: bool,
}

/// A list to do for each item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ForAction {
    /// The variable that holds the item.
    pub item: String,
    /// The variable that holds its number.
    pub at: String,
    /// What gives the items.
    pub items: Expr,
    /// It goes on as long as this is true.
    pub condition: Option<Expr>,
    /// How many items are done at the same time; none is one after the other, each with the
    /// output of the one before.
    pub concurrency: Option<u32>,
    /// What is done.
    pub list: u32,
}

/// Events to wait for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ListenAction {
    /// Which.
    pub to: Wanted,
    /// What is taken of each.
    pub read: Read,
    /// What is done with each as it comes.
    pub each: Option<ForEach>,
}

/// Which events are wanted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Wanted {
    /// The filters.
    pub filters: Vec<EventFilter>,
    /// How many of them must have had an event.
    pub until: Until,
}

/// When enough events have come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Until {
    /// After the first.
    First,
    /// After one for each filter.
    Each,
    /// When this is true of the list of events so far.
    Condition(Expr),
    /// When these have come.
    Events(Box<Wanted>),
    /// Never.
    Never,
}

/// A filter of events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventFilter {
    /// Attributes, `data` included, that an event must have with these values.
    pub literal: BTreeMap<String, Json>,
    /// Attributes whose values are computed: `.` is the attribute, and the result must be true, or
    /// equal to the attribute.
    pub computed: BTreeMap<String, Value>,
    /// Values that must be the same in all events: where each is in the event, and what it must be.
    pub correlate: BTreeMap<String, (Expr, Option<Value>)>,
}

/// What is taken of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Read {
    /// Its data.
    Data,
    /// Its attributes and data.
    Envelope,
    /// Its data as it came.
    Raw,
}

/// What is done with each event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ForEach {
    /// The variable that holds the event.
    pub item: String,
    /// The variable that holds its number.
    pub at: String,
    /// What is done.
    pub list: Option<u32>,
    /// What becomes of the output of each round.
    pub output: Shaping,
    /// What each round makes of the context.
    pub export: Shaping,
}

/// Another workflow to run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChildAction {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its version; none is the one that is published.
    pub version: Option<String>,
    /// What it takes; none is the input of the task.
    pub input: Option<Value>,
    /// Whether its end is waited for.
    pub awaits: bool,
}

/// A case of a switch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SwitchCase {
    /// Its name.
    pub name: String,
    /// The condition.
    pub when: Option<Expr>,
    /// Where to go on.
    pub then: Next,
}

/// A list whose errors are caught.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TryAction {
    /// The list.
    pub list: u32,
    /// Keys of the error, with the values that they must have.
    pub with: BTreeMap<String, Value>,
    /// The variable that holds the error.
    pub variable: String,
    /// Only errors for which this is true are caught.
    pub when: Option<Expr>,
    /// Errors for which this is true are not caught.
    pub except_when: Option<Expr>,
    /// How what failed is tried again.
    pub retry: Option<RetryPlan>,
    /// What is done when it is not tried again.
    pub handler: Option<u32>,
}

/// How what failed is tried again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RetryPlan {
    /// Only errors for which this is true are tried again.
    pub when: Option<Expr>,
    /// Errors for which this is true are not tried again.
    pub except_when: Option<Expr>,
    /// The time before the first try that follows.
    pub delay: Option<Delay>,
    /// How the delay grows.
    pub backoff: Growth,
    /// How many tries there may be after the first.
    pub count_max: Option<u64>,
    /// How long each may take.
    pub each_max: Option<Delay>,
    /// The time for all tries together.
    pub total_max: Option<Delay>,
    /// The least and the most by which delays vary.
    pub jitter: Option<(Delay, Delay)>,
}

/// How a delay grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Growth {
    /// It stays as it is.
    Constant,
    /// It grows by itself once more.
    Linear,
    /// It doubles.
    Exponential,
}
