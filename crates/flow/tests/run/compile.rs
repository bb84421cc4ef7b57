//! From definitions to programs.

use flow::run::{Action, IR_VERSION, Next, Program};
use flow::{Code, Definition, Pos, Problem};
use serde_json::json;

use crate::examples;

#[test]
fn each_example_compiles() {
    for (name, text) in examples::all() {
        let definition = Definition::parse(&text).unwrap();
        let program = Program::compile(&definition).unwrap_or_else(|problems| {
            let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
            panic!("{name}:\n{}", lines.join("\n"))
        });
        assert_eq!(program.ir_version, IR_VERSION);
        assert_eq!(program.name, name);
        assert_eq!(program.hash, definition.content_hash());
        let json = serde_json::to_string(&program).unwrap();
        assert_eq!(serde_json::from_str::<Program>(&json).unwrap(), program, "{name}");
    }
}

fn problems(tasks: &str) -> Vec<Problem> {
    let text = format!(
        "document: {{ dsl: '1.0.3', namespace: test, name: a, version: '1.0.0' }}\n{tasks}"
    );
    let definition = Definition::parse(&text).unwrap();
    Program::compile(&definition).unwrap_err()
}

#[test]
fn an_expression_that_is_not_jq_is_told_at_its_place() {
    let found = problems(
        "do:\n  - a: { set: { x: '${ .a + }', y: '${ nothing(1) }', z: '${ $nobody }' } }\n",
    );
    let places: Vec<(Code, Pos, &str)> =
        found.iter().map(|p| (p.code, p.at, p.path.as_str())).collect();
    let at = |column| Pos { line: 3, column };
    assert_eq!(
        places,
        [
            (Code::BadExpression, at(17), "/do/0/a/set/x"),
            (Code::BadExpression, at(33), "/do/0/a/set/y"),
            (Code::BadExpression, at(55), "/do/0/a/set/z"),
        ]
    );
    assert!(found[1].message.contains("nothing"), "{}", found[1].message);
    assert!(found[2].message.contains("$nobody"), "{}", found[2].message);
}

#[test]
fn a_variable_is_known_only_where_it_is() {
    let found = problems(
        "do:
  - loop:
      for: { each: color, in: '${ .colors }' }
      do:
        - inside: { set: { x: '${ $color }' } }
  - outside: { set: { x: '${ $color }' } }
",
    );
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].path, "/do/1/outside/set/x");
}

#[test]
fn what_is_not_supported_is_told_with_its_place() {
    let found = problems(
        "do:
  - a:
      set: { x: 1 }
      input: { schema: { resource: { endpoint: 'https://example.com/schema' } } }
      output: { schema: { document: { type: 5 } } }
  - b: { set: { x: '${ $secrets.a }' } }
",
    );
    let codes: Vec<(Code, &str)> = found.iter().map(|p| (p.code, p.path.as_str())).collect();
    assert_eq!(
        codes,
        [
            (Code::Unsupported, "/do/0/a/input/schema/resource"),
            (Code::BadValue, "/do/0/a/output/schema/document"),
            (Code::UnknownReference, "/do/1/b/set/x"),
        ]
    );
}

#[test]
fn functions_that_call_functions_have_a_limit() {
    let mut functions = serde_json::Map::new();
    functions.insert("f0".to_owned(), json!({ "set": { "a": 1 } }));
    for n in 1..20 {
        let call = json!({ "call": format!("f{}", n - 1) });
        functions.insert(format!("f{n}"), json!({ "do": [{ "a": call }, { "b": call }] }));
    }
    let whole = json!({
        "document": { "dsl": "1.0.3", "namespace": "test", "name": "a", "version": "1.0.0" },
        "use": { "functions": functions },
        "do": [{ "all": { "call": "f19" } }],
    });
    let definition = Definition::parse(&whole.to_string()).unwrap();
    let found = Program::compile(&definition).unwrap_err();
    assert_eq!(found.iter().map(|p| p.code).collect::<Vec<_>>(), [Code::TooLarge]);
}

#[test]
fn steps_have_numbers_and_lists_know_where_to_go() {
    let program = super::program(&json!({ "do": [
        { "a": { "set": { "x": 1 }, "then": "c" } },
        { "b": { "switch": [
            { "one": { "when": ".x", "then": "a" } },
            { "two": { "then": "exit" } },
        ] } },
        { "c": { "do": [{ "d": { "wait": "PT1S" } }] } },
    ] }));
    assert_eq!(program.lists, [vec![0, 1, 2], vec![3]]);
    assert_eq!(program.steps[0].then, Next::Goto(2));
    let Action::Switch(cases) = &program.steps[1].action else { panic!() };
    assert_eq!([cases[0].then, cases[1].then], [Next::Goto(0), Next::Exit]);
    assert_eq!(program.steps[3].path, "/do/2/c/do/0/d");
}

/// Compiling goes as deep as an expression nests, and it is somebody else's process.
#[test]
fn hostile_sources_are_compiled_or_refused() {
    let nest = |open: &str, middle: &str, close: &str| {
        let count = (4_000 - middle.len()) / (open.len() + close.len());
        format!("{}{middle}{}", open.repeat(count), close.repeat(count))
    };
    for source in [
        nest("-", "1", ""),
        nest("- ", "1", ""),
        nest("if . then ", "1", " end"),
        nest("try ", "1", ""),
        nest("def f: ", "1", "; f"),
        nest("reduce . as $x (", "1", "; 1)"),
        nest("1 as $x | ", "1", ""),
        nest("1 | ", "1", ""),
        nest("1 + ", "1", ""),
        nest("1 // ", "1", ""),
        nest(". as [", "1", "]"),
        nest("label $x | ", "1", ""),
        nest(".a", "", ""),
        nest("..", "", ""),
        nest("?", "", ""),
        nest("\\(", "", ")"),
        nest("{a:", "1", "}"),
    ] {
        let whole = json!({
            "document": { "dsl": "1.0.3", "namespace": "test", "name": "a", "version": "1.0.0" },
            "do": [{ "a": { "set": format!("${{ {source} }}") } }],
        });
        if let Ok(definition) = Definition::parse(&whole.to_string()) {
            // Whether it is right does not matter, only that there is an answer.
            let _answer = Program::compile(&definition);
        }
    }
}
