//! The records as queries show them, and what has changed between two states.

use std::collections::BTreeSet;

use model::{
    AttemptRef, Counts, Id, RecordKey, SpecMeta, SpecName, UnitName, UnitStatus, WorkerName,
};

use super::{Attempt, Oracle, Unit};

impl Oracle {
    /// Gives all specs in name order.
    pub fn specs(&self) -> Vec<model::Spec> {
        let show = |(name, spec): (&SpecName, &super::Spec)| model::Spec {
            name: name.clone(),
            id: spec.id,
            data: spec.data.clone(),
            meta: spec.meta.clone(),
            counts: Counts {
                available: self.count(spec, UnitStatus::Available),
                pending: self.count(spec, UnitStatus::Pending),
                finished: self.count(spec, UnitStatus::Finished),
                failed: self.count(spec, UnitStatus::Failed),
                delayed: self.count(spec, UnitStatus::Delayed),
            },
        };
        self.specs.iter().map(show).collect()
    }

    /// Gives all units of a spec in name order.
    pub fn units(&self, spec: &SpecName) -> Vec<model::Unit> {
        let units = self.specs.get(spec).into_iter().flat_map(|spec| &spec.units);
        units.map(|(name, unit)| self.unit_view(spec, name, unit)).collect()
    }

    fn unit_view(&self, spec: &SpecName, name: &UnitName, unit: &Unit) -> model::Unit {
        let active = unit.active.and_then(|id| self.attempt_view(spec, name, id));
        model::Unit {
            spec: spec.clone(),
            name: name.clone(),
            id: unit.id,
            data: active.as_ref().map_or(&unit.data, |attempt| &attempt.data).clone(),
            meta: unit.meta,
            status: Self::status(self.now, unit),
            active,
            attempts: unit.attempts.len() as u64,
            created: unit.created,
        }
    }

    pub(super) fn attempt_view(
        &self,
        spec: &SpecName,
        unit: &UnitName,
        id: Id,
    ) -> Option<model::Attempt> {
        self.attempts_where(|attempt| attempt.id == id)
            .into_iter()
            .find(|attempt| attempt.spec == *spec && attempt.unit == *unit)
    }

    fn attempts_where(&self, keep: impl Fn(&Attempt) -> bool) -> Vec<model::Attempt> {
        let mut found = Vec::new();
        for (spec_name, spec) in &self.specs {
            for (unit_name, unit) in &spec.units {
                for attempt in unit.attempts.iter().filter(|attempt| keep(attempt)) {
                    found.push(model::Attempt {
                        spec: spec_name.clone(),
                        unit: unit_name.clone(),
                        id: attempt.id,
                        worker: attempt.worker.clone(),
                        status: attempt.status,
                        data: attempt.data.clone(),
                        start: attempt.start,
                        end: attempt.end,
                        expiration: attempt.expiration,
                        active: unit.active == Some(attempt.id),
                    });
                }
            }
        }
        found.sort_by_key(|attempt| attempt.id);
        found
    }

    /// Gives all attempts of a worker, oldest first.
    pub fn attempts_of(&self, worker: &WorkerName) -> Vec<model::Attempt> {
        self.attempts_where(|attempt| attempt.worker == *worker)
    }

    /// Names all attempts, oldest first.
    pub fn attempts(&self) -> Vec<AttemptRef> {
        self.attempts_where(|_| true).iter().map(model::Attempt::as_ref).collect()
    }

    /// Gives all workers in name order.
    pub fn workers(&self) -> Vec<model::Worker> {
        let children_of = |parent: &WorkerName| {
            let all = self.workers.iter();
            let children = all.filter(|(_, worker)| worker.parent.as_ref() == Some(parent));
            children.map(|(name, _)| name.clone()).collect()
        };
        let show = |(name, worker): (&WorkerName, &super::Worker)| model::Worker {
            name: name.clone(),
            id: worker.id,
            parent: worker.parent.clone(),
            children: children_of(name),
            active: worker.active,
            mode: worker.mode.clone(),
            data: worker.data.clone(),
            expiration: worker.expiration,
            last_update: worker.last_update,
        };
        self.workers.iter().map(show).collect()
    }

    /// Gives the records that look different from how they looked before.
    pub fn changed_since(&self, before: &Self) -> BTreeSet<RecordKey> {
        let mut changed = BTreeSet::new();
        for name in self.specs.keys().chain(before.specs.keys()) {
            let (old, new) = (before.specs.get(name), self.specs.get(name));
            // Like the counts, the time of the next made-up unit moves with claims.
            let settings = |meta: &SpecMeta| SpecMeta { next_continuous: None, ..meta.clone() };
            let shown = |spec: &super::Spec| (spec.id, spec.data.clone(), settings(&spec.meta));
            if old.map(shown) != new.map(shown) {
                changed.insert(RecordKey::Spec(name.clone()));
            }
            let names = |spec: Option<&super::Spec>| -> Vec<UnitName> {
                spec.into_iter().flat_map(|spec| spec.units.keys().cloned()).collect()
            };
            for unit in names(old).into_iter().chain(names(new)) {
                let shown = |spec: &super::Spec| spec.units.get(&unit).cloned();
                if old.and_then(shown) != new.and_then(shown) {
                    changed.insert(RecordKey::Unit(name.clone(), unit));
                }
            }
        }
        let (old, new) = (before.workers(), self.workers());
        let differs = |worker: &&model::Worker| !(old.contains(worker) && new.contains(worker));
        for worker in old.iter().chain(&new).filter(differs) {
            changed.insert(RecordKey::Worker(worker.name.clone()));
        }
        if self.locks != before.locks {
            changed.insert(RecordKey::Locks);
        }
        changed
    }
}
