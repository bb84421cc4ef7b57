//! Drives the backends and the oracle side by side.

use std::{cell::Cell, collections::BTreeSet, sync::Arc};

use model::{
    Answer, AttemptRef, Command, Committed, Error, EventBody, Query, QueueCommand, RecordKey,
    Reply, Result, Write,
};
use proptest::test_runner::TestCaseResult;
use testkit::{Fixture, World, absent, all, names_of, oracle::Oracle};

use super::steps::{Step, lock_paths};

/// The backends, which are kept for many cases.
pub(crate) struct Drive {
    backends: Vec<Arc<Fixture>>,
    cases: Cell<u32>,
}

impl Drive {
    pub(crate) fn new() -> Self {
        let backends = [Fixture::memory(), Fixture::sqlite(), Fixture::cached_memory()];
        let backends = backends.into_iter().map(Arc::new).collect();
        Self { backends, cases: Cell::new(0) }
    }

    /// Plays one case on each backend, in a namespace of its own.
    pub(crate) fn case(&self, steps: &[Step]) -> TestCaseResult {
        self.cases.set(self.cases.get() + 1);
        for backend in &self.backends {
            let world = World::new(backend.clone(), &format!("case {}", self.cases.get()));
            let oracle = Oracle::new(world.now());
            let mut side =
                Side { world, oracle, past: Vec::new(), keyed: None, revision: 0, writes: 0 };
            for step in steps {
                side.step(step);
                side.compare();
            }
            side.compare_closely();
            let _destroyed_already = side.world.destroy();
        }
        Ok(())
    }
}

/// One backend with the oracle that follows it.
struct Side {
    world: World,
    oracle: Oracle,
    /// All attempts there ever were.
    past: Vec<AttemptRef>,
    /// The last write with an idempotency key, and its answer.
    keyed: Option<(Write, Committed)>,
    revision: u64,
    writes: u32,
}

impl Side {
    fn step(&mut self, step: &Step) {
        match step {
            Step::Advance(span) => {
                self.world.advance(*span);
                self.oracle.now = self.world.now();
            }
            Step::Restart => self.world.restart(),
            Step::Repeat => {
                if let Some((write, answer)) = &self.keyed {
                    assert_eq!(self.world.send(write.clone()).as_ref(), Ok(answer));
                }
            }
            Step::Look(spec, filter) => {
                if self.world.try_spec(model::SpecRef { name: spec.clone(), id: None }).is_ok() {
                    let found = self.world.units(spec.as_str(), filter.clone());
                    let found: Vec<_> = found.into_iter().map(|unit| unit.name).collect();
                    assert_eq!(found, self.oracle.select(spec, filter));
                }
            }
            Step::Write { drafts, keyed } => {
                let now = self.world.now();
                let commands = drafts.iter().map(|draft| draft.command(now, &self.past));
                self.write(&commands.collect::<Vec<_>>(), *keyed);
            }
        }
    }

    fn write(&mut self, commands: &[QueueCommand], keyed: bool) {
        let mut write = self.world.write_of(commands.iter().cloned().map(Command::from));
        self.writes += 1;
        write.request_id = keyed.then(|| format!("{} {}", self.world.namespace(), self.writes));
        self.oracle.settle();
        let before = self.oracle.clone();
        let answer = self.world.send(write.clone());
        let bodies = answer.as_ref().map_or(&[][..], |committed| &committed.events[..]);
        let chosen = bodies.iter().filter_map(|body| match body {
            EventBody::UnitsClaimed(spec, units) => Some((spec.clone(), units.clone())),
            _ => None,
        });
        let expected = self.oracle.write(commands, chosen.collect());
        let found = answer.as_ref().map(|committed| committed.replies.clone());
        let found = found.map_err(Clone::clone);
        assert_eq!(plain(commands, found), plain(commands, expected), "{commands:?}");
        let Ok(committed) = answer else { return };
        self.check_events(&before, &committed);
        // The key of claims that got nothing and changed nothing is free for another look.
        let effect = !committed.events.is_empty()
            || !commands.iter().all(|command| matches!(command, QueueCommand::Claim(_)));
        if write.request_id.is_some() && self.oracle.exists && effect {
            self.keyed = Some((write, committed));
        }
    }

    /// Sees that the events of a write name every record that has changed.
    fn check_events(&mut self, before: &Oracle, committed: &Committed) {
        let mut touched = BTreeSet::new();
        committed.events.iter().for_each(|body| {
            body.touched(|key| {
                touched.insert(key);
            });
        });
        for changed in self.oracle.changed_since(before) {
            let covers = match &changed {
                RecordKey::Spec(spec) | RecordKey::Unit(spec, _) => {
                    Some(RecordKey::SpecAll(spec.clone()))
                }
                _ => None,
            };
            let told = [Some(changed.clone()), Some(RecordKey::Namespace), covers];
            let told = told.iter().flatten().any(|key| touched.contains(key));
            assert!(told, "{changed:?} has changed, but the events say {:?}", committed.events);
        }
    }

    /// Sees that all records are as the oracle says.
    fn compare(&mut self) {
        self.oracle.settle();
        let Side { world, oracle, .. } = self;
        let namespace = world.read(Query::Namespace(world.namespace().clone()));
        assert_eq!(!absent(&namespace), oracle.exists, "{namespace:?}");
        let Ok(read) = namespace else { return };
        assert!(read.as_of >= self.revision, "revisions only grow");
        self.revision = read.as_of;
        assert_eq!(world.specs(), oracle.specs());
        for spec in oracle.specs() {
            assert_eq!(world.units(spec.name.as_str(), all()), oracle.units(&spec.name));
        }
        assert_eq!(world.workers(), oracle.workers());
        for worker in oracle.workers() {
            assert_eq!(world.all_of(worker.name.as_str()), oracle.attempts_of(&worker.name));
        }
        let new: Vec<_> =
            oracle.attempts().into_iter().filter(|attempt| !self.past.contains(attempt)).collect();
        self.past.extend(new);
    }

    /// Asks in every other way there is.
    fn compare_closely(&self) {
        let Self { world, oracle, past, .. } = self;
        if !oracle.exists {
            return;
        }
        let mut rows = Vec::new();
        for spec in oracle.specs() {
            let name = spec.name.as_str();
            assert_eq!(world.spec(name), spec);
            for status in model::UnitStatus::ALL {
                let filter = testkit::in_status([status]);
                let names = names_of(&world.units(name, filter));
                let row = (name.to_owned(), status, names.len() as u64);
                assert_eq!(row.2, spec.counts.of(status));
                rows.extend((row.2 > 0).then_some(row));
            }
            for unit in oracle.units(&spec.name) {
                assert_eq!(world.unit(name, unit.name.as_bytes()), unit);
            }
        }
        rows.sort();
        assert_eq!(world.summary(None), rows);
        for worker in oracle.workers() {
            let name = worker.name.as_str();
            assert_eq!(world.worker(name), worker);
            let pending =
                |attempt: &model::Attempt| attempt.status == model::AttemptStatus::Pending;
            let of = |name| oracle.attempts_of(name).into_iter().filter(pending);
            assert_eq!(world.active_of(name), of(&worker.name).collect::<Vec<_>>());
            let mut children: Vec<_> = worker.children.iter().flat_map(of).collect();
            children.sort_by_key(|attempt| attempt.id);
            assert_eq!(world.children_of(name), children);
        }
        let paths = lock_paths();
        let owners = paths.iter().map(|path| oracle.lock_owner(path).map(str::to_owned)).collect();
        let asked = Query::Locks(world.namespace().clone(), paths);
        assert_eq!(world.ask(asked).unwrap(), Answer::Locks(owners));
        let present = oracle.attempts();
        for attempt in past {
            assert_eq!(world.try_attempt(attempt.clone()).is_ok(), present.contains(attempt));
        }
        let revisions: Vec<_> = world.events_after(0).iter().map(|event| event.revision).collect();
        assert_eq!(revisions, (1..=world.revision()).collect::<Vec<_>>());
    }
}

/// Makes answers comparable: errors as their codes, and nothing that the oracle does not know.
fn plain(
    commands: &[QueueCommand],
    answer: Result<Vec<Reply>>,
) -> Result<Vec<Reply>, &'static str> {
    let mut replies = answer.map_err(|error| code(&error))?;
    for (command, reply) in commands.iter().zip(&mut replies) {
        match (command, reply) {
            (QueueCommand::CreateNamespace, Reply::Id(id)) => *id = 0,
            (_, Reply::Changed(outcomes)) => {
                for error in outcomes.iter_mut().filter_map(|outcome| outcome.as_mut().err()) {
                    *error = Error::Internal(code(error).to_owned());
                }
            }
            _ => {}
        }
    }
    Ok(replies)
}

fn code(error: &Error) -> &'static str {
    if absent::<()>(&Err(error.clone())) { "absent" } else { error.code().code }
}
