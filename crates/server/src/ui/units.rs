//! One work unit, with all that was tried.

use askama::Template;
use model::{
    Answer, Attempt, AttemptsOf, Error, Namespace, Page, Query, QueueCommand, Reply, Result,
    SetUnits, SpecRef, Unit, UnitChange, UnitFilter, UnitStatus, limits,
};
use serde::Serialize;

use super::{
    ask::{self, visible},
    form::{Form, unknown},
    frame::{Frame, Here, page},
    place, show,
};
use crate::{
    call::{Call, take},
    outcome::Outcome,
};

#[derive(Template, Serialize)]
#[template(path = "unit.html")]
struct OneUnit {
    namespace: Namespace,
    unit: Unit,
    attempts: Vec<Attempt>,
    #[serde(skip)]
    form: String,
}

impl OneUnit {
    fn retry_command(&self) -> String {
        let (spec, name) = (self.unit.spec.as_str(), self.unit.name.to_string());
        show::command_in(&self.namespace, &["unit", "retry", spec, &name])
    }

    fn delete_command(&self) -> String {
        let (spec, name) = (self.unit.spec.as_str(), self.unit.name.to_string());
        show::command_in(&self.namespace, &["unit", "delete", spec, &name, "--yes"])
    }

    /// Writes the command that ends the lease of the active attempt.
    fn release_command(&self) -> String {
        let (spec, name) = (self.unit.spec.as_str(), self.unit.name.to_string());
        let id = self.unit.active.as_ref().map_or(0, |attempt| attempt.id).to_string();
        show::command_in(&self.namespace, &["attempt", "expire", spec, &name, &id])
    }

    fn is_over(&self) -> bool {
        matches!(self.unit.status, UnitStatus::Finished | UnitStatus::Failed)
    }
}

pub(crate) async fn show(call: Call) -> Result<Outcome> {
    let (namespace, unit) = (call.namespace()?, call.unit()?);
    let read = call.read(Query::Unit(namespace.clone(), unit.clone())).await?;
    let found = take!(read.answer, Answer::Unit)?;
    let newest = Page { after: None, limit: limits::PAGE_MAX };
    let attempts = ask::attempts(&call, &namespace, AttemptsOf::Unit(unit), newest).await;
    let mut attempts = visible(attempts)?.unwrap_or_default();
    attempts.reverse();
    let form = call.app.sessions.form_token(&call.visit);
    let title = found.name.to_string();
    let frame = Frame::of(&namespace, title, Here::Specs).live(read.as_of);
    page(&call, frame, &OneUnit { namespace, unit: found, attempts, form })
}

/// Retries, releases or deletes a unit.
pub(crate) async fn change(call: Call) -> Result<Outcome> {
    let form = Form::of(&call)?;
    let (namespace, unit) = (call.namespace()?, call.unit()?);
    let here = place::unit(&namespace, &unit.spec, &unit.name);
    let spec = SpecRef { name: unit.spec.clone(), id: None };
    let filter = UnitFilter { names: Some(vec![unit.name.clone()]), ..UnitFilter::default() };
    let set = |change| QueueCommand::SetUnits(SetUnits { spec, filter, change });
    let (command, to) = match form.text("do") {
        "retry" => (set(UnitChange::Again), here + "?done=retried"),
        "delete" => {
            (set(UnitChange::Delete), place::spec(&namespace, &unit.spec) + "?done=deleted")
        }
        "release" => (QueueCommand::ClearActive { unit: unit.clone() }, here + "?done=released"),
        other => return Err(unknown(other)),
    };
    match ask::change(&call, &namespace, command).await? {
        Reply::Swept { count: 0, .. } => Err(Error::NoSuchWorkUnit(unit.name.to_string())),
        _ => Ok(Outcome::see_other(to)),
    }
}
