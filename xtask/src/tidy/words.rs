//! One word per thing: the "Avoid:" lists of the glossary.

use super::{Finding, numbered};
use crate::{
    docs::prose::{Line, prose},
    repo::Repo,
};

const GLOSSARY: &str = "docs/glossary.md";
const AVOID: &str = "Avoid: ";
/// Where help texts are written as doc comments.
const HELP: &str = "crates/lockstep/src/";

/// Checks Markdown prose and the help texts of the program.
pub(super) fn check(repo: &Repo) -> Vec<Finding> {
    let avoided = avoided(repo.get(GLOSSARY).unwrap_or_default());
    let mut findings = Vec::new();
    if avoided.is_empty() {
        findings.push(Finding::new(GLOSSARY, 1, "no \"Avoid: \" lines"));
    }
    for (path, text) in repo.ending(".md").filter(|(path, _)| *path != GLOSSARY) {
        for Line { number, text } in prose(text) {
            look(path, number, &text, &avoided, &mut findings);
        }
    }
    for (path, text) in repo.ending(".rs").filter(|(path, _)| path.starts_with(HELP)) {
        for (number, line) in numbered(text) {
            if let Some(comment) = line.trim_start().strip_prefix("/// ") {
                look(path, number, comment, &avoided, &mut findings);
            }
        }
    }
    findings
}

/// Reads pairs of an avoided word and the word to use.
fn avoided(glossary: &str) -> Vec<(String, String)> {
    let mut avoided = Vec::new();
    let mut heading = "";
    for line in glossary.lines() {
        if let Some(text) = line.strip_prefix("## ") {
            heading = text;
        } else if let Some(list) = line.strip_prefix(AVOID) {
            let words = list.trim_end_matches('.').split(", ");
            avoided.extend(words.map(|word| (word.to_lowercase(), heading.to_owned())));
        }
    }
    avoided
}

fn look(
    path: &str,
    number: usize,
    text: &str,
    avoided: &[(String, String)],
    findings: &mut Vec<Finding>,
) {
    let text = text.to_lowercase();
    for (word, instead) in avoided {
        if has_word(&text, word) {
            let message = format!("write \"{instead}\" in place of \"{word}\" (docs/glossary.md)");
            findings.push(Finding::new(path, number, message));
        }
    }
}

/// Tells whether a text has a word or its plural, standing by itself.
fn has_word(text: &str, word: &str) -> bool {
    let inside = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    text.match_indices(word).any(|(at, _)| {
        let before = text.get(..at).and_then(|rest| rest.chars().next_back());
        let after = text.get(at + word.len()..).unwrap_or_default();
        let after = after.strip_prefix('s').unwrap_or(after);
        !inside(before) && !inside(after.chars().next())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::expect;

    const PAPER: (&str, &str) =
        (GLOSSARY, "## work unit (unit)\nA piece of work.\nAvoid: job, work item.\n");

    #[test]
    fn avoided_words_are_found() {
        let text = "A job.\nTwo Jobs.\nA jobber and a `job`.\n```\njob\n```\nOne work item.\n";
        let files = [
            PAPER,
            ("docs/a.md", text),
            ("crates/lockstep/src/args.rs", "/// Adds a job.\nlet job = 1;\n"),
            ("crates/model/src/lib.rs", "/// A job.\n"),
        ];
        let expected =
            ["crates/lockstep/src/args.rs:1", "docs/a.md:1", "docs/a.md:2", "docs/a.md:7"];
        expect(check, &files, &expected);
    }

    #[test]
    fn a_glossary_without_lists_is_found() {
        expect(check, &[(GLOSSARY, "## unit\n")], &["docs/glossary.md:1"]);
    }
}
