//! A work spec.

use model::{
    AddUnits, Answer, Control, Data, Id, NewUnit, Query, QueueCommand, Reply, Result, SetUnits,
    Spec, SpecMeta, SpecRef, Unit, UnitChange, UnitFilter, UnitName, UnitRef,
};

use crate::{Lockstep, UnitHandle, reply::take};

/// A work spec by name.
#[derive(Clone, Debug)]
pub struct SpecHandle {
    lockstep: Lockstep,
    spec: SpecRef,
}

impl SpecHandle {
    pub(super) fn new(lockstep: Lockstep, spec: SpecRef) -> Self {
        Self { lockstep, spec }
    }

    /// Shows the spec with its counts.
    pub async fn get(&self) -> Result<Spec> {
        let namespace = self.lockstep.namespace().clone();
        take!(self.lockstep.ask(Query::Spec(namespace, self.spec.clone())).await?,
            Answer::Spec(spec) => spec)
    }

    /// Replaces the dictionary, whose name must stay.
    pub async fn change(&self, data: Data) -> Result<()> {
        let spec = self.spec.clone();
        self.lockstep.command(QueueCommand::ChangeSpec { spec, data }).await.map(drop)
    }

    /// Replaces the settable meta fields.
    pub async fn set_meta(&self, meta: SpecMeta) -> Result<()> {
        let spec = self.spec.clone();
        self.lockstep.command(QueueCommand::SetSpecMeta { spec, meta }).await.map(drop)
    }

    /// Changes the given meta fields and keeps the others.
    pub async fn control(&self, control: Control) -> Result<()> {
        let spec = self.spec.clone();
        self.lockstep.command(QueueCommand::ControlSpec { spec, control }).await.map(drop)
    }

    /// Removes the spec with its units and attempts.
    pub async fn destroy(&self) -> Result<()> {
        let spec = self.spec.clone();
        self.lockstep.command(QueueCommand::DestroySpec { spec }).await.map(drop)
    }

    /// Adds units, or replaces data and meta of those that exist.
    pub async fn add(&self, units: Vec<NewUnit>) -> Result<Vec<Id>> {
        let command = QueueCommand::AddUnits(AddUnits { spec: self.spec.clone(), units });
        take!(self.lockstep.command(command).await?, Reply::Ids(ids) => ids)
    }

    /// Names a unit.
    pub fn unit(&self, name: UnitName) -> UnitHandle {
        let spec = self.spec.name.clone();
        UnitHandle::new(self.lockstep.clone(), UnitRef { spec, name, id: None })
    }

    /// Lists one page of units, and says after which name the next page starts if there may be one.
    pub async fn units(&self, filter: UnitFilter) -> Result<(Vec<Unit>, Option<UnitName>)> {
        let namespace = self.lockstep.namespace().clone();
        take!(self.lockstep.ask(Query::Units(namespace, self.spec.clone(), filter)).await?,
            Answer::Units(units, next) => (units, next))
    }

    /// Deletes the selected units, part by part, and counts them.
    pub async fn delete_units(&self, filter: UnitFilter) -> Result<u64> {
        self.sweep(filter, UnitChange::Delete).await
    }

    /// Changes the selected units, part by part, and counts them.
    pub async fn sweep(&self, mut filter: UnitFilter, change: UnitChange) -> Result<u64> {
        let mut total = 0;
        loop {
            let (spec, part) = (self.spec.clone(), filter.clone());
            let change = change.clone();
            let command = QueueCommand::SetUnits(SetUnits { spec, filter: part, change });
            let (count, next) = take!(self.lockstep.command(command).await?,
                Reply::Swept { count, next } => (count, next))?;
            total += count;
            let Some(next) = next else { return Ok(total) };
            if filter.limit > 0 {
                let done = u32::try_from(count).unwrap_or(u32::MAX);
                filter.limit = filter.limit.saturating_sub(done);
                if filter.limit == 0 {
                    return Ok(total);
                }
            }
            filter.after = Some(next);
        }
    }
}
