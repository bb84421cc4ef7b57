//! How a step fails, who catches the error, and what happens if nobody does.

use std::{collections::BTreeMap, sync::Arc};

use model::Time;
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use super::{
    compute::Scope,
    evaluate::Evaluate,
    fault::{Fault, Standard},
    machine::{Given, Machine},
    message::Uncaught,
    outcome::{Effect, What},
    program::{Action, Growth, RetryPlan, TryAction},
    state::{Doing, Phase, Status, TimerKind, Todo},
};

/// What a `try` makes of an error.
enum Verdict {
    /// It is none of its.
    Passed,
    /// The list is done again at this time.
    Retried(Time),
    /// The other list is done.
    Handled(u32),
    /// Nothing is done about it.
    Swallowed,
}

impl<E: Evaluate> Machine<'_, E> {
    /// Ends a step or a list with an error, and looks who catches it.
    pub(super) async fn fail(&mut self, id: u64, fault: Fault) {
        if !self.state.frames.contains_key(&id) {
            return;
        }
        let mut fault = match self.path_of(id) {
            Some(path) => fault.within(path),
            None => fault,
        };
        self.cancel_below(id);
        self.release(id);
        if self.task(id).is_some() {
            self.note(What::Faulted, Some(id), fault.to_json());
            self.does(id, Doing::Failed(fault.clone()));
        }
        let mut next = self.state.frames.get(&id).and_then(|frame| frame.parent);
        while let Some(around) = next {
            match self.verdict(around, &fault).await {
                Ok(Verdict::Passed) => {}
                Ok(verdict) => return self.catch(around, fault, verdict).await,
                // Who looks at an error and fails has an error of its own.
                Err(other) => {
                    fault = match self.path_of(around) {
                        Some(path) => other.within(path),
                        None => other,
                    }
                }
            }
            next = self.state.frames.get(&around).and_then(|frame| frame.parent);
        }
        self.uncaught(id, fault);
    }

    /// Gives the path of the step of a frame, or of the one around it.
    fn path_of(&self, id: u64) -> Option<&str> {
        let task = if self.is_list(id) { self.state.frames.get(&id)?.parent? } else { id };
        self.step_of(task).map(|step| step.path.as_str())
    }

    async fn verdict(&mut self, id: u64, fault: &Fault) -> Result<Verdict, Fault> {
        let Some(Action::Try(body)) = self.step_of(id).map(|step| &step.action) else {
            return Ok(Verdict::Passed);
        };
        let trying = match self.task(id).map(|task| &task.doing) {
            Some(Doing::Try(doing)) => doing.phase == Phase::Trying,
            _ => false,
        };
        if !trying {
            return Ok(Verdict::Passed);
        }
        let input = self.input_of(id);
        let extra = vec![(body.variable.clone(), fault.to_json())];
        let scope = Scope { extra, ..Scope::of(id, &input) };
        if !self.is_caught(body, fault, &input, &scope).await? {
            return Ok(Verdict::Passed);
        }
        if let Some(retry) = &body.retry
            && let Some(at) = self.retried_at(id, retry, &input, &scope).await?
        {
            return Ok(Verdict::Retried(at));
        }
        Ok(match (body.handler, &body.retry) {
            (Some(list), _) => Verdict::Handled(list),
            (None, Some(_)) => Verdict::Passed,
            (None, None) => Verdict::Swallowed,
        })
    }

    async fn is_caught(
        &mut self,
        body: &TryAction,
        fault: &Fault,
        input: &Arc<Json>,
        scope: &Scope,
    ) -> Result<bool, Fault> {
        let with = self.render_map(&body.with, input, scope).await?;
        let known = fault.to_json();
        if !with.iter().all(|(key, value)| known.get(key) == Some(value)) {
            return Ok(false);
        }
        self.passes(body.when.as_ref(), body.except_when.as_ref(), input, scope).await
    }

    async fn passes(
        &mut self,
        when: Option<&super::Expr>,
        except_when: Option<&super::Expr>,
        input: &Arc<Json>,
        scope: &Scope,
    ) -> Result<bool, Fault> {
        if let Some(when) = when
            && !self.is_true(when, input, scope).await?
        {
            return Ok(false);
        }
        match except_when {
            Some(except) => Ok(!self.is_true(except, input, scope).await?),
            None => Ok(true),
        }
    }

    /// Says when a list is done again, if it is.
    async fn retried_at(
        &mut self,
        id: u64,
        retry: &RetryPlan,
        input: &Arc<Json>,
        scope: &Scope,
    ) -> Result<Option<Time>, Fault> {
        if !self.passes(retry.when.as_ref(), retry.except_when.as_ref(), input, scope).await? {
            return Ok(None);
        }
        let Some(task) = self.task(id) else { return Ok(None) };
        let Doing::Try(doing) = &task.doing else { return Ok(None) };
        let (failed, began) = (u64::from(doing.failed) + 1, task.started);
        if retry.count_max.is_some_and(|max| failed > max) {
            return Ok(None);
        }
        let mut at = self.at;
        if let Some(delay) = &retry.delay {
            let once = self.after(delay, self.at, input, scope).await?.since(self.at);
            let times = match retry.backoff {
                Growth::Constant => 1,
                Growth::Linear => u32::try_from(failed).unwrap_or(u32::MAX),
                Growth::Exponential => 1 << (failed - 1).min(31),
            };
            at = at.plus(once.saturating_mul(times));
        }
        if let Some((from, to)) = &retry.jitter {
            let from = self.after(from, self.at, input, scope).await?.since(self.at);
            let to = self.after(to, self.at, input, scope).await?.since(self.at);
            let spread = to.saturating_sub(from);
            at = at.plus(from + spread.mul_f64(self.chance(id, failed)));
        }
        if let Some(total) = &retry.total_max {
            let end = self.after(total, began, input, scope).await?;
            if at > end {
                return Ok(None);
            }
        }
        Ok(Some(at))
    }

    /// Gives a number from 0 to 1 that is always the same for the same try of the same instance.
    fn chance(&self, id: u64, failed: u64) -> f64 {
        let seed = self.state.origin.as_ref().map_or(0, |origin| origin.seed);
        let text = format!("{seed}/{}/{failed}", self.name_of(id));
        let digest = Sha256::digest(text.as_bytes());
        let number =
            digest.iter().take(4).fold(0u32, |number, byte| number << 8 | u32::from(*byte));
        f64::from(number) / f64::from(u32::MAX)
    }

    async fn catch(&mut self, id: u64, fault: Fault, verdict: Verdict) {
        self.cancel_below(id);
        let attempt = TimerKind::Attempt.name(&self.name_of(id));
        self.clear_timer(attempt);
        let phase = match &verdict {
            Verdict::Retried(_) => Phase::Delaying,
            Verdict::Handled(_) | Verdict::Swallowed | Verdict::Passed => Phase::Handling,
        };
        if let Some(Doing::Try(doing)) = self.task_mut(id).map(|task| &mut task.doing) {
            doing.phase = phase;
            doing.failed += 1;
            doing.fault = Some(fault.clone());
        }
        self.note(What::Caught, Some(id), fault.to_json());
        match verdict {
            Verdict::Retried(at) if at > self.at => self.set_timer(Some(id), TimerKind::Retry, at),
            Verdict::Retried(_) => self.try_again(id).await,
            Verdict::Handled(list) => {
                let variable = match self.step_of(id).map(|step| &step.action) {
                    Some(Action::Try(body)) => body.variable.clone(),
                    _ => String::new(),
                };
                let variables = BTreeMap::from([(variable, fault.to_json())]);
                let mut place = self.place_below(id, 0);
                place.slot = 1;
                self.begin_list(list, place, variables, Given::Around);
            }
            Verdict::Swallowed | Verdict::Passed => {
                let input = self.input_of(id);
                self.given_now(id, Json::clone(&input));
            }
        }
    }

    /// Does the list of a `try` again.
    pub(super) async fn try_again(&mut self, id: u64) {
        if let Some(Doing::Try(doing)) = self.task_mut(id).map(|task| &mut task.doing) {
            doing.phase = Phase::Trying;
        }
        self.note(What::Retried, Some(id), Json::Null);
        if let Err(fault) = self.begin_try(id).await {
            self.fail_later(id, fault);
        }
    }

    /// Begins the list of a `try`.
    pub(super) async fn begin_try(&mut self, id: u64) -> Result<(), Fault> {
        let Some(Action::Try(body)) = self.step_of(id).map(|step| &step.action) else {
            return Ok(());
        };
        let Some(Doing::Try(doing)) = self.task(id).map(|task| &task.doing) else {
            return Ok(());
        };
        let failed = doing.failed;
        let input = self.input_of(id);
        if let Some(each_max) = body.retry.as_ref().and_then(|retry| retry.each_max.as_ref()) {
            let at = self.after(each_max, self.at, &input, &Scope::of(id, &input)).await?;
            self.set_timer(Some(id), TimerKind::Attempt, at);
        }
        let mut place = self.place_below(id, 0);
        place.round = place.round.again('r', failed);
        self.begin_list(body.list, place, BTreeMap::new(), Given::Around);
        Ok(())
    }

    fn uncaught(&mut self, id: u64, fault: Fault) {
        // A list that failed is stopped as the step around it.
        let around = self.state.frames.get(&id).and_then(|frame| frame.parent);
        let task = if self.is_list(id) { around } else { Some(id) };
        let asked = self.state.status == Status::Compensating
            || self.state.origin.as_ref().is_some_and(|o| o.uncaught == Uncaught::Incident);
        match task {
            Some(task) if asked => {
                self.stop(task, fault.clone());
                let step = self.name_of(task);
                self.state.waiting.insert(step.clone(), task);
                self.note(What::Incident, Some(task), fault.to_json());
                self.effects.push(Effect::Incident { step, fault });
            }
            task => self.fault_workflow(task, fault),
        }
    }

    /// Stops a step, so that an operator can have it done again.
    fn stop(&mut self, id: u64, fault: Fault) {
        self.cancel_below(id);
        self.release(id);
        self.does(id, Doing::Failed(fault));
    }

    /// Ends the workflow with an error, after it was undone if there is something to undo.
    pub(super) fn fault_workflow(&mut self, failed: Option<u64>, fault: Fault) {
        self.state.fault = Some(fault.clone());
        self.note(What::Faulted, None, fault.to_json());
        if !self.state.undo.is_empty() && self.state.status == Status::Running {
            self.cancel_everything();
            self.state.status = Status::Compensating;
            self.note(What::Compensating, None, Json::Null);
            return self.state.todo.push_back(Todo::Undo);
        }
        match failed {
            Some(id) => {
                self.stop(id, fault.clone());
                self.freeze();
            }
            None => self.cancel_everything(),
        }
        self.state.status = Status::Faulted;
        self.state.stopped = Some(self.at);
        self.effects.push(Effect::Faulted { fault });
    }

    /// Takes back all that the world does, but keeps what is under way, for an operator may have
    /// the instance go on.
    fn freeze(&mut self) {
        let waiting = std::mem::take(&mut self.state.waiting);
        for (name, id) in waiting {
            let Some(task) = self.task_mut(id) else { continue };
            let effect = match task.doing {
                Doing::Unit => {
                    task.doing = Doing::Stopped;
                    Effect::CancelUnit { step: name }
                }
                Doing::Child => {
                    task.doing = Doing::Stopped;
                    Effect::CancelChild { step: name }
                }
                Doing::Listen(_) => {
                    self.state.waiting.insert(name.clone(), id);
                    Effect::ClearWait { name }
                }
                Doing::Failed(_) => Effect::ClearIncident { step: name },
                _ => continue,
            };
            self.effects.push(effect);
        }
        let timers: Vec<String> = self.state.timers.keys().cloned().collect();
        self.effects.extend(timers.into_iter().map(|name| Effect::ClearTimer { name }));
    }

    /// Has a failed instance go on where it stopped.
    pub(super) fn thaw(&mut self) {
        if self.state.status != Status::Faulted {
            return;
        }
        self.state.status = Status::Running;
        self.state.fault = None;
        let rested = self.state.stopped.take().map_or_else(Default::default, |s| self.at.since(s));
        let stopped: Vec<u64> = self
            .state
            .frames
            .keys()
            .copied()
            .filter(|id| self.task(*id).is_some_and(|task| task.doing == Doing::Stopped))
            .collect();
        for id in stopped {
            self.again(id, None);
        }
        for timer in self.state.timers.values_mut() {
            timer.at = timer.at.plus(rested);
        }
        let timers = self.state.timers.iter();
        let set = timers.map(|(name, timer)| Effect::SetTimer { name: name.clone(), at: timer.at });
        self.effects.extend(set);
        self.wait_again();
        self.note(What::Resumed, None, Json::Null);
    }

    /// Does a step from its beginning.
    pub(super) fn again(&mut self, id: u64, raw: Option<Json>) {
        let Some(task) = self.task_mut(id) else { return };
        task.retried += 1;
        task.doing = Doing::Entering;
        task.input = None;
        if let Some(raw) = raw {
            task.raw = Some(Arc::new(raw));
        }
        self.note(What::Retried, Some(id), Json::Null);
        self.state.todo.push_back(Todo::Enter(id));
    }

    /// Fails what took too long.
    pub(super) fn overdue(&mut self, id: u64) {
        self.fail_later(id, Fault::standard(Standard::Timeout, "the task took too long"));
    }
}
