//! Telling instances what has happened.

use model::{EventBody, Id, Result, Time};
use queue::Work;
use store::{Range, TxExt as _, Value, tables};

use super::rows::{InboxRow, InstanceRow};
use crate::{
    run::{Delivery, Message},
    timer::{TimerKind, TimerRow},
};

/// How long an instance that has messages may stay as it is before any node takes it up: whoever
/// commits a message takes it up at once, unless that node is gone.
pub(super) const TAKEN_UP_AFTER: std::time::Duration = std::time::Duration::from_secs(5);

/// Tells an instance something; whoever commits this drives it on.
pub(super) fn tell(
    work: &mut Work<'_>,
    instance: Id,
    message: Message,
    event: Option<u64>,
) -> Result<()> {
    let row = InboxRow {
        namespace: work.live(),
        instance,
        seq: work.next_id(),
        delivery: Delivery { at: work.now, message },
        event,
    };
    work.tx.add(&row)?;
    expect(work, instance)?;
    touch(work, instance);
    Ok(())
}

/// Notes that an instance has messages.
pub(super) fn expect(work: &mut Work<'_>, instance: Id) -> Result<()> {
    let due = work.now.plus(TAKEN_UP_AFTER);
    let timer = TimerRow::new(work.live(), TimerKind::Advance, instance, "", due);
    work.tx.put(&timer)
}

/// Gives the key of the timer that says that an instance has messages.
pub(super) fn expected(namespace: Id, instance: Id) -> store::Key {
    TimerRow::key(namespace, TimerKind::Advance, instance, "")
}

/// Notes in the history that an instance is another now.
pub(super) fn touch(work: &mut Work<'_>, instance: Id) {
    match work.events.last_mut() {
        Some(EventBody::InstancesChanged(ids)) => {
            if !ids.contains(&instance) {
                ids.push(instance);
            }
        }
        _ => work.events.push(EventBody::InstancesChanged(vec![instance])),
    }
}

/// Gives an instance, if it exists.
pub(super) fn find(work: &mut Work<'_>, instance: Id) -> Result<Option<InstanceRow>> {
    work.tx.get(InstanceRow::key(work.live(), instance))
}

/// Gives what an instance has been told, oldest first.
pub(super) fn inbox(
    tx: &mut dyn store::Tx,
    namespace: Id,
    instance: Id,
    limit: u32,
) -> Result<Vec<InboxRow>> {
    let range = Range::prefix([Value::id(namespace), Value::id(instance)]);
    tx.find(store::PRIMARY, &range, limit)
}

/// Forgets what an instance was told.
pub(super) fn forget(work: &mut Work<'_>, instance: Id, seqs: &[Id]) -> Result<()> {
    let namespace = work.live();
    let keys: Vec<_> = seqs.iter().map(|seq| InboxRow::key(namespace, instance, *seq)).collect();
    work.tx.remove(&tables::INBOX, &keys)
}

/// Sets a timer of an instance.
pub(super) fn set_timer(work: &mut Work<'_>, instance: Id, name: &str, at: Time) -> Result<()> {
    let timer = TimerRow::new(work.live(), TimerKind::Instance, instance, name, at);
    work.tx.put(&timer)
}

/// Forgets a timer of an instance.
pub(super) fn clear_timer(work: &mut Work<'_>, instance: Id, name: &str) -> Result<()> {
    let key = TimerRow::key(work.live(), TimerKind::Instance, instance, name);
    work.tx.remove(&tables::TIMER, &[key])
}
