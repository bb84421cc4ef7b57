//! Every error code has a page in the book, and every page a code.

use super::{Finding, numbered};
use crate::{
    docs::codes::{self, FOLDER, SOURCE},
    repo::Repo,
};

/// Checks the pages against the table of errors.
pub(super) fn check(repo: &Repo) -> Vec<Finding> {
    let source = repo.get(SOURCE).unwrap_or_default();
    let codes = codes::read(source);
    let mut findings = Vec::new();
    for code in &codes {
        let quoted = format!("\"{}\"", code.code);
        let line = numbered(source).find(|(_, line)| line.contains(&quoted)).map_or(1, |(n, _)| n);
        let path = format!("{FOLDER}{}.md", code.code);
        match repo.get(&path) {
            None => findings.push(Finding::new(SOURCE, line, format!("{path} is missing"))),
            Some(text) if !text.starts_with(&format!("# `{}`\n", code.code)) => {
                let message = format!("the heading must be # `{}`", code.code);
                findings.push(Finding::new(&path, 1, message));
            }
            Some(_) => {}
        }
    }
    for (path, _) in repo.ending(".md") {
        let Some(name) = path.strip_prefix(FOLDER).and_then(|name| name.strip_suffix(".md")) else {
            continue;
        };
        if name != "index" && !codes.iter().any(|code| code.code == name) {
            findings.push(Finding::new(path, 1, format!("there is no error code {name}")));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::expect;

    #[test]
    fn codes_and_pages_agree() {
        let source = "Self::A => row(\"one\", \"error\", 400, \"do\"),\n\
                      Self::B => row(\n    \"two\",\n    \"error\",\n    400,\n    \"do\",\n),\n\
                      Self::C => row(\"four\", \"error\", 400, \"do\"),\n";
        let files = [
            (SOURCE, source),
            ("docs/book/src/errors/index.md", "# All\n"),
            ("docs/book/src/errors/one.md", "# `one`\n"),
            ("docs/book/src/errors/three.md", "# `three`\n"),
            ("docs/book/src/errors/four.md", "# `five`\n"),
        ];
        let expected = [
            "crates/model/src/error/code.rs:3",
            "docs/book/src/errors/four.md:1",
            "docs/book/src/errors/three.md:1",
        ];
        expect(check, &files, &expected);
    }
}
