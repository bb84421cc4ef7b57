//! Choosing the spec that a claim takes units from.

use model::{Claim, Namespace, Result, Revision, SpecName, Time};
use store::{PRIMARY, Range, Tx, TxExt as _, Value};

use crate::rows::{NamespaceRow, SpecRow};

/// Weights above this count as this.
const WEIGHT_MAX: i64 = 1 << 20;

/// What choosing needs to know of a spec that is able to work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its priority.
    pub priority: i64,
    /// Its weight.
    pub weight: i64,
    /// Its pending units.
    pub pending: u64,
}

/// Chooses among specs of the highest priority, at random by weight and by how far each is behind
/// its share of pending units. Gives the position of the chosen one.
///
/// The probability is proportional to `weight × (all pending + 1) − all weights × pending`.
pub fn choose(candidates: &[Candidate], draw: u64) -> Option<usize> {
    let priority = candidates.iter().map(|candidate| candidate.priority).max()?;
    let best = || candidates.iter().enumerate().filter(move |(_, c)| c.priority == priority);
    let weights: i128 = best().map(|(_, c)| i128::from(c.weight)).sum();
    let pending: i128 = best().map(|(_, c)| i128::from(c.pending)).sum();
    let score = |c: &Candidate| {
        (i128::from(c.weight) * (pending + 1) - weights * i128::from(c.pending)).max(0)
    };
    let total: i128 = best().map(|(_, c)| score(c)).sum();
    if total <= 0 {
        return None;
    }
    // With weights below WEIGHT_MAX the total stays far below 2⁶⁴, so the bias of the remainder is
    // out of sight.
    let mut point = i128::from(draw) % total;
    for (position, candidate) in best() {
        point -= score(candidate);
        if point < 0 {
            return Some(position);
        }
    }
    None
}

/// A spec that has work for a claim, now or at some time.
#[derive(Clone, Debug, PartialEq)]
pub struct Ready {
    /// The spec.
    pub spec: SpecName,
    /// Its runtime.
    pub runtime: String,
    /// The memory that a worker must have, in GB.
    pub min_memory_gb: f64,
    /// How many units a claim could take.
    pub count: u64,
    /// From when on; none is now.
    pub at: Option<Time>,
}

impl Ready {
    /// Tells whether a claim asks for work of this spec.
    pub fn suits(&self, claim: &Claim) -> bool {
        (claim.specs.is_empty() || claim.specs.contains(&self.spec))
            && (claim.runtimes.is_empty() || claim.runtimes.contains(&self.runtime))
            && claim.available_gb.is_none_or(|gb| gb <= 0.0 || self.min_memory_gb <= gb)
    }
}

/// Gives the namespaces whose revision has moved on from the given one, with their revision and
/// what work their specs have for claims.
pub fn ready_since(
    tx: &mut dyn Tx,
    positions: &[(Namespace, Revision)],
    now: Time,
) -> Result<Vec<(Namespace, Revision, Vec<Ready>)>> {
    let keys: Vec<_> =
        positions.iter().map(|(name, _)| vec![Value::Text(name.as_str().into())]).collect();
    let rows: Vec<Option<NamespaceRow>> = tx.get_all(&keys)?;
    let mut found = Vec::new();
    for ((name, seen), row) in positions.iter().zip(rows) {
        let Some(NamespaceRow { live: Some(live), revision, .. }) = row else { continue };
        if revision == *seen {
            continue;
        }
        let specs: Vec<SpecRow> = tx.find(PRIMARY, &Range::prefix([Value::id(live)]), u32::MAX)?;
        let ready = specs.iter().filter_map(|spec| spec.ready(now)).collect();
        found.push((name.clone(), revision, ready));
    }
    Ok(found)
}

impl SpecRow {
    /// Says what work the spec has for claims.
    pub(crate) fn ready(&self, now: Time) -> Option<Ready> {
        let meta = &self.meta;
        let room = match meta.max_running {
            0 => u64::MAX,
            most => most.saturating_sub(self.counts.pending),
        };
        let idle = self.counts.available == 0 && self.counts.pending == 0;
        let continuous = meta.continuous && idle;
        let count = if continuous { 1 } else { self.counts.available.min(room) };
        (count > 0 && !meta.paused && meta.weight > 0).then(|| Ready {
            spec: self.name.clone(),
            runtime: meta.runtime.clone(),
            min_memory_gb: meta.min_memory_gb,
            count,
            at: meta.next_continuous.filter(|at| continuous && *at > now),
        })
    }

    /// Tells whether a claim may take work from this spec now.
    pub(crate) fn is_able(&self, claim: &Claim, now: Time) -> bool {
        let meta = &self.meta;
        (claim.specs.is_empty() || claim.specs.contains(&self.name))
            && (claim.runtimes.is_empty() || claim.runtimes.contains(&meta.runtime))
            && !meta.paused
            && meta.weight > 0
            && (meta.max_running == 0 || self.counts.pending < meta.max_running)
            && claim.available_gb.is_none_or(|gb| gb <= 0.0 || meta.min_memory_gb <= gb)
            && (self.counts.available > 0 || self.may_start_continuous(now))
    }

    /// Tells whether a unit may be made up now.
    pub(crate) fn may_start_continuous(&self, now: Time) -> bool {
        self.meta.continuous
            && self.counts.available == 0
            && self.counts.pending == 0
            && self.meta.next_continuous.is_none_or(|next| now >= next)
    }

    pub(crate) fn candidate(&self) -> Candidate {
        let (priority, weight) = (self.meta.priority, self.meta.weight.min(WEIGHT_MAX));
        Candidate { priority, weight, pending: self.counts.pending }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn score_is_zero_for_the_overfull() {
        let c = |weight, pending| Candidate { priority: 0, weight, pending };
        for draw in 0..1_000 {
            let draw = u64::MAX / 1_000 * draw;
            assert_ne!(choose(&[c(1, 0), c(5, 0), c(1, 99)], draw), Some(2));
        }
        assert_eq!(choose(&[], 7), None);
    }
}
