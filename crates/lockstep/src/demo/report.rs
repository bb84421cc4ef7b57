//! What came of the demo, held against a direct count.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use client::Lockstep;
use model::{Attempt, AttemptStatus, Counts, Page, SpecName, Unit, UnitFilter, UnitStatus};
use serde_json::{Value, json};

use super::{
    VICTIM,
    count::{Figures, Found, Walk},
    rust::{number, text},
    scene::Scene,
};
use crate::{
    failure::Failure,
    output::{Output, printable, say, table},
};

const STAGES: [&str; 2] = ["scan", "report"];

/// What came of the demo.
pub(super) struct Report {
    /// What is not as it has to be.
    pub(super) differences: Vec<String>,
    stages: Vec<(&'static str, Counts)>,
    /// Finished units of each stage, by worker.
    workers: BTreeMap<String, [u64; 2]>,
    found: Sums,
    counted: Sums,
    changed: usize,
    held: usize,
    offered_again: usize,
    scenes: Vec<Scene>,
    /// How long all of it took.
    pub(super) seconds: f64,
}

/// Sums over files.
#[derive(Default, PartialEq, Eq)]
struct Sums {
    files: u64,
    bytes: u64,
    lines: u64,
}

impl Sums {
    fn add(&mut self, figures: &Figures) {
        self.files += 1;
        self.bytes += figures.bytes;
        self.lines += figures.lines;
    }

    fn json(&self) -> Value {
        json!({"files": self.files, "bytes": self.bytes, "lines": self.lines})
    }

    fn row(&self, who: &str) -> Vec<String> {
        let numbers = [self.files, self.bytes, self.lines].map(grouped);
        std::iter::once(who.to_owned()).chain(numbers).collect()
    }
}

impl Report {
    /// Reads all units back and compares them with the direct count.
    pub(super) async fn gather(lockstep: &Lockstep, walk: &Walk, held: &[Attempt]) -> Result<Self> {
        let mut report = Self {
            differences: Vec::new(),
            stages: Vec::new(),
            workers: BTreeMap::new(),
            found: Sums::default(),
            counted: Sums::default(),
            changed: 0,
            held: held.len(),
            offered_again: 0,
            scenes: Vec::new(),
            seconds: 0.0,
        };
        let mut results = BTreeMap::new();
        for (stage, name) in STAGES.into_iter().enumerate() {
            let spec = lockstep.spec(SpecName::new(name)?);
            report.stages.push((name, spec.get().await?.counts));
            let mut filter = UnitFilter::default();
            loop {
                let (units, next) = spec.units(filter.clone()).await?;
                for unit in units {
                    report.note_unit(stage, &unit);
                    if stage == 1 {
                        results.insert(unit.name.to_string(), unit);
                    }
                }
                match next {
                    Some(next) => filter.after = Some(next),
                    None => break,
                }
            }
        }
        report.compare(&walk.files, &results);
        report.check_held(lockstep, held).await?;
        Ok(report)
    }

    /// Takes in what a further part of the demo has shown.
    pub(super) fn add(&mut self, mut scene: Scene) {
        self.differences.append(&mut scene.differences);
        self.scenes.push(scene);
    }

    fn note_unit(&mut self, stage: usize, unit: &Unit) {
        if unit.status != UnitStatus::Finished {
            let status = unit.status.as_str();
            let why = unit.data.dict().ok().and_then(|dict| text(&dict, "traceback").ok());
            let why = why.unwrap_or_default();
            self.differences.push(format!("unit {} of {} is {status} {why}", unit.name, unit.spec));
        }
        let worker = unit.active.as_ref().map_or("(none)", |attempt| attempt.worker.as_str());
        let counts = self.workers.entry(worker.to_owned()).or_default();
        if let Some(count) = counts.get_mut(stage) {
            *count += 1;
        }
    }

    fn compare(&mut self, files: &[Found], results: &BTreeMap<String, Unit>) {
        for found in files {
            let result = results.get(&found.name).map(figures);
            if result.as_ref() != Some(&Ok(found.figures.clone())) && found.has_changed() {
                self.changed += 1;
                continue;
            }
            self.counted.add(&found.figures);
            match result {
                None => self.differences.push(format!("{}: not reported", found.name)),
                Some(Err(why)) => self.differences.push(format!("{}: {why}", found.name)),
                Some(Ok(reported)) => {
                    self.found.add(&reported);
                    if reported != found.figures {
                        let counted = &found.figures;
                        self.differences.push(format!(
                            "{}: reported {reported}, counted {counted}",
                            found.name
                        ));
                    }
                }
            }
        }
        let names: BTreeSet<_> = files.iter().map(|found| found.name.as_str()).collect();
        for name in results.keys().filter(|name| !names.contains(name.as_str())) {
            self.differences.push(format!("{name}: reported, but there is no such file"));
        }
    }

    /// Checks that what the killed worker held was given to others.
    async fn check_held(&mut self, lockstep: &Lockstep, held: &[Attempt]) -> Result<()> {
        for attempt in held {
            let unit = lockstep.unit(attempt.spec.clone(), attempt.unit.clone());
            let attempts = unit.attempts(Page::default()).await?;
            let expired = attempts
                .iter()
                .any(|other| other.id == attempt.id && other.status == AttemptStatus::Expired);
            let done_by_other = attempts.iter().any(|other| {
                other.id > attempt.id
                    && other.worker != attempt.worker
                    && other.status == AttemptStatus::Finished
            });
            if expired && done_by_other {
                self.offered_again += 1;
            }
        }
        if self.offered_again == 0 {
            self.differences.push(format!("no unit of worker {VICTIM} was offered again"));
        }
        Ok(())
    }

    /// Prints the summary, and fails if anything differs.
    pub(super) fn print(&self, out: Output) -> Result<()> {
        out.data(&self.json(), || self.text())?;
        if self.differences.is_empty() {
            return Ok(());
        }
        for difference in self.differences.iter().take(20) {
            say(&format!("differs: {difference}"));
        }
        let count = self.differences.len();
        let hint = "run it again with --keep and look into the kept folder";
        Err(Failure::differs(format!("{count} things are not as the direct count says"), hint)
            .into())
    }

    fn json(&self) -> Value {
        let stages =
            self.stages.iter().map(|(name, counts)| json!({"spec": name, "counts": counts}));
        let workers = self
            .workers
            .iter()
            .map(|(name, [scan, report])| json!({"worker": name, "scan": scan, "report": report}));
        let scenes = self.scenes.iter().map(|scene| (scene.name.to_owned(), scene.json.clone()));
        json!({
            "ok": self.differences.is_empty(),
            "seconds": self.seconds,
            "stages": stages.collect::<Vec<_>>(),
            "workers": workers.collect::<Vec<_>>(),
            "reported": self.found.json(),
            "counted": self.counted.json(),
            "changed_meanwhile": self.changed,
            "scenes": scenes.collect::<serde_json::Map<_, _>>(),
            "killed": {"worker": VICTIM, "held": self.held, "offered_again": self.offered_again},
            "differences": self.differences,
        })
    }

    fn text(&self) -> String {
        let stages: Vec<_> = self
            .stages
            .iter()
            .map(|(name, counts)| {
                let numbers = [counts.total(), counts.finished, counts.failed].map(grouped);
                std::iter::once((*name).to_owned()).chain(numbers).collect()
            })
            .collect();
        let workers: Vec<_> = self
            .workers
            .iter()
            .map(|(name, counts)| {
                std::iter::once(printable(name)).chain(counts.map(grouped)).collect()
            })
            .collect();
        let sums = [self.found.row("workers"), self.counted.row("direct count")];
        let mut parts = vec![
            heading(1, "Work"),
            table(&["stage", "units", "finished", "failed"], &stages),
            table(&["worker", "scan", "report"], &workers),
            table(&["by", "files", "bytes", "lines"], &sums),
            format!(
                "Worker {VICTIM} was killed holding {} units; {} of them were offered again and \
                 finished by others.",
                self.held, self.offered_again
            ),
        ];
        for (number, scene) in (2..).zip(&self.scenes) {
            parts.push(String::new());
            parts.push(heading(number, scene.title));
            parts.push(scene.text.trim_end().to_owned());
        }
        if self.changed > 0 {
            let changed = self.changed;
            parts.push(format!("{changed} files were changed meanwhile and are left out above."));
        }
        if self.differences.is_empty() {
            parts.push(format!(
                "\nAll is well: every figure agrees with the direct count. ({:.1} s)",
                self.seconds
            ));
        }
        parts.join("\n")
    }
}

fn heading(number: usize, title: &str) -> String {
    format!("{number}. {title}\n")
}

/// Takes the figures out of a unit of the last stage.
fn figures(unit: &Unit) -> Result<Figures, String> {
    let dict = unit.data.dict().map_err(|error| error.to_string())?;
    Ok(Figures {
        bytes: number(&dict, "bytes")?,
        lines: number(&dict, "lines")?,
        sha256: text(&dict, "sha256")?,
    })
}

/// Writes a number with its thousands apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
    }
}
