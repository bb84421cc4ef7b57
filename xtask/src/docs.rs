//! `cargo xtask docs`: writes the pages that programs write, checks that links lead somewhere, and
//! builds the book.

pub(crate) mod book;
pub(crate) mod codes;
pub(crate) mod keys;
pub(crate) mod links;
pub(crate) mod pages;
pub(crate) mod prose;

use std::{fs, path::Path, process::Stdio};

use anyhow::{Context, Result, bail};

use crate::{
    repo::{self, Repo},
    step::cargo,
};

/// The command-line reference, which the program writes itself; a test of its own compares it.
const CLI: &str = "docs/book/src/reference/cli.md";

/// Where the book is built.
const BUILT: &str = "target/book";

/// Writes the generated pages, checks the links, and builds the book.
pub(crate) fn run() -> Result<bool> {
    let root = repo::root();
    for (path, text) in pages::all(&Repo::read(&root)?) {
        write_page(&root, path, &text)?;
    }
    write_page(&root, CLI, &cli_reference()?)?;
    write_openapi()?;
    let repo = Repo::read(&root)?;
    let findings = [links::check(&repo), keys::check(&repo)].concat();
    for finding in &findings {
        println!("{finding}");
    }
    let count = book::build(&repo, &root.join(BUILT))?;
    println!("wrote {BUILT}/index.html and {count} pages");
    Ok(findings.is_empty())
}

fn write_page(root: &Path, path: &str, text: &str) -> Result<()> {
    let file = root.join(path);
    if fs::read_to_string(&file).is_ok_and(|present| present == text) {
        return Ok(());
    }
    fs::write(&file, text).with_context(|| path.to_owned())?;
    println!("wrote {path}");
    Ok(())
}

/// Asks the program for its reference.
fn cli_reference() -> Result<String> {
    let mut command = cargo(&["run", "--quiet", "--package", "lockstep", "--", "reference"]);
    let output = command.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        bail!("lockstep reference failed; its own message stands above");
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Has the server's test write the document that it compares otherwise.
fn write_openapi() -> Result<()> {
    let mut command = cargo(&["test", "--quiet", "--package", "server", "--test", "main"]);
    command.args(["the_committed_document_is_fresh"]).env("UPDATE", "1");
    if !command.stdout(Stdio::null()).status()?.success() {
        bail!("the server's document could not be written; the message stands above");
    }
    Ok(())
}
