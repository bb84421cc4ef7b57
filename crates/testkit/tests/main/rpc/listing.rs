//! Lists and deletions.

use testkit::rpc::{Jobs, V, i, l, m, s, t, tu};

cases![
    list_work_specs,
    clear,
    list_work_units,
    list_work_units_start_limit,
    del_work_units_simple,
    del_work_units_by_key,
    del_work_units_by_state,
    del_work_units_by_key_and_state,
];

/// 117. Specs are listed as they were set.
fn list_work_specs(jobs: &Jobs) {
    assert_eq!(jobs.call("list_work_specs", [m([])]), l([l([]), V::Null]));
    jobs.set_spec("spec", [("x", i(1))]);
    let listed = jobs.call("list_work_specs", [m([])]);
    let expected = m([("name", t("spec")), ("x", i(1))]).sent(jobs.strings);
    assert_eq!(listed, l([l([expected]), V::Null]));
}

/// 118. Clearing says how many specs there were.
fn clear(jobs: &Jobs) {
    jobs.set_spec("a", []);
    jobs.set_spec("b", []);
    jobs.add("a", ["u"]);
    assert_eq!(jobs.call("clear", []), i(2));
    assert_eq!(jobs.call("list_work_specs", [m([])]), l([l([]), V::Null]));
    assert_eq!(jobs.call("clear", []), i(0));
}

/// 119. Units are listed by state, before, while and after one is worked on.
fn list_work_units(jobs: &Jobs) {
    jobs.set_spec("spec", []);
    jobs.add("spec", ["foo", "bar"]);
    let listed = |done: &[&str]| {
        assert_eq!(jobs.keys("spec", []), ["bar", "foo"]);
        let open: Vec<_> = ["bar", "foo"].into_iter().filter(|key| !done.contains(key)).collect();
        assert_eq!(jobs.keys("spec", [("state", l([i(1), i(3)]))]), open);
        assert_eq!(jobs.keys("spec", [("state", tu([i(1), i(3)]))]), open);
        assert_eq!(jobs.keys("spec", [("state", i(4))]), done);
    };
    listed(&[]);
    assert_eq!(jobs.work("worker").as_deref(), Some("bar"));
    listed(&[]);
    jobs.update("spec", "bar", 4);
    listed(&["bar"]);
}

/// 120. A limit gives the first, and a start what follows.
fn list_work_units_start_limit(jobs: &Jobs) {
    jobs.set_spec("spec", []);
    jobs.add("spec", ["foo", "bar"]);
    assert_eq!(jobs.keys("spec", [("limit", i(1))]), ["bar"]);
    assert_eq!(jobs.keys("spec", [("start", s("bar")), ("limit", i(1))]), ["foo"]);
    assert_eq!(jobs.keys("spec", [("start", s("foo")), ("limit", i(1))]), [""; 0]);
}

fn delete<const N: usize>(jobs: &Jobs, options: [(&str, V); N]) -> V {
    jobs.pair("del_work_units", [s("spec"), m(options)])
}

/// 121. A unit is deleted by its key.
fn del_work_units_simple(jobs: &Jobs) {
    jobs.set_spec("spec", []);
    jobs.add("spec", ["u"]);
    assert_eq!(delete(jobs, [("work_unit_keys", l([s("u")]))]), i(1));
    assert_eq!(jobs.keys("spec", []), [""; 0]);
}

const STATES: [(i32, &str); 4] = [(1, "available"), (3, "pending"), (4, "finished"), (5, "failed")];

/// Makes so many units in each state.
fn fill(jobs: &Jobs, each: usize) {
    jobs.set_spec("spec", []);
    for (state, name) in STATES {
        for number in 0..each {
            let key = format!("{name} {number}");
            jobs.add("spec", [key.as_str()]);
            if state > 1 {
                assert_eq!(jobs.update("spec", &key, state), V::Bool(true));
            }
        }
    }
}

fn all_keys(each: usize) -> Vec<String> {
    let of = |name: &str| (0..each).map(|number| format!("{name} {number}")).collect::<Vec<_>>();
    let mut keys: Vec<String> = STATES.iter().flat_map(|(_, name)| of(name)).collect();
    keys.sort();
    keys
}

/// 122. By key, one unit in each state: it goes and the rest stays.
/// 123. By key, two units in each state.
fn del_work_units_by_key(jobs: &Jobs) {
    for each in [1, 2] {
        for (_, name) in STATES {
            fill(jobs, each);
            let key = format!("{name} 0");
            assert_eq!(delete(jobs, [("work_unit_keys", l([s(&key)]))]), i(1));
            let rest: Vec<_> = all_keys(each).into_iter().filter(|other| *other != key).collect();
            assert_eq!(jobs.keys("spec", []), rest);
            jobs.call("clear", []);
        }
    }
}

/// 124. By state, one unit in each.
/// 125. By state, two units in each.
fn del_work_units_by_state(jobs: &Jobs) {
    for each in [1, 2] {
        for (state, name) in STATES {
            fill(jobs, each);
            assert_eq!(delete(jobs, [("state", i(state))]), i(each as i128));
            let rest = all_keys(each).into_iter().filter(|other| !other.starts_with(name));
            assert_eq!(jobs.keys("spec", []), rest.collect::<Vec<_>>());
            jobs.call("clear", []);
        }
    }
}

/// 126. By key and state, one unit in each state: both must fit.
/// 127. By key and state, two units in each state.
fn del_work_units_by_key_and_state(jobs: &Jobs) {
    for each in [1, 2] {
        for (state, name) in STATES {
            fill(jobs, each);
            let key = format!("{name} 0");
            let keys = l([s(&key)]);
            for (other, _) in STATES.into_iter().filter(|(other, _)| *other != state) {
                let options = [("work_unit_keys", keys.clone()), ("state", i(other))];
                assert_eq!(delete(jobs, options), i(0));
            }
            assert_eq!(delete(jobs, [("work_unit_keys", keys), ("state", i(state))]), i(1));
            let rest: Vec<_> = all_keys(each).into_iter().filter(|other| *other != key).collect();
            assert_eq!(jobs.keys("spec", []), rest);
            jobs.call("clear", []);
        }
    }
}
