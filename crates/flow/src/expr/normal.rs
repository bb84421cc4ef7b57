//! One form for each number, so that it does not matter who computed it.

use serde_json::Value as Json;

/// Writes numbers without a fraction as whole numbers, as documents have them.
pub(crate) fn normal(value: Json) -> Json {
    match value {
        Json::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 9e15 => {
                #[expect(clippy::cast_possible_truncation, reason = "the guard saw to it")]
                let whole = float as i64;
                whole.into()
            }
            _ => Json::Number(number),
        },
        Json::Array(items) => items.into_iter().map(normal).collect(),
        Json::Object(map) => map.into_iter().map(|(key, value)| (key, normal(value))).collect(),
        scalar @ (Json::Null | Json::Bool(_) | Json::String(_)) => scalar,
    }
}
