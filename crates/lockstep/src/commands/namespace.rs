//! `lockstep namespace`.

use anyhow::Result;
use clap::Subcommand;
use client::Lockstep;
use model::{Answer, Namespace, NamespaceInfo, Query};
use serde_json::json;

use crate::{
    connect::{Part, Session, pages, unexpected},
    output::{printable, table},
    view,
};

/// What to do with namespaces.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// List all namespaces in name order
    #[command(after_long_help = "Examples:\n  lockstep namespace list\n  \
        lockstep namespace list --limit 0 --json")]
    List(Part),
    /// Create a namespace unless it exists
    #[command(after_long_help = "Examples:\n  lockstep namespace create nightly")]
    Create {
        /// Its name
        name: String,
    },
    /// Show one namespace
    #[command(after_long_help = "Examples:\n  lockstep namespace show nightly --json")]
    Show {
        /// Its name
        name: String,
    },
    /// Delete a namespace with all that is in it
    #[command(after_long_help = "Examples:\n  lockstep namespace delete nightly --yes")]
    Delete {
        /// Its name
        name: String,
        /// Do not ask first
        #[arg(long, short)]
        yes: bool,
    },
}

impl Verb {
    /// Runs the verb.
    pub(crate) async fn run(self, session: &Session) -> Result<()> {
        match self {
            Self::List(part) => list(part, session).await,
            Self::Create { name } => create(Namespace::new(name)?, session).await,
            Self::Show { name } => show(Namespace::new(name)?, session).await,
            Self::Delete { name, yes } => delete(Namespace::new(name)?, yes, session).await,
        }
    }
}

async fn list(part: Part, session: &Session) -> Result<()> {
    let after = part.after.map(Namespace::new).transpose()?;
    let (found, next) = pages(
        part.limit,
        after,
        |info: &NamespaceInfo| info.name.clone(),
        async |page| match session.lockstep.ask(Query::Namespaces(page)).await? {
            Answer::Namespaces(found) => Ok(found),
            _ => Err(unexpected()),
        },
    )
    .await?;
    let shown: Vec<_> = found.iter().map(view::namespace).collect();
    let next = next.as_ref().map(Namespace::as_str);
    session.out.data(&json!({"namespaces": shown, "next": next}), || namespaces_table(&found))
}

/// Names another namespace of the same server.
fn named(name: Namespace, session: &Session) -> Lockstep {
    Lockstep::new(session.lockstep.backend().clone(), name)
}

async fn create(name: Namespace, session: &Session) -> Result<()> {
    named(name.clone(), session).create().await?;
    show(name, session).await
}

async fn show(name: Namespace, session: &Session) -> Result<()> {
    let info = named(name, session).get().await?;
    session.out.data(&view::namespace(&info), || namespaces_table(&[info]))
}

async fn delete(name: Namespace, yes: bool, session: &Session) -> Result<()> {
    // An unknown name is told before anything is asked.
    let namespace = named(name.clone(), session);
    namespace.get().await?;
    session.out.confirm(&format!("delete namespace \"{name}\" with all that is in it"), yes)?;
    namespace.destroy().await?;
    let gone = printable(name.as_str());
    session.out.data(&json!({"deleted": name.as_str()}), || format!("deleted namespace {gone:?}"))
}

fn namespaces_table(found: &[NamespaceInfo]) -> String {
    let row = |info: &NamespaceInfo| {
        vec![format!("\"{}\"", printable(info.name.as_str())), info.revision.to_string()]
    };
    table(&["name", "revision"], &found.iter().map(row).collect::<Vec<_>>())
}
