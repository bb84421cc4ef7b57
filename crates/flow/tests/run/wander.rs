//! Instances to which anything happens in any order: whatever it is, what the world does for an
//! instance is what its state knows of, the journal gives the same states, and it comes to an end.

use flow::run::{Fault, Message, Standard, Start, Status, StepResult, Uncaught};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::{scenario, world::World};

/// What happens next is chosen by numbers.
struct Choice(Vec<u16>);

impl Choice {
    fn of(&mut self, count: usize) -> usize {
        self.0.pop().map_or(0, usize::from) % count.max(1)
    }
}

fn wander(scenario: &Json, numbers: Vec<u16>) {
    let mut choice = Choice(numbers);
    let program = super::program(&scenario["definition"]);
    let mut world = World::new(program, scenario["secrets"].clone());
    let uncaught = [Uncaught::Fault, Uncaught::Incident][choice.of(2)];
    world.start(Start {
        id: "i1".to_owned(),
        seed: 7,
        input: scenario["input"].clone(),
        from: None,
        context: None,
        uncaught,
    });
    let mut sent: Vec<Message> = Vec::new();
    for _ in 0..40 {
        if choice.0.is_empty() {
            break;
        }
        let message = next(&world, scenario, &sent, &mut choice);
        match &message {
            Message::UnitDone { step, .. } => {
                let was_open = world.units.remove(step).is_some();
                if was_open && world.state.status == Status::Suspended {
                    world.ended.insert(step.clone());
                }
            }
            Message::ChildDone { step, .. } => _ = world.children.remove(step),
            Message::TimerFired { name } => {
                if let Some(at) = world.timers.remove(name) {
                    world.now = world.now.max(at);
                    if world.state.status == Status::Suspended {
                        world.ended.insert(name.clone());
                    }
                }
            }
            _ => {}
        }
        world.send(message.clone());
        if world.state.status != Status::Suspended {
            // It has looked at everything that it was told.
            world.ended.clear();
        }
        sent.push(message);
        consistent(&world);
    }
    if !world.state.status.is_over() {
        if world.state.status == Status::Suspended {
            assert!(world.send(Message::Resume));
        }
        if !world.state.status.is_over() {
            assert!(world.send(Message::Cancel { reason: None }));
        }
    }
    consistent(&world);
    assert!(world.state.status.is_over());
}

/// Says that something is under way or has ended.
fn consistent(world: &World) {
    let open = world.units.len() + world.children.len() + world.timers.len() + world.waits.len();
    let open = open + world.incidents.len();
    match world.state.status {
        Status::Running | Status::Compensating => assert!(open > 0, "it waits for nothing"),
        Status::Suspended => assert_eq!(world.waits.len(), 0),
        Status::Completed | Status::Faulted | Status::Cancelled => assert_eq!(open, 0),
        Status::Pending => panic!("it has begun"),
    }
}

fn next(world: &World, scenario: &Json, sent: &[Message], choice: &mut Choice) -> Message {
    let mut all: Vec<Message> = Vec::new();
    let result = |choice: &mut Choice| match choice.of(3) {
        0 => StepResult::Fault(Fault::standard(Standard::Runtime, "it failed")),
        1 => StepResult::Output(json!({ "n": 1, "ok": true })),
        _ => StepResult::Output(json!([1])),
    };
    for step in world.units.keys() {
        let result = result(choice);
        all.push(Message::UnitDone { step: step.clone(), result });
    }
    for step in world.children.keys() {
        let result = result(choice);
        all.push(Message::ChildDone { step: step.clone(), result });
    }
    all.extend(world.timers.keys().map(|name| Message::TimerFired { name: name.clone() }));
    for wait in world.waits.keys() {
        let happenings = scenario["when"].as_array().into_iter().flatten();
        let events = happenings.map(|happening| &happening["event"]).filter(|e| !e.is_null());
        all.extend(events.map(|event| Message::Event { wait: wait.clone(), event: event.clone() }));
    }
    match choice.of(12) {
        0 => all.push(Message::Pause),
        1 | 2 => all.push(Message::Resume),
        3 | 4 => all.push(Message::RetryStep { step: None, input: None }),
        5 => all.push(Message::SkipStep { step: None, output: None }),
        // Whatever was sent may come again.
        6 => all.extend(sent.last().cloned()),
        7 => all.extend(sent.first().cloned()),
        _ => {}
    }
    if all.is_empty() {
        return Message::Continue;
    }
    let number = choice.of(all.len());
    all.swap_remove(number)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_happens_an_instance_and_its_world_agree(
        number in 0..10_000usize,
        numbers in prop::collection::vec(any::<u16>(), 0..300),
    ) {
        let all = SCENARIOS.with(Clone::clone);
        let (_, scenario) = &all[number % all.len()];
        wander(scenario, numbers);
    }
}

/// What once looked as if the instance took back what it did not have.
#[test]
fn what_ends_during_a_pause_is_taken_back_once() {
    let all = SCENARIOS.with(Clone::clone);
    let numbers = [
        0, 358, 0, 0, 24588, 0, 0, 3335, 10368, 0, 17339, 9888, 0, 0, 31551, 0, 1104, 26746, 5364,
        0, 0, 0, 0, 54, 8454, 0, 0, 11402,
    ];
    all.iter().for_each(|(_, scenario)| wander(scenario, numbers.to_vec()));
}

thread_local! {
    static SCENARIOS: std::rc::Rc<Vec<(String, Json)>> = std::rc::Rc::new(scenario::all());
}
