//! The checker: it knows nothing of nodes or caches, only in which order things were told.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use model::Id;

/// A stretch of time, by one clock for all clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// Before it was asked for.
    pub(super) begun: u64,
    /// After it was answered.
    pub(super) ended: u64,
}

/// Something that a client did and was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    /// A change is effective; what it published, if it published anything.
    Changed { revision: u64, version: Option<u64> },
    /// A read of the definition.
    Read { revision: u64 },
    /// A start, and the version of the instance.
    Started { instance: Id, version: u64 },
    /// A start was refused, since nothing is published.
    Refused,
    /// An event was taken in, and which instances it started.
    Sent { event: u64, started: Vec<Id> },
}

/// All that is known of one history.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    /// What the clients did.
    pub(super) deeds: Vec<(Span, Deed)>,
    /// The instances in the end, each with its version and the event that started it.
    pub(super) instances: BTreeMap<Id, (u64, Option<u64>)>,
    /// What the audit found in the end.
    pub(super) audit: Vec<String>,
}

/// Gives what should not be in a history.
pub(super) fn check(history: &History) -> Vec<String> {
    let mut wrong: Vec<String> =
        history.audit.iter().map(|found| format!("the audit found {found}")).collect();
    let changes = changes(history, &mut wrong);
    let floor = |time: u64| {
        let before = changes.iter().filter(|(span, ..)| span.ended < time);
        before.map(|(_, revision, version)| (*revision, *version)).max()
    };
    let published_at = |version: u64| {
        let of = changes.iter().filter(|(_, _, published)| *published == Some(version));
        of.map(|(_, revision, _)| *revision).max()
    };
    let mut stale = |what: String, version: u64, begun: u64| match published_at(version) {
        None => wrong.push(format!("{what} is of version {version}, which nobody published")),
        Some(at) => {
            if let Some((revision, _)) = floor(begun).filter(|(revision, _)| *revision > at) {
                wrong.push(format!(
                    "{what} is of version {version} of revision {at}, although {revision} was \
                     effective"
                ));
            }
        }
    };
    let mut sent: BTreeMap<u64, (u64, BTreeSet<Vec<Id>>)> = BTreeMap::new();
    for (span, deed) in &history.deeds {
        match deed {
            Deed::Started { instance, version } => {
                stale(format!("instance {instance}"), *version, span.begun);
            }
            Deed::Sent { event, started } => {
                let (begun, told) = sent.entry(*event).or_insert((span.begun, BTreeSet::new()));
                *begun = span.begun.min(*begun);
                told.insert(started.clone());
            }
            Deed::Changed { .. } | Deed::Read { .. } | Deed::Refused => {}
        }
    }
    for (event, (begun, told)) in &sent {
        for instance in told.iter().flatten() {
            if let Some((version, _)) = history.instances.get(instance) {
                stale(format!("instance {instance} of event {event}"), *version, *begun);
            }
        }
    }
    reads(history, &changes, &mut wrong);
    events(history, &sent, &mut wrong);
    wrong
}

type Change = (Span, u64, Option<u64>);

/// Gives the changes, of which no two may have the same revision.
fn changes(history: &History, wrong: &mut Vec<String>) -> Vec<Change> {
    let mut seen = BTreeSet::new();
    let mut changes = Vec::new();
    for (span, deed) in &history.deeds {
        if let Deed::Changed { revision, version } = deed {
            if !seen.insert(*revision) {
                wrong.push(format!("two changes were told that they are revision {revision}"));
            }
            changes.push((*span, *revision, *version));
        }
    }
    changes
}

/// Reads are never from before what was effective, and nothing is refused that was there all along.
fn reads(history: &History, changes: &[Change], wrong: &mut Vec<String>) {
    for (span, deed) in &history.deeds {
        let before = changes.iter().filter(|(change, ..)| change.ended < span.begun);
        let Some((_, floor, version)) = before.max_by_key(|(_, revision, _)| *revision) else {
            continue;
        };
        match deed {
            Deed::Read { revision } if revision < floor => {
                wrong.push(format!(
                    "a read gave revision {revision}, although {floor} was effective"
                ));
            }
            Deed::Refused => {
                let meanwhile = changes
                    .iter()
                    .any(|(change, ..)| change.begun < span.ended && change.ended > span.begun);
                if version.is_some() && !meanwhile {
                    wrong.push(format!("a start was refused, although {floor} was published"));
                }
            }
            _ => {}
        }
    }
}

/// An event starts one instance at most, and everybody is told the same of it.
fn events(
    history: &History,
    sent: &BTreeMap<u64, (u64, BTreeSet<Vec<Id>>)>,
    wrong: &mut Vec<String>,
) {
    for (event, (_, told)) in sent {
        if told.len() > 1 || told.iter().any(|started| started.len() > 1) {
            wrong.push(format!("event {event} started {told:?}"));
        }
    }
    let mut fired: BTreeMap<u64, Vec<Id>> = BTreeMap::new();
    for (instance, (_, event)) in &history.instances {
        if let Some(event) = event {
            fired.entry(*event).or_default().push(*instance);
        }
    }
    for (event, instances) in fired.iter().filter(|(_, instances)| instances.len() > 1) {
        wrong.push(format!("the event at {event} has the instances {instances:?}"));
    }
    let told: BTreeSet<Id> = history
        .deeds
        .iter()
        .flat_map(|(_, deed)| match deed {
            Deed::Started { instance, .. } => vec![*instance],
            Deed::Sent { started, .. } => started.clone(),
            Deed::Changed { .. } | Deed::Read { .. } | Deed::Refused => Vec::new(),
        })
        .collect();
    let there: BTreeSet<Id> = history.instances.keys().copied().collect();
    for instance in told.symmetric_difference(&there) {
        wrong.push(format!("instance {instance} is there or was told of, but not both"));
    }
}

/// How much happened.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sums {
    changes: usize,
    reads: usize,
    starts: usize,
    refused: usize,
    fired: usize,
}

impl Sums {
    pub(super) fn add(&mut self, history: &History) {
        for (_, deed) in &history.deeds {
            match deed {
                Deed::Changed { .. } => self.changes += 1,
                Deed::Read { .. } => self.reads += 1,
                Deed::Started { .. } => self.starts += 1,
                Deed::Refused => self.refused += 1,
                Deed::Sent { started, .. } => self.fired += started.len(),
            }
        }
    }

    /// Tells whether enough happened to show anything.
    pub(super) fn is_enough(&self, histories: usize) -> bool {
        let Self { changes, reads, starts, refused, fired } = *self;
        [changes, reads, starts].iter().all(|count| *count >= histories) && refused * fired > 0
    }
}

impl fmt::Display for Sums {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { changes, reads, starts, refused, fired } = self;
        write!(
            f,
            "{changes} changes, {reads} reads, {starts} starts, {refused} refused, {fired} by event"
        )
    }
}

/// A history in which two versions were published and the second was retracted.
fn good() -> History {
    let span = |begun| Span { begun, ended: begun + 1 };
    let deeds = vec![
        (span(0), Deed::Changed { revision: 1, version: Some(1) }),
        (span(2), Deed::Read { revision: 1 }),
        (span(4), Deed::Started { instance: 11, version: 1 }),
        (span(6), Deed::Changed { revision: 2, version: Some(2) }),
        (span(8), Deed::Sent { event: 5, started: vec![12] }),
        (span(10), Deed::Sent { event: 5, started: vec![12] }),
        (span(12), Deed::Changed { revision: 3, version: None }),
        (span(14), Deed::Refused),
        (span(16), Deed::Read { revision: 3 }),
    ];
    let instances = BTreeMap::from([(11, (1, None)), (12, (2, Some(70)))]);
    History { deeds, instances, audit: Vec::new() }
}

#[track_caller]
fn finds(says: &str, spoil: impl FnOnce(&mut History)) {
    let mut history = good();
    spoil(&mut history);
    let wrong = check(&history);
    assert!(wrong.iter().any(|found| found.contains(says)), "{says}: {wrong:?}");
}

#[test]
fn a_good_history_passes() {
    assert_eq!(check(&good()), [""; 0]);
}

#[test]
fn what_is_stale_is_found() {
    finds("a read gave revision 2", |it| it.deeds[8].1 = Deed::Read { revision: 2 });
    finds("instance 13 is of version 1 of revision 1, although 2", |it| {
        it.deeds[4].1 = Deed::Started { instance: 13, version: 1 };
    });
    finds("version 2 of revision 2, although 3", |it| {
        it.deeds[7].1 = Deed::Started { instance: 14, version: 2 };
    });
    finds("which nobody published", |it| {
        it.deeds[2].1 = Deed::Started { instance: 11, version: 9 };
    });
    finds("of event 5 is of version 1", |it| _ = it.instances.insert(12, (1, Some(70))));
}

#[test]
fn what_was_there_is_not_refused() {
    finds("a start was refused, although 1", |it| it.deeds[2].1 = Deed::Refused);
    // Something else may have been so in between.
    let mut history = good();
    history.deeds[7].0 = Span { begun: 7, ended: 20 };
    assert_eq!(check(&history), [""; 0]);
}

#[test]
fn what_came_twice_is_found() {
    finds("two changes", |it| it.deeds[3].1 = Deed::Changed { revision: 1, version: Some(2) });
    finds("event 5 started", |it| {
        it.deeds[5].1 = Deed::Sent { event: 5, started: vec![15] };
        it.instances.insert(15, (2, Some(71)));
    });
    finds("the event at 70 has", |it| _ = it.instances.insert(16, (2, Some(70))));
    finds("instance 17 is there or was told of", |it| _ = it.instances.insert(17, (2, None)));
    finds("the audit found", |it| it.audit.push("something".to_owned()));
}
