//! What became of units.

use model::{AttemptChange, Change, Data, Result};

use super::{Outcome, running::Running};

/// How many units a worker ended, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Ended with success.
    pub finished: u64,
    /// Ended without success.
    pub failed: u64,
    /// To be tried again.
    pub retried: u64,
    /// Given back at a shutdown or because the backend was away.
    pub given_back: u64,
    /// Lost to another attempt, deleted meanwhile, or refused.
    pub lost: u64,
}

impl Tally {
    /// Counts a change that the backend took or refused.
    pub(crate) fn count(&mut self, change: &AttemptChange, result: Result<()>) {
        let counter = match (change.change, result) {
            (Change::Finish, Ok(())) => &mut self.finished,
            (Change::Fail, Ok(())) => &mut self.failed,
            (Change::Retry(_), Ok(())) => &mut self.retried,
            (Change::Expire, Ok(())) => &mut self.given_back,
            // What is to be given back is already gone, which is as good.
            (Change::Expire, Err(_)) | (Change::Renew(_), _) => return,
            (Change::Finish | Change::Fail | Change::Retry(_), Err(error)) => {
                let (spec, unit) = (&change.attempt.spec, &change.attempt.unit);
                tracing::warn!(%spec, %unit, %error, "the result of a unit was not taken");
                &mut self.lost
            }
        };
        *counter += 1;
    }
}

/// Turns the outcome of a task into a change of its attempt.
pub(crate) fn change_of(running: &Running, outcome: Outcome) -> AttemptChange {
    let (change, data) = match outcome {
        Outcome::Finish(data) => (Change::Finish, data),
        Outcome::Fail(data) => (Change::Fail, Some(data)),
        Outcome::Retry(delay, data) => (Change::Retry(delay), data),
    };
    change_to(running, change, data)
}

/// Makes a change of a task's attempt that only counts while it holds the lease.
pub(crate) fn change_to(running: &Running, change: Change, data: Option<Data>) -> AttemptChange {
    let attempt = running.attempt.clone();
    AttemptChange { token: Some(attempt.id), attempt, data, change }
}
