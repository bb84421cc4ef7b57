//! Reading what `lockstep export` wrote.

use anyhow::{Context, Result};
use serde_json::json;
use store::{Doc, Fill, Postgres, Sqlite, Table};

use crate::{archive::Reader, commands::export::no_memory, config::StoreAt, files, output::Output};

/// Rows that are put at once, unless they are large.
const BATCH_MAX: usize = 500;
/// About how many bytes of them.
const BATCH_BYTES_MAX: usize = 4 << 20;

/// Fills an empty store with all rows of a file, or leaves it empty.
pub(super) fn import(file: &str, place: &StoreAt, out: Output) -> Result<()> {
    let (input, length) = files::lines(file)?;
    // What cannot be read at all makes no store.
    let mut reader = Reader::begin(input).with_context(|| format!("cannot import {file}"))?;
    let mut fill: Box<dyn Fill> = match place {
        StoreAt::Memory => return Err(no_memory()),
        StoreAt::Sqlite(path) => {
            if let Some(folder) = path.parent() {
                let context = || format!("cannot make the folder {}", folder.display());
                std::fs::create_dir_all(folder).with_context(context)?;
            }
            Sqlite::fill(path)?
        }
        StoreAt::Postgres(url) => Postgres::fill(url)?,
    };
    let template = match length {
        Some(_) => "{bar:30} {percent:>3} %  {bytes} of {total_bytes}",
        None => "{spinner} {bytes}",
    };
    let bar = out.bar(length, template)?;
    let mut batch = Batch::default();
    let mut rows = 0_u64;
    while let Some((table, doc)) =
        reader.row().with_context(|| format!("cannot import {file}; nothing is imported"))?
    {
        rows += 1;
        bar.set_position(reader.bytes());
        batch.add(table, doc, &mut *fill).context("nothing is imported")?;
    }
    batch.put(&mut *fill).context("nothing is imported")?;
    fill.commit()?;
    bar.finish_and_clear();
    out.data(&json!({"rows": rows}), || format!("{rows} rows are imported"))
}

/// Rows of one table that are put together.
#[derive(Default)]
struct Batch {
    table: Option<&'static Table>,
    docs: Vec<Doc>,
    bytes: usize,
}

impl Batch {
    fn add(&mut self, table: &'static Table, doc: Doc, fill: &mut dyn Fill) -> Result<()> {
        let is_other = self.table.is_some_and(|it| it.id != table.id);
        if is_other || self.docs.len() >= BATCH_MAX || self.bytes >= BATCH_BYTES_MAX {
            self.put(fill)?;
        }
        self.table = Some(table);
        self.bytes += doc.body.len();
        self.docs.push(doc);
        Ok(())
    }

    fn put(&mut self, fill: &mut dyn Fill) -> Result<()> {
        let docs = std::mem::take(&mut self.docs);
        self.bytes = 0;
        match self.table {
            Some(table) if !docs.is_empty() => Ok(fill.put(table, docs)?),
            _ => Ok(()),
        }
    }
}
