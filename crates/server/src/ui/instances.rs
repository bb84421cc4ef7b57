//! Instances of workflows: how they stand, all that happened, and what can be done about it.

use askama::Template;
use flow::graph::Branch;
use model::{
    Answer, Error, Id, Instance, InstanceAnswer, InstanceCommand, InstanceControl, InstanceFilter,
    InstanceQuery, InstanceStatus, JournalEntry, Namespace, Page, Query, Reply, Result, Wait,
    limits,
};
use serde::Serialize;
use serde_json::Value;

use super::{
    approvals,
    ask::{self, visible},
    beside::{Line, changes},
    definitions::draw,
    form::{Form, unknown},
    frame::{Frame, Here, page},
    journal::{Happened, Stretch, happened, standing, timeline},
    place, show,
};
use crate::{
    auth::now,
    call::{Call, take},
    outcome::Outcome,
};

/// Entries of a journal that are shown on each side of the one that is looked at.
const AROUND: u64 = 100;

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
        newest: true,
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
    /// The entries of the journal around the one that is looked at.
    journal: Vec<JournalEntry>,
    /// The entry that is looked at.
    seq: u64,
    /// What the instance was before and after that entry; none if its journal is too long or its
    /// version is gone.
    states: Option<(Value, Value)>,
    /// The events that it waits for.
    waits: Vec<Wait>,
    #[serde(skip)]
    happened: Vec<Happened>,
    #[serde(skip)]
    timeline: Vec<Stretch>,
    #[serde(skip)]
    drawing: Option<show::Html>,
    #[serde(skip)]
    failed: Option<Failed>,
    #[serde(skip)]
    form: String,
}

/// The step that an operator can have done again.
struct Failed {
    step: String,
    took: String,
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
        self.instance.seq
    }

    /// Gives what is told of the entries around the one that is looked at.
    fn around(&self) -> impl Iterator<Item = &Happened> {
        let shown = self.journal.first().map_or(0, |entry| entry.seq)
            ..=self.journal.last().map_or(0, |entry| entry.seq);
        self.happened.iter().filter(move |one| shown.contains(&one.seq))
    }

    /// Gives how the entry has changed the instance, line by line.
    fn changes(&self) -> Vec<Line> {
        let changes = |(before, after): &(Value, Value)| {
            let before = if before.is_null() { String::new() } else { show::json(before) };
            changes(&before, &show::json(after))
        };
        self.states.as_ref().map(changes).unwrap_or_default()
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
    let last = instance.seq;
    let asked = call.params()?.word("seq")?.and_then(|text| text.parse().ok());
    let seq = asked.filter(|seq| (1..=last).contains(seq)).unwrap_or(last);
    let mut journal = whole_journal(&call, &namespace, id).await?;
    let happened: Vec<_> = journal.iter().flat_map(happened).collect();
    journal.retain(|entry| entry.seq.abs_diff(seq) <= AROUND);
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
    let states = states(&call, &namespace, id, seq).await?;
    let failed = match &states {
        Some((_, after)) if instance.status == InstanceStatus::Faulted && seq == last => {
            failed(after)
        }
        _ => None,
    };
    let end = instance.ended.unwrap_or_else(now);
    let title = format!("{} #{id}", instance.definition);
    let view = OneInstance {
        waits: approvals::of_instance(&call, &namespace, id).await?,
        timeline: timeline(happened.iter(), instance.started, end),
        form: call.app.sessions.form_token(&call.visit),
        namespace,
        instance,
        journal,
        seq,
        states,
        happened,
        drawing,
        failed,
    };
    page(&call, Frame::of(&view.namespace, title, Here::Instances).live(as_of), &view)
}

/// Reads a journal, as far as it can be gone through.
async fn whole_journal(call: &Call, of: &Namespace, id: Id) -> Result<Vec<JournalEntry>> {
    let mut journal: Vec<JournalEntry> = Vec::new();
    loop {
        let after = journal.last().map(|entry| entry.seq);
        let page = Page { after, limit: limits::PAGE_MAX };
        let some = ask::journal(call, of, id, page).await?;
        let is_last = some.len() < limits::PAGE_MAX as usize;
        journal.extend(some);
        if is_last || journal.len() >= limits::REPLAY_MAX {
            return Ok(journal);
        }
    }
}

/// Asks what an instance was before and after an entry, if that can be told.
async fn states(call: &Call, of: &Namespace, id: Id, seq: u64) -> Result<Option<(Value, Value)>> {
    let query = Query::Instances(of.clone(), InstanceQuery::States(id, seq));
    match call.read(query).await {
        Ok(read) => match take!(read.answer, Answer::Instances)? {
            InstanceAnswer::States(before, after) => Ok(Some((before, after))),
            _ => Err(crate::call::mismatch()),
        },
        Err(Error::TooLarge { .. } | Error::BadInput(_) | Error::NoSuchVersion { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Finds the step that has failed, with what it took, in a state as it is shown.
fn failed(state: &Value) -> Option<Failed> {
    let steps = state.get("steps")?.as_object()?;
    let (step, shown) = steps.iter().rev().find(|(_, shown)| shown.get("fault").is_some())?;
    let took = shown.get("took").or_else(|| shown.get("input"))?;
    Some(Failed { step: step.clone(), took: show::json(took) })
}

fn id(call: &Call) -> Result<Id> {
    let text = call.part("{instance}")?;
    text.parse().map_err(|_| Error::NoSuchInstance(text))
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
