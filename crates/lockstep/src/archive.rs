//! A whole store as lines of JSON: what `export` writes and `import` reads.
//!
//! The first line names the format, the program's version and the tables with their columns. Then
//! each line is one row, table by table. The last line has the number of rows of each table, and
//! the SHA-256 of all bytes before it. Values of different types are told apart: numbers, texts,
//! `{"real": "0.5"}`, `{"bytes": "base64"}` and null; bodies are base64.

mod read;
mod write;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use store::{Column, Kind, Table, tables};

pub(crate) use read::Reader;
pub(crate) use write::Writer;

/// The number of the format. It changes when old programs can no longer read new files.
const FORMAT: u64 = 1;
/// What the first line says of itself.
const NAME: &str = "lockstep export";

/// The first line.
#[derive(Debug, Deserialize, Serialize)]
struct Head {
    /// Always [`NAME`].
    kind: String,
    format: u64,
    version: String,
    /// The columns of each table: the name and the kind, key columns first.
    tables: Vec<TableHead>,
}

#[derive(Debug, Deserialize, PartialEq, Serialize)]
struct TableHead {
    name: String,
    key: Vec<[String; 2]>,
    columns: Vec<[String; 2]>,
}

/// The line of a row.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct RowLine {
    table: String,
    key: Vec<Value>,
    columns: Vec<Value>,
    body: String,
}

/// The last line.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct EndLine {
    end: End,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct End {
    /// By table.
    rows: Map<String, Value>,
    sha256: String,
}

/// Describes the tables of this program.
fn table_heads() -> Vec<TableHead> {
    let columns = |columns: &[Column]| {
        let column = |column: &Column| [column.name.to_owned(), kind(column.kind).to_owned()];
        columns.iter().map(column).collect()
    };
    let head = |table: &&'static Table| TableHead {
        name: table.name.to_owned(),
        key: columns(table.key),
        columns: columns(table.columns),
    };
    tables::ALL.iter().map(head).collect()
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Int => "int",
        Kind::Real => "real",
        Kind::Text => "text",
        Kind::Bytes => "bytes",
    }
}
