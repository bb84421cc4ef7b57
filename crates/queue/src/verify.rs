//! Looking over all rows of a store: whether each can be read, and whether what they say of each
//! other holds.

use std::collections::{BTreeMap, BTreeSet};

use model::{Counts, Id, Namespace, Result, Revision, SpecName, UnitStatus};
use store::{Doc, Row, Table, tables};

use crate::rows::{
    AttemptRow, CounterRow, HistoryRow, LockRow, NamespaceRow, RubbleRow, SpecDataRow, SpecRow,
    UnitRow, WorkerRow,
};

/// Findings that are told one by one.
const TOLD_MAX: usize = 50;

/// What is wrong.
#[derive(Debug, Default)]
pub struct Findings {
    /// The first of them, in words.
    pub told: Vec<String>,
    /// How many there are.
    pub count: u64,
}

impl Findings {
    /// Adds one.
    pub fn add(&mut self, what: impl Into<String>) {
        self.count += 1;
        if self.told.len() < TOLD_MAX {
            self.told.push(what.into());
        }
    }
}

/// Takes the rows of the queue one after another. Namespaces and rubble have to come before all
/// others; it keeps what it needs of namespaces, specs and pending units, and nothing of the rest.
#[derive(Debug, Default)]
pub struct Verifier {
    /// What was found so far.
    pub findings: Findings,
    /// By the incarnation that keys their rows.
    live: BTreeMap<Id, Live>,
    /// By the lasting id: the name, and the newest revision.
    histories: BTreeMap<Id, (Namespace, Revision)>,
    rubble: BTreeSet<(Id, Id)>,
    specs: BTreeMap<(Id, Id), Spec>,
    /// The attempts that pending units wait for.
    pending: BTreeMap<(Id, Id), Id>,
    /// The newest row of a history that was seen.
    newest: BTreeMap<Id, Revision>,
}

#[derive(Debug)]
struct Live {
    name: Namespace,
    last_id: Id,
}

#[derive(Debug)]
struct Spec {
    name: SpecName,
    says: Counts,
    counted: Counts,
    has_data: bool,
}

/// Reads a row, and holds its key and columns against those that its body calls for.
///
/// # Errors
/// [`model::Error::Internal`] if it is damaged.
pub fn read<R: Row>(doc: Doc, findings: &mut Findings) -> Result<R> {
    let (key, columns) = (doc.key.clone(), doc.columns.clone());
    let row = R::from_doc(doc)?;
    let again = row.to_doc();
    if (&again.key, &again.columns) != (&key, &columns) {
        findings.add(format!("{} {key:?}: its columns are not those of its body", R::TABLE.name));
    }
    Ok(row)
}

impl Verifier {
    /// Takes a row of a table of the queue; those of other tables are left alone.
    pub fn row(&mut self, table: &'static Table, doc: Doc) {
        let key = doc.key.clone();
        if let Err(error) = self.try_row(table, doc) {
            self.findings.add(format!("{} {key:?}: {error}", table.name));
        }
    }

    fn try_row(&mut self, table: &'static Table, doc: Doc) -> Result<()> {
        match table.id {
            id if id == tables::NAMESPACE.id => {
                let row = self.read(doc)?;
                self.namespace(row);
            }
            id if id == tables::RUBBLE.id => {
                let row: RubbleRow = self.read(doc)?;
                self.rubble.insert((row.namespace, row.spec));
            }
            id if id == tables::SPEC.id => {
                let row = self.read(doc)?;
                self.spec(row);
            }
            id if id == tables::SPEC_DATA.id => {
                let row = self.read(doc)?;
                self.spec_data(&row);
            }
            id if id == tables::UNIT.id => {
                let row = self.read(doc)?;
                self.unit(&row);
            }
            id if id == tables::ATTEMPT.id => {
                let row = self.read(doc)?;
                self.attempt(&row);
            }
            id if id == tables::WORKER.id => {
                let row: WorkerRow = self.read(doc)?;
                self.lives(row.namespace, || format!("worker {}", row.name));
            }
            id if id == tables::LOCK.id => {
                let row: LockRow = self.read(doc)?;
                self.lives(row.namespace, || "a lock".to_owned());
            }
            id if id == tables::HISTORY.id => {
                let row = self.read(doc)?;
                self.history(&row);
            }
            id if id == tables::COUNTER.id => drop(self.read::<CounterRow>(doc)?),
            _ => {}
        }
        Ok(())
    }

    fn read<R: Row>(&mut self, doc: Doc) -> Result<R> {
        read(doc, &mut self.findings)
    }

    fn namespace(&mut self, row: NamespaceRow) {
        if let Some(live) = row.live {
            let new = Live { name: row.name.clone(), last_id: row.last_id };
            if let Some(other) = self.live.insert(live, new) {
                self.findings.add(format!("namespaces {} and {} are one", other.name, row.name));
            }
        }
        self.histories.insert(row.id, (row.name, row.revision));
    }

    fn spec(&mut self, row: SpecRow) {
        if !self.live.contains_key(&row.namespace) {
            // Of what is being swept away, parts may be gone already.
            return self.swept(row.namespace, 0, || format!("spec {}", row.name));
        }
        self.id_given(row.namespace, row.id, || format!("spec {}", row.name));
        let SpecRow { namespace, name, id, counts: says, .. } = row;
        let spec = Spec { name, says, counted: Counts::default(), has_data: false };
        self.specs.insert((namespace, id), spec);
    }

    fn spec_data(&mut self, row: &SpecDataRow) {
        match self.specs.get_mut(&(row.namespace, row.spec)) {
            Some(spec) => spec.has_data = true,
            None => self.swept(row.namespace, row.spec, || format!("data of spec {}", row.spec)),
        }
    }

    fn unit(&mut self, row: &UnitRow) {
        let Some(spec) = self.specs.get_mut(&(row.namespace, row.spec)) else {
            return self.swept(row.namespace, row.spec, || format!("unit {}", row.name));
        };
        *spec.counted.of_mut(row.status) += 1;
        self.id_given(row.namespace, row.id, || format!("unit {}", row.name));
        match (row.status, row.active) {
            (UnitStatus::Pending, Some(attempt)) => {
                self.pending.insert((row.namespace, row.id), attempt);
            }
            (UnitStatus::Pending, None) => {
                self.findings.add(format!("unit {} is pending without an attempt", row.name));
            }
            (
                UnitStatus::Available
                | UnitStatus::Finished
                | UnitStatus::Failed
                | UnitStatus::Delayed,
                _,
            ) => {}
        }
    }

    fn attempt(&mut self, row: &AttemptRow) {
        let unit = (row.namespace, row.unit);
        if self.pending.get(&unit) == Some(&row.id) {
            self.pending.remove(&unit);
        }
        self.lives(row.namespace, || format!("attempt {}", row.id));
    }

    fn history(&mut self, row: &HistoryRow) {
        let Some((name, _)) = self.histories.get(&row.namespace) else {
            return self.findings.add(format!("a history of no namespace: {}", row.namespace));
        };
        if let Some(last) = self.newest.insert(row.namespace, row.revision)
            && last + 1 != row.revision
        {
            self.findings.add(format!("the history of {name} has a gap after revision {last}"));
        }
    }

    /// What is not in a live namespace has to lie in rubble.
    fn lives(&mut self, namespace: Id, what: impl FnOnce() -> String) {
        if !self.live.contains_key(&namespace) {
            self.swept(namespace, 0, what);
        }
    }

    fn swept(&mut self, namespace: Id, spec: Id, what: impl FnOnce() -> String) {
        let rubble = [(namespace, spec), (namespace, 0)];
        if !rubble.iter().any(|place| self.rubble.contains(place)) {
            self.findings.add(format!("{} belongs to nothing that is there", what()));
        }
    }

    fn id_given(&mut self, namespace: Id, id: Id, what: impl FnOnce() -> String) {
        if self.live.get(&namespace).is_some_and(|live| id > live.last_id) {
            self.findings.add(format!("{} has an id that was never given: {id}", what()));
        }
    }

    /// Ends it, after all rows: gives what was found.
    pub fn end(mut self) -> Findings {
        for (id, (name, revision)) in &self.histories {
            let newest = self.newest.get(id).copied().unwrap_or(0);
            if newest != *revision {
                self.findings.add(format!(
                    "namespace {name} is at revision {revision}, its history at {newest}"
                ));
            }
        }
        for spec in self.specs.values() {
            let Spec { name, says, counted, has_data } = spec;
            if says != counted {
                self.findings.add(format!("spec {name} counts {says:?}, there are {counted:?}"));
            }
            if !has_data {
                self.findings.add(format!("spec {name} has no data"));
            }
        }
        for ((_, unit), attempt) in &self.pending {
            self.findings
                .add(format!("unit {unit} waits for attempt {attempt}, which is not there"));
        }
        self.findings
    }
}
