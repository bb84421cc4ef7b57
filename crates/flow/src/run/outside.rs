//! Steps that are done outside: by workers, by the server, by another workflow.

use std::sync::Arc;

use model::Time;
use serde_json::Value as Json;

use super::{
    compute::Scope,
    enter::wrong,
    evaluate::Evaluate,
    fault::Fault,
    machine::Machine,
    outcome::{Builtin, ChildPlan, Effect, Target, UnitPlan},
    program::{BuiltinAction, ChildAction, Step, Value, WorkAction},
    state::Doing,
};

impl<E: Evaluate> Machine<'_, E> {
    pub(super) async fn add_work(
        &mut self,
        id: u64,
        step: &Step,
        work: &WorkAction,
        input: &Arc<Json>,
        deadline: Option<Time>,
    ) -> Result<(), Fault> {
        let scope = Scope::of(id, input);
        let spec = self.text(&work.spec, input, &scope, "spec").await?;
        let name = match &work.name {
            Some(name) => Some(self.text(name, input, &scope, "name").await?),
            None => None,
        };
        let priority = match &work.priority {
            Some(priority) => {
                let value = self.render(priority, input, &scope).await?;
                Some(value.as_f64().ok_or_else(|| wrong("priority", &value, "a number"))?)
            }
            None => None,
        };
        let not_before = match &work.not_before {
            Some(time) => {
                let text = self.text(time, input, &scope, "notBefore").await?;
                let time = Time::parse(&text);
                Some(time.map_err(|_| wrong("notBefore", &text.into(), "an RFC 3339 time"))?)
            }
            None => None,
        };
        let lifetime_ms = match &work.lifetime {
            Some(lifetime) => {
                let end = self.after(lifetime, self.at, input, &scope).await?;
                u64::try_from(end.since(self.at).as_millis()).ok()
            }
            None => None,
        };
        let data = match &work.data {
            Some(data) => self.render(data, input, &scope).await?,
            None => Json::clone(input),
        };
        let target = Target::Work { spec, name, priority, not_before, lifetime_ms };
        let rendered = Rendered { target, input: data, deadline, detached: false };
        self.add_unit(id, step, input, rendered).await
    }

    pub(super) async fn add_builtin(
        &mut self,
        id: u64,
        step: &Step,
        builtin: &BuiltinAction,
        input: &Arc<Json>,
        deadline: Option<Time>,
    ) -> Result<(), Fault> {
        let scope = Scope::of(id, input);
        let mut with = self.render(&builtin.with, input, &scope).await?;
        if builtin.addresses {
            for pointer in ["/endpoint/uri", "/document/endpoint/uri"] {
                if let Some(Json::String(address)) = with.pointer_mut(pointer) {
                    *address = interpolated(address, input);
                }
            }
        }
        let target = Target::Builtin(builtin.builtin);
        let detached = !builtin.awaits;
        self.add_unit(id, step, input, Rendered { target, input: with, deadline, detached }).await
    }

    async fn add_unit(
        &mut self,
        id: u64,
        step: &Step,
        input: &Arc<Json>,
        rendered: Rendered,
    ) -> Result<(), Fault> {
        let idempotency_key = self.idempotency_key(id, step, input).await?;
        let Rendered { target, input: with, deadline, detached } = rendered;
        let name = self.name_of(id);
        let attempt = self.round_of(id).tries;
        self.effects.push(Effect::AddUnit(Box::new(UnitPlan {
            step: name.clone(),
            target,
            input: with,
            idempotency_key,
            attempt,
            deadline,
            detached,
        })));
        if detached {
            self.given_now(id, Json::clone(input));
        } else {
            self.state.waiting.insert(name, id);
            self.does(id, Doing::Unit);
        }
        Ok(())
    }

    async fn idempotency_key(
        &mut self,
        id: u64,
        step: &Step,
        input: &Arc<Json>,
    ) -> Result<String, Fault> {
        if let Some(key) = &step.idempotency_key {
            return self.text(key, input, &Scope::of(id, input), "idempotencyKey").await;
        }
        let origin = self.state.origin.as_ref().map_or("", |origin| &origin.id);
        let key = self.round_of(id).key;
        let key = if key.is_empty() { "0" } else { &key };
        Ok(format!("{origin}{}/{key}", step.path))
    }

    pub(super) async fn start_child(
        &mut self,
        id: u64,
        step: &Step,
        child: &ChildAction,
        input: &Arc<Json>,
    ) -> Result<(), Fault> {
        let given = match &child.input {
            Some(given) => self.render(given, input, &Scope::of(id, input)).await?,
            None => Json::clone(input),
        };
        let idempotency_key = self.idempotency_key(id, step, input).await?;
        let name = self.name_of(id);
        self.effects.push(Effect::StartChild(Box::new(ChildPlan {
            step: name.clone(),
            namespace: child.namespace.clone(),
            name: child.name.clone(),
            version: child.version.clone(),
            input: given,
            idempotency_key,
            detached: !child.awaits,
        })));
        if child.awaits {
            self.state.waiting.insert(name, id);
            self.does(id, Doing::Child);
        } else {
            self.given_now(id, Json::clone(input));
        }
        Ok(())
    }

    /// Computes a text.
    async fn text(
        &mut self,
        value: &Value,
        dot: &Json,
        scope: &Scope,
        key: &str,
    ) -> Result<String, Fault> {
        match self.render(value, dot, scope).await? {
            Json::String(text) => Ok(text),
            other => Err(wrong(key, &other, "text")),
        }
    }
}

/// A unit whose expressions are computed.
struct Rendered {
    target: Target,
    input: Json,
    deadline: Option<Time>,
    detached: bool,
}

/// Puts values of the input in the places of their names in braces.
fn interpolated(address: &str, input: &Json) -> String {
    let mut made = String::with_capacity(address.len());
    let mut rest = address;
    while let Some((before, after)) = rest.split_once('{') {
        made.push_str(before);
        let value = after.split_once('}').and_then(|(name, after)| {
            let value = match input.get(name)? {
                Json::String(text) => text.clone(),
                value @ (Json::Number(_) | Json::Bool(_)) => value.to_string(),
                Json::Null | Json::Array(_) | Json::Object(_) => return None,
            };
            Some((value, after))
        });
        match value {
            Some((value, after)) => {
                encode(&value, &mut made);
                rest = after;
            }
            None => {
                made.push('{');
                rest = after;
            }
        }
    }
    made.push_str(rest);
    made
}

/// Writes a text as a part of an address.
fn encode(text: &str, made: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            made.push(char::from(byte));
        } else {
            made.push_str(&format!("%{byte:02X}"));
        }
    }
}

impl Builtin {
    /// Gives the name as it stands in paths and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::OpenApi => "openapi",
            Self::Script => "script",
            Self::Shell => "shell",
            Self::Mail => "mail",
        }
    }
}
