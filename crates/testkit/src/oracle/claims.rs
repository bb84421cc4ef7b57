//! Claims: which specs may be chosen, and what follows from a choice.

use std::time::Duration;

use model::{
    AttemptStatus, Claim, Data, Error, Id, MakeAttempt, Reply, Result, SpecName, SpecRef, Time,
    UnitMeta, UnitName, UnitRef, UnitStatus, WorkerName, limits,
};
use serde_json::json;

use super::{Attempt, Chosen, Oracle, Spec, Unit};
use crate::data;

/// The units that were taken, and the attempts of those that had not been tried too often.
type Taken = (Vec<UnitName>, Vec<(UnitName, Id)>);

impl Oracle {
    /// Tells whether a spec may start a unit of its own making.
    fn may_start_continuous(&self, spec: &Spec) -> bool {
        spec.meta.continuous
            && self.count(spec, UnitStatus::Available) == 0
            && self.count(spec, UnitStatus::Pending) == 0
            && spec.meta.next_continuous.is_none_or(|time| time <= self.now)
    }

    /// Tells whether a spec has work for a claim.
    fn is_able(&self, name: &SpecName, spec: &Spec, claim: &Claim) -> bool {
        let meta = &spec.meta;
        let pending = self.count(spec, UnitStatus::Pending);
        (claim.specs.is_empty() || claim.specs.contains(name))
            && (claim.runtimes.is_empty() || claim.runtimes.contains(&meta.runtime))
            && !meta.paused
            && meta.weight > 0
            && !(meta.max_running > 0 && pending >= meta.max_running)
            && claim.available_gb.is_none_or(|gb| gb <= 0.0 || meta.min_memory_gb <= gb)
            && (self.count(spec, UnitStatus::Available) > 0 || self.may_start_continuous(spec))
    }

    /// Gives the specs that a claim may be served from.
    fn legal(&self, claim: &Claim, spent: &[SpecName]) -> Vec<SpecName> {
        let able = |(name, spec): &(&SpecName, &Spec)| {
            self.is_able(name, spec, claim) && !spent.contains(name)
        };
        let able: Vec<_> = self.specs.iter().filter(able).collect();
        let Some(highest) = able.iter().map(|(_, spec)| spec.meta.priority).max() else {
            return Vec::new();
        };
        let best = able.into_iter().filter(|(_, spec)| spec.meta.priority == highest);
        let best: Vec<_> = best
            .map(|(name, spec)| {
                let pending = self.count(spec, UnitStatus::Pending) as i64;
                (name, spec.meta.weight, pending)
            })
            .collect();
        let weights: i64 = best.iter().map(|(_, weight, _)| weight).sum();
        let all_pending: i64 = best.iter().map(|(_, _, pending)| pending).sum();
        let share = |(_, weight, pending): &(&SpecName, i64, i64)| {
            weight * (all_pending + 1) - weights * pending
        };
        best.iter().filter(|one| share(one) > 0).map(|(name, _, _)| (*name).clone()).collect()
    }

    pub(super) fn claim(&mut self, claim: &Claim, chosen: &mut Chosen) -> Result<Reply> {
        let lifetime = lifetime(claim.lifetime)?;
        self.know(&claim.worker);
        // Specs that have made up a unit, which they can do once at one time.
        let mut spent = Vec::new();
        loop {
            let legal = self.legal(claim, &spent);
            let Some(first) = legal.first() else { return Ok(Reply::Attempts(Vec::new())) };
            // What was undone again was told to nobody, so then any choice is as good.
            let (name, units) = chosen.pop().unwrap_or_else(|| (first.clone(), Vec::new()));
            assert!(legal.contains(&name), "{name} was chosen where {legal:?} are legal");
            let found = self.specs.get(&name);
            if found.is_some_and(|spec| self.count(spec, UnitStatus::Available) == 0) {
                spent.push(name.clone());
            }
            let (handed_out, attempts) = self.take(&name, claim, lifetime)?;
            assert!(units.is_empty() || units == handed_out, "{units:?} but {handed_out:?}");
            if !attempts.is_empty() {
                let view = |(unit, id): &(UnitName, Id)| self.attempt_view(&name, unit, *id);
                return Ok(Reply::Attempts(attempts.iter().filter_map(view).collect()));
            }
        }
    }

    /// Takes units of the chosen spec.
    fn take(&mut self, name: &SpecName, claim: &Claim, lifetime: Duration) -> Result<Taken> {
        let spec = SpecRef { name: name.clone(), id: None };
        let (now, meta) = (self.now, self.spec(&spec)?.meta.clone());
        let mut ready: Vec<(UnitName, f64)> = Vec::new();
        for (unit, found) in &self.spec(&spec)?.units {
            if Self::status(now, found) == UnitStatus::Available {
                ready.push((unit.clone(), found.meta.priority));
            }
        }
        // The sort is stable, so units of one priority stay in name order.
        ready.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        let mut taken: Vec<UnitName> = ready.into_iter().map(|(unit, _)| unit).collect();
        if taken.is_empty() {
            taken.push(self.make_up(&spec, &meta)?);
        }
        let mut count = u64::from(claim.count).max(1);
        if meta.max_attempts_returned > 0 {
            count = count.min(meta.max_attempts_returned);
        }
        if meta.max_running > 0 {
            let pending = self.specs.get(name).map(|s| self.count(s, UnitStatus::Pending));
            count = count.min(meta.max_running - pending.unwrap_or(0));
        }
        taken.truncate(count as usize);
        let mut kept = Vec::new();
        for unit in &taken {
            let id = self.next_id();
            let worker = claim.worker.clone();
            let unit_ref = UnitRef { spec: name.clone(), name: unit.clone(), id: None };
            let found = self.unit(&unit_ref)?;
            let attempt = start(found, id, worker, now, lifetime);
            if meta.max_retries > 0 && found.attempts.len() as u64 >= meta.max_retries {
                let traceback = data(&json!({"traceback": "too many retries"}));
                let (status, end) = (AttemptStatus::Failed, Some(now));
                found.attempts.push(Attempt { status, end, data: traceback, ..attempt });
            } else {
                found.attempts.push(attempt);
                kept.push((unit.clone(), id));
            }
        }
        Ok((taken, kept))
    }

    /// Makes up the unit of a continuous spec, or uses the one of that name again.
    fn make_up(&mut self, spec: &SpecRef, meta: &model::SpecMeta) -> Result<UnitName> {
        let now = self.now;
        let milliseconds = now.0 / 1_000_000;
        let name = format!("{}.{:03}", milliseconds / 1_000, milliseconds % 1_000);
        let name = UnitName::new(name.as_bytes())?;
        let known = self.spec(spec)?.units.contains_key(&name);
        let id = if known { 0 } else { self.next_id() };
        let found = self.spec(spec)?;
        found.meta.next_continuous = Some(now.plus(meta.interval));
        let unit = found.units.entry(name.clone()).or_insert_with(|| Unit {
            id,
            data: Data::default(),
            meta: UnitMeta::default(),
            created: now,
            active: None,
            attempts: Vec::new(),
        });
        unit.meta = UnitMeta::default();
        unit.active = None;
        Ok(name)
    }

    pub(super) fn make_attempt(
        &mut self,
        command: &MakeAttempt,
        chosen: &mut Chosen,
    ) -> Result<Reply> {
        let lifetime = lifetime(command.lifetime)?;
        self.unit(&command.unit)?;
        self.know(&command.worker);
        let (id, now) = (self.next_id(), self.now);
        let unit = self.unit(&command.unit)?;
        let attempt = start(unit, id, command.worker.clone(), now, lifetime);
        unit.attempts.push(attempt);
        let UnitRef { spec, name, .. } = &command.unit;
        if let Some(told) = chosen.pop() {
            assert_eq!(told, (spec.clone(), vec![name.clone()]));
        }
        Ok(Reply::Attempts(self.attempt_view(spec, name, id).into_iter().collect()))
    }
}

/// Makes the unit's new active attempt.
fn start(unit: &mut Unit, id: Id, worker: WorkerName, now: Time, lifetime: Duration) -> Attempt {
    unit.active = Some(id);
    Attempt {
        id,
        worker,
        status: AttemptStatus::Pending,
        data: unit.data.clone(),
        start: now,
        end: None,
        expiration: now.plus(lifetime),
    }
}

fn lifetime(asked: Option<Duration>) -> Result<Duration> {
    match asked {
        None | Some(Duration::ZERO) => Ok(limits::LIFETIME_DEFAULT),
        Some(span) if span > limits::LIFETIME_MAX => Err(Error::too_large("", 1, 0)),
        Some(span) => Ok(span),
    }
}
