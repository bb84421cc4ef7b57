//! The JSON Schema of documents, for editors.

use schemars::generate::SchemaSettings;
use serde_json::Value as Json;

use crate::document::Document;

/// Gives the JSON Schema of documents.
///
/// It says what a document looks like; what must hold between its parts, only
/// [`Definition::parse`](crate::Definition::parse) knows.
pub fn schema() -> Json {
    let schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Document>();
    let mut json = schema.to_value();
    if let Some(map) = json.as_object_mut() {
        map.insert("title".to_owned(), "Lockstep workflow".into());
    }
    json
}
