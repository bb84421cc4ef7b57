//! `lockstep verify`: looks over everything that a store holds.

use anyhow::Result;
use clap::Args;
use serde_json::json;
use store::tables;

use super::export::snapshot;
use crate::{config::Config, failure::Failure, output::Output};

const EXAMPLES: &str = "\
Reads every row of the store as it is at one moment; servers may go on working. It checks that each
row can be read, that its columns say what its body says, that the counts of each work spec are
those of its units, that pending units have their attempts, that no history has a gap, and that
nothing is left of what is gone. For SQLite it also checks the database file and its indexes; for
PostgreSQL pg_amcheck does that.
It ends with 0 if all is well, and with 1 and the code `differs` if something is wrong.

Examples:
  lockstep verify --store sqlite:/backup/monday.db
  lockstep verify --store postgres://me@db/work --json";

/// What to verify.
#[derive(Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct VerifyArgs {
    /// What to read: `sqlite:PATH` or `postgres://…` [default: that of `lockstep serve`]
    #[arg(long, value_name = "STORE")]
    store: Option<String>,
}

impl VerifyArgs {
    /// Gives the settings that the flags say.
    pub(crate) fn settings(&self) -> Vec<(&'static str, Option<String>)> {
        vec![("serve.store", self.store.clone())]
    }

    /// Runs the command.
    pub(crate) fn run(self, config: &Config, out: Output) -> Result<()> {
        let mut snapshot = snapshot(&config.store()?)?;
        let bar = out.bar(None, "{bar:30} {percent:>3} %  {human_pos} of {human_len} rows")?;
        if !bar.is_hidden() {
            let counts = tables::ALL.iter().map(|table| snapshot.count(table));
            bar.set_length(counts.sum::<model::Result<u64>>()?);
        }
        let mut rows = 0_u64;
        let findings = engine::verify(&mut *snapshot, || {
            rows += 1;
            bar.inc(1);
        })?;
        bar.finish_and_clear();
        let shown = json!({"rows": rows, "wrong": findings.count, "findings": findings.told});
        out.data(&shown, || match findings.count {
            0 => format!("{rows} rows are as they should be"),
            _ => findings.told.join("\n"),
        })?;
        if findings.count == 0 {
            return Ok(());
        }
        let hint =
            "keep the store as it is, and restore a backup that `lockstep verify` finds right";
        Err(Failure::differs(format!("{} things are wrong", findings.count), hint).into())
    }
}
