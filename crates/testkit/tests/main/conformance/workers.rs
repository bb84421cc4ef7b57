//! Workers.

use std::slice::from_ref;

use model::{Answer, AttemptsOf, Data, Error, Page, Query, QueueCommand, UpdateWorker, Worker};
use serde_json::json;
use testkit::{World, absent, data, minutes, request, seconds, worker_name};

cases![
    worker_ancestry,
    worker_adoption,
    worker_metadata,
    worker_attempts,
    deactivate_child,
    updating_creates_and_keeps_the_parent,
    claiming_creates_the_worker,
    the_empty_name_is_a_worker,
    workers_are_listed,
    no_worker_stands_above_itself,
    attempts_are_paged,
];

/// 54. A new worker has no relatives; a parent shows on both sides.
fn worker_ancestry(w: &World) {
    for name in ["parent", "child"] {
        w.create_worker(name);
    }
    assert_eq!(w.worker("child").parent, None);
    assert_eq!(w.children("parent"), [""; 0]);
    w.set_parent("child", Some("parent"));
    assert_eq!(w.worker("child").parent, Some(worker_name("parent")));
    assert_eq!(w.children("parent"), ["child"]);
    assert_eq!(w.worker("parent").parent, None);
    assert_eq!(w.children("child"), [""; 0]);
}

/// 55. Another parent takes the child over.
fn worker_adoption(w: &World) {
    w.set_parent("child", Some("old"));
    w.set_parent("child", Some("new"));
    assert_eq!(w.worker("child").parent, Some(worker_name("new")));
    assert_eq!(w.children("old"), [""; 0]);
    assert_eq!(w.children("new"), ["child"]);
}

/// 56. What a worker says of itself, from its creation through an update to its end and back.
fn worker_metadata(w: &World) {
    let id = w.create_worker("worker");
    let fresh = Worker {
        name: worker_name("worker"),
        id,
        parent: None,
        children: Vec::new(),
        active: true,
        mode: String::new(),
        data: Data::default(),
        expiration: w.now().plus(minutes(15)),
        last_update: w.now(),
    };
    assert_eq!(w.worker("worker"), fresh);
    assert_eq!(w.create_worker("worker"), id, "creating again changes nothing");

    w.advance(seconds(5));
    let update = UpdateWorker {
        worker: worker_name("worker"),
        mode: "run".to_owned(),
        data: data(&json!({"pid": 12, "load": 0.5})),
        expiration: Some(w.now().plus(minutes(1))),
        last_update: Some(w.now()),
    };
    w.try_update_worker(update.clone()).unwrap();
    let updated = Worker {
        mode: "run".to_owned(),
        data: update.data.clone(),
        expiration: w.now().plus(minutes(1)),
        last_update: w.now(),
        ..fresh
    };
    assert_eq!(w.worker("worker"), updated);
    w.deactivate("worker");
    assert_eq!(w.worker("worker"), Worker { active: false, ..updated.clone() });
    w.try_update_worker(update).unwrap();
    assert_eq!(w.worker("worker"), updated);
}

/// 57. The parent sees the attempts of its children.
fn worker_attempts(w: &World) {
    w.set_parent("child", Some("parent"));
    w.plain_spec("spec");
    w.add("spec", ["a", "b"]);
    let claim = || model::Claim { worker: worker_name("child"), ..request() };
    let first = w.claim(claim()).remove(0);
    w.finish(&first).unwrap();
    let second = w.claim(claim()).remove(0);
    assert_eq!(w.active_of("child"), from_ref(&second));
    assert_eq!(w.all_of("child"), [w.attempt(&first), second.clone()]);
    assert_eq!(w.children_of("child"), []);
    assert_eq!(w.active_of("parent"), []);
    assert_eq!(w.all_of("parent"), []);
    assert_eq!(w.children_of("parent"), from_ref(&second));
    w.finish(&second).unwrap();
    assert_eq!(w.children_of("parent"), []);
}

/// 58. A worker with a parent can be deactivated.
fn deactivate_child(w: &World) {
    w.set_parent("child", Some("parent"));
    w.deactivate("child");
    let child = w.worker("child");
    assert!(!child.active);
    assert_eq!(child.parent, Some(worker_name("parent")));
    assert!(w.worker("parent").active);
}

fn updating_creates_and_keeps_the_parent(w: &World) {
    w.update_worker("child", "idle", data(&json!({"a": 1})));
    w.set_parent("child", Some("parent"));
    w.advance(minutes(1));
    w.update_worker("child", "run", Data::default());
    let child = w.worker("child");
    assert_eq!(child.parent, Some(worker_name("parent")));
    assert_eq!((child.mode.as_str(), child.data), ("run", Data::default()));
    assert_eq!(child.last_update, w.now());
    assert_eq!(child.expiration, w.now().plus(minutes(15)));
}

fn claiming_creates_the_worker(w: &World) {
    w.plain_spec("spec");
    w.add("spec", ["a"]);
    assert!(absent(&w.try_worker("worker")));
    let attempt = w.claim_one();
    assert!(w.worker("worker").active);
    assert_eq!(attempt.worker, worker_name("worker"));
}

fn the_empty_name_is_a_worker(w: &World) {
    w.create_worker("");
    assert_eq!(w.worker("").name, worker_name(""));
    w.set_parent("child", Some(""));
    assert_eq!(w.children(""), ["child"]);
}

fn workers_are_listed(w: &World) {
    for name in ["c", "a", "b"] {
        w.create_worker(name);
    }
    w.deactivate("b");
    let page = |after: Option<&str>| {
        let page = Page { after: after.map(worker_name), limit: 2 };
        match w.ask(Query::Workers(w.namespace().clone(), page)) {
            Ok(Answer::Workers(workers)) => workers,
            other => panic!("asking for workers answers {other:?}"),
        }
    };
    assert_eq!(page(None), [w.worker("a"), w.worker("b")]);
    assert_eq!(page(Some("b")), [w.worker("c")]);
}

fn attempts_are_paged(w: &World) {
    for spec in ["destroyed", "kept"] {
        w.plain_spec(spec);
        w.add(spec, ["a", "b", "c"]);
        w.claim_from(&[spec], 3);
    }
    w.destroy_spec("destroyed").unwrap();
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let of = AttemptsOf::WorkerAll(worker_name("worker"));
        let page = Page { after, limit: 2 };
        let page = match w.ask(Query::Attempts(w.namespace().clone(), of, page)) {
            Ok(Answer::Attempts(attempts)) => attempts,
            other => panic!("asking for attempts answers {other:?}"),
        };
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        seen.extend(page);
    }
    assert_eq!(seen.len(), 3, "an empty page is the end");
    assert_eq!(seen, w.all_of("worker"));
}

fn no_worker_stands_above_itself(w: &World) {
    w.set_parent("b", Some("a"));
    w.set_parent("c", Some("b"));
    for parent in ["a", "c"] {
        let (worker, parent) = (worker_name("a"), Some(worker_name(parent)));
        let result = w.done(QueueCommand::SetParent { worker, parent });
        assert!(matches!(&result, Err(Error::BadInput(_))), "{result:?}");
    }
    assert_eq!(w.worker("a").parent, None);
}
