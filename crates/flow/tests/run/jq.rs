//! What jq can and cannot do in an expression.

use std::collections::BTreeMap;

use flow::expr::{FUNCTIONS_REFUSED, Known, compute, functions};
use flow::limits;
use flow::run::{Answer, Ask};
use serde_json::{Value as Json, json};

fn jq(source: &str, input: Json) -> Answer {
    let ask = Ask::Expression {
        source: source.to_owned(),
        input,
        variables: BTreeMap::new(),
        secrets: false,
    };
    compute(&ask, &mut Known::default())
}

#[test]
fn the_usual_functions_are_there() {
    for (source, input, output) in [
        ("[.[] | select(. > 1)]", json!([1, 2, 3]), json!([2, 3])),
        ("map(.a) | add", json!([{ "a": 1 }, { "a": 2 }]), json!(3)),
        ("to_entries | map(.key) | join(\"-\")", json!({ "a": 1, "b": 2 }), json!("a-b")),
        ("test(\"^a+$\")", json!("aaa"), json!(true)),
        ("@base64", json!("hello"), json!("aGVsbG8=")),
        ("todate", json!(0), json!("1970-01-01T00:00:00Z")),
        ("reduce .[] as $x (0; . + $x)", json!([1, 2]), json!(3)),
        ("def f(g): g | g; f(. * 2)", json!(3), json!(12)),
        (".a // \"none\"", json!({}), json!("none")),
        ("empty", json!(1), Json::Null),
        ("1, 2", json!(1), json!(1)),
        ("6 / 2", json!(1), json!(3)),
        ("try error(\"x\") catch .", json!(1), json!("x")),
    ] {
        assert_eq!(jq(source, input), Answer::Value(output), "{source}");
    }
}

#[test]
fn nothing_reaches_outside() {
    let known = functions();
    for name in FUNCTIONS_REFUSED {
        assert!(!known.iter().any(|known| known.split('/').next() == Some(name)), "{name}");
        let Answer::Failed(why) = jq(name, Json::Null) else { panic!("{name}") };
        assert!(why.contains("is not known"), "{name}: {why}");
    }
    for source in [
        "$ENV",
        "$ENV.PATH",
        "env.PATH",
        "$__prog_args",
        "input",
        "import \"a\" as a; .",
        "include \"a\"; .",
        "halt_error(1)",
        "debug(1)",
        "get_search_list",
        "@x",
    ] {
        assert!(matches!(jq(source, json!(1)), Answer::Failed(_)), "{source}");
    }
}

/// The functions are what documents are written with, so none goes or comes unnoticed.
#[test]
fn the_list_of_functions_is_known() {
    let text = functions().join("\n") + "\n";
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/functions.txt");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, &text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(&file).unwrap());
}

#[test]
fn what_is_too_large_is_refused_before_it_runs() {
    let long = format!("1{}", " + 1".repeat(limits::EXPRESSION_BYTES_MAX / 4));
    let deep = format!("{}1{}", "[".repeat(33), "]".repeat(33));
    for source in [long, deep, "[1".to_owned(), String::new()] {
        assert!(matches!(jq(&source, Json::Null), Answer::Failed(_)));
    }
    let large = format!("\"x\" * {}", limits::VALUE_BYTES_MAX);
    let Answer::Failed(why) = jq(&large, Json::Null) else { panic!() };
    assert!(why.contains("more than 1048576 bytes"), "{why}");
}

#[test]
fn a_schema_says_where_a_value_does_not_fit() {
    let ask =
        |schema: Json, value: Json| compute(&Ask::Schema { schema, value }, &mut Known::default());
    let schema = json!({ "type": "object", "properties": { "n": { "type": "integer" } } });
    assert_eq!(ask(schema.clone(), json!({ "n": 1 })), Answer::Value(true.into()));
    let Answer::Failed(why) = ask(schema, json!({ "n": "x" })) else { panic!() };
    assert!(why.starts_with("/n: "), "{why}");
    // Nothing is fetched.
    let elsewhere = json!({ "$ref": "https://example.com/schema.json" });
    assert!(matches!(ask(elsewhere, json!(1)), Answer::Failed(_)));
}
