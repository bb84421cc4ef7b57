//! `cargo xtask tidy`: what a program can check of the house style.

mod clock;
mod errors;
mod layers;
mod machine;
mod markdown;
mod modules;
mod papers;
mod rust;
mod words;

use std::fmt;

use anyhow::Result;

use crate::{
    docs::{keys, links, pages},
    repo::{self, Repo},
};

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    path: String,
    line: usize,
    message: String,
}

impl Finding {
    /// Makes a finding about a line, counted from 1.
    pub(crate) fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.message)
    }
}

/// A check looks at the repository and lists what it finds.
type Check = fn(&Repo) -> Vec<Finding>;

const CHECKS: [Check; 12] = [
    layers::check,
    papers::check,
    rust::check,
    modules::check,
    clock::check,
    words::check,
    errors::check,
    machine::check,
    markdown::check,
    keys::check,
    pages::check,
    links::check,
];

/// Runs all checks, prints their findings, and tells whether there were none.
pub(crate) fn run() -> Result<bool> {
    let repo = Repo::read(&repo::root())?;
    let mut findings: Vec<Finding> = CHECKS.iter().flat_map(|check| check(&repo)).collect();
    findings.sort();
    findings.dedup();
    for finding in &findings {
        println!("{finding}");
    }
    Ok(findings.is_empty())
}

/// Numbers the lines of a text from 1.
pub(crate) fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(text.lines())
}

/// Checks in tests that a check finds exactly the given lines, as `path:line`.
#[cfg(test)]
fn expect(check: Check, files: &[(&str, &str)], expected: &[&str]) {
    let mut found = check(&Repo::of(files));
    found.sort();
    let places: Vec<String> = found.iter().map(|f| format!("{}:{}", f.path, f.line)).collect();
    assert_eq!(places, expected, "{found:#?}");
}
