//! What falls due for workflows, in one table: schedules, timers of instances, and work that
//! somebody has to take up again if its node is gone.

use model::{Id, Result, Time};
use queue::Work;
use serde::{Deserialize, Serialize};
use store::{Doc, Key, Row, Table, TxExt as _, Value, tables};

use crate::{
    rows::{body, json, value},
    slots::Plan,
};

/// What a timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimerKind {
    /// A trigger of a definition: its schedule, if it has one, and what it has done so far.
    Trigger = 1,
    /// An instance that has messages; due is when another node may take it up.
    Advance = 2,
    /// A timer of an instance.
    Instance = 3,
    /// A run of the pipeline; due is when another node may take it up.
    Run = 4,
    /// An event that is kept; due is when it may be forgotten.
    Event = 5,
}

impl TimerKind {
    const ALL: [Self; 5] = [Self::Trigger, Self::Advance, Self::Instance, Self::Run, Self::Event];
}

/// A timer.
#[derive(Clone, Debug, PartialEq)]
pub struct TimerRow {
    /// The incarnation of its namespace.
    pub namespace: Id,
    /// What it is for.
    pub kind: TimerKind,
    /// The definition, instance, run or event that it belongs to.
    pub owner: Id,
    /// Its name within its owner.
    pub name: String,
    /// When it falls due; none is never.
    pub due: Option<Time>,
    /// What else there is to know, as JSON; empty if there is nothing.
    pub body: Vec<u8>,
}

impl TimerRow {
    /// Makes a timer that there is nothing else to know of.
    pub fn new(namespace: Id, kind: TimerKind, owner: Id, name: &str, due: Time) -> Self {
        Self { namespace, kind, owner, name: name.to_owned(), due: Some(due), body: Vec::new() }
    }

    /// Gives the primary key.
    pub fn key(namespace: Id, kind: TimerKind, owner: Id, name: &str) -> Key {
        let kind = Value::Int(kind as i64);
        vec![Value::id(namespace), kind, Value::id(owner), Value::Text(name.into())]
    }

    /// Gives the primary key of this one.
    pub fn own_key(&self) -> Key {
        Self::key(self.namespace, self.kind, self.owner, &self.name)
    }
}

impl Row for TimerRow {
    const TABLE: &'static Table = &tables::TIMER;

    fn to_doc(&self) -> Doc {
        Doc {
            key: self.own_key(),
            columns: vec![self.due.map_or(Value::Null, |due| Value::Int(due.0))],
            body: self.body.clone(),
        }
    }

    fn from_doc(doc: Doc) -> Result<Self> {
        let kind = value(&doc.key, 1)?.as_int()?;
        let found = TimerKind::ALL.into_iter().find(|known| *known as i64 == kind);
        let unknown = || model::Error::Internal(format!("timers of kind {kind} are not known"));
        Ok(Self {
            namespace: value(&doc.key, 0)?.as_id()?,
            kind: found.ok_or_else(unknown)?,
            owner: value(&doc.key, 2)?.as_id()?,
            name: value(&doc.key, 3)?.as_text()?.to_owned(),
            due: match value(&doc.columns, 0)? {
                Value::Null => None,
                due => Some(Time(due.as_int()?)),
            },
            body: doc.body,
        })
    }
}

/// What a trigger has done so far, and what it does next.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TriggerState {
    /// Its schedule, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
    /// What intervals are counted from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchor: Option<Time>,
    /// The last slot, or the time of the last event, for which it fired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Time>,
    /// How often it has fired.
    #[serde(default)]
    pub fired: u64,
    /// How many slots were left out, because an instance was under way or nobody was there.
    #[serde(default)]
    pub missed: u64,
    /// Whether it is paused.
    #[serde(default)]
    pub is_paused: bool,
    /// The instance that it started last, until that has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<Id>,
    /// What starts when that one has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Waiting>,
    /// Events that wait for those of the other triggers of an `all`, oldest first: what must be
    /// the same in all of them, and the position.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub partners: Vec<(String, u64)>,
}

/// What a trigger starts as soon as the last instance has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Waiting {
    /// A slot of its schedule.
    Slot(Time),
    /// Events, by their positions.
    Events(Vec<u64>),
}

impl TriggerState {
    /// Reads it from its row.
    pub fn of(row: &TimerRow) -> Result<Self> {
        json("timer", &row.body)
    }

    /// Gives the time at which it fires next.
    pub fn next(&self, after: Time) -> Option<Time> {
        let plan = self.plan.as_ref().filter(|_| !self.is_paused)?;
        if plan.follows_end() && self.running.is_some() {
            return None;
        }
        plan.next(self.anchor.unwrap_or(after), after)
    }
}

/// Makes the state of a trigger that is new or says something else now. Intervals count from now.
pub fn set_trigger(
    work: &mut Work<'_>,
    definition: Id,
    name: &str,
    plan: Option<Plan>,
) -> Result<Option<Time>> {
    let state = TriggerState { plan, anchor: Some(work.now), ..TriggerState::default() };
    let due = state.next(work.now);
    put_trigger(work, definition, name, &state, due)?;
    Ok(due)
}

/// Forgets the state of a trigger that is gone.
pub fn clear_trigger(work: &mut Work<'_>, definition: Id, name: &str) -> Result<()> {
    let key = TimerRow::key(work.live(), TimerKind::Trigger, definition, name);
    work.tx.remove(&tables::TIMER, &[key])
}

/// Gives the state of a trigger, with the time at which it falls due.
pub fn trigger_state(
    tx: &mut dyn store::Tx,
    namespace: Id,
    definition: Id,
    name: &str,
) -> Result<Option<(TriggerState, Option<Time>)>> {
    let key = TimerRow::key(namespace, TimerKind::Trigger, definition, name);
    let row: Option<TimerRow> = tx.get(key)?;
    row.map(|row| Ok((TriggerState::of(&row)?, row.due))).transpose()
}

/// Saves the state of a trigger.
pub(crate) fn put_trigger(
    work: &mut Work<'_>,
    definition: Id,
    name: &str,
    state: &TriggerState,
    due: Option<Time>,
) -> Result<()> {
    let row = TimerRow {
        namespace: work.live(),
        kind: TimerKind::Trigger,
        owner: definition,
        name: name.to_owned(),
        due,
        body: body(state),
    };
    work.tx.put(&row)
}
