//! Reading: a query or a look at the history, as a job on a snapshot.

use model::{Error, Event, Namespace, Query, Read, Result, Revision};
use store::{Job, Tx};
use tokio::sync::oneshot;

use crate::{admin, audit, blob, engine::stopped, node, secret, shared::Shared, user, workflow};

/// A question to the store.
#[expect(clippy::large_enum_variant, reason = "it is moved once, into a job")]
pub(crate) enum Ask {
    Query { query: Query, at_least: Revision },
    Events { namespace: Namespace, after: Revision, limit: u16 },
}

/// The answer to one.
#[expect(clippy::large_enum_variant, reason = "it is moved once, through a channel")]
pub(crate) enum Told {
    Read(Read),
    Events(Vec<Event>),
}

impl Told {
    pub(crate) fn into_read(self) -> Result<Read> {
        match self {
            Self::Read(read) => Ok(read),
            Self::Events(_) => Err(Error::Internal("events answered a query".to_owned())),
        }
    }

    pub(crate) fn into_events(self) -> Result<Vec<Event>> {
        match self {
            Self::Events(events) => Ok(events),
            Self::Read(_) => Err(Error::Internal("a query answered for events".to_owned())),
        }
    }
}

/// Asks on a snapshot.
pub(crate) async fn ask(shared: &Shared, ask: Ask) -> Result<Told> {
    let (reply, told) = oneshot::channel();
    shared.store.read(Box::new(ReadJob { ask, told: None, reply }));
    told.await.unwrap_or_else(|_| Err(stopped()))
}

struct ReadJob {
    ask: Ask,
    told: Option<Told>,
    reply: oneshot::Sender<Result<Told>>,
}

impl Job for ReadJob {
    fn run(&mut self, tx: &mut dyn Tx) -> Result<()> {
        self.told = Some(match &self.ask {
            Ask::Query { query, at_least } => Told::Read(answer(tx, query, *at_least)?),
            Ask::Events { namespace, after, limit } => {
                Told::Events(queue::events(tx, namespace, *after, *limit)?)
            }
        });
        Ok(())
    }

    fn done(self: Box<Self>, outcome: Result<()>) {
        let Self { told, reply, .. } = *self;
        // A caller that has gone needs no answer.
        let _gone = reply.send(outcome.and_then(|()| told.ok_or_else(stopped)));
    }
}

fn answer(tx: &mut dyn Tx, query: &Query, at_least: Revision) -> Result<Read> {
    let read = match query {
        Query::Tokens | Query::TokenByHash(_) => admin::answer(tx, query),
        Query::Users(query) => user::answer(tx, query),
        Query::Blobs(namespace, query) => blob::answer(tx, namespace, query),
        Query::Secrets(namespace, page) => secret::answer(tx, namespace, page),
        Query::Audit(query) => audit::answer(tx, query),
        Query::Nodes => node::answer(tx),
        Query::Definitions(namespace, query) => workflow::definition_answer(tx, namespace, query),
        Query::Instances(namespace, query) => workflow::instance_answer(tx, namespace, query),
        Query::Mail(namespace, query) => flow::mail::answer(tx, namespace, query),
        Query::Namespaces(_)
        | Query::Namespace(_)
        | Query::Specs(..)
        | Query::Spec(..)
        | Query::Unit(..)
        | Query::Units(..)
        | Query::Attempt(..)
        | Query::Attempts(..)
        | Query::Worker(..)
        | Query::Workers(..)
        | Query::Locks(..)
        | Query::Summary(..)
        | Query::OldestReady => queue::answer(tx, query),
        Query::Since(_) => {
            // Read on the same snapshot, so that whoever follows knows how far that brings it.
            let as_of = flow::publish::epoch(tx)?;
            queue::answer(tx, query).map(|read| Read { as_of, ..read })
        }
    };
    let Some(namespace) = query.namespace().filter(|_| at_least > 0) else { return read };
    let as_of = match &read {
        Ok(read) => read.as_of,
        // What is not there may be there in the revision that was asked for.
        Err(_) => queue::revision(tx, namespace)?,
    };
    if as_of < at_least {
        return Err(Error::Unavailable(format!(
            "revision {at_least} was asked for, but the newest is {as_of}"
        )));
    }
    read
}
