//! Blobs.

use model::BlobInfo;
use schemars::JsonSchema;
use serde::Serialize;

/// Blobs of a namespace.
#[derive(Serialize, JsonSchema)]
pub(crate) struct BlobList {
    /// The blobs, in the order of their ids.
    pub(crate) blobs: Vec<BlobInfo>,
}

/// The content of a blob, as it is.
#[derive(JsonSchema)]
#[schemars(extend("format" = "binary"))]
pub(crate) struct BlobContent(#[expect(dead_code, reason = "it only has a schema")] String);
