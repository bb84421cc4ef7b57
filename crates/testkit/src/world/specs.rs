//! Specs and summaries.

use model::{
    Answer, Control, Counts, Data, Id, Page, Query, QueueCommand, Reply, Result, Spec, SpecMeta,
    SpecRef, SummaryRow, UnitStatus,
};
use serde_json::{Value, json};

use super::{World, data, spec_name};

impl World {
    /// Creates a spec with nothing but its name.
    #[track_caller]
    pub fn plain_spec(&self, name: &str) -> Id {
        self.set_spec(&json!({ "name": name }))
    }

    /// Creates or replaces a spec.
    #[track_caller]
    pub fn set_spec(&self, dict: &Value) -> Id {
        self.try_set_spec(data(dict)).expect("the work spec is set")
    }

    /// Creates or replaces a spec, if the backend agrees.
    #[track_caller]
    pub fn try_set_spec(&self, data: Data) -> Result<Id> {
        match self.run(QueueCommand::SetSpec { data })? {
            Reply::Id(id) => Ok(id),
            other => panic!("setting a work spec answers {other:?}"),
        }
    }

    /// Replaces the dictionary of a spec.
    pub fn change_spec(&self, name: &str, dict: &Value) -> Result<()> {
        self.done(QueueCommand::ChangeSpec { spec: spec_ref(name), data: data(dict) })
    }

    /// Gives a spec.
    #[track_caller]
    pub fn spec(&self, name: &str) -> Spec {
        self.try_spec(spec_ref(name)).expect("the work spec is there")
    }

    /// Gives a spec, if it is there.
    #[track_caller]
    pub fn try_spec(&self, spec: SpecRef) -> Result<Spec> {
        match self.ask(Query::Spec(self.namespace.clone(), spec))? {
            Answer::Spec(spec) => Ok(spec),
            other => panic!("asking for a work spec answers {other:?}"),
        }
    }

    /// Gives all specs.
    #[track_caller]
    pub fn specs(&self) -> Vec<Spec> {
        match self.ask(Query::Specs(self.namespace.clone(), Page::default())) {
            Ok(Answer::Specs(specs)) => specs,
            other => panic!("asking for all work specs answers {other:?}"),
        }
    }

    /// Gives the names of all specs.
    #[track_caller]
    pub fn spec_names(&self) -> Vec<String> {
        self.specs().iter().map(|spec| spec.name.to_string()).collect()
    }

    /// Destroys a spec.
    pub fn destroy_spec(&self, name: &str) -> Result<()> {
        self.done(QueueCommand::DestroySpec { spec: spec_ref(name) })
    }

    /// Gives the meta of a spec.
    #[track_caller]
    pub fn meta(&self, name: &str) -> SpecMeta {
        self.spec(name).meta
    }

    /// Changes the meta of a spec by replacing all of it.
    #[track_caller]
    pub fn set_meta(&self, name: &str, change: impl FnOnce(&mut SpecMeta)) {
        let mut meta = self.meta(name);
        change(&mut meta);
        let spec = spec_ref(name);
        self.done(QueueCommand::SetSpecMeta { spec, meta }).expect("the meta is set");
    }

    /// Changes only some fields of the meta of a spec.
    pub fn control(&self, name: &str, control: Control) -> Result<()> {
        self.done(QueueCommand::ControlSpec { spec: spec_ref(name), control })
    }

    /// Gives the counts of a spec.
    #[track_caller]
    pub fn counts(&self, name: &str) -> Counts {
        self.spec(name).counts
    }

    /// Gives how many units of a spec are available and how many pending.
    #[track_caller]
    pub fn ready_and_pending(&self, name: &str) -> (u64, u64) {
        let counts = self.counts(name);
        (counts.available, counts.pending)
    }

    /// Sums up one spec, or all of the namespace.
    #[track_caller]
    pub fn summary(&self, spec: Option<&str>) -> Vec<(String, UnitStatus, u64)> {
        let spec = spec.map(spec_name);
        self.rows_of(Query::Summary(Some(self.namespace.clone()), spec))
    }

    /// Sums up everything, and keeps what is about this namespace.
    #[track_caller]
    pub fn global_summary(&self) -> Vec<(String, UnitStatus, u64)> {
        self.rows_of(Query::Summary(None, None))
    }

    #[track_caller]
    fn rows_of(&self, query: Query) -> Vec<(String, UnitStatus, u64)> {
        let rows = match self.ask(query) {
            Ok(Answer::Summary(rows)) => rows,
            other => panic!("asking for a summary answers {other:?}"),
        };
        let here = |row: &SummaryRow| row.namespace == self.namespace;
        let rows = rows.into_iter().filter(here);
        let mut rows: Vec<_> =
            rows.map(|row| (row.spec.to_string(), row.status, row.count)).collect();
        rows.sort();
        rows
    }
}

/// Names a spec in whatever incarnation.
#[track_caller]
pub(super) fn spec_ref(name: &str) -> SpecRef {
    SpecRef { name: spec_name(name), id: None }
}
