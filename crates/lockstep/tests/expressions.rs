//! Expressions that mean harm: each is a failure of its own, and all others get their answers.

use std::{collections::BTreeMap, time::Duration};

use engine::expr::{Pool, PoolOptions};
use flow::run::{Answer, Ask};
use serde_json::{Value, json};

fn pool(deadline: Duration) -> Pool {
    Pool::new(PoolOptions {
        program: env!("CARGO_BIN_EXE_lockstep").into(),
        children_max: 2,
        deadline,
        ..PoolOptions::of_this_program()
    })
}

fn ask(source: &str, input: Value) -> Ask {
    let source = source.to_owned();
    Ask::Expression { source, input, variables: BTreeMap::new(), secrets: false }
}

fn failed(answer: &Answer) -> &str {
    match answer {
        Answer::Failed(why) => why,
        Answer::Value(value) => panic!("{value}"),
    }
}

/// Nested beyond what can be parsed, and yet without a bracket.
fn nested(open: &str, close: &str) -> String {
    let count = 4_000 / (open.len() + close.len());
    format!("{}1{}", open.repeat(count), close.repeat(count))
}

#[tokio::test]
async fn what_an_expression_can_do_wrong_it_does_alone() {
    let pool = pool(Duration::from_secs(2));
    let hostile = [
        ("non-tail recursion", "def f(n): if n == 0 then 0 else 1 + f(n - 1) end; f(100000000)"),
        ("recursion without end", "def f: 1 + f; f"),
        ("an endless loop", "last(repeat(1))"),
        ("an endless search", "first(range(1e18) | select(. < 0))"),
        ("a list bomb", "[range(1e9)]"),
        ("a list that grows", "[limit(1e9; repeat(1))] | length"),
        ("a string bomb", "\"x\" * 1e9 | length"),
        ("a string that doubles", "reduce range(40) as $i (\"x\"; . + .)"),
        ("a nested copy", "reduce range(60) as $i ([1]; [., .])| tojson | length"),
        ("a large output", "[range(300000)]"),
        ("the environment", "env"),
        ("the environment as a variable", "$ENV"),
        ("the end of the process", "halt"),
        ("the end with an error", "halt_error"),
        ("the input of the process", "input"),
        ("all inputs", "[inputs]"),
        ("the clock", "now"),
        ("the log", "debug"),
        ("standard error", "stderr"),
        ("files", "import \"/etc/passwd\" as $x; $x"),
        (
            "a regular expression of much work",
            r#"("a" * 32 + "!") | test("^(a|aa)+$") | if . then . else error("no") end"#,
        ),
    ];
    let mut asks = Vec::new();
    for (_, source) in &hostile {
        asks.push(ask(source, json!(1)));
        asks.push(ask(". + 1", json!(1)));
    }
    let brackets = [nested("[", "]"), nested("(", ")"), "[".repeat(20_000)];
    let long = ["-".repeat(50_000) + "1", "1".to_owned() + &" + 1".repeat(60_000)];
    asks.extend(brackets.iter().chain(&long).map(|source| ask(source, json!(1))));
    let answers = pool.evaluate(asks).await;
    for (number, (what, _)) in hostile.iter().enumerate() {
        assert!(!failed(&answers[2 * number]).is_empty(), "{what}");
        assert_eq!(answers[2 * number + 1], Answer::Value(json!(2)), "after {what}");
    }
    for answer in &answers[2 * hostile.len()..] {
        assert!(!failed(answer).is_empty());
    }
    // The pool goes on.
    let fine = pool.evaluate(vec![ask(".a", json!({ "a": 5 }))]).await;
    assert_eq!(fine, [Answer::Value(json!(5))]);
}

#[tokio::test]
async fn sources_that_nest_without_brackets_are_answered() {
    let pool = pool(Duration::from_secs(2));
    let sources = [
        nested("-", ""),
        nested("if . then ", " end"),
        nested("try ", ""),
        nested("def f: ", "; f"),
        nested("1 as $x | ", ""),
        nested("1 + ", ""),
        nested("label $x | ", ""),
    ];
    let asks = sources.iter().map(|source| ask(source, json!(1))).collect();
    let answers = pool.evaluate(asks).await;
    // Whether they can be computed does not matter, only that nothing is lost.
    assert_eq!(answers.len(), sources.len());
}

#[tokio::test]
async fn a_schema_that_means_harm_is_a_failure_alone() {
    let pool = pool(Duration::from_secs(2));
    let itself = json!({ "$ref": "#" });
    let around = json!({ "$defs": { "a": { "$ref": "#/$defs/b" }, "b": { "$ref": "#/$defs/a" } },
        "$ref": "#/$defs/a" });
    let pattern = json!({ "pattern": "^(a+)+$" });
    let slow = json!("a".repeat(40) + "!");
    let schema = |schema: &Value, value: Value| Ask::Schema { schema: schema.clone(), value };
    let asks = vec![
        schema(&itself, json!({ "a": 1 })),
        schema(&around, json!(1)),
        schema(&pattern, slow),
        schema(&json!({ "type": "integer" }), json!(1)),
    ];
    let answers = pool.evaluate(asks).await;
    assert_eq!(answers.len(), 4);
    assert_eq!(answers[3], Answer::Value(json!(true)));
}

#[tokio::test]
async fn data_over_the_limit_is_refused_and_many_asks_are_answered_in_their_order() {
    let pool = pool(Duration::from_secs(10));
    let large = json!("x".repeat(1 << 20));
    let mut asks = vec![ask("length", large)];
    asks.extend((0..200).map(|n| ask("length", json!("x".repeat(n * 1_000)))));
    let answers = pool.evaluate(asks).await;
    assert!(failed(&answers[0]).contains("more than"), "{:?}", answers[0]);
    for (n, answer) in answers[1..].iter().enumerate() {
        assert_eq!(*answer, Answer::Value(json!(n * 1_000)));
    }
}

#[tokio::test]
async fn many_callers_share_a_few_children() {
    let pool = std::sync::Arc::new(pool(Duration::from_secs(10)));
    let tasks: Vec<_> = (0..50)
        .map(|n| {
            let pool = std::sync::Arc::clone(&pool);
            tokio::spawn(async move { pool.evaluate(vec![ask(". * 2", json!(n))]).await })
        })
        .collect();
    for (n, task) in tasks.into_iter().enumerate() {
        assert_eq!(task.await.unwrap(), [Answer::Value(json!(2 * n))]);
    }
}

#[tokio::test]
async fn a_program_that_is_no_child_fails_its_asks() {
    let options = PoolOptions { program: "/bin/true".into(), ..PoolOptions::of_this_program() };
    let answers = Pool::new(options).evaluate(vec![ask(".", json!(1))]).await;
    assert!(failed(&answers[0]).contains("no child"), "{answers:?}");
}
