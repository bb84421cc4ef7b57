//! Chaining: the `output` of a finished unit becomes units of the next spec.

use model::{Data, NewUnit, Result, SpecName};

use crate::{Work, add};

/// Adds the units that the data of a finished unit asks for, if there is the spec that is named
/// next; gives what was added where.
pub(crate) fn chain(
    work: &mut Work<'_>,
    next: &str,
    data: &Data,
) -> Result<Option<(SpecName, Vec<NewUnit>)>> {
    let Ok(next) = SpecName::new(next) else { return Ok(None) };
    if data.is_empty() {
        return Ok(None);
    }
    let Some(next) = work.find_spec(&next)? else { return Ok(None) };
    let units = data.dict()?.get("output").map(model::output).unwrap_or_default();
    if units.is_empty() {
        return Ok(None);
    }
    let name = next.name.clone();
    add::add(work, next, &units)?;
    Ok(Some((name, units)))
}
