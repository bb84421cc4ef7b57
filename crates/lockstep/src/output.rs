//! What goes to standard output and standard error, and in which shape.

use std::io::{self, IsTerminal, Write};

use anyhow::Result;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;

use crate::failure::Failure;

/// How to write.
#[derive(Clone, Copy)]
pub(crate) struct Output {
    /// Whether data is written as JSON.
    pub(crate) json: bool,
    /// Whether standard error gets errors only.
    pub(crate) quiet: bool,
}

impl Output {
    /// Writes data: the JSON document or the text.
    pub(crate) fn data(self, json: &Value, text: impl FnOnce() -> String) -> Result<()> {
        let mut text = if self.json { serde_json::to_string_pretty(json)? } else { text() };
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        raw(text.as_bytes())
    }

    /// Writes a note for people on standard error.
    pub(crate) fn note(self, text: impl AsRef<str>) {
        if !self.quiet {
            say(text.as_ref());
        }
    }

    /// Makes a progress bar, which shows only on a terminal.
    pub(crate) fn bar(self, length: Option<u64>, template: &str) -> Result<ProgressBar> {
        let target =
            if self.quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(length, target);
        bar.set_style(ProgressStyle::with_template(template)?.progress_chars("=> "));
        Ok(bar)
    }

    /// Asks before something is destroyed.
    pub(crate) fn confirm(self, what: &str, yes: bool) -> Result<()> {
        if yes {
            return Ok(());
        }
        let refused = || Failure::usage(format!("not confirmed: {what}"), "give --yes to go on");
        if !io::stdin().is_terminal() {
            return Err(refused().into());
        }
        say(&format!("{what}? Type y to go on."));
        let mut answer = String::new();
        io::stdin().read_line(&mut answer)?;
        match answer.trim() {
            "y" | "Y" | "yes" => Ok(()),
            _ => Err(refused().into()),
        }
    }
}

/// Writes bytes to standard output; a reader who went away is an error that ends the program well.
pub(crate) fn raw(bytes: &[u8]) -> Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()?;
    Ok(())
}

/// Writes a line to standard error; if nobody reads that any more, there is nobody to tell.
pub(crate) fn say(text: &str) {
    let _unread = writeln!(io::stderr(), "{}", printable(text));
}

/// Lays out rows under their heads; cells after a number's head are kept to the right.
pub(crate) fn table(heads: &[&str], rows: &[Vec<String>]) -> String {
    let heads: Vec<String> = heads.iter().map(|head| head.to_uppercase()).collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.chain(heads.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let numeric = |column: usize| {
        let is_number = |cell: &String| {
            cell.starts_with(|c: char| c.is_ascii_digit())
                && cell.chars().all(|c| c.is_ascii_digit() || c == ',')
        };
        !rows.is_empty() && rows.iter().filter_map(|row| row.get(column)).all(is_number)
    };
    let layout: Vec<_> = (0..heads.len()).map(|column| (width(column), numeric(column))).collect();
    let mut text = String::new();
    for row in std::iter::once(&heads).chain(rows) {
        let mut line = String::new();
        for (cell, (width, numeric)) in row.iter().zip(&layout) {
            let gap = " ".repeat(width.saturating_sub(cell.chars().count()));
            let (before, after) = if *numeric { (gap.as_str(), "") } else { ("", gap.as_str()) };
            line.push_str(&format!("{before}{cell}{after}  "));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Replaces control characters, so that names cannot drive the terminal.
pub(crate) fn printable(text: &str) -> String {
    let safe = |c: char| c == '\n' || !c.is_control();
    text.chars().map(|c| if safe(c) { c } else { '\u{fffd}' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_keep_numbers_to_the_right() {
        let rows = [vec!["a".to_owned(), "7".to_owned()], vec!["bcd".to_owned(), "12".to_owned()]];
        assert_eq!(table(&["name", "n"], &rows), "NAME   N\na      7\nbcd   12\n");
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(printable("a\u{1b}[31mb\n"), "a\u{fffd}[31mb\n");
    }
}
