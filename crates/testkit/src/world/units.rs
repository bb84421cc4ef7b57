//! Units.

use model::{
    AddUnits, Answer, Id, NewUnit, Query, QueueCommand, Reply, Result, SetUnits, Unit, UnitChange,
    UnitFilter, UnitRef, UnitStatus,
};
use serde_json::Value;

use super::{World, data, name, new_unit, specs::spec_ref};

impl World {
    /// Adds units that are nothing but names.
    #[track_caller]
    pub fn add<N: AsRef<[u8]>>(&self, spec: &str, names: impl IntoIterator<Item = N>) -> Vec<Id> {
        self.try_add(spec, names.into_iter().map(new_unit).collect()).expect("the units are added")
    }

    /// Adds a unit with data.
    #[track_caller]
    pub fn add_data(&self, spec: &str, unit: &str, dict: &Value) -> Id {
        self.add_unit(spec, NewUnit { data: data(dict), ..new_unit(unit) })
    }

    /// Adds one unit.
    #[track_caller]
    pub fn add_unit(&self, spec: &str, unit: NewUnit) -> Id {
        let ids = self.try_add(spec, vec![unit]).expect("the unit is added");
        *ids.first().expect("one id for one unit")
    }

    /// Adds units, if the backend agrees.
    #[track_caller]
    pub fn try_add(&self, spec: &str, units: Vec<NewUnit>) -> Result<Vec<Id>> {
        self.try_add_units(AddUnits { spec: spec_ref(spec), units })
    }

    /// Adds units, if the backend agrees.
    #[track_caller]
    pub fn try_add_units(&self, units: AddUnits) -> Result<Vec<Id>> {
        match self.run(QueueCommand::AddUnits(units))? {
            Reply::Ids(ids) => Ok(ids),
            other => panic!("adding work units answers {other:?}"),
        }
    }

    /// Gives a unit.
    #[track_caller]
    pub fn unit(&self, spec: &str, unit: impl AsRef<[u8]>) -> Unit {
        self.try_unit(unit_ref(spec, unit)).expect("the work unit is there")
    }

    /// Gives a unit, if it is there.
    #[track_caller]
    pub fn try_unit(&self, unit: UnitRef) -> Result<Unit> {
        match self.ask(Query::Unit(self.namespace.clone(), unit))? {
            Answer::Unit(unit) => Ok(unit),
            other => panic!("asking for a work unit answers {other:?}"),
        }
    }

    /// Gives the status of a unit.
    #[track_caller]
    pub fn status(&self, spec: &str, unit: impl AsRef<[u8]>) -> UnitStatus {
        self.unit(spec, unit).status
    }

    /// Gives the first page of the units that a filter selects, in the order they are listed.
    #[track_caller]
    pub fn units(&self, spec: &str, filter: UnitFilter) -> Vec<Unit> {
        self.page(spec, filter).0
    }

    /// Gives a page of units, and the name after which the next page starts.
    #[track_caller]
    pub fn page(&self, spec: &str, filter: UnitFilter) -> (Vec<Unit>, Option<model::UnitName>) {
        match self.ask(Query::Units(self.namespace.clone(), spec_ref(spec), filter)) {
            Ok(Answer::Units(units, next)) => (units, next),
            other => panic!("asking for work units answers {other:?}"),
        }
    }

    /// Gives the names of the units that a filter selects, in the order they are listed.
    #[track_caller]
    pub fn names(&self, spec: &str, filter: UnitFilter) -> Vec<String> {
        super::names_of(&self.units(spec, filter))
    }

    /// Changes the units that a filter selects and gives their number.
    #[track_caller]
    pub fn set_units(&self, spec: &str, filter: UnitFilter, change: UnitChange) -> u64 {
        match self.try_set_units(spec, filter, change) {
            Ok(Reply::Swept { count, .. }) => count,
            other => panic!("changing work units answers {other:?}"),
        }
    }

    /// Changes the units that a filter selects, if the backend agrees.
    #[track_caller]
    pub fn try_set_units(
        &self,
        spec: &str,
        filter: UnitFilter,
        change: UnitChange,
    ) -> Result<Reply> {
        let command = SetUnits { spec: spec_ref(spec), filter, change };
        self.run(QueueCommand::SetUnits(command))
    }

    /// Deletes the units that a filter selects and gives their number.
    #[track_caller]
    pub fn delete(&self, spec: &str, filter: UnitFilter) -> u64 {
        self.set_units(spec, filter, UnitChange::Delete)
    }

    /// Detaches a unit's active attempt.
    #[track_caller]
    pub fn clear(&self, spec: &str, unit: &str) {
        self.try_clear(unit_ref(spec, unit)).expect("the active attempt is cleared");
    }

    /// Detaches a unit's active attempt, if the unit is there.
    pub fn try_clear(&self, unit: UnitRef) -> Result<()> {
        self.done(QueueCommand::ClearActive { unit })
    }
}

/// Names a unit in whatever incarnation.
#[track_caller]
pub(super) fn unit_ref(spec: &str, unit: impl AsRef<[u8]>) -> UnitRef {
    UnitRef { spec: super::spec_name(spec), name: name(unit), id: None }
}
