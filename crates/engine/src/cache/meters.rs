//! The numbers of the cache, as `GET /metrics` shows them.

use std::{sync::OnceLock, time::Duration};

use metrics::{Counter, Gauge, counter, gauge};

use super::CacheCounts;

/// The meters, made when they are first needed, which is after the process's recorder is in place.
#[derive(Default)]
pub(super) struct Meters(OnceLock<Made>);

struct Made {
    hits: Counter,
    misses: Counter,
    rejected_fills: Counter,
    joiner_retries: Counter,
    floors: Counter,
    evictions: Counter,
    lag: Gauge,
}

impl Meters {
    /// Counts an answer from memory.
    pub(super) fn hit(&self) {
        self.made().hits.increment(1);
    }

    /// Shows all but the hits, which are counted one by one.
    pub(super) fn show(&self, counts: &CacheCounts) {
        let made = self.made();
        made.misses.absolute(counts.misses);
        made.rejected_fills.absolute(counts.rejected_fills);
        made.joiner_retries.absolute(counts.joiner_retries);
        made.floors.absolute(counts.floors);
        made.evictions.absolute(counts.evictions);
    }

    /// Shows how old the newest commit of others was when it was heard of.
    pub(super) fn lag(&self, lag: Duration) {
        self.made().lag.set(lag.as_secs_f64());
    }

    fn made(&self) -> &Made {
        self.0.get_or_init(|| Made {
            hits: counter!("lockstep_cache_hits_total"),
            misses: counter!("lockstep_cache_misses_total"),
            rejected_fills: counter!("lockstep_cache_rejected_fills_total"),
            joiner_retries: counter!("lockstep_cache_joiner_retries_total"),
            floors: counter!("lockstep_cache_floors_total"),
            evictions: counter!("lockstep_cache_evictions_total"),
            lag: gauge!("lockstep_cache_lag_seconds"),
        })
    }
}
