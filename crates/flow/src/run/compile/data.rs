//! Values, schemas and lengths of time of a document.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value as Json;

use super::Compiler;
use crate::{
    Contract, Duration, Export, Expression, Input, Output, Projection, Ref, Timeout,
    problem::{Code, Step as PathStep},
    run::program::{Delay, Expr, Shaping, Value},
    shape::Shape,
};

/// Gives something of the document as JSON, its expressions as `${ … }`.
pub(super) fn json(part: &impl Serialize) -> Json {
    // The types of documents hold nothing that JSON cannot say.
    serde_json::to_value(part).unwrap_or_default()
}

impl Compiler<'_> {
    pub(super) fn input(&mut self, input: Option<&Input>) -> Shaping {
        let Some(input) = input else { return Shaping::default() };
        Shaping {
            schema: self.schema(input.schema.as_ref()),
            made: input.from.as_ref().map(|from| self.at("from", |c| c.projection(from))),
        }
    }

    pub(super) fn output(&mut self, output: Option<&Output>) -> Shaping {
        let Some(output) = output else { return Shaping::default() };
        Shaping {
            schema: self.schema(output.schema.as_ref()),
            made: output.projection.as_ref().map(|made| self.at("as", |c| c.projection(made))),
        }
    }

    pub(super) fn export(&mut self, export: Option<&Export>) -> Shaping {
        let Some(export) = export else { return Shaping::default() };
        Shaping {
            schema: self.schema(export.schema.as_ref()),
            made: export.projection.as_ref().map(|made| self.at("as", |c| c.projection(made))),
        }
    }

    fn schema(&mut self, contract: Option<&Contract>) -> Option<Json> {
        let contract = contract?;
        self.at("schema", |c| match &contract.document {
            Some(schema) => c.at("document", |c| {
                c.schemas.push((schema.0.clone(), c.path.clone()));
                Some(schema.0.clone())
            }),
            None => {
                let message = "a schema that is kept elsewhere is not supported";
                let hint = "write the schema itself as \"document\"";
                c.at("resource", |c| c.problem(Code::Unsupported, message, hint));
                None
            }
        })
    }

    pub(super) fn projection(&mut self, projection: &Projection) -> Value {
        match projection {
            Projection::Computed(expression) => Value::Computed(self.expression(expression)),
            Projection::Mapping(template) => self.value(template.as_json()),
        }
    }

    /// Compiles anything of the document in which texts may be computed.
    pub(super) fn written(&mut self, part: &impl Serialize) -> Value {
        self.value(&json(part))
    }

    /// Compiles a value in which texts that are `${ … }` are computed.
    pub(super) fn value(&mut self, json: &Json) -> Value {
        match json {
            Json::String(text) => match Expression::written(text) {
                Some(expression) => Value::Computed(self.expression(&expression)),
                None => Value::Plain(json.clone()),
            },
            Json::Array(items) => {
                let values: Vec<Value> = items
                    .iter()
                    .enumerate()
                    .map(|(index, item)| self.below(PathStep::Index(index), |c| c.value(item)))
                    .collect();
                if values.iter().all(|value| matches!(value, Value::Plain(_))) {
                    return Value::Plain(json.clone());
                }
                Value::List(values)
            }
            Json::Object(map) => {
                let values: BTreeMap<String, Value> = map
                    .iter()
                    .map(|(key, item)| (key.clone(), self.at(key, |c| c.value(item))))
                    .collect();
                if values.values().all(|value| matches!(value, Value::Plain(_))) {
                    return Value::Plain(json.clone());
                }
                Value::Map(values)
            }
            Json::Null | Json::Bool(_) | Json::Number(_) => Value::Plain(json.clone()),
        }
    }

    pub(super) fn when(&mut self, key: &str, when: Option<&Expression>) -> Option<Expr> {
        when.map(|when| self.at(key, |c| c.expression(when)))
    }

    pub(super) fn delay(&mut self, duration: &Duration) -> Delay {
        match duration {
            Duration::Fixed(length) => Delay::Fixed(length.span().to_string()),
            Duration::Computed(expression) => Delay::Computed(self.expression(expression)),
        }
    }

    pub(super) fn delay_at(&mut self, key: &str, duration: Option<&Duration>) -> Option<Delay> {
        duration.map(|duration| self.at(key, |c| c.delay(duration)))
    }

    pub(super) fn timeout(&mut self, timeout: Option<&Ref<Timeout>>) -> Option<Delay> {
        let known = self.components.and_then(|components| components.timeouts.as_ref());
        let timeout = match timeout? {
            Ref::Inline(timeout) => timeout,
            Ref::Named(name) => known?.get(name.as_str())?,
        };
        self.delay_at("after", Some(&timeout.after))
    }
}

impl Expression {
    /// Reads back what an expression is written as.
    pub(crate) fn written(text: &str) -> Option<Self> {
        let text = text.trim();
        let source = text.strip_prefix("${")?.strip_suffix('}')?;
        let node = crate::node::Node {
            at: crate::Pos::default(),
            value: crate::node::Value::Text(source.trim().to_owned()),
        };
        Self::read(&node, &mut crate::shape::Reader::default())
    }
}
