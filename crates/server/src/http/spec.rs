//! Work specs and their meta.

use model::{Answer, Error, Page, Query, QueueCommand, Result, SpecMeta};

use crate::{
    call::{Call, take},
    listing::{Items, Listing, after_full},
    outcome::Outcome,
    urls,
    wire::{Counts, Meta, Named, NewSpec, Spec},
};

pub(crate) async fn list(call: Call) -> Result<Outcome> {
    let (namespace, params) = (call.namespace()?, call.params()?);
    let of = namespace.clone();
    let listing = Listing {
        key: "work_specs",
        page: Page { after: params.previous_spec()?, limit: params.limit()? },
        query: move |page| Query::Specs(of.clone(), page),
        write: move |answer, items: &mut Items| {
            let found = take!(answer, Answer::Specs)?;
            for spec in &found {
                let url = urls::spec(&namespace, &spec.name);
                items.push(&Named { url, name: spec.name.as_str() })?;
            }
            Ok(after_full(&found, |spec| spec.name.clone()))
        },
    };
    listing.answer(&call).await
}

/// Creates or replaces the spec that the dictionary names.
pub(crate) async fn set(call: Call) -> Result<Outcome> {
    let namespace = call.namespace()?;
    let new: NewSpec = call.json()?;
    let data = new.data.ok_or_else(|| Error::bad_input("\"data\" is missing"))?.into_model()?;
    let (name, _meta) = SpecMeta::from_dict(&data.dict()?)?;
    let url = urls::spec(&namespace, &name);
    let committed = call.write(namespace, vec![QueueCommand::SetSpec { data }.into()]).await?;
    let body = Named { url: url.clone(), name: name.as_str() };
    Ok(Outcome::created(url, &body)?.at(committed.revision))
}

async fn found(call: &Call) -> Result<(model::Spec, u64)> {
    let read = call.read(Query::Spec(call.namespace()?, call.spec()?)).await?;
    Ok((take!(read.answer, Answer::Spec)?, read.as_of))
}

pub(crate) async fn show(call: Call) -> Result<Outcome> {
    let (spec, as_of) = found(&call).await?;
    Ok(Outcome::json(&Spec::new(&call.namespace()?, &spec))?.tagged(as_of))
}

/// Replaces the dictionary; without one, nothing but that the spec exists is checked.
pub(crate) async fn change(call: Call) -> Result<Outcome> {
    let (namespace, spec) = (call.namespace()?, call.spec()?);
    let new: NewSpec = call.json()?;
    let Some(data) = new.data else {
        call.read_unchecked(Query::Spec(namespace, spec)).await?;
        return Ok(Outcome::done());
    };
    let command = QueueCommand::ChangeSpec { spec, data: data.into_model()? }.into();
    let committed = call.write(namespace, vec![command]).await?;
    Ok(Outcome::done().at(committed.revision))
}

pub(crate) async fn destroy(call: Call) -> Result<Outcome> {
    let command = QueueCommand::DestroySpec { spec: call.spec()? }.into();
    let committed = call.write(call.namespace()?, vec![command]).await?;
    Ok(Outcome::done().at(committed.revision))
}

pub(crate) async fn meta(call: Call) -> Result<Outcome> {
    let with_counts = call.params()?.flag("counts", false)?;
    let (spec, as_of) = found(&call).await?;
    Ok(Outcome::json(&Meta::new(&spec, with_counts))?.tagged(as_of))
}

pub(crate) async fn set_meta(call: Call) -> Result<Outcome> {
    let meta = call.json::<Meta>()?.into_model()?;
    let command = QueueCommand::SetSpecMeta { spec: call.spec()?, meta }.into();
    let committed = call.write(call.namespace()?, vec![command]).await?;
    Ok(Outcome::done().at(committed.revision))
}

pub(crate) async fn counts(call: Call) -> Result<Outcome> {
    let (spec, as_of) = found(&call).await?;
    Ok(Outcome::json(&Counts::new(&spec.counts))?.tagged(as_of))
}
