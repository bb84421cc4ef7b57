//! The first page: what there is, and what needs somebody.

use std::{collections::BTreeMap, time::Duration};

use askama::Template;
use model::{
    Answer, Counts, Id, Instance, InstanceFilter, InstanceStatus, Namespace, Page, Query, Result,
    Run, SpecName, SummaryRow, Time, Worker,
};
use serde::Serialize;

use super::{
    ask::{self, visible},
    frame::{Frame, Here, page},
    live::position,
    mail::Health,
    operate::{Follower, followers},
    place, show,
};
use crate::{
    auth::now,
    call::{Call, take},
    outcome::Outcome,
};

/// Namespaces that are looked into; the others are on their own pages.
const NAMESPACES_MAX: usize = 20;
/// Rows of each table.
const ROWS: usize = 12;
/// Events of each namespace that are counted.
const EVENTS_MAX: u32 = ask::ROWS;
/// The time of which events are counted.
const HOUR: Duration = Duration::from_hours(1);
/// How long a unit may be ready before somebody should know.
const PATIENCE_SECONDS: u64 = 300;

#[derive(Template, Serialize)]
#[template(path = "overview.html")]
struct Overview {
    /// The only namespace that is shown, if it is only one.
    namespace: Option<Namespace>,
    total: Counts,
    needs: Vec<Need>,
    specs: Vec<Depth>,
    specs_left_out: usize,
    workers: Vec<(Namespace, Worker)>,
    workers_left_out: usize,
    runs: Vec<(Namespace, Run)>,
    events: Vec<Happened>,
    /// How many events the last hour had, if they could be counted.
    events_in_hour: Count,
    accounts: Vec<(Namespace, Health)>,
    /// The nodes that share the store, if there are several and the visitor may see them.
    nodes: Vec<Follower>,
    namespaces: Vec<Namespace>,
}

/// Something that a person should look at.
#[derive(Serialize)]
struct Need {
    /// A status, which says how bad it is.
    status: &'static str,
    what: String,
    why: String,
    href: String,
}

/// An event, and what it started.
#[derive(Serialize)]
struct Happened {
    namespace: Namespace,
    at: Time,
    kind: String,
    started: Vec<Id>,
}

/// How many there are, or only how many there are at least.
#[derive(Default, Serialize)]
struct Count {
    number: usize,
    at_least: bool,
}

/// How much there is to do of one spec.
#[derive(Serialize)]
struct Depth {
    namespace: Namespace,
    spec: SpecName,
    counts: Counts,
    oldest: Option<Time>,
}

/// Shows the server.
pub(crate) async fn of_server(call: Call) -> Result<Outcome> {
    let found = visible(ask::namespaces(&call, None).await)?.unwrap_or_default();
    let namespaces: Vec<_> = found.into_iter().map(|info| info.name).collect();
    let revision = visible(position(&call.backend, None).await)?.unwrap_or_default();
    let overview = Overview::of(&call, namespaces, None).await?;
    page(&call, Frame::new("Overview", Here::Overview).live(revision), &overview)
}

/// Shows a namespace.
pub(crate) async fn of_namespace(call: Call) -> Result<Outcome> {
    let namespace = call.namespace()?;
    let revision = visible(position(&call.backend, Some(&namespace)).await)?.unwrap_or_default();
    let one = vec![namespace.clone()];
    let overview = Overview::of(&call, one, Some(namespace.clone())).await?;
    let title = show::name(namespace.as_str());
    page(&call, Frame::of(&namespace, title, Here::Overview).live(revision), &overview)
}

impl Overview {
    async fn of(call: &Call, all: Vec<Namespace>, only: Option<Namespace>) -> Result<Self> {
        let rows = match call.read(Query::Summary(only.clone(), None)).await {
            Err(model::Error::NoSuchNamespace(_)) => Vec::new(),
            read => match visible(read)? {
                Some(read) => take!(read.answer, Answer::Summary)?,
                None => Vec::new(),
            },
        };
        let oldest = visible(ask::oldest(call).await)?.unwrap_or_default();
        let (specs, total) = depths(&rows, oldest);
        let mut overview = Self {
            namespace: only,
            total,
            needs: Vec::new(),
            specs,
            specs_left_out: 0,
            workers: Vec::new(),
            workers_left_out: 0,
            runs: Vec::new(),
            events: Vec::new(),
            events_in_hour: Count::default(),
            accounts: Vec::new(),
            nodes: Vec::new(),
            namespaces: all,
        };
        overview.look_at_specs();
        if overview.namespace.is_none() {
            overview.nodes = visible(followers(call).await)?.unwrap_or_default().0;
            overview.look_at_nodes();
        }
        for namespace in
            overview.namespaces.iter().take(NAMESPACES_MAX).cloned().collect::<Vec<_>>()
        {
            overview.look_into(call, &namespace).await?;
        }
        // The worst first, and of these what was found first.
        overview.needs.sort_by_key(|need| need.status == "overdue");
        overview.runs.sort_by_key(|(_, run)| std::cmp::Reverse(run.started));
        overview.runs.truncate(ROWS / 2);
        overview.events.sort_by_key(|one| std::cmp::Reverse(one.at));
        overview.events.truncate(ROWS / 2);
        overview.workers.sort_by_key(|(_, worker)| std::cmp::Reverse(worker.last_update));
        overview.workers_left_out = overview.workers.len().saturating_sub(ROWS);
        overview.workers.truncate(ROWS);
        Ok(overview)
    }

    fn look_at_specs(&mut self) {
        let now = now();
        for Depth { namespace, spec, counts, oldest } in &self.specs {
            let href = place::spec(namespace, spec);
            let what = spec.to_string();
            if counts.failed > 0 {
                let why = format!("{} failed", units(counts.failed));
                let href = format!("{href}?status=failed");
                self.needs.push(Need { status: "failed", what: what.clone(), why, href });
            }
            let waited = oldest.map(|oldest| now.since(oldest)).unwrap_or_default();
            if waited.as_secs() >= PATIENCE_SECONDS {
                let why = format!(
                    "{} ready, the oldest for {}",
                    units(counts.available),
                    show::span(waited)
                );
                self.needs.push(Need { status: "overdue", what, why, href });
            }
        }
        let weight = |depth: &Depth| (depth.counts.failed, depth.counts.available);
        self.specs.sort_by_key(|depth| std::cmp::Reverse(weight(depth)));
        self.specs_left_out = self.specs.len().saturating_sub(ROWS);
        self.specs.truncate(ROWS);
    }

    fn look_at_nodes(&mut self) {
        let now = now();
        for Follower { node, lag, standing } in &self.nodes {
            let why = match *standing {
                "overdue" => format!("its lease ended {} ago", show::span(now.since(node.lease))),
                "behind" => format!("{lag} changes of definitions behind the others"),
                _ => continue,
            };
            let href = "/ui/nodes".to_owned();
            self.needs.push(Need { status: standing, what: node.name.clone(), why, href });
        }
    }

    async fn look_into(&mut self, call: &Call, namespace: &Namespace) -> Result<()> {
        let faulted = InstanceFilter {
            status: Some(InstanceStatus::Faulted),
            limit: ROWS as u32,
            newest: true,
            ..InstanceFilter::default()
        };
        let faulted = visible(ask::instances(call, namespace, faulted).await)?;
        for Instance { id, definition, error, .. } in faulted.unwrap_or_default().0 {
            let detail = error.get("detail").or_else(|| error.get("title"));
            let detail = detail.and_then(serde_json::Value::as_str).unwrap_or("no reason given");
            self.needs.push(Need {
                status: "faulted",
                what: format!("{definition} #{id}"),
                why: detail.chars().take(160).collect(),
                href: place::instance(namespace, &id),
            });
        }
        for health in super::mail::health(call, namespace).await? {
            if let Some(why) = health.need.clone() {
                let (what, href) =
                    (health.account.clone(), place::account(namespace, &health.account));
                self.needs.push(Need { status: health.word, what, why, href });
            }
            self.accounts.push((namespace.clone(), health));
        }
        let newest = Page { after: None, limit: ROWS as u32 / 2 };
        let runs = visible(ask::runs(call, namespace, None, newest).await)?.unwrap_or_default().0;
        for run in &runs {
            if matches!(run.state.as_str(), "failed" | "degraded") {
                self.needs.push(Need {
                    status: if run.state == "failed" { "failed" } else { "degraded" },
                    what: match run.definitions.join(", ") {
                        names if names.is_empty() => format!("{} of a document", run.operation),
                        names => format!("{} of {names}", run.operation),
                    },
                    why: run.error.clone().unwrap_or_default(),
                    href: place::run(namespace, &run.id),
                });
            }
        }
        self.runs.extend(runs.into_iter().map(|run| (namespace.clone(), run)));
        self.look_at_events(call, namespace).await?;
        let workers = visible(ask::workers(call, namespace, ask::rows(None)).await)?;
        let active = workers.unwrap_or_default().0.into_iter().filter(|worker| worker.active);
        self.workers.extend(active.map(|worker| (namespace.clone(), worker)));
        Ok(())
    }

    /// Says how many events the last hour had.
    fn event_rate(&self) -> String {
        match &self.events_in_hour {
            Count { number: 0, .. } => String::new(),
            Count { number, at_least: true } => {
                format!("{} or more in an hour", show::count(*number as u64))
            }
            Count { number, .. } => format!("{} in an hour", show::count(*number as u64)),
        }
    }

    /// Counts the events of the last hour, by the time that each says.
    async fn look_at_events(&mut self, call: &Call, namespace: &Namespace) -> Result<()> {
        let newest = Page { after: None, limit: EVENTS_MAX };
        let found = visible(ask::events(call, namespace, newest).await)?.unwrap_or_default().0;
        let (now, all) = (now(), found.len());
        let mut recent: Vec<Happened> = Vec::new();
        for (event, received) in found {
            let Some(at) = super::events::time(&event) else { continue };
            if now.since(at) < HOUR {
                let (kind, started) = (event.kind, received.started);
                recent.push(Happened { namespace: namespace.clone(), at, kind, started });
            }
        }
        self.events_in_hour.number += recent.len();
        self.events_in_hour.at_least |= recent.len() == all && all == EVENTS_MAX as usize;
        self.events.extend(recent);
        Ok(())
    }
}

/// Writes a number of units.
fn units(number: u64) -> String {
    if number == 1 { "1 unit".to_owned() } else { format!("{} units", show::count(number)) }
}

/// Puts the rows of a summary together, one for each spec.
fn depths(rows: &[SummaryRow], oldest: Vec<(Namespace, SpecName, Time)>) -> (Vec<Depth>, Counts) {
    let oldest: BTreeMap<_, _> =
        oldest.into_iter().map(|(namespace, spec, time)| ((namespace, spec), time)).collect();
    let mut by_spec: BTreeMap<(Namespace, SpecName), Counts> = BTreeMap::new();
    let mut total = Counts::default();
    for row in rows {
        let key = (row.namespace.clone(), row.spec.clone());
        *by_spec.entry(key).or_default().of_mut(row.status) += row.count;
        *total.of_mut(row.status) += row.count;
    }
    let depth = |((namespace, spec), counts)| {
        let key = (namespace, spec);
        let oldest = oldest.get(&key).copied();
        let (namespace, spec) = key;
        Depth { namespace, spec, counts, oldest }
    };
    (by_spec.into_iter().map(depth).collect(), total)
}
