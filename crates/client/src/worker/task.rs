//! What a task is given, and what it answers.

use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use model::{
    Attempt, Data, Datum, Dict, Id, Result, SpecName, TRACEPARENT, TraceContext, UnitName,
};
use tokio::sync::watch;

use super::running::Lease;
use crate::Lockstep;

/// How a task ends its unit.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// With success. Data replaces the unit's; its `output` becomes units of the next spec.
    Finish(Option<Data>),
    /// Without success, with the data that says why.
    Fail(Data),
    /// To be tried again after a delay.
    Retry(Duration, Option<Data>),
}

/// Any error; it fails the unit with its text and causes as `traceback`.
pub type TaskError = Box<dyn std::error::Error + Send + Sync>;

/// What a task answers.
///
/// The error of a task that was cancelled for [`Cancelled::Shutdown`] or [`Cancelled::LeaseEnding`]
/// gives the unit back in place of failing it.
pub type TaskResult = Result<Outcome, TaskError>;

pub(crate) type Handler =
    Arc<dyn Fn(Task) -> Pin<Box<dyn Future<Output = TaskResult> + Send>> + Send + Sync>;

pub(crate) fn boxed<F, R>(run: F) -> Handler
where
    F: Fn(Task) -> R + Send + Sync + 'static,
    R: Future<Output = TaskResult> + Send + 'static,
{
    Arc::new(move |task| Box::pin(run(task)))
}

/// Why a task should end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// Another attempt has the unit, or it was deleted; whatever the task answers is not used.
    LeaseLost,
    /// Renewing has failed for so long that the lease is about to end.
    LeaseEnding,
    /// The task has run for as long as it may.
    TimedOut,
    /// The worker shuts down.
    Shutdown,
}

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LeaseLost => "the lease was lost",
            Self::LeaseEnding => "the lease could not be renewed",
            Self::TimedOut => "timed out",
            Self::Shutdown => "the worker shuts down",
        })
    }
}

impl std::error::Error for Cancelled {}

/// One unit to work on, with all that a task may want to know. Cheap to clone.
#[derive(Clone)]
pub struct Task {
    pub(crate) lockstep: Lockstep,
    pub(crate) attempt: Arc<Attempt>,
    pub(crate) spec_data: Data,
    pub(crate) lease: Arc<Lease>,
    pub(crate) cancelled: watch::Receiver<Option<Cancelled>>,
    /// Where the task is in its trace.
    pub(crate) place: Option<TraceContext>,
}

impl Task {
    /// Borrows the handle of the namespace that the unit is in.
    pub fn lockstep(&self) -> &Lockstep {
        &self.lockstep
    }

    /// Borrows the name of the unit's spec.
    pub fn spec(&self) -> &SpecName {
        &self.attempt.spec
    }

    /// Borrows the dictionary of the unit's spec, which is up to 15 seconds old; empty if all units
    /// go to one task.
    pub fn spec_data(&self) -> &Data {
        &self.spec_data
    }

    /// Borrows the name of the unit.
    pub fn unit(&self) -> &UnitName {
        &self.attempt.unit
    }

    /// Borrows the data of the unit.
    pub fn data(&self) -> &Data {
        &self.attempt.data
    }

    /// Gives the trace context of the task: the span of its own where its worker takes spans, or
    /// else what the unit was added with, the text under `traceparent`.
    pub fn traceparent(&self) -> Option<String> {
        if let Some(place) = self.place {
            return Some(place.to_string());
        }
        match self.attempt.data.dict().ok()?.remove(TRACEPARENT) {
            Some(Datum::Text(context)) => Some(context),
            _ => None,
        }
    }

    /// Borrows the whole attempt.
    pub fn attempt(&self) -> &Attempt {
        &self.attempt
    }

    /// Gives the token: a later attempt on the unit always has a higher one, so that whoever this
    /// task changes can refuse a worker that lost its lease.
    pub fn token(&self) -> Id {
        self.attempt.id
    }

    /// Renews the lease now, and stores data with the attempt if some is given. The worker renews
    /// leases by itself; this is for keeping progress, or for knowing that the lease still holds.
    pub async fn renew(&self, data: Option<Data>) -> Result<()> {
        let sent = tokio::time::Instant::now();
        let span = self.lease.lifetime();
        self.lockstep.attempt(&self.attempt).renew(span, data).await?;
        self.lease.renewed(sent);
        Ok(())
    }

    /// Waits until the task should end, and says why.
    pub async fn cancelled(&self) -> Cancelled {
        let mut cancelled = self.cancelled.clone();
        match cancelled.wait_for(Option::is_some).await.map(|reason| *reason) {
            Ok(Some(reason)) => reason,
            // The worker itself is gone, and with it the lease.
            Ok(None) | Err(_) => Cancelled::LeaseLost,
        }
    }

    /// Says why the task should end, if it should.
    pub fn is_cancelled(&self) -> Option<Cancelled> {
        *self.cancelled.borrow()
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Task").field(&self.attempt).finish()
    }
}

/// Makes the data of a failed unit.
pub(crate) fn traceback(text: impl Into<String>) -> Data {
    let mut text = text.into();
    let end = text.floor_char_boundary(TRACEBACK_BYTES_MAX);
    text.truncate(end);
    let dict = Dict::from([("traceback".to_owned(), Datum::Text(text))]);
    // So small a dictionary is never over a limit.
    Data::from_dict(&dict).unwrap_or_default()
}

const TRACEBACK_BYTES_MAX: usize = 64 << 10;

/// Makes the data of a unit whose task answered an error.
pub(crate) fn traceback_of(error: &TaskError) -> Data {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    traceback(text)
}
