//! `lockstep node`.

use anyhow::Result;
use clap::Subcommand;
use model::{Answer, NodeInfo, Query};
use serde_json::json;

use crate::{
    connect::{Session, unexpected},
    output::{printable, table},
};

/// What to do with nodes.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// List the nodes that share a PostgreSQL store, with what each has applied
    #[command(after_long_help = "\
A server alone on its store has no nodes.

Examples:
  lockstep node list
  lockstep node list --json")]
    List,
}

impl Verb {
    /// Runs the verb.
    pub(crate) async fn run(self, session: &Session) -> Result<()> {
        let Self::List = self;
        let Answer::Nodes(nodes) = session.lockstep.ask(Query::Nodes).await? else {
            return Err(unexpected().into());
        };
        let shown = serde_json::to_value(&nodes)?;
        session.out.data(&json!({ "nodes": shown }), || rows(&nodes))
    }
}

fn rows(nodes: &[NodeInfo]) -> String {
    let row = |node: &NodeInfo| {
        vec![
            printable(&node.name),
            printable(&node.version),
            node.started.to_string(),
            node.lease.to_string(),
            node.epoch.map_or_else(|| "-".to_owned(), |epoch| epoch.to_string()),
            node.applied.len().to_string(),
            node.peer_url.as_deref().map_or_else(|| "-".to_owned(), printable),
        ]
    };
    let heads = ["name", "version", "started", "lease ends", "epoch", "namespaces", "peer url"];
    table(&heads, &nodes.iter().map(row).collect::<Vec<_>>())
}
