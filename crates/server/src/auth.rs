//! Who is calling: a bearer token, or anyone on this machine where the server is open.

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use http::{HeaderMap, Uri, header, request};
use model::{
    Answer, Backend, Behind, Caller, Command, Error, Holder, Namespace, PasswordHash, Principal,
    Query, Result, Session, Time, TokenInfo, UserAnswer, UserCommand, UserName, UserQuery, Write,
    limits,
};
use sha2::{Digest, Sha256};

use crate::{
    password::Passwords,
    rate::{Rate, Rates},
    ui::{Cookie, Visit},
};

/// The SHA-256 of a secret.
pub(crate) type Hash = [u8; 32];

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
    /// Whoever calls a route that is open to everyone.
    anyone: Arc<Principal>,
    pub(crate) rates: Rates,
    pub(crate) passwords: Passwords,
    known: Mutex<HashMap<Hash, Known>>,
    /// The cookies that sessions were found for.
    cookies: Mutex<HashSet<Hash>>,
}

#[derive(Clone)]
struct Known {
    principal: Arc<Principal>,
    expires: Option<Time>,
    looked_up: Instant,
}

impl Auth {
    pub(crate) fn new(backend: Arc<dyn Backend>, open_port: Option<u16>, rates: Rates) -> Self {
        let loopback = Arc::new(Principal::all("loopback"));
        let anyone = Arc::new(Principal::new(String::new(), None, Vec::new()));
        let passwords = Passwords::new();
        Self {
            backend,
            open_port,
            loopback,
            anyone,
            rates,
            passwords,
            known: Mutex::default(),
            cookies: Mutex::default(),
        }
    }

    /// Gives whoever is let in by something else than a token.
    pub(crate) fn nobody(&self) -> Arc<Principal> {
        Arc::clone(&self.anyone)
    }

    /// Lets everyone in who does not ask too often.
    ///
    /// # Errors
    /// [`Error::TooManyRequests`].
    pub(crate) fn anyone(&self, peer: IpAddr) -> Result<Arc<Principal>> {
        if self.open_port.is_none() || self.rates.rate != Rate::Usual {
            self.rates.stranger(peer)?;
        }
        Ok(Arc::clone(&self.anyone))
    }

    /// Finds out who calls.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] without a valid token, in the same words whatever is wrong with
    /// it; [`Error::Denied`] for a page of another site that uses this machine's browser;
    /// [`Error::TooManyRequests`].
    pub(crate) async fn caller(
        &self,
        headers: &HeaderMap,
        uri: &Uri,
        peer: IpAddr,
    ) -> Result<Arc<Principal>> {
        match (headers.get(header::AUTHORIZATION), self.open_port) {
            (Some(value), _) => self.token_holder(bearer(value.as_bytes()), peer).await,
            (None, Some(port)) => {
                self.anyone(peer)?;
                check_local(headers, uri, port)?;
                Ok(Arc::clone(&self.loopback))
            }
            (None, None) => {
                self.anyone(peer)?;
                Err(Error::Unauthenticated("a token is needed".to_owned()))
            }
        }
    }

    /// Finds out who visits a page: whoever could call, or whoever the browser was signed in as.
    ///
    /// # Errors
    /// The same as those of [`Self::caller`].
    pub(crate) async fn visitor(
        &self,
        head: &request::Parts,
        peer: IpAddr,
    ) -> Result<(Arc<Principal>, Visit)> {
        if let Some(cookie) = Cookie::of(&head.headers)
            && let Some(principal) = self.signed_in(&cookie, peer).await?
        {
            self.rates.holder(&principal.name)?;
            return Ok((Arc::new(principal), Visit::Session(cookie)));
        }
        let principal = self.caller(&head.headers, &head.uri, peer).await?;
        let has_token = head.headers.contains_key(header::AUTHORIZATION);
        Ok((principal, if has_token { Visit::Token } else { Visit::Open }))
    }

    /// Tells whether a browser is still signed in.
    pub(crate) async fn is_signed_in(&self, cookie: &Cookie, peer: IpAddr) -> Result<bool> {
        self.signed_in(cookie, peer).await.map(|found| found.is_some())
    }

    /// Finds who is behind a cookie, as of now: what was changed elsewhere counts at once.
    async fn signed_in(&self, cookie: &Cookie, peer: IpAddr) -> Result<Option<Principal>> {
        // Whoever shares an address with a guesser is not signed out by that.
        if !self.cookies().contains(&cookie.id) {
            self.rates.may_guess(peer)?;
        }
        let answer = self.ask(UserQuery::Session(cookie.id)).await?;
        let UserAnswer::Session(Some((session, behind))) = answer else {
            self.cookies().remove(&cookie.id);
            self.rates.guessed(peer);
            return Ok(None);
        };
        let (now, Session { begun, seen, .. }) = (now(), session);
        if now.since(begun) > limits::SESSION_KEPT || now.since(seen) > limits::SESSION_IDLE {
            return Ok(None);
        }
        if now.since(seen) > limits::SESSION_SEEN_EVERY {
            // Who is there is let in, also where nothing can be written just now.
            let _noted = self.change("", UserCommand::SeeSession { id: cookie.id }).await;
        }
        let mut cookies = self.cookies();
        if cookies.len() >= REMEMBERED_MAX {
            cookies.clear();
        }
        cookies.insert(cookie.id);
        drop(cookies);
        Ok(match behind {
            Behind::User(user) if user.is_disabled => None,
            Behind::User(user) => Some(Principal::of_user(&user)),
            Behind::Token(token) => {
                Known::new(token).principal_at(now).ok().map(Arc::unwrap_or_clone)
            }
        })
    }

    /// Finds the holder of a token that somebody signs in with.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`], [`Error::TooManyRequests`].
    pub(crate) async fn sign_in(&self, token: &str, peer: IpAddr) -> Result<Holder> {
        let hash: Hash = Sha256::digest(token.trim()).into();
        let holder = self.holder_of(hash, peer).await?;
        Ok(Holder::Token { id: holder.name.clone(), hash })
    }

    /// Finds the user that somebody signs in as.
    ///
    /// An unknown name, a wrong password and a user who is kept out all take the same time and give
    /// the same answer.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`], [`Error::TooManyRequests`].
    pub(crate) async fn sign_in_user(
        &self,
        name: &str,
        password: &str,
        peer: IpAddr,
    ) -> Result<Holder> {
        let wrong = || Error::Unauthenticated("name or password is not right".to_owned());
        let name = UserName::new(name.trim()).map_err(|_| wrong())?;
        let attempt = self.rates.try_password(name.as_str(), peer)?;
        let hash = self.password_of(&name).await?;
        if !self.passwords.is_right(password, hash).await? {
            return Err(wrong());
        }
        attempt.was_right();
        Ok(Holder::User(name))
    }

    async fn password_of(&self, name: &UserName) -> Result<Option<PasswordHash>> {
        match self.ask(UserQuery::Password(name.clone())).await? {
            UserAnswer::Password(hash) => Ok(hash),
            _ => Err(crate::call::mismatch()),
        }
    }

    /// Asks what only the server itself may ask.
    pub(crate) async fn ask(&self, query: UserQuery) -> Result<UserAnswer> {
        match self.backend.read(Query::Users(query), 0).await?.answer {
            Answer::Users(answer) => Ok(answer),
            _ => Err(crate::call::mismatch()),
        }
    }

    /// Changes what only the server itself may change, under the name of whoever caused it.
    pub(crate) async fn change(&self, name: &str, command: UserCommand) -> Result<()> {
        let caller = Caller { name: name.to_owned(), trace: None };
        let write = Write::one(&Namespace::empty(), Command::User(command));
        self.backend.write(Write { caller, ..write }).await.map(drop)
    }

    /// Tells whether somebody may come in without a token.
    pub(crate) fn is_open(&self) -> bool {
        self.open_port.is_some()
    }

    /// Finds out who calls over a connection on which a token was shown, or none.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] without a valid token unless the connection is open to everyone,
    /// [`Error::TooManyRequests`].
    pub(crate) async fn connected(
        &self,
        token: Option<&str>,
        open: bool,
        peer: IpAddr,
    ) -> Result<Arc<Principal>> {
        match token {
            Some(token) => self.token_holder(token.as_bytes(), peer).await,
            None if open => {
                self.anyone(peer)?;
                Ok(Arc::clone(&self.loopback))
            }
            None => {
                self.anyone(peer)?;
                Err(Error::Unauthenticated("a token is needed".to_owned()))
            }
        }
    }

    /// Finds the holder of a token, and counts the request.
    async fn token_holder(&self, token: &[u8], peer: IpAddr) -> Result<Arc<Principal>> {
        let holder = self.holder_of(Sha256::digest(token).into(), peer).await?;
        self.rates.holder(&holder.name)?;
        Ok(holder)
    }

    /// Finds the holder of the token with this hash.
    async fn holder_of(&self, hash: Hash, peer: IpAddr) -> Result<Arc<Principal>> {
        match self.remembered(&hash) {
            Some(known) if known.looked_up.elapsed() < KEPT => return known.principal_at(now()),
            // Whoever shared an address with a guesser before is not kept out with it.
            Some(_) => {}
            None => self.rates.may_guess(peer)?,
        }
        let Some((known, principal)) = self.look_up(hash).await? else {
            self.lock().remove(&hash);
            self.rates.guessed(peer);
            return Err(invalid());
        };
        self.remember(hash, known);
        Ok(principal)
    }

    async fn look_up(&self, hash: Hash) -> Result<Option<(Known, Arc<Principal>)>> {
        let read = self.backend.read(Query::TokenByHash(hash), 0).await?;
        let Answer::Tokens(found) = read.answer else { return Ok(None) };
        let known = found.into_iter().next().map(Known::new);
        Ok(known.and_then(|known| {
            let principal = known.principal_at(now()).ok()?;
            Some((known, principal))
        }))
    }

    fn remembered(&self, hash: &Hash) -> Option<Known> {
        self.lock().get(hash).cloned()
    }

    fn remember(&self, hash: Hash, token: Known) {
        let mut known = self.lock();
        if known.len() >= REMEMBERED_MAX {
            known.clear();
        }
        known.insert(hash, token);
    }

    fn cookies(&self) -> MutexGuard<'_, HashSet<Hash>> {
        self.cookies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Hash, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn new(info: TokenInfo) -> Self {
        let TokenInfo { id, namespace, scopes, expires, created: _ } = info;
        let principal = Arc::new(Principal::new(id, namespace, scopes));
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
pub(crate) fn bearer(authorization: &[u8]) -> &[u8] {
    match authorization.split_at_checked(7) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"bearer ") => token.trim_ascii(),
        _ => b"",
    }
}

fn invalid() -> Error {
    Error::Unauthenticated("the token is not valid".to_owned())
}

/// Gives the time by this machine's clock.
pub(crate) fn now() -> Time {
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
    let is_own = |origin: &str| {
        let host = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        host.is_some_and(|host| is_local(host, port))
    };
    if text(header::ORIGIN).is_none_or(is_own) {
        return Ok(());
    }
    Err(Error::Denied("requests from pages of other sites are refused".to_owned()))
}

/// Tells whether `host:port` is a loopback name or address with this port, or with none where
/// this port is the usual one of HTTP or of TLS.
fn is_local(host: &str, port: u16) -> bool {
    let (name, own_port) = match host.rsplit_once(':') {
        Some((name, digits)) if !digits.ends_with(']') => (name, digits.parse().ok()),
        _ => (host, Some(if port == 443 { 443 } else { 80 })),
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
