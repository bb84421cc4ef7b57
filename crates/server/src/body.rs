//! Reading request bodies within their limits.

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body_util::BodyExt;
use hyper::body::Body as _;
use model::{Error, Result, limits};
use serde::de::DeserializeOwned;

use crate::{negotiate::is_json, problem::Refusal};

/// Levels of nesting around a data dictionary: the body, a list, its item, the dictionary.
const LEVELS_AROUND_DATA: usize = 4;

/// Refuses bodies that are encoded, or not JSON by their headers where they must be.
pub(crate) fn check_headers(headers: &HeaderMap, any_media: bool) -> Result<(), Refusal> {
    let encoding = headers.get(header::CONTENT_ENCODING).map(header::HeaderValue::as_bytes);
    if let Some(encoding) = encoding.filter(|encoding| *encoding != b"identity") {
        return Err(Refusal::media_type(&String::from_utf8_lossy(encoding)));
    }
    if any_media {
        return Ok(());
    }
    let content_type = headers.get(header::CONTENT_TYPE).map_or("application/octet-stream", |h| {
        // What is not ASCII is no known type either.
        h.to_str().unwrap_or("(not ASCII)")
    });
    if is_json(content_type) { Ok(()) } else { Err(Refusal::media_type(content_type)) }
}

/// Reads a whole body of at most so many bytes, within [`limits::BODY_READ_MAX`].
pub(crate) async fn read(body: Body, bytes_max: usize) -> Result<Bytes, Refusal> {
    let hint = body.size_hint().lower();
    if usize::try_from(hint).map_or(true, |hint| hint > bytes_max) {
        return Err(too_large(usize::try_from(hint).unwrap_or(usize::MAX), bytes_max));
    }
    match tokio::time::timeout(limits::BODY_READ_MAX, collect(body, bytes_max)).await {
        Ok(read) => read,
        Err(_elapsed) => Err(Refusal::slow_body()),
    }
}

async fn collect(mut body: Body, bytes_max: usize) -> Result<Bytes, Refusal> {
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            Refusal::from(Error::bad_input(format!("the request body is broken: {error}")))
                .closing()
        })?;
        let Ok(data) = frame.into_data() else { continue };
        let size = first.len() + rest.len() + data.len();
        if size > bytes_max {
            return Err(too_large(size, bytes_max));
        }
        if first.is_empty() {
            first = data;
        } else {
            rest.extend_from_slice(&data);
        }
    }
    if rest.is_empty() {
        return Ok(first);
    }
    let mut whole = BytesMut::with_capacity(first.len() + rest.len());
    whole.extend_from_slice(&first);
    whole.extend_from_slice(&rest);
    Ok(whole.freeze())
}

fn too_large(size: usize, limit: usize) -> Refusal {
    Refusal::from(Error::too_large("the request body in bytes", size, limit)).closing()
}

/// Parses a body that must be a JSON object.
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    match body.iter().find(|byte| !byte.is_ascii_whitespace()) {
        None => return Err(Error::bad_input("EOF")),
        Some(b'{') => {}
        Some(_) if serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok() => {
            return Err(Error::bad_input("Invalid input format"));
        }
        // The parser below says what is wrong.
        Some(_) => {}
    }
    parse_any(body)
}

/// Parses a body that may be any JSON.
pub(crate) fn parse_any<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    check_shape(body)?;
    parse_checked(body)
}

/// Parses a body whose parts have kept their limits where they came in.
pub(crate) fn parse_checked<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    serde_json::from_slice(body).map_err(|error| Error::bad_input(format!("bad JSON: {error}")))
}

/// Counts nesting and values before anything is built from the text.
fn check_shape(body: &[u8]) -> Result<()> {
    let depth_max = limits::DEPTH_MAX + LEVELS_AROUND_DATA;
    let (mut depth, mut values) = (0_usize, 0_usize);
    let mut bytes = body.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => skip_string(&mut bytes),
            b'[' | b'{' => {
                depth += 1;
                values += 1;
                if depth > depth_max {
                    return Err(Error::too_large("JSON nesting", depth, depth_max));
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' => values += 1,
            _ => {}
        }
    }
    if values > limits::VALUES_MAX {
        return Err(Error::too_large("JSON values in a request body", values, limits::VALUES_MAX));
    }
    Ok(())
}

fn skip_string(bytes: &mut std::slice::Iter<'_, u8>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => {
                bytes.next();
            }
            b'"' => return,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(body: &str) -> String {
        parse::<serde_json::Value>(body.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn bodies_are_objects() {
        assert!(parse::<serde_json::Value>(b" {\"a\": \"]]]\\\"[\"} ").is_ok());
        assert_eq!(message(""), "EOF");
        assert_eq!(message(" \n"), "EOF");
        assert_eq!(message("null"), "Invalid input format");
        assert_eq!(message("[1]"), "Invalid input format");
        assert!(message("{\"a\":").starts_with("bad JSON"));
        assert!(message("nul").starts_with("bad JSON"));
    }

    #[test]
    fn bombs_are_refused_unbuilt() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(68), "]".repeat(68));
        assert!(message(&deep).starts_with("JSON nesting"), "{}", message(&deep));
        let wide = format!("{{\"a\":[{}0]}}", "[],".repeat(limits::VALUES_MAX / 2));
        assert!(message(&wide).starts_with("JSON values"));
        let unclosed = "[".repeat(100_000);
        assert!(message(&format!("{{\"a\":{unclosed}")).starts_with("JSON nesting"));
    }
}
