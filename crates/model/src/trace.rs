//! Traces: which larger piece of work something belongs to, and the spans that it is made of.
//!
//! What follows from a record has a place in its trace that follows from its names, so that every
//! node and every worker gives the same place to the same thing without asking.

use std::fmt;

use serde_json::Value as Json;

use crate::{AttemptRef, CloudEvent, Data, Datum, Id, Time};

/// The header, the key of a unit's data and the attribute of an event that keep a trace context.
pub const TRACEPARENT: &str = "traceparent";

/// The flag of a trace whose spans are recorded.
const SAMPLED: u8 = 1;

/// A place in a trace, by the W3C recommendation on trace contexts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    trace: u128,
    span: u64,
    flags: u8,
}

impl TraceContext {
    /// Puts a place together; its ids must not be zero, so those that are become one.
    pub fn new(trace: u128, span: u64, is_sampled: bool) -> Self {
        let flags = if is_sampled { SAMPLED } else { 0 };
        Self { trace: trace.max(1), span: span.max(1), flags }
    }

    /// Reads the text of a header; one that is no trace context is none.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let mut next = |length: usize| {
            parts.next().filter(|part| part.len() == length && part.bytes().all(is_hex))
        };
        let [version, trace, span, flags] = [2, 32, 16, 2].map(&mut next);
        let version = version?;
        // Later versions may have more parts; this one has no more, and ff is none.
        let is_known = if version == "00" { parts.next().is_none() } else { version != "ff" };
        let trace = u128::from_str_radix(trace?, 16).ok()?;
        let span = u64::from_str_radix(span?, 16).ok()?;
        let flags = u8::from_str_radix(flags?, 16).ok()?;
        (is_known && trace != 0 && span != 0).then_some(Self { trace, span, flags })
    }

    /// Reads the context that the data of a unit keeps.
    pub fn in_data(data: &Data) -> Option<Self> {
        // Most data has none, and need not be decoded for that.
        let bytes = data.as_cbor();
        if !bytes.windows(TRACEPARENT.len()).any(|part| part == TRACEPARENT.as_bytes()) {
            return None;
        }
        let dict = data.dict().ok()?;
        match (dict.get(TRACEPARENT), dict.get("lockstep")) {
            (Some(Datum::Text(text)), _) => Self::parse(text),
            // What the server tells itself stands apart from what a step takes.
            (_, Some(Datum::Map(own))) => own.iter().find_map(|(key, value)| match (key, value) {
                (Datum::Text(key), Datum::Text(text)) if key == TRACEPARENT => Self::parse(text),
                _ => None,
            }),
            _ => None,
        }
    }

    /// Reads the context that an event has.
    pub fn in_event(event: &CloudEvent) -> Option<Self> {
        Self::parse(event.extensions.get(TRACEPARENT).and_then(Json::as_str)?)
    }

    /// Tells whether the spans of the trace are recorded.
    pub fn is_sampled(self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// Writes the id of the trace.
    pub fn trace_id(self) -> String {
        format!("{:032x}", self.trace)
    }

    /// Writes the id of the span.
    pub fn span_id(self) -> String {
        format!("{:016x}", self.span)
    }

    /// Gives another place in the same trace.
    #[must_use]
    pub fn at(self, span: u64) -> Self {
        Self { span: span.max(1), ..self }
    }

    /// Gives the beginning of a trace that has these names within this one.
    #[must_use]
    pub fn apart(self, names: &[&[u8]]) -> Self {
        let (high, low) = (self.child("trace", names).span, self.child("part", names).span);
        Self { trace: u128::from(high) << 64 | u128::from(low), ..self }
    }

    /// Gives the place of an event that came in here.
    #[must_use]
    pub fn event(self, event: &CloudEvent) -> Self {
        self.child("event", &[event.source.as_bytes(), event.id.as_bytes()])
    }

    /// Gives the place of an instance that was started here.
    #[must_use]
    pub fn instance(self, namespace: &str, id: Id) -> Self {
        self.child("instance", &[namespace.as_bytes(), &id.to_be_bytes()])
    }

    /// Gives the place of a unit that was added here.
    #[must_use]
    pub fn unit(self, spec: &str, unit: &[u8], id: Id) -> Self {
        self.child("unit", &[spec.as_bytes(), unit, &id.to_be_bytes()])
    }

    /// Gives the place of an attempt at a unit that was added here.
    #[must_use]
    pub fn attempt(self, attempt: &AttemptRef) -> Self {
        let AttemptRef { spec, unit, id } = attempt;
        self.child("attempt", &[spec.as_str().as_bytes(), unit.as_bytes(), &id.to_be_bytes()])
    }

    /// Gives the place of what follows from this one under these names: always the same, and for
    /// others another (FNV-1a, mixed as SplitMix64 does).
    #[must_use]
    pub fn child(self, what: &str, names: &[&[u8]]) -> Self {
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        let mut take = |bytes: &[u8]| {
            for byte in (bytes.len() as u64).to_be_bytes().iter().chain(bytes) {
                hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
            }
        };
        take(&self.trace.to_be_bytes());
        take(&self.span.to_be_bytes());
        take(what.as_bytes());
        names.iter().for_each(|name| take(name));
        hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        self.at(hash ^ (hash >> 31))
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span, self.flags)
    }
}

/// A stretch of work that has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// Its place.
    pub context: TraceContext,
    /// What it belongs to.
    pub parent: Option<TraceContext>,
    /// What was done, in few words that many spans share.
    pub name: String,
    /// Its part among others.
    pub kind: SpanKind,
    /// When it began.
    pub start: Time,
    /// When it ended.
    pub end: Time,
    /// Whether it failed.
    pub is_error: bool,
    /// What else there is to know: names, and never data.
    pub attributes: Vec<(&'static str, String)>,
}

/// The part of a span among others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanKind {
    /// Work inside.
    Internal,
    /// The answer to a request.
    Server,
    /// Something that others take up later.
    Producer,
    /// Something taken up.
    Consumer,
}

/// Takes the spans of traces.
pub trait Tracer: Send + Sync {
    /// Gives a new place: in the trace of this one, or in a new trace.
    fn place(&self, parent: Option<TraceContext>) -> TraceContext;
    /// Tells the time.
    fn now(&self) -> Time;
    /// Takes a span whose trace is recorded; never waits.
    fn record(&self, span: Span);
}

#[cfg(test)]
mod tests {
    use super::TraceContext;

    #[test]
    fn only_contexts_are_read_and_they_are_written_as_they_were() {
        let (trace, caller) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
        let id = |text: &str| TraceContext::parse(text).map(TraceContext::trace_id);
        let whole = format!("00-{trace}-{caller}-01");
        assert_eq!(TraceContext::parse(&whole).map(|read| read.to_string()), Some(whole.clone()));
        assert_eq!(id(&whole).as_deref(), Some(trace));
        assert_eq!(id(&format!("cc-{trace}-{caller}-01-more")).as_deref(), Some(trace));
        for wrong in [
            String::new(),
            format!("00-{trace}-{caller}"),
            format!("00-{trace}-{caller}-01-more"),
            format!("ff-{trace}-{caller}-01"),
            format!("00-{}-{caller}-01", trace.to_uppercase()),
            format!("00-{}-{caller}-01", "0".repeat(32)),
            format!("00-{trace}-{}-01", "0".repeat(16)),
            format!("00-{trace}-{caller}-1"),
        ] {
            assert_eq!(id(&wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_follows_has_a_place_that_its_names_alone_decide() {
        let from = TraceContext::new(7, 9, true);
        assert_eq!(from.instance("a", 1), from.instance("a", 1));
        let others = [
            from.instance("a", 2),
            from.instance("b", 1),
            from.at(8).instance("a", 1),
            from.child("instance", &[b"a", b""]),
        ];
        for other in others {
            assert_ne!(other, from.instance("a", 1));
        }
        assert!(from.instance("a", 1).is_sampled());
    }
}
