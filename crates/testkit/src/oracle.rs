//! A naive model of one namespace: plain maps, scanned from end to end, in obvious code.
//!
//! It shares no code with the rules and keeps nothing that can be counted or derived: the status of
//! a unit follows from its attempts and the time whenever somebody asks. Where the rules may choose
//! at random, it is told what they chose, sees that it was legal, and follows.

mod attempts;
mod claims;
mod locks;
mod output;
mod settings;
mod views;
mod workers;

use std::collections::BTreeMap;

use model::{
    AttemptStatus, Data, Error, Id, QueueCommand, Reply, Result, SpecMeta, SpecName, SpecRef, Time,
    UnitMeta, UnitName, UnitRef, UnitStatus, WorkerName,
};

/// What a backend said of the units it handed out: one entry for each time it chose a spec.
pub type Chosen = Vec<(SpecName, Vec<UnitName>)>;

/// The model of a namespace.
#[derive(Clone, Debug, PartialEq)]
pub struct Oracle {
    /// The time.
    pub now: Time,
    /// Whether the namespace exists.
    pub exists: bool,
    last_id: Id,
    specs: BTreeMap<SpecName, Spec>,
    workers: BTreeMap<WorkerName, Worker>,
    locks: Vec<locks::Held>,
}

/// A spec with everything in it.
#[derive(Clone, Debug, PartialEq)]
struct Spec {
    id: Id,
    data: Data,
    meta: SpecMeta,
    units: BTreeMap<UnitName, Unit>,
}

/// A unit with all its attempts, oldest first.
#[derive(Clone, Debug, PartialEq)]
struct Unit {
    id: Id,
    data: Data,
    meta: UnitMeta,
    created: Time,
    active: Option<Id>,
    attempts: Vec<Attempt>,
}

#[derive(Clone, Debug, PartialEq)]
struct Attempt {
    id: Id,
    worker: WorkerName,
    status: AttemptStatus,
    data: Data,
    start: Time,
    end: Option<Time>,
    expiration: Time,
}

#[derive(Clone, Debug, PartialEq)]
struct Worker {
    id: Id,
    parent: Option<WorkerName>,
    active: bool,
    mode: String,
    data: Data,
    expiration: Time,
    last_update: Time,
}

impl Oracle {
    /// Makes the model of a namespace that does not exist yet.
    pub fn new(now: Time) -> Self {
        let (specs, workers) = (BTreeMap::new(), BTreeMap::new());
        Self { now, exists: false, last_id: 0, specs, workers, locks: Vec::new() }
    }

    /// Does what is due: ends leases and gives up workers whose time is over.
    pub fn settle(&mut self) {
        let now = self.now;
        for unit in self.specs.values_mut().flat_map(|spec| spec.units.values_mut()) {
            for attempt in &mut unit.attempts {
                if attempt.status == AttemptStatus::Pending && attempt.expiration < now {
                    attempt.status = AttemptStatus::Expired;
                    attempt.end = Some(now);
                    if unit.active == Some(attempt.id) {
                        unit.active = None;
                    }
                }
            }
        }
        for worker in self.workers.values_mut() {
            worker.active &= worker.expiration >= now;
        }
        self.settle_locks();
    }

    /// Applies the commands of a write, all or none of them.
    pub fn write(&mut self, commands: &[QueueCommand], mut chosen: Chosen) -> Result<Vec<Reply>> {
        self.settle();
        chosen.reverse();
        let before = self.clone();
        let mut replies = Vec::new();
        for (position, command) in commands.iter().enumerate() {
            let destroyed = matches!(command, QueueCommand::DestroyNamespace);
            let reply = match self.apply(command, &mut chosen) {
                Ok(_) if destroyed && !before.exists => {
                    Err(Error::NoSuchNamespace("there was none before this write".to_owned()))
                }
                Ok(_) if destroyed && position + 1 < commands.len() => {
                    Err(Error::bad_input("nothing can follow the destruction of a namespace"))
                }
                other => other,
            };
            match reply {
                Ok(reply) => replies.push(reply),
                Err(error) => {
                    *self = before;
                    return Err(error);
                }
            }
        }
        assert_eq!(chosen, [], "more was handed out than was asked for");
        Ok(replies)
    }

    fn apply(&mut self, command: &QueueCommand, chosen: &mut Chosen) -> Result<Reply> {
        let before = self.clone();
        let reply = match command {
            QueueCommand::CreateNamespace => {
                self.exists = true;
                // The incarnation of the namespace itself is none of the model's business.
                Reply::Id(0)
            }
            QueueCommand::DestroyNamespace => {
                *self = Self { last_id: self.last_id, ..Self::new(self.now) };
                return Ok(Reply::Done);
            }
            QueueCommand::SetSpec { data } => self.set_spec(data)?,
            QueueCommand::ChangeSpec { spec, data } => self.change_spec(spec, data)?,
            QueueCommand::SetSpecMeta { spec, meta } => self.set_spec_meta(spec, meta)?,
            QueueCommand::ControlSpec { spec, control } => self.control_spec(spec, control)?,
            QueueCommand::DestroySpec { spec } => self.destroy_spec(spec)?,
            QueueCommand::AddUnits(command) => self.add_units(command)?,
            QueueCommand::SetUnits(command) => self.set_units(command)?,
            QueueCommand::Claim(command) => self.claim(command, chosen)?,
            QueueCommand::MakeAttempt(command) => self.make_attempt(command, chosen)?,
            QueueCommand::ChangeAttempts(command) => self.change_attempts(command),
            QueueCommand::ClearActive { unit } => self.clear_active(unit)?,
            QueueCommand::CreateWorker { worker } => self.create_worker(worker),
            QueueCommand::UpdateWorker(command) => self.update_worker(command),
            QueueCommand::DeactivateWorker { worker } => self.deactivate_worker(worker),
            QueueCommand::SetParent { worker, parent } => {
                self.set_parent(worker, parent.as_ref())?
            }
            QueueCommand::ChangeLocks(command) => self.change_locks(command)?,
            QueueCommand::DropLocks { path } => self.drop_locks(path),
        };
        self.exists |= *self != before;
        Ok(reply)
    }

    /// Counts the next record that is made.
    fn next_id(&mut self) -> Id {
        self.last_id += 1;
        self.last_id
    }

    fn spec(&mut self, spec: &SpecRef) -> Result<&mut Spec> {
        match self.specs.get_mut(&spec.name) {
            Some(found) if spec.id.is_none_or(|id| id == found.id) => Ok(found),
            None if spec.id.is_none() => Err(Error::NoSuchWorkSpec(spec.name.to_string())),
            _ => Err(Error::Gone),
        }
    }

    fn unit(&mut self, unit: &UnitRef) -> Result<&mut Unit> {
        let spec = self.spec(&SpecRef { name: unit.spec.clone(), id: None })?;
        match spec.units.get_mut(&unit.name) {
            Some(found) if unit.id.is_none_or(|id| id == found.id) => Ok(found),
            None if unit.id.is_none() => Err(Error::NoSuchWorkUnit(unit.name.to_string())),
            _ => Err(Error::Gone),
        }
    }

    /// Tells the status of a unit at this time.
    fn status(now: Time, unit: &Unit) -> UnitStatus {
        let active = unit.attempts.iter().find(|attempt| Some(attempt.id) == unit.active);
        match active.map(|attempt| attempt.status) {
            Some(AttemptStatus::Pending) => UnitStatus::Pending,
            Some(AttemptStatus::Finished) => UnitStatus::Finished,
            Some(AttemptStatus::Failed) => UnitStatus::Failed,
            Some(AttemptStatus::Expired | AttemptStatus::Retryable) | None => {
                match unit.meta.not_before {
                    Some(time) if now < time => UnitStatus::Delayed,
                    _ => UnitStatus::Available,
                }
            }
        }
    }

    /// Counts the units of a spec in one status.
    fn count(&self, spec: &Spec, status: UnitStatus) -> u64 {
        spec.units.values().filter(|unit| Self::status(self.now, unit) == status).count() as u64
    }
}
