//! ARCHITECTURE.md names what exists, and all of it.

use super::{Finding, numbered};
use crate::repo::Repo;

const ARCHITECTURE: &str = "ARCHITECTURE.md";
/// Papers that a stranger looks for.
const EXPECTED: [&str; 10] = [
    "README.md",
    ARCHITECTURE,
    "STYLE.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "UPGRADING.md",
    "docs/book/src/llms.txt",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "docs/glossary.md",
];
/// Where a word in backticks is a path.
const FOLDERS: [&str; 9] =
    ["crates/", "xtask/", "docs/", "examples/", "fuzz/", "sdk/", "deploy/", ".ci/", ".cargo/"];

/// Checks the papers against the files.
pub(super) fn check(repo: &Repo) -> Vec<Finding> {
    let mut findings: Vec<Finding> = EXPECTED
        .into_iter()
        .filter(|path| repo.get(path).is_none())
        .map(|path| Finding::new(path, 1, "this paper is missing"))
        .collect();
    let text = repo.get(ARCHITECTURE).unwrap_or_default();
    for (line, row) in numbered(text) {
        for word in row.split('`').skip(1).step_by(2) {
            if FOLDERS.iter().any(|folder| word.starts_with(folder)) && !repo.has(word) {
                findings.push(Finding::new(ARCHITECTURE, line, format!("{word} does not exist")));
            }
        }
    }
    for name in repo.crates() {
        if !text.contains(&format!("`crates/{name}`")) {
            let message = format!("`crates/{name}` is not in the code map");
            findings.push(Finding::new(ARCHITECTURE, 1, message));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::expect;

    #[test]
    fn paths_exist_and_crates_are_named() {
        let text = "`crates/model`, `crates/none` and `docs/glossary.md`\n`a/b` is no path\n";
        let mut files: Vec<(&str, &str)> = EXPECTED.iter().map(|path| (*path, "")).collect();
        files.push(("crates/model/Cargo.toml", ""));
        files.push(("crates/store/Cargo.toml", ""));
        files.retain(|(path, _)| ![ARCHITECTURE, "SECURITY.md"].contains(path));
        files.push((ARCHITECTURE, text));
        expect(check, &files, &["ARCHITECTURE.md:1", "ARCHITECTURE.md:1", "SECURITY.md:1"]);
    }
}
