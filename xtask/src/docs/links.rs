//! Links between our own pages.

use super::prose::{Line, prose};
use crate::{repo::Repo, tidy::Finding};

const BOOK: &str = "docs/book/src/";
const SUMMARY: &str = "docs/book/src/SUMMARY.md";
/// What tells programs that read the book where to begin; it has links like a page.
const FOR_MACHINES: &str = "/llms.txt";

/// Checks that every link leads to a page (and heading) that exists, and that the book's table of
/// contents lists every page.
pub(crate) fn check(repo: &Repo) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut listed = vec![SUMMARY.to_owned()];
    for (path, text) in repo.ending(".md").chain(repo.ending(FOR_MACHINES)) {
        for Line { number, text } in prose(text) {
            for link in links(&text) {
                let (file, heading) = link.split_once('#').unwrap_or((link, ""));
                let target = if file.is_empty() { path.to_owned() } else { resolve(path, file) };
                if !repo.has(&target) {
                    findings.push(Finding::new(path, number, format!("no such file: {link}")));
                } else if !heading.is_empty() && !headings(repo, &target).any(|h| h == heading) {
                    findings.push(Finding::new(path, number, format!("no such heading: {link}")));
                }
                if path == SUMMARY {
                    listed.push(target);
                }
            }
        }
    }
    let forgotten = repo
        .ending(".md")
        .map(|(path, _)| path)
        .filter(|path| path.starts_with(BOOK) && !listed.iter().any(|listed| listed == path));
    findings.extend(forgotten.map(|path| Finding::new(path, 1, "not listed in SUMMARY.md")));
    findings
}

/// Gives the targets of a line's links to our own files.
fn links(line: &str) -> impl Iterator<Item = &str> {
    let targets = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.contains("://") && !target.starts_with("mailto:"))
}

/// Resolves a relative path against the file that holds it.
pub(crate) fn resolve(from: &str, link: &str) -> String {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "." | "" => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    parts.join("/")
}

/// Gives the anchors of a page's headings.
fn headings<'a>(repo: &'a Repo, path: &str) -> impl Iterator<Item = String> + 'a {
    let lines = repo.get(path).unwrap_or_default().lines();
    let titles = lines.filter(|line| line.starts_with('#'));
    titles.map(|line| anchor(line.trim_start_matches('#').trim()))
}

/// Gives the anchor of a heading.
pub(crate) fn anchor(title: &str) -> String {
    let title = title.to_lowercase();
    let kept = title.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_links_and_forgotten_pages_are_found() {
        let files = [
            (SUMMARY, "- [A](a.md)\n- [None](none.md)\n"),
            ("docs/book/src/llms.txt", "- [A](a.md): first\n- [Gone](gone.md)\n"),
            (
                "docs/book/src/a.md",
                "# The `one` page\n[up](../../glossary.md#a-word) [x](#the-one-page)\n",
            ),
            ("docs/book/src/b/c.md", "[a](../a.md#two) and [out](https://example.org/x.md)\n"),
            ("docs/glossary.md", "## A word\n[code](../crates/a)\n"),
            ("crates/a/Cargo.toml", ""),
        ];
        let found: Vec<String> = check(&Repo::of(&files)).iter().map(Finding::to_string).collect();
        let expected = [
            "docs/book/src/SUMMARY.md:2: no such file: none.md",
            "docs/book/src/b/c.md:1: no such heading: ../a.md#two",
            "docs/book/src/llms.txt:2: no such file: gone.md",
            "docs/book/src/b/c.md:1: not listed in SUMMARY.md",
        ];
        assert_eq!(found, expected);
    }
}
