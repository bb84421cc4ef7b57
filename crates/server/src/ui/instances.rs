//! Instances of workflows: how they stand, all that happened, and what can be done about it.

use std::collections::BTreeMap;

use askama::Template;
use flow::graph::Branch;
use model::{
    Id, Instance, InstanceCommand, InstanceControl, InstanceFilter, InstanceStatus, JournalEntry,
    Namespace, Page, Reply, Result, Time, limits,
};
use serde::Serialize;
use serde_json::Value;

use super::{
    ask::{self, visible},
    definitions::draw,
    form::{Form, unknown},
    frame::{Frame, Here, page},
    place, show,
};
use crate::{call::Call, outcome::Outcome};

#[derive(Template, Serialize)]
#[template(path = "instances.html")]
struct Instances {
    namespace: Namespace,
    definition: Option<String>,
    status: Option<InstanceStatus>,
    instances: Vec<Instance>,
    next: Option<Id>,
}

impl Instances {
    /// Gives each status and whether it is the one that is shown.
    fn tabs(&self) -> [(&'static str, bool); 6] {
        InstanceStatus::ALL.map(|status| (status.as_str(), self.status == Some(status)))
    }

    fn is_all(&self) -> bool {
        self.status.is_none()
    }

    fn of_definition(&self) -> String {
        let of = |name: &String| format!("&definition={}", place::value(name));
        self.definition.as_ref().map(of).unwrap_or_default()
    }

    fn status_word(&self) -> &'static str {
        self.status.map_or("", InstanceStatus::as_str)
    }
}

pub(crate) async fn list(call: Call) -> Result<Outcome> {
    let (namespace, params) = (call.namespace()?, call.params()?);
    let definition = params.word("definition")?;
    let word = params.word("status")?;
    let status = InstanceStatus::ALL.into_iter().find(|one| Some(one.as_str()) == word.as_deref());
    let filter = InstanceFilter {
        definition: definition.clone(),
        status,
        after: params.previous_id()?,
        limit: ask::ROWS + 1,
    };
    let (mut instances, as_of) = ask::instances(&call, &namespace, filter).await?;
    let next = ask::cut(&mut instances, |instance| instance.id);
    let view = Instances { namespace, definition, status, instances, next };
    page(&call, Frame::of(&view.namespace, "Instances", Here::Instances).live(as_of), &view)
}

#[derive(Template, Serialize)]
#[template(path = "instance.html")]
struct OneInstance {
    namespace: Namespace,
    instance: Box<Instance>,
    journal: Vec<JournalEntry>,
    is_cut: bool,
    /// The entry that is looked at.
    seq: u64,
    #[serde(skip)]
    happened: Vec<Happened>,
    #[serde(skip)]
    drawing: Option<show::Html>,
    #[serde(skip)]
    form: String,
}

/// One thing that a journal tells.
struct Happened {
    seq: u64,
    time: Time,
    what: String,
    step: String,
    data: Option<String>,
}

impl OneInstance {
    fn command(&self, verb: &str, rest: &[&str]) -> String {
        let id = self.instance.id.to_string();
        show::command_in(&self.namespace, &[&["instance", verb, id.as_str()], rest].concat())
    }

    fn entry(&self) -> Option<&JournalEntry> {
        self.journal.iter().find(|entry| entry.seq == self.seq)
    }

    fn last(&self) -> u64 {
        self.journal.last().map_or(0, |entry| entry.seq)
    }

    fn is_faulted(&self) -> bool {
        self.instance.status == InstanceStatus::Faulted
    }

    fn is_over(&self) -> bool {
        self.instance.status.is_over()
    }

    fn is_paused(&self) -> bool {
        self.instance.status == InstanceStatus::Paused
    }

    fn has(&self, value: &Value) -> bool {
        !value.is_null()
    }

    fn fault(&self) -> String {
        let text = |key| self.instance.error.get(key).and_then(Value::as_str);
        text("detail").or_else(|| text("title")).unwrap_or_default().to_owned()
    }

    /// Gives the names of the steps of the top level that were come to.
    fn steps(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for happened in &self.happened {
            let name = happened.step.strip_prefix("do/").and_then(|rest| rest.split('/').nth(1));
            if let Some(name) = name
                && !names.iter().any(|known| known == name)
            {
                names.push(name.to_owned());
            }
        }
        names
    }
}

pub(crate) async fn show(call: Call) -> Result<Outcome> {
    let (namespace, id) = (call.namespace()?, id(&call)?);
    let (instance, as_of) = ask::instance(&call, &namespace, id).await?;
    let all = Page { after: None, limit: limits::PAGE_MAX };
    let journal = ask::journal(&call, &namespace, id, all).await?;
    let last = journal.last().map_or(0, |entry| entry.seq);
    let asked = call.params()?.word("seq")?.and_then(|text| text.parse().ok());
    let seq = asked.filter(|seq| (1..=last).contains(seq)).unwrap_or(last);
    let happened: Vec<_> = journal.iter().flat_map(happened).collect();
    let version = Some(instance.version.clone());
    let version = ask::version(&call, &namespace, &instance.definition, version).await;
    // A version can be deleted once nothing runs by it.
    let drawing = match visible(version) {
        Ok(Some(version)) => {
            let standing = standing(happened.iter().filter(|one| one.seq <= seq));
            draw(&version.source, &|branch: &Branch| standing.get(&branch.path).copied())
        }
        _ => None,
    };
    let title = format!("{} #{id}", instance.definition);
    let view = OneInstance {
        is_cut: journal.len() >= limits::PAGE_MAX as usize,
        form: call.app.sessions.form_token(&call.visit),
        namespace,
        instance,
        journal,
        seq,
        happened,
        drawing,
    };
    page(&call, Frame::of(&view.namespace, title, Here::Instances).live(as_of), &view)
}

fn id(call: &Call) -> Result<Id> {
    let text = call.part("{instance}")?;
    text.parse().map_err(|_| model::Error::NoSuchInstance(text))
}

/// Gives what an entry tells, in the order in which it happened.
fn happened(entry: &JournalEntry) -> Vec<Happened> {
    let notes = entry.body.get("notes").and_then(Value::as_array).into_iter().flatten();
    let text = |note: &Value, key| note.get(key).and_then(Value::as_str).map(str::to_owned);
    notes
        .map(|note| Happened {
            seq: entry.seq,
            time: entry.time,
            what: text(note, "what").unwrap_or_default(),
            step: text(note, "step").unwrap_or_default(),
            data: note.get("data").filter(|data| !data.is_null()).map(Value::to_string),
        })
        .collect()
}

/// Tells how each step stands after what happened, by its place in the document.
fn standing<'a>(happened: impl Iterator<Item = &'a Happened>) -> BTreeMap<String, &'static str> {
    let mut standing = BTreeMap::new();
    for Happened { what, step, .. } in happened {
        // The last part of a step's name counts its rounds.
        let Some((path, _round)) = step.rsplit_once('/') else { continue };
        let word = match what.as_str() {
            "started" | "retried" | "resumed" => "running",
            "completed" | "correlated" | "compensated" => "finished",
            "faulted" | "incident" => "failed",
            "waiting" | "suspended" => "waiting",
            "cancelled" => "cancelled",
            "skipped" => "skipped",
            _ => continue,
        };
        standing.insert(path.to_owned(), word);
    }
    standing
}

/// Steers an instance.
pub(crate) async fn change(call: Call) -> Result<Outcome> {
    let form = Form::of(&call)?;
    let (namespace, instance) = (call.namespace()?, id(&call)?);
    let step = form.some("step").map(str::to_owned);
    let (control, done) = match form.text("do") {
        "cancel" => (InstanceControl::Cancel, "cancelled"),
        "pause" => (InstanceControl::Pause, "paused"),
        "resume" => (InstanceControl::Resume, "resumed"),
        "retry" => (InstanceControl::Retry { step, input: form.json("input")? }, "retried"),
        "skip" => {
            let output = form.json("output")?.unwrap_or_default();
            (InstanceControl::Skip { step, output }, "skipped")
        }
        "restart" => (InstanceControl::Restart { step }, "restarted"),
        other => return Err(unknown(other)),
    };
    let command = InstanceCommand::Control { instance, control };
    let shown = match ask::change(&call, &namespace, command).await? {
        Reply::Id(new) => new,
        _ => instance,
    };
    Ok(Outcome::see_other(format!("{}?done={done}", place::instance(&namespace, &shown))))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_journal_tells_how_steps_stand() {
        let entry = |seq, notes| JournalEntry { seq, time: Time(0), body: json!({"notes": notes}) };
        let journal = [
            entry(1, json!([{"what": "started"}, {"what": "started", "step": "do/0/pack/0"}])),
            entry(2, json!([{"what": "faulted", "step": "do/0/pack/0", "data": {"title": "no"}}])),
            entry(3, json!([{"what": "started", "step": "do/0/pack/0t1"}])),
        ];
        let told: Vec<_> = journal.iter().flat_map(happened).collect();
        assert_eq!(told.len(), 4);
        assert_eq!(told[2].data.as_deref(), Some("{\"title\":\"no\"}"));
        assert_eq!(standing(told.iter()).get("do/0/pack"), Some(&"running"));
        let before = told.iter().filter(|one| one.seq <= 2);
        assert_eq!(standing(before).get("do/0/pack"), Some(&"failed"));
    }
}
