//! Trace context: what a caller sends by the W3C recommendation, and where workers find it.

use http::HeaderMap;
use model::{Data, Datum, Result};
use serde_json::Value as Json;

/// The header, and the key of a unit's data and the attribute of an event that keep it.
pub(crate) const TRACEPARENT: &str = "traceparent";

/// The lengths of the parts: version, trace, caller, flags.
const PARTS: [usize; 4] = [2, 32, 16, 2];

/// Borrows the trace context of a request; one that is no context counts as none.
pub(crate) fn context(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(TRACEPARENT)?.to_str().ok()?;
    id(text).map(|_| text)
}

/// Borrows the id of the trace from a context.
pub(crate) fn id(context: &str) -> Option<&str> {
    let mut parts = context.split('-');
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let mut next = |length: usize| {
        parts.next().filter(|part| part.len() == length && part.bytes().all(is_hex))
    };
    let [version, trace, caller, flags] = PARTS.map(&mut next);
    let (version, trace, caller, _) = (version?, trace?, caller?, flags?);
    let is_nothing = |part: &str| part.bytes().all(|byte| byte == b'0');
    // Later versions may have more parts; this one has no more, and ff is none.
    let is_known = if version == "00" { parts.next().is_none() } else { version != "ff" };
    (is_known && !is_nothing(trace) && !is_nothing(caller)).then_some(trace)
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

#[cfg(test)]
mod tests {
    use super::id;

    #[test]
    fn only_contexts_have_an_id() {
        let (trace, caller) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
        assert_eq!(id(&format!("00-{trace}-{caller}-01")), Some(trace));
        assert_eq!(id(&format!("cc-{trace}-{caller}-01-more")), Some(trace));
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
}
