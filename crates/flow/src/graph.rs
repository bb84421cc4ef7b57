//! The tasks of a definition as a tree, for people.

mod svg;

use serde_json::{Map, Value};

pub use svg::draw;

use crate::Definition;

/// A task, or a group of tasks, with what is below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch {
    /// Its name in the document.
    pub name: String,
    /// What kind of task it is, and what is worth knowing of it.
    pub kind: String,
    /// Where it is in the document, as the names of steps begin: `do/0/NAME`; empty if it is no
    /// task.
    pub path: String,
    /// The tasks within it.
    pub below: Vec<Branch>,
}

/// Makes the tree of a definition.
pub fn tree(definition: &Definition) -> Branch {
    let document = serde_json::to_value(&definition.document).unwrap_or_default();
    let head = &definition.document.document;
    let mut below = Vec::new();
    if let Some(schedule) = document.get("schedule") {
        let wants = crate::publish::plan_triggers(&definition.document).unwrap_or_default();
        for wanted in wants {
            let (kind, text) = (wanted.spec.kind(), wanted.spec.text());
            let says_kind = text.starts_with(kind);
            let kind = if says_kind { text } else { format!("{kind}: {text}") };
            below.push(note(wanted.name, kind));
        }
        if below.is_empty() {
            below.push(note("schedule".to_owned(), keys(schedule)));
        }
    }
    below.extend(tasks(document.get("do"), "do"));
    let name = format!("{}/{}", head.namespace.as_str(), head.name.as_str());
    Branch { below, ..note(name, head.version.as_str().to_owned()) }
}

/// Makes a branch that is no task.
fn note(name: String, kind: String) -> Branch {
    Branch { name, kind, path: String::new(), below: Vec::new() }
}

fn keys(value: &Value) -> String {
    let keys = value.as_object().map(|map| map.keys().cloned().collect::<Vec<_>>());
    keys.unwrap_or_default().join(", ")
}

/// Gives the tasks of a list: each item is a mapping of one name to one task.
fn tasks(list: Option<&Value>, place: &str) -> Vec<Branch> {
    let items = list.and_then(Value::as_array).into_iter().flatten().enumerate();
    let named = items.filter_map(|(at, item)| Some((at, item.as_object()?)));
    named
        .flat_map(|(at, map)| map.iter().map(move |(name, task)| (at, name, task)))
        .map(|(at, name, task)| branch(name, task, format!("{place}/{at}/{name}")))
        .collect()
}

/// What tells the kind of a task.
const KINDS: [&str; 12] =
    ["call", "emit", "for", "fork", "listen", "raise", "run", "set", "switch", "try", "wait", "do"];

fn branch(name: &str, task: &Value, path: String) -> Branch {
    let empty = Map::new();
    let map = task.as_object().unwrap_or(&empty);
    let kind = KINDS.into_iter().find(|kind| map.contains_key(*kind)).unwrap_or("task");
    let within = |place: &str| format!("{path}/{place}");
    let mut below = match kind {
        "fork" => {
            let branches = map.get("fork").and_then(|fork| fork.get("branches"));
            tasks(branches, &within("fork/branches"))
        }
        "switch" => cases(map.get("switch")),
        "try" => tasks(map.get("try"), &within("try")),
        _ => tasks(map.get("do"), &within("do")),
    };
    for (group, list, place) in [
        ("foreach", map.get("foreach").and_then(|each| each.get("do")), "foreach/do"),
        ("catch", map.get("catch").and_then(|catch| catch.get("do")), "catch/do"),
        ("compensate", map.get("compensate"), "compensate"),
    ] {
        let tasks = tasks(list, &within(place));
        if !tasks.is_empty() {
            below.push(Branch { below: tasks, ..note(group.to_owned(), String::new()) });
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
    Branch { name: name.to_owned(), kind, path, below }
}

fn cases(list: Option<&Value>) -> Vec<Branch> {
    let items = list.and_then(Value::as_array).into_iter().flatten();
    let named = items.filter_map(Value::as_object).flatten();
    named
        .map(|(name, case)| {
            let text = |key| case.get(key).and_then(Value::as_str);
            let when = text("when").map_or("otherwise".to_owned(), |when| format!("when {when}"));
            let then = text("then").unwrap_or("continue");
            note(name.clone(), format!("{when} → {then}"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_are_found_by_the_names_of_their_steps() {
        let text = "
document: {dsl: 1.0.3, namespace: shop, name: order, version: 1.0.0}
do:
- both:
    fork:
      branches:
      - left: {set: {a: 1}}
- careful:
    try:
    - risky: {set: {b: 1}}
    catch: {do: [{mend: {set: {c: 1}}}]}
";
        let tree = tree(&Definition::parse(text).unwrap());
        let mut paths = Vec::new();
        let mut rest = vec![&tree];
        while let Some(branch) = rest.pop() {
            paths.push(branch.path.as_str());
            rest.extend(branch.below.iter().rev());
        }
        paths.retain(|path| !path.is_empty());
        let expected = [
            "do/0/both",
            "do/0/both/fork/branches/0/left",
            "do/1/careful",
            "do/1/careful/try/0/risky",
            "do/1/careful/catch/do/0/mend",
        ];
        assert_eq!(paths, expected);
    }
}
