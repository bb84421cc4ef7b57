//! Running a definition: a pure reducer over the state of one instance.
//!
//! [`Program::compile`] makes of a [`crate::Definition`] what can be run. [`advance`] takes a
//! state and a message and gives the next state, the effects that the world shall do in the same
//! transaction, and a record for the journal. It knows no clock and no chance: the time comes with
//! each message, and the seed with the first. Expressions are computed by whoever implements
//! [`Evaluate`]; what they gave is in the record, so that [`retake`] needs nobody to compute.
//!
//! A state is a tree of frames: lists, each with the step that it is at, and steps, each with the
//! lists that it does. What is to be done next stands in a queue, which a message fills and
//! [`advance`] works off. A message that leaves more to do than is good for one transaction ends
//! with [`Effect::Continue`].
//!
//! # What a document gets
//!
//! - The condition `if` sees the raw input, and is true unless it gives `false` or `null`.
//! - A `for` gives what its last round gave, and each round takes what the one before gave; with
//!   `concurrency` each takes the input, and it gives a list. `fork` gives a list in the order of
//!   its branches, or what the first of competing ones gave. `listen` always gives a list.
//! - In a filter of events, `.` is the attribute that the expression stands at. The result must be
//!   `true`, or equal to the attribute.
//! - `when` and `exceptWhen` see the input of their `try` as `.`, and the error as a variable. When
//!   all tries have failed, `catch.do` is done; without it, the error goes on.
//! - Steps that were done and have `compensate` are undone, the last first, when the workflow
//!   faults, also those of a `try` that caught an error. A workflow that is cancelled undoes
//!   nothing. What cannot be undone always waits for an operator.
//! - Expressions with `$secrets` see the names of secrets; whoever does a step of the server puts
//!   the secrets in, and takes them out of what it gives. Workers of others get the names.
//!
//! # What a driver does
//!
//! 1. It loads program and state, and calls [`advance`] outside of any transaction.
//! 2. In one transaction it checks that the state is still the one it loaded, and keeps the new
//!    state, the record, and what the effects ask for.
//! 3. It sends what follows: [`Message::Continue`] where it was asked for, `UnitDone`,
//!    `TimerFired`, `Event`, `ChildDone` as they happen. Each may be sent more than once.

mod compile;
mod compute;
mod control;
mod enter;
mod evaluate;
mod fail;
mod fault;
mod lifecycle;
mod listen;
mod machine;
mod message;
mod outcome;
mod outside;
mod program;
mod sealed;
mod settle;
mod snapshot;
mod some;
mod state;
mod view;

pub use evaluate::{Ask, Evaluate};
pub use fault::{Fault, Standard};
pub use lifecycle::lifecycle;
pub use machine::{advance, retake};
pub use message::{Delivery, Message, Start, StepResult, Uncaught};
pub use outcome::{
    Answer, Builtin, ChildPlan, Effect, Note, Outcome, Record, Target, UnitPlan, WaitPlan, What,
};
pub use program::{
    Action, BuiltinAction, ChildAction, Delay, EventFilter, Expr, ForAction, ForEach, Growth,
    IR_VERSION, ListenAction, Next, Program, Read, RetryPlan, Shaping, Step, SwitchCase, TryAction,
    Until, Value, Wanted, WorkAction,
};
pub use sealed::{Used, is_sealed, sealed, wipe};
pub use snapshot::Snapshot;
pub use state::{Origin, State, Status};
