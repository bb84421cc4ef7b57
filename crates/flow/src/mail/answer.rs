//! Answering questions about mail accounts.

use model::{Answer, Error, MailAnswer, MailQuery, Namespace, Read, Result, limits};
use store::{PRIMARY, Range, Tx, TxExt as _, Value};

use super::rows::{AccountRow, PartRow};

/// Answers a question on a snapshot.
pub fn answer(tx: &mut dyn Tx, namespace: &Namespace, query: &MailQuery) -> Result<Read> {
    let (as_of, live) = queue::live(tx, namespace)?;
    let answer = match query {
        MailQuery::Accounts(page) => {
            let after = page.after.as_ref().map(|name| Value::Text(name.as_str().into()));
            let range = Range::prefix([Value::id(live)]).after(after);
            let rows: Vec<AccountRow> = tx.find(PRIMARY, &range, size(page.limit))?;
            MailAnswer::Accounts(rows.into_iter().map(AccountRow::show).collect::<Result<_>>()?)
        }
        MailQuery::Account(name) => MailAnswer::Account(Box::new(
            known(tx.get(AccountRow::key(live, name))?, name)?.show()?,
        )),
        MailQuery::Parts(name, page) => {
            let account = known(tx.get(AccountRow::key(live, name))?, name)?;
            let first = account.body.base.saturating_sub(1);
            let after = page.after.unwrap_or(first).max(first);
            let prefix = [Value::id(live), Value::Text(name.as_str().into())];
            let range = Range::prefix(prefix).after(Some(Value::id(after)));
            let rows: Vec<PartRow> = tx.find(PRIMARY, &range, size(page.limit))?;
            MailAnswer::Parts(rows.into_iter().map(|row| row.part).collect())
        }
    };
    Ok(Read { as_of, answer: Answer::Mail(answer) })
}

/// Refuses an account that nobody has opened.
pub(super) fn known(row: Option<AccountRow>, name: &str) -> Result<AccountRow> {
    row.ok_or_else(|| Error::NoSuchMailAccount(name.to_owned()))
}

fn size(limit: u32) -> u32 {
    // Parts are large, so a page of them is short.
    let most = limits::MAIL_PARTS_MAX as u32;
    if limit == 0 { most } else { limit.min(most) }
}
