//! Workflow definitions: what changes them, what can be asked of them, and what is told.

mod command;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use command::{DefinitionCommand, Publish, Running, Terms, Until};

use crate::{Id, Page, Revision, Time};

/// A question about the definitions of a namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum DefinitionQuery {
    /// Definitions in name order. Answers [`DefinitionAnswer::Definitions`].
    List(Page<String>),
    /// One definition. Answers [`DefinitionAnswer::Definition`].
    One(String),
    /// The versions of a definition, newest first. Answers [`DefinitionAnswer::Versions`].
    Versions(String),
    /// One version; none is the published one. Answers [`DefinitionAnswer::Version`].
    Version(String, Option<String>),
    /// A draft. Answers [`DefinitionAnswer::Draft`].
    Draft(String),
    /// The triggers of a definition, or of all. Answers [`DefinitionAnswer::Triggers`].
    Triggers(Option<String>),
    /// Runs of the pipeline, newest first, of a definition or of all; the page is by run id.
    /// Answers [`DefinitionAnswer::Runs`].
    Runs(Option<String>, Page<Id>),
    /// One run with its stages. Answers [`DefinitionAnswer::Runs`] with one.
    Run(Id),
    /// Changes to the catalog after an epoch, of all namespaces. Answers
    /// [`DefinitionAnswer::Changes`].
    Changes(Page<u64>),
    /// What the definitions of the namespace break of the invariants; nothing if all is well.
    /// Answers [`DefinitionAnswer::Audit`].
    Audit,
    /// The stages of the pipeline. Answers [`DefinitionAnswer::Pipeline`].
    Pipeline,
}

/// The answer to a [`DefinitionQuery`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DefinitionAnswer {
    /// Definitions, one page.
    Definitions(Vec<Definition>),
    /// A definition.
    Definition(Definition),
    /// Versions, without their documents.
    Versions(Vec<Version>),
    /// A version with its document.
    Version(Version),
    /// The text of a draft.
    Draft(String),
    /// Triggers.
    Triggers(Vec<Trigger>),
    /// Runs of the pipeline.
    Runs(Vec<Run>),
    /// Changes to the catalog.
    Changes(Vec<CatalogChange>),
    /// Findings, for people.
    Audit(Vec<String>),
    /// The pipeline.
    Pipeline(Pipeline),
}

/// What a run of the pipeline goes through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pipeline {
    /// The SHA-256 of the names of the stages in their order; it is the same on nodes that go
    /// through the same.
    pub fingerprint: String,
    /// The stages, in order.
    pub stages: Vec<PipelineStage>,
}

/// A stage of the pipeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PipelineStage {
    /// Its name.
    pub name: String,
    /// `admit`, `prepare`, `commit`, `propagate` or `settle`.
    pub phase: String,
    /// What it does, for people.
    pub summary: String,
    /// Whether it was added to this server.
    pub is_extension: bool,
}

/// A workflow definition: the head row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Definition {
    /// The name.
    pub name: String,
    /// The incarnation; it stays when the name is deleted and published again.
    pub id: Id,
    /// Counts the changes: 1, 2, 3 … without gaps.
    pub revision: Revision,
    /// The version that instances are started from; none if it is retracted or deleted.
    pub published: Option<String>,
    /// Whether the name is hidden.
    pub is_deleted: bool,
    /// The epoch of the catalog at the last change.
    pub epoch: u64,
    /// The run that made the last change.
    pub run: Id,
    /// When it was changed.
    pub changed: Time,
}

/// A version of a definition; it never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Version {
    /// The definition.
    pub definition: String,
    /// The author's version.
    pub version: String,
    /// The SHA-256 of the canonical form, in hexadecimal digits.
    pub hash: String,
    /// The text that was published; empty in lists.
    pub source: String,
    /// When it was written.
    pub created: Time,
    /// Who published it.
    pub author: String,
}

/// What starts a definition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Trigger {
    /// The definition.
    pub definition: String,
    /// The author's name for it, or one made from its place.
    pub name: String,
    /// `event`, `cron`, `every` or `after`.
    pub kind: String,
    /// What it says, for people: the event type, or the schedule.
    pub text: String,
    /// When it fires next, if it is a schedule.
    pub next: Option<Time>,
    /// When it fired last.
    pub last: Option<Time>,
    /// How often it has fired.
    pub fired: u64,
    /// How many slots were missed.
    pub missed: u64,
    /// Whether it is paused.
    pub is_paused: bool,
}

/// A run of the pipeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    /// Its id.
    pub id: Id,
    /// `publish`, `retract`, `delete`, `delete_version`, `rollback` or `bundle`.
    pub operation: String,
    /// The definitions that it is about.
    pub definitions: Vec<String>,
    /// Who asked for it.
    pub actor: String,
    /// `preparing`, `committed`, `effective`, `settled`, `degraded`, `unchanged`, `failed` or
    /// `aborted`.
    pub state: String,
    /// The epoch of the catalog, once it is committed.
    pub epoch: Option<u64>,
    /// When it began.
    pub started: Time,
    /// When it ended.
    pub ended: Option<Time>,
    /// What went wrong, for people.
    pub error: Option<String>,
    /// The fingerprint of the pipeline that it went through.
    pub fingerprint: String,
    /// The stages, in order; empty in lists.
    pub stages: Vec<Stage>,
    /// What it did to each definition, once it is committed; empty in lists.
    #[serde(default)]
    pub published: Vec<Published>,
}

/// A stage of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stage {
    /// Its name.
    pub name: String,
    /// `admit`, `prepare`, `commit`, `propagate` or `settle`.
    pub phase: String,
    /// When it began.
    pub started: Time,
    /// How long it took, in microseconds.
    pub micros: u64,
    /// `ok`, `failed` or `skipped`.
    pub outcome: String,
    /// What is worth knowing of it.
    pub detail: String,
}

/// A change to the catalog.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CatalogChange {
    /// The position in the history of the whole store: 1, 2, 3 … without gaps.
    pub epoch: u64,
    /// The namespace.
    pub namespace: String,
    /// The position in the history of the namespace.
    pub revision: Revision,
    /// The definitions that changed, in name order.
    pub definitions: Vec<String>,
    /// The operation.
    pub operation: String,
    /// The run that made it.
    pub run: Id,
    /// When it was committed.
    pub time: Time,
}

/// What a run of the pipeline did to one definition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Published {
    /// The definition.
    pub name: String,
    /// The version that is published now, if any.
    pub version: Option<String>,
    /// The revision of the definition.
    pub revision: Revision,
    /// The epoch of the catalog.
    pub epoch: u64,
    /// The run.
    pub run: Id,
    /// Whether anything changed.
    pub is_changed: bool,
    /// How far the run got before the answer was given; see [`Run::state`].
    pub state: String,
    /// Triggers that were added, removed, changed, and kept.
    pub triggers: TriggerChanges,
    /// What is odd about the document, for people.
    pub warnings: Vec<String>,
}

/// Names of triggers by what a run did to them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TriggerChanges {
    /// New ones.
    pub added: Vec<String>,
    /// Those that are gone.
    pub removed: Vec<String>,
    /// Those that say something else now.
    pub changed: Vec<String>,
    /// Those that are as they were.
    pub unchanged: Vec<String>,
}

impl TriggerChanges {
    /// Gives each name with what was done to it: `+` new, `-` gone, `~` changed, `=` as it was.
    pub fn marked(&self) -> impl Iterator<Item = (char, &str)> {
        let lists = [
            ('+', &self.added),
            ('-', &self.removed),
            ('~', &self.changed),
            ('=', &self.unchanged),
        ];
        lists.into_iter().flat_map(|(mark, names)| names.iter().map(move |name| (mark, &**name)))
    }
}
