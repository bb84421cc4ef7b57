//! Runs of the pipeline: what was asked, how far it came, and who looks after it.

use std::time::Duration;

use model::{EventBody, Id, Namespace, Result, Revision, Run, Running, limits};
use queue::Work;
use serde::{Deserialize, Serialize};
use store::{Doc, Key, Row, Table, Tx, TxExt as _, Value, tables};

use super::rows::DefinitionRow;
use crate::{
    rows::{body, json, value},
    timer::{TimerKind, TimerRow},
};

/// How long a run is left to the node that prepares it.
const PREPARING: Duration = Duration::from_secs(60);
/// How long a committed run is left to the node that finishes it.
const FINISHING: Duration = Duration::from_secs(15);
/// Each time that settling is tried in vain doubles the pause, from 2 s to about 4 minutes.
const TRIES_MAX: u32 = 8;

/// A run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunRow {
    /// The incarnation of its namespace.
    pub namespace: Id,
    /// The first of its definitions, once it is committed.
    pub definition: Option<Id>,
    /// The rest.
    pub body: RunBody,
}

/// What else there is of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunBody {
    /// What is shown of it.
    pub run: Run,
    /// The revision of the namespace that it was committed as.
    #[serde(default)]
    pub revision: Revision,
    /// Definitions whose running instances are paused or cancelled, once it is effective.
    #[serde(default)]
    pub running: Vec<(String, Running)>,
    /// How often it was tried in vain to settle it.
    #[serde(default)]
    pub tries: u32,
}

impl RunBody {
    /// Begins a run.
    pub fn new(run: Run) -> Self {
        Self { run, revision: 0, running: Vec::new(), tries: 0 }
    }
}

impl RunRow {
    /// Gives the primary key: runs are listed newest first, so the id counts down.
    pub fn key(namespace: Id, id: Id) -> Key {
        vec![Value::id(namespace), down(id)]
    }

    /// Tells whether there is nothing left to do.
    pub fn is_over(&self) -> bool {
        matches!(self.body.run.state.as_str(), "settled" | "unchanged" | "failed" | "aborted")
    }

    /// Saves it, and says until when it is left to this node; a run that is over needs nobody.
    pub fn save(&self, work: &mut Work<'_>) -> Result<()> {
        let (live, id) = (work.live(), self.body.run.id);
        work.tx.put(self)?;
        if self.is_over() {
            let due = work.now.plus(limits::RUN_KEPT);
            work.tx.put(&TimerRow::new(live, TimerKind::Run, id, "", due))?;
        } else {
            let left = match self.body.run.state.as_str() {
                "preparing" => PREPARING,
                "degraded" => Duration::from_secs(1 << self.body.tries.min(TRIES_MAX)),
                _ => FINISHING,
            };
            let due = work.now.plus(left);
            work.tx.put(&TimerRow::new(live, TimerKind::Run, id, "", due))?;
        }
        work.events.push(EventBody::RunChanged(id));
        Ok(())
    }

    /// Loads a run.
    pub fn load(work: &mut Work<'_>, id: Id) -> Result<Option<Self>> {
        let key = Self::key(work.live(), id);
        work.tx.get(key)
    }
}

/// Gives a run of a namespace, if both are there.
pub fn run_of(tx: &mut dyn Tx, namespace: &Namespace, id: Id) -> Result<Option<RunRow>> {
    let Ok((_, live)) = queue::live(tx, namespace) else { return Ok(None) };
    tx.get(RunRow::key(live, id))
}

/// Gives an id that is smaller the newer it is.
pub(super) fn down(id: Id) -> Value {
    Value::Int(-i64::try_from(id).unwrap_or(i64::MAX))
}

impl Row for RunRow {
    const TABLE: &'static Table = &tables::RUN;

    fn to_doc(&self) -> Doc {
        Doc {
            key: Self::key(self.namespace, self.body.run.id),
            columns: vec![self.definition.map_or(Value::Null, Value::id)],
            body: body(&self.body),
        }
    }

    fn from_doc(doc: Doc) -> Result<Self> {
        let definition = match value(&doc.columns, 0)? {
            Value::Null => None,
            id => Some(id.as_id()?),
        };
        Ok(Self {
            namespace: value(&doc.key, 0)?.as_id()?,
            definition,
            body: json("pipeline_run", &doc.body)?,
        })
    }
}

/// Takes up a run whose node is gone: one that was never committed has changed nothing and ends;
/// one that was is given to this node to finish.
pub fn lease_over(work: &mut Work<'_>, id: Id) -> Result<Option<RunRow>> {
    let Some(mut row) = RunRow::load(work, id)? else {
        let key = TimerRow::key(work.live(), TimerKind::Run, id, "");
        work.tx.remove(&tables::TIMER, &[key])?;
        return Ok(None);
    };
    if row.is_over() {
        return forget(work, &row).map(|()| None);
    }
    if row.body.run.state == "preparing" {
        "aborted".clone_into(&mut row.body.run.state);
        row.body.run.ended = Some(work.now);
        row.body.run.error = Some("its node went away before it was committed".to_owned());
    }
    row.save(work)?;
    Ok(Some(row).filter(|row| !row.is_over()))
}

/// Forgets a run that was over long ago, unless it made the last change of its definition.
fn forget(work: &mut Work<'_>, row: &RunRow) -> Result<()> {
    let (live, id) = (work.live(), row.body.run.id);
    for name in &row.body.run.definitions {
        let head: Option<DefinitionRow> = work.tx.get(DefinitionRow::key(live, name))?;
        if head.is_some_and(|head| head.head.run == id) {
            return row.save(work);
        }
    }
    work.events.push(EventBody::RunChanged(id));
    work.tx.remove(&tables::RUN, &[RunRow::key(live, id)])?;
    work.tx.remove(&tables::TIMER, &[TimerRow::key(live, TimerKind::Run, id, "")])
}
