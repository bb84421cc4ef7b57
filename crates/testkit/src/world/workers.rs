//! Workers.

use model::{Answer, Data, Id, Page, Query, QueueCommand, Reply, Result, UpdateWorker, Worker};

use super::{World, worker_name};

impl World {
    /// Creates a worker unless it exists.
    #[track_caller]
    pub fn create_worker(&self, name: &str) -> Id {
        match self.run(QueueCommand::CreateWorker { worker: worker_name(name) }) {
            Ok(Reply::Id(id)) => id,
            other => panic!("creating a worker answers {other:?}"),
        }
    }

    /// Gives a worker.
    #[track_caller]
    pub fn worker(&self, name: &str) -> Worker {
        self.try_worker(name).expect("the worker is there")
    }

    /// Gives a worker, if it is there.
    #[track_caller]
    pub fn try_worker(&self, name: &str) -> Result<Worker> {
        match self.ask(Query::Worker(self.namespace.clone(), worker_name(name)))? {
            Answer::Worker(worker) => Ok(worker),
            other => panic!("asking for a worker answers {other:?}"),
        }
    }

    /// Gives all workers.
    #[track_caller]
    pub fn workers(&self) -> Vec<Worker> {
        match self.ask(Query::Workers(self.namespace.clone(), Page::default())) {
            Ok(Answer::Workers(workers)) => workers,
            other => panic!("asking for all workers answers {other:?}"),
        }
    }

    /// Updates a worker, and leaves its times to the backend.
    #[track_caller]
    pub fn update_worker(&self, name: &str, mode: &str, data: Data) {
        let (worker, mode) = (worker_name(name), mode.to_owned());
        let update = UpdateWorker { worker, mode, data, expiration: None, last_update: None };
        self.try_update_worker(update).expect("the worker is updated");
    }

    /// Updates a worker, if the backend agrees.
    pub fn try_update_worker(&self, update: UpdateWorker) -> Result<()> {
        self.done(QueueCommand::UpdateWorker(update))
    }

    /// Makes a worker inactive.
    #[track_caller]
    pub fn deactivate(&self, name: &str) {
        let worker = worker_name(name);
        let done = self.done(QueueCommand::DeactivateWorker { worker });
        done.expect("the worker is deactivated");
    }

    /// Sets or clears the parent of a worker.
    #[track_caller]
    pub fn set_parent(&self, name: &str, parent: Option<&str>) {
        let (worker, parent) = (worker_name(name), parent.map(worker_name));
        let done = self.done(QueueCommand::SetParent { worker, parent });
        done.expect("the parent is set");
    }

    /// Gives the names of the workers that a worker looks after.
    #[track_caller]
    pub fn children(&self, name: &str) -> Vec<String> {
        self.worker(name).children.iter().map(ToString::to_string).collect()
    }
}
