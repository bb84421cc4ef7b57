//! How accounts stand that a server keeps in step: `--server` of `status` and `approve`.

use anyhow::Result;
use client::Lockstep;
use model::{
    Answer, Command, Error, MailAccount, MailAnswer, MailCommand, MailQuery, Page, Query, Time,
};
use serde_json::{Value, json};

use super::show;
use crate::{
    config::Config,
    connect::{self, pages, unexpected},
    output::{Output, printable, table},
};

async fn ask(lockstep: &Lockstep, query: MailQuery) -> model::Result<MailAnswer> {
    match lockstep.ask(Query::Mail(lockstep.namespace().clone(), query)).await? {
        Answer::Mail(answer) => Ok(answer),
        _ => Err(unexpected()),
    }
}

/// Gives the named account, or all of the namespace.
async fn accounts(lockstep: &Lockstep, name: Option<&str>) -> Result<Vec<MailAccount>> {
    if let Some(name) = name {
        let account = ask(lockstep, MailQuery::Account(name.to_owned())).await?;
        let MailAnswer::Account(account) = account else { return Err(unexpected().into()) };
        return Ok(vec![*account]);
    }
    let fetch = async |page: Page<String>| {
        // Accounts come with all that people are shown of them, so a page has few.
        let page = Page { limit: page.limit.min(PAGE), ..page };
        match ask(lockstep, MailQuery::Accounts(page)).await? {
            MailAnswer::Accounts(accounts) => Ok(accounts),
            _ => Err(unexpected()),
        }
    };
    let mut all: Vec<MailAccount> = Vec::new();
    loop {
        let after = all.last().map(|account| account.name.clone());
        let (some, _) =
            pages(PAGE, after, |account: &MailAccount| account.name.clone(), fetch).await?;
        let is_last = some.len() < PAGE as usize;
        all.extend(some);
        if is_last {
            return Ok(all);
        }
    }
}

/// Accounts that are asked for at once.
const PAGE: u32 = 16;

/// Shows how accounts stand.
pub(super) async fn status(name: Option<&str>, config: &Config, out: Output) -> Result<()> {
    let lockstep = connect::remote(config, 3)?;
    let (mut shown, mut text) = (Vec::new(), String::new());
    for account in accounts(&lockstep, name).await? {
        text.push_str(&readable(&account));
        shown.push(json!({
            "account": account.name, "spec": account.spec, "interval": account.interval.as_secs(),
            "changed": account.changed, "approved": account.approved,
            "standing": account.standing,
        }));
    }
    out.data(&json!(shown), || text)
}

fn readable(account: &MailAccount) -> String {
    let standing = &account.standing;
    let late = if is_late(account) { ", which is late" } else { "" };
    let mut text = format!(
        "{}: {} messages, the same on both sides at {}{late}\n",
        account.name,
        of(standing, "messages"),
        word(standing, "proved"),
    );
    for hold in list(standing, "holds") {
        let (token, why) = (word(hold, "token"), word(hold, "why"));
        let is_given = account.approved.iter().any(|known| known == token);
        let approved = is_given || of(hold, "approved") == &json!(true);
        let waits = if approved { "approved" } else { "held" };
        text.push_str(&printable(&format!("{waits}: {why} ({token})\n")));
    }
    for problem in list(of(of(standing, "last"), "summary"), "problems") {
        text.push_str(&printable(&format!("problem: {problem}\n")));
    }
    let row = |folder: &Value| {
        let (name, proved) = (printable(word(folder, "folder")), word(folder, "proved"));
        let late = show::is_late(Time::parse(proved).ok(), account.interval);
        vec![name, of(folder, "messages").to_string(), proved.to_owned(), show::mark(late)]
    };
    let rows: Vec<_> = list(standing, "folders").iter().map(row).collect();
    text.push_str(&table(&show::HEADS, &rows));
    text
}

fn of<'a>(value: &'a Value, key: &str) -> &'a Value {
    value.get(key).unwrap_or(&Value::Null)
}

fn word<'a>(value: &'a Value, key: &str) -> &'a str {
    of(value, key).as_str().unwrap_or("never")
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    of(value, key).as_array().map_or(&[], Vec::as_slice)
}

/// Tells whether both sides were not known to be the same for more than two intervals.
fn is_late(account: &MailAccount) -> bool {
    show::is_late(Time::parse(word(&account.standing, "proved")).ok(), account.interval)
}

/// Lets held removals through at the next round.
pub(super) async fn approve(token: &str, config: &Config, out: Output) -> Result<()> {
    let lockstep = connect::remote(config, 3)?;
    for account in accounts(&lockstep, None).await? {
        let holds = list(&account.standing, "holds");
        if holds.iter().any(|hold| word(hold, "token") == token) {
            let (account, token) = (account.name.clone(), token.to_owned());
            let shown = json!({"account": account, "approved": token});
            let approve = MailCommand::Approve { account: account.clone(), token };
            lockstep.command(Command::Mail(approve)).await?;
            return out
                .data(&shown, || format!("{account}: the next round removes exactly that set"));
        }
    }
    Err(Error::bad_input(format!(
        "no held set has the token {token:?}; `lockstep mail status --server` shows what is held"
    ))
    .into())
}
