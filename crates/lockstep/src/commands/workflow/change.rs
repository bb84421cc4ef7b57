//! Publishing, retracting, deleting, going back, and drafts.

use anyhow::Result;
use client::Lockstep;
use model::{
    Answer, Command, DefinitionAnswer, DefinitionCommand, DefinitionQuery, Publish, Published,
    Query, Reply, Terms,
};
use serde_json::json;

use super::{OneArgs, WithdrawArgs, document::Document, of};
use crate::{
    connect::{Session, unexpected},
    failure::Failure,
    files,
    output::{Output, printable, table},
};

/// Publishes files as one change.
pub(super) async fn publish(
    session: &Session,
    paths: &[String],
    base: Option<u64>,
    terms: &Terms,
) -> Result<()> {
    let documents = paths.iter().map(|path| Document::read(path)).collect::<Result<Vec<_>>>()?;
    let Some(first) = documents.first() else { return Ok(()) };
    let namespace = first.namespace()?;
    for other in &documents {
        if other.namespace()? != namespace {
            let message = format!("{} and {} are of two namespaces", first.path, other.path);
            return Err(Failure::usage(message, "publish them one after the other").into());
        }
    }
    let commands = documents.into_iter().map(|document| {
        let source = document.source;
        DefinitionCommand::Publish(Publish { source, base, terms: terms.clone() })
    });
    let place = of(session, namespace);
    let published = change(&place, commands.collect()).await?;
    show(session.out, &published)
}

/// Sends changes as one write.
pub(super) async fn change(
    place: &Lockstep,
    commands: Vec<DefinitionCommand>,
) -> Result<Vec<Published>> {
    let commands: Vec<Command> = commands.into_iter().map(Into::into).collect();
    let replies = place.write(commands).await?.replies;
    let published = replies.into_iter().map(|reply| match reply {
        Reply::Definition(published) => Ok(published),
        _ => Err(unexpected().into()),
    });
    published.collect()
}

/// Shows what became of definitions, and what is odd about them.
pub(super) fn show(out: Output, published: &[Published]) -> Result<()> {
    for one in published {
        for warning in &one.warnings {
            out.note(format!("warning: {}: {warning}", one.name));
        }
    }
    let row = |one: &Published| {
        vec![
            printable(&one.name),
            one.version.clone().unwrap_or_else(|| "-".to_owned()),
            one.revision.to_string(),
            one.epoch.to_string(),
            one.run.to_string(),
            one.state.clone(),
            triggers(one),
        ]
    };
    let heads = ["name", "published", "revision", "epoch", "run", "state", "triggers"];
    out.data(&json!({"published": published}), || {
        table(&heads, &published.iter().map(row).collect::<Vec<_>>())
    })
}

/// Writes what was done to triggers.
fn triggers(one: &Published) -> String {
    let names = one.triggers.marked().map(|(mark, name)| format!("{mark}{}", printable(name)));
    names.collect::<Vec<_>>().join(" ")
}

pub(super) async fn retract(session: &Session, args: WithdrawArgs) -> Result<()> {
    let (place, name) = args.one.place(session)?;
    let (base, running, terms) = (args.base, args.running.into(), args.wait.terms());
    let command = DefinitionCommand::Retract { name, base, running, terms };
    show(session.out, &change(&place, vec![command]).await?)
}

pub(super) async fn delete(
    session: &Session,
    args: WithdrawArgs,
    version: Option<String>,
    yes: bool,
) -> Result<()> {
    let (place, name) = args.one.place(session)?;
    let terms = args.wait.terms();
    let (what, command) = match version {
        Some(version) => (
            format!("delete version {version} of \"{}\"", printable(&name)),
            DefinitionCommand::DeleteVersion { name, version, terms },
        ),
        None => (
            format!("delete definition \"{}\"", printable(&name)),
            DefinitionCommand::Delete {
                name,
                base: args.base,
                running: args.running.into(),
                terms,
            },
        ),
    };
    session.out.confirm(&what, yes)?;
    show(session.out, &change(&place, vec![command]).await?)
}

pub(super) async fn rollback(
    session: &Session,
    one: &OneArgs,
    version: String,
    base: Option<u64>,
    terms: Terms,
) -> Result<()> {
    let (place, name) = one.place(session)?;
    let command = DefinitionCommand::Rollback { name, version, base, terms };
    show(session.out, &change(&place, vec![command]).await?)
}

/// Keeps, shows or forgets a draft.
pub(super) async fn draft(
    session: &Session,
    one: &OneArgs,
    file: Option<String>,
    delete: bool,
) -> Result<()> {
    let (place, name) = one.place(session)?;
    match file {
        Some(file) => {
            let source = files::text(&file)?;
            place.command(DefinitionCommand::SaveDraft { name: name.clone(), source }).await?;
            session.out.data(&json!({"saved": name}), || format!("saved a draft of {name}"))
        }
        None if delete => {
            place.command(DefinitionCommand::DeleteDraft { name: name.clone() }).await?;
            session.out.data(&json!({"deleted": name}), || format!("deleted the draft of {name}"))
        }
        None => {
            let query = DefinitionQuery::Draft(name.clone());
            let query = Query::Definitions(place.namespace().clone(), query);
            let Answer::Definitions(DefinitionAnswer::Draft(source)) = place.ask(query).await?
            else {
                return Err(unexpected().into());
            };
            session.out.data(&json!({"name": name, "source": source}), || source.clone())
        }
    }
}
