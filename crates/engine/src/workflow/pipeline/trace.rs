//! What a run tells of its stages: when each began, how long it took, and how it went.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use model::{Error, Result, Stage, Time};

use super::stages::phase_of;
use crate::Clock;

/// The stages so far.
pub(crate) struct Trace {
    clock: Arc<dyn Clock>,
    pub(crate) stages: Vec<Stage>,
    /// The stage under way.
    open: Option<(String, Time, Instant)>,
}

impl Trace {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, stages: Vec::new(), open: None }
    }

    /// Begins a stage.
    pub(crate) fn begin(&mut self, name: &str) {
        self.open = Some((name.to_owned(), self.clock.now(), Instant::now()));
    }

    /// Ends the stage that is under way well.
    pub(crate) fn end(&mut self, detail: impl Into<String>) {
        self.close("ok", detail.into());
    }

    /// Says that a stage has nothing to do.
    pub(crate) fn skip(&mut self, name: &str, why: &str) {
        self.begin(name);
        self.close("skipped", why.to_owned());
    }

    /// Ends the stage that is under way with an error.
    pub(crate) fn failed(&mut self, error: &Error) {
        self.close("failed", error.to_string());
    }

    /// Runs a stage that does not wait for anything.
    pub(crate) fn stage<T>(
        &mut self,
        name: &str,
        run: impl FnOnce() -> Result<(T, String)>,
    ) -> Result<T> {
        self.begin(name);
        let (value, detail) = run()?;
        self.end(detail);
        Ok(value)
    }

    fn close(&mut self, outcome: &str, detail: String) {
        let Some((name, started, since)) = self.open.take() else { return };
        self.stages.push(stage(&name, started, since.elapsed(), outcome, detail));
    }
}

/// Makes the note of a stage.
pub(crate) fn stage(
    name: &str,
    started: Time,
    took: Duration,
    outcome: &str,
    detail: String,
) -> Stage {
    metrics::histogram!("lockstep_pipeline_stage_seconds", "stage" => name.to_owned())
        .record(took.as_secs_f64());
    Stage {
        name: name.to_owned(),
        phase: phase_of(name).to_owned(),
        started,
        micros: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        outcome: outcome.to_owned(),
        detail,
    }
}
