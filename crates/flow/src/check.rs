//! What must hold across a whole document: names refer to something, and tasks can be reached.
//!
//! This looks at values with their places instead of at types, so that it also works on a document
//! that has other errors, and all of them are told at once.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    node::{Entry, Node, Value},
    problem::Code,
    shape::{Reader, suggest},
};

mod reach;

/// Looks over a document.
pub(crate) fn check(root: &Node, reader: &mut Reader) {
    let components = root.get("use");
    let declared = |key: &str| names(components.and_then(|c| c.get(key)));
    let scope = Scope {
        functions: declared("functions"),
        retries: declared("retries"),
        errors: declared("errors"),
        timeouts: declared("timeouts"),
        authentications: declared("authentications"),
        secrets: declared("secrets"),
    };
    if let Some(timeout) = root.get("timeout") {
        reader.at_key("timeout", |r| refer(timeout, &scope.timeouts, "timeouts", r));
    }
    if let Some(tasks) = root.get("do") {
        reader.at_key("do", |r| scope.tasks(tasks, r));
    }
    for key in ["input", "output"] {
        if let Some(part) = root.get(key) {
            reader.at_key(key, |r| scope.data(part, r));
        }
    }
    if let Some(components) = components {
        reader.at_key("use", |r| scope.components(components, r));
    }
}

/// The names that a document declares.
struct Scope<'a> {
    functions: Vec<&'a str>,
    retries: Vec<&'a str>,
    errors: Vec<&'a str>,
    timeouts: Vec<&'a str>,
    authentications: Vec<&'a str>,
    secrets: Vec<&'a str>,
}

fn names(node: Option<&Node>) -> Vec<&str> {
    match node.map(|node| &node.value) {
        Some(Value::Map(entries)) => entries.iter().map(|entry| entry.key.as_str()).collect(),
        Some(Value::List(items)) => items.iter().filter_map(text).collect(),
        _ => Vec::new(),
    }
}

fn text(node: &Node) -> Option<&str> {
    if let Value::Text(text) = &node.value { Some(text) } else { None }
}

/// Checks a name that must be declared; anything but text is declared in place.
fn refer(node: &Node, declared: &[&str], group: &str, reader: &mut Reader) {
    let Some(name) = text(node) else { return };
    if declared.contains(&name) {
        return;
    }
    let message = format!("{name:?} is not declared below \"use\", \"{group}\"");
    let hint = if declared.is_empty() {
        format!("declare it below \"use\", \"{group}\"")
    } else {
        suggest(name, declared)
    };
    reader.note(node.at, Code::UnknownReference, message, hint);
}

/// Goes down to a key, if it is there.
fn below(node: &Node, key: &str, reader: &mut Reader, check: impl FnOnce(&Node, &mut Reader)) {
    if let Some(inner) = node.get(key) {
        reader.at_key(key, |r| check(inner, r));
    }
}

impl Scope<'_> {
    fn components(&self, components: &Node, reader: &mut Reader) {
        below(components, "functions", reader, |functions, reader| {
            for Entry { key, value, .. } in functions.map().unwrap_or_default() {
                reader.at_key(key, |r| self.task(value, r));
            }
            cycles(functions, reader);
        });
        below(components, "authentications", reader, |ways, reader| {
            for Entry { key, value, .. } in ways.map().unwrap_or_default() {
                reader.at_key(key, |r| self.authentication(value, r));
            }
        });
    }

    /// Checks a list of tasks.
    fn tasks(&self, list: &Node, reader: &mut Reader) {
        self.each_task(list, reader);
        reach::check(list, reader);
    }

    fn each_task(&self, list: &Node, reader: &mut Reader) {
        let Value::List(items) = &list.value else { return };
        for (index, item) in items.iter().enumerate() {
            let Some([Entry { key, value, .. }]) = item.map() else { continue };
            reader.below(crate::problem::Step::Index(index), |reader| {
                reader.at_key(key, |r| self.task(value, r));
            });
        }
    }

    fn task(&self, task: &Node, reader: &mut Reader) {
        for key in ["do", "try", "compensate"] {
            below(task, key, reader, |tasks, r| self.tasks(tasks, r));
        }
        below(task, "timeout", reader, |timeout, r| refer(timeout, &self.timeouts, "timeouts", r));
        below(task, "fork", reader, |fork, reader| {
            // Branches are beside each other, so nothing goes from one to the next.
            below(fork, "branches", reader, |branches, r| self.each_task(branches, r));
        });
        below(task, "foreach", reader, |each, reader| {
            below(each, "do", reader, |tasks, r| self.tasks(tasks, r));
            self.outputs(each, reader);
        });
        below(task, "catch", reader, |catch, reader| {
            below(catch, "do", reader, |tasks, r| self.tasks(tasks, r));
            below(catch, "retry", reader, |retry, r| refer(retry, &self.retries, "retries", r));
        });
        below(task, "raise", reader, |raise, reader| {
            below(raise, "error", reader, |error, r| refer(error, &self.errors, "errors", r));
        });
        below(task, "run", reader, |run, reader| {
            below(run, "script", reader, |script, reader| {
                below(script, "source", reader, |source, r| self.resource(source, r));
            });
        });
        self.outputs(task, reader);
        self.call(task, reader);
    }

    fn outputs(&self, task: &Node, reader: &mut Reader) {
        for key in ["input", "output", "export"] {
            below(task, key, reader, |part, r| self.data(part, r));
        }
    }

    fn data(&self, part: &Node, reader: &mut Reader) {
        below(part, "schema", reader, |schema, reader| {
            below(schema, "resource", reader, |resource, r| self.resource(resource, r));
        });
    }

    fn call(&self, task: &Node, reader: &mut Reader) {
        let Some(word) = task.get("call") else { return };
        match text(word) {
            Some("http") => below(task, "with", reader, |with, r| self.resource(with, r)),
            Some("openapi") => below(task, "with", reader, |with, reader| {
                below(with, "document", reader, |document, r| self.resource(document, r));
                below(with, "authentication", reader, |way, r| self.authentication(way, r));
            }),
            Some("work" | "mail") | None => {}
            Some(name) if crate::call::is_unsupported(name) => {}
            Some(_) => {
                reader.at_key("call", |r| refer(word, &self.functions, "functions", r));
            }
        }
    }

    /// Checks whatever has an endpoint.
    fn resource(&self, node: &Node, reader: &mut Reader) {
        below(node, "endpoint", reader, |endpoint, reader| {
            below(endpoint, "authentication", reader, |way, r| self.authentication(way, r));
        });
    }

    fn authentication(&self, way: &Node, reader: &mut Reader) {
        below(way, "use", reader, |name, reader| {
            refer(name, &self.authentications, "authentications", reader);
        });
        for key in ["basic", "bearer", "oauth2"] {
            below(way, key, reader, |way, reader| {
                below(way, "use", reader, |name, r| refer(name, &self.secrets, "secrets", r));
            });
        }
    }
}

/// Notes functions that come back to themselves.
fn cycles(functions: &Node, reader: &mut Reader) {
    let entries = functions.map().unwrap_or_default();
    let mut calls: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for Entry { key, value, .. } in entries {
        collect_calls(value, calls.entry(key).or_default());
    }
    for Entry { key, at, .. } in entries {
        let mut seen = BTreeSet::new();
        let mut open: Vec<&str> = vec![key];
        while let Some(name) = open.pop() {
            let next = calls.get(name).into_iter().flatten();
            open.extend(next.filter(|name| seen.insert(**name)));
        }
        if seen.contains(key.as_str()) {
            let message = format!("the function {key:?} comes back to itself");
            let hint = "call something else, or run a workflow that runs itself";
            reader.at_key(key, |r| r.note(*at, Code::FunctionCycle, message, hint));
        }
    }
}

fn collect_calls<'a>(node: &'a Node, calls: &mut BTreeSet<&'a str>) {
    match &node.value {
        Value::Map(entries) => {
            if let Some(name) = node.get("call").and_then(text) {
                calls.insert(name);
            }
            for entry in entries {
                collect_calls(&entry.value, calls);
            }
        }
        Value::List(items) => {
            for item in items {
                collect_calls(item, calls);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => {}
    }
}
