//! Secrets: their names, and forms whose values go in and never come out.

use askama::Template;
use model::{Answer, Error, Namespace, Query, Result, SecretCommand, SecretInfo, SecretName};
use serde::Serialize;

use super::{
    ask,
    form::{Form, unknown},
    frame::{Frame, Here, page},
    place, show,
};
use crate::{
    call::{Call, take},
    outcome::Outcome,
};

#[derive(Template, Serialize)]
#[template(path = "secrets.html")]
struct Secrets {
    namespace: Namespace,
    secrets: Vec<SecretInfo>,
    next: Option<SecretName>,
    #[serde(skip)]
    form: String,
}

impl Secrets {
    fn command(&self, verb: &str, name: &str) -> String {
        show::command_in(&self.namespace, &["secret", verb, name])
    }

    fn rotate_command(&self) -> String {
        show::command_in(&self.namespace, &["secret", "rotate"])
    }
}

pub(crate) async fn list(call: Call) -> Result<Outcome> {
    let namespace = call.namespace()?;
    let after = call.params()?.previous_text()?.map(SecretName::new).transpose()?;
    let query = Query::Secrets(namespace.clone(), ask::rows(after));
    let mut secrets = match call.read(query).await {
        Err(Error::NoSuchNamespace(_)) => Vec::new(),
        read => take!(read?.answer, Answer::Secrets)?,
    };
    let next = ask::cut(&mut secrets, |info| info.name.clone());
    let form = call.app.sessions.form_token(&call.visit);
    let frame = Frame::of(&namespace, "Secrets", Here::Secrets);
    page(&call, frame, &Secrets { namespace, secrets, next, form })
}

/// Sets, replaces or removes a secret.
pub(crate) async fn change(call: Call) -> Result<Outcome> {
    let form = Form::of(&call)?;
    let namespace = call.namespace()?;
    let name = SecretName::new(form.text("name"))?;
    let (command, done) = match form.text("do") {
        "set" => {
            let value = model::SecretValue::new(form.text("value").to_owned())?;
            (SecretCommand::Set { name, value }, "set")
        }
        "remove" => (SecretCommand::Remove { name }, "removed"),
        other => return Err(unknown(other)),
    };
    ask::change(&call, &namespace, command).await?;
    Ok(Outcome::see_other(format!("{}?done={done}", place::of(&namespace, "secrets"))))
}
