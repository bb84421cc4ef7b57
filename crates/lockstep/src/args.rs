//! The command line: what every command takes, and the nouns.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::commands::{
    attempt, audit, backup, bench, blob, completions, config, demo, event, export, health, import,
    instance, load, mail, man, namespace, node, schedule, secret, serve, spec, summary, token,
    unit, user, verify, worker, workflow,
};

const EXIT_CODES: &str = "\
Exit codes:
  0    it is done (also when the reader of the output went away)
  1    it failed
  2    the request itself is wrong: usage, a bad value, a bad file
  3    there is no such record, or it is gone
  4    conflict: a lost lease, an attempt that has ended, a reused key
  5    the server cannot be reached or cannot answer now
  6    the token is missing, wrong, or does not allow this
  130  interrupted

Data goes to standard output, everything else to standard error.
Errors are written as lines that start with \"error:\", \"hint:\" and \"code:\".
Values come from defaults, then the configuration file, then the environment, then flags;
`lockstep config show --origin` tells which one won.

Examples:
  lockstep demo
  lockstep serve
  lockstep spec set name=hello
  lockstep unit add hello world --data '{\"n\": 1}'
  lockstep worker --exec 'cat' --spec hello";

/// A work queue that leases units of work to workers in any language.
#[derive(Parser)]
#[command(name = "lockstep", version, after_long_help = EXIT_CODES, max_term_width = 100)]
#[command(arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) noun: Noun,
}

/// What every command takes.
#[derive(Args)]
pub(crate) struct Global {
    /// Address of the server [default: http://127.0.0.1:5980] [env: LOCKSTEP_URL]
    #[arg(long, global = true, value_name = "URL", help_heading = "Global options")]
    pub(crate) url: Option<String>,
    /// Token to present; all users of this machine can see flags, so a file is better [env:
    /// LOCKSTEP_TOKEN]
    #[arg(long, global = true, value_name = "TOKEN", help_heading = "Global options")]
    #[arg(conflicts_with = "token_file")]
    pub(crate) token: Option<String>,
    /// File that holds the token to present [env: LOCKSTEP_TOKEN_FILE]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub(crate) token_file: Option<String>,
    /// PEM file with the authorities to trust over https, in place of those of the system [env:
    /// LOCKSTEP_CA_FILE]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub(crate) ca_file: Option<String>,
    /// PEM file with the certificate to show over https [env: LOCKSTEP_CLIENT_CERT]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub(crate) client_cert: Option<String>,
    /// PEM file with the key of that certificate [env: LOCKSTEP_CLIENT_KEY]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub(crate) client_key: Option<String>,
    /// Namespace to work in [default: the empty one] [env: LOCKSTEP_NAMESPACE]
    #[arg(long, short, global = true, value_name = "NAME", help_heading = "Global options")]
    pub(crate) namespace: Option<String>,
    /// Configuration file [default: lockstep/config.toml in the XDG folder] [env: LOCKSTEP_CONFIG]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub(crate) config: Option<PathBuf>,
    /// Print JSON on standard output
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) json: bool,
    /// Print no notes and no progress on standard error
    #[arg(long, short, global = true, help_heading = "Global options")]
    pub(crate) quiet: bool,
}

/// What to work with.
#[derive(Subcommand)]
pub(crate) enum Noun {
    /// Run the server
    Serve(Box<serve::ServeArgs>),
    /// Namespaces, each a queue of its own
    #[command(subcommand)]
    Namespace(namespace::Verb),
    /// Work specs: families of work units
    #[command(subcommand)]
    Spec(spec::Verb),
    /// Work units: single pieces of work
    #[command(subcommand)]
    Unit(unit::Verb),
    /// Attempts: who works or worked on a unit
    #[command(subcommand)]
    Attempt(attempt::Verb),
    /// Workers: run one, or look after them
    Worker(Box<worker::WorkerArgs>),
    /// Mail: keep two stores of it in step
    Mail(Box<mail::MailArgs>),
    /// Workflow definitions
    #[command(subcommand)]
    Workflow(workflow::Verb),
    /// Start an instance of a workflow
    Run(instance::RunArgs),
    /// Instances of workflows
    #[command(subcommand)]
    Instance(instance::Verb),
    /// Events: what starts workflows, and what they wait for
    #[command(subcommand)]
    Event(event::Verb),
    /// Schedules and other triggers of workflows
    #[command(subcommand)]
    Schedule(schedule::Verb),
    /// Blobs: content that is too large for data
    #[command(subcommand)]
    Blob(blob::Verb),
    /// Secrets: values that workflows and mail use and nobody reads
    #[command(subcommand)]
    Secret(secret::Verb),
    /// Nodes that share a PostgreSQL store
    #[command(subcommand)]
    Node(node::Verb),
    /// Count units by work spec and status
    Summary(summary::SummaryArgs),
    /// Set all work specs of a flow file
    Load(load::LoadArgs),
    /// Read a whole store from a file, or bring over what another queue holds
    Import(import::ImportArgs),
    /// Write a whole store to a file that `import` reads
    Export(export::ExportArgs),
    /// Copy a SQLite store while a server runs on it
    Backup(backup::BackupArgs),
    /// Put a backup in the place of a SQLite store
    Restore(backup::RestoreArgs),
    /// Look over everything that a store holds
    Verify(verify::VerifyArgs),
    /// Ask a server whether it is ready
    Health(health::HealthArgs),
    /// The audit log: who changed what and when
    #[command(subcommand)]
    Audit(audit::Verb),
    /// Tokens: which programs may do what
    #[command(subcommand)]
    Token(token::Verb),
    /// Users: which people may do what
    #[command(subcommand)]
    User(user::Verb),
    /// Watch real files being processed by workers in several languages
    Demo(demo::DemoArgs),
    /// Measure how fast the program is on this machine
    #[command(subcommand)]
    Bench(bench::Verb),
    /// See where each setting comes from
    #[command(subcommand)]
    Config(config::Verb),
    /// Print a completion script for a shell
    Completions(completions::CompletionsArgs),
    /// Print the manual page
    Man(man::ManArgs),
    /// Print the reference of all commands as Markdown
    #[command(hide = true)]
    Reference,
    /// Run the Rust worker of the demo
    #[command(hide = true)]
    DemoWorker(demo::DemoWorkerArgs),
    /// Compute expressions for a server, whose child this is
    #[command(name = "__expr", hide = true)]
    Expressions,
}

impl Noun {
    /// Gives the settings that this command's own flags say.
    pub(crate) fn settings(&self) -> Vec<(&'static str, Option<String>)> {
        match self {
            Self::Serve(args) => args.settings(),
            Self::Worker(args) => args.settings(),
            Self::Mail(args) => args.settings(),
            Self::Import(args) => args.settings(),
            Self::Export(args) => args.settings(),
            Self::Backup(args) => args.settings(),
            Self::Restore(args) => args.settings(),
            Self::Verify(args) => args.settings(),
            Self::Namespace(_)
            | Self::Spec(_)
            | Self::Unit(_)
            | Self::Attempt(_)
            | Self::Run(_)
            | Self::Instance(_)
            | Self::Event(_)
            | Self::Schedule(_)
            | Self::Blob(_)
            | Self::Secret(_)
            | Self::Node(_)
            | Self::Summary(_)
            | Self::Load(_)
            | Self::Audit(_)
            | Self::Token(_)
            | Self::User(_)
            | Self::Demo(_)
            | Self::Bench(_)
            | Self::Config(_)
            | Self::Health(_)
            | Self::Workflow(_)
            | Self::Completions(_)
            | Self::Man(_)
            | Self::Reference
            | Self::Expressions
            | Self::DemoWorker(_) => Vec::new(),
        }
    }
}
