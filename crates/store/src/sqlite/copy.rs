//! Taking all rows out of a database, and filling an empty one.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use model::{Error, Result};
use rusqlite::Connection;

use super::disk::{Disk, value};
use super::failure::explained;
use super::migrate;
use super::open;
use super::texts::{Change, scan_text};
use super::{Sqlite, SqliteOptions};
use crate::layout::{Layout, layout, layouts};
use crate::{Doc, Fill, PRIMARY, Range, Snapshot, Table, Value, tables};

/// KiB of pages that one who reads or writes everything once keeps.
const CACHE_KIB: u32 = 8 << 10;

impl Sqlite {
    /// Looks at all rows of the database at `path`, also while a server has it open.
    ///
    /// # Errors
    /// If it is not there, if it does not have the tables of this program, or if it cannot be read.
    pub fn snapshot(path: impl AsRef<Path>) -> Result<Box<dyn Snapshot>> {
        let connection = existing(path.as_ref())?;
        connection.execute_batch("BEGIN").map_err(explained)?;
        // The first look fixes the moment.
        migrate::check_whole(&connection, path.as_ref())?;
        Ok(Box::new(Rows { connection, layouts: layouts() }))
    }

    /// Begins to fill the database at `path`, which is made if it is not there.
    ///
    /// # Errors
    /// If another process has it open, or if it has rows.
    pub fn fill(path: impl AsRef<Path>) -> Result<Box<dyn Fill>> {
        let path = path.as_ref();
        open::check_library()?;
        let lock = open::lock(path)?;
        let is_new = !path.exists();
        let options = SqliteOptions { cache_kib: CACHE_KIB, ..SqliteOptions::default() };
        let mut connection = open::writing(path, &options)?;
        migrate::migrate(&mut connection, path)?;
        let layouts = layouts();
        let disk = Some(Disk::new(connection, &layouts));
        let made = is_new.then(|| path.to_owned());
        let filling = Filling { disk, layouts, made, _lock: lock };
        filling.begin(path)?;
        Ok(Box::new(filling))
    }
}

/// Opens a database that has to be there.
pub(crate) fn existing(path: &Path) -> Result<Connection> {
    open::check_library()?;
    if !path.is_file() {
        return Err(Error::BadInput(format!(
            "there is no database {}; check the path",
            path.display()
        )));
    }
    let connection = open::reading(path, CACHE_KIB)?;
    let looked = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()));
    looked.map_err(|error| open::cannot_open(path, error))?;
    Ok(connection)
}

struct Rows {
    connection: Connection,
    layouts: Vec<Layout>,
}

impl Snapshot for Rows {
    fn count(&mut self, table: &'static Table) -> Result<u64> {
        let text = format!("SELECT count(*) FROM {}", table.name);
        let count: i64 =
            self.connection.query_row(&text, [], |row| row.get(0)).map_err(explained)?;
        Ok(count.unsigned_abs())
    }

    fn each(
        &mut self,
        table: &'static Table,
        take: &mut dyn FnMut(Doc) -> Result<()>,
    ) -> Result<()> {
        let layout = layout(&self.layouts, table)?;
        let text = scan_text(layout, PRIMARY, layout.order(PRIMARY)?, &Range::default());
        let mut statement = self.connection.prepare(&text).map_err(explained)?;
        let mut rows = statement.query([]).map_err(explained)?;
        while let Some(row) = rows.next().map_err(explained)? {
            take(doc(table, row).map_err(|error| damaged(table, &error))?)?;
        }
        Ok(())
    }

    fn damage(&mut self) -> Result<Vec<String>> {
        let mut statement = self.connection.prepare("PRAGMA integrity_check").map_err(explained)?;
        let rows = statement.query_map([], |row| row.get::<_, String>(0)).map_err(explained)?;
        let found = rows.collect::<rusqlite::Result<Vec<_>>>().map_err(explained)?;
        Ok(found.into_iter().filter(|line| line != "ok").collect())
    }
}

fn doc(table: &'static Table, row: &rusqlite::Row<'_>) -> rusqlite::Result<Doc> {
    let mut values = Vec::with_capacity(table.key.len() + table.columns.len());
    for (place, column) in table.key.iter().chain(table.columns).enumerate() {
        values.push(value(row, place, column.kind)?.map_or(Value::Null, Value::from));
    }
    let body = row.get_ref(values.len())?.as_blob()?.to_vec();
    let columns = values.split_off(table.key.len());
    Ok(Doc { key: values, columns, body })
}

/// A value of a type that its column cannot have is damage, and everything else is explained.
fn damaged(table: &Table, error: &rusqlite::Error) -> Error {
    Error::Internal(format!("a row of {} cannot be read: {error}", table.name))
}

struct Filling {
    /// There until the end, when it has to be closed before files are removed.
    disk: Option<Disk>,
    layouts: Vec<Layout>,
    /// The database, if it was made for this.
    made: Option<PathBuf>,
    _lock: File,
}

impl Filling {
    fn begin(&self, path: &Path) -> Result<()> {
        let disk = self.disk()?;
        disk.begin()?;
        for table in tables::ALL {
            let layout = layout(&self.layouts, table)?;
            let order = layout.order(PRIMARY)?;
            if !disk.scan(layout, PRIMARY, order, &Range::default(), 1)?.is_empty() {
                return Err(not_empty(&path.display().to_string()));
            }
        }
        Ok(())
    }

    fn disk(&self) -> Result<&Disk> {
        self.disk.as_ref().ok_or_else(|| Error::Internal("the database is closed".to_owned()))
    }
}

/// Says that a store cannot be filled.
pub(crate) fn not_empty(what: &str) -> Error {
    Error::BadInput(format!("{what} is not empty; import into a store that holds nothing yet"))
}

impl Fill for Filling {
    fn put(&mut self, table: &'static Table, docs: Vec<Doc>) -> Result<()> {
        let layout = layout(&self.layouts, table)?;
        let mut rows = self.disk()?.rows(layout);
        for doc in docs {
            rows.write(Change::Insert, &layout.key(&doc.key)?, &layout.row(&doc)?)?;
        }
        Ok(())
    }

    fn commit(mut self: Box<Self>) -> Result<()> {
        self.disk()?.check()?;
        self.disk()?.commit()?;
        self.made = None;
        Ok(())
    }
}

impl Drop for Filling {
    fn drop(&mut self) {
        if let Some(disk) = self.disk.take() {
            disk.roll_back();
        }
        let Some(path) = self.made.take() else { return };
        for suffix in ["", "-wal", "-shm"] {
            let mut name = path.clone().into_os_string();
            name.push(suffix);
            // What cannot be removed is an empty store.
            let _ = fs::remove_file(name);
        }
    }
}
