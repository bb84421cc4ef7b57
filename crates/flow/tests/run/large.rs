//! Many steps at once, and more than an instance may have.

use std::time::{Duration, Instant};

use flow::expr::{Known, compute};
use flow::limits;
use flow::run::{
    Answer, Ask, Delivery, Effect, Evaluate, Message, Outcome, Program, Start, State, Status,
    StepResult, advance, lifecycle,
};
use model::Time;
use serde_json::{Value as Json, json};

use super::world::block_on;

struct InPlace(Known);

impl Evaluate for InPlace {
    async fn evaluate(&mut self, asks: Vec<Ask>) -> Vec<Answer> {
        asks.iter().map(|ask| compute(ask, &mut self.0)).collect()
    }
}

/// An instance without a world.
struct Instance {
    program: Program,
    state: State,
    evaluator: InPlace,
}

impl Instance {
    fn start(definition: &Json, input: Json) -> (Self, Vec<Outcome>) {
        let program = super::program(definition);
        let evaluator = InPlace(Known::default());
        let mut instance = Self { program, state: State::default(), evaluator };
        let start = json!({ "id": "i1", "seed": 1, "input": input });
        let start: Start = serde_json::from_value(start).unwrap();
        let outcomes = instance.send(Message::Start(Box::new(start)));
        (instance, outcomes)
    }

    fn send(&mut self, message: Message) -> Vec<Outcome> {
        let mut outcomes = vec![self.deliver(message)];
        while outcomes.last().unwrap().effects.contains(&Effect::Continue) {
            outcomes.push(self.deliver(Message::Continue));
        }
        outcomes
    }

    fn deliver(&mut self, message: Message) -> Outcome {
        let at = Time::parse("2026-01-31T12:00:00Z").unwrap();
        let state = std::mem::take(&mut self.state);
        let delivery = Delivery { at, message };
        let (state, outcome) =
            block_on(advance(&self.program, state, delivery, &mut self.evaluator));
        self.state = state;
        outcome
    }
}

#[test]
fn ten_thousand_items_beside_each_other() {
    let began = Instant::now();
    let definition = json!({ "do": [{ "all": {
        "for": { "in": "${ .items }", "concurrency": 10_000 },
        "do": [{ "one": { "call": "work", "with": { "spec": "s", "data": "${ $item }" } } }],
    } }] });
    let items: Vec<u64> = (0..10_000).collect();
    let (mut instance, outcomes) = Instance::start(&definition, json!({ "items": items }));
    let effects: Vec<Effect> = outcomes.into_iter().flat_map(|outcome| outcome.effects).collect();
    let mut units = Vec::new();
    for effect in effects {
        if let Effect::AddUnit(unit) = effect {
            units.push(unit);
        }
    }
    assert_eq!(units.len(), 10_000);
    // Each has its own item and not a copy of all.
    let size = serde_json::to_string(&instance.state).unwrap().len();
    assert!(size < 10_000 * 600, "{size}");
    for unit in units.into_iter().rev() {
        let result = StepResult::Output(unit.input);
        instance.send(Message::UnitDone { step: unit.step, result });
    }
    assert_eq!(instance.state.status, Status::Completed);
    assert_eq!(instance.state.output, Some(json!(items)));
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

#[test]
fn a_state_that_grows_too_large_ends_the_instance() {
    let definition = json!({ "do": [
        { "all": {
            "for": { "in": "${ [range(40)] }", "concurrency": 1 },
            "do": [{ "one": { "set": "${ \"x\" * 1000000 }" } }],
        } },
        { "never": { "wait": "PT1S" } },
    ] });
    let (instance, _) = Instance::start(&definition, Json::Null);
    assert_eq!(instance.state.status, Status::Faulted);
    let fault = instance.state.fault.unwrap();
    let detail = fault.detail.unwrap();
    assert!(detail.contains(&limits::STATE_BYTES_MAX.to_string()), "{detail}");
}

#[test]
fn a_workflow_that_goes_round_without_end_is_ended() {
    let raise = json!({ "raise": { "error": { "type": "https://example.com/x", "status": 500 } } });
    let definition = json!({ "do": [{ "again": {
        "try": [{ "fail": raise }],
        "catch": { "retry": {} },
    } }] });
    let (instance, outcomes) = Instance::start(&definition, Json::Null);
    assert_eq!(instance.state.status, Status::Faulted);
    assert_eq!(instance.state.begun, limits::STEPS_BEGUN_MAX + 1);
    let most = outcomes.iter().map(|outcome| outcome.record.notes.len()).max().unwrap();
    assert!(most <= 4 * limits::STEPS_PER_MESSAGE_MAX, "{most}");
}

#[test]
fn others_can_follow_an_instance() {
    let definition = json!({ "do": [
        { "fetch": {
            "try": [{ "get": { "call": "work", "with": { "spec": "s" } } }],
            "catch": { "retry": { "limit": { "attempt": { "count": 1 } } } },
        } },
        { "hear": { "listen": { "to": { "one": { "with": { "type": "t" } } } } } },
    ] });
    let (mut instance, mut outcomes) = Instance::start(&definition, Json::Null);
    let unit = |step: &str, result| Message::UnitDone { step: step.to_owned(), result };
    let fault = flow::run::Fault::answered(503, "busy");
    outcomes.extend(instance.send(unit("do/0/fetch/try/0/get/0", StepResult::Fault(fault))));
    outcomes.extend(instance.send(Message::Pause));
    outcomes.extend(instance.send(Message::Resume));
    let good = StepResult::Output(json!(1));
    outcomes.extend(instance.send(unit("do/0/fetch/try/0/get/r1", good)));
    let event = json!({ "type": "t" });
    outcomes.extend(instance.send(Message::Event { wait: "do/1/hear/0".to_owned(), event }));
    assert_eq!(instance.state.status, Status::Completed);
    let events: Vec<Json> = (0..)
        .zip(&outcomes)
        .flat_map(|(row, outcome)| lifecycle(&instance.program, "i1", row, &outcome.record))
        .collect();
    let seen: Vec<String> = events
        .iter()
        .map(|event| {
            let kind = event["type"].as_str().unwrap();
            let kind = kind.strip_prefix("io.serverlessworkflow.").unwrap();
            let kind = kind.strip_suffix(".v1").unwrap();
            format!("{kind} {}", event["data"]["task"].as_str().unwrap_or_default())
        })
        .collect();
    assert_eq!(
        seen,
        [
            "workflow.started ",
            "task.started /do/0/fetch",
            "task.started /do/0/fetch/try/0/get",
            "task.faulted /do/0/fetch/try/0/get",
            "task.retried /do/0/fetch",
            "task.started /do/0/fetch/try/0/get",
            "workflow.suspended ",
            "workflow.resumed ",
            "task.completed /do/0/fetch/try/0/get",
            "task.completed /do/0/fetch",
            "task.started /do/1/hear",
            "workflow.correlation-started ",
            "workflow.correlation-completed ",
            "task.completed /do/1/hear",
            "workflow.completed ",
        ]
    );
    let mut ids: Vec<&str> = events.iter().map(|event| event["id"].as_str().unwrap()).collect();
    ids.dedup();
    assert_eq!(ids.len(), events.len());
    assert_eq!(
        events[0]["data"],
        json!({
            "name": "scenario-i1.test",
            "definition": { "namespace": "test", "name": "scenario", "version": "1.0.0" },
            "startedAt": "2026-01-31T12:00:00Z",
        })
    );
}
