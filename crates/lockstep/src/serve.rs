//! `lockstep serve`: a store, the engine over it, and what listens.

mod args;

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use anyhow::{Context, Result};
use engine::{Applied, CacheOptions, Cached, Engine, PeerAddress};
use model::Backend;
use server::{Oidc, Options, PeerDoor, RpcOptions};
use store::{Memory, Postgres, PostgresOptions, Sqlite, SqliteOptions, Store};
use tokio::{
    sync::{oneshot, watch},
    task::JoinHandle,
};

pub(crate) use args::ServeArgs;

use crate::{
    commands::mail::{Vault, work},
    config::{Config, StoreAt},
    failure::Failure,
    front::{self, Front, Rpc},
    output::Output,
    peers::Passing,
    signals::Stop,
    steps::{self, Means},
    systemd,
    traces::Export,
    webhook,
};

/// Serves until a signal comes.
pub(crate) async fn run(config: &Config, out: Output) -> Result<()> {
    let stop = Stop::listen()?;
    let place = config.store()?;
    let listen = config.listen()?;
    let options = Options {
        listen,
        open: listen.ip().is_loopback() && !config.require_token()?,
        rate: config.rate()?,
        grace: config.grace()?,
    };
    let cache = match (config.cache()?, &place) {
        (false, _) => Cache::Off,
        (true, StoreAt::Memory | StoreAt::Sqlite(_)) => Cache::Alone,
        (true, StoreAt::Postgres(_)) => Cache::AmongOthers,
    };
    let (front, means) = (Front::of(config)?, config.means()?);
    front::refuse_peers_of(&place, front.peer.as_ref())?;
    front.reload_on_hangup()?;
    let is_plain = front.tls.is_none();
    let scheme = if is_plain { "http" } else { "https" };
    let export = Export::start(config, "lockstep")?;
    let means = Means { tracer: export.as_ref().map(Export::tracer), ..means };
    let mut server = start(open(&place)?, options, (cache, front), means).await?;
    if let Some(folder) = config.mail() {
        server.keep_mail(folder);
    }
    if config.text("log.format") == "json" {
        tracing::info!(address = %server.address(), "listening");
    } else {
        out.note(format!("listening on {scheme}://{}", server.address()));
    }
    match server.rpc {
        Some(address) if config.text("log.format") == "json" => {
            tracing::info!(%address, "listening for CBOR-RPC");
        }
        Some(address) => out.note(format!("CBOR-RPC on {address}")),
        None => {}
    }
    if is_plain {
        front::warn([Some(server.address()), server.rpc]);
    }
    systemd::ready();
    let alive = tokio::spawn(systemd::alive());
    tokio::select! {
        () = stop.asked() => {}
        ended = server.ended() => return ended,
    }
    tracing::info!("stopping");
    systemd::stopping();
    let stopped = server.stop().await;
    alive.abort();
    if let Some(export) = export {
        export.end().await;
    }
    stopped
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
        StoreAt::Postgres(url) => Ok(Arc::new(Postgres::open(url, &PostgresOptions::default())?)),
    }
}

/// What stands before the store.
#[derive(Clone, Copy)]
pub(crate) enum Cache {
    /// Nothing.
    Off,
    /// A cache, and nobody else writes to the store.
    Alone,
    /// A cache that follows what others write to the store.
    AmongOthers,
}

/// What makes writes and answers reads in this process.
struct Here {
    backend: Arc<dyn Backend>,
    cached: Option<Arc<Cached>>,
    applied: Applied,
    following: Option<JoinHandle<()>>,
}

impl Here {
    fn over(engine: &Arc<Engine>, cache: Cache) -> Self {
        if let Cache::Off = cache {
            let applied = Box::new(Vec::new);
            return Self { backend: engine.clone(), cached: None, applied, following: None };
        }
        let cached = Cached::over(engine.clone(), CacheOptions::default());
        let (mut applied, mut following): (Applied, _) = (Box::new(Vec::new), None);
        if let Cache::AmongOthers = cache {
            let tells = cached.clone();
            applied = Box::new(move || tells.positions());
            following = Some(tokio::spawn(cached.clone().follow()));
        }
        Self { backend: cached.clone(), cached: Some(cached), applied, following }
    }
}

/// A server that runs.
pub(crate) struct Running {
    engine: Arc<Engine>,
    address: SocketAddr,
    rpc: Option<SocketAddr>,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<model::Result<()>>,
    due: JoinHandle<()>,
    workflows: [JoinHandle<()>; 2],
    ended: watch::Sender<bool>,
    following: Option<JoinHandle<()>>,
    backend: Arc<dyn Backend>,
    passing: Option<Arc<Passing>>,
    knowing: Option<JoinHandle<()>>,
    mail: Option<JoinHandle<()>>,
}

/// Puts an engine over a store that may be opened to those who reach its addresses.
async fn engine_over(
    store: Arc<dyn Store>,
    options: &Options,
    front: &Front,
    means: &Means,
) -> Result<Arc<Engine>> {
    let extensions = webhook::extensions(&means.webhooks)?;
    let engine = Engine::extended(store.clone(), engine::clock_of(&store), extensions)?;
    let closed = [(options.open, options.listen)].into_iter();
    let closed = closed.chain(front.rpc.as_ref().map(|rpc| (rpc.open, rpc.listen)));
    // Where a provider gives roles, people can sign in before there is any token or user.
    let has_people = front.oidc.as_ref().is_some_and(Oidc::gives_roles);
    for (_, listen) in closed.filter(|(open, _)| !open && !has_people) {
        front::refuse_without_tokens(&*engine, listen).await?;
    }
    if engine.take_keys(means.keys.clone()).await? {
        tracing::warn!("no secret of the store can be opened: give their key with --secrets-key");
    }
    engine.take_secrets({
        let secrets = means.secrets.clone();
        Box::new(move |name| secrets.in_file(name).ok())
    });
    means.tracer.iter().for_each(|tracer| engine.trace_to(Arc::clone(tracer)));
    Ok(engine)
}

/// Starts a server over a store.
pub(crate) async fn start(
    store: Arc<dyn Store>,
    options: Options,
    (cache, front): (Cache, Front),
    means: Means,
) -> Result<Running> {
    let clock = engine::clock_of(&store);
    let engine = engine_over(store, &options, &front, &means).await?;
    let here = Here::over(&engine, cache);
    let name = node_name()?;
    let passing = front.peer.as_ref().map(|peer| {
        let (clock, tls) = (Arc::clone(&clock), peer.tls.clone());
        let here = (Arc::clone(&here.backend), here.cached.clone());
        Passing::new(engine.clone(), clock, name.clone(), tls, here)
    });
    let backend: Arc<dyn Backend> = match &passing {
        Some(passing) => passing.clone(),
        None => Arc::clone(&here.backend),
    };
    means.instances_kept.into_iter().for_each(|kept| engine.keep_instances(kept));
    let (ended, ending) = watch::channel(false);
    let tracer = means.tracer.clone();
    let steps = steps::run(engine.clone(), Arc::clone(&backend), means, ending);
    let mut bound = server::bind(options, Arc::clone(&backend))
        .map_err(|error| Failure::hinted(error.into(), "choose another address with --listen"))?
        .with_tls(front.tls);
    if let Some(Rpc { listen, open, config }) = front.rpc {
        let options = RpcOptions { listen, open, clock, config };
        bound = bound.with_rpc(options).map_err(|error| {
            Failure::hinted(error.into(), "choose another address with --rpc, or --rpc off")
        })?;
    }
    if let Some(tracer) = tracer {
        bound = bound.trace_to(tracer);
    }
    if let Some(oidc) = front.oidc {
        bound = bound.sign_in_at(oidc);
    }
    let (address, rpc) = (bound.address(), bound.rpc_address());
    let peer = front.peer.map(|peer| peer.address(address)).transpose()?;
    if let Some(PeerAddress { secret, .. }) = &peer {
        let (secret, backend, engine) = (secret.clone(), here.backend, engine.clone());
        let next_due = Box::new(move || engine.next_due());
        bound = bound.open_to_peers(PeerDoor { secret, backend, next_due });
    }
    engine.join(name, here.applied, peer);
    let (stop, stopped) = oneshot::channel();
    let serving = bound.serve(async {
        // A sender that is dropped means the same as one that sends.
        let _either = stopped.await;
    });
    let due = tokio::spawn(engine.clone().run_due());
    let knowing = passing.clone().map(|passing| tokio::spawn(passing.know_peers()));
    let workflows = [tokio::spawn(engine.clone().run_workflows()), tokio::spawn(steps)];
    let serving = tokio::spawn(serving);
    let mail = None;
    Ok(Running {
        engine,
        address,
        rpc,
        stop,
        serving,
        due,
        workflows,
        ended,
        following: here.following,
        backend,
        passing,
        knowing,
        mail,
    })
}

impl Running {
    /// Gives the address that it listens on.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Keeps the mail accounts of a folder in step.
    pub(crate) fn keep_mail(&mut self, folder: PathBuf) {
        let vault = Vault::Engine(Arc::clone(&self.engine));
        let rounds = work::run(Arc::clone(&self.backend), folder, self.ended.subscribe(), vault);
        self.mail = Some(tokio::spawn(rounds));
    }

    /// Takes no more requests, lets running ones end within the grace, and stops.
    pub(crate) async fn stop(self) -> Result<()> {
        if let Some(passing) = &self.passing {
            passing.withdraw().await;
        }
        drop(self.stop);
        self.serving.await.context("the server has failed")??;
        // Whoever does steps gives back what is not done.
        self.ended.send_replace(true);
        if let Some(mail) = self.mail {
            mail.await.context("the rounds of mail accounts have failed")?;
        }
        self.workflows.iter().for_each(JoinHandle::abort);
        self.due.abort();
        self.knowing.iter().for_each(JoinHandle::abort);
        if let Err(error) = self.engine.leave().await {
            tracing::warn!(%error, "the other nodes could not be told that this one ends");
        }
        if let Some(following) = self.following {
            following.abort();
        }
        Ok(())
    }

    /// Waits until the server ends by itself, which it does only when it fails.
    pub(crate) async fn ended(&mut self) -> Result<()> {
        Ok((&mut self.serving).await.context("the server has failed")??)
    }
}

/// Gives a name that no other node has, and that tells people which one it is.
fn node_name() -> Result<String> {
    let mut random = [0; 4];
    getrandom::fill(&mut random).context("no random numbers")?;
    let random: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    Ok(format!("{host}-{}-{random}", std::process::id()))
}
