//! Secrets.

use model::SecretInfo;
use schemars::JsonSchema;
use serde::Serialize;

/// Secrets of a namespace, without their values.
#[derive(Serialize, JsonSchema)]
pub(crate) struct SecretList {
    /// The secrets, in name order.
    pub(crate) secrets: Vec<SecretInfo>,
}

/// The value of a secret, as it is: text in UTF-8.
#[derive(JsonSchema)]
#[schemars(extend("writeOnly" = true))]
pub(crate) struct SecretContent(#[expect(dead_code, reason = "it only has a schema")] String);
