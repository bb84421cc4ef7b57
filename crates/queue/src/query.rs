//! Answering queries from a snapshot.

use model::{
    Answer, Attempt, AttemptRef, AttemptsOf, Error, Id, Namespace, NamespaceInfo, Page, Query,
    Read, Result, Revision, Spec, SpecName, SpecRef, SummaryRow, Time, Unit, UnitFilter, UnitRef,
    UnitStatus, Worker, WorkerName, limits,
};
use store::{Key, PRIMARY, Range, Tx, TxExt as _, Value, tables};

use crate::{
    claim::view,
    history, lock,
    rows::{AttemptRow, NamespaceRow, SpecDataRow, SpecRow, UnitRow, WorkerRow},
    select::select,
    worker,
};

/// Answers a query about the queue.
///
/// # Errors
/// Errors of the NoSuch kind for what does not exist, [`Error::Gone`] for another incarnation.
pub fn answer(tx: &mut dyn Tx, query: &Query) -> Result<Read> {
    let Some(name) = query.namespace() else {
        return Ok(Read { as_of: 0, answer: answer_all(tx, query)? });
    };
    let (namespace, live) = namespace(tx, name)?;
    let mut reader = Reader { tx, live };
    let answer = match query {
        Query::Namespace(_) => Answer::Namespace(info(&namespace, live)),
        Query::Specs(_, page) => Answer::Specs(reader.specs(page)?),
        Query::Spec(_, spec) => {
            Answer::Spec(reader.spec(spec).and_then(|row| reader.show_spec(row))?)
        }
        Query::Unit(_, unit) => Answer::Unit(reader.unit(unit)?),
        Query::Units(_, spec, filter) => reader.units(spec, filter)?,
        Query::Attempt(_, attempt) => Answer::Attempt(reader.attempt(attempt)?),
        Query::Attempts(_, of, page) => Answer::Attempts(reader.attempts(of, page)?),
        Query::Worker(_, worker) => Answer::Worker(reader.worker(worker)?),
        Query::Workers(_, page) => Answer::Workers(reader.workers(page)?),
        Query::Locks(_, paths) => Answer::Locks(lock::owners(reader.tx, live, paths)?),
        Query::Summary(_, spec) => {
            let mut rows = Vec::new();
            reader.summary(&namespace.name, spec.as_ref(), &mut rows)?;
            Answer::Summary(rows)
        }
        Query::Namespaces(_)
        | Query::OldestReady
        | Query::Nodes
        | Query::Definitions(..)
        | Query::Instances(..)
        | Query::Mail(..)
        | Query::Blobs(..)
        | Query::Secrets(..)
        | Query::Audit(_)
        | Query::Tokens
        | Query::TokenByHash(_)
        | Query::Users(_)
        | Query::Since(_) => answer_all(tx, query)?,
    };
    Ok(Read { as_of: namespace.revision, answer })
}

fn answer_all(tx: &mut dyn Tx, query: &Query) -> Result<Answer> {
    match query {
        Query::Namespaces(page) => {
            let after = page.after.as_ref().map(|name| text(name.as_str()));
            let rows = live_namespaces(tx, after, page_size(page.limit))?;
            Ok(Answer::Namespaces(rows.iter().map(|(row, live)| info(row, *live)).collect()))
        }
        Query::Summary(..) => {
            let mut summary = Vec::new();
            for (row, live) in live_namespaces(tx, None, u32::MAX)? {
                Reader { tx, live }.summary(&row.name, None, &mut summary)?;
            }
            Ok(Answer::Summary(summary))
        }
        Query::OldestReady => {
            let mut oldest = Vec::new();
            for (row, live) in live_namespaces(tx, None, u32::MAX)? {
                Reader { tx, live }.oldest_ready(&row.name, &mut oldest)?;
            }
            Ok(Answer::OldestReady(oldest))
        }
        Query::Since(positions) => Ok(Answer::Events(history::since(tx, positions)?)),
        other => Err(Error::Internal(format!("this is no question for the queue: {other:?}"))),
    }
}

/// Gives the key of the row that [`revision`] looks at.
pub fn revision_key(name: &Namespace) -> Key {
    vec![text(name.as_str())]
}

/// Gives the position of the newest commit in a namespace, destroyed or not; 0 if it never was.
pub fn revision(tx: &mut dyn Tx, name: &Namespace) -> Result<Revision> {
    let row: Option<NamespaceRow> = tx.get(revision_key(name))?;
    Ok(row.map_or(0, |row| row.revision))
}

/// Gives the revision of a namespace, and the incarnation that keys everything in it.
///
/// # Errors
/// [`Error::NoSuchNamespace`] if it does not exist.
pub fn live(tx: &mut dyn Tx, name: &Namespace) -> Result<(Revision, Id)> {
    namespace(tx, name).map(|(row, live)| (row.revision, live))
}

/// Gives the lasting id of a namespace, destroyed or not, that was there at some time.
pub fn lasting_id(tx: &mut dyn Tx, name: &Namespace) -> Result<Option<Id>> {
    Ok(tx.get::<NamespaceRow>(revision_key(name))?.map(|row| row.id))
}

fn namespace(tx: &mut dyn Tx, name: &Namespace) -> Result<(NamespaceRow, Id)> {
    let row: Option<NamespaceRow> = tx.get(vec![text(name.as_str())])?;
    row.and_then(|row| row.live.map(|live| (row, live)))
        .ok_or_else(|| Error::NoSuchNamespace(name.to_string()))
}

/// Gives namespaces in name order, passing over destroyed ones.
fn live_namespaces(
    tx: &mut dyn Tx,
    mut after: Option<Value>,
    most: u32,
) -> Result<Vec<(NamespaceRow, Id)>> {
    let mut found = Vec::new();
    loop {
        let range = Range::default().after(after);
        let rows: Vec<NamespaceRow> = tx.find(PRIMARY, &range, limits::PAGE_MAX)?;
        let ended = rows.len() < limits::PAGE_MAX as usize;
        after = rows.last().map(|row| text(row.name.as_str()));
        found.extend(rows.into_iter().filter_map(|row| row.live.map(|live| (row, live))));
        if ended || found.len() >= most as usize {
            found.truncate(most as usize);
            return Ok(found);
        }
    }
}

fn info(row: &NamespaceRow, live: Id) -> NamespaceInfo {
    NamespaceInfo { name: row.name.clone(), id: live, revision: row.revision }
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

fn page_size(limit: u32) -> u32 {
    if limit == 0 { limits::PAGE_MAX } else { limit.min(limits::PAGE_MAX) }
}

/// A snapshot of one namespace.
struct Reader<'t> {
    tx: &'t mut dyn Tx,
    live: Id,
}

impl Reader<'_> {
    fn find_spec(&mut self, name: &SpecName) -> Result<Option<SpecRow>> {
        self.tx.get(SpecRow::key(self.live, name))
    }

    fn spec(&mut self, spec: &SpecRef) -> Result<SpecRow> {
        match self.find_spec(&spec.name)? {
            Some(row) if spec.id.is_none_or(|id| id == row.id) => Ok(row),
            None if spec.id.is_none() => Err(Error::NoSuchWorkSpec(spec.name.to_string())),
            _ => Err(Error::Gone),
        }
    }

    fn show_spec(&mut self, row: SpecRow) -> Result<Spec> {
        let data: Option<SpecDataRow> = self.tx.get(SpecDataRow::key(self.live, row.id))?;
        let data = data.map(|row| row.data).unwrap_or_default();
        Ok(Spec { name: row.name, id: row.id, data, meta: row.meta, counts: row.counts })
    }

    fn specs(&mut self, page: &Page<SpecName>) -> Result<Vec<Spec>> {
        let after = page.after.as_ref().map(|name| text(name.as_str()));
        let range = Range::prefix([Value::id(self.live)]).after(after);
        let rows: Vec<SpecRow> = self.tx.find(PRIMARY, &range, page_size(page.limit))?;
        rows.into_iter().map(|row| self.show_spec(row)).collect()
    }

    fn summary(
        &mut self,
        namespace: &Namespace,
        spec: Option<&SpecName>,
        rows: &mut Vec<SummaryRow>,
    ) -> Result<()> {
        let specs = match spec {
            Some(name) => vec![self.spec(&SpecRef { name: name.clone(), id: None })?],
            None => self.tx.find(PRIMARY, &Range::prefix([Value::id(self.live)]), u32::MAX)?,
        };
        for spec in specs {
            let counts = UnitStatus::ALL.map(|status| (status, spec.counts.of(status)));
            let counts = counts.into_iter().filter(|(_, count)| *count > 0);
            rows.extend(counts.map(|(status, count)| SummaryRow {
                namespace: namespace.clone(),
                spec: spec.name.clone(),
                status,
                count,
            }));
        }
        Ok(())
    }

    fn oldest_ready(
        &mut self,
        namespace: &Namespace,
        oldest: &mut Vec<(Namespace, SpecName, Time)>,
    ) -> Result<()> {
        let all = Range::prefix([Value::id(self.live)]);
        let specs: Vec<SpecRow> = self.tx.find(PRIMARY, &all, u32::MAX)?;
        for spec in specs.into_iter().filter(|spec| spec.counts.available > 0) {
            let range = Range::prefix([Value::id(self.live), Value::id(spec.id)]);
            let units: Vec<UnitRow> = self.tx.find(tables::UNIT_SINCE, &range, 1)?;
            let first = units.into_iter().next();
            oldest.extend(first.map(|unit| (namespace.clone(), spec.name, unit.created)));
        }
        Ok(())
    }

    fn unit_row(&mut self, unit: &UnitRef) -> Result<(SpecRow, UnitRow)> {
        let spec = self.spec(&SpecRef { name: unit.spec.clone(), id: None })?;
        let row: Option<UnitRow> = self.tx.get(UnitRow::key(self.live, spec.id, &unit.name))?;
        match row {
            Some(row) if unit.id.is_none_or(|id| id == row.id) => Ok((spec, row)),
            None if unit.id.is_none() => Err(Error::NoSuchWorkUnit(unit.name.to_string())),
            _ => Err(Error::Gone),
        }
    }

    fn unit(&mut self, unit: &UnitRef) -> Result<Unit> {
        let (spec, row) = self.unit_row(unit)?;
        let shown = self.show_units(&spec, vec![row])?;
        shown.into_iter().next().ok_or(Error::Gone)
    }

    fn units(&mut self, spec: &SpecRef, filter: &UnitFilter) -> Result<Answer> {
        let spec = self.spec(spec)?;
        let (rows, next) = select(self.tx, &spec, filter, limits::PAGE_MAX)?;
        let next = next.filter(|_| filter.limit == 0 || rows.len() < filter.limit as usize);
        Ok(Answer::Units(self.show_units(&spec, rows)?, next))
    }

    /// Shows units with their active attempts, which are read in one stroke.
    fn show_units(&mut self, spec: &SpecRow, rows: Vec<UnitRow>) -> Result<Vec<Unit>> {
        let key = |row: &UnitRow| row.active.map(|id| AttemptRow::key(self.live, row.id, id));
        let keys: Vec<_> = rows.iter().filter_map(key).collect();
        let found: Vec<Option<AttemptRow>> = self.tx.get_all(&keys)?;
        let mut active = found.into_iter();
        let show = |row: UnitRow| {
            let attempt = row.active.and_then(|_| active.next().flatten());
            let attempt = attempt.map(|attempt| view(&attempt, &row));
            Unit {
                spec: spec.name.clone(),
                data: attempt.as_ref().map_or_else(|| row.data.clone(), |a| a.data.clone()),
                name: row.name,
                id: row.id,
                meta: row.meta,
                status: row.status,
                active: attempt,
                attempts: row.attempts,
                created: row.created,
            }
        };
        Ok(rows.into_iter().map(show).collect())
    }

    fn attempt(&mut self, attempt: &AttemptRef) -> Result<Attempt> {
        let AttemptRef { spec, unit: name, id } = attempt;
        let unit = UnitRef { spec: spec.clone(), name: name.clone(), id: None };
        let (_, unit) = self.unit_row(&unit)?;
        let row: Option<AttemptRow> = self.tx.get(AttemptRow::key(self.live, unit.id, *id))?;
        let row = row.ok_or_else(|| Error::NoSuchAttempt(id.to_string()))?;
        Ok(view(&row, &unit))
    }

    fn attempts(&mut self, of: &AttemptsOf, page: &Page<Id>) -> Result<Vec<Attempt>> {
        let limit = page_size(page.limit);
        match of {
            AttemptsOf::Unit(unit) => {
                let (_, unit) = self.unit_row(unit)?;
                let range = Range::prefix([Value::id(self.live), Value::id(unit.id)])
                    .after(page.after.map(Value::id));
                let rows: Vec<AttemptRow> = self.tx.find(PRIMARY, &range, limit)?;
                Ok(rows.iter().map(|row| view(row, &unit)).collect())
            }
            AttemptsOf::WorkerActive(name) => {
                let worker = self.worker_row(name)?;
                self.worker_attempts(tables::ATTEMPT_BUSY, worker.id, page.after, limit)
            }
            AttemptsOf::WorkerAll(name) => {
                let worker = self.worker_row(name)?;
                self.worker_attempts(tables::ATTEMPT_WORKER, worker.id, page.after, limit)
            }
            AttemptsOf::WorkerChildren(name) => {
                let worker = self.worker_row(name)?;
                let mut shown = Vec::new();
                for child in self.children(worker.id)? {
                    let index = tables::ATTEMPT_BUSY;
                    shown.extend(self.worker_attempts(index, child.id, page.after, limit)?);
                }
                shown.sort_unstable_by_key(|attempt| attempt.id);
                shown.truncate(limit as usize);
                Ok(shown)
            }
        }
    }

    /// Fills a page from an index by worker; what belonged to a destroyed spec is passed over.
    fn worker_attempts(
        &mut self,
        index: usize,
        worker: Id,
        mut after: Option<Id>,
        limit: u32,
    ) -> Result<Vec<Attempt>> {
        let mut shown = Vec::new();
        loop {
            let range = Range::prefix([Value::id(self.live), Value::id(worker)])
                .after(after.map(Value::id));
            let rows: Vec<AttemptRow> = self.tx.find(index, &range, limit)?;
            after = rows.last().map(|row| row.id);
            let ended = rows.len() < limit as usize;
            shown.extend(self.show_attempts(rows)?);
            if ended || shown.len() >= limit as usize {
                shown.truncate(limit as usize);
                return Ok(shown);
            }
        }
    }

    /// Shows attempts of several units; what belonged to a destroyed spec is passed over.
    fn show_attempts(&mut self, rows: Vec<AttemptRow>) -> Result<Vec<Attempt>> {
        let keys: Vec<_> =
            rows.iter().map(|row| UnitRow::key(self.live, row.spec, &row.names.unit)).collect();
        let units: Vec<Option<UnitRow>> = self.tx.get_all(&keys)?;
        let mut specs: Vec<(SpecName, Option<Id>)> = Vec::new();
        let mut shown = Vec::with_capacity(rows.len());
        for (row, unit) in rows.iter().zip(units) {
            let name = &row.names.spec;
            let known = specs.iter().find(|(known, _)| known == name).map(|(_, id)| *id);
            let id = match known {
                Some(id) => id,
                None => {
                    let id = self.find_spec(name)?.map(|spec| spec.id);
                    specs.push((name.clone(), id));
                    id
                }
            };
            if id == Some(row.spec)
                && let Some(unit) = unit.filter(|unit| unit.id == row.unit)
            {
                shown.push(view(row, &unit));
            }
        }
        Ok(shown)
    }

    fn worker_row(&mut self, name: &WorkerName) -> Result<WorkerRow> {
        let row = self.tx.get(WorkerRow::key(self.live, name))?;
        row.ok_or_else(|| Error::NoSuchWorker(name.to_string()))
    }

    fn worker(&mut self, name: &WorkerName) -> Result<Worker> {
        self.worker_row(name).and_then(|row| self.show_worker(row))
    }

    fn workers(&mut self, page: &Page<WorkerName>) -> Result<Vec<Worker>> {
        let after = page.after.as_ref().map(|name| text(name.as_str()));
        let range = Range::prefix([Value::id(self.live)]).after(after);
        let rows: Vec<WorkerRow> = self.tx.find(PRIMARY, &range, page_size(page.limit))?;
        rows.into_iter().map(|row| self.show_worker(row)).collect()
    }

    fn children(&mut self, parent: Id) -> Result<Vec<WorkerRow>> {
        let range = Range::prefix([Value::id(self.live), Value::id(parent)]);
        self.tx.find(tables::WORKER_PARENT, &range, u32::MAX)
    }

    fn show_worker(&mut self, row: WorkerRow) -> Result<Worker> {
        let parent = match row.parent {
            Some(id) => worker::by_id(self.tx, self.live, id)?.map(|parent| parent.name),
            None => None,
        };
        let children = self.children(row.id)?.into_iter().map(|child| child.name).collect();
        Ok(Worker {
            name: row.name,
            id: row.id,
            parent,
            children,
            active: row.active,
            mode: row.mode,
            data: row.data,
            expiration: row.expiration,
            last_update: row.last_update,
        })
    }
}
