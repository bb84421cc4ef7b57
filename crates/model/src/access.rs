//! Who may do what: scopes are verb × resource, for one namespace or all. Nothing is allowed
//! that no scope allows.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{
    Command, Error, InstanceCommand, InstanceQuery, Namespace, Query, QueueCommand, Result,
};

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verb {
    /// Looking.
    Read,
    /// Changing.
    Write,
}

/// What it is done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Resource {
    /// Namespaces: creating and destroying them, listing them.
    Namespace,
    /// Work specs and their meta, and summaries.
    Spec,
    /// Work units.
    Unit,
    /// Attempts: claiming, renewing, ending.
    Attempt,
    /// Workers.
    Worker,
    /// Locks.
    Lock,
    /// Workflow definitions.
    Definition,
    /// Instances of workflows.
    Instance,
    /// The history, and events for workflows.
    Event,
    /// Mail accounts: what is remembered of them.
    Mail,
    /// Blobs.
    Blob,
    /// Secrets: their names; nobody may read their values.
    Secret,
    /// The audit log.
    Audit,
    /// Tokens.
    Token,
    /// The server: metrics and the like.
    Server,
}

impl Resource {
    /// All resources.
    pub const ALL: [Self; 15] = [
        Self::Namespace,
        Self::Spec,
        Self::Unit,
        Self::Attempt,
        Self::Worker,
        Self::Lock,
        Self::Definition,
        Self::Instance,
        Self::Event,
        Self::Mail,
        Self::Blob,
        Self::Secret,
        Self::Audit,
        Self::Token,
        Self::Server,
    ];

    /// Gives the word that scopes use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Namespace => "namespace",
            Self::Spec => "spec",
            Self::Unit => "unit",
            Self::Attempt => "attempt",
            Self::Worker => "worker",
            Self::Lock => "lock",
            Self::Definition => "definition",
            Self::Instance => "instance",
            Self::Event => "event",
            Self::Mail => "mail",
            Self::Blob => "blob",
            Self::Secret => "secret",
            Self::Audit => "audit",
            Self::Token => "token",
            Self::Server => "server",
        }
    }
}

/// What one call needs: a verb, a resource, and the namespace if it is about one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// What is done.
    pub verb: Verb,
    /// What it is done to.
    pub resource: Resource,
    /// Where; none is the whole server.
    pub namespace: Option<Namespace>,
}

impl Access {
    /// Says what a command on a namespace needs.
    pub fn of_command(namespace: &Namespace, command: &Command) -> Self {
        let resource = match command {
            Command::Queue(command) => match command {
                QueueCommand::CreateNamespace | QueueCommand::DestroyNamespace => {
                    Resource::Namespace
                }
                QueueCommand::SetSpec { .. }
                | QueueCommand::ChangeSpec { .. }
                | QueueCommand::SetSpecMeta { .. }
                | QueueCommand::ControlSpec { .. }
                | QueueCommand::DestroySpec { .. } => Resource::Spec,
                QueueCommand::AddUnits(_)
                | QueueCommand::SetUnits(_)
                | QueueCommand::ClearActive { .. } => Resource::Unit,
                QueueCommand::Claim(_)
                | QueueCommand::MakeAttempt(_)
                | QueueCommand::ChangeAttempts(_) => Resource::Attempt,
                QueueCommand::CreateWorker { .. }
                | QueueCommand::UpdateWorker(_)
                | QueueCommand::DeactivateWorker { .. }
                | QueueCommand::SetParent { .. } => Resource::Worker,
                QueueCommand::ChangeLocks(_) | QueueCommand::DropLocks { .. } => Resource::Lock,
            },
            Command::Definition(_) => Resource::Definition,
            Command::Instance(InstanceCommand::Send(_)) => Resource::Event,
            Command::Instance(_) => Resource::Instance,
            Command::Mail(_) => Resource::Mail,
            Command::Blob(_) => Resource::Blob,
            Command::Secret(_) => Resource::Secret,
            Command::Admin(_) => {
                return Self { verb: Verb::Write, resource: Resource::Token, namespace: None };
            }
        };
        Self { verb: Verb::Write, resource, namespace: Some(namespace.clone()) }
    }

    /// Says what a query needs.
    pub fn of_query(query: &Query) -> Self {
        let resource = match query {
            Query::Namespaces(_) | Query::Namespace(_) => Resource::Namespace,
            Query::Specs(..) | Query::Spec(..) | Query::Summary(..) | Query::OldestReady => {
                Resource::Spec
            }
            Query::Unit(..) | Query::Units(..) => Resource::Unit,
            Query::Attempt(..) | Query::Attempts(..) => Resource::Attempt,
            Query::Worker(..) | Query::Workers(..) => Resource::Worker,
            Query::Locks(..) => Resource::Lock,
            Query::Definitions(..) => Resource::Definition,
            Query::Instances(
                _,
                InstanceQuery::Events(_) | InstanceQuery::Latest(_) | InstanceQuery::Match(_),
            ) => Resource::Event,
            Query::Instances(..) => Resource::Instance,
            Query::Mail(..) => Resource::Mail,
            Query::Blobs(..) => Resource::Blob,
            Query::Secrets(..) => Resource::Secret,
            Query::Audit(_) => Resource::Audit,
            Query::Tokens | Query::TokenByHash(_) => Resource::Token,
            Query::Since(_) => Resource::Event,
            Query::Nodes => Resource::Server,
        };
        Self { verb: Verb::Read, resource, namespace: query.namespace().cloned() }
    }
}

/// A verb on a resource, written as `read:unit`, `write:*`, `*:attempt` or `*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scope {
    /// The verb; none is every verb.
    pub verb: Option<Verb>,
    /// The resource; none is every resource.
    pub resource: Option<Resource>,
}

impl Scope {
    /// Allows everything.
    pub const ALL: Self = Self { verb: None, resource: None };

    /// Reads a scope.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = || {
            Error::bad_input(format!(
                "unknown scope {text:?}: write VERB:RESOURCE with read, write or * and namespace, \
                 spec, unit, attempt, worker, lock, definition, instance, event, mail, blob, \
                 secret, audit, token, server or *"
            ))
        };
        if text == "*" {
            return Ok(Self::ALL);
        }
        let (verb, resource) = text.split_once(':').ok_or_else(wrong)?;
        let verb = match verb {
            "*" => None,
            "read" => Some(Verb::Read),
            "write" => Some(Verb::Write),
            _ => return Err(wrong()),
        };
        let resource = match resource {
            "*" => None,
            name => {
                let found = Resource::ALL.into_iter().find(|r| r.as_str() == name);
                Some(found.ok_or_else(wrong)?)
            }
        };
        Ok(Self { verb, resource })
    }

    /// Tells whether this scope allows a verb on a resource.
    pub fn allows(self, verb: Verb, resource: Resource) -> bool {
        self.verb.is_none_or(|v| v == verb) && self.resource.is_none_or(|r| r == resource)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match self.verb {
            None => "*",
            Some(Verb::Read) => "read",
            Some(Verb::Write) => "write",
        };
        write!(f, "{verb}:{}", self.resource.map_or("*", Resource::as_str))
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&smol_str::SmolStr::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// Who is calling, and what that one may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// A name for logs: a token's id, or `loopback`.
    pub name: String,
    /// The only namespace; all when absent.
    pub namespace: Option<Namespace>,
    /// What is allowed.
    pub scopes: Vec<Scope>,
}

impl Principal {
    /// Makes the caller who may do everything.
    pub fn all(name: impl Into<String>) -> Self {
        Self { name: name.into(), namespace: None, scopes: vec![Scope::ALL] }
    }

    /// Refuses what no scope allows.
    ///
    /// A token of one namespace opens nothing that is about no namespace or another one.
    pub fn check(&self, access: &Access) -> Result<()> {
        let place = match (&self.namespace, &access.namespace) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(own), Some(asked)) => own == asked,
        };
        if place && self.scopes.iter().any(|scope| scope.allows(access.verb, access.resource)) {
            return Ok(());
        }
        let scope = Scope { verb: Some(access.verb), resource: Some(access.resource) };
        Err(Error::Denied(match &access.namespace {
            Some(namespace) => format!("this needs scope {scope} in namespace \"{namespace}\""),
            None => format!("this needs scope {scope} for all namespaces"),
        }))
    }
}
