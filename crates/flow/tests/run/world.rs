//! A world for one instance: it does what effects ask for, as far as a test tells it to.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use flow::expr::{Known, compute};
use flow::run::{
    Answer, Ask, Delivery, Effect, Evaluate, Message, Outcome, Program, Record, Start, State,
    UnitPlan, WaitPlan, What, advance, retake,
};
use model::Time;
use serde_json::Value as Json;

/// Computes in this process, with secrets.
pub struct Evaluator {
    known: Known,
    secrets: Json,
    pub asked: usize,
}

impl Evaluate for Evaluator {
    async fn evaluate(&mut self, asks: Vec<Ask>) -> Vec<Answer> {
        self.asked += asks.len();
        let secrets = self.secrets.clone();
        let with_secrets = |mut ask: Ask| {
            if let Ask::Expression { variables, secrets: true, .. } = &mut ask {
                variables.insert("secrets".to_owned(), secrets.clone());
            }
            ask
        };
        asks.into_iter().map(|ask| compute(&with_secrets(ask), &mut self.known)).collect()
    }
}

/// An instance and the world around it.
pub struct World {
    pub program: Program,
    pub state: State,
    pub now: Time,
    pub evaluator: Evaluator,
    pub records: Vec<Record>,
    pub units: BTreeMap<String, UnitPlan>,
    pub children: BTreeMap<String, flow::run::ChildPlan>,
    pub timers: BTreeMap<String, Time>,
    pub waits: BTreeMap<String, WaitPlan>,
    pub incidents: BTreeSet<String>,
    /// Units and timers whose end the instance was told of and has not yet looked at, because it
    /// is paused.
    pub ended: BTreeSet<String>,
    pub emitted: Vec<Json>,
    /// How often the instance has said that it ended.
    pub ends: usize,
}

impl World {
    pub fn new(program: Program, secrets: Json) -> Self {
        // A program is kept as text, so it must be what it was when it comes back.
        let text = serde_json::to_string(&program).unwrap();
        assert_eq!(serde_json::from_str::<Program>(&text).unwrap(), program);
        Self {
            program,
            state: State::default(),
            now: Time::parse("2026-01-31T12:00:00Z").unwrap(),
            evaluator: Evaluator { known: Known::default(), secrets, asked: 0 },
            records: Vec::new(),
            units: BTreeMap::new(),
            children: BTreeMap::new(),
            timers: BTreeMap::new(),
            waits: BTreeMap::new(),
            incidents: BTreeSet::new(),
            ended: BTreeSet::new(),
            emitted: Vec::new(),
            ends: 0,
        }
    }

    pub fn start(&mut self, start: Start) {
        assert!(self.send(Message::Start(Box::new(start))), "the start was not taken");
    }

    /// Sends a message and what it asks to send after it; answers whether it was taken.
    pub fn send(&mut self, message: Message) -> bool {
        let mut outcome = self.deliver(message);
        let taken = outcome.taken;
        while outcome.effects.contains(&Effect::Continue) {
            outcome = self.deliver(Message::Continue);
        }
        taken
    }

    fn deliver(&mut self, message: Message) -> Outcome {
        let before = self.state.clone();
        let delivery = Delivery { at: self.now, message };
        let future = advance(&self.program, before.clone(), delivery, &mut self.evaluator);
        let (state, outcome) = block_on(sendable(future));
        // What is kept is text.
        let text = serde_json::to_string(&state).unwrap();
        assert_eq!(serde_json::from_str::<State>(&text).unwrap(), state);
        let text = serde_json::to_string(&outcome.record).unwrap();
        let record: Record = serde_json::from_str(&text).unwrap();
        // The journal gives the same state without computing anything.
        let (again, gaps) = block_on(retake(&self.program, before.clone(), &record));
        assert_eq!((&again, gaps), (&state, 0));
        if !outcome.taken {
            assert_eq!(before, state, "a message that is not taken changes nothing");
            assert_eq!(outcome.effects, []);
        }
        self.state = state;
        self.records.push(record);
        for effect in &outcome.effects {
            self.apply(effect.clone());
        }
        outcome
    }

    /// Does what an effect asks for, and checks that it makes sense.
    fn apply(&mut self, effect: Effect) {
        match effect {
            Effect::AddUnit(unit) => {
                if !unit.detached {
                    self.ended.remove(&unit.step);
                    let old = self.units.insert(unit.step.clone(), *unit);
                    assert!(old.is_none(), "a unit is added twice: {old:?}");
                }
            }
            Effect::CancelUnit { step } => {
                assert!(self.units.remove(&step).is_some() || self.ended.remove(&step), "{step}");
            }
            Effect::SetTimer { name, at } => {
                self.ended.remove(&name);
                self.timers.insert(name, at);
            }
            Effect::ClearTimer { name } => {
                assert!(self.timers.remove(&name).is_some() || self.ended.remove(&name), "{name}");
            }
            Effect::Wait(plan) => assert!(self.waits.insert(plan.name.clone(), plan).is_none()),
            Effect::ClearWait { name } => assert!(self.waits.remove(&name).is_some(), "{name}"),
            Effect::Emit { event } => self.emitted.push(event),
            Effect::StartChild(child) => {
                if !child.detached {
                    assert!(self.children.insert(child.step.clone(), *child).is_none());
                }
            }
            Effect::CancelChild { step } => assert!(self.children.remove(&step).is_some()),
            Effect::Incident { step, .. } => assert!(self.incidents.insert(step)),
            Effect::ClearIncident { step } => assert!(self.incidents.remove(&step), "{step}"),
            Effect::Continue => {}
            Effect::Finished { .. } | Effect::Faulted { .. } | Effect::Cancelled => {
                self.ends += 1;
                // Nothing is left over in the world of an instance that has ended.
                assert_eq!(self.units.keys().collect::<Vec<_>>(), Vec::<&String>::new());
                assert_eq!(self.waits.keys().collect::<Vec<_>>(), Vec::<&String>::new());
                assert_eq!(self.children.keys().collect::<Vec<_>>(), Vec::<&String>::new());
                assert_eq!(self.incidents, BTreeSet::new());
                assert_eq!(self.timers, BTreeMap::new());
            }
        }
    }

    /// Fires the timer that is next, at its time.
    pub fn fire(&mut self, name: &str) -> bool {
        let at = self.timers.remove(name).unwrap_or_else(|| panic!("no timer {name}"));
        self.now = self.now.max(at);
        self.send(Message::TimerFired { name: name.to_owned() })
    }

    /// Lists the steps to which something happened, in their order.
    pub fn steps(&self, what: What) -> Vec<String> {
        let notes = self.records.iter().flat_map(|record| &record.notes);
        notes.filter(|note| note.what == what).filter_map(|note| note.step.clone()).collect()
    }
}

/// Drivers run on several threads.
fn sendable<T>(future: impl Future<Output = T> + Send) -> impl Future<Output = T> + Send {
    future
}

/// Runs a future that never waits.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("nothing here waits"),
    }
}
