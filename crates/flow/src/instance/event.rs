//! Events: each is kept once, starts what its triggers say, and is told to who waits for it.

use std::collections::BTreeMap;

use model::{CloudEvent, Error, EventBody, Id, Received, Result, Time, limits};
use queue::Work;
use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};
use store::{Range, Tx, TxExt as _, Value, tables};

use super::{
    filter::Verdict,
    fire,
    follow::{Barred, is_lifecycle},
    message,
    rows::{EventRow, InstanceRow, WaitRow},
    together, trace,
};
use crate::{
    publish::{OnEvent, TriggerRow, TriggerSpec, match_key},
    run::{Message, WaitPlan},
    timer::{self, TimerKind, TimerRow},
};

/// Waits that one event may be for.
const WAITS_MAX: u32 = 10_000;
/// Triggers that one event may be for.
const TRIGGERS_MAX: u32 = 10_000;
/// Earlier events that a new wait is told of.
const EARLIER_MAX: u32 = 1_000;
/// The name of the timer that says that nobody has looked at an event yet.
const NEW: &str = "new";
/// The name of the timer that says how long an event is kept.
const KEPT: &str = "kept";

/// An event with what its triggers say to it.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// The event.
    pub event: CloudEvent,
    /// Its position, if it is kept already.
    pub stored: Option<u64>,
    /// The triggers that were asked, as they were, and what they said.
    pub asked: Vec<(TriggerRow, Verdict)>,
}

/// Gives the triggers that an event may be for.
pub fn candidates(tx: &mut dyn Tx, namespace: Id, event: &CloudEvent) -> Result<Vec<TriggerRow>> {
    let mut rows = Vec::new();
    for key in [match_key(Some(&event.kind)), match_key(None)] {
        let range = Range::prefix([Value::id(namespace), Value::Bytes(key.into())]);
        rows.extend(tx.find::<TriggerRow>(tables::TRIGGER_MATCH, &range, TRIGGERS_MAX)?);
    }
    Ok(rows)
}

/// Gives what a trigger says of events.
pub fn on_event(row: &TriggerRow) -> Option<&OnEvent> {
    match &row.body.spec {
        TriggerSpec::Event(on) => Some(on),
        TriggerSpec::Schedule(_) => None,
    }
}

/// Gives what a filter is looked up by.
pub(super) fn key_of_filter(literal: &BTreeMap<String, Json>) -> Vec<u8> {
    match_key(literal.get("type").and_then(Json::as_str))
}

/// Checks an event that comes from outside.
///
/// # Errors
/// [`Error::BadInput`] for what CloudEvents 1.0 forbids; [`Error::TooLarge`].
pub fn check(event: &CloudEvent) -> Result<()> {
    for (what, text) in [("id", &event.id), ("source", &event.source), ("type", &event.kind)] {
        if text.is_empty() {
            return Err(Error::bad_input(format!("an event must have a {what} that is not empty")));
        }
        if text.len() > limits::NAME_BYTES_MAX {
            let what = format!("{what} of an event");
            return Err(Error::too_large(&what, text.len(), limits::NAME_BYTES_MAX));
        }
    }
    if let Some(time) = &event.time {
        Time::parse(time)?;
    }
    let size = serde_json::to_vec(event).map_or(usize::MAX, |bytes| bytes.len());
    if size > limits::EVENT_BYTES_MAX {
        return Err(Error::too_large("bytes in one event", size, limits::EVENT_BYTES_MAX));
    }
    Ok(())
}

/// Takes an event in; none says that the triggers are others by now and have to be asked again.
pub fn receive(work: &mut Work<'_>, incoming: &Incoming) -> Result<Option<Received>> {
    let event = &incoming.event;
    let mut row = match incoming.stored {
        Some(seq) => {
            let row: Option<EventRow> = work.tx.get(EventRow::key(work.live(), seq))?;
            match row {
                Some(row) if row.is_new => row,
                Some(row) => return Ok(Some(Received { is_duplicate: true, ..row.received })),
                None => return Ok(Some(nothing(seq))),
            }
        }
        None => {
            if let Some(known) = known(work, event)? {
                return Ok(Some(Received { is_duplicate: true, ..known.received }));
            }
            new_row(work, event.clone(), None)?
        }
    };
    let live = work.live();
    let candidates = candidates(work.tx, live, event)?;
    let mut verdicts = Vec::with_capacity(candidates.len());
    for candidate in &candidates {
        let same = |asked: &&(TriggerRow, Verdict)| {
            let (known, _) = asked;
            known.definition == candidate.definition
                && known.name == candidate.name
                && known.body.spec_hash == candidate.body.spec_hash
        };
        let Some((_, verdict)) = incoming.asked.iter().find(same) else { return Ok(None) };
        verdicts.push((candidate, verdict));
    }
    row.is_new = false;
    let barred = Barred::of(work, &row)?;
    for (trigger, verdict) in verdicts {
        if let Verdict::Yes { key, correlation } = verdict {
            let key = (key.as_ref(), correlation);
            match &barred {
                barred if barred.is_own(trigger) => {}
                Barred::All => miss(work, trigger)?,
                Barred::None | Barred::Own(_) => {
                    row.received.started.extend(fire(work, trigger, key, &row)?);
                }
            }
        }
    }
    row.received.resumed = tell_waits(work, &row)?;
    work.tx.put(&row)?;
    let timer = TimerRow::key(work.live(), TimerKind::Event, row.seq, NEW);
    work.tx.remove(&tables::TIMER, &[timer])?;
    Ok(Some(row.received))
}

/// Finds an event that is kept already.
fn known(work: &mut Work<'_>, event: &CloudEvent) -> Result<Option<EventRow>> {
    let identity = Value::Bytes(EventRow::identity(event).into());
    let range = Range::prefix([Value::id(work.live()), identity]);
    let known: Vec<EventRow> = work.tx.find(tables::EVENT_IDENTITY, &range, 1)?;
    Ok(known.into_iter().next())
}

fn nothing(seq: u64) -> Received {
    Received { seq, is_duplicate: true, started: Vec::new(), resumed: Vec::new() }
}

/// Makes the row of an event, with the timer that ends its time.
fn new_row(work: &mut Work<'_>, event: CloudEvent, origin: Option<Id>) -> Result<EventRow> {
    let (namespace, seq, at) = (work.live(), work.next_id(), work.now);
    let received = Received { is_duplicate: false, ..nothing(seq) };
    let mut event = CloudEvent { time: event.time.or_else(|| Some(at.to_string())), ..event };
    trace::carry(work, &mut event, None);
    let taken = Vec::new();
    let row = EventRow { namespace, seq, event, at, received, origin, is_new: true, taken };
    match work.events.last_mut() {
        Some(EventBody::EventsReceived(_, last)) => *last = seq,
        _ => work.events.push(EventBody::EventsReceived(seq, seq)),
    }
    let due = at.plus(limits::EVENT_KEPT);
    work.tx.put(&TimerRow::new(namespace, TimerKind::Event, seq, KEPT, due))?;
    Ok(row)
}

/// Fires a trigger for an event, unless it has fired for the same key.
fn fire(
    work: &mut Work<'_>,
    trigger: &TriggerRow,
    (key, correlation): (Option<&Json>, &BTreeMap<String, Json>),
    row: &EventRow,
) -> Result<Option<Id>> {
    let Some(on) = on_event(trigger) else { return Ok(None) };
    let live = work.live();
    let found = timer::trigger_state(work.tx, live, trigger.definition, &trigger.name)?;
    let (mut state, due) = found.unwrap_or_default();
    if state.is_paused {
        return Ok(None);
    }
    let slot = key.map(|key| Sha256::digest(key.to_string().as_bytes()).to_vec());
    if let Some(slot) = &slot
        && fire::has_fired(work, trigger.definition, &trigger.name, slot)?
    {
        return Ok(None);
    }
    let started = match together::complete(work, trigger, on, &mut state, correlation, row)? {
        Some(events) => fire::events(work, trigger, &mut state, on.overlap, &events)?,
        None => None,
    };
    timer::put_trigger(work, trigger.definition, &trigger.name, &state, due)?;
    if let (Some(slot), Some(instance)) = (&slot, started) {
        fire::note_firing(work, trigger.definition, &trigger.name, slot, instance)?;
    }
    Ok(started)
}

/// Counts an event that a trigger would have fired for.
fn miss(work: &mut Work<'_>, trigger: &TriggerRow) -> Result<()> {
    let live = work.live();
    let found = timer::trigger_state(work.tx, live, trigger.definition, &trigger.name)?;
    let (mut state, due) = found.unwrap_or_default();
    state.missed += 1;
    timer::put_trigger(work, trigger.definition, &trigger.name, &state, due)
}

/// Tells an event to the instances that may want it.
fn tell_waits(work: &mut Work<'_>, row: &EventRow) -> Result<Vec<Id>> {
    let mut told: Vec<Id> = Vec::new();
    for key in [match_key(Some(&row.event.kind)), match_key(None)] {
        let range = Range::prefix([Value::id(work.live()), Value::Bytes(key.into())]);
        let waits: Vec<WaitRow> = work.tx.find(tables::WAIT_MATCH, &range, WAITS_MAX)?;
        for wait in waits {
            if may_take(row, wait.instance, &wait.match_key) && is_for(&wait.plan, &row.event) {
                tell(work, wait.instance, &wait.plan, row)?;
                told.push(wait.instance);
            }
        }
    }
    told.sort_unstable();
    told.dedup();
    Ok(told)
}

/// Says whether a wait may take an event: of lifecycles, only those of others, by their type.
fn may_take(row: &EventRow, instance: Id, key: &[u8]) -> bool {
    !is_lifecycle(row) || (row.origin != Some(instance) && *key != *match_key(None))
}

fn tell(work: &mut Work<'_>, instance: Id, plan: &WaitPlan, row: &EventRow) -> Result<()> {
    let event = serde_json::to_value(&row.event).unwrap_or_default();
    let message = Message::Event { wait: plan.name.clone(), event };
    message::tell(work, instance, message, Some(row.seq))
}

/// Says whether an event has all literal attributes of one of the filters of a wait.
pub(super) fn is_for(plan: &WaitPlan, event: &CloudEvent) -> bool {
    let whole = serde_json::to_value(event).unwrap_or_default();
    let has = |(name, value): (&String, &Json)| whole.get(name).unwrap_or(&Json::Null) == value;
    plan.filters.iter().any(|filter| filter.iter().all(has))
}

/// Tells an instance of the events that came before it began to wait, but after it was started.
pub(super) fn tell_earlier(
    work: &mut Work<'_>,
    row: &InstanceRow,
    plan: &WaitPlan,
    keys: &[Vec<u8>],
) -> Result<()> {
    let mut events: Vec<EventRow> = Vec::new();
    for key in keys {
        if *key == match_key(None) {
            let range = Range::prefix([Value::id(work.live())]);
            let range = range.after(Some(Value::id(row.body.events_after)));
            let found = work.tx.find::<EventRow>(store::PRIMARY, &range, EARLIER_MAX)?;
            events.extend(found.into_iter().filter(|event| may_take(event, row.id, key)));
        } else {
            let wanted = Value::Bytes(key.as_slice().into());
            let range = Range::prefix([Value::id(work.live()), wanted]);
            let range = range.after(Some(Value::id(row.body.events_after)));
            let found = work.tx.find::<EventRow>(tables::EVENT_MATCH, &range, EARLIER_MAX)?;
            events.extend(found.into_iter().filter(|event| may_take(event, row.id, key)));
        }
    }
    events.sort_by_key(|event| event.seq);
    events.dedup_by_key(|event| event.seq);
    for event in events {
        let is_taken = event.taken.contains(&row.id);
        if !event.is_new && !is_taken && is_for(plan, &event.event) {
            tell(work, row.id, plan, &event)?;
        }
    }
    Ok(())
}

/// Notes that an instance has taken an event, so that no later wait of it takes it again.
pub(super) fn taken(work: &mut Work<'_>, seq: u64, instance: Id) -> Result<()> {
    let row: Option<EventRow> = work.tx.get(EventRow::key(work.live(), seq))?;
    let Some(mut row) = row else { return Ok(()) };
    if !row.taken.contains(&instance) {
        row.taken.push(instance);
        work.tx.put(&row)?;
    }
    Ok(())
}

/// Keeps an event of something that this transaction changes, unless it is known; its triggers are
/// asked right after that.
pub(crate) fn keep(work: &mut Work<'_>, event: &CloudEvent) -> Result<()> {
    check(event)?;
    match known(work, event)? {
        Some(_) => Ok(()),
        None => put_new(work, event.clone(), None),
    }
}

/// Sends an event for an instance: it is kept with what the instance has become, and its triggers
/// are asked right after that.
pub(super) fn emit(work: &mut Work<'_>, row: &InstanceRow, event: CloudEvent) -> Result<()> {
    let mut event = event;
    trace::carry(work, &mut event, trace::of(work, row));
    put_new(work, event, Some(row.id))
}

fn put_new(work: &mut Work<'_>, event: CloudEvent, origin: Option<Id>) -> Result<()> {
    let row = new_row(work, event, origin)?;
    work.tx.put(&row)?;
    let due = work.now.plus(message::TAKEN_UP_AFTER);
    work.tx.put(&TimerRow::new(work.live(), TimerKind::Event, row.seq, NEW, due))
}

/// Keeps an event that is for one wait alone, and tells it.
pub(super) fn tell_one(
    work: &mut Work<'_>,
    event: CloudEvent,
    instance: Id,
    plan: &WaitPlan,
) -> Result<()> {
    let mut row = new_row(work, event, None)?;
    row.is_new = false;
    row.received.resumed.push(instance);
    work.tx.put(&row)?;
    tell(work, instance, plan, &row)
}

/// Gives an event that nobody has looked at yet.
pub fn new_event(tx: &mut dyn Tx, namespace: Id, seq: u64) -> Result<Option<CloudEvent>> {
    let row: Option<EventRow> = tx.get(EventRow::key(namespace, seq))?;
    Ok(row.filter(|row| row.is_new).map(|row| row.event))
}

/// Says whether a timer is for an event that nobody has looked at yet, and not for the end of its
/// time.
pub(super) fn is_new(timer: &TimerRow) -> bool {
    timer.name == NEW
}

/// Forgets an event whose time is over.
pub(super) fn forget(work: &mut Work<'_>, seq: u64) -> Result<()> {
    let key = EventRow::key(work.live(), seq);
    work.tx.remove(&tables::EVENT, &[key])
}
