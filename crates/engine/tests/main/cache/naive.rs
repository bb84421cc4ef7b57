//! A cache like the ancestor's, with its defects: it shows that the tests beside it can fail.

use std::{collections::HashMap, sync::Arc};

use model::{
    Answer, Backend, BoxFuture, Command, Committed, Error, Event, Namespace, Query, QueueCommand,
    Read, Result, Revision, SpecName, SpecRef, UnitName, UnitRef, Write,
};
use tokio::sync::Mutex;

/// How often a call on something gone is tried again; the ancestor knows no bound.
const TRIES: usize = 100;

/// A cache by name without revisions: what was read stays until somebody names it here.
pub struct Naive {
    backend: Arc<dyn Backend>,
    reads: Mutex<HashMap<Query, Read>>,
}

impl Naive {
    pub fn new(backend: Arc<dyn Backend>) -> Self {
        Self { backend, reads: Mutex::default() }
    }

    /// Answers under one lock for everything, held while it loads.
    async fn answer(&self, query: Query) -> Result<Read> {
        let mut reads = self.reads.lock().await;
        if let Some(read) = reads.get(&by_name(&query)) {
            return Ok(read.clone());
        }
        let mut loaded = self.backend.read(query.clone(), 0).await;
        for _ in 0..TRIES {
            if loaded != Err(Error::Gone) {
                break;
            }
            // Looking the name up succeeds, so the call on the old incarnation is tried again.
            self.backend.read(by_name(&query), 0).await?;
            loaded = self.backend.read(query.clone(), 0).await;
        }
        if let Ok(read) = &loaded {
            reads.insert(by_name(&query), read.clone());
        }
        loaded.map_err(|error| match error {
            Error::Gone => Error::bad_input(error.to_string()),
            error => error,
        })
    }

    async fn write_through(&self, write: Write) -> Result<Committed> {
        let committed = self.backend.write(write.clone()).await?;
        let mut reads = self.reads.lock().await;
        let namespace = &write.namespace;
        for command in &write.commands {
            reads.retain(|key, _| !names(command, namespace, key));
        }
        Ok(committed)
    }
}

impl Backend for Naive {
    fn write(&self, write: Write) -> BoxFuture<'_, Result<Committed>> {
        Box::pin(self.write_through(write))
    }

    fn read(&self, query: Query, at_least: Revision) -> BoxFuture<'_, Result<Read>> {
        match query {
            Query::Spec(..) | Query::Unit(..) | Query::Worker(..) => Box::pin(self.answer(query)),
            // The ancestor counts attempts and loses the error.
            Query::Attempts(..) => Box::pin(async move {
                let nothing = Read { as_of: 0, answer: Answer::Attempts(Vec::new()) };
                Ok(self.backend.read(query, at_least).await.unwrap_or(nothing))
            }),
            query => self.backend.read(query, at_least),
        }
    }

    fn events(
        &self,
        namespace: &Namespace,
        after: Revision,
        limit: u16,
    ) -> BoxFuture<'_, Result<Vec<Event>>> {
        self.backend.events(namespace, after, limit)
    }
}

fn by_name(query: &Query) -> Query {
    match query.clone() {
        Query::Spec(namespace, spec) => Query::Spec(namespace, SpecRef { id: None, ..spec }),
        Query::Unit(namespace, unit) => Query::Unit(namespace, UnitRef { id: None, ..unit }),
        other => other,
    }
}

/// Tells whether a command names what a key is about. What works on a query names nothing.
fn names(command: &Command, namespace: &Namespace, key: &Query) -> bool {
    if key.namespace() != Some(namespace) {
        return false;
    }
    let Command::Queue(command) = command else { return false };
    match command {
        QueueCommand::DestroyNamespace => true,
        QueueCommand::SetSpec { .. } => matches!(key, Query::Spec(..)),
        QueueCommand::ChangeSpec { spec, .. }
        | QueueCommand::SetSpecMeta { spec, .. }
        | QueueCommand::ControlSpec { spec, .. } => is_spec(key, &spec.name),
        QueueCommand::DestroySpec { spec } => {
            is_spec(key, &spec.name)
                || matches!(key, Query::Unit(_, unit) if unit.spec == spec.name)
        }
        QueueCommand::AddUnits(add) => {
            add.units.iter().any(|unit| is_unit(key, &add.spec.name, &unit.name))
        }
        QueueCommand::MakeAttempt(make) => is_unit(key, &make.unit.spec, &make.unit.name),
        QueueCommand::ChangeAttempts(command) => command
            .changes
            .iter()
            .any(|change| is_unit(key, &change.attempt.spec, &change.attempt.unit)),
        QueueCommand::ClearActive { unit } => is_unit(key, &unit.spec, &unit.name),
        QueueCommand::UpdateWorker(update) => is_worker(key, &update.worker),
        QueueCommand::DeactivateWorker { worker } | QueueCommand::SetParent { worker, .. } => {
            is_worker(key, worker)
        }
        _ => false,
    }
}

fn is_spec(key: &Query, name: &SpecName) -> bool {
    matches!(key, Query::Spec(_, spec) if spec.name == *name)
}

fn is_unit(key: &Query, spec: &SpecName, name: &UnitName) -> bool {
    matches!(key, Query::Unit(_, unit) if unit.spec == *spec && unit.name == *name)
}

fn is_worker(key: &Query, name: &model::WorkerName) -> bool {
    matches!(key, Query::Worker(_, worker) if worker == name)
}
