//! A definition with its canonical form and its hash, read from a text.

use std::fmt::Write;

use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use crate::{
    check,
    document::Document,
    node::Node,
    problem::{Path, Pos, Problem, Severity},
    shape::{Reader, Shape},
    text,
};

/// A document without errors.
#[derive(Clone, Debug)]
pub struct Definition {
    /// What the document says.
    pub document: Document,
    /// What is odd about it.
    pub warnings: Vec<Problem>,
    node: Node,
}

/// Two definitions are equal if they say the same, however they are written.
impl PartialEq for Definition {
    fn eq(&self, other: &Self) -> bool {
        self.document == other.document
    }
}

impl Definition {
    /// Reads a YAML or JSON text, or tells everything that is wrong with it in the order of the
    /// text, warnings included.
    pub fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        let node = match text::read(text) {
            Ok(node) => node,
            Err(unreadable) => {
                let mut reader = Reader::default();
                let hint = "correct the text at this place; nothing after it was looked at";
                reader.note(unreadable.at, unreadable.code, unreadable.message, hint);
                return Err(reader.problems);
            }
        };
        let mut reader = Reader::default();
        let document = Document::read(&node, &mut reader);
        check::check(&node, &mut reader);
        let mut problems = reader.problems;
        problems.sort_by_key(|problem| problem.at);
        let failed = problems.iter().any(|problem| problem.severity == Severity::Error);
        match document {
            Some(document) if !failed => Ok(Self { document, warnings: problems, node }),
            _ => Err(problems),
        }
    }

    /// Gives the canonical form: JSON without spaces, keys in order, what is left out filled in.
    pub fn canonical(&self) -> String {
        // The types hold nothing that JSON cannot say, so writing them cannot fail.
        let json = serde_json::to_value(&self.document).unwrap_or_default();
        let mut out = String::new();
        write_sorted(&json, &mut out);
        out
    }

    /// Gives the SHA-256 of the canonical form in hexadecimal digits.
    pub fn content_hash(&self) -> String {
        hex(&Sha256::digest(self.canonical().as_bytes()))
    }

    /// Finds where in the text a value of the document stands.
    pub fn locate(&self, path: &Path) -> Pos {
        self.node.locate(path)
    }
}

/// Writes bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _written = write!(hex, "{byte:02x}");
        hex
    })
}

/// Writes keys in the order of their bytes, whatever order the map keeps.
fn write_sorted(json: &Json, out: &mut String) {
    match json {
        Json::Object(map) => {
            let mut keys: Vec<_> = map.iter().collect();
            keys.sort_by_key(|(key, _)| *key);
            out.push('{');
            for (index, (key, value)) in keys.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                out.push_str(&Json::from(key.as_str()).to_string());
                out.push(':');
                write_sorted(value, out);
            }
            out.push('}');
        }
        Json::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_sorted(item, out);
            }
            out.push(']');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}
