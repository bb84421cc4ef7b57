//! `lockstep mail`.

mod account;
mod examine;
mod import;
mod oauth;
mod place;
mod plan;
mod progress;
mod server;
mod settings;
mod show;
mod sync;
mod vault;
pub(crate) mod work;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};

pub(crate) use self::vault::Vault;
use crate::{config::Config, output::Output};

const SYNC_HELP: &str = "\
What changed on one side since both last agreed is done on the other. Nothing is lost: removed
messages are kept for 30 days, and too many removals at once wait for `lockstep mail approve`.

Exit codes: 0 both sides are the same, 1 something could not be done, 3 removals are held.

Examples:
  lockstep mail sync home
  lockstep mail sync home --dry-run
  lockstep mail sync --watch";

const WORKER_HELP: &str = "\
Each account is a continuous work spec `lockstep.mail.NAME` in the namespace that its file names,
and a round is a unit of it. What both sides agree on is kept in the store of the server, so that
any worker with the file can make the next round. A change on a side makes a round due at once.
SIGINT or SIGTERM lets running rounds end; a second one ends them at once.

Examples:
  lockstep mail worker --url http://127.0.0.1:5980
  lockstep mail worker --folder /etc/lockstep/mail";

const IMPORT_HELP: &str = "\
Let the other program end its last run and stop it, make an account of the same Maildir and server,
and take over before the first sync: then nothing is downloaded or uploaded again. Only what fits
the mail itself is taken over; the rest is paired by content in the first sync.

Examples:
  lockstep mail import-state mbsync home
  lockstep mail import-state mbsync home --state ~/.mbsync
  lockstep mail import-state offlineimap home --state ~/.offlineimap/Account-Home";

/// Mail, and what accounts need of a store.
#[derive(Args)]
pub(crate) struct MailArgs {
    #[command(subcommand)]
    verb: Verb,
    /// Store that has the secrets that accounts name; only a SQLite store without a running server
    /// can be opened, or one in PostgreSQL [default: that of `lockstep serve`]
    #[arg(long, global = true, value_name = "STORE")]
    store: Option<String>,
    /// File with the keys of that store, or `env:NAME` [env: LOCKSTEP_SECRETS_KEY]
    #[arg(long, global = true, value_name = "FILE")]
    secrets_key: Option<String>,
}

impl MailArgs {
    /// Gives the settings that the flags say.
    pub(crate) fn settings(&self) -> Vec<(&'static str, Option<String>)> {
        vec![("serve.store", self.store.clone()), ("serve.secrets_key", self.secrets_key.clone())]
    }

    /// Runs the verb.
    pub(crate) fn run(self, config: &Config, out: Output) -> Result<ExitCode> {
        self.verb.run(config, out)
    }
}

/// What to do with mail.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Accounts: two stores of mail that are kept in step
    #[command(subcommand)]
    Account(account::Verb),
    /// Make both sides of accounts the same
    #[command(after_long_help = SYNC_HELP)]
    Sync(sync::SyncArgs),
    /// Show what a sync would do
    #[command(after_long_help = "With --json the plan is written as `apply` reads it.\n\n\
        Examples:\n  lockstep mail plan home\n  lockstep mail plan home --json > plan.json")]
    Plan(plan::PlanArgs),
    /// Do what a written plan says, as far as it still holds
    #[command(after_long_help = "Examples:\n  lockstep mail apply plan.json")]
    Apply(plan::ApplyArgs),
    /// Show how far accounts are
    #[command(
        after_long_help = "Examples:\n  lockstep mail status\n  lockstep mail status home\n  \
            lockstep mail status --server"
    )]
    Status(show::StatusArgs),
    /// Show where the sides contradicted each other
    #[command(after_long_help = "Examples:\n  lockstep mail conflicts home")]
    Conflicts(show::Which),
    /// Show what happened, one event a line
    #[command(after_long_help = "Examples:\n  lockstep mail events home --after 120 --json")]
    Events(show::EventsArgs),
    /// Let held removals through at the next sync
    #[command(after_long_help = "Examples:\n  lockstep mail approve 3f9a0c1b2d4e5f60")]
    Approve(show::ApproveArgs),
    /// Put back what the last sync removed, moved or flagged
    #[command(after_long_help = "The side that was changed gets it back, and the next sync makes \
        the other side follow. Copies stay.\n\nExamples:\n  lockstep mail undo home")]
    Undo(sync::UndoArgs),
    /// Take over what mbsync or offlineimap remembers of a Maildir
    #[command(after_long_help = IMPORT_HELP)]
    ImportState(import::ImportArgs),
    /// Look at both sides of an account and change nothing
    #[command(after_long_help = "Examples:\n  lockstep mail examine home")]
    Examine(examine::ExamineArgs),
    /// Make the rounds of accounts for a server, as the server itself does with --mail
    #[command(after_long_help = WORKER_HELP)]
    Worker(work::WorkerArgs),
    /// Look for what is wrong with accounts
    #[command(after_long_help = "Examples:\n  lockstep mail doctor")]
    Doctor(examine::DoctorArgs),
}

impl Verb {
    /// Runs the verb.
    fn run(self, config: &Config, out: Output) -> Result<ExitCode> {
        let vault = Vault::configured(config);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let code = super::wait(&runtime, async {
            match self {
                Self::Account(verb) => verb.run(&vault, out).await,
                Self::Sync(args) => args.run(&vault, out).await,
                Self::Plan(args) => args.run(&vault, out).await,
                Self::Apply(args) => args.run(&vault, out).await,
                Self::Status(args) => args.run(config, out).await,
                Self::Conflicts(which) => show::conflicts(&which, out),
                Self::Events(args) => args.run(out),
                Self::Approve(args) => args.run(config, out).await,
                Self::Undo(args) => args.run(&vault, out).await,
                Self::ImportState(args) => args.run(&vault, out).await,
                Self::Examine(args) => args.run(&vault, out).await,
                Self::Doctor(args) => args.run(&vault, out).await,
                Self::Worker(args) => args.run(config, out).await.map(|()| ExitCode::SUCCESS),
            }
        });
        runtime.shutdown_background();
        code
    }
}
