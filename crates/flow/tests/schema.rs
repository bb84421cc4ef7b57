//! The JSON Schema that is kept for editors.

use std::{fs, path::PathBuf};

#[test]
fn the_committed_schema_is_fresh() {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("workflow.schema.json");
    let fresh = serde_json::to_string_pretty(&flow::schema()).unwrap() + "\n";
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&file, &fresh).unwrap();
    }
    let kept = fs::read_to_string(&file).unwrap();
    assert!(kept == fresh, "run this test with UPDATE=1, and look at the difference");
}
