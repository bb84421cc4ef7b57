//! What is to be changed, made ready before the transaction: parsed, checked, compiled, planned.

use model::{Error, Namespace, Query, Result, Revision, Running, SpecName, SpecRef};
use serde_json::Value as Json;
use store::{Tx, TxExt as _};

use super::{
    rows::{DefinitionRow, VersionRow},
    trigger::Wanted,
};
use crate::concurrency::Turns;
use crate::{Definition, Problem, expression::is_computed, run::Program};

/// One change of a run, sealed: the transaction decides nothing about the document any more.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The definition.
    pub name: String,
    /// The revision that the caller saw.
    pub base: Option<Revision>,
    /// What to do.
    pub action: Action,
}

/// What to do with a definition.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Publish a version.
    Publish(Box<NewVersion>),
    /// Publish a version that is there already.
    Rollback {
        /// The version.
        version: String,
        /// Its hash.
        hash: String,
        /// The triggers that its document wants.
        triggers: Vec<Wanted>,
        /// How its instances take turns.
        turns: Option<Turns>,
    },
    /// Start nothing more.
    Retract(Running),
    /// The same, and hide the name.
    Delete(Running),
    /// Remove a version.
    DeleteVersion(String),
}

/// A version that may be new.
#[derive(Clone, Debug, PartialEq)]
pub struct NewVersion {
    /// The author's version.
    pub version: String,
    /// The hash of its canonical form.
    pub hash: String,
    /// The text.
    pub source: String,
    /// Who publishes it.
    pub author: String,
    /// The compiled form.
    pub program: Json,
    /// The triggers that it wants.
    pub triggers: Vec<Wanted>,
    /// How its instances take turns.
    pub turns: Option<Turns>,
    /// What it refers to.
    pub refers: Vec<Reference>,
    /// What is odd about it.
    pub warnings: Vec<String>,
}

impl Change {
    /// Gives the word for what is done.
    pub fn operation(&self) -> &'static str {
        match self.action {
            Action::Publish(_) => "publish",
            Action::Rollback { .. } => "rollback",
            Action::Retract(_) => "retract",
            Action::Delete(_) => "delete",
            Action::DeleteVersion(_) => "delete_version",
        }
    }

    /// Gives what becomes of running instances, if anything does.
    pub fn running(&self) -> Option<Running> {
        match self.action {
            Action::Retract(running) | Action::Delete(running) => {
                Some(running).filter(|running| *running != Running::Keep)
            }
            Action::Publish(_) | Action::Rollback { .. } | Action::DeleteVersion(_) => None,
        }
    }
}

/// Reads a document.
///
/// # Errors
/// [`Error::BadDefinition`] with everything that is wrong with it.
pub fn parse(source: &str) -> Result<Definition> {
    Definition::parse(source).map_err(|found| bad(&found))
}

/// Says that a document cannot be published.
pub fn bad(found: &[Problem]) -> Error {
    let errors = found.iter().filter(|one| one.severity == crate::Severity::Error);
    Error::BadDefinition(errors.map(|one| format!("{one} ({})", one.hint)).collect())
}

/// Checks what a document says of itself against where it is to be published.
///
/// # Errors
/// [`Error::BadDefinition`].
pub fn check(definition: &Definition, namespace: &Namespace) -> Result<()> {
    let named = definition.document.document.namespace.as_str();
    if named == namespace.as_str() {
        return Ok(());
    }
    Err(Error::BadDefinition(vec![format!(
        "the document is of namespace {named:?}, but it is published in {:?}",
        namespace.as_str()
    )]))
}

/// Compiles a document.
///
/// # Errors
/// [`Error::BadDefinition`] with everything that cannot be compiled.
pub fn compile(definition: &Definition) -> Result<Json> {
    let program = Program::compile(definition).map_err(|found| bad(&found))?;
    serde_json::to_value(&program)
        .map_err(|error| Error::Internal(format!("a program cannot be written: {error}")))
}

/// Something outside of a document that it names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reference {
    /// A workflow that it runs, by namespace and name.
    Workflow(String, String),
    /// A work spec that it adds units to.
    Spec(String),
}

impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Workflow(namespace, name) => write!(f, "workflow {namespace}/{name}"),
            Self::Spec(name) => write!(f, "work spec {name}"),
        }
    }
}

/// Lists what a document names outside of itself, in order and once each.
pub fn references(definition: &Definition) -> Vec<Reference> {
    let document = serde_json::to_value(&definition.document).unwrap_or_default();
    let mut found = Vec::new();
    collect(&document, &mut found);
    found.sort_unstable();
    found.dedup();
    found
}

fn collect(json: &Json, found: &mut Vec<Reference>) {
    let text = |value: Option<&Json>| {
        value.and_then(Json::as_str).filter(|text| !is_computed(text)).map(str::to_owned)
    };
    match json {
        Json::Object(map) => {
            let run = map.get("run").and_then(|run| run.get("workflow"));
            if let Some(run) = run
                && let (Some(namespace), Some(name)) =
                    (text(run.get("namespace")), text(run.get("name")))
            {
                found.push(Reference::Workflow(namespace, name));
            }
            if map.get("call").and_then(Json::as_str) == Some("work") {
                let spec = text(map.get("with").and_then(|with| with.get("spec")));
                found.extend(spec.map(Reference::Spec));
            }
            map.values().for_each(|value| collect(value, found));
        }
        Json::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

/// Says which of the things that a document names are not there. They may come later, so this is
/// no error; `bundle` are the names that are published together with it.
pub fn resolve(
    tx: &mut dyn Tx,
    namespace: &Namespace,
    references: &[Reference],
    bundle: &[&str],
) -> Result<Vec<String>> {
    let mut missing = Vec::new();
    for reference in references {
        let is_there = match reference {
            Reference::Workflow(of, name)
                if of == namespace.as_str() && bundle.contains(&name.as_str()) =>
            {
                true
            }
            Reference::Workflow(of, name) => is_published(tx, of, name)?,
            Reference::Spec(name) => match SpecName::new(name.as_str()) {
                Ok(name) => {
                    let spec = SpecRef { name, id: None };
                    queue::answer(tx, &Query::Spec(namespace.clone(), spec)).is_ok()
                }
                Err(_) => false,
            },
        };
        if !is_there {
            missing.push(format!("{reference} is not there yet"));
        }
    }
    Ok(missing)
}

fn is_published(tx: &mut dyn Tx, namespace: &str, name: &str) -> Result<bool> {
    let Ok((_, live)) = Namespace::new(namespace).and_then(|namespace| queue::live(tx, &namespace))
    else {
        return Ok(false);
    };
    let row: Option<DefinitionRow> = tx.get(DefinitionRow::key(live, name))?;
    Ok(row.is_some_and(|row| row.head.published.is_some()))
}

/// Loads a version that is to be published again.
///
/// # Errors
/// [`Error::NoSuchDefinition`], [`Error::NoSuchVersion`].
pub fn version_of(
    tx: &mut dyn Tx,
    namespace: &Namespace,
    name: &str,
    version: &str,
) -> Result<VersionRow> {
    let (_, live) = queue::live(tx, namespace)?;
    let head: Option<DefinitionRow> = tx.get(DefinitionRow::key(live, name))?;
    let head = head.filter(|head| !head.head.is_deleted);
    let head = head.ok_or_else(|| Error::NoSuchDefinition(name.to_owned()))?;
    let row: Option<VersionRow> = tx.get(VersionRow::key(live, head.id, version))?;
    row.ok_or_else(|| no_version(name, version))
}

/// Says that a version is not there.
pub(super) fn no_version(definition: &str, version: &str) -> Error {
    Error::NoSuchVersion { definition: definition.to_owned(), version: version.to_owned() }
}
