//! Nothing in the repository knows the machine it was written on.

use super::{Finding, numbered};
use crate::repo::Repo;

/// Starts of absolute paths that exist on one machine only.
const BANNED: [&str; 5] = ["/work/", "/root/", "/home/", "/Users/", "/tmp/"];
/// This folder names what it bans.
const EXEMPT: &str = "xtask/src/tidy/";

/// Checks every text file.
pub(super) fn check(repo: &Repo) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in repo.all().filter(|(path, _)| !path.starts_with(EXEMPT)) {
        for (number, line) in numbered(text) {
            if let Some(what) = BANNED.iter().find(|what| starts_path(line, what)) {
                let message = format!("{what} is a path of one machine");
                findings.push(Finding::new(path, number, message));
            }
        }
    }
    findings
}

/// Tells whether a path starts here, rather than goes on.
fn starts_path(line: &str, what: &str) -> bool {
    line.match_indices(what).any(|(at, _)| {
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        !before.is_some_and(|c| c.is_alphanumeric() || "./_-})>*".contains(c))
    })
}

#[cfg(test)]
mod tests {
    use crate::tidy::expect;

    #[test]
    fn paths_of_one_machine_are_found() {
        let text = "see /home/me/x\nsrc/home/unit.rs\n\"/tmp/x\"\n/homes/\n";
        expect(super::check, &[("docs/a.md", text)], &["docs/a.md:1", "docs/a.md:3"]);
    }
}
