//! Opening secrets for whoever uses them in this process. No route leads here.

use model::{Error, Id, Namespace, Result, SecretName, SecretValue};
use store::{PRIMARY, Range, Tx, TxExt as _, Value, tables};

use super::{
    keys::{Keys, missing},
    rows::SecretRow,
};
use crate::{shared::Shared, workflow::job::look};

/// Opens a secret of a namespace, or of that incarnation of it; none if there is no such secret.
///
/// # Errors
/// [`Error::SecretNotOpened`] if it is sealed under a key that is not here, or was changed.
pub(crate) async fn open(
    shared: &Shared,
    namespace: &Namespace,
    live: Option<Id>,
    name: &str,
) -> Result<Option<SecretValue>> {
    // What cannot name a secret of the store may still name a file.
    let Ok(name) = SecretName::new(name) else { return Ok(None) };
    let find = {
        let namespace = namespace.clone();
        move |tx: &mut dyn Tx| {
            let live = match live.map_or_else(|| queue::live(tx, &namespace), |live| Ok((0, live)))
            {
                Ok((_, live)) => live,
                Err(Error::NoSuchNamespace(_)) => return Ok(None),
                Err(error) => return Err(error),
            };
            tx.get::<SecretRow>(SecretRow::key(live, &name))
        }
    };
    let Some(row) = look(shared, find).await? else { return Ok(None) };
    let Some(keys) = shared.keys() else {
        return Err(missing(&row.key, row.name.as_str()));
    };
    let mut opened = keys.open(&row.key, row.place(namespace), &row.sealed)?;
    SecretValue::from_bytes(std::mem::take(&mut *opened)).map(Some)
}

/// Looks whether the keys that are given are those under which the secrets of the store are
/// sealed; tells whether there are secrets and no key at all.
///
/// The id of a key follows from the key, so a wrong key is found without opening anything.
///
/// # Errors
/// [`Error::SecretNotOpened`] if a key is not there under which a secret is sealed.
pub(crate) fn check(tx: &mut dyn Tx, keys: Option<&Keys>) -> Result<bool> {
    let mut after = None;
    loop {
        // The first secret of the next namespace that has any.
        let first: Vec<SecretRow> = tx.find(PRIMARY, &Range::default().after(after), 1)?;
        let Some(row) = first.into_iter().next() else { return Ok(false) };
        let Some(keys) = keys else { return Ok(true) };
        let namespace = Value::id(row.namespace);
        check_within(tx, keys, &namespace)?;
        after = Some(namespace);
    }
}

/// Looks at one secret of each key under which some of a namespace are sealed.
fn check_within(tx: &mut dyn Tx, keys: &Keys, namespace: &Value) -> Result<()> {
    let mut after = None;
    loop {
        let range = Range::prefix([namespace.clone()]).after(after);
        let first: Vec<SecretRow> = tx.find(tables::SECRET_SEALED_BY, &range, 1)?;
        let Some(row) = first.into_iter().next() else { return Ok(()) };
        if !keys.has(&row.key) {
            return Err(missing(&row.key, row.name.as_str()));
        }
        after = Some(Value::Bytes(row.key.as_slice().into()));
    }
}
