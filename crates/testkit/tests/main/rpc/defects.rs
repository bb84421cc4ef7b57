//! Where the ancestor is wrong and Lockstep does the right thing, and what only it describes.

use testkit::{
    rpc::{Jobs, V, b, f, i, l, m, s, t, tu},
    seconds,
};

cases![
    unknown_specs_are_told_in_band,
    deleting_nothing_deletes_nothing,
    everything_is_deleted_on_demand,
    a_spec_is_controlled_by_all_keys,
    specs_are_listed_from_a_start,
    units_are_sorted_and_an_empty_list_is_one,
    null_is_a_result,
    leases_are_as_long_as_asked,
    delayed_units_count_as_available,
    an_integer_is_a_priority,
    bad_items_add_nothing,
    an_invalid_status_changes_nothing,
    data_of_an_idle_unit_is_replaced,
    a_pending_unit_is_renewed_and_given_back,
    statuses_tell_of_unknown_units,
    prioritizing_needs_keys,
    workers_live_and_die,
    a_heartbeat_without_parent_has_none,
    asking_for_a_worker_makes_none,
    only_specs_without_runtime_give_work,
    arguments_of_wrong_types_are_refused,
    a_missing_next_spec_does_no_harm,
    nothing_is_configured,
];

/// Peer defect 11, and the pairs of section 4.2.
fn unknown_specs_are_told_in_band(jobs: &Jobs) {
    let says = "No such work spec x";
    let empty = || m([]);
    jobs.refused("get_work_spec_meta", [s("x")], V::Null, says);
    jobs.refused("control_work_spec", [s("x"), empty()], V::Bool(false), says);
    jobs.refused("del_work_spec", [s("x")], V::Bool(false), says);
    jobs.refused("add_work_units", [s("x"), l([s("u")])], V::Bool(false), says);
    jobs.refused("add_work_units", [s("x"), l([])], V::Bool(false), says);
    jobs.refused("get_work_units", [s("x"), empty()], V::Null, says);
    jobs.refused("get_work_units", [s("x"), m([("work_unit_keys", l([]))])], V::Null, says);
    jobs.refused("get_work_unit_status", [s("x"), l([s("u")])], V::Null, says);
    jobs.refused("get_work_unit_status", [s("x"), l([])], V::Null, says);
    jobs.refused("count_work_units", [s("x")], V::Null, says);
    let keys = m([("work_unit_keys", l([s("u")]))]);
    jobs.refused("prioritize_work_units", [s("x"), keys], V::Bool(false), says);
    jobs.refused("del_work_units", [s("x"), empty()], i(0), says);
    jobs.refused("update_work_unit", [s("x"), s("u"), empty()], V::Bool(false), says);
    assert_eq!(jobs.call("get_work_spec", [s("x")]), V::Null);
    assert_eq!(jobs.call("get_work_spec", [V::Null]), V::Null);
    jobs.refused("count_work_units", [V::Null], V::Null, "No such work spec ");
    jobs.set_spec("x", []);
    jobs.done("del_work_spec", [s("x")]);
    jobs.refused("del_work_spec", [s("x")], V::Bool(false), says);
    let unknown = jobs.try_call("set_work_spec", [m([("x", i(1))])]);
    assert_eq!(unknown, Err("No 'name' key in work spec".to_owned()));
}

/// Peer defect 8.
fn deleting_nothing_deletes_nothing(jobs: &Jobs) {
    jobs.set_spec("spec", []);
    jobs.add("spec", ["a", "b"]);
    let delete = |options| jobs.pair("del_work_units", [s("spec"), options]);
    assert_eq!(delete(m([])), i(0));
    assert_eq!(delete(V::Null), i(0));
    assert_eq!(delete(m([("work_unit_keys", l([]))])), i(0));
    assert_eq!(delete(m([("all", V::Bool(false)), ("work_unit_keys", V::Null)])), i(0));
    assert_eq!(jobs.keys("spec", []), ["a", "b"]);
}

fn everything_is_deleted_on_demand(jobs: &Jobs) {
    jobs.set_spec("spec", []);
    let units = (0..1_500).map(|n| s(&format!("{n:04}")));
    jobs.done("add_work_units", [s("spec"), l(units)]);
    let keys = l((0..1_200).map(|n| s(&format!("{n:04}"))));
    let count = jobs.pair("del_work_units", [s("spec"), m([("work_unit_keys", keys)])]);
    assert_eq!(count, i(1_200));
    assert_eq!(jobs.pair("del_work_units", [s("spec"), m([("all", V::Bool(true))])]), i(300));
    let units = (0..1_500).map(|n| s(&format!("{n:04}")));
    jobs.done("add_work_units", [s("spec"), l(units)]);
    assert_eq!(jobs.pair("del_work_units", [s("spec"), m([("state", i(0))])]), i(1_500));
}

/// Peer defect 9.
fn a_spec_is_controlled_by_all_keys(jobs: &Jobs) {
    jobs.set_spec("spec", [("continuous", V::Bool(true)), ("interval", i(60))]);
    let meta = || jobs.pair("get_work_spec_meta", [s("spec")]);
    let expected = |status, continuous, interval, max_running, weight| {
        m([
            ("status", i(status)),
            ("continuous", V::Bool(continuous)),
            ("interval", f(interval)),
            ("max_running", i(max_running)),
            ("weight", i(weight)),
        ])
        .sent(testkit::rpc::Strings::Text)
    };
    assert_eq!(meta(), expected(1, true, 60.0, 0, 20));
    let options = m([
        ("continuous", V::Bool(false)),
        ("status", i(2)),
        ("weight", i(5)),
        ("interval", f(0.5)),
        ("max_running", i(1)),
        ("unknown", l([])),
    ]);
    jobs.done("control_work_spec", [s("spec"), options]);
    assert_eq!(meta(), expected(2, false, 0.5, 1, 5));
    jobs.done("control_work_spec", [s("spec"), m([("status", f(1.9)), ("weight", V::Null)])]);
    assert_eq!(meta(), expected(1, false, 0.5, 1, 5));
    jobs.add("spec", ["a", "b"]);
    assert_eq!((jobs.work("w").is_some(), jobs.work("w")), (true, None));
    let wrong = jobs.try_call("control_work_spec", [s("spec"), m([("status", i(7))])]);
    assert_eq!(wrong, Err("invalid work spec status".to_owned()));
}

/// Peer defect 10.
fn specs_are_listed_from_a_start(jobs: &Jobs) {
    for name in ["c", "a", "b", "d"] {
        jobs.set_spec(name, []);
    }
    let list = |options| {
        let listed = jobs.call("list_work_specs", [options]);
        let [specs, next] = listed.items() else { panic!("{listed:?}") };
        let names = specs.items().iter().map(|spec| spec.at("name").clone()).collect::<Vec<_>>();
        (names, next.clone())
    };
    assert_eq!(list(m([("limit", i(2))])), (vec![t("a"), t("b")], t("c")));
    assert_eq!(list(m([("start", s("c")), ("limit", i(2))])), (vec![t("c"), t("d")], V::Null));
    assert_eq!(list(m([("start", s("bb"))])), (vec![t("c"), t("d")], V::Null));
    assert_eq!(list(m([("start", s("b")), ("limit", i(1))])), (vec![t("b")], t("c")));
}

/// Peer defects 11 and 13.
fn units_are_sorted_and_an_empty_list_is_one(jobs: &Jobs) {
    jobs.set_spec("spec", []);
    assert_eq!(jobs.pair("get_work_units", [s("spec"), m([])]), l([]));
    jobs.add("spec", ["b", "d", "a", "c"]);
    assert_eq!(jobs.keys("spec", []), ["a", "b", "c", "d"]);
    let keys = l([s("d"), s("x"), s("a"), s("a")]);
    assert_eq!(jobs.keys("spec", [("work_unit_keys", keys), ("limit", i(1))]), ["a", "d"]);
    assert_eq!(jobs.keys("spec", [("work_unit_keys", l([]))]), [""; 0]);
    assert_eq!(jobs.keys("spec", [("state", l([]))]), ["a", "b", "c", "d"]);
    assert_eq!(jobs.keys("spec", [("state", i(2))]), [""; 0]);
    let wrong = jobs.try_call("get_work_units", [s("spec"), m([("state", i(9))])]);
    assert_eq!(wrong, Err("invalid work unit status".to_owned()));
    let units = (0..2_100).map(|n| s(&format!("many {n:04}")));
    jobs.done("add_work_units", [s("spec"), l(units)]);
    assert_eq!(jobs.keys("spec", []).len(), 1_000);
    assert_eq!(jobs.keys("spec", [("limit", i(2_050))]).len(), 2_050);
}

/// Peer defect 11.
fn null_is_a_result(jobs: &Jobs) {
    assert_eq!(jobs.call("archive", [m([])]), V::Null);
    assert_eq!(jobs.pair("list_worker_modes", []), m([]));
    assert_eq!(jobs.pair("mode_counts", []), m([]));
}

/// Peer defect 7.
fn leases_are_as_long_as_asked(jobs: &Jobs) {
    jobs.set_spec("spec", []);
    jobs.add("spec", ["u"]);
    jobs.pair("get_work", [s("w"), m([("lease_time", i(10))])]);
    let expiration = || {
        let told = jobs.pair("get_work_unit_status", [s("spec"), l([s("u")])]);
        told.items()[0].at("expiration").clone()
    };
    let at = |span| i(jobs.world.now().plus(seconds(span)).unix_seconds());
    assert_eq!(expiration(), at(10));
    let renew = |options| jobs.pair("update_work_unit", [s("spec"), s("u"), options]);
    assert_eq!(renew(m([("lease_time", i(20))])), V::Bool(true));
    assert_eq!(expiration(), at(20));
    assert_eq!(renew(m([("lease_time", i(0)), ("status", i(3))])), V::Bool(true));
    assert_eq!(expiration(), at(300));
    jobs.world.advance(seconds(301));
    assert_eq!(jobs.state("spec", "u"), 1);
}

/// Peer defect 19.
fn delayed_units_count_as_available(jobs: &Jobs) {
    jobs.set_spec("spec", []);
    let delayed = tu([s("later"), m([]), m([("delay", i(90))])]);
    jobs.done("add_work_units", [s("spec"), l([s("now"), delayed])]);
    let count = |pairs: Vec<(V, V)>| {
        assert_eq!(jobs.pair("count_work_units", [s("spec")]), V::Map(pairs));
    };
    count(vec![(i(1), i(2))]);
    assert_eq!(jobs.keys("spec", [("state", i(1))]), ["later", "now"]);
    jobs.work("worker");
    count(vec![(i(1), i(1)), (i(3), i(1))]);
    jobs.update("spec", "now", 4);
    count(vec![(i(1), i(1)), (i(4), i(1))]);
}

/// Peer defect 19.
fn an_integer_is_a_priority(jobs: &Jobs) {
    jobs.set_spec("spec", []);
    let unit = |key, priority| tu([s(key), m([]), V::Null, priority]);
    let units = l([unit("a", i(1)), unit("b", i(2)), unit("c", f(1.5)), unit("d", V::Null)]);
    jobs.done("add_work_units", [s("spec"), units]);
    let order: Vec<_> = std::iter::from_fn(|| jobs.work("w")).collect();
    assert_eq!(order, ["b", "c", "a", "d"]);
}

fn bad_items_add_nothing(jobs: &Jobs) {
    jobs.set_spec("spec", []);
    let add = |item| jobs.try_call("add_work_units", [s("spec"), l([s("good"), item])]);
    assert_eq!(add(i(1)), Err("work unit not a list".to_owned()));
    assert_eq!(add(tu([s("u")])), Err("too few parameters to work unit".to_owned()));
    let priority = "priority must be a number".to_owned();
    assert_eq!(add(tu([s("u"), m([]), V::Null, s("x")])), Err(priority.clone()));
    assert_eq!(add(tu([s("u"), m([]), m([("priority", s("x"))])])), Err(priority));
    assert!(add(tu([i(1), m([])])).is_err());
    assert!(add(tu([s("u"), l([])])).is_err());
    assert_eq!(jobs.keys("spec", []), [""; 0]);
}

/// Peer defect 19.
fn an_invalid_status_changes_nothing(jobs: &Jobs) {
    jobs.set_spec("spec", []);
    jobs.add("spec", ["u"]);
    let update = |key, status| {
        jobs.try_call("update_work_unit", [s("spec"), s(key), m([("status", i(status))])])
    };
    assert_eq!(update("u", 2), Err("update_work_unit invalid status".to_owned()));
    assert_eq!(update("u", 9), Err("update_work_unit invalid status".to_owned()));
    assert_eq!(jobs.state("spec", "u"), 1);
    assert_eq!(update("x", 4), Err("No such work unit \"x\"".to_owned()));
}

fn data_of_an_idle_unit_is_replaced(jobs: &Jobs) {
    jobs.set_spec("spec", []);
    let unit = tu([s("u"), m([("v", i(1))]), m([("priority", i(7))])]);
    jobs.done("add_work_units", [s("spec"), l([unit])]);
    let update = |options| jobs.pair("update_work_unit", [s("spec"), s("u"), options]);
    assert_eq!(update(m([])), V::Bool(false));
    assert_eq!(update(m([("status", i(1))])), V::Bool(false));
    assert_eq!(update(m([("data", m([("v", i(2))]))])), V::Bool(true));
    assert_eq!(*jobs.data("spec", b"u").at("v"), i(2));
    assert_eq!(jobs.world.unit("spec", "u").meta.priority, 7.0);
    assert_eq!(jobs.state("spec", "u"), 1);
}

fn a_pending_unit_is_renewed_and_given_back(jobs: &Jobs) {
    jobs.set_spec("spec", []);
    jobs.add("spec", ["u"]);
    jobs.work("worker");
    let data = m([("status", i(0)), ("data", m([("v", i(1))]))]);
    assert_eq!(jobs.pair("update_work_unit", [s("spec"), s("u"), data]), V::Bool(true));
    assert_eq!(*jobs.data("spec", b"u").at("v"), i(1));
    assert_eq!(jobs.update("spec", "u", 1), V::Bool(true));
    assert_eq!(jobs.state("spec", "u"), 1);
    assert_eq!(jobs.data("spec", b"u"), m([]));
    assert_eq!(jobs.update("spec", "u", 3), V::Bool(true));
    assert_eq!(jobs.state("spec", "u"), 3);
}

/// Peer defect 11.
fn statuses_tell_of_unknown_units(jobs: &Jobs) {
    jobs.set_spec("spec", []);
    jobs.add("spec", ["u"]);
    let told = jobs.pair("get_work_unit_status", [s("spec"), l([s("x"), s("u"), s("u")])]);
    let one = m([("status", i(1))]).sent(testkit::rpc::Strings::Text);
    assert_eq!(told, l([V::Null, one.clone(), one]));
    assert_eq!(jobs.pair("get_work_unit_status", [s("spec"), l([])]), l([]));
}

fn prioritizing_needs_keys(jobs: &Jobs) {
    jobs.set_spec("spec", []);
    jobs.add("spec", ["u"]);
    let params = [s("spec"), m([("priority", i(1))])];
    jobs.refused("prioritize_work_units", params, V::Bool(false), "missing work_unit_keys");
    let both = m([("work_unit_keys", l([s("u")])), ("priority", i(3)), ("adjustment", i(9))]);
    jobs.done("prioritize_work_units", [s("spec"), both]);
    assert_eq!(jobs.world.unit("spec", "u").meta.priority, 3.0);
    jobs.done("prioritize_work_units", [s("spec"), m([("work_unit_keys", l([s("u")]))])]);
    assert_eq!(jobs.world.unit("spec", "u").meta.priority, 3.0);
}

fn beat(jobs: &Jobs, id: &str, mode: &str, span: V, parent: V) {
    jobs.done("worker_heartbeat", [s(id), s(mode), span, m([("pid", i(7))]), parent]);
}

/// Peer defects 11 and 23.
fn workers_live_and_die(jobs: &Jobs) {
    beat(jobs, "a", "RUN", f(60.9), V::Null);
    beat(jobs, "b", "IDLE", i(120), s("a"));
    beat(jobs, "c", "RUN", i(120), s("a"));
    let modes = || jobs.pair("list_worker_modes", []);
    let text = testkit::rpc::Strings::Text;
    assert_eq!(modes(), m([("a", t("RUN")), ("b", t("IDLE")), ("c", t("RUN"))]).sent(text));
    assert_eq!(jobs.pair("mode_counts", []), m([("IDLE", i(1)), ("RUN", i(2))]).sent(text));
    let stats = |workers, children| {
        let expected =
            [("num_workers", workers), ("num_children", children), ("num_expirable", workers)];
        let expected = expected.map(|(key, count)| (key, i(count)));
        assert_eq!(jobs.call("worker_stats", []), m(expected).sent(text));
    };
    stats(3, 2);
    jobs.done("worker_unregister", [s("c")]);
    stats(2, 1);
    jobs.world.advance(seconds(61));
    assert_eq!(modes(), m([("b", t("IDLE"))]).sent(text));
    let info = jobs.pair("get_worker_info", [s("b")]);
    assert_eq!((info.at("pid"), info.at("age_seconds")), (&i(7), &f(61.0)));
    jobs.done("worker_unregister", [s("unknown")]);
}

/// Peer defect 14.
fn a_heartbeat_without_parent_has_none(jobs: &Jobs) {
    beat(jobs, "a", "RUN", i(60), s("p"));
    assert_eq!(jobs.world.children("p"), ["a"]);
    beat(jobs, "a", "RUN", i(60), V::Null);
    assert_eq!(jobs.world.children("p"), [""; 0]);
    assert!(jobs.world.try_worker("").is_err());
}

fn asking_for_a_worker_makes_none(jobs: &Jobs) {
    assert_eq!(jobs.pair("get_worker_info", [s("nobody")]), V::Null);
    assert!(jobs.world.try_worker("nobody").is_err());
}

fn only_specs_without_runtime_give_work(jobs: &Jobs) {
    jobs.set_spec("go", [("runtime", s("go")), ("priority", i(5))]);
    jobs.set_spec("python", []);
    jobs.set_spec("other", []);
    jobs.add("go", ["g"]);
    jobs.add("python", ["p"]);
    jobs.add("other", ["o"]);
    let only = |names| jobs.pair("get_work", [s("w"), m([("work_spec_names", names)])]);
    assert_eq!(only(l([s("nothing")])).items()[0], V::Null);
    assert_eq!(only(l([s("other")])).items()[1], b("o"));
    assert_eq!(only(tu([])).items()[1], b("p"));
    assert_eq!(jobs.work("w"), None);
}

fn arguments_of_wrong_types_are_refused(jobs: &Jobs) {
    jobs.set_spec("spec", []);
    let refused = |method: &str, params: Vec<V>| {
        let message = jobs.try_call(method, params).unwrap_err();
        assert!(message.contains("must be"), "{method}: {message}");
    };
    refused("get_work_spec", vec![i(1)]);
    refused("get_work_spec", vec![l([])]);
    refused("set_work_spec", vec![s("spec")]);
    refused("set_work_spec", vec![V::Map(vec![(i(1), i(1))])]);
    refused("set_work_spec", vec![m([("name", i(1))])]);
    refused("set_work_spec", vec![m([("name", s("x")), ("weight", s("heavy"))])]);
    refused("update_work_unit", vec![s("spec"), i(1), m([])]);
    refused("get_work", vec![s("w"), l([])]);
    refused("get_work", vec![s("w"), m([("max_jobs", s("many"))])]);
    refused("get_work", vec![s("w"), m([("max_jobs", V::Bool(true))])]);
    refused("worker_heartbeat", vec![s("w"), i(1), i(1), m([]), V::Null]);
    refused("worker_heartbeat", vec![s("w"), s("RUN"), s("long"), m([]), V::Null]);
    refused("add_work_units", vec![s("spec"), s("u")]);
    let wrong = Err("wrong number of parameters".to_owned());
    assert_eq!(jobs.try_call("get_work", [s("w")]), wrong);
    assert_eq!(jobs.try_call("clear", [s("w")]), wrong);
    assert!(jobs.try_call("get_work_spec", [b([0xff])]).unwrap_err().contains("not UTF-8"));
}

/// Peer defect 3.
fn a_missing_next_spec_does_no_harm(jobs: &Jobs) {
    jobs.set_spec("spec", [("then", s("missing"))]);
    jobs.add("spec", ["u"]);
    jobs.work("w");
    let options = m([("status", i(4)), ("data", m([("output", l([s("x")]))]))]);
    assert_eq!(jobs.pair("update_work_unit", [s("spec"), s("u"), options]), V::Bool(true));
}

fn nothing_is_configured(jobs: &Jobs) {
    assert_eq!(jobs.try_call("get_config", []), Err("no config to get".to_owned()));
    assert_eq!(jobs.call("now", []), i(jobs.world.now().unix_seconds()));
}
