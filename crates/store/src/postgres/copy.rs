//! Taking all rows out of a database, and filling an empty one.

use model::{Error, Result};
use tokio::runtime::Runtime;
use tokio_postgres::types::ToSql;

use super::address::Address;
use super::failure::{Failure, Outcome};
use super::link::Link;
use super::part::Bytes;
use super::texts::{Shape, Text};
use super::wire::{self, Array};
use super::{LAYOUTS, Postgres, migrate, runtime};
use crate::layout::{Layout, layout};
use crate::{Doc, Fill, Key, PRIMARY, Snapshot, Table, Value, tables};

/// Rows that are asked for at once.
const PAGE: i64 = 1_000;
/// Whoever reads or writes everything may take its time, also between two statements.
const SETTINGS: &str = "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0";

impl Postgres {
    /// Looks at all rows of the store at an address, whoever writes meanwhile.
    ///
    /// # Errors
    /// If it cannot be reached, or does not have the tables of this program.
    pub fn snapshot(url: &str) -> Result<Box<dyn Snapshot>> {
        let address = Address::parse(url)?;
        let runtime = runtime()?;
        let link = runtime.block_on(async {
            let link = Link::connect(&address, "export").await?;
            link.run(SETTINGS).await?;
            link.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
            migrate::check(&link, &address).await?;
            Outcome::Ok(link)
        });
        Ok(Box::new(Rows { link: link.map_err(Failure::into_error)?, runtime }))
    }

    /// Begins to fill the store at an address; its tables are made if they are not there.
    ///
    /// # Errors
    /// If it cannot be reached, or has rows.
    pub fn fill(url: &str) -> Result<Box<dyn Fill>> {
        let address = Address::parse(url)?;
        let runtime = runtime()?;
        let link = runtime.block_on(async {
            let link = Link::connect(&address, "import").await?;
            migrate::migrate(&link, &address).await?;
            link.run(SETTINGS).await?;
            link.run("BEGIN").await?;
            // Nodes that run have to wait, so that nothing comes between.
            let names: Vec<&str> = tables::ALL.iter().map(|table| table.name).collect();
            link.run(&format!("LOCK TABLE {} IN EXCLUSIVE MODE", names.join(", "))).await?;
            for layout in LAYOUTS.iter() {
                if !page(&link, layout, None).await?.is_empty() {
                    let error = crate::sqlite::not_empty(&address.to_string());
                    return Err(Failure::Error(error));
                }
            }
            Outcome::Ok(link)
        });
        Ok(Box::new(Filling { link: link.map_err(Failure::into_error)?, runtime }))
    }
}

struct Rows {
    // Before the runtime that drives it.
    link: Link,
    runtime: Runtime,
}

impl Snapshot for Rows {
    fn count(&mut self, table: &'static Table) -> Result<u64> {
        let rows = self.runtime.block_on(self.link.query(Text::Count(table.id), &[]));
        let rows = rows.map_err(Failure::into_error)?;
        let count = rows.first().map(|row| row.try_get::<_, i64>(0)).transpose();
        let count = count.map_err(|error| Failure::from(error).into_error())?;
        Ok(count.unwrap_or_default().unsigned_abs())
    }

    fn each(
        &mut self,
        table: &'static Table,
        take: &mut dyn FnMut(Doc) -> Result<()>,
    ) -> Result<()> {
        let layout = layout(&LAYOUTS, table)?;
        let mut after: Option<Key> = None;
        loop {
            let found = self.runtime.block_on(page(&self.link, layout, after.as_ref()));
            let found = found.map_err(Failure::into_error)?;
            let Some(last) = found.last() else { return Ok(()) };
            after = Some(last.key.clone());
            found.into_iter().try_for_each(&mut *take)?;
        }
    }

    fn damage(&mut self) -> Result<Vec<String>> {
        // Only an extension could tell.
        Ok(Vec::new())
    }
}

/// Gives the next rows of a table, in the order of their keys.
async fn page(link: &Link, layout: &Layout, after: Option<&Key>) -> Outcome<Vec<Doc>> {
    let above = after.map_or(0, Vec::len);
    let shape = Shape { prefix: 0, above, upto: false, lock: false };
    let text = Text::Scan { table: layout.table.id, index: PRIMARY, shape };
    let mut values: Vec<_> = after.into_iter().flatten().map(wire::parameter).collect();
    values.push(Box::new(PAGE));
    let parameters: Vec<&(dyn ToSql + Sync)> =
        values.iter().map(|value| &**value as &(dyn ToSql + Sync)).collect();
    let mut docs = Vec::new();
    for row in link.query(text, &parameters).await? {
        let (key, row) = wire::encoded(layout, &row)?;
        docs.push(layout.doc(&key, &row)?);
    }
    // A counter that stands at 0 is only there to be locked, and in no other store.
    let is_unused = |doc: &Doc| doc.columns.first() == Some(&Value::Int(0));
    if layout.table.id == tables::COUNTER.id {
        docs.retain(|doc| !is_unused(doc));
    }
    Ok(docs)
}

struct Filling {
    // Before the runtime that drives it.
    link: Link,
    runtime: Runtime,
}

impl Fill for Filling {
    fn put(&mut self, table: &'static Table, docs: Vec<Doc>) -> Result<()> {
        let layout = layout(&LAYOUTS, table)?;
        let mut rows: Vec<(Bytes, Bytes)> = Vec::with_capacity(docs.len());
        for doc in docs {
            rows.push((layout.key(&doc.key)?.into(), layout.row(&doc)?.into()));
        }
        let rows: Vec<_> = rows.iter().map(|(key, row)| (key, row)).collect();
        let arrays = wire::rows(layout, &rows)?;
        let parameters: Vec<_> = arrays.iter().map(Array::parameter).collect();
        let put = self.runtime.block_on(self.link.execute(Text::Put(table.id), &parameters));
        match put.map_err(Failure::into_error)? {
            count if count == rows.len() as u64 => Ok(()),
            _ => Err(Error::bad_input("a row is there twice")),
        }
    }

    fn commit(self: Box<Self>) -> Result<()> {
        self.runtime.block_on(self.link.run("COMMIT")).map_err(Failure::into_error)
    }
}
