//! Preparation: everything that may be refused, and everything that takes time.

use std::sync::Arc;

use flow::{
    Definition,
    publish::{self, Action, Change, NewVersion, Reference, Wanted},
};
use model::{DefinitionCommand, Error, Namespace, Publish, Result, Revision, Write};

use super::{commands, extension::Proposal, trace::Trace};
use crate::{shared::Shared, workflow::job};

/// Makes everything ready, so that the transaction has nothing to decide about documents.
pub(crate) async fn prepare(
    shared: &Arc<Shared>,
    write: &Arc<Write>,
    trace: &mut Trace,
) -> Result<Arc<[Change]>> {
    trace.begin("parse");
    let mut parts = parse(shared, write).await?;
    let names: Vec<String> = parts.iter().map(|part| part.name.clone()).collect();
    for (index, name) in names.iter().enumerate() {
        if names.iter().take(index).any(|other| other == name) {
            return Err(Error::bad_input(format!("{name:?} is changed twice in one bundle")));
        }
    }
    trace.end(names.join(", "));
    trace.stage("normalize", || {
        documents(&mut parts).for_each(|document| document.hash = document.read.content_hash());
        let hashes = documents(&mut parts).map(|document| document.hash.clone());
        Ok(((), hashes.collect::<Vec<_>>().join(", ")))
    })?;
    trace.stage("validate", || {
        let mut documents = documents(&mut parts);
        documents.try_for_each(|document| publish::check(&document.read, &write.namespace))?;
        Ok(((), String::new()))
    })?;
    trace.begin("compile");
    compile(&mut parts).await?;
    trace.end(String::new());
    trace.begin("resolve");
    let warnings = resolve(shared, &write.namespace, &mut parts, names).await?;
    trace.end(warnings);
    trace.stage("plan-triggers", || plan(&mut parts))?;
    let actor = actor(write);
    let changes: Arc<[Change]> = parts.into_iter().map(|part| part.seal(&actor)).collect();
    extend(shared, &write.namespace, &actor, &changes, trace).await?;
    trace.stage("seal", || {
        Ok(((), changes.iter().map(Change::operation).collect::<Vec<_>>().join(", ")))
    })?;
    Ok(changes)
}

/// One command under way.
struct Part {
    name: String,
    base: Option<Revision>,
    kind: Kind,
}

enum Kind {
    Publish(Box<Document>),
    Rollback { version: String, document: Box<Document> },
    Plain(Action),
}

/// A document under way.
struct Document {
    read: Definition,
    source: String,
    hash: String,
    program: serde_json::Value,
    refers: Vec<Reference>,
    triggers: Vec<Wanted>,
    warnings: Vec<String>,
}

impl Document {
    fn new(source: String, read: Definition) -> Self {
        let warnings = read.warnings.iter().map(|one| format!("{one} ({})", one.hint)).collect();
        let (hash, program) = (String::new(), serde_json::Value::Null);
        let (refers, triggers) = (publish::references(&read), Vec::new());
        Self { read, source, hash, program, refers, triggers, warnings }
    }
}

impl Part {
    fn seal(self, actor: &str) -> Change {
        let action = match self.kind {
            Kind::Publish(document) => {
                let Document { read, source, hash, program, refers, triggers, warnings } =
                    *document;
                let version = read.document.document.version.as_str().to_owned();
                let author = actor.to_owned();
                let turns = turns(&read);
                Action::Publish(Box::new(NewVersion {
                    version,
                    hash,
                    source,
                    author,
                    program,
                    triggers,
                    turns,
                    refers,
                    warnings,
                }))
            }
            Kind::Rollback { version, document } => {
                let turns = turns(&document.read);
                let Document { hash, triggers, .. } = *document;
                Action::Rollback { version, hash, triggers, turns }
            }
            Kind::Plain(action) => action,
        };
        Change { name: self.name, base: self.base, action }
    }
}

fn turns(read: &Definition) -> Option<flow::Turns> {
    read.document.concurrency.as_ref().map(flow::Turns::of)
}

fn documents(parts: &mut [Part]) -> impl Iterator<Item = &mut Document> {
    parts.iter_mut().filter_map(|part| match &mut part.kind {
        Kind::Publish(document) | Kind::Rollback { document, .. } => Some(&mut **document),
        Kind::Plain(_) => None,
    })
}

fn actor(write: &Write) -> String {
    let actors = commands(write).filter_map(|command| command.terms()).map(|terms| &terms.actor);
    actors.max().cloned().unwrap_or_default()
}

/// Reads the documents; that of a version that is to be published again was right before.
async fn parse(shared: &Arc<Shared>, write: &Arc<Write>) -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    for command in commands(write) {
        let plain = |name: &str, base: &Option<Revision>, action| Part {
            name: name.to_owned(),
            base: *base,
            kind: Kind::Plain(action),
        };
        parts.push(match command {
            DefinitionCommand::Publish(Publish { source, base, .. }) => {
                let document = read(source.clone()).await?;
                let name = document.read.document.document.name.as_str().to_owned();
                Part { name, base: *base, kind: Kind::Publish(Box::new(document)) }
            }
            DefinitionCommand::Rollback { name, version, base, .. } => {
                let (namespace, of) = (write.namespace.clone(), (name.clone(), version.clone()));
                let row =
                    job::look(shared, move |tx| publish::version_of(tx, &namespace, &of.0, &of.1));
                let document = Box::new(read(row.await?.body.source).await?);
                let kind = Kind::Rollback { version: version.clone(), document };
                Part { name: name.clone(), base: *base, kind }
            }
            DefinitionCommand::Retract { name, base, running, .. } => {
                plain(name, base, Action::Retract(*running))
            }
            DefinitionCommand::Delete { name, base, running, .. } => {
                plain(name, base, Action::Delete(*running))
            }
            DefinitionCommand::DeleteVersion { name, version, .. } => {
                plain(name, &None, Action::DeleteVersion(version.clone()))
            }
            DefinitionCommand::SaveDraft { .. } | DefinitionCommand::DeleteDraft { .. } => continue,
        });
    }
    Ok(parts)
}

/// Reads one document, where it keeps nobody else waiting.
async fn read(source: String) -> Result<Document> {
    blocking(move || publish::parse(&source).map(|read| Document::new(source, read))).await
}

/// Does what takes a processor for a while.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(Error::Internal(format!("a stage did not end: {error}"))))
}

async fn compile(parts: &mut [Part]) -> Result<()> {
    for document in documents(parts) {
        let read = document.read.clone();
        document.program = blocking(move || publish::compile(&read)).await?;
    }
    Ok(())
}

/// Looks for what the documents name; what is missing is a warning, since it may come later.
async fn resolve(
    shared: &Arc<Shared>,
    namespace: &Namespace,
    parts: &mut [Part],
    bundle: Vec<String>,
) -> Result<String> {
    let refers: Vec<Vec<Reference>> =
        documents(parts).map(|document| document.refers.clone()).collect();
    if refers.iter().all(Vec::is_empty) {
        return Ok(String::new());
    }
    let namespace = namespace.clone();
    let found = job::look(shared, move |tx| {
        let bundle: Vec<&str> = bundle.iter().map(String::as_str).collect();
        let one = |refers: &Vec<Reference>| publish::resolve(tx, &namespace, refers, &bundle);
        refers.iter().map(one).collect::<Result<Vec<_>>>()
    });
    let found = found.await?;
    let all = found.concat().join(", ");
    for (document, warnings) in documents(parts).zip(found) {
        document.warnings.extend(warnings);
    }
    Ok(all)
}

fn plan(parts: &mut [Part]) -> Result<((), String)> {
    let mut names = Vec::new();
    for document in documents(parts) {
        let planned = publish::plan_triggers(&document.read.document);
        document.triggers = planned.map_err(|why| Error::BadDefinition(vec![why]))?;
        names.extend(document.triggers.iter().map(|trigger| trigger.name.clone()));
    }
    Ok(((), names.join(", ")))
}

/// Asks the stages that were added.
async fn extend(
    shared: &Arc<Shared>,
    namespace: &Namespace,
    actor: &str,
    changes: &[Change],
    trace: &mut Trace,
) -> Result<()> {
    let stages = &shared.stages.extensions.prepare;
    if stages.is_empty() {
        trace.skip("prepare-extensions", "there are none");
    }
    for stage in stages {
        trace.begin(&format!("prepare:{}", stage.id()));
        let detail = stage.run(Proposal { namespace, actor, changes }).await?;
        trace.end(detail);
    }
    Ok(())
}
