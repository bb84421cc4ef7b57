//! What a definition wants to be true elsewhere, beside what was seen to be true.

use model::{Definition, Id, Namespace, Result};
use queue::Work;
use serde::{Deserialize, Serialize};
use store::{Doc, Key, Row, Table, Tx, TxExt as _, Value, tables};

use super::rows::DefinitionRow;
use crate::rows::{body, json, value};

/// What one stage is to make true for one definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EffectRow {
    namespace: Id,
    definition: Id,
    stage: String,
    body: EffectBody,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct EffectBody {
    /// The state of the definition that is wanted.
    desired: String,
    /// The state that was last made true.
    observed: Option<String>,
}

fn key(namespace: Id, definition: Id, stage: &str) -> Key {
    vec![Value::id(namespace), Value::id(definition), Value::Text(stage.into())]
}

impl Row for EffectRow {
    const TABLE: &'static Table = &tables::EFFECT;

    fn to_doc(&self) -> Doc {
        let key = key(self.namespace, self.definition, &self.stage);
        Doc { key, columns: Vec::new(), body: body(&self.body) }
    }

    fn from_doc(doc: Doc) -> Result<Self> {
        Ok(Self {
            namespace: value(&doc.key, 0)?.as_id()?,
            definition: value(&doc.key, 1)?.as_id()?,
            stage: value(&doc.key, 2)?.as_text()?.to_owned(),
            body: json("effect", &doc.body)?,
        })
    }
}

/// Says what a stage is to make true.
pub(super) fn want(work: &mut Work<'_>, definition: Id, stage: &str, desired: &str) -> Result<()> {
    let found: Option<EffectRow> = work.tx.get(key(work.live(), definition, stage))?;
    let observed = found.and_then(|row| row.body.observed);
    let body = EffectBody { desired: desired.to_owned(), observed };
    let (namespace, stage) = (work.live(), stage.to_owned());
    work.tx.put(&EffectRow { namespace, definition, stage, body })
}

/// Gives what a stage has still to make true for a definition; none if there is nothing.
pub fn effect(
    tx: &mut dyn Tx,
    namespace: &Namespace,
    name: &str,
    stage: &str,
) -> Result<Option<(Definition, String)>> {
    let Ok((_, live)) = queue::live(tx, namespace) else { return Ok(None) };
    let head: Option<DefinitionRow> = tx.get(DefinitionRow::key(live, name))?;
    let Some(head) = head else { return Ok(None) };
    let row: Option<EffectRow> = tx.get(key(live, head.id, stage))?;
    let row = row.filter(|row| row.body.observed.as_ref() != Some(&row.body.desired));
    Ok(row.map(|row| (head.show(), row.body.desired)))
}

/// Takes note of what is true now; something else may be wanted by then.
pub fn observe(work: &mut Work<'_>, definition: Id, stage: &str, seen: &str) -> Result<()> {
    let found: Option<EffectRow> = work.tx.get(key(work.live(), definition, stage))?;
    let Some(mut row) = found else { return Ok(()) };
    row.body.observed = Some(seen.to_owned());
    work.tx.put(&row)?;
    // Every change of a row is a revision of its namespace.
    work.events.push(model::EventBody::DefinitionsChanged(Vec::new()));
    Ok(())
}
