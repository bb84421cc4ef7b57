//! Looking over all definitions of a namespace: what must hold in every committed state.
//!
//! Each finding starts with the number of the promise that it breaks; the book lists them, with
//! the same questions in SQL.

use std::collections::{BTreeMap, HashMap, HashSet};

use model::{Id, Result, limits};
use store::{PRIMARY, Range, Row, Table, Tx, Value, tables};

use super::{
    log,
    rows::{DefinitionRow, TriggerRow, VersionRow},
    runs::RunRow,
    trigger::plan_triggers,
};
use crate::{
    Definition,
    timer::{TimerKind, TimerRow},
};

/// Looks over a namespace.
pub(super) fn audit(tx: &mut dyn Tx, live: Id) -> Result<Vec<String>> {
    let mut audit = Audit { tx, live, findings: Vec::new() };
    let heads: Vec<DefinitionRow> = audit.all()?;
    let triggers: Vec<TriggerRow> = audit.all()?;
    let runs: Vec<RunRow> = audit.all()?;
    let timers: Vec<TimerRow> = audit.all()?;
    let versions: Vec<VersionRow> = audit.all()?;
    audit.versions(&heads, &versions);
    audit.triggers(&heads, &triggers, &versions);
    audit.timers(&triggers, &timers);
    audit.epochs(&heads, &runs)?;
    audit.runs(&runs, &timers);
    audit.firings()?;
    Ok(audit.findings)
}

struct Audit<'t> {
    tx: &'t mut dyn Tx,
    live: Id,
    findings: Vec<String>,
}

impl Audit<'_> {
    fn find(&mut self, finding: String) {
        self.findings.push(finding);
    }

    /// Reads all rows of a table.
    fn all<R: Row>(&mut self) -> Result<Vec<R>> {
        let docs = self.docs(R::TABLE)?;
        docs.into_iter().map(R::from_doc).collect()
    }

    fn docs(&mut self, table: &'static Table) -> Result<Vec<store::Doc>> {
        // A table whose key has more than two columns is read in one go: pages go by the second.
        self.tx.scan(table, PRIMARY, &Range::prefix([Value::id(self.live)]), u32::MAX)
    }

    /// I1 and I3: what is published is there, and says what it said.
    fn versions(&mut self, heads: &[DefinitionRow], versions: &[VersionRow]) {
        for head in heads {
            let Some(published) = &head.head.published else { continue };
            let same = |row: &&VersionRow| row.definition == head.id && row.version == *published;
            let name = &head.name;
            match versions.iter().find(same) {
                None => self.find(format!("I1: version {published} of {name:?} is not there")),
                Some(row) if head.head.hash.as_ref() != Some(&row.body.hash) => {
                    self.find(format!("I3: version {published} of {name:?} has another hash"));
                }
                Some(row) if head.head.turns != row.body.turns => {
                    self.find(format!("I3: version {published} of {name:?} takes other turns"));
                }
                Some(_) if head.head.is_deleted => {
                    self.find(format!("I1: {name:?} is deleted and published"));
                }
                Some(_) => {}
            }
        }
        let known: HashSet<Id> = heads.iter().map(|head| head.id).collect();
        for row in versions {
            let version = &row.version;
            if !known.contains(&row.definition) {
                self.find(format!("I1: version {version} is of no definition"));
            }
            let said = Definition::parse(&row.body.source).map(|said| said.content_hash());
            if said.ok().as_ref() != Some(&row.body.hash) {
                self.find(format!("I3: version {version} does not say what its hash says"));
            }
        }
    }

    /// I2 and I13: triggers are what the published version wants, and no path has two owners.
    fn triggers(
        &mut self,
        heads: &[DefinitionRow],
        triggers: &[TriggerRow],
        versions: &[VersionRow],
    ) {
        let mut routes: HashMap<&[u8], &str> = HashMap::new();
        for row in triggers {
            let owner = row.body.definition.as_str();
            if let Some(route) = &row.route
                && let Some(other) = routes.insert(route, owner)
            {
                self.find(format!("I13: {owner:?} and {other:?} have the same hook path"));
            }
            if !heads.iter().any(|head| head.id == row.definition) {
                self.find(format!("I2: trigger {:?} is of no definition", row.name));
            }
        }
        for head in heads {
            let of = |row: &&VersionRow| {
                row.definition == head.id && Some(&row.version) == head.head.published.as_ref()
            };
            let said = versions.iter().find(of).map(|row| Definition::parse(&row.body.source));
            let wanted = match said {
                Some(Ok(said)) => plan_triggers(&said.document).unwrap_or_default(),
                // The finding about the version stands already.
                Some(Err(_)) => continue,
                None => Vec::new(),
            };
            let found: BTreeMap<_, _> = triggers
                .iter()
                .filter(|row| row.definition == head.id)
                .map(|row| (row.name.as_str(), &row.body))
                .collect();
            let wanted: BTreeMap<_, _> =
                wanted.iter().map(|one| (one.name.as_str(), one.hash())).collect();
            let name = &head.name;
            if !found.keys().eq(wanted.keys()) {
                self.find(format!("I2: {name:?} has other triggers than its version wants"));
            }
            for (trigger, body) in found {
                if wanted.get(trigger).is_some_and(|hash| *hash != body.spec_hash) {
                    self.find(format!("I2: trigger {trigger:?} of {name:?} says something else"));
                }
                if body.revision != head.head.revision
                    || Some(&body.version) != head.head.published.as_ref()
                {
                    self.find(format!(
                        "I2: trigger {trigger:?} of {name:?} is at another revision"
                    ));
                }
            }
        }
    }

    /// I2: each trigger has its state, and there is none besides.
    fn timers(&mut self, triggers: &[TriggerRow], timers: &[TimerRow]) {
        let states: HashSet<(Id, &str)> = timers
            .iter()
            .filter(|row| row.kind == TimerKind::Trigger)
            .map(|row| (row.owner, row.name.as_str()))
            .collect();
        let known: HashSet<(Id, &str)> =
            triggers.iter().map(|row| (row.definition, row.name.as_str())).collect();
        for (_, name) in known.difference(&states) {
            self.find(format!("I2: trigger {name:?} has no state"));
        }
        for (_, name) in states.difference(&known) {
            self.find(format!("I2: there is the state of a trigger {name:?} that is gone"));
        }
    }

    /// I4 and I8: epochs and revisions have no gaps, and only what was committed is among them.
    fn epochs(&mut self, heads: &[DefinitionRow], runs: &[RunRow]) -> Result<()> {
        let newest = log::epoch(self.tx)?;
        let (mut expected, mut revisions) = (1, HashMap::<String, u64>::new());
        let mut committed = HashSet::new();
        loop {
            let page = model::Page { after: Some(expected - 1), limit: limits::PAGE_MAX };
            let rows = log::changes(self.tx, &page)?;
            if rows.is_empty() {
                break;
            }
            for row in &rows {
                let change = &row.body.change;
                if change.epoch != expected {
                    self.find(format!("I4: epoch {expected} is missing"));
                }
                expected = change.epoch + 1;
                if row.namespace != self.live {
                    continue;
                }
                committed.insert(change.run);
                for (name, revision) in change.definitions.iter().zip(&row.body.revisions) {
                    let last = revisions.insert(name.clone(), *revision).unwrap_or(0);
                    if *revision != last + 1 {
                        self.find(format!("I4: {name:?} goes from revision {last} to {revision}"));
                    }
                }
            }
        }
        if expected != newest + 1 {
            self.find(format!(
                "I4: the newest epoch is {newest}, the last change {}",
                expected - 1
            ));
        }
        for head in heads {
            let last = revisions.get(&head.name).copied().unwrap_or(0);
            if last != head.head.revision {
                let (name, revision) = (&head.name, head.head.revision);
                self.find(format!("I4: {name:?} is at revision {revision}, its history at {last}"));
            }
        }
        for run in runs {
            let body = &run.body.run;
            let is_in = committed.contains(&body.id);
            if body.epoch.is_some() != is_in {
                let (id, state) = (body.id, &body.state);
                self.find(format!("I8: run {id} is {state}, and the catalog says otherwise"));
            }
        }
        Ok(())
    }

    /// I9: whoever is not done is looked after.
    fn runs(&mut self, runs: &[RunRow], timers: &[TimerRow]) {
        let kept: HashSet<Id> =
            timers.iter().filter(|row| row.kind == TimerKind::Run).map(|row| row.owner).collect();
        for run in runs {
            let (id, state) = (run.body.run.id, &run.body.run.state);
            if !run.is_over() && !kept.contains(&id) {
                self.find(format!("I9: nobody looks after run {id}, which is {state}"));
            }
        }
    }

    /// I11: an instance was started for one slot or event only.
    fn firings(&mut self) -> Result<()> {
        let mut started = HashSet::new();
        for doc in self.docs(&tables::FIRING)? {
            if let Some(Value::Int(instance)) = doc.columns.first()
                && !started.insert(*instance)
            {
                self.find(format!("I11: instance {instance} was started for two firings"));
            }
        }
        Ok(())
    }
}
