//! Running documents: scenarios in files, journals that are taken again, and what any must keep.

mod compile;
mod golden;
mod jq;
mod large;
mod quick;
mod scenario;
mod wander;
mod world;

use flow::Definition;
use flow::run::Program;
use serde_json::{Value as Json, json};

/// Makes a program of a definition without its head.
pub fn program(definition: &Json) -> Program {
    let mut whole = definition.clone();
    whole["document"] =
        json!({ "dsl": "1.0.3", "namespace": "test", "name": "scenario", "version": "1.0.0" });
    let text = whole.to_string();
    let definition = Definition::parse(&text).unwrap_or_else(|problems| {
        panic!("{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    });
    Program::compile(&definition).unwrap_or_else(|problems| {
        panic!("{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    })
}
