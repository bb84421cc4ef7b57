//! How a step waits for events.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value as Json;

use super::{
    compute::Scope,
    evaluate::Evaluate,
    fault::Fault,
    machine::{Given, Machine},
    outcome::{Effect, WaitPlan, What},
    program::{Action, EventFilter, ListenAction, Read, Until, Value, Wanted},
    state::{Doing, ListenBody, Todo},
};
use crate::limits;

impl<E: Evaluate> Machine<'_, E> {
    pub(super) async fn begin_listen(
        &mut self,
        id: u64,
        listen: &ListenAction,
        input: &Arc<Json>,
    ) -> Result<(), Fault> {
        let scope = Scope::of(id, input);
        let mut expected = BTreeMap::new();
        for (number, filter) in (0..).zip(all_filters(&listen.to)) {
            for (key, (_, expect)) in &filter.correlate {
                if let Some(expect) = expect {
                    let value = self.render(expect, input, &scope).await?;
                    expected.insert(correlation(&listen.to, number, key), value);
                }
            }
        }
        self.does(id, Doing::Listen(Box::new(ListenBody { expected, ..ListenBody::default() })));
        self.note(What::Waiting, Some(id), Json::Null);
        let name = self.name_of(id);
        self.state.waiting.insert(name.clone(), id);
        self.effects.push(Effect::Wait(plan(name, listen)));
        Ok(())
    }

    /// Registers all waits anew.
    pub(super) fn wait_again(&mut self) {
        let waits: Vec<(String, u64)> =
            self.state.waiting.iter().map(|(name, id)| (name.clone(), *id)).collect();
        for (name, id) in waits {
            if let Some(Action::Listen(listen)) = self.step_of(id).map(|step| &step.action)
                && self.listening(id).is_some()
            {
                self.effects.push(Effect::Wait(plan(name, listen)));
            }
        }
    }

    /// Takes back all waits, and keeps what they are.
    pub(super) fn stop_waiting(&mut self) {
        let waits: Vec<String> = self
            .state
            .waiting
            .iter()
            .filter(|(_, id)| self.listening(**id).is_some())
            .map(|(name, _)| name.clone())
            .collect();
        self.effects.extend(waits.into_iter().map(|name| Effect::ClearWait { name }));
    }

    fn listening(&self, id: u64) -> Option<&ListenBody> {
        match self.task(id).map(|task| &task.doing) {
            Some(Doing::Listen(body)) => Some(body),
            _ => None,
        }
    }

    fn listening_mut(&mut self, id: u64) -> Option<&mut ListenBody> {
        match self.task_mut(id).map(|task| &mut task.doing) {
            Some(Doing::Listen(body)) => Some(body),
            _ => None,
        }
    }

    /// Takes an event, if it is wanted.
    pub(super) async fn event(&mut self, wait: &str, event: &Json) -> bool {
        let Some(id) = self.state.waiting.get(wait).copied() else { return false };
        let Some(Action::Listen(listen)) = self.step_of(id).map(|step| &step.action) else {
            return false;
        };
        if self.listening(id).is_none_or(|body| body.enough) {
            return false;
        }
        match self.take_event(id, listen, event).await {
            Ok(taken) => taken,
            Err(fault) => {
                self.fail_later(id, fault);
                true
            }
        }
    }

    async fn take_event(
        &mut self,
        id: u64,
        listen: &ListenAction,
        event: &Json,
    ) -> Result<bool, Fault> {
        let input = self.input_of(id);
        let scope = Scope::of(id, &input);
        let mut first = 0;
        let mut wanted = Some(&listen.to);
        while let Some(these) = wanted {
            for (number, filter) in (first..).zip(&these.filters) {
                let had = self.listening(id).is_none_or(|body| body.had.contains(&number));
                if had && these.until == Until::Each {
                    continue;
                }
                if let Some(found) =
                    self.matches(id, &listen.to, number, filter, event, &scope).await?
                {
                    let depth = Depth { main: first == 0, number };
                    self.keep(id, listen, depth, found, event).await?;
                    return Ok(true);
                }
            }
            first += u32::try_from(these.filters.len()).unwrap_or(u32::MAX);
            wanted = match &these.until {
                Until::Events(until) => Some(until),
                Until::First | Until::Each | Until::Condition(_) | Until::Never => None,
            };
        }
        Ok(false)
    }

    /// Says whether an event passes a filter, and what its correlations are then.
    async fn matches(
        &mut self,
        id: u64,
        to: &Wanted,
        number: u32,
        filter: &EventFilter,
        event: &Json,
        scope: &Scope,
    ) -> Result<Option<BTreeMap<String, Json>>, Fault> {
        let literal = filter.literal.iter().all(|(key, value)| event.get(key) == Some(value));
        if !literal {
            return Ok(None);
        }
        for (key, value) in &filter.computed {
            let attribute = event.get(key).cloned().unwrap_or_default();
            // An expression that fails on an event does not want it.
            let Ok(result) = self.render(value, &attribute, scope).await else { return Ok(None) };
            let whole = matches!(value, Value::Computed(_));
            if !(whole && result == Json::Bool(true)) && result != attribute {
                return Ok(None);
            }
        }
        let mut found = BTreeMap::new();
        for (key, (from, _)) in &filter.correlate {
            let Ok(value) = self.expr(from, event, scope).await else { return Ok(None) };
            let key = correlation(to, number, key);
            let expected = self.listening(id).and_then(|body| body.expected.get(&key));
            if expected.is_some_and(|expected| *expected != value) {
                return Ok(None);
            }
            found.insert(key, value);
        }
        Ok(Some(found))
    }

    async fn keep(
        &mut self,
        id: u64,
        listen: &ListenAction,
        depth: Depth,
        found: BTreeMap<String, Json>,
        event: &Json,
    ) -> Result<(), Fault> {
        let taken = read(event, listen.read);
        let Some(body) = self.listening_mut(id) else { return Ok(()) };
        for (key, value) in found {
            body.expected.entry(key).or_insert(value);
        }
        if !body.had.contains(&depth.number) {
            body.had.push(depth.number);
        }
        if depth.main {
            body.taken.push(taken);
        }
        if body.taken.len() > limits::EVENTS_TAKEN_MAX {
            return Err(Self::too_many("events in one listen", limits::EVENTS_TAKEN_MAX));
        }
        let enough = match &listen.to.until {
            Until::First => true,
            Until::Each => listen.to.filters.len() == body.had.len(),
            Until::Events(until) => enough(until, &listen.to, &body.had),
            Until::Never => false,
            Until::Condition(condition) => {
                let so_far = Json::Array(body.taken.clone());
                let scope = Scope::of(id, &self.input_of(id));
                self.is_true(condition, &so_far, &scope).await?
            }
        };
        if let Some(body) = self.listening_mut(id) {
            body.enough |= enough;
        }
        if enough {
            let name = self.name_of(id);
            self.state.waiting.remove(&name);
            self.effects.push(Effect::ClearWait { name });
            self.note(What::Correlated, Some(id), Json::Null);
        }
        self.state.todo.push_back(Todo::Advance(id));
        Ok(())
    }

    /// Begins what is done with the next event, or ends the step.
    pub(super) async fn next_event(&mut self, id: u64, listen: &ListenAction) -> Result<(), Fault> {
        let Some(body) = self.listening(id) else { return Ok(()) };
        if body.running {
            return Ok(());
        }
        let number = body.next;
        let event = usize::try_from(number).ok().and_then(|next| body.taken.get(next)).cloned();
        match (&listen.each, event) {
            (Some(each), Some(event)) => {
                if let Some(body) = self.listening_mut(id) {
                    body.next += 1;
                    body.running = true;
                }
                let Some(list) = each.list else {
                    self.state.todo.push_back(Todo::Given {
                        frame: id,
                        slot: number,
                        output: event,
                    });
                    return Ok(());
                };
                let variables =
                    BTreeMap::from([(each.item.clone(), event), (each.at.clone(), number.into())]);
                let mut place = self.place_below(id, number);
                place.round = place.round.enter(&number.to_string());
                self.begin_list(list, place, variables, Given::Around);
            }
            (each, _) if body.enough => {
                let all = if each.is_some() { &body.outputs } else { &body.taken };
                let output = Json::Array(all.clone());
                self.given_now(id, output);
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes what was made of an event.
    pub(super) async fn round_given(&mut self, id: u64, slot: u32, output: Json) {
        let Some(Action::Listen(listen)) = self.step_of(id).map(|step| &step.action) else {
            return;
        };
        let Some(each) = &listen.each else { return };
        let place = usize::try_from(slot).unwrap_or(usize::MAX);
        let event = self.listening(id).and_then(|body| body.taken.get(place)).cloned();
        let extra =
            vec![(each.item.clone(), event.unwrap_or_default()), (each.at.clone(), slot.into())];
        let input = self.input_of(id);
        let scope = Scope { extra, output: output.clone(), ..Scope::of(id, &input) };
        let made = match self.shape_output(&each.output, output, &scope).await {
            Ok(made) => {
                let scope = Scope { output: made.clone(), ..scope };
                self.export(&each.export, &made, &scope).await.map(|()| made)
            }
            Err(fault) => Err(fault),
        };
        match (made, self.listening_mut(id)) {
            (Ok(made), Some(body)) => {
                body.outputs.push(made);
                body.running = false;
                self.state.todo.push_back(Todo::Advance(id));
            }
            (Err(fault), _) => self.fail_later(id, fault),
            (Ok(_), None) => {}
        }
    }
}

/// Which filter an event passed.
struct Depth {
    /// Whether it is one of those whose events are kept.
    main: bool,
    number: u32,
}

/// Gives the filters, those that end the wait last.
fn all_filters(wanted: &Wanted) -> Vec<&EventFilter> {
    let mut all: Vec<&EventFilter> = wanted.filters.iter().collect();
    if let Until::Events(until) = &wanted.until {
        all.extend(all_filters(until));
    }
    all
}

fn plan(name: String, listen: &ListenAction) -> WaitPlan {
    let filters = all_filters(&listen.to).into_iter().map(|filter| filter.literal.clone());
    WaitPlan { name, filters: filters.collect() }
}

/// Names a correlation. All filters of one strategy share those of the same key.
fn correlation(to: &Wanted, number: u32, key: &str) -> String {
    let mut level = 0;
    let mut wanted = to;
    let mut number = usize::try_from(number).unwrap_or(usize::MAX);
    while number >= wanted.filters.len() {
        number -= wanted.filters.len();
        match &wanted.until {
            Until::Events(until) => wanted = until,
            Until::First | Until::Each | Until::Condition(_) | Until::Never => break,
        }
        level += 1;
    }
    format!("{level}/{key}")
}

/// Says whether the events that end a wait have come.
fn enough(until: &Wanted, main: &Wanted, had: &[u32]) -> bool {
    let first = main.filters.len();
    let mut have = (first..first + until.filters.len())
        .map(|number| had.iter().any(|had| usize::try_from(*had).is_ok_and(|had| had == number)));
    if until.until == Until::Each { have.all(|had| had) } else { have.any(|had| had) }
}

/// Takes of an event what the document wants.
fn read(event: &Json, part: Read) -> Json {
    match part {
        Read::Envelope => event.clone(),
        Read::Data | Read::Raw => {
            event.get("data").or_else(|| event.get("data_base64")).cloned().unwrap_or_default()
        }
    }
}
