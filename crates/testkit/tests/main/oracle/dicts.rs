//! Names and data for random commands: few, so that they meet.

use model::{Data, Datum};
use proptest::{prelude::*, sample::select};
use testkit::{bytes, data, dict_data, text};

/// Names come up as often as they stand here, so that much happens to a few.
pub(crate) const SPECS: [&str; 6] = ["x", "x", "x", "y", "y", "z"];
pub(crate) const UNITS: [&[u8]; 8] = [b"a", b"a", b"a", b"b", b"b", b"", b"c\0", b"\xff"];
pub(crate) const WORKERS: [&str; 3] = ["", "v", "w"];

/// Data for units and attempts, mostly with output.
pub(crate) fn said() -> impl Strategy<Value = Data> {
    (0..12_u8).prop_map(|which| {
        let output = |value| data(&serde_json::json!({ "output": value }));
        match which {
            0..=2 => Data::default(),
            3 => data(&serde_json::json!({"x": 1})),
            4 => data(&serde_json::json!({"x": 1.0})),
            5 => output(serde_json::json!(["a", "", "b", "a"])),
            6 => output(serde_json::json!({"a": {"chained": true}, "b": null})),
            7 => output(serde_json::json!({"a": {}, "b": 7})),
            8 => output(serde_json::json!([["a", {"x": 2}, {"priority": 2}, 1.5], ["b"], 7])),
            9 => output(serde_json::json!([["b", {}, {"delay": 30.5}], ["a", {}, 5], ["", null]])),
            10 => output(serde_json::json!("a")),
            _ => {
                let tuple = Datum::Tuple(vec![bytes(b"\xff"), Datum::Map(vec![]), Datum::Null]);
                dict_data([(
                    "output",
                    Datum::Tuple(vec![tuple, bytes("c\0"), Datum::Uuid([1; 16])]),
                )])
            }
        }
    })
}

/// The dictionary of a spec.
pub(crate) fn dict(spec: &'static str) -> impl Strategy<Value = Data> {
    let limits = (0..3_i128, 0..3_i128, 0..3_i128);
    let share = (0..2_i128, 0..4_i128, prop::bool::weighted(0.1));
    let then = select(vec!["", "x", "y", "z", "nowhere"]);
    let kind = (prop::bool::weighted(0.2), select(vec!["", "go"]), select(vec![0.0, 1.0]));
    (limits, share, then, kind).prop_map(move |(limits, share, then, kind)| {
        let (max_running, max_getwork, max_retries) = limits;
        let (priority, weight, disabled) = share;
        let (continuous, runtime, min_gb) = kind;
        dict_data([
            ("name", text(spec)),
            ("max_running", Datum::Int(max_running)),
            ("max_getwork", Datum::Int(max_getwork)),
            ("max_retries", Datum::Int(max_retries)),
            ("priority", Datum::Int(priority)),
            ("weight", Datum::Int(weight)),
            ("disabled", Datum::Bool(disabled)),
            ("continuous", Datum::Bool(continuous)),
            ("interval", Datum::Int(60 * (weight % 2))),
            ("then", text(then)),
            ("runtime", text(runtime)),
            ("min_gb", Datum::Float(min_gb)),
        ])
    })
}
