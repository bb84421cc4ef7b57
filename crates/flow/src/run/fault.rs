//! Errors of running workflows, in the form of RFC 9457.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

/// What all standard types of errors begin with.
const STANDARD: &str = "https://serverlessworkflow.io/spec/1.0.0/errors/";

/// An error as documents see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// The URI that says what kind of error it is.
    #[serde(rename = "type")]
    pub kind: String,
    /// The HTTP status that fits best.
    pub status: u16,
    /// The kind in a few words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What happened this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The task in which it happened, as a JSON pointer into the definition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
}

/// The standard types of errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standard {
    /// The definition, or what it was started with, cannot be used.
    Configuration,
    /// Data does not match its schema.
    Validation,
    /// An expression failed.
    Expression,
    /// Who calls is not known.
    Authentication,
    /// Who calls may not do it.
    Authorization,
    /// Something took too long.
    Timeout,
    /// What was called did not answer, or answered with an error.
    Communication,
    /// Something went wrong while running.
    Runtime,
}

impl Standard {
    /// Gives the URI of the type.
    pub fn uri(self) -> String {
        let word = match self {
            Self::Configuration => "configuration",
            Self::Validation => "validation",
            Self::Expression => "expression",
            Self::Authentication => "authentication",
            Self::Authorization => "authorization",
            Self::Timeout => "timeout",
            Self::Communication => "communication",
            Self::Runtime => "runtime",
        };
        format!("{STANDARD}{word}")
    }

    /// Gives the status that goes with the type.
    pub fn status(self) -> u16 {
        match self {
            Self::Configuration | Self::Validation | Self::Expression => 400,
            Self::Authentication => 401,
            Self::Authorization => 403,
            Self::Timeout => 408,
            Self::Communication | Self::Runtime => 500,
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Configuration => "The definition cannot be used",
            Self::Validation => "Data does not match its schema",
            Self::Expression => "An expression failed",
            Self::Authentication => "The caller is not known",
            Self::Authorization => "The caller may not do this",
            Self::Timeout => "It took too long",
            Self::Communication => "A call failed",
            Self::Runtime => "A task failed",
        }
    }
}

impl Fault {
    /// Makes an error of a standard type.
    pub fn standard(kind: Standard, detail: impl Into<String>) -> Self {
        Self {
            kind: kind.uri(),
            status: kind.status(),
            title: Some(kind.title().to_owned()),
            detail: Some(detail.into()),
            instance: None,
        }
    }

    /// Makes an error of a call that was answered with an HTTP status.
    pub fn answered(status: u16, detail: impl Into<String>) -> Self {
        Self { status, ..Self::standard(Standard::Communication, detail) }
    }

    /// Says in which task it happened, unless that is known.
    #[must_use]
    pub fn within(mut self, task: &str) -> Self {
        self.instance.get_or_insert_with(|| task.to_owned());
        self
    }

    /// Gives the error as expressions see it.
    pub fn to_json(&self) -> Json {
        let mut map = Map::new();
        map.insert("type".to_owned(), self.kind.clone().into());
        map.insert("status".to_owned(), self.status.into());
        let texts =
            [("title", &self.title), ("detail", &self.detail), ("instance", &self.instance)];
        for (key, text) in texts {
            if let Some(text) = text {
                map.insert(key.to_owned(), text.clone().into());
            }
        }
        Json::Object(map)
    }
}
