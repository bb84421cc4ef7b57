//! Finding what instances are started from.

use model::{Error, Id, Result};
use store::{Range, Tx, TxExt as _, Value, tables};

use crate::{
    Definition,
    publish::{DefinitionRow, VersionRow},
    run::{IR_VERSION, Program},
};

/// Gives a definition by name, unless its name is hidden.
pub(super) fn head(tx: &mut dyn Tx, namespace: Id, name: &str) -> Result<DefinitionRow> {
    let row = head_or_hidden(tx, namespace, name)?;
    if row.head.is_deleted { Err(Error::NoSuchDefinition(name.to_owned())) } else { Ok(row) }
}

/// Gives a definition by name, also one that is deleted and whose instances are still there.
pub(super) fn head_or_hidden(tx: &mut dyn Tx, namespace: Id, name: &str) -> Result<DefinitionRow> {
    let row: Option<DefinitionRow> = tx.get(DefinitionRow::key(namespace, name))?;
    row.ok_or_else(|| Error::NoSuchDefinition(name.to_owned()))
}

/// Gives a definition by its id.
pub(super) fn head_by_id(tx: &mut dyn Tx, namespace: Id, id: Id) -> Result<Option<DefinitionRow>> {
    let range = Range::prefix([Value::id(namespace), Value::id(id)]);
    let rows: Vec<DefinitionRow> = tx.find(tables::DEFINITION_ID, &range, 1)?;
    Ok(rows.into_iter().next())
}

/// Gives a version of a definition.
pub(super) fn version(tx: &mut dyn Tx, head: &DefinitionRow, version: &str) -> Result<VersionRow> {
    let row: Option<VersionRow> = tx.get(VersionRow::key(head.namespace, head.id, version))?;
    row.ok_or_else(|| Error::NoSuchVersion {
        definition: head.name.clone(),
        version: version.to_owned(),
    })
}

/// Gives the compiled form of a version; one of another version of this program is made anew.
///
/// # Errors
/// [`Error::NoSuchVersion`] if it is gone, [`Error::Internal`] if this program cannot run it.
pub fn program(tx: &mut dyn Tx, namespace: Id, id: Id, version: &str) -> Result<Program> {
    let row: Option<VersionRow> = tx.get(VersionRow::key(namespace, id, version))?;
    let row = row.ok_or_else(|| Error::NoSuchVersion {
        definition: id.to_string(),
        version: version.to_owned(),
    })?;
    let stored: Option<Program> = serde_json::from_value(row.body.program).ok();
    if let Some(program) = stored.filter(|program| program.ir_version == IR_VERSION) {
        return Ok(program);
    }
    let unreadable = |problems: Vec<crate::Problem>| {
        let first = problems.first().map(ToString::to_string).unwrap_or_default();
        Error::Internal(format!("version {version} cannot be run by this program: {first}"))
    };
    let definition = Definition::parse(&row.body.source).map_err(unreadable)?;
    Program::compile(&definition).map_err(unreadable)
}
