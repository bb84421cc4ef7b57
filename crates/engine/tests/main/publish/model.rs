//! Every order in which nodes, a publisher and requests can meet, of a small world.
//!
//! The model is of one definition with a cache on each node. What is built is [`Way::Ours`]; each
//! other way leaves one thing out, and must then be caught: otherwise the model shows nothing.

use stateright::{Checker as _, Model, Property};

/// How publishing is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Caches are emptied before, in four writes, as the ancestor does.
    EvictFirst,
    /// One transaction, and then the others are told to empty their caches.
    EvictAfter,
    /// Ours, but the publisher does not wait for the other nodes.
    NoBarrier,
    /// Ours, but a node goes on giving out what it keeps when its lease is over.
    NoFence,
    /// Ours, but a node whose lease was over gives out what it keeps before it has looked.
    NoGate,
    /// Ours, but whoever waits for another's load takes it even if it may not be kept.
    JoinAny,
    /// What is built.
    Ours,
}

impl Way {
    fn has_leases(self) -> bool {
        !matches!(self, Self::EvictFirst | Self::EvictAfter)
    }
}

/// What a reader gets: the revision it was read as of, and the published revision, 0 for none.
type Seen = (u8, u8);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Node {
    kept: Option<Seen>,
    load: Option<Seen>,
    floor: u8,
    applied: u8,
    /// What its row in the store says that it has applied.
    told: u8,
    /// Whether it believes in its lease.
    holds: bool,
    /// Whether the store does.
    row_holds: bool,
    must_look: bool,
    is_told_to_evict: bool,
    is_up: bool,
}

impl Node {
    fn new(revision: u8) -> Self {
        Self {
            kept: None,
            load: None,
            floor: revision,
            applied: revision,
            told: revision,
            holds: true,
            row_holds: true,
            must_look: false,
            is_told_to_evict: false,
            is_up: true,
        }
    }

    fn look(&mut self, revision: u8) {
        (self.applied, self.floor, self.must_look) = (revision, revision, false);
        self.kept = self.kept.filter(|kept| kept.0 >= revision);
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum At {
    Asked,
    Waiting,
    /// It is a start, and about to commit what it saw.
    Starting(Seen),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Request {
    node: usize,
    /// The revision that was effective when it came.
    effective: u8,
    is_start: bool,
    at: At,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    revision: u8,
    published: u8,
    /// The revision that the triggers are of; none while there are none.
    triggers: Option<u8>,
    nodes: Vec<Node>,
    requests: Vec<Request>,
    asked: u8,
    /// The publisher's next step; 0 is between two runs.
    step: u8,
    effective: u8,
    is_torn: bool,
    has_crashed: bool,
    stale_read: bool,
    stale_start: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Act {
    Publish,
    PublisherDies,
    Look(usize),
    Renew(usize),
    Evict(usize),
    OwnLeaseEnds(usize),
    RowLeaseEnds(usize),
    Die(usize),
    Rise(usize),
    Ask(usize, bool),
    Serve(usize),
    ReadThrough(usize),
    BeginLoad(usize),
    EndLoad(usize),
    Start(usize),
}

struct Publishing {
    way: Way,
    revisions: u8,
    requests: u8,
}

const NODES: usize = 2;

impl Publishing {
    /// The next revision; the third retracts.
    fn flip(world: &mut World) {
        world.revision += 1;
        world.published = if world.revision == 3 { 0 } else { world.revision };
        world.triggers = Some(world.published).filter(|published| *published > 0);
    }

    fn publish(&self, world: &mut World) -> Option<()> {
        let tell = |world: &mut World| {
            world.nodes[0].kept = None;
            world.nodes[1..].iter_mut().for_each(|node| node.is_told_to_evict = true);
        };
        world.step = match (self.way, world.step) {
            (Way::EvictFirst, 0) => {
                tell(world);
                1
            }
            (Way::EvictFirst, 1) => {
                world.published = 0;
                2
            }
            (Way::EvictFirst, 2) => {
                world.revision += 1;
                world.published = world.revision;
                3
            }
            (Way::EvictFirst, 3) => {
                world.triggers = None;
                4
            }
            (Way::EvictFirst, 4) => {
                world.triggers = Some(world.published);
                5
            }
            (Way::EvictAfter, 0) => {
                Self::flip(world);
                1
            }
            (Way::EvictAfter, 1) => {
                tell(world);
                2
            }
            (_, 0) => {
                Self::flip(world);
                1
            }
            (way, 1) if way.has_leases() => {
                let passed = |node: &Node| node.told >= world.revision || !node.row_holds;
                if way != Way::NoBarrier && !world.nodes.iter().all(passed) {
                    return None;
                }
                2
            }
            _ => {
                world.effective = world.revision;
                0
            }
        };
        Some(())
    }

    /// Gives a request what was seen: a read is answered, a start goes on.
    fn give(world: &mut World, request: usize, seen: Seen) {
        if world.requests[request].is_start {
            world.requests[request].at = At::Starting(seen);
        } else {
            world.stale_read |= seen.0 < world.requests[request].effective;
            world.requests.remove(request);
        }
    }

    fn end_load(&self, world: &mut World, node: usize) -> Option<()> {
        let seen = world.nodes[node].load.take()?;
        let is_fresh = !self.way.has_leases() || seen.0 >= world.nodes[node].floor;
        if is_fresh {
            world.nodes[node].kept = Some(seen);
        }
        if is_fresh || self.way == Way::JoinAny {
            let waits = |it: &Request| it.node == node && it.at == At::Waiting;
            while let Some(request) = world.requests.iter().position(waits) {
                Self::give(world, request, seen);
            }
        }
        Some(())
    }

    fn start(&self, world: &mut World, request: usize) -> Option<()> {
        let At::Starting(seen) = world.requests[request].at else { return None };
        if self.way.has_leases() && seen.0 != world.revision {
            // The transaction sees that the head has moved on: look, and try again.
            let (node, revision) = (world.requests[request].node, world.revision);
            let node = &mut world.nodes[node];
            node.floor = node.floor.max(revision);
            node.kept = node.kept.filter(|kept| kept.0 >= revision);
            world.requests[request].at = At::Asked;
            return Some(());
        }
        world.stale_start |= seen.0 < world.requests[request].effective;
        world.requests.remove(request);
        Some(())
    }

    fn may_serve(&self, node: &Node) -> bool {
        !self.way.has_leases() || ((node.holds || self.way == Way::NoFence) && !node.must_look)
    }
}

impl Model for Publishing {
    type State = World;
    type Action = Act;

    fn init_states(&self) -> Vec<World> {
        vec![World {
            revision: 1,
            published: 1,
            triggers: Some(1),
            nodes: vec![Node::new(1); NODES],
            requests: Vec::new(),
            asked: 0,
            step: 0,
            effective: 1,
            is_torn: false,
            has_crashed: false,
            stale_read: false,
            stale_start: false,
        }]
    }

    fn actions(&self, world: &World, acts: &mut Vec<Act>) {
        if world.stale_read || world.stale_start {
            return;
        }
        if world.step > 0 || world.revision < self.revisions {
            acts.push(Act::Publish);
        }
        if world.step > 0 && !world.has_crashed {
            acts.push(Act::PublisherDies);
        }
        let has_leases = self.way.has_leases();
        for (at, node) in world.nodes.iter().enumerate() {
            if !node.is_up {
                acts.push(Act::Rise(at));
                if has_leases && node.row_holds {
                    acts.push(Act::RowLeaseEnds(at));
                }
                continue;
            }
            if has_leases {
                if node.applied < world.revision || node.must_look {
                    acts.push(Act::Look(at));
                }
                if !node.holds || node.told < node.applied {
                    acts.push(Act::Renew(at));
                }
                if node.holds {
                    acts.push(Act::OwnLeaseEnds(at));
                } else if node.row_holds {
                    acts.push(Act::RowLeaseEnds(at));
                }
            }
            if node.is_told_to_evict {
                acts.push(Act::Evict(at));
            }
            let waits = |it: &Request| it.node == at && it.at == At::Waiting;
            match node.load {
                Some(_) => acts.push(Act::EndLoad(at)),
                None if world.requests.iter().any(waits) => acts.push(Act::BeginLoad(at)),
                None => {}
            }
            acts.push(Act::Die(at));
            if world.asked < self.requests {
                acts.extend([Act::Ask(at, false), Act::Ask(at, true)]);
            }
        }
        for (at, request) in world.requests.iter().enumerate() {
            let node = &world.nodes[request.node];
            match request.at {
                At::Asked if self.may_serve(node) => acts.push(Act::Serve(at)),
                At::Asked => acts.push(Act::ReadThrough(at)),
                At::Waiting => {}
                At::Starting(_) => acts.push(Act::Start(at)),
            }
        }
    }

    fn next_state(&self, world: &World, act: Act) -> Option<World> {
        let mut next = world.clone();
        let world = &mut next;
        let revision = world.revision;
        match act {
            Act::Publish => self.publish(world)?,
            Act::PublisherDies => {
                (world.step, world.has_crashed) = (0, true);
                let wanted = Some(world.published).filter(|published| *published > 0);
                let is_lost = self.way == Way::EvictFirst && world.published == 0;
                world.is_torn |= world.triggers != wanted || is_lost;
            }
            Act::Look(at) => world.nodes[at].look(revision),
            Act::Renew(at) => {
                let node = &mut world.nodes[at];
                node.must_look |= !node.holds && self.way != Way::NoGate;
                (node.holds, node.row_holds, node.told) = (true, true, node.applied);
            }
            Act::Evict(at) => {
                (world.nodes[at].kept, world.nodes[at].is_told_to_evict) = (None, false);
            }
            Act::OwnLeaseEnds(at) => world.nodes[at].holds = false,
            Act::RowLeaseEnds(at) => world.nodes[at].row_holds = false,
            Act::Die(at) => {
                let row_holds = world.nodes[at].row_holds;
                let told = world.nodes[at].told;
                let dead = Node { holds: false, is_up: false, row_holds, told, ..Node::new(0) };
                world.nodes[at] = dead;
                world.requests.retain(|request| request.node != at);
            }
            Act::Rise(at) => world.nodes[at] = Node::new(revision),
            Act::Ask(node, is_start) => {
                world.asked += 1;
                let (effective, at) = (world.effective, At::Asked);
                world.requests.push(Request { node, effective, is_start, at });
            }
            Act::Serve(at) => match world.nodes[world.requests[at].node].kept {
                Some(kept) => Self::give(world, at, kept),
                None => world.requests[at].at = At::Waiting,
            },
            Act::ReadThrough(at) => {
                let seen = (revision, world.published);
                Self::give(world, at, seen);
            }
            Act::BeginLoad(at) => world.nodes[at].load = Some((revision, world.published)),
            Act::EndLoad(at) => self.end_load(world, at)?,
            Act::Start(at) => self.start(world, at)?,
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ATOMIC, |_, world: &World| {
                let wanted = Some(world.published).filter(|published| *published > 0);
                world.step > 0 || (!world.is_torn && world.triggers == wanted)
            }),
            Property::always(NO_STALE_KEPT, |it: &Self, world: &World| {
                let is_fresh = |node: &Node| node.kept.is_none_or(|kept| kept.0 >= node.floor);
                !it.way.has_leases() || world.nodes.iter().all(is_fresh)
            }),
            Property::always(NO_STALE_READ, |_, world: &World| !world.stale_read),
            Property::always(NO_STALE_START, |_, world: &World| !world.stale_start),
            Property::sometimes("two changes become effective", |it: &Self, world: &World| {
                world.effective == it.revisions
            }),
            Property::sometimes("one does while a node is down", |_, world: &World| {
                world.effective > 1 && world.nodes.iter().any(|node| !node.is_up)
            }),
        ]
    }
}

const ATOMIC: &str = "I2: triggers are those of the published version";
const NO_STALE_KEPT: &str = "I5: nothing is kept below its floor";
const NO_STALE_READ: &str = "I6: no answer from before what was effective";
const NO_STALE_START: &str = "I7: no start from before what was effective";

/// Goes through all states, and gives the properties that do not hold.
fn broken(way: Way) -> Vec<&'static str> {
    let model = Publishing { way, revisions: 2, requests: 2 };
    let checker = model.checker().threads(2).spawn_bfs().join();
    assert!(checker.is_done());
    assert!(checker.unique_state_count() > 1_000, "{way:?} is hardly looked at");
    let promised = [ATOMIC, NO_STALE_KEPT, NO_STALE_READ, NO_STALE_START];
    promised.into_iter().filter(|name| checker.discovery(name).is_some()).collect()
}

/// How many revisions are published; 3 go through millions of states, for whoever has some minutes.
const REVISIONS: &str = "LOCKSTEP_MODEL_REVISIONS";

#[test]
fn what_is_built_holds() {
    let revisions = std::env::var(REVISIONS).map_or(2, |text| text.parse().unwrap());
    // The first request fills a cache, and the second can be answered from it.
    let model = Publishing { way: Way::Ours, revisions, requests: 2 };
    model.checker().threads(2).spawn_bfs().join().assert_properties();
}

#[test]
fn emptying_caches_first_breaks() {
    let broken = broken(Way::EvictFirst);
    assert_eq!(broken, [ATOMIC, NO_STALE_READ, NO_STALE_START]);
}

#[test]
fn emptying_caches_afterwards_breaks() {
    assert_eq!(broken(Way::EvictAfter), [NO_STALE_READ, NO_STALE_START]);
}

#[test]
fn leaving_the_barrier_out_breaks() {
    assert_eq!(broken(Way::NoBarrier), [NO_STALE_READ]);
}

#[test]
fn serving_beyond_the_lease_breaks() {
    assert_eq!(broken(Way::NoFence), [NO_STALE_READ]);
}

#[test]
fn serving_before_looking_breaks() {
    assert_eq!(broken(Way::NoGate), [NO_STALE_READ]);
}

#[test]
fn joining_a_load_that_may_not_be_kept_breaks() {
    assert_eq!(broken(Way::JoinAny), [NO_STALE_READ]);
}
