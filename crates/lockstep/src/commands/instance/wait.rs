//! `lockstep instance waits`, `answer` and `invite`.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use clap::Args;
use model::{
    CloudEvent, Error, Id, InstanceAnswer, InstanceCommand, InstanceQuery, Invite, Page, Time,
    Wait, Write, decision, escape, limits,
};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::{ask, json_of};
use crate::{
    connect::{Session, unexpected},
    failure::Failure,
    output::{printable, table},
    span,
};

/// Which wait of an instance.
#[derive(Args)]
pub(crate) struct Which {
    /// The instance
    id: Id,
    /// The step that waits; without it, the only one
    #[arg(long, value_name = "STEP")]
    step: Option<String>,
    /// The number of the filter to answer, if the step has several
    #[arg(long, value_name = "N", default_value_t = 0)]
    filter: usize,
    /// Data of the event: a JSON object, @FILE, or - for standard input; a decision is added to it
    #[arg(long, value_name = "JSON", default_value = "{}")]
    data: String,
}

/// What to answer.
#[derive(Args)]
pub(crate) struct AnswerArgs {
    #[command(flatten)]
    which: Which,
    /// Add to the data that it is approved
    #[arg(long, conflicts_with = "decline")]
    approve: bool,
    /// Add to the data that it is declined
    #[arg(long)]
    decline: bool,
    /// Add this comment to the decision
    #[arg(long, value_name = "TEXT", default_value = "")]
    comment: String,
}

/// What the link is for.
#[derive(Args)]
pub(crate) struct InviteArgs {
    #[command(flatten)]
    which: Which,
    /// What the person is asked
    #[arg(long, value_name = "TEXT", default_value = "")]
    note: String,
    /// The link stops working after this span
    #[arg(long, value_name = "SPAN", default_value = "3d")]
    expires: String,
    /// Where the person reaches the server; without it, the link is a path
    #[arg(long, value_name = "URL", default_value = "")]
    at: String,
}

/// Lists what instances wait for.
pub(super) async fn list(limit: u32, session: &Session) -> Result<()> {
    let most = if limit == 0 { usize::MAX } else { limit as usize };
    let mut waits: Vec<Wait> = Vec::new();
    loop {
        let after = waits.last().map(|wait| wait.instance);
        let some = some(session, Page { after, limit: limits::PAGE_MAX }).await?;
        let is_last = some.is_empty();
        waits.extend(some);
        if is_last || waits.len() >= most {
            break;
        }
    }
    waits.truncate(most);
    let row = |wait: &Wait| {
        let time = |time: Option<Time>| time.map_or_else(|| "-".to_owned(), |at| at.to_string());
        let step = printable(&wait.name);
        let (kinds, id) = (printable(&wait.kinds()), wait.instance.to_string());
        vec![id, printable(&wait.definition), step, kinds, time(wait.since), time(wait.until)]
    };
    let heads = ["instance", "definition", "step", "waits for", "since", "times out"];
    let rows: Vec<_> = waits.iter().map(row).collect();
    session.out.data(&json!({ "waits": waits }), || table(&heads, &rows))
}

async fn some(session: &Session, page: Page<Id>) -> Result<Vec<Wait>> {
    match ask(session, InstanceQuery::Waits(page)).await? {
        InstanceAnswer::Waits(waits) => Ok(waits),
        _ => Err(unexpected().into()),
    }
}

impl Which {
    /// Finds the wait, and makes the event that answers it.
    async fn find(&self, session: &Session, hash: &[u8; 32]) -> Result<(Wait, CloudEvent)> {
        let page = Page { after: self.id.checked_sub(1), limit: 1 };
        let mut waits = some(session, page).await?;
        waits.retain(|wait| wait.instance == self.id);
        waits.retain(|wait| self.step.as_ref().is_none_or(|step| *step == wait.name));
        let hint = "`lockstep instance waits` lists what is waited for";
        let wait = match waits.pop() {
            Some(wait) if waits.is_empty() => wait,
            Some(_) => {
                let what = format!("instance {} waits for more than one thing", self.id);
                return Err(Failure::usage(what, "say which with --step").into());
            }
            None => {
                let what = format!("instance {} does not wait for that", self.id);
                return Err(Failure::usage(what, hint).into());
            }
        };
        let Value::Object(data) = json_of(&self.data)? else {
            return Err(Error::bad_input("--data must be a JSON object").into());
        };
        let mut event = wait.answer(self.filter, hash)?;
        event.data = Value::Object(data);
        Ok((wait, event))
    }
}

fn secret() -> Result<(String, [u8; 32])> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| Error::Unavailable(error.to_string()))?;
    let secret = URL_SAFE_NO_PAD.encode(bytes);
    let hash = Sha256::digest(&secret).into();
    Ok((secret, hash))
}

fn after(span: &str) -> Result<Time> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = Time(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX));
    Ok(now.plus(span::parse(span)?))
}

impl AnswerArgs {
    pub(super) async fn run(self, session: &Session) -> Result<()> {
        let (_, hash) = secret()?;
        let (wait, event) = self.which.find(session, &hash).await?;
        let data = match (self.approve, self.decline) {
            (false, false) => Map::new(),
            (approved, _) => decision(approved, &self.comment, ""),
        };
        let (instance, step, expires) = (wait.instance, wait.name, after("1m")?);
        let wait = step.clone();
        let invite = Invite { instance, wait, hash, expires, note: String::new(), event };
        let answer = InstanceCommand::AnswerInvite { instance, hash, data };
        let lockstep = &session.lockstep;
        let mut write = Write::one(lockstep.namespace(), InstanceCommand::Invite(Box::new(invite)));
        write.commands.push(answer.into());
        lockstep.backend().write(write).await?;
        let shown = json!({ "instance": instance, "step": step });
        session.out.data(&shown, || format!("{} of instance {instance}", printable(&step)))
    }
}

impl InviteArgs {
    pub(super) async fn run(self, session: &Session) -> Result<()> {
        let (secret, hash) = secret()?;
        let (wait, event) = self.which.find(session, &hash).await?;
        let (instance, expires) = (wait.instance, after(&self.expires)?);
        let (wait, note) = (wait.name, self.note);
        let invite = Invite { instance, wait, hash, expires, note, event };
        session.lockstep.command(InstanceCommand::Invite(Box::new(invite))).await?;
        let namespace = escape(session.lockstep.namespace().as_str().as_bytes());
        let at = self.at.trim_end_matches('/');
        let link = format!("{at}/ui/approve/{namespace}/{instance}/{secret}");
        session.out.data(&json!({ "link": link, "expires": expires }), || link.clone())
    }
}
