//! The audit log.

use model::{Answer, AuditAnswer, AuditFilter, AuditQuery, Error, Namespace, Query, Result, Time};

use crate::{
    call::{Call, mismatch, take},
    outcome::Outcome,
    query::Params,
    wire::AuditPage,
};

/// Shows what was changed in a namespace, newest first; without one, in the whole installation,
/// and to the holder of a token of one namespace what was changed there.
pub(crate) async fn list(call: Call) -> Result<Outcome> {
    let params = call.params()?;
    let asked = params.text("namespace")?.map(Namespace::new).transpose()?;
    let namespace = asked.or_else(|| call.backend.principal().only_namespace().cloned());
    let filter = AuditFilter {
        actor: params.word("actor")?,
        kind: params.word("kind")?,
        record: params.word("record")?,
        since: time(&params, "since")?,
        until: time(&params, "until")?,
    };
    let before = params.word("before")?.map(|text| number(&text)).transpose()?;
    let query = AuditQuery::Rows { namespace, filter, before, limit: params.limit()? };
    let answer = take!(call.read(Query::Audit(query)).await?.answer, Answer::Audit)?;
    let AuditAnswer::Rows(rows, before) = answer else { return Err(mismatch()) };
    Outcome::json(&AuditPage { rows, before })
}

fn time(params: &Params, name: &str) -> Result<Option<Time>> {
    params.word(name)?.map(|text| Time::parse(&text)).transpose()
}

fn number(text: &str) -> Result<u64> {
    text.parse().map_err(|_| Error::bad_input(format!("before {text:?} is not a place in a chain")))
}
