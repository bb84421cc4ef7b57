//! A store that several nodes share: one PostgreSQL database.
//!
//! Whoever writes in a namespace holds the lock on its row, up to and through the commit; so each
//! namespace's history has no gaps and is in the order of the commits, whichever node made them.

mod address;
mod copy;
mod failure;
mod fetch;
mod flight;
mod flush;
mod glance;
mod group;
mod hints;
mod known;
mod link;
mod migrate;
mod missing;
mod part;
mod reader;
mod shipment;
mod spans;
mod texts;
mod tx;
mod wire;
mod writer;

use std::sync::{Arc, LazyLock};
use std::thread::{self, JoinHandle};

use model::{Error, Result, Time};
use tokio::runtime::{Builder, Runtime};

use crate::layout::{Layout, layouts};
use crate::side::Side;
use crate::{Job, Store};
use address::Address;
use failure::Failure;
use hints::Hints;
use known::Known;
use link::{DatabaseTime, Link};
use reader::Reader;
use writer::Writer;

/// How rows are laid out as bytes; the same for every store of this kind.
static LAYOUTS: LazyLock<Vec<Layout>> = LazyLock::new(layouts);

/// How a PostgreSQL store uses the machine.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// Connections that read, each with a thread.
    pub readers: usize,
    /// Jobs that may wait, to write and to read each.
    pub jobs_max: usize,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self { readers: 2, jobs_max: 8_192 }
    }
}

/// A durable store in a PostgreSQL database, which other nodes may use at the same time. Dropping
/// it finishes what is queued.
pub struct Postgres {
    reads: Side,
    writes: Side,
    time: Arc<DatabaseTime>,
    hints: Arc<Hints>,
    hinting: Option<JoinHandle<()>>,
}

impl Postgres {
    /// Opens the store at an address such as `postgres://USER@HOST:PORT/DATABASE`, or makes its
    /// tables.
    ///
    /// # Errors
    /// [`Error::BadInput`] if the address, user or password is wrong, if the server is too old or a
    /// standby, or if the tables belong to another program or a newer Lockstep;
    /// [`Error::Unavailable`] if the server cannot be reached.
    pub fn open(url: &str, options: &PostgresOptions) -> Result<Self> {
        let address = Arc::new(Address::parse(url)?);
        let time = Arc::new(DatabaseTime::new());
        // The caller's thread may run a runtime of its own, in which no other can wait.
        let prepared = thread::scope(|scope| scope.spawn(|| prepare(&address, &time)).join());
        prepared.map_err(|_| Error::Internal("a store could not be opened".to_owned()))??;
        let mut writes = Side::new(options.jobs_max);
        let mut reads = Side::new(options.jobs_max);
        for number in 1..=options.readers.max(1) {
            let reader = Reader {
                address: Arc::clone(&address),
                link: None,
                known: Known::new(&LAYOUTS),
                inbox: Arc::clone(&reads.inbox),
                time: Arc::clone(&time),
            };
            let runtime = runtime()?;
            reads.spawn(&format!("store-read-{number}"), move || reader.run(&runtime))?;
        }
        let hints = Arc::new(Hints::default());
        let (told, at, waits) = (Arc::clone(&hints), Arc::clone(&address), runtime()?);
        let hinting = thread::Builder::new()
            .name("store-hints".to_owned())
            .spawn(move || hints::run(&told, &at, &waits))
            .map_err(|error| Error::Unavailable(format!("cannot start a thread: {error}")))?;
        let (runtime, inbox) = (runtime()?, Arc::clone(&writes.inbox));
        let (tells, clock) = (Arc::clone(&hints), Arc::clone(&time));
        let write = move || Writer::new(address, inbox, clock, tells).run(&runtime);
        writes.spawn("store-write", write)?;
        Ok(Self { reads, writes, time, hints, hinting: Some(hinting) })
    }
}

/// Brings the tables up to date, and asks for the time.
fn prepare(address: &Address, time: &DatabaseTime) -> Result<()> {
    let prepared = runtime()?.block_on(async {
        let link = Link::connect(address, "start").await?;
        migrate::migrate(&link, address).await?;
        link.begin("BEGIN", time).await?;
        link.run("COMMIT").await
    });
    prepared.map_err(Failure::into_error)
}

fn runtime() -> Result<Runtime> {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Error::Unavailable(format!("cannot start a thread: {error}")))
}

impl Store for Postgres {
    fn write(&self, job: Box<dyn Job>) {
        self.writes.inbox.put(job);
    }

    fn read(&self, job: Box<dyn Job>) {
        self.reads.inbox.put(job);
    }

    fn now(&self) -> Option<Time> {
        Some(Time(self.time.now()))
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn on_hint(&self, wake: Box<dyn Fn() + Send + Sync>) {
        self.hints.on_hint(wake);
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.reads.close();
        self.writes.close();
        self.hints.end();
        if let Some(hinting) = self.hinting.take() {
            // A panic of the thread was reported by the panic hook.
            let _ = hinting.join();
        }
    }
}
