//! Clients: they write, delete, recreate and read by name, each through any node.

use model::{
    AddUnits, Answer, Command, Committed, Data, Error, Event, Namespace, NewUnit, Page, Query,
    QueueCommand, Read, Result, Revision, SetUnits, SpecName, SpecRef, UnitChange, UnitFilter,
    UnitMeta, UnitName, UnitRef, UpdateWorker, WorkerName, Write,
};
use serde_json::json;

use super::{Deed, Found, Key, State, UNITS};
use crate::rig::Random;

/// Of a hundred deeds, so many are reads.
const READS: usize = 60;

/// The way of one client to the nodes; it repeats what is not answered, at any node.
pub trait Door {
    /// Writes; the write has a key, so that it can be repeated.
    ///
    /// # Errors
    /// If it is refused.
    fn write(&mut self, write: &Write) -> Result<Committed>;

    /// Reads.
    ///
    /// # Errors
    /// If it is refused.
    fn read(&mut self, query: &Query, at_least: Revision) -> Result<Read>;

    /// Gives the whole history of a namespace as one node shows it.
    ///
    /// # Errors
    /// If it is refused.
    fn events(&mut self, node: usize, namespace: &Namespace) -> Result<Vec<Event>>;
}

/// Plays a client, and gives what it did.
///
/// # Errors
/// If a node answers what it never should.
pub fn play(
    door: &mut impl Door,
    namespace: &Namespace,
    client: u64,
    deeds: usize,
    random: &mut Random,
) -> Result<Vec<Deed>> {
    let mut player = Player { door, namespace, client, calls: 0, seen: 0, deeds: Vec::new() };
    while player.deeds.len() < deeds {
        if random.percent(READS) {
            let keys: Vec<Key> = Key::all().collect();
            let key = *random.pick(&keys);
            player.read(key)?;
        } else {
            let act = match random.below(20) {
                0 => Act::DestroySpec,
                1 | 2 => Act::SetSpec,
                3 | 4 => Act::UpdateWorker,
                5 => Act::DeleteAll,
                6..10 => Act::Delete(random.below(UNITS)),
                _ => Act::Add(random.below(UNITS)),
            };
            player.write(act)?;
        }
    }
    Ok(player.deeds)
}

/// Reads every key at the end, when the newest revision is known.
///
/// # Errors
/// If a node answers what it never should.
pub fn look_at_all(
    door: &mut impl Door,
    namespace: &Namespace,
    newest: Revision,
) -> Result<Vec<Deed>> {
    let mut player =
        Player { door, namespace, client: 0, calls: 0, seen: newest, deeds: Vec::new() };
    Key::all().try_for_each(|key| player.read(key))?;
    Ok(player.deeds)
}

/// Gives the name of a unit.
pub(super) fn unit(number: usize) -> String {
    format!("unit-{number}")
}

#[derive(Clone, Copy)]
enum Act {
    SetSpec,
    DestroySpec,
    Add(usize),
    Delete(usize),
    DeleteAll,
    UpdateWorker,
}

struct Player<'a, D> {
    door: &'a mut D,
    namespace: &'a Namespace,
    client: u64,
    calls: u64,
    /// The last revision that was seen.
    seen: Revision,
    deeds: Vec<Deed>,
}

impl<D: Door> Player<'_, D> {
    fn write(&mut self, act: Act) -> Result<()> {
        self.calls += 1;
        let value = self.client * 1_000_000 + self.calls;
        let request_id = Some(format!("{}-{}", self.client, self.calls));
        let (commands, keys) = meant(act, value)?;
        let write = Write { request_id, ..Write::of(self.namespace, commands) };
        let Committed { revision, .. } = self.door.write(&write)?;
        self.seen = self.seen.max(revision);
        self.deeds.push(Deed::Wrote { revision, keys });
        Ok(())
    }

    fn read(&mut self, key: Key) -> Result<()> {
        self.calls += 1;
        let at_least = self.seen;
        let spec = SpecRef { name: SpecName::new("spec")?, id: None };
        let namespace = self.namespace.clone();
        let query = match key {
            Key::Spec => Query::Spec(namespace, spec),
            Key::Unit(number) => {
                let name = unit_name(number)?;
                Query::Unit(namespace, UnitRef { spec: spec.name, name, id: None })
            }
            Key::Worker => Query::Worker(namespace, WorkerName::new("worker")?),
        };
        let found = match self.door.read(&query, at_least) {
            Ok(Read { as_of, answer }) => {
                self.seen = self.seen.max(as_of);
                Found::Value { value: value_of(answer)?, as_of }
            }
            Err(
                Error::NoSuchNamespace(_)
                | Error::NoSuchWorkSpec(_)
                | Error::NoSuchWorkUnit(_)
                | Error::NoSuchWorker(_),
            ) => {
                // Such an answer names no revision, so the client looks which one there is.
                let specs = Query::Specs(self.namespace.clone(), Page { after: None, limit: 1 });
                match self.door.read(&specs, at_least) {
                    Ok(read) => self.seen = self.seen.max(read.as_of),
                    Err(Error::NoSuchNamespace(_)) => {}
                    Err(error) => return Err(error),
                }
                Found::Absent
            }
            Err(error) => return Err(error),
        };
        self.deeds.push(Deed::Read { key, at_least, found });
        Ok(())
    }
}

/// Gives the commands of an act, and what keys are after it.
///
/// Each sets the spec first, so that none is ever refused: a refusal is not kept under its key, and
/// so a write that was on its way to a frozen node could still take effect after it.
fn meant(act: Act, value: u64) -> Result<(Vec<Command>, Vec<State>)> {
    let spec = SpecRef { name: SpecName::new("spec")?, id: None };
    let set = QueueCommand::SetSpec { data: data(json!({"name": "spec", "value": value}))? };
    let delete = |names| {
        let (spec, filter) = (spec.clone(), UnitFilter { names, ..UnitFilter::default() });
        QueueCommand::SetUnits(SetUnits { spec, filter, change: UnitChange::Delete })
    };
    let gone = (0..UNITS).map(|number| (Key::Unit(number), None));
    let is_set = (Key::Spec, Some(value));
    let (commands, keys) = match act {
        Act::SetSpec => (vec![set], vec![is_set]),
        Act::DestroySpec => {
            let destroy = QueueCommand::DestroySpec { spec };
            (vec![set, destroy], gone.chain([(Key::Spec, None)]).collect())
        }
        Act::Add(number) => {
            let (name, data) = (unit_name(number)?, data(json!({"value": value}))?);
            let unit = NewUnit { name, data, meta: UnitMeta::default(), delay: None };
            let add = QueueCommand::AddUnits(AddUnits { spec, units: vec![unit] });
            (vec![set, add], vec![is_set, (Key::Unit(number), Some(value))])
        }
        Act::Delete(number) => {
            let delete = delete(Some(vec![unit_name(number)?]));
            (vec![set, delete], vec![is_set, (Key::Unit(number), None)])
        }
        Act::DeleteAll => (vec![set, delete(None)], gone.chain([is_set]).collect()),
        Act::UpdateWorker => {
            let update = QueueCommand::UpdateWorker(UpdateWorker {
                worker: WorkerName::new("worker")?,
                mode: "playing".to_owned(),
                data: data(json!({"value": value}))?,
                expiration: None,
                last_update: None,
            });
            (vec![update], vec![(Key::Worker, Some(value))])
        }
    };
    Ok((commands.into_iter().map(Command::from).collect(), keys))
}

fn unit_name(number: usize) -> Result<UnitName> {
    UnitName::new(unit(number).into_bytes())
}

fn data(value: serde_json::Value) -> Result<Data> {
    model::data_from_json(&value)
}

fn value_of(answer: Answer) -> Result<u64> {
    let data = match answer {
        Answer::Spec(spec) => spec.data,
        Answer::Unit(unit) => unit.data,
        Answer::Worker(worker) => worker.data,
        other => return Err(Error::Internal(format!("answered {other:?}"))),
    };
    let json = model::data_to_json(&data);
    let value = json.get("value").and_then(serde_json::Value::as_u64);
    value.ok_or_else(|| Error::Internal(format!("there is {json}")))
}
