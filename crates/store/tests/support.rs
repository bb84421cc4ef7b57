//! Closures as jobs, and short forms of keys and rows.

use std::sync::Arc;
use std::sync::mpsc;

use model::Result;
use store::{
    Doc, Job, Key, Memory, PRIMARY, Postgres, PostgresOptions, Range, Sqlite, SqliteOptions, Store,
    Table, Tx, Value,
};
use tempfile::TempDir;

use crate::cluster;

type Work<T> = Box<dyn FnMut(&mut dyn Tx) -> Result<T> + Send>;

struct Closure<T> {
    work: Work<T>,
    value: Option<T>,
    answer: mpsc::Sender<Result<T>>,
}

impl<T: Send> Job for Closure<T> {
    fn run(&mut self, tx: &mut dyn Tx) -> Result<()> {
        self.value = Some((self.work)(tx)?);
        Ok(())
    }

    fn done(mut self: Box<Self>, outcome: Result<()>) {
        let value = self.value.take();
        let _ = self.answer.send(outcome.map(|()| value.expect("a job that ran has a value")));
    }
}

/// An answer that will come.
pub(crate) struct Pending<T>(mpsc::Receiver<Result<T>>);

impl<T> Pending<T> {
    pub(crate) fn wait(self) -> Result<T> {
        self.0.recv().expect("every job is answered")
    }
}

fn job<T: Send + 'static>(
    work: impl FnMut(&mut dyn Tx) -> Result<T> + Send + 'static,
) -> (Box<dyn Job>, Pending<T>) {
    let (answer, pending) = mpsc::channel();
    (Box::new(Closure { work: Box::new(work), value: None, answer }), Pending(pending))
}

pub(crate) fn submit<T: Send + 'static>(
    store: &dyn Store,
    work: impl FnMut(&mut dyn Tx) -> Result<T> + Send + 'static,
) -> Pending<T> {
    let (job, pending) = job(work);
    store.write(job);
    pending
}

pub(crate) fn write<T: Send + 'static>(
    store: &dyn Store,
    work: impl FnMut(&mut dyn Tx) -> Result<T> + Send + 'static,
) -> Result<T> {
    submit(store, work).wait()
}

pub(crate) fn read<T: Send + 'static>(
    store: &dyn Store,
    work: impl FnMut(&mut dyn Tx) -> Result<T> + Send + 'static,
) -> Result<T> {
    let (job, pending) = job(work);
    store.read(job);
    pending.wait()
}

pub(crate) fn int(value: i64) -> Value {
    Value::Int(value)
}

pub(crate) fn real(value: f64) -> Value {
    Value::Real(value)
}

pub(crate) fn text(value: &str) -> Value {
    Value::Text(value.into())
}

pub(crate) fn bytes(value: impl AsRef<[u8]>) -> Value {
    Value::Bytes(value.as_ref().into())
}

pub(crate) fn unit_key(spec: i64, name: impl AsRef<[u8]>) -> Key {
    vec![int(1), int(spec), bytes(name)]
}

/// A row of the unit table: id, state, ready and due, where `None` is null.
pub(crate) fn unit(
    spec: i64,
    name: impl AsRef<[u8]>,
    state: Option<i64>,
    ready: Option<f64>,
    due: Option<i64>,
) -> Doc {
    let number = |value: Option<i64>| value.map_or(Value::Null, int);
    let ready = ready.map_or(Value::Null, real);
    let body = name.as_ref().to_vec();
    let columns = vec![int(7), number(state), ready, number(due), Value::Null];
    Doc { key: unit_key(spec, name), columns, body }
}

/// An available unit.
pub(crate) fn ready(name: impl AsRef<[u8]>, ready: f64) -> Doc {
    unit(1, name, Some(0), Some(ready), None)
}

pub(crate) fn worker(name: &str, id: i64, parent: Option<i64>, due: Option<i64>) -> Doc {
    let number = |value: Option<i64>| value.map_or(Value::Null, int);
    Doc {
        key: vec![int(1), text(name)],
        columns: vec![int(id), number(parent), number(due)],
        body: vec![],
    }
}

/// The names (last key values) of units in a range of an index.
pub(crate) fn names(tx: &mut dyn Tx, index: usize, range: Range) -> Result<Vec<Vec<u8>>> {
    let docs = tx.scan(&store::tables::UNIT, index, &range, u32::MAX)?;
    docs.iter().map(|doc| Ok(doc.key[2].as_bytes()?.to_vec())).collect()
}

/// Everything that can be seen of a table through a write: the rows in every order.
pub(crate) fn all_scans(tx: &mut dyn Tx, table: &'static Table) -> Result<Vec<Vec<Doc>>> {
    let indexes = (0..table.indexes.len()).chain([PRIMARY]);
    indexes.map(|index| tx.scan(table, index, &Range::default(), u32::MAX)).collect()
}

/// A store of each kind, with what keeps its files.
pub(crate) fn stores() -> Vec<(Arc<dyn Store>, Option<TempDir>)> {
    let folder = TempDir::new().unwrap();
    let sqlite = open(&folder);
    let stores: [Arc<dyn Store>; 3] =
        [Arc::new(Memory::new()), Arc::new(sqlite), Arc::new(open_postgres(&cluster::url()))];
    stores.into_iter().zip([None, Some(folder), None]).collect()
}

/// Opens the store at an address.
pub(crate) fn open_postgres(url: &str) -> Postgres {
    Postgres::open(url, &PostgresOptions::default()).unwrap()
}

/// Opens the store in a folder.
pub(crate) fn open(folder: &TempDir) -> Sqlite {
    Sqlite::open(folder.path().join("store.db"), SqliteOptions::default()).unwrap()
}
