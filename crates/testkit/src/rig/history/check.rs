//! The checker: it knows nothing of caches or nodes, only of revisions.

use std::collections::BTreeMap;

use model::{EventBody, Revision};

use super::{Deed, Found, History, Key, State};

/// Gives what should not be in a history.
pub fn check(history: &History) -> Vec<String> {
    let mut checker = Checker::default();
    checker.events(history);
    for deed in history.clients.iter().flatten() {
        if let Deed::Wrote { revision, keys } = deed {
            checker.write(*revision, keys);
        }
    }
    for revision in 1..=checker.last {
        if !checker.written.contains_key(&revision) {
            checker.wrong.push(format!("revision {revision} was written by nobody"));
        }
    }
    for (client, deeds) in history.clients.iter().enumerate() {
        checker.reads(client, deeds);
    }
    checker.wrong
}

#[derive(Default)]
struct Checker {
    /// The newest revision.
    last: Revision,
    /// What events say was touched, by revision.
    touched: BTreeMap<Revision, Vec<EventBody>>,
    written: BTreeMap<Revision, ()>,
    /// What each key was from a revision on.
    states: BTreeMap<Key, BTreeMap<Revision, Option<u64>>>,
    wrong: Vec<String>,
}

impl Checker {
    /// Every node shows the same events, and they go 1, 2, 3 ….
    fn events(&mut self, history: &History) {
        let Some(first) = history.events.first() else { return };
        for (node, events) in history.events.iter().enumerate() {
            if events != first {
                self.wrong.push(format!("node {node} shows another history than node 0"));
            }
        }
        for (expected, event) in (1..).zip(first) {
            if event.revision != expected {
                let found = event.revision;
                self.wrong.push(format!("the history has {found} in place of {expected}"));
            }
            self.touched.insert(event.revision, event.bodies.clone());
        }
        self.last = first.last().map_or(0, |event| event.revision);
    }

    /// What was acknowledged is in the history, once.
    fn write(&mut self, revision: Revision, keys: &[State]) {
        if self.written.insert(revision, ()).is_some() {
            self.wrong.push(format!("two writes were told that they are revision {revision}"));
        }
        let bodies = self.touched.get(&revision);
        for (key, value) in keys {
            // A unit that was not there is deleted without a word.
            let is_silent = value.is_none() && bodies.is_some();
            if !is_silent
                && !bodies.is_some_and(|bodies| bodies.iter().any(|body| names(body, *key)))
            {
                let what =
                    format!("{key:?} was written at {revision}, the history says {bodies:?}");
                self.wrong.push(what);
            }
            self.states.entry(*key).or_default().insert(revision, *value);
        }
    }

    /// Each answer is right, new enough, and no older than what the client was told before.
    fn reads(&mut self, client: usize, deeds: &[Deed]) {
        let mut seen: BTreeMap<Key, Revision> = BTreeMap::new();
        for deed in deeds {
            let Deed::Read { key, at_least, found } = deed else { continue };
            let before = seen.get(key).copied().unwrap_or(0);
            let wrong = match *found {
                Found::Value { value, as_of } => {
                    seen.insert(*key, before.max(as_of));
                    self.value(*key, value, as_of, (*at_least, before))
                }
                Found::Absent => match self.absent_since(*key, before.max(*at_least)) {
                    Some(since) => {
                        seen.insert(*key, since);
                        None
                    }
                    None => Some("nothing, though there always was something".to_owned()),
                },
            };
            if let Some(wrong) = wrong {
                self.wrong.push(format!(
                    "client {client} read {key:?} with at_least {at_least}, having seen it at \
                     {before}: {wrong}"
                ));
            }
        }
    }

    fn value(
        &self,
        key: Key,
        value: u64,
        as_of: Revision,
        (at_least, before): (Revision, Revision),
    ) -> Option<String> {
        let told = format!("{value} as of {as_of}");
        if as_of < at_least {
            return Some(format!("{told} is stale"));
        }
        if as_of < before {
            return Some(format!("{told} is older than an answer already given"));
        }
        if as_of > self.last {
            return Some(format!("{told} comes from after the end"));
        }
        let state = self.state(key, as_of);
        (state != Some(value)).then(|| format!("{told}, when it was {state:?}"))
    }

    fn state(&self, key: Key, revision: Revision) -> Option<u64> {
        let states = self.states.get(&key)?;
        states.range(..=revision).next_back().and_then(|(_, value)| *value)
    }

    /// Gives the first revision, from one on, at which a key was absent.
    fn absent_since(&self, key: Key, from: Revision) -> Option<Revision> {
        if self.state(key, from).is_none() {
            return Some(from);
        }
        let mut later = self.states.get(&key)?.range(from..);
        later.find(|(_, value)| value.is_none()).map(|(revision, _)| *revision)
    }
}

fn names(body: &EventBody, key: Key) -> bool {
    let mut is_named = false;
    body.touched(|record| {
        is_named |= match (&record, key) {
            (model::RecordKey::Spec(_), Key::Spec) => true,
            (model::RecordKey::SpecAll(_), Key::Spec | Key::Unit(_)) => true,
            (model::RecordKey::Unit(_, name), Key::Unit(number)) => {
                name.to_string() == super::client::unit(number)
            }
            (model::RecordKey::Worker(_), Key::Worker) => true,
            _ => false,
        };
    });
    is_named
}
