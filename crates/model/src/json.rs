//! Data dictionaries as JSON.
//!
//! A dictionary is written as an object where JSON can say it, and otherwise as a string that holds
//! the padded base64 of its CBOR; both are read.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Number, Value};

use crate::{Data, Datum, Dict, Error, Result, limits};

/// Reads a dictionary from an object or from a string of base64 CBOR; null is empty.
pub fn data_from_json(value: &Value) -> Result<Data> {
    match value {
        Value::Null => Ok(Data::default()),
        Value::Object(object) if object.is_empty() => Ok(Data::default()),
        Value::Object(object) => {
            let mut keys = 0;
            check_keys(object, &mut keys)?;
            let mut dict = Dict::new();
            for (key, value) in object {
                dict.insert(key.clone(), convert(value, 1, &mut keys)?);
            }
            Data::from_dict(&dict)
        }
        Value::String(text) => {
            let bytes = STANDARD
                .decode(text)
                .map_err(|_| Error::bad_input("data is a string but not base64"))?;
            Data::from_cbor(&bytes)
        }
        Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
            Err(Error::bad_input("data must be an object or a string of base64 CBOR"))
        }
    }
}

/// Reads any JSON value.
pub fn datum_from_json(value: &Value) -> Result<Datum> {
    convert(value, 0, &mut 0)
}

fn convert(value: &Value, depth: usize, keys: &mut usize) -> Result<Datum> {
    if depth > limits::DEPTH_MAX {
        return Err(Error::too_large("JSON nesting", depth, limits::DEPTH_MAX));
    }
    Ok(match value {
        Value::Null => Datum::Null,
        Value::Bool(value) => Datum::Bool(*value),
        Value::Number(number) => number_from_json(number),
        Value::String(text) if text.len() > limits::STRING_BYTES_MAX => {
            let size = text.len();
            return Err(Error::too_large("string in bytes", size, limits::STRING_BYTES_MAX));
        }
        Value::String(text) => Datum::Text(text.clone()),
        Value::Array(items) => Datum::List(
            items.iter().map(|item| convert(item, depth + 1, keys)).collect::<Result<_>>()?,
        ),
        Value::Object(object) => {
            check_keys(object, keys)?;
            let pair = |(key, value): (&String, &Value), keys: &mut usize| {
                Ok((Datum::Text(key.clone()), convert(value, depth + 1, keys)?))
            };
            Datum::Map(object.iter().map(|entry| pair(entry, keys)).collect::<Result<_>>()?)
        }
    })
}

/// Counts keys and measures them: whatever is taken here must also be taken as CBOR later.
fn check_keys(object: &Map<String, Value>, keys: &mut usize) -> Result<()> {
    *keys += object.len();
    if *keys > limits::KEYS_MAX {
        return Err(Error::too_large("JSON keys", *keys, limits::KEYS_MAX));
    }
    match object.keys().map(String::len).max() {
        Some(size) if size > limits::STRING_BYTES_MAX => {
            Err(Error::too_large("key in bytes", size, limits::STRING_BYTES_MAX))
        }
        _ => Ok(()),
    }
}

fn number_from_json(number: &Number) -> Datum {
    match (number.as_u64(), number.as_i64(), number.as_f64()) {
        (Some(value), _, _) => Datum::Int(i128::from(value)),
        (_, Some(value), _) => Datum::Int(i128::from(value)),
        (_, _, Some(value)) => Datum::Float(value),
        _ => Datum::Null,
    }
}

/// Writes a dictionary as an object, or as base64 CBOR where JSON would lose a type.
pub fn data_to_json(data: &Data) -> Value {
    if data.is_empty() {
        return Value::Object(Map::new());
    }
    data.dict()
        .ok()
        .and_then(|dict| {
            let entry = |(key, value): (&String, &Datum)| Some((key.clone(), plain(value)?));
            dict.iter().map(entry).collect::<Option<Map<_, _>>>()
        })
        .map_or_else(|| Value::String(STANDARD.encode(data.as_cbor())), Value::Object)
}

/// Writes a value as JSON if JSON can keep its type.
fn plain(datum: &Datum) -> Option<Value> {
    Some(match datum {
        Datum::Null => Value::Null,
        Datum::Bool(value) => Value::Bool(*value),
        Datum::Int(value) => match (u64::try_from(*value), i64::try_from(*value)) {
            (Ok(value), _) => Value::from(value),
            (_, Ok(value)) => Value::from(value),
            _ => return None,
        },
        Datum::Float(value) => Value::Number(Number::from_f64(*value)?),
        Datum::Text(value) => Value::String(value.clone()),
        Datum::List(items) => Value::Array(items.iter().map(plain).collect::<Option<_>>()?),
        Datum::Map(pairs) => {
            let entry = |(key, value): &(Datum, Datum)| match key {
                Datum::Text(key) => Some((key.clone(), plain(value)?)),
                _ => None,
            };
            Value::Object(pairs.iter().map(entry).collect::<Option<_>>()?)
        }
        Datum::Bytes(_) | Datum::Tuple(_) | Datum::Uuid(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(dict: Dict, wire: Value) {
        let data = Data::from_dict(&dict).unwrap();
        assert_eq!(data_to_json(&data), wire);
        assert_eq!(data_from_json(&wire).unwrap(), data);
    }

    #[test]
    fn dictionaries_travel_as_json_or_base64() {
        check(Dict::new(), json!({}));
        check(Dict::from([("key".into(), Datum::Text("value".into()))]), json!({"key": "value"}));
        check(Dict::from([("key".into(), Datum::Tuple(vec![]))]), json!("oWNrZXnYgIA="));
        check(
            Dict::from([("a".into(), Datum::Int(1)), ("b".into(), Datum::Float(1.0))]),
            json!({"a": 1, "b": 1.0}),
        );
        let bytes = Dict::from([("key".into(), Datum::Bytes(vec![0]))]);
        check(bytes, json!("oWNrZXlBAA=="));
    }

    #[test]
    fn deep_json_is_refused() {
        let mut value = json!(1);
        for _ in 0..70 {
            value = json!([value]);
        }
        assert!(matches!(data_from_json(&json!({"a": value})), Err(Error::TooLarge { .. })));
    }

    #[test]
    fn many_and_long_keys_are_refused() {
        let many: Map<_, _> = (0..=limits::KEYS_MAX).map(|n| (n.to_string(), json!(1))).collect();
        let long = json!({"k".repeat(limits::STRING_BYTES_MAX + 1): 1});
        for object in [Value::Object(many), long] {
            assert!(matches!(data_from_json(&json!({"a": object})), Err(Error::TooLarge { .. })));
            assert!(matches!(data_from_json(&object), Err(Error::TooLarge { .. })));
        }
    }
}
