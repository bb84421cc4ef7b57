//! Workflow definitions.

use http::StatusCode;
use model::{
    Answer, Committed, Definition, DefinitionAnswer, DefinitionCommand, DefinitionQuery, Id, Page,
    Query, Reply, Result, Terms, Version,
};

use crate::{
    call::{Call, mismatch},
    outcome::Outcome,
    wire::{
        AuditList, ChangeList, DefinitionList, Draft, PublishedList, RollBack, RunList, ToBundle,
        ToPublish, TriggerList, VersionList, Withdraw,
    },
};

async fn ask(call: &Call, query: DefinitionQuery) -> Result<(DefinitionAnswer, u64)> {
    let read = call.read(Query::Definitions(call.namespace()?, query)).await?;
    match read.answer {
        Answer::Definitions(answer) => Ok((answer, read.as_of)),
        _ => Err(mismatch()),
    }
}

fn name(call: &Call) -> Result<String> {
    call.part("{definition}")
}

/// Runs the pipeline, and tells what became of each definition.
async fn change(call: &Call, commands: Vec<DefinitionCommand>) -> Result<Outcome> {
    let commands = commands.into_iter().map(Into::into).collect();
    let Committed { revision, replies, .. } = call.write(call.namespace()?, commands).await?;
    let published = replies.into_iter().map(|reply| match reply {
        Reply::Definition(published) => Ok(published),
        _ => Err(mismatch()),
    });
    let published = published.collect::<Result<Vec<_>>>()?;
    // A change that not every node has applied yet is accepted, and its run tells how it goes on.
    let is_done = published.iter().all(|one| one.state != "committed");
    let status = if is_done { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok(Outcome::json(&PublishedList { published })?.with_status(status).at(revision))
}

/// Publishes one document or several.
pub(crate) async fn publish(call: Call) -> Result<Outcome> {
    let ToPublish { documents, until } = call.json()?;
    let commands = documents.into_iter().map(|mut document| {
        document.terms.until = document.terms.until.max(until);
        DefinitionCommand::Publish(document)
    });
    change(&call, commands.collect()).await
}

/// Makes several changes as one.
pub(crate) async fn bundle(call: Call) -> Result<Outcome> {
    let ToBundle { commands } = call.json()?;
    change(&call, commands).await
}

pub(crate) async fn retract(call: Call) -> Result<Outcome> {
    let (name, Withdraw { base, running, until }) = (name(&call)?, call.json()?);
    let terms = Terms { until, ..Terms::default() };
    change(&call, vec![DefinitionCommand::Retract { name, base, running, terms }]).await
}

pub(crate) async fn delete(call: Call) -> Result<Outcome> {
    let (name, Withdraw { base, running, until }) = (name(&call)?, call.json()?);
    let terms = Terms { until, ..Terms::default() };
    change(&call, vec![DefinitionCommand::Delete { name, base, running, terms }]).await
}

pub(crate) async fn roll_back(call: Call) -> Result<Outcome> {
    let (name, RollBack { version, base, until }) = (name(&call)?, call.json()?);
    let terms = Terms { until, ..Terms::default() };
    change(&call, vec![DefinitionCommand::Rollback { name, version, base, terms }]).await
}

pub(crate) async fn delete_version(call: Call) -> Result<Outcome> {
    let (name, version) = (name(&call)?, call.part("{version}")?);
    let terms = Terms::default();
    change(&call, vec![DefinitionCommand::DeleteVersion { name, version, terms }]).await
}

pub(crate) async fn list(call: Call) -> Result<Outcome> {
    let params = call.params()?;
    let page = Page { after: params.previous_text()?, limit: params.limit()? };
    let (answer, as_of) = ask(&call, DefinitionQuery::List(page)).await?;
    let DefinitionAnswer::Definitions(definitions) = answer else { return Err(mismatch()) };
    Ok(Outcome::json(&DefinitionList { definitions })?.tagged(as_of))
}

pub(crate) async fn show(call: Call) -> Result<Outcome> {
    let (answer, as_of) = ask(&call, DefinitionQuery::One(name(&call)?)).await?;
    let DefinitionAnswer::Definition(definition) = answer else { return Err(mismatch()) };
    Ok(Outcome::json::<Definition>(&definition)?.tagged(as_of))
}

pub(crate) async fn versions(call: Call) -> Result<Outcome> {
    let (answer, as_of) = ask(&call, DefinitionQuery::Versions(name(&call)?)).await?;
    let DefinitionAnswer::Versions(versions) = answer else { return Err(mismatch()) };
    Ok(Outcome::json(&VersionList { versions })?.tagged(as_of))
}

/// Shows a version with its text; `published` is whichever is.
pub(crate) async fn version(call: Call) -> Result<Outcome> {
    let version = Some(call.part("{version}")?).filter(|version| version != "published");
    let (answer, as_of) = ask(&call, DefinitionQuery::Version(name(&call)?, version)).await?;
    let DefinitionAnswer::Version(version) = answer else { return Err(mismatch()) };
    Ok(Outcome::json::<Version>(&version)?.tagged(as_of))
}

pub(crate) async fn triggers(call: Call) -> Result<Outcome> {
    let (answer, as_of) = ask(&call, DefinitionQuery::Triggers(Some(name(&call)?))).await?;
    let DefinitionAnswer::Triggers(triggers) = answer else { return Err(mismatch()) };
    Ok(Outcome::json(&TriggerList { triggers })?.tagged(as_of))
}

pub(crate) async fn draft(call: Call) -> Result<Outcome> {
    let (answer, as_of) = ask(&call, DefinitionQuery::Draft(name(&call)?)).await?;
    let DefinitionAnswer::Draft(source) = answer else { return Err(mismatch()) };
    Ok(Outcome::json(&Draft { source })?.tagged(as_of))
}

pub(crate) async fn save_draft(call: Call) -> Result<Outcome> {
    let (name, Draft { source }) = (name(&call)?, call.json()?);
    write(&call, DefinitionCommand::SaveDraft { name, source }).await
}

pub(crate) async fn delete_draft(call: Call) -> Result<Outcome> {
    write(&call, DefinitionCommand::DeleteDraft { name: name(&call)? }).await
}

async fn write(call: &Call, command: DefinitionCommand) -> Result<Outcome> {
    let committed = call.write(call.namespace()?, vec![command.into()]).await?;
    Ok(Outcome::done().at(committed.revision))
}

async fn list_runs(call: &Call, name: Option<String>) -> Result<Outcome> {
    let params = call.params()?;
    let page = Page { after: params.previous_id()?, limit: params.limit()? };
    let (answer, as_of) = ask(call, DefinitionQuery::Runs(name, page)).await?;
    let DefinitionAnswer::Runs(runs) = answer else { return Err(mismatch()) };
    Ok(Outcome::json(&RunList { runs })?.tagged(as_of))
}

pub(crate) async fn runs(call: Call) -> Result<Outcome> {
    list_runs(&call, None).await
}

pub(crate) async fn runs_of(call: Call) -> Result<Outcome> {
    let name = name(&call)?;
    list_runs(&call, Some(name)).await
}

pub(crate) async fn run(call: Call) -> Result<Outcome> {
    let text = call.part("{run}")?;
    let wrong = |_| model::Error::bad_input(format!("run {text:?} is no number"));
    let id: Id = text.parse().map_err(wrong)?;
    let (answer, as_of) = ask(&call, DefinitionQuery::Run(id)).await?;
    let DefinitionAnswer::Runs(runs) = answer else { return Err(mismatch()) };
    let run = runs.into_iter().next().ok_or_else(mismatch)?;
    Ok(Outcome::json::<model::Run>(&run)?.tagged(as_of))
}

/// Lists the changes to the catalog that are about this namespace.
pub(crate) async fn changes(call: Call) -> Result<Outcome> {
    let params = call.params()?;
    let page = Page { after: params.previous_id()?, limit: params.limit()? };
    let (answer, _) = ask(&call, DefinitionQuery::Changes(page)).await?;
    let DefinitionAnswer::Changes(mut changes) = answer else { return Err(mismatch()) };
    let own = call.namespace()?;
    changes.retain(|change| change.namespace == own.as_str());
    Outcome::json(&ChangeList { changes })
}

pub(crate) async fn audit(call: Call) -> Result<Outcome> {
    let (answer, as_of) = ask(&call, DefinitionQuery::Audit).await?;
    let DefinitionAnswer::Audit(findings) = answer else { return Err(mismatch()) };
    Ok(Outcome::json(&AuditList { findings })?.tagged(as_of))
}

pub(crate) async fn pipeline(call: Call) -> Result<Outcome> {
    let (answer, _) = ask(&call, DefinitionQuery::Pipeline).await?;
    let DefinitionAnswer::Pipeline(pipeline) = answer else { return Err(mismatch()) };
    Outcome::json::<model::Pipeline>(&pipeline)
}
