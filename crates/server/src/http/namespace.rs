//! Namespaces.

use model::{Answer, Error, Page, Query, QueueCommand, Result};

use crate::{
    call::{Call, take},
    listing::{Listing, after_full},
    outcome::Outcome,
    urls,
    wire::{Named, Namespace, NewNamespace},
};

pub(crate) async fn list(call: Call) -> Result<Outcome> {
    let params = call.params()?;
    let after = params.previous_text()?.map(model::Namespace::new).transpose()?;
    let listing = Listing {
        key: "namespaces",
        page: Page { after, limit: params.limit()? },
        query: Query::Namespaces,
        write: |answer, items: &mut crate::listing::Items| {
            let found = take!(answer, Answer::Namespaces)?;
            for info in &found {
                let url = urls::namespace(&info.name);
                items.push(&Named { url, name: info.name.as_str() })?;
            }
            Ok(after_full(&found, |info| info.name.clone()))
        },
    };
    listing.answer(&call).await
}

pub(crate) async fn create(call: Call) -> Result<Outcome> {
    let new: NewNamespace = call.json()?;
    let name = model::Namespace::new(new.name.unwrap_or_default())?;
    let command = QueueCommand::CreateNamespace.into();
    let committed = call.write(name.clone(), vec![command]).await?;
    let location = urls::namespace(&name);
    Ok(Outcome::created(location, &Namespace::new(&name))?.at(committed.revision))
}

/// Shows a namespace; creates it first if the caller may, as the ancestor does.
pub(crate) async fn show(call: Call) -> Result<Outcome> {
    let name = call.namespace()?;
    let revision = match call.read(Query::Namespace(name.clone())).await {
        Ok(read) => read.as_of,
        Err(absent @ Error::NoSuchNamespace(_)) => {
            let command = QueueCommand::CreateNamespace.into();
            match call.write(name.clone(), vec![command]).await {
                Err(Error::Denied(_)) => return Err(absent),
                committed => committed?.revision,
            }
        }
        Err(error) => return Err(error),
    };
    Ok(Outcome::json(&Namespace::new(&name))?.tagged(revision))
}

pub(crate) async fn destroy(call: Call) -> Result<Outcome> {
    let name = call.namespace()?;
    let committed = call.write(name, vec![QueueCommand::DestroyNamespace.into()]).await?;
    Ok(Outcome::done().at(committed.revision))
}
