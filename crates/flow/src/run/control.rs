//! What each message does.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value as Json;

use super::{
    compute::Scope,
    evaluate::Evaluate,
    fault::{Fault, Standard},
    machine::{Given, Machine, Place},
    message::{Delivery, Message, Start, StepResult},
    outcome::{Effect, What},
    program::Next,
    state::{Doing, Origin, Phase, Round, Status, TimerKind, Todo},
};
use crate::{expr, limits};

impl<E: Evaluate> Machine<'_, E> {
    /// Takes a message, and does what follows.
    pub(super) async fn take(&mut self, message: &Message) -> bool {
        let taken = match self.state.status {
            Status::Suspended => self.take_suspended(message).await,
            Status::Pending | Status::Running | Status::Compensating => self.apply(message).await,
            Status::Faulted => match message {
                Message::RetryStep { .. } | Message::SkipStep { .. } => self.apply(message).await,
                _ => false,
            },
            Status::Completed | Status::Cancelled => false,
        };
        if taken {
            self.work_off().await;
            self.keep_small(message);
        }
        taken
    }

    /// Ends an instance that would be too large to keep.
    ///
    /// It is measured only when what was added since could have made it too large.
    fn keep_small(&mut self, message: &Message) {
        let answers = self.recorded.unwrap_or(&self.answers);
        let added = expr::size(message) + expr::size(answers);
        self.state.added += limits::COPIES_MAX * added;
        let max = limits::STATE_BYTES_MAX;
        if self.state.measured + self.state.added <= max {
            return;
        }
        self.state.measured = expr::size(&self.state);
        self.state.added = 0;
        if self.state.measured > max && self.state.status == Status::Running {
            self.state.undo.clear();
            let why = format!("the state of the instance has more than {max} bytes");
            self.fault_workflow(None, Fault::standard(Standard::Runtime, why));
        }
    }

    async fn apply(&mut self, message: &Message) -> bool {
        if self.state.status == Status::Pending {
            return match message {
                Message::Start(start) => self.start(start).await,
                Message::Cancel { reason } => self.cancel_workflow(reason.as_deref()),
                _ => false,
            };
        }
        match message {
            Message::Start(_) => false,
            Message::Continue => !self.state.todo.is_empty(),
            Message::UnitDone { step, result } => self.outside_done(step, &Doing::Unit, result),
            Message::ChildDone { step, result } => self.outside_done(step, &Doing::Child, result),
            Message::TimerFired { name } => self.timer(name).await,
            Message::Event { wait, event } => self.event(wait, event).await,
            Message::Cancel { reason } => self.cancel_workflow(reason.as_deref()),
            Message::Pause => {
                self.state.status = Status::Suspended;
                self.state.stopped = Some(self.at);
                self.stop_waiting();
                self.note(What::Suspended, None, Json::Null);
                true
            }
            Message::Resume => false,
            Message::RetryStep { step, input } => {
                let Some(id) = self.failed_step(step.as_deref()) else { return false };
                self.thaw();
                self.release(id);
                self.again(id, input.clone());
                true
            }
            Message::SkipStep { step, output } => {
                let Some(id) = self.failed_step(step.as_deref()) else { return false };
                self.thaw();
                self.release(id);
                let output = output.clone().unwrap_or_else(|| Json::clone(&self.input_of(id)));
                let then = self.step_of(id).map_or(Next::Continue, |step| step.then);
                self.note(What::Skipped, Some(id), output.clone());
                self.leave(id, output, then);
                true
            }
        }
    }

    async fn take_suspended(&mut self, message: &Message) -> bool {
        match message {
            Message::Cancel { reason } => self.cancel_workflow(reason.as_deref()),
            Message::Resume => {
                // Only what is under way can be suspended, and what is undone is not.
                let undone = self.state.fault.is_some();
                self.state.status = if undone { Status::Compensating } else { Status::Running };
                self.state.stopped = None;
                self.wait_again();
                self.note(What::Resumed, None, Json::Null);
                for held in std::mem::take(&mut self.state.held) {
                    self.apply(&held.message).await;
                }
                true
            }
            Message::UnitDone { .. }
            | Message::ChildDone { .. }
            | Message::TimerFired { .. }
            | Message::RetryStep { .. }
            | Message::SkipStep { .. } => {
                let room = self.state.held.len() < limits::HELD_MAX;
                if room {
                    let held = Delivery { at: self.at, message: message.clone() };
                    self.state.held.push(held);
                }
                room
            }
            // Events are kept by whoever sends them, and sent again when waits are registered.
            Message::Event { .. } | Message::Start(_) | Message::Continue | Message::Pause => false,
        }
    }

    async fn start(&mut self, start: &Start) -> bool {
        self.state.status = Status::Running;
        self.state.context = start.context.clone().unwrap_or_default();
        self.state.origin = Some(Origin {
            id: start.id.clone(),
            seed: start.seed,
            started: self.at,
            input: start.input.clone(),
            uncaught: start.uncaught,
        });
        self.note(What::Started, None, Json::Null);
        if let Err(fault) = self.begin_workflow(start).await {
            self.fault_workflow(None, fault);
        }
        true
    }

    async fn begin_workflow(&mut self, start: &Start) -> Result<(), Fault> {
        let program = self.program;
        let mut at = 0;
        let mut input = start.input.clone();
        if let Some(from) = &start.from {
            let named = |step: &&u32| self.step(**step).is_some_and(|step| step.name == *from);
            let place = self.list(0).iter().take_while(|step| !named(step)).count();
            if place == self.list(0).len() {
                let why = format!("no task of the top level is named {from:?}");
                return Err(Fault::standard(Standard::Configuration, why));
            }
            at = u32::try_from(place).unwrap_or_default();
        } else {
            let scope = Scope { input: Arc::new(input.clone()), ..Scope::default() };
            let shaped = self.shape_input(&program.input, &input, &scope).await;
            input = shaped.map_err(|fault| fault.within("/input"))?;
        }
        if let Some(timeout) = &program.timeout {
            let scope = Scope { input: Arc::new(input.clone()), ..Scope::default() };
            let end = self.after(timeout, self.at, &input, &scope).await;
            let end = end.map_err(|fault| fault.within("/timeout"))?;
            self.set_timer(None, TimerKind::Timeout, end);
        }
        let place = Place { parent: None, slot: 0, round: Round::default(), at };
        self.begin_list(0, place, BTreeMap::new(), Given::this(input));
        Ok(())
    }

    fn outside_done(&mut self, step: &str, by: &Doing, result: &StepResult) -> bool {
        let Some(id) = self.state.waiting.get(step).copied() else { return false };
        if self.task(id).is_none_or(|task| task.doing != *by) {
            return false;
        }
        self.state.waiting.remove(step);
        self.does(id, Doing::Nested);
        let todo = match result {
            StepResult::Output(output) => {
                Todo::Finish { frame: id, output: output.clone(), then: None }
            }
            StepResult::Fault(fault) => Todo::Fail { frame: id, fault: fault.clone() },
        };
        self.state.todo.push_back(todo);
        true
    }

    async fn timer(&mut self, name: &str) -> bool {
        let Some(timer) = self.state.timers.remove(name) else { return false };
        let Some(id) = timer.frame else {
            let fault = Fault::standard(Standard::Timeout, "the workflow took too long");
            self.fault_workflow(None, fault);
            return true;
        };
        match timer.kind {
            TimerKind::Wait => {
                let output = Json::clone(&self.input_of(id));
                self.state.todo.push_back(Todo::Finish { frame: id, output, then: None });
            }
            TimerKind::Timeout => self.overdue(id),
            TimerKind::Retry => {
                let delaying = matches!(
                    self.task(id).map(|task| &task.doing),
                    Some(Doing::Try(doing)) if doing.phase == Phase::Delaying
                );
                if delaying {
                    self.try_again(id).await;
                }
            }
            TimerKind::Attempt => {
                let below = self.state.frames.iter().find(|(_, frame)| frame.parent == Some(id));
                if let Some(list) = below.map(|(list, _)| *list) {
                    self.overdue(list);
                }
            }
        }
        true
    }

    fn cancel_workflow(&mut self, reason: Option<&str>) -> bool {
        self.cancel_everything();
        self.state.undo.clear();
        self.state.status = Status::Cancelled;
        self.note(What::Cancelled, None, reason.map_or(Json::Null, Json::from));
        self.effects.push(Effect::Cancelled);
        true
    }

    /// Finds a step that has failed and waits for an operator.
    fn failed_step(&self, step: Option<&str>) -> Option<u64> {
        let failed =
            |id: &u64| matches!(self.task(*id).map(|task| &task.doing), Some(Doing::Failed(_)));
        let mut all = self.state.frames.keys().copied().filter(failed);
        match step {
            None => all.next_back(),
            // An operator may leave the number of the round out.
            Some(step) => all.find(|id| {
                let name = self.name_of(*id);
                let path = name.rsplit_once('/').map_or("", |(path, _)| path);
                name == step || path == step.trim_start_matches('/')
            }),
        }
    }
}
