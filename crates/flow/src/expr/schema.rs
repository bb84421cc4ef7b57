//! JSON Schemas.

use serde_json::Value as Json;

/// Gives `true` if a value fits a schema, or why it does not.
pub(super) fn validate(schema: &Json, value: &Json) -> Result<Json, String> {
    let validator = build(schema)?;
    match validator.iter_errors(value).next() {
        None => Ok(true.into()),
        Some(error) => {
            let place = error.instance_path().to_string();
            let place = if place.is_empty() { "the value".to_owned() } else { place };
            let text: String = error.to_string().chars().take(500).collect();
            Err(format!("{place}: {text}"))
        }
    }
}

/// Gives what is wrong with a schema itself.
pub(crate) fn check(schema: &Json) -> Option<String> {
    build(schema).err()
}

fn build(schema: &Json) -> Result<jsonschema::Validator, String> {
    jsonschema::validator_for(schema).map_err(|error| error.to_string().chars().take(500).collect())
}
