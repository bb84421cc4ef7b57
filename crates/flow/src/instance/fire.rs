//! Firing triggers: at most one instance for each slot of a schedule and for each event.

use model::{Error, EventBody, Id, Reply, Result, Time, TriggerControl};
use queue::Work;
use serde_json::{Value as Json, json};
use store::TxExt as _;

use super::{
    definition, follow, message,
    rows::{Cause, EventRow, FiringRow, InstanceRow},
    start::{Begin, begin},
    trace, turn,
};
use crate::{
    publish::{DefinitionRow, TriggerRow},
    run::Message,
    schedule::{CatchUp, Overlap},
    slots::Plan,
    timer::{self, TimerRow, TriggerState, Waiting},
};

/// How late a slot may be and still count as fired in time.
const GRACE: std::time::Duration = std::time::Duration::from_secs(60);
/// Slots that are looked at when nobody was there for a long time; the rest counts as missed.
const SLOTS_MAX: usize = 1_000;

/// Fires a schedule whose time has come.
pub(super) fn due(work: &mut Work<'_>, row: &TimerRow) -> Result<()> {
    let mut state = TriggerState::of(row)?;
    let live = work.live();
    let head = definition::head_by_id(work.tx, live, row.owner)?;
    let name = head.iter().map(|head| head.name.clone()).collect();
    work.events.push(EventBody::DefinitionsChanged(name));
    let is_published = head.as_ref().is_some_and(|head| head.head.published.is_some());
    let (Some(head), Some(plan), Some(first), true) =
        (head, state.plan.clone(), row.due, is_published)
    else {
        return timer::put_trigger(work, row.owner, &row.name, &state, None);
    };
    // Slots are times of the schedule; what falls due is later by the jitter.
    let [first, now] = [first, work.now].map(|time| Time(time.0.saturating_sub(state.jitter)));
    let (slots, missed) = slots_until(&plan, &state, first, now);
    state.missed += missed;
    for slot in &slots {
        slot_due(work, &head.name, row, &mut state, *slot)?;
    }
    let last = slots.last().copied().unwrap_or(first).max(first);
    // Slots follow from each other and never from now; those between are counted above.
    let last = Time(last.max(before(now)).0.saturating_add(state.jitter));
    let next = if plan.follows_end() { None } else { state.next(last) };
    timer::put_trigger(work, row.owner, &row.name, &state, next)
}

/// Gives the last moment before a time, so that a slot at the very time is still to come.
fn before(now: Time) -> Time {
    Time(now.0.saturating_sub(1))
}

/// Gives the slots to fire for out of those that have come, and how many are left out.
fn slots_until(plan: &Plan, state: &TriggerState, first: Time, now: Time) -> (Vec<Time>, u64) {
    let anchor = state.anchor.unwrap_or(first);
    let mut slots = vec![first];
    while slots.len() < SLOTS_MAX
        && let Some(last) = slots.last()
        && let Some(next) = plan.next(anchor, *last).filter(|next| *next < now)
        && !plan.follows_end()
    {
        slots.push(next);
    }
    let all = slots.len();
    let keep = match plan.catch_up {
        CatchUp::None => slots.iter().filter(|slot| now.since(**slot) <= GRACE).count(),
        CatchUp::Last => 1,
        CatchUp::All(most) => usize::try_from(most).unwrap_or(usize::MAX).min(all),
    };
    // What follows an end has one slot, which is never too late.
    let keep = if plan.follows_end() { 1 } else { keep };
    let slots = slots.split_off(all - keep.min(all));
    let missed = (all - slots.len()) as u64;
    (slots, missed)
}

fn slot_due(
    work: &mut Work<'_>,
    name: &str,
    row: &TimerRow,
    state: &mut TriggerState,
    slot: Time,
) -> Result<()> {
    let overlap = state.plan.as_ref().map_or(Overlap::Skip, |plan| plan.overlap);
    if !may_start(work, state, overlap, Waiting::Slot(slot))? {
        return Ok(());
    }
    start(work, name, state, Starts::slot(work, &row.name, slot), slot).map(drop)
}

/// Says whether a trigger may start an instance now; if not, notes what it would have started.
fn may_start(
    work: &mut Work<'_>,
    state: &mut TriggerState,
    overlap: Overlap,
    what: Waiting,
) -> Result<bool> {
    let Some(running) = state.running else { return Ok(true) };
    match overlap {
        Overlap::Allow => return Ok(true),
        Overlap::Cancel => {
            let reason = Some("its trigger starts another".to_owned());
            message::tell(work, running, Message::Cancel { reason }, None)?;
            return Ok(true);
        }
        Overlap::Buffer if state.waiting.is_none() => state.waiting = Some(what),
        Overlap::Buffer | Overlap::Skip => state.missed += 1,
    }
    Ok(false)
}

/// What a trigger starts: why, with what, and how many instances it follows from.
struct Starts {
    cause: Cause,
    input: Json,
    depth: u32,
    traceparent: Option<String>,
}

impl Starts {
    fn slot(work: &Work<'_>, trigger: &str, slot: Time) -> Self {
        // Each begins a trace of its own.
        let names: [&[u8]; 2] = [trigger.as_bytes(), &slot.0.to_be_bytes()];
        let traceparent = work.trace.map(|trace| trace.apart(&names).to_string());
        let cause = Cause::Slot { trigger: trigger.to_owned(), slot };
        Self { cause, input: json!({ "slot": slot.to_string() }), depth: 0, traceparent }
    }

    /// Of events, of which there is a last one.
    fn events(
        work: &mut Work<'_>,
        trigger: &str,
        events: &[EventRow],
        last: &EventRow,
    ) -> Result<Self> {
        let cause = Cause::Event { trigger: trigger.to_owned(), event: last.seq };
        let depth = follow::depth(work, events)?;
        let traceparent = trace::of_event(work, &last.event);
        Ok(Self { cause, input: input_of(events), depth, traceparent })
    }
}

fn start(
    work: &mut Work<'_>,
    definition: &str,
    state: &mut TriggerState,
    starts: Starts,
    at: Time,
) -> Result<Option<Id>> {
    let Starts { cause, input, depth, traceparent } = starts;
    let (version, from, context) = (None, None, None);
    let begin_with = Begin { definition, version, input, cause, from, context, depth, traceparent };
    let id = match begin(work, begin_with) {
        Ok(id) => id,
        Err(error) if turn::is_refused(&error) => {
            state.missed += 1;
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    state.fired += 1;
    state.last = Some(at);
    state.running = Some(id);
    Ok(Some(id))
}

/// Starts what waited for the end of an instance.
pub(super) fn waiting(
    work: &mut Work<'_>,
    ended: &InstanceRow,
    trigger: &str,
    state: &mut TriggerState,
) -> Result<()> {
    let Some(waiting) = state.waiting.take() else { return Ok(()) };
    let live = work.live();
    let head = definition::head_by_id(work.tx, live, ended.definition)?;
    let Some(head) = head.filter(|head| head.head.published.is_some()) else { return Ok(()) };
    match waiting {
        Waiting::Slot(slot) => {
            start(work, &head.name, state, Starts::slot(work, trigger, slot), slot).map(drop)
        }
        Waiting::Events(seqs) => {
            let live = work.live();
            let keys: Vec<_> = seqs.iter().map(|seq| EventRow::key(live, *seq)).collect();
            let rows: Vec<Option<EventRow>> = work.tx.get_all(&keys)?;
            let rows: Vec<EventRow> = rows.into_iter().flatten().collect();
            let Some(last) = rows.last().filter(|_| rows.len() == seqs.len()) else {
                return Ok(());
            };
            let starts = Starts::events(work, trigger, &rows, last)?;
            start(work, &head.name, state, starts, last.at).map(drop)
        }
    }
}

/// Gives what a workflow takes that events start: by the specification, a list of them.
fn input_of(events: &[EventRow]) -> Json {
    events.iter().map(|row| json!(row.event)).collect()
}

/// Fires a trigger for events, of which the last came just now; gives the instance, if one is
/// started.
pub(super) fn events(
    work: &mut Work<'_>,
    trigger: &TriggerRow,
    state: &mut TriggerState,
    overlap: Overlap,
    events: &[EventRow],
) -> Result<Option<Id>> {
    let Some(last) = events.last() else { return Ok(None) };
    let seqs = events.iter().map(|row| row.seq).collect();
    if !may_start(work, state, overlap, Waiting::Events(seqs))? {
        return Ok(None);
    }
    let starts = Starts::events(work, &trigger.name, events, last)?;
    start(work, &trigger.body.definition, state, starts, last.at)
}

/// Steers a trigger by hand.
pub(super) fn control(
    work: &mut Work<'_>,
    name: &str,
    trigger: &str,
    control: &TriggerControl,
) -> Result<Reply> {
    let none = || Error::NoSuchTrigger(format!("{name}/{trigger}"));
    let live = work.live();
    let head = definition::head(work.tx, live, name)?;
    let found = timer::trigger_state(work.tx, live, head.id, trigger)?;
    let (mut state, mut due) = found.ok_or_else(none)?;
    match control {
        TriggerControl::Pause => {
            state.is_paused = true;
            due = None;
        }
        TriggerControl::Resume => {
            state.is_paused = false;
            due = state.next(work.now);
        }
        TriggerControl::Backfill { from, until } => {
            backfill(work, &head, trigger, &mut state, (*from, *until))?;
        }
    }
    timer::put_trigger(work, head.id, trigger, &state, due)?;
    work.events.push(EventBody::DefinitionsChanged(vec![name.to_owned()]));
    Ok(Reply::Done)
}

/// Starts an instance for each slot of a stretch of time, whatever is under way.
fn backfill(
    work: &mut Work<'_>,
    head: &DefinitionRow,
    trigger: &str,
    state: &mut TriggerState,
    (from, until): (Time, Time),
) -> Result<()> {
    let Some(plan) = state.plan.clone().filter(|plan| !plan.follows_end()) else {
        return Err(Error::bad_input("only schedules by cron and every have slots to fill"));
    };
    if until > work.now {
        return Err(Error::bad_input(
            "the stretch must end by now; what is to come fires by itself",
        ));
    }
    let anchor = state.anchor.unwrap_or(from);
    let (mut slots, mut at) = (Vec::new(), before(from));
    while let Some(slot) = plan.next(anchor, at).filter(|slot| *slot < until) {
        if slots.len() == SLOTS_MAX {
            return Err(Error::too_large("slots in one stretch", SLOTS_MAX + 1, SLOTS_MAX));
        }
        slots.push(slot);
        at = slot;
    }
    let (last, running) = (state.last, state.running);
    for slot in slots {
        let key = slot.0.to_be_bytes();
        if has_fired(work, head.id, trigger, &key)? {
            continue;
        }
        let started = start(work, &head.name, state, Starts::slot(work, trigger, slot), slot)?;
        let Some(instance) = started else { continue };
        note_firing(work, head.id, trigger, &key, instance)?;
    }
    (state.last, state.running) = (last, running);
    Ok(())
}

/// Says whether a trigger has fired for a slot or key.
pub(super) fn has_fired(
    work: &mut Work<'_>,
    definition: Id,
    trigger: &str,
    slot: &[u8],
) -> Result<bool> {
    let key = FiringRow::key(work.live(), definition, trigger, slot);
    Ok(work.tx.get::<FiringRow>(key)?.is_some())
}

/// Notes that a trigger has fired for a slot or key.
pub(super) fn note_firing(
    work: &mut Work<'_>,
    definition: Id,
    trigger: &str,
    slot: &[u8],
    instance: Id,
) -> Result<()> {
    let (namespace, trigger, slot) = (work.live(), trigger.to_owned(), slot.to_vec());
    work.tx.put(&FiringRow { namespace, definition, trigger, slot, instance })
}
