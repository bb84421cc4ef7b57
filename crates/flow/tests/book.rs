//! The page of the book that describes documents names each code and each limit.

use flow::{Code, Severity, limits};

const PAGE: &str = include_str!("../../../docs/book/src/reference/workflow-documents.md");

#[test]
fn the_book_has_each_code_and_limit() {
    for code in Code::ALL {
        let warning = if code.severity() == Severity::Warning { " (a warning)" } else { "" };
        let row = format!("| `{}` | {}{warning} |", code.as_str(), code.meaning());
        assert!(PAGE.contains(&row), "{row}");
    }
    for (name, value, unit) in limits::all() {
        let row = format!("| {name} | {value} | {unit} |");
        assert!(PAGE.contains(&row), "{row}");
    }
}
