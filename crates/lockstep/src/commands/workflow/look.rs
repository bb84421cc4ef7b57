//! Looking at definitions, their versions, their runs and the pipeline.

use anyhow::Result;
use client::Lockstep;
use model::{
    Answer, Definition, DefinitionAnswer, DefinitionQuery, Page, Pipeline, Query, Run, Trigger,
    Version,
};
use serde_json::json;

use super::OneArgs;
use crate::{
    connect::{Part, Session, pages, unexpected},
    failure::Failure,
    output::{printable, table},
    view,
};

/// Asks about definitions.
pub(super) async fn ask(place: &Lockstep, query: DefinitionQuery) -> Result<DefinitionAnswer> {
    match place.ask(Query::Definitions(place.namespace().clone(), query)).await? {
        Answer::Definitions(answer) => Ok(answer),
        _ => Err(unexpected().into()),
    }
}

async fn page(place: &Lockstep, page: Page<String>) -> model::Result<Vec<Definition>> {
    let query = Query::Definitions(place.namespace().clone(), DefinitionQuery::List(page));
    match place.ask(query).await? {
        Answer::Definitions(DefinitionAnswer::Definitions(found)) => Ok(found),
        _ => Err(unexpected()),
    }
}

/// Gives all definitions of a namespace.
pub(super) async fn all(place: &Lockstep) -> Result<Vec<Definition>> {
    let key = |one: &Definition| one.name.clone();
    Ok(pages(0, None, key, async |part| page(place, part).await).await?.0)
}

pub(super) async fn list(session: &Session, part: Part) -> Result<()> {
    let place = &session.lockstep;
    let key = |one: &Definition| one.name.clone();
    let fetch = async |part| page(place, part).await;
    let (found, next) = pages(part.limit, part.after, key, fetch).await?;
    let row = |one: &Definition| {
        vec![
            printable(&one.name),
            one.published.clone().unwrap_or_else(|| "-".to_owned()),
            one.revision.to_string(),
            one.changed.to_string(),
        ]
    };
    session.out.data(&json!({"definitions": found, "next": next}), || {
        let rows: Vec<_> = found.iter().map(row).collect();
        table(&["name", "published", "revision", "changed"], &rows)
    })
}

/// Gives a version with its text.
pub(super) async fn version(
    place: &Lockstep,
    name: &str,
    version: Option<String>,
) -> Result<Version> {
    match ask(place, DefinitionQuery::Version(name.to_owned(), version)).await? {
        DefinitionAnswer::Version(version) => Ok(version),
        _ => Err(unexpected().into()),
    }
}

pub(super) async fn show(
    session: &Session,
    one: &OneArgs,
    of: Option<String>,
    source: bool,
) -> Result<()> {
    let (place, name) = one.place(session)?;
    if source || of.is_some() {
        let found = version(&place, &name, of).await?;
        let text = found.source.clone();
        let shown = serde_json::to_value(&found)?;
        return session.out.data(&shown, || if source { text } else { head_of(&found) });
    }
    let DefinitionAnswer::Definition(found) =
        ask(&place, DefinitionQuery::One(name.clone())).await?
    else {
        return Err(unexpected().into());
    };
    let DefinitionAnswer::Triggers(triggers) =
        ask(&place, DefinitionQuery::Triggers(Some(name))).await?
    else {
        return Err(unexpected().into());
    };
    session.out.data(&json!({"definition": found, "triggers": triggers}), || {
        let published = found.published.as_deref().unwrap_or("nothing");
        let head = format!(
            "{} publishes {published}, revision {}, epoch {}, since {}\n\n",
            printable(&found.name),
            found.revision,
            found.epoch,
            found.changed
        );
        head + &triggers_table(&triggers)
    })
}

fn head_of(version: &Version) -> String {
    let Version { definition, version, hash, created, author, .. } = version;
    format!("{} {version}, published {created} by {author:?}\nhash {hash}", printable(definition))
}

fn triggers_table(triggers: &[Trigger]) -> String {
    if triggers.is_empty() {
        return "it has no triggers".to_owned();
    }
    let row = |one: &Trigger| {
        vec![
            printable(&one.name),
            one.kind.clone(),
            printable(&one.text),
            if one.is_paused { "paused".to_owned() } else { view::time(one.next) },
            view::time(one.last),
            one.fired.to_string(),
        ]
    };
    let rows: Vec<_> = triggers.iter().map(row).collect();
    table(&["trigger", "kind", "on", "next", "last", "fired"], &rows)
}

pub(super) async fn history(session: &Session, one: &OneArgs, id: Option<u64>) -> Result<()> {
    let (place, name) = one.place(session)?;
    if let Some(id) = id {
        return run(session, &place, id).await;
    }
    let DefinitionAnswer::Versions(versions) =
        ask(&place, DefinitionQuery::Versions(name.clone())).await?
    else {
        return Err(unexpected().into());
    };
    let DefinitionAnswer::Runs(runs) =
        ask(&place, DefinitionQuery::Runs(Some(name), Page::default())).await?
    else {
        return Err(unexpected().into());
    };
    let version = |one: &Version| {
        let short: String = one.hash.chars().take(12).collect();
        vec![one.version.clone(), short, one.created.to_string(), printable(&one.author)]
    };
    let of_run = |one: &Run| {
        vec![
            one.id.to_string(),
            one.operation.clone(),
            one.state.clone(),
            one.epoch.map_or_else(|| "-".to_owned(), |epoch| epoch.to_string()),
            one.started.to_string(),
            printable(&one.actor),
            printable(one.error.as_deref().unwrap_or_default()),
        ]
    };
    session.out.data(&json!({"versions": versions, "runs": runs}), || {
        let rows: Vec<_> = versions.iter().map(version).collect();
        let of_versions = table(&["version", "hash", "published", "by"], &rows);
        let rows: Vec<_> = runs.iter().map(of_run).collect();
        let heads = ["run", "operation", "state", "epoch", "started", "by", "error"];
        format!("{of_versions}\n{}", table(&heads, &rows))
    })
}

async fn run(session: &Session, place: &Lockstep, id: u64) -> Result<()> {
    let DefinitionAnswer::Runs(runs) = ask(place, DefinitionQuery::Run(id)).await? else {
        return Err(unexpected().into());
    };
    let Some(run) = runs.into_iter().next() else { return Err(unexpected().into()) };
    session.out.data(&serde_json::to_value(&run)?, || {
        let row = |(number, one): (usize, &model::Stage)| {
            vec![
                (number + 1).to_string(),
                one.phase.clone(),
                one.name.clone(),
                one.micros.to_string(),
                one.outcome.clone(),
                printable(&one.detail),
            ]
        };
        let rows: Vec<_> = run.stages.iter().enumerate().map(row).collect();
        let what = run.definitions.join(", ");
        let head = format!("{} of {}: {}\n\n", run.operation, printable(&what), run.state);
        head + &table(&["n", "phase", "stage", "micros", "outcome", "detail"], &rows)
    })
}

pub(super) async fn pipeline(session: &Session) -> Result<()> {
    let answer = ask(&session.lockstep, DefinitionQuery::Pipeline).await?;
    let DefinitionAnswer::Pipeline(pipeline) = answer else { return Err(unexpected().into()) };
    let shown = serde_json::to_value(&pipeline)?;
    session.out.data(&shown, || explained(&pipeline))
}

/// Lays out the pipeline.
fn explained(pipeline: &Pipeline) -> String {
    let row = |(number, one): (usize, &model::PipelineStage)| {
        let number = (number + 1).to_string();
        vec![number, one.phase.clone(), one.name.clone(), one.summary.clone()]
    };
    let rows: Vec<_> = pipeline.stages.iter().enumerate().map(row).collect();
    let stages = table(&["n", "phase", "stage", "what it does"], &rows);
    format!("{stages}\nfingerprint {}\n", pipeline.fingerprint)
}

pub(super) async fn audit(session: &Session) -> Result<()> {
    let answer = ask(&session.lockstep, DefinitionQuery::Audit).await?;
    let DefinitionAnswer::Audit(findings) = answer else { return Err(unexpected().into()) };
    session.out.data(&json!({"findings": findings}), || match findings.is_empty() {
        true => "everything holds".to_owned(),
        false => printable(&findings.join("\n")),
    })?;
    match findings.len() {
        0 => Ok(()),
        count => {
            let hint = "please report it with the server's log; nothing was changed";
            Err(Failure::differs(format!("{count} things do not hold"), hint).into())
        }
    }
}
