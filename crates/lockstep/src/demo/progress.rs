//! Progress: a bar on a terminal, lines elsewhere.

use std::io::{self, IsTerminal};

use anyhow::Result;
use indicatif::ProgressBar;
use model::Counts;

use crate::output::Output;

/// Shows how far the demo has come.
pub(super) struct Progress {
    out: Output,
    bar: Option<ProgressBar>,
    files: u64,
    ended: u64,
    tenth: u64,
}

impl Progress {
    /// Begins to show progress on so many files, each with two stages.
    pub(super) fn new(files: u64, out: Output) -> Result<Self> {
        let bar = if io::stderr().is_terminal() {
            Some(out.bar(Some(files * 2), "{bar:40} {percent:>3} %  {msg}")?)
        } else {
            None
        };
        Ok(Self { out, bar, files, ended: 0, tenth: 0 })
    }

    /// Shows the counts of the two stages; tells whether anything has changed.
    pub(super) fn show(&mut self, scan: &Counts, report: &Counts) -> bool {
        let ended = scan.finished + scan.failed + report.finished + report.failed;
        let has_changed = ended != self.ended;
        self.ended = ended;
        let text = format!(
            "scan {}/{}, report {}/{}",
            scan.finished, self.files, report.finished, self.files
        );
        match &self.bar {
            Some(bar) => {
                bar.set_position(ended);
                bar.set_message(text);
            }
            None => {
                let tenth = ended * 10 / (self.files * 2);
                if tenth > self.tenth {
                    self.out.note(text);
                }
                self.tenth = tenth;
            }
        }
        has_changed
    }

    /// Says something above the bar.
    pub(super) fn note(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| self.out.note(text)),
            None => self.out.note(text),
        }
    }

    /// Takes the bar away.
    pub(super) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
