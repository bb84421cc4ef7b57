//! A state as people are shown it: steps by their names, in place of frames by their numbers.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use super::{
    program::Program,
    state::{Body, Doing, Round, State, TaskBody},
};

impl State {
    /// Shows the state: where the instance stands, its context, each step that is under way with
    /// its input, what it waits for, and what would be undone.
    pub fn view(&self, program: &Program) -> Json {
        let mut steps = Map::new();
        for (id, frame) in &self.frames {
            let Body::Task(task) = &frame.body else { continue };
            let round = frame.round.again('t', task.retried);
            let mut shown = json!({
                "doing": doing(&task.doing), "since": task.started, "input": self.taken(*id),
            });
            if let Json::Object(shown) = &mut shown {
                shown.extend(beside(task));
                if let (Doing::Failed(_), Some(raw)) = (&task.doing, &task.raw) {
                    shown.insert("took".to_owned(), Json::clone(raw));
                }
                if !frame.variables.is_empty() {
                    shown.insert("variables".to_owned(), json!(frame.variables));
                }
            }
            steps.insert(name(program, task.step, &round), shown);
        }
        let timers: BTreeMap<_, _> =
            self.timers.iter().map(|(name, timer)| (name, timer.at)).collect();
        let undo = self.undo.iter().map(|undo| name(program, undo.step, &undo.round));
        let undo: Vec<String> = undo.collect();
        let mut view = json!({
            "status": self.status, "context": self.context, "begun": self.begun, "steps": steps,
        });
        let more = [
            ("output", json!(self.output)),
            ("fault", self.fault.as_ref().map(super::Fault::to_json).unwrap_or_default()),
            ("timers", json!(timers)),
            ("undo", json!(undo)),
            ("held", json!(self.held.len())),
        ];
        let is_there = |value: &Json| match value {
            Json::Null => false,
            Json::Array(list) => !list.is_empty(),
            Json::Object(map) => !map.is_empty(),
            Json::Number(number) => number.as_u64() != Some(0),
            Json::Bool(_) | Json::String(_) => true,
        };
        if let Json::Object(view) = &mut view {
            let more = more.into_iter().filter(|(_, value)| is_there(value));
            view.extend(more.map(|(key, value)| (key.to_owned(), value)));
        }
        view
    }

    /// Gives what a step takes, which may be what a step around it does.
    fn taken(&self, frame: u64) -> Json {
        let task = |id: u64| match &self.frames.get(&id)?.body {
            Body::Task(task) => Some(task),
            Body::List(_) => None,
        };
        let mut at = Some(frame);
        while let Some(id) = at {
            let input = task(id).and_then(|task| match id == frame {
                true => task.input.as_ref().or(task.raw.as_ref()),
                false => task.input.as_ref(),
            });
            if let Some(input) = input.or_else(|| task(id).and_then(|task| task.raw.as_ref())) {
                return Json::clone(input);
            }
            at = self.frames.get(&id).and_then(|frame| frame.parent);
        }
        Json::Null
    }
}

/// Names a step as units, timers and waits are named.
fn name(program: &Program, step: u32, round: &Round) -> String {
    let step = usize::try_from(step).ok().and_then(|step| program.steps.get(step));
    let path = step.map_or("", |step| step.path.as_str()).trim_start_matches('/');
    let round = if round.name.is_empty() { "0" } else { &round.name };
    format!("{path}/{round}")
}

fn doing(doing: &Doing) -> &'static str {
    match doing {
        Doing::Entering => "begins",
        Doing::Nested => "does what is in it",
        Doing::Unit => "waits for its unit",
        Doing::Child => "waits for another workflow",
        Doing::Time => "lets time pass",
        Doing::For(_) => "goes through its items",
        Doing::Fork(_) => "does its branches",
        Doing::Listen(_) => "waits for events",
        Doing::Try(_) => "tries",
        Doing::Failed(_) => "has failed, and waits for an operator",
        Doing::Stopped => "was stopped",
    }
}

/// Gives what else there is to say of a step, by what it does.
fn beside(task: &TaskBody) -> Map<String, Json> {
    let mut more = Map::new();
    let mut say = |key: &str, value: Json| more.insert(key.to_owned(), value);
    match &task.doing {
        Doing::For(body) => {
            say("items", json!(body.items.len()));
            say("next", json!(body.next));
            say("given", body.given.clone());
        }
        Doing::Fork(given) => {
            say("given", json!(given));
        }
        Doing::Listen(body) => {
            say("taken", json!(body.taken));
        }
        Doing::Try(body) => {
            say("failed", json!(body.failed));
        }
        Doing::Failed(fault) => {
            say("fault", fault.to_json());
        }
        Doing::Entering
        | Doing::Nested
        | Doing::Unit
        | Doing::Child
        | Doing::Time
        | Doing::Stopped => {}
    }
    more
}
