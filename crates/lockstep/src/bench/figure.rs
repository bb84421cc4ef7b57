//! What was measured.

use serde_json::{Value, json};

use super::load::{Load, millis_at};

/// One measured value.
#[derive(Clone, Debug)]
pub(super) struct Figure {
    /// In which part of the table it stands.
    pub(super) part: &'static str,
    /// What was measured.
    pub(super) what: String,
    /// Callers at the same time, where that matters.
    pub(super) at_once: Option<usize>,
    /// The value.
    pub(super) value: f64,
    /// What the value counts.
    pub(super) unit: &'static str,
    /// Half, and all but one in a hundred, of the calls took at most so many milliseconds.
    pub(super) latency_ms: Option<(f64, f64)>,
    /// What bounds it.
    pub(super) floor: Option<Floor>,
    /// The lowest and highest value of all runs.
    pub(super) range: (f64, f64),
}

/// What bounds a figure, measured in the same run.
#[derive(Clone, Debug)]
pub(super) struct Floor {
    /// Its letter.
    pub(super) name: &'static str,
    /// Its value.
    pub(super) value: f64,
    /// The figure, in the unit of the floor, divided by the floor.
    pub(super) ratio: f64,
}

impl Figure {
    /// Makes a figure of one value.
    pub(super) fn new(
        part: &'static str,
        what: impl Into<String>,
        value: f64,
        unit: &'static str,
    ) -> Self {
        let (what, range) = (what.into(), (value, value));
        Self { part, what, at_once: None, value, unit, latency_ms: None, floor: None, range }
    }

    /// Makes a figure of what callers got done.
    pub(super) fn of_load(
        part: &'static str,
        what: impl Into<String>,
        at_once: usize,
        load: &Load,
    ) -> Self {
        let figure = Self::new(part, what, load.units_per_second(), "units/s");
        let latency_ms = Some((load.millis_at(0.5), load.millis_at(0.99)));
        Self { at_once: Some(at_once), latency_ms, ..figure }
    }

    /// Makes a figure of how long single calls took, in nanoseconds: the 99th percentile.
    pub(super) fn of_spans(
        part: &'static str,
        what: impl Into<String>,
        mut spans: Vec<u64>,
    ) -> Self {
        spans.sort_unstable();
        let (p50, p99) = (millis_at(&spans, 0.5), millis_at(&spans, 0.99));
        Self { latency_ms: Some((p50, p99)), ..Self::new(part, what, p99, "ms") }
    }

    /// Sets the bound that holds for units.
    pub(super) fn bounded(self, name: &'static str, floor: Option<&Self>) -> Self {
        let value = self.value;
        self.bounded_by(name, value, floor)
    }

    /// Sets a bound that holds for something else of which so many came each second.
    pub(super) fn bounded_by(self, name: &'static str, value: f64, floor: Option<&Self>) -> Self {
        let floor =
            floor.map(|floor| Floor { name, value: floor.value, ratio: value / floor.value });
        Self { floor, ..self }
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "part": self.part,
            "what": self.what,
            "at_once": self.at_once,
            "value": self.value,
            "unit": self.unit,
            "lowest": self.range.0,
            "highest": self.range.1,
            "p50_ms": self.latency_ms.map(|(p50, _)| p50),
            "p99_ms": self.latency_ms.map(|(_, p99)| p99),
            "floor": self.floor.as_ref().map(|floor| json!({
                "name": floor.name,
                "value": floor.value,
                "ratio": floor.ratio,
            })),
        })
    }

    /// Takes the medians of the same figure in several runs.
    fn median_of(runs: &[&Self]) -> Option<Self> {
        let first = *runs.first()?;
        let of =
            |get: fn(&Self) -> Option<f64>| median(runs.iter().filter_map(|f| get(f)).collect());
        let latency_ms = first
            .latency_ms
            .map(|_| (of(|f| Some(f.latency_ms?.0)), of(|f| Some(f.latency_ms?.1))));
        let floor = first.floor.as_ref().map(|floor| Floor {
            name: floor.name,
            value: of(|f| Some(f.floor.as_ref()?.value)),
            ratio: of(|f| Some(f.floor.as_ref()?.ratio)),
        });
        let values = || runs.iter().map(|figure| figure.value);
        let range = (values().fold(f64::MAX, f64::min), values().fold(f64::MIN, f64::max));
        let value = of(|f| Some(f.value));
        Some(Self { value, latency_ms, floor, range, ..first.clone() })
    }
}

/// Takes the median of each figure; all runs have the same ones in the same order.
pub(super) fn medians(runs: &[Vec<Figure>]) -> Vec<Figure> {
    let count = runs.first().map_or(0, Vec::len);
    let each = |place: usize| runs.iter().filter_map(|run| run.get(place)).collect::<Vec<_>>();
    (0..count).filter_map(|place| Figure::median_of(&each(place))).collect()
}

/// Gives the value in the middle; the lower one of two.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_taken_within_a_run() {
        let run = |value, floor| {
            let floor = Figure::new("floors", "F", floor, "x");
            vec![Figure::new("part", "what", value, "units/s").bounded("F", Some(&floor))]
        };
        let figures = medians(&[run(10.0, 100.0), run(90.0, 180.0), run(20.0, 20.0)]);
        let [figure] = &figures[..] else { panic!("{figures:?}") };
        assert_eq!((figure.value, figure.range), (20.0, (10.0, 90.0)));
        let floor = figure.floor.as_ref().unwrap();
        assert_eq!((floor.value, floor.ratio), (100.0, 0.5));
    }

    #[test]
    fn a_median_is_a_value_that_was_seen() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.0);
        assert!(median(vec![]).is_nan());
    }
}
