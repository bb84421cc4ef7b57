//! Claims that wait for work: a commit wakes as many as it has units for, and no more.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use model::{Claim, Command, Namespace, QueueCommand, Revision, SpecName, Time, Write};
use queue::Ready;
use tokio::sync::{Notify, oneshot};

/// All claims that wait, in the order in which they came.
#[derive(Default)]
pub(crate) struct Waiters {
    /// How many wait; read without the lock, so that commits pay nothing while nobody waits.
    count: AtomicUsize,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    claims: HashMap<Namespace, VecDeque<Entry>>,
    /// The revisions at which other nodes' work was looked for.
    seen: HashMap<Namespace, Revision>,
    /// Continuous specs that have work at a later time.
    later: HashMap<(Namespace, SpecName), Ready>,
}

struct Entry {
    claims: Vec<Claim>,
    bell: oneshot::Sender<Ready>,
}

/// One waiting write. If it leaves after it was woken and before it looked, the next is woken.
pub(crate) struct Waiter<'a> {
    waiters: &'a Waiters,
    namespace: Namespace,
    bell: oneshot::Receiver<Ready>,
}

impl Waiter<'_> {
    /// Waits until there may be work.
    pub(crate) async fn woken(&mut self) {
        // The other end is only dropped together with the engine.
        let _woken_or_gone = (&mut self.bell).await;
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.bell.close();
        if let Ok(ready) = self.bell.try_recv() {
            self.waiters.wake_now(&self.namespace, &[&ready]);
        }
    }
}

impl Waiters {
    /// Puts the claims of a write at the end of the line.
    pub(crate) fn register(&self, write: &Write) -> Waiter<'_> {
        let (bell, receiver) = oneshot::channel();
        let claims = write.commands.iter().filter_map(|command| match command {
            Command::Queue(QueueCommand::Claim(claim)) => Some(claim.clone()),
            _ => None,
        });
        let entry = Entry { claims: claims.collect(), bell };
        let mut waiting = self.lock();
        let line = waiting.claims.entry(write.namespace.clone()).or_default();
        // Those who have gone leave when somebody new comes.
        line.retain(|entry| !entry.bell.is_closed());
        line.push_back(entry);
        self.note_count(&waiting);
        Waiter { waiters: self, namespace: write.namespace.clone(), bell: receiver }
    }

    /// Wakes claims that suit what has become ready, as many as there are units.
    pub(crate) fn wake(&self, namespace: &Namespace, ready: &[Ready], bell: &Notify) {
        if ready.is_empty() || self.count.load(Ordering::Acquire) == 0 {
            return;
        }
        let (now, later): (Vec<_>, Vec<_>) = ready.iter().partition(|ready| ready.at.is_none());
        self.wake_now(namespace, &now);
        self.expect(namespace, later.into_iter().cloned().collect(), bell);
    }

    fn wake_now(&self, namespace: &Namespace, ready: &[&Ready]) {
        let mut waiting = self.lock();
        if let Some(line) = waiting.claims.get_mut(namespace) {
            ready.iter().for_each(|ready| wake_line(line, ready));
            if line.is_empty() {
                waiting.claims.remove(namespace);
            }
        }
        self.note_count(&waiting);
    }

    /// Notes work that will be there at a later time by itself.
    pub(crate) fn expect(&self, namespace: &Namespace, later: Vec<Ready>, bell: &Notify) {
        if later.is_empty() {
            return;
        }
        let mut waiting = self.lock();
        for ready in later {
            waiting.later.insert((namespace.clone(), ready.spec.clone()), ready);
        }
        drop(waiting);
        bell.notify_one();
    }

    /// Tells whether any claim waits.
    pub(crate) fn any(&self) -> bool {
        self.count.load(Ordering::Acquire) > 0
    }

    /// Gives the namespaces in which claims wait, each with the revision that was seen last.
    pub(crate) fn namespaces(&self) -> Vec<(Namespace, Revision)> {
        if self.count.load(Ordering::Acquire) == 0 {
            return Vec::new();
        }
        let mut waiting = self.lock();
        let Waiting { claims, seen, .. } = &mut *waiting;
        seen.retain(|namespace, _| claims.contains_key(namespace));
        let seen = |namespace| seen.get(namespace).copied().unwrap_or(0);
        claims.keys().map(|namespace| (namespace.clone(), seen(namespace))).collect()
    }

    /// Notes that work was looked for as of a revision.
    pub(crate) fn saw(&self, namespace: &Namespace, revision: Revision) {
        self.lock().seen.insert(namespace.clone(), revision);
    }

    /// Tells when the next such work is there.
    pub(crate) fn next(&self) -> Option<Time> {
        self.lock().later.values().filter_map(|ready| ready.at).min()
    }

    /// Wakes claims for such work whose time has come.
    pub(crate) fn wake_due(&self, now: Time, bell: &Notify) {
        let mut waiting = self.lock();
        let due = |ready: &Ready| ready.at.is_none_or(|at| at <= now);
        let keys: Vec<_> =
            waiting.later.iter().filter(|(_, r)| due(r)).map(|(key, _)| key.clone()).collect();
        let due: Vec<_> = keys.iter().filter_map(|key| waiting.later.remove_entry(key)).collect();
        drop(waiting);
        for ((namespace, _), ready) in due {
            self.wake(&namespace, &[Ready { at: None, ..ready }], bell);
        }
    }

    fn note_count(&self, waiting: &Waiting) {
        self.count.store(waiting.claims.values().map(VecDeque::len).sum(), Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing in here can panic half-way, so a poisoned lock still guards good state.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wake_line(line: &mut VecDeque<Entry>, ready: &Ready) {
    let mut left = ready.count;
    let mut position = 0;
    while left > 0 && position < line.len() {
        let suits = line.get(position).is_some_and(|e| e.claims.iter().any(|c| ready.suits(c)));
        if !suits {
            position += 1;
            continue;
        }
        // Only those who still listen use up a unit.
        if let Some(entry) = line.remove(position)
            && entry.bell.send(Ready { count: 1, ..ready.clone() }).is_ok()
        {
            left -= 1;
        }
    }
}
