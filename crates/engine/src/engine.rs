//! The engine: a [`Backend`] over a store.

use std::{sync::Arc, time::Duration};

use model::{
    Answer, Backend, BoxFuture, Command, Committed, DefinitionAnswer, DefinitionQuery, Error,
    Event, InstanceQuery, Namespace, Query, QueueCommand, Read, Reply, Result, Revision,
    SecretCommand, SecretValue, Time, Tracer, Write, limits,
};
use store::Store;
use tokio::time::Instant;

use crate::{
    Clock, PeerAddress,
    blob::Referring,
    due, expr,
    node::{Applied, Myself},
    pulse::Follower,
    read::{Ask, ask},
    request,
    secret::{self, Keys},
    shared::{Listener, SecretOf, Shared},
    waiters::Waiter,
    workflow::{self, Extensions, Stages, driver, job::look},
    write::{WriteJob, WriteOutcome, is_destroy},
};

/// Applies writes, answers reads, does what falls due, and lets claims wait for work.
pub struct Engine {
    pub(crate) shared: Arc<Shared>,
}

impl Engine {
    /// Puts an engine over a store.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Arc<Self> {
        Self::make(store, clock, Stages::default())
    }

    /// Puts an engine over a store, with stages added to the pipeline that publishes.
    ///
    /// # Errors
    /// [`Error::BadInput`] if two stages have one name, or some wait for each other.
    pub fn extended(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        extensions: Extensions,
    ) -> Result<Arc<Self>> {
        Ok(Self::make(store, clock, Stages::new(extensions)?))
    }

    fn make(store: Arc<dyn Store>, clock: Arc<dyn Clock>, stages: Stages) -> Arc<Self> {
        let store = Arc::new(Referring(store));
        let shared = Arc::new(Shared::new(store, clock, stages));
        let told = Arc::downgrade(&shared);
        shared.store.on_hint(Box::new(move || {
            told.upgrade().into_iter().for_each(|shared| shared.hear_hint());
        }));
        Arc::new(Self { shared })
    }

    /// Sets who else looks when another node has told of a commit; there can be only one.
    pub(crate) fn follow(&self, follower: Follower) {
        let _first = self.shared.follower.set(follower);
    }

    /// Joins the nodes of a shared store under a name that no other has: [`Engine::run_due`] then
    /// renews this node's lease. With the address of this node it also learns those of others.
    /// Elsewhere it does nothing.
    pub fn join(&self, name: String, applied: Applied, peer: Option<PeerAddress>) {
        if self.shared.store.is_shared() {
            let started = self.shared.clock.now();
            self.shared.lease.join();
            // Who has joined stays under the first name.
            let _joined = self.shared.myself.set(Myself { name, started, applied, peer });
        }
    }

    /// Leaves the other nodes in good order.
    pub async fn leave(&self) -> Result<()> {
        if self.shared.myself.get().is_none() {
            return Ok(());
        }
        due::leave(&self.shared).await
    }

    /// Does what falls due, for ever.
    pub async fn run_due(self: Arc<Self>) {
        due::run(&self.shared).await;
    }

    /// Drives instances of workflows on, for ever.
    pub async fn run_workflows(self: Arc<Self>) {
        driver::run(&self.shared).await;
    }

    /// Gives the namespaces in which steps come up that the server does itself; only the first
    /// who asks gets them.
    pub fn builtin_steps(&self) -> Option<tokio::sync::mpsc::Receiver<Namespace>> {
        self.shared.drivers.steps()
    }

    /// Sets where the secrets are that definitions name and the store does not have.
    pub fn take_secrets(&self, secrets: SecretOf) {
        // Who has set it first has the say.
        let _first = self.shared.secrets.set(secrets);
    }

    /// Sets the keys under which secrets are sealed in the store, if there are any; those who have
    /// been set first stay. Tells whether the store has secrets that nobody can open for want of
    /// a key.
    ///
    /// # Errors
    /// [`Error::SecretNotOpened`] if a secret is sealed under a key that is not among them.
    pub async fn take_keys(&self, keys: Option<Arc<Keys>>) -> Result<bool> {
        if let Some(keys) = keys {
            // Who has set them first has the say.
            let _first = self.shared.keys.set(keys);
        }
        let shared = Arc::clone(&self.shared);
        look(&self.shared, move |tx| secret::check(tx, shared.keys())).await
    }

    /// Opens a secret of the store for whoever uses it in this process; none if there is no such
    /// secret.
    ///
    /// # Errors
    /// [`Error::SecretNotOpened`] if it is sealed under a key that is not here, or was changed.
    pub async fn open_secret(
        &self,
        namespace: &Namespace,
        name: &str,
    ) -> Result<Option<SecretValue>> {
        secret::open(&self.shared, namespace, None, name).await
    }

    /// Sets how long instances are kept once they have ended.
    pub fn keep_instances(&self, kept: Duration) {
        // Who has set it first has the say.
        let _first = self.shared.instances_kept.set(kept);
    }

    /// Sets who takes the spans of what is done.
    pub fn trace_to(&self, tracer: Arc<dyn Tracer>) {
        self.shared.trace_to(tracer);
    }

    /// Sets who computes expressions, before anything is computed.
    pub fn compute_with(&self, pool: expr::Pool) {
        // Who has begun to compute goes on.
        let _first = self.shared.expressions.set(pool);
    }

    /// Sets who hears of each commit before its caller does; there can be only one.
    pub(crate) fn listen(&self, listener: Listener) {
        if self.shared.listener.set(listener).is_err() {
            tracing::error!("an engine has two caches over it, and tells only one of its commits");
        }
    }

    /// Notes that nothing is given out any more that is older than an epoch of the catalog.
    pub(crate) fn note_applied(&self, epoch: u64) {
        self.shared.note_applied(epoch);
    }

    /// Tells whether the lease of this node holds, and has held since a time.
    pub(crate) fn lease_covers(&self, since: Instant) -> bool {
        self.shared.lease.covers(since)
    }

    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.shared.clock)
    }

    /// Does everything that is due by now, so that what follows sees it done.
    async fn settle(&self) -> Result<()> {
        while self.shared.next_due() <= self.shared.clock.now() {
            due::once(&self.shared).await?;
        }
        Ok(())
    }

    async fn write_now(&self, write: Arc<Write>) -> Result<WriteOutcome> {
        self.settle().await?;
        let seed = self.shared.next_seed();
        let (job, reply) = WriteJob::new(Arc::clone(&self.shared), write, seed);
        self.shared.store.write(Box::new(job));
        reply.await.unwrap_or_else(|_| Err(stopped()))
    }

    async fn write_once(&self, write: Write) -> Result<Committed> {
        check(&write)?;
        if self.shared.keys.get().is_none() && write.commands.iter().any(needs_key) {
            // A refusal that is kept would outlast the moment when a key is given.
            return Err(Error::NoSecretsKey);
        }
        let write = Arc::new(write);
        match self.write_and_wait(Arc::clone(&write)).await {
            Err(error) if write.request_id.is_some() && request::is_lasting(&error) => {
                request::refuse(&self.shared, write, error).await
            }
            outcome => outcome,
        }
    }

    async fn write_and_wait(&self, write: Arc<Write>) -> Result<Committed> {
        if let Some(outcome) = workflow::intercept(&self.shared, &write).await {
            return outcome;
        }
        let deadline = self.shared.clock.now().plus(write.wait.min(limits::WAIT_MAX));
        if write.wait.is_zero() {
            let committed = self.write_now(Arc::clone(&write)).await?.committed;
            if write.commands.iter().any(is_destroy) {
                workflow::everywhere(&self.shared).await;
            }
            return Ok(committed);
        }
        // Registered before the first look, so that work added in between is not missed.
        let mut waiter = self.shared.waiters.register(&write);
        let outcome = self.write_now(Arc::clone(&write)).await?;
        if !found_nothing(&write, &outcome.committed) {
            return Ok(outcome.committed);
        }
        let mut committed = outcome.committed;
        let claims = Arc::new(claims_of(&write));
        self.shared.waiters.expect(&write.namespace, outcome.later, &self.shared.bell);
        // A recalled answer says what was found then, so the claims look again at once.
        let mut look = outcome.recalled;
        loop {
            if !look && !self.wait(&mut waiter, deadline).await {
                return Ok(committed);
            }
            look = false;
            waiter = self.shared.waiters.register(&write);
            let outcome = self.write_now(Arc::clone(&claims)).await?;
            if !found_nothing(&claims, &outcome.committed) {
                merge(&write, &mut committed, outcome.committed);
                return Ok(committed);
            }
            self.shared.waiters.expect(&write.namespace, outcome.later, &self.shared.bell);
        }
    }

    /// Waits for work; tells whether there may be some.
    async fn wait(&self, waiter: &mut Waiter<'_>, deadline: Time) -> bool {
        tokio::select! {
            biased;
            () = waiter.woken() => true,
            () = self.shared.clock.sleep_until(deadline) => false,
        }
    }
}

pub(crate) fn stopped() -> Error {
    Error::Unavailable("the store has stopped".to_owned())
}

fn check(write: &Write) -> Result<()> {
    if write.commands.len() > limits::COMMANDS_MAX {
        let count = write.commands.len();
        return Err(Error::too_large("commands in one write", count, limits::COMMANDS_MAX));
    }
    match &write.request_id {
        Some(id) if id.is_empty() || id.len() > limits::REQUEST_ID_BYTES_MAX => {
            Err(Error::bad_input("an idempotency key has 1 to 255 bytes"))
        }
        _ => Ok(()),
    }
}

/// Tells whether a command has something sealed.
fn needs_key(command: &Command) -> bool {
    let seals = |command: &SecretCommand| !matches!(command, SecretCommand::Remove { .. });
    matches!(command, Command::Secret(command) if seals(command))
}

/// Tells whether a write does nothing but claim.
pub(crate) fn only_claims(write: &Write) -> bool {
    write.commands.iter().all(is_claim)
}

fn is_claim(command: &Command) -> bool {
    matches!(command, Command::Queue(QueueCommand::Claim(_)))
}

/// Tells whether a write has claims and none of them got anything.
fn found_nothing(write: &Write, committed: &Committed) -> bool {
    let mut claims = write.commands.iter().zip(&committed.replies).filter(|(c, _)| is_claim(c));
    let empty = |reply: &Reply| matches!(reply, Reply::Attempts(list) if list.is_empty());
    claims.clone().next().is_some() && claims.all(|(_, reply)| empty(reply))
}

/// Gives the claims of a write as a write of their own, with an idempotency key of its own.
pub(crate) fn claims_of(write: &Write) -> Write {
    Write {
        namespace: write.namespace.clone(),
        request_id: write.request_id.as_ref().map(|id| request::waiting(id)),
        commands: write.commands.iter().filter(|command| is_claim(command)).cloned().collect(),
        wait: Duration::ZERO,
        caller: write.caller.clone(),
    }
}

/// Puts the replies to the claims in their places.
pub(crate) fn merge(write: &Write, committed: &mut Committed, claimed: Committed) {
    let places = write.commands.iter().zip(&mut committed.replies);
    let places = places.filter(|(command, _)| is_claim(command)).map(|(_, reply)| reply);
    for (place, reply) in places.zip(claimed.replies) {
        *place = reply;
    }
    committed.revision = claimed.revision;
    committed.events.extend(claimed.events);
}

impl Backend for Engine {
    fn write(&self, write: Write) -> BoxFuture<'_, Result<Committed>> {
        Box::pin(self.write_once(write))
    }

    fn read(&self, query: Query, at_least: Revision) -> BoxFuture<'_, Result<Read>> {
        Box::pin(async move {
            self.settle().await?;
            if let Query::Definitions(_, DefinitionQuery::Pipeline) = &query {
                let pipeline = DefinitionAnswer::Pipeline(self.shared.stages.pipeline());
                return Ok(Read { as_of: 0, answer: Answer::Definitions(pipeline) });
            }
            if let Query::Instances(namespace, InstanceQuery::Match(event)) = &query {
                return workflow::explain(&self.shared, namespace, event).await;
            }
            if let Query::Instances(namespace, InstanceQuery::States(id, seq)) = &query {
                return workflow::states(&self.shared, namespace, *id, *seq).await;
            }
            ask(&self.shared, Ask::Query { query, at_least }).await?.into_read()
        })
    }

    fn events(
        &self,
        namespace: &Namespace,
        after: Revision,
        limit: u16,
    ) -> BoxFuture<'_, Result<Vec<Event>>> {
        let namespace = namespace.clone();
        let limit = limit.min(u16::try_from(limits::PAGE_MAX).unwrap_or(u16::MAX));
        Box::pin(async move {
            self.settle().await?;
            ask(&self.shared, Ask::Events { namespace, after, limit }).await?.into_events()
        })
    }
}
