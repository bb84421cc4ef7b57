//! Definitions and what is done to them, as bodies and lists of the API.

use model::{
    CatalogChange, Definition, DefinitionCommand, Publish, Published, Revision, Run, Running,
    Trigger, Until, Version,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Documents to publish, as one change.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ToPublish {
    /// The documents.
    pub(crate) documents: Vec<Publish>,
    /// When to answer: `committed`, `effective` or `settled`.
    #[serde(default)]
    pub(crate) until: Until,
}

/// Changes to make as one.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ToBundle {
    /// The changes; drafts are none.
    pub(crate) commands: Vec<DefinitionCommand>,
}

/// How to retract or delete a definition.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Withdraw {
    /// The revision that the caller saw; absent is any.
    #[serde(default)]
    pub(crate) base: Option<Revision>,
    /// What becomes of running instances.
    #[serde(default)]
    pub(crate) running: Running,
    /// When to answer.
    #[serde(default)]
    pub(crate) until: Until,
}

/// Which version to publish again.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RollBack {
    /// The version.
    pub(crate) version: String,
    /// The revision that the caller saw; absent is any.
    #[serde(default)]
    pub(crate) base: Option<Revision>,
    /// When to answer.
    #[serde(default)]
    pub(crate) until: Until,
}

/// The text of a draft.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Draft {
    /// The text.
    pub(crate) source: String,
}

/// Makes the list of one kind of thing.
macro_rules! list {
    ($(#[doc = $doc:literal])* $name:ident { $field:ident: $of:ty }) => {
        $(#[doc = $doc])*
        #[derive(Serialize, JsonSchema)]
        pub(crate) struct $name {
            /// The things.
            pub(crate) $field: Vec<$of>,
        }
    };
}

list! {
    /// What became of definitions, in the order asked.
    PublishedList { published: Published }
}
list! {
    /// Definitions in name order.
    DefinitionList { definitions: Definition }
}
list! {
    /// Versions without their texts, newest first.
    VersionList { versions: Version }
}
list! {
    /// Triggers in name order.
    TriggerList { triggers: Trigger }
}
list! {
    /// Runs of the pipeline without their stages, newest first.
    RunList { runs: Run }
}
list! {
    /// Changes to the catalog, oldest first.
    ChangeList { changes: CatalogChange }
}
list! {
    /// What breaks the invariants; nothing if all is well.
    AuditList { findings: String }
}
