//! Workers.

use askama::Template;
use model::{
    Answer, Attempt, AttemptsOf, Namespace, Page, Query, QueueCommand, Result, Time, Worker,
    WorkerName,
};
use serde::Serialize;

use super::{
    ask::{self, visible},
    form::{Form, unknown},
    frame::{Frame, Here, page},
    place, show,
};
use crate::{
    auth::now,
    call::{Call, take},
    outcome::Outcome,
};

/// Says how a worker stands.
fn standing(worker: &Worker, now: &Time) -> &'static str {
    match worker.active {
        true if worker.expiration < *now => "overdue",
        true => "active",
        false => "inactive",
    }
}

#[derive(Template, Serialize)]
#[template(path = "workers.html")]
struct Workers {
    namespace: Namespace,
    workers: Vec<Worker>,
    next: Option<WorkerName>,
    #[serde(skip)]
    now: Time,
}

pub(crate) async fn list(call: Call) -> Result<Outcome> {
    let namespace = call.namespace()?;
    let after = call.params()?.previous_text()?.map(WorkerName::new).transpose()?;
    let (mut workers, as_of) = ask::workers(&call, &namespace, ask::rows(after)).await?;
    let next = ask::cut(&mut workers, |worker| worker.name.clone());
    let frame = Frame::of(&namespace, "Workers", Here::Workers).live(as_of);
    page(&call, frame, &Workers { namespace, workers, next, now: now() })
}

#[derive(Template, Serialize)]
#[template(path = "worker.html")]
struct OneWorker {
    namespace: Namespace,
    worker: Worker,
    standing: &'static str,
    active: Vec<Attempt>,
    /// What it did, oldest first, a page.
    attempts: Vec<Attempt>,
    next: Option<u64>,
    #[serde(skip)]
    form: String,
}

impl OneWorker {
    fn command(&self) -> String {
        let words = ["worker", "deactivate", self.worker.name.as_str()];
        show::command_in(&self.namespace, &words)
    }
}

pub(crate) async fn show(call: Call) -> Result<Outcome> {
    let (namespace, name) = (call.namespace()?, call.worker()?);
    let read = call.read(Query::Worker(namespace.clone(), name.clone())).await?;
    let worker = take!(read.answer, Answer::Worker)?;
    let of = AttemptsOf::WorkerActive(name.clone());
    let active = ask::attempts(&call, &namespace, of, ask::rows(None)).await;
    let page_of = Page { after: call.params()?.previous_id()?, limit: ask::ROWS + 1 };
    let of = AttemptsOf::WorkerAll(name);
    let attempts = ask::attempts(&call, &namespace, of, page_of).await;
    let mut attempts = visible(attempts)?.unwrap_or_default();
    let next = ask::cut(&mut attempts, |attempt| attempt.id);
    let view = OneWorker {
        standing: standing(&worker, &now()),
        active: visible(active)?.unwrap_or_default(),
        attempts,
        next,
        form: call.app.sessions.form_token(&call.visit),
        namespace: namespace.clone(),
        worker,
    };
    let title = show::name(view.worker.name.as_str());
    page(&call, Frame::of(&namespace, title, Here::Workers).live(read.as_of), &view)
}

/// Deactivates a worker.
pub(crate) async fn change(call: Call) -> Result<Outcome> {
    let form = Form::of(&call)?;
    let (namespace, worker) = (call.namespace()?, call.worker()?);
    let here = place::worker(&namespace, &worker);
    let command = match form.text("do") {
        "deactivate" => QueueCommand::DeactivateWorker { worker },
        other => return Err(unknown(other)),
    };
    ask::change(&call, &namespace, command).await?;
    Ok(Outcome::see_other(here + "?done=deactivated"))
}
