//! The stages of a run, drawn over the time that they took.

use model::{Pipeline, Run, Stage, Time};

/// The stages of a run.
pub(crate) struct Waterfall {
    pub(crate) bars: Vec<Bar>,
    /// From the first beginning to the last end.
    pub(crate) micros: u64,
}

/// A stage: where its bar begins and how long it is, in hundredths of a percent of the whole.
pub(crate) struct Bar {
    pub(crate) number: usize,
    pub(crate) name: String,
    pub(crate) phase: String,
    pub(crate) summary: String,
    pub(crate) outcome: String,
    pub(crate) detail: String,
    pub(crate) micros: u64,
    pub(crate) is_extension: bool,
    /// Whether it is the first of its phase.
    pub(crate) opens_phase: bool,
    left: u64,
    width: u64,
}

/// The least width of a bar that can be seen, in hundredths of a percent.
const WIDTH_MIN: u64 = 60;
const WHOLE: u64 = 10_000;

impl Waterfall {
    /// Lays out the stages that a run went through, and those that it has yet to go through.
    pub(crate) fn of(run: &Run, pipeline: &Pipeline) -> Self {
        let end = |stage: &Stage| Time(stage.started.0.saturating_add(nanos(stage.micros)));
        let last = run.stages.iter().map(end).max().unwrap_or(run.started);
        let first = run.stages.iter().map(|stage| stage.started).min().unwrap_or(run.started);
        let micros = (u64::try_from(last.since(first).as_micros()).unwrap_or(u64::MAX)).max(1);
        let mut bars: Vec<Bar> = Vec::new();
        for stage in &pipeline.stages {
            let done = run.stages.iter().find(|done| done.name == stage.name);
            let begun = done.map_or(0, |done| {
                u64::try_from(done.started.since(first).as_micros()).unwrap_or(0)
            });
            let took = done.map_or(0, |done| done.micros);
            let left = (begun.saturating_mul(WHOLE) / micros).min(WHOLE - WIDTH_MIN);
            let width = (took.saturating_mul(WHOLE) / micros).clamp(WIDTH_MIN, WHOLE - left);
            bars.push(Bar {
                number: bars.len() + 1,
                name: stage.name.clone(),
                opens_phase: bars.last().is_none_or(|before| before.phase != stage.phase),
                phase: stage.phase.clone(),
                summary: stage.summary.clone(),
                outcome: done.map_or_else(String::new, |done| done.outcome.clone()),
                detail: done.map_or_else(String::new, |done| done.detail.clone()),
                micros: took,
                is_extension: stage.is_extension,
                left,
                width: if done.is_some() { width } else { 0 },
            });
        }
        Self { bars, micros }
    }
}

impl Bar {
    pub(crate) fn is_done(&self) -> bool {
        !self.outcome.is_empty()
    }

    /// Gives where the bar begins, as a length of SVG.
    pub(crate) fn x(&self) -> String {
        percent(self.left)
    }

    pub(crate) fn width(&self) -> String {
        percent(self.width)
    }
}

fn percent(hundredths: u64) -> String {
    format!("{}.{:02}%", hundredths / 100, hundredths % 100)
}

fn nanos(micros: u64) -> i64 {
    i64::try_from(micros).unwrap_or(i64::MAX).saturating_mul(1_000)
}

#[cfg(test)]
mod tests {
    use model::PipelineStage;

    use super::*;

    #[test]
    fn bars_stand_where_their_stages_were() {
        let stage = |name: &str, started, micros| Stage {
            name: name.to_owned(),
            phase: "prepare".to_owned(),
            started: Time(started),
            micros,
            outcome: "ok".to_owned(),
            detail: String::new(),
        };
        let run = Run {
            id: 1,
            operation: "publish".to_owned(),
            definitions: vec![],
            actor: String::new(),
            state: "committed".to_owned(),
            epoch: None,
            started: Time(0),
            ended: None,
            error: None,
            fingerprint: String::new(),
            stages: vec![stage("a", 0, 250), stage("b", 250_000, 750)],
            published: vec![],
        };
        let names = ["a", "b", "c"].map(|name| PipelineStage {
            name: name.to_owned(),
            phase: "prepare".to_owned(),
            summary: String::new(),
            is_extension: false,
        });
        let pipeline = Pipeline { fingerprint: String::new(), stages: names.into() };
        let waterfall = Waterfall::of(&run, &pipeline);
        let places: Vec<_> = waterfall.bars.iter().map(|bar| (bar.x(), bar.width())).collect();
        let place = |x: &str, width: &str| (x.to_owned(), width.to_owned());
        assert_eq!(places[0], place("0.00%", "25.00%"));
        assert_eq!(places[1], place("25.00%", "75.00%"));
        assert!(!waterfall.bars[2].is_done());
        assert_eq!(waterfall.micros, 1_000);
    }
}
