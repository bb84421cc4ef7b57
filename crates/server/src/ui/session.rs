//! Signing in: a browser shows a token once, and a random cookie from then on.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use askama::Template;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderValue, header};
use model::{Error, Result, limits};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{
    form::Form,
    frame::{Frame, Here, page},
    place,
};
use crate::{auth::Hash, call::Call, listen::Peer, outcome::Outcome};

const COOKIE: &str = "lockstep_session";
const THEME: &str = "lockstep_theme";

/// By what the visitor of a page is known.
#[derive(Clone, Copy)]
pub(crate) enum Visit {
    /// A token that comes with each request.
    Token,
    /// A browser that was signed in.
    Session(Hash),
    /// Nothing: the server, or the page, is open to whoever can reach it.
    Open,
}

/// The browsers that are signed in to one server.
///
/// Only hashes of cookies are kept. The token behind a session is looked up with every request, so
/// revoking it ends the session too.
pub(crate) struct Sessions {
    /// Makes the tokens of forms; new with every start.
    key: [u8; 32],
    open: Mutex<HashMap<Hash, Kept>>,
}

/// A session as its cookie names it.
pub(crate) struct Session {
    pub(crate) id: Hash,
    /// The hash of the token that it was opened with.
    pub(crate) token: Hash,
}

struct Kept {
    token: Hash,
    since: Instant,
}

impl Sessions {
    /// Makes a server's first and only list of sessions.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the system gives no random numbers.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self { key: random()?, open: Mutex::default() })
    }

    /// Opens a session, and gives what the cookie holds.
    fn begin(&self, token: Hash) -> Result<String> {
        let secret = URL_SAFE_NO_PAD.encode(random()?);
        let mut open = self.lock();
        if open.len() >= limits::SESSIONS_MAX {
            let oldest = open.iter().min_by_key(|(_, kept)| kept.since).map(|(id, _)| *id);
            oldest.and_then(|id| open.remove(&id));
        }
        open.insert(Sha256::digest(&secret).into(), Kept { token, since: Instant::now() });
        Ok(secret)
    }

    fn end(&self, id: &Hash) {
        self.lock().remove(id);
    }

    /// Finds the session of a request.
    pub(crate) fn of(&self, headers: &HeaderMap) -> Option<Session> {
        let id: Hash = Sha256::digest(cookie(headers, COOKIE)?).into();
        let mut open = self.lock();
        let kept = open.get(&id)?;
        if kept.since.elapsed() > limits::SESSION_KEPT {
            open.remove(&id);
            return None;
        }
        Some(Session { token: kept.token, id })
    }

    /// Gives what the forms of a visitor carry, so that pages of others cannot send them.
    pub(crate) fn form_token(&self, visit: &Visit) -> String {
        let id = match visit {
            Visit::Session(id) => *id,
            Visit::Token | Visit::Open => Hash::default(),
        };
        let mut hash = Sha256::new();
        hash.update(self.key);
        hash.update(id);
        URL_SAFE_NO_PAD.encode(hash.finalize())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Hash, Kept>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn random() -> Result<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| Error::Unavailable(error.to_string()))?;
    Ok(bytes)
}

/// Finds a cookie.
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim())
}

/// Gives the theme that the visitor chose; none is that of the system.
pub(crate) fn theme(headers: &HeaderMap) -> Option<&'static str> {
    match cookie(headers, THEME)? {
        "light" => Some("light"),
        "dark" => Some("dark"),
        _ => None,
    }
}

#[derive(Template, Serialize)]
#[template(path = "sign-in.html")]
struct SignIn {
    /// Where to go then.
    to: String,
    /// Whether the server lets anyone in who can reach it.
    is_open: bool,
    is_wrong: bool,
    #[serde(skip)]
    form: String,
}

/// Shows where to sign in.
pub(crate) async fn show(call: Call) -> Result<Outcome> {
    let to = call.params()?.word("to")?.unwrap_or_else(|| place::HOME.to_owned());
    answer(&call, to, false)
}

fn answer(call: &Call, to: String, is_wrong: bool) -> Result<Outcome> {
    let form = call.app.sessions.form_token(&Visit::Open);
    let view = SignIn { to, is_open: call.app.auth.is_open(), is_wrong, form };
    page(call, Frame::new("Sign in", Here::SignIn), &view)
}

/// Signs a browser in that shows a token.
pub(crate) async fn sign_in(call: Call) -> Result<Outcome> {
    let form = Form::of(&call)?;
    let peer = Peer::of(&call.head.extensions);
    let token = match call.app.auth.sign_in(form.text("token"), peer.ip).await {
        Ok(token) => token,
        Err(Error::Unauthenticated(_)) => return answer(&call, form.back(), true),
        Err(error) => return Err(error),
    };
    let secret = call.app.sessions.begin(token)?;
    let seconds = limits::SESSION_KEPT.as_secs();
    let value =
        format!("{COOKIE}={secret}; Path=/ui; Max-Age={seconds}; HttpOnly; SameSite=Strict");
    Ok(Outcome::see_other(form.back()).with_header(header::SET_COOKIE, set(&call, value)?))
}

pub(crate) async fn sign_out(call: Call) -> Result<Outcome> {
    Form::of(&call)?;
    if let Visit::Session(id) = &call.visit {
        call.app.sessions.end(id);
    }
    let value = format!("{COOKIE}=; Path=/ui; Max-Age=0; HttpOnly; SameSite=Strict");
    let outcome = Outcome::see_other(place::SIGN_IN.to_owned());
    Ok(outcome.with_header(header::SET_COOKIE, set(&call, value)?))
}

/// Remembers the theme in a cookie, so that pages have it before they are drawn.
pub(crate) async fn set_theme(call: Call) -> Result<Outcome> {
    let form = Form::parse(&call.body)?;
    let value = match form.text("theme") {
        theme @ ("light" | "dark") => {
            format!("{THEME}={theme}; Path=/ui; Max-Age=31536000; HttpOnly; SameSite=Strict")
        }
        _ => format!("{THEME}=; Path=/ui; Max-Age=0; HttpOnly; SameSite=Strict"),
    };
    let outcome = Outcome::see_other(form.back());
    Ok(outcome.with_header(header::SET_COOKIE, set(&call, value)?))
}

/// Makes the header, for encrypted connections only where this is one, or a proxy says so.
fn set(call: &Call, mut value: String) -> Result<HeaderValue> {
    let proto = call.head.headers.get("x-forwarded-proto").map(HeaderValue::as_bytes);
    if Peer::of(&call.head.extensions).is_encrypted || proto == Some(b"https") {
        value.push_str("; Secure");
    }
    HeaderValue::try_from(value).map_err(|error| Error::Internal(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(cookie: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::COOKIE, HeaderValue::try_from(cookie).unwrap())])
    }

    #[test]
    fn sessions_are_known_by_their_cookies_until_they_end() {
        let sessions = Sessions::new().unwrap();
        let secret = sessions.begin([7; 32]).unwrap();
        let found = sessions.of(&headers(&format!("a=b; {COOKIE}={secret}"))).unwrap();
        assert_eq!(found.token, [7; 32]);
        assert!(sessions.of(&headers(&format!("{COOKIE}={secret}x"))).is_none());
        assert!(sessions.of(&HeaderMap::new()).is_none());
        let visit = Visit::Session(found.id);
        assert_ne!(sessions.form_token(&visit), sessions.form_token(&Visit::Open));
        sessions.end(&found.id);
        assert!(sessions.of(&headers(&format!("{COOKIE}={secret}"))).is_none());
    }

    #[test]
    fn there_are_only_so_many_sessions() {
        let sessions = Sessions::new().unwrap();
        let first = sessions.begin([0; 32]).unwrap();
        for _ in 0..limits::SESSIONS_MAX {
            sessions.begin([1; 32]).unwrap();
        }
        assert_eq!(sessions.lock().len(), limits::SESSIONS_MAX);
        assert!(sessions.of(&headers(&format!("{COOKIE}={first}"))).is_none());
    }
}
