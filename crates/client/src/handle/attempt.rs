//! An attempt.

use std::time::Duration;

use model::{
    Answer, Attempt, AttemptChange, AttemptRef, Change, ChangeAttempts, Data, Query, QueueCommand,
    Reply, Result,
};

use crate::{
    Lockstep,
    reply::{take, unexpected},
};

/// An attempt, with its token: every change is refused once another attempt has the unit.
#[derive(Clone, Debug)]
pub struct AttemptHandle {
    lockstep: Lockstep,
    attempt: AttemptRef,
}

impl AttemptHandle {
    pub(super) fn new(lockstep: Lockstep, attempt: AttemptRef) -> Self {
        Self { lockstep, attempt }
    }

    /// Shows the attempt.
    pub async fn get(&self) -> Result<Attempt> {
        let namespace = self.lockstep.namespace().clone();
        take!(self.lockstep.ask(Query::Attempt(namespace, self.attempt.clone())).await?,
            Answer::Attempt(attempt) => attempt)
    }

    /// Extends the lease to now plus a span; no data keeps what there is.
    pub async fn renew(&self, span: Duration, data: Option<Data>) -> Result<()> {
        self.change(Change::Renew(span), data).await
    }

    /// Gives the unit back.
    pub async fn expire(&self, data: Option<Data>) -> Result<()> {
        self.change(Change::Expire, data).await
    }

    /// Ends with success; the data's `output` becomes units of the next spec.
    pub async fn finish(&self, data: Option<Data>) -> Result<()> {
        self.change(Change::Finish, data).await
    }

    /// Ends without success.
    pub async fn fail(&self, data: Option<Data>) -> Result<()> {
        self.change(Change::Fail, data).await
    }

    /// Ends, and the unit is tried again after a delay.
    pub async fn retry(&self, delay: Duration, data: Option<Data>) -> Result<()> {
        self.change(Change::Retry(delay), data).await
    }

    async fn change(&self, change: Change, data: Option<Data>) -> Result<()> {
        let (attempt, token) = (self.attempt.clone(), Some(self.attempt.id));
        let changes = vec![AttemptChange { attempt, token, data, change }];
        let command = QueueCommand::ChangeAttempts(ChangeAttempts { changes });
        let results =
            take!(self.lockstep.command(command).await?, Reply::Changed(results) => results)?;
        results.into_iter().next().ok_or_else(|| unexpected(&"no outcome"))?
    }
}
