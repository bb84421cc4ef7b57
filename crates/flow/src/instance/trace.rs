//! The traces that events and instances belong to, and their spans.

use model::{
    CloudEvent, EventBody, Id, InstanceStatus, Namespace, Result, Span, SpanKind, TRACEPARENT,
    Time, TraceContext,
};
use queue::Work;
use store::{Tx, TxExt as _};

use super::rows::{Cause, EventRow, InstanceRow};

/// Gives the trace context of what an instance does: its own place where spans are taken, or else
/// that of what started it.
pub(super) fn of(work: &Work<'_>, row: &InstanceRow) -> Option<String> {
    let from = row.body.traceparent.as_ref()?;
    Some(match (work.trace, TraceContext::parse(from)) {
        (Some(_), Some(from)) => from.instance(work.name().as_str(), row.id).to_string(),
        _ => from.clone(),
    })
}

/// Gives the trace context of what an event starts, in the same way.
pub(super) fn of_event(work: &Work<'_>, event: &CloudEvent) -> Option<String> {
    let from = event.extensions.get(TRACEPARENT)?.as_str()?;
    Some(match (work.trace, TraceContext::parse(from)) {
        (Some(_), Some(from)) => from.event(event).to_string(),
        _ => from.to_owned(),
    })
}

/// Gives an event that has no trace context of its own that of whoever sent it, or else that of
/// what begins with it.
pub(super) fn carry(work: &Work<'_>, event: &mut CloudEvent, sender: Option<String>) {
    let context = sender.or_else(|| work.trace.map(|trace| trace.to_string()));
    if let Some(context) = context {
        event.extensions.entry(TRACEPARENT.to_owned()).or_insert_with(|| context.into());
    }
}

/// Gives the spans of the events that came in with a commit, and of the instances that ended, as
/// far as their traces are recorded.
pub fn spans(
    tx: &mut dyn Tx,
    (namespace, live): (&Namespace, Id),
    events: &[EventBody],
    now: Time,
) -> Result<Vec<Span>> {
    let mut spans = Vec::new();
    let mut seen: Vec<Id> = Vec::new();
    for event in events {
        match event {
            EventBody::EventsReceived(first, last) => {
                for seq in *first..=*last {
                    let row: Option<EventRow> = tx.get(EventRow::key(live, seq))?;
                    // What is said of events that are there already is nothing new.
                    spans.extend(row.filter(|row| row.at == now).and_then(|row| of_row(&row)));
                }
            }
            EventBody::InstancesChanged(ids) => {
                for id in ids {
                    if seen.contains(id) {
                        continue;
                    }
                    seen.push(*id);
                    let row: Option<InstanceRow> = tx.get(InstanceRow::key(live, *id))?;
                    let ended = row.filter(|row| row.body.ended == Some(now));
                    spans.extend(ended.and_then(|row| of_instance(namespace, &row)));
                }
            }
            _ => {}
        }
    }
    Ok(spans)
}

fn of_row(row: &EventRow) -> Option<Span> {
    let parent = TraceContext::in_event(&row.event).filter(|context| context.is_sampled())?;
    Some(Span {
        context: parent.event(&row.event),
        parent: Some(parent),
        name: format!("event {}", row.event.kind),
        kind: SpanKind::Producer,
        start: row.at,
        end: row.at,
        is_error: false,
        attributes: vec![
            ("cloudevents.event_id", row.event.id.clone()),
            ("cloudevents.event_source", row.event.source.clone()),
            ("cloudevents.event_type", row.event.kind.clone()),
            ("lockstep.event", row.seq.to_string()),
        ],
    })
}

fn of_instance(namespace: &Namespace, row: &InstanceRow) -> Option<Span> {
    let from = TraceContext::parse(row.body.traceparent.as_ref()?)?;
    if !from.is_sampled() {
        return None;
    }
    let body = &row.body;
    // A slot of a schedule begins a trace, so nothing comes before the instance.
    let is_first = matches!(body.cause, Cause::Slot { .. });
    Some(Span {
        context: from.instance(namespace.as_str(), row.id),
        parent: (!is_first).then_some(from),
        name: format!("workflow {}", body.definition),
        kind: SpanKind::Internal,
        start: body.started,
        end: body.ended.unwrap_or(body.started),
        is_error: row.status == InstanceStatus::Faulted,
        attributes: vec![
            ("lockstep.namespace", namespace.to_string()),
            ("lockstep.definition", body.definition.clone()),
            ("lockstep.version", body.version.clone()),
            ("lockstep.instance", row.id.to_string()),
            ("lockstep.status", row.status.as_str().to_owned()),
        ],
    })
}
