//! How a table's keys, rows and index entries are laid out as bytes.
//!
//! A key is its encoded values. A row is its encoded columns, each after a byte that is 0 for null,
//! and then the body. An index entry is the encoded fields of the index and those of the key that
//! are not among them: all of the key is in it, and nothing twice.

use model::{Error, Result};

use crate::ordered::{Bytes, Plain, Stretch, cut, damaged};
use crate::{Column, Doc, Kept, Kind, PRIMARY, Range, Table, Value};

const NULL: u8 = 0;
const PRESENT: u8 = 1;
/// Columns of a table, with those of the key.
const FIELDS_MAX: usize = 10;

/// A table with what is worked out once.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) table: &'static Table,
    kinds: Vec<Kind>,
    primary: Order,
    indexes: Vec<Order>,
}

/// The positions of the fields that make up an index entry, in order.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) fields: Vec<usize>,
    pub(crate) kept: Kept,
}

/// The encoded fields of a row: key columns first; null is `None`, as is what is not there.
pub(crate) type Fields<'a> = [Option<&'a [u8]>; FIELDS_MAX];

/// Gives the layout of every table, each at its own id.
pub(crate) fn layouts() -> Vec<Layout> {
    crate::tables::ALL.iter().map(|table| Layout::new(table)).collect()
}

/// Gives the layout of a table.
pub(crate) fn layout<'a>(layouts: &'a [Layout], table: &'static Table) -> Result<&'a Layout> {
    layouts.get(table.id).ok_or_else(|| Error::Internal(format!("there is no table {table:?}")))
}

impl Layout {
    fn new(table: &'static Table) -> Self {
        let keys = 0..table.key.len();
        let order = |index: &crate::Index| {
            let ties = keys.clone().filter(|field| !index.fields.contains(field));
            Order { fields: index.fields.iter().copied().chain(ties).collect(), kept: index.kept }
        };
        Self {
            table,
            kinds: table.key.iter().chain(table.columns).map(|column| column.kind).collect(),
            primary: Order { fields: keys.clone().collect(), kept: Kept::OnDisk },
            indexes: table.indexes.iter().map(order).collect(),
        }
    }

    /// Tells whether the rows belong to no namespace: then no number comes first in their keys.
    pub(crate) fn is_head(&self) -> bool {
        self.kinds.first() != Some(&Kind::Int)
    }

    /// Gives the namespace that comes first in an encoded key, by an id of it.
    pub(crate) fn namespace(&self, mut key: &[u8]) -> Result<Option<i64>> {
        if self.is_head() {
            return Ok(None);
        }
        match Plain::decode(cut(&mut key, Kind::Int)?, Kind::Int)? {
            Plain::Int(id) => Ok(Some(id)),
            _ => Err(damaged()),
        }
    }

    /// Gives the values of an index entry.
    pub(crate) fn values_of_entry(&self, order: &Order, mut entry: &[u8]) -> Result<Vec<Value>> {
        let mut values = Vec::with_capacity(order.fields.len());
        for field in &order.fields {
            let kind = *self.kinds.get(*field).ok_or_else(damaged)?;
            values.push(Plain::decode(cut(&mut entry, kind)?, kind)?.into());
        }
        Ok(values)
    }

    /// Gives the order of an index, or of the primary key.
    pub(crate) fn order(&self, index: usize) -> Result<&Order> {
        if index == PRIMARY {
            return Ok(&self.primary);
        }
        self.indexes.get(index).ok_or_else(|| self.misused(&format!("has no index {index}")))
    }

    /// Gives the orders of all indexes.
    pub(crate) fn orders(&self) -> &[Order] {
        &self.indexes
    }

    /// Gives the column of a field.
    pub(crate) fn column(&self, field: usize) -> Option<&'static Column> {
        self.table.key.iter().chain(self.table.columns).nth(field)
    }

    /// Encodes a key.
    pub(crate) fn key(&self, key: &[Value]) -> Result<Vec<u8>> {
        if key.len() != self.table.key.len() {
            return Err(self.misused(&format!("has no key {key:?}")));
        }
        let mut out = Vec::with_capacity(48);
        for (value, column) in key.iter().zip(self.table.key) {
            Plain::of(value, column.kind)?.encode(&mut out);
        }
        Ok(out)
    }

    /// Encodes the columns and the body of a row.
    pub(crate) fn row(&self, doc: &Doc) -> Result<Vec<u8>> {
        let mut out = Vec::with_capacity(10 * doc.columns.len() + doc.body.len());
        self.write_row(doc, &mut out)?;
        Ok(out)
    }

    /// Puts the encoded columns and the body of a row into a buffer.
    pub(crate) fn write_row<'b>(&self, doc: &Doc, buffer: &'b mut Vec<u8>) -> Result<&'b [u8]> {
        if doc.columns.len() != self.table.columns.len() {
            return Err(self.misused(&format!("has no columns {:?}", doc.columns)));
        }
        buffer.clear();
        for (value, column) in doc.columns.iter().zip(self.table.columns) {
            let value = match value {
                Value::Null => None,
                value => Some(Plain::of(value, column.kind)?),
            };
            encode_column(buffer, value.as_ref());
        }
        buffer.extend_from_slice(&doc.body);
        Ok(buffer)
    }

    /// Turns an encoded key and row back into plain values.
    pub(crate) fn doc(&self, mut key: &[u8], mut row: &[u8]) -> Result<Doc> {
        let mut values = Vec::with_capacity(self.table.key.len());
        for column in self.table.key {
            values.push(Plain::decode(cut(&mut key, column.kind)?, column.kind)?.into());
        }
        let mut columns = Vec::with_capacity(self.table.columns.len());
        for column in self.table.columns {
            columns.push(match cut_column(&mut row, column.kind)? {
                Some(field) => Plain::decode(field, column.kind)?.into(),
                None => Value::Null,
            });
        }
        Ok(Doc { key: values, columns, body: row.to_vec() })
    }

    /// Finds the fields in an encoded key and row.
    pub(crate) fn fields<'a>(&self, key: &'a [u8], row: &'a [u8]) -> Result<Fields<'a>> {
        self.split(key, row).map(|(fields, _)| fields)
    }

    /// Finds the fields, and the body.
    pub(crate) fn split<'a>(&self, key: &'a [u8], row: &'a [u8]) -> Result<(Fields<'a>, &'a [u8])> {
        let (mut fields, body) = self.columns(row)?;
        self.find_key(key, &mut fields)?;
        Ok((fields, body))
    }

    /// Finds the fields in an encoded key.
    pub(crate) fn key_fields<'a>(&self, key: &'a [u8]) -> Result<Fields<'a>> {
        let mut fields = [None; FIELDS_MAX];
        self.find_key(key, &mut fields)?;
        Ok(fields)
    }

    /// Finds the fields of a row that are not in its key, and its body.
    pub(crate) fn columns<'a>(&self, mut row: &'a [u8]) -> Result<(Fields<'a>, &'a [u8])> {
        let mut fields = [None; FIELDS_MAX];
        let mut places = fields.iter_mut().skip(self.table.key.len());
        for column in self.table.columns {
            *places.next().ok_or_else(damaged)? = cut_column(&mut row, column.kind)?;
        }
        Ok((fields, row))
    }

    /// Finds those that are in its key.
    pub(crate) fn find_key<'a>(&self, mut key: &'a [u8], fields: &mut Fields<'a>) -> Result<()> {
        for (place, column) in fields.iter_mut().zip(self.table.key) {
            *place = Some(cut(&mut key, column.kind)?);
        }
        Ok(())
    }

    /// Gives the key that an index entry carries.
    pub(crate) fn key_of_entry(&self, order: &Order, mut entry: &[u8]) -> Result<Bytes> {
        let mut fields: Fields<'_> = [None; FIELDS_MAX];
        for field in &order.fields {
            let kind = *self.kinds.get(*field).ok_or_else(damaged)?;
            *fields.get_mut(*field).ok_or_else(damaged)? = Some(cut(&mut entry, kind)?);
        }
        let key = fields.iter().take(self.table.key.len()).map(|field| field.unwrap_or_default());
        let mut bytes = Vec::with_capacity(key.clone().map(<[u8]>::len).sum());
        key.for_each(|field| bytes.extend_from_slice(field));
        Ok(bytes.into_boxed_slice())
    }

    /// Gives the first field of an index entry, encoded.
    pub(crate) fn first_field<B>(&self, order: &Order, mut entry: &[u8]) -> Result<B>
    where
        B: for<'a> From<&'a [u8]>,
    {
        let first = order.fields.first().and_then(|field| self.kinds.get(*field));
        Ok(cut(&mut entry, *first.ok_or_else(damaged)?)?.into())
    }

    /// Gives the first value of an index entry.
    pub(crate) fn first_of_entry(&self, order: &Order, mut entry: &[u8]) -> Result<Value> {
        let first = order.fields.first().and_then(|field| self.kinds.get(*field));
        let kind = *first.ok_or_else(damaged)?;
        Ok(Plain::decode(cut(&mut entry, kind)?, kind)?.into())
    }

    /// Gives the stretch of entries that a range names; `None` if it can hold nothing.
    pub(crate) fn stretch(&self, order: &Order, range: &Range) -> Result<Option<Stretch>> {
        let mut kinds = order.fields.iter().filter_map(|field| self.kinds.get(*field));
        let mut prefix = Vec::with_capacity(48);
        for value in &range.prefix {
            let kind = *kinds.next().ok_or_else(|| self.too_long(range))?;
            Plain::of(value, kind)?.encode(&mut prefix);
        }
        let kind = kinds.next();
        let next = |value: &Option<Value>| -> Result<Option<Vec<u8>>> {
            let Some(value) = value else { return Ok(None) };
            let mut bytes = prefix.clone();
            Plain::of(value, *kind.ok_or_else(|| self.too_long(range))?)?.encode(&mut bytes);
            Ok(Some(bytes))
        };
        let (after, upto) = (next(&range.after)?, next(&range.upto)?);
        Ok(Stretch::new(prefix, after, upto))
    }

    /// Refuses a read that scans what only the writer holds.
    pub(crate) fn check_scan(&self, order: &Order, writes: bool) -> Result<()> {
        if writes || order.kept == Kept::OnDisk {
            return Ok(());
        }
        Err(self.misused("has an index in memory, which only a write can scan"))
    }

    fn too_long(&self, range: &Range) -> Error {
        self.misused(&format!("has no index for all of {range:?}"))
    }

    fn misused(&self, how: &str) -> Error {
        Error::Internal(format!("table {} {how}", self.table.name))
    }
}

impl Order {
    /// Tells whether two rows have different entries.
    pub(crate) fn differs(&self, one: &Fields<'_>, other: &Fields<'_>) -> bool {
        self.fields.iter().any(|field| one.get(*field) != other.get(*field))
    }

    /// Gives the entry of a row; `None` if one of the fields is null.
    pub(crate) fn entry(&self, fields: &Fields<'_>) -> Option<Vec<u8>> {
        let length = |field: &usize| fields.get(*field).copied().flatten().map(<[u8]>::len);
        let mut entry = Vec::with_capacity(self.fields.iter().map(length).sum::<Option<_>>()?);
        self.write_entry(fields, &mut entry)?;
        Some(entry)
    }

    /// Puts the entry of a row into a buffer; `None` if one of the fields is null.
    pub(crate) fn write_entry<'b>(
        &self,
        fields: &Fields<'_>,
        buffer: &'b mut Vec<u8>,
    ) -> Option<&'b [u8]> {
        buffer.clear();
        for field in &self.fields {
            buffer.extend_from_slice(fields.get(*field).copied().flatten()?);
        }
        Some(buffer)
    }
}

/// Appends one column of a row; null is `None`.
pub(crate) fn encode_column(out: &mut Vec<u8>, value: Option<&Plain<'_>>) {
    match value {
        None => out.push(NULL),
        Some(value) => {
            out.push(PRESENT);
            value.encode(out);
        }
    }
}

fn cut_column<'a>(rest: &mut &'a [u8], kind: Kind) -> Result<Option<&'a [u8]>> {
    let (head, tail) = rest.split_first().ok_or_else(damaged)?;
    *rest = tail;
    if *head == NULL { Ok(None) } else { cut(rest, kind).map(Some) }
}
