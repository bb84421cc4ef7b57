//! A backend that is another Lockstep server, over HTTP.

mod pass;

use std::{
    collections::HashMap,
    fmt::{self, Write as _},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, StatusCode, Uri,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE},
    uri::PathAndQuery,
};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use model::{
    Backend, BoxFuture, Committed, Error, Event, Namespace, Query, Read, Result, Revision, Write,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::time::{sleep, timeout};

pub use pass::{Parcel, Passed};

use crate::{
    random::{self, Backoff},
    tls::{self, TlsOptions},
};

/// How a [`Remote`] behaves.
#[derive(Clone)]
pub struct RemoteOptions {
    /// The access token; absent where the server asks for none.
    pub token: Option<String>,
    /// Whom to trust where the URL begins with `https`.
    pub tls: TlsOptions,
    /// How long connecting may take.
    pub connect_max: Duration,
    /// How long an answer may take, besides the time for which a write asks to wait.
    pub answer_max: Duration,
    /// How often a call is tried that can safely be repeated: reads, and writes that carry an
    /// idempotency key.
    pub tries_max: u32,
    /// Which writes carry an idempotency key.
    pub keys: Keys,
}

/// Which writes carry an idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// Those whose caller gave one.
    Given,
    /// All: where the caller gave none, a random one is added, so that a lost answer never doubles
    /// an effect.
    Always,
}

impl RemoteOptions {
    /// Gives the usual options: no token, keys on all writes, 5 tries within a few seconds.
    pub fn standard() -> Self {
        Self {
            token: None,
            tls: TlsOptions::default(),
            connect_max: Duration::from_secs(5),
            answer_max: Duration::from_secs(30),
            tries_max: 5,
            keys: Keys::Always,
        }
    }
}

impl fmt::Debug for RemoteOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteOptions")
            .field("token", &self.token.as_ref().map(|_| "(secret)"))
            .field("tls", &self.tls)
            .field("connect_max", &self.connect_max)
            .field("answer_max", &self.answer_max)
            .field("tries_max", &self.tries_max)
            .field("keys", &self.keys)
            .finish()
    }
}

/// Bytes of an answer. A claim of large units is the largest there is.
const ANSWER_BYTES_MAX: usize = 1 << 30;
/// Idle connections are dropped before the server does so, which would cost a failed try.
const IDLE_MAX: Duration = Duration::from_secs(60);
/// Namespaces for which it is remembered how new the last answer was that told of an absence.
const ABSENCES_MAX: usize = 4_096;
/// The header that says as of which revision an answer is.
const REVISION: &str = "lockstep-revision";
/// The longest wait that a server's "too many requests" is heeded for.
const WAIT_SECONDS_MAX: u64 = 60;
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));

/// A Lockstep server behind a URL.
pub struct Remote {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    base: Uri,
    authorization: Option<HeaderValue>,
    options: RemoteOptions,
    /// The newest revision of a namespace in which something was absent. Such an answer is an
    /// error, which has no place for it.
    absences: Mutex<HashMap<Namespace, Revision>>,
}

/// Why there is no answer, and as of which revision that is if it says.
struct Refused {
    error: Error,
    as_of: Option<Revision>,
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self { error, as_of: None }
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").field("base", &self.base).finish_non_exhaustive()
    }
}

impl Remote {
    /// Makes a client of the server at `http://HOST:PORT` or `https://HOST:PORT`, with a path where
    /// a proxy asks for one. It connects when it is first used.
    ///
    /// # Errors
    /// [`Error::BadInput`] for a URL, token or certificate that cannot be used.
    pub fn new(url: &str, options: RemoteOptions) -> Result<Self> {
        let base = parse(url)?;
        let authorization = options.token.as_deref().map(bearer).transpose()?;
        let is_https = base.scheme_str() == Some("https");
        let connector = tls::connector(is_https, &options.tls, options.connect_max)?;
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_MAX)
            .build(connector);
        Ok(Self { client, base, authorization, options, absences: Mutex::default() })
    }

    /// Asks once whether the server takes requests; nobody needs a token for that.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if it does not.
    pub async fn ready(&self) -> Result<()> {
        let request = Request::get(at(&self.base, "/readyz")?)
            .body(Full::default())
            .map_err(|error| Error::Internal(format!("a request cannot be made: {error}")))?;
        let max = self.options.answer_max;
        let answer = timeout(max, self.client.request(request)).await;
        match answer.map_err(|_| self.unavailable(&format!("did not answer within {max:?}")))? {
            Ok(answer) if answer.status() == StatusCode::OK => Ok(()),
            Ok(answer) => Err(self.unavailable(&format!("is not ready: {}", answer.status()))),
            Err(error) => Err(self.unavailable(&chain(&error))),
        }
    }

    /// Sends a call until it is answered, has failed for good or must not be repeated.
    async fn call<A: DeserializeOwned>(
        &self,
        path: &'static str,
        body: &impl Serialize,
        repeatable: bool,
        wait: Duration,
    ) -> Result<A, Refused> {
        let body = serde_json::to_vec(body)
            .map_err(|error| Error::Internal(format!("a request cannot be written: {error}")))?;
        let body = Bytes::from(body);
        let tries = if repeatable { self.options.tries_max.max(1) } else { 1 };
        let mut backoff = BACKOFF;
        for _ in 1..tries {
            let answer = self.once(path, body.clone(), wait).await;
            let delay = match answer.as_ref().map_err(|refused| &refused.error) {
                Err(Error::Unavailable(why)) => {
                    tracing::debug!(path, %why, "trying again");
                    backoff.delay()
                }
                Err(Error::TooManyRequests { seconds, .. }) => {
                    // A part of a second is added, so that not all who were refused come at once.
                    Duration::from_secs((*seconds).min(WAIT_SECONDS_MAX)) + backoff.delay()
                }
                _ => return answer,
            };
            sleep(delay).await;
        }
        self.once(path, body, wait).await
    }

    async fn once<A: DeserializeOwned>(
        &self,
        path: &'static str,
        body: Bytes,
        wait: Duration,
    ) -> Result<A, Refused> {
        let max = self.options.answer_max.saturating_add(wait);
        match timeout(max, self.exchange(path, body)).await {
            Ok(answer) => answer,
            Err(_) => Err(self.unavailable(&format!("did not answer within {max:?}")).into()),
        }
    }

    async fn exchange<A>(&self, path: &str, body: Bytes) -> Result<A, Refused>
    where
        A: DeserializeOwned,
    {
        let request = self.request(path, body)?;
        let answer =
            self.client.request(request).await.map_err(|error| self.unavailable(&chain(&error)))?;
        let status = answer.status();
        let as_of =
            answer.headers().get(REVISION).and_then(|value| value.to_str().ok()?.parse().ok());
        let body = self.body(answer).await?;
        if status != StatusCode::OK {
            return Err(Refused { error: self.refusal(status, &body), as_of });
        }
        serde_json::from_slice(&body).map_err(|error| {
            Error::Internal(format!("the answer of {} cannot be read: {error}", self.base)).into()
        })
    }

    fn request(&self, path: &str, body: Bytes) -> Result<Request<Full<Bytes>>> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(at(&self.base, path)?)
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json, application/problem+json");
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        request
            .body(Full::new(body))
            .map_err(|error| Error::Internal(format!("a request cannot be made: {error}")))
    }

    async fn body(&self, answer: Response<Incoming>) -> Result<Bytes> {
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
        Ok(body.map_err(|error| self.unavailable(&chain(&*error)))?.to_bytes())
    }

    /// Rebuilds the error that a server sent, or makes the best of a stranger's answer.
    fn refusal(&self, status: StatusCode, body: &[u8]) -> Error {
        #[derive(Deserialize)]
        struct Problem {
            error: Error,
        }
        if let Ok(problem) = serde_json::from_slice::<Problem>(body) {
            return problem.error;
        }
        let what = format!("answered {status}, which is not an answer of Lockstep");
        match status {
            StatusCode::UNAUTHORIZED => Error::Unauthenticated(format!("{} {what}", self.base)),
            StatusCode::FORBIDDEN => Error::Denied(format!("{} {what}", self.base)),
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => self.unavailable(&what),
            status if status.is_server_error() => self.unavailable(&what),
            _ => Error::bad_input(format!("{} {what}: check the URL", self.base)),
        }
    }

    /// Raises what a read asks for to where something was absent before, so that no later answer is
    /// older than that.
    fn at_least(&self, query: &Query, at_least: Revision) -> Revision {
        let absences = self.absences.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = query.namespace().and_then(|namespace| absences.get(namespace));
        at_least.max(seen.copied().unwrap_or(0))
    }

    fn note_absence(&self, namespace: &Namespace, as_of: Revision) {
        let mut absences = self.absences.lock().unwrap_or_else(PoisonError::into_inner);
        if absences.len() >= ABSENCES_MAX && !absences.contains_key(namespace) {
            absences.clear();
        }
        let seen = absences.entry(namespace.clone()).or_default();
        *seen = as_of.max(*seen);
    }

    fn unavailable(&self, why: &str) -> Error {
        Error::Unavailable(format!("the server at {} {why}", self.base))
    }
}

impl Backend for Remote {
    fn write(&self, mut write: Write) -> BoxFuture<'_, Result<Committed>> {
        Box::pin(async move {
            if write.request_id.is_none() && self.options.keys == Keys::Always {
                write.request_id = Some(random::id()?);
            }
            let answer = self.call("/v1/write", &write, write.request_id.is_some(), write.wait);
            answer.await.map_err(|refused| refused.error)
        })
    }

    fn read(&self, query: Query, at_least: Revision) -> BoxFuture<'_, Result<Read>> {
        #[derive(Serialize)]
        struct Ask {
            query: Query,
            at_least: Revision,
        }
        let at_least = self.at_least(&query, at_least);
        let ask = Ask { query, at_least };
        Box::pin(async move {
            let answer = self.call("/v1/read", &ask, true, Duration::ZERO).await;
            answer.map_err(|Refused { error, as_of }| {
                if let (Some(namespace), Some(as_of)) = (ask.query.namespace(), as_of) {
                    self.note_absence(namespace, as_of);
                }
                error
            })
        })
    }

    fn events(
        &self,
        namespace: &Namespace,
        after: Revision,
        limit: u16,
    ) -> BoxFuture<'_, Result<Vec<Event>>> {
        #[derive(Serialize)]
        struct Ask {
            namespace: Namespace,
            after: Revision,
            limit: u16,
        }
        let ask = Ask { namespace: namespace.clone(), after, limit };
        Box::pin(async move {
            let answer = self.call("/v1/events", &ask, true, Duration::ZERO).await;
            answer.map_err(|refused| refused.error)
        })
    }
}

fn parse(url: &str) -> Result<Uri> {
    let wrong = |why: &str| {
        Error::bad_input(format!(
            "server URL {url:?} {why}: write it as http://HOST:PORT or https://HOST:PORT, such as \
             http://127.0.0.1:5980"
        ))
    };
    if url.is_empty() {
        return Err(wrong("is empty"));
    }
    let uri: Uri = url.parse().map_err(|_| wrong("is not a URL"))?;
    match (uri.scheme_str(), uri.authority()) {
        (Some("http" | "https"), Some(authority)) if authority.as_str().contains('@') => {
            Err(wrong("must not hold a user or password; use a token"))
        }
        (Some("http" | "https"), Some(_)) if uri.query().is_some() => {
            Err(wrong("must not have a query"))
        }
        (Some("http" | "https"), Some(authority)) if !authority.host().is_empty() => Ok(uri),
        _ => Err(wrong("does not start with http:// or https:// and a host")),
    }
}

/// Puts a path below the base URL.
fn at(base: &Uri, path: &str) -> Result<Uri> {
    let path = format!("{}{path}", base.path().trim_end_matches('/'));
    let mut parts = base.clone().into_parts();
    let path = PathAndQuery::try_from(path);
    parts.path_and_query =
        Some(path.map_err(|error| Error::bad_input(format!("server URL {base}: {error}")))?);
    Uri::from_parts(parts).map_err(|error| Error::Internal(format!("no URL below {base}: {error}")))
}

fn bearer(token: &str) -> Result<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {token}"))
        .map_err(|_| Error::bad_input("the access token has characters that no token has"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Writes an error with its causes.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = format!("gave no answer: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        // Writing to a string cannot fail.
        let _infallible = write!(text, ": {error}");
        cause = error.source();
    }
    text
}
