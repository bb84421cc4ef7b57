//! Writing an archive.

use std::io::Write;

use anyhow::Result;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Serialize;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use store::{Doc, Table};

use super::{End, EndLine, FORMAT, Head, NAME, RowLine, table_heads};

/// Writes lines, and keeps count.
pub(crate) struct Writer<W> {
    out: W,
    digest: Sha256,
    line: Vec<u8>,
    counts: Map<String, Value>,
    count: u64,
}

impl<W: Write> Writer<W> {
    /// Begins with the first line.
    pub(crate) fn begin(out: W) -> Result<Self> {
        let (digest, line, counts) = (Sha256::new(), Vec::new(), Map::new());
        let mut writer = Self { out, digest, line, counts, count: 0 };
        writer.line(&Head {
            kind: NAME.to_owned(),
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            tables: table_heads(),
        })?;
        Ok(writer)
    }

    /// Writes a row.
    pub(crate) fn row(&mut self, table: &'static Table, doc: &Doc) -> Result<()> {
        self.count += 1;
        self.line(&RowLine {
            table: table.name.to_owned(),
            key: doc.key.iter().map(value).collect(),
            columns: doc.columns.iter().map(value).collect(),
            body: STANDARD.encode(&doc.body),
        })
    }

    /// Takes note that a table is written.
    pub(crate) fn end_of(&mut self, table: &'static Table) {
        self.counts.insert(table.name.to_owned(), std::mem::take(&mut self.count).into());
    }

    /// Ends with the last line, and gives what was written to.
    pub(crate) fn end(mut self) -> Result<W> {
        let digest = std::mem::take(&mut self.digest).finalize();
        let sha256 = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let rows = std::mem::take(&mut self.counts);
        self.line(&EndLine { end: End { rows, sha256 } })?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn line(&mut self, what: &impl Serialize) -> Result<()> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, what)?;
        self.line.push(b'\n');
        self.digest.update(&self.line);
        self.out.write_all(&self.line)?;
        Ok(())
    }
}

fn value(value: &store::Value) -> Value {
    match value {
        store::Value::Null => Value::Null,
        store::Value::Int(number) => (*number).into(),
        // The shortest text that gives the same float again; JSON has no infinity.
        store::Value::Real(number) => json!({"real": number.to_string()}),
        store::Value::Text(text) => text.as_str().into(),
        store::Value::Bytes(bytes) => json!({"bytes": STANDARD.encode(bytes)}),
    }
}
