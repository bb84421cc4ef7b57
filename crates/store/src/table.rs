//! Tables, their indexes, and rows as plain values.

use model::{Error, Result};
use smol_str::SmolStr;

/// One value of a key or column.
///
/// Order, in every store: null, then numbers, then text, then bytes (bytewise). No real is NaN.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing; a row with a null in an indexed column is not in that index.
    Null,
    /// A whole number.
    Int(i64),
    /// A float.
    Real(f64),
    /// Text.
    Text(SmolStr),
    /// Bytes.
    Bytes(Box<[u8]>),
}

impl Value {
    /// Wraps an incarnation id, position or count; ids stay far below 2⁶³.
    pub fn id(id: u64) -> Self {
        Self::Int(i64::try_from(id).unwrap_or(i64::MAX))
    }

    /// Gives the whole number, or says that the store is damaged.
    pub fn as_int(&self) -> Result<i64> {
        match self {
            Self::Int(value) => Ok(*value),
            other => Err(damaged("a whole number", other)),
        }
    }

    /// Gives the incarnation id, position or count.
    pub fn as_id(&self) -> Result<u64> {
        u64::try_from(self.as_int()?).map_err(|_| damaged("an id", self))
    }

    /// Gives the text.
    pub fn as_text(&self) -> Result<&str> {
        match self {
            Self::Text(value) => Ok(value),
            other => Err(damaged("a text", other)),
        }
    }

    /// Gives the bytes.
    pub fn as_bytes(&self) -> Result<&[u8]> {
        match self {
            Self::Bytes(value) => Ok(value),
            other => Err(damaged("bytes", other)),
        }
    }

    /// Takes the bytes out.
    pub fn into_bytes(self) -> Result<Box<[u8]>> {
        match self {
            Self::Bytes(value) => Ok(value),
            other => Err(damaged("bytes", &other)),
        }
    }

    /// Takes the text out.
    pub fn into_text(self) -> Result<SmolStr> {
        match self {
            Self::Text(value) => Ok(value),
            other => Err(damaged("a text", &other)),
        }
    }
}

fn damaged(expected: &str, found: &Value) -> Error {
    Error::Internal(format!("a stored value should be {expected} but is {found:?}"))
}

/// A primary key: one value for each of the table's key columns.
pub type Key = Vec<Value>;

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Whole numbers.
    Int,
    /// Floats.
    Real,
    /// Text.
    Text,
    /// Bytes.
    Bytes,
}

/// A column: its name in SQL and its type. Key columns are never null, others may be.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// The name.
    pub name: &'static str,
    /// The type.
    pub kind: Kind,
}

/// Where a store that has a disk keeps an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// In the memory of the writer, rebuilt at start: for what is small or hot. Only writes see it.
    InMemory,
    /// On disk, for reads and writes.
    OnDisk,
}

/// An order in which a table can be scanned. Ties are in primary key order.
#[derive(Clone, Copy, Debug)]
pub struct Index {
    /// The name.
    pub name: &'static str,
    /// Positions in key columns followed by value columns.
    pub fields: &'static [usize],
    /// Where it is kept.
    pub kept: Kept,
}

/// A map from key to row, with further orders.
#[derive(Debug)]
pub struct Table {
    /// Its position in [`crate::tables::ALL`].
    pub id: usize,
    /// The name in SQL.
    pub name: &'static str,
    /// The columns of the primary key.
    pub key: &'static [Column],
    /// The other columns; after them comes the body.
    pub columns: &'static [Column],
    /// Further orders.
    pub indexes: &'static [Index],
}

/// Names the primary key in place of an index.
pub const PRIMARY: usize = usize::MAX;

/// A row as plain values.
#[derive(Clone, Debug, PartialEq)]
pub struct Doc {
    /// The primary key.
    pub key: Key,
    /// The other columns.
    pub columns: Vec<Value>,
    /// Everything else, encoded by its owner.
    pub body: Vec<u8>,
}

impl Doc {
    /// Gives the value of a field: key columns first, then value columns.
    pub fn field(&self, position: usize) -> Option<&Value> {
        match position.checked_sub(self.key.len()) {
            None => self.key.get(position),
            Some(position) => self.columns.get(position),
        }
    }
}

/// A typed row.
pub trait Row: Sized {
    /// Its table.
    const TABLE: &'static Table;

    /// Turns it into plain values.
    fn to_doc(&self) -> Doc;

    /// Reads it from plain values.
    ///
    /// # Errors
    /// [`Error::Internal`] if the stored row is damaged.
    fn from_doc(doc: Doc) -> Result<Self>;
}
