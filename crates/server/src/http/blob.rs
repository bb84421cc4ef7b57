//! Blobs: content that comes and goes as a stream of bytes.

use std::{sync::PoisonError, time::Duration};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use http_body_util::{BodyExt as _, channel::Channel};
use hyper::body::Body as _;
use model::{
    Answer, Backend as _, BlobAnswer, BlobCommand, BlobId, BlobInfo, BlobQuery, Content, Error, Id,
    Namespace, Page, Query, Reply, Result, Write, limits,
};

use crate::{
    call::{Call, mismatch, take},
    outcome::Outcome,
    wire::BlobList,
};

/// The media type that a blob was made with; what is answered is never shown by a browser.
const TYPE: HeaderName = HeaderName::from_static("lockstep-type");
/// Longest wait for the next piece of content.
const PIECE_MAX: Duration = limits::BODY_READ_MAX;

/// Makes a blob of the request's body.
pub(crate) async fn put(call: Call) -> Result<Outcome> {
    let namespace = call.namespace()?;
    let body = call.stream.lock().unwrap_or_else(PoisonError::into_inner).take();
    let body = body.unwrap_or_default();
    let promised = body.size_hint().lower();
    if promised > limits::BLOB_BYTES_MAX {
        return Err(too_large(promised));
    }
    let kind = call.head.headers.get(header::CONTENT_TYPE).map(HeaderValue::to_str).transpose();
    let kind = kind.map_err(|_| Error::bad_input("the content type is not ASCII text"))?;
    let kind = kind.unwrap_or("application/octet-stream").to_owned();
    let mut incoming = Incoming { call: &call, namespace, kind, upload: None, at: 0 };
    let received = tokio::time::timeout(limits::BLOB_READ_MAX, incoming.receive(body)).await;
    let info = match received.unwrap_or_else(|_elapsed| Err(slow())) {
        Ok(upload) => incoming.write(BlobCommand::Finish { upload }).await,
        Err(error) => Err(error),
    };
    match info {
        Ok(reply) => {
            let info = take!(reply, Reply::Blob)?;
            Outcome::created(format!("{}/{}", call.head.uri.path(), info.id), &info)
        }
        Err(error) => {
            if let Some(upload) = incoming.upload {
                // The first error says more, and what was sent is forgotten by itself.
                let _forgotten = incoming.write(BlobCommand::Abandon { upload }).await;
            }
            Err(error)
        }
    }
}

fn slow() -> Error {
    Error::bad_input("the content did not come in time; send it faster, or in smaller blobs")
}

fn too_large(bytes: u64) -> Error {
    let number = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
    Error::too_large("a blob in bytes", number(bytes), number(limits::BLOB_BYTES_MAX))
}

/// A blob that comes in.
struct Incoming<'c> {
    call: &'c Call,
    namespace: Namespace,
    kind: String,
    /// The upload, from the first part on: a body that breaks before leaves no trace.
    upload: Option<Id>,
    /// Bytes that are kept.
    at: u64,
}

impl Incoming<'_> {
    /// Keeps what comes, part by part, so that no more than one part is in memory.
    async fn receive(&mut self, mut body: Body) -> Result<Id> {
        let part_bytes = usize::try_from(limits::BLOB_PART_BYTES).unwrap_or(usize::MAX);
        let mut part = Vec::with_capacity(part_bytes.min(64 << 10));
        loop {
            let frame = tokio::time::timeout(PIECE_MAX, body.frame()).await.map_err(|_| slow())?;
            let Some(frame) = frame else { break };
            let broken = |error| Error::bad_input(format!("the request body is broken: {error}"));
            let Ok(mut data) = frame.map_err(broken)?.into_data() else { continue };
            while !data.is_empty() {
                let room = (part_bytes - part.len()).min(data.len());
                part.extend_from_slice(&data.split_to(room));
                if part.len() == part_bytes {
                    self.keep(std::mem::take(&mut part)).await?;
                }
            }
        }
        if !part.is_empty() {
            self.keep(part).await?;
        }
        self.begun().await
    }

    async fn keep(&mut self, part: Vec<u8>) -> Result<()> {
        let (at, next) = (self.at, self.at + part.len() as u64);
        if next > limits::BLOB_BYTES_MAX {
            return Err(too_large(next));
        }
        let upload = self.begun().await?;
        self.write(BlobCommand::Part { upload, at, content: Content(part) }).await?;
        self.at = next;
        Ok(())
    }

    /// Begins the upload, unless that was done.
    async fn begun(&mut self) -> Result<Id> {
        if let Some(upload) = self.upload {
            return Ok(upload);
        }
        let begun = self.write(BlobCommand::Begin { kind: self.kind.clone() }).await?;
        let upload = take!(begun, Reply::Id)?;
        self.upload = Some(upload);
        Ok(upload)
    }

    async fn write(&self, command: BlobCommand) -> Result<Reply> {
        let committed = self.call.backend.write(Write::one(&self.namespace, command)).await?;
        committed.replies.into_iter().next().ok_or_else(mismatch)
    }
}

fn id_of(call: &Call) -> Result<BlobId> {
    BlobId::parse(&call.part("{blob}")?)
}

async fn ask(call: &Call, query: BlobQuery) -> Result<BlobAnswer> {
    let read = call.read(Query::Blobs(call.namespace()?, query)).await?;
    take!(read.answer, Answer::Blobs)
}

/// Lists blobs in the order of their ids.
pub(crate) async fn list(call: Call) -> Result<Outcome> {
    let params = call.params()?;
    let after = params.previous_text()?.map(|text| BlobId::parse(&text)).transpose()?;
    let answer = ask(&call, BlobQuery::Blobs(Page { after, limit: params.limit()? })).await?;
    Outcome::json(&BlobList { blobs: take!(answer, BlobAnswer::Blobs)? })
}

/// Gives the content of a blob, or a stretch of it.
pub(crate) async fn get(call: Call) -> Result<Outcome> {
    let id = id_of(&call)?;
    let info = take!(ask(&call, BlobQuery::Blob(id)).await?, BlobAnswer::Blob)?;
    let tag = format!("\"{id}\"");
    let said = |name| call.head.headers.get(name).and_then(|value| value.to_str().ok());
    if said(header::IF_NONE_MATCH).is_some_and(|held| held.contains(&tag) || held == "*") {
        return headed(Outcome::done().with_status(StatusCode::NOT_MODIFIED), &info, &tag);
    }
    let wanted = match said(header::RANGE).and_then(|text| stretch(text, info.bytes)) {
        Some(Ok((from, to))) => Some((from, to)),
        Some(Err(())) => {
            let outcome = Outcome::done().with_status(StatusCode::RANGE_NOT_SATISFIABLE);
            let all = format!("bytes */{}", info.bytes);
            return Ok(outcome.with_header(header::CONTENT_RANGE, value(&all)?));
        }
        None => None,
    };
    let (from, to) = wanted.unwrap_or((0, info.bytes));
    let is_head = call.head.method == Method::HEAD;
    let body = if is_head { Body::empty() } else { stream(call, id, from, to) };
    let mut outcome = headed(Outcome::stream(body), &info, &tag)?
        .with_header(header::CONTENT_LENGTH, HeaderValue::from(to - from));
    if wanted.is_some() {
        let place = format!("bytes {from}-{}/{}", to.saturating_sub(1), info.bytes);
        outcome = outcome
            .with_status(StatusCode::PARTIAL_CONTENT)
            .with_header(header::CONTENT_RANGE, value(&place)?);
    }
    Ok(outcome)
}

fn value(text: &str) -> Result<HeaderValue> {
    HeaderValue::from_str(text).map_err(|_| Error::Internal("a header cannot be said".to_owned()))
}

/// Adds what every answer says; no browser is to show what somebody has put here.
fn headed(outcome: Outcome, info: &BlobInfo, tag: &str) -> Result<Outcome> {
    let disposition = HeaderValue::from_static("attachment");
    let cached = HeaderValue::from_static("private, no-cache");
    Ok(outcome
        .with_header(header::ETAG, value(tag)?)
        .with_header(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"))
        .with_header(header::CONTENT_DISPOSITION, disposition)
        .with_header(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"))
        .with_header(header::CACHE_CONTROL, cached)
        .with_header(TYPE, value(&info.kind)?))
}

/// Reads a `Range` header as bytes from and before; none is no range that is understood, which
/// counts as not said, and an error one that lies outside.
fn stretch(text: &str, bytes: u64) -> Option<Result<(u64, u64), ()>> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let (from, to) = match (first.trim(), last.trim()) {
        ("", last) => (bytes.saturating_sub(number(last)?), bytes),
        (first, "") => (number(first)?, bytes),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            // One that ends before it begins is none.
            if last < first {
                return None;
            }
            (first, last.saturating_add(1).min(bytes))
        }
    };
    Some(if from < to { Ok((from, to)) } else { Err(()) })
}

/// Reads parts as the client takes them.
fn stream(call: Call, id: BlobId, from: u64, to: u64) -> Body {
    let (mut sender, body) = Channel::<Bytes, Error>::new(1);
    tokio::spawn(async move {
        let size = limits::BLOB_PART_BYTES;
        for seq in from / size..to.div_ceil(size) {
            let part = match ask(&call, BlobQuery::Part(id, seq)).await {
                Ok(BlobAnswer::Part(Content(part))) => part,
                Ok(_) => return sender.abort(mismatch()),
                Err(error) => {
                    tracing::warn!(%error, "a blob cannot be read to its end");
                    return sender.abort(error);
                }
            };
            let place = |at: u64| usize::try_from(at.saturating_sub(seq * size)).unwrap_or(0);
            let (first, last) = (place(from), place(to).min(part.len()));
            let piece = Bytes::from(part).slice(first.min(last)..last);
            if sender.send_data(piece).await.is_err() {
                // The client has gone.
                return;
            }
        }
    });
    Body::new(body)
}

#[cfg(test)]
mod tests {
    use super::stretch;

    #[test]
    fn ranges_are_read() {
        assert_eq!(stretch("bytes=0-0", 10), Some(Ok((0, 1))));
        assert_eq!(stretch("bytes=2-", 10), Some(Ok((2, 10))));
        assert_eq!(stretch("bytes=-3", 10), Some(Ok((7, 10))));
        assert_eq!(stretch("bytes=-30", 10), Some(Ok((0, 10))));
        assert_eq!(stretch("bytes=5-99", 10), Some(Ok((5, 10))));
        assert_eq!(stretch("bytes=10-", 10), Some(Err(())));
        assert_eq!(stretch("bytes=-0", 10), Some(Err(())));
        for unknown in ["bytes=5-2", "bytes=a-b", "bytes=0-1,3-4", "lines=1-2", "bytes=-", "x"] {
            assert_eq!(stretch(unknown, 10), None, "{unknown}");
        }
    }
}
