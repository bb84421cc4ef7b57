//! Waits that a person can answer: which there are, and links that answer one of them once.
//!
//! A link is a timer of its instance, named by the hash of its secret, which falls due when the
//! link stops working. Its answer is an event for its one wait: no trigger is asked, and no other
//! instance is told.

use model::{CloudEvent, Error, Id, Invite, Page, Result, Wait, hex, limits};
use queue::Work;
use serde_json::{Map, Value as Json};
use store::{PRIMARY, Range, Tx, TxExt as _, Value, tables};

use super::{
    event, message,
    rows::{InstanceRow, WaitRow},
};
use crate::{
    rows::{body, json},
    run::State,
    timer::{TimerKind, TimerRow},
};

/// Waits that are looked at in one instance.
const WAITS_MAX: u32 = 10_000;

/// Makes a link for a wait.
pub(super) fn invite(work: &mut Work<'_>, invite: &Invite) -> Result<()> {
    event::check(&invite.event)?;
    if !invite.event.data.is_object() {
        return Err(Error::bad_input("the data of the event must be a JSON object"));
    }
    if invite.note.len() > limits::INVITE_NOTE_BYTES_MAX {
        let most = limits::INVITE_NOTE_BYTES_MAX;
        return Err(Error::too_large("bytes in a note", invite.note.len(), most));
    }
    if invite.expires <= work.now || invite.expires > work.now.plus(limits::INVITE_KEPT_MAX) {
        let days = limits::INVITE_KEPT_MAX.as_secs() / 86_400;
        return Err(Error::bad_input(format!(
            "a link works for a time between now and {days} days from now"
        )));
    }
    let live = work.live();
    let wait =
        find(work.tx, live, invite.instance, &invite.wait)?.ok_or_else(|| no_wait(invite))?;
    if !event::is_for(&wait.plan, &invite.event) {
        return Err(Error::bad_input(format!(
            "step {:?} of instance {} does not wait for such an event: its type, source and \
             subject must be those that the filter of the step names",
            invite.wait, invite.instance
        )));
    }
    let known = links(work.tx, live, invite.instance)?.len();
    if known >= limits::INVITES_MAX {
        let what = "links that work for one instance";
        return Err(Error::too_large(what, known + 1, limits::INVITES_MAX));
    }
    let mut row = TimerRow::new(live, TimerKind::Invite, invite.instance, "", invite.expires);
    row.name = hex(&invite.hash);
    row.body = body(invite);
    work.tx.put(&row)?;
    message::touch(work, invite.instance);
    Ok(())
}

/// Answers the wait of a link with its event, and uses the link up.
pub(super) fn answer(
    work: &mut Work<'_>,
    instance: Id,
    hash: &[u8; 32],
    data: &Map<String, Json>,
) -> Result<()> {
    let live = work.live();
    let key = TimerRow::key(live, TimerKind::Invite, instance, &hex(hash));
    let row: Option<TimerRow> = work.tx.get(key.clone())?;
    let invite = row.map(|row| json::<Invite>("timer", &row.body)).transpose()?;
    let invite = invite.filter(|invite| invite.expires > work.now).ok_or_else(used_up)?;
    let wait = find(work.tx, live, instance, &invite.wait)?.ok_or_else(used_up)?;
    let mut event: CloudEvent = invite.event;
    if let Json::Object(all) = &mut event.data {
        all.extend(data.clone());
    }
    event::check(&event)?;
    work.tx.remove(&tables::TIMER, &[key])?;
    event::tell_one(work, event, instance, &wait.plan)
}

/// Gives what a link is for; none if it does not work.
pub(super) fn show(
    tx: &mut dyn Tx,
    namespace: Id,
    instance: Id,
    hash: &[u8; 32],
) -> Result<Option<Invite>> {
    let key = TimerRow::key(namespace, TimerKind::Invite, instance, &hex(hash));
    let row: Option<TimerRow> = tx.get(key)?;
    let Some(row) = row else { return Ok(None) };
    let invite: Invite = json("timer", &row.body)?;
    Ok(find(tx, namespace, instance, &invite.wait)?.map(|_| invite))
}

/// Gives what instances wait for, by instance; an instance comes with all its waits.
pub(super) fn waits(tx: &mut dyn Tx, namespace: Id, page: &Page<Id>) -> Result<Vec<Wait>> {
    let most = if page.limit == 0 { limits::PAGE_MAX } else { page.limit.min(limits::PAGE_MAX) };
    let range = Range::prefix([Value::id(namespace)]).after(page.after.map(Value::id));
    let mut rows: Vec<WaitRow> = tx.find(PRIMARY, &range, most)?;
    if rows.len() == most as usize
        && let Some(last) = rows.last().map(|row| row.instance)
    {
        // The last instance may have more waits than that.
        rows.retain(|row| row.instance != last);
        rows.extend(of_instance(tx, namespace, last)?);
    }
    // A wait has a row for each type that it is for.
    rows.dedup_by(|one, other| one.instance == other.instance && name(one) == name(other));
    let mut ids: Vec<Id> = rows.iter().map(|row| row.instance).collect();
    ids.dedup();
    let keys: Vec<_> = ids.iter().map(|id| InstanceRow::key(namespace, *id)).collect();
    let found: Vec<Option<InstanceRow>> = tx.get_all(&keys)?;
    let mut shown = Vec::with_capacity(rows.len());
    for (id, instance) in ids.into_iter().zip(found) {
        let Some(instance) = instance else { continue };
        let links = links(tx, namespace, id)?;
        let (own, state) = (rows.iter().filter(|row| row.instance == id), instance.state()?);
        shown.extend(own.map(|row| wait(row, &instance, (state.as_ref(), &links))));
    }
    Ok(shown)
}

fn wait(
    row: &WaitRow,
    instance: &InstanceRow,
    (state, links): (Option<&State>, &[Invite]),
) -> Wait {
    let name = name(row);
    Wait {
        instance: row.instance,
        definition: instance.body.definition.clone(),
        version: instance.body.version.clone(),
        name: name.to_owned(),
        since: state.and_then(|state| state.waits_since(name)),
        until: state.and_then(|state| state.times_out(name)),
        filters: row.plan.filters.clone(),
        links: links.iter().filter(|invite| invite.wait == name).count(),
    }
}

/// Gives the links of an instance that have not fallen due.
fn links(tx: &mut dyn Tx, namespace: Id, instance: Id) -> Result<Vec<Invite>> {
    let kind = Value::Int(TimerKind::Invite as i64);
    let range = Range::prefix([Value::id(namespace), kind, Value::id(instance)]);
    let rows: Vec<TimerRow> = tx.find(PRIMARY, &range, limits::INVITES_MAX as u32)?;
    rows.iter().map(|row| json("timer", &row.body)).collect()
}

fn of_instance(tx: &mut dyn Tx, namespace: Id, instance: Id) -> Result<Vec<WaitRow>> {
    tx.find(PRIMARY, &Range::prefix([Value::id(namespace), Value::id(instance)]), WAITS_MAX)
}

fn find(tx: &mut dyn Tx, namespace: Id, instance: Id, wait: &str) -> Result<Option<WaitRow>> {
    Ok(of_instance(tx, namespace, instance)?.into_iter().find(|row| name(row) == wait))
}

/// Gives the name of a wait without the number of its row.
fn name(row: &WaitRow) -> &str {
    row.name.rsplit_once('#').map_or(row.name.as_str(), |(name, _)| name)
}

fn no_wait(invite: &Invite) -> Error {
    Error::bad_input(format!(
        "instance {} does not wait at step {:?}; `lockstep instance waits` lists what is waited \
         for",
        invite.instance, invite.wait
    ))
}

fn used_up() -> Error {
    Error::bad_input("this link was used, has expired, or is no longer needed; ask for a new one")
}
