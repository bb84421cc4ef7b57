//! What a part of the demo has shown, beside the work queue itself.

use serde_json::Value;

/// What a part of the demo has shown.
pub(super) struct Scene {
    /// Its name, which is its key in the JSON of the summary.
    pub(super) name: &'static str,
    /// What it is called in the summary.
    pub(super) title: &'static str,
    /// What is not as it has to be.
    pub(super) differences: Vec<String>,
    /// Its figures.
    pub(super) json: Value,
    /// Its figures for people.
    pub(super) text: String,
}
