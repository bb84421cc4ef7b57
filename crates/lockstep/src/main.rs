//! The `lockstep` program: one binary that is server, client and worker.

mod archive;
mod args;
mod bench;
mod commands;
mod config;
mod connect;
mod demo;
mod dovecot;
mod failure;
mod files;
mod flow;
mod front;
mod keyring;
mod logs;
mod oidc;
mod output;
mod peers;
mod reference;
mod serve;
mod signals;
mod span;
mod steps;
mod systemd;
mod traces;
mod view;
mod webhook;

use std::process::ExitCode;

use clap::Parser;

/// A fifth of the writer's time went into the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match args::Cli::try_parse() {
        Ok(cli) => failure::exit_code(commands::run(cli)),
        Err(error) => failure::usage(&error),
    }
}
