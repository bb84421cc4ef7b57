//! How two texts of a definition differ, line by line.

use anyhow::Result;
use flow::compare;
use serde_json::json;

use super::{OneArgs, look};
use crate::{connect::Session, files, output::printable};

/// Shows how two versions differ, or a file from a version.
pub(super) async fn run(
    session: &Session,
    one: &OneArgs,
    from: Option<String>,
    to: Option<String>,
    file: Option<String>,
) -> Result<()> {
    let (place, name) = one.place(session)?;
    let old = look::version(&place, &name, from).await?;
    let (label, new) = match file {
        Some(file) => {
            let text = files::text(&file)?;
            (file, text)
        }
        None => {
            let new = look::version(&place, &name, to).await?;
            (new.version, new.source)
        }
    };
    let lines = compare(&old.source, &new);
    let is_same = lines.iter().all(|(mark, _)| *mark == ' ');
    let shown: Vec<_> = lines.iter().map(|(mark, line)| format!("{mark}{line}")).collect();
    let json = json!({"from": old.version, "to": label, "same": is_same, "lines": shown});
    session.out.data(&json, || match is_same {
        true => "they are the same".to_owned(),
        false => printable(&format!("--- {}\n+++ {label}\n{}", old.version, shown.join("\n"))),
    })
}
