//! Help, completions and pages that follow from the command line itself.

use std::{fs, path::Path};

use crate::support::{lockstep, run};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/book/src/reference/cli.md");

fn home() -> &'static Path {
    Path::new("/nonexistent")
}

#[test]
fn the_page_in_the_book_is_fresh() {
    let now = run(&mut lockstep(home()), &["reference"]).with_code(0).out;
    let page = fs::read_to_string(PAGE).unwrap_or_default();
    assert!(
        page == now,
        "docs/book/src/reference/cli.md is not what the program says: write it again with \
         `cargo run -q -- reference > docs/book/src/reference/cli.md`"
    );
}

#[test]
fn every_command_has_an_example() {
    let page = run(&mut lockstep(home()), &["reference"]).with_code(0).out;
    let sections: Vec<_> = page.split("\n## ").skip(1).collect();
    assert!(sections.len() > 35, "{}", sections.len());
    for section in sections {
        let is_group = section.contains("\nCommands:\n");
        assert!(is_group || section.contains("\nExamples:\n"), "no example: {section}");
    }
}

#[test]
fn completions_and_manual_pages_are_written() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = run(&mut lockstep(home()), &["completions", shell]).with_code(0).out;
        assert!(script.contains("namespace"), "{shell}");
    }
    assert!(run(&mut lockstep(home()), &["man"]).with_code(0).out.contains(".TH lockstep 1"));
    let folder = tempfile::tempdir().unwrap();
    run(&mut lockstep(home()), &["man", "--dir", folder.path().to_str().unwrap()]).with_code(0);
    assert!(folder.path().join("lockstep-unit-add.1").exists());
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    // `true` reads nothing, and the page is larger than a pipe holds.
    let script =
        format!("{} reference | true; echo ${{PIPESTATUS[0]}}", env!("CARGO_BIN_EXE_lockstep"));
    let output = std::process::Command::new("bash").args(["-c", &script]).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "0\n");
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

#[test]
fn wrong_usage_says_so() {
    for args in [&["spec", "lst"][..], &["unit", "add", "scan"], &["worker", "--spec", "a"], &[]] {
        let said = run(&mut lockstep(home()), args).with_code(2);
        assert!(said.out.is_empty() && said.err.contains("code: usage"), "{said:?}");
    }
}
