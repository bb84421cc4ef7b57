//! What the cache knows, as a plain state machine: it reads no clock, loads nothing, and never
//! waits. Whoever holds it loads outside of it, and brings back what was loaded.
//!
//! Everything rests on revisions. A value is kept with the revision that it was read as of, and a
//! load in flight has a floor, which each commit that touches its key raises: what was read below
//! its floor is not kept. Loads are asked to be at least as new as every commit that was heard of
//! before they began, so a key that is not here needs no floor, and forgetting is always safe.

use std::{collections::HashMap, sync::Arc};

use model::{Answer, Error, Event, EventBody, Id, Namespace, Query, RecordKey, Revision, Time};
use tokio::sync::watch;

use super::{
    kinds::{self, Holds},
    lru::{Bounds, Lru},
    scope::{Scope, spec_of},
};

/// One entry takes at most this part of the whole.
const PARTS_MIN: usize = 8;
/// The state of a cache.
pub(crate) struct Core {
    scopes: Lru<Namespace, Scope>,
    entries: Lru<Query, Entry>,
    fills: HashMap<Query, Fill>,
    /// The last number given to a scope or a fill.
    last: u64,
    counts: CacheCounts,
}

/// What has happened, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheCounts {
    /// Answers from memory.
    pub hits: u64,
    /// Questions by name that had to be loaded.
    pub misses: u64,
    /// Loads whose answer was too old to be kept.
    pub rejected_fills: u64,
    /// Callers who waited for another's load and had to load for themselves.
    pub joiner_retries: u64,
    /// Floors that were raised: for an entry, a load in flight, a spec or a namespace.
    pub floors: u64,
    /// Entries that had to go for others.
    pub evictions: u64,
}

struct Entry {
    epoch: u64,
    as_of: Revision,
    holds: Holds,
    kept: Kept,
}

/// What is kept of a name.
#[derive(Clone)]
pub(crate) enum Kept {
    /// An answer.
    Answer(Arc<Answer>),
    /// That there is nothing of this name.
    Absent(Error),
    /// That answers cannot be kept at present, so that nobody waits for another's load.
    Nothing,
}

/// A load in flight.
struct Fill {
    number: u64,
    epoch: u64,
    floor: Revision,
    /// Whether the namespace was followed when this began, so that nothing could be missed.
    followed: bool,
    /// Wakes those who wait, when this is dropped.
    done: watch::Sender<()>,
}

/// What a caller asks for besides the name.
#[derive(Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) id: Option<Id>,
    pub(crate) at_least: Revision,
    pub(crate) now: Time,
    /// When something falls due next, as far as that is known here.
    pub(crate) next_due: Option<Time>,
}

/// What a caller is to do.
pub(crate) enum Look {
    /// Take this, which is as of a revision.
    Hit(Revision, Kept),
    /// Wait for another's load to end, then look once more.
    Join(watch::Receiver<()>),
    /// Load, and bring the ticket back.
    Load(Ticket),
    /// Load for oneself only, at least as new as this.
    Pass(Revision),
}

/// The right to bring something back.
#[derive(Debug)]
pub(crate) struct Ticket {
    key: Query,
    number: u64,
    /// What the load must be at least as new as.
    pub(crate) floor: Revision,
}

/// What was loaded.
pub(crate) struct Loaded {
    /// What it was read as of; absent if it does not say.
    pub(crate) as_of: Option<Revision>,
    pub(crate) holds: Holds,
    pub(crate) kept: Kept,
}

impl Core {
    pub(crate) fn new(namespaces: usize, entries: Bounds) -> Self {
        Self {
            scopes: Lru::new(Bounds { entries: namespaces.max(1), weight: usize::MAX }),
            entries: Lru::new(entries),
            fills: HashMap::new(),
            last: 0,
            counts: CacheCounts::default(),
        }
    }

    /// Gives the numbers so far.
    pub(crate) fn counts(&self) -> CacheCounts {
        self.counts
    }

    /// Looks for an answer; where there is none, says who loads it.
    pub(crate) fn look(&mut self, namespace: &Namespace, key: &Query, asked: &Asked) -> Look {
        if let Some(hit) = self.hit(namespace, key, asked) {
            return hit;
        }
        self.counts.misses += 1;
        let (epoch, newest, followed) = match self.scopes.get(namespace) {
            Some(scope) => (scope.epoch, scope.newest, scope.applied.is_some()),
            None => {
                let epoch = self.next();
                self.scopes.put(namespace.clone(), Scope::new(epoch), 0);
                (epoch, 0, false)
            }
        };
        if let Some(fill) = self.fills.get(key).filter(|fill| fill.epoch == epoch) {
            return Look::Join(fill.done.subscribe());
        }
        let number = self.next();
        let fill = Fill { number, epoch, floor: newest, followed, done: watch::Sender::new(()) };
        self.fills.insert(key.clone(), fill);
        Look::Load(Ticket { key: key.clone(), number, floor: newest })
    }

    /// Looks once more, for a caller who has waited for another's load.
    pub(crate) fn look_again(&mut self, namespace: &Namespace, key: &Query, asked: &Asked) -> Look {
        self.hit(namespace, key, asked).unwrap_or_else(|| {
            self.counts.joiner_retries += 1;
            Look::Pass(self.newest(namespace))
        })
    }

    /// Gives the newest commit of a namespace that was heard of.
    pub(crate) fn newest(&mut self, namespace: &Namespace) -> Revision {
        self.scopes.peek(namespace).map_or(0, |scope| scope.newest)
    }

    fn hit(&mut self, namespace: &Namespace, key: &Query, asked: &Asked) -> Option<Look> {
        let scope = self.scopes.get(namespace)?;
        let entry = self.entries.get(key)?;
        if entry.epoch != scope.epoch || entry.as_of < scope.floor_of(key) || entry.is_over(asked) {
            self.entries.remove(key);
            return None;
        }
        let as_of = entry.as_of.max(scope.applied.unwrap_or(0));
        let id = match &entry.kept {
            Kept::Answer(answer) => kinds::id_of(answer),
            Kept::Absent(_) => None,
            Kept::Nothing => {
                self.counts.misses += 1;
                return Some(Look::Pass(scope.newest));
            }
        };
        // Another incarnation may be one that was not heard of yet, so the name is looked up again.
        if as_of < asked.at_least || (asked.id.is_some() && asked.id != id) {
            return None;
        }
        self.counts.hits += 1;
        Some(Look::Hit(as_of, entry.kept.clone()))
    }

    /// Takes what was loaded, and keeps it if nothing has touched its key since it was read.
    pub(crate) fn fill(&mut self, ticket: Ticket, loaded: Loaded) {
        let Some(fill) = self.end(&ticket) else {
            self.counts.rejected_fills += 1;
            return;
        };
        let Some(namespace) = ticket.key.namespace() else { return };
        let Some(scope) = self.scopes.peek(namespace).filter(|scope| scope.epoch == fill.epoch)
        else {
            self.counts.rejected_fills += 1;
            return;
        };
        // An answer without a revision is at least as new as the load was asked to be.
        let as_of = loaded.as_of.unwrap_or(ticket.floor);
        if as_of < fill.floor || as_of < scope.floor_of(&ticket.key) {
            self.counts.rejected_fills += 1;
            return;
        }
        if !fill.followed {
            // Nobody would have heard of what was committed since it was read; it only says from
            // where to follow.
            if let (None, Some(position)) = (scope.applied, loaded.as_of) {
                scope.start(position);
            }
            return;
        }
        let newer = |entry: &mut Entry| entry.epoch == fill.epoch && entry.as_of > as_of;
        if self.entries.peek(&ticket.key).is_some_and(newer) {
            return;
        }
        let Loaded { mut holds, mut kept, .. } = loaded;
        let mut weight = kinds::weight(&ticket.key, kept.answer());
        if weight > self.entries.weight_max() / PARTS_MIN {
            (holds, kept, weight) = (Holds::Always, Kept::Nothing, 0);
        }
        let entry = Entry { epoch: fill.epoch, as_of, holds, kept };
        self.counts.evictions += self.entries.put(ticket.key, entry, weight) as u64;
    }

    /// Takes a ticket back from a load that brought nothing to keep.
    pub(crate) fn end(&mut self, ticket: &Ticket) -> Option<FillEnd> {
        let fill = self.fills.get(&ticket.key).filter(|fill| fill.number == ticket.number)?;
        let Fill { epoch, floor, followed, .. } = *fill;
        let end = FillEnd { epoch, floor, followed };
        self.fills.remove(&ticket.key);
        Some(end)
    }

    /// Hears what a commit changed; hearing of it twice does no harm.
    pub(crate) fn hear(&mut self, namespace: &Namespace, at: Revision, bodies: &[EventBody]) {
        if self.scopes.peek(namespace).is_none() {
            // Nothing is kept of it, and no load is in flight.
            return;
        }
        for body in bodies {
            body.touched(|record| self.touch(namespace, at, record));
        }
        if let Some(scope) = self.scopes.peek(namespace) {
            scope.advance(at);
        }
    }

    fn touch(&mut self, namespace: &Namespace, at: Revision, record: RecordKey) {
        match record {
            RecordKey::Namespace => {
                self.raise(at, |key| key.namespace() == Some(namespace));
                if let Some(scope) = self.scopes.peek(namespace) {
                    scope.raise(at);
                }
                self.counts.floors += 1;
            }
            RecordKey::SpecAll(spec) => {
                self.raise(at, |key| {
                    key.namespace() == Some(namespace) && spec_of(key) == Some(&spec)
                });
                if let Some(scope) = self.scopes.peek(namespace) {
                    scope.raise_spec(spec, at);
                }
                self.counts.floors += 1;
            }
            record => {
                for key in kinds::keys_of(namespace, record) {
                    if self.entries.peek(&key).is_some_and(|entry| entry.as_of < at) {
                        self.entries.remove(&key);
                        self.counts.floors += 1;
                    }
                    if let Some(fill) = self.fills.get_mut(&key) {
                        fill.floor = fill.floor.max(at);
                        self.counts.floors += 1;
                    }
                }
            }
        }
    }

    /// Raises the floors of loads in flight.
    fn raise(&mut self, at: Revision, covers: impl Fn(&Query) -> bool) {
        for (key, fill) in &mut self.fills {
            if covers(key) {
                fill.floor = fill.floor.max(at);
            }
        }
    }

    /// Forgets all that is known of a namespace, loads in flight included.
    pub(crate) fn forget(&mut self, namespace: &Namespace) {
        if self.scopes.remove(namespace).is_some() {
            self.fills.retain(|key, _| key.namespace() != Some(namespace));
            self.counts.floors += 1;
        }
    }

    /// Gives the position up to which everything was heard of, for each namespace.
    pub(crate) fn positions(&self) -> Vec<(Namespace, Revision)> {
        let position = |(name, scope): (&Namespace, &Scope)| Some((name.clone(), scope.applied?));
        self.scopes.iter().filter_map(position).collect()
    }

    /// Hears the history after a position; a gap in it means that what was kept may be wrong.
    pub(crate) fn follow(&mut self, event: &Event) {
        let Some(scope) = self.scopes.peek(&event.namespace) else { return };
        let Some(applied) = scope.applied else { return };
        let went_back = event.bodies.is_empty();
        if went_back || event.revision > applied + 1 {
            self.forget(&event.namespace);
        } else if event.revision > applied {
            self.hear(&event.namespace, event.revision, &event.bodies);
        }
    }

    fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }
}

/// What a load in flight leaves when it ends.
pub(crate) struct FillEnd {
    epoch: u64,
    floor: Revision,
    followed: bool,
}

impl Entry {
    fn is_over(&self, asked: &Asked) -> bool {
        match self.holds {
            Holds::Always => false,
            Holds::Until(time) => asked.now >= time,
            Holds::UntilDue => asked.next_due.is_none_or(|due| asked.now >= due),
        }
    }
}

impl Kept {
    fn answer(&self) -> Option<&Answer> {
        match self {
            Self::Answer(answer) => Some(answer),
            Self::Absent(_) | Self::Nothing => None,
        }
    }
}
