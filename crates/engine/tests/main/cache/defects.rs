//! The caveats that the ancestor documents of its cache, and the defects seen in it.

use super::scenarios;

scenarios! {
    /// Caveat: what works on a query does not look after the cache.
    deletion_by_a_query
    /// Caveat: what another system deletes stays.
    deletion_elsewhere
    /// Caveat: objects of the cache and of the backend below must not be mixed.
    mixed_objects
    /// Defect: the lock of all siblings is held while one is loaded.
    a_load_blocks_no_other_name
    /// Defect: a handle is exchanged under the hands of those who use it.
    a_late_answer_replaces_no_newer_one
    /// Defect: what was loaded is put into a part that was given up meanwhile.
    a_load_across_a_recreation_is_not_kept
    /// Defect: a call on something gone is tried again without bound.
    gone_is_looked_up_once
    /// Defect: counting attempts loses the error.
    errors_come_through
    /// Defect: chaining does not look after the cache.
    chaining_is_seen
    /// Defect: that something is gone becomes a bad request.
    gone_stays_gone
    /// Defect: one daemon does not know of another's changes.
    changes_elsewhere_are_seen
    /// A claim names no unit, and yet changes one.
    a_claim_is_seen
    /// Leases end without any call.
    a_lease_that_has_ended_is_seen
    /// Delays do, too.
    a_delay_that_is_over_is_seen
    /// And workers fall silent.
    a_silent_worker_is_seen
    /// A spec shows its counts.
    counts_are_seen
    /// A reader who knows of a revision sees it.
    at_least_is_kept
    /// Whoever joins another's load gets nothing that was old when it joined.
    a_joiner_gets_nothing_old
}

mod scenario {
    use std::{future::poll_fn, pin::pin, task::Poll, time::Duration};

    use model::{AttemptsOf, Error, NewUnit, Page, Query, QueueCommand, UnitStatus};
    use serde_json::json;
    use testkit::{data, minutes, name, new_unit, seconds, spec_name, worker_name};

    use super::super::{Namespace, Node, UnitRef, unit_query, value};

    /// Takes one step of a future, and tells whether it is done.
    async fn is_done_at_once<F: Future>(future: F) -> bool {
        let mut future = pin!(future);
        poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_ready())).await
    }

    pub(super) async fn deletion_by_a_query(node: &Node) -> bool {
        node.here().plain_spec().await;
        node.here().add("a").await;
        node.here().unit("a").await.unwrap();
        node.here().delete_all().await;
        node.here().unit("a").await == Err(Error::NoSuchWorkUnit("a".to_owned()))
    }

    pub(super) async fn deletion_elsewhere(node: &Node) -> bool {
        node.here().plain_spec().await;
        node.here().add("a").await;
        node.here().unit("a").await.unwrap();
        node.elsewhere().delete_all().await;
        node.catch_up().await;
        node.here().unit("a").await.is_err()
    }

    pub(super) async fn mixed_objects(node: &Node) -> bool {
        node.here().plain_spec().await;
        node.here().add("a").await;
        node.here().unit("a").await.unwrap();
        let attempt = node.elsewhere().claim().await;
        node.catch_up().await;
        let pending = node.here().unit("a").await.unwrap();
        node.here().finish(&attempt, None).await;
        let finished = node.here().unit("a").await.unwrap();
        (pending.status, finished.status) == (UnitStatus::Pending, UnitStatus::Finished)
    }

    pub(super) async fn a_load_blocks_no_other_name(node: &Node) -> bool {
        node.here().plain_spec().await;
        for unit in ["slow", "kept", "fast"] {
            node.here().add(unit).await;
        }
        node.here().unit("kept").await.unwrap();
        node.slow.hold(unit_query("slow", None));
        let slow = node.here().unit("slow");
        let mut slow = pin!(slow);
        assert!(!is_done_at_once(slow.as_mut()).await);
        let kept = is_done_at_once(node.here().unit("kept")).await;
        let held = tokio::time::timeout(Duration::from_millis(20), node.here().unit("fast")).await;
        node.slow.release();
        slow.await.unwrap();
        kept && held.is_ok()
    }

    pub(super) async fn a_late_answer_replaces_no_newer_one(node: &Node) -> bool {
        node.here().plain_spec().await;
        node.here().add_data("a", 1).await;
        node.slow.hold(unit_query("a", None));
        let late = node.here().unit("a");
        let mut late = pin!(late);
        assert!(!is_done_at_once(late.as_mut()).await);
        node.elsewhere().add_data("a", 2).await;
        node.catch_up().await;
        node.slow.release();
        assert_eq!(value(&late.await.unwrap()), 1);
        value(&node.here().unit("a").await.unwrap()) == 2
    }

    pub(super) async fn a_load_across_a_recreation_is_not_kept(node: &Node) -> bool {
        node.here().plain_spec().await;
        node.here().add_data("a", 1).await;
        node.slow.hold(unit_query("a", None));
        let late = node.here().unit("a");
        let mut late = pin!(late);
        assert!(!is_done_at_once(late.as_mut()).await);
        node.elsewhere().destroy_spec().await;
        node.elsewhere().plain_spec().await;
        node.catch_up().await;
        node.slow.release();
        assert_eq!(value(&late.await.unwrap()), 1);
        node.here().unit("a").await == Err(Error::NoSuchWorkUnit("a".to_owned()))
    }

    pub(super) async fn gone_is_looked_up_once(node: &Node) -> bool {
        node.here().plain_spec().await;
        let first = node.here().add("a").await;
        node.here().delete_all().await;
        node.here().add("a").await;
        let before = node.slow.loads();
        assert!(node.here().unit_of("a", Some(first), 0).await.is_err());
        node.slow.loads() - before <= 2
    }

    pub(super) async fn errors_come_through(node: &Node) -> bool {
        node.here().plain_spec().await;
        let unit = UnitRef { spec: spec_name("spec"), name: name("unknown"), id: None };
        let attempts = AttemptsOf::Unit(unit);
        let query = Query::Attempts(Namespace::empty(), attempts, Page::default());
        node.here().ask(query).await.is_err()
    }

    pub(super) async fn chaining_is_seen(node: &Node) -> bool {
        node.here().set_spec(json!({"name": "first", "then": "spec"})).await;
        node.here().plain_spec().await;
        node.here().add_data("a", 1).await;
        node.here().finish(&node.here().claim().await, None).await;
        assert_eq!(node.here().unit("a").await.unwrap().status, UnitStatus::Finished);
        node.here().add_unit("first", new_unit("one")).await;
        let attempt = node.here().claim().await;
        let output = data(&json!({"output": {"a": {"value": 2}}}));
        node.here().finish(&attempt, Some(output)).await;
        let again = node.here().unit("a").await.unwrap();
        (again.status, value(&again)) == (UnitStatus::Available, 2)
    }

    pub(super) async fn gone_stays_gone(node: &Node) -> bool {
        node.here().plain_spec().await;
        let first = node.here().add("a").await;
        node.here().delete_all().await;
        node.here().add("a").await;
        let gone = node.here().unit_of("a", Some(first), 0).await.unwrap_err();
        gone == Error::Gone && gone.code().status == 410
    }

    pub(super) async fn changes_elsewhere_are_seen(node: &Node) -> bool {
        node.here().plain_spec().await;
        node.here().add_data("a", 1).await;
        let (spec, unit) = (node.here().spec().await.unwrap(), node.here().unit("a").await);
        node.elsewhere().destroy_spec().await;
        node.elsewhere().set_spec(json!({"name": "spec", "priority": 7})).await;
        node.elsewhere().add_data("a", 2).await;
        node.catch_up().await;
        let again = node.here().spec().await.unwrap();
        let (old, new) = (unit.unwrap(), node.here().unit("a").await.unwrap());
        again.id != spec.id && again.meta.priority == 7 && (value(&old), value(&new)) == (1, 2)
    }

    pub(super) async fn a_claim_is_seen(node: &Node) -> bool {
        node.here().plain_spec().await;
        node.here().add("a").await;
        node.here().unit("a").await.unwrap();
        let attempt = node.here().claim().await;
        node.here().unit("a").await.unwrap().active == Some(attempt)
    }

    pub(super) async fn a_lease_that_has_ended_is_seen(node: &Node) -> bool {
        node.here().plain_spec().await;
        node.here().add("a").await;
        node.here().claim().await;
        assert_eq!(node.here().unit("a").await.unwrap().status, UnitStatus::Pending);
        node.clock.advance(minutes(16));
        let (unit, spec) =
            (node.here().unit("a").await.unwrap(), node.here().spec().await.unwrap());
        unit.status == UnitStatus::Available && spec.counts.available == 1
    }

    pub(super) async fn a_delay_that_is_over_is_seen(node: &Node) -> bool {
        node.here().plain_spec().await;
        let unit = NewUnit { delay: Some(seconds(10)), ..new_unit("a") };
        node.here().add_unit("spec", unit).await;
        assert_eq!(node.here().unit("a").await.unwrap().status, UnitStatus::Delayed);
        node.clock.advance(seconds(10));
        node.here().unit("a").await.unwrap().status == UnitStatus::Available
    }

    pub(super) async fn a_silent_worker_is_seen(node: &Node) -> bool {
        let worker = worker_name("w");
        node.here().run(QueueCommand::CreateWorker { worker }).await;
        assert!(node.here().worker("w").await.unwrap().active);
        node.clock.advance(minutes(16));
        !node.here().worker("w").await.unwrap().active
    }

    pub(super) async fn counts_are_seen(node: &Node) -> bool {
        node.here().plain_spec().await;
        assert_eq!(node.here().spec().await.unwrap().counts.total(), 0);
        node.here().add("a").await;
        let added = node.here().spec().await.unwrap().counts;
        let attempt = node.here().claim().await;
        let claimed = node.here().spec().await.unwrap().counts;
        node.here().finish(&attempt, None).await;
        let finished = node.here().spec().await.unwrap().counts;
        (added.available, claimed.pending, finished.finished) == (1, 1, 1)
    }

    pub(super) async fn at_least_is_kept(node: &Node) -> bool {
        node.here().plain_spec().await;
        node.here().add_data("a", 1).await;
        node.here().unit("a").await.unwrap();
        node.elsewhere().add_data("a", 2).await;
        let query = Query::Namespace(Namespace::empty());
        let known = node.elsewhere().0.read(query, 0).await.unwrap().as_of;
        value(&node.here().unit_of("a", None, known).await.unwrap()) == 2
    }

    pub(super) async fn a_joiner_gets_nothing_old(node: &Node) -> bool {
        node.here().plain_spec().await;
        node.here().add_data("a", 1).await;
        node.slow.hold(unit_query("a", None));
        let first = node.here().unit("a");
        let mut first = pin!(first);
        assert!(!is_done_at_once(first.as_mut()).await);
        node.elsewhere().add_data("a", 2).await;
        node.catch_up().await;
        // It asks after the change was heard of, and yet finds the older load in flight.
        let second = node.here().unit("a");
        let mut second = pin!(second);
        assert!(!is_done_at_once(second.as_mut()).await);
        node.slow.release();
        assert_eq!(value(&first.await.unwrap()), 1);
        value(&second.await.unwrap()) == 2
    }
}
