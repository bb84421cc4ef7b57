//! The tasks of a definition as a tree.

use std::{fs, process::ExitCode};

use anyhow::{Context, Result};
use flow::Definition;
use serde_json::{Map, Value, json};

use super::{OneArgs, document::Document, look, svg};
use crate::{
    connect::Session,
    output::{Output, printable, raw},
};

/// A task, or a group of tasks, with what is below it.
pub(super) struct Branch {
    pub(super) name: String,
    /// What kind of task it is, and what is worth knowing of it.
    pub(super) kind: String,
    pub(super) below: Vec<Branch>,
}

/// Draws a file.
pub(super) fn of_file(path: &str, to: Option<&str>, out: Output) -> Result<ExitCode> {
    draw(&Document::read(path)?.read, to, out)?;
    Ok(ExitCode::SUCCESS)
}

/// Draws a published definition.
pub(super) async fn of_definition(
    session: &Session,
    one: &OneArgs,
    to: Option<&str>,
) -> Result<()> {
    let (place, name) = one.place(session)?;
    let version = look::version(&place, &name, None).await?;
    let read = Definition::parse(&version.source)
        .map_err(|_| anyhow::anyhow!("the published text cannot be read by this program"))?;
    draw(&read, to, session.out)
}

fn draw(definition: &Definition, to: Option<&str>, out: Output) -> Result<()> {
    let root = tree(definition);
    match to {
        Some("-") => return raw(svg::draw(&root).as_bytes()),
        Some(path) => {
            fs::write(path, svg::draw(&root)).with_context(|| format!("cannot write {path}"))?;
            out.note(format!("wrote {path}"));
        }
        None => {}
    }
    out.data(&shown(&root), || {
        let mut text = printable(&format!("{} ({})\n", root.name, root.kind));
        lines(&root.below, "", &mut text);
        text
    })
}

fn shown(branch: &Branch) -> Value {
    let below: Vec<_> = branch.below.iter().map(shown).collect();
    json!({"name": branch.name, "kind": branch.kind, "below": below})
}

fn lines(branches: &[Branch], indent: &str, text: &mut String) {
    for (index, branch) in branches.iter().enumerate() {
        let is_last = index + 1 == branches.len();
        let (mark, rest) = if is_last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        let kind = &branch.kind;
        text.push_str(&printable(&format!("{indent}{mark}{}  {kind}\n", branch.name)));
        lines(&branch.below, &format!("{indent}{rest}"), text);
    }
}

/// Makes the tree of a definition.
fn tree(definition: &Definition) -> Branch {
    let document = serde_json::to_value(&definition.document).unwrap_or_default();
    let head = &definition.document.document;
    let mut below = Vec::new();
    if let Some(schedule) = document.get("schedule") {
        let wants = flow::publish::plan_triggers(&definition.document).unwrap_or_default();
        for wanted in wants {
            let (kind, text) = (wanted.spec.kind(), wanted.spec.text());
            let says_kind = text.starts_with(kind);
            let kind = if says_kind { text } else { format!("{kind}: {text}") };
            below.push(Branch { name: wanted.name, kind, below: vec![] });
        }
        if below.is_empty() {
            let kind = keys(schedule);
            below.push(Branch { name: "schedule".to_owned(), kind, below: vec![] });
        }
    }
    below.extend(tasks(document.get("do")));
    let name = format!("{}/{}", head.namespace.as_str(), head.name.as_str());
    Branch { name, kind: head.version.as_str().to_owned(), below }
}

fn keys(value: &Value) -> String {
    let keys = value.as_object().map(|map| map.keys().cloned().collect::<Vec<_>>());
    keys.unwrap_or_default().join(", ")
}

/// Gives the tasks of a list: each item is a mapping of one name to one task.
fn tasks(list: Option<&Value>) -> Vec<Branch> {
    let items = list.and_then(Value::as_array).into_iter().flatten();
    let named = items.filter_map(Value::as_object).flatten();
    named.map(|(name, task)| branch(name, task)).collect()
}

/// What tells the kind of a task.
const KINDS: [&str; 12] =
    ["call", "emit", "for", "fork", "listen", "raise", "run", "set", "switch", "try", "wait", "do"];

fn branch(name: &str, task: &Value) -> Branch {
    let empty = Map::new();
    let map = task.as_object().unwrap_or(&empty);
    let kind = KINDS.into_iter().find(|kind| map.contains_key(*kind)).unwrap_or("task");
    let mut below = match kind {
        "fork" => tasks(map.get("fork").and_then(|fork| fork.get("branches"))),
        "switch" => cases(map.get("switch")),
        "try" => tasks(map.get("try")),
        _ => tasks(map.get("do")),
    };
    for (group, list) in [
        ("foreach", map.get("foreach").and_then(|each| each.get("do"))),
        ("catch", map.get("catch").and_then(|catch| catch.get("do"))),
        ("compensate", map.get("compensate")),
    ] {
        let tasks = tasks(list);
        if !tasks.is_empty() {
            below.push(Branch { name: group.to_owned(), kind: String::new(), below: tasks });
        }
    }
    let detail = match (kind, map.get(kind)) {
        ("call", Some(Value::String(what))) => format!("call {what}"),
        ("run", Some(what)) => format!("run {}", keys(what)),
        (kind, _) => kind.to_owned(),
    };
    let then = map.get("then").and_then(Value::as_str).filter(|then| *then != "continue");
    let kind = match then {
        Some(then) => format!("{detail} → {then}"),
        None => detail,
    };
    Branch { name: name.to_owned(), kind, below }
}

fn cases(list: Option<&Value>) -> Vec<Branch> {
    let items = list.and_then(Value::as_array).into_iter().flatten();
    let named = items.filter_map(Value::as_object).flatten();
    named
        .map(|(name, case)| {
            let text = |key| case.get(key).and_then(Value::as_str);
            let when = text("when").map_or("otherwise".to_owned(), |when| format!("when {when}"));
            let then = text("then").unwrap_or("continue");
            Branch { name: name.clone(), kind: format!("{when} → {then}"), below: Vec::new() }
        })
        .collect()
}
