//! One message at work: the state as it changes, and what it leads to.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use model::Time;
use serde_json::Value as Json;

use super::{
    evaluate::Evaluate,
    fault::{Fault, Standard},
    message::Delivery,
    outcome::{Answer, Effect, Note, Outcome, Record, What},
    program::{Next, Program, Step},
    state::{Body, Doing, Frame, ListBody, Round, State, Status, TaskBody, Timer, TimerKind, Todo},
};
use crate::limits;

/// Takes a message.
///
/// The state that comes back is the next one, and the outcome belongs to it: keep all or nothing.
pub async fn advance<E: Evaluate>(
    program: &Program,
    state: State,
    delivery: Delivery,
    evaluator: &mut E,
) -> (State, Outcome) {
    let mut machine = Machine::new(program, state, delivery.at, evaluator, None);
    let taken = machine.take(&delivery.message).await;
    let Machine { state, effects, notes, answers, .. } = machine;
    (state, Outcome { taken, effects, record: Record { delivery, answers, notes } })
}

/// Takes the message of a record again, and gives the next state.
///
/// It needs nobody to compute. The number says how much the record lacks; it is 0 unless the
/// record is not of this program and state.
pub async fn retake(program: &Program, state: State, record: &Record) -> (State, usize) {
    let mut nobody = Nobody;
    let Record { delivery, answers, .. } = record;
    let mut machine = Machine::new(program, state, delivery.at, &mut nobody, Some(answers));
    machine.take(&delivery.message).await;
    (machine.state, machine.gaps)
}

/// Computes nothing.
struct Nobody;

impl Evaluate for Nobody {
    async fn evaluate(&mut self, _: Vec<super::Ask>) -> Vec<Answer> {
        Vec::new()
    }
}

/// A state as it changes.
pub(super) struct Machine<'a, E> {
    pub(super) program: &'a Program,
    pub(super) state: State,
    pub(super) at: Time,
    pub(super) evaluator: &'a mut E,
    /// What was computed when the message was taken for the first time.
    pub(super) recorded: Option<&'a BTreeMap<u32, Answer>>,
    pub(super) asked: u32,
    pub(super) gaps: usize,
    pub(super) answers: BTreeMap<u32, Answer>,
    pub(super) effects: Vec<Effect>,
    pub(super) notes: Vec<Note>,
}

impl<'a, E: Evaluate> Machine<'a, E> {
    fn new(
        program: &'a Program,
        state: State,
        at: Time,
        evaluator: &'a mut E,
        recorded: Option<&'a BTreeMap<u32, Answer>>,
    ) -> Self {
        Self {
            program,
            state,
            at,
            evaluator,
            recorded,
            asked: 0,
            gaps: 0,
            answers: BTreeMap::new(),
            effects: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Does what there is to do, or as much of it as one message may.
    pub(super) async fn work_off(&mut self) {
        let mut left = limits::STEPS_PER_MESSAGE_MAX;
        while matches!(self.state.status, Status::Running | Status::Compensating) {
            if left == 0 && !self.state.todo.is_empty() {
                self.effects.push(Effect::Continue);
                return;
            }
            let Some(todo) = self.state.todo.pop_front() else { return };
            left = left.saturating_sub(1);
            match todo {
                Todo::Enter(frame) => self.enter(frame).await,
                Todo::Finish { frame, output, then } => self.finish(frame, output, then).await,
                Todo::Fail { frame, fault } => self.fail(frame, fault).await,
                Todo::Given { frame, slot, output } => self.given(frame, slot, output).await,
                Todo::Advance(frame) => self.go_on(frame).await,
                Todo::End { output } => self.end(output).await,
                Todo::Undo => self.undo_next(),
            }
        }
    }

    pub(super) fn step(&self, number: u32) -> Option<&'a Step> {
        self.program.steps.get(usize::try_from(number).ok()?)
    }

    /// Gives the step that a frame does.
    pub(super) fn step_of(&self, frame: u64) -> Option<&'a Step> {
        self.step(self.task(frame)?.step)
    }

    pub(super) fn list(&self, number: u32) -> &'a [u32] {
        let list = usize::try_from(number).ok().and_then(|number| self.program.lists.get(number));
        list.map_or(&[], Vec::as_slice)
    }

    pub(super) fn task(&self, frame: u64) -> Option<&TaskBody> {
        match &self.state.frames.get(&frame)?.body {
            Body::Task(task) => Some(task),
            Body::List(_) => None,
        }
    }

    pub(super) fn task_mut(&mut self, frame: u64) -> Option<&mut TaskBody> {
        match &mut self.state.frames.get_mut(&frame)?.body {
            Body::Task(task) => Some(task),
            Body::List(_) => None,
        }
    }

    /// Gives what a task was given.
    pub(super) fn raw_of(&self, frame: u64) -> Arc<Json> {
        let mut id = frame;
        loop {
            if let Some(raw) = self.task(id).and_then(|task| task.raw.as_ref()) {
                return Arc::clone(raw);
            }
            let Some(parent) = self.state.frames.get(&id).and_then(|frame| frame.parent) else {
                return Arc::default();
            };
            if let Some(input) = self.task(parent).and_then(|task| task.input.as_ref()) {
                return Arc::clone(input);
            }
            id = parent;
        }
    }

    /// Gives the input of a task, after it was made into what it is to be.
    pub(super) fn input_of(&self, frame: u64) -> Arc<Json> {
        let input = self.task(frame).and_then(|task| task.input.clone());
        input.unwrap_or_else(|| self.raw_of(frame))
    }

    /// Names what a frame does, as units, timers and waits are named.
    pub(super) fn name_of(&self, frame: u64) -> String {
        let path = self.step_of(frame).map_or("", |step| step.path.as_str());
        let name = self.round_of(frame).name;
        let name = if name.is_empty() { "0" } else { &name };
        format!("{}/{name}", path.trim_start_matches('/'))
    }

    /// Gives the round of a task, the operator's tries included.
    pub(super) fn round_of(&self, frame: u64) -> Round {
        let retried = self.task(frame).map_or(0, |task| task.retried);
        let round = self.state.frames.get(&frame).map(|frame| frame.round.again('t', retried));
        round.unwrap_or_default()
    }

    pub(super) fn note(&mut self, what: What, frame: Option<u64>, data: Json) {
        let step = frame.map(|frame| self.name_of(frame));
        self.notes.push(Note { what, step, data, is_left_out: false });
    }

    fn add_frame(&mut self, frame: Frame) -> u64 {
        let id = self.state.next_frame;
        self.state.next_frame += 1;
        self.state.frames.insert(id, frame);
        id
    }

    /// Begins a list.
    pub(super) fn begin_list(
        &mut self,
        list: u32,
        place: Place,
        variables: BTreeMap<String, Json>,
        given: Given,
    ) {
        let Place { parent, slot, round, at } = place;
        let body = Body::List(ListBody { list, at, laps: 0 });
        let id = self.add_frame(Frame { parent, slot, round: round.clone(), variables, body });
        let first = self.list(list).get(usize::try_from(at).unwrap_or(usize::MAX)).copied();
        match first {
            Some(step) => {
                self.begin_step(step, Place { parent: Some(id), slot: 0, round, at: 0 }, given);
            }
            None => {
                let output = match given {
                    Given::Around => parent.map(|parent| self.input_of(parent)).unwrap_or_default(),
                    Given::This(raw) => raw,
                };
                self.leave(id, Json::clone(&output), Next::Continue);
            }
        }
    }

    /// Begins a step.
    pub(super) fn begin_step(&mut self, step: u32, place: Place, given: Given) {
        let Place { parent, slot, round, .. } = place;
        let raw = match given {
            Given::Around => None,
            Given::This(raw) => Some(raw),
        };
        let doing = Doing::Entering;
        let body = TaskBody { step, started: self.at, raw, input: None, retried: 0, doing };
        let body = Body::Task(body);
        let frame = Frame { parent, slot, round, variables: BTreeMap::new(), body };
        let id = self.add_frame(frame);
        self.state.todo.push_back(Todo::Enter(id));
    }

    /// Ends a frame, and tells the one around it what it gave and where to go on.
    pub(super) fn leave(&mut self, id: u64, output: Json, next: Next) {
        let Some(frame) = self.state.frames.remove(&id) else { return };
        let Some(parent) = frame.parent else {
            let main = self.state.status != Status::Compensating;
            return self.state.todo.push_back(if main { Todo::End { output } } else { Todo::Undo });
        };
        if next == Next::End {
            // To end while a step is undone is to end undoing that step.
            if self.state.status == Status::Compensating {
                let root = self.root_of(parent);
                self.cancel(root);
                return self.state.todo.push_back(Todo::Undo);
            }
            return self.state.todo.push_back(Todo::End { output });
        }
        let slot = frame.slot;
        let Some(around) = self.state.frames.get_mut(&parent) else { return };
        match &mut around.body {
            Body::List(list) => {
                let at = list.at;
                let next = match next {
                    Next::Continue => at.saturating_add(1),
                    Next::Goto(place) => place,
                    Next::Exit | Next::End => u32::MAX,
                };
                list.laps += u32::from(next <= at);
                list.at = next;
                let (number, laps) = (list.list, list.laps);
                let mut round = around.round.clone();
                if laps > 0 {
                    round = round.enter(&format!("l{laps}"));
                }
                let place = usize::try_from(next).unwrap_or(usize::MAX);
                match self.list(number).get(place).copied() {
                    Some(step) => {
                        let place = Place { parent: Some(parent), slot: 0, round, at: 0 };
                        self.begin_step(step, place, Given::this(output));
                    }
                    None => self.leave(parent, output, Next::Continue),
                }
            }
            Body::Task(_) => {
                self.state.todo.push_back(Todo::Given { frame: parent, slot, output });
            }
        }
    }

    pub(super) fn root_of(&self, frame: u64) -> u64 {
        let mut id = frame;
        while let Some(parent) = self.state.frames.get(&id).and_then(|frame| frame.parent) {
            id = parent;
        }
        id
    }

    /// Ends a frame and all below it, whatever they do.
    pub(super) fn cancel(&mut self, id: u64) {
        self.cancel_below(id);
        self.note_cancelled(id);
        self.release(id);
        self.state.frames.remove(&id);
    }

    /// Ends all below a frame.
    pub(super) fn cancel_below(&mut self, id: u64) {
        let mut below = BTreeSet::from([id]);
        // A child has a higher number than its parent, so one pass finds all.
        for (child, frame) in self.state.frames.range(id..) {
            if frame.parent.is_some_and(|parent| below.contains(&parent)) {
                below.insert(*child);
            }
        }
        for child in below.into_iter().rev().filter(|child| *child != id) {
            self.note_cancelled(child);
            self.release(child);
            self.state.frames.remove(&child);
        }
    }

    fn note_cancelled(&mut self, id: u64) {
        let doing = self.task(id).map(|task| &task.doing);
        // What has failed has been told.
        if !matches!(doing, None | Some(Doing::Entering | Doing::Failed(_))) {
            self.note(What::Cancelled, Some(id), Json::Null);
        }
    }

    /// Takes back what the world does for a frame.
    pub(super) fn release(&mut self, id: u64) {
        let Some(task) = self.task(id) else { return };
        let doing = match &task.doing {
            Doing::Unit => Some(Outside::Unit),
            Doing::Child => Some(Outside::Child),
            Doing::Listen(_) => Some(Outside::Wait),
            Doing::Failed(_) => Some(Outside::Incident),
            _ => None,
        };
        let step = self.name_of(id);
        for kind in TimerKind::ALL {
            self.clear_timer(kind.name(&step));
        }
        let Some(outside) = doing else { return };
        let known = self.state.waiting.remove(&step).is_some();
        match outside {
            Outside::Unit if known => self.effects.push(Effect::CancelUnit { step }),
            Outside::Child if known => self.effects.push(Effect::CancelChild { step }),
            Outside::Wait if known => self.effects.push(Effect::ClearWait { name: step }),
            Outside::Incident if known => self.effects.push(Effect::ClearIncident { step }),
            _ => {}
        }
    }

    pub(super) fn set_timer(&mut self, frame: Option<u64>, kind: TimerKind, at: Time) {
        let name = kind.name(&frame.map(|frame| self.name_of(frame)).unwrap_or_default());
        self.effects.push(Effect::SetTimer { name: name.clone(), at });
        self.state.timers.insert(name, Timer { frame, kind, at });
    }

    pub(super) fn clear_timer(&mut self, name: String) {
        if self.state.timers.remove(&name).is_some() {
            self.effects.push(Effect::ClearTimer { name });
        }
    }

    pub(super) fn fail_later(&mut self, frame: u64, fault: Fault) {
        self.state.todo.push_back(Todo::Fail { frame, fault });
    }

    pub(super) fn too_many(what: &str, max: usize) -> Fault {
        Fault::standard(Standard::Runtime, format!("there are more than {max} {what}"))
    }
}

/// Where a frame begins.
pub(super) struct Place {
    pub(super) parent: Option<u64>,
    pub(super) slot: u32,
    pub(super) round: Round,
    /// The first step of a list.
    pub(super) at: u32,
}

/// What a frame begins with.
pub(super) enum Given {
    /// The input of the step around it.
    Around,
    /// This.
    This(Arc<Json>),
}

impl Given {
    pub(super) fn this(value: Json) -> Self {
        Self::This(Arc::new(value))
    }
}

/// What the world does for a step.
enum Outside {
    Unit,
    Child,
    Wait,
    Incident,
}
