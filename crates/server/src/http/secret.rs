//! Secrets: they are set, replaced and removed, and no answer has a value.

use model::{Answer, Page, Query, Result, SecretCommand, SecretName, SecretValue};

use crate::{
    call::{Call, take},
    outcome::Outcome,
    wire::SecretList,
};

fn name_of(call: &Call) -> Result<SecretName> {
    SecretName::new(call.part("{secret}")?)
}

/// Sets a secret to the request's body, as it is.
pub(crate) async fn put(call: Call) -> Result<Outcome> {
    let (name, value) = (name_of(&call)?, SecretValue::from_bytes(call.body.to_vec())?);
    change(&call, SecretCommand::Set { name, value }).await
}

/// Removes a secret.
pub(crate) async fn remove(call: Call) -> Result<Outcome> {
    let name = name_of(&call)?;
    change(&call, SecretCommand::Remove { name }).await
}

async fn change(call: &Call, command: SecretCommand) -> Result<Outcome> {
    let committed = call.write(call.namespace()?, vec![command.into()]).await?;
    Ok(Outcome::done().at(committed.revision))
}

/// Lists the names of secrets, with when each was set.
pub(crate) async fn list(call: Call) -> Result<Outcome> {
    let params = call.params()?;
    let after = params.previous_text()?.map(SecretName::new).transpose()?;
    let page = Page { after, limit: params.limit()? };
    let read = call.read(Query::Secrets(call.namespace()?, page)).await?;
    let secrets = take!(read.answer, Answer::Secrets)?;
    Ok(Outcome::json(&SecretList { secrets })?.tagged(read.as_of))
}
