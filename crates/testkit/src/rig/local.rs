//! A real server in this process, over a store in memory, whose panics and commits are counted.

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr},
    panic,
    sync::{
        Arc, Mutex, Once, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use engine::{Engine, SystemClock};
use model::{
    Backend, BoxFuture, Committed, Event, Namespace, Query, Read, Result, Revision, Write,
};
use server::{Options, Rate, RpcOptions, bind};
use store::Memory;
use tokio::runtime::{Builder, Runtime};

use crate::keys::sealing;

/// How the threads of a server in this process are named.
const THREADS: &str = "rig-server";

/// A server in this process.
pub struct Local {
    /// Where it listens.
    pub address: SocketAddr,
    /// Where it speaks CBOR-RPC.
    pub rpc: SocketAddr,
    /// What it stands on.
    pub backend: Arc<Watched>,
    runtime: Runtime,
}

impl Local {
    /// Starts a server over an engine over a store in memory.
    #[track_caller]
    pub fn start() -> Self {
        Self::with(|backend| backend)
    }

    /// Starts a server that sees the engine through a backend of the caller's making.
    #[track_caller]
    pub fn with(wrap: impl FnOnce(Arc<dyn Backend>) -> Arc<dyn Backend>) -> Self {
        count_panics();
        let runtime = runtime();
        let engine = Engine::new(Arc::new(Memory::new()), Arc::new(SystemClock));
        let engine = runtime.block_on(sealing(engine));
        runtime.spawn(engine.clone().run_due());
        let backend =
            Arc::new(Watched { engine, commits: AtomicU64::new(0), newest: Mutex::default() });
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let options =
            Options { listen, open: true, rate: Rate::Usual, grace: Duration::from_secs(1) };
        let bound = bind(options, wrap(backend.clone())).expect("a free port");
        let clock = Arc::new(SystemClock);
        let options = RpcOptions { listen, open: true, clock, config: None };
        let bound = bound.with_rpc(options).expect("a free port");
        let address = bound.address();
        let rpc = bound.rpc_address().expect("an address");
        runtime.spawn(bound.serve(std::future::pending::<()>()));
        Self { address, rpc, backend, runtime }
    }

    /// Waits for an answer of the backend itself.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }
}

#[track_caller]
fn runtime() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name(THREADS)
        .enable_all()
        .build()
        .expect("a runtime")
}

/// An engine whose commits are counted.
pub struct Watched {
    engine: Arc<Engine>,
    commits: AtomicU64,
    /// The newest commit of each namespace. An answer of an older one is given again, for an
    /// idempotency key.
    newest: Mutex<HashMap<Namespace, Revision>>,
}

impl Watched {
    /// Gives the number of writes that changed something.
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::SeqCst)
    }
}

impl Backend for Watched {
    fn write(&self, write: Write) -> BoxFuture<'_, Result<Committed>> {
        Box::pin(async move {
            let namespace = write.namespace.clone();
            let committed = self.engine.write(write).await?;
            let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
            let newest = newest.entry(namespace).or_default();
            if !committed.events.is_empty() && committed.revision > *newest {
                *newest = committed.revision;
                self.commits.fetch_add(1, Ordering::SeqCst);
            }
            Ok(committed)
        })
    }

    fn read(&self, query: Query, at_least: Revision) -> BoxFuture<'_, Result<Read>> {
        self.engine.read(query, at_least)
    }

    fn events(
        &self,
        namespace: &Namespace,
        after: Revision,
        limit: u16,
    ) -> BoxFuture<'_, Result<Vec<Event>>> {
        self.engine.events(namespace, after, limit)
    }
}

static PANICS: AtomicU64 = AtomicU64::new(0);

/// Gives the number of panics on threads of servers in this process.
pub fn panics() -> u64 {
    PANICS.load(Ordering::SeqCst)
}

/// Counts panics from now on, before whatever else is done about them.
fn count_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if thread::current().name().is_some_and(|name| name.starts_with(THREADS)) {
                PANICS.fetch_add(1, Ordering::SeqCst);
            }
            before(info);
        }));
    });
}
