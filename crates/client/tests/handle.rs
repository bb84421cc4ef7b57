//! Handles, from a namespace down to an attempt and back.

use std::time::Duration;

use model::{
    AttemptStatus, Claim, Control, Data, Error, Page, UnitChange, UnitFilter, UnitRef, UnitStatus,
    UpdateWorker, WorkerName,
};
use serde_json::json as value;

use crate::support::{json, lockstep, namespace, new_unit, spec, spec_name, unit_name, units};

fn claim(count: u32) -> Claim {
    Claim {
        worker: WorkerName::new("").unwrap(),
        specs: Vec::new(),
        runtimes: Vec::new(),
        count,
        lifetime: None,
        available_gb: None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_namespace_lives_and_dies() {
    let lockstep = lockstep();
    lockstep.create().await.unwrap();
    assert_eq!(lockstep.get().await.unwrap().name, namespace("test"));
    let made = spec(&lockstep, value!({"name": "s"}), &["a", "b"]).await;
    let summary = lockstep.summary().await.unwrap();
    assert_eq!((summary.len(), summary[0].count), (1, 2));
    let names: Vec<_> = lockstep.specs(Page::default()).await.unwrap();
    assert_eq!(names[0].name, spec_name("s"));
    lockstep.destroy().await.unwrap();
    assert!(matches!(made.get().await, Err(Error::NoSuchNamespace(_) | Error::NoSuchWorkSpec(_))));
}

#[tokio::test(start_paused = true)]
async fn a_spec_is_changed_and_destroyed() {
    let lockstep = lockstep();
    assert_eq!(lockstep.set_spec(json(value!({}))).await.unwrap_err(), Error::NoWorkSpecName);
    let spec = spec(&lockstep, value!({"name": "s", "priority": 3}), &["a"]).await;
    spec.change(json(value!({"name": "s", "weight": 7}))).await.unwrap();
    let error = spec.change(json(value!({"name": "other"}))).await.unwrap_err();
    assert_eq!(error, Error::ChangedName);
    let paused = Control { paused: Some(true), ..Control::default() };
    spec.control(paused).await.unwrap();
    let meta = spec.get().await.unwrap().meta;
    assert_eq!((meta.priority, meta.weight, meta.paused), (0, 7, true));
    spec.set_meta(model::SpecMeta { priority: 9, ..meta }).await.unwrap();
    assert_eq!(spec.get().await.unwrap().meta.priority, 9);
    spec.destroy().await.unwrap();
    assert_eq!(spec.get().await.unwrap_err(), Error::NoSuchWorkSpec("s".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn units_are_swept_in_parts() {
    let lockstep = lockstep();
    let spec = spec(&lockstep, value!({"name": "s"}), &[]).await;
    for part in 0..3 {
        let names = (0..1000).map(|n| new_unit(format!("{:04}", part * 1000 + n), Data::default()));
        assert_eq!(spec.add(names.collect()).await.unwrap().len(), 1000);
    }
    let first = |limit| UnitFilter { limit, ..UnitFilter::default() };
    assert_eq!(spec.sweep(first(1500), UnitChange::Priority(1.0)).await.unwrap(), 1500);
    assert_eq!(spec.sweep(first(0), UnitChange::Adjust(1.0)).await.unwrap(), 3000);
    let unit = |name: &str| spec.unit(unit_name(name));
    assert_eq!(unit("1499").get().await.unwrap().meta.priority, 2.0);
    assert_eq!(unit("1500").get().await.unwrap().meta.priority, 1.0);
    assert_eq!(spec.delete_units(first(2500)).await.unwrap(), 2500);
    let (left, _) = spec.units(first(400)).await.unwrap();
    assert_eq!((left.len(), left[0].name.clone()), (400, unit_name("2500")));
    assert_eq!(spec.delete_units(UnitFilter::default()).await.unwrap(), 500);
    assert!(units(&spec).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_unit_is_changed_by_name() {
    let lockstep = lockstep();
    let spec = spec(&lockstep, value!({"name": "s"}), &["a", "b"]).await;
    let unit = lockstep.unit(spec_name("s"), unit_name("a"));
    assert!(unit.set_priority(5.0).await.unwrap());
    assert_eq!(unit.get().await.unwrap().meta.priority, 5.0);
    assert!(unit.set_meta(model::UnitMeta::default()).await.unwrap());
    assert_eq!(unit.get().await.unwrap().meta.priority, 0.0);
    assert!(unit.delete().await.unwrap());
    assert!(!unit.delete().await.unwrap());
    assert_eq!(unit.get().await.unwrap_err(), Error::NoSuchWorkUnit("a".to_owned()));
    assert_eq!(units(&spec).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn attempts_begin_and_end() {
    let lockstep = lockstep();
    let spec = spec(&lockstep, value!({"name": "s"}), &["a", "b", "c", "d"]).await;
    let worker = lockstep.worker(WorkerName::new("w").unwrap());
    let attempts = worker.claim(claim(4), Duration::ZERO).await.unwrap();
    let [a, b, c, d] = attempts.as_slice() else { panic!("{attempts:?}") };
    let handle = |attempt| lockstep.attempt(attempt);
    handle(a).finish(Some(json(value!({"done": true})))).await.unwrap();
    handle(b).fail(None).await.unwrap();
    handle(c).retry(Duration::from_secs(9), None).await.unwrap();
    assert_eq!(worker.active_attempts(Page::default()).await.unwrap().len(), 1);
    handle(d).renew(Duration::from_secs(60), None).await.unwrap();
    handle(d).expire(None).await.unwrap();
    assert_eq!(handle(b).finish(None).await, Ok(()), "success wins over an earlier failure");
    assert_eq!(handle(c).finish(None).await.unwrap_err(), Error::LostLease);
    let mut statuses = Vec::new();
    for attempt in [a, b, c, d] {
        statuses.push(handle(attempt).get().await.unwrap().status);
    }
    use AttemptStatus::{Expired, Finished, Retryable};
    assert_eq!(statuses, [Finished, Finished, Retryable, Expired]);
    spec.unit(unit_name("a")).clear_active().await.unwrap();
    assert_eq!(spec.unit(unit_name("a")).get().await.unwrap().status, UnitStatus::Available);
    assert_eq!(worker.all_attempts(Page::default()).await.unwrap().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn workers_form_a_tree() {
    let lockstep = lockstep();
    spec(&lockstep, value!({"name": "s"}), &["a"]).await;
    let name = |name| WorkerName::new(name).unwrap();
    let (parent, child) = (lockstep.worker(name("parent")), lockstep.worker(name("child")));
    parent.create().await.unwrap();
    child.set_parent(Some(name("parent"))).await.unwrap();
    let unit = UnitRef { spec: spec_name("s"), name: unit_name("a"), id: None };
    let attempt = child.make_attempt(unit, None).await.unwrap();
    assert_eq!(parent.child_attempts(Page::default()).await.unwrap(), [attempt]);
    let update = UpdateWorker {
        worker: name("ignored"),
        mode: "RUN".to_owned(),
        data: Data::default(),
        expiration: None,
        last_update: None,
    };
    child.update(update).await.unwrap();
    assert_eq!(child.get().await.unwrap().mode, "RUN");
    child.deactivate().await.unwrap();
    child.set_parent(None).await.unwrap();
    let workers = lockstep.workers(Page::default()).await.unwrap();
    let shown: Vec<_> = workers.iter().map(|w| (w.name.as_str(), w.active)).collect();
    assert_eq!(shown, [("child", false), ("parent", true)]);
}
