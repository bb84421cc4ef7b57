//! How a step ends well, and what follows.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value as Json;

use super::{
    compute::Scope,
    evaluate::Evaluate,
    fault::Fault,
    machine::{Given, Machine, Place},
    outcome::{Effect, Note, What},
    program::{Action, ForAction, Next},
    state::{Body, Doing, ForBody, Status, TimerKind, Todo, Undo},
};
use crate::{expr, limits};

/// How many rounds begin before others have their turn.
const ROUNDS_AT_ONCE: usize = 100;

impl<E: Evaluate> Machine<'_, E> {
    /// Ends a step with what it gave.
    pub(super) async fn finish(&mut self, id: u64, raw: Json, then: Option<Next>) {
        let Some(step) = self.step_of(id) else { return };
        self.release(id);
        match self.settle(id, raw).await {
            Ok(output) => {
                let size = expr::size(&output);
                self.state.added += limits::COPIES_MAX * size;
                // What is large would be in the journal twice.
                let is_left_out = size > limits::NOTE_BYTES_MAX;
                let data = if is_left_out { Json::Null } else { output.clone() };
                let name = Some(self.name_of(id));
                self.notes.push(Note { what: What::Completed, step: name, data, is_left_out });
                self.leave(id, output, then.unwrap_or(step.then));
            }
            Err(fault) => self.fail_later(id, fault),
        }
    }

    async fn settle(&mut self, id: u64, raw: Json) -> Result<Json, Fault> {
        let Some(step) = self.step_of(id) else { return Ok(raw) };
        let scope = Scope { output: raw.clone(), ..Scope::of(id, &self.input_of(id)) };
        let output = self.shape_output(&step.output, raw, &scope).await?;
        let scope = Scope { output: output.clone(), ..scope };
        self.export(&step.export, &output, &scope).await?;
        if step.compensate.is_some() && self.state.status == Status::Running {
            self.can_undo(id, &output)?;
        }
        Ok(output)
    }

    fn can_undo(&mut self, id: u64, output: &Json) -> Result<(), Fault> {
        if self.state.undo.len() >= limits::UNDO_MAX {
            return Err(Self::too_many("steps to undo", limits::UNDO_MAX));
        }
        let Some(task) = self.task(id) else { return Ok(()) };
        let (step, round) = (task.step, self.round_of(id));
        let variables = self.all_variables(id);
        self.state.undo.push(Undo { step, round, output: output.clone(), variables });
        Ok(())
    }

    /// Gives the variables of a frame and of those around it.
    fn all_variables(&self, id: u64) -> BTreeMap<String, Json> {
        let mut all = BTreeMap::new();
        let mut next = Some(id);
        while let Some(frame) = next.and_then(|id| self.state.frames.get(&id)) {
            for (name, value) in &frame.variables {
                all.entry(name.clone()).or_insert_with(|| value.clone());
            }
            next = frame.parent;
        }
        all
    }

    /// Takes what something below a step has given.
    pub(super) async fn given(&mut self, id: u64, slot: u32, output: Json) {
        let (branches, compete) = match self.step_of(id).map(|step| &step.action) {
            Some(Action::Fork { branches, compete }) => (self.list(*branches).len(), *compete),
            _ => (0, false),
        };
        let Some(task) = self.task_mut(id) else { return };
        match &mut task.doing {
            Doing::Nested => self.given_now(id, output),
            Doing::Try(_) => {
                let name = TimerKind::Attempt.name(&self.name_of(id));
                self.clear_timer(name);
                self.given_now(id, output);
            }
            Doing::Fork(_) if compete => {
                self.cancel_below(id);
                self.given_now(id, output);
            }
            Doing::Fork(outputs) => {
                outputs.insert(slot, output);
                if outputs.len() == branches {
                    let all = std::mem::take(outputs).into_values().collect();
                    self.given_now(id, all);
                }
            }
            Doing::For(each) => {
                each.take(slot, output);
                self.state.todo.push_back(Todo::Advance(id));
            }
            Doing::Listen(_) => self.round_given(id, slot, output).await,
            Doing::Entering
            | Doing::Unit
            | Doing::Child
            | Doing::Time
            | Doing::Failed(_)
            | Doing::Stopped => {}
        }
    }

    /// Begins the next rounds of a step that has some.
    pub(super) async fn go_on(&mut self, id: u64) {
        let Some(step) = self.step_of(id) else { return };
        let result = match &step.action {
            Action::For(each) => self.next_rounds(id, each).await,
            Action::Listen(listen) => self.next_event(id, listen).await,
            _ => Ok(()),
        };
        if let Err(fault) = result {
            self.fail_later(id, fault);
        }
    }

    async fn next_rounds(&mut self, id: u64, each: &ForAction) -> Result<(), Fault> {
        for _ in 0..ROUNDS_AT_ONCE {
            let full = self.state.frames.len() + 2 > limits::FRAMES_MAX;
            let Some(Doing::For(body)) = self.task(id).map(|task| &task.doing) else {
                return Ok(());
            };
            let concurrency = each.concurrency.unwrap_or(1);
            if body.running >= concurrency || (full && body.running > 0) {
                return Ok(());
            }
            let Some(item) = body.item() else {
                if body.running == 0 {
                    let output = body.given.clone();
                    self.given_now(id, output);
                }
                return Ok(());
            };
            let (number, item) = (body.next, item.clone());
            // Rounds after each other pass on what they give, rounds beside each other do not.
            let given = match each.concurrency {
                Some(_) => Given::Around,
                None => Given::this(body.given.clone()),
            };
            let variables =
                BTreeMap::from([(each.item.clone(), item), (each.at.clone(), number.into())]);
            let goes_on = self.goes_on(id, each, &given, &variables).await?;
            let Some(Doing::For(body)) = self.task_mut(id).map(|task| &mut task.doing) else {
                return Ok(());
            };
            if !goes_on {
                body.items.truncate(usize::try_from(body.next).unwrap_or(usize::MAX));
                continue;
            }
            body.next += 1;
            body.running += 1;
            let mut place = self.place_below(id, number);
            place.round = place.round.enter(&number.to_string());
            self.begin_list(each.list, place, variables, given);
        }
        self.state.todo.push_back(Todo::Advance(id));
        Ok(())
    }

    /// Says whether a loop goes on with an item.
    async fn goes_on(
        &mut self,
        id: u64,
        each: &ForAction,
        given: &Given,
        variables: &BTreeMap<String, Json>,
    ) -> Result<bool, Fault> {
        let Some(condition) = &each.condition else { return Ok(true) };
        let input = self.input_of(id);
        let extra = variables.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        let scope = Scope { extra, ..Scope::of(id, &input) };
        let dot = match given {
            Given::Around => &input,
            Given::This(raw) => raw,
        };
        self.is_true(condition, dot, &scope).await
    }

    /// Ends the workflow with what it gave.
    pub(super) async fn end(&mut self, raw: Json) {
        let input = self.state.origin.as_ref().map(|origin| origin.input.clone());
        let scope = Scope {
            input: Arc::new(input.unwrap_or_default()),
            output: raw.clone(),
            ..Scope::default()
        };
        let program = self.program;
        match self.shape_output(&program.output, raw, &scope).await {
            Ok(output) => {
                self.cancel_everything();
                self.state.status = Status::Completed;
                self.state.output = Some(output.clone());
                self.state.undo.clear();
                self.note(What::Completed, None, output.clone());
                self.effects.push(Effect::Finished { output });
            }
            Err(fault) => self.fault_workflow(None, fault.within("/output")),
        }
    }

    /// Takes back all that the world does, and forgets all that is under way.
    pub(super) fn cancel_everything(&mut self) {
        let roots: Vec<u64> = self
            .state
            .frames
            .iter()
            .filter(|(_, frame)| frame.parent.is_none())
            .map(|(id, _)| *id)
            .collect();
        for root in roots {
            self.cancel(root);
        }
        let timers: Vec<String> = self.state.timers.keys().cloned().collect();
        for name in timers {
            self.clear_timer(name);
        }
        self.state.todo.clear();
        self.state.held.clear();
    }

    /// Begins to undo the last step that was not undone yet, or ends the workflow.
    pub(super) fn undo_next(&mut self) {
        let Some(undo) = self.state.undo.pop() else {
            let fault = self.state.fault.clone();
            self.cancel_everything();
            self.state.status = Status::Faulted;
            self.note(What::Compensated, None, Json::Null);
            return self.effects.extend(fault.map(|fault| Effect::Faulted { fault }));
        };
        let Some(list) = self.step(undo.step).and_then(|step| step.compensate) else {
            return self.state.todo.push_back(Todo::Undo);
        };
        let place = Place { parent: None, slot: 0, round: undo.round, at: 0 };
        self.begin_list(list, place, undo.variables, Given::this(undo.output));
    }

    /// Says whether a frame is a list.
    pub(super) fn is_list(&self, id: u64) -> bool {
        matches!(self.state.frames.get(&id).map(|frame| &frame.body), Some(Body::List(_)))
    }
}

impl ForBody {
    fn item(&self) -> Option<&Json> {
        self.items.get(usize::try_from(self.next).ok()?)
    }

    /// Keeps what a round gave: the last, or at its place among all.
    fn take(&mut self, slot: u32, output: Json) {
        self.running = self.running.saturating_sub(1);
        match (&mut self.given, usize::try_from(slot)) {
            (Json::Array(all), Ok(slot)) if self.beside => {
                if all.len() <= slot {
                    all.resize(slot + 1, Json::Null);
                }
                if let Some(place) = all.get_mut(slot) {
                    *place = output;
                }
            }
            (given, _) => *given = output,
        }
    }
}
