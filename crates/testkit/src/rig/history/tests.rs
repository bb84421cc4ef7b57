use std::sync::{Arc, Mutex};

use model::{
    Backend, BoxFuture, Committed, Event, EventBody, Namespace, Query, Read, Result, Revision,
    SpecName, Time, UnitName, Write,
};
use tokio::runtime::{Builder, Runtime};

use super::*;
use crate::{ManualClock, rig::Random};

fn event(revision: Revision, bodies: Vec<EventBody>) -> Event {
    Event { namespace: Namespace::empty(), revision, time: Time(0), bodies }
}

/// A recorded history: a unit is added, changed, deleted and added again, and one client looks on
/// through two nodes.
fn recorded() -> History {
    let spec = SpecName::new("spec").unwrap();
    let unit = || vec![UnitName::new(*b"unit-0").unwrap()];
    let added = || vec![EventBody::UnitsAdded(spec.clone(), unit())];
    let deleted = || vec![EventBody::UnitsDeleted(spec.clone(), unit())];
    let events = vec![
        event(1, vec![EventBody::NamespaceCreated, EventBody::SpecSet(spec.clone())]),
        event(2, added()),
        event(3, added()),
        event(4, deleted()),
        event(5, added()),
    ];
    let wrote = |revision, value| {
        let key = if revision == 1 { Key::Spec } else { Key::Unit(0) };
        Deed::Wrote { revision, keys: vec![(key, value)] }
    };
    let writer = vec![
        wrote(1, Some(10)),
        wrote(2, Some(20)),
        wrote(3, Some(30)),
        wrote(4, None),
        wrote(5, Some(50)),
    ];
    let reader = vec![
        read(0, Found::Value { value: 20, as_of: 2 }),
        read(2, Found::Value { value: 30, as_of: 3 }),
        read(3, Found::Absent),
        read(3, Found::Value { value: 50, as_of: 5 }),
    ];
    History { clients: vec![writer, reader], events: vec![events.clone(), events] }
}

fn read(at_least: Revision, found: Found) -> Deed {
    Deed::Read { key: Key::Unit(0), at_least, found }
}

#[track_caller]
fn finds(change: impl FnOnce(&mut History), says: &str) {
    let mut history = recorded();
    change(&mut history);
    let wrong = check(&history);
    assert!(wrong.len() == 1 && wrong[0].contains(says), "{wrong:?}");
}

#[test]
fn a_right_history_is_right() {
    assert_eq!(check(&recorded()), Vec::<String>::new());
}

#[test]
fn an_answer_below_at_least_is_found() {
    let stale = read(3, Found::Value { value: 20, as_of: 2 });
    finds(|history| history.clients.push(vec![stale]), "20 as of 2 is stale");
}

#[test]
fn an_answer_older_than_one_before_is_found() {
    let older = read(0, Found::Value { value: 20, as_of: 2 });
    finds(|history| history.clients[1].insert(2, older), "older than an answer already given");
}

#[test]
fn an_old_answer_under_a_new_revision_is_found() {
    let renamed = read(0, Found::Value { value: 20, as_of: 3 });
    finds(|history| history.clients.push(vec![renamed]), "20 as of 3, when it was Some(30)");
}

#[test]
fn an_absence_that_ended_is_found() {
    let absent = read(5, Found::Absent);
    finds(|history| history.clients[1].push(absent), "though there always was something");
}

#[test]
fn an_absence_after_what_came_later_is_found() {
    let absent = read(0, Found::Absent);
    finds(|history| history.clients[1].push(absent), "though there always was something");
}

#[test]
fn a_record_that_outlives_its_deletion_is_found() {
    let undead = read(4, Found::Value { value: 30, as_of: 4 });
    finds(|history| history.clients.push(vec![undead]), "30 as of 4, when it was None");
}

#[test]
fn an_answer_from_the_future_is_found() {
    let early = read(0, Found::Value { value: 50, as_of: 6 });
    finds(|history| history.clients.push(vec![early]), "after the end");
}

#[test]
fn a_lost_and_an_unknown_commit_are_found() {
    let forget = |history: &mut History| {
        history.clients[0].remove(2);
        history.clients.truncate(1);
    };
    finds(forget, "revision 3 was written by nobody");
    let lost = Deed::Wrote { revision: 6, keys: vec![(Key::Unit(1), None)] };
    finds(|history| history.clients[0].push(lost), "the history says None");
    let twice = Deed::Wrote { revision: 5, keys: vec![(Key::Unit(0), Some(50))] };
    finds(|history| history.clients[0].push(twice), "two writes were told");
}

#[test]
fn nodes_that_disagree_and_gaps_are_found() {
    finds(|history| drop(history.events[1].pop()), "node 1 shows another history");
    let renumber = |history: &mut History| {
        for events in &mut history.events {
            events[4].revision = 6;
        }
        history.clients[0][4] = Deed::Wrote { revision: 6, keys: vec![(Key::Unit(0), Some(50))] };
        history.clients[1].pop();
    };
    let mut history = recorded();
    renumber(&mut history);
    let wrong = check(&history);
    assert!(wrong[0].contains("6 in place of 5"), "{wrong:?}");
}

/// A node that keeps whatever it once answered, and forgets it when it is asked to write.
struct Forgetful {
    backend: Arc<dyn Backend>,
    kept: Mutex<Vec<(Query, Read)>>,
    /// Whether it looks at `at_least` before it answers from memory.
    is_deaf: bool,
}

impl Forgetful {
    async fn answer(&self, query: Query, at_least: Revision) -> Result<Read> {
        let known = self.kept.lock().unwrap().iter().find(|(key, _)| *key == query).cloned();
        if let Some((_, mut read)) = known {
            if self.is_deaf {
                return Ok(read);
            }
            read.as_of = read.as_of.max(at_least);
            return Ok(read);
        }
        let read = self.backend.read(query.clone(), 0).await?;
        self.kept.lock().unwrap().push((query, read.clone()));
        Ok(read)
    }
}

impl Backend for Forgetful {
    fn write(&self, write: Write) -> BoxFuture<'_, Result<Committed>> {
        self.kept.lock().unwrap().clear();
        self.backend.write(write)
    }

    fn read(&self, query: Query, at_least: Revision) -> BoxFuture<'_, Result<Read>> {
        Box::pin(self.answer(query, at_least))
    }

    fn events(
        &self,
        namespace: &Namespace,
        after: Revision,
        limit: u16,
    ) -> BoxFuture<'_, Result<Vec<Event>>> {
        self.backend.events(namespace, after, limit)
    }
}

/// Nodes of this process.
struct Inside {
    nodes: Vec<Arc<dyn Backend>>,
    random: Random,
    runtime: Runtime,
}

impl Inside {
    fn any(&mut self) -> Arc<dyn Backend> {
        self.random.pick(&self.nodes).clone()
    }
}

impl Door for Inside {
    fn write(&mut self, write: &Write) -> Result<Committed> {
        let node = self.any();
        self.runtime.block_on(node.write(write.clone()))
    }

    fn read(&mut self, query: &Query, at_least: Revision) -> Result<Read> {
        let node = self.any();
        self.runtime.block_on(node.read(query.clone(), at_least))
    }

    fn events(&mut self, node: usize, namespace: &Namespace) -> Result<Vec<Event>> {
        self.runtime.block_on(self.nodes[node].events(namespace, 0, 1_000))
    }
}

/// Plays one client on two nodes over one store, and checks what it was told.
fn played(wrap: impl Fn(Arc<dyn Backend>) -> Arc<dyn Backend>) -> Vec<String> {
    let store = Arc::new(store::Memory::new());
    let engine = engine::Engine::new(store, Arc::new(ManualClock::new()));
    let nodes = vec![wrap(engine.clone()), wrap(engine)];
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let mut door = Inside { nodes, random: Random::new(7), runtime };
    let namespace = Namespace::new("history").unwrap();
    let deeds = play(&mut door, &namespace, 0, 500, &mut Random::new(8)).unwrap();
    assert_eq!(deeds.len(), 500);
    let events: Vec<_> = (0..2).map(|node| door.events(node, &namespace).unwrap()).collect();
    check(&History { clients: vec![deeds], events })
}

#[test]
fn nodes_without_a_cache_are_right() {
    assert_eq!(played(|engine| engine), Vec::<String>::new());
}

#[test]
fn nodes_with_a_naive_cache_are_found_out() {
    let naive = |is_deaf| {
        move |backend| -> Arc<dyn Backend> {
            Arc::new(Forgetful { backend, kept: Mutex::default(), is_deaf })
        }
    };
    let found = |is_deaf, says: &str| {
        let wrong = played(naive(is_deaf));
        assert!(wrong.iter().any(|wrong| wrong.contains(says)), "{wrong:?}");
    };
    found(true, "is stale");
    found(false, "when it was");
}
