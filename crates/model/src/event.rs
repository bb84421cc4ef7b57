//! Events: what each commit changed, in one ordered history per namespace.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Id, Namespace, Revision, SpecName, Time, UnitName, WorkerName};

/// What one committed batch changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// The namespace.
    pub namespace: Namespace,
    /// The position: 1, 2, 3 … without gaps.
    pub revision: Revision,
    /// When it was committed.
    pub time: Time,
    /// What happened, in order.
    pub bodies: Vec<EventBody>,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventBody {
    /// The namespace was created.
    NamespaceCreated,
    /// The namespace was removed with all that was in it.
    NamespaceDestroyed,
    /// A spec was created or changed.
    SpecSet(SpecName),
    /// A spec was removed with its units.
    SpecDestroyed(SpecName),
    /// Units were added or replaced.
    UnitsAdded(SpecName, Vec<UnitName>),
    /// Units were changed by a filter or by hand.
    UnitsChanged(SpecName, Vec<UnitName>),
    /// Units were deleted.
    UnitsDeleted(SpecName, Vec<UnitName>),
    /// Attempts were started on units.
    UnitsClaimed(SpecName, Vec<UnitName>),
    /// A lease was extended.
    LeaseRenewed(SpecName, UnitName),
    /// A unit was given back by this attempt, whose time ran out or whose worker gave up.
    UnitReleased(SpecName, UnitName, Id),
    /// A unit was finished by this attempt.
    UnitFinished(SpecName, UnitName, Id),
    /// A unit was failed by this attempt.
    UnitFailed(SpecName, UnitName, Id),
    /// Delayed units became ready.
    UnitsReady(SpecName, Vec<UnitName>),
    /// A worker was created, updated, deactivated or given a parent.
    WorkerChanged(WorkerName),
    /// Locks were taken, kept, given back or lost.
    LocksChanged,
    /// A token was made or revoked.
    TokenChanged(String),
    /// Definitions were published, retracted, deleted or drafted.
    DefinitionsChanged(Vec<String>),
    /// A run of the pipeline began or went on.
    RunChanged(Id),
    /// Instances were started, went on or ended.
    InstancesChanged(Vec<Id>),
    /// Events came in, were sent or were forgotten, from the first to the last of these positions.
    EventsReceived(u64, u64),
    /// What is remembered of a mail account was changed.
    MailChanged(String),
    /// Content of this upload came, became a blob, or was forgotten.
    BlobChanged(Id),
    /// A user or a session changed: `user/NAME`, or `token/ID` for the session of a token.
    UserChanged(String),
    /// A secret was set, removed or sealed under another key.
    SecretChanged(String),
}

/// The name of a record, as caches and followers know it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordKey {
    /// The namespace itself and everything in it.
    Namespace,
    /// A spec and everything in it.
    SpecAll(SpecName),
    /// A spec's own record, which shows how many of its units are in which status.
    Spec(SpecName),
    /// A unit.
    Unit(SpecName, UnitName),
    /// A worker.
    Worker(WorkerName),
    /// All locks.
    Locks,
    /// A token.
    Token(String),
    /// A workflow definition, with its triggers.
    Definition(String),
    /// An instance of a workflow.
    Instance(Id),
}

impl EventBody {
    /// Calls back with each record that this changed.
    pub fn touched(&self, mut touch: impl FnMut(RecordKey)) {
        match self {
            Self::NamespaceCreated | Self::NamespaceDestroyed => touch(RecordKey::Namespace),
            Self::SpecSet(spec) => touch(RecordKey::Spec(spec.clone())),
            Self::SpecDestroyed(spec) => touch(RecordKey::SpecAll(spec.clone())),
            Self::UnitsAdded(spec, units)
            | Self::UnitsChanged(spec, units)
            | Self::UnitsDeleted(spec, units)
            | Self::UnitsClaimed(spec, units)
            | Self::UnitsReady(spec, units) => {
                touch(RecordKey::Spec(spec.clone()));
                units.iter().for_each(|unit| touch(RecordKey::Unit(spec.clone(), unit.clone())));
            }
            Self::LeaseRenewed(spec, unit) => {
                touch(RecordKey::Unit(spec.clone(), unit.clone()));
            }
            Self::UnitReleased(spec, unit, _)
            | Self::UnitFinished(spec, unit, _)
            | Self::UnitFailed(spec, unit, _) => {
                touch(RecordKey::Spec(spec.clone()));
                touch(RecordKey::Unit(spec.clone(), unit.clone()));
            }
            Self::WorkerChanged(worker) => touch(RecordKey::Worker(worker.clone())),
            Self::LocksChanged => touch(RecordKey::Locks),
            Self::TokenChanged(id) => touch(RecordKey::Token(id.clone())),
            Self::DefinitionsChanged(names) => {
                names.iter().for_each(|name| touch(RecordKey::Definition(name.clone())));
            }
            Self::InstancesChanged(ids) => {
                ids.iter().for_each(|id| touch(RecordKey::Instance(*id)));
            }
            Self::RunChanged(_)
            | Self::EventsReceived(..)
            | Self::MailChanged(_)
            | Self::BlobChanged(_)
            | Self::UserChanged(_)
            | Self::SecretChanged(_) => {}
        }
    }
}
