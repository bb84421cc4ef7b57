//! Rows on disk: the few statements that a table needs, over one connection.

use std::cell::RefCell;

use model::{Error, Result};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, Row, Statement, ToSql, params_from_iter};

use super::checkpoint::{Log, checkpoint, log};
use super::failure::{explained, is_fatal};
use super::texts::{Change, Texts, first_text, indexed_text, scan_text};
use crate::layout::{Fields, Layout, Order, encode_column};
use crate::ordered::Plain;
use crate::{Kind, Range, Table, Value};

/// A connection and the texts of its statements.
pub(crate) struct Disk {
    connection: Connection,
    tables: Vec<Texts>,
    /// Why the open transaction cannot be committed.
    broken: RefCell<Option<Error>>,
    /// Why nothing can be written before a restart.
    stopped: RefCell<Option<Error>>,
}

impl Disk {
    pub(crate) fn new(connection: Connection, layouts: &[Layout]) -> Self {
        connection.set_prepared_statement_cache_capacity(256);
        Self {
            connection,
            tables: layouts.iter().map(Texts::new).collect(),
            broken: RefCell::default(),
            stopped: RefCell::default(),
        }
    }

    /// Begins a transaction that will write.
    pub(crate) fn begin(&self) -> Result<()> {
        self.stopped.borrow().clone().map_or(Ok(()), Err)?;
        // What failed between transactions was not part of this one.
        self.broken.take();
        self.execute("BEGIN IMMEDIATE")
    }

    /// Begins a transaction that only reads: one look at the database as it is now.
    pub(crate) fn begin_read(&self) -> Result<()> {
        self.execute("BEGIN")
    }

    /// Makes the transaction durable.
    pub(crate) fn commit(&self) -> Result<()> {
        self.execute("COMMIT")
    }

    /// Looks at the log.
    pub(crate) fn log(&self) -> Log {
        // What is only for tidiness must not fail a group that is durable.
        self.noting(|| log(&self.connection)).unwrap_or_default()
    }

    /// Moves the log into the database, between two transactions.
    pub(crate) fn checkpoint(&self) -> Log {
        // A full disk is no reason to refuse what may still fit into the log, and what is one stops
        // the next transaction.
        self.noting(|| checkpoint(&self.connection)).unwrap_or_default()
    }

    /// Ends the transaction without a trace, if it is still open.
    pub(crate) fn roll_back(&self) {
        if !self.connection.is_autocommit()
            && let Err(error) = self.execute("ROLLBACK")
        {
            self.stopped.borrow_mut().get_or_insert(error);
        }
        self.broken.take();
    }

    /// Tells whether the transaction can still be committed.
    pub(crate) fn check(&self) -> Result<()> {
        self.broken.borrow().clone().map_or(Ok(()), Err)
    }

    /// Gives access to the single rows of a table.
    pub(crate) fn rows<'a>(&'a self, layout: &'a Layout) -> Rows<'a> {
        Rows { disk: self, layout, load: None, write: None }
    }

    /// Gives the encoded keys and rows in a range of an index that is on disk.
    pub(crate) fn scan(
        &self,
        layout: &Layout,
        index: usize,
        order: &Order,
        range: &Range,
        limit: u32,
    ) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let text = scan_text(layout, index, order, range);
        let bounds = range.prefix.iter().chain(&range.after).chain(&range.upto);
        let table = layout.table;
        self.noting(|| {
            let mut statement = self.connection.prepare_cached(&text)?;
            let mut rows = statement.query(params_from_iter(bounds))?;
            let mut found = Vec::new();
            // A bound LIMIT would make SQLite prepare the statement anew each time.
            while found.len() < limit as usize
                && let Some(row) = rows.next()?
            {
                let mut key = Vec::with_capacity(48);
                for (place, column) in table.key.iter().enumerate() {
                    let value = value(row, place, column.kind)?;
                    value.ok_or(rusqlite::Error::InvalidQuery)?.encode(&mut key);
                }
                found.push((key, encoded(row, table, table.key.len())?));
            }
            Ok(found)
        })
    }

    /// Gives the smallest value of the first field of an index that is on disk.
    pub(crate) fn first(
        &self,
        layout: &Layout,
        index: usize,
        order: &Order,
    ) -> Result<Option<Value>> {
        let Some((column, text)) = first_text(layout, index, order) else { return Ok(None) };
        self.noting(|| {
            let mut statement = self.connection.prepare_cached(&text)?;
            let mut rows = statement.query([])?;
            let Some(row) = rows.next()? else { return Ok(None) };
            Ok(value(row, 0, column.kind)?.map(Value::from))
        })
    }

    fn texts(&self, table: &Table) -> rusqlite::Result<&Texts> {
        self.tables.get(table.id).ok_or(rusqlite::Error::InvalidQuery)
    }

    fn execute(&self, text: &str) -> Result<()> {
        self.noting(|| self.connection.prepare_cached(text)?.execute([])).map(|_| ())
    }

    /// Explains an error, and remembers what it means for the transaction and for later ones.
    fn noting<T>(&self, work: impl FnOnce() -> rusqlite::Result<T>) -> Result<T> {
        work().map_err(|error| {
            let (is_fatal, error) = (is_fatal(&error), explained(error));
            if is_fatal {
                self.stopped.borrow_mut().get_or_insert_with(|| error.clone());
            }
            // SQLite ends the transaction itself after some errors.
            if is_fatal || self.connection.is_autocommit() {
                self.broken.borrow_mut().get_or_insert_with(|| error.clone());
            }
            error
        })
    }
}

/// Goes through the encoded keys and columns of all rows that are in an index in memory.
pub(crate) fn each(
    connection: &Connection,
    layout: &Layout,
    mut take: impl FnMut(&[u8], &[u8]) -> Result<()>,
) -> Result<()> {
    let (key, columns) = (layout.table.key, layout.table.columns);
    let text = indexed_text(layout);
    let mut statement = connection.prepare(&text).map_err(explained)?;
    let mut rows = statement.query([]).map_err(explained)?;
    let (mut keys, mut rest) = (Vec::new(), Vec::new());
    while let Some(row) = rows.next().map_err(explained)? {
        keys.clear();
        rest.clear();
        for (place, column) in key.iter().chain(columns).enumerate() {
            let value = value(row, place, column.kind).map_err(explained)?;
            match value {
                Some(value) if place < key.len() => value.encode(&mut keys),
                value => encode_column(&mut rest, value.as_ref()),
            }
        }
        take(&keys, &rest)?;
    }
    Ok(())
}

/// Single rows of a table; statements are kept from one row to the next.
pub(crate) struct Rows<'a> {
    disk: &'a Disk,
    layout: &'a Layout,
    load: Option<CachedStatement<'a>>,
    write: Option<(Change, CachedStatement<'a>)>,
}

impl Rows<'_> {
    /// Gives the encoded row with an encoded key.
    pub(crate) fn load(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let table = self.layout.table;
        let key = self.layout.key_fields(key)?;
        self.disk.noting(|| {
            let statement = match &mut self.load {
                Some(statement) => statement,
                none => {
                    none.insert(self.disk.connection.prepare_cached(&self.disk.texts(table)?.load)?)
                }
            };
            bind(statement, self.layout, 0..table.key.len(), &key)?;
            let mut rows = statement.raw_query();
            rows.next()?.map(|row| encoded(row, table, 0)).transpose()
        })
    }

    /// Writes one row, or deletes the one with its key.
    pub(crate) fn write(&mut self, change: Change, key: &[u8], row: &[u8]) -> Result<()> {
        let table = self.layout.table;
        let (fields, body) = self.layout.split(key, row)?;
        let written = self.disk.noting(|| {
            let statement = match &mut self.write {
                Some((prepared, statement)) if *prepared == change => statement,
                other => {
                    let text = self.disk.texts(table)?.of(change);
                    let text = text.ok_or(rusqlite::Error::InvalidQuery)?;
                    let statement = self.disk.connection.prepare_cached(text)?;
                    &mut other.insert((change, statement)).1
                }
            };
            let keys = 0..table.key.len();
            let columns = (0..table.columns.len()).filter(|place| change.sets(*place));
            let places = keys.clone().chain(columns.map(|place| keys.len() + place));
            let bound = bind(statement, self.layout, places, &fields)?;
            if change != Change::Delete {
                statement.raw_bind_parameter(bound + 1, body)?;
            }
            match statement.raw_execute()? {
                1 => Ok(()),
                rows => Err(rusqlite::Error::StatementChangedRows(rows)),
            }
        });
        written.inspect_err(|error| {
            self.disk.broken.borrow_mut().get_or_insert_with(|| error.clone());
        })
    }
}

/// Binds fields in order and tells how many.
fn bind(
    statement: &mut Statement<'_>,
    layout: &Layout,
    places: impl Iterator<Item = usize>,
    fields: &Fields<'_>,
) -> rusqlite::Result<usize> {
    let mut bound = 0;
    for place in places {
        bound += 1;
        let column = layout.column(place).ok_or(rusqlite::Error::InvalidQuery)?;
        let value = match fields.get(place).copied().flatten() {
            None => None,
            // Only this program encodes, so this cannot fail.
            Some(field) => {
                Some(Plain::decode(field, column.kind).map_err(|_| rusqlite::Error::InvalidQuery)?)
            }
        };
        statement.raw_bind_parameter(bound, value)?;
    }
    Ok(bound)
}

/// Encodes the columns and the body that stand in a result from some place on.
fn encoded(row: &Row<'_>, table: &Table, from: usize) -> rusqlite::Result<Vec<u8>> {
    let body = row.get_ref(from + table.columns.len())?.as_blob()?;
    let mut out = Vec::with_capacity(10 * table.columns.len() + body.len());
    for (place, column) in (from..).zip(table.columns) {
        encode_column(&mut out, value(row, place, column.kind)?.as_ref());
    }
    out.extend_from_slice(body);
    Ok(out)
}

/// Gives a value of a result; null is none.
pub(crate) fn value<'a>(
    row: &'a Row<'_>,
    place: usize,
    kind: Kind,
) -> rusqlite::Result<Option<Plain<'a>>> {
    let found = row.get_ref(place)?;
    Ok(match (kind, found) {
        (_, ValueRef::Null) => None,
        (Kind::Int, found) => Some(Plain::Int(found.as_i64()?)),
        (Kind::Real, found) => Some(Plain::Real(found.as_f64()?)),
        (Kind::Text, found) => Some(Plain::Text(found.as_str()?.into())),
        (Kind::Bytes, found) => Some(Plain::Bytes(found.as_blob()?.into())),
    })
}

impl ToSql for Plain<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Int(value) => ValueRef::Integer(*value),
            Self::Real(value) => ValueRef::Real(*value),
            Self::Text(value) => ValueRef::Text(value.as_bytes()),
            Self::Bytes(value) => ValueRef::Blob(value),
        }))
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(value) => ValueRef::Integer(*value),
            Self::Real(value) => ValueRef::Real(*value),
            Self::Text(value) => ValueRef::Text(value.as_bytes()),
            Self::Bytes(value) => ValueRef::Blob(value),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::ffi;

    fn failing(disk: &Disk, code: i32) -> Error {
        let failure = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
        disk.noting(|| Err::<(), _>(failure)).unwrap_err()
    }

    #[test]
    fn after_a_failed_fsync_nothing_is_written_any_more() {
        for code in [ffi::SQLITE_IOERR_FSYNC, ffi::SQLITE_IOERR_WRITE, ffi::SQLITE_IOERR_READ] {
            let disk = Disk::new(Connection::open_in_memory().unwrap(), &[]);
            disk.begin().unwrap();
            let error = failing(&disk, code);
            assert!(matches!(&error, Error::Unavailable(message) if message.contains("restart")));
            assert_eq!(disk.check(), Err(error.clone()));
            disk.roll_back();
            assert_eq!(disk.begin(), Err(error));
        }
    }

    #[test]
    fn after_other_errors_it_goes_on() {
        let disk = Disk::new(Connection::open_in_memory().unwrap(), &[]);
        for code in [ffi::SQLITE_FULL, ffi::SQLITE_IOERR_SHMSIZE] {
            disk.begin().unwrap();
            assert!(matches!(failing(&disk, code), Error::StorageFull(_)));
            disk.roll_back();
        }
        assert!(matches!(failing(&disk, ffi::SQLITE_BUSY), Error::Unavailable(_)));
        disk.begin().unwrap();
        assert!(matches!(failing(&disk, ffi::SQLITE_CORRUPT), Error::Internal(_)));
        assert_eq!(disk.check(), Ok(()), "a damaged page is no reason to fail others");
        disk.commit().unwrap();
    }
}
