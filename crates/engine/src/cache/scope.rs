//! What the cache knows of one namespace: how far it has heard, and what that made void.

use std::collections::{BTreeSet, HashMap};

use model::{Query, Revision, SpecName};

/// Floors of destroyed specs that one namespace keeps; one more makes them its own floor.
const SPEC_FLOORS_MAX: usize = 256;
/// Commits of one namespace that were heard of before those between.
const AHEAD_MAX: usize = 4_096;

/// What is known of one namespace.
pub(super) struct Scope {
    /// Tells entries and loads of this scope from those of an earlier one that was forgotten.
    pub(super) epoch: u64,
    /// Nothing that was read before this is valid.
    floor: Revision,
    /// The same for all of a spec.
    specs: HashMap<SpecName, Revision>,
    /// Everything up to here was heard of; none until something was read.
    pub(super) applied: Option<Revision>,
    /// What was heard of beyond that.
    ahead: BTreeSet<Revision>,
    /// The newest commit that was heard of.
    pub(super) newest: Revision,
}

impl Scope {
    pub(super) fn new(epoch: u64) -> Self {
        Self {
            epoch,
            floor: 0,
            specs: HashMap::new(),
            applied: None,
            ahead: BTreeSet::new(),
            newest: 0,
        }
    }

    /// Gives the floor of all scopes that cover a key.
    pub(super) fn floor_of(&self, key: &Query) -> Revision {
        if self.specs.is_empty() {
            return self.floor;
        }
        let spec = spec_of(key).and_then(|spec| self.specs.get(spec)).copied();
        self.floor.max(spec.unwrap_or(0))
    }

    /// Starts to follow at a position; what was read before it is not kept.
    pub(super) fn start(&mut self, at: Revision) {
        self.applied = Some(at);
        self.newest = self.newest.max(at);
        self.raise(at);
    }

    pub(super) fn raise(&mut self, at: Revision) {
        self.floor = self.floor.max(at);
        self.specs.retain(|_, floor| *floor > at);
    }

    pub(super) fn raise_spec(&mut self, spec: SpecName, at: Revision) {
        if self.specs.len() >= SPEC_FLOORS_MAX {
            let highest = self.specs.values().copied().max().unwrap_or(0);
            self.raise(highest);
        }
        let floor = self.specs.entry(spec).or_default();
        *floor = at.max(*floor);
    }

    /// Notes a commit that was heard of.
    pub(super) fn advance(&mut self, at: Revision) {
        self.newest = self.newest.max(at);
        let Some(applied) = &mut self.applied else { return self.start(at) };
        if at <= *applied {
            return;
        }
        if at > *applied + 1 {
            // Beyond the bound the history brings it again.
            if self.ahead.len() < AHEAD_MAX {
                self.ahead.insert(at);
            }
            return;
        }
        *applied = at;
        while self.ahead.first().is_some_and(|next| *next <= *applied + 1) {
            *applied = self.ahead.pop_first().map_or(*applied, |next| next.max(*applied));
        }
    }
}

/// Gives the spec that a key belongs to.
pub(super) fn spec_of(key: &Query) -> Option<&SpecName> {
    match key {
        Query::Spec(_, spec) => Some(&spec.name),
        Query::Unit(_, unit) => Some(&unit.spec),
        _ => None,
    }
}
