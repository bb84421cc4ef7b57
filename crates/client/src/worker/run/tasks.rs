//! Tasks: how they start, and what their end says of their unit.

use std::{any::Any, sync::Arc};

use model::{Attempt, AttemptChange, Change, Data};
use tokio::{
    sync::watch,
    task::{self, JoinError},
    time::Instant,
};

use tracing::Instrument as _;

use super::{LAST_WORDS, Run};
use crate::worker::{
    Cancelled, Outcome, Task, TaskResult, Tasks,
    calls::Claimed,
    running::{Lease, Running, State},
    specs::{Specs, task_name},
    tally::{change_of, change_to},
    task::{traceback, traceback_of},
    trace::Traced,
};

impl Run {
    pub(super) fn start_all(&mut self, claimed: Claimed) {
        for attempt in claimed.attempts {
            if let Some(stop) = &mut self.stop {
                // What was claimed unawares is worth the time to give it back.
                stop.words = LAST_WORDS;
                stop.end = stop.end.max(Instant::now() + LAST_WORDS);
                let (attempt, change) = (attempt.as_ref(), Change::Expire);
                let token = Some(attempt.id);
                self.outbox.push(AttemptChange { attempt, token, data: None, change });
            } else {
                self.start(attempt, claimed.repeated);
            }
        }
    }

    fn start(&mut self, attempt: Attempt, repeated: bool) {
        let lifetime = self.options.lifetime;
        // An attempt that may be old is renewed at once, which tells whether it still holds.
        let left = if repeated { lifetime / 3 * 2 } else { lifetime };
        let lease = Arc::new(Lease::new(lifetime, Instant::now() + left));
        let (cancel, cancelled) = watch::channel(None);
        let reference = attempt.as_ref();
        let task = Task {
            lockstep: self.lockstep.clone(),
            attempt: Arc::new(attempt),
            spec_data: Data::default(),
            lease: lease.clone(),
            cancelled,
            place: None,
        };
        let id = reference.id;
        let abort = self.handles.spawn(dispatch(self.tasks.clone(), self.specs.clone(), task));
        self.ids.insert(abort.id(), id);
        let running = Running::new(reference, lease, cancel, abort, &self.options);
        self.running.insert(id, running);
    }

    pub(super) fn ended(&mut self, ended: Result<(task::Id, TaskResult), JoinError>) {
        let id = ended.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let Some(running) = self.ids.remove(&id).and_then(|id| self.running.remove(&id)) else {
            return;
        };
        let result = ended.map(|(_, result)| result);
        let change = match (running.state, result) {
            (State::Decided | State::Ending(Cancelled::LeaseLost, _), _) => return,
            (_, Ok(Ok(outcome))) => change_of(&running, outcome),
            (State::Ending(Cancelled::Shutdown | Cancelled::LeaseEnding, _), Ok(Err(_))) => {
                change_to(&running, Change::Expire, None)
            }
            (State::Going | State::Ending(Cancelled::TimedOut, _), Ok(Err(error))) => {
                change_of(&running, Outcome::Fail(traceback_of(&error)))
            }
            (_, Err(error)) => change_of(&running, Outcome::Fail(traceback(panicked(error)))),
        };
        self.outbox.push(change);
    }
}

/// Runs a unit in its trace.
async fn dispatch(tasks: Arc<Tasks>, specs: Arc<Specs>, mut task: Task) -> TaskResult {
    let Some(traced) = Traced::begin(tasks.tracer.as_ref(), &task) else {
        return run(&tasks, &specs, task).await;
    };
    task.place = Some(traced.context);
    let span = tracing::info_span!(
        "task",
        trace = traced.context.trace_id(),
        span = traced.context.span_id(),
        unit = %task.unit(),
    );
    let result = run(&tasks, &specs, task.clone()).instrument(span).await;
    traced.end(&task, &result);
    result
}

/// Runs a unit by the task that its spec names.
async fn run(tasks: &Tasks, specs: &Specs, mut task: Task) -> TaskResult {
    let name = if tasks.named.is_empty() {
        task.spec().as_str().to_owned()
    } else {
        task.spec_data = specs.data(&task.lockstep, task.spec()).await?;
        task_name(task.spec(), &task.spec_data)?
    };
    match tasks.find(&name) {
        Some(run) => run(task).await,
        None => Ok(Outcome::Fail(traceback(format!("No such task function {name:?}")))),
    }
}

fn panicked(error: JoinError) -> String {
    let text = |payload: Box<dyn Any + Send>| match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => payload
            .downcast::<&str>()
            .map_or_else(|_| "without a message".to_owned(), |text| (*text).to_owned()),
    };
    format!("the task panicked: {}", error.try_into_panic().map_or_else(|e| e.to_string(), text))
}
