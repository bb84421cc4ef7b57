//! Carrying over, namespace by namespace and page by page.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use engine::{Clock, Engine};
use indicatif::ProgressBar;
use model::{
    AddUnits, AttemptChange, AttemptRef, Backend as _, Change, ChangeAttempts, Command, Data,
    MakeAttempt, Namespace, NewUnit, QueueCommand, Reply, SpecMeta, SpecName, SpecRef, UnitMeta,
    UnitName, UnitRef, UpdateWorker, WorkerName, Write, escape,
};
use tokio::task::JoinSet;

use super::{
    place::Place,
    place::Report,
    source::{self, Attempt, Meta, Named, Root, Source, Spec, Unit, Worker, last_name},
};
use crate::output::Output;

/// Units in one page, and so in one transaction.
const PAGE: usize = 200;
/// Requests at the same time.
const AT_ONCE: usize = 8;

/// One import.
pub(super) struct Copy {
    source: Source,
    engine: Arc<Engine>,
    clock: Arc<dyn Clock>,
    bar: ProgressBar,
}

/// A unit as it was read, with its active attempt.
struct Found {
    name: UnitName,
    unit: Unit,
    attempt: Option<Attempt>,
}

impl Copy {
    /// Makes an import that has not begun.
    pub(super) fn new(
        source: Source,
        engine: Arc<Engine>,
        clock: Arc<dyn Clock>,
        out: Output,
    ) -> Result<Self> {
        let bar = out.bar(Some(0), "{bar:30} {percent:>3} %  {pos} of {len} units  {msg}")?;
        Ok(Self { source, engine, clock, bar })
    }

    /// Carries everything over, or one namespace.
    pub(super) async fn run(self, place: &mut Place, only: Option<&str>) -> Result<Report> {
        let root = self.source.root().await?;
        self.set_length(&root, place).await;
        for named in self.source.list(&root.namespaces_url, "namespaces").await? {
            let done = place.progress.namespaces.contains(&named.name);
            if done || only.is_some_and(|only| only != named.name) {
                continue;
            }
            self.namespace(&named, place).await?;
            place.progress.specs.clear();
            place.progress.workers.clear();
            place.progress.namespaces.push(named.name);
            place.progress.report.namespaces += 1;
            place.save()?;
        }
        self.bar.finish_and_clear();
        Ok(place.progress.report.clone())
    }

    /// Finds out how many units there are; without it the bar only counts.
    async fn set_length(&self, root: &Root, place: &Place) {
        let report = &place.progress.report;
        let done = report.units_open
            + report.units_pending
            + report.units_finished
            + report.units_failed
            + report.units_vanished;
        let summary = self.source.read::<serde_json::Value>(&root.summary_url).await;
        let rows = summary.ok().and_then(|rows| rows.as_array().cloned()).unwrap_or_default();
        let counts = rows.iter().filter_map(|row| row.get("Count").and_then(|n| n.as_u64()));
        self.bar.set_length(counts.sum::<u64>().max(done));
        self.bar.set_position(done);
    }

    async fn namespace(&self, named: &Named, place: &mut Place) -> Result<()> {
        let namespace = Namespace::new(named.name.as_str())?;
        let shown: source::Namespace = self.source.read(&named.url).await?;
        self.write(&namespace, [QueueCommand::CreateNamespace.into()]).await?;
        for spec in self.source.list(&shown.work_specs_url, "work_specs").await? {
            if place.progress.specs.contains(&spec.name) {
                continue;
            }
            self.spec(&namespace, &spec, place).await.with_context(|| {
                format!("work spec {:?} of namespace {:?}", spec.name, named.name)
            })?;
            place.progress.specs.push(spec.name);
            place.progress.spec = None;
            place.progress.after = None;
            place.progress.report.specs += 1;
            place.save()?;
        }
        self.workers(&namespace, &shown, place).await
    }

    /// Carries a spec over. While its units come it has no next one, so that finishing them makes
    /// no new units.
    async fn spec(&self, namespace: &Namespace, named: &Named, place: &mut Place) -> Result<()> {
        let shown: Spec = self.source.read(&named.url).await?;
        let meta: Meta = self.source.read(source::bare(&shown.meta)).await?;
        let data = source::data(&shown.data)?;
        let mut dict = data.dict()?;
        let (name, derived) = SpecMeta::from_dict(&dict)?;
        let goes_on = place.progress.spec.as_deref() == Some(name.as_str());
        if !goes_on {
            place.progress.spec = Some(name.to_string());
            place.progress.after = None;
        }
        dict.retain(|key, _| !key.eq_ignore_ascii_case("then"));
        let without = QueueCommand::SetSpec { data: Data::from_dict(&dict)? };
        self.write(namespace, [without.into()]).await?;
        self.bar.set_message(name.to_string());
        loop {
            let page = self.page(&shown.work_units_url, place).await?;
            let Some((_, last)) = page.last() else { break };
            let last = escape(last.as_bytes());
            let found = self.units(page, place).await?;
            self.store(namespace, &name, found, place).await?;
            place.progress.after = Some(last);
            place.save()?;
        }
        let spec = SpecRef { name, id: None };
        let meta = settings(derived, &meta)?;
        let commands = [
            QueueCommand::SetSpec { data }.into(),
            QueueCommand::SetSpecMeta { spec, meta }.into(),
        ];
        self.write(namespace, commands).await.map(drop)
    }

    /// Lists the next units by name; the ancestor gives the lowest, but in any order.
    async fn page(&self, url: &str, place: &Place) -> Result<Vec<(String, UnitName)>> {
        let mut asked = format!("{url}?limit={PAGE}");
        if let Some(after) = &place.progress.after {
            asked.push_str("&previous=");
            asked.push_str(&source::in_query(&model::unescape(after)?));
        }
        let listed = self.source.list(&asked, "work_units").await?;
        let named =
            listed.into_iter().map(|unit| last_name(&unit.url).map(|name| (unit.url, name)));
        let mut page = named.collect::<Result<Vec<_>>>()?;
        page.sort_by(|(_, one), (_, other)| one.cmp(other));
        Ok(page)
    }

    /// Reads units, several at a time.
    async fn units(&self, page: Vec<(String, UnitName)>, place: &mut Place) -> Result<Vec<Found>> {
        let mut rest: VecDeque<_> = page.into();
        let mut reading = JoinSet::new();
        let mut found = Vec::new();
        loop {
            while reading.len() < AT_ONCE
                && let Some((url, name)) = rest.pop_front()
            {
                let source = self.source.clone();
                reading.spawn(async move { read_unit(&source, &url, name).await });
            }
            let Some(read) = reading.join_next().await else { break };
            match read? {
                Ok(Some(unit)) => found.push(unit),
                Ok(None) => place.progress.report.units_vanished += 1,
                Err(error) => return Err(error),
            }
            self.bar.inc(1);
        }
        found.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(found)
    }

    /// Adds units, and makes attempts for those that have one.
    async fn store(
        &self,
        namespace: &Namespace,
        spec: &SpecName,
        found: Vec<Found>,
        place: &mut Place,
    ) -> Result<()> {
        let now = self.clock.now();
        let mut units = Vec::with_capacity(found.len());
        let mut made = Vec::new();
        let mut changes = Vec::new();
        for Found { name, unit, attempt } in found {
            let meta = UnitMeta {
                priority: unit.meta.priority,
                not_before: source::time(&unit.meta.not_before)?,
            };
            let data = source::data(&unit.data)?;
            units.push(NewUnit { name: name.clone(), data, meta, delay: None });
            let report = &mut place.progress.report;
            let (change, lifetime) = match (unit.status.as_str(), &attempt) {
                ("finished", _) => (Some(Change::Finish), None),
                ("failed", _) => (Some(Change::Fail), None),
                ("pending", Some(attempt)) => {
                    let left = source::time(&attempt.expiration_time)?.map(|end| end.since(now));
                    match left.filter(|left| !left.is_zero()) {
                        Some(left) => (None, Some(left)),
                        None => {
                            report.leases_over += 1;
                            report.units_open += 1;
                            continue;
                        }
                    }
                }
                ("pending" | "available" | "delayed", _) => {
                    report.units_open += 1;
                    continue;
                }
                (other, _) => bail!("unit {name} has the status {other:?}"),
            };
            match change {
                Some(Change::Finish) => report.units_finished += 1,
                Some(_) => report.units_failed += 1,
                None => report.units_pending += 1,
            }
            let worker = worker_of(attempt.as_ref())?;
            remember(&mut place.progress.workers, &worker);
            let unit = UnitRef { spec: spec.clone(), name, id: None };
            made.push(MakeAttempt { worker, unit, lifetime });
            changes.push(change);
        }
        let spec = SpecRef { name: spec.clone(), id: None };
        let add = QueueCommand::AddUnits(AddUnits { spec, units });
        let make = made.into_iter().map(QueueCommand::MakeAttempt);
        let commands = std::iter::once(add).chain(make).map(Command::from);
        let replies = self.write(namespace, commands).await?;
        let attempts = replies.into_iter().skip(1).filter_map(|reply| match reply {
            Reply::Attempts(attempts) => attempts.into_iter().next(),
            _ => None,
        });
        let ended = attempts
            .zip(changes)
            .filter_map(|(attempt, change)| Some(ended(attempt.as_ref(), change?)));
        let changes: Vec<AttemptChange> = ended.collect();
        if changes.is_empty() {
            return Ok(());
        }
        let change = QueueCommand::ChangeAttempts(ChangeAttempts { changes });
        match self.write(namespace, [change.into()]).await?.pop() {
            Some(Reply::Changed(outcomes)) => Ok(outcomes.into_iter().collect::<Result<_, _>>()?),
            other => bail!("ending attempts answers {other:?}"),
        }
    }

    /// Carries workers over: those that are listed, or else those that were seen and their kin.
    async fn workers(
        &self,
        namespace: &Namespace,
        shown: &source::Namespace,
        place: &mut Place,
    ) -> Result<()> {
        let base = source::bare(&shown.worker_url).to_owned();
        let mut urls: VecDeque<String> = VecDeque::new();
        match self.source.list_if_there(&shown.workers_url, "workers").await? {
            Some(listed) => urls.extend(listed.into_iter().map(|worker| worker.url)),
            None => place.progress.report.namespaces_without_worker_list += 1,
        }
        let seen = place.progress.workers.iter();
        urls.extend(seen.map(|name| format!("{base}{}", escape(name.as_bytes()))));
        let mut done: BTreeSet<String> = BTreeSet::new();
        while let Some(url) = urls.pop_front() {
            let name = String::from_utf8(last_name(&url)?.as_bytes().to_vec())?;
            if !done.insert(name.clone()) {
                continue;
            }
            let Some(worker) = self.source.read_if_there::<Worker>(&url).await? else { continue };
            urls.extend(worker.child_urls.iter().cloned());
            let parent = worker.parent.clone().filter(|parent| !parent.is_empty());
            urls.extend(parent.map(|parent| format!("{base}{}", escape(parent.as_bytes()))));
            self.worker(namespace, &name, &worker).await?;
            place.progress.report.workers += 1;
        }
        Ok(())
    }

    async fn worker(&self, namespace: &Namespace, name: &str, shown: &Worker) -> Result<()> {
        let worker = WorkerName::new(if shown.name.is_empty() { name } else { &shown.name })?;
        let update = UpdateWorker {
            worker: worker.clone(),
            mode: shown.mode.clone(),
            data: source::data(&shown.data)?,
            expiration: source::time(&shown.expiration)?,
            last_update: source::time(&shown.last_update)?,
        };
        let mut commands = vec![QueueCommand::UpdateWorker(update).into()];
        if !shown.active {
            commands.push(QueueCommand::DeactivateWorker { worker: worker.clone() }.into());
        }
        if let Some(parent) = shown.parent.as_deref().filter(|parent| !parent.is_empty()) {
            let parent = Some(WorkerName::new(parent)?);
            commands.push(QueueCommand::SetParent { worker, parent }.into());
        }
        self.write(namespace, commands).await.map(drop)
    }

    async fn write(
        &self,
        namespace: &Namespace,
        commands: impl IntoIterator<Item = Command>,
    ) -> Result<Vec<Reply>> {
        let write = Write::of(namespace, commands.into_iter().collect());
        Ok(self.engine.write(write).await?.replies)
    }
}

async fn read_unit(source: &Source, url: &str, name: UnitName) -> Result<Option<Found>> {
    let Some(unit) = source.read_if_there::<Unit>(url).await? else { return Ok(None) };
    let attempt = match &unit.active_attempt_url {
        Some(url) if !url.is_empty() => source.read_if_there::<Attempt>(url).await?,
        _ => None,
    };
    Ok(Some(Found { name, unit, attempt }))
}

/// Gives the worker of an attempt; one that cannot be read is nobody's.
fn worker_of(attempt: Option<&Attempt>) -> Result<WorkerName> {
    let Some(attempt) = attempt else { return Ok(WorkerName::new("")?) };
    let name = last_name(&attempt.worker_url)?;
    Ok(WorkerName::new(String::from_utf8(name.as_bytes().to_vec())?)?)
}

fn remember(workers: &mut Vec<String>, worker: &WorkerName) {
    if let Err(at) = workers.binary_search_by(|name| name.as_str().cmp(worker.as_str())) {
        workers.insert(at, worker.to_string());
    }
}

fn ended(attempt: AttemptRef, change: Change) -> AttemptChange {
    AttemptChange { token: Some(attempt.id), attempt, data: None, change }
}

/// Lays what was set later over what follows from the dictionary.
fn settings(derived: SpecMeta, meta: &Meta) -> Result<SpecMeta> {
    let count = |number: i64| u64::try_from(number).unwrap_or(0);
    Ok(SpecMeta {
        priority: meta.priority,
        weight: meta.weight,
        paused: meta.paused,
        continuous: meta.continuous,
        interval: Duration::from_nanos(count(meta.interval)),
        next_continuous: source::time(&meta.next_continuous)?,
        max_running: count(meta.max_running),
        max_attempts_returned: count(meta.max_attempts_returned),
        max_retries: count(meta.max_retries),
        min_memory_gb: meta.min_memory_gb,
        ..derived
    })
}
