//! Mail accounts that the server keeps in step: how far each is, and what waits for a person.

use std::time::Duration;

use askama::Template;
use model::{
    Answer, Counts, MailAccount, MailAnswer, MailCommand, MailQuery, Namespace, Page, Query,
    Result, SpecRef, Time,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    ask::{self, visible},
    form::{Form, unknown},
    frame::{Frame, Here, page},
    place, show,
};
use crate::{
    auth::now,
    call::{Call, take},
    outcome::Outcome,
};

/// Accounts on one page; each comes with all that is told of it.
const ACCOUNTS: usize = 20;
/// Intervals after which an account that was not proved is late.
const PATIENCE: u32 = 2;

/// How an account stands, as its last round wrote it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Standing {
    folders: Vec<Folder>,
    holds: Vec<Held>,
    conflicts: Vec<Conflict>,
    last: Option<Round>,
    messages: u64,
    /// When both sides were last known to be the same in every folder.
    proved: Option<Time>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Folder {
    folder: String,
    messages: u64,
    proved: Option<Time>,
}

/// Removals that wait for somebody to let them through.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Held {
    token: String,
    why: String,
    removals: Vec<Removal>,
    since: Option<Time>,
    approved: bool,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Removal {
    folder: String,
    side: String,
    messages: u64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Conflict {
    at: Option<Time>,
    conflict: Contradiction,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Contradiction {
    folder: String,
    side: String,
    key: Value,
    kind: String,
}

impl Contradiction {
    fn key(&self) -> String {
        self.key.as_str().map_or_else(|| self.key.to_string(), str::to_owned)
    }

    fn says(&self) -> &str {
        match self.kind.as_str() {
            "removed_but_flagged" => "removed on one side, flagged on the other: it comes back",
            "folder_removed" => "its folder was removed on one side only: the folder comes back",
            other => other,
        }
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Round {
    started: Option<Time>,
    finished: Option<Time>,
    summary: Value,
}

impl Round {
    fn problems(&self) -> Vec<String> {
        let problems = self.summary.get("problems").and_then(Value::as_array).into_iter().flatten();
        problems
            .map(|problem| {
                let what = problem.get("error").unwrap_or(problem);
                let what = match what {
                    Value::String(text) => text.clone(),
                    Value::Object(map) if map.len() == 1 => {
                        let inner = map.values().next().unwrap_or(what);
                        inner.as_str().map_or_else(|| inner.to_string(), str::to_owned)
                    }
                    what => what.to_string(),
                };
                match problem.get("folder").and_then(Value::as_str) {
                    Some(folder) => format!("{folder}: {what}"),
                    None => what,
                }
            })
            .collect()
    }
}

/// An account with what its last round wrote.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    account: MailAccount,
    /// `held`, `failed`, `late`, `new` or `active`.
    word: &'static str,
    #[serde(skip)]
    standing: Standing,
}

impl Shown {
    fn of(account: MailAccount, now: Time) -> Self {
        let standing = Standing::deserialize(&account.standing).unwrap_or_default();
        let mut shown = Self { account, word: "active", standing };
        shown.word = shown.say(now);
        shown
    }

    fn say(&self, now: Time) -> &'static str {
        if self.waiting() > 0 {
            return "held";
        }
        let Some(last) = &self.standing.last else { return "new" };
        if !last.problems().is_empty() {
            return "failed";
        }
        let late = self.account.interval.saturating_mul(PATIENCE);
        let is_late = self.standing.proved.is_none_or(|proved| now > proved.plus(late));
        if is_late { "late" } else { "active" }
    }

    fn is_approved(&self, held: &Held) -> bool {
        held.approved || self.account.approved.contains(&held.token)
    }

    /// Gives how many held sets nobody has let through yet.
    fn waiting(&self) -> usize {
        self.standing.holds.iter().filter(|held| !self.is_approved(held)).count()
    }

    /// Gives how many folders the last round did not bring to the end.
    fn behind(&self) -> usize {
        let since = self.standing.last.as_ref().and_then(|last| last.started);
        let is_behind = |folder: &&Folder| match (folder.proved, since) {
            (None, _) => true,
            (Some(proved), Some(since)) => proved.unix_seconds() < since.unix_seconds(),
            (Some(_), None) => false,
        };
        self.standing.folders.iter().filter(is_behind).count()
    }
}

#[derive(Template, Serialize)]
#[template(path = "mail.html")]
struct Accounts {
    namespace: Namespace,
    accounts: Vec<Shown>,
    next: Option<String>,
}

pub(crate) async fn list(call: Call) -> Result<Outcome> {
    let namespace = call.namespace()?;
    let after = call.params()?.previous_text()?;
    let asked = Page { after, limit: ACCOUNTS as u32 + 1 };
    let query = Query::Mail(namespace.clone(), MailQuery::Accounts(asked));
    let (mut found, as_of) = match call.read(query).await {
        Err(model::Error::NoSuchNamespace(_)) => (Vec::new(), 0),
        read => {
            let read = read?;
            (take!(take!(read.answer, Answer::Mail)?, MailAnswer::Accounts)?, read.as_of)
        }
    };
    let more = found.len() > ACCOUNTS;
    found.truncate(ACCOUNTS);
    let next = found.last().filter(|_| more).map(|account| account.name.clone());
    let now = now();
    let accounts = found.into_iter().map(|account| Shown::of(account, now)).collect();
    let frame = Frame::of(&namespace, "Mail accounts", Here::Mail).live(as_of);
    page(&call, frame, &Accounts { namespace, accounts, next })
}

#[derive(Template, Serialize)]
#[template(path = "account.html")]
struct OneAccount {
    namespace: Namespace,
    #[serde(flatten)]
    shown: Shown,
    /// The rounds that are kept, by status; none if the visitor may not see work specs.
    rounds: Option<Counts>,
    #[serde(skip)]
    form: String,
}

impl OneAccount {
    fn href(&self) -> String {
        place::account(&self.namespace, &self.shown.account.name)
    }

    fn approve_command(&self, token: &str) -> String {
        show::command_in(&self.namespace, &["mail", "approve", token, "--server"])
    }

    fn status_command(&self) -> String {
        let name = self.shown.account.name.as_str();
        show::command_in(&self.namespace, &["mail", "status", name, "--server"])
    }

    fn every(&self) -> String {
        show::span(self.shown.account.interval)
    }

    fn took(&self, round: &Round) -> Option<String> {
        let (begun, ended) = (round.started?, round.finished?);
        let took = ended.since(begun);
        Some(if took < Duration::from_secs(1) { "under 1 s".into() } else { show::span(took) })
    }

    fn problems(&self) -> Vec<String> {
        self.shown.standing.last.as_ref().map(Round::problems).unwrap_or_default()
    }
}

pub(crate) async fn show(call: Call) -> Result<Outcome> {
    let (namespace, name) = (call.namespace()?, call.part("{account}")?);
    let read = call.read(Query::Mail(namespace.clone(), MailQuery::Account(name))).await?;
    let account = *take!(take!(read.answer, Answer::Mail)?, MailAnswer::Account)?;
    let spec = SpecRef { name: account.spec.clone(), id: None };
    let rounds = match visible(call.read(Query::Spec(namespace.clone(), spec)).await)? {
        Some(read) => Some(take!(read.answer, Answer::Spec)?.counts),
        None => None,
    };
    let frame = Frame::of(&namespace, account.name.as_str(), Here::Mail).live(read.as_of);
    let form = call.app.sessions.form_token(&call.visit);
    let shown = Shown::of(account, now());
    page(&call, frame, &OneAccount { namespace, shown, rounds, form })
}

/// Lets exactly one held set through.
pub(crate) async fn change(call: Call) -> Result<Outcome> {
    let form = Form::of(&call)?;
    let (namespace, account) = (call.namespace()?, call.part("{account}")?);
    let here = place::account(&namespace, &account);
    let command = match form.text("do") {
        "approve" => MailCommand::Approve { account, token: form.text("token").to_owned() },
        other => return Err(unknown(other)),
    };
    ask::change(&call, &namespace, model::Command::Mail(command)).await?;
    Ok(Outcome::see_other(format!("{here}?done=let-through")))
}

/// How an account is, in short.
#[derive(Serialize)]
pub(super) struct Health {
    pub(super) account: String,
    /// A status, which says how bad it is.
    pub(super) word: &'static str,
    /// What it needs somebody for.
    pub(super) need: Option<String>,
    /// When both sides were last known to be the same in every folder.
    pub(super) proved: Option<Time>,
}

/// Gives how the accounts of a namespace are.
pub(super) async fn health(call: &Call, of: &Namespace) -> Result<Vec<Health>> {
    let first = Page { after: None, limit: ACCOUNTS as u32 };
    let query = Query::Mail(of.clone(), MailQuery::Accounts(first));
    let read = match call.read(query).await {
        Err(model::Error::NoSuchNamespace(_)) => return Ok(Vec::new()),
        read => visible(read)?,
    };
    let Some(read) = read else { return Ok(Vec::new()) };
    let accounts = take!(take!(read.answer, Answer::Mail)?, MailAnswer::Accounts)?;
    let now = now();
    let shown = accounts.into_iter().map(|account| Shown::of(account, now));
    let health = shown.map(|shown| Health {
        need: shown.need(now),
        account: shown.account.name,
        word: shown.word,
        proved: shown.standing.proved,
    });
    Ok(health.collect())
}

impl Shown {
    /// Says what the account needs somebody for.
    fn need(&self, now: Time) -> Option<String> {
        match self.word {
            "held" => {
                let mut holds = self.standing.holds.iter();
                holds.find(|held| !self.is_approved(held)).map(|held| held.why.clone())
            }
            "failed" => self.standing.last.as_ref()?.problems().into_iter().next(),
            "late" => Some(match self.standing.proved {
                Some(proved) => {
                    format!("not proved to be the same for {}", show::span(now.since(proved)))
                }
                None => "never proved to be the same on both sides".to_owned(),
            }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use model::SpecName;
    use serde_json::json;

    use super::*;

    fn account(standing: Value, approved: &[&str]) -> Shown {
        let account = MailAccount {
            name: "home".to_owned(),
            spec: SpecName::new("lockstep.mail.home").unwrap(),
            interval: Duration::from_secs(60),
            base: 1,
            position: 1,
            changed: Time(0),
            approved: approved.iter().map(|token| (*token).to_owned()).collect(),
            standing,
        };
        Shown::of(account, Time::parse("2026-01-01T00:10:00Z").unwrap())
    }

    #[test]
    fn an_account_says_what_it_needs() {
        assert_eq!(account(Value::Null, &[]).word, "new");
        let standing = |proved: &str, problems: Value| {
            json!({
                "proved": proved, "messages": 3,
                "folders": [{"folder": "INBOX", "messages": 3, "proved": proved}],
                "holds": [],
                "last": {"started": "2026-01-01T00:09:30Z", "summary": {"problems": problems}},
            })
        };
        let fresh = "2026-01-01T00:09:31Z";
        assert_eq!(account(standing(fresh, json!([])), &[]).word, "active");
        let late = account(standing("2026-01-01T00:01:00Z", json!([])), &[]);
        assert_eq!((late.word, late.behind()), ("late", 1));
        let problem = json!([{"folder": "INBOX", "error": {"unavailable": "no answer"}}]);
        let failed = account(standing(fresh, problem), &[]);
        assert_eq!(failed.word, "failed");
        assert_eq!(failed.standing.last.unwrap().problems(), ["INBOX: no answer"]);
    }

    #[test]
    fn what_was_let_through_waits_no_longer() {
        let standing = json!({
            "holds": [{"token": "ab12", "why": "all at once", "since": "2026-01-01T00:00:00Z",
                "removals": [{"folder": "INBOX", "side": "right", "messages": 4}]}],
            "last": {"started": "2026-01-01T00:09:30Z", "summary": {"problems": []}},
            "proved": "2026-01-01T00:09:31Z",
        });
        assert_eq!(account(standing.clone(), &[]).word, "held");
        assert_eq!(account(standing, &["ab12"]).word, "active");
    }
}
