//! How long and how often to measure.

use std::time::Duration;

use serde_json::{Value, json};

/// Callers at the same time, in every part.
pub(super) const AT_ONCE: [usize; 4] = [1, 8, 32, 64];

/// How long and how often to measure.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// How often everything with a floor is measured; results are medians.
    pub(crate) runs: usize,
    /// How long one figure is measured in one run.
    pub(crate) window: Duration,
    /// Single calls to take percentiles of.
    pub(crate) samples: usize,
    /// Units with which a queue counts as long.
    pub(crate) units: u64,
    /// Only figures that are called like this, and the floors; absent is all.
    pub(crate) only: Option<String>,
}

impl Plan {
    /// Measures well, in about six minutes.
    pub(crate) const FULL: Self =
        Self { runs: 3, window: ms(500), samples: 500, units: 1_000_000, only: None };
    /// Shows in about a minute whether something is badly wrong.
    pub(crate) const QUICK: Self =
        Self { runs: 1, window: ms(150), samples: 150, units: 1_000_000, only: None };

    /// Measures nodes well, in about fifteen minutes.
    pub(crate) const NODES: Self =
        Self { runs: 3, window: ms(1_000), samples: 500, units: 1_000_000, only: None };
    /// Shows in some minutes whether something is badly wrong with nodes.
    pub(crate) const NODES_QUICK: Self =
        Self { runs: 1, window: ms(500), samples: 150, units: 1_000_000, only: None };

    /// Says it as JSON.
    pub(super) fn to_json(&self) -> Value {
        json!({
            "runs": self.runs,
            "window_ms": self.window.as_millis() as u64,
            "samples": self.samples,
            "units": self.units,
            "only": self.only,
        })
    }

    /// Gives the plan for floors: everything, and no longer than usual.
    pub(super) fn for_floors(&self) -> Self {
        Self { only: None, window: self.window.min(Self::FULL.window), ..self.clone() }
    }

    /// Gives how many units must be ready for callers who take batches, at most so many units a
    /// second: for the step that does not count, the window, and the step that outlasts it.
    pub(super) fn units_for(&self, per_second: u64, at_once: usize, batch: usize) -> u64 {
        per_second * self.window.as_millis() as u64 / 1_000 + 2 * (at_once * batch) as u64
    }

    /// Tells whether a figure is asked for.
    pub(super) fn wants(&self, part: &str, what: &str, at_once: Option<usize>) -> bool {
        let Some(only) = &self.only else { return true };
        line(part, what, at_once).contains(only.as_str())
    }
}

/// Says in one line which figure is meant.
pub(super) fn line(part: &str, what: &str, at_once: Option<usize>) -> String {
    let callers = at_once.map_or(String::new(), |at_once| format!(", {at_once} at once"));
    format!("{part}: {what}{callers}")
}

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}
