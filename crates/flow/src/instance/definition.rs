//! Finding what instances are started from.

use model::{Error, Id, Result};
use store::{Range, Tx, TxExt as _, Value, tables};

use crate::{
    Definition,
    concurrency::Turns,
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

/// The version that an instance is started from.
pub(super) struct Chosen {
    pub(super) version: String,
    pub(super) hash: String,
    pub(super) turns: Option<Turns>,
}

/// Gives the id of a definition and the version that is asked for, or else the published one, which
/// the head row says all of.
pub(super) fn choose(
    tx: &mut dyn Tx,
    head: DefinitionRow,
    version: Option<&str>,
) -> Result<(Id, Chosen)> {
    let DefinitionRow { namespace, name, id, head } = head;
    let missing = |version: &str| Error::NoSuchVersion {
        definition: name.clone(),
        version: version.to_owned(),
    };
    let Some(version) = version else {
        let published = head.published.zip(head.hash);
        let (version, hash) = published.ok_or_else(|| missing("none is published"))?;
        return Ok((id, Chosen { version, hash, turns: head.turns }));
    };
    let row: Option<VersionRow> = tx.get(VersionRow::key(namespace, id, version))?;
    let VersionRow { version, body, .. } = row.ok_or_else(|| missing(version))?;
    Ok((id, Chosen { version, hash: body.hash, turns: body.turns }))
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
