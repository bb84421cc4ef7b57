//! What a task runs: a script, a shell command, or another workflow.

use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    access::Resource,
    catch::Arguments,
    expression::{Expression, Projection, Template, Text, is_computed},
    node::{Node, Value},
    shape::{Reader, Shape, choice, object},
    value::{Label, Version},
};

object! {
    /// What to run.
    Run {
        /// A script.
        script: Option<Script> = "script",
        /// A shell command.
        shell: Option<Shell> = "shell",
        /// Another workflow.
        workflow: Option<Subflow> = "workflow",
        /// Whether to wait for its end.
        awaits: Option<bool> = "await" or Some(true),
        /// What of it becomes the task's output.
        returns: Option<Returns> = "return" or Some(Returns::Stdout),
    }
    unsupported ["container"]
    check |_, node, reader| {
        if node.get("container").is_none() {
            reader.exactly_one(node, &["script", "shell", "workflow"]);
        }
    }
}

choice! {
    /// What of a process becomes the output of its task.
    Returns {
        /// What it wrote to standard output.
        Stdout = "stdout",
        /// What it wrote to standard error.
        Stderr = "stderr",
        /// Its exit code.
        Code = "code",
        /// All of these.
        All = "all",
        /// Nothing.
        None = "none",
    }
}

object! {
    /// A script.
    Script {
        /// The language that it is written in.
        language: String = "language",
        /// The script itself, which is never computed.
        code: Option<String> = "code",
        /// Where the script is.
        source: Option<Resource> = "source",
        /// What it is given.
        arguments: Option<ProcessArguments> = "arguments",
        /// Its environment variables.
        environment: Option<Arguments> = "environment",
        /// What it reads from standard input.
        stdin: Option<Text> = "stdin",
    }
    check |_, node, reader| reader.exactly_one(node, &["code", "source"])
}

object! {
    /// A shell command.
    Shell {
        /// The command.
        command: Text = "command",
        /// What it is given.
        arguments: Option<ProcessArguments> = "arguments",
        /// Its environment variables.
        environment: Option<Arguments> = "environment",
        /// What it reads from standard input.
        stdin: Option<Text> = "stdin",
    }
}

/// What a process is given: words in their order, words by name, or an expression of either.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum ProcessArguments {
    /// Words in their order.
    Ordered(Vec<Template>),
    /// Words by name.
    Named(Arguments),
    /// What computes them.
    Computed(Expression),
}

impl Shape for ProcessArguments {
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        match &node.value {
            Value::List(_) => Vec::read(node, reader).map(Self::Ordered),
            Value::Map(_) => Arguments::read(node, reader).map(Self::Named),
            Value::Text(text) if is_computed(text) => {
                Expression::read(node, reader).map(Self::Computed)
            }
            _ => reader.wrong_type(node, "a list or a mapping"),
        }
    }
}

object! {
    /// Another workflow to run.
    Subflow {
        /// Its namespace.
        namespace: Label = "namespace",
        /// Its name.
        name: Label = "name",
        /// Its version; without it, the one that is published when the task starts.
        version: Option<SubflowVersion> = "version" or Some(SubflowVersion::Latest),
        /// What it is given.
        input: Option<Projection> = "input",
    }
}

/// Which version of another workflow is run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum SubflowVersion {
    /// This one.
    Exact(Version),
    /// The one that is published when the task starts.
    #[serde(with = "latest")]
    #[schemars(with = "String")]
    Latest,
}

mod latest {
    /// Writes the word.
    pub(super) fn serialize<S: serde::Serializer>(serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("latest")
    }
}

impl Shape for SubflowVersion {
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        if matches!(&node.value, Value::Text(text) if text == "latest") {
            return Some(Self::Latest);
        }
        Version::read(node, reader).map(Self::Exact)
    }
}
