//! Driving instances on: whatever a commit tells an instance is taken up at once by the node that
//! committed it, and by any other if that node is gone.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use flow::{
    instance::{self, Advance, Kept, Left, Loaded},
    run::{Answer, Ask, Evaluate, Program, Snapshot},
};
use model::{EventBody, Id, Namespace, Read, Result, limits};
use tokio::sync::{Semaphore, mpsc};

use super::{instance as events, job, pipeline};
use crate::shared::Shared;

/// Instances that one node drives on at the same time.
const AT_ONCE: usize = 64;
/// What may wait to be taken up; more waits for its timer.
const QUEUE_MAX: usize = 65_536;
/// Compiled definitions that are kept.
const PROGRAMS_MAX: usize = 256;
/// Times that somebody else may be faster before an instance is left to them.
const STALE_MAX: usize = 8;

/// What this node has to take up.
pub(crate) struct Drivers {
    queue: mpsc::Sender<(Namespace, Left)>,
    queued: Mutex<Option<mpsc::Receiver<(Namespace, Left)>>>,
    /// What is under way, and whether it is to be looked at once more.
    busy: Mutex<HashMap<(Namespace, Left), bool>>,
    programs: Mutex<HashMap<(Id, Id, String), Arc<Program>>>,
    steps: mpsc::Sender<Namespace>,
    stepping: Mutex<Option<mpsc::Receiver<Namespace>>>,
}

impl Default for Drivers {
    fn default() -> Self {
        let (queue, queued) = mpsc::channel(QUEUE_MAX);
        let (steps, stepping) = mpsc::channel(QUEUE_MAX);
        Self {
            queue,
            queued: Mutex::new(Some(queued)),
            busy: Mutex::default(),
            programs: Mutex::default(),
            steps,
            stepping: Mutex::new(Some(stepping)),
        }
    }
}

impl Drivers {
    /// Takes up what a commit has left.
    pub(crate) fn hear(&self, namespace: &Namespace, events: &[EventBody]) {
        for event in events {
            match event {
                EventBody::InstancesChanged(ids) => {
                    ids.iter().for_each(|id| self.push(namespace, Left::Instance(*id)));
                }
                EventBody::EventsReceived(first, last) => {
                    (*first..=*last).for_each(|seq| self.push(namespace, Left::Event(seq)));
                }
                EventBody::UnitsAdded(spec, _) if spec.as_str().starts_with("lockstep.") => {
                    // Where nobody does steps, or they are many, they are found by looking.
                    let _nobody = self.steps.try_send(namespace.clone());
                }
                _ => {}
            }
        }
    }

    /// Gives the namespaces in which steps for the server come up; only the first who asks gets
    /// them.
    pub(crate) fn steps(&self) -> Option<mpsc::Receiver<Namespace>> {
        self.stepping.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Takes something up.
    pub(crate) fn push(&self, namespace: &Namespace, left: Left) {
        // What finds no room is taken up when its timer falls due, as if its node were gone.
        let _late = self.queue.try_send((namespace.clone(), left));
    }

    /// Begins with something, unless it is under way; then it is looked at once more after that.
    fn begin(&self, what: &(Namespace, Left)) -> bool {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        match busy.get_mut(what) {
            Some(again) => {
                *again = true;
                false
            }
            None => {
                busy.insert(what.clone(), false);
                true
            }
        }
    }

    /// Ends something; tells whether it is to be looked at once more.
    fn end(&self, what: &(Namespace, Left)) -> bool {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        match busy.get_mut(what) {
            Some(again) if *again => {
                *again = false;
                true
            }
            _ => {
                busy.remove(what);
                false
            }
        }
    }

    fn program(&self, key: &(Id, Id, String)) -> Option<Arc<Program>> {
        let programs = self.programs.lock().unwrap_or_else(PoisonError::into_inner);
        programs.get(key).map(Arc::clone)
    }

    fn keep(&self, key: (Id, Id, String), program: &Arc<Program>) {
        let mut programs = self.programs.lock().unwrap_or_else(PoisonError::into_inner);
        if programs.len() >= PROGRAMS_MAX {
            // What is used is soon there again; versions never change, so none is ever wrong.
            programs.clear();
        }
        programs.insert(key, Arc::clone(program));
    }
}

/// Takes up what commits leave, for ever.
pub(crate) async fn run(shared: &Arc<Shared>) {
    let queued = shared.drivers.queued.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(mut queued) = queued else { return };
    let room = Arc::new(Semaphore::new(AT_ONCE));
    while let Some(what) = queued.recv().await {
        if !shared.drivers.begin(&what) {
            continue;
        }
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        let shared = Arc::clone(shared);
        tokio::spawn(async move {
            loop {
                let (namespace, left) = &what;
                let outcome = match left {
                    Left::Instance(id) => drive(&shared, namespace, *id).await,
                    Left::Event(seq) => events::deliver(&shared, namespace, *seq).await,
                    Left::Run(run) => pipeline::take_up(&shared, namespace, *run).await,
                };
                if let Err(error) = outcome {
                    // Its timer is still there, so that it is taken up again.
                    tracing::warn!(%namespace, ?left, %error, "could not be taken up");
                }
                if !shared.drivers.end(&what) {
                    break;
                }
            }
            drop(place);
        });
    }
}

/// Takes the messages of an instance until there are none.
async fn drive(shared: &Arc<Shared>, namespace: &Namespace, id: Id) -> Result<()> {
    let mut stale = 0;
    while stale < STALE_MAX {
        let found = job::look(shared, {
            let namespace = namespace.clone();
            move |tx| match queue::live(tx, &namespace) {
                Ok((_, live)) => Ok(instance::load(tx, live, id)?.map(|loaded| (live, loaded))),
                Err(model::Error::NoSuchNamespace(_)) => Ok(None),
                Err(error) => Err(error),
            }
        });
        let Some((live, loaded)) = found.await? else { return Ok(()) };
        if loaded.inbox.is_empty() {
            return Ok(());
        }
        let advanced = advance(shared, (namespace, live), loaded).await?;
        let keep = move |work: &mut queue::Work<'_>| instance::advance(work, &advanced);
        match job::change(shared, namespace, keep).await?.value {
            Kept::Still => return Ok(()),
            Kept::More => {}
            Kept::Stale => {
                metrics::counter!("lockstep_instance_conflicts_total").increment(1);
                stale += 1;
            }
        }
    }
    Ok(())
}

/// Computes what an instance becomes by its messages, outside of any transaction.
async fn advance(
    shared: &Arc<Shared>,
    (namespace, live): (&Namespace, Id),
    loaded: Loaded,
) -> Result<Advance> {
    let Loaded { row, inbox } = loaded;
    let program = program(shared, live, row.definition, &row.body.version).await?;
    let mut state = row.body.state.map(|state| state.read()).transpose()?.unwrap_or_default();
    let (seal, of) = (row.body.seal, Arc::clone(&program));
    let (place, refused) = ((namespace.clone(), live), None);
    let mut evaluator = Evaluator { shared: Arc::clone(shared), program: of, place, seal, refused };
    let mut taken = Vec::with_capacity(inbox.len());
    for told in inbox {
        let delivery = told.delivery.clone();
        let (next, outcome) = flow::run::advance(&program, state, delivery, &mut evaluator).await;
        state = next;
        taken.push((told, outcome));
    }
    if let Some(refused) = evaluator.refused {
        return Err(refused);
    }
    let kept = shared.instances_kept.get().copied().unwrap_or(limits::INSTANCE_KEPT);
    let (seq, status, state) = (row.body.seq, state.status, Snapshot::of(&state)?);
    Ok(Advance { instance: row.id, program, kept, seq, taken, state, status })
}

/// Tells what an instance was before and after an entry of its journal.
pub(crate) async fn states(
    shared: &Arc<Shared>,
    namespace: &Namespace,
    id: Id,
    seq: u64,
) -> Result<Read> {
    let load = {
        let namespace = namespace.clone();
        move |tx: &mut dyn store::Tx| {
            let (as_of, live) = queue::live(tx, &namespace)?;
            Ok((as_of, live, instance::replay(tx, live, id, seq)?))
        }
    };
    let (as_of, live, replay) = job::look(shared, load).await?;
    let program = program(shared, live, replay.definition, &replay.version).await?;
    Ok(Read { as_of, answer: model::Answer::Instances(replay.states(&program).await) })
}

async fn program(
    shared: &Arc<Shared>,
    live: Id,
    definition: Id,
    version: &str,
) -> Result<Arc<Program>> {
    let key = (live, definition, version.to_owned());
    if let Some(program) = shared.drivers.program(&key) {
        return Ok(program);
    }
    let version = version.to_owned();
    let load = move |tx: &mut dyn store::Tx| instance::program(tx, live, definition, &version);
    let program = Arc::new(job::look(shared, load).await?);
    shared.drivers.keep(key, &program);
    Ok(program)
}

/// Computes in the children of this node.
struct Evaluator {
    shared: Arc<Shared>,
    program: Arc<Program>,
    place: (Namespace, Id),
    /// That of the instance.
    seal: u64,
    /// Why a secret could not be opened, with which nothing of what was computed counts.
    refused: Option<model::Error>,
}

impl Evaluate for Evaluator {
    async fn evaluate(&mut self, mut asks: Vec<Ask>) -> Vec<Answer> {
        for ask in &mut asks {
            if let Ask::Expression { variables, secrets: true, .. } = ask {
                let (namespace, live) = (&self.place.0, self.place.1);
                let names = &self.program.secrets;
                let found = self.shared.secrets_of((namespace, live), names, self.seal).await;
                let secrets = found.unwrap_or_else(|error| {
                    self.refused.get_or_insert(error);
                    serde_json::Value::default()
                });
                variables.insert("secrets".to_owned(), secrets);
            }
        }
        self.shared.evaluate(asks).await
    }
}
