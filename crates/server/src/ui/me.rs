//! What visitors see of themselves: what they may do, their password, and their other browsers.

use askama::Template;
use model::{
    Error, Holder, Result, Session, UserAnswer, UserChange, UserCommand, UserInfo, UserName,
    UserQuery,
};
use serde::Serialize;

use super::{
    form::{Form, unknown},
    frame::{Frame, Here, page},
    place,
    session::{Visit, over},
    show, users,
};
use crate::{call::Call, listen::Peer, outcome::Outcome};

#[derive(Template, Serialize)]
#[template(path = "me.html")]
struct Me {
    /// As the audit log names the visitor.
    name: String,
    /// Absent for whoever came with a token, or with nothing.
    user: Option<UserInfo>,
    /// What is allowed, and where, for whoever is no user.
    allowed: Vec<(Option<String>, String)>,
    sessions: Vec<Session>,
    #[serde(skip)]
    form: String,
}

/// Gives the user that the visitor is, if it is one that has signed in.
fn user_of(call: &Call) -> Option<UserName> {
    let is_session = matches!(call.visit, Visit::Session(_));
    let name = call.backend.principal().name.strip_prefix("user/").filter(|_| is_session)?;
    UserName::new(name).ok()
}

pub(crate) async fn show(call: Call) -> Result<Outcome> {
    let (user, sessions) = match user_of(&call) {
        None => (None, Vec::new()),
        Some(name) => match call.app.auth.ask(UserQuery::One(name)).await? {
            UserAnswer::User(user, sessions) => (Some(user), sessions),
            _ => return Err(crate::call::mismatch()),
        },
    };
    let principal = call.backend.principal();
    let allowed = principal.allowed.iter().filter(|_| user.is_none()).map(|allowed| {
        let scopes: Vec<_> = allowed.scopes.iter().map(ToString::to_string).collect();
        (allowed.namespace.as_ref().map(ToString::to_string), scopes.join(" "))
    });
    let (name, allowed) = (principal.name.clone(), allowed.collect());
    let form = call.app.sessions.form_token(&call.visit);
    page(&call, Frame::new("You", Here::Me), &Me { name, user, allowed, sessions, form })
}

/// Changes the visitor's password, or signs it out everywhere.
pub(crate) async fn change(call: Call) -> Result<Outcome> {
    let form = Form::of(&call)?;
    let nobody = || Error::bad_input("only a user who has signed in has a password here");
    let name = user_of(&call).ok_or_else(nobody)?;
    let change = match form.text("do") {
        "password" => {
            let (auth, peer) = (&call.app.auth, Peer::of(&call.head.extensions).ip);
            match auth.sign_in_user(name.as_str(), form.text("current"), peer).await {
                Ok(_) => {}
                Err(Error::Unauthenticated(_)) => {
                    return Err(Error::bad_input("the current password is not right"));
                }
                Err(error) => return Err(error),
            }
            UserChange::Password(auth.passwords.hash(form.text("password")).await?)
        }
        "sign-out" => UserChange::SignOut,
        other => return Err(unknown(other)),
    };
    let actor = Holder::User(name.clone()).record();
    call.app.auth.change(&actor, UserCommand::Change { name, change }).await?;
    let to = format!("{}?done=everywhere", place::SIGN_IN);
    Ok(Outcome::see_other(to).with_header(http::header::SET_COOKIE, over(&call)?))
}
