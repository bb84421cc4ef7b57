//! `lockstep config`.

use anyhow::Result;
use clap::Subcommand;
use serde_json::json;

use crate::{
    config::Config,
    output::{Output, printable, table},
};

/// What to do with the configuration.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Show all settings
    #[command(after_long_help = "Examples:\n  lockstep config show --origin\n  \
        lockstep config show --config ./lockstep.toml --json")]
    Show {
        /// Show where each value came from
        #[arg(long)]
        origin: bool,
    },
    /// Check the configuration file and the environment
    #[command(after_long_help = "Examples:\n  lockstep config check --config ./lockstep.toml")]
    Check,
}

impl Verb {
    /// Runs the verb; what is wrong with the configuration has been told when it was loaded.
    pub(crate) fn run(self, config: &Config, out: Output) -> Result<()> {
        let Self::Show { origin: with_origin } = self else {
            return out.data(&json!({"ok": true}), || "the configuration is valid".to_owned());
        };
        let (mut shown, mut rows) = (Vec::new(), Vec::new());
        for (key, value, origin) in config.list() {
            let origin = origin.map_or_else(|| "not set".to_owned(), ToString::to_string);
            let mut entry = json!({"key": key, "value": value});
            let value = value.unwrap_or_else(|| "-".to_owned());
            let mut row = vec![key.to_owned(), printable(&value)];
            if with_origin {
                if let Some(entry) = entry.as_object_mut() {
                    entry.insert("origin".to_owned(), origin.clone().into());
                }
                row.push(printable(&origin));
            }
            shown.push(entry);
            rows.push(row);
        }
        let heads: &[&str] =
            if with_origin { &["key", "value", "origin"] } else { &["key", "value"] };
        out.data(&json!({"settings": shown}), || table(heads, &rows))
    }
}
