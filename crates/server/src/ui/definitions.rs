//! Workflow definitions: what is published, what starts it, and how versions differ.

use askama::Template;
use flow::{compare, graph};
use model::{
    Definition, DefinitionCommand, Error, InstanceCommand, Namespace, Page, Reply, Result, Run,
    Running, Start, Terms, Time, Trigger, TriggerControl, Until, Version,
};
use serde::Serialize;

use super::{
    ask,
    beside::{Pair, beside},
    form::{Form, unknown},
    frame::{Frame, Here, page},
    place, show,
};
use crate::{
    call::{Call, mismatch},
    outcome::Outcome,
};

/// Runs that are shown with a definition.
const RUNS: u32 = 8;

#[derive(Template, Serialize)]
#[template(path = "definitions.html")]
struct Definitions {
    namespace: Namespace,
    definitions: Vec<Definition>,
    next: Option<String>,
}

pub(crate) async fn list(call: Call) -> Result<Outcome> {
    let namespace = call.namespace()?;
    let after = call.params()?.previous_text()?;
    let (mut definitions, as_of) = ask::definitions(&call, &namespace, ask::rows(after)).await?;
    let next = ask::cut(&mut definitions, |definition| definition.name.clone());
    let frame = Frame::of(&namespace, "Definitions", Here::Definitions).live(as_of);
    page(&call, frame, &Definitions { namespace, definitions, next })
}

#[derive(Template, Serialize)]
#[template(path = "definition.html")]
struct OneDefinition {
    namespace: Namespace,
    definition: Definition,
    /// The published version with its document.
    published: Option<Version>,
    triggers: Vec<Trigger>,
    versions: Vec<Version>,
    runs: Vec<Run>,
    #[serde(skip)]
    drawing: Option<show::Html>,
    #[serde(skip)]
    form: String,
}

impl OneDefinition {
    fn command(&self, verb: &str, rest: &[&str]) -> String {
        let name = format!("{}/{}", self.namespace, self.definition.name);
        show::command(&[&["workflow", verb, &name], rest].concat())
    }

    fn start_command(&self) -> String {
        let words = ["run", self.definition.name.as_str(), "--input", "{}"];
        show::command_in(&self.namespace, &words)
    }

    fn is_published(&self, version: &Version) -> bool {
        self.definition.published.as_ref() == Some(&version.version)
    }
}

pub(crate) async fn show(call: Call) -> Result<Outcome> {
    let (namespace, name) = (call.namespace()?, call.part("{definition}")?);
    let (definition, as_of) = ask::definition(&call, &namespace, &name).await?;
    let published = match &definition.published {
        None => None,
        Some(version) => Some(ask::version(&call, &namespace, &name, Some(version.clone())).await?),
    };
    let newest = Page { after: None, limit: RUNS };
    let view = OneDefinition {
        triggers: ask::triggers(&call, &namespace, Some(name.clone())).await?.0,
        versions: ask::versions(&call, &namespace, &name).await?,
        runs: ask::runs(&call, &namespace, Some(name.clone()), newest).await?.0,
        drawing: published.as_ref().and_then(|version| draw(&version.source, &|_| None)),
        form: call.app.sessions.form_token(&call.visit),
        namespace: namespace.clone(),
        published,
        definition,
    };
    page(&call, Frame::of(&namespace, name, Here::Definitions).live(as_of), &view)
}

/// Draws the tasks of a document.
pub(super) fn draw(
    source: &str,
    stands: &dyn Fn(&graph::Branch) -> Option<&'static str>,
) -> Option<show::Html> {
    let definition = flow::Definition::parse(source).ok()?;
    Some(show::drawing(graph::draw(&graph::tree(&definition), stands)))
}

/// Starts, retracts, rolls back or deletes a definition.
pub(crate) async fn change(call: Call) -> Result<Outcome> {
    let form = Form::of(&call)?;
    let (namespace, name) = (call.namespace()?, call.part("{definition}")?);
    // Whoever confirms a change saw a revision, and means that one.
    let base = form.number("base")?;
    // Answered before it is effective, so that the page of the run can be watched.
    let terms = Terms { until: Until::Committed, ..Terms::default() };
    let running = match form.text("running") {
        "" | "keep" => Running::Keep,
        "pause" => Running::Pause,
        "cancel" => Running::Cancel,
        other => return Err(unknown(other)),
    };
    let command = match form.text("do") {
        "retract" => DefinitionCommand::Retract { name, base, running, terms },
        "delete" => DefinitionCommand::Delete { name, base, running, terms },
        "rollback" => {
            let version = form.text("version").to_owned();
            DefinitionCommand::Rollback { name, version, base, terms }
        }
        other => return Err(unknown(other)),
    };
    match ask::change(&call, &namespace, command).await? {
        Reply::Definition(published) => {
            Ok(Outcome::see_other(place::run(&namespace, &published.run)))
        }
        _ => Err(mismatch()),
    }
}

/// Starts an instance.
pub(crate) async fn start(call: Call) -> Result<Outcome> {
    let form = Form::of(&call)?;
    let (namespace, definition) = (call.namespace()?, call.part("{definition}")?);
    let input = form.json("input")?.unwrap_or_default();
    let command = InstanceCommand::Start(Start { definition, input, traceparent: None });
    match ask::change(&call, &namespace, command).await? {
        Reply::Id(id) => Ok(Outcome::see_other(place::instance(&namespace, &id) + "?done=started")),
        _ => Err(mismatch()),
    }
}

#[derive(Template, Serialize)]
#[template(path = "schedules.html")]
struct Schedules {
    namespace: Namespace,
    triggers: Vec<Trigger>,
    #[serde(skip)]
    form: String,
}

impl Schedules {
    fn command(&self, verb: &str, trigger: &Trigger) -> String {
        let words = ["schedule", verb, trigger.definition.as_str(), trigger.name.as_str()];
        show::command_in(&self.namespace, &words)
    }
}

/// Shows what starts workflows by itself: schedules first, in the order in which they fire.
pub(crate) async fn schedules(call: Call) -> Result<Outcome> {
    let namespace = call.namespace()?;
    let (mut triggers, as_of) = ask::triggers(&call, &namespace, None).await?;
    let key = |trigger: &Trigger| (trigger.next.is_none(), trigger.next, trigger.kind == "event");
    triggers.sort_by_key(key);
    let form = call.app.sessions.form_token(&call.visit);
    let frame = Frame::of(&namespace, "Schedules", Here::Schedules).live(as_of);
    page(&call, frame, &Schedules { namespace, triggers, form })
}

/// Pauses, resumes or backfills a trigger.
pub(crate) async fn change_trigger(call: Call) -> Result<Outcome> {
    let form = Form::of(&call)?;
    let namespace = call.namespace()?;
    let (definition, trigger) = (call.part("{definition}")?, call.part("{trigger}")?);
    let (control, done) = match form.text("do") {
        "pause" => (TriggerControl::Pause, "paused"),
        "resume" => (TriggerControl::Resume, "resumed"),
        "backfill" => {
            let (from, until) = (time(form.text("from"))?, time(form.text("until"))?);
            (TriggerControl::Backfill { from, until }, "backfilled")
        }
        other => return Err(unknown(other)),
    };
    let command = InstanceCommand::ControlTrigger { definition, trigger, control };
    ask::change(&call, &namespace, command).await?;
    Ok(Outcome::see_other(place::of(&namespace, "schedules") + "?done=" + done))
}

/// Reads a time, also as the fields of browsers write it, which is in UTC here.
fn time(text: &str) -> Result<Time> {
    let text = text.trim();
    match text.len() {
        16 => Time::parse(&format!("{text}:00Z")),
        19 => Time::parse(&format!("{text}Z")),
        _ => Time::parse(text),
    }
}

#[derive(Template, Serialize)]
#[template(path = "diff.html")]
struct Diff {
    namespace: Namespace,
    definition: String,
    from: String,
    to: String,
    is_same: bool,
    /// The lines side by side.
    lines: Vec<Pair>,
    versions: Vec<String>,
}

impl Diff {
    fn command(&self) -> String {
        let name = format!("{}/{}", self.namespace, self.definition);
        show::command(&["workflow", "diff", &name, "--from", &self.from, "--to", &self.to])
    }
}

/// Shows two versions side by side; without a choice, the last two.
pub(crate) async fn diff(call: Call) -> Result<Outcome> {
    let (namespace, definition) = (call.namespace()?, call.part("{definition}")?);
    let (params, versions) = (call.params()?, ask::versions(&call, &namespace, &definition).await?);
    let versions: Vec<_> = versions.into_iter().map(|version| version.version).collect();
    let newest = |at| versions.get(at).or(versions.first()).cloned();
    let absent = || Error::NoSuchDefinition(definition.clone());
    let from = params.word("from")?.or_else(|| newest(1)).ok_or_else(absent)?;
    let to = params.word("to")?.or_else(|| newest(0)).ok_or_else(absent)?;
    let old = ask::version(&call, &namespace, &definition, Some(from.clone())).await?;
    let new = ask::version(&call, &namespace, &definition, Some(to.clone())).await?;
    let lines = beside(&compare(&old.source, &new.source));
    let is_same = lines.iter().all(|pair| pair.is_same);
    let title = format!("{definition}: {from} and {to}");
    let view = Diff { namespace, definition, from, to, is_same, lines, versions };
    page(&call, Frame::of(&view.namespace, title, Here::Definitions), &view)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_browsers_write_them() {
        let expected = Time::parse("2026-11-22T10:30:00Z").unwrap();
        for text in ["2026-11-22T10:30", "2026-11-22T10:30:00", " 2026-11-22T10:30:00Z "] {
            assert_eq!(time(text).unwrap(), expected);
        }
        assert!(time("").is_err());
    }
}
