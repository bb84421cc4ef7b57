//! Changing one unit by its key: through its active attempt, or without one.

use std::time::Duration;

use model::{
    Answer, Attempt, AttemptChange, Change, ChangeAttempts, Data, Error, MakeAttempt, Namespace,
    Query, QueueCommand, Reply, Result, SetUnits, SpecRef, Unit, UnitChange, UnitFilter, UnitRef,
    UnitStatus, WorkerName,
};

use super::{methods::Call, value::Value};
use crate::call::{mismatch, take};

const LEASE_DEFAULT: Duration = Duration::from_secs(300);
/// How often a unit is looked at again that somebody else has changed meanwhile.
const TRIES_MAX: usize = 10;

/// What a unit is to become.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// Whatever it is.
    Any,
    Available,
    Pending,
    Finished,
    Failed,
}

/// What the call asks for.
struct Asked {
    unit: UnitRef,
    wanted: Wanted,
    lease: Duration,
    data: Option<Data>,
    worker: WorkerName,
}

/// Updates a unit and tells whether anything was changed.
pub(crate) async fn update(mut call: Call) -> Result<Value> {
    let spec = call.args.spec()?;
    let unit = UnitRef { spec: spec.name, name: call.args.key()?, id: None };
    let mut options = call.args.options()?;
    let wanted = match options.int("status")? {
        None | Some(0) => Wanted::Any,
        Some(1) => Wanted::Available,
        Some(3) => Wanted::Pending,
        Some(4) => Wanted::Finished,
        Some(5) => Wanted::Failed,
        Some(_) => return Err(Error::bad_input("update_work_unit invalid status")),
    };
    let lease = options.span("lease_time")?.unwrap_or(LEASE_DEFAULT);
    let worker = WorkerName::new(options.text("worker_id")?.unwrap_or_default())?;
    let asked = Asked { unit, wanted, lease, data: options.data("data")?, worker };
    for _ in 0..TRIES_MAX {
        let query = Query::Unit(Namespace::empty(), asked.unit.clone());
        let unit = take!(call.read(query).await?, Answer::Unit)?;
        if let Some(changed) = asked.apply(&call, &unit).await? {
            return Ok(Value::bool(changed));
        }
    }
    Err(Error::Unavailable("the work unit is being changed by others all the time".to_owned()))
}

impl Asked {
    /// Changes a unit that is as it was seen; none if it is not any more.
    async fn apply(&self, call: &Call, unit: &Unit) -> Result<Option<bool>> {
        let status = unit.status;
        let Some(active) = &unit.active else { return self.without_attempt(call, unit).await };
        match (status, self.wanted) {
            (UnitStatus::Pending, wanted) => {
                let change = match wanted {
                    Wanted::Any | Wanted::Pending => Change::Renew(self.lease),
                    Wanted::Available => Change::Expire,
                    Wanted::Finished => Change::Finish,
                    Wanted::Failed => Change::Fail,
                };
                change_attempt(call, active, change, self.data.clone()).await
            }
            (UnitStatus::Finished | UnitStatus::Failed, Wanted::Available) => {
                self.set(call, UnitChange::Again, &[UnitStatus::Finished, UnitStatus::Failed]).await
            }
            (UnitStatus::Failed, Wanted::Finished) => {
                change_attempt(call, active, Change::Finish, None).await
            }
            (UnitStatus::Finished, Wanted::Pending) => {
                Err(Error::bad_input("update_work_unit cannot change finished unit"))
            }
            (UnitStatus::Failed, Wanted::Pending) => {
                Err(Error::bad_input("update_work_unit cannot change failed unit"))
            }
            (UnitStatus::Finished, Wanted::Any | Wanted::Finished | Wanted::Failed)
            | (UnitStatus::Failed, Wanted::Any | Wanted::Failed) => Ok(Some(false)),
            // Units in these states have no active attempt.
            (UnitStatus::Available | UnitStatus::Delayed, _) => Ok(None),
        }
    }

    /// Changes a unit that nobody works on: only its data, or through an attempt of the caller's.
    async fn without_attempt(&self, call: &Call, unit: &Unit) -> Result<Option<bool>> {
        let change = match self.wanted {
            Wanted::Any | Wanted::Available => {
                let Some(data) = self.data.clone() else { return Ok(Some(false)) };
                let idle = [UnitStatus::Available, UnitStatus::Delayed];
                return self.set(call, UnitChange::Data(data), &idle).await;
            }
            Wanted::Pending => Change::Renew(self.lease),
            Wanted::Finished => Change::Finish,
            Wanted::Failed => Change::Fail,
        };
        let made = MakeAttempt {
            worker: self.worker.clone(),
            unit: UnitRef { id: Some(unit.id), ..self.unit.clone() },
            lifetime: Some(self.lease),
        };
        let Reply::Attempts(attempts) = call.command(QueueCommand::MakeAttempt(made)).await? else {
            return Err(mismatch());
        };
        let attempt = attempts.first().ok_or_else(mismatch)?;
        change_attempt(call, attempt, change, self.data.clone()).await
    }

    /// Changes the unit itself as long as it is in one of these states.
    async fn set(
        &self,
        call: &Call,
        change: UnitChange,
        statuses: &[UnitStatus],
    ) -> Result<Option<bool>> {
        let filter = UnitFilter {
            names: Some(vec![self.unit.name.clone()]),
            statuses: Some(statuses.to_vec()),
            ..UnitFilter::default()
        };
        let spec = SpecRef { name: self.unit.spec.clone(), id: None };
        let set = SetUnits { spec, filter, change };
        match call.command(QueueCommand::SetUnits(set)).await? {
            Reply::Swept { count: 0, .. } => Ok(None),
            Reply::Swept { .. } => Ok(Some(true)),
            _ => Err(mismatch()),
        }
    }
}

/// Changes an attempt as long as it is its unit's active one.
async fn change_attempt(
    call: &Call,
    attempt: &Attempt,
    change: Change,
    data: Option<Data>,
) -> Result<Option<bool>> {
    let change = AttemptChange { attempt: attempt.as_ref(), token: Some(attempt.id), data, change };
    let command = QueueCommand::ChangeAttempts(ChangeAttempts { changes: vec![change] });
    let Reply::Changed(outcomes) = call.command(command).await? else { return Err(mismatch()) };
    match outcomes.into_iter().next() {
        Some(Ok(())) => Ok(Some(true)),
        Some(Err(Error::LostLease | Error::NotPending | Error::Gone)) => Ok(None),
        Some(Err(error)) => Err(error),
        None => Err(mismatch()),
    }
}
