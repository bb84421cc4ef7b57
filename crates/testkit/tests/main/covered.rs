//! Which lines of the conformance list have a case.

use std::{fs, path::Path};

/// Fails unless every file of a folder is part of its suite, and every line has a case: one whose
/// comment starts with the line's number.
pub(crate) fn check(folder: &str, suite: &str, lines: impl Iterator<Item = u32>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/main").join(folder);
    let mut sources = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap();
        assert!(stem == "mod" || suite.contains(&format!("mod {stem};")), "{stem}");
        sources.push_str(&fs::read_to_string(&path).unwrap());
    }
    let missing = lines.filter(|line| !sources.contains(&format!("\n/// {line}. ")));
    assert_eq!(missing.collect::<Vec<u32>>(), [0; 0]);
}
