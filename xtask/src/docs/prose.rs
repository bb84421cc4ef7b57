//! The sentences of a Markdown text, without its code.

/// A line with something to read in it.
#[derive(Debug, PartialEq)]
pub(crate) struct Line {
    /// Its number, from 1.
    pub(crate) number: usize,
    /// Its text without white space around it and without what stands in backticks.
    pub(crate) text: String,
}

/// Lists the lines of prose: no code blocks, no comments, no empty lines.
pub(crate) fn prose(markdown: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut in_code = false;
    let mut in_comment = false;
    for (number, line) in (1..).zip(markdown.lines()) {
        let line = line.trim();
        if line.starts_with("```") {
            in_code = !in_code;
            continue;
        }
        in_comment |= line.starts_with("<!--");
        if !in_code && !in_comment && !line.is_empty() {
            lines.push(Line { number, text: without_spans(line) });
        }
        in_comment &= !line.ends_with("-->");
    }
    lines
}

/// Empties what stands in backticks.
fn without_spans(line: &str) -> String {
    let parts = line.split('`').enumerate();
    let kept: Vec<&str> = parts.map(|(i, part)| if i % 2 == 0 { part } else { "" }).collect();
    kept.join("`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_and_comments_are_left_out() {
        let text = "# A\n\n```sh\nls\n```\n<!-- one\ntwo -->\n  - use `code` here\n";
        let line = |number, text: &str| Line { number, text: text.to_owned() };
        assert_eq!(prose(text), [line(1, "# A"), line(8, "- use `` here")]);
    }
}
