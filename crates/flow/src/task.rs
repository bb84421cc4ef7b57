//! Tasks: what all have in common, and the kinds.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

use crate::{
    call::Call,
    catch::{Catch, Emit, Raise},
    data::{Export, Input, Output, Timeout},
    duration::Duration,
    event::{ForEachEvent, Listen},
    expression::{Expression, Projection, Text, Verbatim},
    limits,
    node::{Entry, Node},
    problem::Code,
    process::Run,
    shape::{Object, Reader, SchemaName, Shape, listed, object, suggest},
    value::{Name, Ref, Sequence, Variable},
};

/// Tasks in their order.
pub type Tasks = Sequence<Task>;

/// One step of a workflow.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Task {
    /// What all tasks can have.
    #[serde(flatten)]
    pub common: Common,
    /// What the task does.
    #[serde(flatten)]
    pub kind: Kind,
}

object! {
    /// What all tasks can have.
    Common {
        /// The task is left out unless this is true.
        condition: Option<Expression> = "if",
        /// What the task takes.
        input: Option<Input> = "input",
        /// What the task gives.
        output: Option<Output> = "output",
        /// What the task puts into the context.
        export: Option<Export> = "export",
        /// How long the task may take.
        timeout: Option<Ref<Timeout>> = "timeout",
        /// Where to go on after the task.
        then: Option<Flow> = "then" or Some(Flow::Continue),
        /// Whatever the author wants to keep with the task.
        metadata: Option<BTreeMap<String, Verbatim>> = "metadata",
        /// What undoes the task when the workflow fails after it.
        compensate: Option<Tasks> = "compensate",
        /// What the receiver of a call can tell a repetition by.
        idempotency_key: Option<Text> = "idempotencyKey",
    }
}

/// What a task does.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Kind {
    /// Calls a service, a work spec or a function.
    Call(Call),
    /// Does tasks one after another.
    Do(Do),
    /// Sends an event.
    Emit(EmitTask),
    /// Does tasks for each item of a list.
    For(For),
    /// Does tasks at the same time.
    Fork(ForkTask),
    /// Waits for events.
    Listen(Box<ListenTask>),
    /// Raises an error.
    Raise(RaiseTask),
    /// Runs a script, a shell command or another workflow.
    Run(Box<RunTask>),
    /// Sets data.
    Set(Set),
    /// Goes where a condition says.
    Switch(Switch),
    /// Does tasks, and catches their errors.
    Try(Box<Try>),
    /// Waits for a time.
    Wait(Wait),
}

/// The keys that say what a task does; `for` comes before the `do` that it has, too.
const KINDS: [&str; 12] =
    ["call", "emit", "for", "fork", "listen", "raise", "run", "set", "switch", "try", "wait", "do"];

impl Shape for Task {
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        let Some(entries) = node.map() else {
            return reader.wrong_type(node, "a mapping that says what the task does");
        };
        if !reader.count_task(node) {
            return None;
        }
        let word = kind_of(node, entries, reader)?;
        let before = reader.errors();
        let keys: Vec<&str> = Common::KEYS.iter().chain(keys_of(word)).copied().collect();
        reader.known(node, &keys, &[]);
        let common = Common::fields(node, reader);
        let kind = read_kind(word, node, reader);
        if reader.errors() > before { None } else { Some(Self { common: common?, kind: kind? }) }
    }
}

/// Finds the one key that says what the task does.
fn kind_of(node: &Node, entries: &[Entry], reader: &mut Reader) -> Option<&'static str> {
    let has = |kind: &str| entries.iter().find(|entry| entry.key == kind);
    let word = KINDS.into_iter().find(|kind| has(kind).is_some());
    let Some(word) = word else {
        let foreign = entries.iter().find(|entry| !Common::KEYS.contains(&entry.key.as_str()));
        let (at, message, hint) = match foreign {
            Some(Entry { key, at, .. }) => {
                let message = format!("the task kind {key:?} is not supported");
                (*at, message, suggest(key, &KINDS))
            }
            None => {
                let message = "the task does not say what to do".to_owned();
                (node.at, message, format!("add one of {}", listed(&KINDS)))
            }
        };
        reader.note(at, Code::NoTaskKind, message, hint);
        return None;
    };
    let second = KINDS.into_iter().find_map(|kind| {
        let own = kind == word || keys_of(word).contains(&kind);
        if own { None } else { has(kind) }
    });
    if let Some(Entry { key, at, .. }) = second {
        let message = format!("the task says {word:?} and {key:?}, and can do one thing only");
        let hint = "make two tasks of it, each with a name of its own";
        reader.note(*at, Code::ManyTaskKinds, message, hint);
        return None;
    }
    Some(word)
}

fn keys_of(word: &str) -> &'static [&'static str] {
    match word {
        "call" => &["call", "with"],
        "do" => Do::KEYS,
        "emit" => EmitTask::KEYS,
        "for" => For::KEYS,
        "fork" => ForkTask::KEYS,
        "listen" => ListenTask::KEYS,
        "raise" => RaiseTask::KEYS,
        "run" => RunTask::KEYS,
        "set" => Set::KEYS,
        "switch" => Switch::KEYS,
        "try" => Try::KEYS,
        _ => Wait::KEYS,
    }
}

fn read_kind(word: &str, node: &Node, reader: &mut Reader) -> Option<Kind> {
    match word {
        "call" => Call::read(node, reader).map(Kind::Call),
        "do" => Do::fields(node, reader).map(Kind::Do),
        "emit" => EmitTask::fields(node, reader).map(Kind::Emit),
        "for" => For::fields(node, reader).map(Kind::For),
        "fork" => ForkTask::fields(node, reader).map(Kind::Fork),
        "listen" => ListenTask::fields(node, reader).map(Box::new).map(Kind::Listen),
        "raise" => RaiseTask::fields(node, reader).map(Kind::Raise),
        "run" => RunTask::fields(node, reader).map(Box::new).map(Kind::Run),
        "set" => Set::fields(node, reader).map(Kind::Set),
        "switch" => Switch::fields(node, reader).map(Kind::Switch),
        "try" => Try::fields(node, reader).map(Box::new).map(Kind::Try),
        _ => Wait::fields(node, reader).map(Kind::Wait),
    }
}

/// Where to go on after a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flow {
    /// With the next task of the list.
    Continue,
    /// After the list.
    Exit,
    /// Nowhere: the workflow ends.
    End,
    /// With this task of the same list.
    Task(Name),
}

impl Serialize for Flow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            Self::Continue => "continue",
            Self::Exit => "exit",
            Self::End => "end",
            Self::Task(name) => name.as_str(),
        })
    }
}

impl Shape for Flow {
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        let name = Name::read(node, reader)?;
        Some(match name.as_str() {
            "continue" => Self::Continue,
            "exit" => Self::Exit,
            "end" => Self::End,
            _ => Self::Task(name),
        })
    }
}

impl JsonSchema for Flow {
    fn schema_name() -> SchemaName {
        "Flow".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"anyOf": [{"enum": ["continue", "exit", "end"]}, {"type": "string"}]})
    }
}

object! {
    /// Does tasks one after another.
    Do {
        /// The tasks.
        tasks: Tasks = "do",
    }
}

object! {
    /// Sends an event.
    EmitTask {
        /// What to send.
        emit: Emit = "emit",
    }
}

object! {
    /// Does tasks for each item of a list.
    For {
        /// Which items.
        each: Each = "for",
        /// It goes on as long as this is true.
        condition: Option<Expression> = "while",
        /// What is done with each item.
        tasks: Tasks = "do",
    }
}

object! {
    /// The items that tasks are done for.
    Each {
        /// The variable that holds the item.
        item: Option<Variable> = "each" or Some(Variable::known("item")),
        /// What gives the list.
        list: Expression = "in",
        /// The variable that holds the item's number, from zero.
        at: Option<Variable> = "at" or Some(Variable::known("index")),
        /// How many items are done at the same time; without it, one is done after the other, and
        /// each takes what the one before has given.
        concurrency: Option<u64> = "concurrency",
    }
    check |each, node, reader| {
        let max = limits::CONCURRENCY_MAX;
        if let Some(count) = each.concurrency
            && !(1..=max).contains(&count)
        {
            let message = format!("{count} is not from 1 to {max}");
            let at = node.get("concurrency").map_or(node.at, |count| count.at);
            let hint = "write how many items are done at the same time";
            reader.at_key("concurrency", |r| r.note(at, Code::BadValue, message, hint));
        }
        if each.item == each.at {
            let message = "the item and its number have the same variable";
            reader.note(node.at, Code::DuplicateName, message, "give \"at\" another name");
        }
    }
}

object! {
    /// Does tasks at the same time.
    ForkTask {
        /// The tasks.
        fork: Fork = "fork",
    }
}

object! {
    /// Tasks that are done at the same time.
    Fork {
        /// The tasks.
        branches: Tasks = "branches",
        /// Whether the first that ends is the only one that counts.
        compete: Option<bool> = "compete" or Some(false),
    }
}

object! {
    /// Waits for events.
    ListenTask {
        /// Which events.
        listen: Listen = "listen",
        /// What is done with each event as it comes.
        each: Option<ForEachEvent> = "foreach",
    }
}

object! {
    /// Raises an error.
    RaiseTask {
        /// The error.
        raise: Raise = "raise",
    }
}

object! {
    /// Runs a script, a shell command or another workflow.
    RunTask {
        /// What to run.
        run: Run = "run",
    }
}

object! {
    /// Sets data.
    Set {
        /// The data.
        set: Projection = "set",
    }
    check |_, node, reader| {
        if let Some(set) = node.get("set") && set.map().is_some_and(<[_]>::is_empty) {
            reader.note(set.at, Code::Empty, "nothing is set", "add a key and its value");
        }
    }
}

object! {
    /// Goes where a condition says.
    Switch {
        /// The cases; the first whose condition is true counts.
        cases: Sequence<Case> = "switch",
    }
}

object! {
    /// A case of a switch.
    Case {
        /// The condition; a case without one counts always.
        when: Option<Expression> = "when",
        /// Where to go on.
        then: Option<Flow> = "then" or Some(Flow::Continue),
    }
}

object! {
    /// Does tasks, and catches their errors.
    Try {
        /// The tasks.
        tasks: Tasks = "try",
        /// What is done about errors.
        catch: Catch = "catch",
    }
}

object! {
    /// Waits for a time.
    Wait {
        /// How long.
        wait: Duration = "wait",
    }
}
