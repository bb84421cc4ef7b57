//! The tables, and the same as JSON.

use serde_json::{Value, json};

use super::{
    figure::Figure,
    plan::Plan,
    targets::{Target, Verdict, judge},
};
use crate::output::table;

/// Everything that was measured.
pub(crate) struct Report {
    pub(super) machine: Value,
    pub(super) plan: Plan,
    pub(super) figures: Vec<Figure>,
    pub(super) targets: Vec<Target>,
}

impl Report {
    /// Says it as JSON.
    pub(crate) fn to_json(&self) -> Value {
        let verdicts = judge(&self.figures, &self.plan, &self.targets);
        json!({
            "machine": self.machine,
            "plan": self.plan.to_json(),
            "figures": self.figures.iter().map(Figure::to_json).collect::<Vec<_>>(),
            "targets": verdicts.iter().map(Verdict::to_json).collect::<Vec<_>>(),
        })
    }

    /// Says it as tables: what was measured, part by part, and then the targets.
    pub(crate) fn to_text(&self) -> String {
        let mut text = String::new();
        let facts = self.machine.as_object().into_iter().flatten();
        let facts = facts.filter(|(_, value)| !value.is_null());
        let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        text.extend(facts.map(|(name, value)| format!("{name}: {}\n", plain(value))));
        for part in self.figures.chunk_by(|one, next| one.part == next.part) {
            let title = part.first().map_or("", |figure| figure.part);
            let heads = ["what", "at once", "figure", "unit", "p50 ms", "p99 ms", "floor", "ratio"];
            let rows: Vec<_> = part.iter().map(cells).collect();
            text.push_str(&format!("\n{title}\n{}", table(&heads, &rows)));
        }
        let verdicts = judge(&self.figures, &self.plan, &self.targets);
        let heads = ["what", "figure", "unit", "floor", "ratio", "target", "met"];
        let rows: Vec<_> = verdicts.iter().map(Verdict::cells).collect();
        let met = verdicts.iter().filter(|verdict| verdict.is_met() == Some(true)).count();
        if !verdicts.is_empty() {
            text.push_str(&format!("\ntargets\n{}", table(&heads, &rows)));
            text.push_str(&format!("{met} of {} targets are met\n", verdicts.len()));
        }
        text
    }
}

fn cells(figure: &Figure) -> Vec<String> {
    let latency = |get: fn((f64, f64)) -> f64| {
        figure.latency_ms.map_or(String::new(), |latency| format!("{:.2}", get(latency)))
    };
    let floor = figure.floor.as_ref();
    vec![
        figure.what.clone(),
        figure.at_once.map_or(String::new(), |at_once| at_once.to_string()),
        amount(figure.value),
        figure.unit.to_owned(),
        latency(|(p50, _)| p50),
        latency(|(_, p99)| p99),
        floor.map_or(String::new(), |floor| format!("{} {}", floor.name, amount(floor.value))),
        floor.map_or(String::new(), |floor| format!("{:.2}", floor.ratio)),
    ]
}

/// Writes a value with as many digits as say something.
pub(super) fn amount(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => grouped(value),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.1 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

/// Writes a whole number with its digits in groups of three.
pub(super) fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
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
    fn amounts_are_short() {
        let texts = [1_234_567.4, 100.0, 99.94, 1.234, 0.0123].map(amount);
        assert_eq!(texts, ["1,234,567", "100", "99.9", "1.23", "0.0123"]);
    }
}
