//! `lockstep workflow`.

mod apply;
mod change;
mod diff;
mod document;
mod graph;
mod look;
mod matching;
mod validate;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use client::Lockstep;
use model::{Namespace, Running, Terms, Until};

use super::event::EventArgs;
use crate::{
    connect::{Part, Session},
    failure::Failure,
    output::Output,
};

/// What to do with workflow definitions.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Check definitions, and show all that is wrong with them
    #[command(after_long_help = "Problems are shown as FILE:LINE:COLUMN: CODE: MESSAGE. The exit \
        code is 1 if a definition has errors.\n\nExamples:\n  \
        lockstep workflow validate examples/workflows/try.yaml\n  \
        lockstep workflow validate --json *.yaml")]
    Validate {
        /// The files, YAML or JSON; - is standard input
        #[arg(required = true, value_name = "FILE")]
        files: Vec<String>,
    },
    /// Print the JSON Schema of definitions, for editors
    #[command(after_long_help = "Examples:\n  \
        lockstep workflow schema > workflow.schema.json")]
    Schema,
    /// Publish definitions; several files are one change
    #[command(after_long_help = "The namespace is the one that the document names. The same \
        content again changes nothing; the same version with other content is refused.\n\n\
        Examples:\n  lockstep workflow publish invoices.yaml\n  \
        lockstep workflow publish invoices.yaml --base 3\n  \
        lockstep workflow publish one.yaml two.yaml --until settled")]
    Publish {
        /// The files, YAML or JSON; - is standard input
        #[arg(required = true, value_name = "FILE")]
        files: Vec<String>,
        /// Refuse unless the definition is at this revision; 0 is none yet
        #[arg(long, value_name = "REVISION")]
        base: Option<u64>,
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Publish what changed in a folder, as one change for each namespace
    #[command(after_long_help = "All files that end in .yaml, .yml or .json are read, those of \
        folders within, too.\n\nExamples:\n  lockstep workflow apply flows/ --dry-run\n  \
        lockstep workflow apply flows/ --prune")]
    Apply {
        /// The folder
        #[arg(value_name = "DIR")]
        folder: std::path::PathBuf,
        /// Retract definitions of the same namespaces that the folder does not have
        #[arg(long)]
        prune: bool,
        /// Only show what would change
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Keep a draft, which need not be right yet; without a file, show it
    #[command(after_long_help = "Examples:\n  lockstep workflow draft billing/invoices \
        invoices.yaml\n  lockstep workflow draft billing/invoices\n  \
        lockstep workflow draft billing/invoices --delete")]
    Draft {
        #[command(flatten)]
        one: OneArgs,
        /// The file; - is standard input
        #[arg(value_name = "FILE")]
        file: Option<String>,
        /// Forget the draft
        #[arg(long, conflicts_with = "file")]
        delete: bool,
    },
    /// Let a definition start nothing more
    #[command(after_long_help = "Examples:\n  lockstep workflow retract billing/invoices\n  \
        lockstep workflow retract billing/invoices --running cancel")]
    Retract(WithdrawArgs),
    /// Retract a definition and hide its name, or delete one of its versions
    #[command(after_long_help = "Examples:\n  lockstep workflow delete billing/invoices --yes\n  \
        lockstep workflow delete billing/invoices --version 1.0.0 --yes")]
    Delete {
        #[command(flatten)]
        withdraw: WithdrawArgs,
        /// Delete only this version, which must not be published
        #[arg(long, value_name = "VERSION")]
        version: Option<String>,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Publish an earlier version again
    #[command(after_long_help = "Examples:\n  lockstep workflow rollback billing/invoices 1.1.0")]
    Rollback {
        #[command(flatten)]
        one: OneArgs,
        /// The version
        version: String,
        /// Refuse unless the definition is at this revision
        #[arg(long, value_name = "REVISION")]
        base: Option<u64>,
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// List definitions
    #[command(after_long_help = "Examples:\n  lockstep workflow list --namespace billing")]
    List(Part),
    /// Show a definition with its triggers, or the text of a version
    #[command(after_long_help = "Examples:\n  lockstep workflow show billing/invoices\n  \
        lockstep workflow show billing/invoices --version 1.1.0 --source > old.yaml")]
    Show {
        #[command(flatten)]
        one: OneArgs,
        /// This version instead of the published one
        #[arg(long, value_name = "VERSION")]
        version: Option<String>,
        /// Print the text that was published
        #[arg(long)]
        source: bool,
    },
    /// Show the versions of a definition and what was done to it, or one run with its stages
    #[command(after_long_help = "Examples:\n  lockstep workflow history billing/invoices\n  \
        lockstep workflow history billing/invoices --run 17")]
    History {
        #[command(flatten)]
        one: OneArgs,
        /// The stages of this run
        #[arg(long, value_name = "ID")]
        run: Option<u64>,
    },
    /// Show how two versions of a definition differ, or a file from the published one
    #[command(after_long_help = "Examples:\n  lockstep workflow diff billing/invoices --from \
        1.0.0 --to 1.1.0\n  lockstep workflow diff billing/invoices --file invoices.yaml")]
    Diff {
        #[command(flatten)]
        one: OneArgs,
        /// The older one; without it, the published one
        #[arg(long, value_name = "VERSION")]
        from: Option<String>,
        /// The newer one; without it, the published one
        #[arg(long, value_name = "VERSION", conflicts_with = "file")]
        to: Option<String>,
        /// A file in place of the newer one
        #[arg(long, value_name = "FILE")]
        file: Option<String>,
    },
    /// Draw the tasks of a definition as a tree, and as SVG
    #[command(after_long_help = "Examples:\n  lockstep workflow graph invoices.yaml\n  \
        lockstep workflow graph billing/invoices --svg invoices.svg")]
    Graph {
        /// A file, or a published definition
        #[arg(value_name = "FILE|DEFINITION")]
        what: String,
        /// Write an SVG to this file; - is standard output
        #[arg(long, value_name = "FILE")]
        svg: Option<String>,
    },
    /// Show what each trigger says to an event, without sending it
    #[command(after_long_help = "Each trigger that the event may be for is listed with the \
        condition that said no, or that all hold.\n\nExamples:\n  lockstep workflow match \
        order.placed --data '{\"total\": 12}'")]
    Match {
        #[command(flatten)]
        event: EventArgs,
        /// Say why; it is always said
        #[arg(long, hide = true)]
        explain: bool,
    },
    /// Show the stages that publishing goes through on the server
    #[command(after_long_help = "Examples:\n  lockstep workflow explain-pipeline")]
    ExplainPipeline,
    /// Check what must hold of all definitions of a namespace
    #[command(after_long_help = "The exit code is 1 if something does not hold.\n\nExamples:\n  \
        lockstep workflow audit --namespace billing")]
    Audit,
}

/// Which definition.
#[derive(Args)]
pub(crate) struct OneArgs {
    /// The definition, as NAME or NAMESPACE/NAME
    #[arg(value_name = "DEFINITION")]
    definition: String,
}

/// How to retract or delete.
#[derive(Args)]
pub(crate) struct WithdrawArgs {
    #[command(flatten)]
    one: OneArgs,
    /// Refuse unless the definition is at this revision
    #[arg(long, value_name = "REVISION")]
    base: Option<u64>,
    /// What becomes of running instances
    #[arg(long, value_enum, default_value_t = Rest::Keep)]
    running: Rest,
    #[command(flatten)]
    wait: WaitArgs,
}

/// What becomes of running instances.
#[derive(Clone, Copy, ValueEnum)]
enum Rest {
    /// They go on
    Keep,
    /// They are paused
    Pause,
    /// They are cancelled
    Cancel,
}

/// How long to wait.
#[derive(Args)]
pub(crate) struct WaitArgs {
    /// Answer when the change is durable, when no node answers from before it any more, or when
    /// all that follows from it is done
    #[arg(long, value_enum, default_value_t = Goal::Effective)]
    until: Goal,
}

#[derive(Clone, Copy, ValueEnum)]
enum Goal {
    Committed,
    Effective,
    Settled,
}

impl WaitArgs {
    fn terms(&self) -> Terms {
        let until = match self.until {
            Goal::Committed => Until::Committed,
            Goal::Effective => Until::Effective,
            Goal::Settled => Until::Settled,
        };
        Terms { until, ..Terms::default() }
    }
}

impl From<Rest> for Running {
    fn from(rest: Rest) -> Self {
        match rest {
            Rest::Keep => Self::Keep,
            Rest::Pause => Self::Pause,
            Rest::Cancel => Self::Cancel,
        }
    }
}

impl Verb {
    /// Runs a verb that needs no server; none says that it needs one.
    pub(crate) fn run_alone(&self, out: Output) -> Option<Result<ExitCode>> {
        match self {
            Self::Validate { files } => Some(validate::run(files, out)),
            Self::Schema => Some(validate::schema(out)),
            Self::Graph { what, svg } if std::path::Path::new(what).is_file() => {
                Some(graph::of_file(what, svg.as_deref(), out))
            }
            _ => None,
        }
    }

    /// Runs a verb with a server.
    pub(crate) async fn run(self, session: &Session) -> Result<()> {
        match self {
            // These were run without a server.
            Self::Validate { .. } | Self::Schema => Ok(()),
            Self::Publish { files, base, wait } => {
                change::publish(session, &files, base, &wait.terms()).await
            }
            Self::Apply { folder, prune, dry_run, wait } => {
                apply::run(session, &folder, apply::Options { prune, dry_run }, &wait.terms()).await
            }
            Self::Draft { one, file, delete } => change::draft(session, &one, file, delete).await,
            Self::Retract(args) => change::retract(session, args).await,
            Self::Delete { withdraw, version, yes } => {
                change::delete(session, withdraw, version, yes).await
            }
            Self::Rollback { one, version, base, wait } => {
                change::rollback(session, &one, version, base, wait.terms()).await
            }
            Self::List(part) => look::list(session, part).await,
            Self::Show { one, version, source } => look::show(session, &one, version, source).await,
            Self::History { one, run } => look::history(session, &one, run).await,
            Self::Diff { one, from, to, file } => diff::run(session, &one, from, to, file).await,
            Self::Graph { what, svg } => {
                let one = OneArgs { definition: what };
                graph::of_definition(session, &one, svg.as_deref()).await
            }
            Self::Match { event, explain: _ } => matching::run(session, event).await,
            Self::ExplainPipeline => look::pipeline(session).await,
            Self::Audit => look::audit(session).await,
        }
    }
}

impl OneArgs {
    /// Gives the namespace that the definition is in, and its name there.
    fn place(&self, session: &Session) -> Result<(Lockstep, String)> {
        let configured = session.lockstep.namespace();
        let (namespace, name) = match self.definition.split_once('/') {
            Some((namespace, name)) => (Namespace::new(namespace)?, name),
            None => (configured.clone(), self.definition.as_str()),
        };
        if namespace.as_str().is_empty() {
            let message = format!("definition {name:?} is in no namespace");
            let hint = "write it as NAMESPACE/NAME, or give --namespace";
            return Err(Failure::usage(message, hint).into());
        }
        Ok((of(session, namespace), name.to_owned()))
    }
}

/// Names another namespace of the same server.
fn of(session: &Session, namespace: Namespace) -> Lockstep {
    Lockstep::new(session.lockstep.backend().clone(), namespace)
}
