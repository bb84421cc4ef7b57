//! Getting work, and saying what became of it.

use testkit::{
    rpc::{Jobs, V, b, f, i, l, m, s, t, tu},
    seconds,
};

cases![
    data_updates,
    pause,
    get_many,
    get_many_max_getwork,
    get_too_many,
    prioritize,
    prioritize_adjust,
    reprioritize,
    succeed_fail,
    fail_succeed,
    get_child_units_basic,
    get_child_units_multi,
    regenerate,
    update_available,
    update_available_full,
    delayed_unit,
];

/// 102. A unit is followed from its addition to its end, with its data.
fn data_updates(jobs: &Jobs) {
    jobs.set_spec("spec", [("min_gb", i(1))]);
    let data = m([("v", i(1))]);
    jobs.done("add_work_units", [s("spec"), l([tu([s("u"), data.clone()])])]);
    assert_eq!(jobs.data("spec", b"u"), data.clone().sent(jobs.strings));
    assert_eq!(jobs.state("spec", "u"), 1);
    let options = m([("available_gb", i(13)), ("lease_time", i(5))]);
    let got = jobs.pair("get_work", [s("w"), options]);
    assert_eq!(got, tu([t("spec"), b("u"), data.sent(jobs.strings)]));
    assert_eq!(jobs.state("spec", "u"), 3);
    let changed = m([("v", tu([i(1), t("two"), f(3.0)]))]);
    let options = m([("status", i(4)), ("data", changed.clone()), ("lease_time", i(0))]);
    assert_eq!(jobs.pair("update_work_unit", [s("spec"), s("u"), options]), V::Bool(true));
    assert_eq!(jobs.state("spec", "u"), 4);
    assert_eq!(jobs.data("spec", b"u"), changed.sent(jobs.strings));
}

/// 103. A paused spec gives no work.
fn pause(jobs: &Jobs) {
    jobs.set_spec("spec", []);
    jobs.add("spec", ["u"]);
    jobs.done("control_work_spec", [s("spec"), m([("status", i(2))])]);
    assert_eq!(*jobs.pair("get_work_spec_meta", [s("spec")]).at("status"), i(2));
    assert_eq!(jobs.work("w"), None);
    jobs.done("control_work_spec", [s("spec"), m([("status", i(1))])]);
    assert_eq!(jobs.work("w").as_deref(), Some("u"));
}

fn hundred(jobs: &Jobs, spec: &str) {
    let units = (0..100).map(|n| tu([s(&format!("u{n:03}")), m([("x", i(n))])]));
    jobs.done("add_work_units", [s(spec), l(units)]);
}

/// 104. Many units come as a list of tuples, in order.
fn get_many(jobs: &Jobs) {
    jobs.set_spec("spec", []);
    hundred(jobs, "spec");
    let got = jobs.pair("get_work", [s("w"), m([("max_jobs", i(10))])]);
    let expected = (0..10)
        .map(|n| tu([t("spec"), b(format!("u{n:03}")), m([("x", i(n))]).sent(jobs.strings)]));
    assert_eq!(got, l(expected));
    jobs.call("clear", []);
    assert_eq!(jobs.pair("get_work", [s("w"), m([("max_jobs", i(10))])]), l([]));
}

/// 105. A spec says how many at most.
fn get_many_max_getwork(jobs: &Jobs) {
    jobs.set_spec("spec", [("max_getwork", i(5))]);
    hundred(jobs, "spec");
    let got = jobs.pair("get_work", [s("w"), m([("max_jobs", i(10))])]);
    assert_eq!(got.items().len(), 5);
}

/// 106. All units of one call are from one spec.
fn get_too_many(jobs: &Jobs) {
    jobs.set_spec("low", [("priority", i(1))]);
    jobs.set_spec("high", [("priority", i(2))]);
    hundred(jobs, "low");
    jobs.add("high", ["a", "b", "c", "d"]);
    let got = jobs.pair("get_work", [s("w"), m([("max_jobs", i(10))])]);
    let specs: Vec<_> = got.items().iter().map(|unit| unit.items()[0].clone()).collect();
    assert_eq!(specs, [t("high"), t("high"), t("high"), t("high")]);
}

fn handed_out(jobs: &Jobs) -> Vec<String> {
    std::iter::from_fn(|| jobs.work("w")).collect()
}

/// 107. Units go out by name, and a higher priority first.
fn prioritize(jobs: &Jobs) {
    jobs.set_spec("spec", []);
    jobs.add("spec", ["b", "a", "c"]);
    assert_eq!(handed_out(jobs), ["a", "b", "c"]);
    jobs.call("clear", []);
    jobs.set_spec("spec", []);
    jobs.add("spec", ["b", "a", "c"]);
    let options = m([("work_unit_keys", l([s("c")])), ("priority", i(1))]);
    jobs.done("prioritize_work_units", [s("spec"), options]);
    assert_eq!(handed_out(jobs), ["c", "a", "b"]);
}

fn adjusted(jobs: &Jobs) {
    jobs.set_spec("spec", []);
    jobs.add("spec", ["a", "b", "c"]);
    for (key, by) in [("a", 10), ("b", 20), ("c", 30)] {
        let keys = l([s(key), s("unknown")]);
        let options = m([("work_unit_keys", keys), ("adjustment", i(by)), ("priority", V::Null)]);
        jobs.done("prioritize_work_units", [s("spec"), options]);
    }
}

/// 108. Adjustments add up; a priority of null is none.
fn prioritize_adjust(jobs: &Jobs) {
    adjusted(jobs);
    assert_eq!(handed_out(jobs), ["c", "b", "a"]);
}

/// 109. What was adjusted can be adjusted again.
fn reprioritize(jobs: &Jobs) {
    adjusted(jobs);
    let options = m([("work_unit_keys", l([s("a")])), ("adjustment", f(15.0))]);
    jobs.done("prioritize_work_units", [s("spec"), options]);
    assert_eq!(handed_out(jobs), ["c", "a", "b"]);
}

/// 110. A finished unit cannot be failed, which is no error.
fn succeed_fail(jobs: &Jobs) {
    jobs.set_spec("spec", []);
    jobs.add("spec", ["u"]);
    jobs.work("worker");
    assert_eq!(jobs.update("spec", "u", 4), V::Bool(true));
    assert_eq!(jobs.update("spec", "u", 5), V::Bool(false));
    assert_eq!(jobs.update("spec", "u", 4), V::Bool(false));
    assert_eq!(jobs.update("spec", "u", 0), V::Bool(false));
    assert_eq!(jobs.state("spec", "u"), 4);
    assert_eq!(
        jobs.try_call("update_work_unit", [s("spec"), s("u"), m([("status", i(3))])]),
        Err("update_work_unit cannot change finished unit".to_owned())
    );
    assert_eq!(jobs.update("spec", "u", 1), V::Bool(true));
    assert_eq!(jobs.state("spec", "u"), 1);
}

/// 111. Success wins over an earlier failure.
fn fail_succeed(jobs: &Jobs) {
    jobs.set_spec("spec", []);
    jobs.add("spec", ["u"]);
    jobs.work("worker");
    let options = m([("status", i(5)), ("data", m([("traceback", s("oh"))]))]);
    assert_eq!(jobs.pair("update_work_unit", [s("spec"), s("u"), options]), V::Bool(true));
    let told = jobs.pair("get_work_unit_status", [s("spec"), l([s("u")])]);
    let expected = m([("status", i(5)), ("worker_id", t("worker")), ("traceback", s("oh"))]);
    assert_eq!(told, l([expected.sent(jobs.strings)]));
    assert_eq!(jobs.update("spec", "u", 5), V::Bool(false));
    assert_eq!(
        jobs.try_call("update_work_unit", [s("spec"), s("u"), m([("status", i(3))])]),
        Err("update_work_unit cannot change failed unit".to_owned())
    );
    assert_eq!(jobs.update("spec", "u", 4), V::Bool(true));
    assert_eq!(jobs.state("spec", "u"), 4);
}

fn parent_and_child(jobs: &Jobs) {
    let beat = |id, parent| [s(id), s("RUN"), i(900), m([("pid", i(7))]), parent];
    jobs.done("worker_heartbeat", beat("parent", V::Null));
    jobs.done("worker_heartbeat", beat("child", s("parent")));
}

/// 112. A parent sees what its children work on.
fn get_child_units_basic(jobs: &Jobs) {
    jobs.set_spec("spec", []);
    jobs.done("add_work_units", [s("spec"), l([tu([s("u"), m([("x", i(1))])])])]);
    parent_and_child(jobs);
    let children = || jobs.pair("get_child_work_units", [s("parent")]);
    assert_eq!(children(), m([("child", l([]))]).sent(testkit::rpc::Strings::Text));
    assert_eq!(jobs.work("child").as_deref(), Some("u"));
    let expires = jobs.world.now().plus(seconds(900)).unix_seconds();
    let record = m([
        ("work_spec_name", t("spec")),
        ("work_unit_key", b("u")),
        ("work_unit_data", m([("x", i(1))])),
        ("worker_id", t("child")),
        ("expires", i(expires)),
    ]);
    assert_eq!(children(), m([("child", l([record]))]).sent(testkit::rpc::Strings::Text));
    let mine = m([("status", i(4)), ("worker_id", s("child"))]);
    assert_eq!(jobs.pair("update_work_unit", [s("spec"), s("u"), mine]), V::Bool(true));
    assert_eq!(children(), m([("child", l([]))]).sent(testkit::rpc::Strings::Text));
    assert_eq!(jobs.pair("get_child_work_units", [s("nobody")]), V::Map(vec![]));
}

/// 113. Several units of one child are listed until they are finished.
fn get_child_units_multi(jobs: &Jobs) {
    jobs.set_spec("spec", []);
    jobs.add("spec", ["a", "b"]);
    parent_and_child(jobs);
    jobs.pair("get_work", [s("child"), m([("max_jobs", i(2))])]);
    let keys = || {
        let children = jobs.pair("get_child_work_units", [s("parent")]);
        let units = children.at("child").items().to_vec();
        units.iter().map(|unit| unit.at("work_unit_key").clone()).collect::<Vec<_>>()
    };
    assert_eq!(keys(), [b("a"), b("b")]);
    jobs.update("spec", "a", 4);
    assert_eq!(keys(), [b("b")]);
    jobs.update("spec", "b", 4);
    assert_eq!(keys(), []);
    // The record is that of the unit's present attempt, which may be another worker's.
    jobs.add("spec", ["c"]);
    assert_eq!(jobs.work("child").as_deref(), Some("c"));
    jobs.world.make("spec", "c");
    let children = jobs.pair("get_child_work_units", [s("parent")]);
    assert_ne!(*children.at("child").items()[0].at("worker_id"), t("child"));
}

/// 128. A spec can be set again, and units added again, while one is pending.
fn regenerate(jobs: &Jobs) {
    jobs.set_spec("spec", []);
    jobs.add("spec", ["u"]);
    assert_eq!(jobs.work("w").as_deref(), Some("u"));
    jobs.set_spec("spec", []);
    jobs.add("spec", ["u"]);
    assert_eq!(jobs.state("spec", "u"), 3);
    assert_eq!(jobs.update("spec", "u", 4), V::Bool(true));
    assert_eq!(jobs.state("spec", "u"), 4);
}

/// 132. An available unit can be failed: an attempt is made for it.
fn update_available(jobs: &Jobs) {
    jobs.set_spec("spec", []);
    jobs.add("spec", ["u"]);
    assert_eq!(jobs.update("spec", "u", 5), V::Bool(true));
    assert_eq!(jobs.state("spec", "u"), 5);
    let told = jobs.pair("get_work_unit_status", [s("spec"), l([s("u")])]);
    assert_eq!(*told.items()[0].at("worker_id"), t("worker"));
}

/// 133. A parent fails what its child gave back.
fn update_available_full(jobs: &Jobs) {
    jobs.set_spec("spec", []);
    jobs.add("spec", ["u"]);
    parent_and_child(jobs);
    assert_eq!(jobs.work("child").as_deref(), Some("u"));
    assert_eq!(jobs.state("spec", "u"), 3);
    let by = |worker, status| {
        let options = m([("status", i(status)), ("worker_id", s(worker))]);
        jobs.pair("update_work_unit", [s("spec"), s("u"), options])
    };
    assert_eq!(by("child", 1), V::Bool(true));
    assert_eq!(jobs.state("spec", "u"), 1);
    assert_eq!(by("parent", 5), V::Bool(true));
    assert_eq!(jobs.state("spec", "u"), 5);
}

/// 134. A delayed unit counts as available, but is not handed out before its time.
fn delayed_unit(jobs: &Jobs) {
    jobs.set_spec("spec", []);
    let unit = tu([s("u"), m([]), m([("delay", i(90))])]);
    jobs.done("add_work_units", [s("spec"), l([unit])]);
    assert_eq!(jobs.state("spec", "u"), 1);
    assert_eq!(jobs.work("w"), None);
    jobs.world.advance(seconds(60));
    assert_eq!((jobs.state("spec", "u"), jobs.work("w")), (1, None));
    jobs.world.advance(seconds(60));
    assert_eq!(jobs.state("spec", "u"), 1);
    assert_eq!(jobs.work("w").as_deref(), Some("u"));
}
