//! A namespace of a backend under test, with one short method for each thing that a script does.
//!
//! Methods without `try_` in their name, and without a `Result`, panic where the backend refuses:
//! that is how a script fails.

mod attempts;
mod definitions;
mod specs;
mod units;
mod values;
mod workers;

use std::{sync::Arc, time::Duration};

use engine::Clock;
use model::{
    Answer, Backend, Command, Committed, Event, EventBody, Namespace, Query, QueueCommand, Read,
    Reply, Result, Time, Write,
};

pub use self::definitions::publishing;
pub use self::values::{
    absent, all, bytes, data, dict_data, in_status, minutes, name, named, names_of, new_unit,
    request, seconds, spec_name, text, worker_name,
};
use crate::Fixture;

/// A namespace of a backend under test.
#[derive(Clone)]
pub struct World {
    fixture: Arc<Fixture>,
    namespace: Namespace,
}

impl World {
    /// Opens a namespace of a fixture.
    #[track_caller]
    pub fn new(fixture: Arc<Fixture>, namespace: &str) -> Self {
        Self { fixture, namespace: values::namespace(namespace) }
    }

    /// Opens another namespace of the same backend.
    #[track_caller]
    pub fn in_namespace(&self, namespace: &str) -> Self {
        Self::new(self.fixture.clone(), namespace)
    }

    /// Gives the namespace.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Tells the time.
    pub fn now(&self) -> Time {
        self.fixture.clock.now()
    }

    /// Moves the clock on.
    pub fn advance(&self, span: Duration) {
        self.fixture.clock.advance(span);
    }

    /// Closes the store and opens it again, where it is on disk and in this process.
    #[track_caller]
    pub fn restart(&self) {
        self.fixture.restart();
    }

    /// Sends a write as it is.
    pub fn send(&self, write: Write) -> Result<Committed> {
        self.fixture.block_on(self.fixture.backend().write(write))
    }

    /// Sends commands as one write.
    pub fn write(
        &self,
        commands: impl IntoIterator<Item = impl Into<Command>>,
    ) -> Result<Committed> {
        self.send(self.write_of(commands))
    }

    /// Makes a write of this namespace without sending it.
    pub fn write_of(&self, commands: impl IntoIterator<Item = impl Into<Command>>) -> Write {
        Write::of(&self.namespace, commands.into_iter().map(Into::into).collect())
    }

    /// Sends one command and gives its reply.
    #[track_caller]
    pub fn run(&self, command: QueueCommand) -> Result<Reply> {
        let committed = self.write([command])?;
        let [reply] = <[Reply; 1]>::try_from(committed.replies).expect("one reply to one command");
        Ok(reply)
    }

    /// Sends one command that answers nothing but that it is done.
    #[track_caller]
    pub fn done(&self, command: QueueCommand) -> Result<()> {
        let reply = self.run(command)?;
        assert_eq!(reply, Reply::Done);
        Ok(())
    }

    /// Asks.
    pub fn ask(&self, query: Query) -> Result<Answer> {
        self.read(query).map(|read| read.answer)
    }

    /// Asks, and keeps the revision that was read.
    pub fn read(&self, query: Query) -> Result<Read> {
        self.fixture.block_on(self.fixture.backend().read(query, 0))
    }

    /// Creates the namespace.
    #[track_caller]
    pub fn create(&self) {
        self.write([QueueCommand::CreateNamespace]).expect("the namespace is created");
    }

    /// Destroys the namespace.
    pub fn destroy(&self) -> Result<()> {
        self.done(QueueCommand::DestroyNamespace)
    }

    /// Gives the whole history of the namespace after a revision.
    #[track_caller]
    pub fn events_after(&self, after: u64) -> Vec<Event> {
        let backend = self.fixture.backend();
        let page = |after| backend.events(&self.namespace, after, 100);
        let mut events: Vec<Event> = Vec::new();
        loop {
            let after = events.last().map_or(after, |event| event.revision);
            let next = self.fixture.block_on(page(after)).expect("the history is read");
            if next.is_empty() {
                return events;
            }
            events.extend(next);
        }
    }

    /// Gives everything that happened after a revision, in order.
    #[track_caller]
    pub fn happened_after(&self, after: u64) -> Vec<EventBody> {
        self.events_after(after).into_iter().flat_map(|event| event.bodies).collect()
    }

    /// Gives the present revision of the namespace.
    #[track_caller]
    pub fn revision(&self) -> u64 {
        match self.ask(Query::Namespace(self.namespace.clone())) {
            Ok(Answer::Namespace(info)) => info.revision,
            other => panic!("the namespace is asked for, and the answer is {other:?}"),
        }
    }
}
