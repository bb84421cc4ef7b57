//! `lockstep workflow`: what it prints, and its exit codes.

use std::{fs, path::Path};

use serde_json::Value;

use crate::support::{lockstep, run};

const TRY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/workflows/try.yaml");
const SCHEMA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../flow/workflow.schema.json");

#[test]
fn problems_are_shown_as_compilers_do() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("bad.yaml");
    fs::write(&file, "document: {}\ndo:\n- a: {wait: soon}\n").unwrap();
    let path = file.to_str().unwrap();

    let said = run(&mut lockstep(home.path()), &["workflow", "validate", path, TRY]).with_code(1);
    assert!(said.out.contains(&format!("{path}:3:13: bad_duration: ")), "{said:?}");
    assert_eq!(said.out.lines().count(), 5, "{said:?}");

    let args = ["workflow", "validate", path, TRY, "--json"];
    let json = run(&mut lockstep(home.path()), &args).with_code(1).json();
    assert_eq!(json["ok"], Value::Bool(false));
    let problem = &json["files"][0]["problems"][4];
    assert_eq!((&problem["line"], &problem["column"]), (&3.into(), &13.into()));
    assert_eq!(problem["path"], "/do/0/a/wait");
    assert_eq!(json["files"][1]["content_hash"].as_str().unwrap().len(), 64);
}

#[test]
fn valid_files_say_nothing_on_standard_output() {
    let home = Path::new("/nonexistent");
    let said = run(&mut lockstep(home), &["workflow", "validate", TRY]).with_code(0);
    assert_eq!(said.out, "");
    assert_eq!(said.err, "1 valid\n");
}

#[test]
fn the_schema_is_the_one_that_is_kept() {
    let said = run(&mut lockstep(Path::new("/nonexistent")), &["workflow", "schema"]).with_code(0);
    assert_eq!(said.out, fs::read_to_string(SCHEMA).unwrap());
}
