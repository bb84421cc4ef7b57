//! Callers that do the same thing again and again for a while.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use anyhow::Result;
use tokio::task::JoinSet;

/// What one caller does again and again.
pub(super) trait Step: Send + 'static {
    /// Does it once, and gives how many units it was about; 0 says that nothing is left to do.
    fn step(&mut self) -> impl Future<Output = Result<u64>> + Send;
}

/// What callers got done.
#[derive(Debug, Default)]
pub(super) struct Load {
    /// Units.
    units: u64,
    /// How long each step took, in nanoseconds, in order.
    steps: Vec<u64>,
    /// From the start of the first to the end of the last.
    span: Duration,
}

impl Load {
    /// Gives units a second.
    pub(super) fn units_per_second(&self) -> f64 {
        self.units as f64 / self.span.as_secs_f64()
    }

    /// Gives steps a second.
    pub(super) fn steps_per_second(&self) -> f64 {
        self.steps.len() as f64 / self.span.as_secs_f64()
    }

    /// Gives the milliseconds within which a part of the steps was done.
    pub(super) fn millis_at(&self, part: f64) -> f64 {
        millis_at(&self.steps, part)
    }
}

/// Gives the milliseconds that a part of all spans stays within; spans are nanoseconds in order.
pub(super) fn millis_at(spans: &[u64], part: f64) -> f64 {
    let place = (spans.len() as f64 * part).ceil() as usize;
    spans.get(place.saturating_sub(1)).map_or(f64::NAN, |nanos| *nanos as f64 / 1e6)
}

/// Lets all callers do one step that does not count, and then steps for the length of the window.
pub(super) async fn drive<S: Step>(callers: Vec<S>, window: Duration) -> Result<Load> {
    let mut warm = JoinSet::new();
    for mut caller in callers {
        warm.spawn(async move { caller.step().await.map(|_units| caller) });
    }
    let callers = warm.join_all().await;
    let start = Instant::now();
    let mut running = JoinSet::new();
    for caller in callers {
        running.spawn(repeat(caller?, start + window));
    }
    let mut load = Load::default();
    for (part, end) in running.join_all().await.into_iter().collect::<Result<Vec<_>>>()? {
        load.units += part.units;
        load.steps.extend(part.steps);
        load.span = load.span.max(end - start);
    }
    load.steps.sort_unstable();
    Ok(load)
}

async fn repeat<S: Step>(mut caller: S, deadline: Instant) -> Result<(Load, Instant)> {
    let mut load = Load::default();
    let mut before = Instant::now();
    while before < deadline {
        let units = caller.step().await?;
        let after = Instant::now();
        if units == 0 {
            break;
        }
        load.units += units;
        load.steps.push((after - before).as_nanos() as u64);
        before = after;
    }
    Ok((load, before))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Three(u64);

    impl Step for Three {
        async fn step(&mut self) -> Result<u64> {
            self.0 -= u64::from(self.0 > 0);
            Ok(self.0)
        }
    }

    #[tokio::test]
    async fn callers_stop_when_nothing_is_left() {
        let load = drive(vec![Three(4), Three(3)], Duration::from_secs(600)).await.unwrap();
        // The first step of each does not count.
        assert_eq!((load.units, load.steps.len()), (2 + 1 + 1, 3));
    }

    #[test]
    fn percentiles_are_values_that_were_seen() {
        let spans: Vec<u64> = (1..=200).map(|i| i * 1_000_000).collect();
        assert_eq!((millis_at(&spans, 0.5), millis_at(&spans, 0.99)), (100.0, 198.0));
        assert!(millis_at(&[], 0.5).is_nan());
    }
}
