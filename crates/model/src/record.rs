//! Records: the named things that commands change and queries show.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Data, Namespace, SpecMeta, SpecName, Time, UnitName, WorkerName};

/// An incarnation id: unique in its namespace, only growing, never reused.
pub type Id = u64;

/// A position in the history of a namespace: the count of its committed batches.
pub type Revision = u64;

/// A work spec by name, and by incarnation where the caller wants only that one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct SpecRef {
    /// The name.
    pub name: SpecName,
    /// The incarnation; another one answers [`crate::Error::Gone`].
    pub id: Option<Id>,
}

/// A work unit by name, and by incarnation where the caller wants only that one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct UnitRef {
    /// The name of its work spec.
    pub spec: SpecName,
    /// The name.
    pub name: UnitName,
    /// The incarnation; another one answers [`crate::Error::Gone`].
    pub id: Option<Id>,
}

/// An attempt: its unit and its own id.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct AttemptRef {
    /// The name of its work spec.
    pub spec: SpecName,
    /// The name of its work unit.
    pub unit: UnitName,
    /// Its id, which is also its token.
    pub id: Id,
}

/// What a namespace is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NamespaceInfo {
    /// The name.
    pub name: Namespace,
    /// The incarnation.
    pub id: Id,
    /// The position of its newest commit.
    pub revision: Revision,
}

/// Units of one spec by status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Counts {
    /// Ready to be claimed.
    pub available: u64,
    /// Claimed and not ended.
    pub pending: u64,
    /// Ended with success.
    pub finished: u64,
    /// Ended without success.
    pub failed: u64,
    /// Waiting for their time.
    pub delayed: u64,
}

impl Counts {
    /// Gives the count of one status.
    pub fn of(&self, status: UnitStatus) -> u64 {
        match status {
            UnitStatus::Available => self.available,
            UnitStatus::Pending => self.pending,
            UnitStatus::Finished => self.finished,
            UnitStatus::Failed => self.failed,
            UnitStatus::Delayed => self.delayed,
        }
    }

    /// Gives the count of one status to change it.
    pub fn of_mut(&mut self, status: UnitStatus) -> &mut u64 {
        match status {
            UnitStatus::Available => &mut self.available,
            UnitStatus::Pending => &mut self.pending,
            UnitStatus::Finished => &mut self.finished,
            UnitStatus::Failed => &mut self.failed,
            UnitStatus::Delayed => &mut self.delayed,
        }
    }

    /// Adds up all statuses.
    pub fn total(&self) -> u64 {
        self.available + self.pending + self.finished + self.failed + self.delayed
    }
}

/// A work spec as a query shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Spec {
    /// The name.
    pub name: SpecName,
    /// The incarnation.
    pub id: Id,
    /// Its dictionary, verbatim.
    pub data: Data,
    /// What the dictionary and later changes say about scheduling.
    pub meta: SpecMeta,
    /// Its units by status.
    pub counts: Counts,
}

/// The status of a work unit.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum UnitStatus {
    /// Ready to be claimed.
    Available,
    /// Claimed by a worker whose attempt has not ended.
    Pending,
    /// Ended with success.
    Finished,
    /// Ended without success.
    Failed,
    /// Not ready before its time.
    Delayed,
}

impl UnitStatus {
    /// All statuses.
    pub const ALL: [Self; 5] =
        [Self::Available, Self::Pending, Self::Finished, Self::Failed, Self::Delayed];

    /// Gives the lower-case word of the wire formats.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Pending => "pending",
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Delayed => "delayed",
        }
    }

    /// Reads the lower-case word.
    pub fn parse(text: &str) -> crate::Result<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text).ok_or_else(|| {
            crate::Error::bad_input(format!(
                "unknown work unit status {text:?}: use available, pending, finished, failed \
                 or delayed"
            ))
        })
    }
}

/// The status of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttemptStatus {
    /// Being worked on.
    Pending,
    /// Its time ran out.
    Expired,
    /// Ended with success.
    Finished,
    /// Ended without success.
    Failed,
    /// Ended, and its unit is to be tried again.
    Retryable,
}

impl AttemptStatus {
    /// All statuses.
    pub const ALL: [Self; 5] =
        [Self::Pending, Self::Expired, Self::Finished, Self::Failed, Self::Retryable];

    /// Gives the lower-case word of the wire formats.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Expired => "expired",
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Retryable => "retryable",
        }
    }

    /// Reads the lower-case word.
    pub fn parse(text: &str) -> crate::Result<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text).ok_or_else(|| {
            crate::Error::bad_input(format!(
                "unknown attempt status {text:?}: use pending, expired, finished, failed or \
                 retryable"
            ))
        })
    }
}

/// What is said about a unit besides its data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UnitMeta {
    /// Higher goes first; finite.
    pub priority: f64,
    /// Not handed out before this time.
    pub not_before: Option<Time>,
}

/// A work unit as a query shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Unit {
    /// The name of its work spec.
    pub spec: SpecName,
    /// The name.
    pub name: UnitName,
    /// The incarnation.
    pub id: Id,
    /// The active attempt's data if it has some, else the unit's own.
    pub data: Data,
    /// Priority and delay.
    pub meta: UnitMeta,
    /// The status.
    pub status: UnitStatus,
    /// The active attempt: the pending one, or the one that finished or failed the unit.
    pub active: Option<Attempt>,
    /// How many attempts there have been.
    pub attempts: u64,
    /// When it was added.
    pub created: Time,
}

/// An attempt as a query or a claim shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Attempt {
    /// The name of its work spec.
    pub spec: SpecName,
    /// The name of its work unit.
    pub unit: UnitName,
    /// Its id, which is also its token: a later attempt on the same unit always has a higher one.
    pub id: Id,
    /// The worker that started it.
    pub worker: WorkerName,
    /// The status.
    pub status: AttemptStatus,
    /// Its own data, or its unit's as of its start.
    pub data: Data,
    /// When it started.
    pub start: Time,
    /// When it ended.
    pub end: Option<Time>,
    /// When its lease ends or ended.
    pub expiration: Time,
    /// Whether it is its unit's active attempt.
    pub active: bool,
}

impl Attempt {
    /// Gives the reference by which commands name this attempt.
    pub fn as_ref(&self) -> AttemptRef {
        AttemptRef { spec: self.spec.clone(), unit: self.unit.clone(), id: self.id }
    }
}

/// A worker as a query shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Worker {
    /// The name.
    pub name: WorkerName,
    /// The incarnation.
    pub id: Id,
    /// The worker that looks after this one.
    pub parent: Option<WorkerName>,
    /// The workers that this one looks after, in name order.
    pub children: Vec<WorkerName>,
    /// Whether it works; it stops when it says so or when its expiration passes.
    pub active: bool,
    /// What it is doing, in its own words.
    pub mode: String,
    /// Its environment, in its own words.
    pub data: Data,
    /// When it counts as dead unless it updates itself.
    pub expiration: Time,
    /// When it last updated itself.
    pub last_update: Time,
}

/// One line of a summary: units of one spec in one status, never zero.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SummaryRow {
    /// The namespace.
    pub namespace: Namespace,
    /// The work spec.
    pub spec: SpecName,
    /// The status.
    pub status: UnitStatus,
    /// How many.
    pub count: u64,
}

/// A node of a shared store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NodeInfo {
    /// Its name.
    pub name: String,
    /// The version of its program.
    pub version: String,
    /// When it started.
    pub started: Time,
    /// Until when it counts as alive, by the store's clock.
    pub lease: Time,
    /// The positions of the histories that it has applied, of the namespaces that it keeps
    /// something of.
    pub applied: Vec<(Namespace, Revision)>,
    /// The epoch of the catalog that it has applied; absent if it keeps nothing.
    #[serde(default)]
    pub epoch: Option<u64>,
    /// The fingerprint of its pipeline.
    #[serde(default)]
    pub fingerprint: String,
    /// Where other nodes reach it, so that they can pass writes on to it; absent if they do not.
    #[serde(default)]
    pub peer_url: Option<String>,
}

/// A token as a list shows it: never the secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TokenInfo {
    /// The id, which is also the visible start of the token.
    pub id: String,
    /// The only namespace that it opens; all when absent.
    pub namespace: Option<Namespace>,
    /// What it allows.
    #[schemars(with = "Vec<String>")]
    pub scopes: Vec<crate::Scope>,
    /// When it was made.
    pub created: Time,
    /// When it stops working.
    pub expires: Option<Time>,
}
