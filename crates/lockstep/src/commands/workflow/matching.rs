//! `lockstep workflow match`.

use anyhow::Result;
use model::{Answer, InstanceAnswer, InstanceQuery, Query};
use serde_json::json;

use super::super::event::EventArgs;
use crate::{
    connect::{Session, unexpected},
    output::{printable, table},
};

/// Shows what each trigger says to an event.
pub(super) async fn run(session: &Session, event: EventArgs) -> Result<()> {
    let namespace = session.lockstep.namespace().clone();
    let query = Query::Instances(namespace, InstanceQuery::Match(event.event()?));
    let Answer::Instances(InstanceAnswer::Explained(explained)) =
        session.lockstep.ask(query).await?
    else {
        return Err(unexpected().into());
    };
    let shown = serde_json::to_value(&explained)?;
    session.out.data(&json!({ "explained": shown }), || {
        let row = |one: &model::Explained| {
            let verdict = if one.is_match { "yes" } else { "no" };
            vec![printable(&one.who), verdict.to_owned(), printable(&one.why)]
        };
        table(&["trigger", "match", "why"], &explained.iter().map(row).collect::<Vec<_>>())
    })
}
