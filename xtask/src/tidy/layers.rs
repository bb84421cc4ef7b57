//! Which crate may depend on which, as the table in ARCHITECTURE.md says.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::{Finding, numbered};
use crate::repo::Repo;

const ARCHITECTURE: &str = "ARCHITECTURE.md";
/// The header of the layer table.
const HEADER: &str = "| crate | may depend on |";
const CRATES_MAX: usize = 10;

/// Checks every manifest.
pub(super) fn check(repo: &Repo) -> Vec<Finding> {
    let (allowed, mut findings) = table(repo);
    let crates = repo.crates();
    if crates.len() > CRATES_MAX {
        let message = format!("{} crates, more than {CRATES_MAX}", crates.len());
        findings.push(Finding::new("Cargo.toml", 1, message));
    }
    for name in crates.iter().copied().chain(["xtask"]) {
        let path = if name == "xtask" {
            "xtask/Cargo.toml".into()
        } else {
            format!("crates/{name}/Cargo.toml")
        };
        let Some(text) = repo.get(&path) else { continue };
        match text.parse::<Table>() {
            Ok(manifest) => {
                check_manifest(
                    &Manifest { path: &path, name, text, crates: &crates },
                    &manifest,
                    allowed.get(name),
                    &mut findings,
                );
            }
            Err(error) => findings.push(Finding::new(&path, 1, error.message())),
        }
    }
    findings
}

/// What a crate may depend on.
#[derive(Debug, Default)]
struct Allowed {
    crates: Vec<String>,
    /// The table says "anything" or "anything but …", and then `crates` are the exceptions.
    anything: bool,
}

impl Allowed {
    fn allows(&self, name: &str) -> bool {
        self.crates.iter().any(|allowed| allowed == name) != self.anything
    }
}

/// Reads the layer table.
fn table(repo: &Repo) -> (BTreeMap<String, Allowed>, Vec<Finding>) {
    let mut allowed = BTreeMap::new();
    let mut findings = Vec::new();
    let text = repo.get(ARCHITECTURE).unwrap_or_default();
    let Some((header, _)) = numbered(text).find(|(_, line)| *line == HEADER) else {
        let message = format!("no layer table: its first line is {HEADER:?}");
        return (allowed, vec![Finding::new(ARCHITECTURE, 1, message)]);
    };
    for (line, row) in numbered(text).skip(header + 1).take_while(|(_, row)| row.starts_with('|')) {
        let mut names = row.split('`').skip(1).step_by(2).map(str::to_owned);
        let Some(name) = names.next() else { continue };
        if !repo.has(&format!("crates/{name}/Cargo.toml")) && name != "xtask" {
            findings.push(Finding::new(ARCHITECTURE, line, format!("there is no crate {name}")));
        }
        let anything = row.contains("| anything");
        allowed.insert(name, Allowed { crates: names.collect(), anything });
    }
    (allowed, findings)
}

struct Manifest<'a> {
    path: &'a str,
    name: &'a str,
    text: &'a str,
    crates: &'a [&'a str],
}

impl Manifest<'_> {
    /// Makes a finding about the line that starts with a key.
    fn finding(&self, key: &str, message: String) -> Finding {
        let line =
            numbered(self.text).find(|(_, line)| line.starts_with(key)).map_or(1, |(n, _)| n);
        Finding::new(self.path, line, message)
    }
}

fn check_manifest(
    file: &Manifest<'_>,
    manifest: &Table,
    allowed: Option<&Allowed>,
    findings: &mut Vec<Finding>,
) {
    let name = file.name;
    if manifest.get("package").and_then(|package| package.get("name")).and_then(Value::as_str)
        != Some(name)
    {
        findings.push(file.finding("name", format!("the package of this folder must be {name}")));
    }
    let Some(allowed) = allowed else {
        let message = format!("crate {name} is not in the layer table");
        findings.push(Finding::new(ARCHITECTURE, 1, message));
        return;
    };
    for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
        let Some(Value::Table(dependencies)) = manifest.get(kind) else { continue };
        for (key, value) in dependencies {
            if value.get("workspace").and_then(Value::as_bool) != Some(true) {
                let message = format!("{key}: its version belongs in [workspace.dependencies]");
                findings.push(file.finding(key, message));
            }
            let own = file.crates.contains(&key.as_str());
            if own && kind != "dev-dependencies" && !allowed.allows(key) {
                let message = format!("{name} must not depend on {key}: see the layer table");
                findings.push(file.finding(key, message));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::expect;

    const PAPER: (&str, &str) = (
        ARCHITECTURE,
        "| crate | may depend on |\n|---|---|\n| `low` | nothing |\n| `high` | `low` |\n\
         | `top` | anything but `kit` |\n",
    );

    fn manifest(name: &str, rest: &str) -> String {
        format!("[package]\nname = \"{name}\"\n{rest}")
    }

    #[test]
    fn arrows_follow_the_table() {
        let low = manifest("low", "[dependencies]\nhigh.workspace = true\n");
        let high = manifest("high", "[dependencies]\nlow.workspace = true\n");
        let top = manifest("top", "[dependencies]\nlow.workspace = true\nserde.workspace = true\n");
        let files = [
            PAPER,
            ("crates/low/Cargo.toml", &*low),
            ("crates/high/Cargo.toml", &*high),
            ("crates/top/Cargo.toml", &*top),
        ];
        expect(check, &files, &["crates/low/Cargo.toml:4"]);
    }

    #[test]
    fn dev_dependencies_may_point_anywhere_but_need_the_workspace() {
        let low = manifest("low", "[dev-dependencies]\nhigh.workspace = true\n");
        let high = manifest("high", "[dev-dependencies]\nserde = \"1\"\n");
        let top = manifest("other", "");
        let files = [
            PAPER,
            ("crates/low/Cargo.toml", &*low),
            ("crates/high/Cargo.toml", &*high),
            ("crates/top/Cargo.toml", &*top),
        ];
        expect(check, &files, &["crates/high/Cargo.toml:4", "crates/top/Cargo.toml:2"]);
    }

    #[test]
    fn table_and_folders_agree() {
        let low = manifest("low", "");
        let new = manifest("new", "");
        let files = [PAPER, ("crates/low/Cargo.toml", &*low), ("crates/new/Cargo.toml", &*new)];
        let expected = ["ARCHITECTURE.md:1", "ARCHITECTURE.md:4", "ARCHITECTURE.md:5"];
        expect(check, &files, &expected);
        expect(check, &[], &["ARCHITECTURE.md:1"]);
    }

    #[test]
    fn crates_are_counted() {
        let names: Vec<String> =
            (0..=CRATES_MAX).map(|n| format!("crates/c{n}/Cargo.toml")).collect();
        let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
        assert!(
            check(&Repo::of(&files)).iter().any(|finding| finding.message.contains("more than 10"))
        );
    }
}
