//! What is computed in place is what jq computes.

use std::collections::BTreeMap;

use flow::expr::{Known, compute, quick};
use flow::run::{Answer, Ask};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

fn jq(source: &str, input: &Json, variables: &BTreeMap<String, Json>) -> Answer {
    let ask = Ask::Expression {
        source: source.to_owned(),
        input: input.clone(),
        variables: variables.clone(),
        secrets: false,
    };
    compute(&ask, &mut Known::default())
}

fn values() -> impl Strategy<Value = Json> {
    let scalar = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        (-5i64..5).prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        (-10i32..10).prop_map(|n| Json::from(f64::from(n) / 4.0)),
        prop::sample::select(vec!["", "a", "b", "é", "1", "a\"b\\", "\n"]).prop_map(Json::from),
    ];
    scalar.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Json::from),
            prop::collection::btree_map(prop::sample::select(vec!["a", "b", "c d"]), inner, 0..3)
                .prop_map(|map| map.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()),
        ]
    })
}

fn term() -> impl Strategy<Value = String> {
    let paths = [
        ".", ".a", ".a.b", ".\"c d\"", ".[\"a\"]", ".[0]", ".a[1]", ".a.[0]", "$v", "$v.a",
        "$v[0].b", ".a.", "..", ".a?", ".[-1]", ". a", "$w", ".a . b", "$v . a",
    ];
    let literals = [
        "null",
        "true",
        "false",
        "0",
        "-1",
        "12",
        "007",
        "1.5",
        "1e3",
        "\"\"",
        "\"a\"",
        "\"é\"",
        "\"a\\\"b\\\\\"",
        "\"\\u0041\"",
        "\"\\(.a)\"",
        "\"x\\( $v.b )y\\(.)\"",
        "empty",
        "not",
        "-.a",
    ];
    let all: Vec<&str> = paths.into_iter().chain(literals).collect();
    prop::sample::select(all).prop_map(ToOwned::to_owned)
}

fn source() -> impl Strategy<Value = String> {
    let signs = [" == ", "!=", " < ", "<= ", ">", ">=", " , ", " and ", "//", "|", "  ", "="];
    let sign = prop::sample::select(signs.to_vec());
    (term(), prop::option::of((sign, term()))).prop_map(|(left, right)| match right {
        Some((sign, right)) => format!("{left}{sign}{right}"),
        None => left,
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 3_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn what_is_simple_is_what_jq_says(source in source(), input in values(), v in values()) {
        let variables = BTreeMap::from([("v".to_owned(), v)]);
        if let Some(value) = quick(&source, &input, &variables) {
            prop_assert_eq!(jq(&source, &input, &variables), Answer::Value(value), "{}", source);
        }
    }
}

#[test]
fn what_is_common_is_simple() {
    let input = json!({ "a": { "b": [1, "x"] }, "n": 5 });
    let variables = BTreeMap::from([("context".to_owned(), json!({ "order": "7" }))]);
    for (source, value) in [
        (".", input.clone()),
        (".a.b[1]", json!("x")),
        ("$context.order == \"7\"", json!(true)),
        (".n >= 5", json!(true)),
        ("\"Order \\($context.order): \\(.n)\"", json!("Order 7: 5")),
        (".missing.deep", Json::Null),
        ("5", json!(5)),
    ] {
        assert_eq!(quick(source, &input, &variables), Some(value), "{source}");
    }
    // What is not, or would fail, is left to jq.
    for source in [".a + 1", ".n.a", ".[0]", "$unknown", "now", ".a.b | length"] {
        assert_eq!(quick(source, &input, &variables), None, "{source}");
    }
}
