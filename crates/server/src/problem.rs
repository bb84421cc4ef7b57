//! How refusals look on the wire.

use http::{HeaderValue, StatusCode, header};
use model::{Error, ErrorCode, Revision};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    negotiate::{MEDIA_TYPES, PROBLEM},
    outcome::{REVISION, Response, full},
    ui,
};

/// Why a request gets no answer, in the terms of HTTP.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    code: ErrorCode,
    error: Box<Error>,
    /// The methods that a 405 names.
    allow: Option<String>,
    /// A revision in which something was absent.
    as_of: Option<Revision>,
    /// Whether the rest of the connection cannot be used.
    close: bool,
}

/// The form of an error body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// The ancestor's envelope under one of its media types.
    Envelope(&'static str),
    /// RFC 9457.
    Problem,
    /// A page for people.
    Page,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::new(error.code(), error)
    }
}

impl Refusal {
    fn new(code: ErrorCode, error: Error) -> Self {
        let status = StatusCode::from_u16(code.status);
        Self {
            status: status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            code,
            error: Box::new(error),
            allow: None,
            as_of: None,
            close: false,
        }
    }

    pub(crate) fn method(method: &str, allow: String) -> Self {
        let error = Error::bad_input(format!("Method {method} not allowed"));
        Self { allow: Some(allow), ..Self::new(ErrorCode::METHOD_NOT_ALLOWED, error) }
    }

    pub(crate) fn not_acceptable() -> Self {
        let error = Error::bad_input("none of the accepted media types can be produced");
        Self::new(ErrorCode::NOT_ACCEPTABLE, error)
    }

    pub(crate) fn media_type(found: &str) -> Self {
        let error = Error::bad_input(format!("Unsupported media type {found:?}"));
        Self::new(ErrorCode::UNSUPPORTED_MEDIA_TYPE, error).closing()
    }

    pub(crate) fn slow_body() -> Self {
        let error = Error::bad_input("the request body did not arrive in time");
        Self::new(ErrorCode::REQUEST_TIMEOUT, error).closing()
    }

    pub(crate) fn panic() -> Self {
        let error = Error::Internal("a request handler panicked; see the server's log".to_owned());
        let code = ErrorCode { ancestor: "panic", ..error.code() };
        Self::new(code, error).closing()
    }

    /// Says in which revision something was absent; 0 says nothing.
    pub(crate) fn looked_at(mut self, revision: Option<Revision>) -> Self {
        self.as_of = revision.filter(|revision| *revision > 0);
        self
    }

    /// Ends the connection after the answer, for its request was not read to the end.
    pub(crate) fn closing(mut self) -> Self {
        self.close = true;
        self
    }

    /// Tells whether it is for want of a token.
    pub(crate) fn wants_caller(&self) -> bool {
        self.status == StatusCode::UNAUTHORIZED
    }

    pub(crate) fn into_response(self, form: Form) -> Response {
        let (media, body) = match form {
            Form::Envelope(media) => (media, serde_json::to_vec(&self.envelope())),
            Form::Problem => (PROBLEM, serde_json::to_vec(&self.problem())),
            Form::Page => {
                let ErrorCode { code, hint, .. } = self.code;
                let page = ui::refused(self.status, code, &self.error.to_string(), hint);
                ("text/html; charset=utf-8", Ok(page.into_bytes()))
            }
        };
        // Both forms are plain structs of text, which always serialize.
        let mut response = http::Response::new(full(body.unwrap_or_default()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
        headers.insert(header::VARY, HeaderValue::from_static("accept"));
        if form == Form::Page {
            headers.extend(ui::page_headers());
            let no_sniff = HeaderValue::from_static("nosniff");
            headers.insert(header::X_CONTENT_TYPE_OPTIONS, no_sniff);
        }
        if let Some(revision) = self.as_of.filter(|_| self.status == StatusCode::NOT_FOUND) {
            headers.insert(REVISION, HeaderValue::from(revision));
        }
        let allow = self.allow.and_then(|allow| HeaderValue::from_str(&allow).ok());
        if let Some(allow) = allow {
            headers.insert(header::ALLOW, allow);
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        let wait = match &*self.error {
            Error::TooManyRequests { seconds, .. } => Some(*seconds),
            _ => (self.status == StatusCode::SERVICE_UNAVAILABLE).then_some(1),
        };
        if let Some(seconds) = wait {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.close {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    fn envelope(&self) -> Envelope<'_> {
        let value = match &*self.error {
            Error::NoSuchWorkSpec(name) | Error::NoSuchWorkUnit(name) => Some(name.as_str()),
            _ => None,
        };
        let ErrorCode { ancestor, hint, .. } = self.code;
        Envelope { error: ancestor, message: self.error.to_string(), value, hint }
    }

    fn problem(&self) -> Problem<'_> {
        Problem {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or("error"),
            status: self.status.as_u16(),
            code: self.code.code,
            detail: self.error.to_string(),
            hint: self.code.hint,
            error: &self.error,
        }
    }
}

/// Answers a URL that is in no table.
pub(crate) fn not_found() -> Response {
    let mut response = http::Response::new(full(&b"404 page not found\n"[..]));
    *response.status_mut() = StatusCode::NOT_FOUND;
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, text);
    response
}

/// The form that holds before the client's wishes are known.
pub(crate) const FORM_DEFAULT: Form = Form::Envelope(MEDIA_TYPES[0]);

/// An error as the ancestor's clients read it.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Envelope<'a> {
    /// The ancestor's name of the error, such as `ErrLostLease`; `panic`, or `error`.
    error: &'a str,
    /// What went wrong.
    message: String,
    /// The name that was not found.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a str>,
    /// What to do about it.
    hint: &'a str,
}

/// An error in the form of RFC 9457.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Problem<'a> {
    /// Always `about:blank`: `code` says what kind of error it is.
    r#type: &'a str,
    /// The words for the status.
    title: &'a str,
    /// The HTTP status.
    status: u16,
    /// The stable name of the error.
    code: &'a str,
    /// What went wrong.
    detail: String,
    /// What to do about it.
    hint: &'a str,
    /// The error as a value, from which Lockstep's own client rebuilds it.
    #[schemars(with = "serde_json::Value")]
    error: &'a Error,
}
