//! Roles: names for sets of scopes, so that people need not list them.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Error, Resource, Result, Scope, Verb};

/// What a user is in a namespace. Each role may do all that the ones before it may.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Looks at the work.
    View,
    /// Keeps it going: units, attempts, workers, instances, events, mail, and how specs are
    /// scheduled.
    Operate,
    /// Says what the work is: specs and definitions.
    Author,
    /// Does everything, and says who may do what.
    Admin,
}

impl Role {
    /// All roles, from the one that may do the least.
    pub const ALL: [Self; 4] = [Self::View, Self::Operate, Self::Author, Self::Admin];

    /// Gives the lower-case word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Operate => "operate",
            Self::Author => "author",
            Self::Admin => "admin",
        }
    }

    /// Reads the lower-case word.
    ///
    /// # Errors
    /// [`Error::BadInput`] for any other.
    pub fn parse(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or_else(|| {
            Error::bad_input(format!("unknown role {text:?}: use view, operate, author or admin"))
        })
    }

    /// Gives the scopes that the role is a name for.
    pub fn scopes(self) -> Vec<Scope> {
        let verbs = [Verb::Read, Verb::Write].into_iter();
        let all = verbs.flat_map(|verb| Resource::ALL.map(|resource| (verb, resource)));
        all.filter(|(verb, resource)| Self::least(*verb, *resource) <= self)
            .map(|(verb, resource)| Scope { verb: Some(verb), resource: Some(resource) })
            .collect()
    }

    /// Gives the first role that may do this; of each new resource it has to be decided here.
    fn least(verb: Verb, resource: Resource) -> Self {
        let (read, write) = match resource {
            Resource::Control
            | Resource::Unit
            | Resource::Attempt
            | Resource::Worker
            | Resource::Lock
            | Resource::Instance
            | Resource::Event
            | Resource::Mail
            | Resource::Blob => (Self::View, Self::Operate),
            Resource::Spec | Resource::Definition => (Self::View, Self::Author),
            Resource::Namespace | Resource::Secret | Resource::Server => (Self::View, Self::Admin),
            Resource::Audit | Resource::User | Resource::Token => (Self::Admin, Self::Admin),
        };
        match verb {
            Verb::Read => read,
            Verb::Write => write,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes down what each role adds to the one before it, for people to compare with the book.
    #[test]
    fn each_role_is_the_scopes_that_the_book_says() {
        let mut before: Vec<Scope> = Vec::new();
        let mut added = Vec::new();
        for role in Role::ALL {
            let scopes = role.scopes();
            assert!(before.iter().all(|scope| scopes.contains(scope)), "{role} may do less");
            let new = scopes.iter().filter(|scope| !before.contains(scope));
            added.push(new.map(ToString::to_string).collect::<Vec<_>>().join(" "));
            before = scopes;
        }
        let expected = [
            "read:namespace read:spec read:control read:unit read:attempt read:worker read:lock \
             read:definition read:instance read:event read:mail read:blob read:secret read:server",
            "write:control write:unit write:attempt write:worker write:lock write:instance \
             write:event write:mail write:blob",
            "write:spec write:definition",
            "read:audit read:user read:token write:namespace write:secret write:audit write:user \
             write:token write:server",
        ];
        assert_eq!(added, expected);
    }

    #[test]
    fn roles_are_read_as_they_are_written() {
        for role in Role::ALL {
            assert_eq!(Role::parse(role.as_str()), Ok(role));
        }
        assert!(Role::parse("root").unwrap_err().to_string().contains("operate"));
    }
}
