//! Signing in: a browser shows a password or a token once, and a random cookie from then on.
//!
//! Sessions are rows of the store by the hash of that cookie, so every node knows them and whoever
//! ends one ends it everywhere. Who is behind one is looked up with each request.

use askama::Template;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderValue, header};
use model::{Error, Holder, Result, UserCommand, limits};
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
/// What the form for signing in belongs to, as there is no session yet.
const FORM: &str = "lockstep_sign_in";

/// By what the visitor of a page is known.
#[derive(Clone, Copy)]
pub(crate) enum Visit {
    /// A token that comes with each request.
    Token,
    /// A browser that was signed in.
    Session(Cookie),
    /// Nothing: the server, or the page, is open to whoever can reach it.
    Open,
}

/// What a cookie is known by, apart from what it holds.
#[derive(Clone, Copy)]
pub(crate) struct Cookie {
    /// Names the session in the store.
    pub(crate) id: Hash,
    /// Is in the forms of the pages that it opens, of whichever node.
    proof: Hash,
}

impl Cookie {
    fn read(secret: &str) -> Self {
        let proof = Sha256::new().chain_update("the form of ").chain_update(secret);
        Self { id: Sha256::digest(secret).into(), proof: proof.finalize().into() }
    }

    /// Finds that of a session.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        cookie(headers, COOKIE).map(Self::read)
    }

    fn form_token(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.proof)
    }
}

/// What proves that forms come from the pages of a server.
pub(crate) struct Sessions {
    /// Makes the tokens of forms where there is no session; new with every start.
    key: [u8; 32],
}

impl Sessions {
    /// Takes a new key.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the system gives no random numbers.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self { key: random()? })
    }

    /// Gives what the forms of a visitor carry, so that pages of others cannot send them.
    pub(crate) fn form_token(&self, visit: &Visit) -> String {
        match visit {
            Visit::Session(cookie) => cookie.form_token(),
            Visit::Token | Visit::Open => URL_SAFE_NO_PAD.encode(Sha256::digest(self.key)),
        }
    }
}

/// Gives a secret of 256 random bits as text.
///
/// # Errors
/// [`Error::Unavailable`] if the system gives no random numbers.
pub(crate) fn secret() -> Result<String> {
    Ok(URL_SAFE_NO_PAD.encode(random()?))
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
    /// What was wrong, if somebody has just tried.
    problem: Option<&'static str>,
    /// What the identity provider is called, where there is one.
    provider: Option<String>,
    #[serde(skip)]
    form: String,
}

/// Shows where to sign in.
pub(crate) async fn show(call: Call) -> Result<Outcome> {
    let to = call.params()?.word("to")?.unwrap_or_default();
    let is_out = call.params()?.word("done")?.as_deref() == Some("everywhere");
    sign_in_answer(&call, to, is_out.then_some("You are signed out everywhere. Sign in again."))
}

/// Shows where to sign in, with what was wrong.
pub(super) fn sign_in_answer(
    call: &Call,
    to: String,
    problem: Option<&'static str>,
) -> Result<Outcome> {
    let secret = match cookie(&call.head.headers, FORM) {
        Some(secret) if secret.len() == 43 => secret.to_owned(),
        _ => self::secret()?,
    };
    let view = SignIn {
        to: place::own(&to),
        is_open: call.app.auth.is_open(),
        problem,
        provider: call.app.oidc.get().map(|oidc| oidc.label().to_owned()),
        form: Cookie::read(&secret).form_token(),
    };
    let seconds = limits::IDENTITY_WAIT_MAX.as_secs();
    let value = format!(
        "{FORM}={secret}; Path={}; Max-Age={seconds}; HttpOnly; SameSite=Strict",
        place::SIGN_IN
    );
    let outcome = page(call, Frame::new("Sign in", Here::SignIn), &view)?;
    Ok(outcome.with_header(header::SET_COOKIE, set(call, value)?))
}

/// Signs a browser in that shows a password or a token.
pub(crate) async fn sign_in(call: Call) -> Result<Outcome> {
    let own = cookie(&call.head.headers, FORM).map(Cookie::read);
    let form = Form::with_token(&call, &own.map_or_else(String::new, |own| own.form_token()))?;
    let (auth, peer) = (&call.app.auth, Peer::of(&call.head.extensions).ip);
    let (found, problem) = match form.some("name") {
        Some(name) => (
            auth.sign_in_user(name, form.text("password"), peer).await,
            "That name or password is not right, or the user is disabled.",
        ),
        None => (
            auth.sign_in(form.text("token"), peer).await,
            "That token is not valid. It may have been revoked, or its time is over.",
        ),
    };
    let opened = match found {
        Ok(holder) => open(&call, holder).await,
        Err(error) => Err(error),
    };
    match opened {
        Ok(cookie) => Ok(Outcome::see_other(form.back()).with_header(header::SET_COOKIE, cookie)),
        Err(Error::Unauthenticated(_) | Error::NoSuchUser(_)) => {
            sign_in_answer(&call, form.back(), Some(problem))
        }
        Err(error) => Err(error),
    }
}

/// Opens a session, and gives the cookie for it.
pub(super) async fn open(call: &Call, holder: Holder) -> Result<HeaderValue> {
    let (secret, name) = (self::secret()?, holder.record());
    let id = Cookie::read(&secret).id;
    call.app.auth.change(&name, UserCommand::BeginSession { id, holder }).await?;
    let seconds = limits::SESSION_KEPT.as_secs();
    set(call, format!("{COOKIE}={secret}; Path=/ui; Max-Age={seconds}; HttpOnly; SameSite=Strict"))
}

pub(crate) async fn sign_out(call: Call) -> Result<Outcome> {
    Form::of(&call)?;
    if let Visit::Session(Cookie { id, .. }) = call.visit {
        let name = &call.backend.principal().name;
        call.app.auth.change(name, UserCommand::EndSession { id }).await?;
    }
    Ok(Outcome::see_other(place::SIGN_IN.to_owned()).with_header(header::SET_COOKIE, over(&call)?))
}

/// Takes the cookie of a session away.
pub(super) fn over(call: &Call) -> Result<HeaderValue> {
    set(call, format!("{COOKIE}=; Path=/ui; Max-Age=0; HttpOnly; SameSite=Strict"))
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
pub(super) fn set(call: &Call, mut value: String) -> Result<HeaderValue> {
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
    fn what_a_cookie_holds_is_in_no_form_and_in_no_row() {
        let secret = secret().unwrap();
        let cookie = Cookie::of(&headers(&format!("a=b; {COOKIE}={secret}"))).unwrap();
        assert_ne!(cookie.id, cookie.proof);
        assert_ne!(cookie.form_token(), secret);
        let other = Cookie::of(&headers(&format!("{COOKIE}={secret}x"))).unwrap();
        assert_ne!((cookie.id, cookie.proof), (other.id, other.proof));
        assert!(Cookie::of(&HeaderMap::new()).is_none());
    }

    #[test]
    fn forms_of_a_session_are_good_on_every_node() {
        let (here, there) = (Sessions::new().unwrap(), Sessions::new().unwrap());
        let visit = Visit::Session(Cookie::read("secret"));
        assert_eq!(here.form_token(&visit), there.form_token(&visit));
        assert_ne!(here.form_token(&Visit::Open), there.form_token(&Visit::Open));
        assert_ne!(here.form_token(&visit), here.form_token(&Visit::Open));
    }
}
