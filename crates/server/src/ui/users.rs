//! Users: who may sign in, what they may do, and which browsers they are signed in with.

use askama::Template;
use model::{
    Answer, Grant, Holder, Namespace, Query, Result, Role, Session, UserAnswer, UserChange,
    UserCommand, UserInfo, UserName, UserQuery,
};
use serde::Serialize;

use super::{
    ask,
    form::{Form, unknown},
    frame::{Frame, Here, page},
    place, show,
};
use crate::{
    call::{Call, take},
    outcome::Outcome,
};

#[derive(Template, Serialize)]
#[template(path = "users.html")]
struct Users {
    users: Vec<UserInfo>,
    next: Option<UserName>,
    #[serde(skip)]
    form: String,
}

/// Gives the word for how a user stands.
pub(super) fn standing(user: &UserInfo) -> &'static str {
    if user.is_disabled { "disabled" } else { "active" }
}

/// Says in words what a user may do.
pub(super) fn roles(grants: &[Grant]) -> String {
    let role = |grant: &Grant| match &grant.namespace {
        Some(namespace) => format!("{} in {}", grant.role, show::name(namespace.as_str())),
        None => format!("{} everywhere", grant.role),
    };
    match grants {
        [] => "no role".to_owned(),
        _ => grants.iter().map(role).collect::<Vec<_>>().join(", "),
    }
}

/// Asks about users in the visitor's name.
pub(crate) async fn about(call: &Call, query: UserQuery) -> Result<UserAnswer> {
    take!(call.read(Query::Users(query)).await?.answer, Answer::Users)
}

pub(crate) async fn list(call: Call) -> Result<Outcome> {
    let after = call.params()?.previous_text()?.map(UserName::new).transpose()?;
    let query = UserQuery::List(ask::rows(after));
    let mut users = take!(about(&call, query).await?, UserAnswer::Users)?;
    let next = ask::cut(&mut users, |user| user.name.clone());
    let form = call.app.sessions.form_token(&call.visit);
    page(&call, Frame::new("Users", Here::Users), &Users { users, next, form })
}

/// Adds a user.
pub(crate) async fn add(call: Call) -> Result<Outcome> {
    let form = Form::of(&call)?;
    let name = UserName::new(form.text("name").trim())?;
    let grants = vec![grant(&form)?];
    let password = call.app.auth.passwords.hash(form.text("password")).await?;
    let command =
        UserCommand::Add { name: name.clone(), password: Some(password), grants, identity: None };
    ask::change(&call, &Namespace::empty(), command).await?;
    Ok(Outcome::see_other(place::user(&name) + "?done=created"))
}

/// Reads a role and where it holds.
fn grant(form: &Form) -> Result<Grant> {
    let role = Role::parse(form.text("role"))?;
    let namespace = match form.text("where") {
        "all" => None,
        _ => Some(Namespace::new(form.text("namespace"))?),
    };
    Ok(Grant { role, namespace })
}

#[derive(Template, Serialize)]
#[template(path = "user.html")]
struct User {
    user: UserInfo,
    sessions: Vec<Session>,
    #[serde(skip)]
    form: String,
}

impl User {
    fn href(&self) -> String {
        place::user(&self.user.name)
    }

    fn actor(&self) -> String {
        Holder::User(self.user.name.clone()).record()
    }

    /// Writes a command about this user.
    fn command(&self, verb: &str, rest: &[&str]) -> String {
        show::command(&[["user", verb, self.user.name.as_str()].as_slice(), rest].concat())
    }

    fn ungrant(&self, grant: &Grant) -> String {
        match &grant.namespace {
            Some(namespace) => self.command("ungrant", &["--namespace", namespace.as_str()]),
            None => self.command("ungrant", &["--all-namespaces"]),
        }
    }
}

pub(crate) async fn show(call: Call) -> Result<Outcome> {
    let query = UserQuery::One(name(&call)?);
    let (user, sessions) = match about(&call, query).await? {
        UserAnswer::User(user, sessions) => (user, sessions),
        _ => return Err(crate::call::mismatch()),
    };
    let form = call.app.sessions.form_token(&call.visit);
    let view = User { user, sessions, form };
    page(&call, Frame::new(view.user.name.as_str(), Here::Users), &view)
}

/// Gives the user in the path of a call.
pub(crate) fn name(call: &Call) -> Result<UserName> {
    UserName::new(call.part("{user}")?)
}

/// Changes or removes a user.
pub(crate) async fn change(call: Call) -> Result<Outcome> {
    let form = Form::of(&call)?;
    let name = name(&call)?;
    let (change, done) = match form.text("do") {
        "grant" => (UserChange::Grant(grant(&form)?), "saved"),
        "ungrant" => {
            let namespace = match form.text("where") {
                "all" => None,
                _ => Some(Namespace::new(form.text("namespace"))?),
            };
            (UserChange::Ungrant { namespace }, "saved")
        }
        "disable" => (UserChange::Disable, "disabled"),
        "enable" => (UserChange::Enable, "enabled"),
        "sign-out" => (UserChange::SignOut, "signed-out"),
        "password" => {
            let hash = call.app.auth.passwords.hash(form.text("password")).await?;
            (UserChange::Password(hash), "password")
        }
        "remove" => {
            let command = UserCommand::Remove { name };
            ask::change(&call, &Namespace::empty(), command).await?;
            return Ok(Outcome::see_other("/ui/users?done=deleted".to_owned()));
        }
        other => return Err(unknown(other)),
    };
    let to = format!("{}?done={done}", place::user(&name));
    ask::change(&call, &Namespace::empty(), UserCommand::Change { name, change }).await?;
    Ok(Outcome::see_other(to))
}
