//! One call of a route, as its handler sees it.

use std::sync::{Arc, Mutex};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, request};
use model::{
    Backend, Caller, Command, Committed, Error, Namespace, Query, Read, Result, Revision, SpecName,
    SpecRef, UnitName, UnitRef, WorkerName, Write, limits, unescape,
};
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::{app::App, authorized::Authorized, body, query::Params, route::Route, ui::Visit};

const AT_LEAST: HeaderName = HeaderName::from_static("lockstep-at-least");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Takes the answer or reply of the expected kind.
macro_rules! take {
    ($found:expr, $kind:path) => {
        match $found {
            $kind(found) => Ok(found),
            _ => Err($crate::call::mismatch()),
        }
    };
}
pub(crate) use take;

/// A request that was let in, with the backend as its caller may use it.
pub(crate) struct Call {
    pub(crate) app: Arc<App>,
    pub(crate) backend: Authorized,
    pub(crate) route: &'static Route,
    pub(crate) visit: Visit,
    pub(crate) head: request::Parts,
    pub(crate) body: Bytes,
    /// The body as it comes, where the route reads it itself.
    pub(crate) stream: Mutex<Option<Body>>,
}

impl Call {
    pub(crate) fn namespace(&self) -> Result<Namespace> {
        namespace_of(self.route, self.head.uri.path())
    }

    pub(crate) fn spec_name(&self) -> Result<SpecName> {
        spec_of(self.route, self.head.uri.path())
    }

    pub(crate) fn spec(&self) -> Result<SpecRef> {
        Ok(SpecRef { name: self.spec_name()?, id: None })
    }

    pub(crate) fn unit_name(&self) -> Result<UnitName> {
        param(self.route, self.head.uri.path(), "{work_unit}").and_then(UnitName::new)
    }

    pub(crate) fn unit(&self) -> Result<UnitRef> {
        Ok(UnitRef { spec: self.spec_name()?, name: self.unit_name()?, id: None })
    }

    pub(crate) fn worker(&self) -> Result<WorkerName> {
        text(self.route, self.head.uri.path(), "{worker}").and_then(WorkerName::new)
    }

    /// Gives the last part of an attempt's URL: its id, or its start as the ancestor writes it.
    pub(crate) fn attempt(&self) -> Result<String> {
        text(self.route, self.head.uri.path(), "{attempt}")
    }

    /// Gives the text of any other part of the path.
    pub(crate) fn part(&self, name: &str) -> Result<String> {
        text(self.route, self.head.uri.path(), name)
    }

    pub(crate) fn params(&self) -> Result<Params> {
        Params::parse(self.head.uri.query())
    }

    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T> {
        body::parse(&self.body)
    }

    fn header(&self, name: &HeaderName) -> Result<Option<&str>> {
        let value = self.head.headers.get(name).map(HeaderValue::to_str).transpose();
        value.map_err(|_| Error::bad_input(format!("header {name} is not ASCII text")))
    }

    /// Gives the revision that a read must have reached.
    pub(crate) fn at_least(&self) -> Result<Revision> {
        self.header(&AT_LEAST)?.map_or(Ok(0), |text| {
            text.parse().map_err(|_| Error::bad_input(format!("{AT_LEAST} {text:?} is no number")))
        })
    }

    /// Gives the idempotency key of a call that takes one write.
    pub(crate) fn request_id(&self) -> Result<Option<String>> {
        let Some(key) = self.header(&IDEMPOTENCY_KEY)? else { return Ok(None) };
        if key.is_empty() || key.len() > limits::REQUEST_ID_BYTES_MAX {
            let max = limits::REQUEST_ID_BYTES_MAX;
            return Err(Error::bad_input(format!("{IDEMPOTENCY_KEY} must have 1 to {max} bytes")));
        }
        Ok(Some(key.to_owned()))
    }

    /// Gives the key for one of the later writes of a call that takes several.
    pub(crate) fn request_id_of(&self, step: usize) -> Result<Option<String>> {
        let key = self.request_id()?;
        if step == 0 {
            return Ok(key);
        }
        Ok(key.map(|key| {
            let hash = Sha256::digest(&key);
            let hex = hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
            format!("{hex}-{step}")
        }))
    }

    pub(crate) async fn read(&self, query: Query) -> Result<Read> {
        self.backend.read(query, self.at_least()?).await
    }

    /// Reads what a call that may write needs to know, whether its caller may read it or not.
    pub(crate) async fn read_unchecked(&self, query: Query) -> Result<Read> {
        self.app.backend.read(query, self.at_least()?).await
    }

    /// Writes what something else than a scope of the caller allows, under its name.
    pub(crate) async fn write_as(
        &self,
        name: &str,
        namespace: Namespace,
        command: Command,
    ) -> Result<Committed> {
        let caller = Caller { name: name.to_owned(), trace: None };
        self.app.backend.write(Write { caller, ..Write::one(&namespace, command) }).await
    }

    /// Writes commands as a whole, under the call's idempotency key.
    pub(crate) async fn write(
        &self,
        namespace: Namespace,
        commands: Vec<Command>,
    ) -> Result<Committed> {
        let request_id = self.request_id()?;
        self.backend.write(Write { request_id, ..Write::of(&namespace, commands) }).await
    }

    /// Writes claims that may wait for work; the wait ends early if the server is told to stop.
    pub(crate) async fn write_waiting(&self, write: Write) -> Result<Committed> {
        if write.wait.is_zero() {
            return self.backend.write(write).await;
        }
        tokio::select! {
            biased;
            committed = self.backend.write(write) => committed,
            () = self.app.drained() => {
                Err(Error::Unavailable("the server is shutting down".to_owned()))
            }
        }
    }
}

/// Gives the namespace in the path of a route.
pub(crate) fn namespace_of(route: &Route, path: &str) -> Result<Namespace> {
    text(route, path, "{namespace}").and_then(Namespace::new)
}

/// Gives the work spec in the path of a route.
pub(crate) fn spec_of(route: &Route, path: &str) -> Result<SpecName> {
    text(route, path, "{work_spec}").and_then(SpecName::new)
}

/// Gives the decoded part of the path where the route has a parameter.
fn param(route: &Route, path: &str, name: &str) -> Result<Vec<u8>> {
    let mut parts = route.path.split('/').zip(path.split('/'));
    let raw = parts.find(|(template, _)| *template == name).map(|(_, raw)| raw);
    let raw = raw.ok_or_else(|| Error::Internal(format!("{} has no {name}", route.path)))?;
    let bytes = percent_decode_str(raw).collect::<Vec<u8>>();
    match std::str::from_utf8(&bytes) {
        Ok(text) if text.starts_with('-') => unescape(text),
        _ => Ok(bytes),
    }
}

fn text(route: &Route, path: &str, name: &str) -> Result<String> {
    let word = name.trim_matches(['{', '}']);
    String::from_utf8(param(route, path, name)?)
        .map_err(|_| Error::bad_input(format!("the {word} name in the path is not UTF-8")))
}

/// Says that a backend broke its contract.
pub(crate) fn mismatch() -> Error {
    Error::Internal("the backend's answer is not of the kind that was asked for".to_owned())
}
