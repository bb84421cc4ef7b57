//! Users on the wire.

use model::{Grant, Session, UserInfo, UserName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Users of a server.
#[derive(Serialize, JsonSchema)]
pub(crate) struct UserList {
    /// The users, in name order.
    pub(crate) users: Vec<UserInfo>,
}

/// A user.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ShownUser {
    /// What there is to know of it.
    pub(crate) user: UserInfo,
    /// Where it is signed in, the oldest first.
    pub(crate) sessions: Vec<Session>,
}

/// A user to add; not to be shown, as it holds a password.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewUser {
    /// The name.
    pub(crate) name: UserName,
    /// The password; absent for whoever signs in elsewhere, or is given one later.
    #[serde(default)]
    pub(crate) password: Option<String>,
    /// Roles, at most one for each namespace and one for all.
    #[serde(default)]
    pub(crate) grants: Vec<Grant>,
}

/// What to change of a user; absent fields stay. Not to be shown, as it holds a password.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangedUser {
    /// A new password, which ends all sessions.
    #[serde(default)]
    pub(crate) password: Option<String>,
    /// Roles, in place of all that there are.
    #[serde(default)]
    pub(crate) grants: Option<Vec<Grant>>,
    /// Whether the user is kept out.
    #[serde(default)]
    pub(crate) is_disabled: Option<bool>,
    /// Whether to end all sessions.
    #[serde(default)]
    pub(crate) sign_out: bool,
}
