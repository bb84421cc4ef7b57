//! Instances: how many run through in a second, and how long one takes.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use model::Until;
use serde_json::{Value as Json, json};
use tokio::{task::JoinSet, time::sleep_until};

use super::place::Place;
use crate::bench::{figure::Figure, plan::Plan};

/// What the figures stand under.
pub(super) const PART: &str = "workflows over HTTP, SQLite store";
/// What the figures are called.
pub(super) const PLAIN: &str = "W: plain unit to a waiting worker";
pub(super) const LEASED: &str = "event to its first unit, leased by a waiting worker";
pub(super) const UNITS: &str = "U: plain units, added, claimed and finished by 100";
pub(super) const ONE: &str = "instances of one step, with a worker";
pub(super) const HALF: &str = "instances of one step at half load";
pub(super) const THREE: &str = "instances of three steps, with a worker";
pub(super) const FORTY: &str = "40 steps of a waiting worker";
pub(super) const SETS: &str = "40 steps that only compute";
pub(super) const FAN: &str = "fan-out of 10,000 units and fan-in";

/// Items of the fan-out.
const ITEMS: usize = 10_000;
/// Clients that start instances.
const STARTERS: usize = 4;
/// Starts of one call at half load.
const SOME: usize = 10;
/// How long a worker waits for one unit.
const WAIT: Duration = Duration::from_secs(10);
/// Pause after which the server surely has the worker's claim.
const PAUSE: Duration = Duration::from_millis(5);

/// Tells whether any of it is asked for.
pub(super) fn is_wanted(plan: &Plan) -> bool {
    [PLAIN, LEASED, UNITS, ONE, HALF, THREE, FORTY, SETS, FAN]
        .into_iter()
        .any(|what| plan.wants(PART, what, None))
}

/// Measures what runs on one server.
pub(super) async fn measure(plan: &Plan, place: &Place, sync: &Figure) -> Result<Vec<Figure>> {
    place.specs(&["plain", "steps", "fan"]).await?;
    publish(place).await?;
    let bench = Bench { plan, place };
    let mut figures = Vec::new();
    let wants = |what: &str| plan.wants(PART, what, None);
    let plain = bench.waited(PLAIN, "plain").await?;
    figures.push(plain.clone().bounded("F", Some(sync)));
    if wants(LEASED) {
        figures.push(bench.waited(LEASED, "steps").await?.bounded("W", Some(&plain)));
        place.idle().await?;
    }
    if [UNITS, ONE, HALF, THREE].into_iter().any(wants) {
        figures.extend(bench.throughput().await?);
    }
    if wants(FORTY) {
        figures.push(bench.forty(FORTY, "forty").await?.bounded("W", Some(&plain)));
    }
    if wants(SETS) {
        figures.push(bench.forty(SETS, "sets").await?.bounded("F", Some(sync)));
    }
    if wants(FAN) {
        figures.push(bench.fan().await?);
    }
    figures.retain(|figure| wants(&figure.what));
    Ok(figures)
}

/// Publishes all that is measured.
async fn publish(place: &Place) -> Result<()> {
    let step = |number: usize| {
        format!("  - step{number}: {{call: work, with: {{spec: steps, data: {{n: {number}}}}}}}\n")
    };
    let steps = |count: usize| format!("do:\n{}", (0..count).map(step).collect::<String>());
    let set = |number: usize| format!("  - set{number}: {{set: {{n: '${{ .n + 1 }}'}}}}\n");
    let sets =
        format!("do:\n  - begin: {{set: {{n: 0}}}}\n{}", (1..40).map(set).collect::<String>());
    let on_event = "schedule: {on: {one: {with: {type: bench.arrived.v1}}}}\n";
    let fan = format!(
        "do:\n  - all:\n      for: {{in: '${{ [range({ITEMS})] }}', concurrency: {ITEMS}}}\n      \
         do:\n        - one: {{call: work, with: {{spec: fan, data: {{n: '${{ $item }}'}}}}}}\n"
    );
    let documents = [
        ("one", steps(1)),
        ("three", steps(3)),
        ("forty", steps(40)),
        ("sets", sets),
        ("event", format!("{on_event}{}", steps(1))),
        ("fan", fan),
    ];
    for (name, rest) in documents {
        place.publish(name, &rest, Until::Effective).await.with_context(|| rest.clone())?;
    }
    Ok(())
}

struct Bench<'a> {
    plan: &'a Plan,
    place: &'a Place,
}

impl Bench<'_> {
    /// Instances, or units, that are enough for one figure.
    fn count(&self) -> usize {
        (4 * self.plan.window.as_millis() as usize).max(100)
    }

    /// Measures from before something is sent until a waiting worker has the unit of it.
    async fn waited(&self, what: &'static str, spec: &str) -> Result<Figure> {
        let mut worker = self.place.worker(spec, 0)?;
        let mut spans = Vec::with_capacity(self.plan.samples);
        for number in 0..=self.plan.samples {
            let waiting = tokio::spawn(async move {
                let attempts = worker.claim(1, WAIT).await?;
                anyhow::Ok((worker, attempts, Instant::now()))
            });
            tokio::time::sleep(PAUSE).await;
            let before = Instant::now();
            match what {
                PLAIN => self.place.add(spec, 1).await?,
                _ => self.place.send("bench.arrived.v1").await?,
            }
            let (back, attempts, came) = waiting.await??;
            anyhow::ensure!(attempts.len() == 1, "a worker got {} units", attempts.len());
            back.finish(&attempts).await?;
            worker = back;
            if number > 0 {
                spans.push((came - before).as_nanos() as u64);
            }
        }
        Ok(Figure::of_spans(PART, what, spans))
    }

    /// Measures how many instances run through in a second, beside plain units.
    async fn throughput(&self) -> Result<Vec<Figure>> {
        let units = self.units().await?;
        let one = self.instances(ONE, "one", 1).await?.bounded("U", Some(&units));
        let half = self.half_load(one.value).await?;
        let three = self.instances(THREE, "three", 3).await?;
        let steps = three.value * 3.0;
        let three = three.bounded_by("U", steps, Some(&units));
        Ok(vec![units, one, half, three])
    }

    /// Measures plain units: the floor of instances.
    async fn units(&self) -> Result<Figure> {
        let count = self.count() * 4;
        let worker = self.place.worker("plain", 1)?;
        let working = tokio::spawn(async move { worker.work(count).await });
        let before = Instant::now();
        self.each(count, |place, part| async move { place.add("plain", part).await }).await?;
        working.await??;
        let per_second = count as f64 / before.elapsed().as_secs_f64();
        Ok(Figure::new(PART, UNITS, per_second, "units/s"))
    }

    /// Has some clients do parts of something.
    async fn each<R>(&self, count: usize, part: impl Fn(Place, usize) -> R) -> Result<()>
    where
        R: Future<Output = Result<()>> + Send + 'static,
    {
        let mut clients = JoinSet::new();
        for number in 0..STARTERS {
            let size = count / STARTERS + usize::from(number < count % STARTERS);
            clients.spawn(part(self.place.clone(), size));
        }
        clients.join_all().await.into_iter().collect()
    }

    /// Measures instances from the first start until all have ended.
    async fn instances(
        &self,
        what: &'static str,
        definition: &'static str,
        steps: usize,
    ) -> Result<Figure> {
        self.place.start(definition, &Json::Null, 1).await?;
        self.place.worker("steps", 1)?.work(steps).await?;
        self.place.idle().await?;
        let count = self.count();
        let before = Instant::now();
        let worker = self.place.worker("steps", 1)?;
        let working = tokio::spawn(async move { worker.work(count * steps).await });
        self.each(count, move |place, part| async move {
            place.start(definition, &Json::Null, part).await.map(drop)
        })
        .await?;
        working.await??;
        self.place.idle().await?;
        let per_second = count as f64 / before.elapsed().as_secs_f64();
        Ok(Figure::new(PART, what, per_second, "instances/s"))
    }

    /// Measures how long an instance takes if half as many are started as can be done.
    async fn half_load(&self, most: f64) -> Result<Figure> {
        let first = self.place.start("one", &Json::Null, 1).await?;
        let worker = self.place.worker("steps", 1)?;
        let count = self.count();
        let working = tokio::spawn(async move { worker.work(count + 1).await });
        let pause = Duration::from_secs_f64(SOME as f64 / (most / 2.0));
        let mut next = tokio::time::Instant::now();
        let mut starts = JoinSet::new();
        for _ in 0..count.div_ceil(SOME) {
            let place = self.place.clone();
            starts.spawn(async move { place.start("one", &Json::Null, SOME).await.map(drop) });
            next += pause;
            // Sleeps because the load is to be so large and no larger.
            sleep_until(next).await;
        }
        starts.join_all().await.into_iter().collect::<Result<Vec<()>>>()?;
        working.await??;
        // What the last call started beyond the count still waits for somebody.
        let rest = count.div_ceil(SOME) * SOME - count;
        self.place.worker("steps", 1)?.work(rest).await?;
        self.place.idle().await?;
        let spans = self.place.spans_after("one", first).await?;
        Ok(Figure::of_spans(PART, HALF, spans))
    }

    /// Measures how long it takes to do steps one after the other.
    async fn forty(&self, what: &'static str, definition: &'static str) -> Result<Figure> {
        let samples = (self.plan.samples / 20).max(3);
        let mut first = None;
        for _ in 0..=samples {
            let id = self.place.start(definition, &Json::Null, 1).await?;
            if what == FORTY {
                let worker = self.place.worker("steps", 1)?;
                for _ in 0..40 {
                    let attempts = worker.claim(1, WAIT).await?;
                    worker.finish(&attempts).await?;
                }
            }
            self.place.idle().await?;
            first.get_or_insert(id);
        }
        let first = first.context("nothing was started")?;
        Ok(Figure::of_spans(PART, what, self.place.spans_after(definition, first).await?))
    }

    /// Measures one instance that waits for a great many units.
    async fn fan(&self) -> Result<Figure> {
        let before = Instant::now();
        self.place.start("fan", &json!({}), 1).await?;
        self.place.worker("fan", 1)?.work(ITEMS).await?;
        self.place.idle().await?;
        Ok(Figure::new(PART, FAN, before.elapsed().as_secs_f64(), "s"))
    }
}
