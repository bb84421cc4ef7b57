//! Rules take the time as input and know no async runtime.

use super::{Finding, numbered};
use crate::repo::Repo;

/// Crates that are functions of their input.
const PURE: [&str; 2] = ["crates/model/src/", "crates/queue/src/"];
/// What would make them something else.
const BANNED: [&str; 6] =
    ["SystemTime::now", "Instant::now", "Timestamp::now", "tokio", "getrandom", "thread::"];
/// Also keeps no time of its own, but runs threads.
const STORE: &str = "crates/store/src/";
const BANNED_IN_STORE: [&str; 2] = ["SystemTime::now", "Timestamp::now"];

/// Checks the sources of the crates that rules live in.
pub(super) fn check(repo: &Repo) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in repo.ending(".rs") {
        let banned: &[&str] = if PURE.iter().any(|folder| path.starts_with(folder)) {
            &BANNED
        } else if path.starts_with(STORE) {
            &BANNED_IN_STORE
        } else {
            continue;
        };
        for (number, line) in numbered(text) {
            if let Some(what) = banned.iter().find(|what| line.contains(**what)) {
                let message = format!("{what} is banned here: the caller passes time and ids in");
                findings.push(Finding::new(path, number, message));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use crate::tidy::expect;

    #[test]
    fn clocks_and_runtimes_are_found() {
        let files = [
            ("crates/engine/src/lib.rs", "SystemTime::now()\n"),
            ("crates/model/src/lib.rs", "use tokio::sync;\n"),
            ("crates/queue/src/lib.rs", "let a = 1;\nlet now = Instant::now();\n"),
            ("crates/store/src/lib.rs", "Instant::now();\nSystemTime::now();\n"),
        ];
        let expected =
            ["crates/model/src/lib.rs:1", "crates/queue/src/lib.rs:2", "crates/store/src/lib.rs:2"];
        expect(super::check, &files, &expected);
    }
}
