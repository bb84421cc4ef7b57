//! The tasks of a definition as a tree.

use std::{fs, process::ExitCode};

use anyhow::{Context, Result};
use flow::{
    Definition,
    graph::{self, Branch},
};
use serde_json::{Value, json};

use super::{OneArgs, document::Document, look};
use crate::{
    connect::Session,
    output::{Output, printable, raw},
};

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
    let root = graph::tree(definition);
    match to {
        Some("-") => return raw(svg(&root).as_bytes()),
        Some(path) => {
            fs::write(path, svg(&root)).with_context(|| format!("cannot write {path}"))?;
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

fn svg(root: &Branch) -> String {
    graph::draw(root, &|_| None)
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
