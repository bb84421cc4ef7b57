//! Workflow definitions: the Open Workflow Specification 1.0.x and our additions, read from YAML
//! or JSON with every problem at its place.
//!
//! [`Definition::parse`] is the one way in; [`schema`] gives the JSON Schema for editors. This
//! crate does no I/O and runs nothing.

mod declare;
mod shape;

mod access;
mod call;
mod catch;
mod check;
mod compare;
mod concurrency;
mod cron;
mod data;
mod definition;
mod document;
mod duration;
mod event;
pub mod expr;
mod expression;
pub mod graph;
pub mod instance;
pub mod limits;
pub mod mail;
mod node;
mod problem;
mod process;
pub mod publish;
mod rows;
pub mod run;
mod schedule;
mod schema;
mod slots;
mod task;
mod text;
mod timer;
mod value;

pub use access::{
    Authentication, AuthenticationUse, Basic, Bearer, Client, ClientAuthentication, Endpoint,
    Grant, GuardedEndpoint, OAuth2, OAuth2Endpoints, Resource,
};
pub use call::{
    Answer, Call, FunctionCall, HttpCall, MailAction, MailCall, Method, OpenApiCall, Priority,
    WorkCall,
};
pub use catch::{
    Arguments, AttemptLimit, Backoff, Catch, Emit, EmittedEvent, Fault, FaultFilter, FaultMatch,
    Jitter, Raise, Retry, RetryLimit,
};
pub use compare::compare;
pub use concurrency::{Beyond, Concurrency, Turns};
pub use cron::Cron;
pub use data::{Contract, ContractFormat, Export, Input, Output, Timeout};
pub use definition::Definition;
pub use document::{Components, Document, Head};
pub use duration::{Duration, Length, Parts};
pub use event::{Attributes, Correlation, Filter, ForEachEvent, Listen, Part, Strategy, Until};
pub use expression::{Expression, Projection, Template, Text, Verbatim};
pub use problem::{Code, Path, Pos, Problem, Severity, Step};
pub use process::{ProcessArguments, Returns, Run, Script, Shell, Subflow, SubflowVersion};
pub use schedule::{CatchUp, CatchUpAll, Overlap, Schedule};
pub use schema::schema;
pub use slots::{Plan, Rule};
pub use task::{
    Case, Common, Do, Each, EmitTask, Flow, For, Fork, ForkTask, Kind, ListenTask, RaiseTask,
    RunTask, Set, Switch, Task, Tasks, Try, Wait,
};
pub use timer::{
    TimerKind, TimerRow, TriggerState, Waiting, clear_trigger, set_trigger, trigger_state,
};
pub use value::{Dsl, Label, Name, Named, Ref, Sequence, Variable, Version, Zone};
