//! What a handler gives back, and how it becomes a response.

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
use model::{Error, Result, Revision};
use serde::Serialize;

/// A response with any body.
pub(crate) type Response = http::Response<Body>;

/// Says as of which revision a namespace was read, or what a write made of it.
pub(crate) const REVISION: HeaderName = HeaderName::from_static("lockstep-revision");

/// The answer to a call, before it is known which media type it gets.
pub(crate) struct Outcome {
    status: StatusCode,
    payload: Payload,
    location: Option<String>,
    revision: Option<Revision>,
    /// Whether the revision identifies the answer, so that it serves as its `ETag`.
    tagged: bool,
    /// The media type, where it is not the one that the route speaks.
    media: Option<&'static str>,
    /// What else the answer says.
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// A response body.
pub(crate) enum Payload {
    /// None.
    Empty,
    /// JSON, or the text that the route speaks.
    Whole(Bytes),
    /// JSON that is still being written.
    Stream(Body),
}

impl Outcome {
    fn new(status: StatusCode, payload: Payload) -> Self {
        Self {
            status,
            payload,
            location: None,
            revision: None,
            tagged: false,
            media: None,
            headers: Vec::new(),
        }
    }

    /// Answers 200 with JSON.
    pub(crate) fn json<T: Serialize>(body: &T) -> Result<Self> {
        Ok(Self::whole(json(body)?))
    }

    /// Answers 200 with a body that is already written.
    pub(crate) fn whole(body: impl Into<Bytes>) -> Self {
        Self::new(StatusCode::OK, Payload::Whole(body.into()))
    }

    /// Answers 200 with a body that is still being written.
    pub(crate) fn stream(body: Body) -> Self {
        Self::new(StatusCode::OK, Payload::Stream(body))
    }

    /// Answers 201 with JSON and the place of what was made.
    pub(crate) fn created<T: Serialize>(location: String, body: &T) -> Result<Self> {
        let outcome = Self::new(StatusCode::CREATED, Payload::Whole(json(body)?.into()));
        Ok(Self { location: Some(location), ..outcome })
    }

    /// Answers 204.
    pub(crate) fn done() -> Self {
        Self::new(StatusCode::NO_CONTENT, Payload::Empty)
    }

    pub(crate) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// Says which revision a write made.
    pub(crate) fn at(mut self, revision: Revision) -> Self {
        self.revision = Some(revision);
        self
    }

    /// Says as of which revision an answer is; 0 is of no namespace and says nothing.
    pub(crate) fn tagged(mut self, revision: Revision) -> Self {
        self.revision = (revision > 0).then_some(revision);
        self.tagged = self.revision.is_some();
        self
    }

    /// Says what a page may load.
    pub(crate) fn with_policy(self, policy: Option<HeaderValue>) -> Self {
        match policy {
            Some(policy) => self.with_header(header::CONTENT_SECURITY_POLICY, policy),
            None => self,
        }
    }

    /// Adds a header, beside those that every answer has.
    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Says that the answer is of another media type than the route speaks.
    pub(crate) fn with_media(mut self, media: &'static str) -> Self {
        self.media = Some(media);
        self
    }

    /// Answers 303: the browser is to go on with another page.
    pub(crate) fn see_other(location: String) -> Self {
        let outcome = Self::new(StatusCode::SEE_OTHER, Payload::Empty);
        Self { location: Some(location), ..outcome }
    }

    /// Makes the response, or 304 if the client says that it holds the answer.
    pub(crate) fn into_response(self, media: HeaderValue, held: Option<&HeaderValue>) -> Response {
        let mut status = self.status;
        let mut response = http::Response::new(Body::empty());
        let headers = response.headers_mut();
        let media = self.media.map_or(media, HeaderValue::from_static);
        headers.insert(header::CONTENT_TYPE, media);
        headers.insert(header::VARY, HeaderValue::from_static("accept"));
        let no_sniff = HeaderValue::from_static("nosniff");
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, no_sniff);
        if let Some(revision) = self.revision {
            headers.insert(REVISION, HeaderValue::from(revision));
            if self.tagged {
                let tag = format!("\"{revision}\"");
                if held.is_some_and(|held| has_tag(held, &tag)) {
                    status = StatusCode::NOT_MODIFIED;
                }
                if let Ok(tag) = HeaderValue::from_str(&tag) {
                    headers.insert(header::ETAG, tag);
                }
            }
        }
        for (name, value) in self.headers {
            headers.append(name, value);
        }
        if let Some(location) = self.location.and_then(|url| HeaderValue::from_str(&url).ok()) {
            headers.insert(header::LOCATION, location);
        }
        *response.status_mut() = status;
        if status != StatusCode::NOT_MODIFIED {
            *response.body_mut() = match self.payload {
                Payload::Empty => Body::empty(),
                Payload::Whole(bytes) => full(bytes),
                Payload::Stream(body) => body,
            };
        }
        response
    }
}

/// Tells whether an `If-None-Match` header has this tag.
fn has_tag(held: &HeaderValue, tag: &str) -> bool {
    let held = held.to_str().unwrap_or_default().split(',').map(str::trim);
    held.map(|held| held.strip_prefix("W/").unwrap_or(held)).any(|held| held == "*" || held == tag)
}

/// Makes a body of bytes.
pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Body::from(bytes.into())
}

/// Writes a value as JSON.
pub(crate) fn json<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| Error::Internal(format!("no JSON: {error}")))
}
