//! Keeping what an instance has become: the new state, the journal, and what the effects ask for,
//! in one transaction.

use std::sync::Arc;

use model::{CloudEvent, Error, Id, InstanceStatus, Result};
use queue::Work;
use serde_json::Value as Json;
use store::{PRIMARY, Range, TxExt as _, Value, tables};

use super::{
    end, event,
    follow::Followed,
    message, retain,
    rows::{InboxRow, InstanceRow, JournalRow, WaitRow},
    start, unit,
};
use crate::run::{Effect, Message, Outcome, Program, Snapshot, Status, WaitPlan};

/// Messages that an instance takes in one transaction: so many that a large state is not read and
/// written for each of them.
pub const MESSAGES_MAX: u32 = 500;

/// An instance as it was loaded, with what it was told.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The instance.
    pub row: InstanceRow,
    /// What it was told, oldest first, at most [`MESSAGES_MAX`].
    pub inbox: Vec<InboxRow>,
}

/// Loads an instance; none if it does not exist.
pub fn load(tx: &mut dyn store::Tx, namespace: Id, instance: Id) -> Result<Option<Loaded>> {
    let row: Option<InstanceRow> = tx.get(InstanceRow::key(namespace, instance))?;
    let Some(row) = row else { return Ok(None) };
    let inbox = message::inbox(tx, namespace, instance, MESSAGES_MAX)?;
    Ok(Some(Loaded { row, inbox }))
}

/// What an instance has become by the messages it was loaded with.
#[derive(Clone, Debug)]
pub struct Advance {
    /// The instance.
    pub instance: Id,
    /// What it runs.
    pub program: Arc<Program>,
    /// How many messages it had taken before.
    pub seq: u64,
    /// How long it is kept once it has ended.
    pub kept: std::time::Duration,
    /// The messages, in order, each with what it led to.
    pub taken: Vec<(InboxRow, Outcome)>,
    /// The state after the last.
    pub state: Snapshot,
    /// Where it stands in that state.
    pub status: Status,
}

/// How keeping it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is kept, and nothing is left to do.
    Still,
    /// It is kept, and there are further messages.
    More,
    /// Somebody else was faster; nothing was changed.
    Stale,
}

/// Keeps what an instance has become, if it is still what it was loaded as.
pub fn advance(work: &mut Work<'_>, advance: &Advance) -> Result<Kept> {
    let Some(mut row) = message::find(work, advance.instance)? else { return Ok(Kept::Stale) };
    if row.body.seq != advance.seq {
        return Ok(Kept::Stale);
    }
    let was_over = row.status.is_over();
    let seqs: Vec<Id> = advance.taken.iter().map(|(told, _)| told.seq).collect();
    message::forget(work, row.id, &seqs)?;
    let mut followed = Followed::look(work)?;
    for (told, outcome) in &advance.taken {
        row.body.seq += 1;
        let (namespace, instance, seq) = (row.namespace, row.id, row.body.seq);
        let record = outcome.record.clone();
        work.tx.add(&JournalRow { namespace, instance, seq, record })?;
        if let Message::ChildDone { step, .. } = &told.delivery.message {
            row.body.children.retain(|(known, _)| known != step);
        }
        for effect in &outcome.effects {
            apply(work, &mut row, effect)?;
        }
        if let (Some(event), true) = (told.event, outcome.taken) {
            event::taken(work, event, row.id)?;
        }
        followed.tell(work, &row, &advance.program, &outcome.record)?;
    }
    let left = message::inbox(work.tx, row.namespace, row.id, 1)?;
    row.status = status_of(advance.status, !left.is_empty());
    row.body.state = Some(advance.state.clone());
    if row.status.is_over() {
        row.body.ended.get_or_insert(work.now);
    } else {
        row.body.ended = None;
    }
    let is_over = row.status.is_over();
    message::touch(work, row.id);
    work.tx.put(&row)?;
    if left.is_empty() {
        work.tx.remove(&tables::TIMER, &[message::expected(row.namespace, row.id)])?;
    } else {
        message::expect(work, row.id)?;
    }
    if is_over != was_over {
        retain::expect(work, &row, advance.kept)?;
    }
    if is_over && !was_over {
        end::ended(work, &row)?;
    }
    Ok(if left.is_empty() { Kept::Still } else { Kept::More })
}

fn status_of(status: Status, has_messages: bool) -> InstanceStatus {
    match status {
        Status::Pending | Status::Compensating => InstanceStatus::Running,
        Status::Running if has_messages => InstanceStatus::Running,
        Status::Running => InstanceStatus::Waiting,
        Status::Suspended => InstanceStatus::Paused,
        Status::Completed => InstanceStatus::Finished,
        Status::Faulted => InstanceStatus::Faulted,
        Status::Cancelled => InstanceStatus::Cancelled,
    }
}

fn apply(work: &mut Work<'_>, row: &mut InstanceRow, effect: &Effect) -> Result<()> {
    match effect {
        Effect::AddUnit(plan) => unit::add(work, row, plan),
        Effect::CancelUnit { step } => unit::cancel(work, row.id, step),
        Effect::SetTimer { name, at } => message::set_timer(work, row.id, name, *at),
        Effect::ClearTimer { name } => message::clear_timer(work, row.id, name),
        Effect::Wait(plan) => wait(work, row, plan),
        Effect::ClearWait { name } => clear_wait(work, row.id, name),
        Effect::Emit { event } => event::emit(work, row, cloud_event(event)?),
        Effect::StartChild(plan) => start::child(work, row, plan),
        Effect::CancelChild { step } => start::cancel_child(work, row, step),
        Effect::Continue => message::tell(work, row.id, Message::Continue, None),
        Effect::Finished { output } => {
            row.body.output = output.clone();
            Ok(())
        }
        Effect::Faulted { fault } => {
            row.body.error = fault.to_json();
            Ok(())
        }
        // The state tells of both.
        Effect::Cancelled | Effect::Incident { .. } | Effect::ClearIncident { .. } => Ok(()),
    }
}

pub(super) fn cloud_event(event: &Json) -> Result<CloudEvent> {
    serde_json::from_value(event.clone())
        .map_err(|error| Error::Internal(format!("an event to send is none: {error}")))
}

/// Registers a wait, and tells the instance of the events that came before it, but after the
/// instance began.
fn wait(work: &mut Work<'_>, row: &InstanceRow, plan: &WaitPlan) -> Result<()> {
    clear_wait(work, row.id, &plan.name)?;
    let mut keys: Vec<Vec<u8>> = plan.filters.iter().map(event::key_of_filter).collect();
    keys.sort();
    keys.dedup();
    for (number, match_key) in keys.iter().enumerate() {
        let (namespace, instance) = (row.namespace, row.id);
        let name = format!("{}#{number}", plan.name);
        let (match_key, plan) = (match_key.clone(), plan.clone());
        work.tx.put(&WaitRow { namespace, instance, name, match_key, plan })?;
    }
    event::tell_earlier(work, row, plan, &keys)
}

/// Forgets a wait.
fn clear_wait(work: &mut Work<'_>, instance: Id, name: &str) -> Result<()> {
    let range = Range::prefix([Value::id(work.live()), Value::id(instance)]);
    let rows: Vec<WaitRow> = work.tx.find(PRIMARY, &range, u32::MAX)?;
    let is_it = |row: &&WaitRow| row.name.rsplit_once('#').is_some_and(|(known, _)| known == name);
    let keys: Vec<_> = rows
        .iter()
        .filter(is_it)
        .map(|row| WaitRow::key(row.namespace, instance, &row.name))
        .collect();
    work.tx.remove(&tables::WAIT, &keys)
}
