//! Where `then` leads within a list of tasks, and which tasks nothing leads to.

use super::text;
use crate::{
    node::{Entry, Node, Value},
    problem::{Code, Step},
    shape::{Reader, suggest},
};

/// One task of a list.
struct Item<'a> {
    index: usize,
    entry: &'a Entry,
}

/// Checks one list.
pub(super) fn check(list: &Node, reader: &mut Reader) {
    let Value::List(nodes) = &list.value else { return };
    let mut items = Vec::new();
    for (index, node) in nodes.iter().enumerate() {
        // What is not a task has been told, and what could lead where is not known then.
        let Some([entry]) = node.map() else { return };
        items.push(Item { index, entry });
    }
    let names: Vec<&str> = items.iter().map(|item| item.entry.key.as_str()).collect();
    let mut ways = Vec::new();
    let mut sound = true;
    for item in &items {
        let mut next = Vec::new();
        reader.below(Step::Index(item.index), |reader| {
            reader.at_key(&item.entry.key, |reader| {
                sound &= leads(item, &names, &mut next, reader);
            });
        });
        ways.push(next);
    }
    if sound {
        unreached(&items, &ways, reader);
    }
}

/// Collects where a task leads; false says that it leads nowhere that exists.
fn leads(item: &Item<'_>, names: &[&str], next: &mut Vec<usize>, reader: &mut Reader) -> bool {
    let task = &item.entry.value;
    let mut sound = true;
    let mut follow =
        |then: Option<&Node>, next: &mut Vec<usize>, reader: &mut Reader| match then.map(text) {
            None | Some(None | Some("continue")) => next.push(item.index + 1),
            Some(Some("exit" | "end")) => {}
            Some(Some(name)) => match names.iter().position(|known| *known == name) {
                Some(index) => next.push(index),
                None => {
                    sound = false;
                    let message = format!("no task of this list is named {name:?}");
                    let hint = suggest(name, names);
                    let at = then.map_or(task.at, |then| then.at);
                    reader.at_key("then", |r| r.note(at, Code::UnknownTarget, message, hint));
                }
            },
        };
    let mut decided = task.get("raise").is_some();
    if let Some(Value::List(cases)) = task.get("switch").map(|cases| &cases.value) {
        for (index, case) in cases.iter().enumerate() {
            let Some([Entry { key, value, .. }]) = case.map() else { continue };
            decided |= value.get("when").is_none();
            reader.at_key("switch", |reader| {
                reader.below(Step::Index(index), |reader| {
                    reader.at_key(key, |r| follow(value.get("then"), next, r));
                });
            });
        }
    }
    // Of a task that always goes elsewhere, `then` is looked at, but leads nowhere.
    let mut ignored = Vec::new();
    follow(task.get("then"), if decided { &mut ignored } else { &mut *next }, reader);
    if task.get("if").is_some() {
        next.push(item.index + 1);
    }
    sound
}

/// Warns of tasks that no other leads to, once for each row of them.
fn unreached(items: &[Item<'_>], ways: &[Vec<usize>], reader: &mut Reader) {
    let mut reached = vec![false; items.len()];
    let mut open = vec![0];
    while let Some(index) = open.pop() {
        if let Some(seen @ false) = reached.get_mut(index) {
            *seen = true;
            open.extend(ways.get(index).into_iter().flatten());
        }
    }
    let mut before = true;
    for (item, reached) in items.iter().zip(reached) {
        if !reached && before {
            let Entry { key, at, .. } = item.entry;
            let message = format!("nothing leads to the task {key:?}, so it is never done");
            let hint = "name it in a \"then\", or remove it";
            reader.below(Step::Index(item.index), |reader| {
                reader.at_key(key, |r| r.note(*at, Code::Unreachable, message, hint));
            });
        }
        before = reached;
    }
}
