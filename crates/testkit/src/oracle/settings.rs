//! Specs and units.

use std::collections::BTreeMap;

use model::{
    AddUnits, Control, Data, Error, Id, NewUnit, Reply, Result, SetUnits, SpecMeta, SpecName,
    SpecRef, UnitChange, UnitFilter, UnitMeta, UnitName, UnitRef, UnitStatus,
};

use super::{Oracle, Spec, Unit};

impl Oracle {
    pub(super) fn set_spec(&mut self, data: &Data) -> Result<Reply> {
        let (name, meta) = SpecMeta::from_dict(&data.dict()?)?;
        if !self.specs.contains_key(&name) {
            let id = self.next_id();
            let (meta, units) = (meta.clone(), BTreeMap::new());
            self.specs.insert(name.clone(), Spec { id, data: Data::default(), meta, units });
        }
        let spec = self.spec(&SpecRef { name, id: None })?;
        spec.data = data.clone();
        spec.meta = meta;
        Ok(Reply::Id(spec.id))
    }

    pub(super) fn change_spec(&mut self, spec: &SpecRef, data: &Data) -> Result<Reply> {
        let found = self.spec(spec)?;
        let (name, meta) = SpecMeta::from_dict(&data.dict()?)?;
        if name != spec.name {
            return Err(Error::ChangedName);
        }
        found.data = data.clone();
        found.meta = meta;
        Ok(Reply::Done)
    }

    pub(super) fn set_spec_meta(&mut self, spec: &SpecRef, meta: &SpecMeta) -> Result<Reply> {
        let old = &mut self.spec(spec)?.meta;
        *old = SpecMeta {
            continuous: meta.continuous && old.can_be_continuous,
            can_be_continuous: old.can_be_continuous,
            next_work_spec: old.next_work_spec.clone(),
            runtime: old.runtime.clone(),
            ..meta.clone()
        };
        Ok(Reply::Done)
    }

    pub(super) fn control_spec(&mut self, spec: &SpecRef, control: &Control) -> Result<Reply> {
        let meta = &mut self.spec(spec)?.meta;
        let allowed = meta.can_be_continuous;
        control.continuous.into_iter().for_each(|value| meta.continuous = value && allowed);
        control.paused.into_iter().for_each(|value| meta.paused = value);
        control.priority.into_iter().for_each(|value| meta.priority = value);
        control.weight.into_iter().for_each(|value| meta.weight = value);
        control.interval.into_iter().for_each(|value| meta.interval = value);
        control.max_running.into_iter().for_each(|value| meta.max_running = value);
        Ok(Reply::Done)
    }

    pub(super) fn destroy_spec(&mut self, spec: &SpecRef) -> Result<Reply> {
        self.spec(spec)?;
        self.specs.remove(&spec.name);
        Ok(Reply::Done)
    }

    pub(super) fn add_units(&mut self, command: &AddUnits) -> Result<Reply> {
        self.spec(&command.spec)?;
        self.add(&command.spec.name, &command.units).map(Reply::Ids)
    }

    /// Adds units; of one name only the last counts.
    pub(super) fn add(&mut self, spec: &SpecName, units: &[NewUnit]) -> Result<Vec<Id>> {
        for (position, unit) in units.iter().enumerate() {
            let later = units.iter().skip(position + 1);
            if !later.into_iter().any(|other| other.name == unit.name) {
                self.add_one(spec, unit)?;
            }
        }
        let unit =
            |unit: &NewUnit| UnitRef { spec: spec.clone(), name: unit.name.clone(), id: None };
        units.iter().map(|new| Ok(self.unit(&unit(new))?.id)).collect()
    }

    fn add_one(&mut self, spec: &SpecName, new: &NewUnit) -> Result<()> {
        let now = self.now;
        let delayed = new.delay.map(|delay| now.plus(delay)).filter(|time| *time > now);
        let not_before = if new.delay.is_some() { delayed } else { new.meta.not_before };
        let meta = UnitMeta { priority: new.meta.priority, not_before };
        let (name, data) = (new.name.clone(), new.data.clone());
        match self.unit(&UnitRef { spec: spec.clone(), name: name.clone(), id: None }) {
            Ok(unit) => {
                (unit.data, unit.meta) = (data, meta);
                if Self::status(now, unit) != UnitStatus::Pending {
                    unit.active = None;
                }
            }
            Err(_) => {
                let (id, active, attempts) = (self.next_id(), None, Vec::new());
                let unit = Unit { id, data, meta, created: now, active, attempts };
                self.spec(&SpecRef { name: spec.clone(), id: None })?.units.insert(name, unit);
            }
        }
        Ok(())
    }

    /// Gives the names of the units that a filter selects.
    pub fn select(&self, spec: &SpecName, filter: &UnitFilter) -> Vec<UnitName> {
        let units = self.specs.get(spec).into_iter().flat_map(|spec| &spec.units);
        let selected = units.filter(|(name, unit)| {
            let status = Self::status(self.now, unit);
            filter.names.as_ref().is_none_or(|names| names.contains(name))
                && filter.statuses.as_ref().is_none_or(|statuses| statuses.contains(&status))
                && filter.after.as_ref().is_none_or(|after| *name > after)
        });
        let limit = if filter.limit == 0 { usize::MAX } else { filter.limit as usize };
        selected.map(|(name, _)| name.clone()).take(limit).collect()
    }

    pub(super) fn set_units(&mut self, command: &SetUnits) -> Result<Reply> {
        self.spec(&command.spec)?;
        let mut filter = command.filter.clone();
        let only = match &command.change {
            UnitChange::Again => Some([UnitStatus::Finished, UnitStatus::Failed]),
            UnitChange::Data(_) => Some([UnitStatus::Available, UnitStatus::Delayed]),
            _ => None,
        };
        if let Some(only) = only {
            let asked = filter.statuses.unwrap_or_else(|| UnitStatus::ALL.to_vec());
            filter.statuses = Some(only.into_iter().filter(|s| asked.contains(s)).collect());
        }
        let names = self.select(&command.spec.name, &filter);
        let units = &mut self.spec(&command.spec)?.units;
        let mut count = 0;
        for name in names {
            if command.change == UnitChange::Delete {
                units.remove(&name);
                count += 1;
                continue;
            }
            let Some(unit) = units.get_mut(&name) else { continue };
            match &command.change {
                UnitChange::Delete => {}
                UnitChange::Priority(priority) => unit.meta.priority = *priority,
                UnitChange::Adjust(delta) => unit.meta.priority += *delta,
                UnitChange::Meta(meta) => unit.meta = *meta,
                UnitChange::Again => unit.active = None,
                UnitChange::Data(data) => unit.data = data.clone(),
            }
            count += 1;
        }
        Ok(Reply::Swept { count, next: None })
    }

    pub(super) fn clear_active(&mut self, unit: &UnitRef) -> Result<Reply> {
        self.unit(unit)?.active = None;
        Ok(Reply::Done)
    }
}
