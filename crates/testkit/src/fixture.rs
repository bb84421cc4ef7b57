//! Backends to test, each with a clock that stands still.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use client::{Remote, RemoteOptions};
use engine::Engine;
use model::{Backend, Error};
use store::{Memory, Sqlite, SqliteOptions, Store};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use crate::ManualClock;

/// A backend under test.
pub struct Fixture {
    /// The clock that the backend goes by.
    pub clock: Arc<ManualClock>,
    backend: Mutex<Arc<dyn Backend>>,
    /// Runs the engine's futures and, where there is one, the server.
    runtime: Runtime,
    /// The folder of a store on disk, which is removed at the end.
    folder: Option<TempDir>,
}

impl Fixture {
    /// Puts an engine over a store in memory.
    pub fn memory() -> Self {
        Self::over(Arc::new(Memory::new()), None)
    }

    /// Puts an engine over a SQLite store in a folder of its own.
    #[track_caller]
    pub fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self::over(sqlite(folder.path()), Some(folder))
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

    fn over(store: Arc<dyn Store>, folder: Option<TempDir>) -> Self {
        let clock = Arc::new(ManualClock::new());
        let backend: Arc<dyn Backend> = Engine::new(store, clock.clone());
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        Self { clock, backend: Mutex::new(backend), runtime, folder }
    }

    /// Starts a real server on a free port and reaches the backend through it.
    #[track_caller]
    fn behind_a_server(self) -> Self {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let options = server::Options { listen, open: true, grace: Duration::ZERO };
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
        *backend = Engine::new(sqlite(folder.path()), self.clock.clone());
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
