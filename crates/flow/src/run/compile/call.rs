//! Calls, and what runs elsewhere.

use serde_json::Value as Json;

use super::{Compiler, data::json};
use crate::{
    Call, FunctionCall, Run, Subflow, SubflowVersion, WorkCall,
    problem::{Code, Path, Step as PathStep},
    run::{
        Builtin,
        program::{Action, BuiltinAction, ChildAction, Value, WorkAction},
    },
};

/// Where the use of an authentication can be in what a call is given.
const AUTHENTICATIONS: [&str; 4] = [
    "/authentication",
    "/endpoint/authentication",
    "/document/endpoint/authentication",
    "/script/source/endpoint/authentication",
];

impl Compiler<'_> {
    pub(super) fn call(&mut self, call: &Call) -> Option<Action> {
        match call {
            Call::Http(call) => {
                let mut with = json(call);
                with_endpoint(&mut with, "/endpoint");
                Some(self.at("with", |c| c.builtin(Builtin::Http, with, true)))
            }
            Call::OpenApi(call) => {
                let mut with = json(call);
                with_endpoint(&mut with, "/document/endpoint");
                Some(self.at("with", |c| c.builtin(Builtin::OpenApi, with, true)))
            }
            Call::Work(call) => Some(self.at("with", |c| c.work(call))),
            Call::Mail(call) => {
                Some(self.at("with", |c| c.builtin(Builtin::Mail, json(call), true)))
            }
            Call::Function(call) => self.function(call),
        }
    }

    fn builtin(&mut self, builtin: Builtin, mut with: Json, awaits: bool) -> Action {
        self.resolve_authentications(&mut with);
        let addresses = matches!(builtin, Builtin::Http | Builtin::OpenApi);
        let with = self.value(&with);
        Action::Builtin(Box::new(BuiltinAction { builtin, with, addresses, awaits }))
    }

    /// Puts ways to prove who calls in the place of their names.
    fn resolve_authentications(&self, with: &mut Json) {
        let known = self.components.and_then(|components| components.authentications.as_ref());
        for pointer in AUTHENTICATIONS {
            let Some(place) = with.pointer_mut(pointer) else { continue };
            let name = place.get("use").and_then(Json::as_str);
            if let Some(way) = name.and_then(|name| known?.get(name)) {
                *place = json(way);
            }
        }
    }

    fn work(&mut self, call: &WorkCall) -> Action {
        let text = |c: &mut Self, key: &str, part: Option<Json>| {
            part.map(|part| c.at(key, |c| c.value(&part)))
        };
        Action::Work(Box::new(WorkAction {
            spec: self.at("spec", |c| c.written(&call.spec)),
            name: text(self, "name", call.name.as_ref().map(json)),
            data: call.data.as_ref().map(|data| self.at("data", |c| c.projection(data))),
            priority: text(self, "priority", call.priority.as_ref().map(json)),
            not_before: text(self, "notBefore", call.not_before.as_ref().map(json)),
            lifetime: self.delay_at("lifetime", call.lifetime.as_ref()),
        }))
    }

    /// Compiles a function for this call alone, so that its steps have names of their own.
    fn function(&mut self, call: &FunctionCall) -> Option<Action> {
        let name = call.call.as_str();
        let functions = self.components.and_then(|components| components.functions.as_ref());
        let with = call.with.as_ref().map(|with| self.at("with", |c| c.written(with)));
        let Some(task) = functions.and_then(|functions| functions.get(name)) else {
            let message = format!("no function is named {name:?}");
            self.problem(Code::UnknownReference, message, "declare it below \"use\"");
            return None;
        };
        let mut elsewhere = Path::default();
        for key in ["use", "functions", name] {
            elsewhere.push(PathStep::Key(key.to_owned()));
        }
        let base = format!("{}{elsewhere}", self.step_path());
        let place = std::mem::replace(&mut self.path, elsewhere);
        let base = self.base.replace((base, 3));
        let step = self.step(name, task);
        self.path = place;
        self.base = base;
        Some(Action::Function { with, step: step? })
    }

    pub(super) fn run(&mut self, run: &Run) -> Option<Action> {
        let awaits = run.awaits.unwrap_or(true);
        if let Some(workflow) = &run.workflow {
            return Some(self.at("workflow", |c| c.child(workflow, awaits)));
        }
        let mut with = json(run);
        with.as_object_mut()?.remove("await");
        let builtin = if run.script.is_some() { Builtin::Script } else { Builtin::Shell };
        with_endpoint(&mut with, "/script/source/endpoint");
        // Code is never computed, whatever it looks like.
        let code = with.pointer_mut("/script/code").map(Json::take);
        let mut action = self.builtin(builtin, with, awaits);
        if let (Some(code), Action::Builtin(action)) = (code, &mut action) {
            put_code(&mut action.with, code);
        }
        Some(action)
    }

    fn child(&mut self, workflow: &Subflow, awaits: bool) -> Action {
        let version = match &workflow.version {
            Some(SubflowVersion::Exact(version)) => Some(version.to_string()),
            Some(SubflowVersion::Latest) | None => None,
        };
        let input = workflow.input.as_ref().map(|input| self.at("input", |c| c.projection(input)));
        Action::Child(Box::new(ChildAction {
            namespace: workflow.namespace.to_string(),
            name: workflow.name.to_string(),
            version,
            input,
            awaits,
        }))
    }
}

/// Writes an endpoint that is only an address in its long form.
fn with_endpoint(with: &mut Json, pointer: &str) {
    if let Some(endpoint) = with.pointer_mut(pointer)
        && endpoint.is_string()
    {
        let address = endpoint.take();
        *endpoint = serde_json::json!({ "uri": address });
    }
}

fn put_code(with: &mut Value, code: Json) {
    match with {
        Value::Plain(json) => {
            if let Some(place) = json.pointer_mut("/script/code") {
                *place = code;
            }
        }
        Value::Map(map) => match map.get_mut("script") {
            Some(Value::Map(script)) => {
                script.insert("code".to_owned(), Value::Plain(code));
            }
            Some(Value::Plain(script)) => {
                if let Some(place) = script.get_mut("code") {
                    *place = code;
                }
            }
            Some(Value::Computed(_) | Value::List(_)) | None => {}
        },
        Value::Computed(_) | Value::List(_) => {}
    }
}
