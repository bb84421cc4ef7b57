//! A worker.

use std::time::Duration;

use model::{
    Answer, Attempt, AttemptsOf, Claim, MakeAttempt, Page, Query, QueueCommand, Reply, Result,
    UnitRef, UpdateWorker, Worker, WorkerName, Write,
};

use crate::{
    Lockstep,
    reply::{only, take, unexpected},
};

/// A worker by name.
#[derive(Clone, Debug)]
pub struct WorkerHandle {
    lockstep: Lockstep,
    worker: WorkerName,
}

impl WorkerHandle {
    pub(super) fn new(lockstep: Lockstep, worker: WorkerName) -> Self {
        Self { lockstep, worker }
    }

    /// Borrows the name.
    pub fn name(&self) -> &WorkerName {
        &self.worker
    }

    /// Shows the worker.
    pub async fn get(&self) -> Result<Worker> {
        let query = Query::Worker(self.lockstep.namespace().clone(), self.worker.clone());
        take!(self.lockstep.ask(query).await?, Answer::Worker(worker) => worker)
    }

    /// Creates the worker unless it exists.
    pub async fn create(&self) -> Result<()> {
        let worker = self.worker.clone();
        self.lockstep.command(QueueCommand::CreateWorker { worker }).await.map(drop)
    }

    /// Replaces what the worker says of itself; its name is set here.
    pub async fn update(&self, mut update: UpdateWorker) -> Result<()> {
        update.worker = self.worker.clone();
        self.lockstep.command(QueueCommand::UpdateWorker(update)).await.map(drop)
    }

    /// Makes the worker inactive.
    pub async fn deactivate(&self) -> Result<()> {
        let worker = self.worker.clone();
        self.lockstep.command(QueueCommand::DeactivateWorker { worker }).await.map(drop)
    }

    /// Sets or clears the parent.
    pub async fn set_parent(&self, parent: Option<WorkerName>) -> Result<()> {
        let worker = self.worker.clone();
        self.lockstep.command(QueueCommand::SetParent { worker, parent }).await.map(drop)
    }

    /// Takes ready units, and waits for some if there are none; the worker's name is set here.
    pub async fn claim(&self, mut claim: Claim, wait: Duration) -> Result<Vec<Attempt>> {
        claim.worker = self.worker.clone();
        let mut write = Write::one(self.lockstep.namespace(), QueueCommand::Claim(claim));
        write.wait = wait;
        take!(only(self.lockstep.backend().write(write).await?)?,
            Reply::Attempts(attempts) => attempts)
    }

    /// Starts an attempt on a unit whatever its state.
    pub async fn make_attempt(&self, unit: UnitRef, lifetime: Option<Duration>) -> Result<Attempt> {
        let worker = self.worker.clone();
        let command = QueueCommand::MakeAttempt(MakeAttempt { worker, unit, lifetime });
        let attempts =
            take!(self.lockstep.command(command).await?, Reply::Attempts(attempts) => attempts)?;
        attempts.into_iter().next().ok_or_else(|| unexpected(&"no attempt"))
    }

    /// Lists the pending attempts of this worker, oldest first.
    pub async fn active_attempts(&self, page: Page<u64>) -> Result<Vec<Attempt>> {
        self.attempts(AttemptsOf::WorkerActive(self.worker.clone()), page).await
    }

    /// Lists all attempts this worker ever made, oldest first.
    pub async fn all_attempts(&self, page: Page<u64>) -> Result<Vec<Attempt>> {
        self.attempts(AttemptsOf::WorkerAll(self.worker.clone()), page).await
    }

    /// Lists the pending attempts of the workers below this one, oldest first.
    pub async fn child_attempts(&self, page: Page<u64>) -> Result<Vec<Attempt>> {
        self.attempts(AttemptsOf::WorkerChildren(self.worker.clone()), page).await
    }

    async fn attempts(&self, of: AttemptsOf, page: Page<u64>) -> Result<Vec<Attempt>> {
        let query = Query::Attempts(self.lockstep.namespace().clone(), of, page);
        take!(self.lockstep.ask(query).await?, Answer::Attempts(attempts) => attempts)
    }
}
