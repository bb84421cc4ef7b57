//! Backends to test, each with a clock that stands still.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use client::{Remote, RemoteOptions};
use engine::{CacheOptions, Cached, Engine};
use model::{Backend, Error};
use store::{Memory, Postgres, PostgresOptions, Sqlite, SqliteOptions, Store};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use crate::{ManualClock, checked::Checked, keys::sealing};

/// A backend under test.
pub struct Fixture {
    /// The clock that the backend goes by.
    pub clock: Arc<ManualClock>,
    backend: Mutex<Arc<dyn Backend>>,
    /// Runs the engine's futures and, where there is one, the server.
    runtime: Runtime,
    /// The folder of a store on disk, which is removed at the end.
    folder: Option<TempDir>,
    cache: Cache,
}

/// What stands over an engine.
#[derive(Clone, Copy)]
enum Cache {
    Off,
    On,
    /// A cache whose every answer is held against the engine's.
    Checked,
}

impl Cache {
    fn over(self, engine: Arc<Engine>) -> Arc<dyn Backend> {
        match self {
            Self::Off => engine,
            Self::On => Cached::over(engine, CacheOptions::default()),
            Self::Checked => Arc::new(Checked::new(engine)),
        }
    }
}

impl Fixture {
    /// Puts an engine over a store in memory.
    pub fn memory() -> Self {
        Self::over(Arc::new(Memory::new()), None, Cache::Off)
    }

    /// Puts a cache over the engine, and compares its answers with the engine's all the time.
    pub fn cached_memory() -> Self {
        Self::over(Arc::new(Memory::new()), None, Cache::Checked)
    }

    /// Puts an engine over a SQLite store in a folder of its own.
    #[track_caller]
    pub fn sqlite() -> Self {
        Self::on_disk(Cache::Off)
    }

    /// Puts a cache over the engine over a SQLite store.
    #[track_caller]
    pub fn cached_sqlite() -> Self {
        Self::on_disk(Cache::On)
    }

    #[track_caller]
    fn on_disk(cache: Cache) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self::over(sqlite(folder.path()), Some(folder), cache)
    }

    /// Puts an engine over a PostgreSQL store with a schema of its own.
    #[track_caller]
    pub fn postgres() -> Self {
        Self::on_postgres(Cache::Off)
    }

    /// Puts a cache over the engine over a PostgreSQL store.
    #[track_caller]
    pub fn cached_postgres() -> Self {
        Self::on_postgres(Cache::On)
    }

    #[track_caller]
    fn on_postgres(cache: Cache) -> Self {
        let url = crate::cluster::url();
        let options = PostgresOptions { readers: 1, ..PostgresOptions::default() };
        let store = Postgres::open(&url, &options).expect("a PostgreSQL store");
        Self::over(Arc::new(store), None, cache)
    }

    /// Talks over HTTP to a server whose store is in memory.
    #[track_caller]
    pub fn remote_memory() -> Self {
        Self::memory().behind_a_server()
    }

    /// Talks over HTTP to a server with a SQLite store.
    #[track_caller]
    pub fn remote_sqlite() -> Self {
        Self::sqlite().behind_a_server()
    }

    /// Talks over HTTP to a server with a cache and a SQLite store.
    #[track_caller]
    pub fn remote_cached_sqlite() -> Self {
        Self::cached_sqlite().behind_a_server()
    }

    /// Puts a cache before the server, as a client may have it.
    #[track_caller]
    pub fn cached_remote_sqlite() -> Self {
        let fixture = Self::remote_sqlite();
        let (options, clock) = (CacheOptions::default(), fixture.clock.clone());
        let cached = Cached::with(fixture.backend(), options, clock);
        *fixture.lock() = cached;
        fixture
    }

    fn over(store: Arc<dyn Store>, folder: Option<TempDir>, cache: Cache) -> Self {
        let clock = Arc::new(ManualClock::new());
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let engine = runtime.block_on(sealing(Engine::new(store, clock.clone())));
        let backend = cache.over(engine);
        Self { clock, backend: Mutex::new(backend), runtime, folder, cache }
    }

    /// Starts a real server on a free port and reaches the backend through it.
    #[track_caller]
    fn behind_a_server(self) -> Self {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let options = server::Options {
            listen,
            open: true,
            rate: server::Rate::Usual,
            grace: Duration::ZERO,
        };
        let bound = server::bind(options, self.backend()).expect("a free port");
        let url = format!("http://{}", bound.address());
        // The server ends with the runtime.
        drop(self.runtime.spawn(bound.serve(std::future::pending())));
        let remote = Remote::new(&url, RemoteOptions::standard()).expect("a URL");
        *self.lock() = Arc::new(remote);
        self
    }

    /// Gives the backend.
    pub fn backend(&self) -> Arc<dyn Backend> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Arc<dyn Backend>> {
        self.backend.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for an answer.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// Closes the store of [`Fixture::sqlite`] and opens it again; others stay as they are.
    #[track_caller]
    pub fn restart(&self) {
        let Some(folder) = &self.folder else { return };
        let mut backend = self.lock();
        let nothing: Arc<dyn Store> = Arc::new(Memory::new());
        *backend = Engine::new(nothing, self.clock.clone());
        let engine = Engine::new(sqlite(folder.path()), self.clock.clone());
        *backend = self.cache.over(self.block_on(sealing(engine)));
    }
}

#[track_caller]
fn sqlite(folder: &Path) -> Arc<dyn Store> {
    let options = SqliteOptions { readers: 1, ..SqliteOptions::default() };
    loop {
        match Sqlite::open(folder.join("lockstep.db"), options.clone()) {
            Ok(store) => return Arc::new(store),
            // The last job of the store that is being closed may still hold it.
            Err(Error::Unavailable(_)) => std::thread::yield_now(),
            Err(error) => panic!("a SQLite store cannot be opened: {error}"),
        }
    }
}
