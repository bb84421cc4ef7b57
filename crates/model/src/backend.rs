//! The one door.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Answer, Caller, Command, Event, Namespace, Query, Reply, Result, Revision};

/// A boxed future, so that backends can stand behind `dyn`.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Changes to one namespace, made as a whole or not at all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Write {
    /// The namespace; created where it does not exist and something is stored in it.
    pub namespace: Namespace,
    /// An idempotency key: the same key and commands have one effect and one answer.
    #[serde(default)]
    pub request_id: Option<String>,
    /// The commands, in order; at most [`crate::limits::COMMANDS_MAX`].
    pub commands: Vec<Command>,
    /// How long the claims of this write wait for work if they find none; at most
    /// [`crate::limits::WAIT_MAX`]. The other commands take effect at once.
    #[serde(default)]
    pub wait: Duration,
    /// Who asks, for the audit log; a server says here who has called it.
    #[serde(default, skip_serializing_if = "Caller::is_nobody")]
    pub caller: Caller,
}

impl Write {
    /// Makes a write of one command, without idempotency key or waiting.
    pub fn one(namespace: &Namespace, command: impl Into<Command>) -> Self {
        Self::of(namespace, vec![command.into()])
    }

    /// Makes a write of commands, without idempotency key or waiting.
    pub fn of(namespace: &Namespace, commands: Vec<Command>) -> Self {
        let (namespace, caller) = (namespace.clone(), Caller::default());
        Self { namespace, request_id: None, commands, wait: Duration::ZERO, caller }
    }
}

/// The outcome of a [`Write`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Committed {
    /// The namespace's revision after the write; unchanged if the write changed nothing.
    pub revision: Revision,
    /// One reply for each command.
    pub replies: Vec<Reply>,
    /// What happened, from which the touched records follow; empty if nothing changed.
    pub events: Vec<crate::EventBody>,
}

/// The outcome of a [`Query`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Read {
    /// The revision of the query's namespace (0 for queries about none, unless they say otherwise)
    /// that was read.
    pub as_of: Revision,
    /// The answer.
    pub answer: Answer,
}

/// Where commands and queries go. The engine, the remote client and every wrapper implement this.
pub trait Backend: Send + Sync {
    /// Applies all commands in one transaction; the answer comes after the commit is durable.
    fn write(&self, write: Write) -> BoxFuture<'_, Result<Committed>>;

    /// Answers a query from a snapshot that is at least as new as `at_least`.
    fn read(&self, query: Query, at_least: Revision) -> BoxFuture<'_, Result<Read>>;

    /// Gives up to `limit` events after a revision, oldest first; an empty list says there is none.
    ///
    /// # Errors
    /// [`crate::Error::HistoryTrimmed`] if the history no longer reaches back that far.
    fn events(
        &self,
        namespace: &Namespace,
        after: Revision,
        limit: u16,
    ) -> BoxFuture<'_, Result<Vec<Event>>>;
}

impl<B: Backend + ?Sized> Backend for Arc<B> {
    fn write(&self, write: Write) -> BoxFuture<'_, Result<Committed>> {
        (**self).write(write)
    }

    fn read(&self, query: Query, at_least: Revision) -> BoxFuture<'_, Result<Read>> {
        (**self).read(query, at_least)
    }

    fn events(
        &self,
        namespace: &Namespace,
        after: Revision,
        limit: u16,
    ) -> BoxFuture<'_, Result<Vec<Event>>> {
        (**self).events(namespace, after, limit)
    }
}
