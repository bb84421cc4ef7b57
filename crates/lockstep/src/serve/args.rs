//! The flags of `lockstep serve`.

use clap::Args;

use crate::oidc::OidcArgs;

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
  lockstep serve --require-token --rate-limit 200
  lockstep serve --store 'postgres://me@db/work' --listen 10.0.0.7:5980 \
    --peer-url http://10.0.0.7:5980")]
pub(crate) struct ServeArgs {
    /// Address to listen on [default: 127.0.0.1:5980] [env: LOCKSTEP_LISTEN]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// URL at which other nodes over the same PostgreSQL reach this one, such as
    /// http://10.0.0.7:5980; port 0 is the one it listens at. Nodes that have one pass writes on
    /// to the one that writes in their namespace [default: none] [env: LOCKSTEP_PEER_URL]
    #[arg(long, value_name = "URL")]
    peer_url: Option<String>,
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
            ("serve.peer_url", self.peer_url.clone()),
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
