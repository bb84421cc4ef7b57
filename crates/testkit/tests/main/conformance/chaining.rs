//! Chaining: the output of a finished unit becomes units of the next spec.

use model::{Change, Data, Datum, NewUnit, UnitStatus};
use serde_json::{Value, json};
use testkit::{World, all, bytes, data, dict_data, minutes, name, new_unit, seconds, text};

cases![
    delayed_output,
    work_unit_chaining,
    chaining_mixed,
    chaining_two_step,
    chaining_expiry,
    chaining_duplicate,
    output_names,
    output_map,
    output_lists,
    output_of_other_shapes_is_ignored,
    one_bad_value_spoils_a_map,
    new_data_without_output_does_not_chain,
    failing_does_not_chain,
    output_without_next_is_only_data,
];

/// Makes two specs, of which the first chains into the second.
fn chain(w: &World) {
    w.set_spec(&json!({"name": "one", "then": "two"}));
    w.set_spec(&json!({"name": "two", "disabled": true}));
}

/// Finishes a new unit of the first spec with some output and gives the names made of it.
fn output(w: &World, output: Datum) -> Vec<String> {
    w.delete("two", all());
    w.add("one", ["a"]);
    let attempt = w.claim_one_from(&["one"]);
    w.change(&attempt, Change::Finish, Some(dict_data([("output", output)]))).unwrap();
    assert_eq!(w.status("one", "a"), UnitStatus::Finished);
    w.names("two", all())
}

fn json_output(w: &World, value: &Value) -> Vec<String> {
    output(w, model::datum_from_json(value).unwrap())
}

/// 36. Output with a delay appears only after it.
fn delayed_output(w: &World) {
    chain(w);
    json_output(w, &json!([["late", {"x": 1}, {"delay": 90}]]));
    w.set_meta("two", |meta| meta.paused = false);
    w.advance(seconds(60));
    assert_eq!(w.status("two", "late"), UnitStatus::Delayed);
    w.no_work();
    w.advance(seconds(60));
    let attempt = w.claim_one();
    assert_eq!((attempt.unit, attempt.data), (name("late"), data(&json!({"x": 1}))));
}

/// 42. No output, a map, a list of names, and output that the unit was added with.
fn work_unit_chaining(w: &World) {
    chain(w);
    w.add("one", ["none"]);
    let attempt = w.claim_one();
    w.finish(&attempt).unwrap();
    assert_eq!(w.names("two", all()), [""; 0]);

    assert_eq!(json_output(w, &json!({"x": {"k": "x"}, "y": {}})), ["x", "y"]);
    assert_eq!(w.unit("two", "x").data, data(&json!({"k": "x"})));
    assert_eq!(json_output(w, &json!(["m", "n"])), ["m", "n"]);
    assert_eq!(w.unit("two", "m").data, Data::default());

    w.delete("two", all());
    w.add_data("one", "own", &json!({"output": {"own": {"k": 1}}}));
    let attempt = w.claim_one();
    w.finish(&attempt).unwrap();
    assert_eq!(w.names("two", all()), ["own"]);
    assert_eq!(w.unit("two", "own").data, data(&json!({"k": 1})));
}

/// 43. Of one name in the output the last counts.
fn chaining_mixed(w: &World) {
    chain(w);
    let key = || text("key");
    let map = Datum::Map(vec![(text("x"), Datum::Int(2))]);
    let tuple = Datum::Tuple(vec![key(), map, Datum::Map(vec![]), Datum::Float(10.0)]);
    assert_eq!(output(w, Datum::List(vec![key(), tuple])), ["key"]);
    let unit = w.unit("two", "key");
    assert_eq!((unit.data, unit.meta.priority), (data(&json!({"x": 2})), 10.0));
}

/// 44. Output said in an earlier renewal is used by a finish without data.
fn chaining_two_step(w: &World) {
    chain(w);
    w.add("one", [b"\x01\x02\x03\x04"]);
    let attempt = w.claim_one();
    let map = Datum::Map(vec![(text("foo"), text("bar"))]);
    let meta = Datum::Map(vec![(text("priority"), Datum::Int(0))]);
    let item = Datum::Tuple(vec![bytes([1, 2, 3, 4]), map, meta]);
    let said = dict_data([("output", Datum::List(vec![item]))]);
    w.change(&attempt, Change::Renew(minutes(15)), Some(said)).unwrap();
    assert_eq!(w.names("two", all()), [""; 0]);
    w.finish(&attempt).unwrap();
    let units = w.units("two", all());
    assert_eq!(units[0].name.as_bytes(), [1, 2, 3, 4]);
    assert_eq!(units[0].data, data(&json!({"foo": "bar"})));
    assert_eq!(units[0].meta.priority, 0.0);
}

/// 45. A superseded attempt can finish but adds nothing.
fn chaining_expiry(w: &World) {
    chain(w);
    w.add_data("one", "a", &json!({"output": ["x"]}));
    let first = w.claim_one();
    let second = w.make("one", "a");
    assert_ne!(first.id, second.id);
    w.finish(&first).unwrap();
    assert_eq!(w.names("two", all()), [""; 0]);
    assert_eq!(w.status("one", "a"), UnitStatus::Pending);
    w.finish(&second).unwrap();
    assert_eq!(w.names("two", all()), ["x"]);
}

/// 46. Output that names a finished unit makes it run, and finish, again.
fn chaining_duplicate(w: &World) {
    chain(w);
    w.set_meta("two", |meta| meta.paused = false);
    for round in 1..=2 {
        w.add_data("one", &format!("a{round}"), &json!({"output": {"z": {"round": round}}}));
        let attempt = w.claim_one_from(&["one"]);
        w.finish(&attempt).unwrap();
        assert_eq!(w.status("two", "z"), UnitStatus::Available);
        let attempt = w.claim_one_from(&["two"]);
        assert_eq!(attempt.data, data(&json!({ "round": round })));
        w.finish(&attempt).unwrap();
        assert_eq!(w.status("two", "z"), UnitStatus::Finished);
    }
    assert_eq!(w.history("two", "z").len(), 2, "past attempts are kept");
}

/// 87. Names in the output become units without data.
fn output_names(w: &World) {
    chain(w);
    let list = vec![text("one"), bytes("two"), text("")];
    assert_eq!(output(w, Datum::List(list.clone())), ["", "one", "two"]);
    assert!(w.units("two", all()).iter().all(|unit| unit.data.is_empty()));
    assert_eq!(output(w, Datum::Tuple(list)), ["", "one", "two"]);
}

/// 88. A map in the output becomes units with the data given.
fn output_map(w: &World) {
    chain(w);
    assert_eq!(json_output(w, &json!({"a": {"x": [1, 2.0]}, "b": null})), ["a", "b"]);
    assert_eq!(w.unit("two", "a").data, data(&json!({"x": [1, 2.0]})));
    assert_eq!(w.unit("two", "b").data, Data::default());
}

/// 89. Lists in the output: name, data, meta with priority and delay, priority.
fn output_lists(w: &World) {
    chain(w);
    let items = json!([
        ["short"],
        ["plain", {"x": 1}],
        ["meta", {}, {"priority": 17, "other": "ignored"}],
        ["delay", {}, {"delay": 90.9}],
        ["past", {}, {"delay": -5}],
        ["fourth", {}, {}, 3.5],
        ["wins", {}, {"priority": 1.0}, 2.5],
        ["null", {}, null, null],
        [7, {}],
        17,
    ]);
    let names = ["delay", "fourth", "meta", "null", "past", "plain", "wins"];
    assert_eq!(json_output(w, &items), names);
    let meta = |unit| w.unit("two", unit).meta;
    assert_eq!(w.unit("two", "plain").data, data(&json!({"x": 1})));
    assert_eq!(meta("plain").priority, 0.0);
    assert_eq!(meta("meta").priority, 17.0);
    assert_eq!(meta("delay").not_before, Some(w.now().plus(seconds(90))));
    assert_eq!(w.status("two", "past"), UnitStatus::Available);
    assert_eq!(meta("fourth").priority, 3.5);
    assert_eq!(meta("wins").priority, 2.5);
    assert_eq!(meta("null").priority, 0.0);
}

fn output_of_other_shapes_is_ignored(w: &World) {
    chain(w);
    for value in [json!("text"), json!(5), json!(null), json!(true), json!([])] {
        assert_eq!(json_output(w, &value), [""; 0], "{value}");
    }
    assert_eq!(output(w, Datum::Uuid([7; 16])), [""; 0]);
}

fn one_bad_value_spoils_a_map(w: &World) {
    chain(w);
    assert_eq!(json_output(w, &json!({"a": {}, "b": 5})), [""; 0]);
    let map = vec![(text("a"), Datum::Map(vec![])), (Datum::Int(1), Datum::Map(vec![]))];
    assert_eq!(output(w, Datum::Map(map)), [""; 0]);
}

fn new_data_without_output_does_not_chain(w: &World) {
    chain(w);
    w.add_data("one", "a", &json!({"output": ["x"]}));
    let attempt = w.claim_one();
    w.finish_with(&attempt, &json!({"other": 1})).unwrap();
    assert_eq!(w.names("two", all()), [""; 0]);
}

fn failing_does_not_chain(w: &World) {
    chain(w);
    w.add_data("one", "a", &json!({"output": ["x"]}));
    let attempt = w.claim_one();
    w.fail(&attempt).unwrap();
    assert_eq!(w.names("two", all()), [""; 0]);
    w.finish(&attempt).unwrap();
    assert_eq!(w.names("two", all()), ["x"], "success wins over an earlier failure");
}

fn output_without_next_is_only_data(w: &World) {
    w.plain_spec("one");
    let unit = NewUnit { data: data(&json!({"output": ["x"]})), ..new_unit("a") };
    w.add_unit("one", unit);
    let attempt = w.claim_one();
    w.finish(&attempt).unwrap();
    assert_eq!(w.names("one", all()), ["a"]);
    assert_eq!(w.spec_names(), ["one"]);
}
