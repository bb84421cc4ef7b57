//! `lockstep completions`.

use anyhow::Result;
use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::{args::Cli, output};

/// For which shell.
#[derive(Args)]
#[command(after_long_help = "Examples:\n  \
    lockstep completions bash > ~/.local/share/bash-completion/completions/lockstep\n  \
    lockstep completions fish > ~/.config/fish/completions/lockstep.fish")]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

impl CompletionsArgs {
    /// Runs the command.
    pub(crate) fn run(self) -> Result<()> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "lockstep", &mut script);
        output::raw(&script)
    }
}
