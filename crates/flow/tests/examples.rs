//! The documents below `examples/workflows` are what users start from, so each must be right.

use std::{fs, path::PathBuf};

use flow::Definition;

/// Gives the name and text of each example.
pub fn all() -> Vec<(String, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples/workflows");
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let name = |file: &PathBuf| file.file_stem().unwrap().to_str().unwrap().to_owned();
    files.iter().map(|file| (name(file), fs::read_to_string(file).unwrap())).collect()
}

#[test]
fn each_example_is_valid_and_named_like_its_file() {
    let all = all();
    for (name, text) in &all {
        let definition = Definition::parse(text).unwrap_or_else(|problems| {
            let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
            panic!("{name}:\n{}", lines.join("\n"))
        });
        assert_eq!(definition.document.document.name.as_str(), name);
        assert_eq!(definition.warnings, [], "{name}");
    }
    assert!(all.len() >= 20, "{}", all.len());
}

#[test]
fn there_is_an_example_of_each_task_kind_and_schedule() {
    let texts: String = all().into_iter().map(|(_, text)| text).collect();
    let kinds = [
        "call: http",
        "call: openapi",
        "call: work",
        "do",
        "emit",
        "for",
        "fork",
        "compete: true",
        "listen",
        "foreach",
        "until",
        "raise",
        "script",
        "shell",
        "workflow",
        "set",
        "switch",
        "try",
        "catch",
        "retry",
        "wait",
        "cron",
        "every",
        "after",
        "on",
        "timezone",
        "overlap",
        "catchUp",
        "key",
        "compensate",
        "idempotencyKey",
        "basic",
        "bearer",
        "oauth2",
    ];
    for kind in kinds {
        let key = if kind.contains(':') { kind.to_owned() } else { format!("{kind}:") };
        assert!(texts.contains(&key), "no example of {kind}");
    }
}
