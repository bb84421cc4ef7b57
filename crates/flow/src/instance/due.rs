//! What falls due for workflows.

use model::{EventBody, Id, Namespace, Result, Time, TraceContext};
use queue::{Closed, Work};
use store::{Range, Tx, TxExt as _, Value, tables};

use super::{event, fire, message, retain};
use crate::{
    publish,
    run::Message,
    timer::{TimerKind, TimerRow},
};

/// Gives the time at which something falls due next for workflows.
pub fn next_due(tx: &mut dyn Tx) -> Result<Option<Time>> {
    let first = tx.first(&tables::TIMER, tables::TIMER_DUE)?;
    first.map(|due| due.as_int().map(Time)).transpose()
}

/// What one round of due work did, and what is to be taken up because its node is gone.
#[derive(Debug, Default)]
pub struct FlowDue {
    /// How many timers were looked at.
    pub count: usize,
    /// What happened in which namespace.
    pub closed: Vec<(Namespace, Closed)>,
    /// What somebody has to take up.
    pub left: Vec<(Namespace, Left)>,
}

/// Something that its node did not take up in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Left {
    /// An instance that has messages.
    Instance(Id),
    /// An event whose triggers were not asked.
    Event(u64),
    /// A run of the pipeline.
    Run(Id),
}

/// Does what is due, up to `limit` timers.
/// What begins thereby is in its own part of this trace, where anybody takes spans.
pub fn run_due(
    tx: &mut dyn Tx,
    now: Time,
    limit: u32,
    trace: Option<TraceContext>,
) -> Result<FlowDue> {
    let range = Range::default().upto(Value::Int(now.0));
    let timers: Vec<TimerRow> = tx.find(tables::TIMER_DUE, &range, limit)?;
    let mut due = FlowDue { count: timers.len(), ..FlowDue::default() };
    let mut namespaces: Vec<Id> = timers.iter().map(|timer| timer.namespace).collect();
    namespaces.sort_unstable();
    namespaces.dedup();
    for live in namespaces {
        let own = timers.iter().filter(|timer| timer.namespace == live);
        let Some(mut work) = Work::of(tx, live, now)? else {
            // The namespace is destroyed; its rows only wait to be swept away.
            let keys: Vec<_> = own.map(TimerRow::own_key).collect();
            tx.remove(&tables::TIMER, &keys)?;
            continue;
        };
        work.trace = trace;
        let name = work.name().clone();
        let old = |timer: &&TimerRow| timer.kind == TimerKind::Kept;
        let late: Vec<_> = own.clone().filter(old).skip(retain::ROUND).collect();
        for timer in own.filter(|timer| !late.contains(timer)) {
            if let Some(left) = apply(&mut work, timer)? {
                due.left.push((name.clone(), left));
            }
        }
        due.closed.push((name, work.close()?));
    }
    Ok(due)
}

fn apply(work: &mut Work<'_>, timer: &TimerRow) -> Result<Option<Left>> {
    match timer.kind {
        TimerKind::Trigger => {
            fire::due(work, timer)?;
            Ok(None)
        }
        TimerKind::Instance => {
            work.tx.remove(&tables::TIMER, &[timer.own_key()])?;
            let name = timer.name.clone();
            message::tell(work, timer.owner, Message::TimerFired { name }, None)?;
            Ok(None)
        }
        TimerKind::Event if !event::is_new(timer) => {
            work.tx.remove(&tables::TIMER, &[timer.own_key()])?;
            event::forget(work, timer.owner)?;
            work.events.push(EventBody::EventsReceived(timer.owner, timer.owner));
            Ok(None)
        }
        // They have no time at which they could be due.
        TimerKind::Line | TimerKind::Unit => Ok(None),
        TimerKind::Kept => {
            retain::forget(work, timer)?;
            Ok(None)
        }
        TimerKind::Invite => {
            work.tx.remove(&tables::TIMER, &[timer.own_key()])?;
            message::touch(work, timer.owner);
            Ok(None)
        }
        TimerKind::Advance => put_off(work, timer, Left::Instance(timer.owner)),
        TimerKind::Event => put_off(work, timer, Left::Event(timer.owner)),
        TimerKind::Run => {
            Ok(publish::lease_over(work, timer.owner)?.map(|_| Left::Run(timer.owner)))
        }
    }
}

/// Hands something to this node, and to the next one if this one is gone by then.
fn put_off(work: &mut Work<'_>, timer: &TimerRow, left: Left) -> Result<Option<Left>> {
    let due = Some(work.now.plus(message::TAKEN_UP_AFTER));
    work.tx.put(&TimerRow { due, ..timer.clone() })?;
    // What changes a row is in the history, or other nodes would not know of it.
    match left {
        Left::Event(seq) => work.events.push(EventBody::EventsReceived(seq, seq)),
        Left::Instance(id) | Left::Run(id) => message::touch(work, id),
    }
    Ok(Some(left))
}
