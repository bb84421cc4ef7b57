//! `lockstep load`.

use anyhow::Result;
use clap::Args;
use model::{Command, QueueCommand, data_from_json};
use serde_json::{Value, json};

use crate::{
    connect::Session,
    files, flow,
    output::{printable, table},
};

const EXAMPLES: &str = "\
The file has a key `flows` that maps names to work specs, or to groups of work specs: a mapping
with `min_gb`, or with any value that is not a mapping, is a work spec. A work spec in a group is
named GROUP.NAME, and `then` must give the full name of a work spec of the same file. All work specs
are set in one transaction, or none.

Examples:
  lockstep load examples/flows/files.yaml
  lockstep load nightly.yaml --common-config site.yaml
  lockstep load nightly.yaml --dry-run --json";

/// Which flows to load.
#[derive(Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct LoadArgs {
    /// The flow file, YAML or JSON; - is standard input
    file: String,
    /// A YAML or JSON file with the `config` that each work spec's own `config` is laid over
    #[arg(long, value_name = "FILE")]
    common_config: Option<String>,
    /// Only check the file and show the work specs
    #[arg(long)]
    dry_run: bool,
}

impl LoadArgs {
    /// Runs the command.
    pub(crate) async fn run(self, session: &Session) -> Result<()> {
        let common = self.common_config.as_deref().map(files::yaml_map).transpose()?;
        let specs = flow::specs(files::yaml_map(&self.file)?, common.as_ref())?;
        let mut commands = Vec::new();
        for spec in &specs {
            let data = data_from_json(&Value::Object(spec.clone()))?;
            // What the server would refuse is refused before anything is sent.
            model::SpecMeta::from_dict(&data.dict()?)?;
            commands.push(Command::Queue(QueueCommand::SetSpec { data }));
        }
        if !self.dry_run {
            session.lockstep.write(commands).await?;
        }
        let rows: Vec<_> = specs
            .iter()
            .map(|spec| {
                let text = |key| spec.get(key).and_then(Value::as_str).unwrap_or("-");
                vec![printable(text("name")), printable(text("then")), printable(text("runtime"))]
            })
            .collect();
        let json = json!({"specs": specs, "dry_run": self.dry_run});
        session.out.data(&json, || table(&["name", "then", "runtime"], &rows))
    }
}
