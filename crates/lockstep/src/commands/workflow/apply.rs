//! Publishing what changed in a folder.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use client::Lockstep;
use model::{
    Answer, DefinitionAnswer, DefinitionCommand, DefinitionQuery, Error, Namespace, Publish,
    Published, Query, Running, Terms,
};
use serde_json::json;

use super::{change, document::Document, look, of};
use crate::{
    connect::{Session, unexpected},
    failure::Failure,
    output::{printable, table},
};

/// What else to do, or not to do.
pub(super) struct Options {
    pub(super) prune: bool,
    pub(super) dry_run: bool,
}

/// What is to be done to one definition.
struct Step {
    namespace: Namespace,
    name: String,
    what: &'static str,
    version: String,
}

/// Publishes what changed, and retracts what is gone if that is wanted.
pub(super) async fn run(
    session: &Session,
    folder: &Path,
    options: Options,
    terms: &Terms,
) -> Result<()> {
    let mut of_namespace: BTreeMap<Namespace, Vec<Document>> = BTreeMap::new();
    for path in documents(folder)? {
        let document = Document::read(&path.to_string_lossy())?;
        of_namespace.entry(document.namespace()?).or_default().push(document);
    }
    if of_namespace.is_empty() {
        let message = format!("{} has no definitions", folder.display());
        return Err(Failure::usage(message, "name a folder with .yaml or .json files").into());
    }
    let (mut steps, mut published) = (Vec::new(), Vec::new());
    for (namespace, documents) in of_namespace {
        let place = of(session, namespace);
        let gone = if options.prune { gone(&place, &documents).await? } else { Vec::new() };
        let mut commands = Vec::new();
        for document in documents {
            let what = compare(&place, &document).await?;
            steps.push(step(&place, document.name(), what, document.version()));
            let (source, terms) = (document.source, terms.clone());
            commands.push(DefinitionCommand::Publish(Publish { source, base: None, terms }));
        }
        for name in gone {
            steps.push(step(&place, &name, "retract", "-"));
            let (base, running, terms) = (None, Running::Keep, terms.clone());
            commands.push(DefinitionCommand::Retract { name, base, running, terms });
        }
        if !options.dry_run {
            published.extend(change::change(&place, commands).await?);
        }
    }
    if options.dry_run { show(session, &steps) } else { told(session, &published) }
}

fn step(place: &Lockstep, name: &str, what: &'static str, version: &str) -> Step {
    let (namespace, name) = (place.namespace().clone(), name.to_owned());
    Step { namespace, name, what, version: version.to_owned() }
}

fn told(session: &Session, published: &[Published]) -> Result<()> {
    change::show(session.out, published)?;
    let changed = published.iter().filter(|one| one.is_changed).count();
    session.out.note(format!("{changed} changed, {} as they were", published.len() - changed));
    Ok(())
}

/// Finds the documents of a folder, in the order of their paths.
fn documents(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        let cannot = || format!("cannot read the folder {}", folder.display());
        for entry in fs::read_dir(&folder).with_context(cannot)? {
            let path = entry.with_context(cannot)?.path();
            let ending = path.extension().and_then(|ending| ending.to_str());
            match ending {
                _ if path.is_dir() => open.push(path),
                Some("yaml" | "yml" | "json") => found.push(path),
                _ => {}
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Says what publishing a document would do.
async fn compare(place: &Lockstep, document: &Document) -> Result<&'static str> {
    let query = DefinitionQuery::Version(document.name().to_owned(), None);
    match place.ask(Query::Definitions(place.namespace().clone(), query)).await {
        Ok(Answer::Definitions(DefinitionAnswer::Version(version))) => {
            Ok(if version.hash == document.read.content_hash() { "keep" } else { "publish" })
        }
        Ok(_) => Err(unexpected().into()),
        Err(
            Error::NoSuchNamespace(_) | Error::NoSuchDefinition(_) | Error::NoSuchVersion { .. },
        ) => Ok("publish"),
        Err(error) => Err(error.into()),
    }
}

/// Gives the published definitions that are not among the documents.
async fn gone(place: &Lockstep, documents: &[Document]) -> Result<Vec<String>> {
    let known = match look::all(place).await {
        Ok(known) => known,
        Err(error) if is_nowhere(&error) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let is_gone = |name: &String| !documents.iter().any(|document| document.name() == name);
    let published = known.into_iter().filter(|one| one.published.is_some());
    Ok(published.map(|one| one.name).filter(is_gone).collect())
}

fn is_nowhere(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref::<Error>(), Some(Error::NoSuchNamespace(_)))
}

fn show(session: &Session, steps: &[Step]) -> Result<()> {
    let shown: Vec<_> = steps
        .iter()
        .map(|step| {
            let Step { namespace, name, what, version } = step;
            json!({"namespace": namespace.as_str(), "name": name, "do": what, "version": version})
        })
        .collect();
    let row = |step: &Step| {
        let place = format!("{}/{}", step.namespace, step.name);
        vec![printable(&place), step.what.to_owned(), step.version.clone()]
    };
    session.out.data(&json!({"steps": shown}), || {
        table(&["definition", "do", "version"], &steps.iter().map(row).collect::<Vec<_>>())
    })
}
