//! Small values: names, versions, durations, zones, lists of named things, references.

use std::fmt;

use jiff::tz::TimeZone;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::{
    limits,
    node::{Entry, Node, Value},
    problem::{Code, Step},
    shape::{Reader, SchemaName, Shape, suggest},
};

macro_rules! text_type {
    ($(#[doc = $doc:literal])* $name:ident, $pattern:literal) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Borrows the text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> SchemaName {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "type": "string",
                    "pattern": $pattern,
                    "description": concat!($($doc),*).trim(),
                })
            }
        }
    };
}

text_type!(
    /// A name as host names have them: letters, digits and inner hyphens, at most 63.
    Label, "^[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$"
);
text_type!(
    /// The name of something in the document.
    Name, "^\\S(.*\\S)?$"
);
text_type!(
    /// The name of a variable of expressions, without its dollar sign.
    Variable, "^[a-zA-Z_][a-zA-Z0-9_]*$"
);
text_type!(
    /// A semantic version, such as 1.0.0.
    Version,
    "^(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)(-[0-9A-Za-z.-]+)?(\\+[0-9A-Za-z.-]+)?$"
);
text_type!(
    /// The version of the Open Workflow Specification that the document is written for, 1.0.x.
    Dsl, "^1\\.0\\.(0|[1-9][0-9]*)(-[0-9A-Za-z.-]+)?$"
);
text_type!(
    /// A time zone of the IANA database, such as Europe/Paris.
    Zone, "^[A-Za-z0-9_+/-]+$"
);

impl Variable {
    /// Gives the name of a variable that the program chooses.
    pub(crate) fn known(name: &'static str) -> Self {
        Self(name.to_owned())
    }
}

impl Shape for Label {
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        let text = String::read(node, reader)?;
        let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        let hyphen = text.starts_with('-') || text.ends_with('-');
        if plain && !hyphen && (1..=63).contains(&text.len()) {
            return Some(Self(text));
        }
        let message = format!("{text:?} is not a name of 1 to 63 letters, digits and hyphens");
        reader.note(node.at, Code::BadName, message, "begin and end it with a letter or digit");
        None
    }
}

impl Shape for Name {
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        let text = String::read(node, reader)?;
        check_name(&text, node.at, reader).then_some(Self(text))
    }
}

/// Checks the name of a task, or of anything else in a document.
fn check_name(text: &str, at: crate::problem::Pos, reader: &mut Reader) -> bool {
    let good = !text.is_empty()
        && text.len() <= limits::NAME_BYTES_MAX
        && text.trim() == text
        && !text.chars().any(char::is_control);
    if !good {
        let max = limits::NAME_BYTES_MAX;
        let message =
            format!("{text:?} is not a name of 1 to {max} bytes without spaces at its ends");
        reader.note(at, Code::BadName, message, "choose another name");
    }
    good
}

impl Shape for Variable {
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        let text = String::read(node, reader)?;
        let word = text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let digit = text.starts_with(|c: char| c.is_ascii_digit());
        if word && !digit && (1..=limits::NAME_BYTES_MAX).contains(&text.len()) {
            return Some(Self(text));
        }
        let message = format!("{text:?} cannot be the name of a variable");
        let hint = "use letters, digits and underscores, and no dollar sign";
        reader.note(node.at, Code::BadName, message, hint);
        None
    }
}

impl Shape for Version {
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        if matches!(node.value, Value::Number(_)) {
            let message = "the version must be text, and is a number";
            reader.note(node.at, Code::WrongType, message, "put it in quotes: '1.0.0'");
            return None;
        }
        let text = String::read(node, reader)?;
        if is_version(&text) {
            return Some(Self(text));
        }
        let message = format!("{text:?} is not a semantic version");
        reader.note(node.at, Code::BadVersion, message, "write three numbers, such as 1.0.0");
        None
    }
}

impl Shape for Dsl {
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        let Version(text) = Version::read(node, reader)?;
        if text.starts_with("1.0.") {
            return Some(Self(text));
        }
        let message = format!("version {text} of the format is not read here, 1.0.x is");
        reader.note(node.at, Code::BadDsl, message, "write the document for 1.0.3");
        None
    }
}

fn is_version(text: &str) -> bool {
    let (text, build) = text.split_once('+').map_or((text, None), |(a, b)| (a, Some(b)));
    let (core, pre) = text.split_once('-').map_or((text, None), |(a, b)| (a, Some(b)));
    let number = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_digit())
            && (part == "0" || !part.starts_with('0'))
    };
    let word = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    core.split('.').count() == 3
        && core.split('.').all(number)
        && pre.is_none_or(|pre| pre.split('.').all(|p| word(p) && (!digits(p) || number(p))))
        && build.is_none_or(|build| build.split('.').all(word))
}

impl Shape for Zone {
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        let text = String::read(node, reader)?;
        match TimeZone::get(&text) {
            // The database finds names in any case; one spelling is kept.
            Ok(zone) => Some(Self(zone.iana_name().unwrap_or(&text).to_owned())),
            Err(_) => {
                let names: Vec<String> =
                    jiff::tz::db().available().map(|name| name.to_string()).collect();
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                let mut hint = suggest(&text, &names);
                if hint.len() > 200 {
                    "write a name such as Europe/Paris or UTC".clone_into(&mut hint);
                }
                let message = format!("there is no time zone {text:?}");
                reader.note(node.at, Code::BadTimezone, message, hint);
                None
            }
        }
    }
}

/// Something that has a name in a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Named<T> {
    /// Its name, which nothing else in the list has.
    pub name: Name,
    /// What it is.
    pub item: T,
}

/// A list of named things in their order, each written as a mapping with one key; at least one.
#[derive(Clone, Debug, PartialEq)]
pub struct Sequence<T>(pub Vec<Named<T>>);

impl<T: Serialize> Serialize for Named<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(&self.name, &self.item)?;
        map.end()
    }
}

impl<T: Serialize> Serialize for Sequence<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<T: Shape> Shape for Named<T> {
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        let Some([Entry { key, at, value }]) = node.map() else {
            let message = match node.map() {
                Some(entries) => format!("this must be one name, and has {} keys", entries.len()),
                None => format!("this must be a mapping with one name, and is {}", node.kind()),
            };
            let hint = "write `- name:` and put what it is below, indented further than the name";
            reader.note(node.at, Code::WrongType, message, hint);
            return None;
        };
        let good = check_name(key, *at, reader);
        let item = reader.at_key(key, |r| T::read(value, r))?;
        good.then(|| Self { name: Name(key.clone()), item })
    }
}

impl<T: Shape> Shape for Sequence<T> {
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        let items = Vec::read(node, reader);
        let Value::List(nodes) = &node.value else { return None };
        if nodes.is_empty() {
            reader.note(node.at, Code::Empty, "the list is empty", "put at least one item in it");
            return None;
        }
        let mut first = std::collections::BTreeMap::new();
        for (index, node) in nodes.iter().enumerate() {
            let Some([Entry { key, at, .. }]) = node.map() else { continue };
            let seen: crate::problem::Pos = *first.entry(key).or_insert(*at);
            if seen != *at {
                let message = format!("{key:?} is also on line {} of this list", seen.line);
                let hint = "give each item of a list a name of its own";
                reader.below(Step::Index(index), |reader| {
                    reader.at_key(key, |r| r.note(*at, Code::DuplicateName, message, hint));
                });
            }
        }
        items.map(Self)
    }
}

impl<T: JsonSchema> JsonSchema for Sequence<T> {
    fn schema_name() -> SchemaName {
        format!("{}Sequence", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let item = generator.subschema_for::<T>();
        json_schema!({
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "minProperties": 1,
                "maxProperties": 1,
                "additionalProperties": item,
            },
        })
    }
}

/// Something that is written in place, or the name of what is declared below `use`.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Ref<T> {
    /// The name.
    Named(Name),
    /// The thing itself.
    Inline(T),
}

impl<T: Shape> Shape for Ref<T> {
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        if matches!(node.value, Value::Text(_)) {
            return Name::read(node, reader).map(Self::Named);
        }
        T::read(node, reader).map(Self::Inline)
    }
}
