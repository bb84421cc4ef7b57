//! The rows of mail accounts.

use std::time::Duration;

use model::{Id, MailAccount, MailPart, Result, Time};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use store::{Doc, Key, Row, Table, Value, tables};

use crate::rows::{body, json, value};

/// An account.
#[derive(Clone, Debug)]
pub(super) struct AccountRow {
    /// The incarnation of its namespace.
    pub(super) namespace: Id,
    pub(super) name: String,
    pub(super) body: AccountBody,
}

/// What is remembered of an account, apart from its state.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct AccountBody {
    pub(super) interval: Duration,
    pub(super) base: u64,
    pub(super) position: u64,
    pub(super) changed: Time,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) approved: Vec<String>,
    #[serde(default, skip_serializing_if = "Json::is_null")]
    pub(super) standing: Json,
}

impl AccountRow {
    /// Gives the primary key.
    pub(super) fn key(namespace: Id, name: &str) -> Key {
        vec![Value::id(namespace), Value::Text(name.into())]
    }

    /// Shows it.
    pub(super) fn show(self) -> Result<MailAccount> {
        let AccountBody { interval, base, position, changed, approved, standing } = self.body;
        let spec = MailAccount::spec_of(&self.name)?;
        let name = self.name;
        Ok(MailAccount { name, spec, interval, base, position, changed, approved, standing })
    }
}

impl Row for AccountRow {
    const TABLE: &'static Table = &tables::MAIL_ACCOUNT;

    fn to_doc(&self) -> Doc {
        let key = Self::key(self.namespace, &self.name);
        Doc { key, columns: Vec::new(), body: body(&self.body) }
    }

    fn from_doc(doc: Doc) -> Result<Self> {
        Ok(Self {
            namespace: value(&doc.key, 0)?.as_id()?,
            name: value(&doc.key, 1)?.as_text()?.to_owned(),
            body: json("mail_account", &doc.body)?,
        })
    }
}

/// A part of the state of an account.
#[derive(Clone, Debug)]
pub(super) struct PartRow {
    /// The incarnation of its namespace.
    pub(super) namespace: Id,
    pub(super) account: String,
    pub(super) part: MailPart,
}

impl PartRow {
    /// Gives the primary key.
    pub(super) fn key(namespace: Id, account: &str, seq: u64) -> Key {
        vec![Value::id(namespace), Value::Text(account.into()), Value::id(seq)]
    }
}

impl Row for PartRow {
    const TABLE: &'static Table = &tables::MAIL_PART;

    fn to_doc(&self) -> Doc {
        let key = Self::key(self.namespace, &self.account, self.part.seq);
        Doc { key, columns: Vec::new(), body: self.part.text.clone().into_bytes() }
    }

    fn from_doc(doc: Doc) -> Result<Self> {
        let text = String::from_utf8(doc.body).map_err(|_| {
            model::Error::Internal("a row of mail_part is damaged: it is no text".to_owned())
        })?;
        Ok(Self {
            namespace: value(&doc.key, 0)?.as_id()?,
            account: value(&doc.key, 1)?.as_text()?.to_owned(),
            part: MailPart { seq: value(&doc.key, 2)?.as_id()?, text },
        })
    }
}
