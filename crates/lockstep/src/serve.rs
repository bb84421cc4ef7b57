//! `lockstep serve`: a store, the engine over it, and what listens.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use anyhow::{Context, Result};
use clap::Args;
use engine::{Applied, CacheOptions, Cached, Engine};
use model::Backend;
use server::{Oidc, Options, RpcOptions};
use store::{Memory, Postgres, PostgresOptions, Sqlite, SqliteOptions, Store};
use tokio::{
    sync::{oneshot, watch},
    task::JoinHandle,
};

use crate::{
    commands::mail::{Vault, work},
    config::{Config, StoreAt},
    failure::Failure,
    front::{self, Front, Rpc},
    oidc::OidcArgs,
    output::Output,
    signals::Stop,
    steps::{self, Means},
    systemd,
    traces::Export,
    webhook,
};

/// How to serve.
#[derive(Args)]
#[command(after_long_help = "\
On a loopback address nobody needs a token unless --require-token is given. Any other address, and
--require-token, is refused as long as the store has no token and no user, and no provider gives
roles (oidc.grants); make the first one with `lockstep token create --store` or `lockstep user add
--store`.
SIGINT or SIGTERM ends the server when running requests have ended; a second one ends it at once.

Examples:
  lockstep serve
  lockstep serve --store memory --listen 127.0.0.1:8080
  lockstep serve --store sqlite:/var/lib/lockstep/lockstep.db --log-format json
  lockstep serve --store 'postgres://me@db:5432/work?password_file=/run/secrets/db'
  lockstep serve --listen 0.0.0.0:5980 --tls-cert server.pem --tls-key server-key.pem
  lockstep serve --require-token --rate-limit 200")]
pub(crate) struct ServeArgs {
    /// Address to listen on [default: 127.0.0.1:5980] [env: LOCKSTEP_LISTEN]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// `memory`, `sqlite:PATH` or `postgres://USER@HOST:PORT/DATABASE`
    /// [default: lockstep/lockstep.db in the XDG data folder] [env: LOCKSTEP_STORE]
    #[arg(long, value_name = "STORE")]
    store: Option<String>,
    /// PEM file with the certificate of this server and those that lead to an authority: HTTP and
    /// CBOR-RPC speak TLS then; SIGHUP reads it again [env: LOCKSTEP_TLS_CERT]
    #[arg(long, value_name = "FILE")]
    tls_cert: Option<String>,
    /// PEM file with the key of that certificate [env: LOCKSTEP_TLS_KEY]
    #[arg(long, value_name = "FILE")]
    tls_key: Option<String>,
    /// PEM file with authorities: every client must show a certificate of one of them
    /// [env: LOCKSTEP_TLS_CLIENT_CA]
    #[arg(long, value_name = "FILE")]
    tls_client_ca: Option<String>,
    /// Ask everyone for a token, also programs on this machine [env: LOCKSTEP_REQUIRE_TOKEN]
    #[arg(long)]
    require_token: bool,
    /// How many requests a second one token, or one address without a token, may make; 0 is any
    /// number [default: 1000, and any number on loopback without a token]
    /// [env: LOCKSTEP_RATE_LIMIT]
    #[arg(long, value_name = "N")]
    rate_limit: Option<String>,
    /// `on`, or `off` to read everything from the store [default: on] [env: LOCKSTEP_CACHE]
    #[arg(long, value_name = "CACHE")]
    cache: Option<String>,
    /// Address for the CBOR-RPC of Diffeo Coordinate's clients, or `off`
    /// [default: 127.0.0.1:5932] [env: LOCKSTEP_RPC]
    #[arg(long, value_name = "ADDRESS")]
    rpc: Option<String>,
    /// YAML or JSON file that CBOR-RPC clients get from `get_config` [env: LOCKSTEP_RPC_CONFIG]
    #[arg(long, value_name = "FILE")]
    rpc_config: Option<String>,
    /// Networks that steps of workflows may call although they are not public, such as 10.0.0.0/8;
    /// several with commas [default: none] [env: LOCKSTEP_STEPS_MAY_CALL]
    #[arg(long, value_name = "NETWORKS")]
    steps_may_call: Option<String>,
    /// Let steps of workflows run scripts and shell commands on this machine, as the user of the
    /// server [env: LOCKSTEP_PROCESSES]
    #[arg(long)]
    processes: bool,
    /// Folder of secrets that workflows name and the store does not have: one file each
    /// [env: LOCKSTEP_SECRETS]
    #[arg(long, value_name = "FOLDER")]
    secrets: Option<String>,
    /// File with the keys under which secrets are sealed in the store, one a line: the first one
    /// seals, all open; `env:NAME` is a variable that holds them [env: LOCKSTEP_SECRETS_KEY]
    #[arg(long, value_name = "FILE")]
    secrets_key: Option<String>,
    /// Folder of the mail accounts that this server keeps in step: one file each, as `lockstep mail
    /// account add` writes it [env: LOCKSTEP_MAIL]
    #[arg(long, value_name = "FOLDER")]
    mail: Option<String>,
    /// Who is asked before anything is published: `NAME=URL` with commas between them, `NAME?=URL`
    /// for one that need not answer [env: LOCKSTEP_PUBLISH_WEBHOOKS]
    #[arg(long, value_name = "WEBHOOKS")]
    publish_webhooks: Option<String>,
    /// How long instances of workflows are kept once they have ended, with their journals and units
    /// [default: 30d] [env: LOCKSTEP_KEEP_INSTANCES]
    #[arg(long, value_name = "SPAN")]
    keep_instances: Option<String>,
    /// How long running requests get to end [default: 10s] [env: LOCKSTEP_GRACE]
    #[arg(long, value_name = "SPAN")]
    grace: Option<String>,
    /// Send spans to this collector, by OTLP over HTTP, such as http://127.0.0.1:4318
    /// [default: none are made] [env: LOCKSTEP_OTLP_ENDPOINT]
    #[arg(long, value_name = "URL")]
    otlp_endpoint: Option<String>,
    /// The share of the traces that begin here to record, from 0 to 1 [default: 1]
    /// [env: LOCKSTEP_OTLP_SAMPLE]
    #[arg(long, value_name = "SHARE")]
    otlp_sample: Option<String>,
    #[command(flatten)]
    oidc: OidcArgs,
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
        let own = vec![
            ("serve.listen", self.listen.clone()),
            ("serve.store", self.store.clone()),
            ("serve.tls_cert", self.tls_cert.clone()),
            ("serve.tls_key", self.tls_key.clone()),
            ("serve.tls_client_ca", self.tls_client_ca.clone()),
            ("serve.require_token", self.require_token.then(|| "true".to_owned())),
            ("serve.rate_limit", self.rate_limit.clone()),
            ("serve.cache", self.cache.clone()),
            ("serve.rpc", self.rpc.clone()),
            ("serve.rpc_config", self.rpc_config.clone()),
            ("serve.steps_may_call", self.steps_may_call.clone()),
            ("serve.processes", self.processes.then(|| "on".to_owned())),
            ("serve.secrets", self.secrets.clone()),
            ("serve.secrets_key", self.secrets_key.clone()),
            ("serve.mail", self.mail.clone()),
            ("serve.publish_webhooks", self.publish_webhooks.clone()),
            ("serve.keep_instances", self.keep_instances.clone()),
            ("serve.grace", self.grace.clone()),
            ("log.format", self.log_format.clone()),
            ("log.filter", self.log.clone()),
            ("otlp.endpoint", self.otlp_endpoint.clone()),
            ("otlp.sample", self.otlp_sample.clone()),
        ];
        own.into_iter().chain(self.oidc.settings()).collect()
    }
}

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
    let cached = || Cached::over(engine.clone(), CacheOptions::default());
    let mut applied: Applied = Box::new(Vec::new);
    let (backend, following): (Arc<dyn Backend>, _) = match cache {
        Cache::Off => (engine.clone(), None),
        Cache::Alone => (cached(), None),
        Cache::AmongOthers => {
            let cached = cached();
            let tells = cached.clone();
            applied = Box::new(move || tells.positions());
            (cached.clone(), Some(tokio::spawn(cached.follow())))
        }
    };
    engine.join(node_name()?, applied);
    engine.take_secrets({
        let secrets = means.secrets.clone();
        Box::new(move |name| secrets.in_file(name).ok())
    });
    means.tracer.iter().for_each(|tracer| engine.trace_to(Arc::clone(tracer)));
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
    let (stop, stopped) = oneshot::channel();
    let serving = bound.serve(async {
        // A sender that is dropped means the same as one that sends.
        let _either = stopped.await;
    });
    let due = tokio::spawn(engine.clone().run_due());
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
        following,
        backend,
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
        drop(self.stop);
        self.serving.await.context("the server has failed")??;
        // Whoever does steps gives back what is not done.
        self.ended.send_replace(true);
        if let Some(mail) = self.mail {
            mail.await.context("the rounds of mail accounts have failed")?;
        }
        self.workflows.iter().for_each(JoinHandle::abort);
        self.due.abort();
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
