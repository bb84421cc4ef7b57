//! All automation of this repository: `cargo xtask`.

#![expect(clippy::print_stdout, reason = "this program talks to whoever runs it")]

mod axe;
mod bench;
#[path = "../../crates/lockstep/src/bench/nodes/cluster.rs"]
mod cluster;
mod counts;
mod dist;
mod docs;
mod fuzz;
mod node;
mod python;
mod repo;
mod sdk;
mod step;
mod test;
mod tidy;
mod tools;

use std::{env, process::ExitCode};

use anyhow::{Result, bail};

const HELP: &str = "\
usage: cargo xtask COMMAND

  test [--kills N] [--histories N] [FILTER]
                             installs missing tools and runs every check and test
  ci                         does what .ci/run does: the same as test
  tidy                       checks layers, sizes, words, papers and generated pages
  fuzz NAME SECONDS          lets a fuzzer search for inputs that break a promise
  docs                       writes the generated pages, checks the links, and builds
                             the book in target/book
  bench [NAME] [--quick]     measures a release build; NAME is queue unless given, or workflows,
                             rpc, mail, or nodes, which also takes --steady MINUTES
  dist [--program FILE]      makes target/dist: an archive and a Debian package of a release build,
                             or of another program, with completions, manual pages and sums";

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    match run(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs one command and tells whether all went well.
fn run(args: &[String]) -> Result<bool> {
    env::set_current_dir(repo::root())?;
    let (command, rest) = match args.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("help", args),
    };
    match command {
        "test" => test::run(rest),
        "ci" if rest.is_empty() => test::run(rest),
        "tidy" if rest.is_empty() => tidy::run(),
        "docs" if rest.is_empty() => docs::run(),
        "fuzz" => fuzz::run(rest),
        "bench" => bench::run(rest),
        "dist" => dist::run(rest),
        "help" | "--help" | "-h" => {
            println!("{HELP}");
            Ok(true)
        }
        _ => bail!("cannot understand {args:?}\n\n{HELP}"),
    }
}
