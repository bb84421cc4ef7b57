//! Trace context: what a caller sends by the W3C recommendation, where workers find it, and the
//! spans of requests.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, StatusCode};
use model::{Data, Datum, Result, Span, SpanKind, TRACEPARENT, Time, TraceContext, Tracer};
use serde_json::Value as Json;

use crate::route::Route;

/// Borrows the trace context of a request; one that is no context counts as none.
pub(crate) fn context(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(TRACEPARENT)?.to_str().ok()?;
    TraceContext::parse(text).map(|_| text)
}

/// Puts the context of a request into the data of a unit that has none of its own.
pub(crate) fn keep(context: Option<&str>, data: &mut Data) -> Result<()> {
    let Some(context) = context else { return Ok(()) };
    let mut dict = data.dict()?;
    if !dict.contains_key(TRACEPARENT) {
        dict.insert(TRACEPARENT.to_owned(), Datum::Text(context.to_owned()));
        *data = Data::from_dict(&dict)?;
    }
    Ok(())
}

/// Gives the context of a request to an event that has none of its own.
pub(crate) fn carry(context: Option<&str>, event: &mut model::CloudEvent) {
    if let Some(context) = context {
        let given = || Json::String(context.to_owned());
        event.extensions.entry(TRACEPARENT.to_owned()).or_insert_with(given);
    }
}

/// A request that is in a trace.
pub(crate) struct Traced {
    pub(crate) context: TraceContext,
    /// Who takes its span, what that belongs to, and when it began.
    taken: Option<(Arc<dyn Tracer>, Option<TraceContext>, Time)>,
}

impl Traced {
    /// Finds the trace of a request, or begins one where the route does; what begins with such a
    /// request belongs to its span.
    pub(crate) fn begin(
        tracer: Option<&Arc<dyn Tracer>>,
        route: &Route,
        headers: &mut HeaderMap,
    ) -> Option<Self> {
        let parent = context(headers).and_then(TraceContext::parse);
        let is_taken = parent.map_or_else(|| route.begins_trace(), TraceContext::is_sampled);
        let tracer = tracer.filter(|_| is_taken);
        let Some(tracer) = tracer else {
            return parent.map(|context| Self { context, taken: None });
        };
        let context = tracer.place(parent);
        // Units keep what their caller sent, or the same request would be another the next time.
        if route.begins_trace()
            && let Ok(value) = HeaderValue::try_from(context.to_string())
        {
            headers.insert(TRACEPARENT, value);
        }
        let taken = context.is_sampled().then(|| (Arc::clone(tracer), parent, tracer.now()));
        Some(Self { context, taken })
    }

    /// Gives the span of the request away, which names its route and not its path, for paths may
    /// be secrets.
    pub(crate) fn end(self, route: &Route, status: StatusCode) {
        let Some((tracer, parent, start)) = self.taken else { return };
        let end = tracer.now();
        tracer.record(Span {
            context: self.context,
            parent,
            name: format!("{} {}", route.method, route.path),
            kind: SpanKind::Server,
            start,
            end,
            is_error: status.is_server_error(),
            attributes: vec![
                ("http.request.method", route.method.to_owned()),
                ("http.route", route.path.to_owned()),
                ("http.response.status_code", status.as_str().to_owned()),
            ],
        });
    }
}
