//! The spans of what commits did, for whoever takes them.

use std::sync::Arc;

use model::{Error, EventBody, Namespace, Result, Span, SpanKind, Time, TraceContext, Tracer};
use store::Tx;

use crate::shared::Shared;

impl Shared {
    /// Gives the beginning of a trace for what a write begins, where anybody takes spans.
    pub(crate) fn begin_trace(&self) -> Option<TraceContext> {
        self.tracer.get().map(|tracer| tracer.place(None))
    }

    /// Gives the spans of what a transaction has done in a namespace, before it is committed.
    pub(crate) fn spans(
        &self,
        tx: &mut dyn Tx,
        namespace: &Namespace,
        events: &[EventBody],
        (began, now): (Option<TraceContext>, Time),
    ) -> Result<Vec<Span>> {
        if self.tracer.get().is_none() || events.is_empty() {
            return Ok(Vec::new());
        }
        let live = match queue::live(tx, namespace) {
            Ok((_, live)) => live,
            // What was destroyed is not looked at any more.
            Err(Error::NoSuchNamespace(_)) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut spans = queue::spans(tx, live, events)?;
        spans.extend(flow::instance::spans(tx, (namespace, live), events, now)?);
        if began.is_some() && spans.iter().any(|span| span.parent == began) {
            spans.extend(began.map(|context| beginning(context, namespace, events, now)));
        }
        Ok(spans)
    }

    /// Gives spans away, once what they tell of is committed.
    pub(crate) fn record(&self, spans: Vec<Span>) {
        if let Some(tracer) = self.tracer.get() {
            spans.into_iter().for_each(|span| tracer.record(span));
        }
    }

    /// Sets who takes spans.
    pub(crate) fn trace_to(&self, tracer: Arc<dyn Tracer>) {
        // Who has set it first has the say.
        let _first = self.tracer.set(tracer);
    }
}

/// Makes the span of a write that begins a trace: that of a round of mail, or of whoever sends
/// events without a trace context.
fn beginning(
    context: TraceContext,
    namespace: &Namespace,
    events: &[EventBody],
    now: Time,
) -> Span {
    let account = events.iter().find_map(|event| match event {
        EventBody::MailChanged(account) => Some(account),
        _ => None,
    });
    let mut attributes = vec![("lockstep.namespace", namespace.to_string())];
    attributes.extend(account.map(|account| ("lockstep.mail.account", account.clone())));
    Span {
        context,
        parent: None,
        name: if account.is_some() { "mail round" } else { "events" }.to_owned(),
        kind: SpanKind::Producer,
        start: now,
        end: now,
        is_error: false,
        attributes,
    }
}
