//! Workers.

use model::{Data, Error, Reply, Result, UpdateWorker, WorkerName, limits};

use super::{Oracle, Worker};

impl Oracle {
    /// Gives a worker; merely naming one creates it.
    pub(super) fn know(&mut self, name: &WorkerName) -> &mut Worker {
        let now = self.now;
        let id = if self.workers.contains_key(name) { 0 } else { self.next_id() };
        self.workers.entry(name.clone()).or_insert_with(|| Worker {
            id,
            parent: None,
            active: true,
            mode: String::new(),
            data: Data::default(),
            expiration: now.plus(limits::LIFETIME_DEFAULT),
            last_update: now,
        })
    }

    pub(super) fn create_worker(&mut self, name: &WorkerName) -> Reply {
        Reply::Id(self.know(name).id)
    }

    pub(super) fn update_worker(&mut self, command: &UpdateWorker) -> Reply {
        let now = self.now;
        let worker = self.know(&command.worker);
        worker.active = true;
        worker.mode.clone_from(&command.mode);
        worker.data = command.data.clone();
        let default = now.plus(limits::LIFETIME_DEFAULT);
        worker.expiration = command.expiration.unwrap_or(default);
        worker.last_update = command.last_update.unwrap_or(now);
        Reply::Done
    }

    pub(super) fn deactivate_worker(&mut self, name: &WorkerName) -> Reply {
        self.know(name).active = false;
        Reply::Done
    }

    pub(super) fn set_parent(
        &mut self,
        name: &WorkerName,
        parent: Option<&WorkerName>,
    ) -> Result<Reply> {
        self.know(name);
        parent.into_iter().for_each(|parent| {
            self.know(parent);
        });
        let mut above = parent.cloned();
        while let Some(ancestor) = above {
            if ancestor == *name {
                return Err(Error::bad_input(""));
            }
            above = self.know(&ancestor).parent.clone();
        }
        self.know(name).parent = parent.cloned();
        Ok(Reply::Done)
    }
}
