//! How a step begins.

use std::{collections::BTreeMap, sync::Arc};

use model::Time;
use serde_json::{Map, Value as Json};

use super::{
    compute::Scope,
    evaluate::Evaluate,
    fault::{Fault, Standard},
    machine::{Given, Machine, Place},
    outcome::{Effect, What},
    program::{Action, ForAction, Next, Step, SwitchCase},
    state::{Doing, ForBody, Phase, Status, TimerKind, Todo, TryBody},
};
use crate::limits;

impl<E: Evaluate> Machine<'_, E> {
    /// Begins a step, unless its condition leaves it out.
    pub(super) async fn enter(&mut self, id: u64) {
        let Some(step) = self.step_of(id) else { return };
        self.state.begun += 1;
        // What is undone has as many steps of its own.
        let undone = u64::from(self.state.status == Status::Compensating);
        if self.state.begun > limits::STEPS_BEGUN_MAX * (1 + undone) {
            // Nothing catches this, for whoever did could go round with it.
            let fault = Fault::standard(Standard::Runtime, "the workflow goes round without end");
            return self.fault_workflow(None, fault.within(&step.path));
        }
        if self.state.frames.len() > limits::FRAMES_MAX {
            let fault = Self::too_many("steps at the same time", limits::FRAMES_MAX);
            return self.fail_later(id, fault);
        }
        let at = self.at;
        let Some(task) = self.task_mut(id) else { return };
        task.started = at;
        let raw = self.raw_of(id);
        match self.begin(id, step, &raw).await {
            Ok(true) => {}
            Ok(false) => {
                self.note(What::Skipped, Some(id), Json::Null);
                self.leave(id, Json::clone(&raw), Next::Continue);
            }
            Err(fault) => self.fail_later(id, fault),
        }
    }

    /// Answers whether the step was done or begun.
    async fn begin(&mut self, id: u64, step: &Step, raw: &Arc<Json>) -> Result<bool, Fault> {
        let before = Scope::of(id, raw);
        if let Some(condition) = &step.condition
            && !self.is_true(condition, raw, &before).await?
        {
            return Ok(false);
        }
        self.note(What::Started, Some(id), Json::Null);
        let mut deadline = None;
        if let Some(timeout) = &step.timeout {
            let at = self.after(timeout, self.at, raw, &before).await?;
            self.set_timer(Some(id), TimerKind::Timeout, at);
            deadline = Some(at);
        }
        self.fit(&step.input, raw).await?;
        let mut input = Arc::clone(raw);
        if let Some(made) = &step.input.made {
            input = Arc::new(self.render(made, raw, &before).await?);
            if let Some(task) = self.task_mut(id) {
                task.input = Some(Arc::clone(&input));
            }
        }
        self.act(id, step, input, deadline).await?;
        Ok(true)
    }

    async fn act(
        &mut self,
        id: u64,
        step: &Step,
        input: Arc<Json>,
        deadline: Option<Time>,
    ) -> Result<(), Fault> {
        let scope = Scope::of(id, &input);
        match &step.action {
            Action::Set(value) => {
                let output = self.render(value, &input, &scope).await?;
                self.given_now(id, output);
            }
            Action::Switch(cases) => {
                let then = self.chosen(cases, &input, &scope).await?;
                let output = Json::clone(&input);
                self.state.todo.push_front(Todo::Finish { frame: id, output, then });
            }
            Action::Raise(parts) => {
                let parts = self.render(parts, &input, &scope).await?;
                return Err(raised(&parts));
            }
            Action::Emit(with) => {
                let event = self.render_map(with, &input, &scope).await?;
                let event = self.completed_event(id, event);
                self.effects.push(Effect::Emit { event: event.clone() });
                self.given_now(id, event);
            }
            Action::Wait(delay) => {
                let at = self.after(delay, self.at, &input, &scope).await?;
                self.set_timer(Some(id), TimerKind::Wait, at);
                self.does(id, Doing::Time);
            }
            Action::Work(work) => self.add_work(id, step, work, &input, deadline).await?,
            Action::Builtin(builtin) => {
                self.add_builtin(id, step, builtin, &input, deadline).await?;
            }
            Action::Child(child) => self.start_child(id, step, child, &input).await?,
            Action::Function { with, step } => {
                let given = match with {
                    Some(with) => Given::this(self.render(with, &input, &scope).await?),
                    None => Given::Around,
                };
                self.does(id, Doing::Nested);
                let place = self.place_below(id, 0);
                self.begin_step(*step, place, given);
            }
            Action::Do(list) => {
                self.does(id, Doing::Nested);
                let place = self.place_below(id, 0);
                self.begin_list(*list, place, BTreeMap::new(), Given::Around);
            }
            Action::For(each) => self.begin_for(id, each, &input).await?,
            Action::Fork { branches, .. } => self.begin_fork(id, *branches),
            Action::Listen(listen) => self.begin_listen(id, listen, &input).await?,
            Action::Try(_) => {
                let body = TryBody { phase: Phase::Trying, failed: 0, fault: None };
                self.does(id, Doing::Try(body));
                self.begin_try(id).await?;
            }
        }
        Ok(())
    }

    /// Says how far a step is.
    pub(super) fn does(&mut self, id: u64, doing: Doing) {
        if let Some(task) = self.task_mut(id) {
            task.doing = doing;
        }
    }

    pub(super) fn place_below(&self, id: u64, slot: u32) -> Place {
        Place { parent: Some(id), slot, round: self.round_of(id), at: 0 }
    }

    /// Ends a step that is done at once.
    pub(super) fn given_now(&mut self, id: u64, output: Json) {
        // At the front, so that a row of such steps is done before the next one begins.
        self.state.todo.push_front(Todo::Finish { frame: id, output, then: None });
    }

    async fn chosen(
        &mut self,
        cases: &[SwitchCase],
        input: &Arc<Json>,
        scope: &Scope,
    ) -> Result<Option<Next>, Fault> {
        for case in cases {
            let counts = match &case.when {
                Some(when) => self.is_true(when, input, scope).await?,
                None => true,
            };
            if counts {
                return Ok(Some(case.then));
            }
        }
        Ok(None)
    }

    /// Fills in what the author of an event left out.
    fn completed_event(&self, id: u64, mut event: Map<String, Json>) -> Json {
        let origin = self.state.origin.as_ref().map_or("", |origin| &origin.id);
        let mut fill = |key: &str, value: String| {
            event.entry(key.to_owned()).or_insert_with(|| value.into());
        };
        fill("specversion", "1.0".to_owned());
        fill("id", format!("{origin}/{}", self.name_of(id)));
        fill("time", self.at.to_string());
        Json::Object(event)
    }

    async fn begin_for(
        &mut self,
        id: u64,
        each: &ForAction,
        input: &Arc<Json>,
    ) -> Result<(), Fault> {
        let items = self.expr(&each.items, input, &Scope::of(id, input)).await?;
        let Json::Array(items) = items else {
            return Err(wrong("for.in", &items, "a list"));
        };
        let beside = each.concurrency.is_some();
        let given = if beside { Json::Array(Vec::new()) } else { Json::clone(input) };
        self.does(id, Doing::For(ForBody { items, next: 0, running: 0, beside, given }));
        self.state.todo.push_back(Todo::Advance(id));
        Ok(())
    }

    fn begin_fork(&mut self, id: u64, branches: u32) {
        let steps = self.list(branches);
        self.does(id, Doing::Fork(BTreeMap::new()));
        for (slot, step) in (0..).zip(steps) {
            let place = self.place_below(id, slot);
            self.begin_step(*step, place, Given::Around);
        }
    }
}

pub(super) fn wrong(key: &str, value: &Json, wanted: &str) -> Fault {
    let shown: String = value.to_string().chars().take(200).collect();
    Fault::standard(Standard::Expression, format!("{key:?} must be {wanted}, and is {shown}"))
}

/// Reads an error that a document raises.
fn raised(parts: &Json) -> Fault {
    let text = |key: &str| parts.get(key).and_then(Json::as_str).map(ToOwned::to_owned);
    let status = parts.get("status").and_then(Json::as_u64);
    match (text("type"), status.and_then(|status| u16::try_from(status).ok())) {
        (Some(kind), Some(status)) => Fault {
            kind,
            status,
            title: text("title"),
            detail: text("detail"),
            instance: text("instance"),
        },
        _ => wrong("raise.error", parts, "an error with a \"type\" and a \"status\""),
    }
}
