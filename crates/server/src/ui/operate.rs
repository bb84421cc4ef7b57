//! The server's own records: nodes and tokens.

use askama::Template;
use model::{AdminCommand, Answer, Namespace, NodeInfo, Query, Result, Time, TokenInfo};
use serde::Serialize;

use super::{
    ask,
    form::{Form, unknown},
    frame::{Frame, Here, page},
    show,
};
use crate::{
    auth::now,
    call::{Call, take},
    outcome::Outcome,
};

#[derive(Template, Serialize)]
#[template(path = "nodes.html")]
struct Nodes {
    nodes: Vec<NodeInfo>,
    /// The highest epoch that any node has applied.
    epoch: u64,
    #[serde(skip)]
    now: Time,
}

impl Nodes {
    /// Gives how many changes of definitions a node has not applied yet.
    fn lag(&self, node: &NodeInfo) -> u64 {
        self.epoch.saturating_sub(node.epoch.unwrap_or(0))
    }

    fn standing(&self, node: &NodeInfo) -> &'static str {
        match self.lag(node) {
            _ if node.lease < self.now => "overdue",
            0 => "active",
            _ => "behind",
        }
    }
}

pub(crate) async fn nodes(call: Call) -> Result<Outcome> {
    let nodes = take!(call.read(Query::Nodes).await?.answer, Answer::Nodes)?;
    let epoch = nodes.iter().filter_map(|node| node.epoch).max().unwrap_or(0);
    let view = Nodes { nodes, epoch, now: now() };
    page(&call, Frame::new("Nodes", Here::Nodes).live(0), &view)
}

#[derive(Template, Serialize)]
#[template(path = "tokens.html")]
struct Tokens {
    tokens: Vec<TokenInfo>,
    #[serde(skip)]
    now: Time,
    #[serde(skip)]
    form: String,
}

impl Tokens {
    fn standing(&self, token: &TokenInfo) -> &'static str {
        let is_over = token.expires.is_some_and(|expires| expires <= self.now);
        if is_over { "expired" } else { "active" }
    }

    fn scopes(&self, token: &TokenInfo) -> String {
        let scopes: Vec<_> = token.scopes.iter().map(ToString::to_string).collect();
        scopes.join(" ")
    }
}

pub(crate) async fn tokens(call: Call) -> Result<Outcome> {
    let tokens = take!(call.read(Query::Tokens).await?.answer, Answer::Tokens)?;
    let form = call.app.sessions.form_token(&call.visit);
    page(&call, Frame::new("Tokens", Here::Tokens), &Tokens { tokens, now: now(), form })
}

/// Revokes a token.
pub(crate) async fn change_tokens(call: Call) -> Result<Outcome> {
    let form = Form::of(&call)?;
    let command = match form.text("do") {
        "revoke" => AdminCommand::RevokeToken { id: form.text("id").to_owned() },
        other => return Err(unknown(other)),
    };
    ask::change(&call, &Namespace::empty(), model::Command::Admin(command)).await?;
    Ok(Outcome::see_other("/ui/tokens?done=revoked".to_owned()))
}
