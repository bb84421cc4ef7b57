//! The shapes of the REST API, as the ancestor's clients know them, with our additions.

mod audit;
mod blob;
mod data;
mod definition;
mod input;
mod output;
mod secret;
mod user;
mod work;
mod workflow;

pub(crate) use audit::AuditPage;
pub(crate) use blob::{BlobContent, BlobList};
pub(crate) use data::{SentData, WireData, WireTime};
pub(crate) use definition::{
    AuditList, ChangeList, DefinitionList, Draft, PublishedList, RollBack, RunList, ToBundle,
    ToPublish, TriggerList, VersionList, Withdraw,
};
pub(crate) use input::{
    AddUnits, AttemptCompletion, AttemptRequest, MakeAttempt, Meta, NewNamespace, NewSpec, NewUnit,
    PriorityChange, PutUnit, PutWorker, UnitMeta, Work, WorkChange, attempt_change,
};
pub(crate) use output::{
    Added, Counts, Deleted, Health, LimitList, LimitRow, Named, NamedUnit, Namespace,
    NamespaceList, Root, Spec, SpecList, SummaryRow, Unit, UnitList, Version, WorkerList,
};
pub(crate) use secret::{SecretContent, SecretList};
pub(crate) use user::{ChangedUser, NewUser, ShownUser, UserList};
pub(crate) use work::{Attempt, AttemptList, AttemptShort, Claimed, Outcome, Worked, Worker};
pub(crate) use workflow::{
    EventList, Explanation, InstanceList, Journal, NodeList, ReceivedList, Started,
};
