//! Changing what is remembered of mail accounts.

use std::time::Duration;

use model::{
    Control, Error, EventBody, MailAccount, MailPart, QueueCommand, RecordRound, Result, SpecRef,
    data_from_json, limits,
};
use queue::Work;
use serde_json::{Value as Json, json};
use store::{PRIMARY, Range, TxExt as _, Value, tables};

use super::{
    answer::known,
    rows::{AccountBody, AccountRow, PartRow},
};
use crate::instance::{self, BUILTIN_RUNTIME};

/// Tokens of held removals that wait for the next round.
const APPROVED_MAX: usize = 100;
/// Parts that are removed at once when an account is forgotten.
const FORGET_MAX: u32 = 10_000;

/// Makes an account known, with the spec of its rounds.
pub(super) fn open(work: &mut Work<'_>, name: &str, interval: Duration) -> Result<()> {
    check_name(name)?;
    let spec = MailAccount::spec_of(name)?;
    let data = data_from_json(&json!({
        "name": spec.as_str(), "runtime": BUILTIN_RUNTIME, "continuous": true,
        "interval": interval.as_secs_f64(), "max_running": 1,
        "desc": "Rounds of a mail account, and steps of workflows on it.",
    }))?;
    queue::ensure_spec(work, &spec, &data)?;
    let row: Option<AccountRow> = work.tx.get(AccountRow::key(work.live(), name))?;
    let row = match row {
        Some(row) if row.body.interval == interval => return Ok(()),
        Some(mut row) => {
            let control = Control { interval: Some(interval), ..Control::default() };
            let spec = SpecRef { name: spec, id: None };
            queue::apply(work, &QueueCommand::ControlSpec { spec, control })?;
            row.body.interval = interval;
            row
        }
        None => AccountRow {
            namespace: work.live(),
            name: name.to_owned(),
            body: AccountBody {
                interval,
                base: 1,
                position: 0,
                changed: work.now,
                approved: Vec::new(),
                standing: Json::Null,
            },
        },
    };
    put(work, &row)
}

/// Keeps what a round did, together with its events.
pub(super) fn record(work: &mut Work<'_>, round: &RecordRound) -> Result<()> {
    check_round(round)?;
    let mut row = find(work, &round.account)?;
    if row.body.position != round.after {
        return Err(Error::LockConflict(format!(
            "the state of the mail account {:?} is at part {}, and not at {}: another node has \
             gone on with it",
            round.account, row.body.position, round.after
        )));
    }
    for text in &round.parts {
        row.body.position += 1;
        let part = MailPart { seq: row.body.position, text: text.clone() };
        let (namespace, account) = (work.live(), round.account.clone());
        work.tx.put(&PartRow { namespace, account, part })?;
    }
    if let Some(base) = round.base {
        if base < row.body.base || base > row.body.position + 1 {
            return Err(Error::bad_input("the state cannot begin where it does not reach"));
        }
        let live = work.live();
        let old = row.body.base..base;
        let old: Vec<_> = old.map(|seq| PartRow::key(live, &round.account, seq)).collect();
        work.tx.remove(&tables::MAIL_PART, &old)?;
        row.body.base = base;
    }
    if let Some(standing) = &round.standing {
        row.body.standing = standing.clone();
        // What was let through, or has changed, is no longer held under its token.
        row.body.approved.retain(|token| is_held(standing, token));
    }
    row.body.changed = work.now;
    put(work, &row)?;
    round.events.iter().try_for_each(|event| instance::keep(work, event))
}

/// Notes a set of held removals to be let through.
pub(super) fn approve(work: &mut Work<'_>, name: &str, token: &str) -> Result<()> {
    let mut row = find(work, name)?;
    if !is_held(&row.body.standing, token) {
        return Err(Error::bad_input(format!(
            "no held set of the mail account {name:?} has the token {token:?}"
        )));
    }
    if !row.body.approved.iter().any(|known| known == token) {
        row.body.approved.push(token.to_owned());
        row.body.approved.truncate(APPROVED_MAX);
    }
    put(work, &row)
}

fn is_held(standing: &Json, token: &str) -> bool {
    let holds = standing.get("holds").and_then(Json::as_array);
    let has = |hold: &Json| hold.get("token").and_then(Json::as_str) == Some(token);
    holds.is_some_and(|holds| holds.iter().any(has))
}

/// Forgets an account with its state and its spec.
pub(super) fn forget(work: &mut Work<'_>, name: &str) -> Result<()> {
    let row = find(work, name)?;
    let prefix = [Value::id(work.live()), Value::Text(name.into())];
    loop {
        let parts: Vec<PartRow> =
            work.tx.find(PRIMARY, &Range::prefix(prefix.clone()), FORGET_MAX)?;
        if parts.is_empty() {
            break;
        }
        let key = |part: &PartRow| PartRow::key(part.namespace, name, part.part.seq);
        let keys: Vec<_> = parts.iter().map(key).collect();
        work.tx.remove(&tables::MAIL_PART, &keys)?;
    }
    let key = AccountRow::key(row.namespace, name);
    work.tx.remove(&tables::MAIL_ACCOUNT, &[key])?;
    let spec = SpecRef { name: MailAccount::spec_of(name)?, id: None };
    match queue::apply(work, &QueueCommand::DestroySpec { spec }) {
        Ok(_) | Err(Error::NoSuchWorkSpec(_)) => {}
        Err(error) => return Err(error),
    }
    work.events.push(EventBody::MailChanged(name.to_owned()));
    Ok(())
}

/// Refuses an account that is not known.
pub(crate) fn check(work: &mut Work<'_>, name: &str) -> Result<()> {
    find(work, name).map(drop)
}

fn find(work: &mut Work<'_>, name: &str) -> Result<AccountRow> {
    known(work.tx.get(AccountRow::key(work.live(), name))?, name)
}

fn put(work: &mut Work<'_>, row: &AccountRow) -> Result<()> {
    work.tx.put(row)?;
    work.events.push(EventBody::MailChanged(row.name.clone()));
    Ok(())
}

fn check_name(name: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.@".contains(c);
    if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
        return Err(Error::bad_input(format!(
            "{name:?} cannot name a mail account: use letters, digits and -_.@"
        )));
    }
    limited("bytes in the name of a mail account", name.len(), limits::MAIL_ACCOUNT_BYTES_MAX)
}

fn check_round(round: &RecordRound) -> Result<()> {
    limited("parts in one call", round.parts.len(), limits::MAIL_PARTS_MAX)?;
    for part in &round.parts {
        limited("bytes in one part", part.len(), limits::MAIL_PART_BYTES_MAX)?;
    }
    limited("events in one call", round.events.len(), limits::BATCH_MAX)?;
    let standing = round.standing.as_ref().map_or(0, |standing| standing.to_string().len());
    limited("bytes in how an account stands", standing, limits::MAIL_STANDING_BYTES_MAX)
}

fn limited(what: &str, size: usize, most: usize) -> Result<()> {
    if size > most { Err(Error::too_large(what, size, most)) } else { Ok(()) }
}
