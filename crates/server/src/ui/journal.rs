//! What journals tell: what happened, how each step stands after it, and how long each took.

use std::{collections::BTreeMap, time::Duration};

use model::{JournalEntry, Time};
use serde_json::Value;

use super::show;

/// Steps that a timeline has room for.
const STEPS_MAX: usize = 200;
/// The least width of a bar that can be seen, in hundredths of a percent.
const WIDTH_MIN: u64 = 40;
const WHOLE: u64 = 10_000;

/// One thing that a journal tells.
pub(super) struct Happened {
    pub(super) seq: u64,
    pub(super) time: Time,
    pub(super) what: String,
    pub(super) step: String,
    pub(super) data: Option<String>,
}

/// Gives what an entry tells, in the order in which it happened.
pub(super) fn happened(entry: &JournalEntry) -> Vec<Happened> {
    let notes = entry.body.get("notes").and_then(Value::as_array).into_iter().flatten();
    let text = |note: &Value, key| note.get(key).and_then(Value::as_str).map(str::to_owned);
    notes
        .map(|note| Happened {
            seq: entry.seq,
            time: entry.time,
            what: text(note, "what").unwrap_or_default(),
            step: text(note, "step").unwrap_or_default(),
            data: note.get("data").filter(|data| !data.is_null()).map(Value::to_string),
        })
        .collect()
}

/// Tells how each step stands after what happened, by its place in the document.
pub(super) fn standing<'a>(
    happened: impl Iterator<Item = &'a Happened>,
) -> BTreeMap<String, &'static str> {
    let mut standing = BTreeMap::new();
    for Happened { what, step, .. } in happened {
        // The last part of a step's name counts its rounds.
        let Some((path, _round)) = step.rsplit_once('/') else { continue };
        let word = match what.as_str() {
            "started" | "retried" | "resumed" => "running",
            "completed" | "correlated" | "compensated" => "finished",
            "faulted" | "incident" => "failed",
            "waiting" | "suspended" => "waiting",
            "cancelled" => "cancelled",
            "skipped" => "skipped",
            _ => continue,
        };
        standing.insert(path.to_owned(), word);
    }
    standing
}

/// A stretch of time in which a step was under way.
pub(super) struct Stretch {
    pub(super) step: String,
    pub(super) task: String,
    /// How deep it is within others.
    pub(super) depth: usize,
    /// How it ended, or that it did not.
    pub(super) word: &'static str,
    took: Option<Duration>,
    left: u64,
    width: u64,
}

impl Stretch {
    pub(super) fn x(&self) -> String {
        percent(self.left)
    }

    pub(super) fn width(&self) -> String {
        percent(self.width)
    }

    /// Says how long it took, if it has ended.
    pub(super) fn lasted(&self) -> Option<String> {
        self.took.map(show::span)
    }

    pub(super) fn class(&self) -> String {
        format!("{} in-{}", self.word, self.depth.min(4))
    }
}

/// Counts the lists that a step is in, by its places in them; its last part counts rounds.
fn places(parts: &[&str]) -> usize {
    let parts = parts.split_last().map_or(parts, |(_round, parts)| parts);
    parts.iter().filter(|part| part.parse::<u32>().is_ok()).count()
}

fn percent(hundredths: u64) -> String {
    format!("{}.{:02}%", hundredths / 100, hundredths % 100)
}

/// Lays out when each step was under way, between the start of the instance and its end, or now.
pub(super) fn timeline<'a>(
    happened: impl Iterator<Item = &'a Happened>,
    started: Time,
    end: Time,
) -> Vec<Stretch> {
    let mut spans: Vec<(&str, Time, Option<Time>, &'static str)> = Vec::new();
    for Happened { what, step, time, .. } in happened.filter(|one| !one.step.is_empty()) {
        let open = spans.iter_mut().rev().find(|(known, ..)| known == step);
        let word = match what.as_str() {
            "started" => {
                spans.push((step, *time, None, "running"));
                continue;
            }
            "waiting" => "waiting",
            "completed" | "correlated" | "compensated" => "finished",
            "faulted" | "incident" => "failed",
            "cancelled" => "cancelled",
            "skipped" => "skipped",
            _ => continue,
        };
        match open {
            Some((_, _, until, stands)) => {
                *stands = word;
                *until = (word != "waiting").then_some(*time);
            }
            None => spans.push((step, *time, Some(*time), word)),
        }
    }
    let whole = u64::try_from(end.since(started).as_micros()).unwrap_or(u64::MAX).max(1);
    let share = |time: Time| {
        let passed = u64::try_from(time.since(started).as_micros()).unwrap_or(u64::MAX);
        passed.min(whole).saturating_mul(WHOLE) / whole
    };
    let stretch = |(step, begun, until, word): (&str, Time, Option<Time>, &'static str)| {
        let left = share(begun).min(WHOLE - WIDTH_MIN);
        let width = share(until.unwrap_or(end)).saturating_sub(left);
        let parts: Vec<&str> = step.split('/').collect();
        Stretch {
            task: parts.iter().rev().nth(1).unwrap_or(&step).to_string(),
            depth: places(&parts).saturating_sub(1),
            step: step.to_owned(),
            word,
            took: until.map(|until| until.since(begun)),
            left,
            width: width.clamp(WIDTH_MIN, WHOLE - left),
        }
    };
    spans.into_iter().take(STEPS_MAX).map(stretch).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_journal_tells_how_steps_stand() {
        let entry = |seq, notes| JournalEntry { seq, time: Time(0), body: json!({"notes": notes}) };
        let journal = [
            entry(1, json!([{"what": "started"}, {"what": "started", "step": "do/0/pack/0"}])),
            entry(2, json!([{"what": "faulted", "step": "do/0/pack/0", "data": {"title": "no"}}])),
            entry(3, json!([{"what": "started", "step": "do/0/pack/0t1"}])),
        ];
        let told: Vec<_> = journal.iter().flat_map(happened).collect();
        assert_eq!(told.len(), 4);
        assert_eq!(told[2].data.as_deref(), Some("{\"title\":\"no\"}"));
        assert_eq!(standing(told.iter()).get("do/0/pack"), Some(&"running"));
        let before = told.iter().filter(|one| one.seq <= 2);
        assert_eq!(standing(before).get("do/0/pack"), Some(&"failed"));
    }

    #[test]
    fn steps_stand_where_they_were_under_way() {
        let one = |at, what: &str, step: &str| Happened {
            seq: 1,
            time: Time(at),
            what: what.to_owned(),
            step: step.to_owned(),
            data: None,
        };
        let told = [
            one(0, "started", ""),
            one(0, "started", "do/0/pack/0"),
            one(250_000, "completed", "do/0/pack/0"),
            one(250_000, "started", "do/1/both/0"),
            one(500_000, "started", "do/1/both/fork/branches/0/left/0"),
        ];
        let line = timeline(told.iter(), Time(0), Time(1_000_000));
        let shown: Vec<_> = line
            .iter()
            .map(|one| (one.task.as_str(), one.depth, one.word, one.x(), one.width()))
            .collect();
        let place = |x: &str, width: &str| (x.to_owned(), width.to_owned());
        let of = |task, depth, word, (x, width)| (task, depth, word, x, width);
        let expected = [
            of("pack", 0, "finished", place("0.00%", "25.00%")),
            of("both", 0, "running", place("25.00%", "75.00%")),
            of("left", 1, "running", place("50.00%", "50.00%")),
        ];
        assert_eq!(shown, expected);
    }
}
