//! Chaining: the `output` of a finished unit becomes units of the next spec.

use model::{Data, NewUnit, Result, SpecName};

use crate::{Work, add, rows::SpecRow};

/// Adds the units that the data of a finished unit asks for, if its spec has a next one; gives
/// what was added where.
pub(crate) fn chain(
    work: &mut Work<'_>,
    spec: &SpecRow,
    data: &Data,
) -> Result<Option<(SpecName, Vec<NewUnit>)>> {
    let Ok(next) = SpecName::new(spec.meta.next_work_spec.as_str()) else { return Ok(None) };
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
