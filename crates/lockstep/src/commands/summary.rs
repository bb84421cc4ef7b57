//! `lockstep summary`.

use anyhow::Result;
use clap::Args;
use model::{Answer, Query, SpecName, SummaryRow};
use serde_json::json;

use crate::{
    connect::{Session, unexpected},
    output::{printable, table},
    view,
};

/// What to count.
#[derive(Args)]
#[command(after_long_help = "Examples:\n  lockstep summary\n  lockstep summary scan --json\n  \
    lockstep summary --all-namespaces")]
pub(crate) struct SummaryArgs {
    /// Only this work spec
    spec: Option<String>,
    /// Count in all namespaces
    #[arg(long, short = 'A', conflicts_with = "spec")]
    all_namespaces: bool,
}

impl SummaryArgs {
    /// Runs the command.
    pub(crate) async fn run(self, session: &Session) -> Result<()> {
        let namespace = (!self.all_namespaces).then(|| session.lockstep.namespace().clone());
        let spec = self.spec.map(SpecName::new).transpose()?;
        let Answer::Summary(rows) = session.lockstep.ask(Query::Summary(namespace, spec)).await?
        else {
            return Err(unexpected().into());
        };
        let shown: Vec<_> = rows.iter().map(view::summary_row).collect();
        session.out.data(&json!({"summary": shown}), || summary_table(&rows))
    }
}

fn summary_table(rows: &[SummaryRow]) -> String {
    let row = |row: &SummaryRow| {
        vec![
            format!("\"{}\"", printable(row.namespace.as_str())),
            printable(row.spec.as_str()),
            row.status.as_str().to_owned(),
            row.count.to_string(),
        ]
    };
    table(&["namespace", "spec", "status", "count"], &rows.iter().map(row).collect::<Vec<_>>())
}
