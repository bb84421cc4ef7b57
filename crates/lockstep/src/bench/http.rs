//! Over HTTP: the real server in its own process, a SQLite store, and the REST routes.

mod steps;

use std::{net::SocketAddr, path::Path};

use anyhow::Result;
use tokio::runtime::Runtime;

use super::{
    echo,
    figure::Figure,
    latency,
    load::{Step, drive},
    names::Order,
    plan::{AT_ONCE, Plan},
    raw,
    server::Server,
    wire::client,
};
pub(super) use steps::{Adder, Place, Worker};

/// What the figures stand under.
pub(super) const PART: &str = "over HTTP, SQLite store";

const ADD: &str = "add";
const PAIR: &str = "claim + finish";
const NEXT: &str = "finish and claim next";
const RANDOM: &str = "add by 1000, random names";

/// Units a second that the server is not expected to exceed, so that the queue does not run dry.
const ONE_MAX: u64 = 40_000;
const MANY_MAX: u64 = 200_000;
const BATCHES: [(usize, u64); 3] = [(1, ONE_MAX), (100, MANY_MAX), (1_000, MANY_MAX)];

/// What was measured before in the same run.
#[derive(Clone, Copy)]
pub(super) struct Floors<'a> {
    /// E, by number of connections.
    pub(super) echo: &'a [Figure],
    /// S, by what was done.
    pub(super) raw: &'a [Figure],
    /// F.
    pub(super) sync: &'a Figure,
}

/// Tells whether any of it is asked for.
pub(super) fn is_wanted(plan: &Plan) -> bool {
    let batches = || BATCHES.into_iter().map(|(batch, _)| batch);
    let names = [ADD, PAIR, NEXT].into_iter().flat_map(|what| batches().map(move |b| by(what, b)));
    let wants = |what: &str| AT_ONCE.into_iter().any(|n| plan.wants(PART, what, Some(n)));
    names.into_iter().any(|what| wants(&what)) || wants(RANDOM) || latency::is_wanted(plan)
}

fn by(what: &str, batch: usize) -> String {
    format!("{what} by {batch}")
}

/// Measures throughput, and then latency on the idle server.
pub(super) fn measure(plan: &Plan, folder: &Path, floors: &Floors<'_>) -> Result<Vec<Figure>> {
    let store = format!("sqlite:{}", folder.join("http.db").display());
    let server = Server::start(&store, folder)?;
    let runtime = client()?;
    let mut bench = Bench { plan, floors: *floors, runtime, figures: Vec::new() };
    bench.throughput(server.address)?;
    let Bench { runtime, mut figures, .. } = bench;
    figures.extend(latency::measure(plan, &runtime, server.address, floors.sync)?);
    drop(runtime);
    server.stop()?;
    Ok(figures)
}

struct Bench<'a> {
    plan: &'a Plan,
    floors: Floors<'a>,
    runtime: Runtime,
    figures: Vec<Figure>,
}

/// One thing to measure.
struct Task {
    what: String,
    at_once: &'static [usize],
    batch: usize,
    bound: Bound,
    /// Units that clients take in a second, at most; 0 for those who take none.
    most: u64,
}

/// What bounds a figure.
#[derive(Clone, Copy)]
enum Bound {
    /// The echo, by requests; a step has so many.
    Requests(u32),
    /// Raw SQLite, by units.
    Rows(&'static str),
}

impl Bench<'_> {
    fn throughput(&mut self, address: SocketAddr) -> Result<()> {
        let place = self.runtime.block_on(Place::make(address, "ordered", Order::Ordered))?;
        for (batch, _) in BATCHES {
            let (what, bound) = (by(ADD, batch), add_bound(batch));
            let task = Task { what, at_once: &AT_ONCE, batch, bound, most: 0 };
            self.each(&place, &task, async |_| place.adder(batch).await)?;
        }
        for (batch, most) in BATCHES {
            let (what, bound) = (by(PAIR, batch), work_bound(batch, 2));
            let task = Task { what, at_once: &AT_ONCE, batch, bound, most };
            self.each(&place, &task, async |number| place.worker(number, batch).await)?;
        }
        for (batch, most) in BATCHES {
            let (what, bound) = (by(NEXT, batch), work_bound(batch, 1));
            let task = Task { what, at_once: &AT_ONCE, batch, bound, most };
            self.each(&place, &task, async |number| place.busy_worker(number, batch).await)?;
        }
        // Rows only fall on pages at random once there are many pages.
        let place = self.runtime.block_on(Place::make(address, "random", Order::Random))?;
        let (what, bound) = (RANDOM.to_owned(), Bound::Rows(raw::ADD_RANDOM));
        let task = Task { what, at_once: &[8], batch: 1_000, bound, most: MANY_MAX };
        self.each(&place, &task, async |_| place.adder(1_000).await)
    }

    /// Measures one thing with few and with many clients.
    fn each<S: Step>(
        &mut self,
        place: &Place,
        task: &Task,
        caller: impl AsyncFn(usize) -> Result<S>,
    ) -> Result<()> {
        let Task { what, batch, bound, most, .. } = task;
        for at_once in task.at_once.iter().copied() {
            if !self.plan.wants(PART, what, Some(at_once)) {
                continue;
            }
            let load = self.runtime.block_on(async {
                if *most > 0 {
                    place.fill(self.plan.units_for(*most, at_once, *batch)).await?;
                }
                let mut callers = Vec::with_capacity(at_once);
                for number in 0..at_once {
                    callers.push(caller(number).await?);
                }
                drive(callers, self.plan.window).await
            })?;
            let figure = Figure::of_load(PART, what, at_once, &load);
            self.figures.push(match bound {
                Bound::Rows(what) => figure.bounded("S", raw::of(self.floors.raw, what)),
                Bound::Requests(count) => {
                    let requests = load.steps_per_second() * f64::from(*count);
                    figure.bounded_by("E", requests, echo::at(self.floors.echo, at_once))
                }
            });
        }
        Ok(())
    }
}

fn add_bound(batch: usize) -> Bound {
    if batch == 1 { Bound::Requests(1) } else { Bound::Rows(raw::ADD_ORDERED) }
}

fn work_bound(batch: usize, requests: u32) -> Bound {
    if batch == 1 { Bound::Requests(requests) } else { Bound::Rows(raw::WORK_MANY) }
}
