//! Work specs, and the units of each.

use askama::Template;
use model::{
    Answer, Control, Namespace, Query, QueueCommand, Reply, Result, SetUnits, Spec, SpecName, Time,
    Unit, UnitChange, UnitFilter, UnitName, UnitStatus, unescape,
};
use serde::Serialize;

use super::{
    ask::{self, visible},
    form::{Form, unknown},
    frame::{Frame, Here, page},
    place, show,
};
use crate::{
    call::{Call, mismatch, take},
    outcome::Outcome,
};

/// Sweeps of one bulk action; whoever has more units goes on with the next request.
const SWEEPS_MAX: usize = 20;

#[derive(Template, Serialize)]
#[template(path = "specs.html")]
struct Specs {
    namespace: Namespace,
    specs: Vec<Spec>,
    next: Option<SpecName>,
}

pub(crate) async fn list(call: Call) -> Result<Outcome> {
    let namespace = call.namespace()?;
    let after = call.params()?.previous_spec()?;
    let (mut specs, as_of) = ask::specs(&call, &namespace, ask::rows(after)).await?;
    let next = ask::cut(&mut specs, |spec| spec.name.clone());
    let frame = Frame::of(&namespace, "Specs", Here::Specs).live(as_of);
    page(&call, frame, &Specs { namespace, specs, next })
}

#[derive(Template, Serialize)]
#[template(path = "spec.html")]
struct OneSpec {
    namespace: Namespace,
    spec: Spec,
    oldest: Option<Time>,
    /// The status whose units are shown; none is all.
    status: Option<UnitStatus>,
    units: Vec<Unit>,
    next: Option<UnitName>,
    #[serde(skip)]
    form: String,
}

impl OneSpec {
    /// Gives each status with its count and whether it is the one that is shown.
    fn tabs(&self) -> [(&'static str, u64, bool); 5] {
        let of = |status| (self.spec.counts.of(status), self.status == Some(status));
        UnitStatus::ALL.map(|status| (status.as_str(), of(status).0, of(status).1))
    }

    fn href(&self) -> String {
        place::spec(&self.namespace, &self.spec.name)
    }

    fn status_word(&self) -> &'static str {
        self.status.map_or("", UnitStatus::as_str)
    }

    /// Writes the command that does what a button does.
    fn command(&self, words: &[&str]) -> String {
        let spec = self.spec.name.as_str();
        let words: Vec<&str> =
            words.iter().map(|word| if *word == "SPEC" { spec } else { word }).collect();
        show::command_in(&self.namespace, &words)
    }
}

pub(crate) async fn show(call: Call) -> Result<Outcome> {
    let (namespace, spec, params) = (call.namespace()?, call.spec()?, call.params()?);
    let read = call.read(Query::Spec(namespace.clone(), spec.clone())).await?;
    let found = take!(read.answer, Answer::Spec)?;
    let filter = UnitFilter { limit: ask::ROWS, ..params.filter()? };
    let status = filter.statuses.as_deref().and_then(<[_]>::first).copied();
    let units = call.read(Query::Units(namespace.clone(), spec.clone(), filter)).await;
    let (units, next) = match visible(units)? {
        None => (Vec::new(), None),
        Some(read) => match read.answer {
            Answer::Units(units, next) => (units, next),
            _ => return Err(mismatch()),
        },
    };
    let oldest = visible(ask::oldest(&call).await)?.unwrap_or_default();
    let oldest = oldest.into_iter().find(|(of, name, _)| *of == namespace && *name == spec.name);
    let form = call.app.sessions.form_token(&call.visit);
    let oldest = oldest.map(|(_, _, time)| time);
    let frame = Frame::of(&namespace, found.name.as_str(), Here::Specs).live(read.as_of);
    page(&call, frame, &OneSpec { namespace, spec: found, oldest, status, units, next, form })
}

/// Pauses, resumes or deletes a spec, or changes how it is scheduled.
pub(crate) async fn change(call: Call) -> Result<Outcome> {
    let form = Form::of(&call)?;
    let (namespace, spec) = (call.namespace()?, call.spec()?);
    let here = place::spec(&namespace, &spec.name);
    let paused = |paused| Control { paused: Some(paused), ..Control::default() };
    let (control, done) = match form.text("do") {
        "pause" => (paused(true), "paused"),
        "resume" => (paused(false), "resumed"),
        "schedule" => (
            Control {
                priority: form.number("priority")?,
                weight: form.number("weight")?,
                max_running: form.number("max_running")?,
                ..Control::default()
            },
            "saved",
        ),
        "delete" => {
            ask::change(&call, &namespace, QueueCommand::DestroySpec { spec }).await?;
            return Ok(Outcome::see_other(place::of(&namespace, "specs?done=deleted")));
        }
        other => return Err(unknown(other)),
    };
    ask::change(&call, &namespace, QueueCommand::ControlSpec { spec, control }).await?;
    Ok(Outcome::see_other(format!("{here}?done={done}")))
}

/// Retries or deletes the units that were chosen, or all of one status.
pub(crate) async fn change_units(call: Call) -> Result<Outcome> {
    let form = Form::of(&call)?;
    let (namespace, spec) = (call.namespace()?, call.spec()?);
    let (change, done) = match form.text("do") {
        "retry" => (UnitChange::Again, "retried"),
        "delete" => (UnitChange::Delete, "deleted"),
        other => return Err(unknown(other)),
    };
    let here = place::spec(&namespace, &spec.name);
    let chosen = form.all("unit").map(|name| unescape(name).and_then(UnitName::new));
    let chosen = chosen.collect::<Result<Vec<_>>>()?;
    // What is chosen is all on one page; all of a status may be more than one request can do.
    let (mut filter, shown) = if form.text("which") == "chosen" {
        let filter = UnitFilter { names: Some(chosen), ..UnitFilter::default() };
        let shown = form.some("status").map(|status| format!("&status={}", place::value(status)));
        (filter, shown.unwrap_or_default())
    } else {
        let status = UnitStatus::parse(form.text("status"))?;
        let filter = UnitFilter { statuses: Some(vec![status]), ..UnitFilter::default() };
        (filter, String::new())
    };
    for _ in 0..SWEEPS_MAX {
        let sweep = SetUnits { spec: spec.clone(), filter: filter.clone(), change: change.clone() };
        match ask::change(&call, &namespace, QueueCommand::SetUnits(sweep)).await? {
            Reply::Swept { next: Some(next), .. } => filter.after = Some(next),
            _ => return Ok(Outcome::see_other(format!("{here}?done={done}{shown}"))),
        }
    }
    Ok(Outcome::see_other(format!("{here}?status={}&done=more", form.text("status"))))
}
