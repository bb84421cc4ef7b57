//! A backend that lets one caller do what it may.

use std::{
    future::ready,
    sync::{Arc, OnceLock},
};

use model::{
    Access, Answer, Backend, BoxFuture, Caller, Command, Committed, Error, Event, Namespace, Page,
    Principal, Query, Read, Resource, Result, Revision, Verb, Write,
};

/// Checks every command and query against the scopes of one [`Principal`].
///
/// A caller of one namespace sees only that one in the list of namespaces and in the summary.
#[derive(Clone)]
pub struct Authorized {
    backend: Arc<dyn Backend>,
    principal: Arc<Principal>,
    /// The id of the trace that the request belongs to.
    trace: Option<String>,
    absence: Arc<OnceLock<Revision>>,
}

impl Authorized {
    /// Wraps a backend for one caller.
    pub fn new(backend: Arc<dyn Backend>, principal: Arc<Principal>) -> Self {
        Self { backend, principal, trace: None, absence: Arc::default() }
    }

    /// Says which trace what is done belongs to.
    pub(crate) fn traced(self, trace: Option<&str>) -> Self {
        Self { trace: trace.map(str::to_owned), ..self }
    }

    /// Gives where a revision will be in which something was absent that was asked for, if
    /// something is: an error cannot say as of when it holds.
    pub(crate) fn absence(&self) -> Arc<OnceLock<Revision>> {
        Arc::clone(&self.absence)
    }

    /// Gives the caller.
    pub(crate) fn principal(&self) -> &Principal {
        &self.principal
    }

    fn check_write(&self, write: &Write) -> Result<()> {
        write.commands.iter().try_for_each(|command| {
            self.principal.check(&Access::of_command(&write.namespace, command))
        })
    }

    /// Lists the caller's own namespace, if it exists and is on the page.
    fn own_namespaces(
        &self,
        own: Namespace,
        page: &Page<Namespace>,
        at_least: Revision,
    ) -> BoxFuture<'_, Result<Read>> {
        if page.after.as_ref().is_some_and(|after| *after >= own) {
            let read = Read { as_of: 0, answer: Answer::Namespaces(Vec::new()) };
            return Box::pin(ready(Ok(read)));
        }
        let read = self.checked_read(Query::Namespace(own), at_least);
        Box::pin(async move {
            let infos = match read.await {
                Ok(Read { answer: Answer::Namespace(info), .. }) => vec![info],
                Ok(_) | Err(Error::NoSuchNamespace(_)) => Vec::new(),
                Err(error) => return Err(error),
            };
            Ok(Read { as_of: 0, answer: Answer::Namespaces(infos) })
        })
    }

    fn check_events(&self, namespace: &Namespace) -> Result<()> {
        let (verb, resource, namespace) = (Verb::Read, Resource::Event, Some(namespace.clone()));
        self.principal.check(&Access { verb, resource, namespace })
    }

    fn checked_read(&self, query: Query, at_least: Revision) -> BoxFuture<'_, Result<Read>> {
        match self.principal.check(&Access::of_query(&query)) {
            Ok(()) => Box::pin(async move {
                let namespace = query.namespace().cloned();
                let read = self.backend.read(query, at_least).await;
                if let (Err(error), Some(namespace)) = (&read, namespace)
                    && error.code().status == 404
                {
                    self.note_absence(namespace).await;
                }
                read
            }),
            Err(error) => Box::pin(ready(Err(error))),
        }
    }

    /// Notes a revision that is at least as new as what was just told. One that a namespace has not
    /// reached is answered with the one that it has.
    async fn note_absence(&self, namespace: Namespace) {
        let ahead = Query::Since(vec![(namespace, Revision::MAX)]);
        if let Ok(Read { answer: Answer::Events(events), .. }) = self.backend.read(ahead, 0).await
            && let Some(event) = events.first()
        {
            // The first answer that told of an absence is the one that is given.
            let _first = self.absence.set(event.revision);
        }
    }
}

impl Backend for Authorized {
    fn write(&self, mut write: Write) -> BoxFuture<'_, Result<Committed>> {
        // Who changes what is written down, and nobody can say to be somebody else.
        write.caller = Caller { name: self.principal.name.clone(), trace: self.trace.clone() };
        for command in &mut write.commands {
            if let Command::Definition(command) = command
                && let Some(terms) = command.terms_mut()
            {
                terms.actor.clone_from(&self.principal.name);
            }
        }
        match self.check_write(&write) {
            Ok(()) => self.backend.write(write),
            Err(error) => Box::pin(ready(Err(error))),
        }
    }

    fn read(&self, query: Query, at_least: Revision) -> BoxFuture<'_, Result<Read>> {
        match (query, &self.principal.namespace) {
            (Query::Namespaces(page), Some(own)) => {
                self.own_namespaces(own.clone(), &page, at_least)
            }
            (Query::Summary(None, spec), Some(own)) => {
                self.checked_read(Query::Summary(Some(own.clone()), spec), at_least)
            }
            (Query::Since(positions), Some(_)) => {
                let mut checks = positions.iter().map(|(name, _)| self.check_events(name));
                match checks.find_map(Result::err) {
                    None => self.backend.read(Query::Since(positions), at_least),
                    Some(error) => Box::pin(ready(Err(error))),
                }
            }
            (query, _) => self.checked_read(query, at_least),
        }
    }

    fn events(
        &self,
        namespace: &Namespace,
        after: Revision,
        limit: u16,
    ) -> BoxFuture<'_, Result<Vec<Event>>> {
        match self.check_events(namespace) {
            Ok(()) => self.backend.events(namespace, after, limit),
            Err(error) => Box::pin(ready(Err(error))),
        }
    }
}
