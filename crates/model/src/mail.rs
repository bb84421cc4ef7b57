//! Mail accounts that are kept in step as work: what is remembered of them, and what it tells.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::{CloudEvent, Page, Result, SpecName, Time};

/// What the names of the work specs begin with whose units are rounds of mail accounts.
const ROUNDS: &str = "lockstep.mail.";

/// A change to what is remembered of mail accounts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum MailCommand {
    /// Makes an account known, with the continuous work spec of its rounds; one that is known only
    /// gets the interval. Answers [`crate::Reply::Done`].
    Open {
        /// The account.
        account: String,
        /// The time from one round to the next.
        interval: Duration,
    },
    /// Keeps what a round did. Answers [`crate::Reply::Done`].
    Record(RecordRound),
    /// Lets held removals through at the next round. Answers [`crate::Reply::Done`].
    Approve {
        /// The account.
        account: String,
        /// What stands for exactly that set.
        token: String,
    },
    /// Forgets an account with all that is remembered of it, and its work spec; its mail stays
    /// where it is. Answers [`crate::Reply::Done`].
    Forget {
        /// The account.
        account: String,
    },
}

/// What a round did: parts of the agreed state, and the events of the same changes.
///
/// Whoever writes says up to where it has read, so that of two who believe to have an account only
/// one can go on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RecordRound {
    /// The account.
    pub account: String,
    /// The last part that the writer knows.
    pub after: u64,
    /// Further parts, at most [`crate::limits::MAIL_PARTS_MAX`] of at most
    /// [`crate::limits::MAIL_PART_BYTES_MAX`].
    pub parts: Vec<String>,
    /// The part with which the state begins now; what is before it is removed.
    pub base: Option<u64>,
    /// How the account stands, for people.
    pub standing: Option<Json>,
    /// What happened to the mail, at most [`crate::limits::BATCH_MAX`] events.
    pub events: Vec<CloudEvent>,
}

/// A question about mail accounts.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum MailQuery {
    /// Accounts in name order. Answers [`MailAnswer::Accounts`].
    Accounts(Page<String>),
    /// One account. Answers [`MailAnswer::Account`].
    Account(String),
    /// Parts of the agreed state of an account, in order. Answers [`MailAnswer::Parts`].
    Parts(String, Page<u64>),
}

/// The answer to a [`MailQuery`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MailAnswer {
    /// Accounts, one page.
    Accounts(Vec<MailAccount>),
    /// An account.
    Account(Box<MailAccount>),
    /// Parts, one page.
    Parts(Vec<MailPart>),
}

/// A mail account that is kept in step as work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MailAccount {
    /// Its name.
    pub name: String,
    /// The work spec whose units are its rounds.
    pub spec: SpecName,
    /// The time from one round to the next.
    pub interval: Duration,
    /// The part with which its state begins.
    pub base: u64,
    /// The last part of its state.
    pub position: u64,
    /// When it was last changed.
    pub changed: Time,
    /// Tokens of held removals that the next round lets through.
    pub approved: Vec<String>,
    /// How it stands, as the last round wrote it; null before that.
    pub standing: Json,
}

impl MailAccount {
    /// Gives the work spec of an account's rounds.
    ///
    /// # Errors
    /// If the name is too long.
    pub fn spec_of(account: &str) -> Result<SpecName> {
        SpecName::new(format!("{ROUNDS}{account}"))
    }

    /// Gives the account whose rounds the units of a work spec are, if they are.
    pub fn of_spec(spec: &SpecName) -> Option<&str> {
        spec.as_str().strip_prefix(ROUNDS)
    }
}

/// A part of the agreed state of an account. Only who writes it understands it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MailPart {
    /// Its position.
    pub seq: u64,
    /// What it says.
    pub text: String,
}
