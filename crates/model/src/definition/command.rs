//! What changes workflow definitions.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Revision;

/// A change to workflow definitions: each but the changes to drafts is a run of the pipeline.
///
/// The commands of one write are a bundle: one transaction, one epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum DefinitionCommand {
    /// Publishes a document. Answers [`crate::Reply::Definition`].
    Publish(Publish),
    /// Makes a definition start nothing more. Answers [`crate::Reply::Definition`].
    Retract {
        /// Its name.
        name: String,
        /// The revision that the caller saw; absent is any.
        #[serde(default)]
        base: Option<Revision>,
        /// What becomes of running instances.
        #[serde(default)]
        running: Running,
        /// How it is asked for.
        #[serde(default)]
        terms: Terms,
    },
    /// Retracts a definition and hides its name. Answers [`crate::Reply::Definition`].
    Delete {
        /// Its name.
        name: String,
        /// The revision that the caller saw; absent is any.
        #[serde(default)]
        base: Option<Revision>,
        /// What becomes of running instances.
        #[serde(default)]
        running: Running,
        /// How it is asked for.
        #[serde(default)]
        terms: Terms,
    },
    /// Removes a version that is not published. Answers [`crate::Reply::Definition`].
    DeleteVersion {
        /// The definition.
        name: String,
        /// The version.
        version: String,
        /// How it is asked for.
        #[serde(default)]
        terms: Terms,
    },
    /// Publishes a version that was published before. Answers [`crate::Reply::Definition`].
    Rollback {
        /// The definition.
        name: String,
        /// The version.
        version: String,
        /// The revision that the caller saw; absent is any.
        #[serde(default)]
        base: Option<Revision>,
        /// How it is asked for.
        #[serde(default)]
        terms: Terms,
    },
    /// Keeps a document that need not be right yet. Answers [`crate::Reply::Done`].
    SaveDraft {
        /// The definition.
        name: String,
        /// The document, in YAML or JSON.
        source: String,
    },
    /// Forgets a draft. Answers [`crate::Reply::Done`].
    DeleteDraft {
        /// The definition.
        name: String,
    },
}

/// A document to publish.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Publish {
    /// The document, in YAML or JSON; its namespace must be the one of the write.
    pub source: String,
    /// The revision of the definition that the caller saw, 0 for none; absent is any.
    #[serde(default)]
    pub base: Option<Revision>,
    /// How it is asked for.
    #[serde(default)]
    pub terms: Terms,
}

/// How a run of the pipeline is asked for; of a bundle, the furthest goal counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Terms {
    /// When to answer.
    pub until: Until,
    /// Who asks; a server says here whose token it was.
    pub actor: String,
}

/// How far a run of the pipeline has to be before it is answered, for at most
/// [`crate::limits::PUBLISH_WAIT_MAX`]; it goes on by itself.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Until {
    /// The change is durable; another node may still answer from before it.
    Committed,
    /// No node answers a request that arrives from now on from before the change.
    #[default]
    Effective,
    /// What follows from the change is done, too.
    Settled,
}

impl DefinitionCommand {
    /// Gives the definition that it is about; of a document that is in the document.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Publish(_) => None,
            Self::Retract { name, .. }
            | Self::Delete { name, .. }
            | Self::DeleteVersion { name, .. }
            | Self::Rollback { name, .. }
            | Self::SaveDraft { name, .. }
            | Self::DeleteDraft { name } => Some(name),
        }
    }

    /// Gives how it is asked for; none of what is no run of the pipeline.
    pub fn terms(&self) -> Option<&Terms> {
        match self {
            Self::Publish(Publish { terms, .. })
            | Self::Retract { terms, .. }
            | Self::Delete { terms, .. }
            | Self::DeleteVersion { terms, .. }
            | Self::Rollback { terms, .. } => Some(terms),
            Self::SaveDraft { .. } | Self::DeleteDraft { .. } => None,
        }
    }

    /// Gives how it is asked for, to say who asks.
    pub fn terms_mut(&mut self) -> Option<&mut Terms> {
        match self {
            Self::Publish(Publish { terms, .. })
            | Self::Retract { terms, .. }
            | Self::Delete { terms, .. }
            | Self::DeleteVersion { terms, .. }
            | Self::Rollback { terms, .. } => Some(terms),
            Self::SaveDraft { .. } | Self::DeleteDraft { .. } => None,
        }
    }
}

/// What becomes of the running instances of a definition that is retracted or deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Running {
    /// They go on as they are.
    #[default]
    Keep,
    /// They are paused.
    Pause,
    /// They are cancelled.
    Cancel,
}
