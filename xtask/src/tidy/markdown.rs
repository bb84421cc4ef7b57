//! Markdown has one sentence per line, so that a change shows as what it is.

use super::Finding;
use crate::{
    docs::prose::{Line, prose},
    repo::Repo,
};

/// Ends of words that are no ends of sentences.
const SHORT: [&str; 5] = ["e.g.", "i.e.", "etc.", "vs.", "…"];

/// Checks every Markdown file.
pub(super) fn check(repo: &Repo) -> Vec<Finding> {
    repo.ending(".md").flat_map(|(path, text)| check_file(path, text)).collect()
}

fn check_file(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut open: Option<usize> = None;
    for Line { number, text } in prose(text) {
        if ends_inside(&text) {
            findings.push(Finding::new(path, number, "write one sentence per line"));
        }
        let starts_block = text.starts_with(['-', '*', '>', '#', '|', '<', '['])
            || text.starts_with(|c: char| c.is_ascii_digit());
        if open == Some(number - 1) && !starts_block {
            let message = "a sentence goes on here: write it on one line";
            findings.push(Finding::new(path, number, message));
        }
        let title = text.starts_with(['#', '|', '<']);
        open = (!title && !text.ends_with(['.', ':', '!', '?', ')', '*', '`'])).then_some(number);
    }
    findings
}

/// Tells whether a sentence ends within a line and another one starts.
fn ends_inside(text: &str) -> bool {
    if text.starts_with('|') {
        return false;
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    words.windows(2).any(|pair| {
        let [first, second] = pair else { return false };
        let first = first.trim_end_matches(['*', '_', ')', '"']);
        let ends = first.ends_with(['.', '!', '?'])
            && !SHORT.iter().any(|short| first.ends_with(short))
            && !first.trim_end_matches('.').chars().all(|c| c.is_ascii_digit());
        ends && second.trim_start_matches(['*', '_', '(', '"', '[']).starts_with(char::is_uppercase)
    })
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::expect;

    #[test]
    fn two_sentences_on_a_line_are_found() {
        let text = "One sentence.\nOne. Two.\n1. Numbered item.\nSuch as e.g. This.\n\
                    | One. Two. |\n```\nOne. Two.\n```\nA `Code. Span`.\n";
        expect(check, &[("a.md", text)], &["a.md:2"]);
    }

    #[test]
    fn a_sentence_on_two_lines_is_found() {
        let text = "# Title\nA sentence that\ngoes on.\n\n- An item\n- Another\n\nNext.\n";
        expect(check, &[("a.md", text)], &["a.md:3"]);
    }
}
