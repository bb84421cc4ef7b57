//! Users: people with a name, a password or an identity elsewhere, and a role per namespace.

use std::{borrow::Borrow, fmt};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use smol_str::SmolStr;

use crate::{Error, Namespace, Page, Result, Role, Time, TokenInfo, limits};

/// The name of a user: 1 to [`limits::USER_NAME_BYTES_MAX`] bytes without control characters, and
/// without blanks at its ends.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, JsonSchema)]
pub struct UserName(#[schemars(with = "String")] SmolStr);

impl UserName {
    /// Checks and wraps a name.
    ///
    /// # Errors
    /// [`Error::BadInput`], [`Error::TooLarge`].
    pub fn new(name: impl Into<SmolStr>) -> Result<Self> {
        let name = name.into();
        if name.len() > limits::USER_NAME_BYTES_MAX {
            return Err(Error::too_large("user name", name.len(), limits::USER_NAME_BYTES_MAX));
        }
        if name.is_empty() || name.trim() != name || name.chars().any(char::is_control) {
            return Err(Error::bad_input(format!(
                "{:?} cannot be the name of a user: it must not be empty, begin or end with a \
                 blank, or hold control characters",
                name.as_str()
            )));
        }
        Ok(Self(name))
    }

    /// Borrows the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for UserName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Serialize for UserName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for UserName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(SmolStr::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// The hash of a password by Argon2id in the PHC string format, with costs that a server can bear.
#[derive(Clone, PartialEq, Eq, Hash, JsonSchema)]
pub struct PasswordHash(#[schemars(with = "String")] String);

impl PasswordHash {
    /// Checks and wraps a hash: `$argon2id$v=19$m=KIB,t=PASSES,p=LANES$SALT$HASH`.
    ///
    /// # Errors
    /// [`Error::BadInput`] for anything else, and for costs above those of
    /// [`limits::PASSWORD_KIB_MAX`].
    pub fn new(text: impl Into<String>) -> Result<Self> {
        let text = text.into();
        if !is_bearable(&text) {
            return Err(Error::bad_input(format!(
                "a password is kept as $argon2id$v=19$m=…,t=…,p=…$SALT$HASH with at most {} KiB, \
                 {} passes and {} lanes",
                limits::PASSWORD_KIB_MAX,
                limits::PASSWORD_PASSES_MAX,
                limits::PASSWORD_PASSES_MAX,
            )));
        }
        Ok(Self(text))
    }

    /// Borrows it in the PHC string format.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_bearable(text: &str) -> bool {
    let cost = |part: Option<&str>, name: &str, max: u32| {
        let value = part.and_then(|part| part.strip_prefix(name)?.parse::<u32>().ok());
        value.is_some_and(|value| (1..=max).contains(&value))
    };
    let is_base64 = |part: Option<&str>| part.is_some_and(|part| (11..=128).contains(&part.len()));
    let Some(rest) = text.strip_prefix("$argon2id$v=19$") else { return false };
    let mut parts = rest.split('$');
    let Some(costs) = parts.next() else { return false };
    let mut costs = costs.split(',');
    let passes = limits::PASSWORD_PASSES_MAX;
    cost(costs.next(), "m=", limits::PASSWORD_KIB_MAX)
        && cost(costs.next(), "t=", passes)
        && cost(costs.next(), "p=", passes)
        && costs.next().is_none()
        && is_base64(parts.next())
        && is_base64(parts.next())
        && parts.next().is_none()
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

impl Serialize for PasswordHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for PasswordHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// A role in a namespace, or in all of them.
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// The role.
    pub role: Role,
    /// The namespace; all when absent.
    pub namespace: Option<Namespace>,
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} in namespace \"{namespace}\"", self.role),
            None => write!(f, "{} in all namespaces", self.role),
        }
    }
}

/// Who a user is to an identity provider.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// The provider's address.
    pub issuer: String,
    /// What it calls the user, which never changes.
    pub subject: String,
}

/// A user as a list shows it: never the password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UserInfo {
    /// The name.
    pub name: UserName,
    /// Roles, at most one for each namespace and one for all.
    pub grants: Vec<Grant>,
    /// Whether the user is kept out.
    pub is_disabled: bool,
    /// Whether the user can sign in with a password.
    pub has_password: bool,
    /// Who the user is elsewhere, for one who signs in there.
    pub identity: Option<Identity>,
    /// When it was added.
    pub created: Time,
}

/// Whose session it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Holder {
    /// Of a user.
    User(UserName),
    /// Of a token.
    Token {
        /// Its id.
        id: String,
        /// The SHA-256 of the whole token.
        hash: [u8; 32],
    },
}

impl Holder {
    /// Gives the name under which the holder makes changes, which is also how indexes and the audit
    /// log name the record.
    pub fn record(&self) -> String {
        match self {
            Self::User(name) => format!("user/{name}"),
            Self::Token { id, .. } => format!("token/{id}"),
        }
    }
}

/// A browser that was signed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Session {
    /// Whose it is.
    pub holder: Holder,
    /// When it began.
    pub begun: Time,
    /// When it was last noted that it is in use.
    pub seen: Time,
}

/// Who is behind a session, as of now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Behind {
    /// A user.
    User(UserInfo),
    /// A token.
    Token(TokenInfo),
}

/// A change to users and their sessions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum UserCommand {
    /// Adds a user.
    Add {
        /// The name.
        name: UserName,
        /// The hash of the password; none for whoever signs in elsewhere.
        #[serde(default)]
        password: Option<PasswordHash>,
        /// What the user may do.
        #[serde(default)]
        grants: Vec<Grant>,
        /// Who the user is elsewhere.
        #[serde(default)]
        identity: Option<Identity>,
    },
    /// Removes a user, and ends its sessions.
    Remove {
        /// The name.
        name: UserName,
    },
    /// Changes a user.
    Change {
        /// The name.
        name: UserName,
        /// What to change.
        change: UserChange,
    },
    /// Signs a browser in; only a server itself says this.
    BeginSession {
        /// The SHA-256 of what its cookie holds.
        id: [u8; 32],
        /// Whose session it is.
        holder: Holder,
    },
    /// Notes that a session is in use; only a server itself says this.
    SeeSession {
        /// The SHA-256 of what its cookie holds.
        id: [u8; 32],
    },
    /// Signs a browser out; only a server itself says this.
    EndSession {
        /// The SHA-256 of what its cookie holds.
        id: [u8; 32],
    },
}

impl UserCommand {
    /// Tells whether only a server itself says this, and no caller of it.
    pub fn is_own(&self) -> bool {
        match self {
            Self::Add { .. } | Self::Remove { .. } | Self::Change { .. } => false,
            Self::BeginSession { .. } | Self::SeeSession { .. } | Self::EndSession { .. } => true,
        }
    }
}

/// What to change of a user. Sessions that are open follow at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum UserChange {
    /// Gives a role in a namespace, in place of the one that the user has there.
    Grant(Grant),
    /// Takes away the role in a namespace, or the one for all.
    Ungrant {
        /// The namespace; none is the role for all.
        namespace: Option<Namespace>,
    },
    /// Replaces all roles.
    Grants(Vec<Grant>),
    /// Keeps the user out, and ends its sessions.
    Disable,
    /// Lets the user in again.
    Enable,
    /// Sets the password, and ends the user's sessions.
    Password(PasswordHash),
    /// Ends the user's sessions.
    SignOut,
}

/// A question about users.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum UserQuery {
    /// Users in name order. Answers [`UserAnswer::Users`].
    List(Page<UserName>),
    /// One user. Answers [`UserAnswer::User`].
    One(UserName),
    /// The hash of a user's password; only a server itself asks this. Answers
    /// [`UserAnswer::Password`].
    Password(UserName),
    /// The session whose cookie has this SHA-256; only a server itself asks this. Answers
    /// [`UserAnswer::Session`].
    Session([u8; 32]),
}

impl UserQuery {
    /// Tells whether only a server itself asks this, and no caller of it.
    pub fn is_own(&self) -> bool {
        match self {
            Self::List(_) | Self::One(_) => false,
            Self::Password(_) | Self::Session(_) => true,
        }
    }
}

/// The answer to a [`UserQuery`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UserAnswer {
    /// Users, one page.
    Users(Vec<UserInfo>),
    /// A user with its sessions, over or not, the oldest first.
    User(UserInfo, Vec<Session>),
    /// The hash, if there is such a user who has a password and is not kept out.
    Password(Option<PasswordHash>),
    /// The session with whoever is behind it, if there are both.
    Session(Option<(Session, Behind)>),
}

/// Checks and orders grants.
///
/// # Errors
/// [`Error::TooLarge`], or [`Error::BadInput`] for two roles in one namespace.
pub fn grants(mut grants: Vec<Grant>) -> Result<Vec<Grant>> {
    if grants.len() > limits::GRANTS_MAX {
        return Err(Error::too_large("number of grants", grants.len(), limits::GRANTS_MAX));
    }
    grants.sort_by(|one, other| one.namespace.cmp(&other.namespace));
    let twice = grants.windows(2).find_map(|pair| match pair {
        [one, other] if one.namespace == other.namespace => Some(other),
        _ => None,
    });
    match twice {
        None => Ok(grants),
        Some(grant) => Err(Error::bad_input(format!(
            "two roles were given for one place ({grant}); the higher one holds all of the lower"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQxMjM$\
                        kR2xZPBpFqS8yq5dR8bB0V2y7qk1bX3mJp0y2R6Yc1A";

    #[test]
    fn names_are_what_people_can_type() {
        for name in ["ann", "ann@example.org", "Ångström, Ann", "a/b"] {
            assert_eq!(UserName::new(name).unwrap().as_str(), name);
        }
        for name in ["", " ann", "ann ", "a\nb", "a\0"] {
            assert!(UserName::new(name).is_err(), "{name:?}");
        }
        assert!(UserName::new("a".repeat(limits::USER_NAME_BYTES_MAX + 1)).is_err());
    }

    #[test]
    fn a_hash_that_costs_too_much_is_none() {
        let hash = PasswordHash::new(HASH).unwrap();
        assert_eq!(format!("{hash:?}"), "(hidden)");
        let wrong = [
            "",
            "secret",
            "$argon2i$v=19$m=19456,t=2,p=1$c29tZXNhbHQxMjM$kR2xZPBpFqS8yq5d",
            "$argon2id$v=16$m=19456,t=2,p=1$c29tZXNhbHQxMjM$kR2xZPBpFqS8yq5d",
            "$argon2id$v=19$m=4194304,t=2,p=1$c29tZXNhbHQxMjM$kR2xZPBpFqS8yq5d",
            "$argon2id$v=19$m=19456,t=4000,p=1$c29tZXNhbHQxMjM$kR2xZPBpFqS8yq5d",
            "$argon2id$v=19$m=19456,t=2,p=1,keyid=x$c29tZXNhbHQxMjM$kR2xZPBpFqS8yq5d",
            "$argon2id$v=19$m=19456,t=2,p=1$$",
            "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQxMjM$kR2xZPBpFqS8yq5d$",
        ];
        for text in wrong {
            assert!(PasswordHash::new(text).is_err(), "{text}");
        }
    }

    #[test]
    fn there_is_one_role_for_each_place() {
        let grant = |role, name: Option<&str>| Grant {
            role,
            namespace: name.map(|name| Namespace::new(name).unwrap()),
        };
        let (shop, all) = (grant(Role::View, Some("shop")), grant(Role::Admin, None));
        assert_eq!(grants(vec![shop.clone(), all.clone()]), Ok(vec![all, shop.clone()]));
        assert!(grants(vec![shop, grant(Role::Author, Some("shop"))]).is_err());
        let many = (0..=limits::GRANTS_MAX).map(|n| grant(Role::View, Some(&n.to_string())));
        assert!(matches!(grants(many.collect()), Err(Error::TooLarge { .. })));
    }
}
