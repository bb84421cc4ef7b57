//! The auditor: holds what the store says against what the ledger says.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use model::{Counts, Event, EventBody, Unit, UnitStatus};

use super::ledger::Entry;

/// What the store says in the end.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// All units of the spec.
    pub units: Vec<Unit>,
    /// The units by status, as the spec counts them.
    pub counts: Counts,
    /// The history as somebody saw it who followed it all along.
    pub followed: Vec<Event>,
    /// As much of the history as the store still has.
    pub kept: Vec<Event>,
}

/// The outcome of an audit.
#[derive(Clone, Debug, Default)]
pub struct Audit {
    /// Adds that were acknowledged.
    pub adds: usize,
    /// Adds that were never answered.
    pub adds_unknown: usize,
    /// Units that the store has.
    pub units: usize,
    /// Finishes that were acknowledged.
    pub finishes: usize,
    /// Finishes that were refused, since another attempt had the unit.
    pub refused: usize,
    /// Commits in the history.
    pub commits: usize,
    /// What should not be.
    pub violations: Vec<String>,
}

/// What the ledger says of one unit.
#[derive(Default)]
struct Noted {
    asked: BTreeSet<u64>,
    acked: BTreeSet<u64>,
    refused: BTreeSet<u64>,
}

/// What the history says of one unit.
#[derive(Default)]
struct Told {
    added: usize,
    claimed: usize,
    finished: Vec<u64>,
}

/// Audits a run.
pub fn audit(entries: &[Entry], seen: &Seen) -> Audit {
    let mut audit = Audit { units: seen.units.len(), ..Audit::default() };
    audit.adds(entries, seen);
    let told = audit.history(seen);
    let noted = audit.attempts(entries);
    audit.units(seen, &noted, &told);
    audit.counts(seen);
    audit
}

impl Audit {
    fn violation(&mut self, what: impl Into<String>) {
        self.violations.push(what.into());
    }

    /// Acknowledged adds are there, unknown ones as a whole or not at all, and nothing else is.
    fn adds(&mut self, entries: &[Entry], seen: &Seen) {
        let mut present: BTreeSet<String> =
            seen.units.iter().map(|unit| unit.name.to_string()).collect();
        let acked: BTreeSet<&str> = entries.iter().filter_map(acked_add).collect();
        self.adds = acked.len();
        for entry in entries {
            let Entry::AddAsked { call, units } = entry else { continue };
            let here = units.iter().filter(|unit| present.remove(*unit)).count();
            let all = units.len();
            if acked.contains(call.as_str()) {
                if here < all {
                    self.violation(format!(
                        "{call} was acknowledged: {} of {all} lost",
                        all - here
                    ));
                }
            } else {
                self.adds_unknown += 1;
                if here > 0 && here < all {
                    self.violation(format!("{call} is there in part: {here} of {all}"));
                }
            }
        }
        for unit in present {
            self.violation(format!("{unit} is there, but nobody added it"));
        }
    }

    /// The history goes 1, 2, 3 …, and what was once seen of it stays.
    fn history(&mut self, seen: &Seen) -> BTreeMap<String, Told> {
        self.commits = seen.followed.len();
        let mut told: BTreeMap<String, Told> = BTreeMap::new();
        for (expected, event) in (1..).zip(&seen.followed) {
            if event.revision != expected {
                let found = event.revision;
                self.violation(format!("the history has revision {found} in place of {expected}"));
                break;
            }
            event.bodies.iter().for_each(|body| tell(&mut told, body));
        }
        let start = seen.followed.len().saturating_sub(seen.kept.len());
        if !seen.followed.iter().skip(start).eq(&seen.kept) {
            self.violation("the history is not what it was when it was followed");
        }
        told
    }

    /// Every attempt has one worker, and every refusal its one reason.
    fn attempts(&mut self, entries: &[Entry]) -> BTreeMap<String, Noted> {
        let mut noted: BTreeMap<String, Noted> = BTreeMap::new();
        let mut holders: BTreeMap<u64, (&str, &str)> = BTreeMap::new();
        for entry in entries {
            match entry {
                Entry::Claimed { unit, attempt, worker } => {
                    let holder = (unit.as_str(), worker.as_str());
                    let first = *holders.entry(*attempt).or_insert(holder);
                    if first != holder {
                        self.violation(format!("attempt {attempt} is {first:?} and {holder:?}"));
                    }
                }
                Entry::FinishAsked { unit, attempt } => {
                    noted.entry(unit.clone()).or_default().asked.insert(*attempt);
                }
                Entry::FinishAcked { unit, attempt } => {
                    self.finishes += 1;
                    noted.entry(unit.clone()).or_default().acked.insert(*attempt);
                }
                Entry::FinishRefused { unit, attempt, code } => {
                    self.refused += 1;
                    noted.entry(unit.clone()).or_default().refused.insert(*attempt);
                    if code != "lost_lease" && code != "ErrLostLease" {
                        self.violation(format!("{unit}: finish {attempt} was refused for {code}"));
                    }
                }
                Entry::Surprise { what } => self.violation(what.clone()),
                Entry::AddAsked { .. } | Entry::AddAcked { .. } => {}
            }
        }
        noted
    }

    /// Every unit was added once and finished once, by an attempt that asked for it; and whatever
    /// was acknowledged is what happened.
    fn units(
        &mut self,
        seen: &Seen,
        noted: &BTreeMap<String, Noted>,
        told: &BTreeMap<String, Told>,
    ) {
        let nothing = (Noted::default(), Told::default());
        for unit in &seen.units {
            let name = unit.name.to_string();
            let noted = noted.get(&name).unwrap_or(&nothing.0);
            let told = told.get(&name).unwrap_or(&nothing.1);
            if unit.status != UnitStatus::Finished {
                self.violation(format!("{name} is stuck: it is {}", unit.status.as_str()));
            }
            if told.added != 1 {
                self.violation(format!("{name} was added {} times", told.added));
            }
            if told.claimed as u64 != unit.attempts {
                let (claims, attempts) = (told.claimed, unit.attempts);
                self.violation(format!("{name} has {attempts} attempts and {claims} claims"));
            }
            if told.finished.len() != 1 || noted.acked.len() > 1 {
                let (told, acked) = (&told.finished, &noted.acked);
                self.violation(format!("{name} was finished by {told:?}, acknowledged: {acked:?}"));
            }
            self.end(unit, &name, noted, told);
        }
        for (name, noted) in noted {
            if !noted.acked.is_empty() && !told.contains_key(name) {
                self.violation(format!("{name} was finished, and nothing is known of it"));
            }
        }
    }

    /// The end of a unit is the one that was asked for, with its data.
    fn end(&mut self, unit: &Unit, name: &str, noted: &Noted, told: &Told) {
        let Some(by) = told.finished.first() else { return };
        if !noted.asked.contains(by) {
            self.violation(format!("{name} was finished by {by}, which never asked"));
        }
        if noted.refused.contains(by) {
            self.violation(format!("{name} was finished by {by}, which was refused"));
        }
        if noted.acked.iter().any(|acked| acked != by) {
            self.violation(format!("{name} was finished by {by}, not by {:?}", noted.acked));
        }
        let active = unit.active.as_ref().map(|active| active.id);
        if active != Some(*by) {
            self.violation(format!("{name} was finished by {by}, but shows {active:?}"));
        }
        let expected = serde_json::json!({"name": name, "attempt": by});
        let shown = model::data_to_json(&unit.data);
        if shown != expected {
            self.violation(format!("{name} has the data {shown}, not {expected}"));
        }
    }

    /// What the spec counts is what there is, and all of it has ended.
    fn counts(&mut self, seen: &Seen) {
        let mut counts = Counts::default();
        for unit in &seen.units {
            *counts.of_mut(unit.status) += 1;
        }
        if counts != seen.counts {
            self.violation(format!("the spec counts {:?}, there are {counts:?}", seen.counts));
        }
    }
}

fn acked_add(entry: &Entry) -> Option<&str> {
    match entry {
        Entry::AddAcked { call } => Some(call),
        _ => None,
    }
}

fn tell(told: &mut BTreeMap<String, Told>, body: &EventBody) {
    match body {
        EventBody::UnitsAdded(_, units) => {
            for unit in units {
                told.entry(unit.to_string()).or_default().added += 1;
            }
        }
        EventBody::UnitsClaimed(_, units) => {
            for unit in units {
                told.entry(unit.to_string()).or_default().claimed += 1;
            }
        }
        EventBody::UnitFinished(_, unit, attempt) => {
            told.entry(unit.to_string()).or_default().finished.push(*attempt);
        }
        EventBody::NamespaceCreated
        | EventBody::NamespaceDestroyed
        | EventBody::SpecSet(_)
        | EventBody::SpecDestroyed(_)
        | EventBody::UnitsChanged(..)
        | EventBody::UnitsDeleted(..)
        | EventBody::LeaseRenewed(..)
        | EventBody::UnitReleased(..)
        | EventBody::UnitFailed(..)
        | EventBody::UnitsReady(..)
        | EventBody::WorkerChanged(_)
        | EventBody::LocksChanged
        | EventBody::DefinitionsChanged(_)
        | EventBody::RunChanged(_)
        | EventBody::InstancesChanged(_)
        | EventBody::EventsReceived(..)
        | EventBody::MailChanged(_)
        | EventBody::BlobChanged(_)
        | EventBody::UserChanged(_)
        | EventBody::SecretChanged(_)
        | EventBody::TokenChanged(_) => {}
    }
}

impl fmt::Display for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { adds, adds_unknown, units, finishes, refused, commits, violations } = self;
        write!(
            f,
            "{adds} adds acknowledged and {adds_unknown} unknown, {units} units, {finishes} \
             finishes acknowledged and {refused} refused, {commits} commits: {} violations",
            violations.len()
        )?;
        for violation in violations.iter().take(20) {
            write!(f, "\n  {violation}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
