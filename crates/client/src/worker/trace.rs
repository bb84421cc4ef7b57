//! The span of a task: what its worker does between the claim and the end.

use std::sync::Arc;

use model::{Attempt, Span, SpanKind, Time, TraceContext, Tracer};

use super::{Outcome, Task, TaskResult};

/// The trace of a task, as far as there is one.
pub(crate) struct Traced {
    /// Where the task is.
    pub(crate) context: TraceContext,
    /// Who takes its span, and when it began.
    taken: Option<(Arc<dyn Tracer>, Time)>,
}

impl Traced {
    /// Finds the trace of a unit. With somebody who takes spans, the task is in a span of its own,
    /// which belongs to that of the attempt.
    pub(crate) fn begin(tracer: Option<&Arc<dyn Tracer>>, task: &Task) -> Option<Self> {
        let context = TraceContext::in_data(&task.attempt.data)?;
        let Some(tracer) = tracer.filter(|_| context.is_sampled()) else {
            return Some(Self { context, taken: None });
        };
        let context = of_attempt(context, task).child("work", &[]);
        Some(Self { context, taken: Some((Arc::clone(tracer), tracer.now())) })
    }

    /// Gives the span away.
    pub(crate) fn end(self, task: &Task, result: &TaskResult) {
        let Some((tracer, start)) = self.taken else { return };
        let parent = TraceContext::in_data(&task.attempt.data);
        tracer.record(Span {
            context: self.context,
            parent: parent.map(|context| of_attempt(context, task)),
            name: format!("work {}", task.spec()),
            kind: SpanKind::Consumer,
            start,
            end: tracer.now(),
            is_error: matches!(result, Err(_) | Ok(Outcome::Fail(_))),
            attributes: vec![
                ("lockstep.namespace", task.lockstep.namespace().to_string()),
                ("lockstep.spec", task.spec().to_string()),
                ("lockstep.unit", task.unit().to_string()),
                ("lockstep.attempt", task.attempt.id.to_string()),
            ],
        });
    }
}

fn of_attempt(context: TraceContext, task: &Task) -> TraceContext {
    context.attempt(&Attempt::as_ref(&task.attempt))
}
