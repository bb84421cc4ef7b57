//! `cargo xtask fuzz`: runs one target of `fuzz` for a while, with a nightly compiler.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, bail};

use crate::{repo, tools::answers};

const TARGETS: &str = "fuzz/fuzz_targets";

/// Runs a target for so many seconds, and tells whether no promise was broken.
pub(crate) fn run(args: &[String]) -> Result<bool> {
    let names = names(&repo::root().join(TARGETS))?;
    let usage = || format!("usage is fuzz NAME SECONDS, with one of {}", names.join(", "));
    let [name, seconds] = args else { bail!("{}", usage()) };
    if !names.contains(name) {
        bail!("there is no target {name:?}: {}", usage());
    }
    let seconds: u32 = seconds.parse().with_context(usage)?;
    if !answers(nightly(&["--version"])) {
        bail!(
            "fuzzing needs a nightly compiler: run \"rustup toolchain install nightly\"; \
             \"cargo xtask test\" runs the same targets on mutated inputs without one"
        );
    }
    if !answers(nightly(&["fuzz", "--version"])) {
        bail!("fuzzing needs cargo-fuzz: run \"cargo install cargo-fuzz --locked\"");
    }
    let corpus = format!("fuzz/corpus/{name}");
    fs::create_dir_all(&corpus).context(corpus.clone())?;
    let seeds = format!("fuzz/seeds/{name}");
    let time = format!("-max_total_time={seconds}");
    // What earlier runs have found worth keeping.
    let kept = format!("fuzz/kept/{name}");
    let mut folders = vec![corpus.as_str(), seeds.as_str()];
    if repo::root().join(&kept).is_dir() {
        folders.push(&kept);
    }
    let mut command = nightly(&["fuzz", "run", name]);
    command.args(folders).args(["--", &time]);
    Ok(command.status().context("cannot run cargo fuzz")?.success())
}

/// Makes a call of the nightly cargo, whichever one runs this program.
fn nightly(args: &[&str]) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", "nightly", "cargo"]).args(args);
    command
}

/// Lists the targets.
fn names(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for file in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = file?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            names.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the program of a target must say, so that the tests run the same function.
    fn body(name: &str) -> String {
        format!(
            "libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {{\n    \
             testkit::rig::targets::{name}(bytes);\n}});\n"
        )
    }

    #[test]
    fn every_target_is_a_function_that_the_tests_run() {
        let root = repo::root();
        let read = |path: &str| fs::read_to_string(root.join(path)).unwrap();
        let functions = read("crates/testkit/src/rig/targets.rs");
        let manifest = read("fuzz/Cargo.toml");
        let names = names(&root.join(TARGETS)).unwrap();
        for name in &names {
            let program = read(&format!("{TARGETS}/{name}.rs"));
            assert!(program.ends_with(&body(name)), "{name} has a body of its own");
            assert!(functions.contains(&format!("    (\"{name}\", ")), "{name} is not listed");
            assert!(functions.contains(&format!("run(\"{name}\");")), "{name} is not run");
            assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name}");
            assert!(root.join("fuzz/seeds").join(name).is_dir(), "{name} has no seeds");
        }
        let listed = functions.lines().filter(|line| line.starts_with("    (\"")).count();
        assert_eq!(listed, names.len(), "a target has no program");
    }

    #[test]
    fn what_is_missing_is_said() {
        let run = |args: &[&str]| {
            let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
            run(&args).unwrap_err().to_string()
        };
        assert!(run(&["cbor"]).starts_with("usage is fuzz NAME SECONDS, with one of cbor,"));
        assert!(run(&["nobody", "1"]).starts_with("there is no target \"nobody\""));
        assert!(run(&["cbor", "long"]).starts_with("usage is"));
    }
}
