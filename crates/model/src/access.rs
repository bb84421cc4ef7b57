//! Who may do what: scopes are verb × resource, for one namespace or all. Nothing is allowed
//! that no scope allows.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{
    Command, Error, InstanceCommand, InstanceQuery, Namespace, Query, QueueCommand, Result,
    UserInfo,
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
    /// How specs are scheduled: pausing, weighing. Whoever may do something to specs may do this.
    Control,
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
    /// Users and their roles.
    User,
    /// Tokens.
    Token,
    /// The server: metrics and the like.
    Server,
}

impl Resource {
    /// All resources.
    pub const ALL: [Self; 17] = [
        Self::Namespace,
        Self::Spec,
        Self::Control,
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
        Self::User,
        Self::Token,
        Self::Server,
    ];

    /// Gives the word that scopes use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Namespace => "namespace",
            Self::Spec => "spec",
            Self::Control => "control",
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
            Self::User => "user",
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
                | QueueCommand::DestroySpec { .. } => Resource::Spec,
                QueueCommand::SetSpecMeta { .. } | QueueCommand::ControlSpec { .. } => {
                    Resource::Control
                }
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
            Command::User(_) => {
                return Self { verb: Verb::Write, resource: Resource::User, namespace: None };
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
            Query::Users(_) => Resource::User,
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
                 spec, control, unit, attempt, worker, lock, definition, instance, event, mail, \
                 blob, secret, audit, user, token, server or *"
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
        let holds = |own| own == resource || (own, resource) == (Resource::Spec, Resource::Control);
        self.verb.is_none_or(|v| v == verb) && self.resource.is_none_or(holds)
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

/// Scopes, and where they hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// The only namespace; all when absent.
    pub namespace: Option<Namespace>,
    /// What is allowed there.
    pub scopes: Vec<Scope>,
}

impl Allowed {
    fn allows(&self, verb: Verb, resource: Resource) -> bool {
        self.scopes.iter().any(|scope| scope.allows(verb, resource))
    }

    /// What is allowed in one namespace opens nothing that is about no namespace or another one.
    fn reaches(&self, asked: Option<&Namespace>) -> bool {
        self.namespace.is_none() || self.namespace.as_ref() == asked
    }
}

/// Who is calling, and what that one may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// A name for logs: a token's id, `user/NAME`, or `loopback`.
    pub name: String,
    /// What is allowed; whatever one of these allows.
    pub allowed: Vec<Allowed>,
}

impl Principal {
    /// Makes the caller who may do everything.
    pub fn all(name: impl Into<String>) -> Self {
        Self::new(name, None, vec![Scope::ALL])
    }

    /// Makes a caller whose scopes hold in one namespace, or in all.
    pub fn new(name: impl Into<String>, namespace: Option<Namespace>, scopes: Vec<Scope>) -> Self {
        Self { name: name.into(), allowed: vec![Allowed { namespace, scopes }] }
    }

    /// Makes the caller that a user is: each role is the scopes that it is a name for.
    pub fn of_user(user: &UserInfo) -> Self {
        let allowed = user.grants.iter().map(|grant| Allowed {
            namespace: grant.namespace.clone(),
            scopes: grant.role.scopes(),
        });
        Self { name: format!("user/{}", user.name), allowed: allowed.collect() }
    }

    /// Gives the namespace of a caller that has no other.
    pub fn only_namespace(&self) -> Option<&Namespace> {
        let mut names = self.allowed.iter().map(|allowed| allowed.namespace.as_ref());
        let first = names.next()??;
        names.all(|name| name == Some(first)).then_some(first)
    }

    /// Gives the namespaces that are named for a verb on a resource, in their order.
    pub fn namespaces(&self, verb: Verb, resource: Resource) -> Vec<Namespace> {
        let able = self.allowed.iter().filter(|allowed| allowed.allows(verb, resource));
        let mut names: Vec<_> = able.filter_map(|allowed| allowed.namespace.clone()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Refuses what no scope allows.
    ///
    /// # Errors
    /// [`Error::Denied`].
    pub fn check(&self, access: &Access) -> Result<()> {
        let Access { verb, resource, namespace } = access;
        let mut here = self.allowed.iter().filter(|allowed| allowed.reaches(namespace.as_ref()));
        if here.any(|allowed| allowed.allows(*verb, *resource)) {
            return Ok(());
        }
        let scope = Scope { verb: Some(*verb), resource: Some(*resource) };
        Err(Error::Denied(match namespace {
            Some(namespace) => format!("this needs scope {scope} in namespace \"{namespace}\""),
            None => format!("this needs scope {scope} for all namespaces"),
        }))
    }

    /// Refuses what no scope allows in any namespace.
    ///
    /// # Errors
    /// [`Error::Denied`].
    pub fn check_somewhere(&self, verb: Verb, resource: Resource) -> Result<()> {
        if self.allowed.iter().any(|allowed| allowed.allows(verb, resource)) {
            return Ok(());
        }
        let scope = Scope { verb: Some(verb), resource: Some(resource) };
        Err(Error::Denied(format!("this needs scope {scope}")))
    }
}
