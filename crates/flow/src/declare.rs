//! Declarations of mappings and words, from which their types, reading, writing and JSON Schema
//! follow.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value as Json;

use crate::shape::Shape;

/// Declares a mapping of the document once: its type, how it is read and written, its JSON Schema.
///
/// A field is `name: Type = "key"`, or `name: Type = "key" or default`. After the fields may stand
/// `unsupported [keys]` for keys that are refused by name, and `check function` for what must hold
/// between keys; the function gets the value, the node and the reader, and notes what is wrong.
macro_rules! object {
    (
        $(#[doc = $doc:literal])*
        $name:ident {
            $($(#[doc = $fdoc:literal])* $field:ident: $ty:ty = $key:literal $(or $default:expr)?,)*
        }
        $(unsupported [$($unsupported:literal),*])?
        $(check $check:expr)?
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize)]
        pub struct $name {
            $(
                $(#[doc = $fdoc])*
                #[serde(rename = $key, skip_serializing_if = "crate::shape::Shape::is_absent")]
                pub $field: $ty,
            )*
        }

        impl crate::shape::Object for $name {
            const KEYS: &[&str] = &[$($key),*];
            const UNSUPPORTED: &[&str] = &[$($($unsupported),*)?];

            fn fields(
                node: &crate::node::Node,
                reader: &mut crate::shape::Reader,
            ) -> Option<Self> {
                $(
                    let default = crate::shape::first([$($default)?]);
                    let $field = reader.field::<$ty>(node, $key, default);
                )*
                let object = Self { $($field: $field?,)* };
                $({
                    let check: fn(&Self, &crate::node::Node, &mut crate::shape::Reader) = $check;
                    check(&object, node, reader);
                })?
                Some(object)
            }

            fn properties(
                schema: &mut crate::shape::Properties,
                generator: &mut schemars::SchemaGenerator,
            ) {
                $({
                    let default: Option<$ty> = crate::shape::first([$($default)?]);
                    let default = default.and_then(|value| serde_json::to_value(value).ok());
                    schema.add::<$ty>(generator, $key, concat!($($fdoc),*), default);
                })*
            }
        }

        impl crate::shape::Shape for $name {
            fn read(
                node: &crate::node::Node,
                reader: &mut crate::shape::Reader,
            ) -> Option<Self> {
                reader.object(node)
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let mut schema = crate::shape::Properties::default();
                <Self as crate::shape::Object>::properties(&mut schema, generator);
                schema.finish(concat!($($doc),*))
            }
        }
    };
}

/// Declares a text that is one of a few.
macro_rules! choice {
    ($(#[doc = $doc:literal])* $name:ident {
        $($(#[doc = $vdoc:literal])* $variant:ident = $text:literal,)*
    } $(unsupported [$($unsupported:literal),*])?) => {
        $(#[doc = $doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize,
            schemars::JsonSchema,
        )]
        pub enum $name {
            $($(#[doc = $vdoc])* #[serde(rename = $text)] $variant,)*
        }

        impl crate::shape::Shape for $name {
            fn read(
                node: &crate::node::Node,
                reader: &mut crate::shape::Reader,
            ) -> Option<Self> {
                let unsupported: &[&str] = &[$($($unsupported),*)?];
                let known = &[$($text),*];
                match reader.word(node, known, unsupported)?.as_str() {
                    $($text => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

pub(crate) use {choice, object};

/// A JSON Schema of a mapping in the making.
#[derive(Default)]
pub(crate) struct Properties {
    properties: serde_json::Map<String, Json>,
    required: Vec<Json>,
}

impl Properties {
    /// Adds a key.
    pub(crate) fn add<T: Shape + JsonSchema>(
        &mut self,
        generator: &mut SchemaGenerator,
        key: &str,
        doc: &str,
        default: Option<Json>,
    ) {
        let mut schema = generator.subschema_for::<T>();
        schema.insert("description".to_owned(), doc.trim().into());
        match default {
            Some(default) => {
                schema.insert("default".to_owned(), default);
            }
            None if T::OPTIONAL => {}
            None => self.required.push(key.into()),
        }
        self.properties.insert(key.to_owned(), schema.to_value());
    }

    /// Adds a key that must have one text.
    pub(crate) fn constant(&mut self, key: &str, text: &str) {
        self.properties.insert(key.to_owned(), serde_json::json!({"const": text}));
        self.required.push(key.into());
    }

    /// Adds a key that must have a text other than these.
    pub(crate) fn other_than(&mut self, key: &str, texts: &[&str]) {
        let schema = serde_json::json!({"type": "string", "not": {"enum": texts}});
        self.properties.insert(key.to_owned(), schema);
        self.required.push(key.into());
    }

    /// Gives the whole schema.
    pub(crate) fn finish(self, doc: &str) -> Schema {
        let Self { properties, required } = self;
        let mut schema = json_schema!({
            "type": "object",
            "description": doc.trim(),
            "properties": properties,
            "additionalProperties": false,
        });
        if !required.is_empty() {
            schema.insert("required".to_owned(), required.into());
        }
        schema
    }
}
