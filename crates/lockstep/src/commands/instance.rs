//! `lockstep run` and `lockstep instance`.

mod wait;

use std::{io::Read as _, time::Duration};

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use model::{
    Answer, Id, Instance, InstanceAnswer, InstanceCommand, InstanceControl, InstanceFilter,
    InstanceQuery, InstanceStatus, JournalEntry, Page, Query, Reply, Start,
};
use serde_json::{Value, json};

use crate::{
    connect::{Session, pages, unexpected},
    failure::Failure,
    output::{printable, table},
};

/// Time between two looks at an instance that is followed.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What to start.
#[derive(Args)]
#[command(after_long_help = "\
With --follow the command shows the steps as they happen, prints the output, and exits with 1 if the
instance faults or is cancelled.

Examples:
  lockstep run file-invoices --input '{\"total\": 12}'
  lockstep run file-invoices --input @invoice.json --follow
  echo '{\"total\": 12}' | lockstep run file-invoices --input - --json")]
pub(crate) struct RunArgs {
    /// The definition, whose published version is started
    name: String,
    /// What the workflow takes: JSON, @FILE, or - for standard input
    #[arg(long, value_name = "JSON", default_value = "null")]
    input: String,
    /// A key under which only one instance is started, however often this is called
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Show what happens until the instance ends
    #[arg(long)]
    follow: bool,
}

/// What to do with instances.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// List instances
    #[command(after_long_help = "Examples:\n  \
        lockstep instance list --definition file-invoices --status faulted")]
    List(ListArgs),
    /// Show an instance: how it stands, what it took and gave
    #[command(after_long_help = "Examples:\n  lockstep instance show 17 --json")]
    Show {
        /// Its id
        id: Id,
    },
    /// Show the journal of an instance: everything that happened, in order
    #[command(after_long_help = "Examples:\n  lockstep instance journal 17")]
    Journal {
        /// Its id
        id: Id,
    },
    /// End an instance and everything that it waits for
    #[command(after_long_help = "Examples:\n  lockstep instance cancel 17")]
    Cancel {
        /// Its id
        id: Id,
    },
    /// Let an instance take no further step
    #[command(after_long_help = "Examples:\n  lockstep instance pause 17")]
    Pause {
        /// Its id
        id: Id,
    },
    /// Let a paused instance go on
    #[command(after_long_help = "Examples:\n  lockstep instance resume 17")]
    Resume {
        /// Its id
        id: Id,
    },
    /// Do a step again that has failed, with another input if one is given
    #[command(after_long_help = "Examples:\n  \
        lockstep instance retry 17 --input '{\"total\": 12}'")]
    Retry {
        /// Its id
        id: Id,
        /// The step; without it, the one that failed last
        #[arg(long, value_name = "STEP")]
        step: Option<String>,
        /// What the step is to take: JSON, @FILE, or - for standard input
        #[arg(long, value_name = "JSON")]
        input: Option<String>,
    },
    /// Go on after a step that has failed, as if it had given an output
    #[command(after_long_help = "Examples:\n  lockstep instance skip 17 --output '{}'")]
    Skip {
        /// Its id
        id: Id,
        /// The step; without it, the one that failed last
        #[arg(long, value_name = "STEP")]
        step: Option<String>,
        /// What the step is to have given: JSON, @FILE, or - for standard input
        #[arg(long, value_name = "JSON", default_value = "null")]
        output: String,
    },
    /// List what instances wait for: answers of people, and other events
    #[command(after_long_help = "Examples:\n  lockstep instance waits")]
    Waits {
        /// Show at most this many; 0 is all
        #[arg(long, default_value_t = 100, value_name = "N")]
        limit: u32,
    },
    /// Answer what an instance waits for
    #[command(after_long_help = "Examples:\n  \
        lockstep instance answer 17 --approve --comment 'as agreed'")]
    Answer(wait::AnswerArgs),
    /// Make a link with which somebody without a token can answer what an instance waits for
    #[command(after_long_help = "Examples:\n  \
        lockstep instance invite 17 --note 'May we pay 12 € back?' --expires 1d")]
    Invite(wait::InviteArgs),
    /// Start another instance of the same version, from the beginning or from a step
    #[command(after_long_help = "Examples:\n  lockstep instance restart 17 --from book")]
    Restart {
        /// Its id
        id: Id,
        /// The step of the top level to begin at
        #[arg(long, value_name = "STEP")]
        from: Option<String>,
    },
}

/// Which instances to list.
#[derive(Args)]
pub(crate) struct ListArgs {
    /// Only those of this definition
    #[arg(long, value_name = "NAME")]
    definition: Option<String>,
    /// Only those in this status: running, waiting, paused, finished, faulted or cancelled
    #[arg(long, value_name = "STATUS", value_parser = status)]
    status: Option<InstanceStatus>,
    /// Show at most this many; 0 is all
    #[arg(long, default_value_t = 100, value_name = "N")]
    limit: u32,
    /// Show the newest first, and not the oldest
    #[arg(long)]
    newest: bool,
    /// Show only those that come after this one (the "next" of an earlier list)
    #[arg(long, value_name = "ID")]
    after: Option<Id>,
}

fn status(text: &str) -> Result<InstanceStatus, String> {
    let known = InstanceStatus::ALL;
    known.into_iter().find(|status| status.as_str() == text).ok_or_else(|| {
        let words: Vec<_> = known.iter().map(|status| status.as_str()).collect();
        format!("write one of {}", words.join(", "))
    })
}

/// Reads JSON that is given by itself, in a file, or on standard input.
pub(super) fn json_of(text: &str) -> Result<Value> {
    let read = match text.strip_prefix('@') {
        Some(file) => {
            std::fs::read_to_string(file).with_context(|| format!("cannot read {file}"))?
        }
        None if text == "-" => {
            let mut all = String::new();
            std::io::stdin().read_to_string(&mut all)?;
            all
        }
        None => text.to_owned(),
    };
    serde_json::from_str(&read).map_err(|error| {
        let what = format!("{} is not JSON: {error}", printable(text));
        Failure::usage(what, "give JSON, @FILE, or - for standard input").into()
    })
}

impl RunArgs {
    /// Starts an instance, and follows it if that is asked for.
    pub(crate) async fn run(self, session: &Session) -> Result<()> {
        let start =
            Start { definition: self.name, input: json_of(&self.input)?, traceparent: None };
        let id = self_started(session, start, self.key).await?;
        if !self.follow {
            return session.out.data(&json!({ "instance": id }), || id.to_string());
        }
        session.out.note(format!("instance {id}"));
        follow(session, id).await
    }
}

async fn self_started(session: &Session, start: Start, key: Option<String>) -> Result<Id> {
    let lockstep = &session.lockstep;
    let command = InstanceCommand::Start(start);
    let write =
        model::Write { request_id: key, ..model::Write::one(lockstep.namespace(), command) };
    match lockstep.backend().write(write).await?.replies.first() {
        Some(Reply::Id(id)) => Ok(*id),
        _ => Err(unexpected().into()),
    }
}

async fn follow(session: &Session, id: Id) -> Result<()> {
    let mut after = None;
    loop {
        // Looked at first, so that what has ended has all its journal shown.
        let instance = one(session, id).await?;
        for entry in journal(session, id, after).await? {
            after = Some(entry.seq);
            notes(&entry).into_iter().for_each(|line| session.out.note(line));
        }
        if instance.status.is_over() {
            session.out.data(&shown(&instance), || pretty(&instance.output))?;
            return match instance.status {
                InstanceStatus::Finished => Ok(()),
                status => Err(Failure::differs(
                    format!("instance {id} is {}: {}", status.as_str(), instance.error),
                    "read its journal with `lockstep instance journal`",
                )
                .into()),
            };
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

impl Verb {
    /// Runs the verb.
    pub(crate) async fn run(self, session: &Session) -> Result<()> {
        match self {
            Self::List(args) => list(args, session).await,
            Self::Show { id } => show(session, id).await,
            Self::Journal { id } => show_journal(session, id).await,
            Self::Cancel { id } => control(session, id, InstanceControl::Cancel).await,
            Self::Pause { id } => control(session, id, InstanceControl::Pause).await,
            Self::Resume { id } => control(session, id, InstanceControl::Resume).await,
            Self::Retry { id, step, input } => {
                let input = input.as_deref().map(json_of).transpose()?;
                control(session, id, InstanceControl::Retry { step, input }).await
            }
            Self::Skip { id, step, output } => {
                let output = json_of(&output)?;
                control(session, id, InstanceControl::Skip { step, output }).await
            }
            Self::Waits { limit } => wait::list(limit, session).await,
            Self::Answer(args) => args.run(session).await,
            Self::Invite(args) => args.run(session).await,
            Self::Restart { id, from } => {
                control(session, id, InstanceControl::Restart { step: from }).await
            }
        }
    }
}

async fn control(session: &Session, instance: Id, control: InstanceControl) -> Result<()> {
    let command = InstanceCommand::Control { instance, control };
    let id = match session.lockstep.command(command).await? {
        Reply::Id(id) => id,
        _ => instance,
    };
    show(session, id).await
}

async fn ask(session: &Session, query: InstanceQuery) -> model::Result<InstanceAnswer> {
    let namespace = session.lockstep.namespace().clone();
    match session.lockstep.ask(Query::Instances(namespace, query)).await? {
        Answer::Instances(answer) => Ok(answer),
        _ => Err(unexpected()),
    }
}

async fn one(session: &Session, id: Id) -> Result<Instance> {
    match ask(session, InstanceQuery::One(id)).await? {
        InstanceAnswer::Instance(instance) => Ok(*instance),
        _ => Err(unexpected().into()),
    }
}

async fn journal(session: &Session, id: Id, after: Option<u64>) -> Result<Vec<JournalEntry>> {
    let fetch = async |page: Page<u64>| match ask(session, InstanceQuery::Journal(id, page)).await?
    {
        InstanceAnswer::Journal(entries) => Ok(entries),
        _ => Err(unexpected()),
    };
    Ok(pages(0, after, |entry: &JournalEntry| entry.seq, fetch).await?.0)
}

async fn list(args: ListArgs, session: &Session) -> Result<()> {
    let fetch = async |page: Page<Id>| {
        let filter = InstanceFilter {
            definition: args.definition.clone(),
            status: args.status,
            after: page.after,
            limit: page.limit,
            newest: args.newest,
        };
        match ask(session, InstanceQuery::List(filter)).await? {
            InstanceAnswer::Instances(instances) => Ok(instances),
            _ => Err(unexpected()),
        }
    };
    let (instances, next) =
        pages(args.limit, args.after, |instance: &Instance| instance.id, fetch).await?;
    let list: Vec<Value> = instances.iter().map(shown).collect();
    session.out.data(&json!({ "instances": list, "next": next }), || rows(&instances))
}

async fn show(session: &Session, id: Id) -> Result<()> {
    let instance = one(session, id).await?;
    session.out.data(&shown(&instance), || {
        let Instance { input, output, error, at, .. } = &instance;
        let mut text = rows(std::slice::from_ref(&instance));
        for step in at {
            text.push_str(&format!("\nat {}", printable(step)));
        }
        for (what, value) in [("input", input), ("output", output), ("error", error)] {
            if !value.is_null() {
                text.push_str(&format!("\n{what}:\n{}\n", pretty(value)));
            }
        }
        text
    })
}

async fn show_journal(session: &Session, id: Id) -> Result<()> {
    let entries = journal(session, id, None).await?;
    let all = serde_json::to_value(&entries)?;
    session.out.data(&json!({ "journal": all }), || {
        entries.iter().flat_map(notes).map(|line| line + "\n").collect()
    })
}

/// Says what an entry of a journal tells, one line for each thing that happened.
fn notes(entry: &JournalEntry) -> Vec<String> {
    let notes = entry.body.get("notes").and_then(Value::as_array);
    let line = |note: &Value| {
        let what = note.get("what").and_then(Value::as_str).unwrap_or_default();
        let step = note.get("step").and_then(Value::as_str).unwrap_or("workflow");
        let data = note.get("data").filter(|data| !data.is_null());
        let data = data.map(|data| format!(" {data}")).unwrap_or_default();
        printable(&format!("{} {step} {what}{data}", entry.time))
    };
    notes.into_iter().flatten().map(line).collect()
}

fn shown(instance: &Instance) -> Value {
    serde_json::to_value(instance).unwrap_or_default()
}

fn pretty(value: &Value) -> String {
    printable(&serde_json::to_string_pretty(value).unwrap_or_default())
}

fn rows(instances: &[Instance]) -> String {
    let row = |instance: &Instance| {
        vec![
            instance.id.to_string(),
            printable(&instance.definition),
            instance.version.clone(),
            instance.status.as_str().to_owned(),
            instance.started.to_string(),
            instance.ended.map_or_else(|| "-".to_owned(), |ended| ended.to_string()),
            printable(&instance.cause),
        ]
    };
    let heads = ["id", "definition", "version", "status", "started", "ended", "cause"];
    table(&heads, &instances.iter().map(row).collect::<Vec<_>>())
}
