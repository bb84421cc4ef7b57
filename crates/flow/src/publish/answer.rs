//! Answering questions about definitions from a snapshot.

use model::{
    Answer, DefinitionAnswer, DefinitionQuery, Error, Id, Namespace, Page, Read, Result, Trigger,
    limits,
};
use store::{PRIMARY, Range, Row, Tx, TxExt as _, Value, tables};

use super::{
    audit,
    change::no_version,
    log,
    rows::{DefinitionRow, DraftRow, TriggerRow, VersionRow},
    runs::{RunRow, down},
};
use crate::timer::trigger_state;

/// Answers a question about the definitions of a namespace.
///
/// # Errors
/// Errors of the NoSuch kind for what does not exist.
pub fn answer(tx: &mut dyn Tx, namespace: &Namespace, query: &DefinitionQuery) -> Result<Read> {
    let (as_of, live) = queue::live(tx, namespace)?;
    let mut reader = Reader { tx, live };
    let answer = match query {
        DefinitionQuery::List(page) => DefinitionAnswer::Definitions(reader.list(page)?),
        DefinitionQuery::One(name) => DefinitionAnswer::Definition(reader.head(name)?.show()),
        DefinitionQuery::Versions(name) => DefinitionAnswer::Versions(reader.versions(name)?),
        DefinitionQuery::Version(name, version) => {
            DefinitionAnswer::Version(reader.version(name, version.as_deref())?)
        }
        DefinitionQuery::Draft(name) => DefinitionAnswer::Draft(reader.draft(name)?),
        DefinitionQuery::Triggers(name) => {
            DefinitionAnswer::Triggers(reader.triggers(name.as_deref())?)
        }
        DefinitionQuery::Runs(name, page) => {
            DefinitionAnswer::Runs(reader.runs(name.as_deref(), page)?)
        }
        DefinitionQuery::Run(id) => DefinitionAnswer::Runs(vec![reader.run(*id)?]),
        DefinitionQuery::Changes(page) => {
            let rows = log::changes(reader.tx, page)?;
            DefinitionAnswer::Changes(rows.into_iter().map(|row| row.body.change).collect())
        }
        DefinitionQuery::Audit => DefinitionAnswer::Audit(audit::audit(reader.tx, live)?),
        DefinitionQuery::Pipeline => {
            return Err(Error::Internal("the pipeline is no row of the store".to_owned()));
        }
    };
    Ok(Read { as_of, answer: Answer::Definitions(answer) })
}

struct Reader<'t> {
    tx: &'t mut dyn Tx,
    live: Id,
}

impl Reader<'_> {
    /// Gives a definition that is not deleted.
    fn head(&mut self, name: &str) -> Result<DefinitionRow> {
        let row: Option<DefinitionRow> = self.tx.get(DefinitionRow::key(self.live, name))?;
        row.filter(|row| !row.head.is_deleted)
            .ok_or_else(|| Error::NoSuchDefinition(name.to_owned()))
    }

    fn list(&mut self, page: &Page<String>) -> Result<Vec<model::Definition>> {
        let after = page.after.as_ref().map(|name| Value::Text(name.as_str().into()));
        let hidden = |row: &DefinitionRow| row.head.is_deleted;
        let key = |row: &DefinitionRow| Value::Text(row.name.as_str().into());
        let prefix = vec![Value::id(self.live)];
        let rows = self.page(PRIMARY, prefix, after, page.limit, key, |row| !hidden(row))?;
        Ok(rows.iter().map(DefinitionRow::show).collect())
    }

    fn versions(&mut self, name: &str) -> Result<Vec<model::Version>> {
        let head = self.head(name)?;
        let range = Range::prefix([Value::id(self.live), Value::id(head.id)]);
        let rows: Vec<VersionRow> =
            self.tx.find(tables::VERSION_CREATED, &range, limits::PAGE_MAX)?;
        let shown = rows.into_iter().rev().map(|row| {
            let shown = row.show(name);
            model::Version { source: String::new(), ..shown }
        });
        Ok(shown.collect())
    }

    fn version(&mut self, name: &str, version: Option<&str>) -> Result<model::Version> {
        let head = self.head(name)?;
        let version = version.or(head.head.published.as_deref());
        let version = version.ok_or_else(|| no_version(name, "none is published"))?;
        let row: Option<VersionRow> = self.tx.get(VersionRow::key(self.live, head.id, version))?;
        Ok(row.ok_or_else(|| no_version(name, version))?.show(name))
    }

    fn draft(&mut self, name: &str) -> Result<String> {
        let row: Option<DraftRow> = self.tx.get(DraftRow::key(self.live, name))?;
        row.map(|row| row.source).ok_or_else(|| Error::NoSuchDraft(name.to_owned()))
    }

    fn triggers(&mut self, name: Option<&str>) -> Result<Vec<Trigger>> {
        let mut prefix = vec![Value::id(self.live)];
        if let Some(name) = name {
            prefix.push(Value::id(self.head(name)?.id));
        }
        let rows: Vec<TriggerRow> =
            self.tx.find(PRIMARY, &Range::prefix(prefix), limits::PAGE_MAX)?;
        rows.into_iter().map(|row| self.trigger(row)).collect()
    }

    fn trigger(&mut self, row: TriggerRow) -> Result<Trigger> {
        let state = trigger_state(self.tx, self.live, row.definition, &row.name)?;
        let (state, next) = state.unwrap_or_default();
        let spec = &row.body.spec;
        Ok(Trigger {
            kind: spec.kind().to_owned(),
            text: spec.text(),
            definition: row.body.definition,
            name: row.name,
            next: next.filter(|_| !state.is_paused),
            last: state.last,
            fired: state.fired,
            missed: state.missed,
            is_paused: state.is_paused,
        })
    }

    fn runs(&mut self, name: Option<&str>, page: &Page<Id>) -> Result<Vec<model::Run>> {
        let after = page.after.map(down);
        let key = |row: &RunRow| down(row.body.run.id);
        let prefix = vec![Value::id(self.live)];
        let is_of = |row: &RunRow| {
            name.is_none_or(|name| row.body.run.definitions.iter().any(|one| one == name))
        };
        let rows = self.page(PRIMARY, prefix, after, page.limit, key, is_of)?;
        let brief =
            |row: RunRow| model::Run { stages: Vec::new(), published: Vec::new(), ..row.body.run };
        Ok(rows.into_iter().map(brief).collect())
    }

    fn run(&mut self, id: Id) -> Result<model::Run> {
        let row: Option<RunRow> = self.tx.get(RunRow::key(self.live, id))?;
        row.map(|row| row.body.run).ok_or(Error::NoSuchRun(id))
    }

    /// Gives a page of rows in the order of an index, passing over some.
    fn page<R: Row>(
        &mut self,
        index: usize,
        prefix: Vec<Value>,
        mut after: Option<Value>,
        limit: u32,
        key: impl Fn(&R) -> Value,
        shows: impl Fn(&R) -> bool,
    ) -> Result<Vec<R>> {
        let most = if limit == 0 { limits::PAGE_MAX } else { limit.min(limits::PAGE_MAX) };
        let mut shown = Vec::new();
        loop {
            let range = Range::prefix(prefix.clone()).after(after);
            let rows: Vec<R> = self.tx.find(index, &range, most)?;
            let is_last = rows.len() < most as usize;
            after = rows.last().map(&key);
            shown.extend(rows.into_iter().filter(|row| shows(row)));
            shown.truncate(most as usize);
            if is_last || shown.len() == most as usize {
                return Ok(shown);
            }
        }
    }
}
