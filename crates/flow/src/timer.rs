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
    /// An instance that has ended; due is when it may be forgotten.
    Kept = 6,
    /// Instances of a definition that take turns; never due.
    Line = 7,
    /// A link that answers a wait of an instance; due is when it stops working.
    Invite = 8,
    /// The unit of a step that an instance waits for; never due.
    Unit = 9,
}

impl TimerKind {
    const ALL: [Self; 9] = [
        Self::Trigger,
        Self::Advance,
        Self::Instance,
        Self::Run,
        Self::Event,
        Self::Kept,
        Self::Line,
        Self::Invite,
        Self::Unit,
    ];
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
    /// By how many nanoseconds it fires later than its slots.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub jitter: i64,
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

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_zero(jitter: &i64) -> bool {
    *jitter == 0
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

    /// Gives the time at which it fires next: a slot and, if it has one, its jitter.
    pub fn next(&self, after: Time) -> Option<Time> {
        let after = Time(after.0.saturating_sub(self.jitter));
        let slot = self.next_slot(after)?;
        Some(Time(slot.0.saturating_add(self.jitter)))
    }

    fn next_slot(&self, after: Time) -> Option<Time> {
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
    let jitter = plan.as_ref().map_or(0, |plan| plan.jitter(definition, name));
    let state = TriggerState { plan, anchor: Some(work.now), jitter, ..TriggerState::default() };
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::{CatchUp, Overlap};
    use crate::slots::Rule;

    const HOUR: i64 = 3_600_000_000_000;

    #[test]
    fn jitter_puts_every_slot_off_by_the_same_part() {
        let plan = Plan {
            rule: Rule::Every("PT1H".to_owned()),
            overlap: Overlap::Skip,
            catch_up: CatchUp::None,
            jitter: Some("PT10M".to_owned()),
        };
        let jitters: Vec<i64> = (0..100).map(|id| plan.jitter(id, "nightly")).collect();
        assert!(jitters.iter().all(|jitter| (0..HOUR / 6).contains(jitter)), "{jitters:?}");
        assert!(
            jitters.iter().max() > jitters.iter().min().map(|least| least + HOUR / 12).as_ref()
        );
        let jitter = plan.jitter(7, "nightly");
        assert_eq!(jitter, plan.jitter(7, "nightly"), "it is always the same");
        let (anchor, plan) = (Some(Time(0)), Some(plan));
        let state = TriggerState { plan, anchor, jitter, ..TriggerState::default() };
        let first = state.next(Time(0)).unwrap();
        assert_eq!(first, Time(HOUR + jitter));
        assert_eq!(state.next(first), Some(Time(2 * HOUR + jitter)));
        assert_eq!(state.next(Time(first.0 - 1)), Some(first));
    }
}
