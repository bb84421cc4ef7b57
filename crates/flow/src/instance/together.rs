//! Triggers that start an instance only when each of them has had an event.

use std::collections::BTreeMap;

use model::Result;
use queue::Work;
use serde_json::Value as Json;
use store::TxExt as _;

use super::rows::EventRow;
use crate::{
    publish::{OnEvent, TriggerRow},
    timer::{self, TriggerState},
};

/// Events of one trigger that wait for those of the others; beyond that, the oldest is given up.
const PARTNERS_MAX: usize = 1_000;

/// Gives the events to start with, if an event makes them complete; otherwise it waits for the
/// others. They are in the order of the document, but for the one that came last.
pub(super) fn complete(
    work: &mut Work<'_>,
    trigger: &TriggerRow,
    on: &OnEvent,
    state: &mut TriggerState,
    correlation: &BTreeMap<String, Json>,
    row: &EventRow,
) -> Result<Option<Vec<EventRow>>> {
    // Keys are in order, so what is equal is written alike.
    let key = serde_json::to_string(correlation).unwrap_or_default();
    let mut events = Vec::with_capacity(on.all.len().max(1));
    let mut changed = Vec::new();
    for name in on.all.iter().filter(|name| **name != trigger.name) {
        let live = work.live();
        let found = timer::trigger_state(work.tx, live, trigger.definition, name)?;
        let (mut other, due) = found.unwrap_or_default();
        let Some(event) = take(work, &mut other, &key)? else {
            state.partners.push((key, row.seq));
            if state.partners.len() > PARTNERS_MAX {
                state.partners.remove(0);
                state.missed += 1;
            }
            return Ok(None);
        };
        events.push(event);
        changed.push((name, other, due));
    }
    for (name, other, due) in changed {
        timer::put_trigger(work, trigger.definition, name, &other, due)?;
    }
    events.push(row.clone());
    Ok(Some(events))
}

/// Takes the oldest event that waits with a key, and forgets those before it whose time is over.
fn take(work: &mut Work<'_>, state: &mut TriggerState, key: &str) -> Result<Option<EventRow>> {
    while let Some(place) = state.partners.iter().position(|(known, _)| known == key) {
        let (_, seq) = state.partners.remove(place);
        let row: Option<EventRow> = work.tx.get(EventRow::key(work.live(), seq))?;
        if row.is_some() {
            return Ok(row);
        }
    }
    Ok(None)
}
