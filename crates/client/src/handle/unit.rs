//! A work unit.

use model::{
    Answer, Attempt, AttemptsOf, Page, Query, QueueCommand, Reply, Result, SetUnits, SpecRef, Unit,
    UnitChange, UnitFilter, UnitMeta, UnitRef,
};

use crate::{Lockstep, reply::take};

/// A work unit by spec and name.
#[derive(Clone, Debug)]
pub struct UnitHandle {
    lockstep: Lockstep,
    unit: UnitRef,
}

impl UnitHandle {
    pub(super) fn new(lockstep: Lockstep, unit: UnitRef) -> Self {
        Self { lockstep, unit }
    }

    /// Shows the unit with its active attempt.
    pub async fn get(&self) -> Result<Unit> {
        let namespace = self.lockstep.namespace().clone();
        take!(self.lockstep.ask(Query::Unit(namespace, self.unit.clone())).await?,
            Answer::Unit(unit) => unit)
    }

    /// Lists attempts, oldest first.
    pub async fn attempts(&self, page: Page<u64>) -> Result<Vec<Attempt>> {
        let namespace = self.lockstep.namespace().clone();
        let query = Query::Attempts(namespace, AttemptsOf::Unit(self.unit.clone()), page);
        take!(self.lockstep.ask(query).await?, Answer::Attempts(attempts) => attempts)
    }

    /// Sets the priority; false says that there is no such unit.
    pub async fn set_priority(&self, priority: f64) -> Result<bool> {
        self.change(UnitChange::Priority(priority)).await
    }

    /// Replaces priority and delay; false says that there is no such unit.
    pub async fn set_meta(&self, meta: UnitMeta) -> Result<bool> {
        self.change(UnitChange::Meta(meta)).await
    }

    /// Deletes the unit with its attempts; false says that there is no such unit.
    pub async fn delete(&self) -> Result<bool> {
        self.change(UnitChange::Delete).await
    }

    /// Detaches the active attempt whatever its status, so that the unit is ready again.
    pub async fn clear_active(&self) -> Result<()> {
        let unit = self.unit.clone();
        self.lockstep.command(QueueCommand::ClearActive { unit }).await.map(drop)
    }

    async fn change(&self, change: UnitChange) -> Result<bool> {
        let spec = SpecRef { name: self.unit.spec.clone(), id: None };
        let names = Some(vec![self.unit.name.clone()]);
        let filter = UnitFilter { names, ..UnitFilter::default() };
        let command = QueueCommand::SetUnits(SetUnits { spec, filter, change });
        take!(self.lockstep.command(command).await?, Reply::Swept { count, .. } => count > 0)
    }
}
