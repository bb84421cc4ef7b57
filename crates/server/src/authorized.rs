//! A backend that lets one caller do what it may.

use std::{
    future::ready,
    sync::{Arc, OnceLock},
};

use model::{
    Access, Answer, Backend, BoxFuture, Caller, Command, Committed, Error, Event, Namespace, Page,
    Principal, Query, Read, Resource, Result, Revision, SpecName, Verb, Write, limits,
};

/// Checks every command and query against the scopes of one [`Principal`].
///
/// A caller of some namespaces sees only those in the list of namespaces and in the summary.
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
            if matches!(command, Command::User(command) if command.is_own()) {
                return Err(own());
            }
            self.principal.check(&Access::of_command(&write.namespace, command))
        })
    }

    /// Lists those of the caller's own namespaces that exist and are on the page.
    async fn own_namespaces(&self, page: &Page<Namespace>, at_least: Revision) -> Result<Read> {
        self.principal.check_somewhere(Verb::Read, Resource::Namespace)?;
        let limit = if page.limit == 0 { limits::PAGE_MAX } else { page.limit } as usize;
        let mut infos = Vec::new();
        for own in self.principal.namespaces(Verb::Read, Resource::Namespace) {
            if page.after.as_ref().is_some_and(|after| *after >= own) || infos.len() >= limit {
                continue;
            }
            match self.checked_read(Query::Namespace(own), at_least).await {
                Ok(Read { answer: Answer::Namespace(info), .. }) => infos.push(info),
                Ok(_) | Err(Error::NoSuchNamespace(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Read { as_of: 0, answer: Answer::Namespaces(infos) })
    }

    /// Counts the units of all of the caller's own namespaces.
    async fn own_summary(&self, spec: Option<SpecName>, at_least: Revision) -> Result<Read> {
        self.principal.check_somewhere(Verb::Read, Resource::Spec)?;
        let own = self.principal.namespaces(Verb::Read, Resource::Spec);
        if let [only] = own.as_slice() {
            return self.checked_read(Query::Summary(Some(only.clone()), spec), at_least).await;
        }
        let mut rows = Vec::new();
        for own in own {
            let query = Query::Summary(Some(own), spec.clone());
            match self.checked_read(query, at_least).await {
                Ok(Read { answer: Answer::Summary(more), .. }) => rows.extend(more),
                Ok(_) | Err(Error::NoSuchNamespace(_) | Error::NoSuchWorkSpec(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Read { as_of: 0, answer: Answer::Summary(rows) })
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
        if matches!(&query, Query::Users(query) if query.is_own()) {
            return Box::pin(ready(Err(own())));
        }
        if self.principal.check(&Access::of_query(&query)).is_ok() {
            return self.checked_read(query, at_least);
        }
        // Whoever may not see all gets what they may see of it.
        match query {
            Query::Namespaces(page) => {
                Box::pin(async move { self.own_namespaces(&page, at_least).await })
            }
            Query::Summary(None, spec) => Box::pin(self.own_summary(spec, at_least)),
            Query::Since(positions) => {
                let mut checks = positions.iter().map(|(name, _)| self.check_events(name));
                match checks.find_map(Result::err) {
                    None => self.backend.read(Query::Since(positions), at_least),
                    Some(error) => Box::pin(ready(Err(error))),
                }
            }
            query => self.checked_read(query, at_least),
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

/// Says that only a server itself says or asks this, never one of its callers.
fn own() -> Error {
    Error::Denied("sessions and the hashes of passwords are for the server alone".to_owned())
}
