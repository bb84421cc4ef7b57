//! Users.

use model::{
    Backend as _, Command, Namespace, Page, Result, UserAnswer, UserChange, UserCommand, UserName,
    UserQuery, Write,
};

use crate::{
    call::{Call, mismatch, take},
    outcome::Outcome,
    ui::users::{about, name},
    urls::segment,
    wire::{ChangedUser, NewUser, ShownUser, UserList},
};

/// Lists users in name order.
pub(crate) async fn list(call: Call) -> Result<Outcome> {
    let params = call.params()?;
    let after = params.previous_text()?.map(UserName::new).transpose()?;
    let query = UserQuery::List(Page { after, limit: params.limit()? });
    Outcome::json(&UserList { users: take!(about(&call, query).await?, UserAnswer::Users)? })
}

/// Shows a user with its sessions.
pub(crate) async fn show(call: Call) -> Result<Outcome> {
    let UserAnswer::User(user, sessions) = about(&call, UserQuery::One(name(&call)?)).await? else {
        return Err(mismatch());
    };
    Outcome::json(&ShownUser { user, sessions })
}

/// Adds a user.
pub(crate) async fn add(call: Call) -> Result<Outcome> {
    let NewUser { name, password, grants } = call.json()?;
    let password = match password {
        Some(password) => Some(call.app.auth.passwords.hash(&password).await?),
        None => None,
    };
    let command = UserCommand::Add { name: name.clone(), password, grants, identity: None };
    write(&call, vec![command.into()]).await?;
    let UserAnswer::User(user, sessions) = call.app.auth.ask(UserQuery::One(name)).await? else {
        return Err(mismatch());
    };
    let place = format!("/user/{}", segment(user.name.as_str().as_bytes()));
    Outcome::created(place, &ShownUser { user, sessions })
}

/// Changes what the body says of a user, all at once.
pub(crate) async fn change(call: Call) -> Result<Outcome> {
    let (name, body) = (name(&call)?, call.json::<ChangedUser>()?);
    let mut changes = Vec::new();
    if let Some(grants) = body.grants {
        changes.push(UserChange::Grants(grants));
    }
    if let Some(password) = body.password {
        let hash = call.app.auth.passwords.hash(&password).await?;
        changes.push(UserChange::Password(hash));
    }
    if let Some(is_disabled) = body.is_disabled {
        changes.push(if is_disabled { UserChange::Disable } else { UserChange::Enable });
    }
    if body.sign_out {
        changes.push(UserChange::SignOut);
    }
    let command = |change| UserCommand::Change { name: name.clone(), change }.into();
    if !changes.is_empty() {
        let commands = changes.into_iter().map(command).collect();
        write(&call, commands).await?;
    }
    Ok(Outcome::done())
}

/// Removes a user.
pub(crate) async fn remove(call: Call) -> Result<Outcome> {
    let command = UserCommand::Remove { name: name(&call)? };
    write(&call, vec![command.into()]).await?;
    Ok(Outcome::done())
}

/// Writes without an idempotency key: each hash of a password is another one, so that a request is
/// never the same again.
async fn write(call: &Call, commands: Vec<Command>) -> Result<()> {
    call.backend.write(Write::of(&Namespace::empty(), commands)).await.map(drop)
}
