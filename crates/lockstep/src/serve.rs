//! `lockstep serve`: a store, the engine over it, and what listens.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use clap::Args;
use engine::{Engine, SystemClock};
use model::{Answer, Backend, Query};
use store::{Memory, Sqlite, SqliteOptions, Store};
use tokio::{sync::oneshot, task::JoinHandle};

use crate::{
    config::{Config, StoreAt},
    failure::Failure,
    output::Output,
    signals::Stop,
};

/// How to serve.
#[derive(Args)]
#[command(after_long_help = "\
On a loopback address nobody needs a token. Any other address is refused as long as the store has no
token; make the first one with `lockstep token create --store`.
SIGINT or SIGTERM ends the server when running requests have ended; a second one ends it at once.

Examples:
  lockstep serve
  lockstep serve --store memory --listen 127.0.0.1:8080
  lockstep serve --store sqlite:/var/lib/lockstep/lockstep.db --log-format json")]
pub(crate) struct ServeArgs {
    /// Address to listen on [default: 127.0.0.1:5980] [env: LOCKSTEP_LISTEN]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// `memory` or `sqlite:PATH` [default: lockstep/lockstep.db in the XDG data folder]
    /// [env: LOCKSTEP_STORE]
    #[arg(long, value_name = "STORE")]
    store: Option<String>,
    /// How long running requests get to end [default: 10s] [env: LOCKSTEP_GRACE]
    #[arg(long, value_name = "SPAN")]
    grace: Option<String>,
    /// `text` or `json` [default: text] [env: LOCKSTEP_LOG_FORMAT]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
    /// What to log, such as `warn` or `info,server=debug` [default: info] [env: LOCKSTEP_LOG]
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
}

impl ServeArgs {
    /// Gives the settings that the flags say.
    pub(crate) fn settings(&self) -> Vec<(&'static str, Option<String>)> {
        vec![
            ("serve.listen", self.listen.clone()),
            ("serve.store", self.store.clone()),
            ("serve.grace", self.grace.clone()),
            ("log.format", self.log_format.clone()),
            ("log.filter", self.log.clone()),
        ]
    }
}

/// Serves until a signal comes.
pub(crate) async fn run(config: &Config, out: Output) -> Result<()> {
    let stop = Stop::listen()?;
    let place = config.store()?;
    let mut server = start(open(&place)?, config.listen()?, config.grace()?).await?;
    if config.text("log.format") == "json" {
        tracing::info!(address = %server.address(), "listening");
    } else {
        out.note(format!("listening on http://{}", server.address()));
    }
    tokio::select! {
        () = stop.asked() => {}
        ended = server.ended() => return ended,
    }
    tracing::info!("stopping");
    server.stop().await
}

/// Opens a store.
pub(crate) fn open(place: &StoreAt) -> Result<Arc<dyn Store>> {
    match place {
        StoreAt::Memory => Ok(Arc::new(Memory::new())),
        StoreAt::Sqlite(path) => {
            if let Some(folder) = path.parent() {
                let context = || format!("cannot make the folder {}", folder.display());
                std::fs::create_dir_all(folder).with_context(context)?;
            }
            Ok(Arc::new(Sqlite::open(path, SqliteOptions::default())?))
        }
    }
}

/// A server that runs.
pub(crate) struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<model::Result<()>>,
    due: JoinHandle<()>,
}

/// Starts a server over a store.
pub(crate) async fn start(
    store: Arc<dyn Store>,
    listen: SocketAddr,
    grace: Duration,
) -> Result<Running> {
    let engine = Engine::new(store, Arc::new(SystemClock));
    let open = listen.ip().is_loopback();
    if !open {
        refuse_without_tokens(&*engine, listen).await?;
    }
    let options = server::Options { listen, open, grace };
    let backend: Arc<dyn Backend> = engine.clone();
    let bound = server::bind(options, backend)
        .map_err(|error| Failure::hinted(error.into(), "choose another address with --listen"))?;
    let address = bound.address();
    let (stop, stopped) = oneshot::channel();
    let serving = bound.serve(async {
        // A sender that is dropped means the same as one that sends.
        let _either = stopped.await;
    });
    let due = tokio::spawn(engine.run_due());
    Ok(Running { address, stop, serving: tokio::spawn(serving), due })
}

impl Running {
    /// Gives the address that it listens on.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more requests, lets running ones end within the grace, and stops.
    pub(crate) async fn stop(self) -> Result<()> {
        drop(self.stop);
        self.serving.await.context("the server has failed")??;
        self.due.abort();
        Ok(())
    }

    /// Waits until the server ends by itself, which it does only when it fails.
    pub(crate) async fn ended(&mut self) -> Result<()> {
        Ok((&mut self.serving).await.context("the server has failed")??)
    }
}

/// Refuses an address that others can reach as long as nobody needs a token.
async fn refuse_without_tokens(backend: &dyn Backend, listen: SocketAddr) -> Result<()> {
    match backend.read(Query::Tokens, 0).await?.answer {
        Answer::Tokens(tokens) if !tokens.is_empty() => Ok(()),
        _ => {
            let message =
                format!("{listen} can be reached from other machines, and the store has no token");
            let hint = "make one with `lockstep token create --all-namespaces --scope '*' --store \
                        sqlite:PATH`, or listen on 127.0.0.1";
            Err(Failure::usage(message, hint).into())
        }
    }
}
