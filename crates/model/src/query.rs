//! Queries and their answers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Attempt, AttemptRef, AuditAnswer, AuditQuery, BlobAnswer, BlobQuery, DefinitionAnswer,
    DefinitionQuery, Event, InstanceAnswer, InstanceQuery, LockPath, MailAnswer, MailQuery,
    Namespace, NamespaceInfo, NodeInfo, Revision, SecretInfo, SecretName, Spec, SpecName, SpecRef,
    SummaryRow, Time, TokenInfo, Unit, UnitName, UnitRef, UnitStatus, UserAnswer, UserQuery,
    Worker, WorkerName,
};

/// A question; each is answered from one snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Query {
    /// All namespaces in name order. Answers [`Answer::Namespaces`].
    Namespaces(Page<Namespace>),
    /// One namespace. Answers [`Answer::Namespace`].
    Namespace(Namespace),
    /// Specs in name order. Answers [`Answer::Specs`].
    Specs(Namespace, Page<SpecName>),
    /// One spec. Answers [`Answer::Spec`].
    Spec(Namespace, SpecRef),
    /// One unit. Answers [`Answer::Unit`].
    Unit(Namespace, UnitRef),
    /// Units in bytewise name order. Answers [`Answer::Units`].
    Units(Namespace, SpecRef, UnitFilter),
    /// One attempt. Answers [`Answer::Attempt`].
    Attempt(Namespace, AttemptRef),
    /// Attempts, oldest first. Answers [`Answer::Attempts`].
    Attempts(Namespace, AttemptsOf, Page<u64>),
    /// One worker. Answers [`Answer::Worker`].
    Worker(Namespace, WorkerName),
    /// Workers in name order, active or not. Answers [`Answer::Workers`].
    Workers(Namespace, Page<WorkerName>),
    /// Who holds the locks of these paths. Answers [`Answer::Locks`].
    Locks(Namespace, Vec<LockPath>),
    /// Unit counts of everything, a namespace or a spec. Answers [`Answer::Summary`].
    Summary(Option<Namespace>, Option<SpecName>),
    /// When the oldest ready unit of each spec was added. Answers [`Answer::OldestReady`].
    OldestReady,
    /// The nodes of a shared store; none where there is only one. Answers [`Answer::Nodes`].
    Nodes,
    /// About workflow definitions. Answers [`Answer::Definitions`].
    Definitions(Namespace, DefinitionQuery),
    /// About instances of workflows and events. Answers [`Answer::Instances`].
    Instances(Namespace, InstanceQuery),
    /// About mail accounts. Answers [`Answer::Mail`].
    Mail(Namespace, MailQuery),
    /// About blobs. Answers [`Answer::Blobs`].
    Blobs(Namespace, BlobQuery),
    /// Secrets in name order, without their values. Answers [`Answer::Secrets`].
    Secrets(Namespace, Page<SecretName>),
    /// About the audit log. Answers [`Answer::Audit`].
    Audit(AuditQuery),
    /// All tokens. Answers [`Answer::Tokens`].
    Tokens,
    /// The token with this SHA-256. Answers [`Answer::Tokens`] with one or none.
    TokenByHash([u8; 32]),
    /// About users. Answers [`Answer::Users`].
    Users(UserQuery),
    /// The first events after a revision of each of these namespaces, destroyed or not, up to
    /// [`crate::limits::SINCE_MAX`] of all together. Answers [`Answer::Events`], of each namespace
    /// in order; a gap before the first one says that the history no longer reaches back that far,
    /// and one event without bodies that it ends earlier, namely there. The revision of the answer
    /// is the epoch of the catalog.
    Since(Vec<(Namespace, Revision)>),
}

/// A part of an ordered list.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "PageOf{K}")]
pub struct Page<K> {
    /// Only what comes after this.
    pub after: Option<K>,
    /// At most this many; 0 is [`crate::limits::PAGE_MAX`], which is also the most.
    pub limit: u32,
}

impl<K> Default for Page<K> {
    fn default() -> Self {
        Self { after: None, limit: 0 }
    }
}

/// Which attempts to list.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttemptsOf {
    /// All attempts of a unit.
    Unit(UnitRef),
    /// A worker's pending attempts.
    WorkerActive(WorkerName),
    /// All attempts a worker ever made.
    WorkerAll(WorkerName),
    /// The pending attempts of a worker's immediate children.
    WorkerChildren(WorkerName),
}

/// Which units; all given fields must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UnitFilter {
    /// Only these names; unknown ones are ignored, an empty list selects nothing.
    pub names: Option<Vec<UnitName>>,
    /// Only these statuses; an empty list selects nothing.
    pub statuses: Option<Vec<UnitStatus>>,
    /// Only names greater than this.
    pub after: Option<UnitName>,
    /// The first so many in name order; 0 is no limit of the caller's, and pages are at most
    /// [`crate::limits::PAGE_MAX`] long.
    pub limit: u32,
}

/// The answer to a [`Query`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Namespaces, one page.
    Namespaces(Vec<NamespaceInfo>),
    /// A namespace.
    Namespace(NamespaceInfo),
    /// Specs, one page.
    Specs(Vec<Spec>),
    /// A spec.
    Spec(Spec),
    /// Units, one page, and where the next page starts if there may be one.
    Units(Vec<Unit>, Option<UnitName>),
    /// A unit.
    Unit(Unit),
    /// Attempts, one page.
    Attempts(Vec<Attempt>),
    /// An attempt.
    Attempt(Attempt),
    /// Workers, one page.
    Workers(Vec<Worker>),
    /// A worker.
    Worker(Worker),
    /// The owner of each lock that is held, in the order asked.
    Locks(Vec<Option<String>>),
    /// Unit counts.
    Summary(Vec<SummaryRow>),
    /// When the oldest ready unit of each spec that has one was added.
    OldestReady(Vec<(Namespace, SpecName, Time)>),
    /// Nodes, in name order.
    Nodes(Vec<NodeInfo>),
    /// About workflow definitions.
    Definitions(DefinitionAnswer),
    /// About instances of workflows and events.
    Instances(InstanceAnswer),
    /// About mail accounts.
    Mail(MailAnswer),
    /// About blobs.
    Blobs(BlobAnswer),
    /// Secrets, one page.
    Secrets(Vec<SecretInfo>),
    /// About the audit log.
    Audit(AuditAnswer),
    /// Tokens.
    Tokens(Vec<TokenInfo>),
    /// About users.
    Users(UserAnswer),
    /// Events.
    Events(Vec<Event>),
}

impl Query {
    /// Gives the namespace that the question is about, if it is about one.
    pub fn namespace(&self) -> Option<&Namespace> {
        match self {
            Self::Namespace(namespace)
            | Self::Specs(namespace, _)
            | Self::Spec(namespace, _)
            | Self::Unit(namespace, _)
            | Self::Units(namespace, _, _)
            | Self::Attempt(namespace, _)
            | Self::Attempts(namespace, _, _)
            | Self::Worker(namespace, _)
            | Self::Workers(namespace, _)
            | Self::Locks(namespace, _)
            | Self::Definitions(namespace, _)
            | Self::Instances(namespace, _)
            | Self::Mail(namespace, _)
            | Self::Blobs(namespace, _)
            | Self::Secrets(namespace, _) => Some(namespace),
            Self::Summary(namespace, _) => namespace.as_ref(),
            Self::Audit(query) => query.namespace(),
            Self::Namespaces(_)
            | Self::OldestReady
            | Self::Nodes
            | Self::Tokens
            | Self::TokenByHash(_)
            | Self::Users(_)
            | Self::Since(_) => None,
        }
    }
}
