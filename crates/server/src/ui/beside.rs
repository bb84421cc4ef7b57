//! Two texts line by line: side by side, or only what has changed.

use flow::compare;
use serde::Serialize;

/// Lines that are shown around what has changed.
const AROUND: usize = 2;

/// A line of each side; none where only the other has one.
#[derive(Default, Serialize)]
pub(crate) struct Pair {
    pub(crate) old: Option<(usize, String)>,
    pub(crate) new: Option<(usize, String)>,
    pub(crate) is_same: bool,
}

/// Puts what was taken out beside what was put in its place.
pub(crate) fn beside(marked: &[(char, &str)]) -> Vec<Pair> {
    let (mut old, mut new) = (0, 0);
    let mut pairs: Vec<Pair> = Vec::with_capacity(marked.len());
    // The first pair of a stretch of changes whose new side is still free.
    let mut free = 0;
    for (mark, line) in marked {
        let line = (*line).to_owned();
        match mark {
            '-' => {
                old += 1;
                pairs.push(Pair { old: Some((old, line)), ..Pair::default() });
            }
            '+' => {
                new += 1;
                match pairs.get_mut(free) {
                    Some(pair) => pair.new = Some((new, line)),
                    None => pairs.push(Pair { new: Some((new, line)), ..Pair::default() }),
                }
                free += 1;
            }
            _ => {
                (old, new) = (old + 1, new + 1);
                let (old, new) = (Some((old, line.clone())), Some((new, line)));
                pairs.push(Pair { old, new, is_same: true });
                free = pairs.len();
            }
        }
    }
    pairs
}

/// A line of what has changed: its mark is a space, `-`, `+`, or `…` for lines that are left out.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Line {
    pub(crate) mark: char,
    pub(crate) text: String,
}

impl Line {
    pub(crate) fn class(&self) -> &'static str {
        match self.mark {
            '-' => "gone",
            '+' => "come",
            '…' => "left-out",
            _ => "",
        }
    }

    pub(crate) fn sign(&self) -> &'static str {
        match self.mark {
            '-' => "−",
            '+' => "+",
            _ => "",
        }
    }
}

/// Gives the lines that have changed, with a few around them.
pub(crate) fn changes(old: &str, new: &str) -> Vec<Line> {
    let marked = compare(old, new);
    let near = |place: usize| {
        let from = place.saturating_sub(AROUND);
        let around = marked.iter().skip(from).take(place - from + AROUND + 1);
        around.into_iter().any(|(mark, _)| *mark != ' ')
    };
    let mut lines: Vec<Line> = Vec::new();
    for (place, (mark, text)) in marked.iter().enumerate() {
        if near(place) {
            lines.push(Line { mark: *mark, text: (*text).to_owned() });
        } else if lines.last().is_none_or(|last| last.mark != '…') {
            lines.push(Line { mark: '…', text: String::new() });
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_lines_stand_side_by_side() {
        let pairs = beside(&compare("a\nb\nc\nd", "a\nB\nd\ne"));
        let shown: Vec<_> = pairs
            .iter()
            .map(|pair| {
                let text = |side: &Option<(usize, String)>| {
                    side.as_ref().map(|(at, line)| format!("{at}{line}")).unwrap_or_default()
                };
                (text(&pair.old), text(&pair.new))
            })
            .collect();
        let pair = |old: &str, new: &str| (old.to_owned(), new.to_owned());
        let expected =
            [pair("1a", "1a"), pair("2b", "2B"), pair("3c", ""), pair("4d", "3d"), pair("", "4e")];
        assert_eq!(shown, expected);
    }

    #[test]
    fn what_has_changed_is_shown_with_a_little_around_it() {
        let old = "a\nb\nc\nd\ne\nf\ng";
        let lines = changes(old, &old.replace('d', "D"));
        let shown: String =
            lines.iter().map(|line| format!("{}{} ", line.mark, line.text)).collect();
        assert_eq!(shown, "…  b  c -d +D  e  f … ");
        assert!(changes("a", "a").iter().all(|line| line.mark == '…'));
    }
}
