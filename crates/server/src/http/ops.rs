//! What operators and their tools look at.

use http::StatusCode;
use model::{Backend, Page, Query, Result, limits};

use crate::{
    call::Call,
    openapi,
    outcome::Outcome,
    page,
    wire::{Health, LimitList, LimitRow, NodeList, Version},
};

/// Says that the process answers at all.
pub(crate) async fn live(_call: Call) -> Result<Outcome> {
    Outcome::json(&Health { status: "ok" })
}

/// Says whether requests should come here: the store answers, and the server is not stopping.
pub(crate) async fn ready(call: Call) -> Result<Outcome> {
    let not = |status| {
        Ok(Outcome::json(&Health { status })?.with_status(StatusCode::SERVICE_UNAVAILABLE))
    };
    if !call.app.is_ready() {
        return not("stopping");
    }
    let one = Page { after: None, limit: 1 };
    match call.app.backend.read(Query::Namespaces(one), 0).await {
        Ok(_) => Outcome::json(&Health { status: "ok" }),
        Err(_) => not("the store does not answer"),
    }
}

/// Lists the nodes of a shared store.
pub(crate) async fn nodes(call: Call) -> Result<Outcome> {
    let read = call.read(model::Query::Nodes).await?;
    let model::Answer::Nodes(nodes) = read.answer else { return Err(crate::call::mismatch()) };
    Outcome::json(&NodeList { nodes })
}

pub(crate) async fn version(_call: Call) -> Result<Outcome> {
    Outcome::json(&Version { name: "lockstep", version: env!("CARGO_PKG_VERSION") })
}

/// Lists the limits as they are on this server.
pub(crate) async fn limits(call: Call) -> Result<Outcome> {
    let (per_second, at_once) = call.app.auth.rates.rate.numbers();
    let row = |(name, value, unit)| {
        let value = match name {
            "requests_per_second_max" => per_second.into(),
            "requests_at_once_max" => at_once.into(),
            _ => value,
        };
        LimitRow { name, value, unit }
    };
    Outcome::json(&LimitList { limits: limits::all().into_iter().map(row).collect() })
}

pub(crate) async fn metrics(call: Call) -> Result<Outcome> {
    Ok(Outcome::whole(call.app.metrics.render(&*call.app.backend).await?))
}

pub(crate) async fn document(_call: Call) -> Result<Outcome> {
    Ok(Outcome::whole(openapi::text()))
}

pub(crate) async fn api(_call: Call) -> Result<Outcome> {
    Ok(Outcome::whole(page::html()).with_policy(page::policy()))
}
