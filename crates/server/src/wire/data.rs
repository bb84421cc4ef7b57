//! Data dictionaries and times on the wire.

use std::borrow::Cow;

use model::{Data, Time, data_from_json, data_to_json};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A data dictionary: a JSON object, or a string of base64 CBOR.
#[derive(Clone, Debug)]
pub(crate) struct WireData(pub(crate) Data);

impl Serialize for WireData {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        data_to_json(&self.0).serialize(serializer)
    }
}

impl JsonSchema for WireData {
    fn schema_name() -> Cow<'static, str> {
        "Data".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A data dictionary: an object, or the padded base64 of a CBOR map \
                where JSON would lose a type.",
            "anyOf": [
                {"type": "object", "additionalProperties": true},
                {"type": "string", "contentEncoding": "base64"},
            ],
        })
    }
}

/// A data dictionary as a client sent it, not looked at yet.
#[derive(Deserialize)]
#[serde(transparent)]
pub(crate) struct SentData(serde_json::Value);

impl SentData {
    /// Reads the dictionary within its limits.
    pub(crate) fn into_model(self) -> model::Result<Data> {
        data_from_json(&self.0)
    }
}

impl JsonSchema for SentData {
    fn schema_name() -> Cow<'static, str> {
        WireData::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        WireData::json_schema(generator)
    }
}

/// A time, or the ancestor's zero time for none.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct WireTime(pub(crate) Option<Time>);

impl Serialize for WireTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(time) => serializer.collect_str(&time),
            None => serializer.serialize_str(&Time::to_wire(None)),
        }
    }
}

impl<'de> Deserialize<'de> for WireTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Option::<Cow<'de, str>>::deserialize(deserializer)?.unwrap_or_default();
        Time::from_wire(&text).map(Self).map_err(de::Error::custom)
    }
}

impl JsonSchema for WireTime {
    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A time; 0001-01-01T00:00:00Z says that there is none.",
            "type": "string",
            "format": "date-time",
        })
    }
}
