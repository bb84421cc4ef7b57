//! Signing in at an identity provider: the way there, and the way back.

use askama::Template;
use http::{HeaderMap, header};
use model::{
    Error, Holder, Result, UserAnswer, UserChange, UserCommand, UserName, UserQuery, limits,
};
use serde::Serialize;

use super::{
    frame::{Frame, Here, page},
    place,
    session::{cookie, open, secret, set, sign_in_answer},
};
use crate::{
    auth::now,
    call::Call,
    oidc::{Known, Oidc, Returned},
    outcome::Outcome,
};

/// Keeps the secret of a sign-in that is under way, and where to go then.
const COOKIE: &str = "lockstep_identity";

fn provider(call: &Call) -> Result<&Oidc> {
    call.app.oidc.get().ok_or_else(|| Error::bad_input("this server has no identity provider"))
}

/// Gives the cookie; the way back comes from another site, so it is `Lax`.
fn keep(call: &Call, value: &str, seconds: u64) -> Result<http::HeaderValue> {
    let path = place::SIGN_IN;
    set(call, format!("{COOKIE}={value}; Path={path}; Max-Age={seconds}; HttpOnly; SameSite=Lax"))
}

/// Leads a browser to the provider.
pub(crate) async fn begin(call: Call) -> Result<Outcome> {
    let oidc = provider(&call)?;
    let to = call.params()?.word("to")?.unwrap_or_default();
    let secret = secret()?;
    let there = match oidc.begin(&secret).await {
        Ok(there) => there,
        Err(error) => {
            tracing::warn!(%error, "nobody can sign in at the identity provider");
            return sign_in_answer(&call, to, Some("The identity provider cannot be reached."));
        }
    };
    let value = format!("{secret}.{}", place::value(&to));
    let kept = keep(&call, &value, limits::IDENTITY_WAIT_MAX.as_secs())?;
    Ok(Outcome::see_other(there).with_header(header::SET_COOKIE, kept))
}

/// Gives the secret of the sign-in that is under way, and where to go then.
fn under_way(headers: &HeaderMap) -> Option<(String, String)> {
    let (secret, to) = cookie(headers, COOKIE)?.split_once('.')?;
    let to = percent_encoding::percent_decode_str(to).decode_utf8().ok()?;
    Some((secret.to_owned(), place::own(&to)))
}

#[derive(Template, Serialize)]
#[template(path = "arrived.html")]
struct Arrived {
    to: String,
}

/// Signs a browser in that comes back from the provider.
///
/// The answer is a page that leads on by itself: to a redirect, browsers would not send the cookie,
/// since they came from another site.
pub(crate) async fn callback(call: Call) -> Result<Outcome> {
    provider(&call)?;
    let gone = keep(&call, "", 0)?;
    let way = under_way(&call.head.headers);
    let to = way.as_ref().map_or_else(|| place::HOME.to_owned(), |(_, to)| to.clone());
    let opened = match way {
        Some((secret, _)) => arrive(&call, &secret).await,
        None => Err(Error::Unauthenticated("the browser has not begun to sign in".to_owned())),
    };
    let outcome = match opened {
        Ok(session) => {
            let view = Arrived { to };
            let outcome =
                page(&call, Frame::new("Signed in", Here::SignIn).leads_to(&view.to), &view)?;
            outcome.with_header(header::SET_COOKIE, session)
        }
        Err(Error::Unauthenticated(why) | Error::Denied(why)) => {
            // What is wrong helps whoever runs the server, and nobody who tries.
            tracing::warn!(%why, "a sign-in at the identity provider was refused");
            let problem = "The identity provider has not let you in, or no user of this server is \
                           meant. Whoever runs it finds the reason in its log.";
            sign_in_answer(&call, to, Some(problem))?.with_status(http::StatusCode::FORBIDDEN)
        }
        Err(error) => return Err(error),
    };
    Ok(outcome.with_header(header::SET_COOKIE, gone))
}

async fn arrive(call: &Call, secret: &str) -> Result<http::HeaderValue> {
    let oidc = provider(call)?;
    let params = call.params()?;
    let returned = Returned {
        state: params.word("state")?,
        code: params.word("code")?,
        issuer: params.word("iss")?,
        error: params.word("error")?,
    };
    let known = oidc.finish(secret, returned, now()).await?;
    let name = settle(call, known).await?;
    open(call, Holder::User(name)).await
}

/// Makes the user what the provider says, and adds it where it is new.
async fn settle(call: &Call, known: Known) -> Result<UserName> {
    let auth = &call.app.auth;
    let Known { identity, name, grants } = known;
    let actor = Holder::User(name.clone()).record();
    let found = match auth.ask(UserQuery::One(name.clone())).await {
        Ok(UserAnswer::User(user, _)) => Some(user),
        Ok(_) => return Err(crate::call::mismatch()),
        Err(Error::NoSuchUser(_)) => None,
        Err(error) => return Err(error),
    };
    let nothing = || Error::Denied(format!("no group of {actor} gives a role"));
    let Some(user) = found else {
        if grants.as_ref().is_some_and(Vec::is_empty) {
            return Err(nothing());
        }
        let grants = grants.unwrap_or_default();
        let identity = Some(identity);
        let add = UserCommand::Add { name: name.clone(), password: None, grants, identity };
        auth.change(&actor, add).await?;
        return Ok(name);
    };
    if user.identity.as_ref() != Some(&identity) {
        return Err(Error::Denied(format!(
            "{actor} is somebody else, whom the provider may not be"
        )));
    }
    if user.is_disabled {
        return Err(Error::Denied(format!("{actor} is disabled")));
    }
    if let Some(grants) = grants {
        let has_none = grants.is_empty();
        if grants != user.grants {
            let change = UserChange::Grants(grants);
            auth.change(&actor, UserCommand::Change { name: name.clone(), change }).await?;
        }
        if has_none {
            return Err(nothing());
        }
    }
    Ok(name)
}
