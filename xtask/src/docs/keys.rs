//! The reference of all keys of workflow documents, from the JSON Schema that is made of the types
//! that read them.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::{links::anchor, pages::MARK};
use crate::{repo::Repo, tidy::Finding};

pub(crate) const SCHEMA: &str = "crates/flow/workflow.schema.json";
/// Keys that every task may have, which are told once.
const OF_ALL_TASKS: [&str; 9] = [
    "if",
    "input",
    "output",
    "export",
    "timeout",
    "then",
    "metadata",
    "compensate",
    "idempotencyKey",
];

/// Writes the page.
pub(crate) fn page(repo: &Repo) -> String {
    let mut page = format!(
        "# All keys of workflow documents\n\n{MARK}\n\n\
         Every key that a document may have, by what it is part of; any other key is an error.\n\
         [Workflow documents](workflow-documents.md) says what they do together.\n"
    );
    let schema = read(repo);
    write_mapping(&mut page, "The document", &schema, &schema, &[]);
    for (name, definition) in definitions(&schema) {
        if name == "Task" {
            write_tasks(&mut page, definition, &schema);
        } else if definition.get("properties").is_some() {
            write_mapping(&mut page, name, definition, &schema, &[]);
        } else if definition.get("items").is_none() {
            write_value(&mut page, name, definition, &schema);
        }
    }
    page
}

/// Lists the keys that nothing is said about.
pub(crate) fn check(repo: &Repo) -> Vec<Finding> {
    let schema = read(repo);
    let mut findings = Vec::new();
    let mut look = |name: &str, mapping: &Value| {
        for (key, value) in properties(mapping) {
            if meaning(name, key, value, &schema).is_empty() {
                let message = format!("nothing is said about the key {key:?} of {name}");
                findings.push(Finding::new(SCHEMA, 1, message));
            }
        }
    };
    look("the document", &schema);
    for (name, definition) in definitions(&schema) {
        look(name, definition);
        alternatives(definition).for_each(|one| look(name, one));
    }
    findings
}

fn read(repo: &Repo) -> Value {
    serde_json::from_str(repo.get(SCHEMA).unwrap_or("{}")).unwrap_or_default()
}

fn definitions(schema: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let all = schema.get("$defs").and_then(Value::as_object).into_iter().flatten();
    all.map(|(name, definition)| (name.as_str(), definition))
}

fn properties(mapping: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let all = mapping.get("properties").and_then(Value::as_object).into_iter().flatten();
    all.map(|(key, value)| (key.as_str(), value))
}

fn alternatives(definition: &Value) -> impl Iterator<Item = &Value> {
    let lists = ["oneOf", "anyOf"].into_iter().filter_map(|key| definition.get(key)?.as_array());
    lists.flatten()
}

/// Writes what all tasks may have, and then each kind by the key that says what it does.
fn write_tasks(page: &mut String, task: &Value, schema: &Value) {
    if let Some(first) = alternatives(task).next() {
        let mut common = first.clone();
        let keys = common.get_mut("properties").and_then(Value::as_object_mut);
        keys.into_iter().for_each(|keys: &mut Map<_, _>| {
            keys.retain(|key, _| OF_ALL_TASKS.contains(&key.as_str()));
        });
        write_mapping(page, "Every task", &common, schema, &[]);
    }
    for kind in alternatives(task) {
        let needed: Vec<&str> = required(kind).collect();
        let called = kind.pointer("/properties/call/const").and_then(Value::as_str);
        let is_own = kind.pointer("/properties/call/not").is_some();
        let title = match (called, is_own, needed.first()) {
            (Some(called), ..) => format!("Task call {called}"),
            (None, true, _) => "Task call of a function".to_owned(),
            (None, false, Some(first)) => format!("Task {first}"),
            (None, false, None) => "Task".to_owned(),
        };
        write_mapping(page, &title, kind, schema, &OF_ALL_TASKS);
    }
}

/// Writes the keys of one mapping, without those that are told elsewhere.
fn write_mapping(page: &mut String, name: &str, mapping: &Value, schema: &Value, told: &[&str]) {
    let keys: Vec<_> = properties(mapping).filter(|(key, _)| !told.contains(key)).collect();
    if keys.is_empty() {
        return;
    }
    let needed: Vec<&str> = required(mapping).collect();
    let about = mapping.get("description").and_then(Value::as_str).unwrap_or_default();
    let about = if about.is_empty() { String::new() } else { format!("{about}\n\n") };
    // Writing to a text cannot fail.
    let _ = write!(
        page,
        "\n## {name}\n\n{about}| key | needed | what | meaning |\n|---|---|---|---|\n"
    );
    for (key, value) in keys {
        let needed = if needed.contains(&key) { "yes" } else { "" };
        let (kind, meaning) = (kind(value, schema), meaning(name, key, value, schema));
        let _ = writeln!(page, "| `{key}` | {needed} | {kind} | {} |", meaning.replace('|', "\\|"));
    }
}

fn required(mapping: &Value) -> impl Iterator<Item = &str> {
    let all = mapping.get("required").and_then(Value::as_array).into_iter().flatten();
    all.filter_map(Value::as_str)
}

/// Says what a value is: a word of JSON, or a link to what it is.
fn kind(value: &Value, schema: &Value) -> String {
    if let Some(text) = value.get("const").and_then(Value::as_str) {
        return format!("`{text}`");
    }
    if let Some(to) = value.get("$ref").and_then(Value::as_str) {
        let name = to.rsplit('/').next().unwrap_or(to);
        let (title, place) = if name == "Task" { ("tasks", "Every task") } else { (name, name) };
        let of = schema.pointer(to.trim_start_matches('#'));
        // A list of named tasks is told by what is in it.
        let list = of.and_then(|of| of.pointer("/items/additionalProperties/$ref"));
        if let (Some(of), Some(Value::String(_))) = (of, list) {
            let inner = of.pointer("/items/additionalProperties").unwrap_or(of);
            return format!("list of named {}", kind(inner, schema));
        }
        return format!("[{title}](#{})", anchor(place));
    }
    let inner = alternatives(value).filter(|one| !is_null(one)).map(|one| kind(one, schema));
    let inner: Vec<String> = inner.filter(|kind| !kind.is_empty()).collect();
    if !inner.is_empty() {
        return inner.join(" or ");
    }
    let word = |word: &str| match value.get("items") {
        Some(items) if word == "array" => format!("list of {}", kind(items, schema)),
        _ => word.to_owned(),
    };
    match value.get("type") {
        Some(Value::String(one)) => word(one),
        Some(Value::Array(many)) => {
            let words = many.iter().filter_map(Value::as_str).filter(|word| *word != "null");
            words.map(word).collect::<Vec<_>>().join(" or ")
        }
        _ => String::new(),
    }
}

/// Writes what is no mapping: in which forms it may stand.
fn write_value(page: &mut String, name: &str, definition: &Value, schema: &Value) {
    let about = definition.get("description").and_then(Value::as_str).unwrap_or_default();
    let mut lines: Vec<String> = vec![about.to_owned()];
    for form in alternatives(definition).filter(|form| !is_null(form)) {
        let words = form.get("enum").and_then(Value::as_array).into_iter().flatten();
        let words: Vec<String> = words.map(|word| format!("`{}`", text_of(word))).collect();
        let kind = if words.is_empty() { kind(form, schema) } else { words.join(", ") };
        let about = form.get("description").and_then(Value::as_str).unwrap_or_default();
        let line = [kind.as_str(), about].join(": ");
        lines.push(format!("- {}", line.trim_end_matches(": ").trim_start_matches(": ")));
    }
    let lines: Vec<String> = lines.into_iter().filter(|line| line.len() > 2).collect();
    // Writing to a text cannot fail.
    let _ = write!(page, "\n## {name}\n\n{}\n", lines.join("\n"));
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn is_null(value: &Value) -> bool {
    value.get("type").and_then(Value::as_str) == Some("null")
}

/// Says what a key means: in its own words, or in those of what its value is.
fn meaning(of: &str, key: &str, value: &Value, schema: &Value) -> String {
    if let Some(own) = value.get("description").and_then(Value::as_str)
        && !own.is_empty()
    {
        return own.to_owned();
    }
    if let Some(to) = value.get("$ref").and_then(Value::as_str) {
        let found = schema.pointer(to.trim_start_matches('#'));
        let text = found.and_then(|found| found.get("description")).and_then(Value::as_str);
        return text.unwrap_or_default().to_owned();
    }
    if of == "Attributes" {
        return format!("The attribute {key} of CloudEvents 1.0.");
    }
    if key == "call" {
        return "What is called.".to_owned();
    }
    let inner = alternatives(value).map(|one| meaning(of, key, one, schema));
    inner.into_iter().find(|text| !text.is_empty()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_without_a_word_about_it_is_found() {
        let schema = r##"{"properties": {"do": {"$ref": "#/$defs/A"}}, "$defs": {
            "A": {"description": "Tasks.", "properties": {"b": {"type": "string"}}}}}"##;
        let found = check(&Repo::of(&[(SCHEMA, schema)]));
        let message = "nothing is said about the key \"b\" of A";
        assert_eq!(found, [Finding::new(SCHEMA, 1, message)]);
    }

    #[test]
    fn the_page_has_every_key_of_the_real_schema() {
        let schema = include_str!("../../../crates/flow/workflow.schema.json");
        let repo = Repo::of(&[(SCHEMA, schema)]);
        let (page, all) = (page(&repo), read(&repo));
        assert_eq!(check(&repo), []);
        for (_, definition) in definitions(&all) {
            for mapping in alternatives(definition).chain([definition]) {
                for (key, _) in properties(mapping) {
                    assert!(page.contains(&format!("| `{key}` |")), "{key}");
                }
            }
        }
    }
}
