//! What may be done with an attempt, in each of its states.

use std::time::Duration;

use model::{
    AttemptChange, AttemptRef, AttemptStatus, Change, ChangeAttempts, Data, Error, Reply, Result,
    SpecName, Time, UnitRef, limits,
};

use super::{Attempt, Oracle, Unit, output};

impl Oracle {
    pub(super) fn change_attempts(&mut self, command: &ChangeAttempts) -> Reply {
        Reply::Changed(command.changes.iter().map(|change| self.change(change)).collect())
    }

    fn change(&mut self, change: &AttemptChange) -> Result<()> {
        let now = self.now;
        let AttemptRef { spec, unit, id } = &change.attempt;
        let unit_ref = UnitRef { spec: spec.clone(), name: unit.clone(), id: None };
        let unit = self.unit(&unit_ref).map_err(|_| Error::Gone)?;
        let position = unit.attempts.iter().position(|attempt| attempt.id == *id);
        let Some(position) = position else { return Err(Error::Gone) };
        let current = unit.active == Some(*id);
        if change.token.is_some_and(|token| token != *id || !current) {
            return Err(Error::LostLease);
        }
        let Unit { attempts, active, meta, .. } = unit;
        let Some(attempt) = attempts.get_mut(position) else { return Err(Error::Gone) };
        let data = change.data.as_ref();
        match change.change {
            Change::Renew(span) => renew(attempt, current, span, data, now)?,
            Change::Expire => {
                if expire(attempt, data, now)? && current {
                    *active = None;
                }
            }
            Change::Finish => {
                finish(attempt, data, now)?;
                if current {
                    let said = attempt.data.clone();
                    self.chain(spec, &said);
                }
            }
            Change::Fail => end(attempt, AttemptStatus::Failed, data, now)?,
            Change::Retry(delay) => {
                bounded(delay)?;
                end(attempt, AttemptStatus::Retryable, data, now)?;
                if current {
                    *active = None;
                    meta.not_before = Some(now.plus(delay));
                }
            }
        }
        Ok(())
    }

    fn chain(&mut self, spec: &SpecName, said: &Data) {
        let next = self.specs.get(spec).map(|spec| spec.meta.next_work_spec.clone());
        let Some(Ok(next)) = next.map(SpecName::new) else { return };
        if self.specs.contains_key(&next) {
            let added = self.add(&next, &output::units(said));
            added.expect("the units of an output can be added");
        }
    }
}

fn bounded(span: Duration) -> Result<()> {
    if span > limits::LIFETIME_MAX { Err(Error::too_large("", 1, 0)) } else { Ok(()) }
}

fn say(attempt: &mut Attempt, data: Option<&Data>) {
    data.into_iter().for_each(|data| attempt.data = data.clone());
}

/// Ends a pending attempt.
fn end(attempt: &mut Attempt, status: AttemptStatus, data: Option<&Data>, now: Time) -> Result<()> {
    if attempt.status != AttemptStatus::Pending {
        return Err(Error::NotPending);
    }
    attempt.status = status;
    attempt.end = Some(now);
    say(attempt, data);
    Ok(())
}

fn renew(
    attempt: &mut Attempt,
    current: bool,
    span: Duration,
    data: Option<&Data>,
    now: Time,
) -> Result<()> {
    bounded(span)?;
    match (attempt.status, current) {
        (AttemptStatus::Pending, true) => {
            attempt.expiration = now.plus(span);
            say(attempt, data);
            Ok(())
        }
        (AttemptStatus::Pending, false) => {
            end(attempt, AttemptStatus::Expired, None, now)?;
            Err(Error::LostLease)
        }
        (AttemptStatus::Expired, _) => Err(Error::LostLease),
        _ => Err(Error::NotPending),
    }
}

/// Tells whether the attempt has ended just now.
fn expire(attempt: &mut Attempt, data: Option<&Data>, now: Time) -> Result<bool> {
    if attempt.status == AttemptStatus::Expired {
        return Ok(false);
    }
    end(attempt, AttemptStatus::Expired, data, now).map(|()| true)
}

fn finish(attempt: &mut Attempt, data: Option<&Data>, now: Time) -> Result<()> {
    if attempt.status == AttemptStatus::Failed {
        // Success wins over an earlier failure.
        attempt.status = AttemptStatus::Pending;
    }
    end(attempt, AttemptStatus::Finished, data, now)
}
