//! Steps of workflows that the server does itself: HTTP requests, operations of OpenAPI documents,
//! and, where that is allowed, scripts and shell commands.
//!
//! They are units like all others, claimed by a worker in this process; so they are leased, tried
//! again when this server dies, and done once by whichever node is first.

mod guard;
mod http;
mod openapi;
mod process;
mod secret;

use std::{collections::HashSet, sync::Arc, time::Duration};

use client::{
    Lockstep,
    worker::{Outcome, Task, TaskResult, Worker, WorkerOptions},
};
use engine::{Engine, Keys};
use flow::{
    instance::{BUILTIN_RUNTIME, builtin_spec},
    run::{Builtin, Fault, wipe},
};
use model::{
    Answer, Backend, Namespace, NamespaceInfo, Page, Query, Result, SpecName, SpecRef, TRACEPARENT,
    Tracer, data_from_json, data_to_json,
};
use serde_json::{Value as Json, json};
use tokio::sync::watch;

pub(crate) use guard::Guard;
pub(crate) use secret::Secrets;

use crate::webhook::Webhook;

/// Steps that one node does at the same time in one namespace.
const AT_ONCE: usize = 32;
/// Time between two looks for namespaces whose steps another node has left.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// What the server may do itself.
#[derive(Clone, Default)]
pub(crate) struct Means {
    /// Where requests may go.
    pub(crate) guard: Guard,
    /// The secrets that steps may name.
    pub(crate) secrets: Secrets,
    /// The keys of those that are sealed in the store.
    pub(crate) keys: Option<Arc<Keys>>,
    /// Whether scripts and shell commands may run on this machine.
    pub(crate) processes: bool,
    /// How long instances are kept once they have ended, if not for the usual time.
    pub(crate) instances_kept: Option<Duration>,
    /// Who is asked before anything is published.
    pub(crate) webhooks: Vec<Webhook>,
    /// Who takes spans.
    pub(crate) tracer: Option<Arc<dyn Tracer>>,
}

/// Does the steps of all namespaces until it is told to stop.
pub(crate) async fn run(
    engine: Arc<Engine>,
    backend: Arc<dyn Backend>,
    means: Means,
    stop: watch::Receiver<bool>,
) {
    let mut served: HashSet<Namespace> = HashSet::new();
    let Some(mut wanted) = engine.builtin_steps() else { return };
    let http = match http::Client::new(means.guard.clone()) {
        Ok(http) => http,
        Err(error) => {
            tracing::error!(%error, "no step can be done by this server");
            return;
        }
    };
    let doer = Arc::new(Doer { http, means, engine });
    loop {
        for namespace in left_over(&*backend).await {
            serve(&mut served, namespace, &backend, &doer, &stop);
        }
        let mut stopping = stop.clone();
        let look = tokio::time::sleep(LOOK_EVERY);
        tokio::pin!(look);
        loop {
            tokio::select! {
                namespace = wanted.recv() => match namespace {
                    Some(namespace) => serve(&mut served, namespace, &backend, &doer, &stop),
                    None => return,
                },
                () = &mut look => break,
                _ = stopping.wait_for(|stop| *stop) => return,
            }
        }
    }
}

/// Finds the namespaces that have steps for servers.
async fn left_over(backend: &dyn Backend) -> Vec<Namespace> {
    let mut found = Vec::new();
    let mut page = Page::default();
    loop {
        let Ok(read) = backend.read(Query::Namespaces(page), 0).await else { return found };
        let Answer::Namespaces(namespaces) = read.answer else { return found };
        for NamespaceInfo { name, .. } in &namespaces {
            if has_steps(backend, name).await {
                found.push(name.clone());
            }
        }
        let Some(last) = namespaces.last().filter(|_| namespaces.len() >= 1_000) else {
            return found;
        };
        page = Page { after: Some(last.name.clone()), limit: 0 };
    }
}

async fn has_steps(backend: &dyn Backend, namespace: &Namespace) -> bool {
    for name in specs() {
        let query = Query::Spec(namespace.clone(), SpecRef { name, id: None });
        if backend.read(query, 0).await.is_ok() {
            return true;
        }
    }
    false
}

fn specs() -> Vec<SpecName> {
    [Builtin::Http, Builtin::OpenApi, Builtin::Script, Builtin::Shell]
        .into_iter()
        .filter_map(|builtin| SpecName::new(builtin_spec(builtin)).ok())
        .collect()
}

/// Starts a worker for a namespace, unless it has one.
fn serve(
    served: &mut HashSet<Namespace>,
    namespace: Namespace,
    backend: &Arc<dyn Backend>,
    doer: &Arc<Doer>,
    stop: &watch::Receiver<bool>,
) {
    if !served.insert(namespace.clone()) {
        return;
    }
    let lockstep = Lockstep::new(Arc::clone(backend), namespace.clone());
    let options = WorkerOptions {
        specs: specs(),
        runtimes: vec![BUILTIN_RUNTIME.to_owned()],
        concurrency: AT_ONCE,
        lifetime: Duration::from_secs(60),
        ..WorkerOptions::standard()
    };
    let doer = Arc::clone(doer);
    let tracer = doer.means.tracer.clone();
    let place = namespace.clone();
    let worker = Worker::new(lockstep, options).trace_to(tracer).other(move |task| {
        let (doer, place) = (Arc::clone(&doer), place.clone());
        async move { doer.run(&place, task).await }
    });
    let mut stop = stop.clone();
    tokio::spawn(async move {
        let stopped = async {
            // A sender that is gone says the same.
            let _stopped = stop.wait_for(|stop| *stop).await;
        };
        if let Err(error) = worker.run(stopped).await {
            tracing::warn!(%namespace, %error, "the worker for steps of the server ended");
        }
    });
}

/// Does single steps.
struct Doer {
    http: http::Client,
    means: Means,
    /// Who opens the secrets of the store.
    engine: Arc<Engine>,
}

impl Doer {
    async fn run(&self, namespace: &Namespace, task: Task) -> TaskResult {
        let mut input = data_to_json(task.data());
        if let (Some(place), Some(about)) = (task.traceparent(), input.get_mut("lockstep")) {
            about[TRACEPARENT] = place.into();
        }
        let done = tokio::select! {
            done = self.step(namespace, task.spec().as_str(), &input) => done,
            reason = task.cancelled() => return Err(Box::new(reason)),
        };
        Ok(match done {
            (secrets, Ok(output)) => {
                let output = secrets.hide(output);
                Outcome::Finish(Some(data_from_json(&json!({ "output": output }))?))
            }
            (secrets, Err(fault)) => {
                let error = secrets.hide(fault.to_json());
                Outcome::Fail(data_from_json(&json!({ "error": error }))?)
            }
        })
    }

    /// Does a step, and tells which secrets it knows.
    async fn step(
        &self,
        namespace: &Namespace,
        spec: &str,
        input: &Json,
    ) -> (Secrets, Result<Json, Fault>) {
        let secrets = self.means.secrets.for_step(&self.engine, namespace);
        let mut input = match secrets.unseal(input).await {
            Ok(input) => input,
            Err(fault) => return (secrets, Err(fault)),
        };
        let done = match spec {
            "lockstep.http" => http::call(&self.http, &secrets, &input).await,
            "lockstep.openapi" => openapi::call(&self.http, &secrets, &input).await,
            _ => process::run(self.means.processes, &input).await,
        };
        wipe(&mut input);
        (secrets, done)
    }
}
