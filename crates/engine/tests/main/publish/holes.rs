//! The holes of the ancestor, each by its number in the design: what must be impossible here.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use model::{DefinitionCommand, Error, Namespace, Query, Terms, Until};
use store::{Doc, Job, PRIMARY, Range, Store, Tx, tables};
use testkit::{Fixture, World, publishing};

fn cached() -> World {
    World::new(Arc::new(Fixture::cached_memory()), "holes")
}

fn version(number: u64) -> String {
    format!("1.{number}.0")
}

/// Publishes versions one after the other while others read; gives what readers saw that was older
/// than what had been effective before they asked.
fn stale_reads(w: &World, rounds: u64) -> u64 {
    let (effective, stale) = (AtomicU64::new(1), AtomicU64::new(0));
    let is_over = AtomicBool::new(false);
    w.publish(&w.document("a", &version(1), "{every: PT5M}"));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !is_over.load(Ordering::SeqCst) {
                    let before = effective.load(Ordering::SeqCst);
                    let seen = w.definition("a").revision;
                    stale.fetch_add(u64::from(seen < before), Ordering::SeqCst);
                }
            });
        }
        for number in 2..=rounds {
            let published = w.publish(&w.document("a", &version(number), "{every: PT5M}"));
            effective.store(published.revision, Ordering::SeqCst);
        }
        is_over.store(true, Ordering::SeqCst);
    });
    stale.into_inner()
}

#[test]
fn h1_a_read_before_the_save_does_not_bring_the_old_back() {
    assert_eq!(stale_reads(&cached(), 40), 0);
}

#[test]
fn h2_a_stale_value_never_gets_a_fresh_token() {
    let w = World::new(Arc::new(Fixture::cached_sqlite()), "holes");
    assert_eq!(stale_reads(&w, 40), 0);
}

#[test]
fn h3_not_found_does_not_survive_the_publish() {
    let w = cached();
    w.create();
    for _ in 0..3 {
        assert!(matches!(w.try_definition("a"), Err(Error::NoSuchDefinition(_))));
        assert!(matches!(w.try_version("a", None), Err(Error::NoSuchDefinition(_))));
    }
    w.publish(&w.document("a", "1.0.0", ""));
    assert_eq!(w.definition("a").revision, 1);
    assert_eq!(w.try_version("a", None).unwrap().version, "1.0.0");
    w.try_retract("a").unwrap();
    for _ in 0..3 {
        assert!(matches!(w.try_version("a", None), Err(Error::NoSuchVersion { .. })));
    }
    w.publish(&w.document("a", "1.0.0", ""));
    assert_eq!(w.try_version("a", None).unwrap().version, "1.0.0");
}

#[test]
fn h5_there_is_no_moment_without_a_published_version() {
    let w = cached();
    w.publish(&w.document("a", "1.1.0", ""));
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            while !is_over.load(Ordering::SeqCst) {
                assert!(w.definition("a").published.is_some());
                w.try_version("a", None).unwrap();
            }
        });
        (2..40).for_each(|number| drop(w.publish(&w.document("a", &version(number), ""))));
        is_over.store(true, Ordering::SeqCst);
        reader.join().unwrap();
    });
}

#[test]
fn h6_two_publishers_leave_one_published_version() {
    let w = cached();
    std::thread::scope(|scope| {
        for number in 1..=16 {
            let w = &w;
            scope.spawn(move || w.publish(&w.document("a", &version(number), "{every: PT5M}")));
        }
    });
    let definition = w.definition("a");
    assert_eq!(definition.revision, 16, "each of them was one change");
    assert_eq!(w.triggers().len(), 1);
    assert_eq!(w.audit(), [""; 0]);
    // With a revision to compare, exactly one of them wins.
    let wins = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for number in 17..=24 {
            let (w, wins) = (&w, &wins);
            scope.spawn(move || {
                let document = w.document("a", &version(number), "");
                match w.change_definition(publishing(&document, Some(16))) {
                    Ok(_) => drop(wins.fetch_add(1, Ordering::SeqCst)),
                    Err(Error::DefinitionConflict { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            });
        }
    });
    assert_eq!(wins.into_inner(), 1);
    assert_eq!(w.definition("a").revision, 17);
}

#[test]
fn h8_there_is_no_moment_without_triggers() {
    let w = cached();
    w.publish(&w.document("a", "1.1.0", "{every: PT5M}"));
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            while !is_over.load(Ordering::SeqCst) {
                assert_eq!(w.triggers().len(), 1);
            }
        });
        for number in 2..40 {
            let schedule = format!("{{every: PT{number}M}}");
            w.publish(&w.document("a", &version(number), &schedule));
        }
        is_over.store(true, Ordering::SeqCst);
        reader.join().unwrap();
    });
}

#[test]
fn h9_triggers_are_never_those_of_another_version() {
    let w = cached();
    std::thread::scope(|scope| {
        for number in 1..=12 {
            let w = &w;
            let schedule = format!("{{every: PT{number}M, name: t{number}}}");
            scope.spawn(move || w.publish(&w.document("a", &version(number), &schedule)));
        }
    });
    let published = w.definition("a").published.unwrap();
    let triggers = w.triggers();
    assert_eq!(triggers.len(), 1);
    assert_eq!(format!("1.{}.0", &triggers[0].name[1..]), published);
    assert_eq!(w.audit(), [""; 0]);
}

#[test]
fn h10_a_reader_of_the_triggers_sees_those_of_the_version_it_sees() {
    let w = cached();
    for number in 1..20 {
        let schedule = format!("{{every: PT5M, name: t{number}}}");
        w.publish(&w.document("a", &version(number), &schedule));
        assert_eq!(w.try_version("a", None).unwrap().version, version(number));
        assert_eq!(w.triggers()[0].name, format!("t{number}"));
    }
}

#[test]
fn h11_a_publish_that_fails_is_not_seen_in_the_cache() {
    let w = cached();
    w.publish(&w.document("a", "1.0.0", "{every: PT5M}"));
    let (before, version) = (w.definition("a"), w.try_version("a", None).unwrap());
    w.try_publish(&w.document("a", "1.0.0", "{every: PT1M}")).unwrap_err();
    w.try_publish("document: {").unwrap_err();
    let draft = DefinitionCommand::SaveDraft { name: "a".to_owned(), source: "new".to_owned() };
    w.write([draft]).unwrap();
    assert_eq!(w.definition("a"), before);
    assert_eq!(w.try_version("a", None).unwrap(), version);
}

#[test]
fn h12_every_operation_is_seen_at_once() {
    let w = cached();
    let seen = || (w.definition("a").published, w.try_version("a", None).map(|it| it.version).ok());
    let both = |version: Option<&str>| (version.map(str::to_owned), version.map(str::to_owned));
    w.publish(&w.document("a", "1.0.0", ""));
    assert_eq!(seen(), both(Some("1.0.0")));
    w.publish(&w.document("a", "1.1.0", ""));
    assert_eq!(seen(), both(Some("1.1.0")));
    w.try_rollback("a", "1.0.0").unwrap();
    assert_eq!(seen(), both(Some("1.0.0")));
    w.try_delete_version("a", "1.1.0").unwrap();
    assert_eq!(seen(), both(Some("1.0.0")));
    w.try_retract("a").unwrap();
    assert_eq!(seen(), both(None));
    w.try_delete_definition("a").unwrap();
    assert!(matches!(w.try_definition("a"), Err(Error::NoSuchDefinition(_))));
}

/// Spoils what a version says, as a disk could.
struct Spoil(std::sync::mpsc::Sender<()>);

impl Job for Spoil {
    fn run(&mut self, tx: &mut dyn Tx) -> model::Result<()> {
        let prefix = Range::prefix([store::Value::Int(1)]);
        let docs = tx.scan(&tables::VERSION, PRIMARY, &prefix, 10)?;
        assert_eq!(docs.len(), 1);
        let spoilt = docs.into_iter().map(|doc| {
            let text = String::from_utf8(doc.body).unwrap();
            Doc { body: text.replace("document:", "doc ument:").into_bytes(), ..doc }
        });
        tx.save(&tables::VERSION, spoilt.collect())
    }

    fn done(self: Box<Self>, outcome: model::Result<()>) {
        outcome.unwrap();
        self.0.send(()).unwrap();
    }
}

#[tokio::test]
async fn h15_retracting_does_not_need_to_read_the_document() {
    use model::Backend as _;
    let store: Arc<dyn Store> = Arc::new(store::Memory::new());
    let clock = Arc::new(testkit::ManualClock::new());
    let engine = engine::Engine::new(store.clone(), clock);
    let namespace = Namespace::new("holes").unwrap();
    let write = |command: DefinitionCommand| model::Write::one(&namespace, command);
    let source = "document: {dsl: '1.0.3', namespace: holes, name: a, version: '1.0.0'}\n\
                  schedule: {every: PT5M}\ndo: [{x: {set: {a: 1}}}]\n";
    engine.write(write(publishing(source, None))).await.unwrap();
    let (sender, spoilt) = std::sync::mpsc::channel();
    store.write(Box::new(Spoil(sender)));
    spoilt.recv().unwrap();
    let (name, base, running) = ("a".to_owned(), None, model::Running::Keep);
    let terms = Terms { until: Until::Settled, ..Terms::default() };
    let delete = DefinitionCommand::Delete { name, base, running, terms };
    engine.write(write(delete)).await.unwrap();
    let query = Query::Definitions(namespace, model::DefinitionQuery::Triggers(None));
    let read = engine.read(query, 0).await.unwrap();
    let none = model::DefinitionAnswer::Triggers(Vec::new());
    assert_eq!(read.answer, model::Answer::Definitions(none));
}

#[test]
fn h16_deleting_a_version_takes_nothing_else() {
    let w = cached();
    for name in ["a", "b"] {
        w.publish(&w.document(name, "1.0.0", ""));
        w.publish(&w.document(name, "1.1.0", "{every: PT5M}"));
    }
    w.try_delete_version("a", "1.0.0").unwrap();
    assert_eq!(w.versions("a"), ["1.1.0"]);
    assert_eq!(w.versions("b"), ["1.1.0", "1.0.0"]);
    assert_eq!(w.triggers().len(), 2);
    assert_eq!(w.audit(), [""; 0]);
}

#[test]
fn h17_publishing_a_sub_workflow_publishes_nothing_else() {
    let w = cached();
    let call = "run: {workflow: {namespace: holes, name: part, version: '1.0.0'}}";
    let consumer = w.document("whole", "1.0.0", "").replace("set: {from: '1.0.0'}", call);
    w.publish(&w.document("part", "1.0.0", ""));
    w.publish(&consumer);
    let (before, runs) = (w.definition("whole"), w.runs(Some("whole")).len());
    for number in 1..=8 {
        w.publish(&w.document("part", &version(number), ""));
    }
    assert_eq!(w.definition("whole"), before);
    assert_eq!(w.runs(Some("whole")).len(), runs);
}
