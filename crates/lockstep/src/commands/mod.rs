//! The commands, one file per noun.

pub(crate) mod attempt;
pub(crate) mod audit;
pub(crate) mod backup;
pub(crate) mod bench;
pub(crate) mod blob;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod event;
pub(crate) mod export;
pub(crate) mod health;
pub(crate) mod import;
pub(crate) mod instance;
pub(crate) mod load;
pub(crate) mod mail;
pub(crate) mod man;
pub(crate) mod namespace;
pub(crate) mod node;
pub(crate) mod schedule;
pub(crate) mod secret;
pub(crate) mod spec;
pub(crate) mod summary;
pub(crate) mod token;
pub(crate) mod unit;
mod unit_add;
pub(crate) mod user;
pub(crate) mod verify;
pub(crate) mod worker;
pub(crate) mod workflow;

use std::{pin::Pin, process::ExitCode};

use anyhow::Result;
use tokio::runtime::Runtime;

use crate::{
    args::{Cli, Noun},
    config::Config,
    connect::Session,
    failure::at_server,
    logs,
    output::Output,
    reference,
    signals::INTERRUPTED,
};
pub(crate) use crate::{demo, serve};

/// Runs one command line.
pub(crate) fn run(cli: Cli) -> Result<ExitCode> {
    let Cli { global, noun } = cli;
    let out = Output { json: global.json, quiet: global.quiet };
    let mut flags = noun.settings();
    flags.push(("url", global.url));
    flags.push(("token", global.token));
    flags.push(("token_file", global.token_file));
    flags.push(("ca_file", global.ca_file));
    flags.push(("client_cert", global.client_cert));
    flags.push(("client_key", global.client_key));
    flags.push(("namespace", global.namespace));
    if let Noun::Workflow(verb) = &noun
        && let Some(outcome) = verb.run_alone(out)
    {
        return outcome;
    }
    match noun {
        Noun::Bench(verb) => verb.run(out)?,
        Noun::Completions(args) => args.run()?,
        Noun::Man(args) => args.run()?,
        Noun::Reference => reference::run()?,
        Noun::Expressions => expressions()?,
        Noun::Mail(args) => {
            let config = Config::load(global.config.as_deref(), flags)?;
            return args.run(&config, out);
        }
        noun => {
            let config = Config::load(global.config.as_deref(), flags)?;
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            let code = wait(&runtime, dispatch(noun, config, out));
            // A thread that waits in a read of standard input must not hold the program up.
            runtime.shutdown_background();
            return code;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Waits for a command. It goes by a pointer, since there would be a copy of all commands for each
/// way in which a runtime can wait.
fn wait<'f, T>(runtime: &Runtime, command: impl Future<Output = T> + 'f) -> T {
    let command: Pin<Box<dyn Future<Output = T> + 'f>> = Box::pin(command);
    runtime.block_on(command)
}

/// Computes expressions until standard input ends.
fn expressions() -> Result<()> {
    let limits = flow::expr::Limits { memory_bytes: 1 << 30, processor_seconds: 2 };
    Ok(flow::expr::serve(std::io::stdin(), std::io::stdout(), limits)?)
}

async fn dispatch(noun: Noun, config: Config, out: Output) -> Result<ExitCode> {
    match noun {
        Noun::Serve(_) => {
            logs::start(&config)?;
            serve::run(&config, out).await?;
        }
        Noun::Config(verb) => verb.run(&config, out)?,
        Noun::Demo(args) => return demo::run(args, out).await,
        Noun::DemoWorker(args) => demo::worker(args, &config).await?,
        Noun::Worker(args) => args.run(&config, out).await?,
        Noun::Import(args) => {
            exit_on_interrupt();
            args.run(&config, out).await?;
        }
        Noun::Export(args) => alone(|| args.run(&config, out))?,
        Noun::Backup(args) => alone(|| args.run(&config, out))?,
        Noun::Restore(args) => alone(|| args.run(&config, out))?,
        Noun::Verify(args) => alone(|| args.run(&config, out))?,
        Noun::Health(args) => args.run(&config, out).await?,
        Noun::Audit(verb) => {
            exit_on_interrupt();
            verb.run(&config, out).await?;
        }
        Noun::Token(verb) => {
            exit_on_interrupt();
            verb.run(&config, out).await?;
        }
        Noun::User(verb) => {
            exit_on_interrupt();
            verb.run(&config, out).await?;
        }
        noun => {
            exit_on_interrupt();
            talk(noun, &Session::remote(&config, out)?).await.map_err(at_server)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs the commands that only talk to a server.
async fn talk(noun: Noun, session: &Session) -> Result<()> {
    match noun {
        Noun::Namespace(verb) => verb.run(session).await,
        Noun::Spec(verb) => verb.run(session).await,
        Noun::Unit(verb) => verb.run(session).await,
        Noun::Attempt(verb) => verb.run(session).await,
        Noun::Summary(args) => args.run(session).await,
        Noun::Load(args) => args.run(session).await,
        Noun::Workflow(verb) => verb.run(session).await,
        Noun::Run(args) => args.run(session).await,
        Noun::Node(verb) => verb.run(session).await,
        Noun::Blob(verb) => verb.run(session).await,
        Noun::Secret(verb) => verb.run(session).await,
        Noun::Instance(verb) => verb.run(session).await,
        Noun::Event(verb) => verb.run(session).await,
        Noun::Schedule(verb) => verb.run(session).await,
        Noun::Serve(_)
        | Noun::Config(_)
        | Noun::Demo(_)
        | Noun::DemoWorker(_)
        | Noun::Import(_)
        | Noun::Export(_)
        | Noun::Backup(_)
        | Noun::Restore(_)
        | Noun::Verify(_)
        | Noun::Health(_)
        | Noun::Audit(_)
        | Noun::Token(_)
        | Noun::User(_)
        | Noun::Worker(_)
        | Noun::Bench(_)
        | Noun::Completions(_)
        | Noun::Man(_)
        | Noun::Mail(_)
        | Noun::Reference
        | Noun::Expressions => Ok(()),
    }
}

/// Runs work that waits for disks and databases, and knows nothing of this runtime.
fn alone<T>(work: impl FnOnce() -> T) -> T {
    exit_on_interrupt();
    tokio::task::block_in_place(work)
}

/// Ends the program when it is interrupted, as commands without state may.
fn exit_on_interrupt() {
    tokio::spawn(async {
        if tokio::signal::ctrl_c().await.is_ok() {
            std::process::exit(INTERRUPTED.into());
        }
    });
}
