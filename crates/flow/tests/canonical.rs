//! The canonical form: one for all ways to write the same, and readable again.

use flow::Definition;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::examples;

fn parse(text: &str) -> Definition {
    Definition::parse(text).unwrap_or_else(|problems| panic!("{problems:#?}\n{text}"))
}

#[test]
fn each_example_reads_its_canonical_form_as_the_same() {
    for (name, text) in examples::all() {
        let definition = parse(&text);
        let again = parse(&definition.canonical());
        assert_eq!(again, definition, "{name}");
        assert_eq!(again.canonical(), definition.canonical(), "{name}");
    }
}

#[test]
fn spellings_of_the_same_have_one_hash() {
    let head = "document: {dsl: '1.0.3', namespace: a, name: b, version: '1.0.0'}\n";
    let pairs = [
        ("do: [{w: {wait: PT1H30M}}]", "do: [{w: {wait: {minutes: 30, hours: 1}}}]"),
        (
            "do: [{w: {wait: PT1S, if: .a}}]",
            "do: [{w: {if: '${ .a }', wait: PT1S, then: continue}}]",
        ),
        ("do: [{s: {set: {a: 1.0, b: 2}}}]", "do:\n- s:\n    set:\n      b: 2\n      a: 1\n"),
        (
            "do: [{h: {call: http, with: {method: get, endpoint: e}}}]",
            "do: [{h: {with: {output: content, endpoint: \"e\", method: GET}, call: http}}]",
        ),
        (
            "do: [{s: {set: &x {a: 1}}}, {t: {set: *x}}]",
            "do: [{s: {set: {a: 1}}}, {t: {set: {a: 1}}}]",
        ),
    ];
    for (one, other) in pairs {
        let (one, other) = (format!("{head}{one}"), format!("{head}{other}"));
        assert_eq!(parse(&one).canonical(), parse(&other).canonical());
        assert_eq!(parse(&one).content_hash(), parse(&other).content_hash());
    }
    let other = parse(&format!("{head}do: [{{w: {{wait: PT2S}}}}]"));
    assert_ne!(
        other.content_hash(),
        parse(&format!("{head}do: [{{w: {{wait: PT1S}}}}]")).content_hash()
    );
}

#[test]
fn the_hash_of_a_document_never_changes() {
    let text = "document: {dsl: '1.0.3', namespace: a, name: b, version: '1.0.0'}\n\
        do: [{w: {wait: PT1S}}]";
    let tasks = r#"[{"w":{"then":"continue","wait":"PT1S"}}]"#;
    let head = r#"{"dsl":"1.0.3","name":"b","namespace":"a","version":"1.0.0"}"#;
    let canonical = format!(r#"{{"do":{tasks},"document":{head}}}"#);
    assert_eq!(parse(text).canonical(), canonical);
    let digest = "abb30e587491e091b4d5b62de07e1ba1faaa543f2eef18ea0c1a2b8a9918ebab";
    assert_eq!(parse(text).content_hash(), digest);
}

#[test]
fn json_is_read_with_its_own_escapes_and_tabs() {
    let text = "{\n\t\"document\": {\"dsl\": \"1.0.3\", \"namespace\": \"a\", \"name\": \"b\", \
        \"version\": \"1.0.0\"},\n\t\"do\": [\n\t\t{\"s\": {\"set\": {\"x\": \
        \"\\ud83d\\ude00 \\/ \\u00e9\", \"n\": 1e3}}}\n\t]\n}\n";
    let canonical = parse(text).canonical();
    assert!(canonical.contains("\"x\":\"\u{1f600} / \u{e9}\""), "{canonical}");
    assert!(canonical.contains("\"n\":1000"), "{canonical}");
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_filter("finite", |f| f.is_finite()).prop_map(Value::from),
        "[ -~]{0,12}|\\PC{0,6}"
            .prop_filter("not meant to be computed", |text| !text.contains("${"))
            .prop_map(Value::from),
        Just(Value::from("${ .a | length }")),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{1,6}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn task(depth: u32) -> BoxedStrategy<Value> {
    let data = prop::collection::btree_map("[a-z]{1,6}", value(), 1..4)
        .prop_map(|map| json!({"set": Value::Object(map.into_iter().collect())}));
    let wait = (1..100_000_u32, any::<bool>()).prop_map(|(n, text)| {
        if text { json!({"wait": format!("PT{n}S")}) } else { json!({"wait": {"minutes": n}}) }
    });
    let call = value().prop_map(|body| {
        json!({"call": "http", "with": {"method": "post", "endpoint": "https://a", "body": body}})
    });
    let leaf = prop_oneof![data, wait, call].boxed();
    if depth == 0 {
        return leaf;
    }
    let inner = || tasks(depth - 1);
    prop_oneof![
        leaf,
        inner().prop_map(|tasks| json!({"do": tasks, "if": ".a"})),
        inner().prop_map(|tasks| json!({"fork": {"branches": tasks, "compete": true}})),
        inner().prop_map(|tasks| json!({"for": {"in": ".items"}, "do": tasks})),
        (inner(), inner())
            .prop_map(|(tasks, catch)| json!({"try": tasks, "catch": {"do": catch, "as": "e"}})),
    ]
    .boxed()
}

fn tasks(depth: u32) -> BoxedStrategy<Value> {
    prop::collection::btree_map("[a-zA-Z ]{0,8}[a-z]", task(depth), 1..4)
        .prop_map(|tasks| {
            let named = tasks.into_iter().map(|(name, task)| {
                let name = name.trim_start().to_owned();
                Value::Object(Map::from_iter([(name, task)]))
            });
            let mut seen = std::collections::BTreeSet::new();
            let names = |task: &Value| task.as_object().unwrap().keys().next().unwrap().clone();
            named.filter(|task| seen.insert(names(task))).collect()
        })
        .boxed()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn canonical_forms_read_as_what_they_were_made_of(tasks in tasks(3)) {
        let head = json!({"dsl": "1.0.3", "namespace": "a", "name": "b", "version": "1.0.0"});
        let document = json!({"document": head, "do": tasks});
        let compact = parse(&document.to_string());
        let pretty = parse(&serde_json::to_string_pretty(&document).unwrap());
        let again = parse(&compact.canonical());
        prop_assert_eq!(&again, &compact);
        prop_assert_eq!(&pretty, &compact);
        prop_assert_eq!(again.content_hash(), compact.content_hash());
    }
}
