//! A Coordinate server, as its REST interface shows it.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, bail};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{
    Request, StatusCode, Uri,
    body::Bytes,
    header::{ACCEPT, HeaderValue},
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use model::{Data, Time, UnitName, data_from_json, unescape};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use crate::failure::Failure;

/// Bytes of one answer.
const ANSWER_BYTES_MAX: usize = 256 << 20;
/// How long one answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(60);
/// How often a request is tried.
const TRIES_MAX: u32 = 4;
/// The media type that the ancestor prefers.
const MEDIA: HeaderValue = HeaderValue::from_static("application/vnd.diffeo.coordinate.v1+json");

/// A server to read from.
#[derive(Clone)]
pub(super) struct Source {
    client: Client<HttpConnector, Empty<Bytes>>,
    /// Scheme and authority, without a slash at the end.
    origin: Arc<str>,
    /// Where to begin.
    root: Arc<str>,
}

/// The start of everything.
#[derive(Deserialize)]
pub(super) struct Root {
    pub(super) namespaces_url: String,
    pub(super) summary_url: String,
}

/// Something with a name, in a list.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Named {
    pub(super) url: String,
    #[serde(default)]
    pub(super) name: String,
}

#[derive(Deserialize)]
pub(super) struct Namespace {
    pub(super) work_specs_url: String,
    pub(super) workers_url: String,
    pub(super) worker_url: String,
}

#[derive(Deserialize)]
pub(super) struct Spec {
    pub(super) data: Value,
    pub(super) meta: String,
    pub(super) work_units_url: String,
}

#[derive(Deserialize)]
#[serde(default)]
pub(super) struct Meta {
    pub(super) priority: i64,
    pub(super) weight: i64,
    pub(super) paused: bool,
    pub(super) continuous: bool,
    pub(super) min_memory_gb: f64,
    /// In nanoseconds.
    pub(super) interval: i64,
    pub(super) next_continuous: String,
    pub(super) max_running: i64,
    pub(super) max_attempts_returned: i64,
    pub(super) max_retries: i64,
}

impl Default for Meta {
    fn default() -> Self {
        Self {
            priority: 0,
            weight: 0,
            paused: false,
            continuous: false,
            min_memory_gb: 0.0,
            interval: 0,
            next_continuous: String::new(),
            max_running: 0,
            max_attempts_returned: 0,
            max_retries: 0,
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Unit {
    #[serde(default)]
    pub(super) data: Value,
    #[serde(default)]
    pub(super) meta: UnitMeta,
    pub(super) status: String,
    pub(super) active_attempt_url: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct UnitMeta {
    pub(super) priority: f64,
    pub(super) not_before: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Attempt {
    pub(super) worker_url: String,
    #[serde(default)]
    pub(super) expiration_time: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Worker {
    #[serde(default)]
    pub(super) name: String,
    pub(super) parent: Option<String>,
    #[serde(default)]
    pub(super) child_urls: Vec<String>,
    #[serde(default)]
    pub(super) active: bool,
    #[serde(default)]
    pub(super) mode: String,
    #[serde(default)]
    pub(super) data: Value,
    #[serde(default)]
    pub(super) expiration: String,
    #[serde(default)]
    pub(super) last_update: String,
}

/// Whether a thing is there; the ancestor answers 400 for a unit that is not.
const ABSENT: [StatusCode; 4] = [
    StatusCode::BAD_REQUEST,
    StatusCode::NOT_FOUND,
    StatusCode::GONE,
    StatusCode::METHOD_NOT_ALLOWED,
];

impl Source {
    /// Names a server; nothing is asked yet.
    pub(super) fn new(url: &str) -> Result<Self> {
        let wrong = || {
            let hint = "write it such as http://127.0.0.1:5980";
            Failure::usage(format!("{url:?} is not the address of a REST interface"), hint)
        };
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let authority = uri.authority().filter(|_| uri.scheme_str() == Some("http"));
        let origin = format!("http://{}", authority.ok_or_else(wrong)?);
        let client = Client::builder(TokioExecutor::new()).build_http();
        Ok(Self { client, origin: origin.into(), root: uri.path().into() })
    }

    /// Reads where everything is.
    pub(super) async fn root(&self) -> Result<Root> {
        self.read(&self.root).await
    }

    /// Reads a list, which may be null.
    pub(super) async fn list(&self, url: &str, key: &str) -> Result<Vec<Named>> {
        self.read_if_there::<Value>(url).await?.map_or_else(
            || bail!("{url} cannot be listed"),
            |mut found| named(found.get_mut(key).map(Value::take)),
        )
    }

    /// Reads a list that a server may not have.
    pub(super) async fn list_if_there(&self, url: &str, key: &str) -> Result<Option<Vec<Named>>> {
        let found = self.read_if_there::<Value>(url).await?;
        found.map(|mut found| named(found.get_mut(key).map(Value::take))).transpose()
    }

    /// Reads what must be there.
    pub(super) async fn read<T: DeserializeOwned>(&self, url: &str) -> Result<T> {
        let found = self.read_if_there(url).await?;
        found.with_context(|| format!("there is nothing at {url}"))
    }

    /// Reads what may be gone.
    pub(super) async fn read_if_there<T: DeserializeOwned>(&self, url: &str) -> Result<Option<T>> {
        let mut pause = Duration::from_millis(200);
        for _ in 1..TRIES_MAX {
            match self.fetch(url).await {
                Ok((status, body)) if !status.is_server_error() => {
                    return parse(url, status, &body);
                }
                _ => tokio::time::sleep(pause).await,
            }
            pause *= 4;
        }
        let (status, body) = self.fetch(url).await?;
        parse(url, status, &body)
    }

    async fn fetch(&self, url: &str) -> Result<(StatusCode, Bytes)> {
        let unreachable = || format!("cannot read {}{url}", self.origin);
        let uri = if url.starts_with('/') { format!("{}{url}", self.origin) } else { url.into() };
        let mut request = Request::get(uri).body(Empty::new()).with_context(unreachable)?;
        request.headers_mut().insert(ACCEPT, MEDIA);
        let answer = async {
            let answer = self.client.request(request).await?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
            let body = body.map_err(|error| anyhow::anyhow!("{error}"))?;
            anyhow::Ok((status, body.to_bytes()))
        };
        tokio::time::timeout(ANSWER_MAX, answer)
            .await
            .context("no answer in time")
            .and_then(|answer| answer)
            .map_err(|error| {
                let message = format!("{}: {error:#}", unreachable());
                model::Error::Unavailable(message).into()
            })
    }
}

fn parse<T: DeserializeOwned>(url: &str, status: StatusCode, body: &[u8]) -> Result<Option<T>> {
    if ABSENT.contains(&status) {
        return Ok(None);
    }
    if !status.is_success() {
        let said = String::from_utf8_lossy(body);
        let said: String = said.chars().take(200).collect();
        let message = format!("{url} answers {status}: {said}");
        return Err(model::Error::Unavailable(message).into());
    }
    let found = serde_json::from_slice(body);
    found.map(Some).with_context(|| format!("{url} does not hold what Coordinate writes there"))
}

fn named(found: Option<Value>) -> Result<Vec<Named>> {
    match found {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(found) => Ok(serde_json::from_value(found)?),
    }
}

/// Gives the name at the end of a URL: it is exact there, while JSON may have lost bytes of it.
pub(super) fn last_name(url: &str) -> Result<UnitName> {
    let last = url.split(['?', '{']).next().unwrap_or(url).rsplit('/').next().unwrap_or_default();
    Ok(UnitName::new(unescape(last)?)?)
}

/// Takes the options off a template.
pub(super) fn bare(template: &str) -> &str {
    template.split('{').next().unwrap_or(template)
}

/// Writes any bytes as they stand in a query.
pub(super) fn in_query(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("%{byte:02X}")).collect()
}

/// Reads a time, of which the ancestor's zero is none.
pub(super) fn time(text: &str) -> Result<Option<Time>> {
    Ok(Time::from_wire(text)?)
}

/// Reads a dictionary.
pub(super) fn data(value: &Value) -> Result<Data> {
    Ok(data_from_json(value)?)
}
