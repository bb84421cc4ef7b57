//! Summaries: unit counts of everything, a namespace or a spec.

use model::{Answer, Error, Namespace, Query, Result, SpecName};

use crate::{
    call::{Call, take},
    outcome::Outcome,
    wire::SummaryRow,
};

pub(crate) async fn of_all(call: Call) -> Result<Outcome> {
    answer(&call, None, None).await
}

pub(crate) async fn of_namespace(call: Call) -> Result<Outcome> {
    let namespace = call.namespace()?;
    answer(&call, Some(namespace), None).await
}

pub(crate) async fn of_spec(call: Call) -> Result<Outcome> {
    let (namespace, spec) = (call.namespace()?, call.spec_name()?);
    answer(&call, Some(namespace), Some(spec)).await
}

async fn answer(
    call: &Call,
    namespace: Option<Namespace>,
    spec: Option<SpecName>,
) -> Result<Outcome> {
    // The revision of one namespace says nothing of the others.
    let of_one = namespace.is_some();
    let (rows, as_of) = match call.read(Query::Summary(namespace, spec)).await {
        Ok(read) => (take!(read.answer, Answer::Summary)?, read.as_of),
        // A namespace comes into being when something is put into it.
        Err(Error::NoSuchNamespace(_)) if !call.route.is_below_spec() => (Vec::new(), 0),
        Err(error) => return Err(error),
    };
    let rows: Vec<_> = rows.iter().map(SummaryRow::new).collect();
    Ok(Outcome::json(&rows)?.tagged(if of_one { as_of } else { 0 }))
}
