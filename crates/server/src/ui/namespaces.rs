//! Namespaces.

use askama::Template;
use model::{Namespace, NamespaceInfo, QueueCommand, Result};
use serde::Serialize;

use super::{
    ask,
    form::{Form, unknown},
    frame::{Frame, Here, page},
    live::position,
    place, show,
};
use crate::{call::Call, outcome::Outcome};

#[derive(Template, Serialize)]
#[template(path = "namespaces.html")]
struct Namespaces {
    namespaces: Vec<NamespaceInfo>,
    next: Option<Namespace>,
    #[serde(skip)]
    form: String,
}

pub(crate) async fn list(call: Call) -> Result<Outcome> {
    let after = call.params()?.previous_text()?.map(Namespace::new).transpose()?;
    let revision = position(&call.backend, None).await?;
    let mut namespaces = ask::namespaces(&call, after).await?;
    let next = ask::cut(&mut namespaces, |info| info.name.clone());
    let form = call.app.sessions.form_token(&call.visit);
    let frame = Frame::new("Namespaces", Here::Namespaces).live(revision);
    page(&call, frame, &Namespaces { namespaces, next, form })
}

pub(crate) async fn change(call: Call) -> Result<Outcome> {
    let form = Form::of(&call)?;
    let namespace = Namespace::new(form.text("name"))?;
    let (command, to) = match form.text("do") {
        "create" => (QueueCommand::CreateNamespace, place::of(&namespace, "") + "?done=created"),
        "delete" => (QueueCommand::DestroyNamespace, "/ui/namespaces?done=deleted".to_owned()),
        other => return Err(unknown(other)),
    };
    ask::change(&call, &namespace, command).await?;
    Ok(Outcome::see_other(to))
}
