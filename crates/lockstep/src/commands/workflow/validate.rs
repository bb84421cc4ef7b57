//! Checking definitions without a server.

use std::process::ExitCode;

use anyhow::Result;
use flow::{Definition, Problem, Severity};
use serde_json::{Value, json};

use crate::{
    files,
    output::{Output, printable},
};

/// Prints the JSON Schema.
pub(super) fn schema(out: Output) -> Result<ExitCode> {
    let schema = flow::schema();
    out.data(&schema, || format!("{schema:#}"))?;
    Ok(ExitCode::SUCCESS)
}

/// Checks files.
pub(super) fn run(paths: &[String], out: Output) -> Result<ExitCode> {
    let (mut shown, mut lines, mut failed) = (Vec::new(), Vec::new(), false);
    for path in paths {
        let (entry, problems) = match Definition::parse(&files::text(path)?) {
            Ok(definition) => {
                let head = &definition.document.document;
                let entry = json!({
                    "file": path,
                    "ok": true,
                    "namespace": head.namespace,
                    "name": head.name,
                    "version": head.version,
                    "content_hash": definition.content_hash(),
                });
                (entry, definition.warnings)
            }
            Err(problems) => (json!({"file": path, "ok": false}), problems),
        };
        failed |= entry.get("ok") == Some(&Value::Bool(false));
        lines.extend(problems.iter().map(|problem| line(path, problem)));
        let mut entry = entry;
        if let Some(entry) = entry.as_object_mut() {
            entry.insert("problems".to_owned(), serde_json::to_value(&problems)?);
        }
        shown.push(entry);
    }
    out.data(&json!({"ok": !failed, "files": shown}), || lines.join("\n"))?;
    if !failed {
        out.note(format!("{} valid", paths.len()));
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Writes a problem the way compilers do, so that editors can follow it.
fn line(path: &str, problem: &Problem) -> String {
    let warning = match problem.severity {
        Severity::Error => "",
        Severity::Warning => "warning: ",
    };
    let Problem { at, code, message, hint, .. } = problem;
    let text = format!("{}: {warning}{message}; {hint}", code.as_str());
    printable(&format!("{path}:{}:{}: {text}", at.line, at.column))
}
