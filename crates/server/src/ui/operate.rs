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
    nodes: Vec<Follower>,
    /// The highest epoch that any node has applied.
    epoch: u64,
}

/// A node, and how far it is behind the others.
#[derive(Serialize)]
pub(super) struct Follower {
    #[serde(flatten)]
    pub(super) node: NodeInfo,
    /// How many changes of definitions it has not applied yet.
    pub(super) lag: u64,
    /// `active`, `behind`, or `overdue` if its lease is over.
    pub(super) standing: &'static str,
}

/// Gives the nodes, and the highest epoch that any of them has applied.
pub(super) async fn followers(call: &Call) -> Result<(Vec<Follower>, u64)> {
    let nodes = take!(call.read(Query::Nodes).await?.answer, Answer::Nodes)?;
    let epoch = nodes.iter().filter_map(|node| node.epoch).max().unwrap_or(0);
    let now = now();
    let follower = |node: NodeInfo| {
        let lag = epoch.saturating_sub(node.epoch.unwrap_or(0));
        let standing = match lag {
            _ if node.lease < now => "overdue",
            0 => "active",
            _ => "behind",
        };
        Follower { node, lag, standing }
    };
    Ok((nodes.into_iter().map(follower).collect(), epoch))
}

pub(crate) async fn nodes(call: Call) -> Result<Outcome> {
    let (nodes, epoch) = followers(&call).await?;
    page(&call, Frame::new("Nodes", Here::Nodes).live(0), &Nodes { nodes, epoch })
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
