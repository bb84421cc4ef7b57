//! One namespace of a backend.

use std::{fmt, sync::Arc};

use model::{
    Answer, Attempt, Backend, Command, Committed, Data, Namespace, NamespaceInfo, Page, Query,
    QueueCommand, Reply, Result, Spec, SpecMeta, SpecName, SpecRef, SummaryRow, UnitName, UnitRef,
    Worker, WorkerName, Write,
};

use crate::{
    AttemptHandle, SpecHandle, UnitHandle, WorkerHandle,
    reply::{only, take},
};

/// A namespace: where all handles start. Cheap to clone.
#[derive(Clone)]
pub struct Lockstep {
    backend: Arc<dyn Backend>,
    namespace: Namespace,
}

impl fmt::Debug for Lockstep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lockstep").field(&self.namespace).finish()
    }
}

impl Lockstep {
    /// Names a namespace of a backend; nothing is asked or created.
    pub fn new(backend: Arc<dyn Backend>, namespace: Namespace) -> Self {
        Self { backend, namespace }
    }

    /// Borrows the backend.
    pub fn backend(&self) -> &Arc<dyn Backend> {
        &self.backend
    }

    /// Borrows the name of the namespace.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Creates the namespace unless it exists.
    pub async fn create(&self) -> Result<()> {
        self.command(QueueCommand::CreateNamespace).await.map(drop)
    }

    /// Removes the namespace with all that is in it.
    pub async fn destroy(&self) -> Result<()> {
        self.command(QueueCommand::DestroyNamespace).await.map(drop)
    }

    /// Shows the namespace.
    pub async fn get(&self) -> Result<NamespaceInfo> {
        take!(self.ask(Query::Namespace(self.namespace.clone())).await?,
            Answer::Namespace(info) => info)
    }

    /// Counts the units of each spec by status.
    pub async fn summary(&self) -> Result<Vec<SummaryRow>> {
        take!(self.ask(Query::Summary(Some(self.namespace.clone()), None)).await?,
            Answer::Summary(rows) => rows)
    }

    /// Creates or replaces the spec that a dictionary names.
    pub async fn set_spec(&self, data: Data) -> Result<SpecHandle> {
        let (name, _) = SpecMeta::from_dict(&data.dict()?)?;
        self.command(QueueCommand::SetSpec { data }).await?;
        Ok(self.spec(name))
    }

    /// Names another namespace of the same backend.
    #[must_use]
    pub fn in_namespace(&self, namespace: Namespace) -> Self {
        Self { namespace, ..self.clone() }
    }

    /// Names a spec.
    pub fn spec(&self, name: SpecName) -> SpecHandle {
        SpecHandle::new(self.clone(), SpecRef { name, id: None })
    }

    /// Lists specs in name order.
    pub async fn specs(&self, page: Page<SpecName>) -> Result<Vec<Spec>> {
        take!(self.ask(Query::Specs(self.namespace.clone(), page)).await?,
            Answer::Specs(specs) => specs)
    }

    /// Names a unit.
    pub fn unit(&self, spec: SpecName, name: UnitName) -> UnitHandle {
        UnitHandle::new(self.clone(), UnitRef { spec, name, id: None })
    }

    /// Names a worker.
    pub fn worker(&self, name: WorkerName) -> WorkerHandle {
        WorkerHandle::new(self.clone(), name)
    }

    /// Lists workers in name order, active or not.
    pub async fn workers(&self, page: Page<WorkerName>) -> Result<Vec<Worker>> {
        take!(self.ask(Query::Workers(self.namespace.clone(), page)).await?,
            Answer::Workers(workers) => workers)
    }

    /// Names an attempt that a claim or a query showed.
    pub fn attempt(&self, attempt: &Attempt) -> AttemptHandle {
        AttemptHandle::new(self.clone(), attempt.as_ref())
    }

    /// Does several commands in one transaction.
    pub async fn write(&self, commands: Vec<Command>) -> Result<Committed> {
        self.backend.write(Write::of(&self.namespace, commands)).await
    }

    /// Asks one question.
    pub async fn ask(&self, query: Query) -> Result<Answer> {
        Ok(self.backend.read(query, 0).await?.answer)
    }

    /// Does one command.
    pub async fn command(&self, command: impl Into<Command>) -> Result<Reply> {
        only(self.backend.write(Write::one(&self.namespace, command)).await?)
    }
}
