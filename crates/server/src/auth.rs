//! Who is calling: a bearer token, or anyone on this machine where the server is open.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use http::{HeaderMap, Uri, header};
use model::{Answer, Backend, Error, Principal, Query, Result, Time, TokenInfo};
use sha2::{Digest, Sha256};

type Hash = [u8; 32];

/// How long a token that was found valid is not looked up again.
const KEPT: Duration = Duration::from_secs(1);
/// Tokens that are remembered at a time.
const REMEMBERED_MAX: usize = 1_024;

/// Proves callers.
pub(crate) struct Auth {
    backend: Arc<dyn Backend>,
    /// The port on which callers without a token are let in; none asks everyone for a token.
    open_port: Option<u16>,
    loopback: Arc<Principal>,
    known: Mutex<HashMap<Hash, Known>>,
}

#[derive(Clone)]
struct Known {
    principal: Arc<Principal>,
    expires: Option<Time>,
    looked_up: Instant,
}

impl Auth {
    pub(crate) fn new(backend: Arc<dyn Backend>, open_port: Option<u16>) -> Self {
        let loopback = Arc::new(Principal::all("loopback"));
        Self { backend, open_port, loopback, known: Mutex::default() }
    }

    /// Finds out who calls.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] without a valid token, in the same words whatever is wrong with
    /// it; [`Error::Denied`] for a page of another site that uses this machine's browser.
    pub(crate) async fn caller(&self, headers: &HeaderMap, uri: &Uri) -> Result<Arc<Principal>> {
        match (headers.get(header::AUTHORIZATION), self.open_port) {
            (Some(value), _) => self.token_holder(value.as_bytes()).await,
            (None, Some(port)) => {
                check_local(headers, uri, port)?;
                Ok(Arc::clone(&self.loopback))
            }
            (None, None) => Err(Error::Unauthenticated("a token is needed".to_owned())),
        }
    }

    async fn token_holder(&self, authorization: &[u8]) -> Result<Arc<Principal>> {
        let hash: Hash = Sha256::digest(bearer(authorization)).into();
        if let Some(known) = self.remembered(&hash) {
            return known.principal_at(now());
        }
        let read = self.backend.read(Query::TokenByHash(hash), 0).await?;
        let Answer::Tokens(found) = read.answer else { return Err(invalid()) };
        let known = Known::new(found.into_iter().next().ok_or_else(invalid)?);
        let principal = known.principal_at(now())?;
        self.remember(hash, known);
        Ok(principal)
    }

    fn remembered(&self, hash: &Hash) -> Option<Known> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(hash).filter(|known| known.looked_up.elapsed() < KEPT).cloned()
    }

    fn remember(&self, hash: Hash, token: Known) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED_MAX {
            known.clear();
        }
        known.insert(hash, token);
    }
}

impl Known {
    fn new(info: TokenInfo) -> Self {
        let TokenInfo { id, namespace, scopes, expires, created: _ } = info;
        let principal = Arc::new(Principal { name: id, namespace, scopes });
        Self { principal, expires, looked_up: Instant::now() }
    }

    fn principal_at(&self, now: Time) -> Result<Arc<Principal>> {
        if self.expires.is_some_and(|expires| expires <= now) {
            return Err(invalid());
        }
        Ok(Arc::clone(&self.principal))
    }
}

/// Takes the token from an `Authorization` header; any other scheme holds none, which hashes to
/// the hash of no token.
fn bearer(authorization: &[u8]) -> &[u8] {
    match authorization.split_at_checked(7) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"bearer ") => token.trim_ascii(),
        _ => b"",
    }
}

fn invalid() -> Error {
    Error::Unauthenticated("the token is not valid".to_owned())
}

fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

/// Refuses requests that name another host or come from another site's page, so that a foreign
/// page whose name resolves to this machine reaches nothing.
fn check_local(headers: &HeaderMap, uri: &Uri, port: u16) -> Result<()> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let host = uri.authority().map(http::uri::Authority::as_str).or_else(|| text(header::HOST));
    if !host.is_some_and(|host| is_local(host, port)) {
        return Err(Error::Denied(format!(
            "Host must name this machine's loopback address and port {port}"
        )));
    }
    match text(header::ORIGIN) {
        Some(origin)
            if !origin.strip_prefix("http://").is_some_and(|host| is_local(host, port)) =>
        {
            Err(Error::Denied("requests from pages of other sites are refused".to_owned()))
        }
        _ => Ok(()),
    }
}

/// Tells whether `host:port` is a loopback name or address with this port.
fn is_local(host: &str, port: u16) -> bool {
    let (name, own_port) = match host.rsplit_once(':') {
        Some((name, digits)) if !digits.ends_with(']') => (name, digits.parse().ok()),
        _ => (host, Some(80)),
    };
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    let local = name.eq_ignore_ascii_case("localhost")
        || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    local && own_port == Some(port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_are_local() {
        for host in ["127.0.0.1:5980", "localhost:5980", "LOCALHOST:5980", "[::1]:5980"] {
            assert!(is_local(host, 5980), "{host}");
        }
        let others = [
            "",
            "localhost",
            "localhost:80",
            "localhost:",
            "localhost.evil.example:5980",
            "evil.example:5980",
            "127.0.0.1.evil.example:5980",
            "192.168.0.1:5980",
            "user@localhost:5980",
            "[::1]",
            "0.0.0.0:5980",
        ];
        for host in others {
            assert!(!is_local(host, 5980), "{host}");
        }
        assert!(is_local("localhost", 80) && is_local("[::1]", 80));
    }

    #[test]
    fn tokens_come_after_bearer() {
        assert_eq!(bearer(b"Bearer lk_a_b"), b"lk_a_b");
        assert_eq!(bearer(b"bearer  lk_a_b "), b"lk_a_b");
        assert_eq!(bearer(b"Basic lk_a_b"), b"");
        assert_eq!(bearer(b"Bea"), b"");
    }
}
