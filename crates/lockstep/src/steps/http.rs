//! HTTP requests.

use std::{net::SocketAddr, str::FromStr as _, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use flow::run::{Fault, Standard};
use model::TRACEPARENT;
use reqwest::{
    Method, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
    redirect,
};
use serde_json::{Map, Value as Json, json};

use super::{Guard, Secrets};

/// Bytes of one answer.
const ANSWER_MAX: usize = 4 << 20;
/// Redirects that are followed.
const REDIRECTS_MAX: usize = 10;
/// How long one request may take, with all redirects and its answer.
const TIME_MAX: Duration = Duration::from_secs(60);

/// Who makes the requests of all steps: one for those that follow redirects, one for the others.
pub(super) struct Client {
    following: reqwest::Client,
    staying: reqwest::Client,
    guard: Guard,
}

impl Client {
    /// Makes one.
    pub(super) fn new(guard: Guard) -> reqwest::Result<Self> {
        // Who has set one before is as good.
        let _set = rustls::crypto::ring::default_provider().install_default();
        let follow = redirect::Policy::custom({
            let guard = guard.clone();
            move |attempt| {
                if attempt.previous().len() > REDIRECTS_MAX {
                    return attempt.error("too many redirects");
                }
                match check(&guard, attempt.url()) {
                    Ok(()) => attempt.follow(),
                    Err(fault) => attempt.error(fault.detail.unwrap_or_default()),
                }
            }
        });
        let make = |policy: redirect::Policy| {
            reqwest::Client::builder()
                .redirect(policy)
                .dns_resolver(Arc::new(Resolver(guard.clone())))
                .no_proxy()
                .timeout(TIME_MAX)
                .user_agent(concat!("lockstep/", env!("CARGO_PKG_VERSION")))
                .build()
        };
        let (following, staying) = (make(follow)?, make(redirect::Policy::none())?);
        Ok(Self { following, staying, guard })
    }

    /// Makes a request, whose address is checked first.
    pub(super) async fn send(&self, wanted: Wanted) -> Result<Answer, Fault> {
        check(&self.guard, &wanted.url)?;
        let client = if wanted.follows { &self.following } else { &self.staying };
        let mut request = client.request(wanted.method, wanted.url).headers(wanted.headers);
        if let Some(body) = wanted.body {
            request = request.body(body);
        }
        let mut response = request.send().await.map_err(|error| failed(&error))?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|error| failed(&error))? {
            if body.len() + piece.len() > ANSWER_MAX {
                let why = format!("the answer has more than {ANSWER_MAX} bytes");
                return Err(Fault::standard(Standard::Communication, why));
            }
            body.extend_from_slice(&piece);
        }
        Ok(Answer { status, headers, body })
    }
}

/// A request.
pub(super) struct Wanted {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Vec<u8>>,
    pub(super) follows: bool,
}

/// The answer to one.
pub(super) struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

fn failed(error: &reqwest::Error) -> Fault {
    let kind = if error.is_timeout() { Standard::Timeout } else { Standard::Communication };
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    Fault::standard(kind, text)
}

/// Refuses an address that is a number and not public; names are looked at when they are resolved.
fn check(guard: &Guard, url: &Url) -> Result<(), Fault> {
    if !matches!(url.scheme(), "http" | "https") {
        let why = format!("{} is no address of HTTP", url.scheme());
        return Err(Fault::standard(Standard::Configuration, why));
    }
    let host = url.host_str().unwrap_or_default();
    let literal = host.trim_start_matches('[').trim_end_matches(']').parse();
    match literal {
        Ok(address) if !guard.allows(address) => Err(refused(host)),
        _ => Ok(()),
    }
}

fn refused(host: &str) -> Fault {
    let why = format!(
        "{host} is not on the public Internet, and this server may not call it; its operator can \
         allow that with --steps-may-call"
    );
    Fault::standard(Standard::Authorization, why)
}

/// Resolves names, and leaves out the addresses to which no request may go.
struct Resolver(Guard);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.0.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = found.filter(|at| guard.allows(at.ip())).collect();
            if allowed.is_empty() {
                let why = refused(name.as_str()).detail.unwrap_or_default();
                return Err(why.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// Does `call: http`.
pub(super) async fn call(client: &Client, secrets: &Secrets, input: &Json) -> Result<Json, Fault> {
    let method = input.get("method").and_then(Json::as_str).unwrap_or("get");
    let endpoint = input.get("endpoint").unwrap_or(&Json::Null);
    let uri = endpoint.get("uri").unwrap_or(endpoint).as_str().unwrap_or_default();
    let mut url = parse(uri)?;
    for (name, value) in pairs(input.get("query")) {
        url.query_pairs_mut().append_pair(&name, &value);
    }
    let mut headers = HeaderMap::new();
    for (name, value) in pairs(input.get("headers")) {
        put(&mut headers, &name, &value)?;
    }
    authenticate(client, secrets, endpoint.get("authentication"), &mut headers).await?;
    go_along(input, &mut headers)?;
    let body = body_of(input.get("body"), &mut headers)?;
    let follows = input.get("redirect").and_then(Json::as_bool).unwrap_or(false);
    let method = Method::from_str(&method.to_ascii_uppercase())
        .map_err(|_| configuration(format!("{method:?} is no method of HTTP")))?;
    let answer = client.send(Wanted { method, url, headers, body, follows }).await?;
    output(&answer, input, uri, follows)
}

/// Adds what goes along with every call, unless its author has said it: what tells a repetition,
/// and the trace.
pub(super) fn go_along(input: &Json, headers: &mut HeaderMap) -> Result<(), Fault> {
    let all =
        [("idempotency-key", "/lockstep/idempotencyKey"), (TRACEPARENT, "/lockstep/traceparent")];
    for (name, from) in all {
        if let Some(value) = input.pointer(from).and_then(Json::as_str)
            && !headers.contains_key(name)
        {
            put(headers, name, value)?;
        }
    }
    Ok(())
}

/// Makes the output of a step out of an answer, or its error.
pub(super) fn output(
    answer: &Answer,
    input: &Json,
    uri: &str,
    follows: bool,
) -> Result<Json, Fault> {
    let is_good = (200..300).contains(&answer.status)
        || (!follows && input.get("redirect").is_some() && (300..400).contains(&answer.status));
    if !is_good {
        let text = String::from_utf8_lossy(&answer.body);
        let start: String = text.chars().take(500).collect();
        let why = format!("{uri} answered {}: {start}", answer.status);
        return Err(Fault::answered(answer.status, why));
    }
    match input.get("output").and_then(Json::as_str).unwrap_or("content") {
        "raw" => Ok(STANDARD.encode(&answer.body).into()),
        "response" => Ok(json!({
            "request": { "uri": uri },
            "statusCode": answer.status,
            "headers": shown(&answer.headers),
            "content": content(answer),
        })),
        _ => Ok(content(answer)),
    }
}

fn shown(headers: &HeaderMap) -> Json {
    let mut map = Map::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        map.insert(name.as_str().to_owned(), value.into());
    }
    Json::Object(map)
}

/// Reads the body of an answer: JSON, or else text, or else base64.
pub(super) fn content(answer: &Answer) -> Json {
    if answer.body.is_empty() {
        return Json::Null;
    }
    let kind = answer.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if (kind == "application/json" || kind.ends_with("+json"))
        && let Ok(value) = serde_json::from_slice(&answer.body)
    {
        return value;
    }
    match std::str::from_utf8(&answer.body) {
        Ok(text) => text.into(),
        Err(_) => STANDARD.encode(&answer.body).into(),
    }
}

/// Gives the text of the body of an answer.
pub(super) fn text_of(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}

pub(super) fn configuration(why: impl Into<String>) -> Fault {
    Fault::standard(Standard::Configuration, why)
}

pub(super) fn parse(uri: &str) -> Result<Url, Fault> {
    Url::parse(uri).map_err(|error| configuration(format!("{uri:?} is no address: {error}")))
}

/// Gives the names and values of a mapping, or of what is no mapping nothing.
pub(super) fn pairs(map: Option<&Json>) -> Vec<(String, String)> {
    let text = |value: &Json| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let map = map.and_then(Json::as_object).into_iter().flatten();
    map.filter(|(_, value)| !value.is_null())
        .map(|(name, value)| (name.clone(), text(value)))
        .collect()
}

pub(super) fn put(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), Fault> {
    let wrong = || configuration(format!("{name:?} cannot be a header with that value"));
    let name = HeaderName::from_str(name).map_err(|_| wrong())?;
    let value = HeaderValue::from_str(value).map_err(|_| wrong())?;
    headers.insert(name, value);
    Ok(())
}

/// Writes a body: text as it is, everything else as JSON.
pub(super) fn body_of(
    body: Option<&Json>,
    headers: &mut HeaderMap,
) -> Result<Option<Vec<u8>>, Fault> {
    let bytes = match body {
        None | Some(Json::Null) => return Ok(None),
        Some(Json::String(text)) => text.clone().into_bytes(),
        Some(other) => {
            if !headers.contains_key(CONTENT_TYPE) {
                put(headers, "content-type", "application/json")?;
            }
            other.to_string().into_bytes()
        }
    };
    Ok(Some(bytes))
}

/// Adds what proves who calls.
pub(super) async fn authenticate(
    client: &Client,
    secrets: &Secrets,
    way: Option<&Json>,
    headers: &mut HeaderMap,
) -> Result<(), Fault> {
    let Some(way) = way else { return Ok(()) };
    let value = if let Some(basic) = way.get("basic") {
        let basic = resolved(secrets, basic).await?;
        let part = |key: &str| basic.get(key).and_then(Json::as_str).unwrap_or_default();
        let both = format!("{}:{}", part("username"), part("password"));
        let encoded = STANDARD.encode(both);
        secrets.note(&encoded);
        format!("Basic {encoded}")
    } else if let Some(bearer) = way.get("bearer") {
        let bearer = resolved(secrets, bearer).await?;
        let token = bearer.get("token").unwrap_or(&bearer).as_str().unwrap_or_default();
        format!("Bearer {token}")
    } else if let Some(oauth) = way.get("oauth2") {
        let oauth = resolved(secrets, oauth).await?;
        let token = granted(client, &oauth).await?;
        secrets.note(&token);
        format!("Bearer {token}")
    } else {
        return Err(configuration("the way to prove who calls is not known"));
    };
    put(headers, "authorization", &value)
}

/// Puts a secret in the place of its name.
async fn resolved(secrets: &Secrets, part: &Json) -> Result<Json, Fault> {
    match part.get("use").and_then(Json::as_str) {
        Some(name) => secrets.take(name).await,
        None => Ok(part.clone()),
    }
}

/// Asks an OAuth 2 server for a token for the client itself (RFC 6749, section 4.4).
async fn granted(client: &Client, oauth: &Json) -> Result<String, Fault> {
    let text = |pointer: &str| oauth.pointer(pointer).and_then(Json::as_str).unwrap_or_default();
    let path = match text("/endpoints/token") {
        "" => "/oauth2/token",
        path => path,
    };
    let url =
        format!("{}/{}", text("/authority").trim_end_matches('/'), path.trim_start_matches('/'));
    let mut headers = HeaderMap::new();
    let mut form = vec![("grant_type", "client_credentials")];
    let (id, secret) = (text("/client/id"), text("/client/secret"));
    if text("/client/authentication") == "client_secret_basic" {
        let both = STANDARD.encode(format!("{id}:{secret}"));
        put(&mut headers, "authorization", &format!("Basic {both}"))?;
    } else {
        form.extend([("client_id", id), ("client_secret", secret)]);
    }
    let words = |key: &str| {
        let list = oauth.get(key).and_then(Json::as_array).into_iter().flatten();
        list.filter_map(Json::as_str).collect::<Vec<_>>().join(" ")
    };
    let (scopes, audiences) = (words("scopes"), words("audiences"));
    form.extend([("scope", scopes.as_str()), ("audience", audiences.as_str())]);
    form.retain(|(_, value)| !value.is_empty());
    put(&mut headers, "content-type", "application/x-www-form-urlencoded")?;
    let mut encoded = parse("http://form/")?;
    encoded.query_pairs_mut().extend_pairs(form);
    let body = Some(encoded.query().unwrap_or_default().as_bytes().to_vec());
    let wanted = Wanted { method: Method::POST, url: parse(&url)?, headers, body, follows: false };
    let answer = client.send(wanted).await?;
    let token = content(&answer).get("access_token").and_then(Json::as_str).map(str::to_owned);
    token.ok_or_else(|| {
        let why = format!("{url} gave no token, but answered {}", answer.status);
        Fault::standard(Standard::Authentication, why)
    })
}
