//! The table of error codes, read from the source that defines it.

/// Where the table is.
pub(crate) const SOURCE: &str = "crates/model/src/error/code.rs";
/// Where the pages are.
pub(crate) const FOLDER: &str = "docs/book/src/errors/";

/// One row of the table.
#[derive(Debug, PartialEq)]
pub(crate) struct Code {
    /// The stable code.
    pub(crate) code: String,
    /// The ancestor's code.
    pub(crate) ancestor: String,
    /// The HTTP status.
    pub(crate) status: String,
    /// What to do.
    pub(crate) hint: String,
}

/// Reads every call of `row` with four literals.
pub(crate) fn read(source: &str) -> Vec<Code> {
    source.split("row(").skip(1).filter_map(read_row).collect()
}

fn read_row(text: &str) -> Option<Code> {
    let (code, rest) = literal(text)?;
    let (ancestor, rest) = literal(rest.trim_start().strip_prefix(',')?)?;
    let (status, rest) = rest.trim_start().strip_prefix(',')?.split_once(',')?;
    let (hint, _) = literal(rest)?;
    Some(Code { code, ancestor, status: status.trim().to_owned(), hint })
}

/// Reads a string literal at the start of a text, and gives what follows it.
fn literal(text: &str) -> Option<(String, &str)> {
    let mut chars = text.trim_start().strip_prefix('"')?.chars();
    let mut value = String::new();
    loop {
        match chars.next()? {
            '"' => return Some((value, chars.as_str())),
            '\\' => value.push(chars.next()?),
            c => value.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_in_either_layout() {
        let source = r#"const fn row(code: &str) {}
            Self::A => row("a", "ErrA", 400, "say \"x\""),
            Self::B => row(
                "b",
                "error",
                404,
                "look",
            ),"#;
        let code = |code: &str, ancestor: &str, status: &str, hint: &str| Code {
            code: code.to_owned(),
            ancestor: ancestor.to_owned(),
            status: status.to_owned(),
            hint: hint.to_owned(),
        };
        let expected = [code("a", "ErrA", "400", "say \"x\""), code("b", "error", "404", "look")];
        assert_eq!(read(source), expected);
    }

    #[test]
    fn the_real_table_is_understood() {
        let source = include_str!("../../../crates/model/src/error/code.rs");
        let codes = read(source);
        let lost = model::Error::LostLease.code();
        let found = codes.iter().find(|code| code.code == lost.code).unwrap();
        assert_eq!((found.status.as_str(), found.hint.as_str()), ("409", lost.hint));
        let usage = codes.iter().find(|code| code.code == model::ErrorCode::USAGE.code).unwrap();
        assert_eq!(usage.status, "0");
        // One more is the function itself.
        assert_eq!(codes.len() + 1, source.matches("row(").count());
    }
}
