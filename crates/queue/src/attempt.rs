//! Renewing and ending attempts.
//!
//! An attempt that is no longer its unit's active one may close its own record and nothing else:
//! the unit's status, data, schedule and output are beyond its reach.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use model::{
    AttemptChange, AttemptRef, AttemptStatus, Change, ChangeAttempts, Data, Error, EventBody, Id,
    NewUnit, Reply, Result, SpecName, UnitName, UnitStatus, limits,
};
use store::{Row as _, TxExt as _};

use crate::{
    Work, add, chain, claim,
    rows::{AttemptRow, SpecRow, UnitRow},
};

/// Changes attempts, in order; each stands by itself, so that one lost lease spoils no other.
pub(crate) fn change_attempts(work: &mut Work<'_>, command: &ChangeAttempts) -> Result<Reply> {
    let changes = &command.changes;
    if changes.len() > limits::BATCH_MAX {
        return Err(Error::too_large("changes in one call", changes.len(), limits::BATCH_MAX));
    }
    let mut loaded = Loaded::of(changes);
    loaded.load(work, changes.iter().enumerate())?;
    let mut outcomes = Vec::with_capacity(changes.len());
    for (position, change) in changes.iter().enumerate() {
        match change_attempt(work, &mut loaded, position, change) {
            Ok(()) => outcomes.push(Ok(())),
            Err(error @ (Error::Internal(_) | Error::Unavailable(_) | Error::StorageFull(_))) => {
                return Err(error);
            }
            Err(error) => outcomes.push(Err(error)),
        }
    }
    loaded.save(work)?;
    Ok(Reply::Changed(outcomes))
}

/// The units and attempts of one command, read and written together.
struct Loaded<'c> {
    changes: &'c [AttemptChange],
    units: Vec<UnitRow>,
    attempts: Vec<AttemptRow>,
    /// Where each of these is; no two records of a namespace have the same id.
    by_id: HashMap<Id, usize>,
    /// Where the unit and the attempt of each change are, as far as there are any.
    places: Vec<(Option<usize>, Option<usize>)>,
    /// The changes that changed something.
    changed: Vec<usize>,
    /// The names of the units that were read, once somebody asks.
    names: Option<HashSet<(&'c SpecName, &'c UnitName)>>,
}

impl<'c> Loaded<'c> {
    fn of(changes: &'c [AttemptChange]) -> Self {
        let count = changes.len();
        Self {
            changes,
            units: Vec::with_capacity(count),
            attempts: Vec::with_capacity(count),
            by_id: HashMap::with_capacity(2 * count),
            places: vec![(None, None); count],
            changed: Vec::with_capacity(count),
            names: None,
        }
    }

    /// Reads the units and attempts of changes in two strokes.
    fn load(
        &mut self,
        work: &mut Work<'_>,
        changes: impl Iterator<Item = (usize, &'c AttemptChange)>,
    ) -> Result<()> {
        let (mut asked, mut keys) = (Vec::new(), Vec::new());
        for (position, AttemptChange { attempt, .. }) in changes {
            if let Some(spec) = work.look_at_spec(&attempt.spec)?.map(|spec| spec.id) {
                keys.push(UnitRow::key(work.live, spec, &attempt.unit));
                asked.push((position, attempt.id));
            }
        }
        let units: Vec<Option<UnitRow>> = work.tx.get_all(&keys)?;
        keys.clear();
        let mut found = Vec::with_capacity(asked.len());
        for ((position, attempt), unit) in asked.into_iter().zip(units) {
            if let (Some(unit), Some(place)) = (unit, self.places.get_mut(position)) {
                keys.push(AttemptRow::key(work.live, unit.id, attempt));
                found.push(position);
                place.0 = Some(put(&mut self.units, &mut self.by_id, unit.id, unit));
            }
        }
        let attempts: Vec<Option<AttemptRow>> = work.tx.get_all(&keys)?;
        for (position, attempt) in found.into_iter().zip(attempts) {
            if let (Some(attempt), Some(place)) = (attempt, self.places.get_mut(position)) {
                place.1 = Some(put(&mut self.attempts, &mut self.by_id, attempt.id, attempt));
            }
        }
        Ok(())
    }

    /// Reads again what chaining has changed, if anything of it was read before.
    fn reload(&mut self, work: &mut Work<'_>, spec: &SpecName, units: &[NewUnit]) -> Result<()> {
        let Self { changes, places, names, .. } = self;
        let changes: &'c [AttemptChange] = changes;
        let name = |change: &'c AttemptChange| (&change.attempt.spec, &change.attempt.unit);
        let names = names.get_or_insert_with(|| {
            let read = changes.iter().zip(&*places).filter(|(_, place)| place.0.is_some());
            read.map(|(change, _)| name(change)).collect()
        });
        let added: HashSet<_> = units.iter().map(|unit| (spec, &unit.name)).collect();
        if added.is_disjoint(names) {
            return Ok(());
        }
        let again = changes.iter().enumerate().filter(|(_, of)| added.contains(&name(of)));
        let again: Vec<_> = again.collect();
        names.extend(again.iter().map(|(_, change)| name(change)));
        self.load(work, again.into_iter())
    }

    /// Gives the unit and the attempt of a change, as far as there are any.
    fn at(&mut self, position: usize) -> (Option<&mut UnitRow>, Option<&mut AttemptRow>) {
        let (unit, attempt) = self.places.get(position).copied().unwrap_or_default();
        let unit = unit.and_then(|place| self.units.get_mut(place));
        (unit, attempt.and_then(|place| self.attempts.get_mut(place)))
    }

    /// Writes what has changed, in order.
    fn save(&mut self, work: &mut Work<'_>) -> Result<()> {
        let mut units = Vec::with_capacity(self.changed.len());
        let mut attempts = Vec::with_capacity(self.changed.len());
        for position in std::mem::take(&mut self.changed) {
            if let (Some(unit), Some(attempt)) = self.at(position) {
                attempts.push(attempt.to_doc());
                units.push(unit.to_doc());
            }
        }
        work.tx.save(AttemptRow::TABLE, attempts)?;
        work.tx.save(UnitRow::TABLE, units)
    }
}

/// Puts a row where the one with its id is, or else at the end, and tells where that is.
fn put<R>(rows: &mut Vec<R>, by_id: &mut HashMap<Id, usize>, id: Id, row: R) -> usize {
    let place = *by_id.entry(id).or_insert(rows.len());
    match rows.get_mut(place) {
        Some(known) => *known = row,
        None => rows.push(row),
    }
    place
}

/// What one change may touch: the attempt, its unit, and its spec's counts.
struct Case<'a> {
    spec: SpecRow,
    unit: &'a mut UnitRow,
    attempt: &'a mut AttemptRow,
    data: Option<Data>,
}

fn change_attempt(
    work: &mut Work<'_>,
    loaded: &mut Loaded<'_>,
    position: usize,
    change: &AttemptChange,
) -> Result<()> {
    let AttemptRef { spec, id, .. } = &change.attempt;
    let spec = work.find_spec(spec)?.ok_or(Error::Gone)?;
    let (unit, attempt) = loaded.at(position);
    let unit = unit.ok_or(Error::Gone)?;
    let Some(attempt) = attempt else {
        // Ids only grow, so an older one was given to an attempt on an earlier unit of this name.
        let earlier = work.was_given(*id) && *id < unit.id;
        return Err(if earlier { Error::Gone } else { Error::NoSuchAttempt(id.to_string()) });
    };
    if change.token.is_some_and(|token| token != *id || unit.active != Some(*id)) {
        return Err(Error::LostLease);
    }
    let mut case = Case { spec, unit, attempt, data: change.data.clone() };
    let outcome = match change.change {
        Change::Renew(span) => case.renew(work, span),
        Change::Expire => case.expire(work),
        Change::Finish => case.finish(work),
        Change::Fail => case.fail(work),
        Change::Retry(delay) => case.retry(work, delay),
    };
    let next = case.spec.meta.next_work_spec.clone();
    work.put_spec(case.spec);
    // A refusal may have closed the attempt's own record, so it is saved all the same.
    loaded.changed.push(position);
    if let Some(output) = outcome? {
        // The output may name units that are loaded here, so both sides must see the same rows.
        loaded.save(work)?;
        if let Some((next, units)) = chain::chain(work, &next, &output)? {
            loaded.reload(work, &next, &units)?;
        }
    }
    Ok(())
}

/// The outcome of a change: data whose output is to be chained, if any.
type Outcome = Result<Option<Data>>;

impl Case<'_> {
    fn is_active(&self) -> bool {
        self.unit.active == Some(self.attempt.id)
    }

    fn renew(&mut self, work: &mut Work<'_>, span: Duration) -> Outcome {
        let span = claim::bounded("lease in seconds", span)?;
        match self.attempt.status {
            AttemptStatus::Pending if self.is_active() => {
                self.attempt.expiration = work.now.plus(span);
                if let Some(data) = self.data.take() {
                    self.attempt.data = Some(data);
                }
                let (spec, unit) = (self.spec.name.clone(), self.unit.name.clone());
                work.events.push(EventBody::LeaseRenewed(spec, unit));
                Ok(None)
            }
            AttemptStatus::Pending => {
                self.data = None;
                self.close(work, AttemptStatus::Expired);
                Err(Error::LostLease)
            }
            AttemptStatus::Expired => Err(Error::LostLease),
            AttemptStatus::Finished | AttemptStatus::Failed | AttemptStatus::Retryable => {
                Err(Error::NotPending)
            }
        }
    }

    fn expire(&mut self, work: &mut Work<'_>) -> Outcome {
        match self.attempt.status {
            AttemptStatus::Pending => {
                self.close(work, AttemptStatus::Expired);
                self.release(work);
                Ok(None)
            }
            AttemptStatus::Expired => Ok(None),
            AttemptStatus::Finished | AttemptStatus::Failed | AttemptStatus::Retryable => {
                Err(Error::NotPending)
            }
        }
    }

    /// Ends with success, which also wins over an earlier failure.
    fn finish(&mut self, work: &mut Work<'_>) -> Outcome {
        match self.attempt.status {
            AttemptStatus::Pending | AttemptStatus::Failed => {
                self.close(work, AttemptStatus::Finished);
            }
            AttemptStatus::Expired | AttemptStatus::Finished | AttemptStatus::Retryable => {
                return Err(Error::NotPending);
            }
        }
        if !self.is_active() {
            return Ok(None);
        }
        self.spec.move_unit(self.unit, UnitStatus::Finished);
        let (spec, unit) = (self.spec.name.clone(), self.unit.name.clone());
        work.events.push(EventBody::UnitFinished(spec, unit, self.attempt.id));
        if self.spec.meta.next_work_spec.is_empty() {
            return Ok(None);
        }
        Ok(Some(self.attempt.data.as_ref().unwrap_or(&self.unit.data).clone()))
    }

    fn fail(&mut self, work: &mut Work<'_>) -> Outcome {
        if self.attempt.status != AttemptStatus::Pending {
            return Err(Error::NotPending);
        }
        self.close(work, AttemptStatus::Failed);
        if self.is_active() {
            self.spec.move_unit(self.unit, UnitStatus::Failed);
            let (spec, unit) = (self.spec.name.clone(), self.unit.name.clone());
            work.events.push(EventBody::UnitFailed(spec, unit, self.attempt.id));
        }
        Ok(None)
    }

    fn retry(&mut self, work: &mut Work<'_>, delay: Duration) -> Outcome {
        let delay = claim::bounded("delay in seconds", delay)?;
        if self.attempt.status != AttemptStatus::Pending {
            return Err(Error::NotPending);
        }
        self.close(work, AttemptStatus::Retryable);
        if self.is_active() {
            self.unit.meta.not_before = Some(work.now.plus(delay));
            self.release(work);
        }
        Ok(None)
    }

    /// Ends the attempt's own record.
    fn close(&mut self, work: &mut Work<'_>, status: AttemptStatus) {
        self.attempt.status = status;
        self.attempt.end = Some(work.now);
        if let Some(data) = self.data.take() {
            self.attempt.data = Some(data);
        }
        if !self.is_active() {
            let (spec, unit) = (self.spec.name.clone(), self.unit.name.clone());
            work.events.push(EventBody::UnitsChanged(spec, vec![unit]));
        }
    }

    /// Gives the unit back if the attempt is its active one.
    fn release(&mut self, work: &mut Work<'_>) {
        if self.is_active() {
            release(work, &mut self.spec, self.unit);
            let (spec, unit) = (self.spec.name.clone(), self.unit.name.clone());
            work.events.push(EventBody::UnitReleased(spec, unit, self.attempt.id));
        }
    }
}

/// Gives what an attempt shows: its own data, or else that of its unit; empty if it is gone.
pub fn data_of_attempt(
    work: &mut Work<'_>,
    spec: &SpecName,
    unit: &UnitName,
    attempt: Id,
) -> Result<Data> {
    let Some(spec) = work.find_spec(spec)? else { return Ok(Data::default()) };
    let unit: Option<UnitRow> = work.tx.get(UnitRow::key(work.live, spec.id, unit))?;
    let Some(unit) = unit else { return Ok(Data::default()) };
    let row: Option<AttemptRow> = work.tx.get(AttemptRow::key(work.live, unit.id, attempt))?;
    Ok(row.and_then(|row| row.data).unwrap_or(unit.data))
}

/// Detaches whatever attempt is active, so that the unit is ready once its time has come.
pub(crate) fn release(work: &Work<'_>, spec: &mut SpecRow, unit: &mut UnitRow) {
    unit.active = None;
    spec.move_unit(unit, add::idle_status(work.now, unit.meta));
}
