//! `lockstep workflow`: what it prints, and its exit codes.

use std::{fs, path::Path};

use serde_json::Value;

use crate::support::{Server, lockstep, run};

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

fn document(name: &str, version: &str, schedule: &str) -> String {
    format!(
        "document: {{dsl: '1.0.3', namespace: shop, name: {name}, version: '{version}'}}\n\
         schedule: {schedule}\ndo:\n  - first:\n      set: {{a: '{version}'}}\n  - both:\n      \
         fork:\n        branches:\n          - left: {{wait: PT1S}}\n          \
         - right: {{set: {{b: 1}}}}\n"
    )
}

#[test]
fn a_definition_is_published_looked_at_and_taken_back() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("orders.yaml");
    let path = file.to_str().unwrap();
    let workflow = |args: &[&str]| server.run(&[&["workflow"], args].concat());
    let json = |args: &[&str]| server.json(&[&["workflow"], args].concat());

    fs::write(&file, document("orders", "1.0.0", "{every: PT5M}")).unwrap();
    let first = json(&["publish", path]);
    assert_eq!(first["published"][0]["revision"], 1);
    assert_eq!(first["published"][0]["triggers"]["added"][0], "every");
    fs::write(&file, document("orders", "1.1.0", "{cron: '0 9 * * *', name: daily}")).unwrap();
    let said = workflow(&["publish", path, "--base", "7"]).with_code(4);
    assert!(said.err.contains("definition_conflict"), "{said:?}");
    let second = json(&["publish", path, "--base", "1", "--until", "settled"]);
    assert_eq!(second["published"][0]["state"], "settled");
    let run = second["published"][0]["run"].to_string();

    let list = json(&["list", "--namespace", "shop"]);
    assert_eq!(list["definitions"][0]["published"], "1.1.0");
    let shown = json(&["show", "shop/orders"]);
    assert_eq!(shown["triggers"][0]["text"], "0 9 * * * UTC");
    let text = workflow(&["show", "shop/orders", "--version", "1.0.0", "--source"]).with_code(0);
    assert_eq!(text.out, document("orders", "1.0.0", "{every: PT5M}"));
    let history = json(&["history", "shop/orders"]);
    assert_eq!(history["versions"].as_array().unwrap().len(), 2);
    assert_eq!(history["runs"][0]["actor"], "loopback");
    let stages = json(&["history", "shop/orders", "--run", &run]);
    assert_eq!(stages["stages"].as_array().unwrap().len(), 22);
    let diff = workflow(&["diff", "shop/orders", "--from", "1.0.0"]).with_code(0);
    assert!(diff.out.contains("\n-schedule: {every: PT5M}\n"), "{diff:?}");
    assert!(diff.out.contains("\n+schedule: {cron"), "{diff:?}");

    let back = json(&["rollback", "shop/orders", "1.0.0"]);
    assert_eq!(back["published"][0]["version"], "1.0.0");
    let deleted = workflow(&["delete", "shop/orders", "--version", "1.1.0", "--yes"]);
    deleted.with_code(0);
    let retracted = json(&["retract", "shop/orders"]);
    assert_eq!(retracted["published"][0]["triggers"]["removed"][0], "every");
    workflow(&["delete", "shop/orders", "--yes"]).with_code(0);
    let gone = workflow(&["show", "shop/orders"]).with_code(3);
    assert!(gone.err.contains("no_such_definition"), "{gone:?}");
    let audit = workflow(&["audit", "--namespace", "shop"]).with_code(0);
    assert_eq!(audit.out, "everything holds\n");
    workflow(&["retract", "orders"]).with_code(2);

    workflow(&["draft", "shop/orders", path]).with_code(0);
    let draft = workflow(&["draft", "shop/orders"]).with_code(0);
    assert_eq!(draft.out, fs::read_to_string(&file).unwrap());
}

#[test]
fn a_folder_is_applied_as_one_change() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let apply = |more: &[&str]| server.json(&[&["workflow", "apply", path], more].concat());
    fs::create_dir(folder.path().join("deep")).unwrap();
    fs::write(folder.path().join("a.yaml"), document("a", "1.0.0", "{every: PT5M}")).unwrap();
    fs::write(folder.path().join("deep/b.yml"), document("b", "1.0.0", "{every: PT5M}")).unwrap();
    let planned = apply(&["--dry-run"]);
    assert_eq!(planned["steps"][0]["do"], "publish");
    let first = apply(&[]);
    assert_eq!(first["published"][0]["epoch"], first["published"][1]["epoch"], "one change");
    assert_eq!(apply(&["--dry-run"])["steps"][1]["do"], "keep");
    assert_eq!(apply(&[])["published"][0]["is_changed"], false);
    fs::remove_file(folder.path().join("a.yaml")).unwrap();
    fs::write(folder.path().join("deep/b.yml"), document("b", "1.0.0", "{every: PT1M}")).unwrap();
    let said = server.run(&["workflow", "apply", path, "--prune"]).with_code(4);
    assert!(said.err.contains("version_conflict"), "{said:?}");
    fs::write(folder.path().join("deep/b.yml"), document("b", "1.1.0", "{every: PT1M}")).unwrap();
    let pruned = apply(&["--prune"]);
    assert_eq!(pruned["published"][1]["name"], "a");
    assert_eq!(pruned["published"][1]["version"], Value::Null);
}

#[test]
fn a_graph_is_a_tree_in_the_terminal_and_an_svg() {
    let folder = tempfile::tempdir().unwrap();
    let (file, svg) = (folder.path().join("a.yaml"), folder.path().join("a.svg"));
    fs::write(&file, document("a", "1.0.0", "{every: PT5M}")).unwrap();
    let (file, svg) = (file.to_str().unwrap(), svg.to_str().unwrap());
    let home = Path::new("/nonexistent");
    let said = run(&mut lockstep(home), &["workflow", "graph", file, "--svg", svg]).with_code(0);
    let expected = "shop/a (1.0.0)\n\
                    ├─ every  every PT5M\n\
                    ├─ first  set\n\
                    └─ both  fork\n   ├─ left  wait\n   └─ right  set\n";
    assert_eq!(said.out, expected);
    assert!(fs::read_to_string(svg).unwrap().starts_with("<svg "));
}

/// The stages and their order are held by this list: a stage that comes or goes is a decision.
#[test]
fn the_pipeline_is_explained() {
    let server = Server::start();
    let said = server.json(&["workflow", "explain-pipeline"]);
    let stages = said["stages"].as_array().unwrap().iter();
    let stages: Vec<_> = stages
        .map(|it| format!("{}/{}", it["phase"].as_str().unwrap(), it["name"].as_str().unwrap()))
        .collect();
    assert_eq!(
        stages,
        [
            "admit/authorize",
            "admit/load",
            "prepare/parse",
            "prepare/normalize",
            "prepare/validate",
            "prepare/compile",
            "prepare/resolve",
            "prepare/plan-triggers",
            "prepare/prepare-extensions",
            "prepare/seal",
            "commit/lock-head",
            "commit/write-version",
            "commit/write-triggers",
            "commit/write-effects",
            "commit/commit-extensions",
            "commit/flip-head",
            "commit/log",
            "propagate/apply-local",
            "propagate/poke",
            "propagate/barrier",
            "settle/effects",
            "settle/announce",
        ]
    );
}
