//! A piece of work in one namespace: what rules share while one write is applied.

use model::{
    Claim, Error, EventBody, Id, Namespace, QueueCommand, Reply, Result, Revision, SpecName,
    SpecRef, Time, TraceContext, UnitRef, limits,
};
use store::{Range, Tx, TxExt as _, Value, tables};

use crate::{
    Ready, add, attempt, claim, lock, namespace,
    rows::{CounterRow, HistoryRow, NamespaceRow, SpecRow, UnitRow},
    set_units, spec, worker,
};

/// The state that rules share while one write is applied to one namespace.
pub struct Work<'t> {
    /// The transaction.
    pub tx: &'t mut dyn Tx,
    /// The time of the write.
    pub now: Time,
    /// What has happened so far; a write that leaves this empty has changed nothing.
    pub events: Vec<EventBody>,
    /// The trace of what this write begins, where anybody takes the spans of traces.
    pub trace: Option<TraceContext>,
    /// The incarnation that keys everything in the namespace.
    pub(crate) live: Id,
    /// Whether the namespace is removed by this write.
    pub(crate) destroyed: bool,
    namespace: NamespaceRow,
    /// The counter behind a namespace that this write creates.
    created: Option<CounterRow>,
    /// Specs seen so far, so that a batch reads and writes each once.
    specs: Vec<SpecSlot>,
    seed: u64,
}

struct SpecSlot {
    row: SpecRow,
    changed: bool,
}

impl<'t> Work<'t> {
    /// Opens a namespace by name; one that does not exist is created if the write changes anything.
    pub fn open(tx: &'t mut dyn Tx, name: &Namespace, now: Time, seed: u64) -> Result<Self> {
        let found: Option<NamespaceRow> = tx.get(vec![Value::Text(name.as_str().into())])?;
        if let Some(row) = &found
            && let Some(live) = row.live
        {
            return Ok(Self::over(tx, row.clone(), live, None, now, seed));
        }
        let key = "namespace";
        let last: Option<CounterRow> = tx.get(vec![Value::Text(key.into())])?;
        let id = last.map_or(0, |last| last.value) + 1;
        let counter = CounterRow { name: key.to_owned(), value: id };
        let row = NamespaceRow {
            name: name.clone(),
            id: found.as_ref().map_or(id, |old| old.id),
            live: Some(id),
            revision: found.as_ref().map_or(0, |old| old.revision),
            last_id: found.as_ref().map_or(0, |old| old.last_id),
        };
        Ok(Self::over(tx, row, id, Some(counter), now, seed))
    }

    /// Continues in the namespace of an incarnation; none if that one is destroyed.
    pub fn of(tx: &'t mut dyn Tx, live: Id, now: Time) -> Result<Option<Self>> {
        let range = Range::prefix([Value::id(live)]);
        let found: Vec<NamespaceRow> = tx.find(tables::NAMESPACE_LIVE, &range, 1)?;
        Ok(found.into_iter().next().map(|row| Self::over(tx, row, live, None, now, 0)))
    }

    fn over(
        tx: &'t mut dyn Tx,
        namespace: NamespaceRow,
        live: Id,
        created: Option<CounterRow>,
        now: Time,
        seed: u64,
    ) -> Self {
        let (events, trace, specs) = (Vec::new(), None, Vec::new());
        Self { tx, now, events, trace, live, destroyed: false, namespace, created, specs, seed }
    }

    /// Gives the lasting id of the namespace, which keys its history and idempotency keys.
    pub fn history_id(&self) -> Id {
        self.namespace.id
    }

    /// Tells whether the namespace did not exist before this write.
    pub fn is_new(&self) -> bool {
        self.created.is_some()
    }

    /// Gives the incarnation that keys everything in the namespace.
    pub fn live(&self) -> Id {
        self.live
    }

    /// Gives the name of the namespace.
    pub fn name(&self) -> &Namespace {
        &self.namespace.name
    }

    /// Gives the revision that the namespace will have if the write changes anything.
    pub fn next_revision(&self) -> Revision {
        self.namespace.revision + 1
    }

    /// Takes the next incarnation id.
    pub fn next_id(&mut self) -> Id {
        self.namespace.last_id += 1;
        self.namespace.last_id
    }

    /// Tells whether an incarnation id was given at some time.
    pub(crate) fn was_given(&self, id: Id) -> bool {
        id > 0 && id <= self.namespace.last_id
    }

    /// Draws the next number of this write's seed (SplitMix64).
    pub fn draw(&mut self) -> u64 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Gives a spec by name, if it exists.
    pub(crate) fn find_spec(&mut self, name: &SpecName) -> Result<Option<SpecRow>> {
        self.look_at_spec(name).map(|row| row.cloned())
    }

    /// Shows a spec by name, if it exists.
    pub(crate) fn look_at_spec(&mut self, name: &SpecName) -> Result<Option<&SpecRow>> {
        let place = match self.specs.iter().position(|slot| slot.row.name == *name) {
            Some(place) => place,
            None => {
                let row: Option<SpecRow> = self.tx.get(SpecRow::key(self.live, name))?;
                let Some(row) = row else { return Ok(None) };
                self.specs.push(SpecSlot { row, changed: false });
                self.specs.len() - 1
            }
        };
        Ok(self.specs.get(place).map(|slot| &slot.row))
    }

    /// Gives a spec by name, and by incarnation where one is asked for.
    pub(crate) fn spec(&mut self, spec: &SpecRef) -> Result<SpecRow> {
        match self.find_spec(&spec.name)? {
            Some(row) if spec.id.is_none_or(|id| id == row.id) => Ok(row),
            Some(_) => Err(Error::Gone),
            None if spec.id.is_some() => Err(Error::Gone),
            None => Err(Error::NoSuchWorkSpec(spec.name.to_string())),
        }
    }

    /// Gives a unit and its spec by name, and by incarnation where one is asked for.
    pub(crate) fn unit(&mut self, unit: &UnitRef) -> Result<(SpecRow, UnitRow)> {
        let spec = self.spec(&SpecRef { name: unit.spec.clone(), id: None })?;
        let row: Option<UnitRow> = self.tx.get(UnitRow::key(self.live, spec.id, &unit.name))?;
        match row {
            Some(row) if unit.id.is_none_or(|id| id == row.id) => Ok((spec, row)),
            None if unit.id.is_none() => Err(Error::NoSuchWorkUnit(unit.name.to_string())),
            _ => Err(Error::Gone),
        }
    }

    /// Gives those specs of the namespace that a claim names, or else all, in name order.
    pub(crate) fn specs_of(&mut self, claim: &Claim) -> Result<Vec<SpecRow>> {
        if claim.specs.is_empty() {
            return self.all_specs();
        }
        let mut names: Vec<_> = claim.specs.iter().collect();
        names.sort_unstable();
        names.dedup();
        names.into_iter().filter_map(|name| self.find_spec(name).transpose()).collect()
    }

    /// Gives all specs of the namespace in name order.
    fn all_specs(&mut self) -> Result<Vec<SpecRow>> {
        self.save_specs()?;
        self.tx.find(tables::SPEC_NAME, &Range::prefix([Value::id(self.live)]), u32::MAX)
    }

    /// Keeps a changed spec, to be saved when the write is closed.
    pub(crate) fn put_spec(&mut self, row: SpecRow) {
        match self.specs.iter_mut().find(|slot| slot.row.name == row.name) {
            Some(slot) => *slot = SpecSlot { row, changed: true },
            None => self.specs.push(SpecSlot { row, changed: true }),
        }
    }

    /// Forgets a spec that was removed.
    pub(crate) fn drop_spec(&mut self, name: &SpecName) {
        self.specs.retain(|slot| slot.row.name != *name);
    }

    fn save_specs(&mut self) -> Result<()> {
        for slot in &mut self.specs {
            if slot.changed {
                self.tx.put(&slot.row)?;
                slot.changed = false;
            }
        }
        Ok(())
    }

    /// Saves what is shared and writes the history row.
    pub fn close(mut self) -> Result<Closed> {
        if self.events.is_empty() {
            let (revision, events) = (self.namespace.revision, self.events);
            return Ok(Closed { revision, events, ready: Vec::new() });
        }
        if let Some(counter) = self.created.take() {
            self.tx.put(&counter)?;
            if self.events.first() != Some(&EventBody::NamespaceCreated) {
                self.events.insert(0, EventBody::NamespaceCreated);
            }
        }
        let mut ready = Vec::new();
        if !self.destroyed {
            ready.extend(self.specs.iter().filter_map(|slot| slot.row.ready(self.now)));
            self.save_specs()?;
        }
        self.namespace.revision += 1;
        self.namespace.live = Some(self.live).filter(|_| !self.destroyed);
        self.tx.put(&self.namespace)?;
        let history = HistoryRow {
            namespace: self.namespace.id,
            revision: self.namespace.revision,
            time: self.now,
            bodies: self.events,
        };
        self.tx.add(&history)?;
        trim_history(self.tx, self.namespace.id, self.namespace.revision)?;
        Ok(Closed { revision: history.revision, events: history.bodies, ready })
    }
}

/// What a closed piece of work leaves.
#[derive(Debug, Default)]
pub struct Closed {
    /// The namespace's revision.
    pub revision: Revision,
    /// What happened; empty if nothing has changed.
    pub events: Vec<EventBody>,
    /// Which of the changed specs have work for waiting claims.
    pub ready: Vec<Ready>,
}

/// How many history rows are trimmed at once, and so how many revisions pass between two trims.
const TRIM: u64 = 256;

fn trim_history(tx: &mut dyn Tx, namespace: Id, revision: Revision) -> Result<()> {
    if !revision.is_multiple_of(TRIM) || revision <= limits::HISTORY_MAX {
        return Ok(());
    }
    let newest = revision - limits::HISTORY_MAX;
    let oldest = newest.saturating_sub(TRIM) + 1;
    let keys: Vec<_> =
        (oldest..=newest).map(|r| vec![Value::id(namespace), Value::id(r)]).collect();
    tx.remove(&tables::HISTORY, &keys)
}

/// Applies one command of a write.
pub fn apply(work: &mut Work<'_>, command: &QueueCommand) -> Result<Reply> {
    if work.destroyed {
        return Err(Error::bad_input("destroying a namespace must be the last command of a write"));
    }
    match command {
        QueueCommand::CreateNamespace => namespace::create(work),
        QueueCommand::DestroyNamespace => namespace::destroy(work),
        QueueCommand::SetSpec { data } => spec::set(work, data),
        QueueCommand::ChangeSpec { spec, data } => spec::change(work, spec, data),
        QueueCommand::SetSpecMeta { spec, meta } => spec::set_meta(work, spec, meta),
        QueueCommand::ControlSpec { spec, control } => spec::control(work, spec, control),
        QueueCommand::DestroySpec { spec } => spec::destroy(work, spec),
        QueueCommand::AddUnits(command) => add::add_units(work, command),
        QueueCommand::SetUnits(command) => set_units::set_units(work, command),
        QueueCommand::Claim(command) => claim::claim(work, command),
        QueueCommand::MakeAttempt(command) => claim::make_attempt(work, command),
        QueueCommand::ChangeAttempts(command) => attempt::change_attempts(work, command),
        QueueCommand::ClearActive { unit } => set_units::clear_active(work, unit),
        QueueCommand::CreateWorker { worker } => worker::create(work, worker),
        QueueCommand::UpdateWorker(command) => worker::update(work, command),
        QueueCommand::DeactivateWorker { worker } => worker::deactivate(work, worker),
        QueueCommand::SetParent { worker, parent } => {
            worker::set_parent(work, worker, parent.as_ref())
        }
        QueueCommand::ChangeLocks(command) => lock::change_locks(work, command),
        QueueCommand::DropLocks { path } => lock::drop_locks(work, path),
    }
}
