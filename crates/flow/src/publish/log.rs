//! The catalog: the one history of the definitions of a whole store, without gaps.

use model::{CatalogChange, Id, Page, Result, limits};
use queue::{CounterRow, Work};
use serde::{Deserialize, Serialize};
use store::{Doc, Key, PRIMARY, Range, Row, Table, Tx, TxExt as _, Value, tables};

use crate::rows::{body, json, value};

/// The name of the counter, and of the history.
const CATALOG: &str = "catalog";

/// A change to the catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogRow {
    /// The incarnation of the namespace.
    pub namespace: Id,
    /// The rest.
    pub body: CatalogBody,
}

/// What else there is of a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogBody {
    /// What is shown of it.
    pub change: CatalogChange,
    /// The revision of each definition, in the same order.
    pub revisions: Vec<u64>,
}

impl CatalogRow {
    fn key(epoch: u64) -> Key {
        vec![Value::Text(CATALOG.into()), Value::id(epoch)]
    }
}

impl Row for CatalogRow {
    const TABLE: &'static Table = &tables::CATALOG_CHANGE;

    fn to_doc(&self) -> Doc {
        let change = &self.body.change;
        let name = change.definitions.first().map_or("", String::as_str);
        Doc {
            key: Self::key(change.epoch),
            columns: vec![Value::id(self.namespace), Value::Text(name.into())],
            body: body(&self.body),
        }
    }

    fn from_doc(doc: Doc) -> Result<Self> {
        Ok(Self {
            namespace: value(&doc.columns, 0)?.as_id()?,
            body: json("catalog_change", &doc.body)?,
        })
    }
}

/// Gives the key of the counter that [`epoch`] looks at.
pub fn epoch_key() -> Key {
    vec![Value::Text(CATALOG.into())]
}

/// Gives the newest epoch; 0 if nothing was ever published.
pub fn epoch(tx: &mut dyn Tx) -> Result<u64> {
    let row: Option<CounterRow> = tx.get(epoch_key())?;
    Ok(row.map_or(0, |row| row.value))
}

/// Takes the next epoch. Whoever has it holds the catalog until the end of the transaction.
pub(crate) fn next_epoch(tx: &mut dyn Tx) -> Result<u64> {
    let next = epoch(tx)? + 1;
    tx.put(&CounterRow { name: CATALOG.to_owned(), value: next })?;
    Ok(next)
}

/// Writes down that all definitions of a namespace go with it; one that has none changes nothing
/// in the catalog.
pub fn destroyed(work: &mut Work<'_>) -> Result<()> {
    let namespace = work.live();
    let all = Range::prefix([Value::id(namespace)]);
    if work.tx.scan(&tables::DEFINITION, PRIMARY, &all, 1)?.is_empty() {
        return Ok(());
    }
    let change = CatalogChange {
        epoch: next_epoch(work.tx)?,
        namespace: work.name().as_str().to_owned(),
        revision: work.next_revision(),
        definitions: Vec::new(),
        operation: "destroy".to_owned(),
        run: 0,
        time: work.now,
    };
    work.tx.put(&CatalogRow { namespace, body: CatalogBody { change, revisions: Vec::new() } })
}

/// Lists changes after an epoch.
pub fn changes(tx: &mut dyn Tx, page: &Page<u64>) -> Result<Vec<CatalogRow>> {
    let limit = if page.limit == 0 { limits::PAGE_MAX } else { page.limit.min(limits::PAGE_MAX) };
    let range = Range::prefix([Value::Text(CATALOG.into())]).after(page.after.map(Value::id));
    tx.find(PRIMARY, &range, limit)
}
