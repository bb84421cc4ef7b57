//! Questions about secrets, none of which is answered with a value.

use model::{Answer, Namespace, Page, Read, Result, SecretName, limits};
use store::{PRIMARY, Range, Tx, TxExt as _, Value};

use super::rows::SecretRow;

/// Lists the secrets of a namespace in name order.
pub(crate) fn answer(
    tx: &mut dyn Tx,
    namespace: &Namespace,
    page: &Page<SecretName>,
) -> Result<Read> {
    let (as_of, live) = queue::live(tx, namespace)?;
    let limit = if page.limit == 0 { limits::PAGE_MAX } else { page.limit.min(limits::PAGE_MAX) };
    let after = page.after.as_ref().map(|name| Value::Text(name.as_str().into()));
    let range = Range::prefix([Value::id(live)]).after(after);
    let rows: Vec<SecretRow> = tx.find(PRIMARY, &range, limit)?;
    let secrets = rows.into_iter().map(SecretRow::info).collect();
    Ok(Read { as_of, answer: Answer::Secrets(secrets) })
}
