//! Work specs and their meta.

use std::time::Duration;

use model::{Answer, Control, Datum, Error, Page, Query, SpecMeta, SpecRef};
use serde_json::json;
use testkit::{World, absent, all, data, dict_data, minutes, new_unit, seconds, spec_name};

cases![
    spec_create_destroy,
    spec_errors,
    two_work_specs_basic,
    change_spec_data,
    data_empty_list,
    default_meta,
    prefilled_meta,
    set_data_sets_meta,
    nice_weight,
    set_meta,
    meta_continuous,
    meta_counts,
    spec_deleted_gone,
    spec_in_namespace_gone,
    one_day_interval,
    durations,
    replacing_keeps_units_and_attempts,
    control_changes_only_what_is_given,
    refused_keys_change_nothing,
    specs_are_paged,
];

/// 3. An unknown spec is refused by name; a created one is listed with its data until destroyed.
fn spec_create_destroy(w: &World) {
    let unknown = Error::NoSuchWorkSpec("spec".to_owned());
    let spec = SpecRef { name: spec_name("spec"), id: None };
    w.create();
    assert_eq!(w.try_spec(spec.clone()).unwrap_err(), unknown);
    let dict = json!({"name": "spec", "min_gb": 1, "other": {"nested": [1, "two", null]}});
    w.set_spec(&dict);
    assert_eq!(w.spec("spec").data, data(&dict));
    assert_eq!(w.spec_names(), ["spec"]);
    w.destroy_spec("spec").unwrap();
    assert_eq!(w.try_spec(spec).unwrap_err(), unknown);
    assert_eq!(w.spec_names(), [""; 0]);
    assert_eq!(w.destroy_spec("spec").unwrap_err(), unknown);
}

/// 4. A dictionary without a name, or with a name that is not text, is refused.
fn spec_errors(w: &World) {
    let refused = |dict| w.try_set_spec(data(&dict)).unwrap_err();
    assert_eq!(refused(json!({})), Error::NoWorkSpecName);
    assert_eq!(refused(json!({"name": null})), Error::NoWorkSpecName);
    assert_eq!(refused(json!({"name": ""})), Error::NoWorkSpecName);
    assert_eq!(refused(json!({"name": 4})), Error::BadWorkSpecName);
}

/// 5. Two specs live and die independently.
fn two_work_specs_basic(w: &World) {
    w.plain_spec("one");
    assert_eq!(w.spec_names(), ["one"]);
    w.plain_spec("two");
    assert_eq!(w.spec_names(), ["one", "two"]);
    w.destroy_spec("one").unwrap();
    assert_eq!(w.spec_names(), ["two"]);
    w.destroy_spec("two").unwrap();
    assert_eq!(w.spec_names(), [""; 0]);
}

/// 6. New data replaces the old; without the name or under another one it is refused.
fn change_spec_data(w: &World) {
    w.set_spec(&json!({"name": "spec", "old": 1}));
    let dict = json!({"name": "spec", "new": 2});
    w.change_spec("spec", &dict).unwrap();
    assert_eq!(w.spec("spec").data, data(&dict));
    assert_eq!(w.change_spec("spec", &json!({})).unwrap_err(), Error::NoWorkSpecName);
    assert_eq!(w.change_spec("spec", &json!({"name": "x"})).unwrap_err(), Error::ChangedName);
    assert_eq!(w.change_spec("spec", &json!({"name": 3})).unwrap_err(), Error::BadWorkSpecName);
    assert_eq!(w.spec("spec").data, data(&dict));
    assert_eq!(
        w.change_spec("other", &json!({"name": "other"})).unwrap_err(),
        Error::NoSuchWorkSpec("other".to_owned())
    );
}

/// 7. An empty list in spec data stays an empty list.
fn data_empty_list(w: &World) {
    let dict = json!({"name": "spec", "outer": {"inner": []}});
    w.set_spec(&dict);
    assert_eq!(w.spec("spec").data, data(&dict));
}

fn fresh() -> SpecMeta {
    SpecMeta {
        priority: 0,
        weight: 20,
        paused: false,
        continuous: false,
        can_be_continuous: false,
        interval: Duration::ZERO,
        next_continuous: None,
        max_running: 0,
        max_attempts_returned: 0,
        max_retries: 0,
        min_memory_gb: 0.0,
        next_work_spec: String::new(),
        runtime: String::new(),
    }
}

/// 8. A fresh spec has the default meta and no units.
fn default_meta(w: &World) {
    w.plain_spec("spec");
    assert_eq!(w.meta("spec"), fresh());
    assert_eq!(w.counts("spec").total(), 0);
}

fn special_keys() -> (serde_json::Value, SpecMeta) {
    let dict = json!({
        "name": "spec", "disabled": true, "continuous": true, "interval": 60, "priority": 10,
        "weight": 5, "min_gb": 1.5, "max_running": 7, "max_getwork": 8, "max_retries": 9,
        "then": "next", "runtime": "go", "module": "kept", "task": ["kept"],
    });
    let meta = SpecMeta {
        priority: 10,
        weight: 5,
        paused: true,
        continuous: true,
        can_be_continuous: true,
        interval: minutes(1),
        next_continuous: None,
        max_running: 7,
        max_attempts_returned: 8,
        max_retries: 9,
        min_memory_gb: 1.5,
        next_work_spec: "next".to_owned(),
        runtime: "go".to_owned(),
    };
    (dict, meta)
}

/// 9. Each special key lands in its meta field.
fn prefilled_meta(w: &World) {
    let (dict, meta) = special_keys();
    w.set_spec(&dict);
    assert_eq!(w.meta("spec"), meta);
    assert_eq!(w.spec("spec").data, data(&dict));
}

/// 10. Changing the data derives all meta again.
fn set_data_sets_meta(w: &World) {
    let (dict, meta) = special_keys();
    w.plain_spec("spec");
    w.change_spec("spec", &dict).unwrap();
    assert_eq!(w.meta("spec"), meta);
    w.change_spec("spec", &json!({"name": "spec"})).unwrap();
    assert_eq!(w.meta("spec"), fresh());
}

/// 11. The weight is 20 less `nice`, at least 1, unless it is given.
fn nice_weight(w: &World) {
    let weight = |dict| {
        w.set_spec(&dict);
        w.meta("spec").weight
    };
    assert_eq!(weight(json!({"name": "spec", "nice": 5})), 15);
    assert_eq!(weight(json!({"name": "spec", "nice": 100})), 1);
    assert_eq!(weight(json!({"name": "spec", "nice": -80})), 100);
    assert_eq!(weight(json!({"name": "spec", "weight": 50, "nice": 5})), 50);
    assert_eq!(weight(json!({"name": "spec"})), 20);
}

/// 12. Setting the meta changes what can be set and leaves the rest.
fn set_meta(w: &World) {
    w.set_spec(&json!({"name": "spec", "continuous": true, "then": "next", "runtime": "go"}));
    let set = SpecMeta {
        priority: 10,
        weight: 20,
        paused: true,
        continuous: false,
        can_be_continuous: false,
        interval: minutes(2),
        next_continuous: Some(w.now().plus(minutes(3))),
        max_running: 10,
        max_attempts_returned: 1,
        max_retries: 2,
        min_memory_gb: 1.0,
        next_work_spec: "ignored".to_owned(),
        runtime: "ignored".to_owned(),
    };
    w.set_meta("spec", |meta| *meta = set.clone());
    let kept = SpecMeta {
        can_be_continuous: true,
        next_work_spec: "next".to_owned(),
        runtime: "go".to_owned(),
        ..set
    };
    assert_eq!(w.meta("spec"), kept);
}

/// 13. A spec that is not declared continuous cannot be made so, which is no error.
fn meta_continuous(w: &World) {
    w.plain_spec("spec");
    w.set_meta("spec", |meta| meta.continuous = true);
    assert!(!w.meta("spec").continuous);
    w.control("spec", Control { continuous: Some(true), ..Control::default() }).unwrap();
    assert!(!w.meta("spec").continuous);
}

/// 14. The counts follow a unit through its life.
fn meta_counts(w: &World) {
    w.plain_spec("spec");
    assert_eq!(w.ready_and_pending("spec"), (0, 0));
    w.add("spec", ["a"]);
    assert_eq!(w.ready_and_pending("spec"), (1, 0));
    let attempt = w.claim_one();
    assert_eq!(w.ready_and_pending("spec"), (0, 1));
    w.expire(&attempt).unwrap();
    assert_eq!(w.ready_and_pending("spec"), (1, 0));
    let attempt = w.claim_one();
    assert_eq!(w.ready_and_pending("spec"), (0, 1));
    w.retry(&attempt, seconds(0)).unwrap();
    assert_eq!(w.ready_and_pending("spec"), (1, 0));
    let attempt = w.claim_one();
    assert_eq!(w.ready_and_pending("spec"), (0, 1));
    w.finish(&attempt).unwrap();
    assert_eq!(w.ready_and_pending("spec"), (0, 0));
    assert_eq!(w.counts("spec").finished, 1);
}

/// 15. A destroyed spec has no meta and takes no units.
fn spec_deleted_gone(w: &World) {
    let id = w.plain_spec("spec");
    w.destroy_spec("spec").unwrap();
    let spec = SpecRef { name: spec_name("spec"), id: Some(id) };
    let result = w.try_spec(spec);
    assert!(matches!(&result, Err(Error::Gone | Error::NoSuchWorkSpec(_))), "{result:?}");
    let result = w.try_add("spec", vec![new_unit("a")]);
    assert_eq!(result.unwrap_err(), Error::NoSuchWorkSpec("spec".to_owned()));
}

/// 16. The same after the whole namespace was destroyed.
fn spec_in_namespace_gone(w: &World) {
    let id = w.plain_spec("spec");
    w.destroy().unwrap();
    assert!(absent(&w.try_spec(SpecRef { name: spec_name("spec"), id: Some(id) })));
    assert!(absent(&w.try_add("spec", vec![new_unit("a")])));
}

/// 17. A continuous spec with an interval of a day gives one attempt at the first request.
fn one_day_interval(w: &World) {
    w.set_spec(&json!({"name": "spec", "continuous": true, "interval": 86400}));
    assert_eq!(w.claim_one().spec, spec_name("spec"));
    w.no_work();
}

/// 146. Spans from a second to two days keep their length.
fn durations(w: &World) {
    for span in [1, 60, 3_600, 24 * 3_600, 25 * 3_600, 49 * 3_600] {
        w.set_spec(&json!({"name": "spec", "interval": span}));
        assert_eq!(w.meta("spec").interval, seconds(span));
        w.set_meta("spec", |meta| meta.interval += Duration::from_nanos(1));
        assert_eq!(w.meta("spec").interval, seconds(span) + Duration::from_nanos(1));
    }
}

fn replacing_keeps_units_and_attempts(w: &World) {
    let id = w.set_spec(&json!({"name": "spec", "priority": 5}));
    w.add("spec", ["a", "b"]);
    let attempt = w.claim_one();
    w.set_meta("spec", |meta| meta.max_running = 9);
    assert_eq!(w.set_spec(&json!({"name": "spec", "weight": 3})), id);
    assert_eq!(w.meta("spec"), SpecMeta { weight: 3, ..fresh() });
    assert_eq!(w.names("spec", all()), ["a", "b"]);
    assert_eq!(w.ready_and_pending("spec"), (1, 1));
    w.finish(&attempt).unwrap();
}

fn control_changes_only_what_is_given(w: &World) {
    let (dict, meta) = special_keys();
    w.set_spec(&dict);
    w.control("spec", Control { paused: Some(false), ..Control::default() }).unwrap();
    assert_eq!(w.meta("spec"), SpecMeta { paused: false, ..meta.clone() });
    let all = Control {
        continuous: Some(false),
        paused: Some(true),
        priority: Some(-1),
        weight: Some(2),
        interval: Some(seconds(3)),
        max_running: Some(4),
    };
    w.control("spec", all).unwrap();
    let changed = SpecMeta {
        continuous: false,
        priority: -1,
        weight: 2,
        interval: seconds(3),
        max_running: 4,
        ..meta
    };
    assert_eq!(w.meta("spec"), changed);
    assert!(absent(&w.control("other", Control::default())));
}

fn refused_keys_change_nothing(w: &World) {
    let (dict, meta) = special_keys();
    w.set_spec(&dict);
    let wrong = [
        ("priority", Datum::Bool(true)),
        ("weight", testkit::text("7")),
        ("disabled", Datum::Int(1)),
        ("then", Datum::Int(1)),
        ("min_gb", Datum::Float(f64::NAN)),
    ];
    for (key, value) in wrong {
        let dict = dict_data([("name", testkit::text("spec")), (key, value)]);
        let refused = w.try_set_spec(dict).unwrap_err();
        assert!(matches!(&refused, Error::BadWorkSpecKey { key: k, .. } if k == key), "{refused}");
    }
    assert_eq!(w.meta("spec"), meta);
    assert_eq!(w.spec("spec").data, data(&dict));
}

fn specs_are_paged(w: &World) {
    for name in ["c", "a", "b"] {
        w.plain_spec(name);
    }
    let page = |after: Option<&str>| {
        let page = Page { after: after.map(spec_name), limit: 2 };
        match w.ask(Query::Specs(w.namespace().clone(), page)) {
            Ok(Answer::Specs(specs)) => specs.iter().map(|s| s.name.to_string()).collect(),
            other => panic!("asking for work specs answers {other:?}"),
        }
    };
    let pages: [Vec<String>; 3] = [page(None), page(Some("b")), page(Some("c"))];
    assert_eq!(pages.concat(), ["a", "b", "c"]);
}
